/* layer 1: the library's copies of struct mppool_iterable, and arithmetic on chunks. No threads here. */
#ifndef MPP_ITEMS_H
#define MPP_ITEMS_H

#include "func.h"

struct mpp_items {
	struct mppool_column columns[MPPOOL_MAX_ARGS];
	size_t ncolumns;
	size_t length;           /* MPPOOL_UNKNOWN: a generator without a bound */
	int (*next)(void *const args[], void *state);    /* NULL: the columns are the items */
	void (*finish)(void *state);
	void *state;
};

/* Copies and checks. 0, EINVAL or E2BIG. */
int mpp_items_get(const struct mppool_iterable *items, const struct mppool_func *func, struct mpp_items *ret_items);

/* Could there be arrays for the results and the codes of so many items? What a generator yields at most does not matter
 * where there are neither. */
bool mpp_items_fit(size_t length, const struct mppool_func *func);

/* Python's default: ceil(n / (4 * workers)), at least 1. */
size_t mpp_chunk_default(size_t items, size_t workers);

/* ceil(items / chunksize) without overflow; chunksize > 0. */
size_t mpp_chunk_count(size_t items, size_t chunksize);

#endif
