/* an array of structs for a function that takes pointers to them
 *
 * SPDX-License-Identifier: MIT
 *
 * c: incompatible pointer
 * c: struct row ?\* ?const ?\*
 * c++: row ?\* ?const ?\* */
#include "mistakes.h"

int use(mppool *pool)
{
	struct row rows[2] = {{1}, {2}};
	long ys[2];

#ifdef MISTAKE
	return sum_task_map(pool, rows, 2, ys, 0);
#else
	struct row *const pointers[2] = {&rows[0], &rows[1]};

	return sum_task_map(pool, pointers, 2, ys, 0);
#endif
}
