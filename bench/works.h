/* works.h - the inputs of the works, their tasks, and what must come out
 *
 * SPDX-License-Identifier: MIT
 *
 * What is the same for every peer: all do the same work, and are checked by the same sums. C and C++. */
#ifndef BENCH_WORKS_H
#define BENCH_WORKS_H

#include "harness.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
	BENCH_PRODUCERS = 4,             /* threads that submit in multi_producer */
	BENCH_WINDOW = 1024,             /* items in flight in the streams */
	BENCH_STREAM_STEPS = 24,         /* some 50 ns alone, 30 where the CPU overlaps neighbours */
	BENCH_NAP = 100000,              /* microseconds that a blocking task sleeps */
	BENCH_WARM_UP = 1000             /* tasks that every worker has had before the short works start */
};

/* ----------------------------------------------------------------------------------------------------------- tasks */

/* One multiplication and two shifts: a nanosecond or two. */
static inline uint64_t bench_hash(uint64_t x)
{
	x = (x ^ (x >> 31)) * UINT64_C(0xD6E8FEB86659FD93);
	return x ^ (x >> 30);
}

/* Work of any length: each step needs the one before, and the compiler can leave none out. */
static inline uint64_t bench_spin(uint64_t x, long steps)
{
	while (steps-- > 0) {
		x = bench_hash(x + (uint64_t)steps);
		__asm__ volatile("" : "+r"(x));
	}
	return x;
}

static inline uint64_t bench_stream_task(uint64_t x)
{
	return bench_spin(x, BENCH_STREAM_STEPS);
}

/* ----------------------------------------------------------------------------------------------------------- map_* */

struct bench_arrays {
	uint64_t *x, *y;                 /* y[i] = bench_hash(x[i]) */
	long n;
	uint64_t expected;
};

void bench_arrays_make(struct bench_arrays *a, long n);
void bench_arrays_free(struct bench_arrays *a);
bool bench_arrays_check(struct bench_arrays *a);         /* and clears y, for the next repetition */

/* -------------------------------------------------------------------------------------------------------- submit_* */

static inline uint64_t bench_sum_below(long n)
{
	return (uint64_t)n * (uint64_t)(n - 1) / 2;
}

/* --------------------------------------------------------------------------------------------------- apply_latency */

struct bench_latency {
	uint32_t *ns;                    /* one per call */
	long n, next;
	double last;
	unsigned long hits, hits_here;
	int hits_per_call;               /* more than 1 where a call is a fork and join of several threads */
};

/* Start and stop are in begin and report; the task must call bench_hit(), so that it is known which thread ran it. */
void bench_latency_begin(struct bench_latency *l, struct bench *b);
void bench_latency_report(struct bench_latency *l, struct bench *b, bool ok);

static inline void bench_latency_add(struct bench_latency *l)
{
	double now = bench_now();

	l->ns[l->next++] = (uint32_t)((now - l->last) * 1e9);
	l->last = now;
}

/* -------------------------------------------------------------------------------------------------- multi_producer */

/* Calls produce(work, index) in BENCH_PRODUCERS threads at once, and times it. The threads are there before. */
void bench_producers(struct bench *b, void (*produce)(void *work, int index), void *work);

/* -------------------------------------------------------------------------------------------------------- stream_* */

static inline uint64_t bench_fold(bool ordered, uint64_t sum, uint64_t result)
{
	return ordered ? sum * 31 + result : sum + result;
}

uint64_t bench_stream_expected(long n, bool ordered);

/* -------------------------------------------------------------------------------------------------------- blocking */

void bench_report_blocking(struct bench *b, bool ok);
void bench_report_cycles(struct bench *b, bool ok);      /* create_destroy */

/* ---------------------------------------------------------------------------------------------------------- skewed */

/* Tasks whose lengths have a Pareto distribution, about a second in all; the variant "sorted" has the
 * shortest first. */
struct bench_skew {
	long *steps;
	uint64_t *results;               /* results[i] = bench_spin(i, steps[i]) */
	long n;
	uint64_t expected;
	double serial;                   /* seconds, by the caller alone */
};

void bench_skew_make(struct bench_skew *s, struct bench *b);
void bench_skew_report(struct bench_skew *s, struct bench *b);

static inline uint64_t bench_skew_task(const struct bench_skew *s, long i)
{
	return bench_spin((uint64_t)i, s->steps[i]);
}

/* ---------------------------------------------------------------------------------------------------------- nested */

long bench_fib(long n);
void bench_report_nested(struct bench *b, bool ok);      /* b->n is fib's argument */

/* ---------------------------------------------------------------------------------------------------- memory, idle */

size_t bench_resident(void);             /* bytes of this process in memory */
int bench_other_threads(void);           /* of this process, without the first; 0 if the system does not say */
void bench_report_memory(struct bench *b, size_t before, size_t with_tasks, bool ok);
void bench_idle(struct bench *b, bool ok);       /* right after work; the pool is to stay idle */

/* ---------------------------------------------------------------------------------------------------------- sweeps */

/* Runs measure(b) for every value of b->param, or for the one that the command line names. */
void bench_sweep(struct bench *b, const long *values, size_t n, void (*measure)(struct bench *b));
void bench_sweep_lengths(struct bench *b, void (*measure)(struct bench *b));     /* task_length, ns: 10 to 1000000 */
void bench_sweep_workers(struct bench *b, void (*measure)(struct bench *b));     /* workers: 1 to 64 */

/* n equal tasks: bench_spin(seed, steps), counted by bench_hit(). */
struct bench_grain {
	long n, steps;
	double serial;                   /* seconds that all take one CPU */
	unsigned long hits;
};

extern long bench_grain_steps;           /* of the sweep's tasks, for those that take no argument */

void bench_grain_task(void);
void bench_grain_make(struct bench_grain *g, struct bench *b);   /* length: b->param, or 1000 ns in "workers" */
void bench_grain_report(struct bench_grain *g, struct bench *b);

#ifdef __cplusplus
}
#endif
#endif
