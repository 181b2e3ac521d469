/* header_typed.c - every typed call at work, in C and in C++
 *
 * SPDX-License-Identifier: MIT
 *
 * check-header.sh compiles this file by every standard that the compilers know, with warnings as errors, and runs it.
 * Where it fails it returns with 1 after it has named the line. */
#include <mppool.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

static int failures;

#define EXPECT(condition)                                                                                              \
	do {                                                                                                           \
		if (!(condition)) {                                                                                    \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                                \
			failures++;                                                                                    \
		}                                                                                                      \
	} while (0)

/* --------------------------------------------------------------------------------------------------------- functions */

struct row {
	char kind;
	double price;
	int count;
};

static int seven(void) { return 7; }
static long square(int x) { return (long)x * x; }
static int checked(int x) { return x == 3 ? mppool_raise(EDOM, "%d is three", x) : x; }
static double ratio(double a, float b) { return a / (double)b; }
static size_t length(const char *text) { return strlen(text); }
static double worth(struct row row) { return row.price * row.count; }
static long sum8(char a, short b, int c, long d, unsigned char e, unsigned short f, const char *g, int h)
{
	return a + b + c + d + e + f + (long)strlen(g) + h;
}
static int ran;
static void proc0(void) { ran = 100; }
static void proc1(int *to) { *to += 1; }
static void proc2(int *to, int by) { *to += by; }

MPPOOL_FUNC(seven_task, int, seven);
MPPOOL_FUNC(square_task, long, square, int);
MPPOOL_FUNC(checked_task, int, checked, int);
MPPOOL_FUNC(ratio_task, double, ratio, double, float);
MPPOOL_FUNC(length_task, size_t, length, const char *);
MPPOOL_FUNC(worth_task, double, worth, struct row);
MPPOOL_FUNC(sum8_task, long, sum8, char, short, int, long, unsigned char, unsigned short, const char *, int);
MPPOOL_PURE(seven_pure, int, seven);
MPPOOL_PURE(square_pure, long, square, int);
MPPOOL_PURE(ratio_pure, double, ratio, double, float);
MPPOOL_PURE(sum8_pure, long, sum8, char, short, int, long, unsigned char, unsigned short, const char *, int);
MPPOOL_PROC(proc0_task, proc0);
MPPOOL_PROC(proc1_task, proc1, int *);
MPPOOL_PROC(proc2_task, proc2, int *, int);

/* With a context. */
static double scaled(const double *by, double x) { return *by * x; }
static int constant(const int *x) { return *x; }
static void count_row(int *counter, struct row *row, int by) { *counter += row->count * by; }
static long add8(const long *to, char a, short b, int c, long d, unsigned char e, unsigned short f, const char *g, int h)
{
	return *to + sum8(a, b, c, d, e, f, g, h);
}
MPPOOL_FUNC_WITH(scaled_task, double, scaled, const double *, double);
MPPOOL_PURE_WITH(scaled_pure, double, scaled, const double *, double);
MPPOOL_FUNC_WITH(constant_task, int, constant, const int *);
MPPOOL_PROC_WITH(count_task, count_row, int *, struct row *, int);
MPPOOL_PURE_WITH(add8_pure, long, add8, const long *, char, short, int, long, unsigned char, unsigned short,
                 const char *, int);
MPPOOL_FUNC_WITH(unused_bound, double, scaled, const double *, double);

/* None of its calls is used anywhere: that is no reason for a warning. */
MPPOOL_FUNC(unused_task, long, square, int);
MPPOOL_PROC(unused_proc, proc2, int *, int);
MPPOOL_PURE(unused_pure, double, ratio, double, float);

struct walk {
	int at;
	int end;
	int finished;
};

static int walk_next(int *x, struct walk *walk)
{
	if (walk->at == walk->end)
		return MPPOOL_ESTOP;
	*x = walk->at++;
	return 0;
}
static int walk_pair(double *a, float *b, struct walk *walk)
{
	if (walk->at == walk->end)
		return MPPOOL_ESTOP;
	*a = walk->at++;
	*b = 2.0f;
	return 0;
}
static int walk_times(struct walk *walk) { return walk->at++ == walk->end ? MPPOOL_ESTOP : 0; }
static void walk_finish(void *state) { ((struct walk *)state)->finished++; }

MPPOOL_GENERATOR(walk, walk_next, struct walk, int);
MPPOOL_GENERATOR(pairs, walk_pair, struct walk, double, float);
MPPOOL_GENERATOR(times, walk_times, struct walk);
MPPOOL_GENERATOR(unused_walk, walk_next, struct walk, int);

static void add_squares(const long *results, size_t n, long *sum)
{
	for (size_t i = 0; i < n; i++)
		*sum += results[i];
}
static void count_calls(const double *results, size_t n, void *count) { *(size_t *)count += n + (results[0] > 1e9); }
static void proc_is_done(const void *results, size_t n, int *calls) { *calls += results ? 100 : (int)n; }

MPPOOL_CALLBACK(on_squares, square_task, add_squares, long);
MPPOOL_CALLBACK(on_ratio, ratio_task, count_calls);
MPPOOL_CALLBACK(on_proc, proc1_task, proc_is_done, int);
MPPOOL_CALLBACK(unused_callback, square_task, add_squares, long);

#ifdef __cplusplus
/* Names of a namespace do not get in the way of those that the macros use. */
namespace inner {
MPPOOL_FUNC(square_task, long, square, int);
MPPOOL_PURE(square_pure, long, square, int);
}
#endif

/* ------------------------------------------------------------------------------------------------------------- checks */

static const int xs[] = {1, 2, 3, 4, 5};
static const double as[] = {1.0, 3.0};
static const float bs[] = {0.5f, 0.25f};

static void applies(mppool *pool)
{
	const struct row row = {'a', 2.5, 4};
	int y = 0;
	long z = 0;
	double d = 0.0;
	size_t n = 0;
	int *const to = &y;

	EXPECT(seven_task_apply(pool, &y) == 0 && y == 7);
	EXPECT(square_task_apply(pool, 7, &z) == 0 && z == 49);
	EXPECT(square_pure_apply(pool, 8, &z) == 0 && z == 64);
	EXPECT(square_task_apply(pool, 7, NULL) == 0);
	EXPECT(ratio_task_apply(pool, 1, 4, &d) == 0 && d < 0.26 && d > 0.24);
	EXPECT(length_task_apply(pool, "literal", &n) == 0 && n == 7);
	EXPECT(worth_task_apply(pool, row, &d) == 0 && d > 9.9 && d < 10.1);
	EXPECT(sum8_task_apply(pool, 1, 2, 3, 4, 5, 6, "seven", 8, &z) == 0 && z == 34);
	EXPECT(checked_task_apply(pool, 3, &y) == MPPOOL_ETASK && mppool_last_error()->code == EDOM);
	EXPECT(proc0_task_apply(pool) == 0 && ran == 100);
	y = 1;
	EXPECT(proc1_task_apply(pool, to) == 0 && y == 2);
	EXPECT(proc2_task_apply(pool, to, 40) == 0 && y == 42);
#ifdef __cplusplus
	EXPECT(inner::square_task_apply(pool, 3, &z) == 0 && z == 9);
#endif
}

static void asynchronous(mppool *pool)
{
	mppool_result *result = NULL;
	long z = 0, zs[5];
	double ds[2];
	int y = 0;
	int *const to = &y, *tos[2];
	const int bys[] = {3, 4};

	EXPECT(square_task_apply_async(pool, 6, NULL, &result) == 0);
	EXPECT(square_task_get(result, &z, MPPOOL_FOREVER) == 0 && z == 36);
	EXPECT(*square_task_value(result) == 36);
	mppool_result_free(result);
	EXPECT(square_task_map_async(pool, xs, MPPOOL_LENGTH(xs), zs, 0, NULL, &result) == 0);
	EXPECT(square_task_get(result, NULL, MPPOOL_FOREVER) == 0 && zs[4] == 25);
	mppool_result_free(result);
	EXPECT(square_pure_map_async(pool, xs, 5, NULL, 2, NULL, &result) == 0);
	EXPECT(square_pure_get(result, zs, MPPOOL_FOREVER) == 0 && zs[3] == 16);
	mppool_result_free(result);
	EXPECT(ratio_task_starmap_async(pool, as, bs, 2, ds, 0, NULL, &result) == 0);
	EXPECT(ratio_task_get(result, ds, MPPOOL_FOREVER) == 0 && ds[1] > 11.9);
	mppool_result_free(result);
	EXPECT(proc1_task_apply_async(pool, to, NULL, &result) == 0);
	EXPECT(proc1_task_get(result, MPPOOL_FOREVER) == 0 && y == 1);
	mppool_result_free(result);
	tos[0] = to;
	tos[1] = &ran;
	EXPECT(proc2_task_starmap_async(pool, tos, bys, 2, 1, NULL, &result) == 0);
	EXPECT(proc2_task_get(result, MPPOOL_FOREVER) == 0 && y == 4 && ran == 104);
	mppool_result_free(result);
}

static void maps(mppool *pool)
{
	const char *const texts[] = {"map", "starmap"};
	const struct row rows[] = {{'a', 1.0, 1}, {'b', 2.0, 3}};
	const char c8[] = {1, 1};
	const short s8[] = {2, 2};
	const long l8[] = {4, 4};
	const unsigned char u8[] = {5, 5};
	const unsigned short v8[] = {6, 6};
	int sevens[5] = {0, 0, 0, 0, 0}, y = 0;
	long zs[5] = {0, 0, 0, 0, 0};
	double ds[2] = {0.0, 0.0};
	size_t ns[2] = {0, 0};
	int *const tos[] = {&y};

	EXPECT(square_task_map(pool, xs, 5, zs, 0) == 0 && zs[0] == 1 && zs[4] == 25);
	EXPECT(square_task_starmap(pool, xs, 4, zs, 1) == 0 && zs[3] == 16);
	EXPECT(square_pure_map(pool, xs + 1, 4, zs, 1) == 0 && zs[0] == 4);
	EXPECT(square_pure_map(pool, xs, 5, NULL, 1) == 0);
	EXPECT(square_task_map(pool, xs, 0, zs, 0) == 0 && zs[0] == 4);
	EXPECT(ratio_pure_starmap(pool, as, bs, 2, ds, 0) == 0 && ds[0] > 1.9 && ds[0] < 2.1);
	EXPECT(length_task_map(pool, texts, 2, ns, 0) == 0 && ns[0] == 3 && ns[1] == 7);
	EXPECT(worth_task_map(pool, rows, 2, ds, 0) == 0 && ds[1] > 5.9);
	EXPECT(sum8_pure_starmap(pool, c8, s8, xs, l8, u8, v8, texts, xs, 2, zs, 0) == 0 && zs[0] == 23);
	EXPECT(sum8_task_starmap(pool, c8, s8, xs, l8, u8, v8, texts, xs, 2, zs, 0) == 0 && zs[1] == 29);
	EXPECT(seven_task_starmap(pool, 5, sevens, 2) == 0 && sevens[4] == 7);
	EXPECT(seven_pure_starmap(pool, 4, sevens, 2) == 0 && sevens[3] == 7);
	EXPECT(proc1_task_map(pool, tos, 1, 0) == 0 && y == 1);
	EXPECT(proc0_task_starmap(pool, 3, 0) == 0);
}

static void iterators(mppool *pool)
{
	const char *const text = "abc";
	mppool_iter *iter = NULL;
	int y = 0, seen = 0, failed = 0;
	long z = 0, sum = 0;
	double d = 0.0;
	size_t i = 0, n[2] = {0, 0};

	EXPECT(checked_task_imap(pool, xs, 5, 2, 0, NULL, &iter) == 0);
	MPPOOL_FOR_EACH(code, checked_task_next(iter, &y, &i, MPPOOL_FOREVER)) {
		EXPECT(code == 0 || (code == MPPOOL_ETASK && i == 2));
		seen++;
		failed += code != 0;
	}
	EXPECT(seen == 5 && failed == 1);
	mppool_iter_free(iter);
	EXPECT(square_pure_imap_unordered(pool, xs, 5, 1, 2, NULL, &iter) == 0);
	MPPOOL_FOR_EACH(code, square_pure_next(iter, &z, NULL, MPPOOL_FOREVER))
		sum += z;
	EXPECT(sum == 55);
	mppool_iter_free(iter);
	EXPECT(ratio_task_imap(pool, as, bs, 2, 0, 0, NULL, &iter) == 0);
	EXPECT(ratio_task_next(iter, &d, &i, MPPOOL_FOREVER) == 0 && i == 0);
	mppool_iter_free(iter);
	EXPECT(proc0_task_imap(pool, 3, 0, 0, NULL, &iter) == 0);
	seen = 0;
	MPPOOL_FOR_EACH(code, proc0_task_next(iter, NULL, MPPOOL_FOREVER))
		seen++;
	EXPECT(seen == 3);
	mppool_iter_free(iter);
	/* A code that every call would return again is seen once, and ends the loop. */
	seen = 0;
	MPPOOL_FOR_EACH(code, EDEADLK)
		seen++;
	EXPECT(seen == 1);
	/* A literal is repeated as a pointer to its characters, as a variable's value is. */
	EXPECT(mppool_map(pool, &length_task, MPPOOL_ZIP(2, MPPOOL_REPEAT("four")), n, 0) == 0 && n[1] == 4);
	EXPECT(mppool_map(pool, &length_task, MPPOOL_ZIP(2, MPPOOL_REPEAT(&text)), n, 0) == 0 && n[1] == 3);
}

static void generators(mppool *pool)
{
	struct walk to_ten = {0, 10, 0};
	mppool_iter *iter = NULL;
	mppool_result *result = NULL;
	long z = 0, sum = 0, zs[10];
	double d = 0.0;
	int y = 0, seen = 0;

	EXPECT(square_task_imap_from(pool, MPPOOL_FROM(walk, &to_ten), 2, 4, NULL, &iter) == 0);
	while (square_task_next(iter, &z, NULL, MPPOOL_FOREVER) == 0)
		sum += z;
	EXPECT(sum == 285);
	mppool_iter_free(iter);
	to_ten.at = 0;
	EXPECT(square_pure_imap_unordered_from(pool, MPPOOL_FROM(walk, &to_ten, 4, walk_finish), 1, 0, NULL, &iter) == 0);
	MPPOOL_FOR_EACH(code, square_pure_next(iter, &z, NULL, MPPOOL_FOREVER))
		seen++;
	mppool_iter_free(iter);
	EXPECT(seen == 4 && to_ten.at == 4 && to_ten.finished == 1);
	to_ten.at = 0;
	EXPECT(square_task_map_from(pool, MPPOOL_FROM(walk, &to_ten, 10), zs, 3) == 0 && zs[9] == 81);
	to_ten.at = 5;
	EXPECT(square_task_map_async_from(pool, MPPOOL_FROM(walk, &to_ten, 5), zs, 0, NULL, &result) == 0);
	EXPECT(square_task_get(result, NULL, MPPOOL_FOREVER) == 0 && zs[0] == 25 && zs[4] == 81);
	mppool_result_free(result);
	to_ten.at = 9;
	EXPECT(ratio_task_imap_from(pool, MPPOOL_FROM(pairs, &to_ten), 0, 0, NULL, &iter) == 0);
	EXPECT(ratio_task_next(iter, &d, NULL, MPPOOL_FOREVER) == 0 && d > 4.4 && d < 4.6);
	EXPECT(ratio_task_next(iter, &d, NULL, MPPOOL_FOREVER) == MPPOOL_ESTOP);
	mppool_iter_free(iter);
	to_ten.at = 7;
	EXPECT(mppool_map(pool, &square_task, MPPOOL_ITEMS(walk, &to_ten, 3), zs, 0) == 0 && zs[2] == 81);
	to_ten.at = 8;
	EXPECT(seven_task_imap_from(pool, MPPOOL_FROM(times, &to_ten), 0, 0, NULL, &iter) == 0);
	EXPECT(seven_task_next(iter, &y, NULL, MPPOOL_FOREVER) == 0 && y == 7);
	mppool_iter_free(iter);
}

static void callbacks(mppool *pool)
{
	struct mppool_call_options options = MPPOOL_CALL_OPTIONS_INIT;
	mppool_result *result = NULL;
	long sum = 0;
	size_t count = 0;
	int y = 0, calls = 0;

	options.callback = on_squares;
	options.userdata = &sum;
	EXPECT(square_task_map_async(pool, xs, 5, NULL, 0, &options, &result) == 0);
	EXPECT(square_task_get(result, NULL, MPPOOL_FOREVER) == 0 && sum == 55);
	mppool_result_free(result);
	options.callback = on_ratio;
	options.userdata = &count;
	EXPECT(ratio_task_apply_async(pool, 1.0, 2.0f, &options, &result) == 0);
	EXPECT(ratio_task_get(result, NULL, MPPOOL_FOREVER) == 0 && count == 1);
	mppool_result_free(result);
	options.callback = on_proc;
	options.userdata = &calls;
	EXPECT(proc1_task_apply_async(pool, &y, &options, &result) == 0);
	EXPECT(proc1_task_get(result, MPPOOL_FOREVER) == 0 && calls == 1);
	mppool_result_free(result);
}

static int one_double(double *x, struct walk *walk)
{
	*x = walk->at;
	return walk->at++ == walk->end ? MPPOOL_ESTOP : 0;
}
MPPOOL_GENERATOR(doubles, one_double, struct walk, double);

static void contexts(mppool *pool)
{
	const double by = 3.0;
	const int four = 4;
	const long ten = 10;
	struct row row = {'a', 1.0, 2};
	struct row *const rows[] = {&row, &row};
	struct walk walk_to_three = {0, 3, 0};
	double ds[3] = {0.0, 0.0, 0.0}, d = 0.0;
	int ys[3] = {0, 0, 0}, counter = 0;
	long z = 0;
	mppool_iter *iter = NULL;
	mppool_result *result = NULL;

	EXPECT(scaled_task_apply(pool, &by, 2, &d) == 0 && d > 5.9 && d < 6.1);
	EXPECT(scaled_pure_map(pool, &by, as, 2, ds, 0) == 0 && ds[1] > 8.9 && ds[1] < 9.1);
	EXPECT(constant_task_apply(pool, &four, ys) == 0 && ys[0] == 4);
	EXPECT(constant_task_starmap(pool, &four, 3, ys, 1) == 0 && ys[2] == 4);
	EXPECT(count_task_starmap(pool, &counter, rows, xs, 2, 2) == 0 && counter == 6);
	EXPECT(count_task_apply(pool, &counter, &row, 5) == 0 && counter == 16);
	EXPECT(add8_pure_apply(pool, &ten, 1, 2, 3, 4, 5, 6, "seven", 8, &z) == 0 && z == 44);
	EXPECT(scaled_task_map_async(pool, &by, as, 2, NULL, 0, NULL, &result) == 0);
	EXPECT(scaled_task_get(result, ds, MPPOOL_FOREVER) == 0 && ds[0] > 2.9 && ds[0] < 3.1);
	mppool_result_free(result);
	EXPECT(scaled_task_imap(pool, &by, as, 2, 0, 0, NULL, &iter) == 0);
	EXPECT(scaled_task_next(iter, &d, NULL, MPPOOL_FOREVER) == 0 && d > 2.9 && d < 3.1);
	mppool_iter_free(iter);
	EXPECT(scaled_task_map_from(pool, &by, MPPOOL_FROM(doubles, &walk_to_three, 3), ds, 0) == 0 && ds[2] > 5.9);
}

/* The calls that wait, with options: the codes show that these came through. */
static void options(mppool *pool)
{
	struct mppool_call_options o = MPPOOL_CALL_OPTIONS_INIT;
	struct walk to_ten = {2, 10, 0};
	const double by = 3.0;
	int codes[5] = {1, 1, 1, 1, 1}, ys[5] = {0, 0, 0, 0, 0}, y = 0;
	double ds[2] = {0.0, 0.0};

	o.codes = codes;
	EXPECT(checked_task_map_with(pool, xs, 5, ys, 1, &o) == MPPOOL_ETASK && codes[2] == EDOM && codes[4] == 0);
	EXPECT(checked_task_apply_with(pool, 3, &y, &o) == MPPOOL_ETASK && codes[0] == EDOM);
	codes[0] = codes[1] = 1;
	EXPECT(ratio_task_starmap_with(pool, as, bs, 2, ds, 0, &o) == 0 && codes[1] == 0 && ds[0] > 1.9);
	EXPECT(checked_task_map_with_from(pool, MPPOOL_FROM(walk, &to_ten, 3), ys, 0, &o) == MPPOOL_ETASK);
	EXPECT(codes[0] == 0 && codes[1] == EDOM && codes[2] == 0 && ys[2] == 4);
	codes[0] = 1;
	EXPECT(scaled_task_apply_with(pool, &by, 1.0, ds, &o) == 0 && codes[0] == 0 && ds[0] > 2.9);
	EXPECT(proc0_task_apply_with(pool, NULL) == 0);
}

int main(void)
{
	int turns = 0;

	MPPOOL_WITH(pool) {
		applies(pool);
		asynchronous(pool);
		maps(pool);
		iterators(pool);
		generators(pool);
		callbacks(pool);
		contexts(pool);
		options(pool);
		turns++;
	}
	EXPECT(turns == 1);
	return failures > 0;
}
