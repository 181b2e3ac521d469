/* peer-serial.c - no pool at all: the caller does everything itself, through a function pointer where a pool would
 *
 * SPDX-License-Identifier: MIT
 *
 * A limit rather than a peer: what the tasks, a malloc each and the clock cost by themselves. */
#include "peer.h"

#include <stdlib.h>
#include <string.h>

static uint64_t hash(uint64_t x)
{
	return bench_hash(x);
}

static uint64_t identity(uint64_t x)
{
	bench_hit();
	return x;
}

/* Volatile: the compiler must not know whom it calls, any more than a pool's does. */
static uint64_t (*volatile call_hash)(uint64_t) = hash;
static uint64_t (*volatile call_identity)(uint64_t) = identity;
static void (*volatile call_empty)(void) = bench_hit;
static void (*volatile call_grain)(void) = bench_grain_task;

static void measure_map(struct bench *b)
{
	bool one_by_one = strcmp(b->work, "map_chunk1") == 0;
	struct bench_arrays a;

	bench_arrays_make(&a, b->n);
	for (b->rep = 0; b->rep < b->reps; b->rep++) {
		bench_start(b);
		if (one_by_one)
			for (long i = 0; i < a.n; i++)
				a.y[i] = call_hash(a.x[i]);
		else
			for (long i = 0; i < a.n; i++)
				a.y[i] = bench_hash(a.x[i]);
		bench_stop(b);
		bench_report(b, a.n, bench_arrays_check(&a));
	}
	bench_arrays_free(&a);
}

static uint64_t submit_and_collect(struct peer_task **tasks, long n)
{
	uint64_t sum = 0;

	for (long i = 0; i < n; i++) {
		tasks[i] = peer_task_make((uint64_t)i);
		peer_future_set(&tasks[i]->future, call_identity(tasks[i]->input));
	}
	for (long i = 0; i < n; i++)
		sum += peer_task_collect(tasks[i]);
	return sum;
}

static void submit_get(struct bench *b)
{
	struct peer_task **tasks = bench_alloc((size_t)b->n, sizeof *tasks);

	for (b->rep = 0; b->rep < b->reps; b->rep++) {
		bench_start(b);
		uint64_t sum = submit_and_collect(tasks, b->n);

		bench_stop(b);
		bench_note_text(b, "how", "malloc, call, an exchange, free");
		bench_report(b, b->n, sum == bench_sum_below(b->n));
	}
	free(tasks);
}

static void submit_wait_all(struct bench *b)
{
	for (b->rep = 0; b->rep < b->reps; b->rep++) {
		unsigned long before = bench_hits();

		bench_start(b);
		for (long i = 0; i < b->n; i++)
			call_empty();
		bench_stop(b);
		bench_report(b, b->n, bench_hits() - before == (unsigned long)b->n);
	}
}

static void apply_latency(struct bench *b)
{
	struct bench_latency latency;
	uint64_t sum = 0;

	bench_latency_begin(&latency, b);
	for (long i = 0; i < b->n; i++) {
		sum += call_identity((uint64_t)i);
		bench_latency_add(&latency);
	}
	bench_latency_report(&latency, b, sum == bench_sum_below(b->n));
}

struct production {
	long n;                          /* for each producer */
	struct peer_task **tasks;
	uint64_t sums[BENCH_PRODUCERS];
};

static void produce(void *work, int index)
{
	struct production *p = work;

	p->sums[index] = submit_and_collect(p->tasks + index * p->n, p->n);
}

static void multi_producer(struct bench *b)
{
	struct production p = {.n = b->n / BENCH_PRODUCERS};

	p.tasks = bench_alloc((size_t)p.n * BENCH_PRODUCERS, sizeof *p.tasks);
	for (b->rep = 0; b->rep < b->reps; b->rep++) {
		bool ok = true;

		bench_producers(b, produce, &p);
		for (int i = 0; i < BENCH_PRODUCERS; i++)
			ok = ok && p.sums[i] == bench_sum_below(p.n);
		bench_note_text(b, "how", "each producer does its own tasks");
		bench_report(b, p.n * BENCH_PRODUCERS, ok);
	}
	free(p.tasks);
}

static void stream(struct bench *b)
{
	bool ordered = strcmp(b->work, "stream_ordered") == 0;
	uint64_t expected = bench_stream_expected(b->n, ordered);

	for (b->rep = 0; b->rep < b->reps; b->rep++) {
		bench_start(b);
		uint64_t sum = bench_stream_expected(b->n, ordered);

		bench_stop(b);
		bench_report(b, b->n, sum == expected);
	}
}

static uint64_t fib(uint64_t n);
static uint64_t (*volatile call_fib)(uint64_t) = fib;

static uint64_t fib(uint64_t n)
{
	return n < 2 ? n : call_fib(n - 1) + call_fib(n - 2);
}

static void nested(struct bench *b)
{
	bench_start(b);
	uint64_t value = call_fib((uint64_t)b->n);

	bench_stop(b);
	bench_report_nested(b, value == (uint64_t)bench_fib(b->n));
}

static void memory(struct bench *b)
{
	struct peer_task **tasks = bench_alloc((size_t)b->n, sizeof *tasks);
	size_t before = bench_resident();
	uint64_t sum = 0;

	bench_start(b);
	for (long i = 0; i < b->n; i++)
		tasks[i] = peer_task_make((uint64_t)i);
	bench_stop(b);
	size_t with_tasks = bench_resident();

	for (long i = 0; i < b->n; i++) {
		sum += tasks[i]->input;
		free(tasks[i]);
	}
	bench_note_text(b, "how", "a malloc of 24 bytes per task, nothing else");
	bench_report_memory(b, before, with_tasks, sum == bench_sum_below(b->n));
	free(tasks);
}

static void measure_grain(struct bench *b)
{
	struct bench_grain grain;

	bench_grain_make(&grain, b);
	bench_start(b);
	for (long i = 0; i < grain.n; i++)
		call_grain();
	bench_stop(b);
	bench_grain_report(&grain, b);
}

static void task_length(struct bench *b)
{
	bench_sweep_lengths(b, measure_grain);
}

int main(int argc, char **argv)
{
	static const struct bench_work works[] = {
		{"map_tiny", "", measure_map, NULL},
		{"map_chunk1", "", measure_map, NULL},
		{"submit_get", "", submit_get, NULL},
		{"submit_wait_all", "", submit_wait_all, NULL},
		{"apply_latency", "", apply_latency, NULL},
		{"multi_producer", "", multi_producer, NULL},
		{"stream_ordered", "", stream, NULL},
		{"stream_unordered", "", stream, NULL},
		{"blocking", "", NULL, "it would take 1024 times 100 ms"},
		{"blocking4k", "", NULL, "it would take 4096 times 100 ms"},
		{"create_destroy", "", NULL, "nothing to create"},
		{"skewed", "", NULL, "it is what the works are compared with: the number of workers by definition"},
		{"nested", "", nested, NULL},
		{"memory", "", memory, NULL},
		{"idle", "", NULL, "nothing to be idle"},
		{"task_length", "", task_length, NULL},
		{"workers", "", NULL, "no workers"},
		{NULL, NULL, NULL, NULL},
	};

	return bench_main(argc, argv, "serial", works);
}
