/* SPDX-License-Identifier: MIT
 *
 * Workers that sleep, search, stand by, and are woken: is any work overlooked?
 *
 * Models      src/worker.c: serve, acquire, take_locked, look_elsewhere_locked, watch_batch, steal, sleep_locked,
 *             go_idle_locked, sleep_idle, cease_idle_locked, stand_by_locked, found_locked, anything_to_steal,
 *             mpp_pool_wake_one_locked, mpp_pool_wake_for_call_locked, mpp_worker_unpark, mpp_pool_notify; submit.c:
 *             accept, push_own; pool.c: mpp_pool_advance_locked, release_workers_locked, mppool_close; pool.h's P1 to
 *             P6.
 * Threads     WORKERS workers; a submitter of CALLS calls, which then closes the pool. The first NESTED calls that run
 *             submit one more each.
 * Memory      a store buffer for each worker: nidle, nsearching, `wake`, the ends of deques and inboxes, the bits that
 *             advertise them. What the lock guards is plain.
 * Time        passes as it likes: a spin or a watch ends at any time, a nap of one who stands by, too; whether calls
 *             are short (`brisk`, and batches of more than one) is chosen at each take.
 * Bounds      by macros: 2 workers, 2 calls, 1 nested, unless told; batches of 2; one worker searches at a time
 *             (MOST).
 * Claims      no call is overlooked: with SIDE_BY_SIDE a task returns only when all have begun, which needs as many
 *             workers as tasks, so anyone who sleeps beside work that nobody has claimed is a deadlock (P4); without
 *             it everything runs, whatever the tasks wait for. Calls start in the order of their submission (P5). In
 *             the end all workers leave, nobody stands by, no count is left over.
 * Not here    that who stands by does not do so for ever beside calls (he naps, so it is no deadlock); the deques
 *             themselves (deque.pml); priorities, streams, maps; retiring, lost and dismissed workers; terminate.
 * Planted     NO_FENCE         a push into a deque can be seen after the look at nidle: P2
 *             NO_RECHECK       a worker goes idle and sleeps without another look into the deques: P2
 *             NO_NOTIFY        a push into a deque wakes nobody
 *             NO_HAND_ON       who found something wakes no next one: P3
 *             LATE_IDLE        a worker looks into the deques, then goes on the idle list
 *             NO_WAKE          a worker is taken off the idle list and not woken
 *             EARLY_CLEAR      `wake` is cleared after the worker is on the idle list and the lock released: P1
 *             LEAVES_OTHERS    a worker that leaves wakes no others for that
 *             TWO_BATCHES      calls are taken although a batch is open: P5 */
#ifndef WORKERS
#define WORKERS 2
#endif
#ifndef CALLS
#define CALLS 2
#endif
#ifndef NESTED
#define NESTED 1
#endif
#ifndef MOST
#define MOST 1
#endif
#ifndef BATCH
#define BATCH 2
#endif
#define BACKLOG 2
#define TASKS (CALLS + NESTED)
#define NOBODY 255

#define NIDLE 0
#define NSEARCHING 1
#define WAKE(w) (2 + (w))
#define BITS(w) (2 + WORKERS + (w))
#define TOP(w) (2 + 2 * WORKERS + (w))
#define BOTTOM(w) (2 + 3 * WORKERS + (w))
#define INBOX_TOP(w) (2 + 4 * WORKERS + (w))
#define INBOX_BOTTOM(w) (2 + 5 * WORKERS + (w))
#define WORDS (2 + 6 * WORKERS)
#define SUBMITTER WORKERS
#define THREADS (WORKERS + 1)
#define ROOM 2
#include "machine.pml"

/* The lock's. */
bool locked;
byte queued, takes, seen_takes;
byte idle[WORKERS];                      /* a stack, the last to sleep on top */
byte nidle;                              /* its height; mem[NIDLE] is what others see of it */
byte coming;                             /* woken to search and not awake yet */
bool is_idle[WORKERS], searching[WORKERS];
byte standby = NOBODY, batch_owner = NOBODY;
bool brisk, closed, finished;

bool asleep[WORKERS];
byte submitted, begun, ended, nested, left;
byte next_call;                          /* P5: the call that has to start next */
byte first_of[WORKERS];                  /* the number of the call at INBOX_TOP 0, less that */

#define lock(t) atomic { !locked && fence(t) -> locked = true }
#define unlock(t) atomic { fence(t) -> locked = false }

/* ---------------------------------------------------------------------------------------------------------- waking */

/* mpp_pool_pop_idle_locked. */
#define pop_idle(t, w)                                                                                                \
	atomic {                                                                                                      \
		w = NOBODY;                                                                                           \
		if                                                                                                    \
		:: nidle > 0 ->                                                                                       \
			nidle--;                                                                                      \
			w = idle[nidle];                                                                              \
			idle[nidle] = 0;                                                                              \
			is_idle[w] = false;                                                                           \
			if                                                                                            \
			:: standby == w -> standby = NOBODY                                                           \
			:: else                                                                                       \
			fi;                                                                                           \
			assert(stored[t] == 0);                                                                       \
			mem[NIDLE] = nidle                                                                            \
		:: else                                                                                               \
		fi                                                                                                    \
	}

/* mpp_pool_wake_one_locked. */
#define wake_one(t, w)                                                                                                \
	if                                                                                                            \
	:: mem[NSEARCHING] > 0 -> w = NOBODY                                                                          \
	:: else ->                                                                                                    \
		atomic {                                                                                              \
			pop_idle(t, w);                                                                               \
			if                                                                                            \
			:: w != NOBODY -> searching[w] = true; coming++; mem[NSEARCHING] = 1                          \
			:: else                                                                                       \
			fi                                                                                            \
		}                                                                                                     \
	fi

#define keeps_up (brisk && queued < BACKLOG && nidle < WORKERS)

#define wake_for_call(t, w)                                                                                           \
	if                                                                                                            \
	:: standby != NOBODY && keeps_up -> w = NOBODY                                                                \
	:: else -> wake_one(t, w)                                                                                     \
	fi

/* mpp_worker_unpark: the store is released, and the system call that wakes is a fence. */
#ifdef NO_WAKE
#define unpark(t, w) w = NOBODY
#else
#define unpark(t, w)                                                                                                  \
	if                                                                                                            \
	:: w != NOBODY ->                                                                                             \
		store(t, WAKE(w), 1);                                                                                 \
		atomic { fence(t) -> asleep[w] = false; w = NOBODY }                                                  \
	:: else                                                                                                       \
	fi
#endif

inline notify(t)
{
	load(t, NIDLE, seen);
	if
	:: seen == 0
	:: else ->
		load(t, NSEARCHING, seen);
		if
		:: seen > 0
		:: else ->
			lock(t);
			wake_one(t, other);
			unlock(t);
			unpark(t, other)
		fi
	fi
}

/* mpp_pool_advance_locked, where it is closed: one that is idle is woken, and wakes others as it leaves. */
#define advance(t)                                                                                                    \
	atomic {                                                                                                      \
		if                                                                                                    \
		:: closed && !finished && queued == 0 && nidle == WORKERS ->                                          \
			finished = true;                                                                              \
			mem[WAKE(idle[nidle - 1])] = 1;                                                               \
			asleep[idle[nidle - 1]] = false;                                                              \
			is_idle[idle[nidle - 1]] = false;                                                             \
			nidle--;                                                                                      \
			idle[nidle] = 0;                                                                              \
			mem[NIDLE] = nidle                                                                            \
		:: else                                                                                               \
		fi                                                                                                    \
	}

/* ---------------------------------------------------------------------------------------------------------- deques */

/* The deques by themselves are deque.pml's: here a pop, a steal and a push are single steps, but what a push stores is
 * seen when the owner's store buffer is empty, and a look reads the two ends one after the other. */

inline pop_own()
{
	atomic {
		fence(me) ->
		if
		:: mem[BOTTOM(me)] > mem[TOP(me)] -> mem[BOTTOM(me)] = mem[BOTTOM(me)] - 1; found = true
		:: else
		fi
	}
}

#define steal_deque(w)                                                                                                \
	atomic {                                                                                                      \
		fence(me) ->                                                                                          \
		if                                                                                                    \
		:: mem[BOTTOM(w)] > mem[TOP(w)] -> mem[TOP(w)] = mem[TOP(w)] + 1; found = true                        \
		:: else                                                                                               \
		fi                                                                                                    \
	}

#define steal_inbox(w)                                                                                                \
	atomic {                                                                                                      \
		fence(me) ->                                                                                          \
		if                                                                                                    \
		:: mem[INBOX_BOTTOM(w)] > mem[INBOX_TOP(w)] ->                                                        \
			call_starts(first_of[w]);                                                                     \
			first_of[w]++;                                                                                \
			mem[INBOX_TOP(w)] = mem[INBOX_TOP(w)] + 1;                                                    \
			if                                                                                            \
			:: mem[INBOX_BOTTOM(w)] == mem[INBOX_TOP(w)] ->  /* as if it began anew: fewer states */      \
				mem[INBOX_BOTTOM(w)] = 0;                                                             \
				mem[INBOX_TOP(w)] = 0;                                                                \
				first_of[w] = 0                                                                       \
			:: else                                                                                       \
			fi;                                                                                           \
			found = true                                                                                  \
		:: else                                                                                               \
		fi                                                                                                    \
	}

#define call_starts(number) assert((number) == next_call); next_call++

inline steal()
{
	i = 0;
	do
	:: i < WORKERS && !found ->
		load(me, BITS(i), seen);
		if
		:: seen ->
			steal_inbox(i);
			if
			:: !found -> steal_deque(i)
			:: else
			fi
		:: else
		fi;
		i++
	:: else -> break
	od;
	i = 0
}

/* anything_to_steal: `something` is what it says. */
#define look_about(inboxes)                                                                                           \
	i = 0;                                                                                                        \
	something = false;                                                                                            \
	do                                                                                                            \
	:: i < WORKERS && !something ->                                                                               \
		load(me, BITS(i), seen);                                                                              \
		if                                                                                                    \
		:: seen ->                                                                                            \
			atomic { something = mem[BOTTOM(i)] > mem[TOP(i)] };                                          \
			if                                                                                            \
			:: !something && (inboxes) ->                                                                 \
				atomic { something = mem[INBOX_BOTTOM(i)] > mem[INBOX_TOP(i)] }                       \
			:: else                                                                                       \
			fi                                                                                            \
		:: else                                                                                               \
		fi;                                                                                                   \
		i++                                                                                                   \
	:: else -> break                                                                                              \
	od;                                                                                                           \
	i = 0

inline advertise()
{
	if
	:: !advertised -> advertised = true; atomic { fence(me) -> mem[BITS(me)] = 1 }
	:: else
	fi
}

inline unadvertise()
{
	if
	:: advertised -> advertised = false; atomic { fence(me) -> mem[BITS(me)] = 0 }
	:: else
	fi
}

/* --------------------------------------------------------------------------------------------- searching, sleeping */

inline stop_searching()
{
	atomic {
		if
		:: searching[me] ->
			searching[me] = false;
			assert(stored[me] == 0);
			mem[NSEARCHING] = mem[NSEARCHING] - 1
		:: else
		fi
	}
}

/* search_locked: searching[me] is what it says. */
#define others_search (mem[NSEARCHING] - coming - searching[me])

inline search()
{
	atomic {
		assert(stored[me] == 0 && mem[NSEARCHING] >= coming + searching[me] && coming <= 1);
		if
		:: others_search >= MOST -> stop_searching()
		:: others_search < MOST && !searching[me] ->
			searching[me] = true;
			mem[NSEARCHING] = mem[NSEARCHING] + 1
		:: else
		fi
	}
}

inline go_idle()
{
#ifndef EARLY_CLEAR
	store(me, WAKE(me), 0);
#endif
	atomic { is_idle[me] = true; idle[nidle] = me; nidle++ };
	store_seq(me, NIDLE, nidle);
	stop_searching();
	advance(me)
}

inline cease_idle()
{
	atomic {
		if
		:: is_idle[me] ->
			is_idle[me] = false;
			i = 0;
			do
			:: idle[i] == me -> break
			:: else -> i++
			od;
			do
			:: i + 1 < nidle -> idle[i] = idle[i + 1]; i++
			:: else -> break
			od;
			i = 0;
			nidle--;
			idle[nidle] = 0
		:: else
		fi
	};
	atomic { assert(stored[me] == 0); mem[NIDLE] = nidle }
}

/* Predicate: wake is 1. A nap ends by itself. */
#define sleep(nap)                                                                                                    \
	unadvertise();                                                                                                \
	before_idle();                                                                                                \
	go_idle();                                                                                                    \
	unlock(me);                                                                                                   \
	after_idle(!(nap));                                                                                           \
	if                                                                                                            \
	:: seen > 0 || !something ->                                                                                  \
		do                                                                                                    \
		:: load(me, WAKE(me), seen);                                                                          \
			if                                                                                            \
			:: seen -> break                                                                              \
			:: else                                                                                       \
			fi;                                                                                           \
			atomic {                                                                                      \
				if                                                                                    \
				:: mem[WAKE(me)] == 0 -> asleep[me] = true                                            \
				:: else                                                                               \
				fi                                                                                    \
			};                                                                                            \
			if                                                                                            \
			:: !asleep[me]                                                                                \
			:: (nap) -> asleep[me] = false; break                                                         \
			fi                                                                                            \
		od                                                                                                    \
	:: else                                                                                                       \
	fi;                                                                                                           \
	seen = 0;                                                                                                     \
	something = false;                                                                                            \
	lock(me);                                                                                                     \
	cease_idle();                                                                                                 \
	coming = coming - searching[me]

#ifdef LATE_IDLE
#define before_idle() look_about(true); load(me, NSEARCHING, seen)
#define after_idle(inboxes) skip
#else
#define before_idle() skip
#ifdef NO_RECHECK
#define after_idle(inboxes) something = false; seen = 0
#elif defined EARLY_CLEAR
#define after_idle(inboxes)                                                                                           \
	store(me, WAKE(me), 0);                                                                                       \
	load(me, NSEARCHING, seen);                                                                                   \
	look_about(inboxes)
#else
#define after_idle(inboxes)                                                                                           \
	load(me, NSEARCHING, seen);                                                                                   \
	if                                                                                                            \
	:: seen == 0 -> look_about(inboxes); seen = 0                                                                 \
	:: else                                                                                                       \
	fi
#endif
#endif

#define may_stand_by (keeps_up && standby == NOBODY && nidle + 1 < WORKERS && !finished)

inline stand_by()
{
	do
	:: seen_takes = takes;
		standby = me;
		sleep(true);
		if
		:: standby != me -> break                /* it was woken */
		:: else
		fi;
		standby = NOBODY;
		if
		:: takes == seen_takes -> brisk = false
		:: else
		fi;
		if
		:: may_stand_by
		:: else -> break
		fi
	od
}

/* -------------------------------------------------------------------------------------------------------- a worker */

/* take_locked: found, or an open batch, or nothing. */
#define open(w) (mem[INBOX_BOTTOM(w)] > mem[INBOX_TOP(w)])

#define take_queued(n)                                                                                                \
	atomic {                                                                                                      \
		queued = queued - (n);                                                                                \
		takes++;                                                                                              \
		call_starts(submitted - queued - (n));                                                                \
		found = true                                                                                          \
	}

inline take()
{
	batch = NOBODY;
	if
	:: queued == 0
#ifndef TWO_BATCHES
	:: queued > 0 && batch_owner != NOBODY && open(batch_owner) -> batch = batch_owner
	:: queued > 0 && !(batch_owner != NOBODY && open(batch_owner)) ->
#else
	:: queued > 0 ->
#endif
		if
		:: take_queued(1); brisk = false
		:: BATCH > 1 -> take_queued(1); brisk = true
		:: BATCH > 1 && queued > 1 && !open(me) ->
			advertise();
			batch_owner = me;
			take_queued(2);
			first_of[me] = submitted - queued - 1;
			store_seq(me, INBOX_BOTTOM(me), 1);
			if
			:: brisk = true
			:: brisk = false
			fi
		fi
	fi
}

inline watch_batch()
{
	do
	:: batch != me && open(batch) ->
		if
		:: steal_inbox(batch); break
		:: true                                  /* looks on */
		fi
	:: else ->
		if
		:: batch == me -> steal_inbox(batch)
		:: else
		fi;
		break
	od
}

inline look_elsewhere()
{
	pop_own();
	if
	:: !found -> steal_inbox(me)
	:: else
	fi;
	if
	:: found
	:: !found && may_stand_by && batch != me -> stand_by()
	:: !found && !(may_stand_by && batch != me) ->
		search();
		if
		:: batch != NOBODY && batch != me && !searching[me] ->
			sleep(false)
		:: else ->
			unlock(me);
			again = batch != NOBODY;
			if
			:: batch != NOBODY -> watch_batch()
			:: else -> steal()
			fi;
			if
			:: !found && searching[me] && !again ->
				look_about(true);        /* a spin that lasts for one look, or for none */
				if
				:: queued > 0 || something -> again = true
				:: true
				fi;
				something = false
			:: else
			fi;
			seen = 0;
			lock(me);
			if
			:: !found && !again && queued == 0 && !finished -> sleep(false)
			:: else
			fi;
			again = false
		fi
	fi
}

/* found_locked. */
inline hand_on()
{
	stop_searching();
#ifndef NO_HAND_ON
	if
	:: nidle == 0
	:: else ->
		if
		:: queued == 0 -> look_about(true)
		:: else -> something = true
		fi;
		if
		:: something -> wake_for_call(me, other)
		:: else
		fi;
		something = false;
		seen = 0
	fi
#endif
}

inline acquire()
{
	lock(me);
	do
	:: found || finished -> break
	:: else ->
		take();
		if
		:: !found -> look_elsewhere()
		:: else
		fi;
		batch = NOBODY
	od;
	if
	:: found -> hand_on()
	:: else ->
		stop_searching();
#ifndef LEAVES_OTHERS
		pop_idle(me, other);
		pop_idle(me, third)
#endif
	fi;
	unlock(me);
	unpark(me, other);
	unpark(me, third)
}

inline push_own_task()
{
	advertise();
#ifdef NO_FENCE
	store(me, BOTTOM(me), mem[BOTTOM(me)] + 1);
#else
	store_seq(me, BOTTOM(me), mem[BOTTOM(me)] + 1);
#endif
#ifndef NO_NOTIFY
	notify(me)
#endif
}

inline run_task()
{
	atomic {
		begun++;
		if
		:: nested < NESTED -> nested++; mine = true
		:: else
		fi
	};
	if
	:: mine -> push_own_task()
	:: else
	fi;
	mine = false;
#ifdef SIDE_BY_SIDE
	begun == TASKS;
#endif
	atomic { ended++; found = false }
}

proctype worker(byte me)
{
	short seen;
	byte i, other = NOBODY, third = NOBODY, batch = NOBODY;
	bool found, something, advertised, again, mine;

	do
	:: pop_own();
		if
		:: !found -> steal_inbox(me)
		:: else
		fi;
		if
		:: !found -> acquire()
		:: else
		fi;
		if
		:: found -> run_task()
		:: else ->
			assert(finished);
			if
			:: mem[BOTTOM(me)] == mem[TOP(me)] && !open(me) -> break
			:: else
			fi
		fi
	od;
	left++
}

proctype submitter()
{
	byte other = NOBODY;

	do
	:: submitted < CALLS ->
		lock(SUBMITTER);
		atomic { submitted++; queued++ };
		wake_for_call(SUBMITTER, other);
		unlock(SUBMITTER);
		unpark(SUBMITTER, other)
	:: else -> break
	od;
	lock(SUBMITTER);
	closed = true;
	advance(SUBMITTER);
	unlock(SUBMITTER);
	left == WORKERS;
	assert(ended == TASKS && begun == TASKS && next_call == CALLS);
	assert(queued == 0 && nidle == 0 && standby == NOBODY && mem[NIDLE] == 0 && mem[NSEARCHING] == 0 && coming == 0)
}

init
{
	byte w;

	atomic {
		do
		:: w < WORKERS -> run memory(w); run worker(w); w++
		:: else -> break
		od;
		run memory(SUBMITTER);
		run submitter()
	}
}
