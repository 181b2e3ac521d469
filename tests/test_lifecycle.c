/* test_lifecycle.c - pools from their first thread to their last, in every order and from every kind of thread
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE 1
#include "support.h"

#include <dirent.h>
#include <limits.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SLOW (UNDER_ASAN || UNDER_TSAN || under_valgrind())

static void square_works(mppool *pool)
{
	const int xs[] = {1, 2, 3, 4, 5, 6, 7};
	int ys[7] = {0};
	const struct mppool_func func = make_func(square_call, 1, sizeof(int), NULL);

	assert_ok(mppool_map(pool, &func, MPPOOL_ARRAY(xs, 7), ys, 1));
	for (int i = 0; i < 7; i++)
		ck_assert_int_eq(ys[i], xs[i] * xs[i]);
}

static bool cpu_is_in(const cpu_set_t *set, int cpu)
{
	return CPU_ISSET((size_t)cpu, set);
}

static int first_cpu(const cpu_set_t *set)
{
	int cpu = 0;

	while (!cpu_is_in(set, cpu))
		cpu++;
	return cpu;
}

static void assert_no_threads(void)
{
	ck_assert_uint_eq(threads_settle("mppool", 0), 0);
}

/* ---------------------------------------------------------------------------------------------------------- states */

START_TEST(new_pool_runs_and_has_its_workers)
{
	mppool *pool = NULL;

	assert_ok(mppool_create(MPPOOL_OPTIONS(.workers = 5), &pool));
	ck_assert_int_eq(mppool_state(pool), MPPOOL_RUN);
	ck_assert_uint_eq(threads_settle("mppool-w", 5), 5);
	square_works(pool);
	pool_finish(pool);
	assert_no_threads();
}
END_TEST

START_TEST(default_number_of_workers_is_the_cpu_count)
{
	mppool *pool = NULL;
	const int cpus = mppool_cpu_count();

	unsetenv("MPPOOL_WORKERS");
	ck_assert_int_ge(cpus, 1);
	assert_ok(mppool_create(NULL, &pool));
	ck_assert_uint_eq(threads_settle("mppool-w", (size_t)cpus), (size_t)cpus);
	square_works(pool);
	pool_finish(pool);
}
END_TEST

START_TEST(cpu_count_follows_the_affinity)
{
	cpu_set_t all, one;

	ck_assert_int_eq(sched_getaffinity(0, sizeof all, &all), 0);
	ck_assert_int_le(mppool_cpu_count(), CPU_COUNT(&all));
	CPU_ZERO(&one);
	CPU_SET((size_t)first_cpu(&all), &one);
	ck_assert_int_eq(sched_setaffinity(0, sizeof one, &one), 0);
	ck_assert_int_eq(mppool_cpu_count(), 1);
	ck_assert_int_eq(sched_setaffinity(0, sizeof all, &all), 0);
}
END_TEST

START_TEST(environment_sets_the_default_number_of_workers)
{
	mppool *pool = NULL;

	setenv("MPPOOL_WORKERS", "7", 1);
	assert_ok(mppool_create(NULL, &pool));
	ck_assert_uint_eq(threads_settle("mppool-w", 7), 7);
	pool_finish(pool);
	assert_ok(mppool_create(MPPOOL_OPTIONS(.name = "other"), &pool));
	ck_assert_uint_eq(threads_settle("other-w", 7), 7);
	pool_finish(pool);
	/* What the program says itself counts more. */
	assert_ok(mppool_create(MPPOOL_OPTIONS(.workers = 2), &pool));
	ck_assert_uint_eq(threads_settle("mppool-w", 2), 2);
	pool_finish(pool);
	unsetenv("MPPOOL_WORKERS");
}
END_TEST

START_TEST(close_and_terminate_are_idempotent_in_every_order)
{
	/* Bit i of _i: the i-th call is terminate, not close. */
	mppool *const pool = pool_of(2);
	int state = MPPOOL_RUN;

	for (int i = 0; i < 4; i++) {
		const bool terminate = _i >> i & 1;
		assert_ok(terminate ? mppool_terminate(pool) : mppool_close(pool));
		state = terminate || state == MPPOOL_TERMINATED ? MPPOOL_TERMINATED : MPPOOL_CLOSED;
		ck_assert_int_eq(mppool_state(pool), state);
	}
	for (int i = 0; i < 3; i++)
		assert_ok(mppool_join(pool, i ? 0 : MPPOOL_FOREVER));
	assert_no_threads();
	assert_ok(mppool_close(pool));
	assert_ok(mppool_terminate(pool));
	assert_ok(mppool_join(pool, 0));
	assert_ok(mppool_destroy(pool));
}
END_TEST

START_TEST(close_finishes_what_was_accepted)
{
	struct hold hold;
	struct recorder recorder;
	mppool *const pool = pool_of(2);
	const struct mppool_func func = make_func(record_call, 1, sizeof(int), &recorder);

	recorder_init(&recorder);
	hold_workers(&hold, pool, 2);
	for (int i = 0; i < 100; i++)
		assert_ok(mppool_apply_async(pool, &func, MPPOOL_ARGS(&i), NULL, NULL));
	assert_ok(mppool_close(pool));
	assert_code(mppool_join(pool, 0), ETIMEDOUT);
	ck_assert_uint_eq(recorded_count(&recorder), 0);
	hold_release(&hold);
	assert_ok(mppool_join(pool, MPPOOL_FOREVER));
	ck_assert(recorded_each_once(&recorder, 0, 100));
	assert_ok(mppool_destroy(pool));
	recorder_destroy(&recorder);
}
END_TEST

START_TEST(close_lifts_the_bound_of_a_stream_nobody_reads)
{
	int xs[100], y = -1;
	mppool_iter *iter = NULL;
	struct source source = SOURCE(100);
	struct mppool_iterable items = source_items(&source);
	mppool_iter *from_generator = NULL;
	mppool *const pool = pool_of(2);
	const struct mppool_func func = make_func(square_call, 1, sizeof(int), NULL);

	for (int i = 0; i < 100; i++)
		xs[i] = i;
	assert_ok(mppool_imap(pool, &func, MPPOOL_ARRAY(xs, 100), 1, 3, NULL, &iter));
	assert_ok(mppool_imap(pool, &func, &items, 2, 3, NULL, &from_generator));
	assert_ok(mppool_close(pool));
	assert_ok(mppool_join(pool, MPPOOL_FOREVER));
	assert_no_threads();
	assert_ok(mppool_destroy(pool));
	for (int i = 0; i < 100; i++) {
		assert_ok(mppool_iter_next(iter, &y, NULL, 0));
		ck_assert_int_eq(y, i * i);
		assert_ok(mppool_iter_next(from_generator, &y, NULL, 0));
		ck_assert_int_eq(y, i * i);
	}
	assert_code(mppool_iter_next(iter, &y, NULL, MPPOOL_FOREVER), MPPOOL_ESTOP);
	assert_code(mppool_iter_next(from_generator, &y, NULL, MPPOOL_FOREVER), MPPOOL_ESTOP);
	mppool_iter_free(iter);
	mppool_iter_free(from_generator);
	ck_assert_uint_eq(atomic_load(&source.finished), 1);
}
END_TEST

/* To close, which looks at each call that is waiting, costs no more than some share of what their submitting did. A step
 * for each pair of them would cost many times that. The workers stand still: the time of the process is the caller's. */
START_TEST(close_takes_time_in_proportion_to_the_calls_that_wait)
{
	const int n = SLOW ? 2000 : 20000, xs[2] = {1, 2};
	const struct mppool_func func = make_func(square_call, 1, sizeof(int), NULL);
	mppool *const pool = pool_of(1);
	double before, submitting, closing;
	struct hold hold;

	hold_workers(&hold, pool, 1);
	before = cpu_seconds();
	for (int i = 0; i < n; i++)
		assert_ok(mppool_map_async(pool, &func, MPPOOL_ARRAY(xs, 2), NULL, 0, NULL, NULL));
	submitting = cpu_seconds() - before;
	before = cpu_seconds();
	assert_ok(mppool_close(pool));
	closing = cpu_seconds() - before;
	ck_assert_msg(closing < 4 * submitting, "%g seconds to submit, %g to close", submitting, closing);
	assert_ok(mppool_terminate(pool));
	hold_release(&hold);
	assert_ok(mppool_join(pool, MPPOOL_FOREVER));
	assert_ok(mppool_destroy(pool));
}
END_TEST

static int stop_call(const void *const args[], void *result, void *context)
{
	(void)args;
	gate_wait(context);
	*(int *)result = 100 + mppool_should_stop();
	return 0;
}

START_TEST(terminate_waits_for_nobody_and_results_wait_for_their_items)
{
	struct gate gate;
	const int x = 0;
	int y = 0;
	mppool_result *running = NULL, *queued = NULL;
	mppool *const pool = pool_of(1);
	const struct mppool_func func = make_func(stop_call, 1, sizeof(int), &gate);

	gate_init(&gate);
	assert_ok(mppool_apply_async(pool, &func, MPPOOL_ARGS(&x), NULL, &running));
	gate_wait_arrivals(&gate, 1);
	assert_ok(mppool_apply_async(pool, &func, MPPOOL_ARGS(&x), NULL, &queued));
	assert_ok(mppool_terminate(pool));
	ck_assert_int_eq(mppool_state(pool), MPPOOL_TERMINATED);
	/* What never started ends at once; what runs is not ready before it has returned. */
	assert_code(mppool_result_get(queued, &y, MPPOOL_FOREVER), MPPOOL_ETERMINATED);
	ck_assert_int_eq(mppool_result_ready(running), 0);
	assert_code(mppool_result_wait(running, 0.02), ETIMEDOUT);
	assert_code(mppool_join(pool, 0.02), ETIMEDOUT);
	gate_open(&gate);
	assert_ok(mppool_result_get(running, &y, MPPOOL_FOREVER));
	ck_assert_int_eq(y, 101);
	assert_ok(mppool_join(pool, MPPOOL_FOREVER));
	ck_assert_uint_eq(gate_arrivals(&gate), 1);
	mppool_result_free(running);
	mppool_result_free(queued);
	assert_ok(mppool_destroy(pool));
	gate_destroy(&gate);
}
END_TEST

START_TEST(terminate_after_close_drops_what_is_queued)
{
	struct hold hold;
	const int x = 2;
	int y;
	mppool_result *queued = NULL;
	mppool *const pool = pool_of(1);
	const struct mppool_func func = make_func(square_call, 1, sizeof(int), NULL);

	hold_workers(&hold, pool, 1);
	assert_ok(mppool_apply_async(pool, &func, MPPOOL_ARGS(&x), NULL, &queued));
	assert_ok(mppool_close(pool));
	assert_ok(mppool_terminate(pool));
	assert_code(mppool_result_get(queued, &y, MPPOOL_FOREVER), MPPOOL_ETERMINATED);
	hold_release(&hold);
	mppool_result_free(queued);
	assert_ok(mppool_join(pool, MPPOOL_FOREVER));
	assert_ok(mppool_destroy(pool));
}
END_TEST

START_TEST(destroy_running_pool_terminates_it)
{
	struct hold hold;
	const int x = 2;
	int y;
	mppool_result *queued = NULL;
	mppool *const pool = pool_of(1);
	const struct mppool_func func = make_func(square_call, 1, sizeof(int), NULL);

	hold_workers(&hold, pool, 1);
	assert_ok(mppool_apply_async(pool, &func, MPPOOL_ARGS(&x), NULL, &queued));
	gate_open(&hold.gate);
	assert_ok(mppool_destroy(pool));
	assert_no_threads();
	hold_release(&hold);                             /* results outlive the pool */
	const int code = mppool_result_get(queued, &y, 0);
	ck_assert(code == MPPOOL_ETERMINATED || code == 0);
	mppool_result_free(queued);
}
END_TEST

START_TEST(destroy_closed_pool_finishes_its_work)
{
	struct hold hold;
	struct recorder recorder;
	mppool *const pool = pool_of(1);
	const struct mppool_func func = make_func(record_call, 1, sizeof(int), &recorder);

	recorder_init(&recorder);
	hold_workers(&hold, pool, 1);
	for (int i = 0; i < 50; i++)
		assert_ok(mppool_apply_async(pool, &func, MPPOOL_ARGS(&i), NULL, NULL));
	assert_ok(mppool_close(pool));
	gate_open(&hold.gate);
	assert_ok(mppool_destroy(pool));
	ck_assert(recorded_each_once(&recorder, 0, 50));
	hold_release(&hold);
	recorder_destroy(&recorder);
}
END_TEST

START_TEST(destroy_one_pool_leaves_the_other_alone)
{
	struct hold hold;
	mppool *const one = pool_of(2);
	mppool *const two = pool_of(2);

	hold_workers(&hold, two, 1);
	square_works(one);
	assert_ok(mppool_destroy(one));
	square_works(two);
	ck_assert_int_eq(mppool_state(two), MPPOOL_RUN);
	hold_release(&hold);
	pool_finish(two);
}
END_TEST

START_TEST(results_and_iterators_outlive_their_pool)
{
	const int xs[] = {2, 3, 4};
	int y = 0, ys[3] = {0}, successful = -1;
	mppool_result *one = NULL, *map = NULL;
	mppool_iter *iter = NULL;
	size_t done = 0, total = 0;
	mppool *const pool = pool_of(2);
	const struct mppool_func func = make_func(square_call, 1, sizeof(int), NULL);

	assert_ok(mppool_apply_async(pool, &func, MPPOOL_ARGS(xs), NULL, &one));
	assert_ok(mppool_map_async(pool, &func, MPPOOL_ARRAY(xs, 3), NULL, 0, MPPOOL_CALL(.userdata = &y), &map));
	assert_ok(mppool_imap(pool, &func, MPPOOL_ARRAY(xs, 3), 0, 0, NULL, &iter));
	pool_finish(pool);
	assert_ok(mppool_result_get(one, &y, 0));
	ck_assert_int_eq(y, 4);
	assert_ok(mppool_result_successful(map, &successful));
	ck_assert_int_eq(successful, 1);
	ck_assert_ptr_eq(mppool_result_userdata(map), &y);
	assert_ok(mppool_result_progress(map, &done, &total));
	ck_assert_uint_eq(done, 3);
	ck_assert_uint_eq(total, 3);
	assert_code(mppool_result_cancel(map), EALREADY);
	assert_ok(mppool_result_get(map, ys, 0));
	ck_assert_int_eq(ys[2], 16);
	for (int i = 0; i < 3; i++) {
		assert_ok(mppool_iter_next(iter, &y, NULL, 0));
		ck_assert_int_eq(y, ys[i]);
	}
	assert_code(mppool_iter_next(iter, &y, NULL, 0), MPPOOL_ESTOP);
	mppool_result_free(one);
	mppool_result_free(map);
	mppool_iter_free(iter);
}
END_TEST

struct joiners {
	mppool *pool;
	atomic_size_t joined;
};

static void join_in_thread(size_t i, void *arg)
{
	struct joiners *const joiners = arg;

	if (i == 0)
		mppool_close(joiners->pool);
	while (mppool_join(joiners->pool, i % 2 ? MPPOOL_FOREVER : 0.001) != 0)
		sched_yield();
	atomic_fetch_add(&joiners->joined, 1);
}

START_TEST(join_by_several_threads_returns_in_each)
{
	for (int turn = 0; turn < 20; turn++) {
		struct joiners joiners = {.pool = pool_of(2)};
		square_works(joiners.pool);
		run_in_threads(4, join_in_thread, &joiners);
		ck_assert_uint_eq(atomic_load(&joiners.joined), 4);
		assert_ok(mppool_destroy(joiners.pool));
	}
}
END_TEST

/* --------------------------------------------------------------------------- from every kind of thread of the pool */

enum place { IN_TASK, IN_CALLBACK, IN_GENERATOR, IN_FINISH, IN_DROP_ARGS, IN_RELEASE, IN_OTHER_POOL, PLACES };
enum deed { DO_CLOSE, DO_TERMINATE, DO_DESTROY, DEEDS };

struct plot {
	mppool *pool;
	enum place place;
	enum deed deed;
	atomic_int code;
	atomic_int later;                        /* the code of a submit after the deed */
	atomic_int ran_later;
};

static int later_call(const void *const args[], void *result, void *context)
{
	struct plot *const plot = context;

	(void)args;
	(void)result;
	atomic_fetch_add(&plot->ran_later, 1);
	return 0;
}

static void plot_at(struct plot *plot, enum place place)
{
	const int x = 0;
	const struct mppool_func later = make_func(later_call, 1, 0, plot);

	if (plot->place != place || atomic_load(&plot->code) != -1)
		return;
	const int code = plot->deed == DO_CLOSE ? mppool_close(plot->pool) :
	                 plot->deed == DO_TERMINATE ? mppool_terminate(plot->pool) : mppool_destroy(plot->pool);
	atomic_store(&plot->code, code);
	if (plot->deed != DO_DESTROY)
		atomic_store(&plot->later, mppool_apply_async(plot->pool, &later, MPPOOL_ARGS(&x), NULL, NULL));
}

static int plot_call(const void *const args[], void *result, void *context)
{
	*(int *)result = int_arg(args, 0);
	plot_at(context, IN_TASK);
	return 0;
}

static void plot_callback(const void *results, size_t n, void *userdata)
{
	(void)results;
	(void)n;
	plot_at(userdata, IN_CALLBACK);
}

static int plot_next(void *const args[], void *state)
{
	*(int *)args[0] = 1;
	if (atomic_load(&((struct plot *)state)->code) != -1)
		return MPPOOL_ESTOP;
	plot_at(state, IN_GENERATOR);
	return ((struct plot *)state)->place == IN_GENERATOR ? 0 : MPPOOL_ESTOP;
}

static void plot_finish(void *state)
{
	plot_at(state, IN_FINISH);
}

static void plot_drop_args(const void *const args[], void *context)
{
	(void)args;
	plot_at(context, IN_DROP_ARGS);
}

static void plot_release(void *context)
{
	plot_at(context, IN_RELEASE);
}

static int plot_elsewhere(const void *const args[], void *result, void *context)
{
	(void)args;
	(void)result;
	plot_at(context, IN_OTHER_POOL);
	return 0;
}

static void plot_submit(struct plot *plot, mppool *other)
{
	static const int x = 1;
	struct mppool_column column = MPPOOL_COLUMN(&x);
	struct mppool_iterable items = {.size = sizeof items, .finish = plot_finish, .state = plot};
	struct mppool_func func = make_func(plot_call, 1, sizeof(int), plot);
	const struct mppool_func elsewhere = make_func(plot_elsewhere, 1, 0, plot);

	func.drop_args = plot_drop_args;
	func.release = plot_release;
	if (plot->place == IN_GENERATOR) {
		items.next = plot_next;
	} else {
		items.columns = &column;
		items.ncolumns = items.length = 1;
	}
	if (plot->place == IN_OTHER_POOL)
		assert_ok(mppool_apply(other, &elsewhere, MPPOOL_ARGS(&x), NULL));
	else
		assert_ok(mppool_map_async(plot->pool, &func, &items, NULL, 1,
		                           MPPOOL_CALL(.callback = plot_callback, .error_callback = NULL,
		                                       .userdata = plot), NULL));
}

/* Once for each place and deed, _i. */
START_TEST(end_of_a_pool_may_come_from_any_thread)
{
	struct plot plot = {.place = (enum place)(_i / DEEDS), .deed = (enum deed)(_i % DEEDS)};
	const bool own = plot.place != IN_OTHER_POOL;
	mppool *const other = pool_of(1);

	atomic_store(&plot.code, -1);
	atomic_store(&plot.later, -1);
	plot.pool = pool_of(2);
	plot_submit(&plot, other);
	if (plot.deed == DO_DESTROY && !own) {
		assert_code(atomic_load(&plot.code), 0);
	} else {
		while (atomic_load(&plot.code) == -1)
			sched_yield();
		assert_code(atomic_load(&plot.code), plot.deed == DO_DESTROY ? EDEADLK : 0);
		assert_ok(mppool_join(plot.pool, MPPOOL_FOREVER));
		ck_assert_int_eq(mppool_state(plot.pool), plot.deed == DO_CLOSE ? MPPOOL_CLOSED : MPPOOL_TERMINATED);
		assert_ok(mppool_destroy(plot.pool));
	}
	/* What runs in a closed pool may still submit to it. */
	if (plot.deed == DO_CLOSE &&
	    (plot.place == IN_TASK || plot.place == IN_CALLBACK || plot.place == IN_GENERATOR)) {
		assert_code(atomic_load(&plot.later), 0);
		ck_assert_int_eq(atomic_load(&plot.ran_later), 1);
	}
	if (plot.deed == DO_TERMINATE || (plot.deed == DO_CLOSE && !own)) {
		assert_code(atomic_load(&plot.later), MPPOOL_ECLOSED);
		ck_assert_int_eq(atomic_load(&plot.ran_later), 0);
	}
	pool_finish(other);
	assert_no_threads();
}
END_TEST

struct tree {
	mppool *pool;
	atomic_int nodes;
	struct gate gate;
};

static int tree_call(const void *const args[], void *result, void *context)
{
	struct tree *const tree = context;
	const int depth = int_arg(args, 0), below = depth - 1;
	const struct mppool_func func = make_func(tree_call, 1, 0, tree);

	(void)result;
	gate_wait(&tree->gate);
	atomic_fetch_add(&tree->nodes, 1);
	for (int child = 0; depth > 0 && child < 2; child++) {
		const int code = mppool_apply_async(tree->pool, &func, MPPOOL_ARGS(&below), NULL, NULL);
		if (code)
			return code;
	}
	return 0;
}

START_TEST(recursion_goes_on_in_a_closed_pool_and_join_waits_for_it)
{
	const int depth = 9;
	struct tree tree = {.pool = pool_of(3)};
	const struct mppool_func func = make_func(tree_call, 1, 0, &tree);

	gate_init(&tree.gate);
	assert_ok(mppool_apply_async(tree.pool, &func, MPPOOL_ARGS(&depth), NULL, NULL));
	assert_ok(mppool_close(tree.pool));
	gate_open(&tree.gate);
	assert_ok(mppool_join(tree.pool, MPPOOL_FOREVER));
	ck_assert_int_eq(atomic_load(&tree.nodes), 1023);
	assert_ok(mppool_destroy(tree.pool));
	gate_destroy(&tree.gate);
}
END_TEST

/* -------------------------------------------------------------------------------- initializers, finalizers, states */

/* What workers report of themselves. */
struct staff {
	atomic_int started, ended, wrong;
	int fail_at;                             /* the start that fails, from 1; 0: none */
	atomic_int chunks_at_most;               /* any worker ran */
	struct gate *gate;                       /* initializers stand there, if any */
};

struct post {                                    /* the state of one worker */
	struct staff *staff;
	pthread_t thread;
	atomic_int chunks;
};

static int staff_starts(void *initarg, void **ret_state)
{
	struct staff *const staff = initarg;
	const int start = atomic_fetch_add(&staff->started, 1) + 1;

	if (staff->gate)
		gate_wait(staff->gate);
	if (start == staff->fail_at)
		return mppool_raise(ENOTTY, "start %d of many", start);
	struct post *const post = calloc(1, sizeof *post);
	if (!post)
		return ENOMEM;
	post->staff = staff;
	post->thread = pthread_self();
	*ret_state = post;
	return 0;
}

static void staff_ends(void *initarg, void *state)
{
	struct staff *const staff = initarg;
	struct post *const post = state;

	if (!post || post->staff != staff || !pthread_equal(post->thread, pthread_self()) ||
	    mppool_worker_state() != state)
		atomic_fetch_add(&staff->wrong, 1);
	atomic_fetch_add(&staff->ended, 1);
	free(post);
}

static int post_call(const void *const args[], void *result, void *context)
{
	struct staff *const staff = context;
	struct post *const post = mppool_worker_state();

	(void)args;
	if (!post || post->staff != staff || !pthread_equal(post->thread, pthread_self())) {
		atomic_fetch_add(&staff->wrong, 1);
	} else {
		const int chunks = atomic_fetch_add(&post->chunks, 1) + 1;
		int most = atomic_load(&staff->chunks_at_most);
		while (most < chunks && !atomic_compare_exchange_weak(&staff->chunks_at_most, &most, chunks))
			;
	}
	*(int *)result = mppool_worker_index();
	return 0;
}

static mppool *staffed_pool(struct staff *staff, int workers, size_t max_tasks)
{
	mppool *pool = NULL;

	assert_ok(
		mppool_create(MPPOOL_OPTIONS(.workers = workers, .initializer = staff_starts, .finalizer = staff_ends,
	                                     .initarg = staff, .max_tasks_per_worker = max_tasks),
	                      &pool));
	return pool;
}

START_TEST(initializer_runs_once_in_each_worker_before_create_returns)
{
	struct staff staff = {.fail_at = 0};
	int ys[400];
	mppool *const pool = staffed_pool(&staff, 5, 0);
	const struct mppool_func func = make_func(post_call, 0, sizeof(int), &staff);

	ck_assert_int_eq(atomic_load(&staff.started), 5);
	assert_ok(mppool_starmap(pool, &func, MPPOOL_TIMES(400), ys, 1));
	for (int i = 0; i < 400; i++)
		ck_assert(ys[i] >= 0 && ys[i] < 5);
	ck_assert_int_eq(atomic_load(&staff.ended), 0);
	pool_finish(pool);
	ck_assert_int_eq(atomic_load(&staff.started), 5);
	ck_assert_int_eq(atomic_load(&staff.ended), 5);
	ck_assert_int_eq(atomic_load(&staff.wrong), 0);
}
END_TEST

START_TEST(finalizer_runs_in_each_worker_after_terminate_too)
{
	struct staff staff = {.fail_at = 0};
	mppool *const pool = staffed_pool(&staff, 3, 0);

	assert_ok(mppool_terminate(pool));
	assert_ok(mppool_join(pool, MPPOOL_FOREVER));
	ck_assert_int_eq(atomic_load(&staff.ended), 3);
	ck_assert_int_eq(atomic_load(&staff.wrong), 0);
	assert_ok(mppool_destroy(pool));
}
END_TEST

START_TEST(worker_functions_outside_a_worker_say_so)
{
	ck_assert_int_eq(mppool_worker_index(), -1);
	ck_assert_ptr_null(mppool_worker_state());
	ck_assert_int_eq(mppool_should_stop(), 0);
	ck_assert_ptr_null(mppool_current());
	ck_assert_uint_eq(mppool_item_index(), 0);
}
END_TEST

static int current_call(const void *const args[], void *result, void *context)
{
	(void)args;
	*(int *)result = mppool_current() == context;
	return 0;
}

static void current_callback(const void *results, size_t n, void *userdata)
{
	(void)results;
	(void)n;
	*(mppool **)userdata = mppool_current();
}

START_TEST(current_is_the_pool_that_runs_the_function)
{
	const int x = 0;
	int y = 0;
	mppool *seen = NULL;
	mppool_result *result = NULL;
	mppool *const pool = pool_of(1);
	const struct mppool_func func = make_func(current_call, 1, sizeof(int), pool);

	assert_ok(mppool_apply_async(pool, &func, MPPOOL_ARGS(&x),
	                             MPPOOL_CALL(.callback = current_callback, .userdata = &seen), &result));
	assert_ok(mppool_result_get(result, &y, MPPOOL_FOREVER));
	ck_assert_int_eq(y, 1);
	ck_assert_ptr_eq(seen, pool);
	mppool_result_free(result);
	pool_finish(pool);
}
END_TEST

/* Once for each worker that fails to start, _i, from 1. */
START_TEST(initializer_that_fails_breaks_the_creation)
{
	struct staff staff = {.fail_at = _i};
	mppool *pool = (mppool *)(void *)&staff;

	assert_code(mppool_create(MPPOOL_OPTIONS(.workers = 6, .initializer = staff_starts, .finalizer = staff_ends,
	                                         .initarg = &staff), &pool), MPPOOL_EBROKEN);
	ck_assert_ptr_eq(pool, (void *)&staff);
	assert_no_threads();
	ck_assert_int_eq(mppool_last_error()->code, ENOTTY);
	ck_assert_uint_lt(mppool_last_error()->index, 6);
	char message[40];
	snprintf(message, sizeof message, "start %d of many", _i);
	ck_assert_str_eq(mppool_last_error()->message, message);
	/* Those that had started ended as they should. */
	ck_assert_int_ge(atomic_load(&staff.started), _i);
	ck_assert_int_eq(atomic_load(&staff.ended), atomic_load(&staff.started) - 1);
	ck_assert_int_eq(atomic_load(&staff.wrong), 0);
}
END_TEST

static int until_stopped(const void *const args[], void *result, void *context)
{
	(void)args;
	gate_wait(context);                              /* open: it only counts */
	while (!mppool_should_stop())
		sched_yield();
	*(int *)result = 77;
	return 0;
}

START_TEST(replacement_that_cannot_start_breaks_the_pool)
{
	struct staff staff = {.fail_at = 3};
	struct gate gate;
	const int x = 3;
	int y = 0, z = 5;
	mppool_result *running = NULL, *queued[3] = {NULL};
	mppool_iter *iter = NULL;
	mppool *const pool = staffed_pool(&staff, 2, 1);
	const struct mppool_func stopping = make_func(until_stopped, 1, sizeof(int), &gate);
	const struct mppool_func standing = make_func(gate_call, 1, sizeof(int), &gate);
	const struct mppool_func squaring = make_func(square_call, 1, sizeof(int), NULL);

	gate_init(&gate);
	assert_ok(mppool_apply_async(pool, &stopping, MPPOOL_ARGS(&x), NULL, &running));
	assert_ok(mppool_apply_async(pool, &standing, MPPOOL_ARGS(&x), NULL, &queued[0]));
	gate_wait_arrivals(&gate, 2);
	for (int i = 1; i < 3; i++)
		assert_ok(mppool_apply_async(pool, &squaring, MPPOOL_ARGS(&x), NULL, &queued[i]));
	assert_ok(mppool_imap(pool, &squaring, MPPOOL_ARRAY(&x, 1), 0, 0, NULL, &iter));
	gate_open(&gate);
	assert_ok(mppool_result_get(queued[0], &y, MPPOOL_FOREVER));
	assert_ok(mppool_result_get(running, &y, MPPOOL_FOREVER));       /* it was told to stop, and returned 0 */
	ck_assert_int_eq(y, 77);
	for (int i = 1; i < 3; i++) {
		assert_code(mppool_result_get(queued[i], &z, MPPOOL_FOREVER), MPPOOL_EBROKEN);
		ck_assert_int_eq(mppool_last_error()->code, ENOTTY);
		ck_assert_str_eq(mppool_last_error()->message, "start 3 of many");
		ck_assert_int_eq(z, 5);
	}
	assert_code(mppool_iter_next(iter, &z, NULL, MPPOOL_FOREVER), MPPOOL_EBROKEN);
	assert_code(mppool_iter_next(iter, &z, NULL, MPPOOL_FOREVER), MPPOOL_ESTOP);
	ck_assert_int_eq(mppool_state(pool), MPPOOL_BROKEN);
	assert_code(mppool_apply(pool, &squaring, MPPOOL_ARGS(&x), &z), MPPOOL_EBROKEN);
	assert_ok(mppool_close(pool));
	assert_ok(mppool_terminate(pool));
	assert_ok(mppool_join(pool, MPPOOL_FOREVER));
	assert_no_threads();
	ck_assert_int_eq(atomic_load(&staff.started), 3);
	ck_assert_int_eq(atomic_load(&staff.ended), 2);
	for (int i = 0; i < 3; i++)
		mppool_result_free(queued[i]);
	mppool_result_free(running);
	mppool_iter_free(iter);
	assert_ok(mppool_destroy(pool));
	gate_destroy(&gate);
}
END_TEST

START_TEST(worker_retires_after_its_chunks_and_is_replaced)
{
	const size_t limits[] = {1, 2, 5};

	for (size_t k = 0; k < 3; k++) {
		struct staff staff = {.fail_at = 0};
		mppool *const pool = staffed_pool(&staff, 1, limits[k]);
		const struct mppool_func func = make_func(post_call, 0, sizeof(int), &staff);
		for (int i = 0; i < 60; i++) {
			int y = -1;
			assert_ok(mppool_apply(pool, &func, NULL, &y));
			ck_assert_int_eq(y, 0);
		}
		pool_finish(pool);
		ck_assert_int_eq(atomic_load(&staff.wrong), 0);
		ck_assert_int_eq(atomic_load(&staff.chunks_at_most), (int)limits[k]);
		ck_assert_int_ge(atomic_load(&staff.started), 60 / (int)limits[k]);
		ck_assert_int_le(atomic_load(&staff.started), 60 / (int)limits[k] + 1);
		ck_assert_int_eq(atomic_load(&staff.ended), atomic_load(&staff.started));
	}
}
END_TEST

START_TEST(one_task_for_each_worker_does_many_tasks)
{
	struct staff staff = {.fail_at = 0};
	int ys[500];
	mppool_iter *iter = NULL;
	const int turns = SLOW ? 100 : 500;
	mppool *const pool = staffed_pool(&staff, 3, 1);
	const struct mppool_func func = make_func(post_call, 0, sizeof(int), &staff);

	assert_ok(mppool_starmap(pool, &func, MPPOOL_TIMES((size_t)turns), ys, 1));
	for (int i = 0; i < turns; i++)
		ck_assert(ys[i] >= 0 && ys[i] < 3);
	assert_ok(mppool_imap(pool, &func, MPPOOL_TIMES((size_t)turns), 1, 0, NULL, &iter));
	for (int i = 0; i < turns; i++)
		assert_ok(mppool_iter_next(iter, &ys[0], NULL, MPPOOL_FOREVER));
	mppool_iter_free(iter);
	for (int i = 0; i < turns; i++)
		assert_ok(mppool_apply_async(pool, &func, NULL, NULL, NULL));
	pool_finish(pool);                               /* workers are replaced after close, until the work is done */
	ck_assert_int_eq(atomic_load(&staff.wrong), 0);
	ck_assert_int_eq(atomic_load(&staff.chunks_at_most), 1);
	ck_assert_int_ge(atomic_load(&staff.started), 3 * turns);
	ck_assert_int_le(atomic_load(&staff.started), 3 * turns + 3);
	ck_assert_int_eq(atomic_load(&staff.ended), atomic_load(&staff.started));
	assert_no_threads();
}
END_TEST

START_TEST(chunks_are_what_retirement_counts)
{
	struct staff staff = {.fail_at = 0};
	int ys[100];
	mppool *const pool = staffed_pool(&staff, 1, 2);
	const struct mppool_func func = make_func(post_call, 0, sizeof(int), &staff);

	assert_ok(mppool_starmap(pool, &func, MPPOOL_TIMES(100), ys, 10));       /* ten chunks: five workers */
	pool_finish(pool);
	ck_assert_int_eq(atomic_load(&staff.wrong), 0);
	ck_assert_int_eq(atomic_load(&staff.chunks_at_most), 20);
	ck_assert_int_ge(atomic_load(&staff.started), 5);
	ck_assert_int_le(atomic_load(&staff.started), 6);
}
END_TEST

/* ---------------------------------------------------------------------------------------------------- lost workers */

enum { LOSE_BY_EXIT, LOSE_BY_CANCEL, LOSE_WAYS };

struct loss {
	mppool *pool;
	int way;
	int nested;                              /* deeper: in a call of the item's own */
};

static int lose_call(const void *const args[], void *result, void *context)
{
	const struct loss *const loss = context;
	const int x = int_arg(args, 0);

	*(int *)result = 100 + x;
	if (x % 5 != 3)
		return 0;
	if (loss->way == LOSE_BY_EXIT)
		pthread_exit(NULL);
	pthread_cancel(pthread_self());
	pthread_testcancel();
	return 0;
}

/* Once for each way of getting lost, _i. */
START_TEST(lost_worker_fails_its_item_only_and_is_replaced)
{
	int xs[50], ys[50], codes[50];
	mppool_result *result = NULL;
	mppool *const pool = pool_of(2);
	struct loss loss = {.pool = pool, .way = _i};
	const struct mppool_func func = make_func(lose_call, 1, sizeof(int), &loss);

	for (int i = 0; i < 50; i++)
		xs[i] = i;
	for (size_t chunksize = 1; chunksize < 30; chunksize = 4 * chunksize + 1) {
		memset(ys, 0x11, sizeof ys);
		assert_ok(mppool_map_async(pool, &func, MPPOOL_ARRAY(xs, 50), ys, chunksize,
		                           MPPOOL_CALL(.codes = codes), &result));
		assert_code(mppool_result_get(result, NULL, MPPOOL_FOREVER), MPPOOL_ETASK);
		assert_code(mppool_last_error()->code, MPPOOL_ELOST);
		ck_assert_uint_eq(mppool_last_error()->index, 3);
		for (int i = 0; i < 50; i++) {
			assert_code(codes[i], i % 5 == 3 ? MPPOOL_ELOST : 0);
			ck_assert_int_eq(ys[i], i % 5 == 3 ? 0 : 100 + i);
		}
		mppool_result_free(result);
	}
	ck_assert_uint_eq(threads_settle("mppool-w0", 1), 1);
	ck_assert_uint_eq(threads_settle("mppool-w1", 1), 1);
	square_works(pool);
	pool_finish(pool);
	assert_no_threads();
}
END_TEST

START_TEST(lost_worker_in_apply_and_in_a_stream)
{
	int y = 55;
	const int xs[] = {1, 3, 5};
	mppool_iter *iter = NULL;
	mppool *const pool = pool_of(1);
	struct loss loss = {.pool = pool, .way = _i};
	const struct mppool_func func = make_func(lose_call, 1, sizeof(int), &loss);

	assert_code(mppool_apply(pool, &func, MPPOOL_ARGS(&xs[1]), &y), MPPOOL_ETASK);
	assert_code(mppool_last_error()->code, MPPOOL_ELOST);
	ck_assert_int_eq(y, 55);
	assert_ok(mppool_imap(pool, &func, MPPOOL_ARRAY(xs, 3), 3, 0, NULL, &iter));
	assert_ok(mppool_iter_next(iter, &y, NULL, MPPOOL_FOREVER));
	assert_code(mppool_iter_next(iter, &y, NULL, MPPOOL_FOREVER), MPPOOL_ETASK);
	assert_code(mppool_last_error()->code, MPPOOL_ELOST);
	assert_ok(mppool_iter_next(iter, &y, NULL, MPPOOL_FOREVER));
	ck_assert_int_eq(y, 105);
	assert_code(mppool_iter_next(iter, &y, NULL, MPPOOL_FOREVER), MPPOOL_ESTOP);
	mppool_iter_free(iter);
	pool_finish(pool);
}
END_TEST

static int lose_below(const void *const args[], void *result, void *context)
{
	const struct loss *const loss = context;
	const struct mppool_func func = make_func(lose_call, 1, sizeof(int), context);

	return mppool_apply(loss->pool, &func, args, result);
}

START_TEST(lost_in_a_nested_item_takes_the_frames_below_with_it)
{
	const int x = 3;
	int y = 0;
	mppool *const pool = pool_of(1);                 /* so that the inner item runs in the outer one */
	struct loss loss = {.pool = pool, .way = _i};
	const struct mppool_func func = make_func(lose_below, 1, sizeof(int), &loss);

	for (int turn = 0; turn < 10; turn++) {
		assert_code(mppool_apply(pool, &func, MPPOOL_ARGS(&x), &y), MPPOOL_ETASK);
		assert_code(mppool_last_error()->code, MPPOOL_ELOST);
		square_works(pool);
	}
	pool_finish(pool);
}
END_TEST

START_TEST(lost_worker_is_initialized_again)
{
	struct staff staff = {.fail_at = 0};
	const int x = 3;
	int y;
	mppool *const pool = staffed_pool(&staff, 1, 0);
	struct loss loss = {.pool = pool, .way = _i};
	const struct mppool_func func = make_func(lose_call, 1, sizeof(int), &loss);
	const struct mppool_func index = make_func(post_call, 0, sizeof(int), &staff);

	assert_code(mppool_apply(pool, &func, MPPOOL_ARGS(&x), &y), MPPOOL_ETASK);
	assert_ok(mppool_apply(pool, &index, NULL, &y));
	ck_assert_int_eq(y, 0);
	pool_finish(pool);
	ck_assert_int_eq(atomic_load(&staff.started), 2);
	ck_assert_int_eq(atomic_load(&staff.wrong), 0);
}
END_TEST

struct victim {
	pthread_t thread;
	sem_t ready, never;
};

static int victim_call(const void *const args[], void *result, void *context)
{
	struct victim *const victim = context;

	*(int *)result = int_arg(args, 0);
	victim->thread = pthread_self();
	sem_post(&victim->ready);
	for (;;) /* the thread sanitizer loses its way when a call is cancelled */
		if (UNDER_TSAN)
			pthread_testcancel();
		else
			sem_wait(&victim->never);
	return 0;
}

START_TEST(worker_cancelled_by_another_thread_is_lost)
{
	const int x = 1;
	int y;
	struct victim victim;
	mppool_result *result = NULL;
	mppool *const pool = pool_of(1);
	const struct mppool_func func = make_func(victim_call, 1, sizeof(int), &victim);

	sem_init(&victim.ready, 0, 0);
	sem_init(&victim.never, 0, 0);
	assert_ok(mppool_apply_async(pool, &func, MPPOOL_ARGS(&x), NULL, &result));
	while (sem_wait(&victim.ready) != 0)
		;
	ck_assert_int_eq(pthread_cancel(victim.thread), 0);
	assert_code(mppool_result_get(result, &y, MPPOOL_FOREVER), MPPOOL_ETASK);
	assert_code(mppool_last_error()->code, MPPOOL_ELOST);
	mppool_result_free(result);
	square_works(pool);
	pool_finish(pool);
	sem_destroy(&victim.ready);
	sem_destroy(&victim.never);
}
END_TEST

/* --------------------------------------------------------------------------------------------------------- threads */

/* What a thread of the pool sees of itself. */
struct glimpse {
	char name[16];
	sigset_t blocked;
	cpu_set_t cpus;
	size_t stack;
	int index;
	atomic_int taken;
};

static void glimpse_take(struct glimpse *glimpse)
{
	pthread_attr_t attr;
	void *address;

	thread_name(glimpse->name);
	pthread_sigmask(SIG_BLOCK, NULL, &glimpse->blocked);
	sched_getaffinity(0, sizeof glimpse->cpus, &glimpse->cpus);
	if (pthread_getattr_np(pthread_self(), &attr) == 0) {
		pthread_attr_getstack(&attr, &address, &glimpse->stack);
		pthread_attr_destroy(&attr);
	}
	glimpse->index = mppool_worker_index();
	atomic_store(&glimpse->taken, 1);
}

static int glimpse_call(const void *const args[], void *result, void *context)
{
	struct glimpse *const all = context;

	*(int *)result = int_arg(args, 0);
	glimpse_take(&all[int_arg(args, 0)]);
	return 0;
}

static int glimpse_next(void *const args[], void *state)
{
	struct glimpse *const glimpse = state;

	if (atomic_load(&glimpse->taken))
		return MPPOOL_ESTOP;
	*(int *)args[0] = 0;
	glimpse_take(glimpse);
	return 0;
}

static void glimpse_callback(const void *results, size_t n, void *userdata)
{
	(void)results;
	(void)n;
	glimpse_take(userdata);
}

static int glimpse_initializer(void *initarg, void **ret_state)
{
	*ret_state = initarg;
	glimpse_take(initarg);
	return 0;
}

static void glimpse_finalizer(void *initarg, void *state)
{
	(void)state;
	glimpse_take((struct glimpse *)initarg + 1);
}

enum { OF_TASK, OF_GENERATOR, OF_CALLBACK, OF_INITIALIZER, OF_FINALIZER, GLIMPSES };

/* Looks at one thread of each kind of a pool of one worker. */
static void glimpse_all(struct glimpse all[GLIMPSES], const char *name)
{
	mppool *pool = NULL;
	mppool_result *result = NULL;
	const struct mppool_iterable items = {.size = sizeof items, .next = glimpse_next, .state = &all[OF_GENERATOR]};
	const struct mppool_func func = make_func(glimpse_call, 1, sizeof(int), all);

	memset(all, 0, GLIMPSES * sizeof *all);
	assert_ok(mppool_create(MPPOOL_OPTIONS(.workers = 1, .name = name, .initializer = glimpse_initializer,
	                                       .finalizer = glimpse_finalizer, .initarg = &all[OF_INITIALIZER]),
	                        &pool));
	assert_ok(mppool_map_async(pool, &func, &items, NULL, 1,
	                           MPPOOL_CALL(.callback = glimpse_callback, .userdata = &all[OF_CALLBACK]), &result));
	assert_ok(mppool_result_get(result, NULL, MPPOOL_FOREVER));
	mppool_result_free(result);
	pool_finish(pool);
	for (int i = 0; i < GLIMPSES; i++)
		ck_assert_int_eq(atomic_load(&all[i].taken), 1);
}

START_TEST(threads_are_named_after_the_pool)
{
	struct glimpse all[GLIMPSES];

	glimpse_all(all, NULL);
	ck_assert_str_eq(all[OF_TASK].name, "mppool-w0");
	ck_assert_str_eq(all[OF_INITIALIZER].name, "mppool-w0");
	ck_assert_str_eq(all[OF_FINALIZER].name, "mppool-w0");
	ck_assert_str_eq(all[OF_CALLBACK].name, "mppool-result");
	ck_assert_str_eq(all[OF_GENERATOR].name, "mppool-task");
	glimpse_all(all, "bees");
	ck_assert_str_eq(all[OF_TASK].name, "bees-w0");
	ck_assert_str_eq(all[OF_CALLBACK].name, "bees-result");
	ck_assert_str_eq(all[OF_GENERATOR].name, "bees-task");
}
END_TEST

START_TEST(long_names_are_cut)
{
	struct glimpse all[GLIMPSES];
	static const char name[] = "a-name-that-is-much-too-long-for-any-thread";
	const char *const ends[] = {"-w0", "-task", "-result", "-w0", "-w0"};

	glimpse_all(all, name);
	for (int i = 0; i < GLIMPSES; i++) {
		const size_t length = strlen(all[i].name), tail = strlen(ends[i]);
		ck_assert_uint_gt(length, tail);
		ck_assert_str_eq(all[i].name + length - tail, ends[i]);
		ck_assert_int_eq(strncmp(all[i].name, name, length - tail), 0);
	}
}
END_TEST

/* By which a thread is told of its own fault, or a profiler of what it does. */
static int is_open(int signal_number)
{
	return signal_number == SIGPROF || signal_number == SIGSEGV || signal_number == SIGBUS || signal_number == SIGFPE ||
	       signal_number == SIGILL || signal_number == SIGTRAP || signal_number == SIGSYS;
}

START_TEST(threads_block_all_signals_but_faults_and_the_caller_keeps_its_mask)
{
	struct glimpse all[GLIMPSES];
	sigset_t before, after;

	pthread_sigmask(SIG_BLOCK, NULL, &before);
	glimpse_all(all, NULL);
	pthread_sigmask(SIG_BLOCK, NULL, &after);
	for (int signal_number = 1; signal_number <= SIGRTMAX; signal_number++) {
		ck_assert_int_eq(sigismember(&before, signal_number), sigismember(&after, signal_number));
		if (signal_number == SIGKILL || signal_number == SIGSTOP ||
		    (signal_number > 31 && signal_number < SIGRTMIN))
			continue;
		for (int i = 0; i < GLIMPSES; i++)
			ck_assert_msg(sigismember(&all[i].blocked, signal_number) == !is_open(signal_number),
			              "thread %d, signal %d", i, signal_number);
	}
}
END_TEST

static atomic_int ticks_inside;

static void tick(int signal_number)
{
	(void)signal_number;
	if (mppool_worker_index() >= 0)
		atomic_fetch_add(&ticks_inside, 1);
}

static int burn_call(const void *const args[], void *result, void *context)
{
	(void)context;
	*(int *)result = int_arg(args, 0);
	while (atomic_load(&ticks_inside) < 3)
		;
	return 0;
}

/* Without that it burns until the test's time is over. */
START_TEST(profiler_sees_the_workers)
{
	const struct itimerval on = {{0, 2000}, {0, 2000}}, off = {{0, 0}, {0, 0}};
	struct sigaction action;
	const struct mppool_func func = make_func(burn_call, 1, sizeof(int), NULL);
	mppool *const pool = pool_of(1);
	const int x = 1;
	int y;

	memset(&action, 0, sizeof action);
	action.sa_handler = tick;
	action.sa_flags = SA_RESTART;
	sigaction(SIGPROF, &action, NULL);
	setitimer(ITIMER_PROF, &on, NULL);
	assert_ok(mppool_apply(pool, &func, MPPOOL_ARGS(&x), &y));
	setitimer(ITIMER_PROF, &off, NULL);
	pool_finish(pool);
}
END_TEST

START_TEST(worker_index_is_of_workers_only)
{
	struct glimpse all[GLIMPSES];

	glimpse_all(all, NULL);
	ck_assert_int_eq(all[OF_TASK].index, 0);
	ck_assert_int_eq(all[OF_GENERATOR].index, -1);
	ck_assert_int_eq(all[OF_CALLBACK].index, -1);
}
END_TEST

START_TEST(stack_is_as_large_as_asked_for)
{
	const size_t mib = (size_t)1 << 20;
	const size_t sizes[] = {0, 2 * mib, 16 * mib};
	pthread_attr_t small;
	const int x = 0;

	/* Even where the system's default is less, a worker has 1 MiB. */
	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 256 * 1024);
	ck_assert_int_eq(pthread_setattr_default_np(&small), 0);
	for (size_t i = 0; i < 3; i++) {
		struct glimpse glimpse = {.stack = 0};
		mppool *pool = NULL;
		const struct mppool_func func = make_func(glimpse_call, 1, sizeof(int), &glimpse);
		assert_ok(mppool_create(MPPOOL_OPTIONS(.workers = 1, .stack_size = sizes[i]), &pool));
		assert_ok(mppool_apply(pool, &func, MPPOOL_ARGS(&x), NULL));
		ck_assert_uint_ge(glimpse.stack, (sizes[i] ? sizes[i] : mib) - 65536);
		pool_finish(pool);
	}
	pthread_attr_destroy(&small);
}
END_TEST

START_TEST(workers_run_on_the_cpus_they_were_given)
{
	cpu_set_t all;
	int cpus[2], n = 0;
	struct glimpse glimpses[40];
	int xs[40];
	mppool *pool = NULL;
	const struct mppool_func func = make_func(glimpse_call, 1, sizeof(int), glimpses);

	ck_assert_int_eq(sched_getaffinity(0, sizeof all, &all), 0);
	for (int cpu = 0; cpu < CPU_SETSIZE && n < 2; cpu++)
		if (cpu_is_in(&all, cpu))
			cpus[n++] = cpu;
	assert_ok(mppool_create(MPPOOL_OPTIONS(.workers = 3, .cpus = cpus, .ncpus = (size_t)n), &pool));
	memset(glimpses, 0, sizeof glimpses);
	for (int i = 0; i < 40; i++)
		xs[i] = i;
	const int first = cpus[0], last = cpus[n - 1];
	cpus[0] = cpus[n - 1] = -1;                      /* they were copied */
	assert_ok(mppool_map(pool, &func, MPPOOL_ARRAY(xs, 40), NULL, 1));
	for (int i = 0; i < 40; i++) {
		const int cpu = n == 1 || glimpses[i].index % 2 == 0 ? first : last;
		ck_assert_int_eq(CPU_COUNT(&glimpses[i].cpus), 1);
		ck_assert(cpu_is_in(&glimpses[i].cpus, cpu));
	}
	pool_finish(pool);
	pool = pool_of(1);
	assert_ok(mppool_map(pool, &func, MPPOOL_ARRAY(xs, 1), NULL, 1));
	ck_assert(CPU_EQUAL(&glimpses[0].cpus, &all));
	pool_finish(pool);
}
END_TEST

START_TEST(cpus_hold_for_a_replacement_too)
{
	cpu_set_t all;
	const int x = 0;
	struct glimpse glimpse = {.stack = 0};
	mppool *pool = NULL;
	const struct mppool_func func = make_func(glimpse_call, 1, sizeof(int), &glimpse);

	ck_assert_int_eq(sched_getaffinity(0, sizeof all, &all), 0);
	const int cpu = first_cpu(&all);
	assert_ok(mppool_create(MPPOOL_OPTIONS(.workers = 1, .cpus = &cpu, .ncpus = 1, .max_tasks_per_worker = 1),
	                        &pool));
	for (int turn = 0; turn < 3; turn++) {
		assert_ok(mppool_apply(pool, &func, MPPOOL_ARGS(&x), NULL));
		ck_assert_int_eq(CPU_COUNT(&glimpse.cpus), 1);
		ck_assert(cpu_is_in(&glimpse.cpus, cpu));
		ck_assert_str_eq(glimpse.name, "mppool-w0");
	}
	pool_finish(pool);
}
END_TEST

/* ---------------------------------------------------------------------------------------- the callers' own threads */

struct interrupted {
	mppool *pool;
	atomic_int progress;
	atomic_bool ended;
	struct gate *gate;
};

static void *cancelled_caller(void *arg)
{
	struct interrupted *const in = arg;
	const int xs[] = {1, 2, 3};
	int ys[3] = {0};
	mppool *pool = NULL;
	mppool_result *result = NULL;
	mppool_iter *iter = NULL;
	const struct mppool_func func = make_func(square_call, 1, sizeof(int), NULL);
	const struct mppool_func stands = make_func(gate_call, 1, sizeof(int), in->gate);
	int code = 0;

	/* The cancellation is pending from here on; any cancellation point would end the thread. */
	pthread_cancel(pthread_self());
	code |= mppool_cpu_count() < 1;
	code |= mppool_create(MPPOOL_OPTIONS(.workers = 2), &pool);
	code |= mppool_apply(pool, &func, MPPOOL_ARGS(xs), ys);
	code |= mppool_map(pool, &func, MPPOOL_ARRAY(xs, 3), ys, 0);
	code |= mppool_apply_async(pool, &stands, MPPOOL_ARGS(xs), NULL, &result);
	code |= mppool_result_wait(result, 0.01) != ETIMEDOUT;
	gate_open(in->gate);
	code |= mppool_result_get(result, ys, MPPOOL_FOREVER);
	code |= mppool_imap(pool, &func, MPPOOL_ARRAY(xs, 3), 0, 0, NULL, &iter);
	code |= mppool_iter_next(iter, ys, NULL, MPPOOL_FOREVER);
	mppool_iter_free(iter);
	mppool_result_free(result);
	code |= mppool_close(pool);
	code |= mppool_join(pool, MPPOOL_FOREVER);
	code |= mppool_destroy(pool);
	atomic_store(&in->progress, code == 0 ? 1 : 2);
	pthread_testcancel();
	atomic_store(&in->progress, 3);
	return NULL;
}

START_TEST(no_call_is_a_cancellation_point)
{
	pthread_t thread;
	void *value = NULL;
	struct gate gate;
	struct interrupted in = {.gate = &gate};

	gate_init(&gate);
	ck_assert_int_eq(pthread_create(&thread, NULL, cancelled_caller, &in), 0);
	pthread_join(thread, &value);
	ck_assert_int_eq(atomic_load(&in.progress), 1);
	ck_assert_ptr_eq(value, PTHREAD_CANCELED);
	gate_destroy(&gate);
}
END_TEST

static atomic_int signals_seen;

static void see_signal(int signal_number)
{
	(void)signal_number;
	atomic_fetch_add(&signals_seen, 1);
}

static void interrupted_caller(void *arg)
{
	struct interrupted *const in = arg;
	const int x = 3;
	int y = 0, wrong = 0;
	mppool_result *result = NULL;
	mppool_iter *iter = NULL;
	const struct mppool_func func = make_func(gate_call, 1, sizeof(int), in->gate);

	wrong += mppool_apply_async(in->pool, &func, MPPOOL_ARGS(&x), NULL, &result) != 0;
	wrong += mppool_imap(in->pool, &func, MPPOOL_ARRAY(&x, 1), 0, 0, NULL, &iter) != 0;
	for (int turn = 0; turn < 5; turn++) {
		wrong += mppool_result_wait(result, 0.02) != ETIMEDOUT;
		wrong += mppool_iter_next(iter, &y, NULL, 0.02) != ETIMEDOUT;
	}
	atomic_store(&in->progress, 1);
	wrong += mppool_result_get(result, &y, MPPOOL_FOREVER) != 0;
	wrong += mppool_iter_next(iter, &y, NULL, MPPOOL_FOREVER) != 0;
	wrong += mppool_map(in->pool, &func, MPPOOL_ARRAY(&x, 1), &y, 0) != 0;
	wrong += mppool_close(in->pool) != 0;
	wrong += mppool_join(in->pool, MPPOOL_FOREVER) != 0;
	mppool_result_free(result);
	mppool_iter_free(iter);
	atomic_store(&in->progress, wrong ? 100 + wrong : 2);
	atomic_store(&in->ended, true);
}

START_TEST(no_call_returns_eintr)
{
	struct gate gate;
	struct runner runner;
	struct interrupted in = {.pool = pool_of(2), .gate = &gate};
	const struct sigaction action = {.sa_handler = see_signal};      /* without SA_RESTART */
	int sent = 0;

	gate_init(&gate);
	sigaction(SIGUSR1, &action, NULL);
	runner_start(&runner, interrupted_caller, &in);
	while (!atomic_load(&in.ended)) {
		pthread_kill(runner.thread, SIGUSR1);
		nanosleep(&(const struct timespec){.tv_nsec = 500000}, NULL);
		if (atomic_load(&in.progress) == 1 && ++sent >= 20 && atomic_load(&signals_seen) > 20)
			gate_open(&gate);
	}
	runner_join(&runner);
	ck_assert_int_eq(atomic_load(&in.progress), 2);
	ck_assert_int_gt(atomic_load(&signals_seen), 20);
	assert_ok(mppool_destroy(in.pool));
	gate_destroy(&gate);
}
END_TEST

/* ------------------------------------------------------------------------------------------------------------ fork */

struct inherited {
	mppool *pool;
	mppool_result *ready, *running, *queued;
	mppool_iter *iter;
};

static void child_is_refused(const struct inherited *in)
{
	const int xs[] = {1, 2};
	int ys[2] = {-5, -5};
	mppool_result *result = (mppool_result *)(void *)ys;
	mppool_iter *iter = (mppool_iter *)(void *)ys;
	const struct mppool_func func = make_func(square_call, 1, sizeof(int), NULL);

	CHILD_CHECK(mppool_apply(in->pool, &func, MPPOOL_ARGS(xs), ys) == MPPOOL_EFORKED);
	CHILD_CHECK(mppool_apply_async(in->pool, &func, MPPOOL_ARGS(xs), NULL, &result) == MPPOOL_EFORKED);
	CHILD_CHECK(mppool_map(in->pool, &func, MPPOOL_ARRAY(xs, 2), ys, 0) == MPPOOL_EFORKED);
	CHILD_CHECK(mppool_map_async(in->pool, &func, MPPOOL_ARRAY(xs, 2), ys, 0, NULL, &result) == MPPOOL_EFORKED);
	CHILD_CHECK(mppool_starmap(in->pool, &func, MPPOOL_ARRAY(xs, 2), ys, 0) == MPPOOL_EFORKED);
	CHILD_CHECK(mppool_starmap_async(in->pool, &func, MPPOOL_ARRAY(xs, 2), ys, 0, NULL, &result) ==
	            MPPOOL_EFORKED);
	CHILD_CHECK(mppool_imap(in->pool, &func, MPPOOL_ARRAY(xs, 2), 0, 0, NULL, &iter) == MPPOOL_EFORKED);
	CHILD_CHECK(mppool_imap_unordered(in->pool, &func, MPPOOL_ARRAY(xs, 2), 0, 0, NULL, &iter) == MPPOOL_EFORKED);
	CHILD_CHECK((void *)result == (void *)ys && (void *)iter == (void *)ys && ys[0] == -5 && ys[1] == -5);
	CHILD_CHECK(mppool_close(in->pool) == MPPOOL_EFORKED);
	CHILD_CHECK(mppool_terminate(in->pool) == MPPOOL_EFORKED);
	CHILD_CHECK(mppool_join(in->pool, MPPOOL_FOREVER) == MPPOOL_EFORKED);
}

static void child_sees_results(const struct inherited *in)
{
	int y = -5;
	size_t index = 9;

	CHILD_CHECK(mppool_result_ready(in->ready) == 1);
	CHILD_CHECK(mppool_result_get(in->ready, &y, MPPOOL_FOREVER) == 0 && y == 49);
	y = -5;
	CHILD_CHECK(mppool_result_wait(in->running, MPPOOL_FOREVER) == MPPOOL_EFORKED);
	CHILD_CHECK(mppool_result_get(in->running, &y, MPPOOL_FOREVER) == MPPOOL_EFORKED);
	CHILD_CHECK(mppool_result_get(in->queued, &y, MPPOOL_FOREVER) == MPPOOL_EFORKED);
	CHILD_CHECK(mppool_result_cancel(in->queued) == MPPOOL_EFORKED);
	CHILD_CHECK(mppool_iter_next(in->iter, &y, &index, MPPOOL_FOREVER) == MPPOOL_EFORKED);
	CHILD_CHECK(mppool_iter_cancel(in->iter) == MPPOOL_EFORKED);
	CHILD_CHECK(y == -5 && index == 9);
}

static void child_frees_all(const struct inherited *in)
{
	mppool_result_free(in->ready);
	mppool_result_free(in->running);
	mppool_iter_free(in->iter);
	CHILD_CHECK(mppool_destroy(in->pool) == 0);
	mppool_result_free(in->queued);                  /* also after the pool */
}

static void child_has_a_pool_of_its_own(void)
{
	const int xs[] = {1, 2, 3};
	int ys[3] = {0};
	mppool *pool = NULL;
	const struct mppool_func func = make_func(square_call, 1, sizeof(int), NULL);

	if (UNDER_TSAN)                                  /* which starts no threads after such a fork */
		return;
	CHILD_CHECK(mppool_create(MPPOOL_OPTIONS(.workers = 2), &pool) == 0);
	CHILD_CHECK(mppool_map(pool, &func, MPPOOL_ARRAY(xs, 3), ys, 1) == 0);
	CHILD_CHECK(ys[0] == 1 && ys[1] == 4 && ys[2] == 9);
	CHILD_CHECK(mppool_close(pool) == 0);
	CHILD_CHECK(mppool_join(pool, MPPOOL_FOREVER) == 0);
	CHILD_CHECK(mppool_destroy(pool) == 0);
}

/* What the child does, _i: all, in either order. */
START_TEST(forked_child_is_told_and_the_parent_goes_on)
{
	struct hold hold;
	const int x = 7;
	int y = 0;
	struct inherited in = {.pool = pool_of(1)};
	const struct mppool_func func = make_func(square_call, 1, sizeof(int), NULL);

	assert_ok(mppool_apply_async(in.pool, &func, MPPOOL_ARGS(&x), NULL, &in.ready));
	assert_ok(mppool_result_wait(in.ready, MPPOOL_FOREVER));
	hold_workers(&hold, in.pool, 1);
	in.running = hold.results[0];
	assert_ok(mppool_apply_async(in.pool, &func, MPPOOL_ARGS(&x), NULL, &in.queued));
	assert_ok(mppool_imap(in.pool, &func, MPPOOL_ARRAY(&x, 1), 0, 0, NULL, &in.iter));
	const pid_t child = fork_watched();
	if (child == 0) {
		if (_i)
			child_has_a_pool_of_its_own();
		child_is_refused(&in);
		child_sees_results(&in);
		child_frees_all(&in);
		if (!_i)
			child_has_a_pool_of_its_own();
		child_leaves();
	}
	child_ends_well(child);
	hold_release(&hold);
	assert_ok(mppool_result_get(in.queued, &y, MPPOOL_FOREVER));
	ck_assert_int_eq(y, 49);
	assert_ok(mppool_iter_next(in.iter, &y, NULL, MPPOOL_FOREVER));
	ck_assert_int_eq(y, 49);
	mppool_result_free(in.ready);
	mppool_result_free(in.queued);
	mppool_iter_free(in.iter);
	square_works(in.pool);
	pool_finish(in.pool);
}
END_TEST

struct busy {
	mppool *pool;
	atomic_bool stop;
	atomic_int wrong;
};

static void keep_busy(void *arg)
{
	struct busy *const busy = arg;
	const int xs[] = {1, 2, 3, 4};
	int ys[4];
	const struct mppool_func func = make_func(square_call, 1, sizeof(int), NULL);

	while (!atomic_load(&busy->stop)) {
		ys[3] = 0;
		if (mppool_map(busy->pool, &func, MPPOOL_ARRAY(xs, 4), ys, 1) != 0 || ys[3] != 16)
			atomic_fetch_add(&busy->wrong, 1);
	}
}

START_TEST(fork_at_any_moment_leaves_a_child_that_works)
{
	struct runner runner;
	struct busy busy = {.pool = pool_of(2)};
	const int turns = SLOW ? 5 : 40;
	const int x = 1;
	const struct mppool_func func = make_func(square_call, 1, sizeof(int), NULL);

	runner_start(&runner, keep_busy, &busy);
	for (int turn = 0; turn < turns; turn++) {
		square_works(busy.pool);
		const pid_t child = fork_watched();
		if (child == 0) {
			CHILD_CHECK(mppool_apply(busy.pool, &func, MPPOOL_ARGS(&x), NULL) == MPPOOL_EFORKED);
			child_has_a_pool_of_its_own();
			CHILD_CHECK(mppool_destroy(busy.pool) == 0);
			child_leaves();
		}
		child_ends_well(child);
	}
	atomic_store(&busy.stop, true);
	runner_join(&runner);
	ck_assert_int_eq(atomic_load(&busy.wrong), 0);
	pool_finish(busy.pool);
}
END_TEST

static int forking_call(const void *const args[], void *result, void *context)
{
	int status = -1;
	const struct mppool_func func = make_func(square_call, 1, sizeof(int), NULL);
	const pid_t child = fork_watched();

	if (child == 0) {
		CHILD_CHECK(mppool_apply(context, &func, args, NULL) == MPPOOL_EFORKED);
		child_leaves();
	}
	while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	*(int *)result = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	return 0;
}

START_TEST(task_may_fork)
{
	const int x = 2;
	int y = -1;
	mppool *const pool = pool_of(1);
	const struct mppool_func func = make_func(forking_call, 1, sizeof(int), pool);

	assert_ok(mppool_apply(pool, &func, MPPOOL_ARGS(&x), &y));
	ck_assert_int_eq(y, 0);
	pool_finish(pool);
}
END_TEST

/* ----------------------------------------------------------------------------------------------------- MPPOOL_WITH */

START_TEST(with_runs_its_block_once_and_cleans_up)
{
	int turns = 0, elses = 0;
	const int x = 1;
	mppool_result *queued = NULL;
	struct gate gate;
	const struct mppool_func func = make_func(gate_call, 1, sizeof(int), &gate);

	gate_init(&gate);
	gate_open(&gate);
	MPPOOL_WITH(pool, .workers = 3, .name = "with") {
		turns++;
		ck_assert_ptr_nonnull(pool);
		ck_assert_uint_eq(threads_settle("with-w", 3), 3);
		square_works(pool);
		assert_ok(mppool_apply_async(pool, &func, MPPOOL_ARGS(&x), NULL, &queued));
	} else {
		elses++;
	}
	ck_assert_int_eq(turns, 1);
	ck_assert_int_eq(elses, 0);
	ck_assert_uint_eq(threads_settle("with", 0), 0);
	ck_assert_int_eq(mppool_result_ready(queued), 1);
	mppool_result_free(queued);
	gate_destroy(&gate);
}
END_TEST

START_TEST(with_that_cannot_start_runs_its_else)
{
	int turns = 0, elses = 0;

	MPPOOL_WITH(pool, .workers = -1)
		turns++;
	else
		elses++;
	ck_assert_int_eq(turns, 0);
	ck_assert_int_eq(elses, 1);
	MPPOOL_WITH(pool, .workers = -1) {
		turns++;
	}
	ck_assert_int_eq(turns, 0);
}
END_TEST

START_TEST(with_break_leaves_the_block_and_cleans_up)
{
	int turns = 0;

	MPPOOL_WITH(pool, .workers = 2) {
		turns++;
		square_works(pool);
		if (turns)
			break;
		turns = 100;
	}
	ck_assert_int_eq(turns, 1);
	assert_no_threads();
}
END_TEST

START_TEST(with_continue_leaves_the_block_and_cleans_up)
{
	int turns = 0;

	MPPOOL_WITH(pool, .workers = 2) {
		turns++;
		if (turns)
			continue;
		turns = 100;
	}
	ck_assert_int_eq(turns, 1);
	assert_no_threads();
}
END_TEST

static int return_out_of_with(void)
{
	MPPOOL_WITH(pool, .workers = 2) {
		square_works(pool);
		return 42;
	}
	return 1;
}

START_TEST(with_return_cleans_up)
{
	ck_assert_int_eq(return_out_of_with(), 42);
	assert_no_threads();
}
END_TEST

START_TEST(with_may_be_nested_and_take_no_options)
{
	int turns = 0;

	setenv("MPPOOL_WORKERS", "2", 1);
	MPPOOL_WITH(outer) {
		MPPOOL_WITH(inner, .workers = 1) {
			square_works(outer);
			square_works(inner);
			turns++;
		}
		square_works(outer);
		turns++;
	}
	unsetenv("MPPOOL_WORKERS");
	ck_assert_int_eq(turns, 2);
	assert_no_threads();
}
END_TEST

START_TEST(with_terminates_what_is_queued)
{
	static struct gate gate;
	const int x = 1;
	int y;
	mppool_result *running = NULL, *queued = NULL;
	const struct mppool_func func = make_func(until_stopped, 1, sizeof(int), &gate);

	gate_init(&gate);
	gate_open(&gate);
	MPPOOL_WITH(pool, .workers = 1) {
		assert_ok(mppool_apply_async(pool, &func, MPPOOL_ARGS(&x), NULL, &running));
		assert_ok(mppool_apply_async(pool, &func, MPPOOL_ARGS(&x), NULL, &queued));
		gate_wait_arrivals(&gate, 1);
	}
	assert_ok(mppool_result_get(running, &y, 0));
	ck_assert_int_eq(y, 77);
	assert_code(mppool_result_get(queued, &y, 0), MPPOOL_ETERMINATED);
	mppool_result_free(running);
	mppool_result_free(queued);
	gate_destroy(&gate);
}
END_TEST

/* ----------------------------------------------------------------------------------------------------- queue_limit */

static mppool *limited_pool(int workers, size_t limit)
{
	mppool *pool = NULL;

	assert_ok(mppool_create(MPPOOL_OPTIONS(.workers = workers, .queue_limit = limit), &pool));
	return pool;
}

struct pusher {
	mppool *pool;
	int code;
	int y;
	mppool_result *result;
};

static void push_one(void *arg)
{
	struct pusher *const pusher = arg;
	const int x = 11;
	const struct mppool_func func = make_func(square_call, 1, sizeof(int), NULL);

	pusher->code = mppool_apply_async(pusher->pool, &func, MPPOOL_ARGS(&x), NULL, &pusher->result);
}

static void push_and_wait(void *arg)
{
	struct pusher *const pusher = arg;
	const int x = 12;
	const struct mppool_func func = make_func(square_call, 1, sizeof(int), NULL);

	pusher->code = mppool_apply(pusher->pool, &func, MPPOOL_ARGS(&x), &pusher->y);
}

START_TEST(submit_waits_for_room_in_the_queue)
{
	struct hold hold;
	struct runner runners[2];
	struct pusher pushers[2];
	int y = 0;
	mppool *const pool = limited_pool(1, 2);
	const int xs[] = {1, 2, 3, 4, 5};
	const struct mppool_func func = make_func(square_call, 1, sizeof(int), NULL);

	hold_workers(&hold, pool, 1);
	/* A map is one call. */
	assert_ok(mppool_map_async(pool, &func, MPPOOL_ARRAY(xs, 5), NULL, 1, MPPOOL_CALL(.flags = MPPOOL_NOWAIT),
	                           NULL));
	assert_ok(mppool_apply_async(pool, &func, MPPOOL_ARGS(xs), MPPOOL_CALL(.flags = MPPOOL_NOWAIT), NULL));
	assert_code(mppool_apply_async(pool, &func, MPPOOL_ARGS(xs), MPPOOL_CALL(.flags = MPPOOL_NOWAIT), NULL),
	            MPPOOL_EFULL);
	for (int i = 0; i < 2; i++)
		pushers[i] = (struct pusher){.pool = pool, .code = -1};
	runner_start(&runners[0], push_one, &pushers[0]);
	runner_start(&runners[1], push_and_wait, &pushers[1]);
	pause_briefly();
	ck_assert(!runner_done(&runners[0]));
	ck_assert(!runner_done(&runners[1]));
	hold_release(&hold);
	runner_join(&runners[0]);
	runner_join(&runners[1]);
	assert_ok(pushers[0].code);
	assert_ok(pushers[1].code);
	ck_assert_int_eq(pushers[1].y, 144);
	assert_ok(mppool_result_get(pushers[0].result, &y, MPPOOL_FOREVER));
	ck_assert_int_eq(y, 121);
	mppool_result_free(pushers[0].result);
	pool_finish(pool);
}
END_TEST

START_TEST(room_comes_with_each_call_that_starts)
{
	struct gate gate;
	const int x = 3;
	mppool *const pool = limited_pool(1, 1);
	const struct mppool_func func = make_func(gate_call, 1, sizeof(int), &gate);

	gate_init(&gate);
	assert_ok(mppool_apply_async(pool, &func, MPPOOL_ARGS(&x), NULL, NULL));
	for (size_t started = 1; started < 20; started++) {
		gate_wait_arrivals(&gate, started);
		assert_ok(mppool_apply_async(pool, &func, MPPOOL_ARGS(&x), MPPOOL_CALL(.flags = MPPOOL_NOWAIT), NULL));
		assert_code(mppool_apply_async(pool, &func, MPPOOL_ARGS(&x), MPPOOL_CALL(.flags = MPPOOL_NOWAIT),
		                               NULL),
		            MPPOOL_EFULL);
		gate_admit(&gate, 1);
	}
	gate_open(&gate);
	pool_finish(pool);
	ck_assert_uint_eq(gate_departures(&gate), 20);
	gate_destroy(&gate);
}
END_TEST

START_TEST(cancelled_call_makes_room)
{
	struct hold hold;
	const int x = 3;
	mppool_result *queued = NULL;
	mppool *const pool = limited_pool(1, 1);
	const struct mppool_func func = make_func(square_call, 1, sizeof(int), NULL);

	hold_workers(&hold, pool, 1);
	assert_ok(mppool_apply_async(pool, &func, MPPOOL_ARGS(&x), NULL, &queued));
	assert_ok(mppool_result_cancel(queued));
	assert_code(mppool_result_wait(queued, MPPOOL_FOREVER), 0);
	assert_ok(mppool_apply_async(pool, &func, MPPOOL_ARGS(&x), MPPOOL_CALL(.flags = MPPOOL_NOWAIT), NULL));
	mppool_result_free(queued);
	hold_release(&hold);
	pool_finish(pool);
}
END_TEST

START_TEST(nowait_without_a_limit_does_nothing)
{
	struct hold hold;
	struct recorder recorder;
	mppool *const pool = pool_of(1);
	const struct mppool_func func = make_func(record_call, 1, sizeof(int), &recorder);

	recorder_init(&recorder);
	hold_workers(&hold, pool, 1);
	for (int i = 0; i < 300; i++)
		assert_ok(mppool_apply_async(pool, &func, MPPOOL_ARGS(&i),
		                             MPPOOL_CALL(.flags = MPPOOL_NOWAIT, .submit_timeout = 1e-6), NULL));
	hold_release(&hold);
	pool_finish(pool);
	ck_assert(recorded_each_once(&recorder, 0, 300));
	recorder_destroy(&recorder);
}
END_TEST

struct crowding {
	mppool *pool;
	struct recorder recorder;
	atomic_int wrong;
};

static void crowd_the_queue(struct crowding *crowding, int from)
{
	const struct mppool_func func = make_func(record_call, 1, sizeof(int), &crowding->recorder);

	for (int i = 0; i < 10; i++) {
		const int x = from + i;
		if (mppool_apply_async(crowding->pool, &func, MPPOOL_ARGS(&x), NULL, NULL) != 0)
			atomic_fetch_add(&crowding->wrong, 1);
	}
}

static int crowding_call(const void *const args[], void *result, void *context)
{
	(void)args;
	*(int *)result = 0;
	crowd_the_queue(context, 0);
	return 0;
}

static void crowding_callback(const void *results, size_t n, void *userdata)
{
	(void)results;
	(void)n;
	crowd_the_queue(userdata, 10);
}

static int crowding_next(void *const args[], void *state)
{
	static atomic_int drawn;

	*(int *)args[0] = 0;
	if (atomic_fetch_add(&drawn, 1) > 0)
		return MPPOOL_ESTOP;
	crowd_the_queue(state, 20);
	return 0;
}

START_TEST(pools_own_threads_never_wait_for_room)
{
	struct crowding crowding = {.pool = limited_pool(1, 1)};
	const struct mppool_iterable items = {.size = sizeof items, .next = crowding_next, .state = &crowding};
	const struct mppool_func func = make_func(crowding_call, 1, sizeof(int), &crowding);

	recorder_init(&crowding.recorder);
	assert_ok(mppool_map_async(crowding.pool, &func, &items, NULL, 1,
	                           MPPOOL_CALL(.callback = crowding_callback, .userdata = &crowding), NULL));
	recorded_wait(&crowding.recorder, 30);
	pool_finish(crowding.pool);
	ck_assert_int_eq(atomic_load(&crowding.wrong), 0);
	ck_assert(recorded_each_once(&crowding.recorder, 0, 30));
	recorder_destroy(&crowding.recorder);
}
END_TEST

#define LIMIT 3
#define LIMITED_WORKERS 2

struct pressure {
	mppool *pool;
	atomic_int accepted, started;
	atomic_size_t most;
	atomic_int wrong;
};

static int pressure_call(const void *const args[], void *result, void *context)
{
	struct pressure *const pressure = context;

	(void)args;
	(void)result;
	atomic_fetch_add(&pressure->started, 1);
	return 0;
}

static void press(size_t i, void *arg)
{
	struct pressure *const pressure = arg;
	const struct mppool_func func = make_func(pressure_call, 0, 0, pressure);

	(void)i;
	for (int turn = 0; turn < 500; turn++) {
		if (mppool_apply_async(pressure->pool, &func, NULL, NULL, NULL) != 0)
			atomic_fetch_add(&pressure->wrong, 1);
		/* In this order, so that who is held up in between sees too few, never too many. */
		const int accepted = atomic_fetch_add(&pressure->accepted, 1) + 1;
		const int started = atomic_load(&pressure->started);
		if (accepted > started)
			raise_peak(&pressure->most, (size_t)(accepted - started));
	}
}

START_TEST(many_submitters_never_pass_the_limit)
{
	struct pressure pressure = {.pool = limited_pool(LIMITED_WORKERS, LIMIT)};

	run_in_threads(4, press, &pressure);
	pool_finish(pressure.pool);
	ck_assert_int_eq(atomic_load(&pressure.wrong), 0);
	ck_assert_int_eq(atomic_load(&pressure.started), 2000);
	ck_assert_uint_le(atomic_load(&pressure.most), LIMIT + LIMITED_WORKERS);
}
END_TEST

START_TEST(limit_is_kept_exactly_while_nothing_starts)
{
	struct hold hold;
	struct pressure pressure = {.pool = limited_pool(LIMITED_WORKERS, LIMIT)};
	const struct mppool_func func = make_func(pressure_call, 0, 0, &pressure);

	hold_workers(&hold, pressure.pool, LIMITED_WORKERS);
	for (int i = 0; i < 10; i++)
		assert_code(mppool_apply_async(pressure.pool, &func, NULL, MPPOOL_CALL(.flags = MPPOOL_NOWAIT), NULL),
		            i < LIMIT ? 0 : MPPOOL_EFULL);
	ck_assert_int_eq(atomic_load(&pressure.started), 0);
	hold_release(&hold);
	pool_finish(pressure.pool);
	ck_assert_int_eq(atomic_load(&pressure.started), LIMIT);
}
END_TEST

/* ------------------------------------------------------------------------------------------------------ idle pools */

/* For a second no thread of the pool runs, and the process uses next to no CPU time. */
static void assert_idle(size_t workers)
{
	ck_assert_uint_eq(threads_settle("mppool-w", workers), workers);
	ck_assert(threads_stand_still("mppool", 0.1));
	const double cpu = cpu_seconds();
	ck_assert(threads_stand_still("mppool", 1));
	if (!UNDER_TSAN && !UNDER_ASAN && !under_valgrind())
		ck_assert_double_lt(cpu_seconds() - cpu, 0.2);
}

START_TEST(idle_new_pool_does_not_stir)
{
	mppool *const pool = pool_of(4);

	assert_idle(4);
	pool_finish(pool);
}
END_TEST

static void wait_for_ever(void *arg)
{
	mppool_result_wait(arg, MPPOOL_FOREVER);
}

START_TEST(idle_used_pool_does_not_stir)
{
	struct hold hold;
	struct runner waiter;
	struct source source = SOURCE(1000);
	struct mppool_iterable items = source_items(&source);
	int y;
	mppool *seen = NULL;
	mppool_iter *full = NULL;
	mppool_result *with_callback = NULL;
	const int x = 1;
	mppool *const pool = pool_of(3);
	const struct mppool_func func = make_func(square_call, 1, sizeof(int), NULL);

	/* Everything that has a thread or a timer of its own was used: callbacks, generators, time limits. */
	square_works(pool);
	assert_ok(mppool_apply_async(pool, &func, MPPOOL_ARGS(&x),
	                             MPPOOL_CALL(.callback = current_callback, .userdata = &seen,
	                                         .task_timeout = 1000), &with_callback));
	assert_ok(mppool_result_get(with_callback, &y, MPPOOL_FOREVER));
	mppool_result_free(with_callback);
	/* A stream whose buffer is full, and a call that stands with somebody waiting for it. */
	assert_ok(mppool_imap(pool, &func, &items, 1, 4, NULL, &full));
	assert_ok(mppool_iter_next(full, &y, NULL, MPPOOL_FOREVER));
	hold_workers(&hold, pool, 1);
	runner_start(&waiter, wait_for_ever, hold.results[0]);
	assert_idle(3);
	gate_open(&hold.gate);
	runner_join(&waiter);
	hold_release(&hold);
	mppool_iter_free(full);
	pool_finish(pool);
}
END_TEST

/* -------------------------------------------------------------------------------------------------- many and often */

struct meeting {
	sem_t arrived, go;
};

static int meet_call(const void *const args[], void *result, void *context)
{
	struct meeting *const meeting = context;

	(void)args;
	*(int *)result = mppool_worker_index();
	sem_post(&meeting->arrived);
	while (sem_wait(&meeting->go) != 0)
		;
	return 0;
}

/* A pool of so many workers in which all of them are at work at once, each with an index of its own. */
static void many_workers(size_t n)
{
	mppool *pool = NULL;
	struct meeting meeting;
	mppool_result *result = NULL;
	const struct mppool_func func = make_func(meet_call, 0, sizeof(int), &meeting);
	int *const ys = calloc(n, sizeof *ys);
	unsigned char *const seen = calloc(n, 1);

	sem_init(&meeting.arrived, 0, 0);
	sem_init(&meeting.go, 0, 0);
	assert_ok(mppool_create(MPPOOL_OPTIONS(.workers = (int)n, .stack_size = 1 << 20), &pool));
	assert_ok(mppool_starmap_async(pool, &func, MPPOOL_TIMES(n), ys, 1, NULL, &result));
	for (size_t i = 0; i < n; i++)
		while (sem_wait(&meeting.arrived) != 0)
			;
	for (size_t i = 0; i < n; i++)
		sem_post(&meeting.go);
	assert_ok(mppool_result_get(result, NULL, MPPOOL_FOREVER));
	for (size_t i = 0; i < n; i++) {
		ck_assert(ys[i] >= 0 && (size_t)ys[i] < n);
		ck_assert_uint_eq(seen[ys[i]]++, 0);
	}
	square_works(pool);
	mppool_result_free(result);
	pool_finish(pool);
	assert_no_threads();
	sem_destroy(&meeting.arrived);
	sem_destroy(&meeting.go);
	free(ys);
	free(seen);
}

START_TEST(a_thousand_workers_all_work)
{
	many_workers(SLOW ? 64 : 1024);
}
END_TEST

START_TEST(four_thousand_workers_all_work)
{
	many_workers(SLOW ? 128 : sizeof(size_t) > 4 ? 4096 : 2048);     /* of 1 MiB each: half of 32 bits' worth */
}
END_TEST

static long resident_kib(void)
{
	long total = 0, resident = 0;
	FILE *const statm = fopen("/proc/self/statm", "re");

	ck_assert_ptr_nonnull(statm);
	ck_assert_int_eq(fscanf(statm, "%ld %ld", &total, &resident), 2);
	fclose(statm);
	return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

static size_t open_files(void)
{
	DIR *const files = opendir("/proc/self/fd");
	size_t n = 0;

	ck_assert_ptr_nonnull(files);
	while (readdir(files))
		n++;
	closedir(files);
	return n;
}

static void short_life(int turn)
{
	const int xs[] = {1, 2, 3};
	int y;
	mppool_iter *iter = NULL;
	mppool *const pool = pool_of(1 + turn % 3);
	const struct mppool_func func = make_func(square_call, 1, sizeof(int), NULL);

	if (turn % 2)
		square_works(pool);
	if (turn % 5 == 0)
		assert_ok(mppool_apply_async(pool, &func, MPPOOL_ARGS(xs), NULL, NULL));
	if (turn % 7 == 0) {
		assert_ok(mppool_imap(pool, &func, MPPOOL_ARRAY(xs, 3), 1, 1, NULL, &iter));
		assert_ok(mppool_iter_next(iter, &y, NULL, MPPOOL_FOREVER));
		mppool_iter_free(iter);
	}
	if (turn % 3 == 0)
		pool_finish(pool);
	else
		assert_ok(mppool_destroy(pool));
}

START_TEST(thousands_of_pools_leave_nothing_behind)
{
	const int turns = under_valgrind() ? 60 : SLOW ? 300 : 4000;

	for (int turn = 0; turn < turns / 4; turn++)
		short_life(turn);
	const long before = resident_kib();
	const size_t files = open_files();
	for (int turn = turns / 4; turn < turns; turn++)
		short_life(turn);
	assert_no_threads();
	ck_assert_uint_eq(open_files(), files);
	if (!SLOW)
		ck_assert_int_lt(resident_kib() - before, 2048);
}
END_TEST

/* ----------------------------------------------------------------------------------------------------- the program */

static void fill_states(Suite *suite)
{
	TCase *const states = add_case(suite, "states");
	TCase *const places = add_case(suite, "places");

	tcase_add_test(states, new_pool_runs_and_has_its_workers);
	tcase_add_test(states, default_number_of_workers_is_the_cpu_count);
	tcase_add_test(states, cpu_count_follows_the_affinity);
	tcase_add_test(states, environment_sets_the_default_number_of_workers);
	tcase_add_loop_test(states, close_and_terminate_are_idempotent_in_every_order, 0, 16);
	tcase_add_test(states, close_finishes_what_was_accepted);
	tcase_add_test(states, close_lifts_the_bound_of_a_stream_nobody_reads);
	tcase_add_test(states, close_takes_time_in_proportion_to_the_calls_that_wait);
	tcase_add_test(states, terminate_waits_for_nobody_and_results_wait_for_their_items);
	tcase_add_test(states, terminate_after_close_drops_what_is_queued);
	tcase_add_test(states, destroy_running_pool_terminates_it);
	tcase_add_test(states, destroy_closed_pool_finishes_its_work);
	tcase_add_test(states, destroy_one_pool_leaves_the_other_alone);
	tcase_add_test(states, results_and_iterators_outlive_their_pool);
	tcase_add_test(states, join_by_several_threads_returns_in_each);
	tcase_add_loop_test(places, end_of_a_pool_may_come_from_any_thread, 0, PLACES * DEEDS);
	tcase_add_test(places, recursion_goes_on_in_a_closed_pool_and_join_waits_for_it);
}

static void fill_workers(Suite *suite)
{
	TCase *const initializers = add_case(suite, "initializers");
	TCase *const retirement = add_case(suite, "retirement");
	TCase *const lost = add_case(suite, "lost");

	tcase_add_test(initializers, initializer_runs_once_in_each_worker_before_create_returns);
	tcase_add_test(initializers, finalizer_runs_in_each_worker_after_terminate_too);
	tcase_add_test(initializers, worker_functions_outside_a_worker_say_so);
	tcase_add_test(initializers, current_is_the_pool_that_runs_the_function);
	tcase_add_loop_test(initializers, initializer_that_fails_breaks_the_creation, 1, 7);
	tcase_add_test(initializers, replacement_that_cannot_start_breaks_the_pool);
	tcase_add_test(retirement, worker_retires_after_its_chunks_and_is_replaced);
	tcase_add_test(retirement, one_task_for_each_worker_does_many_tasks);
	tcase_add_test(retirement, chunks_are_what_retirement_counts);
	tcase_add_loop_test(lost, lost_worker_fails_its_item_only_and_is_replaced, 0, LOSE_WAYS);
	tcase_add_loop_test(lost, lost_worker_in_apply_and_in_a_stream, 0, LOSE_WAYS);
	tcase_add_loop_test(lost, lost_in_a_nested_item_takes_the_frames_below_with_it, 0, LOSE_WAYS);
	tcase_add_loop_test(lost, lost_worker_is_initialized_again, 0, LOSE_WAYS);
	tcase_add_test(lost, worker_cancelled_by_another_thread_is_lost);
}

static void fill_threads(Suite *suite)
{
	TCase *const threads = add_case(suite, "threads");
	TCase *const callers = add_case(suite, "callers");
	TCase *const forks = add_case(suite, "forks");

	tcase_add_test(threads, threads_are_named_after_the_pool);
	tcase_add_test(threads, long_names_are_cut);
	tcase_add_test(threads, threads_block_all_signals_but_faults_and_the_caller_keeps_its_mask);
	tcase_add_test(threads, profiler_sees_the_workers);
	tcase_add_test(threads, worker_index_is_of_workers_only);
	tcase_add_test(threads, stack_is_as_large_as_asked_for);
	tcase_add_test(threads, workers_run_on_the_cpus_they_were_given);
	tcase_add_test(threads, cpus_hold_for_a_replacement_too);
	tcase_add_test(callers, no_call_is_a_cancellation_point);
	tcase_add_test(callers, no_call_returns_eintr);
	tcase_add_loop_test(forks, forked_child_is_told_and_the_parent_goes_on, 0, 2);
	/* The address sanitizer does not hold the locks of its own allocator over a fork: another thread may have them. */
	if (!UNDER_ASAN)
		tcase_add_test(forks, fork_at_any_moment_leaves_a_child_that_works);
	tcase_add_test(forks, task_may_fork);
}

static void fill_with_and_queue(Suite *suite)
{
	TCase *const with = add_case(suite, "with");
	TCase *const queue = add_case(suite, "queue");

	tcase_add_test(with, with_runs_its_block_once_and_cleans_up);
	tcase_add_test(with, with_that_cannot_start_runs_its_else);
	tcase_add_test(with, with_break_leaves_the_block_and_cleans_up);
	tcase_add_test(with, with_continue_leaves_the_block_and_cleans_up);
	tcase_add_test(with, with_return_cleans_up);
	tcase_add_test(with, with_may_be_nested_and_take_no_options);
	tcase_add_test(with, with_terminates_what_is_queued);
	tcase_add_test(queue, submit_waits_for_room_in_the_queue);
	tcase_add_test(queue, room_comes_with_each_call_that_starts);
	tcase_add_test(queue, cancelled_call_makes_room);
	tcase_add_test(queue, nowait_without_a_limit_does_nothing);
	tcase_add_test(queue, pools_own_threads_never_wait_for_room);
	tcase_add_test(queue, many_submitters_never_pass_the_limit);
	tcase_add_test(queue, limit_is_kept_exactly_while_nothing_starts);
}

static void fill(Suite *suite)
{
	fill_states(suite);
	fill_workers(suite);
	fill_threads(suite);
	fill_with_and_queue(suite);
	TCase *const idle = add_case(suite, "idle");
	TCase *const many = add_case(suite, "many");

	if (!under_valgrind()) {
		tcase_add_test(idle, idle_new_pool_does_not_stir);
		tcase_add_test(idle, idle_used_pool_does_not_stir);
	}
	tcase_add_test(many, a_thousand_workers_all_work);
	tcase_add_test(many, four_thousand_workers_all_work);
	tcase_add_test(many, thousands_of_pools_leave_nothing_behind);
}

int main(int argc, char **argv)
{
	return run_suite("lifecycle", fill, argc, argv);
}
