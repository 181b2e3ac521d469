/* test_stats.c - mppool_stats and mppool_describe: what is counted, when the sums are exact, and what is written where
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE 1
#include "support.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SLOW (UNDER_ASAN || UNDER_TSAN || under_valgrind())
#define N 60

static int numbers[N];

static void number(void)
{
	for (int i = 0; i < N; i++)
		numbers[i] = i;
}

static struct mppool_counters stats_of(mppool *pool)
{
	struct mppool_counters c = MPPOOL_COUNTERS_INIT;

	assert_ok(mppool_stats(pool, &c));
	return c;
}

/* Nothing waits or runs: each item came to exactly one end. */
static struct mppool_counters quiet_stats(mppool *pool)
{
	const struct mppool_counters c = stats_of(pool);

	ck_assert_uint_eq(c.submitted, c.done + c.failed + c.cancelled + c.dropped);
	ck_assert_uint_eq(c.waiting, 0);
	ck_assert_uint_eq(c.running, 0);
	return c;
}

static void assert_counts(const struct mppool_counters *c, uint64_t done, uint64_t failed, uint64_t cancelled,
                          uint64_t dropped)
{
	ck_assert_uint_eq(c->done, done);
	ck_assert_uint_eq(c->failed, failed);
	ck_assert_uint_eq(c->cancelled, cancelled);
	ck_assert_uint_eq(c->dropped, dropped);
	ck_assert_uint_eq(c->submitted, done + failed + cancelled + dropped);
}

/* -------------------------------------------------------------------------------------------------- kinds of calls */

static int odd_fails_call(const void *const args[], void *result, void *context)
{
	(void)context;
	*(int *)result = int_arg(args, 0);
	return int_arg(args, 0) % 2 ? EDOM : 0;
}

START_TEST(new_pool_has_counted_nothing)
{
	mppool *const pool = pool_of(3);

	assert_ok(mppool_wait_idle(pool, MPPOOL_FOREVER));
	const struct mppool_counters c = quiet_stats(pool);
	assert_counts(&c, 0, 0, 0, 0);
	ck_assert_uint_eq(c.size, sizeof c);
	ck_assert_uint_eq(c.workers, 3);
	ck_assert_uint_eq(c.workers_alive, 3);
	ck_assert_uint_eq(c.workers_ever, 3);
	ck_assert_uint_eq(c.workers_busy, 0);
	ck_assert_uint_eq(c.most_busy, 0);
	ck_assert_uint_eq(c.queued, 0);
	ck_assert_uint_eq(c.most_queued, 0);
	pool_finish(pool);
}
END_TEST

START_TEST(single_calls_are_counted_one_by_one)
{
	mppool *const pool = pool_of(2);
	const struct mppool_func func = make_func(odd_fails_call, 1, sizeof(int), NULL);
	struct mppool_counters c;

	for (int i = 0; i < 10; i++) {
		assert_code(mppool_apply(pool, &func, MPPOOL_ARGS(&numbers[i]), NULL), i % 2 ? MPPOOL_ETASK : 0);
		c = stats_of(pool);              /* who has seen the end of an item sees its count */
		ck_assert_uint_eq(c.done + c.failed, (uint64_t)i + 1);
		ck_assert_uint_eq(c.submitted, (uint64_t)i + 1);
	}
	assert_counts(&c, 5, 5, 0, 0);
	pool_finish(pool);
}
END_TEST

/* Once for each chunksize _i. */
START_TEST(items_of_maps_are_counted)
{
	mppool *const pool = pool_of(2);
	int ys[N];
	const struct mppool_func func = make_func(odd_fails_call, 1, sizeof(int), NULL);
	struct source source = SOURCE(N);
	const struct mppool_iterable items = source_items(&source);
	struct mppool_counters c;

	assert_code(mppool_map(pool, &func, MPPOOL_ARRAY(numbers, N), ys, (size_t)_i), MPPOOL_ETASK);
	c = stats_of(pool);
	assert_counts(&c, N / 2, N / 2, 0, 0);
	assert_code(mppool_map(pool, &func, &items, NULL, (size_t)_i), MPPOOL_ETASK);
	c = stats_of(pool);
	assert_counts(&c, N, N, 0, 0);
	assert_ok(mppool_map(pool, &func, MPPOOL_ARRAY(numbers, 0), ys, (size_t)_i));
	c = stats_of(pool);
	assert_counts(&c, N, N, 0, 0);
	pool_finish(pool);
}
END_TEST

/* The third item of what it is handed fails. */
static int third_fails_chunk(const struct mppool_chunk *chunk, void *context)
{
	(void)context;
	if (chunk->count < 3)
		return 0;
	*chunk->failed = 2;
	return ERANGE;
}

START_TEST(chunk_functions_say_how_many_failed)
{
	mppool *const pool = pool_of(1);
	struct mppool_func func = make_func(NULL, 1, 0, NULL);

	func.chunk_call = third_fails_chunk;
	assert_code(mppool_map(pool, &func, MPPOOL_ARRAY(numbers, 20), NULL, 10), MPPOOL_ETASK);
	const struct mppool_counters c = stats_of(pool);
	assert_counts(&c, 14, 6, 0, 0);          /* of ten: 3, 6, 9 */
	pool_finish(pool);
}
END_TEST

START_TEST(streams_are_counted_as_they_are_drawn)
{
	mppool *const pool = pool_of(2);
	const struct mppool_func func = make_func(odd_fails_call, 1, sizeof(int), NULL);
	struct source source = SOURCE(N);
	const struct mppool_iterable items = source_items(&source);
	mppool_iter *arrays = NULL, *generated = NULL;
	struct mppool_counters c;

	assert_ok(mppool_imap(pool, &func, &items, 1, 10, NULL, &generated));
	assert_ok(mppool_wait_idle(pool, MPPOOL_FOREVER));
	c = stats_of(pool);
	assert_counts(&c, 5, 5, 0, 0);           /* its window is full */
	assert_ok(mppool_imap_unordered(pool, &func, MPPOOL_ARRAY(numbers, N), 1, 20, NULL, &arrays));
	assert_ok(mppool_wait_idle(pool, MPPOOL_FOREVER));
	c = stats_of(pool);
	ck_assert_uint_eq(c.submitted, 10 + N);
	ck_assert_uint_eq(c.done + c.failed, 10 + 20);
	ck_assert_uint_eq(c.waiting, N - 20);
	mppool_iter_free(arrays);                /* 40 were never drawn, and never will be */
	mppool_iter_free(generated);
	c = quiet_stats(pool);
	assert_counts(&c, 15, 15, N - 20, 0);
	pool_finish(pool);
}
END_TEST

static int spawn_call(const void *const args[], void *result, void *context)
{
	int left = int_arg(args, 0) - 1;
	const struct mppool_func func = make_func(spawn_call, 1, sizeof(int), context);

	*(int *)result = 0;
	for (int i = 0; left >= 0 && i < 2; i++)
		if (mppool_apply_async(mppool_current(), &func, MPPOOL_ARGS(&left), NULL, NULL))
			return EIO;
	return 0;
}

START_TEST(nested_calls_are_counted)
{
	mppool *const pool = pool_of(2);
	const struct mppool_func func = make_func(spawn_call, 1, sizeof(int), NULL);
	const int depth = 7;

	assert_ok(mppool_apply_async(pool, &func, MPPOOL_ARGS(&depth), NULL, NULL));
	assert_ok(mppool_wait_idle(pool, MPPOOL_FOREVER));
	const struct mppool_counters c = stats_of(pool);
	assert_counts(&c, 255, 0, 0, 0);
	pool_finish(pool);
}
END_TEST

START_TEST(helping_callers_are_counted)
{
	mppool *pool = NULL;
	struct hold hold;
	int ys[N], y;
	const struct mppool_func func = make_func(odd_fails_call, 1, sizeof(int), NULL);
	struct mppool_worker_counters one = {.done = 99};

	assert_ok(mppool_create(MPPOOL_OPTIONS(.workers = 1, .flags = MPPOOL_CALLER_HELPS), &pool));
	hold_workers(&hold, pool, 1);
	assert_code(mppool_map(pool, &func, MPPOOL_ARRAY(numbers, N), ys, 7), MPPOOL_ETASK);
	assert_ok(mppool_apply(pool, &func, MPPOOL_ARGS(&numbers[2]), &y));
	struct mppool_counters c = MPPOOL_COUNTERS_INIT;
	c.per_worker = &one;
	c.per_worker_room = 1;
	assert_ok(mppool_stats(pool, &c));
	ck_assert_uint_eq(c.done, N / 2 + 1);
	ck_assert_uint_eq(c.failed, N / 2);
	ck_assert_uint_eq(c.running, 1);
	ck_assert_uint_eq(one.done, 0);
	ck_assert_uint_eq(one.failed, 0);
	ck_assert_uint_eq(one.running, 1);
	hold_release(&hold);
	pool_finish(pool);
}
END_TEST

/* --------------------------------------------------------------------------------------------------- untimely ends */

START_TEST(cancelled_items_are_counted)
{
	mppool *const pool = pool_of(1);
	struct hold hold;
	mppool_result *single, *plain, *map;
	const struct mppool_func func = make_func(square_call, 1, sizeof(int), NULL);

	hold_workers(&hold, pool, 1);
	assert_ok(mppool_apply_async(pool, &func, MPPOOL_ARGS(&numbers[1]), MPPOOL_CALL(.userdata = &hold), &single));
	assert_ok(mppool_apply_async(pool, &func, MPPOOL_ARGS(&numbers[1]), NULL, &plain));
	assert_ok(mppool_map_async(pool, &func, MPPOOL_ARRAY(numbers, N), NULL, 1, NULL, &map));
	assert_ok(mppool_result_cancel(single));
	assert_ok(mppool_result_cancel(plain));
	assert_ok(mppool_result_cancel(map));
	ck_assert_uint_eq(stats_of(pool).cancelled, N);          /* the singles when the worker comes to them */
	hold_release(&hold);
	assert_ok(mppool_wait_idle(pool, MPPOOL_FOREVER));
	const struct mppool_counters c = quiet_stats(pool);
	assert_counts(&c, 1, 0, N + 2, 0);
	mppool_result_free(single);
	mppool_result_free(plain);
	mppool_result_free(map);
	pool_finish(pool);
}
END_TEST

START_TEST(items_after_the_first_failure_are_cancelled)
{
	mppool *const pool = pool_of(1);
	mppool_result *result;
	const struct mppool_func func = make_func(odd_fails_call, 1, sizeof(int), NULL);

	assert_ok(mppool_map_async(pool, &func, MPPOOL_ARRAY(numbers, N), NULL, 4,
	                           MPPOOL_CALL(.flags = MPPOOL_FAIL_FAST), &result));
	assert_code(mppool_result_get(result, NULL, MPPOOL_FOREVER), MPPOOL_ETASK);
	const struct mppool_counters c = stats_of(pool);
	assert_counts(&c, 1, 1, N - 2, 0);
	mppool_result_free(result);
	pool_finish(pool);
}
END_TEST

START_TEST(items_of_a_terminated_pool_are_dropped)
{
	mppool *const pool = pool_of(2);
	struct gate gate;
	mppool_iter *iter = NULL;
	struct mppool_counters c;

	gate_init(&gate);
	const struct mppool_func held = make_func(gate_call, 1, sizeof(int), &gate);
	for (int i = 0; i < 5; i++)
		assert_ok(mppool_apply_async(pool, &held, MPPOOL_ARGS(&numbers[i]), NULL, NULL));
	assert_ok(mppool_map_async(pool, &held, MPPOOL_ARRAY(numbers, N), NULL, 1, NULL, NULL));
	assert_ok(mppool_imap(pool, &held, MPPOOL_ARRAY(numbers, N), 1, 0, NULL, &iter));
	gate_wait_arrivals(&gate, 2);
	c = stats_of(pool);
	ck_assert_uint_eq(c.running, 2);
	ck_assert_uint_eq(c.waiting, 3 + 2 * N);
	assert_ok(mppool_terminate(pool));
	gate_open(&gate);
	assert_ok(mppool_join(pool, MPPOOL_FOREVER));
	c = quiet_stats(pool);
	assert_counts(&c, 2, 0, 0, 3 + 2 * N);
	ck_assert_uint_eq(c.workers_alive, 0);
	ck_assert_uint_eq(c.workers_busy, 0);
	mppool_iter_free(iter);
	assert_ok(mppool_destroy(pool));
	gate_destroy(&gate);
}
END_TEST

static int second_start_fails(void *initarg, void **ret_state)
{
	(void)ret_state;
	return atomic_fetch_add((atomic_int *)initarg, 1) == 0 ? 0 : EIO;
}

START_TEST(items_of_a_broken_pool_are_dropped)
{
	mppool *pool = NULL;
	atomic_int starts = 0;
	struct gate gate;

	gate_init(&gate);
	const struct mppool_func held = make_func(gate_call, 1, sizeof(int), &gate);
	assert_ok(mppool_create(MPPOOL_OPTIONS(.workers = 1, .max_tasks_per_worker = 1,
	                                       .initializer = second_start_fails, .initarg = &starts),
	                        &pool));
	for (int i = 0; i < 5; i++)
		assert_ok(mppool_apply_async(pool, &held, MPPOOL_ARGS(&numbers[i]), NULL, NULL));
	gate_open(&gate);
	while (mppool_state(pool) == MPPOOL_RUN)
		mppool_wait_idle(pool, 0.001);
	assert_ok(mppool_join(pool, MPPOOL_FOREVER));
	const struct mppool_counters c = quiet_stats(pool);
	assert_counts(&c, 1, 0, 0, 4);
	assert_ok(mppool_destroy(pool));
	gate_destroy(&gate);
}
END_TEST

/* Runs until it is told to stop. */
static int obedient_call(const void *const args[], void *result, void *context)
{
	(void)context;
	*(int *)result = int_arg(args, 0);
	while (!mppool_should_stop())
		;
	return 0;
}

static int leaving_call(const void *const args[], void *result, void *context)
{
	(void)context;
	*(int *)result = 0;
	if (int_arg(args, 0) % 3 == 0)
		pthread_exit(NULL);
	return 0;
}

START_TEST(late_and_lost_items_have_failed)
{
	mppool *const pool = pool_of(2);
	mppool_result *result;
	const struct mppool_func late = make_func(obedient_call, 1, sizeof(int), NULL);
	const struct mppool_func leaving = make_func(leaving_call, 1, sizeof(int), NULL);
	struct mppool_counters c;

	assert_ok(mppool_map_async(pool, &late, MPPOOL_ARRAY(numbers, 4), NULL, 2,
	                           MPPOOL_CALL(.task_timeout = 0.001), &result));
	assert_code(mppool_result_get(result, NULL, MPPOOL_FOREVER), MPPOOL_ETASK);
	mppool_result_free(result);
	assert_ok(mppool_apply_async(pool, &late, MPPOOL_ARGS(&numbers[1]), MPPOOL_CALL(.task_timeout = 0.001),
	                             &result));
	assert_code(mppool_result_get(result, NULL, MPPOOL_FOREVER), MPPOOL_ETASK);
	mppool_result_free(result);
	c = stats_of(pool);
	assert_counts(&c, 0, 5, 0, 0);
	assert_code(mppool_map(pool, &leaving, MPPOOL_ARRAY(numbers, 12), NULL, 4), MPPOOL_ETASK);
	assert_code(mppool_apply(pool, &leaving, MPPOOL_ARGS(&numbers[0]), NULL), MPPOOL_ETASK);
	c = quiet_stats(pool);
	assert_counts(&c, 8, 5 + 5, 0, 0);
	assert_ok(mppool_wait_idle(pool, MPPOOL_FOREVER));
	c = quiet_stats(pool);
	ck_assert_uint_eq(c.workers_alive, 2);
	ck_assert_uint_eq(c.workers_busy, 0);
	pool_finish(pool);
}
END_TEST

/* ------------------------------------------------------------------------------------------------ waiting, running */

START_TEST(what_waits_and_runs_is_seen)
{
	mppool *const pool = pool_of(4);
	struct hold hold;
	struct mppool_counters c;
	const struct mppool_func func = make_func(square_call, 1, sizeof(int), NULL);

	hold_workers(&hold, pool, 3);
	c = stats_of(pool);
	ck_assert_uint_eq(c.running, 3);
	ck_assert_uint_eq(c.waiting, 0);
	ck_assert_uint_eq(c.workers_busy, 3);
	ck_assert_uint_eq(c.most_busy, 3);
	hold_release(&hold);
	hold_workers(&hold, pool, 4);
	for (int i = 0; i < 5; i++)
		assert_ok(mppool_apply_async(pool, &func, MPPOOL_ARGS(&numbers[i]), NULL, NULL));
	assert_ok(mppool_map_async(pool, &func, MPPOOL_ARRAY(numbers, 20), NULL, 0, NULL, NULL));
	c = stats_of(pool);
	ck_assert_uint_eq(c.running, 4);
	ck_assert_uint_eq(c.waiting, 25);
	ck_assert_uint_eq(c.queued, 6);
	ck_assert_uint_eq(c.workers_busy, 4);
	hold_release(&hold);
	assert_ok(mppool_wait_idle(pool, MPPOOL_FOREVER));
	c = quiet_stats(pool);
	ck_assert_uint_eq(c.workers_busy, 0);
	ck_assert_uint_eq(c.most_busy, 4);
	ck_assert_uint_ge(c.most_queued, 6);
	ck_assert_uint_eq(c.queued, 0);
	pool_finish(pool);
}
END_TEST

START_TEST(seconds_are_about_the_lifetime_of_each_worker)
{
	const double before = seconds_now();
	mppool *const pool = pool_of(3);
	struct hold hold;
	struct mppool_worker_counters w[3], last[3];
	struct mppool_counters c = MPPOOL_COUNTERS_INIT;

	memset(last, 0, sizeof last);
	c.per_worker = w;
	c.per_worker_room = 3;
	hold_workers(&hold, pool, 2);
	const double from = seconds_now();
	pause_briefly();
	for (int round = 0; round < 20; round++) {
		const double busy = c.seconds_busy, idle = c.seconds_idle;
		double lower = seconds_now() - from, upper;
		assert_ok(mppool_stats(pool, &c));
		upper = seconds_now() - before;
		ck_assert_double_ge(c.seconds_busy, busy);
		ck_assert_double_ge(c.seconds_idle, idle);
		ck_assert_double_ge(c.seconds_busy, 2 * lower);
		ck_assert_double_le(c.seconds_busy + c.seconds_idle, 3 * upper);
		for (int i = 0; i < 3; i++) {
			ck_assert_double_ge(w[i].seconds_busy, last[i].seconds_busy);
			ck_assert_double_ge(w[i].seconds_idle, last[i].seconds_idle);
			ck_assert_double_ge(w[i].seconds_busy + w[i].seconds_idle, w[i].running ? lower : 0);
			ck_assert_double_le(w[i].seconds_busy + w[i].seconds_idle, upper);
			if (w[i].running)
				ck_assert_double_ge(w[i].seconds_busy, lower);
			last[i] = w[i];
		}
	}
	hold_release(&hold);
	pool_finish(pool);
}
END_TEST

START_TEST(idle_pool_gathers_idle_seconds_only)
{
	mppool *const pool = pool_of(2);
	struct mppool_counters first, second;

	ck_assert(thread_sleeps("mppool-w0") && thread_sleeps("mppool-w1"));
	assert_ok(mppool_wait_idle(pool, MPPOOL_FOREVER));
	first = stats_of(pool);
	pause_briefly();
	second = stats_of(pool);
	ck_assert(!(second.seconds_busy > first.seconds_busy));
	ck_assert_double_gt(second.seconds_idle, first.seconds_idle + 0.05);
	pool_finish(pool);
}
END_TEST

/* ------------------------------------------------------------------------------------------------------- arguments */

START_TEST(bad_arguments_change_nothing)
{
	mppool *const pool = pool_of(2);
	struct mppool_worker_counters w[2], untouched_w[2];
	struct mppool_counters c, untouched;

	memset(w, 0xaa, sizeof w);
	memcpy(untouched_w, w, sizeof w);
	memset(&untouched, 0xbb, sizeof untouched);
	untouched.size = sizeof untouched;
	untouched.per_worker = w;
	untouched.per_worker_size = sizeof *w;
	untouched.per_worker_room = 2;
#define REFUSED(change, pool_, c_)                                                                                     \
	do {                                                                                                           \
		struct mppool_counters given = untouched;                                                              \
		change;                                                                                                \
		c = given;                                                                                             \
		assert_code(mppool_stats(pool_, c_), EINVAL);                                                          \
		ck_assert_int_eq(memcmp(&c, &given, sizeof c), 0);                                                     \
		ck_assert_int_eq(memcmp(w, untouched_w, sizeof w), 0);                                                 \
	} while (0)
	REFUSED((void)0, NULL, &c);
	REFUSED((void)0, pool, NULL);
	REFUSED(given.size = 0, pool, &c);
	REFUSED(given.size = sizeof given - 16, pool, &c);
	REFUSED(given.per_worker = NULL, pool, &c);
	REFUSED(given.per_worker_room = 0, pool, &c);
	REFUSED(given.per_worker_size = 0, pool, &c);
	REFUSED(given.per_worker_size -= 16, pool, &c);         /* one member less than 0.9.0 had */
	REFUSED(given.per_worker_size += 4, pool, &c);
#undef REFUSED
	pool_finish(pool);
}
END_TEST

START_TEST(no_more_is_written_than_there_is_room_for)
{
	mppool *const pool = pool_of(3);
	struct large_worker {
		struct mppool_worker_counters w;
		uint64_t more;
	} w[4];
	struct {
		struct mppool_counters c;
		uint64_t more[4];
	} large;
	int y;
	const struct mppool_func func = make_func(square_call, 1, sizeof(int), NULL);

	assert_ok(mppool_apply(pool, &func, MPPOOL_ARGS(&numbers[3]), &y));
	memset(&large, 0xcc, sizeof large);
	memset(w, 0xcc, sizeof w);
	large.c.size = sizeof large;             /* of a later version */
	large.c.per_worker = &w[0].w;
	large.c.per_worker_size = sizeof *w;
	large.c.per_worker_room = 2;
	assert_ok(mppool_stats(pool, &large.c));
	ck_assert_uint_eq(large.c.size, sizeof large);
	ck_assert_uint_eq(large.c.submitted, 1);
	ck_assert_uint_eq(large.c.workers_ever, 3);
	for (size_t i = 0; i < 4; i++)
		ck_assert_uint_eq(large.more[i], 0xcccccccccccccccc);
	for (size_t i = 0; i < 4; i++) {
		ck_assert_uint_eq(w[i].more, 0xcccccccccccccccc);
		ck_assert((w[i].w.failed == 0) == (i < 2));
	}
	large.c.per_worker_room = 4;
	assert_ok(mppool_stats(pool, &large.c));
	ck_assert_uint_eq(w[0].w.done + w[1].w.done + w[2].w.done, 1);
	ck_assert_uint_eq(w[3].w.done, 0xcccccccccccccccc);
	pool_finish(pool);
}
END_TEST

static int asking_call(const void *const args[], void *result, void *context)
{
	struct mppool_counters c = MPPOOL_COUNTERS_INIT;

	(void)args;
	(void)context;
	*(int *)result = mppool_stats(mppool_current(), &c) == 0 && c.running == 1 && c.workers_busy == 1;
	return 0;
}

START_TEST(task_may_ask)
{
	mppool *const pool = pool_of(1);
	int good = 0;
	const struct mppool_func func = make_func(asking_call, 0, sizeof(int), NULL);

	assert_ok(mppool_apply(pool, &func, NULL, &good));
	ck_assert_int_eq(good, 1);
	pool_finish(pool);
}
END_TEST

START_TEST(forked_child_is_told_whose_pool_it_is)
{
	mppool *const pool = pool_of(2);
	const pid_t child = fork_watched();

	if (child == 0) {
		struct mppool_counters c = MPPOOL_COUNTERS_INIT;
		char text[100];
		CHILD_CHECK(mppool_stats(pool, &c) == MPPOOL_EFORKED);
		mppool_describe(pool, text, sizeof text);
		CHILD_CHECK(strcmp(text, "<mppool.Pool state=RUN pool_size=2>") == 0);
		child_leaves();
	}
	child_ends_well(child);
	pool_finish(pool);
}
END_TEST

/* ------------------------------------------------------------------------------------------------------ describing */

START_TEST(description_begins_as_in_python)
{
	mppool *const pool = pool_of(2);
	char text[1000], cut[1000];
	int ys[N];
	const struct mppool_func func = make_func(odd_fails_call, 1, sizeof(int), NULL);

	assert_code(mppool_map(pool, &func, MPPOOL_ARRAY(numbers, N), ys, 0), MPPOOL_ETASK);
	assert_ok(mppool_wait_idle(pool, MPPOOL_FOREVER));
	ck_assert_uint_lt(mppool_describe(pool, text, sizeof text), sizeof text);
	ck_assert_ptr_nonnull(strstr(text, "<mppool.Pool state=RUN pool_size=2>\nitems: 60 submitted, 30 done, 30 failed,"
	                                   " 0 cancelled, 0 dropped, 0 waiting, 0 running\n"));
	ck_assert_ptr_nonnull(strstr(text, "\nworkers: 2 alive, 0 busy, at most "));
	ck_assert_ptr_nonnull(strstr(text, "\nseconds: "));
	for (size_t size = 0; size <= 80; size++) {
		memset(cut, '#', sizeof cut);
		ck_assert_uint_gt(mppool_describe(pool, size ? cut : NULL, size), 100);
		if (size > 0) {
			ck_assert_uint_eq(strlen(cut), size - 1);
			ck_assert_int_eq(strncmp(cut, text, size - 1), 0);
		}
		ck_assert_int_eq(cut[size], '#');
	}
	assert_ok(mppool_close(pool));
	mppool_describe(pool, text, sizeof text);
	ck_assert_ptr_eq(strstr(text, "<mppool.Pool state=CLOSE pool_size=2>\n"), text);
	assert_ok(mppool_terminate(pool));
	mppool_describe(pool, text, sizeof text);
	ck_assert_ptr_eq(strstr(text, "<mppool.Pool state=TERMINATE pool_size=2>\n"), text);
	assert_ok(mppool_destroy(pool));
	ck_assert_uint_eq(mppool_describe(NULL, text, sizeof text), strlen("<mppool.Pool NULL>"));
	ck_assert_str_eq(text, "<mppool.Pool NULL>");
}
END_TEST

/* ------------------------------------------------------------------------------------------------------------ load */

struct load {
	mppool *pool;
	unsigned seed;
	atomic_bool over;
	atomic_int odd;
};

static unsigned dice(unsigned *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 17;
	*seed ^= *seed << 5;
	return *seed;
}

/* Succeeds, fails, splits, or leaves its thread. */
static int any_call(const void *const args[], void *result, void *context)
{
	const int x = int_arg(args, 0), y = x / 2;
	const struct mppool_func func = make_func(any_call, 1, sizeof(int), context);

	*(int *)result = x;
	if (x % 50 == 49)
		pthread_exit(NULL);
	if (x % 10 == 8)
		mppool_apply_async(mppool_current(), &func, MPPOOL_ARGS(&y), NULL, NULL);
	if (x % 10 == 6)
		mppool_apply(mppool_current(), &func, MPPOOL_ARGS(&y), NULL);
	return x % 7 == 3 ? EDOM : 0;
}

static void any_submit(struct load *load, unsigned *seed)
{
	static _Thread_local struct source source;
	mppool_result *result = NULL;
	mppool_iter *iter = NULL;
	const struct mppool_func func = make_func(any_call, 1, sizeof(int), NULL);
	const struct mppool_call_options options = {.size = sizeof options,
	                                            .task_timeout = dice(seed) % 4 ? 0 : 1e-6,
	                                            .flags = dice(seed) % 3 ? 0 : MPPOOL_FAIL_FAST};
	const int x = (int)(dice(seed) % N);
	const size_t n = dice(seed) % N;

	switch (dice(seed) % 8) {
	case 0:
		mppool_apply(load->pool, &func, MPPOOL_ARGS(&x), NULL);
		break;
	case 1:
		mppool_apply_async(load->pool, &func, MPPOOL_ARGS(&x), x % 2 ? &options : NULL, NULL);
		break;
	case 2:
		mppool_apply_async(load->pool, &func, MPPOOL_ARGS(&x), x % 2 ? &options : NULL, &result);
		break;
	case 3:
		mppool_map(load->pool, &func, MPPOOL_ARRAY(numbers, n), NULL, dice(seed) % 5);
		break;
	case 4:
		mppool_map_async(load->pool, &func, MPPOOL_ARRAY(numbers, n), NULL, dice(seed) % 5, &options, &result);
		break;
	case 5:
		mppool_imap(load->pool, &func, MPPOOL_ARRAY(numbers, n), dice(seed) % 5, dice(seed) % 9, NULL, &iter);
		break;
	default:
		source = (struct source)SOURCE(n);
		const struct mppool_iterable items = source_items(&source);
		mppool_imap_unordered(load->pool, &func, &items, dice(seed) % 5, dice(seed) % 9, NULL, &iter);
	}
	if (result && dice(seed) % 2)
		mppool_result_cancel(result);
	mppool_result_free(result);
	for (unsigned i = dice(seed) % 100; iter && i > 0; i--)
		mppool_iter_next(iter, NULL, NULL, MPPOOL_FOREVER);
	mppool_iter_free(iter);
}

static void submit_any(size_t i, void *arg)
{
	struct load *const load = arg;
	unsigned seed = load->seed + (unsigned)i * 7919 + 1;

	for (int round = 0; round < (SLOW ? 50 : 500); round++)
		any_submit(load, &seed);
}

/* Snapshots while everything moves: counts never go back, nor do seconds. */
static void look_on(void *arg)
{
	struct load *const load = arg;
	struct mppool_counters last = MPPOOL_COUNTERS_INIT, c = MPPOOL_COUNTERS_INIT;

	while (!atomic_load(&load->over)) {
		if (mppool_stats(load->pool, &c) != 0 || c.submitted < last.submitted || c.done < last.done ||
		    c.failed < last.failed || c.cancelled < last.cancelled || c.dropped < last.dropped ||
		    c.seconds_busy < last.seconds_busy || c.seconds_idle < last.seconds_idle ||
		    c.most_busy < last.most_busy || c.most_queued < last.most_queued || c.workers_busy > 3 ||
		    c.queued > c.most_queued || c.workers_alive > 3)
			atomic_fetch_add(&load->odd, 1);
		last = c;
	}
}

static void end_pool(void *pool)
{
	mppool_terminate(pool);
}

/* All kinds of calls from several threads; the pool is terminated meanwhile where _i is odd. */
START_TEST(sums_are_exact_after_any_load)
{
	struct load load = {.pool = pool_of(3), .seed = (unsigned)_i + 1};
	struct runner looker, ender;
	struct mppool_counters c;

	runner_start(&looker, look_on, &load);
	if (_i % 2) {
		run_in_threads(2, submit_any, &load);
		assert_ok(mppool_wait_idle(load.pool, MPPOOL_FOREVER));
		quiet_stats(load.pool);
		runner_start(&ender, end_pool, load.pool);
	}
	run_in_threads(3, submit_any, &load);
	if (_i % 2)
		runner_join(&ender);
	assert_ok(mppool_wait_idle(load.pool, MPPOOL_FOREVER));
	c = quiet_stats(load.pool);
	ck_assert_uint_gt(c.submitted, 0);
	atomic_store(&load.over, true);
	runner_join(&looker);
	ck_assert_int_eq(atomic_load(&load.odd), 0);
	mppool_close(load.pool);
	assert_ok(mppool_join(load.pool, MPPOOL_FOREVER));
	quiet_stats(load.pool);
	assert_ok(mppool_destroy(load.pool));
}
END_TEST

/* ----------------------------------------------------------------------------------------------------- the program */

static void fill(Suite *suite)
{
	TCase *const calls = add_case(suite, "calls");
	TCase *const ends = add_case(suite, "ends");
	TCase *const moment = add_case(suite, "moment");
	TCase *const arguments = add_case(suite, "arguments");
	TCase *const load = add_case(suite, "load");

	number();
	tcase_add_test(calls, new_pool_has_counted_nothing);
	tcase_add_test(calls, single_calls_are_counted_one_by_one);
	tcase_add_loop_test(calls, items_of_maps_are_counted, 0, 4);
	tcase_add_test(calls, chunk_functions_say_how_many_failed);
	tcase_add_test(calls, streams_are_counted_as_they_are_drawn);
	tcase_add_test(calls, nested_calls_are_counted);
	tcase_add_test(calls, helping_callers_are_counted);
	tcase_add_test(ends, cancelled_items_are_counted);
	tcase_add_test(ends, items_after_the_first_failure_are_cancelled);
	tcase_add_test(ends, items_of_a_terminated_pool_are_dropped);
	tcase_add_test(ends, items_of_a_broken_pool_are_dropped);
	tcase_add_test(ends, late_and_lost_items_have_failed);
	tcase_add_test(moment, what_waits_and_runs_is_seen);
	tcase_add_test(moment, seconds_are_about_the_lifetime_of_each_worker);
	tcase_add_test(moment, idle_pool_gathers_idle_seconds_only);
	tcase_add_test(arguments, bad_arguments_change_nothing);
	tcase_add_test(arguments, no_more_is_written_than_there_is_room_for);
	tcase_add_test(arguments, task_may_ask);
	tcase_add_test(arguments, forked_child_is_told_whose_pool_it_is);
	tcase_add_test(arguments, description_begins_as_in_python);
	tcase_add_loop_test(load, sums_are_exact_after_any_load, 0, 6);
}

int main(int argc, char **argv)
{
	return run_suite("stats", fill, argc, argv);
}
