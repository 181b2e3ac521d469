/* layer 5: what a task, an initializer or a generator may ask about itself. */
#include "pool.h"

MPP_PUBLIC int mppool_worker_index(void)
{
	return mpp_frame_top ? mpp_frame_top->worker_index : -1;
}

MPP_PUBLIC void *mppool_worker_state(void)
{
	return mpp_frame_top ? mpp_frame_top->worker_state : NULL;
}

MPP_PUBLIC size_t mppool_item_index(void)
{
	const struct mpp_frame *f = mpp_frame_top;

	return f && (f->role == MPP_TASK || f->role == MPP_GENERATOR) ? f->index : 0;
}

/* MPP_STOP comes after the halt's code, which is constant from then on. */
static int reason_of(const struct mpp_job *job)
{
	const struct mpp_multi *m;

	if (!job || job->kind == MPP_SINGLE)
		return ECANCELED;
	m = mpp_multi_of(job);
	return m->failed_fast ? MPPOOL_ETASK : m->halt_code;
}

static int reason_in(const struct mpp_frame *f)
{
	int code;

	if (f->stop && mpp_load_seq(f->stop) & MPP_STOP)
		return reason_of(f->job);
	code = mpp_frame_pool_stopped(f);
	if (code != 0)
		return code;
	return f->deadline != MPP_NEVER && mpp_now() > f->deadline ? ETIMEDOUT : 0;
}

MPP_PUBLIC int mppool_stop_reason(void)
{
	return mpp_frame_top ? reason_in(mpp_frame_top) : 0;
}

MPP_PUBLIC int mppool_should_stop(void)
{
	return mppool_stop_reason() != 0;
}

static int stop_fd(struct mpp_frame *f, int *ret_fd)
{
	int error;

	if (!ret_fd)
		return mpp_fail(EINVAL, "there is no place for the descriptor: ret_fd is NULL");
	if (!f || (f->role != MPP_TASK && f->role != MPP_GENERATOR && f->role != MPP_INITIALIZER))
		return mpp_fail(EINVAL, "only tasks, generators and initializers are told to stop");
	if (mpp_pool_is_foreign(f->pool))
		return MPPOOL_EFORKED;
	error = mpp_stop_open(f, ret_fd);
	if (error)
		return mpp_failf(error, "the system gives no descriptor: %s", mppool_strerror(error));
	if (reason_in(f))
		mpp_stop_raise(f);
	return 0;
}

MPP_PUBLIC int mppool_stop_fd(int *ret_fd)
{
	return mpp_report(stop_fd(mpp_frame_top, ret_fd));
}

MPP_PUBLIC mppool *mppool_current(void)
{
	return mpp_frame_top ? mpp_frame_top->pool : NULL;
}
