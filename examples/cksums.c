/* cksums.c - the POSIX checksums of files, as cksum(1) prints them: a pipeline of two pools, joined by imap.
 *
 * SPDX-License-Identifier: MIT
 *
 *     ./cksums /usr/bin/[a-m]*
 *
 *     names -> [pool "read": many threads, which wait for disks] -> files -> [pool "sum": a thread per CPU] -> lines
 *
 * The second pool's generator takes its items from the iterator of the first. Both imaps are bounded, so that at most
 * READ_AHEAD files and a few more are in memory, however fast the first pool is; and both keep the order, so that the
 * lines come in the order of the names. A file that cannot be read goes through the pipeline as well, with its error.
 *
 * Each block of memory belongs to what carries it: to a result of the first pool, until it is taken (drop_result frees
 * those that nobody took), then to an item of the second (drop_args frees it, whether or not the item ran). */
#define _XOPEN_SOURCE 700
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <mppool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { READERS = 8, READ_AHEAD = 16, MAX_WORKERS = 4096, EXIT_USAGE = 2 };

struct file {
	const char *name;
	unsigned char *bytes;
	size_t len;
	int error;                       /* why it could not be read: then there are no bytes */
};

struct sum {
	const char *name;
	uint32_t crc;
	size_t len;
};

static uint32_t crc_of_byte[256];

static void check(int code, const char *what)
{
	if (code) {
		fprintf(stderr, "cksums: %s: %s\n", what, mppool_strerror(code));
		exit(EXIT_FAILURE);
	}
}

/* ------------------------------------------------------------------------------------------------- the first pool */

/* Returns 0 or an errno value. */
static int read_all(int fd, struct file *file)
{
	size_t room = 0;
	ssize_t n;

	do {
		if (file->len == room) {
			unsigned char *more;

			room = 2 * room + 64 * 1024;
			more = realloc(file->bytes, room);
			if (!more)
				return ENOMEM;
			file->bytes = more;
		}
		n = read(fd, file->bytes + file->len, room - file->len);
		if (n < 0)
			return errno;
		file->len += (size_t)n;
	} while (n > 0);
	return 0;
}

static struct file read_file(const char *name)
{
	const int fd = open(name, O_RDONLY | O_CLOEXEC);
	struct file file = {.name = name, .error = fd < 0 ? errno : 0};

	if (fd >= 0) {
		file.error = read_all(fd, &file);
		close(fd);
	}
	if (file.error) {
		free(file.bytes);
		file.bytes = NULL;
	}
	return file;
}
MPPOOL_FUNC(read_task, struct file, read_file, const char *);

static void drop_file(void *result, void *context)
{
	struct file *file = result;

	(void)context;
	free(file->bytes);
}

/* ------------------------------------------------------------------------------------------------- the second pool */

/* The generator between the pools. It may block: no other call is held up by that. */
static int next_file(void *const args[], void *state)
{
	return mppool_iter_next(state, args[0], NULL, MPPOOL_FOREVER);
}

static uint32_t crc_add(uint32_t crc, unsigned byte)
{
	return (crc << 8) ^ crc_of_byte[(crc >> 24) ^ byte];
}

static struct sum sum_file(struct file file)
{
	struct sum sum = {.name = file.name, .len = file.len};

	if (file.error) {
		mppool_raise(file.error, "%s: %s", file.name, mppool_strerror(file.error));
		return sum;
	}
	for (size_t i = 0; i < file.len; i++)
		sum.crc = crc_add(sum.crc, file.bytes[i]);
	for (size_t len = file.len; len; len >>= 8)
		sum.crc = crc_add(sum.crc, len & 0xff);
	sum.crc = ~sum.crc;
	return sum;
}
MPPOOL_FUNC(sum_task, struct sum, sum_file, struct file);

static void drop_item(const void *const args[], void *context)
{
	const struct file *file = args[0];

	(void)context;
	free(file->bytes);
}

static void make_table(void)
{
	for (uint32_t i = 0; i < 256; i++) {
		crc_of_byte[i] = i << 24;
		for (int bit = 0; bit < 8; bit++)
			crc_of_byte[i] = (crc_of_byte[i] << 1) ^ (crc_of_byte[i] >> 31 ? 0x04c11db7u : 0);
	}
}

/* ------------------------------------------------------------------------------------------------- the main thread */

/* Returns how many files could not be read. */
static int print_sums(mppool_iter *sums)
{
	struct sum sum;
	int failed = 0, code;

	while ((code = mppool_iter_next(sums, &sum, NULL, MPPOOL_FOREVER)) == 0 || code == MPPOOL_ETASK) {
		if (code == MPPOOL_ETASK) {
			fprintf(stderr, "cksums: %s\n", mppool_last_error()->message);
			failed++;
		} else {
			printf("%ju %zu %s\n", (uintmax_t)sum.crc, sum.len, sum.name);
		}
	}
	check(code == MPPOOL_ESTOP ? 0 : code, "mppool_iter_next");
	check(fflush(stdout) || ferror(stdout) ? EIO : 0, "standard output");
	return failed;
}

static int run(char **names, size_t n, int workers)
{
	struct mppool_func read = read_task, sum = sum_task;
	struct mppool_iterable files = MPPOOL_ITERABLE_INIT;
	mppool *readers, *summers;
	mppool_iter *contents, *sums;
	int failed;

	read.drop_result = drop_file;
	sum.drop_args = drop_item;
	check(mppool_create(MPPOOL_OPTIONS(.workers = READERS, .name = "read"), &readers), "mppool_create");
	check(mppool_create(MPPOOL_OPTIONS(.workers = workers, .name = "sum"), &summers), "mppool_create");
	check(mppool_imap(readers, &read, MPPOOL_ARRAY(names, n), 1, READ_AHEAD, NULL, &contents), "mppool_imap");
	files.next = next_file;
	files.state = contents;
	check(mppool_imap(summers, &sum, &files, 1, READ_AHEAD, NULL, &sums), "mppool_imap");

	failed = print_sums(sums);

	/* From the end to the beginning: who draws is freed before what is drawn from. */
	mppool_iter_free(sums);
	mppool_iter_free(contents);
	check(mppool_destroy(summers), "mppool_destroy");
	check(mppool_destroy(readers), "mppool_destroy");
	return failed;
}

static void usage(FILE *to)
{
	fputs("Usage: cksums [OPTION]... FILE...\n"
	      "Print the POSIX checksum, the size and the name of each file, as cksum does.\n"
	      "\n"
	      "  -p WORKERS   threads that compute; the default is one per CPU\n"
	      "  -h, --help   show this help\n"
	      "\n"
	      "The exit status is 1 if a file could not be read.\n",
	      to);
}

static int parse_workers(const char *text)
{
	char *end;
	const long value = strtol(text, &end, 10);

	if (end == text || *end || value < 1 || value > MAX_WORKERS) {
		fprintf(stderr, "cksums: -p takes a number from 1 to %d\n", MAX_WORKERS);
		exit(EXIT_USAGE);
	}
	return (int)value;
}

int main(int argc, char **argv)
{
	static const struct option long_options[] = {{"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
	int workers = 0;
	int option;

	while ((option = getopt_long(argc, argv, "hp:", long_options, NULL)) != -1) {
		switch (option) {
		case 'p': workers = parse_workers(optarg); break;
		case 'h': usage(stdout); return fflush(stdout) ? EXIT_FAILURE : EXIT_SUCCESS;
		default: usage(stderr); return EXIT_USAGE;
		}
	}
	if (optind == argc) {
		usage(stderr);
		return EXIT_USAGE;
	}
	make_table();
	return run(argv + optind, (size_t)(argc - optind), workers) ? EXIT_FAILURE : EXIT_SUCCESS;
}
