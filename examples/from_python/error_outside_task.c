/* error_outside_task.c - a task fails, and whoever asks for its result deals with it.
 *
 * SPDX-License-Identifier: MIT
 *
 * The exception that Python raises again is here a code, MPPOOL_ETASK, and mppool_last_error() has what the task said:
 * a code of its own, a message, and the place of the item. */
#include <errno.h>
#include <mppool.h>
#include <stdio.h>
#include <stdlib.h>

static int share(int cakes, int guests)
{
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

/* What did the task say? Any other failure is none of the task's. */
static void catch(int code, const char *what)
{
	if (code == MPPOOL_ETASK)
		printf("%s: %s\n", what, mppool_last_error()->message);
	else
		check(code, what);
}

int main(void)
{
	const int dozen = 12, seven = 7, nobody = 0;
	mppool *pool;
	mppool_result *result;
	int each;

	check(mppool_create(MPPOOL_OPTIONS(.workers = 2), &pool), "mppool_create");

	/* From apply the failure comes at once, from apply_async when get is called. */
	catch(share_task_apply(pool, dozen, nobody, &each), "apply");

	check(share_task_apply_async(pool, seven, nobody, NULL, &result),
	      "mppool_apply_async");
	catch(mppool_result_get(result, &each, MPPOOL_FOREVER), "get");
	mppool_result_free(result);

	check(mppool_destroy(pool), "mppool_destroy");
	check(fflush(stdout) || ferror(stdout) ? EIO : 0, "standard output");
	return EXIT_SUCCESS;
}
