/* layer 2: what a user's iterator begins with, whatever it iterates over. */
#ifndef MPP_ITER_H
#define MPP_ITER_H

#include "base.h"

/* The handle was checked not to be NULL, the timeout not to be NaN. */
struct mpp_iter_kind {
	int (*next)(mppool_iter *iter, void *ret_result, size_t *ret_index, int64_t deadline);
	int (*cancel)(mppool_iter *iter);
	void (*free)(mppool_iter *iter);
};

struct mppool_iter {
	const struct mpp_iter_kind *kind;
};

extern const struct mpp_iter_kind mpp_iter_of_stream;    /* imap.c: mppool_imap and mppool_imap_unordered */
extern const struct mpp_iter_kind mpp_iter_of_group;     /* group.c: mppool_as_completed */

#endif
