/* header_sugar.c - every macro of the header at work, in C and in C++
 *
 * SPDX-License-Identifier: MIT
 *
 * check-header.sh compiles this file by every standard that the compilers know, with warnings as errors, and runs it.
 * Where it fails it returns with 1 after it has named the line. */
#include <mppool.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#if !defined(__cplusplus) || __cplusplus >= 202002L
#define HAVE_DESIGNATORS 1               /* designated initialisers */
#else
#define HAVE_DESIGNATORS 0
#endif

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
static double ratio(double a, float b) { return a / (double)b; }
static size_t length(const char *text) { return strlen(text); }
static const char *skip(const char *text, size_t n) { return text + n; }
static int sum3(int a, int b, int c) { return a + b + c; }
static int sum4(int a, int b, int c, int d) { return sum3(a, b, c) + d; }
static int sum5(int a, int b, int c, int d, int e) { return sum4(a, b, c, d) + e; }
static int sum6(int a, int b, int c, int d, int e, int f) { return sum5(a, b, c, d, e) + f; }
static int sum7(int a, int b, int c, int d, int e, int f, int g) { return sum6(a, b, c, d, e, f) + g; }
static int sum8(int a, int b, int c, int d, int e, int f, int g, int h) { return sum7(a, b, c, d, e, f, g) + h; }

static struct row dearer(struct row row, double by)
{
	row.price += by;
	return row;
}

static int checked(int x) { return x < 0 ? mppool_raise(EDOM, "%d is negative", x) : x; }

/* Procedures store through their last pointer, so that it can be seen that they ran with their own arguments. */
static int ran;
static void proc0(void) { ran = 100; }
static void proc1(int *to) { *to = 101; }
static void proc2(int a, int *to) { *to = a; }
static void proc3(int a, int b, int *to) { *to = a + b; }
static void proc4(int a, int b, int c, int *to) { *to = sum3(a, b, c); }
static void proc5(int a, int b, int c, int d, int *to) { *to = sum4(a, b, c, d); }
static void proc6(int a, int b, int c, int d, int e, int *to) { *to = sum5(a, b, c, d, e); }
static void proc7(int a, int b, int c, int d, int e, int f, int *to) { *to = sum6(a, b, c, d, e, f); }
static void proc8(int a, int b, int c, int d, int e, int f, int g, int *to) { *to = sum7(a, b, c, d, e, f, g); }

MPPOOL_FUNC(func0, int, seven);
MPPOOL_FUNC(func1, long, square, int);
MPPOOL_FUNC(func2, double, ratio, double, float);
MPPOOL_FUNC(func3, int, sum3, int, int, int);
MPPOOL_FUNC(func4, int, sum4, int, int, int, int);
MPPOOL_FUNC(func5, int, sum5, int, int, int, int, int);
MPPOOL_FUNC(func6, int, sum6, int, int, int, int, int, int);
MPPOOL_FUNC(func7, int, sum7, int, int, int, int, int, int, int);
MPPOOL_FUNC(func8, int, sum8, int, int, int, int, int, int, int, int);
MPPOOL_FUNC(length_task, size_t, length, const char *);
MPPOOL_FUNC(skip_task, const char *, skip, const char *, size_t);
MPPOOL_FUNC(dearer_task, struct row, dearer, struct row, double);
MPPOOL_FUNC(checked_task, int, checked, int);

MPPOOL_PROC(task0, proc0);
MPPOOL_PROC(task1, proc1, int *);
MPPOOL_PROC(task2, proc2, int, int *);
MPPOOL_PROC(task3, proc3, int, int, int *);
MPPOOL_PROC(task4, proc4, int, int, int, int *);
MPPOOL_PROC(task5, proc5, int, int, int, int, int *);
MPPOOL_PROC(task6, proc6, int, int, int, int, int, int *);
MPPOOL_PROC(task7, proc7, int, int, int, int, int, int, int *);
MPPOOL_PROC(task8, proc8, int, int, int, int, int, int, int, int *);

MPPOOL_PURE(pure0, int, seven);
MPPOOL_PURE(pure1, long, square, int);
MPPOOL_PURE(pure2, double, ratio, double, float);
MPPOOL_PURE(pure3, int, sum3, int, int, int);
MPPOOL_PURE(pure4, int, sum4, int, int, int, int);
MPPOOL_PURE(pure5, int, sum5, int, int, int, int, int);
MPPOOL_PURE(pure6, int, sum6, int, int, int, int, int, int);
MPPOOL_PURE(pure7, int, sum7, int, int, int, int, int, int, int);
MPPOOL_PURE(pure8, int, sum8, int, int, int, int, int, int, int, int);
MPPOOL_PURE(pure_skip, const char *, skip, const char *, size_t);
MPPOOL_PURE(pure_length, size_t, strlen, const char *);  /* a loop that cannot be vectorised */
MPPOOL_PURE(pure_dearer, struct row, dearer, struct row, double);

/* A function written by hand begins with the constant, and so do the other structs. */
static const struct mppool_func empty_func = MPPOOL_FUNC_INIT;
static const struct mppool_options empty_options = MPPOOL_OPTIONS_INIT;
static const struct mppool_call_options empty_call = MPPOOL_CALL_OPTIONS_INIT;
static const struct mppool_iterable empty_iterable = MPPOOL_ITERABLE_INIT;
static const struct mppool_counters empty_counters = MPPOOL_COUNTERS_INIT;

/* ------------------------------------------------------------------------------------------------------------- checks */

static void sizes(void)
{
	EXPECT(empty_func.size == sizeof empty_func && !empty_func.call && !empty_func.name);
	EXPECT(empty_options.size == sizeof empty_options && empty_options.workers == 0 && !empty_options.flags);
	EXPECT(empty_call.size == sizeof empty_call && !empty_call.codes && !empty_call.flags);
	EXPECT(empty_iterable.size == sizeof empty_iterable && !empty_iterable.length);
	EXPECT(empty_counters.size == sizeof empty_counters && !empty_counters.per_worker);
	EXPECT(empty_counters.per_worker_size == sizeof *empty_counters.per_worker);
	EXPECT(func0.nargs == 0 && func0.result_size == sizeof(int));
	EXPECT(func8.nargs == 8 && func8.arg_size[7] == sizeof(int) && !func8.chunk_call);
	EXPECT(task8.nargs == 8 && task8.result_size == 0 && task8.arg_size[7] == sizeof(int *));
	EXPECT(pure8.nargs == 8 && pure8.chunk_call && pure8.call);
	EXPECT(func2.arg_size[0] == sizeof(double) && func2.arg_size[1] == sizeof(float) && func2.arg_size[2] == 0);
}

#define FIVE 1, 2, 3, 4, 5
static const int one_to_five[] = {FIVE};

static void apply_all(mppool *pool)
{
	const int x = 3;
	const double a = 9.0;
	const float b = 2.0f;
	const char *const text = "pool";
	const size_t n = 2;
	const double by = 0.5;
	const struct row row = {'r', 1.5, 4};
	int y = 0;
	long square_of_x = 0;
	double quotient = 0.0;
	size_t size = 0;
	const char *rest = 0;
	struct row dear = {0, 0.0, 0};

	EXPECT(mppool_apply(pool, &func0, NULL, &y) == 0 && y == 7);
	EXPECT(mppool_apply(pool, &func1, MPPOOL_ARGS(&x), &square_of_x) == 0 && square_of_x == 9);
	EXPECT(mppool_apply(pool, &func2, MPPOOL_ARGS(&a, &b), &quotient) == 0 && quotient > 4.4 && quotient < 4.6);
	EXPECT(mppool_apply(pool, &func3, MPPOOL_ARGS(&x, &x, &x), &y) == 0 && y == 9);
	EXPECT(mppool_apply(pool, &func4, MPPOOL_ARGS(&x, &x, &x, &x), &y) == 0 && y == 12);
	EXPECT(mppool_apply(pool, &func5, MPPOOL_ARGS(&x, &x, &x, &x, &x), &y) == 0 && y == 15);
	EXPECT(mppool_apply(pool, &func6, MPPOOL_ARGS(&x, &x, &x, &x, &x, &x), &y) == 0 && y == 18);
	EXPECT(mppool_apply(pool, &func7, MPPOOL_ARGS(&x, &x, &x, &x, &x, &x, &x), &y) == 0 && y == 21);
	EXPECT(mppool_apply(pool, &func8, MPPOOL_ARGS(&x, &x, &x, &x, &x, &x, &x, &x), &y) == 0 && y == 24);
	EXPECT(mppool_apply(pool, &length_task, MPPOOL_ARGS(&text), &size) == 0 && size == 4);
	EXPECT(mppool_apply(pool, &skip_task, MPPOOL_ARGS(&text, &n), &rest) == 0 && rest == text + 2);
	EXPECT(mppool_apply(pool, &dearer_task, MPPOOL_ARGS(&row, &by), &dear) == 0 && dear.count == 4);
	EXPECT(dear.price > 1.9 && dear.price < 2.1);
}

static void apply_procedures(mppool *pool)
{
	const int x = 3;
	int y = 0;
	int *const to = &y;

	EXPECT(mppool_apply(pool, &task0, NULL, NULL) == 0 && ran == 100);
	EXPECT(mppool_apply(pool, &task1, MPPOOL_ARGS(&to), NULL) == 0 && y == 101);
	EXPECT(mppool_apply(pool, &task2, MPPOOL_ARGS(&x, &to), NULL) == 0 && y == 3);
	EXPECT(mppool_apply(pool, &task3, MPPOOL_ARGS(&x, &x, &to), NULL) == 0 && y == 6);
	EXPECT(mppool_apply(pool, &task4, MPPOOL_ARGS(&x, &x, &x, &to), NULL) == 0 && y == 9);
	EXPECT(mppool_apply(pool, &task5, MPPOOL_ARGS(&x, &x, &x, &x, &to), NULL) == 0 && y == 12);
	EXPECT(mppool_apply(pool, &task6, MPPOOL_ARGS(&x, &x, &x, &x, &x, &to), NULL) == 0 && y == 15);
	EXPECT(mppool_apply(pool, &task7, MPPOOL_ARGS(&x, &x, &x, &x, &x, &x, &to), NULL) == 0 && y == 18);
	EXPECT(mppool_apply(pool, &task8, MPPOOL_ARGS(&x, &x, &x, &x, &x, &x, &x, &to), NULL) == 0 && y == 21);
}

static void map_all(mppool *pool)
{
	const int hundred = 100;
	const struct row rows[2] = {{'a', 1.0, 10}, {'b', 2.0, 20}};
	const double prices[2] = {1.0, 3.0};
	const float halves[2] = {0.5f, 0.5f};
	const char *const texts[2] = {"map", "starmap"};
	const size_t skips[2] = {1, 4};
	const double by = 1.0;
	long squares[5];
	int sums[5];
	int raw[5];
	double quotients[2];
	const char *rests[2];
	size_t lengths[2];
	struct row dear[2];

	EXPECT(mppool_map(pool, &pure1, MPPOOL_ARRAY(one_to_five, 5), squares, 0) == 0 && squares[4] == 25);
	EXPECT(mppool_map(pool, &func1, MPPOOL_ARRAY(one_to_five, 5), squares, 1) == 0 && squares[3] == 16);
	EXPECT(mppool_starmap(pool, &pure0, MPPOOL_TIMES(5), raw, 0) == 0 && raw[0] == 7 && raw[4] == 7);
	EXPECT(mppool_starmap(pool, &pure2, MPPOOL_ZIP(2, MPPOOL_COLUMN(prices), MPPOOL_COLUMN(halves)), quotients,
	                      0) == 0 && quotients[1] > 5.9);
	EXPECT(mppool_starmap(pool, &pure3,
	                      MPPOOL_ZIP(5, MPPOOL_COLUMN(one_to_five), MPPOOL_REPEAT(&hundred),
	                                 MPPOOL_COLUMN(one_to_five)), sums, 2) == 0 && sums[4] == 110);
	EXPECT(mppool_starmap(pool, &func3,
	                      MPPOOL_ZIP(2, MPPOOL_MEMBER(rows, count), MPPOOL_REPEAT(&hundred),
	                                 MPPOOL_COLUMN(one_to_five)), sums, 0) == 0 && sums[1] == 122);
	EXPECT(mppool_starmap(pool, &pure4,
	                      MPPOOL_ZIP(1, MPPOOL_COLUMN(one_to_five), MPPOOL_COLUMN(one_to_five),
	                                 MPPOOL_COLUMN(one_to_five), MPPOOL_COLUMN(one_to_five)), sums, 0) == 0 &&
	       sums[0] == 4);
	EXPECT(mppool_starmap(pool, &pure8,
	                      MPPOOL_ZIP(5, MPPOOL_COLUMN(one_to_five), MPPOOL_COLUMN(one_to_five),
	                                 MPPOOL_COLUMN(one_to_five), MPPOOL_COLUMN(one_to_five),
	                                 MPPOOL_REPEAT(&hundred), MPPOOL_COLUMN(one_to_five),
	                                 MPPOOL_COLUMN(one_to_five), MPPOOL_COLUMN(one_to_five)), sums, 0) == 0 &&
	       sums[1] == 114);
	EXPECT(mppool_starmap(pool, &pure_skip, MPPOOL_ZIP(2, MPPOOL_COLUMN(texts), MPPOOL_COLUMN(skips)), rests,
	                      0) == 0 && strcmp(rests[1], "map") == 0);
	EXPECT(mppool_map(pool, &pure_length, MPPOOL_ARRAY(texts, 2), lengths, 0) == 0 && lengths[1] == 7);
	EXPECT(mppool_starmap(pool, &pure_dearer, MPPOOL_ZIP(2, MPPOOL_COLUMN(rows), MPPOOL_REPEAT(&by)), dear,
	                      0) == 0 && dear[1].price > 2.9 && dear[0].kind == 'a');
}

/* The chunk functions by themselves, dense and with strides, also those that no call above came to. */
static void chunks(void)
{
	const struct mppool_func *const pures[] = {&pure3, &pure4, &pure5, &pure6, &pure7, &pure8};
	const struct { int x, gap; } wide[] = {{1, 0}, {2, 0}, {3, 0}};

	for (size_t f = 0; f < sizeof pures / sizeof pures[0]; f++) {
		struct mppool_column columns[MPPOOL_MAX_ARGS];
		struct mppool_chunk chunk;
		size_t failed = SIZE_MAX;
		int results[3] = {0, 0, 0};
		const int nargs = (int)pures[f]->nargs;

		for (size_t i = 0; i < MPPOOL_MAX_ARGS; i++)
			columns[i] = MPPOOL_COLUMN(one_to_five);
		chunk.size = sizeof chunk;
		chunk.first = 0;
		chunk.count = 3;
		chunk.columns = columns;
		chunk.results = results;
		chunk.result_stride = sizeof results[0];
		chunk.failed = &failed;
		EXPECT(pures[f]->chunk_call(&chunk, NULL) == 0 && results[0] == nargs && results[2] == 3 * nargs);
		columns[0] = MPPOOL_MEMBER(wide, x);
		results[2] = 0;
		EXPECT(pures[f]->chunk_call(&chunk, NULL) == 0 && results[0] == nargs && results[2] == 3 * nargs);
		EXPECT(failed == SIZE_MAX);
	}
}

static void failures_have_messages(mppool *pool)
{
	const int x = -4;
	int y = 1;

	EXPECT(mppool_apply(pool, &checked_task, MPPOOL_ARGS(&x), &y) == MPPOOL_ETASK && y == 1);
	EXPECT(mppool_last_error()->code == EDOM && strcmp(mppool_last_error()->message, "-4 is negative") == 0);
}

#if HAVE_DESIGNATORS

static void count_results(const void *results, size_t n, void *userdata)
{
	(void)results;
	*(size_t *)userdata += n;
}

static void async(mppool *pool)
{
	size_t n = 0;
	long squares[5];
	mppool_result *result = 0;
	mppool_iter *iter = 0;
	long next = 0;

	EXPECT(mppool_map_async(pool, &pure1, MPPOOL_ARRAY(one_to_five, 5), NULL, 0,
	                        MPPOOL_CALL(.callback = count_results, .userdata = &n), &result) == 0);
	EXPECT(mppool_result_get(result, squares, MPPOOL_FOREVER) == 0 && squares[2] == 9 && n == 5);
	EXPECT(mppool_result_userdata(result) == &n);
	mppool_result_free(result);
	EXPECT(mppool_imap(pool, &func1, MPPOOL_ARRAY(one_to_five, 5), 1, 0, MPPOOL_CALL(.priority = 1), &iter) == 0);
	EXPECT(mppool_iter_next(iter, &next, NULL, MPPOOL_FOREVER) == 0 && next == 1);
	mppool_iter_free(iter);
}

static int with_returns(void)
{
	MPPOOL_WITH(pool, .workers = 1) {
		int y = 0;

		return mppool_apply(pool, &func0, NULL, &y) ? -1 : y;
	}
	return -1;
}

static void with_options(void)
{
	int turns = 0;
	int others = 0;

	MPPOOL_WITH(pool, .workers = 2, .name = "sugar") {
		async(pool);
		turns++;
	} else {
		others++;
	}
	EXPECT(turns == 1 && others == 0);
	MPPOOL_WITH(pool, .workers = -1) {
		EXPECT(!pool);
	} else {
		others++;
	}
	EXPECT(others == 1);
	MPPOOL_WITH(outer, .workers = 1)
		MPPOOL_WITH(inner, .workers = 1) {
			EXPECT(outer != inner);
			turns++;
			break;
		}
	EXPECT(turns == 2);
	EXPECT(with_returns() == 7);

	mppool *pool = 0;
	EXPECT(mppool_create(MPPOOL_OPTIONS(.workers = 1, .max_tasks_per_worker = 2), &pool) == 0);
	EXPECT(mppool_destroy(pool) == 0);
}

#else

static void with_options(void) {}

#endif

/* ---------------------------------------------------------------------- contexts, addresses, ranges, typed failures */

static double scaled(const struct row *by, double x) { return x * by->price; }
static void count_row(int *counter, struct row *row) { *counter += row->count; }
static int offset(const int *to, int x) { return x - *to; }
static int constant(const int *x) { return *x; }
static struct row row_of(int x)
{
	struct row row = {'r', 0, 0};

	if (x < 0)
		return MPPOOL_RAISE(struct row, EDOM, "no row %d", x);
	row.count = x;
	return row;
}
static const char *name_of(size_t x) { return x > 1 ? MPPOOL_RAISE(const char *, EDOM, "no name") : "name"; }

MPPOOL_FUNC_WITH(func_with, double, scaled, const struct row *, double);
MPPOOL_PROC_WITH(proc_with, count_row, int *, struct row *);
MPPOOL_PURE_WITH(pure_with, int, offset, const int *, int);
MPPOOL_FUNC_WITH(func_with_0, int, constant, const int *);
MPPOOL_PURE_WITH(pure_with_0, int, constant, const int *);
MPPOOL_FUNC(func_row_of, struct row, row_of, int);
MPPOOL_FUNC(func_name_of, const char *, name_of, size_t);

static void contexts(mppool *pool)
{
	static double prices[4] = {1, 2, 3, 4}, out[4];
	static struct row rows[3] = {{'a', 0, 10}, {'b', 0, 20}, {'c', 0, 30}};
	static const char *names[3];
	const struct row by = {'x', 2.5, 0};
	const int three = 3;
	int counter = 0, differences[4] = {0, 0, 0, 0};

	EXPECT(mppool_map(pool, MPPOOL_BIND(func_with, &by), MPPOOL_ARRAY(prices, 4), out, 0) == 0 && out[3] == 10);
	EXPECT(mppool_map(pool, MPPOOL_BIND(proc_with, &counter), MPPOOL_ZIP(3, MPPOOL_ADDRESS(rows)), 0, 3) == 0);
	EXPECT(counter == 60);
	EXPECT(mppool_map(pool, MPPOOL_BIND(pure_with, &three), MPPOOL_ZIP(4, MPPOOL_RANGE(int, 5)), differences, 0) == 0);
	EXPECT(differences[0] == 2 && differences[3] == 5);
	EXPECT(mppool_starmap(pool, MPPOOL_BIND(func_with_0, &three), MPPOOL_TIMES(4), differences, 0) == 0);
	EXPECT(mppool_starmap(pool, MPPOOL_BIND(pure_with_0, &three), MPPOOL_TIMES(4), differences, 0) == 0);
	EXPECT(differences[0] == 3 && differences[3] == 3);
	EXPECT(mppool_map(pool, &func_row_of, MPPOOL_ZIP(3, MPPOOL_RANGE(int, -1)), rows, 0) == MPPOOL_ETASK);
	EXPECT(rows[0].count == 0 && rows[2].count == 1);
	EXPECT(mppool_map(pool, &func_name_of, MPPOOL_ZIP(3, MPPOOL_RANGE(size_t, 0)), names, 0) == MPPOOL_ETASK);
	EXPECT(strcmp(names[1], "name") == 0 && !names[2]);
}

int main(void)
{
	int turns = 0;

	sizes();
	chunks();
	MPPOOL_WITH(pool) {
		apply_all(pool);
		apply_procedures(pool);
		map_all(pool);
		contexts(pool);
		failures_have_messages(pool);
		turns++;
	} else {
		turns = -1;
	}
	EXPECT(turns == 1);
	with_options();
	EXPECT(strcmp(mppool_strerrorname(MPPOOL_ETASK), "MPPOOL_ETASK") == 0);
	return failures > 0;
}
