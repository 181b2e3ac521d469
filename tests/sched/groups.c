/* SPDX-License-Identifier: MIT
 *
 * Scenarios: several results at once, pools that become idle, callbacks that are polled. */
#include "scenarios.h"

#include <errno.h>
#include <poll.h>

#define N 2

static struct calls calls;
static mppool *pool;
static mppool_result *results[N];
static mppool_iter *iter;
static unsigned handed[N];

static void begin(int workers, int x)
{
	calls_begin(&calls);
	pool = POOL(.workers = workers);
	for (int i = 0; i < N; i++) {
		results[i] = submit(pool, &calls, i ? x : 0, NULL);
		handed[i] = 0;
	}
}

/* ------------------------------------------------------------------------------------------------------------ wait */

/* As soon as what is waited for has come, and no sooner. */
static void wait_for_some(void)
{
	int when = (int)sched_variant(3), x = sched_variant(2) ? FAILING : 1;
	size_t ready = 0, really = 0;

	begin(1 + (int)sched_variant(2), x);
	SCHED_EQUAL(mppool_wait(results, N, when, MPPOOL_FOREVER, &ready), 0);
	for (int i = 0; i < N; i++)
		really += (size_t)mppool_result_ready(results[i]);
	SCHED_CHECK(ready > 0 && ready <= really);
	if (when == MPPOOL_ALL_COMPLETED)
		SCHED_EQUAL(ready, N);
	else if (when == MPPOOL_FIRST_FAILED && x == FAILING)
		SCHED_EQUAL(mppool_result_ready(results[1]), 1);
	take(&calls, results[0], 0);
	take_or(&calls, results[1], x, x == FAILING ? MPPOOL_ETASK : 0, 0);
	end_pool(pool);
	calls_check(&calls);
}

static void free_second(void *unused)
{
	(void)unused;
	mppool_result_free(results[1]);
}

/* A result that is freed meanwhile counts no more. */
static void wait_against_free(void)
{
	struct sched_thread *other;
	int when = (int)sched_variant(3);
	size_t ready = N + 1;

	begin(1, 1);
	other = sched_spawn("freer", free_second, NULL);
	if (sched_variant(2)) {
		mppool_result *const first[] = {results[0]};

		SCHED_EQUAL(mppool_wait(first, 1, when, MPPOOL_FOREVER, &ready), 0);
		SCHED_EQUAL(ready, 1);
	}
	sched_join(other);
	take(&calls, results[0], 0);
	end_pool(pool);
	calls_check(&calls);
}

static void wait_for_all(void *unused)
{
	size_t ready = 0;

	(void)unused;
	SCHED_EQUAL(mppool_wait(results, N, MPPOOL_ALL_COMPLETED, MPPOOL_FOREVER, &ready), 0);
	SCHED_EQUAL(ready, N);
}

/* Two groups have the same results; one of them may give up early. */
static void two_groups(void)
{
	struct sched_thread *other;
	int code;

	begin(1, 1);
	other = sched_spawn("waiter", wait_for_all, NULL);
	code = mppool_wait(results, N, MPPOOL_ALL_COMPLETED, sched_variant(2) ? 1e-6 : 0, NULL);
	SCHED_CHECK(code == 0 || code == ETIMEDOUT);
	sched_join(other);
	for (int i = 0; i < N; i++)
		take(&calls, results[i], i);
	end_pool(pool);
	calls_check(&calls);
}

static void wait_against_terminate(void)
{
	struct sched_thread *other;

	begin(1, 1);
	other = sched_spawn("waiter", wait_for_all, NULL);
	SCHED_EQUAL(mppool_terminate(pool), 0);
	sched_join(other);
	for (int i = 0; i < N; i++)
		take_or(&calls, results[i], i, MPPOOL_ETERMINATED, MPPOOL_ETERMINATED);
	SCHED_EQUAL(mppool_destroy(pool), 0);
	calls_check(&calls);
}

static struct calls outer;

static int wait_inside(const void *const args[], void *result, void *context)
{
	mppool_result *mine[N];
	size_t ready = 0;

	(void)context;
	sched_count(&outer.runs);
	for (int i = 0; i < N; i++)
		mine[i] = submit(mppool_current(), &calls, i, NULL);
	SCHED_EQUAL(mppool_wait(mine, N, (int)sched_variant(3), MPPOOL_FOREVER, &ready), 0);
	SCHED_CHECK(ready > 0);
	for (int i = 0; i < N; i++)
		take(&calls, mine[i], i);
	*(long *)result = 2L * *(const int *)args[0];
	return 0;
}

/* A task waits for what only its own worker may be there to run. */
static void wait_in_a_task(void)
{
	calls_begin(&calls);
	calls_begin(&outer);
	outer.func.call = wait_inside;
	pool = POOL(.workers = 1 + (int)sched_variant(2));
	take(&outer, submit(pool, &outer, 6, NULL), 6);
	finish_pool(pool);
	calls_check(&calls);
	calls_check(&outer);
}

/* ---------------------------------------------------------------------------------------------------- as_completed */

/* Each result is handed out once, when it is ready, and may be freed then. */
static void hand_out(void *ret_code)
{
	mppool_result *r = NULL;
	size_t index = N;
	int code;

	while ((code = mppool_iter_next(iter, &r, &index, MPPOOL_FOREVER)) == 0) {
		SCHED_CHECK(index < N);
		SCHED_CHECK(r == results[index]);
		SCHED_EQUAL(mppool_result_ready(r), 1);
		sched_count(&handed[index]);
		take_or(&calls, r, (int)index, MPPOOL_ETERMINATED, MPPOOL_ETERMINATED);
	}
	*(int *)ret_code = code;
}

static void as_completed(void)
{
	static int code, mine;
	bool terminate = sched_variant(2);
	struct sched_thread *other;

	begin(1 + (int)sched_variant(2), 1);
	SCHED_EQUAL(mppool_as_completed(results, N, &iter), 0);
	other = sched_spawn("consumer", hand_out, &code);
	if (terminate)
		SCHED_EQUAL(mppool_terminate(pool), 0);
	hand_out(&mine);
	sched_join(other);
	SCHED_EQUAL(code, MPPOOL_ESTOP);
	SCHED_EQUAL(mine, MPPOOL_ESTOP);
	for (int i = 0; i < N; i++)
		SCHED_EQUAL(handed[i], 1);
	mppool_iter_free(iter);
	end_pool(pool);
	calls_check(&calls);
}

static void cancel_as_completed(void)
{
	static int code;
	struct sched_thread *other;
	int cancelled;

	begin(1, 1);
	SCHED_EQUAL(mppool_as_completed(results, N, &iter), 0);
	other = sched_spawn("consumer", hand_out, &code);
	cancelled = mppool_iter_cancel(iter);
	sched_join(other);
	SCHED_EQUAL(code, cancelled == 0 ? ECANCELED : MPPOOL_ESTOP);
	SCHED_CHECK(cancelled == 0 || cancelled == EALREADY);
	mppool_iter_free(iter);
	for (int i = 0; i < N; i++)
		if (!handed[i])
			take(&calls, results[i], i);
	end_pool(pool);
	calls_check(&calls);
}

/* The second result is freed before its turn, or was handed out: nobody waits for it in vain. */
static void free_one_of_completed(void)
{
	mppool_result *r = NULL;
	struct sched_thread *other;
	size_t index = N;
	int code;

	begin(1, 1);
	SCHED_EQUAL(mppool_as_completed(results, N, &iter), 0);
	other = sched_spawn("freer", free_second, NULL);
	while ((code = mppool_iter_next(iter, &r, &index, MPPOOL_FOREVER)) == 0)
		sched_count(&handed[index]);
	SCHED_EQUAL(code, MPPOOL_ESTOP);
	SCHED_EQUAL(handed[0], 1);
	SCHED_CHECK(handed[1] <= 1);
	sched_join(other);
	mppool_iter_free(iter);
	take(&calls, results[0], 0);
	end_pool(pool);
	calls_check(&calls);
}

/* ------------------------------------------------------------------------------------------------------------ idle */

static void await_idle(void *ret_code)
{
	*(int *)ret_code = mppool_wait_idle(pool, MPPOOL_FOREVER);
}

/* Nothing waits or runs: the calls have run, and are over. */
static void wait_for_idle(void)
{
	static int code;
	bool terminate = sched_variant(2);
	struct sched_thread *other;

	begin(1 + (int)sched_variant(2), 1);
	other = sched_spawn("waiter", await_idle, &code);
	if (terminate)
		SCHED_EQUAL(mppool_terminate(pool), 0);
	SCHED_EQUAL(mppool_wait_idle(pool, MPPOOL_FOREVER), 0);
	for (int i = 0; i < N; i++)
		SCHED_EQUAL(mppool_result_ready(results[i]), 1);
	sched_join(other);
	SCHED_EQUAL(code, 0);
	for (int i = 0; i < N; i++)
		take_or(&calls, results[i], i, terminate ? MPPOOL_ETERMINATED : 0, 0);
	end_pool(pool);
	calls_check(&calls);
}

/* An iterator whose window is full counts as idle. */
static void idle_with_full_iterator(void)
{
	static struct counter counter;
	struct mppool_iterable items = counting(&counter);

	calls_begin(&calls);
	counter = (struct counter){.length = 3, .fails_at = -1, .calls = &calls};
	pool = POOL(.workers = 1);
	SCHED_EQUAL(mppool_imap(pool, &calls.func, &items, 1, 1, NULL, &iter), 0);
	calls.accepted = 1;
	SCHED_EQUAL(mppool_wait_idle(pool, MPPOOL_FOREVER), 0);
	SCHED_EQUAL(calls.runs, 1);
	SCHED_EQUAL(mppool_iter_next(iter, NULL, NULL, MPPOOL_FOREVER), 0);
	SCHED_EQUAL(mppool_wait_idle(pool, MPPOOL_FOREVER), 0);
	SCHED_EQUAL(calls.runs, 2);
	mppool_iter_free(iter);
	end_pool(pool);
	SCHED_EQUAL(calls.finishes, 1);
	calls_check(&calls);
}

/* ------------------------------------------------------------------------------------------------------------ poll */

static void done(const void *result, size_t n, void *userdata)
{
	SCHED_EQUAL(n, 1);
	SCHED_EQUAL(*(const long *)result % 2, 0);
	SCHED_CHECK(userdata == &calls);
	sched_count(&calls.callbacks);
}

static void failed(const struct mppool_error *error, void *userdata)
{
	SCHED_EQUAL(error->code, MPPOOL_ETERMINATED);
	SCHED_CHECK(userdata == &calls);
	sched_count(&calls.callbacks);
}

static void begin_polled(void)
{
	calls_begin(&calls);
	pool = POOL(.workers = 1, .callback_mode = MPPOOL_CALLBACKS_POLL);
	for (int i = 0; i < N; i++)
		results[i] = submit(pool, &calls, i,
		                    MPPOOL_CALL(.callback = done, .error_callback = failed, .userdata = &calls));
}

static void poll_until_closed(void *unused)
{
	size_t n;

	(void)unused;
	do {
		n = 0;
		SCHED_EQUAL(mppool_poll(pool, MPPOOL_FOREVER, &n), 0);
	} while (n > 0);
}

/* Two threads poll; the pool is stopped; destroy runs what is left. */
static void poll_callbacks(void)
{
	bool terminate = sched_variant(2), free_first = sched_variant(2);
	struct sched_thread *other = NULL;

	begin_polled();
	if (sched_variant(2))
		other = sched_spawn("poller", poll_until_closed, NULL);
	if (free_first)
		for (int i = 0; i < N; i++)
			mppool_result_free(results[i]);
	SCHED_EQUAL(terminate ? mppool_terminate(pool) : mppool_close(pool), 0);
	if (sched_variant(2))
		poll_until_closed(NULL);
	if (other)
		sched_join(other);
	for (int i = 0; i < N && !free_first; i++)
		take_or(&calls, results[i], i, terminate ? MPPOOL_ETERMINATED : 0, 0);
	SCHED_EQUAL(mppool_destroy(pool), 0);
	SCHED_EQUAL(calls.callbacks, N);
	calls_check(&calls);
}

static bool is_readable(int fd)
{
	struct pollfd p = {fd, POLLIN, 0};

	return poll(&p, 1, 0) == 1;
}

/* The result is ready, and its callback has not been called: then the descriptor is readable. */
static void poll_descriptor(void)
{
	int fd = -1;
	size_t n = 0, all = 0;

	begin_polled();
	SCHED_EQUAL(mppool_fd(pool, &fd), 0);
	SCHED_EQUAL(mppool_result_wait(results[0], MPPOOL_FOREVER), 0);
	SCHED_CHECK(is_readable(fd));
	while (all < N) {
		SCHED_EQUAL(mppool_poll(pool, MPPOOL_FOREVER, &n), 0);
		SCHED_CHECK(n > 0);
		all += n;
	}
	SCHED_CHECK(!is_readable(fd));
	SCHED_EQUAL(calls.callbacks, N);
	for (int i = 0; i < N; i++)
		take(&calls, results[i], i);
	end_pool(pool);
	calls_check(&calls);
}

static unsigned inside;          /* plain: callbacks of a pool come one after the other, whoever polls */

static void touch(const void *result, size_t n, void *userdata)
{
	inside++;
	done(result, n, userdata);
}

static void touch_failed(const struct mppool_error *error, void *userdata)
{
	inside++;
	SCHED_EQUAL(error->code, ECANCELED);
	SCHED_CHECK(userdata == &calls);
	sched_count(&calls.callbacks);
}

static void poll_once(void *unused)
{
	size_t n = 0;

	(void)unused;
	SCHED_EQUAL(mppool_poll(pool, MPPOOL_FOREVER, &n), 0);
	SCHED_CHECK(n <= N);
}

/* Two threads poll while the results are taken, dropped or cancelled: a callback sees them before they are dropped, and
 * the last hook comes once, after it. */
static void poll_against_handles(void)
{
	struct sched_thread *first, *second;
	unsigned what = sched_variant(3);

	calls_begin(&calls);
	inside = 0;
	pool = POOL(.workers = 1, .callback_mode = MPPOOL_CALLBACKS_POLL);
	for (int i = 0; i < N; i++)
		results[i] = submit(pool, &calls, i, MPPOOL_CALL(.callback = touch, .error_callback = touch_failed,
		                                                 .userdata = &calls));
	first = sched_spawn("poller", poll_once, NULL);
	second = sched_spawn("poller", poll_until_closed, NULL);
	for (int i = 0; i < N; i++) {
		if (what == 1)
			mppool_result_cancel(results[i]);
		if (what == 2)
			mppool_result_free(results[i]);
		else
			take_or(&calls, results[i], i, what == 1 ? ECANCELED : 0, 0);
	}
	SCHED_EQUAL(mppool_close(pool), 0);
	sched_join(first);
	sched_join(second);
	SCHED_EQUAL(calls.callbacks, N);
	SCHED_EQUAL(inside, N);
	SCHED_EQUAL(mppool_destroy(pool), 0);
	calls_check(&calls);
}

const struct sched_scenario sched_groups[] = {
	{"wait_for_some", wait_for_some},
	{"wait_against_free", wait_against_free},
	{"two_groups", two_groups},
	{"wait_against_terminate", wait_against_terminate},
	{"wait_in_a_task", wait_in_a_task},
	{"as_completed", as_completed},
	{"cancel_as_completed", cancel_as_completed},
	{"free_one_of_completed", free_one_of_completed},
	{"wait_for_idle", wait_for_idle},
	{"idle_with_full_iterator", idle_with_full_iterator},
	{"poll_callbacks", poll_callbacks},
	{"poll_descriptor", poll_descriptor},
	{"poll_against_handles", poll_against_handles},
	{NULL, NULL},
};
