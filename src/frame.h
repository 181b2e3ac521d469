/* layer 1: what a thread is doing for a pool right now.
 *
 * Around every user function the library puts a frame on a list of the thread's own. By it a task knows its index and
 * its worker, mppool_raise() knows where to leave a message, and a call that would wait knows whether it stands on the
 * very thing that it waits for. Only their own thread reads them. They live on its stack, but for the lowest one of a
 * pool's own thread, which lives until that was joined (service.h). */
#ifndef MPP_FRAME_H
#define MPP_FRAME_H

#include "tally.h"

struct mpp_job;
struct mpp_trace_row;
struct mpp_worker;

enum mpp_role {
	MPP_IDLE,                /* a thread of the pool between user functions */
	MPP_TASK,
	MPP_FINALIZER,
	MPP_HOOK,                /* drop_args, drop_result, release, finish of a job that has not ended */
	MPP_CALLBACK,
	MPP_GENERATOR,
	MPP_INITIALIZER,
	MPP_ENDING               /* a thread of the pool that ends: destructors of thread-locals and of keys */
};

struct mpp_frame {
	struct mpp_frame *up;            /* what this thread was doing when it came here */
	mppool *pool;
	const _Atomic int *pool_state;   /* lives as long as the pool's threads */
	struct mpp_job *job;             /* NULL outside jobs */
	const _Atomic uint32_t *stop;    /* the job's word with MPP_STOP, or NULL */
	struct mpp_worker *worker;       /* NULL in threads that are no workers */
	struct mpp_remote *remote;       /* where the worker's items run; NULL: on this thread */
	struct mpp_trace_row *row;       /* where this thread notes what it does; NULL: the pool is not traced */
	int worker_index;                /* -1 there */
	void *worker_state;
	struct mpp_tally *tally;         /* counts the items that run in this frame; NULL where none can */
	enum mpp_role role;
	int raised;                      /* code of the last mppool_raise in this item */
	int status;                      /* of an item that was lost with its process: as waitpid() tells; else 0 */
	char *message;                   /* of the code, owned by the frame; NULL: none */
	size_t index;                    /* place of the item in the input */
	int64_t deadline;                /* of the item; MPP_NEVER */
};

extern _Thread_local struct mpp_frame *mpp_frame_top;
extern _Thread_local unsigned mpp_frame_callbacks;       /* how many of them are callbacks */

/* A frame of the pool in a thread that is no worker, doing nothing yet. pool_state may be NULL. */
void mpp_frame_init(struct mpp_frame *frame, mppool *pool, const _Atomic int *pool_state);

/* Frames nest: a push fills in the links, a pop takes the top one away and frees its message. */
void mpp_frame_push(struct mpp_frame *frame);
void mpp_frame_pop(struct mpp_frame *frame);

/* The message that belongs to this code, or NULL. */
const char *mpp_frame_message(const struct mpp_frame *frame, int code);

/* Leaves the code and message of an item that ran elsewhere, as if they had been raised here. */
void mpp_frame_leave(struct mpp_frame *frame, int code, int status, const char *message);

/* For hooks: a frame of the pool, with what is known of this thread there. Pushed. */
void mpp_frame_push_hook(struct mpp_frame *frame, mppool *pool, struct mpp_job *job);

/* Before the next item of the same frame. */
static inline void mpp_frame_next(struct mpp_frame *frame, size_t index)
{
	frame->index = index;
	frame->raised = 0;
	frame->status = 0;
}

/* Is this thread at work for the pool, here or further up? For the job? In a callback of the pool? */
bool mpp_frame_in_pool(const mppool *pool);
bool mpp_frame_at_work(const mppool *pool);      /* the same, and no thread of it that only ends: not MPP_ENDING */
bool mpp_frame_in_job(const struct mpp_job *job);
bool mpp_frame_in_role(const mppool *pool, enum mpp_role role);

extern _Thread_local unsigned mpp_frame_remote_hooks;    /* frames of hooks in pools whose items run elsewhere */

/* Where items run elsewhere a hook must not wait for its pool either: it stands on the thread that hands them over. */
static inline bool mpp_frame_in_callback(const mppool *pool)
{
	return (mpp_unlikely(mpp_frame_callbacks > 0) && mpp_frame_in_role(pool, MPP_CALLBACK)) ||
	       (mpp_unlikely(mpp_frame_remote_hooks > 0) && mpp_frame_in_role(pool, MPP_HOOK));
}

struct mpp_frame *mpp_frame_bottom(void);        /* of this thread; NULL: it has none */

/* The innermost frame of this thread that belongs to the pool's own worker, or NULL. */
struct mpp_frame *mpp_frame_of_worker(const mppool *pool);

#endif
