/* layer 1: what became of items, counted where they end.
 *
 * Each worker has a tally of its own, which it alone writes: plain stores on a line that it has anyway. A thread outside
 * that helps while it waits has one on its stack, which goes into the pool's. Whoever asks adds them up. A count that
 * belongs to an item is stored before the item's end is published, so who has seen the end sees the count. */
#ifndef MPP_TALLY_H
#define MPP_TALLY_H

#include "sync.h"

struct mpp_tally {
	_Atomic uint64_t submitted;              /* a worker's: by its own tasks, into its deque */
	_Atomic uint64_t done, failed;           /* items that ran */
	_Atomic uint64_t cancelled, dropped;     /* the pool's: items that never ran */
	_Atomic uint64_t running;                /* user functions called and not returned */
	struct mpp_tally *into;                  /* a helper's: the pool's, which several write; else NULL */
};

/* Released to mppool_stats(): who sees an item's end in a count finds it in what was submitted, too, although another
 * worker counts that. */
static inline void mpp_tally_add(_Atomic uint64_t *count, uint64_t n)
{
	mpp_store(count, mpp_peek(count) + n);
}

static inline void mpp_tally_begin(struct mpp_tally *tally)
{
	if (mpp_unlikely(tally->into))
		mpp_add(&tally->into->running, 1);
	else
		mpp_tally_add(&tally->running, 1);
}

/* The user's function has returned for good, and what it did was counted. */
static inline void mpp_tally_end(struct mpp_tally *tally)
{
	if (mpp_likely(!tally->into)) {
		mpp_tally_add(&tally->running, (uint64_t)-1);
		return;
	}
	mpp_sub(&tally->into->running, 1);
	mpp_add(&tally->into->done, mpp_peek(&tally->done));
	mpp_add(&tally->into->failed, mpp_peek(&tally->failed));
	mpp_poke(&tally->done, 0);
	mpp_poke(&tally->failed, 0);
}

#endif
