/* test_service.c - how the threads of a pool begin and end: whatever a user function did to its thread, the next one is as
 * the pool's creator was; and what a program does as a thread ends is a use of the pool as any other
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE 1
#include "support.h"

#include <fenv.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The sanitizers' and valgrind's own threads and emulated system calls are not a matter of these tests. */
#define PLAIN (!UNDER_TSAN && !UNDER_ASAN && !under_valgrind())

/* ------------------------------------------------------------------------------------------------- threads begin alike */

/* What a thread has from the one that started it. */
struct look {
	cpu_set_t cpus;
	int nice, policy, rounding;
	sigset_t blocked;
	long users[3], groups[3];
};

static void look_around(struct look *look)
{
	unsigned ids[6];

	memset(look, 0, sizeof *look);
	sched_getaffinity(0, sizeof look->cpus, &look->cpus);
	look->nice = getpriority(PRIO_PROCESS, (id_t)thread_id());
	look->policy = sched_getscheduler(0);
	look->rounding = fegetround();
	pthread_sigmask(SIG_BLOCK, NULL, &look->blocked);
	syscall(SYS_getresuid, &ids[0], &ids[1], &ids[2]);
	syscall(SYS_getresgid, &ids[3], &ids[4], &ids[5]);
	for (int i = 0; i < 3; i++) {
		look->users[i] = ids[i];
		look->groups[i] = ids[3 + i];
	}
}

/* Of this thread alone: the C library's functions would change the credentials of all. */
static void change_everything(void)
{
	const struct sched_param none = {0};
	cpu_set_t one;
	sigset_t all;

	CPU_ZERO(&one);
	CPU_SET((size_t)sched_getcpu(), &one);
	sched_setaffinity(0, sizeof one, &one);
	fesetround(FE_UPWARD);
	sigfillset(&all);
	pthread_sigmask(SIG_UNBLOCK, &all, NULL);
	setpriority(PRIO_PROCESS, (id_t)thread_id(), getpriority(PRIO_PROCESS, (id_t)thread_id()) + 3);
	sched_setscheduler(0, SCHED_BATCH, &none);
	if (PLAIN) {
		syscall(SYS_setresgid, 65534, 65534, 65534);
		syscall(SYS_setresuid, 65534, 65534, 65534);
	}
}

static bool same_signals(const sigset_t *a, const sigset_t *b)
{
	for (int i = 1; i < NSIG; i++)
		if (sigismember(a, i) != sigismember(b, i))
			return false;
	return true;
}

static void assert_alike(const struct look *a, const struct look *b)
{
	ck_assert(CPU_EQUAL(&a->cpus, &b->cpus));
	ck_assert_int_eq(a->nice, b->nice);
	ck_assert_int_eq(a->policy, b->policy);
	ck_assert_int_eq(a->rounding, b->rounding);
	ck_assert_mem_eq(a->users, b->users, sizeof a->users);
	ck_assert_mem_eq(a->groups, b->groups, sizeof a->groups);
}

/* How a later thread comes to be started, after a user function has changed its own. */
enum way { RETIRED, LOST, GROWN, REGROWN, SECOND_HANDLER, LOST_GENERATOR, LOST_CALLBACK, WAYS };

struct stage {
	enum way way;
	mppool *pool;
	struct gate inside, met;
	struct look first, later;
	atomic_int calls, looks;
};

static void look_later(struct stage *stage)
{
	look_around(&stage->later);
	atomic_fetch_add(&stage->looks, 1);
}

static int look_call(const void *const args[], void *result, void *context)
{
	(void)args;
	(void)result;
	look_later(context);
	return 0;
}

static int first_look_call(const void *const args[], void *result, void *context)
{
	(void)args;
	(void)result;
	look_around(&((struct stage *)context)->first);
	return 0;
}

/* On both workers at once; the second one looks. */
static int meet_call(const void *const args[], void *result, void *context)
{
	struct stage *const stage = context;

	(void)args;
	(void)result;
	if (mppool_worker_index() == 1)
		look_later(stage);
	if (atomic_fetch_add(&stage->calls, 1) == 1)
		gate_open(&stage->met);
	gate_wait(&stage->met);
	return 0;
}

static int look_next(void *const args[], void *state)
{
	(void)args;
	look_later(state);
	return MPPOOL_ESTOP;
}

static int stay_next(void *const args[], void *state)
{
	(void)args;
	gate_wait(&((struct stage *)state)->inside);
	return MPPOOL_ESTOP;
}

static int leave_next(void *const args[], void *state)
{
	(void)args;
	(void)state;
	change_everything();
	pthread_exit(NULL);
}

static int nothing_call(const void *const args[], void *result, void *context)
{
	(void)args;
	(void)result;
	(void)context;
	return 0;
}

static void map_generator(struct stage *stage, int (*next)(void *const args[], void *state), int expected)
{
	const struct mppool_iterable items = {.size = sizeof items, .length = MPPOOL_UNKNOWN, .next = next, .state = stage};
	const struct mppool_func func = make_func(nothing_call, 1, 0, NULL);
	mppool_result *result = NULL;

	assert_ok(mppool_map_async(stage->pool, &func, &items, NULL, 1, NULL, &result));
	assert_code(mppool_result_get(result, NULL, MPPOOL_FOREVER), expected);
	mppool_result_free(result);
}

static int change_call(const void *const args[], void *result, void *context)
{
	struct stage *const stage = context;
	const struct mppool_iterable items = {
		.size = sizeof items, .length = MPPOOL_UNKNOWN, .next = look_next, .state = stage};
	const struct mppool_func func = make_func(nothing_call, 1, 0, NULL);

	(void)args;
	(void)result;
	change_everything();
	if (stage->way == LOST)
		pthread_exit(NULL);
	if (stage->way == GROWN)
		return mppool_resize(stage->pool, 2);
	if (stage->way == SECOND_HANDLER)
		return mppool_map_async(stage->pool, &func, &items, NULL, 1, NULL, NULL);
	return 0;
}

static void leave_callback(const void *results, size_t n, void *userdata)
{
	(void)results;
	(void)n;
	(void)userdata;
	change_everything();
	pthread_exit(NULL);
}

static void look_callback(const void *results, size_t n, void *userdata)
{
	(void)results;
	(void)n;
	look_later(userdata);
}

static void call(struct stage *stage, mppool_item_call *item_call, int expected)
{
	const struct mppool_func func = make_func(item_call, 0, 0, stage);

	assert_code(mppool_apply(stage->pool, &func, NULL, NULL), expected);
}

static void call_back(struct stage *stage, void (*callback)(const void *results, size_t n, void *userdata))
{
	const struct mppool_func func = make_func(nothing_call, 0, 0, NULL);
	mppool_result *result = NULL;

	assert_ok(mppool_apply_async(stage->pool, &func, NULL, MPPOOL_CALL(.callback = callback, .userdata = stage),
	                             &result));
	assert_ok(mppool_result_wait(result, MPPOOL_FOREVER));
	mppool_result_free(result);
}

static void meet(struct stage *stage)
{
	const struct mppool_func func = make_func(meet_call, 1, 0, stage);
	const int xs[] = {1, 2};

	assert_ok(mppool_map(stage->pool, &func, MPPOOL_ARRAY(xs, 2), NULL, 1));
}

static void start_later_thread(struct stage *stage)
{
	const struct mppool_iterable staying = {
		.size = sizeof staying, .length = MPPOOL_UNKNOWN, .next = stay_next, .state = stage};
	const struct mppool_func func = make_func(nothing_call, 1, 0, NULL);

	switch (stage->way) {
	case RETIRED:
		call(stage, change_call, 0);
		call(stage, look_call, 0);
		break;
	case LOST:
		call(stage, change_call, MPPOOL_ETASK);
		call(stage, look_call, 0);
		break;
	case GROWN:
		call(stage, change_call, 0);
		meet(stage);
		break;
	case REGROWN:                            /* by a thread of the program that has changed meanwhile */
		assert_ok(mppool_resize(stage->pool, 2));
		meet(stage);
		break;
	case SECOND_HANDLER:
		assert_ok(mppool_map_async(stage->pool, &func, &staying, NULL, 1, NULL, NULL));
		gate_wait_arrivals(&stage->inside, 1);
		call(stage, change_call, 0);
		while (atomic_load(&stage->looks) == 0)
			nap();
		gate_open(&stage->inside);
		break;
	case LOST_GENERATOR:
		map_generator(stage, leave_next, MPPOOL_EITER);
		map_generator(stage, look_next, 0);
		break;
	default:
		call_back(stage, leave_callback);
		call_back(stage, look_callback);
	}
}

START_TEST(later_threads_are_as_the_creator_was)
{
	struct stage stage = {.way = (enum way)_i};
	struct look mine;

	gate_init(&stage.inside);
	gate_init(&stage.met);
	fesetround(FE_DOWNWARD);
	setpriority(PRIO_PROCESS, (id_t)thread_id(), getpriority(PRIO_PROCESS, (id_t)thread_id()) + 1);
	look_around(&mine);
	assert_ok(mppool_create(MPPOOL_OPTIONS(.workers = 1, .max_tasks_per_worker = _i == RETIRED), &stage.pool));
	fesetround(FE_TONEAREST);
	if (_i == REGROWN)
		setpriority(PRIO_PROCESS, (id_t)thread_id(), getpriority(PRIO_PROCESS, (id_t)thread_id()) + 1);
	call(&stage, first_look_call, 0);
	start_later_thread(&stage);
	pool_finish(stage.pool);
	ck_assert_int_ge(atomic_load(&stage.looks), 1);
	assert_alike(&stage.first, &mine);
	assert_alike(&stage.later, &mine);
	ck_assert(same_signals(&stage.later.blocked, &stage.first.blocked));
	gate_destroy(&stage.inside);
	gate_destroy(&stage.met);
}
END_TEST

/* ---------------------------------------------------------------------------------------------------- threads that end */

/* As thread-local objects of C++ do, an object of the program uses the pool when its thread ends. */
static pthread_key_t key;

enum deed { APPLY, ASYNC, MAP, WITH_CALLBACK, STREAM, GROW, SHRINK, WAIT_IDLE, CLOSE_JOIN, TERMINATE_JOIN, DESTROY, DEEDS };
enum end { END_RETIRED, END_LOST, END_DISMISSED, END_FINISHED, END_GENERATOR, END_CALLBACK, ENDS };

struct farewell {
	mppool *pool;
	enum deed deed;
	atomic_int ends, code, value, saw_pool, index;
	struct gate ended;
};

static int twice(int x)
{
	return 2 * x;
}
MPPOOL_FUNC(twice_task, int, twice, int);

static void nothing_callback(const void *results, size_t n, void *userdata)
{
	(void)results;
	(void)n;
	(void)userdata;
}

static int wait_for(int error, mppool_result *result, int *y)
{
	if (error)
		return error;
	error = mppool_result_get(result, y, MPPOOL_FOREVER);
	mppool_result_free(result);
	return error;
}

static int stream_all(mppool *pool, const int *xs, int *y)
{
	mppool_iter *iter;
	int code = mppool_imap(pool, &twice_task, MPPOOL_ARRAY(xs, 3), 1, 0, NULL, &iter), one;

	if (code)
		return code;
	while ((code = mppool_iter_next(iter, &one, NULL, MPPOOL_FOREVER)) == 0)
		*y = one;
	mppool_iter_free(iter);
	return code == MPPOOL_ESTOP ? 0 : code;
}

static int do_deed(mppool *pool, enum deed deed, int *y)
{
	const int xs[] = {1, 2, 21};
	mppool_result *result = NULL;
	int ys[3] = {0, 0, 0}, code;

	switch (deed) {
	case APPLY:
		return mppool_apply(pool, &twice_task, MPPOOL_ARGS(&xs[2]), y);
	case ASYNC:
		code = mppool_apply_async(pool, &twice_task, MPPOOL_ARGS(&xs[2]), NULL, &result);
		return wait_for(code, result, y);
	case MAP:
		code = mppool_map(pool, &twice_task, MPPOOL_ARRAY(xs, 3), ys, 1);
		*y = ys[2];
		return code;
	case WITH_CALLBACK:
		code = mppool_apply_async(pool, &twice_task, MPPOOL_ARGS(&xs[2]),
		                          MPPOOL_CALL(.callback = nothing_callback), &result);
		return wait_for(code, result, y);
	case STREAM:
		return stream_all(pool, xs, y);
	case GROW:
		code = mppool_resize(pool, 3);
		return code ? code : mppool_apply(pool, &twice_task, MPPOOL_ARGS(&xs[2]), y);
	case SHRINK:
		code = mppool_resize(pool, 1);
		return code ? code : mppool_apply(pool, &twice_task, MPPOOL_ARGS(&xs[2]), y);
	case WAIT_IDLE:
		*y = 42;
		return mppool_wait_idle(pool, MPPOOL_FOREVER);
	case CLOSE_JOIN:
		mppool_close(pool);
		return mppool_join(pool, MPPOOL_FOREVER);
	case TERMINATE_JOIN:
		mppool_terminate(pool);
		return mppool_join(pool, MPPOOL_FOREVER);
	default:
		return mppool_destroy(pool);
	}
}

static void say_farewell(void *object)
{
	struct farewell *const f = object;
	int y = 0;

	atomic_store(&f->saw_pool, mppool_current() == f->pool);
	atomic_store(&f->index, mppool_worker_index());
	if (atomic_fetch_add(&f->ends, 1) == 0) {
		atomic_store(&f->code, do_deed(f->pool, f->deed, &y));
		atomic_store(&f->value, y);
	}
	gate_open(&f->ended);
}

static int mark_call(const void *const args[], void *result, void *context)
{
	(void)args;
	(void)result;
	pthread_setspecific(key, context);
	return 0;
}

static int mark_and_leave_call(const void *const args[], void *result, void *context)
{
	mark_call(args, result, context);
	pthread_exit(NULL);
}

static int mark_last_call(const void *const args[], void *result, void *context)
{
	struct farewell *const f = context;

	(void)args;
	(void)result;
	if (mppool_worker_index() == 1)
		pthread_setspecific(key, f);
	if (atomic_fetch_add(&f->index, 1) == 1)
		gate_open(&f->ended);
	gate_wait(&f->ended);
	return 0;
}

static int mark_and_leave_next(void *const args[], void *state)
{
	(void)args;
	pthread_setspecific(key, state);
	pthread_exit(NULL);
}

static void mark_and_leave_callback(const void *results, size_t n, void *userdata)
{
	(void)results;
	(void)n;
	pthread_setspecific(key, userdata);
	pthread_exit(NULL);
}

/* The worker with index 1 is marked, and dismissed. */
static void dismiss(struct farewell *f)
{
	const struct mppool_func func = make_func(mark_last_call, 1, 0, f);
	const int xs[] = {1, 2};

	assert_ok(mppool_map(f->pool, &func, MPPOOL_ARRAY(xs, 2), NULL, 1));
	gate_destroy(&f->ended);
	gate_init(&f->ended);
	assert_ok(mppool_resize(f->pool, 1));
}

static void end_a_thread(struct farewell *f, enum end end)
{
	const struct mppool_iterable leaving = {
		.size = sizeof leaving, .length = MPPOOL_UNKNOWN, .next = mark_and_leave_next, .state = f};
	const struct mppool_func mark = make_func(mark_call, 0, 0, f), lose = make_func(mark_and_leave_call, 0, 0, f),
	                         nothing = make_func(nothing_call, 0, 0, NULL), one = make_func(nothing_call, 1, 0, NULL);

	switch (end) {
	case END_RETIRED:
	case END_FINISHED:
		assert_ok(mppool_apply(f->pool, &mark, NULL, NULL));
		break;
	case END_LOST:
		assert_code(mppool_apply(f->pool, &lose, NULL, NULL), MPPOOL_ETASK);
		break;
	case END_DISMISSED:
		dismiss(f);
		break;
	case END_GENERATOR:
		assert_ok(mppool_map_async(f->pool, &one, &leaving, NULL, 1, NULL, NULL));
		break;
	default:
		assert_ok(mppool_apply_async(f->pool, &nothing, NULL,
		                             MPPOOL_CALL(.callback = mark_and_leave_callback, .userdata = f), NULL));
	}
}

static int expected_code(enum deed deed, enum end end)
{
	if (deed >= CLOSE_JOIN)
		return EDEADLK;
	return end != END_FINISHED || deed == WAIT_IDLE ? 0 : MPPOOL_ECLOSED;
}

/* _i: how the thread ends, and what it does then. The pool has as many workers as are needed for that, mostly one. */
START_TEST(end_of_a_thread_may_use_its_pool)
{
	const enum end end = (enum end)(_i / DEEDS);
	struct farewell f = {.deed = (enum deed)(_i % DEEDS)};
	const int workers = end == END_DISMISSED ? 2 : 1, most = end == END_RETIRED;

	gate_init(&f.ended);
	ck_assert_int_eq(pthread_key_create(&key, say_farewell), 0);
	assert_ok(mppool_create(MPPOOL_OPTIONS(.workers = workers, .max_tasks_per_worker = (size_t)most), &f.pool));
	end_a_thread(&f, end);
	if (end == END_FINISHED)
		mppool_close(f.pool);
	gate_wait(&f.ended);
	mppool_close(f.pool);
	assert_ok(mppool_join(f.pool, MPPOOL_FOREVER));
	assert_ok(mppool_destroy(f.pool));
	ck_assert_uint_eq(threads_settle("mppool", 0), 0);
	ck_assert_int_eq(atomic_load(&f.saw_pool), 1);
	ck_assert_int_eq(atomic_load(&f.index), -1);
	assert_code(atomic_load(&f.code), expected_code(f.deed, end));
	if (expected_code(f.deed, end) == 0)
		ck_assert_int_eq(atomic_load(&f.value), 42);
	pthread_key_delete(key);
	gate_destroy(&f.ended);
}
END_TEST

/* Every thread that ends waits for a call, behind all that wait already. */
#define QUEUED 400

static atomic_int marked, said;
static atomic_size_t most_threads;

static void call_at_the_end(void *pool)
{
	int x = 4, y;

	if (mppool_apply(pool, &twice_task, MPPOOL_ARGS(&x), &y) == 0 && y == 8)
		atomic_fetch_add(&said, 1);
}

static int count_and_mark_call(const void *const args[], void *result, void *context)
{
	(void)args;
	(void)result;
	raise_peak(&most_threads, threads_named("mppool"));
	if (!pthread_getspecific(key))
		atomic_fetch_add(&marked, 1);
	pthread_setspecific(key, context);
	return 0;
}

START_TEST(ends_that_wait_do_not_heap_up_threads)
{
	mppool *pool = NULL;
	struct mppool_func func;

	ck_assert_int_eq(pthread_key_create(&key, call_at_the_end), 0);
	assert_ok(mppool_create(MPPOOL_OPTIONS(.workers = 1, .max_tasks_per_worker = 1), &pool));
	func = make_func(count_and_mark_call, 0, 0, pool);
	for (int i = 0; i < QUEUED; i++)
		assert_ok(mppool_apply_async(pool, &func, NULL, NULL, NULL));
	assert_ok(mppool_wait_idle(pool, MPPOOL_FOREVER));
	while (atomic_load(&said) < atomic_load(&marked) - 1)    /* one of them may still be the worker */
		nap();
	pool_finish(pool);
	ck_assert_uint_gt(atomic_load(&most_threads), 50);
	ck_assert_uint_lt(atomic_load(&most_threads), 150);
	pthread_key_delete(key);
}
END_TEST

static void fill(Suite *suite)
{
	TCase *tcase = add_case(suite, "begin");
	tcase_add_loop_test(tcase, later_threads_are_as_the_creator_was, 0, WAYS);

	tcase = add_case(suite, "end");
	tcase_add_loop_test(tcase, end_of_a_thread_may_use_its_pool, 0, ENDS * DEEDS);
	tcase_add_test(tcase, ends_that_wait_do_not_heap_up_threads);
}

int main(int argc, char **argv)
{
	return run_suite("service", fill, argc, argv);
}
