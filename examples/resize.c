/* resize.c - a pool that grows while calls pile up, and shrinks when there is nothing to do.
 *
 * SPDX-License-Identifier: MIT
 *
 * Python's Pool keeps the number of its workers; the older threadpool module could do this by hand, with createWorkers
 * and dismissWorkers, between two polls.
 *
 * The main thread looks at the pool every few milliseconds. As long as more than two calls per worker wait it adds a
 * worker, up to a limit. When all is done it goes back to one. No call is lost by any of that. */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <inttypes.h>
#include <mppool.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { CALLS = 300, MOST = 5 };

static atomic_int finished;

/* What takes a while, and no processor: a request to another machine, say. */
static void request(int milliseconds)
{
	nanosleep(&(struct timespec){0, milliseconds * 1000000L}, NULL);
	atomic_fetch_add(&finished, 1);
}
MPPOOL_PROC(request_task, request, int);

static void check(int code, const char *what)
{
	if (code) {
		fprintf(stderr, "%s: %s\n", what, mppool_strerror(code));
		exit(EXIT_FAILURE);
	}
}

int main(void)
{
	struct mppool_counters c = MPPOOL_COUNTERS_INIT;
	const int milliseconds = 10;
	mppool *pool;
	int code;

	check(mppool_create(MPPOOL_OPTIONS(.workers = 1), &pool), "mppool_create");
	for (int i = 0; i < CALLS; i++)
		check(request_task_apply_async(pool, milliseconds, NULL, NULL),
		      "mppool_apply_async");

	while ((code = mppool_wait_idle(pool, 0.005)) == ETIMEDOUT) {
		check(mppool_stats(pool, &c), "mppool_stats");
		if (c.waiting > 2 * c.workers && c.workers < MOST) {
			check(mppool_resize(pool, (int)c.workers + 1), "mppool_resize");
			printf("%" PRIu64 " workers\n", c.workers + 1);
		}
	}
	check(code, "mppool_wait_idle");
	printf("%d calls done\n", atomic_load(&finished));

	check(mppool_resize(pool, 1), "mppool_resize");
	check(mppool_stats(pool, &c), "mppool_stats");
	printf("%" PRIu64 " worker, %" PRIu64 " at most\n", c.workers, c.workers_ever);
	check(mppool_destroy(pool), "mppool_destroy");
	check(fflush(stdout) || ferror(stdout) ? EIO : 0, "standard output");
	return EXIT_SUCCESS;
}
