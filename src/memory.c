/* layer 0: the store of small blocks.
 *
 * DESIGN. There is a class of blocks for every multiple of a cache line up to MPP_BLOCK_MAX. Blocks travel between
 * threads by the magazine (Bonwick and Adams 2001): an array of pointers to free blocks, so that a block that one thread
 * frees and another allocates is not itself touched on the way; its cache line moves once, when it is written. Each
 * thread has two magazines of its own per class, one that it allocates from and frees to and one that is full or empty:
 * the usual allocation and the usual free touch nothing that another thread writes. Full magazines are exchanged at the
 * class's depot, under its lock. What a depot has too many of goes back to the slabs of 64 KiB that blocks are cut from,
 * and a slab whose blocks are all back to the system, except for a few: so a burst does not hold memory for ever and a
 * steady load does not pay for the system's page faults.
 *
 * Where a checker of memory watches, and in debug builds, every block is a malloc of its own, so that it can see a use
 * after free. */
#include "memory.h"

#include "list.h"
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
#define SPARE_SLABS 16                   /* empty slabs that a class keeps: 1 MiB */
#define ROUNDS 62                        /* blocks to a magazine, which is then 512 bytes */
#define DEPOT_BYTES ((size_t)1 << 20)    /* of blocks in a class's full magazines */

struct block {
	struct block *next;
};

struct slab {                    /* all fields under the lock of its class */
	struct mpp_link link;            /* in one of the class's two lists; first, so that those point to the slab */
	struct block *free;              /* blocks that came back */
	size_t nfree;                    /* those, and the ones never cut yet */
	size_t ncut;
};

struct magazine {
	struct magazine *next;           /* in the depot */
	size_t count;
	void *round[ROUNDS];
};

static struct store {
	struct mpp_lock lock;
	struct mpp_list slabs;           /* those with free blocks */
	struct mpp_list spent;           /* the others, kept in sight of who looks for leaks */
	size_t nempty;                   /* slabs with no block in use */
	struct magazine *full, *empty;   /* the depot */
	size_t nfull;
} stores[CLASSES] = {
	{.lock = MPP_LOCK_INIT(MPP_RANK_MEMORY)}, {.lock = MPP_LOCK_INIT(MPP_RANK_MEMORY)},
	{.lock = MPP_LOCK_INIT(MPP_RANK_MEMORY)}, {.lock = MPP_LOCK_INIT(MPP_RANK_MEMORY)},
	{.lock = MPP_LOCK_INIT(MPP_RANK_MEMORY)}, {.lock = MPP_LOCK_INIT(MPP_RANK_MEMORY)},
	{.lock = MPP_LOCK_INIT(MPP_RANK_MEMORY)}, {.lock = MPP_LOCK_INIT(MPP_RANK_MEMORY)},
};

/* Both are there or neither is. `other` is full or empty, but for a thread's first. */
static _Thread_local struct cache {
	struct magazine *loaded, *other;
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

static void *slab_take_locked(struct slab *s, size_t class)
{
	struct block *b = s->free;

	s->nfree--;
	if (!b)
		return (char *)s + mpp_round_up(sizeof *s, MPP_LINE) + s->ncut++ * (class + 1) * MPP_LINE;
	s->free = b->next;
	return b;
}

/* Returns the slab if it is to go back to the system. */
static struct slab *slab_give_locked(struct store *c, size_t class, struct block *b)
{
	struct slab *s = (struct slab *)((uintptr_t)b & ~(uintptr_t)(SLAB_BYTES - 1));

	b->next = s->free;
	s->free = b;
	if (s->nfree++ == 0) {
		mpp_list_remove(&c->spent, &s->link);
		mpp_list_prepend(&c->slabs, &s->link);
	}
	if (s->nfree < blocks_in_slab(class))
		return NULL;
	if (c->nempty < SPARE_SLABS) {
		c->nempty++;
		return NULL;
	}
	mpp_list_remove(&c->slabs, &s->link);
	return s;
}

/* ------------------------------------------------------------------------------------------------------- magazines */

static size_t most_full(size_t class)
{
	return DEPOT_BYTES / (ROUNDS * (class + 1) * MPP_LINE);
}

/* Fresh rounds from the slabs that are there. */
static void load_locked(struct store *c, size_t class, struct magazine *m)
{
	struct slab *s;

	while (m->count < ROUNDS && (s = mpp_entry(c->slabs.first, struct slab, link)) != NULL) {
		if (s->nfree == blocks_in_slab(class))
			c->nempty--;
		while (m->count < ROUNDS && s->nfree > 0)
			m->round[m->count++] = slab_take_locked(s, class);
		if (s->nfree == 0) {
			mpp_list_remove(&c->slabs, &s->link);
			mpp_list_prepend(&c->spent, &s->link);
		}
	}
}

/* Gives all rounds back to the slabs. */
static void unload(struct store *c, size_t class, struct magazine *m)
{
	struct mpp_list gone = {NULL, NULL};
	struct slab *s;

	mpp_lock(&c->lock);
	while (m->count > 0) {
		s = slab_give_locked(c, class, m->round[--m->count]);
		if (s)
			mpp_list_prepend(&gone, &s->link);
	}
	mpp_unlock(&c->lock);
	while ((s = mpp_entry(gone.first, struct slab, link)) != NULL) {
		mpp_list_remove(&gone, &s->link);
		free(s);
	}
}

static void flush_caches(void)
{
	for (size_t class = 0; class < CLASSES; class++) {
		struct cache *mine = &caches[class];

		if (!mine->loaded)
			continue;
		unload(&stores[class], class, mine->loaded);
		unload(&stores[class], class, mine->other);
		free(mine->loaded);
		free(mine->other);
		mine->loaded = mine->other = NULL;
	}
}

/* This thread's magazines, made when they are first needed. False: no memory for them. */
static bool equip(struct cache *mine)
{
	if (mpp_likely(mine->loaded != NULL))
		return true;
	mine->loaded = mpp_zalloc(sizeof *mine->loaded);
	mine->other = mpp_zalloc(sizeof *mine->other);
	if (mine->loaded && mine->other) {
		mpp_at_thread_exit(&exit_hook);
		return true;
	}
	free(mine->loaded);
	free(mine->other);
	mine->loaded = mine->other = NULL;
	return false;
}

static void swap_magazines(struct cache *mine)
{
	struct magazine *m = mine->loaded;

	mine->loaded = mine->other;
	mine->other = m;
}

/* A full magazine for the empty one, or rounds from the slabs. */
static void reload_locked(struct store *c, size_t class, struct cache *mine)
{
	struct magazine *m = c->full;

	if (!m) {
		load_locked(c, class, mine->loaded);
		return;
	}
	c->full = m->next;
	c->nfull--;
	mine->loaded->next = c->empty;
	c->empty = mine->loaded;
	mine->loaded = m;
}

/* Both magazines are empty. */
static bool reload(size_t class, struct cache *mine)
{
	struct store *c = &stores[class];
	struct slab *fresh;

	mpp_lock(&c->lock);
	reload_locked(c, class, mine);
	mpp_unlock(&c->lock);
	while (mine->loaded->count == 0) {
		fresh = slab_new(class);
		if (!fresh)
			return false;
		mpp_lock(&c->lock);
		mpp_list_prepend(&c->slabs, &fresh->link);
		c->nempty++;
		reload_locked(c, class, mine);
		mpp_unlock(&c->lock);
	}
	return true;
}

/* Both magazines are full: one goes to the depot, for an empty one; or its rounds to the slabs. */
static void empty_one(size_t class, struct cache *mine)
{
	struct store *c = &stores[class];
	struct magazine *m = NULL;
	bool room;

	mpp_lock(&c->lock);
	room = c->nfull < most_full(class);
	if (room) {
		m = c->empty;
		if (m)
			c->empty = m->next;
	}
	mpp_unlock(&c->lock);
	if (!m && room)
		m = mpp_zalloc(sizeof *m);
	if (!m) {
		unload(c, class, mine->loaded);
		return;
	}
	mpp_lock(&c->lock);
	mine->loaded->next = c->full;
	c->full = mine->loaded;
	c->nfull++;
	mpp_unlock(&c->lock);
	mine->loaded = m;
}

/* ---------------------------------------------------------------------------------------------------------- blocks */

void *mpp_block_alloc(size_t size)
{
	struct cache *mine;
	struct magazine *m;
	void *b;

	if (mpp_unlikely(size > MPP_BLOCK_MAX))
		return mpp_alloc(size);
	mine = &caches[class_of(size)];
	m = mine->loaded;
	if (mpp_unlikely(!m || m->count == 0)) {
		if (!equip(mine))
			return NULL;
		swap_magazines(mine);
		if (mine->loaded->count == 0 && !reload(class_of(size), mine))
			return NULL;
		m = mine->loaded;
	}
	b = m->round[--m->count];
	if (m->count > 1)
		mpp_prefetch(m->round[m->count - 2]);    /* for the allocation after the next: it may be in another cache */
	return b;
}

/* No memory for magazines: straight to the slab. */
static void free_alone(size_t class, void *block)
{
	struct magazine m = {NULL, 1, {block}};

	unload(&stores[class], class, &m);
}

void mpp_block_free(void *block, size_t size)
{
	struct cache *mine;
	struct magazine *m;

	if (mpp_unlikely(size > MPP_BLOCK_MAX)) {
		free(block);
		return;
	}
	mine = &caches[class_of(size)];
	m = mine->loaded;
	if (mpp_unlikely(!m || m->count == ROUNDS)) {
		if (!equip(mine)) {
			free_alone(class_of(size), block);
			return;
		}
		swap_magazines(mine);
		if (mine->loaded->count == ROUNDS)
			empty_one(class_of(size), mine);
		m = mine->loaded;
	}
	m->round[m->count++] = block;
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
