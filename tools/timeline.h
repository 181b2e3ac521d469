/* timeline.h - what mppool-timeline knows of a trace, between reading it and drawing it
 *
 * SPDX-License-Identifier: MIT */
#ifndef MPPOOL_TOOLS_TIMELINE_H
#define MPPOOL_TOOLS_TIMELINE_H

#include <stdbool.h>
#include <stddef.h>

/* Times are in microseconds. Indexes are into the arrays of struct trace. */
struct span {
	double start, end;
	double busy;                     /* of which so much was spent in functions; the rest between merged calls */
	double self;                     /* busy without what was inside of it */
	double items, calls;
	size_t row, function;
	unsigned depth;                  /* inside of so many others */
	bool wait;
};

struct row {
	long pid, tid;
	char *name;                      /* NULL: it has none */
	double order;
	size_t pool;
	size_t spans;
	double busy;                     /* in functions, waits inside of them not counted */
};

struct pool {
	long pid;
	char *name;
	double order;
	double start, end;               /* of all that happened */
	double longest_queue;
};

struct sample {                          /* of the length of a queue */
	double at, value;
	size_t pool;
};

struct function {
	char *name;                      /* "callback f" and "draw f" are others than f */
	double self;
	int colour;
	bool wait;
};

struct table {                           /* places: 0, or the index of an element plus 1 */
	size_t *places;
	size_t size;
};

struct trace {
	struct span *spans;
	struct row *rows;
	struct pool *pools;
	struct sample *samples;
	struct function *functions;
	size_t nspans, nrows, npools, nsamples, nfunctions;
	size_t spans_room, rows_room, pools_room, samples_room, functions_room;
	double start, end;
	struct table by_name, by_pid, by_ids;    /* reader.c: functions, pools, rows */
	size_t last_row;                 /* reader.c: most events are of the same row as the one before */
};

/* Another element, zeroed; ends the program if there is no memory. */
void *grow(void *array, size_t *n, size_t *room, size_t size);
void *allocate(size_t size);
void fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/* reader.c: fills the trace from `size` bytes of JSON with a zero behind them. Ends the program with a message if they
 * are no trace. `name` is for messages. */
void read_trace(struct trace *trace, const char *name, const char *text, size_t size);

/* layout.c: puts all in order: rows by pool, spans by row and time, and finds depths, times and colours. */
void arrange(struct trace *trace);

/* svg.c: writes the picture to standard output. */
void draw(const struct trace *trace, const char *title, int width);

#endif
