/* queue.h - all works, for pools of the kind that takes a function and an argument and gives nothing back
 *
 * SPDX-License-Identifier: MIT */
#ifndef BENCH_QUEUE_H
#define BENCH_QUEUE_H

#include "peer.h"

struct queue_peer {
	const char *name;
	void *(*create)(int workers, void (*run)(void *item));   /* the pool calls run for every item pushed */
	void (*push)(void *pool, void *item);
	void (*destroy)(void *pool);
	bool destroy_waits;      /* for all that was pushed; otherwise tasks are counted, and waited for before */
	long most;               /* items that can be outstanding in reasonable time; 0: any number */
};

int queue_main(int argc, char **argv, const struct queue_peer *peer);

#endif
