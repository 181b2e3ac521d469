/* layer 0: memory. Small blocks come from a store with a cache per thread; everything else from malloc. */
#ifndef MPP_MEMORY_H
#define MPP_MEMORY_H

#include "base.h"

/* malloc and calloc for sizes that were added up already: SIZE_MAX always fails. */
void *mpp_alloc(size_t size);
void *mpp_zalloc(size_t size);
void *mpp_realloc(void *memory, size_t size);
void *mpp_alloc_aligned(size_t size);            /* on a cache line; zeroed */
void mpp_free(void *memory);

/* Blocks that are born in one thread and may die in another, a million at a time: a job of one item. Aligned to a cache
 * line up to MPP_BLOCK_MAX bytes, else as malloc does. The size must be given back unchanged. */
#define MPP_BLOCK_MAX 512
void *mpp_block_alloc(size_t size);
void mpp_block_free(void *block, size_t size);

/* The store's locks are held over a fork, so that the child finds it whole. */
void mpp_memory_before_fork(void);
void mpp_memory_after_fork(void);

#endif
