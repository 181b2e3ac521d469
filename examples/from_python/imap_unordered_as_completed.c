/* imap_unordered_as_completed.c - use each result as soon as there is one, whatever the order of the input.
 *
 * SPDX-License-Identifier: MIT
 *
 * Python:
 *     for x, steps in pool.imap_unordered(collatz, xs):
 *         print(...)
 *
 * The items take differently long, so the lines come in a different order from run to run. Where Python's functions
 * return the item with the result to know which one it was, mppool_iter_next() tells its index. */
#include <errno.h>
#include <mppool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* Most steps that a number below the limit takes to reach 1 when even ones are halved and odd ones become 3n + 1. */
static int longest_collatz(uint32_t limit)
{
	int longest = 0;

	for (uint32_t start = 1; start < limit; start++) {
		int steps = 0;

		for (uint64_t n = start; n != 1; steps++)
			n = n % 2 ? 3 * n + 1 : n / 2;
		if (steps > longest)
			longest = steps;
	}
	return longest;
}
MPPOOL_FUNC(collatz_task, int, longest_collatz, uint32_t);

static void check(int code, const char *what)
{
	if (code) {
		fprintf(stderr, "%s: %s\n", what, mppool_strerror(code));
		exit(EXIT_FAILURE);
	}
}

int main(void)
{
	static const uint32_t limits[] = {20000, 10, 5000, 100, 3000, 1000};
	const size_t n = sizeof limits / sizeof *limits;
	mppool *pool;
	mppool_iter *iter;
	size_t index;
	int longest;
	int code;

	check(mppool_create(MPPOOL_OPTIONS(.workers = 3), &pool), "mppool_create");
	check(collatz_task_imap_unordered(pool, limits, n, 1, 0, NULL, &iter),
	      "mppool_imap_unordered");
	while ((code = mppool_iter_next(iter, &longest, &index, MPPOOL_FOREVER)) == 0)
		printf("below %u: %d steps\n", (unsigned)limits[index], longest);
	check(code == MPPOOL_ESTOP ? 0 : code, "mppool_iter_next");
	mppool_iter_free(iter);
	check(mppool_destroy(pool), "mppool_destroy");

	check(fflush(stdout) || ferror(stdout) ? EIO : 0, "standard output");
	return EXIT_SUCCESS;
}
