/* test_groups.c - mppool_wait and mppool_as_completed: groups of results, of any pools
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE 1
#include "support.h"

#include <math.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define SLOW (UNDER_ASAN || UNDER_TSAN || under_valgrind())
#define FOREVER MPPOOL_FOREVER
#define FIRST MPPOOL_FIRST_COMPLETED
#define FAILED MPPOOL_FIRST_FAILED
#define ALL MPPOOL_ALL_COMPLETED
#define UNTOUCHED ((size_t)77)

/* ------------------------------------------------------------------------------------------------------- the pieces */

static mppool *pool_with(const struct mppool_options *options)
{
	mppool *pool = NULL;

	assert_ok(mppool_create(options, &pool));
	return pool;
}

/* The task stands at the gate, then fails if its argument is negative. */
static int stand_call(const void *const args[], void *result, void *context)
{
	const int x = int_arg(args, 0);

	gate_wait(context);
	*(int *)result = x;
	return x < 0 ? mppool_raise(EDOM, "%d", x) : 0;
}

static mppool_result *submit(mppool *pool, const struct mppool_func *func, int x)
{
	mppool_result *result = NULL;

	assert_ok(mppool_apply_async(pool, func, MPPOOL_ARGS(&x), NULL, &result));
	return result;
}

static mppool_result *submit_standing(mppool *pool, struct gate *gate, int x)
{
	const struct mppool_func func = make_func(stand_call, 1, sizeof(int), gate);

	return submit(pool, &func, x);
}

static mppool_result *submit_square(mppool *pool, int x)
{
	const struct mppool_func func = make_func(square_call, 1, sizeof(int), NULL);

	return submit(pool, &func, x);
}

/* n calls that stand at a gate each; x of call i is i + 1, or negative where `failing` has its bit. */
#define MOST 8
struct standing {
	mppool *pool;
	size_t n;
	struct gate gates[MOST];
	mppool_result *results[MOST];
};

static void standing_start(struct standing *s, size_t n, unsigned failing)
{
	*s = (struct standing){.pool = pool_of((int)n), .n = n};
	for (int i = 0; i < (int)n; i++) {
		gate_init(&s->gates[i]);
		s->results[i] = submit_standing(s->pool, &s->gates[i], failing >> i & 1 ? -1 - i : i + 1);
	}
}

static void standing_finish(struct standing *s)
{
	for (size_t i = 0; i < s->n; i++)
		gate_open(&s->gates[i]);
	for (size_t i = 0; i < s->n; i++)
		mppool_result_free(s->results[i]);
	pool_finish(s->pool);
	for (size_t i = 0; i < s->n; i++)
		gate_destroy(&s->gates[i]);
}

static void complete(struct standing *s, size_t i)
{
	gate_open(&s->gates[i]);
	assert_ok(mppool_result_wait(s->results[i], FOREVER));
}

static void assert_next(mppool_iter *iter, mppool_result *result, size_t index)
{
	mppool_result *got = NULL;
	size_t at = UNTOUCHED;

	assert_ok(mppool_iter_next(iter, &got, &at, FOREVER));
	ck_assert_uint_eq(at, index);
	ck_assert_ptr_eq(got, result);
	ck_assert_int_eq(mppool_result_ready(got), 1);
}

static void assert_next_is(mppool_iter *iter, int code, double timeout)
{
	mppool_result *got = (mppool_result *)(void *)&code;
	size_t at = UNTOUCHED;

	assert_code(mppool_iter_next(iter, &got, &at, timeout), code);
	ck_assert_uint_eq(at, UNTOUCHED);
	ck_assert_ptr_eq(got, (mppool_result *)(void *)&code);
}

static void assert_stopped(mppool_iter *iter)
{
	for (int i = 0; i < 3; i++)
		assert_next_is(iter, MPPOOL_ESTOP, FOREVER);
}

static size_t wait_ok(mppool_result *const results[], size_t n, int when, double timeout)
{
	size_t ready = UNTOUCHED;

	assert_ok(mppool_wait(results, n, when, timeout, &ready));
	return ready;
}

static void assert_wait_is(mppool_result *const results[], size_t n, int when, double timeout, int code)
{
	size_t ready = UNTOUCHED;

	assert_code(mppool_wait(results, n, when, timeout, &ready), code);
	ck_assert_uint_eq(ready, UNTOUCHED);
	assert_code(mppool_wait(results, n, when, timeout, NULL), code);
}

/* --------------------------------------------------------------------------------------------------------- bad input */

START_TEST(bad_input_is_einval_and_changes_nothing)
{
	struct standing s;
	size_t ready = UNTOUCHED;
	mppool_iter *iter = (mppool_iter *)(void *)&s;

	standing_start(&s, 3, 0);
	mppool_result *const twice[] = {s.results[0], s.results[1], s.results[0]};
	mppool_result *const holed[] = {s.results[0], NULL};
	complete(&s, 0);
	for (int when = FIRST; when <= ALL; when++) {
		assert_wait_is(NULL, 1, when, 0, EINVAL);
		assert_wait_is(s.results, 0, when, 0, EINVAL);
		assert_wait_is(twice, 3, when, 0, EINVAL);
		assert_wait_is(holed, 2, when, 0, EINVAL);
		assert_wait_is(s.results, 3, when, NAN, EINVAL);
	}
	assert_wait_is(s.results, 3, FIRST - 1, 0, EINVAL);
	assert_wait_is(s.results, 3, ALL + 1, 0, EINVAL);
	assert_code(mppool_as_completed(NULL, 1, &iter), EINVAL);
	assert_code(mppool_as_completed(s.results, 0, &iter), EINVAL);
	assert_code(mppool_as_completed(twice, 3, &iter), EINVAL);
	assert_code(mppool_as_completed(holed, 2, &iter), EINVAL);
	assert_code(mppool_as_completed(s.results, 3, NULL), EINVAL);
	ck_assert_ptr_null(iter);        /* an iterator without results */
	assert_ok(mppool_as_completed(s.results, 3, &iter));
	assert_next_is(iter, EINVAL, NAN);
	assert_next(iter, s.results[0], 0);
	mppool_iter_free(iter);
	ck_assert_uint_eq(wait_ok(s.results, 3, FIRST, 0), 1);
	assert_code(mppool_wait(s.results, 3, ALL, 0, &ready), ETIMEDOUT);
	ck_assert_uint_eq(ready, UNTOUCHED);
	standing_finish(&s);
}
END_TEST

/* A vector of every length, with its last entry twice in all places of the first. */
START_TEST(twins_are_found_wherever_they_are)
{
	enum { N = 40 };
	mppool *const pool = pool_of(1);
	mppool_result *results[N + 1];
	mppool_iter *iter = NULL;

	for (int i = 0; i < N; i++)
		results[i] = submit_square(pool, i);
	for (int n = 1; n < N; n++)
		for (int i = 0; i < n; i++) {
			mppool_result *const other = results[n];
			results[n] = results[i];
			assert_code(mppool_wait(results, (size_t)n + 1, FIRST, FOREVER, NULL), EINVAL);
			assert_code(mppool_as_completed(results, (size_t)n + 1, &iter), EINVAL);
			results[n] = other;
		}
	ck_assert_uint_eq(wait_ok(results, N, ALL, FOREVER), N);
	for (int i = 0; i < N; i++)
		mppool_result_free(results[i]);
	pool_finish(pool);
}
END_TEST

/* -------------------------------------------------------------------------------------------------------------- wait */

START_TEST(wait_counts_what_is_ready)
{
	struct standing s;

	standing_start(&s, 4, 0);
	for (int when = FIRST; when <= ALL; when++) {
		assert_wait_is(s.results, 4, when, 0, ETIMEDOUT);
		assert_wait_is(s.results, 4, when, 0.01, ETIMEDOUT);
	}
	complete(&s, 2);
	ck_assert_uint_eq(wait_ok(s.results, 4, FIRST, FOREVER), 1);
	ck_assert_uint_eq(wait_ok(s.results, 4, FIRST, 0), 1);
	assert_wait_is(s.results, 4, FAILED, 0.01, ETIMEDOUT);
	assert_wait_is(s.results, 2, FIRST, 0.01, ETIMEDOUT);
	complete(&s, 0);
	ck_assert_uint_eq(wait_ok(s.results, 4, FIRST, FOREVER), 2);
	assert_wait_is(s.results, 4, ALL, 0.01, ETIMEDOUT);
	complete(&s, 1);
	complete(&s, 3);
	for (int when = FIRST; when <= ALL; when++)
		ck_assert_uint_eq(wait_ok(s.results, 4, when, 0), 4);
	ck_assert_uint_eq(wait_ok(s.results + 1, 1, ALL, FOREVER), 1);
	standing_finish(&s);
}
END_TEST

/* A thread that waits, and what it was told. */
struct waiter {
	struct runner runner;
	mppool_result *const *results;
	size_t n;
	int when;
	int code;
	size_t ready;
	long sleeps;                             /* how often its thread gave up its CPU meanwhile */
};

static long sleeps_of_this_thread(void)
{
	struct rusage usage;

	getrusage(RUSAGE_THREAD, &usage);
	return usage.ru_nvcsw;
}

static void waiter_run(void *arg)
{
	struct waiter *const w = arg;

	pthread_setname_np(pthread_self(), "test-waiter");
	w->ready = UNTOUCHED;
	const long before = sleeps_of_this_thread();
	w->code = mppool_wait(w->results, w->n, w->when, FOREVER, &w->ready);
	w->sleeps = sleeps_of_this_thread() - before;
}

static void waiter_start(struct waiter *w, mppool_result *const results[], size_t n, int when)
{
	*w = (struct waiter){.results = results, .n = n, .when = when};
	runner_start(&w->runner, waiter_run, w);
	ck_assert(thread_sleeps("test-waiter"));
}

static void waiter_returns(struct waiter *w, size_t ready)
{
	runner_join(&w->runner);
	assert_ok(w->code);
	ck_assert_uint_eq(w->ready, ready);
}

START_TEST(sleeper_is_woken_by_what_it_waits_for)
{
	struct standing s;
	struct waiter first, failed, all;

	standing_start(&s, 5, 1u << 3);
	waiter_start(&first, s.results, 5, FIRST);
	complete(&s, 1);
	waiter_returns(&first, 1);
	waiter_start(&failed, s.results, 5, FAILED);
	complete(&s, 2);
	waiter_start(&all, s.results, 5, ALL);
	ck_assert(!runner_done(&failed.runner));
	gate_open(&s.gates[3]);
	waiter_returns(&failed, 3);
	gate_open(&s.gates[0]);
	ck_assert(!runner_done(&all.runner));
	gate_open(&s.gates[4]);
	waiter_returns(&all, 5);
	standing_finish(&s);
}
END_TEST

/* FIRST_FAILED without a failure ends with the last of all. */
START_TEST(first_failed_ends_when_all_are_ready)
{
	struct standing s;
	struct waiter w;

	standing_start(&s, 3, 0);
	waiter_start(&w, s.results, 3, FAILED);
	complete(&s, 0);
	complete(&s, 1);
	ck_assert(!runner_done(&w.runner));
	complete(&s, 2);
	waiter_returns(&w, 3);
	standing_finish(&s);
}
END_TEST

/* Whatever keeps a result from being successful counts: _i. */
START_TEST(first_failed_sees_every_kind_of_failure)
{
	struct hold hold;
	mppool *const pool = pool_of(1);
	mppool_result *results[2];
	struct waiter w;

	hold_workers(&hold, pool, 1);
	for (int i = 0; i < 2; i++)
		results[i] = submit_square(pool, i);
	waiter_start(&w, results, 2, FAILED);
	if (_i == 0)
		assert_ok(mppool_result_cancel(results[1]));
	else
		assert_ok(mppool_terminate(pool));
	runner_join(&w.runner);
	assert_ok(w.code);
	ck_assert(w.ready == 1 || (_i && w.ready == 2));
	hold_release(&hold);
	assert_code(mppool_result_get(results[1], NULL, FOREVER), _i == 0 ? ECANCELED : MPPOOL_ETERMINATED);
	ck_assert_uint_eq(wait_ok(results, 2, ALL, FOREVER), 2);
	mppool_result_free(results[0]);
	mppool_result_free(results[1]);
	assert_ok(mppool_destroy(pool));
}
END_TEST

/* Several pools; apply, map, and map over a generator; ready ones, and ones that are not. */
START_TEST(group_spans_pools_and_kinds_of_calls)
{
	enum { POOLS = 3, EACH = 4, N = POOLS * EACH };
	static const int xs[] = {1, 2, 3, 4, 5};
	const struct mppool_func func = make_func(square_call, 1, sizeof(int), NULL);
	struct source sources[POOLS];
	mppool *pools[POOLS];
	mppool_result *results[N];
	mppool_iter *iter = NULL;
	bool seen[N] = {false};

	for (int p = 0; p < POOLS; p++) {
		mppool_result **const r = results + (ptrdiff_t)p * EACH;
		pools[p] = pool_of(p + 1);
		sources[p] = (struct source)SOURCE(20);
		const struct mppool_iterable items = source_items(&sources[p]);
		r[0] = submit_square(pools[p], 3);
		assert_ok(mppool_map_async(pools[p], &func, MPPOOL_ARRAY(xs, 5), NULL, 1, NULL, &r[1]));
		assert_ok(mppool_map_async(pools[p], &func, &items, NULL, 2, NULL, &r[2]));
		assert_ok(mppool_map_async(pools[p], &func, MPPOOL_ARRAY(xs, 0), NULL, 1, NULL, &r[3]));
	}
	assert_ok(mppool_as_completed(results, N, &iter));
	ck_assert_uint_eq(wait_ok(results, N, ALL, FOREVER), N);
	for (int i = 0; i < N; i++) {
		mppool_result *got = NULL;
		size_t at = UNTOUCHED;
		assert_ok(mppool_iter_next(iter, &got, &at, 0));
		ck_assert(at < N && !seen[at] && got == results[at]);
		seen[at] = true;
		assert_ok(mppool_result_get(got, NULL, 0));
		mppool_result_free(got);
	}
	assert_stopped(iter);
	mppool_iter_free(iter);
	for (int p = 0; p < POOLS; p++)
		pool_finish(pools[p]);
}
END_TEST

START_TEST(results_outlive_their_pool)
{
	mppool *pool = pool_of(1);
	mppool_result *results[3];
	mppool_iter *before = NULL, *after = NULL;
	struct hold hold;

	hold_workers(&hold, pool, 1);
	for (int i = 0; i < 3; i++)
		results[i] = submit_square(pool, i);
	assert_ok(mppool_as_completed(results, 3, &before));
	assert_ok(mppool_terminate(pool));
	hold_release(&hold);
	assert_ok(mppool_destroy(pool));
	pool = pool_of(1);
	assert_ok(mppool_as_completed(results, 3, &after));
	for (size_t i = 0; i < 3; i++)
		assert_next(after, results[i], i);
	for (int i = 0; i < 3; i++) {
		mppool_result *got = NULL;
		assert_ok(mppool_iter_next(before, &got, NULL, 0));
		assert_code(mppool_result_get(got, NULL, 0), MPPOOL_ETERMINATED);
	}
	assert_stopped(before);
	assert_stopped(after);
	ck_assert_uint_eq(wait_ok(results, 3, ALL, 0), 3);
	for (int i = 0; i < 3; i++)
		mppool_result_free(results[i]);
	mppool_iter_free(before);
	mppool_iter_free(after);
	pool_finish(pool);
}
END_TEST

/* With a callback the result is ready after it: the group must not say so before. */
static void gate_callback(const void *results, size_t n, void *userdata)
{
	(void)results;
	(void)n;
	gate_wait(userdata);
}

START_TEST(result_is_ready_after_its_callback)
{
	struct gate gate;
	mppool *const pool = pool_of(1);
	mppool_result *result = NULL;
	mppool_iter *iter = NULL;
	const int x = 3;
	const struct mppool_func func = make_func(square_call, 1, sizeof(int), NULL);

	gate_init(&gate);
	assert_ok(mppool_apply_async(pool, &func, MPPOOL_ARGS(&x),
	                             MPPOOL_CALL(.callback = gate_callback, .userdata = &gate), &result));
	assert_ok(mppool_as_completed(&result, 1, &iter));
	gate_wait_arrivals(&gate, 1);
	assert_wait_is(&result, 1, FIRST, 0, ETIMEDOUT);
	assert_next_is(iter, ETIMEDOUT, 0);
	gate_open(&gate);
	assert_next(iter, result, 0);
	ck_assert_uint_eq(wait_ok(&result, 1, ALL, 0), 1);
	mppool_iter_free(iter);
	mppool_result_free(result);
	pool_finish(pool);
	gate_destroy(&gate);
}
END_TEST

/* Where callbacks are polled the result is ready before its callback, and a group is told then. */
static void count_callback(const void *results, size_t n, void *userdata)
{
	(void)results;
	atomic_fetch_add((atomic_size_t *)userdata, n);
}

START_TEST(polled_result_is_ready_before_its_callback)
{
	enum { EACH = 20 };
	mppool *const pool = pool_with(MPPOOL_OPTIONS(.workers = 2, .callback_mode = MPPOOL_CALLBACKS_POLL));
	const struct mppool_func func = make_func(square_call, 1, sizeof(int), NULL);
	mppool_result *results[EACH];
	mppool_iter *iter = NULL;
	atomic_size_t called = 0;
	size_t run = 0;
	struct waiter w;
	struct hold hold;

	hold_workers(&hold, pool, 2);
	for (int i = 0; i < EACH; i++)
		assert_ok(mppool_apply_async(pool, &func, MPPOOL_ARGS(&i),
		                             MPPOOL_CALL(.callback = count_callback, .userdata = &called),
		                             &results[i]));
	assert_ok(mppool_as_completed(results, EACH, &iter));
	waiter_start(&w, results, EACH, ALL);
	hold_release(&hold);
	waiter_returns(&w, EACH);
	for (int i = 0; i < EACH; i++) {
		size_t at = UNTOUCHED;
		assert_ok(mppool_iter_next(iter, NULL, &at, 0));
		ck_assert_int_eq(mppool_result_ready(results[at]), 1);
		if (at % 2)                      /* before its callback */
			mppool_result_free(results[at]);
	}
	assert_stopped(iter);
	ck_assert_uint_eq(atomic_load(&called), 0);
	mppool_iter_free(iter);
	assert_ok(mppool_poll(pool, 0, &run));
	for (int i = 0; i < EACH; i += 2)
		mppool_result_free(results[i]);
	ck_assert_uint_eq(run, EACH);
	ck_assert_uint_eq(atomic_load(&called), EACH);
	assert_ok(mppool_destroy(pool));
}
END_TEST

/* ------------------------------------------------------------------------------------------------------ as completed */

START_TEST(complete_ones_come_first_in_input_order)
{
	struct standing s;
	mppool_iter *iter = NULL;

	standing_start(&s, 6, 1u << 4);
	complete(&s, 4);
	complete(&s, 1);
	complete(&s, 3);
	assert_ok(mppool_as_completed(s.results, 6, &iter));
	complete(&s, 5);
	complete(&s, 0);
	assert_next(iter, s.results[1], 1);
	assert_next(iter, s.results[3], 3);
	assert_next(iter, s.results[4], 4);
	assert_next(iter, s.results[5], 5);
	assert_next(iter, s.results[0], 0);
	assert_next_is(iter, ETIMEDOUT, 0);
	assert_next_is(iter, ETIMEDOUT, 0.01);
	complete(&s, 2);
	assert_next(iter, s.results[2], 2);
	assert_stopped(iter);
	assert_code(mppool_iter_cancel(iter), EALREADY);
	assert_stopped(iter);
	mppool_iter_free(iter);
	standing_finish(&s);
}
END_TEST

START_TEST(buffer_and_index_may_be_null)
{
	struct standing s;
	mppool_iter *iter = NULL;
	mppool_result *got = NULL;
	size_t at = UNTOUCHED;

	standing_start(&s, 3, 0);
	assert_ok(mppool_as_completed(s.results, 3, &iter));
	complete(&s, 2);
	complete(&s, 1);
	complete(&s, 0);
	assert_ok(mppool_iter_next(iter, NULL, &at, 0));
	ck_assert_uint_eq(at, 2);
	assert_ok(mppool_iter_next(iter, &got, NULL, 0));
	ck_assert_ptr_eq(got, s.results[1]);
	assert_ok(mppool_iter_next(iter, NULL, NULL, 0));
	assert_stopped(iter);
	mppool_iter_free(iter);
	standing_finish(&s);
}
END_TEST

/* One worker, calls of three priorities that wait, and a vector in an order of its own. */
START_TEST(ten_thousand_come_in_the_order_of_completion)
{
	const int n = under_valgrind() ? 1000 : 10000;
	struct hold hold;
	struct recorder ran;
	mppool *const pool = pool_of(1);
	mppool_result **const results = calloc((size_t)n, sizeof *results);
	mppool_iter *iter = NULL;

	ck_assert_ptr_nonnull(results);
	recorder_init(&ran);
	hold_workers(&hold, pool, 1);
	const struct mppool_func func = make_func(record_call, 1, sizeof(int), &ran);
	for (int i = 0; i < n; i++) {
		const int place = (int)((i * 7919L + 13) % n);   /* a prime: each place once */
		assert_ok(mppool_apply_async(pool, &func, MPPOOL_ARGS(&place), MPPOOL_CALL(.priority = i % 3 - 1),
		                             &results[place]));
	}
	assert_ok(mppool_as_completed(results, (size_t)n, &iter));
	hold_release(&hold);
	for (int i = 0; i < n; i++) {
		mppool_result *got = NULL;
		size_t at = UNTOUCHED;
		assert_ok(mppool_iter_next(iter, &got, &at, FOREVER));
		ck_assert_int_eq((int)at, recorded_at(&ran, (size_t)i));
		ck_assert_ptr_eq(got, results[at]);
		mppool_result_free(got);
	}
	assert_stopped(iter);
	ck_assert(recorded_each_once(&ran, 0, (size_t)n));
	mppool_iter_free(iter);
	pool_finish(pool);
	free(results);
	recorder_destroy(&ran);
}
END_TEST

/* A call that saw another one ready completes after it, also where they run on different workers. */
static int after_call(const void *const args[], void *result, void *context)
{
	(void)result;
	(void)context;
	while (!mppool_result_ready(*(mppool_result *const *)args[0]))
		sched_yield();
	return 0;
}

START_TEST(effect_never_comes_before_its_cause)
{
	const int turns = under_valgrind() ? 50 : SLOW ? 500 : 5000;
	mppool *const pool = pool_of(2);
	struct mppool_func after = make_func(after_call, 1, 0, NULL);

	after.arg_size[0] = sizeof(mppool_result *);
	for (int turn = 0; turn < turns; turn++) {
		struct gate gate;
		mppool_result *results[2];
		mppool_iter *iter = NULL;
		gate_init(&gate);
		results[1] = submit_standing(pool, &gate, 1);
		assert_ok(mppool_apply_async(pool, &after, MPPOOL_ARGS(&results[1]), NULL, &results[0]));
		assert_ok(mppool_as_completed(results, 2, &iter));
		gate_open(&gate);
		assert_next(iter, results[1], 1);
		assert_next(iter, results[0], 0);
		mppool_iter_free(iter);
		mppool_result_free(results[0]);
		mppool_result_free(results[1]);
		gate_destroy(&gate);
	}
	pool_finish(pool);
}
END_TEST

/* One worker, which does not wait for the iterator to be made: the calls end in their order, which is that of the vector,
 * so those that are ready by then come in the same order as the others. */
START_TEST(order_holds_while_the_iterator_is_made)
{
	enum { N = 200 };
	const int turns = under_valgrind() ? 20 : SLOW ? 300 : 3000;
	mppool *const pool = pool_of(1);
	mppool_result *results[N];
	int disorder = 0;

	for (int turn = 0; turn < turns; turn++) {
		mppool_iter *iter = NULL;
		size_t at = UNTOUCHED;
		for (int i = 0; i < N; i++)
			results[i] = submit_square(pool, i);
		assert_ok(mppool_as_completed(results, N, &iter));
		for (size_t i = 0; i < N; i++)
			disorder += mppool_iter_next(iter, NULL, &at, FOREVER) != 0 || at != i;
		ck_assert_int_eq(disorder, 0);
		mppool_iter_free(iter);
		for (int i = 0; i < N; i++)
			mppool_result_free(results[i]);
	}
	pool_finish(pool);
}
END_TEST

START_TEST(result_is_in_several_groups_at_once)
{
	enum { GROUPS = 5 };
	struct standing s;
	mppool_iter *iters[GROUPS];
	struct waiter all, first;

	standing_start(&s, 3, 0);
	for (int g = 0; g < GROUPS; g++)
		assert_ok(mppool_as_completed(s.results + g % 2, 2, &iters[g]));
	waiter_start(&all, s.results, 3, ALL);
	waiter_start(&first, s.results + 1, 1, FIRST);
	complete(&s, 1);
	waiter_returns(&first, 1);
	for (int g = 0; g < GROUPS; g++)
		assert_next(iters[g], s.results[1], g % 2 ? 0 : 1);
	mppool_iter_free(iters[4]);
	complete(&s, 0);
	assert_next(iters[0], s.results[0], 0);
	assert_stopped(iters[0]);
	assert_next_is(iters[1], ETIMEDOUT, 0);
	complete(&s, 2);
	waiter_returns(&all, 3);
	assert_next(iters[1], s.results[2], 1);
	assert_next(iters[2], s.results[0], 0);
	assert_next(iters[3], s.results[2], 1);
	for (int g = 0; g < 4; g++) {
		assert_stopped(iters[g]);
		mppool_iter_free(iters[g]);
	}
	standing_finish(&s);
}
END_TEST

/* ------------------------------------------------------------------------------------------------------------- frees */

START_TEST(freed_result_leaves_its_groups)
{
	struct standing s;
	mppool_iter *iter = NULL, *other = NULL;
	struct waiter w;

	standing_start(&s, 5, 0);
	assert_ok(mppool_as_completed(s.results, 5, &iter));
	assert_ok(mppool_as_completed(s.results + 3, 1, &other));
	waiter_start(&w, s.results, 5, ALL);
	complete(&s, 1);
	complete(&s, 2);
	mppool_result_free(s.results[1]);        /* ready, and not handed out */
	mppool_result_free(s.results[3]);        /* pending */
	s.results[1] = s.results[3] = NULL;
	assert_stopped(other);
	assert_next(iter, s.results[2], 2);
	assert_next_is(iter, ETIMEDOUT, 0);
	gate_open(&s.gates[3]);
	gate_wait_departures(&s.gates[3], 1);
	complete(&s, 0);
	assert_next(iter, s.results[0], 0);
	assert_next_is(iter, ETIMEDOUT, 0);
	mppool_result_free(s.results[4]);        /* the last that was pending */
	s.results[4] = NULL;
	assert_stopped(iter);
	waiter_returns(&w, 2);
	mppool_iter_free(iter);
	mppool_iter_free(other);
	standing_finish(&s);
}
END_TEST

/* The blocks of freed calls are used again at once, with the addresses that the group knows. */
START_TEST(address_of_a_freed_result_may_come_back)
{
	struct hold hold;
	enum { N = 300 };
	mppool *const pool = pool_of(1);
	mppool_result *results[N];
	mppool_iter *old = NULL, *fresh = NULL;

	for (int turn = 0; turn < 20; turn++) {
		hold_workers(&hold, pool, 1);
		for (int i = 0; i < N; i++)
			results[i] = submit_square(pool, i);
		assert_ok(mppool_as_completed(results, N, &old));
		if (turn % 2)
			hold_release(&hold);
		for (int i = 0; i < N; i++) {
			mppool_result_free(results[i]);
			results[i] = submit_square(pool, i);
		}
		assert_ok(mppool_as_completed(results, N, &fresh));
		assert_stopped(old);
		if (turn % 2 == 0)
			hold_release(&hold);
		for (int i = 0; i < N; i++)
			assert_ok(mppool_iter_next(fresh, NULL, NULL, FOREVER));
		assert_stopped(fresh);
		assert_stopped(old);
		mppool_iter_free(old);
		mppool_iter_free(fresh);
		for (int i = 0; i < N; i++)
			mppool_result_free(results[i]);
	}
	pool_finish(pool);
}
END_TEST

static void free_callback(const void *results, size_t n, void *userdata)
{
	mppool_result **const result = userdata;

	(void)results;
	(void)n;
	mppool_result_free(*result);
}

/* A callback may free its own result, which never becomes ready then. */
START_TEST(result_freed_by_its_callback_ends_the_wait)
{
	struct hold hold;
	mppool *const pool = pool_of(1);
	mppool_result *result = NULL;
	mppool_iter *iter = NULL;
	struct waiter w;
	const int x = 3;
	const struct mppool_func func = make_func(square_call, 1, sizeof(int), NULL);

	hold_workers(&hold, pool, 1);
	assert_ok(mppool_apply_async(pool, &func, MPPOOL_ARGS(&x),
	                             MPPOOL_CALL(.callback = free_callback, .userdata = &result), &result));
	assert_ok(mppool_as_completed(&result, 1, &iter));
	waiter_start(&w, &result, 1, FIRST);
	hold_release(&hold);
	waiter_returns(&w, 0);
	assert_stopped(iter);
	mppool_iter_free(iter);
	pool_finish(pool);
}
END_TEST

START_TEST(iterator_freed_early_leaves_the_results_alone)
{
	struct standing s;
	mppool_iter *iter = NULL;

	standing_start(&s, 4, 0);
	assert_ok(mppool_as_completed(s.results, 4, &iter));
	mppool_iter_free(iter);                  /* all pending */
	assert_ok(mppool_as_completed(s.results, 4, &iter));
	complete(&s, 0);
	complete(&s, 3);
	assert_next(iter, s.results[0], 0);
	mppool_iter_free(iter);                  /* one taken, one ready, two pending */
	complete(&s, 1);
	complete(&s, 2);
	for (int i = 0; i < 4; i++) {
		int y = 0;
		assert_ok(mppool_result_get(s.results[i], &y, 0));
		ck_assert_int_eq(y, i + 1);
	}
	mppool_iter_free(NULL);
	standing_finish(&s);
}
END_TEST

/* --------------------------------------------------------------------------------------------------------- consumers */

struct consumers {
	mppool_iter *iter;
	struct recorder got, ends;
};

static void consume(size_t i, void *arg)
{
	struct consumers *const c = arg;
	size_t at;
	int code;

	(void)i;
	pthread_setname_np(pthread_self(), "test-consumer");
	while ((code = mppool_iter_next(c->iter, NULL, &at, FOREVER)) == 0)
		record(&c->got, (int)at);
	record(&c->ends, code);
}

static void consume_with_eight(void *arg)
{
	run_in_threads(8, consume, arg);
}

/* Each result goes to one of them, and all are told of the end. */
START_TEST(consumers_share_an_iterator)
{
	const int n = under_valgrind() ? 100 : 2000;
	mppool *const pool = pool_of(3);
	mppool_result **const results = calloc((size_t)n, sizeof *results);
	struct consumers c = {.iter = NULL};
	struct hold hold;

	ck_assert_ptr_nonnull(results);
	for (int turn = 0; turn < 5; turn++) {
		struct runner runner;
		recorder_init(&c.got);
		recorder_init(&c.ends);
		hold_workers(&hold, pool, 3);
		for (int i = 0; i < n; i++)
			results[i] = submit_square(pool, i);
		assert_ok(mppool_as_completed(results, (size_t)n, &c.iter));
		runner_start(&runner, consume_with_eight, &c);
		if (turn % 2)
			ck_assert(thread_sleeps("test-consumer"));
		hold_release(&hold);
		runner_join(&runner);
		ck_assert(recorded_each_once(&c.got, 0, (size_t)n));
		ck_assert_uint_eq(recorded_times(&c.ends, MPPOOL_ESTOP), 8);
		mppool_iter_free(c.iter);
		for (int i = 0; i < n; i++)
			mppool_result_free(results[i]);
		recorder_destroy(&c.got);
		recorder_destroy(&c.ends);
	}
	free(results);
	pool_finish(pool);
}
END_TEST

/* What had completed is still handed out; the calls take their course. */
START_TEST(cancel_stops_all_consumers)
{
	struct standing s;
	struct runner runner;
	struct consumers c = {.iter = NULL};

	recorder_init(&c.got);
	recorder_init(&c.ends);
	standing_start(&s, 4, 0);
	assert_ok(mppool_as_completed(s.results, 4, &c.iter));
	runner_start(&runner, consume_with_eight, &c);
	complete(&s, 2);
	recorded_wait(&c.got, 1);
	ck_assert(thread_sleeps("test-consumer"));
	assert_ok(mppool_iter_cancel(c.iter));
	runner_join(&runner);
	ck_assert_uint_eq(recorded_times(&c.ends, ECANCELED), 1);
	ck_assert_uint_eq(recorded_times(&c.ends, MPPOOL_ESTOP), 7);
	assert_code(mppool_iter_cancel(c.iter), EALREADY);
	complete(&s, 0);
	assert_stopped(c.iter);
	mppool_iter_free(c.iter);
	assert_ok(mppool_as_completed(s.results, 4, &c.iter));
	assert_ok(mppool_iter_cancel(c.iter));
	complete(&s, 1);                         /* too late */
	assert_next(c.iter, s.results[0], 0);
	assert_next(c.iter, s.results[2], 2);
	assert_next_is(c.iter, ECANCELED, FOREVER);
	assert_stopped(c.iter);
	mppool_iter_free(c.iter);
	complete(&s, 3);
	assert_ok(mppool_result_get(s.results[3], NULL, 0));
	standing_finish(&s);
	recorder_destroy(&c.got);
	recorder_destroy(&c.ends);
}
END_TEST

/* ------------------------------------------------------------------------------------------------- inside of the pool */

/* How a task waits for what it has submitted. */
enum way { WAIT_FIRST, WAIT_FAILED, WAIT_ALL, AS_COMPLETED, WAYS };

/* Until all n are ready. Returns a code. */
static int wait_in_a_way(mppool_result *const results[], size_t n, enum way way)
{
	mppool_result *left[MOST];
	mppool_iter *iter = NULL;
	size_t ready = 0, m = n;
	int code = 0;

	if (way == WAIT_ALL || way == WAIT_FAILED)
		return mppool_wait(results, n, way == WAIT_ALL ? ALL : FAILED, FOREVER, &ready);
	if (way == AS_COMPLETED) {
		code = mppool_as_completed(results, n, &iter);
		for (; code == 0; ready += code == 0)
			code = mppool_iter_next(iter, NULL, NULL, FOREVER);
		mppool_iter_free(iter);
		return code == MPPOOL_ESTOP && ready == n ? 0 : code;
	}
	memcpy(left, results, n * sizeof *left);
	while (m > 0 && (code = mppool_wait(left, m, FIRST, FOREVER, &ready)) == 0) {
		const size_t before = m;
		if (ready == 0)
			return -1;
		for (size_t i = m; i-- > 0;)
			if (mppool_result_ready(left[i]))
				left[i] = left[--m];
		if (before - m < ready)
			return -2;
	}
	return code;
}

static int fib_call(const void *const args[], void *result, void *context);

/* Both halves in calls of their own, so that whoever waits must run some of what it waits for. */
static int fib_both(const struct mppool_func *func, int n, enum way way, long *ret_sum)
{
	mppool_result *results[2] = {NULL, NULL};
	long sums[2] = {0, 0};
	int code = 0;

	for (int i = 0; i < 2 && code == 0; i++) {
		const int x = n - 1 - i;
		code = mppool_apply_async(mppool_current(), func, MPPOOL_ARGS(&x), NULL, &results[i]);
	}
	if (code == 0)
		code = wait_in_a_way(results, 2, way);
	for (int i = 0; i < 2; i++) {
		if (code == 0)
			code = mppool_result_get(results[i], &sums[i], 0);
		mppool_result_free(results[i]);
	}
	*ret_sum = sums[0] + sums[1];
	return code;
}

static int fib_call(const void *const args[], void *result, void *context)
{
	const int n = int_arg(args, 0);
	const struct mppool_func func = make_func(fib_call, 1, sizeof(long), context);

	*(long *)result = n;
	return n < 2 ? 0 : fib_both(&func, n, *(const enum way *)context, result);
}

static void check_fib(const struct mppool_options *options, enum way way)
{
	mppool *const pool = pool_with(options);
	const int n = under_valgrind() ? 8 : 14;
	long y = 0;
	const struct mppool_func func = make_func(fib_call, 1, sizeof(long), &way);

	assert_ok(mppool_apply(pool, &func, MPPOOL_ARGS(&n), &y));
	ck_assert_int_eq(y, under_valgrind() ? 21 : 377);
	pool_finish(pool);
}

/* The way: _i. */
START_TEST(nested_waits_do_not_deadlock)
{
	const enum way way = (enum way)_i;

	check_fib(MPPOOL_OPTIONS(.workers = 1), way);
	check_fib(MPPOOL_OPTIONS(.workers = 2), way);
	check_fib(MPPOOL_OPTIONS(.workers = 5), way);
	check_fib(MPPOOL_OPTIONS(.workers = 1, .queue_limit = 1), way);
	check_fib(MPPOOL_OPTIONS(.workers = 2, .max_tasks_per_worker = 3), way);
	check_fib(MPPOOL_OPTIONS(.workers = 2, .flags = MPPOOL_CALLER_HELPS), way);
}
END_TEST

/* A task that waits for calls of all kinds on its own pool. */
static int mixed_call(const void *const args[], void *result, void *context)
{
	static const int xs[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
	const struct mppool_func func = make_func(square_call, 1, sizeof(int), NULL);
	struct source one = SOURCE(200), two = SOURCE(77);
	const struct mppool_iterable first = source_items(&one), second = source_items(&two);
	mppool *const pool = mppool_current();
	mppool_result *r[6] = {NULL};
	int code = 0;

	(void)args;
	code += mppool_map_async(pool, &func, &first, NULL, 3, NULL, &r[0]);
	code += mppool_map_async(pool, &func, MPPOOL_ARRAY(xs, 10), NULL, 1, NULL, &r[1]);
	code += mppool_apply_async(pool, &func, MPPOOL_ARGS(&xs[3]), NULL, &r[2]);
	code += mppool_map_async(pool, &func, &second, NULL, 1, NULL, &r[3]);
	code += mppool_map_async(pool, &func, MPPOOL_ARRAY(xs, 10), NULL, 0, NULL, &r[4]);
	code += mppool_apply_async(pool, &func, MPPOOL_ARGS(&xs[4]), MPPOOL_CALL(.priority = -1), &r[5]);
	if (code == 0)
		code = wait_in_a_way(r, 6, *(const enum way *)context);
	for (int i = 0; i < 6; i++) {
		if (code == 0 && !mppool_result_ready(r[i]))
			code = -3;
		mppool_result_wait(r[i], FOREVER);       /* the generators' states are on this stack */
		mppool_result_free(r[i]);
	}
	*(int *)result = code;
	return 0;
}

/* As many tasks as there are workers do so at once. The way: _i. */
START_TEST(task_helps_with_maps_and_generators)
{
	const int turns = under_valgrind() ? 3 : SLOW ? 40 : 200;

	for (int workers = 1; workers <= 3; workers++) {
		enum way way = (enum way)_i;
		mppool *const pool = pool_of(workers);
		int codes[4] = {-1, -1, -1, -1};
		const struct mppool_func func = make_func(mixed_call, 0, sizeof(int), &way);
		for (int turn = 0; turn < turns; turn++) {
			assert_ok(mppool_starmap(pool, &func, MPPOOL_TIMES(4), codes, 1));
			for (int i = 0; i < 4; i++)
				assert_ok(codes[i]);
		}
		pool_finish(pool);
	}
}
END_TEST

/* Several tasks take from one iterator, over calls that only they can run. */
struct shared {
	mppool_iter *iter;
	struct recorder got;
};

static int take_call(const void *const args[], void *result, void *context)
{
	struct shared *const s = context;
	size_t at;
	int code;

	(void)args;
	while ((code = mppool_iter_next(s->iter, NULL, &at, FOREVER)) == 0)
		record(&s->got, (int)at);
	*(int *)result = code;
	return 0;
}

START_TEST(tasks_share_an_iterator_over_their_own_pool)
{
	enum { WORKERS = 3, N = 400 };
	mppool *const pool = pool_of(WORKERS);
	mppool_result *results[N];

	for (int turn = 0; turn < (under_valgrind() ? 2 : 50); turn++) {
		struct shared s = {.iter = NULL};
		struct hold hold;
		int codes[WORKERS] = {0};
		mppool_result *takers = NULL;
		recorder_init(&s.got);
		hold_workers(&hold, pool, WORKERS);
		const struct mppool_func take = make_func(take_call, 0, sizeof(int), &s);
		assert_ok(mppool_starmap_async(pool, &take, MPPOOL_TIMES(WORKERS), codes, 1, NULL, &takers));
		for (int i = 0; i < N; i++)
			results[i] = submit_square(pool, i);
		assert_ok(mppool_as_completed(results, N, &s.iter));
		hold_release(&hold);
		assert_ok(mppool_result_get(takers, NULL, FOREVER));
		for (int i = 0; i < WORKERS; i++)
			assert_code(codes[i], MPPOOL_ESTOP);
		ck_assert(recorded_each_once(&s.got, 0, N));
		mppool_result_free(takers);
		mppool_iter_free(s.iter);
		for (int i = 0; i < N; i++)
			mppool_result_free(results[i]);
		recorder_destroy(&s.got);
	}
	pool_finish(pool);
}
END_TEST

/* A task helps only with what it waits for, and only where it works. */
struct helping {
	mppool *other;
	struct recorder ran;
	mppool_result *mine, *theirs;
};

static int help_call(const void *const args[], void *result, void *context)
{
	struct helping *const h = context;
	const struct mppool_func func = make_func(record_call, 1, sizeof(int), &h->ran);
	const int one = 1, two = 2, three = 3;
	mppool_result *bystander = NULL;
	int code = 0;

	(void)args;
	code += mppool_apply_async(mppool_current(), &func, MPPOOL_ARGS(&one), NULL, &h->mine);
	code += mppool_apply_async(mppool_current(), &func, MPPOOL_ARGS(&two), NULL, &bystander);
	code += mppool_apply_async(h->other, &func, MPPOOL_ARGS(&three), NULL, &h->theirs);
	mppool_result *const both[] = {h->theirs, h->mine};
	if (code == 0) {
		do
			code = mppool_wait(both, 2, ALL, 0.05, NULL);    /* runs its own; the other pool is held */
		while (code == ETIMEDOUT && !mppool_result_ready(h->mine));
	}
	*(int *)result = code;
	mppool_result_free(bystander);
	return 0;
}

START_TEST(task_helps_only_with_what_it_waits_for)
{
	struct helping h = {.other = pool_of(1)};
	mppool *const pool = pool_of(1);
	struct hold hold;
	int code = 0;

	recorder_init(&h.ran);
	hold_workers(&hold, h.other, 1);
	const struct mppool_func func = make_func(help_call, 0, sizeof(int), &h);
	assert_ok(mppool_apply(pool, &func, NULL, &code));
	assert_code(code, ETIMEDOUT);
	ck_assert_int_eq(recorded_at(&h.ran, 0), 1);
	ck_assert_int_eq(mppool_result_ready(h.mine), 1);
	ck_assert_int_eq(mppool_result_ready(h.theirs), 0);
	hold_release(&hold);
	mppool_result *const both[] = {h.theirs, h.mine};
	ck_assert_uint_eq(wait_ok(both, 2, ALL, FOREVER), 2);
	mppool_result_free(h.mine);
	mppool_result_free(h.theirs);
	pool_finish(pool);
	pool_finish(h.other);
	recorder_destroy(&h.ran);
}
END_TEST

/* Also with MPPOOL_CALLER_HELPS a thread outside only waits here: what runs is in a worker. */
static int where_call(const void *const args[], void *result, void *context)
{
	(void)args;
	(void)context;
	*(int *)result = mppool_worker_index();
	return 0;
}

START_TEST(caller_outside_only_waits)
{
	struct hold hold;
	mppool *const pool = pool_with(MPPOOL_OPTIONS(.workers = 1, .flags = MPPOOL_CALLER_HELPS));
	const struct mppool_func func = make_func(where_call, 0, sizeof(int), NULL);
	mppool_result *result = NULL;
	mppool_iter *iter = NULL;
	int y = -7;

	hold_workers(&hold, pool, 1);
	assert_ok(mppool_apply_async(pool, &func, NULL, NULL, &result));
	assert_ok(mppool_as_completed(&result, 1, &iter));
	assert_wait_is(&result, 1, FIRST, 0.02, ETIMEDOUT);
	assert_next_is(iter, ETIMEDOUT, 0.02);
	hold_release(&hold);
	assert_next(iter, result, 0);
	assert_ok(mppool_result_get(result, &y, 0));
	ck_assert_int_eq(y, 0);
	mppool_iter_free(iter);
	mppool_result_free(result);
	pool_finish(pool);
}
END_TEST

/* The item ends its thread in the middle of the wait of another item: the group must not stay behind. */
static int leave_call(const void *const args[], void *result, void *context)
{
	(void)args;
	(void)result;
	(void)context;
	pthread_exit(NULL);
}

struct leaving {
	mppool_result *standing, *left;
	mppool_iter *iter;
	bool iterates;
};

static int wait_for_leaver_call(const void *const args[], void *result, void *context)
{
	struct leaving *const l = context;
	const struct mppool_func leave = make_func(leave_call, 0, 0, NULL);
	int code = mppool_apply_async(mppool_current(), &leave, NULL, NULL, &l->left);
	mppool_result *const both[] = {l->standing, l->left};

	(void)args;
	(void)result;
	if (code == 0 && l->iterates)
		code = mppool_as_completed(both, 2, &l->iter);
	if (code == 0)
		code = l->iterates ? mppool_iter_next(l->iter, NULL, NULL, FOREVER)
		                   : mppool_wait(both, 2, ALL, FOREVER, NULL);
	return code;
}

START_TEST(thread_that_leaves_while_it_helps_leaves_no_group_behind)
{
	struct gate gate;
	mppool *const pool = pool_of(1), *const other = pool_of(1);
	struct leaving l = {.iterates = _i};
	const struct mppool_func func = make_func(wait_for_leaver_call, 0, 0, &l);

	gate_init(&gate);
	l.standing = submit_standing(other, &gate, 5);
	assert_code(mppool_apply(pool, &func, NULL, NULL), MPPOOL_ETASK);
	assert_code(mppool_last_error()->code, MPPOOL_ELOST);
	assert_code(mppool_result_get(l.left, NULL, FOREVER), MPPOOL_ETASK);
	if (_i) {
		assert_next(l.iter, l.left, 1);
		assert_next_is(l.iter, ETIMEDOUT, 0);
	}
	gate_open(&gate);
	assert_ok(mppool_result_get(l.standing, NULL, FOREVER));
	if (_i)
		assert_next(l.iter, l.standing, 0);
	mppool_iter_free(l.iter);
	mppool_result_free(l.standing);
	mppool_result_free(l.left);
	pool_finish(pool);
	pool_finish(other);
	gate_destroy(&gate);
}
END_TEST

/* -------------------------------------------------------------------------------------------------------- dead locks */

/* A task, callback or generator that waits for others and for itself; what it is told. */
struct circle {
	struct gate gate;                        /* until `self` and `others` are set */
	mppool_result *self, *ready, *waiting, *foreign;
	int first, failed, all, first_of_foreign, first_of_ready, self_only, next, next_of_foreign;
};

static int one_next(mppool_result *const results[], size_t n)
{
	mppool_iter *iter = NULL;
	int code = mppool_as_completed(results, n, &iter);

	if (code == 0)
		code = mppool_iter_next(iter, NULL, NULL, FOREVER);
	mppool_iter_free(iter);
	return code;
}

/* `stuck` cannot end while this runs, `foreign` can and will. */
static void go_round(struct circle *c, mppool_result *stuck)
{
	mppool_result *const pair[] = {stuck, c->foreign}, *const with_ready[] = {stuck, c->ready};

	c->self_only = mppool_wait(&stuck, 1, FIRST, FOREVER, NULL);
	c->next = one_next(&stuck, 1);
	c->all = mppool_wait(pair, 2, ALL, FOREVER, NULL);
	c->failed = mppool_wait(pair, 2, FAILED, FOREVER, NULL);
	c->first_of_ready = mppool_wait(with_ready, 2, FIRST, FOREVER, NULL);
	c->next_of_foreign = one_next(pair, 2);
	c->first_of_foreign = mppool_wait(pair, 2, FIRST, FOREVER, NULL);
}

static void assert_went_round(const struct circle *c)
{
	assert_code(c->self_only, EDEADLK);
	assert_code(c->next, EDEADLK);
	assert_code(c->all, EDEADLK);
	assert_code(c->failed, EDEADLK);
	assert_ok(c->first_of_ready);
	assert_ok(c->next_of_foreign);
	assert_ok(c->first_of_foreign);
}

static void circle_start(struct circle *c, mppool *other, struct gate *foreign)
{
	*c = (struct circle){.first = -1};
	gate_init(&c->gate);
	gate_init(foreign);
	c->ready = submit_square(other, 2);
	assert_ok(mppool_result_wait(c->ready, FOREVER));
	c->foreign = submit_standing(other, foreign, 1);
}

static void circle_finish(struct circle *c)
{
	mppool_result_free(c->self);
	mppool_result_free(c->ready);
	mppool_result_free(c->waiting);
	mppool_result_free(c->foreign);
	gate_destroy(&c->gate);
}

static int circle_call(const void *const args[], void *result, void *context)
{
	struct circle *const c = context;

	(void)args;
	(void)result;
	gate_wait(&c->gate);
	go_round(c, c->self);
	return 0;
}

static void circle_callback(const void *results, size_t n, void *userdata)
{
	struct circle *const c = userdata;

	(void)results;
	(void)n;
	gate_wait(&c->gate);
	go_round(c, c->waiting);
}

static void open_soon(void *arg)
{
	pause_briefly();
	gate_open(arg);
}

START_TEST(task_that_waits_for_itself_is_told)
{
	mppool *const pool = pool_of(2), *const other = pool_of(1);
	struct gate foreign;
	struct circle c;
	struct runner runner;

	circle_start(&c, other, &foreign);
	const struct mppool_func func = make_func(circle_call, 0, 0, &c);
	assert_ok(mppool_apply_async(pool, &func, NULL, NULL, &c.self));
	gate_open(&c.gate);
	runner_start(&runner, open_soon, &foreign);
	assert_ok(mppool_result_get(c.self, NULL, FOREVER));
	runner_join(&runner);
	assert_went_round(&c);
	circle_finish(&c);
	gate_destroy(&foreign);
	pool_finish(pool);
	pool_finish(other);
}
END_TEST

/* The worker is held, so that `waiting` stays what it is. */
START_TEST(callback_that_waits_for_its_own_pool_is_told)
{
	mppool *const pool = pool_of(1), *const other = pool_of(1);
	struct gate foreign;
	struct circle c;
	struct hold hold;
	struct runner runner;
	const int x = 1;
	const struct mppool_func func = make_func(square_call, 1, sizeof(int), NULL);

	circle_start(&c, other, &foreign);
	assert_ok(mppool_apply_async(pool, &func, MPPOOL_ARGS(&x),
	                             MPPOOL_CALL(.callback = circle_callback, .userdata = &c), &c.self));
	gate_wait_arrivals(&c.gate, 1);
	hold_workers(&hold, pool, 1);
	c.waiting = submit_square(pool, 3);
	gate_open(&c.gate);
	runner_start(&runner, open_soon, &foreign);
	assert_ok(mppool_result_wait(c.self, FOREVER));
	runner_join(&runner);
	assert_went_round(&c);
	hold_release(&hold);
	circle_finish(&c);
	gate_destroy(&foreign);
	pool_finish(pool);
	pool_finish(other);
}
END_TEST

/* Two consumers: one can wait for what is left, the other one, in a callback of the pool, cannot any more once the
 * foreign result has gone to the first. It sleeps by then, and must be told. */
struct left_alone {
	mppool_iter *iter;
	struct gate gate;
	atomic_int code;
};

static void take_all_callback(const void *results, size_t n, void *userdata)
{
	struct left_alone *const l = userdata;
	int code;

	(void)results;
	(void)n;
	gate_wait(&l->gate);
	while ((code = mppool_iter_next(l->iter, NULL, NULL, FOREVER)) == 0)
		;
	atomic_store(&l->code, code);
}

START_TEST(sleeper_is_told_when_only_what_cannot_come_is_left)
{
	mppool *const pool = pool_of(1), *const other = pool_of(1);
	struct gate foreign;
	struct hold hold;
	struct left_alone l = {.iter = NULL};
	mppool_result *with_callback = NULL, *both[2];
	const int x = 1;
	const struct mppool_func func = make_func(square_call, 1, sizeof(int), NULL);

	gate_init(&l.gate);
	gate_init(&foreign);
	assert_ok(mppool_apply_async(pool, &func, MPPOOL_ARGS(&x),
	                             MPPOOL_CALL(.callback = take_all_callback, .userdata = &l), &with_callback));
	gate_wait_arrivals(&l.gate, 1);
	hold_workers(&hold, pool, 1);
	both[0] = submit_square(pool, 3);
	both[1] = submit_standing(other, &foreign, 1);
	assert_ok(mppool_as_completed(both, 2, &l.iter));
	gate_open(&l.gate);
	ck_assert(thread_sleeps("mppool-result"));
	if (_i == 0) {
		gate_open(&foreign);
	} else {
		mppool_result_free(both[1]);
		both[1] = NULL;
	}
	assert_ok(mppool_result_wait(with_callback, FOREVER));
	assert_code(atomic_load(&l.code), EDEADLK);
	gate_open(&foreign);
	hold_release(&hold);
	assert_ok(mppool_iter_next(l.iter, NULL, NULL, FOREVER));
	assert_stopped(l.iter);
	mppool_iter_free(l.iter);
	mppool_result_free(with_callback);
	mppool_result_free(both[0]);
	mppool_result_free(both[1]);
	pool_finish(pool);
	pool_finish(other);
	gate_destroy(&l.gate);
	gate_destroy(&foreign);
}
END_TEST

/* A generator that waits for calls on its own pool, whose only worker waits for what it draws. */
struct drawing {
	size_t drawn, n;
	enum way way;
	atomic_int code;
};

static int drawing_next(void *const args[], void *state)
{
	struct drawing *const d = state;
	const struct mppool_func func = make_func(square_call, 1, sizeof(int), NULL);
	mppool_result *results[3] = {NULL};
	int code = 0;

	if (d->drawn == d->n)
		return MPPOOL_ESTOP;
	for (int i = 0; i < 3 && code == 0; i++)
		code = mppool_apply_async(mppool_current(), &func, MPPOOL_ARGS(&i), NULL, &results[i]);
	if (code == 0)
		code = wait_in_a_way(results, 3, d->way);
	for (int i = 0; i < 3; i++)
		mppool_result_free(results[i]);
	atomic_store(&d->code, code);
	*(int *)args[0] = (int)d->drawn++;
	return code;
}

static int map_drawn_call(const void *const args[], void *result, void *context)
{
	const struct mppool_func func = make_func(square_call, 1, sizeof(int), NULL);
	const struct mppool_iterable items = {.size = sizeof items, .next = drawing_next, .state = context};

	(void)args;
	*(int *)result = mppool_map(mppool_current(), &func, &items, NULL, 1);
	return 0;
}

START_TEST(generator_waits_for_its_own_pool)
{
	mppool *const pool = pool_of(1);
	struct drawing d = {.n = under_valgrind() ? 10 : 100, .way = (enum way)_i};
	const struct mppool_func func = make_func(map_drawn_call, 0, sizeof(int), &d);
	int code = -1;

	assert_ok(mppool_apply(pool, &func, NULL, &code));
	assert_ok(code);
	assert_ok(atomic_load(&d.code));
	ck_assert_uint_eq(d.drawn, d.n);
	pool_finish(pool);
}
END_TEST

/* -------------------------------------------------------------------------------------------------------------- fork */

static void child_uses_groups_of_its_own(void)
{
	const struct mppool_func func = make_func(square_call, 1, sizeof(int), NULL);
	enum { N = 50 };
	mppool *pool = NULL;
	mppool_result *results[N];
	mppool_iter *iter = NULL;

	if (UNDER_TSAN)                                  /* which starts no threads after such a fork */
		return;
	CHILD_CHECK(mppool_create(MPPOOL_OPTIONS(.workers = 2), &pool) == 0);
	for (int i = 0; i < N; i++)
		CHILD_CHECK(mppool_apply_async(pool, &func, MPPOOL_ARGS(&i), NULL, &results[i]) == 0);
	CHILD_CHECK(mppool_as_completed(results, N, &iter) == 0);
	CHILD_CHECK(mppool_wait(results, N, ALL, FOREVER, NULL) == 0);
	for (int i = 0; i < N; i++) {
		mppool_result *got;
		CHILD_CHECK(mppool_iter_next(iter, &got, NULL, FOREVER) == 0);
		mppool_result_free(got);
	}
	CHILD_CHECK(mppool_iter_next(iter, NULL, NULL, FOREVER) == MPPOOL_ESTOP);
	mppool_iter_free(iter);
	CHILD_CHECK(mppool_destroy(pool) == 0);
}

START_TEST(child_is_told_of_groups_that_had_not_ended)
{
	struct standing s;
	mppool_iter *pending = NULL, *ended = NULL, *iter = NULL;
	mppool_result *got = NULL;
	struct waiter w;

	standing_start(&s, 4, 0);
	complete(&s, 0);
	complete(&s, 1);
	assert_ok(mppool_as_completed(s.results, 4, &pending));
	assert_ok(mppool_as_completed(s.results, 2, &ended));
	waiter_start(&w, s.results, 4, ALL);
	const pid_t child = fork_watched();
	if (child == 0) {
		CHILD_CHECK(mppool_wait(s.results, 4, FIRST, FOREVER, NULL) == MPPOOL_EFORKED);
		CHILD_CHECK(mppool_wait(s.results, 2, ALL, FOREVER, NULL) == 0);
		CHILD_CHECK(mppool_as_completed(s.results, 4, &iter) == MPPOOL_EFORKED);
		CHILD_CHECK(mppool_iter_next(pending, &got, NULL, FOREVER) == MPPOOL_EFORKED);
		CHILD_CHECK(mppool_iter_cancel(pending) == MPPOOL_EFORKED);
		CHILD_CHECK(mppool_iter_next(ended, &got, NULL, FOREVER) == 0 && got == s.results[0]);
		child_uses_groups_of_its_own();
		mppool_result_free(s.results[1]);
		CHILD_CHECK(mppool_iter_next(ended, &got, NULL, FOREVER) == MPPOOL_ESTOP);
		mppool_iter_free(ended);
		mppool_result_free(s.results[2]);
		mppool_iter_free(pending);
		mppool_result_free(s.results[3]);
		mppool_result_free(s.results[0]);
		CHILD_CHECK(mppool_destroy(s.pool) == 0);
		child_uses_groups_of_its_own();
		child_leaves();
	}
	child_ends_well(child);
	assert_next(pending, s.results[0], 0);
	assert_next(ended, s.results[0], 0);
	gate_open(&s.gates[2]);
	gate_open(&s.gates[3]);
	waiter_returns(&w, 4);
	mppool_iter_free(pending);
	mppool_iter_free(ended);
	standing_finish(&s);
}
END_TEST

/* Other threads are in the middle of everything when the process forks. */
struct busy {
	mppool *pool;
	atomic_bool stop;
	atomic_int wrong;
};

static void keep_busy(void *arg)
{
	struct busy *const busy = arg;
	const struct mppool_func func = make_func(square_call, 1, sizeof(int), NULL);
	enum { N = 20 };
	mppool_result *results[N];
	mppool_iter *iter = NULL;

	while (!atomic_load(&busy->stop)) {
		int code = 0;
		for (int i = 0; i < N; i++)
			code += mppool_apply_async(busy->pool, &func, MPPOOL_ARGS(&i), NULL, &results[i]);
		code += mppool_as_completed(results, N, &iter);
		code += mppool_wait(results, N, FIRST, FOREVER, NULL);
		for (int i = 0; i < N; i++)
			code += mppool_iter_next(iter, NULL, NULL, FOREVER);
		mppool_iter_free(iter);
		for (int i = 0; i < N; i++)
			mppool_result_free(results[i]);
		atomic_fetch_add(&busy->wrong, code != 0);
	}
}

START_TEST(fork_at_any_moment_leaves_groups_that_work)
{
	struct runner runners[2];
	struct busy busy = {.pool = pool_of(2)};
	const int turns = SLOW ? 5 : 100;
	mppool_result *const own = submit_square(busy.pool, 3);
	mppool_iter *iter = NULL;

	assert_ok(mppool_result_wait(own, FOREVER));
	assert_ok(mppool_as_completed(&own, 1, &iter));
	for (int i = 0; i < 2; i++)
		runner_start(&runners[i], keep_busy, &busy);
	for (int turn = 0; turn < turns; turn++) {
		const pid_t child = fork_watched();
		if (child == 0) {
			CHILD_CHECK(mppool_wait(&own, 1, ALL, FOREVER, NULL) == 0);
			CHILD_CHECK(mppool_iter_next(iter, NULL, NULL, FOREVER) == 0);
			child_uses_groups_of_its_own();
			mppool_iter_free(iter);
			mppool_result_free(own);
			CHILD_CHECK(mppool_destroy(busy.pool) == 0);
			child_leaves();
		}
		child_ends_well(child);
	}
	atomic_store(&busy.stop, true);
	for (int i = 0; i < 2; i++)
		runner_join(&runners[i]);
	ck_assert_int_eq(atomic_load(&busy.wrong), 0);
	mppool_iter_free(iter);
	mppool_result_free(own);
	pool_finish(busy.pool);
}
END_TEST

/* ----------------------------------------------------------------------------------------------------------- the rest */

/* Who waits for thousands is woken once, not for each. */
START_TEST(waiter_for_many_sleeps_until_it_has_them)
{
	const int n = under_valgrind() ? 100 : 3000;
	mppool *const pool = pool_of(1);
	mppool_result **const results = calloc((size_t)n, sizeof *results);
	struct waiter w;
	struct hold hold;

	ck_assert_ptr_nonnull(results);
	hold_workers(&hold, pool, 1);
	for (int i = 0; i < n; i++)
		results[i] = submit_square(pool, i % 100);
	waiter_start(&w, results, (size_t)n, _i ? ALL : FAILED);
	hold_release(&hold);
	waiter_returns(&w, (size_t)n);
	ck_assert_int_lt(w.sleeps, 30);          /* once, and perhaps a few times for a lock */
	for (int i = 0; i < n; i++)
		mppool_result_free(results[i]);
	free(results);
	pool_finish(pool);
}
END_TEST

static void fill(Suite *suite)
{
	TCase *const input = add_case(suite, "input");
	TCase *const wait = add_case(suite, "wait");
	TCase *const completed = add_case(suite, "as completed");
	TCase *const frees = add_case(suite, "frees");
	TCase *const consumers = add_case(suite, "consumers");
	TCase *const inside = add_case(suite, "inside");
	TCase *const circles = add_case(suite, "dead locks");
	TCase *const forks = add_case(suite, "forks");

	tcase_add_test(input, bad_input_is_einval_and_changes_nothing);
	tcase_add_test(input, twins_are_found_wherever_they_are);
	tcase_add_test(wait, wait_counts_what_is_ready);
	tcase_add_test(wait, sleeper_is_woken_by_what_it_waits_for);
	tcase_add_test(wait, first_failed_ends_when_all_are_ready);
	tcase_add_loop_test(wait, first_failed_sees_every_kind_of_failure, 0, 2);
	tcase_add_test(wait, group_spans_pools_and_kinds_of_calls);
	tcase_add_test(wait, results_outlive_their_pool);
	tcase_add_test(wait, result_is_ready_after_its_callback);
	tcase_add_test(wait, polled_result_is_ready_before_its_callback);
	tcase_add_loop_test(wait, waiter_for_many_sleeps_until_it_has_them, 0, 2);
	tcase_add_test(completed, complete_ones_come_first_in_input_order);
	tcase_add_test(completed, buffer_and_index_may_be_null);
	tcase_add_test(completed, ten_thousand_come_in_the_order_of_completion);
	tcase_add_test(completed, effect_never_comes_before_its_cause);
	tcase_add_test(completed, order_holds_while_the_iterator_is_made);
	tcase_add_test(completed, result_is_in_several_groups_at_once);
	tcase_add_test(frees, freed_result_leaves_its_groups);
	tcase_add_test(frees, address_of_a_freed_result_may_come_back);
	tcase_add_test(frees, result_freed_by_its_callback_ends_the_wait);
	tcase_add_test(frees, iterator_freed_early_leaves_the_results_alone);
	tcase_add_test(consumers, consumers_share_an_iterator);
	tcase_add_test(consumers, cancel_stops_all_consumers);
	tcase_add_loop_test(inside, nested_waits_do_not_deadlock, 0, WAYS);
	tcase_add_loop_test(inside, task_helps_with_maps_and_generators, 0, WAYS);
	tcase_add_test(inside, tasks_share_an_iterator_over_their_own_pool);
	tcase_add_test(inside, task_helps_only_with_what_it_waits_for);
	tcase_add_test(inside, caller_outside_only_waits);
	tcase_add_loop_test(inside, thread_that_leaves_while_it_helps_leaves_no_group_behind, 0, 2);
	tcase_add_loop_test(inside, generator_waits_for_its_own_pool, 0, WAYS);
	tcase_add_test(circles, task_that_waits_for_itself_is_told);
	tcase_add_test(circles, callback_that_waits_for_its_own_pool_is_told);
	tcase_add_loop_test(circles, sleeper_is_told_when_only_what_cannot_come_is_left, 0, 2);
	tcase_add_test(forks, child_is_told_of_groups_that_had_not_ended);
	/* The address sanitizer does not hold the locks of its own allocator over a fork: another thread may have them. */
	if (!UNDER_ASAN && !UNDER_TSAN)
		tcase_add_test(forks, fork_at_any_moment_leaves_groups_that_work);
}

int main(int argc, char **argv)
{
	return run_suite("groups", fill, argc, argv);
}
