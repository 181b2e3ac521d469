/* SPDX-License-Identifier: MIT
 *
 * All scenarios, and what several of them use. */
#ifndef SCHED_SCENARIOS_H
#define SCHED_SCENARIOS_H

#include "scenario.h"

#include <mppool.h>

/* Each list ends with a name of NULL. */
#define SCHED_SCENARIOS                                                                                               \
	sched_parts, sched_blocks, sched_singles, sched_stops, sched_workers, sched_maps, sched_streams,              \
		sched_callbacks, sched_groups, sched_watches, sched_resize, sched_stats

extern const struct sched_scenario sched_parts[], sched_blocks[], sched_singles[], sched_stops[], sched_workers[],
	sched_maps[], sched_streams[], sched_callbacks[], sched_groups[], sched_watches[], sched_resize[],
	sched_stats[];

/* ----------------------------------------------------------------------------------------------------------- pools */

mppool *make_pool(const struct mppool_options *options);
#define POOL(...) make_pool(MPPOOL_OPTIONS(__VA_ARGS__))

/* The pool comes to its end: in all variants of doing so that leave what was accepted to be finished, or in all. */
void finish_pool(mppool *pool);
void end_pool(mppool *pool);

/* Initializers and finalizers that count; so many initializers work, and later ones fail with EDOM. A worker's state is
 * the initarg. */
extern struct staff {
	unsigned initialized, finalized, works;
} staff;
void staff_begin(unsigned works);
int staff_initialize(void *arg, void **ret_state);
void staff_finalize(void *arg, void *state);

/* ----------------------------------------------------------------------------------------------------------- calls */

/* A function and what became of its calls. */
struct calls {
	struct mppool_func func;
	unsigned runs, fails, args, results, releases, finishes, callbacks;
	unsigned accepted, items;        /* for the scenario to count: calls, and their items */
	unsigned taken;                  /* and results that it took */
	bool lost;                       /* an item never returned */
};

/* The function gives twice an int as a long, and fails with EDOM for FAILING, by its value. Every hook counts. */
#define FAILING 13
void calls_begin(struct calls *calls);

/* Every hook was called as often as it should have been. The pool is gone, and so are all handles. */
void calls_check(const struct calls *calls);

/* Submits one item, which must be accepted. */
mppool_result *submit(mppool *pool, struct calls *calls, int x, const struct mppool_call_options *options);

/* Waits for its result, which must be right, takes it and frees the handle. */
void take(struct calls *calls, mppool_result *result, int x);

/* 0 and the result is taken, or one of these codes. Frees the handle. Returns what it was. */
int take_or(struct calls *calls, mppool_result *result, int x, int code, int other_code);

/* Generates so many ints from 0 on, and counts. */
struct counter {
	unsigned next, length;
	int fails_at;                    /* with EDOM at this item; negative: never */
	struct calls *calls;
};
struct mppool_iterable counting(struct counter *counter);

#endif
