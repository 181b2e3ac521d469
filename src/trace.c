/* layer 1: rows of a trace, their spans, and their text. */
#include "trace.h"

#include "fork.h"
#include "memory.h"
#include "trace_file.h"
#include "utf8.h"

#define GRAIN 4000               /* nanoseconds, at first */
#define LONGEST 64               /* grains: T1 */
#define COARSER ((size_t)1 << 20)        /* bytes of text after which the grain doubles: T3 */
#define STALE 250000000          /* nanoseconds after which a thread that goes to sleep writes what it has noted */
#define OUTSIDE 10000000         /* added to the numbers of threads from outside: those of rows are lower */
#define TEXT ((size_t)1 << 15)   /* bytes of a row's buffer */
#define EVENT 2048               /* bytes of an event at most: a name of 128 bytes gets six times as long in JSON */

struct mpp_trace_text {
	size_t used;
	char bytes[TEXT];
};

/* A row of a thread of the pool's. */
struct place {
	struct mpp_trace_row row;
	struct mpp_trace_text text;
	struct place *next;              /* the lock */
	enum mpp_trace_place place;
	int index;
	bool taken;                      /* the lock: by a thread */
};

/* One pool's. */
struct mpp_trace {
	struct mpp_trace_file *file;
	mppool *pool;
	uint64_t id;
	int64_t born;
	uint32_t generation;             /* of the process */
	struct mpp_trace *next;          /* the lock: all of the process */
	struct place *places;            /* the lock */
	uint64_t *guests;                /* the lock: threads from outside that have a name in the file */
	size_t nguests, guests_room;
	struct mpp_trace_row outside;    /* the lock: what threads from outside note, in turn */
	struct mpp_trace_text outside_text;
	_Atomic int64_t sampled;         /* when the queue's length was last noted */
	_Atomic size_t sample;           /* and what it was */
	_Atomic int64_t interval;        /* the shortest time between two notes of it: four grains of a coarse row */
	_Atomic int64_t left_at;         /* when one was left out last, so soon after another; 0: one was noted */
	_Atomic size_t left_out;         /* and what it was */
	char name[128];
};

_Atomic uint32_t mpp_trace_live;

static struct mpp_lock lock = MPP_LOCK_INIT(MPP_RANK_TRACE);
static struct mpp_trace *traces;

/* ------------------------------------------------------------------------------------------------------------ text */

/* One event, complete, with the comma that parts it from the one before. There is room for the longest. */
struct event {
	size_t used;
	char bytes[EVENT];
};

static void put(struct event *e, const char *text)
{
	size_t length = strlen(text);

	if (length < sizeof e->bytes - e->used) {
		memcpy(e->bytes + e->used, text, length);
		e->used += length;
	}
}

static void put_number(struct event *e, uint64_t n)
{
	char digits[21], *p = digits + sizeof digits - 1;

	*p = '\0';
	do
		*--p = (char)('0' + n % 10);
	while ((n /= 10) > 0);
	put(e, p);
}

/* Microseconds with three decimals; printf would ask the locale for the point. */
static void put_time(struct event *e, int64_t ns)
{
	uint64_t n = ns > 0 ? (uint64_t)ns : 0, rest = n % 1000;
	char decimals[] = {'.', (char)('0' + rest / 100), (char)('0' + rest / 10 % 10), (char)('0' + rest % 10), '\0'};

	put_number(e, n / 1000);
	put(e, decimals);
}

/* The inside of a JSON string. What is no UTF-8 becomes the character that stands for such. */
static void put_escaped(struct event *e, const char *text)
{
	static const char hex[] = "0123456789abcdef";

	while (*text) {
		unsigned char c = (unsigned char)*text;
		size_t length = mpp_utf8_character(text);
		char piece[7] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15], '\0'};

		if (length == 0) {
			put(e, "\\ufffd");
			text++;
			continue;
		}
		if (c == '"' || c == '\\') {
			piece[1] = (char)c;
			piece[2] = '\0';
		} else if (c >= 0x20 && c != 0x7f) {
			memcpy(piece, text, length);
			piece[length] = '\0';
		}
		put(e, piece);
		text += length;
	}
}

static void put_head(struct event *e, const char *phase, uint64_t pid, uint64_t tid)
{
	e->used = 0;
	put(e, ",\n{\"ph\":\"");
	put(e, phase);
	put(e, "\",\"pid\":");
	put_number(e, pid);
	put(e, ",\"tid\":");
	put_number(e, tid);
}

/* Copies as much as fits, whole characters. */
static void copy_name(char *to, size_t size, const char *from)
{
	size_t n = 0, length;

	while (from[n]) {
		length = mpp_utf8_character(from + n);
		length = length ? length : 1;
		if (n + length >= size)
			break;
		n += length;
	}
	memcpy(to, from, n);
	to[n] = '\0';
}

/* ------------------------------------------------------------------------------------------------------- from rows */

/* To the file. A child of fork has none. */
static void flush_locked(struct mpp_trace *trace, struct mpp_trace_row *row)
{
	if (trace->generation == mpp_fork_generation())
		mpp_trace_file_write(trace->file, row->text->bytes, row->text->used);
	row->written += row->text->used;
	row->text->used = 0;
	while (row->written >= COARSER) {
		row->written -= COARSER;
		row->grain *= 2;
		if (mpp_peek(&trace->interval) < 4 * row->grain)
			mpp_poke(&trace->interval, 4 * row->grain);
	}
}

static void flush(struct mpp_trace_row *row, int64_t now)
{
	row->flushed = now;
	if (row->text->used == 0)
		return;
	mpp_assert_unlocked();
	mpp_lock(&lock);
	flush_locked(row->trace, row);
	mpp_unlock(&lock);
}

static void append(struct mpp_trace_text *text, const struct event *e)
{
	memcpy(text->bytes + text->used, e->bytes, e->used);
	text->used += e->used;
}

/* A pool's trace, if it has one since before that time. */
static struct mpp_trace *find_locked(const mppool *pool, int64_t since)
{
	struct mpp_trace *trace = traces;

	while (trace && !(trace->pool == pool && trace->born <= since))
		trace = trace->next;
	return trace;
}

static void append_outside_locked(struct mpp_trace *trace, const struct event *e)
{
	if (trace->outside_text.used + e->used > TEXT)
		flush_locked(trace, &trace->outside);
	append(&trace->outside_text, e);
}

static void name_row(struct event *e, uint64_t id, uint64_t tid, const char *name, const char *suffix, uint64_t order)
{
	put_head(e, "M", id, tid);
	put(e, ",\"name\":\"thread_name\",\"args\":{\"name\":\"");
	put_escaped(e, name);
	put_escaped(e, suffix);
	put(e, "\"}},\n{\"ph\":\"M\",\"pid\":");
	put_number(e, id);
	put(e, ",\"tid\":");
	put_number(e, tid);
	put(e, ",\"name\":\"thread_sort_index\",\"args\":{\"sort_index\":");
	put_number(e, order);
	put(e, "}}");
}

/* A thread from outside gets its name when it is first seen. Without memory it has none. */
static void name_guest_locked(struct mpp_trace *trace, uint64_t tid)
{
	uint64_t *guests = trace->guests;
	struct event e;
	char name[64];

	for (size_t i = trace->nguests; i-- > 0;)
		if (guests[i] == tid)
			return;
	if (trace->nguests == trace->guests_room) {
		guests = mpp_realloc(guests, (2 * trace->guests_room + 8) * sizeof guests[0]);
		if (!guests)
			return;
		trace->guests = guests;
		trace->guests_room = 2 * trace->guests_room + 8;
	}
	guests[trace->nguests++] = tid;
	mpp_trace_file_thread_name(name, sizeof name);
	name_row(&e, trace->id, tid, name, " (outside)", 0);
	append_outside_locked(trace, &e);
}

/* Where an event of this row goes. The pool of a guest may be gone meanwhile: then nobody wants it. */
static void emit(struct mpp_trace_row *row, const struct event *e, int64_t start)
{
	struct mpp_trace *trace;

	if (row->text) {
		if (row->text->used + e->used > TEXT)
			flush(row, mpp_now());
		append(row->text, e);
		return;
	}
	mpp_lock(&lock);
	trace = find_locked(row->pool, start);
	if (trace && trace->id == row->id) {
		name_guest_locked(trace, row->tid);
		append_outside_locked(trace, e);
		row->grain = trace->outside.grain;
	}
	mpp_unlock(&lock);
}

/* ------------------------------------------------------------------------------------------------------- the queue */

static void queue_event(struct event *e, uint64_t id, int64_t when, size_t queued)
{
	put_head(e, "C", id, 0);
	put(e, ",\"ts\":");
	put_time(e, when);
	put(e, ",\"name\":\"queue\",\"args\":{\"calls\":");
	put_number(e, queued);
	put(e, "}}");
}

/* Was it noted only just now, or is it the same? If not it is going to be. Threads that come at once may mix up what
 * was left out: a moment of the curve. */
static bool is_news(struct mpp_trace *trace, int64_t when, size_t queued, int64_t interval)
{
	int64_t before = mpp_peek(&trace->sampled);

	if (when - before < interval) {
		mpp_poke(&trace->left_out, queued);
		mpp_poke(&trace->left_at, when);
		return false;
	}
	if (mpp_peek(&trace->sample) == queued && mpp_peek(&trace->left_at) == 0)
		return false;
	if (!mpp_cas(&trace->sampled, &before, when))
		return false;
	mpp_poke(&trace->sample, queued);
	return true;
}

/* What it had been until now, if that was left out: a burst of calls is seen at its end, not with the next change. */
static bool take_left_out(struct mpp_trace *trace, int64_t when, struct event *e)
{
	int64_t at = mpp_peek(&trace->left_at);

	if (at == 0 || at >= when)
		return false;
	mpp_poke(&trace->left_at, 0);
	queue_event(e, trace->id, at, mpp_peek(&trace->left_out));
	return true;
}

static void emit_queue(struct mpp_trace_row *row, int64_t when, size_t queued)
{
	struct event e;

	if (take_left_out(row->trace, when, &e))
		emit(row, &e, when);
	queue_event(&e, row->id, when, queued);
	emit(row, &e, when);
}

/* As of that time, which may have been before the last that was noted. */
static void note_queue(struct mpp_trace_row *row, int64_t when, size_t queued)
{
	if (row->trace && (when <= mpp_peek(&row->trace->sampled) || is_news(row->trace, when, queued, 0)))
		emit_queue(row, when, queued);
}

void mpp_trace_queue_seen(struct mpp_trace_row *row, size_t queued)
{
	int64_t now = mpp_now();
	int saved = errno;

	if (is_news(row->trace, now, queued, mpp_peek(&row->trace->interval)))
		emit_queue(row, now, queued);
	errno = saved;
}

void mpp_trace_queue_seen_outside(struct mpp_trace *trace, size_t queued)
{
	int64_t now = mpp_now();
	struct event e;
	int saved = errno;

	if (!is_news(trace, now, queued, mpp_peek(&trace->interval)))
		return;
	mpp_assert_unlocked();
	mpp_lock(&lock);
	if (take_left_out(trace, now, &e))
		append_outside_locked(trace, &e);
	queue_event(&e, trace->id, now, queued);
	append_outside_locked(trace, &e);
	mpp_unlock(&lock);
	errno = saved;
}

/* ----------------------------------------------------------------------------------------------------------- spans */

static const struct {
	const char *category, *prefix;
	bool named;              /* by a function; else the prefix is the name */
} kinds[] = {
	[MPP_TRACE_TASK] = {"task", "", true},
	[MPP_TRACE_CALLBACK] = {"callback", "callback ", true},
	[MPP_TRACE_DRAW] = {"draw", "draw ", true},
	[MPP_TRACE_INITIALIZER] = {"initializer", "initializer", false},
	[MPP_TRACE_FINALIZER] = {"finalizer", "finalizer", false},
	[MPP_TRACE_IDLE] = {"wait", "idle", false},
	[MPP_TRACE_WAIT] = {"wait", "wait for ", true},
	[MPP_TRACE_FULL] = {"wait", "queue full", false},
};

static bool is_wait(enum mpp_trace_kind kind)
{
	return kind >= MPP_TRACE_IDLE;
}

static void put_function(struct event *e, const struct mpp_trace_pending *p)
{
	char symbol[128];

	if (p->several) {
		put(e, "(several)");
	} else if (p->name[0]) {
		put_escaped(e, p->name);
	} else {
		mpp_trace_file_symbol(p->code, symbol, sizeof symbol);
		put_escaped(e, symbol);
	}
}

static void put_args(struct event *e, const struct mpp_trace_pending *p)
{
	if (is_wait(p->kind) || (p->calls == 1 && p->items <= 1 && p->first == 0))
		return;
	put(e, ",\"args\":{");
	if (p->calls > 1) {
		put(e, "\"calls\":");
		put_number(e, p->calls);
		put(e, ",\"busy\":");
		put_time(e, p->busy);
	} else {
		put(e, "\"first\":");
		put_number(e, p->first);
	}
	put(e, ",\"items\":");
	put_number(e, p->items);
	put(e, "}");
}

static void write_span(struct mpp_trace_row *row, const struct mpp_trace_pending *p)
{
	struct event e;

	put_head(&e, "X", row->id, row->tid);
	put(&e, ",\"ts\":");
	put_time(&e, p->start);
	put(&e, ",\"dur\":");
	put_time(&e, p->end - p->start);
	put(&e, ",\"cat\":\"");
	put(&e, kinds[p->kind].category);
	put(&e, "\",\"name\":\"");
	put(&e, kinds[p->kind].prefix);
	if (kinds[p->kind].named)
		put_function(&e, p);
	put(&e, "\"");
	put_args(&e, p);
	put(&e, "}");
	emit(row, &e, p->start);
}

static void write_pending(struct mpp_trace_row *row)
{
	struct mpp_trace_pending *p = &row->pending;

	if (p->calls > 0)
		write_span(row, p);
	p->calls = 0;
}

static bool same_name(const struct mpp_trace_pending *p, const struct mpp_trace_pending *q)
{
	return !p->several && !q->several && p->code == q->code && strcmp(p->name, q->name) == 0;
}

/* T1, T4. p ended before q did, on the same row; `outer` is when the span around q began. */
static bool belong_together(const struct mpp_trace_row *row, const struct mpp_trace_pending *p,
                            const struct mpp_trace_pending *q, int64_t outer)
{
	int64_t grain = row->grain;

	if (p->calls == 0 || p->start < outer || p->kind != q->kind)
		return false;
	if (p->start >= q->start)        /* inside */
		return q->end - q->start < grain;
	if (q->start - p->end >= grain || q->end - p->start > LONGEST * grain)
		return false;
	if (is_wait(q->kind))
		return true;
	if (p->end - p->start >= grain && (p->calls == 1 || !same_name(p, q)))
		return false;
	return q->end - q->start < grain;
}

static void merge(struct mpp_trace_pending *p, const struct mpp_trace_pending *q)
{
	bool inside = p->start >= q->start;

	p->several = !same_name(p, q);
	p->busy = inside ? q->busy : p->busy + q->busy;
	p->start = inside ? q->start : p->start;
	p->end = q->end;
	p->calls += q->calls;
	p->items += q->items;
}

static void fill(struct mpp_trace_pending *p, enum mpp_trace_kind kind, const struct mpp_func *func)
{
	p->kind = kind;
	p->several = !func && kinds[kind].named;         /* a group of calls that is waited for */
	p->code = 0;
	p->name[0] = '\0';
	p->calls = 1;
	if (!func || !kinds[kind].named)
		return;
	if (func->f.name && func->f.name[0])
		copy_name(p->name, sizeof p->name, func->f.name);
	else
		p->code = func->f.call ? (uintptr_t)func->f.call : (uintptr_t)func->f.chunk_call;
}

void mpp_trace_span_begin(struct mpp_trace_row *row, struct mpp_trace_span *span)
{
	span->outer = row->open;
	row->open = span->start = mpp_now();
}

void mpp_trace_span_end(struct mpp_trace_row *row, const struct mpp_trace_span *span, enum mpp_trace_kind kind,
                        const struct mpp_func *func, size_t first, size_t items)
{
	struct mpp_trace_pending q;
	int saved = errno;

	row->open = span->outer;
	q.start = span->start;
	q.end = mpp_now();
	q.busy = q.end - q.start;
	q.first = first;
	q.items = items;
	fill(&q, kind, func);
	if (belong_together(row, &row->pending, &q, span->outer)) {
		merge(&row->pending, &q);
	} else if (!is_wait(kind) || q.busy >= row->grain) {     /* T2 */
		write_pending(row);
		row->pending = q;
		if (kind == MPP_TRACE_IDLE)
			note_queue(row, q.start, row->queued);
	}
	errno = saved;
}

void mpp_trace_idle_begin(struct mpp_trace_row *row, struct mpp_trace_span *span, size_t queued)
{
	int saved = errno;

	mpp_trace_span_begin(row, span);
	row->queued = queued;
	if (span->start - row->flushed > STALE) {
		write_pending(row);
		flush(row, span->start);
	}
	errno = saved;
}

/* ----------------------------------------------------------------------------------------------------------- waits */

/* For a thread from outside. False: the pool is not traced. */
static bool fill_guest(struct mpp_trace_row *row, mppool *pool)
{
	const struct mpp_trace *trace;

	memset(row, 0, sizeof *row);
	row->pool = pool;
	row->tid = OUTSIDE + mpp_trace_file_thread_id();
	mpp_lock(&lock);
	trace = find_locked(pool, INT64_MAX);
	if (trace) {
		row->grain = trace->outside.grain;
		row->id = trace->id;
	}
	mpp_unlock(&lock);
	return trace != NULL;
}

void mpp_trace_guest_row(struct mpp_trace_row *row, struct mpp_frame *frame)
{
	if (mpp_frame_top && mpp_frame_top->row)
		frame->row = mpp_frame_top->row;
	else if (fill_guest(row, frame->pool))
		frame->row = row;
}

void mpp_trace_guest_done(struct mpp_trace_row *row)
{
	write_pending(row);
}

void mpp_trace_wait_begin(struct mpp_trace_wait *wait, mppool *pool)
{
	wait->pool = pool;
	if (!pool)
		return;
	wait->row = mpp_frame_top ? mpp_frame_top->row : NULL;
	if (wait->row) {
		mpp_trace_span_begin(wait->row, &wait->span);
	} else {
		wait->span.start = mpp_now();
		wait->span.outer = 0;
	}
}

void mpp_trace_wait_end(struct mpp_trace_wait *wait, enum mpp_trace_kind kind, const struct mpp_func *func)
{
	struct mpp_trace_row guest;
	int saved = errno;

	if (wait->row) {
		mpp_trace_span_end(wait->row, &wait->span, kind, func, 0, 0);
		return;
	}
	if (mpp_now() - wait->span.start < GRAIN)
		return;
	if (fill_guest(&guest, wait->pool)) {
		mpp_trace_span_end(&guest, &wait->span, kind, func, 0, 0);
		write_pending(&guest);
	}
	errno = saved;
}

/* ---------------------------------------------------------------------------------------------- rows of the pool's */

static struct place *find_place_locked(struct mpp_trace *trace, enum mpp_trace_place place, int index)
{
	struct place *p = trace->places;

	while (p && (p->taken || p->place != place || p->index != index))
		p = p->next;
	if (p)
		p->taken = true;
	return p;
}

static struct place *new_place_locked(struct mpp_trace *trace, enum mpp_trace_place place, int index)
{
	struct place *p = mpp_zalloc(sizeof *p);

	if (!p)
		return NULL;
	p->row.trace = trace;
	p->row.text = &p->text;
	p->row.pool = trace->pool;
	p->row.id = trace->id;
	p->row.tid = mpp_trace_file_new_id(trace->file);
	p->row.grain = GRAIN;
	p->place = place;
	p->index = index;
	p->taken = true;
	p->next = trace->places;
	trace->places = p;
	return p;
}

static void name_place(struct place *p, const char *name)
{
	static const char *const suffixes[] = {"-w", "-result", "-task"};
	static const uint64_t orders[] = {10, 2, 3};
	struct event number = {.used = 0};
	char suffix[32];
	struct event e;

	put(&number, suffixes[p->place]);
	if (p->place == MPP_TRACE_WORKER)
		put_number(&number, (uint64_t)p->index);
	memcpy(suffix, number.bytes, number.used);
	suffix[number.used] = '\0';
	name_row(&e, p->row.trace->id, p->row.tid, name, suffix,
	         orders[p->place] + (p->place == MPP_TRACE_WORKER ? (uint64_t)p->index : 0));
	append(&p->text, &e);
}

struct mpp_trace_row *mpp_trace_row_get(struct mpp_trace *trace, enum mpp_trace_place place, int index)
{
	struct place *p;
	bool fresh = false;

	if (!trace)
		return NULL;
	mpp_lock(&lock);
	p = find_place_locked(trace, place, index);
	if (!p) {
		p = new_place_locked(trace, place, index);
		fresh = true;
	}
	mpp_unlock(&lock);
	if (!p)
		return NULL;
	if (fresh)
		name_place(p, trace->name);
	p->row.open = 0;
	p->row.flushed = mpp_now();
	return &p->row;
}

void mpp_trace_row_put(struct mpp_trace_row *row)
{
	struct place *p;

	if (!row)
		return;
	p = mpp_container(row, struct place, row);
	write_pending(row);
	flush(row, 0);
	mpp_lock(&lock);
	p->taken = false;
	mpp_unlock(&lock);
}

/* ------------------------------------------------------------------------------------------------- birth and death */

static void name_pool_locked(struct mpp_trace *trace)
{
	struct event e;

	put_head(&e, "M", trace->id, 0);
	put(&e, ",\"name\":\"process_name\",\"args\":{\"name\":\"");
	put_escaped(&e, trace->name);
	put(&e, "\"}},\n{\"ph\":\"M\",\"pid\":");
	put_number(&e, trace->id);
	put(&e, ",\"tid\":0,\"name\":\"process_sort_index\",\"args\":{\"sort_index\":");
	put_number(&e, trace->id);
	put(&e, "}}");
	mpp_trace_file_write(trace->file, e.bytes, e.used);
	queue_event(&e, trace->id, trace->born, 0);
	mpp_trace_file_write(trace->file, e.bytes, e.used);
}

static void open_locked(struct mpp_trace *trace, const char *path)
{
	trace->file = mpp_trace_file_open(path);
	if (!trace->file)
		return;
	trace->id = mpp_trace_file_new_id(trace->file);
	name_pool_locked(trace);
	trace->next = traces;
	traces = trace;
	mpp_add(&mpp_trace_live, 1);
}

int mpp_trace_open(const char *path, mppool *pool, const char *name, struct mpp_trace **ret_trace)
{
	struct mpp_trace *trace;

	*ret_trace = NULL;
	if (!path)
		path = mpp_trace_file_from_environment();
	if (!path || !path[0])
		return 0;
	trace = mpp_zalloc(sizeof *trace);
	if (!trace)
		return ENOMEM;
	trace->pool = pool;
	trace->born = mpp_now();
	trace->generation = mpp_fork_generation();
	mpp_poke(&trace->interval, 4 * GRAIN);
	trace->outside.grain = GRAIN;
	trace->outside.text = &trace->outside_text;
	copy_name(trace->name, sizeof trace->name, name);
	mpp_lock(&lock);
	open_locked(trace, path);
	mpp_unlock(&lock);
	if (trace->file)
		*ret_trace = trace;
	else
		mpp_free(trace);
	return 0;
}

void mpp_trace_abandon(struct mpp_trace *trace)
{
	struct place *p, *next;

	if (!trace)
		return;
	for (p = trace->places; p; p = next) {
		next = p->next;
		mpp_free(p);
	}
	mpp_free(trace->guests);
	mpp_free(trace);
}

void mpp_trace_close(struct mpp_trace *trace)
{
	struct mpp_trace **link = &traces;
	struct event e;

	if (!trace)
		return;
	mpp_lock(&lock);
	while (*link != trace)
		link = &(*link)->next;
	*link = trace->next;
	mpp_sub(&mpp_trace_live, 1);
	if (take_left_out(trace, INT64_MAX, &e))
		append_outside_locked(trace, &e);
	flush_locked(trace, &trace->outside);
	mpp_trace_file_close(trace->file);
	mpp_unlock(&lock);
	mpp_trace_abandon(trace);
}

/* ------------------------------------------------------------------------------------------------------------ fork */

void mpp_trace_before_fork(void)
{
	mpp_lock_plain(&lock);
}

void mpp_trace_after_fork(void)
{
	mpp_unlock_plain(&lock);
}

void mpp_trace_in_child(void)
{
	traces = NULL;
	mpp_poke(&mpp_trace_live, 0);
	mpp_trace_files_inherited();
	mpp_unlock_plain(&lock);
}
