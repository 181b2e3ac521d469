/* layer 3: the beginning and the end of a pool's threads. */
#include "pool.h"

#include "memory.h"

#include <stdio.h>

#define MOST_ENDING 100          /* threads whose destructors have not returned */

static struct mpp_service *service_of(struct mpp_link *link)
{
	return mpp_entry(link, struct mpp_service, link);
}

static void name_thread(const struct mpp_service *s)
{
	char suffix[24];

	if (s->index < 0)
		snprintf(suffix, sizeof suffix, "%s", s->kind->suffix);
	else
		snprintf(suffix, sizeof suffix, "%s%d", s->kind->suffix, s->index);
	mpp_thread_name(s->pool->options.name, suffix);
}

void mpp_service_leave_row(struct mpp_service *s)
{
	mpp_trace_row_put(s->frame.row);
	s->frame.row = NULL;
}

static size_t join_all(struct mpp_list ended)
{
	struct mpp_service *s;
	size_t n = 0;

	while ((s = service_of(ended.first)) != NULL) {
		mpp_list_remove(&ended, &s->link);
		mpp_thread_join(s->thread);
		mpp_free(s);
		n++;
	}
	return n;
}

/* T3. The pool and this record stay until this thread was joined, which is by a thread that takes it from `left`. */
static void leave(struct mpp_service *s)
{
	mppool *pool = s->pool;
	struct mpp_list before = {NULL, NULL};
	size_t joined;

	mpp_service_leave_row(s);
	mpp_frame_pop(&s->frame);
	mpp_frame_init(&s->frame, pool, &pool->state);
	s->frame.role = MPP_ENDING;
	mpp_frame_push(&s->frame);
	mpp_lock(&pool->lock);
	if (!pool->finished) {
		before = pool->left;
		pool->left = (struct mpp_list){NULL, NULL};
	}
	mpp_list_remove(&pool->serving, &s->link);
	mpp_list_append(&pool->left, &s->link);
	pool->nending++;
	mpp_pool_thread_gone(pool);
	mpp_pool_unlock(pool);
	joined = join_all(before);
	if (joined == 0)
		return;
	mpp_lock(&pool->lock);
	pool->nending -= joined;
	mpp_pool_unlock(pool);
}

/* What the thread had in hand was ended on the way here. */
static void lost(void *arg)
{
	struct mpp_service *s = arg;

	mpp_pool_returned(s->pool);
	mpp_frame_top = &s->frame;
	s->frame.role = MPP_IDLE;
	s->frame.job = NULL;
	s->frame.stop = NULL;
	s->kind->lost(s);
	leave(s);
}

static void *service_main(void *arg)
{
	struct mpp_service *s = arg;

	s->thread = pthread_self();
	name_thread(s);
	mpp_frame_init(&s->frame, s->pool, &s->pool->state);
	mpp_frame_push(&s->frame);
	pthread_cleanup_push(lost, s);
	s->kind->serve(s);
	pthread_cleanup_pop(0);
	leave(s);
	return NULL;
}

struct mpp_service *mpp_service_new(mppool *pool, const struct mpp_service_kind *kind, int index)
{
	struct mpp_service *s = mpp_alloc_aligned(kind->size);

	if (s) {
		s->kind = kind;
		s->pool = pool;
		s->index = index;
	}
	return s;
}

int mpp_service_start(struct mpp_service *s, int cpu)
{
	mppool *pool = s->pool;
	struct mpp_thread_options options = {pool->options.stack_size, cpu};
	int error;

	mpp_lock(&pool->lock);
	mpp_list_append(&pool->serving, &s->link);
	mpp_pool_unlock(pool);
	error = mpp_thread_start(&options, service_main, s);
	if (error) {
		mpp_lock(&pool->lock);
		mpp_list_remove(&pool->serving, &s->link);
		mpp_pool_unlock(pool);
		mpp_free(s);
	}
	return error;
}

/* ---------------------------------------------------------------------------------------------------- succession */

struct succession {
	mppool *pool;
	int (*start)(void *arg);
	void *arg;
};

static int try_once(void *arg)
{
	const struct succession *s = arg;

	return mpp_starter_call(s->pool->starter, s->start, s->arg);
}

/* The calling thread is counted, so the count does not come to 0 here. */
static int succeed(struct succession *s, bool insist)
{
	mppool *pool = s->pool;
	int error;

	mpp_lock(&pool->lock);
	pool->nthreads++;
	mpp_pool_unlock(pool);
	error = insist ? mpp_thread_insist(try_once, s) : try_once(s);
	if (error) {
		mpp_lock(&pool->lock);
		mpp_pool_thread_gone(pool);
		mpp_pool_unlock(pool);
	}
	return error;
}

int mpp_service_succeed(mppool *pool, int (*start)(void *arg), void *arg)
{
	struct succession s = {pool, start, arg};

	return succeed(&s, false);
}

int mpp_service_insist(mppool *pool, int (*start)(void *arg), void *arg)
{
	struct succession s = {pool, start, arg};

	return succeed(&s, true);
}

bool mpp_service_too_many(mppool *pool)
{
	bool too_many;

	mpp_lock(&pool->lock);
	too_many = pool->nending >= MOST_ENDING;
	mpp_pool_unlock(pool);
	return too_many;
}

/* ------------------------------------------------------------------------------------------------------- the end */

void mpp_services_join(mppool *pool)
{
	join_all(pool->left);
	pool->left = (struct mpp_list){NULL, NULL};
	mpp_starter_free(pool->starter);
	pool->starter = NULL;
}

/* The child may have been forked by one of these threads. Its frame is then in use for as long as it lives. */
static void abandon_all(struct mpp_list *list)
{
	struct mpp_service *s;

	while ((s = service_of(list->first)) != NULL) {
		mpp_list_remove(list, &s->link);
		if (mpp_frame_bottom() != &s->frame)
			mpp_free(s);
	}
}

void mpp_services_abandon(mppool *pool)
{
	abandon_all(&pool->serving);
	abandon_all(&pool->left);
	mpp_starter_abandon(pool->starter);
	pool->starter = NULL;
}
