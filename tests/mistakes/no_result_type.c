/* no result type
 *
 * SPDX-License-Identifier: MIT
 *
 * all: MPPOOL_FUNC: no result type, square is a function */
#include "mistakes.h"

#ifdef MISTAKE
MPPOOL_FUNC(other_task, square, int);
#else
MPPOOL_FUNC(other_task, long, square, int);
#endif
