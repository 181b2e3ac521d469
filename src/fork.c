/* layer 1: after fork the child has the pools' memory but none of their threads.
 *
 * Every pool, result and iterator remembers the generation of the process that made it; in a child the generation is
 * another one. The process-wide store of blocks and the table of watches must stay usable, so their locks are held over
 * the fork. */
#include "fork.h"

#include "memory.h"
#include "output.h"
#include "sync.h"
#include "trace.h"
#include "watch.h"

#include <pthread.h>
#include <unistd.h>

uint32_t mpp_forks;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int watch_error;
static void (*child_hook)(void);         /* written before a second thread or a fork can need it */

/* Locks in the order of their ranks, and before the words that one may have to park on to get them. */
static void before(void)
{
	mpp_watch_before_fork();
	mpp_memory_before_fork();
	mpp_trace_before_fork();
	mpp_park_before_fork();
}

static void in_parent(void)
{
	mpp_park_after_fork();
	mpp_trace_after_fork();
	mpp_memory_after_fork();
	mpp_watch_after_fork();
}

static void in_child(void)
{
	mpp_forks++;
	mpp_park_in_child();
	mpp_trace_in_child();
	mpp_memory_after_fork();
	mpp_watch_after_fork();
	if (child_hook)
		child_hook();
}

void mpp_fork_in_child(void (*hook)(void))
{
	child_hook = hook;
}

static void watch(void)
{
	watch_error = pthread_atfork(before, in_parent, in_child);
}

int mpp_fork_watch(void)
{
	pthread_once(&once, watch);
	return watch_error;
}

_Noreturn void mpp_fork_strayed(void)
{
	static const char text[] =
		"mppool: the child of a fork returned from a function that ran in a pool of its parent\n";

	mpp_output_now(STDERR_FILENO, text, sizeof text - 1);
	_exit(EXIT_FAILURE);
}
