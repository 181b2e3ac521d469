/* support.h - what the tests share: the main program, gates, recorders, generators, and a look at the process
 *
 * SPDX-License-Identifier: MIT
 *
 * Rules that the helpers are made for:
 *   - ck_assert only in the thread that runs the test. Tasks, callbacks and generators record; the test asserts.
 *     Helpers that assert say so.
 *   - Pools are created in tests or in checked fixtures, never in unchecked ones: those run before the fork.
 *   - Events are ordered by gates, never by sleeping. What hangs is ended by the watchdog, which first tells where
 *     every thread is. */
#ifndef MPPOOL_TESTS_SUPPORT_H
#define MPPOOL_TESTS_SUPPORT_H

#include <check.h>
#include <errno.h>
#include <mppool.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* For calls whose code says nothing that the test wants to know: it may be any. */
static inline void ignore_code(int code)
{
	(void)code;
}

/* ------------------------------------------------------------------------------------------------ the main program */

/* The main function of a test program: `fill` adds the cases. Arguments name the cases to run; none: all. Each test
 * runs in a process of its own unless CK_FORK=no is in the environment. Returns what main should. */
int run_suite(const char *name, void (*fill)(Suite *suite), int argc, char **argv);

/* A new test case of the suite: its tests get TEST_SECONDS each, times MPPOOL_TEST_TIMEOUT_FACTOR. */
TCase *add_case(Suite *suite, const char *name);

#define TEST_SECONDS 60.0
double timeout_factor(void);                     /* MPPOOL_TEST_TIMEOUT_FACTOR, at least 1 */
/* Whether this test may go on with its turns, each of which asserts for itself: for a third of its time, or as long as it
 * takes with MPPOOL_TEST_FULL in the environment. A machine that is busy makes fewer. */
bool time_left(void);
bool under_valgrind(void);                       /* MPPOOL_TEST_VALGRIND is set, or valgrind runs the program */

#if defined(__SANITIZE_THREAD__)
#define UNDER_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define UNDER_TSAN 1
#endif
#endif
#ifndef UNDER_TSAN
#define UNDER_TSAN 0
#endif

#if defined(__SANITIZE_ADDRESS__)
#define UNDER_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define UNDER_ASAN 1
#endif
#endif
#ifndef UNDER_ASAN
#define UNDER_ASAN 0
#endif

/* Compare codes, and show them by name. Only in the test's own thread. */
#define assert_code(expression, expected)                                                                             \
	do {                                                                                                          \
		const int got_code = (expression);                                                                    \
		const int want_code = (expected);                                                                     \
		ck_assert_msg(got_code == want_code, "%s: %s (%d) instead of %s (%d)", #expression,                   \
		              mppool_strerrorname(got_code), got_code, mppool_strerrorname(want_code), want_code);    \
	} while (0)
#define assert_ok(expression) assert_code(expression, 0)

/* ----------------------------------------------------------------------------------------------------------- gates */

/* Who comes to a closed gate stands there until it is opened, or until it is let in. So a test holds workers at a
 * place that it knows, without sleeping. */
struct gate {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	size_t arrivals;                 /* how many have come, ever */
	size_t departures;               /* how many have gone through, ever */
	size_t admitted;                 /* how many may go through while it is closed, ever */
	bool open;
};

void gate_init(struct gate *gate);               /* closed */
void gate_destroy(struct gate *gate);            /* nobody may stand at it */
void gate_open(struct gate *gate);               /* for everybody, also for those to come */
void gate_admit(struct gate *gate, size_t n);    /* lets n more through, whoever comes or stands there */
void gate_wait(struct gate *gate);               /* come to the gate, and go through */
void gate_wait_arrivals(struct gate *gate, size_t n);    /* until n have come, ever; without coming oneself */
void gate_wait_departures(struct gate *gate, size_t n);
size_t gate_arrivals(struct gate *gate);
size_t gate_departures(struct gate *gate);

/* ----------------------------------------------------------------------------------------------- recorders, levels */

/* An append-only log of integers, for any number of threads. */
struct recorder {
	pthread_mutex_t lock;
	pthread_cond_t grown;
	int *values;
	size_t count;
	size_t room;
};

void recorder_init(struct recorder *recorder);
void recorder_destroy(struct recorder *recorder);
void record(struct recorder *recorder, int value);
size_t recorded_count(struct recorder *recorder);
size_t recorded_times(struct recorder *recorder, int value);     /* how often value was recorded */
int recorded_at(struct recorder *recorder, size_t place);        /* INT_MIN beyond the end */
void recorded_wait(struct recorder *recorder, size_t n);         /* until n were recorded */
bool recorded_ascending(struct recorder *recorder);              /* each value greater than the one before it */
/* Each of first, first + 1, ... first + n - 1 exactly once, and nothing else. */
bool recorded_each_once(struct recorder *recorder, int first, size_t n);

/* How many are inside at once, and how many were at most. */
struct level {
	atomic_size_t inside;
	atomic_size_t peak;
};

size_t level_enter(struct level *level);         /* how many are inside now, this one included */
void level_leave(struct level *level);
void raise_peak(atomic_size_t *peak, size_t value);

/* ------------------------------------------------------------------------------------------------- pools and tasks */

mppool *pool_of(int workers);                    /* asserts; named "mppool", all else default */
void pool_finish(mppool *pool);                  /* asserts: close, join, destroy */

/* A function of nargs int arguments, all else as given. */
struct mppool_func make_func(mppool_item_call *call, size_t nargs, size_t result_size, void *context);
int int_arg(const void *const args[], size_t i);

/* Tasks of one int argument, with an int result and a context as said. */
int square_call(const void *const args[], void *result, void *context);          /* none: args[0] squared */
int gate_call(const void *const args[], void *result, void *context);            /* struct gate: waits, args[0] */
int record_call(const void *const args[], void *result, void *context);          /* struct recorder: records args[0] */

/* Occupies `workers` workers of the pool: when it returns, each of them stands at the gate, inside a task. Asserts. */
struct hold {
	struct gate gate;
	mppool_result **results;
	size_t n;
};
void hold_workers(struct hold *hold, mppool *pool, size_t workers);
void hold_release(struct hold *hold);            /* opens the gate, waits until the tasks have ended, frees. Asserts */

/* ------------------------------------------------------------------------------------------------------ generators */

/* Yields the ints 0, 1, 2... It may fail at one place, and stand at a gate at one place. */
struct source {
	size_t length;                   /* how many; MPPOOL_UNKNOWN: for ever */
	size_t fail_at;                  /* fail instead of item fail_at, if fail_code is not 0 */
	int fail_code;
	const char *fail_message;        /* left by mppool_raise_message(), unless NULL */
	size_t block_at;                 /* stand at the gate before item block_at, if there is a gate */
	struct gate *gate;
	bool block_always;               /* stand at the gate before every item */
	bool until_stopped;              /* and behind it until mppool_should_stop() says so */

	size_t place;                    /* the next item: only the generator touches it, and it needs no lock */
	atomic_size_t calls;             /* of next, ended or not */
	atomic_size_t drawn;             /* items yielded */
	atomic_size_t finished;          /* calls of finish */
	struct level callers;            /* its peak must stay 1 */
	atomic_int saw_stop;             /* mppool_should_stop() was 1 after the gate */
	atomic_int after_finish;         /* next was called after finish */
	char thread[16];                 /* name of the last thread that called next */
};
#define SOURCE(n) {.length = (n)}

int source_next(void *const args[], void *state);
void source_finish(void *state);
struct mppool_iterable source_items(struct source *source);      /* length 0: the library does not know */

/* ------------------------------------------------------------------------------------------------ threads, process */

/* Runs f(0, arg) ... f(n - 1, arg), each in a thread of its own, all let go at once; returns when all have ended. */
void run_in_threads(size_t n, void (*f)(size_t i, void *arg), void *arg);

/* One thread beside the test. */
struct runner {
	pthread_t thread;
	void (*f)(void *arg);
	void *arg;
	atomic_bool done;
};
void runner_start(struct runner *runner, void (*f)(void *arg), void *arg);
bool runner_done(struct runner *runner);
void runner_join(struct runner *runner);

void thread_name(char name[16]);                 /* of the calling thread */
int thread_id(void);                             /* of the calling thread, as the kernel counts */
size_t threads_named(const char *prefix);        /* threads of this process whose name begins so; "": all */
/* As threads_named, but looks again until it finds `expected` or patience ends: a joined thread may still be listed
 * for a moment, and a thread that sleeps may be about to sleep. */
size_t threads_settle(const char *prefix, size_t expected);
/* Waits until the thread of that name sleeps; false when patience ends. To show that nothing moves any more. */
bool thread_sleeps(const char *name);
bool others_sleep(void);                         /* all threads but this one do, now and at the same time */
/* Whether the threads whose name begins so sleep for that long without being woken. Looks up to ten times: what a busy
 * machine has held up comes to rest first. */
bool threads_stand_still(const char *prefix, double seconds);

double seconds_now(void);                        /* monotonic */
double cpu_seconds(void);                        /* used by the whole process */
long context_switches(const char *prefix);       /* of both kinds, of the threads whose name begins so; "": all */
void nap(void);                                  /* 1 ms, between two looks at something */
void pause_briefly(void);                        /* only to show that nothing happens: 50 ms, more with the factor */

/* --------------------------------------------------------------------------------------------------------------- forks */

/* fork(), with a watchdog for the child, since no timer comes with it. Under the address sanitizer, whose allocator a
 * child finds locked for ever if another thread was in it, not before all other threads sleep. */
pid_t fork_watched(void);

/* The child says what went wrong by its exit status: the line of the check that failed. */
#define CHILD_CHECK(condition)                                                                                         \
	do {                                                                                                           \
		if (!(condition))                                                                                      \
			_exit(__LINE__ % 250 + 1);                                                                     \
	} while (0)
_Noreturn void child_leaves(void);               /* nothing went wrong */
void child_ends_well(pid_t child);               /* in the parent: waits for that */

#endif
