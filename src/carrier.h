/* layer 2: how a worker's items run somewhere else than on its thread.
 *
 * A pool of threads has no carrier. Else each worker's thread has a *remote*: it hands the items that it claimed over
 * as a *parcel*, waits, and reports what became of each. The core knows nothing more of where that is. */
#ifndef MPP_CARRIER_H
#define MPP_CARRIER_H

#include "frame.h"
#include "func.h"

/* What became of an item that was handed over. The pointers are good during the call. */
struct mpp_item_end {
	int code;
	int status;                      /* of MPPOOL_ELOST: the process's, as waitpid() tells; else 0 */
	bool late;                       /* it succeeded after its time limit: `result` is to be dropped */
	bool killed;                     /* it was killed because of a cancel or the pool's end */
	const void *result;              /* NULL: there is none, or it is in its place already */
	const char *message;             /* NULL: mppool_strerror(code) */
};

/* Filled by the thread that claimed the items. */
struct mpp_parcel {
	const struct mpp_func *func;
	size_t first, count;             /* of the input; at least one item */
	const struct mppool_column *columns;     /* based at the first item */
	void *results;                   /* of the first item; NULL: they go to `ended` alone, or there are none */
	size_t result_stride;
	size_t unit;                     /* items of one chunk, which begin at multiples of it; 0: no chunks were asked for */
	bool by_chunk;                   /* by the function's chunk_call */
	int64_t task_timeout;            /* nanoseconds; 0: none */
	void (*ended)(void *arg, size_t i, const struct mpp_item_end *end);      /* once per item, in their order */
	bool (*sent)(void *arg);         /* others may recall from now on; true: nothing is to begin. NULL: nobody asked */
	bool (*halted)(void *arg);       /* is nothing more to begin? NULL: it is */
	void *arg;
	/* Out. Of the items [0, handed) that were handed over, others took [kept, handed) back, and answer for them; kept is
	 * count if nobody did. */
	size_t handed, kept;
};

enum mpp_start {
	MPP_STARTED,
	MPP_NOT_INITIALIZED,             /* its initializer failed, or died; *ret_code and *ret_message say how */
	MPP_NO_ROOM                      /* nothing could be started; *ret_code is an errno value */
};

enum mpp_recall {
	MPP_RECALL_ALL,
	MPP_RECALL_HALF,                 /* the second half, in whole chunks */
	MPP_RECALL_NONE                  /* says how many that would be */
};

/* Remotes are used by their worker's thread, but for recall and nudge. */
struct mpp_carrier {
	/* For a pool, before its threads. `lost`: nothing can be started any more; called by a thread of the carrier's. */
	int (*open)(const struct mppool_options *options, mppool *pool, void (*lost)(mppool *pool), void **ret_carried);
	void (*close)(void *carried);    /* all remotes are stopped; waits until nothing is left */
	void (*abandon)(void *carried);  /* the same in a child of fork: memory only */

	/* Can the workers run this function? 0, or a code and why. */
	int (*check)(void *carried, const struct mppool_func *func, const char **ret_message);

	struct mpp_remote *(*attach)(void *carried, int index);          /* NULL: no memory */
	void (*detach)(struct mpp_remote *remote);
	enum mpp_start (*start)(struct mpp_remote *remote, const struct mpp_frame *frame, int *ret_code,
	                        const char **ret_message);
	void (*stop)(struct mpp_remote *remote, const struct mpp_frame *frame);  /* with its finalizer; nothing if it is lost */
	bool (*alive)(const struct mpp_remote *remote);
	uint64_t (*pid)(const struct mpp_remote *remote);

	/* Runs items. Returns how many ended; those between them and parcel->kept have not begun and are the caller's. */
	size_t (*run)(struct mpp_remote *remote, struct mpp_parcel *parcel, const struct mpp_frame *frame);
	size_t (*batch)(const struct mpp_remote *remote);        /* items that it is best to hand over at once */

	/* By any thread that knows a parcel to be the remote's: takes back items that have not begun. Returns how many;
	 * *ret_from is the place of the first in the parcel. */
	size_t (*recall)(struct mpp_remote *remote, enum mpp_recall what, size_t *ret_from);
	void (*nudge)(struct mpp_remote *remote);        /* its thread looks whether it should stop. Any thread */
};

struct mpp_remote {
	const struct mpp_carrier *ops;
	const mppool *pool;              /* to compare with */
	struct mpp_remote *before, *after;       /* the list's lock */
};

/* The carrier for options.kind: *ret_carrier is NULL for threads. 0, EINVAL or ENOTSUP. */
int mpp_carrier_find(unsigned kind, const struct mpp_carrier **ret_carrier);
bool mpp_carrier_needs_sizes(void);      /* do new workers not have the memory of this moment? */

/* All remotes of the process. A pool is found there by its address alone, so it may be gone. */
void mpp_remote_enlist(struct mpp_remote *remote);
void mpp_remote_delist(struct mpp_remote *remote);
void mpp_remotes_nudge(const mppool *pool);
void mpp_remotes_in_child(void);

#endif
