/* queue.c - all works, for pools of the kind that takes a function and an argument and gives nothing back
 *
 * SPDX-License-Identifier: MIT
 *
 * Where a work needs results, a task is a struct peer_task: one malloc, which is the future as well. */
#include "queue.h"

#include <stdlib.h>

static const struct queue_peer *peer;
static struct peer_latch latch;

/* --------------------------------------------------------------------------------------------------------- helpers */

static void task_done(void)
{
	if (!peer->destroy_waits)
		peer_latch_down(&latch);
}

/* Before n pushes to a pool that finish() ends. */
static void expect(long n)
{
	peer_latch_init(&latch, n);
}

static void finish(void *pool)
{
	if (!peer->destroy_waits)
		peer_latch_wait(&latch);
	peer->destroy(pool);
}

static void limit(struct bench *b)
{
	if (peer->most && b->n > peer->most)
		b->n = peer->most;
}

static void run_task(void *item)
{
	struct peer_task *task = item;

	bench_hit();
	peer_future_set(&task->future, task->input);
}

static struct peer_task *submit(void *pool, uint64_t input)
{
	struct peer_task *task = peer_task_make(input);

	peer->push(pool, task);
	return task;
}

/* Every worker has had something to do. The pool's function is run_task. */
static void warm_up(void *pool)
{
	for (int i = 0; i < BENCH_WARM_UP; i++)
		peer_task_collect(submit(pool, 1));
}

/* ----------------------------------------------------------------------------------------------------------- map_* */

static struct bench_arrays arrays;

struct range {
	long first, end;
};

static void run_range(void *item)
{
	const struct range *range = item;

	for (long i = range->first; i < range->end; i++)
		arrays.y[i] = bench_hash(arrays.x[i]);
	peer_latch_down(&latch);
}

/* Such a pool has no chunks of its own: four for each worker, as Python makes them. */
static void map_tiny(struct bench *b)
{
	void *pool = peer->create(b->workers, run_range);
	long chunks = 4L * b->workers;
	struct range *ranges = bench_alloc((size_t)chunks, sizeof *ranges);

	bench_arrays_make(&arrays, b->n);
	for (b->rep = 0; b->rep < b->reps; b->rep++) {
		bench_start(b);
		peer_latch_init(&latch, chunks);
		for (long i = 0; i < chunks; i++) {
			ranges[i].first = b->n * i / chunks;
			ranges[i].end = b->n * (i + 1) / chunks;
			peer->push(pool, &ranges[i]);
		}
		peer_latch_wait(&latch);
		bench_stop(b);
		bench_note_text(b, "how", "4 chunks per worker, a push each");
		bench_report(b, b->n, bench_arrays_check(&arrays));
	}
	peer->destroy(pool);
	bench_arrays_free(&arrays);
	free(ranges);
}

static void run_element(void *item)
{
	const uint64_t *x = item;

	arrays.y[x - arrays.x] = bench_hash(*x);
	task_done();
}

static void map_chunk1(struct bench *b)
{
	limit(b);
	bench_arrays_make(&arrays, b->n);
	for (b->rep = 0; b->rep < b->reps; b->rep++) {
		void *pool = peer->create(b->workers, run_element);

		bench_start(b);
		expect(b->n);
		for (long i = 0; i < b->n; i++)
			peer->push(pool, &arrays.x[i]);
		finish(pool);
		bench_stop(b);
		bench_note_text(b, "how", "a push per item");
		bench_report(b, b->n, bench_arrays_check(&arrays));
	}
	bench_arrays_free(&arrays);
}

/* -------------------------------------------------------------------------------------------------------- submit_* */

static uint64_t submit_and_collect(void *pool, struct peer_task **tasks, long n)
{
	uint64_t sum = 0;

	for (long i = 0; i < n; i++)
		tasks[i] = submit(pool, (uint64_t)i);
	for (long i = 0; i < n; i++)
		sum += peer_task_collect(tasks[i]);
	return sum;
}

static void submit_get(struct bench *b)
{
	void *pool = peer->create(b->workers, run_task);

	limit(b);
	struct peer_task **tasks = bench_alloc((size_t)b->n, sizeof *tasks);

	for (b->rep = 0; b->rep < b->reps; b->rep++) {
		bench_start(b);
		uint64_t sum = submit_and_collect(pool, tasks, b->n);

		bench_stop(b);
		bench_report(b, b->n, sum == bench_sum_below(b->n));
	}
	peer->destroy(pool);
	free(tasks);
}

static void run_empty(void *item)
{
	(void)item;
	bench_hit();
	task_done();
}

static void submit_wait_all(struct bench *b)
{
	limit(b);
	for (b->rep = 0; b->rep < b->reps; b->rep++) {
		void *pool = peer->create(b->workers, run_empty);
		unsigned long before = bench_hits();

		bench_start(b);
		expect(b->n);
		for (long i = 0; i < b->n; i++)
			peer->push(pool, b);
		finish(pool);
		bench_stop(b);
		bench_report(b, b->n, bench_hits() - before == (unsigned long)b->n);
	}
}

/* --------------------------------------------------------------------------------------------------- apply_latency */

static void apply_latency(struct bench *b)
{
	void *pool = peer->create(b->workers, run_task);
	struct bench_latency latency;
	uint64_t sum = 0;

	warm_up(pool);
	bench_latency_begin(&latency, b);
	for (long i = 0; i < b->n; i++) {
		sum += peer_task_collect(submit(pool, (uint64_t)i));
		bench_latency_add(&latency);
	}
	bench_latency_report(&latency, b, sum == bench_sum_below(b->n));
	peer->destroy(pool);
}

/* -------------------------------------------------------------------------------------------------- multi_producer */

struct production {
	void *pool;
	long n;                          /* for each producer */
	struct peer_task **tasks;
	uint64_t sums[BENCH_PRODUCERS];
};

static void produce(void *work, int index)
{
	struct production *p = work;

	p->sums[index] = submit_and_collect(p->pool, p->tasks + index * p->n, p->n);
}

static void multi_producer(struct bench *b)
{
	limit(b);
	struct production p = {.pool = peer->create(b->workers, run_task), .n = b->n / BENCH_PRODUCERS};

	p.tasks = bench_alloc((size_t)p.n * BENCH_PRODUCERS, sizeof *p.tasks);
	for (b->rep = 0; b->rep < b->reps; b->rep++) {
		bool ok = true;

		bench_producers(b, produce, &p);
		for (int i = 0; i < BENCH_PRODUCERS; i++)
			ok = ok && p.sums[i] == bench_sum_below(p.n);
		bench_report(b, p.n * BENCH_PRODUCERS, ok);
	}
	peer->destroy(p.pool);
	free(p.tasks);
}

/* -------------------------------------------------------------------------------------------------------- stream_* */

struct slot {
	struct peer_link link;           /* first: the list gives back links */
	struct peer_future future;
	uint64_t input;
};

static struct slot slots[BENCH_WINDOW];
static struct peer_list done;

static void run_slot(void *item)
{
	struct slot *slot = item;

	peer_future_set(&slot->future, bench_stream_task(slot->input));
}

static void push_slot(void *pool, struct slot *slot, long input)
{
	peer_future_init(&slot->future);
	slot->input = (uint64_t)input;
	peer->push(pool, slot);
}

/* A ring of futures: the oldest is waited for, and its slot takes the next item. */
static void stream_ordered(struct bench *b)
{
	void *pool = peer->create(b->workers, run_slot);
	uint64_t expected = bench_stream_expected(b->n, true);

	for (b->rep = 0; b->rep < b->reps; b->rep++) {
		uint64_t sum = 0;

		bench_start(b);
		for (long i = 0; i < b->n + BENCH_WINDOW; i++) {
			struct slot *slot = &slots[i % BENCH_WINDOW];

			if (i >= BENCH_WINDOW && i - BENCH_WINDOW < b->n)
				sum = bench_fold(true, sum, peer_future_get(&slot->future));
			if (i < b->n)
				push_slot(pool, slot, i);
		}
		bench_stop(b);
		bench_report(b, b->n, sum == expected);
	}
	peer->destroy(pool);
}

static void run_slot_unordered(void *item)
{
	struct slot *slot = item;

	slot->future.value = bench_stream_task(slot->input);
	peer_list_put(&done, &slot->link);
}

static uint64_t run_unordered(void *pool, long n)
{
	uint64_t sum = 0;
	long next = 0, taken = 0;

	for (; next < n && next < BENCH_WINDOW; next++)
		push_slot(pool, &slots[next], next);
	while (taken < n)
		for (struct peer_link *link = peer_list_take(&done), *following; link; link = following) {
			struct slot *slot = (struct slot *)link;

			following = link->next;
			sum += slot->future.value;
			taken++;
			if (next < n)
				push_slot(pool, slot, next++);
		}
	return sum;
}

static void stream_unordered(struct bench *b)
{
	void *pool = peer->create(b->workers, run_slot_unordered);
	uint64_t expected = bench_stream_expected(b->n, false);

	for (b->rep = 0; b->rep < b->reps; b->rep++) {
		bench_start(b);
		uint64_t sum = run_unordered(pool, b->n);

		bench_stop(b);
		bench_report(b, b->n, sum == expected);
	}
	peer->destroy(pool);
}

/* ---------------------------------------------------------------------------------------- blocking, create_destroy */

static void run_nap(void *item)
{
	(void)item;
	bench_nap(BENCH_NAP);
	bench_hit();
	task_done();
}

static void blocking(struct bench *b)
{
	unsigned long before = bench_hits();

	bench_start(b);
	void *pool = peer->create(b->workers, run_nap);

	expect(b->n);
	for (long i = 0; i < b->n; i++)
		peer->push(pool, b);
	finish(pool);
	bench_stop(b);
	bench_report_blocking(b, bench_hits() - before == (unsigned long)b->n);
}

static void create_destroy(struct bench *b)
{
	unsigned long before = bench_hits();

	bench_start(b);
	for (long i = 0; i < b->n; i++) {
		void *pool = peer->create(b->workers, run_empty);

		expect(1);
		peer->push(pool, b);
		finish(pool);
	}
	bench_stop(b);
	bench_report_cycles(b, bench_hits() - before == (unsigned long)b->n);
}

/* ---------------------------------------------------------------------------------------------------------- skewed */

static struct bench_skew skew;

static void run_skewed(void *item)
{
	long i = (long *)item - skew.steps;

	skew.results[i] = bench_skew_task(&skew, i);
	task_done();
}

static void skewed(struct bench *b)
{
	bench_skew_make(&skew, b);
	void *pool = peer->create(b->workers, run_skewed);

	bench_start(b);
	expect(b->n);
	for (long i = 0; i < b->n; i++)
		peer->push(pool, &skew.steps[i]);
	finish(pool);
	bench_stop(b);
	bench_skew_report(&skew, b);
}

/* ---------------------------------------------------------------------------------------------------------- nested */

static void *fib_pool;

static void run_fib(void *item)
{
	struct peer_task *task = item;
	uint64_t value = task->input;

	if (value >= 2) {
		struct peer_task *left = submit(fib_pool, task->input - 1), *right = submit(fib_pool, task->input - 2);

		value = peer_task_collect(right);
		value += peer_task_collect(left);
	}
	peer_future_set(&task->future, value);
}

static void nested(struct bench *b)
{
	fib_pool = peer->create(b->workers, run_fib);
	bench_guard(b, 5, "deadlock: tasks that wait hold all workers, nobody runs their children (5 s)");
	bench_start(b);
	uint64_t value = peer_task_collect(submit(fib_pool, (uint64_t)b->n));

	bench_stop(b);
	bench_guard_end();
	bench_report_nested(b, value == (uint64_t)bench_fib(b->n));
	peer->destroy(fib_pool);
}

/* ---------------------------------------------------------------------------------------------------- memory, idle */

static struct peer_task gate_item;

static void run_task_or_gate(void *item)
{
	if (item == &gate_item)
		peer_gate_block();
	else
		run_task(item);
}

static void memory(struct bench *b)
{
	limit(b);
	struct peer_task **tasks = bench_alloc((size_t)b->n, sizeof *tasks);
	void *pool = peer->create(b->workers, run_task_or_gate);
	uint64_t sum = 0;

	peer->push(pool, &gate_item);
	peer_gate_await();
	size_t before = bench_resident();

	bench_start(b);
	for (long i = 0; i < b->n; i++)
		tasks[i] = submit(pool, (uint64_t)i);
	bench_stop(b);
	size_t with_tasks = bench_resident();

	peer_gate_open();
	for (long i = 0; i < b->n; i++)
		sum += peer_task_collect(tasks[i]);
	bench_report_memory(b, before, with_tasks, sum == bench_sum_below(b->n));
	peer->destroy(pool);
	free(tasks);
}

static void idle(struct bench *b)
{
	void *pool = peer->create(b->workers, run_task);
	unsigned long before = bench_hits();

	warm_up(pool);
	bench_idle(b, bench_hits() - before == BENCH_WARM_UP);
	peer->destroy(pool);
}

/* ---------------------------------------------------------------------------------------------------------- sweeps */

static void run_grain(void *item)
{
	(void)item;
	bench_grain_task();
	task_done();
}

static void measure_grain(struct bench *b)
{
	struct bench_grain grain;

	limit(b);
	bench_grain_make(&grain, b);
	void *pool = peer->create(b->workers, run_grain);

	bench_start(b);
	expect(grain.n);
	for (long i = 0; i < grain.n; i++)
		peer->push(pool, b);
	finish(pool);
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

/* ------------------------------------------------------------------------------------------------------------ main */

int queue_main(int argc, char **argv, const struct queue_peer *self)
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
		{"blocking4k", "", blocking, NULL},
		{"create_destroy", "", create_destroy, NULL},
		{"skewed", "", skewed, NULL},
		{"skewed", "sorted", skewed, NULL},
		{"nested", "", nested, NULL},
		{"memory", "", memory, NULL},
		{"idle", "", idle, NULL},
		{"task_length", "", task_length, NULL},
		{"workers", "", workers, NULL},
		{NULL, NULL, NULL, NULL},
	};

	peer = self;
	return bench_main(argc, argv, self->name, works);
}
