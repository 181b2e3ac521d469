/* layer 1: a worker's own tasks: its owner works at one end, everybody else steals at the other (Chase and Lev 2005,
 * with the C11 orders of Le, Pop, Cohen and Zappa Nardelli 2013, their fences folded into the accesses).
 *
 * Invariants:
 *   D1  top only grows; entries [top, bottom) are in the deque.
 *   D2  only the owner writes bottom, slots and the array.
 *   D3  entry `top` is taken by whoever moves top past it, by one compare-and-swap.
 *   D4  the owner, having lowered bottom to b, may take entry b without a race while b > top: a thief that wants b must
 *       have read a bottom above b and moves top to b first. Both sides store and then load in one total order. */
#ifndef MPP_DEQUE_H
#define MPP_DEQUE_H

#include "sync.h"

struct mpp_deque_array;

struct mpp_deque {
	alignas(MPP_LINE) _Atomic int64_t top;           /* thieves and, for the last entry, the owner */
	alignas(MPP_LINE) _Atomic int64_t bottom;        /* the owner writes, thieves read */
	_Atomic(struct mpp_deque_array *) array;         /* the owner writes; old ones live until fini */
};

void mpp_deque_init(struct mpp_deque *deque);
void mpp_deque_fini(struct mpp_deque *deque);

#define MPP_DEQUE_FIRST 64       /* entries that there is room for after the first reservation */

/* Room for that many more pushes? The owner only. 0 or ENOMEM. */
int mpp_deque_reserve(struct mpp_deque *deque, int64_t pushes);

void mpp_deque_push(struct mpp_deque *deque, void *entry);       /* the owner; reserved before */
void mpp_deque_push_many(struct mpp_deque *deque, void *const entries[], size_t n);       /* the oldest first */
void *mpp_deque_pop(struct mpp_deque *deque);                    /* the owner; the newest, or NULL */
void *mpp_deque_steal(struct mpp_deque *deque);                  /* anybody; the oldest, or NULL only if it was empty */
bool mpp_deque_is_empty(struct mpp_deque *deque);                /* ordered against a push that is followed by a look */

#endif
