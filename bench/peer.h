/* peer.h - what other pools lack and the works need: a future, a latch, a list of what is done
 *
 * SPDX-License-Identifier: MIT
 *
 * They are as cheap as they can be made on Linux, so that no peer is charged for what it does not have. C and C++. */
#ifndef BENCH_PEER_H
#define BENCH_PEER_H

#include "works.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One result of one task: 16 bytes, one atomic exchange, no lock. */
struct peer_future {
	uint32_t state;                  /* PENDING, DONE, or AWAITED: pending, and somebody sleeps */
	uint64_t value;
};

void peer_future_init(struct peer_future *f);
void peer_future_set(struct peer_future *f, uint64_t value);
bool peer_future_ready(const struct peer_future *f);
uint64_t peer_future_get(struct peer_future *f);

/* A future and the task's input in one block: the least that a submit can allocate. */
struct peer_task {
	struct peer_future future;
	uint64_t input;
};

struct peer_task *peer_task_make(uint64_t input);
uint64_t peer_task_collect(struct peer_task *task);      /* waits, frees */

/* Open when it was counted down n times. */
struct peer_latch {
	long left __attribute__((aligned(128)));
	uint32_t open;
};

void peer_latch_init(struct peer_latch *l, long n);
void peer_latch_down(struct peer_latch *l);
void peer_latch_wait(struct peer_latch *l);

/* Tasks that are done, for one consumer who takes all that there are at once. */
struct peer_link {
	struct peer_link *next;
};

struct peer_list {
	struct peer_link *head __attribute__((aligned(128)));
	uint32_t asleep;
};

void peer_list_put(struct peer_list *l, struct peer_link *link);
struct peer_link *peer_list_take(struct peer_list *l);   /* sleeps while there is nothing */

/* A task that blocks until it is told otherwise: what is queued behind it stays queued. */
void peer_gate_block(void);              /* the task's body */
void peer_gate_await(void);              /* until the task has begun */
void peer_gate_open(void);

#ifdef __cplusplus
}
#endif
#endif
