/* errors_in_map.c - a failing item does not stop the others, and nothing that succeeded is lost.
 *
 * SPDX-License-Identifier: MIT
 *
 * Python:
 *     try:
 *         roots = pool.map(root, xs)
 *     except ValueError as error:
 *         print(error)                    # and all roots are lost
 *
 * Here the map returns MPPOOL_ETASK, mppool_last_error() describes the failed item of lowest index, and the results of
 * the other items are where they belong. With .codes the caller learns the outcome of every item. */
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

static void check(int code, const char *what)
{
	if (code) {
		fprintf(stderr, "%s: %s\n", what, mppool_strerror(code));
		exit(EXIT_FAILURE);
	}
}

int main(void)
{
	static const int xs[] = {16, 25, -1, 36, -4, 50};
	enum { N = sizeof xs / sizeof *xs };
	int roots[N];
	int codes[N];
	mppool *pool;
	mppool_result *result;
	int code;

	check(mppool_create(MPPOOL_OPTIONS(.workers = 2), &pool), "mppool_create");

	/* The first error is often all that matters. */
	code = root_task_map(pool, xs, N, roots, 0);
	if (code == MPPOOL_ETASK) {
		printf("the map failed: %s\n", mppool_last_error()->message);
	} else {
		check(code, "mppool_map");
	}

	/* If not, there is a code for each item. */
	check(root_task_map_async(pool, xs, N, roots, 0, MPPOOL_CALL(.codes = codes), &result),
	      "mppool_map_async");
	code = mppool_result_get(result, NULL, MPPOOL_FOREVER);
	if (code != MPPOOL_ETASK)
		check(code, "mppool_result_get");
	mppool_result_free(result);
	check(mppool_destroy(pool), "mppool_destroy");

	for (int i = 0; i < N; i++)
		if (codes[i])
			printf("%d: failed\n", xs[i]);
		else
			printf("%d: %d\n", xs[i], roots[i]);
	check(fflush(stdout) || ferror(stdout) ? EIO : 0, "standard output");
	return EXIT_SUCCESS;
}
