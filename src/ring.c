/* layer 1: the ring's rarer steps. */
#include "ring.h"

bool mpp_ring_has_room(struct mpp_ring *ring, size_t ticket)
{
	size_t head = mpp_load(&ring->head), count = ticket - head + 1;

	if (ticket & MPP_RING_SEALED)
		return false;
	if ((ptrdiff_t)(ticket - head) < 0)      /* other submitters and takers have gone on; the ticket will be refused */
		return true;
	mpp_store(&ring->head_seen, head);
	if (count > MPP_RING)
		return false;
	if (count > mpp_peek(&ring->most))
		mpp_poke(&ring->most, count);
	return true;
}

void *mpp_ring_pop(struct mpp_ring *ring)
{
	size_t head = mpp_load(&ring->head);

	for (;;) {
		struct mpp_ring_cell *cell = mpp_ring_cell(ring, head);
		void *entry;

		if (mpp_load_seq(&cell->state) != mpp_ring_filled(head)) {      /* Q3: mpp_pool_stop looks here, too */
			const size_t now = mpp_load_seq(&ring->head);

			if (now == head)
				return NULL;
			head = now;
			continue;
		}
		entry = mpp_peek(&cell->entry);
		if (mpp_cas(&ring->head, &head, head + 1)) {
			cell = mpp_ring_cell(ring, head + MPP_RING_AHEAD);
			if (mpp_peek(&cell->state) == mpp_ring_filled(head + MPP_RING_AHEAD))
				mpp_prefetch(mpp_peek(&cell->entry));
			return entry;
		}
	}
}

bool mpp_ring_arm(struct mpp_ring *ring, size_t *ret_ticket)
{
	size_t head = mpp_load(&ring->head);
	struct mpp_ring_cell *cell = mpp_ring_cell(ring, head);
	size_t state = mpp_load(&cell->state);

	*ret_ticket = head;
	if (state >= mpp_ring_armed(head))
		return false;
	return mpp_cas(&cell->state, &state, mpp_ring_armed(head));
}

/* Back to a state that is smaller than the armed one: Q1. */
bool mpp_ring_disarm(struct mpp_ring *ring, size_t ticket)
{
	size_t state = mpp_ring_armed(ticket);

	return mpp_cas(&mpp_ring_cell(ring, ticket)->state, &state, mpp_ring_armed(ticket) - 1);
}
