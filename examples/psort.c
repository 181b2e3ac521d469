/* psort.c - sort lines, as sort(1) does in the C locale: tasks that call their own pool.
 *
 * SPDX-License-Identifier: MIT
 *
 *     ./psort names >sorted
 *
 * A merge sort: a task hands one half to the pool, sorts the other half itself, waits for the first, and merges. While
 * it waits, it runs what it waits for if no other worker has begun it: so tasks that wait for tasks cannot use up the
 * workers, be there ever so few. What is small is sorted by qsort(3). */
#define _XOPEN_SOURCE 700
#include <errno.h>
#include <getopt.h>
#include <mppool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SMALL = 4096, MAX_WORKERS = 4096, EXIT_USAGE = 2 };

struct line {
	const char *text;
	size_t len;                      /* without the newline */
};

static void check(int code, const char *what)
{
	if (code) {
		fprintf(stderr, "psort: %s: %s\n", what, mppool_strerror(code));
		exit(EXIT_FAILURE);
	}
}

static int compare(const void *a, const void *b)
{
	const struct line *first = a, *second = b;
	const int order = memcmp(first->text, second->text, first->len < second->len ? first->len : second->len);

	return order ? order : (first->len > second->len) - (first->len < second->len);
}

/* spare gets what is in the two sorted halves of lines, in order; then it is copied back. */
static void merge(struct line *lines, struct line *spare, size_t half, size_t n)
{
	size_t left = 0, right = half;

	for (size_t i = 0; i < n; i++)
		if (right == n || (left < half && compare(&lines[left], &lines[right]) <= 0))
			spare[i] = lines[left++];
		else
			spare[i] = lines[right++];
	memcpy(lines, spare, n * sizeof *lines);
}

static void sort(struct line *lines, struct line *spare, size_t n);
MPPOOL_PROC(sort_task, sort, struct line *, struct line *, size_t);

/* The task. A half that the pool does not take, for want of memory, is sorted here as well. */
static void sort(struct line *lines, struct line *spare, size_t n)
{
	const size_t half = n / 2, rest = n - half;
	struct line *right = lines + half, *right_spare = spare + half;
	mppool_result *result;

	if (n <= SMALL) {
		qsort(lines, n, sizeof *lines, compare);
		return;
	}
	if (sort_task_apply_async(mppool_current(), right, right_spare, rest, NULL, &result)) {
		sort(right, right_spare, rest);
		result = NULL;
	}
	sort(lines, spare, half);
	if (result) {
		const int code = mppool_result_get(result, NULL, MPPOOL_FOREVER);

		mppool_result_free(result);
		if (code) {
			mppool_raise(code, "the other half is not sorted");
			return;
		}
	}
	merge(lines, spare, half, n);
}

/* ------------------------------------------------------------------------------------------------ input and output */

struct text {
	char *bytes;
	size_t len;
	size_t room;
};

static void *must_have(void *memory)
{
	check(memory ? 0 : ENOMEM, "reading");
	return memory;
}

/* Appends a file; its last line gets a newline if it has none. */
static void append(struct text *text, const char *name, FILE *file)
{
	size_t n;

	do {
		if (text->room - text->len < BUFSIZ) {
			text->room = 2 * text->room + 2 * BUFSIZ;
			text->bytes = must_have(realloc(text->bytes, text->room));
		}
		n = fread(text->bytes + text->len, 1, text->room - text->len - 1, file);
		text->len += n;
	} while (n > 0);
	check(ferror(file) ? errno : 0, name);
	if (text->len && text->bytes[text->len - 1] != '\n')
		text->bytes[text->len++] = '\n';
}

static struct line *split(const struct text *text, size_t *ret_n)
{
	struct line *lines;
	size_t n = 0;

	for (size_t i = 0; i < text->len; i++)
		n += text->bytes[i] == '\n';
	lines = must_have(malloc((n + 1) * sizeof *lines));
	*ret_n = n;
	n = 0;
	for (const char *at = text->bytes; n < *ret_n; n++) {
		const char *end = memchr(at, '\n', (size_t)(text->bytes + text->len - at));

		lines[n] = (struct line){at, (size_t)(end - at)};
		at = end + 1;
	}
	return lines;
}

static void sort_and_print(const struct text *text, int workers)
{
	size_t n;
	struct line *lines = split(text, &n);
	struct line *spare = must_have(malloc((n + 1) * sizeof *spare));
	mppool *pool;

	check(mppool_create(MPPOOL_OPTIONS(.workers = workers, .name = "psort"), &pool), "mppool_create");
	check(sort_task_apply(pool, lines, spare, n), "mppool_apply");
	check(mppool_destroy(pool), "mppool_destroy");
	for (size_t i = 0; i < n; i++)
		fwrite(lines[i].text, 1, lines[i].len + 1, stdout);
	check(fflush(stdout) || ferror(stdout) ? EIO : 0, "standard output");
	free(spare);
	free(lines);
}

static void usage(FILE *to)
{
	fputs("Usage: psort [OPTION]... [FILE]...\n"
	      "Sort the lines of the files, or of standard input, by their bytes.\n"
	      "\n"
	      "  -p WORKERS   worker threads; the default is one per CPU\n"
	      "  -h, --help   show this help\n",
	      to);
}

static int parse_workers(const char *text)
{
	char *end;
	const long value = strtol(text, &end, 10);

	if (end == text || *end || value < 1 || value > MAX_WORKERS) {
		fprintf(stderr, "psort: -p takes a number from 1 to %d\n", MAX_WORKERS);
		exit(EXIT_USAGE);
	}
	return (int)value;
}

int main(int argc, char **argv)
{
	static const struct option long_options[] = {{"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
	struct text text = {NULL, 0, 0};
	int workers = 0;
	int option;

	while ((option = getopt_long(argc, argv, "hp:", long_options, NULL)) != -1) {
		switch (option) {
		case 'p': workers = parse_workers(optarg); break;
		case 'h': usage(stdout); return fflush(stdout) ? EXIT_FAILURE : EXIT_SUCCESS;
		default: usage(stderr); return EXIT_USAGE;
		}
	}
	if (optind == argc)
		append(&text, "standard input", stdin);
	for (; optind < argc; optind++) {
		FILE *file = fopen(argv[optind], "r");

		check(file ? 0 : errno, argv[optind]);
		append(&text, argv[optind], file);
		fclose(file);
	}
	sort_and_print(&text, workers);
	free(text.bytes);
	return EXIT_SUCCESS;
}
