/* layer 1: a bounded first-in first-out ring of pointers for many submitters and many takers, without a lock (Vyukov's
 * bounded queue).
 *
 * DESIGN. Tickets count the pushes. A submitter draws ticket t by moving the tail, and fills the cell t % MPP_RING. A taker
 * takes ticket h by moving the head past a cell that is filled. A taker that finds nothing can arm the cell that the next
 * push fills: the submitter learns from the cell itself that a thread awaits its entry, without a look at another line.
 *
 * Invariants:
 *   Q1  The state of the cell of ticket t is smaller than armed(t), armed(t), or filled(t). It is filled(t) once, since
 *       tickets are never used twice: a compare-and-swap that arms an earlier ticket's cell fails.
 *   Q2  Ticket t is drawn only when t - MPP_RING has been taken. So a taker whose compare-and-swap of the head succeeds
 *       has read the entry that belongs to its ticket.
 *   Q3  A push is a compare-and-swap of the tail, so a push is over, or it has drawn its ticket, or it is refused, when the
 *       ring is sealed. It ends with a read-modify-write of the cell's state. A submitter that looks afterwards whether anybody
 *       sleeps, and a worker that says that it sleeps and then looks at the head's cell, cannot both miss the other. */
#ifndef MPP_RING_H
#define MPP_RING_H

#include "sync.h"

#ifndef MPP_RING
#define MPP_RING ((size_t)256)   /* cells: 4 KiB */
#endif
#define MPP_RING_SEALED (SIZE_MAX / 2 + 1)      /* a bit of the tail */
#define MPP_RING_AHEAD 3         /* the entry that is fetched while an earlier one is taken */

struct mpp_ring_cell {
	_Atomic size_t state;            /* Q1. Its release publishes the entry */
	_Atomic(void *) entry;
};

struct mpp_ring {
	alignas(MPP_LINE) _Atomic size_t tail;           /* the next ticket, and MPP_RING_SEALED */
	_Atomic size_t head_seen;                        /* a head that a submitter has seen: Q2 */
	_Atomic size_t most;                             /* most entries at once, as submitters have seen it */
	alignas(MPP_LINE) _Atomic size_t head;           /* the ticket to be taken next */
	alignas(MPP_LINE) struct mpp_ring_cell cell[MPP_RING];
};

static inline size_t mpp_ring_filled(size_t ticket)
{
	return 2 * ticket + 2;
}

static inline size_t mpp_ring_armed(size_t ticket)
{
	return 2 * ticket + 1;
}

static inline struct mpp_ring_cell *mpp_ring_cell(struct mpp_ring *ring, size_t ticket)
{
	return &ring->cell[ticket % MPP_RING];
}

/* Tickets that were drawn and not taken. */
static inline size_t mpp_ring_count(struct mpp_ring *ring)
{
	size_t head = mpp_load_seq(&ring->head);

	return (mpp_load_seq(&ring->tail) & ~MPP_RING_SEALED) - head;
}

/* From now on no ticket is drawn. */
static inline void mpp_ring_seal(struct mpp_ring *ring)
{
	mpp_or(&ring->tail, MPP_RING_SEALED);
}

bool mpp_ring_has_room(struct mpp_ring *ring, size_t ticket);    /* Q2; by submitters */

/* Draws a ticket, which must be filled at once. False: the ring is full, or sealed. */
static inline bool mpp_ring_reserve(struct mpp_ring *ring, size_t *ret_ticket)
{
	size_t ticket = mpp_peek(&ring->tail);

	do
		if (mpp_unlikely(ticket - mpp_load(&ring->head_seen) >= mpp_peek(&ring->most)) &&
		    !mpp_ring_has_room(ring, ticket))
			return false;
	while (mpp_unlikely(!mpp_cas(&ring->tail, &ticket, ticket + 1)));
	*ret_ticket = ticket;
	return true;
}

/* True: a taker is spinning at this very cell. */
static inline bool mpp_ring_fill(struct mpp_ring *ring, size_t ticket, void *entry)
{
	struct mpp_ring_cell *cell = mpp_ring_cell(ring, ticket);

	mpp_poke(&cell->entry, entry);
	return mpp_swap(&cell->state, mpp_ring_filled(ticket)) == mpp_ring_armed(ticket);        /* Q3 */
}

/* Is there an entry to take? Ordered against a push that is followed by a look: Q3. */
static inline bool mpp_ring_is_ready(struct mpp_ring *ring)
{
	size_t head = mpp_load_seq(&ring->head);

	return mpp_load_seq(&mpp_ring_cell(ring, head)->state) == mpp_ring_filled(head);
}

void *mpp_ring_pop(struct mpp_ring *ring);       /* NULL: there is none that is filled */

/* Arms the cell of the next push. False: there is something to take, or another taker is there already. */
bool mpp_ring_arm(struct mpp_ring *ring, size_t *ret_ticket);

/* Is the cell still as the caller armed it? */
static inline bool mpp_ring_is_armed_at(struct mpp_ring *ring, size_t ticket)
{
	return mpp_load(&mpp_ring_cell(ring, ticket)->state) == mpp_ring_armed(ticket);
}

/* False: it has been filled meanwhile. */
bool mpp_ring_disarm(struct mpp_ring *ring, size_t ticket);

/* Does a taker await the next push? It has looked, or will look, at everything that was stored before. */
static inline bool mpp_ring_is_armed(struct mpp_ring *ring)
{
	size_t head = mpp_load_seq(&ring->head);

	return mpp_load_seq(&mpp_ring_cell(ring, head)->state) == mpp_ring_armed(head);
}

#endif
