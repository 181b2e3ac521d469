/* an array of results with fewer elements than there are items
 *
 * SPDX-License-Identifier: MIT
 *
 * clang: the array of results has fewer elements than there are items
 * clang++: the array of results has fewer elements than there are items */
#include "mistakes.h"

int use(mppool *pool)
{
	const int xs[3] = {1, 2, 3};
#ifdef MISTAKE
	long ys[2];
#else
	long ys[3];
#endif

	return square_task_map(pool, xs, 3, ys, 0);
}
