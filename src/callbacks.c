/* layer 3: the callbacks that are due, in the order of completion, and the two who run them: the result handler, or in
 * a pool whose callbacks are polled whoever calls mppool_poll().
 *
 * C1  The list holds its jobs (MPP_DUE). Where callbacks are polled, one step under the pool's lock puts the job there,
 *     makes it ready, and lets the pool wait for it no longer: so who sees it ready finds its callback due.
 * C2  One callback of a pool runs at a time: there is one result handler, or one poller who has the turn. A poller runs
 *     as many as were due when its turn began, so it comes to an end although callbacks submit more.
 * C3  The event is raised while the list is not empty. Both change under the lock. A turn that leaves callbacks behind
 *     raises it once more, for event loops that are told of changes only and poll once for each: every callback is run
 *     in a turn that began after it came due, or an event comes after it. */
#include "pool.h"

#define MOMENT 10000000          /* nanoseconds between two tries to start a task handler that is wanted: H1 */

/* -------------------------------------------------------------------------------------------------------- the list */

/* Is there a sleeper whom nobody has woken yet? Then he counts as woken: do so, outside of the lock. Who comes back for
 * another reason may use up what was counted for one who is still on his way; that costs a needless wake-up. */
static bool someone_sleeps_locked(mppool *pool)
{
	if (pool->due_waiters == pool->due_woken)
		return false;
	pool->due_woken++;
	mpp_add(&pool->due_word, 1);
	return true;
}

static void append_locked(mppool *pool, struct mpp_job *job)
{
	mpp_job_more(job)->next_due = NULL;
	if (pool->due_last)
		mpp_job_more(pool->due_last)->next_due = job;
	else
		pool->due_first = job;
	pool->due_last = job;
	pool->ndue++;
	mpp_event_set(&pool->event, true);
}

static struct mpp_job *take_locked(mppool *pool)
{
	struct mpp_job *job = pool->due_first;

	if (!job)
		return NULL;
	pool->due_first = mpp_job_more(job)->next_due;
	if (!pool->due_first)
		pool->due_last = NULL;
	pool->ndue--;
	mpp_event_set(&pool->event, pool->ndue > 0);
	return job;
}

void mpp_pool_callback_due(mppool *pool, struct mpp_job *job)
{
	bool polled = mpp_pool_is_polled(pool), wake, wake_job;

	if (polled)
		mpp_job_tell(job, mpp_job_more(job)->outcome);
	mpp_lock(&pool->lock);
	append_locked(pool, job);
	wake_job = mpp_job_due(job, polled);
	wake = someone_sleeps_locked(pool);
	if (polled) {
		mpp_pool_unregister_locked(pool, mpp_job_has_generator(job));
		mpp_pool_advance_locked(pool);
	}
	mpp_pool_unlock(pool);
	if (polled)
		mpp_watch_unlock(job);
	if (wake)                        /* from here on nothing is read from job and pool: both may be gone */
		mpp_wake_one(&pool->due_word);
	if (wake_job)
		mpp_wake_all(&job->state);
}

/* Predicate: as the caller says; due_word changes with it. The lock is held before and after, not meanwhile. */
static int sleep_locked(mppool *pool, int64_t deadline)
{
	uint32_t word = mpp_peek(&pool->due_word);
	int result;

	pool->due_waiters++;
	mpp_pool_unlock(pool);
	result = mpp_park(&pool->due_word, word, deadline);
	mpp_lock(&pool->lock);
	pool->due_waiters--;
	if (pool->due_woken > 0)
		pool->due_woken--;
	return result;
}

/* The same for those who wait until a callback is due. While a task handler is wanted they sleep for a moment at a time,
 * and try to start one: H1. */
static int rest_locked(mppool *pool, int64_t deadline)
{
	int64_t moment = mpp_peek(&pool->handler_wanted) ? mpp_now() + MOMENT : MPP_NEVER;
	int result = sleep_locked(pool, moment < deadline ? moment : deadline);

	if (result != ETIMEDOUT || moment >= deadline)
		return result;
	mpp_pool_unlock(pool);
	mpp_task_handlers_more(pool);
	mpp_lock(&pool->lock);
	return 0;
}

/* -------------------------------------------------------------------------------------------------------- one call */

struct call {
	struct mpp_job *job;
	struct mpp_frame *frame;
	struct mpp_trace_span span;
};

/* Also when the callback leaves its thread. */
static void callback_returned(void *arg)
{
	struct call *c = arg;
	mppool *pool = c->frame->pool;

	mpp_frame_top = c->frame;
	c->frame->stop = NULL;
	mpp_trace_end(c->frame->row, &c->span, MPP_TRACE_CALLBACK, c->job->func, 0, 1);
	if (mpp_pool_is_foreign(pool))
		;                        /* it forked, and this is the child: nothing of the parent's goes on here */
	else if (mpp_pool_is_polled(pool))
		mpp_job_called(c->job);  /* its hooks must not wait here, either */
	else
		mpp_job_end(c->job, mpp_job_more(c->job)->outcome);
	c->frame->role = MPP_IDLE;
	c->frame->job = NULL;
	mpp_frame_callbacks--;
}

static void run(struct mpp_job *job, struct mpp_frame *frame)
{
	struct call c;

	mpp_frame_callbacks++;
	c.job = job;
	c.frame = frame;
	frame->role = MPP_CALLBACK;
	frame->job = job;
	frame->stop = &job->state;
	mpp_trace_begin(frame->row, &c.span);
	pthread_cleanup_push(callback_returned, &c);
	mpp_job_callback(job);
	pthread_cleanup_pop(1);
}

/* ---------------------------------------------------------------------------------------------- the result handler */

/* Predicate: a callback is due, or due_stop. NULL: stop. */
static struct mpp_job *await_job(mppool *pool)
{
	struct mpp_job *job;

	mpp_lock(&pool->lock);
	while ((job = take_locked(pool)) == NULL && !pool->due_stop)
		rest_locked(pool, MPP_NEVER);
	mpp_pool_unlock(pool);
	return job;
}

void mpp_callbacks_serve(mppool *pool, struct mpp_frame *frame)
{
	struct mpp_job *job;

	while ((job = await_job(pool)) != NULL) {
		run(job, frame);
		mpp_pool_returned(pool);
	}
}

/* --------------------------------------------------------------------------------------------------------- polling */

struct turn {
	mppool *pool;
	struct mpp_frame frame;
	struct mpp_trace_row row;
	size_t due;                      /* when it began; 0: no turn was had */
	size_t run;
};

/* Predicate: some are due and nobody has the turn, or none can come any more. */
static int await_turn_locked(struct turn *turn, int64_t deadline)
{
	mppool *pool = turn->pool;
	bool timed_out = deadline == 0;

	while (pool->ndue == 0 ? !pool->due_stop : pool->calling) {
		if (timed_out)
			return pool->ndue > 0 ? ETIMEDOUT : 0;
		if (mpp_frame_at_work(pool))
			return EDEADLK;
		timed_out = rest_locked(pool, deadline) == ETIMEDOUT;
	}
	turn->due = pool->ndue;
	pool->calling = turn->due > 0;
	return 0;
}

static void turn_over(void *arg)
{
	struct turn *turn = arg;
	mppool *pool = turn->pool;
	bool wake;

	mpp_frame_top = &turn->frame;
	mpp_frame_pop(&turn->frame);
	mpp_trace_guest_leave(&turn->row, &turn->frame);
	if (mpp_pool_is_foreign(pool))
		return;
	mpp_lock(&pool->lock);
	pool->calling = false;
	if (pool->ndue > 0)
		mpp_event_renew(&pool->event);
	wake = (pool->ndue > 0 || pool->due_stop) && someone_sleeps_locked(pool);
	mpp_pool_unlock(pool);
	if (wake)
		mpp_wake_all(&pool->due_word);   /* with due_stop not only the next one is waiting for that */
}

static struct mpp_job *next_of(struct turn *turn)
{
	mppool *pool = turn->pool;
	struct mpp_job *job;

	if (turn->run == turn->due || mpp_pool_is_foreign(pool))
		return NULL;
	mpp_lock(&pool->lock);
	job = take_locked(pool);
	mpp_pool_unlock(pool);
	return job;
}

static void have_turn(struct turn *turn)
{
	struct mpp_job *job;

	mpp_frame_init(&turn->frame, turn->pool, &turn->pool->state);
	mpp_trace_guest_come(&turn->row, &turn->frame);
	mpp_frame_push(&turn->frame);
	pthread_cleanup_push(turn_over, turn);
	while ((job = next_of(turn)) != NULL) {
		run(job, &turn->frame);
		turn->run++;
	}
	pthread_cleanup_pop(1);
}

int mpp_callbacks_poll(mppool *pool, int64_t deadline, size_t *ret_run)
{
	struct turn turn = {.pool = pool, .due = 0, .run = 0};
	int error;

	mpp_lock(&pool->lock);
	error = await_turn_locked(&turn, deadline);
	mpp_pool_unlock(pool);
	if (error)
		return error;
	if (turn.due > 0)
		have_turn(&turn);
	if (mpp_pool_is_foreign(pool))
		return MPPOOL_EFORKED;
	*ret_run = turn.run;
	return 0;
}

/* -------------------------------------------------------------------------------------------------- the descriptor */

int mpp_callbacks_fd(mppool *pool, int *ret_fd)
{
	struct mpp_event fresh = MPP_EVENT_INIT;
	bool open;
	int error;

	mpp_lock(&pool->lock);
	open = mpp_event_is_open(&pool->event);
	mpp_pool_unlock(pool);
	if (!open && (error = mpp_event_open(&fresh)) != 0)
		return error;
	mpp_lock(&pool->lock);
	if (!mpp_event_is_open(&pool->event)) {
		pool->event = fresh;
		fresh = (struct mpp_event)MPP_EVENT_INIT;
		mpp_event_set(&pool->event, pool->ndue > 0);
	}
	*ret_fd = pool->event.fd;
	mpp_pool_unlock(pool);
	mpp_event_close(&fresh);         /* another thread was first */
	return 0;
}

void mpp_callbacks_abandon(mppool *pool)
{
	struct mpp_job *job;

	mpp_event_close(&pool->event);   /* the parent's is the same: it is not to be lowered */
	while ((job = take_locked(pool)) != NULL)
		mpp_job_abandon_due(job);
}
