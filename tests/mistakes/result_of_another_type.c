/* one result of another type
 *
 * SPDX-License-Identifier: MIT
 *
 * c: incompatible pointer
 * c: float \*
 * c: double \*
 * c++: float ?\*
 * c++: double ?\* */
#include "mistakes.h"

int use(mppool *pool)
{
#ifdef MISTAKE
	float y;
#else
	double y;
#endif

	return half_task_apply(pool, 3, &y);
}
