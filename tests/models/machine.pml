/* SPDX-License-Identifier: MIT
 *
 * What the models run on: words of memory, a store buffer for each thread, sleeping and waking.
 *
 * Memory. A store goes to the end of its thread's buffer, and from there to memory whenever it likes, in order; a load
 * sees the thread's own stores at once, those of others when they are in memory (total store order, as on x86). A
 * sequentially consistent store is followed by a fence, which waits until the buffer is empty; so does a
 * read-modify-write before its step. A store without its fence may therefore come after a later load of the same
 * thread: that is what the pairs of store and look in src/README are about. Loads are never early here, and stores of
 * one thread stay in their order: what acquire and release are for is not seen by these models but by
 * tests/interleavings.
 *
 * A model defines WORDS, THREADS (those with numbers below have a buffer) and ROOM (stores in a buffer), and starts
 * memory(t) for each thread that stores. */

short mem[WORDS];
byte stored[THREADS];                    /* how many stores are in the buffer */
byte stored_at[THREADS * ROOM];
short stored_value[THREADS * ROOM];
hidden byte scan;

/* Macros, since arguments of an inline cannot have parentheses. */

#define load(t, w, value)                                                                                             \
	atomic {                                                                                                      \
		value = mem[w];                                                                                       \
		scan = 0;                                                                                             \
		do                                                                                                    \
		:: scan < stored[t] ->                                                                                \
			if                                                                                            \
			:: stored_at[(t) * ROOM + scan] == (w) -> value = stored_value[(t) * ROOM + scan]             \
			:: else                                                                                       \
			fi;                                                                                           \
			scan++                                                                                        \
		:: else -> break                                                                                      \
		od;                                                                                                   \
		scan = 0                                                                                              \
	}

#define store(t, w, value) /* mpp_store, mpp_poke */                                                                  \
	atomic {                                                                                                      \
		stored[t] < ROOM ->                                                                                   \
		stored_at[(t) * ROOM + stored[t]] = (w);                                                              \
		stored_value[(t) * ROOM + stored[t]] = (value);                                                       \
		stored[t]++                                                                                           \
	}

#define fence(t) (stored[t] == 0)

/* With the fence behind it: as the thread does nothing meanwhile, the store may as well happen when it is over. */
#define store_seq(t, w, value) atomic { fence(t) -> mem[w] = (value) }

/* Read-modify-writes. A compare-and-swap that fails leaves what it found in `expected`. */
#define cas(t, w, expected, value, done)                                                                              \
	atomic {                                                                                                      \
		fence(t) ->                                                                                           \
		if                                                                                                    \
		:: mem[w] == (expected) -> mem[w] = (value); done = true                                              \
		:: else -> expected = mem[w]; done = false                                                            \
		fi                                                                                                    \
	}

#define add(t, w, by) atomic { fence(t) -> mem[w] = mem[w] + (by) }

proctype memory(byte t)
{
end:	do
	:: atomic {
		stored[t] > 0 ->
		mem[stored_at[t * ROOM]] = stored_value[t * ROOM];
		scan = 0;
		do
		:: scan + 1 < stored[t] ->
			stored_at[t * ROOM + scan] = stored_at[t * ROOM + scan + 1];
			stored_value[t * ROOM + scan] = stored_value[t * ROOM + scan + 1];
			scan++
		:: else -> break
		od;
		stored[t]--;
		stored_at[t * ROOM + scan] = 0;
		stored_value[t * ROOM + scan] = 0;
		scan = 0
	}
	od
}
