/* layer 1: memory that worker processes share with the program.
 *
 * DESIGN. One anonymous mapping, the *arena*, is reserved when it is first needed. Processes that are forked later have
 * it at the same address, together with what is allocated in it later still. At its beginning are the slots, one for
 * each worker process; after them blocks of whole pages. All bookkeeping is in private memory of the program, so that no
 * worker process can damage it. A child of fork has no arena until it needs one; then it is a new one. */
#ifndef MPP_ARENA_H
#define MPP_ARENA_H

#include "base.h"

#define MPP_ARENA_SLOT ((size_t)128 * 1024)

int mpp_arena_open(void);                /* reserves it, unless it is there. 0, ENOMEM or ENOTSUP */
void *mpp_arena_alloc(size_t size);      /* zeroed, on a page's beginning; NULL: no room, or no arena */
void mpp_arena_free(void *memory);       /* NULL, or what is no block of this process: nothing */
size_t mpp_arena_room(void);             /* bytes of the largest block that could ever be */

/* Are all these bytes in blocks of the arena? The length may be 0. */
bool mpp_arena_has(const void *memory, size_t size);

void *mpp_arena_slot_get(void);          /* zeroed; NULL: there are no more */
void mpp_arena_slot_put(void *slot);

/* In a worker process, before user code runs there: all slots but its own become inaccessible. */
void mpp_arena_seal(const void *slot);

void mpp_arena_in_child(void);           /* right after a fork */

#endif
