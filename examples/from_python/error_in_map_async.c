/* error_in_map_async.c - a map that fails later: the error callback hears of it, and get returns it.
 *
 * SPDX-License-Identifier: MIT
 *
 * The results of the items that succeeded are not lost: mppool_result_value() has them, and zero for the one that
 * failed. */
#include <errno.h>
#include <mppool.h>
#include <stdio.h>
#include <stdlib.h>

/* The whole part of the square root. */
static int root(int x)
{
	int r = 0;

	if (x < 0)
		return mppool_raise(EDOM, "%d has no square root", x);
	while ((r + 1) * (r + 1) <= x)
		r++;
	return r;
}
MPPOOL_FUNC(root_task, int, root, int);

/* Has returned before the result is ready, so that nothing is printed by two threads at once. */
static void report(const struct mppool_error *error, void *userdata)
{
	(void)userdata;
	printf("error callback: %s\n", error->message);
}

static void check(int code, const char *what)
{
	if (code) {
		fprintf(stderr, "%s: %s\n", what, mppool_strerror(code));
		exit(EXIT_FAILURE);
	}
}

int main(void)
{
	static const int xs[] = {16, 25, -1, 36};
	enum { N = sizeof xs / sizeof *xs };
	mppool *pool;
	mppool_result *result;
	const int *roots;
	int successful, code;

	check(mppool_create(MPPOOL_OPTIONS(.workers = 2), &pool), "mppool_create");
	check(root_task_map_async(pool, xs, N, NULL, 0, MPPOOL_CALL(.error_callback = report), &result),
	      "mppool_map_async");
	check(mppool_result_wait(result, MPPOOL_FOREVER), "mppool_result_wait");
	check(mppool_result_successful(result, &successful), "mppool_result_successful");
	printf("ready: %s, successful: %s\n", mppool_result_ready(result) ? "True" : "False",
	       successful ? "True" : "False");

	code = mppool_result_get(result, NULL, MPPOOL_FOREVER);
	if (code == MPPOOL_ETASK)
		printf("get: %s\n", mppool_last_error()->message);
	else
		check(code, "mppool_result_get");
	roots = mppool_result_value(result);
	printf("  the others: %d, %d, %d\n", roots[0], roots[1], roots[3]);

	mppool_result_free(result);
	check(mppool_destroy(pool), "mppool_destroy");
	check(fflush(stdout) || ferror(stdout) ? EIO : 0, "standard output");
	return EXIT_SUCCESS;
}
