/* SPDX-License-Identifier: MIT
 *
 * Scenarios: the pool's counters, read while everybody counts; rows of a trace, written while the pool ends. */
#include "scenarios.h"

#include <errno.h>

static struct calls calls;
static struct counter counter;
static mppool *pool;
static mppool_result *nested;

/* What ended was submitted before, in each snapshot by itself. */
static struct mppool_counters look(void)
{
	struct mppool_counters c = MPPOOL_COUNTERS_INIT;

	SCHED_EQUAL(mppool_stats(pool, &c), 0);
	SCHED_CHECK(c.done + c.failed + c.cancelled + c.dropped <= c.submitted);
	SCHED_CHECK(c.waiting <= c.submitted);
	SCHED_CHECK(c.running <= 4);
	SCHED_CHECK(c.queued <= c.most_queued);
	SCHED_CHECK(c.workers_busy <= c.most_busy && c.most_busy <= c.workers);
	SCHED_CHECK(c.workers_alive <= c.workers && c.workers == 2);
	return c;
}

/* No count ever goes back. */
static void look_again(void *unused)
{
	struct mppool_counters now, before = look();

	(void)unused;
	for (int i = 0; i < 2; i++, before = now) {
		now = look();
		SCHED_CHECK(now.submitted >= before.submitted);
		SCHED_CHECK(now.done >= before.done && now.failed >= before.failed);
		SCHED_CHECK(now.cancelled >= before.cancelled && now.dropped >= before.dropped);
		SCHED_CHECK(now.most_queued >= before.most_queued && now.most_busy >= before.most_busy);
		SCHED_CHECK(now.seconds_busy >= before.seconds_busy && now.seconds_idle >= before.seconds_idle);
	}
}

static void begin(const char *trace)
{
	calls_begin(&calls);
	pool = POOL(.workers = 2, .trace = trace, .flags = sched_variant(2) ? MPPOOL_CALLER_HELPS : 0);
}

/* Nothing runs any more: the counts are exact. */
static void end(void)
{
	struct mppool_counters c;

	if (sched_variant(2))
		SCHED_EQUAL(mppool_terminate(pool), 0);
	else
		SCHED_EQUAL(mppool_close(pool), 0);
	SCHED_EQUAL(mppool_join(pool, MPPOOL_FOREVER), 0);
	c = look();
	SCHED_EQUAL(c.submitted, calls.items);
	SCHED_EQUAL(c.done + c.failed, calls.runs);
	SCHED_EQUAL(c.failed, calls.fails);
	SCHED_EQUAL(c.cancelled + c.dropped, calls.items - calls.runs);
	SCHED_EQUAL(c.running, 0);
	SCHED_EQUAL(c.waiting, 0);
	SCHED_EQUAL(c.workers_busy, 0);
	SCHED_EQUAL(mppool_destroy(pool), 0);
	calls_check(&calls);
}

/* Whoever has a result finds its item counted. */
static void stats_beside_calls(void)
{
	struct sched_thread *watcher;
	mppool_result *a, *b;
	int cancelled;

	begin(NULL);
	watcher = sched_spawn("watcher", look_again, NULL);
	a = submit(pool, &calls, 1, NULL);
	b = submit(pool, &calls, FAILING, NULL);
	take(&calls, a, 1);
	SCHED_CHECK(look().done >= 1);
	cancelled = sched_variant(2) && mppool_result_cancel(b) == 0;
	take_or(&calls, b, FAILING, MPPOOL_ETASK, ECANCELED);
	SCHED_CHECK(cancelled || look().failed == 1);
	sched_join(watcher);
	end();
}

static int submit_nested(const void *const args[], void *result, void *context)
{
	mppool_result *inner = submit(pool, &calls, *(const int *)args[0], NULL);

	(void)context;
	if (sched_variant(2)) {
		take(&calls, inner, *(const int *)args[0]);
		inner = NULL;
	}
	*(mppool_result **)result = inner;
	return 0;
}

/* What a task submits is counted by its worker, and its end by whoever stole it. */
static void stats_of_nested_calls(void)
{
	struct mppool_func outer = {.size = sizeof outer, .call = submit_nested, .nargs = 1,
	                            .arg_size = {sizeof(int)}, .result_size = sizeof nested};
	struct mppool_counters c = MPPOOL_COUNTERS_INIT;
	struct sched_thread *watcher;
	const int x = 3;

	begin(NULL);
	watcher = sched_spawn("watcher", look_again, NULL);
	SCHED_EQUAL(mppool_apply(pool, &outer, MPPOOL_ARGS(&x), &nested), 0);
	if (nested)
		take(&calls, nested, x);
	SCHED_EQUAL(mppool_stats(pool, &c), 0);
	SCHED_EQUAL(c.submitted, 2);
	SCHED_EQUAL(c.done, 2);
	sched_join(watcher);
	SCHED_EQUAL(mppool_destroy(pool), 0);
	calls_check(&calls);
}

/* A map of an array or of a generator, cancelled or not, or cut off by the pool's end. */
static void stats_beside_a_map(void)
{
	static const int xs[3] = {1, 2, 3};
	const bool generator = sched_variant(2);
	const struct mppool_iterable *array = MPPOOL_ARRAY(xs, 3);
	struct mppool_iterable generated = counting(&counter);
	mppool_result *result = NULL;
	struct sched_thread *watcher;

	begin(NULL);
	counter = (struct counter){.length = 3, .fails_at = -1, .calls = &calls};
	watcher = sched_spawn("watcher", look_again, NULL);
	SCHED_EQUAL(mppool_map_async(pool, &calls.func, generator ? &generated : array, NULL, 1, NULL, &result), 0);
	calls.accepted = 1;
	if (!generator)
		calls.items = 3;
	if (sched_variant(2))
		mppool_result_cancel(result);
	sched_join(watcher);
	mppool_result_free(result);
	end();
}

/* Every thread has a row, notes what it does there, and leaves it; those from outside share one. */
static void trace_beside_the_end(void)
{
	mppool_result *a, *b;

	begin("trace");
	a = submit(pool, &calls, 1, NULL);
	b = submit(pool, &calls, 2, NULL);
	take(&calls, a, 1);
	if (sched_variant(2))
		take(&calls, b, 2);
	else
		mppool_result_free(b);
	end_pool(pool);
	calls_check(&calls);
}

const struct sched_scenario sched_stats[] = {
	{"stats_beside_calls", stats_beside_calls},
	{"stats_of_nested_calls", stats_of_nested_calls},
	{"stats_beside_a_map", stats_beside_a_map},
	{"trace_beside_the_end", trace_beside_the_end},
	{NULL, NULL},
};
