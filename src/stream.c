/* layer 2: drawing items, publishing outcomes, taking results. */
#include "stream.h"

#include "memory.h"

#include <pthread.h>

/* ---------------------------------------------------------------------------------------------------------- blocks */

#define AHEAD 4          /* the slot whose line is fetched while this one is written: a visitor mostly writes neighbours */
#define BLOCK_ITEMS 64           /* about as many to a block, */
#define BLOCK_BYTES ((size_t)1 << 20)    /* but not more than one chunk if it were larger than this */
#define BUFFER_BYTES ((size_t)64 << 20)  /* of items, in a buffer of the default size */

static size_t heads_size(const struct mpp_stream *s)
{
	return mpp_slot(offsetof(struct mpp_block, slot) + s->block_items * sizeof(struct mpp_slot_head));
}

static void block_reset(const struct mpp_stream *s, struct mpp_block *b)
{
	memset(b->slot, 0, s->block_items * sizeof b->slot[0]);
	for (size_t i = 0; i < s->block_items; i++)
		b->slot[i].block = b;
	mpp_poke(&b->left, s->block_items);
}

static size_t item_size(const struct mpp_stream *s)
{
	return sizeof(struct mpp_slot_head) + s->arg_stride + s->result_stride;
}

static struct mpp_block *block_new(const struct mpp_stream *s)
{
	struct mpp_block *b = mpp_alloc(heads_size(s) + s->block_items * (s->arg_stride + s->result_stride));
	if (!b)
		return NULL;
	b->args = (char *)b + heads_size(s);
	b->results = s->result_stride ? b->args + s->block_items * s->arg_stride : NULL;
	block_reset(s, b);
	return b;
}

static struct mpp_block *block_at(struct mpp_link *link)
{
	return mpp_entry(link, struct mpp_block, link);
}

static void append_locked(struct mpp_stream *s, struct mpp_block *b)
{
	b->first = mpp_peek(&s->multi.limit);
	mpp_list_append(&s->blocks, &b->link);
	if (!s->claiming)
		s->claiming = b;
}

/* All its items were taken: S3. One block is kept for the next need. */
static void block_gone(struct mpp_stream *s, struct mpp_block *b)
{
	block_reset(s, b);
	mpp_lock(&s->multi.lock);
	mpp_list_remove(&s->blocks, &b->link);
	if (!s->spare) {
		s->spare = b;
		b = NULL;
	}
	mpp_unlock(&s->multi.lock);
	mpp_free(b);
}

static struct mpp_slot_head *slot_at(struct mpp_block *b, size_t index)
{
	return &b->slot[index - b->first];
}

static char *result_at(const struct mpp_stream *s, struct mpp_block *b, size_t index)
{
	return b->results ? b->results + (index - b->first) * s->result_stride : NULL;
}

/* ------------------------------------------------------------------------------------------------- birth and death */

/* Of large items fewer: as many as fit into BUFFER_BYTES, but two chunks for each worker. */
static size_t default_buffer(const struct mpp_stream *s, size_t chunk, size_t workers)
{
	size_t chunks = mpp_max(8 * workers, 64), fit = BUFFER_BYTES / item_size(s) / chunk;

	chunks = mpp_min(chunks, mpp_max(fit, 2 * workers));
	return mpp_mul_overflows(chunks, chunk) ? SIZE_MAX : chunks * chunk;
}

static void set_sizes(struct mpp_stream *s, const struct mpp_stream_options *o)
{
	struct mpp_multi *m = &s->multi;
	size_t chunk = o->chunksize ? o->chunksize : 1, buffer = o->buffersize;

	if (m->items.length != MPPOOL_UNKNOWN)
		chunk = mpp_max(mpp_min(chunk, m->items.length), 1);
	if (buffer == 0)
		buffer = default_buffer(s, chunk, o->workers);
	if (m->items.length != MPPOOL_UNKNOWN && !m->items.next)
		buffer = mpp_min(buffer, m->items.length);
	buffer = mpp_max(buffer, chunk);
	m->exact = true;
	m->unit = chunk;
	m->most = 1;
	s->block_items = chunk * mpp_max(mpp_min(mpp_min(BLOCK_ITEMS, buffer), BLOCK_BYTES / item_size(s)) / chunk, 1);
	s->stride = buffer <= BLOCK_ITEMS ? 1 : mpp_min(buffer / 8, BLOCK_ITEMS);
	mpp_poke(&s->buffer, buffer);
}

static void set_places(struct mpp_stream *s, const struct mpp_stream_options *o)
{
	struct mpp_multi *m = &s->multi;
	size_t size = m->job.func->f.result_size;

	s->arg_stride = m->items.next ? m->job.func->args_size : 0;
	m->results = o->results;
	m->owns_results = o->sink && !o->results && o->keep && size > 0;
	m->discards = o->sink && !o->results && !m->owns_results;
	if (!o->sink)
		s->result_stride = mpp_slot(size);
	mpp_poke(&s->capacity, m->owns_results ? 0 : SIZE_MAX);
}

int mpp_stream_new(mppool *pool, struct mpp_func *func, const struct mpp_items *items,
                   const struct mpp_stream_options *options, struct mpp_stream **ret_stream)
{
	struct mpp_stream *s = mpp_alloc_aligned(sizeof *s);
	int error;

	if (!s)
		return ENOMEM;
	error = mpp_multi_init(&s->multi, MPP_STREAM, pool, func, items, options->workers);
	if (error) {
		mpp_free(s);
		return error;
	}
	s->ordered = options->ordered;
	s->sink = options->sink;
	set_places(s, options);
	set_sizes(s, options);
	mpp_lock_init(&s->turn, MPP_RANK_HANDLE);
	mpp_poke(&s->multi.pending, 1);          /* the drawing */
	error = s->block_items > (size_t)PTRDIFF_MAX / 2 / item_size(s) ? EINVAL : 0;
	if (!error)
		error = mpp_multi_make_scratch(&s->multi);
	if (!error && (s->spare = block_new(s)) == NULL)
		error = ENOMEM;
	if (error) {
		mpp_multi_fini(&s->multi);
		mpp_free(s);
		return error;
	}
	*ret_stream = s;
	return 0;
}

void mpp_stream_drop_results(struct mpp_stream *s)
{
	for (struct mpp_block *b = block_at(s->blocks.first); b; b = block_at(b->link.next))
		for (size_t i = 0; i < s->block_items; i++)
			if (mpp_peek(&b->slot[i].state) == MPP_SLOT_READY && b->slot[i].code == 0)
				s->multi.job.func->f.drop_result(b->results + i * s->result_stride,
				                                 s->multi.job.func->f.context);
}

void mpp_stream_fini(struct mpp_stream *s)
{
	struct mpp_block *b, *next;

	for (b = block_at(s->blocks.first); b; b = next) {
		next = block_at(b->link.next);
		for (size_t i = 0; i < s->block_items; i++)
			if (b->slot[i].failure)
				mpp_failure_free(b->slot[i].failure);
		mpp_free(b);
	}
	mpp_free(s->spare);
	mpp_free(s);
}

/* -------------------------------------------------------------------------------------------------------- claiming */

static size_t drawn_units_locked(const struct mpp_stream *s)
{
	const struct mpp_multi *m = &s->multi;
	size_t ready = mpp_load_seq(&m->limit) - m->cursor, end, units;

	if (!s->claiming)
		return 0;
	end = s->claiming->first + s->block_items;
	ready = mpp_min(ready, end - m->cursor);
	units = ready / m->unit;
	if (ready % m->unit && (mpp_peek(&s->drawing) == MPP_DRAW_DONE || mpp_job_halted(&m->job)))
		units++;                 /* the last chunk of all is short */
	return units;
}

bool mpp_stream_claimable_locked(const struct mpp_stream *s)
{
	return drawn_units_locked(s) > 0;
}

struct mpp_block *mpp_stream_claim_locked(struct mpp_stream *s, size_t units_wanted, size_t *ret_first,
                                          size_t *ret_units)
{
	struct mpp_multi *m = &s->multi;
	struct mpp_block *b = s->claiming;
	size_t units = mpp_min(drawn_units_locked(s), units_wanted);

	if (units == 0)
		return NULL;
	*ret_first = m->cursor;
	*ret_units = units;
	m->cursor = mpp_min(m->cursor + units * m->unit, mpp_load(&m->limit));
	if (m->cursor == b->first + s->block_items)
		s->claiming = block_at(b->link.next);
	return b;
}

/* --------------------------------------------------------------------------------------------------------- drawing */

#define QUANTUM 1024     /* items that a task handler draws before it looks after other generators */

/* Of the items drawn and not taken none can have been claimed: they are no more than the beginning of a chunk. */
static bool nothing_under_way(const struct mpp_stream *s, size_t used)
{
	return used <= mpp_load(&s->multi.limit) % s->multi.unit;
}

/* Items that may be drawn now. */
static size_t room(const struct mpp_stream *s)
{
	size_t limit = mpp_load(&s->multi.limit), taken = mpp_load_seq(&s->taken), buffer = mpp_load_seq(&s->buffer);
	size_t capacity = mpp_load(&s->capacity), used = limit - taken, left;

	if (buffer <= used)
		return 0;
	left = buffer - used;
	if (capacity > limit)
		return mpp_min(left, capacity - limit);
	return nothing_under_way(s, used) ? left : 0;    /* only then results can be moved to a larger array */
}

/* A small window is filled again item by item; a large one when a quarter of it is free, so that the drawer is not
 * woken for each item, or when nothing is under way any more, whose taking would look here again. */
static bool room_enough(const struct mpp_stream *s)
{
	size_t buffer = mpp_load(&s->buffer), capacity = mpp_load(&s->capacity), free = room(s);

	if (buffer == SIZE_MAX || buffer <= BLOCK_ITEMS || capacity != SIZE_MAX)
		return free > 0;
	return free >= buffer / 4 || (free > 0 && nothing_under_way(s, buffer - free));
}

/* Columns that were never come to. A halt may have come since: its code is constant only for those who see it under
 * the lock. */
static void drop_undrawn(struct mpp_stream *s, size_t from)
{
	struct mpp_multi *m = &s->multi;
	int code;

	mpp_lock(&m->lock);
	code = mpp_job_halted(&m->job) ? m->halt_code : ECANCELED;
	mpp_unlock(&m->lock);
	mpp_pool_count_unrun(m->job.pool, code, m->items.length - from);
	mpp_multi_drop_undrawn(m, from);
}

/* The drawing is over: with the end of the input, a failure, or a halt. Items may still be at work. */
static void drawing_done(struct mpp_stream *s)
{
	if (!s->multi.items.next && mpp_peek(&s->multi.limit) < s->multi.items.length)
		drop_undrawn(s, mpp_peek(&s->multi.limit));
	mpp_pool_list(&s->multi);        /* a last, short chunk may have become claimable */
	mpp_multi_signal_all(&s->multi);
	mpp_multi_ended(&s->multi, 1);
}

/* After a halt: what the drawer publishes although it is counted here, it sees to itself (publish_drawn). */
bool mpp_stream_undrawn_locked(const struct mpp_stream *s)
{
	return mpp_peek(&s->drawing) != MPP_DRAW_DONE && mpp_load_seq(&s->multi.limit) < s->multi.items.length;
}

/* A halt keeps items from being drawn: to the outcome that is as if they had been queued and never run. */
static void set_done_locked(struct mpp_stream *s)
{
	struct mpp_multi *m = &s->multi;

	if (mpp_job_halted(&m->job) && !m->failed_fast && mpp_stream_undrawn_locked(s))
		mpp_or(&m->unrun, 1u << mpp_outcome_of_unrun(m->halt_code));
	mpp_store_seq(&s->drawing, MPP_DRAW_DONE);
}

void mpp_stream_halted(struct mpp_stream *s)
{
	uint32_t before;

	mpp_lock(&s->multi.lock);
	before = mpp_peek(&s->drawing);
	if (before == MPP_DRAW_IDLE || before == MPP_DRAW_SCHEDULED)
		set_done_locked(s);
	mpp_unlock(&s->multi.lock);
	if (before == MPP_DRAW_IDLE || before == MPP_DRAW_SCHEDULED)
		drawing_done(s);
}

/* The drawer stops for good. A generator that fails because it was told to stop has not failed. */
static void draw_ends(struct mpp_stream *s, int code, const char *message)
{
	struct mpp_multi *m = &s->multi;
	struct mpp_failure *failure = NULL, *old = NULL;

	if (code != 0 && code != MPPOOL_ESTOP)
		failure = mpp_failure_new(code, mpp_peek(&m->limit), message);
	mpp_lock(&m->lock);
	if (failure && !mpp_job_halted(&m->job)) {
		old = m->more.failure;
		m->more.failure = failure;
		m->drawn_badly = true;
		failure = NULL;
	}
	set_done_locked(s);
	mpp_unlock(&m->lock);
	if (old)
		mpp_failure_free(old);
	if (failure)
		mpp_failure_free(failure);
	drawing_done(s);
}

/* Publishes drawn items. If a halt came meanwhile it may have overlooked them: then they end here. */
static void publish_drawn(struct mpp_stream *s, size_t count)
{
	struct mpp_multi *m = &s->multi;
	size_t limit = mpp_peek(&m->limit) + count;

	mpp_store_seq(&m->limit, limit);
	if (mpp_load_seq(&m->job.state) & MPP_HALT) {
		mpp_multi_halt(m, m->halt_code, false, m->failed_fast);
	} else if (m->unit == 1 || limit / m->unit != (limit - count) / m->unit) {      /* another whole chunk */
		mpp_pool_list(m);
		if (mpp_unlikely(mpp_load_seq(&m->helpers) > 0 || mpp_load_seq(&m->job.state) & MPP_WATCHED))
			mpp_multi_signal_all(m);
	}
}

struct drawer {
	struct mpp_stream *s;
	struct mpp_frame *frame;         /* NULL: columns */
	size_t reserved;                 /* items counted in `pending` that were not published yet */
	bool calling;                    /* in the generator */
	size_t first;                    /* where it began; for the trace, as is: */
	struct mpp_trace_span span;
};

/* The last block if it has an open slot; a new one where there is none. NULL: no memory. */
static struct mpp_block *block_to_draw_into(struct mpp_stream *s)
{
	struct mpp_block *b, *fresh;

	mpp_lock(&s->multi.lock);
	b = block_at(s->blocks.last);
	if (b && mpp_peek(&s->multi.limit) < b->first + s->block_items) {
		mpp_unlock(&s->multi.lock);
		return b;
	}
	fresh = s->spare;
	s->spare = NULL;
	mpp_unlock(&s->multi.lock);
	if (!fresh)
		fresh = block_new(s);
	if (!fresh)
		return NULL;
	mpp_lock(&s->multi.lock);
	append_locked(s, fresh);
	mpp_unlock(&s->multi.lock);
	return fresh;
}

/* One item into its slot. */
static int call_next(struct drawer *d, struct mpp_block *b)
{
	struct mpp_stream *s = d->s;
	const struct mpp_func *func = s->multi.job.func;
	size_t index = mpp_peek(&s->multi.limit);
	char *slot = b->args + (index - b->first) * s->arg_stride;
	void *args[MPPOOL_MAX_ARGS];
	int code;

	for (size_t i = 0; i < func->f.nargs; i++)
		args[i] = slot + func->offset[i];
	memset(slot, 0, s->arg_stride);
	mpp_frame_next(d->frame, index);
	mpp_assert_unlocked();
	d->calling = true;
	code = s->multi.items.next(args, s->multi.items.state);
	d->calling = false;
	mpp_job_returned(&s->multi.job);
	return code;
}

/* Draws up to `most` items of one block. Returns 0 or the code that ends the drawing. */
static int draw_some(struct drawer *d, size_t most, size_t *drawn)
{
	struct mpp_stream *s = d->s;
	struct mpp_multi *m = &s->multi;
	struct mpp_block *b = block_to_draw_into(s);
	int code = 0;

	if (!b)
		return ENOMEM;
	most = mpp_min(most, b->first + s->block_items - mpp_peek(&m->limit));
	d->reserved = most;
	mpp_add(&m->pending, most);
	if (!m->items.next) {
		d->reserved = 0;
		publish_drawn(s, most);
		*drawn += most;
		return 0;
	}
	while (d->reserved > 0 && !mpp_job_halted(&m->job) && (code = call_next(d, b)) == 0) {
		d->reserved--;
		++*drawn;
		publish_drawn(s, 1);
	}
	mpp_multi_ended(m, d->reserved);         /* never the last: the drawing itself is counted */
	d->reserved = 0;
	return mpp_job_halted(&m->job) ? MPPOOL_ESTOP : code;
}

static bool grow_capacity(struct mpp_stream *s)
{
	size_t capacity = mpp_peek(&s->capacity), more = capacity ? 2 * capacity : 1024;

	more = mpp_min(more, s->multi.items.length);
	if (capacity > SIZE_MAX / 4 || !mpp_multi_grow_results(&s->multi, capacity, more))
		return false;
	mpp_store(&s->capacity, more);
	return true;
}

/* What may be drawn next; 0 with *ret_code 0: the window is full and the drawing IDLE. */
static size_t next_portion(struct mpp_stream *s, int *ret_code)
{
	struct mpp_multi *m = &s->multi;
	size_t free;

	*ret_code = 0;
	for (;;) {
		size_t limit = mpp_peek(&m->limit);
		bool again = false;

		if (mpp_job_halted(&m->job) || limit == m->items.length) {
			*ret_code = MPPOOL_ESTOP;
			return 0;
		}
		free = mpp_min(room(s), m->items.length - limit);
		if (free > 0 && limit == mpp_peek(&s->capacity)) {
			if (!grow_capacity(s)) {
				*ret_code = ENOMEM;
				return 0;
			}
			continue;
		}
		if (free > 0)
			return free;
		mpp_lock(&m->lock);
		mpp_store_seq(&s->drawing, MPP_DRAW_IDLE);
		if (mpp_job_halted(&m->job) || room_enough(s)) {         /* S1 */
			mpp_poke(&s->drawing, MPP_DRAW_DRAWING);
			again = true;
		} else {
			mpp_pool_stream_paused(m->job.pool);
		}
		mpp_unlock(&m->lock);
		if (!again)
			return 0;
	}
}

static void note_drawing(const struct drawer *d)
{
	size_t limit = mpp_peek(&d->s->multi.limit);

	mpp_trace_end(d->frame->row, &d->span, MPP_TRACE_DRAW, d->s->multi.job.func, d->first, limit - d->first);
}

/* The generator left its thread. */
static void draw_lost(void *arg)
{
	struct drawer *d = arg;

	if (!d->calling)
		return;
	mpp_job_returned(&d->s->multi.job);
	mpp_frame_top = d->frame;
	note_drawing(d);
	mpp_frame_pop(d->frame);
	mpp_multi_ended(&d->s->multi, d->reserved);
	draw_ends(d->s, MPPOOL_ELOST, "The generator left its thread");
	mpp_multi_unref(&d->s->multi);
}

/* Returns true if other generators should have their turn before this one goes on. */
static bool draw_portions(struct drawer *d)
{
	size_t drawn = 0, portion;
	int code;

	while (drawn < QUANTUM || !d->s->multi.items.next) {
		portion = next_portion(d->s, &code);
		if (portion == 0 && code == 0)
			return false;
		if (portion > 0)
			code = draw_some(d, d->s->multi.items.next ? mpp_min(portion, QUANTUM) : portion, &drawn);
		if (code != 0) {
			draw_ends(d->s, code, d->frame ? mpp_frame_message(d->frame, code) : NULL);
			return false;
		}
	}
	return true;
}

static bool start_drawing(struct mpp_stream *s)
{
	bool mine;

	mpp_lock(&s->multi.lock);
	mine = mpp_peek(&s->drawing) == MPP_DRAW_SCHEDULED;
	if (mine)
		mpp_poke(&s->drawing, MPP_DRAW_DRAWING);
	mpp_unlock(&s->multi.lock);
	return mine;
}

void mpp_stream_draw(struct mpp_stream *s, struct mpp_frame *frame)
{
	struct drawer d = {.s = s, .frame = frame};
	bool again = false;

	if (!start_drawing(s))
		return;
	mpp_multi_ref(&s->multi);
	d.first = mpp_peek(&s->multi.limit);
	if (frame) {
		mpp_trace_begin(frame->row, &d.span);
		mpp_frame_push(frame);
	}
	pthread_cleanup_push(draw_lost, &d);
	again = draw_portions(&d);
	pthread_cleanup_pop(0);
	if (frame) {
		note_drawing(&d);
		mpp_frame_pop(frame);
	}
	if (again) {
		mpp_lock(&s->multi.lock);
		mpp_poke(&s->drawing, MPP_DRAW_SCHEDULED);
		mpp_multi_ref(&s->multi);
		mpp_pool_draw(s);
		mpp_unlock(&s->multi.lock);
		if (mpp_job_halted(&s->multi.job))
			mpp_stream_halted(s);
	}
	mpp_multi_unref(&s->multi);
}

void mpp_stream_kick(struct mpp_stream *s)
{
	bool mine;

	if (mpp_likely(mpp_load_seq(&s->drawing) != MPP_DRAW_IDLE) || !room_enough(s))
		return;
	mpp_lock(&s->multi.lock);
	mine = mpp_peek(&s->drawing) == MPP_DRAW_IDLE;
	if (mine)
		mpp_poke(&s->drawing, MPP_DRAW_SCHEDULED);
	if (mine && s->multi.items.next) {
		mpp_multi_ref(&s->multi);        /* the task handler's */
		mpp_pool_draw(s);
	}
	mpp_unlock(&s->multi.lock);
	if (mine && !s->multi.items.next)
		mpp_stream_draw(s, NULL);
}

void mpp_stream_lift(struct mpp_stream *s)
{
	if (!s->sink)
		mpp_store_seq(&s->buffer, SIZE_MAX);
	mpp_stream_kick(s);
}

/* ------------------------------------------------------------------------------------------------------ publishing */

static void signal_one(struct mpp_stream *s)
{
	mpp_add(&s->multi.signal, 1);
	mpp_wake_one(&s->multi.signal);
}

void mpp_stream_publish(struct mpp_stream *s, struct mpp_block *block, size_t index, int code,
                        struct mpp_failure *failure)
{
	struct mpp_slot_head *slot = slot_at(block, index), *before;

	slot->code = code;
	slot->failure = failure;
	if (index + AHEAD < block->first + s->block_items)
		mpp_prefetch(slot + AHEAD);
	if (s->ordered) {
		mpp_store_seq(&slot->state, MPP_SLOT_READY);     /* S2; read by take_ordered */
		if (mpp_load_seq(&s->waiters) > 0 && mpp_load_seq(&s->next_hint) == index)
			signal_one(s);
		return;
	}
	mpp_poke(&slot->state, MPP_SLOT_READY);
	before = mpp_peek(&s->completed);
	do
		slot->next = before;
	while (!mpp_cas(&s->completed, &before, slot));          /* S2; read by refresh_ready */
	if (mpp_load_seq(&s->waiters) > 0 && mpp_load_seq(&s->news) == 0 && mpp_swap(&s->news, 1) == 0)
		signal_one(s);
}

void mpp_stream_sunk(struct mpp_stream *s, struct mpp_block *block, size_t count)
{
	if (mpp_sub(&block->left, count) == count)
		block_gone(s, block);
	mpp_add(&s->taken, count);       /* S1 */
	mpp_stream_kick(s);
}

void mpp_stream_never_ran(struct mpp_stream *s, struct mpp_block *block, size_t first, size_t count)
{
	if (s->sink) {
		mpp_stream_sunk(s, block, count);
		return;
	}
	if (s->ordered) {
		for (size_t i = 0; i < count; i++)
			mpp_store_seq(&slot_at(block, first + i)->state, MPP_SLOT_NEVER_RAN);    /* S2 */
	} else {
		if (mpp_sub(&block->left, count) == count)
			block_gone(s, block);
		mpp_add(&s->skipped, count);
	}
	mpp_multi_signal_all(&s->multi);
}

/* ---------------------------------------------------------------------------------------------------------- taking */

/* The whole came to its end, and all that had completed was taken. Told once, then MPPOOL_ESTOP. */
static int tell_end(struct mpp_stream *s)
{
	enum mpp_outcome outcome = mpp_multi_outcome(&s->multi);
	int code = mpp_outcome_code(outcome);

	if (outcome == MPP_OUT_BROKEN && !(mpp_load_seq(&s->multi.job.state) & MPP_ENDED))
		return EAGAIN;           /* its error comes with the end; mpp_multi_signal_all comes after that */
	s->told = true;
	return code == 0 ? MPPOOL_ESTOP : code;
}

static void hand_over(struct mpp_stream *s, struct mpp_block *b, size_t index, void *ret_result, size_t *ret_index,
                      struct mpp_failure **ret_failure)
{
	struct mpp_slot_head *slot = slot_at(b, index);
	size_t size = s->multi.job.func->f.result_size;

	if (slot->code == 0 && size > 0) {
		if (ret_result)
			memcpy(ret_result, result_at(s, b, index), size);
	}
	if (ret_index)
		*ret_index = index;
	*ret_failure = slot->failure;
	if (slot->failure)
		slot->failure = NULL;
	if (s->multi.job.func->f.drop_result)
		mpp_poke(&slot->state, MPP_SLOT_OPEN);   /* it was taken: mpp_stream_drop_results passes over it */
}

/* S2: before the look at the next slot. */
static void hint_next(struct mpp_stream *s)
{
	if (mpp_load_seq(&s->waiters) > 0)
		mpp_store_seq(&s->next_hint, s->next);
}

static void advance(struct mpp_stream *s)
{
	s->next++;
	mpp_store(&s->taken, mpp_peek(&s->taken) + 1);
	hint_next(s);
}

/* The block of item `next`: the oldest, since those before were given back. NULL: not drawn yet. */
static struct mpp_block *block_to_read(struct mpp_stream *s)
{
	if (!s->reading) {
		mpp_lock(&s->multi.lock);
		s->reading = block_at(s->blocks.first);
		mpp_unlock(&s->multi.lock);
	}
	return s->reading;
}

static void took_ordered(struct mpp_stream *s)
{
	struct mpp_block *b = s->reading;

	advance(s);
	if (s->next == b->first + s->block_items) {
		s->reading = NULL;
		block_gone(s, b);
	}
}

static bool nothing_more_comes(const struct mpp_stream *s, size_t seen)
{
	return mpp_load_seq(&s->drawing) == MPP_DRAW_DONE && seen == mpp_load(&s->multi.limit);
}

static int take_ordered(struct mpp_stream *s, void *ret_result, size_t *ret_index, struct mpp_failure **ret_failure)
{
	hint_next(s);
	for (;;) {
		struct mpp_block *b = block_to_read(s);
		uint32_t state = b ? mpp_load_seq(&slot_at(b, s->next)->state) : MPP_SLOT_OPEN;

		if (state == MPP_SLOT_OPEN)
			return nothing_more_comes(s, s->next) ? tell_end(s) : EAGAIN;
		if (state == MPP_SLOT_READY) {
			int code = slot_at(b, s->next)->code;

			hand_over(s, b, s->next, ret_result, ret_index, ret_failure);
			took_ordered(s);
			return code ? MPPOOL_ETASK : 0;
		}
		took_ordered(s);
	}
}

/* Items that completed since, in the order in which they did. */
static void refresh_ready(struct mpp_stream *s)
{
	struct mpp_slot_head *newest, *next;

	if (s->ready || mpp_load_seq(&s->completed) == NULL)
		return;
	for (newest = mpp_swap(&s->completed, NULL); newest; newest = next) {
		next = newest->next;
		newest->next = s->ready;
		s->ready = newest;
	}
}

static int take_unordered(struct mpp_stream *s, void *ret_result, size_t *ret_index, struct mpp_failure **ret_failure)
{
	struct mpp_slot_head *slot;
	struct mpp_block *b;
	size_t skipped;
	int code;

	if (mpp_load_seq(&s->waiters) > 0)
		mpp_store_seq(&s->news, 0);
	skipped = mpp_load_seq(&s->skipped);
	refresh_ready(s);
	slot = s->ready;
	if (!slot)
		return nothing_more_comes(s, s->next + skipped) ? tell_end(s) : EAGAIN;
	s->ready = slot->next;
	b = slot->block;
	code = slot->code;
	hand_over(s, b, b->first + (size_t)(slot - b->slot), ret_result, ret_index, ret_failure);
	if (mpp_sub(&b->left, 1) == 1)
		block_gone(s, b);
	advance(s);
	return code ? MPPOOL_ETASK : 0;
}

bool mpp_stream_told(struct mpp_stream *s)
{
	bool told;

	mpp_lock(&s->turn);
	told = s->told;
	mpp_unlock(&s->turn);
	return told;
}

/* S2: what a publisher left to this consumer, since it saw no news to tell or another item's turn. */
static bool more_to_take(const struct mpp_stream *s)
{
	if (!s->ordered)
		return s->ready || mpp_load_seq(&s->completed);
	if (!s->reading)                 /* at a block's end: whoever is woken looks for the next */
		return mpp_load_seq(&s->multi.limit) > s->next;
	return mpp_load_seq(&s->reading->slot[s->next - s->reading->first].state) != MPP_SLOT_OPEN;
}

int mpp_stream_take(struct mpp_stream *s, void *ret_result, size_t *ret_index, struct mpp_failure **ret_failure)
{
	bool wake, look;
	int code;

	mpp_lock(&s->turn);
	if (s->told)
		code = MPPOOL_ESTOP;
	else if (s->ordered)
		code = take_ordered(s, ret_result, ret_index, ret_failure);
	else
		code = take_unordered(s, ret_result, ret_index, ret_failure);
	wake = code != EAGAIN && (s->told || more_to_take(s));
	look = code == EAGAIN || s->next % s->stride == 0;
	if (look)
		mpp_store_seq(&s->taken, mpp_peek(&s->taken));   /* S1 */
	mpp_unlock(&s->turn);
	if (wake && mpp_load_seq(&s->waiters) > 0)
		signal_one(s);
	if (look)
		mpp_stream_kick(s);
	return code;
}
