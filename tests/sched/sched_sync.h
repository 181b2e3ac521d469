/* SPDX-License-Identifier: MIT
 *
 * What src/sync.h has in the build for the scheduler in place of C11's atomics, park and spin: the same names, each a
 * step of the schedule that says where it stands. */
#ifndef SCHED_SYNC_H
#define SCHED_SYNC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum sched_order { SCHED_RELAXED, SCHED_ACQUIRE, SCHED_RELEASE, SCHED_SEQ };
enum sched_change { SCHED_SWAP, SCHED_ADD, SCHED_SUB, SCHED_OR, SCHED_AND };

/* Where a step stands in the sources. */
#define SCHED_SITE const char *what, const char *file, int line
#define SCHED_HERE(what) what, __FILE__, __LINE__

uint64_t sched_load(const volatile void *at, size_t size, enum sched_order order, SCHED_SITE);
void sched_store(volatile void *at, size_t size, uint64_t value, enum sched_order order, SCHED_SITE);
uint64_t sched_change(volatile void *at, size_t size, enum sched_change change, uint64_t operand, SCHED_SITE);
bool sched_cas(volatile void *at, size_t size, void *expected, uint64_t value, SCHED_SITE);
int sched_park(const volatile void *word, uint32_t value, int64_t deadline, SCHED_SITE);
void sched_wake(const volatile void *word, bool all, SCHED_SITE);
bool sched_barrier(SCHED_SITE);
void sched_relax(SCHED_SITE);
bool sched_spin_more(int64_t *count, SCHED_SITE);
void sched_assert_unlocked(SCHED_SITE);

/* The type without _Atomic; values travel as 64 bits. In braces a value may go unused without a warning. */
#define SCHED_TYPE(p) __typeof__((void)0, *(p))
#define SCHED_IN(p, v) ((uint64_t)(SCHED_TYPE(p))(v))
#define SCHED_OUT(p, bits) __extension__({ (SCHED_TYPE(p))(bits); })
#define SCHED_LOAD_(p, order, text) SCHED_OUT(p, sched_load(p, sizeof *(p), order, SCHED_HERE(text)))
#define SCHED_STORE_(p, v, order, text) sched_store(p, sizeof *(p), SCHED_IN(p, v), order, SCHED_HERE(text))
#define SCHED_CHANGE_(p, change, v, text)                                                                             \
	SCHED_OUT(p, sched_change(p, sizeof *(p), change, SCHED_IN(p, v), SCHED_HERE(text)))

#undef mpp_peek
#undef mpp_poke
#undef mpp_load
#undef mpp_store
#undef mpp_load_seq
#undef mpp_store_seq
#undef mpp_swap
#undef mpp_add
#undef mpp_sub
#undef mpp_or
#undef mpp_and
#undef mpp_cas
#define mpp_peek(p) SCHED_LOAD_(p, SCHED_RELAXED, #p)
#define mpp_poke(p, v) SCHED_STORE_(p, v, SCHED_RELAXED, #p)
#define mpp_load(p) SCHED_LOAD_(p, SCHED_ACQUIRE, #p)
#define mpp_store(p, v) SCHED_STORE_(p, v, SCHED_RELEASE, #p)
#define mpp_load_seq(p) SCHED_LOAD_(p, SCHED_SEQ, #p)
#define mpp_store_seq(p, v) SCHED_STORE_(p, v, SCHED_SEQ, #p)
#define mpp_swap(p, v) SCHED_CHANGE_(p, SCHED_SWAP, v, #p)
#define mpp_add(p, v) SCHED_CHANGE_(p, SCHED_ADD, v, #p)
#define mpp_sub(p, v) SCHED_CHANGE_(p, SCHED_SUB, v, #p)
#define mpp_or(p, v) SCHED_CHANGE_(p, SCHED_OR, v, #p)
#define mpp_and(p, v) SCHED_CHANGE_(p, SCHED_AND, v, #p)
#define mpp_cas(p, expected, v) sched_cas(p, sizeof *(p), expected, SCHED_IN(p, v), SCHED_HERE(#p))

#undef mpp_in_order
#define mpp_in_order() ((void)0)
#define mpp_barrier_is_there() true
#define mpp_barrier_pays(chunks, workers) true
#define mpp_barrier() sched_barrier(SCHED_HERE(""))

#define mpp_park(word, value, deadline) sched_park(word, value, deadline, SCHED_HERE(#word))
#define mpp_wake_one(word) sched_wake(word, false, SCHED_HERE(#word))
#define mpp_wake_all(word) sched_wake(word, true, SCHED_HERE(#word))
#define mpp_yield() sched_relax(SCHED_HERE(""))
#define mpp_park_shared(word, value, deadline) sched_park(word, value, deadline, SCHED_HERE(#word))
#define mpp_wake_shared(word) sched_wake(word, true, SCHED_HERE(#word))
#define mpp_relax() sched_relax(SCHED_HERE(""))
#define mpp_spin_more(spin) sched_spin_more(&(spin)->start, SCHED_HERE(#spin))

/* The scheduler looks after the order of locks itself, in every build. */
#undef MPP_DEBUG

#endif
