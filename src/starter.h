/* layer 0: a thread that starts the others of a pool, and does nothing else. */
#ifndef MPP_STARTER_H
#define MPP_STARTER_H

#include "base.h"

/* A thread inherits from the thread that starts it: affinity, nice value, scheduling class, signal mask, rounding mode,
 * credentials, capabilities, filters of system calls, memory policy and more. A user function may have changed any of
 * these for the thread that runs it, and much cannot be changed back without privilege. So the later threads of a pool
 * are started by one that was started with the pool and never calls a user function. */
struct mpp_starter;

/* By the pool's creator, whose attributes all threads of the pool are to have. 0 or an errno value. */
int mpp_starter_new(const char *name, struct mpp_starter **ret_starter);

/* Calls start(arg) on the starter's thread, and returns what it returned. The caller holds no lock; it waits for nothing
 * but earlier calls and its own, which run no user function. It is no cancellation point. */
int mpp_starter_call(struct mpp_starter *starter, int (*start)(void *arg), void *arg);

/* Ends the thread and joins it. Nobody calls the starter any more. NULL: nothing. */
void mpp_starter_free(struct mpp_starter *starter);
void mpp_starter_abandon(struct mpp_starter *starter);   /* in a child of fork: the thread is not there */

#endif
