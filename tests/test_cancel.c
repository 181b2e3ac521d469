/* test_cancel.c - mppool_result_cancel, mppool_iter_cancel and early frees, in every state of what they end
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE 1
#include "support.h"

#include <limits.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#define N 12

/* Items of one call: which of them ran, and what they saw. Those listed stand at the gate. */
struct work {
	struct gate gate;
	int first_standing, last_standing;
	int failing;                             /* this item fails; -1: none */
	bool until_stopped;                      /* who stood goes on when mppool_should_stop() says so */
	atomic_uint ran[N], stopped[N], dropped[N];
	atomic_uint released, finished, called_back, failed_back;
	int callback_code;
	mppool_result *result;
	mppool_iter *iter;
	atomic_int code;                         /* of the cancel that an item or a generator makes */
};

static void work_set(struct work *work, int first_standing, int last_standing)
{
	*work = (struct work){.first_standing = first_standing, .last_standing = last_standing, .failing = -1};
	gate_init(&work->gate);
	atomic_store(&work->code, -1);
}

static int work_call(const void *const args[], void *result, void *context)
{
	struct work *const work = context;
	const int x = int_arg(args, 0);

	atomic_fetch_add(&work->ran[x], 1);
	if (x >= work->first_standing && x <= work->last_standing)
		gate_wait(&work->gate);
	while (work->until_stopped && !mppool_should_stop())
		sched_yield();
	atomic_store(&work->stopped[x], (unsigned)mppool_should_stop());
	*(int *)result = 100 + x;
	return x == work->failing ? mppool_raise(EDOM, "item %d", x) : 0;
}

static void work_drop_args(const void *const args[], void *context)
{
	atomic_fetch_add(&((struct work *)context)->dropped[int_arg(args, 0)], 1);
}

static void work_release(void *context)
{
	atomic_fetch_add(&((struct work *)context)->released, 1);
}

static void work_finish(void *state)
{
	atomic_fetch_add(&((struct work *)state)->finished, 1);
}

static void work_callback(const void *results, size_t n, void *userdata)
{
	(void)results;
	(void)n;
	atomic_fetch_add(&((struct work *)userdata)->called_back, 1);
}

static void work_error_callback(const struct mppool_error *error, void *userdata)
{
	struct work *const work = userdata;

	work->callback_code = error->code;
	atomic_fetch_add(&work->failed_back, 1);
}

static struct mppool_func work_func(struct work *work)
{
	struct mppool_func func = make_func(work_call, 1, sizeof(int), work);

	func.drop_args = work_drop_args;
	func.release = work_release;
	return func;
}

static const int numbers[N] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
static const struct mppool_column numbers_column = {numbers, sizeof *numbers, sizeof *numbers, MPPOOL_VALUES, 0};

static struct mppool_iterable work_items(struct work *work, size_t n)
{
	return (struct mppool_iterable){.size = sizeof(struct mppool_iterable),
	                                .columns = &numbers_column,
	                                .ncolumns = 1,
	                                .length = n,
	                                .finish = work_finish,
	                                .state = work};
}

/* A map of n of the numbers, with callbacks and codes. */
static void work_map(struct work *work, mppool *pool, size_t n, size_t chunksize, int *results, int *codes)
{
	const struct mppool_func func = work_func(work);
	const struct mppool_iterable items = work_items(work, n);

	assert_ok(mppool_map_async(pool, &func, &items, results, chunksize,
	                           MPPOOL_CALL(.callback = work_callback, .error_callback = work_error_callback,
	                                       .userdata = work, .codes = codes),
	                           &work->result));
}

static void assert_each_dropped_once(struct work *work, size_t n)
{
	for (size_t i = 0; i < N; i++)
		ck_assert_uint_eq(atomic_load(&work->dropped[i]), i < n);
	ck_assert_uint_eq(atomic_load(&work->released), 1);
	ck_assert_uint_eq(atomic_load(&work->finished), 1);
}

static void assert_callbacks(struct work *work, unsigned good, unsigned bad, int code)
{
	ck_assert_uint_eq(atomic_load(&work->called_back), good);
	ck_assert_uint_eq(atomic_load(&work->failed_back), bad);
	if (bad)
		assert_code(work->callback_code, code);
}

/* The worker goes on with what comes next. */
static void assert_pool_goes_on(mppool *pool)
{
	int ys[N] = {0};
	struct work work;

	work_set(&work, -1, -1);
	work_map(&work, pool, N, 1, ys, NULL);
	assert_ok(mppool_result_get(work.result, NULL, MPPOOL_FOREVER));
	for (int i = 0; i < N; i++) {
		ck_assert_int_eq(ys[i], 100 + i);
		ck_assert_uint_eq(atomic_load(&work.stopped[i]), 0);
	}
	mppool_result_free(work.result);
	gate_destroy(&work.gate);
}

/* --------------------------------------------------------------------------------------------------------- results */

START_TEST(cancel_queued_call_never_runs)
{
	struct work work;
	struct hold hold;
	const int x = 3;
	int y = -7, code = -1, successful = -1;
	mppool *const pool = pool_of(1);
	const struct mppool_func func = work_func(&work);

	work_set(&work, -1, -1);
	hold_workers(&hold, pool, 1);
	assert_ok(mppool_apply_async(pool, &func, MPPOOL_ARGS(&x),
	                             MPPOOL_CALL(.callback = work_callback, .error_callback = work_error_callback,
	                                         .userdata = &work, .codes = &code),
	                             &work.result));
	assert_ok(mppool_result_cancel(work.result));
	/* Nothing of it runs, so that it ends although the worker is held. */
	assert_code(mppool_result_get(work.result, &y, MPPOOL_FOREVER), ECANCELED);
	ck_assert_int_eq(mppool_result_ready(work.result), 1);
	assert_ok(mppool_result_successful(work.result, &successful));
	ck_assert_int_eq(successful, 0);
	assert_code(mppool_result_error(work.result)->code, ECANCELED);
	assert_code(code, ECANCELED);
	assert_callbacks(&work, 0, 1, ECANCELED);
	assert_code(mppool_result_cancel(work.result), EALREADY);
	ck_assert_int_eq(y, -7);
	ck_assert_int_eq(*(const int *)mppool_result_value(work.result), 0);
	hold_release(&hold);
	assert_pool_goes_on(pool);
	mppool_result_free(work.result);
	pool_finish(pool);
	ck_assert_uint_eq(atomic_load(&work.ran[3]), 0);
	ck_assert_uint_eq(atomic_load(&work.dropped[3]), 1);
	ck_assert_uint_eq(atomic_load(&work.released), 1);
	gate_destroy(&work.gate);
}
END_TEST

/* Whether the item fails in the end: _i. */
START_TEST(cancel_running_call_is_ebusy_and_takes_its_course)
{
	struct work work;
	int y = -7;
	mppool *const pool = pool_of(1);
	const struct mppool_func func = work_func(&work);

	work_set(&work, 5, 5);
	work.failing = _i ? 5 : -1;
	assert_ok(mppool_apply_async(pool, &func, MPPOOL_ARGS(&numbers[5]), NULL, &work.result));
	gate_wait_arrivals(&work.gate, 1);
	assert_code(mppool_result_cancel(work.result), EBUSY);
	assert_code(mppool_result_cancel(work.result), EBUSY);
	ck_assert_int_eq(mppool_result_ready(work.result), 0);
	gate_open(&work.gate);
	assert_code(mppool_result_get(work.result, &y, MPPOOL_FOREVER), _i ? MPPOOL_ETASK : 0);
	ck_assert_int_eq(y, _i ? -7 : 105);
	ck_assert_uint_eq(atomic_load(&work.stopped[5]), 1);
	assert_code(mppool_result_cancel(work.result), EALREADY);
	assert_code(mppool_result_get(work.result, NULL, 0), _i ? MPPOOL_ETASK : 0);
	assert_pool_goes_on(pool);
	mppool_result_free(work.result);
	pool_finish(pool);
	gate_destroy(&work.gate);
}
END_TEST

START_TEST(cancel_ended_call_is_ealready_and_changes_nothing)
{
	int y = 0, ys[2] = {0};
	struct work work;
	mppool *const pool = pool_of(1);

	work_set(&work, -1, -1);
	work_map(&work, pool, 1, 0, NULL, NULL);
	assert_ok(mppool_result_wait(work.result, MPPOOL_FOREVER));
	assert_code(mppool_result_cancel(work.result), EALREADY);
	assert_ok(mppool_result_get(work.result, &y, 0));
	ck_assert_int_eq(y, 100);
	mppool_result_free(work.result);
	/* An empty input is ready at once. */
	work_map(&work, pool, 0, 0, ys, NULL);
	assert_ok(mppool_result_wait(work.result, MPPOOL_FOREVER));
	assert_code(mppool_result_cancel(work.result), EALREADY);
	assert_ok(mppool_result_get(work.result, NULL, 0));
	mppool_result_free(work.result);
	pool_finish(pool);
	gate_destroy(&work.gate);
}
END_TEST

/* Item 3 stands at the gate, chunks are of _i items; 0: the library's choice. */
START_TEST(cancel_partly_run_map_keeps_what_ran)
{
	struct work work;
	int ys[N], codes[N], copy[N];
	size_t done = 0, total = 0;
	mppool *const pool = pool_of(1);

	work_set(&work, 3, 3);
	memset(ys, 0x55, sizeof ys);
	memset(copy, 0x55, sizeof copy);
	work_map(&work, pool, N, (size_t)_i, ys, codes);
	gate_wait_arrivals(&work.gate, 1);
	assert_ok(mppool_result_cancel(work.result));
	ck_assert_int_eq(mppool_result_ready(work.result), 0);
	assert_code(mppool_result_wait(work.result, 0.02), ETIMEDOUT);
	ck_assert_uint_eq(atomic_load(&work.failed_back), 0);
	gate_open(&work.gate);
	assert_code(mppool_result_get(work.result, copy, MPPOOL_FOREVER), ECANCELED);
	for (int i = 0; i < N; i++) {
		ck_assert_uint_eq(atomic_load(&work.ran[i]), i <= 3);
		ck_assert_uint_eq(atomic_load(&work.stopped[i]), i == 3);
		assert_code(codes[i], i <= 3 ? 0 : ECANCELED);
		ck_assert_int_eq(ys[i], i <= 3 ? 100 + i : 0);
		ck_assert_int_eq(copy[i], 0x55555555);
	}
	assert_callbacks(&work, 0, 1, ECANCELED);
	ck_assert_ptr_eq(mppool_result_value(work.result), ys);
	assert_ok(mppool_result_progress(work.result, &done, &total));
	ck_assert_uint_eq(total, N);
	mppool_result_free(work.result);
	assert_each_dropped_once(&work, N);
	assert_pool_goes_on(pool);
	pool_finish(pool);
	gate_destroy(&work.gate);
}
END_TEST

START_TEST(cancel_prevails_over_a_failed_item)
{
	struct work work;
	int codes[N];
	mppool *const pool = pool_of(1);

	work_set(&work, 3, 3);
	work.failing = 1;
	work_map(&work, pool, N, 1, NULL, codes);
	gate_wait_arrivals(&work.gate, 1);
	assert_ok(mppool_result_cancel(work.result));
	gate_open(&work.gate);
	assert_code(mppool_result_get(work.result, NULL, MPPOOL_FOREVER), ECANCELED);
	assert_code(codes[0], 0);
	assert_code(codes[1], EDOM);
	assert_code(codes[3], 0);
	assert_code(codes[4], ECANCELED);
	const int *const kept = mppool_result_value(work.result);
	ck_assert_int_eq(kept[0], 100);
	ck_assert_int_eq(kept[1], 0);
	ck_assert_int_eq(kept[3], 103);
	ck_assert_int_eq(kept[N - 1], 0);
	mppool_result_free(work.result);
	assert_each_dropped_once(&work, N);
	pool_finish(pool);
	gate_destroy(&work.gate);
}
END_TEST

START_TEST(cancel_map_whose_items_all_run_is_ebusy)
{
	struct work work;
	int ys[3], codes[3];
	mppool *const pool = pool_of(3);

	work_set(&work, 0, 2);
	work_map(&work, pool, 3, 1, ys, codes);
	gate_wait_arrivals(&work.gate, 3);
	assert_code(mppool_result_cancel(work.result), EBUSY);
	gate_open(&work.gate);
	assert_ok(mppool_result_get(work.result, NULL, MPPOOL_FOREVER));
	for (int i = 0; i < 3; i++) {
		ck_assert_uint_eq(atomic_load(&work.stopped[i]), 1);
		ck_assert_int_eq(ys[i], 100 + i);
		assert_code(codes[i], 0);
	}
	assert_callbacks(&work, 1, 0, 0);
	mppool_result_free(work.result);
	assert_each_dropped_once(&work, 3);
	pool_finish(pool);
	gate_destroy(&work.gate);
}
END_TEST

START_TEST(cancel_map_with_items_running_on_several_workers)
{
	struct work work;
	int ys[N], codes[N];
	mppool *const pool = pool_of(2);

	work_set(&work, 0, N);
	work_map(&work, pool, N, 1, ys, codes);
	gate_wait_arrivals(&work.gate, 2);
	assert_ok(mppool_result_cancel(work.result));
	gate_admit(&work.gate, 1);
	gate_wait_departures(&work.gate, 1);
	assert_code(mppool_result_wait(work.result, 0.02), ETIMEDOUT);   /* one of them still runs */
	gate_open(&work.gate);
	assert_code(mppool_result_get(work.result, NULL, MPPOOL_FOREVER), ECANCELED);
	unsigned ran = 0;
	for (int i = 0; i < N; i++) {
		const unsigned here = atomic_load(&work.ran[i]);
		ran += here;
		assert_code(codes[i], here ? 0 : ECANCELED);
		ck_assert_int_eq(ys[i], here ? 100 + i : 0);
		ck_assert_uint_eq(atomic_load(&work.stopped[i]), here);
	}
	ck_assert_uint_eq(ran, 2);
	mppool_result_free(work.result);
	assert_each_dropped_once(&work, N);
	assert_pool_goes_on(pool);
	pool_finish(pool);
	gate_destroy(&work.gate);
}
END_TEST

static int whole_chunk(const struct mppool_chunk *chunk, void *context)
{
	struct work *const work = context;

	gate_wait(&work->gate);
	for (size_t i = 0; i < chunk->count; i++) {
		atomic_fetch_add(&work->ran[chunk->first + i], 1);
		*(int *)(void *)((char *)chunk->results + i * chunk->result_stride) = 100 + (int)(chunk->first + i);
	}
	return 0;
}

START_TEST(cancel_lets_a_chunk_function_end)
{
	struct work work;
	int ys[N], codes[N];
	mppool *const pool = pool_of(1);
	struct mppool_func func = work_func(&work);

	work_set(&work, -1, -1);
	func.call = NULL;
	func.chunk_call = whole_chunk;
	const struct mppool_iterable items = work_items(&work, N);
	assert_ok(mppool_map_async(pool, &func, &items, ys, 4, MPPOOL_CALL(.codes = codes), &work.result));
	gate_wait_arrivals(&work.gate, 1);
	assert_ok(mppool_result_cancel(work.result));
	gate_open(&work.gate);
	assert_code(mppool_result_get(work.result, NULL, MPPOOL_FOREVER), ECANCELED);
	for (int i = 0; i < N; i++) {
		const unsigned ran = atomic_load(&work.ran[i]);
		assert_code(codes[i], ran ? 0 : ECANCELED);
		ck_assert_int_eq(ys[i], ran ? 100 + i : 0);
		if (i >= 4)                              /* those of the other chunks */
			ck_assert_uint_eq(ran, 0);
	}
	ck_assert_uint_eq(atomic_load(&work.ran[0]), 1);
	mppool_result_free(work.result);
	assert_each_dropped_once(&work, N);
	pool_finish(pool);
	gate_destroy(&work.gate);
}
END_TEST

START_TEST(cancel_one_call_stops_no_other)
{
	struct work one, two;
	mppool *const pool = pool_of(2);

	work_set(&one, 0, 0);
	work_set(&two, 0, 0);
	work_map(&one, pool, 1, 1, NULL, NULL);
	work_map(&two, pool, 2, 1, NULL, NULL);
	gate_wait_arrivals(&one.gate, 1);
	gate_wait_arrivals(&two.gate, 1);
	assert_code(mppool_result_cancel(one.result), EBUSY);
	gate_open(&two.gate);
	assert_ok(mppool_result_get(two.result, NULL, MPPOOL_FOREVER));
	ck_assert_uint_eq(atomic_load(&two.stopped[0]), 0);
	ck_assert_uint_eq(atomic_load(&two.stopped[1]), 0);
	gate_open(&one.gate);
	assert_ok(mppool_result_get(one.result, NULL, MPPOOL_FOREVER));
	ck_assert_uint_eq(atomic_load(&one.stopped[0]), 1);
	mppool_result_free(one.result);
	mppool_result_free(two.result);
	pool_finish(pool);
	gate_destroy(&one.gate);
	gate_destroy(&two.gate);
}
END_TEST

START_TEST(cancel_never_loses_the_next_task)
{
	struct work work;
	struct hold hold;
	mppool_result *results[30];
	int y;
	mppool *const pool = pool_of(1);
	const struct mppool_func func = make_func(square_call, 1, sizeof(int), NULL);

	work_set(&work, -1, -1);
	hold_workers(&hold, pool, 1);
	for (int i = 0; i < 30; i++)
		assert_ok(mppool_apply_async(pool, &func, MPPOOL_ARGS(&i), NULL, &results[i]));
	for (int i = 0; i < 30; i++)
		if (i % 3 != 1)
			assert_ok(mppool_result_cancel(results[i]));
	hold_release(&hold);
	for (int i = 0; i < 30; i++) {
		assert_code(mppool_result_get(results[i], &y, MPPOOL_FOREVER), i % 3 != 1 ? ECANCELED : 0);
		if (i % 3 == 1)
			ck_assert_int_eq(y, i * i);
		mppool_result_free(results[i]);
	}
	pool_finish(pool);
	gate_destroy(&work.gate);
}
END_TEST

struct waiting {
	mppool_result *result;
	mppool_iter *iter;
	int code;
};

static void wait_for_result(void *arg)
{
	struct waiting *const waiting = arg;
	int y;

	waiting->code = mppool_result_get(waiting->result, &y, MPPOOL_FOREVER);
}

START_TEST(cancel_wakes_everybody_who_waits)
{
	struct hold hold;
	struct runner runners[3];
	struct waiting waiting[3];
	mppool_result *result = NULL;
	mppool *const pool = pool_of(1);
	const struct mppool_func func = make_func(square_call, 1, sizeof(int), NULL);

	hold_workers(&hold, pool, 1);
	assert_ok(mppool_apply_async(pool, &func, MPPOOL_ARGS(&numbers[1]), NULL, &result));
	for (int i = 0; i < 3; i++) {
		waiting[i] = (struct waiting){.result = result, .code = -1};
		runner_start(&runners[i], wait_for_result, &waiting[i]);
	}
	pause_briefly();
	for (int i = 0; i < 3; i++)
		ck_assert(!runner_done(&runners[i]));
	assert_ok(mppool_result_cancel(result));
	for (int i = 0; i < 3; i++) {
		runner_join(&runners[i]);
		assert_code(waiting[i].code, ECANCELED);
	}
	mppool_result_free(result);
	hold_release(&hold);
	pool_finish(pool);
}
END_TEST

struct nest {
	mppool *pool;
	struct hold hold;
	_Atomic(mppool_result *) inner;
	struct gate gate;
	int code;
};

/* Waits for a call that only the held worker could start, were it not that a waiter runs what it waits for. */
static int nest_inner(const void *const args[], void *result, void *context)
{
	struct nest *const nest = context;

	*(int *)result = int_arg(args, 0);
	gate_wait(&nest->gate);
	return 0;
}

static int nest_outer(const void *const args[], void *result, void *context)
{
	struct nest *const nest = context;
	mppool_result *inner = NULL;
	const struct mppool_func func = make_func(nest_inner, 1, sizeof(int), nest);

	(void)args;
	*(int *)result = 1;
	nest->code = mppool_map_async(nest->pool, &func, MPPOOL_ARRAY(numbers, N), NULL, 1, NULL, &inner);
	if (nest->code)
		return 0;
	atomic_store(&nest->inner, inner);
	nest->code = mppool_result_get(inner, NULL, MPPOOL_FOREVER);
	mppool_result_free(inner);
	return 0;
}

START_TEST(cancel_ends_a_nested_call_and_its_waiter_goes_on)
{
	struct nest nest = {.pool = pool_of(1)};
	mppool_result *outer = NULL;
	const struct mppool_func func = make_func(nest_outer, 1, sizeof(int), &nest);

	gate_init(&nest.gate);
	assert_ok(mppool_apply_async(nest.pool, &func, MPPOOL_ARGS(numbers), NULL, &outer));
	gate_wait_arrivals(&nest.gate, 1); /* the first item of the inner call, on top of the outer one */
	assert_ok(mppool_result_cancel(atomic_load(&nest.inner)));
	ck_assert_int_eq(mppool_result_ready(outer), 0);
	gate_open(&nest.gate);
	assert_ok(mppool_result_get(outer, NULL, MPPOOL_FOREVER));
	assert_code(nest.code, ECANCELED);
	ck_assert_uint_eq(gate_arrivals(&nest.gate), 1);
	mppool_result_free(outer);
	pool_finish(nest.pool);
	gate_destroy(&nest.gate);
}
END_TEST

static int cancels_itself(const void *const args[], void *result, void *context)
{
	struct work *const work = context;
	const int x = int_arg(args, 0);

	atomic_fetch_add(&work->ran[x], 1);
	*(int *)result = 100 + x;
	if (x == 2) {
		atomic_store(&work->code,
		             work->iter ? mppool_iter_cancel(work->iter) : mppool_result_cancel(work->result));
		atomic_store(&work->stopped[x], (unsigned)mppool_should_stop());
	}
	return 0;
}

START_TEST(cancel_by_an_item_of_the_call_itself)
{
	struct work work;
	int ys[N], codes[N];
	mppool *const pool = pool_of(1);
	struct mppool_func func = work_func(&work);
	const struct mppool_iterable items = work_items(&work, N);

	work_set(&work, -1, -1);
	func.call = cancels_itself;
	assert_ok(mppool_map_async(pool, &func, &items, ys, 1, MPPOOL_CALL(.codes = codes), &work.result));
	assert_code(mppool_result_get(work.result, NULL, MPPOOL_FOREVER), ECANCELED);
	assert_code(atomic_load(&work.code), 0);
	ck_assert_uint_eq(atomic_load(&work.stopped[2]), 1);
	for (int i = 0; i < N; i++) {
		assert_code(codes[i], i <= 2 ? 0 : ECANCELED);
		ck_assert_uint_eq(atomic_load(&work.ran[i]), i <= 2);
	}
	mppool_result_free(work.result);
	assert_each_dropped_once(&work, N);
	pool_finish(pool);
	gate_destroy(&work.gate);
}
END_TEST

static void cancelling_callback(const void *results, size_t n, void *userdata)
{
	struct waiting *const both = userdata;

	(void)results;
	(void)n;
	both[0].code = mppool_result_cancel(both[0].result);
	both[1].code = mppool_result_cancel(both[1].result);
}

START_TEST(cancel_in_a_callback)
{
	struct hold hold;
	struct waiting both[2] = {{.code = -1}, {.code = -1}};
	int y;
	mppool *const pool = pool_of(1);
	const struct mppool_func func = make_func(square_call, 1, sizeof(int), NULL);
	const struct mppool_func empty = make_func(square_call, 1, sizeof(int), NULL);

	hold_workers(&hold, pool, 1);
	assert_ok(mppool_apply_async(pool, &func, MPPOOL_ARGS(&numbers[2]), NULL, &both[1].result));
	/* Empty, so that its callback comes although the worker is held. */
	assert_ok(mppool_map_async(pool, &empty, MPPOOL_ARRAY(numbers, 0), NULL, 0,
	                           MPPOOL_CALL(.callback = cancelling_callback, .userdata = both), &both[0].result));
	assert_ok(mppool_result_wait(both[0].result, MPPOOL_FOREVER));
	assert_code(both[0].code, EBUSY);                /* itself: nothing is left that could not run */
	assert_code(both[1].code, 0);
	assert_code(mppool_result_get(both[1].result, &y, MPPOOL_FOREVER), ECANCELED);
	assert_ok(mppool_result_get(both[0].result, NULL, MPPOOL_FOREVER));
	hold_release(&hold);
	mppool_result_free(both[0].result);
	mppool_result_free(both[1].result);
	pool_finish(pool);
}
END_TEST

/* The generator stands at a gate before its item 4; what it drew before that has run. */
START_TEST(cancel_map_over_a_generator_that_stands)
{
	struct gate gate;
	struct source source = {.length = 100, .block_at = 4, .gate = &gate};
	struct mppool_iterable items = source_items(&source);
	mppool_result *result = NULL;
	struct recorder recorder;
	size_t done = 0, total = 0;
	mppool *const pool = pool_of(2);
	const struct mppool_func func = make_func(record_call, 1, sizeof(int), &recorder);

	gate_init(&gate);
	recorder_init(&recorder);
	assert_ok(mppool_map_async(pool, &func, &items, NULL, 1, NULL, &result));
	gate_wait_arrivals(&gate, 1);
	assert_ok(mppool_result_cancel(result));
	/* The generator is still inside its next: it may touch its state, so the result must wait for it. */
	assert_code(mppool_result_wait(result, 0.02), ETIMEDOUT);
	ck_assert_uint_eq(atomic_load(&source.finished), 0);
	gate_open(&gate);
	assert_code(mppool_result_get(result, NULL, MPPOOL_FOREVER), ECANCELED);
	ck_assert_uint_eq(atomic_load(&source.finished), 1);
	ck_assert_int_eq(atomic_load(&source.saw_stop), 1);
	ck_assert_int_eq(atomic_load(&source.after_finish), 0);
	ck_assert_uint_le(atomic_load(&source.drawn), 5);
	ck_assert_uint_le(recorded_count(&recorder), 5);
	assert_ok(mppool_result_progress(result, &done, &total));
	mppool_result_free(result);
	assert_pool_goes_on(pool);
	pool_finish(pool);
	gate_destroy(&gate);
	recorder_destroy(&recorder);
}
END_TEST

START_TEST(free_before_ready_lets_the_call_go_on)
{
	struct work work;
	int ys[N];
	mppool *const pool = pool_of(1);

	work_set(&work, 3, 3);
	work_map(&work, pool, N, 1, ys, NULL);
	gate_wait_arrivals(&work.gate, 1);
	mppool_result_free(work.result);
	gate_open(&work.gate);
	pool_finish(pool);
	for (int i = 0; i < N; i++) {
		ck_assert_uint_eq(atomic_load(&work.ran[i]), 1);
		ck_assert_int_eq(ys[i], 100 + i);
	}
	assert_callbacks(&work, 1, 0, 0);
	assert_each_dropped_once(&work, N);
	gate_destroy(&work.gate);
}
END_TEST

START_TEST(free_after_cancel_ends_it_all_the_same)
{
	struct work work;
	int ys[N];
	mppool *const pool = pool_of(1);

	work_set(&work, 3, 3);
	work_map(&work, pool, N, 1, ys, NULL);
	gate_wait_arrivals(&work.gate, 1);
	assert_ok(mppool_result_cancel(work.result));
	mppool_result_free(work.result);
	gate_open(&work.gate);
	pool_finish(pool);
	for (int i = 0; i < N; i++)
		ck_assert_uint_eq(atomic_load(&work.ran[i]), i <= 3);
	assert_callbacks(&work, 0, 1, ECANCELED);
	assert_each_dropped_once(&work, N);
	gate_destroy(&work.gate);
}
END_TEST

/* --------------------------------------------------------------------------------------------------------- streams */

/* Each of these runs twice: with mppool_imap, and with mppool_imap_unordered when _i is 1. */

static void work_imap(struct work *work, mppool *pool, bool unordered, size_t n, size_t chunksize, size_t buffersize)
{
	const struct mppool_func func = work_func(work);
	const struct mppool_iterable items = work_items(work, n);

	if (unordered)
		assert_ok(mppool_imap_unordered(pool, &func, &items, chunksize, buffersize, NULL, &work->iter));
	else
		assert_ok(mppool_imap(pool, &func, &items, chunksize, buffersize, NULL, &work->iter));
}

/* Takes what comes until the end. Returns how many results there were before ECANCELED, which must come once. */
static int take_until_cancelled(mppool_iter *iter, bool unordered)
{
	int y, n = 0, code;
	size_t index;

	while ((code = mppool_iter_next(iter, &y, &index, MPPOOL_FOREVER)) == 0) {
		ck_assert_int_eq(y, 100 + (int)index);
		if (!unordered)
			ck_assert_uint_eq(index, (size_t)n);
		n++;
	}
	assert_code(code, ECANCELED);
	for (int turn = 0; turn < 3; turn++)
		assert_code(mppool_iter_next(iter, &y, &index, turn ? 0.0 : MPPOOL_FOREVER), MPPOOL_ESTOP);
	return n;
}

START_TEST(iter_cancel_queued_stream_never_runs)
{
	struct work work;
	struct hold hold;
	mppool *const pool = pool_of(1);

	work_set(&work, -1, -1);
	hold_workers(&hold, pool, 1);
	work_imap(&work, pool, _i, N, 1, 4);
	assert_ok(mppool_iter_cancel(work.iter));
	ck_assert_int_eq(take_until_cancelled(work.iter, _i), 0);
	ck_assert_int_ne(mppool_iter_cancel(work.iter), 0);
	mppool_iter_free(work.iter);
	hold_release(&hold);
	assert_each_dropped_once(&work, N);
	for (int i = 0; i < N; i++)
		ck_assert_uint_eq(atomic_load(&work.ran[i]), 0);
	assert_pool_goes_on(pool);
	pool_finish(pool);
	gate_destroy(&work.gate);
}
END_TEST

START_TEST(iter_cancel_running_stream_gives_what_ran)
{
	struct work work;
	int y = 0;
	mppool *const pool = pool_of(1);

	work_set(&work, 3, 3);
	work_imap(&work, pool, _i, N, 1, N);
	gate_wait_arrivals(&work.gate, 1);
	assert_ok(mppool_iter_next(work.iter, &y, NULL, MPPOOL_FOREVER));
	ck_assert_int_eq(y, 100);
	assert_ok(mppool_iter_cancel(work.iter));
	assert_ok(mppool_iter_next(work.iter, &y, NULL, MPPOOL_FOREVER));
	ck_assert_int_eq(y, 101);
	assert_ok(mppool_iter_next(work.iter, &y, NULL, MPPOOL_FOREVER));
	ck_assert_int_eq(y, 102);
	assert_code(mppool_iter_next(work.iter, &y, NULL, 0.02), ETIMEDOUT);     /* item 3 runs */
	gate_open(&work.gate);
	assert_ok(mppool_iter_next(work.iter, &y, NULL, MPPOOL_FOREVER));
	ck_assert_int_eq(y, 103);
	ck_assert_uint_eq(atomic_load(&work.stopped[3]), 1);
	assert_code(mppool_iter_next(work.iter, &y, NULL, MPPOOL_FOREVER), ECANCELED);
	assert_code(mppool_iter_next(work.iter, &y, NULL, MPPOOL_FOREVER), MPPOOL_ESTOP);
	assert_code(mppool_iter_next(work.iter, &y, NULL, 0), MPPOOL_ESTOP);
	mppool_iter_free(work.iter);
	assert_each_dropped_once(&work, N);
	for (int i = 0; i < N; i++)
		ck_assert_uint_eq(atomic_load(&work.ran[i]), i <= 3);
	assert_pool_goes_on(pool);
	pool_finish(pool);
	gate_destroy(&work.gate);
}
END_TEST

START_TEST(iter_cancel_in_the_middle_of_a_chunk)
{
	struct work work;
	mppool *const pool = pool_of(1);

	work_set(&work, 3, 3);
	work_imap(&work, pool, _i, N, 6, N);
	gate_wait_arrivals(&work.gate, 1);
	assert_ok(mppool_iter_cancel(work.iter));
	gate_open(&work.gate);
	ck_assert_int_eq(take_until_cancelled(work.iter, _i), 4);
	mppool_iter_free(work.iter);
	assert_each_dropped_once(&work, N);
	for (int i = 0; i < N; i++)
		ck_assert_uint_eq(atomic_load(&work.ran[i]), i <= 3);
	pool_finish(pool);
	gate_destroy(&work.gate);
}
END_TEST

#define LONG 10000

/* A cancel calls the hooks of items that were never drawn. While the last of them stands, workers get lost. */
struct losing {
	struct gate gate;                /* the second worker's initializer stands there */
	struct gate through;             /* open: it is through */
	atomic_bool begun;               /* the stream that counts */
	atomic_uint workers;
	atomic_uchar dropped[LONG];
};

static int losing_initialize(void *arg, void **ret_state)
{
	struct losing *const losing = arg;

	*ret_state = NULL;
	if (atomic_fetch_add(&losing->workers, 1) == 1) {
		gate_wait(&losing->gate);
		gate_wait(&losing->through);
	}
	return 0;
}

static int losing_call(const void *const args[], void *result, void *context)
{
	struct losing *const losing = context;

	(void)args;
	*(int *)result = 1;
	if (atomic_load(&losing->begun))
		pthread_exit(NULL);
	return 0;
}

static void losing_drop_args(const void *const args[], void *context)
{
	struct losing *const losing = context;

	if (!atomic_load(&losing->begun))
		return;
	atomic_fetch_add(&losing->dropped[int_arg(args, 0)], 1);
	if (int_arg(args, 0) == LONG - 1) {
		gate_open(&losing->gate);
		gate_wait_arrivals(&losing->through, 1);
		thread_sleeps("mppool-w0");      /* whoever is worker 0 by then: there is nothing for it to do */
	}
}

static struct losing losing;
static int many[LONG];

/* What a lost worker leaves, in a place of its own, does not take the place of what another left before it. */
START_TEST(iter_cancel_while_workers_get_lost_ends_each_item_once)
{
	struct mppool_func func = make_func(losing_call, 1, sizeof(int), &losing);
	mppool_iter *iter = NULL;
	mppool *pool = NULL;
	int code;

	func.drop_args = losing_drop_args;
	gate_init(&losing.gate);
	gate_init(&losing.through);
	gate_open(&losing.through);
	for (int i = 0; i < LONG; i++)
		many[i] = i;
	const struct mppool_options *const options =
	        MPPOOL_OPTIONS(.workers = 1, .initializer = losing_initialize, .initarg = &losing);
	assert_ok(mppool_create(options, &pool));
	assert_ok(mppool_imap(pool, &func, MPPOOL_ARRAY(many, LONG), 1, MPPOOL_UNBOUNDED, NULL, &iter));
	while ((code = mppool_iter_next(iter, NULL, NULL, MPPOOL_FOREVER)) == 0)
		;                                /* so many short ones that the worker takes several at once */
	assert_code(code, MPPOOL_ESTOP);
	mppool_iter_free(iter);
	assert_ok(mppool_wait_idle(pool, MPPOOL_FOREVER));
	atomic_store(&losing.begun, true);
	assert_ok(mppool_imap(pool, &func, MPPOOL_ARRAY(many, LONG), 4, 64, NULL, &iter));
	gate_wait_arrivals(&losing.gate, 1);
	assert_ok(mppool_iter_cancel(iter));
	while ((code = mppool_iter_next(iter, NULL, NULL, MPPOOL_FOREVER)) == MPPOOL_ETASK)
		;
	assert_code(code, ECANCELED);
	mppool_iter_free(iter);
	for (int i = 0; i < LONG; i++)
		ck_assert_uint_eq(atomic_load(&losing.dropped[i]), 1);
	pool_finish(pool);
	gate_destroy(&losing.gate);
	gate_destroy(&losing.through);
}
END_TEST

START_TEST(iter_cancel_ended_stream_takes_nothing_away)
{
	struct work work;
	int y = 0, sum = 0;
	mppool *const pool = pool_of(1);

	work_set(&work, -1, -1);
	work_imap(&work, pool, _i, N, 1, MPPOOL_UNBOUNDED);
	assert_ok(mppool_close(pool));
	assert_ok(mppool_join(pool, MPPOOL_FOREVER));    /* so that everything has ended */
	const int code = mppool_iter_cancel(work.iter);
	ck_assert(code == EBUSY || code == EALREADY);
	for (int i = 0; i < N; i++) {
		assert_ok(mppool_iter_next(work.iter, &y, NULL, 0));
		sum += y - 100;
	}
	ck_assert_int_eq(sum, N * (N - 1) / 2);
	assert_code(mppool_iter_next(work.iter, &y, NULL, 0), MPPOOL_ESTOP);
	assert_code(mppool_iter_cancel(work.iter), EALREADY);
	assert_code(mppool_iter_next(work.iter, &y, NULL, 0), MPPOOL_ESTOP);
	mppool_iter_free(work.iter);
	assert_each_dropped_once(&work, N);
	assert_ok(mppool_destroy(pool));
	gate_destroy(&work.gate);
}
END_TEST

START_TEST(iter_cancel_stream_that_waits_for_its_reader)
{
	struct work work;
	mppool *const pool = pool_of(1);

	work_set(&work, -1, -1);
	work_imap(&work, pool, _i, N, 1, 3);
	while (atomic_load(&work.ran[2]) == 0)
		sched_yield();
	ck_assert(thread_sleeps("mppool-w0"));           /* the buffer is full */
	assert_ok(mppool_iter_cancel(work.iter));
	ck_assert_int_eq(take_until_cancelled(work.iter, _i), 3);
	mppool_iter_free(work.iter);
	assert_each_dropped_once(&work, N);
	assert_pool_goes_on(pool);
	pool_finish(pool);
	gate_destroy(&work.gate);
}
END_TEST

START_TEST(iter_cancel_endless_generator)
{
	struct source source = SOURCE(MPPOOL_UNKNOWN);
	struct mppool_iterable items = source_items(&source);
	int y, n = 0, code;
	mppool_iter *iter = NULL;
	mppool *const pool = pool_of(2);
	const struct mppool_func func = make_func(square_call, 1, sizeof(int), NULL);

	assert_ok((_i ? mppool_imap_unordered : mppool_imap)(pool, &func, &items, 2, 6, NULL, &iter));
	for (int i = 0; i < 20; i++)
		assert_ok(mppool_iter_next(iter, &y, NULL, MPPOOL_FOREVER));
	assert_ok(mppool_iter_cancel(iter));
	while ((code = mppool_iter_next(iter, &y, NULL, MPPOOL_FOREVER)) == 0)
		n++;
	ck_assert_int_le(n, 6);
	assert_code(code, ECANCELED);
	assert_code(mppool_iter_next(iter, &y, NULL, MPPOOL_FOREVER), MPPOOL_ESTOP);
	mppool_iter_free(iter);
	ck_assert_uint_eq(atomic_load(&source.finished), 1);
	ck_assert_int_eq(atomic_load(&source.after_finish), 0);
	assert_pool_goes_on(pool);
	pool_finish(pool);
}
END_TEST

START_TEST(iter_cancel_generator_that_stands)
{
	struct gate gate;
	struct source source = {.length = 100, .block_at = 4, .gate = &gate};
	struct mppool_iterable items = source_items(&source);
	int y;
	mppool_iter *iter = NULL;
	mppool *const pool = pool_of(2);
	const struct mppool_func func = make_func(square_call, 1, sizeof(int), NULL);

	gate_init(&gate);
	assert_ok((_i ? mppool_imap_unordered : mppool_imap)(pool, &func, &items, 1, 20, NULL, &iter));
	gate_wait_arrivals(&gate, 1);
	for (int i = 0; i < 4; i++)
		assert_ok(mppool_iter_next(iter, &y, NULL, MPPOOL_FOREVER));
	assert_ok(mppool_iter_cancel(iter));
	gate_open(&gate);
	int code = mppool_iter_next(iter, &y, NULL, MPPOOL_FOREVER);
	if (code == 0)                                   /* the item that next was at, if it counts as started */
		code = mppool_iter_next(iter, &y, NULL, MPPOOL_FOREVER);
	assert_code(code, ECANCELED);
	assert_code(mppool_iter_next(iter, &y, NULL, MPPOOL_FOREVER), MPPOOL_ESTOP);
	mppool_iter_free(iter);
	ck_assert_int_eq(atomic_load(&source.saw_stop), 1);
	ck_assert_uint_le(atomic_load(&source.drawn), 5);
	ck_assert_uint_eq(atomic_load(&source.finished), 1);
	pool_finish(pool);
	gate_destroy(&gate);
}
END_TEST

static void take_to_the_end(void *arg)
{
	struct waiting *const waiting = arg;
	int y, code;

	waiting->code = 0;
	while ((code = mppool_iter_next(waiting->iter, &y, NULL, MPPOOL_FOREVER)) != MPPOOL_ESTOP)
		waiting->code += code == ECANCELED ? 1 : code ? 1000 : 0;
}

START_TEST(iter_cancel_ends_all_consumers_and_tells_one)
{
	struct work work;
	struct runner runners[4];
	struct waiting waiting[4];
	int told = 0;
	mppool *const pool = pool_of(1);

	work_set(&work, 0, N);
	work_imap(&work, pool, _i, N, 1, N);
	gate_wait_arrivals(&work.gate, 1);
	for (int i = 0; i < 4; i++) {
		waiting[i] = (struct waiting){.iter = work.iter};
		runner_start(&runners[i], take_to_the_end, &waiting[i]);
	}
	pause_briefly();
	assert_ok(mppool_iter_cancel(work.iter));
	gate_open(&work.gate);
	for (int i = 0; i < 4; i++) {
		runner_join(&runners[i]);
		told += waiting[i].code;
	}
	ck_assert_int_eq(told, 1);
	mppool_iter_free(work.iter);
	assert_each_dropped_once(&work, N);
	pool_finish(pool);
	gate_destroy(&work.gate);
}
END_TEST

START_TEST(iter_cancel_by_an_item_of_the_stream_itself)
{
	struct work work;
	mppool *const pool = pool_of(1);
	struct mppool_func func = work_func(&work);
	const struct mppool_iterable items = work_items(&work, N);

	work_set(&work, -1, -1);
	func.call = cancels_itself;
	assert_ok((_i ? mppool_imap_unordered : mppool_imap)(pool, &func, &items, 1, N, NULL, &work.iter));
	ck_assert_int_eq(take_until_cancelled(work.iter, _i), 3);
	assert_code(atomic_load(&work.code), 0);
	ck_assert_uint_eq(atomic_load(&work.stopped[2]), 1);
	mppool_iter_free(work.iter);
	assert_each_dropped_once(&work, N);
	pool_finish(pool);
	gate_destroy(&work.gate);
}
END_TEST

static int cancelling_next(void *const args[], void *state)
{
	struct work *const work = state;

	*(int *)args[0] = (int)atomic_fetch_add(&work->called_back, 1);
	if (*(int *)args[0] == 3)
		atomic_store(&work->code, mppool_iter_cancel(work->iter));
	if (*(int *)args[0] >= 3)
		atomic_store(&work->stopped[0], (unsigned)mppool_should_stop());
	return *(int *)args[0] < N ? 0 : MPPOOL_ESTOP;
}

START_TEST(iter_cancel_by_its_own_generator)
{
	struct work work;
	int y, code, n = 0;
	mppool *const pool = pool_of(1);
	const struct mppool_iterable items = {.size = sizeof items, .next = cancelling_next, .finish = work_finish,
	                                      .state = &work};
	const struct mppool_func func = make_func(square_call, 1, sizeof(int), NULL);

	work_set(&work, -1, -1);
	assert_ok((_i ? mppool_imap_unordered : mppool_imap)(pool, &func, &items, 1, N, NULL, &work.iter));
	while ((code = mppool_iter_next(work.iter, &y, NULL, MPPOOL_FOREVER)) == 0)
		n++;
	assert_code(code, ECANCELED);
	ck_assert_int_le(n, 4);
	assert_code(atomic_load(&work.code), 0);
	assert_code(mppool_iter_next(work.iter, &y, NULL, MPPOOL_FOREVER), MPPOOL_ESTOP);
	mppool_iter_free(work.iter);
	ck_assert_uint_eq(atomic_load(&work.stopped[0]), 1);
	ck_assert_uint_eq(atomic_load(&work.called_back), 4);
	ck_assert_uint_eq(atomic_load(&work.finished), 1);
	pool_finish(pool);
	gate_destroy(&work.gate);
}
END_TEST

static void free_iter(void *arg)
{
	mppool_iter_free(arg);
}

START_TEST(iter_free_waits_for_what_runs)
{
	struct work work;
	struct runner runner;
	mppool *const pool = pool_of(2);

	work_set(&work, 0, N);
	work.until_stopped = true;
	work_imap(&work, pool, _i, N, 1, N);
	gate_wait_arrivals(&work.gate, 2);
	runner_start(&runner, free_iter, work.iter);
	pause_briefly();
	ck_assert(!runner_done(&runner));
	gate_open(&work.gate);
	runner_join(&runner);
	/* From here on the library touches nothing of it. */
	assert_each_dropped_once(&work, N);
	unsigned ran = 0;
	for (int i = 0; i < N; i++) {
		ran += atomic_load(&work.ran[i]);
		ck_assert_uint_eq(atomic_load(&work.stopped[i]), atomic_load(&work.ran[i]));
	}
	ck_assert_uint_eq(ran, 2);
	assert_pool_goes_on(pool);
	pool_finish(pool);
	gate_destroy(&work.gate);
}
END_TEST

START_TEST(iter_free_in_every_other_state)
{
	struct work work;
	struct hold hold;
	int y;
	mppool *const pool = pool_of(1);

	/* Queued. */
	work_set(&work, -1, -1);
	hold_workers(&hold, pool, 1);
	work_imap(&work, pool, _i, N, 1, 4);
	mppool_iter_free(work.iter);
	assert_each_dropped_once(&work, N);
	hold_release(&hold);
	ck_assert_uint_eq(atomic_load(&work.ran[0]), 0);
	/* Some taken, some waiting for the reader. */
	for (int taken = 1; taken < N; taken += 3) {
		work_set(&work, -1, -1);
		work_imap(&work, pool, _i, N, 1, 4);
		for (int i = 0; i < taken; i++)
			assert_ok(mppool_iter_next(work.iter, &y, NULL, MPPOOL_FOREVER));
		mppool_iter_free(work.iter);
		assert_each_dropped_once(&work, N);
	}
	/* Cancelled. */
	work_set(&work, -1, -1);
	work_imap(&work, pool, _i, N, 1, 4);
	mppool_iter_cancel(work.iter);
	mppool_iter_free(work.iter);
	assert_each_dropped_once(&work, N);
	pool_finish(pool);
	gate_destroy(&work.gate);
}
END_TEST

static int frees_its_iterator(const void *const args[], void *result, void *context)
{
	struct work *const work = context;

	atomic_fetch_add(&work->ran[int_arg(args, 0)], 1);
	*(int *)result = 0;
	if (int_arg(args, 0) == 1) {
		mppool_iter_free(work->iter);
		atomic_store(&work->stopped[1], (unsigned)mppool_should_stop());
	}
	return 0;
}

START_TEST(iter_free_inside_one_of_its_items_does_not_wait)
{
	struct work work;
	mppool *const pool = pool_of(1);
	struct mppool_func func = work_func(&work);
	const struct mppool_iterable items = work_items(&work, N);

	work_set(&work, -1, -1);
	func.call = frees_its_iterator;
	assert_ok((_i ? mppool_imap_unordered : mppool_imap)(pool, &func, &items, 1, N, NULL, &work.iter));
	pool_finish(pool);
	assert_each_dropped_once(&work, N);
	ck_assert_uint_eq(atomic_load(&work.stopped[1]), 1);
	for (int i = 0; i < N; i++)
		ck_assert_uint_eq(atomic_load(&work.ran[i]), i <= 1);
	gate_destroy(&work.gate);
}
END_TEST

static int freeing_next(void *const args[], void *state)
{
	struct work *const work = state;

	*(int *)args[0] = (int)atomic_fetch_add(&work->called_back, 1);
	if (*(int *)args[0] == 2)
		mppool_iter_free(work->iter);
	return *(int *)args[0] < N ? 0 : MPPOOL_ESTOP;
}

START_TEST(iter_free_inside_its_own_next_does_not_wait)
{
	struct work work;
	mppool *const pool = pool_of(1);
	const struct mppool_iterable items = {.size = sizeof items, .next = freeing_next, .finish = work_finish,
	                                      .state = &work};
	const struct mppool_func func = make_func(square_call, 1, sizeof(int), NULL);

	work_set(&work, -1, -1);
	assert_ok((_i ? mppool_imap_unordered : mppool_imap)(pool, &func, &items, 1, N, NULL, &work.iter));
	pool_finish(pool);
	ck_assert_uint_eq(atomic_load(&work.called_back), 3);
	ck_assert_uint_eq(atomic_load(&work.finished), 1);
	gate_destroy(&work.gate);
}
END_TEST

/* ----------------------------------------------------------------------------------------------------- the program */

static void fill(Suite *suite)
{
	TCase *const results = add_case(suite, "results");
	TCase *const streams = add_case(suite, "streams");

	tcase_add_test(results, cancel_queued_call_never_runs);
	tcase_add_loop_test(results, cancel_running_call_is_ebusy_and_takes_its_course, 0, 2);
	tcase_add_test(results, cancel_ended_call_is_ealready_and_changes_nothing);
	tcase_add_loop_test(results, cancel_partly_run_map_keeps_what_ran, 0, 6);
	tcase_add_test(results, cancel_prevails_over_a_failed_item);
	tcase_add_test(results, cancel_map_whose_items_all_run_is_ebusy);
	tcase_add_test(results, cancel_map_with_items_running_on_several_workers);
	tcase_add_test(results, cancel_lets_a_chunk_function_end);
	tcase_add_test(results, cancel_one_call_stops_no_other);
	tcase_add_test(results, cancel_never_loses_the_next_task);
	tcase_add_test(results, cancel_wakes_everybody_who_waits);
	tcase_add_test(results, cancel_ends_a_nested_call_and_its_waiter_goes_on);
	tcase_add_test(results, cancel_by_an_item_of_the_call_itself);
	tcase_add_test(results, cancel_in_a_callback);
	tcase_add_test(results, cancel_map_over_a_generator_that_stands);
	tcase_add_test(results, free_before_ready_lets_the_call_go_on);
	tcase_add_test(results, free_after_cancel_ends_it_all_the_same);
	tcase_add_loop_test(streams, iter_cancel_queued_stream_never_runs, 0, 2);
	tcase_add_loop_test(streams, iter_cancel_running_stream_gives_what_ran, 0, 2);
	tcase_add_loop_test(streams, iter_cancel_in_the_middle_of_a_chunk, 0, 2);
	tcase_add_test(streams, iter_cancel_while_workers_get_lost_ends_each_item_once);
	tcase_add_loop_test(streams, iter_cancel_ended_stream_takes_nothing_away, 0, 2);
	tcase_add_loop_test(streams, iter_cancel_stream_that_waits_for_its_reader, 0, 2);
	tcase_add_loop_test(streams, iter_cancel_endless_generator, 0, 2);
	tcase_add_loop_test(streams, iter_cancel_generator_that_stands, 0, 2);
	tcase_add_loop_test(streams, iter_cancel_ends_all_consumers_and_tells_one, 0, 2);
	tcase_add_loop_test(streams, iter_cancel_by_an_item_of_the_stream_itself, 0, 2);
	tcase_add_loop_test(streams, iter_cancel_by_its_own_generator, 0, 2);
	tcase_add_loop_test(streams, iter_free_waits_for_what_runs, 0, 2);
	tcase_add_loop_test(streams, iter_free_in_every_other_state, 0, 2);
	tcase_add_loop_test(streams, iter_free_inside_one_of_its_items_does_not_wait, 0, 2);
	tcase_add_loop_test(streams, iter_free_inside_its_own_next_does_not_wait, 0, 2);
}

int main(int argc, char **argv)
{
	return run_suite("cancel", fill, argc, argv);
}
