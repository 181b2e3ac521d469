/* layer 5: waiting, and helping while waiting. */
#include "wait.h"

/* Nobody is inside a single that nobody has claimed. */
bool mpp_wait_is_deadlock(const struct mpp_job *job)
{
	bool begun = job->kind != MPP_SINGLE || mpp_load(&job->state) & MPP_CLAIMED;

	return (begun && mpp_frame_in_job(job)) || mpp_frame_in_callback(job->pool);
}

int mpp_wait_outcome(const struct mpp_job *job)
{
	int code = mpp_outcome_code(mpp_job_outcome(job));

	if (code == MPPOOL_ETASK || code == MPPOOL_EITER || code == MPPOOL_EBROKEN)
		mpp_last_error_set(mpp_job_error(job));
	return code;
}

/* --------------------------------------------------------------------------------------------------------- helping */

/* A thread outside the pool, which may already be helping it: all its frames of the pool are then such tasks. The pool
 * is compared, not followed: the job that the caller waits for may have ended meanwhile, and its pool be gone. */
static bool is_outside(const mppool *pool)
{
	if (mpp_frame_of_worker(pool))
		return false;
	for (const struct mpp_frame *f = mpp_frame_top; f; f = f->up)
		if (f->pool == pool && f->role != MPP_TASK && f->role != MPP_HOOK)
			return false;
	return true;
}

/* In a generator of the pool: the workers may all be waiting for what it draws. Its thread was not initialized, so it
 * must not run what counts on that. */
static bool is_uninitialized_generator(const mppool *pool)
{
	if (pool->carrier)
		return false;            /* no task runs in the program */
	for (const struct mpp_frame *f = mpp_frame_top; f; f = f->up)
		if (f->pool == pool && f->role == MPP_GENERATOR)
			return !pool->options.initializer;
	return false;
}

struct helper {
	struct mpp_frame frame;
	struct mpp_tally tally;          /* of a thread that is no worker */
	struct mpp_trace_row row;
	struct mpp_multi *multi;         /* with a reference, or NULL */
};

bool mpp_wait_may_help(const mppool *pool)
{
	return (mpp_frame_of_worker(pool) || is_uninitialized_generator(pool)) && !mpp_frame_in_callback(pool);
}

bool mpp_wait_helps_from_outside(const mppool *pool)
{
	return pool->options.flags & MPPOOL_CALLER_HELPS && is_outside(pool);
}

/* Sets up for work that this thread does while it waits. False: it may not. */
static bool helper_init(struct helper *h, const struct mpp_job *job, struct mpp_multi *m, bool help_from_outside)
{
	mppool *pool = job->pool;
	struct mpp_frame *frame = &h->frame;
	const struct mpp_frame *mine = mpp_frame_of_worker(pool);

	h->multi = m;
	if (mine) {
		mpp_worker_frame(mine->worker, frame);
		return true;
	}
	if (!(help_from_outside && job->flags & MPP_HELPED && is_outside(pool)) && !is_uninitialized_generator(pool))
		return false;
	mpp_frame_init(frame, pool, &pool->state);
	frame->role = MPP_TASK;
	memset(&h->tally, 0, sizeof h->tally);
	h->tally.into = &pool->tally;
	frame->tally = &h->tally;
	return true;
}

/* Also when the thread leaves in the middle. */
static void stop_helping(void *arg)
{
	struct helper *h = arg;

	mpp_frame_pop(&h->frame);
	mpp_trace_guest_leave(&h->row, &h->frame);
	if (h->multi)
		mpp_multi_unref(h->multi);
}

static void put_back(struct mpp_worker *w, struct mpp_job *newest)
{
	mpp_deque_push(&w->deque, newest);
	mpp_pool_notify(w->pool);        /* somebody may have looked while it was out: P2 */
}

/* The job is often the newest in the worker's own deque; taken from there it leaves no stale entry behind. */
static bool claim_for_myself(struct mpp_job *job, const struct mpp_frame *frame)
{
	struct mpp_job *newest = frame->worker ? mpp_deque_pop(&frame->worker->deque) : NULL;

	if (newest == job)
		return mpp_single_claim(job, true);
	if (newest)
		put_back(frame->worker, newest);
	return mpp_single_claim(job, false);
}

struct mpp_job *mpp_wait_claim_newest(mppool *pool, const struct mpp_group *g)
{
	const struct mpp_frame *mine = mpp_frame_of_worker(pool);
	struct mpp_job *newest = NULL;

	while (mine && (newest = mpp_deque_pop(&mine->worker->deque)) != NULL) {
		if (!mpp_watch_has(newest, g)) {
			put_back(mine->worker, newest);
			return NULL;
		}
		if (mpp_single_claim(newest, true))
			return newest;
	}
	return newest;
}

static void run_claimed(struct mpp_job *job, struct helper *h)
{
	mpp_trace_guest_come(&h->row, &h->frame);
	mpp_frame_push(&h->frame);
	pthread_cleanup_push(stop_helping, h);
	mpp_single_run(job, &h->frame);
	pthread_cleanup_pop(1);
}

void mpp_wait_run(struct mpp_job *claimed)
{
	struct helper h;

	helper_init(&h, claimed, NULL, true);
	run_claimed(claimed, &h);
}

static void help_single(struct mpp_job *job, bool help_from_outside)
{
	struct helper h;

	if (!(mpp_peek(&job->state) & MPP_CLAIMED) && helper_init(&h, job, NULL, help_from_outside) &&
	    claim_for_myself(job, &h.frame))
		run_claimed(job, &h);
}

/* No chunk begins after the deadline. The helper's reference goes. */
static void visit(struct helper *h, size_t chunks, int64_t deadline)
{
	size_t batch = 1;
	struct mpp_visitor visitor = {&h->frame, &batch, NULL, 0, chunks, deadline, NULL};

	mpp_trace_guest_come(&h->row, &h->frame);
	mpp_frame_push(&h->frame);
	pthread_cleanup_push(stop_helping, h);
	mpp_multi_visit(h->multi, &visitor);
	pthread_cleanup_pop(1);
}

void mpp_wait_visit(struct mpp_multi *m, size_t chunks, int64_t deadline)
{
	struct helper h;

	helper_init(&h, &m->job, m, false);
	visit(&h, chunks, deadline);
}

/* False: this thread may not, or the job has completed since it was looked at, and a reference would be one too many. */
static bool help_multi(struct mpp_multi *m, int64_t deadline, bool help_from_outside)
{
	struct helper h;

	if (!helper_init(&h, &m->job, m, help_from_outside) || !mpp_multi_try_ref(m))
		return false;
	visit(&h, SIZE_MAX, deadline);
	return true;
}

bool mpp_wait_help_stream(struct mpp_stream *s, int64_t deadline)
{
	return help_multi(&s->multi, deadline, false);
}

/* There may be items to run again later, which perhaps only this thread can run: those that are drawn, and what a lost
 * worker leaves of a chunk. So it sleeps where they are signalled. Predicate: something to claim, or no item left that
 * has not ended. */
static int help_to_end(struct mpp_multi *m, int64_t deadline, bool help_from_outside)
{
	bool timed_out = false;

	while (mpp_load(&m->pending) > 0) {
		uint32_t word;

		if (timed_out)
			return ETIMEDOUT;
		if (!help_multi(m, deadline, help_from_outside))
			return 0;
		mpp_add(&m->helpers, 1);
		word = mpp_load_seq(&m->signal);
		timed_out = deadline != MPP_NEVER && mpp_now() > deadline;
		if (!timed_out && mpp_load_seq(&m->pending) > 0 && !mpp_multi_claimable(m))
			timed_out = mpp_park(&m->signal, word, deadline) == ETIMEDOUT;
		mpp_sub(&m->helpers, 1);
	}
	return 0;
}

static int help_and_wait(struct mpp_job *job, int64_t deadline, bool help_from_outside)
{
	if (job->kind == MPP_SINGLE)
		help_single(job, help_from_outside);
	else if (help_to_end(mpp_multi_of(job), deadline, help_from_outside) != 0)
		return ETIMEDOUT;
	return mpp_job_wait(job, deadline);
}

int mpp_wait_for(struct mpp_job *job, int64_t deadline, bool help_from_outside)
{
	struct mpp_trace_wait wait;
	int result;

	if (mpp_load(&job->state) & MPP_ENDED)
		return 0;
	if (deadline == 0)
		return ETIMEDOUT;
	if (mpp_wait_is_deadlock(job))
		return EDEADLK;
	mpp_trace_wait(&wait, job->pool);
	result = help_and_wait(job, deadline, help_from_outside);
	mpp_trace_waited(&wait, MPP_TRACE_WAIT, job->func);
	return result;
}
