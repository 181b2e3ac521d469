/* as_completed.c - calls on two pools; each result is used as soon as it is there, whichever pool it comes from.
 *
 * SPDX-License-Identifier: MIT
 *
 * Python:
 *     for future in concurrent.futures.as_completed(futures):
 *         print(...)
 *
 * One pool has a worker for long sums, the other one two for short ones, so that no short sum waits behind a long one.
 * The lines come in a different order from run to run. A call that failed is handed out like the others, and freeing a
 * result that was handed out does not disturb the iterator. */
#include <errno.h>
#include <mppool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* The sum of the digits of 1 to n. */
static uint64_t sum_of_digits(uint32_t n)
{
	uint64_t sum = 0;

	if (n == 0)
		return (uint64_t)mppool_raise(EDOM, "there is nothing to add up");
	for (uint32_t i = 1; i <= n; i++)
		for (uint32_t rest = i; rest > 0; rest /= 10)
			sum += rest % 10;
	return sum;
}
MPPOOL_FUNC(sum_task, uint64_t, sum_of_digits, uint32_t);

static void check(int code, const char *what)
{
	if (code) {
		fprintf(stderr, "%s: %s\n", what, mppool_strerror(code));
		exit(EXIT_FAILURE);
	}
}

static void print_result(uint32_t n, mppool_result *result)
{
	uint64_t sum = 0;
	const int code = mppool_result_get(result, &sum, 0);

	if (code == MPPOOL_ETASK)
		printf("1 to %u: %s\n", (unsigned)n, mppool_last_error()->message);
	else
		check(code, "mppool_result_get");
	if (code == 0)
		printf("1 to %u: %llu\n", (unsigned)n, (unsigned long long)sum);
}

int main(void)
{
	enum { N = 8 };
	static const uint32_t numbers[N] = {5000000, 10, 2000000, 0, 1000, 100, 1000000, 10000};
	mppool_result *results[N];
	mppool_result *result;
	mppool_iter *iter;
	mppool *large;
	mppool *small;
	size_t i;
	int code;

	check(mppool_create(MPPOOL_OPTIONS(.workers = 1), &large), "mppool_create");
	check(mppool_create(MPPOOL_OPTIONS(.workers = 2), &small), "mppool_create");
	for (i = 0; i < N; i++)
		check(sum_task_apply_async(numbers[i] > 100000 ? large : small, numbers[i], NULL, &results[i]),
		      "mppool_apply_async");

	check(mppool_as_completed(results, N, &iter), "mppool_as_completed");
	while ((code = mppool_iter_next(iter, &result, &i, MPPOOL_FOREVER)) == 0) {
		print_result(numbers[i], result);
		mppool_result_free(result);
	}
	check(code == MPPOOL_ESTOP ? 0 : code, "mppool_iter_next");
	mppool_iter_free(iter);
	check(mppool_destroy(large), "mppool_destroy");
	check(mppool_destroy(small), "mppool_destroy");

	check(fflush(stdout) || ferror(stdout) ? EIO : 0, "standard output");
	return EXIT_SUCCESS;
}
