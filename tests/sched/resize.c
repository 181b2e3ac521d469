/* SPDX-License-Identifier: MIT
 *
 * Scenarios: more workers and fewer, while they work and while the pool ends. */
#include "scenarios.h"

#include <errno.h>
#include <pthread.h>

static struct calls calls;
static mppool *pool;

static void begin(int workers, bool staffed)
{
	calls_begin(&calls);
	staff_begin(UINT32_MAX);
	pool = staffed ? POOL(.workers = workers, .initializer = staff_initialize, .finalizer = staff_finalize, .initarg = &calls)
	               : POOL(.workers = workers);
}

static void end(void)
{
	end_pool(pool);
	calls_check(&calls);
	SCHED_EQUAL(staff.initialized, staff.finalized);
}

static void resize(void *workers)
{
	SCHED_EQUAL(mppool_resize(pool, *(int *)workers), 0);
}

/* Calls before, between and after. */
static void up_and_down(void)
{
	mppool_result *results[3];

	begin(1, sched_variant(2));
	results[0] = submit(pool, &calls, 1, NULL);
	SCHED_EQUAL(mppool_resize(pool, 2), 0);
	results[1] = submit(pool, &calls, 2, NULL);
	SCHED_EQUAL(mppool_resize(pool, 1), 0);
	results[2] = submit(pool, &calls, 3, NULL);
	for (int i = 0; i < 3; i++)
		take(&calls, results[i], i + 1);
	end();
}

static void down_and_up(void)
{
	mppool_result *results[2];

	begin(2, sched_variant(2));
	results[0] = submit(pool, &calls, 1, NULL);
	SCHED_EQUAL(mppool_resize(pool, 1), 0);
	results[1] = submit(pool, &calls, 2, NULL);
	SCHED_EQUAL(mppool_resize(pool, 2), 0);
	for (int i = 0; i < 2; i++)
		take(&calls, results[i], i + 1);
	SCHED_EQUAL(mppool_wait_idle(pool, MPPOOL_FOREVER), 0);
	end();
}

/* A worker is dismissed while it sleeps, searches, or is about to be woken for the call. */
static void fewer_and_a_call(void)
{
	mppool_result *result;

	begin(2, false);
	if (sched_variant(2))
		SCHED_EQUAL(mppool_wait_idle(pool, MPPOOL_FOREVER), 0);
	if (sched_variant(2)) {
		result = submit(pool, &calls, 1, NULL);
		SCHED_EQUAL(mppool_resize(pool, 1), 0);
	} else {
		SCHED_EQUAL(mppool_resize(pool, 1), 0);
		result = submit(pool, &calls, 1, NULL);
	}
	take(&calls, result, 1);
	end();
}

/* Leaves two calls of `calls` in its worker's deque. */
static int leave_two(const void *const args[], void *result, void *context)
{
	(void)args;
	(void)result;
	(void)context;
	for (int i = 0; i < 2; i++)
		SCHED_EQUAL(mppool_apply_async(pool, &calls.func, MPPOOL_ARGS(&i), NULL, NULL), 0);
	return 0;
}

/* What a dismissed worker has in its deque is run all the same, by itself or by others. */
static void fewer_and_nested_calls(void)
{
	static struct mppool_func func;
	struct sched_thread *other;
	int one = 1;

	begin(2, false);
	func = (struct mppool_func){.size = sizeof func, .call = leave_two};
	for (int i = 0; i < 2; i++)
		SCHED_EQUAL(mppool_apply_async(pool, &func, NULL, NULL, NULL), 0);
	other = sched_spawn("resizer", resize, &one);
	SCHED_EQUAL(mppool_wait_idle(pool, MPPOOL_FOREVER), 0);
	SCHED_EQUAL(calls.runs, 4);
	sched_join(other);
	calls.accepted = calls.items = 4;
	end();
}

/* A map goes on with fewer workers, and with more. */
static void map_and_resize(void)
{
	static const int xs[4] = {0, 1, 2, 3};
	int workers = 1 + 2 * (int)sched_variant(2);
	long ys[4] = {0};
	struct sched_thread *other;

	begin(2, false);
	other = sched_spawn("resizer", resize, &workers);
	SCHED_EQUAL(mppool_map(pool, &calls.func, MPPOOL_ARRAY(xs, 4), ys, 1), 0);
	for (int i = 0; i < 4; i++)
		SCHED_EQUAL(ys[i], 2 * i);
	sched_join(other);
	calls.accepted = 1;
	calls.items = calls.taken = 4;
	end();
}

/* One newcomer's initializer fails: the others go, and the old size stays. */
static void growth_fails(void)
{
	begin(1, true);
	staff.works = 1 + sched_variant(2);
	SCHED_EQUAL(mppool_resize(pool, 3), MPPOOL_EBROKEN);
	SCHED_EQUAL(mppool_last_error()->code, EDOM);
	SCHED_EQUAL(mppool_state(pool), MPPOOL_RUN);
	take(&calls, submit(pool, &calls, 1, NULL), 1);
	end_pool(pool);
	calls_check(&calls);
	SCHED_EQUAL(staff.finalized, staff.works);
}

/* The system has no thread: nothing has changed, and later it has. */
static void growth_is_refused(void)
{
	begin(1, sched_variant(2));
	sched_refuse_threads(1);
	SCHED_EQUAL(mppool_resize(pool, 2 + (int)sched_variant(2)), EAGAIN);
	take(&calls, submit(pool, &calls, 1, NULL), 1);
	if (sched_variant(2))
		SCHED_EQUAL(mppool_resize(pool, 2), 0);
	end();
}

static void resize_or_not(void *workers)
{
	int code = mppool_resize(pool, *(int *)workers);

	SCHED_CHECK(code == 0 || code == MPPOOL_ECLOSED);
}

static void resize_and_terminate(void)
{
	static int sizes[2];
	struct sched_thread *others[2];
	mppool_result *result;

	begin(2, sched_variant(2));
	sizes[0] = 1;
	sizes[1] = 3;
	result = submit(pool, &calls, 1, NULL);
	for (int i = 0; i < 2; i++)
		others[i] = sched_spawn("resizer", resize_or_not, &sizes[i]);
	SCHED_EQUAL(sched_variant(2) ? mppool_terminate(pool) : mppool_close(pool), 0);
	SCHED_EQUAL(mppool_join(pool, MPPOOL_FOREVER), 0);
	for (int i = 0; i < 2; i++)
		sched_join(others[i]);
	take_or(&calls, result, 1, MPPOOL_ETERMINATED, 0);
	SCHED_EQUAL(mppool_destroy(pool), 0);
	calls_check(&calls);
	SCHED_EQUAL(staff.initialized, staff.finalized);
}

static void resizes_at_once(void)
{
	static int sizes[2];
	struct sched_thread *others[2];
	struct mppool_counters c = MPPOOL_COUNTERS_INIT;

	begin(2, sched_variant(2));
	sizes[0] = 1 + (int)sched_variant(3);
	sizes[1] = 1 + (int)sched_variant(3);
	for (int i = 0; i < 2; i++)
		others[i] = sched_spawn("resizer", resize, &sizes[i]);
	take(&calls, submit(pool, &calls, 1, NULL), 1);
	for (int i = 0; i < 2; i++)
		sched_join(others[i]);
	SCHED_EQUAL(mppool_stats(pool, &c), 0);
	SCHED_CHECK((int)c.workers == sizes[0] || (int)c.workers == sizes[1]);
	end();
}

static int resize_in_task(const void *const args[], void *result, void *context)
{
	(void)result;
	(void)context;
	return mppool_resize(pool, *(const int *)args[0]);
}

/* Tasks send their own workers away, and call others. */
static void resize_inside(void)
{
	struct mppool_func func = {.size = sizeof func, .call = resize_in_task, .nargs = 1, .arg_size = {sizeof(int)}};
	mppool_result *results[2];

	begin(2, sched_variant(2));
	for (int i = 0; i < 2; i++) {
		int workers = i ? 1 : 1 + 2 * (int)sched_variant(2);
		SCHED_EQUAL(mppool_apply_async(pool, &func, MPPOOL_ARGS(&workers), NULL, &results[i]), 0);
	}
	for (int i = 0; i < 2; i++) {
		SCHED_EQUAL(mppool_result_get(results[i], NULL, MPPOOL_FOREVER), 0);
		mppool_result_free(results[i]);
	}
	take(&calls, submit(pool, &calls, 1, NULL), 1);
	end();
}

static void resize_or_broken(void *workers)
{
	int code = mppool_resize(pool, *(int *)workers);

	SCHED_CHECK(code == 0 || code == MPPOOL_EBROKEN);
}

static void resize_or_fail(void *workers)
{
	int code = mppool_resize(pool, *(int *)workers);

	SCHED_CHECK(code == 0 || code == MPPOOL_EBROKEN || code == EAGAIN);
}

static int leave_thread(const void *const args[], void *result, void *context)
{
	(void)args;
	(void)result;
	(void)context;
	pthread_exit(NULL);
}

/* A worker is lost, perhaps without a successor, while the other is dismissed: one of them is there for the call, or the
 * pool is broken, if the dismissed one had left. */
static void lost_and_dismissed(void)
{
	static struct calls lost;
	struct sched_thread *other;
	mppool_result *r = NULL;
	unsigned refused = sched_variant(2);
	int one = 1, code;

	calls_begin(&lost);
	begin(2, false);
	lost.func.call = leave_thread;
	lost.lost = true;
	sched_refuse_threads(refused);
	other = sched_spawn("resizer", resize_or_broken, &one);
	r = submit(pool, &lost, 1, NULL);
	SCHED_EQUAL(take_or(&lost, r, 1, MPPOOL_ETASK, MPPOOL_ETASK), MPPOOL_ETASK);
	sched_join(other);
	r = NULL;
	code = mppool_apply_async(pool, &calls.func, MPPOOL_ARGS(&(int){6}), NULL, &r);
	if (code) {
		SCHED_CHECK(code == MPPOOL_EBROKEN && refused);
	} else {
		calls.accepted = calls.items = 1;
		take_or(&calls, r, 6, refused ? MPPOOL_EBROKEN : 0, 0);
	}
	sched_refuse_threads(0);
	end();
}

/* The only worker is lost, and others that are to come do not: the system has no thread, or the initializer fails. The
 * call that waits is run in the end, or the pool is broken. */
static void lost_while_growth_fails(void)
{
	static struct calls lost;
	bool staffed = sched_variant(2);
	struct sched_thread *other;
	mppool_result *first, *second = NULL;
	int two = 2, code;

	calls_begin(&lost);
	begin(1, staffed);
	lost.func.call = leave_thread;
	lost.lost = true;
	staff.works = 1;
	sched_refuse_threads(1 + sched_variant(2));
	other = sched_spawn("resizer", resize_or_fail, &two);
	first = submit(pool, &lost, 1, NULL);
	code = mppool_apply_async(pool, &calls.func, MPPOOL_ARGS(&(int){6}), NULL, &second);
	if (code) {
		SCHED_EQUAL(code, MPPOOL_EBROKEN);
	} else {
		calls.accepted = calls.items = 1;
		take_or(&calls, second, 6, MPPOOL_EBROKEN, MPPOOL_EBROKEN);
	}
	SCHED_EQUAL(take_or(&lost, first, 1, MPPOOL_ETASK, MPPOOL_EBROKEN) == 0, false);
	sched_join(other);
	sched_refuse_threads(0);
	end_pool(pool);
	calls_check(&calls);
	SCHED_CHECK(staff.finalized <= staff.initialized);
}

static void retiring_and_dismissed(void)
{
	mppool_result *results[3];

	calls_begin(&calls);
	staff_begin(UINT32_MAX);
	pool = POOL(.workers = 2, .max_tasks_per_worker = 1, .initializer = staff_initialize, .finalizer = staff_finalize,
	            .initarg = &calls);
	for (int i = 0; i < 2; i++)
		results[i] = submit(pool, &calls, i, NULL);
	SCHED_EQUAL(mppool_resize(pool, 1), 0);
	results[2] = submit(pool, &calls, 2, NULL);
	if (sched_variant(2))
		SCHED_EQUAL(mppool_resize(pool, 2), 0);
	for (int i = 0; i < 3; i++)
		take(&calls, results[i], i);
	end();
}

const struct sched_scenario sched_resize[] = {
	{"up_and_down", up_and_down},
	{"down_and_up", down_and_up},
	{"fewer_and_a_call", fewer_and_a_call},
	{"fewer_and_nested_calls", fewer_and_nested_calls},
	{"map_and_resize", map_and_resize},
	{"growth_fails", growth_fails},
	{"growth_is_refused", growth_is_refused},
	{"resize_and_terminate", resize_and_terminate},
	{"resizes_at_once", resizes_at_once},
	{"resize_inside", resize_inside},
	{"lost_and_dismissed", lost_and_dismissed},
	{"lost_while_growth_fails", lost_while_growth_fails},
	{"retiring_and_dismissed", retiring_and_dismissed},
	{NULL, NULL},
};
