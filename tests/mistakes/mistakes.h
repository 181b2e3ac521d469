/* mistakes.h - the functions and tasks of the files beside this one
 *
 * SPDX-License-Identifier: MIT */
#include <mppool.h>

struct row {
	long first;
};

static long square(int x) { return (long)x * x; }
static double half(double x) { return x / 2; }
static size_t width(const char *text) { return text[0] != 0; }
static long sum(struct row *row) { return row->first; }
static double part(double x, int n) { return x / n; }

MPPOOL_FUNC(square_task, long, square, int);
MPPOOL_FUNC(half_task, double, half, double);
MPPOOL_FUNC(width_task, size_t, width, const char *);
MPPOOL_FUNC(sum_task, long, sum, struct row *);
MPPOOL_FUNC(part_task, double, part, double, int);

int use(mppool *pool);
