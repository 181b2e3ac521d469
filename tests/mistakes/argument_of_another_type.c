/* a string for a number
 *
 * SPDX-License-Identifier: MIT
 *
 * c: makes integer from pointer|incompatible pointer to integer
 * c: char ?(\*|\[2\])
 * c++: const char( ?\*|\[2\])
 * c++: int */
#include "mistakes.h"

int use(mppool *pool)
{
	long y;

#ifdef MISTAKE
	return square_task_apply(pool, "7", &y);
#else
	return square_task_apply(pool, 7, &y);
#endif
}
