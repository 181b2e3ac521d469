/* SPDX-License-Identifier: MIT
 *
 * Scenarios: close, terminate and destroy against everything else. */
#include "scenarios.h"

#include <errno.h>
#include <pthread.h>

static struct calls calls;
static mppool *pool;
static mppool_result *result;
static int submit_code;

/* Accepted or refused; in either case nothing is lost. */
static void submit_one(void *options)
{
	const int x = 3;

	result = NULL;
	submit_code = mppool_apply_async(pool, &calls.func, MPPOOL_ARGS(&x), options, &result);
	SCHED_CHECK(submit_code == 0 ? result != NULL : result == NULL);
	if (submit_code == 0) {
		sched_count(&calls.accepted);
		sched_count(&calls.items);
	}
}

static void stop_it(void *terminate)
{
	SCHED_EQUAL(terminate ? mppool_terminate(pool) : mppool_close(pool), 0);
}

static void stop_against_submit(void)
{
	bool terminate = sched_variant(2);
	struct sched_thread *submitter;

	calls_begin(&calls);
	pool = POOL(.workers = 1);
	submitter = sched_spawn("submitter", submit_one, NULL);
	stop_it(terminate ? pool : NULL);
	sched_join(submitter);
	if (submit_code)
		SCHED_EQUAL(submit_code, MPPOOL_ECLOSED);
	else
		take_or(&calls, result, 3, terminate ? MPPOOL_ETERMINATED : 0, 0);
	if (sched_variant(2))
		SCHED_EQUAL(mppool_join(pool, MPPOOL_FOREVER), 0);
	SCHED_EQUAL(mppool_destroy(pool), 0);
	calls_check(&calls);
}

/* One call runs perhaps, others wait; all come to their end, and get tells how. */
static void terminate_against_get(void)
{
	mppool_result *results[2];
	struct sched_thread *stopper;

	calls_begin(&calls);
	pool = POOL(.workers = 1 + (int)sched_variant(2));
	for (int i = 0; i < 2; i++)
		results[i] = submit(pool, &calls, i, NULL);
	stopper = sched_spawn("stopper", stop_it, pool);
	for (int i = 0; i < 2; i++)
		take_or(&calls, results[i], i, MPPOOL_ETERMINATED, MPPOOL_ETERMINATED);
	sched_join(stopper);
	SCHED_EQUAL(mppool_destroy(pool), 0);
	calls_check(&calls);
}

static void terminate_against_cancel(void)
{
	struct sched_thread *stopper;
	int code;

	calls_begin(&calls);
	pool = POOL(.workers = 1);
	result = submit(pool, &calls, 3, NULL);
	stopper = sched_spawn("stopper", stop_it, pool);
	code = mppool_result_cancel(result);
	if (code == 0)
		SCHED_EQUAL(take_or(&calls, result, 3, ECANCELED, ECANCELED), ECANCELED);
	else
		take_or(&calls, result, 3, MPPOOL_ETERMINATED, MPPOOL_ETERMINATED);
	sched_join(stopper);
	SCHED_EQUAL(mppool_destroy(pool), 0);
	calls_check(&calls);
}

static void join_it(void *ret_code)
{
	*(int *)ret_code = mppool_join(pool, MPPOOL_FOREVER);
}

/* Two threads stop, two join. */
static void stop_and_join_twice(void)
{
	static int code;
	struct sched_thread *stopper, *joiner;

	calls_begin(&calls);
	pool = POOL(.workers = 1);
	result = submit(pool, &calls, 3, NULL);
	mppool_result_free(result);
	stopper = sched_spawn("stopper", stop_it, sched_variant(2) ? pool : NULL);
	joiner = sched_spawn("joiner", join_it, &code);
	SCHED_EQUAL(mppool_close(pool), 0);
	SCHED_EQUAL(mppool_join(pool, MPPOOL_FOREVER), 0);
	sched_join(joiner);
	sched_join(stopper);
	SCHED_CHECK(code == 0 || code == MPPOOL_ERUNNING);
	SCHED_EQUAL(mppool_destroy(pool), 0);
	calls_check(&calls);
}

/* A close and a terminate meet among the same calls: each is met by one of them, and neither undoes what the other did.
 * One call is at work all the while, so it stays among those that they look at. */
static struct sched_gate at_work, may_go;

static int stay_call(const void *const args[], void *ret, void *context)
{
	struct calls *const own = context;

	sched_count(&own->runs);
	*(long *)ret = 2 * *(const int *)args[0];
	sched_open(&at_work);
	sched_await(&may_go);
	return 0;
}

static void close_against_terminate(void)
{
	static const int x = 3;
	static long ys[3];
	mppool_result *results[3];
	struct sched_thread *stopper;

	calls_begin(&calls);
	calls.func.call = stay_call;
	at_work.open = may_go.open = false;
	pool = POOL(.workers = 1);
	for (int i = 0; i < 3; i++) {
		SCHED_EQUAL(mppool_map_async(pool, &calls.func, MPPOOL_ARRAY(&x, 1), &ys[i], 1, NULL, &results[i]), 0);
		calls.accepted++;
		calls.items++;
	}
	sched_await(&at_work);
	stopper = sched_spawn("stopper", stop_it, pool);
	SCHED_EQUAL(mppool_close(pool), 0);
	for (int i = 1; i < 3; i++)
		take_or(&calls, results[i], 3, MPPOOL_ETERMINATED, MPPOOL_ETERMINATED);
	sched_open(&may_go);
	take_or(&calls, results[0], 3, 0, 0);
	sched_join(stopper);
	SCHED_EQUAL(mppool_destroy(pool), 0);
	calls_check(&calls);
}

static void join_with_timeout(void)
{
	int code;

	calls_begin(&calls);
	pool = POOL(.workers = 1);
	mppool_result_free(submit(pool, &calls, 3, NULL));
	SCHED_EQUAL(mppool_close(pool), 0);
	code = mppool_join(pool, 1e-6);
	SCHED_CHECK(code == 0 || code == ETIMEDOUT);
	SCHED_EQUAL(mppool_join(pool, MPPOOL_FOREVER), 0);
	SCHED_EQUAL(mppool_join(pool, 0), 0);
	SCHED_EQUAL(mppool_destroy(pool), 0);
	calls_check(&calls);
}

/* ------------------------------------------------------------------------------------------ tasks that submit, too */

static struct calls outer;

static int submit_more(const void *const args[], void *ret, void *context)
{
	const int x = *(const int *)args[0];

	(void)context;
	sched_count(&outer.runs);
	*(long *)ret = 2 * x;
	submit_one(NULL);
	if (submit_code == 0)
		take_or(&calls, result, 3, MPPOOL_ETERMINATED, MPPOOL_ETERMINATED);
	return 0;
}

/* After close a task may still submit; after terminate what it submits is refused or ended, and it never hangs. */
static void stop_against_nested_submit(void)
{
	bool terminate = sched_variant(2);
	mppool_result *r;

	calls_begin(&calls);
	calls_begin(&outer);
	outer.func.call = submit_more;
	submit_code = -1;
	pool = POOL(.workers = 1 + (int)sched_variant(2));
	r = submit(pool, &outer, 9, NULL);
	stop_it(terminate ? pool : NULL);
	take_or(&outer, r, 9, terminate ? MPPOOL_ETERMINATED : 0, 0);
	SCHED_EQUAL(mppool_destroy(pool), 0);
	if (!terminate)
		SCHED_EQUAL(submit_code, 0);
	calls_check(&calls);
	calls_check(&outer);
}

static int submit_and_leave(const void *const args[], void *ret, void *context)
{
	(void)args;
	(void)ret;
	(void)context;
	submit_one(NULL);
	pthread_exit(NULL);
}

/* What a lost worker leaves in its deque comes to its end, too. */
static void stop_against_lost_submit(void)
{
	bool terminate = sched_variant(2);
	mppool_result *r;

	calls_begin(&calls);
	calls_begin(&outer);
	outer.func.call = submit_and_leave;
	outer.lost = true;
	submit_code = -1;
	pool = POOL(.workers = 1 + (int)sched_variant(2));
	r = submit(pool, &outer, 9, NULL);
	stop_it(terminate ? pool : NULL);
	SCHED_CHECK(take_or(&outer, r, 9, MPPOOL_ETASK, terminate ? MPPOOL_ETERMINATED : MPPOOL_ETASK) != 0);
	if (submit_code == 0)
		take_or(&calls, result, 3, terminate ? MPPOOL_ETERMINATED : 0, 0);
	SCHED_EQUAL(mppool_destroy(pool), 0);
	calls_check(&calls);
	calls_check(&outer);
}

/* ----------------------------------------------------------------------------------------------------- queue limit */

static void submit_another(void *unused)
{
	const int x = 5;
	int code = mppool_apply_async(pool, &calls.func, MPPOOL_ARGS(&x), NULL, NULL);

	(void)unused;
	SCHED_CHECK(code == 0 || code == MPPOOL_ECLOSED);
	if (code == 0) {
		sched_count(&calls.accepted);
		sched_count(&calls.items);
	}
}

/* A submitter that waits for room gets it, or hears that there will be none. */
static void queue_limit_against_stop(void)
{
	unsigned how = sched_variant(3);
	mppool_result *first, *second;
	struct sched_thread *submitter, *another = NULL;

	calls_begin(&calls);
	pool = POOL(.workers = 1, .queue_limit = 1);
	first = submit(pool, &calls, 1, NULL);
	submitter = sched_spawn("submitter", submit_one, NULL);
	if (sched_variant(2))
		another = sched_spawn("another", submit_another, NULL);
	second = submit(pool, &calls, 2, NULL);
	if (how < 2)
		stop_it(how ? pool : NULL);
	sched_join(submitter);
	if (another)
		sched_join(another);
	if (submit_code)
		SCHED_CHECK(submit_code == MPPOOL_ECLOSED && how < 2);
	else
		take_or(&calls, result, 3, how == 1 ? MPPOOL_ETERMINATED : 0, 0);
	take_or(&calls, first, 1, how == 1 ? MPPOOL_ETERMINATED : 0, 0);
	take_or(&calls, second, 2, how == 1 ? MPPOOL_ETERMINATED : 0, 0);
	SCHED_EQUAL(mppool_destroy(pool), 0);
	calls_check(&calls);
}

static unsigned opened;

static void submit_when_there_is_room(void *unused)
{
	submit_one(unused);
	SCHED_EQUAL(opened, 1);
}

/* One call runs, one waits: a third is not accepted before the first has made way. */
static void queue_limit_is_kept(void)
{
	mppool_result *first, *second;
	struct sched_thread *submitter;

	calls_begin(&calls);
	calls_begin(&outer);
	outer.func.call = stay_call;
	at_work.open = may_go.open = false;
	opened = 0;
	pool = POOL(.workers = 1, .queue_limit = 1);
	first = submit(pool, &outer, 1, NULL);
	sched_await(&at_work);
	second = submit(pool, &calls, 2, NULL);
	submitter = sched_spawn("submitter", submit_when_there_is_room, NULL);
	for (int i = 0; i < 3; i++)
		sched_pass();
	sched_count(&opened);
	sched_open(&may_go);
	sched_join(submitter);
	take(&calls, result, 3);
	take(&calls, second, 2);
	take(&outer, first, 1);
	end_pool(pool);
	calls_check(&calls);
	calls_check(&outer);
}

/* Room that a cancel or a time-out leaves goes to whoever waits. */
static void queue_limit_and_timeout(void)
{
	struct mppool_call_options options = MPPOOL_CALL_OPTIONS_INIT;
	mppool_result *first, *second;
	struct sched_thread *submitter;

	options.submit_timeout = 1e-6;
	calls_begin(&calls);
	pool = POOL(.workers = 1, .queue_limit = 1);
	first = submit(pool, &calls, 1, NULL);
	submitter = sched_spawn("submitter", submit_one, &options);
	second = submit(pool, &calls, 2, NULL);
	if (sched_variant(2))
		mppool_result_cancel(second);
	sched_join(submitter);
	if (submit_code)
		SCHED_EQUAL(submit_code, ETIMEDOUT);
	else
		take(&calls, result, 3);
	take(&calls, first, 1);
	take_or(&calls, second, 2, ECANCELED, ECANCELED);
	end_pool(pool);
	calls_check(&calls);
}

/* ---------------------------------------------------------------------------------------------- callers that help */

static void get_it(void *unused)
{
	(void)unused;
	take_or(&calls, result, 3, MPPOOL_ETERMINATED, MPPOOL_ETERMINATED);
}

static int codes[2];

static void get_map(void *unused)
{
	int code = mppool_result_get(result, NULL, MPPOOL_FOREVER);

	(void)unused;
	SCHED_CHECK(code == 0 || code == MPPOOL_ETERMINATED);
	calls.taken = (unsigned)(codes[0] == 0) + (unsigned)(codes[1] == 0);
	mppool_result_free(result);
}

static void submit_map(void)
{
	static const int xs[2] = {3, 4};
	static long ys[2];

	SCHED_EQUAL(mppool_map_async(pool, &calls.func, MPPOOL_ARRAY(xs, 2), ys, 1, MPPOOL_CALL(.codes = codes), &result),
	            0);
	calls.accepted++;
	calls.items += 2;
}

/* A result outlives its pool: who begins to wait for it, and might have helped, comes too late for that. */
static void destroy_against_helping_get(void)
{
	struct sched_thread *getter;
	bool map = sched_variant(2);

	calls_begin(&calls);
	pool = POOL(.workers = 1, .flags = MPPOOL_CALLER_HELPS, .queue_limit = sched_variant(2));
	if (map)
		submit_map();
	else
		result = submit(pool, &calls, 3, NULL);
	getter = sched_spawn("getter", map ? get_map : get_it, NULL);
	if (sched_variant(2))
		SCHED_EQUAL(mppool_close(pool), 0);
	SCHED_EQUAL(mppool_destroy(pool), 0);
	sched_join(getter);
	calls_check(&calls);
}

const struct sched_scenario sched_stops[] = {
	{"stop_against_submit", stop_against_submit},
	{"terminate_against_get", terminate_against_get},
	{"terminate_against_cancel", terminate_against_cancel},
	{"stop_and_join_twice", stop_and_join_twice},
	{"close_against_terminate", close_against_terminate},
	{"join_with_timeout", join_with_timeout},
	{"stop_against_nested_submit", stop_against_nested_submit},
	{"stop_against_lost_submit", stop_against_lost_submit},
	{"queue_limit_is_kept", queue_limit_is_kept},
	{"queue_limit_against_stop", queue_limit_against_stop},
	{"queue_limit_and_timeout", queue_limit_and_timeout},
	{"destroy_against_helping_get", destroy_against_helping_get},
	{NULL, NULL},
};
