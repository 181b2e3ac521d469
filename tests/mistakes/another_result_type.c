/* a result type that is not the function's
 *
 * SPDX-License-Identifier: MIT
 *
 * all: MPPOOL_FUNC: the result type is not what the function returns, int */
#include "mistakes.h"

#ifdef MISTAKE
MPPOOL_FUNC(third_task, int, half, double);
#else
MPPOOL_FUNC(third_task, double, half, double);
#endif
