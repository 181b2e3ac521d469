/* layer 2: handing parcels over, taking them back, running them. */
#include "parcel.h"

#include "job.h"

#ifdef MPP_SHARED_PARK

#define RING_EVERY 100000        /* nanoseconds after which the thread is shown what has ended so far */

static uint64_t span_of(size_t begun, size_t limit)
{
	return (uint64_t)begun | (uint64_t)limit << 32;
}

static size_t begun_of(uint64_t span)
{
	return (size_t)(span & UINT32_MAX);
}

static size_t limit_of(uint64_t span)
{
	return (size_t)(span >> 32);
}

/* The first place from `at` on where a unit begins. `first` is the index of place 0. */
static size_t unit_from(size_t at, size_t first, size_t unit)
{
	size_t over = unit > 1 ? (first + at) % unit : 0;

	if (over == 0)
		return at;
	return unit - over > SIZE_MAX - at ? SIZE_MAX : at + unit - over;
}

/* ---------------------------------------------------------------------------------------------------- the thread's end */

void mpp_parcel_init(struct mpp_parcel_end *end, struct mpp_slot *slot)
{
	memset(end, 0, sizeof *end);
	end->slot = slot;
	mpp_lock_init(&end->lock, MPP_RANK_PARCEL);
}

/* The bell goes on counting: a thread that nudges may be here, too. */
void mpp_parcel_reset(struct mpp_parcel_end *end)
{
	struct mpp_slot *slot = end->slot;

	mpp_poke(&slot->go, 0);
	mpp_poke(&slot->stop, 0);
	mpp_poke(&slot->process_sleeps, 0);
	mpp_poke(&slot->done, 0);
	mpp_poke(&slot->ended, 0);
	mpp_poke(&slot->state, MPP_SLOT_NEW);
	mpp_poke(&slot->began_at, 0);
	mpp_poke(&slot->span, 0);
	mpp_poke(&slot->thread_sleeps, 0);
	end->number = 0;
}

/* R4: go, then process_sleeps. */
static void start_process(struct mpp_parcel_end *end)
{
	struct mpp_slot *slot = end->slot;

	mpp_store_seq(&slot->go, ++end->number);
	if (mpp_load_seq(&slot->process_sleeps))
		mpp_wake_shared(&slot->go);
}

void mpp_parcel_command(struct mpp_parcel_end *end, enum mpp_command command)
{
	end->slot->command = command;
	start_process(end);
}

void mpp_parcel_send(struct mpp_parcel_end *end, size_t first, size_t count, size_t unit)
{
	struct mpp_slot *slot = end->slot;

	mpp_poke(&slot->stop, 0);
	mpp_poke(&slot->began_at, 0);
	mpp_poke(&slot->done, 0);        /* its process has finished with the parcel before: it writes this no more */
	mpp_lock(&end->lock);
	end->first = first;
	end->count = count;
	end->unit = unit;
	end->limit = (uint32_t)count;
	end->delivered = 0;
	end->garbled = false;
	end->open = true;
	mpp_poke(&slot->span, span_of(0, count));
	mpp_unlock(&end->lock);
	mpp_parcel_command(end, MPP_COMMAND_RUN);
}

/* R1, R3. */
static size_t lower_limit_locked(struct mpp_parcel_end *end, enum mpp_recall what)
{
	uint64_t span = mpp_load(&end->slot->span);
	size_t begun, limit, to;

	do {
		begun = begun_of(span);
		limit = limit_of(span);
		if (limit != end->limit || begun > limit) {
			end->garbled = true;
			return 0;
		}
		to = begun;
		if (what != MPP_RECALL_ALL)
			to = unit_from(begun + (limit - begun) / 2, end->first, end->unit);
		if (to >= limit)
			return 0;
		if (what == MPP_RECALL_NONE)
			return limit - to;
	} while (!mpp_cas(&end->slot->span, &span, span_of(begun, to)));
	end->limit = (uint32_t)to;
	return limit - to;
}

size_t mpp_parcel_recall(struct mpp_parcel_end *end, enum mpp_recall what, size_t *ret_from)
{
	size_t n = 0;

	mpp_lock(&end->lock);
	if (end->open && !end->garbled)
		n = lower_limit_locked(end, what);
	*ret_from = end->limit;
	mpp_unlock(&end->lock);
	return n;
}

size_t mpp_parcel_close(struct mpp_parcel_end *end, size_t *ret_begun)
{
	size_t limit;

	mpp_lock(&end->lock);
	limit = end->limit;
	if (!end->garbled)
		lower_limit_locked(end, MPP_RECALL_ALL);
	*ret_begun = end->garbled ? limit : end->limit;
	end->open = false;
	mpp_unlock(&end->lock);
	return limit;
}

bool mpp_parcel_look(struct mpp_parcel_end *end, size_t *ret_done, size_t *ret_begun)
{
	size_t done = mpp_load(&end->slot->done);        /* before begun, which it never passes */
	uint64_t span = mpp_load(&end->slot->span);
	bool whole;

	mpp_lock(&end->lock);
	if (done > begun_of(span) || begun_of(span) > limit_of(span) || limit_of(span) > end->count ||
	    begun_of(span) > end->limit || done < end->delivered || mpp_load(&end->slot->go) != end->number)
		end->garbled = true;
	whole = !end->garbled;
	mpp_unlock(&end->lock);
	*ret_done = done;
	*ret_begun = begun_of(span);
	return whole;
}

bool mpp_parcel_is_finished(const struct mpp_parcel_end *end)
{
	return mpp_load(&end->slot->ended) == end->number;
}

/* R4: thread_sleeps, then bell, at which the system looks again. */
void mpp_parcel_wait(struct mpp_parcel_end *end, uint32_t seen, int64_t deadline)
{
	struct mpp_slot *slot = end->slot;

	mpp_store_seq(&slot->thread_sleeps, 1);
	if (mpp_load_seq(&slot->bell) == seen)
		mpp_park_shared(&slot->bell, seen, deadline);
	mpp_poke(&slot->thread_sleeps, 0);
}

/* R4: bell, then thread_sleeps. */
void mpp_slot_ring(struct mpp_slot *slot)
{
	mpp_add(&slot->bell, 1);
	if (mpp_load_seq(&slot->thread_sleeps))
		mpp_wake_shared(&slot->bell);
}

void mpp_slot_nudge(struct mpp_slot *slot)
{
	mpp_add(&slot->bell, 1);
	mpp_wake_shared(&slot->bell);
}

/* --------------------------------------------------------------------------------------------------- the process's end */

/* R4: process_sleeps, then go. Predicate: go has changed. */
uint32_t mpp_slot_await(struct mpp_slot *slot, uint32_t seen)
{
	struct mpp_spin spin = {0, 0, false};
	uint32_t go;

	while ((go = mpp_load(&slot->go)) == seen) {
		if (mpp_spin_more(&spin))
			continue;
		mpp_store_seq(&slot->process_sleeps, 1);
		if (mpp_load_seq(&slot->go) == seen)
			mpp_park_shared(&slot->go, seen, MPP_NEVER);
		mpp_poke(&slot->process_sleeps, 0);
	}
	return go;
}

static size_t used;              /* a process has one thread, and one slot: bytes of its messages */

void mpp_slot_clear_messages(void)
{
	used = 0;
}

void mpp_slot_note(struct mpp_slot *slot, size_t i, int code, bool late, const char *message)
{
	struct mpp_slot_item *item = &slot->item[i];
	size_t length = message ? strlen(message) : 0;

	length = mpp_min(length, MPP_SLOT_MESSAGES - used);
	item->code = code;
	item->late = late;
	item->message = (uint32_t)used;
	item->length = (uint32_t)length;
	if (length > 0)
		memcpy(slot->messages + used, message, length);
	used += length;
}

/* What a parcel is run with. */
struct run {
	struct mpp_slot *slot;
	struct mpp_frame *frame;
	struct mpp_slot_call call;       /* a copy: what a task writes there by mistake does not matter */
	int64_t rung;                    /* when the bell was last rung */
	void (*flush)(void);
};

/* R1, by the process. */
static size_t claim(struct run *run, size_t *ret_from)
{
	uint64_t span = mpp_load(&run->slot->span);
	size_t begun, limit, to;

	do {
		begun = begun_of(span);
		limit = limit_of(span);
		if (begun >= limit)
			return 0;
		to = run->call.chunk_call ? unit_from(begun + 1, run->call.first, run->call.unit) : begun + 1;
		to = mpp_min(to, limit);
	} while (!mpp_cas(&run->slot->span, &span, span_of(to, limit)));
	*ret_from = begun;
	return to - begun;
}

/* R2. Then the time: the thread is shown something now and then. */
static void ended(struct run *run, size_t i, size_t count, int code)
{
	struct mpp_frame *frame = run->frame;
	int64_t now = mpp_now();
	bool late = frame->deadline != MPP_NEVER && now > frame->deadline;

	for (size_t k = i; k < i + count; k++)
		mpp_slot_note(run->slot, k, late ? ETIMEDOUT : code, late && code == 0,
		              code && !late ? mpp_frame_message(frame, code) : NULL);
	if (i + count >= limit_of(mpp_peek(&run->slot->span)))
		run->flush();
	mpp_store(&run->slot->done, (uint32_t)(i + count));
	if (now - run->rung > RING_EVERY) {
		run->rung = now;
		mpp_slot_ring(run->slot);
	}
}

static void begin(struct run *run, size_t i)
{
	int64_t now;

	mpp_frame_next(run->frame, run->call.first + i);
	if (run->call.task_timeout == 0)
		return;
	now = mpp_now();
	run->frame->deadline = now + run->call.task_timeout;
	mpp_store(&run->slot->began_at, now);
}

static void run_item(struct run *run, size_t i)
{
	const struct mpp_slot_call *c = &run->call;
	const void *args[MPPOOL_MAX_ARGS];

	for (size_t k = 0; k < c->nargs; k++)
		args[k] = (const char *)c->columns[k].base + i * c->columns[k].stride;
	begin(run, i);
	ended(run, i, 1, c->call(args, c->results ? c->results + i * c->result_stride : NULL, c->context));
}

static void run_items_by_chunk(struct run *run, size_t i, size_t count)
{
	const struct mpp_slot_call *c = &run->call;
	struct mppool_column columns[MPPOOL_MAX_ARGS];
	size_t failed;
	struct mppool_chunk chunk = {sizeof chunk, 0, 0, columns, NULL, c->result_stride, &failed};

	while (count > 0) {
		int code;

		for (size_t k = 0; k < c->nargs; k++) {
			columns[k] = c->columns[k];
			columns[k].base = (const char *)columns[k].base + i * columns[k].stride;
		}
		failed = SIZE_MAX;
		chunk.first = c->first + i;
		chunk.count = count;
		chunk.results = c->results ? c->results + i * c->result_stride : NULL;
		begin(run, i);
		code = c->chunk_call(&chunk, c->context);
		if (code == 0 || failed >= count) {
			ended(run, i, count, code);
			return;
		}
		if (failed > 0)
			ended(run, i, failed, 0);
		ended(run, i + failed, 1, code);
		i += failed + 1;
		count -= failed + 1;
	}
}

/* Ends early once there is no more room for messages: what has not begun then is handed over again. */
void mpp_slot_run(struct mpp_slot *slot, uint32_t number, struct mpp_frame *frame, void (*flush)(void))
{
	struct run run = {.slot = slot, .frame = frame, .call = slot->parcel, .rung = mpp_now(), .flush = flush};
	size_t i = 0, count;

	mpp_slot_clear_messages();
	frame->role = MPP_TASK;
	frame->stop = &slot->stop;
	while (used < MPP_SLOT_MESSAGES / 2 && (count = claim(&run, &i)) > 0) {
		if (run.call.chunk_call)
			run_items_by_chunk(&run, i, count);
		else
			run_item(&run, i);
	}
	frame->role = MPP_IDLE;
	frame->stop = NULL;
	frame->deadline = MPP_NEVER;
	flush();
	mpp_store(&slot->ended, number);
	mpp_slot_nudge(slot);            /* a task may have written over thread_sleeps */
}

#endif
