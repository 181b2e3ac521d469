/* sizeof xs for the number of items
 *
 * SPDX-License-Identifier: MIT
 *
 * gcc: .square_task_map. reading 48 bytes from a region of size 12
 * clang: the number of items is greater than that of the array's elements
 * g++: square_task_map.* reading 48 bytes from a region of size 12
 * clang++: the number of items is greater than that of the array's elements */
#include "mistakes.h"

int use(mppool *pool)
{
	const int xs[3] = {1, 2, 3};
	long ys[12];

#ifdef MISTAKE
	return square_task_map(pool, xs, sizeof xs, ys, 0);
#else
	return square_task_map(pool, xs, MPPOOL_LENGTH(xs), ys, 0);
#endif
}
