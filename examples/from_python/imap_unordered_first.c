/* imap_unordered_first.c - several searches race; the first that succeeds ends them all.
 *
 * SPDX-License-Identifier: MIT
 *
 * Python:
 *     with Pool(len(starts)) as pool:
 *         for factor in pool.imap_unordered(search, starts):
 *             break                       # leaving the block terminates the pool
 *
 * We look for a factor of a large number from several starting points at once. One search finds it within a moment,
 * the others would go on for seconds. A thread cannot be killed safely, so a long task asks now and then whether its
 * result is still wanted: mppool_should_stop(). */
#include <errno.h>
#include <inttypes.h>
#include <mppool.h>
#include <stdio.h>
#include <stdlib.h>

static const uint64_t number = UINT64_C(1000000007) * UINT64_C(1000000009);

/* The first divisor from start on. Start and number are odd. */
static uint64_t search(uint64_t start)
{
	uint64_t divisor = start;

	while (number % divisor) {
		divisor += 2;
		if (divisor % 65536 == 1 && mppool_should_stop()) {
			mppool_raise(ECANCELED, "another search was faster");
			return 0;
		}
	}
	return divisor;
}
MPPOOL_FUNC(search_task, uint64_t, search, uint64_t);

static void check(int code, const char *what)
{
	if (code) {
		fprintf(stderr, "%s: %s\n", what, mppool_strerror(code));
		exit(EXIT_FAILURE);
	}
}

/* The first factor that any search finds. */
static int first_factor(mppool *pool, const uint64_t *starts, size_t n, uint64_t *ret_factor)
{
	mppool_iter *iter;
	int code;

	code = search_task_imap_unordered(pool, starts, n, 1, 0, NULL, &iter);
	if (code)
		return code;
	code = mppool_iter_next(iter, ret_factor, NULL, MPPOOL_FOREVER);

	/* The other searches see should_stop from here on; mppool_iter_free() waits until they have seen it. */
	check(mppool_terminate(pool), "mppool_terminate");
	mppool_iter_free(iter);
	return code;
}

int main(void)
{
	enum { N = 11 };
	uint64_t starts[N];
	uint64_t factor;
	mppool *pool;

	for (unsigned i = 0; i < N; i++)
		starts[i] = i * UINT64_C(100000000) + (i == 0 ? 3 : 1);

	/* A worker for each search: none waits until another gives up. */
	check(mppool_create(MPPOOL_OPTIONS(.workers = N), &pool), "mppool_create");
	check(first_factor(pool, starts, N, &factor), "first_factor");
	check(mppool_join(pool, MPPOOL_FOREVER), "mppool_join");
	check(mppool_destroy(pool), "mppool_destroy");

	printf("%" PRIu64 " = %" PRIu64 " * %" PRIu64 "\n", number, factor, number / factor);
	check(fflush(stdout) || ferror(stdout) ? EIO : 0, "standard output");
	return EXIT_SUCCESS;
}
