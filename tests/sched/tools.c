/* SPDX-License-Identifier: MIT
 *
 * What several scenarios use. */
#include "scenarios.h"

#include <errno.h>

/* ----------------------------------------------------------------------------------------------------------- pools */

mppool *make_pool(const struct mppool_options *options)
{
	mppool *pool = NULL;

	SCHED_EQUAL(mppool_create(options, &pool), 0);
	return pool;
}

void finish_pool(mppool *pool)
{
	SCHED_EQUAL(mppool_close(pool), 0);
	if (sched_variant(2) == 0)
		SCHED_EQUAL(mppool_join(pool, MPPOOL_FOREVER), 0);
	SCHED_EQUAL(mppool_destroy(pool), 0);
}

void end_pool(mppool *pool)
{
	switch (sched_variant(3)) {
	case 0:
		SCHED_EQUAL(mppool_close(pool), 0);
		break;
	case 1:
		SCHED_EQUAL(mppool_terminate(pool), 0);
		SCHED_EQUAL(mppool_join(pool, MPPOOL_FOREVER), 0);
		break;
	}
	SCHED_EQUAL(mppool_destroy(pool), 0);
}

struct staff staff;

void staff_begin(unsigned works)
{
	staff = (struct staff){0, 0, works};
}

int staff_initialize(void *arg, void **ret_state)
{
	unsigned before = staff.initialized;

	sched_count(&staff.initialized);
	*ret_state = arg;
	return before < staff.works ? 0 : EDOM;
}

void staff_finalize(void *arg, void *state)
{
	SCHED_CHECK(arg == state);
	sched_count(&staff.finalized);
}

/* ----------------------------------------------------------------------------------------------------------- calls */

static int double_it(const void *const args[], void *result, void *context)
{
	struct calls *calls = context;

	sched_count(&calls->runs);
	if (*(const int *)args[0] == FAILING) {
		sched_count(&calls->fails);
		return EDOM;
	}
	*(long *)result = 2L * *(const int *)args[0];
	return 0;
}

static void count_args(const void *const args[], void *context)
{
	struct calls *calls = context;

	SCHED_CHECK(*(const int *)args[0] >= 0);
	sched_count(&calls->args);
}

static void count_result(void *result, void *context)
{
	SCHED_CHECK(*(long *)result % 2 == 0);
	sched_count(&((struct calls *)context)->results);
}

static void count_release(void *context)
{
	sched_count(&((struct calls *)context)->releases);
}

void calls_begin(struct calls *calls)
{
	*calls = (struct calls){.func = {.size = sizeof calls->func, .call = double_it, .nargs = 1,
	                                 .arg_size = {sizeof(int)}, .result_size = sizeof(long), .context = calls,
	                                 .drop_args = count_args, .drop_result = count_result,
	                                 .release = count_release}};
}

void calls_check(const struct calls *calls)
{
	SCHED_EQUAL(calls->releases, calls->accepted);
	SCHED_EQUAL(calls->args, calls->items);
	SCHED_CHECK(calls->runs <= calls->items);
	if (!calls->lost)
		SCHED_EQUAL(calls->runs - calls->fails, calls->results + calls->taken);
}

mppool_result *submit(mppool *pool, struct calls *calls, int x, const struct mppool_call_options *options)
{
	mppool_result *result = NULL;

	SCHED_EQUAL(mppool_apply_async(pool, &calls->func, MPPOOL_ARGS(&x), options, &result), 0);
	SCHED_CHECK(result != NULL);
	sched_count(&calls->accepted);
	sched_count(&calls->items);
	return result;
}

int take_or(struct calls *calls, mppool_result *result, int x, int code, int other_code)
{
	long y = -1;
	int error = mppool_result_get(result, &y, MPPOOL_FOREVER);

	if (error) {
		SCHED_CHECK(error == code || error == other_code);
		SCHED_EQUAL(y, -1);
	} else {
		SCHED_EQUAL(y, 2 * x);
		sched_count(&calls->taken);
	}
	SCHED_EQUAL(mppool_result_ready(result), 1);
	mppool_result_free(result);
	return error;
}

void take(struct calls *calls, mppool_result *result, int x)
{
	SCHED_EQUAL(take_or(calls, result, x, 0, 0), 0);
}

/* ------------------------------------------------------------------------------------------------------ generators */

/* Plain members: no two threads may be in here without order. */
static int count_on(void *const args[], void *state)
{
	struct counter *c = state;

	if (c->fails_at >= 0 && c->next == (unsigned)c->fails_at)
		return EDOM;
	if (c->next == c->length)
		return MPPOOL_ESTOP;
	*(int *)args[0] = (int)c->next++;
	sched_count(&c->calls->items);
	return 0;
}

static void count_finish(void *state)
{
	struct counter *c = state;

	c->length = 0;
	sched_count(&c->calls->finishes);
}

struct mppool_iterable counting(struct counter *counter)
{
	return (struct mppool_iterable){.size = sizeof(struct mppool_iterable), .next = count_on,
	                                .finish = count_finish, .state = counter};
}
