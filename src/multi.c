/* layer 2: claiming, running and ending the items of arrays and streams. */
#include "multi.h"

#include "memory.h"
#include "stream.h"

#include <pthread.h>

/* ----------------------------------------------------------------------------------------------------------- spans */

#define SPAN_UNITS ((size_t)UINT32_MAX)  /* most units of one span */

static size_t span_left(const struct mpp_cell *cell)
{
	uint32_t low = mpp_peek(&cell->low), high = mpp_peek(&cell->high);

	return low < high ? high - low : 0;
}

/* How many of so many units to claim at once. `batch`: as many at most, to be handed over together; 0: they run here. */
static size_t helping_of(const struct mpp_multi *m, size_t left, size_t batch)
{
	if (mpp_unlikely(batch > 0))
		return mpp_min(mpp_min(batch, m->exact ? left : m->most), (left + 7) / 8);
	return mpp_min(m->most, m->exact ? left : (left + 7) / 8);
}

/* M1, by the owner: says what it takes, then looks whether a thief was there before. If so it takes nothing here, and
 * what the thief left it under the lock. Returns how many units; the first of them in *ret_from. */
static inline size_t span_claim(const struct mpp_multi *m, struct mpp_cell *cell, size_t batch, size_t *ret_from)
{
	size_t n = helping_of(m, span_left(cell), batch);
	uint32_t from = mpp_peek(&cell->low), to = from + (uint32_t)n, high;

	if (n == 0)
		return 0;
	if (m->swift) {
		mpp_poke(&cell->low, to);
		mpp_in_order();
		high = mpp_peek(&cell->high);
	} else {
		mpp_store_seq(&cell->low, to);
		high = mpp_load_seq(&cell->high);
	}
	if (mpp_unlikely(to > high)) {
		mpp_poke(&cell->low, from);
		return 0;
	}
	*ret_from = from;
	return n;
}

/* The same where no thief can come. All that it may: while the owner said that it takes these, others may have seen
 * nothing left, and given the job up as exhausted. */
static size_t span_claim_locked(const struct mpp_multi *m, struct mpp_cell *cell, size_t *ret_from)
{
	size_t n = mpp_min(m->most, span_left(cell));

	*ret_from = mpp_peek(&cell->low);
	mpp_poke(&cell->low, (uint32_t)(*ret_from + n));
	return n;
}

enum share { ALL, HALF, ONE };
#define FEW 16

/* How many of the units that are left, at least one. The last few go singly: should the longest be among them, or be
 * last, its thief has nothing behind it. */
static size_t share_of(size_t left, enum share share)
{
	if (share == ALL)
		return left;
	return share == HALF && left > FEW ? (left + 1) / 2 : 1;
}

/* M7: can a thief see how far the owner has come? */
static bool may_steal_locked(const struct mpp_multi *m, const struct mpp_cell *cell)
{
	return !(m->barred && cell->owned);
}

/* M1, by a thief: says what it takes, then looks how far the owner has come, and keeps what is beyond that. */
static size_t span_cut_locked(struct mpp_multi *m, struct mpp_cell *cell, size_t n)
{
	uint32_t high = mpp_peek(&cell->high), to = high - (uint32_t)n, low;

	if (m->swift && cell->owned) {
		mpp_poke(&cell->high, to);
		m->barred = !mpp_barrier();
		low = m->barred ? high : mpp_peek(&cell->low);
	} else {
		mpp_store_seq(&cell->high, to);
		low = mpp_load_seq(&cell->low);
	}
	low = low < high ? low : high;   /* the owner may be about to see that it took too much */
	if (low > to)
		mpp_poke(&cell->high, low);
	return high - (low > to ? low : to);
}

/* That share of what is left: how many units, the first of them in *ret_from. */
static size_t span_steal_locked(struct mpp_multi *m, struct mpp_cell *cell, enum share share, size_t *ret_from)
{
	size_t left = may_steal_locked(m, cell) ? span_left(cell) : 0;
	size_t n = left > 0 ? span_cut_locked(m, cell, share_of(left, share)) : 0;

	*ret_from = mpp_peek(&cell->high);
	return n;
}

/* ------------------------------------------------------------------------------------------------- birth and death */

int mpp_multi_init(struct mpp_multi *m, enum mpp_kind kind, mppool *pool, struct mpp_func *func,
                   const struct mpp_items *items, size_t ncells)
{
	m->cells = mpp_alloc_aligned(mpp_mul_overflows(ncells, sizeof m->cells[0]) ? SIZE_MAX
	                                                                            : ncells * sizeof m->cells[0]);
	if (!m->cells)
		return ENOMEM;
	m->ncells = ncells;
	for (size_t i = ncells; i-- > 0;) {
		m->cells[i].next_free = m->free_cells;
		m->free_cells = &m->cells[i];
	}
	m->job.func = func;
	m->job.pool = pool;
	m->job.u.more = &m->more;
	m->job.kind = (uint8_t)kind;
	m->job.flags = MPP_HAS_MORE | MPP_REGISTERED;
	m->job.generation = (uint8_t)mpp_fork_generation();
	mpp_poke(&m->job.state, MPP_QUEUED);
	m->items = *items;
	m->unit = 1;
	m->most = SIZE_MAX;
	mpp_lock_init(&m->lock, MPP_RANK_JOB);
	mpp_poke(&m->refs, 1);
	return 0;
}

void mpp_multi_fini(struct mpp_multi *m)
{
	struct mpp_cell *of_guest;

	if (m->owns_results)
		mpp_free(m->results);
	mpp_free(m->scratch);
	mpp_free(m->good);
	mpp_free(m->cells);
	while ((of_guest = m->guest_rests) != NULL) {    /* in the child of a fork, where nobody claims them */
		m->guest_rests = of_guest->next_free;
		mpp_free(of_guest);
	}
}

void mpp_multi_free(struct mpp_multi *m)
{
	mpp_multi_fini(m);
	if (m->job.kind == MPP_STREAM)
		mpp_stream_fini(mpp_stream_of(m));
	else
		mpp_free(m);
}

/* Units: the caller's chunks; or items, several to a unit only where there are more than a span can count. */
static void cut_into_units(struct mpp_multi *m, size_t chunksize, size_t workers)
{
	size_t length = m->items.length, python = mpp_chunk_default(length, workers);

	m->exact = chunksize > 0;
	if (m->exact) {
		m->unit = mpp_min(chunksize, mpp_max(length, 1));
		m->most = 1;
		m->swift = mpp_barrier_pays(mpp_chunk_count(length, m->unit), workers) && mpp_barrier_is_there();
	} else {
		m->unit = mpp_min(mpp_chunk_count(length, SPAN_UNITS), python);
		m->unit = mpp_max(m->unit, 1);
		m->most = mpp_max(python / m->unit, 1);
	}
}

static size_t scratch_stride(const struct mpp_multi *m)
{
	return mpp_round_up(m->job.func->f.result_size, MPP_LINE);
}

int mpp_multi_make_scratch(struct mpp_multi *m)
{
	size_t size = m->job.func->f.result_size;

	if (!m->discards || size <= MPP_SCRATCH)
		return 0;
	if (size > (size_t)PTRDIFF_MAX - MPP_LINE || mpp_mul_overflows(m->ncells, scratch_stride(m)))
		return ENOMEM;
	m->scratch = mpp_alloc(m->ncells * scratch_stride(m));
	return m->scratch ? 0 : ENOMEM;
}

int mpp_array_new(mppool *pool, struct mpp_func *func, const struct mpp_items *items, void *results, bool keep,
                  size_t chunksize, size_t workers, struct mpp_multi **ret_multi)
{
	struct mpp_multi *m = mpp_alloc_aligned(sizeof *m);
	size_t unit = chunksize ? chunksize : 1, size = func->f.result_size;
	int error;

	if (!m)
		return ENOMEM;
	error = mpp_multi_init(m, MPP_ARRAY, pool, func, items,
	                       mpp_max(mpp_min(workers, mpp_chunk_count(items->length, unit)), 1));
	if (error) {
		mpp_free(m);
		return error;
	}
	cut_into_units(m, chunksize, workers);
	m->results = results;
	m->owns_results = !results && size > 0 && keep;
	m->discards = !results && !m->owns_results;
	error = mpp_multi_make_scratch(m);
	if (!error && m->owns_results && !mpp_multi_grow_results(m, 0, items->length))
		error = ENOMEM;
	if (error) {
		mpp_multi_fini(m);
		mpp_free(m);
		return error;
	}
	mpp_poke(&m->limit, items->length);
	mpp_poke(&m->pending, items->length);
	*ret_multi = m;
	return 0;
}

void mpp_multi_ref(struct mpp_multi *m)
{
	mpp_add(&m->refs, 1);
}

bool mpp_multi_try_ref(struct mpp_multi *m)
{
	size_t refs = mpp_peek(&m->refs);

	while (refs > 0)
		if (mpp_cas(&m->refs, &refs, refs + 1))
			return true;
	return false;
}

void mpp_multi_unref(struct mpp_multi *m)
{
	if (mpp_sub(&m->refs, 1) == 1)
		mpp_job_dequeue(&m->job);
}

void mpp_multi_unref_lost(void *m)
{
	mpp_multi_unref(m);
}

size_t mpp_multi_length(const struct mpp_multi *m)
{
	return mpp_load(&m->limit);
}

size_t mpp_multi_done(const struct mpp_multi *m)
{
	size_t done = mpp_load(&m->undone);

	for (size_t i = 0; i < m->ncells; i++)
		done += mpp_load(&m->cells[i].done);
	return done;
}

bool mpp_multi_keeps_results(const struct mpp_multi *m)
{
	if (m->job.kind == MPP_STREAM && !mpp_stream_of(m)->sink)
		return true;
	return m->owns_results && m->results;
}

bool mpp_multi_grow_results(struct mpp_multi *m, size_t from, size_t to)
{
	size_t size = m->job.func->f.result_size;
	char *results;
	unsigned char *good;

	results = from == 0 ? mpp_zalloc(mpp_mul_overflows(to, size) ? SIZE_MAX : to * size)
	                    : mpp_realloc(m->results, mpp_mul_overflows(to, size) ? SIZE_MAX : to * size);
	if (!results)
		return false;
	m->results = results;
	if (from > 0)
		memset(results + from * size, 0, (to - from) * size);
	if (!m->job.func->f.drop_result)
		return true;
	good = mpp_realloc(m->good, to);
	if (!good)
		return false;
	m->good = good;
	memset(good + from, 0, to - from);
	return true;
}

void mpp_multi_drop_results(struct mpp_multi *m)
{
	size_t size = m->job.func->f.result_size, length = mpp_multi_length(m);

	if (m->job.kind == MPP_STREAM && !mpp_stream_of(m)->sink) {
		mpp_stream_drop_results(mpp_stream_of(m));
		return;
	}
	for (size_t i = 0; i < length; i++)
		if (m->good[i])
			m->job.func->f.drop_result(m->results + i * size, m->job.func->f.context);
}

/* -------------------------------------------------------------------------------------------------------- outcomes */

static enum mpp_outcome outcome_locked(const struct mpp_multi *m)
{
	uint32_t unrun = mpp_load(&m->unrun);

	if (m->drawn_badly)
		return MPP_OUT_ITER;
	if (unrun & 1u << MPP_OUT_TERMINATED)
		return MPP_OUT_TERMINATED;
	if (unrun & 1u << MPP_OUT_BROKEN)
		return MPP_OUT_BROKEN;
	if (unrun & 1u << MPP_OUT_CANCELED)
		return MPP_OUT_CANCELED;
	return m->more.failure ? MPP_OUT_TASK : MPP_OK;
}

enum mpp_outcome mpp_multi_outcome(struct mpp_multi *m)
{
	enum mpp_outcome outcome;

	mpp_lock(&m->lock);
	outcome = outcome_locked(m);
	mpp_unlock(&m->lock);
	return outcome;
}

static bool someone_sleeps(const struct mpp_multi *m)
{
	if (mpp_load_seq(&m->helpers) > 0)
		return true;
	return m->job.kind == MPP_STREAM && mpp_load_seq(&mpp_stream_of(m)->waiters) > 0;
}

void mpp_multi_signal_all(struct mpp_multi *m)
{
	if (someone_sleeps(m)) {
		mpp_add(&m->signal, 1);
		mpp_wake_all(&m->signal);
	}
	if (mpp_unlikely(mpp_load_seq(&m->job.state) & MPP_WATCHED))
		mpp_watch_stir(&m->job);
}

/* All items ended and nothing will be drawn. */
static void complete(struct mpp_multi *m)
{
	enum mpp_outcome outcome;

	mpp_lock(&m->lock);
	outcome = outcome_locked(m);
	if (outcome == MPP_OUT_BROKEN && m->more.failure) {      /* makes room for the initializer's */
		mpp_failure_free(m->more.failure);
		m->more.failure = NULL;
	}
	mpp_unlock(&m->lock);
	mpp_pool_completed(m);
	if (m->items.finish) {
		struct mpp_frame frame;

		mpp_assert_unlocked();
		mpp_frame_push_hook(&frame, m->job.pool, &m->job);
		m->items.finish(m->items.state);
		mpp_job_returned(&m->job);
		mpp_frame_pop(&frame);
	}
	mpp_job_complete(&m->job, outcome);
	mpp_multi_signal_all(m);
	mpp_multi_unref(m);
}

void mpp_multi_complete_empty(struct mpp_multi *m)
{
	complete(m);
}

void mpp_multi_ended(struct mpp_multi *m, size_t items)
{
	if (items > 0 && mpp_sub(&m->pending, items) == items)
		complete(m);
}

/* Of all failures the one of lowest index is the call's; but where the first ended it, others may fail because of that. */
static bool is_the_failure_locked(const struct mpp_multi *m, size_t index)
{
	const struct mpp_failure *other = m->more.failure;

	return !m->drawn_badly && (!other || (!m->failed_fast && index < other->error.index));
}

/* The message is copied outside the lock. */
static void keep_failure(struct mpp_multi *m, size_t index, int code, int status, const char *message)
{
	struct mpp_failure *fresh, *old;
	bool kept;

	mpp_lock(&m->lock);
	kept = is_the_failure_locked(m, index);
	mpp_unlock(&m->lock);
	if (!kept)
		return;
	fresh = mpp_failure_of_lost(code, status, index, message);
	mpp_lock(&m->lock);
	old = m->more.failure;
	if (is_the_failure_locked(m, index))
		m->more.failure = fresh;
	else
		old = fresh;
	mpp_unlock(&m->lock);
	if (old)
		mpp_failure_free(old);
}

/* ----------------------------------------------------------------------------------------------------- items' ends */

/* Items [first, first + count) in memory: of the caller's columns, or of a block. */
struct items_view {
	struct mppool_column columns[MPPOOL_MAX_ARGS];
	char *results;                   /* NULL: scratch, or none */
	size_t result_stride;
};

static void view_columns(const struct mpp_multi *m, struct mpp_block *block, size_t first, struct items_view *view)
{
	const struct mpp_func *func = m->job.func;

	if (m->items.next) {
		const struct mpp_stream *s = mpp_stream_of(m);

		for (size_t i = 0; i < func->f.nargs; i++)
			view->columns[i] = (struct mppool_column){
				block->args + (first - block->first) * s->arg_stride + func->offset[i], s->arg_stride,
				func->f.arg_size[i]};
	} else {
		for (size_t i = 0; i < m->items.ncolumns; i++) {
			const struct mppool_column *c = &m->items.columns[i];

			view->columns[i] = (struct mppool_column){(const char *)c->base + first * c->stride, c->stride,
			                                          func->f.arg_size[i]};
		}
	}
}

static void view_results(const struct mpp_multi *m, struct mpp_block *block, size_t first, struct items_view *view)
{
	const struct mpp_func *func = m->job.func;

	view->results = NULL;
	view->result_stride = 0;
	if (block && block->results) {
		view->result_stride = mpp_stream_of(m)->result_stride;
		view->results = block->results + (first - block->first) * view->result_stride;
	} else if (m->results) {
		view->result_stride = func->f.result_size;
		view->results = m->results + first * view->result_stride;
	}
}

static void view_args(const struct items_view *view, size_t nargs, size_t i, const void *args[MPPOOL_MAX_ARGS])
{
	for (size_t k = 0; k < nargs; k++)
		args[k] = (const char *)view->columns[k].base + i * view->columns[k].stride;
}

static void drop_item_args(struct mpp_multi *m, const struct items_view *view, size_t i)
{
	const void *args[MPPOOL_MAX_ARGS];

	if (m->job.func->f.drop_args) {
		view_args(view, m->job.func->f.nargs, i, args);
		mpp_hook_drop_args(&m->job, args);
	}
}

static void zero_result(const struct mpp_multi *m, const struct items_view *view, size_t i)
{
	if (view->results)
		memset(view->results + i * view->result_stride, 0, m->job.func->f.result_size);
}

void mpp_multi_drop_undrawn(struct mpp_multi *m, size_t from)
{
	struct items_view view;

	if (!m->job.func->f.drop_args)
		return;
	view_columns(m, NULL, 0, &view);
	for (size_t i = from; i < m->items.length; i++)
		drop_item_args(m, &view, i);
}

/* The outcome of a halt that was no failing fast. */
static void will_not_run(struct mpp_multi *m)
{
	if (!m->failed_fast)
		mpp_or(&m->unrun, 1u << mpp_outcome_of_unrun(m->halt_code));
}

/* Claimed items that never run come to their end. Only the holder of a reference or a handle may. */
static void end_unrun(struct mpp_multi *m, struct mpp_block *block, size_t first, size_t count)
{
	struct items_view view;

	view_columns(m, block, first, &view);
	view.results = NULL;
	if (!m->owns_results)            /* those are zero from the start, and a drawer may be moving them */
		view_results(m, block, first, &view);
	if (view.results || m->more.codes || m->job.func->f.drop_args)   /* else there may be more than can be counted */
		for (size_t i = 0; i < count; i++) {
			zero_result(m, &view, i);
			if (m->more.codes)
				m->more.codes[first + i] = m->halt_code;
			drop_item_args(m, &view, i);
		}
	will_not_run(m);
	mpp_pool_count_unrun(m->job.pool, m->halt_code, count);
	mpp_add(&m->undone, count);
	if (block)
		mpp_stream_never_ran(mpp_stream_of(m), block, first, count);
	mpp_multi_ended(m, count);
}

/* -------------------------------------------------------------------------------------------------------- claiming */

static void refilled_locked(struct mpp_cell *cell, size_t base, size_t from, size_t units, struct mpp_block *block)
{
	cell->base = base;
	cell->block = block;
	mpp_poke(&cell->low, (uint32_t)from);
	mpp_poke(&cell->high, (uint32_t)(from + units));
}

static bool refill_from_cursor_locked(struct mpp_multi *m, struct mpp_cell *cell, size_t wanted)
{
	size_t units, share, base = m->cursor;

	if (m->job.kind == MPP_STREAM) {
		struct mpp_block *block = mpp_stream_claim_locked(mpp_stream_of(m), wanted, &base, &units);

		if (block)
			refilled_locked(cell, base, 0, units, block);
		return block != NULL;
	}
	if (m->cursor >= m->items.length)
		return false;
	units = mpp_chunk_count(m->items.length - m->cursor, m->unit);
	share = mpp_chunk_count(mpp_chunk_count(m->items.length, m->unit), m->ncells);
	units = mpp_min(mpp_min(units, mpp_min(share, SPAN_UNITS)), wanted);
	refilled_locked(cell, base, 0, units, NULL);
	m->cursor = mpp_min(units * m->unit, m->items.length - base) + base;
	return true;
}

static bool refill_by_stealing_locked(struct mpp_multi *m, struct mpp_cell *cell, enum share share)
{
	struct mpp_cell *richest = NULL;
	size_t most = 0, units, from = 0;

	for (size_t i = 0; i < m->used_cells; i++) {
		size_t left = span_left(&m->cells[i]);

		if (left > most && may_steal_locked(m, &m->cells[i])) {
			most = left;
			richest = &m->cells[i];
		}
	}
	if (!richest)
		return false;
	units = span_steal_locked(m, richest, share, &from);
	if (units > 0) {
		MPP_PROBE_STEAL(m->job.pool, &m->job, -1, units * m->unit);
		refilled_locked(cell, richest->base, from, units, richest->block);
	}
	return units > 0 || refill_by_stealing_locked(m, cell, share);
}

/* M8. */
static bool recallable_locked(const struct mpp_multi *m)
{
	size_t from;

	for (size_t i = 0; i < m->used_cells; i++) {
		struct mpp_remote *remote = m->cells[i].remote;

		if (remote && remote->ops->recall(remote, MPP_RECALL_NONE, &from) > 0)
			return true;
	}
	return false;
}

/* Nobody but those who have a remote looks for what was handed over. */
static bool unclaimed_locked(const struct mpp_multi *m)
{
	if (mpp_peek(&m->rests) > 0)
		return true;
	if (m->job.kind == MPP_STREAM ? mpp_stream_claimable_locked(mpp_stream_of(m)) : m->cursor < m->items.length)
		return true;
	for (size_t i = 0; i < m->used_cells; i++)
		if (span_left(&m->cells[i]) > 0 && may_steal_locked(m, &m->cells[i]))
			return true;
	return false;
}

static bool claimable_locked(const struct mpp_multi *m)
{
	return unclaimed_locked(m) || (m->job.flags & MPP_CARRIED && recallable_locked(m));
}

bool mpp_multi_claimable(struct mpp_multi *m)
{
	bool claimable;

	mpp_lock(&m->lock);
	claimable = !mpp_job_halted(&m->job) && claimable_locked(m);
	mpp_unlock(&m->lock);
	return claimable;
}

/* A run of items in one place. */
struct run {
	size_t first, count;
	size_t origin;                   /* where the span begins that it is of: what it is viewed from */
	struct mpp_block *block;
	size_t chunks;                   /* as the caller counts them */
};

static bool take_rest_locked(struct mpp_multi *m, struct mpp_cell *cell, struct run *run)
{
	if (cell->rest_count == 0)
		return false;
	*run = (struct run){cell->rest_first, cell->rest_count, cell->rest_first, cell->rest_block, 1};
	cell->rest_count = 0;
	mpp_poke(&m->rests, mpp_peek(&m->rests) - 1);
	return true;
}

/* The visitor's own cell (or NULL) first: M6. */
static bool claim_rest_locked(struct mpp_multi *m, struct mpp_cell *own, struct run *run)
{
	struct mpp_cell *of_guest;

	if (mpp_peek(&m->rests) == 0)
		return false;
	if (own && take_rest_locked(m, own, run))
		return true;
	for (size_t i = 0; i < m->ncells; i++)
		if (take_rest_locked(m, &m->cells[i], run))
			return true;
	of_guest = m->guest_rests;
	m->guest_rests = of_guest->next_free;
	take_rest_locked(m, of_guest, run);
	mpp_free(of_guest);
	return true;
}

/* The items of so many units from a cell's base; the last unit of all may be short. */
static size_t items_of(const struct mpp_multi *m, size_t first, size_t units)
{
	size_t end = mpp_load(&m->limit);

	return mpp_min(units * m->unit, end - first);
}

/* M8: items that another visitor handed over. */
static bool recall_locked(struct mpp_multi *m, enum mpp_recall what, struct run *run)
{
	for (size_t i = 0; i < m->used_cells; i++) {
		struct mpp_cell *cell = &m->cells[i];
		size_t from = 0, n = cell->remote ? cell->remote->ops->recall(cell->remote, what, &from) : 0;

		if (n > 0) {
			run->first = run->origin = cell->parcel_first + from;
			run->count = n;
			run->block = cell->parcel_block;
			run->chunks = mpp_chunk_count(n, m->unit);
			return true;
		}
	}
	return false;
}

/* Everything that is left, piece by piece: for those who end items without running them. */
static bool claim_any_locked(struct mpp_multi *m, struct run *run)
{
	size_t from = 0, units;

	if (claim_rest_locked(m, NULL, run) ||
	    (m->job.flags & MPP_CARRIED && recall_locked(m, MPP_RECALL_ALL, run)))
		return true;
	for (size_t i = 0; i < m->used_cells; i++) {
		struct mpp_cell *cell = &m->cells[i];

		units = span_steal_locked(m, cell, ALL, &from);
		if (units > 0) {
			run->first = cell->base + from * m->unit;
			run->count = items_of(m, run->first, units);
			run->block = cell->block;
			return true;
		}
	}
	if (m->job.kind == MPP_STREAM) {
		run->block = mpp_stream_claim_locked(mpp_stream_of(m), SIZE_MAX, &run->first, &units);
		run->count = run->block ? m->cursor - run->first : 0;    /* the limit may have moved since */
		return run->block != NULL;
	}
	run->first = m->cursor;
	run->count = m->items.length - m->cursor;
	run->block = NULL;
	m->cursor = m->items.length;
	return run->count > 0;
}

/* M7: units that are left to their owners, who will end them. What an owner claims of them after all it has not
 * reported yet: so the outcome is that of a halted job in any case. */
static size_t count_barred_locked(struct mpp_multi *m)
{
	size_t units = 0;

	for (size_t i = 0; i < m->used_cells; i++)
		if (!may_steal_locked(m, &m->cells[i]))
			units += span_left(&m->cells[i]);
	if (units > 0)
		will_not_run(m);
	return units;
}

/* Halts that come at once share what is left: each answers for all of it. */
static bool claim_to_end_locked(struct mpp_multi *m, struct run *run)
{
	bool more = claim_any_locked(m, run);

	m->kept += more ? run->count : count_barred_locked(m);
	return more;
}

/* M5: no further item of a chunk at hand begins. */
static void cut_chunks_locked(struct mpp_multi *m)
{
	for (size_t i = 0; i < m->used_cells; i++)
		if (mpp_or(&m->cells[i].open, MPP_CUT) == MPP_OPEN)
			m->kept++;
}

/* Leaves the queue's count of calls that have not started. Under the lock, without which the job does not complete: who
 * sees that it has not started knows that its pool is there. */
static void started_locked(struct mpp_multi *m)
{
	if (!(m->job.flags & MPP_LIMITED) || m->started)
		return;
	m->started = true;
	mpp_pool_started(m->job.pool);
}

bool mpp_multi_halt(struct mpp_multi *m, int code, bool stop, bool fail_fast)
{
	bool nudges = stop && m->job.flags & MPP_CARRIED;
	struct run run;
	bool more, kept;

	mpp_lock(&m->lock);
	if (!mpp_job_halted(&m->job)) {
		m->halt_code = code;
		m->failed_fast = fail_fast;
	}
	mpp_or(&m->job.state, MPP_HALT | (stop ? MPP_STOP : 0));
	cut_chunks_locked(m);
	if (m->job.kind == MPP_STREAM && mpp_stream_undrawn_locked(mpp_stream_of(m)))
		m->kept++;
	started_locked(m);
	mpp_unlock(&m->lock);
	if (mpp_unlikely(nudges))
		mpp_remotes_nudge(m->job.pool);
	if (m->job.kind == MPP_STREAM)
		mpp_stream_halted(mpp_stream_of(m));
	do {
		mpp_lock(&m->lock);
		more = claim_to_end_locked(m, &run);
		kept = m->kept > 0 && !m->failed_fast;
		mpp_unlock(&m->lock);
		if (more)
			end_unrun(m, run.block, run.first, run.count);
	} while (more);
	return kept;
}

/* -------------------------------------------------------------------------------------------------------- visiting */

struct visit {
	struct mpp_multi *m;
	struct mpp_visitor *visitor;
	struct mpp_tally *tally;         /* the frame's */
	bool counted;                    /* there */
	struct mpp_cell *cell;           /* own, or the guest cell below */
	struct mpp_cell guest;           /* for one visitor too many: one unit at a time, nothing to steal */
	struct run run;                  /* the chunk at hand */
	struct items_view view;          /* from its origin on, which is */
	size_t viewed;                   /* this; SIZE_MAX: none yet */
	size_t skip;                     /* from the origin to its first item */
	size_t at, handed;               /* the items [at, at + handed) of it are in the user's function */
	size_t before;                   /* items that the cell's earlier owners ended: M3, those since are not reported */
	uint32_t plain_in;               /* the generation of processes in which a success leaves nothing to do */
	bool running;
	struct mpp_remote *remote;       /* where the items run; NULL: here */
	struct mpp_trace_span span;      /* of the chunk at hand */
	char *large;                     /* for a result that is discarded; NULL: the scratch is, or there is no memory */
	alignas(max_align_t) char scratch[MPP_SCRATCH];
};

static void *result_of(struct visit *v, size_t i)
{
	if (v->view.results)
		return v->view.results + (v->skip + i) * v->view.result_stride;
	if (v->m->scratch)
		return v->large;
	return v->m->job.func->f.result_size ? v->scratch : NULL;
}

/* Item i of the chunk at hand ended, by itself or with its thread. */
static void item_ended(struct visit *v, size_t i, int code, bool late)
{
	struct mpp_multi *m = v->m;
	const struct mppool_func *f = &m->job.func->f;
	const char *message = code ? mpp_frame_message(v->visitor->frame, code) : NULL;
	size_t index = v->run.first + i;
	bool consumed = m->job.kind == MPP_STREAM && !mpp_stream_of(m)->sink;

	if (late && f->result_size > 0)
		mpp_hook_drop_result(&m->job, result_of(v, i));
	if (code) {
		zero_result(m, &v->view, v->skip + i);
		if (!consumed)
			keep_failure(m, index, code, v->visitor->frame->status, message);
	} else if (m->good) {
		m->good[index] = 1;
	} else if (m->discards && f->result_size > 0) {
		mpp_hook_drop_result(&m->job, result_of(v, i));
	}
	if (m->more.codes)
		m->more.codes[index] = code;
	drop_item_args(m, &v->view, v->skip + i);
	if (consumed)
		mpp_stream_publish(mpp_stream_of(m), v->run.block, index, code,
		                   code ? mpp_failure_of_lost(code, v->visitor->frame->status, index, message)
		                        : NULL);
	else if (m->job.kind == MPP_STREAM)
		mpp_stream_sunk(mpp_stream_of(m), v->run.block, 1);
	if (code && m->more.flags & MPPOOL_FAIL_FAST)
		mpp_multi_halt(m, ECANCELED, true, true);
}

/* Past their time limit they end as ETIMEDOUT, and results that came too late are dropped: nobody will take them. */
static void items_ended_with(struct visit *v, size_t i, size_t count, int code)
{
	int64_t deadline = v->visitor->frame->deadline;
	bool timed_out = mpp_unlikely(deadline != MPP_NEVER) && mpp_now() > deadline;

	mpp_job_returned(&v->m->job);
	mpp_tally_add(code || timed_out ? &v->tally->failed : &v->tally->done, count);
	for (; count > 0; i++, count--)
		item_ended(v, i, timed_out ? ETIMEDOUT : code, timed_out && code == 0);
}

/* `code` is what the function returned. What a child of a fork in it has counted here nobody else reads. */
static inline void items_ended(struct visit *v, size_t i, size_t count, int code)
{
	mpp_poke(&v->cell->done, mpp_peek(&v->cell->done) + count);
	if (v->plain_in == mpp_fork_generation() && code == 0)
		mpp_tally_add(&v->tally->done, count);
	else
		items_ended_with(v, i, count, code);
}

/* A halt that is no cancel: nobody was told that what has been claimed takes its ordinary course. */
static bool ends_claimed(const struct mpp_multi *m)
{
	return mpp_load(&m->job.state) & MPP_HALT && (m->failed_fast || m->halt_code != ECANCELED);
}

/* M5: may item i of the chunk at hand begin? The first was begun by claiming it. */
static bool begin(struct visit *v, size_t i)
{
	if (v->cell == &v->guest)
		return i == 0 || !ends_claimed(v->m);
	if (v->run.count == 1)
		return true;
	if (i == 0)
		return !(mpp_swap(&v->cell->open, MPP_OPEN) & MPP_CUT) || !ends_claimed(v->m);
	if (i + 1 < v->run.count)
		return !(mpp_load(&v->cell->open) & MPP_CUT);
	return !(mpp_swap(&v->cell->open, 0) & MPP_CUT);
}

static void set_deadline(struct visit *v)
{
	if (mpp_unlikely(v->m->more.task_timeout > 0))
		v->visitor->frame->deadline = mpp_now() + v->m->more.task_timeout;
}

/* Returns how many items ran or ended otherwise. */
static size_t run_one_by_one(struct visit *v)
{
	const struct mppool_func *f = &v->m->job.func->f;
	struct mpp_frame *frame = v->visitor->frame;
	const void *args[MPPOOL_MAX_ARGS];
	size_t i;

	v->handed = 1;
	for (i = 0; i < v->run.count && begin(v, i); i++) {
		v->at = i;
		mpp_frame_next(frame, v->run.first + i);
		set_deadline(v);
		view_args(&v->view, f->nargs, v->skip + i, args);
		items_ended(v, i, 1, f->call(args, result_of(v, i), f->context));
	}
	return i;
}

/* What the chunk function said of `count` items from i: how many of them that settles. */
static size_t settle_chunk(struct visit *v, size_t i, size_t count, size_t failed, int code)
{
	if (code == 0 || failed >= count) {      /* all succeeded, or all failed */
		items_ended(v, i, count, code);
		return count;
	}
	items_ended(v, i, failed, 0);
	items_ended(v, i + failed, 1, code);
	return failed + 1;
}

/* Hands over all of the chunk, after a failure what is behind it. Returns how many items ran or ended otherwise. */
static size_t run_by_chunk(struct visit *v)
{
	const struct mppool_func *f = &v->m->job.func->f;
	bool singly = !v->view.results && f->result_size > 0 && f->drop_result;  /* the scratch holds one result */
	struct mppool_column columns[MPPOOL_MAX_ARGS];
	size_t i = 0, failed;
	struct mppool_chunk chunk = {sizeof chunk, 0, 0, columns, NULL, v->view.result_stride, &failed};
	int code;

	while (i < v->run.count && !(i > 0 && ends_claimed(v->m))) {
		for (size_t k = 0; k < f->nargs; k++) {
			columns[k] = v->view.columns[k];
			columns[k].base = (const char *)columns[k].base + (v->skip + i) * columns[k].stride;
		}
		failed = SIZE_MAX;
		chunk.first = v->run.first + i;
		chunk.count = singly ? 1 : v->run.count - i;
		chunk.results = result_of(v, i);
		v->at = i;
		v->handed = chunk.count;
		mpp_frame_next(v->visitor->frame, chunk.first);
		set_deadline(v);
		code = f->chunk_call(&chunk, f->context);
		i += settle_chunk(v, i, chunk.count, failed, code);
	}
	return i;
}

/* A guest has no place for a result, and there is no memory for one. */
static size_t run_without_room(struct visit *v)
{
	items_ended_with(v, 0, v->run.count, ENOMEM);
	return v->run.count;
}

/* Among what runs, from the first chunk on, and only while items were claimed and not reported: without them the job may
 * have completed, and for a visitor from outside the pool be gone. */
static void set_counted(struct visit *v, bool counted)
{
	if (v->counted == counted)
		return;
	v->counted = counted;
	if (counted)
		mpp_tally_begin(v->tally);
	else
		mpp_tally_end(v->tally);
}

/* Has somebody been told that items which were claimed and have not begun never run? */
static bool ends_unbegun(struct mpp_multi *m)
{
	bool ends;

	mpp_lock(&m->lock);
	ends = mpp_job_halted(&m->job) && (ends_claimed(m) || m->kept > 0);
	mpp_unlock(&m->lock);
	return ends;
}

/* M8: sets cell->remote. Where nothing else is left to claim, idle workers are told that they can recall. */
static bool handed_over(void *arg)
{
	struct visit *v = arg;
	struct mpp_multi *m = v->m;
	bool ends, alone;

	mpp_lock(&m->lock);
	ends = mpp_job_halted(&m->job) && (ends_claimed(m) || m->kept > 0);
	if (v->cell != &v->guest) {
		v->cell->remote = v->remote;
		v->cell->parcel_first = v->run.first + v->at;
		v->cell->parcel_block = v->run.block;
	}
	alone = !ends && v->cell != &v->guest && v->run.count > 1 && !unclaimed_locked(m) && recallable_locked(m);
	mpp_unlock(&m->lock);
	if (alone)
		mpp_pool_list(m);
	return ends;
}

static void withdraw(struct visit *v)
{
	mpp_lock(&v->m->lock);
	v->cell->remote = NULL;
	mpp_unlock(&v->m->lock);
}

static bool halted_elsewhere(void *arg)
{
	const struct visit *v = arg;

	return ends_claimed(v->m);
}

/* Item i of a parcel that begins at the item `at` of the chunk. */
static void ended_elsewhere(void *arg, size_t i, const struct mpp_item_end *end)
{
	struct visit *v = arg;
	size_t place = v->at + i, size = v->m->job.func->f.result_size;

	mpp_poke(&v->cell->done, mpp_peek(&v->cell->done) + 1);
	mpp_tally_add(end->code ? &v->tally->failed : &v->tally->done, 1);
	if (end->result && (v->view.results || (v->m->discards && v->m->job.func->f.drop_result)))
		memcpy(result_of(v, place), end->result, size);
	if (end->code == 0 && v->plain_in == mpp_fork_generation())
		return;
	mpp_frame_next(v->visitor->frame, v->run.first + place);
	if (end->code)
		mpp_frame_leave(v->visitor->frame, end->code, end->status, end->message);
	if (end->killed && !v->m->failed_fast)
		mpp_or(&v->m->unrun, 1u << mpp_outcome_of_unrun(end->code));
	item_ended(v, place, end->code, end->late);
}

/* Others took the end of what was handed over back: with a part that was not, the chunk is in three pieces. */
static void cut_chunk(struct visit *v, const struct mpp_parcel *parcel)
{
	size_t not_handed = v->at + parcel->handed;

	if (parcel->kept < parcel->handed && not_handed < v->run.count) {        /* only by a halt */
		set_counted(v, false);
		end_unrun(v->m, v->run.block, v->run.first + not_handed, v->run.count - not_handed);
	}
	if (parcel->kept < parcel->handed)
		v->run.count = v->at + parcel->kept;
}

/* Returns how many items ended; those that others took back are no longer in the chunk. */
static size_t run_elsewhere(struct visit *v)
{
	struct mpp_multi *m = v->m;
	const struct mppool_func *f = &m->job.func->f;
	struct mppool_column columns[MPPOOL_MAX_ARGS];
	size_t i = 0;

	while (i < v->run.count && !ends_unbegun(m) && v->remote->ops->alive(v->remote)) {
		struct mpp_parcel parcel = {.func = m->job.func,
		                            .first = v->run.first + i,
		                            .count = v->run.count - i,
		                            .columns = columns,
		                            .result_stride = v->view.result_stride,
		                            .unit = m->exact ? m->unit : 0,
		                            .by_chunk = f->chunk_call && !(f->call && m->more.task_timeout > 0),
		                            .task_timeout = m->more.task_timeout,
		                            .ended = ended_elsewhere,
		                            .sent = handed_over,
		                            .halted = halted_elsewhere,
		                            .arg = v};

		for (size_t k = 0; k < f->nargs; k++) {
			columns[k] = v->view.columns[k];
			columns[k].base = (const char *)columns[k].base + (v->skip + i) * columns[k].stride;
		}
		if (v->view.results && f->result_size > 0)
			parcel.results = result_of(v, i);
		v->at = i;
		i += v->remote->ops->run(v->remote, &parcel, v->visitor->frame);
		withdraw(v);
		cut_chunk(v, &parcel);
	}
	return i;
}

static void note_chunk(const struct visit *v, struct mpp_trace_row *row, size_t items)
{
	MPP_PROBE_END(v->m->job.pool, &v->m->job, &v->m->job.func->f, v->run.first, items);
	mpp_trace_end(row, &v->span, MPP_TRACE_TASK, v->m->job.func, v->run.first, items);
}

static void remote_lost(struct visit *v, size_t from);

static void run_chunk(struct visit *v)
{
	struct mpp_multi *m = v->m;
	const struct mppool_func *f = &m->job.func->f;
	struct mpp_trace_row *row = v->visitor->frame->row;
	size_t i;

	if (v->viewed != v->run.origin) {
		view_columns(m, v->run.block, v->run.origin, &v->view);
		view_results(m, v->run.block, v->run.origin, &v->view);
		v->viewed = v->run.origin;
	}
	v->skip = v->run.first - v->run.origin;
	mpp_assert_unlocked();
	set_counted(v, true);
	MPP_PROBE_START(m->job.pool, &m->job, f, v->run.first, v->run.count);
	mpp_trace_begin(row, &v->span);
	v->running = !v->remote;
	if (mpp_unlikely(m->scratch && !v->large))
		i = run_without_room(v);
	else if (v->remote)
		i = run_elsewhere(v);
	else if (f->chunk_call && !(f->call && (m->more.task_timeout > 0 || v->run.count == 1)))
		i = run_by_chunk(v);
	else
		i = run_one_by_one(v);
	v->running = false;
	note_chunk(v, row, i);
	if (i < v->run.count && v->remote && !ends_unbegun(m)) {
		remote_lost(v, i);
	} else if (i < v->run.count) {
		set_counted(v, false);
		end_unrun(m, v->run.block, v->run.first + i, v->run.count - i);
	}
}

/* --------------------------------------------------------------------------------------------------- coming, going */

static void enter(struct visit *v)
{
	struct mpp_frame *frame = v->visitor->frame;

	mpp_lock(&v->m->lock);
	v->cell = v->m->free_cells;
	if (v->cell) {
		v->cell->owned = true;
		v->m->free_cells = v->cell->next_free;
		v->m->used_cells = mpp_max(v->m->used_cells, (size_t)(v->cell - v->m->cells) + 1);
	}
	started_locked(v->m);
	mpp_unlock(&v->m->lock);
	if (!v->cell) {
		memset(&v->guest, 0, sizeof v->guest);
		v->cell = &v->guest;
	}
	if (!v->m->scratch)
		v->large = NULL;
	else if (v->cell == &v->guest)
		v->large = mpp_alloc(scratch_stride(v->m));
	else
		v->large = v->m->scratch + (size_t)(v->cell - v->m->cells) * scratch_stride(v->m);
	v->before = mpp_peek(&v->cell->done);
	frame->role = MPP_TASK;
	frame->job = &v->m->job;
	frame->stop = &v->m->job.state;
}

static void leave_locked(struct visit *v)
{
	if (v->cell == &v->guest) {
		mpp_free(v->large);
		return;
	}
	v->cell->owned = false;
	v->cell->next_free = v->m->free_cells;
	v->m->free_cells = v->cell;
}

/* There is something to claim that others could not see when they looked last. Perhaps only those who wait for the job
 * can: all workers may do so, or nobody is left to come in the place of this one. */
static void hand_back(struct mpp_multi *m)
{
	if (mpp_load(&m->job.state) & MPP_HALT) {
		mpp_multi_halt(m, m->halt_code, false, m->failed_fast);
	} else {
		mpp_pool_list(m);
		mpp_multi_signal_all(m);
	}
}

static void leave(struct visit *v)
{
	struct mpp_frame *frame = v->visitor->frame;
	size_t ended = mpp_peek(&v->cell->done) - v->before;
	bool unseen;

	set_counted(v, false);
	mpp_lock(&v->m->lock);
	leave_locked(v);
	unseen = v->m->barred && span_left(v->cell) > 0;         /* M7: nobody could steal it */
	mpp_unlock(&v->m->lock);
	if (mpp_unlikely(unseen))
		hand_back(v->m);
	frame->role = MPP_IDLE;
	frame->job = NULL;
	frame->stop = NULL;
	frame->deadline = MPP_NEVER;
	if (v->cell == &v->guest)
		mpp_add(&v->m->undone, ended);
	mpp_multi_ended(v->m, ended);
}

/* M6: leaves items from `from` of the chunk to others. False: there are none, or the visitor is a guest and there is no
 * memory, or the job was halted: a cancel may have said then that all runs. */
static bool leave_rest(struct visit *v, size_t from)
{
	struct mpp_multi *m = v->m;
	bool guest = v->cell == &v->guest;
	struct mpp_cell *cell = v->cell;

	if (from == v->run.count)
		return false;
	if (guest)
		cell = mpp_alloc_aligned(sizeof *cell);
	if (!cell)
		return false;
	mpp_lock(&m->lock);
	if (guest && mpp_job_halted(&m->job)) {
		mpp_unlock(&m->lock);
		mpp_free(cell);
		return false;
	}
	if (guest) {
		cell->next_free = m->guest_rests;
		m->guest_rests = cell;
	}
	mpp_and(&cell->open, MPP_CUT);
	cell->rest_first = v->run.first + from;
	cell->rest_count = v->run.count - from;
	cell->rest_block = v->run.block;
	mpp_poke(&m->rests, mpp_peek(&m->rests) + 1);
	mpp_unlock(&m->lock);
	return true;
}

/* Where the items run nothing runs any more: what has not begun is for others. */
static void remote_lost(struct visit *v, size_t from)
{
	if (leave_rest(v, from))
		hand_back(v->m);
	else
		items_ended(v, from, v->run.count - from, MPPOOL_ELOST);
}

/* The user's function left its thread. What it had in hand is lost; the rest of its chunk is for others. */
static void visit_lost(void *arg)
{
	struct visit *v = arg;
	size_t lost_to;
	bool rest;

	if (!v->running)         /* in a hook, which must return: nothing more can be known */
		return;
	mpp_frame_top = v->visitor->frame;
	v->visitor->frame->deadline = MPP_NEVER;
	lost_to = v->at + v->handed;
	rest = leave_rest(v, lost_to);
	if (!rest)
		lost_to = v->run.count;
	note_chunk(v, v->visitor->frame->row, lost_to);
	items_ended(v, v->at, lost_to - v->at, MPPOOL_ELOST);
	if (rest)
		hand_back(v->m);
	leave(v);
}

/* How many units to ask the cursor for. */
static size_t wanted(const struct visit *v)
{
	if (v->cell == &v->guest)
		return 1;
	return v->m->job.kind == MPP_STREAM ? *v->visitor->batch : SIZE_MAX;
}

static inline bool claimed_own(struct visit *v, size_t units, size_t from)
{
	if (units == 0)
		return false;
	v->run.first = v->cell->base + from * v->m->unit;
	v->run.count = items_of(v->m, v->run.first, units);
	v->run.origin = v->cell->base;
	v->run.block = v->cell->block;
	v->run.chunks = v->m->exact ? units : 1;
	return true;
}

/* How many units to hand over at once; 0: they run here. */
static size_t batch_of(const struct visit *v)
{
	size_t batch;

	if (mpp_likely(!v->remote))
		return 0;
	batch = mpp_max(v->remote->ops->batch(v->remote) / v->m->unit, 1);
	return v->m->exact ? mpp_min(batch, v->visitor->chunks) : batch;
}

static inline bool claim_own(struct visit *v)
{
	size_t from = 0, units = span_claim(v->m, v->cell, batch_of(v), &from);

	return claimed_own(v, units, from);
}

static bool claim_own_locked(struct visit *v)
{
	size_t from = 0, units = span_claim_locked(v->m, v->cell, &from);

	return claimed_own(v, units, from);
}

static bool refill_locked(struct visit *v)
{
	return refill_from_cursor_locked(v->m, v->cell, wanted(v)) ||
	       refill_by_stealing_locked(v->m, v->cell, v->cell == &v->guest ? ONE : HALF);
}

/* Rests of lost workers come first: M6. Of a halted job nothing is claimed any more, but what the visitor had said
 * that it takes, and whoever halted the job may have seen as claimed: that runs. */
static bool find_chunk(struct visit *v, bool said)
{
	struct mpp_multi *m = v->m;
	bool found;

	mpp_lock(&m->lock);
	if (mpp_job_halted(&m->job))
		found = said && claim_own_locked(v);
	else
		found = claim_rest_locked(m, v->cell, &v->run) || claim_own_locked(v) ||
		        (refill_locked(v) && claim_own(v)) ||
		        (v->remote && recall_locked(m, MPP_RECALL_HALF, &v->run));
	mpp_unlock(&m->lock);
	return found;
}

static inline bool next_chunk(struct visit *v)
{
	bool said = mpp_likely(mpp_peek(&v->m->rests) == 0);

	if (mpp_unlikely(mpp_job_halted(&v->m->job)))
		return false;
	return (said && claim_own(v)) || find_chunk(v, said);
}

static bool should_leave(struct visit *v)
{
	struct mpp_visitor *visitor = v->visitor;

	visitor->chunks -= mpp_min(v->run.chunks, visitor->chunks);
	if (visitor->chunks == 0 || (mpp_unlikely(v->remote != NULL) && !v->remote->ops->alive(v->remote)))
		return true;
	if (visitor->waiting && (mpp_peek(visitor->waiting) >> visitor->higher || mpp_peek(visitor->dismissed)))
		return true;
	if (mpp_unlikely(visitor->deadline != MPP_NEVER) && mpp_now() > visitor->deadline)
		return true;
	return v->m->job.kind == MPP_STREAM && span_left(v->cell) == 0;
}

#define QUICK 4000       /* nanoseconds: a visit as short as this may claim twice as much at once the next time */
#define SLOW 20000       /* as long as this: one chunk at a time, for others may be waiting behind it */
#define BATCH_MOST 64

static void adapt(size_t *batch, int64_t took)
{
	if (took < QUICK)
		*batch = mpp_min(*batch * 2, BATCH_MOST);
	else if (took > SLOW)
		*batch = 1;
}

/* Does an item that succeeds leave nothing but its result? */
static bool leaves_nothing(const struct mpp_multi *m)
{
	const struct mppool_func *f = &m->job.func->f;

	return m->job.kind == MPP_ARRAY && !m->more.codes && m->more.task_timeout == 0 && !m->good && !f->drop_args &&
	       !(m->discards && f->drop_result);
}

bool mpp_multi_visit(struct mpp_multi *m, struct mpp_visitor *visitor)
{
	int64_t start = m->job.kind == MPP_STREAM ? mpp_now() : 0;
	bool exhausted = true;
	struct visit v;

	v.m = m;
	v.visitor = visitor;
	v.tally = visitor->frame->tally;
	v.counted = false;
	v.viewed = SIZE_MAX;
	v.running = false;
	v.remote = visitor->frame->remote;
	v.plain_in = mpp_fork_generation() - !leaves_nothing(m);         /* 1 less: no process that comes here */
	enter(&v);
	pthread_cleanup_push(visit_lost, &v);
	while (next_chunk(&v)) {
		run_chunk(&v);
		if (should_leave(&v)) {
			exhausted = false;
			break;
		}
	}
	pthread_cleanup_pop(0);
	leave(&v);
	if (m->job.kind == MPP_STREAM)
		adapt(visitor->batch, mpp_now() - start);
	return exhausted;
}
