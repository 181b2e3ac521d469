/* peer-libuv.c - libuv's work queue: one pool per process, results come back through the submitter's event loop
 *
 * SPDX-License-Identifier: MIT
 *
 * A request is the future, and running the loop is the wait. Requests are queued in their loop's own thread only. */
#define _GNU_SOURCE
#include "peer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

static uv_loop_t loop;

static void must(const char *what, int code)
{
	if (code) {
		fprintf(stderr, "%s: %s\n", what, uv_strerror(code));
		exit(EXIT_FAILURE);
	}
}

static void queue(uv_loop_t *l, uv_work_t *request, uv_work_cb work, uv_after_work_cb after)
{
	must("uv_queue_work", uv_queue_work(l, request, work, after));
}

static void run_all(void)
{
	uv_run(&loop, UV_RUN_DEFAULT);
}

static void hit(uv_work_t *request)
{
	(void)request;
	bench_hit();
}

/* The pool is made by the first request. */
static void set_up(const struct bench *b)
{
	char workers[16];

	snprintf(workers, sizeof workers, "%d", b->workers);
	setenv("UV_THREADPOOL_SIZE", workers, 1);
	must("uv_loop_init", uv_loop_init(&loop));
}

static void warm_up(void)
{
	static uv_work_t requests[BENCH_WARM_UP];

	for (int i = 0; i < BENCH_WARM_UP; i++)
		queue(&loop, &requests[i], hit, NULL);
	run_all();
}

/* ----------------------------------------------------------------------------------------------------------- map_* */

static struct bench_arrays arrays;

struct range {
	uv_work_t request;
	long first, end;
};

static void map_range(uv_work_t *request)
{
	const struct range *range = (struct range *)request;

	for (long i = range->first; i < range->end; i++)
		arrays.y[i] = bench_hash(arrays.x[i]);
}

static void map(struct bench *b, long chunks)
{
	struct range *ranges = bench_alloc((size_t)chunks, sizeof *ranges);

	set_up(b);
	warm_up();
	bench_arrays_make(&arrays, b->n);
	for (b->rep = 0; b->rep < b->reps; b->rep++) {
		bench_start(b);
		for (long i = 0; i < chunks; i++) {
			ranges[i].first = b->n * i / chunks;
			ranges[i].end = b->n * (i + 1) / chunks;
			queue(&loop, &ranges[i].request, map_range, NULL);
		}
		run_all();
		bench_stop(b);
		bench_report(b, b->n, bench_arrays_check(&arrays));
	}
	bench_arrays_free(&arrays);
	free(ranges);
}

static void map_tiny(struct bench *b)
{
	map(b, 4L * b->workers);
}

static void map_chunk1(struct bench *b)
{
	map(b, b->n);
}

/* -------------------------------------------------------------------------------------------------------- submit_* */

struct task {
	uv_work_t request;
	uint64_t input, output;
	bool done;
};

static void run_identity(uv_work_t *request)
{
	struct task *task = (struct task *)request;

	bench_hit();
	task->output = task->input;
}

static void set_done(uv_work_t *request, int status)
{
	(void)status;
	((struct task *)request)->done = true;
}

static struct task *submit(uv_loop_t *l, uint64_t input)
{
	struct task *task = malloc(sizeof *task);

	if (!task)
		bench_fail("malloc", ENOMEM);
	task->input = input;
	task->done = false;
	queue(l, &task->request, run_identity, set_done);
	return task;
}

static uint64_t collect(uv_loop_t *l, struct task *task)
{
	while (!task->done)
		uv_run(l, UV_RUN_ONCE);
	uint64_t output = task->output;

	free(task);
	return output;
}

static uint64_t submit_and_collect(uv_loop_t *l, struct task **tasks, long n)
{
	uint64_t sum = 0;

	for (long i = 0; i < n; i++)
		tasks[i] = submit(l, (uint64_t)i);
	for (long i = 0; i < n; i++)
		sum += collect(l, tasks[i]);
	return sum;
}

static void submit_get(struct bench *b)
{
	struct task **tasks = bench_alloc((size_t)b->n, sizeof *tasks);

	set_up(b);
	warm_up();
	for (b->rep = 0; b->rep < b->reps; b->rep++) {
		bench_start(b);
		uint64_t sum = submit_and_collect(&loop, tasks, b->n);

		bench_stop(b);
		bench_report(b, b->n, sum == bench_sum_below(b->n));
	}
	free(tasks);
}

static void submit_wait_all(struct bench *b)
{
	uv_work_t *requests = bench_alloc((size_t)b->n, sizeof *requests);

	set_up(b);
	warm_up();
	for (b->rep = 0; b->rep < b->reps; b->rep++) {
		unsigned long before = bench_hits();

		bench_start(b);
		for (long i = 0; i < b->n; i++)
			queue(&loop, &requests[i], hit, NULL);
		run_all();
		bench_stop(b);
		bench_report(b, b->n, bench_hits() - before == (unsigned long)b->n);
	}
	free(requests);
}

static void apply_latency(struct bench *b)
{
	struct bench_latency latency;
	uint64_t sum = 0;

	set_up(b);
	warm_up();
	bench_latency_begin(&latency, b);
	for (long i = 0; i < b->n; i++) {
		sum += collect(&loop, submit(&loop, (uint64_t)i));
		bench_latency_add(&latency);
	}
	bench_latency_report(&latency, b, sum == bench_sum_below(b->n));
}

/* -------------------------------------------------------------------------------------------------- multi_producer */

struct production {
	long n;                          /* for each producer */
	struct task **tasks;
	uint64_t sums[BENCH_PRODUCERS];
};

static void produce(void *work, int index)
{
	struct production *p = work;
	uv_loop_t own;

	must("uv_loop_init", uv_loop_init(&own));
	p->sums[index] = submit_and_collect(&own, p->tasks + index * p->n, p->n);
	uv_run(&own, UV_RUN_DEFAULT);
	must("uv_loop_close", uv_loop_close(&own));
}

static void multi_producer(struct bench *b)
{
	struct production p = {.n = b->n / BENCH_PRODUCERS};

	p.tasks = bench_alloc((size_t)p.n * BENCH_PRODUCERS, sizeof *p.tasks);
	set_up(b);
	warm_up();
	for (b->rep = 0; b->rep < b->reps; b->rep++) {
		bool ok = true;

		bench_producers(b, produce, &p);
		for (int i = 0; i < BENCH_PRODUCERS; i++)
			ok = ok && p.sums[i] == bench_sum_below(p.n);
		bench_note_text(b, "how", "a loop for each producer");
		bench_report(b, p.n * BENCH_PRODUCERS, ok);
	}
	free(p.tasks);
}

/* -------------------------------------------------------------------------------------------------------- stream_* */

static struct task slots[BENCH_WINDOW];

static void run_stream_task(uv_work_t *request)
{
	struct task *task = (struct task *)request;

	task->output = bench_stream_task(task->input);
}

static void stream_ordered(struct bench *b)
{
	uint64_t expected = bench_stream_expected(b->n, true);

	set_up(b);
	warm_up();
	for (b->rep = 0; b->rep < b->reps; b->rep++) {
		uint64_t sum = 0;

		bench_start(b);
		for (long i = 0; i < b->n + BENCH_WINDOW; i++) {
			struct task *slot = &slots[i % BENCH_WINDOW];

			if (i >= BENCH_WINDOW && i - BENCH_WINDOW < b->n) {
				while (!slot->done)
					uv_run(&loop, UV_RUN_ONCE);
				sum = bench_fold(true, sum, slot->output);
			}
			if (i < b->n) {
				slot->input = (uint64_t)i;
				slot->done = false;
				queue(&loop, &slot->request, run_stream_task, set_done);
			}
		}
		bench_stop(b);
		bench_report(b, b->n, sum == expected);
	}
}

static struct {
	long next, n;
	uint64_t sum;
} unordered;

static void take_and_queue_next(uv_work_t *request, int status)
{
	struct task *slot = (struct task *)request;

	if (status == 0)
		unordered.sum += slot->output;
	if (unordered.next == unordered.n)
		return;
	slot->input = (uint64_t)unordered.next++;
	queue(&loop, &slot->request, run_stream_task, take_and_queue_next);
}

static void stream_unordered(struct bench *b)
{
	uint64_t expected = bench_stream_expected(b->n, false);

	set_up(b);
	warm_up();
	for (b->rep = 0; b->rep < b->reps; b->rep++) {
		unordered.next = 0;
		unordered.n = b->n;
		unordered.sum = 0;
		bench_start(b);
		for (int i = 0; i < BENCH_WINDOW; i++)
			take_and_queue_next(&slots[i].request, UV_ECANCELED);    /* nothing to take yet */
		run_all();
		bench_stop(b);
		bench_report(b, b->n, unordered.sum == expected);
	}
}

/* ---------------------------------------------------------------------------------------------------------- others */

static void nap(uv_work_t *request)
{
	bench_nap(BENCH_NAP);
	hit(request);
}

static void blocking(struct bench *b)
{
	uv_work_t *requests = bench_alloc((size_t)b->n, sizeof *requests);
	unsigned long before = bench_hits();

	bench_start(b);
	set_up(b);
	for (long i = 0; i < b->n; i++)
		queue(&loop, &requests[i], nap, NULL);
	run_all();
	must("uv_loop_close", uv_loop_close(&loop));
	uv_library_shutdown();
	bench_stop(b);
	bench_report_blocking(b, bench_hits() - before == (unsigned long)b->n);
	free(requests);
}

static struct bench_skew skew;

static void run_skewed(uv_work_t *request)
{
	const struct task *task = (struct task *)request;

	skew.results[task->input] = bench_skew_task(&skew, (long)task->input);
}

static void skewed(struct bench *b)
{
	struct task *tasks = bench_alloc((size_t)b->n, sizeof *tasks);

	set_up(b);
	warm_up();
	bench_skew_make(&skew, b);
	bench_start(b);
	for (long i = 0; i < b->n; i++) {
		tasks[i].input = (uint64_t)i;
		queue(&loop, &tasks[i].request, run_skewed, NULL);
	}
	run_all();
	bench_stop(b);
	bench_skew_report(&skew, b);
	free(tasks);
}

static void block(uv_work_t *request)
{
	(void)request;
	peer_gate_block();
}

static void memory(struct bench *b)
{
	struct task **tasks = bench_alloc((size_t)b->n, sizeof *tasks);
	uv_work_t gate;
	uint64_t sum = 0;

	set_up(b);
	queue(&loop, &gate, block, NULL);
	peer_gate_await();
	size_t before = bench_resident();

	bench_start(b);
	for (long i = 0; i < b->n; i++)
		tasks[i] = submit(&loop, (uint64_t)i);
	bench_stop(b);
	size_t with_tasks = bench_resident();

	peer_gate_open();
	for (long i = 0; i < b->n; i++)
		sum += collect(&loop, tasks[i]);
	bench_report_memory(b, before, with_tasks, sum == bench_sum_below(b->n));
	run_all();
	free(tasks);
}

static void idle(struct bench *b)
{
	unsigned long before = bench_hits();

	set_up(b);
	warm_up();
	bench_idle(b, bench_hits() - before == BENCH_WARM_UP);
}

static void run_grain(uv_work_t *request)
{
	(void)request;
	bench_grain_task();
}

static void measure_grain(struct bench *b)
{
	struct bench_grain grain;

	bench_grain_make(&grain, b);
	uv_work_t *requests = bench_alloc((size_t)grain.n, sizeof *requests);

	bench_start(b);
	for (long i = 0; i < grain.n; i++)
		queue(&loop, &requests[i], run_grain, NULL);
	run_all();
	bench_stop(b);
	bench_grain_report(&grain, b);
	free(requests);
}

static void task_length(struct bench *b)
{
	set_up(b);
	warm_up();
	bench_sweep_lengths(b, measure_grain);
}

int main(int argc, char **argv)
{
	static const struct bench_work works[] = {
		{"map_tiny", "", map_tiny, NULL},
		{"map_chunk1", "", map_chunk1, NULL},
		{"submit_get", "", submit_get, NULL},
		{"submit_wait_all", "", submit_wait_all, NULL},
		{"apply_latency", "", apply_latency, NULL},
		{"multi_producer", "", multi_producer, NULL},
		{"stream_ordered", "", stream_ordered, NULL},
		{"stream_unordered", "", stream_unordered, NULL},
		{"blocking", "", blocking, NULL},
		{"blocking4k", "", NULL, "the pool has 1024 threads at most"},
		{"create_destroy", "", NULL, "one pool per process, which is made once"},
		{"skewed", "", skewed, NULL},
		{"skewed", "sorted", skewed, NULL},
		{"nested", "", NULL, "only the loop's thread may queue work, and no worker can wait for it"},
		{"memory", "", memory, NULL},
		{"idle", "", idle, NULL},
		{"task_length", "", task_length, NULL},
		{"workers", "", NULL, "the pool has one size for the life of the process"},
		{NULL, NULL, NULL, NULL},
	};

	return bench_main(argc, argv, "libuv", works);
}
