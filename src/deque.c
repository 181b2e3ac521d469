/* layer 1: the deque of Chase and Lev. */
#include "deque.h"

#include "memory.h"

#define AHEAD 3          /* what is stolen that much later is fetched now: who takes the oldest often takes many */

struct mpp_deque_array {
	struct mpp_deque_array *older;   /* a thief may still read it */
	int64_t size;                    /* a power of two */
	_Atomic(void *) slot[];
};

static struct mpp_deque_array *array_new(int64_t size, struct mpp_deque_array *older)
{
	struct mpp_deque_array *a = mpp_alloc(sizeof *a + (size_t)size * sizeof a->slot[0]);

	if (a) {
		a->older = older;
		a->size = size;
	}
	return a;
}

void mpp_deque_init(struct mpp_deque *deque)
{
	mpp_poke(&deque->top, 0);
	mpp_poke(&deque->bottom, 0);
	mpp_poke(&deque->array, NULL);
}

void mpp_deque_fini(struct mpp_deque *deque)
{
	struct mpp_deque_array *a = mpp_peek(&deque->array), *older;

	for (; a; a = older) {
		older = a->older;
		mpp_free(a);
	}
}

int mpp_deque_reserve(struct mpp_deque *deque, int64_t pushes)
{
	int64_t bottom = mpp_peek(&deque->bottom), top = mpp_load(&deque->top), size;
	struct mpp_deque_array *old = mpp_peek(&deque->array), *fresh;

	if (mpp_likely(old && bottom - top + pushes <= old->size))
		return 0;
	size = old ? old->size : MPP_DEQUE_FIRST;
	while (bottom - top + pushes > size)
		size *= 2;
	fresh = array_new(size, old);
	if (!fresh)
		return ENOMEM;
	for (int64_t i = top; i < bottom; i++)
		mpp_poke(&fresh->slot[i & (size - 1)], mpp_peek(&old->slot[i & (old->size - 1)]));
	mpp_store(&deque->array, fresh);         /* publishes the copied slots to mpp_deque_steal */
	return 0;
}

void mpp_deque_push_many(struct mpp_deque *deque, void *const entries[], size_t n)
{
	int64_t bottom = mpp_peek(&deque->bottom);
	struct mpp_deque_array *a = mpp_peek(&deque->array);

	for (size_t i = 0; i < n; i++)
		mpp_poke(&a->slot[(bottom + (int64_t)i) & (a->size - 1)], entries[i]);
	mpp_store_seq(&deque->bottom, bottom + (int64_t)n);      /* publishes the slots to mpp_deque_steal */
}

void mpp_deque_push(struct mpp_deque *deque, void *entry)
{
	mpp_deque_push_many(deque, &entry, 1);
}

void *mpp_deque_pop(struct mpp_deque *deque)
{
	int64_t bottom = mpp_peek(&deque->bottom), top = mpp_peek(&deque->top);
	struct mpp_deque_array *a;
	void *entry;

	if (bottom <= top)               /* empty for certain: top only grows and bottom is ours */
		return NULL;
	bottom--;
	mpp_store_seq(&deque->bottom, bottom);           /* D4: before the load of top */
	top = mpp_load_seq(&deque->top);
	a = mpp_peek(&deque->array);
	entry = top <= bottom ? mpp_peek(&a->slot[bottom & (a->size - 1)]) : NULL;
	if (top >= bottom) {             /* the last entry, D3, or none left */
		if (top == bottom && !mpp_cas(&deque->top, &top, top + 1))
			entry = NULL;
		mpp_store(&deque->bottom, bottom + 1);
	}
	return entry;
}

void *mpp_deque_steal(struct mpp_deque *deque)
{
	for (;;) {
		int64_t top = mpp_load_seq(&deque->top), bottom = mpp_load_seq(&deque->bottom);
		struct mpp_deque_array *a;
		void *entry;

		if (top >= bottom)
			return NULL;
		a = mpp_load(&deque->array);
		entry = mpp_peek(&a->slot[top & (a->size - 1)]);
		if (!mpp_cas(&deque->top, &top, top + 1))        /* somebody else made progress */
			continue;
		if (top + AHEAD < bottom)
			mpp_prefetch(mpp_peek(&a->slot[(top + AHEAD) & (a->size - 1)]));
		return entry;
	}
}

bool mpp_deque_is_empty(struct mpp_deque *deque)
{
	int64_t top = mpp_load_seq(&deque->top);

	return top >= mpp_load_seq(&deque->bottom);
}
