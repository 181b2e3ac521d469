/* as_completed_and_wait.c - concurrent.futures: each result as it is completed, and waiting for several at once.
 *
 * SPDX-License-Identifier: MIT
 *
 * A group is an array of results; a result may be in several. mppool_wait() counts those that are ready, and
 * mppool_result_ready() tells which: Python's two sets. Its time limit is a code, ETIMEDOUT. */
#include <errno.h>
#include <mppool.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;         /* held while tasks that come to it should wait */

/* How many steps the number takes to 1, when even ones are halved and odd ones become 3n + 1. */
static int steps(long n)
{
	int count = 0;

	if (n < 1)
		return mppool_raise(EDOM, "%ld never gets there", n);
	for (; n != 1; count++)
		n = n % 2 ? 3 * n + 1 : n / 2;
	return count;
}
MPPOOL_FUNC(steps_task, int, steps, long);

static int late_steps(long n)
{
	pthread_mutex_lock(&gate);
	pthread_mutex_unlock(&gate);
	return steps(n);
}
MPPOOL_FUNC(late_task, int, late_steps, long);

static void check(int code, const char *what)
{
	if (code) {
		fprintf(stderr, "%s: %s\n", what, mppool_strerror(code));
		exit(EXIT_FAILURE);
	}
}

static mppool_result *submit(mppool *pool, const struct mppool_func *task, long n)
{
	mppool_result *result;

	check(mppool_apply_async(pool, task, MPPOOL_ARGS(&n), NULL, &result), "mppool_apply_async");
	return result;
}

/* In any order */
static void print_as_completed(mppool *pool)
{
	static const long ns[] = {27, 97, 871, 6171};
	enum { N = sizeof ns / sizeof *ns };
	mppool_result *results[N], *result;
	mppool_iter *iter;
	size_t i;
	int count, code;

	for (i = 0; i < N; i++)
		results[i] = submit(pool, &steps_task, ns[i]);
	check(mppool_as_completed(results, N, &iter), "mppool_as_completed");
	while ((code = mppool_iter_next(iter, &result, &i, MPPOOL_FOREVER)) == 0) {
		check(mppool_result_get(result, &count, 0), "mppool_result_get");
		printf("%ld takes %d steps\n", ns[i], count);
		mppool_result_free(result);
	}
	check(code == MPPOOL_ESTOP ? 0 : code, "mppool_iter_next");
	mppool_iter_free(iter);
}

static void report(const char *what, mppool_result *const *results, size_t n, int when, double timeout)
{
	const int code = mppool_wait(results, n, when, timeout, NULL);
	size_t done = 0;

	check(code == ETIMEDOUT ? 0 : code, "mppool_wait");
	for (size_t i = 0; i < n; i++)
		done += mppool_result_ready(results[i]) == 1;
	printf("%s: %zu done, %zu not\n", what, done, n - done);
}

static void print_waits(mppool *pool)
{
	mppool_result *results[3];
	int count;

	pthread_mutex_lock(&gate);
	results[0] = submit(pool, &steps_task, 6);
	results[1] = submit(pool, &late_task, 703);
	report("first completed", results, 2, MPPOOL_FIRST_COMPLETED, MPPOOL_FOREVER);
	results[2] = submit(pool, &steps_task, -1);
	report("first failed", results + 1, 2, MPPOOL_FIRST_FAILED, MPPOOL_FOREVER);
	report("time limit", results, 2, MPPOOL_ALL_COMPLETED, 0.01);
	pthread_mutex_unlock(&gate);
	report("all", results, 3, MPPOOL_ALL_COMPLETED, MPPOOL_FOREVER);

	check(mppool_result_get(results[1], &count, 0), "mppool_result_get");
	printf("the late one takes %d steps\n", count);
	printf("the failed one: %s\n", mppool_result_error(results[2])->message);
	for (int i = 0; i < 3; i++)
		mppool_result_free(results[i]);
}

int main(void)
{
	mppool *pool;

	check(mppool_create(MPPOOL_OPTIONS(.workers = 3), &pool), "mppool_create");
	print_as_completed(pool);
	print_waits(pool);
	check(mppool_destroy(pool), "mppool_destroy");
	check(fflush(stdout) || ferror(stdout) ? EIO : 0, "standard output");
	return EXIT_SUCCESS;
}
