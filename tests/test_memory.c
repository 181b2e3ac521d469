/* test_memory.c - memory follows what is needed: results that nobody wants, buffers of streams, what a pool cannot have
 *
 * SPDX-License-Identifier: MIT */
#include "support.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define PLAIN (!UNDER_TSAN && !UNDER_ASAN && !under_valgrind())
#define MIB ((size_t)1 << 20)

/* MiB that the process has had in memory at most. */
static long peak_mib(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_maxrss / 1024;
}

static void assert_peak_below(long before, long mib)
{
	if (PLAIN)
		ck_assert_int_lt(peak_mib(), before + mib);
}

/* ------------------------------------------------------------------------------------------ results that nobody wants */

struct counts {
	size_t size;
	mppool *pool;
	atomic_size_t ran, dropped, wrong;
	size_t next, length;
};

static int fill_call(const void *const args[], void *result, void *context)
{
	struct counts *const c = context;

	(void)args;
	memset(result, 7, c->size);
	atomic_fetch_add(&c->ran, 1);
	return 0;
}

static int fill_chunk(const struct mppool_chunk *chunk, void *context)
{
	struct counts *const c = context;

	for (size_t i = 0; i < chunk->count; i++) {
		char *const result = (char *)chunk->results + i * chunk->result_stride;

		memset(result, 7, c->size);
		atomic_fetch_add(&c->ran, 1);
	}
	return 0;
}

static void drop_filled(void *result, void *context)
{
	struct counts *const c = context;
	const char *const bytes = result;

	if (bytes[0] != 7 || bytes[c->size - 1] != 7)
		atomic_fetch_add(&c->wrong, 1);
	atomic_fetch_add(&c->dropped, 1);
}

static int count_next(void *const args[], void *state)
{
	struct counts *const c = state;

	*(int *)args[0] = 0;
	return c->next++ < c->length ? 0 : MPPOOL_ESTOP;
}

/* _i: bits: by chunks; of a generator; with a drop_result. */
START_TEST(large_results_that_nobody_wants_are_not_kept)
{
	struct counts c = {.size = 4099, .length = PLAIN ? 100000 : 2000};
	struct mppool_func func = make_func(_i & 1 ? NULL : fill_call, 1, c.size, &c);
	const int x = 1;
	const struct mppool_iterable generated = {
		.size = sizeof generated, .length = MPPOOL_UNKNOWN, .next = count_next, .state = &c};
	mppool *const pool = pool_of(2);
	const long before = peak_mib();

	if (_i & 1)
		func.chunk_call = fill_chunk;
	if (_i & 4)
		func.drop_result = drop_filled;
	assert_ok(mppool_map(pool, &func, _i & 2 ? &generated : MPPOOL_ZIP(c.length, MPPOOL_REPEAT(&x)), NULL, 0));
	assert_peak_below(before, 60);
	ck_assert_uint_eq(atomic_load(&c.ran), c.length);
	ck_assert_uint_eq(atomic_load(&c.dropped), _i & 4 ? c.length : 0);
	ck_assert_uint_eq(atomic_load(&c.wrong), 0);
	pool_finish(pool);
}
END_TEST

static int stop_call(const void *const args[], void *result, void *context)
{
	struct counts *const c = context;

	fill_call(args, result, context);
	if (atomic_load(&c->ran) > 1000)
		mppool_terminate(c->pool);
	return 0;
}

START_TEST(number_of_unwanted_results_does_not_matter)
{
	struct counts c = {.size = 4099};
	const struct mppool_func func = make_func(stop_call, 1, c.size, &c);
	const int x = 1;
	const long before = peak_mib();

	c.pool = pool_of(2);
	if (sizeof(size_t) > 4)
		assert_code(mppool_map(c.pool, &func, MPPOOL_ZIP(SIZE_MAX / 2 / c.size, MPPOOL_REPEAT(&x)), NULL, 0),
		            MPPOOL_ETERMINATED);
	assert_peak_below(before, 60);
	pool_finish(c.pool);
}
END_TEST

struct mapping {
	mppool *pool;
	const struct mppool_func *func;
	const struct mppool_iterable *items;
	int code;
};

static void map_it(void *arg)
{
	struct mapping *const m = arg;

	m->code = mppool_map(m->pool, m->func, m->items, NULL, 1);
}

struct crowd {
	struct counts counts;
	struct gate gate;
};

/* Its first item stays until four workers are at the map. */
static int crowd_call(const void *const args[], void *result, void *context)
{
	struct crowd *const crowd = context;

	gate_wait(&crowd->gate);
	return fill_call(args, result, &crowd->counts);
}

static void crowd_drop(void *result, void *context)
{
	drop_filled(result, &((struct crowd *)context)->counts);
}

/* More take part than the pool had workers when the map began: each has room of its own. */
START_TEST(unwanted_results_of_late_workers_have_room)
{
	struct crowd crowd = {.counts = {.size = 4099}};
	struct mppool_func func = make_func(crowd_call, 1, crowd.counts.size, &crowd);
	const int xs[50] = {0};
	struct mapping mapping;
	struct runner runner;

	gate_init(&crowd.gate);
	func.drop_result = crowd_drop;
	mapping = (struct mapping){pool_of(1), &func, MPPOOL_ARRAY(xs, 50), -1};
	runner_start(&runner, map_it, &mapping);
	gate_wait_arrivals(&crowd.gate, 1);
	assert_ok(mppool_resize(mapping.pool, 4));
	gate_wait_arrivals(&crowd.gate, 4);
	gate_open(&crowd.gate);
	runner_join(&runner);
	assert_ok(mapping.code);
	ck_assert_uint_eq(atomic_load(&crowd.counts.dropped), 50);
	ck_assert_uint_eq(atomic_load(&crowd.counts.wrong), 0);
	pool_finish(mapping.pool);
	gate_destroy(&crowd.gate);
}
END_TEST

/* ----------------------------------------------------------------------------------------------------------- streams */

static int touch_call(const void *const args[], void *result, void *context)
{
	(void)context;
	*(int *)result = int_arg(args, 0);
	return 0;
}

/* _i: bits: unordered; of a generator, whose length nobody knows. */
START_TEST(buffer_of_large_results_fits_into_little_memory)
{
	const struct rlimit limit = {(rlim_t)2048 * MIB, (rlim_t)2048 * MIB};
	struct counts c = {.length = 12};
	const struct mppool_iterable generated = {
		.size = sizeof generated, .length = MPPOOL_UNKNOWN, .next = count_next, .state = &c};
	const struct mppool_func func = make_func(touch_call, 1, 64 * MIB, NULL);
	const int xs[] = {1, 2, 3};
	char *const y = malloc(64 * MIB);
	mppool_iter *iter = NULL;
	mppool *pool;
	size_t n = 0;

	if (!PLAIN) {                            /* the sanitizers' own addresses are not limited so */
		free(y);
		return;
	}
	ck_assert_int_eq(setrlimit(RLIMIT_AS, &limit), 0);
	pool = pool_of(2);
	assert_ok((_i & 1 ? mppool_imap_unordered : mppool_imap)(
		pool, &func, _i & 2 ? &generated : MPPOOL_ARRAY(xs, 3), 1, 0, NULL, &iter));
	while (mppool_iter_next(iter, y, NULL, MPPOOL_FOREVER) == 0)
		n++;
	ck_assert_uint_eq(n, _i & 2 ? 12 : 3);
	mppool_iter_free(iter);
	pool_finish(pool);
	free(y);
}
END_TEST

/* A buffer that is larger than the input is as large as that. */
START_TEST(buffer_is_not_larger_than_a_known_input)
{
	const struct mppool_func func = make_func(touch_call, 1, 1000, NULL);
	const int xs[] = {1, 2, 3};
	char y[1000];
	mppool_iter *iter = NULL;
	mppool *const pool = pool_of(1);

	assert_ok(mppool_imap(pool, &func, MPPOOL_ARRAY(xs, 3), 1, SIZE_MAX / 4, NULL, &iter));
	for (int i = 0; i < 3; i++)
		assert_ok(mppool_iter_next(iter, y, NULL, MPPOOL_FOREVER));
	assert_code(mppool_iter_next(iter, y, NULL, MPPOOL_FOREVER), MPPOOL_ESTOP);
	mppool_iter_free(iter);
	pool_finish(pool);
}
END_TEST

/* ----------------------------------------------------------------------------------------- what a pool cannot have */

START_TEST(pool_without_a_thread_key_is_refused)
{
	static pthread_key_t keys[PTHREAD_KEYS_MAX];
	mppool *pool = NULL;
	size_t n = 0;
	const int x = 3;
	int y = 0;
	const struct mppool_func func = make_func(square_call, 1, sizeof(int), NULL);

	while (n < PTHREAD_KEYS_MAX && pthread_key_create(&keys[n], NULL) == 0)
		n++;
	for (int i = 0; i < 10; i++)
		assert_code(mppool_create(MPPOOL_OPTIONS(.workers = 2), &pool), EAGAIN);
	ck_assert_ptr_null(pool);
	ck_assert_uint_eq(threads_settle("mppool", 0), 0);
	ck_assert_uint_gt(n, 0);
	pthread_key_delete(keys[--n]);
	assert_ok(mppool_create(MPPOOL_OPTIONS(.workers = 2), &pool));
	assert_ok(mppool_apply(pool, &func, MPPOOL_ARGS(&x), &y));
	ck_assert_int_eq(y, 9);
	pool_finish(pool);
	while (n > 0)
		pthread_key_delete(keys[--n]);
}
END_TEST

static void use_pool(size_t i, void *pool)
{
	const int x = 3;
	int y;
	const struct mppool_func func = make_func(square_call, 1, sizeof(int), NULL);

	(void)i;
	mppool_apply(pool, &func, MPPOOL_ARGS(&x), &y);
}

START_TEST(threads_that_come_and_go_leave_nothing)
{
	mppool *const pool = pool_of(2);
	long before;

	for (int i = 0; i < 100; i++)
		run_in_threads(4, use_pool, pool);
	before = peak_mib();
	for (int i = 0; i < (PLAIN ? 2000 : 50); i++)
		run_in_threads(4, use_pool, pool);
	assert_peak_below(before, 8);
	pool_finish(pool);
}
END_TEST

static long number_in(const char *path)
{
	FILE *const file = fopen(path, "r");
	long n = LONG_MAX;

	if (!file)
		return LONG_MAX;
	if (fscanf(file, "%ld", &n) != 1)
		n = LONG_MAX;
	fclose(file);
	return n;
}

START_TEST(more_workers_than_can_be_had_fail_at_once)
{
	const long maps = number_in("/proc/sys/vm/max_map_count") / 2, all = number_in("/proc/sys/kernel/threads-max");
	const double begun = seconds_now();
	mppool *pool = NULL;

	if (maps >= 100000 && all >= 100000)
		return;                          /* here they may be had */
	assert_code(mppool_create(MPPOOL_OPTIONS(.workers = 100000), &pool), EAGAIN);
	pool = pool_of(1);
	assert_code(mppool_resize(pool, 100000), EAGAIN);
	ck_assert_double_lt(seconds_now() - begun, 0.5 * timeout_factor());
	pool_finish(pool);
}
END_TEST

static void fill(Suite *suite)
{
	TCase *tcase = add_case(suite, "results");
	tcase_add_loop_test(tcase, large_results_that_nobody_wants_are_not_kept, 0, 8);
	tcase_add_test(tcase, number_of_unwanted_results_does_not_matter);
	tcase_add_test(tcase, unwanted_results_of_late_workers_have_room);

	tcase = add_case(suite, "streams");
	tcase_add_loop_test(tcase, buffer_of_large_results_fits_into_little_memory, 0, 4);
	tcase_add_test(tcase, buffer_is_not_larger_than_a_known_input);

	tcase = add_case(suite, "limits");
	tcase_add_test(tcase, pool_without_a_thread_key_is_refused);
	tcase_add_test(tcase, threads_that_come_and_go_leave_nothing);
	tcase_add_test(tcase, more_workers_than_can_be_had_fail_at_once);
}

int main(int argc, char **argv)
{
	return run_suite("memory", fill, argc, argv);
}
