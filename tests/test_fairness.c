/* SPDX-License-Identifier: MIT
 *
 * No call waits for ever while workers are free: the order in which calls start, and what may pass a call that waits. */
#include "support.h"

#include <stdatomic.h>
#include <unistd.h>

/* mppool_threads(7): the most calls that start before one that is the oldest of those that wait with it. */
#define BOUND(workers) (256 * (workers) + 1152)

/* A call that submits itself again until it is told to stop, and counts how often it ran. */
struct chain {
	mppool *pool;
	struct mppool_func func;
	atomic_long links, limit;        /* it ends by itself at the limit */
	int priority;
	atomic_bool stop;
};

static int link_call(const void *const args[], void *result, void *context)
{
	struct chain *const chain = context;

	(void)args, (void)result;
	if (atomic_fetch_add(&chain->links, 1) + 1 >= atomic_load(&chain->limit) || atomic_load(&chain->stop))
		return 0;
	return chain->priority == 0
	               ? mppool_apply_async(chain->pool, &chain->func, NULL, NULL, NULL)
	               : mppool_apply_async(chain->pool, &chain->func, NULL, MPPOOL_CALL(.priority = chain->priority), NULL);
}

static void chain_start(struct chain *chain, mppool *pool, int priority)
{
	chain->pool = pool;
	chain->func = make_func(link_call, 0, 0, chain);
	chain->priority = priority;
	atomic_init(&chain->links, 0);
	atomic_init(&chain->limit, 1000000);
	atomic_init(&chain->stop, false);
	assert_ok(mppool_apply_async(pool, &chain->func, NULL, MPPOOL_CALL(.priority = priority), NULL));
}

static long links_of(struct chain *chain)
{
	return atomic_load(&chain->links);
}

static int links_call(const void *const args[], void *result, void *context)
{
	(void)args;
	*(long *)result = links_of(context);
	return 0;
}

/* How many links start before a call that is submitted while the chain runs; counted from when it waits, for the submitter
 * may be kept from its CPU on the way there. */
static long links_before(struct chain *chain, int priority)
{
	const struct mppool_func func = make_func(links_call, 0, sizeof(long), chain);
	mppool_result *result;
	long before, after;

	while (links_of(chain) == 0)
		usleep(100);
	assert_ok(mppool_apply_async(chain->pool, &func, NULL, MPPOOL_CALL(.priority = priority), &result));
	before = links_of(chain);
	assert_ok(mppool_result_get(result, &after, MPPOOL_FOREVER));
	mppool_result_free(result);
	return after - before;
}

/* Chains by as many tasks as there are workers, of this priority, and a call of another priority or the same. */
START_TEST(call_starts_beside_chains_of_calls)
{
	static const struct {
		int chains, call;
	} row[] = {{0, 0}, {0, -1}, {1, 0}, {1, -1}, {-1, 0}, {0, 1}, {-1, 1}, {1, 1}, {-1, -1}};
	enum { MOST = 3 };
	const int workers = 1 + _i % MOST;
	const int chains = row[_i / MOST].chains, call = row[_i / MOST].call;
	mppool *const pool = pool_of(workers);
	struct chain chain[MOST];

	for (int i = 0; i < workers; i++)
		chain_start(&chain[i], pool, chains);
	for (int i = 0; i < 5; i++)
		ck_assert_int_le(links_before(&chain[i % workers], call), BOUND(workers));
	for (int i = 0; i < workers; i++)
		atomic_store(&chain[i].stop, true);
	pool_finish(pool);
}
END_TEST

/* A call of priority 1 is next, whatever the task that runs has submitted. Each link waits until it may go on, so that the
 * chain does not run away while the submitter has no CPU. */
struct stepped {
	mppool *pool;
	struct mppool_func func, urgent;
	struct gate gate;
	atomic_int links, seen;
	atomic_bool stop;
};

static int stepped_call(const void *const args[], void *result, void *context)
{
	struct stepped *const s = context;

	(void)args, (void)result;
	atomic_fetch_add(&s->links, 1);
	gate_wait(&s->gate);
	return atomic_load(&s->stop) ? 0 : mppool_apply_async(s->pool, &s->func, NULL, NULL, NULL);
}

static int see_call(const void *const args[], void *result, void *context)
{
	struct stepped *const s = context;

	(void)args, (void)result;
	atomic_store(&s->seen, atomic_load(&s->links));
	return 0;
}

START_TEST(urgent_call_is_next)
{
	struct stepped s = {.pool = pool_of(1)};

	s.func = make_func(stepped_call, 0, 0, &s);
	s.urgent = make_func(see_call, 0, 0, &s);
	gate_init(&s.gate);
	assert_ok(mppool_apply_async(s.pool, &s.func, NULL, NULL, NULL));
	gate_wait_arrivals(&s.gate, 1);
	assert_ok(mppool_apply_async(s.pool, &s.urgent, NULL, MPPOOL_CALL(.priority = 1), NULL));
	atomic_store(&s.stop, false);
	gate_open(&s.gate);
	while (atomic_load(&s.seen) == 0)
		usleep(100);
	ck_assert_int_eq(atomic_load(&s.seen), 1);
	atomic_store(&s.stop, true);
	pool_finish(s.pool);
	gate_destroy(&s.gate);
}
END_TEST

/* A task's own calls start in the order in which it submits them. */
static int fan_call(const void *const args[], void *result, void *context)
{
	struct stepped *const s = context;

	(void)args, (void)result;
	for (int i = 0; i < 100; i++)
		ignore_code(mppool_apply_async(s->pool, &s->urgent, MPPOOL_ARGS(&i), NULL, NULL));
	return 0;
}

static int note_call(const void *const args[], void *result, void *context)
{
	(void)result;
	record(context, int_arg(args, 0));
	return 0;
}

START_TEST(own_calls_start_in_order)
{
	struct recorder recorder;
	struct stepped s = {.pool = pool_of(1)};

	recorder_init(&recorder);
	s.func = make_func(fan_call, 0, 0, &s);
	s.urgent = make_func(note_call, 1, 0, &recorder);
	assert_ok(mppool_apply(s.pool, &s.func, NULL, NULL));
	pool_finish(s.pool);
	ck_assert(recorded_each_once(&recorder, 0, 100));
	ck_assert(recorded_ascending(&recorder));
	recorder_destroy(&recorder);
}
END_TEST

/* What a task has submitted is taken by others while the task itself stands still, although they have calls of their own
 * all the time. */
struct standing {
	mppool *pool;
	struct mppool_func child;
	struct gate gate;
	atomic_bool ran;
};

static int child_call(const void *const args[], void *result, void *context)
{
	struct standing *const s = context;

	(void)args, (void)result;
	atomic_store(&s->ran, true);
	gate_open(&s->gate);
	return 0;
}

static int stand_call(const void *const args[], void *result, void *context)
{
	struct standing *const s = context;

	(void)args, (void)result;
	ignore_code(mppool_apply_async(s->pool, &s->child, NULL, NULL, NULL));
	gate_wait(&s->gate);
	return 0;
}

START_TEST(call_in_the_deque_of_a_worker_that_stands_still_starts)
{
	struct standing s = {.pool = pool_of(2)};
	const struct mppool_func stand = make_func(stand_call, 0, 0, &s);
	struct chain chain;

	s.child = make_func(child_call, 0, 0, &s);
	gate_init(&s.gate);
	chain_start(&chain, s.pool, 0);
	assert_ok(mppool_apply(s.pool, &stand, NULL, NULL));
	ck_assert(atomic_load(&s.ran));
	atomic_store(&chain.stop, true);
	pool_finish(s.pool);
	gate_destroy(&s.gate);
}
END_TEST

/* A map and a stream beside chains, and calls beside a map of many chunks and beside a stream without an end. */
static int twice_call(const void *const args[], void *result, void *context)
{
	(void)context;
	*(int *)result = 2 * int_arg(args, 0);
	return 0;
}

static int count_up(void *const args[], void *state)
{
	atomic_int *const stop = state;

	*(int *)args[0] = 1;
	return atomic_load(stop) ? MPPOOL_ESTOP : 0;
}

START_TEST(batch_jobs_and_calls_let_each_other_start)
{
	const int xs[] = {1, 2, 3}, priority = _i - 1;
	mppool *const pool = pool_of(2);
	const struct mppool_func twice = make_func(twice_call, 1, sizeof(int), NULL);
	struct mppool_iterable endless = MPPOOL_ITERABLE_INIT;
	struct chain chain;
	atomic_int stop;
	mppool_result *result, *stream;
	int ys[3];

	atomic_init(&stop, 0);
	endless.next = count_up;
	endless.state = &stop;
	chain_start(&chain, pool, 0);
	assert_ok(mppool_map_async(pool, &twice, &endless, NULL, 1, NULL, &stream));
	assert_ok(mppool_map_async(pool, &twice, MPPOOL_ARRAY(xs, 3), ys, 1, MPPOOL_CALL(.priority = priority), &result));
	assert_ok(mppool_result_get(result, NULL, MPPOOL_FOREVER));
	mppool_result_free(result);
	ck_assert_int_eq(ys[2], 6);
	ck_assert_int_le(links_before(&chain, priority), BOUND(2));
	atomic_store(&stop, 1);
	atomic_store(&chain.stop, true);
	mppool_result_cancel(stream);
	mppool_result_free(stream);
	pool_finish(pool);
}
END_TEST

static void fill(Suite *suite)
{
	TCase *tcase = add_case(suite, "fairness");

	tcase_add_loop_test(tcase, call_starts_beside_chains_of_calls, 0, 27);
	tcase_add_test(tcase, urgent_call_is_next);
	tcase_add_test(tcase, own_calls_start_in_order);
	tcase_add_test(tcase, call_in_the_deque_of_a_worker_that_stands_still_starts);
	tcase_add_loop_test(tcase, batch_jobs_and_calls_let_each_other_start, 0, 3);
}

int main(int argc, char **argv)
{
	return run_suite("fairness", fill, argc, argv);
}
