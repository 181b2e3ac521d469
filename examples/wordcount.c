/* wordcount.c - which words are in these files, and how often? Map and reduce.
 *
 * SPDX-License-Identifier: MIT
 *
 *     find /usr/share/doc -name copyright | ./wordcount -n 10
 *
 * The first map is over the files: each worker counts in a table of its own, which is its state, so that no word costs
 * a lock. Every table has the same 64 parts, by the words' hashes. The second map is over these parts: each task
 * merges one part of all tables, so that the reduction is parallel, too, and no two tasks meet. A word is a run of
 * letters a to z, of either case. */
#define _XOPEN_SOURCE 700
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <mppool.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PARTS = 64, PART_SHIFT = 26, BUFFER_SIZE = 64 * 1024, MAX_WORKERS = 4096, EXIT_USAGE = 2 };

struct word {
	char *text;                      /* NULL: a free slot */
	uint32_t hash;
	uint64_t count;
};

struct table {                           /* open addressing */
	struct word *slots;
	size_t size;                     /* 0 or a power of two */
	size_t used;
};

struct worker {                          /* the state of one worker */
	struct table parts[PARTS];
	char *letters;                   /* of the word that is being read */
	size_t room;
	unsigned char buffer[BUFFER_SIZE];
};

struct names {
	char **name;
	size_t n;
};

static void check(int code, const char *what)
{
	if (code) {
		fprintf(stderr, "wordcount: %s: %s\n", what, mppool_strerror(code));
		exit(EXIT_FAILURE);
	}
}

/* ------------------------------------------------------------------------------------------------------ the tables */

static uint32_t hash_of(const char *text, size_t len)
{
	uint32_t hash = 2166136261u;     /* FNV-1a */

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ (unsigned char)text[i]) * 16777619u;
	return hash;
}

static bool is_word(const struct word *word, const char *text, size_t len, uint32_t hash)
{
	return word->hash == hash && strncmp(word->text, text, len) == 0 && word->text[len] == '\0';
}

/* The word's slot, or the free one where it belongs. */
static struct word *find(const struct table *table, const char *text, size_t len, uint32_t hash)
{
	size_t i = hash & (table->size - 1);

	while (table->slots[i].text && !is_word(&table->slots[i], text, len, hash))
		i = (i + 1) & (table->size - 1);
	return &table->slots[i];
}

/* Room for one more word. Returns 0 or ENOMEM. */
static int make_room(struct table *table)
{
	struct table larger = {.size = table->size ? 2 * table->size : 64, .used = table->used};

	if (table->used < table->size / 2)
		return 0;
	larger.slots = calloc(larger.size, sizeof *larger.slots);
	if (!larger.slots)
		return ENOMEM;
	for (size_t i = 0; i < table->size; i++) {
		const struct word *word = &table->slots[i];

		if (word->text)
			*find(&larger, word->text, strlen(word->text), word->hash) = *word;
	}
	free(table->slots);
	*table = larger;
	return 0;
}

/* One more of the worker's word of so many letters. Returns 0 or ENOMEM. */
static int count_word(struct worker *worker, size_t len)
{
	const uint32_t hash = hash_of(worker->letters, len);
	struct table *part = &worker->parts[hash >> PART_SHIFT];
	struct word *word;

	if (make_room(part))
		return ENOMEM;
	word = find(part, worker->letters, len, hash);
	if (!word->text) {
		word->text = malloc(len + 1);
		if (!word->text)
			return ENOMEM;
		memcpy(word->text, worker->letters, len);
		word->text[len] = '\0';
		word->hash = hash;
		part->used++;
	}
	word->count++;
	return 0;
}

/* --------------------------------------------------------------------------------------------------------- the map */

static int set_up(void *initarg, void **ret_state)
{
	struct worker *workers = initarg;

	*ret_state = &workers[mppool_worker_index()];
	return 0;
}

static int add_letter(struct worker *worker, size_t len, int letter)
{
	if (len == worker->room) {
		const size_t room = len ? 2 * len : 64;
		char *letters = realloc(worker->letters, room);

		if (!letters)
			return ENOMEM;
		worker->letters = letters;
		worker->room = room;
	}
	worker->letters[len] = (char)letter;
	return 0;
}

/* Returns 0 or an errno value. */
static int count_fd(struct worker *worker, int fd)
{
	size_t len = 0;                  /* of the word that is being read: it may go on in the next buffer */
	ssize_t n;
	int code = 0;

	do {
		n = read(fd, worker->buffer, sizeof worker->buffer);
		for (ssize_t i = 0; i < n && code == 0; i++) {
			const int letter = worker->buffer[i] | 0x20;

			if (letter >= 'a' && letter <= 'z') {
				code = add_letter(worker, len++, letter);
			} else if (len) {
				code = count_word(worker, len);
				len = 0;
			}
		}
	} while (n > 0 && code == 0);
	if (n < 0)
		return errno;
	return code == 0 && len ? count_word(worker, len) : code;
}

static int count_file(const char *name)
{
	const int fd = open(name, O_RDONLY | O_CLOEXEC);
	int code;

	if (fd < 0)
		return mppool_raise(errno, "cannot be opened");
	code = count_fd(mppool_worker_state(), fd);
	close(fd);
	return code ? mppool_raise(code, "cannot be read") : 0;
}
MPPOOL_FUNC(count_task, int, count_file, const char *);

/* Complains of every file that could not be read. Returns how many. */
static size_t count_files(mppool *pool, const struct names *names)
{
	int *codes = calloc(names->n + 1, sizeof *codes);
	size_t failed = 0;
	mppool_result *result;

	check(codes ? 0 : ENOMEM, "counting");
	check(count_task_map_async(pool, (const char *const *)names->name, names->n, NULL, 1,
	                           MPPOOL_CALL(.codes = codes), &result),
	      "mppool_map_async");
	check(mppool_result_wait(result, MPPOOL_FOREVER), "mppool_result_wait");
	mppool_result_free(result);
	for (size_t i = 0; i < names->n; i++)
		if (codes[i]) {
			fprintf(stderr, "wordcount: %s: %s\n", names->name[i], mppool_strerror(codes[i]));
			failed++;
		}
	free(codes);
	return failed;
}

/* ------------------------------------------------------------------------------------------------------ the reduce */

/* Merge one part of all workers' tables into that of the first. */
static void merge_part(struct worker *workers, int nworkers, int part)
{
	struct table *all = &workers[0].parts[part];

	for (int i = 1; i < nworkers; i++) {
		struct table *table = &workers[i].parts[part];

		for (size_t j = 0; j < table->size; j++) {
			struct word *word = &table->slots[j], *same;

			if (!word->text)
				continue;
			if (make_room(all)) {
				mppool_raise(ENOMEM, "no memory to merge");
				return;
			}
			same = find(all, word->text, strlen(word->text), word->hash);
			if (same->text) {
				same->count += word->count;
				free(word->text);
			} else {
				*same = *word;
				all->used++;
			}
			word->text = NULL;
		}
	}
}
MPPOOL_PROC(merge_task, merge_part, struct worker *, int, int);

static void merge(mppool *pool, struct worker *workers, int nworkers)
{
	int parts[PARTS];

	for (int i = 0; i < PARTS; i++)
		parts[i] = i;
	check(mppool_starmap(pool, &merge_task,
	                     MPPOOL_ZIP(PARTS, MPPOOL_REPEAT(&workers), MPPOOL_REPEAT(&nworkers),
	                                MPPOOL_COLUMN(parts)),
	                     NULL, 1),
	      "mppool_starmap");
}

/* --------------------------------------------------------------------------------------------------------- the end */

/* The most frequent first; of equally frequent ones by the alphabet. */
static int compare(const void *a, const void *b)
{
	const struct word *first = a, *second = b;

	if (first->count != second->count)
		return first->count < second->count ? 1 : -1;
	return strcmp(first->text, second->text);
}

static void print_words(const struct worker *all, size_t most)
{
	struct word *words;
	size_t n = 0;

	for (int part = 0; part < PARTS; part++)
		n += all->parts[part].used;
	words = calloc(n + 1, sizeof *words);
	check(words ? 0 : ENOMEM, "sorting");
	n = 0;
	for (int part = 0; part < PARTS; part++)
		for (size_t i = 0; i < all->parts[part].size; i++)
			if (all->parts[part].slots[i].text)
				words[n++] = all->parts[part].slots[i];
	qsort(words, n, sizeof *words, compare);
	for (size_t i = 0; i < n && i < most; i++)
		printf("%ju %s\n", (uintmax_t)words[i].count, words[i].text);
	free(words);
}

static void free_workers(struct worker *workers, int nworkers)
{
	for (int i = 0; i < nworkers; i++) {
		for (int part = 0; part < PARTS; part++) {
			struct table *table = &workers[i].parts[part];

			for (size_t j = 0; j < table->size; j++)
				free(table->slots[j].text);
			free(table->slots);
		}
		free(workers[i].letters);
	}
	free(workers);
}

static size_t count_and_print(const struct names *names, int nworkers, size_t most)
{
	struct worker *workers = calloc((size_t)nworkers, sizeof *workers);
	mppool *pool;
	size_t failed;

	check(workers ? 0 : ENOMEM, "starting");
	check(mppool_create(MPPOOL_OPTIONS(.workers = nworkers, .initializer = set_up, .initarg = workers,
	                                   .name = "wordcount"),
	                    &pool),
	      "mppool_create");
	failed = count_files(pool, names);
	merge(pool, workers, nworkers);
	check(mppool_destroy(pool), "mppool_destroy");
	print_words(workers, most);
	free_workers(workers, nworkers);
	check(fflush(stdout) || ferror(stdout) ? EIO : 0, "standard output");
	return failed;
}

/* One name a line of standard input, to be freed. */
static struct names read_names(void)
{
	struct names names = {NULL, 0};
	char *line = NULL;
	size_t size = 0;
	ssize_t len;

	while ((len = getline(&line, &size, stdin)) > 0) {
		char **more = realloc(names.name, (names.n + 1) * sizeof *more);

		check(more ? 0 : ENOMEM, "standard input");
		line[strcspn(line, "\n")] = '\0';
		names.name = more;
		names.name[names.n++] = line;
		line = NULL;
		size = 0;
	}
	free(line);
	check(ferror(stdin) ? EIO : 0, "standard input");
	return names;
}

static void usage(FILE *to)
{
	fputs("Usage: wordcount [OPTION]... [FILE]...\n"
	      "Print how often each word is in the files, the most frequent first. Without a FILE, the names of\n"
	      "the files are read from standard input, one a line.\n"
	      "\n"
	      "  -n COUNT     only so many words\n"
	      "  -p WORKERS   worker threads; the default is one per CPU\n"
	      "  -h, --help   show this help\n",
	      to);
}

static long parse_number(int option, const char *text, long max)
{
	char *end;
	const long value = strtol(text, &end, 10);

	if (end == text || *end || value < 1 || value > max) {
		fprintf(stderr, "wordcount: -%c takes a number from 1 to %ld\n", option, max);
		exit(EXIT_USAGE);
	}
	return value;
}

int main(int argc, char **argv)
{
	static const struct option long_options[] = {{"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
	struct names names;
	int nworkers = mppool_cpu_count();
	size_t most = SIZE_MAX, failed;
	int option;

	while ((option = getopt_long(argc, argv, "hn:p:", long_options, NULL)) != -1) {
		switch (option) {
		case 'n': most = (size_t)parse_number('n', optarg, 1000000000); break;
		case 'p': nworkers = (int)parse_number('p', optarg, MAX_WORKERS); break;
		case 'h': usage(stdout); return fflush(stdout) ? EXIT_FAILURE : EXIT_SUCCESS;
		default: usage(stderr); return EXIT_USAGE;
		}
	}
	if (optind < argc) {
		names = (struct names){argv + optind, (size_t)(argc - optind)};
		return count_and_print(&names, nworkers, most) ? EXIT_FAILURE : EXIT_SUCCESS;
	}
	names = read_names();
	failed = count_and_print(&names, nworkers, most);
	for (size_t i = 0; i < names.n; i++)
		free(names.name[i]);
	free(names.name);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
