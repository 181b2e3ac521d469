/* layer 4: a pool's life: creation, close, terminate, join, destroy; and the registry of jobs that it waits for. */
#include "pool.h"

#include "cpu.h"
#include "fork.h"
#include "memory.h"

/* -------------------------------------------------------------------------------------------------------- shutdown */

/* Nothing that runs, or could still be submitted by what runs: API's "everything accepted is finished". */
static bool quiescent_locked(mppool *pool)
{
	return pool->registered == 0 && mpp_peek(&pool->nidle) == pool->nalive && mpp_runq_is_empty_locked(&pool->runq);
}

/* All that live are streams whose drawing waits for a consumer? They are gone through only once nothing else is left. */
static bool all_paused_locked(const mppool *pool)
{
	const struct mpp_multi *m = mpp_pool_live(pool);

	if (pool->registered != pool->nlive)
		return false;
	while (m && m->job.kind == MPP_STREAM && mpp_load_seq(&mpp_stream_of(m)->drawing) == MPP_DRAW_IDLE)
		m = mpp_multi_next_live(m);
	return m == NULL;
}

/* Nothing waits or runs. Looking twice at the streams: a generator may take from one that was seen to pause before its
 * own is, and what that sets going needs this lock before it can pause again. */
static bool idle_locked(mppool *pool)
{
	if (mpp_peek(&pool->state) > MPPOOL_CLOSED)
		return pool->nalive == 0 && pool->registered == 0 && !pool->stopping;
	if (pool->finished)
		return true;
	return mpp_peek(&pool->nidle) == pool->nalive && mpp_runq_is_empty_locked(&pool->runq) && all_paused_locked(pool) &&
	       all_paused_locked(pool);
}

static void tell_idle_locked(mppool *pool)
{
	if (mpp_peek(&pool->idle_waiters) == 0 || !idle_locked(pool))
		return;
	mpp_add(&pool->idle_word, 1);
	pool->wakes |= MPP_WAKE_IDLERS;
}

/* The drawing was stored, then the look at who waits; the waiter does it the other way round. */
void mpp_pool_stream_paused(mppool *pool)
{
	if (mpp_likely(mpp_load_seq(&pool->idle_waiters) == 0))
		return;
	mpp_lock(&pool->lock);
	tell_idle_locked(pool);
	mpp_pool_unlock(pool);
}

/* The first to leave wakes others. It is woken under the lock, for who is here may be no thread of the pool, and without
 * it nothing would keep the pool. */
static void release_workers_locked(mppool *pool)
{
	struct mpp_worker *w;

	pool->finished = true;
	mpp_runq_finish_locked(&pool->runq);
	w = mpp_pool_pop_idle_locked(pool);
	if (w)
		mpp_worker_unpark(w);
}

/* Once the lock is free the pool may go: these words are only addresses then. */
void mpp_pool_unlock_and_wake(mppool *pool)
{
	unsigned wakes = pool->wakes;

	pool->wakes = 0;
	mpp_unlock(&pool->lock);
	if (wakes & MPP_WAKE_DRAWERS)
		mpp_wake_all(&pool->draw_word);
	if (wakes & MPP_WAKE_CALLERS)
		mpp_wake_all(&pool->due_word);
	if (wakes & MPP_WAKE_JOINERS)
		mpp_wake_all(&pool->gone_word);
	if (wakes & MPP_WAKE_IDLERS)
		mpp_wake_all(&pool->idle_word);
	if (wakes & MPP_WAKE_DRAWER)
		mpp_wake_one(&pool->draw_word);
}

void mpp_pool_advance_locked(mppool *pool)
{
	int state = mpp_peek(&pool->state);

	tell_idle_locked(pool);
	if (state == MPPOOL_RUN)
		return;
	if (!pool->finished && (state > MPPOOL_CLOSED || quiescent_locked(pool)))
		release_workers_locked(pool);
	if (pool->finished && pool->registered == 0 && !pool->draw_stop) {
		pool->draw_stop = true;
		mpp_add(&pool->draw_word, 1);
		pool->due_stop = true;
		mpp_add(&pool->due_word, 1);
		pool->wakes |= MPP_WAKE_DRAWERS | MPP_WAKE_CALLERS;
	}
	if (pool->nthreads == 0) {
		mpp_add(&pool->gone_word, 1);
		pool->wakes |= MPP_WAKE_JOINERS;
	}
}

void mpp_pool_thread_gone(mppool *pool)
{
	pool->nthreads--;
	mpp_pool_advance_locked(pool);
}

/* -------------------------------------------------------------------------------------------------------- registry */

/* Of a generator they are counted as they are drawn: mppool_stats(). */
static size_t items_of(const struct mpp_job *job)
{
	if (job->kind == MPP_SINGLE)
		return 1;
	return mpp_multi_of(job)->items.next ? 0 : mpp_multi_of(job)->items.length;
}

/* The tail has what was met by the newest sweep, or is younger than that. */
static void append_live_locked(mppool *pool, struct mpp_multi *m)
{
	m->sweep = pool->sweep;
	pool->nlive++;
	mpp_list_append(&pool->live, &m->live);
}

static void remove_live_locked(mppool *pool, struct mpp_multi *m)
{
	pool->nlive--;
	mpp_list_remove(&pool->live, &m->live);
}

void mpp_pool_register_locked(mppool *pool, struct mpp_job *job)
{
	struct mpp_multi *m;

	pool->submitted += items_of(job);
	if (!(job->flags & MPP_REGISTERED))
		return;
	pool->registered++;
	if (job->kind == MPP_SINGLE)
		return;
	m = mpp_multi_of(job);
	append_live_locked(pool, m);
	if (m->items.next)
		pool->ngenerators++;
}

void mpp_pool_completed(struct mpp_multi *m)
{
	mppool *pool = m->job.pool;

	mpp_lock(&pool->lock);
	remove_live_locked(pool, m);
	if (m->items.next)
		pool->submitted += mpp_multi_length(m);
	mpp_pool_unlock(pool);
}

void mpp_pool_unregister_locked(mppool *pool, bool generator)
{
	pool->registered--;
	if (!generator)
		return;
	pool->ngenerators--;
	if (pool->nhandlers > mpp_max(pool->ngenerators, 1) && pool->nidle_handlers > 0) {
		mpp_add(&pool->draw_word, 1);
		pool->wakes |= MPP_WAKE_DRAWER;  /* it leaves, or is needed, and then whoever is idle next looks again */
	}
}

void mpp_pool_unregister(mppool *pool, bool generator)
{
	mpp_lock(&pool->lock);
	mpp_pool_unregister_locked(pool, generator);
	mpp_pool_advance_locked(pool);
	mpp_pool_unlock(pool);
}

void mpp_pool_started(mppool *pool)
{
	mpp_lock(&pool->lock);
	pool->waiting--;
	if (pool->room_waiters > 0) {
		mpp_add(&pool->room_word, 1);
		mpp_wake_one(&pool->room_word);
	}
	mpp_pool_unlock(pool);
}

void mpp_pool_waits_again(mppool *pool)
{
	mpp_lock(&pool->lock);
	pool->waiting++;
	mpp_pool_unlock(pool);
}

const struct mppool_error *mpp_pool_broken_error(mppool *pool)
{
	static const struct mppool_error unknown = {MPPOOL_EBROKEN, 0, 0, "An initializer failed"};
	const struct mpp_failure *why;

	mpp_lock(&pool->lock);
	why = pool->broken;
	mpp_pool_unlock(pool);
	return why ? &why->error : &unknown;
}

/* -------------------------------------------------------------------------------------------------------- stopping */

/* The next job that this sweep has not met, with a reference. NULL: there is none, or a newer sweep has begun, a stop's
 * after a close's: it ends what the other one would have dealt with. */
static struct mpp_multi *sweep_next(mppool *pool, unsigned sweep)
{
	struct mpp_multi *m;

	mpp_lock(&pool->lock);
	m = mpp_pool_live(pool);
	if (m && pool->sweep == sweep && m->sweep != sweep) {
		remove_live_locked(pool, m);
		append_live_locked(pool, m);
		mpp_multi_ref(m);
	} else {
		m = NULL;
	}
	mpp_pool_unlock(pool);
	return m;
}

/* Calls `each` once for every job of many items that is live now, outside the lock. */
static void sweep_live(mppool *pool, unsigned sweep, void (*each)(struct mpp_multi *m, int code), int code)
{
	struct mpp_multi *m;

	while ((m = sweep_next(pool, sweep)) != NULL) {
		each(m, code);
		mpp_multi_unref(m);
	}
}

static void halt(struct mpp_multi *m, int code)
{
	mpp_multi_halt(m, code, true, false);
}

static void lift(struct mpp_multi *m, int code)
{
	(void)code;
	if (m->job.kind == MPP_STREAM)
		mpp_stream_lift(mpp_stream_of(m));
}

static struct mpp_job *pop_any_locked(mppool *pool)
{
	struct mpp_job *job = NULL;

	for (int p = MPP_PRIORITIES - 1; p >= 0 && !job; p--)
		job = mpp_runq_pop_locked(&pool->runq, p);
	return job;
}

static void discard_queued(mppool *pool, int code)
{
	for (;;) {
		struct mpp_job *job;

		mpp_lock(&pool->lock);
		job = pop_any_locked(pool);
		mpp_pool_unlock(pool);
		if (!job)
			return;
		if (job->kind == MPP_SINGLE)
			mpp_single_discard_popped(job, code);
		else
			mpp_multi_unref(mpp_multi_of(job));      /* sweep_live has ended its items */
	}
}

/* By a submitter that has filled a cell of the ring after the pool was stopped: what waits there is for nobody else. */
void mpp_pool_discard_ring(mppool *pool)
{
	discard_queued(pool, mpp_pool_stop_code(mpp_load(&pool->state)));
}

static struct mpp_multi *first_begun_locked(mppool *pool)
{
	struct mpp_multi *m = NULL;

	for (int p = 0; p < MPP_PRIORITIES && !m; p++) {
		m = mpp_runq_first_locked(&pool->runq, p, MPP_ARRAYS);
		if (!m)
			m = mpp_runq_first_locked(&pool->runq, p, MPP_STREAMS);
	}
	return m;
}

static void unlist_begun(mppool *pool)
{
	for (;;) {
		struct mpp_multi *m;

		mpp_lock(&pool->lock);
		m = first_begun_locked(pool);
		if (m)
			mpp_runq_unlist_locked(&pool->runq, m);
		mpp_pool_unlock(pool);
		if (!m)
			return;
		mpp_multi_unref(m);
	}
}

static void discard_deques(mppool *pool, int code)
{
	for (size_t i = 0; i < mpp_load_seq(&pool->nplaces); i++) {
		struct mpp_job *job;

		while ((job = mpp_deque_steal(&mpp_worker_at(pool, i)->deque)) != NULL)
			mpp_single_discard_popped(job, code);
	}
}

void mpp_pool_stop(mppool *pool, int state, struct mpp_failure *why)
{
	int code = mpp_pool_stop_code(state);
	unsigned sweep;

	mpp_lock(&pool->lock);
	if (mpp_peek(&pool->state) > MPPOOL_CLOSED) {
		mpp_pool_unlock(pool);
		if (why)
			mpp_failure_free(why);
		return;
	}
	pool->broken = why;
	pool->stopping = true;
	mpp_store_seq(&pool->state, state);      /* before the deques are emptied: push_own looks at it afterwards */
	sweep = ++pool->sweep;
	mpp_add(&pool->room_word, 1);
	mpp_wake_all(&pool->room_word);
	mpp_pool_advance_locked(pool);
	mpp_pool_unlock(pool);
	sweep_live(pool, sweep, halt, code);
	unlist_begun(pool);
	discard_queued(pool, code);
	discard_deques(pool, code);
	if (pool->carrier)               /* running items are asked to stop */
		mpp_remotes_nudge(pool);
	mpp_lock(&pool->lock);
	pool->stopping = false;
	tell_idle_locked(pool);
	mpp_pool_unlock(pool);
}

void mpp_pool_carrier_lost(mppool *pool)
{
	mpp_pool_stop(pool, MPPOOL_BROKEN, mpp_failure_new(MPPOOL_ELOST, 0, "The server of the worker processes died"));
}

/* ---------------------------------------------------------------------------------------------------- public calls */

MPP_PUBLIC int mppool_close(mppool *pool)
{
	unsigned sweep;

	if (!pool)
		return EINVAL;
	if (mpp_pool_is_foreign(pool))
		return MPPOOL_EFORKED;
	mpp_lock(&pool->lock);
	if (mpp_peek(&pool->state) != MPPOOL_RUN) {
		mpp_pool_unlock(pool);
		return 0;
	}
	mpp_store_seq(&pool->state, MPPOOL_CLOSED);
	mpp_ring_seal(&pool->runq.ring);         /* a call is in the ring by now, or it comes to this lock */
	sweep = ++pool->sweep;
	mpp_add(&pool->room_word, 1);
	mpp_wake_all(&pool->room_word);
	mpp_pool_unlock(pool);
	sweep_live(pool, sweep, lift, 0);
	mpp_lock(&pool->lock);
	mpp_pool_advance_locked(pool);
	mpp_pool_unlock(pool);
	return 0;
}

MPP_PUBLIC int mppool_terminate(mppool *pool)
{
	if (!pool)
		return EINVAL;
	if (mpp_pool_is_foreign(pool))
		return MPPOOL_EFORKED;
	mpp_pool_stop(pool, MPPOOL_TERMINATED, NULL);
	return 0;
}

MPP_PUBLIC int mppool_state(const mppool *pool)
{
	return pool ? mpp_load(&pool->state) : MPPOOL_TERMINATED;
}

/* Predicate: the pool is idle, or was since this call began. idle_word changes with every moment at which somebody saw
 * that, under the lock, as long as anyone waits. */
static int await_idle(mppool *pool, int64_t deadline)
{
	bool timed_out = false, idle;
	uint32_t word;

	mpp_lock(&pool->lock);
	mpp_add(&pool->idle_waiters, 1);         /* before the look at the streams: mpp_pool_stream_paused */
	word = mpp_peek(&pool->idle_word);
	while (!(idle = mpp_peek(&pool->idle_word) != word || idle_locked(pool)) && !timed_out && deadline != 0) {
		mpp_pool_unlock(pool);
		timed_out = mpp_park(&pool->idle_word, word, deadline) == ETIMEDOUT;
		mpp_lock(&pool->lock);
	}
	mpp_sub(&pool->idle_waiters, 1);
	mpp_pool_unlock(pool);
	return idle ? 0 : ETIMEDOUT;
}

MPP_PUBLIC int mppool_wait_idle(mppool *pool, double timeout)
{
	int64_t deadline;

	if (!pool || mpp_deadline(timeout, &deadline) != 0)
		return EINVAL;
	if (mpp_pool_is_foreign(pool))
		return MPPOOL_EFORKED;
	if (mpp_frame_at_work(pool))
		return EDEADLK;
	return await_idle(pool, deadline);
}

/* After the threads, each of which may have a remote. */
static void close_carrier(mppool *pool)
{
	for (size_t i = 0; i < mpp_load(&pool->nplaces); i++) {
		struct mpp_worker *w = mpp_worker_at(pool, i);
		struct mpp_remote *remote = w->remote;

		mpp_lock(&pool->lock);
		w->remote = NULL;        /* mppool_stats() may look */
		mpp_pool_unlock(pool);
		if (remote)
			pool->carrier->detach(remote);
	}
	if (pool->carried)
		pool->carrier->close(pool->carried);
	pool->carried = NULL;
}

/* Predicate: no thread is left and one caller has joined them all. gone_word changes with both. */
static int await_threads(mppool *pool, int64_t deadline)
{
	bool timed_out = false;

	mpp_lock(&pool->lock);
	while (pool->joining != 2) {
		uint32_t word = mpp_peek(&pool->gone_word);

		if (pool->nthreads == 0 && pool->joining == 0) {
			pool->joining = 1;
			mpp_pool_unlock(pool);
			mpp_services_join(pool);
			close_carrier(pool);
			mpp_lock(&pool->lock);
			pool->joining = 2;
			mpp_add(&pool->gone_word, 1);
			pool->wakes |= MPP_WAKE_JOINERS;
			break;
		}
		if (timed_out || deadline == 0) {
			mpp_pool_unlock(pool);
			return ETIMEDOUT;
		}
		mpp_pool_unlock(pool);
		timed_out = mpp_park(&pool->gone_word, word, deadline) == ETIMEDOUT;
		mpp_lock(&pool->lock);
	}
	mpp_pool_unlock(pool);
	return 0;
}

MPP_PUBLIC int mppool_join(mppool *pool, double timeout)
{
	int64_t deadline;

	if (!pool || mpp_deadline(timeout, &deadline) != 0)
		return EINVAL;
	if (mpp_pool_is_foreign(pool))
		return MPPOOL_EFORKED;
	if (mpp_load(&pool->state) == MPPOOL_RUN)
		return MPPOOL_ERUNNING;
	if (mpp_frame_in_pool(pool))
		return EDEADLK;
	return await_threads(pool, deadline);
}

static void free_pool(mppool *pool)
{
	if (pool->carried)               /* in a child of fork */
		pool->carrier->abandon(pool->carried);
	mpp_free(pool->initarg);
	mpp_runq_fini(&pool->runq);
	mpp_places_free(pool);
	if (pool->broken)
		mpp_failure_free(pool->broken);
	mpp_event_close(&pool->event);
	if (mpp_pool_is_foreign(pool))
		mpp_trace_abandon(pool->trace);
	else
		mpp_trace_close(pool->trace);
	mpp_free((void *)(uintptr_t)pool->options.name);
	mpp_free((void *)(uintptr_t)pool->options.cpus);
	mpp_free(pool);
}

static void abandon_singles(mppool *pool)
{
	struct mpp_job *job;

	while ((job = pop_any_locked(pool)) != NULL)
		if (job->kind == MPP_SINGLE)
			mpp_job_abandon_queued(job);
	for (size_t i = 0; i < mpp_load(&pool->nplaces); i++)
		while ((job = mpp_deque_steal(&mpp_worker_at(pool, i)->deque)) != NULL)
			mpp_job_abandon_queued(job);
}

/* In a child of fork: the threads are not here, and locks may be held for ever by those that are not. What the pool
 * holds goes with it, if its lists were not being changed when the process was copied. */
static void abandon(mppool *pool)
{
	struct mpp_multi *m, *next;

	if (mpp_peek(&pool->lock.word) != 0) {
		mpp_event_close(&pool->event);
		return;
	}
	abandon_singles(pool);
	mpp_services_abandon(pool);
	for (m = mpp_pool_live(pool); m; m = next) {
		next = mpp_multi_next_live(m);
		mpp_job_abandon_queued(&m->job);
	}
	mpp_callbacks_abandon(pool);
	free_pool(pool);
}

/* The pool is stopped or closed. Callbacks that nobody has polled are run here: nothing comes after them. One of them
 * may leave this thread; then another can come here again. */
static void finish(mppool *pool)
{
	size_t n;

	await_threads(pool, MPP_NEVER);
	if (pool->ndue > 0)
		mpp_callbacks_poll(pool, 0, &n);
	free_pool(pool);
}

MPP_PUBLIC int mppool_destroy(mppool *pool)
{
	if (!pool)
		return 0;
	if (mpp_pool_is_foreign(pool)) {
		abandon(pool);
		return 0;
	}
	if (mpp_frame_in_pool(pool)) {
		mpp_pool_stop(pool, MPPOOL_TERMINATED, NULL);
		return EDEADLK;
	}
	if (mpp_load(&pool->state) == MPPOOL_RUN)
		mpp_pool_stop(pool, MPPOOL_TERMINATED, NULL);
	finish(pool);
	return 0;
}

/* -------------------------------------------------------------------------------------------------------- creation */

static int check_options(const struct mppool_options *o)
{
	if (o->workers < 0 || o->kill_after != o->kill_after)
		return EINVAL;
	if (o->initarg_size > (size_t)PTRDIFF_MAX / 4 || (o->initarg_size > 0 && !o->initarg))
		return EINVAL;
	if (o->callback_mode != MPPOOL_CALLBACKS_THREAD && o->callback_mode != MPPOOL_CALLBACKS_POLL)
		return EINVAL;
	if ((o->flags & ~(unsigned)MPPOOL_CALLER_HELPS) || (o->flags && o->initializer))
		return EINVAL;
	if (!o->cpus != (o->ncpus == 0) || mpp_mul_overflows(o->ncpus, sizeof o->cpus[0]))
		return EINVAL;
	for (size_t i = 0; i < o->ncpus; i++)
		if (o->cpus[i] < 0)
			return EINVAL;
	return 0;
}

static size_t default_workers(void)
{
	const char *text = getenv("MPPOOL_WORKERS");
	char *end;
	long n = text ? strtol(text, &end, 10) : 0;

	return n > 0 && n <= INT_MAX && *end == '\0' ? (size_t)n : (size_t)mpp_cpu_usable();
}

static char *copy_bytes(const void *from, size_t size)
{
	char *copy = mpp_alloc(size);

	return copy ? memcpy(copy, from, size) : NULL;
}

static int init_pool(mppool *pool, const struct mppool_options *o)
{
	size_t n = o->workers ? (size_t)o->workers : default_workers();
	const char *name = o->name ? o->name : "mppool";
	int error, cpus = mpp_cpu_estimate();

	pool->options = *o;
	pool->options.trace = NULL;      /* mpp_trace_open() has it from the caller */
	pool->options.name = copy_bytes(name, strlen(name) + 1);
	pool->options.cpus = o->cpus ? (const int *)(void *)copy_bytes(o->cpus, o->ncpus * sizeof o->cpus[0]) : NULL;
	pool->generation = mpp_fork_generation();
	mpp_spin_setup(cpus);
	mpp_lock_init(&pool->lock, MPP_RANK_POOL);
	pool->event = (struct mpp_event)MPP_EVENT_INIT;
	mpp_poke(&pool->nworkers, n);
	pool->initarg = o->initarg_size > 0 ? copy_bytes(o->initarg, o->initarg_size) : NULL;
	if (!pool->options.name || (o->cpus && !pool->options.cpus) || (o->initarg_size > 0 && !pool->initarg))
		return ENOMEM;
	if (o->initarg_size > 0)
		pool->options.initarg = pool->initarg;
	error = mpp_places_make(pool, n);
	if (!error)
		error = mpp_trace_open(o->trace, pool, pool->options.name, &pool->trace);
	return error;
}

/* All or nothing: the counts are set first, as if all threads were there; those that could not be started are taken
 * off again. */
static int start_threads(mppool *pool)
{
	bool result_handler = !mpp_pool_is_polled(pool);
	int error = pool->carrier ? pool->carrier->open(&pool->options, pool, mpp_pool_carrier_lost, &pool->carried) : 0;
	size_t n = mpp_peek(&pool->nworkers);

	if (error)
		return error;
	mpp_lock(&pool->lock);
	mpp_places_enlist_locked(pool, 0, n);
	pool->nthreads += result_handler;
	mpp_pool_unlock(pool);
	error = mpp_starter_new(pool->options.name, &pool->starter);
	if (!error && result_handler)
		error = mpp_result_handler_start(pool);
	if (error) {
		pool->nthreads = 0;
		pool->nalive = 0;
		return error;
	}
	error = mpp_task_handler_start(pool);
	if (!error)
		return mpp_places_start(pool, 0, n);     /* an initializer may have failed, and all be gone that had started */
	mpp_places_take_back(pool, 0, n);
	return error;
}

static int refuse(int code, const char *message)
{
	const struct mppool_error why = {code, 0, 0, message};

	mpp_last_error_set(&why);
	return code;
}

static int find_carrier(const struct mppool_options *o, const struct mpp_carrier **ret_carrier)
{
	int error = mpp_carrier_find(o->kind, ret_carrier);

	if (error == EINVAL)
		return refuse(EINVAL, "options.kind is no kind of workers");
	if (error)
		return refuse(error, o->kind == MPPOOL_MPI ? "MPPOOL_MPI is not opened in this program"
		                                           : "This system has no futexes, by which processes wait");
	if (*ret_carrier && o->flags & MPPOOL_CALLER_HELPS)
		return refuse(EINVAL, "MPPOOL_CALLER_HELPS is for threads: no task of worker processes runs in the caller");
	if (*ret_carrier && o->initializer && o->initarg && o->initarg_size == 0 && mpp_carrier_needs_sizes())
		return refuse(EINVAL, "After mppool_fork_server() options.initarg needs its size in options.initarg_size");
	return 0;
}

static void give_up(mppool *pool)
{
	mpp_pool_stop(pool, MPPOOL_TERMINATED, NULL);
	finish(pool);
}

MPP_PUBLIC int mppool_create(const struct mppool_options *options, mppool **ret_pool)
{
	struct mppool_options o = MPPOOL_OPTIONS_INIT;
	const struct mpp_carrier *carrier = NULL;
	mppool *pool;
	int error = 0;

	if (!ret_pool)
		return EINVAL;
	if (options)
		error = mpp_struct_copy(&o, options, sizeof o, offsetof(struct mppool_options, kill_after));
	if (!error)
		error = check_options(&o);
	if (!error)
		error = find_carrier(&o, &carrier);
	if (!error)
		error = mpp_fork_watch();
	if (!error)
		error = mpp_thread_exit_key();
	if (error)
		return error;
	pool = mpp_alloc_aligned(sizeof *pool);
	if (!pool)
		return ENOMEM;
	pool->carrier = carrier;
	error = init_pool(pool, &o);
	if (error) {
		free_pool(pool);
		return error;
	}
	error = start_threads(pool);
	if (!error)
		mpp_pool_await_initializers(pool);
	if (!error && mpp_load(&pool->state) == MPPOOL_BROKEN)
		error = MPPOOL_EBROKEN;
	if (error == MPPOOL_EBROKEN && mpp_peek(&pool->no_room))
		error = mpp_peek(&pool->no_room);
	if (error) {
		if (error == MPPOOL_EBROKEN || pool->carrier)
			mpp_last_error_set(mpp_pool_broken_error(pool));
		give_up(pool);
		return error;
	}
	*ret_pool = pool;
	return 0;
}
