/* test_poll.c - MPPOOL_CALLBACKS_POLL: when callbacks come due, who runs them, what they may do; the descriptor
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE 1
#include "support.h"

#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/epoll.h>
#endif

#define SLOW (UNDER_ASAN || UNDER_TSAN || under_valgrind())

static mppool *polled_pool(int workers)
{
	mppool *pool = NULL;

	assert_ok(mppool_create(MPPOOL_OPTIONS(.workers = workers, .callback_mode = MPPOOL_CALLBACKS_POLL), &pool));
	return pool;
}

/* Polls without waiting: so many callbacks are run. */
#define assert_polled(pool, expected)                                                                                  \
	do {                                                                                                           \
		size_t run_now = 99999;                                                                                \
		assert_ok(mppool_poll((pool), 0, &run_now));                                                           \
		ck_assert_uint_eq(run_now, (expected));                                                                \
	} while (0)

/* poll(2) says that callbacks are due. */
static bool is_readable(int fd)
{
	struct pollfd look = {.fd = fd, .events = POLLIN};
	const int n = poll(&look, 1, 0);

	ck_assert_int_ge(n, 0);
	return n == 1 && look.revents & POLLIN;
}

static size_t open_descriptors(void)
{
	size_t n = 0;

	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* --------------------------------------------------------------------------------------------------- what happened */

/* Events of one call in their order, and on which thread the last callback ran. */
enum event { CALLBACK = 1, ERROR_CALLBACK, DROP_ARGS, DROP_RESULT, RELEASE, FINISH };

struct story {
	struct recorder events;
	atomic_int thread, value, code, n;
};

static void story_init(struct story *story)
{
	memset(story, 0, sizeof *story);
	recorder_init(&story->events);
}

static void on_done(const void *results, size_t n, void *userdata)
{
	struct story *const story = userdata;

	atomic_store(&story->thread, thread_id());
	atomic_store(&story->n, (int)n);
	if (results && n > 0)
		atomic_store(&story->value, *(const int *)results);
	record(&story->events, CALLBACK);
}

static void on_error(const struct mppool_error *error, void *userdata)
{
	struct story *const story = userdata;

	atomic_store(&story->thread, thread_id());
	atomic_store(&story->code, error->code);
	record(&story->events, ERROR_CALLBACK);
}

#define NOTE(story) MPPOOL_CALL(.callback = on_done, .error_callback = on_error, .userdata = (story))

static void story_drop_args(const void *const args[], void *context)
{
	(void)args;
	record(&((struct story *)context)->events, DROP_ARGS);
}

static void story_drop_result(void *result, void *context)
{
	(void)result;
	record(&((struct story *)context)->events, DROP_RESULT);
}

static void story_release(void *context)
{
	record(&((struct story *)context)->events, RELEASE);
}

static struct mppool_func story_func(struct story *story)
{
	struct mppool_func func = make_func(square_call, 1, sizeof(int), story);

	func.drop_args = story_drop_args;
	func.drop_result = story_drop_result;
	func.release = story_release;
	return func;
}

/* The story is told: these events, and no more. Frees it. */
static void assert_story(struct story *story, size_t n, const enum event *events)
{
	ck_assert_uint_eq(recorded_count(&story->events), n);
	for (size_t i = 0; i < n; i++)
		ck_assert_int_eq(recorded_at(&story->events, i), (int)events[i]);
	recorder_destroy(&story->events);
}
#define assert_events(story, ...)                                                                                      \
	assert_story((story), sizeof((const enum event[]){__VA_ARGS__}) / sizeof(enum event),                          \
	             (const enum event[]){__VA_ARGS__})

static struct mppool_func square(void)
{
	return make_func(square_call, 1, sizeof(int), NULL);
}

/* Submits one call with a callback that is due when this returns. */
static void make_due(mppool *pool, struct story *story)
{
	const struct mppool_func func = square();
	mppool_result *result = NULL;

	assert_ok(mppool_apply_async(pool, &func, MPPOOL_ARGS(&(int){7}), NOTE(story), &result));
	assert_ok(mppool_result_wait(result, MPPOOL_FOREVER));
	mppool_result_free(result);
}

static int fail_call(const void *const args[], void *result, void *context)
{
	(void)result;
	(void)context;
	return int_arg(args, 0);
}

/* ---------------------------------------------------------------------------------------------- ready, then called */

START_TEST(result_is_ready_before_its_callback_which_polling_runs)
{
	mppool *const pool = polled_pool(2);
	const struct mppool_func func = square();
	struct story story;
	mppool_result *result = NULL;
	int y = 0;

	story_init(&story);
	assert_ok(mppool_apply_async(pool, &func, MPPOOL_ARGS(&(int){7}), NOTE(&story), &result));
	assert_ok(mppool_result_get(result, &y, MPPOOL_FOREVER));
	ck_assert_int_eq(y, 49);
	ck_assert_int_eq(mppool_result_ready(result), 1);
	ck_assert_uint_eq(recorded_count(&story.events), 0);
	assert_code(mppool_result_cancel(result), EALREADY);
	assert_polled(pool, 1);
	ck_assert_int_eq(story.thread, thread_id());
	ck_assert_int_eq(story.value, 49);
	ck_assert_int_eq(story.n, 1);
	assert_polled(pool, 0);
	mppool_result_free(result);
	pool_finish(pool);
	assert_events(&story, CALLBACK);
}
END_TEST

START_TEST(every_kind_of_call_comes_due_with_all_its_results)
{
	mppool *const pool = polled_pool(2);
	const struct mppool_func func = square();
	struct source source = SOURCE(30);
	const struct mppool_iterable items = source_items(&source);
	const int *const none = NULL;
	struct story of[4];
	mppool_result *results[4] = {NULL};
	int xs[30], ys[30];

	for (int i = 0; i < 30; i++)
		xs[i] = i + 3;
	for (int i = 0; i < 4; i++)
		story_init(&of[i]);
	assert_ok(mppool_map_async(pool, &func, MPPOOL_ARRAY(xs, 30), ys, 0, NOTE(&of[0]), &results[0]));
	assert_ok(mppool_map_async(pool, &func, MPPOOL_ARRAY(xs, 30), NULL, 3, NOTE(&of[1]), &results[1]));
	assert_ok(mppool_map_async(pool, &func, &items, NULL, 0, NOTE(&of[2]), &results[2]));
	assert_ok(mppool_map_async(pool, &func, MPPOOL_ARRAY(none, 0), NULL, 0, NOTE(&of[3]), &results[3]));
	for (int i = 0; i < 4; i++) {
		assert_ok(mppool_result_wait(results[i], MPPOOL_FOREVER));
		ck_assert_uint_eq(recorded_count(&of[i].events), 0);
		mppool_result_free(results[i]);
	}
	assert_polled(pool, 4);
	for (int i = 0; i < 4; i++) {
		ck_assert_int_eq(of[i].n, i < 3 ? 30 : 0);
		ck_assert_int_eq(of[i].value, i < 2 ? 9 : 0);
		assert_events(&of[i], CALLBACK);
	}
	pool_finish(pool);
}
END_TEST

START_TEST(call_without_its_kind_of_callback_is_never_due)
{
	mppool *const pool = polled_pool(1);
	const struct mppool_func func = square(), failing = make_func(fail_call, 1, sizeof(int), NULL);
	struct story story;
	int y = 0;

	story_init(&story);
	assert_ok(mppool_apply_async(pool, &failing, MPPOOL_ARGS(&(int){EIO}),
	                             MPPOOL_CALL(.callback = on_done, .userdata = &story), NULL));
	assert_ok(mppool_apply_async(pool, &func, MPPOOL_ARGS(&(int){1}),
	                             MPPOOL_CALL(.error_callback = on_error, .userdata = &story), NULL));
	assert_ok(mppool_apply_async(pool, &func, MPPOOL_ARGS(&(int){1}), NULL, NULL));
	assert_ok(mppool_apply(pool, &func, MPPOOL_ARGS(&(int){2}), &y));
	assert_ok(mppool_close(pool));
	assert_ok(mppool_join(pool, MPPOOL_FOREVER));
	assert_polled(pool, 0);
	assert_ok(mppool_destroy(pool));
	ck_assert_uint_eq(recorded_count(&story.events), 0);
	recorder_destroy(&story.events);
}
END_TEST

START_TEST(failed_canceled_and_terminated_calls_come_due_with_their_errors)
{
	mppool *const pool = polled_pool(1);
	const struct mppool_func func = square(), failing = make_func(fail_call, 1, sizeof(int), NULL);
	struct story failed, canceled, terminated, mapped;
	struct hold hold;
	mppool_result *results[4] = {NULL};
	const int xs[] = {1, 2, 3};

	story_init(&failed);
	story_init(&canceled);
	story_init(&terminated);
	story_init(&mapped);
	assert_ok(mppool_apply_async(pool, &failing, MPPOOL_ARGS(&(int){EIO}), NOTE(&failed), &results[0]));
	assert_code(mppool_result_get(results[0], NULL, MPPOOL_FOREVER), MPPOOL_ETASK);
	hold_workers(&hold, pool, 1);
	assert_ok(mppool_apply_async(pool, &func, MPPOOL_ARGS(&(int){1}), NOTE(&canceled), &results[1]));
	assert_ok(mppool_apply_async(pool, &func, MPPOOL_ARGS(&(int){1}), NOTE(&terminated), &results[2]));
	assert_ok(mppool_map_async(pool, &func, MPPOOL_ARRAY(xs, 3), NULL, 0, NOTE(&mapped), &results[3]));
	assert_polled(pool, 1);
	ck_assert_int_eq(failed.code, EIO);
	assert_ok(mppool_result_cancel(results[1]));
	ck_assert_int_eq(mppool_result_ready(results[1]), 1);
	assert_code(mppool_result_cancel(results[1]), EALREADY);
	assert_polled(pool, 1);
	ck_assert_int_eq(canceled.code, ECANCELED);
	assert_ok(mppool_terminate(pool));
	ck_assert_int_eq(mppool_result_ready(results[2]), 1);
	ck_assert_int_eq(mppool_result_ready(results[3]), 1);
	hold_release(&hold);
	assert_polled(pool, 2);
	ck_assert_int_eq(terminated.code, MPPOOL_ETERMINATED);
	ck_assert_int_eq(mapped.code, MPPOOL_ETERMINATED);
	assert_ok(mppool_destroy(pool));
	for (int i = 0; i < 4; i++) {
		ck_assert_ptr_nonnull(mppool_result_error(results[i]));
		mppool_result_free(results[i]);
	}
	assert_events(&failed, ERROR_CALLBACK);
	assert_events(&canceled, ERROR_CALLBACK);
	assert_events(&terminated, ERROR_CALLBACK);
	assert_events(&mapped, ERROR_CALLBACK);
}
END_TEST

struct ordered {
	struct recorder *order;
	int number;
};

static void ordered_done(const void *results, size_t n, void *userdata)
{
	const struct ordered *const ordered = userdata;

	(void)results;
	(void)n;
	record(ordered->order, ordered->number);
}

START_TEST(callbacks_run_in_order_of_completion)
{
	static const int order_of_end[] = {2, 0, 3, 1};
	mppool *const pool = polled_pool(4);
	struct recorder order;
	struct gate gates[4];
	struct ordered ordered[4];
	mppool_result *results[4];

	recorder_init(&order);
	for (int i = 0; i < 4; i++) {
		gate_init(&gates[i]);
		const struct mppool_func func = make_func(gate_call, 1, sizeof(int), &gates[i]);
		ordered[i] = (struct ordered){&order, i};
		assert_ok(mppool_apply_async(pool, &func, MPPOOL_ARGS(&i),
		                             MPPOOL_CALL(.callback = ordered_done, .userdata = &ordered[i]),
		                             &results[i]));
		gate_wait_arrivals(&gates[i], 1);
	}
	for (int k = 0; k < 4; k++) {
		gate_open(&gates[order_of_end[k]]);
		assert_ok(mppool_result_wait(results[order_of_end[k]], MPPOOL_FOREVER));
	}
	assert_polled(pool, 4);
	for (int k = 0; k < 4; k++) {
		ck_assert_int_eq(recorded_at(&order, (size_t)k), order_of_end[k]);
		mppool_result_free(results[k]);
	}
	pool_finish(pool);
	for (int i = 0; i < 4; i++)
		gate_destroy(&gates[i]);
	recorder_destroy(&order);
}
END_TEST

/* ----------------------------------------------------------------------------------------------------- whose memory */

START_TEST(handle_freed_before_the_callback_leaves_it_the_results)
{
	mppool *const pool = polled_pool(1);
	struct story single, map;
	const int xs[] = {5, 6};
	mppool_result *result = NULL;

	story_init(&single);
	story_init(&map);
	const struct mppool_func of_single = story_func(&single), of_map = story_func(&map);
	assert_ok(mppool_apply_async(pool, &of_single, MPPOOL_ARGS(&(int){7}), NOTE(&single), &result));
	assert_ok(mppool_result_wait(result, MPPOOL_FOREVER));
	mppool_result_free(result);
	assert_ok(mppool_map_async(pool, &of_map, MPPOOL_ARRAY(xs, 2), NULL, 0, NOTE(&map), &result));
	assert_ok(mppool_result_wait(result, MPPOOL_FOREVER));
	mppool_result_free(result);
	ck_assert_uint_eq(recorded_count(&single.events), 1);
	ck_assert_uint_eq(recorded_count(&map.events), 2);
	assert_polled(pool, 2);
	ck_assert_int_eq(single.value, 49);
	ck_assert_int_eq(map.value, 25);
	pool_finish(pool);
	assert_events(&single, DROP_ARGS, CALLBACK, DROP_RESULT, RELEASE);
	assert_events(&map, DROP_ARGS, DROP_ARGS, CALLBACK, DROP_RESULT, DROP_RESULT, RELEASE);
}
END_TEST

START_TEST(forgotten_results_are_dropped_after_the_callback)
{
	mppool *const pool = polled_pool(1);
	struct story story;

	story_init(&story);
	const struct mppool_func func = story_func(&story);
	assert_ok(mppool_apply_async(pool, &func, MPPOOL_ARGS(&(int){7}), NOTE(&story), NULL));
	assert_ok(mppool_close(pool));
	assert_ok(mppool_join(pool, MPPOOL_FOREVER));
	ck_assert_uint_eq(recorded_count(&story.events), 1);
	assert_polled(pool, 1);
	assert_ok(mppool_destroy(pool));
	ck_assert_int_eq(story.value, 49);
	assert_events(&story, DROP_ARGS, CALLBACK, DROP_RESULT, RELEASE);
}
END_TEST

/* Whether the results were taken before the callback, after it, or not: release comes once, last, never before the
 * callback. */
START_TEST(release_comes_last_whenever_the_results_are_taken)
{
	mppool *const pool = polled_pool(1);
	struct story before, after, never, none;
	mppool_result *result = NULL;
	int y = 0;

	story_init(&before);
	const struct mppool_func of_before = story_func(&before);
	assert_ok(mppool_apply_async(pool, &of_before, MPPOOL_ARGS(&(int){7}), NOTE(&before), &result));
	assert_ok(mppool_result_get(result, &y, MPPOOL_FOREVER));
	ck_assert_uint_eq(recorded_count(&before.events), 1);
	assert_polled(pool, 1);
	mppool_result_free(result);
	assert_events(&before, DROP_ARGS, CALLBACK, RELEASE);

	story_init(&after);
	const struct mppool_func of_after = story_func(&after);
	assert_ok(mppool_apply_async(pool, &of_after, MPPOOL_ARGS(&(int){7}), NOTE(&after), &result));
	assert_ok(mppool_result_wait(result, MPPOOL_FOREVER));
	assert_polled(pool, 1);
	ck_assert_uint_eq(recorded_count(&after.events), 2);
	assert_ok(mppool_result_get(result, &y, MPPOOL_FOREVER));
	mppool_result_free(result);
	assert_events(&after, DROP_ARGS, CALLBACK, RELEASE);

	story_init(&never);
	const struct mppool_func of_never = story_func(&never);
	assert_ok(mppool_apply_async(pool, &of_never, MPPOOL_ARGS(&(int){7}), NOTE(&never), &result));
	assert_ok(mppool_result_wait(result, MPPOOL_FOREVER));
	assert_polled(pool, 1);
	mppool_result_free(result);
	assert_events(&never, DROP_ARGS, CALLBACK, DROP_RESULT, RELEASE);

	story_init(&none);
	struct mppool_func of_none = story_func(&none);
	of_none.call = fail_call;
	assert_ok(mppool_apply_async(pool, &of_none, MPPOOL_ARGS(&(int){EIO}), NOTE(&none), &result));
	assert_code(mppool_result_get(result, &y, MPPOOL_FOREVER), MPPOOL_ETASK);
	ck_assert_uint_eq(recorded_count(&none.events), 1);
	mppool_result_free(result);
	assert_polled(pool, 1);
	assert_events(&none, DROP_ARGS, ERROR_CALLBACK, RELEASE);
	pool_finish(pool);
}
END_TEST

START_TEST(result_outlives_its_pool_and_its_callback)
{
	mppool *const pool = polled_pool(1);
	const struct mppool_func func = square();
	struct story story;
	mppool_result *result = NULL;
	int y = 0;

	story_init(&story);
	assert_ok(mppool_apply_async(pool, &func, MPPOOL_ARGS(&(int){7}), NOTE(&story), &result));
	pool_finish(pool);
	assert_ok(mppool_result_get(result, &y, 0));
	ck_assert_int_eq(y, 49);
	ck_assert_ptr_eq(mppool_result_userdata(result), &story);
	mppool_result_free(result);
	assert_events(&story, CALLBACK);
}
END_TEST

/* --------------------------------------------------------------------------------------------------------- waiting */

START_TEST(poll_with_nothing_due_returns_at_its_time)
{
	mppool *const pool = polled_pool(1);
	size_t n = 9;
	double start;

	assert_polled(pool, 0);
	start = seconds_now();
	assert_ok(mppool_poll(pool, 0.03, &n));
	ck_assert_uint_eq(n, 0);
	ck_assert_double_ge(seconds_now() - start, 0.03);
	assert_ok(mppool_poll(pool, 0, NULL));
	pool_finish(pool);
}
END_TEST

struct poller {
	mppool *pool;
	double timeout;
	size_t n;
	int code;
};

static void run_poll(void *arg)
{
	struct poller *const poller = arg;

	poller->n = 999;
	poller->code = mppool_poll(poller->pool, poller->timeout, &poller->n);
}

START_TEST(poll_waits_until_a_callback_is_due)
{
	struct poller poller = {.pool = polled_pool(1), .timeout = MPPOOL_FOREVER};
	struct runner runner;
	struct story story;
	struct gate gate;

	story_init(&story);
	gate_init(&gate);
	const struct mppool_func func = make_func(gate_call, 1, sizeof(int), &gate);
	assert_ok(mppool_apply_async(poller.pool, &func, MPPOOL_ARGS(&(int){1}), NOTE(&story), NULL));
	runner_start(&runner, run_poll, &poller);
	gate_wait_arrivals(&gate, 1);
	pause_briefly();
	ck_assert(!runner_done(&runner));
	gate_open(&gate);
	runner_join(&runner);
	assert_ok(poller.code);
	ck_assert_uint_eq(poller.n, 1);
	ck_assert_int_ne(story.thread, thread_id());
	pool_finish(poller.pool);
	gate_destroy(&gate);
	assert_events(&story, CALLBACK);
}
END_TEST

/* Pollers that wait for ever, until the pool ends in this way. */
static void pool_ends_under_pollers(int (*end)(mppool *))
{
	struct poller pollers[3];
	struct runner runners[3];
	mppool *const pool = polled_pool(2);

	for (int i = 0; i < 3; i++) {
		pollers[i] = (struct poller){.pool = pool, .timeout = MPPOOL_FOREVER};
		runner_start(&runners[i], run_poll, &pollers[i]);
	}
	pause_briefly();
	for (int i = 0; i < 3; i++)
		ck_assert(!runner_done(&runners[i]));
	assert_ok(end(pool));
	for (int i = 0; i < 3; i++) {
		runner_join(&runners[i]);
		assert_ok(pollers[i].code);
		ck_assert_uint_eq(pollers[i].n, 0);
	}
	assert_ok(mppool_destroy(pool));
}

START_TEST(poll_returns_when_no_callback_can_come_any_more)
{
	pool_ends_under_pollers(mppool_close);
	pool_ends_under_pollers(mppool_terminate);
}
END_TEST

START_TEST(close_and_join_do_not_wait_for_callbacks_and_poll_works_after_them)
{
	mppool *const pool = polled_pool(2);
	const struct mppool_func func = square();
	struct story stories[5];
	size_t n = 0;

	for (int i = 0; i < 5; i++) {
		story_init(&stories[i]);
		assert_ok(mppool_apply_async(pool, &func, MPPOOL_ARGS(&i), NOTE(&stories[i]), NULL));
	}
	assert_ok(mppool_close(pool));
	assert_ok(mppool_join(pool, MPPOOL_FOREVER));
	for (int i = 0; i < 5; i++)
		ck_assert_uint_eq(recorded_count(&stories[i].events), 0);
	assert_ok(mppool_poll(pool, MPPOOL_FOREVER, &n));
	ck_assert_uint_eq(n, 5);
	assert_ok(mppool_poll(pool, MPPOOL_FOREVER, &n));
	ck_assert_uint_eq(n, 0);
	assert_ok(mppool_destroy(pool));
	for (int i = 0; i < 5; i++) {
		ck_assert_int_eq(stories[i].value, i * i);
		assert_events(&stories[i], CALLBACK);
	}
}
END_TEST

START_TEST(wait_idle_does_not_wait_for_callbacks)
{
	mppool *const pool = polled_pool(2);
	const struct mppool_func func = square();
	struct story story;

	story_init(&story);
	for (int i = 0; i < 10; i++)
		assert_ok(mppool_apply_async(pool, &func, MPPOOL_ARGS(&i), NOTE(&story), NULL));
	assert_ok(mppool_wait_idle(pool, MPPOOL_FOREVER));
	ck_assert_uint_eq(recorded_count(&story.events), 0);
	assert_polled(pool, 10);
	assert_ok(mppool_wait_idle(pool, 0));
	pool_finish(pool);
	ck_assert_uint_eq(recorded_count(&story.events), 10);
	recorder_destroy(&story.events);
}
END_TEST

static void destroy_runs_what_is_left(int (*end)(mppool *), bool join)
{
	mppool *const pool = polled_pool(1);
	const struct mppool_func func = square();
	struct story done, queued;
	struct hold hold;

	story_init(&done);
	story_init(&queued);
	make_due(pool, &done);
	hold_workers(&hold, pool, 1);
	assert_ok(mppool_apply_async(pool, &func, MPPOOL_ARGS(&(int){3}), NOTE(&queued), NULL));
	if (end)
		assert_ok(end(pool));
	hold_release(&hold);
	if (join)
		assert_ok(mppool_join(pool, MPPOOL_FOREVER));
	ck_assert_uint_eq(recorded_count(&done.events), 0);
	assert_ok(mppool_destroy(pool));
	ck_assert_int_eq(done.thread, thread_id());
	ck_assert_int_eq(queued.thread, thread_id());
	assert_events(&done, CALLBACK);
	if (end == mppool_terminate) {
		ck_assert_int_eq(queued.code, MPPOOL_ETERMINATED);
		assert_events(&queued, ERROR_CALLBACK);
	} else {
		ck_assert_uint_eq(recorded_count(&queued.events), 1);    /* it may have started before the end came */
		recorder_destroy(&queued.events);
	}
}

START_TEST(destroy_runs_the_callbacks_that_are_left)
{
	destroy_runs_what_is_left(mppool_close, true);
	destroy_runs_what_is_left(mppool_close, false);
	destroy_runs_what_is_left(mppool_terminate, true);
	destroy_runs_what_is_left(mppool_terminate, false);
	destroy_runs_what_is_left(NULL, false);
}
END_TEST

struct from_initializer {
	struct story story;
	atomic_int submitted;
};

static int submit_and_fail(void *initarg, void **ret_state)
{
	struct from_initializer *const from = initarg;
	const struct mppool_func func = square();

	(void)ret_state;
	atomic_store(&from->submitted, mppool_apply_async(mppool_current(), &func, MPPOOL_ARGS(&(int){1}),
	                                                  NOTE(&from->story), NULL));
	return EIO;
}

START_TEST(callback_of_a_pool_that_could_not_be_created_is_run)
{
	struct from_initializer from = {.submitted = -1};
	mppool *pool = NULL;

	story_init(&from.story);
	assert_code(mppool_create(MPPOOL_OPTIONS(.workers = 1, .callback_mode = MPPOOL_CALLBACKS_POLL,
	                                         .initializer = submit_and_fail, .initarg = &from),
	                          &pool),
	            MPPOOL_EBROKEN);
	ck_assert_ptr_null(pool);
	assert_ok(from.submitted);
	ck_assert_int_eq(from.story.code, EIO);
	assert_events(&from.story, ERROR_CALLBACK);
}
END_TEST

START_TEST(no_thread_waits_for_callbacks_and_nobody_wakes)
{
	mppool *const pool = polled_pool(2);
	struct story story;

	story_init(&story);
	make_due(pool, &story);
	ck_assert_uint_eq(threads_settle("mppool-", 4), 4);
	ck_assert_uint_eq(threads_named("mppool-result"), 0);
	ck_assert(thread_sleeps("mppool-w0") && thread_sleeps("mppool-w1") && thread_sleeps("mppool-task"));
	ck_assert(threads_stand_still("mppool-", 0.1));
	pool_finish(pool);
	assert_events(&story, CALLBACK);
}
END_TEST

/* ------------------------------------------------------------------------------------------------- several pollers */

struct held_callback {
	struct gate gate;
	atomic_int called;
};

static void held_done(const void *results, size_t n, void *userdata)
{
	struct held_callback *const held = userdata;

	(void)results;
	(void)n;
	gate_wait(&held->gate);
	atomic_fetch_add(&held->called, 1);
}

START_TEST(second_poller_waits_for_its_turn_or_times_out)
{
	struct poller first = {.pool = polled_pool(1), .timeout = MPPOOL_FOREVER}, third = first;
	const struct mppool_func func = square();
	struct held_callback held = {.called = 0};
	struct runner runner, other;
	struct story story;
	size_t n = 7;

	gate_init(&held.gate);
	story_init(&story);
	assert_ok(mppool_apply_async(first.pool, &func, MPPOOL_ARGS(&(int){1}),
	                             MPPOOL_CALL(.callback = held_done, .userdata = &held), NULL));
	runner_start(&runner, run_poll, &first);
	gate_wait_arrivals(&held.gate, 1);
	/* A callback is running, and none is due. */
	assert_polled(first.pool, 0);
	assert_ok(mppool_poll(first.pool, 0.01, &n));
	ck_assert_uint_eq(n, 0);
	make_due(first.pool, &story);
	n = 7;
	assert_code(mppool_poll(first.pool, 0, &n), ETIMEDOUT);
	assert_code(mppool_poll(first.pool, 0.01, &n), ETIMEDOUT);
	ck_assert_uint_eq(n, 7);
	third.pool = first.pool;
	runner_start(&other, run_poll, &third);
	pause_briefly();
	ck_assert(!runner_done(&other));
	ck_assert_uint_eq(recorded_count(&story.events), 0);
	gate_open(&held.gate);
	runner_join(&runner);
	assert_ok(first.code);
	ck_assert_uint_eq(first.n, 1);           /* what came due since its turn began is for the next */
	runner_join(&other);
	assert_ok(third.code);
	ck_assert_uint_eq(third.n, 1);
	pool_finish(first.pool);
	gate_destroy(&held.gate);
	assert_events(&story, CALLBACK);
}
END_TEST

struct crowd {
	mppool *pool;
	struct recorder order;
	struct level inside;
	atomic_size_t run, failed;
};

struct one_of_crowd {
	struct crowd *crowd;
	int number;
};

static void crowd_done(const void *results, size_t n, void *userdata)
{
	const struct one_of_crowd *const one = userdata;

	level_enter(&one->crowd->inside);
	if (n != 1 || *(const int *)results != one->number * one->number)
		atomic_fetch_add(&one->crowd->failed, 1);
	record(&one->crowd->order, one->number);
	level_leave(&one->crowd->inside);
}

static void crowd_poll(size_t i, void *arg)
{
	struct crowd *const crowd = arg;
	size_t n;

	do {
		const int code = mppool_poll(crowd->pool, i % 2 ? 0.001 : MPPOOL_FOREVER, &n);
		if (code == ETIMEDOUT) {
			n = 1;
			continue;
		}
		if (code)
			atomic_fetch_add(&crowd->failed, 1);
		atomic_fetch_add(&crowd->run, n);
		if (n == 0 && i % 2 && mppool_join(crowd->pool, 0) == ETIMEDOUT)
			n = 1;                   /* it was only the time */
	} while (n > 0);
}

/* One worker, so they complete in the order of submission; all come in that order, one at a time, whoever polls. */
START_TEST(callbacks_come_once_each_in_order_to_several_pollers)
{
	const int total = SLOW ? 500 : 20000;
	struct crowd crowd = {.pool = polled_pool(1)};
	struct one_of_crowd *const ones = calloc((size_t)total, sizeof *ones);
	const struct mppool_func func = square();

	ck_assert_ptr_nonnull(ones);
	recorder_init(&crowd.order);
	for (int i = 0; i < total; i++) {
		ones[i] = (struct one_of_crowd){&crowd, i};
		assert_ok(mppool_apply_async(crowd.pool, &func, MPPOOL_ARGS(&i),
		                             MPPOOL_CALL(.callback = crowd_done, .userdata = &ones[i]), NULL));
	}
	assert_ok(mppool_close(crowd.pool));
	run_in_threads(4, crowd_poll, &crowd);
	ck_assert_uint_eq(crowd.failed, 0);
	ck_assert_uint_eq(crowd.run, (size_t)total);
	ck_assert_uint_eq(crowd.inside.peak, 1);
	ck_assert(recorded_each_once(&crowd.order, 0, (size_t)total));
	ck_assert(recorded_ascending(&crowd.order));
	assert_ok(mppool_destroy(crowd.pool));
	recorder_destroy(&crowd.order);
	free(ones);
}
END_TEST

/* --------------------------------------------------------------------------------------------- what callbacks may do */

struct inside {
	mppool *pool, *other;
	mppool_result *own, *pending;
	struct story *story;
	int poll, poll_other, join, close, destroy, apply, map, wait, wait_own, fd, fd_value, submit;
	int current, worker, ready, ready_after, stop;
	size_t n;
};

static void from_inside(const void *results, size_t n, void *userdata)
{
	struct inside *const in = userdata;
	const struct mppool_func func = square();
	const int xs[] = {1, 2};
	int y;

	(void)results;
	(void)n;
	in->n = 5;
	in->poll = mppool_poll(in->pool, 0, &in->n);
	in->poll_other = mppool_poll(in->other, 0, NULL);
	in->current = mppool_current() == in->pool;
	in->worker = mppool_worker_index();
	in->stop = mppool_should_stop();
	in->ready = mppool_result_ready(in->own);
	in->wait_own = mppool_result_get(in->own, &y, MPPOOL_FOREVER);
	in->wait = mppool_result_wait(in->pending, MPPOOL_FOREVER);
	in->apply = mppool_apply(in->pool, &func, MPPOOL_ARGS(xs), &y);
	in->map = mppool_map(in->pool, &func, MPPOOL_ARRAY(xs, 2), NULL, 0);
	in->fd = mppool_fd(in->pool, &in->fd_value);
	in->submit = mppool_apply_async(in->pool, &func, MPPOOL_ARGS(xs), NOTE(in->story), NULL);
	mppool_result_free(in->own);
	in->close = mppool_close(in->pool);
	in->join = mppool_join(in->pool, MPPOOL_FOREVER);
	in->destroy = mppool_destroy(in->pool);
}

START_TEST(callback_may_do_all_but_block_on_its_own_pool)
{
	struct inside in = {.pool = polled_pool(1), .other = polled_pool(1)};
	const struct mppool_func func = square();
	struct story story;
	struct hold hold;

	story_init(&story);
	in.story = &story;
	assert_ok(mppool_apply_async(in.pool, &func, MPPOOL_ARGS(&(int){1}),
	                             MPPOOL_CALL(.callback = from_inside, .userdata = &in), &in.own));
	assert_ok(mppool_result_wait(in.own, MPPOOL_FOREVER));
	hold_workers(&hold, in.pool, 1);
	assert_ok(mppool_apply_async(in.pool, &func, MPPOOL_ARGS(&(int){1}), NULL, &in.pending));
	assert_polled(in.pool, 1);
	assert_code(in.poll, EDEADLK);
	ck_assert_uint_eq(in.n, 5);
	assert_ok(in.poll_other);
	ck_assert_int_eq(in.current, 1);
	ck_assert_int_eq(in.worker, -1);
	ck_assert_int_eq(in.stop, 0);
	ck_assert_int_eq(in.ready, 1);
	assert_ok(in.wait_own);
	assert_code(in.wait, EDEADLK);
	assert_code(in.apply, EDEADLK);
	assert_code(in.map, EDEADLK);
	assert_ok(in.fd);
	assert_ok(in.submit);
	assert_ok(in.close);
	assert_code(in.join, EDEADLK);
	assert_code(in.destroy, EDEADLK);
	ck_assert_int_eq(mppool_state(in.pool), MPPOOL_TERMINATED);
	hold_release(&hold);
	assert_code(mppool_result_wait(in.pending, 0), 0);
	mppool_result_free(in.pending);
	assert_polled(in.pool, 1);
	ck_assert_int_eq(story.code, MPPOOL_ETERMINATED);
	assert_ok(mppool_destroy(in.pool));
	pool_finish(in.other);
	assert_events(&story, ERROR_CALLBACK);
}
END_TEST

struct chain {
	mppool *pool;
	size_t called, most;
	int code;
};

/* An empty input is ready, and its callback due, when the call that submits it returns. */
static void chain_done(const void *results, size_t n, void *userdata)
{
	struct chain *const chain = userdata;
	const struct mppool_func func = square();
	const int *const none = NULL;

	(void)results;
	(void)n;
	if (++chain->called < chain->most)
		chain->code |= mppool_map_async(chain->pool, &func, MPPOOL_ARRAY(none, 0), NULL, 0,
		                                MPPOOL_CALL(.callback = chain_done, .userdata = chain), NULL);
}

START_TEST(poll_returns_although_callbacks_submit_more)
{
	struct chain chain = {.pool = polled_pool(1), .most = 1000};
	const struct mppool_func func = square();
	const int *const none = NULL;
	int fd = -1;

	assert_ok(mppool_fd(chain.pool, &fd));
	for (int i = 0; i < 2; i++)
		assert_ok(mppool_map_async(chain.pool, &func, MPPOOL_ARRAY(none, 0), NULL, 0,
		                           MPPOOL_CALL(.callback = chain_done, .userdata = &chain), NULL));
	for (size_t round = 1; round <= 10; round++) {
		assert_polled(chain.pool, 2);
		ck_assert_uint_eq(chain.called, 2 * round);
		ck_assert(is_readable(fd));
	}
	chain.most = 22;
	assert_polled(chain.pool, 2);
	assert_polled(chain.pool, 1);            /* of these two the first submitted one more */
	assert_ok(chain.code);
	pool_finish(chain.pool);
}
END_TEST

START_TEST(callback_submits_to_a_closed_pool_until_it_is_finished)
{
	struct chain chain = {.pool = polled_pool(1), .most = 1000};
	const struct mppool_func func = square();
	const int *const none = NULL;
	struct hold hold;

	hold_workers(&hold, chain.pool, 1);
	assert_ok(mppool_map_async(chain.pool, &func, MPPOOL_ARRAY(none, 0), NULL, 0,
	                           MPPOOL_CALL(.callback = chain_done, .userdata = &chain), NULL));
	assert_ok(mppool_close(chain.pool));
	assert_polled(chain.pool, 1);
	assert_ok(chain.code);
	hold_release(&hold);
	assert_ok(mppool_join(chain.pool, MPPOOL_FOREVER));
	assert_polled(chain.pool, 1);
	assert_code(chain.code, MPPOOL_ECLOSED);
	assert_polled(chain.pool, 0);
	assert_ok(mppool_destroy(chain.pool));
	ck_assert_uint_eq(chain.called, 2);
}
END_TEST

static void exit_thread(const void *results, size_t n, void *userdata)
{
	(void)results;
	(void)n;
	record(&((struct story *)userdata)->events, CALLBACK);
	pthread_exit(NULL);
}

static void *poll_in_thread(void *arg)
{
	size_t n;

	mppool_poll(arg, 0, &n);
	return NULL;
}

static void *destroy_in_thread(void *arg)
{
	mppool_destroy(arg);
	return arg;
}

/* Submits a call whose callback leaves the thread, between two that do not. */
static void three_due(mppool *pool, struct story *before, struct story *leaving, struct story *after)
{
	const struct mppool_func func = story_func(leaving);
	mppool_result *result = NULL;

	make_due(pool, before);
	assert_ok(mppool_apply_async(pool, &func, MPPOOL_ARGS(&(int){7}),
	                             MPPOOL_CALL(.callback = exit_thread, .userdata = leaving), &result));
	assert_ok(mppool_result_wait(result, MPPOOL_FOREVER));
	mppool_result_free(result);
	make_due(pool, after);
}

START_TEST(callback_that_leaves_its_thread_leaves_the_others_to_the_next_poll)
{
	mppool *const pool = polled_pool(1);
	struct story before, leaving, after;
	pthread_t thread;
	int fd = -1;

	story_init(&before);
	story_init(&leaving);
	story_init(&after);
	three_due(pool, &before, &leaving, &after);
	assert_ok(mppool_fd(pool, &fd));
	ck_assert_int_eq(pthread_create(&thread, NULL, poll_in_thread, pool), 0);
	pthread_join(thread, NULL);
	ck_assert_uint_eq(recorded_count(&before.events), 1);
	ck_assert_uint_eq(recorded_count(&after.events), 0);
	ck_assert(is_readable(fd));
	assert_polled(pool, 1);
	ck_assert(!is_readable(fd));
	pool_finish(pool);
	assert_events(&before, CALLBACK);
	assert_events(&leaving, DROP_ARGS, CALLBACK, DROP_RESULT, RELEASE);
	assert_events(&after, CALLBACK);
}
END_TEST

START_TEST(destroy_left_by_a_callback_can_be_called_again)
{
	mppool *const pool = polled_pool(1);
	struct story before, leaving, after;
	pthread_t thread;
	void *returned = pool;

	story_init(&before);
	story_init(&leaving);
	story_init(&after);
	three_due(pool, &before, &leaving, &after);
	ck_assert_int_eq(pthread_create(&thread, NULL, destroy_in_thread, pool), 0);
	pthread_join(thread, &returned);
	ck_assert_ptr_null(returned);
	assert_ok(mppool_destroy(pool));
	assert_events(&before, CALLBACK);
	assert_events(&leaving, DROP_ARGS, CALLBACK, DROP_RESULT, RELEASE);
	assert_events(&after, CALLBACK);
}
END_TEST

struct leaving {
	struct gate gate;
	atomic_int called;
};

static void wait_and_exit(const void *results, size_t n, void *userdata)
{
	struct leaving *const leaving = userdata;

	(void)results;
	(void)n;
	gate_wait(&leaving->gate);
	atomic_fetch_add(&leaving->called, 1);
	pthread_exit(NULL);
}

/* A poller that waits is handed the turn of one whose callback left its thread. */
START_TEST(turn_of_a_thread_that_left_goes_on_to_a_waiting_poller)
{
	struct poller poller = {.pool = polled_pool(1), .timeout = MPPOOL_FOREVER};
	const struct mppool_func func = square();
	struct leaving leaving = {.called = 0};
	mppool_result *result = NULL;
	struct story after;
	struct runner runner;
	pthread_t thread;

	gate_init(&leaving.gate);
	story_init(&after);
	assert_ok(mppool_apply_async(poller.pool, &func, MPPOOL_ARGS(&(int){1}),
	                             MPPOOL_CALL(.callback = wait_and_exit, .userdata = &leaving), &result));
	assert_ok(mppool_result_wait(result, MPPOOL_FOREVER));
	mppool_result_free(result);
	ck_assert_int_eq(pthread_create(&thread, NULL, poll_in_thread, poller.pool), 0);
	gate_wait_arrivals(&leaving.gate, 1);
	make_due(poller.pool, &after);
	runner_start(&runner, run_poll, &poller);
	pause_briefly();
	ck_assert(!runner_done(&runner));
	gate_open(&leaving.gate);
	pthread_join(thread, NULL);
	runner_join(&runner);
	assert_ok(poller.code);
	ck_assert_uint_eq(poller.n, 1);
	ck_assert_int_eq(leaving.called, 1);
	pool_finish(poller.pool);
	gate_destroy(&leaving.gate);
	assert_events(&after, CALLBACK);
}
END_TEST

/* ------------------------------------------------------------------------------------------------------- in a task */

struct task_poll {
	mppool *pool;
	struct story *story;
	struct gate *gate;
	atomic_int empty, blocking, some;
	atomic_size_t n, m;
};

static int polling_call(const void *const args[], void *result, void *context)
{
	struct task_poll *const poll = context;
	const struct mppool_func func = square();
	const int *const none = NULL;
	size_t n = 99;

	(void)args;
	(void)result;
	atomic_store(&poll->empty, mppool_poll(poll->pool, 0, &n));
	atomic_store(&poll->n, n);
	atomic_store(&poll->blocking, mppool_poll(poll->pool, MPPOOL_FOREVER, &n));
	if (mppool_map_async(poll->pool, &func, MPPOOL_ARRAY(none, 0), NULL, 0, NOTE(poll->story), NULL) == 0)
		atomic_store(&poll->some, mppool_poll(poll->pool, MPPOOL_FOREVER, &n));
	atomic_store(&poll->m, n);
	return mppool_worker_index();
}

START_TEST(task_may_poll_but_not_wait_for_callbacks_of_its_own_pool)
{
	struct task_poll poll = {.pool = polled_pool(1), .empty = -1, .blocking = -1, .some = -1};
	const struct mppool_func func = make_func(polling_call, 0, 0, &poll);
	struct story story;

	story_init(&story);
	poll.story = &story;
	assert_ok(mppool_apply(poll.pool, &func, NULL, NULL));
	assert_ok(poll.empty);
	ck_assert_uint_eq(poll.n, 0);
	assert_code(poll.blocking, EDEADLK);
	assert_ok(poll.some);
	ck_assert_uint_eq(poll.m, 1);
	pool_finish(poll.pool);
	assert_events(&story, CALLBACK);
}
END_TEST

/* ---------------------------------------------------------------------------------------------------------- errors */

START_TEST(bad_arguments_and_the_other_mode_are_refused)
{
	mppool *const other = pool_of(1), *const pool = polled_pool(1);
	struct story story;
	size_t n = 5;
	int fd = -7;

	story_init(&story);
	make_due(pool, &story);
	assert_code(mppool_poll(NULL, 0, &n), EINVAL);
	assert_code(mppool_poll(other, 0, &n), EINVAL);
	assert_code(mppool_poll(pool, (double)NAN, &n), EINVAL);
	assert_code(mppool_fd(NULL, &fd), EINVAL);
	assert_code(mppool_fd(other, &fd), EINVAL);
	assert_code(mppool_fd(pool, NULL), EINVAL);
	ck_assert_uint_eq(n, 5);
	ck_assert_int_eq(fd, -7);
	ck_assert_uint_eq(recorded_count(&story.events), 0);
	pool_finish(other);
	pool_finish(pool);
	assert_events(&story, CALLBACK);
}
END_TEST

/* -------------------------------------------------------------------------------------------------- the descriptor */

START_TEST(fd_is_readable_exactly_while_callbacks_are_due)
{
	mppool *const pool = polled_pool(1);
	const struct mppool_func func = square();
	struct story stories[3];
	struct gate gate;
	mppool_result *result = NULL;
	int fd = -1, again = -1;

	gate_init(&gate);
	for (int i = 0; i < 3; i++)
		story_init(&stories[i]);
	const struct mppool_func gated = make_func(gate_call, 1, sizeof(int), &gate);
	assert_ok(mppool_fd(pool, &fd));
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	ck_assert_int_eq(fcntl(fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
	ck_assert(!is_readable(fd));
	assert_ok(mppool_apply_async(pool, &gated, MPPOOL_ARGS(&(int){1}), NOTE(&stories[0]), &result));
	gate_wait_arrivals(&gate, 1);
	ck_assert(!is_readable(fd));                     /* it runs */
	gate_open(&gate);
	assert_ok(mppool_result_wait(result, MPPOOL_FOREVER));
	ck_assert(is_readable(fd));
	ck_assert(is_readable(fd));                      /* level, not edge */
	mppool_result_free(result);
	ck_assert(is_readable(fd));
	make_due(pool, &stories[1]);
	ck_assert(is_readable(fd));
	assert_polled(pool, 2);
	ck_assert(!is_readable(fd));
	assert_polled(pool, 0);
	assert_ok(mppool_apply(pool, &func, MPPOOL_ARGS(&(int){1}), NULL));
	ck_assert(!is_readable(fd));                     /* a call without callbacks */
	assert_ok(mppool_apply_async(pool, &func, MPPOOL_ARGS(&(int){1}), NOTE(&stories[2]), NULL));
	assert_ok(mppool_close(pool));
	assert_ok(mppool_join(pool, MPPOOL_FOREVER));
	ck_assert(is_readable(fd));
	assert_polled(pool, 1);
	ck_assert(!is_readable(fd));
	assert_ok(mppool_fd(pool, &again));
	ck_assert_int_eq(again, fd);
	assert_ok(mppool_destroy(pool));
	ck_assert_int_eq(fcntl(fd, F_GETFD), -1);
	for (int i = 0; i < 3; i++)
		assert_events(&stories[i], CALLBACK);
	gate_destroy(&gate);
}
END_TEST

START_TEST(fd_asked_for_late_is_readable_at_once)
{
	const size_t before = open_descriptors();
	mppool *pool = polled_pool(1);
	struct story due, joined;
	int fd = -1;

	story_init(&due);
	story_init(&joined);
	make_due(pool, &due);
	ck_assert_uint_eq(open_descriptors(), before);   /* not asked for: none */
	assert_ok(mppool_fd(pool, &fd));
	ck_assert(is_readable(fd));
	assert_polled(pool, 1);
	ck_assert(!is_readable(fd));
	pool_finish(pool);
	ck_assert_uint_eq(open_descriptors(), before);

	pool = polled_pool(1);
	make_due(pool, &joined);
	assert_ok(mppool_terminate(pool));
	assert_ok(mppool_join(pool, MPPOOL_FOREVER));
	assert_ok(mppool_fd(pool, &fd));
	ck_assert(is_readable(fd));
	assert_ok(mppool_destroy(pool));
	ck_assert_uint_eq(open_descriptors(), before);
	assert_events(&due, CALLBACK);
	assert_events(&joined, CALLBACK);
}
END_TEST

struct see_fd {
	int fd, readable[2];
	size_t n;
};

static void look_at_fd(const void *results, size_t n, void *userdata)
{
	struct see_fd *const see = userdata;
	struct pollfd look = {.fd = see->fd, .events = POLLIN};

	(void)results;
	(void)n;
	see->readable[see->n++] = poll(&look, 1, 0);
}

/* What runs is not due any more. */
START_TEST(fd_in_a_callback_tells_of_the_others)
{
	mppool *const pool = polled_pool(1);
	const struct mppool_func func = square();
	struct see_fd see = {.n = 0};

	assert_ok(mppool_fd(pool, &see.fd));
	for (int i = 0; i < 2; i++)
		assert_ok(mppool_apply_async(pool, &func, MPPOOL_ARGS(&i),
		                             MPPOOL_CALL(.callback = look_at_fd, .userdata = &see), NULL));
	assert_ok(mppool_close(pool));
	assert_ok(mppool_join(pool, MPPOOL_FOREVER));
	assert_polled(pool, 2);
	ck_assert_int_eq(see.readable[0], 1);
	ck_assert_int_eq(see.readable[1], 0);
	assert_ok(mppool_destroy(pool));
}
END_TEST

struct asking {
	mppool *pool;
	atomic_int fds[8];
};

static void ask_for_fd(size_t i, void *arg)
{
	struct asking *const asking = arg;
	int fd = -1;

	if (mppool_fd(asking->pool, &fd) == 0)
		atomic_store(&asking->fds[i], fd);
}

START_TEST(threads_that_ask_for_the_first_fd_at_once_get_the_same)
{
	const size_t before = open_descriptors();

	for (int round = 0; round < (SLOW ? 20 : 1000); round++) {
		struct asking asking = {.pool = polled_pool(1)};
		struct story story;
		story_init(&story);
		make_due(asking.pool, &story);
		run_in_threads(8, ask_for_fd, &asking);
		ck_assert_int_gt(asking.fds[0], 0);
		for (int i = 1; i < 8; i++)
			ck_assert_int_eq(asking.fds[i], asking.fds[0]);
		ck_assert(is_readable(asking.fds[0]));
		assert_polled(asking.pool, 1);
		pool_finish(asking.pool);
		ck_assert_uint_eq(open_descriptors(), before);
		assert_events(&story, CALLBACK);
	}
}
END_TEST

START_TEST(fd_without_descriptors_left_fails_and_changes_nothing)
{
	mppool *const pool = polled_pool(1);
	struct rlimit limit, none;
	struct story story;
	int fd = -7;

	story_init(&story);
	make_due(pool, &story);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	none = limit;
	none.rlim_cur = 0;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	const int code = mppool_fd(pool, &fd), again = mppool_fd(pool, &fd);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_code(code, EMFILE);
	assert_code(again, EMFILE);
	ck_assert_int_eq(fd, -7);
	assert_ok(mppool_fd(pool, &fd));
	ck_assert(is_readable(fd));
	assert_polled(pool, 1);
	ck_assert(!is_readable(fd));
	pool_finish(pool);
	assert_events(&story, CALLBACK);
}
END_TEST

START_TEST(many_pools_leave_no_descriptor_open)
{
	const size_t before = open_descriptors();
	const int rounds = SLOW ? 300 : 10000;
	struct story story;

	story_init(&story);
	for (int i = 0; i < rounds; i++) {
		mppool *const pool = polled_pool(1);
		int fd = -1;
		if (i % 2)
			assert_ok(mppool_fd(pool, &fd));
		if (i % 3 == 0)
			make_due(pool, &story);
		if (i % 4 == 0)
			assert_ok(mppool_fd(pool, &fd));
		ck_assert_int_lt(fd, 64);
		assert_ok(mppool_destroy(pool));
	}
	ck_assert_uint_eq(open_descriptors(), before);
	ck_assert_uint_eq(recorded_count(&story.events), ((size_t)rounds + 2) / 3);
	recorder_destroy(&story.events);
}
END_TEST

#ifdef __linux__

struct loop {
	mppool *pool;
	atomic_size_t called;
	size_t sum;
};

static void loop_done(const void *results, size_t n, void *userdata)
{
	struct loop *const loop = userdata;

	(void)n;
	loop->sum += (size_t)*(const int *)results;
	atomic_fetch_add(&loop->called, 1);
}

#define LOOP_CALLS (SLOW ? (size_t)4000 : (size_t)100000)

static int one_call(const void *const args[], void *result, void *context)
{
	(void)args;
	(void)context;
	*(int *)result = 1;
	return 0;
}

static void loop_submit(void *arg)
{
	struct loop *const loop = arg;
	const struct mppool_func func = make_func(one_call, 0, sizeof(int), NULL);

	for (size_t i = 0; i < LOOP_CALLS; i++)
		if (mppool_apply_async(loop->pool, &func, NULL,
		                       MPPOOL_CALL(.callback = loop_done, .userdata = loop), NULL) != 0)
			return;
}

/* The loop blocks in epoll_wait alone: a wake-up that was missed would hang it, and one for nothing is seen. */
START_TEST(event_loop_gets_every_callback_and_no_empty_wake_up)
{
	struct loop loop = {.pool = polled_pool(2)};
	struct epoll_event event = {.events = EPOLLIN};
	struct runner runner;
	size_t n, empty = 0;
	int fd, set = epoll_create1(EPOLL_CLOEXEC);

	ck_assert_int_ge(set, 0);
	assert_ok(mppool_fd(loop.pool, &fd));
	ck_assert_int_eq(epoll_ctl(set, EPOLL_CTL_ADD, fd, &event), 0);
	runner_start(&runner, loop_submit, &loop);
	while (loop.called < LOOP_CALLS) {
		ck_assert_int_eq(epoll_wait(set, &event, 1, -1), 1);
		assert_ok(mppool_poll(loop.pool, 0, &n));
		empty += n == 0;
	}
	runner_join(&runner);
	ck_assert_uint_eq(loop.called, LOOP_CALLS);
	ck_assert_uint_eq(loop.sum, LOOP_CALLS);
	ck_assert_uint_eq(empty, 0);
	ck_assert_int_eq(epoll_wait(set, &event, 1, 0), 0);
	pool_finish(loop.pool);
	close(set);
}
END_TEST

/* Each callback but the last makes two more due before it returns. */
struct edges {
	mppool *pool;
	int called, submitted;
};

#define EDGE_CALLS 40

static void edge_called(const void *results, size_t n, void *userdata);

static void edge_submit(struct edges *e)
{
	const struct mppool_func func = make_func(square_call, 1, sizeof(int), NULL);
	const int x = 1;
	mppool_result *result = NULL;

	if (e->submitted == EDGE_CALLS)
		return;
	e->submitted++;
	if (mppool_apply_async(e->pool, &func, MPPOOL_ARGS(&x), MPPOOL_CALL(.callback = edge_called, .userdata = e),
	                       &result) != 0)
		abort();
	while (!mppool_result_ready(result))
		nap();
	mppool_result_free(result);
}

static void edge_called(const void *results, size_t n, void *userdata)
{
	struct edges *const e = userdata;

	(void)results;
	(void)n;
	e->called++;
	edge_submit(e);
	if (e->called % 3 == 0)
		edge_submit(e);
}

/* One poll for each event, as the loops of Tokio and Go do. */
START_TEST(edge_triggered_loop_gets_every_callback)
{
	struct edges e = {.pool = polled_pool(2)};
	struct epoll_event event = {.events = EPOLLIN | EPOLLET};
	int fd, set = epoll_create1(EPOLL_CLOEXEC);

	ck_assert_int_ge(set, 0);
	assert_ok(mppool_fd(e.pool, &fd));
	ck_assert_int_eq(epoll_ctl(set, EPOLL_CTL_ADD, fd, &event), 0);
	edge_submit(&e);
	edge_submit(&e);
	while (e.called < EDGE_CALLS) {
		ck_assert_int_eq(epoll_wait(set, &event, 1, -1), 1);
		assert_ok(mppool_poll(e.pool, 0, NULL));
	}
	ck_assert_int_eq(epoll_wait(set, &event, 1, 0), 0);
	pool_finish(e.pool);
	close(set);
}
END_TEST

#endif

static int cancel_self_call(const void *const args[], void *result, void *context)
{
	(void)args;
	(void)result;
	(void)context;
	pthread_cancel(pthread_self());
	return 0;
}

static void cancel_self(const void *results, size_t n, void *userdata)
{
	(void)results;
	(void)n;
	atomic_fetch_add((atomic_int *)userdata, 1);
	pthread_cancel(pthread_self());
}

struct outcome {
	mppool *pool;
	size_t n;
	int code;
};

static void *poll_and_return(void *arg)
{
	struct outcome *const outcome = arg;

	outcome->code = mppool_poll(outcome->pool, 0, &outcome->n);
	return arg;
}

/* The descriptor is raised and lowered with the pool's lock held, by calls that the system may cancel. */
START_TEST(cancelled_threads_are_not_ended_in_the_library)
{
	struct outcome outcome = {.pool = polled_pool(1), .n = 9, .code = -1};
	const struct mppool_func func = make_func(cancel_self_call, 0, 0, NULL);
	mppool_result *result = NULL;
	atomic_int called = 0;
	pthread_t thread;
	void *returned = NULL;
	int fd = -1;

	assert_ok(mppool_fd(outcome.pool, &fd));
	for (int i = 0; i < 3; i++) {
		assert_ok(mppool_apply_async(outcome.pool, &func, NULL,
		                             MPPOOL_CALL(.callback = cancel_self, .userdata = &called), &result));
		assert_ok(mppool_result_wait(result, MPPOOL_FOREVER));
		mppool_result_free(result);
	}
	ck_assert(is_readable(fd));
	ck_assert_int_eq(pthread_create(&thread, NULL, poll_and_return, &outcome), 0);
	ck_assert_int_eq(pthread_join(thread, &returned), 0);
	ck_assert_ptr_eq(returned, &outcome);
	assert_ok(outcome.code);
	ck_assert_uint_eq(outcome.n, 3);
	ck_assert_int_eq(called, 3);
	ck_assert(!is_readable(fd));
	pool_finish(outcome.pool);
}
END_TEST

/* ------------------------------------------------------------------------------------------------------------ fork */

START_TEST(child_of_fork_is_refused_and_disturbs_no_descriptor)
{
	mppool *const pool = polled_pool(1);
	const struct mppool_func func = square();
	struct story freed, kept, forgotten;
	mppool_result *first = NULL, *second = NULL;
	int fd = -1;

	story_init(&freed);
	story_init(&kept);
	story_init(&forgotten);
	assert_ok(mppool_fd(pool, &fd));
	assert_ok(mppool_apply_async(pool, &func, MPPOOL_ARGS(&(int){3}), NOTE(&freed), &first));
	assert_ok(mppool_apply_async(pool, &func, MPPOOL_ARGS(&(int){4}), NOTE(&kept), &second));
	make_due(pool, &forgotten);
	assert_ok(mppool_result_wait(first, MPPOOL_FOREVER));
	assert_ok(mppool_result_wait(second, MPPOOL_FOREVER));
	ck_assert(thread_sleeps("mppool-w0"));
	const pid_t child = fork_watched();
	if (child == 0) {
		size_t n = 3;
		int y = 0, again = -7;
		CHILD_CHECK(mppool_poll(pool, MPPOOL_FOREVER, &n) == MPPOOL_EFORKED && n == 3);
		CHILD_CHECK(mppool_fd(pool, &again) == MPPOOL_EFORKED && again == -7);
		CHILD_CHECK(mppool_result_get(first, &y, 0) == 0 && y == 9);
		mppool_result_free(first);
		CHILD_CHECK(mppool_destroy(pool) == 0);
		CHILD_CHECK(mppool_result_get(second, &y, 0) == 0 && y == 16);
		mppool_result_free(second);
		CHILD_CHECK(fcntl(fd, F_GETFD) == -1);
		CHILD_CHECK(recorded_count(&freed.events) == 0 && recorded_count(&kept.events) == 0);
		child_leaves();
	}
	child_ends_well(child);
	ck_assert(is_readable(fd));
	assert_polled(pool, 3);
	ck_assert(!is_readable(fd));
	mppool_result_free(first);
	mppool_result_free(second);
	pool_finish(pool);
	assert_events(&freed, CALLBACK);
	assert_events(&kept, CALLBACK);
	assert_events(&forgotten, CALLBACK);
}
END_TEST

static void fork_in_callback(const void *results, size_t n, void *userdata)
{
	(void)results;
	(void)n;
	*(pid_t *)userdata = fork_watched();
}

START_TEST(child_of_a_fork_in_a_callback_comes_back_from_poll)
{
	mppool *const pool = polled_pool(1);
	mppool_result *result = NULL;
	struct story forking, after;
	pid_t child = -1;
	size_t n = 9;
	int fd = -1;

	story_init(&forking);
	story_init(&after);
	struct mppool_func func = story_func(&forking);
	func.drop_result = NULL;
	assert_ok(mppool_fd(pool, &fd));
	assert_ok(mppool_apply_async(pool, &func, MPPOOL_ARGS(&(int){3}),
	                             MPPOOL_CALL(.callback = fork_in_callback, .userdata = &child), &result));
	assert_ok(mppool_result_wait(result, MPPOOL_FOREVER));
	make_due(pool, &after);
	ck_assert(thread_sleeps("mppool-w0"));
	const int code = mppool_poll(pool, 0, &n);
	if (child == 0) {
		CHILD_CHECK(code == MPPOOL_EFORKED && n == 9);
		CHILD_CHECK(mppool_current() == NULL);
		CHILD_CHECK(recorded_count(&after.events) == 0);
		CHILD_CHECK(recorded_count(&forking.events) == 1);
		mppool_result_free(result);
		CHILD_CHECK(mppool_destroy(pool) == 0);
		child_leaves();
	}
	child_ends_well(child);
	assert_ok(code);
	ck_assert_uint_eq(n, 2);
	ck_assert(!is_readable(fd));
	mppool_result_free(result);
	pool_finish(pool);
	assert_events(&forking, DROP_ARGS, RELEASE);
	assert_events(&after, CALLBACK);
}
END_TEST

/* ---------------------------------------------------------------------------------------------------------- stress */

struct stress {
	mppool *pool;
	atomic_size_t accepted, called, released, wrong;
	struct level inside;
	atomic_bool over;
};

static void stress_called(struct stress *stress)
{
	if (level_enter(&stress->inside) != 1)
		atomic_fetch_add(&stress->wrong, 1);
	atomic_fetch_add(&stress->called, 1);
	level_leave(&stress->inside);
}

static void stress_done(const void *results, size_t n, void *userdata)
{
	if (n < 1 || *(const int *)results != 25)
		atomic_fetch_add(&((struct stress *)userdata)->wrong, 1);
	stress_called(userdata);
}

static void stress_failed(const struct mppool_error *error, void *userdata)
{
	if (error->code != ECANCELED && error->code != MPPOOL_ETERMINATED)
		atomic_fetch_add(&((struct stress *)userdata)->wrong, 1);
	stress_called(userdata);
}

static void stress_drop_result(void *result, void *context)
{
	if (*(const int *)result != 25)
		atomic_fetch_add(&((struct stress *)context)->wrong, 1);
}

static void stress_release(void *context)
{
	atomic_fetch_add(&((struct stress *)context)->released, 1);
}

static void stress_submit(struct stress *stress, size_t seed)
{
	struct mppool_func func = make_func(square_call, 1, sizeof(int), stress);
	static const int xs[] = {5, 5, 5};
	int ys[3];

	func.drop_result = stress_drop_result;
	func.release = stress_release;
	for (size_t i = 0; i < (SLOW ? 300u : 5000u); i++) {
		mppool_result *result = NULL;
		const struct mppool_call_options *const options = MPPOOL_CALL(
			.callback = stress_done, .error_callback = stress_failed, .userdata = stress);
		const int code = (i + seed) % 3 ? mppool_apply_async(stress->pool, &func, MPPOOL_ARGS(xs), options,
		                                                     i % 5 ? &result : NULL)
		                                : mppool_map_async(stress->pool, &func, MPPOOL_ARRAY(xs, 3), NULL, 1,
		                                                   options, i % 5 ? &result : NULL);
		if (code)
			continue;
		atomic_fetch_add(&stress->accepted, 1);
		if (i % 4 == 1)
			mppool_result_cancel(result);
		if (i % 4 == 2)
			mppool_result_get(result, ys, MPPOOL_FOREVER);
		mppool_result_free(result);
	}
}

static void stress_poll(struct stress *stress)
{
	size_t n;

	while (!atomic_load(&stress->over)) {
		const int code = mppool_poll(stress->pool, 0.002, &n);
		if (code && code != ETIMEDOUT)
			atomic_fetch_add(&stress->wrong, 1);
	}
}

enum { STRESS_SUBMITTERS = 2, STRESS_THREADS = 5 };

static void stress_thread(size_t i, void *arg)
{
	struct stress *const stress = arg;
	static atomic_size_t submitted;
	int fd;

	if (i < STRESS_SUBMITTERS) {
		stress_submit(stress, i);
		if (atomic_fetch_add(&submitted, 1) % STRESS_SUBMITTERS == STRESS_SUBMITTERS - 1)
			atomic_store(&stress->over, true);
		return;
	}
	if (i == STRESS_SUBMITTERS)
		mppool_fd(stress->pool, &fd);
	stress_poll(stress);
}

static void stress_pool(bool terminate)
{
	struct stress stress = {.pool = polled_pool(2)};

	run_in_threads(STRESS_THREADS, stress_thread, &stress);
	if (terminate)
		assert_ok(mppool_terminate(stress.pool));
	assert_ok(mppool_close(stress.pool));
	assert_ok(mppool_destroy(stress.pool));
	ck_assert_uint_eq(stress.wrong, 0);
	ck_assert_uint_gt(stress.accepted, 0);
	ck_assert_uint_eq(stress.called, stress.accepted);
	ck_assert_uint_eq(stress.released, stress.accepted);
}

START_TEST(pollers_submitters_and_cancels_at_once_lose_nothing)
{
	stress_pool(false);
	stress_pool(true);
}
END_TEST

static void fill(Suite *suite)
{
	TCase *tcase = add_case(suite, "due");
	tcase_add_test(tcase, result_is_ready_before_its_callback_which_polling_runs);
	tcase_add_test(tcase, every_kind_of_call_comes_due_with_all_its_results);
	tcase_add_test(tcase, call_without_its_kind_of_callback_is_never_due);
	tcase_add_test(tcase, failed_canceled_and_terminated_calls_come_due_with_their_errors);
	tcase_add_test(tcase, callbacks_run_in_order_of_completion);

	tcase = add_case(suite, "memory");
	tcase_add_test(tcase, handle_freed_before_the_callback_leaves_it_the_results);
	tcase_add_test(tcase, forgotten_results_are_dropped_after_the_callback);
	tcase_add_test(tcase, release_comes_last_whenever_the_results_are_taken);
	tcase_add_test(tcase, result_outlives_its_pool_and_its_callback);

	tcase = add_case(suite, "waiting");
	tcase_add_test(tcase, poll_with_nothing_due_returns_at_its_time);
	tcase_add_test(tcase, poll_waits_until_a_callback_is_due);
	tcase_add_test(tcase, poll_returns_when_no_callback_can_come_any_more);
	tcase_add_test(tcase, close_and_join_do_not_wait_for_callbacks_and_poll_works_after_them);
	tcase_add_test(tcase, wait_idle_does_not_wait_for_callbacks);
	tcase_add_test(tcase, destroy_runs_the_callbacks_that_are_left);
	tcase_add_test(tcase, callback_of_a_pool_that_could_not_be_created_is_run);
	tcase_add_test(tcase, no_thread_waits_for_callbacks_and_nobody_wakes);

	tcase = add_case(suite, "pollers");
	tcase_add_test(tcase, second_poller_waits_for_its_turn_or_times_out);
	tcase_add_test(tcase, callbacks_come_once_each_in_order_to_several_pollers);
	tcase_add_test(tcase, pollers_submitters_and_cancels_at_once_lose_nothing);

	tcase = add_case(suite, "inside");
	tcase_add_test(tcase, callback_may_do_all_but_block_on_its_own_pool);
	tcase_add_test(tcase, poll_returns_although_callbacks_submit_more);
	tcase_add_test(tcase, callback_submits_to_a_closed_pool_until_it_is_finished);
	tcase_add_test(tcase, callback_that_leaves_its_thread_leaves_the_others_to_the_next_poll);
	tcase_add_test(tcase, destroy_left_by_a_callback_can_be_called_again);
	tcase_add_test(tcase, turn_of_a_thread_that_left_goes_on_to_a_waiting_poller);
	tcase_add_test(tcase, task_may_poll_but_not_wait_for_callbacks_of_its_own_pool);
	tcase_add_test(tcase, bad_arguments_and_the_other_mode_are_refused);

	tcase = add_case(suite, "fd");
	tcase_add_test(tcase, fd_is_readable_exactly_while_callbacks_are_due);
	tcase_add_test(tcase, fd_asked_for_late_is_readable_at_once);
	tcase_add_test(tcase, fd_in_a_callback_tells_of_the_others);
	tcase_add_test(tcase, threads_that_ask_for_the_first_fd_at_once_get_the_same);
	tcase_add_test(tcase, fd_without_descriptors_left_fails_and_changes_nothing);
	tcase_add_test(tcase, many_pools_leave_no_descriptor_open);
	tcase_add_test(tcase, cancelled_threads_are_not_ended_in_the_library);
#ifdef __linux__
	tcase_add_test(tcase, event_loop_gets_every_callback_and_no_empty_wake_up);
	tcase_add_test(tcase, edge_triggered_loop_gets_every_callback);
#endif

	tcase = add_case(suite, "fork");
	tcase_add_test(tcase, child_of_fork_is_refused_and_disturbs_no_descriptor);
	tcase_add_test(tcase, child_of_a_fork_in_a_callback_comes_back_from_poll);
}

int main(int argc, char **argv)
{
	return run_suite("poll", fill, argc, argv);
}
