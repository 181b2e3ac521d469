/* layer 3: a worker's life: initialize, find work, run it, sleep, retire, leave. */
#include "pool.h"

#include "memory.h"

#define VISIT 1024               /* most chunks of a batch job between two choices, */
#define FEW 16                   /* and where something waits elsewhere: F1 in scheduler.c */

struct service {
	struct mpp_service base;
	struct mpp_worker *w;
	enum { INITIALIZING, SERVING, FINALIZING } phase;
	bool relieved;                   /* a successor has been started, which waits until this thread leaves the place */
	bool retired;                    /* it was dismissed, and has left its place */
	int no_room;                     /* an errno value: nothing could be started where its items run; 0 */
};

/* ---------------------------------------------------------------------------------------------------------- frames */

void mpp_worker_frame(struct mpp_worker *w, struct mpp_frame *frame)
{
	mpp_frame_init(frame, w->pool, &w->pool->state);
	frame->worker = w;
	frame->remote = w->remote;
	frame->row = w->row;
	frame->worker_index = w->index;
	frame->worker_state = w->state;
	frame->tally = &w->tally;
}

struct mpp_visitor mpp_worker_visitor(struct mpp_worker *w, struct mpp_frame *frame, const struct mpp_job *job)
{
	const int level = job->kind == MPP_STREAM ? MPP_STREAMS : MPP_ARRAYS;
	struct mpp_visitor v = {.frame = frame,
	                        .batch = &w->stream_batch,
	                        .waiting = &w->pool->runq.waiting,
	                        .higher = MPP_LEVELS * (job->priority + 1) + level + 1,
	                        .chunks = SIZE_MAX,
	                        .deadline = MPP_NEVER,
	                        .dismissed = &w->dismissed};

	return v;
}

/* ------------------------------------------------------------------------------------------------------- run queue */

bool mpp_pool_extend_queue_locked(mppool *pool, int priority_index)
{
	struct mpp_queue_block *block;

	mpp_pool_unlock(pool);
	block = mpp_queue_block_new();
	mpp_lock(&pool->lock);
	if (block)
		mpp_queue_supply(&pool->runq.calls[priority_index], block);
	return block != NULL;
}

void mpp_pool_list(struct mpp_multi *m)
{
	mppool *pool = m->job.pool;

	if (mpp_load_seq(&m->listed)) {
		mpp_pool_notify(pool);
		return;
	}
	mpp_lock(&pool->lock);
	if (mpp_peek(&pool->state) <= MPPOOL_CLOSED) {
		if (!mpp_peek(&m->listed)) {
			mpp_multi_ref(m);
			mpp_runq_list_locked(&pool->runq, m);
		}
	}
	mpp_pool_unlock(pool);
	mpp_pool_notify(pool);
}

/* A visitor found nothing to claim. Off the list first, then another look: whoever publishes an item does it the other
 * way round, so one of the two puts the job back. */
static void unlist_exhausted(struct mpp_multi *m)
{
	mppool *pool = m->job.pool;
	bool was;

	mpp_lock(&pool->lock);
	was = m->begun;
	if (was)
		mpp_runq_unlist_locked(&pool->runq, m);
	mpp_pool_unlock(pool);
	if (!was)
		return;
	if (mpp_multi_claimable(m))
		mpp_pool_list(m);
	mpp_multi_unref(m);
}

/* ------------------------------------------------------------------------------------------------------ in service */

/* A dismissed worker leaves with an empty deque, and not if it is the last one that is sure to be there: the others'
 * slots may be vacant. */
bool mpp_worker_must_leave_locked(struct mpp_worker *w)
{
	const mppool *pool = w->pool;

	return pool->finished || (mpp_peek(&w->dismissed) && pool->nalive > 1 + pool->nunsure &&
	                          mpp_deque_is_empty(&w->deque));
}

void mpp_worker_dismiss_locked(struct mpp_worker *w)
{
	mpp_poke(&w->dismissed, true);
	if (!w->idle)
		return;
	mpp_worker_leave_idle_locked(w);
	mpp_worker_unpark(w);
}

/* Not before the latest moment that mppool_stats() has seen: what it said stays true. */
void mpp_worker_set_activity_locked(struct mpp_worker *w, enum mpp_activity activity)
{
	int64_t now = mpp_now();

	if (now < w->pool->looked)
		now = w->pool->looked;
	if (w->activity == MPP_AWAKE)
		w->awake += now - w->since;
	else if (w->activity == MPP_ASLEEP)
		w->asleep += now - w->since;
	w->since = now;
	w->activity = activity;
}

static void set_in_service(struct mpp_worker *w, bool in_service)
{
	mpp_lock(&w->pool->lock);
	mpp_worker_set_activity_locked(w, in_service ? MPP_AWAKE : MPP_OFF);
	mpp_pool_unlock(w->pool);
}

/* Decided: this thread leaves its slot, and is no longer counted as alive. */
static void retire_locked(struct service *s)
{
	s->retired = true;
	s->w->on_duty = false;
	s->w->pool->nalive--;
	mpp_pool_advance_locked(s->w->pool);
}

/* --------------------------------------------------------------------------------------------------------- running */

static size_t most_chunks(const struct mppool_options *o)
{
	return o->max_tasks_per_worker ? o->max_tasks_per_worker : SIZE_MAX;
}

static bool requeue(mppool *pool, struct mpp_job *job);
static void stop_remote(struct service *s);
static bool revive(struct service *s);

/* The remote was lost before the call began. A new one runs it, or another worker. */
static void run_again(struct service *s, struct mpp_job *job)
{
	mppool *pool = s->w->pool;

	while (mpp_peek(&pool->state) <= MPPOOL_CLOSED && revive(s))
		if (mpp_single_run(job, &s->base.frame))
			return;
	mpp_single_unclaim(job);
	if (!requeue(pool, job))
		mpp_single_discard_popped(job, mpp_peek(&pool->state) <= MPPOOL_CLOSED
		                                       ? MPPOOL_ETERMINATED
		                                       : mpp_pool_stop_code(mpp_peek(&pool->state)));
}

static void run_single(struct service *s, struct mpp_job *job)
{
	int state = mpp_peek(&s->w->pool->state);        /* before the claim, which says that the call has started */

	if (mpp_unlikely(state > MPPOOL_CLOSED)) {
		mpp_single_discard_popped(job, mpp_pool_stop_code(state));
		return;
	}
	if (!mpp_single_claim(job, true))
		return;
	if (s->w->chunks_left != SIZE_MAX)
		s->w->chunks_left--;
	if (mpp_unlikely(!mpp_single_run(job, &s->base.frame)))
		run_again(s, job);
}

static void run_multi(struct service *s, const struct mpp_work *work)
{
	struct mpp_visitor visitor = mpp_worker_visitor(s->w, &s->base.frame, &work->multi->job);
	const size_t most = mpp_min(s->w->chunks_left, mpp_worker_has_passed(s->w) ? FEW : VISIT);
	bool exhausted;

	visitor.chunks = most;
	pthread_cleanup_push(mpp_multi_unref_lost, work->multi);
	exhausted = mpp_multi_visit(work->multi, &visitor);
	pthread_cleanup_pop(0);
	if (s->w->chunks_left != SIZE_MAX)
		s->w->chunks_left -= most - visitor.chunks;
	if (exhausted)
		unlist_exhausted(work->multi);
	mpp_multi_unref(work->multi);
}

static bool is_finished(mppool *pool)
{
	bool finished;

	mpp_lock(&pool->lock);
	finished = pool->finished;
	mpp_pool_unlock(pool);
	return finished;
}

/* Into the run queue again; false: no memory for that, or the pool has ended. */
static bool requeue(mppool *pool, struct mpp_job *job)
{
	const int p = job->priority + 1;
	bool room;

	mpp_lock(&pool->lock);
	while (!(room = mpp_runq_has_room_locked(&pool->runq, p)) && mpp_pool_extend_queue_locked(pool, p))
		;
	room = room && mpp_peek(&pool->state) <= MPPOOL_CLOSED;
	if (room)
		mpp_runq_push_locked(&pool->runq, job);
	mpp_pool_unlock(pool);
	mpp_pool_notify(pool);
	return room;
}

/* A dismissed worker hands on what its own tasks submitted, which is no more by now. What it took from the queue is
 * short: that it runs itself. */
static void hand_on(struct service *s)
{
	struct mpp_job *job;

	while ((job = mpp_deque_steal(&s->w->deque)) != NULL)
		if (!requeue(s->w->pool, job))
			run_single(s, job);
}

/* Between two choices: false, if the worker is to stay after all. */
static bool leave(struct service *s)
{
	mppool *pool = s->w->pool;
	bool leaves;

	mpp_lock(&pool->lock);
	leaves = mpp_worker_must_leave_locked(s->w);
	if (leaves && !pool->finished)
		retire_locked(s);
	mpp_pool_unlock(pool);
	if (leaves)
		mpp_worker_release_others(s->w);
	return leaves;
}

static void run_work(struct service *s, const struct mpp_work *work)
{
	mpp_trace_queue(s->w->row, mpp_runq_count(&s->w->pool->runq));
	if (work->single)
		run_single(s, work->single);
	else
		run_multi(s, work);
	mpp_pool_returned(s->w->pool);   /* from a hook */
	mpp_pool_refill(s->w->pool);
}

/* Between two pieces of work, where items run elsewhere: is there still something to run them, and not for too long?
 * False: there is not, and the worker is to leave. */
static bool tend_remote(struct service *s)
{
	struct mpp_worker *w = s->w;
	bool spent = w->chunks_left == 0;

	if (mpp_unlikely(!w->initialized))       /* run_again() could not replace it */
		return false;
	if (mpp_likely(!spent && w->remote->ops->alive(w->remote)))
		return true;
	if (spent)
		w->chunks_left = most_chunks(&w->pool->options);
	if (is_finished(w->pool))        /* as all do that leave now: leave() */
		return true;
	if (spent)
		stop_remote(s);
	return revive(s);
}

/* Until the pool lets it go, or it has served its time and a successor stands ready. */
static void serve(struct service *s)
{
	struct mpp_worker *w = s->w;
	struct mpp_work work;

	s->phase = SERVING;
	for (;;) {
		if (mpp_unlikely(mpp_peek(&w->dismissed)))
			hand_on(s);
		if (mpp_worker_acquire(w, &work))
			run_work(s, &work);
		else if (leave(s))
			return;
		if (mpp_unlikely(w->remote != NULL)) {
			if (!tend_remote(s)) {
				mpp_worker_release_others(w);
				return;
			}
		} else if (mpp_unlikely(w->chunks_left == 0)) {
			s->relieved = !is_finished(w->pool) && !mpp_service_too_many(w->pool) &&
			              mpp_service_succeed(w->pool, mpp_worker_start, w) == 0;
			if (s->relieved)
				return;
			w->chunks_left = 1;      /* no thread can be started: serve on, try again after the next chunk */
		}
	}
}

/* --------------------------------------------------------------------------------------------------- coming, going */

/* A newcomer's failure is the growth's, and it leaves; any other breaks the pool. */
static void initializer_failed(struct service *s, int code, const char *message)
{
	struct mpp_worker *w = s->w;
	mppool *pool = w->pool;
	struct mpp_failure *failure = mpp_failure_new(code, (size_t)w->index, message);

	mpp_lock(&pool->lock);
	if (!(w->awaited && pool->growing && (size_t)w->index >= mpp_peek(&pool->nworkers))) {
		mpp_pool_unlock(pool);
		mpp_pool_stop(pool, MPPOOL_BROKEN, failure);
		return;
	}
	retire_locked(s);
	if (!pool->growth_failure) {
		pool->growth_failure = failure;
		failure = NULL;
	}
	mpp_pool_unlock(pool);
	if (failure)
		mpp_failure_free(failure);
}

static void initializer_returned(struct service *s, int code, const char *message)
{
	struct mpp_worker *w = s->w;

	w->initialized = code == 0;
	if (code)
		initializer_failed(s, code, message);
	mpp_lock(&w->pool->lock);
	mpp_pool_initialized_locked(w);
	mpp_pool_unlock(w->pool);
}

/* What runs the worker's items starts, and initializes itself. */
static enum mpp_start start_remote(struct service *s, int *ret_code, const char **ret_message)
{
	struct mpp_worker *w = s->w;
	mppool *pool = w->pool;
	struct mpp_remote *remote = w->remote ? w->remote : pool->carrier->attach(pool->carried, w->index);
	struct mpp_trace_span span;
	enum mpp_start how;

	mpp_lock(&pool->lock);
	w->remote = s->base.frame.remote = remote;
	mpp_pool_unlock(pool);
	*ret_code = ENOMEM;
	*ret_message = NULL;
	if (!remote)
		return MPP_NO_ROOM;
	mpp_trace_begin(w->row, &span);
	how = remote->ops->start(remote, &s->base.frame, ret_code, ret_message);
	mpp_trace_end(w->row, &span, MPP_TRACE_INITIALIZER, NULL, 0, 0);
	if (how == MPP_STARTED)
		*ret_code = 0;
	return how;
}

/* A new one in place of one that died at work, or has run enough. False: there is none. */
static bool revive(struct service *s)
{
	struct mpp_worker *w = s->w;
	const char *message;
	enum mpp_start how;
	int code;

	if (w->initialized) {            /* it did not leave by stop_remote() */
		mpp_lock(&w->pool->lock);
		w->pool->lost++;
		mpp_pool_unlock(w->pool);
	}
	w->initialized = false;
	how = start_remote(s, &code, &message);
	if (how == MPP_NO_ROOM)
		s->no_room = code;
	if (how == MPP_NOT_INITIALIZED)
		initializer_failed(s, code, message);
	w->initialized = how == MPP_STARTED;
	return w->initialized;
}

/* The remote runs its finalizer and ends. */
static void stop_remote(struct service *s)
{
	struct mpp_worker *w = s->w;
	struct mpp_trace_span span;

	if (!w->initialized)
		return;
	w->initialized = false;
	mpp_trace_begin(w->row, &span);
	w->remote->ops->stop(w->remote, &s->base.frame);
	mpp_trace_end(w->row, &span, MPP_TRACE_FINALIZER, NULL, 0, 0);
}

/* A place that is filled again stays vacant where nothing can be started; one that somebody waits for says why. */
static void initialize_remote(struct service *s)
{
	struct mpp_worker *w = s->w;
	const char *message;
	int code;
	enum mpp_start how = start_remote(s, &code, &message);

	if (how == MPP_NO_ROOM && !w->awaited) {
		s->no_room = code;
		return;
	}
	if (how == MPP_NO_ROOM) {
		mpp_poke(&w->pool->no_room, code);
		message = "No process could be started for a worker";
	}
	initializer_returned(s, code, message);
}

static void initialize(struct service *s)
{
	const struct mppool_options *o = &s->w->pool->options;
	struct mpp_trace_span span;
	int code = 0;

	s->phase = INITIALIZING;
	if (s->w->pool->carrier) {
		initialize_remote(s);
		return;
	}
	if (o->initializer) {
		s->base.frame.role = MPP_INITIALIZER;
		mpp_assert_unlocked();
		mpp_trace_begin(s->w->row, &span);
		code = o->initializer(o->initarg, &s->w->state);
		mpp_pool_returned(s->w->pool);
		mpp_trace_end(s->w->row, &span, MPP_TRACE_INITIALIZER, NULL, 0, 0);
		s->base.frame.role = MPP_IDLE;
		s->base.frame.worker_state = s->w->state;
	}
	initializer_returned(s, code, code ? mpp_frame_message(&s->base.frame, code) : NULL);
}

static void finalize(struct service *s)
{
	const struct mppool_options *o = &s->w->pool->options;
	struct mpp_trace_span span;

	s->phase = FINALIZING;
	s->base.frame.role = MPP_FINALIZER;
	if (s->w->remote) {
		stop_remote(s);
	} else if (o->finalizer && s->w->initialized) {
		s->w->initialized = false;
		mpp_assert_unlocked();
		mpp_trace_begin(s->w->row, &span);
		o->finalizer(o->initarg, s->w->state);
		mpp_pool_returned(s->w->pool);
		mpp_trace_end(s->w->row, &span, MPP_TRACE_FINALIZER, NULL, 0, 0);
	}
	s->base.frame.role = MPP_IDLE;
}

/* Its place is the successor's from here on: T2. Pairs with enter(). */
static void leave_place(struct service *s)
{
	mpp_service_leave_row(&s->base);
	s->w->row = NULL;
	mpp_store(&s->w->taken, 0);
	mpp_wake_one(&s->w->taken);
}

static void not_alive(mppool *pool)
{
	mpp_lock(&pool->lock);
	pool->nalive--;
	mpp_pool_unlock(pool);           /* the thread is about to be gone, and then the shutdown goes on */
}

static void leave_vacant(struct mpp_worker *w, int error, size_t unsure);

/* By a successor, or because the pool is done. */
static void work_until_relieved(struct service *s)
{
	if (s->w->initialized) {
		set_in_service(s->w, true);
		serve(s);
		set_in_service(s->w, false);
	}
	finalize(s);
	if (!s->retired && !s->relieved && !s->no_room)
		not_alive(s->w->pool);
	leave_place(s);
	if (s->no_room)
		leave_vacant(s->w, s->no_room, 0);
}

/* No thread for a successor: the place stays vacant until mpp_workers_refill() finds one. A pool without any worker
 * would keep everybody waiting, so it is broken. */
static void leave_vacant(struct mpp_worker *w, int error, size_t unsure)
{
	mppool *pool = w->pool;
	bool last;

	mpp_lock(&pool->lock);
	pool->nunsure -= unsure;         /* in one step: or a dismissed one would take it for one that is there, and leave */
	last = --pool->nalive == 0;
	w->next_idle = mpp_peek(&pool->vacant);  /* in one step: who finds nobody alive finds a vacant place */
	mpp_poke(&pool->vacant, w);
	mpp_pool_unlock(pool);
	if (last)
		mpp_pool_stop(pool, MPPOOL_BROKEN,
		              mpp_failure_new(error, (size_t)w->index, pool->carrier ? "No process to replace the last worker"
		                                                                     : "No thread to replace the last worker"));
}

void mpp_workers_refill(mppool *pool)
{
	struct mpp_worker *w = NULL;
	int error;

	if (mpp_likely(mpp_peek(&pool->vacant) == NULL))
		return;
	mpp_lock(&pool->lock);
	if (!pool->finished && (w = mpp_peek(&pool->vacant)) != NULL) {
		mpp_poke(&pool->vacant, w->next_idle);
		pool->nalive++;
		pool->nunsure++;
		pool->nthreads++;
	}
	mpp_pool_unlock(pool);
	if (!w)
		return;
	error = mpp_starter_call(pool->starter, mpp_worker_start, w);
	if (error) {
		leave_vacant(w, error, 1);
		mpp_lock(&pool->lock);
		mpp_pool_thread_gone(pool);
		mpp_pool_unlock(pool);
		return;
	}
	mpp_lock(&pool->lock);
	pool->nunsure--;
	if (!pool->growing)      /* one that was dismissed may have stayed as the last; a growth's end sees to it */
		mpp_places_dismiss_locked(pool, mpp_peek(&pool->nworkers));
	mpp_pool_unlock(pool);
}

/* The worker is replaced. */
static void worker_lost(struct mpp_service *base)
{
	struct service *s = mpp_container(base, struct service, base);
	struct mpp_worker *w = s->w;
	bool leaves_alone;
	int error = 0;

	if (s->phase == INITIALIZING)
		initializer_returned(s, MPPOOL_ELOST, NULL);
	if (s->phase == SERVING) {
		set_in_service(w, false);
		if (!is_finished(w->pool)) {
			error = mpp_service_succeed(w->pool, mpp_worker_start, w);
			s->relieved = error == 0;
		}
		finalize(s);
	}
	leaves_alone = !error && !s->relieved && !s->retired;
	if (leaves_alone)
		not_alive(w->pool);
	leave_place(s);
	if (error)
		leave_vacant(w, error, 0);
}

/* T2. Predicate: the last thread in this place has returned from its finalizer. There is one that waits. */
static void enter_place(struct service *s)
{
	struct mpp_worker *w = s->w;

	while (mpp_load(&w->taken) != 0)
		mpp_park(&w->taken, 1, MPP_NEVER);
	mpp_poke(&w->taken, 1);
	w->state = NULL;
	w->chunks_left = most_chunks(&w->pool->options);
	w->row = s->base.frame.row = mpp_trace_row_get(w->pool->trace, MPP_TRACE_WORKER, w->index);
	mpp_worker_frame(w, &s->base.frame);
}

static void worker_serve(struct mpp_service *base)
{
	struct service *s = mpp_container(base, struct service, base);

	enter_place(s);
	initialize(s);
	work_until_relieved(s);
}

static const struct mpp_service_kind worker_kind = {sizeof(struct service), "-w", worker_serve, worker_lost};

int mpp_worker_start(void *worker)
{
	struct mpp_worker *w = worker;
	const struct mppool_options *o = &w->pool->options;
	struct mpp_service *base = mpp_service_new(w->pool, &worker_kind, w->index);

	if (!base)
		return ENOMEM;
	mpp_container(base, struct service, base)->w = w;
	return mpp_service_start(base, o->ncpus ? o->cpus[(size_t)w->index % o->ncpus] : -1);
}
