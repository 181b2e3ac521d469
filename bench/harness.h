/* harness.h - what all programs of the benchmark share: arguments, clocks, samples, output
 *
 * SPDX-License-Identifier: MIT
 *
 * A program has a table of works and calls bench_main(). bench/README has the convention for arguments and output.
 * A work prepares, measures between bench_start() and bench_stop(), checks what came out, and reports the sample:
 *
 *	for (b->rep = 0; b->rep < b->reps; b->rep++) {
 *		bench_start(b);
 *		...
 *		bench_stop(b);
 *		bench_report(b, b->n, sum == expected);
 *	}
 *
 * C and C++. */
#ifndef BENCH_HARNESS_H
#define BENCH_HARNESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <time.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One work under way. A work reads the first group; the others belong to the harness. */
struct bench {
	const char *peer, *work, *variant;
	long n;                  /* items, or what else the work counts */
	int workers;
	int reps, rep;           /* repetition 0 is a warm-up where there are several */
	long param;              /* of a sweep: the value now measured; -1: all of them */
	double seconds;          /* from bench_start() to bench_stop() */

	double began;
	struct rusage before, used;
	char notes[1024];        /* members of the object "extra" */
	size_t notes_len;
};

struct bench_work {
	const char *name, *variant;
	void (*run)(struct bench *b);
	const char *why_not;     /* where run is NULL: what keeps this peer from it */
};

/* The table ends with a name that is NULL. */
int bench_main(int argc, char **argv, const char *peer, const struct bench_work *works);

void bench_start(struct bench *b);
void bench_stop(struct bench *b);

/* Adds "key":value to what the next report says in "extra". */
void bench_note(struct bench *b, const char *key, double value);
void bench_note_text(struct bench *b, const char *key, const char *value);

/* Prints the sample. The tables compare the value; for bench_report() it is nanoseconds per item. */
void bench_report(struct bench *b, long items, bool ok);
void bench_report_value(struct bench *b, long items, double value, const char *unit, bool ok);
void bench_report_unsupported(struct bench *b, const char *why);

/* From here to bench_guard_end() the peer may deadlock. If it does, the program says so, with the reason, and ends. */
void bench_guard(struct bench *b, unsigned seconds, const char *why);
void bench_guard_end(void);

double bench_now(void);                  /* seconds, monotonic */
int bench_cpus(void);                    /* that this process may use */
void bench_nap(long microseconds);
void bench_fail(const char *what, int code) __attribute__((noreturn));
void *bench_alloc(size_t count, size_t size);    /* zeroed, and touched so that no page fault is timed */

/* ------------------------------------------------------------------------------------------------------------ hits */

/* Counts what ran, without a cache line that threads share. The sums may be read when nothing runs. */
struct bench_cell {
	unsigned long hits;
	struct bench_cell *next;
	char apart[128 - sizeof(unsigned long) - sizeof(void *)];
};
extern __thread struct bench_cell *bench_cell;
struct bench_cell *bench_cell_make(void);

static inline void bench_hit(void)
{
	struct bench_cell *cell = bench_cell;

	if (__builtin_expect(!cell, 0))
		cell = bench_cell_make();
	cell->hits++;
}

unsigned long bench_hits(void);          /* by all threads so far */
unsigned long bench_hits_here(void);     /* by the calling thread */

#ifdef __cplusplus
}
#endif
#endif
