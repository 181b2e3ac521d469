/* a generator whose items are of another type than the task's arguments
 *
 * SPDX-License-Identifier: MIT
 *
 * all: int \(\*\)\((long( int)?) ?\*\)
 * all: int \(\*\)\(int ?\*\)|int \(int \*\) */
#include "mistakes.h"

struct walk {
	int at;
};

static int next_int(int *x, struct walk *walk) { return (*x = walk->at++) > 9 ? MPPOOL_ESTOP : 0; }
static int next_long(long *x, struct walk *walk) { return (*x = walk->at++) > 9 ? MPPOOL_ESTOP : 0; }
MPPOOL_GENERATOR(ints, next_int, struct walk, int);
MPPOOL_GENERATOR(longs, next_long, struct walk, long);

int use(mppool *pool)
{
	struct walk walk = {0};
	mppool_iter *iter;
#ifdef MISTAKE
	int code = square_task_imap_from(pool, MPPOOL_FROM(longs, &walk), 1, 0, NULL, &iter);
#else
	int code = square_task_imap_from(pool, MPPOOL_FROM(ints, &walk), 1, 0, NULL, &iter);
#endif

	if (code == 0)
		mppool_iter_free(iter);
	return code;
}
