/* error_inside_task.c - a task that deals with its errors itself.
 *
 * SPDX-License-Identifier: MIT
 *
 * Nothing is raised, so for the pool nothing failed. C has no exception to catch: the task looks before it divides. */
#include <errno.h>
#include <mppool.h>
#include <stdio.h>
#include <stdlib.h>

static int share(int cakes, int guests)
{
	return guests ? cakes / guests : cakes;
}
MPPOOL_FUNC(share_task, int, share, int, int);

static void check(int code, const char *what)
{
	if (code) {
		fprintf(stderr, "%s: %s\n", what, mppool_strerror(code));
		exit(EXIT_FAILURE);
	}
}

static void invite(mppool *pool, int cakes, int guests)
{
	mppool_result *result;
	int each;

	check(share_task_apply_async(pool, cakes, guests, NULL, &result),
	      "mppool_apply_async");
	check(mppool_result_get(result, &each, MPPOOL_FOREVER), "mppool_result_get");
	printf("%d cakes, %d guests: %d each\n", cakes, guests, each);
	mppool_result_free(result);
}

int main(void)
{
	mppool *pool;

	check(mppool_create(MPPOOL_OPTIONS(.workers = 2), &pool), "mppool_create");
	invite(pool, 12, 0);
	invite(pool, 12, 4);
	check(mppool_destroy(pool), "mppool_destroy");
	check(fflush(stdout) || ferror(stdout) ? EIO : 0, "standard output");
	return EXIT_SUCCESS;
}
