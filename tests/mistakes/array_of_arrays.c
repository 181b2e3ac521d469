/* an array of character arrays for strings
 *
 * SPDX-License-Identifier: MIT
 *
 * c: incompatible pointer
 * c: const char ?\* ?const ?\*
 * c: char ?(\(\*\)\[16\]|\[3\]\[16\])
 * c++: const char ?\* ?const ?\*
 * c++: char ?(\(\*\)\[16\]|\[3\]\[16\]) */
#include "mistakes.h"

int use(mppool *pool)
{
#ifdef MISTAKE
	const char names[3][16] = {"a", "b", "c"};
#else
	const char *const names[3] = {"a", "b", "c"};
#endif
	size_t ys[3];

	return width_task_map(pool, names, 3, ys, 0);
}
