/* test_faults.c - what the system and the program do to a process in the middle of its work: signals, stops, forks,
 * threads that leave, stacks that end
 *
 * SPDX-License-Identifier: MIT
 *
 * Faults that calls of the system report are in white_storms.c. */
#define _GNU_SOURCE 1
#include "support.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define SLOW (UNDER_TSAN || UNDER_ASAN || under_valgrind())

/* ---------------------------------------------------------------------------------------------------- under a load */

/* Threads that go on calling a pool, each result compared, until they are told to stop. */
#define PRODUCERS 3

struct load {
	mppool *pool;
	struct runner runners[PRODUCERS];
	atomic_bool stop;
	atomic_int begun;                        /* producers at work */
	atomic_int wrong;
	atomic_int wrong_code;                   /* of the last call that went wrong */
};

static void check(struct load *load, int code, int expected, bool right)
{
	if (code == expected && right)
		return;
	atomic_fetch_add(&load->wrong, 1);
	atomic_store(&load->wrong_code, code);
}

static const int xs[10] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};

static void turn_of_maps(struct load *load)
{
	const struct mppool_func func = make_func(square_call, 1, sizeof(int), NULL);
	int ys[10] = {0}, sum = 0, code;

	code = mppool_map(load->pool, &func, MPPOOL_ARRAY(xs, 10), ys, 1);
	for (int i = 0; i < 10; i++)
		sum += ys[i];
	check(load, code, 0, sum == 285);
}

static void turn_of_streams(struct load *load, bool ordered)
{
	const struct mppool_func func = make_func(square_call, 1, sizeof(int), NULL);
	struct source source = SOURCE(10);
	const struct mppool_iterable items = source_items(&source);
	mppool_iter *iter;
	int y, sum = 0, code;

	code = (ordered ? mppool_imap : mppool_imap_unordered)(load->pool, &func, &items, 1, 3, NULL, &iter);
	check(load, code, 0, true);
	if (code)
		return;
	while ((code = mppool_iter_next(iter, &y, NULL, 30 * timeout_factor())) == 0)
		sum += y;
	check(load, code, MPPOOL_ESTOP, sum == 285);
	mppool_iter_free(iter);
}

static void turn_of_singles(struct load *load)
{
	const struct mppool_func func = make_func(square_call, 1, sizeof(int), NULL);
	mppool_result *results[10];
	size_t ready;
	int y, n = 0, code;

	for (; n < 10; n++) {
		code = mppool_apply_async(load->pool, &func, MPPOOL_ARGS(&xs[n]), NULL, &results[n]);
		check(load, code, 0, true);
		if (code)
			break;
	}
	check(load, mppool_wait(results, (size_t)n, MPPOOL_ALL_COMPLETED, 30 * timeout_factor(), &ready), 0, true);
	while (n-- > 0) {
		code = mppool_result_get(results[n], &y, MPPOOL_FOREVER);
		check(load, code, 0, y == n * n);
		mppool_result_free(results[n]);
	}
}

/* A time that runs out does, whatever interrupts it. */
static void turn_of_times(struct load *load)
{
	const struct mppool_func func = make_func(gate_call, 1, sizeof(int), NULL);
	struct gate gate;
	mppool_result *result;
	struct mppool_func gated = func;
	double before;
	int code;

	gate_init(&gate);
	gated.context = &gate;
	code = mppool_apply_async(load->pool, &gated, MPPOOL_ARGS(&xs[1]), NULL, &result);
	check(load, code, 0, true);
	if (code == 0) {
		before = seconds_now();
		check(load, mppool_result_wait(result, 0.003), ETIMEDOUT, true);
		check(load, 0, 0, seconds_now() - before >= 0.003);
		gate_open(&gate);
		check(load, mppool_result_get(result, NULL, 30 * timeout_factor()), 0, true);
		mppool_result_free(result);
	}
	gate_destroy(&gate);
}

static void produce(void *arg)
{
	struct load *const load = arg;

	atomic_fetch_add(&load->begun, 1);
	while (!atomic_load(&load->stop)) {
		turn_of_maps(load);
		turn_of_streams(load, true);
		turn_of_singles(load);
		turn_of_streams(load, false);
		turn_of_times(load);
	}
}

/* Returns when all are at work: there is something to disturb. */
static void load_start(struct load *load, mppool *pool)
{
	*load = (struct load){.pool = pool};
	for (int i = 0; i < PRODUCERS; i++)
		runner_start(&load->runners[i], produce, load);
	while (atomic_load(&load->begun) < PRODUCERS)
		sched_yield();
}

/* Asserts that all went well. */
static void load_stop(struct load *load)
{
	atomic_store(&load->stop, true);
	for (int i = 0; i < PRODUCERS; i++)
		runner_join(&load->runners[i]);
	ck_assert_msg(atomic_load(&load->wrong) == 0, "%d calls went wrong, the last one with %s",
	              atomic_load(&load->wrong), mppool_strerrorname(atomic_load(&load->wrong_code)));
}

static void say_count(const char *what, unsigned long n)
{
	fprintf(stderr, "# %lu %s\n", n, what);
}

/* --------------------------------------------------------------------------------------------------------- signals */

static atomic_ulong handled;
static atomic_int in_pool;                       /* handlers that ran on a thread of the pool */

static void note_signal(int signal_number)
{
	char name[16];
	const int saved = errno;

	(void)signal_number;
	thread_name(name);
	if (strncmp(name, "mppool-", 7) == 0)
		atomic_fetch_add(&in_pool, 1);
	atomic_fetch_add(&handled, 1);
	errno = saved;
}

static void handle(int signal_number, int flags)
{
	struct sigaction action;

	memset(&action, 0, sizeof action);
	action.sa_handler = note_signal;
	action.sa_flags = flags;
	ck_assert_int_eq(sigaction(signal_number, &action, NULL), 0);
}

/* _i: whether calls of the system begin again by themselves. */
START_TEST(storm_of_signals_disturbs_no_call)
{
	const unsigned long enough = SLOW ? 2000 : 20000;
	mppool *const pool = pool_of(2);
	struct load load;

	handle(SIGUSR1, _i ? SA_RESTART : 0);
	handle(SIGUSR2, _i ? SA_RESTART : 0);
	load_start(&load, pool);
	while (atomic_load(&handled) < enough) {
		for (int i = 0; i < PRODUCERS; i++)
			pthread_kill(load.runners[i].thread, SIGUSR1);
		kill(getpid(), SIGUSR2);         /* whoever does not block it */
		sched_yield();
	}
	load_stop(&load);
	pool_finish(pool);
	ck_assert_int_eq(atomic_load(&in_pool), 0);
	say_count("signals were handled", atomic_load(&handled));
}
END_TEST

/* What a stop costs is time: clocks run on, and deadlines pass. */
START_TEST(stopped_and_continued_process_goes_on)
{
	const int times = SLOW ? 20 : 100;
	const pid_t me = getpid();
	mppool *const pool = pool_of(2);
	struct load load;
	int status;

	load_start(&load, pool);
	const pid_t child = fork();
	if (child == 0) {
		for (int i = 0; i < times; i++) {
			kill(me, SIGSTOP);
			usleep((useconds_t)(i % 7) * 1000);
			kill(me, SIGCONT);
			usleep(3000);
		}
		_exit(0);
	}
	ck_assert_int_gt(child, 0);
	while (waitpid(child, &status, 0) < 0)
		ck_assert_int_eq(errno, EINTR);
	ck_assert(WIFEXITED(status));
	load_stop(&load);
	pool_finish(pool);
	say_count("stops were survived", (unsigned long)times);
}
END_TEST

/* --------------------------------------------------------------------------------------------------------- leaving */

/* Every third item, every sixth generator and every fourth callback leaves its thread, by turns by pthread_exit() and
 * at a cancellation point. */
static void leave(unsigned how)
{
	if (how % 2)
		pthread_exit(NULL);
	pthread_cancel(pthread_self());
	pthread_testcancel();
}

static int leaving_call(const void *const args[], void *result, void *context)
{
	const int x = int_arg(args, 0);

	(void)context;
	if (x % 3 == 2)
		leave((unsigned)x);
	*(int *)result = x;
	return 0;
}

struct leaving_source {
	int place;
	unsigned how;                            /* 0: stays */
	atomic_int finished;
};

static int leaving_next(void *const args[], void *state)
{
	struct leaving_source *const source = state;

	if (source->place == 5 && source->how)
		leave(source->how);
	if (source->place == 10)
		return MPPOOL_ESTOP;
	*(int *)args[0] = 3 * source->place++;
	return 0;
}

static void leaving_finish(void *state)
{
	atomic_fetch_add(&((struct leaving_source *)state)->finished, 1);
}

static atomic_uint callbacks;

static void leaving_callback(const void *results, size_t n, void *userdata)
{
	const unsigned count = atomic_fetch_add(&callbacks, 1);

	(void)results;
	(void)n;
	(void)userdata;
	if (count % 4 == 3)
		leave(count / 4);
}

static void leaving_error_callback(const struct mppool_error *error, void *userdata)
{
	(void)error;
	leaving_callback(NULL, 0, userdata);
}

static void leaving_map(mppool *pool)
{
	const struct mppool_func func = make_func(leaving_call, 1, sizeof(int), NULL);
	mppool_result *result;
	int ys[10], codes[10];

	assert_ok(mppool_map_async(pool, &func, MPPOOL_ARRAY(xs, 10), ys, 1,
	                           MPPOOL_CALL(.codes = codes, .callback = leaving_callback,
	                                       .error_callback = leaving_error_callback),
	                           &result));
	assert_code(mppool_result_get(result, NULL, MPPOOL_FOREVER), MPPOOL_ETASK);
	ck_assert_uint_eq(mppool_last_error()->index, 2);
	for (int i = 0; i < 10; i++) {
		assert_code(codes[i], i % 3 == 2 ? MPPOOL_ELOST : 0);
		ck_assert_int_eq(ys[i], i % 3 == 2 ? 0 : i);
	}
	mppool_result_free(result);
}

static void leaving_stream(mppool *pool, unsigned how)
{
	const struct mppool_func func = make_func(leaving_call, 1, sizeof(int), NULL);
	struct leaving_source source = {.how = how};
	const struct mppool_iterable items = {.size = sizeof items,
	                                      .next = leaving_next,
	                                      .finish = leaving_finish,
	                                      .state = &source};
	mppool_iter *iter;
	int y, n = 0, code;

	assert_ok(mppool_imap(pool, &func, &items, 1, 2, NULL, &iter));
	while ((code = mppool_iter_next(iter, &y, NULL, MPPOOL_FOREVER)) == 0)
		ck_assert_int_eq(y, 3 * n++);
	assert_code(code, how ? MPPOOL_EITER : MPPOOL_ESTOP);
	ck_assert_int_eq(n, how ? 5 : 10);
	if (how)
		assert_code(mppool_last_error()->code, MPPOOL_ELOST);
	mppool_iter_free(iter);
	ck_assert_int_eq(atomic_load(&source.finished), 1);
}

START_TEST(threads_that_leave_at_any_place_are_replaced)
{
	const unsigned rounds = SLOW ? 20 : 200;
	struct mppool_counters c = MPPOOL_COUNTERS_INIT;
	mppool *const pool = pool_of(2);

	for (unsigned round = 0; round < rounds; round++) {
		leaving_map(pool);
		leaving_stream(pool, round % 6 < 2 ? round % 6 + 1 : 0);
	}
	assert_ok(mppool_wait_idle(pool, MPPOOL_FOREVER));
	ck_assert_uint_eq(atomic_load(&callbacks), rounds);
	assert_ok(mppool_stats(pool, &c));
	ck_assert_uint_eq(c.submitted, c.done + c.failed);
	ck_assert_uint_eq(c.failed, 3 * rounds);
	ck_assert_uint_eq(threads_settle("mppool", 5), 5);
	say_count("threads were left", 3 * rounds + rounds / 3 + rounds / 4);
	pool_finish(pool);
}
END_TEST

/* ----------------------------------------------------------------------------------------------------------- forks */

static int status_of(pid_t child)
{
	int status = -1;

	while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	return status;
}

/* In the child of a fork at any moment: the inherited pool is refused and can be destroyed, and another one works. */
static _Noreturn void be_a_child(mppool *inherited)
{
	const struct mppool_func func = make_func(square_call, 1, sizeof(int), NULL);
	struct mppool_counters c = MPPOOL_COUNTERS_INIT;
	struct load load = {.pool = NULL};
	bool good = mppool_apply(inherited, &func, MPPOOL_ARGS(&xs[3]), NULL) == MPPOOL_EFORKED;

	good = good && mppool_stats(inherited, &c) == MPPOOL_EFORKED;
	good = good && mppool_create(MPPOOL_OPTIONS(.workers = 2), &load.pool) == 0;
	if (good) {
		turn_of_maps(&load);
		turn_of_streams(&load, true);
		turn_of_singles(&load);
		good = atomic_load(&load.wrong) == 0 && mppool_destroy(load.pool) == 0;
	}
	good = good && mppool_destroy(inherited) == 0;
	_exit(good ? 0 : 1);
}

static atomic_int children, bad_children;

static void fork_here(mppool *pool)
{
	const pid_t child = fork_watched();

	if (child == 0)
		be_a_child(pool);
	atomic_fetch_add(&children, 1);
	if (status_of(child) != 0)
		atomic_fetch_add(&bad_children, 1);
}

static int forking_call(const void *const args[], void *result, void *context)
{
	*(int *)result = int_arg(args, 0);
	fork_here(context);
	return 0;
}

static int forking_next(void *const args[], void *state)
{
	static atomic_int drawn;

	if (atomic_fetch_add(&drawn, 1) % 3 == 2)
		return MPPOOL_ESTOP;
	*(int *)args[0] = 1;
	fork_here(state);
	return 0;
}

static void forking_callback(const void *results, size_t n, void *userdata)
{
	(void)results;
	(void)n;
	fork_here(userdata);
}

static void fork_everywhere(mppool *pool)
{
	const struct mppool_func forking = make_func(forking_call, 1, sizeof(int), pool);
	const struct mppool_func func = make_func(square_call, 1, sizeof(int), NULL);
	const struct mppool_iterable items = {.size = sizeof items, .next = forking_next, .state = pool};
	mppool_result *result;

	fork_here(pool);
	assert_ok(mppool_map(pool, &forking, MPPOOL_ARRAY(xs, 2), NULL, 1));
	assert_ok(mppool_apply(pool, &forking, MPPOOL_ARGS(&xs[1]), NULL));
	assert_ok(mppool_map(pool, &func, &items, NULL, 1));
	assert_ok(mppool_apply_async(pool, &func, MPPOOL_ARGS(&xs[2]),
	                             MPPOOL_CALL(.callback = forking_callback, .userdata = pool), &result));
	assert_ok(mppool_result_wait(result, MPPOOL_FOREVER));
	mppool_result_free(result);
}

START_TEST(fork_anywhere_at_any_moment_leaves_a_child_that_works)
{
	const int rounds = SLOW ? 2 : 12;
	mppool *const pool = pool_of(2);
	struct load load;

	load_start(&load, pool);
	for (int round = 0; round < rounds; round++)
		fork_everywhere(pool);
	load_stop(&load);
	pool_finish(pool);
	ck_assert_int_eq(atomic_load(&children), 7 * rounds);
	ck_assert_int_eq(atomic_load(&bad_children), 0);
	say_count("forks under load", (unsigned long)atomic_load(&children));
}
END_TEST

/* The child must not come back from the function that forked; where it does, it does not hang, nor go on with what is
 * its parent's: _i. */
enum { FROM_A_TASK, FROM_A_GENERATOR, FROM_A_CALLBACK, PLACES };

static pid_t strayed;

/* valgrind has an exit status of its own where it takes what other threads had on their stacks for lost. */
static bool ended_by_the_library(int status)
{
	return WIFEXITED(status) && (WEXITSTATUS(status) == EXIT_FAILURE || under_valgrind());
}

static void stray(void)
{
	const pid_t child = fork_watched();

	if (child != 0)
		strayed = child;
}

static int straying_call(const void *const args[], void *result, void *context)
{
	*(int *)result = int_arg(args, 0);
	if (context && !strayed)
		stray();
	return 0;
}

static int straying_next(void *const args[], void *state)
{
	struct leaving_source *const source = state;

	if (source->place == 3)
		return MPPOOL_ESTOP;
	*(int *)args[0] = source->place++;
	if (source->place == 2)
		stray();
	return 0;
}

static void straying_callback(const void *results, size_t n, void *userdata)
{
	(void)results;
	(void)n;
	(void)userdata;
	stray();
}

static size_t read_all(int fd, char *text, size_t size)
{
	size_t length = 0;
	ssize_t n;

	while (length < size - 1 && (n = read(fd, text + length, size - 1 - length)) > 0)
		length += (size_t)n;
	text[length] = 0;
	return length;
}

START_TEST(child_that_comes_back_from_its_function_is_ended)
{
	const struct mppool_func func = make_func(straying_call, 1, sizeof(int), _i == FROM_A_TASK ? &strayed : NULL);
	struct leaving_source source = {.place = 0};
	const struct mppool_iterable items = {.size = sizeof items, .next = straying_next, .state = &source};
	const int before = dup(STDERR_FILENO);
	mppool_result *result;
	mppool *const pool = pool_of(1);
	int ends[2], y = 0;
	char said[200];

	ck_assert_int_eq(pipe(ends), 0);
	dup2(ends[1], STDERR_FILENO);
	if (_i == FROM_A_GENERATOR)
		assert_ok(mppool_map(pool, &func, &items, NULL, 1));
	assert_ok(mppool_apply_async(pool, &func, MPPOOL_ARGS(&xs[4]),
	                             MPPOOL_CALL(.callback = _i == FROM_A_CALLBACK ? straying_callback : NULL),
	                             &result));
	assert_ok(mppool_result_get(result, &y, MPPOOL_FOREVER));
	ck_assert_int_eq(y, 4);
	mppool_result_free(result);
	pool_finish(pool);
	dup2(before, STDERR_FILENO);
	close(ends[1]);
	ck_assert_int_gt(strayed, 0);
	const int status = status_of(strayed);
	ck_assert_uint_gt(read_all(ends[0], said, sizeof said), 0);
	ck_assert_msg(ended_by_the_library(status), "status %d: %s", status, said);
	ck_assert_ptr_nonnull(strstr(said, "the child of a fork returned from a function"));
	close(ends[0]);
	close(before);
}
END_TEST

/* Nor does it run anything more: what waits is its parent's. The first item or call forks, by every way in which items
 * come to a thread: _i. */
enum { ONE_BY_ONE, IN_CHUNKS, WITH_LIMITS, WITH_HOOKS, BY_CHUNK, DRAWN, LEAVING, NESTED, INSIDE, WAYS };

#define WAITING 100

static int *ran_in_the_child;    /* shared with it */
static pid_t at_home;

static int run_or_stray_call(const void *const args[], void *result, void *context)
{
	(void)result;
	if (getpid() != at_home)
		++*ran_in_the_child;
	else if (int_arg(args, 0) == 0)
		stray();
	if (context && getpid() != at_home)
		pthread_exit(NULL);
	return 0;
}

static int run_or_stray_chunk(const struct mppool_chunk *chunk, void *context)
{
	const void *const arg = chunk->columns[0].base;

	*chunk->failed = 0;              /* one by one: the others come again */
	return run_or_stray_call(&arg, NULL, context) == 0 ? 7 : 8;
}

static int submit_and_stray_call(const void *const args[], void *result, void *context)
{
	const struct mppool_func func = make_func(run_or_stray_call, 1, 0, NULL);

	for (int i = 1; i <= WAITING; i++)
		assert_ok(mppool_apply_async(mppool_current(), &func, MPPOOL_ARGS(&i), NULL, NULL));
	return run_or_stray_call(args, result, context);
}

static int wait_for_stray_call(const void *const args[], void *result, void *context)
{
	const struct mppool_func func = make_func(submit_and_stray_call, 1, 0, NULL);
	const int code = mppool_apply(mppool_current(), &func, &args[0], NULL);

	(void)result;
	(void)context;
	if (getpid() != at_home)
		++*ran_in_the_child;
	return code;
}

static void keep_nothing(const void *const args[], void *context)
{
	(void)args;
	(void)context;
}

START_TEST(child_that_comes_back_runs_nothing_more)
{
	const struct mppool_call_options limited = {.size = sizeof limited, .task_timeout = 1000};
	struct mppool_func func = make_func(run_or_stray_call, 1, 0, _i == LEAVING ? &strayed : NULL);
	struct source source = SOURCE(WAITING);
	const struct mppool_iterable drawn = source_items(&source);
	mppool *const pool = pool_of(1);
	int first[WAITING];

	for (int i = 0; i < WAITING; i++)
		first[i] = i;
	at_home = getpid();
	ran_in_the_child = mmap(NULL, sizeof(int), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert(ran_in_the_child != MAP_FAILED);
	if (_i == WITH_HOOKS)
		func.drop_args = keep_nothing;
	if (_i == BY_CHUNK)
		func.chunk_call = run_or_stray_chunk;
	if (_i == NESTED)
		func.call = submit_and_stray_call;
	if (_i == INSIDE)
		func.call = wait_for_stray_call;
	if (_i == NESTED || _i == INSIDE) {
		assert_ok(mppool_apply(pool, &func, MPPOOL_ARGS(&first[0]), NULL));
	} else if (_i == DRAWN) {
		assert_ok(mppool_map(pool, &func, &drawn, NULL, 0));
	} else {
		assert_ok(mppool_map_async(pool, &func, MPPOOL_ARRAY(first, WAITING), NULL,
		                           _i == IN_CHUNKS ? WAITING : 0, _i == WITH_LIMITS ? &limited : NULL, NULL));
	}
	pool_finish(pool);
	ck_assert_int_gt(strayed, 0);
	const int status = status_of(strayed);
	ck_assert_int_eq(*ran_in_the_child, 0);
	ck_assert_msg(ended_by_the_library(status), "status %d", status);
	munmap(ran_in_the_child, sizeof(int));
}
END_TEST

/* Generation after generation, each the child of the one before, which ends then: the system slows down where all of
 * them live. The last one says whether it went well. */
#define GENERATIONS 300

static _Noreturn void descend_from(mppool *pool, int answer)
{
	const struct mppool_func func = make_func(square_call, 1, sizeof(int), NULL);

	for (int i = 0; i < GENERATIONS; i++) {
		if (mppool_apply(pool, &func, MPPOOL_ARGS(&xs[3]), NULL) != MPPOOL_EFORKED ||
		    mppool_wait_idle(pool, 0) != MPPOOL_EFORKED)
			_exit(1);
		if (fork_watched() != 0)
			child_leaves();
	}
	_exit(write(answer, "y", 1) != 1);
}

START_TEST(pool_is_told_from_its_descendants_however_many)
{
	mppool *const pool = pool_of(1);
	char said[8];
	int ends[2];

	ck_assert_int_eq(pipe(ends), 0);
	const pid_t first = fork_watched();
	if (first == 0)
		descend_from(pool, ends[1]);
	close(ends[1]);
	ck_assert_uint_eq(read_all(ends[0], said, sizeof said), 1);
	close(ends[0]);
	ck_assert_int_eq(status_of(first), 0);
	pool_finish(pool);
}
END_TEST

/* ---------------------------------------------------------------------------------------------------------- stacks */

/* Touches the far end of a frame of `size` bytes first, as a function with a large array may. */
static int sink;

static __attribute__((noinline)) int descend(size_t size, int depth)
{
	volatile char *const frame = __builtin_alloca(size);

	frame[0] = (char)depth;
	return depth < 0 ? frame[0] : descend(size, depth + 1) + frame[0];
}

static int overflowing_call(const void *const args[], void *result, void *context)
{
	(void)result;
	(void)context;
	sink = descend((size_t)int_arg(args, 0), 0);
	return 0;
}

/* Each worker notes where its stack ends, and gets another one for the handler. */
#define OTHER_STACK 65536
static _Thread_local char *stack_low;

static int give_other_stack(void *initarg, void **ret_state)
{
	stack_t other = {.ss_sp = malloc(OTHER_STACK), .ss_size = OTHER_STACK};
	pthread_attr_t attr;
	size_t size;
	void *low;

	(void)initarg;
	*ret_state = other.ss_sp;                /* the program ends with it */
	if (!other.ss_sp || pthread_getattr_np(pthread_self(), &attr) != 0)
		return EINVAL;
	pthread_attr_getstack(&attr, &low, &size);
	pthread_attr_destroy(&attr);
	stack_low = low;
	return sigaltstack(&other, NULL) ? errno : 0;
}

/* Was it the guard that was hit? */
static void say_where(int signal_number, siginfo_t *info, void *unused)
{
	char *const at = info->si_addr;

	(void)signal_number;
	(void)unused;
	_exit(at < stack_low + 65536 && at >= stack_low - 65536 ? 42 : 43);
}

static _Noreturn void overflow(size_t stack_size, int frame, bool with_handler)
{
	const struct mppool_func func = make_func(overflowing_call, 1, 0, NULL);
	struct sigaction action;
	mppool *pool;

	memset(&action, 0, sizeof action);
	action.sa_sigaction = say_where;
	action.sa_flags = SA_SIGINFO | SA_ONSTACK;
	if (with_handler)
		sigaction(SIGSEGV, &action, NULL);
	if (mppool_create(MPPOOL_OPTIONS(.workers = 3, .stack_size = stack_size,
	                                 .initializer = with_handler ? give_other_stack : NULL),
	                  &pool))
		_exit(44);
	mppool_apply(pool, &func, MPPOOL_ARGS(&frame), NULL);
	_exit(0);
}

static const struct {
	size_t stack;
	int frame;
} stacks[] = {{0, 100}, {0, 40000}, {256 << 10, 100}, {256 << 10, 60000}, {64 << 10, 5000}, {32 << 10, 100}};
#define STACKS ((int)(sizeof stacks / sizeof *stacks))

/* _i: a size of stack and of the frames on it. Without a handler the program ends by the signal; with one on a stack
 * of its own the program can say what happened. */
START_TEST(stack_that_overflows_ends_the_program)
{
	const size_t stack = (UNDER_ASAN || UNDER_TSAN) && stacks[_i].stack ? stacks[_i].stack + (256 << 10)
	                                                                    : stacks[_i].stack;
	const pid_t plain = fork_watched();
	if (plain == 0)
		overflow(stack, stacks[_i].frame, false);
	const int status = status_of(plain);
	if (UNDER_ASAN || UNDER_TSAN)            /* which have a handler of their own */
		ck_assert_int_ne(status, 0);
	else
		ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV, "status %d", status);
	if (UNDER_TSAN)
		return;
	const pid_t handling = fork_watched();
	if (handling == 0)
		overflow(stack, stacks[_i].frame, true);
	const int said = status_of(handling);
	ck_assert_msg(WIFEXITED(said) && WEXITSTATUS(said) == 42, "status %d", said);
}
END_TEST

/* ----------------------------------------------------------------------------------------------------- the program */

static void fill(Suite *suite)
{
	TCase *const signals = add_case(suite, "signals");
	TCase *const leavers = add_case(suite, "leaving");
	TCase *const forks = add_case(suite, "forks");
	TCase *const ends = add_case(suite, "stacks");

	tcase_add_loop_test(signals, storm_of_signals_disturbs_no_call, 0, 2);
	tcase_add_test(signals, stopped_and_continued_process_goes_on);
	tcase_add_test(leavers, threads_that_leave_at_any_place_are_replaced);
	/* The address sanitizer does not hold the locks of its own allocator over a fork; the thread sanitizer starts no
	 * threads after one; valgrind finds that what other threads had in hand is lost in the child. */
	if (!UNDER_ASAN && !UNDER_TSAN && !under_valgrind())
		tcase_add_test(forks, fork_anywhere_at_any_moment_leaves_a_child_that_works);
	if (!UNDER_TSAN && !under_valgrind()) {
		tcase_add_loop_test(forks, child_that_comes_back_from_its_function_is_ended, 0, PLACES);
		tcase_add_loop_test(forks, child_that_comes_back_runs_nothing_more, 0, WAYS);
		tcase_add_test(forks, pool_is_told_from_its_descendants_however_many);
	}
	if (!under_valgrind())                   /* it takes an overflow for an error, and says so */
		tcase_add_loop_test(ends, stack_that_overflows_ends_the_program, 0, STACKS);
}

int main(int argc, char **argv)
{
	return run_suite("faults from outside", fill, argc, argv);
}
