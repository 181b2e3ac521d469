/* an array of results of another type
 *
 * SPDX-License-Identifier: MIT
 *
 * c: incompatible pointer
 * c: int( ?\*|\[3\])
 * c: long( int)? \*
 * c++: long( int)? ?\*
 * c++: int ?\*|int\[3\] */
#include "mistakes.h"

int use(mppool *pool)
{
	const int xs[3] = {1, 2, 3};
#ifdef MISTAKE
	int ys[3];
#else
	long ys[3];
#endif

	return square_task_map(pool, xs, 3, ys, 0);
}
