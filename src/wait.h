/* layer 5: waiting for a job, from whatever thread. */
#ifndef MPP_WAIT_H
#define MPP_WAIT_H

#include "pool.h"

/* Would waiting for this unended job never end, because this thread stands on it or on the thread that it needs? */
bool mpp_wait_is_deadlock(const struct mpp_job *job);

/* Waits, and runs what it waits for where this thread may: in a worker of the same pool, so that nested calls cannot
 * deadlock, and, if allowed, in a caller outside of a pool that was made with MPPOOL_CALLER_HELPS. 0, ETIMEDOUT or
 * EDEADLK. */
int mpp_wait_for(struct mpp_job *job, int64_t deadline, bool help_from_outside);

/* May this thread run items of the pool while it waits for them? Not said of callers outside, even where they help. */
bool mpp_wait_may_help(const mppool *pool);

/* Is this thread such a caller outside? */
bool mpp_wait_helps_from_outside(const mppool *pool);

/* In a worker of the pool: the newest call in its own deque, claimed, if it is in the group; else NULL. Taken from there
 * it leaves no stale entry behind. */
struct mpp_job *mpp_wait_claim_newest(mppool *pool, const struct mpp_group *g);

/* Of a pool where it may: runs a single that was claimed; runs up to so many chunks of a multi to which the caller has a
 * reference, which goes. */
void mpp_wait_run(struct mpp_job *claimed);
void mpp_wait_visit(struct mpp_multi *m, size_t chunks, int64_t deadline);

/* Runs what can be claimed of a stream now; false if this thread may not. */
bool mpp_wait_help_stream(struct mpp_stream *s, int64_t deadline);

/* The outcome of an ended job as a public code; sets this thread's last error. */
int mpp_wait_outcome(const struct mpp_job *job);

/* The handles are the jobs. */
static inline struct mpp_job *mpp_job_of(const mppool_result *result)
{
	return (struct mpp_job *)(uintptr_t)result;
}

/* Of a process that this one was forked from, where it will end without anybody's noticing it here? */
static inline bool mpp_job_is_foreign(const struct mpp_job *job)
{
	return job->generation != (uint8_t)mpp_fork_generation() && !(mpp_load(&job->state) & MPP_ENDED);
}

#endif
