/* layer 2: a job of many items, which several workers claim at once.
 *
 * DESIGN. Items [0, cursor) were handed to cells, items [cursor, limit) can be; an array's limit is its length, a stream's
 * grows as items are drawn. Each visitor (a worker, or a thread that waits and helps) owns a *cell*: a span of units of
 * its own, on a cache line of its own, from which it claims unit after unit. An empty cell is refilled under the job's
 * lock: from the cursor, or else with half of another cell's span. So no item waits behind a long one while anybody is
 * idle. A claim is a store and a look at what a thief may have stored (Dijkstra 1965, Frigo and others 1998): a fence an
 * item, or in maps of many chunks none at all, and for the few thieves a barrier.
 *
 * A unit is the caller's chunk, if one was given. Else it is an item, and a visitor claims many at once, fewer and fewer
 * toward the end of its span, never more than Python's chunk.
 *
 * Invariants:
 *   M1  An item is claimed by moving an edge of the span that holds it, and only then looking at the other edge: the
 *       lower by the cell's owner, the upper by a thief under the lock. Store before load on both sides: if they took
 *       the same items, one of them sees it, or both. The thief then leaves them in the span; the owner moves its edge
 *       back and claims under the lock. Until then it may look as if the owner had claimed them; so it does claim them
 *       when it holds the lock, whatever happened meanwhile.
 *   M2  base and block of a cell change under the lock while its span is empty.
 *   M3  `pending` counts the items that have not ended and, in a stream, one for the drawing. Visitors report in bulk,
 *       at the latest before they wait for anything. Whoever brings it to 0 completes the job.
 *   M5  A chunk of several items, handed over one by one, is `open` in its cell from before its second item begins until
 *       its last one does. Whoever halts the job sets MPP_CUT there, and the visitor looks at it before each item: a
 *       plain load, but for the last one, which begins by the same step that ends the opening. So a halt that found a
 *       chunk open knows that at least its last item never runs, and one that found it closed that all have begun.
 *       A chunk that was claimed when its cell had been cut already runs whole if the halt was a cancel, which has
 *       counted it among what runs.
 *   M4  `refs` counts who may touch the job without owning a handle: one until completion, one for each place in a
 *       queue or list of the pool's, one for each visitor. The last one drops the engine's reference (MPP_QUEUED).
 *   M6  A cell has room for one rest, which its visitor leaves there as it is lost. So no visitor has a chunk in hand
 *       while there is a rest in its own cell: it claims that rest first, or, of a halted job, nothing. Where it sees
 *       `rests` at 0 there is none, for it would have been left before the visitor had the cell. For the rest of a
 *       guest, a visitor for whom there was no cell, one is made, that goes when the rest is claimed.
 *   M7  Where the system refuses a barrier, thieves and halts leave a cell to its owner for as long as it has one
 *       (`barred`). So owners look before each chunk whether the job was halted, and give back what they then leave of
 *       their spans. A halt takes it that nothing of what it sees there will run; the owner may be about to claim a
 *       last chunk of it.
 *   M8  What a visitor has handed over to its remote (carrier.h) and what has not begun there can be recalled as long as
 *       cell->remote is set, by thieves and halts under the lock. Whoever recalls items answers for them. A halt that
 *       comes before it is set is seen by the visitor when it sets it. */
#ifndef MPP_MULTI_H
#define MPP_MULTI_H

#include "job.h"
#include "list.h"

struct mpp_block;

struct mpp_cell {
	alignas(MPP_LINE) _Atomic uint32_t low, high;    /* its span is the units [low, high) from base: M1 */
	bool owned;                                      /* the lock: by a visitor */
	size_t base;                                     /* M2: the item of unit 0 */
	struct mpp_block *block;                         /* M2: streams: where these items are stored */
	_Atomic size_t done;                             /* items that its owners ended: progress */
	_Atomic uint32_t open;                           /* M5: MPP_OPEN, MPP_CUT */
	size_t rest_first, rest_count;                   /* the lock: items of a chunk whose worker went away: M6 */
	struct mpp_block *rest_block;
	struct mpp_cell *next_free;                      /* the lock */
	struct mpp_remote *remote;                       /* the lock: its owner's, if it has handed items over: M8 */
	size_t parcel_first;                             /* the lock: the first of them */
	struct mpp_block *parcel_block;                  /* the lock */
};

#define MPP_OPEN 1u
#define MPP_CUT 2u

struct mpp_multi {
	struct mpp_job job;
	struct mpp_more more;
	struct mpp_items items;                          /* constant */
	size_t unit;                                     /* items of one unit */
	bool exact;                                      /* a unit is a chunk of the caller's */
	size_t most;                                     /* units claimed at once, at most */
	bool swift;                                      /* owners claim without a fence, thieves with a barrier: M1 */
	char *results;                                   /* NULL: dropped, or none, or a stream's blocks have them */
	bool owns_results;
	bool discards;                                   /* a result is dropped as soon as it is there */
	char *scratch;                                   /* constant: large ones go here, one place for each cell; or NULL */
	unsigned char *good;                             /* owned results that may have to be dropped: 1: succeeded */

	alignas(MPP_LINE) struct mpp_lock lock;
	size_t cursor;                                   /* the lock */
	struct mpp_cell *free_cells;                     /* the lock */
	size_t used_cells;                               /* the lock: cells that ever had a span */
	_Atomic size_t rests;                            /* the lock writes: cells with a rest */
	int halt_code;                                   /* the lock until MPP_HALT is set, then constant */
	bool failed_fast;                                /* the same */
	size_t kept;                                     /* the lock: items, or chunks of them, that halts kept from running */
	bool barred;                                     /* the lock: the system refused a barrier: M7 */
	bool drawn_badly;                                /* the lock: the generator failed; more.failure is its */
	struct mpp_cell *cells;
	size_t ncells;
	struct mpp_cell *guest_rests;                    /* the lock: those made for guests, by next_free: M6 */

	alignas(MPP_LINE) _Atomic size_t limit;          /* released by the drawer: the items before it are there */
	_Atomic size_t pending;                          /* M3 */
	_Atomic uint32_t unrun;                          /* bits 1 << enum mpp_outcome: why items never ran */
	_Atomic size_t undone;                           /* items that never ran: progress */
	_Atomic size_t refs;                             /* M4 */

	bool started;                                    /* the lock: MPP_LIMITED: no longer counted among the waiting calls */
	_Atomic bool listed;                             /* the pool's lock writes: in the run queue: R1 in runq.h */
	bool begun;                                      /* the pool's lock: on a list of the run queue, by `open` */
	struct mpp_link open;
	struct mpp_link live;                            /* the pool's lock: in that of all that have not completed */
	unsigned sweep;                                  /* the pool's lock: the last sweep that came by */
	_Atomic uint32_t helpers;                        /* who waits for the job, and would run items of it */
	_Atomic uint32_t signal;                         /* they sleep on it; it changes when they should look */
};

static inline struct mpp_multi *mpp_multi_of(const struct mpp_job *job)
{
	return mpp_container((uintptr_t)job, struct mpp_multi, job);
}

/* Who visits, and how long it may stay. */
struct mpp_visitor {
	struct mpp_frame *frame;
	size_t *batch;                   /* chunks of a stream to take at once: grows while they are short */
	const _Atomic uint32_t *waiting; /* leave when it has bits from `higher` on, or dismissed is set; NULL: stay */
	int higher;
	size_t chunks;                   /* the most to run; counted down */
	int64_t deadline;                /* to leave after; MPP_NEVER */
	const _Atomic bool *dismissed;
};

/* Sets up the common part. Cells: as many as visitors can be at work. 0 or ENOMEM. The reference to func is the
 * caller's until all went well. */
int mpp_multi_init(struct mpp_multi *m, enum mpp_kind kind, mppool *pool, struct mpp_func *func,
                   const struct mpp_items *items, size_t ncells);
void mpp_multi_fini(struct mpp_multi *m);

/* map over columns. results NULL and keep: the library's own array; results NULL and not keep: dropped. */
int mpp_array_new(mppool *pool, struct mpp_func *func, const struct mpp_items *items, void *results, bool keep,
                  size_t chunksize, size_t workers, struct mpp_multi **ret_multi);

/* Where results go that nobody wants: small ones into a visitor's stack, large ones into a place that it has with its
 * cell. Sets those up for a job that discards. 0 or ENOMEM. */
#define MPP_SCRATCH 256
int mpp_multi_make_scratch(struct mpp_multi *m);

static inline struct mpp_multi *mpp_multi_next_live(const struct mpp_multi *m)
{
	return mpp_entry(m->live.next, struct mpp_multi, live);
}

static inline bool mpp_job_has_generator(const struct mpp_job *job)
{
	return job->kind == MPP_STREAM && mpp_multi_of(job)->items.next;
}

/* Claims and runs items until nothing is left to claim (true: exhausted, for now in a stream) or the visitor is to leave
 * (false). The caller holds a reference. */
bool mpp_multi_visit(struct mpp_multi *m, struct mpp_visitor *visitor);

/* Something is there to be claimed? The lock is taken. */
bool mpp_multi_claimable(struct mpp_multi *m);

/* There may be, or the job has come to its end: tells all who sleep on the signal, and groups that watch the job. */
void mpp_multi_signal_all(struct mpp_multi *m);

/* Starts nothing more: what was not claimed ends with the code. Only the first call counts. `stop`: running items see
 * should_stop. True if an item never runs because of this halt or another that was no failing fast: the job's
 * outcome says so then. */
bool mpp_multi_halt(struct mpp_multi *m, int code, bool stop, bool fail_fast);

void mpp_multi_complete_empty(struct mpp_multi *m);              /* an array of no items */
void mpp_multi_drop_undrawn(struct mpp_multi *m, size_t from);   /* columns that a stream never came to */
enum mpp_outcome mpp_multi_outcome(struct mpp_multi *m);         /* once no item is left that may change it */
void mpp_multi_ended(struct mpp_multi *m, size_t items);         /* M3 */
void mpp_multi_ref(struct mpp_multi *m);
bool mpp_multi_try_ref(struct mpp_multi *m);     /* false: M4's last reference is gone, or about to go */
void mpp_multi_unref(struct mpp_multi *m);
void mpp_multi_unref_lost(void *m);              /* the same, as a cleanup handler */

size_t mpp_multi_done(const struct mpp_multi *m);
size_t mpp_multi_length(const struct mpp_multi *m);              /* of a completed one */
bool mpp_multi_keeps_results(const struct mpp_multi *m);
void mpp_multi_drop_results(struct mpp_multi *m);

/* Owned results: room for items [from, to), zeroed. False: no memory, nothing is lost. */
bool mpp_multi_grow_results(struct mpp_multi *m, size_t from, size_t to);
void mpp_multi_free(struct mpp_multi *m);

/* What layer 4 does for multis. */
void mpp_pool_list(struct mpp_multi *m);         /* there is something to claim: make it known, wake a worker */
void mpp_pool_completed(struct mpp_multi *m);    /* no longer among the live */

#endif
