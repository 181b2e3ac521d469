/* layer 4: counters: what happened to items, and what the workers do. */
#include "pool.h"

#include <inttypes.h>
#include <stdio.h>

_Static_assert(sizeof(struct mppool_counters) % 8 == 0 && sizeof(struct mppool_worker_counters) % 8 == 0 &&
                       sizeof(struct mppool_counters) == 4 * sizeof(size_t) + 17 * 8 &&
                       sizeof(struct mppool_worker_counters) == 6 * 8,
               "counters without padding, in groups of 8 bytes");

void mpp_pool_count_unrun(mppool *pool, int code, size_t items)
{
	mpp_add(code == ECANCELED ? &pool->tally.cancelled : &pool->tally.dropped, items);
}

/* -------------------------------------------------------------------------------------------------------- adding up */

static double seconds(int64_t nanoseconds)
{
	return (double)nanoseconds * 1e-9;
}

/* One worker's clock, under the lock, so that no later call can see an earlier time. */
static void read_clock(struct mpp_worker *w, struct mppool_worker_counters *c)
{
	int64_t awake, asleep, now;

	mpp_lock(&w->pool->lock);
	now = w->pool->looked = mpp_now();
	awake = w->awake + (w->activity == MPP_AWAKE ? now - w->since : 0);
	asleep = w->asleep + (w->activity == MPP_ASLEEP ? now - w->since : 0);
	c->pid = w->remote ? w->remote->ops->pid(w->remote) : 0;
	mpp_pool_unlock(w->pool);
	c->seconds_busy = seconds(awake);
	c->seconds_idle = seconds(asleep);
}

static void count_worker(struct mpp_worker *w, struct mppool_worker_counters *c)
{
	c->done = mpp_load(&w->tally.done);              /* as released by mpp_tally_add */
	c->failed = mpp_load(&w->tally.failed);
	c->running = mpp_load(&w->tally.running);
	read_clock(w, c);
}

/* Ends first, then what was submitted: so a count of items that wait is never negative for want of a moment. */
static void count_workers(const mppool *pool, struct mppool_counters *c)
{
	size_t places = mpp_load_seq(&pool->nplaces);

	c->workers_ever = places;
	for (size_t i = 0; i < places; i++) {
		struct mppool_worker_counters w;

		count_worker(mpp_worker_at(pool, i), &w);
		c->done += w.done;
		c->failed += w.failed;
		c->running += w.running;
		c->seconds_busy += w.seconds_busy;
		c->seconds_idle += w.seconds_idle;
		if (i < c->per_worker_room)
			memcpy((char *)c->per_worker + i * c->per_worker_size, &w,
			       mpp_min(c->per_worker_size, sizeof w));
	}
	for (size_t i = 0; i < places; i++)
		c->submitted += mpp_load(&mpp_worker_at(pool, i)->tally.submitted);
}

/* Of generators whose drawing may not be over; the others were counted when their calls completed. */
static uint64_t drawn_locked(const mppool *pool)
{
	uint64_t drawn = 0;
	size_t left = pool->ngenerators;

	for (const struct mpp_multi *m = mpp_pool_live(pool); m && left > 0; m = mpp_multi_next_live(m))
		if (m->items.next) {
			drawn += mpp_load(&m->limit);
			left--;
		}
	return drawn;
}

static void count_all(mppool *pool, struct mppool_counters *c)
{
	uint64_t ended;

	c->cancelled = mpp_load(&pool->tally.cancelled);
	c->dropped = mpp_load(&pool->tally.dropped);
	c->done = mpp_load(&pool->tally.done);
	c->failed = mpp_load(&pool->tally.failed);
	c->running = mpp_load(&pool->tally.running);
	c->submitted = 0;
	c->seconds_busy = c->seconds_idle = 0;
	count_workers(pool, c);
	mpp_lock(&pool->lock);
	c->submitted += pool->submitted + mpp_runq_submitted_locked(&pool->runq) + drawn_locked(pool);
	c->queued = mpp_runq_count(&pool->runq);
	pool->runq.most = mpp_max(mpp_max(pool->runq.most, mpp_peek(&pool->runq.ring.most)), c->queued);
	c->most_queued = pool->runq.most;
	c->workers = mpp_peek(&pool->nworkers);
	c->workers_alive = pool->nalive;
	c->workers_busy = pool->nbusy - (pool->nbusy > 0 && mpp_peek(&pool->busy_spins));
	c->most_busy = pool->most_busy;
	c->workers_lost = pool->lost;
	mpp_pool_unlock(pool);
	ended = c->done + c->failed + c->cancelled + c->dropped + c->running;
	c->waiting = c->submitted > ended ? c->submitted - ended : 0;
}

/* ----------------------------------------------------------------------------------------------------- public calls */

MPP_PUBLIC int mppool_stats(const mppool *pool, struct mppool_counters *ret_counters)
{
	struct mppool_counters c = MPPOOL_COUNTERS_INIT;
	size_t size;

	if (!pool || !ret_counters)
		return EINVAL;
	if (mpp_pool_is_foreign(pool))
		return MPPOOL_EFORKED;
	memcpy(&size, ret_counters, sizeof size);
	if (size < offsetof(struct mppool_counters, workers_lost))
		return EINVAL;
	memcpy(&c, ret_counters, mpp_min(size, sizeof c));
	if (!c.per_worker != (c.per_worker_room == 0) ||
	    (c.per_worker && (c.per_worker_size < offsetof(struct mppool_worker_counters, pid) || c.per_worker_size % 8 != 0)))
		return EINVAL;
	count_all((mppool *)(uintptr_t)pool, &c);
	memcpy(ret_counters, &c, mpp_min(size, sizeof c));
	return 0;
}

static const char *const states[] = {"RUN", "CLOSE", "TERMINATE", "BROKEN"};     /* the first three are Python's words */

/* Python's repr. */
static size_t describe_pool(const mppool *pool, char *text, size_t size)
{
	return (size_t)snprintf(text, size, "<mppool.Pool state=%s pool_size=%zu>", states[mpp_load(&pool->state)],
	                        mpp_peek(&pool->nworkers));
}

static size_t describe_counters(const struct mppool_counters *c, char *text, size_t size)
{
	return (size_t)snprintf(
		text, size,
		"\nitems: %" PRIu64 " submitted, %" PRIu64 " done, %" PRIu64 " failed, %" PRIu64 " cancelled, %" PRIu64
		" dropped, %" PRIu64 " waiting, %" PRIu64 " running"
		"\ncalls: %" PRIu64 " queued, at most %" PRIu64
		"\nworkers: %" PRIu64 " alive, %" PRIu64 " busy, at most %" PRIu64 "\nseconds: %.3f busy, %.3f idle",
		c->submitted, c->done, c->failed, c->cancelled, c->dropped, c->waiting, c->running, c->queued,
		c->most_queued, c->workers_alive, c->workers_busy, c->most_busy, c->seconds_busy, c->seconds_idle);
}

MPP_PUBLIC size_t mppool_describe(const mppool *pool, char *buffer, size_t size)
{
	struct mppool_counters c = MPPOOL_COUNTERS_INIT;
	char text[1024];         /* longer than the words and the largest numbers together */
	size_t length;

	if (!pool) {
		length = (size_t)snprintf(text, sizeof text, "<mppool.Pool NULL>");
	} else {
		length = describe_pool(pool, text, sizeof text);
		if (mppool_stats(pool, &c) == 0)
			length += describe_counters(&c, text + length, sizeof text - length);
	}
	if (size > 0) {
		size = mpp_min(size - 1, length);
		memcpy(buffer, text, size);
		buffer[size] = 0;
	}
	return length;
}
