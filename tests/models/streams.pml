/* SPDX-License-Identifier: MIT
 *
 * An iterator: who draws, publishes and takes, and whether one of them sleeps beside what another has left for it.
 *
 * Models      src/stream.c: next_portion, publish_drawn, mpp_stream_kick, mpp_stream_publish, take_ordered,
 *             take_unordered, hint_next, advance, more_to_take, mpp_stream_take; imap.c: await_item; pool.c:
 *             await_idle, mpp_pool_stream_paused, all_paused_locked; stream.h's S1 and S2.
 * Threads     a drawer (a task handler at a generator); a worker, or with a larger window two; consumers of one
 *             iterator, the second of which may go after any item; or (WAIT_IDLE) one that waits for the pool to be
 *             idle, while nobody takes.
 * Memory      a store buffer for each thread: limit, drawing, taken, waiters, next_hint, news, the slots' states, the
 *             list of what has completed, signal, idle_waiters.
 * Bounds      by macros: 2 items, a window of 1, 2 consumers, ordered, unless told (ITEMS, WINDOW, CONSUMERS,
 *             UNORDERED). With DRAWN all items are there from the start, and the drawer has only the end to tell of.
 * Claims      nobody sleeps for ever: each consumer that stays is told of the end, and all items were taken, once, by
 *             then. Who waits for the pool to be idle is told when it is, or was.
 * Not here    two items and two consumers at once, which have too many states: the handing on of the news, and
 *             next_hint and `news` against the look, are left to tests/interleavings (two_consumers,
 *             consumer_that_leaves). How workers learn that there are items: here they see it (park.pml). Large
 *             windows (`stride`), chunks, sinks, items that never ran, halts.
 * Planted     NO_FENCE_IDLE    a drawer pauses, and looks at `taken` before that can be seen: S1
 *             NO_FENCE_READY   a result can be seen after the look at who waits: S2
 *             NO_SECOND_LOOK   a drawer pauses without another look: S1
 *             NO_SECOND_TAKE   a consumer sleeps without having looked again since it was counted
 *             NO_LAST_SIGNAL   nobody is told that the last item was reported
 *             IDLE_UNTOLD      a drawer that pauses tells nobody who waits for it (WAIT_IDLE)
 *             IDLE_LATE        who waits is counted after the look at the drawing (WAIT_IDLE)
 *             IDLE_NO_FENCE    a drawer pauses, and looks who waits before that can be seen (WAIT_IDLE) */
#ifndef ITEMS
#define ITEMS 2
#endif
#ifndef WINDOW
#define WINDOW 1
#endif
#ifndef CONSUMERS
#define CONSUMERS 2
#endif

#define LIMIT 0
#define DRAWING 1
#define TAKEN 2
#define WAITERS 3
#define HINT 4                           /* or NEWS, where it is unordered */
#define NEWS 4
#define SIGNAL 5                         /* to be compared with itself */
#define COMPLETED 6                      /* how many have been published, ever */
#define IDLERS 7
#define SLOT(i) (8 + (i))
#define WORDS (8 + ITEMS)
#define DRAWER 0
#define WORKER 1
#define CONSUMER 3
#define IDLER 4
#define THREADS 5
#define ROOM 2
#include "machine.pml"

#define IDLE 1
#define SCHEDULED 2
#define DONE 3                           /* 0: at work */

bool turn, locked;                       /* the consumers' lock, the job's */
bool to_draw = true;
byte cursor, next;
byte pending = ITEMS + 1;                /* items that have not been reported, and the drawing */
bool taken[ITEMS];
bool asleep[2], idler_asleep, pool_locked;
byte idle_word;
byte told, gone;

/* The turn's and the job's lock: a read-modify-write, so a fence. */
#define take_lock(t, l) atomic { !l && fence(t) -> l = true }
#define drop_lock(t, l) atomic { fence(t) -> l = false }

/* Wakes one of those who sleep, whichever. */
#define signal_one(t)                                                                                                 \
	atomic {                                                                                                      \
		fence(t) ->                                                                                           \
		mem[SIGNAL] = (mem[SIGNAL] + 1) % 16;                                                                 \
		if                                                                                                    \
		:: asleep[0] -> asleep[0] = false                                                                     \
		:: asleep[1] -> asleep[1] = false                                                                     \
		:: !asleep[0] && !asleep[1]                                                                           \
		fi                                                                                                    \
	}

inline signal_all(t)
{
	load(t, WAITERS, seen);
	if
	:: seen > 0 ->
		atomic { fence(t) -> mem[SIGNAL] = (mem[SIGNAL] + 1) % 16; asleep[0] = false; asleep[1] = false }
	:: else
	fi;
	seen = 0
}

/* mpp_multi_ended(): an item, or the drawing. With the last of them the job completes. */
inline report(t)
{
	atomic { fence(t) -> pending--; seen = pending };
#ifndef NO_LAST_SIGNAL
	if
	:: seen == 0 -> signal_all(t)
	:: else
	fi;
#endif
	seen = 0
}

/* --------------------------------------------------------------------------------------------------------- drawing */

/* tell_idle_locked(), which looks once more under the pool's lock; mpp_pool_stream_paused() before it. */
inline tell_idle(t)
{
	take_lock(t, pool_locked);
	atomic {
		if
		:: mem[IDLERS] > 0 && (mem[DRAWING] == IDLE || mem[DRAWING] == DONE) ->
			idle_word++;
			idler_asleep = false
		:: else
		fi
	};
	drop_lock(t, pool_locked)
}

inline paused(t)
{
	load(t, IDLERS, seen);
	if
	:: seen > 0 -> tell_idle(t)
	:: else
	fi
}

proctype drawer()
{
	short seen, limit;

#ifdef DRAWN
	limit = ITEMS;
#endif
	do
	:: limit == ITEMS -> break
	:: limit < ITEMS ->
end:		atomic { to_draw -> to_draw = false; mem[DRAWING] = 0 };
		do
		:: limit == ITEMS -> break
		:: limit < ITEMS ->
			load(DRAWER, TAKEN, seen);
			if
			:: limit - seen < WINDOW -> limit++; store_seq(DRAWER, LIMIT, limit)
			:: else ->
				take_lock(DRAWER, locked);
#ifdef NO_FENCE_IDLE
				store(DRAWER, DRAWING, IDLE);
#elif defined IDLE_NO_FENCE
				store(DRAWER, DRAWING, IDLE);
#else
				store_seq(DRAWER, DRAWING, IDLE);
#endif
#ifndef NO_SECOND_LOOK
				load(DRAWER, TAKEN, seen);
#endif
				if
				:: limit - seen < WINDOW ->
					store_seq(DRAWER, DRAWING, 0);
					drop_lock(DRAWER, locked)
				:: else ->
#if defined WAIT_IDLE && !defined IDLE_UNTOLD
					paused(DRAWER);
#endif
					drop_lock(DRAWER, locked);
					break
				fi
			fi
		od
	od;
	store_seq(DRAWER, DRAWING, DONE);
	signal_all(DRAWER);
	report(DRAWER);
#ifdef WAIT_IDLE
	tell_idle(DRAWER)
#else
	skip
#endif
}

/* ------------------------------------------------------------------------------------------------------ publishing */

proctype worker(byte me)
{
	short seen;
	byte index;

end:	do
	:: atomic { cursor < mem[LIMIT] -> index = cursor; cursor++ };
#ifdef UNORDERED
		add(me, COMPLETED, 1);
		load(me, WAITERS, seen);
		if
		:: seen > 0 ->
			load(me, NEWS, seen);
			if
			:: seen == 0 ->
				atomic { fence(me) -> seen = mem[NEWS]; mem[NEWS] = 1 };
				if
				:: seen == 0 -> signal_one(me)
				:: else
				fi
			:: else
			fi
		:: else
		fi;
#else
#ifdef NO_FENCE_READY
		store(me, SLOT(index), 1);
#else
		store_seq(me, SLOT(index), 1);
#endif
		load(me, WAITERS, seen);
		if
		:: seen > 0 ->
			load(me, HINT, seen);
			if
			:: seen == index -> signal_one(me)
			:: else
			fi
		:: else
		fi;
#endif
		report(me)
	:: cursor == ITEMS -> break
	od
}

/* ---------------------------------------------------------------------------------------------------------- taking */

/* hint_next(), or the clearing of the news. */
inline before_look(value)
{
	load(me, WAITERS, seen);
	if
	:: seen > 0 -> store_seq(me, HINT, value)
	:: else
	fi
}

/* Is there a result that is next? */
#ifdef UNORDERED
#define look() load(me, COMPLETED, seen); seen = (seen > next)
#else
#define look()                                                                                                        \
	if                                                                                                            \
	:: next < ITEMS -> load(me, SLOT(next), seen)                                                                 \
	:: else -> seen = 0                                                                                           \
	fi
#endif

inline kick()
{
	load(me, DRAWING, seen);
	if
	:: seen == IDLE ->
		load(me, LIMIT, limit);
		load(me, TAKEN, seen);
		if
		:: limit - seen < WINDOW ->
			take_lock(me, locked);
			atomic {
				if
				:: mem[DRAWING] == IDLE -> mem[DRAWING] = SCHEDULED; to_draw = true
				:: else
				fi
			};
			drop_lock(me, locked)
		:: else
		fi
	:: else
	fi;
	seen = 0;
	limit = 0
}

/* mpp_stream_take(): `got`, `end`, or neither. */
inline take()
{
	take_lock(me, turn);
#ifdef UNORDERED
	before_look(0);
#else
	before_look(next);
#endif
	look();
	if
	:: seen ->
		atomic { assert(!taken[next]); taken[next] = true; next++ };
		got = true;
#ifndef UNORDERED
		before_look(next);
#endif
		look();
		wake = seen
	:: else ->
		load(me, DRAWING, seen);
		if
		:: seen == DONE ->
			load(me, LIMIT, seen);
			end = seen == next;
			wake = end
		:: else
		fi
	fi;
	store_seq(me, TAKEN, next);
	drop_lock(me, turn);
	if
	:: wake ->
		load(me, WAITERS, seen);
		if
		:: seen > 0 -> signal_one(me)
		:: else
		fi
	:: else
	fi;
	wake = false;
	kick()
}

inline await()
{
	add(me, WAITERS, 1);
	load(me, SIGNAL, word);
#ifndef NO_SECOND_TAKE
	take();
#endif
	if
	:: !got && !end ->
		atomic {
			fence(me) ->
			if
			:: mem[SIGNAL] == word -> asleep[me - CONSUMER] = true
			:: else
			fi
		};
		!asleep[me - CONSUMER]
	:: else
	fi;
	word = 0;
	add(me, WAITERS, -1)
}

proctype consumer(byte me; bool stays)
{
	short seen, word, limit;
	bool got, end, wake;

	do
	:: take();
		do
		:: got || end -> break
		:: else ->
			await();
			if
			:: got || end
			:: !got && !end -> take()
			fi
		od;
		if
		:: end -> break
		:: !end && !stays -> break               /* it goes, and takes the news with it */
		:: !end -> got = false
		fi;
		got = false
	od;
	if
	:: end -> told++
	:: else
	fi;
	gone++
}

/* ------------------------------------------------------------------------------------------------ mppool_wait_idle */

/* A moment at which nothing runs: all that was drawn has been published, and the drawer pauses or is through. */
proctype idler()
{
	short seen;
	byte word;

#ifdef IDLE_LATE
	load(IDLER, DRAWING, seen);
#endif
	take_lock(IDLER, pool_locked);
	add(IDLER, IDLERS, 1);
	word = idle_word;
#ifndef IDLE_LATE
	load(IDLER, DRAWING, seen);
#endif
	drop_lock(IDLER, pool_locked);
	if
	:: seen == IDLE || seen == DONE
	:: else ->
		atomic {
			if
			:: idle_word == word -> idler_asleep = true
			:: else
			fi
		};
		!idler_asleep
	fi;
	gone++
}

init
{
	byte t;

	atomic {
#ifdef DRAWN
		mem[LIMIT] = ITEMS;
#endif
		do
		:: t < THREADS -> run memory(t); t++
		:: else -> break
		od;
		run drawer();
		run worker(WORKER);
		if
		:: WINDOW > 1 && ITEMS > 1 -> run worker(WORKER + 1)
		:: else
		fi;
#ifdef WAIT_IDLE
		run idler();
#else
		run consumer(CONSUMER, true);
		if
		:: CONSUMERS > 1 -> run consumer(CONSUMER + 1, true)
		:: CONSUMERS > 1 -> run consumer(CONSUMER + 1, false)
		:: CONSUMERS == 1
		fi
#endif
	};
#ifdef WAIT_IDLE
	gone == 1
#else
	gone == CONSUMERS;
	assert(told > 0 && next == ITEMS && mem[WAITERS] == 0)
#endif
}
