/* layer 0: the clock; park by futex, or by a small table of mutexes and condition variables where there is none; spin. */
#include "sync.h"

#include <pthread.h>
#include <sched.h>
#include <time.h>

int64_t mpp_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Seconds as a type of so many bytes has them. Who is told a time before the one that was asked for sleeps again. */
static int64_t seconds_of(int64_t ns, size_t bytes)
{
	const int64_t seconds = ns / 1000000000;

	return bytes < sizeof seconds && seconds > INT32_MAX ? INT32_MAX : seconds;
}

static struct timespec timespec_of(int64_t ns)
{
	struct timespec t;

	t.tv_sec = (time_t)seconds_of(ns, sizeof t.tv_sec);
	t.tv_nsec = (long)(ns % 1000000000);
	return t;
}

/* What a wait whose time was over comes to. */
static int after_timeout(int64_t deadline)
{
	return mpp_now() < deadline ? 0 : ETIMEDOUT;
}

#ifdef HAVE_FUTEX

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

/* SYS_futex takes a pair of the kernel's longs as a time. 32-bit systems have SYS_futex_time64 besides, or in its place,
 * since Linux 5.1: it takes 64 bits each, which is the timespec of a program whose time_t is longer than a long. */
#ifdef SYS_futex_time64
static _Atomic bool lacks_time64;
#endif

static long futex(_Atomic uint32_t *word, int operation, uint32_t value, int64_t deadline)
{
	const struct timespec at = timespec_of(deadline);

#ifdef SYS_futex_time64
	if (sizeof(time_t) > sizeof(long) && !mpp_peek(&lacks_time64)) {
		const long result = syscall(SYS_futex_time64, word, operation, value,
		                            deadline == MPP_NEVER ? NULL : &at, NULL, FUTEX_BITSET_MATCH_ANY);

		if (result >= 0 || errno != ENOSYS)
			return result;
		mpp_poke(&lacks_time64, true);
	}
#endif
#ifdef SYS_futex
	const __kernel_long_t old[2] = {(__kernel_long_t)seconds_of(deadline, sizeof old[0]), at.tv_nsec};

	return syscall(SYS_futex, word, operation, value, deadline == MPP_NEVER ? NULL : old, NULL,
	               FUTEX_BITSET_MATCH_ANY);
#else
	return -1;
#endif
}

int mpp_park(_Atomic uint32_t *word, uint32_t value, int64_t deadline)
{
	int saved = errno, result = 0;

	/* WAIT_BITSET takes an absolute time on the monotonic clock. A raw system call is no cancellation point. */
	if (futex(word, FUTEX_WAIT_BITSET_PRIVATE, value, deadline) != 0 && errno == ETIMEDOUT)
		result = after_timeout(deadline);
	errno = saved;
	return result;
}

static void wake(_Atomic uint32_t *word, int count)
{
	int saved = errno;

	futex(word, FUTEX_WAKE_PRIVATE, (uint32_t)count, MPP_NEVER);
	errno = saved;
}

int mpp_park_shared(_Atomic uint32_t *word, uint32_t value, int64_t deadline)
{
	int saved = errno, result = 0;

	if (futex(word, FUTEX_WAIT_BITSET, value, deadline) != 0 && errno == ETIMEDOUT)
		result = after_timeout(deadline);
	errno = saved;
	return result;
}

void mpp_wake_shared(_Atomic uint32_t *word)
{
	int saved = errno;

	futex(word, FUTEX_WAKE, INT_MAX, MPP_NEVER);
	errno = saved;
}

void mpp_wake_one(_Atomic uint32_t *word)
{
	wake(word, 1);
}

void mpp_wake_all(_Atomic uint32_t *word)
{
	wake(word, INT_MAX);
}

void mpp_park_before_fork(void)
{
}

void mpp_park_after_fork(void)
{
}

void mpp_park_in_child(void)
{
}

#else

/* A sleeper holds its bucket's mutex from before it reads the word until it sleeps; a waker takes the mutex after the
 * word was changed. So the sleeper either sees the new value or is asleep when the broadcast comes. Words share
 * buckets, so every wake is a broadcast and every sleeper looks again. */
#define BUCKETS 64
static struct bucket {
	pthread_mutex_t mutex;
	pthread_cond_t cond;
} buckets[BUCKETS];
static pthread_once_t buckets_once = PTHREAD_ONCE_INIT;

static void buckets_make(void)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	for (int i = 0; i < BUCKETS; i++) {
		pthread_mutex_init(&buckets[i].mutex, NULL);
		pthread_cond_init(&buckets[i].cond, &attr);
	}
	pthread_condattr_destroy(&attr);
}

static struct bucket *bucket_at(size_t i)
{
	pthread_once(&buckets_once, buckets_make);
	return &buckets[i];
}

static struct bucket *bucket_of(const void *word)
{
	return bucket_at(((uintptr_t)word >> 4) * 2654435761u / 64 % BUCKETS);
}

int mpp_park(_Atomic uint32_t *word, uint32_t value, int64_t deadline)
{
	struct bucket *b = bucket_of(word);
	struct timespec at = timespec_of(deadline == MPP_NEVER ? 0 : deadline);
	int cancel_state, result = 0;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
	pthread_mutex_lock(&b->mutex);
	if (mpp_load_seq(word) == value) {
		if (deadline == MPP_NEVER)
			pthread_cond_wait(&b->cond, &b->mutex);
		else
			result = pthread_cond_timedwait(&b->cond, &b->mutex, &at);
	}
	pthread_mutex_unlock(&b->mutex);
	pthread_setcancelstate(cancel_state, NULL);
	return result == ETIMEDOUT ? after_timeout(deadline) : 0;
}

void mpp_wake_all(_Atomic uint32_t *word)
{
	struct bucket *b = bucket_of(word);

	pthread_mutex_lock(&b->mutex);
	pthread_cond_broadcast(&b->cond);
	pthread_mutex_unlock(&b->mutex);
}

void mpp_wake_one(_Atomic uint32_t *word)
{
	mpp_wake_all(word);
}

void mpp_park_before_fork(void)
{
	for (size_t i = 0; i < BUCKETS; i++)
		pthread_mutex_lock(&bucket_at(i)->mutex);
}

void mpp_park_after_fork(void)
{
	for (size_t i = 0; i < BUCKETS; i++)
		pthread_mutex_unlock(&bucket_at(i)->mutex);
}

/* The condition variables remember sleepers that are not here, and would wait for them. */
void mpp_park_in_child(void)
{
	buckets_make();
}

#endif

/* ------------------------------------------------------------------------------------------------------------ spin */

#define SPIN_BUDGET 20000        /* nanoseconds: about what waking a thread on another CPU takes */
#define SPIN_LOST 5000           /* a gap between two looks that tells of a CPU lost to somebody else */
#define SPIN_PAUSES 1            /* between two looks */
#define SPIN_MISSES 6            /* after so many in vain it is tried once in 2 to the power of that */

static _Atomic bool worth_spinning;

/* Spinning in vain is worse than none: where others have work for all CPUs, whoever is waited for may only run once this
 * thread sleeps. So each thread does without for a while after spins that came to nothing, longer and longer. */
static _Thread_local struct {
	bool trying;                     /* the last spin was not in vain, unless it still goes on */
	unsigned misses;                 /* in a row */
	unsigned skip;                   /* spins to do without */
} luck;

void mpp_spin_setup(int cpus)
{
	mpp_poke(&worth_spinning, cpus > 1);
}

static bool begin_spin(struct mpp_spin *spin, int64_t now)
{
	if (luck.trying)
		luck.misses = luck.skip = 0;
	luck.trying = luck.skip == 0;
	if (!luck.trying) {
		luck.skip--;
		return false;
	}
	spin->started = true;
	spin->start = spin->last = now;
	return true;
}

static bool give_up(void)
{
	if (!luck.trying)        /* the same spin was given up before */
		return false;
	luck.trying = false;
	luck.skip = 1u << luck.misses;
	if (luck.misses < SPIN_MISSES)
		luck.misses++;
	return false;
}

void mpp_yield(void)
{
	sched_yield();
}

bool mpp_spin_more(struct mpp_spin *spin)
{
	int64_t now;

	if (!mpp_peek(&worth_spinning))
		return false;
	for (int i = 0; i < SPIN_PAUSES; i++)
		mpp_relax();
	now = mpp_now();
	if (!spin->started)
		return begin_spin(spin, now);
	if (now - spin->start > SPIN_BUDGET || now - spin->last > SPIN_LOST)
		return give_up();
	spin->last = now;
	return true;
}
