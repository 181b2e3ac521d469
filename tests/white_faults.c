/* white_faults.c - what can fail fails, one after the other and at random: the user is told, nothing leaks, the pool
 * goes on
 *
 * SPDX-License-Identifier: MIT
 *
 * Linked with the library's objects and with --wrap for its few functions of memory, for aligned_alloc, of which its
 * store of small blocks is made, for its barrier, and for pthread_create: every call to them comes here first. (Not
 * for malloc itself: Check may be linked statically, and would get the faults as well.) A scenario runs again and
 * again: its first allocation fails, then its second, and so on until it comes through without meeting the fault; then
 * the same with every allocation from there on failing; then both with the starts of threads. What the pool's threads
 * allocate comes in no certain order: so a turn that misses its fault does not end the scenario yet.
 *
 * Then all of it at random and at once, among threads that go on calling the pool, with waits of the system that end
 * for no reason, and with clocks that jump. And in turn again: the calls by which the descriptor of polled callbacks is
 * opened, raised and lowered, and those that write a trace. */
#define _GNU_SOURCE 1
#include "support.h"

#include "memory.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#ifdef HAVE_FUTEX
#include <linux/futex.h>
#endif

/* ------------------------------------------------------------------------------------------------------ the faults */

enum kind { ALLOCATION, THREAD_START, DESCRIPTOR, TRANSFER, TRACE_FILE, WAIT, KINDS };

static atomic_bool armed;
static atomic_long seen[KINDS];                  /* since it was armed */
static atomic_long fail_from[KINDS], fail_to[KINDS];
static atomic_uint one_in[KINDS];                /* not 0: at random, one in so many */
static atomic_long fired, fired_ever;

static atomic_long live;                         /* blocks that were given out and not given back */

static unsigned chance(void)
{
	static atomic_uint threads;
	static _Thread_local uint32_t state;

	if (state == 0)
		state = 2654435761u * (atomic_fetch_add(&threads, 1) + 1);
	state ^= state << 13;
	state ^= state >> 17;
	state ^= state << 5;
	return state;
}

static bool fails(enum kind kind)
{
	if (!atomic_load(&armed))
		return false;
	const long n = atomic_fetch_add(&seen[kind], 1) + 1;
	const unsigned odds = atomic_load(&one_in[kind]);
	if (odds ? chance() % odds != 0 : n < atomic_load(&fail_from[kind]) || n > atomic_load(&fail_to[kind]))
		return false;
	atomic_fetch_add(&fired, 1);
	atomic_fetch_add(&fired_ever, 1);
	return true;
}

static void arm(enum kind kind, long from, long to)
{
	for (int k = 0; k < KINDS; k++) {
		atomic_store(&seen[k], 0);
		atomic_store(&one_in[k], 0);
		atomic_store(&fail_from[k], k == (int)kind ? from : 0);
		atomic_store(&fail_to[k], k == (int)kind ? to : -1);
	}
	atomic_store(&fired, 0);
	atomic_store(&armed, true);
}

static void arm_at_random(unsigned allocations, unsigned threads, unsigned waits)
{
	arm(KINDS, 0, 0);
	atomic_store(&one_in[ALLOCATION], allocations);
	atomic_store(&one_in[THREAD_START], threads);
	atomic_store(&one_in[WAIT], waits);
}

/* Whether the fault was met. */
static bool disarm(void)
{
	atomic_store(&armed, false);
	return atomic_load(&fired) > 0;
}

static void say_faults(const char *where)
{
	fprintf(stderr, "# %ld faults: %s\n", atomic_load(&fired_ever), where);
}

static void *born(void *memory)
{
	if (memory)
		atomic_fetch_add(&live, 1);
	return memory;
}

static void died(void *memory)
{
	if (memory)
		atomic_fetch_sub(&live, 1);
}

static atomic_bool barriers_refused;

bool __real_mpp_barrier(void);
bool __wrap_mpp_barrier(void);

bool __wrap_mpp_barrier(void)
{
	return !atomic_load(&barriers_refused) && __real_mpp_barrier();
}

void *__real_mpp_alloc(size_t size);
void *__real_mpp_zalloc(size_t size);
void *__real_mpp_realloc(void *memory, size_t size);
void *__real_mpp_alloc_aligned(size_t size);
void __real_mpp_free(void *memory);
void *__real_mpp_block_alloc(size_t size);
void __real_mpp_block_free(void *block, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
int __real_pthread_create(pthread_t *ret_thread, const pthread_attr_t *attr, void *(*run)(void *), void *arg);

void *__wrap_mpp_alloc(size_t size);
void *__wrap_mpp_zalloc(size_t size);
void *__wrap_mpp_realloc(void *memory, size_t size);
void *__wrap_mpp_alloc_aligned(size_t size);
void __wrap_mpp_free(void *memory);
void *__wrap_mpp_block_alloc(size_t size);
void __wrap_mpp_block_free(void *block, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
int __wrap_pthread_create(pthread_t *ret_thread, const pthread_attr_t *attr, void *(*run)(void *), void *arg);

void *__wrap_mpp_alloc(size_t size)
{
	return fails(ALLOCATION) ? NULL : born(__real_mpp_alloc(size));
}

void *__wrap_mpp_zalloc(size_t size)
{
	return fails(ALLOCATION) ? NULL : born(__real_mpp_zalloc(size));
}

void *__wrap_mpp_realloc(void *memory, size_t size)
{
	if (fails(ALLOCATION))
		return NULL;
	return memory ? __real_mpp_realloc(memory, size) : born(__real_mpp_realloc(NULL, size));
}

void *__wrap_mpp_alloc_aligned(size_t size)
{
	return fails(ALLOCATION) ? NULL : born(__real_mpp_alloc_aligned(size));
}

void __wrap_mpp_free(void *memory)
{
	died(memory);
	__real_mpp_free(memory);
}

void *__wrap_mpp_block_alloc(size_t size)
{
	return fails(ALLOCATION) ? NULL : born(__real_mpp_block_alloc(size));
}

void __wrap_mpp_block_free(void *block, size_t size)
{
	died(block);
	__real_mpp_block_free(block, size);
}

/* No part of the balance: the store keeps some of its memory for the next burst. */
void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
	return fails(ALLOCATION) ? NULL : __real_aligned_alloc(alignment, size);
}

int __wrap_pthread_create(pthread_t *ret_thread, const pthread_attr_t *attr, void *(*run)(void *), void *arg)
{
	return fails(THREAD_START) ? EAGAIN : __real_pthread_create(ret_thread, attr, run, arg);
}

/* ------------------------------------------------------------------------------------------------ waits and clocks */

static _Atomic int64_t ahead, realtime_ahead;    /* nanoseconds by which the clocks have jumped */

int __real_clock_gettime(clockid_t clock, struct timespec *ret_now);
int __wrap_clock_gettime(clockid_t clock, struct timespec *ret_now);

static int64_t nanoseconds(const struct timespec *t)
{
	return (int64_t)t->tv_sec * 1000000000 + t->tv_nsec;
}

static struct timespec timespec_of(int64_t ns)
{
	return (struct timespec){(time_t)(ns / 1000000000), (long)(ns % 1000000000)};
}

int __wrap_clock_gettime(clockid_t clock, struct timespec *ret_now)
{
	const int result = __real_clock_gettime(clock, ret_now);
	const int64_t jumped = clock == CLOCK_MONOTONIC ? atomic_load(&ahead) :
	                       clock == CLOCK_REALTIME  ? atomic_load(&realtime_ahead)
	                                                : 0;

	if (result == 0 && jumped != 0)
		*ret_now = timespec_of(nanoseconds(ret_now) + jumped);
	return result;
}

#ifdef HAVE_FUTEX

#ifndef SYS_futex
#define SYS_futex SYS_futex_time64
#elif !defined(SYS_futex_time64)
#define SYS_futex_time64 SYS_futex
#endif
#define PIECE 2000000                            /* nanoseconds: the system does not know of our jumps */

static atomic_bool jumping;

long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);

/* A wait until a time on the clock that jumps. */
static long wait_in_pieces(long number, void *word, long operation, long value, const struct timespec *until,
                           long mask)
{
	struct timespec now, piece;
	int64_t left, at;

	__wrap_clock_gettime(CLOCK_MONOTONIC, &now);
	left = nanoseconds(until) - nanoseconds(&now);
	__real_clock_gettime(CLOCK_MONOTONIC, &now);
	at = nanoseconds(&now) + (left < 0 ? 0 : left < PIECE ? left : PIECE);
	piece = timespec_of(at);
	const long result = __real_syscall(number, word, operation, value, &piece, NULL, mask);
	if (result != 0 && errno == ETIMEDOUT && left > PIECE)
		errno = EINTR;
	return result;
}

/* Waits may end for no reason: EINTR, or EAGAIN as if the word had another value. */
long __wrap_syscall(long number, ...)
{
	long a[6];
	va_list args;

	va_start(args, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(args, long);
	va_end(args);
	if ((number == SYS_futex || number == SYS_futex_time64) &&
	    ((int)a[1] & FUTEX_CMD_MASK) == FUTEX_WAIT_BITSET) {
		if (fails(WAIT)) {
			errno = chance() % 2 ? EINTR : EAGAIN;
			return -1;
		}
		if (a[3] && atomic_load(&jumping))
			return wait_in_pieces(number, (void *)a[0], a[1], a[2], (const struct timespec *)a[3], a[5]);
	}
	return __real_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

#else

long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);

long __wrap_syscall(long number, ...)
{
	return __real_syscall(number);           /* gettid */
}

#endif

int __real_pthread_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex);
int __real_pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *mutex, const struct timespec *until);
int __wrap_pthread_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex);
int __wrap_pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *mutex, const struct timespec *until);

static void wake_for_no_reason(pthread_mutex_t *mutex)
{
	pthread_mutex_unlock(mutex);
	sched_yield();
	pthread_mutex_lock(mutex);
}

int __wrap_pthread_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex)
{
	if (!fails(WAIT))
		return __real_pthread_cond_wait(cond, mutex);
	wake_for_no_reason(mutex);
	return 0;
}

int __wrap_pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *mutex, const struct timespec *until)
{
	if (!fails(WAIT))
		return __real_pthread_cond_timedwait(cond, mutex, until);
	wake_for_no_reason(mutex);
	return 0;
}

/* ---------------------------------------------------------------------------------------------- descriptors, files */

int __real_eventfd(unsigned value, int flags);
int __real_pipe(int ends[2]);
int __real_pipe2(int ends[2], int flags);
int __real_fcntl(int fd, int command, ...);
int __real_open(const char *path, int flags, ...);
int __real_fstat(int fd, struct stat *ret_stat);
int __real_ftruncate(int fd, off_t size);
off_t __real_lseek(int fd, off_t offset, int whence);
int __real_flock(int fd, int operation);
ssize_t __real_read(int fd, void *bytes, size_t count);
ssize_t __real_write(int fd, const void *bytes, size_t count);

int __wrap_eventfd(unsigned value, int flags);
int __wrap_pipe(int ends[2]);
int __wrap_pipe2(int ends[2], int flags);
int __wrap_fcntl(int fd, int command, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_fstat(int fd, struct stat *ret_stat);
int __wrap_ftruncate(int fd, off_t size);
off_t __wrap_lseek(int fd, off_t offset, int whence);
int __wrap_flock(int fd, int operation);
ssize_t __wrap_read(int fd, void *bytes, size_t count);
ssize_t __wrap_write(int fd, const void *bytes, size_t count);

static atomic_int fault_errno;                   /* of DESCRIPTOR, TRANSFER and TRACE_FILE */

static const char *_Atomic failed_call;          /* the last one */

static bool fails_so(enum kind kind, const char *call)
{
	if (!fails(kind))
		return false;
	atomic_store(&failed_call, call);
	errno = atomic_load(&fault_errno);
	return true;
}

int __wrap_eventfd(unsigned value, int flags)
{
	return fails_so(DESCRIPTOR, "eventfd") ? -1 : __real_eventfd(value, flags);
}

int __wrap_pipe(int ends[2])
{
	return fails_so(DESCRIPTOR, "pipe") ? -1 : __real_pipe(ends);
}

int __wrap_pipe2(int ends[2], int flags)
{
	return fails_so(DESCRIPTOR, "pipe2") ? -1 : __real_pipe2(ends, flags);
}

int __wrap_fcntl(int fd, int command, ...)
{
	va_list args;
	long value;

	va_start(args, command);
	value = va_arg(args, long);
	va_end(args);
	return fails_so(DESCRIPTOR, "fcntl") ? -1 : __real_fcntl(fd, command, value);
}

int __wrap_open(const char *path, int flags, ...)
{
	va_list args;
	unsigned mode = 0;

	va_start(args, flags);
	if (flags & O_CREAT)
		mode = va_arg(args, unsigned);
	va_end(args);
	return fails_so(TRACE_FILE, "open") ? -1 : __real_open(path, flags, mode);
}

int __wrap_fstat(int fd, struct stat *ret_stat)
{
	return fails_so(TRACE_FILE, "fstat") ? -1 : __real_fstat(fd, ret_stat);
}

/* Where nothing can be written any more a file can still be made shorter. */
int __wrap_ftruncate(int fd, off_t size)
{
	return atomic_load(&fail_to[TRACE_FILE]) != LONG_MAX && fails_so(TRACE_FILE, "ftruncate")
	               ? -1
	               : __real_ftruncate(fd, size);
}

off_t __wrap_lseek(int fd, off_t offset, int whence)
{
	return fails_so(TRACE_FILE, "lseek") ? -1 : __real_lseek(fd, offset, whence);
}

int __wrap_flock(int fd, int operation)
{
	return fails_so(TRACE_FILE, "flock") ? -1 : __real_flock(fd, operation);
}

ssize_t __wrap_read(int fd, void *bytes, size_t count)
{
	return fails_so(TRANSFER, "read") ? -1 : __real_read(fd, bytes, count);
}

/* What the library complains of is kept from the screen. A byte, or a number, raises an event; a trace is longer, and
 * written in parts. */
ssize_t __wrap_write(int fd, const void *bytes, size_t count)
{
	if (fd == STDERR_FILENO && atomic_load(&armed))
		return (ssize_t)count;
	if (fails_so(count == 1 || count == sizeof(uint64_t) ? TRANSFER : TRACE_FILE, "write"))
		return -1;
	if (atomic_load(&armed) && count > 100)
		count -= chance() % 50;
	return __real_write(fd, bytes, count);
}

/* ------------------------------------------------------------------------------------------------------- the items */

#define N 24

/* One accepted call, and what became of its items. */
struct call {
	mppool *pool;
	atomic_uint ran[N], succeeded[N], dropped[N], undone[N];
	atomic_uint released, finished, called_back;
	atomic_uint strange;
	bool failing, losing;                    /* some items fail with a message, or take their worker with them */
	bool nesting;                            /* items submit calls themselves */
	struct gate *gate;                       /* the generator stands there before its first item */
	size_t drawn;
	size_t n;                                /* items that it has if it is accepted, unless they are generated */
	bool generated;
};

static int inner_call(const void *const args[], void *result, void *context)
{
	(void)context;
	*(int *)result = 2 * int_arg(args, 0);
	return 0;
}

/* The serial loop would give 2 * (x + x + 1). */
static int nested_sum(mppool *pool, int x, int *ret_sum)
{
	const int xs[] = {x, x + 1};
	int ys[2] = {0};
	const struct mppool_func func = make_func(inner_call, 1, sizeof(int), NULL);
	const int code = mppool_map(pool, &func, MPPOOL_ARRAY(xs, 2), ys, 1);

	*ret_sum = ys[0] + ys[1];
	return code;
}

static int item_call(const void *const args[], void *result, void *context)
{
	struct call *const call = context;
	const int x = int_arg(args, 0);
	int sum = 0;

	atomic_fetch_add(&call->ran[x], 1);
	if (call->losing && x % 7 == 3)
		pthread_exit(NULL);
	if (call->failing && x % 5 == 2)
		return mppool_raise(EDOM, "item %d of %d cannot be done", x, N);
	if (call->nesting) {
		const int code = nested_sum(call->pool, x, &sum);
		if (code)
			return code;
		if (sum != 4 * x + 2)
			atomic_fetch_add(&call->strange, 1);
	}
	atomic_fetch_add(&call->succeeded[x], 1);
	*(int *)result = 1000 + x;
	return 0;
}

static void item_drop_args(const void *const args[], void *context)
{
	atomic_fetch_add(&((struct call *)context)->dropped[int_arg(args, 0)], 1);
}

static void item_drop_result(void *result, void *context)
{
	struct call *const call = context;
	const int y = *(const int *)result;

	if (y < 1000 || y >= 1000 + N)
		atomic_fetch_add(&call->strange, 1);
	else
		atomic_fetch_add(&call->undone[y - 1000], 1);
}

static void call_release(void *context)
{
	atomic_fetch_add(&((struct call *)context)->released, 1);
}

static void call_finish(void *state)
{
	atomic_fetch_add(&((struct call *)state)->finished, 1);
}

static int call_next(void *const args[], void *state)
{
	struct call *const call = state;

	if (call->gate && call->drawn == 0)
		gate_wait(call->gate);
	if (call->drawn == N)
		return MPPOOL_ESTOP;
	*(int *)args[0] = (int)call->drawn++;
	return 0;
}

static void call_callback(const void *results, size_t n, void *userdata)
{
	(void)results;
	(void)n;
	atomic_fetch_add(&((struct call *)userdata)->called_back, 1);
}

static void call_error_callback(const struct mppool_error *error, void *userdata)
{
	(void)error;
	atomic_fetch_add(&((struct call *)userdata)->called_back, 1);
}

static const int numbers[N] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23};
static const struct mppool_column columns[2] = {
	{numbers, sizeof *numbers, sizeof *numbers, MPPOOL_VALUES, 0},
	{numbers, sizeof *numbers, sizeof *numbers, MPPOOL_VALUES, 0},
};

static void call_set(struct call *call, mppool *pool, size_t n)
{
	*call = (struct call){.pool = pool, .n = n};
}

static struct mppool_func call_func(struct call *call, size_t nargs)
{
	struct mppool_func func = make_func(item_call, nargs, sizeof(int), call);

	func.drop_args = item_drop_args;
	func.drop_result = item_drop_result;
	func.release = call_release;
	return func;
}

static struct mppool_iterable call_items(struct call *call, size_t ncolumns)
{
	return (struct mppool_iterable){.size = sizeof(struct mppool_iterable),
	                                .columns = columns,
	                                .ncolumns = ncolumns,
	                                .length = call->n,
	                                .finish = call_finish,
	                                .state = call};
}

static struct mppool_iterable call_generator(struct call *call)
{
	call->generated = true;
	return (struct mppool_iterable){.size = sizeof(struct mppool_iterable),
	                                .next = call_next,
	                                .finish = call_finish,
	                                .state = call};
}

/* A submit returned this: it was accepted, or the system had no memory or no thread for it. */
static bool was_accepted(int code)
{
	ck_assert_msg(code == 0 || code == ENOMEM || code == EAGAIN, "a submit returned %s",
	              mppool_strerrorname(code));
	return code == 0;
}

/* The call has ended: each of its items came to one end, and each hook was called as often as it should. */
static void assert_ended(struct call *call, bool accepted, bool has_items)
{
	const size_t n = !accepted ? 0 : call->generated ? call->drawn : call->n;

	for (size_t i = 0; i < N; i++) {
		ck_assert_uint_le(atomic_load(&call->ran[i]), i < n);
		ck_assert_uint_eq(atomic_load(&call->dropped[i]), i < n);
		ck_assert_uint_le(atomic_load(&call->undone[i]), atomic_load(&call->succeeded[i]));
	}
	ck_assert_uint_eq(atomic_load(&call->released), accepted);
	ck_assert_uint_eq(atomic_load(&call->finished), accepted && has_items);
	ck_assert_uint_eq(atomic_load(&call->strange), 0);
}

/* An item's code where memory or threads may be short. */
static void assert_item_code(int code, const struct call *call, size_t i)
{
	if (call->losing && i % 7 == 3 && code == MPPOOL_ELOST)
		return;
	if (call->failing && i % 5 == 2 && code == EDOM)
		return;
	ck_assert_msg(code == 0 || code == ENOMEM || code == EAGAIN || code == MPPOOL_EBROKEN, "item %zu ended as %s",
	              i, mppool_strerrorname(code));
}

/* The outcome of a call, and the error behind it. */
static void assert_outcome(int code, const struct call *call)
{
	const struct mppool_error *const error = mppool_last_error();

	ck_assert_msg(code == 0 || code == MPPOOL_ETASK || code == MPPOOL_EITER || code == MPPOOL_EBROKEN ||
	                      code == ENOMEM || code == EAGAIN,
	              "a call ended as %s", mppool_strerrorname(code));
	ck_assert_ptr_nonnull(error->message);
	if (code == MPPOOL_ETASK) {
		ck_assert_msg(error->code == ENOMEM || error->code == EAGAIN ||
		                      (call->failing && error->code == EDOM) ||
		                      (call->losing && error->code == MPPOOL_ELOST),
		              "an item ended as %s", mppool_strerrorname(error->code));
		ck_assert_uint_lt(error->index, N);
	}
	if (code == MPPOOL_EITER)
		ck_assert_msg(error->code == ENOMEM || error->code == EAGAIN, "a generator ended as %s",
		              mppool_strerrorname(error->code));
}

/* --------------------------------------------------------------------------------------------------- the scenarios */

struct world {
	mppool *pool;                            /* made before the faults, unless the scenario is about that */
	bool may_break;                          /* a worker that cannot be replaced breaks the pool */
	bool loses;                              /* items take their worker with them */
	struct call call;
};

static void consume(struct world *w, mppool_iter *iter, int *ret_outcome)
{
	unsigned taken[N] = {0};
	size_t index = N;
	int y, code;

	*ret_outcome = 0;
	while ((code = mppool_iter_next(iter, &y, &index, MPPOOL_FOREVER)) != MPPOOL_ESTOP) {
		assert_outcome(code, &w->call);
		if (code == 0) {
			ck_assert_uint_lt(index, N);
			ck_assert_int_eq(y, 1000 + (int)index);
			taken[index]++;
		} else if (*ret_outcome == 0) {
			*ret_outcome = code;
		}
	}
	mppool_iter_free(iter);
	for (size_t i = 0; i < N; i++)
		ck_assert_uint_eq(taken[i] + atomic_load(&w->call.undone[i]), atomic_load(&w->call.succeeded[i]));
}

static void run_create(struct world *w)
{
	mppool *const sentinel = (mppool *)(void *)w;
	mppool *pool = sentinel;
	const int code = mppool_create(MPPOOL_OPTIONS(.workers = 3, .name = "faults"), &pool);

	if (!was_accepted(code)) {
		ck_assert_ptr_eq(pool, sentinel);
		return;
	}
	assert_ok(mppool_destroy(pool));
}

struct staff {
	atomic_int started, ended;
};

static int staff_starts(void *initarg, void **ret_state)
{
	*ret_state = initarg;
	atomic_fetch_add(&((struct staff *)initarg)->started, 1);
	return 0;
}

static void staff_ends(void *initarg, void *state)
{
	if (state == initarg)
		atomic_fetch_add(&((struct staff *)initarg)->ended, 1);
}

static void run_create_with_initializer(struct world *w)
{
	struct staff staff = {.started = 0};
	mppool *const sentinel = (mppool *)(void *)w;
	mppool *pool = sentinel;
	const int code = mppool_create(MPPOOL_OPTIONS(.workers = 4, .initializer = staff_starts,
	                                              .finalizer = staff_ends, .initarg = &staff),
	                               &pool);

	if (was_accepted(code)) {
		ck_assert_int_eq(atomic_load(&staff.started), 4);
		assert_ok(mppool_close(pool));
		assert_ok(mppool_join(pool, MPPOOL_FOREVER));
		assert_ok(mppool_destroy(pool));
	} else {
		ck_assert_ptr_eq(pool, sentinel);
		ck_assert_uint_eq(threads_settle("mppool", 0), 0);
	}
	ck_assert_int_eq(atomic_load(&staff.started), atomic_load(&staff.ended));
}

static int staff_fails(void *initarg, void **ret_state)
{
	*ret_state = initarg;
	if (atomic_fetch_add(&((struct staff *)initarg)->started, 1) == 1)
		return mppool_raise(ENOTTY, "the %s start", "second");
	return 0;
}

static void run_create_with_failing_initializer(struct world *w)
{
	struct staff staff = {.started = 0};
	mppool *const sentinel = (mppool *)(void *)w;
	mppool *pool = sentinel;
	const int code = mppool_create(MPPOOL_OPTIONS(.workers = 3, .initializer = staff_fails,
	                                              .finalizer = staff_ends, .initarg = &staff),
	                               &pool);

	ck_assert(code == MPPOOL_EBROKEN || code == ENOMEM || code == EAGAIN);
	ck_assert_ptr_eq(pool, sentinel);
	if (code == MPPOOL_EBROKEN)
		ck_assert(mppool_last_error()->code == ENOTTY || mppool_last_error()->code == ENOMEM);
	ck_assert_int_eq(atomic_load(&staff.ended), atomic_load(&staff.started) - (atomic_load(&staff.started) > 1));
}

static void run_apply(struct world *w)
{
	int y = 0;

	call_set(&w->call, w->pool, 1);
	const struct mppool_func func = call_func(&w->call, 1);
	const bool accepted = was_accepted(mppool_apply(w->pool, &func, MPPOOL_ARGS(&numbers[0]), &y));
	ck_assert_int_eq(y, accepted ? 1000 : 0);
	assert_ended(&w->call, accepted, false);
}

static void run_apply_async(struct world *w)
{
	mppool_result *result = NULL;
	int y = 0;

	call_set(&w->call, w->pool, 1);
	const struct mppool_func func = call_func(&w->call, 1);
	const bool accepted = was_accepted(
		mppool_apply_async(w->pool, &func, MPPOOL_ARGS(&numbers[0]),
	                           MPPOOL_CALL(.callback = call_callback, .error_callback = call_error_callback,
	                                       .userdata = &w->call, .task_timeout = 1000),
	                           &result));
	if (accepted)
		assert_ok(mppool_result_get(result, &y, MPPOOL_FOREVER));
	ck_assert_int_eq(y, accepted ? 1000 : 0);
	ck_assert_uint_eq(atomic_load(&w->call.called_back), accepted);
	mppool_result_free(result);
	assert_ended(&w->call, accepted, false);
}

#define MANY 40

/* Calls of several sizes, some with arguments too large for a store of small blocks. */
static void run_many_calls(struct world *w)
{
	static mppool_result *results[MANY];
	static char large[5000];
	struct mppool_func func = make_func(inner_call, 2, sizeof(int), NULL);
	int y;

	for (int i = 0; i < MANY; i++) {
		results[i] = NULL;
		func.arg_size[1] = i % 10 ? 1 : sizeof large;
		was_accepted(mppool_apply_async(w->pool, &func, MPPOOL_ARGS(&i, large), NULL, &results[i]));
	}
	for (int i = 0; i < MANY; i++)
		if (results[i]) {
			assert_ok(mppool_result_get(results[i], &y, MPPOOL_FOREVER));
			ck_assert_int_eq(y, 2 * i);
			mppool_result_free(results[i]);
		}
}

static void run_map(struct world *w)
{
	int ys[N] = {0};

	for (size_t chunksize = 0; chunksize < 8; chunksize = 3 * chunksize + 1) {
		call_set(&w->call, w->pool, N);
		const struct mppool_func func = call_func(&w->call, 1);
		const struct mppool_iterable items = call_items(&w->call, 1);
		int *const into = chunksize == 1 ? NULL : ys;
		const bool accepted = was_accepted(mppool_map(w->pool, &func, &items, into, chunksize));
		for (int i = 0; accepted && into && i < N; i++)
			ck_assert_int_eq(ys[i], 1000 + i);
		assert_ended(&w->call, accepted, true);
	}
}

static void run_map_async(struct world *w)
{
	mppool_result *result = NULL;
	int ys[N] = {0}, codes[N];

	call_set(&w->call, w->pool, N);
	const struct mppool_func func = call_func(&w->call, 1);
	const struct mppool_iterable items = call_items(&w->call, 1);
	const bool accepted = was_accepted(
		mppool_map_async(w->pool, &func, &items, NULL, 2,
	                         MPPOOL_CALL(.callback = call_callback, .error_callback = call_error_callback,
	                                     .userdata = &w->call, .codes = codes, .flags = MPPOOL_FAIL_FAST),
	                         &result));
	if (accepted) {
		assert_ok(mppool_result_get(result, ys, MPPOOL_FOREVER));
		for (int i = 0; i < N; i++) {
			ck_assert_int_eq(codes[i], 0);
			ck_assert_int_eq(ys[i], 1000 + i);
		}
	}
	ck_assert_uint_eq(atomic_load(&w->call.called_back), accepted);
	mppool_result_free(result);
	assert_ended(&w->call, accepted, true);
}

static void run_starmap(struct world *w)
{
	int ys[N] = {0};

	call_set(&w->call, w->pool, N);
	const struct mppool_func func = call_func(&w->call, 2);
	const struct mppool_iterable items = call_items(&w->call, 2);
	const bool accepted = was_accepted(mppool_starmap(w->pool, &func, &items, ys, 5));
	for (int i = 0; accepted && i < N; i++)
		ck_assert_int_eq(ys[i], 1000 + i);
	assert_ended(&w->call, accepted, true);
}

static void stream_once(struct world *w, bool unordered, bool generated, size_t chunksize)
{
	mppool_iter *iter = NULL;
	int outcome = 0;

	const struct mppool_func func = call_func(&w->call, 1);
	const struct mppool_iterable items = generated ? call_generator(&w->call) : call_items(&w->call, 1);
	const bool accepted = was_accepted(
		(unordered ? mppool_imap_unordered : mppool_imap)(w->pool, &func, &items, chunksize, 6, NULL, &iter));
	if (accepted)
		consume(w, iter, &outcome);
	assert_ended(&w->call, accepted, true);
}

static void run_imap(struct world *w)
{
	for (int way = 0; way < 4; way++) {
		call_set(&w->call, w->pool, N);
		stream_once(w, way & 1, false, way & 2 ? 4 : 1);
	}
}

static void run_imap_generator(struct world *w)
{
	for (int way = 0; way < 4; way++) {
		call_set(&w->call, w->pool, N);
		stream_once(w, way & 1, true, way & 2 ? 4 : 1);
	}
}

static void run_imap_unbounded(struct world *w)
{
	mppool_iter *iter = NULL;
	int outcome;

	call_set(&w->call, w->pool, N);
	const struct mppool_func func = call_func(&w->call, 1);
	const struct mppool_iterable items = call_generator(&w->call);
	const bool accepted = was_accepted(mppool_imap(w->pool, &func, &items, 1, MPPOOL_UNBOUNDED, NULL, &iter));
	if (accepted)
		consume(w, iter, &outcome);
	assert_ended(&w->call, accepted, true);
}

/* Results of a map that nobody knows the length of: their memory grows. */
static void run_map_generator(struct world *w)
{
	mppool_result *result = NULL;
	int outcome = 0;

	call_set(&w->call, w->pool, N);
	const struct mppool_func func = call_func(&w->call, 1);
	const struct mppool_iterable items = call_generator(&w->call);
	const bool accepted = was_accepted(mppool_map_async(w->pool, &func, &items, NULL, 1, NULL, &result));
	if (accepted) {
		outcome = mppool_result_get(result, NULL, MPPOOL_FOREVER);
		assert_outcome(outcome, &w->call);
		const int *const ys = mppool_result_value(result);
		for (size_t i = 0; outcome == 0 && i < N; i++)
			ck_assert_int_eq(ys[i], 1000 + (int)i);
	}
	mppool_result_free(result);
	assert_ended(&w->call, accepted, true);
	for (size_t i = 0; i < N; i++)           /* nobody took any of them */
		ck_assert_uint_eq(atomic_load(&w->call.undone[i]), atomic_load(&w->call.succeeded[i]));
}

static void run_map_bounded_generator(struct world *w)
{
	int ys[N] = {0};
	struct mppool_iterable items;

	call_set(&w->call, w->pool, N);
	const struct mppool_func func = call_func(&w->call, 1);
	items = call_generator(&w->call);
	items.length = N;
	const int outcome = mppool_map(w->pool, &func, &items, ys, 3);
	assert_outcome(outcome, &w->call);
	/* Refused or failed half way: the hooks tell which. */
	assert_ended(&w->call, outcome == 0 || atomic_load(&w->call.released), true);
	for (int i = 0; outcome == 0 && i < N; i++)
		ck_assert_int_eq(ys[i], 1000 + i);
}

static void run_nested(struct world *w)
{
	mppool_result *result = NULL;
	int codes[N];

	call_set(&w->call, w->pool, N);
	w->call.nesting = true;
	const struct mppool_func func = call_func(&w->call, 1);
	const struct mppool_iterable items = call_items(&w->call, 1);
	const bool accepted = was_accepted(
		mppool_map_async(w->pool, &func, &items, NULL, 1, MPPOOL_CALL(.codes = codes), &result));
	if (accepted) {
		assert_outcome(mppool_result_get(result, NULL, MPPOOL_FOREVER), &w->call);
		for (size_t i = 0; i < N; i++)
			assert_item_code(codes[i], &w->call, i);
	}
	mppool_result_free(result);
	assert_ended(&w->call, accepted, true);
}

/* The codes of items that fail are told, even where there is no memory for their messages. */
static void run_raise(struct world *w)
{
	mppool_result *result = NULL;
	int codes[N];

	call_set(&w->call, w->pool, N);
	w->call.failing = true;
	const struct mppool_func func = call_func(&w->call, 1);
	const struct mppool_iterable items = call_items(&w->call, 1);
	const bool accepted = was_accepted(
		mppool_map_async(w->pool, &func, &items, NULL, 2, MPPOOL_CALL(.codes = codes), &result));
	if (accepted) {
		assert_code(mppool_result_get(result, NULL, MPPOOL_FOREVER), MPPOOL_ETASK);
		assert_outcome(MPPOOL_ETASK, &w->call);
		for (int i = 0; i < N; i++)
			assert_code(codes[i], i % 5 == 2 ? EDOM : 0);
	}
	mppool_result_free(result);
	assert_ended(&w->call, accepted, true);
	call_set(&w->call, w->pool, N);
	w->call.failing = true;
	stream_once(w, false, false, 3);
	call_set(&w->call, w->pool, N);
	w->call.failing = true;
	stream_once(w, true, true, 1);
}

static void run_replacements(struct world *w)
{
	mppool_result *result = NULL;
	int codes[N];

	call_set(&w->call, w->pool, N);
	w->call.losing = w->loses;
	const struct mppool_func func = call_func(&w->call, 1);
	const struct mppool_iterable items = call_items(&w->call, 1);
	const int code = mppool_map_async(w->pool, &func, &items, NULL, 1, MPPOOL_CALL(.codes = codes), &result);
	const bool accepted = code != MPPOOL_EBROKEN && was_accepted(code);
	if (accepted) {
		assert_outcome(mppool_result_get(result, NULL, MPPOOL_FOREVER), &w->call);
		for (size_t i = 0; i < N; i++)
			assert_item_code(codes[i], &w->call, i);
	}
	mppool_result_free(result);
	assert_ended(&w->call, accepted, true);
}

/* While one generator stands at a gate, another call needs a second task handler. */
static void run_standing_generator(struct world *w)
{
	static struct call other;
	struct gate gate;
	mppool_iter *standing = NULL;
	int outcome;

	gate_init(&gate);
	call_set(&other, w->pool, N);
	other.gate = &gate;
	const struct mppool_func func = call_func(&other, 1);
	const struct mppool_iterable items = call_generator(&other);
	const bool accepted = was_accepted(mppool_imap(w->pool, &func, &items, 1, 0, NULL, &standing));
	call_set(&w->call, w->pool, N);
	const struct mppool_func second = call_func(&w->call, 1);
	const struct mppool_iterable more = call_generator(&w->call);
	mppool_iter *iter = NULL;
	const bool both = was_accepted(mppool_imap(w->pool, &second, &more, 1, 0, NULL, &iter));
	gate_open(&gate);                        /* at once: without a second thread it must come to an end as well */
	if (both)
		consume(w, iter, &outcome);
	assert_ended(&w->call, both, true);
	if (accepted) {
		struct world elsewhere = {.pool = w->pool};
		int y, code;
		while ((code = mppool_iter_next(standing, &y, NULL, MPPOOL_FOREVER)) != MPPOOL_ESTOP)
			assert_outcome(code, &elsewhere.call);
		mppool_iter_free(standing);
	}
	assert_ended(&other, accepted, true);
	gate_destroy(&gate);
}

static void run_cancel(struct world *w)
{
	mppool_result *result = NULL;
	mppool_iter *iter = NULL;
	int code;

	call_set(&w->call, w->pool, N);
	const struct mppool_func func = call_func(&w->call, 1);
	const struct mppool_iterable items = call_items(&w->call, 1);
	bool accepted = was_accepted(mppool_map_async(w->pool, &func, &items, NULL, 1, NULL, &result));
	if (accepted) {
		code = mppool_result_cancel(result);
		ck_assert(code == 0 || code == EBUSY || code == EALREADY);
		assert_code(mppool_result_get(result, NULL, MPPOOL_FOREVER), code ? 0 : ECANCELED);
		mppool_result_free(result);
	}
	assert_ended(&w->call, accepted, true);
	call_set(&w->call, w->pool, N);
	accepted = was_accepted(mppool_imap(w->pool, &func, &items, 1, 4, NULL, &iter));
	if (accepted) {
		mppool_iter_cancel(iter);
		mppool_iter_free(iter);
	}
	assert_ended(&w->call, accepted, true);
}

/* A size that cannot be had leaves the old one, and work goes on in between. */
static void run_resize(struct world *w)
{
	const int sizes[] = {4, 1, 70, 3};
	struct mppool_counters c = MPPOOL_COUNTERS_INIT;
	uint64_t size;

	assert_ok(mppool_stats(w->pool, &c));
	size = c.workers;
	for (int i = 0; i < 4; i++) {
		if (was_accepted(mppool_resize(w->pool, sizes[i])))
			size = (uint64_t)sizes[i];
		assert_ok(mppool_stats(w->pool, &c));
		ck_assert_uint_eq(c.workers, size);
		run_map(w);
	}
}

static void run_terminate(struct world *w)
{
	mppool_result *result = NULL;

	call_set(&w->call, w->pool, N);
	const struct mppool_func func = call_func(&w->call, 1);
	const struct mppool_iterable items = call_items(&w->call, 1);
	const bool accepted = was_accepted(mppool_map_async(w->pool, &func, &items, NULL, 1,
	                                                    MPPOOL_CALL(.callback = call_callback,
	                                                                .error_callback = call_error_callback,
	                                                                .userdata = &w->call),
	                                                    &result));
	assert_ok(mppool_terminate(w->pool));
	if (accepted) {
		const int code = mppool_result_get(result, NULL, MPPOOL_FOREVER);
		ck_assert(code == 0 || code == MPPOOL_ETERMINATED);
	}
	ck_assert_uint_eq(atomic_load(&w->call.called_back), accepted);
	mppool_result_free(result);
	assert_ended(&w->call, accepted, true);
}

/* What is refused leaves nothing of the group behind. */
static void run_groups(struct world *w)
{
	const struct mppool_func func = make_func(inner_call, 1, sizeof(int), NULL);
	mppool_result *results[N];
	mppool_iter *iter = (mppool_iter *)(void *)w;
	size_t n = 0, ready = 77;
	int code;

	while (n < N && was_accepted(mppool_apply_async(w->pool, &func, MPPOOL_ARGS(&numbers[n]), NULL, &results[n])))
		n++;
	if (n == 0)
		return;
	code = mppool_as_completed(results, n, &iter);
	ck_assert(code == 0 || (code == ENOMEM && !iter));
	if (code == 0) {
		for (size_t i = 0; i < n; i++)
			assert_ok(mppool_iter_next(iter, NULL, NULL, MPPOOL_FOREVER));
		assert_code(mppool_iter_next(iter, NULL, NULL, MPPOOL_FOREVER), MPPOOL_ESTOP);
		mppool_iter_free(iter);
	}
	code = mppool_wait(results, n, MPPOOL_ALL_COMPLETED, MPPOOL_FOREVER, &ready);
	ck_assert(code == 0 ? ready == n : code == ENOMEM && ready == 77);
	while (n > 0)
		mppool_result_free(results[--n]);
}

/* Callbacks are polled. The handle goes first; every other callback is left to the end of the pool. */
static void run_polled(struct world *w)
{
	static bool poll_first;
	mppool *pool = NULL;
	mppool_result *result = NULL;
	bool accepted = false;
	size_t n = 0;
	int fd = -1;

	poll_first = !poll_first;
	call_set(&w->call, pool, N);
	if (was_accepted(mppool_create(MPPOOL_OPTIONS(.workers = 2, .callback_mode = MPPOOL_CALLBACKS_POLL), &pool))) {
		const struct mppool_func func = call_func(&w->call, 1);
		const struct mppool_iterable items = call_items(&w->call, 1);
		accepted = was_accepted(mppool_map_async(pool, &func, &items, NULL, 1,
		                                         MPPOOL_CALL(.callback = call_callback,
		                                                     .error_callback = call_error_callback,
		                                                     .userdata = &w->call),
		                                         &result));
		assert_ok(mppool_fd(pool, &fd));
		if (accepted) {
			mppool_result_wait(result, MPPOOL_FOREVER);
			ck_assert_uint_eq(atomic_load(&w->call.called_back), 0);
			mppool_result_free(result);
			if (poll_first)
				assert_ok(mppool_poll(pool, 0, &n));
		}
		ck_assert_uint_eq(atomic_load(&w->call.called_back), n);
		assert_ok(mppool_destroy(pool));
	}
	ck_assert_uint_eq(atomic_load(&w->call.called_back), accepted);
	assert_ended(&w->call, accepted, true);
}

/* ------------------------------------------------------------------------------------------------------- the turns */

struct scenario {
	const char *name;
	void (*run)(struct world *w);
	bool makes_pool;                         /* the scenario itself does */
	bool may_break, loses;
	bool ends_pool;
	size_t max_tasks;
};

static const struct scenario scenarios[] = {
	{.name = "create", .run = run_create, .makes_pool = true},
	{.name = "create with an initializer", .run = run_create_with_initializer, .makes_pool = true},
	{.name = "create with a failing initializer", .run = run_create_with_failing_initializer, .makes_pool = true},
	{.name = "apply", .run = run_apply},
	{.name = "apply_async with a callback", .run = run_apply_async},
	{.name = "many calls", .run = run_many_calls},
	{.name = "map", .run = run_map},
	{.name = "map_async", .run = run_map_async},
	{.name = "starmap", .run = run_starmap},
	{.name = "imap", .run = run_imap},
	{.name = "imap over a generator", .run = run_imap_generator},
	{.name = "imap without a bound", .run = run_imap_unbounded},
	{.name = "map over a generator", .run = run_map_generator},
	{.name = "map over a generator with a bound", .run = run_map_bounded_generator},
	{.name = "nested", .run = run_nested},
	{.name = "raise", .run = run_raise},
	{.name = "retiring workers", .run = run_replacements, .may_break = true, .max_tasks = 2},
	{.name = "lost workers", .run = run_replacements, .may_break = true, .loses = true},
	{.name = "a generator that stands", .run = run_standing_generator},
	{.name = "cancel", .run = run_cancel},
	{.name = "groups", .run = run_groups},
	{.name = "resize", .run = run_resize},
	{.name = "terminate", .run = run_terminate, .ends_pool = true},
	{.name = "polled callbacks", .run = run_polled, .makes_pool = true},
};
#define SCENARIOS ((int)(sizeof scenarios / sizeof *scenarios))

/* After the faults are gone, everything works. */
static void assert_usable(mppool *pool)
{
	int ys[N] = {0};
	mppool_iter *iter = NULL;
	const struct mppool_func func = make_func(inner_call, 1, sizeof(int), NULL);
	int y = 0;

	assert_ok(mppool_map(pool, &func, MPPOOL_ARRAY(numbers, N), ys, 1));
	for (int i = 0; i < N; i++)
		ck_assert_int_eq(ys[i], 2 * i);
	assert_ok(mppool_imap(pool, &func, MPPOOL_ARRAY(numbers, N), 1, 0, NULL, &iter));
	for (int i = 0; i < N; i++) {
		assert_ok(mppool_iter_next(iter, &y, NULL, MPPOOL_FOREVER));
		ck_assert_int_eq(y, 2 * i);
	}
	mppool_iter_free(iter);
}

static void world_end(const struct scenario *scenario, mppool *pool)
{
	if (mppool_state(pool) == MPPOOL_RUN)
		assert_usable(pool);
	else
		ck_assert(scenario->ends_pool || (scenario->may_break && mppool_state(pool) == MPPOOL_BROKEN));
	mppool_close(pool);
	assert_ok(mppool_join(pool, MPPOOL_FOREVER));
	assert_ok(mppool_destroy(pool));
}

/* One turn of a scenario; a fault from the from-th to the to-th. Returns whether it was met. */
static bool turn(const struct scenario *scenario, enum kind kind, long from, long to)
{
	static struct world w;

	w = (struct world){.may_break = scenario->may_break, .loses = scenario->loses};
	if (!scenario->makes_pool)
		assert_ok(mppool_create(MPPOOL_OPTIONS(.workers = 2, .max_tasks_per_worker = scenario->max_tasks),
		                        &w.pool));
	arm(kind, from, to);
	scenario->run(&w);
	const bool met = disarm();
	if (!scenario->makes_pool)
		world_end(scenario, w.pool);
	return met;
}

/* The blocks that are in use when nothing is: what the library keeps for this thread, its last error and the functions
 * that it used last, is brought to the same state first. */
static long balance(void)
{
	static struct call call;
	static const long contexts[128];
	mppool *const pool = pool_of(1);
	const int x = 2;
	int y;

	for (size_t i = 0; i < sizeof contexts / sizeof *contexts; i++) {
		const struct mppool_func func = make_func(inner_call, 1, sizeof(int), (void *)(uintptr_t)&contexts[i]);
		assert_ok(mppool_apply(pool, &func, MPPOOL_ARGS(&x), &y));
	}
	call_set(&call, pool, 1);
	call.failing = true;
	const struct mppool_func func = call_func(&call, 1);
	assert_code(mppool_apply(pool, &func, MPPOOL_ARGS(&x), NULL), MPPOOL_ETASK);
	pool_finish(pool);
	return atomic_load(&live);
}

/* Until three turns in a row have come through. */
static long sweep(const struct scenario *scenario, enum kind kind, bool from_there_on, long before)
{
	const long step = under_valgrind() ? 9 : UNDER_TSAN || UNDER_ASAN ? 2 : 1;
	long faults = 0;
	int unmet = 0;

	/* Where every step is slow, the first faults are tried one by one, then some of the others. */
	for (long n = 1; unmet < 3; n += n < 12 ? 1 : step) {
		const bool met = turn(scenario, kind, n, from_there_on ? LONG_MAX : n);
		unmet = met ? 0 : unmet + 1;
		faults += met;
		const long after = balance();
		ck_assert_msg(after == before, "%s: %ld blocks too many after fault %ld of kind %d", scenario->name,
		              after - before, n, (int)kind);
	}
	return faults;
}

/* Once for each scenario, _i. */
START_TEST(each_fault_in_turn_is_told_and_leaks_nothing)
{
	const struct scenario *const scenario = &scenarios[_i];
	long faults = 0;

	for (int warm = 0; warm < 3; warm++)
		ck_assert(!turn(scenario, ALLOCATION, 1, 0));
	balance();
	const long before = balance();
	for (int from_there_on = 0; from_there_on < 2; from_there_on++) {
		faults += sweep(scenario, ALLOCATION, from_there_on, before);
		sweep(scenario, THREAD_START, from_there_on, before);
	}
	ck_assert_int_gt(faults, 0);
	say_faults(scenario->name);
}
END_TEST

/* The wrappers themselves: a test of faults that never come would pass always. */
START_TEST(faults_come_where_they_are_asked_for)
{
	mppool *pool = NULL;

	assert_ok(mppool_create(MPPOOL_OPTIONS(.workers = 1), &pool));
	pool_finish(pool);               /* the first reads the CPU quota, which does without memory if it must */
	pool = NULL;
	arm(ALLOCATION, 1, 1);
	const int first = mppool_create(MPPOOL_OPTIONS(.workers = 1), &pool);
	ck_assert(disarm());
	assert_code(first, ENOMEM);
	arm(ALLOCATION, 3, 3);
	const int third = mppool_create(MPPOOL_OPTIONS(.workers = 1), &pool);
	ck_assert(disarm());
	assert_code(third, ENOMEM);
	arm(THREAD_START, 1, 1);
	const int second = mppool_create(MPPOOL_OPTIONS(.workers = 1), &pool);
	ck_assert(disarm());
	assert_code(second, EAGAIN);
	ck_assert_ptr_null(pool);
}
END_TEST

struct leaving {
	struct gate gate;
	atomic_bool lost;                /* worker 0 has left its thread, or is about to */
};

static int leave_from_place_0(const void *const args[], void *result, void *context)
{
	struct leaving *const leaving = context;

	(void)args;
	(void)result;
	gate_wait(&leaving->gate);
	if (mppool_worker_index() != 0)
		return 0;
	atomic_store(&leaving->lost, true);
	pthread_exit(NULL);
}

static struct mppool_counters stats_of(mppool *pool)
{
	struct mppool_counters c = MPPOOL_COUNTERS_INIT;

	assert_ok(mppool_stats(pool, &c));
	return c;
}

/* Worker 0 is lost, and the system has no thread for its place; then worker 1 is dismissed: it stays as long as it is the
 * only one, however often a thread is asked for, and leaves when there is another. */
START_TEST(dismissed_worker_stays_until_another_has_come)
{
	mppool *const pool = pool_of(2);
	struct leaving leaving = {.lost = false};
	const struct mppool_func leave = make_func(leave_from_place_0, 0, 0, &leaving);
	const struct mppool_func func = make_func(inner_call, 1, sizeof(int), NULL);
	const int x = 4;
	int y = 0;

	gate_init(&leaving.gate);
	for (int i = 0; i < 2; i++)
		assert_ok(mppool_apply_async(pool, &leave, NULL, NULL, NULL));
	gate_wait_arrivals(&leaving.gate, 2);
	arm(THREAD_START, 1, LONG_MAX);
	gate_open(&leaving.gate);
	assert_ok(mppool_wait_idle(pool, MPPOOL_FOREVER));
	ck_assert(atomic_load(&leaving.lost));
	assert_ok(mppool_resize(pool, 1));
	for (int i = 0; i < 10; i++) {
		assert_ok(mppool_apply(pool, &func, MPPOOL_ARGS(&x), &y));
		assert_code(mppool_resize(pool, 3 + i), EAGAIN);
		while (stats_of(pool).workers_alive != 1)        /* the other one is just looking for its place */
			sched_yield();
	}
	ck_assert_int_eq(mppool_state(pool), MPPOOL_RUN);
	ck_assert(disarm());
	assert_ok(mppool_apply(pool, &func, MPPOOL_ARGS(&x), &y));
	while (stats_of(pool).workers_alive != 1)
		sched_yield();
	ck_assert_uint_eq(threads_settle("mppool-w", 1), 1);
	ck_assert_uint_eq(threads_settle("mppool-w0", 1), 1);
	ck_assert_uint_eq(stats_of(pool).workers, 1);
	pool_finish(pool);
	gate_destroy(&leaving.gate);
}
END_TEST

/* A generator blocks, and there is no thread for another task handler when the next one comes, but soon afterwards. The
 * pool finds out, although the first one still blocks: by itself, by another call, or by who polls for callbacks: _i. */
enum { BY_ITSELF, BY_A_CALL, BY_A_POLL, WAYS_TO_A_HANDLER };

static void poll_to_the_end(void *pool)
{
	size_t n;

	mppool_poll(pool, MPPOOL_FOREVER, &n);
}

START_TEST(generator_that_blocks_holds_up_no_other_for_want_of_a_thread)
{
	const int mode = _i == BY_ITSELF ? MPPOOL_CALLBACKS_THREAD : MPPOOL_CALLBACKS_POLL, x = 3;
	const struct mppool_func func = make_func(inner_call, 1, sizeof(int), NULL);
	struct source blocking = SOURCE(1), other = SOURCE(5);
	const struct mppool_iterable first = source_items(&blocking), second = source_items(&other);
	mppool_iter *waits = NULL, *iter = NULL;
	struct runner poller;
	mppool *pool = NULL;
	struct gate gate;
	int y;

	gate_init(&gate);
	blocking.gate = &gate;
	blocking.block_at = 0;
	assert_ok(mppool_create(MPPOOL_OPTIONS(.workers = 1, .callback_mode = mode), &pool));
	if (_i == BY_A_POLL)
		runner_start(&poller, poll_to_the_end, pool);
	assert_ok(mppool_imap(pool, &func, &first, 1, 0, NULL, &waits));
	gate_wait_arrivals(&gate, 1);
	arm(THREAD_START, 1, 1);
	assert_ok(mppool_imap(pool, &func, &second, 1, 0, NULL, &iter));
	ck_assert(disarm());
	if (_i == BY_A_CALL)
		assert_ok(mppool_apply(pool, &func, MPPOOL_ARGS(&x), &y));
	for (int i = 0; i < 5; i++)
		assert_ok(mppool_iter_next(iter, &y, NULL, MPPOOL_FOREVER));
	assert_code(mppool_iter_next(iter, &y, NULL, MPPOOL_FOREVER), MPPOOL_ESTOP);
	ck_assert_uint_eq(atomic_load(&blocking.drawn), 0);
	gate_open(&gate);
	assert_ok(mppool_iter_next(waits, &y, NULL, MPPOOL_FOREVER));
	mppool_iter_free(waits);
	mppool_iter_free(iter);
	assert_ok(mppool_close(pool));
	if (_i == BY_A_POLL)
		runner_join(&poller);
	pool_finish(pool);
	gate_destroy(&gate);
}
END_TEST

struct barred {
	mppool *pool;
	struct gate gate;                /* the first item stands there */
	bool fails;                      /* it does, then */
	atomic_uint ran;
	struct mppool_func func;
	mppool_result *result;
};

#define CHUNKS 3000                      /* of one worker: so many that it claims them without a fence */

static int barred_call(const void *const args[], void *result, void *context)
{
	struct barred *const barred = context;

	(void)args;
	(void)result;
	if (atomic_fetch_add(&barred->ran, 1) > 0)
		return 0;
	gate_wait(&barred->gate);
	return barred->fails ? EDOM : 0;
}

static int barred_map_call(const void *const args[], void *result, void *context)
{
	struct barred *const barred = context;

	(void)args;
	*(int *)result = mppool_starmap(barred->pool, &barred->func, MPPOOL_TIMES(CHUNKS), NULL, 1);
	return 0;
}

static void barred_set(struct barred *barred)
{
	*barred = (struct barred){.pool = pool_of(1), .func = make_func(barred_call, 0, 0, barred)};
	gate_init(&barred->gate);
	atomic_store(&barriers_refused, true);
}

static void barred_end(struct barred *barred)
{
	ck_assert_uint_eq(atomic_load(&barred->ran), 1);
	atomic_store(&barriers_refused, false);
	gate_destroy(&barred->gate);
	assert_ok(mppool_destroy(barred->pool));
}

/* Nobody can see how far the owner of a span has come; it sees the halt itself. _i: of a cancel or a failing fast. */
START_TEST(map_whose_barriers_are_refused_is_halted)
{
	struct barred barred;
	int codes[CHUNKS] = {0};

	barred_set(&barred);
	barred.fails = _i;
	const struct mppool_call_options *const options =
	        MPPOOL_CALL(.codes = codes, .flags = _i ? MPPOOL_FAIL_FAST : 0);
	assert_ok(mppool_starmap_async(barred.pool, &barred.func, MPPOOL_TIMES(CHUNKS), NULL, 1, options,
	                               &barred.result));
	gate_wait_arrivals(&barred.gate, 1);
	if (!_i)
		assert_ok(mppool_result_cancel(barred.result));
	gate_open(&barred.gate);
	assert_code(mppool_result_get(barred.result, NULL, MPPOOL_FOREVER), _i ? MPPOOL_ETASK : ECANCELED);
	assert_code(codes[0], _i ? EDOM : 0);
	assert_code(codes[1], ECANCELED);
	assert_code(codes[CHUNKS - 1], ECANCELED);
	mppool_result_free(barred.result);
	barred_end(&barred);
}
END_TEST

/* The same of a terminated pool, and one who helps. */
START_TEST(nested_map_whose_barriers_are_refused_is_terminated)
{
	struct barred barred;
	const struct mppool_func outer = make_func(barred_map_call, 0, sizeof(int), &barred);
	int code = -1;

	barred_set(&barred);
	assert_ok(mppool_apply_async(barred.pool, &outer, NULL, NULL, &barred.result));
	gate_wait_arrivals(&barred.gate, 1);
	assert_ok(mppool_terminate(barred.pool));
	gate_open(&barred.gate);
	assert_ok(mppool_result_get(barred.result, &code, MPPOOL_FOREVER));
	assert_code(code, MPPOOL_ETERMINATED);
	mppool_result_free(barred.result);
	barred_end(&barred);
}
END_TEST

/* A child of fork has the pool's memory and none of its threads: destroy gives all of it back there as well. */
START_TEST(pool_destroyed_in_a_forked_child_leaks_nothing)
{
	int status = -1;
	mppool_iter *iter = NULL;
	struct source source = SOURCE(1000);
	const struct mppool_iterable items = source_items(&source);
	struct mppool_func func = make_func(inner_call, 1, sizeof(int), NULL);

	balance();
	const long before = balance();
	mppool *const pool = pool_of(3);
	assert_ok(mppool_imap(pool, &func, &items, 1, 8, NULL, &iter));
	while (atomic_load(&source.drawn) < 8)
		sched_yield();
	while (!others_sleep())
		nap();
	const pid_t child = fork_watched();
	if (child == 0) {
		mppool_iter_free(iter);
		const int code = mppool_destroy(pool);
		const long left = atomic_load(&live) - before;
		_exit(code != 0 ? 100 : left < 0 ? 101 : left < 99 ? (int)left : 99);
	}
	ck_assert_int_gt(child, 0);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFEXITED(status));
	if (!under_valgrind())                   /* which makes an exit status of its own of what it finds */
		ck_assert_int_eq(WEXITSTATUS(status), 0);
	mppool_iter_free(iter);
	pool_finish(pool);
}
END_TEST

/* ------------------------------------------------------------------------------------------- at random, under load */

/* Threads that go on calling a pool; each call comes to what it should, or to what a fault may make of it. */
#define CALLERS 2

struct callers {
	mppool *pool;
	struct runner runners[CALLERS];
	atomic_bool stop;
	atomic_long turns, accepted, called_back, submitted, dropped_args;
	atomic_long strange;
	atomic_int strange_code;
};

static void drop_caller_args(const void *const args[], void *context)
{
	(void)args;
	atomic_fetch_add(&((struct callers *)context)->dropped_args, 1);
}

static void caller_callback(const void *results, size_t n, void *userdata)
{
	(void)results;
	(void)n;
	atomic_fetch_add(&((struct callers *)userdata)->called_back, 1);
}

static void caller_error_callback(const struct mppool_error *error, void *userdata)
{
	(void)error;
	caller_callback(NULL, 0, userdata);
}

static void expect(struct callers *c, int code, bool right)
{
	if (right && (code == 0 || code == ENOMEM || code == EAGAIN))
		return;
	atomic_fetch_add(&c->strange, 1);
	atomic_store(&c->strange_code, code);
}

static void call_map(struct callers *c)
{
	struct mppool_func func = make_func(inner_call, 1, sizeof(int), c);
	mppool_result *result;
	int ys[N], codes[N], code;

	func.drop_args = drop_caller_args;
	code = mppool_map_async(c->pool, &func, MPPOOL_ARRAY(numbers, N), ys, 1,
	                        MPPOOL_CALL(.codes = codes, .callback = caller_callback,
	                                    .error_callback = caller_error_callback, .userdata = c),
	                        &result);
	expect(c, code, true);
	if (code)
		return;
	atomic_fetch_add(&c->accepted, 1);
	atomic_fetch_add(&c->submitted, N);
	expect(c, mppool_result_wait(result, MPPOOL_FOREVER), true);
	for (int i = 0; i < N; i++)
		expect(c, codes[i], ys[i] == (codes[i] ? 0 : 2 * i));
	mppool_result_free(result);
}

static void call_stream(struct callers *c)
{
	struct mppool_func func = make_func(inner_call, 1, sizeof(int), c);
	struct source source = SOURCE(N);
	const struct mppool_iterable items = source_items(&source);
	mppool_iter *iter;
	int y, code;

	func.drop_args = drop_caller_args;
	code = mppool_imap(c->pool, &func, &items, 1, 4, NULL, &iter);
	expect(c, code, true);
	if (code)
		return;
	for (int i = 0; (code = mppool_iter_next(iter, &y, NULL, MPPOOL_FOREVER)) != MPPOOL_ESTOP; i++)
		if (code == MPPOOL_EITER || code == MPPOOL_ETASK)        /* no memory for a block, or for a failure */
			expect(c, mppool_last_error()->code, true);
		else
			expect(c, code, y == 2 * i);
	mppool_iter_free(iter);
	atomic_fetch_add(&c->submitted, (long)atomic_load(&source.drawn));
}

static void call_on(void *arg)
{
	struct callers *const c = arg;

	while (!atomic_load(&c->stop)) {
		call_map(c);
		call_stream(c);
		atomic_fetch_add(&c->turns, 1);
	}
}

static void callers_start(struct callers *c, mppool *pool)
{
	*c = (struct callers){.pool = pool};
	for (int i = 0; i < CALLERS; i++)
		runner_start(&c->runners[i], call_on, c);
	while (atomic_load(&c->turns) < CALLERS)
		sched_yield();
}

static void callers_stop(struct callers *c)
{
	atomic_store(&c->stop, true);
	for (int i = 0; i < CALLERS; i++)
		runner_join(&c->runners[i]);
	assert_ok(mppool_wait_idle(c->pool, MPPOOL_FOREVER));
	ck_assert_msg(atomic_load(&c->strange) == 0, "%ld times something strange, at last %s",
	              atomic_load(&c->strange), mppool_strerrorname(atomic_load(&c->strange_code)));
	ck_assert_int_eq(atomic_load(&c->called_back), atomic_load(&c->accepted));
	ck_assert_int_eq(atomic_load(&c->dropped_args), atomic_load(&c->submitted));
}

/* Each scenario again and again while others call the same pool; _i: how often something fails. Replaced workers may
 * break their pool: those scenarios have no company. */
static const unsigned odds[] = {400, 40, 8};

START_TEST(faults_at_random_under_load_are_told_and_leak_nothing)
{
	const int rounds = under_valgrind() || UNDER_TSAN || UNDER_ASAN ? 3 : 20;
	struct callers callers;
	static struct world w;

	balance();
	const long before = balance();
	for (int round = 0; round < rounds; round++)
		for (int i = 0; i < SCENARIOS; i++) {
			const struct scenario *const s = &scenarios[i];
			if (s->makes_pool || s->may_break || s->ends_pool)
				continue;
			w = (struct world){.pool = NULL};
			assert_ok(mppool_create(MPPOOL_OPTIONS(.workers = 2), &w.pool));
			callers_start(&callers, w.pool);
			arm_at_random(odds[_i], 2, 20);
			for (int again = 0; again < 10; again++)
				s->run(&w);
			disarm();
			callers_stop(&callers);
			world_end(s, w.pool);
		}
	ck_assert_int_gt(atomic_load(&fired_ever), rounds);
	ck_assert_int_eq(balance(), before);
	say_faults("at random under load");
}
END_TEST

/* Waits that end for no reason, and nothing else: no call may notice. */
START_TEST(waits_that_end_for_no_reason_are_not_noticed)
{
	const int rounds = under_valgrind() || UNDER_TSAN || UNDER_ASAN ? 2 : 20;
	struct callers callers;
	mppool *const pool = pool_of(2);

	callers_start(&callers, pool);
	arm_at_random(0, 0, 2);
	for (int round = 0; round < rounds; round++) {
		for (int i = 0; i < N; i++)
			assert_usable(pool);
		const int code = mppool_wait_idle(pool, 0.0001);
		ck_assert(code == 0 || code == ETIMEDOUT);
	}
	disarm();
	callers_stop(&callers);
	pool_finish(pool);
	ck_assert_int_gt(atomic_load(&fired_ever), rounds);
	say_faults("waits that ended for no reason");
}
END_TEST

/* ---------------------------------------------------------------------------------------------------------- clocks */

#ifdef HAVE_FUTEX

static atomic_bool stop_jumping;

/* The monotonic clock goes forward only, the other one anywhere. */
static void jump(void *unused)
{
	(void)unused;
	while (!atomic_load(&stop_jumping)) {
		atomic_fetch_add(&ahead, (int64_t)(chance() % 1000) * 3000000);
		atomic_store(&realtime_ahead, ((int64_t)(chance() % 2000) - 1000) * 1000000000);
		usleep(500);
	}
}

static int slow_call(const void *const args[], void *result, void *context)
{
	(void)context;
	usleep(1000);
	*(int *)result = 2 * int_arg(args, 0);
	return 0;
}

/* Nothing ends late, nothing is lost: a time is over when the clock says so. */
START_TEST(jumping_clocks_end_times_and_nothing_else)
{
	const int rounds = under_valgrind() || UNDER_TSAN || UNDER_ASAN ? 10 : 100;
	const struct mppool_func func = make_func(gate_call, 1, sizeof(int), NULL);
	const struct mppool_func slow = make_func(slow_call, 1, sizeof(int), NULL);
	struct mppool_func gated = func;
	struct callers callers;
	struct runner jumper;
	struct gate gate;
	mppool_result *result;
	size_t late = 0;
	mppool *pool;
	int y;

	if (sizeof(time_t) > sizeof(long))       /* there clock_gettime() has another name, and cannot be wrapped */
		return;
	pool = pool_of(3);
	gate_init(&gate);
	gated.context = &gate;
	atomic_store(&jumping, true);
	callers_start(&callers, pool);
	runner_start(&jumper, jump, NULL);
	assert_ok(mppool_apply_async(pool, &gated, MPPOOL_ARGS(&numbers[3]), NULL, &result));
	for (int round = 0; round < rounds; round++) {
		/* A minute passes in a moment, since the clock makes some hundred seconds a second. */
		assert_code(mppool_result_wait(result, round % 10 ? 0.5 : 60), ETIMEDOUT);
		assert_code(mppool_join(pool, 1), MPPOOL_ERUNNING);
		mppool_result *timed = NULL;
		assert_ok(mppool_apply_async(pool, &slow, MPPOOL_ARGS(&numbers[5]), MPPOOL_CALL(.task_timeout = 0.5),
		                             &timed));
		const int code = mppool_result_get(timed, &y, MPPOOL_FOREVER);
		ck_assert(code == 0 ? y == 10 : code == MPPOOL_ETASK && mppool_last_error()->code == ETIMEDOUT);
		late += code != 0;
		mppool_result_free(timed);
	}
	gate_open(&gate);
	assert_ok(mppool_result_get(result, &y, MPPOOL_FOREVER));
	ck_assert_int_eq(y, 3);
	mppool_result_free(result);
	callers_stop(&callers);
	atomic_store(&stop_jumping, true);
	runner_join(&jumper);
	pool_finish(pool);
	gate_destroy(&gate);
	ck_assert_uint_gt(late, 0);
	fprintf(stderr, "# the clock went %.0f seconds ahead\n", (double)atomic_load(&ahead) / 1e9);
}
END_TEST

#endif

/* ----------------------------------------------------------------------------------------------------- descriptors */

static mppool *polled_pool(void)
{
	mppool *pool = NULL;

	assert_ok(mppool_create(MPPOOL_OPTIONS(.workers = 1, .callback_mode = MPPOOL_CALLBACKS_POLL), &pool));
	return pool;
}

static bool readable(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return poll(&p, 1, 0) == 1;
}

static size_t open_descriptors(void)
{
	size_t n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += __real_fcntl(fd, F_GETFD, 0) >= 0;
	return n;
}

static void one_callback_comes_due(mppool *pool, struct callers *userdata)
{
	const struct mppool_func func = make_func(inner_call, 1, sizeof(int), NULL);
	mppool_result *result;

	assert_ok(mppool_apply_async(pool, &func, MPPOOL_ARGS(&numbers[1]),
	                             MPPOOL_CALL(.callback = caller_callback, .userdata = userdata), &result));
	assert_ok(mppool_result_wait(result, MPPOOL_FOREVER));
	mppool_result_free(result);
}

/* Each call by which the descriptor is opened: eventfd(), or pipe2(), or pipe() and several of fcntl(). */
START_TEST(descriptor_that_cannot_be_opened_is_told_and_changes_nothing)
{
	const int errors[] = {EMFILE, ENFILE, ENOMEM};
	struct callers callers = {.pool = NULL};
	size_t n, failed = 0;

	for (long from = 1; from < 8; from++) {
		mppool *const pool = polled_pool();
		const size_t open = open_descriptors();
		int fd = -7;
		one_callback_comes_due(pool, &callers);
		atomic_store(&fault_errno, errors[from % 3]);
		arm(DESCRIPTOR, from, from);
		errno = 99;
		const int code = mppool_fd(pool, &fd);
		const bool met = disarm();
		ck_assert_int_eq(errno, 99);
		if (code != 0) {
			assert_code(code, errors[from % 3]);
			ck_assert(met);
			ck_assert_int_eq(fd, -7);
			ck_assert_uint_eq(open_descriptors(), open);
			failed++;
			assert_ok(mppool_fd(pool, &fd));
		}
		ck_assert(readable(fd));
		assert_ok(mppool_poll(pool, 0, &n));
		ck_assert(n == 1 && !readable(fd));
		pool_finish(pool);
		ck_assert_uint_le(open_descriptors(), open);
	}
	ck_assert_uint_ge(failed, 1);
	ck_assert_int_eq(atomic_load(&callers.called_back), 7);
	say_faults("opening a descriptor");
}
END_TEST

/* EINTR, several times one after the other. */
START_TEST(descriptor_says_what_is_due_although_its_transfers_are_interrupted)
{
	struct callers callers = {.pool = NULL};
	mppool *const pool = polled_pool();
	size_t n;
	int fd;

	assert_ok(mppool_fd(pool, &fd));
	atomic_store(&fault_errno, EINTR);
	for (int times = 0; times < 5; times++) {
		arm(TRANSFER, 1, times);
		one_callback_comes_due(pool, &callers);
		ck_assert(readable(fd));
		arm(TRANSFER, 1, times);
		assert_ok(mppool_poll(pool, 0, &n));
		ck_assert(n == 1 && !readable(fd));
		ck_assert_int_eq(disarm(), times > 0);
	}
	pool_finish(pool);
	say_faults("reading and writing a descriptor");
}
END_TEST

/* ---------------------------------------------------------------------------------------------------------- traces */

static char trace_path[64];

/* A call in a pool that is traced: whatever becomes of the trace, it is as if there were none. */
static void traced_call(void)
{
	const struct mppool_func func = make_func(inner_call, 1, sizeof(int), NULL);
	mppool *pool = NULL;
	int ys[N] = {0};

	assert_ok(mppool_create(MPPOOL_OPTIONS(.workers = 2, .trace = trace_path), &pool));
	for (int i = 0; i < 20; i++)
		assert_ok(mppool_map(pool, &func, MPPOOL_ARRAY(numbers, N), ys, 1));
	for (int i = 0; i < N; i++)
		ck_assert_int_eq(ys[i], 2 * i);
	pool_finish(pool);
}

/* The file has whole events only, though perhaps not its last bracket; or it could not even be begun. `complete`: it
 * lacks nothing. */
static void assert_whole_events(bool complete)
{
	FILE *const f = fopen(trace_path, "r");
	char first[2] = "", last[3] = "";
	long size = 0;

	if (!f)
		return;
	if (fread(first, 1, 2, f) == 2 && fseek(f, 0, SEEK_END) == 0 && (size = ftell(f)) > 3) {
		fseek(f, -3, SEEK_END);
		ck_assert_uint_eq(fread(last, 1, 3, f), 3);
	}
	fclose(f);
	if (complete)
		ck_assert(size > 1000 && memcmp(last, "\n]\n", 3) == 0);
	if (size == 0)
		return;
	ck_assert_msg(memcmp(first, "[\n", 2) == 0, "a trace of %ld bytes begins with \"%.2s\"", size, first);
	ck_assert_msg(last[2] == '}' || memcmp(last, "\n]\n", 3) == 0, "a trace ends with \"%.3s\"", last);
}

/* What the last fault interrupted is done again, and nothing is lost. */
static bool is_begun_again(void)
{
	return strcmp(atomic_load(&failed_call), "open") == 0 || strcmp(atomic_load(&failed_call), "write") == 0;
}

START_TEST(trace_that_cannot_be_written_is_no_fault_of_the_pool)
{
	const int errors[] = {ENOSPC, EIO, EMFILE, EINTR};
	const long step = under_valgrind() || UNDER_TSAN || UNDER_ASAN ? 5 : 1;
	const size_t open = open_descriptors();
	int unmet = 0;

	snprintf(trace_path, sizeof trace_path, "/tmp/mppool-faults-%d.json", (int)getpid());
	traced_call();
	assert_whole_events(true);
	balance();
	const long before = balance();
	for (long from = 1; unmet < 3 && from < 200; from += step)
		for (int i = 0; i < 8; i++) {
			ck_assert_int_eq(truncate(trace_path, 0), 0);
			atomic_store(&fault_errno, errors[i / 2]);
			arm(TRACE_FILE, from, i % 2 && errors[i / 2] != EINTR ? LONG_MAX : from);
			traced_call();
			unmet = disarm() ? 0 : unmet + 1;
			assert_whole_events(unmet || (errors[i / 2] == EINTR && is_begun_again()));
			ck_assert_uint_eq(open_descriptors(), open);
			ck_assert_int_eq(balance(), before);
		}
	unlink(trace_path);
	ck_assert_int_gt(atomic_load(&fired_ever), 20);
	say_faults("writing a trace");
}
END_TEST

/* ----------------------------------------------------------------------------------------------------- the program */

static void fill(Suite *suite)
{
	TCase *const wrappers = add_case(suite, "wrappers");
	TCase *const faults = add_case(suite, "faults");
	TCase *const chances = add_case(suite, "random");
	TCase *const files = add_case(suite, "files");

	tcase_add_test(wrappers, faults_come_where_they_are_asked_for);
	tcase_add_test(wrappers, pool_destroyed_in_a_forked_child_leaks_nothing);
	tcase_add_test(faults, dismissed_worker_stays_until_another_has_come);
	tcase_add_loop_test(faults, generator_that_blocks_holds_up_no_other_for_want_of_a_thread, 0,
	                    WAYS_TO_A_HANDLER);
	tcase_add_loop_test(faults, map_whose_barriers_are_refused_is_halted, 0, 2);
	tcase_add_test(faults, nested_map_whose_barriers_are_refused_is_terminated);
	tcase_add_loop_test(faults, each_fault_in_turn_is_told_and_leaks_nothing, 0, SCENARIOS);
	tcase_add_loop_test(chances, faults_at_random_under_load_are_told_and_leak_nothing, 0, 3);
	tcase_add_test(chances, waits_that_end_for_no_reason_are_not_noticed);
#ifdef HAVE_FUTEX
	tcase_add_test(chances, jumping_clocks_end_times_and_nothing_else);
#endif
	tcase_add_test(files, descriptor_that_cannot_be_opened_is_told_and_changes_nothing);
	tcase_add_test(files, descriptor_says_what_is_due_although_its_transfers_are_interrupted);
	tcase_add_test(files, trace_that_cannot_be_written_is_no_fault_of_the_pool);
}

int main(int argc, char **argv)
{
	return run_suite("faults", fill, argc, argv);
}
