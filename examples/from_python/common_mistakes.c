/* common_mistakes.c - seven mistakes that are easily made, and what comes of them.
 *
 * SPDX-License-Identifier: MIT
 *
 * The compiler sees some of them: with -DMISTAKE=1, 2 or 4 it warns of this program, and newer ones refuse it. For who
 * gets past it, through a cast or from another language, there is what the library says. Nothing waits for ever. */
#include <errno.h>
#include <mppool.h>
#include <stdio.h>
#include <stdlib.h>

static int square(int x)
{
	return x * x;
}
MPPOOL_FUNC(square_task, int, square, int);

static int fail(void)
{
	return mppool_raise(EDOM, "somebody may want to know");
}
MPPOOL_FUNC(fail_task, int, fail);

static void check(int code, const char *what)
{
	if (code) {
		fprintf(stderr, "%s: %s\n", what, mppool_strerror(code));
		exit(EXIT_FAILURE);
	}
}

static void told(const char *what, int code)
{
	printf("%s\n  %s\n", what, code ? mppool_strerrorname(code) : "no complaint");
}

#ifdef MISTAKE
static void answer(void)
{
}

/* What is written here the compiler complains of. */
static int mistake(mppool *pool, const int *xs, int *ys)
{
#if MISTAKE == 1
	return mppool_apply(pool, square(3), NULL, ys);
#elif MISTAKE == 2
	return mppool_map(pool, square(3), MPPOOL_ARRAY(xs, 3), ys, 0);
#else
	return square_task_apply_async(pool, *xs, MPPOOL_CALL(.callback = answer), NULL);
#endif
}
#endif

/* Even without a result somebody may look: an error callback is told, and counts or prints. */
static void count_errors(const struct mppool_error *error, void *userdata)
{
	int *errors = userdata;

	(void)error;
	++*errors;
}

int main(void)
{
	static const int xs[] = {1, 2, 3};
	int ys[3];
	int errors = 0;
	mppool *pool;

	check(mppool_create(MPPOOL_OPTIONS(.workers = 2), &pool), "mppool_create");
#ifdef MISTAKE
	check(mistake(pool, xs, ys), "mistake");
#endif
	told("1. apply is given what the function returns", mppool_apply(pool, NULL, NULL, ys));
	told("2. map is given what the function returns", mppool_map(pool, NULL, MPPOOL_ARRAY(xs, 3), ys, 0));
	told("3. map is given no iterable", mppool_map(pool, &square_task, NULL, ys, 0));
	puts("4. a callback that takes other arguments\n  the compiler complains");
	told("5. nobody looks at the error",
	     fail_task_apply_async(pool, MPPOOL_CALL(.error_callback = count_errors, .userdata = &errors), NULL));
	told("6. join before close", mppool_join(pool, MPPOOL_FOREVER));
	check(mppool_close(pool), "mppool_close");
	told("7. a closed pool is given work", square_task_apply(pool, *xs, ys));

	check(mppool_join(pool, MPPOOL_FOREVER), "mppool_join");
	check(mppool_destroy(pool), "mppool_destroy");
	printf("  in 5. the error callback was told of %d error\n", errors);
	check(fflush(stdout) || ferror(stdout) ? EIO : 0, "standard output");
	return EXIT_SUCCESS;
}
