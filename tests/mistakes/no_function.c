/* neither result type nor arguments
 *
 * SPDX-License-Identifier: MIT
 *
 * all: MPPOOL_FUNC\(name, R, f, T...\) takes a name, a result type and a function */
#include "mistakes.h"

static int seven(void) { return 7; }
#ifdef MISTAKE
MPPOOL_FUNC(seven_task, seven);
#else
MPPOOL_FUNC(seven_task, int, seven);
#endif
