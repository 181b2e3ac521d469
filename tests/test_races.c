/* test_races.c - cancelling, freeing and waiting against completion, terminate and each other, a great many times
 *
 * SPDX-License-Identifier: MIT
 *
 * None of these tests orders events: every interleaving is right, and what the calls return must fit to what has
 * happened. Whatever was lost or done twice shows in the books that the hooks keep, or as a hang. With MPPOOL_TEST_FULL
 * in the environment the numbers of turns are not scaled down where a checker is slow or the machine busy. */
#define _GNU_SOURCE 1
#include "support.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* As many turns as can be had in the time of a test. */
static long turns(long all)
{
	if (getenv("MPPOOL_TEST_FULL"))
		return all;
	if (under_valgrind())
		return all / 2000 + 1;
	return UNDER_TSAN || UNDER_ASAN ? all / 20 + 1 : all;
}

/* Check notes every assertion in a file, which would be most of the time here: so these only note the first line that is
 * wrong, and a batch ends with a look at that. In the test's own thread. */
static int wrong_line;
#define EXPECT(condition) expect(condition, __LINE__)
#define EXPECT_OK(call) expect((call) == 0, __LINE__)

static void expect(bool right, int line)
{
	if (!right && wrong_line == 0)
		wrong_line = line;
}

static void assert_nothing_wrong(void)
{
	if (wrong_line)
		ck_abort_msg("not as expected in line %d", wrong_line);
}

/* ---------------------------------------------------------------------------------------------------------- the books */

#define N 64

/* Of one batch of calls with the arguments 0 to N - 1. */
struct books {
	atomic_uint ran[N], dropped_args[N], dropped_result[N];
	atomic_uint released;
};

static void books_open(struct books *books)
{
	for (size_t i = 0; i < N; i++) {
		atomic_init(&books->ran[i], 0);
		atomic_init(&books->dropped_args[i], 0);
		atomic_init(&books->dropped_result[i], 0);
	}
	atomic_init(&books->released, 0);
}

static int book_call(const void *const args[], void *result, void *context)
{
	const int x = int_arg(args, 0);

	atomic_fetch_add(&((struct books *)context)->ran[x], 1);
	*(int *)result = x;
	return 0;
}

static void book_drop_args(const void *const args[], void *context)
{
	atomic_fetch_add(&((struct books *)context)->dropped_args[int_arg(args, 0)], 1);
}

static void book_drop_result(void *result, void *context)
{
	atomic_fetch_add(&((struct books *)context)->dropped_result[*(int *)result], 1);
}

static void book_release(void *context)
{
	atomic_fetch_add(&((struct books *)context)->released, 1);
}

static struct mppool_func book_func(struct books *books)
{
	struct mppool_func func = make_func(book_call, 1, sizeof(int), books);

	func.drop_args = book_drop_args;
	func.drop_result = book_drop_result;
	func.release = book_release;
	return func;
}

static void submit_all(mppool *pool, struct books *books, mppool_result **results)
{
	const struct mppool_func func = book_func(books);

	books_open(books);
	for (int i = 0; i < N; i++)
		EXPECT_OK(mppool_apply_async(pool, &func, MPPOOL_ARGS(&i), NULL, &results[i]));
}

/* Nothing is left of the batch: all was done, and once. Which results were taken is for the caller to know. */
static void close_books(struct books *books)
{
	while (atomic_load(&books->released) < N)
		sched_yield();
	EXPECT(atomic_load(&books->released) == N);
	for (size_t i = 0; i < N; i++) {
		EXPECT(atomic_load(&books->ran[i]) <= 1);
		EXPECT(atomic_load(&books->dropped_args[i]) == 1);
		EXPECT(atomic_load(&books->dropped_result[i]) <= atomic_load(&books->ran[i]));
	}
	assert_nothing_wrong();
}

static void linger(long turn)
{
	for (volatile long i = turn % 97 * 8; i > 0; i--)
		;
}

/* What a cancel said, against what came of the call. */
static void check_fits(struct books *books, int i, int said, mppool_result *result)
{
	int y = -1;
	const int code = mppool_result_get(result, &y, MPPOOL_FOREVER);

	if (said == 0) {
		EXPECT(code == ECANCELED);
		EXPECT(atomic_load(&books->ran[i]) == 0);
		EXPECT(y == -1);
	} else {
		EXPECT(code == 0);
		EXPECT(atomic_load(&books->ran[i]) == 1);
		EXPECT(y == i);
	}
	EXPECT(mppool_result_cancel(result) == EALREADY);
}

/* ------------------------------------------------------------------------------------------------------------ cancel */

/* A million calls in all. Half of the batches are cancelled from their end, where the workers have not been yet. */
START_TEST(cancel_against_completion)
{
	const long batches = turns(1000000) / N + 1;
	mppool *const pool = pool_of(_i);
	mppool_result *results[N];
	struct books books;
	long said_so[3] = {0}, batch;

	for (batch = 0; batch < batches && time_left(); batch++) {
		submit_all(pool, &books, results);
		linger(batch);
		for (int k = 0; k < N; k++) {
			const int i = batch % 2 ? k : N - 1 - k;
			const int said = mppool_result_cancel(results[i]);
			EXPECT(said == 0 || said == EBUSY || said == EALREADY);
			EXPECT(said != EALREADY || mppool_result_ready(results[i]));
			said_so[said == 0 ? 0 : said == EBUSY ? 1 : 2]++;
			check_fits(&books, i, said, results[i]);
			mppool_result_free(results[i]);
		}
		close_books(&books);
		for (size_t i = 0; i < N; i++)
			EXPECT(atomic_load(&books.dropped_result[i]) == 0);
	}
	EXPECT(said_so[0] + said_so[1] + said_so[2] == batch * N);
	if (getenv("MPPOOL_TEST_FULL"))
		printf("cancel against completion, %d workers: %ld calls, %ld cancelled, %ld busy, %ld already\n", _i,
		       batch * N, said_so[0], said_so[1], said_so[2]);
	assert_nothing_wrong();
	pool_finish(pool);
}
END_TEST

/* Each handle goes right after the cancel, while the worker may be about to end the call. */
START_TEST(cancel_and_free_against_completion)
{
	const long batches = turns(1000000) / N + 1;
	mppool *const pool = pool_of(2);
	mppool_result *results[N];
	struct books books;
	int said[N];

	for (long batch = 0; batch < batches && time_left(); batch++) {
		submit_all(pool, &books, results);
		linger(batch);
		for (int i = 0; i < N; i++) {
			said[i] = mppool_result_cancel(results[i]);
			mppool_result_free(results[i]);
		}
		close_books(&books);
		for (int i = 0; i < N; i++) {
			EXPECT(atomic_load(&books.ran[i]) == (said[i] != 0));
			EXPECT(atomic_load(&books.dropped_result[i]) == (said[i] != 0));
		}
	}
	assert_nothing_wrong();
	pool_finish(pool);
}
END_TEST

struct cancels {
	mppool_result *results[N];
	int said[4][N];
};

static void cancel_all(size_t thread, void *arg)
{
	struct cancels *const c = arg;

	for (int k = 0; k < N; k++) {
		const int i = thread % 2 ? k : N - 1 - k;
		c->said[thread][i] = mppool_result_cancel(c->results[i]);
	}
}

/* One of the cancels, and only one, is told that it was it. */
START_TEST(cancel_against_other_cancels)
{
	const long batches = turns(20000);
	mppool *const pool = pool_of(2);
	struct cancels c;
	struct books books;

	for (long batch = 0; batch < batches && time_left(); batch++) {
		submit_all(pool, &books, c.results);
		run_in_threads(4, cancel_all, &c);
		for (int i = 0; i < N; i++) {
			int winners = 0;
			for (int t = 0; t < 4; t++)
				winners += c.said[t][i] == 0;
			EXPECT(winners <= 1);
			check_fits(&books, i, !winners, c.results[i]);
			mppool_result_free(c.results[i]);
		}
		close_books(&books);
	}
	assert_nothing_wrong();
	pool_finish(pool);
}
END_TEST

struct ending {
	mppool *pool;
	struct cancels c;
};

static void cancel_or_terminate(size_t thread, void *arg)
{
	struct ending *const e = arg;

	if (thread < 2)
		cancel_all(thread, &e->c);
	else
		mppool_terminate(e->pool);
}

START_TEST(cancel_against_terminate)
{
	const long batches = turns(4000);
	struct ending e;
	struct books books;

	for (long batch = 0; batch < batches && time_left(); batch++) {
		e.pool = pool_of(2);
		submit_all(e.pool, &books, e.c.results);
		run_in_threads(3, cancel_or_terminate, &e);
		assert_ok(mppool_destroy(e.pool));
		for (int i = 0; i < N; i++) {
			const bool won = e.c.said[0][i] == 0 || e.c.said[1][i] == 0;
			const int code = mppool_result_get(e.c.results[i], NULL, 0);
			EXPECT(code == 0 || code == ECANCELED || code == MPPOOL_ETERMINATED);
			EXPECT(won == (code == ECANCELED));
			EXPECT(atomic_load(&books.ran[i]) == (code == 0));
			mppool_result_free(e.c.results[i]);
		}
		close_books(&books);
	}
}
END_TEST

/* Every item of a map that was cancelled ran, or has the code that says that it did not. Chunks of _i. */
START_TEST(cancel_of_a_map_against_completion)
{
	const long batches = turns(60000);
	mppool *const pool = pool_of(2);
	int xs[N], codes[N];
	struct books books;
	struct mppool_func func = book_func(&books);

	func.drop_result = NULL;
	for (int i = 0; i < N; i++)
		xs[i] = i;
	for (long batch = 0; batch < batches && time_left(); batch++) {
		mppool_result *result = NULL;
		unsigned ran = 0;
		books_open(&books);
		EXPECT_OK(mppool_map_async(pool, &func, MPPOOL_ARRAY(xs, N), NULL, (size_t)_i,
		                           MPPOOL_CALL(.codes = codes), &result));
		linger(batch);
		const int said = mppool_result_cancel(result);
		const int code = mppool_result_get(result, NULL, MPPOOL_FOREVER);
		EXPECT(said == 0 || said == EBUSY || said == EALREADY);
		EXPECT(code == (said == 0 ? ECANCELED : 0));
		for (size_t i = 0; i < N; i++) {
			EXPECT(codes[i] == (atomic_load(&books.ran[i]) ? 0 : ECANCELED));
			EXPECT(atomic_load(&books.dropped_args[i]) == 1);
			ran += atomic_load(&books.ran[i]);
		}
		EXPECT((ran < N) == (said == 0));
		EXPECT(atomic_load(&books.released) == 1);
		mppool_result_free(result);
		assert_nothing_wrong();
	}
	assert_nothing_wrong();
	pool_finish(pool);
}
END_TEST

/* ------------------------------------------------------------------------------------------------------------ groups */

static size_t take_rest(mppool_iter *iter, bool *seen)
{
	size_t taken = 0, at;
	int code;

	while ((code = mppool_iter_next(iter, NULL, &at, MPPOOL_FOREVER)) == 0) {
		EXPECT(at < N && !seen[at]);
		seen[at] = true;
		taken++;
	}
	EXPECT(code == MPPOOL_ESTOP);
	return taken;
}

/* Watches are added while the calls end, and some are cancelled. */
START_TEST(as_completed_against_completion)
{
	const long batches = turns(1000000) / N + 1;
	mppool *const pool = pool_of(2);
	mppool_result *results[N];
	struct books books;

	for (long batch = 0; batch < batches && time_left(); batch++) {
		bool seen[N] = {false};
		mppool_iter *iter = NULL;
		size_t taken = 0;
		submit_all(pool, &books, results);
		linger(batch);
		EXPECT_OK(mppool_as_completed(results, N, &iter));
		for (size_t i = 0; i < N; i += 3)
			mppool_result_cancel(results[i]);
		for (; taken < N / 2; taken++) {
			mppool_result *got = NULL;
			size_t at = N;
			EXPECT_OK(mppool_iter_next(iter, &got, &at, MPPOOL_FOREVER));
			EXPECT(at < N && !seen[at] && got == results[at] && mppool_result_ready(got));
			seen[at] = true;
			mppool_result_free(got);
			results[at] = NULL;
		}
		EXPECT(take_rest(iter, seen) == N - N / 2);
		mppool_iter_free(iter);
		for (size_t i = 0; i < N; i++)
			mppool_result_free(results[i]);
		close_books(&books);
	}
	assert_nothing_wrong();
	pool_finish(pool);
}
END_TEST

/* Some results are freed before they are handed out, some before they are ready, while another group goes at once. */
START_TEST(frees_in_groups_against_completion)
{
	const long batches = turns(1000000) / N + 1;
	mppool *const pool = pool_of(2);
	mppool_result *results[N];
	struct books books;

	for (long batch = 0; batch < batches && time_left(); batch++) {
		bool seen[N] = {false};
		mppool_iter *iter = NULL, *other = NULL;
		submit_all(pool, &books, results);
		EXPECT_OK(mppool_as_completed(results, N, &iter));
		EXPECT_OK(mppool_as_completed(results, N, &other));
		linger(batch);
		for (size_t i = (size_t)batch % 2; i < N; i += 2) {
			mppool_result_free(results[i]);
			results[i] = NULL;
			seen[i] = true;          /* never handed out from here on */
		}
		mppool_iter_free(other);
		EXPECT(take_rest(iter, seen) == N / 2);
		mppool_iter_free(iter);
		for (size_t i = 0; i < N; i++)
			mppool_result_free(results[i]);
		close_books(&books);
	}
	assert_nothing_wrong();
	pool_finish(pool);
}
END_TEST

struct takers {
	mppool_iter *iter;
	mppool_result *results[N];
	atomic_uint taken[N];
	atomic_uint wrong, canceled, stopped;
};

/* 0, 1: consumers; 2: frees those of even index; 3: cancels calls, and in the end the iteration. */
static void take_free_or_cancel(size_t thread, void *arg)
{
	struct takers *const t = arg;
	size_t at;
	int code;

	if (thread == 2) {
		for (size_t i = 0; i < N; i += 2)
			mppool_result_free(t->results[i]);
		return;
	}
	if (thread == 3) {
		for (size_t i = N - 1; i > N / 2; i -= 2)
			mppool_result_cancel(t->results[i]);
		mppool_iter_cancel(t->iter);
		return;
	}
	while ((code = mppool_iter_next(t->iter, NULL, &at, MPPOOL_FOREVER)) == 0)
		atomic_fetch_add(&t->taken[at], 1);
	while (code == ECANCELED) {
		atomic_fetch_add(&t->canceled, 1);
		code = mppool_iter_next(t->iter, NULL, NULL, MPPOOL_FOREVER);
	}
	atomic_fetch_add(&t->stopped, code == MPPOOL_ESTOP);
}

START_TEST(consumers_against_frees_and_cancels)
{
	const long batches = turns(10000);
	mppool *const pool = pool_of(2);
	struct books books;
	struct takers t;

	for (long batch = 0; batch < batches && time_left(); batch++) {
		memset(&t, 0, sizeof t);
		submit_all(pool, &books, t.results);
		EXPECT_OK(mppool_as_completed(t.results, N, &t.iter));
		run_in_threads(4, take_free_or_cancel, &t);
		EXPECT(atomic_load(&t.stopped) == 2);
		EXPECT(atomic_load(&t.canceled) <= 1);
		for (size_t i = 0; i < N; i++) {
			EXPECT(atomic_load(&t.taken[i]) <= 1);
			if (!atomic_load(&t.canceled) && i % 2)
				EXPECT(atomic_load(&t.taken[i]) == 1);
		}
		mppool_iter_free(t.iter);
		for (size_t i = 1; i < N; i += 2)
			mppool_result_free(t.results[i]);
		close_books(&books);
	}
	assert_nothing_wrong();
	pool_finish(pool);
}
END_TEST

struct waits {
	mppool_result *results[N];
	atomic_uint wrong;
};

/* Four threads wait for overlapping groups, in all ways. */
static void wait_for_some(size_t thread, void *arg)
{
	struct waits *const w = arg;
	const size_t first = thread * (N / 8), n = N / 2;
	size_t ready = 0, found = 0;
	const int when = (int)(thread % 3);
	const int code = mppool_wait(w->results + first, n, when, thread == 3 ? 1e-5 : MPPOOL_FOREVER, &ready);

	if (code == ETIMEDOUT && thread == 3)
		return;
	for (size_t i = first; i < first + n; i++)
		found += mppool_result_ready(w->results[i]) == 1;
	if (code != 0 || found < ready || (when == MPPOOL_ALL_COMPLETED ? ready != n : ready == 0))
		atomic_fetch_add(&w->wrong, 1);
}

START_TEST(waits_against_completion)
{
	const long batches = turns(15000);
	mppool *const pool = pool_of(2);
	struct books books;
	struct waits w;

	atomic_init(&w.wrong, 0);
	for (long batch = 0; batch < batches && time_left(); batch++) {
		submit_all(pool, &books, w.results);
		run_in_threads(4, wait_for_some, &w);
		EXPECT(atomic_load(&w.wrong) == 0);
		for (size_t i = 0; i < N; i++)
			mppool_result_free(w.results[i]);
		close_books(&books);
	}
	assert_nothing_wrong();
	pool_finish(pool);
}
END_TEST

/* The pool is terminated and destroyed under the groups. */
static void wait_or_terminate(size_t thread, void *arg)
{
	struct takers *const t = arg;
	size_t ready = 0;

	if (thread == 0)
		atomic_fetch_add(&t->wrong,
		                 mppool_wait(t->results, N, MPPOOL_ALL_COMPLETED, MPPOOL_FOREVER, &ready) || ready != N);
	else if (thread == 1)
		take_free_or_cancel(0, arg);
	else
		mppool_terminate(mppool_result_userdata(t->results[0]));
}

START_TEST(groups_against_terminate)
{
	const long batches = turns(4000);
	struct books books;
	struct takers t;

	for (long batch = 0; batch < batches && time_left(); batch++) {
		mppool *const pool = pool_of(2);
		const struct mppool_func func = book_func(&books);
		memset(&t, 0, sizeof t);
		books_open(&books);
		for (int i = 0; i < N; i++)
			EXPECT_OK(mppool_apply_async(pool, &func, MPPOOL_ARGS(&i), MPPOOL_CALL(.userdata = pool),
			                             &t.results[i]));
		EXPECT_OK(mppool_as_completed(t.results, N, &t.iter));
		run_in_threads(3, wait_or_terminate, &t);
		EXPECT(atomic_load(&t.wrong) == 0);
		EXPECT(atomic_load(&t.stopped) == 1);
		assert_ok(mppool_destroy(pool));
		for (size_t i = 0; i < N; i++) {
			EXPECT(atomic_load(&t.taken[i]) == 1);
			mppool_result_free(t.results[i]);
		}
		mppool_iter_free(t.iter);
		close_books(&books);
	}
}
END_TEST

static void fill(Suite *suite)
{
	TCase *const cancel = add_case(suite, "cancel");
	TCase *const groups = add_case(suite, "groups");

	tcase_add_loop_test(cancel, cancel_against_completion, 1, 3);
	tcase_add_test(cancel, cancel_and_free_against_completion);
	tcase_add_test(cancel, cancel_against_other_cancels);
	tcase_add_test(cancel, cancel_against_terminate);
	tcase_add_loop_test(cancel, cancel_of_a_map_against_completion, 0, 3);
	tcase_add_test(groups, as_completed_against_completion);
	tcase_add_test(groups, frees_in_groups_against_completion);
	tcase_add_test(groups, consumers_against_frees_and_cancels);
	tcase_add_test(groups, waits_against_completion);
	tcase_add_test(groups, groups_against_terminate);
}

int main(int argc, char **argv)
{
	return run_suite("races", fill, argc, argv);
}
