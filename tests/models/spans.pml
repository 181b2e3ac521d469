/* SPDX-License-Identifier: MIT
 *
 * The items of a map: claimed by their visitors, stolen by others, cut off by a cancel, and the job's one end.
 *
 * Models      src/multi.c: span_claim, span_claim_locked, span_cut_locked, refill_from_cursor_locked,
 *             refill_by_stealing_locked, next_chunk, find_chunk, begin, run_one_by_one, end_unrun,
 *             claim_any_locked, count_barred_locked, cut_chunks_locked, mpp_multi_halt, mpp_multi_ended, leave,
 *             hand_back, mpp_multi_ref and _unref; multi.h's M1 to M5 and M7.
 * Threads     two visitors, workers of the pool with a reference each; whoever cancels, with the handle.
 * Memory      a store buffer for each thread, in which the edges of the spans lie. With SWIFT owners claim without a
 *             fence and thieves with a barrier, which waits for each thread until its buffer is empty; without it both
 *             have a fence. `open`, `pending` and `refs` change by read-modify-writes, the rest under the job's lock.
 *             The halt's bit is set under the lock.
 * Bounds      4 items in units of one, two to a visitor at first, claimed one or two at a time; or (CHUNKS) in units
 *             of two, handed over one by one. With BARRED the system may refuse a barrier. A visitor may see late that
 *             the job was halted.
 * Claims      each item comes to one end: it ran, or it ended without running. The job completes once, after the last
 *             of them, and while it completes nobody is inside an item. A cancel that says that something will never
 *             run is right, unless a barrier was refused, and so is one that says that everything has started. Nobody
 *             touches a job whose references and handle are gone.
 * Not here    streams, rests of lost workers, guests (visitors without a cell), failing fast; the codes and hooks of
 *             items.
 * Planted     NO_FENCE         an owner looks at the upper edge before its lower one can be seen: M1
 *             NO_FENCE_THIEF   a thief looks at the lower edge before its upper one can be seen: M1
 *             NO_BARRIER       the same, where owners have no fence: M1 (SWIFT)
 *             NO_LOOK          an owner does not look again at the upper edge: M1
 *             STEAL_BLINDLY    a thief does not look again at the lower edge: M1
 *             STAYS            an owner that took too much does not move its edge back: M1
 *             LEAVES           an owner that took too much leaves when the job was halted meanwhile: M1
 *             COUNT_ONLY       a halt counts open chunks as cut, and does not cut them: M5 (CHUNKS)
 *             LAST_BY_LOAD     the last item of a chunk begins by a load, and a store ends the opening: M5 (CHUNKS)
 *             OPEN_LATE        a chunk is opened after its first item: M5 (CHUNKS)
 *             FORGOTTEN        what a halt cut off is not ended (CHUNKS)
 *             REPORT_EARLY     a visitor reports its items before the last of them has ended: M3
 *             KEEPS            an owner that leaves gives nothing back although nobody could steal it: M7 (BARRED)
 *             UNCOUNTED        a halt does not count what it has to leave to owners: M7 (BARRED)
 *             NO_REFERENCE     visitors take no reference: M4 */
#define ITEMS 4
#define VISITORS 2
#ifdef CHUNKS
#define UNIT 2
#else
#define UNIT 1
#endif
#define UNITS (ITEMS / UNIT)
#define SHARE (UNITS / VISITORS)
#define OPEN 1
#define CUT 2

#define LOW(v) (2 * (v))                 /* the span of a visitor's cell, in units from 0 */
#define HIGH(v) (2 * (v) + 1)
#define WORDS (2 * VISITORS)
#define USER VISITORS
#define THREADS (VISITORS + 1)
#define ROOM 3
#include "machine.pml"

bool locked, barred, owned[VISITORS];
byte open[VISITORS];
byte cursor, kept;                       /* the lock's */
byte pending = ITEMS, refs = 1;
bool halted, queued = true, completed, detached, freed, stopped, cancelled;
byte ran[ITEMS], unrun[ITEMS], inside, left;

#define lock(t) atomic { !locked && fence(t) -> touches; locked = true }
#define unlock(t) atomic { fence(t) -> locked = false }
#define touches assert(!freed)

inline unref()
{
	atomic { touches; refs--; mine = refs == 0 };
	if
	:: mine ->
		atomic {                         /* mpp_job_dequeue */
			queued = false;
			if
			:: detached && completed -> assert(!freed); freed = true
			:: else
			fi
		}
	:: else
	fi;
	mine = false
}

/* mpp_multi_ended(): at 0 the job completes: the callback, MPP_ENDED, and its own reference goes. */
inline report(n)
{
	if
	:: (n) > 0 ->
		atomic { touches; assert(pending >= (n)); pending = pending - (n); mine = pending == 0 };
		if
		:: mine ->
			mine = false;
			atomic { touches; assert(!completed && inside == 0); completed = true };
			unref()
		:: else
		fi
	:: else
	fi
}

inline end_unrun(first, n)
{
	atomic {
		touches;
		i = first;
		do
		:: i < first + (n) -> assert(ran[i] == 0 && unrun[i] == 0); unrun[i]++; i++
		:: else -> break
		od;
		i = 0
	};
	report(n)
}

/* --------------------------------------------------------------------------------------------------------- a thief */

/* span_cut_locked(): of the n upper units of cell v those not taken by its owner; n is how many, b their first. */
#define cut(t, v)                                                                                                     \
	load(t, HIGH(v), b);                                                                                          \
	cut_store(t, v);                                                                                              \
	load_low(t, v);                                                                                               \
	if                                                                                                            \
	:: a > b -> a = b                                                                                             \
	:: else                                                                                                       \
	fi;                                                                                                           \
	if                                                                                                            \
	:: a > b - n -> store(t, HIGH(v), a); n = b - a; b = a                                                        \
	:: else -> b = b - n                                                                                          \
	fi

#if defined SWIFT && !defined NO_BARRIER
#define cut_store(t, v)                                                                                               \
	if                                                                                                            \
	:: owned[v] -> store(t, HIGH(v), b - n); barrier(t)                                                           \
	:: else -> store_seq(t, HIGH(v), b - n)                                                                       \
	fi
#elif defined NO_BARRIER || defined NO_FENCE_THIEF
#define cut_store(t, v) store(t, HIGH(v), b - n)
#else
#define cut_store(t, v) store_seq(t, HIGH(v), b - n)
#endif

#ifdef STEAL_BLINDLY
#define load_low(t, v) a = 0
#elif defined BARRED
#define load_low(t, v)                                                                                                \
	if                                                                                                            \
	:: barred && owned[v] -> a = b                                                                                \
	:: else -> load(t, LOW(v), a)                                                                                 \
	fi
#else
#define load_low(t, v) load(t, LOW(v), a)
#endif

/* mpp_barrier(): a fence in this thread, then one in every other, in each when its turn comes. */
#define barrier(t)                                                                                                    \
	if                                                                                                            \
	:: fence(t); fence(0); fence(1); fence(2); refused = false                                                    \
	:: may_refuse -> refused = true                                                                               \
	fi;                                                                                                           \
	barred = refused;                                                                                             \
	refused = false

#ifdef BARRED
#define may_refuse true
#else
#define may_refuse false
#endif

#define may_steal(v) (!(barred && owned[v]))

/* ------------------------------------------------------------------------------------------------------- a visitor */

/* How many to claim at once: one, or two. */
inline choose()
{
#ifdef CHUNKS
	n = 1
#else
	if
	:: n = 1
	:: b - a > 1 -> n = 2
	fi
#endif
}

#if defined SWIFT || defined NO_FENCE
#define claim_store(value) store(me, LOW(me), value)
#else
#define claim_store(value) store_seq(me, LOW(me), value)
#endif

/* span_claim(): the store, and then the look. */
inline claim_own()
{
	n = 0;
	touches;
	load(me, LOW(me), a);
	load(me, HIGH(me), b);
	if
	:: a < b ->
		choose();
		claim_store(a + n);
#ifndef NO_LOOK
		load(me, HIGH(me), b);
		if
		:: a + n > b ->
#ifndef STAYS
			store(me, LOW(me), a);
#endif
			n = 0
		:: else
		fi
#endif
	:: else
	fi
}

/* span_claim_locked(). */
inline claim_own_locked()
{
	load(me, LOW(me), a);
	load(me, HIGH(me), b);
	if
	:: a < b -> choose(); store(me, LOW(me), a + n)
	:: else -> n = 0
	fi
}

inline refilled(from_unit, to_unit)
{
	store(me, LOW(me), from_unit);
	store(me, HIGH(me), to_unit);
	fresh = true
}

/* Under the lock: half of what the other one has left, at least a unit. */
inline steal()
{
	do
	:: may_steal(1 - me) ->
		load(me, LOW(1 - me), a);
		load(me, HIGH(1 - me), b);
		if
		:: a < b ->
			n = (b - a + 1) / 2;
			cut(me, 1 - me);
			if
			:: n > 0 -> refilled(b, b + n); break
			:: else
			fi
		:: else -> break
		fi
	:: else -> break
	od;
	n = 0
}

/* find_chunk(). */
inline find()
{
	lock(me);
#ifdef LEAVES
	if
	:: halted -> n = 0
	:: else -> claim_own_locked()
	fi;
#else
	claim_own_locked();
#endif
	if
	:: n > 0 || halted
	:: n == 0 && !halted && cursor < UNITS ->
		refilled(cursor, cursor + SHARE);
		cursor = cursor + SHARE
	:: n == 0 && !halted && cursor >= UNITS -> steal()
	fi;
	if
	:: fresh -> fresh = false; claim_own()
	:: else
	fi;
	unlock(me)
}

/* begin(): may item k of the chunk at hand begin? */
inline begin()
{
	if
	:: count == 1 || k >= count -> go = k < count
	:: count > 1 && k == 0 ->
#ifdef OPEN_LATE
		go = true
#else
		atomic { touches; go = true; open[me] = OPEN }   /* who finds that it was cut was counted as having run */
#endif
	:: count > 1 && k > 0 && k + 1 < count ->
		atomic { touches; go = !(open[me] & CUT) };
#ifdef OPEN_LATE
		open[me] = OPEN
#endif
	:: count > 1 && k + 1 == count ->
#ifdef LAST_BY_LOAD
		atomic { touches; go = !(open[me] & CUT) };
		open[me] = 0
#else
		atomic { touches; go = !(open[me] & CUT); open[me] = 0 }
#endif
	fi
}

inline run_chunk()
{
	k = 0;
	begin();
	do
	:: go ->
		atomic {
			assert(!completed && ran[first + k] == 0 && unrun[first + k] == 0);
			ran[first + k]++;
			inside++
		};
#ifdef REPORT_EARLY
		report(1);
#endif
		atomic { inside--; k++; done++ };
		begin()
	:: else -> break
	od;
	if
#ifndef FORGOTTEN
	:: k < count -> end_unrun(first + k, count - k)
#endif
	:: else
	fi;
	k = 0
}

/* ---------------------------------------------------------------------------------------------------------- a halt */

inline claim_any(t)
{
	n = 0;
	i = 0;
	do
	:: i < VISITORS && n == 0 ->
		if
		:: may_steal(i) ->
			load(t, LOW(i), a);
			load(t, HIGH(i), b);
			if
			:: a < b -> n = b - a; cut(t, i); first = b * UNIT; n = n * UNIT
			:: else
			fi
		:: else
		fi;
		i++
	:: else -> break
	od;
	if
	:: n == 0 && cursor < UNITS -> first = cursor * UNIT; n = ITEMS - first; cursor = UNITS
	:: else
	fi;
	i = 0
}

/* What of the spans has to be left to their owners: M7. */
inline count_barred(t)
{
	do
	:: i < VISITORS ->
		if
		:: !may_steal(i) ->
			load(t, LOW(i), a);
			load(t, HIGH(i), b);
			if
			:: a < b -> kept = kept + b - a
			:: else
			fi
		:: else
		fi;
		i++
	:: else -> break
	od;
	i = 0
}

inline claim_to_end(t)
{
	do
	:: lock(t);
		claim_any(t);
		kept = kept + n;
#ifndef UNCOUNTED
		count_barred(t);
#endif
		if
		:: t == USER -> stopped = kept > 0
		:: else
		fi;
		unlock(t);
		if
		:: n > 0 -> end_unrun(first, n)
		:: else -> break
		fi
	od
}

/* ------------------------------------------------------------------------------------------------------- a visit */

proctype visitor(byte me)
{
	byte first, count, k, i, done;
	short a, b, n;
	bool mine, fresh, refused, go, unseen;

	lock(me);
	owned[me] = true;
	unlock(me);
	do
	:: halted -> break               /* or it sees that the next time */
	:: claim_own();
		if
		:: n == 0 -> find()
		:: else
		fi;
		first = a * UNIT;
		count = n * UNIT;
		if
		:: count > 0 -> n = 0; run_chunk()
		:: else -> break
		fi;
		first = 0; count = 0; n = 0; a = 0; b = 0; go = false
	od;
	lock(me);                                /* leave(): the cell goes back */
	owned[me] = false;
	load(me, LOW(me), a);
	load(me, HIGH(me), b);
	unseen = barred && a < b;
	unlock(me);
#ifndef KEEPS
	if
	:: unseen -> assert(halted); claim_to_end(me)
	:: else
	fi;
#endif
#ifndef REPORT_EARLY
	report(done);
#endif
#ifndef NO_REFERENCE
	unref();
#endif
	left++
}

/* -------------------------------------------------------------------------------------------------------- a cancel */

inline cut_chunks()
{
	do
	:: i < VISITORS ->
		atomic {
			if
			:: open[i] == OPEN -> kept++
			:: else
			fi;
#ifndef COUNT_ONLY
			open[i] = open[i] | CUT
#endif
		};
		i++
	:: else -> break
	od;
	i = 0
}

proctype user()
{
	byte first, i;
	short a, b, n;
	bool mine, refused;

	if
	:: true
	:: !completed ->                         /* or else it answers EALREADY */
		lock(USER);
		halted = true;
		cut_chunks();
		unlock(USER);
		claim_to_end(USER);
		cancelled = true
	fi;
	if
	:: completed                             /* waits for it first, or does not */
	:: true
	fi;
	atomic {                                 /* mpp_job_detach */
		touches;
		if
		:: completed && !queued -> freed = true
		:: else -> detached = true
		fi
	}
}

init
{
	byte i;

	atomic {
#ifndef NO_REFERENCE
		refs = refs + VISITORS;
#endif
		run memory(0);
		run memory(1);
		run memory(USER);
		run visitor(0);
		run visitor(1);
		run user()
	};
	left == VISITORS && freed;
	assert(completed && pending == 0 && refs == 0 && inside == 0);
	do
	:: i < ITEMS ->
		assert(ran[i] + unrun[i] == 1);
		assert(cancelled || unrun[i] == 0);
		assert(stopped || unrun[i] == 0);
		i++
	:: else -> break
	od;
	assert(!stopped || barred || unrun[0] + unrun[1] + unrun[2] + unrun[3] > 0)
}
