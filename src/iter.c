/* layer 5: IMapIterator: the calls on iterators of every kind. */
#include "iter.h"

#include "error.h"
#include "sync.h"

MPP_PUBLIC int mppool_iter_next(mppool_iter *iter, void *ret_result, size_t *ret_index, double timeout)
{
	struct mpp_bar *bar;
	int64_t deadline;

	if (!iter)
		return mpp_report(mpp_fail(MPPOOL_ESTOP, "there is no iterator: the call that was to make it has failed"));
	if (mpp_fail_timeout(timeout, &deadline) != 0)
		return mpp_report(EINVAL);
	bar = mpp_load(&iter->bar);
	if (mpp_unlikely(bar != NULL))
		return mpp_report(mpp_bar_next(bar, ret_result, ret_index, deadline));
	return mpp_report(iter->kind->next(iter, ret_result, ret_index, deadline));
}

static int no_iterator(void)
{
	return mpp_fail(EINVAL, "there is no iterator: iter is NULL");
}

MPP_PUBLIC int mppool_iter_cancel(mppool_iter *iter)
{
	return mpp_report(iter ? iter->kind->cancel(iter) : no_iterator());
}

MPP_PUBLIC void mppool_iter_free(mppool_iter *iter)
{
	if (!iter)
		return;
	mpp_bar_free(mpp_load(&iter->bar));
	iter->kind->free(iter);
}

MPP_PUBLIC int mppool_iter_progress(mppool_iter *iter, size_t *ret_done, size_t *ret_total)
{
	size_t done, total;
	int error = iter ? iter->kind->progress(iter, &done, &total) : no_iterator();

	if (!error && ret_done)
		*ret_done = done;
	if (!error && ret_total)
		*ret_total = total;
	return mpp_report(error);
}

MPP_PUBLIC int mppool_iter_fd(mppool_iter *iter, int *ret_fd)
{
	int error = iter ? 0 : no_iterator();

	if (!error && !ret_fd)
		error = mpp_fail(EINVAL, "there is no place for the descriptor: ret_fd is NULL");
	return mpp_report(error ? error : iter->kind->fd(iter, ret_fd));
}

static int progress_bar(mppool_iter *iter, int fd, const char *label)
{
	struct mpp_bar *bar, *none = NULL;
	size_t done, total;
	int error = iter ? iter->kind->progress(iter, &done, &total) : no_iterator();

	if (error)
		return error;
	bar = mpp_bar_new(iter, fd, label);
	if (!bar)
		return ENOMEM;
	if (mpp_cas(&iter->bar, &none, bar))
		return 0;
	mpp_bar_free(bar);
	return mpp_fail(EALREADY, "the iterator has a progress bar already");
}

MPP_PUBLIC int mppool_iter_progress_bar(mppool_iter *iter, int fd, const char *label)
{
	return mpp_report(progress_bar(iter, fd, label));
}
