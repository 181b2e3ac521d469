/* test_threads.c - the same pools, results and iterators in the hands of many threads at once
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE 1
#include "support.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SLOW (UNDER_ASAN || UNDER_TSAN || under_valgrind())
#define STRESS_SECONDS (under_valgrind() ? 1.0 : 1.5)

static atomic_size_t complaints;                 /* of threads other than the test's; the last one says where */
static atomic_int complaint_line;

static void complain_unless(bool good, int line)
{
	if (good)
		return;
	atomic_fetch_add(&complaints, 1);
	atomic_store(&complaint_line, line);
}
#define EXPECT(condition) complain_unless((condition), __LINE__)

static void assert_no_complaints(void)
{
	ck_assert_msg(atomic_load(&complaints) == 0, "%zu complaints, one of them from line %d",
	              atomic_load(&complaints), atomic_load(&complaint_line));
}

/* Small numbers, the same for the same seed. */
static unsigned dice(unsigned *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 17;
	*seed ^= *seed << 5;
	return *seed;
}

/* What went in and came out, over all calls of a test. A call counts once it was accepted. */
struct sums {
	atomic_long ran;                         /* of the arguments of all items that ran */
	atomic_long dropped;                     /* of the arguments given to drop_args */
	atomic_long accepted;                    /* of the arguments of all accepted items */
	atomic_long releases, calls;
};

static int sum_call(const void *const args[], void *result, void *context)
{
	struct sums *const sums = context;

	atomic_fetch_add(&sums->ran, int_arg(args, 0));
	*(int *)result = 3 * int_arg(args, 0);
	return 0;
}

static void sum_drop_args(const void *const args[], void *context)
{
	atomic_fetch_add(&((struct sums *)context)->dropped, int_arg(args, 0));
}

static void sum_release(void *context)
{
	atomic_fetch_add(&((struct sums *)context)->releases, 1);
}

static struct mppool_func sum_func(struct sums *sums)
{
	struct mppool_func func = make_func(sum_call, 1, sizeof(int), sums);

	func.drop_args = sum_drop_args;
	func.release = sum_release;
	return func;
}

static void sums_accept(struct sums *sums, long value)
{
	atomic_fetch_add(&sums->calls, 1);
	atomic_fetch_add(&sums->accepted, value);
}

/* Every accepted item came to one end. */
static void assert_sums(struct sums *sums, bool all_ran)
{
	ck_assert_int_eq(atomic_load(&sums->dropped), atomic_load(&sums->accepted));
	ck_assert_int_eq(atomic_load(&sums->releases), atomic_load(&sums->calls));
	if (all_ran)
		ck_assert_int_eq(atomic_load(&sums->ran), atomic_load(&sums->accepted));
	else
		ck_assert_int_le(atomic_load(&sums->ran), atomic_load(&sums->accepted));
}

/* ------------------------------------------------------------------------------------------------------ every call */

#define MOST 40

struct playground {
	mppool *pool;
	struct sums sums;
	double until;
};

static void play_apply(struct playground *p, int x)
{
	int y = -1;
	const struct mppool_func func = sum_func(&p->sums);

	sums_accept(&p->sums, x);
	EXPECT(mppool_apply(p->pool, &func, MPPOOL_ARGS(&x), &y) == 0 && y == 3 * x);
}

static void play_apply_async(struct playground *p, int x)
{
	int y = -1;
	mppool_result *result = NULL;
	const struct mppool_func func = sum_func(&p->sums);

	sums_accept(&p->sums, x);
	EXPECT(mppool_apply_async(p->pool, &func, MPPOOL_ARGS(&x), NULL, x % 4 ? &result : NULL) == 0);
	if (x % 4 == 0)
		return;
	if (x % 4 == 1)
		EXPECT(mppool_result_get(result, &y, MPPOOL_FOREVER) == 0 && y == 3 * x);
	if (x % 4 == 2)
		EXPECT(mppool_result_wait(result, 1000) == 0 && mppool_result_ready(result) == 1);
	mppool_result_free(result);
}

static long fill_numbers(int *xs, size_t n, unsigned *seed)
{
	long sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += xs[i] = (int)(dice(seed) % 1000);
	return sum;
}

static void play_map(struct playground *p, unsigned *seed)
{
	int xs[MOST], ys[MOST];
	const size_t n = dice(seed) % MOST, chunksize = dice(seed) % 5;
	const struct mppool_func func = sum_func(&p->sums);

	sums_accept(&p->sums, fill_numbers(xs, n, seed));
	if (dice(seed) % 2)
		EXPECT(mppool_map(p->pool, &func, MPPOOL_ARRAY(xs, n), ys, chunksize) == 0);
	else
		EXPECT(mppool_starmap(p->pool, &func, MPPOOL_ARRAY(xs, n), ys, chunksize) == 0);
	for (size_t i = 0; i < n; i++)
		EXPECT(ys[i] == 3 * xs[i]);
}

static void play_map_async(struct playground *p, unsigned *seed)
{
	int xs[MOST], ys[MOST], successful = -1;
	size_t done = 0, total = 0;
	const size_t n = dice(seed) % MOST, chunksize = dice(seed) % 5;
	const bool kept = dice(seed) % 2;
	mppool_result *result = NULL;
	const struct mppool_func func = sum_func(&p->sums);

	sums_accept(&p->sums, fill_numbers(xs, n, seed));
	EXPECT(mppool_starmap_async(p->pool, &func, MPPOOL_ARRAY(xs, n), kept ? NULL : ys, chunksize,
	                            MPPOOL_CALL(.userdata = xs, .priority = (int)(dice(seed) % 3) - 1), &result) == 0);
	EXPECT(mppool_result_progress(result, &done, &total) == 0 && total == n && done <= n);
	EXPECT(mppool_result_userdata(result) == xs);
	const int code = mppool_result_successful(result, &successful);
	EXPECT(code == MPPOOL_ENOTREADY || (code == 0 && successful == 1));
	EXPECT(mppool_result_get(result, kept ? ys : NULL, MPPOOL_FOREVER) == 0);
	EXPECT(mppool_result_error(result) == NULL);
	EXPECT(mppool_result_cancel(result) == EALREADY);
	for (size_t i = 0; i < n; i++)
		EXPECT(ys[i] == 3 * xs[i] && ((const int *)mppool_result_value(result))[i] == ys[i]);
	mppool_result_free(result);
}

static void play_imap(struct playground *p, unsigned *seed)
{
	int xs[MOST], y;
	size_t index;
	long sum = 0, got = 0;
	int code;
	const size_t n = dice(seed) % MOST, chunksize = dice(seed) % 5, buffersize = dice(seed) % 20;
	mppool_iter *iter = NULL;
	const struct mppool_func func = sum_func(&p->sums);

	sum = fill_numbers(xs, n, seed);
	sums_accept(&p->sums, sum);
	EXPECT((dice(seed) % 2 ? mppool_imap : mppool_imap_unordered)(p->pool, &func, MPPOOL_ARRAY(xs, n), chunksize,
	                                                              buffersize, NULL, &iter) == 0);
	while ((code = mppool_iter_next(iter, &y, &index, MPPOOL_FOREVER)) == 0) {
		EXPECT(index < n && y == 3 * xs[index]);
		got += y;
	}
	EXPECT(code == MPPOOL_ESTOP && got == 3 * sum);
	mppool_iter_free(iter);
}

static void play_alone(unsigned *seed)
{
	struct playground own = {.pool = NULL};

	EXPECT(mppool_create(MPPOOL_OPTIONS(.workers = 1 + (int)(dice(seed) % 2)), &own.pool) == 0);
	play_map(&own, seed);
	EXPECT(mppool_state(own.pool) == MPPOOL_RUN);
	EXPECT(mppool_join(own.pool, 0) == MPPOOL_ERUNNING);
	if (dice(seed) % 2) {
		EXPECT(mppool_close(own.pool) == 0);
		EXPECT(mppool_join(own.pool, MPPOOL_FOREVER) == 0);
	}
	EXPECT(mppool_destroy(own.pool) == 0);
	EXPECT(atomic_load(&own.sums.ran) == atomic_load(&own.sums.accepted));
}

static void play_words(unsigned *seed)
{
	EXPECT(strcmp(mppool_strerrorname(MPPOOL_ETASK), "MPPOOL_ETASK") == 0);
	EXPECT(mppool_strerror((int)(dice(seed) % 20000))[0] != 0);
	EXPECT(mppool_cpu_count() >= 1);
	EXPECT(mppool_version()[0] != 0);
	EXPECT(mppool_last_error() && mppool_last_error()->message);
	EXPECT(mppool_worker_index() == -1 && !mppool_current() && !mppool_worker_state());
	EXPECT(!mppool_should_stop() && mppool_item_index() == 0 && mppool_raised() == 0);
	EXPECT(mppool_raise(EDOM, "x") == EDOM && mppool_raise_message(EDOM, "x") == EDOM);
}

static void play(size_t i, void *arg)
{
	struct playground *const p = arg;
	unsigned seed = 77u + (unsigned)i * 1000003u;

	while (seconds_now() < p->until)
		switch (dice(&seed) % 8) {
		case 0:
			play_apply(p, (int)(dice(&seed) % 100));
			break;
		case 1:
		case 2:
			play_apply_async(p, (int)(dice(&seed) % 100));
			break;
		case 3:
			play_map(p, &seed);
			break;
		case 4:
			play_map_async(p, &seed);
			break;
		case 5:
			play_imap(p, &seed);
			break;
		case 6:
			play_words(&seed);
			break;
		default:
			if (dice(&seed) % 8 == 0)
				play_alone(&seed);
		}
}

/* How many workers the pool has: _i. */
START_TEST(every_call_on_one_pool_from_many_threads)
{
	struct playground p = {.pool = pool_of(_i), .until = seconds_now() + STRESS_SECONDS};

	run_in_threads(4, play, &p);
	pool_finish(p.pool);
	assert_no_complaints();
	assert_sums(&p.sums, true);
	ck_assert_int_gt(atomic_load(&p.sums.calls), 0);
}
END_TEST

/* -------------------------------------------------------------------------------------------------- shared results */

struct shared {
	mppool *pool;
	mppool_result *result;
	struct gate gate;
	atomic_uint undone, released;
	int expected;                            /* the outcome */
};

static int shared_call(const void *const args[], void *result, void *context)
{
	struct shared *const shared = context;
	const int x = int_arg(args, 0);

	if (x == 0)
		gate_wait(&shared->gate);
	*(int *)result = 10 + x;
	return shared->expected && x == 3 ? mppool_raise(EDOM, "item %d of many", x) : 0;
}

static void shared_drop_result(void *result, void *context)
{
	EXPECT(*(const int *)result >= 10);
	atomic_fetch_add(&((struct shared *)context)->undone, 1);
}

static void shared_release(void *context)
{
	atomic_fetch_add(&((struct shared *)context)->released, 1);
}

static void look_at_result(mppool_result *result)
{
	int successful = -1;
	size_t done = 0, total = 0;

	const int code = mppool_result_successful(result, &successful);
	EXPECT(code == 0 ? successful >= 0 : code == MPPOOL_ENOTREADY && successful == -1);
	EXPECT(mppool_result_progress(result, &done, &total) == 0 && total == 6 && done <= 6);
	EXPECT(mppool_result_userdata(result) == NULL);
	if (mppool_result_ready(result)) {
		EXPECT(mppool_result_value(result) != NULL);
		EXPECT(mppool_result_wait(result, 0) == 0);
	}
}

static void use_shared_result(size_t i, void *arg)
{
	struct shared *const shared = arg;
	int ys[6] = {-1, -1, -1, -1, -1, -1};

	if (i == 0)
		gate_open(&shared->gate);
	look_at_result(shared->result);
	while (i == 1 && mppool_result_get(shared->result, NULL, 1e-5) == ETIMEDOUT)
		look_at_result(shared->result);
	EXPECT(mppool_result_get(shared->result, ys, MPPOOL_FOREVER) == shared->expected);
	look_at_result(shared->result);
	const struct mppool_error *const error = mppool_result_error(shared->result);
	for (int k = 0; k < 6; k++)
		EXPECT(ys[k] == (shared->expected ? -1 : 10 + k));
	if (shared->expected) {
		EXPECT(error && error->code == EDOM && error->index == 3 &&
		       strcmp(error->message, "item 3 of many") == 0);
		EXPECT(mppool_last_error()->code == EDOM && mppool_last_error()->index == 3);
	} else {
		EXPECT(error == NULL);
	}
}

/* Whether an item fails: _i. */
START_TEST(one_result_in_many_threads_is_the_same_for_all)
{
	const int xs[] = {0, 1, 2, 3, 4, 5};
	const int turns = SLOW ? 100 : 600;
	mppool *const pool = pool_of(2);

	for (int turn = 0; turn < turns; turn++) {
		struct shared shared = {.pool = pool, .expected = _i ? MPPOOL_ETASK : 0};
		struct mppool_func func = make_func(shared_call, 1, sizeof(int), &shared);
		func.drop_result = shared_drop_result;
		func.release = shared_release;
		gate_init(&shared.gate);
		assert_ok(mppool_map_async(pool, &func, MPPOOL_ARRAY(xs, 6), NULL, 1, NULL, &shared.result));
		run_in_threads(4, use_shared_result, &shared);
		/* One of them took the results; nobody could, where the call failed. */
		ck_assert_uint_eq(atomic_load(&shared.undone), 0);
		mppool_result_free(shared.result);
		ck_assert_uint_eq(atomic_load(&shared.undone), _i ? 5 : 0);
		ck_assert_uint_eq(atomic_load(&shared.released), 1);
		gate_destroy(&shared.gate);
	}
	pool_finish(pool);
	assert_no_complaints();
}
END_TEST

/* ------------------------------------------------------------------------------------------------ shared iterators */

struct consumers {
	mppool_iter *iter;
	size_t n;
	atomic_uchar *seen;
	atomic_size_t ends;
	bool ordered;
	bool some_fail;
};

static int third_call(const void *const args[], void *result, void *context)
{
	const struct consumers *const all = context;

	*(int *)result = 5 * int_arg(args, 0);
	return all->some_fail && int_arg(args, 0) % 3 == 0 ? 1 + int_arg(args, 0) : 0;
}

static void consume(size_t i, void *arg)
{
	struct consumers *const all = arg;
	size_t index = 0, before = 0;
	int y, code;
	bool first = true;

	while ((code = mppool_iter_next(all->iter, &y, &index, i % 2 ? MPPOOL_FOREVER : 1e-5)) != MPPOOL_ESTOP) {
		if (code == ETIMEDOUT)
			continue;
		EXPECT(code == 0 || code == MPPOOL_ETASK);
		EXPECT(index < all->n);
		if (index >= all->n)
			break;
		EXPECT(atomic_fetch_add(&all->seen[index], 1) == 0);
		if (code == 0)
			EXPECT(y == 5 * (int)index);
		else
			EXPECT(mppool_last_error()->index == index && mppool_last_error()->code == 1 + (int)index);
		/* To one consumer, an ordered stream comes in order. */
		EXPECT(first || !all->ordered || index > before);
		before = index;
		first = false;
	}
	atomic_fetch_add(&all->ends, 1);
	EXPECT(mppool_iter_next(all->iter, &y, &index, MPPOOL_FOREVER) == MPPOOL_ESTOP);
}

/* Bits of _i: unordered, over a generator, some items fail. */
START_TEST(one_iterator_in_many_threads_gives_each_item_once)
{
	const size_t n = SLOW ? 300 : 3000;
	const size_t sizes[][2] = {{1, 1}, {1, 7}, {4, 9}, {0, 0}, {16, MPPOOL_UNBOUNDED}};
	int *const xs = calloc(n, sizeof *xs);
	mppool *const pool = pool_of(3);

	for (size_t i = 0; i < n; i++)
		xs[i] = (int)i;
	for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
		struct consumers all = {.n = n, .ordered = !(_i & 1), .some_fail = _i & 4};
		struct source source = SOURCE(n);
		const struct mppool_iterable generated = source_items(&source);
		const struct mppool_func func = make_func(third_call, 1, sizeof(int), &all);
		all.seen = calloc(n, sizeof *all.seen);
		assert_ok((_i & 1 ? mppool_imap_unordered : mppool_imap)(pool, &func,
		                                                        _i & 2 ? &generated : MPPOOL_ARRAY(xs, n),
		                                                        sizes[k][0], sizes[k][1], NULL, &all.iter));
		run_in_threads(4, consume, &all);
		ck_assert_uint_eq(atomic_load(&all.ends), 4);
		mppool_iter_free(all.iter);
		for (size_t i = 0; i < n; i++)
			ck_assert_uint_eq(atomic_load(&all.seen[i]), 1);
		free(all.seen);
	}
	pool_finish(pool);
	assert_no_complaints();
	free(xs);
}
END_TEST

/* ------------------------------------------------------------------------------------------------------ submitters */

#define SUBMITTERS 4

struct submitters {
	mppool *pool;
	struct recorder recorder;
	int each;
};

static void submit_many(size_t i, void *arg)
{
	struct submitters *const all = arg;
	const struct mppool_func func = make_func(record_call, 1, sizeof(int), &all->recorder);

	for (int k = 0; k < all->each; k++) {
		const int x = (int)i * all->each + k;
		EXPECT(mppool_apply_async(all->pool, &func, MPPOOL_ARGS(&x), NULL, NULL) == 0);
	}
}

START_TEST(several_submitters_lose_nothing)
{
	struct submitters all = {.each = SLOW ? 500 : 5000};

	for (int workers = 1; workers <= 4; workers += 3) {
		recorder_init(&all.recorder);
		all.pool = pool_of(workers);
		run_in_threads(SUBMITTERS, submit_many, &all);
		pool_finish(all.pool);
		ck_assert(recorded_each_once(&all.recorder, 0, SUBMITTERS * (size_t)all.each));
		/* With one worker, the calls of one submitter start in its order. */
		int last[SUBMITTERS] = {-1, -1, -1, -1};
		for (size_t i = 0; workers == 1 && i < recorded_count(&all.recorder); i++) {
			const int x = recorded_at(&all.recorder, i);
			ck_assert_int_gt(x, last[x / all.each]);
			last[x / all.each] = x;
		}
		recorder_destroy(&all.recorder);
	}
	assert_no_complaints();
}
END_TEST

static void call_back(const void *results, size_t n, void *userdata)
{
	atomic_fetch_add((atomic_long *)userdata, n == 1 ? *(const int *)results : 1000000);
}

struct calling_back {
	mppool *pool;
	atomic_long sum;
	atomic_long expected;
};

static void submit_with_callbacks(size_t i, void *arg)
{
	struct calling_back *const all = arg;
	const int turns = SLOW ? 100 : 2000;
	const struct mppool_func func = make_func(square_call, 1, sizeof(int), NULL);

	for (int turn = 0; turn < turns; turn++) {
		const int x = (int)i + turn % 10;
		mppool_result *result = NULL;
		EXPECT(mppool_apply_async(all->pool, &func, MPPOOL_ARGS(&x),
		                          MPPOOL_CALL(.callback = call_back, .userdata = &all->sum),
		                          turn % 3 ? &result : NULL) == 0);
		atomic_fetch_add(&all->expected, x * x);
		if (turn % 3 == 1)
			EXPECT(mppool_result_wait(result, MPPOOL_FOREVER) == 0);
		mppool_result_free(result);
	}
}

START_TEST(callbacks_for_several_submitters_come_once_each)
{
	struct calling_back all = {.pool = pool_of(3)};

	run_in_threads(SUBMITTERS, submit_with_callbacks, &all);
	pool_finish(all.pool);
	ck_assert_int_eq(atomic_load(&all.sum), atomic_load(&all.expected));
	assert_no_complaints();
}
END_TEST

/* A worker that went to sleep a moment too early shows as a hang. */
static void knock(size_t i, void *arg)
{
	const struct mppool_func func = make_func(square_call, 1, sizeof(int), NULL);
	const int turns = under_valgrind() ? 100 : SLOW ? 1000 : 8000;

	for (int turn = 0; turn < turns; turn++) {
		const int x = turn % 100 + (int)i;
		int y = 0;
		EXPECT(mppool_apply(arg, &func, MPPOOL_ARGS(&x), &y) == 0 && y == x * x);
		if (turn % 50 == 0)
			sched_yield();
	}
}

START_TEST(round_trips_never_miss_a_wakeup)
{
	for (int workers = 1; workers <= 3; workers++)
		for (size_t threads = 1; threads <= 3; threads += 2) {
			mppool *const pool = pool_of(workers);
			run_in_threads(threads, knock, pool);
			pool_finish(pool);
		}
	assert_no_complaints();
}
END_TEST

/* ---------------------------------------------------------------------------------------------------- nested calls */

struct fibonacci {
	mppool *pool;
	atomic_int turns;
};

static int fibonacci_call(const void *const args[], void *result, void *context)
{
	struct fibonacci *const f = context;
	const int n = int_arg(args, 0);
	const int xs[] = {n - 1, n - 2};
	int ys[2] = {0, 0}, code;
	mppool_result *one = NULL;
	const struct mppool_func func = make_func(fibonacci_call, 1, sizeof(int), f);

	*(int *)result = n;
	if (n < 2)
		return 0;
	if (n % 3 == 0) {
		code = mppool_map(f->pool, &func, MPPOOL_ARRAY(xs, 2), ys, 1);
	} else {
		code = mppool_apply_async(f->pool, &func, MPPOOL_ARGS(&xs[0]), NULL, &one);
		if (code == 0)
			code = mppool_apply(f->pool, &func, MPPOOL_ARGS(&xs[1]), &ys[1]);
		if (code == 0)
			code = mppool_result_get(one, &ys[0], MPPOOL_FOREVER);
		mppool_result_free(one);
	}
	*(int *)result = ys[0] + ys[1];
	return code;
}

static void start_fibonacci(size_t i, void *arg)
{
	struct fibonacci *const f = arg;
	const int n = SLOW ? 8 : 12;
	const struct mppool_func func = make_func(fibonacci_call, 1, sizeof(int), f);

	for (int turn = 0; turn < atomic_load(&f->turns); turn++) {
		const int x = n - (int)i % 2;
		int y = 0;
		EXPECT(mppool_apply(f->pool, &func, MPPOOL_ARGS(&x), &y) == 0);
		EXPECT(y == (SLOW ? (i % 2 ? 13 : 21) : (i % 2 ? 89 : 144)));
	}
}

START_TEST(nested_calls_from_several_threads_never_deadlock)
{
	for (int workers = 1; workers <= 3; workers++) {
		struct fibonacci f = {.pool = pool_of(workers)};
		atomic_store(&f.turns, 5);
		run_in_threads(3, start_fibonacci, &f);
		pool_finish(f.pool);
	}
	assert_no_complaints();
}
END_TEST

/* ----------------------------------------------------------------------------------------------- ends against work */

struct ending {
	mppool *pool;
	struct sums sums;
	int (*end)(mppool *pool);
	atomic_bool go_on;
	atomic_int ended;                        /* calls that were cut short */
};

/* Counts a call before it is known to be accepted, and takes it back when it is not. */
static int submit_to_the_end(struct ending *e, unsigned *seed)
{
	int xs[MOST], ys[MOST], code;
	const size_t n = 1 + dice(seed) % (MOST - 1);
	const long sum = fill_numbers(xs, n, seed);
	mppool_result *result = NULL;
	mppool_iter *iter = NULL;
	const struct mppool_func func = sum_func(&e->sums);
	const unsigned way = dice(seed) % 4;

	sums_accept(&e->sums, way == 0 ? xs[0] : sum);
	if (way == 0)
		code = mppool_apply(e->pool, &func, MPPOOL_ARGS(&xs[0]), ys);
	else if (way == 1)
		code = mppool_map(e->pool, &func, MPPOOL_ARRAY(xs, n), ys, dice(seed) % 4);
	else if (way == 2)
		code = mppool_map_async(e->pool, &func, MPPOOL_ARRAY(xs, n), NULL, 1, NULL, &result);
	else
		code = mppool_imap(e->pool, &func, MPPOOL_ARRAY(xs, n), 1, 3, NULL, &iter);
	if (code == MPPOOL_ECLOSED) {
		atomic_fetch_sub(&e->sums.calls, 1);
		atomic_fetch_sub(&e->sums.accepted, way == 0 ? xs[0] : sum);
		return code;
	}
	if (result)
		code = mppool_result_get(result, ys, MPPOOL_FOREVER);
	while (iter && (code = mppool_iter_next(iter, ys, NULL, MPPOOL_FOREVER)) == 0)
		;
	mppool_result_free(result);
	mppool_iter_free(iter);
	return code == MPPOOL_ESTOP ? 0 : code;
}

static void work_until_the_end(size_t i, void *arg)
{
	struct ending *const e = arg;
	unsigned seed = 99u + (unsigned)i * 7919u;
	int code = 0;

	if (i == 0) {
		for (unsigned k = dice(&seed) % 20; k > 0; k--)
			sched_yield();
		EXPECT(e->end(e->pool) == 0);
		EXPECT(mppool_join(e->pool, MPPOOL_FOREVER) == 0);
		return;
	}
	while (code == 0)
		code = submit_to_the_end(e, &seed);
	EXPECT(code == MPPOOL_ECLOSED || (code == MPPOOL_ETERMINATED && e->end == mppool_terminate));
	if (code == MPPOOL_ETERMINATED)
		atomic_fetch_add(&e->ended, 1);
}

/* Close, or terminate when _i is 1. */
START_TEST(end_of_the_pool_races_with_every_submit)
{
	const int turns = under_valgrind() ? 5 : SLOW ? 40 : 200;

	for (int turn = 0; turn < turns; turn++) {
		struct ending e = {.pool = pool_of(1 + turn % 3), .end = _i ? mppool_terminate : mppool_close};
		run_in_threads(4, work_until_the_end, &e);
		assert_ok(mppool_destroy(e.pool));
		assert_no_complaints();
		assert_sums(&e.sums, !_i);
	}
}
END_TEST

/* Pools, results and iterators of its own in each thread; nothing is shared but the library. */
static void live_and_let_live(size_t i, void *arg)
{
	const double until = *(const double *)arg;
	unsigned seed = 5u + (unsigned)i * 31337u;

	while (seconds_now() < until) {
		struct ending e = {.end = dice(&seed) % 2 ? mppool_terminate : mppool_close};
		int xs[MOST];
		mppool_result *result = NULL;
		mppool_iter *iter = NULL;
		const struct mppool_func func = sum_func(&e.sums);
		EXPECT(mppool_create(MPPOOL_OPTIONS(.workers = 1 + (int)(dice(&seed) % 3)), &e.pool) == 0);
		sums_accept(&e.sums, fill_numbers(xs, MOST, &seed));
		EXPECT(mppool_map_async(e.pool, &func, MPPOOL_ARRAY(xs, MOST), NULL, 1, NULL, &result) == 0);
		sums_accept(&e.sums, fill_numbers(xs, 0, &seed));
		EXPECT(mppool_imap(e.pool, &func, MPPOOL_ARRAY(xs, 0), 1, 2, NULL, &iter) == 0);
		if (dice(&seed) % 2)
			mppool_result_cancel(result);
		if (dice(&seed) % 2)
			EXPECT(e.end(e.pool) == 0);
		if (dice(&seed) % 2)
			mppool_iter_cancel(iter);
		if (dice(&seed) % 2) {
			mppool_result_free(result);
			result = NULL;
		}
		if (dice(&seed) % 2) {
			mppool_iter_free(iter);
			iter = NULL;
		}
		EXPECT(mppool_destroy(e.pool) == 0);
		EXPECT(!result || mppool_result_ready(result) == 1);
		mppool_result_free(result);
		mppool_iter_free(iter);
		EXPECT(atomic_load(&e.sums.releases) == 2);
	}
}

START_TEST(different_handles_in_different_threads_do_not_meet)
{
	double until = seconds_now() + STRESS_SECONDS;

	run_in_threads(4, live_and_let_live, &until);
	assert_no_complaints();
	ck_assert_uint_eq(threads_settle("mppool", 0), 0);
}
END_TEST

struct doomed {
	mppool *pool;
	mppool_result *results[6];
	mppool_iter *iter;
	struct sums sums;
};

/* Thread i does its own thing to the same pool. */
static void doom(size_t i, void *arg)
{
	struct doomed *const d = arg;
	int y, code;

	switch (i) {
	case 0:
		EXPECT(mppool_close(d->pool) == 0);
		break;
	case 1:
		EXPECT(mppool_terminate(d->pool) == 0);
		break;
	case 2:
		while ((code = mppool_join(d->pool, 1000)) == MPPOOL_ERUNNING)
			sched_yield();
		EXPECT(code == 0);
		break;
	case 3:
		for (int k = 0; k < 3; k++) {
			code = mppool_result_cancel(d->results[k]);
			EXPECT(code == 0 || code == EBUSY || code == EALREADY);
		}
		mppool_result_free(d->results[5]);
		break;
	case 4:
		for (int k = 0; k < 5; k++) {
			code = mppool_result_get(d->results[k], NULL, MPPOOL_FOREVER);
			EXPECT(code == 0 || code == ECANCELED || code == MPPOOL_ETERMINATED);
		}
		break;
	default:
		while ((code = mppool_iter_next(d->iter, &y, NULL, MPPOOL_FOREVER)) == 0)
			;
		EXPECT(code == MPPOOL_ESTOP || code == MPPOOL_ETERMINATED);
		mppool_iter_free(d->iter);
	}
}

START_TEST(close_terminate_join_cancel_get_free_all_at_once)
{
	const int turns = under_valgrind() ? 10 : SLOW ? 80 : 500;
	int xs[MOST];

	for (int i = 0; i < MOST; i++)
		xs[i] = i;
	for (int turn = 0; turn < turns; turn++) {
		struct doomed d = {.pool = pool_of(1 + turn % 3)};
		const struct mppool_func func = sum_func(&d.sums);
		for (int k = 0; k < 6; k++) {
			sums_accept(&d.sums, MOST * (MOST - 1) / 2);
			assert_ok(
				mppool_map_async(d.pool, &func, MPPOOL_ARRAY(xs, MOST), NULL, 1, NULL, &d.results[k]));
		}
		sums_accept(&d.sums, MOST * (MOST - 1) / 2);
		assert_ok(mppool_imap(d.pool, &func, MPPOOL_ARRAY(xs, MOST), 1, 3, NULL, &d.iter));
		run_in_threads(6, doom, &d);
		assert_ok(mppool_destroy(d.pool));
		for (int k = 0; k < 5; k++)
			mppool_result_free(d.results[k]);
		assert_no_complaints();
		assert_sums(&d.sums, false);
	}
}
END_TEST

/* --------------------------------------------------------------------------------------- cancel against completion */

struct race {
	mppool_result *result;
	mppool_iter *iter;
	atomic_int round;                        /* which round the other thread is to cancel; -1: leave */
	atomic_int done;                         /* which it has cancelled */
	int code;
};

static void cancel_each_round(void *arg)
{
	struct race *const race = arg;
	int seen = 0, round;

	for (;;) {
		while ((round = atomic_load(&race->round)) == seen)
			sched_yield();
		if (round < 0)
			return;
		seen = round;
		race->code = race->iter ? mppool_iter_cancel(race->iter) : mppool_result_cancel(race->result);
		atomic_store(&race->done, seen);
	}
}

struct outcome {
	atomic_int ran, dropped, callbacks, released;
	int callback_code;
};

static int outcome_call(const void *const args[], void *result, void *context)
{
	(void)args;
	atomic_fetch_add(&((struct outcome *)context)->ran, 1);
	*(int *)result = 9;
	return 0;
}

static void outcome_drop_args(const void *const args[], void *context)
{
	(void)args;
	atomic_fetch_add(&((struct outcome *)context)->dropped, 1);
}

static void outcome_release(void *context)
{
	atomic_fetch_add(&((struct outcome *)context)->released, 1);
}

static void outcome_callback(const void *results, size_t n, void *userdata)
{
	struct outcome *const outcome = userdata;

	(void)results;
	(void)n;
	outcome->callback_code = 0;
	atomic_fetch_add(&outcome->callbacks, 1);
}

static void outcome_error(const struct mppool_error *error, void *userdata)
{
	struct outcome *const outcome = userdata;

	outcome->callback_code = error->code;
	atomic_fetch_add(&outcome->callbacks, 1);
}

static struct mppool_func outcome_func(struct outcome *outcome)
{
	struct mppool_func func = make_func(outcome_call, 1, sizeof(int), outcome);

	func.drop_args = outcome_drop_args;
	func.release = outcome_release;
	return func;
}

/* One call, a cancel from beside it, and another call after it. Returns whether the cancel came in time. */
static bool race_once(mppool *pool, struct race *race, int round, bool with_callback)
{
	struct outcome outcome = {.callback_code = -1}, next = {.callback_code = -1};
	int x = 1, y = 0, code = -1;
	mppool_result *after = NULL;
	const struct mppool_func func = outcome_func(&outcome), then = outcome_func(&next);
	const struct mppool_call_options *const options =
		with_callback ? MPPOOL_CALL(.callback = outcome_callback, .error_callback = outcome_error,
	                                    .userdata = &outcome, .codes = &code) :
			MPPOOL_CALL(.codes = &code);

	race->result = NULL;
	assert_ok(mppool_apply_async(pool, &func, MPPOOL_ARGS(&x), options, &race->result));
	atomic_store(&race->round, round);
	assert_ok(mppool_apply_async(pool, &then, MPPOOL_ARGS(&x), NULL, &after));
	const int got = mppool_result_get(race->result, &y, MPPOOL_FOREVER);
	while (atomic_load(&race->done) != round)
		sched_yield();
	assert_ok(mppool_result_get(after, NULL, MPPOOL_FOREVER));       /* the next task is never lost */
	ck_assert_int_eq(atomic_load(&next.ran), 1);
	ck_assert(race->code == 0 || race->code == EBUSY || race->code == EALREADY);
	/* Cancelled if and only if it never ran, and everybody says the same. */
	assert_code(got, race->code == 0 ? ECANCELED : 0);
	assert_code(code, got);
	ck_assert_int_eq(atomic_load(&outcome.ran), got == 0);
	ck_assert_int_eq(y, got == 0 ? 9 : 0);
	ck_assert_int_eq(atomic_load(&outcome.dropped), 1);
	ck_assert_int_eq(atomic_load(&outcome.callbacks), with_callback);
	if (with_callback)
		assert_code(outcome.callback_code, got);
	mppool_result_free(race->result);
	mppool_result_free(after);
	ck_assert_int_eq(atomic_load(&outcome.released), 1);
	return got != 0;
}

/* With callbacks when _i is 1. */
START_TEST(cancel_races_with_completion_and_there_is_one_outcome)
{
	const int rounds = under_valgrind() ? 200 : SLOW ? 3000 : 20000;
	struct race race = {.code = -1};
	struct runner runner;
	mppool *const pool = pool_of(1);
	int cancelled = 0;

	runner_start(&runner, cancel_each_round, &race);
	for (int round = 1; round <= rounds && time_left(); round++)
		cancelled += race_once(pool, &race, round, _i);
	atomic_store(&race.round, -1);
	runner_join(&runner);
	ck_assert_int_le(cancelled, rounds);
	pool_finish(pool);
}
END_TEST

/* A map of several items: each either ran or was cancelled, and the outcome follows from that. */
START_TEST(cancel_races_with_the_items_of_a_map)
{
	const int rounds = under_valgrind() ? 100 : SLOW ? 500 : 4000;
	struct race race = {.code = -1};
	struct runner runner;
	int xs[20] = {0}, ys[20], codes[20];
	mppool *const pool = pool_of(2);

	runner_start(&runner, cancel_each_round, &race);
	for (int round = 1; round <= rounds && time_left(); round++) {
		struct outcome outcome = {.callback_code = -1};
		const struct mppool_func func = outcome_func(&outcome);
		int cancelled = 0;
		memset(ys, 0x55, sizeof ys);
		memset(codes, 0x55, sizeof codes);
		assert_ok(mppool_map_async(pool, &func, MPPOOL_ARRAY(xs, 20), ys, (size_t)(round % 4),
		                           MPPOOL_CALL(.codes = codes), &race.result));
		atomic_store(&race.round, round);
		const int got = mppool_result_get(race.result, NULL, MPPOOL_FOREVER);
		/* From here on nothing of it runs, whatever the cancel is at. */
		const int ran = atomic_load(&outcome.ran);
		for (int i = 0; i < 20; i++) {
			ck_assert(codes[i] == 0 || codes[i] == ECANCELED);
			ck_assert_int_eq(ys[i], codes[i] ? 0 : 9);
			cancelled += codes[i] != 0;
		}
		ck_assert_int_eq(ran + cancelled, 20);
		assert_code(got, cancelled ? ECANCELED : 0);
		while (atomic_load(&race.done) != round)
			sched_yield();
		ck_assert_int_eq(race.code == 0, cancelled > 0);
		ck_assert_int_eq(atomic_load(&outcome.ran), ran);
		mppool_result_free(race.result);
		ck_assert_int_eq(atomic_load(&outcome.dropped), 20);
		ck_assert_int_eq(atomic_load(&outcome.released), 1);
	}
	atomic_store(&race.round, -1);
	runner_join(&runner);
	pool_finish(pool);
}
END_TEST

START_TEST(cancel_races_with_a_stream)
{
	const int rounds = under_valgrind() ? 100 : SLOW ? 500 : 3000;
	struct race race = {.code = -1};
	struct runner runner;
	int xs[20] = {0}, y;
	mppool *const pool = pool_of(2);

	runner_start(&runner, cancel_each_round, &race);
	for (int round = 1; round <= rounds && time_left(); round++) {
		struct outcome outcome = {.callback_code = -1};
		const struct mppool_func func = outcome_func(&outcome);
		int got = 0, code;
		assert_ok((round % 2 ? mppool_imap : mppool_imap_unordered)(pool, &func, MPPOOL_ARRAY(xs, 20), 1, 5,
		                                                            NULL, &race.iter));
		atomic_store(&race.round, round);
		while ((code = mppool_iter_next(race.iter, &y, NULL, MPPOOL_FOREVER)) == 0)
			got += y == 9;
		ck_assert(code == ECANCELED || (code == MPPOOL_ESTOP && got == 20));
		while (atomic_load(&race.done) != round)
			sched_yield();
		ck_assert_int_eq(race.code == 0, code == ECANCELED);
		ck_assert_int_eq(atomic_load(&outcome.ran), got);
		mppool_iter_free(race.iter);
		ck_assert_int_eq(atomic_load(&outcome.dropped), 20);
		ck_assert_int_eq(atomic_load(&outcome.released), 1);
	}
	atomic_store(&race.round, -1);
	runner_join(&runner);
	pool_finish(pool);
}
END_TEST

/* Frees come while items run, wait, or have just ended. */
START_TEST(early_frees_race_with_completion)
{
	const int rounds = under_valgrind() ? 100 : SLOW ? 500 : 5000;
	const int xs[] = {1, 2, 3, 4, 5};
	mppool *const pool = pool_of(2);
	struct sums sums = {.ran = 0};
	const struct mppool_func func = sum_func(&sums);

	for (int round = 0; round < rounds; round++) {
		struct outcome outcome = {.callback_code = -1};
		const struct mppool_func streamed = outcome_func(&outcome);
		mppool_result *result = NULL;
		mppool_iter *iter = NULL;
		int y = 0;
		sums_accept(&sums, 15);
		assert_ok(mppool_map_async(pool, &func, MPPOOL_ARRAY(xs, 5), NULL, 1, NULL, &result));
		assert_ok(mppool_imap(pool, &streamed, MPPOOL_ARRAY(xs, 5), 1, 2, NULL, &iter));
		for (int i = 0; i < round % 6; i++)
			assert_ok(mppool_iter_next(iter, &y, NULL, MPPOOL_FOREVER));
		mppool_result_free(result);
		mppool_iter_free(iter);
		/* The stream is over when its free has returned; the map goes on without its handle. */
		ck_assert_int_eq(atomic_load(&outcome.released), 1);
		ck_assert_int_eq(atomic_load(&outcome.dropped), 5);
	}
	pool_finish(pool);
	assert_sums(&sums, true);
}
END_TEST

/* ----------------------------------------------------------------------------------------------------- the program */

static void fill(Suite *suite)
{
	TCase *const calls = add_case(suite, "calls");
	TCase *const shared = add_case(suite, "shared");
	TCase *const ends = add_case(suite, "ends");
	TCase *const races = add_case(suite, "races");

	tcase_add_loop_test(calls, every_call_on_one_pool_from_many_threads, 1, 4);
	tcase_add_test(calls, several_submitters_lose_nothing);
	tcase_add_test(calls, callbacks_for_several_submitters_come_once_each);
	tcase_add_test(calls, round_trips_never_miss_a_wakeup);
	tcase_add_test(calls, nested_calls_from_several_threads_never_deadlock);
	tcase_add_loop_test(shared, one_result_in_many_threads_is_the_same_for_all, 0, 2);
	tcase_add_loop_test(shared, one_iterator_in_many_threads_gives_each_item_once, 0, 8);
	tcase_add_loop_test(ends, end_of_the_pool_races_with_every_submit, 0, 2);
	tcase_add_test(ends, different_handles_in_different_threads_do_not_meet);
	tcase_add_test(ends, close_terminate_join_cancel_get_free_all_at_once);
	tcase_add_loop_test(races, cancel_races_with_completion_and_there_is_one_outcome, 0, 2);
	tcase_add_test(races, cancel_races_with_the_items_of_a_map);
	tcase_add_test(races, cancel_races_with_a_stream);
	tcase_add_test(races, early_frees_race_with_completion);
}

int main(int argc, char **argv)
{
	return run_suite("threads", fill, argc, argv);
}
