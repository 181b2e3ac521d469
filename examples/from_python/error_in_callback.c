/* error_in_callback.c - a callback that finds something wrong leaves word where its caller looks.
 *
 * SPDX-License-Identifier: MIT
 *
 * A callback returns nothing, so that it cannot fail: the result becomes ready all the same, and after it all others.
 * What went wrong goes to the userdata. Nobody needs a lock: the callback has returned before the result is ready. */
#include <errno.h>
#include <mppool.h>
#include <stdio.h>
#include <stdlib.h>

static long square(int x)
{
	return (long)x * x;
}
MPPOOL_FUNC(square_task, long, square, int);

struct store {
	int error;
};

static void store(const void *results, size_t n, void *userdata)
{
	const long *y = results;
	struct store *store = userdata;

	(void)n;
	printf("callback: %ld does not fit\n", *y);
	store->error = ENOSPC;
}

static void check(int code, const char *what)
{
	if (code) {
		fprintf(stderr, "%s: %s\n", what, mppool_strerror(code));
		exit(EXIT_FAILURE);
	}
}

static long get_and_free(mppool_result *result)
{
	long y;

	check(mppool_result_get(result, &y, MPPOOL_FOREVER), "mppool_result_get");
	mppool_result_free(result);
	return y;
}

int main(void)
{
	const int three = 3, four = 4;
	struct store room = {0};
	mppool *pool;
	mppool_result *result, *later;

	check(mppool_create(MPPOOL_OPTIONS(.workers = 2), &pool), "mppool_create");
	check(square_task_apply_async(pool, three, MPPOOL_CALL(.callback = store, .userdata = &room), &result),
	      "mppool_apply_async");
	printf("  the result is %ld\n", get_and_free(result));
	printf("  the callback says %s\n", mppool_strerrorname(room.error));
	check(square_task_apply_async(pool, four, NULL, &later), "mppool_apply_async");
	printf("  a later result is %ld\n", get_and_free(later));

	check(mppool_destroy(pool), "mppool_destroy");
	check(fflush(stdout) || ferror(stdout) ? EIO : 0, "standard output");
	return EXIT_SUCCESS;
}
