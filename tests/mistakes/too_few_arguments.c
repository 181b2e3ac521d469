/* fewer arguments than the function has
 *
 * SPDX-License-Identifier: MIT
 *
 * gcc: too few arguments to function .part_task_apply.
 * clang: too few arguments to function call, expected 4, have 3
 * g++: too few arguments to function .*part_task_apply
 * clang++: requires 4 arguments, but 3 were provided */
#include "mistakes.h"

int use(mppool *pool)
{
	double y;

#ifdef MISTAKE
	return part_task_apply(pool, 1.0, &y);
#else
	return part_task_apply(pool, 1.0, 2, &y);
#endif
}
