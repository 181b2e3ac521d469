/* test_reasons.c - why a call failed, in a sentence; failures without a code; columns that are no arrays; options of the
 * calls that wait
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE 1
#include "support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define N 100

static int64_t square(int64_t x)
{
	return x * x;
}

static int64_t add(int64_t a, int64_t b)
{
	return a + b;
}

MPPOOL_FUNC(square_task, int64_t, square, int64_t);
MPPOOL_FUNC(add_task, int64_t, add, int64_t, int64_t);

/* The call has failed with this code, and the sentence is this. */
static void assert_reason(int got, int code, const char *sentence)
{
	ck_assert_msg(got == code, "%s instead of %s", mppool_strerrorname(got), mppool_strerrorname(code));
	ck_assert_int_eq(mppool_last_error()->code, code);
	ck_assert_uint_eq(mppool_last_error()->index, 0);
	ck_assert_str_eq(mppool_last_error()->message, sentence);
}

/* ------------------------------------------------------------------------------------------------------- sentences */

START_TEST(reason_names_the_column_and_the_function)
{
	const int xs[2] = {1, 2};
	const int64_t ys[2] = {1, 2};
	const char letter = 'a';
	int64_t out[2];
	mppool *const pool = pool_of(1);

	assert_reason(mppool_map(pool, &square_task, MPPOOL_ARRAY(xs, 2), out, 0), EINVAL,
	              "column 0 has elements of 4 bytes, square takes 8");
	assert_reason(mppool_starmap(pool, &add_task, MPPOOL_ZIP(2, MPPOOL_COLUMN(ys), MPPOOL_COLUMN(xs)), out, 0), EINVAL,
	              "column 1 has elements of 4 bytes, add takes 8");
	assert_reason(mppool_starmap(pool, &add_task, MPPOOL_ARRAY(ys, 2), out, 0), EINVAL,
	              "the items have 1 column, add takes 2 arguments");
	assert_reason(mppool_map(pool, &add_task, MPPOOL_ARRAY(ys, 2), out, 0), EINVAL,
	              "map is for functions of one argument, add takes 2: use starmap");
	assert_reason(mppool_map(pool, &square_task, MPPOOL_ZIP(2, MPPOOL_REPEAT(&letter)), out, 0), EINVAL,
	              "column 0 has elements of 1 bytes, square takes 8");
	assert_reason(mppool_map(pool, &square_task, MPPOOL_TIMES(3), out, 0), EINVAL,
	              "the items have neither columns nor a generator, square takes 1 arguments");
	assert_reason(mppool_map(pool, &square_task, NULL, out, 0), EINVAL, "there are no items: items is NULL");
	assert_reason(mppool_map(pool, NULL, MPPOOL_ARRAY(ys, 2), out, 0), EINVAL, "there is no function: func is NULL");
	assert_reason(mppool_map(NULL, &square_task, MPPOOL_ARRAY(ys, 2), out, 0), EINVAL,
	              "there is no pool: pool is NULL");
	assert_reason(mppool_apply(pool, &square_task, NULL, out), EINVAL, "args is NULL, square takes 1 argument");
	assert_reason(mppool_apply(pool, &square_task, MPPOOL_ARGS(NULL), out), EINVAL,
	              "the address of argument 0 of square is NULL");
	pool_finish(pool);
}
END_TEST

START_TEST(reason_iterable_without_init)
{
	struct mppool_iterable items;
	const int64_t xs[1] = {1};
	int64_t y;
	mppool *const pool = pool_of(1);

	memset(&items, 0, sizeof items);
	items.columns = &MPPOOL_COLUMN(xs);
	assert_code(mppool_map(pool, &square_task, &items, &y, 0), EINVAL);
	ck_assert_ptr_nonnull(strstr(mppool_last_error()->message, "the size in struct mppool_iterable is 0"));
	pool_finish(pool);
}
END_TEST

START_TEST(reason_of_options)
{
	const int64_t x = 1;
	mppool *pool;

	assert_reason(mppool_create(MPPOOL_OPTIONS(.workers = -3), &pool), EINVAL,
	              "workers is -3, and must be positive, or 0 for the default");
	assert_reason(mppool_create(MPPOOL_OPTIONS(.workers = 1, .ncpus = 2), &pool), EINVAL,
	              "ncpus is 2, and cpus is NULL");
	assert_reason(mppool_create(NULL, NULL), EINVAL, "there is no place for the pool: ret_pool is NULL");
	pool = pool_of(1);
	assert_reason(mppool_apply_async(pool, &square_task, MPPOOL_ARGS(&x), MPPOOL_CALL(.priority = 2), NULL), EINVAL,
	              "the priority is 2, and must be 1, 0 or -1");
	assert_reason(mppool_apply_async(pool, &square_task, MPPOOL_ARGS(&x), MPPOOL_CALL(.task_timeout = NAN), NULL),
	              EINVAL, "task_timeout is not a number");
	assert_reason(mppool_join(pool, 0), MPPOOL_ERUNNING,
	              "the pool is still running: mppool_close() or mppool_terminate() first");
	assert_reason(mppool_join(pool, NAN), EINVAL, "the timeout is not a number");
	assert_reason(mppool_resize(pool, 0), EINVAL, "a pool of 0 workers would do nothing");
	pool_finish(pool);
}
END_TEST

/* Not that of an earlier failure: row "mppool_last_error() printed after any code". */
START_TEST(reason_is_that_of_the_last_failure)
{
	const int64_t x = 3;
	int successful;
	mppool_result *result = NULL;
	struct hold hold;
	mppool *const pool = pool_of(1);

	hold_workers(&hold, pool, 1);
	assert_ok(mppool_apply_async(pool, &square_task, MPPOOL_ARGS(&x), NULL, &result));
	assert_reason(mppool_result_get(result, NULL, 0), ETIMEDOUT, "the result is not ready yet");
	assert_reason(mppool_result_successful(result, &successful), MPPOOL_ENOTREADY, "The result is not ready");
	assert_reason(mppool_result_get(result, NULL, 0.001), ETIMEDOUT, mppool_strerror(ETIMEDOUT));
	assert_reason(mppool_result_get(NULL, NULL, 0), EINVAL, "there is no result: the handle is NULL");
	assert_ok(mppool_result_cancel(result));
	assert_reason(mppool_result_get(result, NULL, MPPOOL_FOREVER), ECANCELED, "Cancelled");
	assert_reason(mppool_result_cancel(result), EALREADY, mppool_strerror(EALREADY));
	mppool_result_free(result);
	hold_release(&hold);
	assert_ok(mppool_close(pool));
	assert_reason(mppool_apply(pool, &square_task, MPPOOL_ARGS(&x), NULL), MPPOOL_ECLOSED, "the pool was closed");
	assert_ok(mppool_terminate(pool));
	assert_ok(mppool_join(pool, MPPOOL_FOREVER));
	assert_reason(mppool_apply(pool, &square_task, MPPOOL_ARGS(&x), NULL), MPPOOL_ECLOSED,
	              "the pool was terminated");
	assert_ok(mppool_destroy(pool));
}
END_TEST

static void waits_in_callback(const void *results, size_t n, void *userdata)
{
	const int64_t x = 1;

	(void)results;
	(void)n;
	if (mppool_apply(mppool_current(), &square_task, MPPOOL_ARGS(&x), NULL) == EDEADLK)
		snprintf(userdata, 100, "%s", mppool_last_error()->message);
}

START_TEST(reason_of_edeadlk_in_a_callback)
{
	char said[100] = "";
	const int64_t x = 1;
	mppool *const pool = pool_of(1);

	assert_ok(mppool_apply_async(pool, &square_task, MPPOOL_ARGS(&x),
	                             MPPOOL_CALL(.callback = waits_in_callback, .userdata = said), NULL));
	pool_finish(pool);
	ck_assert_str_eq(said, "a callback must not wait for its own pool");
}
END_TEST

static int64_t always_fails(int64_t x)
{
	return mppool_raise(ERANGE, "no %d today", (int)x);
}

MPPOOL_FUNC(fails_task, int64_t, always_fails, int64_t);

/* A long name, a long message: nothing is written past its room. */
START_TEST(reason_long_names_are_cut)
{
	char name[2000];
	const int x = 1;
	struct mppool_func func = square_task;
	mppool *const pool = pool_of(1);

	memset(name, 'f', sizeof name - 1);
	name[sizeof name - 1] = 0;
	func.name = name;
	assert_code(mppool_map(pool, &func, MPPOOL_ARRAY(&x, 1), NULL, 0), EINVAL);
	ck_assert_uint_gt(strlen(mppool_last_error()->message), 100);
	ck_assert_uint_lt(strlen(mppool_last_error()->message), 1000);
	pool_finish(pool);
}
END_TEST

/* What stderr gets meanwhile. */
static void said(void (*f)(mppool *pool), mppool *pool, char text[1000])
{
	FILE *const file = tmpfile();
	const int before = dup(STDERR_FILENO);
	size_t n;

	ck_assert_ptr_nonnull(file);
	dup2(fileno(file), STDERR_FILENO);
	f(pool);
	dup2(before, STDERR_FILENO);
	close(before);
	rewind(file);
	n = fread(text, 1, 999, file);
	text[n] = 0;
	fclose(file);
}

static void perror_all(mppool *pool)
{
	const int64_t xs[3] = {1, 2, 3};
	int code = mppool_map(pool, &fails_task, MPPOOL_ARRAY(xs, 3), NULL, 1);

	mppool_perror("map", code);
	mppool_perror(NULL, MPPOOL_ECLOSED);
	mppool_perror("", 0);
	mppool_perror("x", 123456);
	mppool_perror("again", code);
	mppool_perror("join", mppool_join(pool, 0));
}

START_TEST(perror_says_what_the_code_belongs_to)
{
	char text[1000];
	mppool *const pool = pool_of(1);

	said(perror_all, pool, text);
	ck_assert_str_eq(text, "map: item 0: no 1 today (ERANGE)\n"
	                       "Pool not running (MPPOOL_ECLOSED)\n"
	                       "Success\n"
	                       "x: Unknown error 123456 (123456)\n"
	                       "again: item 0: no 1 today (ERANGE)\n"
	                       "join: the pool is still running: mppool_close() or mppool_terminate() first "
	                       "(MPPOOL_ERUNNING)\n");
	pool_finish(pool);
}
END_TEST

static void fail_in_turns(size_t i, void *arg)
{
	size_t *const wrong = arg;
	char expected[100];

	for (int turn = 0; turn < 1000; turn++) {
		snprintf(expected, sizeof expected, "workers is -%zu, and must be positive, or 0 for the default", i + 1);
		if (mppool_create(MPPOOL_OPTIONS(.workers = -(int)i - 1), &(mppool *){NULL}) != EINVAL ||
		    strcmp(mppool_last_error()->message, expected) != 0)
			wrong[i]++;
	}
}

START_TEST(reason_is_the_thread_s_own)
{
	size_t wrong[4] = {0};

	run_in_threads(4, fail_in_turns, wrong);
	for (int i = 0; i < 4; i++)
		ck_assert_uint_eq(wrong[i], 0);
}
END_TEST

/* --------------------------------------------------------------------------------------------------------- raising */

static int raise_zero(const void *const args[], void *result, void *context)
{
	(void)args;
	(void)result;
	(void)context;
	return mppool_raise(0, "cannot open %s", "it");
}

static int raise_and_return_0(const void *const args[], void *result, void *context)
{
	(void)args;
	(void)result;
	(void)context;
	mppool_raise(EXDEV, "not forgiven");
	return 0;
}

static int64_t pure_raises(int64_t x)
{
	if (x == 7)
		mppool_raise(EDOM, "not seven");
	return x;
}

MPPOOL_PURE(pure_task, int64_t, pure_raises, int64_t);

START_TEST(raise_code_0_fails)
{
	const struct mppool_func zero = make_func(raise_zero, 0, 0, NULL);
	const struct mppool_func returns_0 = make_func(raise_and_return_0, 0, 0, NULL);
	mppool *const pool = pool_of(1);

	assert_code(mppool_apply(pool, &zero, NULL, NULL), MPPOOL_ETASK);
	ck_assert_int_eq(mppool_last_error()->code, MPPOOL_ENOCODE);
	ck_assert_str_eq(mppool_last_error()->message, "cannot open it");
	assert_code(mppool_starmap(pool, &zero, MPPOOL_TIMES(3), NULL, 0), MPPOOL_ETASK);
	assert_code(mppool_apply(pool, &returns_0, NULL, NULL), MPPOOL_ETASK);
	ck_assert_int_eq(mppool_last_error()->code, EXDEV);
	ck_assert_str_eq(mppool_last_error()->message, "not forgiven");
	assert_code(mppool_starmap(pool, &returns_0, MPPOOL_TIMES(3), NULL, 0), MPPOOL_ETASK);
	ck_assert_int_eq(mppool_raise(0, "outside"), MPPOOL_ENOCODE);
	pool_finish(pool);
}
END_TEST

/* Singly the item fails; in a loop over a chunk nobody knows which, and the chunk does. */
START_TEST(raise_in_pure_fails)
{
	int64_t xs[10], ys[10], x = 7, y = 1;
	int codes[10];
	mppool *const pool = pool_of(1);

	for (int i = 0; i < 10; i++)
		xs[i] = i;
	assert_code(mppool_apply(pool, &pure_task, MPPOOL_ARGS(&x), &y), MPPOOL_ETASK);
	ck_assert_int_eq(mppool_last_error()->code, EDOM);
	ck_assert_int_eq(y, 1);
	assert_code(mppool_map_with(pool, &pure_task, MPPOOL_ARRAY(xs, 10), ys, 5, MPPOOL_CALL(.codes = codes)),
	            MPPOOL_ETASK);
	ck_assert_str_eq(mppool_last_error()->message, "not seven");
	ck_assert_uint_eq(mppool_last_error()->index, 5);
	for (int i = 0; i < 10; i++) {
		ck_assert_int_eq(codes[i], i < 5 ? 0 : EDOM);
		ck_assert_int_eq(ys[i], i < 5 ? i : 0);
	}
	pool_finish(pool);
}
END_TEST

static int raising_next(void *const args[], void *state)
{
	int *const left = state;

	*(int64_t *)args[0] = *left;
	if (--*left == 0)
		mppool_raise(0, "out of luck");
	return 0;
}

START_TEST(raise_in_a_generator_fails)
{
	struct mppool_iterable items = MPPOOL_ITERABLE_INIT;
	int left = 3;
	mppool *const pool = pool_of(1);

	items.next = raising_next;
	items.state = &left;
	assert_code(mppool_map(pool, &square_task, &items, NULL, 0), MPPOOL_EITER);
	ck_assert_int_eq(mppool_last_error()->code, MPPOOL_ENOCODE);
	ck_assert_uint_eq(mppool_last_error()->index, 2);
	ck_assert_str_eq(mppool_last_error()->message, "out of luck");
	pool_finish(pool);
}
END_TEST

static int raising_initializer(void *initarg, void **ret_state)
{
	(void)initarg;
	(void)ret_state;
	mppool_raise(0, "not initialized");
	return 0;
}

START_TEST(raise_in_an_initializer_fails)
{
	mppool *pool = NULL;

	assert_code(mppool_create(MPPOOL_OPTIONS(.workers = 1, .initializer = raising_initializer), &pool),
	            MPPOOL_EBROKEN);
	ck_assert_int_eq(mppool_last_error()->code, MPPOOL_ENOCODE);
	ck_assert_str_eq(mppool_last_error()->message, "not initialized");
}
END_TEST

struct point {
	double x, y;
};

static struct point to_point(int64_t x)
{
	if (x < 0)
		return MPPOOL_RAISE(struct point, EDOM, "%d is no point", (int)x);
	return (struct point){(double)x, 1};
}

static const char *to_name(int64_t x)
{
	if (x < 0)
		return MPPOOL_RAISE(const char *, ENOENT, "no name");
	return "name";
}

MPPOOL_FUNC(point_task, struct point, to_point, int64_t);
MPPOOL_FUNC(name_task, const char *, to_name, int64_t);

START_TEST(raise_from_functions_that_return_structs_and_pointers)
{
	const int64_t xs[3] = {4, -1, 5};
	struct point points[3];
	const char *names[3];
	mppool *const pool = pool_of(1);

	assert_code(mppool_map(pool, &point_task, MPPOOL_ARRAY(xs, 3), points, 0), MPPOOL_ETASK);
	ck_assert_str_eq(mppool_last_error()->message, "-1 is no point");
	ck_assert_double_eq(points[2].x, 5);
	assert_code(mppool_map(pool, &name_task, MPPOOL_ARRAY(xs, 3), names, 0), MPPOOL_ETASK);
	ck_assert_int_eq(mppool_last_error()->code, ENOENT);
	ck_assert_str_eq(names[0], "name");
	ck_assert_ptr_null(names[1]);
	pool_finish(pool);
}
END_TEST

/* ------------------------------------------------------------------------------------- iterators that were not made */

START_TEST(loop_until_estop_ends_after_a_failed_imap)
{
	mppool_iter *iter = (mppool_iter *)&iter;        /* as if it had never been set */
	const int xs[2] = {1, 2};
	int64_t y;
	int turns = 0, code;
	mppool *const pool = pool_of(1);

	assert_code(mppool_imap(pool, &square_task, MPPOOL_ARRAY(xs, 2), 1, 0, NULL, &iter), EINVAL); /* another size */
	while ((code = mppool_iter_next(iter, &y, NULL, MPPOOL_FOREVER)) != MPPOOL_ESTOP)
		ck_assert_int_lt(turns++, 10);
	ck_assert_ptr_nonnull(strstr(mppool_last_error()->message, "there is no iterator"));
	mppool_iter_free(iter);
	iter = (mppool_iter *)&iter;
	assert_code(mppool_as_completed(NULL, 0, &iter), EINVAL);
	ck_assert_ptr_null(iter);
	pool_finish(pool);
}
END_TEST

/* --------------------------------------------------------------------------------------------------------- columns */

struct row {
	char c;
	int n;
};

static void double_row(struct row *row)
{
	row->n *= 2;
}

static int row_is(struct row *const *row, int n)
{
	return (*row)->n == n;
}

static int is_at(const struct row *row, int n)
{
	return row_is(&(struct row *){(struct row *)(uintptr_t)row}, n);
}

MPPOOL_PROC(double_task, double_row, struct row *);
MPPOOL_PURE(is_task, int, is_at, const struct row *, int);

START_TEST(addresses_of_elements)
{
	struct row rows[N];
	int right[N];
	mppool *const pool = pool_of(2);

	for (size_t chunksize = 0; chunksize < 60; chunksize += 33) {
		for (int i = 0; i < N; i++)
			rows[i] = (struct row){'a', i};
		assert_ok(mppool_map(pool, &double_task, MPPOOL_ZIP(N, MPPOOL_ADDRESS(rows)), NULL, chunksize));
		for (int i = 0; i < N; i++)
			ck_assert_int_eq(rows[i].n, 2 * i);
		for (int i = 0; i < N; i++)
			rows[i].n = i + 5;
		assert_ok(mppool_starmap(pool, &is_task, MPPOOL_ZIP(N, MPPOOL_ADDRESS(rows), MPPOOL_RANGE(int, 5)), right,
		                         chunksize));
		for (int i = 0; i < N; i++)
			ck_assert_int_eq(right[i], 1);
	}
	pool_finish(pool);
}
END_TEST

static int64_t wide(int64_t a, unsigned char b, unsigned short c, uint32_t d)
{
	return a + b + c + d;
}

MPPOOL_FUNC(wide_task, int64_t, wide, int64_t, unsigned char, unsigned short, uint32_t);
MPPOOL_PURE(wide_pure, int64_t, wide, int64_t, unsigned char, unsigned short, uint32_t);

START_TEST(ranges_of_each_size)
{
	const struct mppool_func *const funcs[] = {&wide_task, &wide_pure};
	int64_t out[N];
	mppool *const pool = pool_of(2);

	for (int f = 0; f < 2; f++)
		for (size_t chunksize = 0; chunksize < 80; chunksize += 37) {
			assert_ok(mppool_starmap(pool, funcs[f],
			                         MPPOOL_ZIP(N, MPPOOL_RANGE(int64_t, INT64_C(-5000000000)),
			                                    MPPOOL_RANGE(unsigned char, 200),
			                                    MPPOOL_RANGE(unsigned short, 65500),
			                                    MPPOOL_RANGE(uint32_t, 7)),
			                         out, chunksize));
			for (int i = 0; i < N; i++)
				ck_assert_int_eq(out[i], INT64_C(-5000000000) + i + (unsigned char)(200 + i) +
				                                 (unsigned short)(65500 + i) + 7 + i);
		}
	pool_finish(pool);
}
END_TEST

START_TEST(range_by_hand_has_a_step_and_a_sign)
{
	const struct mppool_column column = {NULL, (size_t)-3, sizeof(int64_t), MPPOOL_RANGES, 10};
	int64_t y, out[4];
	mppool_iter *iter;
	mppool *const pool = pool_of(1);

	assert_ok(mppool_map(pool, &square_task, MPPOOL_ZIP(4, column), out, 0));
	ck_assert_int_eq(out[0], 100);
	ck_assert_int_eq(out[3], 1);
	assert_ok(mppool_imap(pool, &square_task, MPPOOL_ZIP(4, column), 2, 0, NULL, &iter));
	for (int i = 0; i < 4; i++) {
		assert_ok(mppool_iter_next(iter, &y, NULL, MPPOOL_FOREVER));
		ck_assert_int_eq(y, out[i]);
	}
	mppool_iter_free(iter);
	pool_finish(pool);
}
END_TEST

static void note_arg(const void *const args[], void *context)
{
	atomic_fetch_add((atomic_size_t *)context, *(const size_t *)args[0]);
}

static int do_nothing(const void *const args[], void *result, void *context)
{
	(void)args;
	(void)result;
	(void)context;
	return 0;
}

START_TEST(range_goes_to_drop_args)
{
	atomic_size_t sum = 0;
	struct mppool_func func = make_func(do_nothing, 1, 0, &sum);
	mppool *const pool = pool_of(2);

	func.arg_size[0] = sizeof(size_t);
	func.drop_args = note_arg;
	assert_ok(mppool_map(pool, &func, MPPOOL_ZIP(N, MPPOOL_RANGE(size_t, 1)), NULL, 3));
	ck_assert_uint_eq(atomic_load(&sum), N * (N + 1) / 2);
	pool_finish(pool);
}
END_TEST

static int one_byte(char c)
{
	return c;
}

MPPOOL_FUNC(byte_task, int, one_byte, char);

START_TEST(columns_that_do_not_fit_are_refused)
{
	const struct mppool_column unknown = {"x", 0, 0, 9, 0};
	const struct mppool_column both = {"x", 1, 0, MPPOOL_RANGES, 0};
	struct row rows[1] = {{'a', 1}};
	int y;
	mppool *const pool = pool_of(1);

	assert_reason(mppool_map(pool, &square_task, MPPOOL_ZIP(1, MPPOOL_RANGE(int, 0)), &y, 0), EINVAL,
	              "column 0 has elements of 4 bytes, square takes 8");
	assert_reason(mppool_starmap(pool, &byte_task, MPPOOL_ZIP(1, MPPOOL_ADDRESS(rows)), &y, 0), EINVAL,
	              sizeof(void *) == 8 ? "column 0 has elements of 8 bytes, one_byte takes 1"
	                                  : "column 0 has elements of 4 bytes, one_byte takes 1");
	assert_reason(mppool_map(pool, &square_task, MPPOOL_ZIP(1, unknown), NULL, 0), EINVAL,
	              "column 0 has kind 9, which is not known");
	assert_reason(mppool_map(pool, &square_task, MPPOOL_ZIP(1, both), NULL, 0), EINVAL,
	              "column 0 is a range of integers, and its base is not NULL");
	pool_finish(pool);
}
END_TEST

struct __attribute__((packed)) packed_row {
	char tag;
	int count;
	double price;
};

static double cost(int count, double price)
{
	return count * price;
}

MPPOOL_FUNC(cost_task, double, cost, int, double);
MPPOOL_PURE(cost_pure, double, cost, int, double);

/* With the sanitizer of undefined behaviour: no report. Arrays at odd addresses take the same way. */
START_TEST(elements_that_are_not_aligned)
{
	const struct mppool_func *const funcs[] = {&cost_task, &cost_pure};
	struct packed_row rows[N];
	char odd[N * sizeof(double) + 1];
	double price = 2.5, out;
	mppool *const pool = pool_of(1);

	for (int i = 0; i < N; i++) {
		rows[i] = (struct packed_row){'a', i, i + 0.5};
		memcpy(odd + 1 + (size_t)i * sizeof price, &price, sizeof price);
	}
	for (int f = 0; f < 2; f++) {
		const struct mppool_column prices = {odd + 1, sizeof price, sizeof price, MPPOOL_VALUES, 0};
		char results[N * sizeof(double) + 1];

		assert_ok(mppool_starmap(pool, funcs[f],
		                         MPPOOL_ZIP(N, MPPOOL_MEMBER(rows, count), MPPOOL_MEMBER(rows, price)),
		                         results + 1, 0));
		memcpy(&out, results + 1 + 9 * sizeof out, sizeof out);
		ck_assert_double_eq(out, 9 * 9.5);
		assert_ok(mppool_starmap(pool, funcs[f], MPPOOL_ZIP(N, MPPOOL_RANGE(int, 0), prices), results + 1, 0));
		memcpy(&out, results + 1 + 9 * sizeof out, sizeof out);
		ck_assert_double_eq(out, 9 * 2.5);
	}
	pool_finish(pool);
}
END_TEST

/* -------------------------------------------------------------------------------------------------------- contexts */

struct line {
	double slope;
	double offset;
};

static double on_line(const struct line *line, double x)
{
	return line->slope * x + line->offset;
}

static void count_one(atomic_int *count)
{
	atomic_fetch_add(count, 1);
}

static int eight(const int *k, int a, int b, int c, int d, int e, int f, int g, int h)
{
	return *k * (a + b + c + d + e + f + g + h);
}

MPPOOL_FUNC_WITH(line_task, double, on_line, const struct line *, double);
MPPOOL_PURE_WITH(line_pure, double, on_line, const struct line *, double);
MPPOOL_PROC_WITH(count_task, count_one, atomic_int *);
MPPOOL_FUNC_WITH(eight_task, int, eight, const int *, int, int, int, int, int, int, int, int);

START_TEST(contexts_are_the_call_s)
{
	const struct line steep = {100, 1}, flat = {1, 2};
	double xs[N], ys[N], zs[N];
	const int k = 3;
	int sum;
	atomic_int count = 0;
	mppool_result *results[2];
	mppool *const pool = pool_of(2);

	for (int i = 0; i < N; i++)
		xs[i] = i;
	assert_ok(mppool_map_async(pool, MPPOOL_BIND(line_task, &steep), MPPOOL_ARRAY(xs, N), ys, 0, NULL, &results[0]));
	assert_ok(mppool_map_async(pool, MPPOOL_BIND(line_task, &flat), MPPOOL_ARRAY(xs, N), zs, 0, NULL, &results[1]));
	for (int i = 0; i < 2; i++) {
		assert_ok(mppool_result_get(results[i], NULL, MPPOOL_FOREVER));
		mppool_result_free(results[i]);
	}
	for (int i = 0; i < N; i++) {
		ck_assert_double_eq(ys[i], 100 * i + 1);
		ck_assert_double_eq(zs[i], i + 2);
	}
	for (size_t chunksize = 0; chunksize < 20; chunksize += 7) {
		assert_ok(mppool_map(pool, MPPOOL_BIND(line_pure, &steep), MPPOOL_ARRAY(xs, N), zs, chunksize));
		for (int i = 0; i < N; i++)
			ck_assert_double_eq(zs[i], ys[i]);
	}
	assert_ok(mppool_starmap(pool, MPPOOL_BIND(count_task, &count), MPPOOL_TIMES(17), NULL, 0));
	ck_assert_int_eq(atomic_load(&count), 17);
	assert_ok(mppool_apply(pool, MPPOOL_BIND(eight_task, &k),
	                       MPPOOL_ARGS(&k, &k, &k, &k, &k, &k, &k, &k), &sum));
	ck_assert_int_eq(sum, 72);
	pool_finish(pool);
}
END_TEST

/* --------------------------------------------------------------------------------------- options of calls that wait */

START_TEST(waiting_calls_take_options)
{
	const int64_t xs[4] = {1, 2, 3, 4};
	int codes[4] = {9, 9, 9, 9}, code = 9;
	int64_t ys[4], y;
	mppool *const pool = pool_of(1);

	assert_ok(mppool_map_with(pool, &square_task, MPPOOL_ARRAY(xs, 4), ys, 0,
	                          MPPOOL_CALL(.codes = codes, .priority = 1)));
	for (int i = 0; i < 4; i++) {
		ck_assert_int_eq(codes[i], 0);
		ck_assert_int_eq(ys[i], xs[i] * xs[i]);
	}
	assert_code(mppool_starmap_with(pool, &fails_task, MPPOOL_ARRAY(xs, 4), ys, 1,
	                                MPPOOL_CALL(.codes = codes, .flags = MPPOOL_FAIL_FAST)),
	            MPPOOL_ETASK);
	ck_assert_int_eq(codes[0], ERANGE);
	ck_assert_int_eq(codes[3], ECANCELED);
	assert_ok(mppool_apply_with(pool, &square_task, MPPOOL_ARGS(&xs[2]), &y, MPPOOL_CALL(.codes = &code)));
	ck_assert_int_eq(y, 9);
	ck_assert_int_eq(code, 0);
	assert_code(mppool_apply_with(pool, &fails_task, MPPOOL_ARGS(&xs[2]), &y, MPPOOL_CALL(.codes = &code)),
	            MPPOOL_ETASK);
	ck_assert_int_eq(code, ERANGE);
	assert_ok(mppool_apply_with(pool, &square_task, MPPOOL_ARGS(&xs[3]), &y, NULL));
	ck_assert_int_eq(y, 16);
	pool_finish(pool);
}
END_TEST

static void no_callback(const void *results, size_t n, void *userdata)
{
	(void)results;
	(void)n;
	(void)userdata;
}

START_TEST(waiting_calls_refuse_callbacks)
{
	const int64_t x = 1;
	static const char *const why = "a call that waits has no callbacks: callback and error_callback must be NULL";
	const struct mppool_call_options *const o = MPPOOL_CALL(.callback = no_callback);
	mppool *const pool = pool_of(1);

	assert_reason(mppool_apply_with(pool, &square_task, MPPOOL_ARGS(&x), NULL, o), EINVAL, why);
	assert_reason(mppool_map_with(pool, &square_task, MPPOOL_ARRAY(&x, 1), NULL, 0, o), EINVAL, why);
	assert_reason(mppool_starmap_with(pool, &square_task, MPPOOL_ARRAY(&x, 1), NULL, 0, o), EINVAL, why);
	pool_finish(pool);
}
END_TEST

START_TEST(waiting_calls_do_not_wait_for_room)
{
	const int64_t x = 1;
	mppool_result *filling;
	struct hold hold;
	mppool *pool;

	assert_ok(mppool_create(MPPOOL_OPTIONS(.workers = 1, .queue_limit = 1), &pool));
	hold_workers(&hold, pool, 1);
	assert_ok(mppool_apply_async(pool, &square_task, MPPOOL_ARGS(&x), NULL, &filling));
	assert_reason(mppool_map_with(pool, &square_task, MPPOOL_ARRAY(&x, 1), NULL, 0, MPPOOL_CALL(.flags = MPPOOL_NOWAIT)),
	              MPPOOL_EFULL, "the queue is full: queue_limit is 1");
	assert_reason(mppool_apply_with(pool, &square_task, MPPOOL_ARGS(&x), NULL, MPPOOL_CALL(.submit_timeout = 0.01)),
	              ETIMEDOUT, "the queue was full for all of submit_timeout: queue_limit is 1");
	hold_release(&hold);
	mppool_result_free(filling);
	pool_finish(pool);
}
END_TEST

static void fill(Suite *suite)
{
	TCase *c = add_case(suite, "sentences");

	tcase_add_test(c, reason_names_the_column_and_the_function);
	tcase_add_test(c, reason_iterable_without_init);
	tcase_add_test(c, reason_of_options);
	tcase_add_test(c, reason_is_that_of_the_last_failure);
	tcase_add_test(c, reason_of_edeadlk_in_a_callback);
	tcase_add_test(c, reason_long_names_are_cut);
	tcase_add_test(c, perror_says_what_the_code_belongs_to);
	tcase_add_test(c, reason_is_the_thread_s_own);
	c = add_case(suite, "raising");
	tcase_add_test(c, raise_code_0_fails);
	tcase_add_test(c, raise_in_pure_fails);
	tcase_add_test(c, raise_in_a_generator_fails);
	tcase_add_test(c, raise_in_an_initializer_fails);
	tcase_add_test(c, raise_from_functions_that_return_structs_and_pointers);
	c = add_case(suite, "iterators");
	tcase_add_test(c, loop_until_estop_ends_after_a_failed_imap);
	c = add_case(suite, "columns");
	tcase_add_test(c, addresses_of_elements);
	tcase_add_test(c, ranges_of_each_size);
	tcase_add_test(c, range_by_hand_has_a_step_and_a_sign);
	tcase_add_test(c, range_goes_to_drop_args);
	tcase_add_test(c, columns_that_do_not_fit_are_refused);
	tcase_add_test(c, elements_that_are_not_aligned);
	c = add_case(suite, "contexts");
	tcase_add_test(c, contexts_are_the_call_s);
	c = add_case(suite, "options");
	tcase_add_test(c, waiting_calls_take_options);
	tcase_add_test(c, waiting_calls_refuse_callbacks);
	tcase_add_test(c, waiting_calls_do_not_wait_for_room);
}

int main(int argc, char **argv)
{
	return run_suite("reasons", fill, argc, argv);
}
