/* fuzz.c - bytes drive calls of the library in several threads, and a plain model says what must come of them
 *
 * SPDX-License-Identifier: MIT
 *
 * The first bytes make a pool; the others are dealt out to one to three threads, and say what each of them does, call
 * by call. What the user's functions do follows from the bytes, too: which items fail, which submit to the pool
 * themselves, where a generator ends or fails.
 *
 * The model is that of the manual, read as a sequential program. A call whose items nobody stops must come to exactly
 * the outcome, the results, codes and errors of the loop that it stands for. Of a call that was cancelled, terminated,
 * timed out or ended by its first failure, that which holds for each item by itself: it ran once or never, it has the
 * code and the result of that, and its hooks were called. A thread notes what it is about to do to the pool before and
 * after, so that each answer can be held against what may, and what must, have happened by then. What is never right
 * ends the program by abort(): no lock and no sleep of the model's own brings the library's threads into step. */
#define _GNU_SOURCE 1
#include "fuzz.h"

#include <errno.h>
#include <math.h>
#include <mppool.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST_ITEMS = 24, MOST_THREADS = 3, SLOTS = 4 };

/* ------------------------------------------------------------------------------------------------- bytes, verdicts */

struct bytes {
	const uint8_t *at;
	size_t left;
};

static unsigned byte(struct bytes *b)
{
	if (b->left == 0)
		return 0;
	b->left--;
	return *b->at++;
}

static unsigned below(struct bytes *b, unsigned n)
{
	return byte(b) % n;
}

static void wrong(const char *what, int line, long got)
{
	fprintf(stderr, "fuzz.c:%d: not so: %s (%ld)\n", line, what, got);
	abort();
}

#define MUST(condition, value)                                                                                        \
	do {                                                                                                          \
		if (!(condition))                                                                                     \
			wrong(#condition, __LINE__, (long)(value));                                                   \
	} while (0)

/* ----------------------------------------------------------------------------------------------------- the records */

struct item {
	uint32_t place;
	uint32_t mark;
};

struct answer {
	uint32_t place;
	uint32_t value;
};

enum kind { APPLY, APPLY_ASYNC, MAP, MAP_ASYNC, STARMAP, STARMAP_ASYNC, IMAP, IMAP_UNORDERED, KINDS };

/* One run: a pool and the threads that use it. The pairs say what was begun and what is done. */
struct run {
	mppool *pool;
	struct mppool_options options;
	int state;                       /* what the initializer hands out */
	unsigned init_fails_at;          /* this start of a worker fails; 0: none */
	atomic_int most_workers;         /* that anybody has asked for */
	atomic_bool resized;
	atomic_uint inits, finals;
	atomic_bool closing, closed, terminating, terminated, breaking, joined;
	_Atomic(struct call *) calls;    /* all, newest first: their memory lives as long as the run */
	struct call *shared;             /* an iterator that all threads take from, or NULL */
};

struct call {
	struct call *older;
	struct run *run;
	enum kind kind;

	/* What the bytes say. */
	size_t n;                        /* items of the arrays; where the generator ends */
	bool generator;
	size_t bound;                    /* of the generator; MPPOOL_UNKNOWN: none */
	size_t source_fails_at;          /* SIZE_MAX: it does not */
	bool source_submits;
	unsigned fail_mod, fail_rest;    /* items with place % mod == rest fail; mod 0: none */
	bool raises, submits, lingers, chunked, no_result;
	bool callback, error_callback, callback_acts;
	bool own_results, own_codes;
	unsigned addend;
	struct mppool_call_options options;
	struct mppool_func func;
	struct mppool_column columns[2];
	struct mppool_iterable items;

	/* Lent. */
	struct item xs[MOST_ITEMS];
	struct answer results[MOST_ITEMS];
	int codes[MOST_ITEMS];

	/* What the functions saw. */
	atomic_uint ran[MOST_ITEMS], succeeded[MOST_ITEMS], args_dropped[MOST_ITEMS], result_dropped[MOST_ITEMS];
	atomic_uint running, drawn, drawing, callbacks, error_callbacks, finished, released;
	atomic_bool source_failed, source_ended;

	/* What the threads that hold it did. */
	bool accepted;
	atomic_bool cancelling;
	int cancel_code;                 /* of the first cancel that was not refused; -1: none */
	bool is_shared, all_taken, maybe_refused;
	atomic_uint taken[MOST_ITEMS], kept[MOST_ITEMS];  /* handed out; and not dropped by that */
	mppool_result *result;
	mppool_iter *iter;
	size_t next;                     /* place that an ordered iterator must come to */
	bool told_end, ended;
};

static bool stopping(const struct run *run)
{
	return atomic_load(&run->terminating) || atomic_load(&run->breaking);
}

/* Nobody but its own items has a say in what becomes of it. */
static bool undisturbed(const struct call *c)
{
	return !stopping(c->run) && !atomic_load(&c->cancelling) && c->options.task_timeout == 0 &&
	       !(c->options.flags & MPPOOL_FAIL_FAST);
}

static bool fails(const struct call *c, size_t place)
{
	return c->fail_mod > 0 && place % c->fail_mod == c->fail_rest;
}

static int code_of(size_t place)
{
	return place % 2 ? -(int)place - 1 : 5000 + (int)place;
}

static uint32_t value_of(const struct call *c, size_t place)
{
	return (uint32_t)(place * 3 + 1 + c->addend);
}

static const char *message_of(const struct call *c, size_t place, char text[32])
{
	if (!c->raises)
		return mppool_strerror(code_of(place));
	snprintf(text, 32, "item %zu", place);
	return text;
}

/* Items that come out of an undisturbed input. */
static size_t items_expected(const struct call *c)
{
	size_t end = c->n;

	if (!c->generator)
		return end;
	if (c->bound < end)
		end = c->bound;
	return c->source_fails_at < end ? c->source_fails_at : end;
}

static bool source_must_fail(const struct call *c)
{
	return c->generator && c->source_fails_at <= c->n && c->source_fails_at < c->bound;
}

/* -------------------------------------------------------------------------------------------- the user's functions */

static int leaf(int x)
{
	return x + 7;
}
MPPOOL_FUNC(leaf_task, int, leaf, int);

/* A submission by what runs in the pool: only the end of the pool can refuse it. */
static void submit_from_inside(struct run *run, unsigned how)
{
	const int xs[3] = {1, 2, 3};
	int ys[3] = {0, 0, 0};
	int code;

	switch (how % 3) {
	case 0:
		code = mppool_apply(run->pool, &leaf_task, MPPOOL_ARGS(&xs[0]), &ys[0]);
		MUST(code == 0 ? ys[0] == 8 : stopping(run), code);
		break;
	case 1:
		code = mppool_map(run->pool, &leaf_task, MPPOOL_ARRAY(xs, 3), ys, 1);
		MUST(code == 0 ? ys[0] == 8 && ys[2] == 10 : stopping(run), code);
		break;
	default:
		code = mppool_apply_async(run->pool, &leaf_task, MPPOOL_ARGS(&xs[0]), NULL, NULL);
		MUST(code == 0 || stopping(run), code);
	}
	MUST(code == 0 || code == MPPOOL_ETERMINATED || code == MPPOOL_EBROKEN || code == MPPOOL_ECLOSED, code);
}

static void look_about(struct run *run, size_t place)
{
	const int worker = mppool_worker_index();

	MUST(mppool_current() == run->pool, 0);
	MUST(mppool_item_index() == place, mppool_item_index());
	MUST(worker >= -1 && worker < atomic_load(&run->most_workers), worker);
	MUST(mppool_raised() == 0, mppool_raised());
	if (worker >= 0 && run->options.initializer)
		MUST(mppool_worker_state() == &run->state, 0);
}

static int run_item(struct call *c, const void *item, const void *addend, struct answer *answer, size_t place)
{
	const struct item *x = item;
	int code = 0;

	MUST(x->place == place && place < c->n, x->place);
	MUST(x->mark == 0x4d41524b, x->mark);
	MUST(!addend || *(const unsigned *)addend == c->addend, 0);
	MUST(atomic_fetch_add(&c->ran[place], 1) == 0, place);
	MUST(atomic_load(&c->args_dropped[place]) == 0, place);
	for (int i = 0; c->lingers && i < 3 && !mppool_should_stop(); i++)
		sched_yield();
	if (c->submits && place % 4 == 1)
		submit_from_inside(c->run, (unsigned)place / 4);
	MUST(mppool_item_index() == place, mppool_item_index());
	if (fails(c, place))
		code = c->raises ? mppool_raise(code_of(place), "item %zu", place) : code_of(place);
	else
		atomic_fetch_add(&c->succeeded[place], 1);
	if (answer && (code == 0 || place % 3 == 0))     /* a failed item may have written, too */
		*answer = (struct answer){(uint32_t)place, value_of(c, place)};
	return code;
}

static int call_item(const void *const args[], void *result, void *context)
{
	struct call *c = context;
	int code;

	atomic_fetch_add(&c->running, 1);
	MUST(c->no_result || result, 0);
	look_about(c->run, mppool_item_index());
	code = run_item(c, args[0], c->func.nargs == 2 ? args[1] : NULL, c->no_result ? NULL : result,
	                mppool_item_index());
	atomic_fetch_sub(&c->running, 1);
	return code;
}

static const void *element(const struct mppool_column *column, size_t i)
{
	return (const char *)column->base + i * column->stride;
}

/* mppool_item_index() is that of the chunk's first item for all of them. */
static int call_chunk(const struct mppool_chunk *chunk, void *context)
{
	struct call *c = context;

	MUST(chunk->size == sizeof *chunk && chunk->count > 0 && *chunk->failed == SIZE_MAX, chunk->count);
	MUST(c->no_result || chunk->results, 0);
	atomic_fetch_add(&c->running, 1);
	for (size_t i = 0; i < chunk->count; i++) {
		const size_t place = chunk->first + i;
		void *result = (char *)chunk->results + i * chunk->result_stride;
		struct answer *answer = c->no_result ? NULL : result;
		const struct item *x = element(&chunk->columns[0], i);
		MUST(x->place == place && x->mark == 0x4d41524b, x->place);
		MUST(atomic_fetch_add(&c->ran[place], 1) == 0, place);
		if (fails(c, place)) {
			*chunk->failed = i;
			atomic_fetch_sub(&c->running, 1);
			return c->raises ? mppool_raise(code_of(place), "item %zu", place) : code_of(place);
		}
		atomic_fetch_add(&c->succeeded[place], 1);
		if (answer)
			*answer = (struct answer){(uint32_t)place, value_of(c, place)};
	}
	atomic_fetch_sub(&c->running, 1);
	return 0;
}

static int draw(void *const args[], void *state)
{
	struct call *c = state;
	struct item *x = args[0];
	const size_t place = atomic_load(&c->drawn);

	MUST(atomic_fetch_add(&c->drawing, 1) == 0, place);
	MUST(atomic_load(&c->finished) == 0 && !c->source_failed && !c->source_ended, place);
	MUST(mppool_current() == c->run->pool, 0);
	MUST(x->place == 0 && x->mark == 0, x->place);
	if (c->source_submits && place % 3 == 1)
		submit_from_inside(c->run, (unsigned)place);
	if (place == c->source_fails_at) {
		atomic_store(&c->source_failed, true);
		atomic_fetch_sub(&c->drawing, 1);
		return mppool_raise(7000, "source %zu", place);
	}
	if (place == c->n) {
		atomic_store(&c->source_ended, true);
		atomic_fetch_sub(&c->drawing, 1);
		return MPPOOL_ESTOP;
	}
	MUST(place < c->bound, place);
	*x = (struct item){(uint32_t)place, 0x4d41524b};
	if (c->func.nargs == 2)
		memcpy(args[1], &c->addend, sizeof c->addend);
	atomic_fetch_add(&c->drawn, 1);
	atomic_fetch_sub(&c->drawing, 1);
	return 0;
}

static void finish(void *state)
{
	struct call *c = state;

	MUST(atomic_fetch_add(&c->finished, 1) == 0, 0);
	MUST(atomic_load(&c->drawing) == 0, 0);
}

static void drop_args(const void *const args[], void *context)
{
	struct call *c = context;
	const struct item *x = args[0];

	MUST(x->place < c->n && x->mark == 0x4d41524b, x->place);
	MUST(atomic_fetch_add(&c->args_dropped[x->place], 1) == 0, x->place);
	MUST(atomic_load(&c->released) == 0, x->place);
}

static void drop_result(void *result, void *context)
{
	struct call *c = context;
	const struct answer *y = result;

	MUST(y->place < c->n && y->value == value_of(c, y->place), y->place);
	MUST(atomic_load(&c->succeeded[y->place]) == 1, y->place);
	MUST(atomic_fetch_add(&c->result_dropped[y->place], 1) == 0, y->place);
	MUST(atomic_load(&c->released) == 0, y->place);
}

static void release(void *context)
{
	struct call *c = context;

	MUST(atomic_fetch_add(&c->released, 1) == 0, 0);
	MUST(atomic_load(&c->running) == 0, 0);
}

static int initialize(void *arg, void **ret_state)
{
	struct run *run = arg;

	if (atomic_fetch_add(&run->inits, 1) + 1 == run->init_fails_at) {
		atomic_store(&run->breaking, true);
		return mppool_raise(6000, "start");
	}
	*ret_state = &run->state;
	return 0;
}

static void finalize(void *arg, void *state)
{
	struct run *run = arg;

	MUST(state == &run->state, 0);
	atomic_fetch_add(&run->finals, 1);
}

/* In a callback: what blocks is refused, what does not is accepted unless the pool is at its end. */
static void act_in_callback(struct call *c)
{
	struct run *run = c->run;
	const int x = 1;
	int y = 0, code;

	if (!c->callback_acts)
		return;
	code = mppool_apply(run->pool, &leaf_task, MPPOOL_ARGS(&x), &y);
	MUST(code == EDEADLK || stopping(run) || atomic_load(&run->closing), code);
	MUST(code != 0 && y == 0, code);
	code = mppool_apply_async(run->pool, &leaf_task, MPPOOL_ARGS(&x), NULL, NULL);
	MUST(code == 0 || stopping(run) || atomic_load(&run->closing), code);
	code = mppool_join(run->pool, 0);
	MUST(code == EDEADLK || (code == MPPOOL_ERUNNING && !atomic_load(&run->terminated)), code);
}

static bool is_zero(const struct answer *y)
{
	return y->place == 0 && y->value == 0;
}

static void called_back(const void *results, size_t n, void *userdata)
{
	struct call *c = userdata;
	const struct answer *y = results;

	MUST(atomic_fetch_add(&c->callbacks, 1) + atomic_load(&c->error_callbacks) == 0, 0);
	MUST(atomic_load(&c->running) == 0 && atomic_load(&c->released) == 0, 0);
	MUST(n == (c->generator ? atomic_load(&c->drawn) : c->n), n);
	for (size_t i = 0; i < n && !c->no_result; i++)
		MUST(y[i].place == i && y[i].value == value_of(c, i), i);
	act_in_callback(c);
}

static void called_back_with_error(const struct mppool_error *error, void *userdata)
{
	struct call *c = userdata;

	MUST(atomic_fetch_add(&c->error_callbacks, 1) + atomic_load(&c->callbacks) == 0, 0);
	MUST(atomic_load(&c->running) == 0 && atomic_load(&c->released) == 0, 0);
	MUST(error && error->code != 0 && error->message, 0);
	act_in_callback(c);
}

/* ---------------------------------------------------------------------------------------------------- what is true */

/* The error of an ETASK: that of the failed item of lowest index. */
static void check_error(const struct call *c, const struct mppool_error *error, size_t lowest)
{
	char text[32];

	if (error->code == ETIMEDOUT && c->options.task_timeout > 0)
		return;
	MUST(error->index < MOST_ITEMS && fails(c, error->index), error->index);
	MUST(lowest == SIZE_MAX || error->index == lowest, error->index);
	MUST(error->code == code_of(error->index), error->code);
	MUST(strcmp(error->message, message_of(c, error->index, text)) == 0, error->index);
}

/* The code of an item that ended, as codes have it. */
static void check_code(const struct call *c, size_t i, int code)
{
	const unsigned ran = atomic_load(&c->ran[i]);

	if (code == 0)
		MUST(ran == 1 && !fails(c, i), i);
	else if (code == ECANCELED)
		MUST(ran == 0 && (atomic_load(&c->cancelling) || c->options.flags & MPPOOL_FAIL_FAST), i);
	else if (code == MPPOOL_ETERMINATED)
		MUST(ran == 0 && atomic_load(&c->run->terminating), i);
	else if (code == MPPOOL_EBROKEN)
		MUST(ran == 0 && atomic_load(&c->run->breaking), i);
	else if (code == ETIMEDOUT)
		MUST(ran == 1 && c->options.task_timeout > 0, i);
	else
		MUST(ran == 1 && fails(c, i) && code == code_of(i), code);
}

static void check_answer(const struct call *c, size_t i, const struct answer *y, bool good)
{
	if (good)
		MUST(y->place == i && y->value == value_of(c, i), i);
	else
		MUST(is_zero(y), i);
}

/* A code that says why not all items ran, other than a cancel: there must have been a reason. */
static void check_cut_short(const struct call *c, int code)
{
	switch (code) {
	case MPPOOL_EITER:
		MUST(c->source_failed, 0);
		break;
	case MPPOOL_ETERMINATED:
		MUST(atomic_load(&c->run->terminating), 0);
		break;
	case MPPOOL_EBROKEN:
		MUST(atomic_load(&c->run->breaking), 0);
		break;
	default:
		MUST(false, code);
	}
}

/* All that must hold of a call that is over, of whatever kind but imap. results: where they are, or NULL. */
static void check_outcome(const struct call *c, int outcome, const struct answer *results)
{
	const size_t n = c->generator ? atomic_load(&c->drawn) : c->n;
	size_t lowest = SIZE_MAX;
	bool never_ran = false;

	MUST(atomic_load(&c->running) == 0 && atomic_load(&c->drawing) == 0, 0);
	for (size_t i = 0; i < n; i++) {
		const unsigned ran = atomic_load(&c->ran[i]);
		MUST(ran <= 1, i);
		MUST(atomic_load(&c->args_dropped[i]) == (c->func.drop_args ? 1 : 0), i);
		never_ran = never_ran || ran == 0;
		if (ran && fails(c, i) && lowest == SIZE_MAX)
			lowest = i;
		if (c->own_codes)
			check_code(c, i, c->codes[i]);
		if (results && c->own_codes)
			check_answer(c, i, &results[i], c->codes[i] == 0);
		else if (results && c->options.task_timeout == 0)
			check_answer(c, i, &results[i], ran && !fails(c, i));
		else if (results && !is_zero(&results[i]))
			check_answer(c, i, &results[i], true);
	}
	switch (outcome) {
	case 0:
		MUST(!never_ran && lowest == SIZE_MAX && !c->source_failed, lowest);
		MUST(c->options.task_timeout > 0 || n == items_expected(c), n);
		break;
	case MPPOOL_ETASK:
		MUST(lowest != SIZE_MAX || c->options.task_timeout > 0, 0);
		MUST(!never_ran || c->options.flags & MPPOOL_FAIL_FAST, 0);
		break;
	case ECANCELED:
		MUST(atomic_load(&c->cancelling), 0);
		break;
	default:
		check_cut_short(c, outcome);
	}
	if (undisturbed(c)) {
		MUST(!never_ran && n == items_expected(c), n);
		MUST(outcome == (source_must_fail(c) ? MPPOOL_EITER : lowest != SIZE_MAX ? MPPOOL_ETASK : 0), outcome);
	}
	if (c->cancel_code == 0)
		MUST(outcome != 0 && (outcome != MPPOOL_ETASK || c->options.flags & MPPOOL_FAIL_FAST), outcome);
	if (c->cancel_code == EBUSY && !stopping(c->run) && !c->generator && !(c->options.flags & MPPOOL_FAIL_FAST))
		MUST(!never_ran && outcome != ECANCELED, outcome);
}

/* What mppool_last_error() says after a blocking call, or a get, came to that. */
static void check_last_error(const struct call *c, int outcome)
{
	const struct mppool_error *error = mppool_last_error();

	if (outcome == MPPOOL_ETASK)
		check_error(c, error, c->options.task_timeout > 0 ? SIZE_MAX : error->index);
	else if (outcome == MPPOOL_EITER)
		MUST(error->code == 7000 && error->index == c->source_fails_at, error->index);
	else if (outcome == MPPOOL_EBROKEN)
		MUST(error->code == 6000, error->code);
}

static void keep_all(struct call *c)
{
	for (size_t i = 0; i < MOST_ITEMS; i++)
		atomic_store(&c->kept[i], 1);
}

/* ---------------------------------------------------------------------------------------------------- making calls */

static struct call *new_call(struct run *run)
{
	struct call *c = calloc(1, sizeof *c);

	if (!c)
		exit(2);
	c->run = run;
	c->cancel_code = -1;
	c->older = atomic_load(&run->calls);
	while (!atomic_compare_exchange_weak(&run->calls, &c->older, c))
		;
	return c;
}

static bool is_single(enum kind kind)
{
	return kind == APPLY || kind == APPLY_ASYNC;
}

static bool is_stream(enum kind kind)
{
	return kind == IMAP || kind == IMAP_UNORDERED;
}

static bool blocks(enum kind kind)
{
	return kind == APPLY || kind == MAP || kind == STARMAP;
}

static void read_items(struct call *c, struct bytes *b)
{
	const unsigned how = byte(b);

	c->n = is_single(c->kind) ? 1 : below(b, MOST_ITEMS + 1);
	if (c->n == 0 && c->run->options.queue_limit > 0)        /* it takes a wake-up that another one needs */
		c->n = 1;
	c->generator = !is_single(c->kind) && how & 1;
	c->source_fails_at = c->generator && how & 2 ? below(b, MOST_ITEMS) : SIZE_MAX;
	c->source_submits = (how & 12) == 12;
	c->bound = MPPOOL_UNKNOWN;
	if (c->generator && how & 16)
		c->bound = 1 + below(b, MOST_ITEMS);
	for (size_t i = 0; i < MOST_ITEMS; i++)
		c->xs[i] = (struct item){(uint32_t)i, 0x4d41524b};
	c->items.size = sizeof c->items;
	c->items.finish = finish;
	c->items.state = c;
	if (c->generator) {
		c->items.next = draw;
		c->items.length = c->bound != MPPOOL_UNKNOWN ? c->bound : how & 32 ? 0 : MPPOOL_UNKNOWN;
	} else {
		c->columns[0] = MPPOOL_COLUMN(c->xs);
		c->columns[1] = MPPOOL_REPEAT(&c->addend);
		c->items.columns = c->columns;
		c->items.ncolumns = c->func.nargs;
		c->items.length = c->n;
	}
}

static void read_function(struct call *c, struct bytes *b)
{
	const unsigned how = byte(b), which = byte(b);
	struct mppool_func *f = &c->func;

	if (which % 3 == 1) {
		c->fail_mod = 1 + below(b, 8);
		c->fail_rest = below(b, c->fail_mod);
	}
	c->raises = how & 1;
	c->submits = (how & 6) == 6;
	c->lingers = (how & 24) == 24;
	c->chunked = (how & 96) == 96;
	c->no_result = (which & 48) == 48;
	f->size = sizeof *f;
	f->call = call_item;
	if (c->chunked) {
		f->chunk_call = call_chunk;
		if (how & 128)
			f->call = NULL;
	}
	f->nargs = c->kind == MAP || c->kind == MAP_ASYNC || which & 64 ? 1 : 2;
	c->addend = f->nargs == 2 ? 9 : 0;
	f->arg_size[0] = sizeof(struct item);
	f->arg_size[1] = f->nargs == 2 ? sizeof c->addend : 0;
	f->result_size = c->no_result ? 0 : sizeof(struct answer);
	f->context = c;
	f->drop_args = which & 128 ? NULL : drop_args;
	f->drop_result = c->no_result ? NULL : drop_result;
	f->release = release;
	f->name = "fuzz";
}

static void read_options(struct call *c, struct bytes *b)
{
	static const double timeouts[] = {0, 0, 1e-5, 1e-3};
	const unsigned how = byte(b), more = byte(b);
	struct mppool_call_options *o = &c->options;

	o->size = sizeof *o;
	o->priority = (int)(how % 3) - 1;
	if ((how & 12) == 12)
		o->flags |= MPPOOL_FAIL_FAST;
	if ((how & 48) == 48)
		o->flags |= MPPOOL_NOWAIT;
	if (how & 64)
		o->submit_timeout = 1e-4;
	if ((more & 3) == 3 && !c->chunked)
		o->task_timeout = timeouts[more >> 2 & 3];
	if (is_stream(c->kind))
		return;
	c->callback = more & 16;
	c->error_callback = more & 32;
	c->callback_acts = (more & 192) == 192;
	o->callback = c->callback ? called_back : NULL;
	o->error_callback = c->error_callback ? called_back_with_error : NULL;
	o->userdata = c;
	c->own_codes = !c->generator || c->bound != MPPOOL_UNKNOWN;
	c->own_codes = c->own_codes && how & 128;
	o->codes = c->own_codes ? c->codes : NULL;
	if (blocks(c->kind)) {           /* these know no options */
		memset(o, 0, sizeof *o);
		c->callback = c->error_callback = c->own_codes = false;
	}
}

/* An answer that a submit may give, by what was done to the pool before and after it. */
static void check_refusal(const struct call *c, int code, bool was_closed, bool was_broken)
{
	const struct run *run = c->run;

	switch (code) {
	case MPPOOL_ECLOSED:
		MUST(atomic_load(&run->closing) || atomic_load(&run->terminating), code);
		break;
	case MPPOOL_EBROKEN:
		MUST(atomic_load(&run->breaking), code);
		break;
	case MPPOOL_EFULL:
		MUST(run->options.queue_limit > 0 && c->options.flags & MPPOOL_NOWAIT, code);
		break;
	case ETIMEDOUT:
		MUST(run->options.queue_limit > 0 && c->options.submit_timeout > 0, code);
		break;
	default:
		MUST(code == 0, code);
		MUST(!was_closed && !was_broken, code);
	}
}

/* What an accepted call that blocked came to. One that the pool's end refused looks like one that it ended. */
static void check_blocking(struct call *c, int code, const struct answer *results)
{
	if (code == MPPOOL_ECLOSED || (code == MPPOOL_EBROKEN && atomic_load(&c->released) == 0)) {
		check_refusal(c, code, false, false);
		c->maybe_refused = code == MPPOOL_EBROKEN;
		return;
	}
	c->accepted = true;
	check_outcome(c, code, results);
	check_last_error(c, code);
}

static void submit_single(struct call *c, struct bytes *b)
{
	const void *const args[2] = {&c->xs[0], &c->addend};
	struct run *run = c->run;
	const bool closed = atomic_load(&run->closed) || atomic_load(&run->terminated);
	mppool_result **ret = below(b, 4) == 0 ? NULL : &c->result;
	int code;

	if (c->kind == APPLY) {
		c->own_results = !c->no_result && ret;
		code = mppool_apply(run->pool, &c->func, args, c->own_results ? &c->results[0] : NULL);
		MUST(!(closed && code == 0), code);
		if (code != 0)
			MUST(is_zero(&c->results[0]), code);
		check_blocking(c, code, code == 0 && c->own_results ? c->results : NULL);
		if (code == 0 && c->own_results)
			keep_all(c);
		return;
	}
	code = mppool_apply_async(run->pool, &c->func, args, &c->options, ret);
	check_refusal(c, code, closed, false);
	c->accepted = code == 0;
	MUST(c->accepted || !c->result, code);
}

static void submit_many(struct call *c, struct bytes *b)
{
	struct run *run = c->run;
	const bool closed = atomic_load(&run->closed) || atomic_load(&run->terminated);
	const unsigned how = byte(b);
	const size_t chunksize = how % 8 < 7 ? how % 8 : c->generator ? 1000 : SIZE_MAX;
	mppool_result **ret = (how & 0x60) == 0x60 ? NULL : &c->result;
	int code;

	c->own_results = !c->no_result && how & 8 && (!c->generator || c->bound != MPPOOL_UNKNOWN);
	memset(c->results, 0x5a, sizeof c->results);
	memset(c->codes, 0x5a, sizeof c->codes);
	switch (c->kind) {
	case MAP:
		code = mppool_map(run->pool, &c->func, &c->items, c->own_results ? c->results : NULL, chunksize);
		break;
	case STARMAP:
		code = mppool_starmap(run->pool, &c->func, &c->items, c->own_results ? c->results : NULL, chunksize);
		break;
	case MAP_ASYNC:
		code = mppool_map_async(run->pool, &c->func, &c->items, c->own_results ? c->results : NULL, chunksize,
		                        &c->options, ret);
		break;
	default:
		code = mppool_starmap_async(run->pool, &c->func, &c->items, c->own_results ? c->results : NULL,
		                            chunksize, &c->options, ret);
	}
	if (blocks(c->kind)) {
		MUST(!(closed && code == 0), code);
		check_blocking(c, code, c->own_results && c->accepted ? c->results : NULL);
		if (c->accepted && c->own_results) {
			check_outcome(c, code, c->results);
			keep_all(c);
		}
		return;
	}
	check_refusal(c, code, closed, false);
	c->accepted = code == 0;
	MUST(c->accepted || !c->result, code);
	if (c->accepted && c->own_results)
		keep_all(c);
}

static void submit_stream(struct call *c, struct bytes *b)
{
	struct run *run = c->run;
	const bool closed = atomic_load(&run->closed) || atomic_load(&run->terminated);
	const unsigned how = byte(b);
	const size_t buffersize = how % 16 == 15 ? MPPOOL_UNBOUNDED : how % 16;
	const size_t chunksize = how >> 4 & 7;
	int code;

	if (c->kind == IMAP)
		code = mppool_imap(run->pool, &c->func, &c->items, chunksize, buffersize, &c->options, &c->iter);
	else
		code = mppool_imap_unordered(run->pool, &c->func, &c->items, chunksize, buffersize, &c->options,
		                             &c->iter);
	check_refusal(c, code, closed, false);
	c->accepted = code == 0;
	MUST(c->accepted == (c->iter != NULL), code);
}

/* A call as the bytes say; NULL if nothing of it remains to be looked at. */
static struct call *submit(struct run *run, struct bytes *b, enum kind kind)
{
	struct call *c = new_call(run);

	c->kind = kind;
	read_function(c, b);
	read_items(c, b);
	read_options(c, b);
	if (is_single(kind))
		submit_single(c, b);
	else if (is_stream(kind))
		submit_stream(c, b);
	else
		submit_many(c, b);
	return c->result || c->iter ? c : NULL;
}

/* Calls that no pool accepts: nothing is called, nothing is stored. */
static void submit_nonsense(struct run *run, struct bytes *b)
{
	struct call *c = new_call(run);
	mppool_result *const none = (mppool_result *)(void *)c;
	mppool_result *result = none;
	mppool_iter *iter = (mppool_iter *)(void *)c;
	struct bytes nothing = {NULL, 0};
	int expected = EINVAL, code;

	c->kind = STARMAP_ASYNC;
	read_function(c, &nothing);
	read_items(c, &nothing);
	c->n = c->items.length = 3;
	c->options.size = sizeof c->options;
	switch (below(b, 14)) {
	case 0: c->func.call = NULL; break;
	case 1: c->func.nargs = MPPOOL_MAX_ARGS + 1; break;
	case 2: c->func.size = sizeof c->func - 8; break;
	case 3: c->items.ncolumns = 1; break;
	case 4: c->items.next = draw; break;
	case 5: c->items.columns = NULL; break;
	case 6: c->columns[1].size = 3; break;
	case 7: c->items.length = SIZE_MAX; break;
	case 8: c->options.priority = 2; break;
	case 9: c->options.flags = 1u << 7; break;
	case 10: c->options.task_timeout = NAN; break;
	case 11: c->options.submit_timeout = NAN; break;
	case 12: c->items.size = 1; break;
	default: c->options.size = 7;
	}
	code = mppool_starmap_async(run->pool, &c->func, &c->items, NULL, 1, &c->options, &result);
	MUST(code == expected || (code != 0 && (atomic_load(&run->closing) || stopping(run))), code);
	MUST(result == none, code);
	code = mppool_imap(run->pool, &c->func, &c->items, 1, 1, &c->options, &iter);
	MUST(code == expected || (code != 0 && (atomic_load(&run->closing) || stopping(run))), code);
	MUST(code == 0 || iter == NULL, code);
	MUST(mppool_map(run->pool, NULL, &c->items, NULL, 1) != 0, 0);
	MUST(mppool_starmap(run->pool, &c->func, NULL, NULL, 1) != 0, 0);
	code = mppool_join(run->pool, NAN);
	MUST(code == EINVAL || code == MPPOOL_ERUNNING, code);
	MUST(c->finished == 0 && c->released == 0, 0);
}

/* ---------------------------------------------------------------------------------------------- results, iterators */

static void cancel_result(struct call *c)
{
	int code;

	atomic_store(&c->cancelling, true);
	code = c->result ? mppool_result_cancel(c->result) : mppool_iter_cancel(c->iter);
	MUST(code == 0 || code == EBUSY || code == EALREADY, code);
	if (c->cancel_code < 0 && code != EALREADY)
		c->cancel_code = code;
}

static void look_at_result(struct call *c)
{
	size_t done = 77, total = 78;
	int successful = 79, code;
	const int ready = mppool_result_ready(c->result);
	const void *value = mppool_result_value(c->result);
	const struct mppool_error *error = mppool_result_error(c->result);

	MUST(mppool_result_userdata(c->result) == c->options.userdata, 0);
	code = mppool_result_successful(c->result, &successful);
	MUST(code == 0 || (code == MPPOOL_ENOTREADY && !ready && successful == 79), code);
	MUST(!ready || (code == 0 && successful == !mppool_result_error(c->result)), ready);
	MUST(!error || error->code, 0);
	MUST(ready || !value || mppool_result_ready(c->result), 0);
	code = mppool_result_progress(c->result, &done, &total);
	MUST(code == 0 && (total == MPPOOL_UNKNOWN || done <= total), code);
	if (!c->generator)
		MUST(total == c->n, total);
	if (ready && c->generator)
		MUST(total == atomic_load(&c->drawn), total);
}

/* It is ready: all that can be asked of it agrees. */
static void check_result(struct call *c)
{
	struct answer copy[MOST_ITEMS];
	const struct answer *value = mppool_result_value(c->result);
	const struct mppool_error *error = mppool_result_error(c->result);
	const int outcome = mppool_result_get(c->result, NULL, 0);
	const size_t n = c->generator ? atomic_load(&c->drawn) : c->n;
	int again, successful = -1;

	MUST(mppool_result_ready(c->result) == 1, 0);
	check_outcome(c, outcome, c->no_result ? NULL : value);
	check_last_error(c, outcome);
	MUST((outcome == 0) == !error, outcome);
	MUST(mppool_result_successful(c->result, &successful) == 0 && successful == (outcome == 0), successful);
	if (outcome == MPPOOL_ETASK)
		check_error(c, error, SIZE_MAX);
	if (c->own_results)
		MUST(value == c->results, 0);
	if (c->run->options.callback_mode == MPPOOL_CALLBACKS_THREAD)
		MUST(atomic_load(&c->callbacks) + atomic_load(&c->error_callbacks) ==
		         (outcome == 0 ? c->callback : c->error_callback), outcome);
	memset(copy, 0x33, sizeof copy);
	again = mppool_result_get(c->result, copy, 0);
	MUST(again == outcome, again);
	if (c->no_result)
		return;
	for (size_t i = 0; i < MOST_ITEMS; i++)
		MUST(outcome == 0 && i < n ? copy[i].place == i && copy[i].value == value_of(c, i)
		                           : copy[i].place == 0x33333333, i);
	if (outcome == 0 && !c->own_results && !c->all_taken) {
		c->all_taken = true;
		keep_all(c);
	}
	MUST(mppool_result_cancel(c->result) == EALREADY, 0);
	MUST(mppool_result_wait(c->result, 0) == 0, 0);
}

static void wait_for_result(struct call *c, double timeout)
{
	const int code = mppool_result_wait(c->result, timeout);

	if (code == 0)
		check_result(c);
	else
		MUST(code == ETIMEDOUT && timeout == 0, code);
}

/* The end of a stream, told once, and what must be true of it. */
static void check_end(struct call *c, int code)
{
	if (code == ECANCELED)
		MUST(atomic_load(&c->cancelling) || c->options.flags & MPPOOL_FAIL_FAST, 0);
	else if (code != MPPOOL_ESTOP)
		check_cut_short(c, code);
	if (undisturbed(c)) {
		size_t taken = 0;
		for (size_t i = 0; i < MOST_ITEMS; i++)
			taken += atomic_load(&c->taken[i]);
		MUST(c->is_shared || taken == items_expected(c), taken);
		MUST(c->is_shared || source_must_fail(c) == (code == MPPOOL_EITER || c->told_end), code);
	}
	if (code == MPPOOL_ESTOP)
		c->ended = true;
	else if (!c->is_shared) {
		MUST(!c->told_end && !c->ended, code);
		c->told_end = true;
	}
	check_last_error(c, code);
}

/* One more from the stream, by whichever thread; false at its end. */
static bool take_next(struct call *c, double timeout, bool into)
{
	const bool shared = c->is_shared;
	struct answer y = {99, 99};
	size_t i = SIZE_MAX;
	const int code = mppool_iter_next(c->iter, into ? &y : NULL, &i, timeout);

	if (code != 0)
		MUST(y.place == 99 && y.value == 99, code);
	if (code != 0 && code != MPPOOL_ETASK) {
		MUST(i == SIZE_MAX, i);
		if (code == ETIMEDOUT) {
			MUST(timeout >= 0, code);
			return true;
		}
		if (!shared || code != MPPOOL_ESTOP)
			check_end(c, code);
		return code != MPPOOL_ESTOP;
	}
	MUST(i < c->n, i);
	MUST(atomic_fetch_add(&c->taken[i], 1) == 0, i);
	MUST(shared || (!c->told_end && !c->ended), i);
	MUST(atomic_load(&c->ran[i]) == 1, i);
	if (!shared && c->kind == IMAP) {        /* what was stopped leaves gaps */
		MUST(undisturbed(c) ? i == c->next : i >= c->next, i);
		c->next = i + 1;
	}
	if (code == 0 && into)
		atomic_store(&c->kept[i], 1);
	if (code == 0)
		MUST(!fails(c, i) && (!into || c->no_result || (y.place == i && y.value == value_of(c, i))), i);
	else if (mppool_last_error()->code != ETIMEDOUT || c->options.task_timeout == 0)
		check_error(c, mppool_last_error(), i);
	return true;
}

static void drain(struct call *c)
{
	while (take_next(c, MPPOOL_FOREVER, true))
		;
}

/* Give the handle back, read to its end or as it is. */
static void settle(struct call **slot, unsigned how)
{
	struct call *c = *slot;

	*slot = NULL;
	if (!c)
		return;
	if (c->result) {
		if (how & 1)
			wait_for_result(c, MPPOOL_FOREVER);
		mppool_result_free(c->result);
	} else {
		if (how & 1)
			drain(c);
		mppool_iter_free(c->iter);
		MUST(atomic_load(&c->running) == 0 && atomic_load(&c->drawing) == 0, 0);
	}
}

/* mppool_wait and mppool_as_completed over the results that the thread has. */
static void wait_for_group(struct call *slots[SLOTS], struct bytes *b)
{
	mppool_result *results[SLOTS], *one;
	const int when = (int)below(b, 3);
	const double timeout = below(b, 2) ? MPPOOL_FOREVER : 0;
	size_t n = 0, ready = 77, seen = 0;
	mppool_iter *iter;
	int code;

	for (size_t i = 0; i < SLOTS; i++)
		if (slots[i] && slots[i]->result)
			results[n++] = slots[i]->result;
	code = mppool_wait(results, n, when, timeout, &ready);
	if (n == 0) {
		MUST(code == EINVAL && ready == 77, code);
		return;
	}
	MUST(code == 0 || (code == ETIMEDOUT && timeout == 0 && ready == 77), code);
	MUST(code != 0 || ready <= n, ready);
	MUST(code != 0 || when != MPPOOL_ALL_COMPLETED || ready == n, ready);
	MUST(code != 0 || ready > 0, ready);
	if (below(b, 2) == 0)
		return;
	code = mppool_as_completed(results, n, &iter);
	MUST(code == 0, code);
	while ((code = mppool_iter_next(iter, &one, NULL, timeout)) == 0) {
		MUST(mppool_result_ready(one) == 1, seen);
		seen++;
	}
	MUST(code == MPPOOL_ESTOP ? seen == n : code == ETIMEDOUT && timeout == 0, code);
	mppool_iter_free(iter);
}

/* -------------------------------------------------------------------------------------------------------- the pool */

static void close_pool(struct run *run)
{
	atomic_store(&run->closing, true);
	MUST(mppool_close(run->pool) == 0, 0);
	atomic_store(&run->closed, true);
}

static void terminate_pool(struct run *run)
{
	atomic_store(&run->terminating, true);
	MUST(mppool_terminate(run->pool) == 0, 0);
	atomic_store(&run->terminated, true);
}

static void join_pool(struct run *run, double timeout)
{
	const bool before = atomic_load(&run->closed) || atomic_load(&run->terminated);
	const int code = mppool_join(run->pool, timeout);

	if (code == MPPOOL_ERUNNING)
		MUST(!before, code);
	else if (code == ETIMEDOUT)
		MUST(timeout == 0, code);
	else
		MUST(code == 0, code);
	if (code == 0) {
		MUST(atomic_load(&run->closing) || stopping(run), 0);
		atomic_store(&run->joined, true);
	}
}

static void resize_pool(struct run *run, int workers)
{
	const bool stopped = atomic_load(&run->closed) || atomic_load(&run->terminated);
	int most = atomic_load(&run->most_workers), code;

	while (workers > most && !atomic_compare_exchange_weak(&run->most_workers, &most, workers))
		;
	atomic_store(&run->resized, true);
	code = mppool_resize(run->pool, workers);
	if (code == MPPOOL_ECLOSED)
		MUST(atomic_load(&run->closing) || atomic_load(&run->terminating), code);
	else if (code == MPPOOL_EBROKEN)
		MUST(atomic_load(&run->breaking) && mppool_last_error()->code == 6000, code);
	else
		MUST(code == (workers > 0 ? 0 : EINVAL) && (!stopped || workers == 0), code);
}

static void look_at_pool(struct run *run, struct bytes *b)
{
	struct mppool_counters counters = {.size = sizeof counters};
	char text[80];
	const size_t room = below(b, sizeof text + 1);
	const bool terminated = atomic_load(&run->terminated);
	const int state = mppool_state(run->pool);
	size_t length;

	MUST(state != MPPOOL_CLOSED || atomic_load(&run->closing), state);
	MUST(state != MPPOOL_TERMINATED || atomic_load(&run->terminating), state);
	MUST(state != MPPOOL_BROKEN || atomic_load(&run->breaking), state);
	MUST(!terminated || state == MPPOOL_TERMINATED || state == MPPOOL_BROKEN, state);
	MUST(mppool_stats(run->pool, &counters) == 0, 0);
	MUST(counters.workers >= 1 && counters.workers <= (uint64_t)atomic_load(&run->most_workers), counters.workers);
	MUST(atomic_load(&run->resized) || counters.workers == (uint64_t)run->options.workers, counters.workers);
	memset(text, 'x', sizeof text);
	length = mppool_describe(run->pool, text, room);
	MUST(room == 0 || strlen(text) < room, length);
	MUST(room == sizeof text || text[room] == 'x', length);
}

static void poll_pool(struct run *run)
{
	size_t ran = 77;
	const int code = mppool_poll(run->pool, 0, &ran);

	if (run->options.callback_mode == MPPOOL_CALLBACKS_POLL)
		MUST(code == 0 && ran != 77, code);
	else
		MUST(code == EINVAL && ran == 77, code);
}

/* -------------------------------------------------------------------------------------------------------- a thread */

struct client {
	pthread_t thread;
	struct run *run;
	struct bytes bytes;
	struct call *slots[SLOTS];
};

static void step(struct client *me)
{
	struct run *run = me->run;
	struct bytes *b = &me->bytes;
	const unsigned what = byte(b);
	struct call **slot = &me->slots[what >> 6];
	unsigned how;
	double timeout;

	switch (what & 31) {
	default:
		settle(slot, byte(b));
		*slot = submit(run, b, (enum kind)(what & 7));
		break;
	case 24:
		submit_nonsense(run, b);
		break;
	case 25:
		if (*slot)
			cancel_result(*slot);
		break;
	case 26:
	case 27:
		timeout = what & 32 ? MPPOOL_FOREVER : 0;
		if (*slot && (*slot)->result) {
			look_at_result(*slot);
			wait_for_result(*slot, timeout);
		} else if (*slot) {
			for (unsigned n = below(b, 8); n > 0 && take_next(*slot, timeout, n != 3); n--)
				;
		} else if (run->shared) {
			take_next(run->shared, timeout, true);
		}
		break;
	case 28:
		wait_for_group(me->slots, b);
		break;
	case 29:
		look_at_pool(run, b);
		poll_pool(run);
		break;
	case 30:
		if (what & 32)
			MUST(mppool_wait_idle(run->pool, MPPOOL_FOREVER) == 0, 0);
		else
			join_pool(run, 0);
		break;
	case 31:
		how = byte(b) & 15;
		switch (how) {               /* rarely: it ends the run */
		case 0: close_pool(run); break;
		case 1: terminate_pool(run); break;
		case 2: close_pool(run); join_pool(run, MPPOOL_FOREVER); break;
		case 3: terminate_pool(run); join_pool(run, MPPOOL_FOREVER); break;
		case 4: case 5: case 6: case 7: sched_yield(); break;
		default: resize_pool(run, (int)how & 7);
		}
	}
}

static void *run_client(void *arg)
{
	struct client *me = arg;

	while (me->bytes.left > 0)
		step(me);
	return NULL;
}

/* --------------------------------------------------------------------------------------------------------- the run */

static bool make_pool(struct run *run, struct bytes *b)
{
	const unsigned how = byte(b), more = byte(b);
	struct mppool_options *o = &run->options;
	int code;

	o->size = sizeof *o;
	o->workers = 1 + (int)(how & 3);
	atomic_store(&run->most_workers, o->workers);
	o->callback_mode = how & 4 ? MPPOOL_CALLBACKS_POLL : MPPOOL_CALLBACKS_THREAD;
	if (how & 8)
		o->queue_limit = 1 + (how >> 4 & 3);
	if ((how & 192) == 192)
		o->max_tasks_per_worker = 1 + (more & 3);
	if (more & 4) {
		o->initializer = initialize;
		o->finalizer = finalize;
		o->initarg = run;
		if ((more & 56) == 56)
			run->init_fails_at = 1 + below(b, 8);
	} else if (more & 64) {
		o->flags = MPPOOL_CALLER_HELPS;
	}
	code = mppool_create(o, &run->pool);
	if (code == 0)
		return true;
	MUST(code == MPPOOL_EBROKEN && atomic_load(&run->breaking), code);
	MUST(mppool_last_error()->code == 6000 && !run->pool, code);
	return false;
}

/* All is over, and every handle is gone. */
static void check_call(struct call *c)
{
	const size_t n = c->generator ? atomic_load(&c->drawn) : c->n;

	if (c->maybe_refused)
		c->accepted = atomic_load(&c->released) > 0;
	MUST(atomic_load(&c->released) == c->accepted, 0);
	MUST(atomic_load(&c->finished) == (c->accepted && !is_single(c->kind)), 0);
	MUST(atomic_load(&c->running) == 0 && atomic_load(&c->drawing) == 0, 0);
	if (!c->accepted) {
		MUST(n == 0 || atomic_load(&c->ran[0]) + atomic_load(&c->args_dropped[0]) == 0, 0);
		return;
	}
	MUST(atomic_load(&c->callbacks) + atomic_load(&c->error_callbacks) <= 1, 0);
	if (c->callback && c->error_callback)
		MUST(atomic_load(&c->callbacks) + atomic_load(&c->error_callbacks) == 1, 0);
	for (size_t i = 0; i < n; i++) {
		const unsigned succeeded = atomic_load(&c->succeeded[i]), dropped = atomic_load(&c->result_dropped[i]);
		MUST(atomic_load(&c->args_dropped[i]) == (c->func.drop_args ? 1 : 0), i);
		MUST(atomic_load(&c->ran[i]) <= 1, i);
		MUST(!undisturbed(c) || is_stream(c->kind) || atomic_load(&c->ran[i]) == 1, i);
		if (!c->func.drop_result)
			continue;
		if (!succeeded)
			MUST(dropped == 0, i);
		else if (c->options.task_timeout == 0 || is_stream(c->kind))
			MUST(dropped + atomic_load(&c->kept[i]) == 1, i);
		else                     /* a result that came too late was dropped, wherever it lay */
			MUST(dropped == 1 || atomic_load(&c->kept[i]) == 1, i);
	}
}

static void check_counters(const struct run *run)
{
	struct mppool_counters c = {.size = sizeof c};

	MUST(mppool_stats(run->pool, &c) == 0, 0);
	MUST(c.waiting == 0 && c.running == 0 && c.workers_alive == 0, c.waiting);
	MUST(c.submitted == c.done + c.failed + c.cancelled + c.dropped, c.submitted);
}

static void settle_all(struct client *clients, size_t n, unsigned how)
{
	for (size_t k = 0; k < n; k++)
		for (size_t i = 0; i < SLOTS; i++)
			settle(&clients[k].slots[i], how >> i);
}

static void end_pool(struct run *run, unsigned how)
{
	if (how & 1)
		close_pool(run);
	else
		terminate_pool(run);
	if (how & 2) {
		join_pool(run, MPPOOL_FOREVER);
		check_counters(run);
	}
	if (how & 4)
		poll_pool(run);
	if ((how & 3) != 3)              /* destroy terminates what has not come to its end */
		atomic_store(&run->terminating, true);
	MUST(mppool_destroy(run->pool) == 0, 0);
}

static void run_threads(struct run *run, struct client *clients, size_t n, struct bytes *b)
{
	for (size_t k = 0; k < n; k++) {
		const size_t share = b->left / (n - k);
		clients[k].run = run;
		clients[k].bytes = (struct bytes){b->at, share};
		b->at += share;
		b->left -= share;
		if (k + 1 < n && pthread_create(&clients[k].thread, NULL, run_client, &clients[k]))
			exit(2);
	}
	run_client(&clients[n - 1]);
	for (size_t k = 0; k + 1 < n; k++)
		pthread_join(clients[k].thread, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes b = {data, size};
	struct run run = {0};
	struct client clients[MOST_THREADS] = {0};
	const unsigned how = byte(&b), end = byte(&b);
	const size_t n = 1 + how % MOST_THREADS;
	struct call *c;

	if (make_pool(&run, &b)) {
		if (how & 64)
			run.shared = submit(&run, &b, how & 128 ? IMAP : IMAP_UNORDERED);
		if (run.shared)
			run.shared->is_shared = true;
		run_threads(&run, clients, n, &b);
		if (!(end & 8)) {            /* else the handles outlive the pool */
			settle_all(clients, n, end >> 4);
			settle(&run.shared, end >> 3);
		}
		end_pool(&run, end);
		settle_all(clients, n, end >> 4);
		settle(&run.shared, end >> 3);
		for (c = atomic_load(&run.calls); c; c = c->older)
			check_call(c);
	}
	if (run.options.initializer)
		MUST(run.finals + (run.breaking ? 1 : 0) == run.inits, run.finals);
	while ((c = atomic_load(&run.calls))) {
		atomic_store(&run.calls, c->older);
		free(c);
	}
	return 0;
}
