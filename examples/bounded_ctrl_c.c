/* bounded_ctrl_c.c - a pool that lets few tasks wait, and that Ctrl-C stops cleanly.
 *
 * SPDX-License-Identifier: MIT
 *
 * With .queue_limit a submit waits while so many calls have not started, so that a producer that is faster than the
 * workers does not fill the memory. The main thread is usually waiting there when Ctrl-C comes. No call of the library
 * returns because of a signal; instead SIGINT and SIGTERM are blocked, and one thread of our own waits for them with
 * sigwait(3) and terminates the pool. That wakes the main thread: there is no flag, no polling and no signal handler.
 *
 * Every task that was accepted comes to exactly one end: it was done, it was stopped in the middle, or it never
 * started. In the end the numbers must agree. */
#define _XOPEN_SOURCE 700
#include <errno.h>
#include <getopt.h>
#include <mppool.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

enum { MAX_NUMBER = 1000000000, EXIT_USAGE = 2 };

struct options {
	long tasks;                      /* 0: until Ctrl-C */
	long limit;
	long workers;
};

/* The callbacks count here. They run one at a time, and main looks only after join: no lock. */
struct ends {
	long done;
	long stopped;
	long never_started;
	long failed;                     /* nothing here fails, so this stays 0 */
};

static void check(int code, const char *what)
{
	if (code) {
		fprintf(stderr, "%s: %s\n", what, mppool_strerror(code));
		exit(EXIT_FAILURE);
	}
}

/* ---------------------------------------------------------------------------------------------- task and callbacks */

/* How many primes there are below the limit, found the slow way; stops when nobody wants to know any more. */
static int count_primes(int limit)
{
	int primes = 0;

	for (int n = 2; n < limit; n++) {
		int divisor = 2;

		while (divisor * divisor <= n && n % divisor)
			divisor++;
		primes += divisor * divisor > n;
		if (mppool_should_stop())
			return mppool_raise(ECANCELED, "stopped at %d", n);
	}
	return primes;
}
MPPOOL_FUNC(primes_task, int, count_primes, int);

static void count_done(const void *results, size_t n, void *userdata)
{
	struct ends *ends = userdata;

	(void)results;
	(void)n;
	ends->done++;
}

static void count_error(const struct mppool_error *error, void *userdata)
{
	struct ends *ends = userdata;

	if (error->code == ECANCELED)
		ends->stopped++;
	else if (error->code == MPPOOL_ETERMINATED)
		ends->never_started++;
	else
		ends->failed++;
}

/* ------------------------------------------------------------------------------------------------------ the signal */

struct watcher {
	pthread_t thread;
	sigset_t signals;
	mppool *pool;
	int caught;                      /* which signal stopped us; read after the thread was joined */
};

static void *watch(void *arg)
{
	struct watcher *watcher = arg;
	int signal_number;

	check(sigwait(&watcher->signals, &signal_number), "sigwait");
	if (signal_number != SIGUSR1) {  /* SIGUSR1: stop_watcher() */
		watcher->caught = signal_number;
		check(mppool_terminate(watcher->pool), "mppool_terminate");
	}
	return NULL;
}

/* Threads inherit the mask, so this comes first of all. */
static void block_signals(sigset_t *signals)
{
	sigemptyset(signals);
	sigaddset(signals, SIGINT);
	sigaddset(signals, SIGTERM);
	sigaddset(signals, SIGUSR1);
	check(pthread_sigmask(SIG_BLOCK, signals, NULL), "pthread_sigmask");
}

static void stop_watcher(struct watcher *watcher)
{
	check(pthread_kill(watcher->thread, SIGUSR1), "pthread_kill");
	check(pthread_join(watcher->thread, NULL), "pthread_join");
}

/* End as the signal would have ended us, so that a shell or make sees that we were interrupted. */
static void die_of(int signal_number, const sigset_t *signals)
{
	signal(signal_number, SIG_DFL);
	raise(signal_number);
	check(pthread_sigmask(SIG_UNBLOCK, signals, NULL), "pthread_sigmask");
}

/* ---------------------------------------------------------------------------------------------------- the producer */

/* 0, or MPPOOL_ECLOSED if the pool was terminated, before or while we waited for room. */
static int submit(mppool *pool, int limit, struct ends *ends, unsigned flags)
{
	return mppool_apply_async(pool, &primes_task, MPPOOL_ARGS(&limit),
	                          MPPOOL_CALL(.callback = count_done, .error_callback = count_error, .userdata = ends,
	                                      .flags = flags),
	                          NULL);
}

/* Returns how many were accepted. */
static long submit_all(mppool *pool, long tasks, struct ends *ends)
{
	long accepted = 0;
	bool told = false;

	while (tasks == 0 || accepted < tasks) {
		const int limit = 20000 + (int)(accepted % 7) * 1000;
		int code = submit(pool, limit, ends, MPPOOL_NOWAIT);

		if (code == MPPOOL_EFULL) {
			if (!told)
				fputs("The queue is full: waiting for room. Ctrl-C stops.\n", stderr);
			told = true;
			code = submit(pool, limit, ends, 0);
		}
		if (code == MPPOOL_ECLOSED)
			break;
		check(code, "mppool_apply_async");
		accepted++;
	}
	return accepted;
}

static void run(const struct options *options)
{
	struct watcher watcher = {.caught = 0};
	struct ends ends = {0};
	long accepted;

	block_signals(&watcher.signals);
	check(mppool_create(MPPOOL_OPTIONS(.workers = (int)options->workers, .queue_limit = (size_t)options->limit),
	                    &watcher.pool),
	      "mppool_create");
	check(pthread_create(&watcher.thread, NULL, watch, &watcher), "pthread_create");

	accepted = submit_all(watcher.pool, options->tasks, &ends);
	check(mppool_close(watcher.pool), "mppool_close");
	check(mppool_join(watcher.pool, MPPOOL_FOREVER), "mppool_join");
	stop_watcher(&watcher);
	check(mppool_destroy(watcher.pool), "mppool_destroy");

	printf("accepted %ld: %ld done, %ld stopped, %ld never started\n", accepted, ends.done, ends.stopped,
	       ends.never_started);
	check(fflush(stdout) || ferror(stdout) ? EIO : 0, "standard output");
	if (ends.failed || ends.done + ends.stopped + ends.never_started != accepted) {
		fputs("The numbers do not agree.\n", stderr);
		exit(EXIT_FAILURE);
	}
	if (watcher.caught)
		die_of(watcher.caught, &watcher.signals);
}

static void usage(FILE *to)
{
	fputs("Usage: bounded_ctrl_c [OPTION]...\n"
	      "Run tasks through a pool whose queue is bounded. Ctrl-C stops it cleanly.\n"
	      "\n"
	      "  -n TASKS     how many; 0 goes on until Ctrl-C; the default is 40\n"
	      "  -p WORKERS   worker threads; the default is 2\n"
	      "  -q LIMIT     most tasks that wait; the default is 4\n"
	      "  -h, --help   show this help\n",
	      to);
}

static long parse_number(int option, const char *text, long min)
{
	char *end;
	const long value = strtol(text, &end, 10);

	if (end == text || *end || value < min || value > MAX_NUMBER) {
		fprintf(stderr, "bounded_ctrl_c: -%c takes a number from %ld to %d\n", option, min, MAX_NUMBER);
		exit(EXIT_USAGE);
	}
	return value;
}

int main(int argc, char **argv)
{
	static const struct option long_options[] = {{"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
	struct options options = {.tasks = 40, .limit = 4, .workers = 2};
	int option;

	while ((option = getopt_long(argc, argv, "hn:p:q:", long_options, NULL)) != -1) {
		switch (option) {
		case 'n': options.tasks = parse_number('n', optarg, 0); break;
		case 'p': options.workers = parse_number('p', optarg, 1); break;
		case 'q': options.limit = parse_number('q', optarg, 1); break;
		case 'h': usage(stdout); return fflush(stdout) ? EXIT_FAILURE : EXIT_SUCCESS;
		default: usage(stderr); return EXIT_USAGE;
		}
	}
	if (optind < argc) {
		usage(stderr);
		return EXIT_USAGE;
	}
	run(&options);
	return EXIT_SUCCESS;
}
