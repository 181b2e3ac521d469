/* soak.c - everything at once, for as long as is asked: does anything go wrong in time, or grow?
 *
 * SPDX-License-Identifier: MIT
 *
 *     soak [-s SEED] MINUTES
 *
 * Several pools, each with other options, stand from the beginning to the end. Producers, threads of this program,
 * choose by lot what to do next: one of the calls, on one of the pools; to cancel, to free early, to wait a short
 * time first; to change a pool's size; or to make a pool of their own and end it in the middle. What comes of it is compared with what the
 * same loop would give.
 *
 * Every few seconds the producers stand still, the pools come to rest, and the program looks at itself:
 *   - each pool's counters: submitted is the sum of done, failed, cancelled and dropped, and nothing waits or runs
 *   - what was handed to hooks: all of it came back, and every callback came once
 *   - threads: as many as the pools should have; descriptors: as many as in the beginning
 *   - the pools' threads sleep: none is scheduled while nothing happens, for SPELL seconds
 *   - memory. The first third of the looks is warming up. The least that was in use in the last third may be
 *     greater than the least of the second third by HEAP_BOUND, in the eyes of malloc, or RSS_BOUND, in those of the
 *     system; more is taken for a leak. (The library keeps up to some MiB of blocks for the next burst, so one look
 *     alone says little.)
 *
 * What is wrong is said at once and ends the program, with the seed. The same seed makes the same choices; what
 * threads make of them is up to the system. */
#define _GNU_SOURCE 1
#include <mppool.h>

#include <dirent.h>
#include <errno.h>
#include <malloc.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

#if SANITIZED
/* What was freed is kept from use for a while: not so long that it looks like a leak. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "quarantine_size_mb=4:thread_local_quarantine_size_kb=64";
}
#endif

#define PRODUCERS 5
#define HEAP_BOUND (1u << 20)
#define RSS_BOUND (SANITIZED ? 64u << 20 : 8u << 20)
#define SPELL 0.1                                /* seconds in which no thread of the pools may be scheduled */
#define PATIENCE 30.0                            /* seconds, times the factor, until what does not move hangs */
#define MOST_ITEMS 2000

/* ------------------------------------------------------------------------------------------------ what goes wrong */

static uint64_t seed;

__attribute__((format(printf, 1, 2))) static void wrong(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	printf("soak: ");
	vprintf(format, args);
	printf("\nsoak: FAILED (seed %llu)\n", (unsigned long long)seed);
	va_end(args);
	fflush(stdout);
	abort();                                 /* for a debugger, which sees all threads */
}

static void must(int code, const char *what)
{
	if (code != 0)
		wrong("%s: %s", what, mppool_strerrorname(code));
}
#define MUST(call) must(call, #call)

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double factor(void)
{
	const char *const text = getenv("MPPOOL_TEST_TIMEOUT_FACTOR");
	const double given = text ? strtod(text, NULL) : 1.0;

	return (given >= 1.0 ? given : 1.0) * (SANITIZED ? 4 : 1);
}

static void pause_for(double seconds)
{
	const struct timespec t = {(time_t)seconds, (long)(fmod(seconds, 1) * 1e9)};

	nanosleep(&t, NULL);
}

/* ----------------------------------------------------------------------------------------------------------- pools */

enum { POLLED = 1, POOLS = 6 };

static int init_state(void *initarg, void **ret_state)
{
	atomic_fetch_add((atomic_long *)initarg, 1);
	*ret_state = initarg;
	return 0;
}

static void fini_state(void *initarg, void *state)
{
	if (state != initarg)
		wrong("a finalizer got another worker's state");
	atomic_fetch_sub((atomic_long *)initarg, 1);
}

static atomic_long initialized;                  /* workers whose finalizer is still to come */

static struct house {
	struct mppool_options options;
	size_t threads;                          /* that it has when it is at rest */
	mppool *pool;
} houses[POOLS] = {
	{.options = {.name = "soak0", .workers = 3}, .threads = 5},
	{.options = {.name = "soak1", .workers = 2, .callback_mode = MPPOOL_CALLBACKS_POLL}, .threads = 3},
	{.options = {.name = "soak2", .workers = 2, .queue_limit = 6}, .threads = 4},
	{.options = {.name = "soak3", .workers = 2, .flags = MPPOOL_CALLER_HELPS}, .threads = 4},
	{.options = {.name = "soak4", .workers = 2, .max_tasks_per_worker = 40}, .threads = 4},
	{.options = {.name = "soak5",
	             .workers = 3,
	             .initializer = init_state,
	             .finalizer = fini_state,
	             .initarg = &initialized,
	             .stack_size = 256 << 10},
	 .threads = 5},
};

/* ----------------------------------------------------------------------------------------------------------- tasks */

/* How the items of a call behave. Constant, since a call may outlive whoever made it. */
struct manner {
	uint32_t fails, leaves;                  /* every so many: fails; ends its thread */
	bool nests, waits;                       /* calls the pool itself; waits until it is told to stop */
};
static const struct manner plain, failing = {.fails = 7}, leaving = {.leaves = 50}, nesting = {.nests = true},
	waiting = {.waits = true};

static int square(const void *const args[], void *result, void *context);

static struct mppool_func func_of(const struct manner *manner)
{
	struct mppool_func func = MPPOOL_FUNC_INIT;

	func.call = square;
	func.nargs = 1;
	func.arg_size[0] = sizeof(uint32_t);
	func.result_size = sizeof(uint64_t);
	func.context = (void *)(uintptr_t)manner;
	func.name = "square";
	return func;
}

static uint64_t squared(uint32_t x)
{
	return (uint64_t)x * x;
}

static uint64_t nested_square(uint32_t x)
{
	const uint32_t xs[2] = {x, x + 1};
	uint64_t ys[2] = {0, 0};
	const struct mppool_func func = func_of(&plain);
	const int code = mppool_map(mppool_current(), &func, MPPOOL_ARRAY(xs, 2), ys, 1);

	if (code == MPPOOL_ETERMINATED || code == MPPOOL_ECLOSED)
		return squared(x);               /* a pool that was ended in the middle */
	must(code, "a nested map");
	return ys[1] - 2 * x - 1;
}

static bool is_one_in(uint32_t x, uint32_t n)
{
	return n && x % n == n - 1;
}

static int square(const void *const args[], void *result, void *context)
{
	const struct manner *const manner = context;
	const uint32_t x = *(const uint32_t *)args[0];

	if (is_one_in(x, manner->leaves))
		pthread_exit(NULL);
	if (is_one_in(x, manner->fails))
		return mppool_raise(EDOM, "item %u of its call", x);
	while (manner->waits && !mppool_should_stop())
		sched_yield();
	*(uint64_t *)result = manner->nests ? nested_square(x) : squared(x);
	return 0;
}

/* What an item's outcome must be if nothing came in between. */
static int code_of(const struct manner *manner, uint32_t x)
{
	if (is_one_in(x, manner->leaves))
		return MPPOOL_ELOST;
	return is_one_in(x, manner->fails) ? EDOM : 0;
}

static int add(const void *const args[], void *result, void *context)
{
	(void)context;
	*(uint64_t *)result = squared(*(const uint32_t *)args[0]) + *(const uint32_t *)args[1];
	return 0;
}

/* Arguments and results that somebody must give back: all of them are counted. */
static atomic_long args_out, results_out, calls_out;

static int twice(const void *const args[], void *result, void *context)
{
	uint32_t *const y = malloc(sizeof *y);

	(void)context;
	if (!y)
		return ENOMEM;
	*y = 2 * **(uint32_t *const *)args[0];
	*(uint32_t **)result = y;
	atomic_fetch_add(&results_out, 1);
	return 0;
}

static void drop_number(const void *const args[], void *context)
{
	(void)context;
	free(*(uint32_t *const *)args[0]);
	atomic_fetch_sub(&args_out, 1);
}

static void drop_twice(void *result, void *context)
{
	(void)context;
	free(*(uint32_t **)result);
	atomic_fetch_sub(&results_out, 1);
}

static void release_twice(void *context)
{
	(void)context;
	atomic_fetch_sub(&calls_out, 1);
}

static const struct mppool_func twice_task = {.size = sizeof twice_task,
                                              .call = twice,
                                              .nargs = 1,
                                              .arg_size = {sizeof(uint32_t *)},
                                              .result_size = sizeof(uint32_t *),
                                              .drop_args = drop_number,
                                              .drop_result = drop_twice,
                                              .release = release_twice,
                                              .name = "twice"};

static uint32_t *number(uint32_t x)
{
	uint32_t *const p = malloc(sizeof *p);

	if (!p)
		wrong("no memory");
	*p = x;
	atomic_fetch_add(&args_out, 1);
	return p;
}

/* ------------------------------------------------------------------------------------------- callbacks, generators */

static atomic_long callbacks_due;                /* accepted calls that have not called back */

static void called_back(const void *results, size_t n, void *userdata)
{
	(void)results;
	(void)n;
	(void)userdata;
	atomic_fetch_sub(&callbacks_due, 1);
}

static void called_back_error(const struct mppool_error *error, void *userdata)
{
	(void)userdata;
	if (!error->message)
		wrong("an error without a message");
	atomic_fetch_sub(&callbacks_due, 1);
}

/* 0, 1, 2 ... and then the end, or a failure. Freed by its finish hook. */
struct source {
	uint32_t at, end;
	int end_code;
};
static atomic_long sources_out;

static int source_next(void *const args[], void *state)
{
	struct source *const s = state;

	if (s->at == s->end)
		return s->end_code;
	*(uint32_t *)args[0] = s->at++;
	return 0;
}

static void source_finish(void *state)
{
	free(state);
	atomic_fetch_sub(&sources_out, 1);
}

static struct mppool_iterable source_of(uint32_t n, int end_code)
{
	struct source *const s = malloc(sizeof *s);
	struct mppool_iterable items = MPPOOL_ITERABLE_INIT;

	if (!s)
		wrong("no memory");
	*s = (struct source){0, n, end_code};
	atomic_fetch_add(&sources_out, 1);
	items.next = source_next;
	items.finish = source_finish;
	items.state = s;
	return items;
}

/* ------------------------------------------------------------------------------------------------------- producers */

struct producer {
	pthread_t thread;
	uint64_t chance;
	uint32_t xs[MOST_ITEMS];
	uint64_t ys[MOST_ITEMS];
	int codes[MOST_ITEMS];
};
static struct producer producers[PRODUCERS];
static atomic_ulong turns;                       /* that all of them have done */

static size_t draw(struct producer *p, size_t below)
{
	p->chance ^= p->chance << 13;
	p->chance ^= p->chance >> 7;
	p->chance ^= p->chance << 17;
	return (size_t)((p->chance * UINT64_C(2685821657736338717) >> 11) % below);
}

static bool one_in(struct producer *p, size_t n)
{
	return draw(p, n) == 0;
}

static size_t some(struct producer *p)
{
	return one_in(p, 8) ? draw(p, MOST_ITEMS + 1) : draw(p, 60);
}

static size_t some_chunk(struct producer *p)
{
	return one_in(p, 2) ? 0 : 1 + draw(p, 20);
}

/* Priorities, flags, callbacks. */
static struct mppool_call_options some_options(struct producer *p)
{
	struct mppool_call_options o = MPPOOL_CALL_OPTIONS_INIT;

	o.priority = (int)draw(p, 3) - 1;
	if (one_in(p, 2)) {
		o.callback = called_back;
		o.error_callback = called_back_error;
	}
	return o;
}

/* A submit: counts its callback. False: it was refused, as a full queue may; then nothing comes of it. */
static bool accepted(int code, const struct mppool_call_options *o)
{
	if (code == 0)
		return true;
	if (o->callback)
		atomic_fetch_sub(&callbacks_due, 1);
	if (code != MPPOOL_EFULL && code != ETIMEDOUT)
		wrong("a submit returned %s", mppool_strerrorname(code));
	return false;
}

static void announce(const struct mppool_call_options *o)
{
	if (o->callback)
		atomic_fetch_add(&callbacks_due, 1);
}

/* Perhaps for too short a time first. */
static int wait_for(struct producer *p, mppool_result *result)
{
	int code = ETIMEDOUT;

	if (one_in(p, 3))
		code = mppool_result_get(result, NULL, (double)draw(p, 200) / 1e6);
	return code == ETIMEDOUT ? mppool_result_get(result, NULL, MPPOOL_FOREVER) : code;
}

/* The results and codes of a call of items 0 ... n - 1. Where `halted` items may not have run. */
static void check_items(const struct manner *manner, const uint64_t *ys, const int *codes, size_t n, bool halted)
{
	uint64_t sum = 0, should = 0;

	for (uint32_t i = 0; i < n; i++) {
		const int code = code_of(manner, i), got = codes ? codes[i] : code;

		if (got != code && !(halted && (got == ECANCELED || got == MPPOOL_ETERMINATED)))
			wrong("item %u ended as %s", i, mppool_strerrorname(got));
		should += got == 0 ? squared(i) : 0;
		sum += ys[i];
	}
	if (sum != should)
		wrong("%zu items come to %llu instead of %llu", n, (unsigned long long)sum,
		      (unsigned long long)should);
}

static int outcome_of(const struct manner *manner, size_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (code_of(manner, i))
			return MPPOOL_ETASK;
	return 0;
}

static void do_apply(struct producer *p, struct house *h)
{
	const struct manner *const manner = one_in(p, 3) ? &failing : one_in(p, 3) ? &nesting : &plain;
	const struct mppool_func func = func_of(manner);

	for (size_t n = draw(p, 20); n > 0; n--) {
		const uint32_t x = (uint32_t)draw(p, 1000);
		uint64_t y = 0;
		const int code = mppool_apply(h->pool, &func, MPPOOL_ARGS(&x), &y);

		if (code != (code_of(manner, x) ? MPPOOL_ETASK : 0) || (code == 0 && y != squared(x)))
			wrong("apply(%u) returned %s, %llu", x, mppool_strerrorname(code), (unsigned long long)y);
	}
}

/* Many single calls at once; some are forgotten, cancelled or freed, of the others groups are made. */
#define MOST_CALLS 64

static size_t submit_singles(struct producer *p, struct house *h, mppool_result *results[], uint64_t *ret_sum)
{
	const struct mppool_func func = func_of(&plain);
	size_t n = 0;

	*ret_sum = 0;
	for (uint32_t i = (uint32_t)draw(p, MOST_CALLS); i > 0; i--) {
		struct mppool_call_options o = some_options(p);
		const bool forget = one_in(p, 8);
		int code;

		o.flags = one_in(p, 4) ? MPPOOL_NOWAIT : 0;
		o.submit_timeout = one_in(p, 8) ? 0.0005 : 0;
		announce(&o);
		code = mppool_apply_async(h->pool, &func, MPPOOL_ARGS(&i), &o, forget ? NULL : &results[n]);
		if (!accepted(code, &o) || forget)
			continue;
		if (one_in(p, 20)) {
			mppool_result_free(results[n]);
			continue;
		}
		*ret_sum += squared(i);
		n++;
	}
	return n;
}

static uint64_t take_as_completed(mppool_result *results[], size_t n)
{
	mppool_iter *iter;
	mppool_result *result;
	uint64_t sum = 0, y;
	int code;

	MUST(mppool_as_completed(results, n, &iter));
	while ((code = mppool_iter_next(iter, &result, NULL, MPPOOL_FOREVER)) == 0) {
		MUST(mppool_result_get(result, &y, 0));
		sum += y;
		mppool_result_free(result);
	}
	if (code != MPPOOL_ESTOP)
		wrong("as_completed ended with %s", mppool_strerrorname(code));
	mppool_iter_free(iter);
	return sum;
}

static uint64_t take_each(struct producer *p, mppool_result *results[], size_t n)
{
	uint64_t sum = 0, y;
	size_t ready;

	if (n > 0 && one_in(p, 2))
		MUST(mppool_wait(results, n, (int)draw(p, 3), MPPOOL_FOREVER, &ready));
	for (size_t i = 0; i < n; i++) {
		MUST(wait_for(p, results[i]));
		MUST(mppool_result_get(results[i], &y, MPPOOL_FOREVER));
		sum += y;
		mppool_result_free(results[i]);
	}
	return sum;
}

static void do_singles(struct producer *p, struct house *h)
{
	mppool_result *results[MOST_CALLS];
	uint64_t should, sum;
	const size_t n = submit_singles(p, h, results, &should);

	sum = n > 0 && one_in(p, 2) ? take_as_completed(results, n) : take_each(p, results, n);
	if (sum != should)
		wrong("%zu calls come to %llu instead of %llu", n, (unsigned long long)sum,
		      (unsigned long long)should);
}

static void do_cancelled_singles(struct producer *p, struct house *h)
{
	const struct mppool_func func = func_of(&plain);
	mppool_result *results[MOST_CALLS];
	size_t n = 0;

	for (uint32_t i = 0; i < MOST_CALLS; i++) {
		struct mppool_call_options o = some_options(p);

		announce(&o);
		n += accepted(mppool_apply_async(h->pool, &func, MPPOOL_ARGS(&i), &o, &results[n]), &o);
	}
	for (size_t i = n; i > 0; i--) {
		const int told = mppool_result_cancel(results[i - 1]);
		const int code = mppool_result_get(results[i - 1], NULL, MPPOOL_FOREVER);

		if (told == 0 ? code != ECANCELED : code != 0 || (told != EBUSY && told != EALREADY))
			wrong("a cancel said %s, and its call ended with %s", mppool_strerrorname(told),
			      mppool_strerrorname(code));
		mppool_result_free(results[i - 1]);
	}
}

static void do_map(struct producer *p, struct house *h)
{
	const struct manner *const manner = one_in(p, 4) ? &failing : one_in(p, 6) ? &nesting : &plain;
	const struct mppool_func func = func_of(manner);
	const size_t n = some(p);
	const int code = mppool_map(h->pool, &func, MPPOOL_ARRAY(p->xs, n), p->ys, some_chunk(p));

	if (code != outcome_of(manner, n))
		wrong("map returned %s", mppool_strerrorname(code));
	check_items(manner, p->ys, NULL, n, false);
}

static void do_starmap(struct producer *p, struct house *h)
{
	struct mppool_func func = MPPOOL_FUNC_INIT;
	const size_t n = some(p);
	const uint32_t more = (uint32_t)draw(p, 1000);

	func.call = add;
	func.nargs = 2;
	func.arg_size[0] = func.arg_size[1] = sizeof(uint32_t);
	func.result_size = sizeof(uint64_t);
	MUST(mppool_starmap(h->pool, &func, MPPOOL_ZIP(n, MPPOOL_COLUMN(p->xs), MPPOOL_REPEAT(&more)), p->ys,
	                    some_chunk(p)));
	for (size_t i = 0; i < n; i++)
		p->ys[i] -= more;
	check_items(&plain, p->ys, NULL, n, false);
}

/* With codes, and perhaps a cancel in the middle, a failure that ends the rest, or items that take their thread
 * along. */
static void do_map_async(struct producer *p, struct house *h)
{
	const bool fast = one_in(p, 4), cancel = one_in(p, 3);
	const bool leave = one_in(p, 10) && !h->options.flags;   /* where callers help, the producer would */
	const struct manner *const manner = fast || one_in(p, 3) ? &failing : leave ? &leaving : &plain;
	const struct mppool_func func = func_of(manner);
	struct mppool_call_options o = some_options(p);
	const size_t n = some(p);
	mppool_result *result;
	int told = EALREADY, code;

	o.codes = p->codes;
	o.flags = fast ? MPPOOL_FAIL_FAST : 0;
	announce(&o);
	if (!accepted(mppool_map_async(h->pool, &func, MPPOOL_ARRAY(p->xs, n), p->ys, some_chunk(p), &o, &result), &o))
		return;
	if (cancel)
		told = mppool_result_cancel(result);
	code = wait_for(p, result);
	if (code != (told == 0 ? ECANCELED : outcome_of(manner, n)) && !(fast && code == MPPOOL_ETASK))
		wrong("map_async came to %s after a cancel that said %s", mppool_strerrorname(code),
		      mppool_strerrorname(told));
	check_items(manner, p->ys, p->codes, n, fast || told == 0);
	mppool_result_free(result);
}

static uint64_t consume(struct producer *p, mppool_iter *iter, bool may_stop, int *ret_code)
{
	uint64_t sum = 0, y;
	int code;

	while ((code = mppool_iter_next(iter, &y, NULL, one_in(p, 9) ? 0.0001 : MPPOOL_FOREVER)) != MPPOOL_ESTOP) {
		if (code == 0)
			sum += y;
		else if (code != ETIMEDOUT && code != MPPOOL_ETASK)
			break;
		if (may_stop && one_in(p, 100))
			break;
	}
	*ret_code = code;
	return sum;
}

static void do_imap(struct producer *p, struct house *h)
{
	const struct manner *const manner = one_in(p, 4) ? &failing : one_in(p, 9) ? &nesting : &plain;
	const struct mppool_func func = func_of(manner);
	const uint32_t n = (uint32_t)some(p);
	const bool generated = one_in(p, 2), fails = generated && one_in(p, 4), may_stop = one_in(p, 4);
	const struct mppool_iterable items = generated ? source_of(n, fails ? ERANGE : MPPOOL_ESTOP)
	                                               : *MPPOOL_ARRAY(p->xs, n);
	const struct mppool_call_options o = {.size = sizeof o, .priority = (int)draw(p, 3) - 1};
	const size_t buffer = one_in(p, 5) ? MPPOOL_UNBOUNDED : one_in(p, 2) ? 0 : 1 + draw(p, 100);
	mppool_iter *iter;
	uint64_t sum, should = 0;
	int code;

	if (one_in(p, 2))
		MUST(mppool_imap(h->pool, &func, &items, some_chunk(p), buffer, &o, &iter));
	else
		MUST(mppool_imap_unordered(h->pool, &func, &items, some_chunk(p), buffer, &o, &iter));
	sum = consume(p, iter, may_stop, &code);
	if (may_stop && one_in(p, 2))
		mppool_iter_cancel(iter);
	mppool_iter_free(iter);
	for (uint32_t i = 0; i < n; i++)
		should += code_of(manner, i) ? 0 : squared(i);
	if (!may_stop && (code != (fails ? MPPOOL_EITER : MPPOOL_ESTOP) || sum != should))
		wrong("a stream of %u items ended with %s at %llu instead of %llu", n, mppool_strerrorname(code),
		      (unsigned long long)sum, (unsigned long long)should);
}

static void do_map_generator(struct producer *p, struct house *h)
{
	const struct mppool_func func = func_of(&plain);
	const uint32_t n = (uint32_t)some(p);
	const bool fails = one_in(p, 4);
	const struct mppool_iterable items = source_of(n, fails ? ERANGE : MPPOOL_ESTOP);
	struct mppool_call_options o = some_options(p);
	mppool_result *result;
	size_t done, total;

	announce(&o);
	if (!accepted(mppool_map_async(h->pool, &func, &items, NULL, some_chunk(p), &o, &result), &o))
		wrong("an unlimited wait for room was over");
	const int code = wait_for(p, result);
	MUST(mppool_result_progress(result, &done, &total));
	if (code != (fails ? MPPOOL_EITER : 0) || done != n || total != n)
		wrong("a map of %u generated items came to %s, %zu of %zu", n, mppool_strerrorname(code), done, total);
	check_items(&plain, mppool_result_value(result), NULL, n, false);
	mppool_result_free(result);
}

/* An item that waits to be told to stop is told when its time is over. */
static void do_timeout(struct producer *p, struct house *h)
{
	const struct mppool_func func = func_of(&waiting);
	mppool_result *result;

	MUST(mppool_map_async(h->pool, &func, MPPOOL_ARRAY(p->xs, 3), p->ys, 1,
	                      MPPOOL_CALL(.codes = p->codes, .task_timeout = 0.001), &result));
	if (wait_for(p, result) != MPPOOL_ETASK)
		wrong("items that take too long have not failed");
	for (int i = 0; i < 3; i++)
		if (p->codes[i] != ETIMEDOUT || p->ys[i] != 0)
			wrong("an item that took too long ended as %s", mppool_strerrorname(p->codes[i]));
	mppool_result_free(result);
}

/* Whatever becomes of the calls, what was handed to them comes back. */
static void do_hooks(struct producer *p, struct house *h)
{
	const uint32_t n = (uint32_t)draw(p, 100);
	uint32_t *numbers[100], *y;
	mppool_result *result;
	mppool_iter *iter;
	int code;

	for (uint32_t i = 0; i < n; i++)
		numbers[i] = number(i);
	atomic_fetch_add(&calls_out, 1);
	if (one_in(p, 2)) {
		MUST(mppool_map_async(h->pool, &twice_task, MPPOOL_ARRAY(numbers, n), NULL, some_chunk(p), NULL,
		                      &result));
		if (one_in(p, 3))
			mppool_result_cancel(result);
		mppool_result_wait(result, MPPOOL_FOREVER);
		mppool_result_free(result);
		return;
	}
	MUST(mppool_imap_unordered(h->pool, &twice_task, MPPOOL_ARRAY(numbers, n), some_chunk(p), 0, NULL, &iter));
	while ((code = mppool_iter_next(iter, &y, NULL, MPPOOL_FOREVER)) == 0 && !one_in(p, 200))
		drop_twice(&y, NULL);
	if (code == 0)
		drop_twice(&y, NULL);
	mppool_iter_free(iter);
}

/* Others may do so at the same time; what counts at rest is set there. */
static void do_resize(struct producer *p, struct house *h)
{
	MUST(mppool_resize(h->pool, 1 + (int)draw(p, 6)));
}

/* A pool of the producer's own, which ends in the middle of its work. */
static void do_pool(struct producer *p, struct house *unused)
{
	const struct mppool_func func = func_of(one_in(p, 2) ? &nesting : &plain);
	struct mppool_counters c = MPPOOL_COUNTERS_INIT;
	const int end = (int)draw(p, 3), polled = (int)draw(p, 2);
	const size_t n = some(p);
	const uint32_t x = 3;
	mppool_result *map, *single;
	mppool_iter *iter;
	mppool *pool;
	int code;

	(void)unused;
	MUST(mppool_create(MPPOOL_OPTIONS(.workers = 1 + (int)draw(p, 3), .max_tasks_per_worker = draw(p, 3),
	                                  .callback_mode = polled, .name = "guest"),
	                   &pool));
	if (polled)
		MUST(mppool_fd(pool, &code));
	atomic_fetch_add(&callbacks_due, 1);
	MUST(mppool_map_async(pool, &func, MPPOOL_ARRAY(p->xs, n), p->ys, some_chunk(p),
	                      MPPOOL_CALL(.codes = p->codes, .callback = called_back,
	                                  .error_callback = called_back_error),
	                      &map));
	const struct mppool_iterable items = source_of((uint32_t)n, MPPOOL_ESTOP);
	MUST(mppool_imap(pool, &func, &items, 1, 4, NULL, &iter));
	MUST(mppool_apply_async(pool, &func, MPPOOL_ARGS(&x), NULL, &single));
	if (end == 0)
		mppool_close(pool);
	else if (end == 1)
		mppool_terminate(pool);
	consume(p, iter, true, &code);
	if (end < 2 && one_in(p, 2)) {
		MUST(mppool_join(pool, MPPOOL_FOREVER));
		MUST(mppool_stats(pool, &c));
		if (c.submitted != c.done + c.failed + c.cancelled + c.dropped || c.waiting || c.running)
			wrong("a joined pool has %llu items and %llu ends", (unsigned long long)c.submitted,
			      (unsigned long long)(c.done + c.failed + c.cancelled + c.dropped));
	}
	MUST(mppool_destroy(pool));
	code = mppool_result_get(map, NULL, 0);
	if (code != 0 && (end == 0 || code != MPPOOL_ETERMINATED))
		wrong("the map of a pool that was ended came to %s", mppool_strerrorname(code));
	check_items(&plain, p->ys, p->codes, n, true);
	code = mppool_result_get(single, NULL, 0);
	if (code != 0 && (end == 0 || code != MPPOOL_ETERMINATED))
		wrong("the call of a pool that was ended came to %s", mppool_strerrorname(code));
	mppool_iter_free(iter);
	mppool_result_free(map);
	mppool_result_free(single);
}

static const struct deed {
	void (*run)(struct producer *p, struct house *h);
	size_t weight;
} deeds[] = {
	{do_apply, 20}, {do_singles, 30}, {do_cancelled_singles, 4}, {do_map, 20}, {do_starmap, 10},
	{do_map_async, 20}, {do_imap, 30}, {do_timeout, 1}, {do_map_generator, 10}, {do_hooks, 20}, {do_pool, 2},
	{do_resize, 1},
};

/* --------------------------------------------------------------------------------------------- working and resting */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static enum order { WORK, REST, END } order = REST;    /* the lock */
static int resting;                              /* the lock: producers that stand still */

static bool may_work(void)
{
	bool work;

	pthread_mutex_lock(&lock);
	resting++;
	pthread_cond_broadcast(&changed);
	while (order == REST)
		pthread_cond_wait(&changed, &lock);
	resting--;
	work = order == WORK;
	pthread_mutex_unlock(&lock);
	return work;
}

static atomic_bool halt;                         /* order is not WORK: a hint */

static void do_something(struct producer *p)
{
	size_t all = 0, at, i;

	for (i = 0; i < sizeof deeds / sizeof *deeds; i++)
		all += deeds[i].weight;
	at = draw(p, all);
	for (i = 0; at >= deeds[i].weight; i++)
		at -= deeds[i].weight;
	deeds[i].run(p, &houses[draw(p, POOLS)]);
	atomic_fetch_add(&turns, 1);
}

static void *produce(void *arg)
{
	struct producer *const p = arg;

	for (uint32_t i = 0; i < MOST_ITEMS; i++)
		p->xs[i] = i;
	while (may_work())
		while (!atomic_load(&halt))
			do_something(p);
	return NULL;
}

/* For the pool whose callbacks are polled: a loop about its descriptor, until the last callback. */
static atomic_bool last_called;

static void call_last(const void *results, size_t n, void *userdata)
{
	(void)results;
	(void)n;
	(void)userdata;
	atomic_store(&last_called, true);
}

static void *poll_callbacks(void *arg)
{
	mppool *const pool = arg;
	struct pollfd at = {.events = POLLIN};
	size_t n;

	MUST(mppool_fd(pool, &at.fd));
	while (!atomic_load(&last_called)) {
		poll(&at, 1, -1);
		MUST(mppool_poll(pool, 0, &n));
	}
	return NULL;
}

static void set_order(enum order next)
{
	atomic_store(&halt, next != WORK);
	pthread_mutex_lock(&lock);
	order = next;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
}

static void say_pools(void)
{
	char text[1000];

	for (int i = 0; i < POOLS; i++) {
		mppool_describe(houses[i].pool, text, sizeof text);
		printf("%s\n", text);
	}
	printf("callbacks to come %ld, arguments %ld, results %ld, calls %ld, sources %ld\n",
	       atomic_load(&callbacks_due), atomic_load(&args_out), atomic_load(&results_out),
	       atomic_load(&calls_out), atomic_load(&sources_out));
}

/* Time given to work; work that stops by itself hangs. */
static void work_for(double seconds)
{
	const double end = now() + seconds;
	double moved = now();
	unsigned long seen = atomic_load(&turns);

	set_order(WORK);
	while (now() < end) {
		pause_for(0.1);
		if (seen != atomic_load(&turns))
			moved = now();
		seen = atomic_load(&turns);
		if (now() - moved > PATIENCE * factor()) {
			say_pools();
			wrong("nothing moves");
		}
	}
}

/* All producers stand still. */
static void rest(void)
{
	const double end = now() + PATIENCE * factor();
	bool all = false;

	set_order(REST);
	while (!all) {
		pthread_mutex_lock(&lock);
		all = resting == PRODUCERS;
		pthread_mutex_unlock(&lock);
		if (!all && now() > end) {
			say_pools();
			wrong("a producer does not come back from the library");
		}
		if (!all)
			pause_for(0.01);
	}
}

/* ----------------------------------------------------------------------------------------------------------- looks */

struct look {
	size_t heap, rss;                        /* bytes */
	size_t threads, files;
};
#define MOST_LOOKS 100000
static struct look looks[MOST_LOOKS];
static size_t nlooks;

static size_t resident(void)
{
	unsigned long all = 0, pages = 0;
	FILE *const f = fopen("/proc/self/statm", "r");

	if (!f || fscanf(f, "%lu %lu", &all, &pages) != 2)
		pages = 0;
	if (f)
		fclose(f);
	return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static size_t in_use(void)
{
#if defined(__GLIBC__) && (__GLIBC__ > 2 || __GLIBC_MINOR__ >= 33)
	const struct mallinfo2 m = mallinfo2();

	return m.uordblks + m.hblkhd;
#else
	return 0;
#endif
}

static size_t entries(const char *folder)
{
	DIR *const d = opendir(folder);
	size_t n = 0;

	while (d && readdir(d))
		n++;
	if (d)
		closedir(d);
	return n;
}

/* Threads of pools, by their names, and how often they were scheduled. */
static size_t pool_threads(unsigned long *ret_switches)
{
	DIR *const d = opendir("/proc/self/task");
	const struct dirent *entry;
	size_t n = 0;

	*ret_switches = 0;
	while (d && (entry = readdir(d)) != NULL) {
		char path[300], line[200];
		unsigned long switches;
		bool ours = false;

		snprintf(path, sizeof path, "/proc/self/task/%s/status", entry->d_name);
		FILE *const f = fopen(path, "r");
		while (f && fgets(line, sizeof line, f)) {
			ours = ours || (strncmp(line, "Name:\t", 6) == 0 && strchr(line, '-') &&
			                (strncmp(line + 6, "soak", 4) == 0 || strncmp(line + 6, "guest", 5) == 0));
			if (ours && strstr(line, "_ctxt_switches:") &&
			    sscanf(strchr(line, ':'), ":%lu", &switches) == 1)
				*ret_switches += switches;
		}
		if (f)
			fclose(f);
		n += ours;
	}
	if (d)
		closedir(d);
	return n;
}

/* Threads that were joined may be listed for a moment longer, and those of handlers on their way. */
static size_t settle(void)
{
	const double end = now() + PATIENCE * factor();
	unsigned long before, after;
	size_t n, expected = 0;

	for (int i = 0; i < POOLS; i++)
		expected += houses[i].threads;
	for (;;) {
		pool_threads(&before);
		pause_for(SPELL);
		n = pool_threads(&after);
		if (n == expected && after == before)
			return n;
		if (now() > end)
			wrong("at rest there are %zu threads instead of %zu, and they were scheduled %lu times", n,
			      expected, after - before);
	}
}

static void check_counters(const struct house *h)
{
	struct mppool_counters c = MPPOOL_COUNTERS_INIT;

	MUST(mppool_stats(h->pool, &c));
	if (c.submitted != c.done + c.failed + c.cancelled + c.dropped || c.waiting || c.running || c.queued)
		wrong("%s at rest: %llu submitted, %llu done, %llu failed, %llu cancelled, %llu dropped, %llu wait, "
		      "%llu run, %llu queued",
		      h->options.name, (unsigned long long)c.submitted, (unsigned long long)c.done,
		      (unsigned long long)c.failed, (unsigned long long)c.cancelled, (unsigned long long)c.dropped,
		      (unsigned long long)c.waiting, (unsigned long long)c.running, (unsigned long long)c.queued);
}

static void check_is_back(atomic_long *count, const char *what)
{
	const double end = now() + PATIENCE * factor();

	while (atomic_load(count) != 0) {
		if (now() > end || atomic_load(count) < 0)
			wrong("at rest %ld %s are out", atomic_load(count), what);
		pause_for(0.001);
	}
}

static void look(double since)
{
	struct look *const l = &looks[nlooks < MOST_LOOKS ? nlooks++ : nlooks - 1];
	uint64_t items = 0;

	for (int i = 0; i < POOLS; i++) {
		MUST(mppool_resize(houses[i].pool, houses[i].options.workers));
		MUST(mppool_wait_idle(houses[i].pool, PATIENCE * factor()));
	}
	check_is_back(&callbacks_due, "callbacks");
	check_is_back(&args_out, "arguments");
	check_is_back(&results_out, "results");
	check_is_back(&calls_out, "contexts");
	check_is_back(&sources_out, "generators");
	for (int i = 0; i < POOLS; i++) {
		struct mppool_counters c = MPPOOL_COUNTERS_INIT;

		if (mppool_state(houses[i].pool) != MPPOOL_RUN)
			wrong("%s does not run any more", houses[i].options.name);
		check_counters(&houses[i]);
		MUST(mppool_stats(houses[i].pool, &c));
		items += c.submitted;
	}
	l->threads = settle();
	l->heap = in_use();
	l->rss = resident();
	l->files = entries("/proc/self/fd");
	if (l->files != looks[0].files)
		wrong("%zu descriptors are open, and were %zu", l->files, looks[0].files);
	printf("%7.1f s  %11llu items  %5.1f MiB in use  %5.1f MiB resident  %zu threads\n", now() - since,
	       (unsigned long long)items, (double)l->heap / (1 << 20), (double)l->rss / (1 << 20), l->threads);
	fflush(stdout);
}

static size_t least(size_t from, size_t to, bool rss)
{
	size_t value = SIZE_MAX;

	for (size_t i = from; i < to; i++)
		value = (rss ? looks[i].rss : looks[i].heap) < value ? (rss ? looks[i].rss : looks[i].heap) : value;
	return value;
}

static void check_growth(bool rss, size_t bound)
{
	const size_t third = nlooks / 3, before = least(third, nlooks - third, rss);
	const size_t after = least(nlooks - third, nlooks, rss);

	if (after > before && after - before > bound)
		wrong("memory %s grows: at least %zu bytes in the second third, %zu in the last",
		      rss ? "resident" : "in use", before, after);
}

/* ------------------------------------------------------------------------------------------------------- the whole */

static void open_pools(void)
{
	for (int i = 0; i < POOLS; i++) {
		houses[i].options.size = sizeof houses[i].options;
		MUST(mppool_create(&houses[i].options, &houses[i].pool));
	}
}

static int nothing(const void *const args[], void *result, void *context)
{
	(void)args;
	(void)result;
	(void)context;
	return 0;
}

static void close_pools(pthread_t poller)
{
	struct mppool_func func = MPPOOL_FUNC_INIT;

	func.call = nothing;
	MUST(mppool_apply_async(houses[POLLED].pool, &func, NULL, MPPOOL_CALL(.callback = call_last), NULL));
	pthread_join(poller, NULL);
	for (int i = 0; i < POOLS; i++) {
		MUST(mppool_close(houses[i].pool));
		MUST(mppool_join(houses[i].pool, MPPOOL_FOREVER));
		check_counters(&houses[i]);
		MUST(mppool_destroy(houses[i].pool));
	}
	check_is_back(&initialized, "workers' states");
}

static void soak(double seconds)
{
	const double from = now(), spell = seconds / 30 > 5 ? 5 : seconds / 30;
	pthread_t poller;

	open_pools();
	pthread_create(&poller, NULL, poll_callbacks, houses[POLLED].pool);
	for (int i = 0; i < PRODUCERS; i++) {
		producers[i].chance = (seed + (uint64_t)i + 1) * UINT64_C(0x9e3779b97f4a7c15);
		pthread_create(&producers[i].thread, NULL, produce, &producers[i]);
	}
	do {
		work_for(spell);
		rest();
		look(from);
	} while (now() - from < seconds || nlooks < 6);
	set_order(END);
	for (int i = 0; i < PRODUCERS; i++)
		pthread_join(producers[i].thread, NULL);
	check_growth(false, HEAP_BOUND);
	check_growth(true, RSS_BOUND);
	close_pools(poller);
	printf("soak: %.1f minutes, %lu turns, %zu looks: nothing is wrong, and nothing grows (seed %llu)\n",
	       (now() - from) / 60, atomic_load(&turns), nlooks, (unsigned long long)seed);
}

int main(int argc, char **argv)
{
	char *end = argv[0];
	double minutes;

	seed = (uint64_t)time(NULL);
	if (argc == 4 && strcmp(argv[1], "-s") == 0)
		seed = strtoull(argv[2], &end, 10);
	minutes = argc == 2 || argc == 4 ? strtod(argv[argc - 1], &end) : 0;
	if (!(minutes > 0 && minutes < 1e6) || *end) {
		fprintf(stderr, "usage: %s [-s SEED] MINUTES\n", argv[0]);
		return 2;
	}
	soak(60 * minutes);
	return 0;
}
