/* mppool.h - multiprocessing.pool for C
 *
 * SPDX-License-Identifier: MIT
 *
 * Every call is described in full in the manual: start with mppool(7), or with mppool_python(7) when there is Python
 * code in hand. Here each declaration has its contract in a line or two. The macros that turn ordinary functions into
 * tasks, with calls that the compiler checks, are in mppool-sugar.h, which this header includes.
 *
 * Rules that hold for every call:
 *   - An int result is 0 or a positive code: an errno value or one of enum mppool_code. No call returns EINTR.
 *   - Outputs are named ret_*, come last, before or behind a timeout, and are untouched on failure unless the call's
 *     page says otherwise.
 *   - A struct that the caller fills begins with its size; a member that is zero means the default.
 *   - Structs, vectors and strings are copied before a call returns; items, results, codes, state, context and userdata
 *     are lent until the result is ready, or until mppool_iter_free() has returned.
 *   - Timeouts are seconds on the monotonic clock: negative or infinite waits for ever, 0 polls, NaN is EINVAL.
 *   - Every function may be called by any thread, on any pool, also from tasks, callbacks and generators. User
 *     functions are never called with a lock of the library held. */
#ifndef MPPOOL_H
#define MPPOOL_H

#include <stddef.h>
#include <stdint.h>

#define MPPOOL_VERSION_MAJOR 0
#define MPPOOL_VERSION_MINOR 9
#define MPPOOL_VERSION_PATCH 0

#define MPPOOL_MAX_ARGS 8                /* arguments of one function, for ever */
#define MPPOOL_FOREVER (-1.0)            /* a timeout that never runs out */
#define MPPOOL_UNKNOWN ((size_t)-1)      /* a length that nobody knows yet */
#define MPPOOL_UNBOUNDED ((size_t)-1)    /* buffersize: draw on without waiting, as Python does */

/* ---------------------------------------------------------------------------------------------------- private sugar */

#if defined(__GNUC__) || defined(__clang__)
#define MPPOOL_ATTR_(x) __attribute__(x)
#else
#define MPPOOL_ATTR_(x)
#endif

/* A code that is ignored leaves the caller with results that are none. */
#define MPPOOL_CHECKED_ MPPOOL_ATTR_((warn_unused_result))

#if defined(__cplusplus) && __cplusplus >= 201402L
#define MPPOOL_ZERO_ {}                  /* designated initialisers may leave the member out, without a warning */
#else
#define MPPOOL_ZERO_
#endif

#ifdef __cplusplus
#define MPPOOL_STATIC_ASSERT_(condition, message) static_assert(condition, message)
#define MPPOOL_ALIGNOF_(T) alignof(T)
#else
#define MPPOOL_STATIC_ASSERT_(condition, message) _Static_assert(condition, message)
#define MPPOOL_ALIGNOF_(T) _Alignof(T)
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ------------------------------------------------------------------------------------------------------------- codes */

enum mppool_code {
	MPPOOL_ETASK = 10001,            /* a task failed: mppool_last_error() has its index, code and message */
	MPPOOL_ESTOP = 10002,            /* no more items (StopIteration) */
	MPPOOL_ECLOSED = 10003,          /* the pool is not running (ValueError: Pool not running) */
	MPPOOL_ERUNNING = 10004,         /* joined before close or terminate (ValueError: Pool is still running) */
	MPPOOL_ENOTREADY = 10005,        /* the result is not ready (ValueError) */
	MPPOOL_ETERMINATED = 10006,      /* the pool was terminated before the task ran */
	MPPOOL_EBROKEN = 10007,          /* an initializer failed: the pool takes no work */
	MPPOOL_ELOST = 10008,            /* the worker went away in the middle of the item */
	MPPOOL_EITER = 10009,            /* the generator failed: mppool_last_error() has its code */
	MPPOOL_EFULL = 10010,            /* the queue is full and MPPOOL_NOWAIT was given (queue.Full) */
	MPPOOL_EFORKED = 10011,          /* the handle belongs to the parent process */
	MPPOOL_ENOCODE = 10012           /* a failure was raised with code 0 */
};

const char *mppool_strerror(int code);           /* a sentence; never NULL; errno values too; thread-safe */
const char *mppool_strerrorname(int code);       /* "MPPOOL_ETASK", "EINVAL"; never NULL; thread-safe */

struct mppool_error {
	int code;                        /* what the task, the generator or the initializer returned */
	int reserved;
	size_t index;                    /* task: place in the input; generator: items drawn before; initializer: worker */
	const char *message;             /* never NULL */
};

/* Why the last call of this thread that returned a code other than 0 did so: of MPPOOL_ETASK, MPPOOL_EITER and
 * MPPOOL_EBROKEN the failure, else the code with a sentence that names what is wrong. Never NULL. Like errno it survives
 * calls that succeed; it is valid until the next failure in this thread. */
const struct mppool_error *mppool_last_error(void);

/* Writes "prefix: why" to stderr, with what mppool_last_error() says if the code is the one that it belongs to. */
void mppool_perror(const char *prefix, int code);

const char *mppool_version(void);                /* "MAJOR.MINOR.PATCH" of the library at run time */
int mppool_cpu_count(void);                      /* CPUs this process may use: affinity and cgroup quota; at least 1 */

/* --------------------------------------------------------------------------------------------------------- functions */

enum { MPPOOL_VALUES = 0, MPPOOL_ADDRESSES = 1, MPPOOL_RANGES = 2 };     /* column.kind */

struct mppool_column {                   /* one argument of every item */
	const void *base;
	size_t stride;                   /* bytes from one item to the next; 0 repeats one value; a range: its step */
	size_t size;                     /* bytes of one argument; 0: not checked */
	size_t kind;                     /* the elements, their addresses, or integers that are in no array */
	int64_t start;                   /* a range: the first integer */
};

struct mppool_chunk {                    /* filled by the library */
	size_t size;
	size_t first;                    /* place in the input of the chunk's first item */
	size_t count;                    /* items in this chunk, at least 1 */
	const struct mppool_column *columns;     /* one per argument, based at the first item; any stride, 0 too */
	void *results;                   /* never NULL when result_size > 0 */
	size_t result_stride;            /* any, 0 too: results are dropped */
	size_t *failed;                  /* SIZE_MAX at the call; set it to the item (0 to count-1) that failed */
};

/* Runs one item: 0, or any other value to fail. Called under no lock, by several threads at once. */
typedef int mppool_item_call(const void *const args[], void *result, void *context);

/* Runs the items of a chunk: 0 when all ran. Otherwise item *failed failed with the returned code, those before it
 * succeeded and the library calls again for those after it; SIZE_MAX left in *failed: all failed. */
typedef int mppool_chunk_call(const struct mppool_chunk *chunk, void *context);

struct mppool_func {
	size_t size;                     /* sizeof (struct mppool_func) */
	mppool_item_call *call;          /* either of the two may be NULL */
	mppool_chunk_call *chunk_call;
	size_t nargs;                    /* 0 to MPPOOL_MAX_ARGS */
	size_t arg_size[MPPOOL_MAX_ARGS];        /* bytes of each argument */
	size_t result_size;              /* bytes of one result; 0: none */
	void *context;                   /* handed to every call */
	void (*drop_args)(const void *const args[], void *context);      /* exactly once per item, after it ran or instead */
	void (*drop_result)(void *result, void *context);        /* exactly once per successful result nobody took */
	void (*release)(void *context);  /* exactly once per accepted call, last */
	const char *name;                /* for traces and messages */
};

/* In tasks, initializers and generators: leave a message for the failure and return the code, so that a task ends with
 * `return mppool_raise(EINVAL, "bad row %zu", i);`. Elsewhere they only return their code. Code 0 becomes MPPOOL_ENOCODE.
 * What has raised has failed, whatever it returns, unless it takes that back. */
int mppool_raise(int code, const char *format, ...) MPPOOL_ATTR_((format(printf, 2, 3)));
int mppool_raise_message(int code, const char *message);
int mppool_raised(void);                 /* the code last raised in this item, 0 if none */
void mppool_raise_undo(void);            /* nothing was raised in this item */

/* ------------------------------------------------------------------------------------------------------------- items */

struct mppool_iterable {
	size_t size;
	const struct mppool_column *columns;     /* arrays, read in place: one column per argument */
	size_t ncolumns;
	size_t length;                   /* arrays: items; generator: a bound, 0 or MPPOOL_UNKNOWN: none */
	int (*next)(void *const args[], void *state);    /* 0 and an item, MPPOOL_ESTOP, or a code of its own to fail */
	void (*finish)(void *state);     /* exactly once per accepted call: neither columns nor state are used any more */
	void *state;
};

/* -------------------------------------------------------------------------------------------------------------- pool */

typedef struct mppool mppool;
typedef struct mppool_result mppool_result;      /* AsyncResult */
typedef struct mppool_iter mppool_iter;          /* IMapIterator */

enum { MPPOOL_CALLBACKS_THREAD = 0, MPPOOL_CALLBACKS_POLL = 1 };                 /* options.callback_mode */
enum { MPPOOL_CALLER_HELPS = 1u << 0 };                                          /* options.flags */
enum { MPPOOL_NOWAIT = 1u << 0, MPPOOL_FAIL_FAST = 1u << 1, MPPOOL_KEEP_LATE = 1u << 2 };  /* call_options.flags */
enum { MPPOOL_RUN = 0, MPPOOL_CLOSED = 1, MPPOOL_TERMINATED = 2, MPPOOL_BROKEN = 3 };    /* mppool_state() */

struct mppool_options {
	size_t size;
	int workers MPPOOL_ZERO_;                /* 0: MPPOOL_WORKERS in the environment, else mppool_cpu_count() */
	int callback_mode MPPOOL_ZERO_;          /* MPPOOL_CALLBACKS_THREAD, or _POLL: see mppool_poll() */
	int (*initializer)(void *initarg, void **ret_state) MPPOOL_ZERO_;        /* first in every worker */
	void (*finalizer)(void *initarg, void *state) MPPOOL_ZERO_;              /* last in every worker */
	void *initarg MPPOOL_ZERO_;
	size_t max_tasks_per_worker MPPOOL_ZERO_;        /* chunks after which a worker is replaced; 0: never */
	size_t queue_limit MPPOOL_ZERO_;         /* most calls that have not started; 0: no limit */
	size_t stack_size MPPOOL_ZERO_;          /* bytes of each thread's stack; 0: the system's, at least 1 MiB */
	const char *name MPPOOL_ZERO_;           /* of the threads; NULL: "mppool" */
	const int *cpus MPPOOL_ZERO_;            /* worker i runs on cpus[i % ncpus]; NULL: anywhere */
	size_t ncpus MPPOOL_ZERO_;
	const char *trace MPPOOL_ZERO_;          /* a trace file; NULL: MPPOOL_TRACE in the environment; "": none */
	unsigned flags MPPOOL_ZERO_;             /* MPPOOL_CALLER_HELPS */
	unsigned reserved MPPOOL_ZERO_;
};

struct mppool_call_options {
	size_t size;
	void (*callback)(const void *results, size_t n, void *userdata) MPPOOL_ZERO_;
	void (*error_callback)(const struct mppool_error *error, void *userdata) MPPOOL_ZERO_;
	void *userdata MPPOOL_ZERO_;
	int *codes MPPOOL_ZERO_;                 /* one outcome per item */
	double task_timeout MPPOOL_ZERO_;        /* seconds an item may run; 0: no limit */
	double submit_timeout MPPOOL_ZERO_;      /* seconds to wait for room in the queue; 0: no limit */
	int priority MPPOOL_ZERO_;               /* 1 before 0 before -1 */
	unsigned flags MPPOOL_ZERO_;             /* MPPOOL_NOWAIT, MPPOOL_FAIL_FAST, MPPOOL_KEEP_LATE */
};

int mppool_create(const struct mppool_options *options, mppool **ret_pool) MPPOOL_CHECKED_;  /* NULL: all defaults */
int mppool_close(mppool *pool);                  /* no new work from outside; idempotent; does not wait */
int mppool_terminate(mppool *pool);              /* what has not started never will; does not wait */
int mppool_wait_idle(mppool *pool, double timeout);      /* until nothing waits or runs; the pool stays open */
int mppool_resize(mppool *pool, int workers);    /* more of them: waits for their initializers; fewer: for nobody */
int mppool_join(mppool *pool, double timeout) MPPOOL_CHECKED_;   /* until all threads of the pool are gone */
int mppool_destroy(mppool *pool);                /* terminates if need be, joins, frees; NULL: nothing */
int mppool_state(const mppool *pool);            /* MPPOOL_RUN ... MPPOOL_BROKEN */

/* ---------------------------------------------------------------------------------------------------------- counters */

struct mppool_worker_counters {          /* of all threads that were worker 0, 1, ... */
	uint64_t done;                   /* items that it ran and that returned 0 */
	uint64_t failed;                 /* items that it ran and that failed */
	uint64_t running;                /* calls of functions: 1, more if one waits for another, 0 */
	double seconds_busy;             /* in service and awake */
	double seconds_idle;             /* asleep for want of work */
};

struct mppool_counters {
	size_t size;                     /* sizeof (struct mppool_counters): no more than that is written */
	size_t per_worker_size;          /* sizeof (struct mppool_worker_counters), if there is an array */
	struct mppool_worker_counters *per_worker;       /* lent: gets those of each worker; NULL: nobody asked */
	size_t per_worker_room;          /* how many it has room for */
	/* Items. Once nothing waits or runs submitted is the sum of done, failed, cancelled and dropped. */
	uint64_t submitted;              /* accepted; of a generator: drawn */
	uint64_t done;                   /* returned 0 */
	uint64_t failed;                 /* ran, and ended with another code */
	uint64_t cancelled;              /* never ran: ECANCELED */
	uint64_t dropped;                /* never ran: the pool was terminated or broken */
	uint64_t waiting;                /* accepted, and neither ended nor running */
	uint64_t running;                /* calls of functions that have not returned */
	/* Calls. */
	uint64_t queued;                 /* with items that no worker has taken */
	uint64_t most_queued;
	/* Workers. */
	uint64_t workers;                /* as many as there should be */
	uint64_t workers_alive;          /* as many as there are */
	uint64_t workers_ever;           /* indexes that were ever in use: so many of per_worker are filled */
	uint64_t workers_busy;           /* that have found something to do */
	uint64_t most_busy;
	double seconds_busy;             /* of all workers together */
	double seconds_idle;
};

int mppool_stats(const mppool *pool, struct mppool_counters *ret_counters);      /* a snapshot; stops nobody */

/* Python's repr, and the counters in words, as snprintf: the length of all of it, however small the buffer. */
size_t mppool_describe(const mppool *pool, char *buffer, size_t size);

/* -------------------------------------------------------------------------------------------------------- submitting */

/* Run one item and wait for it: `*ret_result = func(args)`. NULL ret_result: its result is dropped. */
int mppool_apply(mppool *pool, const struct mppool_func *func, const void *const args[],
                 void *ret_result) MPPOOL_CHECKED_;

/* The calls that wait, with options: no callbacks. NULL options: as without them. */
int mppool_apply_with(mppool *pool, const struct mppool_func *func, const void *const args[], void *ret_result,
                      const struct mppool_call_options *options) MPPOOL_CHECKED_;
int mppool_map_with(mppool *pool, const struct mppool_func *func, const struct mppool_iterable *items, void *results,
                    size_t chunksize, const struct mppool_call_options *options) MPPOOL_CHECKED_;
int mppool_starmap_with(mppool *pool, const struct mppool_func *func, const struct mppool_iterable *items,
                        void *results, size_t chunksize, const struct mppool_call_options *options) MPPOOL_CHECKED_;

/* Queue one item. NULL ret_result: fire and forget. */
int mppool_apply_async(mppool *pool, const struct mppool_func *func, const void *const args[],
                       const struct mppool_call_options *options, mppool_result **ret_result) MPPOOL_CHECKED_;

/* `for (i = 0; i < n; i++) results[i] = func(items[i]);` for a function of one argument. NULL results: dropped. */
int mppool_map(mppool *pool, const struct mppool_func *func, const struct mppool_iterable *items, void *results,
               size_t chunksize) MPPOOL_CHECKED_;

/* The same without waiting. NULL results: kept by the library until mppool_result_free(). */
int mppool_map_async(mppool *pool, const struct mppool_func *func, const struct mppool_iterable *items, void *results,
                     size_t chunksize, const struct mppool_call_options *options,
                     mppool_result **ret_result) MPPOOL_CHECKED_;

/* As map and map_async, for functions of any number of arguments. */
int mppool_starmap(mppool *pool, const struct mppool_func *func, const struct mppool_iterable *items, void *results,
                   size_t chunksize) MPPOOL_CHECKED_;
int mppool_starmap_async(mppool *pool, const struct mppool_func *func, const struct mppool_iterable *items,
                         void *results, size_t chunksize, const struct mppool_call_options *options,
                         mppool_result **ret_result) MPPOOL_CHECKED_;

/* Results one by one, in input order or as they come; at most buffersize items are drawn and not yet taken. On failure
 * *ret_iter is NULL, an iterator without items. */
int mppool_imap(mppool *pool, const struct mppool_func *func, const struct mppool_iterable *items, size_t chunksize,
                size_t buffersize, const struct mppool_call_options *options, mppool_iter **ret_iter) MPPOOL_CHECKED_;
int mppool_imap_unordered(mppool *pool, const struct mppool_func *func, const struct mppool_iterable *items,
                          size_t chunksize, size_t buffersize, const struct mppool_call_options *options,
                          mppool_iter **ret_iter) MPPOOL_CHECKED_;

/* ----------------------------------------------------------------------------------------------- results, iterators */

int mppool_result_wait(mppool_result *result, double timeout);           /* 0 when ready, or ETIMEDOUT, EDEADLK */
int mppool_result_get(mppool_result *result, void *ret_results,
                      double timeout) MPPOOL_CHECKED_;                   /* NULL: only the outcome */
int mppool_result_ready(const mppool_result *result);                    /* 1 or 0 */
int mppool_result_successful(const mppool_result *result, int *ret_successful) MPPOOL_CHECKED_;
const void *mppool_result_value(const mppool_result *result);            /* NULL until ready; valid until free */
const struct mppool_error *mppool_result_error(const mppool_result *result);     /* NULL unless ready and failed */
void *mppool_result_userdata(const mppool_result *result);
int mppool_result_cancel(mppool_result *result);                         /* 0, EBUSY: all had started, EALREADY */
int mppool_result_progress(const mppool_result *result, size_t *ret_done, size_t *ret_total);

/* Waits as mppool_result_wait() does and meanwhile shows how far it is: a bar where fd is a terminal, else a line now and
 * then. NULL label: none. What cannot be written is left out, and changes nothing. */
int mppool_result_progress_bar(mppool_result *result, int fd, const char *label, double timeout);
void mppool_result_free(mppool_result *result);                          /* at any time; does not wait */

/* The next result: 0, MPPOOL_ETASK (this item failed, go on), MPPOOL_ESTOP, ETIMEDOUT (try again), ... NULL iter:
 * MPPOOL_ESTOP. */
int mppool_iter_next(mppool_iter *iter, void *ret_result, size_t *ret_index, double timeout) MPPOOL_CHECKED_;
int mppool_iter_cancel(mppool_iter *iter);
int mppool_iter_progress(mppool_iter *iter, size_t *ret_done, size_t *ret_total);        /* items that have ended */
int mppool_iter_progress_bar(mppool_iter *iter, int fd, const char *label);      /* mppool_iter_next() shows it then */

/* The same descriptor at every call: readable while mppool_iter_next() has something to say; never to be read or closed.
 * Once in a while it is readable and mppool_iter_next(..., 0) says ETIMEDOUT: go on polling. */
int mppool_iter_fd(mppool_iter *iter, int *ret_fd) MPPOOL_CHECKED_;
void mppool_iter_free(mppool_iter *iter);                                /* stops drawing and waits for what runs */

/* --------------------------------------------------------------------------------------------- callbacks by polling */

/* With MPPOOL_CALLBACKS_POLL a result is ready when its items have ended; its callback runs in a later mppool_poll(), on
 * the thread that calls it, one at a time; until then userdata is lent. Runs those that are due, after waiting until one
 * is; 0 with *ret_run 0 when none came. Close and join do not wait for callbacks, and poll works after them; destroy
 * runs those that are left. */
int mppool_poll(mppool *pool, double timeout, size_t *ret_run);

/* The same descriptor at every call: readable while callbacks are due; never to be read or closed. For event loops. */
int mppool_fd(mppool *pool, int *ret_fd) MPPOOL_CHECKED_;

/* ----------------------------------------------------------------------------------------------- groups of results */

enum { MPPOOL_FIRST_COMPLETED = 0, MPPOOL_FIRST_FAILED = 1, MPPOOL_ALL_COMPLETED = 2 };          /* mppool_wait() */

/* concurrent.futures.wait: until one of n results is ready, until one has failed or all are ready, until all are ready.
 * 0 with the number of those that are ready, or ETIMEDOUT, EDEADLK. A result that is freed meanwhile counts no more. */
int mppool_wait(mppool_result *const results[], size_t n, int when, double timeout, size_t *ret_ready);

/* concurrent.futures.as_completed: mppool_iter_next() hands out the results themselves, as mppool_result pointers, in the
 * order of completion. They stay the caller's; one that was freed before its turn is left out. */
int mppool_as_completed(mppool_result *const results[], size_t n, mppool_iter **ret_iter) MPPOOL_CHECKED_;

/* ----------------------------------------------------------------------------------------------------- inside a task */

int mppool_worker_index(void);           /* 0 to workers-1; outside a worker -1 */
void *mppool_worker_state(void);         /* what the initializer stored; outside a worker NULL */
size_t mppool_item_index(void);          /* place of the running item in the input; outside an item 0 */
int mppool_should_stop(void);            /* 1: this item was cancelled, timed out, or its pool terminated */
int mppool_stop_reason(void);            /* why: ECANCELED, ETIMEDOUT, MPPOOL_ETERMINATED, MPPOOL_EBROKEN; MPPOOL_ETASK:
                                          * another item failed, MPPOOL_FAIL_FAST; 0: go on */
int mppool_stop_fd(int *ret_fd) MPPOOL_CHECKED_;         /* for poll(): readable once this item is to stop; not to be
                                                          * read or closed */
mppool *mppool_current(void);            /* the pool this thread is working for, or NULL */

#ifdef __cplusplus
}
#endif

#include "mppool-sugar.h"

#endif
