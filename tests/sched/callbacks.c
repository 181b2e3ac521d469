/* SPDX-License-Identifier: MIT
 *
 * Scenarios: callbacks, and what they do to their pool. */
#include "scenarios.h"

#include <errno.h>

static struct calls calls;
static mppool *pool;
static mppool_result *second;
static unsigned what;
static bool returned;            /* plain: whoever sees the result ready sees what the callback wrote */

enum { NOTHING, SUBMIT, CLOSE, TERMINATE, WAIT, VARIANTS };

static void act(void)
{
	const int x = 2;
	int code;

	switch (what) {
	case SUBMIT:
		code = mppool_apply_async(pool, &calls.func, MPPOOL_ARGS(&x), NULL, &second);
		SCHED_EQUAL(code, 0);
		sched_count(&calls.accepted);
		sched_count(&calls.items);
		break;
	case CLOSE:
		SCHED_EQUAL(mppool_close(pool), 0);
		break;
	case TERMINATE:
		SCHED_EQUAL(mppool_terminate(pool), 0);
		break;
	case WAIT:
		SCHED_EQUAL(mppool_apply(pool, &calls.func, MPPOOL_ARGS(&x), NULL), EDEADLK);
		break;
	default:
		break;
	}
}

static void done(const void *results, size_t n, void *userdata)
{
	SCHED_CHECK(userdata == &calls);
	SCHED_EQUAL(n, 1);
	SCHED_EQUAL(*(const long *)results, 42);
	sched_count(&calls.callbacks);
	act();
	returned = true;
}

static void failed(const struct mppool_error *error, void *userdata)
{
	SCHED_CHECK(userdata == &calls);
	SCHED_CHECK(error->code == EDOM || error->code == MPPOOL_ETERMINATED || error->code == ECANCELED);
	sched_count(&calls.callbacks);
	act();
	returned = true;
}

static mppool_result *begin(int x)
{
	calls_begin(&calls);
	second = NULL;
	returned = false;
	pool = POOL(.workers = 1);
	return submit(pool, &calls, x, MPPOOL_CALL(.callback = done, .error_callback = failed, .userdata = &calls));
}

static void end(void)
{
	end_pool(pool);
	if (second)
		take_or(&calls, second, 2, MPPOOL_ETERMINATED, MPPOOL_ETERMINATED);
	SCHED_EQUAL(calls.callbacks, 1);
	calls_check(&calls);
}

/* The callback has returned before the result is ready. */
static void callback_then_ready(void)
{
	mppool_result *r;

	what = sched_variant(VARIANTS);
	r = begin(21);
	take(&calls, r, 21);
	SCHED_CHECK(returned);
	end();
}

static void error_callback_then_ready(void)
{
	mppool_result *r;

	what = sched_variant(VARIANTS);
	r = begin(FAILING);
	SCHED_EQUAL(take_or(&calls, r, FAILING, MPPOOL_ETASK, MPPOOL_ETASK), MPPOOL_ETASK);
	SCHED_CHECK(returned);
	end();
}

/* Whatever comes first, one callback is called once. */
static void callback_against_stop(void)
{
	mppool_result *r;
	bool cancel = sched_variant(2);

	what = sched_variant(2) ? TERMINATE : NOTHING;
	r = begin(21);
	if (cancel)
		mppool_result_cancel(r);
	else
		SCHED_EQUAL(mppool_terminate(pool), 0);
	if (sched_variant(2))
		mppool_result_free(r);
	else
		take_or(&calls, r, 21, MPPOOL_ETERMINATED, ECANCELED);
	end();
}

const struct sched_scenario sched_callbacks[] = {
	{"callback_then_ready", callback_then_ready},
	{"error_callback_then_ready", error_callback_then_ready},
	{"callback_against_stop", callback_against_stop},
	{NULL, NULL},
};
