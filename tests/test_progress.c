/* test_progress.c - mppool_result_progress_bar on terminals, in pipes, and where nothing can be written
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE 1
#include "support.h"

#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

/* ----------------------------------------------------------------------------------------------- a bar in a thread */

/* mppool_result_progress_bar() beside the test, which reads what it writes. */
struct bar {
	struct runner runner;
	mppool_result *result;
	int fd;                          /* closed at the end */
	const char *label;
	double timeout;
	int code;
};

static void bar_main(void *arg)
{
	struct bar *const bar = arg;

	bar->code = mppool_result_progress_bar(bar->result, bar->fd, bar->label, bar->timeout);
	close(bar->fd);
}

static void bar_start(struct bar *bar, mppool_result *result, int fd, const char *label)
{
	bar->result = result;
	bar->fd = fd;
	bar->label = label;
	bar->timeout = MPPOOL_FOREVER;
	bar->code = -1;
	runner_start(&bar->runner, bar_main, bar);
}

/* What came out so far. */
struct reader {
	int fd;
	char text[1 << 16];
	size_t length;
};

/* More of it; false at the end. A terminal's other end says EIO when it is closed. */
static bool read_more(struct reader *reader)
{
	ssize_t n;

	ck_assert_uint_lt(reader->length, sizeof reader->text - 1);
	do
		n = read(reader->fd, reader->text + reader->length, sizeof reader->text - 1 - reader->length);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return false;
	reader->length += (size_t)n;
	reader->text[reader->length] = '\0';
	return true;
}

static void read_until(struct reader *reader, const char *text)
{
	reader->text[reader->length] = '\0';
	while (!strstr(reader->text, text))
		ck_assert_msg(read_more(reader), "no '%s' in: %s", text, reader->text);
}

static void read_all(struct reader *reader)
{
	reader->text[reader->length] = '\0';
	while (read_more(reader))
		;
}

static void assert_begins(const char *text, const char *with)
{
	ck_assert_msg(strncmp(text, with, strlen(with)) == 0, "\"%s\" does not begin with \"%s\"", text, with);
}

static size_t count_of(const char *text, char c)
{
	size_t n = 0;

	for (; *text; text++)
		n += *text == c;
	return n;
}

/* ----------------------------------------------------------------------------------------------------- a slow call */

enum { ITEMS = 20 };

/* One worker that runs an item for each that the gate admits. */
struct slow {
	struct gate gate;
	struct mppool_func func;
	int numbers[ITEMS];
	mppool *pool;
	mppool_result *result;
};

static void slow_start(struct slow *slow)
{
	gate_init(&slow->gate);
	slow->func = make_func(gate_call, 1, sizeof(int), &slow->gate);
	for (int i = 0; i < ITEMS; i++)
		slow->numbers[i] = i;
	slow->pool = pool_of(1);
	assert_ok(mppool_map_async(slow->pool, &slow->func, MPPOOL_ARRAY(slow->numbers, ITEMS), NULL, 1, NULL,
	                           &slow->result));
}

static void slow_finish(struct slow *slow)
{
	gate_open(&slow->gate);
	assert_ok(mppool_result_wait(slow->result, MPPOOL_FOREVER));
	mppool_result_free(slow->result);
	pool_finish(slow->pool);
	gate_destroy(&slow->gate);
}

static void make_pipe(int fds[2])
{
	ck_assert_int_eq(pipe(fds), 0);
}

/* A terminal of so many columns: its program's end, and the end that a test reads. */
static void make_terminal(unsigned short columns, int *ret_program, int *ret_reader)
{
	struct winsize size = {24, columns, 0, 0};
	char name[64];

	*ret_reader = posix_openpt(O_RDWR | O_NOCTTY);
	ck_assert_int_ge(*ret_reader, 0);
	ck_assert_int_eq(grantpt(*ret_reader), 0);
	ck_assert_int_eq(unlockpt(*ret_reader), 0);
	ck_assert_int_eq(ptsname_r(*ret_reader, name, sizeof name), 0);
	*ret_program = open(name, O_RDWR | O_NOCTTY);
	ck_assert_int_ge(*ret_program, 0);
	ck_assert_int_eq(ioctl(*ret_program, TIOCSWINSZ, &size), 0);
}

/* ------------------------------------------------------------------------------------------------------- in a pipe */

/* Two items more, until that is told. The first ones may have ended before the bar began, and tell nothing. */
static void admit_until_a_line(struct slow *slow, int fd)
{
	struct pollfd p = {fd, POLLIN, 0};

	for (size_t n = 2; n < ITEMS; n += 2) {
		gate_admit(&slow->gate, 2);
		gate_wait_departures(&slow->gate, n);
		if (poll(&p, 1, 1000) == 1)
			return;
	}
	ck_abort_msg("no line came");
}

START_TEST(test_pipe_gets_a_line_at_tenths_and_a_last_one)
{
	struct reader reader = {.fd = -1};
	struct slow slow;
	struct bar bar;
	int fds[2];

	slow_start(&slow);
	make_pipe(fds);
	reader.fd = fds[0];
	bar_start(&bar, slow.result, fds[1], "work");
	admit_until_a_line(&slow, fds[0]);
	read_until(&reader, " left\n");
	assert_begins(reader.text, "work  ");
	gate_open(&slow.gate);
	read_all(&reader);
	runner_join(&bar.runner);
	assert_ok(bar.code);
	ck_assert_ptr_nonnull(strstr(reader.text, "\nwork 100% 20/20  "));
	ck_assert_msg(reader.text[reader.length - 1] == '\n', "the last line has no end: %s", reader.text);
	ck_assert_uint_le(count_of(reader.text, '\n'), 11);
	ck_assert_ptr_null(strchr(reader.text, '\r'));
	ck_assert_ptr_null(strchr(reader.text, '#'));
	close(fds[0]);
	slow_finish(&slow);
}
END_TEST

START_TEST(test_pipe_of_a_ready_result_gets_the_last_line_only)
{
	struct reader reader = {.fd = -1};
	struct slow slow;
	int fds[2];

	slow_start(&slow);
	gate_open(&slow.gate);
	assert_ok(mppool_result_wait(slow.result, MPPOOL_FOREVER));
	make_pipe(fds);
	reader.fd = fds[0];
	assert_ok(mppool_result_progress_bar(slow.result, fds[1], NULL, 0));
	close(fds[1]);
	read_all(&reader);
	assert_begins(reader.text, "100% 20/20  in 0:0");        /* a second or two on a busy machine */
	close(fds[0]);
	slow_finish(&slow);
}
END_TEST

START_TEST(test_generator_shows_a_count_without_a_total)
{
	struct source source = SOURCE(ITEMS);
	struct mppool_iterable items = source_items(&source);
	struct mppool_func func = make_func(square_call, 1, sizeof(int), NULL);
	struct reader reader = {.fd = -1};
	mppool *pool = pool_of(1);
	mppool_result *result;
	struct gate gate;
	struct bar bar;
	int program;

	gate_init(&gate);
	source.gate = &gate;
	source.block_at = 7;
	assert_ok(mppool_map_async(pool, &func, &items, NULL, 1, NULL, &result));
	make_terminal(80, &program, &reader.fd);
	bar_start(&bar, result, program, "draw");
	read_until(&reader, "\rdraw 7");
	ck_assert_ptr_null(strchr(reader.text, '%'));
	ck_assert_ptr_null(strchr(reader.text, '['));
	gate_open(&gate);
	read_until(&reader, "100% [");
	read_until(&reader, "20/20  ");
	read_all(&reader);
	runner_join(&bar.runner);
	assert_ok(bar.code);
	mppool_result_free(result);
	close(reader.fd);
	pool_finish(pool);
	gate_destroy(&gate);
}
END_TEST

START_TEST(test_empty_input_is_all_done)
{
	struct mppool_func func = make_func(square_call, 1, sizeof(int), NULL);
	struct reader reader = {.fd = -1};
	mppool *pool = pool_of(1);
	mppool_result *result;
	int numbers[1] = {0}, fds[2];

	assert_ok(mppool_map_async(pool, &func, MPPOOL_ARRAY(numbers, 0), NULL, 1, NULL, &result));
	make_pipe(fds);
	reader.fd = fds[0];
	assert_ok(mppool_result_progress_bar(result, fds[1], "none", MPPOOL_FOREVER));
	close(fds[1]);
	read_all(&reader);
	assert_begins(reader.text, "none 100% 0/0  in 0:0");
	close(fds[0]);
	mppool_result_free(result);
	pool_finish(pool);
}
END_TEST

/* --------------------------------------------------------------------------------------------------- on a terminal */

/* Every line that was drawn fits into so many columns, the last one free. */
static void assert_narrow(const char *text, size_t columns)
{
	size_t longest = 0, length = 0;

	for (; *text; text++) {
		bool continues = ((unsigned char)*text & 0xc0) == 0x80;

		length = *text == '\r' || *text == '\n' ? 0 : length + !continues;
		if (length > longest)
			longest = length;
	}
	ck_assert_uint_lt(longest, columns);
}

START_TEST(test_terminal_gets_a_bar_that_is_drawn_anew)
{
	struct reader reader = {.fd = -1};
	struct slow slow;
	struct bar bar;
	int program;

	slow_start(&slow);
	make_terminal(60, &program, &reader.fd);
	bar_start(&bar, slow.result, program, "work");
	gate_admit(&slow.gate, 10);
	read_until(&reader, "\rwork  50% [#");
	read_until(&reader, "#.");
	read_until(&reader, ".] 10/20");
	gate_open(&slow.gate);
	read_until(&reader, "\rwork 100% [#");
	read_until(&reader, "#] 20/20  ");
	read_all(&reader);
	runner_join(&bar.runner);
	assert_ok(bar.code);
	assert_narrow(reader.text, 60);
	ck_assert_uint_eq(count_of(reader.text, '\n'), 1);
	ck_assert_msg(reader.text[reader.length - 1] == '\n', "the line has no end: %s", reader.text);
	close(reader.fd);
	slow_finish(&slow);
}
END_TEST

START_TEST(test_terminal_any_width_is_kept_to)
{
	static const unsigned short widths[] = {1, 2, 7, 13, 20, 33, 47, 80, 132, 300};
	char label[400];
	struct slow slow;

	memset(label, 'x', sizeof label - 1);
	label[sizeof label - 1] = '\0';
	slow_start(&slow);
	gate_open(&slow.gate);
	assert_ok(mppool_result_wait(slow.result, MPPOOL_FOREVER));
	for (size_t i = 0; i < sizeof widths / sizeof widths[0]; i++) {
		struct reader reader = {.fd = -1};
		int program;

		make_terminal(widths[i], &program, &reader.fd);
		assert_ok(mppool_result_progress_bar(slow.result, program, i % 2 ? label : "a", MPPOOL_FOREVER));
		read_until(&reader, "\n");
		assert_narrow(reader.text, widths[i]);
		close(program);
		close(reader.fd);
	}
	slow_finish(&slow);
}
END_TEST

START_TEST(test_label_of_any_bytes_stays_on_its_line)
{
	struct reader reader = {.fd = -1};
	struct slow slow;
	int program;

	slow_start(&slow);
	gate_open(&slow.gate);
	assert_ok(mppool_result_wait(slow.result, MPPOOL_FOREVER));
	make_terminal(0, &program, &reader.fd);          /* it does not say: 80 */
	assert_ok(mppool_result_progress_bar(slow.result, program, "a\nb\033c %n \303\266 \377", MPPOOL_FOREVER));
	read_until(&reader, "\n");
	ck_assert_ptr_nonnull(strstr(reader.text, "\ra b c %n \303\266 \377 100% ["));
	assert_narrow(reader.text, 80);
	close(program);
	close(reader.fd);
	slow_finish(&slow);
}
END_TEST

START_TEST(test_terminal_timeout_erases_the_bar)
{
	struct reader reader = {.fd = -1};
	struct slow slow;
	struct bar bar;
	const char *last;
	int program;

	slow_start(&slow);
	make_terminal(80, &program, &reader.fd);
	assert_code(mppool_result_progress_bar(slow.result, program, "none yet", 0), ETIMEDOUT);
	bar.result = slow.result;
	bar.fd = program;
	bar.label = "work";
	bar.timeout = 2;
	runner_start(&bar.runner, bar_main, &bar);
	read_all(&reader);
	runner_join(&bar.runner);
	assert_code(bar.code, ETIMEDOUT);
	ck_assert_ptr_null(strstr(reader.text, "none yet"));     /* a poll draws nothing */
	ck_assert_ptr_nonnull(strstr(reader.text, "\rwork   0% [."));
	ck_assert_ptr_null(strchr(reader.text, '\n'));
	ck_assert_msg(reader.text[reader.length - 1] == '\r', "not erased: %s", reader.text);
	reader.text[reader.length - 1] = '\0';
	last = strrchr(reader.text, '\r') + 1;
	ck_assert_uint_gt(strlen(last), 10);
	ck_assert_uint_eq(strlen(last), count_of(last, ' '));
	close(reader.fd);
	slow_finish(&slow);
}
END_TEST

/* -------------------------------------------------------------------------------------- where it cannot be written */

/* Waits for the rest of a call while nothing can be written there. */
static void wait_without_output(int fd)
{
	struct slow slow;
	struct bar bar;

	slow_start(&slow);
	bar_start(&bar, slow.result, fd, "nobody reads");
	gate_admit(&slow.gate, 3);
	gate_wait_departures(&slow.gate, 3);
	gate_open(&slow.gate);
	runner_join(&bar.runner);
	assert_ok(bar.code);
	slow_finish(&slow);
}

START_TEST(test_closed_pipe_raises_nothing)
{
	sigset_t set;
	int fds[2];

	signal(SIGPIPE, SIG_DFL);
	make_pipe(fds);
	close(fds[0]);
	wait_without_output(fds[1]);
	sigemptyset(&set);
	ck_assert_int_eq(sigpending(&set), 0);
	ck_assert_int_eq(sigismember(&set, SIGPIPE), 0);
}
END_TEST

START_TEST(test_pending_sigpipe_stays_pending)
{
	struct slow slow;
	sigset_t set;
	int fds[2];

	signal(SIGPIPE, SIG_DFL);
	sigemptyset(&set);
	sigaddset(&set, SIGPIPE);
	ck_assert_int_eq(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
	slow_start(&slow);
	gate_open(&slow.gate);
	make_pipe(fds);
	close(fds[0]);
	assert_ok(mppool_result_progress_bar(slow.result, fds[1], NULL, MPPOOL_FOREVER));
	ck_assert_int_eq(sigpending(&set), 0);
	ck_assert_int_eq(sigismember(&set, SIGPIPE), 0);         /* it took back what it had raised */
	ck_assert_int_eq(pthread_kill(pthread_self(), SIGPIPE), 0);
	assert_ok(mppool_result_progress_bar(slow.result, fds[1], NULL, MPPOOL_FOREVER));
	ck_assert_int_eq(sigpending(&set), 0);
	ck_assert_int_eq(sigismember(&set, SIGPIPE), 1);         /* and nothing else */
	close(fds[1]);
	slow_finish(&slow);
}
END_TEST

static void fill(int fd)
{
	const int flags = fcntl(fd, F_GETFL);
	char bytes[4096] = {0};

	ck_assert_int_eq(fcntl(fd, F_SETFL, flags | O_NONBLOCK), 0);
	while (write(fd, bytes, sizeof bytes) > 0 || write(fd, bytes, 1) > 0)
		;
	ck_assert_int_eq(errno, EAGAIN);
	ck_assert_int_eq(fcntl(fd, F_SETFL, flags), 0);
}

START_TEST(test_full_pipe_does_not_hold_up)
{
	int fds[2];

	make_pipe(fds);
	fill(fds[1]);
	wait_without_output(fds[1]);             /* a write would wait for ever */
	close(fds[0]);
	make_pipe(fds);
	ck_assert_int_eq(fcntl(fds[1], F_SETFL, O_NONBLOCK), 0);
	fill(fds[1]);
	wait_without_output(fds[1]);
	close(fds[0]);
}
END_TEST

START_TEST(test_no_file_is_a_plain_wait)
{
	int fds[2];

	wait_without_output(-1);
	wait_without_output(INT32_MAX);
	make_pipe(fds);
	wait_without_output(dup(fds[0]));        /* not open for writing */
	close(fds[0]);
	close(fds[1]);
}
END_TEST

/* ----------------------------------------------------------------------------------------- returns as a wait's are */

START_TEST(test_bad_arguments)
{
	struct slow slow;

	slow_start(&slow);
	assert_code(mppool_result_progress_bar(NULL, 1, "x", 1), EINVAL);
	assert_code(mppool_result_progress_bar(slow.result, 1, "x", (double)NAN), EINVAL);
	slow_finish(&slow);
}
END_TEST

struct inside {
	mppool *pool;
	mppool_result *result;
	struct gate begin;
	int fd, code;
};

static void wait_in_callback(const void *results, size_t n, void *userdata)
{
	struct inside *const inside = userdata;

	(void)results;
	(void)n;
	gate_wait(&inside->begin);
	inside->code = mppool_result_progress_bar(inside->result, inside->fd, "x", MPPOOL_FOREVER);
}

START_TEST(test_callback_is_told_of_the_deadlock)
{
	struct mppool_func func = make_func(square_call, 1, sizeof(int), NULL);
	struct reader reader = {.fd = -1};
	struct inside inside = {.code = -1};
	struct mppool_func slow;
	mppool_result *result;
	int fds[2], one = 1;
	struct gate gate;

	make_pipe(fds);
	gate_init(&gate);
	gate_init(&inside.begin);
	inside.fd = fds[1];
	inside.pool = pool_of(1);
	assert_ok(mppool_apply_async(inside.pool, &func, MPPOOL_ARGS(&one),
	                             MPPOOL_CALL(.callback = wait_in_callback, .userdata = &inside), &result));
	slow = make_func(gate_call, 1, sizeof(int), &gate);
	assert_ok(mppool_apply_async(inside.pool, &slow, MPPOOL_ARGS(&one), NULL, &inside.result));
	gate_open(&inside.begin);
	assert_ok(mppool_result_wait(result, MPPOOL_FOREVER));
	assert_code(inside.code, EDEADLK);
	gate_open(&gate);
	mppool_result_free(result);
	mppool_result_free(inside.result);
	pool_finish(inside.pool);
	close(fds[1]);
	reader.fd = fds[0];
	read_all(&reader);
	ck_assert_str_eq(reader.text, "");
	close(fds[0]);
	gate_destroy(&inside.begin);
	gate_destroy(&gate);
}
END_TEST

static int wait_inside(const void *const args[], void *result, void *context)
{
	struct inside *const inside = context;
	struct mppool_func func = make_func(square_call, 1, sizeof(int), NULL);
	int numbers[ITEMS] = {0}, code;
	mppool_result *inner;

	(void)args;
	(void)result;
	code = mppool_map_async(inside->pool, &func, MPPOOL_ARRAY(numbers, ITEMS), NULL, 1, NULL, &inner);
	if (code)
		return code;
	inside->code = mppool_result_progress_bar(inner, inside->fd, "inner", MPPOOL_FOREVER);
	mppool_result_free(inner);
	return inside->code;
}

START_TEST(test_only_worker_helps_while_it_waits)
{
	struct inside inside = {.pool = pool_of(1), .code = -1};
	struct mppool_func func = make_func(wait_inside, 0, 0, &inside);
	struct reader reader = {.fd = -1};
	int fds[2];

	make_pipe(fds);
	inside.fd = fds[1];
	assert_ok(mppool_apply(inside.pool, &func, NULL, NULL));
	assert_ok(inside.code);
	pool_finish(inside.pool);
	close(fds[1]);
	reader.fd = fds[0];
	read_all(&reader);
	ck_assert_ptr_nonnull(strstr(reader.text, "inner 100% 20/20  "));
	close(fds[0]);
}
END_TEST

START_TEST(test_forked_child_is_told)
{
	struct slow slow;
	pid_t child;

	slow_start(&slow);
	gate_wait_arrivals(&slow.gate, 1);
	child = fork_watched();
	if (child == 0) {
		CHILD_CHECK(mppool_result_progress_bar(slow.result, 1, "x", 1) == MPPOOL_EFORKED);
		child_leaves();
	}
	child_ends_well(child);
	slow_finish(&slow);
}
END_TEST

struct canceled {
	struct slow *slow;
	int fd;
	atomic_int code;
};

static void *call_with_cancel_pending(void *arg)
{
	struct canceled *const c = arg;

	pthread_cancel(pthread_self());
	atomic_store(&c->code, mppool_result_progress_bar(c->slow->result, c->fd, "x", 0.5));
	pthread_testcancel();
	return NULL;
}

START_TEST(test_no_cancellation_point)
{
	struct slow slow;
	struct canceled canceled = {.slow = &slow, .code = -1};
	pthread_t thread;
	void *value;
	int fds[2];

	slow_start(&slow);
	make_terminal(80, &fds[1], &fds[0]);
	canceled.fd = fds[1];
	ck_assert_int_eq(pthread_create(&thread, NULL, call_with_cancel_pending, &canceled), 0);
	ck_assert_int_eq(pthread_join(thread, &value), 0);
	ck_assert_ptr_eq(value, PTHREAD_CANCELED);
	assert_code(atomic_load(&canceled.code), ETIMEDOUT);
	close(fds[0]);
	close(fds[1]);
	slow_finish(&slow);
}
END_TEST

static void fill_suite(Suite *suite)
{
	TCase *tcase = add_case(suite, "pipe");

	tcase_add_test(tcase, test_pipe_gets_a_line_at_tenths_and_a_last_one);
	tcase_add_test(tcase, test_pipe_of_a_ready_result_gets_the_last_line_only);
	tcase_add_test(tcase, test_generator_shows_a_count_without_a_total);
	tcase_add_test(tcase, test_empty_input_is_all_done);
	tcase = add_case(suite, "terminal");
	tcase_add_test(tcase, test_terminal_gets_a_bar_that_is_drawn_anew);
	tcase_add_test(tcase, test_terminal_any_width_is_kept_to);
	tcase_add_test(tcase, test_label_of_any_bytes_stays_on_its_line);
	tcase_add_test(tcase, test_terminal_timeout_erases_the_bar);
	tcase = add_case(suite, "output");
	tcase_add_test(tcase, test_closed_pipe_raises_nothing);
	tcase_add_test(tcase, test_pending_sigpipe_stays_pending);
	tcase_add_test(tcase, test_full_pipe_does_not_hold_up);
	tcase_add_test(tcase, test_no_file_is_a_plain_wait);
	tcase = add_case(suite, "wait");
	tcase_add_test(tcase, test_bad_arguments);
	tcase_add_test(tcase, test_callback_is_told_of_the_deadlock);
	tcase_add_test(tcase, test_only_worker_helps_while_it_waits);
	tcase_add_test(tcase, test_forked_child_is_told);
	tcase_add_test(tcase, test_no_cancellation_point);
}

int main(int argc, char **argv)
{
	return run_suite("progress", fill_suite, argc, argv);
}
