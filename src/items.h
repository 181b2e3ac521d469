/* layer 1: the library's copies of struct mppool_iterable, and arithmetic on chunks. No threads here. */
#ifndef MPP_ITEMS_H
#define MPP_ITEMS_H

#include "func.h"

struct mpp_items {
	struct mppool_column columns[MPPOOL_MAX_ARGS];
	size_t ncolumns;
	bool made;               /* a column is not an array of arguments */
	size_t length;           /* MPPOOL_UNKNOWN: a generator without a bound */
	int (*next)(void *const args[], void *state);    /* NULL: the columns are the items */
	void (*finish)(void *state);
	void *state;
};

/* Copies and checks. 0, EINVAL or E2BIG. */
int mpp_items_get(const struct mppool_iterable *items, const struct mppool_func *func, struct mpp_items *ret_items);

/* An argument that is not read where it lies. */
union mpp_made {
	const void *address;
	uint8_t u8;
	uint16_t u16;
	uint32_t u32;
	uint64_t u64;
};

/* The same column from item `first` on, with the argument's size. */
struct mppool_column mpp_column_from(const struct mppool_column *c, size_t first, size_t size);

/* Where the argument of item i is: of a column whose size is set, in the column or in *made. */
const void *mpp_column_at(const struct mppool_column *c, size_t i, union mpp_made *made);

/* Could there be arrays for the results and the codes of so many items? What a generator yields at most does not matter
 * where there are neither. */
bool mpp_items_fit(size_t length, const struct mppool_func *func);

/* Python's default: ceil(n / (4 * workers)), at least 1. */
size_t mpp_chunk_default(size_t items, size_t workers);

/* ceil(items / chunksize) without overflow; chunksize > 0. */
size_t mpp_chunk_count(size_t items, size_t chunksize);

#endif
