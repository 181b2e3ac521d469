/* SPDX-License-Identifier: MIT
 *
 * Scenario: the store of blocks. Elsewhere under the scheduler each block is one by itself (standins.c), so
 * src/memory.c is compiled here once more, under other names. */
#include "scenarios.h"

#include <stdlib.h>

#define mpp_alloc store_plain_alloc
#define mpp_zalloc store_plain_zalloc
#define mpp_realloc store_plain_realloc
#define mpp_alloc_aligned store_plain_alloc_aligned
#define mpp_free store_plain_free
#define mpp_block_alloc store_alloc
#define mpp_block_free store_free
#define mpp_memory_before_fork store_before_fork
#define mpp_memory_after_fork store_after_fork
#define malloc(size) sched_alloc(MPP_LINE, size)
#define calloc(n, size) sched_zalloc((n) * (size))
#define aligned_alloc(alignment, size) sched_alloc(alignment, size)
#define free(memory) sched_free(memory)
#include "memory.c"

#ifndef MPP_PLAIN_MEMORY

#define BLOCKS (3 * ROUNDS)      /* more than a thread keeps */
#define SIZE MPP_BLOCK_MAX       /* fewest to a slab */

static void fill(long *blocks[], size_t n, long mark)
{
	for (size_t i = 0; i < n; i++) {
		blocks[i] = store_alloc(SIZE);
		SCHED_CHECK(blocks[i] != NULL);
		*blocks[i] = mark;       /* a race, if somebody else has the block, too */
	}
}

static void give_back(long *blocks[], size_t n, long mark)
{
	for (size_t i = 0; i < n; i++) {
		SCHED_EQUAL(*blocks[i], mark);
		store_free(blocks[i], SIZE);
	}
}

/* Gives back what somebody else took, then blocks of its own. */
static void exchange(void *arg)
{
	long *mine[BLOCKS];

	give_back(arg, BLOCKS, 1);
	fill(mine, BLOCKS, 2);
	give_back(mine, BLOCKS, 2);
}

static void free_magazines(struct store *c, size_t class, struct magazine *m)
{
	struct magazine *next;

	for (; m; m = next) {
		next = m->next;
		unload(c, class, m);
		sched_free(m);
	}
}

/* What the depots keep, and the last slabs. */
static void empty_store(void)
{
	for (size_t class = 0; class < CLASSES; class++) {
		struct store *c = &stores[class];
		struct slab *s;

		free_magazines(c, class, c->full);
		free_magazines(c, class, c->empty);
		while ((s = mpp_entry(c->slabs.first, struct slab, link)) != NULL) {
			SCHED_EQUAL(s->nfree, blocks_in_slab(class));
			mpp_list_remove(&c->slabs, &s->link);
			sched_free(s);
		}
		c->full = c->empty = NULL;
		c->nempty = c->nfull = 0;
	}
}

/* Blocks travel from thread to thread, and each is one thread's at a time. */
static void store_two_threads(void)
{
	static long *lent[BLOCKS];
	struct sched_thread *other;
	long *mine[BLOCKS];

	fill(lent, BLOCKS, 1);
	other = sched_spawn("other", exchange, lent);
	fill(mine, BLOCKS, 3);
	give_back(mine, BLOCKS, 3);
	sched_join(other);
	flush_caches();
	empty_store();
}

#endif

const struct sched_scenario sched_blocks[] = {
#ifndef MPP_PLAIN_MEMORY
	{"store_two_threads", store_two_threads},
#endif
	{NULL, NULL},
};
