/* a generator's state of another type
 *
 * SPDX-License-Identifier: MIT
 *
 * c: incompatible pointer
 * all: struct walk ?\*|walk ?\*
 * all: struct row ?\*|row ?\* */
#include "mistakes.h"

struct walk {
	int at;
};

static int next_int(int *x, struct walk *walk) { return (*x = walk->at++) > 9 ? MPPOOL_ESTOP : 0; }
MPPOOL_GENERATOR(ints, next_int, struct walk, int);

int use(mppool *pool)
{
#ifdef MISTAKE
	struct row walk = {0};
#else
	struct walk walk = {0};
#endif
	long ys[10];

	return square_task_map_from(pool, MPPOOL_FROM(ints, &walk, 10), ys, 0);
}
