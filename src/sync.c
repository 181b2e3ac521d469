/* layer 0: deadlines and locks. */
#include "sync.h"

#include <assert.h>

int mpp_deadline(double seconds, int64_t *ret_deadline)
{
	if (seconds != seconds)
		return EINVAL;
	if (seconds < 0 || seconds > 4e9)        /* over a century: for ever */
		*ret_deadline = MPP_NEVER;
	else if (seconds == 0)
		*ret_deadline = 0;
	else
		*ret_deadline = mpp_now() + (int64_t)(seconds * 1e9) + 1;
	return 0;
}

/* ------------------------------------------------------------------------------------------------------------ lock */

#define SPINS 100        /* looks before sleeping: about as long as a few critical sections take */

void mpp_lock_init(struct mpp_lock *lock, enum mpp_rank rank)
{
	mpp_poke(&lock->word, 0);
	lock->rank = rank;
}

/* Predicate of the sleep: the word is 2. Whoever unlocks a 2 wakes one sleeper, and a sleeper that was woken takes the
 * lock as a 2 again, because others may still sleep. */
void mpp_lock_slow(struct mpp_lock *lock)
{
	for (int i = 0; i < SPINS; i++) {
		uint32_t free = 0;

		if (mpp_peek(&lock->word) == 0 && mpp_cas(&lock->word, &free, 1))
			return;
		mpp_relax();
	}
	while (mpp_swap(&lock->word, 2) != 0)
		mpp_park(&lock->word, 2, MPP_NEVER);
}

#ifdef MPP_DEBUG

#define DEPTH 8
static _Thread_local const struct mpp_lock *held[DEPTH];
static _Thread_local int nheld;

void mpp_lock_ranked(const struct mpp_lock *lock)
{
	assert(nheld < DEPTH);
	assert(nheld == 0 || held[nheld - 1]->rank < lock->rank);
	held[nheld++] = lock;
}

void mpp_unlock_ranked(const struct mpp_lock *lock)
{
	assert(nheld > 0 && held[nheld - 1] == lock);
	(void)lock;
	nheld--;
}

void mpp_assert_unlocked(void)
{
	assert(nheld == 0);
}

#endif
