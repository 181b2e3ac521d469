/* test_processes.c - pools of worker processes: what a crash costs, limits that bite, nothing left behind
 *
 * SPDX-License-Identifier: MIT
 *
 * What tasks do in their processes they note in shared memory. */
#define _GNU_SOURCE
#include <config.h>

#include "support.h"

#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef HAVE_FUTEX
#define WITH_PROCESSES 1
#else
#define WITH_PROCESSES 0         /* by futexes threads and processes wait for each other */
#endif

#define PROCESSES(...) MPPOOL_OPTIONS(.kind = MPPOOL_PROCESSES, __VA_ARGS__)

static atomic_int *begun;        /* shared: by item, how often it began. Workers know it from before the fork */
enum { BEGUN_MOST = 20000 };

static void *shared(size_t size)
{
	void *const memory = mppool_shared_alloc(size);

	ck_assert_ptr_nonnull(memory);
	return memory;
}

static void forget_begun(void)
{
	memset(begun, 0, BEGUN_MOST * sizeof *begun);
}

static mppool *processes(const struct mppool_options *options)
{
	mppool *pool = NULL;

	if (!begun)
		begun = shared(BEGUN_MOST * sizeof *begun);
	assert_ok(mppool_create(options, &pool));
	return pool;
}

static void finish(mppool *pool)
{
	assert_ok(mppool_close(pool));
	assert_ok(mppool_join(pool, MPPOOL_FOREVER));
	assert_ok(mppool_destroy(pool));
}

/* ------------------------------------------------------------------------------------------------------- ways to die */

enum way { LIVE, SEGV, EXIT, KILL, ABORT, FAIL, SPIN, WAYS };

static void die(int way)
{
	switch (way) {
	case SEGV:
		raise(SIGSEGV);
		break;
	case EXIT:
		exit(3);
	case KILL:
		kill(getpid(), SIGKILL);
		pause();
		break;
	case ABORT:
		abort();
	case SPIN:
		for (;;)
			pause();
	default:
		break;
	}
}

static const int statuses[WAYS] = {[SEGV] = SIGSEGV, [EXIT] = 3 << 8, [KILL] = SIGKILL, [ABORT] = SIGABRT};

static int way_call(const void *const args[], void *result, void *context)
{
	const int way = int_arg(args, 0);

	(void)context;
	atomic_fetch_add(&begun[mppool_item_index()], 1);
	die(way);
	if (way == FAIL)
		return mppool_raise(77, "item %zu", mppool_item_index());
	*(int *)result = (int)mppool_item_index() + 1;
	return 0;
}

static void no_core(void)
{
	const struct rlimit none = {0, 0};

	setrlimit(RLIMIT_CORE, &none);
}

static void check_item(size_t i, int way, int code, int result)
{
	const int want = way == LIVE ? 0 : way == FAIL ? 77 : MPPOOL_ELOST;

	ck_assert_msg(code == want, "item %zu, way %d: %s", i, way, mppool_strerrorname(code));
	ck_assert_int_eq(result, way == LIVE ? (int)i + 1 : 0);
	ck_assert_msg(atomic_load(&begun[i]) == 1, "item %zu began %d times", i, atomic_load(&begun[i]));
}

static void map_ways(mppool *pool, const int *ways, size_t n, size_t chunksize)
{
	const struct mppool_func func = make_func(way_call, 1, sizeof(int), NULL);
	int *const codes = malloc(n * sizeof *codes), *const results = malloc(n * sizeof *results);
	mppool_result *result;

	forget_begun();
	memset(results, -1, n * sizeof *results);
	assert_ok(mppool_map_async(pool, &func, MPPOOL_ARRAY(ways, n), results, chunksize, MPPOOL_CALL(.codes = codes),
	                           &result));
	mppool_result_wait(result, MPPOOL_FOREVER);
	for (size_t i = 0; i < n; i++)
		check_item(i, ways[i], codes[i], results[i]);
	mppool_result_free(result);
	free(codes);
	free(results);
}

/* ------------------------------------------------------------------------------------------------------------ basics */

START_TEST(apply_and_map_give_what_threads_give)
{
	mppool *const pool = processes(PROCESSES(.workers = 2));
	const struct mppool_func func = make_func(square_call, 1, sizeof(int), NULL);
	int xs[1000], ys[1000], y;

	for (int i = 0; i < 1000; i++)
		xs[i] = i;
	assert_ok(mppool_apply(pool, &func, MPPOOL_ARGS(&xs[9]), &y));
	ck_assert_int_eq(y, 81);
	for (size_t chunksize = 0; chunksize < 1100; chunksize = chunksize * 3 + 1) {
		memset(ys, -1, sizeof ys);
		assert_ok(mppool_map(pool, &func, MPPOOL_ARRAY(xs, 1000), ys, chunksize));
		for (int i = 0; i < 1000; i++)
			ck_assert_int_eq(ys[i], i * i);
	}
	finish(pool);
}
END_TEST

struct big {
	size_t size;
	unsigned char bytes[1 << 18];
};

static int flip_call(const void *const args[], void *result, void *context)
{
	const struct big *const in = args[0];
	struct big *const out = result;

	(void)context;
	out->size = in->size;
	for (size_t i = 0; i < sizeof in->bytes; i++)
		out->bytes[i] = (unsigned char)~in->bytes[i];
	return 0;
}

START_TEST(items_larger_than_a_slot_are_copied_whole)
{
	struct mppool_func func = make_func(flip_call, 1, sizeof(struct big), NULL);
	struct big *const in = calloc(5, sizeof *in), *const out = calloc(5, sizeof *out);
	mppool *const pool = processes(PROCESSES(.workers = 2));

	func.arg_size[0] = sizeof *in;
	for (size_t k = 0; k < 5; k++) {
		in[k].size = k;
		memset(in[k].bytes, (int)k * 3, sizeof in[k].bytes);
	}
	assert_ok(mppool_map(pool, &func, MPPOOL_ARRAY(in, 5), out, 0));
	for (size_t k = 0; k < 5; k++) {
		ck_assert_uint_eq(out[k].size, k);
		for (size_t i = 0; i < sizeof in->bytes; i++)
			ck_assert_int_eq(out[k].bytes[i], (unsigned char)~in[k].bytes[i]);
	}
	finish(pool);
	free(in);
	free(out);
}
END_TEST

static int long_message_call(const void *const args[], void *result, void *context)
{
	static char text[3000];

	(void)result;
	(void)context;
	memset(text, 'a' + int_arg(args, 0) % 26, sizeof text - 1);
	return mppool_raise_message(5, text);
}

START_TEST(messages_of_a_whole_map_arrive)
{
	const struct mppool_func func = make_func(long_message_call, 1, 0, NULL);
	mppool *const pool = processes(PROCESSES(.workers = 1));
	enum { N = 400 };
	mppool_iter *iter;
	int xs[N];
	size_t index;

	for (int i = 0; i < N; i++)
		xs[i] = i;
	assert_ok(mppool_imap(pool, &func, MPPOOL_ARRAY(xs, N), 50, 0, NULL, &iter));
	for (int i = 0; i < N; i++) {
		assert_code(mppool_iter_next(iter, NULL, &index, MPPOOL_FOREVER), MPPOOL_ETASK);
		ck_assert_uint_eq(index, (size_t)i);
		ck_assert_uint_eq(strlen(mppool_last_error()->message), 2999);
		ck_assert_int_eq(mppool_last_error()->message[2998], 'a' + i % 26);
	}
	assert_code(mppool_iter_next(iter, NULL, NULL, MPPOOL_FOREVER), MPPOOL_ESTOP);
	mppool_iter_free(iter);
	finish(pool);
}
END_TEST

static int about_call(const void *const args[], void *result, void *context)
{
	int inner = 0, x = 6, *const out = result;
	const struct mppool_func func = make_func(square_call, 1, sizeof(int), NULL);
	mppool *pool;

	(void)args;
	(void)context;
	out[0] = mppool_current() == NULL;
	out[1] = mppool_worker_index();
	out[2] = mppool_shared_alloc(1) == NULL;
	out[3] = mppool_create(MPPOOL_OPTIONS(.workers = 1), &pool);
	if (out[3] == 0) {
		mppool_apply(pool, &func, MPPOOL_ARGS(&x), &inner);
		mppool_destroy(pool);
	}
	out[4] = inner;
	out[5] = (int)getpid();
	return 0;
}

START_TEST(tasks_know_where_they_are)
{
	const struct mppool_func func = make_func(about_call, 0, 6 * sizeof(int), NULL);
	mppool *const pool = processes(PROCESSES(.workers = 1));
	struct mppool_worker_counters worker;
	struct mppool_counters c = MPPOOL_COUNTERS_INIT;
	int out[6];

	c.per_worker = &worker;
	c.per_worker_room = 1;
	assert_ok(mppool_apply(pool, &func, NULL, out));
	ck_assert_int_eq(out[0], 1);
	ck_assert_int_eq(out[1], 0);
	ck_assert_int_eq(out[2], 1);
	ck_assert_int_eq(out[3], 0);
	ck_assert_int_eq(out[4], 36);
	assert_ok(mppool_stats(pool, &c));
	ck_assert_uint_eq(worker.pid, (uint64_t)out[5]);
	ck_assert_int_ne(out[5], (int)getpid());
	finish(pool);
}
END_TEST

/* ------------------------------------------------------------------------------------------------------------ crashes */

START_TEST(crash_costs_its_item_and_says_how)
{
	static const char *const texts[WAYS] = {[SEGV] = "killed by signal 11 (Segmentation fault)",
	                                        [EXIT] = "exited with status 3",
	                                        [KILL] = "killed by signal 9 (Killed)",
	                                        [ABORT] = "killed by signal 6 (Aborted)"};
	const struct mppool_func func = make_func(way_call, 1, sizeof(int), NULL);
	mppool *const pool = processes(PROCESSES(.workers = 1));
	struct mppool_counters c = MPPOOL_COUNTERS_INIT;
	int y;

	for (int way = SEGV; way <= ABORT; way++) {
		assert_code(mppool_apply(pool, &func, MPPOOL_ARGS(&way), &y), MPPOOL_ETASK);
		ck_assert_int_eq(mppool_last_error()->code, MPPOOL_ELOST);
		ck_assert_int_eq(mppool_last_error()->status, statuses[way]);
		ck_assert_str_eq(mppool_last_error()->message, texts[way]);
	}
	assert_ok(mppool_apply(pool, &func, MPPOOL_ARGS(&(int){LIVE}), &y));
	assert_ok(mppool_stats(pool, &c));
	ck_assert_uint_eq(c.workers_lost, 4);
	ck_assert_uint_eq(c.failed, 4);
	finish(pool);
}
END_TEST

/* Exactly the items that crash are lost, and none runs twice. */
START_TEST(crash_storm_loses_exactly_those_that_crash)
{
	mppool *const pool = processes(PROCESSES(.workers = 3));
	static const size_t chunksizes[] = {1, 0, 7, 1000};
	enum { N = 6000 };
	int *const ways = calloc(N, sizeof *ways);

	srand(1);
	for (size_t k = 0; k < 4 && time_left(); k++) {
		for (size_t i = 0; i < N; i++)
			ways[i] = rand() % 200 == 0 ? SEGV + rand() % 5 : LIVE;
		map_ways(pool, ways, N, chunksizes[k]);
	}
	finish(pool);
	free(ways);
}
END_TEST

static int chunk_of_ways(const struct mppool_chunk *chunk, void *context)
{
	const int *const ways = chunk->columns[0].base;

	(void)context;
	for (size_t i = 0; i < chunk->count; i++) {
		atomic_fetch_add(&begun[chunk->first + i], 1);
		die(ways[i]);
		((int *)chunk->results)[i] = 1;
	}
	return 0;
}

START_TEST(crash_in_a_chunk_function_costs_what_it_was_handed)
{
	struct mppool_func func = make_func(NULL, 1, sizeof(int), NULL);
	mppool *const pool = processes(PROCESSES(.workers = 2));
	int ways[100] = {[42] = SEGV}, results[100], codes[100];
	mppool_result *result;

	func.chunk_call = chunk_of_ways;
	forget_begun();
	assert_ok(mppool_map_async(pool, &func, MPPOOL_ARRAY(ways, 100), results, 10, MPPOOL_CALL(.codes = codes), &result));
	assert_code(mppool_result_get(result, NULL, MPPOOL_FOREVER), MPPOOL_ETASK);
	for (int i = 0; i < 100; i++) {
		ck_assert_int_eq(codes[i], i / 10 == 4 ? MPPOOL_ELOST : 0);
		ck_assert_int_eq(results[i], i / 10 == 4 ? 0 : 1);
		ck_assert_int_le(atomic_load(&begun[i]), 1);
	}
	mppool_result_free(result);
	finish(pool);
}
END_TEST

static pid_t pid_of_worker(mppool *pool, size_t i)
{
	struct mppool_worker_counters workers[8];
	struct mppool_counters c = MPPOOL_COUNTERS_INIT;

	c.per_worker = workers;
	c.per_worker_room = 8;
	return mppool_stats(pool, &c) == 0 ? (pid_t)workers[i].pid : 0;
}

START_TEST(idle_worker_that_is_killed_costs_nothing)
{
	const struct mppool_func func = make_func(square_call, 1, sizeof(int), NULL);
	mppool *const pool = processes(PROCESSES(.workers = 1));
	int x = 3, y;

	for (int i = 0; i < 5; i++) {
		const pid_t pid = pid_of_worker(pool, 0);

		if (pid > 0)
			kill(pid, SIGKILL);
		assert_ok(mppool_apply(pool, &func, MPPOOL_ARGS(&x), &y));
		ck_assert_int_eq(y, 9);
	}
	finish(pool);
}
END_TEST

struct killer {
	mppool *pool;
	atomic_bool stop;
	unsigned seed;
	uint64_t ended[3];
};

/* Whether an item of the worker has ended since the last time; if so its process is in *ret_pid. A pool whose processes
 * all die before an item ends breaks. */
static bool has_got_on(struct killer *k, size_t worker, pid_t *ret_pid)
{
	struct mppool_worker_counters w[3];
	struct mppool_counters c = {.size = sizeof c, .per_worker = w, .per_worker_size = sizeof w[0], .per_worker_room = 3};
	uint64_t ended;

	if (mppool_stats(k->pool, &c) != 0)
		return false;
	ended = w[worker].done + w[worker].failed;
	*ret_pid = (pid_t)w[worker].pid;
	if (*ret_pid == 0 || ended == k->ended[worker])
		return false;
	k->ended[worker] = ended;
	return true;
}

static void kill_at_random(void *arg)
{
	struct killer *const k = arg;
	pid_t pid;

	while (!atomic_load(&k->stop)) {
		if (has_got_on(k, (size_t)rand_r(&k->seed) % 3, &pid))
			kill(pid, SIGKILL);
		usleep((useconds_t)rand_r(&k->seed) % 5000);
	}
}

static int short_call(const void *const args[], void *result, void *context)
{
	(void)context;
	atomic_fetch_add(&begun[int_arg(args, 0)], 1);
	*(int *)result = 1;
	return 0;
}

START_TEST(workers_killed_at_random_lose_what_began_and_nothing_runs_twice)
{
	const struct mppool_func func = make_func(short_call, 1, sizeof(int), NULL);
	struct killer killer = {.pool = processes(PROCESSES(.workers = 3)), .seed = 7};
	enum { N = 20000 };
	static int xs[N], ys[N], codes[N];
	struct runner runner;
	mppool_result *result;

	for (int i = 0; i < N; i++)
		xs[i] = i;
	forget_begun();
	runner_start(&runner, kill_at_random, &killer);
	for (size_t chunksize = 0; chunksize < 20 && time_left(); chunksize++) {
		memset(begun, 0, N * sizeof *begun);
		assert_ok(mppool_map_async(killer.pool, &func, MPPOOL_ARRAY(xs, N), ys, chunksize,
		                           MPPOOL_CALL(.codes = codes), &result));
		mppool_result_wait(result, MPPOOL_FOREVER);
		for (int i = 0; i < N; i++) {
			ck_assert_int_le(atomic_load(&begun[i]), 1);
			ck_assert_int_eq(codes[i] == 0, ys[i] == 1);
			ck_assert_msg(codes[i] == 0 || codes[i] == MPPOOL_ELOST, "%s", mppool_strerrorname(codes[i]));
			ck_assert(codes[i] != 0 || atomic_load(&begun[i]) == 1);
		}
		mppool_result_free(result);
	}
	atomic_store(&killer.stop, true);
	runner_join(&runner);
	finish(killer.pool);
}
END_TEST

/* A worker's slot is the mapping that its arguments are in. */
static int scribble_call(const void *const args[], void *result, void *context)
{
	FILE *const maps = fopen("/proc/self/maps", "r");
	const uintptr_t at = (uintptr_t)args[0];
	const int byte = int_arg(args, 0);
	unsigned long from, to;
	char line[512];

	(void)context;
	while (maps && fgets(line, sizeof line, maps))
		if (sscanf(line, "%lx-%lx", &from, &to) == 2 && at >= from && at < to) {
			memset((void *)from, byte, 1024);
			break;
		}
	*(int *)result = 1;
	return 0;
}

START_TEST(garbage_in_a_workers_own_slot_costs_that_worker_alone)
{
	const struct mppool_func bad = make_func(scribble_call, 1, sizeof(int), NULL);
	const struct mppool_func good = make_func(square_call, 1, sizeof(int), NULL);
	mppool *const pool = processes(PROCESSES(.workers = 2));
	int xs[200], ys[200], y;

	for (int byte = 0; byte < 256; byte += 51) {
		mppool_result *result;

		assert_ok(mppool_apply_async(pool, &bad, MPPOOL_ARGS(&byte), NULL, &result));
		for (int i = 0; i < 200; i++)
			xs[i] = i;
		assert_ok(mppool_map(pool, &good, MPPOOL_ARRAY(xs, 200), ys, 1));
		for (int i = 0; i < 200; i++)
			ck_assert_int_eq(ys[i], i * i);
		mppool_result_wait(result, 1);
		mppool_result_cancel(result);    /* a process that waits for its own nonsense is killed */
		mppool_result_wait(result, MPPOOL_FOREVER);
		mppool_result_free(result);
	}
	assert_ok(mppool_apply(pool, &good, MPPOOL_ARGS(&xs[5]), &y));
	finish(pool);
}
END_TEST

/* ------------------------------------------------------------------------------------- initializers and finalizers */

struct lives {
	atomic_int initialized, finalized;
	int fail_from;                   /* the initializer fails from that many on, */
	int way;                         /* in that way */
};

static int count_initializer(void *initarg, void **ret_state)
{
	struct lives *const l = initarg;
	const int n = atomic_fetch_add(&l->initialized, 1);

	*ret_state = (void *)(uintptr_t)(n + 100);
	if (l->fail_from == 0 || n < l->fail_from)
		return 0;
	die(l->way);
	return mppool_raise(88, "initializer %d", n);
}

static void count_finalizer(void *initarg, void *state)
{
	struct lives *const l = initarg;

	if (state)
		atomic_fetch_add(&l->finalized, 1);
}

static int state_call(const void *const args[], void *result, void *context)
{
	(void)args;
	(void)context;
	*(int *)result = (int)(uintptr_t)mppool_worker_state();
	return 0;
}

START_TEST(initializer_runs_in_each_process_and_each_replacement)
{
	struct lives *const l = shared(sizeof *l);
	const struct mppool_func state = make_func(state_call, 0, sizeof(int), NULL);
	const struct mppool_func way = make_func(way_call, 1, sizeof(int), NULL);
	mppool *const pool =
		processes(PROCESSES(.workers = 1, .initializer = count_initializer, .finalizer = count_finalizer, .initarg = l));
	int y;

	assert_ok(mppool_apply(pool, &state, NULL, &y));
	ck_assert_int_eq(y, 100);
	assert_code(mppool_apply(pool, &way, MPPOOL_ARGS(&(int){SEGV}), &y), MPPOOL_ETASK);
	assert_ok(mppool_apply(pool, &state, NULL, &y));
	ck_assert_int_eq(y, 101);
	finish(pool);
	ck_assert_int_eq(atomic_load(&l->initialized), 2);
	ck_assert_int_eq(atomic_load(&l->finalized), 1);         /* not in the one that was lost */
}
END_TEST

START_TEST(failing_or_dying_initializers_are_broken)
{
	struct lives *const l = shared(sizeof *l);
	mppool *pool = NULL;

	for (int way = LIVE; way <= ABORT; way++) {
		*l = (struct lives){.fail_from = 1, .way = way};
		assert_code(mppool_create(PROCESSES(.workers = 3, .initializer = count_initializer, .initarg = l), &pool),
		            MPPOOL_EBROKEN);
		ck_assert_ptr_null(pool);
		ck_assert_int_eq(mppool_last_error()->code, way == LIVE ? 88 : MPPOOL_ELOST);
		ck_assert_int_eq(strncmp(mppool_last_error()->message,
		                         way == LIVE ? "initializer" : way == EXIT ? "exited with" : "killed by", 9), 0);
	}
}
END_TEST

START_TEST(replacement_whose_initializer_dies_breaks_the_pool)
{
	struct lives *const l = shared(sizeof *l);
	const struct mppool_func way = make_func(way_call, 1, sizeof(int), NULL);
	mppool *pool;
	int y;

	*l = (struct lives){.fail_from = 1, .way = SEGV};
	pool = processes(PROCESSES(.workers = 1, .initializer = count_initializer, .initarg = l));
	assert_code(mppool_apply(pool, &way, MPPOOL_ARGS(&(int){SEGV}), &y), MPPOOL_ETASK);
	while (mppool_state(pool) == MPPOOL_RUN)
		nap();
	ck_assert_int_eq(mppool_state(pool), MPPOOL_BROKEN);
	assert_code(mppool_apply(pool, &way, MPPOOL_ARGS(&(int){LIVE}), &y), MPPOOL_EBROKEN);
	ck_assert_str_eq(mppool_last_error()->message, "killed by signal 11 (Segmentation fault)");
	assert_ok(mppool_destroy(pool));
}
END_TEST

START_TEST(max_tasks_per_worker_replaces_the_process)
{
	struct lives *const l = shared(sizeof *l);
	const struct mppool_func state = make_func(state_call, 0, sizeof(int), NULL);
	mppool *const pool = processes(PROCESSES(.workers = 1, .max_tasks_per_worker = 3, .initializer = count_initializer,
	                                         .finalizer = count_finalizer, .initarg = l));
	int y;

	for (int i = 0; i < 10; i++) {
		assert_ok(mppool_apply(pool, &state, NULL, &y));
		ck_assert_int_eq(y, 100 + i / 3);
	}
	finish(pool);
	ck_assert_int_eq(atomic_load(&l->finalized), atomic_load(&l->initialized));
}
END_TEST

static int initarg_initializer(void *initarg, void **ret_state)
{
	*ret_state = (void *)(uintptr_t)*(int *)initarg;
	return 0;
}

static int context_call(const void *const args[], void *result, void *context)
{
	(void)args;
	*(int *)result = (*(int *)context)++;
	return 0;
}

START_TEST(initarg_and_context_with_sizes_are_copied)
{
	int value = 7, y, *const later = malloc(sizeof *later);
	mppool *const pool = processes(PROCESSES(.workers = 1, .initializer = initarg_initializer, .initarg = &value,
	                                         .initarg_size = sizeof value));
	struct mppool_func func = make_func(context_call, 0, sizeof(int), later);
	const struct mppool_func state = make_func(state_call, 0, sizeof(int), NULL);

	value = 8;
	func.context_size = sizeof *later;
	*later = 55;
	assert_ok(mppool_apply(pool, &func, NULL, &y));
	ck_assert_int_eq(y, 55);
	ck_assert_int_eq(*later, 55);    /* the task changed its copy */
	assert_ok(mppool_apply(pool, &state, NULL, &y));
	ck_assert_int_eq(y, 7);
	finish(pool);
	free(later);
}
END_TEST

/* ------------------------------------------------------------------------------------------------------------- limits */

START_TEST(task_timeout_kills_a_task_that_hangs_and_no_other)
{
	const struct mppool_func func = make_func(way_call, 1, sizeof(int), NULL);
	mppool *const pool = processes(PROCESSES(.workers = 2, .kill_after = 0.01));
	int ways[60] = {[3] = SPIN, [31] = SPIN, [59] = SPIN}, results[60], codes[60];
	mppool_result *result;

	for (size_t chunksize = 0; chunksize < 30; chunksize += 29) {
		assert_ok(mppool_map_async(pool, &func, MPPOOL_ARRAY(ways, 60), results, chunksize,
		                           MPPOOL_CALL(.codes = codes, .task_timeout = 0.2), &result));
		assert_code(mppool_result_get(result, NULL, MPPOOL_FOREVER), MPPOOL_ETASK);
		ck_assert_int_eq(mppool_last_error()->code, ETIMEDOUT);
		for (int i = 0; i < 60; i++)
			ck_assert_int_eq(codes[i], ways[i] == SPIN ? ETIMEDOUT : 0);
		mppool_result_free(result);
	}
	finish(pool);
}
END_TEST

static int until_stopped_call(const void *const args[], void *result, void *context)
{
	(void)args;
	(void)result;
	(void)context;
	while (!mppool_should_stop())
		usleep(1000);
	return 0;
}

START_TEST(task_that_looks_at_should_stop_is_not_killed)
{
	const struct mppool_func func = make_func(until_stopped_call, 0, 0, NULL);
	mppool *const pool = processes(PROCESSES(.workers = 1, .kill_after = -1));
	struct mppool_counters c = MPPOOL_COUNTERS_INIT;
	mppool_result *result;

	assert_ok(mppool_apply_async(pool, &func, NULL, MPPOOL_CALL(.task_timeout = 0.05), &result));
	assert_code(mppool_result_get(result, NULL, MPPOOL_FOREVER), MPPOOL_ETASK);
	ck_assert_int_eq(mppool_last_error()->code, ETIMEDOUT);
	mppool_result_free(result);
	assert_ok(mppool_apply_async(pool, &func, NULL, NULL, &result));
	do
		assert_ok(mppool_stats(pool, &c));
	while (c.running == 0);
	assert_code(mppool_result_cancel(result), EBUSY);
	assert_ok(mppool_result_get(result, NULL, MPPOOL_FOREVER));
	mppool_result_free(result);
	assert_ok(mppool_stats(pool, &c));
	ck_assert_uint_eq(c.workers_lost, 0);
	finish(pool);
}
END_TEST

static void await_begun(size_t i)
{
	while (atomic_load(&begun[i]) == 0)
		nap();
}

START_TEST(cancel_kills_what_hangs)
{
	const struct mppool_func func = make_func(way_call, 1, sizeof(int), NULL);
	mppool *const pool = processes(PROCESSES(.workers = 2, .kill_after = 0.01));
	int ways[40], results[40], codes[40], y;
	mppool_result *map, *single;

	for (int i = 0; i < 40; i++)
		ways[i] = SPIN;
	forget_begun();
	assert_ok(mppool_map_async(pool, &func, MPPOOL_ARRAY(ways, 40), results, 1, MPPOOL_CALL(.codes = codes), &map));
	await_begun(0);
	assert_ok(mppool_result_cancel(map));
	assert_code(mppool_result_get(map, NULL, MPPOOL_FOREVER), ECANCELED);
	for (int i = 0; i < 40; i++)
		ck_assert_int_eq(codes[i], ECANCELED);
	mppool_result_free(map);
	atomic_store(&begun[0], 0);
	assert_ok(mppool_apply_async(pool, &func, MPPOOL_ARGS(&(int){SPIN}), NULL, &single));
	await_begun(0);
	assert_code(mppool_result_cancel(single), EBUSY);
	assert_code(mppool_result_get(single, NULL, MPPOOL_FOREVER), ECANCELED);
	mppool_result_free(single);
	assert_ok(mppool_apply(pool, &func, MPPOOL_ARGS(&(int){LIVE}), &y));
	finish(pool);
}
END_TEST

START_TEST(fail_fast_kills_what_still_runs)
{
	const struct mppool_func func = make_func(way_call, 1, sizeof(int), NULL);
	mppool *const pool = processes(PROCESSES(.workers = 2, .kill_after = 0.01));
	int ways[20] = {SPIN, FAIL}, results[20], codes[20];
	mppool_result *result;

	assert_ok(mppool_map_async(pool, &func, MPPOOL_ARRAY(ways, 20), results, 1,
	                           MPPOOL_CALL(.codes = codes, .flags = MPPOOL_FAIL_FAST), &result));
	assert_code(mppool_result_get(result, NULL, MPPOOL_FOREVER), MPPOOL_ETASK);
	ck_assert_int_eq(mppool_last_error()->code, 77);
	ck_assert_int_eq(codes[0], ECANCELED);
	mppool_result_free(result);
	finish(pool);
}
END_TEST

START_TEST(terminate_kills_what_hangs)
{
	const struct mppool_func func = make_func(way_call, 1, sizeof(int), NULL);
	mppool *const pool = processes(PROCESSES(.workers = 2, .kill_after = 0.01));
	int ways[40], results[40], codes[40];
	mppool_result *map, *single;

	for (int i = 0; i < 40; i++)
		ways[i] = SPIN;
	forget_begun();
	assert_ok(mppool_apply_async(pool, &func, MPPOOL_ARGS(&(int){SPIN}), NULL, &single));
	await_begun(0);
	atomic_store(&begun[0], 0);
	assert_ok(mppool_map_async(pool, &func, MPPOOL_ARRAY(ways, 40), results, 0, MPPOOL_CALL(.codes = codes), &map));
	await_begun(0);
	assert_ok(mppool_terminate(pool));
	assert_ok(mppool_join(pool, MPPOOL_FOREVER));
	assert_code(mppool_result_get(map, NULL, 0), MPPOOL_ETERMINATED);
	assert_code(mppool_result_get(single, NULL, 0), MPPOOL_ETERMINATED);
	for (int i = 0; i < 40; i++)
		ck_assert_int_eq(codes[i], MPPOOL_ETERMINATED);
	mppool_result_free(map);
	mppool_result_free(single);
	assert_ok(mppool_destroy(pool));
}
END_TEST

/* --------------------------------------------------------------------------------------------------- all other calls */

START_TEST(streams_go_on_past_crashes)
{
	const struct mppool_func func = make_func(way_call, 1, sizeof(int), NULL);
	mppool *const pool = processes(PROCESSES(.workers = 2));
	enum { N = 300 };
	int ways[N] = {[5] = SEGV, [100] = EXIT, [101] = KILL, [299] = ABORT}, y;
	size_t index, lost = 0, seen = 0;
	mppool_iter *iter;

	for (int unordered = 0; unordered < 2; unordered++) {
		assert_ok((unordered ? mppool_imap_unordered : mppool_imap)(pool, &func, MPPOOL_ARRAY(ways, N), 3, 0, NULL,
		                                                            &iter));
		for (size_t i = 0; i < N; i++) {
			const int code = mppool_iter_next(iter, &y, &index, MPPOOL_FOREVER);

			ck_assert(unordered || index == i);
			ck_assert_int_eq(code, ways[index] ? MPPOOL_ETASK : 0);
			ck_assert(code != 0 || y == (int)index + 1);
			lost += code != 0;
			seen += index;
		}
		assert_code(mppool_iter_next(iter, &y, &index, MPPOOL_FOREVER), MPPOOL_ESTOP);
		mppool_iter_free(iter);
	}
	ck_assert_uint_eq(lost, 8);
	ck_assert_uint_eq(seen, (size_t)N * (N - 1));
	finish(pool);
}
END_TEST

START_TEST(generators_and_hooks_run_in_the_program)
{
	struct source source = SOURCE(500);
	const struct mppool_iterable items = source_items(&source);
	const struct mppool_func func = make_func(square_call, 1, sizeof(int), NULL);
	mppool *const pool = processes(PROCESSES(.workers = 2));
	mppool_iter *iter;
	int y;

	assert_ok(mppool_imap(pool, &func, &items, 4, 0, NULL, &iter));
	for (int i = 0; i < 500; i++) {
		assert_ok(mppool_iter_next(iter, &y, NULL, MPPOOL_FOREVER));
		ck_assert_int_eq(y, i * i);
	}
	assert_code(mppool_iter_next(iter, &y, NULL, MPPOOL_FOREVER), MPPOOL_ESTOP);
	mppool_iter_free(iter);
	finish(pool);
	ck_assert_uint_eq(atomic_load(&source.finished), 1);
}
END_TEST

struct dropped {
	mppool *pool;
	atomic_int args, results, released, refused;
};

static void drop_args(const void *const args[], void *context)
{
	struct dropped *const d = context;
	const struct mppool_func func = make_func(square_call, 1, sizeof(int), NULL);
	int y;

	atomic_fetch_add(&d->args, 1);
	if (mppool_apply(d->pool, &func, args, &y) == EDEADLK)
		atomic_fetch_add(&d->refused, 1);
}

static void drop_result(void *result, void *context)
{
	struct dropped *const d = context;

	if (*(int *)result == 1)
		atomic_fetch_add(&d->results, 1);
}

static void release(void *context)
{
	atomic_fetch_add(&((struct dropped *)context)->released, 1);
}

static int one_call(const void *const args[], void *result, void *context)
{
	(void)context;
	die(int_arg(args, 0));
	*(int *)result = 1;
	return 0;
}

START_TEST(drop_hooks_run_once_and_do_not_wait_for_their_pool)
{
	struct dropped d = {.pool = processes(PROCESSES(.workers = 2))};
	struct mppool_func func = make_func(one_call, 1, sizeof(int), &d);
	int ways[50] = {[20] = SEGV};
	mppool_result *result;

	func.drop_args = drop_args;
	func.drop_result = drop_result;
	func.release = release;
	assert_ok(mppool_map_async(d.pool, &func, MPPOOL_ARRAY(ways, 50), NULL, 5, NULL, &result));
	mppool_result_wait(result, MPPOOL_FOREVER);
	mppool_result_free(result);
	ck_assert_int_eq(mppool_map(d.pool, &func, MPPOOL_ARRAY(ways, 50), NULL, 5), MPPOOL_ETASK);
	finish(d.pool);
	ck_assert_int_eq(atomic_load(&d.args), 100);
	ck_assert_int_eq(atomic_load(&d.refused), 100);
	ck_assert_int_eq(atomic_load(&d.results), 98);
	ck_assert_int_eq(atomic_load(&d.released), 2);
}
END_TEST

static void count_callback(const void *results, size_t n, void *userdata)
{
	(void)results;
	atomic_fetch_add((atomic_int *)userdata, (int)n);
}

static void count_error(const struct mppool_error *error, void *userdata)
{
	if (error->code == MPPOOL_ELOST && error->status == SIGSEGV)
		atomic_fetch_add((atomic_int *)userdata, 1000);
}

START_TEST(callbacks_polled_or_not_get_results_and_losses)
{
	const struct mppool_func func = make_func(way_call, 1, sizeof(int), NULL);

	for (int mode = MPPOOL_CALLBACKS_THREAD; mode <= MPPOOL_CALLBACKS_POLL; mode++) {
		mppool *const pool = processes(PROCESSES(.workers = 2, .callback_mode = mode));
		atomic_int sum = 0;
		size_t n;

		for (int i = 0; i < 10; i++)
			assert_ok(mppool_apply_async(pool, &func, MPPOOL_ARGS(&(int){i % 5 == 0 ? SEGV : LIVE}),
			                             MPPOOL_CALL(.callback = count_callback, .error_callback = count_error,
			                                         .userdata = &sum), NULL));
		while (atomic_load(&sum) != 2008)
			if (mode == MPPOOL_CALLBACKS_POLL)
				assert_ok(mppool_poll(pool, MPPOOL_FOREVER, &n));
			else
				nap();
		finish(pool);
	}
}
END_TEST

START_TEST(groups_priorities_and_queue_limits_are_as_with_threads)
{
	const struct mppool_func func = make_func(way_call, 1, sizeof(int), NULL);
	mppool *const pool = processes(PROCESSES(.workers = 2, .queue_limit = 4));
	mppool_result *results[12], *got;
	size_t ready, seen = 0;
	mppool_iter *iter;

	for (int i = 0; i < 12; i++)
		assert_ok(mppool_apply_async(pool, &func, MPPOOL_ARGS(&(int){i == 7 ? EXIT : LIVE}),
		                             MPPOOL_CALL(.priority = i % 3 - 1), &results[i]));
	assert_ok(mppool_wait(results, 12, MPPOOL_FIRST_FAILED, MPPOOL_FOREVER, &ready));
	assert_ok(mppool_as_completed(results, 12, &iter));
	while (mppool_iter_next(iter, &got, NULL, MPPOOL_FOREVER) == 0)
		seen++;
	ck_assert_uint_eq(seen, 12);
	mppool_iter_free(iter);
	assert_code(mppool_result_get(results[7], NULL, 0), MPPOOL_ETASK);
	ck_assert_int_eq(mppool_last_error()->status, 3 << 8);
	for (int i = 0; i < 12; i++)
		mppool_result_free(results[i]);
	assert_ok(mppool_wait_idle(pool, MPPOOL_FOREVER));
	finish(pool);
}
END_TEST

START_TEST(resize_makes_and_ends_processes)
{
	const struct mppool_func func = make_func(square_call, 1, sizeof(int), NULL);
	mppool *const pool = processes(PROCESSES(.workers = 1));
	int xs[500], ys[500];

	for (int i = 0; i < 500; i++)
		xs[i] = i;
	for (int turn = 0; turn < 4; turn++) {
		assert_ok(mppool_resize(pool, 4));
		for (size_t i = 0; i < 4; i++)
			ck_assert_int_gt(pid_of_worker(pool, i), 0);
		assert_ok(mppool_map(pool, &func, MPPOOL_ARRAY(xs, 500), ys, 1));
		assert_ok(mppool_resize(pool, 1));
		assert_ok(mppool_map(pool, &func, MPPOOL_ARRAY(xs, 500), ys, 1));
		for (size_t i = 1; i < 4; i++)
			while (pid_of_worker(pool, i) != 0)
				nap();
	}
	finish(pool);
}
END_TEST

/* No item waits behind a long one: what was handed over with it is taken back. */
static int long_first_call(const void *const args[], void *result, void *context)
{
	(void)context;
	*(int *)result = int_arg(args, 0);
	if (atomic_fetch_add(&begun[0], 1) == 0)
		while (atomic_load(&begun[0]) < 64)
			usleep(1000);
	return 0;
}

START_TEST(items_handed_over_behind_a_long_one_are_taken_back)
{
	const struct mppool_func warm = make_func(square_call, 1, sizeof(int), NULL);
	const struct mppool_func func = make_func(long_first_call, 1, sizeof(int), NULL);
	mppool *const pool = processes(PROCESSES(.workers = 2));
	static int xs[20000], ys[20000];

	forget_begun();
	for (int turn = 0; turn < 10; turn++) {
		assert_ok(mppool_map(pool, &warm, MPPOOL_ARRAY(xs, 20000), ys, 1));     /* parcels grow */
		atomic_store(&begun[0], 0);
		assert_ok(mppool_map(pool, &func, MPPOOL_ARRAY(xs, 64), ys, 1));
	}
	finish(pool);
}
END_TEST

/* -------------------------------------------------------------------------------------------------------- shared memory */

static int in_place_call(const void *const args[], void *result, void *context)
{
	int *const x = *(int *const *)args[0];

	(void)context;
	*x += 1;
	*(uintptr_t *)result = (uintptr_t)result;
	return 0;
}

START_TEST(shared_memory_is_used_in_place)
{
	const struct mppool_func f = make_func(in_place_call, 1, sizeof(uintptr_t), NULL);
	struct mppool_func func = f;
	mppool *const pool = processes(PROCESSES(.workers = 2));
	enum { N = 1000 };
	int *const numbers = shared(N * sizeof *numbers), **const pointers = shared(N * sizeof *pointers);
	uintptr_t *const results = shared(N * sizeof *results);

	func.arg_size[0] = sizeof *pointers;
	for (int i = 0; i < N; i++)
		pointers[i] = &numbers[i];
	for (int i = 0; i < N; i++)
		ck_assert_int_eq(numbers[i], 0);
	assert_ok(mppool_map(pool, &func, MPPOOL_ARRAY(pointers, N), results, 0));
	for (int i = 0; i < N; i++) {
		ck_assert_int_eq(numbers[i], 1);
		ck_assert_uint_eq(results[i], (uintptr_t)&results[i]);
	}
	finish(pool);
	mppool_shared_free(numbers);
	mppool_shared_free(pointers);
	mppool_shared_free(results);
	mppool_shared_free(NULL);
}
END_TEST

START_TEST(shared_memory_is_given_back_and_zeroed)
{
	for (int turn = 0; turn < 20; turn++) {
		unsigned char *blocks[8];

		for (size_t i = 0; i < 8; i++) {
			const size_t size = (size_t)1 << (6 + i * 2);

			blocks[i] = shared(size);
			for (size_t k = 0; k < size; k += 97)
				ck_assert_int_eq(blocks[i][k], 0);
			memset(blocks[i], 0xaa, size);
		}
		for (size_t i = 0; i < 8; i++)
			mppool_shared_free(blocks[(i * 3) % 8]);
	}
	ck_assert_ptr_null(mppool_shared_alloc(0));
	ck_assert_ptr_null(mppool_shared_alloc(SIZE_MAX));
	ck_assert_ptr_null(mppool_shared_alloc((size_t)PTRDIFF_MAX / 2));
}
END_TEST

/* --------------------------------------------------------------------------------------------------------- bad input */

START_TEST(kinds_and_flags_that_do_not_go_together_are_refused_with_a_reason)
{
	mppool *pool = NULL;

	assert_code(mppool_create(PROCESSES(.workers = 1, .flags = MPPOOL_CALLER_HELPS), &pool), EINVAL);
	ck_assert_ptr_nonnull(strstr(mppool_last_error()->message, "CALLER_HELPS"));
	assert_code(mppool_create(MPPOOL_OPTIONS(.kind = MPPOOL_MPI), &pool), ENOTSUP);
	ck_assert_ptr_nonnull(strstr(mppool_last_error()->message, "MPI"));
	ck_assert_ptr_null(pool);
}
END_TEST

/* The module beside the program's file; NULL: it was built without shared libraries. */
static void *late_module(void)
{
	char path[4096];
	const ssize_t n = readlink("/proc/self/exe", path, sizeof path - 32);
	void *module;
	char *file;

	ck_assert_int_gt(n, 0);
	path[n] = '\0';
	if (!strstr(path, "/.libs/"))
		return NULL;
	file = strrchr(path, '/') + 1;
	snprintf(file, sizeof path - (size_t)(file - path), "late_module.so");
	module = dlopen(path, RTLD_NOW);
	ck_assert_msg(module, "%s", dlerror());
	return module;
}

static void *symbol(void *module, const char *name)
{
	void *const found = dlsym(module, name);

	ck_assert_ptr_nonnull(found);
	return found;
}

static void assert_efunc(mppool *pool, const struct mppool_func *func, const char *what)
{
	const int x[2] = {2, 3};
	mppool_result *result = NULL;
	int y[2] = {-1, -1};

	assert_code(mppool_apply(pool, func, MPPOOL_ARGS(&x[0]), &y[0]), MPPOOL_EFUNC);
	ck_assert_ptr_nonnull(strstr(mppool_last_error()->message, what));
	assert_code(mppool_map_async(pool, func, MPPOOL_ARRAY(x, 2), y, 0, NULL, &result), MPPOOL_EFUNC);
	ck_assert_ptr_null(result);
	ck_assert_int_eq(y[0], -1);
}

START_TEST(function_of_a_module_that_was_loaded_later_is_efunc)
{
	mppool *const pool = processes(PROCESSES(.workers = 1)), *younger;
	struct mppool_func late = make_func(square_call, 1, sizeof(int), NULL), mixed = late;
	void *const module = late_module(), *found;
	int x = 2, y;

	if (module) {
		found = symbol(module, "late_call");
		memcpy(&late.call, &found, sizeof found);
		late.context = mixed.context = symbol(module, "late_number");
		assert_efunc(pool, &late, "The function");
		assert_efunc(pool, &mixed, "The context");
		mixed.context_size = sizeof(int);        /* handed over: no matter where it was */
		assert_ok(mppool_apply(pool, &mixed, MPPOOL_ARGS(&x), &y));
		ck_assert_int_eq(y, 4);
		younger = processes(PROCESSES(.workers = 1));
		assert_ok(mppool_apply(younger, &late, MPPOOL_ARGS(&x), &y));
		ck_assert_int_eq(y, 42);
		finish(younger);
	}
	finish(pool);
}
END_TEST

START_TEST(item_that_is_too_large_is_einval_with_a_reason)
{
	mppool *const pool = processes(PROCESSES(.workers = 1));
	struct mppool_func func = make_func(square_call, 1, sizeof(int), NULL);
	int x = 2, y;

	func.arg_size[0] = (size_t)1 << 40;
	assert_code(mppool_apply(pool, &func, MPPOOL_ARGS(&x), &y), EINVAL);
	ck_assert_ptr_nonnull(strstr(mppool_last_error()->message, "bytes"));
	finish(pool);
}
END_TEST

/* -------------------------------------------------------------------------------------------------- nothing left behind */

static size_t descriptors(void)
{
	DIR *const dir = opendir("/proc/self/fd");
	size_t n = 0;

	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

START_TEST(many_pools_leave_no_descriptor_child_or_thread)
{
	const struct mppool_func func = make_func(square_call, 1, sizeof(int), NULL);
	int x = 5, y;
	size_t before;

	finish(processes(PROCESSES(.workers = 1)));
	before = descriptors();
	for (int turn = 0; turn < 100 && time_left(); turn++) {
		mppool *const pool = processes(PROCESSES(.workers = 2));

		assert_ok(mppool_apply(pool, &func, MPPOOL_ARGS(&x), &y));
		errno = 0;
		ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
		ck_assert_int_eq(errno, ECHILD);
		if (turn % 2)
			finish(pool);
		else
			mppool_destroy(pool);
		ck_assert_uint_eq(descriptors(), before);
	}
	if (!UNDER_TSAN)                                 /* which has threads of its own */
		ck_assert_uint_eq(threads_settle("", 1), 1);
}
END_TEST

/* Whether nobody has the other end of the pipe any more, which each process inherits. */
static bool pipe_ends(int fd)
{
	char byte;
	ssize_t n;

	do
		n = read(fd, &byte, 1);
	while (n > 0 || (n < 0 && errno == EINTR));
	return n == 0;
}

START_TEST(workers_go_when_the_program_is_killed)
{
	int ends[2];
	pid_t child;

	ck_assert_int_eq(pipe(ends), 0);
	child = fork_watched();
	if (child == 0) {
		const struct mppool_func func = make_func(way_call, 1, sizeof(int), NULL);
		mppool *pool;

		close(ends[0]);
		if (mppool_create(PROCESSES(.workers = 3), &pool) == 0)
			for (int i = 0; i < 2; i++)
				mppool_apply_async(pool, &func, MPPOOL_ARGS(&(int){SPIN}), NULL, NULL);
		if (write(ends[1], "x", 1) == 1)
			for (;;)
				pause();
		_exit(1);
	}
	close(ends[1]);
	char byte;
	ck_assert_int_eq(read(ends[0], &byte, 1), 1);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	ck_assert(pipe_ends(ends[0]));   /* the watchdog ends the test if it does not */
	close(ends[0]);
}
END_TEST

START_TEST(output_is_written_once_and_in_order)
{
	char name[] = "/tmp/mppool-test-XXXXXX", text[256] = "";
	const int fd = mkstemp(name);
	pid_t child;

	ck_assert_int_ge(fd, 0);
	child = fork_watched();
	if (child == 0) {
		const struct mppool_func func = make_func(way_call, 1, sizeof(int), NULL);
		mppool *pool;
		int y;

		dup2(fd, STDOUT_FILENO);
		printf("once ");
		CHILD_CHECK(mppool_create(PROCESSES(.workers = 2), &pool) == 0);
		printf("twice ");
		for (int way = SEGV; way <= ABORT; way++)
			mppool_apply(pool, &func, MPPOOL_ARGS(&way), &y);
		CHILD_CHECK(mppool_destroy(pool) == 0);
		fflush(stdout);
		child_leaves();
	}
	child_ends_well(child);
	ck_assert_int_gt(pread(fd, text, sizeof text - 1, 0), 0);
	ck_assert_str_eq(text, "once twice ");
	close(fd);
	unlink(name);
}
END_TEST

static int print_call(const void *const args[], void *result, void *context)
{
	(void)result;
	(void)context;
	printf("item %d\n", int_arg(args, 0));
	return 0;
}

START_TEST(what_a_task_prints_is_there_when_its_result_is)
{
	char name[] = "/tmp/mppool-test-XXXXXX", text[256] = "";
	const int fd = mkstemp(name);
	pid_t child;

	child = fork_watched();
	if (child == 0) {
		const struct mppool_func func = make_func(print_call, 1, 0, NULL);
		mppool *pool;

		dup2(fd, STDOUT_FILENO);
		CHILD_CHECK(mppool_create(PROCESSES(.workers = 1), &pool) == 0);
		for (int i = 0; i < 2; i++) {
			CHILD_CHECK(mppool_apply(pool, &func, MPPOOL_ARGS(&i), NULL) == 0);
			CHILD_CHECK(lseek(fd, 0, SEEK_END) == 7 * (i + 1));
		}
		mppool_destroy(pool);
		child_leaves();
	}
	child_ends_well(child);
	ck_assert_int_gt(pread(fd, text, sizeof text - 1, 0), 0);
	ck_assert_str_eq(text, "item 0\nitem 1\n");
	close(fd);
	unlink(name);
}
END_TEST

static void ignore(int signal)
{
	(void)signal;
}

START_TEST(interrupt_of_the_group_reaches_the_program_alone)
{
	const pid_t child = fork_watched();

	if (child == 0) {
		const struct mppool_func func = make_func(square_call, 1, sizeof(int), NULL);
		mppool *pool;
		int x = 4, y = 0;

		setpgid(0, 0);
		signal(SIGINT, ignore);
		CHILD_CHECK(mppool_create(PROCESSES(.workers = 1), &pool) == 0);
		const pid_t worker = pid_of_worker(pool, 0);
		kill(0, SIGINT);
		CHILD_CHECK(mppool_apply(pool, &func, MPPOOL_ARGS(&x), &y) == 0 && y == 16);
		CHILD_CHECK(pid_of_worker(pool, 0) == worker);
		CHILD_CHECK(mppool_destroy(pool) == 0);
		child_leaves();
	}
	child_ends_well(child);
}
END_TEST

static pid_t parent_of(pid_t pid)
{
	char name[64];
	int parent = 0;
	FILE *file;

	snprintf(name, sizeof name, "/proc/%d/stat", (int)pid);
	file = fopen(name, "r");
	if (file) {
		if (fscanf(file, "%*d %*s %*c %d", &parent) != 1)
			parent = 0;
		fclose(file);
	}
	return parent;
}

START_TEST(pool_whose_server_is_killed_is_broken)
{
	const struct mppool_func func = make_func(way_call, 1, sizeof(int), NULL);
	mppool *const pool = processes(PROCESSES(.workers = 2));
	mppool_result *running;
	int y;

	forget_begun();
	assert_ok(mppool_apply_async(pool, &func, MPPOOL_ARGS(&(int){SPIN}), NULL, &running));
	await_begun(0);
	kill(parent_of(pid_of_worker(pool, 0)), SIGKILL);
	mppool_result_wait(running, MPPOOL_FOREVER);
	while (mppool_state(pool) == MPPOOL_RUN)
		nap();
	ck_assert_int_eq(mppool_state(pool), MPPOOL_BROKEN);
	assert_code(mppool_apply(pool, &func, MPPOOL_ARGS(&(int){LIVE}), &y), MPPOOL_EBROKEN);
	mppool_result_free(running);
	assert_ok(mppool_destroy(pool));
}
END_TEST

START_TEST(child_of_the_programs_fork_leaves_the_pool_alone)
{
	const struct mppool_func func = make_func(square_call, 1, sizeof(int), NULL);
	mppool *const pool = processes(PROCESSES(.workers = 2));
	int x = 6, y;
	pid_t child;

	if (UNDER_TSAN) {                                /* which starts no threads after such a fork */
		finish(pool);
		return;
	}
	child = fork_watched();
	if (child == 0) {
		mppool *own;

		CHILD_CHECK(mppool_apply(pool, &func, MPPOOL_ARGS(&x), &y) == MPPOOL_EFORKED);
		CHILD_CHECK(mppool_create(PROCESSES(.workers = 1), &own) == 0);
		CHILD_CHECK(mppool_apply(own, &func, MPPOOL_ARGS(&x), &y) == 0 && y == 36);
		CHILD_CHECK(mppool_destroy(pool) == 0);
		CHILD_CHECK(mppool_destroy(own) == 0);
		child_leaves();
	}
	child_ends_well(child);
	assert_ok(mppool_apply(pool, &func, MPPOOL_ARGS(&x), &y));
	finish(pool);
}
END_TEST

static int global = 1;

static int global_call(const void *const args[], void *result, void *context)
{
	(void)args;
	(void)context;
	*(int *)result = global;
	return 0;
}

START_TEST(fork_server_keeps_the_memory_of_its_moment)
{
	const struct mppool_func func = make_func(global_call, 0, sizeof(int), NULL);
	mppool *pool;
	int y;

	begun = shared(BEGUN_MOST * sizeof *begun);
	assert_ok(mppool_fork_server());
	assert_ok(mppool_fork_server());
	global = 2;
	for (int turn = 0; turn < 3; turn++) {
		pool = processes(PROCESSES(.workers = 2));
		assert_ok(mppool_apply(pool, &func, NULL, &y));
		ck_assert_int_eq(y, 1);
		assert_ok(mppool_apply(pool, &(struct mppool_func){sizeof func, way_call, NULL, 1, {sizeof(int)}, sizeof(int),
		                                                    NULL, NULL, NULL, NULL, NULL, 0},
		                       MPPOOL_ARGS(&(int){LIVE}), &y));
		finish(pool);
	}
	pool = NULL;
	assert_code(mppool_create(PROCESSES(.workers = 1, .initializer = initarg_initializer, .initarg = &y), &pool), EINVAL);
	assert_ok(mppool_create(PROCESSES(.workers = 1, .initializer = initarg_initializer, .initarg = &y,
	                                  .initarg_size = sizeof y), &pool));
	finish(pool);
}
END_TEST

static long switches_of(pid_t pid)
{
	char name[64], line[256];
	long n, sum = 0;
	FILE *file;

	snprintf(name, sizeof name, "/proc/%d/status", (int)pid);
	file = fopen(name, "r");
	while (file && fgets(line, sizeof line, file))
		if (sscanf(line, "voluntary_ctxt_switches: %ld", &n) == 1)
			sum += n;
	if (file)
		fclose(file);
	return sum;
}

START_TEST(idle_pool_makes_no_context_switch)
{
	const struct mppool_func func = make_func(square_call, 1, sizeof(int), NULL);
	mppool *const pool = processes(PROCESSES(.workers = 1));
	int x = 2, y, good = 0;
	pid_t pid;

	assert_ok(mppool_apply(pool, &func, MPPOOL_ARGS(&x), &y));
	pid = pid_of_worker(pool, 0);
	pause_briefly();
	for (int turn = 0; turn < 10 && !good; turn++) {
		const long before = switches_of(pid) + switches_of(parent_of(pid)) + context_switches("mppool");

		pause_briefly();
		good = switches_of(pid) + switches_of(parent_of(pid)) + context_switches("mppool") == before;
	}
	ck_assert(good);
	finish(pool);
}
END_TEST

START_TEST(without_futexes_there_are_no_processes)
{
	mppool *pool = NULL;

	assert_code(mppool_create(PROCESSES(.workers = 1), &pool), ENOTSUP);
	ck_assert_ptr_nonnull(strstr(mppool_last_error()->message, "futexes"));
	ck_assert_ptr_null(pool);
	assert_code(mppool_fork_server(), ENOTSUP);
	ck_assert_ptr_null(mppool_shared_alloc(1));
	mppool_shared_free(NULL);
}
END_TEST

static void fill_without_futexes(Suite *suite)
{
	tcase_add_test(add_case(suite, "refusals"), without_futexes_there_are_no_processes);
}

static void fill(Suite *suite)
{
	TCase *tcase;

	no_core();
	if (!WITH_PROCESSES) {
		fill_without_futexes(suite);
		return;
	}
	tcase = add_case(suite, "basics");
	tcase_add_test(tcase, apply_and_map_give_what_threads_give);
	tcase_add_test(tcase, items_larger_than_a_slot_are_copied_whole);
	tcase_add_test(tcase, messages_of_a_whole_map_arrive);
	tcase_add_test(tcase, tasks_know_where_they_are);
	tcase = add_case(suite, "crashes");
	tcase_add_test(tcase, crash_costs_its_item_and_says_how);
	tcase_add_test(tcase, crash_storm_loses_exactly_those_that_crash);
	tcase_add_test(tcase, crash_in_a_chunk_function_costs_what_it_was_handed);
	tcase_add_test(tcase, idle_worker_that_is_killed_costs_nothing);
	tcase_add_test(tcase, workers_killed_at_random_lose_what_began_and_nothing_runs_twice);
	tcase_add_test(tcase, garbage_in_a_workers_own_slot_costs_that_worker_alone);
	tcase = add_case(suite, "lives");
	tcase_add_test(tcase, initializer_runs_in_each_process_and_each_replacement);
	tcase_add_test(tcase, failing_or_dying_initializers_are_broken);
	tcase_add_test(tcase, replacement_whose_initializer_dies_breaks_the_pool);
	tcase_add_test(tcase, max_tasks_per_worker_replaces_the_process);
	tcase_add_test(tcase, initarg_and_context_with_sizes_are_copied);
	tcase = add_case(suite, "limits");
	tcase_add_test(tcase, task_timeout_kills_a_task_that_hangs_and_no_other);
	tcase_add_test(tcase, task_that_looks_at_should_stop_is_not_killed);
	tcase_add_test(tcase, cancel_kills_what_hangs);
	tcase_add_test(tcase, fail_fast_kills_what_still_runs);
	tcase_add_test(tcase, terminate_kills_what_hangs);
	tcase = add_case(suite, "calls");
	tcase_add_test(tcase, streams_go_on_past_crashes);
	tcase_add_test(tcase, generators_and_hooks_run_in_the_program);
	tcase_add_test(tcase, drop_hooks_run_once_and_do_not_wait_for_their_pool);
	tcase_add_test(tcase, callbacks_polled_or_not_get_results_and_losses);
	tcase_add_test(tcase, groups_priorities_and_queue_limits_are_as_with_threads);
	tcase_add_test(tcase, resize_makes_and_ends_processes);
	tcase_add_test(tcase, items_handed_over_behind_a_long_one_are_taken_back);
	tcase = add_case(suite, "memory");
	tcase_add_test(tcase, shared_memory_is_used_in_place);
	tcase_add_test(tcase, shared_memory_is_given_back_and_zeroed);
	tcase = add_case(suite, "refusals");
	tcase_add_test(tcase, kinds_and_flags_that_do_not_go_together_are_refused_with_a_reason);
	tcase_add_test(tcase, function_of_a_module_that_was_loaded_later_is_efunc);
	tcase_add_test(tcase, item_that_is_too_large_is_einval_with_a_reason);
	tcase = add_case(suite, "leftovers");
	tcase_add_test(tcase, many_pools_leave_no_descriptor_child_or_thread);
	tcase_add_test(tcase, workers_go_when_the_program_is_killed);
	tcase_add_test(tcase, output_is_written_once_and_in_order);
	tcase_add_test(tcase, what_a_task_prints_is_there_when_its_result_is);
	tcase_add_test(tcase, interrupt_of_the_group_reaches_the_program_alone);
	tcase_add_test(tcase, pool_whose_server_is_killed_is_broken);
	tcase_add_test(tcase, child_of_the_programs_fork_leaves_the_pool_alone);
	tcase_add_test(tcase, fork_server_keeps_the_memory_of_its_moment);
	tcase_add_test(tcase, idle_pool_makes_no_context_switch);
}

int main(int argc, char **argv)
{
	return run_suite("processes", fill, argc, argv);
}
