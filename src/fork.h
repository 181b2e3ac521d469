/* layer 1: telling a forked child from its parent. */
#ifndef MPP_FORK_H
#define MPP_FORK_H

#include "base.h"

/* From the first pool on, fork() is watched. 0 or ENOMEM. */
int mpp_fork_watch(void);

/* The hook runs in the child of every fork that is watched, before fork() returns there. One hook at most. */
void mpp_fork_in_child(void (*hook)(void));

extern uint32_t mpp_forks;       /* fork.c writes it */

/* Changes in the child of every fork that was watched. A read of a variable: forked processes have one thread. Jobs keep
 * the low 8 bits: what has not ended is told apart through 255 forks, one inside the other. */
static inline uint32_t mpp_fork_generation(void)
{
	return mpp_forks;
}

/* A child came back from a function of the program into a thread of its parent's pool. Nothing there can go on: items
 * are the parent's, and locks may stay held for ever; so each function is followed by a look for that, at once. Says so
 * on standard error, and ends the process. */
_Noreturn void mpp_fork_strayed(void);

#endif
