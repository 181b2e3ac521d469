/* test_trace.c - trace files: valid JSON, rows, spans that nest, and nothing lost; and what can go wrong with them
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE 1
#include "support.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* ------------------------------------------------------------------------------------------------------------ JSON */

/* What is of interest of one event. */
struct event {
	char ph[4], cat[32], name[256], arg_name[256];
	long pid, tid;
	double ts, dur, items, calls, queue;
};

/* A strict reader of JSON, which notes the members of the objects in the outermost array. */
struct json {
	const char *p, *end;
	struct event *events;
	size_t n, room;
	int depth;
	char key[3][32];                 /* of the members that it is in; by depth, without the array */
	const char *error;
};

static bool complain(struct json *j, const char *error)
{
	if (!j->error)
		j->error = error;
	return false;
}

static void skip_space(struct json *j)
{
	while (j->p < j->end && strchr(" \t\r\n", *j->p))
		j->p++;
}

static bool expect(struct json *j, char c)
{
	skip_space(j);
	if (j->p == j->end || *j->p != c)
		return complain(j, "something else was expected");
	j->p++;
	return true;
}

/* Decodes what is ASCII, and checks that the rest is UTF-8, as far as its length goes. */
static bool read_string(struct json *j, char *to, size_t size)
{
	size_t n = 0;

	if (!expect(j, '"'))
		return false;
	while (j->p < j->end && *j->p != '"') {
		unsigned char c = (unsigned char)*j->p++;
		int follow = c < 0x80 ? 0 : c >= 0xf0 && c < 0xf5 ? 3 : c >= 0xe0 ? 2 : c >= 0xc2 ? 1 : -1;

		if (c < 0x20 || follow < 0 || j->end - j->p <= follow)
			return complain(j, "a raw control character, or no UTF-8");
		if (c == '\\') {
			unsigned code = 0;

			c = (unsigned char)*j->p++;
			if (c == 'u' && strspn(j->p, "0123456789abcdefABCDEF") >= 4 &&
			    sscanf(j->p, "%4x", &code) == 1) {
				j->p += 4;
				c = code < 0x80 ? (unsigned char)code : '?';
			} else if (!strchr("\"\\/bfnrt", c)) {
				return complain(j, "an unknown escape");
			}
		}
		if (n + 1 < size)
			to[n++] = (char)c;
		for (; follow > 0; follow--) {
			if (((unsigned char)*j->p & 0xc0) != 0x80)
				return complain(j, "no UTF-8");
			if (n + 1 < size)
				to[n++] = *j->p;
			j->p++;
		}
	}
	to[n] = '\0';
	return expect(j, '"');
}

static void copy(char *to, size_t size, const char *from)
{
	const size_t n = strnlen(from, size - 1);

	memcpy(to, from, n);
	to[n] = '\0';
}

static void note_string(struct json *j, const char *text)
{
	struct event *const e = &j->events[j->n];
	const char *const key = j->key[j->depth];

	if (j->depth == 1 && strcmp(key, "ph") == 0)
		copy(e->ph, sizeof e->ph, text);
	if (j->depth == 1 && strcmp(key, "cat") == 0)
		copy(e->cat, sizeof e->cat, text);
	if (j->depth == 1 && strcmp(key, "name") == 0)
		copy(e->name, sizeof e->name, text);
	if (j->depth == 2 && strcmp(key, "name") == 0)
		copy(e->arg_name, sizeof e->arg_name, text);
}

static void note_number(struct json *j, double value)
{
	struct event *const e = &j->events[j->n];
	const char *const key = j->key[j->depth];

	if (j->depth == 1 && strcmp(key, "pid") == 0)
		e->pid = (long)value;
	if (j->depth == 1 && strcmp(key, "tid") == 0)
		e->tid = (long)value;
	if (j->depth == 1 && strcmp(key, "ts") == 0)
		e->ts = value;
	if (j->depth == 1 && strcmp(key, "dur") == 0)
		e->dur = value;
	if (j->depth == 2 && strcmp(key, "items") == 0)
		e->items = value;
	if (j->depth == 2 && strcmp(key, "calls") == 0)
		*(e->ph[0] == 'C' ? &e->queue : &e->calls) = value;
}

static bool read_number(struct json *j)
{
	char *end;
	double value = strtod(j->p, &end);

	if (end == j->p || !strchr("-0123456789", *j->p))
		return complain(j, "no value");
	j->p = end;
	note_number(j, value);
	return true;
}

static bool read_value(struct json *j);

static bool read_object(struct json *j)
{
	if (!expect(j, '{') || ++j->depth > 2)
		return complain(j, "nested too deeply");
	do
		if (!read_string(j, j->key[j->depth], sizeof j->key[0]) || !expect(j, ':') || !read_value(j))
			return false;
	while ((skip_space(j), *j->p == ',') && expect(j, ','));
	j->depth--;
	return expect(j, '}');
}

static bool read_value(struct json *j)
{
	char text[4096];

	skip_space(j);
	if (j->p == j->end)
		return complain(j, "the end");
	if (*j->p == '{')
		return read_object(j);
	if (*j->p != '"')
		return read_number(j);
	if (!read_string(j, text, sizeof text))
		return false;
	note_string(j, text);
	return true;
}

static bool read_events(struct json *j)
{
	if (!expect(j, '['))
		return false;
	do {
		if (j->n == j->room) {
			j->room = 2 * j->room + 64;
			j->events = realloc(j->events, j->room * sizeof j->events[0]);
			ck_assert_ptr_nonnull(j->events);
		}
		memset(&j->events[j->n], 0, sizeof j->events[0]);
		j->events[j->n].items = j->events[j->n].calls = 1;
		if (!read_object(j))
			return false;
		j->n++;
	} while ((skip_space(j), *j->p == ',') && expect(j, ','));
	return expect(j, ']') && (skip_space(j), j->p == j->end || complain(j, "more after the end"));
}

/* ----------------------------------------------------------------------------------------------------------- files */

static char folder[64];
static char path[128];                   /* of the trace */

static void make_folder(void)
{
	unsetenv("MPPOOL_TRACE");
	strcpy(folder, "/tmp/mppool-trace-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(path, sizeof path, "%s/trace.json", folder);
}

static void remove_folder(void)
{
	char command[128];

	snprintf(command, sizeof command, "rm -rf %s", folder);
	ck_assert_int_eq(system(command), 0);
}

/* With a zero behind it. NULL: there is none. */
static char *read_file(const char *name, size_t *ret_size)
{
	FILE *file = fopen(name, "r");
	struct stat st;
	char *text;

	if (!file)
		return NULL;
	ck_assert_int_eq(fstat(fileno(file), &st), 0);
	text = malloc((size_t)st.st_size + 16);
	ck_assert_ptr_nonnull(text);
	*ret_size = fread(text, 1, (size_t)st.st_size, file);
	text[*ret_size] = '\0';
	fclose(file);
	return text;
}

static size_t file_size(void)
{
	struct stat st;

	ck_assert_int_eq(stat(path, &st), 0);
	return (size_t)st.st_size;
}

/* All events of a file that must be whole. */
static struct json load(const char *name)
{
	struct json j = {.depth = 0};
	size_t size;
	char *text = read_file(name, &size);

	ck_assert_msg(text != NULL, "there is no %s", name);
	j.p = text;
	j.end = text + size;
	ck_assert_msg(read_events(&j), "%s is no JSON: %s, at byte %zu: %.80s", name, j.error, (size_t)(j.p - text),
	              j.p);
	free(text);
	return j;
}

static size_t count(const struct json *j, const char *ph, const char *cat, const char *name)
{
	size_t n = 0;

	for (size_t i = 0; i < j->n; i++)
		n += strcmp(j->events[i].ph, ph) == 0 && (!cat || strcmp(j->events[i].cat, cat) == 0) &&
		     (!name || strcmp(j->events[i].name, name) == 0);
	return n;
}

/* The items of all tasks of that name; NULL: of any. */
static size_t items_of(const struct json *j, const char *name)
{
	double sum = 0;

	for (size_t i = 0; i < j->n; i++)
		if (strcmp(j->events[i].cat, "task") == 0 && (!name || strcmp(j->events[i].name, name) == 0))
			sum += j->events[i].items;
	return (size_t)sum;
}

/* Rows whose name is that. */
static size_t rows(const struct json *j, const char *name)
{
	size_t n = 0;

	for (size_t i = 0; i < j->n; i++)
		n += strcmp(j->events[i].name, "thread_name") == 0 && strcmp(j->events[i].arg_name, name) == 0;
	return n;
}

static size_t pools(const struct json *j, const char *name)
{
	size_t n = 0;

	for (size_t i = 0; i < j->n; i++)
		n += strcmp(j->events[i].name, "process_name") == 0 && strcmp(j->events[i].arg_name, name) == 0;
	return n;
}

static int by_row_and_time(const void *a, const void *b)
{
	const struct event *x = a, *y = b;

	if (x->tid != y->tid)
		return x->tid < y->tid ? -1 : 1;
	if (x->ts < y->ts || x->ts > y->ts)
		return x->ts < y->ts ? -1 : 1;
	return x->dur > y->dur ? -1 : x->dur < y->dur;
}

/* Spans of a row nest or are apart, every row has a name once, and every span has times. Sorts. */
static void assert_sound(struct json *j)
{
	double ends[64];
	size_t depth = 0;
	const struct event *before = NULL;

	qsort(j->events, j->n, sizeof j->events[0], by_row_and_time);
	for (size_t i = 0; i < j->n; i++) {
		const struct event *e = &j->events[i];
		size_t names = 0;

		if (strcmp(e->ph, "X") != 0)
			continue;
		ck_assert_msg(e->ts > 0 && e->dur >= 0 && e->pid > 0 && e->name[0], "a span without something");
		if (!before || before->tid != e->tid)
			for (size_t k = 0; k < j->n; k++)
				names += j->events[k].tid == e->tid && j->events[k].pid == e->pid &&
				         strcmp(j->events[k].name, "thread_name") == 0;
		else
			names = 1;
		ck_assert_msg(names == 1, "row %ld has %zu names", e->tid, names);
		if (before && before->tid != e->tid)
			depth = 0;
		while (depth > 0 && ends[depth - 1] <= e->ts + 0.0005)
			depth--;
		ck_assert_msg(depth == 0 || e->ts + e->dur <= ends[depth - 1] + 0.0005,
		              "%s of row %ld from %.3f to %.3f goes beyond %.3f", e->name, e->tid, e->ts,
		              e->ts + e->dur, ends[depth - 1]);
		ck_assert_uint_lt(depth, 64);
		ends[depth++] = e->ts + e->dur;
		before = e;
	}
}

static mppool *traced_pool(int workers, const char *name)
{
	mppool *pool;

	assert_ok(mppool_create(MPPOOL_OPTIONS(.workers = workers, .name = name, .trace = path), &pool));
	return pool;
}

static int spin_call(const void *const args[], void *result, void *context)
{
	const double end = seconds_now() + *(const double *)context;

	(void)args;
	while (seconds_now() < end)
		;
	*(int *)result = 0;
	return 0;
}

/* ------------------------------------------------------------------------------------------------------------ rows */

enum { ITEMS = 100 };
static int numbers[ITEMS], squares[ITEMS];

static void map_squares(mppool *pool, const char *name)
{
	struct mppool_func func = make_func(square_call, 1, sizeof(int), NULL);

	func.name = name;
	assert_ok(mppool_map(pool, &func, MPPOOL_ARRAY(numbers, ITEMS), squares, 1));
}

START_TEST(test_option_names_rows_and_loses_nothing)
{
	mppool *pool = traced_pool(3, "rows");
	struct json j;

	map_squares(pool, "square");
	pool_finish(pool);
	j = load(path);
	assert_sound(&j);
	ck_assert_uint_eq(items_of(&j, "square"), ITEMS);
	ck_assert_uint_eq(pools(&j, "rows"), 1);
	ck_assert_uint_eq(rows(&j, "rows-w0"), 1);
	ck_assert_uint_eq(rows(&j, "rows-w1"), 1);
	ck_assert_uint_eq(rows(&j, "rows-w2"), 1);
	ck_assert_uint_eq(rows(&j, "rows-w3"), 0);
	ck_assert_uint_eq(rows(&j, "rows-result"), 1);
	ck_assert_uint_eq(rows(&j, "rows-task"), 1);
	ck_assert_uint_ge(count(&j, "C", NULL, "queue"), 1);
	free(j.events);
}
END_TEST

START_TEST(test_environment_is_the_default)
{
	char other[160];
	mppool *pool;
	struct json j;

	snprintf(other, sizeof other, "%s/other.json", folder);
	ck_assert_int_eq(setenv("MPPOOL_TRACE", path, 1), 0);
	pool = pool_of(1);
	map_squares(pool, "by environment");
	pool_finish(pool);
	assert_ok(mppool_create(MPPOOL_OPTIONS(.workers = 1, .trace = other), &pool));
	map_squares(pool, "by option");
	pool_finish(pool);
	assert_ok(mppool_create(MPPOOL_OPTIONS(.workers = 1, .trace = ""), &pool));
	map_squares(pool, "not at all");
	pool_finish(pool);
	ck_assert_int_eq(setenv("MPPOOL_TRACE", "", 1), 0);
	pool = pool_of(1);
	map_squares(pool, "not at all, either");
	pool_finish(pool);
	j = load(path);
	ck_assert_uint_eq(items_of(&j, NULL), ITEMS);
	ck_assert_uint_eq(items_of(&j, "by environment"), ITEMS);
	free(j.events);
	j = load(other);
	ck_assert_uint_eq(items_of(&j, NULL), ITEMS);
	ck_assert_uint_eq(items_of(&j, "by option"), ITEMS);
	free(j.events);
}
END_TEST

/* Longer than a trace merges over. */
static void let_time_pass(void)
{
	const double end = seconds_now() + 0.0001;

	while (seconds_now() < end)
		;
}

START_TEST(test_names_of_any_bytes)
{
	const char *const names[] = {
		"say \"hi\" \\ there", "\303\266 \360\237\230\200 \377 \355\240\200 \300\257 \303", NULL, "",
	};
	char longest[1000], raw[40];
	mppool *pool = traced_pool(1, "q\"uo\\te\n\377");
	struct json j;

	memset(longest, 'x', sizeof longest - 1);
	longest[sizeof longest - 1] = '\0';
	for (size_t i = 0; i < sizeof raw - 1; i++)
		raw[i] = (char)(i + 1);
	raw[sizeof raw - 1] = '\0';
	for (size_t i = 0; i < 4; i++) {
		map_squares(pool, names[i]);
		let_time_pass();
	}
	map_squares(pool, raw);
	let_time_pass();
	map_squares(pool, longest);
	pool_finish(pool);
	j = load(path);
	assert_sound(&j);
	ck_assert_uint_eq(items_of(&j, names[0]), ITEMS);
	ck_assert_uint_eq(items_of(&j, raw), ITEMS);
	ck_assert_uint_eq(items_of(&j, NULL), 6 * ITEMS);
	ck_assert_uint_eq(pools(&j, "q\"uo\\te\n?"), 1);
	ck_assert_uint_eq(rows(&j, "q\"uo\\te\n?-w0"), 1);
	free(j.events);
}
END_TEST

/* Two maps without a pause between them: where they meet some items may share a span that has no name, no more. */
START_TEST(test_neighbours_keep_their_names)
{
	enum { MANY = 2000 };
	struct mppool_func func = make_func(square_call, 1, sizeof(int), NULL), gated;
	int *xs = calloc(MANY, sizeof xs[0]);
	mppool *pool = traced_pool(1, "neighbours");
	const int one = 1;
	struct gate gate;
	struct json j;

	ck_assert_ptr_nonnull(xs);
	gate_init(&gate);
	gated = make_func(gate_call, 1, sizeof(int), &gate);
	assert_ok(mppool_apply_async(pool, &gated, MPPOOL_ARGS(&one), NULL, NULL));
	func.name = "first";
	assert_ok(mppool_map_async(pool, &func, MPPOOL_ARRAY(xs, MANY), NULL, 1, NULL, NULL));
	func.name = "second";
	assert_ok(mppool_map_async(pool, &func, MPPOOL_ARRAY(xs, MANY), NULL, 1, NULL, NULL));
	gate_open(&gate);
	pool_finish(pool);
	j = load(path);
	assert_sound(&j);
	ck_assert_uint_ge(items_of(&j, "first"), MANY * 3 / 4);
	ck_assert_uint_ge(items_of(&j, "second"), MANY * 3 / 4);
	ck_assert_uint_eq(items_of(&j, NULL), 2 * MANY + 1);
	free(j.events);
	free(xs);
	gate_destroy(&gate);
}
END_TEST

/* The strings of a function are copied before a call returns: the buffer of its name may serve for the next one.
 * The calls are long enough to have a span each. */
START_TEST(test_functions_may_share_the_buffer_of_their_names)
{
	double time = 0.002;
	struct mppool_func func = make_func(spin_call, 1, sizeof(int), &time);
	mppool *pool = traced_pool(1, "buffer");
	char name[16] = "";
	struct json j;
	int y;

	func.name = name;
	for (int i = 0; i < 3; i++) {
		snprintf(name, sizeof name, "load-%d", i);
		assert_ok(mppool_apply(pool, &func, MPPOOL_ARGS(&numbers[i]), &y));
	}
	strcpy(name, "none");
	pool_finish(pool);
	j = load(path);
	assert_sound(&j);
	ck_assert_uint_eq(items_of(&j, "load-0"), 1);
	ck_assert_uint_eq(items_of(&j, "load-1"), 1);
	ck_assert_uint_eq(items_of(&j, "load-2"), 1);
	free(j.events);
}
END_TEST

static double longest_queue(const struct json *j)
{
	double longest = 0;

	for (size_t i = 0; i < j->n; i++)
		if (strcmp(j->events[i].ph, "C") == 0 && j->events[i].queue > longest)
			longest = j->events[i].queue;
	return longest;
}

/* Lengths that follow each other too quickly are not all noted, but the one that stays is. */
START_TEST(test_burst_of_calls_is_seen_in_the_queue)
{
	mppool *pool = traced_pool(1, "burst");
	const int one = 1, calls = 50;
	struct mppool_func gated;
	double when = 0;
	struct gate gate;
	struct json j;

	gate_init(&gate);
	gated = make_func(gate_call, 1, sizeof(int), &gate);
	assert_ok(mppool_apply_async(pool, &gated, MPPOOL_ARGS(&one), NULL, NULL));
	gate_wait_arrivals(&gate, 1);
	for (int i = 0; i < calls; i++)
		assert_ok(mppool_apply_async(pool, &gated, MPPOOL_ARGS(&one), NULL, NULL));
	when = seconds_now() * 1e6;
	pause_briefly();
	gate_open(&gate);
	pool_finish(pool);
	j = load(path);
	assert_sound(&j);
	ck_assert_double_eq(longest_queue(&j), calls);
	for (size_t i = 0; i < j.n; i++)
		if (strcmp(j.events[i].ph, "C") == 0 && j.events[i].queue > calls - 1)
			ck_assert_msg(j.events[i].ts <= when, "it is seen %.0f us late", j.events[i].ts - when);
	free(j.events);
	gate_destroy(&gate);
}
END_TEST

static int nested_call(const void *const args[], void *result, void *context)
{
	const int depth = int_arg(args, 0), less = depth - 1;
	struct mppool_func func = make_func(nested_call, 1, sizeof(int), context);
	mppool_result *two[2];
	int sum = 1, one;

	func.name = depth % 2 ? "odd" : "even";
	for (int i = 0; depth > 0 && i < 2; i++)
		if (mppool_apply_async(mppool_current(), &func, MPPOOL_ARGS(&less), NULL, &two[i]))
			return 1;
	for (int i = 0; depth > 0 && i < 2; i++) {
		if (mppool_result_get(two[i], &one, MPPOOL_FOREVER))
			return 1;
		sum += one;
		mppool_result_free(two[i]);
	}
	*(int *)result = sum;
	return 0;
}

START_TEST(test_nested_tasks_nest)
{
	mppool *pool = traced_pool(3, "nest");
	struct mppool_func func = make_func(nested_call, 1, sizeof(int), NULL);
	const int depth = 10;
	struct json j;
	int sum;

	func.name = "root";
	for (int i = 0; i < 5; i++) {
		assert_ok(mppool_apply(pool, &func, MPPOOL_ARGS(&depth), &sum));
		ck_assert_int_eq(sum, 2047);
	}
	pool_finish(pool);
	j = load(path);
	assert_sound(&j);
	ck_assert_uint_eq(items_of(&j, NULL), 5 * 2047);
	free(j.events);
}
END_TEST

static int init_state(void *initarg, void **ret_state)
{
	*ret_state = initarg;
	return 0;
}

static void fini_state(void *initarg, void *state)
{
	(void)initarg;
	(void)state;
}

static void count_callback(const void *results, size_t n, void *userdata)
{
	(void)results;
	(void)n;
	atomic_fetch_add((atomic_int *)userdata, 1);
}

START_TEST(test_handlers_and_hooks_are_there)
{
	struct mppool_func func = make_func(square_call, 1, sizeof(int), NULL);
	struct source source = SOURCE(ITEMS);
	struct mppool_iterable items = source_items(&source);
	atomic_int called = 0;
	mppool_result *result;
	struct json j;
	mppool *pool;
	double drawn = 0;

	func.name = "square";
	assert_ok(mppool_create(MPPOOL_OPTIONS(.workers = 2, .name = "all", .initializer = init_state,
	                                       .finalizer = fini_state, .trace = path), &pool));
	assert_ok(mppool_map_async(pool, &func, &items, NULL, 1,
	                           MPPOOL_CALL(.callback = count_callback, .userdata = &called), &result));
	assert_ok(mppool_result_wait(result, MPPOOL_FOREVER));
	mppool_result_free(result);
	pool_finish(pool);
	ck_assert_int_eq(atomic_load(&called), 1);
	j = load(path);
	assert_sound(&j);
	ck_assert_uint_eq(items_of(&j, "square"), ITEMS);
	ck_assert_uint_eq(count(&j, "X", "callback", "callback square"), 1);
	ck_assert_uint_eq(count(&j, "X", "initializer", "initializer"), 2);
	ck_assert_uint_eq(count(&j, "X", "finalizer", "finalizer"), 2);
	ck_assert_uint_ge(count(&j, "X", "draw", "draw square"), 1);
	for (size_t i = 0; i < j.n; i++)
		drawn += strcmp(j.events[i].cat, "draw") == 0 ? j.events[i].items : 0;
	ck_assert_uint_eq((size_t)drawn, ITEMS);
	free(j.events);
}
END_TEST

START_TEST(test_waits_are_there)
{
	struct mppool_func func;
	struct gate gate;
	mppool_result *result;
	struct json j;
	const int one = 1;
	char name[16], row[64];
	mppool *pool;

	gate_init(&gate);
	func = make_func(gate_call, 1, sizeof(int), &gate);
	func.name = "gated";
	assert_ok(mppool_create(MPPOOL_OPTIONS(.workers = 1, .name = "wait", .queue_limit = 1, .trace = path), &pool));
	threads_settle("wait-w", 1);
	ck_assert(thread_sleeps("wait-w0"));             /* a worker that idles */
	pause_briefly();
	assert_ok(mppool_apply_async(pool, &func, MPPOOL_ARGS(&one), NULL, NULL));
	gate_wait_arrivals(&gate, 1);
	assert_ok(mppool_apply_async(pool, &func, MPPOOL_ARGS(&one), NULL, &result));
	assert_code(mppool_apply_async(pool, &func, MPPOOL_ARGS(&one), MPPOOL_CALL(.submit_timeout = 0.05), NULL),
	            ETIMEDOUT);                          /* a submitter that waits for room */
	assert_code(mppool_result_wait(result, 0.05), ETIMEDOUT);        /* and one who waits for a result */
	gate_open(&gate);
	assert_ok(mppool_result_wait(result, MPPOOL_FOREVER));
	mppool_result_free(result);
	pool_finish(pool);
	j = load(path);
	assert_sound(&j);
	ck_assert_uint_ge(count(&j, "X", "wait", "idle"), 1);
	ck_assert_uint_eq(count(&j, "X", "wait", "queue full"), 1);
	ck_assert_uint_ge(count(&j, "X", "wait", "wait for gated"), 1);
	ck_assert_uint_eq(items_of(&j, "gated"), 2);
	thread_name(name);
	snprintf(row, sizeof row, "%s (outside)", name);
	ck_assert_uint_ge(rows(&j, row), 1);
	free(j.events);
	gate_destroy(&gate);
}
END_TEST

static int exit_call(const void *const args[], void *result, void *context)
{
	(void)result;
	(void)context;
	if (int_arg(args, 0) % 10 == 3)
		pthread_exit(NULL);
	return 0;
}

START_TEST(test_replaced_workers_keep_their_rows)
{
	struct mppool_func func = make_func(square_call, 1, sizeof(int), NULL);
	struct json j;
	mppool *pool;

	func.name = "square";
	assert_ok(mppool_create(MPPOOL_OPTIONS(.workers = 2, .name = "retire", .max_tasks_per_worker = 1,
	                                       .trace = path), &pool));
	assert_ok(mppool_map(pool, &func, MPPOOL_ARRAY(numbers, ITEMS), squares, 5));
	pool_finish(pool);
	pool = traced_pool(2, "lost");
	func = make_func(exit_call, 1, sizeof(int), NULL);
	func.name = "exit";
	assert_code(mppool_map(pool, &func, MPPOOL_ARRAY(numbers, 20), squares, 1), MPPOOL_ETASK);
	pool_finish(pool);
	j = load(path);
	assert_sound(&j);
	ck_assert_uint_eq(items_of(&j, "square"), ITEMS);
	ck_assert_uint_eq(items_of(&j, "exit"), 20);
	ck_assert_uint_eq(rows(&j, "retire-w0") + rows(&j, "retire-w1"), 2);
	ck_assert_uint_eq(rows(&j, "lost-w0") + rows(&j, "lost-w1"), 2);
	free(j.events);
}
END_TEST

/* Runs so many calls at once, one in each worker. */
static void occupy_workers(mppool *pool, size_t workers, const char *name)
{
	struct mppool_func gated;
	const int one = 1;
	struct gate gate;

	gate_init(&gate);
	gated = make_func(gate_call, 1, sizeof(int), &gate);
	gated.name = name;
	for (size_t i = 0; i < workers; i++)
		assert_ok(mppool_apply_async(pool, &gated, MPPOOL_ARGS(&one), NULL, NULL));
	gate_wait_arrivals(&gate, workers);
	gate_open(&gate);
	assert_ok(mppool_wait_idle(pool, MPPOOL_FOREVER));
	let_time_pass();
	gate_destroy(&gate);
}

/* Tasks of that name in that row. */
static size_t tasks_in(const struct json *j, const char *row, const char *name)
{
	long tid = -1;
	size_t n = 0;

	for (size_t i = 0; i < j->n; i++)
		if (strcmp(j->events[i].name, "thread_name") == 0 && strcmp(j->events[i].arg_name, row) == 0)
			tid = j->events[i].tid;
	for (size_t i = 0; i < j->n; i++)
		n += j->events[i].tid == tid && strcmp(j->events[i].cat, "task") == 0 &&
		     strcmp(j->events[i].name, name) == 0;
	return n;
}

START_TEST(test_resized_pool_has_rows_of_all_workers)
{
	const char *const workers[] = {"size-w0", "size-w1", "size-w2", "size-w3", "size-w4"};
	struct json j;
	mppool *pool;

	assert_ok(mppool_create(MPPOOL_OPTIONS(.workers = 1, .name = "size", .initializer = init_state,
	                                       .finalizer = fini_state, .trace = path), &pool));
	occupy_workers(pool, 1, "alone");
	assert_ok(mppool_resize(pool, 4));
	occupy_workers(pool, 4, "four");
	assert_ok(mppool_resize(pool, 2));
	ck_assert_uint_eq(threads_settle("size-w", 2), 2);
	occupy_workers(pool, 2, "two");
	assert_ok(mppool_resize(pool, 3));
	occupy_workers(pool, 3, "three");
	pool_finish(pool);
	j = load(path);
	assert_sound(&j);
	for (size_t i = 0; i < 5; i++) {
		ck_assert_uint_eq(rows(&j, workers[i]), i < 4);
		ck_assert_uint_eq(tasks_in(&j, workers[i], "alone"), i < 1);
		ck_assert_uint_eq(tasks_in(&j, workers[i], "four"), i < 4);
		ck_assert_uint_eq(tasks_in(&j, workers[i], "two"), i < 2);
		ck_assert_uint_eq(tasks_in(&j, workers[i], "three"), i < 3);
	}
	ck_assert_uint_eq(items_of(&j, NULL), 10);
	ck_assert_uint_eq(count(&j, "X", "initializer", NULL), 5);
	ck_assert_uint_eq(count(&j, "X", "finalizer", NULL), 5);
	free(j.events);
}
END_TEST

static void map_by_caller(size_t i, void *arg)
{
	struct mppool_func func = make_func(square_call, 1, sizeof(int), NULL);
	int results[ITEMS];

	(void)i;
	func.name = "helped";
	for (int k = 0; k < 20; k++)
		if (mppool_map(arg, &func, MPPOOL_ARRAY(numbers, ITEMS), results, 1))
			abort();
}

START_TEST(test_callers_that_help_have_rows)
{
	struct json j;
	mppool *pool;

	assert_ok(mppool_create(MPPOOL_OPTIONS(.workers = 1, .name = "help", .flags = MPPOOL_CALLER_HELPS,
	                                       .trace = path), &pool));
	run_in_threads(3, map_by_caller, pool);
	pool_finish(pool);
	j = load(path);
	assert_sound(&j);
	ck_assert_uint_eq(items_of(&j, "helped"), 3 * 20 * ITEMS);
	free(j.events);
}
END_TEST

START_TEST(test_polled_callbacks_have_rows)
{
	struct mppool_func func = make_func(square_call, 1, sizeof(int), NULL);
	atomic_int called = 0;
	const int one = 1;
	size_t run = 0, all = 0;
	struct json j;
	mppool *pool;

	func.name = "polled";
	assert_ok(mppool_create(MPPOOL_OPTIONS(.workers = 1, .name = "poll", .callback_mode = MPPOOL_CALLBACKS_POLL,
	                                       .trace = path), &pool));
	for (int i = 0; i < 5; i++)
		assert_ok(mppool_apply_async(pool, &func, MPPOOL_ARGS(&one),
		                             MPPOOL_CALL(.callback = count_callback, .userdata = &called), NULL));
	for (; all < 5; all += run)
		assert_ok(mppool_poll(pool, MPPOOL_FOREVER, &run));
	pool_finish(pool);
	j = load(path);
	assert_sound(&j);
	ck_assert_uint_ge(count(&j, "X", "callback", "callback polled"), 1);
	free(j.events);
}
END_TEST

/* ----------------------------------------------------------------------------------------------------------- files */

START_TEST(test_pools_share_a_file)
{
	mppool *first = traced_pool(1, "first"), *second = traced_pool(1, "second"), *third;
	char other[160];
	struct json j;

	map_squares(first, "one");
	map_squares(second, "two");
	pool_finish(first);
	snprintf(other, sizeof other, "%s/../%s/trace.json", folder, strrchr(folder, '/') + 1);
	assert_ok(mppool_create(MPPOOL_OPTIONS(.workers = 1, .name = "third", .trace = other), &third));
	pool_finish(second);
	map_squares(third, "three");
	pool_finish(third);
	j = load(path);
	assert_sound(&j);
	ck_assert_uint_eq(items_of(&j, "one"), ITEMS);
	ck_assert_uint_eq(items_of(&j, "two"), ITEMS);
	ck_assert_uint_eq(items_of(&j, "three"), ITEMS);
	ck_assert_uint_eq(pools(&j, "first") + pools(&j, "second") + pools(&j, "third"), 3);
	free(j.events);
}
END_TEST

/* The first one opened the file, and need not be the last to go. */
START_TEST(test_pools_end_in_any_order)
{
	const char *const names[] = {"one", "two", "three"};
	static const int orders[][3] = {{0, 1, 2}, {2, 1, 0}, {1, 0, 2}, {1, 2, 0}};

	for (size_t order = 0; order < 4; order++) {
		mppool *of[3];
		struct json j;

		for (int i = 0; i < 3; i++)
			of[i] = traced_pool(1, names[i]);
		for (int i = 0; i < 3; i++) {
			map_squares(of[orders[order][i]], names[orders[order][i]]);
			pool_finish(of[orders[order][i]]);
		}
		j = load(path);
		assert_sound(&j);
		for (int i = 0; i < 3; i++) {
			ck_assert_uint_eq(items_of(&j, names[i]), (order + 1) * ITEMS);
			ck_assert_uint_eq(pools(&j, names[i]), order + 1);
		}
		free(j.events);
	}
}
END_TEST

START_TEST(test_completed_file_is_gone_on_with)
{
	struct json j;

	for (int i = 0; i < 4; i++) {
		mppool *pool = traced_pool(1, "again");

		map_squares(pool, "square");
		pool_finish(pool);
		j = load(path);
		assert_sound(&j);
		ck_assert_uint_eq(items_of(&j, "square"), (size_t)(i + 1) * ITEMS);
		free(j.events);
	}
	ck_assert_int_eq(truncate(path, 5), 0);          /* what is not as it was left is no longer ours */
	pool_finish(traced_pool(1, "anew"));
	j = load(path);
	ck_assert_uint_eq(pools(&j, "again"), 0);
	ck_assert_uint_eq(pools(&j, "anew"), 1);
	free(j.events);
	ck_assert_int_eq(unlink(path), 0);
	pool_finish(traced_pool(1, "new file"));
	j = load(path);
	ck_assert_uint_eq(pools(&j, "new file"), 1);
	free(j.events);
}
END_TEST

/* A file that was renamed is not what its old name stands for, be it complete or still written. */
START_TEST(test_renamed_files_are_told_apart)
{
	char other[160];
	struct json j;

	snprintf(other, sizeof other, "%s/other.json", folder);
	for (int in_use = 0; in_use < 2; in_use++) {
		mppool *old = traced_pool(1, "old"), *renamed = NULL, *young;

		map_squares(old, "before");
		if (!in_use)
			pool_finish(old);
		ck_assert_int_eq(rename(path, other), 0);
		if (!in_use)
			assert_ok(mppool_create(MPPOOL_OPTIONS(.workers = 1, .name = "on", .trace = other), &renamed));
		young = traced_pool(1, "young");
		map_squares(young, "after");
		pool_finish(young);
		pool_finish(in_use ? old : renamed);
		j = load(path);
		assert_sound(&j);
		ck_assert_uint_eq(pools(&j, "young"), 1);
		ck_assert_uint_eq(pools(&j, "old") + pools(&j, "on"), 0);
		ck_assert_uint_eq(items_of(&j, "after"), ITEMS);
		free(j.events);
		j = load(other);
		assert_sound(&j);
		ck_assert_uint_eq(pools(&j, "old"), 1);
		ck_assert_uint_eq(pools(&j, "young"), 0);
		ck_assert_uint_eq(items_of(&j, "before"), ITEMS);
		free(j.events);
		ck_assert_int_eq(unlink(path), 0);
		ck_assert_int_eq(unlink(other), 0);
	}
}
END_TEST

START_TEST(test_earlier_run_is_replaced)
{
	FILE *file = fopen(path, "w");
	struct json j;

	for (int i = 0; i < 10000; i++)
		fprintf(file, "something else ");
	fclose(file);
	pool_finish(traced_pool(1, "new"));
	j = load(path);
	ck_assert_uint_eq(pools(&j, "new"), 1);
	free(j.events);
}
END_TEST

/* Standard error goes to a file from here on. */
static void catch_stderr(void)
{
	char name[160];
	int fd;

	snprintf(name, sizeof name, "%s/stderr", folder);
	fd = open(name, O_RDWR | O_CREAT | O_APPEND, 0600);
	ck_assert_int_ge(fd, 0);
	fflush(stderr);
	ck_assert_int_eq(dup2(fd, STDERR_FILENO), STDERR_FILENO);
	close(fd);
}

static void assert_one_complaint(const char *about)
{
	char name[160], *text, *line;
	size_t size, lines = 0;

	snprintf(name, sizeof name, "%s/stderr", folder);
	text = read_file(name, &size);
	ck_assert_ptr_nonnull(text);
	for (line = text; (line = strstr(line, "mppool: ")) != NULL; line++)
		lines++;
	ck_assert_msg(lines == 1, "%zu complaints: %s", lines, text);
	ck_assert_msg(strstr(text, about) != NULL, "'%s' is not about %s", text, about);
	free(text);
}

static void use_pool_with(const char *trace)
{
	mppool *pool;

	assert_ok(mppool_create(MPPOOL_OPTIONS(.workers = 2, .trace = trace), &pool));
	memset(squares, 0, sizeof squares);
	map_squares(pool, "square");
	ck_assert_int_eq(squares[ITEMS - 1], (ITEMS - 1) * (ITEMS - 1));
	pool_finish(pool);
}

START_TEST(test_unwritable_file_is_told_once)
{
	char missing[160];

	catch_stderr();
	snprintf(missing, sizeof missing, "%s/missing/trace.json", folder);
	use_pool_with(missing);
	use_pool_with(missing);
	use_pool_with(folder);
	assert_one_complaint(missing);
}
END_TEST

START_TEST(test_only_regular_files)
{
	catch_stderr();
	use_pool_with("/dev/null");
	assert_one_complaint("/dev/null: Not a regular file");
}
END_TEST

START_TEST(test_fifo_does_not_hold_up)
{
	catch_stderr();
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	use_pool_with(path);
	assert_one_complaint(path);
}
END_TEST

/* A map that makes at least so many bytes of text: each chunk has a name of its own. */
static void fill_trace(mppool *pool, int spans)
{
	char name[128];

	for (int i = 0; i < spans; i++) {
		const double time = 0.00001;
		struct mppool_func func = make_func(spin_call, 1, sizeof(int), (void *)(uintptr_t)&time);

		snprintf(name, sizeof name, "a name as long as this so as to fill the file soon, number %d", i);
		func.name = name;
		assert_ok(mppool_apply(pool, &func, MPPOOL_ARGS(&i), NULL));
	}
}

START_TEST(test_full_disk_leaves_a_valid_file)
{
	const struct rlimit limit = {100000, 100000};
	mppool *pool = traced_pool(1, "full");
	struct json j;
	size_t size;
	char *text;

	catch_stderr();
	signal(SIGXFSZ, SIG_DFL);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	fill_trace(pool, 2000);
	pool_finish(pool);
	use_pool_with(path);
	assert_one_complaint(path);
	text = read_file(path, &size);
	ck_assert_uint_gt(size, 30000);
	free(text);
	j = load(path);
	ck_assert_uint_ge(items_of(&j, NULL), 50);       /* if each came with 2000 bytes, of sleeps and counts */
	free(j.events);
}
END_TEST

/* So full that not even its end has room. Check writes a file of its own, which is shorter. */
START_TEST(test_full_disk_has_room_for_the_end)
{
	mppool *pool = traced_pool(1, "full");
	struct rlimit limit;
	struct json j;

	fill_trace(pool, 1000);
	pool_finish(pool);
	pool = traced_pool(1, "fuller");
	limit.rlim_cur = limit.rlim_max = file_size() + (rlim_t)_i;
	catch_stderr();
	signal(SIGXFSZ, SIG_DFL);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	map_squares(pool, "square");
	pool_finish(pool);
	assert_one_complaint(path);
	j = load(path);
	ck_assert_uint_eq(pools(&j, "fuller"), 1);
	free(j.events);
}
END_TEST

/* ----------------------------------------------------------------------------------------------------------- sizes */

static int tiny_call(const void *const args[], void *result, void *context)
{
	(void)context;
	*(int *)result = int_arg(args, 0);
	return 0;
}

START_TEST(test_many_tiny_tasks_make_a_small_file)
{
	const size_t n = UNDER_TSAN || UNDER_ASAN || under_valgrind() ? 50000 : 1000000;
	struct mppool_func func = make_func(tiny_call, 1, sizeof(int), NULL);
	const char *const names[] = {"one", "two", "three"};
	mppool *pool = traced_pool(2, "tiny");
	int *xs = calloc(n, sizeof xs[0]);
	struct json j;

	ck_assert_ptr_nonnull(xs);
	func.name = "mapped";
	assert_ok(mppool_map(pool, &func, MPPOOL_ARRAY(xs, n), NULL, 1));
	for (size_t i = 0; i < n; i++) {         /* neighbours differ */
		func.name = names[i % 3];
		assert_ok(mppool_apply_async(pool, &func, MPPOOL_ARGS(&xs[i]), NULL, NULL));
	}
	pool_finish(pool);
	free(xs);
	ck_assert_uint_lt(file_size(), 24 << 20);
	j = load(path);
	ck_assert_uint_eq(items_of(&j, NULL), 2 * n);
	free(j.events);
}
END_TEST

START_TEST(test_longer_spans_keep_their_names)
{
	const double time = 0.001;
	struct mppool_func func = make_func(spin_call, 1, sizeof(int), (void *)(uintptr_t)&time);
	mppool *pool = traced_pool(1, "spans");
	struct json j;

	func.name = "spin";
	assert_ok(mppool_map(pool, &func, MPPOOL_ARRAY(numbers, 20), squares, 1));
	pool_finish(pool);
	j = load(path);
	assert_sound(&j);
	ck_assert_uint_eq(count(&j, "X", "task", "spin"), 20);
	for (size_t i = 0; i < j.n; i++)
		if (strcmp(j.events[i].cat, "task") == 0)
			ck_assert_msg(j.events[i].dur >= 999, "a span of %.3f microseconds", j.events[i].dur);
	free(j.events);
}
END_TEST

/* ------------------------------------------------------------------------------------------------------- processes */

/* Must be 0 or killed by that signal. */
static void assert_child(pid_t child, int signal)
{
	int status;

	ck_assert_int_eq(waitpid(child, &status, 0), child);
	if (signal)
		ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == signal);
	else
		ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the child's status is %d", status);
}

static bool use_in_child(const char *name)
{
	struct mppool_func func = make_func(square_call, 1, sizeof(int), NULL);
	mppool *pool;

	func.name = name;
	return mppool_create(MPPOOL_OPTIONS(.workers = 1, .name = name, .trace = path), &pool) == 0 &&
	       mppool_map(pool, &func, MPPOOL_ARRAY(numbers, ITEMS), squares, 1) == 0 && mppool_destroy(pool) == 0;
}

static void assert_child_file(pid_t child, const char *name)
{
	char other[160];
	struct json j;

	snprintf(other, sizeof other, "%s/trace.%d.json", folder, (int)child);
	j = load(other);
	assert_sound(&j);
	ck_assert_uint_eq(items_of(&j, name), ITEMS);
	ck_assert_uint_eq(items_of(&j, NULL), ITEMS);
	free(j.events);
}

static void fork_from_a_traced_process(bool pool_lives)
{
	mppool *pool = traced_pool(1, "parent");
	struct json j;
	pid_t child;

	map_squares(pool, "parent");
	if (!pool_lives)
		pool_finish(pool);
	child = fork_watched();
	if (child == 0) {
		CHILD_CHECK(!pool_lives || mppool_destroy(pool) == 0);
		CHILD_CHECK(use_in_child("child") && use_in_child("child"));
		child_leaves();
	}
	if (pool_lives) {
		map_squares(pool, "parent");
		pool_finish(pool);
	}
	assert_child(child, 0);
	j = load(path);
	assert_sound(&j);
	ck_assert_uint_eq(items_of(&j, NULL), pool_lives ? 2 * ITEMS : ITEMS);
	ck_assert_uint_eq(pools(&j, "child"), 0);
	free(j.events);
	pool_finish(traced_pool(1, "parent"));
	j = load(path);
	ck_assert_uint_eq(pools(&j, "parent"), 2);
	free(j.events);
	{
		char other[160];

		snprintf(other, sizeof other, "%s/trace.%d.json", folder, (int)child);
		j = load(other);
		assert_sound(&j);
		ck_assert_uint_eq(items_of(&j, "child"), 2 * ITEMS);
		free(j.events);
	}
}

START_TEST(test_child_of_fork_takes_another_name)
{
	if (!UNDER_TSAN)         /* it does not bear new threads in the child of one that had threads */
		fork_from_a_traced_process(true);
}
END_TEST

START_TEST(test_child_leaves_a_completed_file_alone)
{
	fork_from_a_traced_process(false);
}
END_TEST

static int fork_call(const void *const args[], void *result, void *context)
{
	(void)args;
	(void)context;
	*(pid_t *)result = fork_watched();
	return 0;
}

/* The child comes back into the worker, whose row is the parent's. */
START_TEST(test_fork_in_a_task_writes_nothing)
{
	struct mppool_func func = make_func(fork_call, 0, sizeof(pid_t), NULL);
	const pid_t me = getpid();
	mppool *pool;
	struct json j;
	pid_t child;

	if (UNDER_TSAN)          /* it does not bear a fork among threads */
		return;
	pool = traced_pool(1, "parent");
	func.name = "fork";
	assert_ok(mppool_apply(pool, &func, NULL, &child));
	if (getpid() != me)
		_exit(0);
	map_squares(pool, "square");
	pool_finish(pool);
	if (child > 0) {
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
	}
	j = load(path);
	assert_sound(&j);
	ck_assert_uint_eq(items_of(&j, "fork"), 1);
	ck_assert_uint_eq(items_of(&j, "square"), ITEMS);
	free(j.events);
}
END_TEST

/* What the library opens is not what the program takes for its standard error. */
START_TEST(test_closed_standard_descriptors_stay_closed)
{
	const pid_t child = fork_watched();
	struct json j;

	if (child == 0) {
		struct mppool_func func = make_func(square_call, 1, sizeof(int), NULL);
		mppool *pool;
		int fd, taken = 0;

		for (int i = 0; i < 3; i++)
			close(i);
		if (mppool_create(MPPOOL_OPTIONS(.workers = 1, .name = "closed", .trace = path,
		                                 .callback_mode = MPPOOL_CALLBACKS_POLL), &pool) != 0 ||
		    mppool_fd(pool, &fd) != 0)
			_exit(100);
		for (int i = 0; i < 3; i++)
			taken += fcntl(i, F_GETFD) != -1;
		if (mppool_map(pool, &func, MPPOOL_ARRAY(numbers, ITEMS), squares, 1) != 0 ||
		    mppool_destroy(pool) != 0)
			_exit(101);
		_exit(taken);
	}
	assert_child(child, 0);
	j = load(path);
	assert_sound(&j);
	ck_assert_uint_eq(pools(&j, "closed"), 1);
	ck_assert_uint_eq(items_of(&j, NULL), ITEMS);
	free(j.events);
}
END_TEST

START_TEST(test_two_processes_do_not_share)
{
	int up[2], down[2];
	struct json j;
	pid_t child;
	char c = 'x';

	ck_assert_int_eq(pipe(up), 0);
	ck_assert_int_eq(pipe(down), 0);
	child = fork_watched();          /* nothing is traced yet: a process of its own */
	if (child == 0) {
		mppool *pool;

		if (mppool_create(MPPOOL_OPTIONS(.workers = 1, .name = "other", .trace = path), &pool) != 0 ||
		    write(up[1], &c, 1) != 1 || read(down[0], &c, 1) != 1)
			_exit(1);
		_exit(mppool_destroy(pool));
	}
	ck_assert_int_eq((int)read(up[0], &c, 1), 1);
	use_pool_with(path);
	ck_assert_int_eq((int)write(down[1], &c, 1), 1);
	assert_child(child, 0);
	assert_child_file(getpid(), "square");
	j = load(path);
	ck_assert_uint_eq(pools(&j, "other"), 1);
	ck_assert_uint_eq(items_of(&j, NULL), 0);
	free(j.events);
}
END_TEST

START_TEST(test_killed_program_leaves_a_readable_file)
{
	struct json j;
	FILE *file;
	pid_t child = fork_watched();

	if (child == 0) {
		mppool *pool = traced_pool(1, "killed");

		fill_trace(pool, 2000);
		kill(getpid(), SIGKILL);
	}
	assert_child(child, SIGKILL);
	file = fopen(path, "a");
	fputs("]", file);
	fclose(file);
	j = load(path);
	assert_sound(&j);
	ck_assert_uint_ge(items_of(&j, NULL), 500);
	free(j.events);
}
END_TEST

/* A second opinion. */
START_TEST(test_python_reads_it)
{
	char command[400];

	use_pool_with(path);
	if (system("python3 -c 'import json' 2>/dev/null") != 0)
		return;
	snprintf(command, sizeof command,
	         "python3 -c 'import json; d = json.load(open(\"%s\", encoding=\"utf-8\")); "
	         "assert sum(e.get(\"args\", {}).get(\"items\", 1) for e in d if e.get(\"cat\") == \"task\") == %d'",
	         path, ITEMS);
	ck_assert_int_eq(system(command), 0);
}
END_TEST

static void fill_suite(Suite *suite)
{
	TCase *tcase = add_case(suite, "rows");

	for (int i = 0; i < ITEMS; i++)
		numbers[i] = i;
	tcase_add_checked_fixture(tcase, make_folder, remove_folder);
	tcase_add_test(tcase, test_option_names_rows_and_loses_nothing);
	tcase_add_test(tcase, test_environment_is_the_default);
	tcase_add_test(tcase, test_names_of_any_bytes);
	tcase_add_test(tcase, test_neighbours_keep_their_names);
	tcase_add_test(tcase, test_functions_may_share_the_buffer_of_their_names);
	tcase_add_test(tcase, test_burst_of_calls_is_seen_in_the_queue);
	tcase_add_test(tcase, test_nested_tasks_nest);
	tcase_add_test(tcase, test_handlers_and_hooks_are_there);
	tcase_add_test(tcase, test_waits_are_there);
	tcase_add_test(tcase, test_replaced_workers_keep_their_rows);
	tcase_add_test(tcase, test_resized_pool_has_rows_of_all_workers);
	tcase_add_test(tcase, test_callers_that_help_have_rows);
	tcase_add_test(tcase, test_polled_callbacks_have_rows);
	tcase = add_case(suite, "files");
	tcase_add_checked_fixture(tcase, make_folder, remove_folder);
	tcase_add_test(tcase, test_pools_share_a_file);
	tcase_add_test(tcase, test_pools_end_in_any_order);
	tcase_add_test(tcase, test_completed_file_is_gone_on_with);
	tcase_add_test(tcase, test_renamed_files_are_told_apart);
	tcase_add_test(tcase, test_earlier_run_is_replaced);
	tcase_add_test(tcase, test_unwritable_file_is_told_once);
	tcase_add_test(tcase, test_only_regular_files);
	tcase_add_test(tcase, test_fifo_does_not_hold_up);
	tcase_add_test(tcase, test_full_disk_leaves_a_valid_file);
	tcase_add_loop_test(tcase, test_full_disk_has_room_for_the_end, 0, 4);
	tcase = add_case(suite, "sizes");
	tcase_add_checked_fixture(tcase, make_folder, remove_folder);
	tcase_add_test(tcase, test_many_tiny_tasks_make_a_small_file);
	tcase_add_test(tcase, test_longer_spans_keep_their_names);
	tcase = add_case(suite, "processes");
	tcase_add_checked_fixture(tcase, make_folder, remove_folder);
	tcase_add_test(tcase, test_child_of_fork_takes_another_name);
	tcase_add_test(tcase, test_child_leaves_a_completed_file_alone);
	tcase_add_test(tcase, test_fork_in_a_task_writes_nothing);
	tcase_add_test(tcase, test_closed_standard_descriptors_stay_closed);
	tcase_add_test(tcase, test_two_processes_do_not_share);
	tcase_add_test(tcase, test_killed_program_leaves_a_readable_file);
	tcase_add_test(tcase, test_python_reads_it);
}

int main(int argc, char **argv)
{
	return run_suite("trace", fill_suite, argc, argv);
}
