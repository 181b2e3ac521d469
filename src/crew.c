/* layer 3: the places of a pool's workers, in a directory that grows and never moves. */
#include "pool.h"

#include "memory.h"

#define MANY 4096                /* workers for which the system's limits are looked up in advance */

static size_t crews_in(size_t segment)
{
	return (size_t)1 << segment;
}

static int make_segment(mppool *pool, size_t segment)
{
	struct mpp_crew *crews;

	if (segment >= MPP_SEGMENTS)
		return ENOMEM;
	if (mpp_peek(&pool->crews[segment]))
		return 0;
	crews = mpp_alloc_aligned(crews_in(segment) * sizeof *crews);
	if (!crews)
		return ENOMEM;
	mpp_store(&pool->crews[segment], crews);         /* published by nplaces */
	return 0;
}

static int init_worker(struct mpp_worker *w, mppool *pool, size_t i)
{
	mpp_deque_init(&w->deque);
	w->pool = pool;
	w->crew = mpp_crew_at(pool, i / MPP_CREW);
	w->index = (int)i;
	w->stream_batch = 1;
	return mpp_deque_reserve(&w->deque, 1);
}

/* The workers that are made at once. */
struct mpp_places {
	struct mpp_places *next;
	alignas(MPP_LINE) struct mpp_worker worker[];
};

static int make_place(mppool *pool, struct mpp_worker *w, size_t i)
{
	int error = make_segment(pool, mpp_segment_of(i / MPP_CREW));

	if (!error)
		error = init_worker(w, pool, i);
	if (error)
		return error;
	mpp_poke(&w->crew->worker[i % MPP_CREW], w);
	mpp_store_seq(&pool->nplaces, i + 1);    /* publishes the place; P2: before anything is in its deques */
	return 0;
}

static void free_newest(mppool *pool)
{
	struct mpp_places *places = pool->places;

	pool->places = places->next;
	mpp_free(places);
}

static int make_places(mppool *pool, size_t from, size_t n)
{
	size_t most = ((size_t)PTRDIFF_MAX - sizeof(struct mpp_places)) / sizeof(struct mpp_worker);
	struct mpp_places *places;
	int error = 0;

	places = n - from > most ? NULL
	                         : mpp_alloc_aligned(sizeof *places + (n - from) * sizeof places->worker[0]);
	if (!places)
		return ENOMEM;
	places->next = pool->places;
	pool->places = places;
	for (size_t i = from; i < n && !error; i++)
		error = make_place(pool, &places->worker[i - from], i);
	if (mpp_peek(&pool->nplaces) == from)    /* what was published stays */
		free_newest(pool);
	return error;
}

int mpp_places_make(mppool *pool, size_t n)
{
	size_t from = mpp_peek(&pool->nplaces);

	if (n > MANY && n > mpp_thread_most())   /* to start as many as there are, and end them again, takes seconds */
		return EAGAIN;
	return from < n ? make_places(pool, from, n) : 0;
}

size_t mpp_places_enlist_locked(mppool *pool, size_t from, size_t n)
{
	size_t enlisted = 0;

	for (size_t i = from; i < n; i++) {
		struct mpp_worker *w = mpp_worker_at(pool, i);

		mpp_poke(&w->dismissed, false);
		if (w->on_duty)
			continue;
		w->on_duty = w->enlisted = true;
		enlisted++;
		w->awaited = pool->options.initializer != NULL || pool->carrier != NULL;
		pool->nstarting += w->awaited;
		pool->nthreads++;
	}
	pool->nalive += enlisted;
	mpp_store(&pool->start_word, pool->nstarting == 0);
	return enlisted;
}

void mpp_places_dismiss_locked(mppool *pool, size_t from)
{
	for (size_t i = from; i < mpp_load(&pool->nplaces); i++)         /* a growth makes places without the lock */
		if (mpp_worker_at(pool, i)->on_duty)
			mpp_worker_dismiss_locked(mpp_worker_at(pool, i));
}

void mpp_pool_initialized_locked(struct mpp_worker *w)
{
	mppool *pool = w->pool;

	if (!w->awaited)
		return;
	w->awaited = false;
	if (--pool->nstarting == 0) {
		mpp_store(&pool->start_word, 1);
		mpp_wake_all(&pool->start_word);
	}
}

void mpp_places_take_back(mppool *pool, size_t from, size_t n)
{
	mpp_lock(&pool->lock);
	for (size_t i = from; i < n; i++) {
		struct mpp_worker *w = mpp_worker_at(pool, i);

		if (!w->enlisted)
			continue;
		w->enlisted = w->on_duty = false;
		mpp_pool_initialized_locked(w);
		pool->nalive--;
		mpp_pool_thread_gone(pool);
	}
	mpp_pool_unlock(pool);
}

int mpp_places_start(mppool *pool, size_t from, size_t n)
{
	int error = 0;

	for (size_t i = from; i < n && !error; i++) {
		struct mpp_worker *w = mpp_worker_at(pool, i);

		if (!w->enlisted)
			continue;
		error = mpp_worker_start(w);
		w->enlisted = error != 0;
	}
	if (error)
		mpp_places_take_back(pool, from, n);
	return error;
}

/* Predicate: none is starting. */
void mpp_pool_await_initializers(mppool *pool)
{
	while (mpp_load(&pool->start_word) == 0)
		mpp_park(&pool->start_word, 0, MPP_NEVER);
}

void mpp_places_free(mppool *pool)
{
	for (size_t i = 0; i < mpp_load(&pool->nplaces); i++)
		mpp_deque_fini(&mpp_worker_at(pool, i)->deque);
	while (pool->places)
		free_newest(pool);
	for (size_t s = 0; s < MPP_SEGMENTS; s++)
		mpp_free(mpp_peek(&pool->crews[s]));
}
