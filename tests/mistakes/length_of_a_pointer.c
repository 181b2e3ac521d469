/* the length of an array of which only the address is there
 *
 * SPDX-License-Identifier: MIT
 *
 * c: MPPOOL_LENGTH takes an array, and xs is a pointer
 * c++: no matching function for call to .mppool_cxx_length_ */
#include "mistakes.h"

int use(mppool *pool)
{
#ifdef MISTAKE
	static const int numbers[3] = {1, 2, 3};
	const int *xs = numbers;
#else
	static const int xs[3] = {1, 2, 3};
#endif
	long ys[3];

	return square_task_map(pool, xs, MPPOOL_LENGTH(xs), ys, 0);
}
