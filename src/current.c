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

MPP_PUBLIC int mppool_should_stop(void)
{
	const struct mpp_frame *f = mpp_frame_top;

	if (!f)
		return 0;
	if (f->pool_state && mpp_load(f->pool_state) > MPPOOL_CLOSED)
		return 1;
	if (f->stop && mpp_load(f->stop) & MPP_STOP)
		return 1;
	return f->deadline != MPP_NEVER && mpp_now() > f->deadline;
}

MPP_PUBLIC mppool *mppool_current(void)
{
	return mpp_frame_top ? mpp_frame_top->pool : NULL;
}
