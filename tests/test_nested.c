/* test_nested.c - tasks that submit to their own pool and wait, callers that help
 *
 * SPDX-License-Identifier: MIT
 *
 * A task that waits runs what it waits for, and only that. So every test here also runs with a single worker, where a
 * pool without this would hang. */
#define _GNU_SOURCE 1
#include "support.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>

static int sqr(int x)
{
	return x * x;
}
MPPOOL_FUNC(sqr_task, int, sqr, int);

static mppool *pool_with(const struct mppool_options *options)
{
	mppool *pool = NULL;

	assert_ok(mppool_create(options, &pool));
	return pool;
}

/* ------------------------------------------------------------------------------------------------------- recursion */

static long fib(int n);
MPPOOL_FUNC(fib_task, long, fib, int);

static long fib(int n)
{
	const int first = n - 1, second = n - 2;
	mppool_result *result = NULL;
	long a = 0, b = 0;

	if (n < 2)
		return n;
	int code = mppool_apply_async(mppool_current(), &fib_task, MPPOOL_ARGS(&first), NULL, &result);
	if (code == 0)
		code = mppool_apply(mppool_current(), &fib_task, MPPOOL_ARGS(&second), &b);
	if (code == 0)
		code = mppool_result_get(result, &a, MPPOOL_FOREVER);
	mppool_result_free(result);
	if (code != 0)
		mppool_raise(code, "fib(%d): %s", n, mppool_strerrorname(code));
	return a + b;
}

static void check_fib(const struct mppool_options *options)
{
	mppool *const pool = pool_with(options);
	long y = 0;

	assert_ok(mppool_apply(pool, &fib_task, MPPOOL_ARGS(&(int){13}), &y));
	ck_assert_int_eq(y, 233);
	pool_finish(pool);
}

START_TEST(fib_by_nested_apply_ends_with_any_number_of_workers)
{
	check_fib(MPPOOL_OPTIONS(.workers = 1));
	check_fib(MPPOOL_OPTIONS(.workers = 2));
	check_fib(MPPOOL_OPTIONS(.workers = 4));
}
END_TEST

START_TEST(fib_with_full_queue_ends)
{
	check_fib(MPPOOL_OPTIONS(.workers = 1, .queue_limit = 1));
	check_fib(MPPOOL_OPTIONS(.workers = 2, .queue_limit = 2));
}
END_TEST

START_TEST(fib_with_workers_that_retire_ends)
{
	check_fib(MPPOOL_OPTIONS(.workers = 1, .max_tasks_per_worker = 1));
	check_fib(MPPOOL_OPTIONS(.workers = 2, .max_tasks_per_worker = 2));
}
END_TEST

START_TEST(fib_with_helping_callers_ends)
{
	check_fib(MPPOOL_OPTIONS(.workers = 1, .flags = MPPOOL_CALLER_HELPS));
	check_fib(MPPOOL_OPTIONS(.workers = 2, .flags = MPPOOL_CALLER_HELPS));
}
END_TEST

/* How deep a recursion goes: each level is one task that waits for the next. */
static int descend(int levels);
MPPOOL_FUNC(descend_task, int, descend, int);

static int descend(int levels)
{
	const int next = levels - 1;
	int y = 0;

	if (levels == 0)
		return 0;
	const int code = mppool_apply(mppool_current(), &descend_task, MPPOOL_ARGS(&next), &y);
	if (code != 0)
		mppool_raise(code, "level %d", levels);
	return y + 1;
}

START_TEST(recursion_of_many_levels_ends)
{
	for (int workers = 1; workers <= 2; workers++) {
		mppool *const pool = pool_of(workers);
		int y = 0;

		assert_ok(mppool_apply(pool, &descend_task, MPPOOL_ARGS(&(int){300}), &y));
		ck_assert_int_eq(y, 300);
		pool_finish(pool);
	}
}
END_TEST

/* Sums by maps in maps: a tree with eight branches at each level. */
static long tree(int levels);
MPPOOL_FUNC(tree_task, long, tree, int);

static long tree(int levels)
{
	const int next = levels - 1;
	long leaves[8] = {0}, sum = 0;

	if (levels == 0)
		return 1;
	const int code = mppool_starmap(mppool_current(), &tree_task, MPPOOL_ZIP(8, MPPOOL_REPEAT(&next)), leaves, 0);
	if (code != 0)
		mppool_raise(code, "level %d", levels);
	for (int i = 0; i < 8; i++)
		sum += leaves[i];
	return sum;
}

START_TEST(maps_inside_maps_end)
{
	for (int workers = 1; workers <= 4; workers *= 2) {
		mppool *const pool = pool_of(workers);
		long y = 0, ys[20];
		int levels = 2;

		assert_ok(mppool_apply(pool, &tree_task, MPPOOL_ARGS(&(int){3}), &y));
		ck_assert_int_eq(y, 512);
		assert_ok(mppool_starmap(pool, &tree_task, MPPOOL_ZIP(20, MPPOOL_REPEAT(&levels)), ys, 3));
		for (int i = 0; i < 20; i++)
			ck_assert_int_eq(ys[i], 64);
		pool_finish(pool);
	}
}
END_TEST

/* --------------------------------------------------------------------------------------- every call, inside a task */

static int nested_calls(int n)
{
	mppool *const pool = mppool_current();
	struct source source = SOURCE((size_t)n);
	const struct mppool_iterable items = source_items(&source);
	int *const xs = calloc((size_t)n, sizeof *xs), *const ys = calloc((size_t)n, sizeof *ys), sum = 0;
	mppool_result *result = NULL;
	int code = mppool_map_async(pool, &sqr_task, &items, NULL, 2, NULL, &result);

	if (code == 0)
		code = mppool_result_get(result, ys, MPPOOL_FOREVER);
	mppool_result_free(result);
	for (int i = 0; i < n; i++) {
		xs[i] = i;
		sum += ys[i];
	}
	if (code == 0)
		code = mppool_map(pool, &sqr_task, MPPOOL_ARRAY(xs, (size_t)n), ys, 3);
	for (int i = 0; i < n; i++)
		sum += ys[i];
	free(xs);
	free(ys);
	if (code != 0)
		mppool_raise(code, "%s", mppool_strerrorname(code));
	return sum;
}
MPPOOL_FUNC(nested_calls_task, int, nested_calls, int);

static int nested_streams(int n)
{
	mppool *const pool = mppool_current();
	int sum = 0, code = 0;

	for (int kind = 0; kind < 4 && code == 0; kind++) {
		struct source source = SOURCE((size_t)n);
		const struct mppool_iterable items = source_items(&source);
		const size_t chunksize = kind < 2 ? 1 : 3;
		mppool_iter *iter = NULL;
		int y = 0;

		code = kind % 2 ? mppool_imap_unordered(pool, &sqr_task, &items, chunksize, 0, NULL, &iter)
		                : mppool_imap(pool, &sqr_task, &items, chunksize, 1, NULL, &iter);
		while (code == 0) {
			code = mppool_iter_next(iter, &y, NULL, MPPOOL_FOREVER);
			sum += code == 0 ? y : 0;
		}
		code = code == MPPOOL_ESTOP ? 0 : code;
		mppool_iter_free(iter);
	}
	if (code != 0)
		mppool_raise(code, "%s", mppool_strerrorname(code));
	return sum;
}
MPPOOL_FUNC(nested_streams_task, int, nested_streams, int);

static int sum_of_squares(int n)
{
	int sum = 0;

	for (int i = 0; i < n; i++)
		sum += i * i;
	return sum;
}

static void check_inside(const struct mppool_func *func, int times)
{
	for (int workers = 1; workers <= 2; workers++) {
		mppool *const pool = pool_of(workers);
		int xs[6], ys[6] = {0};

		for (int i = 0; i < 6; i++)
			xs[i] = 5 * (i + 1);
		assert_ok(mppool_map(pool, func, MPPOOL_ARRAY(xs, 6), ys, 1));
		for (int i = 0; i < 6; i++)
			ck_assert_int_eq(ys[i], times * sum_of_squares(xs[i]));
		pool_finish(pool);
	}
}

START_TEST(map_and_get_inside_tasks_end)
{
	check_inside(&nested_calls_task, 2);
}
END_TEST

START_TEST(imap_consumed_inside_tasks_ends)
{
	check_inside(&nested_streams_task, 4);
}
END_TEST

/* One worker is in a task that consumes a stream; what the stream's generator itself waits for has no worker left to
 * run it, and yet it comes. */
static int apply_next(void *const args[], void *state)
{
	int x = 0, y = 0, code = source_next((void *const[]){&x}, state);

	if (code == 0)
		code = mppool_apply(mppool_current(), &sqr_task, MPPOOL_ARGS(&x), &y);
	*(int *)args[0] = y;
	return code;
}

static int take_next(void *const args[], void *state)
{
	return mppool_iter_next(state, args[0], NULL, MPPOOL_FOREVER);
}

static int sum_stream(mppool_iter *iter, int *sum)
{
	int y = 0, code;

	while ((code = mppool_iter_next(iter, &y, NULL, MPPOOL_FOREVER)) == 0)
		*sum += y;
	return code == MPPOOL_ESTOP ? 0 : code;
}

static int generator_applies_call(const void *const args[], void *result, void *context)
{
	struct source source = SOURCE((size_t)int_arg(args, 0));
	struct mppool_iterable items = source_items(&source);
	mppool_iter *iter = NULL;
	int sum = 0;

	(void)context;
	items.next = apply_next;
	int code = mppool_imap(mppool_current(), &sqr_task, &items, 1, 0, NULL, &iter);
	if (code == 0)
		code = sum_stream(iter, &sum);
	mppool_iter_free(iter);
	*(int *)result = sum;
	return code;
}

static int pipeline_call(const void *const args[], void *result, void *context)
{
	struct source source = SOURCE((size_t)int_arg(args, 0));
	const struct mppool_iterable items = source_items(&source);
	struct mppool_iterable second = {.size = sizeof second, .next = take_next};
	mppool_iter *first_iter = NULL, *second_iter = NULL;
	int sum = 0, code = mppool_imap(mppool_current(), &sqr_task, &items, 1, 0, NULL, &first_iter);

	(void)context;
	second.state = first_iter;
	if (code == 0)
		code = mppool_imap(mppool_current(), &sqr_task, &second, 1, 2, NULL, &second_iter);
	if (code == 0)
		code = sum_stream(second_iter, &sum);
	mppool_iter_free(second_iter);
	mppool_iter_free(first_iter);
	*(int *)result = sum;
	return code;
}

static void check_fourth_powers(mppool_item_call *call)
{
	for (int workers = 1; workers <= 2; workers++) {
		mppool *const pool = pool_of(workers);
		const struct mppool_func func = make_func(call, 1, sizeof(int), NULL);
		int xs[3] = {10, 10, 10}, ys[3] = {0};

		assert_ok(mppool_map(pool, &func, MPPOOL_ARRAY(xs, 3), ys, 1));
		for (int i = 0; i < 3; i++)
			ck_assert_int_eq(ys[i], 15333);          /* 0 + 1 + 16 + 81 + ... + 6561 */
		pool_finish(pool);
	}
}

START_TEST(generator_that_applies_for_a_task_that_consumes_ends)
{
	check_fourth_powers(generator_applies_call);
}
END_TEST

START_TEST(pipeline_consumed_inside_tasks_ends)
{
	check_fourth_powers(pipeline_call);
}
END_TEST

/* A task that waits for what somebody else submitted before it could start. */
struct others {
	struct gate gate;
	mppool_result *result;
	mppool_iter *iter;
};

static int get_others_call(const void *const args[], void *result, void *context)
{
	struct others *const others = context;
	int y = 0, sum = 0, code;

	(void)args;
	gate_wait(&others->gate);
	code = mppool_result_get(others->result, &sum, MPPOOL_FOREVER);
	for (int i = 0; i < 5 && code == 0; i++) {
		code = mppool_iter_next(others->iter, &y, NULL, MPPOOL_FOREVER);
		sum += y;
	}
	*(int *)result = sum;
	return code;
}

START_TEST(task_that_waits_for_calls_of_others_runs_them)
{
	mppool *const pool = pool_of(1);
	struct others others = {.result = NULL};
	int xs[5] = {1, 2, 3, 4, 5}, y = 0;
	mppool_result *result = NULL;

	gate_init(&others.gate);
	const struct mppool_func func = make_func(get_others_call, 0, sizeof(int), &others);
	assert_ok(mppool_apply_async(pool, &func, NULL, NULL, &result));
	gate_wait_arrivals(&others.gate, 1);
	assert_ok(mppool_apply_async(pool, &sqr_task, MPPOOL_ARGS(&(int){10}), NULL, &others.result));
	assert_ok(mppool_imap(pool, &sqr_task, MPPOOL_ARRAY(xs, 5), 1, 0, NULL, &others.iter));
	gate_open(&others.gate);
	assert_ok(mppool_result_get(result, &y, MPPOOL_FOREVER));
	ck_assert_int_eq(y, 155);
	mppool_result_free(result);
	mppool_result_free(others.result);
	mppool_iter_free(others.iter);
	pool_finish(pool);
	gate_destroy(&others.gate);
}
END_TEST

struct timed {
	mppool_result *running;
	atomic_int code_poll, code_timed;
};

static int timed_wait_call(const void *const args[], void *result, void *context)
{
	struct timed *const timed = context;

	(void)args;
	(void)result;
	atomic_store(&timed->code_poll, mppool_result_wait(timed->running, 0));
	atomic_store(&timed->code_timed, mppool_result_wait(timed->running, 0.02));
	return 0;
}

#define PATIENT 1000                     /* items, of a millisecond each */

struct patience {
	mppool_iter *iter;
	struct gate gate;                /* the first item stands there */
	atomic_uint ran, ran_in_time;
	atomic_int code;
};

static int patient_item_call(const void *const args[], void *result, void *context)
{
	struct patience *const patience = context;

	if (int_arg(args, 0) == 0)
		gate_wait(&patience->gate);
	else
		nanosleep(&(const struct timespec){.tv_nsec = 1000000}, NULL);
	atomic_fetch_add(&patience->ran, 1);
	*(int *)result = 1;
	return 0;
}

static int patient_next_call(const void *const args[], void *result, void *context)
{
	struct patience *const patience = context;

	(void)args;
	(void)result;
	atomic_store(&patience->code, mppool_iter_next(patience->iter, NULL, NULL, 0.02));
	atomic_store(&patience->ran_in_time, atomic_load(&patience->ran));
	return 0;
}

/* A consumer in a task runs other items while it waits for its own, and stops when its time has run out. */
START_TEST(task_that_waits_for_an_item_times_out_although_there_are_others)
{
	static int xs[PATIENT];
	mppool *const pool = pool_of(2);
	struct patience patience = {.iter = NULL};
	mppool_result *result = NULL;
	const struct mppool_func item = make_func(patient_item_call, 1, sizeof(int), &patience);
	const struct mppool_func next = make_func(patient_next_call, 0, 0, &patience);

	for (int i = 0; i < PATIENT; i++)
		xs[i] = i;
	gate_init(&patience.gate);
	assert_ok(mppool_imap(pool, &item, MPPOOL_ARRAY(xs, PATIENT), 1, MPPOOL_UNBOUNDED, NULL, &patience.iter));
	gate_wait_arrivals(&patience.gate, 1);
	assert_ok(mppool_apply_async(pool, &next, NULL, MPPOOL_CALL(.priority = 1), &result));
	assert_ok(mppool_result_wait(result, MPPOOL_FOREVER));
	mppool_result_free(result);
	assert_code(atomic_load(&patience.code), ETIMEDOUT);
	ck_assert_uint_lt(atomic_load(&patience.ran_in_time), PATIENT - 1);
	gate_open(&patience.gate);
	mppool_iter_free(patience.iter);
	pool_finish(pool);
	gate_destroy(&patience.gate);
}
END_TEST

/* What runs on another worker cannot be helped with: the wait is a wait, and its time runs out. */
START_TEST(task_that_waits_for_a_running_task_times_out)
{
	mppool *const pool = pool_of(2);
	struct hold hold;

	hold_workers(&hold, pool, 1);
	struct timed timed = {.running = hold.results[0]};
	const struct mppool_func func = make_func(timed_wait_call, 0, 0, &timed);
	assert_ok(mppool_apply(pool, &func, NULL, NULL));
	assert_code(timed.code_poll, ETIMEDOUT);
	assert_code(timed.code_timed, ETIMEDOUT);
	hold_release(&hold);
	pool_finish(pool);
}
END_TEST

/* ------------------------------------------------------------------------------------------ what a task sees of it */

static int fail_call(const void *const args[], void *result, void *context)
{
	(void)result;
	(void)context;
	return mppool_raise(EIO, "inner %d", int_arg(args, 0));
}

struct view {
	int worker, worker_after;
	size_t index, index_after;
	void *state, *state_after;
	int raised, raised_after;
	int same_pool;
	int code;
	int error_code;
	int stop;
};

static int view_call(const void *const args[], void *result, void *context)
{
	struct view *const view = result;
	const struct mppool_func inner = make_func(fail_call, 1, sizeof(int), NULL);
	mppool *const pool = mppool_current();
	int xs[3] = {7, 8, 9}, y = 0;

	(void)args;
	(void)context;
	view->worker = mppool_worker_index();
	view->index = mppool_item_index();
	view->state = mppool_worker_state();
	mppool_raise(EDOM, "left before");
	view->raised = mppool_raised();
	view->code = mppool_map(pool, &inner, MPPOOL_ARRAY(xs, 3), NULL, 1);
	view->error_code = mppool_last_error()->code;
	ignore_code(mppool_apply(pool, &sqr_task, MPPOOL_ARGS(&y), &y));
	view->raised_after = mppool_raised();
	view->worker_after = mppool_worker_index();
	view->index_after = mppool_item_index();
	view->state_after = mppool_worker_state();
	view->same_pool = pool && mppool_current() == pool;
	view->stop = mppool_should_stop();
	mppool_raise_undo();
	return 0;
}

static int give_state(void *initarg, void **ret_state)
{
	*ret_state = initarg;
	return 0;
}

START_TEST(nested_call_leaves_the_outer_items_own_view_as_it_was)
{
	for (int workers = 1; workers <= 2; workers++) {
		int state;
		mppool *const pool = pool_with(
		        MPPOOL_OPTIONS(.workers = workers, .initializer = give_state, .initarg = &state));
		const struct mppool_func func = make_func(view_call, 0, sizeof(struct view), NULL);
		struct view views[5];

		assert_ok(mppool_starmap(pool, &func, MPPOOL_TIMES(5), views, 2));
		for (size_t i = 0; i < 5; i++) {
			ck_assert_int_ge(views[i].worker, 0);
			ck_assert_int_eq(views[i].worker_after, views[i].worker);
			ck_assert_uint_eq(views[i].index, i);
			ck_assert_uint_eq(views[i].index_after, i);
			ck_assert_ptr_eq(views[i].state, &state);
			ck_assert_ptr_eq(views[i].state_after, &state);
			ck_assert_int_eq(views[i].raised, EDOM);
			ck_assert_int_eq(views[i].raised_after, EDOM);
			ck_assert_int_eq(views[i].same_pool, 1);
			ck_assert_int_eq(views[i].stop, 0);
			assert_code(views[i].code, MPPOOL_ETASK);
			ck_assert_int_eq(views[i].error_code, EIO);
		}
		pool_finish(pool);
	}
}
END_TEST

static int wrap(int x)
{
	const struct mppool_func inner = make_func(fail_call, 1, sizeof(int), NULL);
	int y = 0;
	const int code = mppool_apply(mppool_current(), &inner, MPPOOL_ARGS(&x), &y);

	if (code != 0)
		mppool_raise(mppool_last_error()->code, "outer: %s", mppool_last_error()->message);
	return y;
}
MPPOOL_FUNC(wrap_task, int, wrap, int);

START_TEST(failure_passes_outwards_level_by_level)
{
	for (int workers = 1; workers <= 2; workers++) {
		mppool *const pool = pool_of(workers);
		int y = -1;

		assert_code(mppool_apply(pool, &wrap_task, MPPOOL_ARGS(&(int){3}), &y), MPPOOL_ETASK);
		ck_assert_int_eq(mppool_last_error()->code, EIO);
		ck_assert_str_eq(mppool_last_error()->message, "outer: inner 3");
		pool_finish(pool);
	}
}
END_TEST

static int leave_call(const void *const args[], void *result, void *context)
{
	(void)args;
	(void)result;
	(void)context;
	pthread_exit(NULL);
}

static int nested_leave_call(const void *const args[], void *result, void *context)
{
	const struct mppool_func inner = make_func(leave_call, 0, 0, NULL);
	const int code = mppool_apply(mppool_current(), &inner, NULL, NULL);

	(void)args;
	record(context, code == MPPOOL_ETASK ? mppool_last_error()->code : code);
	*(int *)result = 1;
	return 0;
}

/* The thread leaves with all frames on its stack: the items of each of them are lost, and none is left hanging. */
START_TEST(thread_that_leaves_inside_a_nested_item_loses_the_outer_one_too)
{
	mppool *const pool = pool_of(1);
	struct recorder seen;
	int codes[4] = {-1, -1, -1, -1}, ys[4];
	mppool_result *result = NULL;

	recorder_init(&seen);
	const struct mppool_func func = make_func(nested_leave_call, 0, sizeof(int), &seen);
	assert_ok(mppool_starmap_async(pool, &func, MPPOOL_TIMES(4), ys, 2, MPPOOL_CALL(.codes = codes), &result));
	assert_code(mppool_result_get(result, NULL, MPPOOL_FOREVER), MPPOOL_ETASK);
	for (int i = 0; i < 4; i++) {
		ck_assert_int_eq(codes[i], MPPOOL_ELOST);
		ck_assert_int_eq(ys[i], 0);
	}
	ck_assert_uint_eq(recorded_count(&seen), 0);
	mppool_result_free(result);
	assert_ok(mppool_apply(pool, &sqr_task, MPPOOL_ARGS(&(int){3}), &ys[0]));
	ck_assert_int_eq(ys[0], 9);
	pool_finish(pool);
	recorder_destroy(&seen);
}
END_TEST

/* ----------------------------------------------------------------------------------------- what a lost worker left */

/* Two chunks of two items: the waiter runs one and sleeps, then another worker is lost with the other, before the last
 * item of it. Its successor has something else to do for as long as the waiter waits. */
struct leftover {
	mppool *pool;
	struct mppool_func func, elsewhere;
	pthread_t waiter;
	char name[16];                   /* its */
	size_t mine;                     /* the waiter's: items that it ran */
	struct gate taken;               /* open; the other worker comes when it has its chunk */
	struct gate done;                /* the waiter is through with its own */
	struct gate held;                /* what keeps the successor */
	struct recorder ran;
};

static void run_of_waiter(struct leftover *left)
{
	if (left->mine == 0)
		gate_wait_arrivals(&left->taken, 1);
	if (++left->mine == 2)
		gate_open(&left->done);
}

static void run_of_other(struct leftover *left)
{
	gate_wait(&left->taken);
	gate_wait(&left->done);
	thread_sleeps(left->name);
	ignore_code(mppool_apply_async(left->pool, &left->elsewhere, MPPOOL_ARGS(&(int){0}),
	            MPPOOL_CALL(.priority = 1), NULL));
	pthread_exit(NULL);
}

static int leftover_call(const void *const args[], void *result, void *context)
{
	struct leftover *const left = context;

	record(&left->ran, int_arg(args, 0));
	if (pthread_equal(pthread_self(), left->waiter))
		run_of_waiter(left);
	else
		run_of_other(left);
	*(int *)result = 1;
	return 0;
}

static const int four[4] = {0, 1, 2, 3};

enum {
	LEFT_MAP,
	LEFT_MAP_GENERATOR,
	LEFT_WAIT,
	LEFT_WAIT_GENERATOR,
	LEFT_AS_COMPLETED,
	LEFT_IMAP,
	LEFT_OUTSIDE,
	LEFT_WAYS
};

static int consume(const struct leftover *left)
{
	mppool_iter *iter = NULL;
	int code = mppool_imap(left->pool, &left->func, MPPOOL_ARRAY(four, 4), 2, 0, NULL, &iter), failed = 0;

	while (code == 0 || code == MPPOOL_ETASK) {
		failed |= code;
		code = mppool_iter_next(iter, NULL, NULL, MPPOOL_FOREVER);
	}
	mppool_iter_free(iter);
	return code == MPPOOL_ESTOP ? failed : code;
}

static int wait_for_group(mppool_result *result, bool each)
{
	mppool_iter *iter = NULL;
	size_t ready = 0;
	int code;

	if (!each)
		return mppool_wait(&result, 1, MPPOOL_ALL_COMPLETED, MPPOOL_FOREVER, &ready);
	code = mppool_as_completed(&result, 1, &iter);
	if (code == 0)
		code = mppool_iter_next(iter, NULL, NULL, MPPOOL_FOREVER);
	mppool_iter_free(iter);
	return code;
}

static int map_of_leftover(const struct leftover *left, int way)
{
	struct source source = SOURCE(4);
	const struct mppool_iterable array = *MPPOOL_ARRAY(four, 4), generator = source_items(&source);
	const bool draws = way == LEFT_MAP_GENERATOR || way == LEFT_WAIT_GENERATOR;
	mppool_result *result = NULL;
	int code;

	if (way == LEFT_IMAP)
		return consume(left);
	code = mppool_starmap_async(left->pool, &left->func, draws ? &generator : &array, NULL, 2, NULL, &result);
	if (code == 0 && (way == LEFT_WAIT || way == LEFT_WAIT_GENERATOR || way == LEFT_AS_COMPLETED))
		code = wait_for_group(result, way == LEFT_AS_COMPLETED);
	if (code == 0)
		code = mppool_result_get(result, NULL, MPPOOL_FOREVER);
	mppool_result_free(result);
	return code;
}

static int wait_for_leftover(struct leftover *left, int way)
{
	left->waiter = pthread_self();
	thread_name(left->name);
	const int code = map_of_leftover(left, way);
	gate_open(&left->held);
	return code;
}

struct leftover_and_way {
	struct leftover *left;
	int way;
};

static int leftover_outer_call(const void *const args[], void *result, void *context)
{
	const struct leftover_and_way *const both = context;

	(void)args;
	*(int *)result = wait_for_leftover(both->left, both->way);
	return 0;
}

/* Once for each way of waiting, _i. */
START_TEST(who_waits_runs_what_a_lost_worker_left)
{
	struct leftover left = {.mine = 0};
	struct leftover_and_way both = {&left, _i};
	const struct mppool_func outer = make_func(leftover_outer_call, 0, sizeof(int), &both);
	struct hold hold;
	int code = 0;

	gate_init(&left.taken);
	gate_open(&left.taken);
	gate_init(&left.done);
	gate_init(&left.held);
	recorder_init(&left.ran);
	left.func = make_func(leftover_call, 1, sizeof(int), &left);
	left.elsewhere = make_func(gate_call, 1, sizeof(int), &left.held);
	left.pool = pool_with(MPPOOL_OPTIONS(.workers = 2, .flags = _i == LEFT_OUTSIDE ? MPPOOL_CALLER_HELPS : 0));
	if (_i == LEFT_OUTSIDE) {
		hold_workers(&hold, left.pool, 1);
		code = wait_for_leftover(&left, _i);
		hold_release(&hold);
	} else {
		assert_ok(mppool_apply(left.pool, &outer, NULL, &code));
	}
	assert_code(code, MPPOOL_ETASK);
	ck_assert(recorded_each_once(&left.ran, 0, 4));
	ck_assert_uint_eq(left.mine, 3);
	pool_finish(left.pool);
	gate_destroy(&left.taken);
	gate_destroy(&left.done);
	gate_destroy(&left.held);
	recorder_destroy(&left.ran);
}
END_TEST

/* ------------------------------------------------------------------------------------------------------ dead locks */

struct self {
	struct gate gate;                /* opened when the handles are stored */
	mppool_result *result;
	mppool_iter *iter;
	struct recorder codes;
};

static int self_wait_call(const void *const args[], void *result, void *context)
{
	struct self *const self = context;

	gate_wait(&self->gate);
	if (int_arg(args, 0) == 0 && self->result) {
		record(&self->codes, mppool_result_wait(self->result, MPPOOL_FOREVER));
		record(&self->codes, mppool_result_get(self->result, NULL, MPPOOL_FOREVER));
		record(&self->codes, mppool_result_get(self->result, NULL, 1000));
		record(&self->codes, mppool_result_wait(self->result, 0));
	}
	if (int_arg(args, 0) == 0 && self->iter)
		record(&self->codes, mppool_iter_next(self->iter, NULL, NULL, MPPOOL_FOREVER));
	*(int *)result = 5;
	return 0;
}

static void self_init(struct self *self)
{
	*self = (struct self){.result = NULL};
	gate_init(&self->gate);
	recorder_init(&self->codes);
}

static void self_destroy(struct self *self)
{
	gate_destroy(&self->gate);
	recorder_destroy(&self->codes);
}

static void self_check(struct self *self)
{
	ck_assert_uint_eq(recorded_count(&self->codes), 4);
	for (size_t i = 0; i < 3; i++)
		assert_code(recorded_at(&self->codes, i), EDEADLK);
	assert_code(recorded_at(&self->codes, 3), ETIMEDOUT);
}

START_TEST(task_that_waits_for_its_own_result_gets_edeadlk)
{
	for (int workers = 1; workers <= 2; workers++) {
		mppool *const pool = pool_of(workers);
		struct self self;
		int y = 0;

		self_init(&self);
		const struct mppool_func func = make_func(self_wait_call, 1, sizeof(int), &self);
		assert_ok(mppool_apply_async(pool, &func, MPPOOL_ARGS(&(int){0}), NULL, &self.result));
		gate_open(&self.gate);
		assert_ok(mppool_result_get(self.result, &y, MPPOOL_FOREVER));
		ck_assert_int_eq(y, 5);
		self_check(&self);
		mppool_result_free(self.result);
		pool_finish(pool);
		self_destroy(&self);
	}
}
END_TEST

START_TEST(item_that_waits_for_its_own_map_gets_edeadlk)
{
	for (int workers = 1; workers <= 2; workers++) {
		mppool *const pool = pool_of(workers);
		struct self self;
		int xs[4] = {0, 1, 2, 3};

		self_init(&self);
		const struct mppool_func func = make_func(self_wait_call, 1, sizeof(int), &self);
		assert_ok(mppool_map_async(pool, &func, MPPOOL_ARRAY(xs, 4), NULL, 2, NULL, &self.result));
		gate_open(&self.gate);
		assert_ok(mppool_result_get(self.result, NULL, MPPOOL_FOREVER));
		self_check(&self);
		mppool_result_free(self.result);
		pool_finish(pool);
		self_destroy(&self);
	}
}
END_TEST

START_TEST(item_that_waits_for_its_own_iterator_gets_edeadlk)
{
	mppool *const pool = pool_of(1);
	struct self self;
	int xs[3] = {0, 1, 2}, y = 0;

	self_init(&self);
	const struct mppool_func func = make_func(self_wait_call, 1, sizeof(int), &self);
	assert_ok(mppool_imap(pool, &func, MPPOOL_ARRAY(xs, 3), 1, 0, NULL, &self.iter));
	gate_open(&self.gate);
	recorded_wait(&self.codes, 1);
	assert_code(recorded_at(&self.codes, 0), EDEADLK);
	for (int i = 0; i < 3; i++) {
		assert_ok(mppool_iter_next(self.iter, &y, NULL, MPPOOL_FOREVER));
		ck_assert_int_eq(y, 5);
	}
	assert_code(mppool_iter_next(self.iter, &y, NULL, MPPOOL_FOREVER), MPPOOL_ESTOP);
	mppool_iter_free(self.iter);
	pool_finish(pool);
	self_destroy(&self);
}
END_TEST

/* The frame that would be waited for is not the topmost one: it is below, on the same stack. */
static int wait_below_call(const void *const args[], void *result, void *context)
{
	struct self *const self = context;

	(void)args;
	record(&self->codes, mppool_result_wait(self->result, MPPOOL_FOREVER));
	*(int *)result = 1;
	return 0;
}

static int outer_of_wait_call(const void *const args[], void *result, void *context)
{
	struct self *const self = context;
	const struct mppool_func inner = make_func(wait_below_call, 0, sizeof(int), self);

	(void)args;
	gate_wait(&self->gate);
	return mppool_apply(mppool_current(), &inner, NULL, result);
}

START_TEST(nested_task_that_waits_for_an_outer_one_gets_edeadlk)
{
	mppool *const pool = pool_of(1);
	struct self self;
	int y = 0;

	self_init(&self);
	const struct mppool_func func = make_func(outer_of_wait_call, 0, sizeof(int), &self);
	assert_ok(mppool_apply_async(pool, &func, NULL, NULL, &self.result));
	gate_open(&self.gate);
	assert_ok(mppool_result_get(self.result, &y, MPPOOL_FOREVER));
	ck_assert_int_eq(y, 1);
	assert_code(recorded_at(&self.codes, 0), EDEADLK);
	mppool_result_free(self.result);
	pool_finish(pool);
	self_destroy(&self);
}
END_TEST

static int join_own_call(const void *const args[], void *result, void *context)
{
	struct self *const self = context;
	mppool *const pool = mppool_current();

	(void)args;
	(void)result;
	record(&self->codes, mppool_close(pool));
	record(&self->codes, mppool_join(pool, MPPOOL_FOREVER));
	return 0;
}

START_TEST(task_that_joins_its_own_pool_gets_edeadlk)
{
	mppool *const pool = pool_of(2);
	struct self self;

	self_init(&self);
	const struct mppool_func func = make_func(join_own_call, 0, 0, &self);
	assert_ok(mppool_apply(pool, &func, NULL, NULL));
	assert_code(recorded_at(&self.codes, 0), 0);
	assert_code(recorded_at(&self.codes, 1), EDEADLK);
	assert_ok(mppool_join(pool, MPPOOL_FOREVER));
	assert_ok(mppool_destroy(pool));
	self_destroy(&self);
}
END_TEST

/* ------------------------------------------------------------------------------------------------------ other ends */

static int waits_then_sqr(int x)
{
	int y = 0, xs[4] = {x, x, x, x}, ys[4] = {0};
	int code = mppool_apply(mppool_current(), &sqr_task, MPPOOL_ARGS(&x), &y);

	if (code == 0)
		code = mppool_map(mppool_current(), &sqr_task, MPPOOL_ARRAY(xs, 4), ys, 1);
	if (code != 0)
		mppool_raise(code, "%s", mppool_strerrorname(code));
	return y + ys[3];
}
MPPOOL_FUNC(waits_then_sqr_task, int, waits_then_sqr, int);

START_TEST(nested_calls_in_closed_pool_are_finished)
{
	mppool *const pool = pool_of(1);
	struct hold hold;
	mppool_result *results[10];
	int y = 0;

	hold_workers(&hold, pool, 1);
	for (int i = 0; i < 10; i++)
		assert_ok(mppool_apply_async(pool, &waits_then_sqr_task, MPPOOL_ARGS(&i), NULL, &results[i]));
	assert_ok(mppool_close(pool));
	hold_release(&hold);
	assert_ok(mppool_join(pool, MPPOOL_FOREVER));
	for (int i = 0; i < 10; i++) {
		assert_ok(mppool_result_get(results[i], &y, 0));
		ck_assert_int_eq(y, 2 * i * i);
		mppool_result_free(results[i]);
	}
	assert_ok(mppool_destroy(pool));
}
END_TEST

struct terminated {
	struct gate gate;                /* where the inner items stand */
	struct recorder codes;
};

static int inner_stand_call(const void *const args[], void *result, void *context)
{
	struct terminated *const test = context;

	(void)args;
	(void)result;
	gate_wait(&test->gate);
	return 0;
}

static int outer_stand_call(const void *const args[], void *result, void *context)
{
	struct terminated *const test = context;
	const struct mppool_func inner = make_func(inner_stand_call, 0, 0, test);

	(void)args;
	(void)result;
	record(&test->codes, mppool_starmap(mppool_current(), &inner, MPPOOL_TIMES(10), NULL, 1));
	record(&test->codes, mppool_should_stop());
	record(&test->codes, mppool_apply(mppool_current(), &inner, NULL, NULL));
	return 0;
}

START_TEST(task_that_waits_is_told_when_the_pool_is_terminated)
{
	for (int workers = 1; workers <= 2; workers++) {
		mppool *const pool = pool_of(workers);
		struct terminated test;
		mppool_result *result = NULL;

		gate_init(&test.gate);
		recorder_init(&test.codes);
		const struct mppool_func func = make_func(outer_stand_call, 0, 0, &test);
		assert_ok(mppool_apply_async(pool, &func, NULL, NULL, &result));
		gate_wait_arrivals(&test.gate, (size_t)workers);
		assert_ok(mppool_terminate(pool));
		gate_open(&test.gate);
		assert_ok(mppool_result_get(result, NULL, MPPOOL_FOREVER));
		ck_assert_uint_eq(recorded_count(&test.codes), 3);
		assert_code(recorded_at(&test.codes, 0), MPPOOL_ETERMINATED);
		ck_assert_int_eq(recorded_at(&test.codes, 1), 1);
		assert_code(recorded_at(&test.codes, 2), MPPOOL_ECLOSED);
		ck_assert_uint_eq(gate_arrivals(&test.gate), (size_t)workers);
		mppool_result_free(result);
		assert_ok(mppool_destroy(pool));
		recorder_destroy(&test.codes);
		gate_destroy(&test.gate);
	}
}
END_TEST

static int through_other_call(const void *const args[], void *result, void *context)
{
	return mppool_apply(context, &sqr_task, MPPOOL_ARGS(args[0]), result);
}

START_TEST(task_that_waits_for_another_pool_waits_for_its_workers)
{
	mppool *const outer = pool_of(1), *const inner = pool_of(1);
	const struct mppool_func func = make_func(through_other_call, 1, sizeof(int), inner);
	int xs[20], ys[20] = {0};

	for (int i = 0; i < 20; i++)
		xs[i] = i;
	assert_ok(mppool_map(outer, &func, MPPOOL_ARRAY(xs, 20), ys, 0));
	for (int i = 0; i < 20; i++)
		ck_assert_int_eq(ys[i], i * i);
	pool_finish(outer);
	pool_finish(inner);
}
END_TEST

struct storm {
	mppool *pool;
	struct recorder codes;
};

static void storm_run(size_t i, void *arg)
{
	struct storm *const storm = arg;
	const int levels = 1 + (int)i % 2, n = 6 + (int)i;
	long y = 0;

	for (int k = 0; k < 5; k++) {
		record(&storm->codes, mppool_apply(storm->pool, &tree_task, MPPOOL_ARGS(&levels), &y));
		record(&storm->codes, y == (levels == 1 ? 8 : 64) ? 0 : -1);
		record(&storm->codes, mppool_apply(storm->pool, &fib_task, MPPOOL_ARGS(&n), &y));
	}
}

START_TEST(nested_calls_from_many_threads_at_once_all_end)
{
	for (int workers = 1; workers <= 4; workers *= 2) {
		struct storm storm = {.pool = pool_of(workers)};

		recorder_init(&storm.codes);
		run_in_threads(4, storm_run, &storm);
		ck_assert_uint_eq(recorded_times(&storm.codes, 0), 60);
		pool_finish(storm.pool);
		recorder_destroy(&storm.codes);
	}
}
END_TEST

/* ---------------------------------------------------------------------------------------------------- caller helps */

struct where {
	int thread;
	int worker;
	size_t index;
	int pool_is_current;
};

static int where_call(const void *const args[], void *result, void *context)
{
	struct where *const where = result;

	(void)args;
	*where = (struct where){.thread = thread_id(),
	                        .worker = mppool_worker_index(),
	                        .index = mppool_item_index(),
	                        .pool_is_current = mppool_current() == context};
	return 0;
}

START_TEST(caller_helps_runs_the_job_while_all_workers_are_busy)
{
	mppool *const pool = pool_with(MPPOOL_OPTIONS(.workers = 2, .flags = MPPOOL_CALLER_HELPS));
	const struct mppool_func func = make_func(where_call, 0, sizeof(struct where), pool);
	struct where wheres[10];
	struct hold hold;
	mppool_result *result = NULL;

	hold_workers(&hold, pool, 2);
	assert_ok(mppool_apply(pool, &func, NULL, &wheres[0]));
	ck_assert_int_eq(wheres[0].thread, thread_id());
	ck_assert_int_eq(wheres[0].worker, -1);
	ck_assert_int_eq(wheres[0].pool_is_current, 1);
	assert_ok(mppool_starmap(pool, &func, MPPOOL_TIMES(10), wheres, 3));
	for (size_t i = 0; i < 10; i++) {
		ck_assert_int_eq(wheres[i].thread, thread_id());
		ck_assert_uint_eq(wheres[i].index, i);
	}
	assert_ok(mppool_starmap_async(pool, &func, MPPOOL_TIMES(10), NULL, 3, NULL, &result));
	assert_ok(mppool_result_get(result, wheres, MPPOOL_FOREVER));
	for (size_t i = 0; i < 10; i++)
		ck_assert_int_eq(wheres[i].thread, thread_id());
	ck_assert_ptr_null(mppool_current());
	mppool_result_free(result);
	hold_release(&hold);
	pool_finish(pool);
}
END_TEST

START_TEST(caller_helps_only_with_the_job_it_waits_for)
{
	mppool *const pool = pool_with(MPPOOL_OPTIONS(.workers = 1, .flags = MPPOOL_CALLER_HELPS));
	struct recorder ran;
	struct hold hold;
	mppool_result *other = NULL;
	int y = 0;

	recorder_init(&ran);
	const struct mppool_func func = make_func(record_call, 1, sizeof(int), &ran);
	hold_workers(&hold, pool, 1);
	assert_ok(mppool_apply_async(pool, &func, MPPOOL_ARGS(&(int){1}), NULL, &other));
	assert_ok(mppool_apply(pool, &sqr_task, MPPOOL_ARGS(&(int){4}), &y));
	ck_assert_int_eq(y, 16);
	ck_assert_uint_eq(recorded_count(&ran), 0);
	ck_assert_int_eq(mppool_result_ready(other), 0);
	hold_release(&hold);
	pool_finish(pool);
	ck_assert_uint_eq(recorded_count(&ran), 1);
	mppool_result_free(other);
	recorder_destroy(&ran);
}
END_TEST

START_TEST(caller_without_the_flag_never_runs_items)
{
	mppool *const pool = pool_of(1);
	const struct mppool_func func = make_func(where_call, 0, sizeof(struct where), pool);
	struct where wheres[50];

	assert_ok(mppool_starmap(pool, &func, MPPOOL_TIMES(50), wheres, 1));
	for (size_t i = 0; i < 50; i++) {
		ck_assert_int_ne(wheres[i].thread, thread_id());
		ck_assert_int_eq(wheres[i].worker, 0);
	}
	pool_finish(pool);
}
END_TEST

START_TEST(caller_helps_with_an_initializer_is_einval)
{
	const struct mppool_options *const options =
	        MPPOOL_OPTIONS(.workers = 1, .initializer = give_state, .flags = MPPOOL_CALLER_HELPS);
	mppool *pool = NULL;

	assert_code(mppool_create(options, &pool), EINVAL);
	ck_assert_ptr_null(pool);
}
END_TEST

START_TEST(caller_that_helps_sees_failures_and_nests)
{
	mppool *const pool = pool_with(MPPOOL_OPTIONS(.workers = 1, .flags = MPPOOL_CALLER_HELPS));
	struct hold hold;
	int y = 0;

	hold_workers(&hold, pool, 1);
	assert_code(mppool_apply(pool, &wrap_task, MPPOOL_ARGS(&(int){3}), &y), MPPOOL_ETASK);
	ck_assert_str_eq(mppool_last_error()->message, "outer: inner 3");
	assert_ok(mppool_apply(pool, &waits_then_sqr_task, MPPOOL_ARGS(&(int){3}), &y));
	ck_assert_int_eq(y, 18);
	hold_release(&hold);
	pool_finish(pool);
}
END_TEST

/* ------------------------------------------------------------------------------------- a child that its parent needs */

struct family {
	struct gate ready;               /* the parent has come to the point */
	struct gate go;
	struct gate child;               /* opened by the child */
};

static int child_call(const void *const args[], void *result, void *context)
{
	(void)args;
	(void)result;
	gate_open(&((struct family *)context)->child);
	return 0;
}

/* Waits for its child by means that the library knows nothing of: only another worker can run it. */
static int parent_call(const void *const args[], void *result, void *context)
{
	struct family *const family = context;
	const struct mppool_func func = make_func(child_call, 0, 0, family);
	int code;

	(void)args;
	(void)result;
	gate_wait(&family->ready);
	gate_wait(&family->go);
	code = mppool_apply_async(mppool_current(), &func, NULL, NULL, NULL);
	if (code == 0)
		gate_wait(&family->child);
	return code;
}

START_TEST(child_is_run_by_a_worker_that_slept_while_its_parent_waits)
{
	struct family family;
	mppool *const pool = pool_of(2);
	const struct mppool_func func = make_func(parent_call, 0, 0, &family);
	mppool_result *result = NULL;

	gate_init(&family.ready);
	gate_init(&family.go);
	gate_init(&family.child);
	gate_open(&family.ready);
	assert_ok(mppool_apply_async(pool, &func, NULL, NULL, &result));
	gate_wait_departures(&family.ready, 1);
	pause_briefly();                 /* the other worker sleeps by now; that it need not is no matter */
	gate_open(&family.go);
	assert_ok(mppool_result_get(result, NULL, MPPOOL_FOREVER));
	mppool_result_free(result);
	pool_finish(pool);
	gate_destroy(&family.ready);
	gate_destroy(&family.go);
	gate_destroy(&family.child);
}
END_TEST

static void fill(Suite *suite)
{
	TCase *tcase = add_case(suite, "recursion");
	tcase_add_test(tcase, fib_by_nested_apply_ends_with_any_number_of_workers);
	tcase_add_test(tcase, fib_with_full_queue_ends);
	tcase_add_test(tcase, fib_with_workers_that_retire_ends);
	tcase_add_test(tcase, fib_with_helping_callers_ends);
	tcase_add_test(tcase, recursion_of_many_levels_ends);
	tcase_add_test(tcase, maps_inside_maps_end);

	tcase = add_case(suite, "inside");
	tcase_add_test(tcase, child_is_run_by_a_worker_that_slept_while_its_parent_waits);
	tcase_add_test(tcase, map_and_get_inside_tasks_end);
	tcase_add_test(tcase, imap_consumed_inside_tasks_ends);
	tcase_add_test(tcase, generator_that_applies_for_a_task_that_consumes_ends);
	tcase_add_test(tcase, pipeline_consumed_inside_tasks_ends);
	tcase_add_test(tcase, task_that_waits_for_calls_of_others_runs_them);
	tcase_add_test(tcase, task_that_waits_for_an_item_times_out_although_there_are_others);
	tcase_add_test(tcase, task_that_waits_for_a_running_task_times_out);
	tcase_add_test(tcase, nested_call_leaves_the_outer_items_own_view_as_it_was);
	tcase_add_test(tcase, failure_passes_outwards_level_by_level);
	tcase_add_test(tcase, thread_that_leaves_inside_a_nested_item_loses_the_outer_one_too);
	tcase_add_loop_test(tcase, who_waits_runs_what_a_lost_worker_left, 0, LEFT_WAYS);

	tcase = add_case(suite, "deadlock");
	tcase_add_test(tcase, task_that_waits_for_its_own_result_gets_edeadlk);
	tcase_add_test(tcase, item_that_waits_for_its_own_map_gets_edeadlk);
	tcase_add_test(tcase, item_that_waits_for_its_own_iterator_gets_edeadlk);
	tcase_add_test(tcase, nested_task_that_waits_for_an_outer_one_gets_edeadlk);
	tcase_add_test(tcase, task_that_joins_its_own_pool_gets_edeadlk);

	tcase = add_case(suite, "ends");
	tcase_add_test(tcase, nested_calls_in_closed_pool_are_finished);
	tcase_add_test(tcase, task_that_waits_is_told_when_the_pool_is_terminated);
	tcase_add_test(tcase, task_that_waits_for_another_pool_waits_for_its_workers);
	tcase_add_test(tcase, nested_calls_from_many_threads_at_once_all_end);

	tcase = add_case(suite, "helping");
	tcase_add_test(tcase, caller_helps_runs_the_job_while_all_workers_are_busy);
	tcase_add_test(tcase, caller_helps_only_with_the_job_it_waits_for);
	tcase_add_test(tcase, caller_without_the_flag_never_runs_items);
	tcase_add_test(tcase, caller_helps_with_an_initializer_is_einval);
	tcase_add_test(tcase, caller_that_helps_sees_failures_and_nests);
}

int main(int argc, char **argv)
{
	return run_suite("nested", fill, argc, argv);
}
