/* more arguments than there can be
 *
 * SPDX-License-Identifier: MIT
 *
 * all: MPPOOL_FUNC takes functions of at most 8 arguments */
#include "mistakes.h"

static int f8(int a, int b, int c, int d, int e, int f, int g, int h) { return a + b + c + d + e + f + g + h; }
#ifdef MISTAKE
static int f9(int a, int b, int c, int d, int e, int f, int g, int h, int i) { return f8(a, b, c, d, e, f, g, h) + i; }
MPPOOL_FUNC(task, int, f9, int, int, int, int, int, int, int, int, int);
#else
MPPOOL_FUNC(task, int, f8, int, int, int, int, int, int, int, int);
#endif
