/* map_and_iterate.c - square some numbers in parallel, then use the results in the order of the input.
 *
 * SPDX-License-Identifier: MIT
 *
 * Python:
 *     with Pool(4) as pool:
 *         for x, y in zip(xs, pool.map(square, xs)):
 *             print(f"{x} squared is {y}") */
#include <errno.h>
#include <mppool.h>
#include <stdio.h>
#include <stdlib.h>

static long square(int x)
{
	return (long)x * x;
}
MPPOOL_PURE(square_task, long, square, int);

static void check(int code, const char *what)
{
	if (code) {
		fprintf(stderr, "%s: %s\n", what, mppool_strerror(code));
		exit(EXIT_FAILURE);
	}
}

int main(void)
{
	enum { N = 10 };
	int xs[N];
	long ys[N];
	mppool *pool;

	for (int i = 0; i < N; i++)
		xs[i] = i - 3;

	check(mppool_create(MPPOOL_OPTIONS(.workers = 4), &pool), "mppool_create");
	check(square_task_map(pool, xs, N, ys, 0), "mppool_map");
	check(mppool_destroy(pool), "mppool_destroy");

	for (int i = 0; i < N; i++)
		printf("%d squared is %ld\n", xs[i], ys[i]);
	check(fflush(stdout) || ferror(stdout) ? EIO : 0, "standard output");
	return EXIT_SUCCESS;
}
