/* pgzip.c - a gzip that uses all CPUs: an ordered imap over the blocks of a file or of standard input.
 *
 * SPDX-License-Identifier: MIT
 *
 *    reader (a generator)          workers                       writer (the main thread)
 *    fills the next block   -->    compress blocks,       -->    takes the blocks in order,
 *    of the ring                   several at a time             writes them, adds up the CRC
 *
 * The output is one ordinary gzip member. Each block is compressed by itself, with the last 32 KiB of the block
 * before as its dictionary, so that cutting the input up costs hardly any compression. All blocks but the last end
 * with a Z_SYNC_FLUSH, that is, on a byte boundary, so the compressed blocks can simply be written one after the
 * other. The bytes that come out depend on the block size and on the level, not on the number of workers.
 *
 * The ring: imap draws at most `ahead` items that the writer has not taken yet. When item i is drawn, item i - ahead
 * may be in the writer's hands, and nobody uses any item before that. So item i may have the buffers of item i -
 * (ahead + 1): a ring of ahead + 1 blocks needs no lock and no list of free blocks, and memory stays bounded however
 * long the input is. The block before i is overwritten by item i + ahead at the earliest, which is drawn after item i
 * was taken: it is still whole while a worker uses it as the dictionary of item i. */
#define _XOPEN_SOURCE 700
#define _FILE_OFFSET_BITS 64
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <mppool.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

enum {
	KIB = 1024,
	WINDOW = 32 * KIB,               /* deflate refers back no further than this */
	MAX_WORKERS = 4096,
	MAX_BLOCK_KIB = 1024 * KIB,
	EXIT_USAGE = 2
};

struct options {
	const char *input;               /* NULL: standard input */
	const char *output;              /* NULL: made from the input's name */
	int workers;                     /* 0: the library's choice */
	int level;
	size_t block_size;
	bool to_stdout, keep, force, verbose;
};

struct block {
	unsigned char *in;               /* block_size bytes, allocated at the block's first use */
	size_t in_len;
	const unsigned char *dictionary; /* the end of the block before; NULL for the first block */
	size_t dictionary_len;
	bool last;
	unsigned char *out;              /* out_size bytes in the same allocation as in */
	size_t out_size;
	size_t out_len;
	unsigned long crc;               /* of the input */
};

struct reader {                          /* the state of the generator */
	int fd;
	const char *name;
	size_t block_size;
	struct block *ring;
	size_t ring_len;
	size_t drawn;                    /* blocks so far */
	bool ended;
};

struct totals {
	uint64_t in;
	uint64_t out;
	unsigned long crc;
};

static int complain(const char *name, const char *message)
{
	fprintf(stderr, "pgzip: %s: %s\n", name, message);
	return -1;
}

/* What a call that failed with this code has to say. */
static const char *reason(int code)
{
	if (code == MPPOOL_ETASK || code == MPPOOL_EITER || code == MPPOOL_EBROKEN)
		return mppool_last_error()->message;
	return mppool_strerror(code);
}

/* --------------------------------------------------------------------------------------------- the reader's thread */

/* Room for what zlib makes of a block, and for the flush marker after it. */
static size_t bound(size_t block_size)
{
	return compressBound((uLong)block_size) + 64;
}

static int allocate(struct block *block, size_t block_size)
{
	if (block->in)
		return 0;
	block->out_size = bound(block_size);
	block->in = malloc(block_size + block->out_size);
	if (!block->in)
		return mppool_raise(ENOMEM, "no memory for a block of %zu bytes", block_size);
	block->out = block->in + block_size;
	return 0;
}

/* As read(2), but comes back with less than size only at the end of the file: a pipe gives what it has. */
static int read_fully(int fd, unsigned char *buffer, size_t size, size_t *ret_len)
{
	size_t len = 0;

	while (len < size) {
		const ssize_t n = read(fd, buffer + len, size - len);

		if (n == 0)
			break;
		if (n > 0)
			len += (size_t)n;
		else if (errno != EINTR)
			return errno;
	}
	*ret_len = len;
	return 0;
}

/* The generator: reads the next block. Only a block that is not full is the last one, so there always is a last one,
 * an empty one if need be. */
static int next_block(void *const args[], void *state)
{
	struct reader *reader = state;
	struct block *block = &reader->ring[reader->drawn % reader->ring_len];
	int code;

	if (reader->ended)
		return MPPOOL_ESTOP;
	code = allocate(block, reader->block_size);
	if (code)
		return code;
	code = read_fully(reader->fd, block->in, reader->block_size, &block->in_len);
	if (code)
		return mppool_raise(code, "%s: %s", reader->name, mppool_strerror(code));

	if (reader->drawn > 0) {         /* then the block before is full: block_size >= WINDOW */
		const struct block *before = &reader->ring[(reader->drawn - 1) % reader->ring_len];

		block->dictionary = before->in + reader->block_size - WINDOW;
		block->dictionary_len = WINDOW;
	}
	block->last = block->in_len < reader->block_size;
	reader->ended = block->last;
	reader->drawn++;
	*(struct block **)args[0] = block;
	return 0;
}

/* -------------------------------------------------------------------------------------------- the workers' threads */

/* Setting up a compressor costs 256 KiB and some time: each worker does it once. */
static int create_compressor(void *initarg, void **ret_state)
{
	const int *level = initarg;
	z_stream *z = calloc(1, sizeof *z);
	int code;

	if (!z)
		return mppool_raise(ENOMEM, "no memory for a compressor");
	code = deflateInit2(z, *level, Z_DEFLATED, -MAX_WBITS, MAX_MEM_LEVEL - 1, Z_DEFAULT_STRATEGY);
	if (code != Z_OK) {
		free(z);
		return mppool_raise(ENOMEM, "deflateInit2: %s", zError(code));
	}
	*ret_state = z;
	return 0;
}

static void destroy_compressor(void *initarg, void *state)
{
	(void)initarg;
	deflateEnd(state);
	free(state);
}

/* The task: from block->in to block->out. */
static struct block *compress_block(struct block *block)
{
	z_stream *z = mppool_worker_state();
	int code = deflateReset(z);

	if (code == Z_OK && block->dictionary)
		code = deflateSetDictionary(z, block->dictionary, (uInt)block->dictionary_len);
	if (code != Z_OK) {
		mppool_raise(EINVAL, "deflateSetDictionary: %s", zError(code));
		return block;
	}
	z->next_in = block->in;
	z->avail_in = (uInt)block->in_len;
	z->next_out = block->out;
	z->avail_out = (uInt)block->out_size;
	code = deflate(z, block->last ? Z_FINISH : Z_SYNC_FLUSH);
	if (code != (block->last ? Z_STREAM_END : Z_OK) || z->avail_in > 0 || z->avail_out == 0)
		mppool_raise(EIO, "deflate: %s", z->msg ? z->msg : zError(code));

	block->out_len = block->out_size - z->avail_out;
	block->crc = crc32(crc32(0, NULL, 0), block->in, (uInt)block->in_len);
	return block;
}
MPPOOL_FUNC(compress_task, struct block *, compress_block, struct block *);

/* ------------------------------------------------------------------------------------------------- the main thread */

static int write_fully(int fd, const unsigned char *data, size_t len)
{
	while (len > 0) {
		const ssize_t n = write(fd, data, len);

		if (n >= 0) {
			data += n;
			len -= (size_t)n;
		} else if (errno != EINTR) {
			return errno;
		}
	}
	return 0;
}

static void store_le32(unsigned char *to, unsigned long value)
{
	for (int i = 0; i < 4; i++)
		to[i] = (unsigned char)(value >> 8 * i & 0xff);
}

/* No name and no time in the header, so that the same input gives the same output. */
static int write_header(int fd, int level, struct totals *totals)
{
	unsigned char header[10] = {0x1f, 0x8b, Z_DEFLATED, 0, 0, 0, 0, 0, 0, 3 /* Unix */};

	header[8] = level == Z_BEST_COMPRESSION ? 2 : level == Z_BEST_SPEED ? 4 : 0;
	totals->out += sizeof header;
	return write_fully(fd, header, sizeof header);
}

static int write_trailer(int fd, struct totals *totals)
{
	unsigned char trailer[8];

	store_le32(trailer, totals->crc);
	store_le32(trailer + 4, (unsigned long)(totals->in & 0xffffffff));
	totals->out += sizeof trailer;
	return write_fully(fd, trailer, sizeof trailer);
}

static int write_block(int fd, const struct block *block, struct totals *totals)
{
	totals->crc = crc32_combine(totals->crc, block->crc, (z_off_t)block->in_len);
	totals->in += block->in_len;
	totals->out += block->out_len;
	return write_fully(fd, block->out, block->out_len);
}

/* Take the compressed blocks in order and write them. Complains and returns -1 if something fails. */
static int write_member(mppool_iter *iter, int level, int fd, const char *name, struct totals *totals)
{
	struct block *block;
	int write_code = write_header(fd, level, totals);
	int code = 0;

	while (!write_code && (code = mppool_iter_next(iter, &block, NULL, MPPOOL_FOREVER)) == 0)
		write_code = write_block(fd, block, totals);
	if (!write_code && code != MPPOOL_ESTOP) {
		fprintf(stderr, "pgzip: %s\n", reason(code));
		return -1;
	}
	if (!write_code)
		write_code = write_trailer(fd, totals);
	return write_code ? complain(name, mppool_strerror(write_code)) : 0;
}

/* Run the pool over the reader's blocks; the ring is there. */
static int compress_ring(const struct options *options, struct reader *reader, int out, const char *out_name,
                         struct totals *totals)
{
	struct mppool_iterable blocks = MPPOOL_ITERABLE_INIT;
	int level = options->level;
	mppool *pool;
	mppool_iter *iter;
	int code;

	blocks.next = next_block;
	blocks.state = reader;
	code = mppool_create(MPPOOL_OPTIONS(.workers = options->workers, .initializer = create_compressor,
	                                    .finalizer = destroy_compressor, .initarg = &level, .name = "pgzip"),
	                     &pool);
	if (code)
		return complain("cannot start", reason(code));
	code = mppool_imap(pool, &compress_task, &blocks, 1, reader->ring_len - 1, NULL, &iter);
	if (code) {
		complain("mppool_imap", reason(code));
	} else {
		code = write_member(iter, level, out, out_name, totals);
		mppool_iter_free(iter);
	}
	mppool_destroy(pool);
	return code ? -1 : 0;
}

static int compress_fd(const struct options *options, int in, const char *in_name, int out, const char *out_name,
                       struct totals *totals)
{
	const size_t workers = (size_t)(options->workers > 0 ? options->workers : mppool_cpu_count());
	const size_t ahead = 2 * workers + 2;
	struct reader reader = {.fd = in, .name = in_name, .block_size = options->block_size, .ring_len = ahead + 1};
	int code;

	reader.ring = calloc(reader.ring_len, sizeof *reader.ring);
	if (!reader.ring)
		return complain("ring of blocks", mppool_strerror(ENOMEM));
	code = compress_ring(options, &reader, out, out_name, totals);
	for (size_t i = 0; i < reader.ring_len; i++)
		free(reader.ring[i].in);
	free(reader.ring);
	return code;
}

/* -------------------------------------------------------------------------------------------------- files, options */

/* The output's name from the input's: FILE.gz. NULL, with a complaint, if that makes no sense. */
static char *name_with_suffix(const char *input)
{
	const size_t len = strlen(input);
	char *name;

	if (len > 3 && strcmp(input + len - 3, ".gz") == 0) {
		complain(input, "already ends in .gz");
		return NULL;
	}
	name = malloc(len + sizeof ".gz");
	if (!name) {
		complain(input, mppool_strerror(ENOMEM));
		return NULL;
	}
	memcpy(name, input, len);
	memcpy(name + len, ".gz", sizeof ".gz");
	return name;
}

/* An output file with the permissions of the input. It must not be the input itself, which opening would empty. */
static int open_output(const char *name, const struct stat *in_stat, bool overwrite)
{
	const mode_t mode = S_ISREG(in_stat->st_mode) ? in_stat->st_mode & 0777 : 0666;
	struct stat st;
	int fd;

	if (stat(name, &st) == 0 && st.st_dev == in_stat->st_dev && st.st_ino == in_stat->st_ino)
		return complain(name, "is the input");
	fd = open(name, O_WRONLY | O_CREAT | O_CLOEXEC | (overwrite ? O_TRUNC : O_EXCL), mode);
	if (fd < 0)
		return complain(name, errno == EEXIST ? "exists; -f overwrites it" : mppool_strerror(errno));
	return fd;
}

/* A file that is not whole is worse than none; a device or a pipe is left alone. */
static void remove_partial(int fd, const char *name)
{
	struct stat st;

	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && unlink(name))
		complain(name, mppool_strerror(errno));
}

static int compress_to_file(const struct options *options, int in, const struct stat *in_stat, const char *in_name,
                            const char *out_name, bool overwrite, struct totals *totals)
{
	const int out = open_output(out_name, in_stat, overwrite);
	int code;

	if (out < 0)
		return -1;
	code = compress_fd(options, in, in_name, out, out_name, totals);
	if (code)
		remove_partial(out, out_name);
	if (close(out) && !code)
		code = complain(out_name, mppool_strerror(errno));
	return code;
}

/* FILE becomes FILE.gz. */
static int replace_file(const struct options *options, int in, const struct stat *in_stat, struct totals *totals)
{
	char *out_name = name_with_suffix(options->input);
	int code;

	if (!out_name)
		return -1;
	code = compress_to_file(options, in, in_stat, options->input, out_name, options->force, totals);
	if (!code && !options->keep && S_ISREG(in_stat->st_mode) && unlink(options->input))
		code = complain(options->input, mppool_strerror(errno));
	free(out_name);
	return code;
}

static int compress_input(const struct options *options, int in, struct totals *totals)
{
	const char *in_name = options->input ? options->input : "standard input";
	struct stat in_stat;

	if (fstat(in, &in_stat))
		return complain(in_name, mppool_strerror(errno));
	if (S_ISDIR(in_stat.st_mode))
		return complain(in_name, mppool_strerror(EISDIR));
	if (options->output)
		return compress_to_file(options, in, &in_stat, in_name, options->output, true, totals);
	if (options->input && !options->to_stdout)
		return replace_file(options, in, &in_stat, totals);
	if (isatty(STDOUT_FILENO) && !options->force)
		return complain("standard output", "compressed data does not go to a terminal; -f forces it");
	return compress_fd(options, in, in_name, STDOUT_FILENO, "standard output", totals);
}

static double seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void report(const struct totals *totals, double elapsed)
{
	const double in = (double)totals->in;

	fprintf(stderr, "%" PRIu64 " bytes to %" PRIu64 " (%.1f %%) in %.2f s", totals->in, totals->out,
	        totals->in ? 100.0 * (double)totals->out / in : 100.0, elapsed);
	if (elapsed > 0.0)
		fprintf(stderr, ", %.1f MB/s", in / 1e6 / elapsed);
	fputc('\n', stderr);
}

static void usage(FILE *to)
{
	fputs("Usage: pgzip [OPTION]... [FILE]\n"
	      "Compress FILE to FILE.gz with all CPUs, and remove FILE. Without FILE, or when FILE is -,\n"
	      "compress standard input to standard output.\n"
	      "\n"
	      "  -1 to -9     fast to good compression; the default is -6\n"
	      "  -b KIB       size of a block in KiB, at least 32; the default is 128\n"
	      "  -c           write to standard output and keep FILE\n"
	      "  -f           overwrite FILE.gz; write to a terminal\n"
	      "  -k           keep FILE\n"
	      "  -o OUTPUT    write to OUTPUT, whether or not it exists, and keep FILE\n"
	      "  -p WORKERS   worker threads; the default is one per CPU\n"
	      "  -v           report sizes and time on standard error\n"
	      "  -h, --help   show this help\n",
	      to);
}

/* A whole number from min to max, or -1. */
static long parse_number(const char *text, long min, long max)
{
	char *end;
	long value;

	errno = 0;
	value = strtol(text, &end, 10);
	return errno || end == text || *end || value < min || value > max ? -1 : value;
}

static long parse_option(int option, const char *text, long min, long max)
{
	const long value = parse_number(text, min, max);

	if (value < 0) {
		fprintf(stderr, "pgzip: -%c takes a number from %ld to %ld\n", option, min, max);
		exit(EXIT_USAGE);
	}
	return value;
}

static void parse_options(int argc, char **argv, struct options *options)
{
	static const struct option long_options[] = {{"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
	int option;

	while ((option = getopt_long(argc, argv, "123456789b:cfhko:p:v", long_options, NULL)) != -1) {
		switch (option) {
		case 'b': options->block_size = (size_t)parse_option('b', optarg, 32, MAX_BLOCK_KIB) * KIB; break;
		case 'c': options->to_stdout = true; break;
		case 'f': options->force = true; break;
		case 'k': options->keep = true; break;
		case 'o': options->output = optarg; break;
		case 'p': options->workers = (int)parse_option('p', optarg, 1, MAX_WORKERS); break;
		case 'v': options->verbose = true; break;
		case 'h': usage(stdout); exit(fflush(stdout) ? EXIT_FAILURE : EXIT_SUCCESS);
		case '?': usage(stderr); exit(EXIT_USAGE);
		default: options->level = option - '0';
		}
	}
	if (argc - optind > 1) {
		usage(stderr);
		exit(EXIT_USAGE);
	}
	if (argc > optind && strcmp(argv[optind], "-") != 0)
		options->input = argv[optind];
}

int main(int argc, char **argv)
{
	struct options options = {.level = 6, .block_size = 128 * KIB};
	struct totals totals = {.crc = crc32(0, NULL, 0)};
	const double start = seconds();
	int in = STDIN_FILENO;
	int code;

	parse_options(argc, argv, &options);
	if (options.input) {
		in = open(options.input, O_RDONLY | O_CLOEXEC);
		if (in < 0) {
			complain(options.input, mppool_strerror(errno));
			return EXIT_FAILURE;
		}
	}
	code = compress_input(&options, in, &totals);
	if (!code && options.verbose)
		report(&totals, seconds() - start);
	if (options.input)
		close(in);
	return code ? EXIT_FAILURE : EXIT_SUCCESS;
}
