/* layer 0: starting threads, and what is to be done when one ends. */
#ifndef MPP_THREAD_H
#define MPP_THREAD_H

#include "base.h"

#include <pthread.h>

struct mpp_thread_options {
	size_t stack_size;       /* 0: the system's, at least 1 MiB */
	int cpu;                 /* negative: anywhere */
};

/* Starts a joinable thread that blocks signals from before it starts, all but those of its own faults and SIGPROF. It notes its own pthread_self(): what
 * pthread_create() would write might come later than the thread's whole life. 0, EAGAIN, ENOMEM, or EINVAL for a stack
 * size or a CPU that the system refuses. */
int mpp_thread_start(const struct mpp_thread_options *options, void *(*run)(void *), void *arg);

/* For a thread that is about to end and must leave a successor: calls start(arg) until it returns anything but EAGAIN or
 * ENOMEM, pausing in between, longer and longer up to a tenth of a second: nothing tells when the system has a thread
 * or memory again. Returns what start said last. */
int mpp_thread_insist(int (*start)(void *arg), void *arg);

/* Joins, although pthread_join() is a cancellation point and our callers were promised none. */
void mpp_thread_join(pthread_t thread);

/* Names the calling thread; of the stem as much is kept as the system's limit leaves room for beside the suffix. */
void mpp_thread_name(const char *stem, const char *suffix);

/* As many threads as the system has for the process at most, as far as it says so: more need not be tried. */
size_t mpp_thread_most(void);

/* What exit hooks need. 0, or EAGAIN: the program has taken all of PTHREAD_KEYS_MAX. Then none is registered. */
int mpp_thread_exit_key(void);

/* Runs hook->run in this thread when it ends. The hook, usually thread-local, is registered once until it has run. */
struct mpp_exit_hook {
	void (*run)(void);
	struct mpp_exit_hook *next;
	bool registered;
};
void mpp_at_thread_exit(struct mpp_exit_hook *hook);

#endif
