/* factor_epoll.c - an event loop on epoll(7) that never computes: prime factors of the numbers on standard input.
 *
 * SPDX-License-Identifier: MIT
 *
 *     seq 1000000000 1000000100 | ./factor_epoll
 *
 * Everything but the factoring happens in one thread, the loop's: reading, printing, counting. So nothing here needs a
 * lock. The pool's descriptor is readable while callbacks are due, and mppool_poll() runs them in the loop. While too
 * much is under way the loop does not look at its input: what comes too fast stays in the pipe.
 *
 * The lines are those of factor(1), in the order in which the factors were found. */
#include <errno.h>
#include <inttypes.h>
#include <mppool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define MOST_FACTORS 64  /* of a number below 2 to the power of 64 */
#define MOST_AT_WORK 256 /* numbers that were read and not yet printed */

struct factors {
	uint64_t number;
	int count;
	uint64_t prime[MOST_FACTORS];
};

/* ------------------------------------------------------------------------------------------------------ in the pool */

static struct factors factor(uint64_t number)
{
	struct factors f = {.number = number, .count = 0};
	uint64_t rest = number;

	for (uint64_t p = 2; p <= rest / p; p += p == 2 ? 1 : 2)
		for (; rest % p == 0; rest /= p)
			f.prime[f.count++] = p;
	if (rest > 1)
		f.prime[f.count++] = rest;
	return f;
}
MPPOOL_FUNC(factor_task, struct factors, factor, uint64_t);

/* ------------------------------------------------------------------------------------------------------ in the loop */

struct loop {
	mppool *pool;
	int epoll, pool_fd;
	int watching;           /* epoll tells of standard input */
	int always_ready;       /* standard input is a file, which epoll has no need to watch */
	int at_end;
	size_t at_work;
	char word[32];          /* of a number; may come in pieces */
	size_t length;
	int status;
};

static void die(const char *what, const char *why)
{
	fprintf(stderr, "factor_epoll: %s: %s\n", what, why);
	exit(2);
}

static void check(int code, const char *what)
{
	if (code)
		die(what, mppool_strerror(code));
}

/* The callback. The loop's thread calls it, in mppool_poll(). */
static void print(const void *results, size_t n, void *userdata)
{
	const struct factors *f = results;
	struct loop *loop = userdata;

	(void)n;
	printf("%" PRIu64 ":", f->number);
	for (int i = 0; i < f->count; i++)
		printf(" %" PRIu64, f->prime[i]);
	putchar('\n');
	loop->at_work--;
}

static void submit(struct loop *loop)
{
	char *end;
	uint64_t number;

	loop->word[loop->length] = '\0';
	errno = 0;
	number = strtoull(loop->word, &end, 10);
	if (*end || loop->word[0] == '-' || errno || loop->length == sizeof loop->word - 1) {
		fprintf(stderr, "factor_epoll: not a number below 2^64: %s\n", loop->word);
		loop->status = 1;
	} else {
		check(factor_task_apply_async(loop->pool, number, MPPOOL_CALL(.callback = print, .userdata = loop),
		                              NULL),
		      "mppool_apply_async");
		loop->at_work++;
	}
	loop->length = 0;
}

static void take(struct loop *loop, char c)
{
	if (strchr(" \t\r\n", c)) {
		if (loop->length > 0)
			submit(loop);
	} else if (loop->length < sizeof loop->word - 1) {
		loop->word[loop->length++] = c;
	}
}

static void read_input(struct loop *loop)
{
	char buffer[512];
	ssize_t n = read(STDIN_FILENO, buffer, sizeof buffer);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0)
		die("standard input", strerror(errno));
	for (ssize_t i = 0; i < n; i++)
		take(loop, buffer[i]);
	if (n == 0) {
		take(loop, '\n');
		loop->at_end = 1;
	}
}

/* Looks at standard input only while there is room for more numbers. */
static void watch_input(struct loop *loop)
{
	struct epoll_event event = {.events = EPOLLIN, .data.fd = STDIN_FILENO};
	int wanted = !loop->at_end && loop->at_work < MOST_AT_WORK && !loop->always_ready;

	if (wanted == loop->watching)
		return;
	if (epoll_ctl(loop->epoll, wanted ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, STDIN_FILENO, &event) == 0)
		loop->watching = wanted;
	else if (errno == EPERM)
		loop->always_ready = 1;
	else
		die("epoll_ctl", strerror(errno));
}

/* What they printed goes on its way at once. */
static void run_callbacks(const struct loop *loop)
{
	check(mppool_poll(loop->pool, 0, NULL), "mppool_poll");
	if (fflush(stdout))
		die("standard output", strerror(errno));
}

static void run(struct loop *loop)
{
	struct epoll_event events[2];

	while (!loop->at_end || loop->at_work > 0) {
		int file_has_more, n;

		watch_input(loop);
		file_has_more = loop->always_ready && !loop->at_end && loop->at_work < MOST_AT_WORK;
		n = epoll_wait(loop->epoll, events, 2, file_has_more ? 0 : -1);
		if (n < 0 && errno != EINTR)
			die("epoll_wait", strerror(errno));
		for (int i = 0; i < n; i++)
			if (events[i].data.fd == loop->pool_fd)
				run_callbacks(loop);
			else
				read_input(loop);
		if (file_has_more)
			read_input(loop);
	}
}

int main(int argc, char **argv)
{
	struct loop loop = {.length = 0};
	struct epoll_event event = {.events = EPOLLIN};

	if (argc > 1) {
		int help = strcmp(argv[1], "--help") == 0;
		fprintf(help ? stdout : stderr, "Usage: factor_epoll <numbers\n");
		return help ? 0 : 2;
	}
	check(mppool_create(MPPOOL_OPTIONS(.callback_mode = MPPOOL_CALLBACKS_POLL), &loop.pool), "mppool_create");
	check(mppool_fd(loop.pool, &loop.pool_fd), "mppool_fd");
	loop.epoll = epoll_create1(EPOLL_CLOEXEC);
	event.data.fd = loop.pool_fd;
	if (loop.epoll < 0 || epoll_ctl(loop.epoll, EPOLL_CTL_ADD, loop.pool_fd, &event) != 0)
		die("epoll", strerror(errno));
	run(&loop);
	close(loop.epoll);
	check(mppool_destroy(loop.pool), "mppool_destroy");
	return loop.status;
}
