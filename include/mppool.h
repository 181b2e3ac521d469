/* mppool.h - multiprocessing.pool for C
 *
 * SPDX-License-Identifier: MIT
 *
 * Every call is described in full in the manual: start with mppool(7), or with mppool_python(7) when there is Python
 * code in hand. Here each declaration has its contract in a line or two.
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

#ifdef __cplusplus
#include <cstddef>
#include <initializer_list>
#include <type_traits>
#endif

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

#if defined(__cplusplus) && __cplusplus >= 202002L
#define MPPOOL_ZERO_ {}                  /* designated initialisers may leave the member out */
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
	MPPOOL_EFUNC = 10012             /* the workers do not have this function, or what its context points to */
};

const char *mppool_strerror(int code);           /* a sentence; never NULL; errno values too; thread-safe */
const char *mppool_strerrorname(int code);       /* "MPPOOL_ETASK", "EINVAL"; never NULL; thread-safe */

struct mppool_error {
	int code;                        /* what the task, the generator or the initializer returned */
	int status;                      /* of MPPOOL_ELOST: the worker process's, as waitpid() tells; else 0 */
	size_t index;                    /* task: place in the input; generator: items drawn before; initializer: worker */
	const char *message;             /* never NULL */
};

/* Behind the last MPPOOL_ETASK, MPPOOL_EITER or MPPOOL_EBROKEN that this thread got. Never NULL. Like errno it survives
 * calls that succeed; it is valid until the next such failure in this thread. */
const struct mppool_error *mppool_last_error(void);

const char *mppool_version(void);                /* "MAJOR.MINOR.PATCH" of the library at run time */
int mppool_cpu_count(void);                      /* CPUs this process may use: affinity and cgroup quota; at least 1 */

/* --------------------------------------------------------------------------------------------------------- functions */

struct mppool_column {                   /* one argument of every item */
	const void *base;
	size_t stride;                   /* bytes from one item to the next; 0 repeats one value */
	size_t size;                     /* bytes of one element; 0: not checked */
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
	size_t context_size;             /* bytes of *context that worker processes get a copy of; 0: the pointer itself */
};

/* In tasks, initializers and generators: leave a message for the failure and return the code, so that a task ends with
 * `return mppool_raise(EINVAL, "bad row %zu", i);`. Elsewhere they only return their code. */
int mppool_raise(int code, const char *format, ...) MPPOOL_ATTR_((format(printf, 2, 3)));
int mppool_raise_message(int code, const char *message);
int mppool_raised(void);                 /* the code last raised in this item, 0 if none */

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
enum { MPPOOL_THREADS = 0, MPPOOL_PROCESSES = 1, MPPOOL_MPI = 2 };               /* options.kind */
enum { MPPOOL_CALLER_HELPS = 1u << 0 };                                          /* options.flags */
enum { MPPOOL_NOWAIT = 1u << 0, MPPOOL_FAIL_FAST = 1u << 1 };                    /* call_options.flags */
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
	unsigned kind MPPOOL_ZERO_;              /* MPPOOL_THREADS, MPPOOL_PROCESSES */
	double kill_after MPPOOL_ZERO_;          /* seconds a task may go on once asked to stop, before its process is
	                                          * killed; 0: 0.1; negative: never killed. Processes only */
	size_t initarg_size MPPOOL_ZERO_;        /* bytes of *initarg that the pool copies; 0: the pointer itself */
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
	unsigned flags MPPOOL_ZERO_;             /* MPPOOL_NOWAIT, MPPOOL_FAIL_FAST */
};

int mppool_create(const struct mppool_options *options, mppool **ret_pool);      /* NULL: all defaults */
int mppool_close(mppool *pool);                  /* no new work from outside; idempotent; does not wait */
int mppool_terminate(mppool *pool);              /* what has not started never will; does not wait */
int mppool_wait_idle(mppool *pool, double timeout);      /* until nothing waits or runs; the pool stays open */
int mppool_resize(mppool *pool, int workers);    /* more of them: waits for their initializers; fewer: for nobody */
int mppool_join(mppool *pool, double timeout);   /* until all threads of the pool are gone */
int mppool_destroy(mppool *pool);                /* terminates if need be, joins, frees; NULL: nothing */
int mppool_state(const mppool *pool);            /* MPPOOL_RUN ... MPPOOL_BROKEN */

/* ---------------------------------------------------------------------------------------------------------- counters */

struct mppool_worker_counters {          /* of all threads that were worker 0, 1, ... */
	uint64_t done;                   /* items that it ran and that returned 0 */
	uint64_t failed;                 /* items that it ran and that failed */
	uint64_t running;                /* calls of functions: 1, more if one waits for another, 0 */
	double seconds_busy;             /* in service and awake */
	double seconds_idle;             /* asleep for want of work */
	uint64_t pid;                    /* of its process; 0: a thread, or none now */
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
	uint64_t workers_lost;           /* worker processes that died at work, or were killed */
};

int mppool_stats(const mppool *pool, struct mppool_counters *ret_counters);      /* a snapshot; stops nobody */

/* Python's repr, and the counters in words, as snprintf: the length of all of it, however small the buffer. */
size_t mppool_describe(const mppool *pool, char *buffer, size_t size);

/* -------------------------------------------------------------------------------------------------- worker processes */

/* Memory that worker processes have at the same address, zeroed, in whole pages. Items, results and what they point to
 * are used in place there. NULL: none is left, or this is a worker process. NULL may be freed. */
void *mppool_shared_alloc(size_t size);
void mppool_shared_free(void *memory);

/* Workers of pools made later have the program's memory as it is now. For the beginning of main(), before there are
 * threads. 0, ENOTSUP, or why no process could be made. */
int mppool_fork_server(void);

/* -------------------------------------------------------------------------------------------------------- submitting */

/* Run one item and wait for it: `*ret_result = func(args)`. NULL ret_result: its result is dropped. */
int mppool_apply(mppool *pool, const struct mppool_func *func, const void *const args[], void *ret_result);

/* Queue one item. NULL ret_result: fire and forget. */
int mppool_apply_async(mppool *pool, const struct mppool_func *func, const void *const args[],
                       const struct mppool_call_options *options, mppool_result **ret_result);

/* `for (i = 0; i < n; i++) results[i] = func(items[i]);` for a function of one argument. NULL results: dropped. */
int mppool_map(mppool *pool, const struct mppool_func *func, const struct mppool_iterable *items, void *results,
               size_t chunksize);

/* The same without waiting. NULL results: kept by the library until mppool_result_free(). */
int mppool_map_async(mppool *pool, const struct mppool_func *func, const struct mppool_iterable *items, void *results,
                     size_t chunksize, const struct mppool_call_options *options, mppool_result **ret_result);

/* As map and map_async, for functions of any number of arguments. */
int mppool_starmap(mppool *pool, const struct mppool_func *func, const struct mppool_iterable *items, void *results,
                   size_t chunksize);
int mppool_starmap_async(mppool *pool, const struct mppool_func *func, const struct mppool_iterable *items,
                         void *results, size_t chunksize, const struct mppool_call_options *options,
                         mppool_result **ret_result);

/* Results one by one, in input order or as they come; at most buffersize items are drawn and not yet taken. */
int mppool_imap(mppool *pool, const struct mppool_func *func, const struct mppool_iterable *items, size_t chunksize,
                size_t buffersize, const struct mppool_call_options *options, mppool_iter **ret_iter);
int mppool_imap_unordered(mppool *pool, const struct mppool_func *func, const struct mppool_iterable *items,
                          size_t chunksize, size_t buffersize, const struct mppool_call_options *options,
                          mppool_iter **ret_iter);

/* ----------------------------------------------------------------------------------------------- results, iterators */

int mppool_result_wait(mppool_result *result, double timeout);           /* 0 when ready, or ETIMEDOUT, EDEADLK */
int mppool_result_get(mppool_result *result, void *ret_results, double timeout);         /* NULL: only the outcome */
int mppool_result_ready(const mppool_result *result);                    /* 1 or 0 */
int mppool_result_successful(const mppool_result *result, int *ret_successful);
const void *mppool_result_value(const mppool_result *result);            /* NULL until ready; valid until free */
const struct mppool_error *mppool_result_error(const mppool_result *result);     /* NULL unless ready and failed */
void *mppool_result_userdata(const mppool_result *result);
int mppool_result_cancel(mppool_result *result);                         /* 0, EBUSY: all had started, EALREADY */
int mppool_result_progress(const mppool_result *result, size_t *ret_done, size_t *ret_total);

/* Waits as mppool_result_wait() does and meanwhile shows how far it is: a bar where fd is a terminal, else a line now and
 * then. NULL label: none. What cannot be written is left out, and changes nothing. */
int mppool_result_progress_bar(mppool_result *result, int fd, const char *label, double timeout);
void mppool_result_free(mppool_result *result);                          /* at any time; does not wait */

/* The next result: 0, MPPOOL_ETASK (this item failed, go on), MPPOOL_ESTOP, ETIMEDOUT (try again), ... */
int mppool_iter_next(mppool_iter *iter, void *ret_result, size_t *ret_index, double timeout);
int mppool_iter_cancel(mppool_iter *iter);
void mppool_iter_free(mppool_iter *iter);                                /* stops drawing and waits for what runs */

/* --------------------------------------------------------------------------------------------- callbacks by polling */

/* With MPPOOL_CALLBACKS_POLL a result is ready when its items have ended; its callback runs in a later mppool_poll(), on
 * the thread that calls it, one at a time; until then userdata is lent. Runs those that are due, after waiting until one
 * is; 0 with *ret_run 0 when none came. Close and join do not wait for callbacks, and poll works after them; destroy
 * runs those that are left. */
int mppool_poll(mppool *pool, double timeout, size_t *ret_run);

/* The same descriptor at every call: readable while callbacks are due; never to be read or closed. For event loops. */
int mppool_fd(mppool *pool, int *ret_fd);

/* ----------------------------------------------------------------------------------------------- groups of results */

enum { MPPOOL_FIRST_COMPLETED = 0, MPPOOL_FIRST_FAILED = 1, MPPOOL_ALL_COMPLETED = 2 };          /* mppool_wait() */

/* concurrent.futures.wait: until one of n results is ready, until one has failed or all are ready, until all are ready.
 * 0 with the number of those that are ready, or ETIMEDOUT, EDEADLK. A result that is freed meanwhile counts no more. */
int mppool_wait(mppool_result *const results[], size_t n, int when, double timeout, size_t *ret_ready);

/* concurrent.futures.as_completed: mppool_iter_next() hands out the results themselves, as mppool_result pointers, in the
 * order of completion. They stay the caller's; one that was freed before its turn is left out. */
int mppool_as_completed(mppool_result *const results[], size_t n, mppool_iter **ret_iter);

/* ----------------------------------------------------------------------------------------------------- inside a task */

int mppool_worker_index(void);           /* 0 to workers-1; outside a worker -1 */
void *mppool_worker_state(void);         /* what the initializer stored; outside a worker NULL */
size_t mppool_item_index(void);          /* place of the running item in the input; outside an item 0 */
int mppool_should_stop(void);            /* 1: this item was cancelled, timed out, or its pool terminated */
mppool *mppool_current(void);            /* the pool this thread is working for, or NULL */

#ifdef __cplusplus
}
#endif

/* ------------------------------------------------------------------------------------- sugar: structs in expressions */

#define MPPOOL_OPTIONS_INIT                                                                                            \
	{                                                                                                              \
		sizeof(struct mppool_options), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0                          \
	}
#define MPPOOL_CALL_OPTIONS_INIT                                                                                       \
	{                                                                                                              \
		sizeof(struct mppool_call_options), 0, 0, 0, 0, 0, 0, 0, 0                                             \
	}
#define MPPOOL_COUNTERS_INIT                                                                                           \
	{                                                                                                              \
		sizeof(struct mppool_counters), sizeof(struct mppool_worker_counters), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,   \
			0, 0, 0, 0, 0, 0, 0, 0                                                                         \
	}
#define MPPOOL_FUNC_INIT                                                                                               \
	{                                                                                                              \
		sizeof(struct mppool_func), 0, 0, 0, {0, 0, 0, 0, 0, 0, 0, 0}, 0, 0, 0, 0, 0, 0, 0                     \
	}
#define MPPOOL_ITERABLE_INIT                                                                                           \
	{                                                                                                              \
		sizeof(struct mppool_iterable), 0, 0, 0, 0, 0, 0                                                       \
	}

/* Columns, for MPPOOL_ZIP: an array, one repeated value (by its address), a member of an array of structs. */
#ifdef __cplusplus
#define MPPOOL_COLUMN_(base, stride, size) (mppool_column{(base), (stride), (size)})
#else
#define MPPOOL_COLUMN_(base, stride, size) ((struct mppool_column){(base), (stride), (size)})
#endif
#define MPPOOL_COLUMN(xs) MPPOOL_COLUMN_((xs), sizeof *(xs), sizeof *(xs))
#define MPPOOL_REPEAT(p) MPPOOL_COLUMN_((p), 0, sizeof *(p))
#define MPPOOL_MEMBER(rows, member) MPPOOL_COLUMN_(&(rows)->member, sizeof *(rows), sizeof((rows)->member))

#define MPPOOL_ARRAY(xs, n) MPPOOL_ZIP(n, MPPOOL_COLUMN(xs))

#ifdef __cplusplus

/* Temporaries live to the end of the full expression: as long as the call that they are handed to. */
inline const void *const *mppool_cxx_args_(std::initializer_list<const void *> args) { return args.begin(); }
inline const mppool_iterable *mppool_cxx_zip_(size_t n, std::initializer_list<mppool_column> columns,
                                              mppool_iterable &&items = mppool_iterable())
{
	items.size = sizeof items;
	items.columns = columns.begin();
	items.ncolumns = columns.size();
	items.length = n;
	return &items;
}
template <typename T> inline const T *mppool_cxx_address_(const T &value) { return &value; }

#define MPPOOL_ARGS(...) mppool_cxx_args_({__VA_ARGS__})
#define MPPOOL_ZIP(n, ...) mppool_cxx_zip_((n), {__VA_ARGS__})
#define MPPOOL_TIMES(n) mppool_cxx_zip_((n), {})
#define MPPOOL_OPTIONS(...) mppool_cxx_address_(mppool_options{.size = sizeof(mppool_options), __VA_ARGS__})
#define MPPOOL_CALL(...) mppool_cxx_address_(mppool_call_options{.size = sizeof(mppool_call_options), __VA_ARGS__})

#else

#define MPPOOL_ARGS(...) ((const void *const[]){__VA_ARGS__})
#define MPPOOL_ZIP(n, ...)                                                                                             \
	(&(const struct mppool_iterable){.size = sizeof(struct mppool_iterable),                                       \
	                                 .columns = (const struct mppool_column[]){__VA_ARGS__},                       \
	                                 .ncolumns = sizeof((const struct mppool_column[]){__VA_ARGS__}) /             \
	                                             sizeof(struct mppool_column),                                     \
	                                 .length = (n)})
#define MPPOOL_TIMES(n) (&(const struct mppool_iterable){.size = sizeof(struct mppool_iterable), .length = (n)})
#define MPPOOL_OPTIONS(...) (&(const struct mppool_options){.size = sizeof(struct mppool_options), __VA_ARGS__})
#define MPPOOL_CALL(...) (&(const struct mppool_call_options){.size = sizeof(struct mppool_call_options), __VA_ARGS__})

#endif

/* MPPOOL_WITH(pool, .workers = 4) { ... } else { ... } is Python's `with Pool(4) as pool:`. The pool is terminated,
 * joined and freed at the end of the block, also on break and, with GCC and Clang, on return. If it cannot be created
 * the block does not run, an else does. */
static inline MPPOOL_ATTR_((unused)) void mppool_with_leave_(mppool **pool)
{
	if (*pool) {
		mppool_terminate(*pool);
		mppool_destroy(*pool);
	}
}
#if defined(__GNUC__) || defined(__clang__)
#define MPPOOL_WITH_SCOPE_ __attribute__((cleanup(mppool_with_leave_)))
#define MPPOOL_WITH_END_(pool) ((void)0)
#else
#define MPPOOL_WITH_SCOPE_
#define MPPOOL_WITH_END_(pool) mppool_with_leave_(&(pool))
#endif
#define MPPOOL_WITH_LOOP_(pool, options)                                                                               \
	for (mppool *pool MPPOOL_WITH_SCOPE_ = 0, **mppool_turn_##pool = ((void)mppool_create(options, &pool), &pool); \
	     mppool_turn_##pool; MPPOOL_WITH_END_(pool), mppool_turn_##pool = 0)                                       \
		for (int mppool_once_##pool = 1; mppool_once_##pool; mppool_once_##pool = 0)                           \
			if (pool)
#define MPPOOL_WITH_1_(pool) MPPOOL_WITH_LOOP_(pool, 0)
#define MPPOOL_WITH_2_(pool, ...) MPPOOL_WITH_LOOP_(pool, MPPOOL_OPTIONS(__VA_ARGS__))
#define MPPOOL_WITH(...)                                                                                               \
	MPPOOL_PICK_(__VA_ARGS__, MPPOOL_WITH_2_, MPPOOL_WITH_2_, MPPOOL_WITH_2_, MPPOOL_WITH_2_, MPPOOL_WITH_2_,      \
	             MPPOOL_WITH_2_, MPPOOL_WITH_2_, MPPOOL_WITH_2_, MPPOOL_WITH_2_, MPPOOL_WITH_2_, MPPOOL_WITH_2_,   \
	             MPPOOL_WITH_2_, MPPOOL_WITH_2_, MPPOOL_WITH_2_, MPPOOL_WITH_1_, 0)                                \
	(__VA_ARGS__)

/* The sixteenth argument: how a macro tells how many it was given. */
#define MPPOOL_PICK_(a1, a2, a3, a4, a5, a6, a7, a8, a9, a10, a11, a12, a13, a14, a15, pick, ...) pick

/* ------------------------------------------------------------------------------- sugar: ordinary functions in a pool */

/* MPPOOL_FUNC(name, R, f, T...): `R f(T...)` as `static const struct mppool_func name`; f may call mppool_raise().
 * MPPOOL_PROC(name, f, T...):    the same for a function without a result.
 * MPPOOL_PURE(name, R, f, T...): f never raises; its loop over a chunk is inlined, and vectorised where it can be.
 * Results may be stored over the items themselves, or apart from them, but not partly over them. */
#define MPPOOL_FUNC(...) MPPOOL_ARITY_3_(MPPOOL_FUNC_, __VA_ARGS__)(__VA_ARGS__)
#define MPPOOL_PROC(...) MPPOOL_ARITY_2_(MPPOOL_PROC_, __VA_ARGS__)(__VA_ARGS__)
#define MPPOOL_PURE(...) MPPOOL_ARITY_3_(MPPOOL_PURE_, __VA_ARGS__)(__VA_ARGS__)

#define MPPOOL_ARITY_3_(stem, ...)                                                                                     \
	MPPOOL_PICK_(__VA_ARGS__, stem##x_, stem##x_, stem##x_, stem##x_, stem##8_, stem##7_, stem##6_, stem##5_,      \
	             stem##4_, stem##3_, stem##2_, stem##1_, stem##0_, stem##x_, stem##x_, 0)
#define MPPOOL_ARITY_2_(stem, ...)                                                                                     \
	MPPOOL_PICK_(__VA_ARGS__, stem##x_, stem##x_, stem##x_, stem##x_, stem##x_, stem##8_, stem##7_, stem##6_,      \
	             stem##5_, stem##4_, stem##3_, stem##2_, stem##1_, stem##0_, stem##x_, 0)

/* Arguments and results are copied byte by byte, to where max_align_t would fit. */
#define MPPOOL_FITS_(T)                                                                                                \
	MPPOOL_BYTES_(T)                                                                                               \
	MPPOOL_STATIC_ASSERT_(MPPOOL_ALIGNOF_(T) <= MPPOOL_ALIGNOF_(MPPOOL_MAX_ALIGN_T_), "over-aligned type: " #T);
#ifdef __cplusplus
#define MPPOOL_BYTES_(T) static_assert(std::is_trivially_copyable<T>::value, "not trivially copyable: " #T);
#define MPPOOL_MAX_ALIGN_T_ std::max_align_t
#else
#define MPPOOL_BYTES_(T)
#define MPPOOL_MAX_ALIGN_T_ max_align_t
#endif

/* Neighbouring items do not depend on each other. Clang finds out by itself, at run time, and would warn where it cannot
 * make use of being told. */
#if defined(__GNUC__) && !defined(__clang__)
#define MPPOOL_INDEPENDENT_ _Pragma("GCC ivdep")
#else
#define MPPOOL_INDEPENDENT_
#endif

#define MPPOOL_STRUCT_(name, chunk, n, sizes, result_size, f)                                                          \
	static const struct mppool_func name MPPOOL_ATTR_((unused)) = {                                                \
		sizeof(struct mppool_func), name##_mppool_item, chunk, n, sizes, result_size, 0, 0, 0, 0, #f, 0}
#define MPPOOL_ITEM_(name, statement, code)                                                                            \
	static int name##_mppool_item(const void *const mppool_a[], void *mppool_r, void *mppool_c)                    \
	{                                                                                                              \
		(void)mppool_a;                                                                                        \
		(void)mppool_r;                                                                                        \
		(void)mppool_c;                                                                                        \
		statement;                                                                                             \
		return code;                                                                                           \
	}
/* A chunk: a plain loop where all columns are dense, which is what a compiler vectorises, else by strides. */
#define MPPOOL_CHUNK_(name, R, dense, declarations, plain, strided)                                                    \
	static int name##_mppool_chunk(const struct mppool_chunk *mppool_k, void *mppool_c)                            \
	{                                                                                                              \
		const struct mppool_column *const mppool_q = mppool_k->columns;                                        \
		const size_t mppool_n = mppool_k->count;                                                               \
		(void)mppool_c;                                                                                        \
		(void)mppool_q;                                                                                        \
		if (mppool_k->result_stride == sizeof(R) dense) {                                                      \
			R *const mppool_out = (R *)mppool_k->results;                                                  \
			declarations MPPOOL_INDEPENDENT_ for (size_t mppool_i = 0; mppool_i < mppool_n; mppool_i++)    \
				mppool_out[mppool_i] = plain;                                                          \
		} else {                                                                                               \
			char *const mppool_to = (char *)mppool_k->results;                                             \
			for (size_t mppool_i = 0; mppool_i < mppool_n; mppool_i++)                                     \
				*(R *)(void *)(mppool_to + mppool_i * mppool_k->result_stride) = strided;              \
		}                                                                                                      \
		return 0;                                                                                              \
	}
#define MPPOOL_SIZES_(...)                                                                                             \
	{                                                                                                              \
		__VA_ARGS__                                                                                            \
	}
#define MPPOOL_A_(i, T) (*(T const *)mppool_a[i])
#define MPPOOL_D_(i, T) &&mppool_q[i].stride == sizeof(T)
#define MPPOOL_P_(i, T) T const *const mppool_p##i = (T const *)mppool_q[i].base;
#define MPPOOL_E_(i, T) mppool_p##i[mppool_i]
#define MPPOOL_S_(i, T)                                                                                                \
	(*(T const *)(const void *)((const char *)mppool_q[i].base + mppool_i * mppool_q[i].stride))

#define MPPOOL_FUNC_0_(name, R, f)                                                                                     \
	MPPOOL_FITS_(R)                                                                                                \
	MPPOOL_ITEM_(name, *(R *)mppool_r = f(), mppool_raised())                                                      \
	MPPOOL_STRUCT_(name, 0, 0, MPPOOL_SIZES_(0, 0, 0, 0, 0, 0, 0, 0), sizeof(R), f)
#define MPPOOL_PROC_0_(name, f)                                                                                        \
	MPPOOL_ITEM_(name, f(), mppool_raised())                                                                       \
	MPPOOL_STRUCT_(name, 0, 0, MPPOOL_SIZES_(0, 0, 0, 0, 0, 0, 0, 0), 0, f)
#define MPPOOL_PURE_0_(name, R, f)                                                                                     \
	MPPOOL_FITS_(R)                                                                                                \
	MPPOOL_ITEM_(name, *(R *)mppool_r = f(), 0)                                                                    \
	MPPOOL_CHUNK_(name, R, , , f(), f())                                                                           \
	MPPOOL_STRUCT_(name, name##_mppool_chunk, 0, MPPOOL_SIZES_(0, 0, 0, 0, 0, 0, 0, 0), sizeof(R), f)
#define MPPOOL_FUNC_1_(name, R, f, A)                                                                                  \
	MPPOOL_FITS_(R) MPPOOL_FITS_(A)                                                                                \
	MPPOOL_ITEM_(name, *(R *)mppool_r = f(MPPOOL_A_(0, A)), mppool_raised())                                       \
	MPPOOL_STRUCT_(name, 0, 1, MPPOOL_SIZES_(sizeof(A), 0, 0, 0, 0, 0, 0, 0), sizeof(R), f)
#define MPPOOL_PROC_1_(name, f, A)                                                                                     \
	MPPOOL_FITS_(A)                                                                                                \
	MPPOOL_ITEM_(name, f(MPPOOL_A_(0, A)), mppool_raised())                                                        \
	MPPOOL_STRUCT_(name, 0, 1, MPPOOL_SIZES_(sizeof(A), 0, 0, 0, 0, 0, 0, 0), 0, f)
#define MPPOOL_PURE_1_(name, R, f, A)                                                                                  \
	MPPOOL_FITS_(R) MPPOOL_FITS_(A)                                                                                \
	MPPOOL_ITEM_(name, *(R *)mppool_r = f(MPPOOL_A_(0, A)), 0)                                                     \
	MPPOOL_CHUNK_(name, R, MPPOOL_D_(0, A), MPPOOL_P_(0, A), f(MPPOOL_E_(0, A)), f(MPPOOL_S_(0, A)))               \
	MPPOOL_STRUCT_(name, name##_mppool_chunk, 1, MPPOOL_SIZES_(sizeof(A), 0, 0, 0, 0, 0, 0, 0), sizeof(R), f)
#define MPPOOL_FUNC_2_(name, R, f, A, B)                                                                               \
	MPPOOL_FITS_(R) MPPOOL_FITS_(A) MPPOOL_FITS_(B)                                                                \
	MPPOOL_ITEM_(name, *(R *)mppool_r = f(MPPOOL_A_(0, A), MPPOOL_A_(1, B)), mppool_raised())                      \
	MPPOOL_STRUCT_(name, 0, 2, MPPOOL_SIZES_(sizeof(A), sizeof(B), 0, 0, 0, 0, 0, 0), sizeof(R), f)
#define MPPOOL_PROC_2_(name, f, A, B)                                                                                  \
	MPPOOL_FITS_(A) MPPOOL_FITS_(B)                                                                                \
	MPPOOL_ITEM_(name, f(MPPOOL_A_(0, A), MPPOOL_A_(1, B)), mppool_raised())                                       \
	MPPOOL_STRUCT_(name, 0, 2, MPPOOL_SIZES_(sizeof(A), sizeof(B), 0, 0, 0, 0, 0, 0), 0, f)
#define MPPOOL_PURE_2_(name, R, f, A, B)                                                                               \
	MPPOOL_FITS_(R) MPPOOL_FITS_(A) MPPOOL_FITS_(B)                                                                \
	MPPOOL_ITEM_(name, *(R *)mppool_r = f(MPPOOL_A_(0, A), MPPOOL_A_(1, B)), 0)                                    \
	MPPOOL_CHUNK_(name, R, MPPOOL_D_(0, A) MPPOOL_D_(1, B), MPPOOL_P_(0, A) MPPOOL_P_(1, B), f(MPPOOL_E_(0, A), MPPOOL_E_(1, B)), f(MPPOOL_S_(0, A), MPPOOL_S_(1, B))) \
	MPPOOL_STRUCT_(name, name##_mppool_chunk, 2, MPPOOL_SIZES_(sizeof(A), sizeof(B), 0, 0, 0, 0, 0, 0), sizeof(R), f)
#define MPPOOL_FUNC_3_(name, R, f, A, B, C)                                                                            \
	MPPOOL_FITS_(R) MPPOOL_FITS_(A) MPPOOL_FITS_(B) MPPOOL_FITS_(C)                                                \
	MPPOOL_ITEM_(name, *(R *)mppool_r = f(MPPOOL_A_(0, A), MPPOOL_A_(1, B), MPPOOL_A_(2, C)), mppool_raised())     \
	MPPOOL_STRUCT_(name, 0, 3, MPPOOL_SIZES_(sizeof(A), sizeof(B), sizeof(C), 0, 0, 0, 0, 0), sizeof(R), f)
#define MPPOOL_PROC_3_(name, f, A, B, C)                                                                               \
	MPPOOL_FITS_(A) MPPOOL_FITS_(B) MPPOOL_FITS_(C)                                                                \
	MPPOOL_ITEM_(name, f(MPPOOL_A_(0, A), MPPOOL_A_(1, B), MPPOOL_A_(2, C)), mppool_raised())                      \
	MPPOOL_STRUCT_(name, 0, 3, MPPOOL_SIZES_(sizeof(A), sizeof(B), sizeof(C), 0, 0, 0, 0, 0), 0, f)
#define MPPOOL_PURE_3_(name, R, f, A, B, C)                                                                            \
	MPPOOL_FITS_(R) MPPOOL_FITS_(A) MPPOOL_FITS_(B) MPPOOL_FITS_(C)                                                \
	MPPOOL_ITEM_(name, *(R *)mppool_r = f(MPPOOL_A_(0, A), MPPOOL_A_(1, B), MPPOOL_A_(2, C)), 0)                   \
	MPPOOL_CHUNK_(name, R, MPPOOL_D_(0, A) MPPOOL_D_(1, B) MPPOOL_D_(2, C), MPPOOL_P_(0, A) MPPOOL_P_(1, B) MPPOOL_P_(2, C), f(MPPOOL_E_(0, A), MPPOOL_E_(1, B), MPPOOL_E_(2, C)), f(MPPOOL_S_(0, A), MPPOOL_S_(1, B), MPPOOL_S_(2, C))) \
	MPPOOL_STRUCT_(name, name##_mppool_chunk, 3, MPPOOL_SIZES_(sizeof(A), sizeof(B), sizeof(C), 0, 0, 0, 0, 0), sizeof(R), f)
#define MPPOOL_FUNC_4_(name, R, f, A, B, C, D)                                                                         \
	MPPOOL_FITS_(R) MPPOOL_FITS_(A) MPPOOL_FITS_(B) MPPOOL_FITS_(C) MPPOOL_FITS_(D)                                \
	MPPOOL_ITEM_(name, *(R *)mppool_r = f(MPPOOL_A_(0, A), MPPOOL_A_(1, B), MPPOOL_A_(2, C), MPPOOL_A_(3, D)), mppool_raised()) \
	MPPOOL_STRUCT_(name, 0, 4, MPPOOL_SIZES_(sizeof(A), sizeof(B), sizeof(C), sizeof(D), 0, 0, 0, 0), sizeof(R), f)
#define MPPOOL_PROC_4_(name, f, A, B, C, D)                                                                            \
	MPPOOL_FITS_(A) MPPOOL_FITS_(B) MPPOOL_FITS_(C) MPPOOL_FITS_(D)                                                \
	MPPOOL_ITEM_(name, f(MPPOOL_A_(0, A), MPPOOL_A_(1, B), MPPOOL_A_(2, C), MPPOOL_A_(3, D)), mppool_raised())     \
	MPPOOL_STRUCT_(name, 0, 4, MPPOOL_SIZES_(sizeof(A), sizeof(B), sizeof(C), sizeof(D), 0, 0, 0, 0), 0, f)
#define MPPOOL_PURE_4_(name, R, f, A, B, C, D)                                                                         \
	MPPOOL_FITS_(R) MPPOOL_FITS_(A) MPPOOL_FITS_(B) MPPOOL_FITS_(C) MPPOOL_FITS_(D)                                \
	MPPOOL_ITEM_(name, *(R *)mppool_r = f(MPPOOL_A_(0, A), MPPOOL_A_(1, B), MPPOOL_A_(2, C), MPPOOL_A_(3, D)), 0)  \
	MPPOOL_CHUNK_(name, R, MPPOOL_D_(0, A) MPPOOL_D_(1, B) MPPOOL_D_(2, C) MPPOOL_D_(3, D), MPPOOL_P_(0, A) MPPOOL_P_(1, B) MPPOOL_P_(2, C) MPPOOL_P_(3, D), f(MPPOOL_E_(0, A), MPPOOL_E_(1, B), MPPOOL_E_(2, C), MPPOOL_E_(3, D)), f(MPPOOL_S_(0, A), MPPOOL_S_(1, B), MPPOOL_S_(2, C), MPPOOL_S_(3, D))) \
	MPPOOL_STRUCT_(name, name##_mppool_chunk, 4, MPPOOL_SIZES_(sizeof(A), sizeof(B), sizeof(C), sizeof(D), 0, 0, 0, 0), sizeof(R), f)
#define MPPOOL_FUNC_5_(name, R, f, A, B, C, D, E)                                                                      \
	MPPOOL_FITS_(R) MPPOOL_FITS_(A) MPPOOL_FITS_(B) MPPOOL_FITS_(C) MPPOOL_FITS_(D) MPPOOL_FITS_(E)                \
	MPPOOL_ITEM_(name, *(R *)mppool_r = f(MPPOOL_A_(0, A), MPPOOL_A_(1, B), MPPOOL_A_(2, C), MPPOOL_A_(3, D), MPPOOL_A_(4, E)), mppool_raised()) \
	MPPOOL_STRUCT_(name, 0, 5, MPPOOL_SIZES_(sizeof(A), sizeof(B), sizeof(C), sizeof(D), sizeof(E), 0, 0, 0), sizeof(R), f)
#define MPPOOL_PROC_5_(name, f, A, B, C, D, E)                                                                         \
	MPPOOL_FITS_(A) MPPOOL_FITS_(B) MPPOOL_FITS_(C) MPPOOL_FITS_(D) MPPOOL_FITS_(E)                                \
	MPPOOL_ITEM_(name, f(MPPOOL_A_(0, A), MPPOOL_A_(1, B), MPPOOL_A_(2, C), MPPOOL_A_(3, D), MPPOOL_A_(4, E)), mppool_raised()) \
	MPPOOL_STRUCT_(name, 0, 5, MPPOOL_SIZES_(sizeof(A), sizeof(B), sizeof(C), sizeof(D), sizeof(E), 0, 0, 0), 0, f)
#define MPPOOL_PURE_5_(name, R, f, A, B, C, D, E)                                                                      \
	MPPOOL_FITS_(R) MPPOOL_FITS_(A) MPPOOL_FITS_(B) MPPOOL_FITS_(C) MPPOOL_FITS_(D) MPPOOL_FITS_(E)                \
	MPPOOL_ITEM_(name, *(R *)mppool_r = f(MPPOOL_A_(0, A), MPPOOL_A_(1, B), MPPOOL_A_(2, C), MPPOOL_A_(3, D), MPPOOL_A_(4, E)), 0) \
	MPPOOL_CHUNK_(name, R, MPPOOL_D_(0, A) MPPOOL_D_(1, B) MPPOOL_D_(2, C) MPPOOL_D_(3, D) MPPOOL_D_(4, E), MPPOOL_P_(0, A) MPPOOL_P_(1, B) MPPOOL_P_(2, C) MPPOOL_P_(3, D) MPPOOL_P_(4, E), f(MPPOOL_E_(0, A), MPPOOL_E_(1, B), MPPOOL_E_(2, C), MPPOOL_E_(3, D), MPPOOL_E_(4, E)), f(MPPOOL_S_(0, A), MPPOOL_S_(1, B), MPPOOL_S_(2, C), MPPOOL_S_(3, D), MPPOOL_S_(4, E))) \
	MPPOOL_STRUCT_(name, name##_mppool_chunk, 5, MPPOOL_SIZES_(sizeof(A), sizeof(B), sizeof(C), sizeof(D), sizeof(E), 0, 0, 0), sizeof(R), f)
#define MPPOOL_FUNC_6_(name, R, f, A, B, C, D, E, F)                                                                   \
	MPPOOL_FITS_(R) MPPOOL_FITS_(A) MPPOOL_FITS_(B) MPPOOL_FITS_(C) MPPOOL_FITS_(D) MPPOOL_FITS_(E) MPPOOL_FITS_(F) \
	MPPOOL_ITEM_(name, *(R *)mppool_r = f(MPPOOL_A_(0, A), MPPOOL_A_(1, B), MPPOOL_A_(2, C), MPPOOL_A_(3, D), MPPOOL_A_(4, E), MPPOOL_A_(5, F)), mppool_raised()) \
	MPPOOL_STRUCT_(name, 0, 6, MPPOOL_SIZES_(sizeof(A), sizeof(B), sizeof(C), sizeof(D), sizeof(E), sizeof(F), 0, 0), sizeof(R), f)
#define MPPOOL_PROC_6_(name, f, A, B, C, D, E, F)                                                                      \
	MPPOOL_FITS_(A) MPPOOL_FITS_(B) MPPOOL_FITS_(C) MPPOOL_FITS_(D) MPPOOL_FITS_(E) MPPOOL_FITS_(F)                \
	MPPOOL_ITEM_(name, f(MPPOOL_A_(0, A), MPPOOL_A_(1, B), MPPOOL_A_(2, C), MPPOOL_A_(3, D), MPPOOL_A_(4, E), MPPOOL_A_(5, F)), mppool_raised()) \
	MPPOOL_STRUCT_(name, 0, 6, MPPOOL_SIZES_(sizeof(A), sizeof(B), sizeof(C), sizeof(D), sizeof(E), sizeof(F), 0, 0), 0, f)
#define MPPOOL_PURE_6_(name, R, f, A, B, C, D, E, F)                                                                   \
	MPPOOL_FITS_(R) MPPOOL_FITS_(A) MPPOOL_FITS_(B) MPPOOL_FITS_(C) MPPOOL_FITS_(D) MPPOOL_FITS_(E) MPPOOL_FITS_(F) \
	MPPOOL_ITEM_(name, *(R *)mppool_r = f(MPPOOL_A_(0, A), MPPOOL_A_(1, B), MPPOOL_A_(2, C), MPPOOL_A_(3, D), MPPOOL_A_(4, E), MPPOOL_A_(5, F)), 0) \
	MPPOOL_CHUNK_(name, R, MPPOOL_D_(0, A) MPPOOL_D_(1, B) MPPOOL_D_(2, C) MPPOOL_D_(3, D) MPPOOL_D_(4, E) MPPOOL_D_(5, F), MPPOOL_P_(0, A) MPPOOL_P_(1, B) MPPOOL_P_(2, C) MPPOOL_P_(3, D) MPPOOL_P_(4, E) MPPOOL_P_(5, F), f(MPPOOL_E_(0, A), MPPOOL_E_(1, B), MPPOOL_E_(2, C), MPPOOL_E_(3, D), MPPOOL_E_(4, E), MPPOOL_E_(5, F)), f(MPPOOL_S_(0, A), MPPOOL_S_(1, B), MPPOOL_S_(2, C), MPPOOL_S_(3, D), MPPOOL_S_(4, E), MPPOOL_S_(5, F))) \
	MPPOOL_STRUCT_(name, name##_mppool_chunk, 6, MPPOOL_SIZES_(sizeof(A), sizeof(B), sizeof(C), sizeof(D), sizeof(E), sizeof(F), 0, 0), sizeof(R), f)
#define MPPOOL_FUNC_7_(name, R, f, A, B, C, D, E, F, G)                                                                \
	MPPOOL_FITS_(R) MPPOOL_FITS_(A) MPPOOL_FITS_(B) MPPOOL_FITS_(C) MPPOOL_FITS_(D) MPPOOL_FITS_(E) MPPOOL_FITS_(F) MPPOOL_FITS_(G) \
	MPPOOL_ITEM_(name, *(R *)mppool_r = f(MPPOOL_A_(0, A), MPPOOL_A_(1, B), MPPOOL_A_(2, C), MPPOOL_A_(3, D), MPPOOL_A_(4, E), MPPOOL_A_(5, F), MPPOOL_A_(6, G)), mppool_raised()) \
	MPPOOL_STRUCT_(name, 0, 7, MPPOOL_SIZES_(sizeof(A), sizeof(B), sizeof(C), sizeof(D), sizeof(E), sizeof(F), sizeof(G), 0), sizeof(R), f)
#define MPPOOL_PROC_7_(name, f, A, B, C, D, E, F, G)                                                                   \
	MPPOOL_FITS_(A) MPPOOL_FITS_(B) MPPOOL_FITS_(C) MPPOOL_FITS_(D) MPPOOL_FITS_(E) MPPOOL_FITS_(F) MPPOOL_FITS_(G) \
	MPPOOL_ITEM_(name, f(MPPOOL_A_(0, A), MPPOOL_A_(1, B), MPPOOL_A_(2, C), MPPOOL_A_(3, D), MPPOOL_A_(4, E), MPPOOL_A_(5, F), MPPOOL_A_(6, G)), mppool_raised()) \
	MPPOOL_STRUCT_(name, 0, 7, MPPOOL_SIZES_(sizeof(A), sizeof(B), sizeof(C), sizeof(D), sizeof(E), sizeof(F), sizeof(G), 0), 0, f)
#define MPPOOL_PURE_7_(name, R, f, A, B, C, D, E, F, G)                                                                \
	MPPOOL_FITS_(R) MPPOOL_FITS_(A) MPPOOL_FITS_(B) MPPOOL_FITS_(C) MPPOOL_FITS_(D) MPPOOL_FITS_(E) MPPOOL_FITS_(F) MPPOOL_FITS_(G) \
	MPPOOL_ITEM_(name, *(R *)mppool_r = f(MPPOOL_A_(0, A), MPPOOL_A_(1, B), MPPOOL_A_(2, C), MPPOOL_A_(3, D), MPPOOL_A_(4, E), MPPOOL_A_(5, F), MPPOOL_A_(6, G)), 0) \
	MPPOOL_CHUNK_(name, R, MPPOOL_D_(0, A) MPPOOL_D_(1, B) MPPOOL_D_(2, C) MPPOOL_D_(3, D) MPPOOL_D_(4, E) MPPOOL_D_(5, F) MPPOOL_D_(6, G), MPPOOL_P_(0, A) MPPOOL_P_(1, B) MPPOOL_P_(2, C) MPPOOL_P_(3, D) MPPOOL_P_(4, E) MPPOOL_P_(5, F) MPPOOL_P_(6, G), f(MPPOOL_E_(0, A), MPPOOL_E_(1, B), MPPOOL_E_(2, C), MPPOOL_E_(3, D), MPPOOL_E_(4, E), MPPOOL_E_(5, F), MPPOOL_E_(6, G)), f(MPPOOL_S_(0, A), MPPOOL_S_(1, B), MPPOOL_S_(2, C), MPPOOL_S_(3, D), MPPOOL_S_(4, E), MPPOOL_S_(5, F), MPPOOL_S_(6, G))) \
	MPPOOL_STRUCT_(name, name##_mppool_chunk, 7, MPPOOL_SIZES_(sizeof(A), sizeof(B), sizeof(C), sizeof(D), sizeof(E), sizeof(F), sizeof(G), 0), sizeof(R), f)
#define MPPOOL_FUNC_8_(name, R, f, A, B, C, D, E, F, G, H)                                                             \
	MPPOOL_FITS_(R) MPPOOL_FITS_(A) MPPOOL_FITS_(B) MPPOOL_FITS_(C) MPPOOL_FITS_(D) MPPOOL_FITS_(E) MPPOOL_FITS_(F) MPPOOL_FITS_(G) MPPOOL_FITS_(H) \
	MPPOOL_ITEM_(name, *(R *)mppool_r = f(MPPOOL_A_(0, A), MPPOOL_A_(1, B), MPPOOL_A_(2, C), MPPOOL_A_(3, D), MPPOOL_A_(4, E), MPPOOL_A_(5, F), MPPOOL_A_(6, G), MPPOOL_A_(7, H)), mppool_raised()) \
	MPPOOL_STRUCT_(name, 0, 8, MPPOOL_SIZES_(sizeof(A), sizeof(B), sizeof(C), sizeof(D), sizeof(E), sizeof(F), sizeof(G), sizeof(H)), sizeof(R), f)
#define MPPOOL_PROC_8_(name, f, A, B, C, D, E, F, G, H)                                                                \
	MPPOOL_FITS_(A) MPPOOL_FITS_(B) MPPOOL_FITS_(C) MPPOOL_FITS_(D) MPPOOL_FITS_(E) MPPOOL_FITS_(F) MPPOOL_FITS_(G) MPPOOL_FITS_(H) \
	MPPOOL_ITEM_(name, f(MPPOOL_A_(0, A), MPPOOL_A_(1, B), MPPOOL_A_(2, C), MPPOOL_A_(3, D), MPPOOL_A_(4, E), MPPOOL_A_(5, F), MPPOOL_A_(6, G), MPPOOL_A_(7, H)), mppool_raised()) \
	MPPOOL_STRUCT_(name, 0, 8, MPPOOL_SIZES_(sizeof(A), sizeof(B), sizeof(C), sizeof(D), sizeof(E), sizeof(F), sizeof(G), sizeof(H)), 0, f)
#define MPPOOL_PURE_8_(name, R, f, A, B, C, D, E, F, G, H)                                                             \
	MPPOOL_FITS_(R) MPPOOL_FITS_(A) MPPOOL_FITS_(B) MPPOOL_FITS_(C) MPPOOL_FITS_(D) MPPOOL_FITS_(E) MPPOOL_FITS_(F) MPPOOL_FITS_(G) MPPOOL_FITS_(H) \
	MPPOOL_ITEM_(name, *(R *)mppool_r = f(MPPOOL_A_(0, A), MPPOOL_A_(1, B), MPPOOL_A_(2, C), MPPOOL_A_(3, D), MPPOOL_A_(4, E), MPPOOL_A_(5, F), MPPOOL_A_(6, G), MPPOOL_A_(7, H)), 0) \
	MPPOOL_CHUNK_(name, R, MPPOOL_D_(0, A) MPPOOL_D_(1, B) MPPOOL_D_(2, C) MPPOOL_D_(3, D) MPPOOL_D_(4, E) MPPOOL_D_(5, F) MPPOOL_D_(6, G) MPPOOL_D_(7, H), MPPOOL_P_(0, A) MPPOOL_P_(1, B) MPPOOL_P_(2, C) MPPOOL_P_(3, D) MPPOOL_P_(4, E) MPPOOL_P_(5, F) MPPOOL_P_(6, G) MPPOOL_P_(7, H), f(MPPOOL_E_(0, A), MPPOOL_E_(1, B), MPPOOL_E_(2, C), MPPOOL_E_(3, D), MPPOOL_E_(4, E), MPPOOL_E_(5, F), MPPOOL_E_(6, G), MPPOOL_E_(7, H)), f(MPPOOL_S_(0, A), MPPOOL_S_(1, B), MPPOOL_S_(2, C), MPPOOL_S_(3, D), MPPOOL_S_(4, E), MPPOOL_S_(5, F), MPPOOL_S_(6, G), MPPOOL_S_(7, H))) \
	MPPOOL_STRUCT_(name, name##_mppool_chunk, 8, MPPOOL_SIZES_(sizeof(A), sizeof(B), sizeof(C), sizeof(D), sizeof(E), sizeof(F), sizeof(G), sizeof(H)), sizeof(R), f)

#endif
