/* layer 1: telling a forked child from its parent. */
#ifndef MPP_FORK_H
#define MPP_FORK_H

#include "base.h"

/* From the first pool on, fork() is watched. 0 or ENOMEM. */
int mpp_fork_watch(void);

/* Changes in the child of every fork that was watched. A read of a variable: forked processes have one thread. */
unsigned char mpp_fork_generation(void);

#endif
