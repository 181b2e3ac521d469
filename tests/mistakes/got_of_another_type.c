/* the result of a handle, taken as another type
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
	mppool_result *result;
#ifdef MISTAKE
	float y;
#else
	double y;
#endif
	int code = half_task_apply_async(pool, 3, NULL, &result);

	if (code == 0) {
		code = half_task_get(result, &y, MPPOOL_FOREVER);
		mppool_result_free(result);
	}
	return code;
}
