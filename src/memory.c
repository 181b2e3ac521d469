/* layer 0: the store of small blocks.
 *
 * DESIGN. There is a class of blocks for every multiple of a cache line up to MPP_BLOCK_MAX. Blocks are cut from slabs
 * of 64 KiB. Each thread caches free blocks in a list of its own, which nobody else touches: the usual allocation is a
 * pop, the usual free a push. A thread whose list is empty takes a batch from the slabs under the class's lock, one
 * whose list is too long gives a batch back. A slab whose blocks are all back is returned to the system, except for a
 * few, so that a burst does not hold memory for ever and a steady load does not pay for the system's page faults.
 *
 * Where a checker of memory watches, and in debug builds, every block is a malloc of its own, so that it can see a use
 * after free. */
#include "memory.h"

#include "sync.h"
#include "thread.h"

void *mpp_alloc(size_t size)
{
	return size > (size_t)PTRDIFF_MAX ? NULL : malloc(size ? size : 1);
}

void *mpp_zalloc(size_t size)
{
	return size > (size_t)PTRDIFF_MAX ? NULL : calloc(1, size ? size : 1);
}

void *mpp_realloc(void *memory, size_t size)
{
	return size > (size_t)PTRDIFF_MAX ? NULL : realloc(memory, size ? size : 1);
}

void *mpp_alloc_aligned(size_t size)
{
	size_t rounded = mpp_round_up(size ? size : 1, MPP_LINE);
	void *memory = size > (size_t)PTRDIFF_MAX - MPP_LINE ? NULL : aligned_alloc(MPP_LINE, rounded);

	if (memory)
		memset(memory, 0, rounded);
	return memory;
}

void mpp_free(void *memory)
{
	free(memory);
}

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(memory_sanitizer)
#define MPP_PLAIN_MEMORY
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(MPP_DEBUG)
#define MPP_PLAIN_MEMORY
#endif

#ifdef MPP_PLAIN_MEMORY

void mpp_memory_before_fork(void)
{
}

void mpp_memory_after_fork(void)
{
}

void *mpp_block_alloc(size_t size)
{
	return mpp_alloc(size);
}

void mpp_block_free(void *block, size_t size)
{
	(void)size;
	free(block);
}

#else

#define CLASSES (MPP_BLOCK_MAX / MPP_LINE)
#define SLAB_BYTES ((size_t)64 << 10)    /* also a slab's alignment: a block finds its slab by its address */
#define BATCH 64                         /* blocks that move between a thread and the slabs at once */
#define SPARE_SLABS 16                   /* empty slabs that a class keeps: 1 MiB */

struct block {
	struct block *next;
};

struct slab {                    /* all fields under the lock of its class */
	struct slab *next, *prev;        /* in the class's list while it has free blocks */
	struct block *free;              /* blocks that came back */
	size_t nfree;                    /* those, and the ones never cut yet */
	size_t ncut;
};

static struct store {
	struct mpp_lock lock;
	struct slab *slabs;              /* slabs with free blocks */
	size_t nempty;                   /* of these, with no block in use */
} stores[CLASSES] = {
	{MPP_LOCK_INIT(MPP_RANK_MEMORY), NULL, 0}, {MPP_LOCK_INIT(MPP_RANK_MEMORY), NULL, 0},
	{MPP_LOCK_INIT(MPP_RANK_MEMORY), NULL, 0}, {MPP_LOCK_INIT(MPP_RANK_MEMORY), NULL, 0},
	{MPP_LOCK_INIT(MPP_RANK_MEMORY), NULL, 0}, {MPP_LOCK_INIT(MPP_RANK_MEMORY), NULL, 0},
	{MPP_LOCK_INIT(MPP_RANK_MEMORY), NULL, 0}, {MPP_LOCK_INIT(MPP_RANK_MEMORY), NULL, 0},
};

static _Thread_local struct cache {
	struct block *free;
	size_t count;
} caches[CLASSES];

static void flush_caches(void);
static _Thread_local struct mpp_exit_hook exit_hook = {flush_caches, NULL, false};

static size_t class_of(size_t size)
{
	return size ? (size - 1) / MPP_LINE : 0;
}

static size_t blocks_in_slab(size_t class)
{
	return (SLAB_BYTES - mpp_round_up(sizeof(struct slab), MPP_LINE)) / ((class + 1) * MPP_LINE);
}

static void slab_link(struct store *c, struct slab *s)
{
	s->prev = NULL;
	s->next = c->slabs;
	if (s->next)
		s->next->prev = s;
	c->slabs = s;
}

static void slab_unlink(struct store *c, struct slab *s)
{
	if (s->prev)
		s->prev->next = s->next;
	else
		c->slabs = s->next;
	if (s->next)
		s->next->prev = s->prev;
}

/* The lock is free while the system gives memory: it may take long. */
static struct slab *slab_new(size_t class)
{
	struct slab *s = aligned_alloc(SLAB_BYTES, SLAB_BYTES);

	if (s) {
		memset(s, 0, sizeof *s);
		s->nfree = blocks_in_slab(class);
	}
	return s;
}

static struct block *slab_take_locked(struct slab *s, size_t class)
{
	struct block *b = s->free;

	if (b)
		s->free = b->next;
	else
		b = (struct block *)(void *)((char *)s + mpp_round_up(sizeof *s, MPP_LINE) +
		                             s->ncut++ * (class + 1) * MPP_LINE);
	s->nfree--;
	return b;
}

static void refill_locked(struct store *c, struct cache *mine, size_t class)
{
	struct slab *s;

	while (mine->count < BATCH && (s = c->slabs) != NULL) {
		if (s->nfree == blocks_in_slab(class))
			c->nempty--;
		while (mine->count < BATCH && s->nfree > 0) {
			struct block *b = slab_take_locked(s, class);

			b->next = mine->free;
			mine->free = b;
			mine->count++;
		}
		if (s->nfree == 0)
			slab_unlink(c, s);
	}
}

static bool refill(size_t class)
{
	struct store *c = &stores[class];
	struct cache *mine = &caches[class];
	struct slab *fresh;

	mpp_at_thread_exit(&exit_hook);
	mpp_lock(&c->lock);
	refill_locked(c, mine, class);
	mpp_unlock(&c->lock);
	if (mine->count > 0)
		return true;
	fresh = slab_new(class);
	if (!fresh)
		return false;
	mpp_lock(&c->lock);
	slab_link(c, fresh);
	c->nempty++;
	refill_locked(c, mine, class);
	mpp_unlock(&c->lock);
	return mine->count > 0 || refill(class);
}

/* Returns the slab if it is to go back to the system. */
static struct slab *give_back_locked(struct store *c, size_t class, struct block *b)
{
	struct slab *s = (struct slab *)((uintptr_t)b & ~(uintptr_t)(SLAB_BYTES - 1));

	b->next = s->free;
	s->free = b;
	if (s->nfree++ == 0)
		slab_link(c, s);
	if (s->nfree < blocks_in_slab(class))
		return NULL;
	if (c->nempty < SPARE_SLABS) {
		c->nempty++;
		return NULL;
	}
	slab_unlink(c, s);
	return s;
}

static void flush(size_t class, size_t keep)
{
	struct store *c = &stores[class];
	struct cache *mine = &caches[class];
	struct slab *gone = NULL, *s;

	mpp_lock(&c->lock);
	while (mine->count > keep) {
		struct block *b = mine->free;

		mine->free = b->next;
		mine->count--;
		s = give_back_locked(c, class, b);
		if (s) {
			s->next = gone;
			gone = s;
		}
	}
	mpp_unlock(&c->lock);
	while ((s = gone) != NULL) {
		gone = s->next;
		free(s);
	}
}

static void flush_caches(void)
{
	for (size_t class = 0; class < CLASSES; class++)
		if (caches[class].count > 0)
			flush(class, 0);
}

void *mpp_block_alloc(size_t size)
{
	struct cache *mine;
	struct block *b;

	if (mpp_unlikely(size > MPP_BLOCK_MAX))
		return mpp_alloc(size);
	mine = &caches[class_of(size)];
	if (mpp_unlikely(mine->free == NULL) && !refill(class_of(size)))
		return NULL;
	b = mine->free;
	mine->free = b->next;
	mine->count--;
	return b;
}

void mpp_block_free(void *block, size_t size)
{
	struct cache *mine;
	struct block *b = block;

	if (mpp_unlikely(size > MPP_BLOCK_MAX)) {
		free(block);
		return;
	}
	mine = &caches[class_of(size)];
	b->next = mine->free;
	mine->free = b;
	if (mpp_unlikely(++mine->count > 2 * BATCH)) {
		mpp_at_thread_exit(&exit_hook);
		flush(class_of(size), BATCH);
	} else if (mpp_unlikely(mine->count == 1)) {
		mpp_at_thread_exit(&exit_hook);
	}
}

/* Plain locks, not ranked ones: all of them at once, always in the same order. */
void mpp_memory_before_fork(void)
{
	for (size_t class = 0; class < CLASSES; class++)
		mpp_lock_plain(&stores[class].lock);
}

void mpp_memory_after_fork(void)
{
	for (size_t class = 0; class < CLASSES; class++)
		mpp_unlock_plain(&stores[class].lock);
}

#endif
