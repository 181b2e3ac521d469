/* test_states.c - the tables of mppool_lifecycle(7): every call in every state gives what the page says
 *
 * SPDX-License-Identifier: MIT
 *
 * The tables are read from the page itself, so that neither can change without the other. Each cell is a test of its
 * own, on a pool of its own. */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* ----------------------------------------------------------------------------------------------- the page's tables */

enum { MAX_ROWS = 40, MAX_COLUMNS = 8, MAX_TEXT = 32, TABLES = 3 };

struct table {
	char cell[MAX_ROWS][MAX_COLUMNS][MAX_TEXT];      /* row 0 is the head, column 0 the name */
	int rows;
	int columns;
};

static struct table tables[TABLES];

/* "Sy "one word"" is its text alone. */
static void copy_cell(char *to, const char *from, size_t len)
{
	if (len > 3 && strncmp(from, "Sy ", 3) == 0) {
		from += 3;
		len -= 3;
	}
	if (len > 1 && *from == '"') {
		from++;
		len -= 2;
	}
	ck_assert_uint_lt(len, MAX_TEXT);
	memcpy(to, from, len);
	to[len] = '\0';
}

static void read_row(struct table *table, const char *line)
{
	int columns = 0;

	ck_assert_int_lt(table->rows, MAX_ROWS);
	for (;;) {
		const char *end = strstr(line, " Ta ");

		ck_assert_int_lt(columns, MAX_COLUMNS);
		copy_cell(table->cell[table->rows][columns++], line, end ? (size_t)(end - line) : strcspn(line, "\n"));
		if (!end)
			break;
		line = end + 4;
	}
	ck_assert_msg(table->rows == 0 || columns == table->columns, "%s: %d columns instead of %d",
	              table->cell[table->rows][0], columns, table->columns);
	table->columns = columns;
	table->rows++;
}

static FILE *open_source(const char *path)
{
	const char *srcdir = getenv("srcdir");
	char name[4096];
	FILE *file;

	snprintf(name, sizeof name, "%s/%s", srcdir ? srcdir : ".", path);
	file = fopen(name, "r");
	ck_assert_msg(file != NULL, "%s cannot be opened: set srcdir to the top of the sources", name);
	return file;
}

static void read_tables(void)
{
	FILE *page = open_source("man/mppool_lifecycle.7");
	char line[512];
	int n = 0;
	bool inside = false;

	memset(tables, 0, sizeof tables);
	while (fgets(line, sizeof line, page)) {
		if (strncmp(line, ".Bl -column", 11) == 0) {
			inside = true;
			ck_assert_int_lt(n, TABLES);
		} else if (inside && strncmp(line, ".El", 3) == 0) {
			inside = false;
			n++;
		} else if (inside && strncmp(line, ".It ", 4) == 0) {
			read_row(&tables[n], line + 4);
		}
	}
	fclose(page);
	ck_assert_int_eq(n, TABLES);
}

/* The number that a cell means. States are told apart from codes by an offset. */
enum { STATE = 20000 };

static int meaning(const char *cell)
{
	static const char *const states[] = {"RUN", "CLOSED", "TERMINATED", "BROKEN"};
	static const int errnos[] = {EINVAL, EDEADLK, ECANCELED, ETIMEDOUT, EBUSY};

	if (strcmp(cell, "0") == 0)
		return 0;
	for (int i = 0; i < 4; i++)
		if (strcmp(cell, states[i]) == 0)
			return STATE + i;
	for (size_t i = 0; i < sizeof errnos / sizeof *errnos; i++)
		if (strcmp(cell, mppool_strerrorname(errnos[i])) == 0)
			return errnos[i];
	for (int code = MPPOOL_ETASK; code <= MPPOOL_EFORKED; code++)
		if (strcmp(cell, mppool_strerrorname(code) + strlen("MPPOOL_")) == 0)
			return code;
	ck_abort_msg("the page says '%s', which is neither a code nor a state", cell);
	return -1;
}

static void compare(const struct table *table, int row, int column, int got)
{
	const int want = meaning(table->cell[row][column]);

	ck_assert_msg(got == want, "%s, %s: %d (%s) instead of what the page says: %s", table->cell[row][0],
	              table->cell[0][column], got, mppool_strerrorname(got), table->cell[row][column]);
}

/* The place of a name in a list that ends with NULL; the page must not have others. */
static int place_of(const char *const *names, const char *name)
{
	for (int i = 0; names[i]; i++)
		if (strcmp(names[i], name) == 0)
			return i;
	ck_abort_msg("the page has '%s', which is not tested", name);
	return -1;
}

/* ------------------------------------------------------------------------------------------------------- the calls */

static int call_apply(mppool *pool)
{
	const int x = 3;
	int y;
	const struct mppool_func func = make_func(square_call, 1, sizeof(int), NULL);

	return mppool_apply(pool, &func, MPPOOL_ARGS(&x), &y);
}

static int call_apply_with(mppool *pool)
{
	const int x = 3;
	int y;
	const struct mppool_func func = make_func(square_call, 1, sizeof(int), NULL);

	return mppool_apply_with(pool, &func, MPPOOL_ARGS(&x), &y, NULL);
}

static int call_map_with(mppool *pool)
{
	const int xs[] = {1, 2, 3};
	int ys[3];
	const struct mppool_func func = make_func(square_call, 1, sizeof(int), NULL);

	return mppool_map_with(pool, &func, MPPOOL_ARRAY(xs, 3), ys, 1, NULL);
}

static int call_starmap_with(mppool *pool)
{
	const int xs[] = {1, 2, 3};
	int ys[3];
	const struct mppool_func func = make_func(square_call, 1, sizeof(int), NULL);

	return mppool_starmap_with(pool, &func, MPPOOL_ARRAY(xs, 3), ys, 1, NULL);
}

static int call_apply_async(mppool *pool)
{
	const int x = 3;
	const struct mppool_func func = make_func(square_call, 1, sizeof(int), NULL);

	return mppool_apply_async(pool, &func, MPPOOL_ARGS(&x), NULL, NULL);
}

static int call_map(mppool *pool)
{
	const int xs[] = {1, 2, 3};
	int ys[3];
	const struct mppool_func func = make_func(square_call, 1, sizeof(int), NULL);

	return mppool_map(pool, &func, MPPOOL_ARRAY(xs, 3), ys, 1);
}

static int call_starmap(mppool *pool)
{
	const int xs[] = {1, 2, 3};
	int ys[3];
	const struct mppool_func func = make_func(square_call, 1, sizeof(int), NULL);

	return mppool_starmap(pool, &func, MPPOOL_ARRAY(xs, 3), ys, 1);
}

static const int lent[] = {1, 2, 3};

static int call_map_async(mppool *pool)
{
	const struct mppool_func func = make_func(square_call, 1, sizeof(int), NULL);

	return mppool_map_async(pool, &func, MPPOOL_ARRAY(lent, 3), NULL, 1, NULL, NULL);
}

static int call_starmap_async(mppool *pool)
{
	const struct mppool_func func = make_func(square_call, 1, sizeof(int), NULL);

	return mppool_starmap_async(pool, &func, MPPOOL_ARRAY(lent, 3), NULL, 1, NULL, NULL);
}

static int imap_and_free(mppool *pool, bool ordered)
{
	const struct mppool_func func = make_func(square_call, 1, sizeof(int), NULL);
	mppool_iter *iter;
	int code;

	if (ordered)
		code = mppool_imap(pool, &func, MPPOOL_ARRAY(lent, 3), 1, 0, NULL, &iter);
	else
		code = mppool_imap_unordered(pool, &func, MPPOOL_ARRAY(lent, 3), 1, 0, NULL, &iter);
	if (code == 0)
		mppool_iter_free(iter);
	return code;
}

static int call_imap(mppool *pool)
{
	return imap_and_free(pool, true);
}

static int call_imap_unordered(mppool *pool)
{
	return imap_and_free(pool, false);
}

static int call_resize(mppool *pool)
{
	return mppool_resize(pool, 1);
}

static int call_wait_idle(mppool *pool)
{
	return mppool_wait_idle(pool, MPPOOL_FOREVER);
}

static int call_stats(mppool *pool)
{
	struct mppool_counters counters;

	memset(&counters, 0, sizeof counters);
	counters.size = sizeof counters;
	return mppool_stats(pool, &counters);
}

static int call_poll(mppool *pool)
{
	return mppool_poll(pool, 0, NULL);
}

static int call_fd(mppool *pool)
{
	int fd;

	return mppool_fd(pool, &fd);
}

static int call_join(mppool *pool)
{
	return mppool_join(pool, MPPOOL_FOREVER);
}

static int call_state(mppool *pool)
{
	return STATE + mppool_state(pool);
}

static const struct {
	const char *name;
	int (*call)(mppool *pool);
} calls[] = {
	{"apply", call_apply},
	{"apply_with", call_apply_with},
	{"apply_async", call_apply_async},
	{"map", call_map},
	{"map_with", call_map_with},
	{"map_async", call_map_async},
	{"starmap", call_starmap},
	{"starmap_with", call_starmap_with},
	{"starmap_async", call_starmap_async},
	{"imap", call_imap},
	{"imap_unordered", call_imap_unordered},
	{"resize", call_resize},
	{"wait_idle", call_wait_idle},
	{"stats", call_stats},
	{"poll", call_poll},
	{"fd", call_fd},
	{"close", mppool_close},
	{"terminate", mppool_terminate},
	{"join", call_join},
	{"destroy", mppool_destroy},
	{"state", call_state},
};
enum { CALLS = sizeof calls / sizeof *calls };

static int (*call_named(const char *name))(mppool *pool)
{
	for (int i = 0; i < CALLS; i++)
		if (strcmp(calls[i].name, name) == 0)
			return calls[i].call;
	ck_abort_msg("the page has '%s', which is not tested", name);
	return NULL;
}

/* ------------------------------------------------------------------------------------------------------ the states */

static const char *const state_names[] = {"RUN", "CLOSED", "TERMINATED", "BROKEN", "joined", "child", NULL};
enum { RUN, CLOSED, TERMINATED, BROKEN, JOINED, CHILD };

struct fragile {                         /* a pool whose initializer works so many times */
	mppool *pool;
	atomic_int lives;
};

static int spend_life(void *initarg, void **ret_state)
{
	struct fragile *fragile = initarg;

	(void)ret_state;
	return atomic_fetch_sub(&fragile->lives, 1) > 0 ? 0 : mppool_raise(EIO, "no life left");
}

static void fragile_create(struct fragile *fragile, int workers, int callback_mode)
{
	atomic_init(&fragile->lives, workers);
	assert_ok(mppool_create(MPPOOL_OPTIONS(.workers = workers, .callback_mode = callback_mode,
	                                       .initializer = spend_life, .initarg = fragile,
	                                       .max_tasks_per_worker = 1),
	                        &fragile->pool));
}

/* One task makes a worker retire; a second waits for the worker that takes its place, which there will not be. */
static void break_pool(mppool *pool)
{
	const int code = (call_apply(pool), call_apply(pool));

	ck_assert_msg(code == MPPOOL_EBROKEN || code == MPPOOL_ECLOSED, "%s", mppool_strerrorname(code));
	ck_assert_int_eq(mppool_state(pool), MPPOOL_BROKEN);
}

static void bring_into_state(mppool *pool, int state)
{
	switch (state) {
	case CLOSED: assert_ok(mppool_close(pool)); break;
	case TERMINATED: assert_ok(mppool_terminate(pool)); break;
	case BROKEN: break_pool(pool); break;
	case JOINED:
		assert_ok(mppool_close(pool));
		assert_ok(mppool_join(pool, MPPOOL_FOREVER));
		break;
	default: break;
	}
}

/* What the function returns in a child of this process. */
static int in_child(int (*call)(void *arg), void *arg)
{
	int ends[2], code = -1, status;
	pid_t child;

	ck_assert_int_eq(pipe(ends), 0);
	child = fork_watched();
	ck_assert_int_ge(child, 0);
	if (child == 0) {
		code = call(arg);
		if (write(ends[1], &code, sizeof code) != (ssize_t)sizeof code)
			_exit(1);
		/* Out of reach here is what the parent's threads had: valgrind would take it for lost. */
		if (under_valgrind())
			execlp("true", "true", (char *)NULL);
		_exit(0);
	}
	ck_assert_int_eq(read(ends[0], &code, sizeof code), sizeof code);
	while (waitpid(child, &status, 0) < 0)
		ck_assert_int_eq(errno, EINTR);
	ck_assert_int_eq(status, 0);
	close(ends[0]);
	close(ends[1]);
	return code;
}

struct made_call {
	int (*call)(mppool *pool);
	mppool *pool;
};

static int make_call(void *arg)
{
	const struct made_call *made = arg;

	return made->call(made->pool);
}

static void each_call(int row, int column)
{
	const struct table *table = &tables[0];
	const int state = place_of(state_names, table->cell[0][column]);
	struct fragile fragile;
	struct made_call made = {.call = call_named(table->cell[row][0])};
	const bool polled = made.call == call_poll || made.call == call_fd;

	if (state == BROKEN)
		fragile_create(&fragile, 1, polled ? MPPOOL_CALLBACKS_POLL : MPPOOL_CALLBACKS_THREAD);
	else
		assert_ok(mppool_create(MPPOOL_OPTIONS(.workers = 2, .callback_mode = polled), &fragile.pool));
	made.pool = fragile.pool;
	bring_into_state(made.pool, state);
	compare(table, row, column, state == CHILD ? in_child(make_call, &made) : make_call(&made));
	if (state == CHILD || made.call != mppool_destroy)
		assert_ok(mppool_destroy(made.pool));
}

/* Of each of the other mode, but for the child: what the page says below the table. */
static void polled_calls_need_the_mode(void)
{
	for (int state = RUN; state < CHILD; state++) {
		struct fragile fragile;

		fragile_create(&fragile, 1, MPPOOL_CALLBACKS_THREAD);
		bring_into_state(fragile.pool, state);
		assert_code(call_poll(fragile.pool), EINVAL);
		assert_code(call_fd(fragile.pool), EINVAL);
		assert_ok(mppool_destroy(fragile.pool));
	}
}

/* ------------------------------------------------------------------------------------------------- calls of a task */

struct inside {
	struct gate gate;
	int (*call)(mppool *pool);
	int code;
};

static int call_from_task(const void *const args[], void *result, void *context)
{
	struct inside *inside = context;

	(void)args;
	(void)result;
	gate_wait(&inside->gate);
	inside->code = inside->call(mppool_current());
	return 0;
}

/* The task stands at a gate while its pool is brought into the state. */
static void each_call_of_a_task(int row, int column)
{
	const struct table *table = &tables[1];
	const int state = place_of(state_names, table->cell[0][column]);
	struct inside inside = {.call = call_named(table->cell[row][0])};
	const struct mppool_func func = make_func(call_from_task, 0, 0, &inside);
	struct fragile fragile;

	mppool_result *result;

	fragile_create(&fragile, 2, MPPOOL_CALLBACKS_THREAD);
	gate_init(&inside.gate);
	assert_ok(mppool_apply_async(fragile.pool, &func, NULL, NULL, &result));
	gate_wait_arrivals(&inside.gate, 1);
	bring_into_state(fragile.pool, state);
	gate_open(&inside.gate);
	assert_ok(mppool_result_get(result, NULL, MPPOOL_FOREVER));
	mppool_result_free(result);
	assert_ok(mppool_destroy(fragile.pool));
	gate_destroy(&inside.gate);
	compare(table, row, column, inside.code);
}

/* ------------------------------------------------------------------------------------------- what becomes of calls */

static const char *const call_stages[] = {"had ended", "was running", "had not started", "was an iterator", NULL};
enum { HAD_ENDED, WAS_RUNNING, HAD_NOT_STARTED, WAS_AN_ITERATOR };
static const char *const events[] = {"close", "terminate", "break", "destroy", "fork", NULL};
enum { CLOSE, TERMINATE, BREAK, DESTROY, FORK };

/* A task that runs until it is told to stop, by the test or by its pool. */
struct runs {
	struct gate started;
	atomic_bool stop;
};

struct stages {
	struct runs running, other;      /* both workers are busy */
	mppool_result *ended, *result, *waiting;
	mppool_iter *iter;
};

static int run_until_told(const void *const args[], void *result, void *context)
{
	struct runs *runs = context;

	(void)args;
	(void)result;
	gate_wait(&runs->started);
	while (!atomic_load(&runs->stop) && !mppool_should_stop())
		nap();
	return 0;
}

static void runs_begin(struct runs *runs, mppool *pool, mppool_result **ret_result)
{
	const struct mppool_func func = make_func(run_until_told, 0, 0, runs);

	gate_init(&runs->started);
	gate_open(&runs->started);
	atomic_init(&runs->stop, false);
	assert_ok(mppool_apply_async(pool, &func, NULL, NULL, ret_result));
	gate_wait_arrivals(&runs->started, 1);
}

/* A call of each stage. */
static void stages_begin(struct stages *stages, mppool *pool)
{
	const int x = 3;
	const struct mppool_func square = make_func(square_call, 1, sizeof(int), NULL);

	assert_ok(mppool_apply_async(pool, &square, MPPOOL_ARGS(&x), NULL, &stages->ended));
	assert_ok(mppool_result_wait(stages->ended, MPPOOL_FOREVER));
	runs_begin(&stages->running, pool, &stages->result);
	runs_begin(&stages->other, pool, NULL);
	assert_ok(mppool_apply_async(pool, &square, MPPOOL_ARGS(&x), NULL, &stages->waiting));
	assert_ok(mppool_imap(pool, &square, MPPOOL_ARRAY(lent, 3), 1, 0, NULL, &stages->iter));
}

static void stages_free(struct stages *stages)
{
	mppool_result_free(stages->ended);
	mppool_result_free(stages->result);
	mppool_result_free(stages->waiting);
	mppool_iter_free(stages->iter);
	gate_destroy(&stages->running.started);
	gate_destroy(&stages->other.started);
}

struct asked {
	struct stages *stages;
	int stage;
};

static int ask(void *arg)
{
	const struct asked *asked = arg;
	int y;

	switch (asked->stage) {
	case HAD_ENDED: return mppool_result_get(asked->stages->ended, &y, MPPOOL_FOREVER);
	case WAS_RUNNING: return mppool_result_get(asked->stages->result, NULL, MPPOOL_FOREVER);
	case HAD_NOT_STARTED: return mppool_result_get(asked->stages->waiting, &y, MPPOOL_FOREVER);
	default: return mppool_iter_next(asked->stages->iter, &y, NULL, MPPOOL_FOREVER);
	}
}

/* What breaks the pool is that the worker of the other task retires: the first task used up the life to spare. */
static void each_stage(int row, int column)
{
	const struct table *table = &tables[2];
	const int event = place_of(events, table->cell[0][column]);
	struct stages stages;
	struct asked asked = {&stages, place_of(call_stages, table->cell[row][0])};
	struct fragile fragile;
	int code;

	fragile_create(&fragile, 2, MPPOOL_CALLBACKS_THREAD);
	atomic_fetch_add(&fragile.lives, event == BREAK ? 1 : 100);
	stages_begin(&stages, fragile.pool);
	switch (event) {
	case CLOSE: assert_ok(mppool_close(fragile.pool)); break;
	case TERMINATE: assert_ok(mppool_terminate(fragile.pool)); break;
	case BREAK:
		atomic_store(&stages.other.stop, true);
		assert_code(mppool_result_wait(stages.waiting, MPPOOL_FOREVER), 0);
		ck_assert_int_eq(mppool_state(fragile.pool), MPPOOL_BROKEN);
		break;
	case DESTROY: assert_ok(mppool_destroy(fragile.pool)); break;
	default: break;
	}
	if (event == FORK) {
		code = in_child(ask, &asked);
	} else {
		if (event == CLOSE)
			atomic_store(&stages.running.stop, true);
		atomic_store(&stages.other.stop, true);
		code = ask(&asked);
	}
	compare(table, row, column, code);
	if (event != DESTROY)
		assert_ok(mppool_destroy(fragile.pool));
	stages_free(&stages);
}

/* ------------------------------------------------------------------------------------------------------- the tests */

/* How many rows the tables have, without their heads. */
static const int rows[TABLES] = {CALLS, 7, 4};

static void each_cell(int i, void (*check)(int row, int column))
{
	const int table = check == each_call ? 0 : check == each_call_of_a_task ? 1 : 2;

	read_tables();
	ck_assert_int_eq(tables[table].rows, 1 + rows[table]);
	for (int column = 1; column < tables[table].columns; column++)
		check(i + 1, column);
}

/* _i: the row. */
START_TEST(call_in_each_state_gives_what_the_page_says)
{
	each_cell(_i, each_call);
}
END_TEST

START_TEST(call_of_a_task_in_each_state_gives_what_the_page_says)
{
	each_cell(_i, each_call_of_a_task);
}
END_TEST

START_TEST(call_becomes_of_each_event_what_the_page_says)
{
	each_cell(_i, each_stage);
}
END_TEST

START_TEST(polled_calls_need_their_mode_in_each_state)
{
	polled_calls_need_the_mode();
}
END_TEST

/* No call of the header that takes a pool and returns a code is missing on the page, and none is there twice. */
START_TEST(page_has_each_call_that_takes_a_pool)
{
	FILE *header = open_source("include/mppool.h");
	char line[512], name[64];
	int found = 0;

	read_tables();
	while (fgets(line, sizeof line, header)) {
		int times = 0;

		if (sscanf(line, "int mppool_%63[a-z_](", name) != 1 ||
		    (!strstr(line, "(mppool *pool") && !strstr(line, "(const mppool *pool")))
			continue;
		for (int row = 1; row < tables[0].rows; row++)
			times += strcmp(tables[0].cell[row][0], name) == 0;
		ck_assert_msg(times == 1, "mppool_%s is %d times in the first table of mppool_lifecycle(7): it needs a "
		              "row there, and a line in `calls` here", name, times);
		found++;
	}
	fclose(header);
	ck_assert_int_eq(found, tables[0].rows - 1);
}
END_TEST

static void fill(Suite *suite)
{
	TCase *const states = add_case(suite, "states");
	TCase *const inside = add_case(suite, "inside");
	TCase *const calls_of = add_case(suite, "calls");

	tcase_add_test(states, page_has_each_call_that_takes_a_pool);
	tcase_add_loop_test(states, call_in_each_state_gives_what_the_page_says, 0, rows[0]);
	tcase_add_test(states, polled_calls_need_their_mode_in_each_state);
	tcase_add_loop_test(inside, call_of_a_task_in_each_state_gives_what_the_page_says, 0, rows[1]);
	tcase_add_loop_test(calls_of, call_becomes_of_each_event_what_the_page_says, 0, rows[2]);
}

int main(int argc, char **argv)
{
	return run_suite("states", fill, argc, argv);
}
