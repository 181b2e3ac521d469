/* the code of mppool_map_with is ignored
 *
 * SPDX-License-Identifier: MIT
 *
 * gcc: ignoring return value of .*mppool_map_with
 * clang: ignoring return value of function declared with 'warn_unused_result' attribute
 * g++: ignoring return value of .*mppool_map_with
 * clang++: ignoring return value of function declared with 'warn_unused_result' attribute */
#include "mistakes.h"

int use(mppool *pool)
{
	mppool_result *result = NULL;
	mppool_iter *iter = NULL;
	mppool *other = NULL;
	const int xs[2] = {1, 2};
	long y = 0, ys[2] = {0, 0};
	int code = 0;

	(void)result;
	(void)iter;
	(void)other;
	(void)xs;
	(void)ys;
#ifndef MISTAKE
	code =
#endif
	mppool_map_with(pool, &square_task, MPPOOL_ARRAY(xs, 2), ys, 0, NULL);
	return code + (pool && y > 0);
}
