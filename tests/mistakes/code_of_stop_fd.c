/* the code of mppool_stop_fd is ignored
 *
 * SPDX-License-Identifier: MIT
 *
 * gcc: ignoring return value of .*mppool_stop_fd
 * clang: ignoring return value of function declared with 'warn_unused_result' attribute
 * g++: ignoring return value of .*mppool_stop_fd
 * clang++: ignoring return value of function declared with 'warn_unused_result' attribute */
#include "mistakes.h"

int use(mppool *pool)
{
	mppool_result *result = NULL;
	mppool_iter *iter = NULL;
	mppool *other = NULL;
	const int xs[2] = {1, 2};
	long y = 0, ys[2] = {0, 0};
	int code = 0, fd = -1;

	(void)result;
	(void)iter;
	(void)other;
	(void)xs;
	(void)ys;
	(void)fd;
#ifndef MISTAKE
	code =
#endif
	mppool_stop_fd(&fd);
	return code + (pool && y > 0);
}
