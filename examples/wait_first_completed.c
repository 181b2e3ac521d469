/* wait_first_completed.c - a few calls under way, never more; a new one begins whenever one is ready.
 *
 * SPDX-License-Identifier: MIT
 *
 * Python:
 *     pending = {pool.submit(search, part) for part in islice(parts, 4)}
 *     while pending:
 *         done, pending = wait(pending, return_when=FIRST_COMPLETED)
 *         ...
 *
 * Whether there is a next call depends on what the last ones found: we count primes, part by part, until we have so many.
 * To submit all parts there are would be a waste, and to wait for one before the next is submitted a waste as well. */
#include <errno.h>
#include <mppool.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

enum { PART = 20000, UNDER_WAY = 4, ENOUGH = 100000 };

static bool is_prime(int n)
{
	for (int d = 3; d <= n / d; d += 2)
		if (n % d == 0)
			return false;
	return n == 2 || (n > 2 && n % 2);
}

/* Primes from PART * part on, PART numbers. */
static int count_primes(int part)
{
	int count = 0;

	for (int n = PART * part; n < PART * (part + 1); n++)
		count += is_prime(n);
	return count;
}
MPPOOL_FUNC(count_task, int, count_primes, int);

static void check(int code, const char *what)
{
	if (code) {
		fprintf(stderr, "%s: %s\n", what, mppool_strerror(code));
		exit(EXIT_FAILURE);
	}
}

static mppool_result *submit(mppool *pool, int part)
{
	mppool_result *result;

	check(count_task_apply_async(pool, part, NULL, &result), "mppool_apply_async");
	return result;
}

/* Adds up those that are ready, and closes the gaps that they leave. */
static size_t collect(mppool_result **pending, size_t n, int *total)
{
	size_t left = 0;
	int count;

	for (size_t i = 0; i < n; i++) {
		if (!mppool_result_ready(pending[i])) {
			pending[left++] = pending[i];
			continue;
		}
		check(mppool_result_get(pending[i], &count, 0), "mppool_result_get");
		*total += count;
		mppool_result_free(pending[i]);
	}
	return left;
}

int main(void)
{
	mppool_result *pending[UNDER_WAY];
	mppool *pool;
	size_t n = 0;
	size_t ready;
	int part = 0;
	int total = 0;

	check(mppool_create(MPPOOL_OPTIONS(.workers = 2), &pool), "mppool_create");
	while (n > 0 || total < ENOUGH) {
		while (n < UNDER_WAY && total < ENOUGH)
			pending[n++] = submit(pool, part++);
		check(mppool_wait(pending, n, MPPOOL_FIRST_COMPLETED, MPPOOL_FOREVER, &ready), "mppool_wait");
		n = collect(pending, n, &total);
	}
	check(mppool_destroy(pool), "mppool_destroy");

	/* 65 parts are enough. How many more had begun by then differs from run to run. */
	printf("%d primes were %s, with %s\n", ENOUGH, total >= ENOUGH ? "found" : "missed",
	       part < 65 + 2 * UNDER_WAY ? "few parts too many" : "many parts too many");
	check(fflush(stdout) || ferror(stdout) ? EIO : 0, "standard output");
	return EXIT_SUCCESS;
}
