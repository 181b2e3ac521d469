/* hashfiles.c - SHA-256 of all files below some directories: imap_unordered over a walk that is still going on.
 *
 * SPDX-License-Identifier: MIT
 *
 * The walk is a generator: the pool asks it for the next file when there is room for one, so that hashing starts at
 * once and memory does not grow with the number of files. The lines come as the files are done, each as sha256sum(1)
 * would print it. A file or directory that cannot be read is reported and does not stop the rest. */
#define _XOPEN_SOURCE 700
#define _FILE_OFFSET_BITS 64
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <mppool.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { MAX_PATH = 4096, DIGEST_SIZE = 32, BUFFER_SIZE = 64 * 1024, MAX_WORKERS = 4096, EXIT_USAGE = 2 };

struct entry {                           /* an item: what the walk found */
	int error;                       /* why it cannot be read, if the walk has seen that already; else 0 */
	char path[MAX_PATH];
};

struct sum {                             /* a result */
	uint64_t bytes;
	unsigned char digest[DIGEST_SIZE];
	char path[MAX_PATH];
};

/* -------------------------------------------------------------------------------------------------------- the walk */

struct pending {                         /* a directory that was seen and not yet read */
	struct pending *next;
	char path[];
};

struct walk {                            /* the state of the generator; only one thread at a time has it */
	char **operands;                 /* what is left of the command line, to a NULL */
	struct pending *pending;         /* a stack: most recently seen first */
	struct pending *current;         /* the directory being read, its path in it */
	DIR *dir;
};

static void fill_entry(struct entry *entry, const char *path, int error)
{
	entry->error = error;
	snprintf(entry->path, sizeof entry->path, "%s", path);
}

/* Put a directory on the stack. An entry was made if this fails. */
static bool push_directory(struct walk *walk, const char *path, struct entry *entry)
{
	const size_t size = strlen(path) + 1;
	struct pending *pending = malloc(sizeof *pending + size);

	if (!pending) {
		fill_entry(entry, path, ENOMEM);
		return true;
	}
	memcpy(pending->path, path, size);
	pending->next = walk->pending;
	walk->pending = pending;
	return false;
}

/* Look at a path of the command line. True if an entry was made. */
static bool visit_operand(struct walk *walk, const char *path, struct entry *entry)
{
	struct stat st;

	if (stat(path, &st))
		fill_entry(entry, path, errno);
	else if (S_ISDIR(st.st_mode))
		return push_directory(walk, path, entry);
	else
		fill_entry(entry, path, strlen(path) < MAX_PATH ? 0 : ENAMETOOLONG);
	return true;
}

/* Look at a name in the current directory: only regular files and directories count, symbolic links are not followed.
 * True if an entry was made. */
static bool visit_name(struct walk *walk, const char *name, struct entry *entry)
{
	const char *parent = walk->current->path;
	const char *slash = parent[strlen(parent) - 1] == '/' ? "" : "/";
	char path[MAX_PATH];
	struct stat st;

	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return false;
	if ((size_t)snprintf(path, sizeof path, "%s%s%s", parent, slash, name) >= sizeof path) {
		fill_entry(entry, path, ENAMETOOLONG);
		return true;
	}
	if (lstat(path, &st)) {
		fill_entry(entry, path, errno);
		return true;
	}
	if (S_ISDIR(st.st_mode))
		return push_directory(walk, path, entry);
	if (S_ISREG(st.st_mode))
		fill_entry(entry, path, 0);
	return S_ISREG(st.st_mode);
}

static void leave_directory(struct walk *walk)
{
	if (walk->dir)
		closedir(walk->dir);
	walk->dir = NULL;
	free(walk->current);
	walk->current = NULL;
}

/* Open the directory on top of the stack. True if an entry was made, because it cannot be opened. */
static bool enter_directory(struct walk *walk, struct entry *entry)
{
	walk->current = walk->pending;
	walk->pending = walk->current->next;
	walk->dir = opendir(walk->current->path);
	if (walk->dir)
		return false;
	fill_entry(entry, walk->current->path, errno);
	leave_directory(walk);
	return true;
}

/* Take the next name of the current directory. True if an entry was made. */
static bool read_directory(struct walk *walk, struct entry *entry)
{
	const struct dirent *found;
	int error;

	errno = 0;
	found = readdir(walk->dir);
	if (found)
		return visit_name(walk, found->d_name, entry);
	error = errno;
	if (error)
		fill_entry(entry, walk->current->path, error);
	leave_directory(walk);
	return error != 0;
}

/* The generator: walk on until there is something to hash, or to complain about. */
static int next_entry(void *const args[], void *state)
{
	struct walk *walk = state;
	struct entry *entry = args[0];
	bool found = false;

	while (!found) {
		if (walk->dir)
			found = read_directory(walk, entry);
		else if (walk->pending)
			found = enter_directory(walk, entry);
		else if (*walk->operands)
			found = visit_operand(walk, *walk->operands++, entry);
		else
			return MPPOOL_ESTOP;
	}
	return 0;
}

/* The library calls this once, when it will call next_entry() no more, wherever the walk has come to. */
static void finish_walk(void *state)
{
	struct walk *walk = state;

	leave_directory(walk);
	while (walk->pending) {
		walk->current = walk->pending;
		walk->pending = walk->current->next;
		leave_directory(walk);
	}
}

/* -------------------------------------------------------------------------------------------------------- the task */

struct hasher {                          /* each worker has one */
	EVP_MD_CTX *context;
	unsigned char buffer[BUFFER_SIZE];
};

static int create_hasher(void *initarg, void **ret_state)
{
	struct hasher *hasher = malloc(sizeof *hasher);

	(void)initarg;
	if (!hasher)
		return mppool_raise(ENOMEM, "no memory for a buffer");
	hasher->context = EVP_MD_CTX_new();
	if (!hasher->context) {
		free(hasher);
		return mppool_raise(ENOMEM, "no memory for a digest");
	}
	*ret_state = hasher;
	return 0;
}

static void destroy_hasher(void *initarg, void *state)
{
	struct hasher *hasher = state;

	(void)initarg;
	EVP_MD_CTX_free(hasher->context);
	free(hasher);
}

/* Returns 0 or an errno value. */
static int hash_fd(struct hasher *hasher, int fd, struct sum *sum)
{
	ssize_t n;

	if (!EVP_DigestInit_ex(hasher->context, EVP_sha256(), NULL))
		return EIO;
	while ((n = read(fd, hasher->buffer, sizeof hasher->buffer)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno;
		if (!EVP_DigestUpdate(hasher->context, hasher->buffer, (size_t)n))
			return EIO;
		sum->bytes += (uint64_t)n;
		if (mppool_should_stop())
			return ECANCELED;
	}
	return EVP_DigestFinal_ex(hasher->context, sum->digest, NULL) ? 0 : EIO;
}

/* One item. Written as the pool calls it, not as an ordinary function, so that no path is copied needlessly. */
static int hash_entry(const void *const args[], void *result, void *context)
{
	const struct entry *entry = args[0];
	struct sum *sum = result;
	int error = entry->error;

	(void)context;
	if (!error) {
		const int fd = open(entry->path, O_RDONLY | O_CLOEXEC);

		if (fd < 0) {
			error = errno;
		} else {
			sum->bytes = 0;
			error = hash_fd(mppool_worker_state(), fd, sum);
			close(fd);
		}
	}
	if (error)
		return mppool_raise(error, "%s: %s", entry->path, mppool_strerror(error));
	memcpy(sum->path, entry->path, sizeof sum->path);
	return 0;
}

static const struct mppool_func hash_task = {
	.size = sizeof(struct mppool_func),
	.call = hash_entry,
	.nargs = 1,
	.arg_size = {sizeof(struct entry)},
	.result_size = sizeof(struct sum),
	.name = "hash_entry",
};

/* -------------------------------------------------------------------------------------------------------- progress */

struct progress {
	bool shown;                      /* standard error is a terminal, and the sums do not go to one */
	uint64_t files;
	uint64_t bytes;
	double next;                     /* when to show it again */
};

static double seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void show_progress(struct progress *progress)
{
	if (!progress->shown || seconds() < progress->next)
		return;
	fprintf(stderr, "\r%" PRIu64 " files, %.1f MB", progress->files, (double)progress->bytes / 1e6);
	progress->next = seconds() + 0.1;
}

static void clear_progress(const struct progress *progress)
{
	if (progress->shown)
		fprintf(stderr, "\r%48s\r", "");
}

/* ------------------------------------------------------------------------------------------------- the main thread */

/* As sha256sum does: a backslash or an end of line in a name is escaped, and then the line begins with a backslash. */
static void print_sum(const struct sum *sum)
{
	const bool escape = strpbrk(sum->path, "\\\n\r") != NULL;

	if (escape)
		putchar('\\');
	for (int i = 0; i < DIGEST_SIZE; i++)
		printf("%02x", sum->digest[i]);
	fputs("  ", stdout);
	if (!escape)
		fputs(sum->path, stdout);
	for (const char *c = sum->path; escape && *c; c++) {
		if (*c == '\\')
			fputs("\\\\", stdout);
		else if (*c == '\n')
			fputs("\\n", stdout);
		else if (*c == '\r')
			fputs("\\r", stdout);
		else
			putchar(*c);
	}
	putchar('\n');
}

/* Take what is done until all is. Returns 0, or -1 if anything went wrong. */
static int print_all(mppool_iter *iter, struct progress *progress)
{
	static struct sum sum;
	int failed = 0;
	int code;

	while ((code = mppool_iter_next(iter, &sum, NULL, MPPOOL_FOREVER)) == 0 || code == MPPOOL_ETASK) {
		if (code == MPPOOL_ETASK) {
			clear_progress(progress);
			fprintf(stderr, "hashfiles: %s\n", mppool_last_error()->message);
			failed = -1;
			continue;
		}
		print_sum(&sum);
		if (ferror(stdout))
			break;
		progress->files++;
		progress->bytes += sum.bytes;
		show_progress(progress);
	}
	clear_progress(progress);
	if (code != 0 && code != MPPOOL_ESTOP) {
		fprintf(stderr, "hashfiles: %s\n", mppool_strerror(code));
		failed = -1;
	}
	if (fflush(stdout) || ferror(stdout)) {
		fputs("hashfiles: cannot write to standard output\n", stderr);
		failed = -1;
	}
	return failed;
}

static int hash_all(char **operands, int workers)
{
	struct walk walk = {.operands = operands};
	struct mppool_iterable entries = MPPOOL_ITERABLE_INIT;
	struct progress progress = {.shown = isatty(STDERR_FILENO) && !isatty(STDOUT_FILENO)};
	mppool *pool;
	mppool_iter *iter;
	int code;

	entries.next = next_entry;
	entries.finish = finish_walk;
	entries.state = &walk;
	code = mppool_create(MPPOOL_OPTIONS(.workers = workers, .initializer = create_hasher,
	                                    .finalizer = destroy_hasher, .name = "hashfiles"),
	                     &pool);
	if (code) {
		fprintf(stderr, "hashfiles: cannot start: %s\n",
		        code == MPPOOL_EBROKEN ? mppool_last_error()->message : mppool_strerror(code));
		return -1;
	}
	code = mppool_imap_unordered(pool, &hash_task, &entries, 1, 0, NULL, &iter);
	if (code) {
		fprintf(stderr, "hashfiles: mppool_imap_unordered: %s\n", mppool_strerror(code));
	} else {
		code = print_all(iter, &progress);
		mppool_iter_free(iter);
	}
	mppool_destroy(pool);
	return code ? -1 : 0;
}

static void usage(FILE *to)
{
	fputs("Usage: hashfiles [OPTION]... [FILE | DIRECTORY]...\n"
	      "Print the SHA-256 of each file, and of each file in each directory and below, in the format of\n"
	      "sha256sum and in no particular order. The default is the current directory.\n"
	      "\n"
	      "  -p WORKERS   worker threads; the default is one per CPU\n"
	      "  -h, --help   show this help\n"
	      "\n"
	      "The exit status is 1 if anything could not be read.\n",
	      to);
}

static int parse_workers(const char *text)
{
	char *end;
	const long value = strtol(text, &end, 10);

	if (end == text || *end || value < 1 || value > MAX_WORKERS) {
		fprintf(stderr, "hashfiles: -p takes a number from 1 to %d\n", MAX_WORKERS);
		exit(EXIT_USAGE);
	}
	return (int)value;
}

int main(int argc, char **argv)
{
	static const struct option long_options[] = {{"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
	static char here[] = ".";
	char *current_directory[] = {here, NULL};
	int workers = 0;
	int option;

	while ((option = getopt_long(argc, argv, "hp:", long_options, NULL)) != -1) {
		switch (option) {
		case 'p': workers = parse_workers(optarg); break;
		case 'h': usage(stdout); return fflush(stdout) ? EXIT_FAILURE : EXIT_SUCCESS;
		default: usage(stderr); return EXIT_USAGE;
		}
	}
	return hash_all(optind < argc ? argv + optind : current_directory, workers) ? EXIT_FAILURE : EXIT_SUCCESS;
}
