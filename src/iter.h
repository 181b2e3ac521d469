/* layer 2: what a user's iterator begins with, whatever it iterates over. */
#ifndef MPP_ITER_H
#define MPP_ITER_H

#include "sync.h"

/* The handle was checked not to be NULL, the timeout not to be NaN. */
struct mpp_iter_kind {
	int (*next)(mppool_iter *iter, void *ret_result, size_t *ret_index, int64_t deadline);
	int (*cancel)(mppool_iter *iter);
	void (*free)(mppool_iter *iter);
	int (*progress)(mppool_iter *iter, size_t *ret_done, size_t *ret_total);
	int (*fd)(mppool_iter *iter, int *ret_fd);
};

struct mpp_bar;

struct mppool_iter {
	const struct mpp_iter_kind *kind;
	_Atomic(struct mpp_bar *) bar;   /* set once: shows how far it is; NULL: nobody asked. progress.c */
};

/* A bar for an iterator of that many items, whose progress can be asked for. NULL: no memory. */
struct mpp_bar *mpp_bar_new(mppool_iter *iter, int fd, const char *label);
void mpp_bar_free(struct mpp_bar *bar);

/* The same as kind->next(), which shows the bar meanwhile and, now and then, afterwards. */
int mpp_bar_next(struct mpp_bar *bar, void *ret_result, size_t *ret_index, int64_t deadline);

extern const struct mpp_iter_kind mpp_iter_of_stream;    /* imap.c: mppool_imap and mppool_imap_unordered */
extern const struct mpp_iter_kind mpp_iter_of_group;     /* group.c: mppool_as_completed */

#endif
