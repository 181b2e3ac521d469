/* test_functions.c - struct mppool_func: arguments, chunks, failures, hooks, and what items see of themselves
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE 1
#include "support.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------------------------------------ 0 to 8 arguments */

struct pair {
	double left;
	char right;
};

/* Each argument has a type and a weight of its own, so that any two that change places show. */
static double f0(void)
{
	return 0.5;
}

static double f1(int a)
{
	return f0() + a;
}

static double f2(int a, double b)
{
	return f1(a) + b * 10;
}

static double f3(int a, double b, char c)
{
	return f2(a, b) + c * 100;
}

static double f4(int a, double b, char c, const char *d)
{
	return f3(a, b, c) + (double)strlen(d) * 1000;
}

static double f5(int a, double b, char c, const char *d, struct pair e)
{
	return f4(a, b, c, d) + (e.left + e.right) * 1e4;
}

static double f6(int a, double b, char c, const char *d, struct pair e, short f)
{
	return f5(a, b, c, d, e) + f * 1e5;
}

static double f7(int a, double b, char c, const char *d, struct pair e, short f, float g)
{
	return f6(a, b, c, d, e, f) + (double)g * 1e6;
}

static double f8(int a, double b, char c, const char *d, struct pair e, short f, float g, long h)
{
	return f7(a, b, c, d, e, f, g) + (double)h * 1e7;
}

MPPOOL_FUNC(func0, double, f0);
MPPOOL_FUNC(func1, double, f1, int);
MPPOOL_FUNC(func2, double, f2, int, double);
MPPOOL_FUNC(func3, double, f3, int, double, char);
MPPOOL_FUNC(func4, double, f4, int, double, char, const char *);
MPPOOL_FUNC(func5, double, f5, int, double, char, const char *, struct pair);
MPPOOL_FUNC(func6, double, f6, int, double, char, const char *, struct pair, short);
MPPOOL_FUNC(func7, double, f7, int, double, char, const char *, struct pair, short, float);
MPPOOL_FUNC(func8, double, f8, int, double, char, const char *, struct pair, short, float, long);

MPPOOL_PURE(pure0, double, f0);
MPPOOL_PURE(pure1, double, f1, int);
MPPOOL_PURE(pure2, double, f2, int, double);
MPPOOL_PURE(pure3, double, f3, int, double, char);
MPPOOL_PURE(pure4, double, f4, int, double, char, const char *);
MPPOOL_PURE(pure5, double, f5, int, double, char, const char *, struct pair);
MPPOOL_PURE(pure6, double, f6, int, double, char, const char *, struct pair, short);
MPPOOL_PURE(pure7, double, f7, int, double, char, const char *, struct pair, short, float);
MPPOOL_PURE(pure8, double, f8, int, double, char, const char *, struct pair, short, float, long);

/* The functions without a result add what the others return. */
static atomic_long told;

static void p0(void)
{
	atomic_fetch_add(&told, (long)f0());
}

static void p1(int a)
{
	atomic_fetch_add(&told, (long)f1(a));
}

static void p2(int a, double b)
{
	atomic_fetch_add(&told, (long)f2(a, b));
}

static void p3(int a, double b, char c)
{
	atomic_fetch_add(&told, (long)f3(a, b, c));
}

static void p4(int a, double b, char c, const char *d)
{
	atomic_fetch_add(&told, (long)f4(a, b, c, d));
}

static void p5(int a, double b, char c, const char *d, struct pair e)
{
	atomic_fetch_add(&told, (long)f5(a, b, c, d, e));
}

static void p6(int a, double b, char c, const char *d, struct pair e, short f)
{
	atomic_fetch_add(&told, (long)f6(a, b, c, d, e, f));
}

static void p7(int a, double b, char c, const char *d, struct pair e, short f, float g)
{
	atomic_fetch_add(&told, (long)f7(a, b, c, d, e, f, g));
}

static void p8(int a, double b, char c, const char *d, struct pair e, short f, float g, long h)
{
	atomic_fetch_add(&told, (long)f8(a, b, c, d, e, f, g, h));
}

MPPOOL_PROC(proc0, p0);
MPPOOL_PROC(proc1, p1, int);
MPPOOL_PROC(proc2, p2, int, double);
MPPOOL_PROC(proc3, p3, int, double, char);
MPPOOL_PROC(proc4, p4, int, double, char, const char *);
MPPOOL_PROC(proc5, p5, int, double, char, const char *, struct pair);
MPPOOL_PROC(proc6, p6, int, double, char, const char *, struct pair, short);
MPPOOL_PROC(proc7, p7, int, double, char, const char *, struct pair, short, float);
MPPOOL_PROC(proc8, p8, int, double, char, const char *, struct pair, short, float, long);

#define NINE(stem) {&stem##0, &stem##1, &stem##2, &stem##3, &stem##4, &stem##5, &stem##6, &stem##7, &stem##8}
static const struct mppool_func *const funcs[] = NINE(func);
static const struct mppool_func *const pures[] = NINE(pure);
static const struct mppool_func *const procs[] = NINE(proc);

#define ROWS 50

/* The same arguments twice: each in an array of its own, and as members of rows. */
struct row {
	int a;
	double b;
	char c;
	const char *d;
	struct pair e;
	short f;
	float g;
	long h;
	double result;
};

struct arguments {
	int a[ROWS];
	double b[ROWS];
	char c[ROWS];
	const char *d[ROWS];
	struct pair e[ROWS];
	short f[ROWS];
	float g[ROWS];
	long h[ROWS];
	struct row rows[ROWS];
};

static void arguments_set(struct arguments *x)
{
	static const char *const words[] = {"", "a", "be", "sea", "deed"};

	for (int i = 0; i < ROWS; i++) {
		const struct row row = {.a = i, .b = i % 7, .c = (char)(i % 5), .d = words[i % 5],
		                        .e = {i % 3, (char)(i % 4)}, .f = (short)(i % 6), .g = (float)(i % 8),
		                        .h = i % 9};
		x->rows[i] = row;
		x->a[i] = row.a;
		x->b[i] = row.b;
		x->c[i] = row.c;
		x->d[i] = row.d;
		x->e[i] = row.e;
		x->f[i] = row.f;
		x->g[i] = row.g;
		x->h[i] = row.h;
	}
}

static void arguments_dense(const struct arguments *x, struct mppool_column columns[MPPOOL_MAX_ARGS])
{
	columns[0] = MPPOOL_COLUMN(x->a);
	columns[1] = MPPOOL_COLUMN(x->b);
	columns[2] = MPPOOL_COLUMN(x->c);
	columns[3] = MPPOOL_COLUMN(x->d);
	columns[4] = MPPOOL_COLUMN(x->e);
	columns[5] = MPPOOL_COLUMN(x->f);
	columns[6] = MPPOOL_COLUMN(x->g);
	columns[7] = MPPOOL_COLUMN(x->h);
}

static void arguments_members(const struct arguments *x, struct mppool_column columns[MPPOOL_MAX_ARGS])
{
	columns[0] = MPPOOL_MEMBER(x->rows, a);
	columns[1] = MPPOOL_MEMBER(x->rows, b);
	columns[2] = MPPOOL_MEMBER(x->rows, c);
	columns[3] = MPPOOL_MEMBER(x->rows, d);
	columns[4] = MPPOOL_MEMBER(x->rows, e);
	columns[5] = MPPOOL_MEMBER(x->rows, f);
	columns[6] = MPPOOL_MEMBER(x->rows, g);
	columns[7] = MPPOOL_MEMBER(x->rows, h);
}

/* What f0 to f8 return for row i. */
static double expected_of(const struct row *r, size_t nargs)
{
	const double parts[] = {r->a,
	                        r->b * 10,
	                        r->c * 100,
	                        (double)strlen(r->d) * 1000,
	                        (r->e.left + r->e.right) * 1e4,
	                        r->f * 1e5,
	                        (double)r->g * 1e6,
	                        (double)r->h * 1e7};
	double sum = 0.5;

	for (size_t i = 0; i < nargs; i++)
		sum += parts[i];
	return sum;
}

/* Where argument k of row i lies. */
static const void *place_of(const struct mppool_column *column, size_t i)
{
	return (const char *)column->base + i * column->stride;
}

static void apply_each_row(mppool *pool, const struct mppool_func *func, const struct arguments *x)
{
	struct mppool_column columns[MPPOOL_MAX_ARGS];
	const void *args[MPPOOL_MAX_ARGS];

	arguments_dense(x, columns);
	for (size_t i = 0; i < ROWS; i++) {
		double y = -1, z = -1;
		mppool_result *result = NULL;
		for (size_t k = 0; k < func->nargs; k++)
			args[k] = place_of(&columns[k], i);
		assert_ok(mppool_apply(pool, func, func->nargs ? args : NULL, &y));
		assert_ok(mppool_apply_async(pool, func, func->nargs ? args : NULL, NULL, &result));
		assert_ok(mppool_result_get(result, &z, MPPOOL_FOREVER));
		mppool_result_free(result);
		ck_assert_double_eq(y, expected_of(&x->rows[i], func->nargs));
		ck_assert_double_eq(z, y);
	}
}

static void map_rows(mppool *pool, const struct mppool_func *func, const struct arguments *x,
                     const struct mppool_column *columns, size_t chunksize)
{
	double ys[ROWS], y;
	mppool_iter *iter = NULL;
	const struct mppool_iterable items = {.size = sizeof items, .columns = func->nargs ? columns : NULL,
	                                      .ncolumns = func->nargs, .length = ROWS};

	assert_ok(mppool_starmap(pool, func, &items, ys, chunksize));
	for (size_t i = 0; i < ROWS; i++)
		ck_assert_double_eq(ys[i], expected_of(&x->rows[i], func->nargs));
	assert_ok(mppool_imap(pool, func, &items, chunksize, 0, NULL, &iter));
	for (size_t i = 0; i < ROWS; i++) {
		assert_ok(mppool_iter_next(iter, &y, NULL, MPPOOL_FOREVER));
		ck_assert_double_eq(y, ys[i]);
	}
	assert_code(mppool_iter_next(iter, &y, NULL, MPPOOL_FOREVER), MPPOOL_ESTOP);
	mppool_iter_free(iter);
	if (func->nargs != 1)
		return;
	memset(ys, 0, sizeof ys);
	assert_ok(mppool_map(pool, func, &items, ys, chunksize));
	for (size_t i = 0; i < ROWS; i++)
		ck_assert_double_eq(ys[i], expected_of(&x->rows[i], func->nargs));
}

/* Once for each number of arguments, _i. */
START_TEST(sugar_any_number_of_arguments_arrives_in_order)
{
	const struct mppool_func *const both[] = {funcs[_i], pures[_i]};
	struct mppool_column dense[MPPOOL_MAX_ARGS], members[MPPOOL_MAX_ARGS];
	static struct arguments x;
	mppool *const pool = pool_of(2);

	arguments_set(&x);
	arguments_dense(&x, dense);
	arguments_members(&x, members);
	for (int k = 0; k < 2; k++) {
		ck_assert_uint_eq(both[k]->nargs, (size_t)_i);
		apply_each_row(pool, both[k], &x);
		for (size_t chunksize = 0; chunksize < ROWS; chunksize = 2 * chunksize + 1) {
			map_rows(pool, both[k], &x, dense, chunksize);
			map_rows(pool, both[k], &x, members, chunksize);
		}
	}
	pool_finish(pool);
}
END_TEST

START_TEST(proc_any_number_of_arguments_runs_once_for_each_row)
{
	struct mppool_column members[MPPOOL_MAX_ARGS];
	static struct arguments x;
	long expected = 0;
	const struct mppool_iterable items = {.size = sizeof items, .columns = _i ? members : NULL,
	                                      .ncolumns = (size_t)_i, .length = ROWS};
	mppool *const pool = pool_of(2);

	arguments_set(&x);
	arguments_members(&x, members);
	for (int i = 0; i < ROWS; i++)
		expected += (long)expected_of(&x.rows[i], (size_t)_i);
	atomic_store(&told, 0);
	assert_ok(mppool_starmap(pool, procs[_i], &items, NULL, 0));
	ck_assert_int_eq(atomic_load(&told), expected);
	assert_ok(mppool_starmap(pool, procs[_i], &items, NULL, 7));
	ck_assert_int_eq(atomic_load(&told), 2 * expected);
	pool_finish(pool);
}
END_TEST

START_TEST(macros_fill_in_the_struct)
{
	ck_assert_uint_eq(func8.size, sizeof(struct mppool_func));
	ck_assert_uint_eq(func8.result_size, sizeof(double));
	ck_assert_uint_eq(func8.arg_size[0], sizeof(int));
	ck_assert_uint_eq(func8.arg_size[3], sizeof(char *));
	ck_assert_uint_eq(func8.arg_size[4], sizeof(struct pair));
	ck_assert_uint_eq(func8.arg_size[7], sizeof(long));
	ck_assert(func8.call != NULL);
	ck_assert(func8.chunk_call == NULL);
	ck_assert(pure3.chunk_call != NULL);
	ck_assert_uint_eq(proc2.result_size, 0);
	ck_assert_str_eq(func8.name, "f8");
}
END_TEST

START_TEST(repeat_gives_one_value_to_all)
{
	static struct arguments x;
	double ys[ROWS];
	const double b = 3;
	mppool *const pool = pool_of(2);

	arguments_set(&x);
	for (int k = 0; k < 2; k++) {
		assert_ok(mppool_starmap(pool, k ? &pure2 : &func2,
		                         MPPOOL_ZIP(ROWS, MPPOOL_COLUMN(x.a), MPPOOL_REPEAT(&b)), ys, 0));
		for (int i = 0; i < ROWS; i++)
			ck_assert_double_eq(ys[i], f2(i, 3));
	}
	pool_finish(pool);
}
END_TEST

START_TEST(strides_wider_than_the_element_skip)
{
	int xs[3 * ROWS];
	double ys[ROWS];
	const struct mppool_column column = {xs, 3 * sizeof(int), sizeof(int)};
	const struct mppool_iterable items = {.size = sizeof items, .columns = &column, .ncolumns = 1, .length = ROWS};
	mppool *const pool = pool_of(2);

	for (int i = 0; i < 3 * ROWS; i++)
		xs[i] = i;
	for (int k = 0; k < 2; k++) {
		assert_ok(mppool_map(pool, k ? &pure1 : &func1, &items, ys, 4));
		for (int i = 0; i < ROWS; i++)
			ck_assert_double_eq(ys[i], f1(3 * i));
	}
	pool_finish(pool);
}
END_TEST

static int half(int x)
{
	return x / 2;
}
MPPOOL_FUNC(half_func, int, half, int);
MPPOOL_PURE(half_pure, int, half, int);

START_TEST(map_results_may_lie_over_the_items)
{
	int xs[1000];
	mppool *const pool = pool_of(2);

	for (size_t chunksize = 0; chunksize < 1000; chunksize = 3 * chunksize + 1)
		for (int k = 0; k < 2; k++) {
			for (int i = 0; i < 1000; i++)
				xs[i] = 2 * i;
			assert_ok(
				mppool_map(pool, k ? &half_pure : &half_func, MPPOOL_ARRAY(xs, 1000), xs, chunksize));
			for (int i = 0; i < 1000; i++)
				ck_assert_int_eq(xs[i], i);
		}
	pool_finish(pool);
}
END_TEST

/* ------------------------------------------------------------------------------------------------- index and sizes */

static int index_call(const void *const args[], void *result, void *context)
{
	(void)args;
	(void)context;
	*(size_t *)result = mppool_item_index();
	return 0;
}

START_TEST(item_index_is_the_place_in_the_input)
{
	size_t ys[300], y = 7;
	mppool_iter *iter = NULL;
	mppool *const pool = pool_of(3);
	const struct mppool_func func = make_func(index_call, 0, sizeof(size_t), NULL);

	for (size_t chunksize = 0; chunksize < 400; chunksize = 3 * chunksize + 1) {
		assert_ok(mppool_starmap(pool, &func, MPPOOL_TIMES(300), ys, chunksize));
		for (size_t i = 0; i < 300; i++)
			ck_assert_uint_eq(ys[i], i);
		assert_ok(mppool_imap(pool, &func, MPPOOL_TIMES(300), chunksize, 0, NULL, &iter));
		for (size_t i = 0; i < 300; i++) {
			assert_ok(mppool_iter_next(iter, &y, NULL, MPPOOL_FOREVER));
			ck_assert_uint_eq(y, i);
		}
		mppool_iter_free(iter);
	}
	assert_ok(mppool_apply(pool, &func, NULL, &y));
	ck_assert_uint_eq(y, 0);
	ck_assert_uint_eq(mppool_item_index(), 0);
	pool_finish(pool);
}
END_TEST

static int index_and_value_call(const void *const args[], void *result, void *context)
{
	(void)context;
	*(int *)result = int_arg(args, 0) == (int)mppool_item_index();
	return 0;
}

START_TEST(item_index_counts_what_a_generator_yields)
{
	struct source source = SOURCE(200);
	struct mppool_iterable items = source_items(&source);
	int y;
	mppool_iter *iter = NULL;
	mppool *const pool = pool_of(2);
	const struct mppool_func func = make_func(index_and_value_call, 1, sizeof(int), NULL);

	assert_ok(mppool_imap_unordered(pool, &func, &items, 3, 0, NULL, &iter));
	for (int i = 0; i < 200; i++) {
		assert_ok(mppool_iter_next(iter, &y, NULL, MPPOOL_FOREVER));
		ck_assert_int_eq(y, 1);
	}
	mppool_iter_free(iter);
	pool_finish(pool);
}
END_TEST

static int index_around_nested(const void *const args[], void *result, void *context)
{
	const struct mppool_func inner = make_func(index_call, 0, sizeof(size_t), NULL);
	size_t ys[5] = {0};
	const size_t before = mppool_item_index();

	if (mppool_starmap(context, &inner, MPPOOL_TIMES(5), ys, 1) != 0 || ys[4] != 4)
		return EIO;
	*(int *)result = mppool_item_index() == before && before == (size_t)int_arg(args, 0);
	return 0;
}

START_TEST(item_index_survives_a_nested_call)
{
	int xs[6] = {0, 1, 2, 3, 4, 5}, ys[6];

	for (int workers = 1; workers <= 2; workers++) {
		mppool *const pool = pool_of(workers);
		const struct mppool_func func = make_func(index_around_nested, 1, sizeof(int), pool);
		assert_ok(mppool_map(pool, &func, MPPOOL_ARRAY(xs, 6), ys, 2));
		for (int i = 0; i < 6; i++)
			ck_assert_int_eq(ys[i], 1);
		pool_finish(pool);
	}
}
END_TEST

/* Fills its result, whose size is the context, with bytes that depend on the argument. */
static int fill_call(const void *const args[], void *result, void *context)
{
	const size_t size = *(const size_t *)context;

	for (size_t i = 0; i < size; i++)
		((unsigned char *)result)[i] = (unsigned char)((size_t)int_arg(args, 0) + i);
	return 0;
}

static void assert_filled(const unsigned char *result, size_t size, int x)
{
	for (size_t i = 0; i < size; i++)
		ck_assert_uint_eq(result[i], (unsigned char)((size_t)x + i));
}

START_TEST(results_of_any_size_come_whole)
{
	const size_t sizes[] = {1, 2, 3, 7, 8, 16, 17, 63, 65, 1000, 70000};
	const int xs[] = {3, 40, 77};
	unsigned char *const ys = malloc(3 * 70000);
	mppool *const pool = pool_of(2);

	ck_assert_ptr_nonnull(ys);
	for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
		size_t size = sizes[k];
		mppool_result *result = NULL;
		mppool_iter *iter = NULL;
		const struct mppool_func func = make_func(fill_call, 1, size, &size);
		assert_ok(mppool_apply(pool, &func, MPPOOL_ARGS(&xs[1]), ys));
		assert_filled(ys, size, 40);
		assert_ok(mppool_map_async(pool, &func, MPPOOL_ARRAY(xs, 3), NULL, 1, NULL, &result));
		assert_ok(mppool_result_get(result, ys, MPPOOL_FOREVER));
		assert_ok(mppool_imap(pool, &func, MPPOOL_ARRAY(xs, 3), 2, 0, NULL, &iter));
		for (size_t i = 0; i < 3; i++) {
			assert_filled(ys + i * size, size, xs[i]);
			assert_filled((const unsigned char *)mppool_result_value(result) + i * size, size, xs[i]);
			assert_ok(mppool_iter_next(iter, ys + i * size, NULL, MPPOOL_FOREVER));
			assert_filled(ys + i * size, size, xs[i]);
		}
		mppool_result_free(result);
		mppool_iter_free(iter);
	}
	pool_finish(pool);
	free(ys);
}
END_TEST

static int aligned_call(const void *const args[], void *result, void *context)
{
	size_t bad = (uintptr_t)result % _Alignof(max_align_t) != 0;

	for (size_t i = 0; i < *(const size_t *)context; i++)
		bad += (uintptr_t)args[i] % _Alignof(max_align_t) != 0;
	memset(result, 0, 24);
	*(int *)result = bad == 0;
	return 0;
}

START_TEST(copies_of_arguments_are_aligned)
{
	const char raw[128] = {0};
	size_t nargs = MPPOOL_MAX_ARGS;
	int y[6] = {0};
	mppool *const pool = pool_of(2);
	struct mppool_func func = make_func(aligned_call, nargs, sizeof y, &nargs);

	/* From odd addresses and of odd sizes: only a copy can be aligned. */
	for (size_t shift = 0; shift < 9; shift++) {
		const void *args[MPPOOL_MAX_ARGS];
		mppool_result *result = NULL;
		for (size_t k = 0; k < MPPOOL_MAX_ARGS; k++) {
			args[k] = raw + shift + k;
			func.arg_size[k] = 1 + (shift * 5 + k * 3) % 33;
		}
		assert_ok(mppool_apply_async(pool, &func, args, NULL, &result));
		assert_ok(mppool_result_get(result, y, MPPOOL_FOREVER));
		ck_assert_int_eq(y[0], 1);
		ck_assert_uint_eq((uintptr_t)mppool_result_value(result) % _Alignof(max_align_t), 0);
		mppool_result_free(result);
	}
	pool_finish(pool);
}
END_TEST

struct aligned_source {
	size_t drawn;
	size_t bad;                              /* slots that were not aligned */
	size_t dirty;                            /* slots that were not all zero */
};

static int aligned_next(void *const args[], void *state)
{
	struct aligned_source *const source = state;
	static const char zeros[33];
	const size_t sizes[] = {1, 33, 3};

	for (size_t k = 0; k < 3; k++) {
		source->bad += (uintptr_t)args[k] % _Alignof(max_align_t) != 0;
		source->dirty += memcmp(args[k], zeros, sizes[k]) != 0;
		memset(args[k], 0xee, sizes[k]);
	}
	return source->drawn++ < 200 ? 0 : MPPOOL_ESTOP;
}

START_TEST(slots_of_generators_are_aligned_and_zeroed)
{
	struct aligned_source source = {0};
	struct mppool_iterable items = MPPOOL_ITERABLE_INIT;
	size_t nargs = 3;
	int y[6];
	mppool_iter *iter = NULL;
	mppool *const pool = pool_of(2);
	struct mppool_func func = make_func(aligned_call, 3, sizeof y, &nargs);

	func.arg_size[0] = 1;
	func.arg_size[1] = 33;
	func.arg_size[2] = 3;
	items.next = aligned_next;
	items.state = &source;
	assert_ok(mppool_imap(pool, &func, &items, 2, 10, NULL, &iter));
	for (int i = 0; i < 200; i++) {
		assert_ok(mppool_iter_next(iter, y, NULL, MPPOOL_FOREVER));
		ck_assert_int_eq(y[0], 1);
	}
	assert_code(mppool_iter_next(iter, y, NULL, MPPOOL_FOREVER), MPPOOL_ESTOP);
	mppool_iter_free(iter);
	ck_assert_uint_eq(source.bad, 0);
	ck_assert_uint_eq(source.dirty, 0);
	pool_finish(pool);
}
END_TEST

/* -------------------------------------------------------------------------------------------------- what is copied */

static int sum_call(const void *const args[], void *result, void *context)
{
	(void)context;
	*(int *)result = int_arg(args, 0) + int_arg(args, 1);
	return 0;
}

START_TEST(structs_and_arguments_are_copied_before_the_call_returns)
{
	int a = 20, b = 3, ys[2] = {0}, y = 0;
	int as[] = {1, 2}, bs[] = {10, 20};
	const void *args[] = {&a, &b};
	struct mppool_column columns[] = {MPPOOL_COLUMN(as), MPPOOL_COLUMN(bs)};
	struct mppool_iterable items = {.size = sizeof items, .columns = columns, .ncolumns = 2, .length = 2};
	struct mppool_call_options options = MPPOOL_CALL_OPTIONS_INIT;
	struct mppool_func func = make_func(sum_call, 2, sizeof(int), NULL);
	mppool_result *one = NULL, *two = NULL;
	mppool_iter *iter = NULL;
	struct hold hold;
	mppool *const pool = pool_of(1);

	hold_workers(&hold, pool, 1);
	assert_ok(mppool_apply_async(pool, &func, args, &options, &one));
	assert_ok(mppool_starmap_async(pool, &func, &items, ys, 1, &options, &two));
	assert_ok(mppool_imap(pool, &func, &items, 1, 0, &options, &iter));
	a = b = 1000;
	args[0] = args[1] = NULL;
	memset(columns, 0xff, sizeof columns);
	memset(&items, 0xff, sizeof items);
	memset(&options, 0xff, sizeof options);
	memset(&func, 0xff, sizeof func);
	hold_release(&hold);
	assert_ok(mppool_result_get(one, &y, MPPOOL_FOREVER));
	ck_assert_int_eq(y, 23);
	assert_ok(mppool_result_wait(two, MPPOOL_FOREVER));
	ck_assert_int_eq(ys[0], 11);
	ck_assert_int_eq(ys[1], 22);
	assert_ok(mppool_iter_next(iter, &y, NULL, MPPOOL_FOREVER));
	ck_assert_int_eq(y, 11);
	mppool_result_free(one);
	mppool_result_free(two);
	mppool_iter_free(iter);
	pool_finish(pool);
}
END_TEST

/* ------------------------------------------------------------------------------------------------- chunk functions */

#define CHUNKED 100

/* Which items a chunk function was handed, and how it is to fail. */
struct chunk_log {
	atomic_uint seen[CHUNKED];
	atomic_size_t calls, wrong, item_calls, biggest;
	bool fail_thirds;                        /* items whose index is divisible by 3 fail, by their index + 1 */
	bool fail_all_at_8;                      /* the call that begins with item 8 says that all failed */
	bool no_results;
};

static bool chunk_is_sound(const struct mppool_chunk *chunk, const struct chunk_log *log)
{
	return chunk->size >= sizeof(struct mppool_chunk) && chunk->count > 0 &&
	       chunk->first + chunk->count <= CHUNKED && chunk->results && chunk->failed &&
	       *chunk->failed == SIZE_MAX && (log->no_results || chunk->result_stride == sizeof(int));
}

static int log_chunk(const struct mppool_chunk *chunk, void *context)
{
	struct chunk_log *const log = context;

	atomic_fetch_add(&log->calls, 1);
	raise_peak(&log->biggest, chunk->count);
	if (!chunk_is_sound(chunk, log)) {
		atomic_fetch_add(&log->wrong, 1);
		return EIO;
	}
	if (log->fail_all_at_8 && chunk->first == 8) {
		for (size_t i = 0; i < chunk->count; i++)
			atomic_fetch_add(&log->seen[8 + i], 1);
		memset(chunk->results, 0x77, sizeof(int));
		return mppool_raise(ERANGE, "all %zu", chunk->count);
	}
	for (size_t i = 0; i < chunk->count; i++) {
		const int x = *(const int *)place_of(&chunk->columns[0], i);
		int *const y = (int *)(void *)((char *)chunk->results + i * chunk->result_stride);
		if ((size_t)x != chunk->first + i)
			atomic_fetch_add(&log->wrong, 1);
		atomic_fetch_add(&log->seen[chunk->first + i], 1);
		*y = 2 * x + 1;
		if (log->fail_thirds && x % 3 == 0) {
			*chunk->failed = i;
			return mppool_raise(x + 1, "third %d", x);
		}
	}
	return 0;
}

static int log_item(const void *const args[], void *result, void *context)
{
	struct chunk_log *const log = context;

	atomic_fetch_add(&log->item_calls, 1);
	atomic_fetch_add(&log->seen[int_arg(args, 0)], 1);
	*(int *)result = 2 * int_arg(args, 0) + 1;
	return 0;
}

static struct mppool_func chunk_func(struct chunk_log *log)
{
	struct mppool_func func = make_func(NULL, 1, sizeof(int), log);

	func.chunk_call = log_chunk;
	return func;
}

static void assert_all_seen_once(struct chunk_log *log)
{
	ck_assert_uint_eq(atomic_load(&log->wrong), 0);
	for (int i = 0; i < CHUNKED; i++)
		ck_assert_uint_eq(atomic_load(&log->seen[i]), 1);
}

static void count_up(int xs[], int n)
{
	for (int i = 0; i < n; i++)
		xs[i] = i;
}

START_TEST(chunk_function_alone_is_handed_each_item_once)
{
	int xs[CHUNKED], ys[CHUNKED];
	mppool *const pool = pool_of(2);

	count_up(xs, CHUNKED);
	for (size_t chunksize = 0; chunksize < 2 * CHUNKED; chunksize = 2 * chunksize + 1) {
		struct chunk_log log = {.no_results = false};
		const struct mppool_func func = chunk_func(&log);
		assert_ok(mppool_map(pool, &func, MPPOOL_ARRAY(xs, CHUNKED), ys, chunksize));
		assert_all_seen_once(&log);
		for (int i = 0; i < CHUNKED; i++)
			ck_assert_int_eq(ys[i], 2 * i + 1);
		if (chunksize)
			ck_assert_uint_le(atomic_load(&log.biggest), chunksize);
	}
	pool_finish(pool);
}
END_TEST

START_TEST(chunk_function_is_never_without_room_for_results)
{
	int xs[CHUNKED];
	struct chunk_log log = {.no_results = true};
	mppool_result *result = NULL;
	mppool *const pool = pool_of(2);
	const struct mppool_func func = chunk_func(&log);

	count_up(xs, CHUNKED);
	assert_ok(mppool_map(pool, &func, MPPOOL_ARRAY(xs, CHUNKED), NULL, 9));
	assert_all_seen_once(&log);
	log = (struct chunk_log){.no_results = true};
	assert_ok(mppool_map_async(pool, &func, MPPOOL_ARRAY(xs, CHUNKED), NULL, 9, NULL, &result));
	assert_ok(mppool_result_wait(result, MPPOOL_FOREVER));
	assert_all_seen_once(&log);
	mppool_result_free(result);
	pool_finish(pool);
}
END_TEST

START_TEST(chunk_function_serves_apply_and_imap_too)
{
	int xs[CHUNKED], y = 0;
	struct chunk_log log = {.no_results = true};
	mppool_iter *iter = NULL;
	mppool *const pool = pool_of(2);
	const struct mppool_func func = chunk_func(&log);

	count_up(xs, CHUNKED);
	assert_ok(mppool_imap(pool, &func, MPPOOL_ARRAY(xs, CHUNKED), 7, 0, NULL, &iter));
	for (int i = 0; i < CHUNKED; i++) {
		assert_ok(mppool_iter_next(iter, &y, NULL, MPPOOL_FOREVER));
		ck_assert_int_eq(y, 2 * i + 1);
	}
	mppool_iter_free(iter);
	assert_all_seen_once(&log);
	assert_ok(mppool_apply(pool, &func, MPPOOL_ARGS(&xs[0]), &y));
	ck_assert_int_eq(y, 1);
	ck_assert_uint_eq(atomic_load(&log.seen[0]), 2);
	pool_finish(pool);
}
END_TEST

START_TEST(chunk_function_reads_a_generators_items)
{
	struct source source = SOURCE(CHUNKED);
	struct mppool_iterable items = source_items(&source);
	int y = 0;
	struct chunk_log log = {.no_results = true};
	mppool_iter *iter = NULL;
	mppool *const pool = pool_of(2);
	const struct mppool_func func = chunk_func(&log);

	assert_ok(mppool_imap(pool, &func, &items, 7, 10, NULL, &iter));
	for (int i = 0; i < CHUNKED; i++) {
		assert_ok(mppool_iter_next(iter, &y, NULL, MPPOOL_FOREVER));
		ck_assert_int_eq(y, 2 * i + 1);
	}
	assert_code(mppool_iter_next(iter, &y, NULL, MPPOOL_FOREVER), MPPOOL_ESTOP);
	mppool_iter_free(iter);
	assert_all_seen_once(&log);
	pool_finish(pool);
}
END_TEST

START_TEST(chunk_function_failed_item_fails_alone)
{
	int xs[CHUNKED], ys[CHUNKED], codes[CHUNKED];
	mppool *const pool = pool_of(2);

	count_up(xs, CHUNKED);
	for (size_t chunksize = 1; chunksize < 2 * CHUNKED; chunksize = 2 * chunksize + 1) {
		struct chunk_log log = {.fail_thirds = true};
		mppool_result *result = NULL;
		const struct mppool_func func = chunk_func(&log);
		memset(ys, 0x55, sizeof ys);
		assert_ok(mppool_map_async(pool, &func, MPPOOL_ARRAY(xs, CHUNKED), ys, chunksize,
		                           MPPOOL_CALL(.codes = codes), &result));
		assert_code(mppool_result_get(result, NULL, MPPOOL_FOREVER), MPPOOL_ETASK);
		assert_all_seen_once(&log);
		for (int i = 0; i < CHUNKED; i++) {
			ck_assert_int_eq(codes[i], i % 3 ? 0 : i + 1);
			ck_assert_int_eq(ys[i], i % 3 ? 2 * i + 1 : 0);
		}
		ck_assert_uint_eq(mppool_last_error()->index, 0);
		ck_assert_int_eq(mppool_last_error()->code, 1);
		ck_assert_str_eq(mppool_last_error()->message, "third 0");
		mppool_result_free(result);
	}
	pool_finish(pool);
}
END_TEST

START_TEST(chunk_function_failing_without_a_place_fails_all)
{
	int xs[CHUNKED], ys[CHUNKED], codes[CHUNKED];
	struct chunk_log log = {.fail_all_at_8 = true};
	mppool_result *result = NULL;
	mppool *const pool = pool_of(1);
	const struct mppool_func func = chunk_func(&log);
	int failed = 0;

	count_up(xs, CHUNKED);
	memset(ys, 0x55, sizeof ys);
	assert_ok(
		mppool_map_async(pool, &func, MPPOOL_ARRAY(xs, CHUNKED), ys, 8, MPPOOL_CALL(.codes = codes), &result));
	assert_code(mppool_result_get(result, NULL, MPPOOL_FOREVER), MPPOOL_ETASK);
	assert_all_seen_once(&log);
	ck_assert_uint_eq(mppool_last_error()->index, 8);
	ck_assert_int_eq(mppool_last_error()->code, ERANGE);
	for (int i = 0; i < CHUNKED; i++) {
		failed += codes[i] == ERANGE;
		ck_assert(codes[i] == 0 || codes[i] == ERANGE);
		ck_assert_int_eq(ys[i], codes[i] ? 0 : 2 * i + 1);
		ck_assert(codes[i] == 0 || (i >= 8 && i < 16));
	}
	ck_assert_int_eq(codes[8], ERANGE);
	/* What it is handed may be part of a chunk. */
	char message[16];
	snprintf(message, sizeof message, "all %d", failed);
	ck_assert_str_eq(mppool_last_error()->message, message);
	mppool_result_free(result);
	pool_finish(pool);
}
END_TEST

START_TEST(chunk_function_failed_items_fail_alone_in_a_stream)
{
	int xs[CHUNKED], y = 0;
	size_t index = 0;
	struct chunk_log log = {.fail_thirds = true, .no_results = true};
	mppool_iter *iter = NULL;
	mppool *const pool = pool_of(2);
	const struct mppool_func func = chunk_func(&log);

	count_up(xs, CHUNKED);
	assert_ok(mppool_imap(pool, &func, MPPOOL_ARRAY(xs, CHUNKED), 10, 0, NULL, &iter));
	for (int i = 0; i < CHUNKED; i++) {
		assert_code(mppool_iter_next(iter, &y, &index, MPPOOL_FOREVER), i % 3 ? 0 : MPPOOL_ETASK);
		ck_assert_uint_eq(index, (size_t)i);
		if (i % 3) {
			ck_assert_int_eq(y, 2 * i + 1);
		} else {
			ck_assert_int_eq(mppool_last_error()->code, i + 1);
			ck_assert_uint_eq(mppool_last_error()->index, (size_t)i);
		}
	}
	assert_code(mppool_iter_next(iter, &y, &index, MPPOOL_FOREVER), MPPOOL_ESTOP);
	mppool_iter_free(iter);
	assert_all_seen_once(&log);
	pool_finish(pool);
}
END_TEST

START_TEST(task_timeout_uses_call_where_there_is_one)
{
	int xs[CHUNKED], ys[CHUNKED];
	struct chunk_log log = {.no_results = false};
	mppool_result *result = NULL;
	mppool *const pool = pool_of(2);
	struct mppool_func func = chunk_func(&log);

	func.call = log_item;
	count_up(xs, CHUNKED);
	assert_ok(mppool_map_async(pool, &func, MPPOOL_ARRAY(xs, CHUNKED), ys, 8, MPPOOL_CALL(.task_timeout = 1000),
	                           &result));
	assert_ok(mppool_result_get(result, NULL, MPPOOL_FOREVER));
	mppool_result_free(result);
	assert_all_seen_once(&log);
	ck_assert_uint_eq(atomic_load(&log.calls), 0);
	ck_assert_uint_eq(atomic_load(&log.item_calls), CHUNKED);
	for (int i = 0; i < CHUNKED; i++)
		ck_assert_int_eq(ys[i], 2 * i + 1);
	pool_finish(pool);
}
END_TEST

/* ------------------------------------------------------------------------------------------- failures and messages */

static int raising(int x)
{
	if (x < 0)
		mppool_raise(ERANGE, "%d is less than %s", x, "nothing");
	return x;
}
MPPOOL_FUNC(raising_task, int, raising, int);

static void raising_proc(int x)
{
	if (x < 0)
		mppool_raise_message(EDOM, "100%s is not formatted %n");
}
MPPOOL_PROC(raising_proc_task, raising_proc, int);

START_TEST(raise_in_an_ordinary_function_fails_its_item)
{
	const int good = 3, bad = -3;
	int y = 0;
	mppool *const pool = pool_of(1);

	assert_code(mppool_apply(pool, &raising_task, MPPOOL_ARGS(&bad), &y), MPPOOL_ETASK);
	ck_assert_int_eq(mppool_last_error()->code, ERANGE);
	ck_assert_str_eq(mppool_last_error()->message, "-3 is less than nothing");
	ck_assert_int_eq(y, 0);
	/* The next item of the same worker knows nothing of it. */
	assert_ok(mppool_apply(pool, &raising_task, MPPOOL_ARGS(&good), &y));
	ck_assert_int_eq(y, 3);
	assert_code(mppool_apply(pool, &raising_proc_task, MPPOOL_ARGS(&bad), NULL), MPPOOL_ETASK);
	ck_assert_int_eq(mppool_last_error()->code, EDOM);
	ck_assert_str_eq(mppool_last_error()->message, "100%s is not formatted %n");
	assert_ok(mppool_apply(pool, &raising_proc_task, MPPOOL_ARGS(&good), NULL));
	pool_finish(pool);
}
END_TEST

enum { RAISE_RETURNED, RAISE_TWICE, RAISE_AND_SUCCEED, RETURN_ONLY, RAISE_LONG, RAISE_NESTED, CLEAN, RAISE_KINDS };

static int nested_raise_call(const void *const args[], void *result, void *context)
{
	(void)args;
	(void)result;
	(void)context;
	return mppool_raise(ENOSPC, "the inner one");
}

static int raise_around_nested(mppool *pool)
{
	const int x = 0;
	const struct mppool_func inner = make_func(nested_raise_call, 1, 0, NULL);

	mppool_raise(EISDIR, "the outer one");
	if (mppool_apply(pool, &inner, MPPOOL_ARGS(&x), NULL) != MPPOOL_ETASK || mppool_last_error()->code != ENOSPC)
		return EIO;
	return mppool_raised();
}

static int raise_call(const void *const args[], void *result, void *context)
{
	char text[3000];

	*(int *)result = mppool_raised();                /* 0 for every new item */
	switch (int_arg(args, 0)) {
	case RAISE_RETURNED:
		return mppool_raise(ENOENT, "bad row %zu", mppool_item_index());
	case RAISE_TWICE:
		mppool_raise(ENOENT, "the first");
		if (mppool_raised() != ENOENT)
			return EIO;
		mppool_raise(EEXIST, "the second");
		return mppool_raised();
	case RAISE_AND_SUCCEED:
		mppool_raise(ENOENT, "forgiven");
		return 0;
	case RETURN_ONLY:
		return ENOTDIR;
	case RAISE_LONG:
		memset(text, 'x', sizeof text - 1);
		text[sizeof text - 1] = 0;
		return mppool_raise_message(EFBIG, text);
	case RAISE_NESTED:
		return raise_around_nested(context);
	default:
		return 0;
	}
}

START_TEST(raise_each_way_gives_its_code_and_message)
{
	const int xs[] = {RAISE_RETURNED, CLEAN, RAISE_TWICE, CLEAN, RAISE_AND_SUCCEED, CLEAN, RETURN_ONLY, RAISE_LONG,
	                  RETURN_ONLY, RAISE_NESTED, CLEAN, RETURN_ONLY};
	const int codes[] = {ENOENT, 0, EEXIST, 0, 0, 0, ENOTDIR, EFBIG, ENOTDIR, EISDIR, 0, ENOTDIR};
	const char *const messages[] = {"bad row 0",
	                                NULL,
	                                "the second",
	                                NULL,
	                                NULL,
	                                NULL,
	                                mppool_strerror(ENOTDIR),
	                                NULL,
	                                mppool_strerror(ENOTDIR),
	                                "the outer one",
	                                NULL,
	                                mppool_strerror(ENOTDIR)};
	int y = -1;
	mppool_iter *iter = NULL;
	mppool *const pool = pool_of(1);
	const struct mppool_func func = make_func(raise_call, 1, sizeof(int), pool);

	for (size_t chunksize = 1; chunksize < 20; chunksize *= 4) {
		assert_ok(mppool_imap(pool, &func, MPPOOL_ARRAY(xs, 12), chunksize, 0, NULL, &iter));
		for (size_t i = 0; i < 12; i++) {
			assert_code(mppool_iter_next(iter, &y, NULL, MPPOOL_FOREVER), codes[i] ? MPPOOL_ETASK : 0);
			if (codes[i] == 0)
				ck_assert_int_eq(y, 0);
			else
				ck_assert_int_eq(mppool_last_error()->code, codes[i]);
			if (messages[i])
				ck_assert_str_eq(mppool_last_error()->message, messages[i]);
			if (xs[i] == RAISE_LONG)
				ck_assert_uint_ge(strspn(mppool_last_error()->message, "x"), 100);
		}
		assert_code(mppool_iter_next(iter, &y, NULL, MPPOOL_FOREVER), MPPOOL_ESTOP);
		mppool_iter_free(iter);
	}
	pool_finish(pool);
}
END_TEST

START_TEST(raise_outside_only_returns_its_code)
{
	ck_assert_ptr_nonnull(mppool_last_error());
	ck_assert_ptr_nonnull(mppool_last_error()->message);
	ck_assert_int_eq(mppool_raise(EDOM, "no %d", 1), EDOM);
	ck_assert_int_eq(mppool_raise_message(ERANGE, "no"), ERANGE);
	ck_assert_int_eq(mppool_raised(), 0);
	ck_assert_int_eq(mppool_last_error()->code, 0);
}
END_TEST

static int fail_by_value(const void *const args[], void *result, void *context)
{
	(void)context;
	*(int *)result = 0x6b6b6b6b;
	if (int_arg(args, 0) < 0)
		return mppool_raise(-int_arg(args, 0), "item %zu", mppool_item_index());
	*(int *)result = int_arg(args, 0);
	return 0;
}

START_TEST(last_error_names_the_failed_item_of_lowest_index)
{
	int xs[60], ys[60];
	mppool *const pool = pool_of(3);
	const struct mppool_func func = make_func(fail_by_value, 1, sizeof(int), NULL);

	for (int low = 0; low < 60; low += 7)
		for (size_t chunksize = 0; chunksize < 9; chunksize += 4) {
			count_up(xs, 60);
			for (int i = low; i < 60; i += 5)
				xs[i] = -1 - i;
			assert_code(mppool_map(pool, &func, MPPOOL_ARRAY(xs, 60), ys, chunksize), MPPOOL_ETASK);
			ck_assert_uint_eq(mppool_last_error()->index, (size_t)low);
			ck_assert_int_eq(mppool_last_error()->code, low + 1);
			for (int i = 0; i < 60; i++)
				ck_assert_int_eq(ys[i], xs[i] < 0 ? 0 : xs[i]);
		}
	pool_finish(pool);
}
END_TEST

START_TEST(last_error_survives_successes_the_result_and_the_pool)
{
	const int bad = -77, good = 5;
	int y;
	mppool_result *result = NULL;
	mppool *const pool = pool_of(2);
	const struct mppool_func func = make_func(fail_by_value, 1, sizeof(int), NULL);

	assert_ok(mppool_apply_async(pool, &func, MPPOOL_ARGS(&bad), NULL, &result));
	assert_code(mppool_result_get(result, NULL, MPPOOL_FOREVER), MPPOOL_ETASK);
	const struct mppool_error *const error = mppool_last_error();
	const char *const message = error->message;
	assert_ok(mppool_apply(pool, &func, MPPOOL_ARGS(&good), &y));
	assert_ok(mppool_result_wait(result, 0));
	assert_code(mppool_join(pool, 0), MPPOOL_ERUNNING);
	mppool_result_free(result);
	pool_finish(pool);
	ck_assert_ptr_eq(mppool_last_error(), error);
	ck_assert_int_eq(error->code, 77);
	ck_assert_int_eq(error->status, 0);
	ck_assert_str_eq(message, "item 0");
}
END_TEST

struct two_threads {
	mppool *pool;
	atomic_size_t wrong;
};

static void fail_in_thread(size_t i, void *arg)
{
	struct two_threads *const both = arg;
	const int bad = -1 - (int)i;
	const struct mppool_func func = make_func(fail_by_value, 1, sizeof(int), NULL);

	if (mppool_last_error()->code != 0)
		atomic_fetch_add(&both->wrong, 1);
	for (int turn = 0; turn < 200; turn++) {
		if (mppool_apply(both->pool, &func, MPPOOL_ARGS(&bad), NULL) != MPPOOL_ETASK)
			atomic_fetch_add(&both->wrong, 1);
		if (mppool_last_error()->code != 1 + (int)i)
			atomic_fetch_add(&both->wrong, 1);
	}
}

START_TEST(last_error_is_each_threads_own)
{
	struct two_threads both = {.pool = pool_of(2)};
	const int bad = -99;
	const struct mppool_func func = make_func(fail_by_value, 1, sizeof(int), NULL);

	assert_code(mppool_apply(both.pool, &func, MPPOOL_ARGS(&bad), NULL), MPPOOL_ETASK);
	run_in_threads(3, fail_in_thread, &both);
	ck_assert_uint_eq(atomic_load(&both.wrong), 0);
	ck_assert_int_eq(mppool_last_error()->code, 99);
	pool_finish(both.pool);
}
END_TEST

/* ----------------------------------------------------------------------------------------- the ledger of the hooks */

#define N 24

/* What happened to each item, by its value: its index. Its result is 1000 more. */
struct ledger {
	atomic_uint ran[N], succeeded[N], dropped[N], undone[N];
	atomic_uint released, finished;
	atomic_uint late;                        /* hooks and items after the release */
	atomic_uint strange;                     /* arguments or results that nobody ever made */
	bool failing, losing;
	struct gate *gate;                       /* item 0 stands there */
	size_t drawn;                            /* of the generator: it alone writes it */
};

static void ledger_touch(struct ledger *ledger)
{
	if (atomic_load(&ledger->released))
		atomic_fetch_add(&ledger->late, 1);
}

static int ledger_call(const void *const args[], void *result, void *context)
{
	struct ledger *const ledger = context;
	const int x = int_arg(args, 0);

	ledger_touch(ledger);
	atomic_fetch_add(&ledger->ran[x], 1);
	*(int *)result = 0x3c3c3c3c;
	if (ledger->gate && x == 0)
		gate_wait(ledger->gate);
	if (ledger->losing && x % 7 == 0)
		pthread_exit(NULL);
	if (ledger->failing && x % 5 == 0)
		return mppool_raise(EDOM, "x %d", x);
	atomic_fetch_add(&ledger->succeeded[x], 1);
	*(int *)result = 1000 + x;
	return 0;
}

static void ledger_drop_args(const void *const args[], void *context)
{
	struct ledger *const ledger = context;
	const int x = int_arg(args, 0);

	ledger_touch(ledger);
	if (x < 0 || x >= N)
		atomic_fetch_add(&ledger->strange, 1);
	else
		atomic_fetch_add(&ledger->dropped[x], 1);
}

static void ledger_drop_result(void *result, void *context)
{
	struct ledger *const ledger = context;
	const int y = *(const int *)result;

	ledger_touch(ledger);
	if (y < 1000 || y >= 1000 + N)
		atomic_fetch_add(&ledger->strange, 1);
	else
		atomic_fetch_add(&ledger->undone[y - 1000], 1);
}

static void ledger_release(void *context)
{
	atomic_fetch_add(&((struct ledger *)context)->released, 1);
}

static void ledger_finish(void *state)
{
	struct ledger *const ledger = state;

	ledger_touch(ledger);
	atomic_fetch_add(&ledger->finished, 1);
}

static int ledger_next(void *const args[], void *state)
{
	struct ledger *const ledger = state;

	ledger_touch(ledger);
	if (ledger->drawn == N)
		return MPPOOL_ESTOP;
	*(int *)args[0] = (int)ledger->drawn++;
	return 0;
}

/* How the items go in, and what becomes of their results. */
enum way {
	APPLY, APPLY_DROPPED, APPLY_GOT, APPLY_FREED, APPLY_FORGOTTEN, APPLY_FREED_EARLY,
	MAP_ARRAY, MAP_DROPPED, MAP_ASYNC_ARRAY,
	MAP_KEPT_GOT, MAP_KEPT_LOOKED, MAP_KEPT_FORGOTTEN, MAP_KEPT_FREED_EARLY,
	STARMAP_ARRAY, STARMAP_KEPT_GOT,
	IMAP_ALL, IMAP_SOME, IMAP_NONE, UNORDERED_ALL, UNORDERED_SOME,
	GENERATOR_MAP, GENERATOR_MAP_KEPT_GOT, GENERATOR_MAP_KEPT_LOOKED, GENERATOR_IMAP_ALL, GENERATOR_IMAP_SOME,
	GENERATOR_UNORDERED_ALL, WAYS
};

enum end {
	RAN, FAILED, LOST,
	CANCELLED_QUEUED, CANCELLED_RUNNING, TERMINATED_QUEUED, TERMINATED_RUNNING, BROKEN, ENDS
};

struct trial {
	enum way way;
	enum end end;
	struct ledger ledger;
	mppool *pool;
	mppool_result *result;
	mppool_iter *iter;
	int xs[N], results[N], codes[N];
	unsigned taken[N];
	unsigned strange;                        /* results that nobody ever made */
	int outcome;                             /* of the call, or of the stream */
	bool got;                                /* the outcome is known */
	struct gate submitted;                   /* passed once the call was accepted */
};

static bool way_is_apply(enum way way)
{
	return way < MAP_ARRAY;
}

static bool way_blocks(enum way way)
{
	return way == APPLY || way == APPLY_DROPPED || way == MAP_ARRAY || way == MAP_DROPPED ||
	       way == STARMAP_ARRAY || way == GENERATOR_MAP;
}

static bool way_is_stream(enum way way)
{
	return (way >= IMAP_ALL && way <= UNORDERED_SOME) || way >= GENERATOR_IMAP_ALL;
}

static bool way_generates(enum way way)
{
	return way >= GENERATOR_MAP;
}

static bool way_into_array(enum way way)
{
	return way == MAP_ARRAY || way == MAP_ASYNC_ARRAY || way == STARMAP_ARRAY;
}

static bool way_has_codes(enum way way)
{
	return !way_blocks(way) && !way_is_stream(way) && !way_generates(way);
}

/* Neither a handle remains, nor is anyone told. */
static bool way_forgets(enum way way)
{
	return way == APPLY_FORGOTTEN || way == APPLY_FREED_EARLY || way == MAP_KEPT_FORGOTTEN ||
	       way == MAP_KEPT_FREED_EARLY;
}

static size_t way_items(enum way way)
{
	return way_is_apply(way) ? 1 : N;
}

static struct mppool_func ledger_func(struct ledger *ledger)
{
	struct mppool_func func = make_func(ledger_call, 1, sizeof(int), ledger);

	func.drop_args = ledger_drop_args;
	func.drop_result = ledger_drop_result;
	func.release = ledger_release;
	return func;
}

static struct mppool_iterable ledger_items(struct trial *t, struct mppool_column *column)
{
	struct mppool_iterable items = MPPOOL_ITERABLE_INIT;

	items.finish = ledger_finish;
	items.state = &t->ledger;
	if (way_generates(t->way)) {
		items.next = ledger_next;
		return items;
	}
	*column = MPPOOL_COLUMN(t->xs);
	items.columns = column;
	items.ncolumns = 1;
	items.length = N;
	return items;
}

static void submit_apply(struct trial *t, const struct mppool_func *func)
{
	int y = 0;
	const bool forgotten = t->way == APPLY_FORGOTTEN;

	if (way_blocks(t->way)) {
		t->outcome = mppool_apply(t->pool, func, MPPOOL_ARGS(&t->xs[0]), t->way == APPLY ? &y : NULL);
		t->got = true;
		t->taken[0] += t->way == APPLY && t->outcome == 0;
		t->strange += t->way == APPLY && y != (t->outcome == 0 ? 1000 : 0);
	} else {
		t->outcome = mppool_apply_async(t->pool, func, MPPOOL_ARGS(&t->xs[0]), MPPOOL_CALL(.codes = t->codes),
		                                forgotten ? NULL : &t->result);
	}
}

static int submit_map_async(struct trial *t, const struct mppool_func *func, const struct mppool_iterable *items)
{
	const struct mppool_call_options *const options =
		way_has_codes(t->way) ? MPPOOL_CALL(.codes = t->codes) : MPPOOL_CALL(.priority = 0);
	mppool_result **const ret_result = t->way == MAP_KEPT_FORGOTTEN ? NULL : &t->result;
	int *const results = way_into_array(t->way) ? t->results : NULL;

	if (t->way == STARMAP_KEPT_GOT)
		return mppool_starmap_async(t->pool, func, items, results, 1, options, ret_result);
	return mppool_map_async(t->pool, func, items, results, 1, options, ret_result);
}

static void submit_items(struct trial *t, const struct mppool_func *func)
{
	struct mppool_column column;
	const struct mppool_iterable items = ledger_items(t, &column);
	int *const results = way_into_array(t->way) ? t->results : NULL;

	if (t->way == STARMAP_ARRAY)
		t->outcome = mppool_starmap(t->pool, func, &items, results, 1);
	else if (way_blocks(t->way))
		t->outcome = mppool_map(t->pool, func, &items, results, 1);
	else if (t->way == UNORDERED_ALL || t->way == UNORDERED_SOME || t->way == GENERATOR_UNORDERED_ALL)
		t->outcome = mppool_imap_unordered(t->pool, func, &items, 1, 8, NULL, &t->iter);
	else if (way_is_stream(t->way))
		t->outcome = mppool_imap(t->pool, func, &items, 1, 8, NULL, &t->iter);
	else
		t->outcome = submit_map_async(t, func, &items);
	t->got = way_blocks(t->way);
}

static void consume_stream(struct trial *t)
{
	size_t index;
	int y, code;
	const bool all = t->way == IMAP_ALL || t->way == UNORDERED_ALL || t->way == GENERATOR_IMAP_ALL ||
	                 t->way == GENERATOR_UNORDERED_ALL;
	const int most = all ? 2 * N : t->way == IMAP_NONE ? 0 : 5;

	t->outcome = 0;
	for (int i = 0; i < most; i++) {
		y = -1;
		index = SIZE_MAX;
		code = mppool_iter_next(t->iter, &y, &index, MPPOOL_FOREVER);
		if (code == 0 && index < N && y == 1000 + (int)index)
			t->taken[index]++;
		else if (code == 0)
			t->strange++;
		if (code == MPPOOL_ESTOP)
			break;
		if (code != 0 && code != MPPOOL_ETASK)
			t->outcome = code;
		if (code == MPPOOL_ETASK && t->outcome == 0)
			t->outcome = MPPOOL_ETASK;
	}
	t->got = all;
	mppool_iter_free(t->iter);
}

static void consume_result(struct trial *t)
{
	const bool gets = t->way == APPLY_GOT || t->way == MAP_KEPT_GOT || t->way == STARMAP_KEPT_GOT ||
	                  t->way == GENERATOR_MAP_KEPT_GOT;
	int ys[N];

	if (way_forgets(t->way)) {
		mppool_result_free(t->result);
		return;
	}
	t->outcome = mppool_result_get(t->result, NULL, MPPOOL_FOREVER);
	t->got = true;
	if (gets)
		for (int turn = 0; turn < 2; turn++)     /* the second time, it gives the same and takes nothing */
			t->strange += mppool_result_get(t->result, ys, MPPOOL_FOREVER) != t->outcome;
	for (size_t i = 0; gets && t->outcome == 0 && i < way_items(t->way); i++)
		if (ys[i] == 1000 + (int)i)
			t->taken[i]++;
		else
			t->strange++;
	t->strange += !way_generates(t->way) && mppool_result_value(t->result) == NULL;
	mppool_result_free(t->result);
}

/* In a thread of its own: submits the call and uses up what comes of it. */
static void trial_drive(void *arg)
{
	struct trial *const t = arg;
	const struct mppool_func func = ledger_func(&t->ledger);

	if (way_is_apply(t->way))
		submit_apply(t, &func);
	else
		submit_items(t, &func);
	gate_wait(&t->submitted);
	if (way_is_stream(t->way))
		consume_stream(t);
	else if (!way_blocks(t->way))
		consume_result(t);
}

static int first_start_works(void *initarg, void **ret_state)
{
	*ret_state = NULL;
	return atomic_fetch_add((atomic_uint *)initarg, 1) == 0 ? 0 : mppool_raise(ENODEV, "no second start");
}

static void trial_set(struct trial *t, enum way way, enum end end, atomic_uint *starts)
{
	*t = (struct trial){.way = way, .end = end, .outcome = -1};
	t->ledger.failing = end == FAILED;
	t->ledger.losing = end == LOST;
	count_up(t->xs, N);
	for (int i = 0; i < N; i++) {
		t->codes[i] = -1;
		t->results[i] = 0x11111111;
	}
	gate_init(&t->submitted);
	atomic_store(starts, 0);
	if (end == BROKEN)
		assert_ok(mppool_create(MPPOOL_OPTIONS(.workers = 1, .initializer = first_start_works,
		                                       .initarg = starts, .max_tasks_per_worker = 1),
		                        &t->pool));
	else
		t->pool = pool_of(end == RAN || end == FAILED || end == LOST ? 2 : 1);
}

/* The code of the items that did not run. */
static int end_code(enum end end)
{
	switch (end) {
	case CANCELLED_QUEUED:
	case CANCELLED_RUNNING:
		return ECANCELED;
	case TERMINATED_QUEUED:
	case TERMINATED_RUNNING:
		return MPPOOL_ETERMINATED;
	case BROKEN:
		return MPPOOL_EBROKEN;
	default:
		return 0;
	}
}

static bool way_took_it(const struct trial *t, size_t i)
{
	return way_into_array(t->way) || t->taken[i];
}

static void assert_count(const struct trial *t, size_t i, const char *what, unsigned count, unsigned expected)
{
	ck_assert_msg(count == expected, "way %d, end %d, item %zu: %u instead of %u %s", (int)t->way, (int)t->end, i,
	              count, expected, what);
}

static void assert_item_code(struct trial *t, size_t i, unsigned ran, unsigned succeeded)
{
	const int failure = t->end == LOST ? MPPOOL_ELOST : EDOM;
	const int expected = succeeded ? 0 : ran ? failure : end_code(t->end);

	ck_assert_msg(t->codes[i] == expected, "way %d, end %d, item %zu: code %s", (int)t->way, (int)t->end, i,
	              mppool_strerrorname(t->codes[i]));
}

static void assert_item(struct trial *t, size_t i)
{
	struct ledger *const ledger = &t->ledger;
	const bool accepted = !way_generates(t->way) || i < ledger->drawn;
	const bool consumed = !way_forgets(t->way) && (!way_is_stream(t->way) || t->got);
	const unsigned ran = atomic_load(&ledger->ran[i]), succeeded = atomic_load(&ledger->succeeded[i]);

	assert_count(t, i, "drop_args", atomic_load(&ledger->dropped[i]), accepted);
	assert_count(t, i, "drop_result", atomic_load(&ledger->undone[i]), succeeded && !way_took_it(t, i));
	ck_assert_uint_le(ran, 1);
	if (t->end == RAN && consumed)
		assert_count(t, i, "runs", ran, 1);
	if (way_has_codes(t->way) && !way_forgets(t->way))
		assert_item_code(t, i, ran, succeeded);
	if (way_into_array(t->way))
		ck_assert_int_eq(t->results[i], succeeded ? 1000 + (int)i : 0);
}

/* The first that applies, from what is known of the items. */
static int expected_outcome(struct trial *t)
{
	size_t not_run = 0, failed = 0;

	for (size_t i = 0; i < way_items(t->way); i++) {
		not_run += atomic_load(&t->ledger.ran[i]) == 0;
		failed += atomic_load(&t->ledger.ran[i]) && !atomic_load(&t->ledger.succeeded[i]);
	}
	return not_run ? end_code(t->end) : failed ? MPPOOL_ETASK : 0;
}

static void assert_trial(struct trial *t)
{
	for (size_t i = 0; i < way_items(t->way); i++)
		assert_item(t, i);
	for (size_t i = way_items(t->way); i < N; i++)
		ck_assert_uint_eq(atomic_load(&t->ledger.dropped[i]), 0);
	assert_count(t, N, "release", atomic_load(&t->ledger.released), 1);
	assert_count(t, N, "finish", atomic_load(&t->ledger.finished), !way_is_apply(t->way));
	assert_count(t, N, "calls after the release", atomic_load(&t->ledger.late), 0);
	assert_count(t, N, "strange hooks", atomic_load(&t->ledger.strange), 0);
	assert_count(t, N, "strange results", t->strange, 0);
	if (t->got)
		ck_assert_msg(t->outcome == expected_outcome(t), "way %d, end %d: %s instead of %s", (int)t->way,
		              (int)t->end, mppool_strerrorname(t->outcome), mppool_strerrorname(expected_outcome(t)));
}

static void trial_end(struct trial *t)
{
	if (t->end == TERMINATED_QUEUED || t->end == TERMINATED_RUNNING)
		assert_ok(mppool_terminate(t->pool));
	if (t->end != CANCELLED_QUEUED && t->end != CANCELLED_RUNNING)
		return;
	if (t->iter)
		mppool_iter_cancel(t->iter);
	if (t->result)
		mppool_result_cancel(t->result);
}

static bool trial_is_possible(enum way way, enum end end)
{
	const bool no_handle = way_blocks(way) || way == APPLY_FORGOTTEN || way == MAP_KEPT_FORGOTTEN;

	if ((end == CANCELLED_QUEUED || end == CANCELLED_RUNNING) && no_handle)
		return false;
	return !(end == TERMINATED_QUEUED && way_blocks(way));
}

/* The worker is kept busy until the call was accepted, or the call's first item stands at a gate. */
static void trial_run(enum way way, enum end end)
{
	static struct trial t;
	static struct gate gate;
	static atomic_uint starts;
	struct runner runner;
	struct hold hold;
	const bool queued = end == CANCELLED_QUEUED || end == TERMINATED_QUEUED || (end == BROKEN && !way_blocks(way));
	const bool running = end == CANCELLED_RUNNING || end == TERMINATED_RUNNING;

	trial_set(&t, way, end, &starts);
	gate_init(&gate);
	if (running)
		t.ledger.gate = &gate;
	if (queued)
		hold_workers(&hold, t.pool, 1);
	runner_start(&runner, trial_drive, &t);
	if (!way_blocks(way))
		gate_wait_arrivals(&t.submitted, 1);
	if (running)
		gate_wait_arrivals(&gate, 1);
	trial_end(&t);
	gate_open(&t.submitted);
	gate_open(&gate);
	if (queued)
		hold_release(&hold);
	runner_join(&runner);
	mppool_close(t.pool);                            /* whatever its state is by now */
	assert_ok(mppool_join(t.pool, MPPOOL_FOREVER));
	assert_ok(mppool_destroy(t.pool));
	assert_trial(&t);
	gate_destroy(&gate);
	gate_destroy(&t.submitted);
}

/* Once for each way, _i. */
START_TEST(hooks_are_called_once_whatever_the_end)
{
	for (int end = 0; end < ENDS; end++)
		if (trial_is_possible((enum way)_i, (enum end)end))
			for (int turn = 0; turn < 5; turn++)
				trial_run((enum way)_i, (enum end)end);
}
END_TEST

/* --------------------------------------------------------------------------------------------------- hooks in time */

struct order {
	struct recorder events;
	mppool_result *result;
};
enum { E_CALL = 1, E_DROP_ARGS, E_FINISH, E_CALLBACK, E_DROP_RESULT, E_RELEASE };

static int order_call(const void *const args[], void *result, void *context)
{
	struct order *const order = context;

	record(&order->events, E_CALL);
	*(int *)result = int_arg(args, 0);
	return 0;
}

static void order_drop_args(const void *const args[], void *context)
{
	(void)args;
	record(&((struct order *)context)->events, E_DROP_ARGS);
}

static void order_drop_result(void *result, void *context)
{
	(void)result;
	record(&((struct order *)context)->events, E_DROP_RESULT);
}

static void order_release(void *context)
{
	record(&((struct order *)context)->events, E_RELEASE);
}

static void order_finish(void *state)
{
	record(&((struct order *)state)->events, E_FINISH);
}

static void order_callback(const void *results, size_t n, void *userdata)
{
	(void)results;
	(void)n;
	record(&((struct order *)userdata)->events, E_CALLBACK);
}

static struct mppool_func order_func(struct order *order)
{
	struct mppool_func func = make_func(order_call, 1, sizeof(int), order);

	func.drop_args = order_drop_args;
	func.drop_result = order_drop_result;
	func.release = order_release;
	return func;
}

static void assert_events(struct recorder *events, const int expected[], size_t n)
{
	ck_assert_uint_eq(recorded_count(events), n);
	for (size_t i = 0; i < n; i++)
		ck_assert_int_eq(recorded_at(events, i), expected[i]);
}

START_TEST(hooks_of_a_map_come_in_order)
{
	const int x = 1, into_array[] = {E_CALL, E_DROP_ARGS, E_FINISH, E_CALLBACK, E_RELEASE};
	int y;
	struct order order;
	struct mppool_column column = MPPOOL_COLUMN(&x);
	struct mppool_iterable items = {.size = sizeof items, .columns = &column, .ncolumns = 1, .length = 1,
	                                .finish = order_finish, .state = &order};
	mppool *const pool = pool_of(1);
	const struct mppool_func func = order_func(&order);

	recorder_init(&order.events);
	assert_ok(mppool_map_async(pool, &func, &items, &y, 0,
	                           MPPOOL_CALL(.callback = order_callback, .userdata = &order), &order.result));
	assert_ok(mppool_result_wait(order.result, MPPOOL_FOREVER));
	/* Ready: finish, then the callback, and the context is given back, for nobody can drop a result any more. */
	ck_assert_uint_eq(recorded_count(&order.events), 5);
	ck_assert_uint_eq(recorded_times(&order.events, E_RELEASE), 1);
	if (recorded_at(&order.events, 3) == E_CALLBACK)
		assert_events(&order.events, into_array, 5);
	for (size_t i = 0; i < 3; i++)
		ck_assert_int_eq(recorded_at(&order.events, i), into_array[i]);
	mppool_result_free(order.result);
	ck_assert_uint_eq(recorded_count(&order.events), 5);
	recorder_destroy(&order.events);
	pool_finish(pool);
}
END_TEST

START_TEST(hooks_of_kept_results_wait_for_the_free)
{
	const int x = 1;
	const int kept[] = {E_CALL, E_DROP_ARGS, E_FINISH, E_CALLBACK, E_DROP_RESULT, E_RELEASE};
	struct order order;
	struct mppool_column column = MPPOOL_COLUMN(&x);
	struct mppool_iterable items = {.size = sizeof items, .columns = &column, .ncolumns = 1, .length = 1,
	                                .finish = order_finish, .state = &order};
	mppool *const pool = pool_of(1);
	const struct mppool_func func = order_func(&order);

	recorder_init(&order.events);
	assert_ok(mppool_map_async(pool, &func, &items, NULL, 0,
	                           MPPOOL_CALL(.callback = order_callback, .userdata = &order), &order.result));
	assert_ok(mppool_result_wait(order.result, MPPOOL_FOREVER));
	assert_events(&order.events, kept, 4);
	pool_finish(pool);
	assert_events(&order.events, kept, 4);           /* the result outlives its pool */
	ck_assert_int_eq(*(const int *)mppool_result_value(order.result), 1);
	mppool_result_free(order.result);
	assert_events(&order.events, kept, 6);
	recorder_destroy(&order.events);
}
END_TEST

START_TEST(get_takes_the_results_and_ends_the_context)
{
	const int x = 6;
	int y = 0;
	const int taken[] = {E_CALL, E_DROP_ARGS, E_RELEASE};
	struct order order;
	mppool *const pool = pool_of(1);
	const struct mppool_func func = order_func(&order);

	recorder_init(&order.events);
	assert_ok(mppool_apply_async(pool, &func, MPPOOL_ARGS(&x), NULL, &order.result));
	assert_ok(mppool_result_get(order.result, NULL, MPPOOL_FOREVER));
	assert_events(&order.events, taken, 2);
	assert_ok(mppool_result_get(order.result, &y, MPPOOL_FOREVER));
	ck_assert_int_eq(y, 6);
	assert_events(&order.events, taken, 3);
	y = 0;
	assert_ok(mppool_result_get(order.result, &y, 0));
	ck_assert_int_eq(y, 6);
	ck_assert_int_eq(*(const int *)mppool_result_value(order.result), 6);
	mppool_result_free(order.result);
	assert_events(&order.events, taken, 3);
	recorder_destroy(&order.events);
	pool_finish(pool);
}
END_TEST

struct own_handle {
	mppool_result *result;                   /* no atomics: what comes before a submit is visible to its task */
	mppool_iter *iter;
};

static int handle_call(const void *const args[], void *result, void *context)
{
	const struct own_handle *const own = context;

	(void)args;
	*(int *)result = own->result || own->iter;
	return 0;
}

START_TEST(handle_is_stored_before_the_first_item_starts)
{
	const int x = 0;
	mppool *const pool = pool_of(2);

	for (int turn = 0; turn < 300; turn++) {
		struct own_handle own = {NULL, NULL};
		int y = 0;
		const struct mppool_func func = make_func(handle_call, 1, sizeof(int), &own);
		if (turn % 3 == 0)
			assert_ok(mppool_apply_async(pool, &func, MPPOOL_ARGS(&x), NULL, &own.result));
		if (turn % 3 == 1)
			assert_ok(mppool_map_async(pool, &func, MPPOOL_ARRAY(&x, 1), NULL, 0, NULL, &own.result));
		if (turn % 3 == 2) {
			assert_ok(mppool_imap(pool, &func, MPPOOL_ARRAY(&x, 1), 0, 0, NULL, &own.iter));
			assert_ok(mppool_iter_next(own.iter, &y, NULL, MPPOOL_FOREVER));
		} else {
			assert_ok(mppool_result_get(own.result, &y, MPPOOL_FOREVER));
		}
		ck_assert_int_eq(y, 1);
		mppool_result_free(own.result);
		mppool_iter_free(own.iter);
	}
	pool_finish(pool);
}
END_TEST

/* ------------------------------------------------------------------------------------------ fail fast and timeouts */

START_TEST(fail_fast_cancels_what_has_not_started)
{
	int xs[40], ys[40], codes[40];
	mppool_result *result = NULL;
	mppool *const pool = pool_of(1);
	const struct mppool_func func = make_func(fail_by_value, 1, sizeof(int), NULL);

	count_up(xs, 40);
	xs[7] = -EXDEV;
	xs[20] = -EPIPE;
	memset(ys, 0x22, sizeof ys);
	assert_ok(mppool_map_async(pool, &func, MPPOOL_ARRAY(xs, 40), ys, 1,
	                           MPPOOL_CALL(.codes = codes, .flags = MPPOOL_FAIL_FAST), &result));
	assert_code(mppool_result_get(result, NULL, MPPOOL_FOREVER), MPPOOL_ETASK);
	ck_assert_uint_eq(mppool_last_error()->index, 7);
	ck_assert_int_eq(mppool_last_error()->code, EXDEV);
	for (int i = 0; i < 40; i++) {
		assert_code(codes[i], i < 7 ? 0 : i == 7 ? EXDEV : ECANCELED);
		ck_assert_int_eq(ys[i], i < 7 ? i : 0);
	}
	mppool_result_free(result);
	/* The pool goes on. */
	assert_ok(mppool_map(pool, &func, MPPOOL_ARRAY(xs, 7), ys, 0));
	pool_finish(pool);
}
END_TEST

START_TEST(fail_fast_is_about_its_own_call_only)
{
	struct gate gate;
	const int xs[] = {0, -EXDEV, 2, 3};
	int codes[4];
	mppool_result *other = NULL, *failed = NULL;
	mppool *const pool = pool_of(2);
	const struct mppool_func standing = make_func(gate_call, 1, sizeof(int), &gate);
	const struct mppool_func failing = make_func(fail_by_value, 1, sizeof(int), NULL);

	/* One worker stands in another call, so that the other worker meets the failure alone. */
	gate_init(&gate);
	assert_ok(mppool_map_async(pool, &standing, MPPOOL_ARRAY(xs, 1), NULL, 1, NULL, &other));
	gate_wait_arrivals(&gate, 1);
	assert_ok(mppool_map_async(pool, &failing, MPPOOL_ARRAY(xs, 4), NULL, 1,
	                           MPPOOL_CALL(.codes = codes, .flags = MPPOOL_FAIL_FAST), &failed));
	assert_code(mppool_result_get(failed, NULL, MPPOOL_FOREVER), MPPOOL_ETASK);
	ck_assert_int_eq(mppool_result_ready(other), 0);
	assert_code(codes[0], 0);
	assert_code(codes[1], EXDEV);
	assert_code(codes[2], ECANCELED);
	assert_code(codes[3], ECANCELED);
	gate_open(&gate);
	assert_ok(mppool_result_get(other, NULL, MPPOOL_FOREVER));
	mppool_result_free(other);
	mppool_result_free(failed);
	pool_finish(pool);
	gate_destroy(&gate);
}
END_TEST

struct fast_failure {
	struct gate standing, failing;
	bool also_fails;                         /* item 0 */
};

/* Item 0 stands at a gate and then runs until it is told to stop, item 1 fails at another. */
static int fast_failure_call(const void *const args[], void *result, void *context)
{
	struct fast_failure *const both = context;

	*(int *)result = 50;
	if (int_arg(args, 0) == 0) {
		gate_wait(&both->standing);
		while (!mppool_should_stop())            /* it is told soon after the failure */
			sched_yield();
		return both->also_fails ? EPIPE : 0;
	}
	gate_wait(&both->failing);
	return EXDEV;
}

/* What has started is told to stop, and its end counts; but not as the failure of the call. */
START_TEST(fail_fast_tells_what_has_started)
{
	const int xs[] = {0, 1, 2, 3};
	int ys[4], codes[4];
	struct fast_failure both;
	mppool_result *result = NULL;
	mppool *const pool = pool_of(2);
	const struct mppool_func func = make_func(fast_failure_call, 1, sizeof(int), &both);

	gate_init(&both.standing);
	gate_init(&both.failing);
	both.also_fails = _i;
	assert_ok(mppool_map_async(pool, &func, MPPOOL_ARRAY(xs, 4), ys, 1,
	                           MPPOOL_CALL(.codes = codes, .flags = MPPOOL_FAIL_FAST), &result));
	gate_wait_arrivals(&both.standing, 1);
	gate_wait_arrivals(&both.failing, 1);            /* whichever item that is */
	gate_open(&both.failing);
	assert_code(mppool_result_wait(result, 0.02), ETIMEDOUT);
	gate_open(&both.standing);
	assert_code(mppool_result_get(result, NULL, MPPOOL_FOREVER), MPPOOL_ETASK);
	ck_assert_int_eq(ys[0], _i ? 0 : 50);
	assert_code(codes[0], _i ? EPIPE : 0);
	assert_code(mppool_last_error()->code, EXDEV);
	for (int i = 1; i < 4; i++)
		assert_code(codes[i], (size_t)i == mppool_last_error()->index ? EXDEV : ECANCELED);
	ck_assert_uint_eq(gate_arrivals(&both.failing), 1);
	mppool_result_free(result);
	pool_finish(pool);
	gate_destroy(&both.standing);
	gate_destroy(&both.failing);
}
END_TEST

START_TEST(fail_fast_without_a_failure_changes_nothing)
{
	int xs[40], ys[40], codes[40];
	mppool_result *result = NULL;
	mppool *const pool = pool_of(2);
	const struct mppool_func func = make_func(fail_by_value, 1, sizeof(int), NULL);

	count_up(xs, 40);
	assert_ok(mppool_map_async(pool, &func, MPPOOL_ARRAY(xs, 40), ys, 0,
	                           MPPOOL_CALL(.codes = codes, .flags = MPPOOL_FAIL_FAST), &result));
	assert_ok(mppool_result_get(result, NULL, MPPOOL_FOREVER));
	for (int i = 0; i < 40; i++) {
		ck_assert_int_eq(codes[i], 0);
		ck_assert_int_eq(ys[i], i);
	}
	mppool_result_free(result);
	pool_finish(pool);
}
END_TEST

START_TEST(fail_fast_ends_a_stream)
{
	int xs[40], y = 0, code, failures = 0, after = 0;
	mppool_iter *iter = NULL;
	mppool *const pool = pool_of(1);
	const struct mppool_func func = make_func(fail_by_value, 1, sizeof(int), NULL);

	count_up(xs, 40);
	xs[3] = -EXDEV;
	assert_ok(mppool_imap(pool, &func, MPPOOL_ARRAY(xs, 40), 1, 0, MPPOOL_CALL(.flags = MPPOOL_FAIL_FAST), &iter));
	while ((code = mppool_iter_next(iter, &y, NULL, MPPOOL_FOREVER)) != MPPOOL_ESTOP) {
		after += failures > 0 && code == 0;
		failures += code == MPPOOL_ETASK;
		ck_assert(code == 0 || code == MPPOOL_ETASK || code == ECANCELED);
	}
	ck_assert_int_eq(failures, 1);
	ck_assert_int_eq(after, 0);
	ck_assert_int_eq(mppool_last_error()->code, EXDEV);
	ck_assert_uint_eq(mppool_last_error()->index, 3);
	mppool_iter_free(iter);
	pool_finish(pool);
}
END_TEST

struct told_generator {
	struct gate gate;
	int drawn;
};

/* Draws an item, which fails once the next one is awaited; and that one only when it is told to stop. */
static int until_told_next(void *const args[], void *state)
{
	struct told_generator *const source = state;

	if (source->drawn++ > 0) {
		gate_open(&source->gate);
		while (!mppool_should_stop())
			sched_yield();
	}
	*(int *)args[0] = 1;
	return 0;
}

static int fail_behind_gate_call(const void *const args[], void *result, void *context)
{
	(void)args;
	(void)result;
	gate_wait(context);
	return EXDEV;
}

START_TEST(fail_fast_tells_the_generator)
{
	struct told_generator source = {.drawn = 0};
	mppool_result *result = NULL;
	mppool *const pool = pool_of(1);
	const struct mppool_func func = make_func(fail_behind_gate_call, 1, 0, &source.gate);
	const struct mppool_iterable items = {.size = sizeof items, .next = until_told_next, .state = &source};

	gate_init(&source.gate);
	assert_ok(mppool_map_async(pool, &func, &items, NULL, 1, MPPOOL_CALL(.flags = MPPOOL_FAIL_FAST), &result));
	assert_code(mppool_result_get(result, NULL, MPPOOL_FOREVER), MPPOOL_ETASK);
	assert_code(mppool_last_error()->code, EXDEV);
	ck_assert_uint_eq(mppool_last_error()->index, 0);
	ck_assert_int_eq(source.drawn, 2);
	mppool_result_free(result);
	pool_finish(pool);
	gate_destroy(&source.gate);
}
END_TEST

/* Runs until it is told to stop, if its argument says so; returns what the context says. */
static int until_stopped_call(const void *const args[], void *result, void *context)
{
	*(int *)result = 0x44444444;
	if (int_arg(args, 0) == 1) {
		while (!mppool_should_stop())
			sched_yield();
		return *(const int *)context;
	}
	*(int *)result = 10 + mppool_should_stop();
	return 0;
}

START_TEST(task_timeout_ends_only_the_item_that_took_too_long)
{
	const int xs[] = {0, 0, 1, 0, 1, 0};

	for (int own = 0; own < 2; own++)
		for (size_t chunksize = 1; chunksize < 7; chunksize += 5) {
			int returned = own ? EIO : 0, ys[6], codes[6];
			mppool_result *result = NULL;
			mppool *const pool = pool_of(2);
			const struct mppool_func func = make_func(until_stopped_call, 1, sizeof(int), &returned);
			memset(ys, 0x21, sizeof ys);
			assert_ok(mppool_map_async(pool, &func, MPPOOL_ARRAY(xs, 6), ys, chunksize,
			                           MPPOOL_CALL(.codes = codes, .task_timeout = 0.5), &result));
			assert_code(mppool_result_get(result, NULL, MPPOOL_FOREVER), MPPOOL_ETASK);
			ck_assert_int_eq(mppool_last_error()->code, ETIMEDOUT);
			ck_assert_uint_eq(mppool_last_error()->index, 2);
			for (int i = 0; i < 6; i++) {
				assert_code(codes[i], xs[i] ? ETIMEDOUT : 0);
				ck_assert_int_eq(ys[i], xs[i] ? 0 : 10);
			}
			mppool_result_free(result);
			pool_finish(pool);
		}
}
END_TEST

START_TEST(task_timeout_is_not_a_timeout_of_the_wait)
{
	const int x = 1;
	int returned = 0, y = 3;
	mppool_result *result = NULL;
	mppool *const pool = pool_of(1);
	const struct mppool_func func = make_func(until_stopped_call, 1, sizeof(int), &returned);

	assert_ok(mppool_apply_async(pool, &func, MPPOOL_ARGS(&x), MPPOOL_CALL(.task_timeout = 0.02), &result));
	assert_code(mppool_result_get(result, &y, 1000), MPPOOL_ETASK);
	assert_code(mppool_last_error()->code, ETIMEDOUT);
	ck_assert_int_eq(y, 3);
	mppool_result_free(result);
	pool_finish(pool);
}
END_TEST

/* On a busy machine one or another may take its time indeed, but not all. */
START_TEST(task_timeout_does_not_count_the_time_in_the_queue)
{
	enum { CALLS = 10 };
	const int x = 0;
	int returned = 0, y, in_time = 0;
	mppool_result *results[CALLS];
	struct hold hold;
	mppool *const pool = pool_of(1);
	const struct mppool_func func = make_func(until_stopped_call, 1, sizeof(int), &returned);

	hold_workers(&hold, pool, 1);
	for (int i = 0; i < CALLS; i++)
		assert_ok(mppool_apply_async(pool, &func, MPPOOL_ARGS(&x), MPPOOL_CALL(.task_timeout = 0.04),
		                             &results[i]));
	pause_briefly();
	hold_release(&hold);
	for (int i = 0; i < CALLS; i++) {
		y = 3;
		in_time += mppool_result_get(results[i], &y, MPPOOL_FOREVER) == 0 && y == 10;
		mppool_result_free(results[i]);
	}
	ck_assert_int_gt(in_time, 0);
	pool_finish(pool);
}
END_TEST

START_TEST(task_timeout_ends_an_item_of_a_stream)
{
	const int xs[] = {0, 1, 0};
	int returned = 0, y = 3;
	mppool_iter *iter = NULL;
	mppool *const pool = pool_of(1);
	const struct mppool_func func = make_func(until_stopped_call, 1, sizeof(int), &returned);

	assert_ok(mppool_imap(pool, &func, MPPOOL_ARRAY(xs, 3), 3, 0, MPPOOL_CALL(.task_timeout = 0.5), &iter));
	assert_ok(mppool_iter_next(iter, &y, NULL, MPPOOL_FOREVER));
	assert_code(mppool_iter_next(iter, &y, NULL, MPPOOL_FOREVER), MPPOOL_ETASK);
	assert_code(mppool_last_error()->code, ETIMEDOUT);
	ck_assert_uint_eq(mppool_last_error()->index, 1);
	y = 3;
	assert_ok(mppool_iter_next(iter, &y, NULL, MPPOOL_FOREVER));
	ck_assert_int_eq(y, 10);
	assert_code(mppool_iter_next(iter, &y, NULL, MPPOOL_FOREVER), MPPOOL_ESTOP);
	mppool_iter_free(iter);
	pool_finish(pool);
}
END_TEST

/* ---------------------------------------------------------------------------------------------- codes and failures */

START_TEST(codes_have_one_outcome_for_each_item)
{
	int xs[90], codes[92];
	mppool *const pool = pool_of(3);
	const struct mppool_func func = make_func(fail_by_value, 1, sizeof(int), NULL);

	for (int i = 0; i < 90; i++)
		xs[i] = i % 4 == 2 ? -i : i;
	for (size_t chunksize = 0; chunksize < 100; chunksize = 4 * chunksize + 1) {
		mppool_result *result = NULL;
		memset(codes, 0x7f, sizeof codes);
		assert_ok(mppool_map_async(pool, &func, MPPOOL_ARRAY(xs, 90), NULL, chunksize,
		                           MPPOOL_CALL(.codes = codes + 1), &result));
		assert_code(mppool_result_get(result, NULL, MPPOOL_FOREVER), MPPOOL_ETASK);
		for (int i = 0; i < 90; i++)
			ck_assert_int_eq(codes[1 + i], i % 4 == 2 ? i : 0);
		ck_assert_int_eq(codes[0], 0x7f7f7f7f);
		ck_assert_int_eq(codes[91], 0x7f7f7f7f);
		const int *const kept = mppool_result_value(result);
		for (int i = 0; i < 90; i++)
			ck_assert_int_eq(kept[i], i % 4 == 2 ? 0 : i);
		mppool_result_free(result);
	}
	pool_finish(pool);
}
END_TEST

START_TEST(codes_of_a_generator_with_a_bound_are_filled_in_order)
{
	struct source source = SOURCE(20);
	struct mppool_iterable items = source_items(&source);
	int codes[30], ys[30];
	mppool_result *result = NULL;
	size_t done = 0, total = 0;
	mppool *const pool = pool_of(2);
	const struct mppool_func func = make_func(square_call, 1, sizeof(int), NULL);

	items.length = 30;
	memset(codes, 0x7f, sizeof codes);
	assert_ok(mppool_map_async(pool, &func, &items, ys, 3, MPPOOL_CALL(.codes = codes), &result));
	assert_ok(mppool_result_get(result, NULL, MPPOOL_FOREVER));
	assert_ok(mppool_result_progress(result, &done, &total));
	ck_assert_uint_eq(done, 20);
	ck_assert_uint_eq(total, 20);
	for (int i = 0; i < 20; i++) {
		ck_assert_int_eq(codes[i], 0);
		ck_assert_int_eq(ys[i], i * i);
	}
	mppool_result_free(result);
	pool_finish(pool);
}
END_TEST

/* ----------------------------------------------------------------------------------------------------- the program */

static void fill_sugar(Suite *suite)
{
	TCase *const sugar = add_case(suite, "sugar");
	TCase *const items = add_case(suite, "items");

	tcase_add_loop_test(sugar, sugar_any_number_of_arguments_arrives_in_order, 0, MPPOOL_MAX_ARGS + 1);
	tcase_add_loop_test(sugar, proc_any_number_of_arguments_runs_once_for_each_row, 0, MPPOOL_MAX_ARGS + 1);
	tcase_add_test(sugar, macros_fill_in_the_struct);
	tcase_add_test(sugar, repeat_gives_one_value_to_all);
	tcase_add_test(sugar, strides_wider_than_the_element_skip);
	tcase_add_test(sugar, map_results_may_lie_over_the_items);
	tcase_add_test(items, item_index_is_the_place_in_the_input);
	tcase_add_test(items, item_index_counts_what_a_generator_yields);
	tcase_add_test(items, item_index_survives_a_nested_call);
	tcase_add_test(items, results_of_any_size_come_whole);
	tcase_add_test(items, copies_of_arguments_are_aligned);
	tcase_add_test(items, slots_of_generators_are_aligned_and_zeroed);
	tcase_add_test(items, structs_and_arguments_are_copied_before_the_call_returns);
}

static void fill_chunks(Suite *suite)
{
	TCase *const chunks = add_case(suite, "chunks");

	tcase_add_test(chunks, chunk_function_alone_is_handed_each_item_once);
	tcase_add_test(chunks, chunk_function_is_never_without_room_for_results);
	tcase_add_test(chunks, chunk_function_serves_apply_and_imap_too);
	tcase_add_test(chunks, chunk_function_reads_a_generators_items);
	tcase_add_test(chunks, chunk_function_failed_item_fails_alone);
	tcase_add_test(chunks, chunk_function_failing_without_a_place_fails_all);
	tcase_add_test(chunks, chunk_function_failed_items_fail_alone_in_a_stream);
	tcase_add_test(chunks, task_timeout_uses_call_where_there_is_one);
}

static void fill_failures(Suite *suite)
{
	TCase *const failures = add_case(suite, "failures");

	tcase_add_test(failures, raise_in_an_ordinary_function_fails_its_item);
	tcase_add_test(failures, raise_each_way_gives_its_code_and_message);
	tcase_add_test(failures, raise_outside_only_returns_its_code);
	tcase_add_test(failures, last_error_names_the_failed_item_of_lowest_index);
	tcase_add_test(failures, last_error_survives_successes_the_result_and_the_pool);
	tcase_add_test(failures, last_error_is_each_threads_own);
	tcase_add_test(failures, codes_have_one_outcome_for_each_item);
	tcase_add_test(failures, codes_of_a_generator_with_a_bound_are_filled_in_order);
}

static void fill_hooks(Suite *suite)
{
	TCase *const hooks = add_case(suite, "hooks");
	TCase *const limits = add_case(suite, "limits");

	tcase_add_loop_test(hooks, hooks_are_called_once_whatever_the_end, 0, WAYS);
	tcase_add_test(hooks, hooks_of_a_map_come_in_order);
	tcase_add_test(hooks, hooks_of_kept_results_wait_for_the_free);
	tcase_add_test(hooks, get_takes_the_results_and_ends_the_context);
	tcase_add_test(hooks, handle_is_stored_before_the_first_item_starts);
	tcase_add_test(limits, fail_fast_cancels_what_has_not_started);
	tcase_add_test(limits, fail_fast_is_about_its_own_call_only);
	tcase_add_loop_test(limits, fail_fast_tells_what_has_started, 0, 2);
	tcase_add_test(limits, fail_fast_tells_the_generator);
	tcase_add_test(limits, fail_fast_without_a_failure_changes_nothing);
	tcase_add_test(limits, fail_fast_ends_a_stream);
	tcase_add_test(limits, task_timeout_ends_only_the_item_that_took_too_long);
	tcase_add_test(limits, task_timeout_is_not_a_timeout_of_the_wait);
	tcase_add_test(limits, task_timeout_does_not_count_the_time_in_the_queue);
	tcase_add_test(limits, task_timeout_ends_an_item_of_a_stream);
}

static void fill(Suite *suite)
{
	fill_sugar(suite);
	fill_chunks(suite);
	fill_failures(suite);
	fill_hooks(suite);
}

int main(int argc, char **argv)
{
	return run_suite("functions", fill, argc, argv);
}
