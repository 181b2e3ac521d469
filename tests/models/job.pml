/* SPDX-License-Identifier: MIT
 *
 * The end of a single call: who runs it, who is told, who frees it, and when its pool may go.
 *
 * Models      src/job.c: mpp_single_claim, mpp_single_cancel, mpp_job_complete, mpp_job_due, settle, end_watched,
 *             mpp_job_end, mpp_job_called, mpp_job_taken, mpp_job_watch, mpp_job_detach, mpp_job_dequeue,
 *             mpp_job_wait; the way of a callback through callbacks.c: mpp_pool_callback_due, and the threads that
 *             take it from the list; job.h's J1 to J5, watch.h's W1 to W3.
 * Threads     popper     has it out of a queue: a worker, which runs it, or a terminate, which discards it
 *             user       has the handle: may watch it in a group, cancel it, wait (with a time limit or without one),
 *                        take the result, and frees the handle; or has forgotten it at once
 *             other      waits for it, too; or is a worker that runs it because it waits. The user frees the handle
 *                        only when it is through.
 *             handler    runs the callback, where there is one: the result handler, or whoever polls
 *             The pool goes when its threads have left and no registered job is left.
 * Memory      one word, changed by read-modify-writes alone: sequentially consistent. Loads and the steps of a
 *             compare-and-swap loop stand by themselves.
 * Bounds      one job. Every combination of callback, polled, droppable result, forgotten is chosen by the first step.
 * Claims      the call ends once: it was run, cancelled or discarded; the callback was called once; the release hook
 *             was called once, after everything else; the result was taken or dropped, once; nobody sleeps for ever; a
 *             group that watches is told once, and the job is ready when it has been; the memory is freed once, and
 *             nobody touches it afterwards; nobody touches a pool that is gone, and a pool that waited for the job
 *             finds it ready; where callbacks are polled, who sees it ready finds its callback due.
 * Not here    jobs of many items (their engine's reference is counted: spans.pml), fork, the pool's own queue
 *             (park.pml).
 * Planted     NO_WAKE          the end wakes nobody
 *             NO_RECHECK       a waiter announces itself, and sleeps without having looked whether the end came first
 *             DOUBLE           a claim by a load and a store
 *             CANCEL_BLINDLY   a cancel ends what somebody else has claimed
 *             FREE_EARLY       the end frees in spite of the queue's reference
 *             DETACH_EARLY     the detaching frees without a look at the queue's reference
 *             DEQUEUE_EARLY    the queue's reference goes with the last of the handle, though the call has not ended
 *             UNREGISTER_EARLY the pool is told before the end was made known
 *             WATCH_UNLOCKED   a watched job tells its groups and ends without holding their lock
 *             SETTLE_ONCE      the end does not look again whether the result was taken or the handle freed meanwhile
 *             DUE_LATE         where callbacks are polled: ready first, on the list afterwards */
#define CLAIMED 1
#define ENDED 2
#define PARKED 4
#define DETACHED 8
#define QUEUED 16
#define TAKEN 32
#define DUE 64
#define WATCHED 128
#define CANCELLED 256

#define USER 0
#define OTHER 1

short state = QUEUED;

/* What kind of call it is. */
bool callback, polled, droppable, forgotten, in_group, helps;
bool registered;

/* What became of it. */
bool freed, released, made, taken, dropped, called, on_list, picked;
bool watch_lock, watching, told;
byte runs;                               /* or cancelled, or discarded */
bool other_done, popper_done, user_done, handler_done;
bool asleep[2], group_asleep;

#define touches assert(!freed)
#define uses_pool assert(!pool_may_go)

/* The workers have left, no registered job is left, and so the handler has, too. */
#define workers_gone (popper_done && (!helps || other_done))
#define pool_may_go (workers_gone && !registered && (!callback || polled || handler_done))

inline look(s)
{
	atomic { touches; s = state }
}

/* A compare-and-swap from s to `to`; s is what was found. */
#define try(s, to, done)                                                                                              \
	atomic {                                                                                                      \
		touches;                                                                                              \
		if                                                                                                    \
		:: state == s -> state = (to); done = true                                                            \
		:: else -> s = state; done = false                                                                    \
		fi                                                                                                    \
	}

inline free_memory()
{
	atomic {
		assert(!freed && released);
		assert(!(state & QUEUED) && !(state & DUE));
		freed = true
	}
}

inline release()
{
	atomic { touches; assert(!released && runs == 1); released = true }
}

inline drop_untaken(s)
{
	look(s);
	if
	:: droppable && made && !(s & TAKEN) ->
		atomic { assert(!taken && !dropped); dropped = true };
		release()
	:: else
	fi
}

/* --------------------------------------------------------------------------------------------------------- the end */

#define over(s) ((s & (ENDED | DUE)) == ENDED)
#define ended(s) ((s & ~DUE) | ENDED)

/* settle(): s is the state before the end. */
inline settle(s, mine, settled)
{
	look(s);
	if
	:: !(droppable && made) -> release()
	:: else
	fi;
	do
	:: droppable && made && !settled && (s & (TAKEN | DETACHED)) ->
		if
		:: s & TAKEN -> release()
		:: else -> drop_untaken(s)
		fi;
		settled = true
	:: else ->
		if
		:: (s & (WATCHED | ENDED)) == WATCHED ->
			end_watched(s, mine)
		:: else ->
			try(s, ended(s), mine)
		fi;
#ifdef SETTLE_ONCE
		settled = true;
#endif
		if
		:: mine -> break
		:: else
		fi
	od;
	mine = false;
	settled = false
}

inline lock_watches()
{
#ifndef WATCH_UNLOCKED
	atomic { !watch_lock -> watch_lock = true }
#else
	skip
#endif
}

inline unlock_watches()
{
#ifndef WATCH_UNLOCKED
	watch_lock = false
#else
	skip
#endif
}

/* Who is told may look at the job at once. */
inline tell()
{
	atomic {
		if
		:: watching -> assert(!told); told = true; group_asleep = false
		:: else
		fi
	}
}

inline end_watched(s, mine)
{
	lock_watches();
	tell();
	do
	:: try(s, ended(s), mine);
		if
		:: mine || (s & DETACHED) -> break
		:: else
		fi
	od;
	unlock_watches()
}

inline wake_all()
{
	atomic { asleep[USER] = false; asleep[OTHER] = false }
}

inline unregister()
{
	atomic { uses_pool; assert(freed || (state & ENDED)); registered = false }
}

inline job_end(s, mine, settled)
{
#ifdef UNREGISTER_EARLY
	if
	:: registered -> unregister()
	:: else
	fi;
#endif
	settle(s, mine, settled);
	if
#ifndef NO_WAKE
	:: s & PARKED -> wake_all()
#endif
	:: else
	fi;
	if
#ifdef FREE_EARLY
	:: s & DETACHED -> free_memory()
#else
	:: (s & (DETACHED | QUEUED)) == DETACHED -> free_memory()
#endif
	:: else
	fi;
#ifndef UNREGISTER_EARLY
	if
	:: registered -> unregister()
	:: else
	fi;
#endif
	s = 0
}

/* mpp_job_called(): it was ready before its callback. */
inline job_called(s, mine, settled)
{
	settle(s, mine, settled);
	if
	:: (s & (DETACHED | QUEUED)) == DETACHED -> free_memory()
	:: else
	fi;
	s = 0
}

/* mpp_pool_callback_due(). What it does under the pool's lock is one step. */
inline callback_due(s)
{
	if
	:: !polled -> atomic { uses_pool; touches; state = state | DUE; on_list = true }
	:: else ->
		lock_watches();
		tell();
#ifdef DUE_LATE
		atomic { uses_pool; touches; s = state; state = state | DUE | ENDED; registered = false };
		if
		:: s & PARKED -> wake_all()
		:: else
		fi;
		on_list = true;
		unlock_watches();
#else
		atomic {
			uses_pool;
			touches;
			s = state;
			state = state | DUE | ENDED;
			on_list = true;
			registered = false
		};
		unlock_watches();
		if
		:: s & PARKED -> wake_all()
		:: else
		fi
#endif
	fi
}

/* It was run, or will not be: on to the callback, or to the end. */
inline complete(s, mine, settled, success)
{
	atomic { touches; assert(runs == 0); runs++; made = success };
	if
	:: callback -> callback_due(s)
	:: else -> job_end(s, mine, settled)
	fi;
	s = 0
}

/* -------------------------------------------------------------------------------------------------------- claiming */

inline claim(s, mine, set, clear)
{
	mine = false;
	look(s);
	do
	:: s & CLAIMED -> break
	:: else ->
#ifdef DOUBLE
		atomic { touches; state = (state | CLAIMED | set) & ~clear; mine = true };
#else
		try(s, (s | CLAIMED | set) & ~clear, mine);
#endif
		if
		:: mine -> break
		:: else
		fi
	od
}

inline dequeue(s)
{
	atomic { touches; s = state; state = state & ~QUEUED };
	if
#ifdef DEQUEUE_EARLY
	:: s & DETACHED -> free_memory()
#else
	:: over(s) && (s & DETACHED) -> free_memory()
#endif
	:: else
	fi
}

proctype popper()
{
	short s;
	bool mine, settled;

	claim(s, mine, 0, QUEUED);
	if
	:: mine ->
		mine = false;
		if
		:: complete(s, mine, settled, true)
		:: complete(s, mine, settled, false)     /* it failed, or terminate came */
		fi
	:: else ->
		if
		:: s & CANCELLED -> uses_pool            /* counted here, since the cancel must not */
		:: else
		fi;
		dequeue(s)
	fi;
	popper_done = true
}

proctype handler()
{
	short s;
	bool mine, settled;

	if
	:: atomic { on_list -> on_list = false; picked = true };
		atomic { touches; assert(!called && !released); called = true };
		if
		:: polled ->
			assert(state & DUE);
			job_called(s, mine, settled)
		:: else -> job_end(s, mine, settled)
		fi
	fi;
	handler_done = true
}

/* --------------------------------------------------------------------------------------------------------- waiting */

/* `limited`: it may give up at any time. */
inline wait(me, s, mine, limited)
{
	do
	:: look(s);
		if
		:: s & ENDED -> assert(!polled || on_list || picked); break
		:: else
		fi;
		if
		:: limited -> break
		:: true
		fi;
#ifdef NO_RECHECK
		atomic { touches; state = state | PARKED; s = state };
		mine = true;
#else
		mine = true;
		if
		:: !(s & PARKED) -> try(s, s | PARKED, mine)
		:: else
		fi;
#endif
		if
		:: mine ->
			atomic {                         /* the kernel compares the word and lets it sleep in one step */
				touches;
				if
				:: state == (s | PARKED) -> asleep[me] = true
				:: else
				fi
			};
			!asleep[me]
		:: else
		fi
	od;
	mine = false
}

/* A second thread that has the handle for a while; as a worker it first tries to run what it waits for. */
proctype other()
{
	short s;
	bool mine, settled;

	if
	:: helps ->
		claim(s, mine, 0, 0);
		if
		:: mine -> mine = false; complete(s, mine, settled, true)
		:: else
		fi
	:: else
	fi;
	if
	:: wait(OTHER, s, mine, false)
	:: wait(OTHER, s, mine, true)
	fi;
	other_done = true
}

/* -------------------------------------------------------------------------------------------------------- the user */

inline watch(s)
{
	lock_watches();
	watching = true;
	atomic { touches; s = state; state = state | WATCHED };
	if
	:: s & ENDED -> tell()
	:: else
	fi;
	unlock_watches()
}

inline await_group(s)
{
	atomic {
		if
		:: !told -> group_asleep = true
		:: else
		fi
	};
	!group_asleep;
	lock_watches();                          /* whoever hands the result on has passed it */
	unlock_watches();
	look(s);
	assert(s & ENDED)
}

inline cancel(s, mine, settled)
{
	look(s);
	if
	:: s & ENDED
	:: else ->
		claim(s, mine, CANCELLED, 0);
#ifdef CANCEL_BLINDLY
		mine = true;
#endif
		if
		:: mine -> mine = false; complete(s, mine, settled, false)
		:: else
		fi
	fi
}

inline take(s)
{
	look(s);
	if
	:: (s & ENDED) && made && droppable ->
		atomic { touches; assert(!dropped); s = state; state = state | TAKEN; taken = true };
		if
		:: !(s & TAKEN) && over(s) -> release()
		:: else
		fi
	:: else
	fi
}

inline detach(s, mine)
{
	look(s);
	if
	:: s & WATCHED ->
		lock_watches();
		watching = false;
		unlock_watches()
	:: else
	fi;
	mine = false;
	do
	:: over(s) || mine -> break
	:: else -> try(s, s | DETACHED, mine)
	od;
	if
	:: !mine ->
		drop_untaken(s);
#ifdef DETACH_EARLY
		free_memory()
#else
		look(s);
		if
		:: !(s & QUEUED) -> free_memory()
		:: else ->
			atomic { touches; s = state; state = state | DETACHED };
			if
			:: !(s & QUEUED) -> free_memory()
			:: else
			fi
		fi
#endif
	:: else
	fi
}

proctype user()
{
	short s;
	bool mine, settled;

	if
	:: in_group -> watch(s)
	:: else
	fi;
	if
	:: true
	:: cancel(s, mine, settled)
	fi;
	if
	:: true
	:: wait(USER, s, mine, false)
	:: wait(USER, s, mine, true)
	:: in_group -> await_group(s)
	fi;
	if
	:: true
	:: take(s)
	fi;
	other_done;
	detach(s, mine);
	user_done = true
}

init
{
	bool polling;

	atomic {
		if
		:: true
		:: callback = true
		:: callback = true; polled = true
		fi;
		if
		:: true
		:: droppable = true
		fi;
		if
		:: forgotten = true; state = state | DETACHED; user_done = true; other_done = true
		:: run user();
			if
			:: helps = true; run other()
			:: run other()
			:: other_done = true
			:: in_group = true; other_done = true
			fi
		fi;
		registered = callback;
		run popper();
		if
		:: callback -> run handler()
		:: else -> handler_done = true
		fi
	};
	popper_done && user_done && other_done && handler_done && !registered;
	assert(runs == 1 && released && freed && called == callback);
	assert(!(droppable && made) || taken || dropped);
	assert(!(taken && dropped))
}
