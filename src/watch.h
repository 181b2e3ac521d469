/* layer 1: watches: groups of jobs of which somebody wants to know when they end, whichever ends first.
 *
 * DESIGN. A job has no room for a list of those who want to be told of its end. It has a bit, MPP_WATCHED, and whoever
 * sets it leaves a *watch* in a table, which finds it again by the job's address. A *group* owns the watches of one
 * mppool_wait() or mppool_as_completed(), and has a queue of those whose jobs have ended, counts, and a word to sleep on:
 * so who waits for thousands is woken once, and looks at none of the others.
 *
 * A bucket's lock is held when a watch is added or taken away, and by a watched job's end while it tells the watches and
 * sets MPP_ENDED; a group's lock, inside it or alone, while its counts and its queue change.
 *
 * Invariants:
 *   W1  A watch that is in the table has a job whose handle was not freed: freeing it takes the watches away first, under
 *       the bucket's lock, whether it has ended or not. So no address in the table can have become another job's, and a
 *       job that nobody can free before the lock is released may be touched under it.
 *   W2  A watch is added before MPP_WATCHED is set, under the bucket's lock, by a read-modify-write that shows whether
 *       MPP_ENDED came first. The end is one, too: it either sees the bit, and tells, or came first and is seen.
 *   W3  A watched job's end tells first and then sets MPP_ENDED, all under the bucket's lock. So what was told in some
 *       order ended in that order for everybody who looks; and who has passed the lock after it was told, as everybody
 *       does who hands the result on, finds the job ended.
 *   W4  While a watch is PENDING and the group's lock is held its job's memory stays: neither the end nor the freeing of
 *       the handle comes past the group without that lock. So helpers may claim the job there.
 *
 * The locks do not lie in the groups, but in a row of their own: a fork holds them all for a moment, so that the child
 * finds every group whole, also those of threads that it does not have. */
#ifndef MPP_WATCH_H
#define MPP_WATCH_H

#include "event.h"
#include "sync.h"

struct mpp_job;

enum mpp_watch_state {
	MPP_WATCH_PENDING,       /* the job has not ended */
	MPP_WATCH_READY,         /* it has: in the queue */
	MPP_WATCH_TAKEN,         /* out of the queue */
	MPP_WATCH_GONE           /* its handle was freed; it may lie about in the queue */
};

struct mpp_watch {
	struct mpp_job *job;             /* constant; may be gone when the watch is not in the table */
	struct mpp_group *group;         /* constant */
	struct mpp_party *party;         /* constant */
	struct mpp_watch *next, **link;  /* the bucket's lock; link NULL: not in the table */
	struct mpp_watch *next_ready;    /* the group's lock */
	struct mpp_watch *next_help;     /* the group's lock */
	bool offered;                    /* the group's lock: in its party's list of what may be helped with */
	enum mpp_watch_state state;      /* the group's lock */
	bool early;                      /* its group's maker: it was ready by the time that all were watched */
};

/* The jobs of one pool in a group. */
struct mpp_party {
	struct mpp_party *next;          /* constant, as soon as the group is known to others */
	mppool *pool;                    /* constant; to be compared, not followed */
	size_t pending;                  /* the group's lock */
	struct mpp_watch *help_first, *help_last;        /* the group's lock: what a waiting worker may find work in */
};

struct mpp_group {
	size_t n;                        /* constant */
	bool any;                        /* constant: one that is ready is enough; else all must be */
	bool any_failure;                /* constant: one that failed is enough, too */
	uint32_t generation;             /* of the process */
	struct mpp_watch *watches;       /* the vector is constant */
	struct mpp_party *parties;
	/* The group's lock: */
	size_t pending, ready, failed;   /* watches in state PENDING and READY; failed ones, ever */
	struct mpp_watch *first, *last;  /* the queue, in the order of completion */
	size_t sleepers, insiders;       /* who sleeps here; of these, who stands inside a pool */
	bool cancelled;
	bool told;                       /* the end was told, now MPPOOL_ESTOP for ever */
	/* Changes under the group's lock whenever mpp_group_enough() may have become true, something to help with came, or
	 * a result was freed. Those who wait for any of these sleep on it. */
	_Atomic uint32_t signal;
	struct mpp_event bell;           /* the group's lock: raised while something may be taken, once it is open */
};

/* ------------------------------------------------------------------------------------------------------- the table */

/* The bucket's lock: under it a job is watched, or ends. */
void mpp_watch_lock(const struct mpp_job *job);
void mpp_watch_unlock(const struct mpp_job *job);

/* Adds the watch. False: its group has one for this job already. */
bool mpp_watch_add_locked(struct mpp_watch *w);

/* The job of this watch, or of all watches that it has, comes to its end now. */
void mpp_watch_tell_locked(struct mpp_watch *w, bool successful);
void mpp_watch_tell_all_locked(const struct mpp_job *job, bool successful);

/* The job's handle is about to be freed: it leaves all groups. */
void mpp_watch_forget(const struct mpp_job *job);

/* A job may have something to claim again: if it has not ended its groups are offered it. */
void mpp_watch_stir(const struct mpp_job *job);

/* A job is offered from the beginning, and until somebody who looked found nothing to claim. The group's lock, or only
 * its maker knows the group yet. */
void mpp_watch_offer_locked(struct mpp_watch *w);
struct mpp_watch *mpp_watch_next_offer_locked(struct mpp_party *p);      /* off the list; NULL: there is none */

/* Takes the watch off the table. False: somebody freed the handle and so did it before. */
bool mpp_watch_remove(struct mpp_watch *w);

/* Is the job, which will not go away meanwhile, in the group? */
bool mpp_watch_has(const struct mpp_job *job, const struct mpp_group *group);

/* ---------------------------------------------------------------------------------------------------------- groups */

/* Memory for n watches, which the maker fills in. 0 or ENOMEM. */
int mpp_group_init(struct mpp_group *g, size_t n);
void mpp_group_fini(struct mpp_group *g);        /* takes all its watches off the table */

/* The party of the pool's jobs, a new one if need be; NULL: no memory. Only its maker knows the group yet. */
struct mpp_party *mpp_group_party(struct mpp_group *g, mppool *pool);

void mpp_group_lock(const struct mpp_group *g);
void mpp_group_unlock(const struct mpp_group *g);

/* Is there what its waiters wait for? With `any`: something to take, or the end. */
bool mpp_group_enough(const struct mpp_group *g);

/* For the maker, once all are watched: puts those that are ready by now in the order of their places. So there is a moment
 * before which all of them had ended, and after which the others come, in the order of completion. */
void mpp_group_settle(struct mpp_group *g);

/* Sleeps until the signal is no longer `word`, or something else happens. `inside`: it must be woken whenever anything
 * changes, since it may have to help, or to give up. 0 or ETIMEDOUT. */
int mpp_group_sleep(struct mpp_group *g, uint32_t word, bool inside, int64_t deadline);

/* The next that is ready: 0; MPPOOL_ESTOP, or ECANCELED once; EAGAIN: nothing yet. */
int mpp_group_take(struct mpp_group *g, struct mpp_watch **ret_watch);

/* Opens the bell, or finds it open: 0 or an errno value. */
int mpp_group_bell(struct mpp_group *g, int *ret_fd);

/* Hands out nothing more but what is ready. False: all are, or it was done before. */
bool mpp_group_cancel(struct mpp_group *g);

/* ------------------------------------------------------------------------------------------------------------ fork */

void mpp_watch_before_fork(void);
void mpp_watch_after_fork(void);

#endif
