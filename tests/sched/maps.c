/* SPDX-License-Identifier: MIT
 *
 * Scenarios: jobs of many items. */
#include "scenarios.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>

#define N 4

static struct calls calls;
static mppool *pool;
static const int xs[N] = {0, 1, 2, 3};

static void begin(const struct mppool_options *options)
{
	calls_begin(&calls);
	pool = make_pool(options);
}

static void accepted(void)
{
	calls.accepted++;
	calls.items += N;
}

/* Spans are claimed, refilled and stolen. */
static void map_all(void)
{
	long ys[N];

	begin(MPPOOL_OPTIONS(.workers = 2, .flags = sched_variant(2) ? MPPOOL_CALLER_HELPS : 0));
	SCHED_EQUAL(mppool_map(pool, &calls.func, MPPOOL_ARRAY(xs, N), ys, sched_variant(3)), 0);
	for (int i = 0; i < N; i++)
		SCHED_EQUAL(ys[i], 2 * i);
	accepted();
	calls.taken = N;
	end_pool(pool);
	calls_check(&calls);
}

static mppool_result *start_map(size_t chunksize, const struct mppool_call_options *options, long *ys)
{
	mppool_result *r = NULL;

	SCHED_EQUAL(mppool_map_async(pool, &calls.func, MPPOOL_ARRAY(xs, N), ys, chunksize, options, &r), 0);
	accepted();
	return r;
}

/* Whoever was told 0 by cancel gets ECANCELED; items that did not run have zeroed results. */
static void cancel_map(void)
{
	long ys[N] = {-1, -1, -1, -1};
	int codes[N] = {-1, -1, -1, -1}, code, outcome;
	mppool_result *r;

	begin(MPPOOL_OPTIONS(.workers = 2));
	r = start_map(1 + sched_variant(2), MPPOOL_CALL(.codes = codes), ys);
	code = mppool_result_cancel(r);
	outcome = mppool_result_get(r, NULL, MPPOOL_FOREVER);
	SCHED_CHECK(code == 0 || code == EBUSY || code == EALREADY);
	SCHED_EQUAL(outcome, code == 0 ? ECANCELED : 0);
	for (int i = 0; i < N; i++) {
		SCHED_CHECK(codes[i] == 0 || codes[i] == ECANCELED);
		SCHED_EQUAL(ys[i], codes[i] ? 0 : 2 * i);
		calls.taken += codes[i] == 0;
	}
	mppool_result_free(r);
	end_pool(pool);
	calls_check(&calls);
}

static mppool_result *to_cancel;

static void cancel_it(void *ret_code)
{
	*(int *)ret_code = mppool_result_cancel(to_cancel);
}

/* Whoever is at work at a map from outside may use the pool until the map has ended: join waits for that. */
static void cancel_map_against_join(void)
{
	static int code;
	struct sched_thread *canceller;

	begin(MPPOOL_OPTIONS(.workers = 1));
	to_cancel = start_map(1, NULL, NULL);
	canceller = sched_spawn("canceller", cancel_it, &code);
	SCHED_EQUAL(mppool_close(pool), 0);
	SCHED_EQUAL(mppool_join(pool, MPPOOL_FOREVER), 0);
	SCHED_EQUAL(mppool_result_ready(to_cancel), 1);
	SCHED_EQUAL(mppool_destroy(pool), 0);
	sched_join(canceller);
	mppool_result_free(to_cancel);
	calls_check(&calls);
}

/* Two who cancel at once share what has not started, and both have cancelled it; but a chunk that the first one counted
 * among what runs may have an item left for the second. */
static void cancel_map_twice(void)
{
	static int first;
	bool chunks = sched_variant(2);
	struct sched_thread *other;
	int second, outcome;

	begin(MPPOOL_OPTIONS(.workers = 1));
	to_cancel = start_map(1 + chunks, NULL, NULL);
	other = sched_spawn("canceller", cancel_it, &first);
	cancel_it(&second);
	sched_join(other);
	outcome = mppool_result_get(to_cancel, NULL, MPPOOL_FOREVER);
	SCHED_EQUAL(first == 0 || second == 0, outcome == ECANCELED);
	SCHED_CHECK(chunks || outcome != ECANCELED || (first != EBUSY && second != EBUSY));
	mppool_result_free(to_cancel);
	end_pool(pool);
	calls_check(&calls);
}

static void terminate_map(void)
{
	mppool_result *r;
	int code;

	begin(MPPOOL_OPTIONS(.workers = 1 + (int)sched_variant(2)));
	r = start_map(sched_variant(2), NULL, NULL);
	SCHED_EQUAL(mppool_terminate(pool), 0);
	if (sched_variant(2)) {
		long ys[N];

		code = mppool_result_get(r, ys, MPPOOL_FOREVER);
		SCHED_CHECK(code == 0 || code == MPPOOL_ETERMINATED);
		calls.taken = code == 0 ? N : 0;
	}
	mppool_result_free(r);
	SCHED_EQUAL(mppool_destroy(pool), 0);
	calls_check(&calls);
}

static void free_map_early(void)
{
	begin(MPPOOL_OPTIONS(.workers = 2));
	mppool_result_free(start_map(sched_variant(2), NULL, NULL));
	end_pool(pool);
	calls_check(&calls);
}

/* The failure of lowest index is told; with FAIL_FAST what had not started is cancelled, and that is no outcome. */
static void map_with_failure(void)
{
	static const int some[N] = {0, FAILING, 2, FAILING};
	bool fast = sched_variant(2);
	int codes[N];
	long ys[N];
	mppool_result *r = NULL;

	begin(MPPOOL_OPTIONS(.workers = 2));
	SCHED_EQUAL(mppool_map_async(pool, &calls.func, MPPOOL_ARRAY(some, N), ys, 1 + sched_variant(2),
	                             MPPOOL_CALL(.codes = codes, .flags = fast ? MPPOOL_FAIL_FAST : 0), &r), 0);
	accepted();
	SCHED_EQUAL(mppool_result_get(r, NULL, MPPOOL_FOREVER), MPPOOL_ETASK);
	SCHED_EQUAL(mppool_last_error()->code, EDOM);
	for (int i = 0; i < N; i++) {
		SCHED_CHECK(codes[i] == (i % 2 ? EDOM : 0) || (fast && codes[i] == ECANCELED));
		SCHED_EQUAL(ys[i], codes[i] ? 0 : 2 * some[i]);
		calls.taken += codes[i] == 0;
	}
	if (!fast)
		SCHED_EQUAL(mppool_last_error()->index, 1);
	mppool_result_free(r);
	end_pool(pool);
	calls_check(&calls);
}

/* ----------------------------------------------------------------------------------------------------- nested maps */

static struct calls outer;

static int map_inside(const void *const args[], void *result, void *context)
{
	long ys[2] = {-1, -1};

	(void)context;
	sched_count(&outer.runs);
	SCHED_EQUAL(mppool_map(mppool_current(), &calls.func, MPPOOL_ARRAY(xs, 2), ys, 0), 0);
	SCHED_EQUAL(ys[0], 0);
	SCHED_EQUAL(ys[1], 2);
	sched_count(&calls.accepted);
	for (int i = 0; i < 2; i++) {
		sched_count(&calls.items);
		sched_count(&calls.taken);
	}
	*(long *)result = 2L * *(const int *)args[0];
	return 0;
}

/* All workers wait for maps of their own. */
static void nested_maps(void)
{
	long ys[2];

	calls_begin(&outer);
	outer.func.call = map_inside;
	begin(MPPOOL_OPTIONS(.workers = 1 + (int)sched_variant(2)));
	SCHED_EQUAL(mppool_map(pool, &outer.func, MPPOOL_ARRAY(xs, 2), ys, 1), 0);
	SCHED_EQUAL(ys[1], 2);
	outer.accepted = 1;
	outer.items = outer.taken = 2;
	finish_pool(pool);
	calls_check(&calls);
	calls_check(&outer);
}

/* ------------------------------------------------------------------------------------------------------ lost items */

static int leave_at_one(const void *const args[], void *result, void *context)
{
	(void)context;
	sched_count(&calls.runs);
	if (*(const int *)args[0] == 1)
		pthread_exit(NULL);
	*(long *)result = 2L * *(const int *)args[0];
	return 0;
}

/* One item takes its worker along, in the middle of a chunk perhaps; the others are done. */
static void map_with_lost_worker(void)
{
	int codes[N];
	long ys[N];
	mppool_result *r;

	begin(MPPOOL_OPTIONS(.workers = 1 + (int)sched_variant(2)));
	calls.func.call = leave_at_one;
	calls.lost = true;
	r = start_map(1 + sched_variant(3), MPPOOL_CALL(.codes = codes), ys);
	SCHED_EQUAL(mppool_result_get(r, NULL, MPPOOL_FOREVER), MPPOOL_ETASK);
	SCHED_EQUAL(mppool_last_error()->index, 1);
	for (int i = 0; i < N; i++) {
		SCHED_EQUAL(codes[i], i == 1 ? MPPOOL_ELOST : 0);
		SCHED_EQUAL(ys[i], i == 1 ? 0 : 2 * i);
	}
	SCHED_EQUAL(calls.runs, N);
	mppool_result_free(r);
	end_pool(pool);
	calls_check(&calls);
}

static int waits;                        /* the index of the worker that waits for the map */

/* The first other worker leaves in the middle of its first chunk. */
static int leave_to_waiter(const void *const args[], void *result, void *context)
{
	(void)context;
	sched_count(&calls.runs);
	if (mppool_worker_index() != waits && !calls.lost) {
		calls.lost = true;
		pthread_exit(NULL);
	}
	*(long *)result = 2L * *(const int *)args[0];
	return 0;
}

/* Waits for a map, or a map over a generator, by itself or in a group. */
static int wait_inside(const void *const args[], void *result, void *context)
{
	struct counter counter = {.length = N, .fails_at = -1, .calls = &calls};
	struct mppool_iterable generator = counting(&counter);
	bool draws = sched_variant(2);
	mppool_result *r = NULL;
	size_t ready = 0;
	int code;

	(void)context;
	sched_count(&outer.runs);
	waits = mppool_worker_index();
	SCHED_EQUAL(mppool_starmap_async(mppool_current(), &calls.func, draws ? &generator : MPPOOL_ARRAY(xs, N), NULL,
	                                 2, NULL, &r), 0);
	sched_count(&calls.accepted);
	for (int i = 0; i < N && !draws; i++)
		sched_count(&calls.items);
	if (sched_variant(2))
		SCHED_EQUAL(mppool_wait(&r, 1, MPPOOL_ALL_COMPLETED, MPPOOL_FOREVER, &ready), 0);
	code = mppool_result_get(r, NULL, MPPOOL_FOREVER);
	SCHED_EQUAL(code, calls.lost ? MPPOOL_ETASK : 0);
	mppool_result_free(r);
	*(long *)result = 2L * *(const int *)args[0];
	return 0;
}

/* A worker is lost, no thread is to be had for another, and the only one that is left waits for the map. */
static void nested_map_with_lost_worker(void)
{
	calls_begin(&outer);
	outer.func.call = wait_inside;
	begin(MPPOOL_OPTIONS(.workers = 2));
	calls.func.call = leave_to_waiter;
	sched_refuse_threads(UINT_MAX);
	take(&outer, submit(pool, &outer, 6, NULL), 6);
	sched_refuse_threads(0);
	SCHED_EQUAL(calls.runs, N);
	finish_pool(pool);
	calls_check(&calls);
	calls_check(&outer);
}

/* Workers are lost with chunks of a map that is cancelled meanwhile. */
static int leave_twice(const void *const args[], void *result, void *context)
{
	unsigned before = calls.runs;

	(void)context;
	sched_count(&calls.runs);
	if (before < 2)
		pthread_exit(NULL);
	*(long *)result = 2L * *(const int *)args[0];
	return 0;
}

static void cancel_map_with_lost_workers(void)
{
	int codes[N] = {-1, -1, -1, -1}, code;
	mppool_result *r;

	begin(MPPOOL_OPTIONS(.workers = 1));
	calls.func.call = leave_twice;
	calls.lost = true;
	r = start_map(2, MPPOOL_CALL(.codes = codes), NULL);
	code = mppool_result_cancel(r);
	SCHED_EQUAL(mppool_result_get(r, NULL, MPPOOL_FOREVER), code == 0 ? ECANCELED : MPPOOL_ETASK);
	for (int i = 0; i < N; i++)
		SCHED_CHECK(codes[i] == 0 || codes[i] == MPPOOL_ELOST || (codes[i] == ECANCELED && code == 0));
	mppool_result_free(r);
	end_pool(pool);
	calls_check(&calls);
}

/* ------------------------------------------------------------------------------------------------ refused barriers */

static void barred_map(void)
{
	sched_refuse_barriers(1 + sched_variant(2));
	map_all();
}

static void cancel_barred_map(void)
{
	sched_refuse_barriers(UINT_MAX);
	cancel_map();
}

static void terminate_barred_map(void)
{
	sched_refuse_barriers(UINT_MAX);
	terminate_map();
}

static void barred_map_with_failure(void)
{
	sched_refuse_barriers(UINT_MAX);
	map_with_failure();
}

static void barred_map_with_lost_worker(void)
{
	sched_refuse_barriers(UINT_MAX);
	map_with_lost_worker();
}

const struct sched_scenario sched_maps[] = {
	{"map_all", map_all},
	{"cancel_map", cancel_map},
	{"cancel_map_against_join", cancel_map_against_join},
	{"cancel_map_twice", cancel_map_twice},
	{"terminate_map", terminate_map},
	{"free_map_early", free_map_early},
	{"map_with_failure", map_with_failure},
	{"nested_maps", nested_maps},
	{"map_with_lost_worker", map_with_lost_worker},
	{"nested_map_with_lost_worker", nested_map_with_lost_worker},
	{"cancel_map_with_lost_workers", cancel_map_with_lost_workers},
	{"barred_map", barred_map},
	{"cancel_barred_map", cancel_barred_map},
	{"terminate_barred_map", terminate_barred_map},
	{"barred_map_with_failure", barred_map_with_failure},
	{"barred_map_with_lost_worker", barred_map_with_lost_worker},
	{NULL, NULL},
};
