/* a task inside a function
 *
 * SPDX-License-Identifier: MIT
 *
 * all: MPPOOL_FUNC stands outside of all functions */
#include "mistakes.h"

#ifdef MISTAKE
int use(mppool *pool)
{
	long y;
	MPPOOL_FUNC(inner_task, long, square, int);
	return mppool_apply(pool, &inner_task, NULL, &y);
}
#else
MPPOOL_FUNC(inner_task, long, square, int);
#endif
