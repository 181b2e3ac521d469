/* map of a function of two arguments
 *
 * SPDX-License-Identifier: MIT
 *
 * c: (implicit declaration of function|implicit declaration of function) .part_task_map.
 * c++: .part_task_map.( was not declared)?|undeclared identifier 'part_task_map' */
#include "mistakes.h"

int use(mppool *pool)
{
	const double xs[2] = {1, 2};
	double ys[2];

#ifdef MISTAKE
	return part_task_map(pool, xs, 2, ys, 0);
#else
	const int ns[2] = {1, 2};

	return part_task_starmap(pool, xs, ns, 2, ys, 0);
#endif
}
