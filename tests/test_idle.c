/* test_idle.c - mppool_wait_idle: when a pool counts as idle, who is told, and who may not wait
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE 1
#include "support.h"

#include <math.h>
#include <unistd.h>

#define SLOW (UNDER_ASAN || UNDER_TSAN || under_valgrind())

static const int numbers[100] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};

/* A thread beside the test that waits for idleness. */
struct waiter {
	mppool *pool;
	struct runner runner;
	atomic_int code;
};

static void wait_for_idleness(void *arg)
{
	struct waiter *const w = arg;

	atomic_store(&w->code, mppool_wait_idle(w->pool, MPPOOL_FOREVER));
}

static void waiter_start(struct waiter *w, mppool *pool)
{
	w->pool = pool;
	atomic_store(&w->code, -1);
	runner_start(&w->runner, wait_for_idleness, w);
}

static void waiter_returns(struct waiter *w)
{
	runner_join(&w->runner);
	assert_ok(atomic_load(&w->code));
}

/* As long as something is held at the gate nobody is told; then everybody. */
static void assert_busy_until_opened(mppool *pool, struct gate *gate)
{
	struct waiter waiters[3];

	gate_wait_arrivals(gate, 1);
	assert_code(mppool_wait_idle(pool, 0), ETIMEDOUT);
	assert_code(mppool_wait_idle(pool, 0.001), ETIMEDOUT);
	for (size_t i = 0; i < 3; i++)
		waiter_start(&waiters[i], pool);
	pause_briefly();
	for (size_t i = 0; i < 3; i++)
		ck_assert(!runner_done(&waiters[i].runner));
	gate_open(gate);
	for (size_t i = 0; i < 3; i++)
		waiter_returns(&waiters[i]);
}

/* --------------------------------------------------------------------------------------------- what counts as busy */

START_TEST(new_pool_is_idle_soon_and_stays_open)
{
	mppool *const pool = pool_of(3);
	const struct mppool_func func = make_func(square_call, 1, sizeof(int), NULL);
	int y = 0;

	assert_ok(mppool_wait_idle(pool, MPPOOL_FOREVER));
	assert_ok(mppool_wait_idle(pool, 0));
	ck_assert_int_eq(mppool_state(pool), MPPOOL_RUN);
	assert_ok(mppool_apply(pool, &func, MPPOOL_ARGS(&numbers[3]), &y));
	ck_assert_int_eq(y, 9);
	assert_ok(mppool_wait_idle(pool, 1000));
	pool_finish(pool);
}
END_TEST

START_TEST(running_and_waiting_calls_are_waited_for)
{
	mppool *const pool = pool_of(2);
	struct gate gate;
	mppool_result *result;

	gate_init(&gate);
	const struct mppool_func held = make_func(gate_call, 1, sizeof(int), &gate);
	const struct mppool_func func = make_func(square_call, 1, sizeof(int), NULL);
	assert_ok(mppool_apply_async(pool, &held, MPPOOL_ARGS(&numbers[1]), NULL, NULL));
	assert_ok(mppool_apply_async(pool, &held, MPPOOL_ARGS(&numbers[1]), NULL, NULL));
	assert_ok(mppool_apply_async(pool, &func, MPPOOL_ARGS(&numbers[2]), NULL, &result));
	assert_busy_until_opened(pool, &gate);
	ck_assert(mppool_result_ready(result));
	mppool_result_free(result);
	pool_finish(pool);
	gate_destroy(&gate);
}
END_TEST

START_TEST(map_is_waited_for)
{
	mppool *const pool = pool_of(2);
	struct gate gate;
	mppool_result *result;

	gate_init(&gate);
	const struct mppool_func held = make_func(gate_call, 1, sizeof(int), &gate);
	assert_ok(mppool_map_async(pool, &held, MPPOOL_ARRAY(numbers, 20), NULL, 3, NULL, &result));
	assert_busy_until_opened(pool, &gate);
	ck_assert(mppool_result_ready(result));
	mppool_result_free(result);
	pool_finish(pool);
	gate_destroy(&gate);
}
END_TEST

static void callback_at_gate(const void *results, size_t n, void *userdata)
{
	(void)results;
	(void)n;
	gate_wait(userdata);
}

START_TEST(callback_is_waited_for)
{
	mppool *const pool = pool_of(2);
	struct gate gate;
	const struct mppool_func func = make_func(square_call, 1, sizeof(int), NULL);

	gate_init(&gate);
	for (int i = 0; i < 3; i++)
		assert_ok(mppool_apply_async(pool, &func, MPPOOL_ARGS(&numbers[i]),
		                             MPPOOL_CALL(.callback = callback_at_gate, .userdata = &gate), NULL));
	assert_busy_until_opened(pool, &gate);
	ck_assert_uint_eq(gate_departures(&gate), 3);
	pool_finish(pool);
	gate_destroy(&gate);
}
END_TEST

START_TEST(generator_is_waited_for)
{
	mppool *const pool = pool_of(2);
	struct gate gate;
	struct source source = {.length = 10, .gate = &gate, .block_at = 4};
	mppool_iter *iter = NULL;
	const struct mppool_func func = make_func(square_call, 1, sizeof(int), NULL);

	gate_init(&gate);
	const struct mppool_iterable items = source_items(&source);
	assert_ok(mppool_imap(pool, &func, &items, 1, 0, NULL, &iter));
	assert_busy_until_opened(pool, &gate);
	ck_assert_uint_eq(atomic_load(&source.drawn), 10);
	ck_assert_uint_eq(atomic_load(&source.finished), 1);
	mppool_iter_free(iter);
	pool_finish(pool);
	gate_destroy(&gate);
}
END_TEST

/* -------------------------------------------------------------------------------------------------- full iterators */

/* Both kinds of input, both orders, chunks of one and of three: once for each _i. */
START_TEST(full_iterator_counts_as_idle)
{
	mppool *const pool = pool_of(2);
	struct source source = SOURCE(100);
	const bool generated = _i & 1, unordered = _i & 2;
	const size_t chunksize = _i & 4 ? 3 : 1;
	const struct mppool_iterable items = source_items(&source);
	const struct mppool_func func = make_func(square_call, 1, sizeof(int), NULL);
	mppool_iter *iter = NULL;
	int code;
	size_t n = 0;

	assert_ok((unordered ? mppool_imap_unordered : mppool_imap)(
		pool, &func, generated ? &items : MPPOOL_ARRAY(numbers, 100), chunksize, 7, NULL, &iter));
	assert_ok(mppool_wait_idle(pool, MPPOOL_FOREVER));
	if (generated)
		ck_assert_uint_eq(atomic_load(&source.drawn), 7);
	while ((code = mppool_iter_next(iter, NULL, NULL, MPPOOL_FOREVER)) == 0)
		if (++n % 10 == 0)
			assert_ok(mppool_wait_idle(pool, MPPOOL_FOREVER));
	assert_code(code, MPPOOL_ESTOP);
	ck_assert_uint_eq(n, 100);
	assert_ok(mppool_wait_idle(pool, MPPOOL_FOREVER));
	mppool_iter_free(iter);
	pool_finish(pool);
}
END_TEST

START_TEST(task_beside_a_full_iterator_is_waited_for)
{
	mppool *const pool = pool_of(2);
	struct gate gate;
	mppool_iter *iter = NULL;
	const struct mppool_func func = make_func(square_call, 1, sizeof(int), NULL);

	gate_init(&gate);
	const struct mppool_func held = make_func(gate_call, 1, sizeof(int), &gate);
	assert_ok(mppool_imap(pool, &func, MPPOOL_ARRAY(numbers, 100), 1, 5, NULL, &iter));
	assert_ok(mppool_wait_idle(pool, MPPOOL_FOREVER));
	assert_ok(mppool_apply_async(pool, &held, MPPOOL_ARGS(&numbers[1]), NULL, NULL));
	assert_busy_until_opened(pool, &gate);
	mppool_iter_free(iter);
	pool_finish(pool);
	gate_destroy(&gate);
}
END_TEST

/* Takes from the iterator that `state` is. */
static int chained_next(void *const args[], void *state)
{
	return mppool_iter_next(state, args[0], NULL, MPPOOL_FOREVER);
}

/* A generator that takes from another iterator of the pool sets that one going again: both have to be full. */
START_TEST(chained_iterators_are_idle_when_all_are_full)
{
	mppool *const pool = pool_of(2);
	mppool_iter *inner = NULL, *outer = NULL;
	const struct mppool_func func = make_func(square_call, 1, sizeof(int), NULL);
	struct mppool_iterable items = {.size = sizeof items, .next = chained_next};
	size_t n = 0;

	for (int round = 0; round < (SLOW ? 20 : 200); round++) {
		assert_ok(mppool_imap(pool, &func, MPPOOL_ARRAY(numbers, 40), 1, 3, NULL, &inner));
		items.state = inner;
		assert_ok(mppool_imap(pool, &func, &items, 1, 4, NULL, &outer));
		assert_ok(mppool_wait_idle(pool, MPPOOL_FOREVER));
		for (n = 0; n < 4; n++)          /* all that fits is there */
			assert_ok(mppool_iter_next(outer, NULL, NULL, 0));
		while (mppool_iter_next(outer, NULL, NULL, MPPOOL_FOREVER) == 0)
			n++;
		ck_assert_uint_eq(n, 40);
		mppool_iter_free(outer);
		mppool_iter_free(inner);
	}
	pool_finish(pool);
}
END_TEST

/* ------------------------------------------------------------------------------------------------ who may not wait */

struct asked {
	mppool *pool;
	atomic_int task, callback, generator, initializer, finalizer;
};

static int asking_call(const void *const args[], void *result, void *context)
{
	struct asked *const asked = context;

	(void)args;
	(void)result;
	atomic_store(&asked->task, mppool_wait_idle(mppool_current(), MPPOOL_FOREVER));
	return 0;
}

static void asking_callback(const void *results, size_t n, void *userdata)
{
	struct asked *const asked = userdata;

	(void)results;
	(void)n;
	atomic_store(&asked->callback, mppool_wait_idle(mppool_current(), MPPOOL_FOREVER));
}

static int asking_next(void *const args[], void *state)
{
	struct asked *const asked = state;

	(void)args;
	atomic_store(&asked->generator, mppool_wait_idle(mppool_current(), MPPOOL_FOREVER));
	return MPPOOL_ESTOP;
}

static int asking_initializer(void *initarg, void **ret_state)
{
	struct asked *const asked = initarg;

	(void)ret_state;
	atomic_store(&asked->initializer, mppool_wait_idle(mppool_current(), MPPOOL_FOREVER));
	return 0;
}

static void asking_finalizer(void *initarg, void *state)
{
	struct asked *const asked = initarg;

	(void)state;
	atomic_store(&asked->finalizer, mppool_wait_idle(mppool_current(), MPPOOL_FOREVER));
}

START_TEST(own_threads_are_told_that_they_would_wait_for_themselves)
{
	struct asked asked = {.pool = NULL};
	struct mppool_iterable items = {.size = sizeof items, .next = asking_next, .state = &asked};
	const struct mppool_func func = make_func(asking_call, 0, 0, &asked);
	mppool_iter *iter = NULL;
	int n = 0;

	assert_ok(mppool_create(MPPOOL_OPTIONS(.workers = 1, .initializer = asking_initializer,
	                                       .finalizer = asking_finalizer, .initarg = &asked),
	                        &asked.pool));
	assert_ok(mppool_apply_async(asked.pool, &func, NULL,
	                             MPPOOL_CALL(.callback = asking_callback, .userdata = &asked), NULL));
	assert_ok(mppool_imap(asked.pool, &func, &items, 1, 0, NULL, &iter));
	assert_code(mppool_iter_next(iter, &n, NULL, MPPOOL_FOREVER), MPPOOL_ESTOP);
	mppool_iter_free(iter);
	pool_finish(asked.pool);
	assert_code(atomic_load(&asked.task), EDEADLK);
	assert_code(atomic_load(&asked.callback), EDEADLK);
	assert_code(atomic_load(&asked.generator), EDEADLK);
	assert_code(atomic_load(&asked.initializer), EDEADLK);
	assert_code(atomic_load(&asked.finalizer), EDEADLK);
}
END_TEST

static int waits_for_other_call(const void *const args[], void *result, void *context)
{
	(void)args;
	*(int *)result = mppool_wait_idle(context, MPPOOL_FOREVER);
	return 0;
}

START_TEST(task_may_wait_for_another_pool)
{
	mppool *const pool = pool_of(1), *const other = pool_of(1);
	const struct mppool_func func = make_func(waits_for_other_call, 0, sizeof(int), other);
	int code = -1;

	assert_ok(mppool_apply(pool, &func, NULL, &code));
	assert_ok(code);
	pool_finish(pool);
	pool_finish(other);
}
END_TEST

START_TEST(bad_arguments_are_refused)
{
	mppool *const pool = pool_of(1);

	assert_code(mppool_wait_idle(NULL, 0), EINVAL);
	assert_code(mppool_wait_idle(pool, (double)NAN), EINVAL);
	assert_ok(mppool_wait_idle(pool, (double)INFINITY));
	pool_finish(pool);
}
END_TEST

START_TEST(forked_child_is_told_whose_pool_it_is)
{
	mppool *const pool = pool_of(1);
	const pid_t child = fork_watched();

	if (child == 0) {
		CHILD_CHECK(mppool_wait_idle(pool, MPPOOL_FOREVER) == MPPOOL_EFORKED);
		child_leaves();
	}
	child_ends_well(child);
	pool_finish(pool);
}
END_TEST

/* ----------------------------------------------------------------------------------------------------- ended pools */

START_TEST(terminated_pool_is_idle_when_what_runs_has_returned)
{
	mppool *const pool = pool_of(2);
	struct gate gate;
	mppool_result *held[2], *waiting;

	gate_init(&gate);
	const struct mppool_func func = make_func(gate_call, 1, sizeof(int), &gate);
	for (int i = 0; i < 2; i++)
		assert_ok(mppool_apply_async(pool, &func, MPPOOL_ARGS(&numbers[i]), NULL, &held[i]));
	gate_wait_arrivals(&gate, 2);
	assert_ok(mppool_apply_async(pool, &func, MPPOOL_ARGS(&numbers[2]), NULL, &waiting));
	assert_ok(mppool_terminate(pool));
	assert_busy_until_opened(pool, &gate);
	for (int i = 0; i < 2; i++) {
		ck_assert(mppool_result_ready(held[i]));
		mppool_result_free(held[i]);
	}
	assert_code(mppool_result_get(waiting, NULL, 0), MPPOOL_ETERMINATED);
	mppool_result_free(waiting);
	assert_ok(mppool_join(pool, MPPOOL_FOREVER));
	assert_ok(mppool_wait_idle(pool, 0));
	assert_ok(mppool_destroy(pool));
	gate_destroy(&gate);
}
END_TEST

START_TEST(closed_pool_is_idle_when_it_is_done)
{
	mppool *const pool = pool_of(2);
	struct gate gate;

	gate_init(&gate);
	const struct mppool_func func = make_func(gate_call, 1, sizeof(int), &gate);
	for (int i = 0; i < 5; i++)
		assert_ok(mppool_apply_async(pool, &func, MPPOOL_ARGS(&numbers[i]), NULL, NULL));
	gate_wait_arrivals(&gate, 1);
	assert_ok(mppool_close(pool));
	assert_busy_until_opened(pool, &gate);
	ck_assert_uint_eq(gate_departures(&gate), 5);
	assert_ok(mppool_join(pool, MPPOOL_FOREVER));
	assert_ok(mppool_wait_idle(pool, 0));
	assert_ok(mppool_destroy(pool));
	gate_destroy(&gate);
}
END_TEST

/* The second initializer of the one worker fails. */
static int fails_later(void *initarg, void **ret_state)
{
	(void)ret_state;
	return atomic_fetch_add((atomic_int *)initarg, 1) == 0 ? 0 : EIO;
}

START_TEST(broken_pool_is_idle)
{
	atomic_int started = 0;
	mppool *pool = NULL;
	const struct mppool_func func = make_func(square_call, 1, sizeof(int), NULL);

	assert_ok(mppool_create(MPPOOL_OPTIONS(.workers = 1, .initializer = fails_later, .initarg = &started,
	                                       .max_tasks_per_worker = 1),
	                        &pool));
	assert_ok(mppool_apply(pool, &func, MPPOOL_ARGS(&numbers[1]), NULL));
	while (mppool_state(pool) != MPPOOL_BROKEN)
		mppool_wait_idle(pool, 0.001);
	assert_ok(mppool_wait_idle(pool, MPPOOL_FOREVER));
	assert_ok(mppool_destroy(pool));
}
END_TEST

static int leaving_call(const void *const args[], void *result, void *context)
{
	(void)args;
	(void)result;
	(void)context;
	pthread_exit(NULL);
}

START_TEST(pool_with_a_lost_worker_is_idle)
{
	mppool *const pool = pool_of(2);
	const struct mppool_func func = make_func(leaving_call, 0, 0, NULL);

	for (int i = 0; i < 5; i++) {
		assert_ok(mppool_apply_async(pool, &func, NULL, NULL, NULL));
		assert_ok(mppool_wait_idle(pool, MPPOOL_FOREVER));
	}
	pool_finish(pool);
}
END_TEST

/* ----------------------------------------------------------------------------------------------------------- races */

struct spawn {
	mppool *pool;
	atomic_int ran, called_back;
};

static void count_callback(const void *results, size_t n, void *userdata)
{
	(void)results;
	(void)n;
	atomic_fetch_add(&((struct spawn *)userdata)->called_back, 1);
}

/* Splits itself until the argument is 0. */
static int spawn_call(const void *const args[], void *result, void *context)
{
	struct spawn *const spawn = context;
	const int depth = int_arg(args, 0), next = depth - 1;
	const struct mppool_func func = make_func(spawn_call, 1, sizeof(int), spawn);

	(void)result;
	atomic_fetch_add(&spawn->ran, 1);
	if (depth == 0)
		return 0;
	if (mppool_apply_async(spawn->pool, &func, MPPOOL_ARGS(&next), NULL, NULL) != 0)
		return EIO;
	return mppool_apply_async(spawn->pool, &func, MPPOOL_ARGS(&next),
	                          depth % 2 ? MPPOOL_CALL(.callback = count_callback, .userdata = spawn) : NULL, NULL);
}

#define DEPTH 5

/* What tasks submit without waiting for it is waited for: all 2^6 - 1 have run when the pool is idle. */
START_TEST(idle_means_that_nothing_is_left)
{
	struct spawn spawn = {.pool = pool_of(1 + _i)};
	const struct mppool_func func = make_func(spawn_call, 1, sizeof(int), &spawn);
	const int depth = DEPTH, rounds = SLOW ? 50 : 1000, all = (2 << DEPTH) - 1;

	for (int i = 1; i <= rounds; i++) {
		assert_ok(mppool_apply_async(spawn.pool, &func, MPPOOL_ARGS(&depth), NULL, NULL));
		assert_ok(mppool_wait_idle(spawn.pool, MPPOOL_FOREVER));
		ck_assert_int_eq(atomic_load(&spawn.ran), i * all);
		ck_assert_int_eq(atomic_load(&spawn.called_back), i * 21);       /* 1 + 4 + 16: depths 5, 3 and 1 */
	}
	pool_finish(spawn.pool);
}
END_TEST

static void submit_and_wait(size_t i, void *arg)
{
	struct spawn *const spawn = arg;
	const struct mppool_func func = make_func(spawn_call, 1, sizeof(int), spawn);
	const int depth = 2;

	for (int round = 0; round < (SLOW ? 50 : 1000); round++) {
		if (i % 2 == 0 && mppool_apply_async(spawn->pool, &func, MPPOOL_ARGS(&depth), NULL, NULL) != 0)
			return;
		if (mppool_wait_idle(spawn->pool, MPPOOL_FOREVER) != 0)
			return;
	}
	atomic_fetch_add(&spawn->called_back, 1000000);
}

START_TEST(many_waiters_come_through_beside_many_submitters)
{
	struct spawn spawn = {.pool = pool_of(3)};

	run_in_threads(4, submit_and_wait, &spawn);
	ck_assert_int_eq(atomic_load(&spawn.called_back) / 1000000, 4);
	pool_finish(spawn.pool);
}
END_TEST

static void consume(void *arg)
{
	while (mppool_iter_next(arg, NULL, NULL, MPPOOL_FOREVER) == 0)
		;
}

/* The last to make a pool idle may be a consumer that draws columns. */
START_TEST(waiter_beside_a_consumer_comes_through)
{
	mppool *const pool = pool_of(2);
	const struct mppool_func func = make_func(square_call, 1, sizeof(int), NULL);
	struct source source;

	for (int round = 0; round < (SLOW ? 20 : 300); round++) {
		struct runner runner;
		mppool_iter *iter = NULL;
		source = (struct source)SOURCE(100);
		const struct mppool_iterable items = source_items(&source);
		assert_ok(mppool_imap(pool, &func, round % 2 ? &items : MPPOOL_ARRAY(numbers, 100),
		                      1 + (size_t)round % 3, 4, NULL, &iter));
		runner_start(&runner, consume, iter);
		for (int i = 0; i < 20; i++)
			assert_ok(mppool_wait_idle(pool, MPPOOL_FOREVER));
		runner_join(&runner);
		assert_ok(mppool_wait_idle(pool, MPPOOL_FOREVER));
		mppool_iter_free(iter);
	}
	pool_finish(pool);
}
END_TEST

static void terminate_later(void *arg)
{
	mppool_terminate(arg);
}

START_TEST(waiter_comes_through_when_the_pool_is_terminated)
{
	for (int round = 0; round < (SLOW ? 20 : 200); round++) {
		mppool *const pool = pool_of(2);
		struct runner runner;
		const struct mppool_func func = make_func(square_call, 1, sizeof(int), NULL);
		mppool_result *result;
		assert_ok(mppool_map_async(pool, &func, MPPOOL_ARRAY(numbers, 100), NULL, 1, NULL, &result));
		runner_start(&runner, terminate_later, pool);
		assert_ok(mppool_wait_idle(pool, MPPOOL_FOREVER));
		ck_assert(mppool_result_ready(result));
		mppool_result_free(result);
		runner_join(&runner);
		assert_ok(mppool_destroy(pool));
	}
}
END_TEST

/* ----------------------------------------------------------------------------------------------------- the program */

static void fill(Suite *suite)
{
	TCase *const busy = add_case(suite, "busy");
	TCase *const full = add_case(suite, "full");
	TCase *const refused = add_case(suite, "refused");
	TCase *const ended = add_case(suite, "ended");
	TCase *const races = add_case(suite, "races");

	tcase_add_test(busy, new_pool_is_idle_soon_and_stays_open);
	tcase_add_test(busy, running_and_waiting_calls_are_waited_for);
	tcase_add_test(busy, map_is_waited_for);
	tcase_add_test(busy, callback_is_waited_for);
	tcase_add_test(busy, generator_is_waited_for);
	tcase_add_loop_test(full, full_iterator_counts_as_idle, 0, 8);
	tcase_add_test(full, task_beside_a_full_iterator_is_waited_for);
	tcase_add_test(full, chained_iterators_are_idle_when_all_are_full);
	tcase_add_test(refused, own_threads_are_told_that_they_would_wait_for_themselves);
	tcase_add_test(refused, task_may_wait_for_another_pool);
	tcase_add_test(refused, bad_arguments_are_refused);
	tcase_add_test(refused, forked_child_is_told_whose_pool_it_is);
	tcase_add_test(ended, terminated_pool_is_idle_when_what_runs_has_returned);
	tcase_add_test(ended, closed_pool_is_idle_when_it_is_done);
	tcase_add_test(ended, broken_pool_is_idle);
	tcase_add_test(ended, pool_with_a_lost_worker_is_idle);
	tcase_add_loop_test(races, idle_means_that_nothing_is_left, 0, 3);
	tcase_add_test(races, many_waiters_come_through_beside_many_submitters);
	tcase_add_test(races, waiter_beside_a_consumer_comes_through);
	tcase_add_test(races, waiter_comes_through_when_the_pool_is_terminated);
}

int main(int argc, char **argv)
{
	return run_suite("idle", fill, argc, argv);
}
