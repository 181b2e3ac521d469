/* layer 3: the pool that workers and handlers share. Its life cycle is in pool.c, layer 4.
 *
 * DESIGN. One short lock guards the queue of calls, the list of sleeping workers, the counts of what is alive, and so
 * every decision that must not be torn: "the pool is open, so this call is accepted", "there is nothing to do, so I
 * sleep", "nothing is alive and the pool is closed, so all go home". Work does not pass through it item by item: a worker
 * takes several short calls at a time into its own deque, joins a map once, and runs what its tasks submit itself.
 *
 * Sleeping and waking, where no wake-up may be lost and none wasted:
 *   P1  A worker sleeps only after it was put on the idle list under the lock that it held while it found the queue
 *       empty; whoever puts something there holds the lock, too.
 *   P2  Deques are filled without the lock: the pusher stores and then looks for idle workers, a worker that went on the
 *       idle list then looks into the deques. Store before load on both sides: one of them sees the other.
 *   P3  Nobody is woken while a worker searches: it will find what was put there, because it looks again after it has
 *       stopped to count as a searcher. A searcher that found something wakes the next if there is more. Who is awake
 *       and finds nothing searches, too, or goes to sleep if enough do so already; not for the sake of one who was woken
 *       for it and may be long in coming, where every CPU is at work. If calls block, whoever found one wakes two.
 *   P4  So: if there is work that nobody has claimed and a worker sleeps, then a worker searches, or somebody who is in
 *       the library, and not in a user function, is about to wake one.
 *   P6  While calls are so short that one worker keeps up with their submitters, company costs more than the calls: a
 *       wake-up is worth hundreds of them, and the workers would take the submitters' CPUs. Such a pool is *brisk*. Then
 *       nobody is woken for a call in the queue as long as the queue is short, some worker is awake, and one *stands by*:
 *       an idle worker that sleeps for a moment at a time, and takes part again as soon as a moment passes in which no
 *       call was taken. A pool without work has none that stands by.
 *
 * Calls start in the order in which they were submitted, although a worker takes several short ones at once:
 *   P5  A worker takes calls from the queue only while every other worker's inbox is empty, which it sees under the lock
 *       under which inboxes are filled; and a more urgent one meanwhile, but by itself. So there is one batch at a time,
 *       all start the oldest call of it first, and what is in the queue is younger. While a batch is open one other
 *       worker watches it, and helps when it takes longer than was thought.
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
#include "queue.h"
#include "stream.h"
#include "thread.h"
#include "trace.h"

#define MPP_PRIORITIES 3         /* index 0: -1 ... 2: 1 */

/* Workers are found by their index without a lock, and their number may grow: so their places are in crews of 64, and
 * the crews in segments, each twice as large as the one before. Nothing of it moves or goes before the pool does. */
#define MPP_CREW 64
#define MPP_SEGMENTS 26          /* INT_MAX places */

struct mpp_crew {
	_Atomic uint64_t advertised;     /* a bit per worker whose inbox or deque may hold something; its owner writes it */
	_Atomic(struct mpp_worker *) worker[MPP_CREW];
};

struct mpp_worker {
	struct mpp_deque deque;                          /* what its own tasks submitted: it takes the newest */
	struct mpp_deque inbox;                          /* what it took from the queue at once: all take the oldest */
	_Atomic int64_t batch_start;                     /* when it did; it writes, others see whether it is stuck */
	int batch_priority;                              /* the lock writes, its owner may read: priority index of the inbox */
	alignas(MPP_LINE) _Atomic uint32_t wake;         /* it sleeps while this is 0 */
	struct mpp_worker *prev_idle, *next_idle;        /* the lock */
	bool idle;                                       /* the lock: on the idle list */
	bool busy;                                       /* the lock: counted in nbusy */
	enum mpp_activity { MPP_OFF, MPP_AWAKE, MPP_ASLEEP } activity;   /* the lock writes, its owner may read */
	int64_t since, awake, asleep;                    /* the lock: when that began; nanoseconds of earlier times */
	bool searching;                                  /* the lock: counted in nsearching */
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
	size_t batch;                                    /* calls to take at once */
	size_t took;                                     /* calls that it took the last time */
	bool lively;                                     /* not long ago */
	size_t stream_batch;                             /* chunks of a stream to take at once */
	size_t chunks_left;                              /* until it retires */
	unsigned turns;
	bool advertised;                                 /* its bit in its crew is set */
	bool initialized;                                /* the finalizer is due */
	/* Handed from a thread to its successor, which joins it first: */
	pthread_t thread, before;
	bool has_before, started;
};

struct mpp_handler {             /* of generators */
	pthread_t thread;
	mppool *pool;
	struct mpp_trace_row *row;       /* its thread's; NULL: not traced */
	struct mpp_handler *next;        /* the lock: among those that serve, or those that have left */
};

struct mppool {
	/* Constant after creation. */
	struct mppool_options options;   /* name and cpus are the pool's own copies */
	struct mpp_trace *trace;         /* NULL: there is none */
	const struct mpp_carrier *carrier;               /* how items run elsewhere; NULL: on the workers' threads */
	void *carried;                   /* its own of this pool */
	void *initarg;                   /* the pool's copy, by options.initarg_size; NULL: there is none */
	uint32_t generation;             /* of the process */
	uint32_t most_searching;         /* at once, of those that are awake: at least 1 */
	/* These only when it is resized; the lock writes. */
	_Atomic size_t nworkers;         /* as many as there should be */
	_Atomic size_t nplaces;          /* places that there are: more than nworkers, if it was larger once */
	_Atomic(struct mpp_crew *) crews[MPP_SEGMENTS];  /* segment s has 2^s of them */
	struct mpp_places *places;       /* their memory: crew.c */

	/* One line with all that a submit, or the taking of a batch, looks at besides the queue. What is atomic is looked
	 * at without the lock and written under it. */
	alignas(MPP_LINE) struct mpp_lock lock;
	_Atomic int state;               /* MPPOOL_RUN ... */
	_Atomic int urgent;              /* what waits: 2 * priority index, + 1 with open streams; -1: nothing */
	_Atomic uint32_t nidle;          /* P2 */
	_Atomic uint32_t nsearching;     /* P3 */
	_Atomic size_t queued;           /* calls and open multis: what a searcher looks at */
	struct mpp_worker *idle;         /* the last to sleep is the first to be woken */
	struct mpp_worker *standby;      /* P6: an idle one that looks again by itself; or NULL */
	unsigned takes;                  /* of calls from the queue */
	bool coming;                     /* P3: one of nsearching was woken for it and is not awake yet */
	bool brisk;                      /* P6: the last taker went quickly through all that it had taken */
	uint8_t wakes;                   /* bits of enum mpp_wakes */
	size_t nalive;                   /* workers in service */

	/* The lock's. */
	uint64_t submitted;              /* items of calls that passed through the queue; of generators: that completed */
	size_t most_queued;              /* highest value of `queued` */
	int64_t looked;                  /* when mppool_stats() last read a worker's clock */
	unsigned seen_takes;             /* P6: `takes` as one who stood by saw it last, */
	int64_t seen_at;                 /* and when it first did */
	struct mpp_queue queue[MPP_PRIORITIES];          /* struct mpp_job: singles, and multis not yet exhausted */
	size_t queued_multis[MPP_PRIORITIES];            /* how many of them are multis */
	/* Streams with items to claim, and arrays to which a visitor gave something back. */
	struct mpp_list open[MPP_PRIORITIES];
	size_t open_streams[MPP_PRIORITIES];             /* how many of them are streams */
	unsigned alternate;              /* queue and open streams take turns */
	unsigned passed;                 /* takes that went past a lower priority */
	struct mpp_worker *batch_owner;  /* P5: who took the last batch; only its inbox can hold anything */
	_Atomic(struct mpp_worker *) vacant;             /* by next_idle: lost and not replaced; the lock writes */
	_Atomic bool handler_wanted;                     /* H1: there was no thread for a task handler; the lock writes */
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
	struct mpp_handler *serving, *left;              /* task handlers; those that have left are to be joined */
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
	struct mpp_worker *retired;      /* the last one dismissed whose thread has left and is to be joined */
	struct mpp_failure *broken;      /* why, once BROKEN; constant then */
	pthread_t result_handler, result_before;
	bool has_result_before, result_started;

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

_Static_assert(offsetof(struct mppool, submitted) - offsetof(struct mppool, lock) <= MPP_LINE, "one line for a submit");

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

/* Under the lock: a sleeping worker that should be woken for new work, now counted as searching; or NULL.
 * mpp_worker_unpark() outside the lock. */
struct mpp_worker *mpp_pool_wake_one_locked(mppool *pool);
struct mpp_worker *mpp_pool_wake_for_call_locked(mppool *pool);  /* P6: for a single in the queue */
struct mpp_worker *mpp_pool_pop_idle_locked(mppool *pool);  /* whatever it is to do */
void mpp_worker_unpark(struct mpp_worker *worker);

/* There is new work in a deque, or more of it in a multi that is listed: P2, P4. */
void mpp_pool_notify(mppool *pool);

/* The first of the live multis, and of the open ones; NULL: there is none. */
static inline struct mpp_multi *mpp_pool_live(const mppool *pool)
{
	return mpp_entry(pool->live.first, struct mpp_multi, live);
}

static inline struct mpp_multi *mpp_pool_open(const mppool *pool, int priority_index)
{
	return mpp_entry(pool->open[priority_index].first, struct mpp_multi, open);
}

/* Brings hints up to date after the queue or the open list changed. */
void mpp_pool_hints_locked(mppool *pool);
void mpp_pool_hint_pushed_locked(mppool *pool, int priority_index);      /* the same, after a push */
struct mpp_job *mpp_pool_pop_locked(mppool *pool, int priority_index);   /* from the queue; NULL: it is empty */

/* Asks for memory for the queue, without the lock meanwhile: everything else may have changed. False: there is none. */
bool mpp_pool_extend_queue_locked(mppool *pool, struct mpp_queue *queue);
void mpp_pool_unlist_locked(struct mpp_multi *m);

void mpp_pool_carrier_lost(mppool *pool);        /* the workers are lost, and no others can be started */

/* Stops everything: MPPOOL_TERMINATED, or MPPOOL_BROKEN with a failure, which is taken over. */
void mpp_pool_stop(mppool *pool, int state, struct mpp_failure *why);

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

/* Places for n workers at least: crew.c. One caller at a time. 0 or ENOMEM; then there are fewer. */
int mpp_places_make(mppool *pool, size_t n);
void mpp_places_free(mppool *pool);

/* Places [from, n): those that have no thread are given one by mpp_places_start(), which takes back what it could not
 * start, and returns why; the others keep theirs, whether or not they had been dismissed. One caller at a time. */
size_t mpp_places_enlist_locked(mppool *pool, size_t from, size_t n);    /* how many */
int mpp_places_start(mppool *pool, size_t from, size_t n);
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

/* A thread for the worker, which first joins `before`, the one that had its place, if there was one. 0 or an errno value. */
int mpp_worker_start(struct mpp_worker *worker, pthread_t before);
void mpp_workers_refill(mppool *pool);           /* tries again where no thread was to be had for a lost worker */
void mpp_worker_frame(struct mpp_worker *worker, struct mpp_frame *frame);       /* for work nested in another */
struct mpp_visitor mpp_worker_visitor(struct mpp_worker *worker, struct mpp_frame *frame, const struct mpp_job *job);
void mpp_worker_advertise(struct mpp_worker *worker);

/* The oldest call in a worker's hands, by anybody; NULL: there is none. */
static inline struct mpp_job *mpp_worker_rob(struct mpp_worker *worker)
{
	struct mpp_job *job = mpp_deque_steal(&worker->inbox);

	return job ? job : mpp_deque_steal(&worker->deque);
}

int mpp_task_handler_start(mppool *pool);
void mpp_task_handlers_more(mppool *pool);       /* another one, if generators that block could hold up others */
int mpp_result_handler_start(mppool *pool);

/* Nanoseconds that one who stands by sleeps at a time, a worker (P6) or a task handler (H3): at first, and the next time
 * if others get on well, up to eight times as long. */
#define MPP_STANDBY 200000

static inline int64_t mpp_standby_longer(int64_t moment)
{
	return moment < 8 * MPP_STANDBY ? 2 * moment : moment;
}

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
