/* SPDX-License-Identifier: MIT
 *
 * Scenarios: parts of the library by themselves. */
#include "deque.h"
#include "memory.h"
#include "scenarios.h"

/* ----------------------------------------------------------------------------------------------------------- deque */

#define MORE MPP_DEQUE_FIRST     /* entries that fill the first array: it grows under the thief's eyes */
#define ENTRIES (MORE + 3)

static struct mpp_deque *deque;
static int entries[ENTRIES];
static unsigned got[ENTRIES];

static void note(void *entry)
{
	if (entry) {
		SCHED_EQUAL(*(int *)entry, (int *)entry - entries + 1);  /* a race, if the push did not publish it */
		sched_count(&got[(int *)entry - entries]);
	}
}

static void steal_some(void *unused)
{
	(void)unused;
	for (int i = 0; i < 2; i++)
		note(mpp_deque_steal(deque));
}

static void push(int i)
{
	got[i] = 0;
	entries[i] = i + 1;
	SCHED_EQUAL(mpp_deque_reserve(deque, 1), 0);
	mpp_deque_push(deque, &entries[i]);
}

/* Its owner pushes and pops while a thief steals: each entry is taken once. */
static void deque_owner_and_thief(void)
{
	int first = sched_variant(2) ? 0 : MORE - 1;
	struct sched_thread *thief;
	void *entry;

	deque = mpp_alloc_aligned(sizeof *deque);
	mpp_deque_init(deque);
	for (int i = 0; i < first; i++)
		push(i);
	thief = sched_spawn("thief", steal_some, NULL);
	for (int i = first; i < first + 3; i++) {
		push(i);
		if (i == first + 1)
			note(mpp_deque_pop(deque));
	}
	while ((entry = mpp_deque_pop(deque)) != NULL)
		note(entry);
	sched_join(thief);
	for (int i = 0; i < first + 3; i++)
		SCHED_EQUAL(got[i], 1);
	mpp_deque_fini(deque);
	mpp_free(deque);
}

/* ------------------------------------------------------------------------------------------------------------ lock */

static struct mpp_lock lock;
static unsigned guarded;

static void add_twice(void *unused)
{
	(void)unused;
	for (int i = 0; i < 2; i++) {
		mpp_lock_plain(&lock);
		guarded++;
		mpp_unlock_plain(&lock);
	}
}

/* The lock itself, on atomics and park. */
static void lock_three_threads(void)
{
	struct sched_thread *a, *b;

	mpp_lock_init(&lock, MPP_RANK_POOL);
	guarded = 0;
	a = sched_spawn("a", add_twice, NULL);
	b = sched_spawn("b", add_twice, NULL);
	add_twice(NULL);
	sched_join(a);
	sched_join(b);
	SCHED_EQUAL(guarded, 6);
}

const struct sched_scenario sched_parts[] = {
	{"deque_owner_and_thief", deque_owner_and_thief},
	{"lock_three_threads", lock_three_threads},
	{NULL, NULL},
};
