/* layer 1: the arena: reserving, slots, blocks of pages. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "arena.h"

#include "memory.h"
#include "sync.h"

#include <sys/mman.h>
#include <unistd.h>

#if defined(MPP_SHARED_PARK) && defined(MADV_REMOVE) && defined(MAP_ANONYMOUS) && defined(MAP_NORESERVE)

#define MOST (sizeof(size_t) > 4 ? (size_t)1 << 31 << 5 : (size_t)1 << 30)       /* 64 GiB, 1 GiB */
#define LEAST ((size_t)1 << 23)
#define MOST_SLOTS ((size_t)1 << 14)

/* A run of pages, in the order of addresses; neighbours that are both free are one. */
struct extent {
	struct extent *before, *after;
	char *base;
	size_t size;
	bool used;
};

static struct mpp_lock lock = MPP_LOCK_INIT(MPP_RANK_MEMORY);
static char *base;               /* the lock: NULL: not reserved */
static size_t size, nslots;      /* the lock */
static size_t fresh_slots;       /* the lock: slots from here on were never used */
static void **free_slots;        /* the lock: the others that are free now, */
static size_t nfree;             /* so many */
static struct extent *first;     /* the lock */
static char *inherited;          /* a worker process: its program's arena, whose slots are to be sealed */
static size_t inherited_slots;

static size_t page_size(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

static void *reserve(size_t *ret_size)
{
	for (size_t n = MOST; n >= LEAST; n /= 2) {
		void *memory = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

		if (memory != MAP_FAILED) {
#ifdef MADV_DONTDUMP
			madvise(memory, n, MADV_DONTDUMP);
#endif
			*ret_size = n;
			return memory;
		}
	}
	return NULL;
}

static int open_locked(void)
{
	if (base)
		return 0;
	first = mpp_zalloc(sizeof *first);
	base = first ? reserve(&size) : NULL;
	nslots = mpp_min(MOST_SLOTS, size / 8 / MPP_ARENA_SLOT);
	free_slots = base ? mpp_alloc(nslots * sizeof *free_slots) : NULL;
	if (!free_slots) {
		if (base)
			munmap(base, size);
		mpp_free(first);
		base = NULL;
		first = NULL;
		return ENOMEM;
	}
	nfree = fresh_slots = 0;
	first->base = base + nslots * MPP_ARENA_SLOT;
	first->size = size - nslots * MPP_ARENA_SLOT;
	return 0;
}

int mpp_arena_open(void)
{
	int error;

	mpp_lock(&lock);
	error = open_locked();
	mpp_unlock(&lock);
	return error;
}

size_t mpp_arena_room(void)
{
	size_t room;

	mpp_lock(&lock);
	room = base ? size - nslots * MPP_ARENA_SLOT : 0;
	mpp_unlock(&lock);
	return room;
}

/* Gives pages back. Where the system refuses that, their bytes are zeroed at least. */
static void clear(void *memory, size_t bytes)
{
	if (madvise(memory, bytes, MADV_REMOVE) != 0)
		memset(memory, 0, bytes);
}

static void *alloc_locked(size_t bytes)
{
	struct extent *e = first, *rest;

	while (e && (e->used || e->size < bytes))
		e = e->after;
	if (!e)
		return NULL;
	if (e->size > bytes) {
		rest = mpp_zalloc(sizeof *rest);
		if (!rest)
			return NULL;
		rest->base = e->base + bytes;
		rest->size = e->size - bytes;
		rest->before = e;
		rest->after = e->after;
		if (e->after)
			e->after->before = rest;
		e->after = rest;
		e->size = bytes;
	}
	e->used = true;
	return e->base;
}

void *mpp_arena_alloc(size_t bytes)
{
	void *memory = NULL;

	if (bytes == 0 || bytes > (size_t)PTRDIFF_MAX / 2)
		return NULL;
	bytes = mpp_round_up(bytes, page_size());
	mpp_lock(&lock);
	if (base)
		memory = alloc_locked(bytes);
	mpp_unlock(&lock);
	return memory;
}

/* The second becomes part of the first if both are free. */
static void merge_locked(struct extent *a, struct extent *b)
{
	if (!a || !b || a->used || b->used)
		return;
	a->size += b->size;
	a->after = b->after;
	if (b->after)
		b->after->before = a;
	mpp_free(b);
}

void mpp_arena_free(void *memory)
{
	struct extent *e, *before;

	if (!memory)
		return;
	mpp_lock(&lock);
	e = first;
	while (e && !(e->used && e->base == memory))
		e = e->after;
	if (e) {
		clear(e->base, e->size);
		e->used = false;
		before = e->before;
		merge_locked(e, e->after);
		merge_locked(before, e);
	}
	mpp_unlock(&lock);
}

/* Without the lock: the mapping stays where it is as long as its process knows it. */
bool mpp_arena_has(const void *memory, size_t bytes)
{
	uintptr_t at = (uintptr_t)memory, from = (uintptr_t)base + nslots * MPP_ARENA_SLOT, end = (uintptr_t)base + size;

	return base && at >= from && at < end && bytes <= end - at;
}

void *mpp_arena_slot_get(void)
{
	void *slot = NULL;

	mpp_lock(&lock);
	if (base && nfree > 0)
		slot = free_slots[--nfree];
	else if (base && fresh_slots < nslots)
		slot = base + fresh_slots++ * MPP_ARENA_SLOT;
	mpp_unlock(&lock);
	return slot;
}

void mpp_arena_slot_put(void *slot)
{
	clear(slot, MPP_ARENA_SLOT);
	mpp_lock(&lock);
	free_slots[nfree++] = slot;
	mpp_unlock(&lock);
}

void mpp_arena_seal(const void *slot)
{
	size_t before, bytes = inherited_slots * MPP_ARENA_SLOT;

	if (!inherited)
		return;
	before = (size_t)((const char *)slot - inherited);
	if (before > 0)
		mprotect(inherited, before, PROT_NONE);
	if (before + MPP_ARENA_SLOT < bytes)
		mprotect(inherited + before + MPP_ARENA_SLOT, bytes - before - MPP_ARENA_SLOT, PROT_NONE);
}

/* What its parent allocated there stays visible, but is no block of this process. If a thread that is not here was
 * changing the bookkeeping, that is left alone. */
void mpp_arena_in_child(void)
{
	bool whole = mpp_peek(&lock.word) == 0;

	mpp_lock_init(&lock, MPP_RANK_MEMORY);
	if (base) {
		inherited = base;
		inherited_slots = nslots;
	}
	while (whole && first) {
		struct extent *e = first;

		first = e->after;
		mpp_free(e);
	}
	if (whole)
		mpp_free(free_slots);
	first = NULL;
	free_slots = NULL;
	base = NULL;
	size = nslots = 0;
}

#else

int mpp_arena_open(void)
{
	return ENOTSUP;
}

void *mpp_arena_alloc(size_t size)
{
	(void)size;
	return NULL;
}

void mpp_arena_free(void *memory)
{
	(void)memory;
}

size_t mpp_arena_room(void)
{
	return 0;
}

bool mpp_arena_has(const void *memory, size_t size)
{
	(void)memory;
	(void)size;
	return false;
}

void *mpp_arena_slot_get(void)
{
	return NULL;
}

void mpp_arena_slot_put(void *slot)
{
	(void)slot;
}

void mpp_arena_seal(const void *slot)
{
	(void)slot;
}

void mpp_arena_in_child(void)
{
}

#endif
