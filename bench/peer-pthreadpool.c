/* peer-pthreadpool.c - pthreadpool: parallel loops, the caller one of the threads
 *
 * SPDX-License-Identifier: MIT */
#include "works.h"

#include <pthreadpool.h>
#include <stdlib.h>
#include <string.h>

static pthreadpool_t create(const struct bench *b)
{
	pthreadpool_t pool = pthreadpool_create((size_t)b->workers);

	if (!pool)
		bench_fail("pthreadpool_create", 0);
	return pool;
}

static void hit(void *context, size_t i)
{
	(void)context, (void)i;
	bench_hit();
}

static void warm_up(pthreadpool_t pool)
{
	pthreadpool_parallelize_1d(pool, hit, NULL, BENCH_WARM_UP, 0);
}

static void map_element(void *context, size_t i)
{
	struct bench_arrays *a = context;

	a->y[i] = bench_hash(a->x[i]);
}

static void map_tile(void *context, size_t first, size_t count)
{
	struct bench_arrays *a = context;

	for (size_t i = first; i < first + count; i++)
		a->y[i] = bench_hash(a->x[i]);
}

static void map(struct bench *b)
{
	bool tiled = strcmp(b->work, "map_tiny") == 0 && !*b->variant;
	pthreadpool_t pool = create(b);
	struct bench_arrays a;

	bench_arrays_make(&a, b->n);
	for (b->rep = 0; b->rep < b->reps; b->rep++) {
		bench_start(b);
		if (tiled)
			pthreadpool_parallelize_1d_tile_1d(pool, map_tile, &a, (size_t)a.n,
			                                   (size_t)(a.n / (4 * b->workers) + 1), 0);
		else
			pthreadpool_parallelize_1d(pool, map_element, &a, (size_t)a.n, 0);
		bench_stop(b);
		bench_note_text(b, "how", tiled ? "4 tiles per worker" : "item by item");
		bench_report(b, a.n, bench_arrays_check(&a));
	}
	pthreadpool_destroy(pool);
	bench_arrays_free(&a);
}

static void loop_of_empty_calls(struct bench *b)
{
	pthreadpool_t pool = create(b);

	warm_up(pool);
	for (b->rep = 0; b->rep < b->reps; b->rep++) {
		unsigned long before = bench_hits();

		bench_start(b);
		pthreadpool_parallelize_1d(pool, hit, NULL, (size_t)b->n, 0);
		bench_stop(b);
		bench_note_text(b, "how", "one loop of empty calls: nothing is submitted singly");
		bench_report(b, b->n, bench_hits() - before == (unsigned long)b->n);
	}
	pthreadpool_destroy(pool);
}

/* A loop of as many items as there are threads. */
static void fork_and_join(struct bench *b)
{
	pthreadpool_t pool = create(b);
	struct bench_latency latency;

	warm_up(pool);
	bench_latency_begin(&latency, b);
	for (long i = 0; i < b->n; i++) {
		pthreadpool_parallelize_1d(pool, hit, NULL, (size_t)b->workers, 0);
		bench_latency_add(&latency);
	}
	latency.hits_per_call = b->workers;
	bench_latency_report(&latency, b, true);
	pthreadpool_destroy(pool);
}

static void nap(void *context, size_t i)
{
	bench_nap(BENCH_NAP);
	hit(context, i);
}

static void blocking(struct bench *b)
{
	unsigned long before = bench_hits();

	bench_start(b);
	pthreadpool_t pool = create(b);

	pthreadpool_parallelize_1d(pool, nap, NULL, (size_t)b->n, 0);
	pthreadpool_destroy(pool);
	bench_stop(b);
	bench_report_blocking(b, bench_hits() - before == (unsigned long)b->n);
}

static void create_destroy(struct bench *b)
{
	unsigned long before = bench_hits();

	bench_start(b);
	for (long i = 0; i < b->n; i++) {
		pthreadpool_t pool = create(b);

		pthreadpool_parallelize_1d(pool, hit, NULL, 1, 0);
		pthreadpool_destroy(pool);
	}
	bench_stop(b);
	bench_note_text(b, "how", "the caller is one of the threads, and runs the task");
	bench_report_cycles(b, bench_hits() - before == (unsigned long)b->n);
}

static void skewed_item(void *context, size_t i)
{
	struct bench_skew *skew = context;

	skew->results[i] = bench_skew_task(skew, (long)i);
}

static void skewed(struct bench *b)
{
	pthreadpool_t pool = create(b);
	struct bench_skew skew;

	bench_skew_make(&skew, b);
	bench_start(b);
	pthreadpool_parallelize_1d(pool, skewed_item, &skew, (size_t)skew.n, 0);
	bench_stop(b);
	bench_skew_report(&skew, b);
	pthreadpool_destroy(pool);
}

static void idle(struct bench *b)
{
	pthreadpool_t pool = create(b);
	unsigned long before = bench_hits();

	warm_up(pool);
	bench_idle(b, bench_hits() - before == BENCH_WARM_UP);
	pthreadpool_destroy(pool);
}

static void grain_item(void *context, size_t i)
{
	(void)context, (void)i;
	bench_grain_task();
}

static void measure_grain(struct bench *b)
{
	struct bench_grain grain;

	bench_grain_make(&grain, b);
	pthreadpool_t pool = create(b);

	bench_start(b);
	pthreadpool_parallelize_1d(pool, grain_item, NULL, (size_t)grain.n, 0);
	bench_stop(b);
	bench_grain_report(&grain, b);
	pthreadpool_destroy(pool);
}

static void task_length(struct bench *b)
{
	bench_sweep_lengths(b, measure_grain);
}

static void workers(struct bench *b)
{
	bench_sweep_workers(b, measure_grain);
}

int main(int argc, char **argv)
{
	static const char loops_only[] = "parallel loops only: single tasks cannot be submitted";
	static const struct bench_work works[] = {
		{"map_tiny", "", map, NULL},
		{"map_tiny", "untiled", map, NULL},
		{"map_chunk1", "", map, NULL},
		{"submit_get", "", NULL, loops_only},
		{"submit_wait_all", "map", loop_of_empty_calls, NULL},
		{"apply_latency", "fork-join", fork_and_join, NULL},
		{"multi_producer", "", NULL, loops_only},
		{"stream_ordered", "", NULL, loops_only},
		{"stream_unordered", "", NULL, loops_only},
		{"blocking", "", blocking, NULL},
		{"blocking4k", "", blocking, NULL},
		{"create_destroy", "", create_destroy, NULL},
		{"skewed", "", skewed, NULL},
		{"skewed", "sorted", skewed, NULL},
		{"nested", "", NULL, loops_only},
		{"memory", "", NULL, loops_only},
		{"idle", "", idle, NULL},
		{"task_length", "map", task_length, NULL},
		{"workers", "map", workers, NULL},
		{NULL, NULL, NULL, NULL},
	};

	return bench_main(argc, argv, "pthreadpool", works);
}
