/* peer.c - a future, a latch, a list of what is done, on futexes
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "peer.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { PENDING, DONE, AWAITED };

static void sleep_while(const uint32_t *word, uint32_t value)
{
	syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

static void wake_all(const uint32_t *word)
{
	syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

/* ---------------------------------------------------------------------------------------------------------- future */

void peer_future_init(struct peer_future *f)
{
	__atomic_store_n(&f->state, PENDING, __ATOMIC_RELAXED);
}

void peer_future_set(struct peer_future *f, uint64_t value)
{
	f->value = value;
	if (__atomic_exchange_n(&f->state, DONE, __ATOMIC_ACQ_REL) == AWAITED)
		wake_all(&f->state);             /* by address alone: the waiter may have freed it */
}

bool peer_future_ready(const struct peer_future *f)
{
	return __atomic_load_n(&f->state, __ATOMIC_ACQUIRE) == DONE;
}

uint64_t peer_future_get(struct peer_future *f)
{
	while (!peer_future_ready(f)) {
		uint32_t seen = PENDING;

		__atomic_compare_exchange_n(&f->state, &seen, AWAITED, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
		if (seen != DONE)
			sleep_while(&f->state, AWAITED);
	}
	return f->value;
}

struct peer_task *peer_task_make(uint64_t input)
{
	struct peer_task *task = malloc(sizeof *task);

	if (!task)
		bench_fail("malloc", ENOMEM);
	peer_future_init(&task->future);
	task->input = input;
	return task;
}

uint64_t peer_task_collect(struct peer_task *task)
{
	uint64_t value = peer_future_get(&task->future);

	free(task);
	return value;
}

/* ----------------------------------------------------------------------------------------------------------- latch */

void peer_latch_init(struct peer_latch *l, long n)
{
	l->open = n == 0;
	__atomic_store_n(&l->left, n, __ATOMIC_RELEASE);
}

void peer_latch_down(struct peer_latch *l)
{
	if (__atomic_sub_fetch(&l->left, 1, __ATOMIC_ACQ_REL) == 0) {
		__atomic_store_n(&l->open, 1, __ATOMIC_RELEASE);
		wake_all(&l->open);
	}
}

void peer_latch_wait(struct peer_latch *l)
{
	while (!__atomic_load_n(&l->open, __ATOMIC_ACQUIRE))
		sleep_while(&l->open, 0);
}

/* ------------------------------------------------------------------------------------------------------------ list */

void peer_list_put(struct peer_list *l, struct peer_link *link)
{
	link->next = __atomic_load_n(&l->head, __ATOMIC_RELAXED);
	while (!__atomic_compare_exchange_n(&l->head, &link->next, link, true, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
		continue;
	if (__atomic_load_n(&l->asleep, __ATOMIC_SEQ_CST) && __atomic_exchange_n(&l->asleep, 0, __ATOMIC_SEQ_CST))
		wake_all(&l->asleep);
}

/* The consumer writes asleep and then looks at head; a producer writes head and then looks at asleep. */
struct peer_link *peer_list_take(struct peer_list *l)
{
	struct peer_link *all;

	while (!(all = __atomic_exchange_n(&l->head, NULL, __ATOMIC_ACQUIRE))) {
		__atomic_store_n(&l->asleep, 1, __ATOMIC_SEQ_CST);
		if (!__atomic_load_n(&l->head, __ATOMIC_SEQ_CST))
			sleep_while(&l->asleep, 1);
		__atomic_store_n(&l->asleep, 0, __ATOMIC_RELAXED);
	}
	return all;
}

/* ------------------------------------------------------------------------------------------------------------ gate */

static struct {
	uint32_t reached, open;
} gate;

static void set_flag(uint32_t *flag)
{
	__atomic_store_n(flag, 1, __ATOMIC_RELEASE);
	wake_all(flag);
}

static void await_flag(const uint32_t *flag)
{
	while (!__atomic_load_n(flag, __ATOMIC_ACQUIRE))
		sleep_while(flag, 0);
}

void peer_gate_block(void)
{
	set_flag(&gate.reached);
	await_flag(&gate.open);
}

void peer_gate_await(void)
{
	await_flag(&gate.reached);
}

void peer_gate_open(void)
{
	set_flag(&gate.open);
}
