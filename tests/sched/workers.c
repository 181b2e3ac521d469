/* SPDX-License-Identifier: MIT
 *
 * Scenarios: workers that retire, that are lost, that cannot be started, whose initializer fails. */
#include "scenarios.h"

#include <errno.h>
#include <pthread.h>

static struct calls calls;
static mppool *pool;

/* A worker retires after each item, and its successor goes on. */
static void retiring_workers(void)
{
	mppool_result *results[3];

	calls_begin(&calls);
	staff_begin(UINT32_MAX);
	pool = POOL(.workers = 1 + (int)sched_variant(2), .max_tasks_per_worker = 1, .initializer = staff_initialize,
	            .finalizer = staff_finalize, .initarg = &calls);
	for (int i = 0; i < 3; i++)
		results[i] = submit(pool, &calls, i, NULL);
	for (int i = 0; i < 3; i++)
		take(&calls, results[i], i);
	end_pool(pool);
	SCHED_EQUAL(staff.initialized, staff.finalized);
	calls_check(&calls);
}

static void retiring_workers_and_terminate(void)
{
	mppool_result *results[2];

	calls_begin(&calls);
	pool = POOL(.workers = 1, .max_tasks_per_worker = 1);
	for (int i = 0; i < 2; i++)
		results[i] = submit(pool, &calls, i, NULL);
	SCHED_EQUAL(mppool_terminate(pool), 0);
	for (int i = 0; i < 2; i++)
		take_or(&calls, results[i], i, MPPOOL_ETERMINATED, MPPOOL_ETERMINATED);
	SCHED_EQUAL(mppool_destroy(pool), 0);
	calls_check(&calls);
}

static int leave_thread(const void *const args[], void *result, void *context)
{
	(void)args;
	(void)result;
	(void)context;
	pthread_exit(NULL);
}

/* The item is lost, the worker is replaced, the next item is done; a thread is perhaps not to be had at once. */
static void lost_worker(void)
{
	static struct calls lost;
	unsigned refused = sched_variant(3);
	mppool_result *r;
	int code;

	calls_begin(&calls);
	calls_begin(&lost);
	lost.func.call = leave_thread;
	lost.lost = true;
	pool = POOL(.workers = 1 + (int)sched_variant(2));
	sched_refuse_threads(refused);
	r = submit(pool, &lost, 1, NULL);
	SCHED_EQUAL(take_or(&lost, r, 1, MPPOOL_ETASK, refused ? MPPOOL_ETASK : 0), MPPOOL_ETASK);
	SCHED_EQUAL(mppool_last_error()->code, MPPOOL_ELOST);
	r = NULL;
	code = mppool_apply_async(pool, &calls.func, MPPOOL_ARGS(&(int){6}), NULL, &r);
	if (code) {
		SCHED_CHECK(code == MPPOOL_EBROKEN && refused);
	} else {
		calls.accepted = calls.items = 1;
		take_or(&calls, r, 6, refused ? MPPOOL_EBROKEN : 0, 0);
	}
	sched_refuse_threads(0);
	end_pool(pool);
	calls_check(&calls);
	SCHED_EQUAL(lost.releases, 1);
	SCHED_EQUAL(lost.args, 1);
}

/* Some initializer fails: then there is no pool, and every one that worked is finalized. */
static void failing_initializer(void)
{
	static mppool *nothing;
	mppool *p = nothing;
	unsigned workers = 2;

	staff_begin(sched_variant(3));
	if (staff.works == 2) {
		p = POOL(.workers = 2, .initializer = staff_initialize, .finalizer = staff_finalize);
		SCHED_EQUAL(mppool_destroy(p), 0);
	} else {
		SCHED_EQUAL(mppool_create(MPPOOL_OPTIONS(.workers = 2, .initializer = staff_initialize,
		                                         .finalizer = staff_finalize), &p), MPPOOL_EBROKEN);
		SCHED_CHECK(p == nothing);
		SCHED_EQUAL(mppool_last_error()->code, EDOM);
	}
	SCHED_EQUAL(staff.initialized, workers);
	SCHED_EQUAL(staff.finalized, staff.works);
}

/* A successor's initializer fails: the pool breaks, and everybody is told. */
static void failing_successor(void)
{
	mppool_result *results[2] = {NULL, NULL};
	int code = 0;

	calls_begin(&calls);
	staff_begin(1);
	pool = POOL(.workers = 1, .max_tasks_per_worker = 1, .initializer = staff_initialize, .finalizer = staff_finalize);
	for (int i = 0; i < 2 && code == 0; i++) {
		code = mppool_apply_async(pool, &calls.func, MPPOOL_ARGS(&i), NULL, &results[i]);
		SCHED_CHECK(code == 0 || (code == MPPOOL_EBROKEN && i > 0));
		if (code == 0)
			calls.accepted = ++calls.items;
	}
	for (int i = 0; i < 2; i++)
		if (results[i])
			take_or(&calls, results[i], i, i ? MPPOOL_EBROKEN : 0, 0);
	SCHED_EQUAL(mppool_destroy(pool), 0);
	SCHED_EQUAL(calls.runs, 1);
	SCHED_EQUAL(staff.finalized, 1);
	calls_check(&calls);
}

const struct sched_scenario sched_workers[] = {
	{"retiring_workers", retiring_workers},
	{"retiring_workers_and_terminate", retiring_workers_and_terminate},
	{"lost_worker", lost_worker},
	{"failing_initializer", failing_initializer},
	{"failing_successor", failing_successor},
	{NULL, NULL},
};
