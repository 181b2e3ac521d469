/* the type of the context was forgotten
 *
 * SPDX-License-Identifier: MIT
 *
 * all: MPPOOL_FUNC_WITH\(name, R, f, C, T...\) takes a name, a result type, a function, a pointer */
#include "mistakes.h"

static int constant(const int *x) { return *x; }
#ifdef MISTAKE
MPPOOL_FUNC_WITH(task, int, constant);
#else
MPPOOL_FUNC_WITH(task, int, constant, const int *);
#endif
