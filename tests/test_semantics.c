/* test_semantics.c - what programs that come from Python rely on, and faults that other pools paid for
 *
 * SPDX-License-Identifier: MIT
 *
 * The first half follows the comparison with CPython row by row; the number of the row stands before each test. Rows
 * that have a program of their own are named where they would stand. The second half, fault_NN_..., makes happen what
 * went wrong in other thread pools. */
#define _GNU_SOURCE 1
#include "support.h"

#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static int sqr(int x)
{
	return x * x;
}
MPPOOL_FUNC(sqr_task, int, sqr, int);

static int my_worker(int unused)
{
	(void)unused;
	return mppool_worker_index();
}
MPPOOL_FUNC(my_worker_task, int, my_worker, int);

static void fill_range(int *xs, size_t n)
{
	for (size_t i = 0; i < n; i++)
		xs[i] = (int)i;
}

static mppool *pool_with(const struct mppool_options *options)
{
	mppool *pool = NULL;

	assert_ok(mppool_create(options, &pool));
	return pool;
}

/* A task at two gates: the test knows that it runs, lets it go on, and knows that it has seen what it should see. */
struct stop_probe {
	struct gate gate;
	atomic_int stops;                /* items that saw should_stop after the gate */
	atomic_int ran;                  /* items that came through */
};

static void probe_init(struct stop_probe *probe)
{
	gate_init(&probe->gate);
	atomic_init(&probe->stops, 0);
	atomic_init(&probe->ran, 0);
}

static int probe_call(const void *const args[], void *result, void *context)
{
	struct stop_probe *const probe = context;

	gate_wait(&probe->gate);
	if (mppool_should_stop())
		atomic_fetch_add(&probe->stops, 1);
	atomic_fetch_add(&probe->ran, 1);
	*(int *)result = int_arg(args, 0) + 1000;
	return 0;
}

/* ----------------------------------------------------------------------------------------------------- rows 1 to 6 */

/* 1 */
START_TEST(workers_default_one_for_each_usable_cpu)
{
	unsetenv("MPPOOL_WORKERS");
	mppool *const pool = pool_with(NULL);

	ck_assert_int_ge(mppool_cpu_count(), 1);
	ck_assert_uint_eq(threads_settle("mppool-w", (size_t)mppool_cpu_count()), (size_t)mppool_cpu_count());
	pool_finish(pool);
}
END_TEST

/* 1 */
START_TEST(workers_default_with_affinity_counts_allowed_cpus)
{
	cpu_set_t allowed, one;
	size_t cpu = 0;

	unsetenv("MPPOOL_WORKERS");
	ck_assert_int_eq(sched_getaffinity(0, sizeof allowed, &allowed), 0);
	ck_assert_int_le(mppool_cpu_count(), CPU_COUNT(&allowed));
	while (!CPU_ISSET(cpu, &allowed))
		cpu++;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	ck_assert_int_eq(sched_setaffinity(0, sizeof one, &one), 0);
	ck_assert_int_eq(mppool_cpu_count(), 1);
	mppool *const pool = pool_with(NULL);
	ck_assert_uint_eq(threads_settle("mppool-w", 1), 1);
	pool_finish(pool);
	ck_assert_int_eq(sched_setaffinity(0, sizeof allowed, &allowed), 0);
}
END_TEST

/* 1 */
START_TEST(workers_default_with_environment_follows_it)
{
	setenv("MPPOOL_WORKERS", "3", 1);
	mppool *pool = pool_with(NULL);
	ck_assert_uint_eq(threads_settle("mppool-w", 3), 3);
	pool_finish(pool);
	pool = pool_of(2);                                       /* what the program says itself comes first */
	ck_assert_uint_eq(threads_settle("mppool-w", 2), 2);
	pool_finish(pool);
	unsetenv("MPPOOL_WORKERS");
}
END_TEST

struct births {
	atomic_int count;
	atomic_int fail_at;              /* the birth that fails; -1: none */
	struct gate *gate;
	atomic_int failed;               /* worker index of the birth that failed */
	struct recorder recorder;        /* worker index of each birth */
	int number[64];
};

static void births_init(struct births *births, int fail_at, struct gate *gate)
{
	atomic_init(&births->count, 0);
	atomic_init(&births->fail_at, fail_at);
	atomic_init(&births->failed, -1);
	births->gate = gate;
	recorder_init(&births->recorder);
}

static int birth(void *initarg, void **ret_state)
{
	struct births *const births = initarg;
	const int n = atomic_fetch_add(&births->count, 1);

	if (births->gate)
		gate_wait(births->gate);
	record(&births->recorder, mppool_worker_index());
	if (n == atomic_load(&births->fail_at)) {
		atomic_store(&births->failed, mppool_worker_index());
		return mppool_raise(ENODEV, "birth %d", n);
	}
	if (n >= 64)
		return ERANGE;
	births->number[n] = n;
	*ret_state = &births->number[n];
	return 0;
}

static int my_birth(int unused)
{
	(void)unused;
	return *(int *)mppool_worker_state();
}
MPPOOL_FUNC(my_birth_task, int, my_birth, int);

/* 2 */
START_TEST(create_starts_all_workers_at_once)
{
	struct births births;
	births_init(&births, -1, NULL);
	mppool *const pool =
	        pool_with(MPPOOL_OPTIONS(.workers = 4, .initializer = birth, .initarg = &births));

	ck_assert_int_eq(births.count, 4);
	ck_assert(recorded_each_once(&births.recorder, 0, 4));
	pool_finish(pool);
	ck_assert_int_eq(births.count, 4);
	recorder_destroy(&births.recorder);
}
END_TEST

struct creation {
	struct mppool_options options;
	mppool *pool;
	int code;
};

static void create_run(void *arg)
{
	struct creation *const creation = arg;

	creation->code = mppool_create(&creation->options, &creation->pool);
}

/* 3 */
START_TEST(create_with_slow_initializer_waits_for_it)
{
	struct births births;
	struct gate gate;
	struct runner runner;
	gate_init(&gate);
	births_init(&births, -1, &gate);
	struct creation creation = {.code = -1};
	creation.options = *MPPOOL_OPTIONS(.workers = 2, .initializer = birth, .initarg = &births);

	runner_start(&runner, create_run, &creation);
	gate_wait_arrivals(&gate, 1);
	pause_briefly();
	ck_assert(!runner_done(&runner));
	gate_open(&gate);
	runner_join(&runner);
	assert_ok(creation.code);
	pool_finish(creation.pool);
	recorder_destroy(&births.recorder);
	gate_destroy(&gate);
}
END_TEST

/* 3 */
START_TEST(create_with_failing_initializer_reports_it_and_leaves_nothing)
{
	for (int fail_at = 0; fail_at < 3; fail_at++) {
		struct births births;
		mppool *pool = NULL;

		births_init(&births, fail_at, NULL);
		const struct mppool_options options =
		        *MPPOOL_OPTIONS(.workers = 3, .initializer = birth, .initarg = &births);
		assert_code(mppool_create(&options, &pool), MPPOOL_EBROKEN);
		ck_assert_ptr_null(pool);
		ck_assert_int_eq(mppool_last_error()->code, ENODEV);
		ck_assert_uint_eq(mppool_last_error()->index, (size_t)births.failed);
		ck_assert_uint_eq(threads_settle("mppool", 0), 0);
		recorder_destroy(&births.recorder);
	}
}
END_TEST

/* 3 */
START_TEST(replacement_with_failing_initializer_breaks_pool)
{
	struct births births;
	struct stop_probe probe;
	mppool_result *running, *queued;
	int y = -1;

	births_init(&births, 2, NULL);
	probe_init(&probe);
	mppool *const pool = pool_with(MPPOOL_OPTIONS(.workers = 2, .initializer = birth, .initarg = &births,
	                                              .max_tasks_per_worker = 1));
	const struct mppool_func func = make_func(probe_call, 1, sizeof(int), &probe);

	assert_ok(mppool_apply_async(pool, &func, MPPOOL_ARGS(&(int){1}), NULL, &running));
	gate_wait_arrivals(&probe.gate, 1);
	assert_ok(mppool_apply(pool, &sqr_task, MPPOOL_ARGS(&(int){3}), &y));
	ck_assert_int_eq(y, 9);
	const int code = mppool_apply_async(pool, &sqr_task, MPPOOL_ARGS(&(int){3}), NULL, &queued);
	while (mppool_state(pool) != MPPOOL_BROKEN)
		sched_yield();
	if (code == 0) {
		assert_code(mppool_result_get(queued, NULL, MPPOOL_FOREVER), MPPOOL_EBROKEN);
		mppool_result_free(queued);
	} else {
		assert_code(code, MPPOOL_EBROKEN);
	}
	assert_code(mppool_apply(pool, &sqr_task, MPPOOL_ARGS(&(int){3}), &y), MPPOOL_EBROKEN);
	ck_assert_int_eq(mppool_last_error()->code, ENODEV);
	ck_assert_str_eq(mppool_last_error()->message, "birth 2");
	ck_assert_int_eq(mppool_result_ready(running), 0);
	gate_open(&probe.gate);
	assert_ok(mppool_result_get(running, &y, MPPOOL_FOREVER));
	ck_assert_int_eq(y, 1001);
	ck_assert_int_eq(probe.stops, 1);
	mppool_result_free(running);
	assert_ok(mppool_destroy(pool));
	recorder_destroy(&births.recorder);
	gate_destroy(&probe.gate);
}
END_TEST

/* 4 */
START_TEST(initializer_runs_once_per_worker_and_in_each_replacement)
{
	struct births births;
	births_init(&births, -1, NULL);
	mppool *const pool = pool_with(MPPOOL_OPTIONS(.workers = 1, .initializer = birth, .initarg = &births,
	                                              .max_tasks_per_worker = 2));
	int y = -1;

	for (int i = 0; i < 6; i++) {
		assert_ok(mppool_apply(pool, &my_birth_task, MPPOOL_ARGS(&i), &y));
		ck_assert_int_eq(y, i / 2);
	}
	pool_finish(pool);
	for (size_t i = 0; i < recorded_count(&births.recorder); i++)
		ck_assert_int_eq(recorded_at(&births.recorder, i), 0);
	recorder_destroy(&births.recorder);
}
END_TEST

/* 5 */
START_TEST(max_tasks_per_worker_counts_chunks)
{
	struct births births;
	births_init(&births, -1, NULL);
	mppool *const pool = pool_with(MPPOOL_OPTIONS(.workers = 1, .initializer = birth, .initarg = &births,
	                                              .max_tasks_per_worker = 1));
	int xs[12], ys[12];

	fill_range(xs, 12);
	assert_ok(mppool_map(pool, &my_birth_task, MPPOOL_ARRAY(xs, 12), ys, 4));
	for (int i = 0; i < 12; i++)
		ck_assert_int_eq(ys[i], i / 4);
	pool_finish(pool);
	recorder_destroy(&births.recorder);
}
END_TEST

/* 5 */
START_TEST(max_tasks_per_worker_after_close_still_finishes_the_work)
{
	struct births births;
	struct hold hold;
	int xs[20], ys[20] = {0};
	mppool_result *result = NULL;
	births_init(&births, -1, NULL);
	mppool *const pool = pool_with(MPPOOL_OPTIONS(.workers = 1, .initializer = birth, .initarg = &births,
	                                              .max_tasks_per_worker = 1));

	fill_range(xs, 20);
	hold_workers(&hold, pool, 1);
	assert_ok(mppool_map_async(pool, &my_birth_task, MPPOOL_ARRAY(xs, 20), ys, 2, NULL, &result));
	assert_ok(mppool_close(pool));
	hold_release(&hold);
	assert_ok(mppool_join(pool, MPPOOL_FOREVER));
	assert_ok(mppool_result_get(result, NULL, 0));
	for (int i = 0; i < 20; i++)
		ck_assert_int_eq(ys[i], 1 + i / 2);
	mppool_result_free(result);
	assert_ok(mppool_destroy(pool));
	recorder_destroy(&births.recorder);
}
END_TEST

/* Every way to submit, to a pool that refuses with `code`: no iterable is touched and no hook is called. */
static atomic_int hooks_called;

static void hook_args(const void *const args[], void *context)
{
	(void)args;
	(void)context;
	atomic_fetch_add(&hooks_called, 1);
}

static void hook_result(void *result, void *context)
{
	(void)result;
	(void)context;
	atomic_fetch_add(&hooks_called, 1);
}

static void hook_release(void *context)
{
	(void)context;
	atomic_fetch_add(&hooks_called, 1);
}

static void hook_callback(const void *results, size_t n, void *userdata)
{
	(void)results;
	(void)n;
	(void)userdata;
	atomic_fetch_add(&hooks_called, 1);
}

static void hook_error(const struct mppool_error *error, void *userdata)
{
	(void)error;
	(void)userdata;
	atomic_fetch_add(&hooks_called, 1);
}

static struct mppool_func hooked_func(void)
{
	struct mppool_func func = make_func(square_call, 1, sizeof(int), NULL);

	func.drop_args = hook_args;
	func.drop_result = hook_result;
	func.release = hook_release;
	return func;
}

static void check_refused(mppool *pool, int code)
{
	const struct mppool_func func = hooked_func();
	struct source source = SOURCE(5);
	const struct mppool_iterable items = source_items(&source);
	const struct mppool_call_options *const call =
	        MPPOOL_CALL(.callback = hook_callback, .error_callback = hook_error);
	mppool_result *result = NULL;
	mppool_iter *iter = NULL;
	int x = 3, y = -1;

	atomic_store(&hooks_called, 0);
	assert_code(mppool_apply(pool, &func, MPPOOL_ARGS(&x), &y), code);
	assert_code(mppool_apply_async(pool, &func, MPPOOL_ARGS(&x), call, &result), code);
	assert_code(mppool_apply_async(pool, &func, MPPOOL_ARGS(&x), call, NULL), code);
	assert_code(mppool_map(pool, &func, &items, NULL, 0), code);
	assert_code(mppool_map_async(pool, &func, &items, NULL, 0, call, &result), code);
	assert_code(mppool_starmap(pool, &func, &items, NULL, 0), code);
	assert_code(mppool_starmap_async(pool, &func, &items, NULL, 0, call, &result), code);
	assert_code(mppool_imap(pool, &func, &items, 0, 0, NULL, &iter), code);
	assert_code(mppool_imap_unordered(pool, &func, &items, 0, 0, NULL, &iter), code);
	ck_assert_ptr_null(result);
	ck_assert_ptr_null(iter);
	ck_assert_int_eq(y, -1);
	ck_assert_uint_eq(source.calls, 0);
	ck_assert_uint_eq(source.finished, 0);
	ck_assert_int_eq(hooks_called, 0);
}

/* 6 */
START_TEST(submit_when_not_running_is_refused_and_touches_nothing)
{
	mppool *pool = pool_of(1);
	assert_ok(mppool_close(pool));
	check_refused(pool, MPPOOL_ECLOSED);
	assert_ok(mppool_join(pool, MPPOOL_FOREVER));
	check_refused(pool, MPPOOL_ECLOSED);
	assert_ok(mppool_destroy(pool));
	pool = pool_of(1);
	assert_ok(mppool_terminate(pool));
	check_refused(pool, MPPOOL_ECLOSED);
	assert_ok(mppool_destroy(pool));
}
END_TEST

/* Each task submits the next, down to 0, without waiting for it: recursion by submitting. */
static int chain_call(const void *const args[], void *result, void *context)
{
	struct recorder *const recorder = context;
	const struct mppool_func next = make_func(chain_call, 1, 0, context);
	const int n = int_arg(args, 0), rest = n - 1;

	(void)result;
	record(recorder, n);
	return n > 0 ? mppool_apply_async(mppool_current(), &next, MPPOOL_ARGS(&rest), NULL, NULL) : 0;
}

/* 6 */
START_TEST(submit_by_task_of_closed_pool_is_accepted)
{
	mppool *const pool = pool_of(2);
	struct recorder recorder;
	struct hold hold;

	recorder_init(&recorder);
	const struct mppool_func func = make_func(chain_call, 1, 0, &recorder);
	hold_workers(&hold, pool, 2);
	assert_ok(mppool_apply_async(pool, &func, MPPOOL_ARGS(&(int){99}), NULL, NULL));
	assert_ok(mppool_close(pool));
	hold_release(&hold);
	assert_ok(mppool_join(pool, MPPOOL_FOREVER));            /* waits for all that came after close, too */
	ck_assert(recorded_each_once(&recorder, 0, 100));
	assert_ok(mppool_destroy(pool));
	recorder_destroy(&recorder);
}
END_TEST

/* ---------------------------------------------------------------------------------------------------- rows 7 to 15 */

/* 7 */
START_TEST(tasks_start_in_order_of_submission)
{
	mppool *const pool = pool_of(1);
	struct recorder recorder;
	struct hold hold;
	int xs[10];

	recorder_init(&recorder);
	const struct mppool_func func = make_func(record_call, 1, sizeof(int), &recorder);
	mppool_result *result = NULL;
	hold_workers(&hold, pool, 1);
	for (int i = 0; i < 50; i++)
		assert_ok(mppool_apply_async(pool, &func, MPPOOL_ARGS(&i), NULL, NULL));
	for (int i = 0; i < 10; i++)
		xs[i] = 50 + i;
	assert_ok(mppool_map_async(pool, &func, MPPOOL_ARRAY(xs, 10), NULL, 3, NULL, &result));
	for (int i = 60; i < 70; i++)
		assert_ok(mppool_apply_async(pool, &func, MPPOOL_ARGS(&i), NULL, NULL));
	hold_release(&hold);
	pool_finish(pool);
	ck_assert(recorded_each_once(&recorder, 0, 70));
	ck_assert(recorded_ascending(&recorder));
	mppool_result_free(result);
	recorder_destroy(&recorder);
}
END_TEST

struct opener {
	struct recorder recorder;
	struct gate gate;
	size_t after;                    /* the gate is opened when so many were recorded */
};

static int record_then_open_call(const void *const args[], void *result, void *context)
{
	struct opener *const opener = context;

	if (int_arg(args, 0) < 0) {
		gate_wait(&opener->gate);
	} else {
		record(&opener->recorder, int_arg(args, 0));
		if (recorded_count(&opener->recorder) == opener->after)
			gate_open(&opener->gate);
	}
	*(int *)result = 0;
	return 0;
}

/* 7: one worker stands in a call all the while; nothing that was submitted next may be kept waiting for it, although
 * the calls before it were so short that a worker might take several at once. */
START_TEST(tasks_start_in_order_although_a_call_before_them_blocks)
{
	mppool *const pool = pool_of(2);
	struct opener opener = {.after = 400};
	struct hold hold;

	recorder_init(&opener.recorder);
	gate_init(&opener.gate);
	const struct mppool_func func = make_func(record_then_open_call, 1, sizeof(int), &opener);
	hold_workers(&hold, pool, 2);
	for (int i = 0; i < 400; i++) {
		if (i == 200)
			assert_ok(mppool_apply_async(pool, &func, MPPOOL_ARGS(&(int){-1}), NULL, NULL));
		assert_ok(mppool_apply_async(pool, &func, MPPOOL_ARGS(&i), NULL, NULL));
	}
	hold_release(&hold);
	pool_finish(pool);
	ck_assert(recorded_each_once(&opener.recorder, 0, 400));
	/* Two workers may be in each other's way up to 200; from there on only one of them works. */
	for (size_t i = 201; i + 1 < 400; i++)
		ck_assert_int_lt(recorded_at(&opener.recorder, i), recorded_at(&opener.recorder, i + 1));
	recorder_destroy(&opener.recorder);
	gate_destroy(&opener.gate);
}
END_TEST

/* 7 */
START_TEST(tasks_start_by_priority_then_in_order)
{
	mppool *const pool = pool_of(1);
	struct recorder recorder;
	struct hold hold;

	recorder_init(&recorder);
	const struct mppool_func func = make_func(record_call, 1, sizeof(int), &recorder);
	hold_workers(&hold, pool, 1);
	for (int i = 0; i < 10; i++)
		for (int priority = -1; priority <= 1; priority++) {
			const int place = 10 * (1 - priority) + i;
			assert_ok(mppool_apply_async(pool, &func, MPPOOL_ARGS(&place),
			                             MPPOOL_CALL(.priority = priority), NULL));
		}
	hold_release(&hold);
	pool_finish(pool);
	ck_assert(recorded_each_once(&recorder, 0, 30));
	ck_assert(recorded_ascending(&recorder));
	recorder_destroy(&recorder);
}
END_TEST

/* 7: the calls behind the one that runs are still in the queue, however short those before it were. */
START_TEST(task_of_higher_priority_overtakes_all_that_have_not_started)
{
	mppool *const pool = pool_of(1);
	struct recorder recorder;
	struct hold hold;
	struct gate gate;

	recorder_init(&recorder);
	gate_init(&gate);
	const struct mppool_func quick = make_func(record_call, 1, sizeof(int), &recorder);
	const struct mppool_func stand = make_func(gate_call, 1, sizeof(int), &gate);
	hold_workers(&hold, pool, 1);
	for (int i = 0; i < 300; i++) {
		if (i == 200)
			assert_ok(mppool_apply_async(pool, &stand, MPPOOL_ARGS(&i), NULL, NULL));
		assert_ok(mppool_apply_async(pool, &quick, MPPOOL_ARGS(&i), NULL, NULL));
	}
	hold_release(&hold);
	gate_wait_arrivals(&gate, 1);
	assert_ok(mppool_apply_async(pool, &quick, MPPOOL_ARGS(&(int){1000}), MPPOOL_CALL(.priority = 1), NULL));
	gate_open(&gate);
	pool_finish(pool);
	ck_assert_uint_eq(recorded_count(&recorder), 301);
	ck_assert_int_eq(recorded_at(&recorder, 199), 199);
	ck_assert_int_eq(recorded_at(&recorder, 200), 1000);
	recorder_destroy(&recorder);
	gate_destroy(&gate);
}
END_TEST

/* 8 */
START_TEST(blocked_generator_holds_up_no_other_call)
{
	mppool *const pool = pool_of(1);
	struct gate gate;
	gate_init(&gate);
	struct source blocked = {.length = 5, .gate = &gate, .block_at = 2}, free_source = SOURCE(100);
	const struct mppool_iterable blocked_items = source_items(&blocked), free_items = source_items(&free_source);
	mppool_result *result = NULL;
	int y = -1;

	assert_ok(mppool_map_async(pool, &sqr_task, &blocked_items, NULL, 1, NULL, &result));
	gate_wait_arrivals(&gate, 1);
	assert_ok(mppool_apply(pool, &sqr_task, MPPOOL_ARGS(&(int){5}), &y));
	ck_assert_int_eq(y, 25);
	assert_ok(mppool_map(pool, &sqr_task, &free_items, NULL, 1));    /* a generator, too */
	ck_assert_uint_eq(free_source.drawn, 100);
	ck_assert_int_eq(mppool_result_ready(result), 0);
	gate_open(&gate);
	assert_ok(mppool_result_get(result, NULL, MPPOOL_FOREVER));
	mppool_result_free(result);
	pool_finish(pool);
	gate_destroy(&gate);
}
END_TEST

struct submission {
	mppool *pool;
	int code;
};

static void submit_run(void *arg)
{
	struct submission *const submission = arg;

	submission->code = mppool_apply_async(submission->pool, &sqr_task, MPPOOL_ARGS(&(int){1}), NULL, NULL);
}

/* 9 */
START_TEST(queue_limit_makes_submits_wait_for_room)
{
	mppool *const pool = pool_with(MPPOOL_OPTIONS(.workers = 1, .queue_limit = 2));
	struct submission submission = {.pool = pool, .code = -1};
	struct hold hold;
	struct runner runner;
	mppool_result *result = NULL;
	int x = 2, xs[50] = {0};

	hold_workers(&hold, pool, 1);
	assert_ok(mppool_apply_async(pool, &sqr_task, MPPOOL_ARGS(&x), MPPOOL_CALL(.flags = MPPOOL_NOWAIT), NULL));
	assert_ok(mppool_map_async(pool, &sqr_task, MPPOOL_ARRAY(xs, 50), NULL, 1, MPPOOL_CALL(.flags = MPPOOL_NOWAIT),
	                           &result));                    /* one call, however many items */
	assert_code(mppool_apply_async(pool, &sqr_task, MPPOOL_ARGS(&x), MPPOOL_CALL(.flags = MPPOOL_NOWAIT), NULL),
	            MPPOOL_EFULL);
	const double start = seconds_now();
	assert_code(mppool_apply_async(pool, &sqr_task, MPPOOL_ARGS(&x), MPPOOL_CALL(.submit_timeout = 0.02), NULL),
	            ETIMEDOUT);
	ck_assert_double_ge(seconds_now() - start, 0.02);
	runner_start(&runner, submit_run, &submission);
	pause_briefly();
	ck_assert(!runner_done(&runner));
	hold_release(&hold);
	runner_join(&runner);
	assert_ok(submission.code);
	mppool_result_free(result);
	pool_finish(pool);
}
END_TEST

/* 9 */
START_TEST(queue_limit_with_waiting_submit_is_given_up_by_close)
{
	mppool *const pool = pool_with(MPPOOL_OPTIONS(.workers = 1, .queue_limit = 1));
	struct submission submission = {.pool = pool, .code = -1};
	struct hold hold;
	struct runner runner;
	int x = 2;

	hold_workers(&hold, pool, 1);
	assert_ok(mppool_apply_async(pool, &sqr_task, MPPOOL_ARGS(&x), NULL, NULL));
	runner_start(&runner, submit_run, &submission);
	pause_briefly();
	ck_assert(!runner_done(&runner));
	assert_ok(mppool_close(pool));
	runner_join(&runner);                                    /* although the worker is still held */
	assert_code(submission.code, MPPOOL_ECLOSED);
	hold_release(&hold);
	assert_ok(mppool_destroy(pool));
}
END_TEST

static int submit_many_call(const void *const args[], void *result, void *context)
{
	const struct mppool_func func = make_func(record_call, 1, sizeof(int), context);
	int code = 0;

	(void)args;
	(void)result;
	for (int i = 0; i < 100 && code == 0; i++)
		code = mppool_apply_async(mppool_current(), &func, MPPOOL_ARGS(&i), NULL, NULL);
	return code;
}

/* 9 */
START_TEST(queue_limit_never_makes_own_tasks_wait)
{
	mppool *const pool = pool_with(MPPOOL_OPTIONS(.workers = 1, .queue_limit = 1));
	struct recorder recorder;

	recorder_init(&recorder);
	const struct mppool_func func = make_func(submit_many_call, 0, 0, &recorder);
	assert_ok(mppool_apply(pool, &func, NULL, NULL));
	pool_finish(pool);
	ck_assert(recorded_each_once(&recorder, 0, 100));
	recorder_destroy(&recorder);
}
END_TEST

struct chunks {
	struct recorder counts;
	struct recorder items;
};

static int chunk_record(const struct mppool_chunk *chunk, void *context)
{
	struct chunks *const chunks = context;

	record(&chunks->counts, (int)chunk->count);
	for (size_t i = 0; i < chunk->count; i++) {
		const struct mppool_column *const column = chunk->columns;
		const char *const arg = (const char *)column->base + i * column->stride;
		char *const to = (char *)chunk->results + i * chunk->result_stride;
		int x;

		memcpy(&x, arg, sizeof x);
		if ((size_t)x != chunk->first + i)
			return ERANGE;
		record(&chunks->items, x);
		x *= x;
		memcpy(to, &x, sizeof x);
	}
	return 0;
}

static void check_default_chunks(int workers, size_t n)
{
	mppool *const pool = pool_of(workers);
	const size_t parts = 4 * (size_t)workers, most = (n + parts - 1) / parts;
	struct mppool_func func = make_func(NULL, 1, sizeof(int), NULL);
	struct chunks chunks;
	int *const xs = calloc(n, sizeof *xs), *const ys = calloc(n, sizeof *ys);

	ck_assert_ptr_nonnull(xs);
	ck_assert_ptr_nonnull(ys);
	recorder_init(&chunks.counts);
	recorder_init(&chunks.items);
	func.chunk_call = chunk_record;
	func.context = &chunks;
	fill_range(xs, n);
	assert_ok(mppool_map(pool, &func, MPPOOL_ARRAY(xs, n), ys, 0));
	for (size_t i = 0; i < recorded_count(&chunks.counts); i++)
		ck_assert_uint_le((size_t)recorded_at(&chunks.counts, i), most);
	ck_assert(recorded_each_once(&chunks.items, 0, n));
	for (size_t i = 0; i < n; i++)
		ck_assert_int_eq(ys[i], (int)(i * i));
	pool_finish(pool);
	recorder_destroy(&chunks.counts);
	recorder_destroy(&chunks.items);
	free(xs);
	free(ys);
}

/* 10 */
START_TEST(map_default_chunks_are_never_larger_than_pythons)
{
	static const size_t lengths[] = {1, 2, 7, 16, 17, 100, 1000};

	for (int workers = 1; workers <= 4; workers *= 2)
		for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
			check_default_chunks(workers, lengths[i]);
}
END_TEST

/* 11 */
START_TEST(chunksize_zero_or_huge_loses_no_item)
{
	static const size_t chunksizes[] = {0, 1, 9, 10, 11, SIZE_MAX / 2, SIZE_MAX};
	mppool *const pool = pool_of(2);

	for (size_t k = 0; k < sizeof chunksizes / sizeof *chunksizes; k++) {
		int xs[10], ys[10] = {0}, y;
		mppool_iter *iter = NULL;

		fill_range(xs, 10);
		assert_ok(mppool_map(pool, &sqr_task, MPPOOL_ARRAY(xs, 10), ys, chunksizes[k]));
		assert_ok(mppool_imap(pool, &sqr_task, MPPOOL_ARRAY(xs, 10), chunksizes[k], 0, NULL, &iter));
		for (int i = 0; i < 10; i++) {
			ck_assert_int_eq(ys[i], i * i);
			assert_ok(mppool_iter_next(iter, &y, NULL, MPPOOL_FOREVER));
			ck_assert_int_eq(y, i * i);
		}
		assert_code(mppool_iter_next(iter, &y, NULL, MPPOOL_FOREVER), MPPOOL_ESTOP);
		mppool_iter_free(iter);
	}
	pool_finish(pool);
}
END_TEST

static int last_opens_call(const void *const args[], void *result, void *context)
{
	if (int_arg(args, 0) == 0)
		gate_wait(context);
	if (int_arg(args, 0) == 9)
		gate_open(context);
	*(int *)result = 2 * int_arg(args, 0);
	return 0;
}

/* 12 */
START_TEST(map_results_are_in_input_order_whatever_ends_first)
{
	mppool *const pool = pool_of(2);
	struct gate gate;
	int xs[10], ys[10] = {0};

	gate_init(&gate);
	const struct mppool_func func = make_func(last_opens_call, 1, sizeof(int), &gate);
	fill_range(xs, 10);
	assert_ok(mppool_map(pool, &func, MPPOOL_ARRAY(xs, 10), ys, 1));
	for (int i = 0; i < 10; i++)
		ck_assert_int_eq(ys[i], 2 * i);
	pool_finish(pool);
	gate_destroy(&gate);
}
END_TEST

static int fail_every_third_call(const void *const args[], void *result, void *context)
{
	(void)context;
	*(int *)result = int_arg(args, 0) + 100;                 /* also where it fails: that must not be seen */
	if (int_arg(args, 0) % 3 == 1)
		return mppool_raise(1000 + int_arg(args, 0), "item %d", int_arg(args, 0));
	return 0;
}

static void check_failures(mppool *pool, size_t chunksize)
{
	const struct mppool_func func = make_func(fail_every_third_call, 1, sizeof(int), NULL);
	int xs[20], ys[20], codes[20];
	mppool_result *result = NULL;

	fill_range(xs, 20);
	memset(ys, 0xff, sizeof ys);
	memset(codes, 0xff, sizeof codes);
	assert_ok(mppool_map_async(pool, &func, MPPOOL_ARRAY(xs, 20), ys, chunksize, MPPOOL_CALL(.codes = codes),
	                           &result));
	assert_code(mppool_result_get(result, NULL, MPPOOL_FOREVER), MPPOOL_ETASK);
	ck_assert_int_eq(mppool_last_error()->code, 1001);
	ck_assert_uint_eq(mppool_last_error()->index, 1);
	ck_assert_str_eq(mppool_last_error()->message, "item 1");
	for (int i = 0; i < 20; i++) {
		ck_assert_int_eq(codes[i], i % 3 == 1 ? 1000 + i : 0);
		ck_assert_int_eq(ys[i], i % 3 == 1 ? 0 : i + 100);
	}
	mppool_result_free(result);
}

/* 13, 14 */
START_TEST(failing_item_ends_neither_its_chunk_nor_the_call)
{
	mppool *const pool = pool_of(2);

	check_failures(pool, 0);
	check_failures(pool, 1);
	check_failures(pool, 7);
	check_failures(pool, 20);
	pool_finish(pool);
}
END_TEST

/* 13 */
static void check_fail_fast(size_t chunksize)
{
	mppool *const pool = pool_of(1);
	const struct mppool_func func = make_func(fail_every_third_call, 1, sizeof(int), NULL);
	int xs[20], ys[20], codes[20];
	mppool_result *result = NULL;

	fill_range(xs, 20);
	memset(ys, 0xff, sizeof ys);
	assert_ok(mppool_map_async(pool, &func, MPPOOL_ARRAY(xs, 20), ys, chunksize,
	                           MPPOOL_CALL(.codes = codes, .flags = MPPOOL_FAIL_FAST), &result));
	assert_code(mppool_result_get(result, NULL, MPPOOL_FOREVER), MPPOOL_ETASK);
	ck_assert_int_eq(mppool_last_error()->code, 1001);
	ck_assert_int_eq(codes[0], 0);
	ck_assert_int_eq(ys[0], 100);
	ck_assert_int_eq(codes[1], 1001);
	for (int i = 1; i < 20; i++) {
		ck_assert_int_eq(ys[i], 0);
		ck_assert(i == 1 || codes[i] == ECANCELED);
	}
	mppool_result_free(result);
	pool_finish(pool);
}

START_TEST(fail_fast_cancels_what_has_not_started)
{
	check_fail_fast(1);
	check_fail_fast(2);
	check_fail_fast(20);
}
END_TEST

static int fail_late_call(const void *const args[], void *result, void *context)
{
	(void)result;
	if (int_arg(args, 0) == 0)
		gate_wait(context);
	if (int_arg(args, 0) == 3)
		gate_open(context);                              /* 2, before it in its chunk, has failed by now */
	return int_arg(args, 0) % 2 ? 0 : 500 + int_arg(args, 0);
}

/* 14 */
START_TEST(error_names_lowest_index_not_first_to_fail)
{
	mppool *const pool = pool_of(2);
	struct gate gate;
	int xs[4] = {0, 1, 2, 3};

	gate_init(&gate);
	const struct mppool_func func = make_func(fail_late_call, 1, 0, &gate);
	assert_code(mppool_map(pool, &func, MPPOOL_ARRAY(xs, 4), NULL, 2), MPPOOL_ETASK);
	ck_assert_int_eq(mppool_last_error()->code, 500);
	ck_assert_uint_eq(mppool_last_error()->index, 0);
	pool_finish(pool);
	gate_destroy(&gate);
}
END_TEST

struct empty_calls {
	atomic_int calls;
	atomic_size_t n;
};

static void empty_callback(const void *results, size_t n, void *userdata)
{
	struct empty_calls *const calls = userdata;

	(void)results;
	atomic_fetch_add(&calls->calls, 1);
	atomic_store(&calls->n, n);
}

/* 15 */
START_TEST(empty_input_is_ready_at_once_with_its_callback)
{
	mppool *const pool = pool_of(1);
	struct empty_calls calls = {.calls = 0, .n = 77};
	struct hold hold;
	const int *const none = NULL;
	mppool_result *result = NULL;
	int successful = -1;

	hold_workers(&hold, pool, 1);                            /* no worker is needed */
	assert_ok(mppool_map_async(pool, &sqr_task, MPPOOL_ARRAY(none, 0), NULL, 0,
	                           MPPOOL_CALL(.callback = empty_callback, .userdata = &calls), &result));
	assert_ok(mppool_result_wait(result, MPPOOL_FOREVER));
	ck_assert_int_eq(calls.calls, 1);
	ck_assert_uint_eq(calls.n, 0);
	assert_ok(mppool_result_successful(result, &successful));
	ck_assert_int_eq(successful, 1);
	mppool_result_free(result);
	hold_release(&hold);
	pool_finish(pool);
	ck_assert_int_eq(calls.calls, 1);
}
END_TEST

/* --------------------------------------------------------------------------------------------------- rows 16 to 29 */

/* 16, 17, 18: test_callbacks.c. 19 to 23: test_streams.c. */

/* 24 */
START_TEST(get_repeated_gives_the_same)
{
	mppool *const pool = pool_of(1);
	const struct mppool_func failing = make_func(fail_every_third_call, 1, sizeof(int), NULL);
	mppool_result *good = NULL, *bad = NULL;
	int y = 0, z = 7;

	assert_ok(mppool_apply_async(pool, &sqr_task, MPPOOL_ARGS(&(int){6}), NULL, &good));
	assert_ok(mppool_apply_async(pool, &failing, MPPOOL_ARGS(&(int){4}), NULL, &bad));
	for (int i = 0; i < 3; i++) {
		y = 0;
		assert_ok(mppool_result_get(good, &y, MPPOOL_FOREVER));
		ck_assert_int_eq(y, 36);
		ck_assert_int_eq(*(const int *)mppool_result_value(good), 36);
		assert_code(mppool_apply(pool, &failing, MPPOOL_ARGS(&(int){7}), &z), MPPOOL_ETASK);
		ck_assert_int_eq(mppool_last_error()->code, 1007);
		assert_code(mppool_result_get(bad, NULL, MPPOOL_FOREVER), MPPOOL_ETASK);
		ck_assert_int_eq(mppool_last_error()->code, 1004);
		ck_assert_str_eq(mppool_last_error()->message, "item 4");
		ck_assert_int_eq(z, 7);
	}
	mppool_result_free(good);
	mppool_result_free(bad);
	pool_finish(pool);
}
END_TEST

/* 25 */
START_TEST(wait_that_runs_out_says_so)
{
	mppool *const pool = pool_of(1);
	struct hold hold;
	int successful = 5;

	hold_workers(&hold, pool, 1);
	assert_code(mppool_result_wait(hold.results[0], 0), ETIMEDOUT);
	const double start = seconds_now();
	assert_code(mppool_result_wait(hold.results[0], 0.02), ETIMEDOUT);
	ck_assert_double_ge(seconds_now() - start, 0.02);
	assert_code(mppool_result_successful(hold.results[0], &successful), MPPOOL_ENOTREADY);
	ck_assert_int_eq(successful, 5);
	ck_assert_ptr_null(mppool_result_value(hold.results[0]));
	ck_assert_ptr_null(mppool_result_error(hold.results[0]));
	gate_open(&hold.gate);
	assert_ok(mppool_result_wait(hold.results[0], MPPOOL_FOREVER));
	assert_ok(mppool_result_wait(hold.results[0], 0));
	assert_ok(mppool_result_successful(hold.results[0], &successful));
	ck_assert_int_eq(successful, 1);
	hold_release(&hold);
	pool_finish(pool);
}
END_TEST

static int return_code_call(const void *const args[], void *result, void *context)
{
	(void)result;
	(void)context;
	return int_arg(args, 0);
}

/* 26 */
START_TEST(own_timeout_of_a_task_is_not_that_of_the_wait)
{
	mppool *const pool = pool_of(1);
	const struct mppool_func func = make_func(return_code_call, 1, 0, NULL);
	const int codes[] = {ETIMEDOUT,    ECANCELED,    EDEADLK,       MPPOOL_ETERMINATED,
	                     MPPOOL_ESTOP, MPPOOL_EITER, MPPOOL_EBROKEN};
	const size_t n = sizeof codes / sizeof *codes;
	mppool_result *result = NULL;
	mppool_iter *iter = NULL;

	for (size_t i = 0; i < n; i++) {
		assert_ok(mppool_apply_async(pool, &func, MPPOOL_ARGS(&codes[i]), NULL, &result));
		assert_code(mppool_result_get(result, NULL, MPPOOL_FOREVER), MPPOOL_ETASK);
		ck_assert_int_eq(mppool_last_error()->code, codes[i]);
		ck_assert_int_eq(mppool_result_error(result)->code, codes[i]);
		mppool_result_free(result);
	}
	assert_ok(mppool_imap(pool, &func, MPPOOL_ARRAY(codes, n), 2, 0, NULL, &iter));
	for (size_t i = 0; i < n; i++) {
		size_t index = 99;
		assert_code(mppool_iter_next(iter, NULL, &index, MPPOOL_FOREVER), MPPOOL_ETASK);
		ck_assert_uint_eq(index, i);
		ck_assert_int_eq(mppool_last_error()->code, codes[i]);
	}
	assert_code(mppool_iter_next(iter, NULL, NULL, MPPOOL_FOREVER), MPPOOL_ESTOP);
	mppool_iter_free(iter);
	pool_finish(pool);
}
END_TEST

/* 26: past task_timeout an item ends as ETIMEDOUT, when it returns. */
static int until_stopped_call(const void *const args[], void *result, void *context)
{
	(void)args;
	while (!mppool_should_stop())
		sched_yield();
	gate_wait(context);
	*(int *)result = 5;
	return 0;
}

START_TEST(task_timeout_stops_the_item_and_is_its_code)
{
	mppool *const pool = pool_of(1);
	struct gate gate;
	mppool_result *result = NULL;
	int code = -1;

	gate_init(&gate);
	const struct mppool_func func = make_func(until_stopped_call, 1, sizeof(int), &gate);
	assert_ok(mppool_apply_async(pool, &func, MPPOOL_ARGS(&(int){0}),
	                             MPPOOL_CALL(.task_timeout = 0.02, .codes = &code), &result));
	gate_wait_arrivals(&gate, 1);                            /* it has seen should_stop */
	ck_assert_int_eq(mppool_result_ready(result), 0);
	gate_open(&gate);
	assert_code(mppool_result_get(result, NULL, MPPOOL_FOREVER), MPPOOL_ETASK);
	ck_assert_int_eq(mppool_last_error()->code, ETIMEDOUT);
	ck_assert_int_eq(code, ETIMEDOUT);
	ck_assert_int_eq(*(const int *)mppool_result_value(result), 0);
	mppool_result_free(result);
	pool_finish(pool);
	gate_destroy(&gate);
}
END_TEST

/* 27 */
START_TEST(close_is_idempotent_and_join_is_repeatable_and_timed)
{
	mppool *const pool = pool_of(2);
	struct hold hold;

	assert_code(mppool_join(pool, 0), MPPOOL_ERUNNING);
	assert_code(mppool_join(pool, MPPOOL_FOREVER), MPPOOL_ERUNNING);
	hold_workers(&hold, pool, 1);
	ck_assert_int_eq(mppool_state(pool), MPPOOL_RUN);
	assert_ok(mppool_close(pool));
	ck_assert_int_eq(mppool_state(pool), MPPOOL_CLOSED);
	assert_ok(mppool_close(pool));
	assert_code(mppool_join(pool, 0), ETIMEDOUT);
	const double start = seconds_now();
	assert_code(mppool_join(pool, 0.02), ETIMEDOUT);
	ck_assert_double_ge(seconds_now() - start, 0.02);
	hold_release(&hold);
	assert_ok(mppool_join(pool, MPPOOL_FOREVER));
	assert_ok(mppool_join(pool, 0));
	assert_ok(mppool_join(pool, MPPOOL_FOREVER));
	assert_ok(mppool_close(pool));
	ck_assert_uint_eq(threads_settle("mppool", 0), 0);
	assert_ok(mppool_destroy(pool));
}
END_TEST

static void join_run(size_t i, void *arg)
{
	struct submission *const joins = arg;

	joins[i].code = mppool_join(joins[i].pool, MPPOOL_FOREVER);
}

/* 27 */
START_TEST(join_by_several_threads_ends_in_each)
{
	mppool *const pool = pool_of(2);
	struct submission joins[4];
	int x = 3;

	for (int i = 0; i < 4; i++)
		joins[i] = (struct submission){.pool = pool, .code = -1};
	for (int i = 0; i < 100; i++)
		assert_ok(mppool_apply_async(pool, &sqr_task, MPPOOL_ARGS(&x), NULL, NULL));
	assert_ok(mppool_close(pool));
	run_in_threads(4, join_run, joins);
	for (int i = 0; i < 4; i++)
		assert_ok(joins[i].code);
	assert_ok(mppool_destroy(pool));
}
END_TEST

/* 28, 29 */
START_TEST(terminate_drops_queued_work_and_lets_running_tasks_end)
{
	mppool *const pool = pool_of(1);
	struct stop_probe probe;
	mppool_result *running = NULL, *queued = NULL, *queued_map = NULL;
	int xs[5] = {0}, y = -1;

	probe_init(&probe);
	const struct mppool_func func = make_func(probe_call, 1, sizeof(int), &probe);
	assert_ok(mppool_apply_async(pool, &func, MPPOOL_ARGS(&xs[0]), NULL, &running));
	gate_wait_arrivals(&probe.gate, 1);
	assert_ok(mppool_apply_async(pool, &func, MPPOOL_ARGS(&xs[0]), NULL, &queued));
	assert_ok(mppool_map_async(pool, &func, MPPOOL_ARRAY(xs, 5), NULL, 0, NULL, &queued_map));
	assert_ok(mppool_terminate(pool));
	assert_ok(mppool_terminate(pool));
	ck_assert_int_eq(mppool_state(pool), MPPOOL_TERMINATED);
	assert_code(mppool_result_get(queued, &y, MPPOOL_FOREVER), MPPOOL_ETERMINATED);
	assert_code(mppool_result_get(queued_map, NULL, MPPOOL_FOREVER), MPPOOL_ETERMINATED);
	ck_assert_int_eq(mppool_result_ready(running), 0);       /* terminate has not waited for it */
	assert_ok(mppool_close(pool));
	ck_assert_int_eq(mppool_state(pool), MPPOOL_TERMINATED);
	assert_code(mppool_join(pool, 0), ETIMEDOUT);
	gate_open(&probe.gate);
	assert_ok(mppool_join(pool, MPPOOL_FOREVER));
	assert_ok(mppool_terminate(pool));
	assert_ok(mppool_result_get(running, &y, MPPOOL_FOREVER));
	ck_assert_int_eq(y, 1000);
	ck_assert_int_eq(probe.stops, 1);
	ck_assert_int_eq(probe.ran, 1);
	mppool_result_free(running);
	mppool_result_free(queued);
	mppool_result_free(queued_map);
	assert_ok(mppool_destroy(pool));
	gate_destroy(&probe.gate);
}
END_TEST

/* 28 */
START_TEST(terminate_after_close_drops_what_close_would_have_finished)
{
	mppool *const pool = pool_of(1);
	struct hold hold;
	mppool_result *queued = NULL;

	hold_workers(&hold, pool, 1);
	assert_ok(mppool_apply_async(pool, &sqr_task, MPPOOL_ARGS(&(int){2}), NULL, &queued));
	assert_ok(mppool_close(pool));
	assert_ok(mppool_terminate(pool));
	ck_assert_int_eq(mppool_state(pool), MPPOOL_TERMINATED);
	hold_release(&hold);
	assert_ok(mppool_join(pool, MPPOOL_FOREVER));
	assert_code(mppool_result_get(queued, NULL, 0), MPPOOL_ETERMINATED);
	mppool_result_free(queued);
	assert_ok(mppool_destroy(pool));
}
END_TEST

struct getter {
	mppool_result *result;
	mppool_iter *iter;
	int code;
};

static void get_run(void *arg)
{
	struct getter *const getter = arg;

	getter->code = getter->result ? mppool_result_get(getter->result, NULL, MPPOOL_FOREVER)
	                              : mppool_iter_next(getter->iter, NULL, NULL, MPPOOL_FOREVER);
}

/* 29 */
START_TEST(get_that_waits_is_told_of_terminate)
{
	mppool *const pool = pool_of(1);
	struct hold hold;
	struct getter of_result = {.code = -1}, of_iter = {.code = -1};
	struct runner runners[2];
	int xs[3] = {0};

	hold_workers(&hold, pool, 1);
	assert_ok(mppool_apply_async(pool, &sqr_task, MPPOOL_ARGS(&(int){2}), NULL, &of_result.result));
	assert_ok(mppool_imap(pool, &sqr_task, MPPOOL_ARRAY(xs, 3), 1, 0, NULL, &of_iter.iter));
	runner_start(&runners[0], get_run, &of_result);
	runner_start(&runners[1], get_run, &of_iter);
	pause_briefly();
	ck_assert(!runner_done(&runners[0]) && !runner_done(&runners[1]));
	assert_ok(mppool_terminate(pool));
	runner_join(&runners[0]);
	runner_join(&runners[1]);
	assert_code(of_result.code, MPPOOL_ETERMINATED);
	assert_code(of_iter.code, MPPOOL_ETERMINATED);
	assert_code(mppool_iter_next(of_iter.iter, NULL, NULL, 0), MPPOOL_ESTOP);
	hold_release(&hold);
	mppool_result_free(of_result.result);
	mppool_iter_free(of_iter.iter);
	assert_ok(mppool_destroy(pool));
}
END_TEST

/* --------------------------------------------------------------------------------------------------- rows 30 to 35 */

static int leave_call(const void *const args[], void *result, void *context)
{
	(void)context;
	if (int_arg(args, 0) == 2)
		pthread_exit(NULL);
	*(int *)result = int_arg(args, 0) + 1;
	return 0;
}

static int cancel_self_call(const void *const args[], void *result, void *context)
{
	(void)context;
	if (int_arg(args, 0) == 2) {
		pthread_cancel(pthread_self());
		pthread_testcancel();
	}
	*(int *)result = int_arg(args, 0) + 1;
	return 0;
}

static void check_lost(mppool_item_call *call, int workers)
{
	mppool *const pool = pool_of(workers);
	const struct mppool_func func = make_func(call, 1, sizeof(int), NULL);
	int xs[6], ys[6], codes[6], y = -1;
	mppool_result *result = NULL;

	fill_range(xs, 6);
	memset(ys, 0xff, sizeof ys);
	assert_ok(mppool_map_async(pool, &func, MPPOOL_ARRAY(xs, 6), ys, 6, MPPOOL_CALL(.codes = codes), &result));
	assert_code(mppool_result_get(result, NULL, MPPOOL_FOREVER), MPPOOL_ETASK);
	ck_assert_int_eq(mppool_last_error()->code, MPPOOL_ELOST);
	ck_assert_uint_eq(mppool_last_error()->index, 2);
	for (int i = 0; i < 6; i++) {
		ck_assert_int_eq(codes[i], i == 2 ? MPPOOL_ELOST : 0);
		ck_assert_int_eq(ys[i], i == 2 ? 0 : i + 1);
	}
	mppool_result_free(result);
	assert_code(mppool_apply(pool, &func, MPPOOL_ARGS(&(int){2}), &y), MPPOOL_ETASK);
	ck_assert_int_eq(mppool_last_error()->code, MPPOOL_ELOST);
	assert_ok(mppool_apply(pool, &my_worker_task, MPPOOL_ARGS(&(int){2}), &y));
	ck_assert_int_ge(y, 0);
	ck_assert_int_lt(y, workers);
	ck_assert_uint_eq(threads_settle("mppool-w", (size_t)workers), (size_t)workers);
	pool_finish(pool);
}

/* 30 */
START_TEST(worker_that_leaves_loses_one_item_and_is_replaced)
{
	check_lost(leave_call, 1);
	check_lost(leave_call, 2);
	check_lost(cancel_self_call, 1);
	check_lost(cancel_self_call, 2);
}
END_TEST

/* 31: test_nested.c. */

static int until_stop_call(const void *const args[], void *result, void *context)
{
	(void)args;
	(void)result;
	gate_wait(context);
	while (!mppool_should_stop())
		sched_yield();
	return 0;
}

/* 32: the task that runs ends only because the end of the block tells it to, and the one behind it never starts. */
START_TEST(with_block_end_terminates_instead_of_finishing)
{
	mppool_result *running = NULL, *queued = NULL;
	struct gate gate;

	gate_init(&gate);
	gate_open(&gate);
	const struct mppool_func func = make_func(until_stop_call, 0, 0, &gate);
	MPPOOL_WITH(pool, .workers = 1, .queue_limit = 10) {
		assert_ok(mppool_apply_async(pool, &func, NULL, NULL, &running));
		assert_ok(mppool_apply_async(pool, &func, NULL, NULL, &queued));
		gate_wait_departures(&gate, 1);
	}
	ck_assert_uint_eq(threads_settle("mppool", 0), 0);
	assert_ok(mppool_result_get(running, NULL, 0));
	assert_code(mppool_result_get(queued, NULL, 0), MPPOOL_ETERMINATED);
	ck_assert_uint_eq(gate_arrivals(&gate), 1);
	mppool_result_free(running);
	mppool_result_free(queued);
	gate_destroy(&gate);
}
END_TEST

/* 32: also when the pool was closed in the block. */
START_TEST(with_block_end_does_not_wait_for_a_closed_pool)
{
	struct gate gate;

	gate_init(&gate);
	gate_open(&gate);
	const struct mppool_func func = make_func(until_stop_call, 0, 0, &gate);
	MPPOOL_WITH(pool, .workers = 2) {
		assert_ok(mppool_apply_async(pool, &func, NULL, NULL, NULL));
		assert_ok(mppool_apply_async(pool, &func, NULL, NULL, NULL));
		gate_wait_departures(&gate, 2);
		assert_ok(mppool_close(pool));
	}
	ck_assert_uint_eq(threads_settle("mppool", 0), 0);
	gate_destroy(&gate);
}
END_TEST

/* 33: what was handed over, what came back, and in which order. */
enum { ARGS = 1, RESULT, RELEASE, FINISH };

struct ledger {
	struct recorder log;
	struct gate *gate;
};

static int ledger_call(const void *const args[], void *result, void *context)
{
	const struct ledger *const ledger = context;

	if (ledger->gate)
		gate_wait(ledger->gate);
	*(int *)result = int_arg(args, 0);
	return int_arg(args, 0) % 5 == 4 ? EINVAL : 0;
}

static void ledger_args(const void *const args[], void *context)
{
	(void)args;
	record(&((struct ledger *)context)->log, ARGS);
}

static void ledger_result(void *result, void *context)
{
	(void)result;
	record(&((struct ledger *)context)->log, RESULT);
}

static void ledger_release(void *context)
{
	record(&((struct ledger *)context)->log, RELEASE);
}

static struct mppool_func ledger_func(struct ledger *ledger, struct gate *gate)
{
	struct mppool_func func = make_func(ledger_call, 1, sizeof(int), ledger);

	recorder_init(&ledger->log);
	ledger->gate = gate;
	func.drop_args = ledger_args;
	func.drop_result = ledger_result;
	func.release = ledger_release;
	return func;
}

/* Also forgets what was recorded. release comes last, once. */
static void ledger_check(struct ledger *ledger, size_t args, size_t results, size_t releases)
{
	const size_t count = recorded_count(&ledger->log);

	ck_assert_uint_eq(recorded_times(&ledger->log, ARGS), args);
	ck_assert_uint_eq(recorded_times(&ledger->log, RESULT), results);
	ck_assert_uint_eq(recorded_times(&ledger->log, RELEASE), releases);
	if (releases > 0)
		ck_assert_int_eq(recorded_at(&ledger->log, count - 1), RELEASE);
}

/* 33 */
START_TEST(hooks_of_map_with_array_take_results_away)
{
	mppool *const pool = pool_of(2);
	struct ledger ledger;
	const struct mppool_func func = ledger_func(&ledger, NULL);
	int xs[10], ys[10];

	fill_range(xs, 10);
	assert_code(mppool_map(pool, &func, MPPOOL_ARRAY(xs, 10), ys, 3), MPPOOL_ETASK);
	ledger_check(&ledger, 10, 0, 1);
	recorder_destroy(&ledger.log);
	pool_finish(pool);
}
END_TEST

/* 33 */
START_TEST(hooks_of_map_without_array_drop_results)
{
	mppool *const pool = pool_of(2);
	struct ledger ledger;
	const struct mppool_func func = ledger_func(&ledger, NULL);
	int xs[10];

	fill_range(xs, 10);
	assert_code(mppool_map(pool, &func, MPPOOL_ARRAY(xs, 10), NULL, 3), MPPOOL_ETASK);
	ledger_check(&ledger, 10, 8, 1);                         /* items 4 and 9 fail: they have no result */
	recorder_destroy(&ledger.log);
	pool_finish(pool);
}
END_TEST

/* 33 */
START_TEST(hooks_of_kept_results_drop_what_no_get_took)
{
	mppool *const pool = pool_of(2);
	struct ledger ledger;
	const struct mppool_func func = ledger_func(&ledger, NULL);
	int xs[4], ys[4];
	mppool_result *result = NULL;

	fill_range(xs, 4);
	assert_ok(mppool_map_async(pool, &func, MPPOOL_ARRAY(xs, 4), NULL, 0, NULL, &result));
	assert_ok(mppool_result_get(result, NULL, MPPOOL_FOREVER));
	ck_assert_int_eq(((const int *)mppool_result_value(result))[3], 3);
	ledger_check(&ledger, 4, 0, 0);                          /* nobody took them yet, so context is still needed */
	mppool_result_free(result);
	ledger_check(&ledger, 4, 4, 1);
	recorder_destroy(&ledger.log);

	const struct mppool_func again = ledger_func(&ledger, NULL);
	assert_ok(mppool_map_async(pool, &again, MPPOOL_ARRAY(xs, 4), NULL, 0, NULL, &result));
	assert_ok(mppool_result_get(result, ys, MPPOOL_FOREVER));
	ledger_check(&ledger, 4, 0, 1);
	mppool_result_free(result);
	ledger_check(&ledger, 4, 0, 1);
	recorder_destroy(&ledger.log);
	pool_finish(pool);
}
END_TEST

/* 33 */
START_TEST(hooks_of_failed_map_leave_other_results_to_get_or_free)
{
	mppool *const pool = pool_of(2);
	struct ledger ledger;
	const struct mppool_func func = ledger_func(&ledger, NULL);
	int xs[10];
	mppool_result *result = NULL;

	fill_range(xs, 10);
	assert_ok(mppool_map_async(pool, &func, MPPOOL_ARRAY(xs, 10), NULL, 0, NULL, &result));
	assert_code(mppool_result_get(result, NULL, MPPOOL_FOREVER), MPPOOL_ETASK);
	ck_assert_int_eq(((const int *)mppool_result_value(result))[3], 3);
	mppool_result_free(result);
	ledger_check(&ledger, 10, 8, 1);
	recorder_destroy(&ledger.log);
	pool_finish(pool);
}
END_TEST

/* 33 */
START_TEST(hooks_of_fire_and_forget_drop_the_result)
{
	mppool *const pool = pool_of(2);
	struct ledger ledger;
	const struct mppool_func func = ledger_func(&ledger, NULL);

	assert_ok(mppool_apply_async(pool, &func, MPPOOL_ARGS(&(int){1}), NULL, NULL));
	pool_finish(pool);
	ledger_check(&ledger, 1, 1, 1);
	recorder_destroy(&ledger.log);
}
END_TEST

/* 33 */
START_TEST(hooks_of_result_freed_while_running_drop_the_result)
{
	mppool *const pool = pool_of(1);
	struct ledger ledger;
	struct gate gate;
	mppool_result *result = NULL;

	gate_init(&gate);
	const struct mppool_func func = ledger_func(&ledger, &gate);
	assert_ok(mppool_apply_async(pool, &func, MPPOOL_ARGS(&(int){1}), NULL, &result));
	gate_wait_arrivals(&gate, 1);
	mppool_result_free(result);
	ledger_check(&ledger, 0, 0, 0);
	gate_open(&gate);
	pool_finish(pool);
	ledger_check(&ledger, 1, 1, 1);
	recorder_destroy(&ledger.log);
	gate_destroy(&gate);
}
END_TEST

/* 33 */
START_TEST(hooks_of_terminated_pool_release_what_never_ran)
{
	mppool *const pool = pool_of(1);
	struct ledger ledger, queued;
	struct gate gate;
	int xs[10], ys[10];
	mppool_result *result = NULL, *map = NULL;

	gate_init(&gate);
	fill_range(xs, 10);
	const struct mppool_func func = ledger_func(&ledger, &gate), idle = ledger_func(&queued, NULL);
	assert_ok(mppool_map_async(pool, &func, MPPOOL_ARRAY(xs, 10), ys, 2, NULL, &map));
	gate_wait_arrivals(&gate, 1);
	assert_ok(mppool_apply_async(pool, &idle, MPPOOL_ARGS(&(int){1}), NULL, &result));
	assert_ok(mppool_terminate(pool));
	assert_code(mppool_result_wait(result, MPPOOL_FOREVER), 0);
	ledger_check(&queued, 1, 0, 1);
	gate_open(&gate);
	assert_code(mppool_result_get(map, NULL, MPPOOL_FOREVER), MPPOOL_ETERMINATED);
	ledger_check(&ledger, 10, 0, 1);
	mppool_result_free(result);
	mppool_result_free(map);
	assert_ok(mppool_destroy(pool));
	ledger_check(&ledger, 10, 0, 1);
	ledger_check(&queued, 1, 0, 1);
	recorder_destroy(&ledger.log);
	recorder_destroy(&queued.log);
	gate_destroy(&gate);
}
END_TEST

/* 33 */
START_TEST(hooks_of_iterator_freed_early_drop_what_was_not_taken)
{
	mppool *const pool = pool_of(2);
	struct ledger ledger;
	const struct mppool_func func = ledger_func(&ledger, NULL);
	struct source source = SOURCE(1000);
	const struct mppool_iterable items = source_items(&source);
	mppool_iter *iter = NULL;
	int y = -1;

	assert_ok(mppool_imap(pool, &func, &items, 1, 8, NULL, &iter));
	for (int i = 0; i < 3; i++) {
		assert_ok(mppool_iter_next(iter, &y, NULL, MPPOOL_FOREVER));
		ck_assert_int_eq(y, i);
	}
	mppool_iter_free(iter);
	ck_assert_uint_le(source.drawn, 11);
	ck_assert_uint_eq(source.finished, 1);
	ck_assert_uint_eq(recorded_times(&ledger.log, ARGS), source.drawn);
	ck_assert_uint_eq(recorded_times(&ledger.log, RELEASE), 1);
	ck_assert_int_eq(recorded_at(&ledger.log, recorded_count(&ledger.log) - 1), RELEASE);
	pool_finish(pool);
	ck_assert_uint_eq(recorded_times(&ledger.log, RELEASE), 1);
	recorder_destroy(&ledger.log);
}
END_TEST

/* 33 */
START_TEST(hooks_of_iterator_give_each_result_to_its_taker)
{
	mppool *const pool = pool_of(2);
	struct ledger ledger;
	const struct mppool_func func = ledger_func(&ledger, NULL);
	struct source source = SOURCE(20);
	const struct mppool_iterable items = source_items(&source);
	mppool_iter *iter = NULL;
	int y = -1, code;

	assert_ok(mppool_imap_unordered(pool, &func, &items, 3, 0, NULL, &iter));
	while ((code = mppool_iter_next(iter, &y, NULL, MPPOOL_FOREVER)) != MPPOOL_ESTOP)
		ck_assert(code == 0 || code == MPPOOL_ETASK);
	mppool_iter_free(iter);
	ledger_check(&ledger, 20, 0, 1);
	recorder_destroy(&ledger.log);
	pool_finish(pool);
}
END_TEST

/* 34 */
static int destroy_own_call(const void *const args[], void *result, void *context)
{
	(void)args;
	(void)context;
	mppool *const pool = mppool_current();
	int *const codes = result;

	codes[0] = mppool_join(pool, MPPOOL_FOREVER);            /* it runs: not a question of who asks */
	mppool_close(pool);
	codes[1] = mppool_join(pool, MPPOOL_FOREVER);
	codes[2] = mppool_destroy(pool);
	codes[3] = mppool_should_stop();
	return 0;
}

START_TEST(destroy_on_own_thread_terminates_but_does_not_free)
{
	mppool *const pool = pool_of(2);
	const struct mppool_func func = make_func(destroy_own_call, 0, 4 * sizeof(int), NULL);
	int codes[4] = {0};

	assert_ok(mppool_apply(pool, &func, NULL, codes));
	ck_assert(codes[0] == MPPOOL_ERUNNING || codes[0] == EDEADLK);
	assert_code(codes[1], EDEADLK);
	assert_code(codes[2], EDEADLK);
	ck_assert_int_eq(codes[3], 1);
	ck_assert_int_eq(mppool_state(pool), MPPOOL_TERMINATED);
	assert_ok(mppool_join(pool, MPPOOL_FOREVER));
	assert_ok(mppool_destroy(pool));
}
END_TEST

/* 35 */
START_TEST(cancel_before_start_ends_as_canceled)
{
	mppool *const pool = pool_of(1);
	struct hold hold;
	struct recorder ran;
	mppool_result *queued = NULL;
	int y = -1;

	recorder_init(&ran);
	const struct mppool_func func = make_func(record_call, 1, sizeof(int), &ran);
	hold_workers(&hold, pool, 1);
	assert_ok(mppool_apply_async(pool, &func, MPPOOL_ARGS(&(int){2}), NULL, &queued));
	assert_ok(mppool_result_cancel(queued));
	assert_code(mppool_result_get(queued, &y, MPPOOL_FOREVER), ECANCELED);   /* although the worker is held */
	assert_code(mppool_result_cancel(queued), EALREADY);
	ck_assert_int_eq(y, -1);
	assert_code(mppool_result_cancel(hold.results[0]), EBUSY);
	hold_release(&hold);
	pool_finish(pool);
	ck_assert_uint_eq(recorded_count(&ran), 0);
	mppool_result_free(queued);
	recorder_destroy(&ran);
}
END_TEST

/* 35 */
START_TEST(cancel_while_running_stops_item_and_takes_its_course)
{
	mppool *const pool = pool_of(1);
	struct stop_probe probe;
	mppool_result *result = NULL;
	int y = -1;

	probe_init(&probe);
	const struct mppool_func func = make_func(probe_call, 1, sizeof(int), &probe);
	assert_ok(mppool_apply_async(pool, &func, MPPOOL_ARGS(&(int){2}), NULL, &result));
	gate_wait_arrivals(&probe.gate, 1);
	assert_code(mppool_result_cancel(result), EBUSY);
	gate_open(&probe.gate);
	assert_ok(mppool_result_get(result, &y, MPPOOL_FOREVER));
	ck_assert_int_eq(y, 1002);
	ck_assert_int_eq(probe.stops, 1);
	mppool_result_free(result);
	pool_finish(pool);
	gate_destroy(&probe.gate);
}
END_TEST

static void check_cancel_map(size_t chunksize)
{
	mppool *const pool = pool_of(1);
	struct stop_probe probe;
	mppool_result *result = NULL;
	int xs[10], ys[10], codes[10];

	probe_init(&probe);
	fill_range(xs, 10);
	memset(ys, 0xff, sizeof ys);
	const struct mppool_func func = make_func(probe_call, 1, sizeof(int), &probe);
	assert_ok(mppool_map_async(pool, &func, MPPOOL_ARRAY(xs, 10), ys, chunksize, MPPOOL_CALL(.codes = codes),
	                           &result));
	gate_admit(&probe.gate, 3);
	gate_wait_arrivals(&probe.gate, 4);                      /* 0, 1 and 2 are done, 3 runs */
	assert_ok(mppool_result_cancel(result));
	ck_assert_int_eq(mppool_result_ready(result), 0);
	gate_open(&probe.gate);
	assert_code(mppool_result_get(result, NULL, MPPOOL_FOREVER), ECANCELED);
	for (int i = 0; i < 10; i++) {
		ck_assert_int_eq(codes[i], i < 4 ? 0 : ECANCELED);
		ck_assert_int_eq(ys[i], i < 4 ? 1000 + i : 0);
	}
	ck_assert_int_eq(probe.stops, 1);
	mppool_result_free(result);
	pool_finish(pool);
	gate_destroy(&probe.gate);
}

/* 35 */
START_TEST(cancel_of_map_starts_nothing_more_and_keeps_what_is_done)
{
	check_cancel_map(1);
	check_cancel_map(10);                                    /* the rest of a chunk has not started either */
}
END_TEST

/* 35 */
START_TEST(progress_counts_items_done)
{
	mppool *const pool = pool_of(1);
	struct gate gate;
	int xs[10];
	size_t done = 99, total = 99;
	mppool_result *result = NULL;

	gate_init(&gate);
	fill_range(xs, 10);
	const struct mppool_func func = make_func(gate_call, 1, sizeof(int), &gate);
	assert_ok(mppool_map_async(pool, &func, MPPOOL_ARRAY(xs, 10), NULL, 1, NULL, &result));
	gate_wait_arrivals(&gate, 1);
	assert_ok(mppool_result_progress(result, &done, &total));
	ck_assert_uint_eq(done, 0);
	ck_assert_uint_eq(total, 10);
	gate_admit(&gate, 3);
	gate_wait_arrivals(&gate, 4);
	assert_ok(mppool_result_progress(result, &done, NULL));
	ck_assert_uint_eq(done, 3);
	gate_open(&gate);
	assert_ok(mppool_result_wait(result, MPPOOL_FOREVER));
	assert_ok(mppool_result_progress(result, &done, &total));
	ck_assert_uint_eq(done, 10);
	ck_assert_uint_eq(total, 10);
	mppool_result_free(result);
	pool_finish(pool);
	gate_destroy(&gate);
}
END_TEST

/* ------------------------------------------------------------------------------------------- faults of other pools */

/* A burst of n tasks that all must be running before one may end, to workers that all sleep. */
static void check_burst(mppool *pool, size_t workers)
{
	struct hold hold;

	hold_workers(&hold, pool, workers);
	hold_release(&hold);
}

/* Waking one worker when the queue stops being empty is not enough for the second task of a burst. */
START_TEST(fault_01_burst_wakes_as_many_workers_as_it_has_tasks)
{
	mppool *const pool = pool_of(4);

	for (int round = 0; round < 300; round++)
		check_burst(pool, 1 + (size_t)round % 4);
	pool_finish(pool);
}
END_TEST

static int stand_call(const void *const args[], void *result, void *context)
{
	(void)args;
	(void)result;
	gate_wait(context);
	return 0;
}

/* The same for one map: its chunks are one submit, and all workers must come. */
START_TEST(fault_01_map_wakes_all_workers)
{
	mppool *const pool = pool_of(4);

	for (int round = 0; round < 100; round++) {
		struct gate gate;
		mppool_result *result = NULL;

		gate_init(&gate);
		const struct mppool_func func = make_func(stand_call, 0, 0, &gate);
		assert_ok(mppool_starmap_async(pool, &func, MPPOOL_TIMES(4), NULL, 1, NULL, &result));
		gate_wait_arrivals(&gate, 4);
		gate_open(&gate);
		assert_ok(mppool_result_get(result, NULL, MPPOOL_FOREVER));
		mppool_result_free(result);
		gate_destroy(&gate);
	}
	pool_finish(pool);
}
END_TEST

struct pingpong {
	mppool *pool;
	int rounds;
	atomic_int bad;
};

static void pingpong_run(size_t i, void *arg)
{
	struct pingpong *const test = arg;

	for (int k = 0; k < test->rounds; k++) {
		int y = -1;
		const int x = (int)i + k;
		if (mppool_apply(test->pool, &sqr_task, MPPOOL_ARGS(&x), &y) != 0 || y != x * x)
			atomic_fetch_add(&test->bad, 1);
	}
}

/* Each round a worker goes to sleep while the next task comes: a wake-up that is lost hangs here. */
START_TEST(fault_02_wakeup_is_never_lost_between_look_and_sleep)
{
	for (int workers = 1; workers <= 4; workers *= 2) {
		struct pingpong test = {.pool = pool_of(workers), .rounds = under_valgrind() ? 100 : 3000};

		pingpong_run(0, &test);
		run_in_threads(2, pingpong_run, &test);
		ck_assert_int_eq(test.bad, 0);
		pool_finish(test.pool);
	}
}
END_TEST

struct plain {
	long before;                     /* plain memory: written by one thread, read by the other, no atomic */
	long after;
};

static int plain_call(const void *const args[], void *result, void *context)
{
	struct plain *const plain = *(struct plain *const *)args[0];

	(void)result;
	(void)context;
	plain->after = plain->before + 1;
	return 0;
}

static void plain_run(size_t i, void *arg)
{
	struct pingpong *const test = arg;
	struct mppool_func func = make_func(plain_call, 1, 0, NULL);
	struct plain plain = {0}, *const address = &plain;

	func.arg_size[0] = sizeof address;
	for (int k = 0; k < test->rounds; k++) {
		mppool_result *result = NULL;

		plain.before = k + (long)i;
		if (mppool_apply_async(test->pool, &func, MPPOOL_ARGS(&address), NULL, &result) != 0) {
			atomic_fetch_add(&test->bad, 1);
			return;
		}
		while (k % 2 == 0 && !mppool_result_ready(result))       /* seen by looking, or by waiting */
			sched_yield();
		if (mppool_result_wait(result, MPPOOL_FOREVER) != 0 || plain.after != plain.before + 1)
			atomic_fetch_add(&test->bad, 1);
		mppool_result_free(result);
	}
}

/* An order that is too weak shows as a hang, as an old value, or as a race that the thread sanitizer sees. */
START_TEST(fault_03_what_one_side_wrote_the_other_side_sees)
{
	struct pingpong test = {.pool = pool_of(2), .rounds = under_valgrind() ? 50 : 1500};

	run_in_threads(3, plain_run, &test);
	ck_assert_int_eq(test.bad, 0);
	pool_finish(test.pool);
}
END_TEST

/* Join must count what is queued, not only what runs. */
START_TEST(fault_04_join_waits_for_queued_work_too)
{
	for (int round = 0; round < 50; round++) {
		mppool *const pool = pool_of(2);
		struct recorder recorder;

		recorder_init(&recorder);
		const struct mppool_func func = make_func(record_call, 1, sizeof(int), &recorder);
		for (int i = 0; i < 100; i++)
			assert_ok(mppool_apply_async(pool, &func, MPPOOL_ARGS(&i), NULL, NULL));
		pool_finish(pool);
		ck_assert(recorded_each_once(&recorder, 0, 100));
		recorder_destroy(&recorder);
	}
}
END_TEST

/* Threads that sleep for different reasons when the end comes: no work, a full buffer, a full queue, a result. */
static void end_with_all_asleep(bool terminate)
{
	mppool *const pool = pool_with(MPPOOL_OPTIONS(.workers = 4));
	struct source source = SOURCE(MPPOOL_UNKNOWN), other = SOURCE(50);
	const struct mppool_iterable items = source_items(&source), other_items = source_items(&other);
	mppool_iter *full = NULL, *second = NULL;
	int code;

	assert_ok(mppool_imap(pool, &sqr_task, &items, 1, 3, NULL, &full));
	assert_ok(mppool_imap_unordered(pool, &sqr_task, &other_items, 1, 3, NULL, &second));
	while (atomic_load(&source.drawn) < 3 || atomic_load(&other.drawn) < 3)
		sched_yield();
	assert_ok(terminate ? mppool_terminate(pool) : mppool_close(pool));
	if (!terminate)
		assert_ok(mppool_iter_cancel(full));             /* an endless input would be finished for ever */
	assert_ok(mppool_join(pool, MPPOOL_FOREVER));
	while ((code = mppool_iter_next(full, NULL, NULL, 0)) == 0)
		;
	assert_code(code, terminate ? MPPOOL_ETERMINATED : ECANCELED);
	ck_assert_uint_eq(source.finished, 1);
	ck_assert_uint_eq(other.finished, 1);
	ck_assert_uint_le(source.drawn, terminate ? 3 : SIZE_MAX);
	ck_assert_uint_eq(other.drawn, terminate ? 3 : 50);
	mppool_iter_free(full);
	mppool_iter_free(second);
	assert_ok(mppool_destroy(pool));
}

START_TEST(fault_05_shutdown_wakes_every_kind_of_sleeper)
{
	for (int round = 0; round < 20; round++) {
		end_with_all_asleep(true);
		end_with_all_asleep(false);
	}
}
END_TEST

START_TEST(fault_06_ending_one_pool_leaves_others_alone)
{
	mppool *const first = pool_of(2), *const second = pool_of(2);
	struct hold hold;
	int y = -1;

	hold_workers(&hold, second, 1);
	assert_ok(mppool_terminate(first));
	assert_ok(mppool_destroy(first));
	ck_assert_int_eq(mppool_state(second), MPPOOL_RUN);
	assert_ok(mppool_apply(second, &sqr_task, MPPOOL_ARGS(&(int){3}), &y));
	ck_assert_int_eq(y, 9);
	hold_release(&hold);
	ck_assert_uint_eq(threads_settle("mppool-w", 2), 2);
	pool_finish(second);
}
END_TEST

/* An iterator that nobody reads holds its generator back; close has to let it run to its end. */
START_TEST(fault_07_close_lifts_the_bound_of_unread_iterators)
{
	mppool *const pool = pool_of(2);
	struct source source = SOURCE(500);
	const struct mppool_iterable items = source_items(&source);
	mppool_iter *iter = NULL;
	int y = -1;

	assert_ok(mppool_imap(pool, &sqr_task, &items, 1, 4, NULL, &iter));
	ck_assert(thread_sleeps("mppool-task"));
	ck_assert_uint_le(source.drawn, 4);
	assert_ok(mppool_close(pool));
	assert_ok(mppool_join(pool, MPPOOL_FOREVER));
	ck_assert_uint_eq(source.drawn, 500);
	for (int i = 0; i < 500; i++) {
		assert_ok(mppool_iter_next(iter, &y, NULL, 0));
		ck_assert_int_eq(y, i * i);
	}
	assert_code(mppool_iter_next(iter, &y, NULL, 0), MPPOOL_ESTOP);
	mppool_iter_free(iter);
	assert_ok(mppool_destroy(pool));
}
END_TEST

/* 8 is about resizing, which these calls do not have. */

START_TEST(fault_09_cancel_that_races_with_completion_loses_no_other_task)
{
	mppool *const pool = pool_of(2);
	struct recorder ran;
	const int rounds = under_valgrind() ? 50 : 1000;

	recorder_init(&ran);
	const struct mppool_func func = make_func(record_call, 1, sizeof(int), &ran);
	for (int i = 0; i < rounds; i++) {
		const int first = 2 * i, second = 2 * i + 1;
		mppool_result *canceled = NULL, *next = NULL;
		int y = -1;

		assert_ok(mppool_apply_async(pool, &func, MPPOOL_ARGS(&first), NULL, &canceled));
		assert_ok(mppool_apply_async(pool, &func, MPPOOL_ARGS(&second), NULL, &next));
		const int told = mppool_result_cancel(canceled);
		assert_ok(mppool_result_get(next, &y, MPPOOL_FOREVER));
		ck_assert_int_eq(y, second);
		const int ended = mppool_result_get(canceled, &y, MPPOOL_FOREVER);
		assert_code(ended, told == 0 ? ECANCELED : 0);
		ck_assert(told == 0 || told == EBUSY || told == EALREADY);
		ck_assert_uint_eq(recorded_times(&ran, first), told == 0 ? 0 : 1);
		mppool_result_free(canceled);
		mppool_result_free(next);
	}
	pool_finish(pool);
	recorder_destroy(&ran);
}
END_TEST

static int touch_call(const void *const args[], void *result, void *context)
{
	struct gate *const gate = context;
	int *const mine = *(int *const *)args[0];

	(void)result;
	gate_wait(gate);
	*mine = 1;                                               /* the caller's memory, after the cancel */
	return 0;
}

/* A cancel must not end what still runs: the memory that it uses is the caller's. */
START_TEST(fault_10_canceled_result_ends_after_the_last_touch_of_memory)
{
	mppool *const pool = pool_of(2);
	struct gate gate;
	int *mine[4] = {0}, codes[4], ran = 0;
	mppool_result *result = NULL;

	gate_init(&gate);
	for (int i = 0; i < 4; i++)
		ck_assert_ptr_nonnull(mine[i] = calloc(1, sizeof(int)));
	struct mppool_func func = make_func(touch_call, 1, 0, &gate);
	func.arg_size[0] = sizeof(int *);
	assert_ok(mppool_map_async(pool, &func, MPPOOL_ARRAY(mine, 4), NULL, 1, MPPOOL_CALL(.codes = codes), &result));
	gate_wait_arrivals(&gate, 2);
	assert_ok(mppool_result_cancel(result));
	assert_code(mppool_result_wait(result, 0.02), ETIMEDOUT);
	gate_admit(&gate, 1);
	assert_code(mppool_result_wait(result, 0.02), ETIMEDOUT);
	gate_open(&gate);
	assert_code(mppool_result_get(result, NULL, MPPOOL_FOREVER), ECANCELED);
	for (int i = 0; i < 4; i++) {
		ran += codes[i] == 0;
		ck_assert(codes[i] == 0 || codes[i] == ECANCELED);
		ck_assert_int_eq(*mine[i], codes[i] == 0);
		free(mine[i]);
	}
	ck_assert_int_eq(ran, 2);
	mppool_result_free(result);
	pool_finish(pool);
	gate_destroy(&gate);
}
END_TEST

struct forked {
	bool pool_first;                 /* the child frees the pool before the handles */
	mppool *pool;
	mppool_result *ended, *waiting;
	mppool_iter *iter;
};

/* In the child. Returns a number for the step that went wrong, 0 if none. */
static int forked_child(const struct forked *parent)
{
	int x = 3, y = -1;
	mppool_result *result = NULL;
	mppool *pool = NULL;

	if (mppool_apply(parent->pool, &sqr_task, MPPOOL_ARGS(&x), &y) != MPPOOL_EFORKED)
		return 1;
	if (mppool_apply_async(parent->pool, &sqr_task, MPPOOL_ARGS(&x), NULL, &result) != MPPOOL_EFORKED)
		return 2;
	if (mppool_result_get(parent->waiting, &y, MPPOOL_FOREVER) != MPPOOL_EFORKED)
		return 3;
	if (mppool_iter_next(parent->iter, &y, NULL, MPPOOL_FOREVER) != MPPOOL_EFORKED)
		return 4;
	if (mppool_result_get(parent->ended, &y, MPPOOL_FOREVER) != 0 || y != 16)
		return 5;
	if (mppool_join(parent->pool, MPPOOL_FOREVER) != MPPOOL_EFORKED)
		return 6;
	if (parent->pool_first && mppool_destroy(parent->pool) != 0)
		return 7;
	mppool_iter_free(parent->iter);
	mppool_result_free(parent->waiting);
	mppool_result_free(parent->ended);
	if (!parent->pool_first && mppool_destroy(parent->pool) != 0)
		return 7;
	if (UNDER_TSAN)                                          /* it knows no threads in the child of threads */
		return 0;
	if (mppool_create(MPPOOL_OPTIONS(.workers = 2), &pool) != 0)
		return 8;
	if (mppool_apply(pool, &sqr_task, MPPOOL_ARGS(&x), &y) != 0 || y != 9)
		return 9;
	return mppool_destroy(pool) == 0 ? 0 : 10;
}

static void check_forked_child(const struct forked *parent)
{
	int ends[2], step = -1, status = -1;

	ck_assert_int_eq(pipe(ends), 0);
	const pid_t child = fork_watched();
	ck_assert_int_ge(child, 0);
	if (child == 0) {
		step = forked_child(parent);
		if (write(ends[1], &step, sizeof step) == (ssize_t)sizeof step)
			execl("/bin/true", "true", NULL);        /* or a tool counts what the parent's threads left */
		_exit(1);
	}
	close(ends[1]);
	const ssize_t got = read(ends[0], &step, sizeof step);
	close(ends[0]);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_msg(got == (ssize_t)sizeof step, "the child ended early, with status %#x", (unsigned)status);
	ck_assert_msg(step == 0, "step %d went wrong in the child", step);
}

START_TEST(fault_11_forked_child_waits_for_no_thread_of_its_parent)
{
	struct forked parent = {.pool = pool_of(1)};
	struct hold hold;
	int xs[3] = {0}, y = -1;

	assert_ok(mppool_apply_async(parent.pool, &sqr_task, MPPOOL_ARGS(&(int){4}), NULL, &parent.ended));
	assert_ok(mppool_result_wait(parent.ended, MPPOOL_FOREVER));
	hold_workers(&hold, parent.pool, 1);
	assert_ok(mppool_apply_async(parent.pool, &sqr_task, MPPOOL_ARGS(&(int){5}), NULL, &parent.waiting));
	assert_ok(mppool_imap(parent.pool, &sqr_task, MPPOOL_ARRAY(xs, 3), 1, 0, NULL, &parent.iter));
	for (int i = 0; i < 2; i++) {
		parent.pool_first = i == 1;
		check_forked_child(&parent);
	}
	hold_release(&hold);                                     /* the parent's pool never noticed */
	assert_ok(mppool_result_get(parent.waiting, &y, MPPOOL_FOREVER));
	ck_assert_int_eq(y, 25);
	mppool_result_free(parent.waiting);
	mppool_result_free(parent.ended);
	mppool_iter_free(parent.iter);
	pool_finish(parent.pool);
}
END_TEST

struct late_submit {
	struct gate gate;
	struct recorder codes;
};

static int late_submit_call(const void *const args[], void *result, void *context)
{
	struct late_submit *const late = context;

	(void)args;
	(void)result;
	gate_wait(&late->gate);
	record(&late->codes, mppool_apply_async(mppool_current(), &sqr_task, MPPOOL_ARGS(&(int){2}), NULL, NULL));
	record(&late->codes, mppool_apply(mppool_current(), &sqr_task, MPPOOL_ARGS(&(int){2}), &(int){0}));
	return 0;
}

static void check_late_submit(int (*end)(mppool *), int expected)
{
	mppool *const pool = pool_of(1);
	struct late_submit late;

	gate_init(&late.gate);
	recorder_init(&late.codes);
	const struct mppool_func func = make_func(late_submit_call, 0, 0, &late);
	assert_ok(mppool_apply_async(pool, &func, NULL, NULL, NULL));
	gate_wait_arrivals(&late.gate, 1);
	assert_ok(end(pool));
	gate_open(&late.gate);
	assert_ok(mppool_join(pool, MPPOOL_FOREVER));
	ck_assert_uint_eq(recorded_count(&late.codes), 2);
	assert_code(recorded_at(&late.codes, 0), expected);
	assert_code(recorded_at(&late.codes, 1), expected);
	assert_ok(mppool_destroy(pool));
	recorder_destroy(&late.codes);
	gate_destroy(&late.gate);
}

START_TEST(fault_12_submit_by_a_task_during_shutdown_has_one_answer)
{
	check_late_submit(mppool_close, 0);
	check_late_submit(mppool_terminate, MPPOOL_ECLOSED);
}
END_TEST

static _Thread_local int depth;

static int inner_call(const void *const args[], void *result, void *context)
{
	(void)args;
	(void)result;
	raise_peak(context, (size_t)++depth);
	depth--;
	return 0;
}

static int outer_call(const void *const args[], void *result, void *context)
{
	const struct mppool_func inner = make_func(inner_call, 0, 0, context);

	(void)args;
	(void)result;
	raise_peak(context, (size_t)++depth);
	const int code = mppool_apply(mppool_current(), &inner, NULL, NULL);
	depth--;
	return code;
}

/* While a task waits it may run what it waits for, and nothing else, however much is queued. */
START_TEST(fault_13_waiting_task_runs_only_what_it_waits_for)
{
	for (int workers = 1; workers <= 2; workers++) {
		mppool *const pool = pool_of(workers);
		struct hold hold;
		atomic_size_t peak = 0;
		mppool_result *result = NULL;
		const struct mppool_func func = make_func(outer_call, 0, 0, &peak);

		hold_workers(&hold, pool, (size_t)workers);
		assert_ok(mppool_starmap_async(pool, &func, MPPOOL_TIMES(500), NULL, 1, NULL, &result));
		for (int i = 0; i < 500; i++)
			assert_ok(mppool_apply_async(pool, &func, NULL, NULL, NULL));
		hold_release(&hold);
		assert_ok(mppool_result_get(result, NULL, MPPOOL_FOREVER));
		mppool_result_free(result);
		pool_finish(pool);
		ck_assert_uint_ge(peak, 1);
		ck_assert_uint_le(peak, 2);
	}
}
END_TEST

/* The task above it on the stack would wait for what only the task below it can do. */
static int opener_call(const void *const args[], void *result, void *context)
{
	(void)args;
	(void)result;
	const int code = mppool_apply(mppool_current(), &sqr_task, MPPOOL_ARGS(&(int){1}), &(int){0});
	gate_open(context);
	return code;
}

START_TEST(fault_13_waiting_task_never_picks_one_that_waits_for_it)
{
	mppool *const pool = pool_of(1);
	struct gate gate;
	struct hold hold;

	gate_init(&gate);
	const struct mppool_func opener = make_func(opener_call, 0, 0, &gate);
	const struct mppool_func waiter = make_func(stand_call, 0, 0, &gate);
	hold_workers(&hold, pool, 1);
	assert_ok(mppool_apply_async(pool, &opener, NULL, NULL, NULL));
	assert_ok(mppool_apply_async(pool, &waiter, NULL, NULL, NULL));
	hold_release(&hold);
	pool_finish(pool);
	ck_assert_uint_eq(gate_departures(&gate), 1);
	gate_destroy(&gate);
}
END_TEST

static size_t address_space(void)
{
	unsigned long pages = 0;
	FILE *const stream = fopen("/proc/self/statm", "re");

	ck_assert_ptr_nonnull(stream);
	ck_assert_int_eq(fscanf(stream, "%lu", &pages), 1);
	fclose(stream);
	return (size_t)pages * (size_t)sysconf(_SC_PAGESIZE);
}

/* Room for the stacks of some workers, not of all. */
START_TEST(fault_14_thread_creation_that_fails_half_way_leaves_nothing)
{
	const size_t stack = (size_t)64 << 20;
	struct rlimit old, tight;
	mppool *pool = NULL;

	if (UNDER_TSAN || UNDER_ASAN || under_valgrind())        /* they need the address space themselves */
		return;
	ck_assert_int_eq(getrlimit(RLIMIT_AS, &old), 0);
	for (size_t fits = 0; fits < 8; fits++) {
		tight = old;
		tight.rlim_cur = address_space() + fits * stack + (stack >> 1);
		ck_assert_int_eq(setrlimit(RLIMIT_AS, &tight), 0);
		const int code = mppool_create(MPPOOL_OPTIONS(.workers = 64, .stack_size = stack), &pool);
		ck_assert_int_eq(setrlimit(RLIMIT_AS, &old), 0);
		ck_assert_msg(code == EAGAIN || code == ENOMEM, "%s", mppool_strerrorname(code));
		ck_assert_ptr_null(pool);
		ck_assert_uint_eq(threads_settle("mppool", 0), 0);
	}
	pool = pool_with(MPPOOL_OPTIONS(.workers = 8, .stack_size = stack));
	pool_finish(pool);
}
END_TEST

/* Nothing to do: no thread of the pool runs at all, not even to look at the time. */
static void check_asleep(void)
{
	ck_assert(thread_sleeps("mppool-w0"));
	ck_assert(thread_sleeps("mppool-w1"));
	ck_assert(thread_sleeps("mppool-task"));
	ck_assert(thread_sleeps("mppool-result"));
	ck_assert(threads_stand_still("mppool", 0.3));
}

START_TEST(fault_15_idle_pool_never_wakes)
{
	mppool *const pool = pool_of(2);
	struct source source = SOURCE(MPPOOL_UNKNOWN);
	const struct mppool_iterable items = source_items(&source);
	mppool_iter *iter = NULL;
	int xs[100] = {0}, y;

	check_asleep();
	assert_ok(mppool_map(pool, &sqr_task, MPPOOL_ARRAY(xs, 100), NULL, 1));
	check_asleep();
	assert_ok(mppool_imap(pool, &sqr_task, &items, 1, 10, NULL, &iter));
	assert_ok(mppool_iter_next(iter, &y, NULL, MPPOOL_FOREVER));
	while (atomic_load(&source.drawn) < 11)
		sched_yield();
	check_asleep();                                          /* a full iterator is nothing to do, too */
	mppool_iter_free(iter);
	check_asleep();
	pool_finish(pool);
}
END_TEST

/* Both workers are inside items of one map, then the pool is terminated. */
START_TEST(fault_16_result_is_ready_only_when_none_of_its_items_runs)
{
	mppool *const pool = pool_of(2);
	struct stop_probe probe;
	int xs[10], *const ys = calloc(10, sizeof *ys), codes[10], ran = 0;
	mppool_result *result = NULL;

	ck_assert_ptr_nonnull(ys);
	probe_init(&probe);
	fill_range(xs, 10);
	const struct mppool_func func = make_func(probe_call, 1, sizeof(int), &probe);
	assert_ok(mppool_map_async(pool, &func, MPPOOL_ARRAY(xs, 10), ys, 1, MPPOOL_CALL(.codes = codes), &result));
	gate_wait_arrivals(&probe.gate, 2);
	assert_ok(mppool_terminate(pool));
	assert_code(mppool_result_wait(result, 0.02), ETIMEDOUT);
	gate_admit(&probe.gate, 1);
	assert_code(mppool_result_wait(result, 0.02), ETIMEDOUT);
	gate_admit(&probe.gate, 1);
	assert_code(mppool_result_get(result, NULL, MPPOOL_FOREVER), MPPOOL_ETERMINATED);
	for (int i = 0; i < 10; i++) {
		ran += codes[i] == 0;
		ck_assert(codes[i] == 0 || codes[i] == MPPOOL_ETERMINATED);
		ck_assert_int_eq(ys[i], codes[i] == 0 ? 1000 + i : 0);
	}
	ck_assert_int_eq(ran, 2);
	free(ys);                                                /* nobody writes to it any more */
	mppool_result_free(result);
	assert_ok(mppool_destroy(pool));
	ck_assert_int_eq(probe.stops, 2);
	gate_destroy(&probe.gate);
}
END_TEST

static void iter_free_run(void *arg)
{
	prctl(PR_SET_NAME, "test-freer");
	mppool_iter_free(arg);
}

START_TEST(fault_17_iterator_freed_early_waits_for_what_reads_the_callers_memory)
{
	mppool *const pool = pool_of(2);
	struct gate gate;
	struct runner runner;
	mppool_iter *iter = NULL;

	gate_init(&gate);
	const struct mppool_func func = make_func(gate_call, 1, sizeof(int), &gate);
	int *const xs = calloc(10, sizeof *xs);
	ck_assert_ptr_nonnull(xs);
	assert_ok(mppool_imap(pool, &func, MPPOOL_ARRAY(xs, 10), 1, 0, NULL, &iter));
	gate_wait_arrivals(&gate, 2);
	runner_start(&runner, iter_free_run, iter);
	ck_assert(thread_sleeps("test-freer"));
	ck_assert(!runner_done(&runner));
	gate_admit(&gate, 1);
	pause_briefly();
	ck_assert(!runner_done(&runner));
	gate_admit(&gate, 1);
	runner_join(&runner);
	free(xs);
	pool_finish(pool);
	ck_assert_uint_eq(gate_arrivals(&gate), 2);
	gate_destroy(&gate);
}
END_TEST

/* What a later version's header would make of each struct, and what a broken one would. */
struct later_options {
	struct mppool_options now;
	uint64_t later[2];
};
struct later_call {
	struct mppool_call_options now;
	uint64_t later[2];
};
struct later_func {
	struct mppool_func now;
	uint64_t later[2];
};
struct later_iterable {
	struct mppool_iterable now;
	uint64_t later[2];
};

static int create_and_destroy(const struct mppool_options *options)
{
	mppool *pool = NULL;
	const int code = mppool_create(options, &pool);

	if (code == 0)
		mppool_destroy(pool);
	return code;
}

START_TEST(fault_18_options_grow_without_breaking_old_programs)
{
	struct later_options options = {.now = MPPOOL_OPTIONS_INIT};

	options.now.workers = 1;
	options.now.size = sizeof options;
	assert_ok(create_and_destroy(&options.now));
	options.later[1] = 1;
	assert_code(create_and_destroy(&options.now), E2BIG);
	options.later[0] = 1;
	options.now.size = sizeof options.now;
	assert_ok(create_and_destroy(&options.now));             /* no more than size is read */
	options.now.size = offsetof(struct mppool_options, kill_after);         /* 0.9.0 */
	assert_ok(create_and_destroy(&options.now));
	options.now.size -= 8;
	assert_code(create_and_destroy(&options.now), EINVAL);
	options.now.size = 0;
	assert_code(create_and_destroy(&options.now), EINVAL);
	options.now.size = sizeof options.now;
	options.now.kind = 99;
	assert_code(create_and_destroy(&options.now), EINVAL);
}
END_TEST

static int map_later(mppool *pool, struct later_call *call, struct later_func *func, struct later_iterable *items)
{
	mppool_result *result = NULL;
	const int code = mppool_map_async(pool, &func->now, &items->now, NULL, 0, &call->now, &result);
	const int ended = code == 0 ? mppool_result_wait(result, MPPOOL_FOREVER) : 0;

	if (code == 0)
		mppool_result_free(result);
	return code != 0 ? code : ended;
}

START_TEST(fault_18_structs_of_calls_grow_without_breaking_old_programs)
{
	mppool *const pool = pool_of(1);
	int xs[3] = {1, 2, 3};
	struct later_call call = {.now = MPPOOL_CALL_OPTIONS_INIT};
	struct later_func func = {.now = sqr_task};
	struct later_iterable items = {.now = *MPPOOL_ARRAY(xs, 3)};
	struct {
		size_t *size;
		size_t now;
		uint64_t *later;
	} *one, all[] = {{&call.now.size, sizeof call.now, call.later},
	                 {&func.now.size, sizeof func.now, func.later},
	                 {&items.now.size, sizeof items.now, items.later}};

	for (one = all; one < all + 3; one++) {
		assert_ok(map_later(pool, &call, &func, &items));
		*one->size = one->now + 2 * sizeof(uint64_t);
		assert_ok(map_later(pool, &call, &func, &items));
		one->later[1] = (uint64_t)1 << 63;
		assert_code(map_later(pool, &call, &func, &items), E2BIG);
		*one->size = one->now;
		assert_ok(map_later(pool, &call, &func, &items));
		*one->size = one->now - (one == all + 1 ? 16u : 8u);   /* a function has grown by one member */
		assert_code(map_later(pool, &call, &func, &items), EINVAL);
		*one->size = 0;
		assert_code(map_later(pool, &call, &func, &items), EINVAL);
		*one->size = one->now;
	}
	pool_finish(pool);
}
END_TEST

static void fill_rows(Suite *suite)
{
	TCase *tcase = add_case(suite, "create");
	tcase_add_test(tcase, workers_default_one_for_each_usable_cpu);
	tcase_add_test(tcase, workers_default_with_affinity_counts_allowed_cpus);
	tcase_add_test(tcase, workers_default_with_environment_follows_it);
	tcase_add_test(tcase, create_starts_all_workers_at_once);
	tcase_add_test(tcase, create_with_slow_initializer_waits_for_it);
	tcase_add_test(tcase, create_with_failing_initializer_reports_it_and_leaves_nothing);
	tcase_add_test(tcase, replacement_with_failing_initializer_breaks_pool);
	tcase_add_test(tcase, initializer_runs_once_per_worker_and_in_each_replacement);
	tcase_add_test(tcase, max_tasks_per_worker_counts_chunks);
	tcase_add_test(tcase, max_tasks_per_worker_after_close_still_finishes_the_work);

	tcase = add_case(suite, "submit");
	tcase_add_test(tcase, submit_when_not_running_is_refused_and_touches_nothing);
	tcase_add_test(tcase, submit_by_task_of_closed_pool_is_accepted);
	tcase_add_test(tcase, tasks_start_in_order_of_submission);
	tcase_add_test(tcase, tasks_start_in_order_although_a_call_before_them_blocks);
	tcase_add_test(tcase, tasks_start_by_priority_then_in_order);
	tcase_add_test(tcase, task_of_higher_priority_overtakes_all_that_have_not_started);
	tcase_add_test(tcase, blocked_generator_holds_up_no_other_call);
	tcase_add_test(tcase, queue_limit_makes_submits_wait_for_room);
	tcase_add_test(tcase, queue_limit_with_waiting_submit_is_given_up_by_close);
	tcase_add_test(tcase, queue_limit_never_makes_own_tasks_wait);

	tcase = add_case(suite, "map");
	tcase_add_test(tcase, map_default_chunks_are_never_larger_than_pythons);
	tcase_add_test(tcase, chunksize_zero_or_huge_loses_no_item);
	tcase_add_test(tcase, map_results_are_in_input_order_whatever_ends_first);
	tcase_add_test(tcase, failing_item_ends_neither_its_chunk_nor_the_call);
	tcase_add_test(tcase, fail_fast_cancels_what_has_not_started);
	tcase_add_test(tcase, error_names_lowest_index_not_first_to_fail);
	tcase_add_test(tcase, empty_input_is_ready_at_once_with_its_callback);

	tcase = add_case(suite, "results");
	tcase_add_test(tcase, get_repeated_gives_the_same);
	tcase_add_test(tcase, wait_that_runs_out_says_so);
	tcase_add_test(tcase, own_timeout_of_a_task_is_not_that_of_the_wait);
	tcase_add_test(tcase, task_timeout_stops_the_item_and_is_its_code);
	tcase_add_test(tcase, cancel_before_start_ends_as_canceled);
	tcase_add_test(tcase, cancel_while_running_stops_item_and_takes_its_course);
	tcase_add_test(tcase, cancel_of_map_starts_nothing_more_and_keeps_what_is_done);
	tcase_add_test(tcase, progress_counts_items_done);

	tcase = add_case(suite, "end");
	tcase_add_test(tcase, close_is_idempotent_and_join_is_repeatable_and_timed);
	tcase_add_test(tcase, join_by_several_threads_ends_in_each);
	tcase_add_test(tcase, terminate_drops_queued_work_and_lets_running_tasks_end);
	tcase_add_test(tcase, terminate_after_close_drops_what_close_would_have_finished);
	tcase_add_test(tcase, get_that_waits_is_told_of_terminate);
	tcase_add_test(tcase, worker_that_leaves_loses_one_item_and_is_replaced);
	tcase_add_test(tcase, with_block_end_terminates_instead_of_finishing);
	tcase_add_test(tcase, with_block_end_does_not_wait_for_a_closed_pool);
	tcase_add_test(tcase, destroy_on_own_thread_terminates_but_does_not_free);

	tcase = add_case(suite, "hooks");
	tcase_add_test(tcase, hooks_of_map_with_array_take_results_away);
	tcase_add_test(tcase, hooks_of_map_without_array_drop_results);
	tcase_add_test(tcase, hooks_of_kept_results_drop_what_no_get_took);
	tcase_add_test(tcase, hooks_of_failed_map_leave_other_results_to_get_or_free);
	tcase_add_test(tcase, hooks_of_fire_and_forget_drop_the_result);
	tcase_add_test(tcase, hooks_of_result_freed_while_running_drop_the_result);
	tcase_add_test(tcase, hooks_of_terminated_pool_release_what_never_ran);
	tcase_add_test(tcase, hooks_of_iterator_freed_early_drop_what_was_not_taken);
	tcase_add_test(tcase, hooks_of_iterator_give_each_result_to_its_taker);
}

static void fill_faults(Suite *suite)
{
	TCase *const tcase = add_case(suite, "faults");

	tcase_add_test(tcase, fault_01_burst_wakes_as_many_workers_as_it_has_tasks);
	tcase_add_test(tcase, fault_01_map_wakes_all_workers);
	tcase_add_test(tcase, fault_02_wakeup_is_never_lost_between_look_and_sleep);
	tcase_add_test(tcase, fault_03_what_one_side_wrote_the_other_side_sees);
	tcase_add_test(tcase, fault_04_join_waits_for_queued_work_too);
	tcase_add_test(tcase, fault_05_shutdown_wakes_every_kind_of_sleeper);
	tcase_add_test(tcase, fault_06_ending_one_pool_leaves_others_alone);
	tcase_add_test(tcase, fault_07_close_lifts_the_bound_of_unread_iterators);
	tcase_add_test(tcase, fault_09_cancel_that_races_with_completion_loses_no_other_task);
	tcase_add_test(tcase, fault_10_canceled_result_ends_after_the_last_touch_of_memory);
	tcase_add_test(tcase, fault_11_forked_child_waits_for_no_thread_of_its_parent);
	tcase_add_test(tcase, fault_12_submit_by_a_task_during_shutdown_has_one_answer);
	tcase_add_test(tcase, fault_13_waiting_task_runs_only_what_it_waits_for);
	tcase_add_test(tcase, fault_13_waiting_task_never_picks_one_that_waits_for_it);
	tcase_add_test(tcase, fault_14_thread_creation_that_fails_half_way_leaves_nothing);
	tcase_add_test(tcase, fault_15_idle_pool_never_wakes);
	tcase_add_test(tcase, fault_16_result_is_ready_only_when_none_of_its_items_runs);
	tcase_add_test(tcase, fault_17_iterator_freed_early_waits_for_what_reads_the_callers_memory);
	tcase_add_test(tcase, fault_18_options_grow_without_breaking_old_programs);
	tcase_add_test(tcase, fault_18_structs_of_calls_grow_without_breaking_old_programs);
}

static void fill(Suite *suite)
{
	fill_rows(suite);
	fill_faults(suite);
}

int main(int argc, char **argv)
{
	return run_suite("semantics", fill, argc, argv);
}
