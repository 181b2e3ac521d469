/* a generator that makes items of another type than it says
 *
 * SPDX-License-Identifier: MIT
 *
 * c: incompatible pointer
 * all: int ?\*
 * all: long( int)? ?\* */
#include "mistakes.h"

struct walk {
	int at;
};

#ifdef MISTAKE
static int next(long *x, struct walk *walk)
#else
static int next(int *x, struct walk *walk)
#endif
{
	*x = walk->at++;
	return *x > 9 ? MPPOOL_ESTOP : 0;
}
MPPOOL_GENERATOR(numbers, next, struct walk, int);
