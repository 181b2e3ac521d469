/* layer 0: every pthread call that is not a lock. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "thread.h"

#include "sync.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define MIN_DEFAULT_STACK ((size_t)1 << 20)

/* Behind a stack: who runs over its end is to hit this, not the next thread's stack, also where the first byte that is
 * touched is in the middle of a large array. It costs addresses, not memory. */
#define GUARD ((size_t)1 << 16)

static int set_stack(pthread_attr_t *attr, size_t size)
{
	size_t usual = 0;

	if (size > 0)
		return pthread_attr_setstacksize(attr, size);
	if (pthread_attr_getstacksize(attr, &usual) == 0 && usual < MIN_DEFAULT_STACK)
		return pthread_attr_setstacksize(attr, MIN_DEFAULT_STACK);
	return 0;
}

/* Systems that cannot say in advance where a thread runs let it inherit that: whoever starts it goes there meanwhile. */
#if defined(HAVE_PTHREAD_ATTR_SETAFFINITY_NP) || !defined(HAVE_SCHED_GETAFFINITY)
#define INHERIT_CPU 0
#else
#define INHERIT_CPU 1
#endif

#if defined(HAVE_PTHREAD_ATTR_SETAFFINITY_NP) || INHERIT_CPU
static int one_cpu(int cpu, cpu_set_t *set)
{
	if (cpu >= CPU_SETSIZE)
		return EINVAL;
	CPU_ZERO(set);
	CPU_SET((size_t)cpu, set);
	return 0;
}
#endif

static int set_cpu(pthread_attr_t *attr, int cpu)
{
#ifdef HAVE_PTHREAD_ATTR_SETAFFINITY_NP
	cpu_set_t set;
	int error;

	if (cpu < 0)
		return 0;
	error = one_cpu(cpu, &set);
	return error ? error : pthread_attr_setaffinity_np(attr, sizeof set, &set);
#else
	(void)attr;
	return cpu < 0 || INHERIT_CPU ? 0 : EINVAL;
#endif
}

/* All but those by which a task is told of its own fault: blocked, they would end the program without its handler. And
 * but for SIGPROF: it comes to the thread that used the CPU time, which is what a profiler counts. */
static void fill_blocked(sigset_t *set)
{
	static const int open[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGPROF};

	sigfillset(set);
	for (size_t i = 0; i < sizeof open / sizeof open[0]; i++)
		sigdelset(set, open[i]);
}

static int create_there(pthread_t *thread, const pthread_attr_t *attr, int cpu, void *(*run)(void *), void *arg)
{
#if INHERIT_CPU
	cpu_set_t there, before;
	int error;

	if (cpu >= 0) {
		error = one_cpu(cpu, &there);
		if (error)
			return error;
		if (sched_getaffinity(0, sizeof before, &before) || sched_setaffinity(0, sizeof there, &there))
			return errno;
		error = pthread_create(thread, attr, run, arg);
		sched_setaffinity(0, sizeof before, &before);
		return error;
	}
#endif
	(void)cpu;
	return pthread_create(thread, attr, run, arg);
}

int mpp_thread_start(const struct mpp_thread_options *options, void *(*run)(void *), void *arg)
{
	pthread_t unused;
	pthread_attr_t attr;
	sigset_t blocked, before;
	int error = pthread_attr_init(&attr);

	if (error)
		return error;
	error = set_stack(&attr, options->stack_size);
	if (!error)
		pthread_attr_setguardsize(&attr, GUARD);
	if (!error)
		error = set_cpu(&attr, options->cpu);
	if (!error) {
		fill_blocked(&blocked);
		pthread_sigmask(SIG_SETMASK, &blocked, &before);
		error = create_there(&unused, &attr, options->cpu, run, arg);
		pthread_sigmask(SIG_SETMASK, &before, NULL);
	}
	pthread_attr_destroy(&attr);
	return error;
}

static size_t number_in(const char *path)
{
	char text[32] = "";
	int fd, cancel_state;
	ssize_t n;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
	if (fd >= 0)
		close(fd);
	pthread_setcancelstate(cancel_state, NULL);
	return n > 0 && text[0] >= '0' && text[0] <= '9' ? (size_t)strtoull(text, NULL, 10) : SIZE_MAX;
}

/* A stack and its guard are two areas of memory. */
size_t mpp_thread_most(void)
{
	static const char *const limits[] = {"/proc/sys/kernel/threads-max", "/proc/sys/kernel/pid_max",
	                                     "/sys/fs/cgroup/pids.max", "/sys/fs/cgroup/pids/pids.max"};
	size_t most = number_in("/proc/sys/vm/max_map_count");
	int saved = errno;

	if (most != SIZE_MAX)
		most /= 2;
	for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++)
		most = mpp_min(most, number_in(limits[i]));
	errno = saved;
	return most;
}

int mpp_thread_insist(int (*start)(void *arg), void *arg)
{
	struct timespec pause = {0, 1000000};
	int cancel_state, error;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
	while ((error = start(arg)) == EAGAIN || error == ENOMEM) {
		nanosleep(&pause, NULL);
		if (pause.tv_nsec < 100000000)
			pause.tv_nsec *= 2;
	}
	pthread_setcancelstate(cancel_state, NULL);
	return error;
}

void mpp_thread_join(pthread_t thread)
{
	int cancel_state;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
	pthread_join(thread, NULL);
	pthread_setcancelstate(cancel_state, NULL);
}

void mpp_thread_name(const char *stem, const char *suffix)
{
	char name[16];   /* the limit of Linux, with the final zero */
	int room = (int)sizeof name - 1 - (int)strlen(suffix);

	snprintf(name, sizeof name, "%.*s%s", room > 0 ? room : 0, stem, suffix);
#if defined(HAVE_PTHREAD_SETNAME_NP)
	pthread_setname_np(pthread_self(), name);
#endif
}

/* ------------------------------------------------------------------------------------------------------ exit hooks */

static _Atomic uint32_t exit_key;        /* the key, + 1; 0: there is none yet */
static _Thread_local struct mpp_exit_hook *exit_hooks;

/* Other libraries' destructors may call us after this one ran: the hooks are then registered again, and the system
 * comes round again. */
static void run_exit_hooks(void *unused)
{
	struct mpp_exit_hook *hook;

	(void)unused;
	while ((hook = exit_hooks) != NULL) {
		exit_hooks = hook->next;
		hook->registered = false;
		hook->run();
	}
}

/* Weak: programs that are linked statically, or with an older C library and without -ldl, have none of these, and load
 * no plugins. */
#if defined(__GNUC__) && defined(RTLD_NOLOAD) && defined(RTLD_NODELETE)
#pragma weak dladdr
#pragma weak dlopen
#pragma weak dlclose

/* From here on the system calls the destructor at the end of threads. So the object that it is in, perhaps a plugin with
 * the static library, must not be unloaded. */
static void stay_loaded(void)
{
	static const char anchor;
	Dl_info here;
	void *handle;

	if (!dladdr || !dlopen || !dlclose || !dladdr(&anchor, &here) || !here.dli_fname)
		return;
	handle = dlopen(here.dli_fname, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE);
	if (handle)
		dlclose(handle);
}
#else
static void stay_loaded(void)
{
}
#endif

/* Without a lock, since another thread may fork meanwhile. */
int mpp_thread_exit_key(void)
{
	pthread_key_t fresh;
	uint32_t none = 0;

	if (mpp_load(&exit_key) != 0)
		return 0;
	if (pthread_key_create(&fresh, run_exit_hooks) != 0)
		return EAGAIN;
	if (mpp_cas(&exit_key, &none, (uint32_t)fresh + 1))
		stay_loaded();
	else
		pthread_key_delete(fresh);
	return 0;
}

void mpp_at_thread_exit(struct mpp_exit_hook *hook)
{
	if (hook->registered)
		return;
	if (mpp_thread_exit_key() != 0)
		return;                  /* no pool is there: mppool_create() needs it */
	hook->registered = true;
	hook->next = exit_hooks;
	exit_hooks = hook;
	pthread_setspecific((pthread_key_t)(mpp_load(&exit_key) - 1), hook);
}
