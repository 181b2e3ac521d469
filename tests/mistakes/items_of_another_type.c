/* items of another type than the argument
 *
 * SPDX-License-Identifier: MIT
 *
 * c: passing argument 2 of .square_task_map.|incompatible pointer types passing 'const long\[3\]'
 * c: const int \*
 * c++: long( int)?( ?\*|\[3\])
 * c++: const int ?\* */
#include "mistakes.h"

int use(mppool *pool)
{
#ifdef MISTAKE
	const long xs[3] = {1, 2, 3};
#else
	const int xs[3] = {1, 2, 3};
#endif
	long ys[3];

	return square_task_map(pool, xs, 3, ys, 0);
}
