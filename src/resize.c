/* layer 4: changing the number of workers while they work.
 *
 * DESIGN. A worker has its place by its index. It is *on duty* from when a thread is to be had for its place until the
 * lock sees its last thread decide to leave. Making a pool smaller *dismisses* the workers above: each sees that between
 * two chunks, empties its hands (what waits in its deque goes to the queue) and leaves, when it has nothing and is not
 * the last one. Nobody waits for that. Making it larger takes dismissed workers that have not left back on duty, and
 * starts threads for the other places; a thread first joins the one that had its place.
 *
 *   R1  One growth at a time. It is waited for by those that want more than there were before it.
 *   R2  nworkers changes when a resize is certain: at once when there are to be fewer, and for a growth when all its
 *       initializers have returned. Until then its newcomers work already; if one initializer fails all of them are
 *       dismissed.
 *   R3  A smaller size overrules a growth that is under way: what it said is over, whether or not it succeeds. */
#include "pool.h"

static void shrink_locked(mppool *pool, size_t n)
{
	mpp_poke(&pool->nworkers, n);
	mpp_places_dismiss_locked(pool, n);
	pool->overruled = pool->growing;
}

/* R2. Who was dismissed may have stayed while the newcomers were not sure to come. */
static void end_growth_locked(mppool *pool, size_t n, bool succeeded)
{
	if (succeeded && !pool->overruled)
		mpp_poke(&pool->nworkers, n);
	mpp_places_dismiss_locked(pool, mpp_peek(&pool->nworkers));
	pool->growing = false;
	mpp_add(&pool->growth_word, 1);
	mpp_wake_all(&pool->growth_word);
}

static int refusal_locked(const mppool *pool)
{
	int state = mpp_peek(&pool->state);

	return state == MPPOOL_RUN ? 0 : state == MPPOOL_BROKEN ? MPPOOL_EBROKEN : MPPOOL_ECLOSED;
}

struct growth {
	mppool *pool;
	size_t from, n;
};

static int start_newcomers(void *arg)
{
	const struct growth *g = arg;

	return mpp_places_start(g->pool, g->from, g->n);
}

/* The lock is held before and after, not meanwhile. *ret_failure: an initializer's. */
static int grow_locked(mppool *pool, size_t n, struct mpp_failure **ret_failure)
{
	size_t from = mpp_peek(&pool->nworkers), newcomers = 0;
	struct growth growth = {pool, from, n};
	int error;

	pool->growing = true;
	pool->overruled = false;
	mpp_pool_unlock(pool);
	error = mpp_places_make(pool, n);
	mpp_lock(&pool->lock);
	if (!error)
		error = refusal_locked(pool);
	if (!error && !pool->overruled) {
		newcomers = mpp_places_enlist_locked(pool, from, n);
		pool->nunsure += newcomers;
		mpp_pool_unlock(pool);
		error = mpp_starter_call(pool->starter, start_newcomers, &growth);
		mpp_pool_await_initializers(pool);
		mpp_lock(&pool->lock);
		*ret_failure = pool->growth_failure;
		pool->growth_failure = NULL;
	}
	pool->nunsure -= newcomers;
	end_growth_locked(pool, n, !error && !*ret_failure);
	return error;
}

/* A growth waits for initializers, which may wait for whatever this thread keeps from going on. */
static bool may_wait(const mppool *pool)
{
	return !pool->options.initializer || pool->carrier ||
	       !(mpp_frame_in_callback(pool) || mpp_frame_in_role(pool, MPP_INITIALIZER) ||
	         mpp_frame_in_role(pool, MPP_FINALIZER));
}

/* Predicate of the wait: no growth is under way: R1. */
static int resize_locked(mppool *pool, size_t n, struct mpp_failure **ret_failure)
{
	int error;

	while ((error = refusal_locked(pool)) == 0) {
		uint32_t word = mpp_peek(&pool->growth_word);

		if (n <= mpp_peek(&pool->nworkers)) {
			shrink_locked(pool, n);
			return 0;
		}
		if (!may_wait(pool))
			return EDEADLK;
		if (!pool->growing)
			return grow_locked(pool, n, ret_failure);
		mpp_pool_unlock(pool);
		mpp_park(&pool->growth_word, word, MPP_NEVER);
		mpp_lock(&pool->lock);
	}
	return error;
}

MPP_PUBLIC int mppool_resize(mppool *pool, int workers)
{
	struct mpp_failure *failure = NULL;
	int error;

	if (!pool || workers <= 0)
		return EINVAL;
	if (mpp_pool_is_foreign(pool))
		return MPPOOL_EFORKED;
	mpp_lock(&pool->lock);
	error = resize_locked(pool, (size_t)workers, &failure);
	mpp_pool_unlock(pool);
	mpp_workers_refill(pool);        /* a growth that failed may have been all that there was of workers */
	if (error == MPPOOL_EBROKEN)
		mpp_last_error_set(mpp_pool_broken_error(pool));
	if (!failure)
		return error;
	if (!error)
		mpp_last_error_set(&failure->error);
	if (!error && mpp_swap(&pool->no_room, 0) != 0)
		error = failure->error.code;     /* no initializer's */
	mpp_failure_free(failure);
	return error ? error : MPPOOL_EBROKEN;
}
