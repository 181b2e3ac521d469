/* layer 1: the library's copies of struct mppool_func. */
#ifndef MPP_FUNC_H
#define MPP_FUNC_H

#include "error.h"
#include "sync.h"

/* An immutable copy with a count of references. A program submits the same few functions over and over, so each thread
 * remembers those that it used last together with a stock of references: a submit finds its copy by comparing, and
 * takes a reference from the stock, without an atomic operation on a line that all workers fight for. */
struct mpp_func {
	struct mppool_func f;                    /* its name is a copy of the caller's, behind this struct */
	const char *callers_name;                /* to compare with */
	size_t args_size;                        /* bytes of an item's arguments, each in a slot of its own */
	size_t offset[MPPOOL_MAX_ARGS];          /* of each argument in them */
	_Atomic size_t refs;                     /* handed out, the stocks of threads included */
};

/* A reference to a copy of *func, by the struct rules (size, unknown bytes) and the sense of its members.
 * 0, EINVAL, E2BIG or ENOMEM. */
int mpp_func_get(const struct mppool_func *func, struct mpp_func **ret_func);
void mpp_func_put(struct mpp_func *func);

/* The rules for every struct that a caller fills: copies what is known of it into `to`, zeroes the rest. Its name is for
 * the sentence.
 * 0, EINVAL (too small for the first version) or E2BIG (unknown bytes that are not zero). */
int mpp_struct_copy(void *to, const void *from, size_t known, size_t first_version, const char *name);

/* The same where only the size is to be looked at. 0 or EINVAL. */
int mpp_struct_check(size_t size, size_t first_version, const char *name);

/* What sentences call the function. */
static inline const char *mpp_func_name(const struct mppool_func *func)
{
	return func->name ? func->name : "the function";
}

#endif
