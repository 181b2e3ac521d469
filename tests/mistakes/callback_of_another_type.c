/* a callback that reads results of another type
 *
 * SPDX-License-Identifier: MIT
 *
 * c: incompatible pointer
 * all: const int ?\*
 * all: const long( int)? ?\* */
#include "mistakes.h"

#ifdef MISTAKE
static void add(const int *results, size_t n, long *sum)
#else
static void add(const long *results, size_t n, long *sum)
#endif
{
	for (size_t i = 0; i < n; i++)
		*sum += results[i];
}
MPPOOL_CALLBACK(on_squares, square_task, add, long);
