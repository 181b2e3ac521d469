/* layer 5: callbacks run by the program's own threads: polling, and a descriptor for event loops. */
#include "pool.h"

/* 0: a pool of this process whose callbacks are polled. */
static int check(const mppool *pool)
{
	if (!pool)
		return mpp_fail(EINVAL, "there is no pool: pool is NULL");
	if (!mpp_pool_is_polled(pool))
		return mpp_fail(EINVAL, "the pool has a thread for its callbacks: callback_mode is not MPPOOL_CALLBACKS_POLL");
	return mpp_pool_is_foreign(pool) ? MPPOOL_EFORKED : 0;
}

MPP_PUBLIC int mppool_poll(mppool *pool, double timeout, size_t *ret_run)
{
	size_t unused;
	int64_t deadline;
	int error = check(pool);

	if (!error)
		error = mpp_fail_timeout(timeout, &deadline);
	if (!error && mpp_frame_in_callback(pool))
		error = mpp_fail(EDEADLK, "a callback must not wait for the next one");
	if (!error)
		error = mpp_callbacks_poll(pool, deadline, ret_run ? ret_run : &unused);
	return mpp_report(error);
}

MPP_PUBLIC int mppool_fd(mppool *pool, int *ret_fd)
{
	int error = ret_fd ? check(pool) : mpp_fail(EINVAL, "there is no place for the descriptor: ret_fd is NULL");

	return mpp_report(error ? error : mpp_callbacks_fd(pool, ret_fd));
}
