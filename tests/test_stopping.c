/* test_stopping.c - tasks and generators that learn why they are to stop, and wait for that in poll(); results that come
 * late; iterators in event loops, and their progress
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE 1
#include "support.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LONG 20.0                /* seconds that nothing here takes unless something is wrong */

static int has_timerfd = 1;

/* -------------------------------------------------------------------------------------------------- tasks in poll() */

struct sleeper {
	struct gate started;             /* each comes by as it begins to wait */
	atomic_int reason, polled, code;
	atomic_int again;                /* descriptors that are another at the second call */
};

/* Sleeps until it is told to stop, and says what it saw. */
static int sleep_call(const void *const args[], void *result, void *context)
{
	struct sleeper *const s = context;
	struct pollfd p = {.events = POLLIN};
	int fd = -1;

	(void)args;
	atomic_store(&s->code, mppool_stop_fd(&p.fd));
	if (mppool_stop_fd(&fd) != 0 || fd != p.fd)
		atomic_fetch_add(&s->again, 1);
	gate_wait(&s->started);
	atomic_store(&s->polled, poll(&p, 1, (int)(LONG * 1000 * timeout_factor())));
	atomic_store(&s->reason, mppool_stop_reason());
	*(int *)result = mppool_should_stop();
	return 0;
}

static void sleeper_init(struct sleeper *s, struct mppool_func *f)
{
	memset(s, 0, sizeof *s);
	gate_init(&s->started);
	gate_open(&s->started);
	*f = make_func(sleep_call, 0, sizeof(int), s);
}

static void assert_stopped(struct sleeper *s, int reason)
{
	assert_ok(atomic_load(&s->code));
	ck_assert_int_eq(atomic_load(&s->again), 0);
	ck_assert_int_eq(atomic_load(&s->polled), 1);
	assert_code(atomic_load(&s->reason), reason);
	gate_destroy(&s->started);
}

START_TEST(stop_fd_says_that_the_call_was_cancelled)
{
	struct mppool_func f;
	struct sleeper s;
	mppool_result *result;
	mppool *const pool = pool_of(1);

	for (int map = 0; map < 2; map++) {
		sleeper_init(&s, &f);
		if (map)
			assert_ok(mppool_starmap_async(pool, &f, MPPOOL_TIMES(1), NULL, 1, NULL, &result));
		else
			assert_ok(mppool_apply_async(pool, &f, NULL, NULL, &result));
		gate_wait_arrivals(&s.started, 1);
		assert_code(mppool_result_cancel(result), EBUSY);
		assert_ok(mppool_result_wait(result, MPPOOL_FOREVER));
		mppool_result_free(result);
		assert_stopped(&s, ECANCELED);
	}
	pool_finish(pool);
}
END_TEST

START_TEST(stop_fd_says_that_the_pool_was_terminated)
{
	struct mppool_func f;
	struct sleeper s;
	mppool *const pool = pool_of(1);

	sleeper_init(&s, &f);
	assert_ok(mppool_apply_async(pool, &f, NULL, NULL, NULL));
	gate_wait_arrivals(&s.started, 1);
	assert_ok(mppool_terminate(pool));
	assert_ok(mppool_join(pool, MPPOOL_FOREVER));
	assert_ok(mppool_destroy(pool));
	assert_stopped(&s, MPPOOL_ETERMINATED);
}
END_TEST

/* Nobody looks at the clock for it. */
START_TEST(stop_fd_says_that_the_time_is_over)
{
	struct mppool_func f;
	struct sleeper s;
	int code = 0;
	mppool *const pool = pool_of(1);

	if (has_timerfd) {
		sleeper_init(&s, &f);
		const double before = seconds_now();
		assert_code(mppool_apply_with(pool, &f, NULL, NULL, MPPOOL_CALL(.task_timeout = 0.05, .codes = &code)),
		            MPPOOL_ETASK);
		assert_code(code, ETIMEDOUT);
		ck_assert_double_ge(seconds_now() - before, 0.0499);
		ck_assert_double_lt(seconds_now() - before, LONG);
		assert_stopped(&s, ETIMEDOUT);
	}
	pool_finish(pool);
}
END_TEST

static int fail_or_sleep(const void *const args[], void *result, void *context)
{
	struct sleeper *const s = context;

	if (mppool_item_index() == 0)
		return sleep_call(args, result, context);
	gate_wait_arrivals(&s->started, 1);
	return EDOM;
}

START_TEST(stop_fd_says_that_another_item_failed)
{
	struct mppool_func f;
	struct sleeper s;
	mppool *const pool = pool_of(2);

	sleeper_init(&s, &f);
	f.call = fail_or_sleep;
	assert_code(mppool_starmap_with(pool, &f, MPPOOL_TIMES(2), NULL, 1, MPPOOL_CALL(.flags = MPPOOL_FAIL_FAST)),
	            MPPOOL_ETASK);
	ck_assert_int_eq(mppool_last_error()->code, EDOM);
	assert_stopped(&s, MPPOOL_ETASK);
	pool_finish(pool);
}
END_TEST

/* The stop came before the task asked. */
static int ask_late(const void *const args[], void *result, void *context)
{
	struct gate *const gate = context;
	struct pollfd p = {.events = POLLIN};

	(void)args;
	gate_wait(gate);
	if (mppool_stop_fd(&p.fd) != 0)
		return EIO;
	*(int *)result = poll(&p, 1, 0);
	return 0;
}

static int ask_and_leave(const void *const args[], void *result, void *context)
{
	struct pollfd p = {.events = POLLIN};

	(void)args;
	(void)context;
	if (mppool_stop_fd(&p.fd) != 0)
		return EIO;
	*(int *)result = poll(&p, 1, 0);
	return 0;
}

START_TEST(stop_fd_is_of_the_item_that_asks)
{
	int ready = -1;
	size_t open_before = 0;
	struct gate gate;
	const struct mppool_func late = make_func(ask_late, 0, sizeof(int), &gate);
	const struct mppool_func next = make_func(ask_and_leave, 0, sizeof(int), NULL);
	mppool_result *result;
	mppool *const pool = pool_of(1);

	gate_init(&gate);
	assert_ok(mppool_apply_async(pool, &late, NULL, NULL, &result));
	gate_wait_arrivals(&gate, 1);
	assert_code(mppool_result_cancel(result), EBUSY);
	gate_open(&gate);
	assert_ok(mppool_result_get(result, &ready, MPPOOL_FOREVER));
	ck_assert_int_eq(ready, 1);
	mppool_result_free(result);
	for (int i = 0; i < 500; i++) {          /* the next items are not stopped, and open no further descriptors */
		int fd = dup(STDERR_FILENO);

		assert_ok(mppool_apply(pool, &next, NULL, &ready));
		ck_assert_int_eq(ready, 0);
		if (i == 0)
			open_before = (size_t)fd;
		ck_assert_uint_le((size_t)fd, open_before + 1);
		close(fd);
	}
	gate_destroy(&gate);
	pool_finish(pool);
}
END_TEST

START_TEST(stop_fd_outside_is_einval)
{
	int fd = 5;

	assert_code(mppool_stop_fd(&fd), EINVAL);
	ck_assert_str_eq(mppool_last_error()->message, "only tasks, generators and initializers are told to stop");
	ck_assert_int_eq(fd, 5);
	ck_assert_int_eq(mppool_stop_reason(), 0);
}
END_TEST

/* A generator that reads from a pipe which nobody writes to, as one that reads from a terminal. */
struct reading {
	int fd;
	struct gate reads;
	atomic_int reason;
};

static int read_next(void *const args[], void *state)
{
	struct reading *const r = state;
	struct pollfd p[2] = {{.fd = r->fd, .events = POLLIN}, {.events = POLLIN}};

	(void)args;
	if (mppool_stop_fd(&p[1].fd) != 0)
		return EIO;
	gate_wait(&r->reads);
	if (poll(p, 2, (int)(LONG * 1000 * timeout_factor())) <= 0)
		return EIO;
	atomic_store(&r->reason, mppool_stop_reason());
	return p[1].revents ? MPPOOL_ESTOP : 0;
}

START_TEST(generator_in_poll_ends_at_once)
{
	struct mppool_iterable items = MPPOOL_ITERABLE_INIT;
	const struct mppool_func f = make_func(square_call, 1, sizeof(int), NULL);
	int ends[2], y;
	mppool_iter *iter;
	mppool *const pool = pool_of(1);

	ck_assert_int_eq(pipe(ends), 0);
	for (int how = 0; how < 2; how++) {
		struct reading r = {.fd = ends[0]};

		gate_init(&r.reads);
		gate_open(&r.reads);
		items.next = read_next;
		items.state = &r;
		assert_ok(mppool_imap(pool, &f, &items, 1, 0, NULL, &iter));
		gate_wait_arrivals(&r.reads, 1);
		if (how == 0)
			assert_ok(mppool_iter_cancel(iter));
		else
			assert_ok(mppool_terminate(pool));
		assert_code(mppool_iter_next(iter, &y, NULL, MPPOOL_FOREVER), how == 0 ? ECANCELED : MPPOOL_ETERMINATED);
		mppool_iter_free(iter);
		assert_code(atomic_load(&r.reason), how == 0 ? ECANCELED : MPPOOL_ETERMINATED);
		gate_destroy(&r.reads);
	}
	assert_ok(mppool_join(pool, MPPOOL_FOREVER));
	assert_ok(mppool_destroy(pool));
	close(ends[0]);
	close(ends[1]);
}
END_TEST

/* Cancels that come at any moment of a task's asking: none is lost. */
START_TEST(stop_fd_overlooks_no_cancel)
{
	struct mppool_func f;
	struct sleeper s;
	mppool_result *result;
	mppool *const pool = pool_of(1);

	for (int turn = 0; turn < 300 && time_left(); turn++) {
		sleeper_init(&s, &f);
		assert_ok(mppool_starmap_async(pool, &f, MPPOOL_TIMES(1), NULL, 1, NULL, &result));
		for (int i = 0; i < turn * 37 % 1000; i++)
			mppool_result_ready(result);
		if (mppool_result_cancel(result) == EBUSY) {
			assert_ok(mppool_result_wait(result, MPPOOL_FOREVER));
			assert_stopped(&s, ECANCELED);
		} else {
			assert_ok(mppool_result_wait(result, MPPOOL_FOREVER));
		}
		mppool_result_free(result);
	}
	pool_finish(pool);
}
END_TEST

static int child_asks(const void *const args[], void *result, void *context)
{
	int fd, child_fd;
	pid_t child;

	(void)args;
	(void)context;
	if (mppool_stop_fd(&fd) != 0)
		return EIO;
	child = fork_watched();
	if (child == 0) {
		CHILD_CHECK(mppool_stop_fd(&child_fd) == MPPOOL_EFORKED);
		child_leaves();
	}
	*(int *)result = (int)child;
	return 0;
}

START_TEST(stop_fd_in_a_child_is_eforked)
{
	int child;
	const struct mppool_func f = make_func(child_asks, 0, sizeof(int), NULL);
	mppool *const pool = pool_of(1);

	assert_ok(mppool_apply(pool, &f, NULL, &child));
	child_ends_well(child);
	pool_finish(pool);
}
END_TEST

/* ----------------------------------------------------------------------------------------------------- late results */

static int late_call(const void *const args[], void *result, void *context)
{
	(void)context;
	*(int *)result = int_arg(args, 0) + 1;
	while (int_arg(args, 0) % 2 && !mppool_should_stop())
		nap();
	return int_arg(args, 0) == 4 ? EDOM : 0;
}

static void no_drop(void *result, void *context)
{
	(void)result;
	(void)context;
}

#define LATE MPPOOL_CALL(.task_timeout = 0.02, .flags = flags, .codes = codes)

START_TEST(late_results_are_kept_if_wanted)
{
	const int xs[5] = {0, 1, 2, 3, 4};
	const struct mppool_func f = make_func(late_call, 1, sizeof(int), NULL);
	mppool *const pool = pool_of(2);

	for (unsigned flags = 0; flags <= MPPOOL_KEEP_LATE; flags += MPPOOL_KEEP_LATE) {
		int ys[5] = {9, 9, 9, 9, 9}, codes[5], y = 9;
		mppool_result *result;
		mppool_iter *iter;
		size_t i;

		assert_code(mppool_map_with(pool, &f, MPPOOL_ARRAY(xs, 5), ys, 1, LATE), MPPOOL_ETASK);
		for (int k = 0; k < 5; k++) {
			assert_code(codes[k], k == 4 ? EDOM : k % 2 ? ETIMEDOUT : 0);
			ck_assert_int_eq(ys[k], k == 4 || (k % 2 && !flags) ? 0 : k + 1);
		}
		assert_code(mppool_apply_with(pool, &f, MPPOOL_ARGS(&xs[3]), &y, LATE), MPPOOL_ETASK);
		ck_assert_int_eq(mppool_last_error()->code, ETIMEDOUT);
		ck_assert_int_eq(y, flags ? 4 : 9);
		assert_ok(mppool_apply_async(pool, &f, MPPOOL_ARGS(&xs[1]), LATE, &result));
		y = 9;
		assert_code(mppool_result_get(result, &y, MPPOOL_FOREVER), MPPOOL_ETASK);
		ck_assert_int_eq(y, flags ? 2 : 9);
		ck_assert_int_eq(*(const int *)mppool_result_value(result), flags ? 2 : 0);
		mppool_result_free(result);
		assert_ok(mppool_imap(pool, &f, MPPOOL_ARRAY(xs, 4), 1, 0,
		                      MPPOOL_CALL(.task_timeout = 0.02, .flags = flags), &iter));
		for (int k = 0; k < 4; k++) {
			y = 9;
			assert_code(mppool_iter_next(iter, &y, &i, MPPOOL_FOREVER), k % 2 ? MPPOOL_ETASK : 0);
			ck_assert_int_eq(y, k % 2 && !flags ? 9 : k + 1);
		}
		mppool_iter_free(iter);
	}
	pool_finish(pool);
}
END_TEST

START_TEST(late_results_that_own_memory_are_refused)
{
	const int x = 1;
	struct mppool_func f = make_func(late_call, 1, sizeof(int), NULL);
	mppool *const pool = pool_of(1);

	f.drop_result = no_drop;
	f.name = "f";
	assert_code(mppool_apply_with(pool, &f, MPPOOL_ARGS(&x), NULL, MPPOOL_CALL(.flags = MPPOOL_KEEP_LATE)), EINVAL);
	ck_assert_str_eq(mppool_last_error()->message, "MPPOOL_KEEP_LATE is not for functions with drop_result, such as f");
	pool_finish(pool);
}
END_TEST

/* --------------------------------------------------------------------------------------- iterators in event loops */

static int is_readable(int fd, int milliseconds)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return poll(&p, 1, milliseconds);
}

/* All that an event loop does. Returns the sum of the results; no item is waited for but in poll(). */
static int loop(mppool_iter *iter, int fd, int *turns)
{
	int y, code, sum = 0;

	do {
		ck_assert_int_eq(is_readable(fd, (int)(LONG * 1000 * timeout_factor())), 1);
		++*turns;
		while ((code = mppool_iter_next(iter, &y, NULL, 0)) == 0)
			sum += y;
	} while (code == ETIMEDOUT);
	assert_code(code, MPPOOL_ESTOP);
	return sum;
}

START_TEST(iter_fd_is_readable_when_there_is_an_item)
{
	const bool ordered = _i;
	struct source source = SOURCE(500);
	struct mppool_iterable items = source_items(&source);
	const struct mppool_func f = make_func(square_call, 1, sizeof(int), NULL);
	int fd, same, turns = 0, sum = 0;
	mppool_iter *iter;
	mppool *const pool = pool_of(2);

	for (int i = 0; i < 500; i++)
		sum += i * i;
	for (size_t turn = 0; turn < 20 && time_left(); turn++) {
		source.place = 0;
		if (ordered)
			assert_ok(mppool_imap(pool, &f, &items, 1 + turn % 3, turn % 5, NULL, &iter));
		else
			assert_ok(mppool_imap_unordered(pool, &f, &items, 1 + turn % 3, turn % 5, NULL, &iter));
		assert_ok(mppool_iter_fd(iter, &fd));
		assert_ok(mppool_iter_fd(iter, &same));
		ck_assert_int_eq(fd, same);
		ck_assert_int_eq(loop(iter, fd, &turns), sum);
		ck_assert_int_eq(is_readable(fd, 0), 1);         /* at the end it stays so */
		mppool_iter_free(iter);
	}
	pool_finish(pool);
}
END_TEST

START_TEST(iter_fd_is_not_readable_while_nothing_is_there)
{
	const int xs[2] = {1, 2};
	struct gate gate;
	const struct mppool_func f = make_func(gate_call, 1, sizeof(int), &gate);
	int fd, y;
	mppool_iter *iter;
	mppool *const pool = pool_of(1);

	gate_init(&gate);
	assert_ok(mppool_imap(pool, &f, MPPOOL_ARRAY(xs, 2), 1, 0, NULL, &iter));
	assert_ok(mppool_iter_fd(iter, &fd));
	assert_code(mppool_iter_next(iter, &y, NULL, 0), ETIMEDOUT);
	gate_wait_arrivals(&gate, 1);
	ck_assert_int_eq(is_readable(fd, 20), 0);
	gate_admit(&gate, 1);
	ck_assert_int_eq(is_readable(fd, (int)(LONG * 1000)), 1);
	assert_ok(mppool_iter_next(iter, &y, NULL, 0));
	assert_code(mppool_iter_next(iter, &y, NULL, 0), ETIMEDOUT);
	ck_assert_int_eq(is_readable(fd, 20), 0);
	assert_code(mppool_iter_cancel(iter), EBUSY);
	gate_open(&gate);
	ck_assert_int_eq(is_readable(fd, (int)(LONG * 1000)), 1);
	mppool_iter_free(iter);
	pool_finish(pool);
	gate_destroy(&gate);
}
END_TEST

START_TEST(iter_fd_of_as_completed)
{
	const int x = 3;
	struct gate gate;
	const struct mppool_func f = make_func(gate_call, 1, sizeof(int), &gate);
	mppool_result *results[3], *next;
	size_t done, total;
	int fd;
	mppool_iter *iter;
	mppool *const pool = pool_of(1);

	gate_init(&gate);
	for (int i = 0; i < 3; i++)
		assert_ok(mppool_apply_async(pool, &f, MPPOOL_ARGS(&x), NULL, &results[i]));
	assert_ok(mppool_as_completed(results, 3, &iter));
	assert_ok(mppool_iter_fd(iter, &fd));
	assert_code(mppool_iter_next(iter, &next, NULL, 0), ETIMEDOUT);
	ck_assert_int_eq(is_readable(fd, 20), 0);
	for (int i = 0; i < 3; i++) {
		assert_ok(mppool_iter_progress(iter, &done, &total));
		ck_assert_uint_eq(done, (size_t)i);
		ck_assert_uint_eq(total, 3);
		gate_admit(&gate, 1);
		do
			ck_assert_int_eq(is_readable(fd, (int)(LONG * 1000)), 1);
		while (mppool_iter_next(iter, &next, NULL, 0) != 0);
		ck_assert_ptr_eq(next, results[i]);
	}
	assert_code(mppool_iter_next(iter, &next, NULL, 0), MPPOOL_ESTOP);
	mppool_iter_free(iter);
	for (int i = 0; i < 3; i++)
		mppool_result_free(results[i]);
	pool_finish(pool);
	gate_destroy(&gate);
}
END_TEST

START_TEST(iter_progress_counts_what_has_ended)
{
	const int xs[3] = {1, 2, 3};
	struct gate gate;
	const struct mppool_func f = make_func(gate_call, 1, sizeof(int), &gate);
	struct source source = SOURCE(4);
	struct mppool_iterable items = source_items(&source);
	const struct mppool_func square = make_func(square_call, 1, sizeof(int), NULL);
	size_t done = 9, total = 9;
	int y;
	mppool_iter *iter;
	mppool *const pool = pool_of(1);

	gate_init(&gate);
	assert_code(mppool_iter_progress(NULL, &done, &total), EINVAL);
	assert_ok(mppool_imap(pool, &f, MPPOOL_ARRAY(xs, 3), 1, 0, NULL, &iter));
	gate_wait_arrivals(&gate, 1);
	assert_ok(mppool_iter_progress(iter, &done, &total));
	ck_assert_uint_eq(done, 0);
	ck_assert_uint_eq(total, 3);
	gate_open(&gate);
	while (mppool_iter_next(iter, &y, NULL, MPPOOL_FOREVER) == 0)
		;
	assert_ok(mppool_iter_progress(iter, &done, NULL));
	ck_assert_uint_eq(done, 3);
	mppool_iter_free(iter);
	assert_ok(mppool_imap(pool, &square, &items, 1, 0, NULL, &iter));
	while (mppool_iter_next(iter, &y, NULL, MPPOOL_FOREVER) == 0)
		;
	assert_ok(mppool_wait_idle(pool, MPPOOL_FOREVER));
	assert_ok(mppool_iter_progress(iter, &done, &total));
	ck_assert_uint_eq(done, 4);
	mppool_iter_free(iter);
	pool_finish(pool);
	gate_destroy(&gate);
}
END_TEST

START_TEST(iter_progress_bar_ends_with_all)
{
	const int xs[20] = {1, 2, 3};
	const struct mppool_func f = make_func(square_call, 1, sizeof(int), NULL);
	char text[2000];
	int ends[2], y, taken = 0;
	ssize_t n;
	mppool_iter *iter;
	mppool *const pool = pool_of(2);

	ck_assert_int_eq(pipe(ends), 0);
	assert_ok(mppool_imap(pool, &f, MPPOOL_ARRAY(xs, 20), 1, 0, NULL, &iter));
	assert_ok(mppool_iter_progress_bar(iter, ends[1], "squares"));
	assert_code(mppool_iter_progress_bar(iter, ends[1], "twice"), EALREADY);
	while (mppool_iter_next(iter, &y, NULL, MPPOOL_FOREVER) == 0)
		taken++;
	ck_assert_int_eq(taken, 20);
	assert_code(mppool_iter_next(iter, &y, NULL, MPPOOL_FOREVER), MPPOOL_ESTOP);
	mppool_iter_free(iter);
	close(ends[1]);
	n = read(ends[0], text, sizeof text - 1);
	ck_assert_int_gt(n, 0);
	text[n] = 0;
	ck_assert_ptr_nonnull(strstr(text, "squares 100% 20/20"));
	close(ends[0]);
	assert_code(mppool_iter_progress_bar(NULL, 1, NULL), EINVAL);
	pool_finish(pool);
}
END_TEST

static void fill(Suite *suite)
{
	TCase *c = add_case(suite, "stopping");

	tcase_add_test(c, stop_fd_says_that_the_call_was_cancelled);
	tcase_add_test(c, stop_fd_says_that_the_pool_was_terminated);
	tcase_add_test(c, stop_fd_says_that_the_time_is_over);
	tcase_add_test(c, stop_fd_says_that_another_item_failed);
	tcase_add_test(c, stop_fd_is_of_the_item_that_asks);
	tcase_add_test(c, stop_fd_outside_is_einval);
	tcase_add_test(c, generator_in_poll_ends_at_once);
	tcase_add_test(c, stop_fd_overlooks_no_cancel);
	tcase_add_test(c, stop_fd_in_a_child_is_eforked);
	c = add_case(suite, "late");
	tcase_add_test(c, late_results_are_kept_if_wanted);
	tcase_add_test(c, late_results_that_own_memory_are_refused);
	c = add_case(suite, "iterators");
	tcase_add_loop_test(c, iter_fd_is_readable_when_there_is_an_item, 0, 2);
	tcase_add_test(c, iter_fd_is_not_readable_while_nothing_is_there);
	tcase_add_test(c, iter_fd_of_as_completed);
	tcase_add_test(c, iter_progress_counts_what_has_ended);
	tcase_add_test(c, iter_progress_bar_ends_with_all);
}

int main(int argc, char **argv)
{
#ifndef __linux__
	has_timerfd = 0;
#endif
	return run_suite("stopping", fill, argc, argv);
}
