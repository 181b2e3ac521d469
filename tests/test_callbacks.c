/* test_callbacks.c - callback and error_callback: which, how often, when, where, and what they may do
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE 1
#include "support.h"

#include <stdlib.h>
#include <string.h>

static int sqr(int x)
{
	return x * x;
}
MPPOOL_FUNC(sqr_task, int, sqr, int);

static int return_code_call(const void *const args[], void *result, void *context)
{
	(void)context;
	*(int *)result = 1;
	return int_arg(args, 0);
}

/* What came to the pair of callbacks of one call. */
struct seen {
	atomic_int callbacks, errors;
	atomic_size_t n, index;
	atomic_int code;
	char message[64];
	const void *_Atomic results;
	int thread;
	char name[16];
};

static void note_thread(struct seen *seen)
{
	seen->thread = thread_id();
	thread_name(seen->name);
}

static void on_done(const void *results, size_t n, void *userdata)
{
	struct seen *const seen = userdata;

	note_thread(seen);
	atomic_store(&seen->results, results);
	atomic_store(&seen->n, n);
	atomic_fetch_add(&seen->callbacks, 1);
}

static void on_error(const struct mppool_error *error, void *userdata)
{
	struct seen *const seen = userdata;

	note_thread(seen);
	atomic_store(&seen->code, error->code);
	atomic_store(&seen->index, error->index);
	strncpy(seen->message, error->message, sizeof seen->message - 1);
	atomic_fetch_add(&seen->errors, 1);
}

#define NOTE(seen) MPPOOL_CALL(.callback = on_done, .error_callback = on_error, .userdata = (seen))

static void assert_seen(struct seen *seen, int callbacks, int errors)
{
	ck_assert_int_eq(seen->callbacks, callbacks);
	ck_assert_int_eq(seen->errors, errors);
}

/* -------------------------------------------------------------------------------------------- which, and how often */

START_TEST(callback_gets_all_results_of_a_map)
{
	mppool *const pool = pool_of(2);
	struct seen own = {0}, kept = {0};
	int xs[20], ys[20];
	mppool_result *into_own = NULL, *into_kept = NULL;

	for (int i = 0; i < 20; i++)
		xs[i] = i;
	assert_ok(mppool_map_async(pool, &sqr_task, MPPOOL_ARRAY(xs, 20), ys, 0, NOTE(&own), &into_own));
	assert_ok(mppool_map_async(pool, &sqr_task, MPPOOL_ARRAY(xs, 20), NULL, 0, NOTE(&kept), &into_kept));
	assert_ok(mppool_result_wait(into_own, MPPOOL_FOREVER));
	assert_ok(mppool_result_wait(into_kept, MPPOOL_FOREVER));
	assert_seen(&own, 1, 0);
	assert_seen(&kept, 1, 0);
	ck_assert_uint_eq(own.n, 20);
	ck_assert_uint_eq(kept.n, 20);
	ck_assert_ptr_eq(own.results, ys);
	ck_assert_ptr_eq(kept.results, mppool_result_value(into_kept));
	for (int i = 0; i < 20; i++)
		ck_assert_int_eq(((const int *)kept.results)[i], i * i);
	ck_assert_ptr_eq(mppool_result_userdata(into_own), &own);
	mppool_result_free(into_own);
	mppool_result_free(into_kept);
	pool_finish(pool);
	assert_seen(&own, 1, 0);
}
END_TEST

START_TEST(callback_of_apply_gets_one_result)
{
	mppool *const pool = pool_of(1);
	struct seen seen = {0};
	mppool_result *result = NULL;

	assert_ok(mppool_apply_async(pool, &sqr_task, MPPOOL_ARGS(&(int){7}), NOTE(&seen), &result));
	assert_ok(mppool_result_wait(result, MPPOOL_FOREVER));
	assert_seen(&seen, 1, 0);
	ck_assert_uint_eq(seen.n, 1);
	ck_assert_int_eq(*(const int *)seen.results, 49);
	mppool_result_free(result);
	pool_finish(pool);
}
END_TEST

START_TEST(error_callback_of_failed_task_gets_its_error)
{
	mppool *const pool = pool_of(2);
	const struct mppool_func func = make_func(return_code_call, 1, sizeof(int), NULL);
	struct seen seen = {0};
	int xs[5] = {0, 0, ENOENT, 0, EIO};
	mppool_result *result = NULL;

	assert_ok(mppool_map_async(pool, &func, MPPOOL_ARRAY(xs, 5), NULL, 1, NOTE(&seen), &result));
	assert_code(mppool_result_get(result, NULL, MPPOOL_FOREVER), MPPOOL_ETASK);
	assert_seen(&seen, 0, 1);
	ck_assert_int_eq(seen.code, ENOENT);
	ck_assert_uint_eq(seen.index, 2);
	ck_assert_str_eq(seen.message, mppool_strerror(ENOENT));
	const struct mppool_error *const error = mppool_result_error(result);
	ck_assert_int_eq(error->code, ENOENT);
	ck_assert_uint_eq(error->index, 2);
	mppool_result_free(result);
	pool_finish(pool);
	assert_seen(&seen, 0, 1);
}
END_TEST

START_TEST(error_callback_of_failed_generator_gets_its_code)
{
	mppool *const pool = pool_of(2);
	struct seen seen = {0};
	struct source source = {.length = 10, .fail_at = 4, .fail_code = EPIPE, .fail_message = "gone"};
	const struct mppool_iterable items = source_items(&source);
	mppool_result *result = NULL;

	assert_ok(mppool_map_async(pool, &sqr_task, &items, NULL, 1, NOTE(&seen), &result));
	assert_code(mppool_result_get(result, NULL, MPPOOL_FOREVER), MPPOOL_EITER);
	assert_seen(&seen, 0, 1);
	ck_assert_int_eq(seen.code, EPIPE);
	ck_assert_uint_eq(seen.index, 4);
	ck_assert_str_eq(seen.message, "gone");
	mppool_result_free(result);
	pool_finish(pool);
}
END_TEST

START_TEST(error_callback_of_canceled_and_terminated_calls_comes_once)
{
	mppool *const pool = pool_of(1);
	struct seen canceled = {0}, terminated = {0}, running = {0}, forgotten = {0};
	struct hold hold;
	struct gate gate;
	mppool_result *to_cancel = NULL, *to_terminate = NULL, *to_run = NULL;

	gate_init(&gate);
	const struct mppool_func func = make_func(gate_call, 1, sizeof(int), &gate);
	hold_workers(&hold, pool, 1);
	assert_ok(mppool_apply_async(pool, &func, MPPOOL_ARGS(&(int){1}), NOTE(&running), &to_run));
	assert_ok(mppool_apply_async(pool, &sqr_task, MPPOOL_ARGS(&(int){1}), NOTE(&canceled), &to_cancel));
	assert_ok(mppool_apply_async(pool, &sqr_task, MPPOOL_ARGS(&(int){1}), NOTE(&terminated), &to_terminate));
	assert_ok(mppool_apply_async(pool, &sqr_task, MPPOOL_ARGS(&(int){1}), NOTE(&forgotten), NULL));
	assert_ok(mppool_result_cancel(to_cancel));
	assert_code(mppool_result_get(to_cancel, NULL, MPPOOL_FOREVER), ECANCELED);
	assert_seen(&canceled, 0, 1);
	ck_assert_int_eq(canceled.code, ECANCELED);
	hold_release(&hold);
	gate_wait_arrivals(&gate, 1);
	assert_ok(mppool_terminate(pool));
	assert_code(mppool_result_get(to_terminate, NULL, MPPOOL_FOREVER), MPPOOL_ETERMINATED);
	assert_seen(&terminated, 0, 1);
	ck_assert_int_eq(terminated.code, MPPOOL_ETERMINATED);
	assert_seen(&running, 0, 0);
	gate_open(&gate);
	assert_ok(mppool_result_get(to_run, NULL, MPPOOL_FOREVER));
	assert_seen(&running, 1, 0);
	assert_ok(mppool_destroy(pool));
	assert_seen(&canceled, 0, 1);
	assert_seen(&terminated, 0, 1);
	assert_seen(&running, 1, 0);
	assert_seen(&forgotten, 0, 1);
	mppool_result_free(to_run);
	mppool_result_free(to_cancel);
	mppool_result_free(to_terminate);
	gate_destroy(&gate);
}
END_TEST

START_TEST(callback_of_empty_inputs_gets_no_results)
{
	mppool *const pool = pool_of(1);
	struct seen arrays = {.n = 9}, generators = {.n = 9};
	struct source source = SOURCE(0);
	const struct mppool_iterable items = source_items(&source);
	const int *const none = NULL;
	mppool_result *result = NULL;

	assert_ok(mppool_map_async(pool, &sqr_task, MPPOOL_ARRAY(none, 0), NULL, 0, NOTE(&arrays), &result));
	assert_ok(mppool_result_get(result, NULL, MPPOOL_FOREVER));
	assert_seen(&arrays, 1, 0);
	ck_assert_uint_eq(arrays.n, 0);
	mppool_result_free(result);
	assert_ok(mppool_map_async(pool, &sqr_task, &items, NULL, 0, NOTE(&generators), &result));
	assert_ok(mppool_result_get(result, NULL, MPPOOL_FOREVER));
	assert_seen(&generators, 1, 0);
	ck_assert_uint_eq(generators.n, 0);
	mppool_result_free(result);
	pool_finish(pool);
}
END_TEST

START_TEST(only_one_kind_of_callback_given_the_other_is_not_missed)
{
	mppool *const pool = pool_of(1);
	const struct mppool_func func = make_func(return_code_call, 1, sizeof(int), NULL);
	struct seen seen = {0};

	assert_ok(mppool_apply_async(pool, &func, MPPOOL_ARGS(&(int){EIO}),
	                             MPPOOL_CALL(.callback = on_done, .userdata = &seen), NULL));
	assert_ok(mppool_apply_async(pool, &func, MPPOOL_ARGS(&(int){0}),
	                             MPPOOL_CALL(.error_callback = on_error, .userdata = &seen), NULL));
	pool_finish(pool);
	assert_seen(&seen, 0, 0);
}
END_TEST

START_TEST(callback_comes_although_the_result_was_freed_or_never_wanted)
{
	mppool *const pool = pool_of(1);
	struct seen freed = {0}, forgotten = {0};
	struct hold hold;
	mppool_result *result = NULL;

	hold_workers(&hold, pool, 1);
	assert_ok(mppool_apply_async(pool, &sqr_task, MPPOOL_ARGS(&(int){3}), NOTE(&freed), &result));
	assert_ok(mppool_apply_async(pool, &sqr_task, MPPOOL_ARGS(&(int){4}), NOTE(&forgotten), NULL));
	mppool_result_free(result);
	hold_release(&hold);
	pool_finish(pool);                                       /* join waits for callbacks, too */
	assert_seen(&freed, 1, 0);
	assert_seen(&forgotten, 1, 0);
}
END_TEST

struct many {
	mppool *pool;
	struct recorder done;
	struct recorder failed;
	struct level inside;
	atomic_int wrong;
};

struct one_of_many {
	struct many *many;
	int number;
};

static void many_done(const void *results, size_t n, void *userdata)
{
	const struct one_of_many *const one = userdata;

	level_enter(&one->many->inside);
	if (n != 1 || *(const int *)results != 1)
		atomic_fetch_add(&one->many->wrong, 1);
	record(&one->many->done, one->number);
	level_leave(&one->many->inside);
}

static void many_failed(const struct mppool_error *error, void *userdata)
{
	const struct one_of_many *const one = userdata;

	level_enter(&one->many->inside);
	if (error->code != EIO)
		atomic_fetch_add(&one->many->wrong, 1);
	record(&one->many->failed, one->number);
	level_leave(&one->many->inside);
}

enum { EACH = 250 };

static void submit_many(size_t thread, void *arg)
{
	struct one_of_many *const ones = (struct one_of_many *)arg + thread * EACH;
	const struct mppool_func func = make_func(return_code_call, 1, sizeof(int), NULL);

	for (int i = 0; i < EACH; i++) {
		const int code = ones[i].number % 2 ? EIO : 0;
		if (mppool_apply_async(ones[i].many->pool, &func, MPPOOL_ARGS(&code),
		                       MPPOOL_CALL(.callback = many_done, .error_callback = many_failed,
		                                   .userdata = &ones[i]),
		                       NULL) != 0)
			atomic_fetch_add(&ones[i].many->wrong, 1);
	}
}

START_TEST(callbacks_of_many_calls_come_once_each_and_one_at_a_time)
{
	struct many many = {.pool = pool_of(4)};
	struct one_of_many *const ones = calloc(4 * EACH, sizeof *ones);

	ck_assert_ptr_nonnull(ones);
	recorder_init(&many.done);
	recorder_init(&many.failed);
	for (int i = 0; i < 4 * EACH; i++)
		ones[i] = (struct one_of_many){&many, i};
	run_in_threads(4, submit_many, ones);
	pool_finish(many.pool);
	ck_assert_int_eq(many.wrong, 0);
	ck_assert_uint_eq(many.inside.peak, 1);
	ck_assert_uint_eq(recorded_count(&many.done), 2 * EACH);
	ck_assert_uint_eq(recorded_count(&many.failed), 2 * EACH);
	for (int i = 0; i < 4 * EACH; i++)
		ck_assert_uint_eq(recorded_times(i % 2 ? &many.failed : &many.done, i), 1);
	recorder_destroy(&many.done);
	recorder_destroy(&many.failed);
	free(ones);
}
END_TEST

/* -------------------------------------------------------------------------------------------------- where and when */

START_TEST(callbacks_run_on_the_result_handler)
{
	mppool *pool = NULL;
	struct seen first = {0}, second = {0};
	const struct mppool_func func = make_func(return_code_call, 1, sizeof(int), NULL);

	assert_ok(mppool_create(MPPOOL_OPTIONS(.workers = 2, .name = "cb"), &pool));
	assert_ok(mppool_apply_async(pool, &sqr_task, MPPOOL_ARGS(&(int){3}), NOTE(&first), NULL));
	assert_ok(mppool_apply_async(pool, &func, MPPOOL_ARGS(&(int){EIO}), NOTE(&second), NULL));
	pool_finish(pool);
	assert_seen(&first, 1, 0);
	assert_seen(&second, 0, 1);
	ck_assert_str_eq(first.name, "cb-result");
	ck_assert_str_eq(second.name, "cb-result");
	ck_assert_int_eq(first.thread, second.thread);
	ck_assert_int_ne(first.thread, thread_id());
}
END_TEST

struct held_callback {
	struct gate gate;
	struct recorder order;
	mppool_result *result;
	mppool *pool;
	atomic_int ready, value, current, worker, stop, raised;
};

static void held_done(const void *results, size_t n, void *userdata)
{
	struct held_callback *const held = userdata;

	(void)results;
	(void)n;
	gate_wait(&held->gate);
	if (!held->result)
		return;
	atomic_store(&held->ready, mppool_result_ready(held->result));
	atomic_store(&held->value, mppool_result_value(held->result) != NULL);
	atomic_store(&held->current, mppool_current() == held->pool);
	atomic_store(&held->worker, mppool_worker_index());
	atomic_store(&held->stop, mppool_should_stop());
	atomic_store(&held->raised, mppool_raise(EDOM, "not an item") == EDOM ? mppool_raised() : -1);
}

START_TEST(result_is_ready_only_after_its_callback_returned)
{
	struct held_callback held = {.pool = pool_of(1), .ready = -1, .value = -1, .worker = 99, .stop = -1};
	int y = -1;

	gate_init(&held.gate);
	assert_ok(mppool_apply_async(held.pool, &sqr_task, MPPOOL_ARGS(&(int){3}),
	                             MPPOOL_CALL(.callback = held_done, .userdata = &held), &held.result));
	gate_wait_arrivals(&held.gate, 1);
	ck_assert_int_eq(mppool_result_ready(held.result), 0);
	assert_code(mppool_result_wait(held.result, 0.02), ETIMEDOUT);
	assert_code(mppool_result_get(held.result, &y, 0), ETIMEDOUT);
	/* The handler stands in the callback, but the workers go on, and a call without callbacks needs no handler. */
	assert_ok(mppool_apply(held.pool, &sqr_task, MPPOOL_ARGS(&(int){4}), &y));
	ck_assert_int_eq(y, 16);
	gate_open(&held.gate);
	assert_ok(mppool_result_get(held.result, &y, MPPOOL_FOREVER));
	ck_assert_int_eq(y, 9);
	ck_assert_int_eq(held.ready, 0);
	ck_assert_int_eq(held.value, 0);
	ck_assert_int_eq(held.current, 1);
	ck_assert_int_eq(held.worker, -1);
	ck_assert_int_eq(held.stop, 0);
	ck_assert_int_eq(held.raised, 0);
	mppool_result_free(held.result);
	pool_finish(held.pool);
	gate_destroy(&held.gate);
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

/* Four tasks end in an order that the gates make while the handler is busy; the callbacks follow in that order. A
 * worker that was let go is known to have ended its task when it stands in another one. */
START_TEST(callbacks_run_in_order_of_completion)
{
	static const int order_of_end[] = {2, 0, 3, 1};
	struct held_callback held = {.pool = pool_of(4)};
	struct recorder order;
	struct gate gates[4];
	struct ordered ordered[4];
	struct hold holds[4];

	recorder_init(&order);
	gate_init(&held.gate);
	assert_ok(mppool_apply_async(held.pool, &sqr_task, MPPOOL_ARGS(&(int){3}),
	                             MPPOOL_CALL(.callback = held_done, .userdata = &held), NULL));
	gate_wait_arrivals(&held.gate, 1);
	for (int i = 0; i < 4; i++) {
		gate_init(&gates[i]);
		const struct mppool_func func = make_func(gate_call, 1, sizeof(int), &gates[i]);
		ordered[i] = (struct ordered){&order, i};
		assert_ok(mppool_apply_async(held.pool, &func, MPPOOL_ARGS(&i),
		                             MPPOOL_CALL(.callback = ordered_done, .userdata = &ordered[i]), NULL));
		gate_wait_arrivals(&gates[i], 1);
	}
	for (int k = 0; k < 4; k++) {
		gate_open(&gates[order_of_end[k]]);
		hold_workers(&holds[k], held.pool, 1);
	}
	ck_assert_uint_eq(recorded_count(&order), 0);
	gate_open(&held.gate);
	for (int k = 0; k < 4; k++)
		hold_release(&holds[k]);
	pool_finish(held.pool);
	for (size_t k = 0; k < 4; k++) {
		ck_assert_int_eq(recorded_at(&order, k), order_of_end[k]);
		gate_destroy(&gates[k]);
	}
	gate_destroy(&held.gate);
	recorder_destroy(&order);
}
END_TEST

/* Items, then finish, then the callback, then ready. release is not later than that, as no result is left to drop. */
enum { ITEM = 1, FINISH, CALLBACK, RELEASE };

static int log_item(const void *const args[], void *result, void *context)
{
	*(int *)result = int_arg(args, 0);
	record(context, ITEM);
	return 0;
}

static void log_finish(void *state)
{
	record(state, FINISH);
}

static void log_callback(const void *results, size_t n, void *userdata)
{
	(void)results;
	(void)n;
	record(userdata, CALLBACK);
}

static void log_release(void *context)
{
	record(context, RELEASE);
}

START_TEST(finish_comes_before_the_callback_and_all_of_it_before_ready)
{
	mppool *const pool = pool_of(2);
	struct recorder log;
	int xs[4] = {0, 1, 2, 3}, ys[4];
	mppool_result *result = NULL;

	recorder_init(&log);
	struct mppool_func func = make_func(log_item, 1, sizeof(int), &log);
	func.release = log_release;
	struct mppool_iterable items = *MPPOOL_ARRAY(xs, 4);
	items.finish = log_finish;
	items.state = &log;
	assert_ok(mppool_map_async(pool, &func, &items, ys, 1, MPPOOL_CALL(.callback = log_callback, .userdata = &log),
	                           &result));
	assert_ok(mppool_result_wait(result, MPPOOL_FOREVER));
	ck_assert_uint_eq(recorded_count(&log), 7);
	for (size_t i = 0; i < 4; i++)
		ck_assert_int_eq(recorded_at(&log, i), ITEM);
	ck_assert_uint_eq(recorded_times(&log, FINISH), 1);
	ck_assert_uint_eq(recorded_times(&log, CALLBACK), 1);
	ck_assert_uint_eq(recorded_times(&log, RELEASE), 1);
	ck_assert(recorded_at(&log, 6) != FINISH);
	ck_assert(recorded_at(&log, 4) != CALLBACK);
	ck_assert(recorded_at(&log, 5) != FINISH || recorded_at(&log, 6) == CALLBACK);
	mppool_result_free(result);
	pool_finish(pool);
	ck_assert_uint_eq(recorded_count(&log), 7);
	recorder_destroy(&log);
}
END_TEST

/* ------------------------------------------------------------------------------------------------ what they may do */

/* Each callback does one thing to the pool and says what came of it. */
struct doing {
	mppool *pool, *other;
	mppool_result *own, *done, *waiting;
	mppool_iter *iter;
	struct gate gate;                /* opened when all of the above is set */
	struct recorder codes;
	struct recorder ran;
};

static void doing_init(struct doing *doing, int workers)
{
	*doing = (struct doing){.pool = pool_of(workers)};
	gate_init(&doing->gate);
	recorder_init(&doing->codes);
	recorder_init(&doing->ran);
}

static void doing_destroy(struct doing *doing)
{
	gate_destroy(&doing->gate);
	recorder_destroy(&doing->codes);
	recorder_destroy(&doing->ran);
}

/* Submits an apply with that callback, lets it begin when the handle is stored, and waits for it. */
static void doing_run(struct doing *doing, void (*callback)(const void *results, size_t n, void *userdata))
{
	assert_ok(mppool_apply_async(doing->pool, &sqr_task, MPPOOL_ARGS(&(int){3}),
	                             MPPOOL_CALL(.callback = callback, .userdata = doing), &doing->own));
	gate_open(&doing->gate);
}

static void chain_done(const void *results, size_t n, void *userdata)
{
	struct doing *const doing = userdata;
	const int left = *(const int *)results - 1;

	(void)n;
	record(&doing->ran, left);
	const struct mppool_func func = make_func(record_call, 1, sizeof(int), &doing->codes);
	if (left > 0 && mppool_apply_async(doing->pool, &func, MPPOOL_ARGS(&left),
	                                   MPPOOL_CALL(.callback = chain_done, .userdata = doing), NULL) != 0)
		record(&doing->ran, -1);
}

START_TEST(callback_that_submits_continues_even_after_close)
{
	struct doing doing;
	struct hold hold;

	doing_init(&doing, 1);
	const struct mppool_func func = make_func(record_call, 1, sizeof(int), &doing.codes);
	hold_workers(&hold, doing.pool, 1);
	assert_ok(mppool_apply_async(doing.pool, &func, MPPOOL_ARGS(&(int){100}),
	                             MPPOOL_CALL(.callback = chain_done, .userdata = &doing), NULL));
	assert_ok(mppool_close(doing.pool));
	hold_release(&hold);
	assert_ok(mppool_join(doing.pool, MPPOOL_FOREVER));
	ck_assert(recorded_each_once(&doing.ran, 0, 100));
	ck_assert(recorded_each_once(&doing.codes, 1, 100));
	assert_ok(mppool_destroy(doing.pool));
	doing_destroy(&doing);
}
END_TEST

static void submit_to_full_done(const void *results, size_t n, void *userdata)
{
	struct doing *const doing = userdata;
	const struct mppool_func func = make_func(record_call, 1, sizeof(int), &doing->ran);

	(void)results;
	(void)n;
	for (int i = 0; i < 20; i++)
		record(&doing->codes, mppool_apply_async(doing->pool, &func, MPPOOL_ARGS(&i), NULL, NULL));
}

START_TEST(callback_that_submits_to_its_full_pool_is_not_made_to_wait)
{
	struct doing doing = {.pool = NULL};

	gate_init(&doing.gate);
	recorder_init(&doing.codes);
	recorder_init(&doing.ran);
	assert_ok(mppool_create(MPPOOL_OPTIONS(.workers = 1, .queue_limit = 1), &doing.pool));
	doing_run(&doing, submit_to_full_done);
	assert_ok(mppool_result_wait(doing.own, MPPOOL_FOREVER));
	mppool_result_free(doing.own);
	pool_finish(doing.pool);
	ck_assert_uint_eq(recorded_times(&doing.codes, 0), 20);
	ck_assert(recorded_each_once(&doing.ran, 0, 20));
	doing_destroy(&doing);
}
END_TEST

static void cancel_done(const void *results, size_t n, void *userdata)
{
	struct doing *const doing = userdata;

	(void)results;
	(void)n;
	gate_wait(&doing->gate);
	record(&doing->codes, mppool_result_cancel(doing->waiting));
	record(&doing->codes, mppool_result_cancel(doing->own));
}

START_TEST(callback_that_cancels_another_call_ends_it)
{
	struct doing doing;
	struct hold hold;

	doing_init(&doing, 2);
	hold_workers(&hold, doing.pool, 1);
	assert_ok(mppool_apply_async(doing.pool, &sqr_task, MPPOOL_ARGS(&(int){3}),
	                             MPPOOL_CALL(.callback = cancel_done, .userdata = &doing), &doing.own));
	gate_wait_arrivals(&doing.gate, 1);
	struct hold other;
	hold_workers(&other, doing.pool, 1);                     /* now no worker is free */
	assert_ok(mppool_apply_async(doing.pool, &sqr_task, MPPOOL_ARGS(&(int){3}), NULL, &doing.waiting));
	gate_open(&doing.gate);
	assert_code(mppool_result_get(doing.waiting, NULL, MPPOOL_FOREVER), ECANCELED);
	assert_ok(mppool_result_get(doing.own, NULL, MPPOOL_FOREVER));
	ck_assert_uint_eq(recorded_count(&doing.codes), 2);
	assert_code(recorded_at(&doing.codes, 0), 0);
	/* Its own items have all started, and it is not ready yet. */
	assert_code(recorded_at(&doing.codes, 1), EBUSY);
	hold_release(&hold);
	hold_release(&other);
	mppool_result_free(doing.own);
	mppool_result_free(doing.waiting);
	pool_finish(doing.pool);
	doing_destroy(&doing);
}
END_TEST

static void close_done(const void *results, size_t n, void *userdata)
{
	struct doing *const doing = userdata;

	(void)results;
	(void)n;
	record(&doing->codes, mppool_close(doing->pool));
	record(&doing->codes, mppool_join(doing->pool, MPPOOL_FOREVER));
	record(&doing->codes, mppool_join(doing->pool, 0));
}

START_TEST(callback_that_closes_its_pool_may_not_join_it)
{
	struct doing doing;

	doing_init(&doing, 2);
	doing_run(&doing, close_done);
	assert_ok(mppool_result_get(doing.own, NULL, MPPOOL_FOREVER));
	assert_ok(mppool_join(doing.pool, MPPOOL_FOREVER));
	assert_code(recorded_at(&doing.codes, 0), 0);
	assert_code(recorded_at(&doing.codes, 1), EDEADLK);
	ck_assert(recorded_at(&doing.codes, 2) == EDEADLK || recorded_at(&doing.codes, 2) == ETIMEDOUT);
	mppool_result_free(doing.own);
	assert_ok(mppool_destroy(doing.pool));
	doing_destroy(&doing);
}
END_TEST

static void terminate_done(const void *results, size_t n, void *userdata)
{
	struct doing *const doing = userdata;

	(void)results;
	(void)n;
	gate_wait(&doing->gate);
	record(&doing->codes, mppool_terminate(doing->pool));
	record(&doing->codes, mppool_apply_async(doing->pool, &sqr_task, MPPOOL_ARGS(&(int){1}), NULL, NULL));
	record(&doing->codes, mppool_destroy(doing->pool));
}

START_TEST(callback_that_terminates_its_pool_ends_everything)
{
	struct doing doing;
	struct hold hold;

	doing_init(&doing, 1);
	assert_ok(mppool_apply_async(doing.pool, &sqr_task, MPPOOL_ARGS(&(int){3}),
	                             MPPOOL_CALL(.callback = terminate_done, .userdata = &doing), &doing.own));
	gate_wait_arrivals(&doing.gate, 1);
	hold_workers(&hold, doing.pool, 1);
	assert_ok(mppool_apply_async(doing.pool, &sqr_task, MPPOOL_ARGS(&(int){3}), NULL, &doing.waiting));
	gate_open(&doing.gate);
	assert_code(mppool_result_get(doing.waiting, NULL, MPPOOL_FOREVER), MPPOOL_ETERMINATED);
	assert_ok(mppool_result_get(doing.own, NULL, MPPOOL_FOREVER));
	hold_release(&hold);
	assert_ok(mppool_join(doing.pool, MPPOOL_FOREVER));
	assert_code(recorded_at(&doing.codes, 0), 0);
	assert_code(recorded_at(&doing.codes, 1), MPPOOL_ECLOSED);
	assert_code(recorded_at(&doing.codes, 2), EDEADLK);
	mppool_result_free(doing.own);
	mppool_result_free(doing.waiting);
	assert_ok(mppool_destroy(doing.pool));
	doing_destroy(&doing);
}
END_TEST

static void free_own_done(const void *results, size_t n, void *userdata)
{
	struct doing *const doing = userdata;

	gate_wait(&doing->gate);
	mppool_result_free(doing->own);
	record(&doing->ran, n == 1 ? *(const int *)results : -1);        /* still there until the callback returns */
}

static void free_own_failed(const struct mppool_error *error, void *userdata)
{
	struct doing *const doing = userdata;

	gate_wait(&doing->gate);
	mppool_result_free(doing->own);
	record(&doing->ran, strcmp(error->message, mppool_strerror(EIO)) == 0 ? error->code : -1);
}

START_TEST(callback_that_frees_its_own_result_still_sees_the_results)
{
	struct doing doing;
	const struct mppool_func func = make_func(return_code_call, 1, sizeof(int), NULL);

	doing_init(&doing, 1);
	assert_ok(mppool_apply_async(doing.pool, &sqr_task, MPPOOL_ARGS(&(int){3}),
	                             MPPOOL_CALL(.callback = free_own_done, .userdata = &doing), &doing.own));
	gate_admit(&doing.gate, 1);
	recorded_wait(&doing.ran, 1);
	ck_assert_int_eq(recorded_at(&doing.ran, 0), 9);
	assert_ok(mppool_apply_async(doing.pool, &func, MPPOOL_ARGS(&(int){EIO}),
	                             MPPOOL_CALL(.error_callback = free_own_failed, .userdata = &doing), &doing.own));
	gate_admit(&doing.gate, 1);
	recorded_wait(&doing.ran, 2);
	ck_assert_int_eq(recorded_at(&doing.ran, 1), EIO);
	pool_finish(doing.pool);
	doing_destroy(&doing);
}
END_TEST

static void wait_done(const void *results, size_t n, void *userdata)
{
	struct doing *const doing = userdata;
	int y = -1, xs[3] = {0};
	const struct mppool_func func = make_func(record_call, 1, sizeof(int), &doing->ran);

	(void)results;
	(void)n;
	gate_wait(&doing->gate);
	record(&doing->codes, mppool_result_wait(doing->own, MPPOOL_FOREVER));
	record(&doing->codes, mppool_result_get(doing->own, NULL, MPPOOL_FOREVER));
	record(&doing->codes, mppool_result_wait(doing->own, 1000));
	record(&doing->codes, mppool_result_wait(doing->waiting, MPPOOL_FOREVER));
	record(&doing->codes, mppool_result_get(doing->waiting, &y, 1000));
	record(&doing->codes, mppool_iter_next(doing->iter, &y, NULL, MPPOOL_FOREVER));
	record(&doing->codes, mppool_apply(doing->pool, &func, MPPOOL_ARGS(&y), &y));
	record(&doing->codes, mppool_map(doing->pool, &func, MPPOOL_ARRAY(xs, 3), NULL, 0));
	record(&doing->codes, mppool_starmap(doing->pool, &func, MPPOOL_ARRAY(xs, 3), NULL, 0));
	/* These do not block. */
	record(&doing->codes, mppool_result_wait(doing->own, 0));
	record(&doing->codes, mppool_result_wait(doing->waiting, 0));
	record(&doing->codes, mppool_iter_next(doing->iter, &y, NULL, 0));
	record(&doing->codes, mppool_result_get(doing->done, &y, MPPOOL_FOREVER));
	record(&doing->codes, y);
	record(&doing->codes, mppool_apply(doing->other, &sqr_task, MPPOOL_ARGS(&(int){5}), &y));
	record(&doing->codes, y);
}

START_TEST(callback_that_would_wait_for_its_own_pool_gets_edeadlk)
{
	static const int expected[] = {EDEADLK, EDEADLK, EDEADLK,   EDEADLK,   EDEADLK,   EDEADLK, EDEADLK, EDEADLK,
	                               EDEADLK, ETIMEDOUT, ETIMEDOUT, ETIMEDOUT, 0, 49, 0, 25};
	const size_t n = sizeof expected / sizeof *expected;
	struct doing doing;
	struct hold hold;
	int xs[2] = {0};

	doing_init(&doing, 1);
	doing.other = pool_of(1);
	assert_ok(mppool_apply_async(doing.pool, &sqr_task, MPPOOL_ARGS(&(int){7}), NULL, &doing.done));
	assert_ok(mppool_result_wait(doing.done, MPPOOL_FOREVER));
	assert_ok(mppool_apply_async(doing.pool, &sqr_task, MPPOOL_ARGS(&(int){3}),
	                             MPPOOL_CALL(.callback = wait_done, .userdata = &doing), &doing.own));
	gate_wait_arrivals(&doing.gate, 1);
	hold_workers(&hold, doing.pool, 1);
	assert_ok(mppool_apply_async(doing.pool, &sqr_task, MPPOOL_ARGS(&(int){7}), NULL, &doing.waiting));
	assert_ok(mppool_imap(doing.pool, &sqr_task, MPPOOL_ARRAY(xs, 2), 1, 0, NULL, &doing.iter));
	gate_open(&doing.gate);
	recorded_wait(&doing.codes, n);
	hold_release(&hold);
	for (size_t i = 0; i < n; i++)
		ck_assert_msg(recorded_at(&doing.codes, i) == expected[i], "step %zu: %s (%d) instead of %d", i,
		              mppool_strerrorname(recorded_at(&doing.codes, i)), recorded_at(&doing.codes, i),
		              expected[i]);
	assert_ok(mppool_result_wait(doing.own, MPPOOL_FOREVER));
	mppool_result_free(doing.own);
	mppool_result_free(doing.done);
	mppool_result_free(doing.waiting);
	mppool_iter_free(doing.iter);
	pool_finish(doing.pool);
	pool_finish(doing.other);
	ck_assert_uint_eq(recorded_count(&doing.ran), 0);        /* what was refused was not submitted */
	doing_destroy(&doing);
}
END_TEST

START_TEST(callbacks_due_when_the_pool_is_terminated_still_come)
{
	struct held_callback held = {.pool = pool_of(2)};
	struct seen seen[20] = {{0}};
	mppool_result *result = NULL;

	gate_init(&held.gate);
	assert_ok(mppool_apply_async(held.pool, &sqr_task, MPPOOL_ARGS(&(int){3}),
	                             MPPOOL_CALL(.callback = held_done, .userdata = &held), NULL));
	gate_wait_arrivals(&held.gate, 1);                       /* the handler is busy: these will queue up behind */
	for (int i = 0; i < 20; i++)
		assert_ok(mppool_apply_async(held.pool, &sqr_task, MPPOOL_ARGS(&i), NOTE(&seen[i]), NULL));
	assert_ok(mppool_apply_async(held.pool, &sqr_task, MPPOOL_ARGS(&(int){1}), NULL, &result));
	assert_ok(mppool_result_get(result, NULL, MPPOOL_FOREVER));
	mppool_result_free(result);
	assert_ok(mppool_terminate(held.pool));
	assert_code(mppool_join(held.pool, 0.02), ETIMEDOUT);
	gate_open(&held.gate);
	assert_ok(mppool_join(held.pool, MPPOOL_FOREVER));
	int ran = 0;
	for (int i = 0; i < 20; i++) {
		ran += seen[i].callbacks;
		ck_assert_int_eq(seen[i].callbacks + seen[i].errors, 1);
		ck_assert(seen[i].callbacks == 1 || seen[i].code == MPPOOL_ETERMINATED);
	}
	ck_assert_int_ge(ran, 19);                               /* the other worker may just have had one in hand */
	assert_ok(mppool_destroy(held.pool));
	gate_destroy(&held.gate);
}
END_TEST

struct waiting_hook {
	mppool *pool;
	atomic_int code;
};

static void apply_in_release(void *context)
{
	struct waiting_hook *const hook = context;

	atomic_store(&hook->code, mppool_apply(hook->pool, &sqr_task, MPPOOL_ARGS(&(int){2}), NULL));
}

static int do_nothing_call(const void *const args[], void *result, void *context)
{
	(void)args;
	(void)result;
	(void)context;
	return 0;
}

/* The hooks that follow a callback run on the result handler, too. */
START_TEST(hook_after_a_callback_must_not_wait_either)
{
	struct seen seen = {0};
	struct waiting_hook hook = {.pool = pool_of(1), .code = -1};
	struct mppool_func func = make_func(do_nothing_call, 0, 0, &hook);

	func.release = apply_in_release;
	assert_ok(mppool_apply_async(hook.pool, &func, NULL, NOTE(&seen), NULL));
	pool_finish(hook.pool);
	assert_seen(&seen, 1, 0);
	assert_code(atomic_load(&hook.code), EDEADLK);
}
END_TEST

/* An item of the stream waits for a call whose callback frees the stream: nobody could go on if that waited for the
 * item. What was lent is in use until the stream's finish hook. */
struct circle {
	mppool *pool;
	mppool_iter *iter;
	struct gate submitted, finished;
	atomic_int code, called, released;
};

static void circle_callback(const void *results, size_t n, void *userdata)
{
	struct circle *const circle = userdata;

	(void)results;
	(void)n;
	gate_wait(&circle->submitted);
	mppool_iter_free(circle->iter);
	atomic_fetch_add(&circle->called, 1);
}

static int circle_call(const void *const args[], void *result, void *context)
{
	struct circle *const circle = context;
	mppool_result *inner;
	int code = mppool_apply_async(circle->pool, &sqr_task, args,
	                              MPPOOL_CALL(.callback = circle_callback, .userdata = circle), &inner);

	if (code == 0) {
		code = mppool_result_wait(inner, MPPOOL_FOREVER);
		mppool_result_free(inner);
	}
	atomic_store(&circle->code, code);
	*(int *)result = 0;
	return 0;
}

static void circle_finish(void *state)
{
	gate_open(&((struct circle *)state)->finished);
}

static void circle_release(void *context)
{
	atomic_fetch_add(&((struct circle *)context)->released, 1);
}

START_TEST(callback_that_frees_a_stream_does_not_wait_for_items_that_wait_for_it)
{
	struct circle circle = {.pool = pool_of(1), .code = -1};
	struct mppool_func func = make_func(circle_call, 1, sizeof(int), &circle);
	const int x = 7;
	struct mppool_iterable items = *MPPOOL_ARRAY(&x, 1);

	gate_init(&circle.submitted);
	gate_init(&circle.finished);
	func.release = circle_release;
	items.columns = &(const struct mppool_column){&x, sizeof x, sizeof x, MPPOOL_VALUES, 0};
	items.finish = circle_finish;
	items.state = &circle;
	assert_ok(mppool_imap(circle.pool, &func, &items, 1, 0, NULL, &circle.iter));
	gate_open(&circle.submitted);
	gate_wait_departures(&circle.submitted, 1);
	gate_wait(&circle.finished);
	pool_finish(circle.pool);
	assert_ok(atomic_load(&circle.code));
	ck_assert_int_eq(atomic_load(&circle.called), 1);
	ck_assert_int_eq(atomic_load(&circle.released), 1);
	gate_destroy(&circle.submitted);
	gate_destroy(&circle.finished);
}
END_TEST

static void fill(Suite *suite)
{
	TCase *tcase = add_case(suite, "which");
	tcase_add_test(tcase, callback_gets_all_results_of_a_map);
	tcase_add_test(tcase, callback_of_apply_gets_one_result);
	tcase_add_test(tcase, error_callback_of_failed_task_gets_its_error);
	tcase_add_test(tcase, error_callback_of_failed_generator_gets_its_code);
	tcase_add_test(tcase, error_callback_of_canceled_and_terminated_calls_comes_once);
	tcase_add_test(tcase, callback_of_empty_inputs_gets_no_results);
	tcase_add_test(tcase, only_one_kind_of_callback_given_the_other_is_not_missed);
	tcase_add_test(tcase, callback_comes_although_the_result_was_freed_or_never_wanted);
	tcase_add_test(tcase, callbacks_of_many_calls_come_once_each_and_one_at_a_time);

	tcase = add_case(suite, "when");
	tcase_add_test(tcase, callbacks_run_on_the_result_handler);
	tcase_add_test(tcase, result_is_ready_only_after_its_callback_returned);
	tcase_add_test(tcase, callbacks_run_in_order_of_completion);
	tcase_add_test(tcase, finish_comes_before_the_callback_and_all_of_it_before_ready);

	tcase = add_case(suite, "doing");
	tcase_add_test(tcase, callback_that_submits_continues_even_after_close);
	tcase_add_test(tcase, callback_that_submits_to_its_full_pool_is_not_made_to_wait);
	tcase_add_test(tcase, callback_that_cancels_another_call_ends_it);
	tcase_add_test(tcase, callback_that_closes_its_pool_may_not_join_it);
	tcase_add_test(tcase, callback_that_terminates_its_pool_ends_everything);
	tcase_add_test(tcase, callback_that_frees_its_own_result_still_sees_the_results);
	tcase_add_test(tcase, callback_that_would_wait_for_its_own_pool_gets_edeadlk);
	tcase_add_test(tcase, callbacks_due_when_the_pool_is_terminated_still_come);
	tcase_add_test(tcase, hook_after_a_callback_must_not_wait_either);
	tcase_add_test(tcase, callback_that_frees_a_stream_does_not_wait_for_items_that_wait_for_it);
}

int main(int argc, char **argv)
{
	return run_suite("callbacks", fill, argc, argv);
}
