/* test_streams.c - imap, imap_unordered, and map over generators
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE 1
#include <config.h>

#include "support.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

static int sqr(int x)
{
	return x * x;
}
MPPOOL_FUNC(sqr_task, int, sqr, int);

static void fill_range(int *xs, size_t n)
{
	for (size_t i = 0; i < n; i++)
		xs[i] = (int)i;
}

static mppool_iter *stream(mppool *pool, bool unordered, const struct mppool_func *func,
                           const struct mppool_iterable *items, size_t chunksize, size_t buffersize)
{
	mppool_iter *iter = NULL;

	if (unordered)
		assert_ok(mppool_imap_unordered(pool, func, items, chunksize, buffersize, NULL, &iter));
	else
		assert_ok(mppool_imap(pool, func, items, chunksize, buffersize, NULL, &iter));
	ck_assert_ptr_nonnull(iter);
	return iter;
}

static void assert_next(mppool_iter *iter, int expected, size_t expected_index)
{
	size_t index = SIZE_MAX;
	int y = -1;

	assert_ok(mppool_iter_next(iter, &y, &index, MPPOOL_FOREVER));
	ck_assert_int_eq(y, expected);
	ck_assert_uint_eq(index, expected_index);
}

/* The end is reported for ever, and nothing is written. */
static void assert_end(mppool_iter *iter)
{
	for (int i = 0; i < 3; i++) {
		size_t index = 77;
		int y = 78;
		assert_code(mppool_iter_next(iter, &y, &index, MPPOOL_FOREVER), MPPOOL_ESTOP);
		ck_assert_int_eq(y, 78);
		ck_assert_uint_eq(index, 77);
	}
}

static void wait_until(atomic_size_t *value, size_t at_least)
{
	while (atomic_load(value) < at_least)
		sched_yield();
}

/* ----------------------------------------------------------------------------------------------------------- order */

struct one_held {
	struct gate gate;
	int held;                        /* the item that stands at the gate; -1: none */
	atomic_size_t ended;             /* the others that are done */
	int last;                        /* stands at the second gate, if there is one */
	struct gate *second;
};

static int one_held_call(const void *const args[], void *result, void *context)
{
	struct one_held *const test = context;
	const int x = int_arg(args, 0);

	if (x == test->held)
		gate_wait(&test->gate);
	if (test->second && x == test->last)
		gate_wait(test->second);
	*(int *)result = x + 100;
	if (x != test->held)
		atomic_fetch_add(&test->ended, 1);
	return 0;
}

static void check_ordered(size_t chunksize)
{
	mppool *const pool = pool_of(2);
	struct one_held test = {.held = 0};
	int xs[20], y = -1;
	mppool_iter *iter = NULL;

	gate_init(&test.gate);
	fill_range(xs, 20);
	const struct mppool_func func = make_func(one_held_call, 1, sizeof(int), &test);
	assert_ok(mppool_imap(pool, &func, MPPOOL_ARRAY(xs, 20), chunksize, 20, NULL, &iter));
	wait_until(&test.ended, 20 - chunksize);
	assert_code(mppool_iter_next(iter, &y, NULL, 0), ETIMEDOUT);     /* all but the first are there */
	ck_assert_int_eq(y, -1);
	gate_open(&test.gate);
	for (size_t i = 0; i < 20; i++)
		assert_next(iter, (int)i + 100, i);
	assert_end(iter);
	mppool_iter_free(iter);
	pool_finish(pool);
	gate_destroy(&test.gate);
}

START_TEST(imap_with_slow_first_item_still_gives_input_order)
{
	check_ordered(1);
	check_ordered(4);
}
END_TEST

START_TEST(imap_unordered_with_slow_first_item_gives_the_others_first)
{
	mppool *const pool = pool_of(2);
	struct one_held test = {.held = 0};
	struct recorder seen;
	int xs[20], y = -1;
	size_t index = 0;
	mppool_iter *iter = NULL;

	gate_init(&test.gate);
	recorder_init(&seen);
	fill_range(xs, 20);
	const struct mppool_func func = make_func(one_held_call, 1, sizeof(int), &test);
	assert_ok(mppool_imap_unordered(pool, &func, MPPOOL_ARRAY(xs, 20), 1, 0, NULL, &iter));
	for (int i = 1; i < 20; i++) {
		assert_ok(mppool_iter_next(iter, &y, &index, MPPOOL_FOREVER));
		ck_assert_int_eq(y, (int)index + 100);
		record(&seen, (int)index);
	}
	ck_assert(recorded_each_once(&seen, 1, 19));
	assert_code(mppool_iter_next(iter, &y, NULL, 0), ETIMEDOUT);
	gate_open(&test.gate);
	assert_next(iter, 100, 0);
	assert_end(iter);
	mppool_iter_free(iter);
	pool_finish(pool);
	recorder_destroy(&seen);
	gate_destroy(&test.gate);
}
END_TEST

struct row {
	char name[3];
	double price;
};

static double total(double price, int count, double rate)
{
	return price * count * rate;
}
MPPOOL_FUNC(total_task, double, total, double, int, double);

static void check_columns(mppool *pool, bool unordered, size_t chunksize)
{
	struct row rows[50];
	int counts[50];
	double rate = 1.5, y = 0;
	bool seen[50] = {false};

	for (int i = 0; i < 50; i++) {
		rows[i].price = i + 0.25;
		counts[i] = 2 * i;
	}
	const struct mppool_iterable *const items =
	        MPPOOL_ZIP(50, MPPOOL_MEMBER(rows, price), MPPOOL_COLUMN(counts), MPPOOL_REPEAT(&rate));
	mppool_iter *const iter = stream(pool, unordered, &total_task, items, chunksize, 0);
	for (size_t i = 0; i < 50; i++) {
		size_t index = SIZE_MAX;
		assert_ok(mppool_iter_next(iter, &y, &index, MPPOOL_FOREVER));
		ck_assert_uint_lt(index, 50);
		ck_assert(unordered || index == i);
		ck_assert(!seen[index]);
		seen[index] = true;
		ck_assert_double_eq(y, total(rows[index].price, counts[index], rate));
	}
	assert_code(mppool_iter_next(iter, &y, NULL, MPPOOL_FOREVER), MPPOOL_ESTOP);
	mppool_iter_free(iter);
}

START_TEST(imap_over_columns_is_istarmap)
{
	mppool *const pool = pool_of(2);

	for (size_t chunksize = 0; chunksize < 8; chunksize += 3) {
		check_columns(pool, false, chunksize);
		check_columns(pool, true, chunksize);
	}
	pool_finish(pool);
}
END_TEST

static size_t place(void)
{
	return mppool_item_index();
}
MPPOOL_FUNC(place_task, size_t, place);

START_TEST(imap_without_arguments_counts_times)
{
	mppool *const pool = pool_of(2);
	mppool_iter *iter = NULL;

	assert_ok(mppool_imap(pool, &place_task, MPPOOL_TIMES(100), 7, 0, NULL, &iter));
	for (size_t i = 0; i < 100; i++) {
		size_t y = SIZE_MAX;
		assert_ok(mppool_iter_next(iter, &y, NULL, MPPOOL_FOREVER));
		ck_assert_uint_eq(y, i);
	}
	assert_code(mppool_iter_next(iter, NULL, NULL, MPPOOL_FOREVER), MPPOOL_ESTOP);
	mppool_iter_free(iter);
	pool_finish(pool);
}
END_TEST

static int odd_fails_call(const void *const args[], void *result, void *context)
{
	(void)context;
	*(int *)result = int_arg(args, 0);
	return int_arg(args, 0) % 2 ? mppool_raise(200 + int_arg(args, 0), "odd %d", int_arg(args, 0)) : 0;
}

static void check_failing_items(mppool *pool, size_t chunksize)
{
	const struct mppool_func func = make_func(odd_fails_call, 1, sizeof(int), NULL);
	struct source source = SOURCE(20);
	const struct mppool_iterable items = source_items(&source);
	mppool_iter *iter = NULL;

	assert_ok(mppool_imap(pool, &func, &items, chunksize, 0, NULL, &iter));
	for (int i = 0; i < 20; i += 2) {
		size_t index = 99;
		int y = -1;
		char message[16];

		assert_next(iter, i, (size_t)i);
		assert_code(mppool_iter_next(iter, &y, &index, MPPOOL_FOREVER), MPPOOL_ETASK);
		ck_assert_int_eq(y, -1);
		ck_assert_uint_eq(index, (size_t)i + 1);
		snprintf(message, sizeof message, "odd %d", i + 1);
		ck_assert_int_eq(mppool_last_error()->code, 201 + i);
		ck_assert_uint_eq(mppool_last_error()->index, (size_t)i + 1);
		ck_assert_str_eq(mppool_last_error()->message, message);
	}
	assert_end(iter);
	mppool_iter_free(iter);
}

START_TEST(imap_with_failing_items_fails_only_their_own_next)
{
	mppool *const pool = pool_of(2);

	check_failing_items(pool, 1);
	check_failing_items(pool, 4);
	check_failing_items(pool, 7);
	check_failing_items(pool, 100);
	pool_finish(pool);
}
END_TEST

static int third_leaves_call(const void *const args[], void *result, void *context)
{
	(void)context;
	if (int_arg(args, 0) == 2)
		pthread_exit(NULL);
	*(int *)result = int_arg(args, 0);
	return 0;
}

START_TEST(imap_with_item_that_leaves_its_worker_loses_that_item_only)
{
	for (size_t chunksize = 1; chunksize <= 5; chunksize += 2) {
		mppool *const pool = pool_of(1);
		const struct mppool_func func = make_func(third_leaves_call, 1, sizeof(int), NULL);
		struct source source = SOURCE(5);
		const struct mppool_iterable items = source_items(&source);
		mppool_iter *const iter = stream(pool, false, &func, &items, chunksize, 0);
		size_t index = 99;

		assert_next(iter, 0, 0);
		assert_next(iter, 1, 1);
		assert_code(mppool_iter_next(iter, NULL, &index, MPPOOL_FOREVER), MPPOOL_ETASK);
		ck_assert_uint_eq(index, 2);
		ck_assert_int_eq(mppool_last_error()->code, MPPOOL_ELOST);
		assert_next(iter, 3, 3);
		assert_next(iter, 4, 4);
		assert_end(iter);
		mppool_iter_free(iter);
		ck_assert_uint_eq(threads_settle("mppool-w", 1), 1);
		pool_finish(pool);
	}
}
END_TEST

static int third_waits_for_stop_call(const void *const args[], void *result, void *context)
{
	(void)context;
	while (int_arg(args, 0) == 2 && !mppool_should_stop())
		sched_yield();
	*(int *)result = int_arg(args, 0);
	return 0;
}

START_TEST(imap_with_task_timeout_fails_only_the_slow_item)
{
	mppool *const pool = pool_of(1);
	const struct mppool_func func = make_func(third_waits_for_stop_call, 1, sizeof(int), NULL);
	int xs[5], y = -1;
	mppool_iter *iter = NULL;

	fill_range(xs, 5);
	assert_ok(mppool_imap(pool, &func, MPPOOL_ARRAY(xs, 5), 5, 0,
	                      MPPOOL_CALL(.task_timeout = 0.5 * timeout_factor()), &iter));
	for (int i = 0; i < 5; i++) {
		if (i == 2) {
			assert_code(mppool_iter_next(iter, &y, NULL, MPPOOL_FOREVER), MPPOOL_ETASK);
			ck_assert_int_eq(mppool_last_error()->code, ETIMEDOUT);
		} else {
			assert_next(iter, i, (size_t)i);
		}
	}
	assert_end(iter);
	mppool_iter_free(iter);
	pool_finish(pool);
}
END_TEST

/* ---------------------------------------------------------------------------------------------------------- bounds */

/* A generator that knows how many items the consumer has asked for. That may be ahead of how many it has taken, never
 * behind, so what it finds too many is too many. */
struct bounded {
	struct source source;
	atomic_size_t taken;
	size_t bound;
	atomic_size_t over;              /* calls that went beyond the bound */
};

static int bounded_next(void *const args[], void *state)
{
	struct bounded *const bounded = state;

	if (atomic_load(&bounded->source.calls) + 1 > atomic_load(&bounded->taken) + bounded->bound)
		atomic_fetch_add(&bounded->over, 1);
	return source_next(args, &bounded->source);
}

static struct mppool_iterable bounded_items(struct bounded *bounded)
{
	struct mppool_iterable items = source_items(&bounded->source);

	items.next = bounded_next;
	items.state = bounded;
	items.finish = NULL;
	return items;
}

static void check_bound(int workers, size_t chunksize, size_t buffersize, bool unordered)
{
	mppool *const pool = pool_of(workers);
	const size_t bound = buffersize > chunksize ? buffersize : chunksize;
	struct bounded bounded = {.source = SOURCE(60), .bound = bound};
	const struct mppool_iterable items = bounded_items(&bounded);
	size_t index;
	int y;

	mppool_iter *const iter = stream(pool, unordered, &sqr_task, &items, chunksize, buffersize);
	for (size_t i = 0; i < 60; i++) {
		if (bound % chunksize == 0)                      /* else the last chunk may wait for more room */
			wait_until(&bounded.source.drawn, i + bound < 60 ? i + bound : 60);
		atomic_fetch_add(&bounded.taken, 1);
		assert_ok(mppool_iter_next(iter, &y, &index, MPPOOL_FOREVER));
		ck_assert(unordered || index == i);
		ck_assert_int_eq(y, (int)(index * index));
	}
	assert_end(iter);
	mppool_iter_free(iter);
	ck_assert_uint_eq(bounded.over, 0);
	ck_assert_uint_eq(bounded.source.calls, 61);
	ck_assert_uint_eq(bounded.source.callers.peak, 1);
	pool_finish(pool);
}

START_TEST(imap_buffersize_is_the_exact_bound_of_items_not_taken)
{
	static const size_t sizes[] = {1, 2, 3, 7, 59, 60, 64};

	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		check_bound(1, 1, sizes[i], false);
		check_bound(2, 1, sizes[i], true);
	}
}
END_TEST

START_TEST(imap_buffersize_with_chunks_holds_and_never_starves)
{
	for (size_t chunksize = 1; chunksize <= 5; chunksize += 2)
		for (size_t buffersize = 1; buffersize <= 7; buffersize++) {
			check_bound(2, chunksize, buffersize, false);
			check_bound(2, chunksize, buffersize, true);
		}
}
END_TEST

START_TEST(imap_chunksize_above_buffersize_raises_the_bound)
{
	check_bound(2, 10, 3, false);
	check_bound(1, 50, 1, false);
}
END_TEST

START_TEST(imap_unbounded_draws_all_while_nobody_reads)
{
	mppool *const pool = pool_of(2);
	struct source source = SOURCE(5000);
	const struct mppool_iterable items = source_items(&source);
	mppool_iter *iter = NULL;

	assert_ok(mppool_imap(pool, &sqr_task, &items, 1, MPPOOL_UNBOUNDED, NULL, &iter));
	wait_until(&source.drawn, 5000);
	for (size_t i = 0; i < 5000; i++)
		assert_next(iter, (int)(i * i), i);
	assert_end(iter);
	ck_assert_uint_eq(source.calls, 5001);                   /* the end is asked for once */
	mppool_iter_free(iter);
	pool_finish(pool);
}
END_TEST

static int stand_call(const void *const args[], void *result, void *context)
{
	gate_wait(context);
	*(int *)result = int_arg(args, 0);
	return 0;
}

START_TEST(imap_default_bound_keeps_every_worker_busy_and_is_a_bound)
{
	mppool *const pool = pool_of(4);
	struct gate gate;
	gate_init(&gate);
	struct source source = SOURCE(MPPOOL_UNKNOWN);
	const struct mppool_iterable items = source_items(&source);
	const struct mppool_func func = make_func(stand_call, 1, sizeof(int), &gate);
	mppool_iter *iter = NULL;

	assert_ok(mppool_imap(pool, &func, &items, 0, 0, NULL, &iter));
	gate_wait_arrivals(&gate, 4);
	ck_assert(thread_sleeps("mppool-task"));
	pause_briefly();
	const size_t drawn = source.drawn;
	pause_briefly();
	ck_assert_uint_eq(source.drawn, drawn);                  /* an endless input, and yet it stands still */
	gate_open(&gate);
	assert_next(iter, 0, 0);
	mppool_iter_free(iter);
	ck_assert_uint_eq(source.finished, 1);
	pool_finish(pool);
	gate_destroy(&gate);
}
END_TEST

/* An array is input like any other: items are begun only as far as the bound. */
START_TEST(imap_buffersize_bounds_arrays_too)
{
	mppool *const pool = pool_of(2);
	struct one_held test = {.held = -1};
	int xs[100];
	mppool_iter *iter = NULL;

	gate_init(&test.gate);
	fill_range(xs, 100);
	const struct mppool_func func = make_func(one_held_call, 1, sizeof(int), &test);
	assert_ok(mppool_imap(pool, &func, MPPOOL_ARRAY(xs, 100), 1, 5, NULL, &iter));
	wait_until(&test.ended, 5);
	pause_briefly();
	ck_assert_uint_eq(test.ended, 5);
	for (size_t i = 0; i < 95; i++) {
		assert_next(iter, (int)i + 100, i);
		wait_until(&test.ended, i + 6);
	}
	pause_briefly();
	ck_assert_uint_eq(test.ended, 100);
	mppool_iter_free(iter);
	pool_finish(pool);
	gate_destroy(&test.gate);
}
END_TEST

/* ------------------------------------------------------------------------------------------------------ timed next */

static void check_timed_next(size_t chunksize, bool unordered)
{
	mppool *const pool = pool_of(1);
	struct one_held test = {.held = 3};
	int xs[10], y = -1;
	size_t index = 99;

	gate_init(&test.gate);
	fill_range(xs, 10);
	const struct mppool_func func = make_func(one_held_call, 1, sizeof(int), &test);
	mppool_iter *const iter = stream(pool, unordered, &func, MPPOOL_ARRAY(xs, 10), chunksize, 0);
	for (size_t i = 0; i < 3 / chunksize * chunksize; i++)
		assert_next(iter, (int)i + 100, i);
	gate_wait_arrivals(&test.gate, 1);
	while (mppool_iter_next(iter, &y, &index, 0) == 0)       /* items of the chunk that runs may be had already */
		ck_assert_uint_lt(index, 3);
	const size_t next = y < 0 ? 0 : index + 1;
	const double start = seconds_now();
	assert_code(mppool_iter_next(iter, &y, &index, 0.02), ETIMEDOUT);
	ck_assert_double_ge(seconds_now() - start, 0.02);
	assert_code(mppool_iter_next(iter, &y, &index, 0), ETIMEDOUT);
	gate_open(&test.gate);
	for (size_t i = next > 3 / chunksize * chunksize ? next : 3 / chunksize * chunksize; i < 10; i++)
		assert_next(iter, (int)i + 100, i);
	assert_end(iter);
	mppool_iter_free(iter);
	pool_finish(pool);
	gate_destroy(&test.gate);
}

START_TEST(next_that_times_out_loses_nothing_whatever_the_chunksize)
{
	check_timed_next(1, false);
	check_timed_next(1, true);
	check_timed_next(4, false);
	check_timed_next(4, true);
	check_timed_next(10, false);
}
END_TEST

/* ----------------------------------------------------------------------------------------------- several consumers */

struct consumers {
	mppool_iter *iter;
	struct recorder items;
	struct recorder codes;           /* how it ended for each */
	atomic_int wrong;
};

static void consume(size_t i, void *arg)
{
	struct consumers *const consumers = arg;
	size_t index;
	int y, code;

	(void)i;
	while ((code = mppool_iter_next(consumers->iter, &y, &index, MPPOOL_FOREVER)) == 0) {
		if (y != (int)(index * index))
			atomic_fetch_add(&consumers->wrong, 1);
		record(&consumers->items, (int)index);
	}
	record(&consumers->codes, code);
}

static void consumers_init(struct consumers *consumers)
{
	consumers->iter = NULL;
	recorder_init(&consumers->items);
	recorder_init(&consumers->codes);
	atomic_init(&consumers->wrong, 0);
}

static void consumers_destroy(struct consumers *consumers)
{
	recorder_destroy(&consumers->items);
	recorder_destroy(&consumers->codes);
}

static void check_consumers(mppool *pool, bool unordered, size_t chunksize, size_t buffersize)
{
	struct consumers consumers;
	struct source source = SOURCE(2000);
	const struct mppool_iterable items = source_items(&source);

	consumers_init(&consumers);
	consumers.iter = stream(pool, unordered, &sqr_task, &items, chunksize, buffersize);
	run_in_threads(4, consume, &consumers);
	ck_assert(recorded_each_once(&consumers.items, 0, 2000));
	ck_assert_uint_eq(recorded_times(&consumers.codes, MPPOOL_ESTOP), 4);
	ck_assert_int_eq(consumers.wrong, 0);
	mppool_iter_free(consumers.iter);
	consumers_destroy(&consumers);
}

START_TEST(several_consumers_share_the_items_and_all_see_the_end)
{
	mppool *const pool = pool_of(2);

	check_consumers(pool, false, 1, 0);
	check_consumers(pool, true, 1, 0);
	check_consumers(pool, false, 5, 1);
	check_consumers(pool, true, 1, 1);
	check_consumers(pool, true, 3, MPPOOL_UNBOUNDED);
	pool_finish(pool);
}
END_TEST

static void consume_one(size_t i, void *arg)
{
	struct consumers *const consumers = arg;
	size_t index = SIZE_MAX;

	(void)i;
	record(&consumers->codes, mppool_iter_next(consumers->iter, NULL, &index, MPPOOL_FOREVER));
	record(&consumers->items, (int)index);
}

static void consume_one_each(void *arg)
{
	run_in_threads(6, consume_one, arg);
}

/* Six wait, and none of them comes back for the next: when the first result is there, so are the five behind it. The
 * seventh item runs on, so nobody is woken by the end of the whole. */
START_TEST(several_consumers_that_take_one_each_are_all_served)
{
	for (int unordered = 0; unordered < 2; unordered++) {
		mppool *const pool = pool_of(2);
		struct gate second;
		struct one_held test = {.held = 0, .last = 6, .second = &second};
		struct consumers consumers;
		struct runner runner;
		struct hold hold;
		int xs[7];

		consumers_init(&consumers);
		gate_init(&test.gate);
		gate_init(&second);
		fill_range(xs, 7);
		const struct mppool_func func = make_func(one_held_call, 1, sizeof(int), &test);
		hold_workers(&hold, pool, 2);
		consumers.iter = stream(pool, unordered, &func, MPPOOL_ARRAY(xs, 7), 1, 7);
		runner_start(&runner, consume_one_each, &consumers);
		pause_briefly();                                 /* so that they wait, most of the time */
		hold_release(&hold);
		gate_wait_arrivals(&second, 1);
		gate_open(&test.gate);
		runner_join(&runner);
		ck_assert_uint_eq(recorded_times(&consumers.codes, 0), 6);
		ck_assert(recorded_each_once(&consumers.items, 0, 6));
		gate_open(&second);
		assert_next(consumers.iter, 106, 6);
		assert_end(consumers.iter);
		mppool_iter_free(consumers.iter);
		pool_finish(pool);
		consumers_destroy(&consumers);
		gate_destroy(&test.gate);
		gate_destroy(&second);
	}
}
END_TEST

struct crowd_run {
	struct consumers consumers;
	size_t n;
};

static void crowd_run(void *arg)
{
	struct crowd_run *const crowd = arg;

	run_in_threads(crowd->n, consume, &crowd->consumers);
}

enum ending { BY_CANCEL, BY_TERMINATE, BY_GENERATOR };

/* All consumers wait, none of them has anything to come. One gets the code, the others the end. */
static void check_waiting_consumers(enum ending ending, int expected)
{
	mppool *const pool = pool_of(2);
	struct gate gate;
	struct crowd_run crowd = {.n = 4};
	struct runner runner;
	gate_init(&gate);
	struct source source = {.length = 100, .gate = &gate, .block_at = 0, .fail_code = EIO};
	const struct mppool_iterable items = source_items(&source);

	consumers_init(&crowd.consumers);
	assert_ok(mppool_imap(pool, &sqr_task, &items, 1, 0, NULL, &crowd.consumers.iter));
	gate_wait_arrivals(&gate, 1);
	runner_start(&runner, crowd_run, &crowd);
	pause_briefly();
	ck_assert_uint_eq(recorded_count(&crowd.consumers.codes), 0);
	if (ending == BY_CANCEL)
		assert_ok(mppool_iter_cancel(crowd.consumers.iter));
	if (ending == BY_TERMINATE)
		assert_ok(mppool_terminate(pool));
	gate_open(&gate);
	runner_join(&runner);
	ck_assert_uint_eq(recorded_count(&crowd.consumers.items), 0);
	ck_assert_uint_eq(recorded_times(&crowd.consumers.codes, expected), 1);
	ck_assert_uint_eq(recorded_times(&crowd.consumers.codes, MPPOOL_ESTOP), 3);
	ck_assert_int_eq(source.saw_stop, ending != BY_GENERATOR);
	assert_end(crowd.consumers.iter);
	mppool_iter_free(crowd.consumers.iter);
	ck_assert_uint_eq(source.finished, 1);
	assert_ok(mppool_destroy(pool));
	consumers_destroy(&crowd.consumers);
	gate_destroy(&gate);
}

START_TEST(several_waiting_consumers_are_all_woken_by_the_end)
{
	check_waiting_consumers(BY_CANCEL, ECANCELED);
	check_waiting_consumers(BY_TERMINATE, MPPOOL_ETERMINATED);
	check_waiting_consumers(BY_GENERATOR, MPPOOL_EITER);
}
END_TEST

/* ---------------------------------------------------------------------------------------------------- ending early */

START_TEST(iter_cancel_gives_what_was_completed_then_canceled_then_the_end)
{
	mppool *const pool = pool_of(2);
	struct one_held test = {.held = 4};
	int y = -1;
	mppool_iter *iter = NULL;
	struct source source = SOURCE(MPPOOL_UNKNOWN);
	const struct mppool_iterable items = source_items(&source);

	gate_init(&test.gate);
	const struct mppool_func func = make_func(one_held_call, 1, sizeof(int), &test);
	assert_ok(mppool_imap(pool, &func, &items, 1, 6, NULL, &iter));
	wait_until(&test.ended, 5);                              /* 0, 1, 2, 3, 5; and 4 runs */
	gate_wait_arrivals(&test.gate, 1);
	assert_next(iter, 100, 0);
	assert_ok(mppool_iter_cancel(iter));
	for (size_t i = 1; i < 4; i++)
		assert_next(iter, (int)i + 100, i);
	assert_code(mppool_iter_next(iter, &y, NULL, 0), ETIMEDOUT);     /* 4 had started: it takes its course */
	gate_open(&test.gate);
	assert_next(iter, 104, 4);
	assert_next(iter, 105, 5);
	/* Item 6 may have been drawn for the one taken, and then it may have started. */
	int code = mppool_iter_next(iter, &y, NULL, MPPOOL_FOREVER);
	if (code == 0) {
		ck_assert_int_eq(y, 106);
		code = mppool_iter_next(iter, &y, NULL, MPPOOL_FOREVER);
	}
	assert_code(code, ECANCELED);
	assert_end(iter);
	ck_assert_uint_le(source.drawn, 7);
	mppool_iter_free(iter);
	ck_assert_uint_eq(source.finished, 1);
	pool_finish(pool);
	gate_destroy(&test.gate);
}
END_TEST

START_TEST(terminate_while_consuming_gives_what_was_completed_then_terminated)
{
	mppool *const pool = pool_of(1);
	struct one_held test = {.held = 4};
	int xs[10], y = -1;
	mppool_iter *iter = NULL;

	gate_init(&test.gate);
	fill_range(xs, 10);
	const struct mppool_func func = make_func(one_held_call, 1, sizeof(int), &test);
	assert_ok(mppool_imap(pool, &func, MPPOOL_ARRAY(xs, 10), 1, 10, NULL, &iter));
	gate_wait_arrivals(&test.gate, 1);
	assert_next(iter, 100, 0);
	assert_ok(mppool_terminate(pool));
	for (size_t i = 1; i < 4; i++)
		assert_next(iter, (int)i + 100, i);
	assert_code(mppool_iter_next(iter, &y, NULL, 0), ETIMEDOUT);
	gate_open(&test.gate);
	assert_ok(mppool_destroy(pool));                         /* the iterator outlives it */
	assert_next(iter, 104, 4);
	assert_code(mppool_iter_next(iter, &y, NULL, 0), MPPOOL_ETERMINATED);
	assert_end(iter);
	mppool_iter_free(iter);
	gate_destroy(&test.gate);
}
END_TEST

START_TEST(iter_cancel_after_the_end_changes_nothing)
{
	mppool *const pool = pool_of(1);
	int xs[2] = {0, 1};
	mppool_iter *iter = NULL;

	assert_ok(mppool_imap(pool, &sqr_task, MPPOOL_ARRAY(xs, 2), 1, 0, NULL, &iter));
	assert_next(iter, 0, 0);
	assert_next(iter, 1, 1);
	assert_end(iter);
	assert_code(mppool_iter_cancel(iter), EALREADY);
	assert_end(iter);
	mppool_iter_free(iter);
	pool_finish(pool);
}
END_TEST

static void iter_free_run(void *arg)
{
	mppool_iter_free(arg);
}

START_TEST(iter_free_waits_for_its_generator_and_tells_it_to_stop)
{
	mppool *const pool = pool_of(1);
	struct gate gate;
	struct runner runner;
	mppool_iter *iter = NULL;
	gate_init(&gate);
	struct source source = {.length = 10, .gate = &gate, .block_at = 2, .until_stopped = true};
	const struct mppool_iterable items = source_items(&source);
	int y = -1;

	assert_ok(mppool_imap(pool, &sqr_task, &items, 1, 10, NULL, &iter));
	gate_wait_arrivals(&gate, 1);
	runner_start(&runner, iter_free_run, iter);
	pause_briefly();
	ck_assert(!runner_done(&runner));
	ck_assert_uint_eq(source.finished, 0);
	assert_ok(mppool_apply(pool, &sqr_task, MPPOOL_ARGS(&(int){3}), &y));
	gate_open(&gate);
	runner_join(&runner);
	ck_assert_uint_eq(source.finished, 1);
	ck_assert_int_eq(source.saw_stop, 1);
	ck_assert_int_eq(source.after_finish, 0);
	ck_assert_uint_le(source.drawn, 3);
	pool_finish(pool);
	gate_destroy(&gate);
}
END_TEST

START_TEST(iter_free_with_all_workers_busy_elsewhere_does_not_wait)
{
	mppool *const pool = pool_of(2);
	struct hold hold;
	struct source source = SOURCE(MPPOOL_UNKNOWN);
	const struct mppool_iterable items = source_items(&source);
	int xs[10] = {0};
	mppool_iter *generated = NULL, *array = NULL;

	hold_workers(&hold, pool, 2);
	assert_ok(mppool_imap(pool, &sqr_task, &items, 1, 5, NULL, &generated));
	assert_ok(mppool_imap_unordered(pool, &sqr_task, MPPOOL_ARRAY(xs, 10), 3, 0, NULL, &array));
	wait_until(&source.drawn, 5);
	mppool_iter_free(generated);
	mppool_iter_free(array);
	ck_assert_uint_eq(source.finished, 1);
	ck_assert_uint_eq(source.drawn, 5);
	hold_release(&hold);
	pool_finish(pool);
}
END_TEST

struct self_free {
	mppool_iter *iter;
	struct gate gate;                /* opened when iter is set */
	atomic_int ran;
	atomic_int freed;
};

static int self_free_call(const void *const args[], void *result, void *context)
{
	struct self_free *const test = context;

	gate_wait(&test->gate);
	atomic_fetch_add(&test->ran, 1);
	if (int_arg(args, 0) == 1) {
		mppool_iter_free(test->iter);
		atomic_fetch_add(&test->freed, 1);
	}
	*(int *)result = 0;
	return 0;
}

START_TEST(iter_free_inside_its_own_item_does_not_wait_for_itself)
{
	mppool *const pool = pool_of(1);
	struct self_free test = {.iter = NULL};
	int xs[5];

	gate_init(&test.gate);
	fill_range(xs, 5);
	const struct mppool_func func = make_func(self_free_call, 1, sizeof(int), &test);
	assert_ok(mppool_imap(pool, &func, MPPOOL_ARRAY(xs, 5), 1, 0, NULL, &test.iter));
	gate_open(&test.gate);
	pool_finish(pool);
	ck_assert_int_eq(test.freed, 1);
	ck_assert_int_eq(test.ran, 2);                           /* 0, and 1 that freed: nothing after it */
	gate_destroy(&test.gate);
}
END_TEST

static int self_free_next(void *const args[], void *state)
{
	struct self_free *const test = state;

	*(int *)args[0] = 0;
	if (atomic_fetch_add(&test->ran, 1) < 3)
		return 0;
	gate_wait(&test->gate);
	mppool_iter_free(test->iter);
	atomic_fetch_add(&test->freed, 1);
	return 0;
}

START_TEST(iter_free_inside_its_own_generator_does_not_wait_for_itself)
{
	mppool *const pool = pool_of(1);
	struct self_free test = {.iter = NULL};
	const struct mppool_iterable items = {.size = sizeof items, .next = self_free_next, .state = &test};

	gate_init(&test.gate);
	assert_ok(mppool_imap(pool, &sqr_task, &items, 1, 20, NULL, &test.iter));
	gate_open(&test.gate);
	while (atomic_load(&test.freed) == 0)
		sched_yield();
	pool_finish(pool);
	ck_assert_int_eq(test.ran, 4);                           /* it is not asked again */
	gate_destroy(&test.gate);
}
END_TEST

START_TEST(close_with_blocked_generator_finishes_when_it_goes_on)
{
	mppool *const pool = pool_of(2);
	struct gate gate;
	mppool_iter *iter = NULL;
	gate_init(&gate);
	struct source source = {.length = 10, .gate = &gate, .block_at = 5};
	const struct mppool_iterable items = source_items(&source);

	assert_ok(mppool_imap(pool, &sqr_task, &items, 2, 10, NULL, &iter));
	gate_wait_arrivals(&gate, 1);
	assert_ok(mppool_close(pool));
	assert_code(mppool_join(pool, 0.02), ETIMEDOUT);
	ck_assert_int_eq(source.saw_stop, 0);
	gate_open(&gate);
	assert_ok(mppool_join(pool, MPPOOL_FOREVER));
	for (size_t i = 0; i < 10; i++)
		assert_next(iter, (int)(i * i), i);
	assert_end(iter);
	ck_assert_int_eq(source.saw_stop, 0);
	mppool_iter_free(iter);
	assert_ok(mppool_destroy(pool));
	gate_destroy(&gate);
}
END_TEST

/* ------------------------------------------------------------------------------------------------------ generators */

START_TEST(generator_runs_on_a_task_handler_one_call_at_a_time)
{
	mppool *const pool = pool_of(4);
	struct source source = SOURCE(3000);
	struct mppool_iterable items = source_items(&source);

	for (int round = 0; round < 2; round++) {
		source.place = 0;
		atomic_store(&source.calls, 0);
		atomic_store(&source.finished, 0);
		if (round == 0) {
			assert_ok(mppool_map(pool, &sqr_task, &items, NULL, 1));
		} else {
			mppool_iter *iter = NULL;
			assert_ok(mppool_imap(pool, &sqr_task, &items, 1, 0, NULL, &iter));
			for (size_t i = 0; i < 3000; i++)
				assert_next(iter, (int)(i * i), i);
			assert_end(iter);
			mppool_iter_free(iter);
		}
		ck_assert_uint_eq(source.callers.peak, 1);
		ck_assert_uint_eq(source.calls, 3001);
		ck_assert_uint_eq(source.finished, 1);
		ck_assert_int_eq(strncmp(source.thread, "mppool-task", 11), 0);
	}
	pool_finish(pool);
}
END_TEST

struct wide {
	unsigned char bytes[100];
};

struct dirty {
	size_t left;
	atomic_int unclean;
};

static int dirty_next(void *const args[], void *state)
{
	struct dirty *const dirty = state;
	unsigned char *const bytes = args[0];

	for (size_t i = 0; i < sizeof(struct wide); i++)
		if (bytes[i] != 0)
			atomic_fetch_add(&dirty->unclean, 1);
	memset(bytes, 0xa5, sizeof(struct wide));
	return dirty->left-- > 0 ? 0 : MPPOOL_ESTOP;
}

static size_t sum_bytes(struct wide wide)
{
	size_t sum = 0;

	for (size_t i = 0; i < sizeof wide.bytes; i++)
		sum += wide.bytes[i];
	return sum;
}
MPPOOL_FUNC(sum_bytes_task, size_t, sum_bytes, struct wide);

START_TEST(generator_slot_is_zeroed_before_each_call)
{
	mppool *const pool = pool_of(2);
	struct dirty dirty = {.left = 200};
	const struct mppool_iterable items = {.size = sizeof items, .next = dirty_next, .state = &dirty};
	mppool_iter *iter = NULL;
	size_t sum = 0, count = 0;
	int code;

	assert_ok(mppool_imap(pool, &sum_bytes_task, &items, 3, 6, NULL, &iter));
	while ((code = mppool_iter_next(iter, &sum, NULL, MPPOOL_FOREVER)) == 0) {
		ck_assert_uint_eq(sum, 0xa5 * sizeof(struct wide));
		count++;
	}
	assert_code(code, MPPOOL_ESTOP);
	ck_assert_uint_eq(count, 200);
	ck_assert_int_eq(dirty.unclean, 0);
	mppool_iter_free(iter);
	pool_finish(pool);
}
END_TEST

START_TEST(generator_failure_comes_after_all_items_before_it_ran)
{
	mppool *const pool = pool_of(2);

	for (size_t chunksize = 1; chunksize < 12; chunksize += 2) {
		struct source source = {.length = 100, .fail_at = 13, .fail_code = EPIPE, .fail_message = "no input"};
		const struct mppool_iterable items = source_items(&source);
		mppool_iter *iter = NULL;
		int y = -1;

		assert_ok(mppool_imap(pool, &sqr_task, &items, chunksize, 0, NULL, &iter));
		for (size_t i = 0; i < 13; i++)
			assert_next(iter, (int)(i * i), i);
		assert_code(mppool_iter_next(iter, &y, NULL, MPPOOL_FOREVER), MPPOOL_EITER);
		ck_assert_int_eq(mppool_last_error()->code, EPIPE);
		ck_assert_uint_eq(mppool_last_error()->index, 13);
		ck_assert_str_eq(mppool_last_error()->message, "no input");
		assert_end(iter);
		mppool_iter_free(iter);
		ck_assert_uint_eq(source.calls, 14);             /* not asked again after it failed */
		ck_assert_uint_eq(source.finished, 1);
	}
	pool_finish(pool);
}
END_TEST

static int leaving_next(void *const args[], void *state)
{
	struct source *const source = state;

	if (source->place == source->fail_at)
		pthread_exit(NULL);
	return source_next(args, source);
}

/* Nobody hangs, and a task handler is there for the next generator. */
START_TEST(generator_that_leaves_its_thread_ends_its_call_only)
{
	mppool *const pool = pool_of(2);

	for (size_t at = 0; at < 6; at += 5) {
		struct source leaving = {.length = 10, .fail_at = at}, again = leaving, good = SOURCE(50);
		struct mppool_iterable items = source_items(&leaving), map_items = source_items(&again);
		const struct mppool_iterable good_items = source_items(&good);
		int y = -1;

		items.next = map_items.next = leaving_next;
		mppool_iter *const iter = stream(pool, false, &sqr_task, &items, 2, 0);
		for (size_t i = 0; i < at; i++)
			assert_next(iter, (int)(i * i), i);
		assert_code(mppool_iter_next(iter, &y, NULL, MPPOOL_FOREVER), MPPOOL_EITER);
		assert_end(iter);
		mppool_iter_free(iter);
		ck_assert_uint_eq(leaving.finished, 1);
		assert_code(mppool_map(pool, &sqr_task, &map_items, NULL, 1), MPPOOL_EITER);
		assert_ok(mppool_map(pool, &sqr_task, &good_items, NULL, 1));
		ck_assert_uint_eq(good.drawn, 50);
	}
	pool_finish(pool);
}
END_TEST

START_TEST(many_blocked_generators_hold_up_nobody_and_their_threads_leave)
{
	mppool *const pool = pool_of(2);
	struct gate gate;
	struct source sources[6];
	mppool_iter *iters[6];
	int y = -1;

	gate_init(&gate);
	for (size_t k = 0; k < 6; k++) {
		sources[k] = (struct source){.length = 10, .gate = &gate, .block_at = k};
		const struct mppool_iterable items = source_items(&sources[k]);
		iters[k] = stream(pool, false, &sqr_task, &items, 1, 10);
	}
	gate_wait_arrivals(&gate, 6);                            /* all six are inside at once */
	assert_ok(mppool_apply(pool, &sqr_task, MPPOOL_ARGS(&(int){3}), &y));
	ck_assert_int_eq(y, 9);
	struct source ready = SOURCE(100);
	const struct mppool_iterable ready_items = source_items(&ready);
	assert_ok(mppool_map(pool, &sqr_task, &ready_items, NULL, 3));
	ck_assert_uint_eq(ready.drawn, 100);
	for (size_t k = 0; k < 6; k++)
		for (size_t i = 0; i < k; i++)
			assert_next(iters[k], (int)(i * i), i);
	gate_open(&gate);
	for (size_t k = 0; k < 6; k++) {
		for (size_t i = k; i < 10; i++)
			assert_next(iters[k], (int)(i * i), i);
		assert_end(iters[k]);
		mppool_iter_free(iters[k]);
	}
	ck_assert_uint_eq(threads_settle("mppool-task", 1), 1);
	pool_finish(pool);
	gate_destroy(&gate);
}
END_TEST

/* The finish hook of a generator's call maps over another generator: on the task handler, since nobody else is there. */
static void mapping_finish(void *state)
{
	struct source inner = SOURCE(3);
	const struct mppool_iterable items = source_items(&inner);

	source_finish(state);
	assert_ok(mppool_map(mppool_current(), &sqr_task, &items, NULL, 0));
	ck_assert_uint_eq(inner.drawn, 3);
}

START_TEST(hook_on_the_task_handler_holds_up_no_generator)
{
	mppool *const pool = pool_of(2);
	struct source source = SOURCE(0);
	struct mppool_iterable items = {
		.size = sizeof items, .next = source_next, .finish = mapping_finish, .state = &source};

	assert_ok(mppool_map(pool, &sqr_task, &items, NULL, 0));
	ck_assert_uint_eq(source.finished, 1);
	pool_finish(pool);
}
END_TEST

/* How often the other threads of the process have given up their CPU, those that have ended among them. */
static long sleeps_of_others(void)
{
	struct rusage all, own;

	ck_assert_int_eq(getrusage(RUSAGE_SELF, &all), 0);
	ck_assert_int_eq(getrusage(RUSAGE_THREAD, &own), 0);
	return all.ru_nvcsw - own.ru_nvcsw;
}

/* Generators that were blocked together have a thread each; as their calls end one leaves at a time. */
START_TEST(threads_of_generators_leave_without_waking_all)
{
	enum { MANY = 60 };
	mppool *const pool = pool_of(1);
	struct gate gate;
	struct source sources[MANY];
	mppool_iter *iters[MANY];
	long before;

	gate_init(&gate);
	for (size_t k = 0; k < MANY; k++) {
		sources[k] = (struct source){.length = MPPOOL_UNKNOWN, .gate = &gate};
		const struct mppool_iterable items = source_items(&sources[k]);
		iters[k] = stream(pool, true, &sqr_task, &items, 1, 1);
	}
	gate_wait_arrivals(&gate, MANY);
	gate_open(&gate);
	assert_ok(mppool_wait_idle(pool, MPPOOL_FOREVER));
	ck_assert_uint_eq(threads_settle("mppool-task", MANY), MANY);
	before = sleeps_of_others();
	for (size_t left = MANY; left-- > 0;) {
		mppool_iter_free(iters[left]);
		ck_assert_uint_eq(threads_settle("mppool-task", left ? left : 1), left ? left : 1);
	}
#ifdef HAVE_FUTEX                /* without it everybody is woken by every wake-up, and looks */
	ck_assert_int_lt(sleeps_of_others() - before, MANY * MANY / 3);
#else
	(void)before;
#endif
	pool_finish(pool);
	gate_destroy(&gate);
}
END_TEST

/* The list of open streams is not gone through for each that leaves it, which took a hundred times as long as now. */
START_TEST(many_streams_end_one_by_one)
{
	const bool slow = UNDER_TSAN || UNDER_ASAN || under_valgrind();
	const size_t n = slow ? 1000 : 40000;
	static const int xs[130];
	mppool *const pool = pool_of(1);
	mppool_iter **const iters = calloc(n, sizeof *iters);
	struct hold hold;
	double before, submitting;

	ck_assert_ptr_nonnull(iters);
	hold_workers(&hold, pool, 1);
	before = cpu_seconds();
	for (size_t i = 0; i < n; i++)
		assert_ok(mppool_imap(pool, &sqr_task, MPPOOL_ARRAY(xs, 130), 1, MPPOOL_UNBOUNDED, NULL, &iters[i]));
	submitting = cpu_seconds() - before;
	before = cpu_seconds();
	hold_release(&hold);
	assert_ok(mppool_wait_idle(pool, MPPOOL_FOREVER));
	if (!slow)                       /* there are too few of them to tell */
		ck_assert_double_lt(cpu_seconds() - before, 1 + 10 * submitting);
	for (size_t i = 0; i < n; i++)
		mppool_iter_free(iters[i]);
	free(iters);
	pool_finish(pool);
}
END_TEST

struct short_source {
	int left;
	struct recorder *ends;
};

static int short_next(void *const args[], void *state)
{
	struct short_source *const source = state;

	sched_yield();                   /* so that they come sooner than one thread draws them */
	if (source->left == 0) {
		record(source->ends, 0);
		return MPPOOL_ESTOP;
	}
	*(int *)args[0] = source->left--;
	return 0;
}

/* How many task handlers that many short generators make, beside one that blocks. No call ends meanwhile, for the workers
 * are held, so no task handler leaves: all that there ever were are counted. */
static size_t handlers_of_short_generators(size_t n)
{
	size_t handlers;
	mppool *const pool = pool_of(1);
	struct short_source *const sources = calloc(n, sizeof *sources);
	mppool_result **const results = calloc(n, sizeof(mppool_result *));
	mppool_iter *blocked;
	struct gate gate;
	struct source source = {.length = 10, .gate = &gate};
	const struct mppool_iterable items = source_items(&source);
	struct recorder ends;
	struct hold hold;

	ck_assert(sources && results);
	gate_init(&gate);
	recorder_init(&ends);
	hold_workers(&hold, pool, 1);
	blocked = stream(pool, false, &sqr_task, &items, 1, 10);
	gate_wait_arrivals(&gate, 1);
	for (size_t i = 0; i < n; i++) {
		struct mppool_iterable few = {.size = sizeof few, .next = short_next, .state = &sources[i]};

		sources[i] = (struct short_source){3, &ends};
		assert_ok(mppool_map_async(pool, &sqr_task, &few, NULL, 1, NULL, &results[i]));
	}
	recorded_wait(&ends, n);
	handlers = threads_named("mppool-task");
	hold_release(&hold);
	for (size_t i = 0; i < n; i++) {
		assert_ok(mppool_result_wait(results[i], MPPOOL_FOREVER));
		mppool_result_free(results[i]);
	}
	gate_open(&gate);
	mppool_iter_free(blocked);
	ck_assert_uint_eq(threads_settle("mppool-task", 1), 1);
	pool_finish(pool);
	recorder_destroy(&ends);
	gate_destroy(&gate);
	free(results);
	free(sources);
	return handlers;
}

/* A machine that is busy lets some that do not block look as if they did, but not each time so many. */
START_TEST(generators_that_do_not_block_do_not_start_a_thread_each)
{
	enum { N = 3000, FEW = 100 };
	size_t handlers = N;

	for (int i = 0; i < 5 && handlers >= FEW; i++)
		handlers = handlers_of_short_generators(N);
	ck_assert_uint_lt(handlers, FEW);
}
END_TEST

/* A generator that takes from an iterator of the same pool: a pipeline. */
static int take_next(void *const args[], void *state)
{
	return mppool_iter_next(state, args[0], NULL, MPPOOL_FOREVER);
}

static int plus_one(int x)
{
	return x + 1;
}
MPPOOL_FUNC(plus_one_task, int, plus_one, int);

static void check_pipeline(int workers, size_t buffersize)
{
	mppool *const pool = pool_of(workers);
	struct source source = SOURCE(300);
	struct mppool_iterable items = source_items(&source);
	mppool_iter *stages[4];

	for (int k = 0; k < 4; k++) {
		assert_ok(mppool_imap(pool, &plus_one_task, &items, 1, buffersize, NULL, &stages[k]));
		items = (struct mppool_iterable){.size = sizeof items, .next = take_next, .state = stages[k]};
	}
	for (size_t i = 0; i < 300; i++)
		assert_next(stages[3], (int)i + 4, i);
	assert_end(stages[3]);
	for (int k = 3; k >= 0; k--)
		mppool_iter_free(stages[k]);
	pool_finish(pool);
}

START_TEST(generator_that_takes_from_an_iterator_of_its_pool_makes_a_pipeline)
{
	check_pipeline(1, 0);
	check_pipeline(1, 1);
	check_pipeline(2, 1);
	check_pipeline(2, 16);
}
END_TEST

static int apply_next(void *const args[], void *state)
{
	int x = 0, y = 0, code = source_next((void *const[]){&x}, state);

	if (code == 0)
		code = mppool_apply(mppool_current(), &sqr_task, MPPOOL_ARGS(&x), &y);
	*(int *)args[0] = y;
	return code;
}

START_TEST(generator_may_apply_in_its_own_pool)
{
	mppool *const pool = pool_of(1);
	struct source source = SOURCE(50);
	struct mppool_iterable items = source_items(&source);
	mppool_iter *iter = NULL;

	items.next = apply_next;
	assert_ok(mppool_imap(pool, &plus_one_task, &items, 1, 0, NULL, &iter));
	for (size_t i = 0; i < 50; i++)
		assert_next(iter, (int)(i * i) + 1, i);
	assert_end(iter);
	mppool_iter_free(iter);
	pool_finish(pool);
}
END_TEST

struct self_take {
	struct gate gate;
	mppool_iter *iter;
	mppool_result *result;
	atomic_int codes[3];
};

static int self_take_next(void *const args[], void *state)
{
	struct self_take *const test = state;

	(void)args;
	gate_wait(&test->gate);
	if (test->iter)
		atomic_store(&test->codes[0], mppool_iter_next(test->iter, args[0], NULL, MPPOOL_FOREVER));
	if (test->result) {
		atomic_store(&test->codes[1], mppool_result_wait(test->result, MPPOOL_FOREVER));
		atomic_store(&test->codes[2], mppool_result_get(test->result, NULL, MPPOOL_FOREVER));
	}
	return MPPOOL_ESTOP;
}

START_TEST(generator_that_waits_for_its_own_call_gets_edeadlk)
{
	mppool *const pool = pool_of(2);
	struct self_take test = {.iter = NULL};
	const struct mppool_iterable items = {.size = sizeof items, .next = self_take_next, .state = &test};

	gate_init(&test.gate);
	assert_ok(mppool_imap(pool, &sqr_task, &items, 1, 0, NULL, &test.iter));
	gate_admit(&test.gate, 1);
	assert_end(test.iter);
	assert_code(test.codes[0], EDEADLK);
	mppool_iter_free(test.iter);
	test.iter = NULL;
	assert_ok(mppool_map_async(pool, &sqr_task, &items, NULL, 0, NULL, &test.result));
	gate_admit(&test.gate, 1);
	assert_ok(mppool_result_get(test.result, NULL, MPPOOL_FOREVER));
	assert_code(test.codes[1], EDEADLK);
	assert_code(test.codes[2], EDEADLK);
	mppool_result_free(test.result);
	pool_finish(pool);
	gate_destroy(&test.gate);
}
END_TEST

/* --------------------------------------------------------------------------------------------- map over generators */

static void check_bounded_map(mppool *pool, size_t length, size_t bound, size_t chunksize)
{
	const size_t n = length < bound ? length : bound;
	struct source source = SOURCE(length);
	struct mppool_iterable items = source_items(&source);
	int ys[300], codes[300], copy[300];
	size_t done = 0, total = 0;
	mppool_result *result = NULL;

	memset(ys, 0xff, sizeof ys);
	memset(copy, 0xff, sizeof copy);
	items.length = bound;
	assert_ok(mppool_map_async(pool, &sqr_task, &items, ys, chunksize, MPPOOL_CALL(.codes = codes), &result));
	assert_ok(mppool_result_get(result, copy, MPPOOL_FOREVER));
	assert_ok(mppool_result_progress(result, &done, &total));
	ck_assert_uint_eq(done, n);
	ck_assert_uint_eq(total, n);
	for (size_t i = 0; i < n; i++) {
		ck_assert_int_eq(ys[i], (int)(i * i));
		ck_assert_int_eq(copy[i], (int)(i * i));
		ck_assert_int_eq(codes[i], 0);
	}
	for (size_t i = bound; i < 300; i++) {
		ck_assert_int_eq(ys[i], -1);                     /* nothing beyond the bound is the library's */
		ck_assert_int_eq(copy[i], -1);
	}
	ck_assert_uint_eq(source.drawn, n);
	ck_assert_uint_eq(source.finished, 1);
	mppool_result_free(result);
}

START_TEST(map_over_bounded_generator_fills_the_callers_results)
{
	mppool *const pool = pool_of(2);

	check_bounded_map(pool, 200, 200, 0);
	check_bounded_map(pool, 200, 250, 7);                    /* ends before its bound */
	check_bounded_map(pool, 200, 50, 7);                     /* would go on beyond it */
	check_bounded_map(pool, 0, 10, 0);
	check_bounded_map(pool, 1, 1, 5);
	pool_finish(pool);
}
END_TEST

START_TEST(map_over_unbounded_generator_keeps_the_results)
{
	mppool *const pool = pool_of(2);
	struct gate gate;
	gate_init(&gate);
	struct source source = {.length = 5000, .gate = &gate, .block_at = 2500};
	struct mppool_iterable items = source_items(&source);
	int *const ys = calloc(5000, sizeof *ys);
	size_t done = 0, total = 0;
	mppool_result *result = NULL;

	ck_assert_ptr_nonnull(ys);
	assert_code(mppool_map_async(pool, &sqr_task, &items, ys, 0, NULL, &result), EINVAL);
	ck_assert_uint_eq(source.calls, 0);
	items.length = MPPOOL_UNKNOWN;
	assert_code(mppool_map(pool, &sqr_task, &items, ys, 0), EINVAL);
	assert_ok(mppool_map_async(pool, &sqr_task, &items, NULL, 0, NULL, &result));
	gate_wait_arrivals(&gate, 1);
	assert_ok(mppool_result_progress(result, &done, &total));
	ck_assert_uint_eq(total, MPPOOL_UNKNOWN);
	ck_assert_uint_le(done, 2500);
	gate_open(&gate);
	assert_ok(mppool_result_wait(result, MPPOOL_FOREVER));
	assert_ok(mppool_result_progress(result, &done, &total));
	ck_assert_uint_eq(done, 5000);
	ck_assert_uint_eq(total, 5000);
	assert_ok(mppool_result_get(result, ys, 0));
	const int *const value = mppool_result_value(result);
	for (int i = 0; i < 5000; i++) {
		ck_assert_int_eq(ys[i], i * i);
		ck_assert_int_eq(value[i], i * i);
	}
	mppool_result_free(result);
	free(ys);
	pool_finish(pool);
	gate_destroy(&gate);
}
END_TEST

START_TEST(map_over_generator_draws_no_more_than_a_window_ahead)
{
	mppool *const pool = pool_of(2);
	struct hold hold;
	struct source source = SOURCE(MPPOOL_UNKNOWN);
	const struct mppool_iterable items = source_items(&source);
	mppool_result *result = NULL;

	hold_workers(&hold, pool, 2);
	assert_ok(mppool_map_async(pool, &sqr_task, &items, NULL, 1, NULL, &result));
	wait_until(&source.drawn, 2);
	ck_assert(thread_sleeps("mppool-task"));
	pause_briefly();
	const size_t drawn = source.drawn;
	pause_briefly();
	ck_assert_uint_eq(source.drawn, drawn);
	assert_ok(mppool_result_cancel(result));
	assert_code(mppool_result_get(result, NULL, MPPOOL_FOREVER), ECANCELED);
	ck_assert_uint_eq(source.finished, 1);
	mppool_result_free(result);
	hold_release(&hold);
	pool_finish(pool);
}
END_TEST

START_TEST(map_over_failing_generator_runs_what_was_drawn)
{
	mppool *const pool = pool_of(2);
	struct source source = {.length = 100, .fail_at = 33, .fail_code = EPIPE, .fail_message = "torn"};
	struct mppool_iterable items = source_items(&source);
	int ys[100], successful = -1;
	mppool_result *result = NULL;

	items.length = 100;
	assert_ok(mppool_map_async(pool, &sqr_task, &items, ys, 5, NULL, &result));
	assert_code(mppool_result_get(result, NULL, MPPOOL_FOREVER), MPPOOL_EITER);
	ck_assert_int_eq(mppool_last_error()->code, EPIPE);
	ck_assert_uint_eq(mppool_last_error()->index, 33);
	ck_assert_str_eq(mppool_last_error()->message, "torn");
	ck_assert_int_eq(mppool_result_error(result)->code, EPIPE);
	assert_ok(mppool_result_successful(result, &successful));
	ck_assert_int_eq(successful, 0);
	for (int i = 0; i < 33; i++)
		ck_assert_int_eq(ys[i], i * i);
	ck_assert_uint_eq(source.finished, 1);
	mppool_result_free(result);
	pool_finish(pool);
}
END_TEST

START_TEST(map_over_generator_with_failing_items_names_the_first)
{
	mppool *const pool = pool_of(2);
	const struct mppool_func func = make_func(odd_fails_call, 1, sizeof(int), NULL);
	struct source source = SOURCE(500), torn = {.length = 500, .fail_at = 400, .fail_code = EPIPE};
	const struct mppool_iterable items = source_items(&source), torn_items = source_items(&torn);
	mppool_result *result = NULL;

	assert_ok(mppool_map_async(pool, &func, &items, NULL, 3, NULL, &result));
	assert_code(mppool_result_get(result, NULL, MPPOOL_FOREVER), MPPOOL_ETASK);
	ck_assert_int_eq(mppool_last_error()->code, 201);
	ck_assert_uint_eq(mppool_last_error()->index, 1);
	const int *const value = mppool_result_value(result);
	for (int i = 0; i < 500; i++)
		ck_assert_int_eq(value[i], i % 2 ? 0 : i);
	mppool_result_free(result);
	assert_code(mppool_map(pool, &func, &torn_items, NULL, 3), MPPOOL_EITER);        /* comes before ETASK */
	ck_assert_int_eq(mppool_last_error()->code, EPIPE);
	pool_finish(pool);
}
END_TEST

START_TEST(map_over_generator_in_terminated_pool_ends)
{
	mppool *const pool = pool_of(2);
	struct source source = SOURCE(MPPOOL_UNKNOWN);
	const struct mppool_iterable items = source_items(&source);
	mppool_result *result = NULL;

	assert_ok(mppool_map_async(pool, &sqr_task, &items, NULL, 0, NULL, &result));
	wait_until(&source.drawn, 1000);                         /* the window moves on as workers finish */
	assert_ok(mppool_terminate(pool));
	assert_code(mppool_result_get(result, NULL, MPPOOL_FOREVER), MPPOOL_ETERMINATED);
	ck_assert_uint_eq(source.finished, 1);
	mppool_result_free(result);
	assert_ok(mppool_destroy(pool));
}
END_TEST

/* -------------------------------------------------------------------------------------- every chunk in every window */

struct count {
	int next, end;
};

static int count_next(void *const args[], void *state)
{
	struct count *const count = state;

	if (count->next == count->end)
		return MPPOOL_ESTOP;
	*(int *)args[0] = count->next++;
	return 0;
}

/* To the end; the sum of the indexes shows one too many and one too few. */
static void consume_window(mppool *pool, const struct mppool_iterable *items, bool unordered, size_t chunk, size_t buffer,
                           size_t n)
{
	mppool_iter *const iter = stream(pool, unordered, &sqr_task, items, chunk, buffer);
	size_t index, taken = 0, sum = 0;
	int y, code;

	while ((code = mppool_iter_next(iter, &y, &index, MPPOOL_FOREVER)) == 0) {
		ck_assert_int_eq(y, sqr((int)index));
		ck_assert(unordered || index == taken);
		sum += index;
		taken++;
	}
	ck_assert_msg(code == MPPOOL_ESTOP && taken == n && sum == n * (n - (n > 0)) / 2,
	              "chunk %zu, buffer %zu, %zu items: %zu taken, then %s", chunk, buffer, n, taken,
	              mppool_strerrorname(code));
	mppool_iter_free(iter);
}

static const size_t window_chunks[] = {1, 3, 7, 10, 64, 100};
static const size_t window_buffers[] = {1, 7, 64, 70, 110, 1000, MPPOOL_UNBOUNDED};
static const size_t window_lengths[] = {0, 1, 99, 101, 1500};

/* The loop's index: 0 columns, 1 a generator, each ordered (0) or not (+2). */
START_TEST(stream_ends_with_every_chunk_in_every_window)
{
	static int xs[1500];
	mppool *const pool = pool_of(2);

	fill_range(xs, 1500);
	for (size_t c = 0; c < sizeof window_chunks / sizeof *window_chunks; c++)
		for (size_t b = 0; b < sizeof window_buffers / sizeof *window_buffers; b++)
			for (size_t l = 0; l < sizeof window_lengths / sizeof *window_lengths; l++) {
				struct count count = {0, (int)window_lengths[l]};
				const struct mppool_iterable drawn = {
					.size = sizeof drawn, .next = count_next, .state = &count};

				consume_window(pool, _i % 2 ? &drawn : MPPOOL_ARRAY(xs, window_lengths[l]), _i / 2,
				               window_chunks[c], window_buffers[b], window_lengths[l]);
			}
	pool_finish(pool);
}
END_TEST

/* The library's array is moved while it grows, which must not happen under an item. */
START_TEST(kept_results_of_a_generator_grow_with_every_chunksize)
{
	static const size_t chunks[] = {0, 1, 3, 10, 100, 1000, 1023, 5000};
	mppool *const pool = pool_of(2);

	for (size_t c = 0; c < sizeof chunks / sizeof *chunks; c++) {
		struct count count = {0, 5000};
		const struct mppool_iterable items = {.size = sizeof items, .next = count_next, .state = &count};
		mppool_result *result = NULL;
		size_t done = 0, total = 0;

		assert_ok(mppool_map_async(pool, &sqr_task, &items, NULL, chunks[c], NULL, &result));
		assert_ok(mppool_result_get(result, NULL, MPPOOL_FOREVER));
		assert_ok(mppool_result_progress(result, &done, &total));
		ck_assert_uint_eq(done, 5000);
		ck_assert_uint_eq(total, 5000);
		const int *const ys = mppool_result_value(result);
		for (int i = 0; i < 5000; i++)
			ck_assert_int_eq(ys[i], sqr(i));
		mppool_result_free(result);
	}
	pool_finish(pool);
}
END_TEST

/* A halt comes while items are drawn: each of them still ends once. */
START_TEST(cancel_while_items_are_drawn_ends_each_once)
{
	mppool *const pool = pool_of(2);

	for (int round = 0; round < 300; round++) {
		struct count count = {0, 2000};
		const struct mppool_iterable items = {.size = sizeof items, .next = count_next, .state = &count};
		mppool_result *result = NULL;
		size_t done = 0, total = 0;

		assert_ok(mppool_map_async(pool, &sqr_task, &items, NULL, (size_t)round % 5, NULL, &result));
		const int code = mppool_result_cancel(result);
		const int outcome = mppool_result_get(result, NULL, MPPOOL_FOREVER);
		ck_assert_int_eq(outcome, code == 0 ? ECANCELED : 0);
		assert_ok(mppool_result_progress(result, &done, &total));
		ck_assert_uint_eq(done, total);
		ck_assert_uint_eq(total, (size_t)count.next);
		mppool_result_free(result);
	}
	pool_finish(pool);
}
END_TEST

/* ------------------------------------------------------------------------------------- a consumer that sleeps already */

static int gate_of_item_call(const void *const args[], void *result, void *context)
{
	struct gate *const gates = context;

	gate_wait(&gates[*(const int *)args[0]]);
	*(int *)result = *(const int *)args[0];
	return 0;
}

struct sleeper {
	mppool_iter *iter;
	int code, y;
};

static void take_one(void *arg)
{
	struct sleeper *const sleeper = arg;

	sleeper->code = mppool_iter_next(sleeper->iter, &sleeper->y, NULL, MPPOOL_FOREVER);
}

/* Item 0 comes while item 1 still runs: no end, no drawing and no other item does the waking. */
START_TEST(consumer_that_sleeps_is_woken_by_its_item_alone)
{
	struct gate gates[2];
	const int xs[2] = {0, 1};
	struct runner runner;
	struct sleeper sleeper = {.code = -1, .y = -1};
	mppool *const pool = pool_of(2);
	const struct mppool_func func = make_func(gate_of_item_call, 1, sizeof(int), gates);

	gate_init(&gates[0]);
	gate_init(&gates[1]);
	sleeper.iter = stream(pool, _i, &func, MPPOOL_ARRAY(xs, 2), 1, 0);
	gate_wait_arrivals(&gates[0], 1);
	gate_wait_arrivals(&gates[1], 1);
	runner_start(&runner, take_one, &sleeper);
	pause_briefly();                 /* the consumer sleeps by now; that it need not is no matter */
	gate_open(&gates[0]);
	runner_join(&runner);
	assert_ok(sleeper.code);
	ck_assert_int_eq(sleeper.y, 0);
	gate_open(&gates[1]);
	assert_next(sleeper.iter, 1, 1);
	assert_end(sleeper.iter);
	mppool_iter_free(sleeper.iter);
	pool_finish(pool);
	gate_destroy(&gates[0]);
	gate_destroy(&gates[1]);
}
END_TEST

static int no_item_call(const void *const args[], void *result, void *context)
{
	(void)args;
	(void)result;
	(void)context;
	return 0;
}

static int no_item_next(void *const args[], void *state)
{
	(void)args;
	(void)state;
	return MPPOOL_ESTOP;
}

START_TEST(chunk_that_no_memory_could_hold_is_refused)
{
	mppool *const pool = pool_of(1);
	const struct mppool_func func = make_func(no_item_call, 0, 0, NULL);
	const struct mppool_iterable items = {.size = sizeof items, .next = no_item_next};
	mppool_iter *iter = NULL;

	assert_code(mppool_imap(pool, &func, &items, SIZE_MAX, 0, NULL, &iter), EINVAL);
	assert_code(mppool_imap(pool, &func, &items, SIZE_MAX / 2, 0, NULL, &iter), EINVAL);
	ck_assert_ptr_null(iter);
	pool_finish(pool);
}
END_TEST

static void fill(Suite *suite)
{
	TCase *tcase = add_case(suite, "order");
	tcase_add_test(tcase, imap_with_slow_first_item_still_gives_input_order);
	tcase_add_test(tcase, imap_unordered_with_slow_first_item_gives_the_others_first);
	tcase_add_test(tcase, imap_over_columns_is_istarmap);
	tcase_add_test(tcase, imap_without_arguments_counts_times);
	tcase_add_test(tcase, imap_with_failing_items_fails_only_their_own_next);
	tcase_add_test(tcase, imap_with_item_that_leaves_its_worker_loses_that_item_only);
	tcase_add_test(tcase, imap_with_task_timeout_fails_only_the_slow_item);

	tcase = add_case(suite, "bounds");
	tcase_add_test(tcase, imap_buffersize_is_the_exact_bound_of_items_not_taken);
	tcase_add_test(tcase, imap_buffersize_with_chunks_holds_and_never_starves);
	tcase_add_test(tcase, imap_chunksize_above_buffersize_raises_the_bound);
	tcase_add_test(tcase, imap_unbounded_draws_all_while_nobody_reads);
	tcase_add_test(tcase, imap_default_bound_keeps_every_worker_busy_and_is_a_bound);
	tcase_add_test(tcase, imap_buffersize_bounds_arrays_too);
	tcase_add_test(tcase, next_that_times_out_loses_nothing_whatever_the_chunksize);

	tcase = add_case(suite, "windows");
	tcase_add_loop_test(tcase, stream_ends_with_every_chunk_in_every_window, 0, 4);
	tcase_add_test(tcase, chunk_that_no_memory_could_hold_is_refused);
	tcase_add_test(tcase, kept_results_of_a_generator_grow_with_every_chunksize);
	tcase_add_test(tcase, cancel_while_items_are_drawn_ends_each_once);

	tcase = add_case(suite, "consumers");
	tcase_add_loop_test(tcase, consumer_that_sleeps_is_woken_by_its_item_alone, 0, 2);
	tcase_add_test(tcase, several_consumers_share_the_items_and_all_see_the_end);
	tcase_add_test(tcase, several_consumers_that_take_one_each_are_all_served);
	tcase_add_test(tcase, several_waiting_consumers_are_all_woken_by_the_end);

	tcase = add_case(suite, "early");
	tcase_add_test(tcase, iter_cancel_gives_what_was_completed_then_canceled_then_the_end);
	tcase_add_test(tcase, terminate_while_consuming_gives_what_was_completed_then_terminated);
	tcase_add_test(tcase, iter_cancel_after_the_end_changes_nothing);
	tcase_add_test(tcase, iter_free_waits_for_its_generator_and_tells_it_to_stop);
	tcase_add_test(tcase, iter_free_with_all_workers_busy_elsewhere_does_not_wait);
	tcase_add_test(tcase, iter_free_inside_its_own_item_does_not_wait_for_itself);
	tcase_add_test(tcase, iter_free_inside_its_own_generator_does_not_wait_for_itself);
	tcase_add_test(tcase, close_with_blocked_generator_finishes_when_it_goes_on);

	tcase = add_case(suite, "generators");
	tcase_add_test(tcase, generator_runs_on_a_task_handler_one_call_at_a_time);
	tcase_add_test(tcase, generator_slot_is_zeroed_before_each_call);
	tcase_add_test(tcase, generator_failure_comes_after_all_items_before_it_ran);
	tcase_add_test(tcase, generator_that_leaves_its_thread_ends_its_call_only);
	tcase_add_test(tcase, many_blocked_generators_hold_up_nobody_and_their_threads_leave);
	tcase_add_test(tcase, hook_on_the_task_handler_holds_up_no_generator);
	tcase_add_test(tcase, threads_of_generators_leave_without_waking_all);
	tcase_add_test(tcase, many_streams_end_one_by_one);
	tcase_add_test(tcase, generators_that_do_not_block_do_not_start_a_thread_each);
	tcase_add_test(tcase, generator_that_takes_from_an_iterator_of_its_pool_makes_a_pipeline);
	tcase_add_test(tcase, generator_may_apply_in_its_own_pool);
	tcase_add_test(tcase, generator_that_waits_for_its_own_call_gets_edeadlk);

	tcase = add_case(suite, "map");
	tcase_add_test(tcase, map_over_bounded_generator_fills_the_callers_results);
	tcase_add_test(tcase, map_over_unbounded_generator_keeps_the_results);
	tcase_add_test(tcase, map_over_generator_draws_no_more_than_a_window_ahead);
	tcase_add_test(tcase, map_over_failing_generator_runs_what_was_drawn);
	tcase_add_test(tcase, map_over_generator_with_failing_items_names_the_first);
	tcase_add_test(tcase, map_over_generator_in_terminated_pool_ends);
}

int main(int argc, char **argv)
{
	return run_suite("streams", fill, argc, argv);
}
