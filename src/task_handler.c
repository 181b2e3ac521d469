/* layer 3: task handlers: the threads that call generators.
 *
 * H1  There is a task handler that is at no generator, or there are as many as calls of generators that have not
 *     ended, hooks and all, or one is wanted for which there was no thread: so a generator that blocks for ever holds
 *     up no other, and neither does a hook. Looked after by whoever makes it false: a submitter of a generator, and a
 *     handler about to enter one. While one is wanted by everybody who submits or goes for work, too, and, since
 *     perhaps nobody does, by who waits for callbacks: in a moment, and again, for nothing tells when the system has a
 *     thread.
 * H2  A handler leaves when there are more of them than live generators and another one is idle, for one that is not
 *     may be in a hook.
 * H3  The last handler that is at no generator, while others are, and while there are fewer of them than generators,
 *     is the *spare*: if it took a stream, another would have to be started (H1), which would do the same, and
 *     thousands of short generators had hundreds of threads. So it stands by while streams wait: it sleeps for a
 *     moment at a time, and takes one only after a moment in which nobody did. So there is a thread for each generator
 *     that blocks, or that the system kept from its CPU for so long, one for all others, and the spare; and who blocks
 *     holds up others for two moments at most, and only while there are fewer threads than that. Nobody wakes the
 *     spare for further streams while it naps; while none waits it sleeps without a deadline, and is woken for the
 *     first. Who comes from a generator takes the next at once: where no thread is to be had, it goes on alone. */
#include "pool.h"

#define MOMENT 200000            /* nanoseconds that a spare sleeps at a time, at first: H3 */
#define LONGEST (8 * MOMENT)     /* and while the others get on well */

/* --------------------------------------------------------------------------------------------------- the draw list */

/* H3: of handlers that are at no generator there is one. */
static bool has_spare_locked(const mppool *pool)
{
	return pool->ndrawing > 0 && pool->nhandlers == pool->ndrawing + 1 && pool->nhandlers < pool->ngenerators;
}

void mpp_pool_draw(struct mpp_stream *s)
{
	mppool *pool = s->multi.job.pool;

	mpp_lock(&pool->lock);
	s->next_draw = NULL;
	if (pool->draw_last)
		pool->draw_last->next_draw = s;
	else
		pool->draw_first = s;
	pool->draw_last = s;
	mpp_add(&pool->draw_word, 1);
	if (pool->nidle_handlers > 0 && !(pool->handler_naps && has_spare_locked(pool)))
		mpp_wake_one(&pool->draw_word);
	mpp_pool_unlock(pool);
}

/* There is one. This handler is at a generator from here on. */
static struct mpp_stream *take_stream_locked(mppool *pool)
{
	struct mpp_stream *s = pool->draw_first;

	pool->draw_first = s->next_draw;
	if (!pool->draw_first)
		pool->draw_last = NULL;
	pool->draws++;
	pool->ndrawing++;
	return s;
}

static void draw(struct mpp_service *h, struct mpp_stream *s)
{
	mppool *pool = h->pool;
	struct mpp_frame frame;

	mpp_task_handlers_more(pool);
	mpp_frame_init(&frame, pool, &pool->state);
	frame.row = h->frame.row;
	frame.role = MPP_GENERATOR;
	frame.job = &s->multi.job;
	frame.stop = &s->multi.job.state;
	pthread_cleanup_push(mpp_multi_unref_lost, &s->multi);
	mpp_stream_draw(s, &frame);
	pthread_cleanup_pop(1);
}

/* --------------------------------------------------------------------------------------------------- coming, going */

static bool surplus_locked(const mppool *pool)
{
	return pool->nhandlers > mpp_max(pool->ngenerators, 1) && pool->nidle_handlers > 0;
}

/* Only a spare naps, and as long as it does there is no other. */
static void sleep_locked(mppool *pool, int64_t deadline)
{
	uint32_t word = mpp_peek(&pool->draw_word);

	pool->nidle_handlers++;
	if (deadline != MPP_NEVER)
		pool->handler_naps = true;
	mpp_pool_unlock(pool);
	mpp_park(&pool->draw_word, word, deadline);
	mpp_lock(&pool->lock);
	if (deadline != MPP_NEVER)
		pool->handler_naps = false;
	pool->nidle_handlers--;
}

/* H3. Predicate: nothing waits, this is no spare any more, or nobody took a stream for a moment. Who is woken early
 * does not begin that moment anew. */
static void stand_by_locked(mppool *pool)
{
	unsigned seen = pool->draws;
	int64_t since = mpp_now(), moment = MOMENT;

	while (pool->draw_first && has_spare_locked(pool)) {
		if (seen != pool->draws) {
			seen = pool->draws;
			since = mpp_now();
			moment = moment < LONGEST ? 2 * moment : LONGEST;
		} else if (mpp_now() - since >= moment) {
			return;
		}
		sleep_locked(pool, since + moment);
	}
}

/* Predicate: something to draw, draw_stop, or one handler too many; draw_word changes with each of them. NULL: this
 * handler leaves, and counts no more. */
static struct mpp_stream *await_stream_locked(mppool *pool)
{
	for (;;) {
		stand_by_locked(pool);
		if (pool->draw_first)
			return take_stream_locked(pool);
		if (pool->draw_stop || surplus_locked(pool)) {
			pool->nhandlers--;
			return NULL;
		}
		sleep_locked(pool, MPP_NEVER);
	}
}

static void serve(struct mpp_service *h)
{
	mppool *pool = h->pool;
	struct mpp_stream *s;

	h->frame.row = mpp_trace_row_get(pool->trace, MPP_TRACE_TASK_HANDLER, 0);
	mpp_lock(&pool->lock);
	s = await_stream_locked(pool);
	while (s) {
		mpp_pool_unlock(pool);
		draw(h, s);
		mpp_lock(&pool->lock);
		pool->ndrawing--;
		s = pool->draw_first ? take_stream_locked(pool) : await_stream_locked(pool);
	}
	mpp_pool_unlock(pool);
}

static int start(void *pool);

/* A generator left the thread. A successor takes over. */
static void handler_lost(struct mpp_service *h)
{
	mppool *pool = h->pool;

	mpp_lock(&pool->lock);
	pool->ndrawing--;                /* the successor counts in its stead, or it would find one handler too many */
	mpp_pool_unlock(pool);
	mpp_service_insist(pool, start, pool);
}

static const struct mpp_service_kind handler_kind = {sizeof(struct mpp_service), "-task", serve, handler_lost};

/* It has been counted. */
static int start(void *pool)
{
	struct mpp_service *h = mpp_service_new(pool, &handler_kind, -1);

	return h ? mpp_service_start(h, -1) : ENOMEM;
}

int mpp_task_handler_start(void *arg)
{
	mppool *pool = arg;
	int error;

	mpp_lock(&pool->lock);
	pool->nhandlers++;
	pool->nthreads++;
	mpp_pool_unlock(pool);
	error = start(pool);
	if (error) {
		mpp_lock(&pool->lock);
		pool->nhandlers--;
		mpp_pool_thread_gone(pool);
		mpp_pool_unlock(pool);
	}
	return error;
}

/* The others do what they can meanwhile. Who waits for callbacks may sleep without an end as yet. */
static void want_handler(mppool *pool)
{
	mpp_lock(&pool->lock);
	if (!mpp_peek(&pool->handler_wanted)) {
		mpp_poke(&pool->handler_wanted, true);
		mpp_add(&pool->due_word, 1);
		pool->wakes |= MPP_WAKE_CALLERS;
	}
	mpp_pool_unlock(pool);
}

/* Who fails says so afterwards: while it tries it counts as a handler, and others find that none is missing. */
void mpp_task_handlers_more(mppool *pool)
{
	bool more;

	mpp_lock(&pool->lock);
	more = pool->ndrawing == pool->nhandlers && pool->nhandlers < pool->ngenerators;
	if (!more)
		mpp_poke(&pool->handler_wanted, false);
	mpp_pool_unlock(pool);
	if (more && mpp_starter_call(pool->starter, mpp_task_handler_start, pool) != 0)
		want_handler(pool);
}
