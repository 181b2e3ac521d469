/* layer 1: the trace: what the threads of a pool do and when, for Perfetto, chrome://tracing and mppool-timeline.
 *
 * DESIGN. A pool that is traced has a struct mpp_trace, else a NULL pointer. Each of its threads has a *row*, where it
 * notes what it did when that is over: a *span*. Off, a hook is a look at a pointer in the thread's own frame. On, it
 * is two looks at the clock and some arithmetic on memory of the thread's own: spans are written as text into a buffer
 * of the row's, and the buffer goes to the file when it is full, when its thread goes to sleep and when it ends.
 *
 * A trace file is the process's: pools that name the same one share it, each with an id of its own, which viewers take
 * for a process. One lock guards the files and what threads from outside have to note, which have no row.
 *
 * What is too fine to be seen is not written, so that a long run makes no huge file: each row has a *grain*, a time.
 *   T1  Neighbouring spans of a kind that are shorter than the grain, with less than a grain between them, become one,
 *       which counts them. It gets no longer than LONGEST grains. Those of different names, which then have none, do
 *       so only until they fill a grain: a map does not lose its name to the short one that follows.
 *   T2  A wait shorter than the grain is left out.
 *   T3  So a row grows by at most a few spans for each grain of time; and with each MiB its grain doubles.
 *   T4  Spans of a row nest or are apart. Merging keeps that: only spans with the same one around them are merged. */
#ifndef MPP_TRACE_H
#define MPP_TRACE_H

#include "frame.h"
#include "func.h"

struct mpp_trace;

enum mpp_trace_kind {
	MPP_TRACE_TASK,          /* of a function: a call or a chunk of it */
	MPP_TRACE_CALLBACK,
	MPP_TRACE_DRAW,          /* a generator's items being drawn */
	MPP_TRACE_INITIALIZER,
	MPP_TRACE_FINALIZER,
	MPP_TRACE_IDLE,          /* waits, from here on: a worker without work */
	MPP_TRACE_WAIT,          /* for a call or an item of it */
	MPP_TRACE_FULL           /* for room in the queue */
};

/* Spans that became one: T1. */
struct mpp_trace_pending {
	int64_t start, end, busy;        /* busy: the sum of their times */
	size_t calls, items, first;      /* 0 calls: there is none */
	enum mpp_trace_kind kind;
	bool several;                    /* of different names */
	uintptr_t code;                  /* of a function without a name */
	char name[128];
};

enum mpp_trace_place { MPP_TRACE_WORKER, MPP_TRACE_RESULT_HANDLER, MPP_TRACE_TASK_HANDLER };

struct mpp_trace_text;

/* Its thread's. That of a guest, a thread from outside that helps, is on its stack and has no buffer. */
struct mpp_trace_row {
	struct mpp_trace *trace;         /* NULL: a guest's */
	struct mpp_trace_text *text;
	mppool *pool;                    /* a guest finds the trace by it, if it is still there */
	uint64_t id, tid;                /* the trace's and its own */
	int64_t grain;
	int64_t open;                    /* when the innermost open span began */
	int64_t flushed;                 /* when the buffer last went to the file */
	size_t written;                  /* bytes, since the grain doubled */
	size_t queued;                   /* the length of the queue when this worker fell asleep */
	struct mpp_trace_pending pending;
};

struct mpp_trace_span {
	int64_t start, outer;
};

struct mpp_trace_wait {
	struct mpp_trace_span span;
	struct mpp_trace_row *row;
	mppool *pool;                    /* NULL: nothing is traced */
};

extern _Atomic uint32_t mpp_trace_live;          /* traces of this process: is there anything to note? */

/* A pool's trace, by the option `path` (NULL: by the environment). *ret_trace is NULL if there is to be none, or if
 * the file cannot be written, which is then said on standard error. 0 or ENOMEM. */
int mpp_trace_open(const char *path, mppool *pool, const char *name, struct mpp_trace **ret_trace);
void mpp_trace_close(struct mpp_trace *trace);   /* no thread has a row any more. NULL: nothing */
void mpp_trace_abandon(struct mpp_trace *trace); /* in a child of fork: its memory only */

/* A thread takes a row at its start and gives it back at its end, when the next one at the same place gets it. NULL:
 * there is no trace, or no memory for this row. */
struct mpp_trace_row *mpp_trace_row_get(struct mpp_trace *trace, enum mpp_trace_place place, int index);
void mpp_trace_row_put(struct mpp_trace_row *row);

void mpp_trace_guest_row(struct mpp_trace_row *row, struct mpp_frame *frame);
void mpp_trace_guest_done(struct mpp_trace_row *row);

/* Behind the inline functions below. */
void mpp_trace_span_begin(struct mpp_trace_row *row, struct mpp_trace_span *span);
void mpp_trace_span_end(struct mpp_trace_row *row, const struct mpp_trace_span *span, enum mpp_trace_kind kind,
                        const struct mpp_func *func, size_t first, size_t items);
void mpp_trace_idle_begin(struct mpp_trace_row *row, struct mpp_trace_span *span, size_t queued);
void mpp_trace_wait_begin(struct mpp_trace_wait *wait, mppool *pool);
void mpp_trace_wait_end(struct mpp_trace_wait *wait, enum mpp_trace_kind kind, const struct mpp_func *func);
void mpp_trace_queue_seen(struct mpp_trace_row *row, size_t queued);
void mpp_trace_queue_seen_outside(struct mpp_trace *trace, size_t queued);

/* Around a user function, by the thread that the row is for; NULL: not traced. */
static inline void mpp_trace_begin(struct mpp_trace_row *row, struct mpp_trace_span *span)
{
	if (mpp_unlikely(row != NULL))
		mpp_trace_span_begin(row, span);
}

static inline void mpp_trace_end(struct mpp_trace_row *row, const struct mpp_trace_span *span,
                                 enum mpp_trace_kind kind, const struct mpp_func *func, size_t first, size_t items)
{
	if (mpp_unlikely(row != NULL))
		mpp_trace_span_end(row, span, kind, func, first, items);
}

/* For a thread that is about to work in this frame, and has no row in it: it gets that of the frame around it, or else
 * the one that is given, which need not be initialised. */
static inline void mpp_trace_guest_come(struct mpp_trace_row *row, struct mpp_frame *frame)
{
	if (mpp_unlikely(mpp_peek(&mpp_trace_live) > 0) && !frame->row)
		mpp_trace_guest_row(row, frame);
}

static inline void mpp_trace_guest_leave(struct mpp_trace_row *row, const struct mpp_frame *frame)
{
	if (mpp_unlikely(frame->row == row))
		mpp_trace_guest_done(row);
}

/* Around a worker's sleep, with the length of the queue that it left. No lock is held. */
static inline void mpp_trace_sleep(struct mpp_trace_row *row, struct mpp_trace_span *span, size_t queued)
{
	if (mpp_unlikely(row != NULL))
		mpp_trace_idle_begin(row, span, queued);
}

/* Around a wait of any thread, in a pool or outside, for something of `pool`, which may be gone when it is over. */
static inline void mpp_trace_wait(struct mpp_trace_wait *wait, mppool *pool)
{
	wait->pool = NULL;
	if (mpp_unlikely(mpp_peek(&mpp_trace_live) > 0))
		mpp_trace_wait_begin(wait, pool);
}

static inline void mpp_trace_waited(struct mpp_trace_wait *wait, enum mpp_trace_kind kind, const struct mpp_func *func)
{
	if (mpp_unlikely(wait->pool != NULL))
		mpp_trace_wait_end(wait, kind, func);
}

/* The length of the queue changed: by a worker, or by a submitter. No lock is held. */
static inline void mpp_trace_queue(struct mpp_trace_row *row, size_t queued)
{
	if (mpp_unlikely(row != NULL))
		mpp_trace_queue_seen(row, queued);
}

static inline void mpp_trace_submitted(struct mpp_trace *trace, size_t queued)
{
	if (mpp_unlikely(trace != NULL))
		mpp_trace_queue_seen_outside(trace, queued);
}

/* Nobody is in the middle of writing while the process forks; the child has no traces. */
void mpp_trace_before_fork(void);
void mpp_trace_after_fork(void);
void mpp_trace_in_child(void);

#endif
