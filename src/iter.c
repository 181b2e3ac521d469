/* layer 5: IMapIterator: the calls on iterators of every kind. */
#include "iter.h"

#include "error.h"
#include "sync.h"

MPP_PUBLIC int mppool_iter_next(mppool_iter *iter, void *ret_result, size_t *ret_index, double timeout)
{
	int64_t deadline;

	if (!iter)
		return mpp_report(mpp_fail(MPPOOL_ESTOP, "there is no iterator: the call that was to make it has failed"));
	if (mpp_fail_timeout(timeout, &deadline) != 0)
		return mpp_report(EINVAL);
	return mpp_report(iter->kind->next(iter, ret_result, ret_index, deadline));
}

MPP_PUBLIC int mppool_iter_cancel(mppool_iter *iter)
{
	return mpp_report(iter ? iter->kind->cancel(iter) : mpp_fail(EINVAL, "there is no iterator: iter is NULL"));
}

MPP_PUBLIC void mppool_iter_free(mppool_iter *iter)
{
	if (iter)
		iter->kind->free(iter);
}
