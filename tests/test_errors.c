/* test_errors.c - each code that each call can refuse with, and that a refused call leaves no trace
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE 1
#include "support.h"

#include <limits.h>
#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* -------------------------------------------------------------------------------------- one request for every call */

enum call { APPLY, APPLY_ASYNC, MAP, MAP_ASYNC, STARMAP, STARMAP_ASYNC, IMAP, IMAP_UNORDERED, CALLS };

#define ITEMS 4
#define PATTERN 0x5a5a5a5a                       /* in every output before a call that must not touch it */

/* Counts everything of the user's that a call could call. */
struct spy {
	atomic_size_t ran, dropped, dropped_results, released, finished, called_back, drawn;
};

/* A request that is good in every way, for a test to spoil in one. */
struct request {
	mppool *pool;
	struct spy spy;
	int xs[ITEMS];
	int results[ITEMS];
	int codes[ITEMS];
	const void *arguments[MPPOOL_MAX_ARGS + 1];
	struct mppool_column columns[MPPOOL_MAX_ARGS + 1];
	struct mppool_func f;
	struct mppool_iterable it;
	struct mppool_call_options o;
	/* What is handed over: NULL, one of those above, or a stretched copy. */
	const struct mppool_func *func;
	const void *const *args;
	const struct mppool_iterable *items;
	const struct mppool_call_options *options;
	void *into;
	size_t chunksize, buffersize;
	bool no_handle;                          /* hand in NULL where the handle goes */
	mppool_result *result;
	mppool_iter *iter;
};

static bool takes_items(enum call call)
{
	return call != APPLY && call != APPLY_ASYNC;
}

static bool takes_options(enum call call)
{
	return call != APPLY && call != MAP && call != STARMAP;
}

static bool gives_iter(enum call call)
{
	return call == IMAP || call == IMAP_UNORDERED;
}

static bool is_map(enum call call)
{
	return call == MAP || call == MAP_ASYNC;
}

static int spy_call(const void *const args[], void *result, void *context)
{
	struct spy *const spy = context;

	atomic_fetch_add(&spy->ran, 1);
	*(int *)result = int_arg(args, 0) * int_arg(args, 0);
	return 0;
}

static void spy_drop_args(const void *const args[], void *context)
{
	(void)args;
	atomic_fetch_add(&((struct spy *)context)->dropped, 1);
}

static void spy_drop_result(void *result, void *context)
{
	(void)result;
	atomic_fetch_add(&((struct spy *)context)->dropped_results, 1);
}

static void spy_release(void *context)
{
	atomic_fetch_add(&((struct spy *)context)->released, 1);
}

static void spy_finish(void *state)
{
	atomic_fetch_add(&((struct spy *)state)->finished, 1);
}

static int spy_next(void *const args[], void *state)
{
	struct spy *const spy = state;
	const size_t drawn = atomic_fetch_add(&spy->drawn, 1);

	if (drawn >= ITEMS)
		return MPPOOL_ESTOP;
	*(int *)args[0] = (int)drawn;
	return 0;
}

static void spy_callback(const void *results, size_t n, void *userdata)
{
	(void)results;
	(void)n;
	atomic_fetch_add(&((struct spy *)userdata)->called_back, 1);
}

static void spy_error_callback(const struct mppool_error *error, void *userdata)
{
	(void)error;
	atomic_fetch_add(&((struct spy *)userdata)->called_back, 1);
}

static size_t spy_sum(struct spy *spy)
{
	return atomic_load(&spy->ran) + atomic_load(&spy->dropped) + atomic_load(&spy->dropped_results) +
	       atomic_load(&spy->released) + atomic_load(&spy->finished) + atomic_load(&spy->called_back) +
	       atomic_load(&spy->drawn);
}

static void request_set(struct request *r, mppool *pool)
{
	*r = (struct request){.pool = pool};
	for (int i = 0; i < ITEMS; i++) {
		r->xs[i] = i;
		r->results[i] = r->codes[i] = PATTERN;
	}
	for (size_t i = 0; i <= MPPOOL_MAX_ARGS; i++) {
		r->columns[i] = MPPOOL_COLUMN(r->xs);
		r->arguments[i] = &r->xs[2];
	}
	r->f = make_func(spy_call, 1, sizeof(int), &r->spy);
	r->f.drop_args = spy_drop_args;
	r->f.drop_result = spy_drop_result;
	r->f.release = spy_release;
	r->it = (struct mppool_iterable)MPPOOL_ITERABLE_INIT;
	r->it.columns = r->columns;
	r->it.ncolumns = 1;
	r->it.length = ITEMS;
	r->it.finish = spy_finish;
	r->it.state = &r->spy;
	r->o = (struct mppool_call_options)MPPOOL_CALL_OPTIONS_INIT;
	r->o.userdata = &r->spy;
	r->func = &r->f;
	r->args = r->arguments;
	r->items = &r->it;
	r->options = &r->o;
	r->into = r->results;
	r->result = (mppool_result *)(void *)&r->spy;
	r->iter = (mppool_iter *)(void *)&r->spy;
}

static void request_set_generator(struct request *r, mppool *pool)
{
	request_set(r, pool);
	r->it.columns = NULL;
	r->it.ncolumns = 0;
	r->it.length = 0;
	r->it.next = spy_next;
	r->into = NULL;
}

static int submit_iter(struct request *r, enum call call)
{
	int (*const imap)(mppool *, const struct mppool_func *, const struct mppool_iterable *, size_t, size_t,
	                  const struct mppool_call_options *, mppool_iter **) =
		call == IMAP ? mppool_imap : mppool_imap_unordered;

	return imap(r->pool, r->func, r->items, r->chunksize, r->buffersize, r->options,
	            r->no_handle ? NULL : &r->iter);
}

static int submit(struct request *r, enum call call)
{
	mppool_result **const to_result = r->no_handle ? NULL : &r->result;

	switch (call) {
	case APPLY:
		return mppool_apply(r->pool, r->func, r->args, r->into);
	case APPLY_ASYNC:
		return mppool_apply_async(r->pool, r->func, r->args, r->options, to_result);
	case MAP:
		return mppool_map(r->pool, r->func, r->items, r->into, r->chunksize);
	case MAP_ASYNC:
		return mppool_map_async(r->pool, r->func, r->items, r->into, r->chunksize, r->options, to_result);
	case STARMAP:
		return mppool_starmap(r->pool, r->func, r->items, r->into, r->chunksize);
	case STARMAP_ASYNC:
		return mppool_starmap_async(r->pool, r->func, r->items, r->into, r->chunksize, r->options, to_result);
	default:
		return submit_iter(r, call);
	}
}

static void assert_untouched(struct request *r)
{
	ck_assert_uint_eq(spy_sum(&r->spy), 0);
	ck_assert_ptr_eq(r->result, (void *)&r->spy);
	ck_assert_ptr_eq(r->iter, (void *)&r->spy);
	for (int i = 0; i < ITEMS; i++) {
		ck_assert_int_eq(r->results[i], PATTERN);
		ck_assert_int_eq(r->codes[i], PATTERN);
	}
}

/* The request is refused with that code, and nothing shows that it was ever made. */
static void refused(struct request *r, enum call call, int code)
{
	const int got = submit(r, call);

	ck_assert_msg(got == code, "call %d: %s instead of %s", (int)call, mppool_strerrorname(got),
	              mppool_strerrorname(code));
	assert_untouched(r);
}

/* The request is accepted, and brings what it should. */
static void accepted(struct request *r, enum call call)
{
	int sum = 0, y = 0;

	assert_ok(submit(r, call));
	if (gives_iter(call)) {
		for (int i = 0; i < ITEMS; i++) {
			assert_ok(mppool_iter_next(r->iter, &y, NULL, MPPOOL_FOREVER));
			sum += y;
		}
		assert_code(mppool_iter_next(r->iter, &y, NULL, MPPOOL_FOREVER), MPPOOL_ESTOP);
		mppool_iter_free(r->iter);
	} else if (call == APPLY) {
		sum = r->results[0] + 10;
	} else if (call == APPLY_ASYNC) {
		assert_ok(mppool_result_get(r->result, &y, MPPOOL_FOREVER));
		sum = y + 10;
	} else {
		if (takes_options(call))
			assert_ok(mppool_result_wait(r->result, MPPOOL_FOREVER));
		for (int i = 0; i < ITEMS; i++)
			sum += r->results[i];
	}
	if (takes_options(call) && !gives_iter(call))
		mppool_result_free(r->result);
	ck_assert_int_eq(sum, 14);
	ck_assert_uint_eq(atomic_load(&r->spy.released), 1);
}

/* A copy with `extra` bytes at its end, the last of that value: exactly as large as it says, so that a checker sees a
 * read beyond. */
static void *stretched(const void *from, size_t size, size_t extra, unsigned char value)
{
	unsigned char *const copy = malloc(size + extra);
	const size_t said = size + extra;

	ck_assert_ptr_nonnull(copy);
	memcpy(copy, from, size);
	memset(copy + size, 0, extra);
	if (extra)
		copy[size + extra - 1] = value;
	memcpy(copy, &said, sizeof said);
	return copy;
}

/* A copy of only the first `size` bytes; at least the size itself. */
static void *shortened(const void *from, size_t size)
{
	const size_t room = size < sizeof size ? sizeof size : size;
	unsigned char *const copy = malloc(room);

	ck_assert_ptr_nonnull(copy);
	memcpy(copy, from, room);
	memcpy(copy, &size, sizeof size);
	return copy;
}

/* -------------------------------------------------------------------------------------------------- names of codes */

static const struct { int code; const char *name; } table[] = {
	{MPPOOL_ETASK, "MPPOOL_ETASK"}, {MPPOOL_ESTOP, "MPPOOL_ESTOP"},
	{MPPOOL_ECLOSED, "MPPOOL_ECLOSED"}, {MPPOOL_ERUNNING, "MPPOOL_ERUNNING"},
	{MPPOOL_ENOTREADY, "MPPOOL_ENOTREADY"}, {MPPOOL_ETERMINATED, "MPPOOL_ETERMINATED"},
	{MPPOOL_EBROKEN, "MPPOOL_EBROKEN"}, {MPPOOL_ELOST, "MPPOOL_ELOST"},
	{MPPOOL_EITER, "MPPOOL_EITER"}, {MPPOOL_EFULL, "MPPOOL_EFULL"},
	{MPPOOL_EFORKED, "MPPOOL_EFORKED"}, {MPPOOL_EFUNC, "MPPOOL_EFUNC"}, {ENOTSUP, "ENOTSUP"}, {EINVAL, "EINVAL"}, {ENOMEM, "ENOMEM"}, {EAGAIN, "EAGAIN"},
	{ETIMEDOUT, "ETIMEDOUT"}, {EDEADLK, "EDEADLK"}, {ECANCELED, "ECANCELED"}, {EBUSY, "EBUSY"},
	{EALREADY, "EALREADY"}, {E2BIG, "E2BIG"}, {ENOENT, "ENOENT"}, {EPERM, "EPERM"},
};
#define TABLE (sizeof table / sizeof *table)

START_TEST(strerrorname_each_code_is_its_name)
{
	for (size_t i = 0; i < TABLE; i++)
		ck_assert_str_eq(mppool_strerrorname(table[i].code), table[i].name);
}
END_TEST

START_TEST(strerror_each_code_has_its_own_sentence)
{
	for (size_t i = 0; i < TABLE; i++) {
		char text[256];          /* of a code of the system the text lasts until the next call */
		snprintf(text, sizeof text, "%s", mppool_strerror(table[i].code));
		ck_assert_uint_gt(strlen(text), 3);
		ck_assert_str_ne(text, table[i].name);
		for (size_t j = 0; j < i; j++)
			ck_assert_str_ne(text, mppool_strerror(table[j].code));
	}
}
END_TEST

START_TEST(strerror_strange_codes_are_never_null)
{
	const int strange[] = {0, -1, -EINVAL, 100, 133, 134, 4095, 9999, 10000, 10012, 10100, INT_MAX, INT_MIN};

	for (size_t i = 0; i < sizeof strange / sizeof *strange; i++) {
		ck_assert_ptr_nonnull(mppool_strerror(strange[i]));
		ck_assert_ptr_nonnull(mppool_strerrorname(strange[i]));
		ck_assert_uint_gt(strlen(mppool_strerror(strange[i])), 0);
		ck_assert_uint_gt(strlen(mppool_strerrorname(strange[i])), 0);
	}
}
END_TEST

static void ask_names(size_t i, void *arg)
{
	atomic_size_t *const wrong = arg;

	for (int code = 0; code < 20000; code += 1 + (int)i)
		if (!*mppool_strerror(code) || !*mppool_strerrorname(code))
			atomic_fetch_add(wrong, 1);
	if (strcmp(mppool_strerrorname(MPPOOL_ESTOP), "MPPOOL_ESTOP") != 0)
		atomic_fetch_add(wrong, 1);
}

START_TEST(strerror_from_several_threads_answers_each)
{
	atomic_size_t wrong = 0;

	run_in_threads(4, ask_names, &wrong);
	ck_assert_uint_eq(atomic_load(&wrong), 0);
}
END_TEST

START_TEST(codes_have_the_values_that_were_promised)
{
	for (int i = 0; i < 11; i++)
		ck_assert_int_eq(table[i].code, 10001 + i);
}
END_TEST

/* --------------------------------------------------------------------------------------------------- mppool_create */

static int state_initializer(void *initarg, void **ret_state)
{
	atomic_fetch_add((atomic_size_t *)initarg, 1);
	*ret_state = NULL;
	return 0;
}

/* mppool_create refuses these options, calls nothing and leaves no thread. */
static void create_refused(const struct mppool_options *options, int code)
{
	mppool *pool = (mppool *)(void *)&pool;

	assert_code(mppool_create(options, &pool), code);
	ck_assert_ptr_eq(pool, (void *)&pool);
	ck_assert_uint_eq(threads_settle("mppool", 0), 0);
}

START_TEST(create_without_output_is_einval)
{
	assert_code(mppool_create(NULL, NULL), EINVAL);
	assert_code(mppool_create(MPPOOL_OPTIONS(.workers = 1), NULL), EINVAL);
	ck_assert_uint_eq(threads_settle("mppool", 0), 0);
}
END_TEST

START_TEST(create_negative_workers_is_einval)
{
	create_refused(MPPOOL_OPTIONS(.workers = -1), EINVAL);
	create_refused(MPPOOL_OPTIONS(.workers = INT_MIN), EINVAL);
}
END_TEST

START_TEST(create_bad_members_are_einval)
{
	atomic_size_t started = 0;

	create_refused(MPPOOL_OPTIONS(.workers = 1, .kind = 3), EINVAL);
	create_refused(MPPOOL_OPTIONS(.workers = 1, .kind = MPPOOL_MPI), ENOTSUP);
	create_refused(MPPOOL_OPTIONS(.workers = 1, .kill_after = NAN), EINVAL);
	create_refused(MPPOOL_OPTIONS(.workers = 1, .initarg_size = 8), EINVAL);
	create_refused(MPPOOL_OPTIONS(.workers = 1, .flags = 1u << 31), EINVAL);
	create_refused(MPPOOL_OPTIONS(.workers = 1, .flags = MPPOOL_CALLER_HELPS | 1u << 7), EINVAL);
	create_refused(MPPOOL_OPTIONS(.workers = 1, .callback_mode = 2), EINVAL);
	create_refused(MPPOOL_OPTIONS(.workers = 1, .callback_mode = -1), EINVAL);
	create_refused(MPPOOL_OPTIONS(.workers = 1, .flags = MPPOOL_CALLER_HELPS, .initializer = state_initializer,
	                              .initarg = &started), EINVAL);
	create_refused(MPPOOL_OPTIONS(.workers = 1, .initializer = state_initializer, .initarg = &started,
	                              .kind = 7), EINVAL);
	ck_assert_uint_eq(atomic_load(&started), 0);
}
END_TEST

START_TEST(create_cpu_that_cannot_be_is_einval)
{
	create_refused(MPPOOL_OPTIONS(.workers = 1, .cpus = (const int[]){-1}, .ncpus = 1), EINVAL);
	create_refused(MPPOOL_OPTIONS(.workers = 1, .cpus = (const int[]){INT_MAX}, .ncpus = 1), EINVAL);
}
END_TEST

START_TEST(create_stack_beyond_memory_fails)
{
	mppool *pool = (mppool *)(void *)&pool;

	if (sizeof(size_t) > 4)          /* half of a small address space can be had */
		ck_assert_int_ne(mppool_create(MPPOOL_OPTIONS(.workers = 1, .stack_size = SIZE_MAX / 2), &pool), 0);
	ck_assert_int_ne(mppool_create(MPPOOL_OPTIONS(.workers = 1, .stack_size = SIZE_MAX), &pool), 0);
	ck_assert_ptr_eq(pool, (void *)&pool);
	ck_assert_uint_eq(threads_settle("mppool", 0), 0);
}
END_TEST

START_TEST(create_struct_too_small_is_einval)
{
	const struct mppool_options good = {.size = sizeof good, .workers = 1};
	const size_t sizes[] = {0, 1, sizeof(size_t), sizeof good - 24, offsetof(struct mppool_options, kill_after) - 1};

	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		void *const options = shortened(&good, sizes[i]);
		create_refused(options, EINVAL);
		free(options);
	}
}
END_TEST

START_TEST(create_unknown_member_set_is_e2big)
{
	const struct mppool_options good = {.size = sizeof good, .workers = 1};
	const size_t extras[] = {8, 16, 200};

	for (size_t i = 0; i < sizeof extras / sizeof *extras; i++) {
		void *const options = stretched(&good, sizeof good, extras[i], 1);
		create_refused(options, E2BIG);
		free(options);
	}
}
END_TEST

START_TEST(create_unknown_member_zero_is_accepted)
{
	const struct mppool_options good = {.size = sizeof good, .workers = 1};
	const size_t extras[] = {0, 8, 200};

	for (size_t i = 0; i < sizeof extras / sizeof *extras; i++) {
		void *const options = stretched(&good, sizeof good, extras[i], 0);
		mppool *pool = NULL;
		assert_ok(mppool_create(options, &pool));
		free(options);
		pool_finish(pool);
	}
}
END_TEST

/* ---------------------------------------------------------------------------------------------------- submit calls */

/* These run once for each of CALLS, _i. */

START_TEST(submit_null_where_something_is_needed_is_einval)
{
	const enum call call = (enum call)_i;
	struct request r;
	mppool *const pool = pool_of(1);

	request_set(&r, NULL);
	refused(&r, call, EINVAL);
	request_set(&r, pool);
	r.func = NULL;
	refused(&r, call, EINVAL);
	request_set(&r, pool);
	if (takes_items(call))
		r.items = NULL;
	else
		r.args = NULL;
	refused(&r, call, EINVAL);
	request_set(&r, pool);
	r.f.call = NULL;
	refused(&r, call, EINVAL);
	request_set(&r, pool);
	if (gives_iter(call)) {
		r.no_handle = true;
		refused(&r, call, EINVAL);
	}
	request_set(&r, pool);
	r.arguments[0] = NULL;
	r.columns[0].base = NULL;
	refused(&r, call, EINVAL);
	request_set(&r, pool);
	accepted(&r, call);
	pool_finish(pool);
}
END_TEST

START_TEST(submit_good_request_is_accepted)
{
	const enum call call = (enum call)_i;
	struct request r;
	mppool *const pool = pool_of(2);

	request_set(&r, pool);
	accepted(&r, call);
	request_set(&r, pool);
	r.options = NULL;
	accepted(&r, call);
	request_set(&r, pool);
	r.chunksize = SIZE_MAX;
	accepted(&r, call);
	pool_finish(pool);
}
END_TEST

START_TEST(submit_wrong_number_of_arguments_is_einval)
{
	const enum call call = (enum call)_i;
	struct request r;
	mppool *const pool = pool_of(1);

	request_set(&r, pool);
	r.f.nargs = MPPOOL_MAX_ARGS + 1;
	r.it.ncolumns = MPPOOL_MAX_ARGS + 1;
	refused(&r, call, EINVAL);
	request_set(&r, pool);
	r.f.nargs = SIZE_MAX;
	refused(&r, call, EINVAL);
	if (takes_items(call)) {
		request_set(&r, pool);
		r.it.ncolumns = 2;
		refused(&r, call, EINVAL);
		request_set(&r, pool);
		r.it.ncolumns = 0;
		refused(&r, call, EINVAL);
		request_set(&r, pool);
		r.f.nargs = 2;
		r.f.arg_size[1] = sizeof(int);
		refused(&r, call, EINVAL);
	}
	pool_finish(pool);
}
END_TEST

START_TEST(map_function_of_other_than_one_argument_is_einval)
{
	const enum call call = (enum call)_i;
	struct request r;
	mppool *const pool = pool_of(1);

	if (is_map(call)) {
		request_set(&r, pool);
		r.f.nargs = 2;
		r.f.arg_size[1] = sizeof(int);
		r.it.ncolumns = 2;
		refused(&r, call, EINVAL);
		request_set(&r, pool);
		r.f.nargs = 0;
		r.it.ncolumns = 0;
		r.it.columns = NULL;
		refused(&r, call, EINVAL);
		request_set_generator(&r, pool);
		r.f.nargs = 2;
		r.f.arg_size[1] = sizeof(int);
		refused(&r, call, EINVAL);
	} else if (takes_items(call)) {
		request_set(&r, pool);
		r.f.nargs = 2;
		r.f.arg_size[1] = sizeof(int);
		r.it.ncolumns = 2;
		accepted(&r, call);
	}
	pool_finish(pool);
}
END_TEST

START_TEST(submit_element_size_other_than_argument_size_is_einval)
{
	const enum call call = (enum call)_i;
	struct request r;
	mppool *const pool = pool_of(1);

	if (takes_items(call)) {
		request_set(&r, pool);
		r.columns[0].size = sizeof(int) + 4;
		refused(&r, call, EINVAL);
		request_set(&r, pool);
		r.columns[0].size = 1;
		refused(&r, call, EINVAL);
		request_set(&r, pool);
		r.f.arg_size[0] = 2;
		refused(&r, call, EINVAL);
		request_set(&r, pool);
		r.columns[0].size = 0;                   /* not checked */
		accepted(&r, call);
	}
	pool_finish(pool);
}
END_TEST

START_TEST(submit_second_column_is_checked_as_well)
{
	const enum call call = (enum call)_i;
	struct request r;
	mppool *const pool = pool_of(1);

	if (takes_items(call) && !is_map(call)) {
		request_set(&r, pool);
		r.f.nargs = r.it.ncolumns = 2;
		r.f.arg_size[1] = sizeof(int);
		r.columns[1].size = 8;
		refused(&r, call, EINVAL);
		r.columns[1].size = sizeof(int);
		r.columns[1].base = NULL;
		refused(&r, call, EINVAL);
	}
	pool_finish(pool);
}
END_TEST

START_TEST(submit_both_or_neither_of_columns_and_next_is_einval)
{
	const enum call call = (enum call)_i;
	struct request r;
	mppool *const pool = pool_of(1);

	if (takes_items(call)) {
		request_set(&r, pool);
		r.it.next = spy_next;
		refused(&r, call, EINVAL);
		request_set(&r, pool);
		r.it.columns = NULL;
		refused(&r, call, EINVAL);
		request_set(&r, pool);
		r.it.columns = NULL;
		r.it.ncolumns = 0;
		refused(&r, call, EINVAL);
		request_set(&r, pool);
		r.it.columns = NULL;
		r.it.ncolumns = 0;
		r.it.length = 0;                         /* empty is no excuse */
		refused(&r, call, EINVAL);
	}
	pool_finish(pool);
}
END_TEST

static int index_call(const void *const args[], void *result, void *context)
{
	struct spy *const spy = context;

	(void)args;
	atomic_fetch_add(&spy->ran, 1);
	*(int *)result = (int)(mppool_item_index() * mppool_item_index());
	return 0;
}

START_TEST(submit_no_columns_for_no_arguments_is_accepted)
{
	const enum call call = (enum call)_i;
	struct request r;
	mppool *const pool = pool_of(2);

	if (takes_items(call) && !is_map(call)) {
		request_set(&r, pool);
		r.f.call = index_call;
		r.f.nargs = 0;
		r.it.columns = NULL;
		r.it.ncolumns = 0;
		accepted(&r, call);
	}
	pool_finish(pool);
}
END_TEST

START_TEST(submit_empty_input_needs_no_array)
{
	const enum call call = (enum call)_i;
	struct request r;
	mppool *const pool = pool_of(1);

	if (takes_items(call)) {
		request_set(&r, pool);
		r.columns[0].base = NULL;
		r.it.length = 0;
		r.into = NULL;
		assert_ok(submit(&r, call));
		if (gives_iter(call)) {
			assert_code(mppool_iter_next(r.iter, r.results, NULL, MPPOOL_FOREVER), MPPOOL_ESTOP);
			mppool_iter_free(r.iter);
		} else if (takes_options(call)) {
			assert_ok(mppool_result_wait(r.result, MPPOOL_FOREVER));
			mppool_result_free(r.result);
		}
		ck_assert_uint_eq(atomic_load(&r.spy.ran), 0);
		ck_assert_uint_eq(atomic_load(&r.spy.finished), 1);
	}
	pool_finish(pool);
}
END_TEST

START_TEST(submit_sizes_that_overflow_are_einval)
{
	const enum call call = (enum call)_i;
	struct request r;
	mppool *const pool = pool_of(1);

	if (takes_items(call)) {
		request_set(&r, pool);
		r.columns[0].stride = SIZE_MAX / 2;      /* the array would go round the address space */
		refused(&r, call, EINVAL);
		request_set(&r, pool);
		r.columns[0].stride = SIZE_MAX / 16;
		r.it.length = 1000;
		refused(&r, call, EINVAL);
	}
	if (takes_items(call) && !gives_iter(call)) {
		request_set(&r, pool);
		r.columns[0].stride = 0;
		r.f.result_size = SIZE_MAX / 2;          /* so would the results */
		refused(&r, call, EINVAL);
	}
	if (call == MAP_ASYNC || call == STARMAP_ASYNC) {
		request_set(&r, pool);
		r.columns[0].stride = 0;
		r.it.length = SIZE_MAX / 8;
		r.f.result_size = 1024;
		r.into = NULL;
		refused(&r, call, EINVAL);
	}
	if (call == APPLY_ASYNC) {
		request_set(&r, pool);
		r.f.nargs = 3;
		r.f.arg_size[0] = r.f.arg_size[1] = r.f.arg_size[2] = SIZE_MAX / 2;
		refused(&r, call, EINVAL);
		request_set(&r, pool);
		r.f.result_size = SIZE_MAX - 2;
		refused(&r, call, EINVAL);
	}
	pool_finish(pool);
}
END_TEST

/* What a generator yields at most is a number like any other, unless there are arrays of that length. */
START_TEST(submit_any_bound_is_accepted_where_nothing_has_its_size)
{
	static const size_t bounds[] = {SIZE_MAX / 8 + 1, SIZE_MAX / 2 + 1, SIZE_MAX - 1};
	const enum call call = (enum call)_i;
	struct request r;
	mppool *const pool = pool_of(1);

	for (size_t i = 0; takes_items(call) && i < sizeof bounds / sizeof bounds[0]; i++) {
		request_set_generator(&r, pool);
		r.it.length = bounds[i];
		if (gives_iter(call)) {
			accepted(&r, call);
			continue;
		}
		r.into = r.results;
		refused(&r, call, EINVAL);
		r.into = NULL;
		r.o.codes = r.codes;
		if (takes_options(call))
			refused(&r, call, EINVAL);
		r.o.codes = NULL;
		assert_ok(submit(&r, call));
		if (takes_options(call)) {
			assert_ok(mppool_result_wait(r.result, MPPOOL_FOREVER));
			mppool_result_free(r.result);
		}
		ck_assert_uint_eq(atomic_load(&r.spy.ran), ITEMS);
	}
	pool_finish(pool);
}
END_TEST

START_TEST(submit_more_than_there_is_memory_is_enomem)
{
	const enum call call = (enum call)_i;
	struct request r;
	mppool *const pool = pool_of(1);

	/* The sanitizers' allocators end the program instead; of 32 bits' worth everything may be had. */
	if (!UNDER_ASAN && !UNDER_TSAN && !under_valgrind() && sizeof(size_t) > 4) {
		if (call == MAP_ASYNC || call == STARMAP_ASYNC) {
			request_set(&r, pool);
			r.columns[0].stride = 0;
			r.it.length = SIZE_MAX >> 8;
			r.into = NULL;
			refused(&r, call, ENOMEM);
		}
		if (call == APPLY_ASYNC) {
			request_set(&r, pool);
			r.f.result_size = SIZE_MAX >> 4;
			refused(&r, call, ENOMEM);
		}
	}
	pool_finish(pool);
}
END_TEST

START_TEST(submit_func_size_is_checked)
{
	const enum call call = (enum call)_i;
	struct request r;
	void *func;
	mppool *const pool = pool_of(1);
	const size_t sizes[] = {0, sizeof(size_t), sizeof r.f - 16};

	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		request_set(&r, pool);
		r.func = func = shortened(&r.f, sizes[i]);
		refused(&r, call, EINVAL);
		free(func);
	}
	for (size_t extra = 8; extra <= 128; extra *= 4) {
		request_set(&r, pool);
		r.func = func = stretched(&r.f, sizeof r.f, extra, 0x80);
		refused(&r, call, E2BIG);
		free(func);
		request_set(&r, pool);
		r.func = func = stretched(&r.f, sizeof r.f, extra, 0);
		accepted(&r, call);
		free(func);
	}
	pool_finish(pool);
}
END_TEST

START_TEST(submit_iterable_size_is_checked)
{
	const enum call call = (enum call)_i;
	struct request r;
	void *items;
	mppool *const pool = pool_of(1);
	const size_t sizes[] = {0, sizeof(size_t), sizeof r.it - 8};

	for (size_t i = 0; takes_items(call) && i < sizeof sizes / sizeof *sizes; i++) {
		request_set(&r, pool);
		r.items = items = shortened(&r.it, sizes[i]);
		refused(&r, call, EINVAL);
		free(items);
	}
	for (size_t extra = 8; takes_items(call) && extra <= 128; extra *= 4) {
		request_set(&r, pool);
		r.items = items = stretched(&r.it, sizeof r.it, extra, 1);
		refused(&r, call, E2BIG);
		free(items);
		request_set(&r, pool);
		r.items = items = stretched(&r.it, sizeof r.it, extra, 0);
		accepted(&r, call);
		free(items);
	}
	pool_finish(pool);
}
END_TEST

START_TEST(submit_options_size_is_checked)
{
	const enum call call = (enum call)_i;
	struct request r;
	void *options;
	mppool *const pool = pool_of(1);
	const size_t sizes[] = {0, sizeof(size_t), sizeof r.o - 8};

	for (size_t i = 0; takes_options(call) && i < sizeof sizes / sizeof *sizes; i++) {
		request_set(&r, pool);
		r.options = options = shortened(&r.o, sizes[i]);
		refused(&r, call, EINVAL);
		free(options);
	}
	for (size_t extra = 8; takes_options(call) && extra <= 128; extra *= 4) {
		request_set(&r, pool);
		r.options = options = stretched(&r.o, sizeof r.o, extra, 1);
		refused(&r, call, E2BIG);
		free(options);
		request_set(&r, pool);
		r.options = options = stretched(&r.o, sizeof r.o, extra, 0);
		accepted(&r, call);
		free(options);
	}
	pool_finish(pool);
}
END_TEST

START_TEST(submit_bad_option_is_einval)
{
	const enum call call = (enum call)_i;
	struct request r;
	mppool *const pool = pool_of(1);
	const int priorities[] = {2, -2, INT_MAX, INT_MIN};

	if (takes_options(call)) {
		for (size_t i = 0; i < sizeof priorities / sizeof *priorities; i++) {
			request_set(&r, pool);
			r.o.priority = priorities[i];
			refused(&r, call, EINVAL);
		}
		for (unsigned bit = 2; bit < 32; bit++) {
			request_set(&r, pool);
			r.o.flags = 1u << bit;
			refused(&r, call, EINVAL);
		}
		request_set(&r, pool);
		r.o.task_timeout = (double)NAN;
		refused(&r, call, EINVAL);
		request_set(&r, pool);
		r.o.submit_timeout = (double)NAN;
		refused(&r, call, EINVAL);
	}
	pool_finish(pool);
}
END_TEST

START_TEST(submit_good_options_are_accepted)
{
	const enum call call = (enum call)_i;
	struct request r;
	mppool *const pool = pool_of(1);

	for (int priority = -1; takes_options(call) && priority <= 1; priority++) {
		request_set(&r, pool);
		r.o.priority = priority;
		r.o.flags = MPPOOL_NOWAIT | MPPOOL_FAIL_FAST;
		r.o.task_timeout = priority ? (double)INFINITY : 1000.0;
		r.o.submit_timeout = priority ? MPPOOL_FOREVER : 1000.0;
		accepted(&r, call);
	}
	pool_finish(pool);
}
END_TEST

START_TEST(imap_callbacks_and_codes_are_einval)
{
	const enum call call = (enum call)_i;
	struct request r;
	mppool *const pool = pool_of(1);

	if (gives_iter(call)) {
		request_set(&r, pool);
		r.o.callback = spy_callback;
		refused(&r, call, EINVAL);
		request_set(&r, pool);
		r.o.error_callback = spy_error_callback;
		refused(&r, call, EINVAL);
		request_set(&r, pool);
		r.o.codes = r.codes;
		refused(&r, call, EINVAL);
	}
	pool_finish(pool);
}
END_TEST

START_TEST(map_generator_without_bound_needs_no_results)
{
	const enum call call = (enum call)_i;
	struct request r;
	mppool *const pool = pool_of(1);

	if (takes_items(call) && !gives_iter(call)) {
		request_set_generator(&r, pool);
		r.into = r.results;
		refused(&r, call, EINVAL);
		r.it.length = MPPOOL_UNKNOWN;
		refused(&r, call, EINVAL);
		if (takes_options(call)) {
			request_set_generator(&r, pool);
			r.o.codes = r.codes;
			refused(&r, call, EINVAL);
		}
		request_set_generator(&r, pool);
		r.it.length = ITEMS;                     /* a bound */
		r.into = r.results;
		accepted(&r, call);
	}
	pool_finish(pool);
}
END_TEST

START_TEST(submit_to_closed_pool_is_eclosed)
{
	const enum call call = (enum call)_i;
	struct request r;
	mppool *const pool = pool_of(1);

	assert_ok(mppool_close(pool));
	request_set(&r, pool);
	refused(&r, call, MPPOOL_ECLOSED);
	request_set_generator(&r, pool);
	refused(&r, call, MPPOOL_ECLOSED);
	assert_ok(mppool_join(pool, MPPOOL_FOREVER));
	request_set(&r, pool);
	refused(&r, call, MPPOOL_ECLOSED);
	assert_ok(mppool_destroy(pool));
}
END_TEST

START_TEST(submit_to_terminated_pool_is_eclosed)
{
	const enum call call = (enum call)_i;
	struct request r;
	mppool *const pool = pool_of(1);

	assert_ok(mppool_terminate(pool));
	request_set(&r, pool);
	refused(&r, call, MPPOOL_ECLOSED);
	request_set_generator(&r, pool);
	refused(&r, call, MPPOOL_ECLOSED);
	assert_ok(mppool_destroy(pool));
}
END_TEST

static int second_initializer_fails(void *initarg, void **ret_state)
{
	*ret_state = initarg;
	if (atomic_fetch_add((atomic_size_t *)initarg, 1) > 0)
		return mppool_raise(ENOENT, "start %d", 2);
	return 0;
}

/* A pool whose only worker could not be replaced. */
static mppool *broken_pool(atomic_size_t *starts)
{
	mppool *pool = NULL;
	const int x = 3;
	const struct mppool_func func = make_func(square_call, 1, sizeof(int), NULL);

	atomic_store(starts, 0);
	assert_ok(mppool_create(MPPOOL_OPTIONS(.workers = 1, .max_tasks_per_worker = 1,
	                                       .initializer = second_initializer_fails, .initarg = starts), &pool));
	assert_ok(mppool_apply(pool, &func, MPPOOL_ARGS(&x), NULL));
	while (mppool_state(pool) == MPPOOL_RUN)
		sched_yield();
	ck_assert_int_eq(mppool_state(pool), MPPOOL_BROKEN);
	return pool;
}

START_TEST(submit_to_broken_pool_is_ebroken)
{
	const enum call call = (enum call)_i;
	struct request r;
	atomic_size_t starts;
	mppool *const pool = broken_pool(&starts);

	request_set(&r, pool);
	refused(&r, call, MPPOOL_EBROKEN);
	const struct mppool_error *const error = mppool_last_error();
	ck_assert_int_eq(error->code, ENOENT);
	ck_assert_uint_eq(error->index, 0);
	ck_assert_str_eq(error->message, "start 2");
	request_set_generator(&r, pool);
	refused(&r, call, MPPOOL_EBROKEN);
	assert_ok(mppool_destroy(pool));
}
END_TEST

static mppool *full_pool(struct hold *hold, struct request *filling)
{
	mppool *pool = NULL;

	assert_ok(mppool_create(MPPOOL_OPTIONS(.workers = 1, .queue_limit = 1), &pool));
	hold_workers(hold, pool, 1);
	request_set(filling, pool);
	assert_ok(submit(filling, APPLY_ASYNC));
	return pool;
}

START_TEST(submit_nowait_to_full_queue_is_efull)
{
	const enum call call = (enum call)_i;
	struct request filling, r;
	struct hold hold;
	mppool *const pool = full_pool(&hold, &filling);

	if (takes_options(call)) {
		request_set(&r, pool);
		r.o.flags = MPPOOL_NOWAIT;
		refused(&r, call, MPPOOL_EFULL);
		r.o.submit_timeout = 1000;
		refused(&r, call, MPPOOL_EFULL);
		request_set_generator(&r, pool);
		r.o.flags = MPPOOL_NOWAIT;
		refused(&r, call, MPPOOL_EFULL);
	}
	hold_release(&hold);
	mppool_result_free(filling.result);
	pool_finish(pool);
	ck_assert_uint_eq(atomic_load(&filling.spy.ran), 1);
}
END_TEST

START_TEST(submit_timeout_at_full_queue_is_etimedout)
{
	const enum call call = (enum call)_i;
	struct request filling, r;
	struct hold hold;
	mppool *const pool = full_pool(&hold, &filling);

	if (takes_options(call)) {
		request_set(&r, pool);
		r.o.submit_timeout = 0.02;
		const double before = seconds_now();
		refused(&r, call, ETIMEDOUT);
		ck_assert_double_ge(seconds_now() - before, 0.0199);
		r.o.submit_timeout = 1e-9;
		refused(&r, call, ETIMEDOUT);
	}
	hold_release(&hold);
	mppool_result_free(filling.result);
	pool_finish(pool);
}
END_TEST

struct waiting_submit {
	struct request r;
	enum call call;
	int code;
};

static void run_waiting_submit(void *arg)
{
	struct waiting_submit *const w = arg;

	w->code = submit(&w->r, w->call);
}

/* Who waits for room is told when there will never be any. */
static void waiting_submit_ends(enum call call, int (*end)(mppool *pool))
{
	struct request filling;
	struct waiting_submit w = {.call = call, .code = -1};
	struct runner runner;
	struct hold hold;
	mppool *const pool = full_pool(&hold, &filling);

	request_set(&w.r, pool);
	runner_start(&runner, run_waiting_submit, &w);
	pause_briefly();
	ck_assert(!runner_done(&runner));
	assert_ok(end(pool));
	runner_join(&runner);
	assert_code(w.code, MPPOOL_ECLOSED);
	assert_untouched(&w.r);
	hold_release(&hold);
	mppool_result_free(filling.result);
	assert_ok(mppool_join(pool, MPPOOL_FOREVER));
	assert_ok(mppool_destroy(pool));
}

START_TEST(submit_waiting_for_room_ends_at_close)
{
	waiting_submit_ends((enum call)_i, mppool_close);
}
END_TEST

START_TEST(submit_waiting_for_room_ends_at_terminate)
{
	waiting_submit_ends((enum call)_i, mppool_terminate);
}
END_TEST

/* --------------------------------------------------------------------------------------- close, terminate and join */

START_TEST(pool_calls_null_pool_is_einval)
{
	assert_code(mppool_close(NULL), EINVAL);
	assert_code(mppool_terminate(NULL), EINVAL);
	assert_code(mppool_join(NULL, 0), EINVAL);
	assert_code(mppool_join(NULL, MPPOOL_FOREVER), EINVAL);
	assert_ok(mppool_destroy(NULL));
}
END_TEST

START_TEST(join_before_close_is_erunning)
{
	mppool *const pool = pool_of(1);

	assert_code(mppool_join(pool, 0), MPPOOL_ERUNNING);
	assert_code(mppool_join(pool, 1.0), MPPOOL_ERUNNING);
	assert_code(mppool_join(pool, MPPOOL_FOREVER), MPPOOL_ERUNNING);
	ck_assert_int_eq(mppool_state(pool), MPPOOL_RUN);
	pool_finish(pool);
}
END_TEST

START_TEST(join_nan_is_einval)
{
	mppool *const pool = pool_of(1);

	assert_ok(mppool_close(pool));
	assert_code(mppool_join(pool, (double)NAN), EINVAL);
	assert_ok(mppool_join(pool, MPPOOL_FOREVER));
	assert_code(mppool_join(pool, (double)NAN), EINVAL);
	assert_ok(mppool_destroy(pool));
}
END_TEST

START_TEST(join_while_a_task_runs_is_etimedout)
{
	struct hold hold;
	mppool *const pool = pool_of(1);

	hold_workers(&hold, pool, 1);
	assert_ok(mppool_close(pool));
	assert_code(mppool_join(pool, 0), ETIMEDOUT);
	const double before = seconds_now();
	assert_code(mppool_join(pool, 0.03), ETIMEDOUT);
	ck_assert_double_ge(seconds_now() - before, 0.0299);
	hold_release(&hold);
	assert_ok(mppool_join(pool, (double)INFINITY));
	assert_ok(mppool_join(pool, 0));
	assert_ok(mppool_destroy(pool));
}
END_TEST

/* ------------------------------------------------------------------------------------------- results and iterators */

START_TEST(result_calls_null_result_is_einval)
{
	int successful = PATTERN;
	size_t done = 77, total = 78;

	assert_code(mppool_result_wait(NULL, 0), EINVAL);
	assert_code(mppool_result_get(NULL, NULL, 0), EINVAL);
	assert_code(mppool_result_successful(NULL, &successful), EINVAL);
	assert_code(mppool_result_cancel(NULL), EINVAL);
	assert_code(mppool_result_progress(NULL, &done, &total), EINVAL);
	ck_assert_int_eq(successful, PATTERN);
	ck_assert_uint_eq(done, 77);
	ck_assert_uint_eq(total, 78);
	mppool_result_free(NULL);
}
END_TEST

START_TEST(iter_calls_null_iterator_is_einval)
{
	int y = PATTERN;
	size_t index = 77;

	assert_code(mppool_iter_next(NULL, &y, &index, 0), EINVAL);
	assert_code(mppool_iter_cancel(NULL), EINVAL);
	ck_assert_int_eq(y, PATTERN);
	ck_assert_uint_eq(index, 77);
	mppool_iter_free(NULL);
}
END_TEST

static mppool_result *held_result(mppool *pool, struct gate *gate)
{
	const int x = 5;
	mppool_result *result = NULL;
	const struct mppool_func func = make_func(gate_call, 1, sizeof(int), gate);

	gate_init(gate);
	assert_ok(mppool_apply_async(pool, &func, MPPOOL_ARGS(&x), NULL, &result));
	gate_wait_arrivals(gate, 1);
	return result;
}

START_TEST(result_not_ready_says_so_and_touches_nothing)
{
	struct gate gate;
	int y = PATTERN, successful = PATTERN;
	mppool *const pool = pool_of(1);
	mppool_result *const result = held_result(pool, &gate);

	ck_assert_int_eq(mppool_result_ready(result), 0);
	assert_code(mppool_result_successful(result, &successful), MPPOOL_ENOTREADY);
	ck_assert_ptr_null(mppool_result_value(result));
	ck_assert_ptr_null(mppool_result_error(result));
	assert_code(mppool_result_wait(result, 0), ETIMEDOUT);
	assert_code(mppool_result_get(result, &y, 0), ETIMEDOUT);
	const double before = seconds_now();
	assert_code(mppool_result_wait(result, 0.02), ETIMEDOUT);
	assert_code(mppool_result_get(result, &y, 0.02), ETIMEDOUT);
	ck_assert_double_ge(seconds_now() - before, 0.0399);
	assert_code(mppool_result_wait(result, (double)NAN), EINVAL);
	assert_code(mppool_result_get(result, &y, (double)NAN), EINVAL);
	ck_assert_int_eq(y, PATTERN);
	ck_assert_int_eq(successful, PATTERN);
	gate_open(&gate);
	assert_ok(mppool_result_get(result, &y, MPPOOL_FOREVER));
	ck_assert_int_eq(y, 5);
	assert_code(mppool_result_wait(result, (double)NAN), EINVAL);
	assert_code(mppool_result_get(result, &y, (double)NAN), EINVAL);
	assert_ok(mppool_result_wait(result, 0));
	assert_ok(mppool_result_successful(result, &successful));
	ck_assert_int_eq(successful, 1);
	ck_assert_int_eq(mppool_result_ready(result), 1);
	mppool_result_free(result);
	pool_finish(pool);
	gate_destroy(&gate);
}
END_TEST

static int fail_call(const void *const args[], void *result, void *context)
{
	(void)context;
	*(int *)result = PATTERN;
	return mppool_raise(ENOENT, "no %d", int_arg(args, 0));
}

START_TEST(get_failed_task_is_etask_and_touches_nothing)
{
	const int x = 9;
	int y = 123, successful = PATTERN;
	mppool_result *result = NULL;
	mppool *const pool = pool_of(1);
	const struct mppool_func func = make_func(fail_call, 1, sizeof(int), NULL);

	assert_ok(mppool_apply_async(pool, &func, MPPOOL_ARGS(&x), NULL, &result));
	for (int turn = 0; turn < 2; turn++) {
		assert_code(mppool_result_get(result, &y, MPPOOL_FOREVER), MPPOOL_ETASK);
		ck_assert_int_eq(mppool_last_error()->code, ENOENT);
		ck_assert_str_eq(mppool_last_error()->message, "no 9");
	}
	assert_ok(mppool_result_wait(result, 0));
	assert_ok(mppool_result_successful(result, &successful));
	ck_assert_int_eq(successful, 0);
	ck_assert_int_eq(mppool_result_error(result)->code, ENOENT);
	ck_assert_str_eq(mppool_result_error(result)->message, "no 9");
	mppool_result_free(result);
	ck_assert_int_eq(y, 123);
	assert_code(mppool_apply(pool, &func, MPPOOL_ARGS(&x), &y), MPPOOL_ETASK);
	ck_assert_uint_eq(mppool_last_error()->index, 0);
	ck_assert_int_eq(y, 123);
	pool_finish(pool);
}
END_TEST

START_TEST(next_not_ready_is_etimedout_and_touches_nothing)
{
	const int xs[] = {3, 4};
	struct gate gate;
	int y = PATTERN;
	size_t index = 77;
	mppool_iter *iter = NULL;
	mppool *const pool = pool_of(1);
	const struct mppool_func func = make_func(gate_call, 1, sizeof(int), &gate);

	gate_init(&gate);
	assert_ok(mppool_imap(pool, &func, MPPOOL_ARRAY(xs, 2), 0, 0, NULL, &iter));
	gate_wait_arrivals(&gate, 1);
	assert_code(mppool_iter_next(iter, &y, &index, 0), ETIMEDOUT);
	assert_code(mppool_iter_next(iter, &y, &index, 0.02), ETIMEDOUT);
	assert_code(mppool_iter_next(iter, &y, &index, (double)NAN), EINVAL);
	ck_assert_int_eq(y, PATTERN);
	ck_assert_uint_eq(index, 77);
	gate_open(&gate);
	assert_ok(mppool_iter_next(iter, &y, &index, MPPOOL_FOREVER));
	ck_assert_int_eq(y, 3);
	ck_assert_uint_eq(index, 0);
	assert_ok(mppool_iter_next(iter, &y, NULL, MPPOOL_FOREVER));
	ck_assert_int_eq(y, 4);
	for (int turn = 0; turn < 3; turn++)
		assert_code(mppool_iter_next(iter, &y, &index, turn ? 0.0 : MPPOOL_FOREVER), MPPOOL_ESTOP);
	ck_assert_int_eq(y, 4);
	ck_assert_uint_eq(index, 0);
	mppool_iter_free(iter);
	pool_finish(pool);
	gate_destroy(&gate);
}
END_TEST

/* --------------------------------------------------------------------------------------------------------- EDEADLK */

enum { PROBES = 12 };

/* What a user function finds out about its own pool, for the test to see afterwards. */
struct inside {
	mppool *pool;
	mppool_result *result, *other;
	mppool_iter *iter;
	struct spy spy;
	atomic_int codes[PROBES];
	struct gate done;
};

static void inside_set(struct inside *in, int workers)
{
	*in = (struct inside){.pool = pool_of(workers)};
	for (int i = 0; i < PROBES; i++)
		atomic_store(&in->codes[i], -1);
	gate_init(&in->done);
	gate_open(&in->done);
}

static void assert_probe(struct inside *in, int i, int code)
{
	assert_code(atomic_load(&in->codes[i]), code);
}

static int wait_for_own_call(const void *const args[], void *result, void *context)
{
	struct inside *const in = context;

	(void)args;
	*(int *)result = 1;
	atomic_store(&in->codes[0], mppool_result_wait(in->result, MPPOOL_FOREVER));
	atomic_store(&in->codes[1], mppool_result_get(in->result, NULL, MPPOOL_FOREVER));
	atomic_store(&in->codes[2], mppool_result_wait(in->result, 1000));
	return 0;
}

START_TEST(wait_for_own_result_in_a_task_is_edeadlk)
{
	struct inside in;
	const int x = 1;

	inside_set(&in, 2);
	const struct mppool_func func = make_func(wait_for_own_call, 1, sizeof(int), &in);
	assert_ok(mppool_apply_async(in.pool, &func, MPPOOL_ARGS(&x), NULL, &in.result));
	assert_ok(mppool_result_get(in.result, NULL, MPPOOL_FOREVER));
	for (int i = 0; i < 3; i++)
		assert_probe(&in, i, EDEADLK);
	mppool_result_free(in.result);
	pool_finish(in.pool);
}
END_TEST

START_TEST(wait_for_own_map_in_its_item_is_edeadlk)
{
	struct inside in;
	int xs[40] = {0}, ys[40];

	inside_set(&in, 2);
	const struct mppool_func func = make_func(wait_for_own_call, 1, sizeof(int), &in);
	assert_ok(mppool_map_async(in.pool, &func, MPPOOL_ARRAY(xs, 40), ys, 3, NULL, &in.result));
	assert_ok(mppool_result_get(in.result, NULL, MPPOOL_FOREVER));
	for (int i = 0; i < 3; i++)
		assert_probe(&in, i, EDEADLK);
	mppool_result_free(in.result);
	pool_finish(in.pool);
}
END_TEST

static int wait_below_call(const void *const args[], void *result, void *context)
{
	struct inside *const in = context;

	(void)args;
	*(int *)result = 2;
	atomic_store(&in->codes[0], mppool_result_wait(in->result, MPPOOL_FOREVER));
	return 0;
}

static int nesting_call(const void *const args[], void *result, void *context)
{
	struct inside *const in = context;
	const struct mppool_func below = make_func(wait_below_call, 1, sizeof(int), in);

	return mppool_apply(in->pool, &below, args, result);
}

START_TEST(wait_for_the_frame_below_is_edeadlk)
{
	struct inside in;
	const int x = 1;
	int y = 0;

	inside_set(&in, 1);                              /* so that the inner task runs on top of the outer one */
	const struct mppool_func func = make_func(nesting_call, 1, sizeof(int), &in);
	assert_ok(mppool_apply_async(in.pool, &func, MPPOOL_ARGS(&x), NULL, &in.result));
	assert_ok(mppool_result_get(in.result, &y, MPPOOL_FOREVER));
	ck_assert_int_eq(y, 2);
	assert_probe(&in, 0, EDEADLK);
	mppool_result_free(in.result);
	pool_finish(in.pool);
}
END_TEST

static int next_of_own_call(const void *const args[], void *result, void *context)
{
	struct inside *const in = context;
	int y;

	*(int *)result = int_arg(args, 0);
	if (int_arg(args, 0) == 0)
		atomic_store(&in->codes[0], mppool_iter_next(in->iter, &y, NULL, MPPOOL_FOREVER));
	return 0;
}

START_TEST(next_of_own_iterator_in_its_item_is_edeadlk)
{
	struct inside in;
	const int xs[] = {0, 1, 2};
	int y;

	inside_set(&in, 1);
	const struct mppool_func func = make_func(next_of_own_call, 1, sizeof(int), &in);
	assert_ok(mppool_imap(in.pool, &func, MPPOOL_ARRAY(xs, 3), 1, 0, NULL, &in.iter));
	while (atomic_load(&in.codes[0]) == -1)
		sched_yield();
	assert_probe(&in, 0, EDEADLK);
	for (int i = 0; i < 3; i++) {
		assert_ok(mppool_iter_next(in.iter, &y, NULL, MPPOOL_FOREVER));
		ck_assert_int_eq(y, i);
	}
	assert_code(mppool_iter_next(in.iter, &y, NULL, MPPOOL_FOREVER), MPPOOL_ESTOP);
	mppool_iter_free(in.iter);
	pool_finish(in.pool);
}
END_TEST

static int generator_waits(void *const args[], void *state)
{
	struct inside *const in = state;
	int y;

	if (atomic_fetch_add(&in->spy.drawn, 1) > 0)
		return MPPOOL_ESTOP;
	*(int *)args[0] = 6;
	if (in->result)
		atomic_store(&in->codes[0], mppool_result_wait(in->result, MPPOOL_FOREVER));
	if (in->iter)
		atomic_store(&in->codes[0], mppool_iter_next(in->iter, &y, NULL, MPPOOL_FOREVER));
	return 0;
}

START_TEST(wait_for_own_map_in_its_generator_is_edeadlk)
{
	struct inside in;
	struct mppool_iterable items = MPPOOL_ITERABLE_INIT;
	int y = 0;

	inside_set(&in, 1);
	items.next = generator_waits;
	items.state = &in;
	const struct mppool_func func = make_func(square_call, 1, sizeof(int), NULL);
	assert_ok(mppool_map_async(in.pool, &func, &items, NULL, 1, NULL, &in.result));
	assert_ok(mppool_result_get(in.result, &y, MPPOOL_FOREVER));
	ck_assert_int_eq(y, 36);
	assert_probe(&in, 0, EDEADLK);
	mppool_result_free(in.result);
	pool_finish(in.pool);
}
END_TEST

START_TEST(next_of_own_iterator_in_its_generator_is_edeadlk)
{
	struct inside in;
	struct mppool_iterable items = MPPOOL_ITERABLE_INIT;
	int y = 0;

	inside_set(&in, 1);
	items.next = generator_waits;
	items.state = &in;
	const struct mppool_func func = make_func(square_call, 1, sizeof(int), NULL);
	assert_ok(mppool_imap(in.pool, &func, &items, 1, 0, NULL, &in.iter));
	assert_ok(mppool_iter_next(in.iter, &y, NULL, MPPOOL_FOREVER));
	ck_assert_int_eq(y, 36);
	assert_probe(&in, 0, EDEADLK);
	mppool_iter_free(in.iter);
	pool_finish(in.pool);
}
END_TEST

/* Everything that would block in a callback of the pool. */
static void callback_blocks(const void *results, size_t n, void *userdata)
{
	struct inside *const in = userdata;
	const struct mppool_func func = make_func(spy_call, 1, sizeof(int), &in->spy);
	const int xs[] = {1, 2, 3};
	int ys[3];

	(void)results;
	(void)n;
	atomic_store(&in->codes[0], mppool_result_wait(in->result, MPPOOL_FOREVER));
	atomic_store(&in->codes[1], mppool_result_get(in->result, ys, 1000));
	atomic_store(&in->codes[2], mppool_apply(in->pool, &func, MPPOOL_ARGS(&xs[0]), ys));
	atomic_store(&in->codes[3], mppool_map(in->pool, &func, MPPOOL_ARRAY(xs, 3), ys, 1));
	atomic_store(&in->codes[4], mppool_starmap(in->pool, &func, MPPOOL_ARRAY(xs, 3), ys, 0));
	atomic_store(&in->codes[5], mppool_result_wait(in->other, MPPOOL_FOREVER));
	atomic_store(&in->codes[6], mppool_iter_next(in->iter, ys, NULL, MPPOOL_FOREVER));
	mppool_close(in->pool);
	atomic_store(&in->codes[7], mppool_join(in->pool, MPPOOL_FOREVER));
	atomic_store(&in->codes[8], mppool_result_ready(in->result));
}

START_TEST(blocking_call_in_a_callback_is_edeadlk)
{
	struct inside in;
	struct gate gate;
	const int x = 1;
	int y;

	inside_set(&in, 2);
	in.other = held_result(in.pool, &gate);          /* one of the workers stands there */
	const struct mppool_func func = make_func(gate_call, 1, sizeof(int), &gate);
	assert_ok(mppool_imap(in.pool, &func, MPPOOL_ARRAY(&x, 1), 1, 0, NULL, &in.iter));
	gate_wait_arrivals(&gate, 2);                    /* and the other here */
	const struct mppool_func last = make_func(square_call, 1, sizeof(int), NULL);
	assert_ok(mppool_map_async(in.pool, &last, MPPOOL_ARRAY(&x, 0), NULL, 0,
	                           MPPOOL_CALL(.callback = callback_blocks, .userdata = &in), &in.result));
	assert_ok(mppool_result_wait(in.result, MPPOOL_FOREVER));
	for (int i = 0; i < 8; i++)
		assert_probe(&in, i, EDEADLK);
	assert_probe(&in, 8, 0);
	gate_open(&gate);
	assert_ok(mppool_result_get(in.other, &y, MPPOOL_FOREVER));
	assert_ok(mppool_iter_next(in.iter, &y, NULL, MPPOOL_FOREVER));
	mppool_result_free(in.result);
	mppool_result_free(in.other);
	mppool_iter_free(in.iter);
	assert_ok(mppool_join(in.pool, MPPOOL_FOREVER));
	assert_ok(mppool_destroy(in.pool));
	ck_assert_uint_eq(atomic_load(&in.spy.ran), 0);
	gate_destroy(&gate);
}
END_TEST

static void callback_polls(const void *results, size_t n, void *userdata)
{
	struct inside *const in = userdata;
	int y = 0;

	(void)results;
	(void)n;
	atomic_store(&in->codes[0], mppool_result_wait(in->other, MPPOOL_FOREVER));
	atomic_store(&in->codes[1], mppool_result_get(in->other, &y, MPPOOL_FOREVER));
	atomic_store(&in->codes[2], y);
	atomic_store(&in->codes[3], mppool_iter_next(in->iter, &y, NULL, MPPOOL_FOREVER));
	atomic_store(&in->codes[4], y);
}

START_TEST(call_that_need_not_block_works_in_a_callback)
{
	struct inside in;
	const int x = 7;

	inside_set(&in, 1);
	const struct mppool_func func = make_func(square_call, 1, sizeof(int), NULL);
	assert_ok(mppool_imap(in.pool, &func, MPPOOL_ARRAY(&x, 1), 1, 0, NULL, &in.iter));
	assert_ok(mppool_apply_async(in.pool, &func, MPPOOL_ARGS(&x), NULL, &in.other));
	assert_ok(mppool_result_wait(in.other, MPPOOL_FOREVER));
	assert_ok(mppool_apply_async(in.pool, &func, MPPOOL_ARGS(&x),
	                             MPPOOL_CALL(.callback = callback_polls, .userdata = &in), &in.result));
	assert_ok(mppool_result_wait(in.result, MPPOOL_FOREVER));
	assert_probe(&in, 0, 0);
	assert_probe(&in, 1, 0);
	ck_assert_int_eq(atomic_load(&in.codes[2]), 49);
	assert_probe(&in, 3, 0);
	ck_assert_int_eq(atomic_load(&in.codes[4]), 49);
	mppool_result_free(in.result);
	mppool_result_free(in.other);
	mppool_iter_free(in.iter);
	pool_finish(in.pool);
}
END_TEST

/* Join on every kind of thread of the pool. The pool is closed by then, so that it is not merely ERUNNING. */
static void join_here(struct inside *in, int probe)
{
	mppool_close(in->pool);
	atomic_store(&in->codes[probe], mppool_join(in->pool, MPPOOL_FOREVER));
}

static int join_task(const void *const args[], void *result, void *context)
{
	(void)args;
	*(int *)result = 0;
	join_here(context, 0);
	return 0;
}

static int join_next(void *const args[], void *state)
{
	struct inside *const in = state;

	if (atomic_fetch_add(&in->spy.drawn, 1) > 0)
		return MPPOOL_ESTOP;
	*(int *)args[0] = 1;
	join_here(in, 1);
	return 0;
}

static void join_callback(const void *results, size_t n, void *userdata)
{
	(void)results;
	(void)n;
	join_here(userdata, 2);
}

static void join_drop_args(const void *const args[], void *context)
{
	(void)args;
	join_here(context, 3);
}

static void join_finish(void *state)
{
	join_here(state, 4);
}

START_TEST(join_on_the_pools_own_threads_is_edeadlk)
{
	struct inside in;
	struct mppool_iterable items = MPPOOL_ITERABLE_INIT;

	inside_set(&in, 2);
	items.next = join_next;
	items.finish = join_finish;
	items.state = &in;
	struct mppool_func func = make_func(join_task, 1, sizeof(int), &in);
	func.drop_args = join_drop_args;
	assert_ok(mppool_map_async(in.pool, &func, &items, NULL, 1,
	                           MPPOOL_CALL(.callback = join_callback, .userdata = &in), &in.result));
	assert_ok(mppool_result_wait(in.result, MPPOOL_FOREVER));
	for (int i = 0; i < 5; i++)
		assert_probe(&in, i, EDEADLK);
	mppool_result_free(in.result);
	assert_ok(mppool_join(in.pool, MPPOOL_FOREVER));
	assert_ok(mppool_destroy(in.pool));
}
END_TEST

static int destroy_task(const void *const args[], void *result, void *context)
{
	struct inside *const in = context;

	(void)args;
	*(int *)result = 5;
	atomic_store(&in->codes[0], mppool_destroy(in->pool));
	atomic_store(&in->codes[1], mppool_state(in->pool));
	atomic_store(&in->codes[2], mppool_should_stop());
	return 0;
}

START_TEST(destroy_in_a_task_is_edeadlk_and_terminates)
{
	struct inside in;
	const int x = 1;
	int y = 0;

	inside_set(&in, 1);
	const struct mppool_func func = make_func(destroy_task, 1, sizeof(int), &in);
	assert_ok(mppool_apply_async(in.pool, &func, MPPOOL_ARGS(&x), NULL, &in.result));
	assert_ok(mppool_result_get(in.result, &y, MPPOOL_FOREVER));
	ck_assert_int_eq(y, 5);
	assert_probe(&in, 0, EDEADLK);
	ck_assert_int_eq(atomic_load(&in.codes[1]), MPPOOL_TERMINATED);
	ck_assert_int_eq(atomic_load(&in.codes[2]), 1);
	mppool_result_free(in.result);
	ck_assert_int_eq(mppool_state(in.pool), MPPOOL_TERMINATED);
	assert_ok(mppool_destroy(in.pool));
}
END_TEST

static void destroy_callback(const void *results, size_t n, void *userdata)
{
	struct inside *const in = userdata;

	(void)results;
	(void)n;
	atomic_store(&in->codes[0], mppool_destroy(in->pool));
	atomic_store(&in->codes[1], mppool_state(in->pool));
}

START_TEST(destroy_in_a_callback_is_edeadlk_and_terminates)
{
	struct inside in;
	const int x = 1;

	inside_set(&in, 1);
	const struct mppool_func func = make_func(square_call, 1, sizeof(int), NULL);
	assert_ok(mppool_apply_async(in.pool, &func, MPPOOL_ARGS(&x),
	                             MPPOOL_CALL(.callback = destroy_callback, .userdata = &in), &in.result));
	assert_ok(mppool_result_wait(in.result, MPPOOL_FOREVER));
	assert_probe(&in, 0, EDEADLK);
	ck_assert_int_eq(atomic_load(&in.codes[1]), MPPOOL_TERMINATED);
	mppool_result_free(in.result);
	assert_ok(mppool_destroy(in.pool));
}
END_TEST

/* ------------------------------------------------------------------------- ends of accepted calls that did not run */

START_TEST(terminated_before_it_ran_is_eterminated)
{
	const enum call call = (enum call)_i;
	struct request r;
	struct hold hold;
	int y = PATTERN;
	size_t index = 77;
	mppool *const pool = pool_of(1);

	if (takes_options(call)) {
		hold_workers(&hold, pool, 1);
		request_set(&r, pool);
		r.o.codes = gives_iter(call) ? NULL : r.codes;
		r.o.error_callback = gives_iter(call) ? NULL : spy_error_callback;
		assert_ok(submit(&r, call));
		assert_ok(mppool_terminate(pool));
		hold_release(&hold);
		if (gives_iter(call)) {
			assert_code(mppool_iter_next(r.iter, &y, &index, MPPOOL_FOREVER), MPPOOL_ETERMINATED);
			assert_code(mppool_iter_next(r.iter, &y, &index, MPPOOL_FOREVER), MPPOOL_ESTOP);
			assert_code(mppool_iter_next(r.iter, &y, &index, 0), MPPOOL_ESTOP);
			mppool_iter_free(r.iter);
			ck_assert_uint_eq(index, 77);
		} else {
			assert_code(mppool_result_get(r.result, &y, MPPOOL_FOREVER), MPPOOL_ETERMINATED);
			assert_code(r.codes[0], MPPOOL_ETERMINATED);
			ck_assert_int_eq(mppool_result_error(r.result)->code, MPPOOL_ETERMINATED);
			ck_assert_uint_eq(atomic_load(&r.spy.called_back), 1);
			mppool_result_free(r.result);
		}
		ck_assert_int_eq(y, PATTERN);
		ck_assert_uint_eq(atomic_load(&r.spy.ran), 0);
		ck_assert_uint_eq(atomic_load(&r.spy.released), 1);
		ck_assert_uint_eq(atomic_load(&r.spy.finished), takes_items(call));
		ck_assert_uint_eq(atomic_load(&r.spy.dropped), takes_items(call) ? ITEMS : 1);
	}
	assert_ok(mppool_destroy(pool));
}
END_TEST

static int failing_next(void *const args[], void *state)
{
	struct spy *const spy = state;
	const size_t drawn = atomic_fetch_add(&spy->drawn, 1);

	*(int *)args[0] = (int)drawn;
	return drawn < 3 ? 0 : mppool_raise(ENOLINK, "no more than %zu", drawn);
}

START_TEST(generator_that_fails_is_eiter)
{
	const enum call call = (enum call)_i;
	struct request r;
	int y, sum = 0, code = 0;
	mppool *const pool = pool_of(2);

	if (takes_items(call)) {
		request_set_generator(&r, pool);
		r.it.next = failing_next;
		r.o.error_callback = gives_iter(call) ? NULL : spy_error_callback;
		code = submit(&r, call);
		if (gives_iter(call)) {
			while ((code = mppool_iter_next(r.iter, &y, NULL, MPPOOL_FOREVER)) == 0)
				sum += y;
			ck_assert_int_eq(sum, 0 + 1 + 4);        /* what was drawn before it, first */
			assert_code(mppool_iter_next(r.iter, &y, NULL, 0), MPPOOL_ESTOP);
			mppool_iter_free(r.iter);
		} else if (takes_options(call)) {
			code = mppool_result_get(r.result, NULL, MPPOOL_FOREVER);
			ck_assert_int_eq(mppool_result_error(r.result)->code, ENOLINK);
			ck_assert_uint_eq(atomic_load(&r.spy.called_back), 1);
			mppool_result_free(r.result);
		}
		assert_code(code, MPPOOL_EITER);
		ck_assert_int_eq(mppool_last_error()->code, ENOLINK);
		ck_assert_uint_eq(mppool_last_error()->index, 3);
		ck_assert_str_eq(mppool_last_error()->message, "no more than 3");
		ck_assert_uint_eq(atomic_load(&r.spy.ran), 3);
		ck_assert_uint_eq(atomic_load(&r.spy.dropped), 3);
		ck_assert_uint_eq(atomic_load(&r.spy.finished), 1);
		ck_assert_uint_eq(atomic_load(&r.spy.released), 1);
	}
	pool_finish(pool);
}
END_TEST

struct blocked_call {
	struct request r;
	enum call call;
	int code;
};

static void run_blocked(void *arg)
{
	struct blocked_call *const b = arg;

	b->code = submit(&b->r, b->call);
}

START_TEST(blocking_call_on_a_terminated_pool_is_eterminated)
{
	const enum call calls[] = {APPLY, MAP, STARMAP};
	struct blocked_call blocked[3];
	struct runner runners[3];
	struct hold hold;
	mppool *const pool = pool_of(1);

	hold_workers(&hold, pool, 1);
	for (int i = 0; i < 3; i++) {
		blocked[i] = (struct blocked_call){.call = calls[i], .code = -1};
		request_set(&blocked[i].r, pool);
		runner_start(&runners[i], run_blocked, &blocked[i]);
	}
	pause_briefly();                                 /* so that all are accepted; ECLOSED if one was not */
	assert_ok(mppool_terminate(pool));
	for (int i = 0; i < 3; i++) {
		runner_join(&runners[i]);
		ck_assert(blocked[i].code == MPPOOL_ETERMINATED || blocked[i].code == MPPOOL_ECLOSED);
		ck_assert_uint_eq(atomic_load(&blocked[i].r.spy.ran), 0);
	}
	hold_release(&hold);
	assert_ok(mppool_destroy(pool));
}
END_TEST

/* ----------------------------------------------------------------------------------------------------- the program */

static void fill_codes(Suite *suite)
{
	TCase *const codes = add_case(suite, "codes");

	tcase_add_test(codes, strerrorname_each_code_is_its_name);
	tcase_add_test(codes, strerror_each_code_has_its_own_sentence);
	tcase_add_test(codes, strerror_strange_codes_are_never_null);
	tcase_add_test(codes, strerror_from_several_threads_answers_each);
	tcase_add_test(codes, codes_have_the_values_that_were_promised);
}

static void fill_pool(Suite *suite)
{
	TCase *const create = add_case(suite, "create");
	TCase *const pool = add_case(suite, "pool");

	tcase_add_test(create, create_without_output_is_einval);
	tcase_add_test(create, create_negative_workers_is_einval);
	tcase_add_test(create, create_bad_members_are_einval);
	tcase_add_test(create, create_cpu_that_cannot_be_is_einval);
	tcase_add_test(create, create_stack_beyond_memory_fails);
	tcase_add_test(create, create_struct_too_small_is_einval);
	tcase_add_test(create, create_unknown_member_set_is_e2big);
	tcase_add_test(create, create_unknown_member_zero_is_accepted);
	tcase_add_test(pool, pool_calls_null_pool_is_einval);
	tcase_add_test(pool, join_before_close_is_erunning);
	tcase_add_test(pool, join_nan_is_einval);
	tcase_add_test(pool, join_while_a_task_runs_is_etimedout);
}

static void fill_submit(Suite *suite)
{
	TCase *const submits = add_case(suite, "submit");
	TCase *const ends = add_case(suite, "ends");

	tcase_add_loop_test(submits, submit_good_request_is_accepted, 0, CALLS);
	tcase_add_loop_test(submits, submit_null_where_something_is_needed_is_einval, 0, CALLS);
	tcase_add_loop_test(submits, submit_wrong_number_of_arguments_is_einval, 0, CALLS);
	tcase_add_loop_test(submits, map_function_of_other_than_one_argument_is_einval, 0, CALLS);
	tcase_add_loop_test(submits, submit_element_size_other_than_argument_size_is_einval, 0, CALLS);
	tcase_add_loop_test(submits, submit_second_column_is_checked_as_well, 0, CALLS);
	tcase_add_loop_test(submits, submit_both_or_neither_of_columns_and_next_is_einval, 0, CALLS);
	tcase_add_loop_test(submits, submit_no_columns_for_no_arguments_is_accepted, 0, CALLS);
	tcase_add_loop_test(submits, submit_empty_input_needs_no_array, 0, CALLS);
	tcase_add_loop_test(submits, submit_sizes_that_overflow_are_einval, 0, CALLS);
	tcase_add_loop_test(submits, submit_any_bound_is_accepted_where_nothing_has_its_size, 0, CALLS);
	tcase_add_loop_test(submits, submit_more_than_there_is_memory_is_enomem, 0, CALLS);
	tcase_add_loop_test(submits, submit_func_size_is_checked, 0, CALLS);
	tcase_add_loop_test(submits, submit_iterable_size_is_checked, 0, CALLS);
	tcase_add_loop_test(submits, submit_options_size_is_checked, 0, CALLS);
	tcase_add_loop_test(submits, submit_bad_option_is_einval, 0, CALLS);
	tcase_add_loop_test(submits, submit_good_options_are_accepted, 0, CALLS);
	tcase_add_loop_test(submits, imap_callbacks_and_codes_are_einval, 0, CALLS);
	tcase_add_loop_test(submits, map_generator_without_bound_needs_no_results, 0, CALLS);
	tcase_add_loop_test(submits, submit_to_closed_pool_is_eclosed, 0, CALLS);
	tcase_add_loop_test(submits, submit_to_terminated_pool_is_eclosed, 0, CALLS);
	tcase_add_loop_test(submits, submit_to_broken_pool_is_ebroken, 0, CALLS);
	tcase_add_loop_test(submits, submit_nowait_to_full_queue_is_efull, 0, CALLS);
	tcase_add_loop_test(submits, submit_timeout_at_full_queue_is_etimedout, 0, CALLS);
	tcase_add_loop_test(submits, submit_waiting_for_room_ends_at_close, 0, CALLS);
	tcase_add_loop_test(submits, submit_waiting_for_room_ends_at_terminate, 0, CALLS);
	tcase_add_loop_test(ends, terminated_before_it_ran_is_eterminated, 0, CALLS);
	tcase_add_loop_test(ends, generator_that_fails_is_eiter, 0, CALLS);
	tcase_add_test(ends, blocking_call_on_a_terminated_pool_is_eterminated);
}

static void fill_results(Suite *suite)
{
	TCase *const results = add_case(suite, "results");

	tcase_add_test(results, result_calls_null_result_is_einval);
	tcase_add_test(results, iter_calls_null_iterator_is_einval);
	tcase_add_test(results, result_not_ready_says_so_and_touches_nothing);
	tcase_add_test(results, get_failed_task_is_etask_and_touches_nothing);
	tcase_add_test(results, next_not_ready_is_etimedout_and_touches_nothing);
}

static void fill_deadlocks(Suite *suite)
{
	TCase *const deadlocks = add_case(suite, "deadlocks");

	tcase_add_test(deadlocks, wait_for_own_result_in_a_task_is_edeadlk);
	tcase_add_test(deadlocks, wait_for_own_map_in_its_item_is_edeadlk);
	tcase_add_test(deadlocks, wait_for_the_frame_below_is_edeadlk);
	tcase_add_test(deadlocks, next_of_own_iterator_in_its_item_is_edeadlk);
	tcase_add_test(deadlocks, wait_for_own_map_in_its_generator_is_edeadlk);
	tcase_add_test(deadlocks, next_of_own_iterator_in_its_generator_is_edeadlk);
	tcase_add_test(deadlocks, blocking_call_in_a_callback_is_edeadlk);
	tcase_add_test(deadlocks, call_that_need_not_block_works_in_a_callback);
	tcase_add_test(deadlocks, join_on_the_pools_own_threads_is_edeadlk);
	tcase_add_test(deadlocks, destroy_in_a_task_is_edeadlk_and_terminates);
	tcase_add_test(deadlocks, destroy_in_a_callback_is_edeadlk_and_terminates);
}

static void fill(Suite *suite)
{
	fill_codes(suite);
	fill_pool(suite);
	fill_submit(suite);
	fill_results(suite);
	fill_deadlocks(suite);
}

int main(int argc, char **argv)
{
	return run_suite("errors", fill, argc, argv);
}
