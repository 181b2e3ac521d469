/* layer 2: a job: one accepted call.
 *
 * DESIGN. There are three kinds, with one life. A *single* (apply) is one block: this head, the copied arguments, the
 * result. An *array* (map over columns) and a *stream* (imap, and map over a generator) are struct mpp_multi: items that
 * several workers claim at once. All end in one place, mpp_job_end(), reached once per job on every path.
 *
 * Life: made by a submit, referenced by the engine (MPP_QUEUED) and, unless it was fired and forgotten, by a handle of
 * the user's (not MPP_DETACHED). Its items are claimed, run or dropped; the last item to end makes the outcome; a
 * callback comes due (MPP_DUE) and runs; the release hook runs; MPP_ENDED is set, sleepers are woken. In a pool whose
 * callbacks are polled MPP_ENDED comes together with MPP_DUE, and the rest when the callback has returned. A job with
 * MPP_ENDED and without MPP_DUE is over. Whoever removes the last of engine reference, handle and not being over frees
 * it.
 *
 * Invariants:
 *   J1  Each item is claimed once: a single by setting MPP_CLAIMED, an item of a multi by moving a span's edge (multi.h, M1).
 *   J2  Whoever claims an item ends it, and counts it in `pending` once; pending reaches 0 once.
 *   J3  The last hook has returned when the job is over, and nothing that the caller lent is touched then. Of what was
 *       lent to a job that has MPP_ENDED and MPP_DUE only userdata and the hooks' context are.
 *   J4  job->pool may be used while the job is not ended by those who know that the pool waits for it: pool threads, and
 *       anybody while the job is MPP_REGISTERED (the pool's threads stay until no registered job is left).
 *   J5  A job with MPP_WATCHED ends, and its handle is freed, by way of the lock of its watches: W1 to W3 in watch.h. */
#ifndef MPP_JOB_H
#define MPP_JOB_H

#include "carrier.h"
#include "error.h"
#include "fork.h"
#include "frame.h"
#include "func.h"
#include "items.h"
#include "probe.h"
#include "trace.h"
#include "watch.h"

enum mpp_kind { MPP_SINGLE, MPP_ARRAY, MPP_STREAM };

/* The state word: bits that only ever get set, but for MPP_QUEUED and MPP_DUE. */
#define MPP_CLAIMED 1u           /* a single: somebody runs it or ends it without running */
#define MPP_ENDED 2u             /* ready. Publishes results and error to everybody who loads the word */
#define MPP_PARKED 4u            /* somebody sleeps on the word until MPP_ENDED: the end must wake */
#define MPP_DETACHED 8u          /* no handle of the user's is left */
#define MPP_QUEUED 16u           /* the engine holds a reference */
#define MPP_HALT 32u             /* start no more items: cancelled, or failed fast */
#define MPP_STOP 64u             /* running items see mppool_should_stop() */
#define MPP_TAKEN 128u           /* the results were taken: drop_result is not called for them */
#define MPP_DUE 256u             /* set once, cleared once: its callback is to come, and holds the job */
#define MPP_WATCHED 512u         /* somebody left watches for the end: J5. Set under their lock */
#define MPP_CANCELLED 1024u      /* a single: claimed by a cancel; whoever pops it counts it */
#define MPP_OUTCOME_SHIFT 11     /* above: enum mpp_outcome, valid with MPP_ENDED */

enum mpp_outcome {
	MPP_OK,
	MPP_OUT_ITER,
	MPP_OUT_TERMINATED,
	MPP_OUT_BROKEN,
	MPP_OUT_CANCELED,
	MPP_OUT_TASK
};

/* What most single jobs do without. */
struct mpp_more {
	void (*callback)(const void *results, size_t n, void *userdata);
	void (*error_callback)(const struct mppool_error *error, void *userdata);
	void *userdata;
	int *codes;                      /* lent; NULL: nobody asked */
	int64_t task_timeout;            /* nanoseconds; 0: none */
	unsigned flags;                  /* MPPOOL_FAIL_FAST */
	enum mpp_outcome outcome;        /* from the last item's end to mpp_job_end */
	struct mpp_job *next_due;        /* the pool's lock */
	struct mpp_failure *failure;     /* a single: its own; a multi: of lowest index, under the job's lock until ended */
};

#define MPP_HAS_MORE 1u          /* mpp_job.flags: `more` is valid, else `failure` */
#define MPP_REGISTERED 2u        /* counted in the pool, which waits for it: J4 */
#define MPP_HELPED 8u            /* callers outside that wait for it may run it: MPPOOL_CALLER_HELPS; registered, too */
#define MPP_CARRIED 16u          /* its items run elsewhere: to stop them their workers' threads are nudged */
#define MPP_LIMITED 4u           /* counted in the pool's queue limit until it starts; registered, too */

struct mpp_job {
	struct mpp_func *func;           /* one reference */
	mppool *pool;                    /* J4 */
	union {
		struct mpp_more *more;
		struct mpp_failure *failure;     /* written by whoever claimed the single, read once it ended */
	} u;
	_Atomic uint32_t state;
	uint8_t kind;
	uint8_t flags;
	int8_t priority;
	uint8_t generation;              /* of the process: low bits of mpp_fork_generation() when it was made */
};

/* --------------------------------------------------------------------------------------------------------- singles */

/* A single with copies of its arguments, or NULL. `more` (or NULL) is taken over; on failure it is not. */
struct mpp_job *mpp_single_new(mppool *pool, struct mpp_func *func, const void *const args[], struct mpp_more *more);
void *mpp_single_result(const struct mpp_job *job);

/* J1. Claims, and drops the engine's reference in the same step if `popped` from a queue. False: somebody else had
 * claimed it; a popped job may be gone then. */
bool mpp_single_claim(struct mpp_job *job, bool popped);

/* Runs a claimed single on this thread in the given frame, to its end. False: it was to run elsewhere, and the remote
 * of the frame is lost before it began. */
bool mpp_single_run(struct mpp_job *job, struct mpp_frame *frame);

/* Takes a claim back, with a reference for the queue that it goes to: by the claimer of one that did not begin. */
void mpp_single_unclaim(struct mpp_job *job);

/* Claims and ends it as ECANCELED. False: somebody else had claimed it. Any thread with a handle: the pool may be gone. */
bool mpp_single_cancel(struct mpp_job *job);

/* Claims one that was popped from a queue and discards it; nothing if somebody else had claimed it. */
void mpp_single_discard_popped(struct mpp_job *job, int code);

/* -------------------------------------------------------------------------------------------------------- all jobs */

struct mpp_more *mpp_job_more(const struct mpp_job *job);        /* NULL: a plain single */

/* The last item ended: on to the callback, or to the end. */
void mpp_job_complete(struct mpp_job *job, enum mpp_outcome outcome);

/* Its callback comes due: sets MPP_DUE, and if it is `ready` before its callback MPP_ENDED, between a mpp_job_tell() and
 * the unlocking. True: then sleepers on its word are to be woken. */
bool mpp_job_due(struct mpp_job *job, bool ready);

/* W3: takes the lock of the job's watches, and tells them. The caller sets MPP_ENDED and unlocks. */
void mpp_job_tell(struct mpp_job *job, enum mpp_outcome outcome);

/* Runs the job's callback, in the frame of the calling thread. */
void mpp_job_callback(struct mpp_job *job);

/* After the callback: hooks, MPP_ENDED, wake-ups, references. The job may be gone on return. */
void mpp_job_end(struct mpp_job *job, enum mpp_outcome outcome);
void mpp_job_called(struct mpp_job *job);        /* the same for one that was ready before its callback */

/* Sleeps until MPP_ENDED. 0 or ETIMEDOUT. */
int mpp_job_wait(struct mpp_job *job, int64_t deadline);

/* From now on the group of w, a watch for this job, is told of its end, also if it has come. False: it has one already. */
bool mpp_job_watch(struct mpp_job *job, struct mpp_watch *w);

void mpp_job_detach(struct mpp_job *job);                        /* the user's handle goes */
void mpp_job_dequeue(struct mpp_job *job);                       /* the engine's reference goes */
void mpp_job_taken(struct mpp_job *job);                         /* a caller has the results now */
void mpp_job_refuse(struct mpp_job *job);                        /* it was not accepted: no hook is called */

/* In a child of fork: the handle goes, or one of the pool's references does; with the last of them the memory, without
 * hooks. */
void mpp_job_abandon_handle(struct mpp_job *job);
void mpp_job_abandon_queued(struct mpp_job *job);
void mpp_job_abandon_due(struct mpp_job *job);

int mpp_outcome_code(enum mpp_outcome outcome);
enum mpp_outcome mpp_outcome_of_unrun(int code);
enum mpp_outcome mpp_job_outcome(const struct mpp_job *job);     /* of an ended job */
const struct mppool_error *mpp_job_error(const struct mpp_job *job);     /* of an ended job; NULL: successful */

/* Nothing may be started of this job any more? A hint: the lock, or a load, gives the reasons. */
static inline bool mpp_job_halted(const struct mpp_job *job)
{
	return mpp_peek(&job->state) & MPP_HALT;
}

/* Right after a function of the program has returned, or left its thread: a child of a fork in there ends here. */
static inline void mpp_job_returned(const struct mpp_job *job)
{
	if (mpp_unlikely(job->generation != (uint8_t)mpp_fork_generation()))
		mpp_fork_strayed();
}

/* What layer 4 does for a job. The pool's threads, or a job that is registered. */
void mpp_pool_callback_due(mppool *pool, struct mpp_job *job);   /* its turn comes */
void mpp_pool_started(mppool *pool);                             /* a limited job leaves room in the queue */
void mpp_pool_waits_again(mppool *pool);                         /* and takes it again */
/* A registered job, with a generator or without, has ended, and its hooks have returned: J4's end. */
void mpp_pool_unregister(mppool *pool, bool generator);
const struct mppool_error *mpp_pool_broken_error(mppool *pool);

/* Items that never ran, and why not: counted before they end. By whoever may use the pool. */
void mpp_pool_count_unrun(mppool *pool, int code, size_t items);

/* Calls of user hooks of a job that has not ended, in a frame that says so; nothing where there is no hook. */
void mpp_hook_drop_args(struct mpp_job *job, const void *const args[]);
void mpp_hook_drop_result(struct mpp_job *job, void *result);

#endif
