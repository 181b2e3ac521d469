/* layer 5: AsyncResult. */
#include "wait.h"

static bool has_ended(const struct mpp_job *job)
{
	return mpp_load(&job->state) & MPP_ENDED;
}

/* Of an ended job: where its results are, and how many bytes. */
static const void *results_of(const struct mpp_job *job, size_t *ret_bytes)
{
	size_t size = job->func->f.result_size;

	if (job->kind == MPP_SINGLE) {
		*ret_bytes = size;
		return size ? mpp_single_result(job) : NULL;
	}
	*ret_bytes = size * mpp_multi_length(mpp_multi_of(job));
	return mpp_multi_of(job)->results;
}

static int wait_for(struct mpp_job *job, double timeout, bool help_from_outside)
{
	int64_t deadline;

	if (!job || mpp_deadline(timeout, &deadline) != 0)
		return EINVAL;
	return mpp_job_is_foreign(job) ? MPPOOL_EFORKED : mpp_wait_for(job, deadline, help_from_outside);
}

MPP_PUBLIC int mppool_result_wait(mppool_result *result, double timeout)
{
	return wait_for(mpp_job_of(result), timeout, false);
}

MPP_PUBLIC int mppool_result_get(mppool_result *result, void *ret_results, double timeout)
{
	struct mpp_job *job = mpp_job_of(result);
	const void *results;
	size_t bytes;
	int error = wait_for(job, timeout, true);

	if (!error)
		error = mpp_wait_outcome(job);
	if (error || !ret_results)
		return error;
	results = results_of(job, &bytes);
	if (bytes > 0 && results && results != ret_results)
		memcpy(ret_results, results, bytes);
	mpp_job_taken(job);
	return 0;
}

MPP_PUBLIC int mppool_result_ready(const mppool_result *result)
{
	return result && has_ended(mpp_job_of(result));
}

MPP_PUBLIC int mppool_result_successful(const mppool_result *result, int *ret_successful)
{
	const struct mpp_job *job = mpp_job_of(result);

	if (!result || !ret_successful)
		return EINVAL;
	if (mpp_job_is_foreign(job))
		return MPPOOL_EFORKED;
	if (!has_ended(job))
		return MPPOOL_ENOTREADY;
	*ret_successful = mpp_job_outcome(job) == MPP_OK;
	return 0;
}

MPP_PUBLIC const void *mppool_result_value(const mppool_result *result)
{
	size_t bytes;

	if (!result || !has_ended(mpp_job_of(result)))
		return NULL;
	return results_of(mpp_job_of(result), &bytes);
}

MPP_PUBLIC const struct mppool_error *mppool_result_error(const mppool_result *result)
{
	if (!result || !has_ended(mpp_job_of(result)))
		return NULL;
	return mpp_job_error(mpp_job_of(result));
}

MPP_PUBLIC void *mppool_result_userdata(const mppool_result *result)
{
	const struct mpp_more *more = result ? mpp_job_more(mpp_job_of(result)) : NULL;

	return more ? more->userdata : NULL;
}

/* A single is claimed, so that nobody else runs it, and ended here. */
static int cancel_single(struct mpp_job *job)
{
	bool carried = job->flags & MPP_CARRIED;
	const mppool *pool = job->pool;  /* an address: it may be gone */

	mpp_or(&job->state, MPP_STOP);
	if (mpp_single_cancel(job))
		return 0;
	if (carried)
		mpp_remotes_nudge(pool);
	return EBUSY;
}

MPP_PUBLIC int mppool_result_cancel(mppool_result *result)
{
	struct mpp_job *job = mpp_job_of(result);

	if (!result)
		return EINVAL;
	if (mpp_job_is_foreign(job))
		return MPPOOL_EFORKED;
	if (has_ended(job))
		return EALREADY;
	if (job->kind == MPP_SINGLE)
		return cancel_single(job);
	return mpp_multi_halt(mpp_multi_of(job), ECANCELED, true, false) ? 0 : EBUSY;
}

static size_t total_of(const struct mpp_job *job)
{
	if (job->kind == MPP_SINGLE)
		return 1;
	if (has_ended(job))
		return mpp_multi_length(mpp_multi_of(job));
	return mpp_multi_of(job)->items.next ? MPPOOL_UNKNOWN : mpp_multi_of(job)->items.length;
}

static size_t done_of(const struct mpp_job *job)
{
	if (has_ended(job))
		return total_of(job);
	return job->kind == MPP_SINGLE ? 0 : mpp_multi_done(mpp_multi_of(job));
}

MPP_PUBLIC int mppool_result_progress(const mppool_result *result, size_t *ret_done, size_t *ret_total)
{
	const struct mpp_job *job = mpp_job_of(result);

	if (!result)
		return EINVAL;
	if (mpp_job_is_foreign(job))
		return MPPOOL_EFORKED;
	if (ret_total)
		*ret_total = total_of(job);
	if (ret_done)
		*ret_done = done_of(job);
	return 0;
}

MPP_PUBLIC void mppool_result_free(mppool_result *result)
{
	if (!result)
		return;
	if (mpp_job_is_foreign(mpp_job_of(result)))
		mpp_job_abandon_handle(mpp_job_of(result));
	else
		mpp_job_detach(mpp_job_of(result));
}
