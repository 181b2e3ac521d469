/* same_code.c - the same calls, typed and untyped, for check-mistakes.sh
 *
 * SPDX-License-Identifier: MIT */
#include <mppool.h>

static long square(int x) { return (long)x * x; }
MPPOOL_FUNC(square_task, long, square, int);
static double ratio(double a, float b) { return a / (double)b; }
MPPOOL_FUNC(ratio_task, double, ratio, double, float);

int call_map(mppool *pool, const int *xs, size_t n, long *ys);
int call_apply(mppool *pool, int x, long *y);
int call_starmap(mppool *pool, const double *as, const float *bs, size_t n, double *ys);
int call_imap(mppool *pool, const int *xs, size_t n, mppool_iter **iter);
int call_get(mppool_result *result, long *y);
int call_next(mppool_iter *iter, long *y);

#ifdef TYPED

int call_map(mppool *pool, const int *xs, size_t n, long *ys) { return square_task_map(pool, xs, n, ys, 4); }
int call_apply(mppool *pool, int x, long *y) { return square_task_apply(pool, x, y); }
int call_starmap(mppool *pool, const double *as, const float *bs, size_t n, double *ys)
{
	return ratio_task_starmap(pool, as, bs, n, ys, 0);
}
int call_imap(mppool *pool, const int *xs, size_t n, mppool_iter **iter)
{
	return square_task_imap(pool, xs, n, 1, 2, NULL, iter);
}
int call_get(mppool_result *result, long *y) { return square_task_get(result, y, 1.0); }
int call_next(mppool_iter *iter, long *y) { return square_task_next(iter, y, NULL, 1.0); }

#else

int call_map(mppool *pool, const int *xs, size_t n, long *ys)
{
	return mppool_map(pool, &square_task, MPPOOL_ARRAY(xs, n), ys, 4);
}
int call_apply(mppool *pool, int x, long *y) { return mppool_apply(pool, &square_task, MPPOOL_ARGS(&x), y); }
int call_starmap(mppool *pool, const double *as, const float *bs, size_t n, double *ys)
{
	return mppool_starmap(pool, &ratio_task, MPPOOL_ZIP(n, MPPOOL_COLUMN(as), MPPOOL_COLUMN(bs)), ys, 0);
}
int call_imap(mppool *pool, const int *xs, size_t n, mppool_iter **iter)
{
	return mppool_imap(pool, &square_task, MPPOOL_ARRAY(xs, n), 1, 2, NULL, iter);
}
int call_get(mppool_result *result, long *y) { return mppool_result_get(result, y, 1.0); }
int call_next(mppool_iter *iter, long *y) { return mppool_iter_next(iter, y, NULL, 1.0); }

#endif
