/* layer 0: how many CPUs this process may use. */
#ifndef MPP_CPU_H
#define MPP_CPU_H

#include "base.h"

/* The CPUs of the affinity mask, and no more than the cgroup's quota pays for, rounded up; at least 1. */
int mpp_cpu_usable(void);

/* The same with the quota as it was when this was first called: for every new pool, since reading it takes about as long
 * as starting four threads. */
int mpp_cpu_estimate(void);

/* The quota alone, in CPUs rounded up; INT_MAX where there is none. `cgroup` is the process's /proc/self/cgroup, `root`
 * where the cgroup file systems are mounted (/sys/fs/cgroup): parameters, so that tests can lay out both kinds. */
int mpp_cpu_quota(const char *cgroup, const char *root);

#endif
