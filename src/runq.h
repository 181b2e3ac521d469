/* layer 3: the run queue: calls that wait for a worker.
 *
 * DESIGN. Calls of priority 0 pass through a ring that needs no lock. If it is full they wait in a queue after it, from
 * which they are moved to the ring in their order; meanwhile nothing else enters the ring. Calls of the other priorities
 * wait in a queue each. A batch job whose turn has come goes to a list of its priority, from which any number of workers
 * join it while it has items to claim: arrays, the oldest first; streams, in turn.
 *
 * Each queue and list is a *level*. The word `waiting` has a bit for each level that holds something; levels of higher
 * priority have higher bits. It changes under the pool's lock and is read without it.
 *
 *   R1  A job in the ring or a queue is there once, with a reference of the engine. A batch job keeps that reference on its
 *       list. `listed` says that it is in one of these places; the code that has changed what can be claimed looks there
 *       after its change, and a worker that takes an exhausted job off its list looks for items after that. */
#ifndef MPP_RUNQ_H
#define MPP_RUNQ_H

#include "queue.h"
#include "ring.h"
#include "stream.h"

#define MPP_PRIORITIES 3         /* index 0: -1 ... 2: 1 */
#define MPP_NORMAL 1             /* index of priority 0 */

enum mpp_level { MPP_CALLS, MPP_ARRAYS, MPP_STREAMS, MPP_LEVELS };

#define MPP_BIT(priority_index, level) (1u << (MPP_LEVELS * (unsigned)(priority_index) + (level)))
#define MPP_FINISHED (1u << 31)  /* workers leave: every other bit is lower */

struct mpp_runq {
	_Atomic uint32_t waiting;                        /* MPP_BIT()s and MPP_FINISHED; the pool's lock writes */
	struct mpp_ring ring;
	_Atomic size_t rotation;                         /* F1 in scheduler.c: the place whose turn is next */
	/* The pool's lock. */
	struct mpp_queue calls[MPP_PRIORITIES];          /* struct mpp_job; of priority 0 those after the ring */
	struct mpp_list batches[MPP_PRIORITIES][2];      /* arrays and streams that have begun, by mpp_multi.open */
	_Atomic size_t others;                           /* in these queues and lists: all that is not in the ring */
	size_t moved;                                    /* pushes to the ring under the lock: counted elsewhere */
	size_t skip, head_noted;                         /* pushes until the next look at the head; the last one */
	size_t most;                                     /* calls that waited at once, as far as it was seen */
};

/* What a worker found to do: one of the two, or neither. */
struct mpp_work {
	struct mpp_job *single;
	struct mpp_multi *multi;         /* with a reference */
};

/* Without the lock, for a call of priority 0. False: the ring is full or sealed, or calls wait after it. */
static inline bool mpp_runq_reserve(struct mpp_runq *rq, size_t *ret_ticket)
{
	if (mpp_load(&rq->waiting) & MPP_BIT(MPP_NORMAL, MPP_CALLS))
		return false;
	return mpp_ring_reserve(&rq->ring, ret_ticket);
}

/* Room for a push under the lock? If not, mpp_queue_block_new() without it and mpp_queue_supply() with it. */
static inline bool mpp_runq_has_room_locked(const struct mpp_runq *rq, int priority_index)
{
	return mpp_queue_has_room(&rq->calls[priority_index]);
}

/* True: a worker that spins awaits this very call. */
bool mpp_runq_push_locked(struct mpp_runq *rq, struct mpp_job *job);

/* The oldest call of a priority, whatever it is, or NULL. Of priority 0 the ring's first. */
struct mpp_job *mpp_runq_pop_locked(struct mpp_runq *rq, int priority_index);

/* Batch jobs that have begun. */
void mpp_runq_list_locked(struct mpp_runq *rq, struct mpp_multi *m);
void mpp_runq_unlist_locked(struct mpp_runq *rq, struct mpp_multi *m);
struct mpp_multi *mpp_runq_first_locked(struct mpp_runq *rq, int priority_index, enum mpp_level level);

/* How many calls and batch jobs wait. Exact only while nothing comes or goes. */
static inline size_t mpp_runq_count(struct mpp_runq *rq)
{
	return mpp_peek(&rq->others) + mpp_ring_count(&rq->ring);
}

/* Calls that entered the ring without the lock. */
static inline uint64_t mpp_runq_submitted_locked(struct mpp_runq *rq)
{
	return (mpp_load(&rq->ring.tail) & ~MPP_RING_SEALED) - rq->moved;
}

/* Nothing waits, and no submitter is about to fill a cell. */
static inline bool mpp_runq_is_empty_locked(struct mpp_runq *rq)
{
	return !(mpp_peek(&rq->waiting) & ~MPP_FINISHED) && mpp_ring_count(&rq->ring) == 0;
}

void mpp_runq_finish_locked(struct mpp_runq *rq);         /* nothing enters the ring any more; workers leave */
void mpp_runq_fini(struct mpp_runq *rq);

#endif
