/* static before the macro, which makes everything static by itself
 *
 * SPDX-License-Identifier: MIT
 *
 * all: MPPOOL_TAKES_NO_STATIC_BEFORE_IT_ */
#include "mistakes.h"

#ifdef MISTAKE
static MPPOOL_FUNC(other_task, long, square, int);
#else
MPPOOL_FUNC(other_task, long, square, int);
#endif
