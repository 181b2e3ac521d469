/* primes_uv.c - a libuv loop with a pool beside it: how many primes are there below a number?
 *
 * SPDX-License-Identifier: MIT
 *
 *     ./primes_uv -v 100000000
 *
 * The pool sieves block after block. A uv_poll_t watches its descriptor, and the loop runs the callbacks, so these may
 * use every handle of the loop; libuv's own uv_queue_work() has one queue for the whole process, and no results. A timer
 * shows how far it is (-v), and Ctrl-C ends the pool and then the loop. */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <mppool.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define BLOCK ((uint64_t)1 << 18)
#define MOST ((uint64_t)1000000000000)

struct block {
	uint64_t from, to;
};

/* ------------------------------------------------------------------------------------------------------ in the pool */

static void sieve(char *composite, struct block b)
{
	for (uint64_t p = 2; p * p < b.to; p++) {
		uint64_t first = (b.from + p - 1) / p * p;

		for (uint64_t i = first < p * p ? p * p : first; i < b.to; i += p)
			composite[i - b.from] = 1;
	}
}

/* The primes in [from, to). Between blocks, not in them, an ended pool is noticed. */
static uint64_t count_primes(struct block b)
{
	char *composite = calloc(1, (size_t)(b.to - b.from));
	uint64_t count = 0;

	if (!composite) {
		mppool_raise(ENOMEM, "no memory for a sieve");
		return 0;
	}
	sieve(composite, b);
	for (uint64_t i = b.from; i < b.to; i++)
		count += i >= 2 && !composite[i - b.from];
	free(composite);
	return count;
}
MPPOOL_FUNC(count_task, uint64_t, count_primes, struct block);

/* ------------------------------------------------------------------------------------------------------ in the loop */

struct search {
	mppool *pool;
	uint64_t limit, submitted, primes;
	size_t at_work, done;
	int code;               /* the first failure */
	int interrupted;
	uv_loop_t loop;
	uv_poll_t callbacks;
	uv_timer_t progress;
	uv_signal_t interrupt;
};

static void check(int code, const char *what)
{
	if (code) {
		fprintf(stderr, "primes_uv: %s: %s\n", what, mppool_strerror(code));
		exit(EXIT_FAILURE);
	}
}

static void uv_check(int code, const char *what)
{
	if (code) {
		fprintf(stderr, "primes_uv: %s: %s\n", what, uv_strerror(code));
		exit(EXIT_FAILURE);
	}
}

static void submit_next(struct search *search);

static void block_done(struct search *search)
{
	search->at_work--;
	search->done++;
	submit_next(search);
}

static void counted(const void *results, size_t n, void *userdata)
{
	struct search *search = userdata;

	(void)n;
	search->primes += *(const uint64_t *)results;
	block_done(search);
}

static void failed(const struct mppool_error *error, void *userdata)
{
	struct search *search = userdata;

	if (!search->code && !search->interrupted) {
		search->code = error->code;
		mppool_terminate(search->pool);
	}
	block_done(search);
}

/* Every callback submits the next block, so a long search needs no long queue. */
static void submit_next(struct search *search)
{
	struct block b = {search->submitted, search->submitted + BLOCK};

	if (b.from >= search->limit || search->code || search->interrupted)
		return;
	if (b.to > search->limit)
		b.to = search->limit;
	check(count_task_apply_async(search->pool, b,
	                             MPPOOL_CALL(.callback = counted, .error_callback = failed, .userdata = search),
	                             NULL),
	      "mppool_apply_async");
	search->submitted = b.to;
	search->at_work++;
}

/* The loop ends when no handle is left open in it. */
static void close_handles(struct search *search)
{
	uv_close((uv_handle_t *)&search->callbacks, NULL);
	uv_close((uv_handle_t *)&search->progress, NULL);
	uv_close((uv_handle_t *)&search->interrupt, NULL);
}

static void on_due(uv_poll_t *handle, int status, int events)
{
	struct search *search = handle->data;

	(void)events;
	uv_check(status, "uv_poll");
	check(mppool_poll(search->pool, 0, NULL), "mppool_poll");
	if (search->at_work == 0)
		close_handles(search);
}

static void on_timer(uv_timer_t *handle)
{
	const struct search *search = handle->data;

	fprintf(stderr, "%.1f %%\n", 100.0 * (double)search->done * (double)BLOCK / (double)search->limit);
}

/* Those that wait end with their error callbacks; what runs is counted still. */
static void on_interrupt(uv_signal_t *handle, int number)
{
	struct search *search = handle->data;

	(void)number;
	search->interrupted = 1;
	mppool_terminate(search->pool);
}

static void open_handles(struct search *search, int verbose)
{
	int fd;

	check(mppool_fd(search->pool, &fd), "mppool_fd");
	uv_check(uv_loop_init(&search->loop), "uv_loop_init");
	uv_check(uv_poll_init(&search->loop, &search->callbacks, fd), "uv_poll_init");
	uv_check(uv_timer_init(&search->loop, &search->progress), "uv_timer_init");
	uv_check(uv_signal_init(&search->loop, &search->interrupt), "uv_signal_init");
	search->callbacks.data = search->progress.data = search->interrupt.data = search;
	uv_check(uv_poll_start(&search->callbacks, UV_READABLE, on_due), "uv_poll_start");
	if (verbose)
		uv_check(uv_timer_start(&search->progress, on_timer, 200, 200), "uv_timer_start");
	uv_check(uv_signal_start(&search->interrupt, on_interrupt, SIGINT), "uv_signal_start");
}

/* 0: no number that can be searched to. */
static uint64_t parse_limit(const char *text)
{
	char *end;
	unsigned long long n = strtoull(text, &end, 10);

	return text[0] >= '0' && text[0] <= '9' && !*end && n <= MOST ? n : 0;
}

int main(int argc, char **argv)
{
	struct search search = {.done = 0};
	int verbose = argc == 3 && strcmp(argv[1], "-v") == 0;

	if (argc == 2 + verbose)
		search.limit = parse_limit(argv[1 + verbose]);
	if (search.limit == 0) {
		int help = argc == 2 && strcmp(argv[1], "--help") == 0;
		fprintf(help ? stdout : stderr, "Usage: primes_uv [-v] LIMIT\nCounts the primes below LIMIT.\n");
		return help ? 0 : 2;
	}
	check(mppool_create(MPPOOL_OPTIONS(.callback_mode = MPPOOL_CALLBACKS_POLL), &search.pool), "mppool_create");
	open_handles(&search, verbose);
	for (int i = 0; i < 4 * mppool_cpu_count(); i++)
		submit_next(&search);
	uv_run(&search.loop, UV_RUN_DEFAULT);
	uv_check(uv_loop_close(&search.loop), "uv_loop_close");
	check(mppool_destroy(search.pool), "mppool_destroy");
	check(search.code, "a block");
	if (search.interrupted)
		fprintf(stderr, "primes_uv: interrupted\n");
	else
		printf("%llu\n", (unsigned long long)search.primes);
	check(fflush(stdout) || ferror(stdout) ? EIO : 0, "standard output");
	return search.interrupted ? 130 : 0;
}
