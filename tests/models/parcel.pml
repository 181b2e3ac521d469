/* SPDX-License-Identifier: MIT
 *
 * Items that a worker's thread hands over to its process: claiming, taking back, and the process's death at every step.
 *
 * Models      src/parcel.c: claim, ended, mpp_slot_run, mpp_slot_ring, mpp_parcel_wait, _recall, _close; and of
 *             src/process.c: accompany, kill_if_overdue, lose. Its invariants R1, R2, R4, K1, K2.
 * Memory      sequentially consistent. What orders the two pairs of R4 on real machines are the accesses' orders.
 * Bounds      one parcel of 3 items, one process, its thread, one thief that takes the second half back twice.
 * Claims      each item is answered for once: by the thread as ended or lost, by the thief or the thread as taken back.
 *             What ended was run, once; what was lost began and had not ended; what was taken back never begins.
 *             If the process is killed no other item is lost than that which was overdue. Nobody sleeps for good.
 * Not here    garbage in the slot; a parcel in pieces; the successor of a process.
 * Planted     THIEF_STORES     limit is lowered by a load and a store: R1
 *             PROCESS_STORES   begun is raised so
 *             DONE_FIRST       the process counts an item in `done` before it runs: R2
 *             EARLY_LOOK       the thread reads `done` before it sees that the process is dead: K1
 *             KILLS_AT_ONCE    the thread kills without taking anything back: K2
 *             LOOKS_FIRST      the process looks at thread_sleeps, then rings the bell: R4
 *             SLEEPS_LATE      the thread looks at the bell, then stores thread_sleeps */
#define N 3

byte begun, limit = N, done;             /* the span, and done */
bool finished, dead, killing;
byte bell;
bool sleeps, woken;

byte ran[N], answers[N];                 /* how often an item began; how many answer for it */
bool over[N];                            /* it ended: its result is stored */
byte overdue = N;                        /* the item for which the process is killed */
byte others = 1;                         /* the thief */

inline answer(i)
{
	answers[i]++;
	assert(answers[i] == 1)
}

inline ring()
{
#ifdef LOOKS_FIRST
	d_step { saw = sleeps };
	d_step { bell++ };
#else
	d_step { bell++ };
	d_step { saw = sleeps };
#endif
	if
	:: saw -> woken = true
	:: else
	fi
}

/* The system may end the process between any two of its steps. Then waitpid() returns, and the keeper rings. */
#define MORTAL if :: skip :: goto death fi

active proctype process()
{
	byte i, seen;
	bool saw;

	do
	:: true ->
		MORTAL;
#ifdef PROCESS_STORES
		seen = limit;
		i = begun;
		if
		:: i >= seen -> break
		:: else
		fi;
		begun = i + 1;
#else
		d_step {
			i = N;
			if
			:: begun < limit -> i = begun; begun++
			:: else
			fi
		};
		if
		:: i == N -> break
		:: else
		fi;
#endif
		MORTAL;
#ifdef DONE_FIRST
		done = i + 1;
		MORTAL;
#endif
		d_step { ran[i]++; assert(ran[i] == 1) };
		MORTAL;
		over[i] = true;
		MORTAL;
#ifndef DONE_FIRST
		done = i + 1;
		MORTAL;
#endif
		if
		:: true -> ring()        /* now and then */
		:: true
		fi
	od;
	MORTAL;
	finished = true;
	MORTAL;
	ring();
end_idle:
	(killing);                       /* it waits for the next parcel; a signal may still be on its way */
death:
	dead = true;
	ring()
}

active proctype thief()
{
	byte from, to, k, tries;

	do
	:: tries < 2 ->
		tries++;
#ifdef THIEF_STORES
		from = limit;
		to = begun + (limit - begun) / 2;
		if
		:: to < from -> limit = to
		:: else -> from = to
		fi;
#else
		d_step {
			from = limit;
			to = (begun < limit -> begun + (limit - begun) / 2 : limit);
			limit = to
		};
#endif
		for (k : to .. (from - 1)) {
			answer(k)
		}
	:: tries == 2 -> break
	od;
	others = 0
}

active proctype thread()
{
	byte seen, d, b, kept = N, delivered, k;
	bool gone, ended, closed, killed;

	do
	:: true ->
		seen = bell;
#ifdef EARLY_LOOK
		d = done;
		gone = dead;
		ended = finished;
#else
		gone = dead;
		ended = finished;
		d = done;
#endif
		for (b : delivered .. (d - 1)) {
			assert(over[b]);
			answer(b)
		}
		delivered = d;
		if
		:: gone -> break
		:: !gone && ended && !killed -> break
		:: else
		fi;
		if
		:: !killed ->            /* the running item's time is over */
#ifndef KILLS_AT_ONCE
			d_step {
				if
				:: !closed -> kept = limit; closed = true
				:: else
				fi;
				limit = (begun < limit -> begun : limit)
			};
#endif
			d = done;
			if
			:: begun > d -> overdue = d; killed = true; killing = true
			:: else
			fi
		:: true
		fi;
#ifdef SLEEPS_LATE
		if
		:: bell == seen -> sleeps = true; woken -> woken = false
		:: else
		fi;
#else
		sleeps = true;
		if
		:: bell == seen -> woken -> woken = false
		:: else -> woken = false
		fi;
#endif
		sleeps = false
	od;
	skip;
	d_step {
		if
		:: !closed -> kept = limit; closed = true
		:: else
		fi;
		limit = (begun < limit -> begun : limit)
	};
	if
	:: gone ->
		for (b : delivered .. (begun - 1)) {
			assert(ran[b] == 0 || !over[b] || b >= done);
			assert(overdue == N || b == overdue);
			answer(b)
		}
	:: else
	fi;
	for (b : begun .. (kept - 1)) {
		assert(ran[b] == 0);
		answer(b)
	}
	others == 0;
	d_step {
		for (k : 0 .. (N - 1)) {
			assert(answers[k] == 1)
		}
	}
}
