/* layer 1: descriptors by which tasks and generators are told that they are to stop.
 *
 * DESIGN. A task that sits in poll() cannot look at mppool_should_stop(). It asks for a descriptor, which becomes readable
 * when that would say 1. A *stopper* is such a descriptor, of a thread, lent to one of its frames at a time; it stays with
 * the frame until that is popped, so a worker opens one for all its items. Stoppers in use are in one list of the process.
 * A timer descriptor serves for both reasons: it is set to the item's deadline, and to a time in the past by whoever stops
 * the item. So nobody has to watch the clock.
 *
 * Invariant:
 *   E1  The owner puts the stopper into the list, with its job and its pool, counts it in `in_use`, and then looks whether
 *       it is to stop already. Whoever stops a job or a pool sets its word and then looks at `in_use`, and goes through
 *       the list if that is not 0. Read-modify-writes or sequentially consistent stores before loads on both sides: one
 *       of them sees the other.
 *   E2  A job in the list is compared, not followed: it may be gone. So may the pool. A descriptor that is raised for a
 *       later job at the same address is lowered by the owner's next question. */
#ifndef MPP_STOP_H
#define MPP_STOP_H

#include "frame.h"

/* A descriptor for the item that runs in the frame, lowered, armed for its deadline and listed: E1's first half. 0 or an
 * errno value. */
int mpp_stop_open(struct mpp_frame *frame, int *ret_fd);

/* E1: the owner has found that it is to stop. */
void mpp_stop_raise(struct mpp_frame *frame);

/* The frame is popped. */
void mpp_stop_close(struct mpp_frame *frame);

/* E1's other half: the word that says so was set before. */
void mpp_stop_tell_job(const struct mpp_job *job);
void mpp_stop_tell_pool(const mppool *pool);

void mpp_stop_before_fork(void);
void mpp_stop_after_fork(void);
void mpp_stop_in_child(void);    /* in place of after_fork */

#endif
