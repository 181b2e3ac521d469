/* SPDX-License-Identifier: MIT
 *
 * A worker's deque: its owner pushes and pops, two thieves steal, the array grows under their eyes.
 *
 * Models      src/deque.c: mpp_deque_reserve, _push_many, _pop, _steal; its invariants D1 to D4.
 * Memory      store buffer of the owner, in which bottom, the array and the slots lie. Thieves do not store.
 * Bounds      3 entries, pushed one or two at a time in between pops as the owner likes; an array of 2 that grows to
 *             4; a thief with two tries and one with one.
 * Claims      each entry is taken once, by one of them, whole; what the thieves leave the owner finds.
 * Not here    acquire and release between the owner's push and a thief's look into the entry; memory that is missing.
 * Planted     NO_FENCE         pop lowers bottom and looks at top before that can be seen: D4
 *             PLAIN_LAST       pop takes the last entry without a compare-and-swap: D3
 *             PLAIN_STEAL      so does a thief
 *             BOTTOM_FIRST     a thief looks at bottom, then at top
 *             LATE_GROWTH      the array is taken for one entry larger than it is
 *             EARLY_BOTTOM     push raises bottom, then fills the slot
 *             NO_COPY          the grown array lacks what was in the old one */
#define ENTRIES 3

#define TOP 0
#define BOTTOM 1
#define ARRAY 2                          /* 0: of two slots, 1: of four */
#define SLOTS 3
#define SLOT(a, i) (SLOTS + ((a) == 0 -> (i) % 2 : 2 + (i) % 4))
#define SIZE(a) ((a) == 0 -> 2 : 4)
#define WORDS 9
#define THREADS 3
#define ROOM 4
#define OWNER 0
#include "machine.pml"

byte taken[ENTRIES + 1];                 /* entries are numbered from 1 */
byte thieves = 2;

inline take(x)
{
	atomic {
		assert(x > 0 && taken[x] == 0);
		taken[x]++;
		x = 0
	}
}

inline reserve(n)
{
	load(OWNER, BOTTOM, bottom);
	load(OWNER, TOP, top);
	load(OWNER, ARRAY, a);
	if
#ifdef LATE_GROWTH
	:: bottom - top + n <= SIZE(a) + 1
#else
	:: bottom - top + n <= SIZE(a)
#endif
	:: else ->
		assert(a == 0);
		i = top;
#ifndef NO_COPY
		do
		:: i < bottom ->
			load(OWNER, SLOT(0, i), entry);
			store(OWNER, SLOT(1, i), entry);
			i++
		:: else -> break
		od;
#endif
		store(OWNER, ARRAY, 1)
	fi;
	i = 0
}

inline push(n)
{
	reserve(n);
	load(OWNER, BOTTOM, bottom);
	load(OWNER, ARRAY, a);
#ifdef EARLY_BOTTOM
	store_seq(OWNER, BOTTOM, bottom + n);
#endif
	do
	:: i < n -> pushed++; store(OWNER, SLOT(a, bottom + i), pushed); i++
	:: else -> i = 0; break
	od;
#ifndef EARLY_BOTTOM
	store_seq(OWNER, BOTTOM, bottom + n)
#endif
}

inline pop()
{
	entry = 0;
	load(OWNER, BOTTOM, bottom);
	load(OWNER, TOP, top);
	if
	:: bottom <= top
	:: else ->
		bottom--;
#ifdef NO_FENCE
		store(OWNER, BOTTOM, bottom);
#else
		store_seq(OWNER, BOTTOM, bottom);
#endif
		load(OWNER, TOP, top);
		load(OWNER, ARRAY, a);
		if
		:: top <= bottom -> load(OWNER, SLOT(a, bottom), entry)
		:: else -> entry = 0
		fi;
		if
		:: top >= bottom ->
			if
			:: top == bottom ->
#ifdef PLAIN_LAST
				store_seq(OWNER, TOP, top + 1);
#else
				cas(OWNER, TOP, top, top + 1, mine);
				if
				:: !mine -> entry = 0
				:: else
				fi;
				mine = false
#endif
			:: else -> entry = 0
			fi;
			store(OWNER, BOTTOM, bottom + 1)
		:: else
		fi
	fi
}

proctype owner()
{
	short bottom, top, a, entry, i, pushed;
	bool mine;

	do
	:: pushed < ENTRIES -> push(1)
	:: pushed + 1 < ENTRIES -> push(2)
	:: pushed > 0 ->
		pop();
		if
		:: entry -> take(entry)
		:: !entry && pushed < ENTRIES
		:: !entry && pushed == ENTRIES -> break  /* empty for good: nobody else pushes */
		fi
	od;
	thieves == 0;
	assert(taken[1] == 1 && taken[2] == 1 && taken[3] == 1)
}

proctype thief(byte me; byte tries)
{
	short bottom, top, a, entry;
	bool mine;

	do
	:: tries > 0 ->
#ifdef BOTTOM_FIRST
		load(me, BOTTOM, bottom);
		load(me, TOP, top);
#else
		load(me, TOP, top);
		load(me, BOTTOM, bottom);
#endif
		if
		:: top >= bottom -> tries--              /* empty */
		:: else ->
			load(me, ARRAY, a);
			load(me, SLOT(a, top), entry);
#ifdef PLAIN_STEAL
			mem[TOP] = top + 1;
			mine = true;
#else
			cas(me, TOP, top, top + 1, mine);
#endif
			if
			:: mine -> take(entry); tries--
			:: else
			fi;
			entry = 0;
			mine = false
		fi
	:: else -> break
	od;
	thieves--
}

init
{
	atomic {
		run memory(OWNER);
		run owner();
		run thief(1, 2);
		run thief(2, 1)
	}
}
