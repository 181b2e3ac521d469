/* peer-openmp.c - OpenMP: a team of threads, the caller one of them; loops for maps, tasks for what is submitted
 *
 * SPDX-License-Identifier: MIT */
#include "peer.h"

#include <omp.h>
#include <stdlib.h>
#include <string.h>

static void warm_up(int workers)
{
#pragma omp parallel for num_threads(workers) schedule(dynamic, 1)
	for (int i = 0; i < BENCH_WARM_UP; i++)
		bench_hit();
}

/* ----------------------------------------------------------------------------------------------------------- map_* */

static void map_tiny(struct bench *b)
{
	struct bench_arrays a;

	bench_arrays_make(&a, b->n);
	warm_up(b->workers);
	for (b->rep = 0; b->rep < b->reps; b->rep++) {
		bench_start(b);
#pragma omp parallel for num_threads(b->workers)
		for (long i = 0; i < a.n; i++)
			a.y[i] = bench_hash(a.x[i]);
		bench_stop(b);
		bench_report(b, a.n, bench_arrays_check(&a));
	}
	bench_arrays_free(&a);
}

static void map_chunk1(struct bench *b)
{
	struct bench_arrays a;

	bench_arrays_make(&a, b->n);
	warm_up(b->workers);
	for (b->rep = 0; b->rep < b->reps; b->rep++) {
		bench_start(b);
#pragma omp parallel for num_threads(b->workers) schedule(dynamic, 1)
		for (long i = 0; i < a.n; i++)
			a.y[i] = bench_hash(a.x[i]);
		bench_stop(b);
		bench_note_text(b, "how", "schedule(dynamic, 1)");
		bench_report(b, a.n, bench_arrays_check(&a));
	}
	bench_arrays_free(&a);
}

/* -------------------------------------------------------------------------------------------------------- submit_* */

static const char throttled[] = "libgomp runs tasks in the submitter once 64 per thread are outstanding";

static void submit_tasks(struct peer_task **tasks, long n)
{
	for (long i = 0; i < n; i++) {
		struct peer_task *task = tasks[i] = peer_task_make((uint64_t)i);
#pragma omp task firstprivate(task)
		peer_future_set(&task->future, task->input);
	}
}

/* taskwait waits for all children, and helps: once, if the first result is not there. */
static uint64_t collect_tasks(struct peer_task **tasks, long n)
{
	uint64_t sum = 0;

	for (long i = 0; i < n; i++) {
		if (!peer_future_ready(&tasks[i]->future)) {
#pragma omp taskwait
		}
		sum += peer_task_collect(tasks[i]);
	}
	return sum;
}

static void submit_get(struct bench *b)
{
	struct peer_task **tasks = bench_alloc((size_t)b->n, sizeof *tasks);

	warm_up(b->workers);
	for (b->rep = 0; b->rep < b->reps; b->rep++) {
		uint64_t sum = 0;

		bench_start(b);
#pragma omp parallel num_threads(b->workers)
#pragma omp single
		{
			submit_tasks(tasks, b->n);
			sum = collect_tasks(tasks, b->n);
		}
		bench_stop(b);
		bench_note_text(b, "how", throttled);
		bench_report(b, b->n, sum == bench_sum_below(b->n));
	}
	free(tasks);
}

/* OpenMP 5.0 can wait for one task: by what it said that it writes. */
static void submit_get_depend(struct bench *b)
{
	uint64_t *results = bench_alloc((size_t)b->n, sizeof *results);

	warm_up(b->workers);
	for (b->rep = 0; b->rep < b->reps; b->rep++) {
		uint64_t sum = 0;

		bench_start(b);
#pragma omp parallel num_threads(b->workers)
#pragma omp single
		{
			for (long i = 0; i < b->n; i++) {
#pragma omp task firstprivate(i) shared(results) depend(out : results[i])
				results[i] = (uint64_t)i;
			}
			for (long i = 0; i < b->n; i++) {
#pragma omp taskwait depend(in : results[i])
				sum += results[i];
			}
		}
		bench_stop(b);
		bench_note_text(b, "how", throttled);
		bench_report(b, b->n, sum == bench_sum_below(b->n));
	}
	free(results);
}

static void submit_wait_all(struct bench *b)
{
	warm_up(b->workers);
	for (b->rep = 0; b->rep < b->reps; b->rep++) {
		unsigned long before = bench_hits();

		bench_start(b);
#pragma omp parallel num_threads(b->workers)
#pragma omp single
		{
			for (long i = 0; i < b->n; i++) {
#pragma omp task
				bench_hit();
			}
#pragma omp taskwait
		}
		bench_stop(b);
		bench_note_text(b, "how", throttled);
		bench_report(b, b->n, bench_hits() - before == (unsigned long)b->n);
	}
}

/* --------------------------------------------------------------------------------------------------- apply_latency */

static uint64_t run_and_wait(uint64_t x)
{
	uint64_t y = 0;

#pragma omp task shared(y) firstprivate(x)
	{
		bench_hit();
		y = x;
	}
#pragma omp taskwait
	return y;
}

static void apply_latency(struct bench *b)
{
	struct bench_latency latency;
	uint64_t sum = 0;

	warm_up(b->workers);
#pragma omp parallel num_threads(b->workers)
#pragma omp single
	{
		bench_latency_begin(&latency, b);
		for (long i = 0; i < b->n; i++) {
			sum += run_and_wait((uint64_t)i);
			bench_latency_add(&latency);
		}
		bench_latency_report(&latency, b, sum == bench_sum_below(b->n));
	}
}

static void fork_and_join(struct bench *b)
{
	struct bench_latency latency;

	warm_up(b->workers);
	bench_latency_begin(&latency, b);
	for (long i = 0; i < b->n; i++) {
#pragma omp parallel num_threads(b->workers)
		bench_hit();
		bench_latency_add(&latency);
	}
	latency.hits_per_call = b->workers;
	bench_latency_report(&latency, b, true);
}

/* -------------------------------------------------------------------------------------------------- multi_producer */

static void multi_producer(struct bench *b)
{
	long n = b->n / BENCH_PRODUCERS;
	struct peer_task **tasks = bench_alloc((size_t)n * BENCH_PRODUCERS, sizeof *tasks);

	warm_up(BENCH_PRODUCERS);
	for (b->rep = 0; b->rep < b->reps; b->rep++) {
		uint64_t sum = 0;

		bench_start(b);
#pragma omp parallel num_threads(BENCH_PRODUCERS) reduction(+ : sum)
		{
			struct peer_task **own = tasks + n * omp_get_thread_num();

			submit_tasks(own, n);
			sum += collect_tasks(own, n);
		}
		bench_stop(b);
		bench_note_text(b, "how", "the producers are the team, without workers beside them");
		bench_report(b, n * BENCH_PRODUCERS, sum == BENCH_PRODUCERS * bench_sum_below(n));
	}
	free(tasks);
}

/* -------------------------------------------------------------------------------------------------------- stream_* */

static uint64_t run_ordered(struct bench *b)
{
	uint64_t sum = 0;

#pragma omp parallel for ordered schedule(dynamic, 1) num_threads(b->workers)
	for (long i = 0; i < b->n; i++) {
		uint64_t y = bench_stream_task((uint64_t)i);
#pragma omp ordered
		sum = bench_fold(true, sum, y);
	}
	return sum;
}

static uint64_t run_unordered(struct bench *b)
{
	uint64_t sum = 0;

#pragma omp parallel for schedule(dynamic, 1) num_threads(b->workers)
	for (long i = 0; i < b->n; i++) {
		uint64_t y = bench_stream_task((uint64_t)i);
#pragma omp critical
		sum += y;
	}
	return sum;
}

static void stream(struct bench *b)
{
	bool ordered = strcmp(b->work, "stream_ordered") == 0;
	uint64_t expected = bench_stream_expected(b->n, ordered);

	warm_up(b->workers);
	for (b->rep = 0; b->rep < b->reps; b->rep++) {
		bench_start(b);
		uint64_t sum = ordered ? run_ordered(b) : run_unordered(b);

		bench_stop(b);
		bench_note_text(b, "how", "the loop's index is the generator, any thread consumes");
		bench_report(b, b->n, sum == expected);
	}
}

/* ---------------------------------------------------------------------------------------- blocking, create_destroy */

static void blocking(struct bench *b)
{
	unsigned long before = bench_hits();

	bench_start(b);
#pragma omp parallel for num_threads(b->workers) schedule(dynamic, 1)
	for (long i = 0; i < b->n; i++) {
		bench_nap(BENCH_NAP);
		bench_hit();
	}
	omp_pause_resource_all(omp_pause_hard);
	bench_stop(b);
	bench_report_blocking(b, bench_hits() - before == (unsigned long)b->n);
}

static void create_destroy(struct bench *b)
{
	unsigned long before = bench_hits();

	bench_start(b);
	for (long i = 0; i < b->n; i++) {
#pragma omp parallel num_threads(b->workers)
#pragma omp single
		{
#pragma omp task
			bench_hit();
		}
		omp_pause_resource_all(omp_pause_hard);
	}
	bench_stop(b);
	bench_note_text(b, "how", "ended by omp_pause_resource_all; the caller is one of the threads");
	bench_report_cycles(b, bench_hits() - before == (unsigned long)b->n);
}

/* ---------------------------------------------------------------------------------------------------------- others */

static void skewed(struct bench *b)
{
	bool by_default = strncmp(b->variant, "static", 6) == 0;
	struct bench_skew skew;

	bench_skew_make(&skew, b);
	warm_up(b->workers);
	omp_set_schedule(by_default ? omp_sched_static : omp_sched_dynamic, by_default ? 0 : 1);
	bench_start(b);
#pragma omp parallel for num_threads(b->workers) schedule(runtime)
	for (long i = 0; i < skew.n; i++)
		skew.results[i] = bench_skew_task(&skew, i);
	bench_stop(b);
	bench_skew_report(&skew, b);
}

static uint64_t fib(uint64_t n)
{
	uint64_t left, right;

	if (n < 2)
		return n;
#pragma omp task shared(left) firstprivate(n)
	left = fib(n - 1);
#pragma omp task shared(right) firstprivate(n)
	right = fib(n - 2);
#pragma omp taskwait
	return left + right;
}

static void nested(struct bench *b)
{
	uint64_t value = 0;

	warm_up(b->workers);
	bench_start(b);
#pragma omp parallel num_threads(b->workers)
#pragma omp single
	value = fib((uint64_t)b->n);
	bench_stop(b);
	bench_note_text(b, "how", throttled);
	bench_report_nested(b, value == (uint64_t)bench_fib(b->n));
}

static void idle(struct bench *b)
{
	unsigned long before = bench_hits();

	warm_up(b->workers);
	bench_idle(b, bench_hits() - before == BENCH_WARM_UP);
}

static void measure_grain(struct bench *b)
{
	struct bench_grain grain;

	warm_up(b->workers);
	bench_grain_make(&grain, b);
	bench_start(b);
#pragma omp parallel num_threads(b->workers)
#pragma omp single
	{
		for (long i = 0; i < grain.n; i++) {
#pragma omp task
			bench_grain_task();
		}
#pragma omp taskwait
	}
	bench_stop(b);
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
	static const struct bench_work works[] = {
		{"map_tiny", "", map_tiny, NULL},
		{"map_chunk1", "", map_chunk1, NULL},
		{"submit_get", "", submit_get, NULL},
		{"submit_get", "depend", submit_get_depend, NULL},
		{"submit_wait_all", "", submit_wait_all, NULL},
		{"apply_latency", "", apply_latency, NULL},
		{"apply_latency", "fork-join", fork_and_join, NULL},
		{"multi_producer", "", multi_producer, NULL},
		{"stream_ordered", "", stream, NULL},
		{"stream_unordered", "", stream, NULL},
		{"blocking", "", blocking, NULL},
		{"blocking4k", "", blocking, NULL},
		{"create_destroy", "", create_destroy, NULL},
		{"skewed", "", skewed, NULL},
		{"skewed", "sorted", skewed, NULL},
		{"skewed", "static-sorted", skewed, NULL},
		{"nested", "", nested, NULL},
		{"memory", "", NULL, "tasks cannot be outstanding: libgomp runs them in the submitter"},
		{"idle", "", idle, NULL},
		{"task_length", "", task_length, NULL},
		{"workers", "", workers, NULL},
		{NULL, NULL, NULL, NULL},
	};

	return bench_main(argc, argv, "openmp", works);
}
