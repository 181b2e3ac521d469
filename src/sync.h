/* layer 0: atomics, park and lock: everything by which one thread of the library tells another something.
 *
 * No other file uses <stdatomic.h>, a futex or a pthread lock. So a scheduler of the tests can put itself in the place of
 * the atomics, of park.c and of mpp_lock(), and choose the order in which threads take their steps: tests/sched/README.
 * What is added to the atomics here has its counterpart in tests/sched/sched_sync.h.
 *
 * Orders. Read-modify-writes are sequentially consistent. mpp_load and mpp_store are acquire and release: they publish
 * and receive what the comment beside the field says. mpp_load_seq and mpp_store_seq stand where a store must come
 * before a load of the same thread (the two halves of "I say that I sleep, then look again" against "I put work there,
 * then look who sleeps"). mpp_peek and mpp_poke are relaxed: a hint, or a field that only its owner writes. */
#ifndef MPP_SYNC_H
#define MPP_SYNC_H

#include "base.h"

#include <stdatomic.h>

#define mpp_peek(p) atomic_load_explicit(p, memory_order_relaxed)
#define mpp_poke(p, v) atomic_store_explicit(p, v, memory_order_relaxed)
#define mpp_load(p) atomic_load_explicit(p, memory_order_acquire)
#define mpp_store(p, v) atomic_store_explicit(p, v, memory_order_release)
#define mpp_load_seq(p) atomic_load_explicit(p, memory_order_seq_cst)
#define mpp_store_seq(p, v) atomic_store_explicit(p, v, memory_order_seq_cst)
#define mpp_swap(p, v) atomic_exchange_explicit(p, v, memory_order_seq_cst)
#define mpp_add(p, v) atomic_fetch_add_explicit(p, v, memory_order_seq_cst)
#define mpp_sub(p, v) atomic_fetch_sub_explicit(p, v, memory_order_seq_cst)
#define mpp_or(p, v) atomic_fetch_or_explicit(p, v, memory_order_seq_cst)
#define mpp_and(p, v) atomic_fetch_and_explicit(p, v, memory_order_seq_cst)
#define mpp_cas(p, expected, v)                                                                                        \
	atomic_compare_exchange_strong_explicit(p, expected, v, memory_order_seq_cst, memory_order_seq_cst)

/* --------------------------------------------------------------------------------------------------------- barrier */

/* A store that must come before a load of the same thread costs that thread its whole queue of stores. Where one side
 * of such a pair does so for every item and the other once in thousands, the rare side pays for both: the frequent one
 * writes mpp_poke, mpp_in_order(), mpp_peek; the rare one mpp_poke, mpp_barrier(), mpp_peek. The barrier is a fence in
 * every thread that runs, so one of the two sees what the other stored. */
#define mpp_in_order() atomic_signal_fence(memory_order_seq_cst)        /* for the compiler alone */

bool mpp_barrier_is_there(void);         /* if not, sequentially consistent accesses must do */
bool mpp_barrier(void);                  /* false: the system refused it now */

/* A fence costs about 5 ns, a barrier 300 and as much for each CPU that it interrupts, and a map needs about as many
 * barriers for a worker as its share of chunks has bits. */
static inline bool mpp_barrier_pays(size_t chunks, size_t workers)
{
	return chunks / workers / workers >= 1000;
}

/* ------------------------------------------------------------------------------------------------------------ time */

#define MPP_NEVER INT64_MAX      /* a deadline that does not come */

int64_t mpp_now(void);           /* nanoseconds on the monotonic clock */

/* The public timeouts, as deadlines: EINVAL for NaN. 0 becomes a deadline that has passed. */
int mpp_deadline(double seconds, int64_t *ret_deadline);

/* ------------------------------------------------------------------------------------------------------------ park */

/* Sleeps while *word holds value, until the deadline. Returns 0, or ETIMEDOUT once the deadline has passed; 0 may come
 * for no reason at all: the caller looks at its predicate again. It is no cancellation point. */
int mpp_park(_Atomic uint32_t *word, uint32_t value, int64_t deadline);

/* Wake sleepers on the word. The word may be gone already: nothing is read from it. */
void mpp_wake_one(_Atomic uint32_t *word);
void mpp_wake_all(_Atomic uint32_t *word);

#if defined(HAVE_FUTEX) || defined(MPP_SCHEDULER)
#define MPP_SHARED_PARK 1
/* The same for a word in memory that several processes share. */
int mpp_park_shared(_Atomic uint32_t *word, uint32_t value, int64_t deadline);
void mpp_wake_shared(_Atomic uint32_t *word);
#endif

/* Nobody is in the middle of a park or a wake while the process forks, where that needs a lock. */
void mpp_park_before_fork(void);
void mpp_park_after_fork(void);
void mpp_park_in_child(void);

/* A bounded spin before a park: waking a thread costs its waker several microseconds, so it pays to look for about that
 * long. mpp_spin_more() is false once the budget is spent, or when this thread lost its CPU meanwhile, for then there
 * are more runnable threads than CPUs, or when there is only one CPU; and at once, more and more often, where spins of
 * this thread came to nothing. A zeroed struct starts a spin. */
struct mpp_spin {
	int64_t start, last;
	bool started;
};
bool mpp_spin_more(struct mpp_spin *spin);
void mpp_spin_setup(int cpus);   /* as many as the threads of the newest pool may use */

/* Lets another thread that waits for this CPU run first. It is no cancellation point. */
void mpp_yield(void);

/* Tells the CPU that this is a waiting loop. */
static inline void mpp_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__) || defined(__arm__)
	__asm__ volatile("yield" ::: "memory");
#endif
}

#ifdef MPP_SCHEDULER
#include <sched_sync.h>
#endif

/* ------------------------------------------------------------------------------------------------------------ lock */

/* A mutex of four bytes: short critical sections only, never held while user code runs, never across a park.
 * A thread takes locks in the order of their ranks; debug builds assert it. */
enum mpp_rank {
	MPP_RANK_WATCH = 1,      /* who wants to know of a job's end */
	MPP_RANK_GROUP,          /* what a group knows of its jobs */
	MPP_RANK_HANDLE,         /* a consumer's turn at an iterator */
	MPP_RANK_JOB,            /* a job's claims */
	MPP_RANK_POOL,           /* a pool's queue, sleepers and life */
	MPP_RANK_PARCEL,         /* what a worker's process was handed and has not begun */
	MPP_RANK_REMOTE,         /* the list of all workers that run items elsewhere */
	MPP_RANK_MEMORY,         /* the process-wide stores */
	MPP_RANK_TRACE           /* trace files */
};

struct mpp_lock {
	_Atomic uint32_t word;   /* 0 free, 1 taken, 2 taken and somebody may sleep on it */
	uint32_t rank;
};

#define MPP_LOCK_INIT(rank) {0, rank}

void mpp_lock_init(struct mpp_lock *lock, enum mpp_rank rank);
void mpp_lock_slow(struct mpp_lock *lock);

#ifdef MPP_DEBUG
void mpp_lock_ranked(const struct mpp_lock *lock);
void mpp_unlock_ranked(const struct mpp_lock *lock);
void mpp_assert_unlocked(void);  /* called before every user function */
#else
#define mpp_lock_ranked(lock) ((void)(lock))
#define mpp_unlock_ranked(lock) ((void)(lock))
#define mpp_assert_unlocked() ((void)0)
#endif

static inline void mpp_lock_plain(struct mpp_lock *lock)
{
	uint32_t free = 0;

	if (mpp_unlikely(!mpp_cas(&lock->word, &free, 1)))
		mpp_lock_slow(lock);
}

static inline void mpp_unlock_plain(struct mpp_lock *lock)
{
	if (mpp_unlikely(mpp_swap(&lock->word, 0) == 2))
		mpp_wake_one(&lock->word);
}

#ifdef MPP_SCHEDULER
#include <sched_lock.h>
#else

static inline void mpp_lock(struct mpp_lock *lock)
{
	mpp_lock_ranked(lock);
	mpp_lock_plain(lock);
}

static inline void mpp_unlock(struct mpp_lock *lock)
{
	mpp_unlock_ranked(lock);
	mpp_unlock_plain(lock);
}

#endif

#endif
