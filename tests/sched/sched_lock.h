/* SPDX-License-Identifier: MIT
 *
 * What src/sync.h has in the build for the scheduler in place of mpp_lock(): one step, taken when the lock is free.
 * The lock's own algorithm is a scenario by itself (parts.c), on mpp_lock_plain(). */
#ifndef SCHED_LOCK_H
#define SCHED_LOCK_H

void sched_lock(struct mpp_lock *lock, unsigned rank, SCHED_SITE);
void sched_unlock(struct mpp_lock *lock, SCHED_SITE);

#define mpp_lock(lock) sched_lock(lock, (lock)->rank, SCHED_HERE(#lock))
#define mpp_unlock(lock) sched_unlock(lock, SCHED_HERE(#lock))

#undef mpp_assert_unlocked
#define mpp_assert_unlocked() sched_assert_unlocked(SCHED_HERE(""))

#endif
