/* work_requests.c - a pool of work requests that is polled by hand, and gets three more workers while it runs.
 *
 * SPDX-License-Identifier: MIT
 *
 * In a pool with MPPOOL_CALLBACKS_POLL the callbacks run in mppool_poll(), on the thread that calls it: here the main
 * thread, between whatever else it has to do. mppool_resize() adds workers, or dismisses some, at any time. */
#define _XOPEN_SOURCE 700
#include <errno.h>
#include <mppool.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { REQUESTS = 12, TOGETHER = 6 };

static pthread_barrier_t barrier;

/* Nobody gets through before six are there: three workers alone get nowhere. */
static int square(int x)
{
	pthread_barrier_wait(&barrier);
	return x * x;
}
MPPOOL_FUNC(square_task, int, square, int);

static void answer(const void *results, size_t n, void *userdata)
{
	const int *request = userdata, *result = results;

	(void)n;
	printf("request %d: %d\n", *request, *result);
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
	int requests[REQUESTS];
	int workers = 3, polls = 0;
	size_t done = 0, run;
	mppool *pool;

	check(pthread_barrier_init(&barrier, NULL, TOGETHER), "pthread_barrier_init");
	check(mppool_create(MPPOOL_OPTIONS(.workers = workers, .callback_mode = MPPOOL_CALLBACKS_POLL), &pool),
	      "mppool_create");
	for (int i = 0; i < REQUESTS; i++) {
		requests[i] = i;
		check(square_task_apply_async(pool, requests[i],
		                              MPPOOL_CALL(.callback = answer, .userdata = &requests[i]), NULL),
		      "mppool_apply_async");
	}

	while (done < REQUESTS) {
		check(mppool_poll(pool, 0.01, &run), "mppool_poll");
		done += run;
		if (++polls == 5) {
			printf("after five polls: %zu done by %d workers\n", done, workers);
			workers += 3;
			check(mppool_resize(pool, workers), "mppool_resize");
		}
	}
	printf("in the end: %zu done by %d workers\n", done, workers);

	check(mppool_destroy(pool), "mppool_destroy");
	pthread_barrier_destroy(&barrier);
	check(fflush(stdout) || ferror(stdout) ? EIO : 0, "standard output");
	return EXIT_SUCCESS;
}
