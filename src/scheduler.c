/* layer 3: a worker's next choice, its sleep and its wake-up.
 *
 * DESIGN. Calls wait in *places*: the levels of the run queue (runq.h), and each worker's deque, which has the calls that
 * its own tasks submitted. A worker chooses, in this order:
 *
 *      1. what waits with priority 1
 *      2. the oldest call of its own deque
 *      3. what waits with priority 0: batch jobs that have begun, then the ring; streams take turns with these
 *      4. the oldest call of another worker's deque
 *      5. what waits with priority -1
 *
 *   F1  Of MPP_FAIR choices that a worker makes while something waits in another place, the next one goes to the places in
 *       rotation: to the first from the last one on in which something waits. Choices that pass by something of the same
 *       priority count SAME times. While a call of priority 1 waits the turn is put off, for MPP_FAIR choices at most. So
 *       within as many turns as there are places each place has one, and while a call is the oldest of its place at most
 *       2 * MPP_FAIR * (places + workers) calls are started before it, wherever they wait: mppool_threads(7) has the
 *       number. A worker in a batch job makes a choice whenever something of a higher level waits, after VISIT chunks, and
 *       after FEW if something waits elsewhere (worker.c).
 *
 * Sleeping and waking:
 *
 *      submitter                                  worker
 *      1. stores the call in its place            1. says that it sleeps: the idle list, `nidle`
 *      2. (both sequentially consistent)          2. (both sequentially consistent)
 *      3. looks at `nidle` and `ncoming`          3. looks at every place, and sleeps if all are empty
 *
 *   S1  One of the two sees the other. A submitter that sees a sleeper wakes it, unless another one is *coming*: was woken,
 *       and has not chosen yet. A worker that was coming says that it is no longer, then looks at every place, and wakes
 *       the next one if something waits: the same pair with `ncoming` in place of `nidle`.
 *   S2  So while a call waits and a worker sleeps, a worker is coming or watches (S3), or a thread in the library is about
 *       to wake one.
 *   S3  While calls are so short that a wake-up costs more than many of them, one idle worker is the *watcher*: it sleeps
 *       with a deadline, and nobody is woken for a call of the ring as long as it watches and another worker is awake. When
 *       its time is over it goes to work if many calls wait or none was taken meanwhile. So a call waits for a sleeper no
 *       longer than that time, LONGEST at most. A pool without work has no watcher.
 *   S4  Before it sleeps a worker spins for a bounded time, armed at the ring's next cell (ring.h): one worker at a time. A
 *       submitter that fills an armed cell wakes nobody. A worker that has disarmed the cell looks at every place before
 *       it sleeps, and a worker whose spin has found something wakes the next one if more waits. */
#include "pool.h"

#define SHORT 4000               /* nanoseconds: calls that take no longer, on the average, are short: S3 */
#define MOMENT 200000            /* nanoseconds that a watcher sleeps at first */
#define LONGEST (8 * MOMENT)     /* and while others get on well */
#define BACKLOG 64               /* calls that wait although others get on well: the watcher helps */
#define LEVELS ((size_t)MPP_PRIORITIES * MPP_LEVELS)     /* places before the workers' deques: */
#define RING ((size_t)MPP_NORMAL * MPP_LEVELS + MPP_CALLS)       /* this one is the ring with its queue */
#define BATCHES (MPP_BIT(MPP_NORMAL, MPP_ARRAYS) | MPP_BIT(MPP_NORMAL, MPP_STREAMS))
#define SAME 4                   /* choices that one counts for if what is passed by has the same priority */
#define URGENT (MPP_LEVELS * (MPP_PRIORITIES - 1))       /* the lowest bit of priority 1 */

/* ---------------------------------------------------------------------------------------------------------- deques */

static void advertise(struct mpp_worker *w)
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

void mpp_worker_push_own(struct mpp_worker *w, struct mpp_job *job)
{
	advertise(w);
	mpp_deque_push(&w->deque, job);
}

static size_t lowest_bit(uint64_t bits)
{
	size_t n = 0;

	while (!(bits >> n & 1))
		n++;
	return n;
}

/* The first worker with an index of at least *at whose deque may hold something; *at is then after it. NULL: none. */
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

static struct mpp_job *steal_from(struct mpp_worker *victim)
{
	struct mpp_job *job = mpp_deque_steal(&victim->deque);

	if (job)
		MPP_PROBE_STEAL(victim->pool, job, victim->index, 1);
	return job;
}

static struct mpp_job *steal(struct mpp_worker *w)
{
	struct mpp_worker *victim;
	struct mpp_job *job = NULL;
	size_t at = 0;

	while (!job && (victim = next_advertised(w->pool, &at)) != NULL)
		job = steal_from(victim);
	return job;
}

static bool anything_to_steal(const mppool *pool)
{
	struct mpp_worker *w;
	size_t at = 0;

	while ((w = next_advertised(pool, &at)) != NULL)
		if (!mpp_deque_is_empty(&w->deque))
			return true;
	return false;
}

/* ---------------------------------------------------------------------------------------------------------- choice */

/* The turn of a call from the run queue has come. A batch job goes to its list, where other workers find it. */
static void begin_call(mppool *pool, struct mpp_job *job, struct mpp_work *work)
{
	struct mpp_multi *m;

	if (job->kind == MPP_SINGLE) {
		work->single = job;
		return;
	}
	m = mpp_multi_of(job);
	mpp_multi_ref(m);
	work->multi = m;
	mpp_lock(&pool->lock);
	if (mpp_peek(&pool->state) <= MPPOOL_CLOSED)
		mpp_runq_list_locked(&pool->runq, m);
	else
		mpp_multi_unref(m);      /* the queue's reference; mpp_pool_stop ends its items */
	mpp_pool_unlock(pool);
	mpp_pool_notify(pool);
}

/* The oldest call of the priority that has not begun. */
static bool take_call(mppool *pool, int p, struct mpp_work *work)
{
	struct mpp_job *job = p == MPP_NORMAL ? mpp_ring_pop(&pool->runq.ring) : NULL;

	if (!job && mpp_peek(&pool->runq.waiting) & MPP_BIT(p, MPP_CALLS)) {
		mpp_lock(&pool->lock);
		job = mpp_runq_pop_locked(&pool->runq, p);
		mpp_pool_unlock(pool);
	}
	if (job)
		begin_call(pool, job, work);
	return job != NULL;
}

static bool take_batch(mppool *pool, int p, enum mpp_level level, struct mpp_work *work)
{
	if (!(mpp_peek(&pool->runq.waiting) & MPP_BIT(p, level)))
		return false;
	mpp_lock(&pool->lock);
	work->multi = mpp_runq_first_locked(&pool->runq, p, level);
	if (work->multi)
		mpp_multi_ref(work->multi);
	mpp_pool_unlock(pool);
	return work->multi != NULL;
}

static bool take_level(struct mpp_worker *w, int p, enum mpp_level level, struct mpp_work *work)
{
	return level == MPP_CALLS ? take_call(w->pool, p, work) : take_batch(w->pool, p, level, work);
}

/* Streams take turns with what would be started in its order. */
static bool take_priority(struct mpp_worker *w, int p, struct mpp_work *work)
{
	const bool stream_first = ++w->alternate % 2;

	return (stream_first && take_level(w, p, MPP_STREAMS, work)) || take_level(w, p, MPP_ARRAYS, work) ||
	       take_level(w, p, MPP_CALLS, work) || (!stream_first && take_level(w, p, MPP_STREAMS, work));
}

/* F1: the first place, from the one with that number on, in which something seems to wait; `places` if there is none. */
static size_t next_place(mppool *pool, size_t from, size_t places)
{
	const uint32_t waiting = mpp_peek(&pool->runq.waiting);
	size_t at = from > LEVELS ? from - LEVELS : 0;

	for (; from < LEVELS; from++)
		if (waiting & 1u << from || (from == RING && mpp_ring_is_ready(&pool->runq.ring)))
			return from;
	return next_advertised(pool, &at) && at <= places - LEVELS ? LEVELS + at - 1 : places;
}

/* F1: from the place whose turn it is. The rotation counts on for ever, so that no two turns are the same. */
static bool take_in_rotation(struct mpp_worker *w, struct mpp_work *work)
{
	mppool *pool = w->pool;
	const size_t places = LEVELS + mpp_load_seq(&pool->nplaces);
	size_t turn = mpp_load(&pool->runq.rotation), place = next_place(pool, turn % places, places), ahead;

	ahead = place - turn % places;
	if (place == places) {
		place = next_place(pool, 0, places);
		ahead += place;
	}
	if (place == places)
		return false;
	mpp_cas(&pool->runq.rotation, &turn, turn + ahead + 1);
	if (place < LEVELS)
		return take_level(w, (int)(place / MPP_LEVELS), (enum mpp_level)(place % MPP_LEVELS), work);
	work->single = steal_from(mpp_worker_at(pool, place - LEVELS));
	return work->single != NULL;
}

/* F1: what this choice counts: nothing, if nothing can wait in a place that the usual order would pass by; most if it has
 * the priority of what is chosen. `waiting` as it was read for this choice. */
static unsigned passes(struct mpp_worker *w, uint32_t waiting)
{
	struct mpp_worker *other;
	size_t at = 0;

	if (waiting >> URGENT)
		return 1;
	other = next_advertised(w->pool, &at);
	if (other == w)
		other = next_advertised(w->pool, &at);
	if (other || waiting & BATCHES || (w->advertised && mpp_ring_is_ready(&w->pool->runq.ring)))
		return SAME;
	return (waiting & ~MPP_BIT(MPP_NORMAL, MPP_CALLS)) != 0;
}

bool mpp_worker_has_passed(const struct mpp_worker *w)
{
	return w->passed > 0;
}

static bool is_fair_turn(struct mpp_worker *w, uint32_t waiting)
{
	const unsigned passed = passes(w, waiting);

	w->passed = passed ? w->passed + passed : 0;
	if (w->passed < (waiting >> URGENT ? 2 * MPP_FAIR : MPP_FAIR))
		return false;
	w->passed = 0;
	return true;
}

/* The next choice. False: nothing waits anywhere. */
static bool choose(struct mpp_worker *w, struct mpp_work *work)
{
	const uint32_t waiting = mpp_peek(&w->pool->runq.waiting);

	work->single = NULL;
	work->multi = NULL;
	if (is_fair_turn(w, waiting) && take_in_rotation(w, work))
		return true;
	if (waiting >> URGENT && take_priority(w, MPP_PRIORITIES - 1, work))
		return true;
	work->single = mpp_deque_steal(&w->deque);
	if (work->single || take_priority(w, MPP_NORMAL, work))
		return true;
	work->single = steal(w);
	return work->single || (waiting && take_priority(w, 0, work));
}

/* ---------------------------------------------------------------------------------------------------------- waking */

struct mpp_worker *mpp_pool_pop_idle_locked(mppool *pool)
{
	struct mpp_worker *w = pool->idle;

	if (w)
		mpp_worker_leave_idle_locked(w);
	return w;
}

/* S1: the worker to be woken for new work, or NULL; mpp_worker_unpark() without the lock. */
struct mpp_worker *mpp_pool_wake_one_locked(mppool *pool)
{
	struct mpp_worker *w = mpp_pool_pop_idle_locked(pool);

	if (w) {
		w->coming = true;
		mpp_store_seq(&pool->ncoming, mpp_peek(&pool->ncoming) + 1);
	}
	return w;
}

void mpp_worker_unpark(struct mpp_worker *w)
{
	mpp_store(&w->wake, 1);
	mpp_wake_one(&w->wake);
}

void mpp_pool_notify_call(mppool *pool)
{
	if (!mpp_load_seq(&pool->watched))
		mpp_pool_notify(pool);
}

/* S1: something was stored in a place. */
void mpp_pool_notify(mppool *pool)
{
	struct mpp_worker *w;

	if (mpp_load_seq(&pool->nidle) == 0 || mpp_load_seq(&pool->ncoming) > 0 || mpp_ring_is_armed(&pool->runq.ring))
		return;
	mpp_lock(&pool->lock);
	w = mpp_peek(&pool->ncoming) > 0 ? NULL : mpp_pool_wake_one_locked(pool);
	mpp_pool_unlock(pool);
	if (w)
		mpp_worker_unpark(w);
}

/* Ordered against a store that is followed by a look at the sleepers: S1. */
static bool anything_waits(mppool *pool)
{
	return mpp_load_seq(&pool->runq.waiting) != 0 || mpp_ring_is_ready(&pool->runq.ring) || anything_to_steal(pool);
}

static void arrive_locked(struct mpp_worker *w)
{
	mppool *pool = w->pool;

	if (w->coming) {
		w->coming = false;
		mpp_store_seq(&pool->ncoming, mpp_peek(&pool->ncoming) - 1);
	}
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

/* A worker that was woken, or whose spin has ended, has found something: S1, S4. It wakes two if more calls wait than
 * workers are awake, for those are then at calls that take their time. */
static void found(struct mpp_worker *w, bool spun)
{
	mppool *pool = w->pool;
	struct mpp_worker *next[2] = {NULL, NULL};

	if (w->busy && !w->coming && !(spun && mpp_load_seq(&pool->nidle) > 0 && anything_waits(pool)))
		return;
	mpp_lock(&pool->lock);
	arrive_locked(w);
	set_busy_locked(w, true);
	if (mpp_peek(&pool->ncoming) == 0 && anything_waits(pool)) {
		next[0] = mpp_pool_wake_one_locked(pool);
		if (mpp_runq_count(&pool->runq) > pool->nbusy)
			next[1] = mpp_pool_wake_one_locked(pool);
	}
	mpp_pool_unlock(pool);
	for (int i = 0; i < 2; i++)
		if (next[i])
			mpp_worker_unpark(next[i]);
}

/* -------------------------------------------------------------------------------------------------------- sleeping */

/* S4. True: there may be something to choose. */
static bool spin(struct mpp_worker *w)
{
	mppool *pool = w->pool;
	struct mpp_spin budget = {0, 0, false};
	bool found = false;
	size_t ticket;

	if (!mpp_ring_arm(&pool->runq.ring, &ticket))
		return mpp_ring_is_ready(&pool->runq.ring);
	mpp_poke(&pool->busy_spins, w->busy);
	while (!found && mpp_spin_more(&budget))
		found = !mpp_ring_is_armed_at(&pool->runq.ring, ticket) || mpp_peek(&pool->runq.waiting) != 0 ||
		        anything_to_steal(pool);
	mpp_poke(&pool->busy_spins, false);
	return !mpp_ring_disarm(&pool->runq.ring, ticket) || found;
}

static void set_watcher_locked(mppool *pool, struct mpp_worker *w)
{
	pool->watcher = w;
	mpp_store_seq(&pool->watched, w != NULL);
}

void mpp_worker_leave_idle_locked(struct mpp_worker *w)
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
	if (pool->watcher == w)
		set_watcher_locked(pool, NULL);
}

static void enter_idle_locked(struct mpp_worker *w)
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
	arrive_locked(w);
	set_busy_locked(w, false);
	if (mpp_peek(&pool->nidle) == pool->nalive)
		set_watcher_locked(pool, NULL);  /* nobody is awake who could be watched */
	mpp_pool_advance_locked(pool);
}

/* S3: nanoseconds for each call that was taken from the ring since a worker looked last. */
static int64_t pace_locked(mppool *pool)
{
	const size_t head = mpp_peek(&pool->runq.ring.head), taken = head - pool->seen_head;
	const int64_t now = mpp_now(), passed = now - pool->seen_at;

	pool->seen_head = head;
	pool->seen_at = now;
	return taken ? passed / (int64_t)taken : MPP_NEVER;
}

/* S3. Predicate: as of sleep_locked(), or the time is over and another worker is needed. */
static void watch_locked(struct mpp_worker *w)
{
	mppool *pool = w->pool;
	int64_t moment = MOMENT, pace;

	set_watcher_locked(pool, w);
	while (pool->watcher == w) {
		bool timed_out = false;

		mpp_pool_unlock(pool);
		while (mpp_load(&w->wake) == 0 && !timed_out)
			timed_out = mpp_park(&w->wake, 0, mpp_now() + moment) == ETIMEDOUT;
		mpp_lock(&pool->lock);
		pace = pace_locked(pool);
		if (pace > SHORT || mpp_runq_count(&pool->runq) >= BACKLOG)
			return;
		moment = moment < LONGEST ? 2 * moment : LONGEST;
	}
}

/* Predicate: wake is 1, which is set after the worker was taken off the idle list. The look at every place comes after
 * the worker has said that it sleeps: S1. */
static void sleep_locked(struct mpp_worker *w)
{
	mppool *pool = w->pool;
	const bool short_calls = pace_locked(pool) <= SHORT;

	unadvertise(w);
	mpp_worker_set_activity_locked(w, MPP_ASLEEP);
	enter_idle_locked(w);
	if (short_calls && !pool->watcher && mpp_peek(&pool->nidle) < pool->nalive) {
		watch_locked(w);
	} else {
		mpp_pool_unlock(pool);
		if (!anything_waits(pool))
			while (mpp_load(&w->wake) == 0)
				mpp_park(&w->wake, 0, MPP_NEVER);
		mpp_lock(&pool->lock);
	}
	mpp_worker_leave_idle_locked(w);
	mpp_worker_set_activity_locked(w, MPP_AWAKE);
}

static void sleep_unless_leaving(struct mpp_worker *w)
{
	mppool *pool = w->pool;
	struct mpp_trace_span span;

	mpp_trace_sleep(w->row, &span, mpp_runq_count(&pool->runq));
	mpp_lock(&pool->lock);
	if (!mpp_worker_must_leave_locked(w))
		sleep_locked(w);
	mpp_pool_unlock(pool);
	mpp_trace_end(w->row, &span, MPP_TRACE_IDLE, NULL, 0, 0);
}

/* The code that sets MPP_FINISHED, or dismisses the worker, wakes it if it sleeps. */
static bool must_leave(struct mpp_worker *w)
{
	bool leave;

	if (mpp_likely(!mpp_peek(&w->dismissed) && !(mpp_peek(&w->pool->runq.waiting) & MPP_FINISHED)))
		return false;
	mpp_lock(&w->pool->lock);
	leave = mpp_worker_must_leave_locked(w);
	mpp_pool_unlock(w->pool);
	return leave;
}

bool mpp_worker_acquire(struct mpp_worker *w, struct mpp_work *work)
{
	bool spun = false;

	while (!must_leave(w)) {
		if (choose(w, work)) {
			found(w, spun);
			return true;
		}
		spun = true;
		if (!spin(w))
			sleep_unless_leaving(w);
	}
	return false;
}

/* The first workers to leave a finished pool wake the others. A dismissed worker hands on what it was woken for. */
void mpp_worker_release_others(struct mpp_worker *w)
{
	mppool *pool = w->pool;
	struct mpp_worker *next[2] = {NULL, NULL};

	mpp_lock(&pool->lock);
	unadvertise(w);
	arrive_locked(w);
	set_busy_locked(w, false);
	if (pool->finished) {
		next[0] = mpp_pool_pop_idle_locked(pool);
		next[1] = mpp_pool_pop_idle_locked(pool);
	} else if (anything_waits(pool)) {
		next[0] = mpp_pool_wake_one_locked(pool);
	}
	mpp_pool_unlock(pool);
	for (int i = 0; i < 2; i++)
		if (next[i])
			mpp_worker_unpark(next[i]);
}
