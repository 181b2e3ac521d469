/* SPDX-License-Identifier: MIT
 *
 * Scenarios: single calls, from their submit to their end. */
#include "scenarios.h"

#include <errno.h>

static struct calls calls;
static mppool *pool;
static mppool_result *result;

/* A submit meets a worker that is about to sleep; get meets the completion. */
static void submit_and_get(void)
{
	calls_begin(&calls);
	pool = POOL(.workers = 1);
	take(&calls, submit(pool, &calls, 21, NULL), 21);
	finish_pool(pool);
	calls_check(&calls);
}

/* Nobody waits: the pool itself must see that it comes to its end. */
static void submit_and_forget(void)
{
	const int x = 4;

	calls_begin(&calls);
	pool = POOL(.workers = 1 + (int)sched_variant(2));
	SCHED_EQUAL(mppool_apply_async(pool, &calls.func, MPPOOL_ARGS(&x), NULL, NULL), 0);
	calls.accepted = calls.items = 1;
	finish_pool(pool);
	SCHED_EQUAL(calls.runs, 1);
	calls_check(&calls);
}

static void apply_once(void)
{
	const int x = 8;
	long y = 0;

	calls_begin(&calls);
	pool = POOL(.workers = 2, .flags = sched_variant(2) ? MPPOOL_CALLER_HELPS : 0);
	SCHED_EQUAL(mppool_apply(pool, &calls.func, MPPOOL_ARGS(&x), &y), 0);
	SCHED_EQUAL(y, 16);
	calls.accepted = calls.items = calls.taken = 1;
	end_pool(pool);
	calls_check(&calls);
}

/* One is started as a consequence of another: batches, thieves, and who is woken. */
static void several_calls(void)
{
	mppool_result *results[5];

	calls_begin(&calls);
	sched_cpus(1 + (int)sched_variant(4));
	pool = POOL(.workers = 2);
	for (int i = 0; i < 5; i++)
		results[i] = submit(pool, &calls, i, NULL);
	for (int i = 5; i-- > 0;)
		take(&calls, results[i], i);
	finish_pool(pool);
	calls_check(&calls);
}

static void cancel_it(void *ret_code)
{
	*(int *)ret_code = mppool_result_cancel(result);
}

/* A cancel meets the claim, the run and the completion. */
static void cancel_and_get(void)
{
	struct sched_thread *canceller;
	static int code;
	int outcome;

	calls_begin(&calls);
	pool = POOL(.workers = 1);
	result = submit(pool, &calls, 5, NULL);
	canceller = sched_spawn("canceller", cancel_it, &code);
	outcome = mppool_result_get(result, NULL, MPPOOL_FOREVER);
	sched_join(canceller);
	SCHED_CHECK(code == 0 || code == EBUSY || code == EALREADY);
	SCHED_EQUAL(outcome, code == 0 ? ECANCELED : 0);
	SCHED_EQUAL(calls.runs, code == 0 ? 0 : 1);
	mppool_result_free(result);
	end_pool(pool);
	calls_check(&calls);
}

static void two_cancels(void)
{
	struct sched_thread *canceller;
	static int code;
	int mine;

	calls_begin(&calls);
	pool = POOL(.workers = 1);
	result = submit(pool, &calls, 5, NULL);
	canceller = sched_spawn("canceller", cancel_it, &code);
	mine = mppool_result_cancel(result);
	sched_join(canceller);
	SCHED_CHECK(mine != 0 || code != 0);
	take_or(&calls, result, 5, ECANCELED, ECANCELED);
	finish_pool(pool);
	calls_check(&calls);
}

/* The handle goes while the call waits, runs or ends. */
static void free_early(void)
{
	mppool_result *r;

	calls_begin(&calls);
	pool = POOL(.workers = 1);
	r = submit(pool, &calls, 7, NULL);
	if (sched_variant(2))
		mppool_result_wait(r, 0);
	mppool_result_free(r);
	end_pool(pool);
	calls_check(&calls);
}

static void get_it(void *unused)
{
	long y = 0;

	(void)unused;
	SCHED_EQUAL(mppool_result_get(result, &y, MPPOOL_FOREVER), 0);
	SCHED_EQUAL(y, 14);
}

/* Without a call that waits. */
static void look_at_it(void)
{
	while (!mppool_result_ready(result))
		sched_pass();
	SCHED_EQUAL(*(const long *)mppool_result_value(result), 14);
}

/* Two threads wait for one result; both get it, and it counts as taken once. */
static void two_waiters(void)
{
	struct sched_thread *other;

	calls_begin(&calls);
	pool = POOL(.workers = 1);
	result = submit(pool, &calls, 7, NULL);
	other = sched_spawn("waiter", get_it, NULL);
	if (sched_variant(2))
		get_it(NULL);
	else
		look_at_it();
	sched_join(other);
	calls.taken = 1;
	mppool_result_free(result);
	finish_pool(pool);
	calls_check(&calls);
}

static void get_with_timeout(void)
{
	mppool_result *r;
	int code;

	calls_begin(&calls);
	pool = POOL(.workers = 1);
	r = submit(pool, &calls, 7, NULL);
	code = mppool_result_wait(r, 1e-6);
	SCHED_CHECK(code == 0 || code == ETIMEDOUT);
	take(&calls, r, 7);
	finish_pool(pool);
	calls_check(&calls);
}

/* -------------------------------------------------------------------------------------------------- calls by calls */

static struct calls outer;

/* Submits two calls to the pool that it runs in, forgets one, and perhaps waits for the other. */
static int submit_two(const void *const args[], void *ret, void *context)
{
	const int x = *(const int *)args[0];
	mppool_result *r;

	(void)context;
	sched_count(&outer.runs);
	r = submit(mppool_current(), &calls, x, NULL);
	SCHED_EQUAL(mppool_apply_async(mppool_current(), &calls.func, MPPOOL_ARGS(&x), NULL, NULL), 0);
	sched_count(&calls.accepted);
	sched_count(&calls.items);
	if (x == 1)
		take(&calls, r, x);
	else
		mppool_result_free(r);
	*(long *)ret = 2 * x;
	return 0;
}

/* A worker's own deque: what is in it is claimed by its owner, by a waiter or by a thief. */
static void nested_calls(void)
{
	int x;

	calls_begin(&calls);
	calls_begin(&outer);
	outer.func.call = submit_two;
	sched_cpus(1 + (int)sched_variant(4));
	pool = POOL(.workers = 1 + (int)sched_variant(2));
	x = (int)sched_variant(2);
	take(&outer, submit(pool, &outer, x, NULL), x);
	finish_pool(pool);
	calls_check(&calls);
	calls_check(&outer);
}

/* ---------------------------------------------------------------------------------------------------- side by side */

static struct sched_gate gate;

static int open_gate(const void *const args[], void *ret, void *context)
{
	(void)context;
	sched_count(&calls.runs);
	sched_open(&gate);
	*(long *)ret = 2L * *(const int *)args[0];
	return 0;
}

/* Waits until another call runs: one that it submits itself, or one that was submitted with it. */
static int await_gate(const void *const args[], void *ret, void *context)
{
	const int x = *(const int *)args[0];

	(void)context;
	sched_count(&outer.runs);
	if (x == 1)
		mppool_result_free(submit(mppool_current(), &calls, x, NULL));
	sched_await(&gate);
	*(long *)ret = 2 * x;
	return 0;
}

/* While there is work that nobody has claimed no worker sleeps for good: of two one waits for what the other is to
 * run, which is in the queue, in the inbox of a batch, or in the waiting worker's own deque. */
static void side_by_side(void)
{
	int x = (int)sched_variant(2), before = (int)sched_variant(5);
	mppool_result *r, *second = NULL, *results[4];

	calls_begin(&calls);
	calls_begin(&outer);
	calls.func.call = open_gate;
	outer.func.call = await_gate;
	sched_cpus(1 + (int)sched_variant(4));
	pool = POOL(.workers = 2);
	gate.open = true;
	for (int i = 0; i < before; i++)
		results[i] = submit(pool, &calls, i, NULL);
	for (int i = 0; i < before; i++)
		take(&calls, results[i], i);
	gate.open = false;
	r = submit(pool, &outer, x, NULL);
	if (x == 0)
		second = submit(pool, &calls, 3, NULL);
	take(&outer, r, x);
	if (second)
		take(&calls, second, 3);
	finish_pool(pool);
	calls_check(&calls);
	calls_check(&outer);
}

/* A worker that has taken several calls leaves them for more urgent ones, which others may take from it. */
static void urgent_calls_between(void)
{
	mppool_result *results[6];

	calls_begin(&calls);
	pool = POOL(.workers = 2);
	for (int i = 0; i < 2; i++)              /* short ones, so that more are taken at once */
		take(&calls, submit(pool, &calls, i, NULL), i);
	for (int i = 0; i < 6; i++)
		results[i] = submit(pool, &calls, i, i < 4 ? NULL : MPPOOL_CALL(.priority = 1));
	for (int i = 6; i-- > 0;)
		take(&calls, results[i], i);
	finish_pool(pool);
	calls_check(&calls);
}

static int last_begun;

/* The first waits until the others have run. They run one after the other, then, and go by their numbers if they are
 * not urgent, as those of 5 and 6 are. */
static int in_order(const void *const args[], void *ret, void *context)
{
	const int x = *(const int *)args[0];

	(void)context;
	*(long *)ret = 2 * x;
	sched_count(&calls.runs);
	if (calls.runs == 7)
		sched_open(&gate);
	if (x == 0) {
		sched_await(&gate);
	} else if (x < 5) {
		SCHED_CHECK(x > last_begun);
		last_begun = x;
	}
	return 0;
}

/* More urgent calls, several at once, do not let younger ones pass those that somebody has taken and not begun. */
static void urgent_calls_and_younger_ones(void)
{
	mppool_result *results[7];
	int before = 2 + (int)sched_variant(3);

	calls_begin(&calls);
	calls_begin(&outer);
	pool = POOL(.workers = 2);
	for (int i = 0; i < before; i++)
		take(&outer, submit(pool, &outer, i, NULL), i);
	calls.func.call = in_order;
	gate.open = false;
	last_begun = 0;
	for (int i = 0; i < 3; i++)
		results[i] = submit(pool, &calls, i, NULL);
	for (int i = 5; i < 7; i++)
		results[i] = submit(pool, &calls, i, MPPOOL_CALL(.priority = 1));
	for (int i = 3; i < 5; i++)
		results[i] = submit(pool, &calls, i, NULL);
	for (int i = 0; i < 7; i++)
		take(&calls, results[i], i);
	finish_pool(pool);
	calls_check(&calls);
	calls_check(&outer);
}

const struct sched_scenario sched_singles[] = {
	{"submit_and_get", submit_and_get},
	{"submit_and_forget", submit_and_forget},
	{"apply_once", apply_once},
	{"several_calls", several_calls},
	{"urgent_calls_between", urgent_calls_between},
	{"urgent_calls_and_younger_ones", urgent_calls_and_younger_ones},
	{"cancel_and_get", cancel_and_get},
	{"two_cancels", two_cancels},
	{"free_early", free_early},
	{"two_waiters", two_waiters},
	{"get_with_timeout", get_with_timeout},
	{"nested_calls", nested_calls},
	{"side_by_side", side_by_side},
	{NULL, NULL},
};
