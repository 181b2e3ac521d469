/* layer 5: the iterators of imap and imap_unordered. */
#include "wait.h"

#include "memory.h"

#include <pthread.h>

static struct mpp_stream *stream_of(mppool_iter *iter)
{
	return mpp_container(iter, struct mpp_stream, iter);
}

/* Nothing to take yet. Sleeps until there may be, or runs items itself where that is its business. Predicate:
 * mpp_stream_take() does not say EAGAIN, or a helper has something to claim. */
static int await_item(struct mpp_stream *s, void *ret_result, size_t *ret_index, struct mpp_failure **ret_failure,
                      int64_t deadline)
{
	bool timed_out = false, helps = false;
	int code;

	for (;;) {
		uint32_t word;

		code = mpp_stream_take(s, ret_result, ret_index, ret_failure);
		if (code != EAGAIN)
			return code;
		if (deadline == 0 || timed_out)
			return ETIMEDOUT;
		if (mpp_wait_is_deadlock(&s->multi.job))
			return EDEADLK;
		if (!(mpp_load(&s->multi.job.state) & MPP_ENDED) && mpp_frame_top)
			helps = mpp_wait_help_stream(s, deadline);
		mpp_add(helps ? &s->multi.helpers : &s->waiters, 1);
		if (helps)
			mpp_add(&s->waiters, 1);
		word = mpp_load_seq(&s->multi.signal);
		code = mpp_stream_take(s, ret_result, ret_index, ret_failure);
		timed_out = helps && deadline != MPP_NEVER && mpp_now() > deadline;
		if (code == EAGAIN && !timed_out && !(helps && mpp_multi_claimable(&s->multi)))
			timed_out = mpp_park(&s->multi.signal, word, deadline) == ETIMEDOUT;
		mpp_sub(&s->waiters, 1);
		if (helps)
			mpp_sub(&s->multi.helpers, 1);
		if (code != EAGAIN)
			return code;
	}
}

static int next_item(struct mpp_stream *s, void *ret_result, size_t *ret_index, struct mpp_failure **ret_failure,
                     int64_t deadline)
{
	struct mpp_trace_wait wait;
	int code = mpp_stream_take(s, ret_result, ret_index, ret_failure);

	if (code != EAGAIN)
		return code;
	mpp_trace_wait(&wait, s->multi.job.pool);
	code = await_item(s, ret_result, ret_index, ret_failure, deadline);
	mpp_trace_waited(&wait, MPP_TRACE_WAIT, s->multi.job.func);
	return code;
}

/* A consumer without a buffer takes nothing: a result that has a drop_result is dropped for it. */
static int next_and_drop(struct mpp_stream *s, size_t *ret_index, struct mpp_failure **ret_failure, int64_t deadline)
{
	const struct mpp_func *func = s->multi.job.func;
	bool fits = func->f.result_size <= MPP_SCRATCH;
	alignas(max_align_t) char small[MPP_SCRATCH];
	void *large = fits ? NULL : mpp_alloc(func->f.result_size);
	int code;

	if (!fits && !large)
		return ENOMEM;
	pthread_cleanup_push(mpp_free, large);   /* this thread may help, and leave in an item */
	code = next_item(s, fits ? small : large, ret_index, ret_failure, deadline);
	if (code == 0)
		func->f.drop_result(fits ? small : large, func->f.context);
	pthread_cleanup_pop(1);
	return code;
}

static int next(mppool_iter *iter, void *ret_result, size_t *ret_index, int64_t deadline)
{
	struct mpp_stream *s = stream_of(iter);
	struct mpp_failure *failure = NULL;
	int code;

	if (mpp_job_is_foreign(&s->multi.job))
		return MPPOOL_EFORKED;
	if (!ret_result && s->multi.job.func->f.drop_result && s->multi.job.func->f.result_size > 0)
		code = next_and_drop(s, ret_index, &failure, deadline);
	else
		code = next_item(s, ret_result, ret_index, &failure, deadline);
	if (code == MPPOOL_ETASK) {
		mpp_last_error_set(&failure->error);
		mpp_failure_free(failure);
	} else if (code == MPPOOL_EITER) {
		mpp_last_error_set(&s->multi.more.failure->error);       /* constant since the drawing ended */
	} else if (code == MPPOOL_EBROKEN) {
		mpp_last_error_set(mpp_job_error(&s->multi.job));
	}
	return code;
}

static int cancel(mppool_iter *iter)
{
	struct mpp_stream *s = stream_of(iter);

	if (mpp_job_is_foreign(&s->multi.job))
		return MPPOOL_EFORKED;
	if (mpp_load(&s->multi.pending) == 0 || mpp_stream_told(s))
		return EALREADY;
	return mpp_multi_halt(&s->multi, ECANCELED, true, false) ? 0 : EBUSY;
}

/* Its items may wait for what this thread keeps from going on: itself, or the next callback. Who polls for callbacks
 * keeps nobody: there, calls are ready before their callbacks. */
static bool is_waited_for(const struct mpp_job *job)
{
	return mpp_frame_in_job(job) || (mpp_frame_in_callback(job->pool) && !mpp_pool_is_polled(job->pool)) ||
	       (mpp_frame_remote_hooks > 0 && mpp_frame_in_role(job->pool, MPP_HOOK));
}

static void free_iter(mppool_iter *iter)
{
	struct mpp_stream *s = stream_of(iter);
	struct mpp_job *job = &s->multi.job;

	if (mpp_job_is_foreign(job)) {
		mpp_job_abandon_handle(job);
		return;
	}
	if (!(mpp_load(&job->state) & MPP_ENDED)) {
		mpp_multi_halt(&s->multi, ECANCELED, true, false);
		if (!is_waited_for(job))
			mpp_job_wait(job, MPP_NEVER);
	}
	mpp_job_detach(job);
}

const struct mpp_iter_kind mpp_iter_of_stream = {next, cancel, free_iter};
