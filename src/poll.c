/* layer 5: callbacks run by the program's own threads: polling, and a descriptor for event loops. */
#include "pool.h"

/* 0: a pool of this process whose callbacks are polled. */
static int check(const mppool *pool)
{
	if (!pool || !mpp_pool_is_polled(pool))
		return EINVAL;
	return mpp_pool_is_foreign(pool) ? MPPOOL_EFORKED : 0;
}

MPP_PUBLIC int mppool_poll(mppool *pool, double timeout, size_t *ret_run)
{
	size_t unused;
	int64_t deadline;
	int error = check(pool);

	if (!error)
		error = mpp_deadline(timeout, &deadline);
	if (!error && mpp_frame_in_callback(pool))
		error = EDEADLK;
	return error ? error : mpp_callbacks_poll(pool, deadline, ret_run ? ret_run : &unused);
}

MPP_PUBLIC int mppool_fd(mppool *pool, int *ret_fd)
{
	int error = ret_fd ? check(pool) : EINVAL;

	return error ? error : mpp_callbacks_fd(pool, ret_fd);
}
