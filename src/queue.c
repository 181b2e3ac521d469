/* layer 1: the blocks of a queue. */
#include "queue.h"

#include "memory.h"

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

void mpp_queue_grow(struct mpp_queue *queue)
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

size_t mpp_queue_pop_many(struct mpp_queue *queue, void *entries[], size_t most)
{
	size_t n = 0, run;

	while (n < most && queue->count > 0) {
		run = mpp_min(mpp_min(most - n, queue->count), MPP_QUEUE_ENTRIES - queue->first);
		memcpy(entries + n, &queue->head->entry[queue->first], run * sizeof entries[0]);
		n += run;
		queue->first += run;
		queue->count -= run;
		if (queue->first == MPP_QUEUE_ENTRIES)
			drop_head(queue);
		else if (queue->count == 0)
			queue->first = queue->end = 0;   /* the only block: start again at its front, which is warm */
	}
	return n;
}

void *mpp_queue_pop(struct mpp_queue *queue)
{
	void *entry;

	return mpp_queue_pop_many(queue, &entry, 1) ? entry : NULL;
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
