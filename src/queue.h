/* layer 1: a first-in first-out queue of pointers, in blocks: a batch of neighbours is read from one or two cache
 * lines. It has no lock: its owner's protects it. */
#ifndef MPP_QUEUE_H
#define MPP_QUEUE_H

#include "base.h"

#define MPP_QUEUE_ENTRIES 511    /* with the link a block is 4 KiB */

struct mpp_queue_block {
	struct mpp_queue_block *next;
	void *entry[MPP_QUEUE_ENTRIES];
};

struct mpp_queue {
	alignas(MPP_LINE) struct mpp_queue_block *head, *tail;     /* NULL: no block at all */
	size_t first, end;                       /* first entry in head; one past the last in tail */
	size_t count;
	struct mpp_queue_block *spare;           /* at most one, kept for the next push */
};

/* Room for one push without memory to be asked for? If not, mpp_queue_block_new() outside the lock and
 * mpp_queue_supply() inside it, which takes the block over. */
static inline bool mpp_queue_has_room(const struct mpp_queue *queue)
{
	return (queue->tail && queue->end < MPP_QUEUE_ENTRIES) || queue->spare;
}

struct mpp_queue_block *mpp_queue_block_new(void);
void mpp_queue_supply(struct mpp_queue *queue, struct mpp_queue_block *block);

void mpp_queue_grow(struct mpp_queue *queue);                    /* appends the spare block */

static inline void mpp_queue_push(struct mpp_queue *queue, void *entry)          /* has_room must hold */
{
	if (mpp_unlikely(!queue->tail || queue->end == MPP_QUEUE_ENTRIES))
		mpp_queue_grow(queue);
	queue->tail->entry[queue->end++] = entry;
	queue->count++;
}

void *mpp_queue_peek(const struct mpp_queue *queue);             /* NULL: empty */
void *mpp_queue_pop(struct mpp_queue *queue);                    /* NULL: empty */
size_t mpp_queue_pop_many(struct mpp_queue *queue, void *entries[], size_t most);        /* how many */
void mpp_queue_fini(struct mpp_queue *queue);

#endif
