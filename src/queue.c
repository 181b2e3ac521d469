/* layer 1: the blocks of a queue. */
#include "queue.h"

#include "memory.h"

#define ENTRIES 511      /* with the link a block is 4 KiB */

struct mpp_queue_block {
	struct mpp_queue_block *next;
	void *entry[ENTRIES];
};

bool mpp_queue_has_room(const struct mpp_queue *queue)
{
	return (queue->tail && queue->end < ENTRIES) || queue->spare;
}

struct mpp_queue_block *mpp_queue_block_new(void)
{
	return mpp_alloc(sizeof(struct mpp_queue_block));
}

void mpp_queue_supply(struct mpp_queue *queue, struct mpp_queue_block *block)
{
	if (queue->spare)
		mpp_free(block);
	else
		queue->spare = block;
}

static void append_block(struct mpp_queue *queue)
{
	struct mpp_queue_block *block = queue->spare;

	queue->spare = NULL;
	block->next = NULL;
	if (queue->tail)
		queue->tail->next = block;
	else
		queue->head = block;
	queue->tail = block;
	queue->end = 0;
}

void mpp_queue_push(struct mpp_queue *queue, void *entry)
{
	if (!queue->tail || queue->end == ENTRIES)
		append_block(queue);
	queue->tail->entry[queue->end++] = entry;
	queue->count++;
}

void *mpp_queue_peek(const struct mpp_queue *queue)
{
	return queue->count ? queue->head->entry[queue->first] : NULL;
}

static void drop_head(struct mpp_queue *queue)
{
	struct mpp_queue_block *block = queue->head;

	queue->first = 0;
	queue->head = block->next;
	if (!queue->head)
		queue->tail = NULL;
	mpp_queue_supply(queue, block);
}

void *mpp_queue_pop(struct mpp_queue *queue)
{
	void *entry;

	if (queue->count == 0)
		return NULL;
	entry = queue->head->entry[queue->first++];
	queue->count--;
	if (queue->first == ENTRIES)
		drop_head(queue);
	else if (queue->count == 0)
		queue->first = queue->end = 0;   /* the only block: start again at its front, which is warm */
	return entry;
}

void mpp_queue_fini(struct mpp_queue *queue)
{
	while (queue->head) {
		struct mpp_queue_block *block = queue->head;

		queue->head = block->next;
		mpp_free(block);
	}
	mpp_free(queue->spare);
	memset(queue, 0, sizeof *queue);
}
