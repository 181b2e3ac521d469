/* bounded_ctrl_c.c - a pool that lets few tasks wait, and that Ctrl-C stops cleanly.
 *
 * SPDX-License-Identifier: MIT
 *
 * bounded_ctrl_c [TASKS [WORKERS [LIMIT]]]         without end if TASKS is 0
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
#include <mppool.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

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

/* Sleeps for so many milliseconds, unless it is to stop. */
static void work(int delay)
{
	const struct timespec millisecond = {.tv_nsec = 1000000};

	for (int i = 0; i < delay; i++) {
		nanosleep(&millisecond, NULL);
		if (mppool_should_stop()) {
			mppool_raise(ECANCELED, "stopped after %d ms", i);
			return;
		}
	}
}
MPPOOL_PROC(work_task, work, int);

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

/* ---------------------------------------------------------------------------------------------------- the producer */

/* 0, or MPPOOL_ECLOSED if the pool was terminated, before or while we waited for room. */
static int submit(mppool *pool, int delay, struct ends *ends, unsigned flags)
{
	return work_task_apply_async(pool, delay,
	                             MPPOOL_CALL(.callback = count_done, .error_callback = count_error,
	                                         .userdata = ends, .flags = flags),
	                             NULL);
}

/* Returns how many were accepted. */
static long submit_all(mppool *pool, long tasks, struct ends *ends)
{
	long accepted;
	bool told = false;

	for (accepted = 0; tasks == 0 || accepted < tasks; accepted++) {
		const int delay = rand() % 20;
		int code = submit(pool, delay, ends, MPPOOL_NOWAIT);

		if (code == MPPOOL_EFULL) {
			if (!told)
				fputs("The queue is full: waiting for room. Ctrl-C stops.\n", stderr);
			told = true;
			code = submit(pool, delay, ends, 0);
		}
		if (code == MPPOOL_ECLOSED)
			break;
		check(code, "mppool_apply_async");
	}
	return accepted;
}

int main(int argc, char **argv)
{
	const long tasks = argc > 1 ? atol(argv[1]) : 40;
	struct watcher watcher = {.caught = 0};
	struct ends ends = {0};
	long accepted;

	block_signals(&watcher.signals);
	check(mppool_create(MPPOOL_OPTIONS(.workers = argc > 2 ? atoi(argv[2]) : 2,
	                                   .queue_limit = argc > 3 ? strtoul(argv[3], NULL, 10) : 4),
	                    &watcher.pool),
	      "mppool_create");
	check(pthread_create(&watcher.thread, NULL, watch, &watcher), "pthread_create");

	accepted = submit_all(watcher.pool, tasks, &ends);
	check(mppool_close(watcher.pool), "mppool_close");
	check(mppool_join(watcher.pool, MPPOOL_FOREVER), "mppool_join");
	stop_watcher(&watcher);
	check(mppool_destroy(watcher.pool), "mppool_destroy");

	printf("accepted %ld: %ld done, %ld stopped, %ld never started\n", accepted, ends.done, ends.stopped,
	       ends.never_started);
	check(fflush(stdout) || ferror(stdout) ? EIO : 0, "standard output");
	check(ends.failed || ends.done + ends.stopped + ends.never_started != accepted ? EIO : 0, "the numbers");

	/* End as the signal would have ended us, so that a shell or make sees that we were interrupted. */
	if (watcher.caught) {
		signal(watcher.caught, SIG_DFL);
		raise(watcher.caught);
		check(pthread_sigmask(SIG_UNBLOCK, &watcher.signals, NULL), "pthread_sigmask");
	}
	return EXIT_SUCCESS;
}
