/* csv_buffers.c - read a hundred CSV files, which are buffers in memory here, in eight threads.
 *
 * SPDX-License-Identifier: MIT
 *
 * Python's threads read one buffer at a time, however many CPUs there are; these read eight. A result is a struct, as
 * it is a tuple in Python, and a malformed line is a failure that says where it is. */
#define _XOPEN_SOURCE 700
#include <errno.h>
#include <mppool.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BUFFERS = 100, BUFFER_SIZE = 4096 };

struct report {
	long rows;
	long pieces;
	long pence;
};

/* The next field of the line at *at, which is moved behind it; NULL if there is none, or a quote is missing. The end
 * of the field is marked in place: no two tasks have the same buffer. */
static char *take_field(char **at)
{
	const bool quoted = **at == '"';
	char *field = *at + quoted;
	char *end = field + strcspn(field, quoted ? "\"" : ",");

	if (!**at || (quoted && !*end))
		return NULL;
	*at = end + quoted + (end[quoted] == ',');
	*end = '\0';
	return field;
}

/* Rows, pieces and turnover of one report. */
static struct report load(char *text)
{
	struct report report = {0};
	char *line = strtok_r(text, "\n", &text);       /* the names of the columns */

	while ((line = strtok_r(NULL, "\n", &text)) != NULL) {
		const char *item = take_field(&line);
		const char *count = item ? take_field(&line) : NULL;
		const char *pence = count ? take_field(&line) : NULL;

		if (!pence) {
			mppool_raise(EINVAL, "row %ld is malformed", report.rows);
			break;
		}
		report.rows++;
		report.pieces += atol(count);
		report.pence += atol(count) * atol(pence);
	}
	return report;
}
MPPOOL_FUNC(load_task, struct report, load, char *);

static void check(int code, const char *what)
{
	if (code) {
		fprintf(stderr, "%s: %s\n", what, mppool_strerror(code));
		exit(EXIT_FAILURE);
	}
}

/* One of a hundred reports of a shop: what was sold, how often, and for how many pence. */
static void make_buffer(int number, char *text)
{
	char *at = text + sprintf(text, "item,count,pence\n");

	for (int row = 0; row < 100 + number % 7; row++)
		at += sprintf(at, "\"item %d, size %d\",%d,%d\n", row, row % 3, (number + row) % 10, 199 + row);
}

int main(void)
{
	static char texts[BUFFERS][BUFFER_SIZE];
	char *buffers[BUFFERS];
	struct report reports[BUFFERS], all = {0};
	mppool *pool;

	for (int i = 0; i < BUFFERS; i++) {
		make_buffer(i, texts[i]);
		buffers[i] = texts[i];
	}
	check(mppool_create(MPPOOL_OPTIONS(.workers = 8), &pool), "mppool_create");
	check(load_task_map(pool, buffers, BUFFERS, reports, 0), "mppool_map");
	check(mppool_destroy(pool), "mppool_destroy");

	for (int i = 0; i < BUFFERS; i++) {
		if (i % 25 == 0)
			printf("report %d: %ld rows, %ld pieces, %ld pence\n", i, reports[i].rows, reports[i].pieces,
			       reports[i].pence);
		all.rows += reports[i].rows;
		all.pieces += reports[i].pieces;
		all.pence += reports[i].pence;
	}
	printf("all: %ld rows, %ld pieces, %ld pence\n", all.rows, all.pieces, all.pence);
	check(fflush(stdout) || ferror(stdout) ? EIO : 0, "standard output");
	return EXIT_SUCCESS;
}
