/* test_resize.c - mppool_resize: more workers and fewer, while they work, fail, leave, and the pool ends
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE 1
#include "support.h"

#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SLOW (UNDER_ASAN || UNDER_TSAN || under_valgrind())
#define N 200
#define MOST 64

static int numbers[N];

static struct mppool_counters stats_of(mppool *pool)
{
	struct mppool_counters c = MPPOOL_COUNTERS_INIT;

	assert_ok(mppool_stats(pool, &c));
	return c;
}

/* So many workers are in service, before long, and no thread of one that left is there any more. A worker counts before
 * its thread has a name. */
static void assert_workers(mppool *pool, size_t n)
{
	ck_assert_uint_eq(stats_of(pool).workers, n);
	while (stats_of(pool).workers_alive != n)
		sched_yield();
	ck_assert_uint_eq(threads_settle("mppool-w", n), n);
}

/* Initializers and finalizers of each index: at any time one more, or as many, of those as of these. */
struct staff {
	atomic_int started[MOST], ended[MOST];
	atomic_int strange;
	atomic_int fail_at, fail_code;           /* worker fail_at fails to start, if fail_code is not 0 */
	atomic_int leave_at;                     /* worker leave_at - 1 leaves its thread instead */
	struct gate *gate;                       /* every initializer stands there */
};

static int staff_starts(void *initarg, void **ret_state)
{
	struct staff *const staff = initarg;
	const int i = mppool_worker_index();

	*ret_state = &staff->started[i];
	if (staff->gate)
		gate_wait(staff->gate);
	if (atomic_load(&staff->leave_at) == i + 1)
		pthread_exit(NULL);
	if (atomic_load(&staff->fail_code) && atomic_load(&staff->fail_at) == i)
		return mppool_raise(atomic_load(&staff->fail_code), "worker %d does not start", i);
	if (atomic_fetch_add(&staff->started[i], 1) != atomic_load(&staff->ended[i]))
		atomic_fetch_add(&staff->strange, 1);
	return 0;
}

static void staff_ends(void *initarg, void *state)
{
	struct staff *const staff = initarg;
	const int i = mppool_worker_index();

	if (state != &staff->started[i] || atomic_fetch_add(&staff->ended[i], 1) + 1 != atomic_load(&staff->started[i]))
		atomic_fetch_add(&staff->strange, 1);
}

static mppool *staffed_pool(struct staff *staff, int workers)
{
	mppool *pool = NULL;

	assert_ok(mppool_create(MPPOOL_OPTIONS(.workers = workers, .initializer = staff_starts,
	                                       .finalizer = staff_ends, .initarg = staff),
	                        &pool));
	return pool;
}

static int staff_sum(const atomic_int counts[MOST])
{
	int sum = 0;

	for (int i = 0; i < MOST; i++)
		sum += atomic_load(&counts[i]);
	return sum;
}

static void assert_all_left(struct staff *staff)
{
	for (int i = 0; i < MOST; i++)
		ck_assert_int_eq(atomic_load(&staff->started[i]), atomic_load(&staff->ended[i]));
	ck_assert_int_eq(atomic_load(&staff->strange), 0);
}

/* ----------------------------------------------------------------------------------------------------- up and down */

START_TEST(workers_come_and_go)
{
	mppool *const pool = pool_of(2);
	struct hold hold;

	assert_workers(pool, 2);
	assert_ok(mppool_resize(pool, 5));
	assert_workers(pool, 5);
	hold_workers(&hold, pool, 5);
	hold_release(&hold);
	assert_ok(mppool_resize(pool, 5));
	assert_workers(pool, 5);
	assert_ok(mppool_resize(pool, 1));
	assert_workers(pool, 1);
	assert_ok(mppool_resize(pool, 3));
	assert_workers(pool, 3);
	hold_workers(&hold, pool, 3);
	hold_release(&hold);
	ck_assert_uint_eq(stats_of(pool).workers_ever, 5);
	pool_finish(pool);
	ck_assert_uint_eq(threads_settle("mppool", 0), 0);
}
END_TEST

/* Across the borders of what is allocated at once. */
START_TEST(pool_grows_to_hundreds)
{
	mppool *const pool = pool_of(1);
	const int most = under_valgrind() ? 130 : 500;
	struct hold hold;

	for (int n = 1; n < most; n = 2 * n + 1)
		assert_ok(mppool_resize(pool, n));
	assert_ok(mppool_resize(pool, most));
	hold_workers(&hold, pool, (size_t)most);
	ck_assert_uint_eq(stats_of(pool).workers_busy, (uint64_t)most);
	hold_release(&hold);
	assert_ok(mppool_resize(pool, 2));
	assert_workers(pool, 2);
	pool_finish(pool);
}
END_TEST

START_TEST(initializers_have_returned_and_finalizers_run_once)
{
	static struct staff staff;
	mppool *const pool = staffed_pool(&staff, 2);

	for (int round = 0; round < 10; round++) {
		assert_ok(mppool_resize(pool, 2 + round % 4));
		for (int i = 0; i < 2 + round % 4; i++)
			ck_assert_int_eq(atomic_load(&staff.started[i]), 1 + atomic_load(&staff.ended[i]));
		if (round % 4 == 0)              /* else some may not have left yet, and are taken back */
			assert_workers(pool, 2);
	}
	assert_ok(mppool_resize(pool, 1));
	ck_assert_uint_eq(threads_settle("mppool-w", 1), 1);
	ck_assert_int_eq(staff_sum(staff.started), staff_sum(staff.ended) + 1);
	pool_finish(pool);
	assert_all_left(&staff);
	ck_assert_int_gt(staff_sum(staff.started), 5);
}
END_TEST

static int index_call(const void *const args[], void *result, void *context)
{
	(void)args;
	raise_peak(context, (size_t)mppool_worker_index() + 1);
	*(int *)result = mppool_worker_index();
	return 0;
}

START_TEST(indexes_are_dense)
{
	mppool *const pool = pool_of(8);
	int ys[N];
	const int sizes[] = {8, 3, 1, 5, 2, 7};

	for (size_t k = 0; k < 6; k++) {
		atomic_size_t peak = 0;
		const struct mppool_func func = make_func(index_call, 1, sizeof(int), &peak);
		assert_ok(mppool_resize(pool, sizes[k]));
		assert_workers(pool, (size_t)sizes[k]);
		assert_ok(mppool_map(pool, &func, MPPOOL_ARRAY(numbers, N), ys, 1));
		for (int i = 0; i < N; i++)
			ck_assert(ys[i] >= 0 && ys[i] < sizes[k]);
		ck_assert_uint_le(atomic_load(&peak), (size_t)sizes[k]);
	}
	pool_finish(pool);
}
END_TEST

/* Shrinking does not wait: who stands at the gate leaves when it is through. */
START_TEST(blocked_workers_leave_later)
{
	mppool *const pool = pool_of(4);
	struct hold hold;
	mppool_result *result;
	const struct mppool_func func = make_func(square_call, 1, sizeof(int), NULL);
	int y = 0;

	hold_workers(&hold, pool, 4);
	assert_ok(mppool_resize(pool, 1));
	ck_assert_uint_eq(stats_of(pool).workers, 1);
	ck_assert_uint_eq(stats_of(pool).workers_alive, 4);
	assert_ok(mppool_apply_async(pool, &func, MPPOOL_ARGS(&numbers[7]), NULL, &result));
	assert_code(mppool_result_wait(result, 0.01), ETIMEDOUT);
	hold_release(&hold);
	assert_ok(mppool_result_get(result, &y, MPPOOL_FOREVER));
	ck_assert_int_eq(y, 49);
	mppool_result_free(result);
	assert_workers(pool, 1);
	pool_finish(pool);
}
END_TEST

/* Those that were dismissed and have not left are taken back, with the state that they have. */
START_TEST(dismissed_workers_are_taken_back)
{
	static struct staff staff;
	mppool *const pool = staffed_pool(&staff, 4);
	struct hold hold;

	hold_workers(&hold, pool, 4);
	assert_ok(mppool_resize(pool, 2));
	assert_ok(mppool_resize(pool, 4));
	hold_release(&hold);
	assert_ok(mppool_wait_idle(pool, MPPOOL_FOREVER));
	ck_assert_int_eq(staff_sum(staff.started), 4);
	ck_assert_int_eq(staff_sum(staff.ended), 0);
	ck_assert_uint_eq(stats_of(pool).workers_alive, 4);
	pool_finish(pool);
	assert_all_left(&staff);
}
END_TEST

/* A map that one worker runs, chunk by chunk, is left in between; those that come take part in it. */
START_TEST(worker_leaves_a_map_between_two_chunks)
{
	mppool *const pool = pool_of(3);
	struct gate gate;
	mppool_result *result;

	gate_init(&gate);
	const struct mppool_func held = make_func(gate_call, 1, sizeof(int), &gate);
	assert_ok(mppool_map_async(pool, &held, MPPOOL_ARRAY(numbers, N), NULL, 2, NULL, &result));
	gate_wait_arrivals(&gate, 3);
	assert_ok(mppool_resize(pool, 1));
	for (size_t i = 1; stats_of(pool).workers_alive > 1; i++) {      /* one by one, whoever it is */
		gate_admit(&gate, 1);
		gate_wait_departures(&gate, i);
		while (gate_arrivals(&gate) != i + stats_of(pool).workers_alive)     /* back, or gone */
			sched_yield();
	}
	assert_workers(pool, 1);
	ck_assert(!mppool_result_ready(result));
	assert_ok(mppool_resize(pool, 4));
	gate_wait_arrivals(&gate, gate_departures(&gate) + 4);
	gate_open(&gate);
	assert_ok(mppool_result_get(result, NULL, MPPOOL_FOREVER));
	mppool_result_free(result);
	pool_finish(pool);
	gate_destroy(&gate);
}
END_TEST

/* Stands at the gate at the beginning of each chunk of ten, and leaves its thread in the middle. */
static int stand_and_leave_call(const void *const args[], void *result, void *context)
{
	const int i = int_arg(args, 0) % 10;

	(void)result;
	if (i == 0)
		gate_wait(context);
	if (i == 4)
		pthread_exit(NULL);
	return 0;
}

/* Those who came when the map had begun lose no more of their chunk than the item at which they leave their thread. */
START_TEST(worker_that_came_later_is_lost_with_one_item_only)
{
	mppool *const pool = pool_of(1);
	struct gate gate;
	mppool_result *result;
	int xs[60], codes[60];

	gate_init(&gate);
	for (int i = 0; i < 60; i++)
		xs[i] = i;
	const struct mppool_func func = make_func(stand_and_leave_call, 1, 0, &gate);
	assert_ok(mppool_map_async(pool, &func, MPPOOL_ARRAY(xs, 60), NULL, 10, MPPOOL_CALL(.codes = codes), &result));
	gate_wait_arrivals(&gate, 1);
	assert_ok(mppool_resize(pool, 4));
	gate_wait_arrivals(&gate, 4);
	gate_open(&gate);
	assert_ok(mppool_result_wait(result, MPPOOL_FOREVER));
	for (int i = 0; i < 60; i++)
		assert_code(codes[i], i % 10 == 4 ? MPPOOL_ELOST : 0);
	mppool_result_free(result);
	assert_workers(pool, 4);
	pool_finish(pool);
	gate_destroy(&gate);
}
END_TEST

static int counted_call(const void *const args[], void *result, void *context)
{
	(void)args;
	(void)result;
	atomic_fetch_add((atomic_int *)context, 1);
	return 0;
}

struct spawner {
	struct gate gate;
	atomic_int ran;
};

/* Leaves a hundred calls in its worker's deque, then waits at the gate. */
static int spawner_call(const void *const args[], void *result, void *context)
{
	struct spawner *const spawner = context;
	const struct mppool_func func = make_func(counted_call, 0, 0, &spawner->ran);
	int code = 0;

	(void)args;
	(void)result;
	for (int i = 0; i < 100 && !code; i++)
		code = mppool_apply_async(mppool_current(), &func, NULL, NULL, NULL);
	gate_wait(&spawner->gate);
	return code;
}

/* Whichever workers hold the calls: what they leave behind is run by others. */
START_TEST(calls_of_a_dismissed_worker_are_handed_on)
{
	mppool *const pool = pool_of(4);
	struct spawner spawner = {.ran = 0};
	const struct mppool_func func = make_func(spawner_call, 0, 0, &spawner);

	gate_init(&spawner.gate);
	for (int i = 0; i < 4; i++)
		assert_ok(mppool_apply_async(pool, &func, NULL, NULL, NULL));
	gate_wait_arrivals(&spawner.gate, 4);
	assert_ok(mppool_resize(pool, 1));
	gate_open(&spawner.gate);
	assert_ok(mppool_wait_idle(pool, MPPOOL_FOREVER));
	ck_assert_int_eq(atomic_load(&spawner.ran), 400);
	assert_workers(pool, 1);
	ck_assert_uint_eq(stats_of(pool).done, 404);
	pool_finish(pool);
	gate_destroy(&spawner.gate);
}
END_TEST

/* ------------------------------------------------------------------------------------------------------- failures */

START_TEST(bad_arguments_change_nothing)
{
	mppool *const pool = pool_of(2);

	assert_code(mppool_resize(NULL, 1), EINVAL);
	assert_code(mppool_resize(pool, 0), EINVAL);
	assert_code(mppool_resize(pool, -1), EINVAL);
	assert_workers(pool, 2);
	const pid_t child = fork_watched();
	if (child == 0) {
		CHILD_CHECK(mppool_resize(pool, 3) == MPPOOL_EFORKED);
		child_leaves();
	}
	child_ends_well(child);
	pool_finish(pool);
}
END_TEST

static int broken_start(void *initarg, void **ret_state)
{
	(void)ret_state;
	return atomic_fetch_add((atomic_int *)initarg, 1) == 0 ? 0 : mppool_raise(EIO, "the second start");
}

START_TEST(pool_that_does_not_run_is_not_resized)
{
	mppool *pool = pool_of(2);
	atomic_int starts = 0;
	const struct mppool_func func = make_func(square_call, 1, sizeof(int), NULL);

	assert_ok(mppool_close(pool));
	assert_code(mppool_resize(pool, 3), MPPOOL_ECLOSED);
	assert_code(mppool_resize(pool, 1), MPPOOL_ECLOSED);
	assert_ok(mppool_terminate(pool));
	assert_code(mppool_resize(pool, 3), MPPOOL_ECLOSED);
	assert_ok(mppool_join(pool, MPPOOL_FOREVER));
	assert_code(mppool_resize(pool, 3), MPPOOL_ECLOSED);
	assert_ok(mppool_destroy(pool));
	assert_ok(mppool_create(MPPOOL_OPTIONS(.workers = 1, .max_tasks_per_worker = 1, .initializer = broken_start,
	                                       .initarg = &starts),
	                        &pool));
	assert_ok(mppool_apply(pool, &func, MPPOOL_ARGS(&numbers[1]), NULL));
	while (mppool_state(pool) == MPPOOL_RUN)
		sched_yield();
	assert_code(mppool_resize(pool, 3), MPPOOL_EBROKEN);
	assert_code(mppool_last_error()->code, EIO);
	ck_assert_str_eq(mppool_last_error()->message, "the second start");
	assert_ok(mppool_destroy(pool));
}
END_TEST

START_TEST(failed_initializer_leaves_the_old_size)
{
	static struct staff staff;
	mppool *const pool = staffed_pool(&staff, 2);
	int ys[N];
	const struct mppool_func func = make_func(square_call, 1, sizeof(int), NULL);

	for (int at = 2; at < 6; at++) {
		atomic_store(&staff.fail_at, at);
		atomic_store(&staff.fail_code, ENOTTY);
		assert_code(mppool_resize(pool, 6), MPPOOL_EBROKEN);
		assert_code(mppool_last_error()->code, ENOTTY);
		ck_assert_uint_eq(mppool_last_error()->index, (size_t)at);
		ck_assert_ptr_nonnull(strstr(mppool_last_error()->message, "does not start"));
		ck_assert_int_eq(mppool_state(pool), MPPOOL_RUN);
		assert_workers(pool, 2);
		assert_ok(mppool_map(pool, &func, MPPOOL_ARRAY(numbers, N), ys, 1));
	}
	atomic_store(&staff.fail_code, 0);
	atomic_store(&staff.leave_at, 4 + 1);
	assert_code(mppool_resize(pool, 6), MPPOOL_EBROKEN);
	assert_code(mppool_last_error()->code, MPPOOL_ELOST);
	ck_assert_uint_eq(mppool_last_error()->index, 4);
	assert_workers(pool, 2);
	atomic_store(&staff.leave_at, 0);
	assert_ok(mppool_resize(pool, 6));
	assert_workers(pool, 6);
	pool_finish(pool);
	assert_all_left(&staff);
}
END_TEST

/* A CPU that the system refuses: no thread can be started there. */
START_TEST(refused_thread_leaves_the_old_size)
{
	mppool *pool = NULL;
	const int cpus[] = {0, 100000};

	assert_ok(mppool_create(MPPOOL_OPTIONS(.workers = 1, .cpus = cpus, .ncpus = 2), &pool));
	assert_code(mppool_resize(pool, 3), EINVAL);
	assert_workers(pool, 1);
	assert_ok(mppool_wait_idle(pool, MPPOOL_FOREVER));
	pool_finish(pool);
}
END_TEST

/* -------------------------------------------------------------------------------------------- from inside the pool */

static int resizing_call(const void *const args[], void *result, void *context)
{
	(void)context;
	*(int *)result = mppool_resize(mppool_current(), int_arg(args, 0));
	return 0;
}

static int resizing_next(void *const args[], void *state)
{
	atomic_int *const code = state;

	(void)args;
	atomic_store(code, mppool_resize(mppool_current(), 3));
	return MPPOOL_ESTOP;
}

START_TEST(tasks_and_generators_may_resize)
{
	static struct staff staff;
	mppool *const pool = staffed_pool(&staff, 1);
	const struct mppool_func func = make_func(resizing_call, 1, sizeof(int), NULL);
	const int sizes[] = {4, 1, 8, 1, 2, 1};
	atomic_int generator = -1;
	struct mppool_iterable items = {.size = sizeof items, .next = resizing_next, .state = &generator};
	int ys[6], code = -1;

	for (int i = 0; i < 6; i++) {
		assert_ok(mppool_apply(pool, &func, MPPOOL_ARGS(&sizes[i]), &code));
		assert_ok(code);
		assert_workers(pool, (size_t)sizes[i]);
	}
	assert_ok(mppool_map(pool, &func, MPPOOL_ARRAY(sizes, 6), ys, 1));
	for (int i = 0; i < 6; i++)
		assert_ok(ys[i]);
	assert_ok(mppool_map(pool, &func, &items, NULL, 1));
	assert_ok(atomic_load(&generator));
	assert_workers(pool, 3);
	pool_finish(pool);
	assert_all_left(&staff);
}
END_TEST

struct asked {
	atomic_int grown, shrunk;
};

static void resizing_callback(const void *results, size_t n, void *userdata)
{
	struct asked *const asked = userdata;

	(void)results;
	(void)n;
	atomic_store(&asked->shrunk, mppool_resize(mppool_current(), 1));
	atomic_store(&asked->grown, mppool_resize(mppool_current(), 3));
}

/* In a callback nothing may wait for the pool: not for initializers, which may wait for a callback. */
START_TEST(callback_may_not_wait_for_initializers)
{
	static struct staff staff;
	mppool *pool = staffed_pool(&staff, 2);
	struct asked asked = {.grown = -1, .shrunk = -1};
	const struct mppool_func func = make_func(square_call, 1, sizeof(int), NULL);

	assert_ok(mppool_apply_async(pool, &func, MPPOOL_ARGS(&numbers[1]),
	                             MPPOOL_CALL(.callback = resizing_callback, .userdata = &asked), NULL));
	assert_ok(mppool_wait_idle(pool, MPPOOL_FOREVER));
	assert_ok(atomic_load(&asked.shrunk));
	assert_code(atomic_load(&asked.grown), EDEADLK);
	assert_workers(pool, 1);
	pool_finish(pool);
	assert_all_left(&staff);
	pool = pool_of(2);
	assert_ok(mppool_apply_async(pool, &func, MPPOOL_ARGS(&numbers[1]),
	                             MPPOOL_CALL(.callback = resizing_callback, .userdata = &asked), NULL));
	assert_ok(mppool_wait_idle(pool, MPPOOL_FOREVER));
	assert_ok(atomic_load(&asked.shrunk));
	assert_ok(atomic_load(&asked.grown));
	assert_workers(pool, 3);
	pool_finish(pool);
}
END_TEST

static int asking_start(void *initarg, void **ret_state)
{
	struct asked *const asked = initarg;

	(void)ret_state;
	if (mppool_worker_index() == 1)
		atomic_store(&asked->grown, mppool_resize(mppool_current(), 5));
	return 0;
}

static void asking_end(void *initarg, void *state)
{
	struct asked *const asked = initarg;

	(void)state;
	if (mppool_worker_index() == 1)
		atomic_store(&asked->shrunk, mppool_resize(mppool_current(), 5));
}

START_TEST(initializers_and_finalizers_may_not_wait_for_themselves)
{
	mppool *pool = NULL;
	struct asked asked = {.grown = -1, .shrunk = -1};

	assert_ok(mppool_create(MPPOOL_OPTIONS(.workers = 1, .initializer = asking_start, .finalizer = asking_end,
	                                       .initarg = &asked),
	                        &pool));
	assert_ok(mppool_resize(pool, 2));
	assert_code(atomic_load(&asked.grown), EDEADLK);
	assert_ok(mppool_resize(pool, 1));
	assert_workers(pool, 1);
	assert_code(atomic_load(&asked.shrunk), EDEADLK);
	pool_finish(pool);
}
END_TEST

/* What an initializer or a finalizer of worker 1 runs by itself: a call that submits another. */
struct errand {
	struct gate gate;                        /* the call stands there, after it was closed once */
	struct mppool_func outer, inner;
	mppool_result *result;                   /* of the inner one */
	atomic_int worker, submitted, runs;
	bool starting;                           /* the initializer's; or the finalizer's */
};

static int errand_inner(const void *const args[], void *result, void *context)
{
	struct errand *const errand = context;

	(void)args;
	(void)result;
	atomic_fetch_add(&errand->runs, 1);
	return 0;
}

static int errand_outer(const void *const args[], void *result, void *context)
{
	struct errand *const errand = context;

	(void)args;
	(void)result;
	atomic_store(&errand->worker, mppool_worker_index());
	gate_wait(&errand->gate);
	atomic_store(&errand->submitted,
	             mppool_apply_async(mppool_current(), &errand->inner, NULL, NULL, &errand->result));
	return 0;
}

static int errand_start(void *initarg, void **ret_state)
{
	struct errand *const errand = initarg;

	(void)ret_state;
	if (!errand->starting || mppool_worker_index() == 0)
		return 0;
	assert_ok(mppool_apply(mppool_current(), &errand->outer, NULL, NULL));
	return EIO;
}

static void errand_end(void *initarg, void *state)
{
	struct errand *const errand = initarg;

	(void)state;
	if (!errand->starting && mppool_worker_index() == 1)
		assert_ok(mppool_apply(mppool_current(), &errand->outer, NULL, NULL));
}

static mppool *errand_pool(struct errand *errand, bool starting)
{
	mppool *pool = NULL;

	memset(errand, 0, sizeof *errand);
	gate_init(&errand->gate);
	errand->outer = make_func(errand_outer, 0, 0, errand);
	errand->inner = make_func(errand_inner, 0, 0, errand);
	errand->worker = errand->submitted = -1;
	errand->starting = starting;
	assert_ok(mppool_create(MPPOOL_OPTIONS(.workers = starting ? 1 : 2, .initializer = errand_start,
	                                       .finalizer = errand_end, .initarg = errand),
	                        &pool));
	return pool;
}

/* It is accepted and runs, though its submitter leaves: worker 0 comes to it later. */
START_TEST(calls_from_an_initializer_that_fails_are_not_lost)
{
	struct errand errand;
	struct hold hold;
	mppool *const pool = errand_pool(&errand, true);

	hold_workers(&hold, pool, 1);
	gate_open(&errand.gate);
	assert_code(mppool_resize(pool, 2), MPPOOL_EBROKEN);
	assert_ok(atomic_load(&errand.submitted));
	ck_assert_int_eq(atomic_load(&errand.worker), 1);
	hold_release(&hold);
	assert_ok(mppool_result_get(errand.result, NULL, MPPOOL_FOREVER));
	ck_assert_int_eq(atomic_load(&errand.runs), 1);
	mppool_result_free(errand.result);
	pool_finish(pool);
	gate_destroy(&errand.gate);
}
END_TEST

/* Worker 0 stands at a gate while worker 1 leaves. The submitted call is refused if the pool is over by then (0), or it
 * runs. */
START_TEST(calls_from_a_finalizer_are_not_lost)
{
	struct errand errand;
	struct hold hold;
	struct gate gate;
	mppool *const pool = errand_pool(&errand, false);
	const struct mppool_func standing = make_func(gate_call, 1, sizeof(int), &gate);

	gate_init(&gate);
	hold_workers(&hold, pool, 2);
	assert_ok(mppool_resize(pool, 1));
	assert_ok(mppool_apply_async(pool, &standing, MPPOOL_ARGS(&numbers[0]), NULL, NULL));
	hold_release(&hold);
	gate_wait_arrivals(&gate, 1);
	gate_wait_arrivals(&errand.gate, 1);
	ck_assert_int_eq(atomic_load(&errand.worker), 1);
	if (_i == 0) {
		assert_ok(mppool_close(pool));
		gate_open(&gate);
		ck_assert_uint_eq(threads_settle("mppool-w0", 0), 0);
	}
	gate_open(&errand.gate);
	while (atomic_load(&errand.submitted) == -1)
		sched_yield();
	gate_open(&gate);
	pool_finish(pool);
	assert_code(atomic_load(&errand.submitted), _i ? 0 : MPPOOL_ECLOSED);
	ck_assert_int_eq(atomic_load(&errand.runs), _i);
	if (_i) {
		assert_ok(mppool_result_get(errand.result, NULL, MPPOOL_FOREVER));
		mppool_result_free(errand.result);
	}
	gate_destroy(&errand.gate);
	gate_destroy(&gate);
}
END_TEST

struct grown_start {
	struct gate gate;                        /* worker 2's initializer stands there */
	struct mppool_func func;
};

static int growing_call(const void *const args[], void *result, void *context)
{
	(void)args;
	(void)result;
	(void)context;
	return mppool_resize(mppool_current(), 3);
}

static int growing_start(void *initarg, void **ret_state)
{
	struct grown_start *const grown = initarg;

	(void)ret_state;
	if (mppool_worker_index() == 0)
		return mppool_apply_async(mppool_current(), &grown->func, NULL, NULL, NULL);
	if (mppool_worker_index() == 1) {
		gate_wait_arrivals(&grown->gate, 1);
		gate_open(&grown->gate);
		return EIO;
	}
	gate_wait(&grown->gate);
	return 0;
}

/* An initializer of the creation fails while the pool grows: it is the creation that fails. */
START_TEST(growth_does_not_answer_for_the_creation)
{
	struct grown_start grown = {.func = make_func(growing_call, 0, 0, NULL)};
	mppool *pool = NULL;

	gate_init(&grown.gate);
	assert_code(mppool_create(MPPOOL_OPTIONS(.workers = 2, .initializer = growing_start, .initarg = &grown), &pool),
	            MPPOOL_EBROKEN);
	ck_assert_ptr_null(pool);
	assert_code(mppool_last_error()->code, EIO);
	ck_assert_uint_eq(mppool_last_error()->index, 1);
	gate_destroy(&grown.gate);
}
END_TEST

/* ----------------------------------------------------------------------------------------------- one after another */

struct grower {
	mppool *pool;
	struct runner runner;
	int size;
	atomic_int code;
};

static void grow(void *arg)
{
	struct grower *const g = arg;

	atomic_store(&g->code, mppool_resize(g->pool, g->size));
}

static void grower_start(struct grower *g, mppool *pool, int size)
{
	*g = (struct grower){.pool = pool, .size = size, .code = -1};
	runner_start(&g->runner, grow, g);
}

/* While initializers stand at the gate: a smaller size is there at once, and overrules what is under way. */
START_TEST(smaller_size_overrules_a_growth)
{
	static struct staff staff;
	struct gate gate;
	struct grower grower, waiting;
	mppool *const pool = staffed_pool(&staff, 3);

	gate_init(&gate);
	staff.gate = &gate;
	grower_start(&grower, pool, 6);
	gate_wait_arrivals(&gate, 3);
	ck_assert_uint_eq(stats_of(pool).workers, 3);
	grower_start(&waiting, pool, 4);         /* more than there were: it waits for its turn */
	pause_briefly();
	ck_assert(!runner_done(&waiting.runner));
	assert_ok(mppool_resize(pool, 2));
	ck_assert_uint_eq(stats_of(pool).workers, 2);
	gate_open(&gate);
	runner_join(&grower.runner);
	assert_ok(atomic_load(&grower.code));
	runner_join(&waiting.runner);
	assert_ok(atomic_load(&waiting.code));
	assert_workers(pool, 4);
	pool_finish(pool);
	assert_all_left(&staff);
	gate_destroy(&gate);
}
END_TEST

/* The pool ends while initializers stand at the gate. */
START_TEST(pool_ends_during_a_growth)
{
	static struct staff staff;
	struct gate gate;
	struct grower grower, waiting;
	mppool *const pool = staffed_pool(&staff, 1);

	gate_init(&gate);
	staff.gate = &gate;
	grower_start(&grower, pool, 3);
	gate_wait_arrivals(&gate, 2);
	grower_start(&waiting, pool, 5);
	if (_i)
		assert_ok(mppool_terminate(pool));
	else
		assert_ok(mppool_close(pool));
	gate_open(&gate);
	runner_join(&grower.runner);
	runner_join(&waiting.runner);
	assert_ok(atomic_load(&grower.code));
	assert_code(atomic_load(&waiting.code), MPPOOL_ECLOSED);
	assert_ok(mppool_join(pool, MPPOOL_FOREVER));
	assert_ok(mppool_destroy(pool));
	assert_all_left(&staff);
	ck_assert_uint_eq(threads_settle("mppool", 0), 0);
	gate_destroy(&gate);
}
END_TEST

/* ------------------------------------------------------------------------------------------------------------ load */

static unsigned dice(unsigned *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 17;
	*seed ^= *seed << 5;
	return *seed;
}

struct load {
	mppool *pool;
	int sizes;                               /* 1 to so many */
	bool inside;                             /* tasks resize, too */
	bool loses;                              /* tasks leave their threads */
	atomic_bool over;
	atomic_int strange, resized;
};

/* What is not as it should be; the last place is told. */
static void complain(struct load *load, int line)
{
	atomic_store(&load->strange, line);
}

static int triple_call(const void *const args[], void *result, void *context)
{
	struct load *const load = context;
	const int x = int_arg(args, 0);

	if (mppool_worker_index() < 0 || mppool_worker_index() >= load->sizes)
		complain(load, __LINE__);
	if (load->inside && x % 61 == 17)
		mppool_resize(mppool_current(), 1 + x % load->sizes);
	if (load->loses && x % 53 == 11)
		pthread_exit(NULL);
	*(int *)result = 3 * x;
	return 0;
}

static void free_two(void *results)
{
	for (int i = 0; i < 2; i++)
		mppool_result_free(((mppool_result **)results)[i]);
}

/* Three nested calls, one of them waited for. The one that runs here may leave the thread. */
static int nesting_call(const void *const args[], void *result, void *context)
{
	struct load *const load = context;
	const struct mppool_func func = make_func(triple_call, 1, sizeof(int), load);
	int x = int_arg(args, 0), y = -1;
	mppool_result *results[2] = {NULL, NULL};

	pthread_cleanup_push(free_two, results);
	if (mppool_apply_async(load->pool, &func, MPPOOL_ARGS(&x), NULL, &results[0]) ||
	    mppool_apply_async(load->pool, &func, MPPOOL_ARGS(&x), NULL, &results[1]) ||
	    mppool_apply(load->pool, &func, MPPOOL_ARGS(&x), load->loses ? NULL : &y) ||
	    (mppool_result_get(results[1], load->loses ? NULL : &y, MPPOOL_FOREVER) | y) != 3 * x)
		if (!load->loses)
			complain(load, __LINE__);
	pthread_cleanup_pop(1);
	*(int *)result = 3 * x;
	return 0;
}

static void submit_and_check(struct load *load, unsigned *seed)
{
	const struct mppool_func func =
		make_func(dice(seed) % 4 ? triple_call : nesting_call, 1, sizeof(int), load);
	int ys[N], y = -1, n = 0, code = 0;
	const size_t first = dice(seed) % (N / 2), count = dice(seed) % (N / 2), chunk = dice(seed) % 4;
	mppool_result *results[20] = {NULL};
	mppool_iter *iter = NULL;

	memset(ys, 0, sizeof ys);
	switch (dice(seed) % 3) {
	case 0:
		for (size_t i = 0; i < 20; i++)
			ignore_code(mppool_apply_async(load->pool, &func, MPPOOL_ARGS(&numbers[first + i]), NULL,
			            &results[i]));
		for (size_t i = 0; i < 20; i++) {
			code = mppool_result_get(results[i], &y, MPPOOL_FOREVER);
			if (code ? !load->loses : y != 3 * (int)(first + i))
				complain(load, __LINE__);
			mppool_result_free(results[i]);
		}
		break;
	case 1:
		code = mppool_map(load->pool, &func, MPPOOL_ARRAY(numbers + first, count), ys, chunk);
		for (size_t i = 0; i < count; i++)
			if (ys[i] != 3 * (int)(first + i) && !load->loses)
				complain(load, __LINE__);
		break;
	default:
		ignore_code(mppool_imap(load->pool, &func, MPPOOL_ARRAY(numbers + first, count), chunk, 10, NULL,
		            &iter));
		while ((code = mppool_iter_next(iter, &y, NULL, MPPOOL_FOREVER)) != MPPOOL_ESTOP) {
			if (code ? !load->loses : y != 3 * ((int)first + n))
				complain(load, __LINE__);
			n++;
		}
		if (n != (int)count)
			complain(load, __LINE__);
		mppool_iter_free(iter);
	}
}

static void submit_all(size_t i, void *arg)
{
	struct load *const load = arg;
	unsigned seed = 977 * (unsigned)i + 5;

	for (int round = 0; round < (SLOW ? 20 : 200); round++)
		submit_and_check(load, &seed);
}

static void resize_all_the_time(void *arg)
{
	struct load *const load = arg;
	unsigned seed = 4711;

	while (!atomic_load(&load->over)) {
		if (mppool_resize(load->pool, 1 + (int)(dice(&seed) % (unsigned)load->sizes)) != 0)
			complain(load, __LINE__);
		atomic_fetch_add(&load->resized, 1);
	}
}

static void run_load(struct load *load)
{
	struct runner resizers[2];

	for (int i = 0; i < 2; i++)
		runner_start(&resizers[i], resize_all_the_time, load);
	run_in_threads(3, submit_all, load);
	atomic_store(&load->over, true);
	for (int i = 0; i < 2; i++)
		runner_join(&resizers[i]);
	assert_ok(mppool_wait_idle(load->pool, MPPOOL_FOREVER));
	const struct mppool_counters c = stats_of(load->pool);
	ck_assert_uint_eq(c.submitted, c.done + c.failed);
	ck_assert_msg(atomic_load(&load->strange) == 0, "something strange in line %d", atomic_load(&load->strange));
	ck_assert_int_gt(atomic_load(&load->resized), 0);
	assert_ok(mppool_resize(load->pool, 2));
	assert_workers(load->pool, 2);
	pool_finish(load->pool);
}

/* 0: small pools; 1: large ones; 2: tasks resize; 3: tasks leave; 4: workers retire; 5: all of it, with a staff. */
START_TEST(no_call_is_lost_under_load)
{
	static struct staff staff;
	struct load load = {.sizes = _i == 1 ? MOST : 6, .inside = _i == 2 || _i == 5, .loses = _i == 3 || _i == 5};
	struct mppool_options options = MPPOOL_OPTIONS_INIT;

	options.workers = 3;
	options.max_tasks_per_worker = _i >= 4 ? 5 : 0;
	if (_i == 5) {
		options.initializer = staff_starts;
		options.finalizer = staff_ends;
		options.initarg = &staff;
	}
	assert_ok(mppool_create(&options, &load.pool));
	run_load(&load);
	assert_all_left(&staff);
}
END_TEST

/* Short calls, of which one worker runs most while another stands by, perhaps one that is dismissed; afterwards all of
 * them are there when they are needed. */
START_TEST(all_workers_are_there_after_short_calls)
{
	mppool *const pool = pool_of(4);
	atomic_int ran = 0;
	const struct mppool_func func = make_func(counted_call, 0, 0, &ran);
	const int rounds = SLOW ? 10 : 200, calls = SLOW ? 300 : 3000;
	struct hold hold;

	for (int round = 0; round < rounds; round++) {
		const int when = 7 * round % calls;
		for (int i = 0; i < calls; i++) {
			assert_ok(mppool_apply_async(pool, &func, NULL, MPPOOL_CALL(.priority = i % 17 == 0), NULL));
			if (i == when)
				assert_ok(mppool_resize(pool, 1 + round % 3));
		}
		assert_ok(mppool_resize(pool, 4));
		hold_workers(&hold, pool, 4);
		hold_release(&hold);
	}
	assert_ok(mppool_wait_idle(pool, MPPOOL_FOREVER));
	ck_assert_int_eq(atomic_load(&ran), rounds * calls);
	pool_finish(pool);
}
END_TEST

static int heap_call(const void *const args[], void *result, void *context)
{
	const struct mppool_func func = make_func(counted_call, 0, 0, context);
	int code = 0;

	(void)args;
	(void)result;
	for (int i = 0; i < 200 && !code; i++)
		code = mppool_apply_async(mppool_current(), &func, NULL, NULL, NULL);
	return code;
}

static void resize_without_end(void *arg)
{
	struct load *const load = arg;

	for (int i = 0; !atomic_load(&load->over); i++)
		if (mppool_resize(load->pool, 1 + i % load->sizes) != 0)
			complain(load, __LINE__);
}

/* Workers are dismissed, wherever they are, while their own deques are full. */
START_TEST(workers_leave_no_heap_behind)
{
	struct load load = {.sizes = 4, .pool = pool_of(2)};
	atomic_int ran = 0;
	const struct mppool_func func = make_func(heap_call, 0, 0, &ran);
	const int rounds = SLOW ? 10 : 1000;
	struct runner resizer;

	runner_start(&resizer, resize_without_end, &load);
	for (int round = 0; round < rounds; round++) {
		for (int i = 0; i < 4; i++)
			assert_ok(mppool_apply_async(load.pool, &func, NULL, NULL, NULL));
		assert_ok(mppool_wait_idle(load.pool, MPPOOL_FOREVER));
		ck_assert_int_eq(atomic_load(&ran), 800 * (round + 1));
	}
	atomic_store(&load.over, true);
	runner_join(&resizer);
	ck_assert_int_eq(atomic_load(&load.strange), 0);
	assert_ok(mppool_resize(load.pool, 3));
	assert_workers(load.pool, 3);
	pool_finish(load.pool);
}
END_TEST

static void end_at_once(void *pool)
{
	mppool_terminate(pool);
}

static void resize_until_refused(size_t i, void *arg)
{
	struct load *const load = arg;
	unsigned seed = 31 * (unsigned)i + 7;
	int code;

	while ((code = mppool_resize(load->pool, 1 + (int)(dice(&seed) % (unsigned)load->sizes))) == 0)
		;
	if (code != MPPOOL_ECLOSED)
		complain(load, __LINE__);
}

/* Terminate comes in the middle of resizes, with and without initializers. */
START_TEST(resize_races_with_terminate)
{
	for (int round = 0; round < (SLOW ? 10 : 100); round++) {
		static struct staff staff;
		struct load load = {.sizes = 8};
		struct runner ender;
		mppool_result *result;
		const struct mppool_func func = make_func(square_call, 1, sizeof(int), NULL);
		load.pool = round % 2 ? staffed_pool(&staff, 2) : pool_of(2);
		assert_ok(mppool_map_async(load.pool, &func, MPPOOL_ARRAY(numbers, N), NULL, 1, NULL, &result));
		runner_start(&ender, end_at_once, load.pool);
		run_in_threads(2, resize_until_refused, &load);
		runner_join(&ender);
		assert_ok(mppool_join(load.pool, MPPOOL_FOREVER));
		ck_assert(mppool_result_ready(result));
		mppool_result_free(result);
		assert_ok(mppool_destroy(load.pool));
		ck_assert_int_eq(atomic_load(&load.strange), 0);
		assert_all_left(&staff);
	}
	ck_assert_uint_eq(threads_settle("mppool", 0), 0);
}
END_TEST

/* Resident memory, in KiB. */
static long resident(void)
{
	FILE *const f = fopen("/proc/self/statm", "r");
	long total = 0, pages = 0;

	if (f) {
		if (fscanf(f, "%ld %ld", &total, &pages) != 2)
			pages = 0;
		fclose(f);
	}
	return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

START_TEST(ten_thousand_resizes_leave_nothing_behind)
{
	mppool *const pool = pool_of(1);
	const int rounds = SLOW ? 20 : 500, sizes[] = {64, 1, 17, 3, 64, 2, 33, 1, 5, 1};
	long before = 0;

	for (int round = 0; round < 2 * rounds; round++) {
		if (round == rounds) {
			assert_workers(pool, 1);
			before = resident();
		}
		for (int i = 0; i < 10; i++)
			assert_ok(mppool_resize(pool, sizes[i]));
	}
	assert_workers(pool, 1);
	if (!SLOW)
		ck_assert_int_lt(resident(), before + 2048);
	ck_assert_uint_eq(stats_of(pool).workers_ever, 64);
	pool_finish(pool);
}
END_TEST

/* ----------------------------------------------------------------------------------------------------- the program */

static void fill(Suite *suite)
{
	TCase *const sizes = add_case(suite, "sizes");
	TCase *const failures = add_case(suite, "failures");
	TCase *const inside = add_case(suite, "inside");
	TCase *const order = add_case(suite, "order");
	TCase *const load = add_case(suite, "load");

	for (int i = 0; i < N; i++)
		numbers[i] = i;
	tcase_add_test(sizes, workers_come_and_go);
	tcase_add_test(sizes, pool_grows_to_hundreds);
	tcase_add_test(sizes, initializers_have_returned_and_finalizers_run_once);
	tcase_add_test(sizes, indexes_are_dense);
	tcase_add_test(sizes, blocked_workers_leave_later);
	tcase_add_test(sizes, dismissed_workers_are_taken_back);
	tcase_add_test(sizes, worker_leaves_a_map_between_two_chunks);
	tcase_add_test(sizes, worker_that_came_later_is_lost_with_one_item_only);
	tcase_add_test(sizes, calls_of_a_dismissed_worker_are_handed_on);
	tcase_add_test(failures, bad_arguments_change_nothing);
	tcase_add_test(failures, pool_that_does_not_run_is_not_resized);
	tcase_add_test(failures, failed_initializer_leaves_the_old_size);
	tcase_add_test(failures, refused_thread_leaves_the_old_size);
	tcase_add_test(inside, tasks_and_generators_may_resize);
	tcase_add_test(inside, callback_may_not_wait_for_initializers);
	tcase_add_test(inside, initializers_and_finalizers_may_not_wait_for_themselves);
	tcase_add_test(inside, calls_from_an_initializer_that_fails_are_not_lost);
	tcase_add_loop_test(inside, calls_from_a_finalizer_are_not_lost, 0, 2);
	tcase_add_test(inside, growth_does_not_answer_for_the_creation);
	tcase_add_test(order, smaller_size_overrules_a_growth);
	tcase_add_loop_test(order, pool_ends_during_a_growth, 0, 2);
	tcase_add_loop_test(load, no_call_is_lost_under_load, 0, 6);
	tcase_add_test(load, all_workers_are_there_after_short_calls);
	tcase_add_test(load, workers_leave_no_heap_behind);
	tcase_add_test(load, resize_races_with_terminate);
	tcase_add_test(load, ten_thousand_resizes_leave_nothing_behind);
}

int main(int argc, char **argv)
{
	return run_suite("resize", fill, argc, argv);
}
