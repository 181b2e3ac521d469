/* callbacks.c - let a callback collect the results as they arrive.
 *
 * SPDX-License-Identifier: MIT
 *
 * Python:
 *     for n in ns:
 *         pool.apply_async(triangle, (n,), callback=totals.append)
 *     pool.map_async(triangle, ns, callback=...)
 *
 * Callbacks run one at a time, on the pool's result handler thread: they need no lock among themselves. They hold up
 * all later callbacks, so they should be short. After close and join all of them have returned. */
#include <errno.h>
#include <mppool.h>
#include <stdio.h>
#include <stdlib.h>

struct totals {
	long calls;
	long sum;
};

static long triangle(int n)
{
	return (long)n * (n + 1) / 2;
}
MPPOOL_FUNC(triangle_task, long, triangle, int);

/* Called once per call, with all its results: one for apply_async, n for map_async. */
static void add_up(const void *results, size_t n, void *userdata)
{
	const long *values = results;
	struct totals *totals = userdata;

	totals->calls++;
	for (size_t i = 0; i < n; i++)
		totals->sum += values[i];
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
	enum { N = 100 };
	struct totals one_by_one = {0, 0};
	struct totals at_once = {0, 0};
	int ns[N];
	mppool *pool;

	check(mppool_create(MPPOOL_OPTIONS(.workers = 4), &pool), "mppool_create");
	for (int i = 0; i < N; i++) {
		ns[i] = i + 1;
		check(triangle_task_apply_async(pool, ns[i],
		                                MPPOOL_CALL(.callback = add_up, .userdata = &one_by_one), NULL),
		      "mppool_apply_async");
	}
	check(triangle_task_map_async(pool, ns, N, NULL, 0, MPPOOL_CALL(.callback = add_up, .userdata = &at_once),
	                              NULL),
	      "mppool_map_async");
	check(mppool_close(pool), "mppool_close");
	check(mppool_join(pool, MPPOOL_FOREVER), "mppool_join");
	check(mppool_destroy(pool), "mppool_destroy");

	printf("apply_async: %ld callbacks, sum %ld\n", one_by_one.calls, one_by_one.sum);
	printf("map_async: %ld callback, sum %ld\n", at_once.calls, at_once.sum);
	check(fflush(stdout) || ferror(stdout) ? EIO : 0, "standard output");
	return EXIT_SUCCESS;
}
