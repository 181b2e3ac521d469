/* layer 3: the pool that workers and handlers share. Its life cycle is in pool.c, layer 4.
 *
 * DESIGN. One short lock guards the queues of calls, the list of sleeping workers, the counts of what is alive, and so
 * every decision that must not be torn: "the pool is open, so this call is accepted", "nothing is alive and the pool is
 * closed, so all go home". A plain call passes by it, through the ring of the run queue (runq.h); a batch job passes it
 * once; what a task submits goes to its worker's deque. scheduler.c has the rules by which workers choose, sleep and are
 * woken.
 *
 * Shutdown, each step under the lock by whoever made its condition true (mpp_pool_advance_locked):
 *   closed      and nothing is queued, open, registered, and every worker idle -> finished
 *   terminated  or broken -> finished
 *   finished    -> workers leave, and each wakes two others for that; nothing is accepted any more, not even from what
 *       still runs
 *   and no registered job is left, and so no generator -> task handlers leave; no callback will come due any more
 *       (due_stop): the result handler leaves when it has called those that are
 *   no thread is left -> join returns */
#ifndef MPP_POOL_H
#define MPP_POOL_H

#include "deque.h"
#include "event.h"
#include "runq.h"
#include "service.h"
#include "starter.h"
#include "thread.h"
#include "trace.h"

/* Workers are found by their index without a lock, and their number may grow: so their places are in crews of 64, and
 * the crews in segments, each twice as large as the one before. Nothing of it moves or goes before the pool does. */
#define MPP_CREW 64
#define MPP_SEGMENTS 26          /* INT_MAX places */

struct mpp_crew {
	_Atomic uint64_t advertised;     /* a bit per worker whose deque may hold something; its owner writes it */
	_Atomic(struct mpp_worker *) worker[MPP_CREW];
};

struct mpp_worker {
	struct mpp_deque deque;                          /* what its own tasks submitted; waiting tasks take the newest */
	alignas(MPP_LINE) _Atomic uint32_t wake;         /* it sleeps while this is 0 */
	struct mpp_worker *prev_idle, *next_idle;        /* the lock */
	bool idle;                                       /* the lock: on the idle list */
	bool busy;                                       /* the lock: counted in nbusy */
	enum mpp_activity { MPP_OFF, MPP_AWAKE, MPP_ASLEEP } activity;   /* the lock writes, its owner may read */
	int64_t since, awake, asleep;                    /* the lock: when that began; nanoseconds of earlier times */
	bool coming;                                     /* the lock: counted in ncoming */
	bool on_duty;                                    /* the lock: a thread has the place, or is to have it */
	bool awaited;                                    /* the lock: counted in nstarting */
	bool enlisted;                                   /* whoever starts it: not started yet */
	struct mpp_remote *remote;                       /* the lock writes: where its items run; NULL: on its thread */
	/* Its own thread's: */
	alignas(MPP_LINE) struct mpp_tally tally;        /* read by mppool_stats() */
	mppool *pool;
	struct mpp_crew *crew;                           /* constant: its index is there */
	_Atomic bool dismissed;                          /* the lock writes: there are to be fewer workers */
	int index;
	void *state;                                     /* the initializer's */
	struct mpp_trace_row *row;                       /* NULL: not traced */
	size_t stream_batch;                             /* chunks of a stream to take at once */
	size_t chunks_left;                              /* until it retires */
	unsigned passed;                                 /* choices since the last one in rotation: F1 in scheduler.c */
	unsigned alternate;                              /* streams and other calls take turns */
	bool advertised;                                 /* its bit in its crew is set */
	bool initialized;                                /* the finalizer is due */
	_Atomic uint32_t taken;                          /* 1 while a thread has the place; its successor sleeps on it */
};

struct mppool {
	/* Constant after creation. */
	struct mppool_options options;   /* name and cpus are the pool's own copies */
	struct mpp_trace *trace;         /* NULL: there is none */
	const struct mpp_carrier *carrier;               /* how items run elsewhere; NULL: on the workers' threads */
	void *carried;                   /* its own of this pool */
	void *initarg;                   /* the pool's copy, by options.initarg_size; NULL: there is none */
	uint32_t generation;             /* of the process */
	/* These only when it is resized; the lock writes. */
	_Atomic size_t nworkers;         /* as many as there should be */
	_Atomic size_t nplaces;          /* places that there are: more than nworkers, if it was larger once */
	_Atomic(struct mpp_crew *) crews[MPP_SEGMENTS];  /* segment s has 2^s of them */
	struct mpp_places *places;       /* their memory: crew.c */

	/* What every submit and every choice reads, and few write. The lock writes. */
	alignas(MPP_LINE) _Atomic int state;             /* MPPOOL_RUN ... */
	_Atomic(struct mpp_worker *) vacant;             /* by next_idle: lost and not replaced */
	_Atomic bool handler_wanted;                     /* H1: there was no thread for a task handler */
	struct mpp_runq runq;

	_Atomic bool busy_spins;         /* the worker that spins (S4) is counted in nbusy; it writes */

	alignas(MPP_LINE) _Atomic uint32_t nidle;        /* S1 in scheduler.c: workers on the idle list; the lock writes */
	_Atomic uint32_t ncoming;                        /* S1: woken for a call, and not there yet; the lock writes */
	_Atomic bool watched;            /* S3: there is a watcher; the lock writes */
	struct mpp_worker *idle;         /* the lock: the last to sleep is the first to be woken */
	struct mpp_worker *watcher;      /* the lock: on the idle list, or NULL: S3 */
	size_t seen_head;                /* the lock: the ring's head when a worker looked last, */
	int64_t seen_at;                 /* and when that was */
	alignas(MPP_LINE) struct mpp_lock lock;
	uint8_t wakes;                   /* bits of enum mpp_wakes */
	size_t nalive;                   /* workers in service */

	/* The lock's. */
	uint64_t submitted;              /* items of calls that passed through the queue; of generators: that completed */
	int64_t looked;                  /* when mppool_stats() last read a worker's clock */
	size_t waiting;                  /* calls that have not started, counted with a queue limit */
	size_t room_waiters;
	struct mpp_list live;            /* multis that have not completed: the longer ago swept, the earlier */
	unsigned sweep;                  /* the newest: of a close, or of a stop, which is the last */
	size_t nlive;                    /* of those that are registered: multis, until their items have ended */
	size_t registered;               /* jobs, until they ended and their hooks have returned */
	bool finished;                   /* workers leave */
	size_t nbusy, most_busy;         /* workers that have found something and not come back for more; at most, ever */
	size_t nhandlers, nidle_handlers, ngenerators;   /* task handlers; registered streams with a generator */
	size_t ndrawing;                 /* of nhandlers: at a generator, or on the way there or back */
	unsigned draws;                  /* of streams from the list */
	bool handler_naps;               /* H3: one sleeps with a deadline */
	bool draw_stop;
	struct mpp_stream *draw_first, *draw_last;
	struct mpp_job *due_first, *due_last;            /* callbacks: C1 in callbacks.c */
	size_t ndue;
	size_t due_waiters, due_woken;   /* who sleeps on due_word; those of them who are on their way back */
	bool due_stop;                   /* no more will come due */
	bool calling;                    /* callbacks are polled: a thread has its turn, C2 */
	struct mpp_event event;          /* callbacks are polled: raised while some are due, once it is open */
	uint64_t lost;                   /* remotes that died at work */
	_Atomic int no_room;             /* an errno value: why nothing could be started for a worker */
	size_t nthreads;                 /* of all kinds, until their last look at the pool */
	int joining;                     /* 0, 1 somebody is at it, 2 done */
	bool stopping;                   /* mpp_pool_stop is still ending what never started */
	size_t nstarting;                /* workers whose initializer somebody waits for */
	size_t nunsure;                  /* of nalive: for which there may be no thread, or that may fail to initialize */
	bool growing;                    /* a growth is under way: R1 in resize.c */
	bool overruled;                  /* and a smaller size was asked for meanwhile: R3 */
	struct mpp_failure *growth_failure;              /* of an initializer of its newcomers */
	struct mpp_failure *broken;      /* why, once BROKEN; constant then */
	struct mpp_starter *starter;     /* constant while threads serve: T1 in service.h */
	struct mpp_list serving, left;   /* of struct mpp_service: T3; those that have left are to be joined */
	size_t nending;                  /* those that have left and have not been joined by another that did */

	alignas(MPP_LINE) struct mpp_tally tally;        /* of threads that are no workers, and of items that never ran */

	/* Words to sleep on; each changes under the lock. */
	alignas(MPP_LINE) _Atomic uint32_t room_word;    /* room in the queue, or no more hope of it */
	_Atomic uint32_t draw_word;      /* something to draw, or stop */
	_Atomic uint32_t due_word;       /* a callback is due, due_stop, handler_wanted, or a turn is over */
	_Atomic uint32_t gone_word;      /* nthreads is 0; joining is 2 */
	_Atomic uint32_t start_word;     /* nstarting is 0 */
	_Atomic uint32_t growth_word;    /* growing is over */
	_Atomic uint32_t idle_word;      /* with idle_waiters, the pool was idle for a moment */
	_Atomic uint32_t idle_waiters;   /* the lock writes; mpp_pool_stream_paused reads */
};

/* Who is to be woken once the lock is free: woken under it, they would only go to sleep again for the lock. */
enum mpp_wakes {
	MPP_WAKE_DRAWERS = 1,            /* all who sleep on draw_word */
	MPP_WAKE_CALLERS = 2,            /* on due_word */
	MPP_WAKE_JOINERS = 4,            /* on gone_word */
	MPP_WAKE_IDLERS = 8,             /* on idle_word */
	MPP_WAKE_DRAWER = 16             /* one of those on draw_word */
};
void mpp_pool_unlock_and_wake(mppool *pool);

static inline void mpp_pool_unlock(mppool *pool)
{
	if (mpp_unlikely(pool->wakes))
		mpp_pool_unlock_and_wake(pool);
	else
		mpp_unlock(&pool->lock);
}

/* Under the lock: go on with the shutdown as far as can be. */
void mpp_pool_advance_locked(mppool *pool);

#ifndef MPP_FAIR
#define MPP_FAIR 64              /* choices between two of the rotation: F1 in scheduler.c */
#endif

/* What scheduler.c has for others. Under the lock: a sleeping worker to be woken for new work, which counts as coming from
 * then on, or whatever it is to do; NULL: none sleeps. mpp_worker_unpark() without the lock. */
struct mpp_worker *mpp_pool_wake_one_locked(mppool *pool);
struct mpp_worker *mpp_pool_pop_idle_locked(mppool *pool);
void mpp_worker_unpark(struct mpp_worker *worker);
void mpp_worker_leave_idle_locked(struct mpp_worker *worker);

/* Something was stored in a place where calls wait: S1. */
void mpp_pool_notify(mppool *pool);
void mpp_pool_notify_call(mppool *pool);         /* in the ring or after it: S3 */

/* A call of the worker's own task, for which its deque has room: what notifies is the caller's. */
void mpp_worker_push_own(struct mpp_worker *worker, struct mpp_job *job);

/* Blocks until there is something to do. False: the worker must leave. */
bool mpp_worker_acquire(struct mpp_worker *worker, struct mpp_work *ret_work);
bool mpp_worker_has_passed(const struct mpp_worker *worker);     /* calls that wait elsewhere: F1 */
bool mpp_worker_must_leave_locked(struct mpp_worker *worker);    /* worker.c */
void mpp_worker_release_others(struct mpp_worker *worker);       /* as the worker leaves */

/* A worker's clock: mppool_stats(). */
void mpp_worker_set_activity_locked(struct mpp_worker *worker, enum mpp_activity activity);

/* The first of the live batch jobs; NULL: there is none. */
static inline struct mpp_multi *mpp_pool_live(const mppool *pool)
{
	return mpp_entry(pool->live.first, struct mpp_multi, live);
}

/* Asks for memory for the queue, without the lock meanwhile: everything else may have changed. False: there is none. */
bool mpp_pool_extend_queue_locked(mppool *pool, int priority_index);

void mpp_pool_carrier_lost(mppool *pool);        /* the workers are lost, and no others can be started */

/* Stops everything: MPPOOL_TERMINATED, or MPPOOL_BROKEN with a failure, which is taken over. */
void mpp_pool_stop(mppool *pool, int state, struct mpp_failure *why);

void mpp_pool_discard_ring(mppool *pool);        /* of a stopped one */

void mpp_pool_thread_gone(mppool *pool);         /* a thread's last look at the pool */

static inline size_t mpp_segment_of(size_t crew)
{
	size_t s = 0;

	while ((crew + 1) >> (s + 1))
		s++;
	return s;
}

static inline struct mpp_crew *mpp_crew_at(const mppool *pool, size_t crew)
{
	size_t s = mpp_segment_of(crew);

	return mpp_load(&pool->crews[s]) + (crew + 1 - ((size_t)1 << s));
}

/* i is less than nplaces. */
static inline struct mpp_worker *mpp_worker_at(const mppool *pool, size_t i)
{
	return mpp_load(&mpp_crew_at(pool, i / MPP_CREW)->worker[i % MPP_CREW]);
}

/* Places for n workers at least: crew.c. One caller at a time. 0, ENOMEM, or EAGAIN: so many
 * threads cannot be had; then there are fewer. */
int mpp_places_make(mppool *pool, size_t n);
void mpp_places_free(mppool *pool);

/* Places [from, n): those that have no thread are given one by mpp_places_start(), which takes back what it could not
 * start, and returns why; the others keep theirs, whether or not they had been dismissed. One caller at a time. */
size_t mpp_places_enlist_locked(mppool *pool, size_t from, size_t n);    /* how many */
int mpp_places_start(mppool *pool, size_t from, size_t n);       /* by the pool's creator or its starter */
void mpp_places_dismiss_locked(mppool *pool, size_t from);
void mpp_places_take_back(mppool *pool, size_t from, size_t n);  /* those that were not started */
void mpp_pool_await_initializers(mppool *pool);          /* of all that were enlisted */
void mpp_pool_initialized_locked(struct mpp_worker *worker);     /* its initializer has returned, or never will */

/* It leaves as soon as it may: resize.c. */
void mpp_worker_dismiss_locked(struct mpp_worker *worker);

/* Does the pool belong to the process that this one was forked from? */
static inline bool mpp_pool_is_foreign(const mppool *pool)
{
	return pool->generation != mpp_fork_generation();
}

/* As mpp_job_returned(), where there is no job to look at. */
static inline void mpp_pool_returned(const mppool *pool)
{
	if (mpp_unlikely(mpp_pool_is_foreign(pool)))
		mpp_fork_strayed();
}

/* What calls that have not started end with in this state, TERMINATED or BROKEN. */
static inline int mpp_pool_stop_code(int state)
{
	return state == MPPOOL_BROKEN ? MPPOOL_EBROKEN : MPPOOL_ETERMINATED;
}

/* Are callbacks left to mppool_poll()? */
static inline bool mpp_pool_is_polled(const mppool *pool)
{
	return pool->options.callback_mode == MPPOOL_CALLBACKS_POLL;
}

/* A job that the pool waits for, and what is accepted now; see submit.c. The lock is held. */
void mpp_pool_register_locked(mppool *pool, struct mpp_job *job);
void mpp_pool_unregister_locked(mppool *pool, bool generator);

/* A thread for the worker, which has been counted; by the pool's creator or its starter. 0 or an errno value. */
int mpp_worker_start(void *worker);
void mpp_workers_refill(mppool *pool);           /* tries again where no thread was to be had for a lost worker */
void mpp_worker_frame(struct mpp_worker *worker, struct mpp_frame *frame);       /* for work nested in another */
struct mpp_visitor mpp_worker_visitor(struct mpp_worker *worker, struct mpp_frame *frame, const struct mpp_job *job);

/* The same for handlers. A task handler counts itself. */
int mpp_task_handler_start(void *pool);
void mpp_task_handlers_more(mppool *pool);       /* another one, if generators that block could hold up others */
int mpp_result_handler_start(void *pool);

/* By whoever comes by: tries again where no thread was to be had. */
static inline void mpp_pool_refill(mppool *pool)
{
	mpp_workers_refill(pool);
	if (mpp_unlikely(mpp_peek(&pool->handler_wanted)))
		mpp_task_handlers_more(pool);
}

/* For the result handler: runs callbacks in its frame as they come due, until due_stop. */
void mpp_callbacks_serve(mppool *pool, struct mpp_frame *frame);

/* For everybody else, where callbacks are polled: waits until some are due, and runs those. 0 and how many; 0 of them
 * when none came by the deadline, or can come any more. ETIMEDOUT: some are due, but others are at it. EDEADLK: to
 * wait here could keep them from coming. */
int mpp_callbacks_poll(mppool *pool, int64_t deadline, size_t *ret_run);

/* The descriptor that is readable while callbacks are due, opened when there is none yet. 0 or an errno value. */
int mpp_callbacks_fd(mppool *pool, int *ret_fd);

void mpp_callbacks_abandon(mppool *pool);        /* in a child of fork: the list goes, and the descriptor */

#endif
