/* layer 0: a fence in every thread of the process at once, by Linux's membarrier(); elsewhere there is none. */
#include "sync.h"

#ifdef HAVE_MEMBARRIER

#include <linux/membarrier.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

static bool registered;
static pthread_once_t registered_once = PTHREAD_ONCE_INIT;

static bool membarrier(int command)
{
	int saved = errno;
	bool done = syscall(SYS_membarrier, command, 0) == 0;

	errno = saved;
	return done;
}

static void register_process(void)
{
	registered = membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED);
}

bool mpp_barrier_is_there(void)
{
	pthread_once(&registered_once, register_process);
	return registered;
}

/* The second takes milliseconds, but no memory. */
bool mpp_barrier(void)
{
	return membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED) || membarrier(MEMBARRIER_CMD_GLOBAL);
}

#else

bool mpp_barrier_is_there(void)
{
	return false;
}

bool mpp_barrier(void)
{
	return false;
}

#endif
