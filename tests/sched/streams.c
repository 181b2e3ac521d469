/* SPDX-License-Identifier: MIT
 *
 * Scenarios: iterators, and what generators yield. */
#include "scenarios.h"

#include <errno.h>
#include <pthread.h>

#define N 4

static struct calls calls;
static struct counter counter;
static mppool *pool;
static mppool_iter *iter;
static unsigned seen[N];
static const int xs[N] = {0, 1, 2, 3};

static bool ordered;
static int fails_at = -1;        /* the generator */

/* imap or imap_unordered, of the array or of a generator, with a window of one item or a large one. */
static void begin(int workers, bool generator)
{
	struct mppool_iterable generated = counting(&counter);
	const struct mppool_iterable *array = MPPOOL_ARRAY(xs, N);
	size_t buffer = sched_variant(3);

	calls_begin(&calls);
	counter = (struct counter){.length = N, .fails_at = fails_at, .calls = &calls};
	for (int i = 0; i < N; i++)
		seen[i] = 0;
	pool = POOL(.workers = workers);
	iter = NULL;
	ordered = sched_variant(2);
	SCHED_EQUAL((ordered ? mppool_imap : mppool_imap_unordered)(pool, &calls.func, generator ? &generated : array,
	                                                            1 + sched_variant(2), buffer, NULL, &iter), 0);
	calls.accepted = 1;
	if (!generator)
		calls.items = N;
}

static void end(bool generator)
{
	mppool_iter_free(iter);
	end_pool(pool);
	SCHED_EQUAL(calls.finishes, generator ? 1 : 0);
	calls_check(&calls);
}

/* One result, or the code that ends the iterator. */
static int next(double timeout)
{
	long y = -1;
	size_t index = N;
	int code = mppool_iter_next(iter, &y, &index, timeout);

	if (code == 0) {
		SCHED_CHECK(index < N);
		SCHED_EQUAL(y, 2 * (long)index);
		sched_count(&seen[index]);
		sched_count(&calls.taken);
	} else {
		SCHED_EQUAL(y, -1);
	}
	return code;
}

static void check_all_seen(void)
{
	for (int i = 0; i < N; i++)
		SCHED_EQUAL(seen[i], 1);
	SCHED_EQUAL(calls.taken, N);
}

static void imap_all(void)
{
	bool generator = sched_variant(2);
	int code;

	begin(1 + (int)sched_variant(2), generator);
	while ((code = next(MPPOOL_FOREVER)) == 0)
		if (ordered)
			SCHED_EQUAL(seen[calls.taken - 1], 1);
	SCHED_EQUAL(code, MPPOOL_ESTOP);
	check_all_seen();
	end(generator);
}

static void consume(void *ret_code)
{
	int code;

	while ((code = next(MPPOOL_FOREVER)) == 0)
		;
	*(int *)ret_code = code;
}

/* Each item goes to one of them, and both are told of the end. */
static void two_consumers(void)
{
	static int code, mine;
	bool generator = sched_variant(2);
	struct sched_thread *other;

	begin(1, generator);
	other = sched_spawn("consumer", consume, &code);
	consume(&mine);
	sched_join(other);
	SCHED_EQUAL(code, MPPOOL_ESTOP);
	SCHED_EQUAL(mine, MPPOOL_ESTOP);
	check_all_seen();
	end(generator);
}

/* One takes an item and goes; the other is told of all that are left. */
static void consumer_that_leaves(void)
{
	static int code;
	bool generator = sched_variant(2);
	struct sched_thread *other;

	begin(1 + (int)sched_variant(2), generator);
	other = sched_spawn("consumer", consume, &code);
	for (unsigned i = 1 + sched_variant(2); i > 0; i--)
		next(MPPOOL_FOREVER);
	sched_join(other);
	SCHED_EQUAL(code, MPPOOL_ESTOP);
	check_all_seen();
	end(generator);
}

/* Items are drawn, run, wait to be taken: whatever there is goes, and nothing runs after the free. */
static void free_in_the_middle(void)
{
	bool generator = sched_variant(2);
	unsigned take = sched_variant(3), runs;

	begin(1 + (int)sched_variant(2), generator);
	for (unsigned i = 0; i < take; i++)
		SCHED_EQUAL(next(MPPOOL_FOREVER), 0);
	mppool_iter_free(iter);
	iter = NULL;
	SCHED_EQUAL(calls.finishes, generator ? 1 : 0);
	runs = calls.runs;
	sched_pass();
	SCHED_EQUAL(calls.runs, runs);
	end(generator);
}

/* Two consumers, one of which cancels: the outcome is told once. */
static void cancel_against_next(void)
{
	static int code, mine;
	bool generator = sched_variant(2);
	struct sched_thread *other;
	int cancelled;

	begin(1, generator);
	other = sched_spawn("consumer", consume, &code);
	cancelled = mppool_iter_cancel(iter);
	consume(&mine);
	sched_join(other);
	SCHED_CHECK(cancelled == 0 || cancelled == EBUSY || cancelled == EALREADY);
	SCHED_CHECK(generator || cancelled != 0 || calls.runs < N);
	SCHED_EQUAL((code == ECANCELED) + (mine == ECANCELED), cancelled == 0 ? 1 : 0);
	SCHED_EQUAL((code == MPPOOL_ESTOP) + (mine == MPPOOL_ESTOP), cancelled == 0 ? 1 : 2);
	SCHED_EQUAL(next(0), MPPOOL_ESTOP);
	end(generator);
}

/* One generator blocks, and the other one finds no thread for a task handler at first: it is drawn all the same. Where
 * there is a result handler that needs nobody's help, else another call's. */
static struct sched_gate blocks, drawn_by_the_other;

static int block_next(void *const args[], void *state)
{
	(void)args;
	(void)state;
	sched_open(&blocks);
	sched_await(&drawn_by_the_other);
	return MPPOOL_ESTOP;
}

static void no_thread_for_a_generator(void)
{
	const struct mppool_iterable blocking = {.size = sizeof blocking, .next = block_next};
	bool polled = sched_variant(2);
	struct mppool_iterable generated;
	mppool_iter *blocked = NULL;
	static int code;

	calls_begin(&calls);
	blocks.open = drawn_by_the_other.open = false;
	counter = (struct counter){.length = 2, .fails_at = -1, .calls = &calls};
	generated = counting(&counter);
	for (int i = 0; i < N; i++)
		seen[i] = 0;
	ordered = true;
	pool = POOL(.workers = 1, .callback_mode = polled ? MPPOOL_CALLBACKS_POLL : MPPOOL_CALLBACKS_THREAD);
	SCHED_EQUAL(mppool_imap(pool, &calls.func, &blocking, 1, 0, NULL, &blocked), 0);
	if (polled)                      /* or the call could come before the thread was refused */
		sched_await(&blocks);
	sched_refuse_threads(1);
	SCHED_EQUAL(mppool_imap(pool, &calls.func, &generated, 1, 0, NULL, &iter), 0);
	sched_refuse_threads(0);
	calls.accepted = 2;
	if (polled)
		take(&calls, submit(pool, &calls, 3, NULL), 3);
	consume(&code);
	SCHED_EQUAL(code, MPPOOL_ESTOP);
	SCHED_EQUAL(seen[0] + seen[1], 2);
	sched_open(&drawn_by_the_other);
	SCHED_EQUAL(mppool_iter_next(blocked, NULL, NULL, MPPOOL_FOREVER), MPPOOL_ESTOP);
	mppool_iter_free(blocked);
	end(true);
}

static void stop_it(void *terminate)
{
	SCHED_EQUAL(terminate ? mppool_terminate(pool) : mppool_close(pool), 0);
}

/* close: all is done although the window is small. terminate: what had completed, then MPPOOL_ETERMINATED. */
static void stop_against_next(void)
{
	static int code;
	bool generator = sched_variant(2), terminate = sched_variant(2);
	struct sched_thread *stopper;

	begin(1, generator);
	stopper = sched_spawn("stopper", stop_it, terminate ? pool : NULL);
	consume(&code);
	if (code != MPPOOL_ESTOP) {
		SCHED_CHECK(terminate && code == MPPOOL_ETERMINATED);
		SCHED_EQUAL(next(MPPOOL_FOREVER), MPPOOL_ESTOP);
	} else {
		check_all_seen();
	}
	sched_join(stopper);
	end(generator);
}

/* Nobody reads, and yet join comes back. */
static void close_unread(void)
{
	static int code;
	bool generator = sched_variant(2);

	begin(1, generator);
	SCHED_EQUAL(mppool_close(pool), 0);
	SCHED_EQUAL(mppool_join(pool, MPPOOL_FOREVER), 0);
	SCHED_EQUAL(calls.runs, N);
	consume(&code);
	SCHED_EQUAL(code, MPPOOL_ESTOP);
	check_all_seen();
	end(generator);
}

static void next_with_timeout(void)
{
	bool generator = sched_variant(2);
	int code;

	begin(1, generator);
	do
		code = next(sched_variant(2) ? 1e-6 : MPPOOL_FOREVER);
	while (code == 0);
	SCHED_CHECK(code == MPPOOL_ESTOP || code == ETIMEDOUT);
	while (code != MPPOOL_ESTOP)
		code = next(MPPOOL_FOREVER);
	check_all_seen();
	end(generator);
}

static void failing_generator(void)
{
	static int code;

	fails_at = (int)sched_variant(3);
	begin(1 + (int)sched_variant(2), true);
	consume(&code);
	SCHED_EQUAL(code, MPPOOL_EITER);
	SCHED_EQUAL(mppool_last_error()->code, EDOM);
	SCHED_EQUAL(mppool_last_error()->index, fails_at);
	SCHED_EQUAL(calls.taken, fails_at);
	SCHED_EQUAL(next(MPPOOL_FOREVER), MPPOOL_ESTOP);
	fails_at = -1;
	end(true);
}

/* ------------------------------------------------------------------------------------------------- more generators */

static int leave_thread(void *const args[], void *state)
{
	(void)args;
	(void)state;
	pthread_exit(NULL);
}

/* The task handler goes with the generator; its successor draws the next one. */
static void lost_generator(void)
{
	struct mppool_iterable bad = counting(&counter), good = bad;
	mppool_iter *lost = NULL;
	unsigned refused = sched_variant(2);

	bad.next = leave_thread;
	calls_begin(&calls);
	counter = (struct counter){.length = 1, .fails_at = -1, .calls = &calls};
	pool = POOL(.workers = 1);
	SCHED_EQUAL(mppool_imap(pool, &calls.func, &bad, 1, 1, NULL, &lost), 0);
	sched_refuse_threads(refused);
	SCHED_EQUAL(mppool_iter_next(lost, NULL, NULL, MPPOOL_FOREVER), MPPOOL_EITER);
	SCHED_EQUAL(mppool_last_error()->code, MPPOOL_ELOST);
	mppool_iter_free(lost);
	counter = (struct counter){.length = 1, .fails_at = -1, .calls = &calls};
	SCHED_EQUAL(mppool_imap(pool, &calls.func, &good, 1, 1, NULL, &iter), 0);
	calls.accepted = 2;
	SCHED_EQUAL(next(MPPOOL_FOREVER), 0);
	SCHED_EQUAL(next(MPPOOL_FOREVER), MPPOOL_ESTOP);
	mppool_iter_free(iter);
	end_pool(pool);
	SCHED_EQUAL(calls.finishes, 2);
	calls_check(&calls);
}

static struct sched_gate gate;

/* Waits in its generator until the other one's result was taken. */
static int wait_and_stop(void *const args[], void *state)
{
	(void)args;
	(void)state;
	sched_await(&gate);
	return MPPOOL_ESTOP;
}

/* A generator that blocks holds up no other. */
static void blocked_generator(void)
{
	static struct counter unused;
	struct mppool_iterable first = counting(&unused), second = counting(&counter);
	mppool_iter *blocked = NULL;
	static int code;

	unused.calls = &calls;
	first.next = wait_and_stop;
	gate.open = false;
	calls_begin(&calls);
	counter = (struct counter){.length = 1, .fails_at = -1, .calls = &calls};
	pool = POOL(.workers = 1);
	SCHED_EQUAL(mppool_imap(pool, &calls.func, &first, 1, 1, NULL, &blocked), 0);
	SCHED_EQUAL(mppool_imap(pool, &calls.func, &second, 1, 1, NULL, &iter), 0);
	calls.accepted = 2;
	SCHED_EQUAL(next(MPPOOL_FOREVER), 0);
	sched_open(&gate);
	consume(&code);
	SCHED_EQUAL(code, MPPOOL_ESTOP);
	SCHED_EQUAL(mppool_iter_next(blocked, NULL, NULL, MPPOOL_FOREVER), MPPOOL_ESTOP);
	mppool_iter_free(blocked);
	mppool_iter_free(iter);
	end_pool(pool);
	SCHED_EQUAL(calls.finishes, 2);
	calls_check(&calls);
}

/* Two do, and the third has to wait for a spare that stands by. Nobody opens the gate before its result is there. */
static void blocked_generators(void)
{
	const struct mppool_iterable first = {.size = sizeof first, .next = wait_and_stop};
	struct mppool_iterable second = counting(&counter);
	mppool_iter *blocked[2] = {NULL, NULL};

	gate.open = false;
	calls_begin(&calls);
	counter = (struct counter){.length = 1, .fails_at = -1, .calls = &calls};
	pool = POOL(.workers = 1);
	for (int i = 0; i < 2; i++)
		SCHED_EQUAL(mppool_imap(pool, &calls.func, &first, 1, 1, NULL, &blocked[i]), 0);
	SCHED_EQUAL(mppool_imap(pool, &calls.func, &second, 1, 1, NULL, &iter), 0);
	calls.accepted = 3;
	SCHED_EQUAL(next(MPPOOL_FOREVER), 0);
	sched_open(&gate);
	SCHED_EQUAL(next(MPPOOL_FOREVER), MPPOOL_ESTOP);
	for (int i = 0; i < 2; i++)
		mppool_iter_free(blocked[i]);
	mppool_iter_free(iter);
	end_pool(pool);
	SCHED_EQUAL(calls.finishes, 1);
	calls_check(&calls);
}

/* map over a generator: a sink, whose results move as it grows. */
static void map_of_generator(void)
{
	struct mppool_iterable generated = counting(&counter);
	mppool_result *r = NULL;
	const long *ys;
	bool terminate = sched_variant(2);
	int code;

	calls_begin(&calls);
	counter = (struct counter){.length = N, .fails_at = -1, .calls = &calls};
	pool = POOL(.workers = 1 + (int)sched_variant(2));
	SCHED_EQUAL(mppool_map_async(pool, &calls.func, &generated, NULL, sched_variant(3), NULL, &r), 0);
	calls.accepted = 1;
	if (terminate)
		SCHED_EQUAL(mppool_terminate(pool), 0);
	code = mppool_result_wait(r, MPPOOL_FOREVER);
	SCHED_EQUAL(code, 0);
	code = mppool_result_get(r, NULL, 0);
	SCHED_CHECK(code == 0 || (terminate && code == MPPOOL_ETERMINATED));
	ys = mppool_result_value(r);
	for (int i = 0; i < N && code == 0; i++)
		SCHED_EQUAL(ys[i], 2 * i);
	mppool_result_free(r);
	end_pool(pool);
	SCHED_EQUAL(calls.finishes, 1);
	calls_check(&calls);
}

const struct sched_scenario sched_streams[] = {
	{"imap_all", imap_all},
	{"two_consumers", two_consumers},
	{"consumer_that_leaves", consumer_that_leaves},
	{"free_in_the_middle", free_in_the_middle},
	{"cancel_against_next", cancel_against_next},
	{"no_thread_for_a_generator", no_thread_for_a_generator},
	{"stop_against_next", stop_against_next},
	{"close_unread", close_unread},
	{"next_with_timeout", next_with_timeout},
	{"failing_generator", failing_generator},
	{"lost_generator", lost_generator},
	{"blocked_generator", blocked_generator},
	{"blocked_generators", blocked_generators},
	{"map_of_generator", map_of_generator},
	{NULL, NULL},
};
