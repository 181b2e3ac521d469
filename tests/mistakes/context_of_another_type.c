/* a pointer to another context than the function takes
 *
 * SPDX-License-Identifier: MIT
 *
 * c: incompatible pointer type
 * c++: cannot convert|no matching function|cannot initialize */
#include "mistakes.h"

static double scaled(const double *by, double x) { return *by * x; }
MPPOOL_FUNC_WITH(scaled_task, double, scaled, const double *, double);

int use(mppool *pool)
{
	const double by = 2.0;
	const int n = 2;
	double y = 0.0;

#ifdef MISTAKE
	return scaled_task_apply(pool, &n, by, &y);
#else
	return scaled_task_apply(pool, &by, n, &y);
#endif
}
