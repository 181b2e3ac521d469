/* layer 5: IMapIterator: the calls on iterators of every kind. */
#include "iter.h"

#include "sync.h"

MPP_PUBLIC int mppool_iter_next(mppool_iter *iter, void *ret_result, size_t *ret_index, double timeout)
{
	int64_t deadline;

	if (!iter || mpp_deadline(timeout, &deadline) != 0)
		return EINVAL;
	return iter->kind->next(iter, ret_result, ret_index, deadline);
}

MPP_PUBLIC int mppool_iter_cancel(mppool_iter *iter)
{
	return iter ? iter->kind->cancel(iter) : EINVAL;
}

MPP_PUBLIC void mppool_iter_free(mppool_iter *iter)
{
	if (iter)
		iter->kind->free(iter);
}
