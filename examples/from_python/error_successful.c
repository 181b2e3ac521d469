/* error_successful.c - ask whether a task succeeded before asking for its result.
 *
 * SPDX-License-Identifier: MIT
 *
 * Python has to call get and catch to learn what the error was; mppool_result_error() just tells. */
#include <errno.h>
#include <mppool.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static pthread_mutex_t start = PTHREAD_MUTEX_INITIALIZER;        /* held until the tasks may start */

static int share(int cakes, int guests)
{
	pthread_mutex_lock(&start);
	pthread_mutex_unlock(&start);
	if (guests == 0)
		return mppool_raise(EDOM, "nobody to share %d cakes with", cakes);
	return cakes / guests;
}
MPPOOL_FUNC(share_task, int, share, int, int);

static void check(int code, const char *what)
{
	if (code) {
		fprintf(stderr, "%s: %s\n", what, mppool_strerror(code));
		exit(EXIT_FAILURE);
	}
}

int main(void)
{
	static const int cakes = 12, guests[] = {0, 4};
	mppool *pool;
	mppool_result *results[2];
	int successful;

	check(mppool_create(MPPOOL_OPTIONS(.workers = 2), &pool), "mppool_create");
	pthread_mutex_lock(&start);
	for (int i = 0; i < 2; i++)
		check(share_task_apply_async(pool, cakes, guests[i], NULL, &results[i]),
		      "mppool_apply_async");

	/* As long as the task runs, the question is an error itself. */
	if (mppool_result_successful(results[0], &successful) == MPPOOL_ENOTREADY)
		puts("not ready");
	pthread_mutex_unlock(&start);

	for (int i = 0; i < 2; i++) {
		check(mppool_result_wait(results[i], MPPOOL_FOREVER), "mppool_result_wait");
		check(mppool_result_successful(results[i], &successful), "mppool_result_successful");
		if (successful)
			printf("successful: %d\n", *(const int *)mppool_result_value(results[i]));
		else
			printf("failed\n  %s\n", mppool_result_error(results[i])->message);
		mppool_result_free(results[i]);
	}
	check(mppool_destroy(pool), "mppool_destroy");
	check(fflush(stdout) || ferror(stdout) ? EIO : 0, "standard output");
	return EXIT_SUCCESS;
}
