/* the results of an iterator, taken as another type
 *
 * SPDX-License-Identifier: MIT
 *
 * c: incompatible pointer
 * c: int \*
 * c: long( int)? \*
 * c++: int ?\*
 * c++: long( int)? ?\* */
#include "mistakes.h"

int use(mppool *pool)
{
	const int xs[3] = {1, 2, 3};
	mppool_iter *iter;
#ifdef MISTAKE
	int y;
#else
	long y;
#endif
	int code = square_task_imap(pool, xs, 3, 1, 0, NULL, &iter);

	MPPOOL_FOR_EACH(each, square_task_next(iter, &y, NULL, MPPOOL_FOREVER))
		code += each;
	if (code == 0)
		mppool_iter_free(iter);
	return code;
}
