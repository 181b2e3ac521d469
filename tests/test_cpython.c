/* test_cpython.c - the behaviours that CPython tests on its own pool, under the names that it gives them
 *
 * SPDX-License-Identifier: MIT
 *
 * Each test here asks of the C calls what the test of that name asks of multiprocessing.pool.Pool. Where Python's test
 * measures time, a gate makes the order certain; where mppool is better on purpose, the test asks for the better. */
#define _GNU_SOURCE 1
#include "support.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

static int sqr(int x)
{
	return x * x;
}
MPPOOL_FUNC(sqr_task, int, sqr, int);

static int mul(int x, int y)
{
	return x * y;
}
MPPOOL_FUNC(mul_task, int, mul, int, int);

static int raises(int x)
{
	mppool_raise(EINVAL, "invalid literal %d", x);
	return -1;
}
MPPOOL_FUNC(raises_task, int, raises, int);

static void fill_range(int *xs, size_t n)
{
	for (size_t i = 0; i < n; i++)
		xs[i] = (int)i;
}

static void assert_squares(const int *ys, size_t n)
{
	for (size_t i = 0; i < n; i++)
		ck_assert_int_eq(ys[i], (int)(i * i));
}

/* ------------------------------------------------------------------------------------------------------ apply, map */

START_TEST(test_apply)
{
	mppool *const pool = pool_of(4);
	int y = 0;

	assert_ok(mppool_apply(pool, &sqr_task, MPPOOL_ARGS(&(int){5}), &y));
	ck_assert_int_eq(y, 25);
	assert_ok(mppool_apply(pool, &mul_task, MPPOOL_ARGS(&(int){3}, &(int){-7}), &y));
	ck_assert_int_eq(y, -21);
	pool_finish(pool);
}
END_TEST

START_TEST(test_map)
{
	mppool *const pool = pool_of(4);
	int xs[100], ys[100] = {0};

	fill_range(xs, 100);
	assert_ok(mppool_map(pool, &sqr_task, MPPOOL_ARRAY(xs, 10), ys, 0));
	assert_squares(ys, 10);
	ck_assert_int_eq(ys[10], 0);
	memset(ys, 0, sizeof ys);
	assert_ok(mppool_map(pool, &sqr_task, MPPOOL_ARRAY(xs, 100), ys, 20));
	assert_squares(ys, 100);
	pool_finish(pool);
}
END_TEST

static void check_starmap(mppool *pool, size_t n, size_t chunksize)
{
	int up[100], down[100], ys[100] = {0};

	for (size_t i = 0; i < n; i++) {
		up[i] = (int)i;
		down[i] = (int)(n - 1 - i);
	}
	assert_ok(mppool_starmap(pool, &mul_task, MPPOOL_ZIP(n, MPPOOL_COLUMN(up), MPPOOL_COLUMN(down)), ys,
	                         chunksize));
	for (size_t i = 0; i < n; i++)
		ck_assert_int_eq(ys[i], up[i] * down[i]);
}

START_TEST(test_starmap)
{
	mppool *const pool = pool_of(4);

	check_starmap(pool, 10, 0);
	check_starmap(pool, 100, 20);
	pool_finish(pool);
}
END_TEST

START_TEST(test_starmap_async)
{
	mppool *const pool = pool_of(4);
	int xs[100], ys[100] = {0}, k = 3;
	mppool_result *result = NULL;

	fill_range(xs, 100);
	assert_ok(mppool_starmap_async(pool, &mul_task, MPPOOL_ZIP(100, MPPOOL_COLUMN(xs), MPPOOL_REPEAT(&k)), NULL, 0,
	                               NULL, &result));
	assert_ok(mppool_result_get(result, ys, MPPOOL_FOREVER));
	for (int i = 0; i < 100; i++)
		ck_assert_int_eq(ys[i], 3 * i);
	mppool_result_free(result);
	pool_finish(pool);
}
END_TEST

START_TEST(test_map_async)
{
	mppool *const pool = pool_of(4);
	int xs[10], ys[10] = {0}, copy[10] = {0};
	mppool_result *result = NULL;

	fill_range(xs, 10);
	assert_ok(mppool_map_async(pool, &sqr_task, MPPOOL_ARRAY(xs, 10), ys, 0, NULL, &result));
	assert_ok(mppool_result_get(result, copy, MPPOOL_FOREVER));
	assert_squares(ys, 10);
	assert_squares(copy, 10);
	ck_assert_ptr_eq(mppool_result_value(result), ys);
	mppool_result_free(result);
	pool_finish(pool);
}
END_TEST

struct call_args {
	atomic_int values, errors;
	atomic_int value, code;
	atomic_size_t n;
};

static void append_value(const void *results, size_t n, void *userdata)
{
	struct call_args *const calls = userdata;

	atomic_fetch_add(&calls->values, 1);
	atomic_store(&calls->n, n);
	if (n > 0)
		atomic_store(&calls->value, *(const int *)results);
}

static void append_error(const struct mppool_error *error, void *userdata)
{
	struct call_args *const calls = userdata;

	atomic_fetch_add(&calls->errors, 1);
	atomic_store(&calls->code, error->code);
}

START_TEST(test_map_async_callbacks)
{
	mppool *const pool = pool_of(4);
	struct call_args calls = {0};
	const struct mppool_call_options options = {.size = sizeof options,
	                                            .callback = append_value,
	                                            .error_callback = append_error,
	                                            .userdata = &calls};
	int x = 9;
	mppool_result *result = NULL;

	assert_ok(mppool_map_async(pool, &sqr_task, MPPOOL_ARRAY(&x, 1), NULL, 0, &options, &result));
	assert_ok(mppool_result_wait(result, MPPOOL_FOREVER));
	ck_assert_int_eq(calls.values, 1);
	ck_assert_int_eq(calls.errors, 0);
	ck_assert_uint_eq(calls.n, 1);
	ck_assert_int_eq(calls.value, 81);
	mppool_result_free(result);

	assert_ok(mppool_map_async(pool, &raises_task, MPPOOL_ARRAY(&x, 1), NULL, 0, &options, &result));
	assert_ok(mppool_result_wait(result, MPPOOL_FOREVER));
	ck_assert_int_eq(calls.values, 1);
	ck_assert_int_eq(calls.errors, 1);
	ck_assert_int_eq(calls.code, EINVAL);
	mppool_result_free(result);
	pool_finish(pool);
}
END_TEST

/* Python's map fails when an item cannot be pickled. Nothing is pickled here: what Python refuses, a function and the
 * address of something on the caller's stack, goes through as it is. */
struct unpicklable {
	int (*f)(int);
	int *place;
};

static int call_unpicklable(struct unpicklable item)
{
	return *item.place = item.f(*item.place);
}
MPPOOL_FUNC(unpicklable_task, int, call_unpicklable, struct unpicklable);

START_TEST(test_map_unplicklable)
{
	mppool *const pool = pool_of(2);
	int places[10], ys[10] = {0};
	struct unpicklable items[10];

	fill_range(places, 10);
	for (int i = 0; i < 10; i++)
		items[i] = (struct unpicklable){sqr, &places[i]};
	assert_ok(mppool_map(pool, &unpicklable_task, MPPOOL_ARRAY(items, 10), ys, 0));
	assert_squares(ys, 10);
	assert_squares(places, 10);
	pool_finish(pool);
}
END_TEST

START_TEST(test_map_chunksize)
{
	mppool *const pool = pool_of(4);
	const int *const none = NULL;
	mppool_result *result = NULL;

	assert_ok(mppool_map_async(pool, &sqr_task, MPPOOL_ARRAY(none, 0), NULL, 1, NULL, &result));
	assert_ok(mppool_result_get(result, NULL, MPPOOL_FOREVER));
	mppool_result_free(result);
	pool_finish(pool);
}
END_TEST

enum { SAY_WHEN = 4711 };

START_TEST(test_map_handle_iterable_exception)
{
	mppool *const pool = pool_of(4);
	int y = 0;

	for (size_t when = 0; when <= 3; when += 3) {
		struct source source = {.length = 10, .fail_at = when, .fail_code = SAY_WHEN};
		struct mppool_iterable items = source_items(&source);
		assert_code(mppool_map(pool, &sqr_task, &items, NULL, 1), MPPOOL_EITER);
		ck_assert_int_eq(mppool_last_error()->code, SAY_WHEN);
		ck_assert_uint_eq(mppool_last_error()->index, when);
		ck_assert_uint_eq(source.finished, 1);
	}
	/* An iterable that says how long it is, and then fails: the length must not be believed. */
	int ys[10] = {0};
	struct source source = {.length = 10, .fail_at = 0, .fail_code = SAY_WHEN, .fail_message = "when"};
	struct mppool_iterable items = source_items(&source);
	items.length = 10;
	assert_code(mppool_map(pool, &sqr_task, &items, ys, 1), MPPOOL_EITER);
	ck_assert_str_eq(mppool_last_error()->message, "when");
	assert_ok(mppool_apply(pool, &sqr_task, MPPOOL_ARGS(&(int){4}), &y));
	ck_assert_int_eq(y, 16);
	pool_finish(pool);
}
END_TEST

/* ----------------------------------------------------------------------------------------------------------- async */

START_TEST(test_async)
{
	mppool *const pool = pool_of(4);
	struct gate gate;
	gate_init(&gate);
	const struct mppool_func func = make_func(gate_call, 1, sizeof(int), &gate);
	mppool_result *result = NULL;
	int y = -1;

	assert_ok(mppool_apply_async(pool, &func, MPPOOL_ARGS(&(int){49}), NULL, &result));
	gate_wait_arrivals(&gate, 1);
	ck_assert_int_eq(mppool_result_ready(result), 0);
	gate_open(&gate);
	assert_ok(mppool_result_get(result, &y, MPPOOL_FOREVER));
	ck_assert_int_eq(y, 49);
	ck_assert_int_eq(mppool_result_ready(result), 1);
	mppool_result_free(result);
	pool_finish(pool);
	gate_destroy(&gate);
}
END_TEST

START_TEST(test_async_timeout)
{
	mppool *const pool = pool_of(4);
	struct gate gate;
	gate_init(&gate);
	const struct mppool_func func = make_func(gate_call, 1, sizeof(int), &gate);
	mppool_result *result = NULL;
	int y = -1;

	assert_ok(mppool_apply_async(pool, &func, MPPOOL_ARGS(&(int){36}), NULL, &result));
	const double start = seconds_now();
	assert_code(mppool_result_get(result, &y, 0.05), ETIMEDOUT);
	ck_assert_double_ge(seconds_now() - start, 0.05);
	ck_assert_int_eq(y, -1);
	gate_open(&gate);
	assert_ok(mppool_result_get(result, &y, MPPOOL_FOREVER));
	ck_assert_int_eq(y, 36);
	mppool_result_free(result);
	pool_finish(pool);
	gate_destroy(&gate);
}
END_TEST

/* ------------------------------------------------------------------------------------------------------------ imap */

static void check_imap(mppool *pool, size_t n, size_t chunksize)
{
	int *const xs = calloc(n, sizeof *xs);
	mppool_iter *iter = NULL;
	size_t index = 77;
	int y = -1;

	ck_assert_ptr_nonnull(xs);
	fill_range(xs, n);
	assert_ok(mppool_imap(pool, &sqr_task, MPPOOL_ARRAY(xs, n), chunksize, 0, NULL, &iter));
	for (size_t i = 0; i < n; i++) {
		assert_ok(mppool_iter_next(iter, &y, &index, MPPOOL_FOREVER));
		ck_assert_int_eq(y, (int)(i * i));
		ck_assert_uint_eq(index, i);
	}
	assert_code(mppool_iter_next(iter, &y, &index, MPPOOL_FOREVER), MPPOOL_ESTOP);
	assert_code(mppool_iter_next(iter, &y, &index, MPPOOL_FOREVER), MPPOOL_ESTOP);
	mppool_iter_free(iter);
	free(xs);
}

START_TEST(test_imap)
{
	mppool *const pool = pool_of(4);

	check_imap(pool, 10, 0);
	check_imap(pool, 1000, 1);
	check_imap(pool, 1000, 100);
	pool_finish(pool);
}
END_TEST

/* Python loses the partial chunk before the failure; here every item drawn is worked on, then comes the failure. */
static void check_imap_failing_input(mppool *pool, size_t when, size_t chunksize)
{
	struct source source = {.length = 20, .fail_at = when, .fail_code = SAY_WHEN};
	const struct mppool_iterable items = source_items(&source);
	mppool_iter *iter = NULL;
	int y = -1;

	assert_ok(mppool_imap(pool, &sqr_task, &items, chunksize, 0, NULL, &iter));
	for (size_t i = 0; i < when; i++) {
		assert_ok(mppool_iter_next(iter, &y, NULL, MPPOOL_FOREVER));
		ck_assert_int_eq(y, (int)(i * i));
	}
	assert_code(mppool_iter_next(iter, &y, NULL, MPPOOL_FOREVER), MPPOOL_EITER);
	ck_assert_int_eq(mppool_last_error()->code, SAY_WHEN);
	ck_assert_uint_eq(mppool_last_error()->index, when);
	assert_code(mppool_iter_next(iter, &y, NULL, MPPOOL_FOREVER), MPPOOL_ESTOP);
	mppool_iter_free(iter);
	ck_assert_uint_eq(source.finished, 1);
}

START_TEST(test_imap_handle_iterable_exception)
{
	mppool *const pool = pool_of(4);

	check_imap_failing_input(pool, 0, 1);
	check_imap_failing_input(pool, 3, 1);
	check_imap_failing_input(pool, 7, 2);
	check_imap_failing_input(pool, 7, 4);
	pool_finish(pool);
}
END_TEST

static void check_imap_unordered(mppool *pool, size_t n, size_t chunksize)
{
	int *const xs = calloc(n, sizeof *xs);
	struct recorder seen;
	mppool_iter *iter = NULL;
	size_t index = 0;
	int y = -1;

	ck_assert_ptr_nonnull(xs);
	fill_range(xs, n);
	recorder_init(&seen);
	assert_ok(mppool_imap_unordered(pool, &sqr_task, MPPOOL_ARRAY(xs, n), chunksize, 0, NULL, &iter));
	for (size_t i = 0; i < n; i++) {
		assert_ok(mppool_iter_next(iter, &y, &index, MPPOOL_FOREVER));
		ck_assert_int_eq(y, (int)(index * index));
		record(&seen, (int)index);
	}
	assert_code(mppool_iter_next(iter, &y, &index, MPPOOL_FOREVER), MPPOOL_ESTOP);
	ck_assert(recorded_each_once(&seen, 0, n));
	recorder_destroy(&seen);
	mppool_iter_free(iter);
	free(xs);
}

START_TEST(test_imap_unordered)
{
	mppool *const pool = pool_of(4);

	check_imap_unordered(pool, 10, 0);
	check_imap_unordered(pool, 1000, 1);
	check_imap_unordered(pool, 1000, 100);
	pool_finish(pool);
}
END_TEST

static void check_unordered_failing_input(mppool *pool, size_t when, size_t chunksize)
{
	struct source source = {.length = 20, .fail_at = when, .fail_code = SAY_WHEN};
	const struct mppool_iterable items = source_items(&source);
	struct recorder seen;
	mppool_iter *iter = NULL;
	size_t index = 0;
	int y = -1;

	recorder_init(&seen);
	assert_ok(mppool_imap_unordered(pool, &sqr_task, &items, chunksize, 0, NULL, &iter));
	for (size_t i = 0; i < when; i++) {
		assert_ok(mppool_iter_next(iter, &y, &index, MPPOOL_FOREVER));
		ck_assert_int_eq(y, (int)(index * index));
		record(&seen, (int)index);
	}
	ck_assert(recorded_each_once(&seen, 0, when));
	assert_code(mppool_iter_next(iter, &y, NULL, MPPOOL_FOREVER), MPPOOL_EITER);
	ck_assert_int_eq(mppool_last_error()->code, SAY_WHEN);
	assert_code(mppool_iter_next(iter, &y, NULL, MPPOOL_FOREVER), MPPOOL_ESTOP);
	mppool_iter_free(iter);
	recorder_destroy(&seen);
}

START_TEST(test_imap_unordered_handle_iterable_exception)
{
	mppool *const pool = pool_of(4);

	check_unordered_failing_input(pool, 0, 1);
	check_unordered_failing_input(pool, 3, 1);
	check_unordered_failing_input(pool, 7, 2);
	pool_finish(pool);
}
END_TEST

/* ----------------------------------------------------------------------------------------------- making and ending */

START_TEST(test_make_pool)
{
	int place;
	mppool *const untouched = (mppool *)(void *)&place;
	mppool *pool = untouched;

	assert_code(mppool_create(MPPOOL_OPTIONS(.workers = -1), &pool), EINVAL);
	ck_assert_ptr_eq(pool, untouched);
	pool = pool_of(3);
	ck_assert_uint_eq(threads_settle("mppool-w", 3), 3);
	pool_finish(pool);
	ck_assert_uint_eq(threads_settle("mppool", 0), 0);
}
END_TEST

static int count_and_wait(const void *const args[], void *result, void *context)
{
	(void)args;
	(void)result;
	gate_wait(context);
	return 0;
}

START_TEST(test_terminate)
{
	mppool *const pool = pool_of(2);
	struct gate gate;
	gate_init(&gate);
	const struct mppool_func func = make_func(count_and_wait, 0, 0, &gate);
	mppool_result *result = NULL;

	assert_ok(mppool_starmap_async(pool, &func, MPPOOL_TIMES(10000), NULL, 1, NULL, &result));
	gate_wait_arrivals(&gate, 2);
	assert_ok(mppool_terminate(pool));
	gate_open(&gate);
	assert_ok(mppool_join(pool, MPPOOL_FOREVER));
	ck_assert_uint_eq(gate_arrivals(&gate), 2);
	assert_code(mppool_result_get(result, NULL, MPPOOL_FOREVER), MPPOOL_ETERMINATED);
	mppool_result_free(result);
	assert_ok(mppool_destroy(pool));
	gate_destroy(&gate);
}
END_TEST

START_TEST(test_empty_iterable)
{
	mppool *const pool = pool_of(1);
	const int *const none = NULL;
	mppool_result *result = NULL;
	mppool_iter *iter = NULL;
	int y = -1;

	assert_ok(mppool_map(pool, &sqr_task, MPPOOL_ARRAY(none, 0), NULL, 0));
	assert_ok(mppool_map_async(pool, &sqr_task, MPPOOL_ARRAY(none, 0), NULL, 0, NULL, &result));
	ck_assert_int_eq(mppool_result_ready(result), 1);
	assert_ok(mppool_result_get(result, NULL, MPPOOL_FOREVER));
	mppool_result_free(result);
	assert_ok(mppool_imap(pool, &sqr_task, MPPOOL_ARRAY(none, 0), 1, 0, NULL, &iter));
	assert_code(mppool_iter_next(iter, &y, NULL, MPPOOL_FOREVER), MPPOOL_ESTOP);
	mppool_iter_free(iter);
	assert_ok(mppool_imap_unordered(pool, &sqr_task, MPPOOL_ARRAY(none, 0), 1, 0, NULL, &iter));
	assert_code(mppool_iter_next(iter, &y, NULL, MPPOOL_FOREVER), MPPOOL_ESTOP);
	mppool_iter_free(iter);
	pool_finish(pool);
}
END_TEST

START_TEST(test_context)
{
	int xs[10], ys[10] = {0}, runs = 0;
	mppool_result *result = NULL;

	fill_range(xs, 10);
	MPPOOL_WITH(pool, .workers = 2) {
		assert_ok(mppool_map_async(pool, &sqr_task, MPPOOL_ARRAY(xs, 10), NULL, 0, NULL, &result));
		assert_ok(mppool_result_get(result, ys, MPPOOL_FOREVER));
		assert_ok(mppool_terminate(pool));
		assert_ok(mppool_join(pool, MPPOOL_FOREVER));
		assert_code(mppool_map(pool, &sqr_task, MPPOOL_ARRAY(xs, 10), ys, 0), MPPOOL_ECLOSED);
		runs++;
	} else {
		runs += 100;
	}
	ck_assert_int_eq(runs, 1);
	assert_squares(ys, 10);
	assert_squares(mppool_result_value(result), 10);         /* it outlives its pool */
	mppool_result_free(result);
	ck_assert_uint_eq(threads_settle("mppool", 0), 0);
}
END_TEST

START_TEST(test_enter)
{
	int ran = 0, refused = 0;

	MPPOOL_WITH(pool, .workers = 1)
		ran += mppool_state(pool) == MPPOOL_RUN;
	ck_assert_int_eq(ran, 1);
	MPPOOL_WITH(pool, .workers = -1)
		ran++;
	else
		refused++;
	ck_assert_int_eq(ran, 1);
	ck_assert_int_eq(refused, 1);
	for (int i = 0; i < 3; i++)
		MPPOOL_WITH(pool, .workers = 1) {
			ran++;
			break;                           /* leaves the block, not the loop around it */
		}
	ck_assert_int_eq(ran, 4);
	ck_assert_uint_eq(threads_settle("mppool", 0), 0);
}
END_TEST

/* Python warns when a running pool is dropped. Dropping one here is mppool_destroy(), which leaves nothing behind. */
START_TEST(test_resource_warning)
{
	struct hold hold;
	mppool *pool = pool_of(2);

	assert_ok(mppool_destroy(pool));                         /* running, idle */
	ck_assert_uint_eq(threads_settle("mppool", 0), 0);
	pool = pool_of(2);
	hold_workers(&hold, pool, 2);
	gate_open(&hold.gate);
	assert_ok(mppool_destroy(pool));                         /* running, busy */
	ck_assert_uint_eq(threads_settle("mppool", 0), 0);
	hold_release(&hold);
	pool = pool_of(2);
	assert_ok(mppool_close(pool));
	assert_ok(mppool_destroy(pool));                         /* closed, not joined */
	ck_assert_uint_eq(threads_settle("mppool", 0), 0);
	assert_ok(mppool_destroy(NULL));
}
END_TEST

/* In Python a pool that nobody refers to is collected although its threads and iterators exist. Here destroy frees the
 * pool although results and iterators exist, and they stay usable. */
START_TEST(test_del_pool)
{
	mppool *const pool = pool_of(1);
	int xs[3] = {1, 2, 3}, y = -1;
	mppool_result *result = NULL;
	mppool_iter *iter = NULL;

	assert_ok(mppool_apply_async(pool, &sqr_task, MPPOOL_ARGS(&xs[2]), NULL, &result));
	assert_ok(mppool_imap(pool, &sqr_task, MPPOOL_ARRAY(xs, 3), 1, 0, NULL, &iter));
	assert_ok(mppool_close(pool));
	assert_ok(mppool_destroy(pool));
	ck_assert_uint_eq(threads_settle("mppool", 0), 0);
	assert_ok(mppool_result_get(result, &y, 0));
	ck_assert_int_eq(y, 9);
	for (int i = 0; i < 3; i++) {
		assert_ok(mppool_iter_next(iter, &y, NULL, 0));
		ck_assert_int_eq(y, xs[i] * xs[i]);
	}
	assert_code(mppool_iter_next(iter, &y, NULL, 0), MPPOOL_ESTOP);
	mppool_result_free(result);
	mppool_iter_free(iter);
}
END_TEST

static int set_flag(void *initarg, void **ret_state)
{
	atomic_int *const flag = initarg;

	atomic_fetch_add(flag, 1);
	*ret_state = flag;
	return 0;
}

START_TEST(test_pool_initializer)
{
	mppool *pool = NULL;
	atomic_int flag = 0;

	assert_ok(mppool_create(MPPOOL_OPTIONS(.workers = 1, .initializer = set_flag, .initarg = &flag), &pool));
	ck_assert_int_eq(flag, 1);
	pool_finish(pool);
	ck_assert_int_eq(flag, 1);
}
END_TEST

/* bpo-19675: a constructor that fails half way leaves no worker behind. */
static int fail_third(void *initarg, void **ret_state)
{
	(void)ret_state;
	if (atomic_fetch_add((atomic_int *)initarg, 1) == 2)
		return mppool_raise(EIO, "no licence");
	return 0;
}

START_TEST(test_release_unused_processes)
{
	mppool *pool = NULL;
	atomic_int started = 0;

	assert_code(mppool_create(MPPOOL_OPTIONS(.workers = 4, .initializer = fail_third, .initarg = &started), &pool),
	            MPPOOL_EBROKEN);
	ck_assert_ptr_null(pool);
	ck_assert_int_ge(started, 3);
	ck_assert_int_eq(mppool_last_error()->code, EIO);
	ck_assert_str_eq(mppool_last_error()->message, "no licence");
	ck_assert_uint_eq(threads_settle("mppool", 0), 0);
}
END_TEST

/* -------------------------------------------------------------------------------------------------------- failures */

enum { SOME_CODE = 123 };

static int raise_comment(int x)
{
	mppool_raise(SOME_CODE, "RuntimeError(%d): some comment", x);
	return 0;
}
MPPOOL_FUNC(raise_comment_task, int, raise_comment, int);

/* What the exception's traceback is in Python, the message is here: it names the cause in the worker. */
START_TEST(test_traceback)
{
	mppool *const pool = pool_of(2);
	int xs[3] = {7, 8, 9}, y = -1;
	mppool_result *result = NULL;

	assert_code(mppool_apply(pool, &raise_comment_task, MPPOOL_ARGS(&(int){123}), &y), MPPOOL_ETASK);
	ck_assert_int_eq(y, -1);
	ck_assert_int_eq(mppool_last_error()->code, SOME_CODE);
	ck_assert_uint_eq(mppool_last_error()->index, 0);
	ck_assert_str_eq(mppool_last_error()->message, "RuntimeError(123): some comment");

	assert_ok(mppool_map_async(pool, &raise_comment_task, MPPOOL_ARRAY(xs, 3), NULL, 1, NULL, &result));
	assert_code(mppool_result_get(result, NULL, MPPOOL_FOREVER), MPPOOL_ETASK);
	const struct mppool_error *const error = mppool_result_error(result);
	ck_assert_ptr_nonnull(error);
	ck_assert_int_eq(error->code, SOME_CODE);
	ck_assert_uint_eq(error->index, 0);
	ck_assert_str_eq(error->message, "RuntimeError(7): some comment");
	mppool_result_free(result);
	/* This thread's last error does not go with the result. */
	ck_assert_str_eq(mppool_last_error()->message, "RuntimeError(7): some comment");
	pool_finish(pool);
}
END_TEST

static int reraise_call(const void *const args[], void *result, void *context)
{
	int y;

	(void)context;
	(void)result;
	const int code = mppool_apply(mppool_current(), &raise_comment_task, args, &y);
	return mppool_raise(code, "re-raised: %s", mppool_last_error()->message);
}

/* A failure that wraps another, and codes that no errno has: negative ones, and those of the library. */
START_TEST(test_wrapped_exception)
{
	mppool *const pool = pool_of(1);
	const struct mppool_func func = make_func(reraise_call, 1, sizeof(int), NULL);
	int y = -1;

	assert_code(mppool_apply(pool, &func, MPPOOL_ARGS(&(int){5}), &y), MPPOOL_ETASK);
	ck_assert_int_eq(mppool_last_error()->code, MPPOOL_ETASK);
	ck_assert_str_eq(mppool_last_error()->message, "re-raised: RuntimeError(5): some comment");
	pool_finish(pool);
}
END_TEST

static int return_code_call(const void *const args[], void *result, void *context)
{
	(void)result;
	(void)context;
	return int_arg(args, 0);
}

START_TEST(test_wrapped_exception_codes_pass_unchanged)
{
	mppool *const pool = pool_of(1);
	const struct mppool_func func = make_func(return_code_call, 1, 0, NULL);
	const int codes[] = {-1, INT_MIN, INT_MAX, ENOENT, MPPOOL_ETERMINATED, MPPOOL_ESTOP, MPPOOL_ELOST, ECANCELED};

	for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
		assert_code(mppool_apply(pool, &func, MPPOOL_ARGS(&codes[i]), NULL), MPPOOL_ETASK);
		ck_assert_int_eq(mppool_last_error()->code, codes[i]);
		ck_assert_str_eq(mppool_last_error()->message, mppool_strerror(codes[i]));
	}
	pool_finish(pool);
}
END_TEST

/* bpo-23992: the first failure does not make map return while other items still run. */
static int fail_or_wait(const void *const args[], void *result, void *context)
{
	struct gate *const gates = context;

	(void)result;
	if (int_arg(args, 0) == 0)
		return EINVAL;
	gate_wait(&gates[0]);
	gate_wait(&gates[1]);
	return 0;
}

struct failfast {
	mppool *pool;
	struct mppool_func func;
	int code;
};

static void failfast_map(void *arg)
{
	struct failfast *const test = arg;
	int xs[2] = {0, 1};

	test->code = mppool_map(test->pool, &test->func, MPPOOL_ARRAY(xs, 2), NULL, 1);
}

START_TEST(test_map_no_failfast)
{
	struct gate gates[2];
	struct failfast test = {.pool = pool_of(2), .code = -1};
	struct runner runner;

	gate_init(&gates[0]);
	gate_init(&gates[1]);
	test.func = make_func(fail_or_wait, 1, 0, gates);
	runner_start(&runner, failfast_map, &test);
	gate_wait_arrivals(&gates[0], 1);
	gate_open(&gates[0]);
	gate_wait_arrivals(&gates[1], 1);
	pause_briefly();
	ck_assert(!runner_done(&runner));
	gate_open(&gates[1]);
	runner_join(&runner);
	assert_code(test.code, MPPOOL_ETASK);
	pool_finish(test.pool);
	gate_destroy(&gates[0]);
	gate_destroy(&gates[1]);
}
END_TEST

/* bpo-29861: nothing holds on to arguments and results once they are not needed. */
static atomic_int instances;

static int identity_call(const void *const args[], void *result, void *context)
{
	(void)context;
	*(int **)result = *(int *const *)args[0];
	atomic_fetch_add(&instances, 1);                         /* the result is a second reference */
	return 0;
}

static void drop_arg(const void *const args[], void *context)
{
	(void)args;
	(void)context;
	atomic_fetch_sub(&instances, 1);
}

static void drop_result(void *result, void *context)
{
	(void)context;
	free(*(int **)result);
	atomic_fetch_sub(&instances, 1);
}

START_TEST(test_release_task_refs)
{
	mppool *const pool = pool_of(2);
	struct mppool_func func = MPPOOL_FUNC_INIT;
	int *objects[10], *results[10];

	func.call = identity_call;
	func.nargs = 1;
	func.arg_size[0] = func.result_size = sizeof(int *);
	func.drop_args = drop_arg;
	func.drop_result = drop_result;
	for (int i = 0; i < 10; i++)
		ck_assert_ptr_nonnull(objects[i] = malloc(sizeof(int)));
	atomic_store(&instances, 10);
	assert_ok(mppool_map(pool, &func, MPPOOL_ARRAY(objects, 10), results, 0));
	ck_assert_int_eq(instances, 10);                         /* ten results in our hands, no argument */
	for (int i = 0; i < 10; i++)
		ck_assert_ptr_eq(results[i], objects[i]);
	assert_ok(mppool_map(pool, &func, MPPOOL_ARRAY(objects, 10), NULL, 0));
	ck_assert_int_eq(instances, 0);                          /* nobody took those: all ten were dropped too */
	pool_finish(pool);
	ck_assert_int_eq(instances, 0);
}
END_TEST

/* ------------------------------------------------------------------------------------------------- worker lifetime */

struct life {
	atomic_int chunks;
	int tid;
};

struct lives {
	struct life life[256];
	atomic_size_t begun, ended;
};

static int life_begin(void *initarg, void **ret_state)
{
	struct lives *const lives = initarg;
	const size_t i = atomic_fetch_add(&lives->begun, 1);

	if (i >= sizeof lives->life / sizeof *lives->life)
		return ERANGE;
	lives->life[i].tid = thread_id();
	*ret_state = &lives->life[i];
	return 0;
}

static void life_end(void *initarg, void *state)
{
	struct lives *const lives = initarg;
	const struct life *const life = state;

	if (life->tid == thread_id() && mppool_worker_state() == state)
		atomic_fetch_add(&lives->ended, 1);
}

static int life_sqr(int x)
{
	struct life *const life = mppool_worker_state();

	if (life->tid != thread_id())
		mppool_raise(EINVAL, "the state of another worker");
	atomic_fetch_add(&life->chunks, 1);
	return x * x;
}
MPPOOL_FUNC(life_task, int, life_sqr, int);

static mppool *pool_with_lives(struct lives *lives, int workers, size_t tasks)
{
	mppool *pool = NULL;

	memset(lives, 0, sizeof *lives);
	assert_ok(mppool_create(MPPOOL_OPTIONS(.workers = workers, .initializer = life_begin, .finalizer = life_end,
	                                       .initarg = lives, .max_tasks_per_worker = tasks),
	                        &pool));
	return pool;
}

static void check_hundred_squares(mppool *pool)
{
	mppool_result *results[100];
	int y;

	for (int i = 0; i < 100; i++)
		assert_ok(mppool_apply_async(pool, &life_task, MPPOOL_ARGS(&i), NULL, &results[i]));
	for (int i = 0; i < 100; i++) {
		assert_ok(mppool_result_get(results[i], &y, MPPOOL_FOREVER));
		ck_assert_int_eq(y, i * i);
		mppool_result_free(results[i]);
	}
}

START_TEST(test_pool_worker_lifetime)
{
	static struct lives lives;
	mppool *const pool = pool_with_lives(&lives, 3, 10);
	int sum = 0;

	ck_assert_uint_eq(lives.begun, 3);
	check_hundred_squares(pool);
	ck_assert_uint_eq(threads_settle("mppool-w", 3), 3);     /* replaced under the same names */
	pool_finish(pool);
	for (size_t i = 0; i < lives.begun; i++) {
		ck_assert_int_le(lives.life[i].chunks, 10);
		sum += lives.life[i].chunks;
	}
	ck_assert_int_eq(sum, 100);
	ck_assert_uint_ge(lives.begun, 10);
	ck_assert_uint_eq(lives.ended, lives.begun);
}
END_TEST

/* bpo-10332: workers are replaced after close, too, until the work is done. */
START_TEST(test_pool_worker_lifetime_early_close)
{
	static struct lives lives;
	mppool *const pool = pool_with_lives(&lives, 3, 1);
	mppool_result *results[6];
	struct hold hold;
	int y;

	hold_workers(&hold, pool, 3);
	for (int i = 0; i < 6; i++)
		assert_ok(mppool_apply_async(pool, &life_task, MPPOOL_ARGS(&i), NULL, &results[i]));
	assert_ok(mppool_close(pool));
	hold_release(&hold);
	assert_ok(mppool_join(pool, MPPOOL_FOREVER));
	for (int i = 0; i < 6; i++) {
		assert_ok(mppool_result_get(results[i], &y, 0));
		ck_assert_int_eq(y, i * i);
		mppool_result_free(results[i]);
	}
	for (size_t i = 0; i < lives.begun; i++)
		ck_assert_int_le(lives.life[i].chunks, 1);
	ck_assert_uint_ge(lives.begun, 9);
	ck_assert_uint_eq(lives.ended, lives.begun);
	assert_ok(mppool_destroy(pool));
}
END_TEST

/* Python refuses 0, negative and fractional values. Here the type leaves only 0, which like None means never. */
START_TEST(test_pool_maxtasksperchild_invalid)
{
	static struct lives lives;
	mppool *const pool = pool_with_lives(&lives, 2, 0);

	check_hundred_squares(pool);
	pool_finish(pool);
	ck_assert_uint_eq(lives.begun, 2);
	ck_assert_uint_eq(lives.ended, 2);
}
END_TEST

/* gh-83856: workers run their finalizers, however the pool ends. */
START_TEST(test_worker_finalization_via_atexit_handler_of_multiprocessing)
{
	static struct lives lives;
	mppool *pool = pool_with_lives(&lives, 3, 0);

	pool_finish(pool);
	ck_assert_uint_eq(lives.ended, 3);
	pool = pool_with_lives(&lives, 3, 0);
	assert_ok(mppool_terminate(pool));
	assert_ok(mppool_join(pool, MPPOOL_FOREVER));
	ck_assert_uint_eq(lives.ended, 3);
	assert_ok(mppool_destroy(pool));
	pool = pool_with_lives(&lives, 3, 0);
	assert_ok(mppool_destroy(pool));
	ck_assert_uint_eq(lives.ended, 3);
}
END_TEST

static void fill(Suite *suite)
{
	TCase *tcase = add_case(suite, "calls");
	tcase_add_test(tcase, test_apply);
	tcase_add_test(tcase, test_map);
	tcase_add_test(tcase, test_starmap);
	tcase_add_test(tcase, test_starmap_async);
	tcase_add_test(tcase, test_map_async);
	tcase_add_test(tcase, test_map_async_callbacks);
	tcase_add_test(tcase, test_map_unplicklable);
	tcase_add_test(tcase, test_map_chunksize);
	tcase_add_test(tcase, test_map_handle_iterable_exception);
	tcase_add_test(tcase, test_async);
	tcase_add_test(tcase, test_async_timeout);

	tcase = add_case(suite, "imap");
	tcase_add_test(tcase, test_imap);
	tcase_add_test(tcase, test_imap_handle_iterable_exception);
	tcase_add_test(tcase, test_imap_unordered);
	tcase_add_test(tcase, test_imap_unordered_handle_iterable_exception);

	tcase = add_case(suite, "life");
	tcase_add_test(tcase, test_make_pool);
	tcase_add_test(tcase, test_terminate);
	tcase_add_test(tcase, test_empty_iterable);
	tcase_add_test(tcase, test_context);
	tcase_add_test(tcase, test_enter);
	tcase_add_test(tcase, test_resource_warning);
	tcase_add_test(tcase, test_del_pool);
	tcase_add_test(tcase, test_pool_initializer);
	tcase_add_test(tcase, test_release_unused_processes);

	tcase = add_case(suite, "failures");
	tcase_add_test(tcase, test_traceback);
	tcase_add_test(tcase, test_wrapped_exception);
	tcase_add_test(tcase, test_wrapped_exception_codes_pass_unchanged);
	tcase_add_test(tcase, test_map_no_failfast);
	tcase_add_test(tcase, test_release_task_refs);

	tcase = add_case(suite, "workers");
	tcase_add_test(tcase, test_pool_worker_lifetime);
	tcase_add_test(tcase, test_pool_worker_lifetime_early_close);
	tcase_add_test(tcase, test_pool_maxtasksperchild_invalid);
	tcase_add_test(tcase, test_worker_finalization_via_atexit_handler_of_multiprocessing);
}

int main(int argc, char **argv)
{
	return run_suite("cpython", fill, argc, argv);
}
