/* layer 2: the protocol between a worker's thread and its process: a slot of shared memory that no one else touches.
 *
 * DESIGN. The thread writes a parcel into the slot and counts it in `go`. The process claims its items one by one (of a
 * chunk function: chunk by chunk), runs them, and counts them in `done`. What it has not begun can be taken back.
 *
 *   R1  The word `span` is begun | limit << 32: items [0, begun) of the parcel have begun, items [begun, limit) may
 *       begin. The process claims by raising begun, others take back by lowering limit: one compare-and-swap on one word
 *       each. So an item either begins or is taken back, and whichever thread took it back answers for it.
 *   R2  The process stores an item's code and result, then `done`. So of a process that died: items [0, done) ended,
 *       [done, begun) are lost, [begun, limit) have not begun and are the thread's.
 *   R3  The program reads nothing from a slot that it needs in order to stay whole: count, sizes and places are kept in
 *       private memory (struct mpp_parcel_end). A slot in which done <= begun <= limit <= count does not hold, or in
 *       which limit or go is not what the program last stored, is garbled: its process is killed and its parcel lost.
 *   R4  Sleeps. `go`, then process_sleeps / process_sleeps, then go. `bell`, then thread_sleeps / thread_sleeps, then
 *       bell. Store before load on both sides: nobody sleeps on a word that has changed.
 *
 * The memory is shared, and the process may die between any two steps: nothing here is a lock. */
#ifndef MPP_PARCEL_H
#define MPP_PARCEL_H

#include "carrier.h"

#ifdef MPP_SHARED_PARK

#define MPP_PARCEL_MOST ((size_t)512)    /* items */
#define MPP_SLOT_MESSAGES ((size_t)48 * 1024)
#define MPP_SLOT_DATA ((size_t)64 * 1024)

enum mpp_slot_state { MPP_SLOT_NEW, MPP_SLOT_INITIALIZED, MPP_SLOT_FAILED };
enum mpp_command { MPP_COMMAND_RUN, MPP_COMMAND_LEAVE };

/* How an item ended. */
struct mpp_slot_item {
	int32_t code;
	uint32_t late;                   /* 1: it returned 0, but past its time limit */
	uint32_t message, length;        /* in the slot's messages; length 0: none */
};

/* A parcel as the process sees it. */
struct mpp_slot_call {
	mppool_item_call *call;
	mppool_chunk_call *chunk_call;   /* not NULL: by chunks */
	void *context;
	size_t nargs, result_size;
	size_t first;                    /* index of the first item */
	size_t unit;                     /* of chunk functions: they are handed up to the next multiple of it */
	size_t result_stride;
	char *results;                   /* NULL: there are none */
	int64_t task_timeout;
	struct mppool_column columns[MPPOOL_MAX_ARGS];
};

struct mpp_slot {
	/* The program writes. */
	alignas(MPP_LINE) _Atomic uint32_t go;           /* parcels and commands so far */
	_Atomic uint32_t stop;                           /* MPP_STOP: the running item sees should_stop */
	uint32_t command;                                /* published by go */
	/* The process writes. */
	alignas(MPP_LINE) _Atomic uint32_t process_sleeps;
	_Atomic uint32_t done;                           /* R2 */
	_Atomic uint32_t ended;                          /* as `go`: it has finished that one */
	_Atomic uint32_t state;                          /* enum mpp_slot_state */
	_Atomic int64_t began_at;                        /* with a time limit: when the newest item began */
	/* Both. */
	alignas(MPP_LINE) _Atomic uint32_t bell;         /* R4: something has changed */
	_Atomic uint32_t thread_sleeps;
	alignas(MPP_LINE) _Atomic uint64_t span;         /* R1 */
	struct mpp_slot_call parcel;
	struct mpp_slot_item item[MPP_PARCEL_MOST];      /* item[0] also: how the initializer ended */
	char messages[MPP_SLOT_MESSAGES];
	alignas(MPP_LINE) char data[];                   /* arguments, results, context */
};

/* The thread's end of it. */
struct mpp_parcel_end {
	struct mpp_slot *slot;
	struct mpp_lock lock;            /* guards open and limit */
	bool open;                       /* a parcel is out */
	bool garbled;                    /* R3; the lock */
	uint32_t limit;                  /* as last stored */
	size_t count, first, unit;       /* of the parcel; unit 0: any item may be the first of those taken back */
	uint32_t number;                 /* its `go` */
	size_t delivered;                /* items whose end the thread has taken over */
};

void mpp_parcel_init(struct mpp_parcel_end *end, struct mpp_slot *slot);
void mpp_parcel_reset(struct mpp_parcel_end *end);       /* for a new process: no other is there */

/* The slot's parcel is filled: hands it over, in one step with its opening for recalls. */
void mpp_parcel_send(struct mpp_parcel_end *end, size_t first, size_t count, size_t unit);
void mpp_parcel_command(struct mpp_parcel_end *end, enum mpp_command command);

size_t mpp_parcel_recall(struct mpp_parcel_end *end, enum mpp_recall what, size_t *ret_from);    /* R1 */

/* Closes it: takes back all, and nobody else will. Returns what the limit was before, *ret_begun what it is. */
size_t mpp_parcel_close(struct mpp_parcel_end *end, size_t *ret_begun);

/* Items that ended so far, and that began; false: garbled. */
bool mpp_parcel_look(struct mpp_parcel_end *end, size_t *ret_done, size_t *ret_begun);
bool mpp_parcel_is_finished(const struct mpp_parcel_end *end);   /* the process looks at it no more */

/* Sleeps until the bell is not `seen` any more, or the deadline. */
void mpp_parcel_wait(struct mpp_parcel_end *end, uint32_t seen, int64_t deadline);
void mpp_slot_ring(struct mpp_slot *slot);       /* the bell, by the process */
void mpp_slot_nudge(struct mpp_slot *slot);      /* the bell, by the program, which does not trust thread_sleeps: R3 */

/* The process's end: sleeps until `go` is not `seen`, and returns it; runs the parcel of this number. What
 * the items have written is flushed before the thread can see that the last one has ended. */
uint32_t mpp_slot_await(struct mpp_slot *slot, uint32_t seen);
void mpp_slot_run(struct mpp_slot *slot, uint32_t number, struct mpp_frame *frame, void (*flush)(void));
void mpp_slot_note(struct mpp_slot *slot, size_t i, int code, bool late, const char *message);
void mpp_slot_clear_messages(void);

#endif

#endif
