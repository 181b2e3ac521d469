/* layer 3: a worker's life: initialize, find work, run it, sleep, retire, leave. */
#include "pool.h"

#include "memory.h"

#include <stdio.h>

#ifndef TAKE_MOST                /* a test may want fewer, so that a pool becomes brisk within few calls */
#define TAKE_MOST 32             /* calls taken from the queue at once */
#endif
#define QUICK 4000               /* nanoseconds that a batch may take for the next one to be twice as large */
#define SLOW 20000               /* and for the next one to be a single call again */
#define BACKLOG 64               /* calls that wait although one worker is at them in haste: then others help */
#define LIVELY 1000000           /* nanoseconds between two batches that make looking about for a third worth while */
#define PATIENCE 1000            /* takes that may go past a lower priority before it has one */
#define PAUSES 16                /* between two looks whether more calls have come, where many do */
#define PROBE 16                 /* so often a worker that took one call looks whether more would have come */
#define FAIR_TURN 61             /* so often the queue comes before the worker's own deque */

struct service {
	struct mpp_worker *w;
	struct mpp_frame frame;
	enum { INITIALIZING, SERVING, FINALIZING } phase;
	bool relieved;                   /* a successor has been started, which waits for this thread's end */
	bool retired;                    /* it was dismissed, and has left its place */
	int no_room;                     /* an errno value: nothing could be started where its items run; 0 */
};

/* What a worker found to do. */
struct work {
	struct mpp_job *single;
	struct mpp_multi *multi;         /* with a reference */
	bool open;                       /* the multi is on the open list, not at the head of the queue */
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

static int level_of(const struct mpp_job *job)
{
	int priority = job->priority + 1;

	return 2 * priority + (job->kind == MPP_STREAM);
}

struct mpp_visitor mpp_worker_visitor(struct mpp_worker *w, struct mpp_frame *frame, const struct mpp_job *job)
{
	struct mpp_visitor v = {.frame = frame,
	                        .batch = &w->stream_batch,
	                        .urgent = &w->pool->urgent,
	                        .level = level_of(job),
	                        .chunks = SIZE_MAX,
	                        .deadline = MPP_NEVER,
	                        .dismissed = &w->dismissed};

	return v;
}

/* --------------------------------------------------------------------------------------------------- waking, hints */

struct mpp_worker *mpp_pool_pop_idle_locked(mppool *pool)
{
	struct mpp_worker *w = pool->idle;

	if (!w)
		return NULL;
	pool->idle = w->next_idle;
	if (pool->idle)
		pool->idle->prev_idle = NULL;
	w->idle = false;
	if (pool->standby == w)
		pool->standby = NULL;
	mpp_store_seq(&pool->nidle, mpp_peek(&pool->nidle) - 1);
	return w;
}

struct mpp_worker *mpp_pool_wake_one_locked(mppool *pool)
{
	struct mpp_worker *w = mpp_peek(&pool->nsearching) > 0 ? NULL : mpp_pool_pop_idle_locked(pool);

	if (w) {
		w->searching = true;
		pool->coming = true;
		mpp_store_seq(&pool->nsearching, 1);
	}
	return w;
}

/* P6: is the queue in good hands? */
static bool keeps_up_locked(const mppool *pool)
{
	return pool->brisk && mpp_peek(&pool->queued) < BACKLOG && mpp_peek(&pool->nidle) < pool->nalive;
}

struct mpp_worker *mpp_pool_wake_for_call_locked(mppool *pool)
{
	return pool->standby && keeps_up_locked(pool) ? NULL : mpp_pool_wake_one_locked(pool);
}

void mpp_worker_unpark(struct mpp_worker *w)
{
	mpp_store(&w->wake, 1);
	mpp_wake_one(&w->wake);
}

void mpp_pool_notify(mppool *pool)
{
	struct mpp_worker *w;

	if (mpp_load_seq(&pool->nidle) == 0 || mpp_load_seq(&pool->nsearching) > 0)
		return;
	mpp_lock(&pool->lock);
	w = mpp_pool_wake_one_locked(pool);
	mpp_pool_unlock(pool);
	if (w)
		mpp_worker_unpark(w);
}

void mpp_pool_hints_locked(mppool *pool)
{
	size_t queued = 0;
	int urgent = -1;

	for (int p = 0; p < MPP_PRIORITIES; p++) {
		queued += pool->queue[p].count + (mpp_pool_open(pool, p) != NULL);
		if (pool->queue[p].count > 0 || mpp_pool_open(pool, p))
			urgent = 2 * p;
		if (pool->open_streams[p] > 0)   /* an open array does not go before its own visitors */
			urgent = 2 * p + 1;
	}
	mpp_poke(&pool->queued, queued);
	if (mpp_peek(&pool->state) <= MPPOOL_CLOSED)     /* afterwards it is higher than anything */
		mpp_poke(&pool->urgent, urgent);
}

void mpp_pool_hint_pushed_locked(mppool *pool, int p)
{
	mpp_poke(&pool->queued, mpp_peek(&pool->queued) + 1);
	if (mpp_peek(&pool->urgent) < 2 * p)     /* after the end it is higher than anything */
		mpp_poke(&pool->urgent, 2 * p);
}

struct mpp_job *mpp_pool_pop_locked(mppool *pool, int p)
{
	struct mpp_job *job = mpp_queue_pop(&pool->queue[p]);

	if (job && job->kind != MPP_SINGLE)
		pool->queued_multis[p]--;
	return job;
}

bool mpp_pool_extend_queue_locked(mppool *pool, struct mpp_queue *queue)
{
	struct mpp_queue_block *block;

	mpp_pool_unlock(pool);
	block = mpp_queue_block_new();
	mpp_lock(&pool->lock);
	if (block)
		mpp_queue_supply(queue, block);
	return block != NULL;
}

/* ------------------------------------------------------------------------------------------------ the open streams */

static void append_open_locked(mppool *pool, struct mpp_multi *m)
{
	int p = m->job.priority + 1;

	mpp_list_append(&pool->open[p], &m->open);
	pool->open_streams[p] += m->job.kind == MPP_STREAM;
}

static void remove_open_locked(mppool *pool, struct mpp_multi *m)
{
	int p = m->job.priority + 1;

	mpp_list_remove(&pool->open[p], &m->open);
	pool->open_streams[p] -= m->job.kind == MPP_STREAM;
}

void mpp_pool_unlist_locked(struct mpp_multi *m)
{
	if (mpp_peek(&m->listed)) {
		remove_open_locked(m->job.pool, m);
		mpp_store_seq(&m->listed, false);
	}
}

void mpp_pool_list(struct mpp_multi *m)
{
	mppool *pool = m->job.pool;
	struct mpp_worker *w = NULL;

	if (mpp_load_seq(&m->listed)) {
		mpp_pool_notify(pool);
		return;
	}
	mpp_lock(&pool->lock);
	if (mpp_peek(&pool->state) <= MPPOOL_CLOSED) {
		if (!mpp_peek(&m->listed)) {
			mpp_multi_ref(m);
			append_open_locked(pool, m);
			mpp_store_seq(&m->listed, true);
			mpp_pool_hints_locked(pool);
		}
		w = mpp_pool_wake_one_locked(pool);
	}
	mpp_pool_unlock(pool);
	if (w)
		mpp_worker_unpark(w);
}

/* A visitor found nothing to claim. Off the list first, then another look: whoever publishes an item does it the other
 * way round, so one of the two puts the job back. */
static void unlist_exhausted(struct mpp_multi *m)
{
	mppool *pool = m->job.pool;
	bool was;

	mpp_lock(&pool->lock);
	was = mpp_peek(&m->listed);
	mpp_pool_unlist_locked(m);
	mpp_pool_hints_locked(pool);
	mpp_pool_unlock(pool);
	if (!was)
		return;
	if (mpp_multi_claimable(m))
		mpp_pool_list(m);
	mpp_multi_unref(m);
}

/* The same for the head of the queue; it is there once and for all. */
static void dequeue_exhausted(struct mpp_multi *m)
{
	mppool *pool = m->job.pool;
	int p = m->job.priority + 1;
	bool popped = false;

	mpp_lock(&pool->lock);
	if (mpp_queue_peek(&pool->queue[p]) == &m->job) {
		mpp_pool_pop_locked(pool, p);
		popped = true;
		mpp_pool_hints_locked(pool);
	}
	mpp_pool_unlock(pool);
	if (popped)
		mpp_multi_unref(m);
}

/* ----------------------------------------------------------------------------------------------------- taking work */

/* The highest priority that has something, but one lower where that went without for long. -1: nothing. */
static int pick_priority_locked(mppool *pool)
{
	int best = -1, next = -1;

	for (int p = MPP_PRIORITIES - 1; p >= 0; p--) {
		if (pool->queue[p].count == 0 && !mpp_pool_open(pool, p))
			continue;
		if (best < 0)
			best = p;
		else if (next < 0)
			next = p;
	}
	if (next >= 0 && ++pool->passed >= PATIENCE) {
		pool->passed = 0;
		return next;
	}
	return best;
}

static bool may_take_several(const struct mpp_worker *w)
{
	return w->pool->options.max_tasks_per_worker == 0 && w->pool->options.queue_limit == 0;
}

/* P5: who has a batch with calls that have not started? */
static struct mpp_worker *open_batch_locked(const mppool *pool)
{
	struct mpp_worker *owner = pool->batch_owner;

	return owner && !mpp_deque_is_empty(&owner->inbox) ? owner : NULL;
}

_Static_assert(TAKE_MOST <= MPP_DEQUE_FIRST, "a batch fits into an empty inbox without memory being asked for");

/* The oldest calls, up to the first that is not a single. */
static size_t pop_singles_locked(mppool *pool, int p, void *calls[], size_t most)
{
	struct mpp_queue *queue = &pool->queue[p];
	const struct mpp_job *head;
	size_t n = 0;

	if (pool->queued_multis[p] == 0)
		return mpp_queue_pop_many(queue, calls, most);
	while (n < most && (head = mpp_queue_peek(queue)) != NULL && head->kind == MPP_SINGLE)
		calls[n++] = mpp_queue_pop(queue);
	return n;
}

/* Several short calls at once: the first to run, the others into the inbox, in their order. */
static void take_singles_locked(struct mpp_worker *w, struct work *work, int p)
{
	mppool *pool = w->pool;
	bool brisk = w->batch == TAKE_MOST;
	void *calls[TAKE_MOST];
	size_t most = 1, n;

	if (w->batch > 1 && may_take_several(w) && !open_batch_locked(pool))
		most = brisk ? TAKE_MOST
		             : mpp_min(w->batch, mpp_chunk_count(pool->queue[p].count, mpp_peek(&pool->nworkers)));
	n = pop_singles_locked(pool, p, calls, most);
	if (n > 1) {
		mpp_worker_advertise(w);
		w->batch_priority = p;
		pool->batch_owner = w;
		mpp_deque_push_many(&w->inbox, calls + 1, n - 1);
	}
	work->single = calls[0];
	w->took = n;
	pool->brisk = brisk;
	pool->takes++;
}

enum taken { TOOK, NOTHING, BATCH_OPEN };

static enum taken take_locked(struct mpp_worker *w, struct work *work)
{
	mppool *pool = w->pool;
	int p = pick_priority_locked(pool);
	struct mpp_worker *batch;
	struct mpp_job *head;

	if (p < 0)
		return NOTHING;
	head = mpp_queue_peek(&pool->queue[p]);
	batch = open_batch_locked(pool);         /* once: its owner needs no lock to come to its end */
	if (batch && batch->batch_priority < p)
		batch = NULL;                    /* it goes before what has its priority or a lower one, as it is older */
	if (mpp_pool_open(pool, p) && ((!head && !batch) || ++pool->alternate % 2)) {
		work->multi = mpp_pool_open(pool, p);
		work->open = true;
		remove_open_locked(pool, work->multi);
		append_open_locked(pool, work->multi);
	} else if (batch) {
		return BATCH_OPEN;
	} else if (head->kind == MPP_SINGLE) {
		take_singles_locked(w, work, p);
	} else {
		work->multi = mpp_multi_of(head);
		if (head->kind == MPP_STREAM) {          /* its turn has come: it is an open one now */
			mpp_pool_pop_locked(pool, p);
			append_open_locked(pool, work->multi);
			work->open = true;
		}
	}
	if (work->multi)
		mpp_multi_ref(work->multi);
	mpp_pool_hints_locked(pool);
	return TOOK;
}

/* The time since the last batch tells whether calls are short, and whether looking about for more would be a small part
 * of it. */
static void adapt_batch(struct mpp_worker *w)
{
	int64_t now = mpp_now(), took = now - mpp_peek(&w->batch_start);

	if (took < QUICK && may_take_several(w))
		w->batch = mpp_min(w->batch * 2, TAKE_MOST);
	else if (took > SLOW)
		w->batch = 1;
	w->lively = took < LIVELY;
	mpp_poke(&w->batch_start, now);
}

/* -------------------------------------------------------------------------------------------------------- stealing */

void mpp_worker_advertise(struct mpp_worker *w)
{
	if (mpp_likely(w->advertised))
		return;
	w->advertised = true;
	mpp_or(&w->crew->advertised, (uint64_t)1 << w->index % MPP_CREW);
}

static void unadvertise(struct mpp_worker *w)
{
	if (!w->advertised)
		return;
	w->advertised = false;
	mpp_and(&w->crew->advertised, ~((uint64_t)1 << w->index % MPP_CREW));
}

static size_t lowest_bit(uint64_t bits)
{
	size_t n = 0;

	while (!(bits >> n & 1))
		n++;
	return n;
}

/* The first worker with an index of at least *at whose deque may hold something; *at is then behind it. NULL: none. */
static struct mpp_worker *next_advertised(const mppool *pool, size_t *at)
{
	size_t places = mpp_load_seq(&pool->nplaces);

	while (*at < places) {
		size_t crew = *at / MPP_CREW;
		uint64_t bits = mpp_load_seq(&mpp_crew_at(pool, crew)->advertised);

		bits &= ~(uint64_t)0 << *at % MPP_CREW;
		if (bits) {
			*at = crew * MPP_CREW + lowest_bit(bits) + 1;
			return mpp_worker_at(pool, *at - 1);
		}
		*at = (crew + 1) * MPP_CREW;
	}
	return NULL;
}

static struct mpp_job *steal(struct mpp_worker *w)
{
	struct mpp_worker *victim;
	size_t at = 0;

	while ((victim = next_advertised(w->pool, &at)) != NULL) {
		struct mpp_job *job = mpp_worker_rob(victim);

		if (job) {
			MPP_PROBE_STEAL(w->pool, job, victim->index, 1);
			return job;
		}
	}
	return NULL;
}

static bool anything_to_steal(mppool *pool, bool inboxes)
{
	struct mpp_worker *w;
	size_t at = 0;

	while ((w = next_advertised(pool, &at)) != NULL)
		if (!mpp_deque_is_empty(&w->deque) || (inboxes && !mpp_deque_is_empty(&w->inbox)))
			return true;
	return false;
}

/* --------------------------------------------------------------------------------------------- searching, sleeping */

static void stop_searching_locked(struct mpp_worker *w)
{
	if (w->searching) {
		w->searching = false;
		mpp_store_seq(&w->pool->nsearching, mpp_peek(&w->pool->nsearching) - 1);
	}
}

/* P3: one that found something, or leaves, wakes the next if there is more, also in somebody's deque. */
static struct mpp_worker *found_locked(struct mpp_worker *w, const struct work *work)
{
	mppool *pool = w->pool;

	stop_searching_locked(w);
	if (mpp_peek(&pool->nidle) == 0)
		return NULL;
	if (mpp_peek(&pool->queued) == 0 && !anything_to_steal(pool, true))
		return NULL;
	return work->single ? mpp_pool_wake_for_call_locked(pool) : mpp_pool_wake_one_locked(pool);
}

/* More are at work than there are CPUs, and still calls pile up: they wait for something else, and all sleepers are
 * wanted. One that wakes another is a long way round to a thousand. */
static bool calls_block_locked(const mppool *pool)
{
	return pool->nbusy > 8 * pool->most_searching && mpp_peek(&pool->queued) >= BACKLOG;
}

static void pause(void)
{
	for (int i = 0; i < PAUSES; i++)
		mpp_relax();
}

/* Taking the lock for one call at a time costs a submitter and its worker more than the call. If there were several the
 * last time, and now and then to find out, lets more of them come for as long as they do. */
static void gather(struct mpp_worker *w)
{
	size_t seen = mpp_peek(&w->pool->queued), now = seen, most = mpp_min(2 * w->took, TAKE_MOST);

	if (w->batch < TAKE_MOST || seen == 0 || (w->took < 2 && w->turns % PROBE))
		return;
	do {
		seen = now;
		pause();
		now = mpp_peek(&w->pool->queued);
	} while (now > seen && now < most);
}

/* Looks about without the lock for a bounded time. True: there may be something. Each look takes the lock's line away
 * from submitters: where many calls come they are left in peace for longer. */
static bool spin(const struct mpp_worker *w, struct mpp_spin *budget)
{
	while (mpp_spin_more(budget)) {
		if (w->took > 1)
			pause();
		if (mpp_peek(&w->pool->queued) > 0 || anything_to_steal(w->pool, true) ||
		    mpp_peek(&w->pool->state) > MPPOOL_CLOSED)
			return true;
	}
	return false;
}

static void go_idle_locked(struct mpp_worker *w)
{
	mppool *pool = w->pool;

	mpp_poke(&w->wake, 0);
	w->idle = true;
	w->prev_idle = NULL;
	w->next_idle = pool->idle;
	if (pool->idle)
		pool->idle->prev_idle = w;
	pool->idle = w;
	mpp_store_seq(&pool->nidle, mpp_peek(&pool->nidle) + 1);
	stop_searching_locked(w);
	mpp_pool_advance_locked(pool);
}

/* Off the list by itself, unless somebody has just taken it off to wake it. */
static void cease_idle_locked(struct mpp_worker *w)
{
	mppool *pool = w->pool;

	if (!w->idle)
		return;
	if (w->prev_idle)
		w->prev_idle->next_idle = w->next_idle;
	else
		pool->idle = w->next_idle;
	if (w->next_idle)
		w->next_idle->prev_idle = w->prev_idle;
	w->idle = false;
	mpp_store_seq(&pool->nidle, mpp_peek(&pool->nidle) - 1);
}

/* Predicate: wake is 1, which is set after the worker was taken off the idle list: P1. P2: the look into the deques
 * comes after nidle has counted this worker. What is there is left to a worker that searches: P3; an open batch is left
 * to its owner by one who stands by, until the deadline: P6. */
static void sleep_idle(struct mpp_worker *w, int64_t deadline)
{
	bool timed_out = false;

	if (mpp_load_seq(&w->pool->nsearching) > 0 || !anything_to_steal(w->pool, deadline == MPP_NEVER))
		while (mpp_load(&w->wake) == 0 && !timed_out)
			timed_out = mpp_park(&w->wake, 0, deadline) == ETIMEDOUT;
}

/* A dismissed worker leaves with empty hands, and not if it is the last one that is sure to be there: the others' places
 * may be vacant. */
static bool must_leave_locked(struct mpp_worker *w)
{
	const mppool *pool = w->pool;

	return pool->finished || (mpp_peek(&w->dismissed) && pool->nalive > 1 + pool->nunsure &&
	                          mpp_deque_is_empty(&w->inbox) && mpp_deque_is_empty(&w->deque));
}

void mpp_worker_dismiss_locked(struct mpp_worker *w)
{
	mpp_poke(&w->dismissed, true);
	if (!w->idle)
		return;
	if (w->pool->standby == w)
		w->pool->standby = NULL;
	cease_idle_locked(w);
	mpp_worker_unpark(w);
}

/* P5: the calls of an open batch come first. Its owner will be through with them in no time, and would only be slowed
 * down by a thief; unless one of them takes longer than was thought. Watches for a moment; then helps. */
static struct mpp_job *watch_batch(struct mpp_worker *w, struct mpp_worker *owner)
{
	struct mpp_spin moment = {0, 0, false};
	struct mpp_job *job;

	while (owner != w && !mpp_deque_is_empty(&owner->inbox)) {
		if (mpp_now() - mpp_peek(&owner->batch_start) > QUICK || !mpp_spin_more(&moment)) {
			job = mpp_deque_steal(&owner->inbox);
			if (job)
				MPP_PROBE_STEAL(w->pool, job, owner->index, 1);
			return job;
		}
		if (mpp_peek(&w->pool->state) > MPPOOL_CLOSED)
			return NULL;
	}
	return owner == w ? mpp_deque_steal(&owner->inbox) : NULL;
}

/* P3: is this worker one of the few that look about? */
static bool search_locked(struct mpp_worker *w)
{
	mppool *pool = w->pool;
	uint32_t others = mpp_peek(&pool->nsearching) - pool->coming - w->searching;

	if (others >= pool->most_searching) {
		stop_searching_locked(w);
		return false;
	}
	if (!w->searching) {
		w->searching = true;
		mpp_store_seq(&pool->nsearching, mpp_peek(&pool->nsearching) + 1);
	}
	return true;
}

static void set_busy_locked(struct mpp_worker *w, bool busy)
{
	mppool *pool = w->pool;

	if (w->busy == busy)
		return;
	w->busy = busy;
	pool->nbusy += busy ? 1 : (size_t)-1;
	pool->most_busy = mpp_max(pool->most_busy, pool->nbusy);
}

/* `now` may be a moment ago, but not before the latest one that mppool_stats() has seen: what it said stays true. */
static void set_activity_locked(struct mpp_worker *w, enum mpp_activity activity, int64_t now)
{
	if (now < w->since)
		now = w->since;
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
	set_busy_locked(w, false);
	set_activity_locked(w, in_service ? MPP_AWAKE : MPP_OFF, mpp_now());
	mpp_pool_unlock(w->pool);
}

/* Sleeps until somebody has something. The lock is held before and after, not meanwhile. */
static void sleep_locked(struct mpp_worker *w, int64_t deadline)
{
	mppool *pool = w->pool;
	struct mpp_trace_span span;

	unadvertise(w);
	set_activity_locked(w, MPP_ASLEEP, may_take_several(w) ? mpp_peek(&w->batch_start) : mpp_now());
	go_idle_locked(w);
	mpp_pool_unlock(pool);
	mpp_trace_sleep(w->row, &span, mpp_peek(&pool->queued));
	sleep_idle(w, deadline);
	mpp_trace_end(w->row, &span, MPP_TRACE_IDLE, NULL, 0, 0);
	mpp_lock(&pool->lock);
	cease_idle_locked(w);
	if (w->searching)
		pool->coming = false;
	set_activity_locked(w, MPP_AWAKE, mpp_now());
}

/* P6: is there nothing to do but to watch how somebody else gets on? */
static bool may_stand_by_locked(struct mpp_worker *w)
{
	const mppool *pool = w->pool;

	return keeps_up_locked(pool) && !pool->standby && mpp_peek(&pool->nidle) + 1 < pool->nalive &&
	       !must_leave_locked(w);
}

/* Since when has nobody taken a call, as far as those who stand by have seen? */
static int64_t untaken_since_locked(mppool *pool)
{
	if (pool->seen_takes != pool->takes) {
		pool->seen_takes = pool->takes;
		pool->seen_at = mpp_now();
	}
	return pool->seen_at;
}

/* P6. Predicate: as of sleep_idle(); or a moment passed since a call was taken. Whoever is woken meanwhile, and stands
 * by again, does not begin that moment anew. */
static void stand_by_locked(struct mpp_worker *w)
{
	mppool *pool = w->pool;
	int64_t moment = MPP_STANDBY;

	do {
		pool->standby = w;
		sleep_locked(w, untaken_since_locked(pool) + moment);
		moment = mpp_standby_longer(moment);
		if (pool->standby != w)
			return;          /* it was woken */
		pool->standby = NULL;
		if (pool->seen_takes == pool->takes)
			pool->brisk = false;
	} while (may_stand_by_locked(w));
}

/* Nothing could be taken from the queue: looks elsewhere, without the lock meanwhile, once; or sleeps. `budget` bounds
 * the time that a worker looks about before it sleeps. */
static struct mpp_job *look_elsewhere_locked(struct mpp_worker *w, struct mpp_worker *batch, struct mpp_spin *budget)
{
	mppool *pool = w->pool;
	struct mpp_job *job = mpp_deque_pop(&w->deque);  /* it was a turn on which others came first */
	bool again;

	if (!job)                        /* more urgent calls were there, and others took them: nobody else would see these */
		job = mpp_deque_steal(&w->inbox);
	if (job)
		return job;
	if (may_stand_by_locked(w) && batch != w) {
		stand_by_locked(w);
		budget->started = false;
		return NULL;
	}
	if (!search_locked(w) && batch && batch != w) {
		sleep_locked(w, MPP_NEVER);      /* P5: others watch it */
		budget->started = false;
		return NULL;
	}
	mpp_pool_unlock(pool);
	job = batch ? watch_batch(w, batch) : steal(w);
	again = batch || job || (w->searching && w->lively && spin(w, budget));
	if (again && !job)
		gather(w);
	mpp_lock(&pool->lock);
	if (!again && mpp_peek(&pool->queued) == 0 && !must_leave_locked(w)) {
		sleep_locked(w, MPP_NEVER);
		budget->started = false;
	}
	return job;
}

/* Decided: this thread leaves its place, and is no longer one of the living. */
static void retire_locked(struct service *s)
{
	s->retired = true;
	s->w->on_duty = false;
	s->w->pool->nalive--;
	unadvertise(s->w);
	mpp_pool_advance_locked(s->w->pool);
}

/* Blocks until there is work; false: the worker leaves. */
static bool acquire(struct service *s, struct work *work)
{
	struct mpp_worker *w = s->w;
	mppool *pool = w->pool;
	struct mpp_worker *next = NULL, *other = NULL;
	struct mpp_spin budget = {0, 0, false};
	bool found = false;

	memset(work, 0, sizeof *work);
	mpp_pool_returned(pool);         /* from a hook */
	adapt_batch(w);
	gather(w);
	mpp_pool_refill(pool);
	mpp_lock(&pool->lock);
	set_busy_locked(w, false);
	while (!found && !must_leave_locked(w)) {
		enum taken taken = take_locked(w, work);

		if (taken != TOOK)
			work->single = look_elsewhere_locked(w, taken == BATCH_OPEN ? pool->batch_owner : NULL,
			                                     &budget);
		found = taken == TOOK || work->single;
	}
	set_busy_locked(w, found);
	if (!found && !pool->finished)
		retire_locked(s);
	if (found || !pool->finished) {
		next = found_locked(w, work);    /* who leaves hands on what it was woken for */
		if (calls_block_locked(pool))
			other = mpp_pool_pop_idle_locked(pool);
	} else {
		stop_searching_locked(w);
		next = mpp_pool_pop_idle_locked(pool);
		other = mpp_pool_pop_idle_locked(pool);
	}
	mpp_pool_unlock(pool);
	if (next)
		mpp_worker_unpark(next);
	if (other)
		mpp_worker_unpark(other);
	mpp_trace_queue(w->row, mpp_peek(&pool->queued));
	return found;
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
		if (mpp_single_run(job, &s->frame))
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
	if (mpp_unlikely(!mpp_single_run(job, &s->frame)))
		run_again(s, job);
}

static void run_multi(struct service *s, const struct work *work)
{
	struct mpp_visitor visitor = mpp_worker_visitor(s->w, &s->frame, &work->multi->job);
	bool exhausted;

	visitor.chunks = s->w->chunks_left;
	pthread_cleanup_push(mpp_multi_unref_lost, work->multi);
	exhausted = mpp_multi_visit(work->multi, &visitor);
	pthread_cleanup_pop(0);
	if (s->w->chunks_left != SIZE_MAX)
		s->w->chunks_left = visitor.chunks;
	if (exhausted && work->open)
		unlist_exhausted(work->multi);
	else if (exhausted)
		dequeue_exhausted(work->multi);
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

/* Does something wait that goes before the inbox? Once the pool is stopped nothing does. */
static bool more_urgent(const struct mpp_worker *w)
{
	int urgent = mpp_peek(&w->pool->urgent);

	return urgent > 2 * w->batch_priority + 1 && urgent != INT_MAX;
}

/* Into the queue with a task's own calls; false: no memory for that, or the pool has ended. */
static bool requeue(mppool *pool, struct mpp_job *job)
{
	struct mpp_queue *queue = &pool->queue[job->priority + 1];
	struct mpp_worker *next = NULL;
	bool room;

	mpp_lock(&pool->lock);
	while (!(room = mpp_queue_has_room(queue)) && mpp_pool_extend_queue_locked(pool, queue))
		;
	room = room && mpp_peek(&pool->state) <= MPPOOL_CLOSED;
	if (room) {
		mpp_queue_push(queue, job);
		mpp_pool_hint_pushed_locked(pool, job->priority + 1);
		next = mpp_pool_wake_one_locked(pool);
	}
	mpp_pool_unlock(pool);
	if (next)
		mpp_worker_unpark(next);
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

/* Between two pieces of work, where items run elsewhere: is there still something to run them, and not for too long?
 * False: there is not, and the worker is to leave. */
static bool tend_remote(struct service *s)
{
	struct mpp_worker *w = s->w;
	bool spent = w->chunks_left == 0;

	if (mpp_likely(!spent && w->remote->ops->alive(w->remote)))
		return true;
	if (spent)
		w->chunks_left = most_chunks(&w->pool->options);
	if (is_finished(w->pool))        /* as all do that leave now: acquire() */
		return true;
	if (spent)
		stop_remote(s);
	return revive(s);
}

/* Until the pool lets it go, or it has served its time and a successor stands ready. */
static void serve(struct service *s)
{
	struct mpp_worker *w = s->w;
	struct work work;

	s->phase = SERVING;
	for (;;) {
		struct mpp_job *job;

		if (mpp_unlikely(mpp_peek(&w->dismissed)))
			hand_on(s);
		job = ++w->turns % FAIR_TURN ? mpp_deque_pop(&w->deque) : NULL;
		if (!job && !more_urgent(w))
			job = mpp_deque_steal(&w->inbox);
		if (job) {
			run_single(s, job);
		} else if (!acquire(s, &work)) {
			if (mpp_deque_is_empty(&w->inbox) && mpp_deque_is_empty(&w->deque))
				return;
		} else if (work.single) {
			run_single(s, work.single);
		} else {
			run_multi(s, &work);
		}
		if (mpp_unlikely(w->remote != NULL)) {
			if (s->no_room || !tend_remote(s))
				return;
		} else if (mpp_unlikely(w->chunks_left == 0)) {
			s->relieved = !is_finished(w->pool) && mpp_worker_start(w, pthread_self()) == 0;
			if (s->relieved)
				return;
			w->chunks_left = 1;      /* no thread to be had: serve on, try again after the next chunk */
		}
	}
}

/* --------------------------------------------------------------------------------------------------- coming, going */

static void name_thread(const struct mpp_worker *w)
{
	char suffix[16];

	snprintf(suffix, sizeof suffix, "-w%d", w->index);
	mpp_thread_name(w->pool->options.name, suffix);
}

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
	w->remote = s->frame.remote = remote;
	mpp_pool_unlock(pool);
	*ret_code = ENOMEM;
	*ret_message = NULL;
	if (!remote)
		return MPP_NO_ROOM;
	mpp_trace_begin(w->row, &span);
	how = remote->ops->start(remote, &s->frame, ret_code, ret_message);
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
	w->remote->ops->stop(w->remote, &s->frame);
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
		s->frame.role = MPP_INITIALIZER;
		mpp_assert_unlocked();
		mpp_trace_begin(s->w->row, &span);
		code = o->initializer(o->initarg, &s->w->state);
		mpp_pool_returned(s->w->pool);
		mpp_trace_end(s->w->row, &span, MPP_TRACE_INITIALIZER, NULL, 0, 0);
		s->frame.role = MPP_IDLE;
		s->frame.worker_state = s->w->state;
	}
	initializer_returned(s, code, code ? mpp_frame_message(&s->frame, code) : NULL);
}

static void finalize(struct service *s)
{
	const struct mppool_options *o = &s->w->pool->options;
	struct mpp_trace_span span;

	s->phase = FINALIZING;
	s->frame.role = MPP_FINALIZER;
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
	s->frame.role = MPP_IDLE;
}

/* Of dismissed workers at most one that has left waits to be joined, unless a successor in its place does that. */
static void join_retired(struct mpp_worker *w)
{
	mppool *pool = w->pool;
	struct mpp_worker *before = NULL;
	pthread_t thread = w->thread;

	mpp_lock(&pool->lock);
	if (!w->on_duty) {
		before = pool->retired;
		pool->retired = w;
	}
	if (before) {
		before->started = false;
		thread = before->thread;
	}
	mpp_pool_unlock(pool);
	if (before)
		mpp_thread_join(thread);
}

/* Out of service for good. The pool may be freed as soon as the lock is. */
static void depart(struct service *s)
{
	mppool *pool = s->w->pool;

	if (s->retired)
		join_retired(s->w);
	mpp_lock(&pool->lock);
	if (!s->retired)
		pool->nalive--;
	mpp_pool_thread_gone(pool);
	mpp_pool_unlock(pool);
}

/* Before the pool may go, and before a successor takes the row. */
static void leave_row(struct service *s)
{
	mpp_trace_row_put(s->w->row);
	s->w->row = s->frame.row = NULL;
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
	leave_row(s);
	if (s->no_room)
		leave_vacant(s->w, s->no_room, 0);
	else if (!s->relieved)
		depart(s);
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
		              mpp_failure_new(error, (size_t)w->index, w->pool->carrier ? "No process to replace the last worker"
		                                                                     : "No thread to replace the last worker"));
	mpp_lock(&pool->lock);
	mpp_pool_thread_gone(pool);
	mpp_pool_unlock(pool);
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
	error = mpp_worker_start(w, w->thread);
	if (error) {
		leave_vacant(w, error, 1);
		return;
	}
	mpp_lock(&pool->lock);
	pool->nunsure--;
	if (!pool->growing)      /* one that was dismissed may have stayed as the last; a growth's end sees to it */
		mpp_places_dismiss_locked(pool, mpp_peek(&pool->nworkers));
	mpp_pool_unlock(pool);
}

/* A user function left the thread; what it had in hand was ended on the way here. The worker is replaced. */
static void worker_lost(void *arg)
{
	struct service *s = arg;
	struct mpp_worker *w = s->w;
	int error = 0;

	mpp_pool_returned(w->pool);
	mpp_frame_top = &s->frame;
	s->frame.role = MPP_IDLE;
	s->frame.job = NULL;
	s->frame.stop = NULL;
	if (s->phase == INITIALIZING)
		initializer_returned(s, MPPOOL_ELOST, NULL);
	if (s->phase == SERVING) {
		set_in_service(w, false);
		if (!is_finished(w->pool)) {
			error = mpp_worker_start(w, pthread_self());
			s->relieved = error == 0;
		}
		finalize(s);
	}
	leave_row(s);
	if (error)
		leave_vacant(w, error, 0);
	else if (!s->relieved)
		depart(s);
	mpp_frame_pop(&s->frame);
}

static void *worker_main(void *arg)
{
	struct service s;

	s.w = arg;
	s.relieved = s.retired = false;
	s.no_room = 0;
	if (s.w->has_before)
		mpp_thread_join(s.w->before);
	s.w->thread = pthread_self();
	s.w->state = NULL;
	s.w->chunks_left = most_chunks(&s.w->pool->options);
	s.w->row = mpp_trace_row_get(s.w->pool->trace, MPP_TRACE_WORKER, s.w->index);
	mpp_worker_frame(s.w, &s.frame);
	name_thread(s.w);
	mpp_frame_push(&s.frame);
	pthread_cleanup_push(worker_lost, &s);
	initialize(&s);
	work_until_relieved(&s);
	pthread_cleanup_pop(0);
	mpp_frame_pop(&s.frame);
	return NULL;
}

int mpp_worker_start(struct mpp_worker *w, pthread_t before)
{
	const struct mppool_options *o = &w->pool->options;
	struct mpp_thread_options options = {o->stack_size, o->ncpus ? o->cpus[(size_t)w->index % o->ncpus] : -1};
	bool had_before = w->has_before, was_started = w->started;
	int error;

	w->has_before = w->started;
	w->before = before;
	w->started = true;
	error = mpp_thread_start(&options, worker_main, w);
	if (error) {
		w->has_before = had_before;
		w->started = was_started;
	}
	return error;
}
