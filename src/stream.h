/* layer 2: a stream: items drawn on the way, in blocks, between a drawer, the visitors and consumers.
 *
 * DESIGN. Items live in blocks of slots: arguments (of generators), outcome, result (of imap). One thread at a time
 * draws: it fills the slot at the limit and moves the limit. Visitors claim whole chunks between cursor and limit and
 * publish each item's outcome in its slot. Consumers take results in order of index, or of completion, under a lock of
 * their own. The window keeps drawn - taken within the buffer; an item is taken by a consumer or, where there is none
 * (map over a generator: a *sink*), by ending.
 *
 * Drawing moves between four states, under the job's lock:
 *      IDLE -> SCHEDULED     there is room; a generator waits for a task handler, columns are drawn by whoever sees it
 *      SCHEDULED -> DRAWING  a thread has begun
 *      DRAWING -> IDLE       the window is full
 *      any -> DONE           the end, a failure, or a halt
 *
 * Invariants:
 *   S1  A drawer that goes IDLE looks at `taken` once more; a taker that has published `taken` looks whether the drawer
 *       is IDLE. Store before load on both sides: one of them sees the other, so no room is overlooked. Where the window
 *       is large, takers do so once in `stride` items, and whenever they find nothing to take: so nobody waits for
 *       items while there is room to draw them.
 *   S2  A publisher stores the outcome and then loads `waiters`; a consumer adds itself to `waiters` and then looks at
 *       the outcome. One of them sees the other. An ordered stream's publisher compares its item with next_hint, which
 *       a consumer that sleeps, or takes while others sleep, stores before it looks. An unordered stream's publisher
 *       wakes a consumer only if it is the first to set `news`; a consumer clears it before it looks. Whoever takes
 *       while others wait hands the news on, so one wake-up is enough for all.
 *   S4  A descriptor for event loops, the bell, counts among the waiters from when it is opened. Whoever would wake a
 *       consumer raises it. A consumer lowers it only when it has found nothing, and then looks again: as in S2, it
 *       sees what came before that, or finds the bell raised afterwards. Taking does not lower it, so it may be raised
 *       once without an item.
 *   S3  After an item's outcome is published its visitor touches the slot no more; the block goes when all its items
 *       were taken. */
#ifndef MPP_STREAM_H
#define MPP_STREAM_H

#include "event.h"
#include "iter.h"
#include "multi.h"

enum mpp_drawing { MPP_DRAW_IDLE, MPP_DRAW_SCHEDULED, MPP_DRAW_DRAWING, MPP_DRAW_DONE };
enum mpp_slot_state { MPP_SLOT_OPEN, MPP_SLOT_READY, MPP_SLOT_NEVER_RAN };

struct mpp_slot_head {
	_Atomic uint32_t state;          /* enum mpp_slot_state; its release publishes the rest and the result */
	int code;
	struct mpp_failure *failure;     /* owned by the slot until taken */
	struct mpp_slot_head *next;      /* unordered: the one that was ready before this one */
	struct mpp_block *block;
};

struct mpp_block {
	struct mpp_link link;            /* the job's lock: in its stream's list */
	size_t first;                    /* index of its first item */
	_Atomic size_t left;             /* items that were neither taken nor dropped */
	char *args, *results;            /* behind the heads */
	struct mpp_slot_head slot[];
};

struct mpp_stream {
	struct mpp_multi multi;
	struct mppool_iter iter;         /* constant: what the user holds, unless it is a sink */
	bool ordered, sink;              /* constant */
	size_t block_items;              /* constant: a multiple of the unit */
	size_t stride;                   /* constant: S1 */
	size_t arg_stride;               /* constant: bytes of all arguments of an item; 0: columns */
	size_t result_stride;            /* constant: bytes of a result in a block */

	struct mpp_list blocks;          /* the job's lock: the oldest first; the last one's open slots are the drawer's */
	struct mpp_block *spare;         /* the job's lock */
	struct mpp_block *claiming;      /* the job's lock: has the cursor's item; NULL: that was not drawn yet */
	_Atomic uint32_t drawing;        /* enum mpp_drawing: the job's lock writes, S1 reads */
	_Atomic size_t buffer;           /* SIZE_MAX: no bound; lifted by close */
	_Atomic size_t capacity;         /* the drawer writes: items that `results` has room for; SIZE_MAX: no limit */
	struct mpp_stream *next_draw;    /* the pool's lock */

	alignas(MPP_LINE) struct mpp_lock turn;  /* the consumers' */
	size_t next;                     /* turn: ordered: the next index; unordered: items taken */
	_Atomic size_t next_hint;        /* S2: the same, for publishers, while somebody waits */
	struct mpp_block *reading;       /* turn: ordered: has item `next`; NULL: not looked up yet */
	struct mpp_slot_head *ready;     /* turn: unordered: in order of completion */
	bool told;                       /* turn: the outcome of the whole was told, now MPPOOL_ESTOP for ever */

	alignas(MPP_LINE) _Atomic size_t taken;          /* S1 */
	_Atomic uint32_t waiters;        /* S2: consumers; they sleep on the multi's signal */
	_Atomic uint32_t news;           /* S2, unordered */
	_Atomic(struct mpp_slot_head *) completed;       /* unordered: published, newest first */
	_Atomic size_t skipped;          /* unordered: items that never ran */

	struct mpp_lock bell_lock;
	struct mpp_event bell;           /* bell_lock: S4 */
	_Atomic bool has_bell;           /* bell_lock writes: it is open */
};

struct mpp_stream_options {
	bool ordered, sink, keep;        /* keep: a sink's results go to an array of the library's */
	void *results;                   /* a sink's */
	size_t chunksize, buffersize, workers;
};

int mpp_stream_new(mppool *pool, struct mpp_func *func, const struct mpp_items *items,
                   const struct mpp_stream_options *options, struct mpp_stream **ret_stream);

static inline struct mpp_stream *mpp_stream_of(const struct mpp_multi *m)
{
	return mpp_container((uintptr_t)m, struct mpp_stream, multi);
}

/* There may be room in the window: see that somebody draws. Any thread; not under the job's lock. */
void mpp_stream_kick(struct mpp_stream *s);

/* Draws until the window is full, the input ends or its turn is over. A task handler's, or for columns anybody's. */
void mpp_stream_draw(struct mpp_stream *s, struct mpp_frame *frame);

/* The pool is closed: what was accepted is finished although nobody reads it. */
void mpp_stream_lift(struct mpp_stream *s);

/* Hooks of multi.c. */
void mpp_stream_publish(struct mpp_stream *s, struct mpp_block *block, size_t index, int code,
                        struct mpp_failure *failure);
void mpp_stream_never_ran(struct mpp_stream *s, struct mpp_block *block, size_t first, size_t count);
void mpp_stream_sunk(struct mpp_stream *s, struct mpp_block *block, size_t count);       /* a sink's items ended */
struct mpp_block *mpp_stream_claim_locked(struct mpp_stream *s, size_t units_wanted, size_t *ret_first,
                                          size_t *ret_units);
bool mpp_stream_claimable_locked(const struct mpp_stream *s);
void mpp_stream_drop_results(struct mpp_stream *s);
bool mpp_stream_undrawn_locked(const struct mpp_stream *s);      /* something may be drawn yet */
void mpp_stream_halted(struct mpp_stream *s);    /* ends the drawing, unless a drawer is about to see the halt itself */
void mpp_stream_fini(struct mpp_stream *s);

/* Consumers: one result. 0, MPPOOL_ETASK (*ret_failure is handed over), MPPOOL_ESTOP, the codes of the whole, or EAGAIN:
 * nothing yet. */
int mpp_stream_take(struct mpp_stream *s, void *ret_result, size_t *ret_index, struct mpp_failure **ret_failure);

/* S4. Opens the bell, raised, or finds it open: 0 or an errno value. */
int mpp_stream_bell(struct mpp_stream *s, int *ret_fd);
void mpp_stream_ring(struct mpp_stream *s, bool raised);         /* nothing where there is no bell */

/* Has a consumer been told of the end? Visitors may still be about to report it. */
bool mpp_stream_told(struct mpp_stream *s);

/* What layers 3 and 4 do for streams. The job's lock is held. */
void mpp_pool_draw(struct mpp_stream *s);        /* to a task handler */
void mpp_pool_stream_paused(mppool *pool);       /* its drawing has become MPP_DRAW_IDLE */

#endif
