/* SPDX-License-Identifier: MIT
 *
 * Scenarios: several groups and consumers of the same results, and tasks that wait for what only they can run. */
#include "scenarios.h"

#include <errno.h>

#define N 3

static struct calls calls;
static mppool *pool;
static mppool_result *results[N];
static mppool_iter *iter;

static void begin(size_t n, int workers)
{
	calls_begin(&calls);
	pool = POOL(.workers = workers);
	for (size_t i = 0; i < n; i++)
		results[i] = submit(pool, &calls, (int)i, NULL);
}

static void end(size_t n)
{
	for (size_t i = 0; i < n; i++)
		mppool_result_free(results[i]);
	end_pool(pool);
	calls_check(&calls);
}

/* Two groups have the same results, and one of them goes early. */
static void groups_that_overlap(void)
{
	mppool_iter *other = NULL;
	mppool_result *got = NULL;

	begin(2, 1);
	SCHED_EQUAL(mppool_as_completed(results, 2, &iter), 0);
	SCHED_EQUAL(mppool_as_completed(results, 2, &other), 0);
	SCHED_EQUAL(mppool_wait(results, 2, MPPOOL_FIRST_COMPLETED, MPPOOL_FOREVER, NULL), 0);
	mppool_iter_free(other);
	for (size_t i = 0; i < 2; i++) {
		SCHED_EQUAL(mppool_iter_next(iter, &got, NULL, MPPOOL_FOREVER), 0);
		SCHED_CHECK(got == results[i]);          /* there is one worker */
		SCHED_CHECK(mppool_result_ready(got));
	}
	SCHED_EQUAL(mppool_iter_next(iter, &got, NULL, MPPOOL_FOREVER), MPPOOL_ESTOP);
	mppool_iter_free(iter);
	end(2);
}

static unsigned taken[N];

static void consume(void *arg)
{
	size_t at;
	int code;

	(void)arg;
	while ((code = mppool_iter_next(iter, NULL, &at, MPPOOL_FOREVER)) == 0)
		sched_count(&taken[at]);
	SCHED_CHECK(code == MPPOOL_ESTOP || code == ECANCELED);
}

/* Each result goes to one consumer, and all are told of the end, however it comes. */
static void consumers_against_all(void)
{
	struct sched_thread *threads[2];
	const unsigned what = sched_variant(4);

	for (size_t i = 0; i < N; i++)
		taken[i] = 0;
	begin(N, 1);
	SCHED_EQUAL(mppool_as_completed(results, N, &iter), 0);
	threads[0] = sched_spawn("consumer", consume, NULL);
	threads[1] = sched_spawn("consumer", consume, NULL);
	if (what == 1) {
		mppool_result_free(results[N - 1]);
		results[N - 1] = NULL;
	} else if (what == 2) {
		mppool_result_cancel(results[N - 1]);
	} else if (what == 3) {
		mppool_iter_cancel(iter);
	}
	for (int i = 0; i < 2; i++)
		sched_join(threads[i]);
	for (size_t i = 0; i < N; i++)
		SCHED_CHECK(taken[i] <= 1 && (taken[i] == 1 || what == 3 || (what == 1 && i == N - 1)));
	mppool_iter_free(iter);
	end(N);
}

static void free_the_first(void *arg)
{
	(void)arg;
	mppool_result_free(results[0]);
}

/* A handle is freed while the worker ends the call and a consumer is about to take it. */
static void free_against_completion(void)
{
	struct sched_thread *thread;
	mppool_result *got = NULL;
	size_t at, n = 0;
	int code;

	begin(2, 1);
	SCHED_EQUAL(mppool_as_completed(results, 2, &iter), 0);
	thread = sched_spawn("freer", free_the_first, NULL);
	while ((code = mppool_iter_next(iter, &got, &at, MPPOOL_FOREVER)) == 0) {
		n += at;
		SCHED_CHECK(at == 0 || mppool_result_ready(got));
	}
	SCHED_EQUAL(code, MPPOOL_ESTOP);
	SCHED_EQUAL(n, 1);
	sched_join(thread);
	results[0] = NULL;
	mppool_iter_free(iter);
	end(2);
}

/* ---------------------------------------------------------------------------------------------------- inside a task */

static unsigned way, source;

static int wait_in_a_way(mppool_result *const r[], size_t n)
{
	mppool_iter *mine = NULL;
	int code;

	if (way < 3)
		return mppool_wait(r, n, (int)way, MPPOOL_FOREVER, NULL);
	code = mppool_as_completed(r, n, &mine);
	while (code == 0)
		code = mppool_iter_next(mine, NULL, NULL, MPPOOL_FOREVER);
	mppool_iter_free(mine);
	return code == MPPOOL_ESTOP ? 0 : code;
}

/* Waits for calls of its own that perhaps nobody else can run. */
static int waiting_call(const void *const args[], void *result, void *context)
{
	const int x = 5;
	struct counter counter = {.length = 3, .fails_at = -1, .calls = &calls};
	const struct mppool_iterable items = counting(&counter);
	mppool_result *r[2];

	(void)args;
	(void)context;
	if (source == 0)
		SCHED_EQUAL(mppool_apply_async(mppool_current(), &calls.func, MPPOOL_ARGS(&x), NULL, &r[0]), 0);
	else if (source == 1)
		SCHED_EQUAL(mppool_map_async(mppool_current(), &calls.func, MPPOOL_ARRAY(&x, 1), NULL, 1, NULL, &r[0]),
		            0);
	else
		SCHED_EQUAL(mppool_map_async(mppool_current(), &calls.func, &items, NULL, 1 + source % 2, NULL, &r[0]),
		            0);
	SCHED_EQUAL(mppool_apply_async(mppool_current(), &calls.func, MPPOOL_ARGS(&x), NULL, &r[1]), 0);
	SCHED_EQUAL(wait_in_a_way(r, 2), 0);
	for (int i = 0; i < 2; i++) {
		SCHED_EQUAL(mppool_result_wait(r[i], MPPOOL_FOREVER), 0);
		mppool_result_free(r[i]);
	}
	calls.accepted += 2;
	calls.items += source < 2 ? 2 : 1;       /* and those that the generator counts */
	*(int *)result = 1;
	return 0;
}

static void task_waits_for_group(void)
{
	struct mppool_func func = MPPOOL_FUNC_INIT;
	int y = 0;

	way = sched_variant(4);
	source = sched_variant(4);
	calls_begin(&calls);
	func.call = waiting_call;
	func.result_size = sizeof(int);
	pool = POOL(.workers = 1 + (int)sched_variant(2));
	SCHED_EQUAL(mppool_apply(pool, &func, NULL, &y), 0);
	SCHED_EQUAL(y, 1);
	if (source >= 2)
		SCHED_EQUAL(calls.finishes, 1);
	end_pool(pool);
	calls_check(&calls);
}

const struct sched_scenario sched_watches[] = {
	{"groups_that_overlap", groups_that_overlap},
	{"consumers_against_all", consumers_against_all},
	{"free_against_completion", free_against_completion},
	{"task_waits_for_group", task_waits_for_group},
	{NULL, NULL},
};
