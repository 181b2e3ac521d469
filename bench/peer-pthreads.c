/* peer-pthreads.c - bare POSIX threads, written by hand for each work, with nothing to spare
 *
 * SPDX-License-Identifier: MIT
 *
 * A limit rather than a peer: what threads, an atomic counter and a hand-over cost by themselves. */
#define _GNU_SOURCE
#include "peer.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* Runs function(index) in n threads that are made for it, and waits for them. */
static void in_threads(long n, void *(*function)(void *index))
{
	pthread_t *threads = malloc((size_t)n * sizeof *threads);
	int code = 0;

	for (long i = 0; i < n; i++)
		if ((code = pthread_create(&threads[i], NULL, function, (void *)(uintptr_t)i)))
			bench_fail("pthread_create", code);
	for (long i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
	free(threads);
}

/* ----------------------------------------------------------------------------------------------------------- map_* */

static struct bench_arrays arrays;
static long team;
static long next_item __attribute__((aligned(128)));

static void *map_part(void *index)
{
	long i = (long)(uintptr_t)index, end = arrays.n * (i + 1) / team;

	for (i = arrays.n * i / team; i < end; i++)
		arrays.y[i] = bench_hash(arrays.x[i]);
	return NULL;
}

static void *map_by_counter(void *index)
{
	long i;

	while ((i = __atomic_fetch_add(&next_item, 1, __ATOMIC_RELAXED)) < arrays.n)
		arrays.y[i] = bench_hash(arrays.x[i]);
	return index;
}

static void map(struct bench *b)
{
	bool one_by_one = strcmp(b->work, "map_chunk1") == 0;

	team = b->workers;
	bench_arrays_make(&arrays, b->n);
	for (b->rep = 0; b->rep < b->reps; b->rep++) {
		next_item = 0;
		bench_start(b);
		in_threads(team, one_by_one ? map_by_counter : map_part);
		bench_stop(b);
		bench_note_text(b, "how", one_by_one ? "one counter for all" : "a thread for each part");
		bench_report(b, b->n, bench_arrays_check(&arrays));
	}
	bench_arrays_free(&arrays);
}

/* --------------------------------------------------------------------------------------------------- apply_latency */

/* One word passes between two threads: whose turn it is. Both look at it without a pause. */
static struct {
	uint32_t turn __attribute__((aligned(128)));
	uint64_t value;
	long n;
} hand;

static void hand_wait(uint32_t turn)
{
	while (__atomic_load_n(&hand.turn, __ATOMIC_ACQUIRE) != turn)
		continue;
}

static void *hand_back(void *arg)
{
	for (long i = 0; i < hand.n; i++) {
		hand_wait(1);
		bench_hit();
		__atomic_store_n(&hand.turn, 0, __ATOMIC_RELEASE);
	}
	return arg;
}

static void latency_spinning(struct bench *b)
{
	struct bench_latency latency;
	pthread_t thread;
	uint64_t sum = 0;

	if (bench_cpus() < 2) {
		bench_report_unsupported(b, "two threads that spin need two CPUs");
		return;
	}
	hand.n = b->n;
	if (pthread_create(&thread, NULL, hand_back, NULL))
		bench_fail("pthread_create", 0);
	bench_nap(10000);
	bench_latency_begin(&latency, b);
	for (long i = 0; i < b->n; i++) {
		hand.value = (uint64_t)i;
		__atomic_store_n(&hand.turn, 1, __ATOMIC_RELEASE);
		hand_wait(0);
		sum += hand.value;
		bench_latency_add(&latency);
	}
	pthread_join(thread, NULL);
	bench_latency_report(&latency, b, sum == bench_sum_below(b->n));
}

/* ---------------------------------------------------------------------------------------- blocking, create_destroy */

static void *nap(void *index)
{
	bench_nap(BENCH_NAP);
	bench_hit();
	return index;
}

static void blocking(struct bench *b)
{
	unsigned long before = bench_hits();

	bench_start(b);
	in_threads(b->n, nap);
	bench_stop(b);
	bench_note_text(b, "how", "a thread for each task");
	bench_report_blocking(b, bench_hits() - before == (unsigned long)b->n);
}

static void *first_works(void *index)
{
	if (!index)
		bench_hit();
	return index;
}

/* A pool may have threads beside its workers. The variant says how many; run.py compares a pool with the variant that
 * has as many threads as the pool. */
static void create_destroy(struct bench *b)
{
	unsigned long before = bench_hits();
	long threads = b->workers + atol(b->variant);

	bench_start(b);
	for (long i = 0; i < b->n; i++)
		in_threads(threads, first_works);
	bench_stop(b);
	bench_note(b, "threads", (double)threads);
	bench_note_text(b, "how", "threads created and joined");
	bench_report_cycles(b, bench_hits() - before == (unsigned long)b->n);
}

/* ---------------------------------------------------------------------------------------------------------- skewed */

static struct bench_skew skew;

static void *skewed_by_counter(void *index)
{
	long i;

	while ((i = __atomic_fetch_add(&next_item, 1, __ATOMIC_RELAXED)) < skew.n)
		skew.results[i] = bench_skew_task(&skew, i);
	return index;
}

static void skewed(struct bench *b)
{
	bench_skew_make(&skew, b);
	next_item = 0;
	bench_start(b);
	in_threads(b->workers, skewed_by_counter);
	bench_stop(b);
	bench_skew_report(&skew, b);
}

/* ---------------------------------------------------------------------------------------------------------- sweeps */

static long grains;

static void *grains_by_counter(void *index)
{
	while (__atomic_fetch_add(&next_item, 1, __ATOMIC_RELAXED) < grains)
		bench_grain_task();
	return index;
}

static void measure_grain(struct bench *b)
{
	struct bench_grain grain;

	bench_grain_make(&grain, b);
	grains = grain.n;
	next_item = 0;
	bench_start(b);
	in_threads(b->workers, grains_by_counter);
	bench_stop(b);
	bench_note_text(b, "how", "one counter for all: nothing is submitted");
	bench_grain_report(&grain, b);
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
	static const char no_queue[] = "a queue would be a pool: see the peers";
	static const struct bench_work works[] = {
		{"map_tiny", "", map, NULL},
		{"map_chunk1", "", map, NULL},
		{"submit_get", "", NULL, no_queue},
		{"submit_wait_all", "", NULL, no_queue},
		{"apply_latency", "spinning", latency_spinning, NULL},
		{"multi_producer", "", NULL, no_queue},
		{"stream_ordered", "", NULL, no_queue},
		{"stream_unordered", "", NULL, no_queue},
		{"blocking", "", blocking, NULL},
		{"blocking4k", "", blocking, NULL},
		{"create_destroy", "", create_destroy, NULL},
		{"create_destroy", "+1", create_destroy, NULL},
		{"create_destroy", "+2", create_destroy, NULL},
		{"skewed", "", skewed, NULL},
		{"skewed", "sorted", skewed, NULL},
		{"nested", "", NULL, no_queue},
		{"memory", "", NULL, no_queue},
		{"idle", "", NULL, "nothing to be idle"},
		{"task_length", "", task_length, NULL},
		{"workers", "", workers, NULL},
		{NULL, NULL, NULL, NULL},
	};

	return bench_main(argc, argv, "pthreads", works);
}
