/* SPDX-License-Identifier: MIT
 *
 * For those who write scenarios: a scenario is a function that makes a small pool, does a little with it, checks what
 * came of it and leaves nothing behind. It is run many thousand times, each time under another schedule; README. */
#ifndef SCHED_SCENARIO_H
#define SCHED_SCENARIO_H

#include <stdbool.h>
#include <stddef.h>

struct sched_scenario {
	const char *name;                /* of one word */
	void (*run)(void);
};

/* Ends the run and prints the schedule. For all threads: there is only one at a time. */
#define SCHED_CHECK(condition) ((condition) ? (void)0 : sched_fail_at(__FILE__, __LINE__, #condition))
#define SCHED_EQUAL(a, b) sched_equal_at(__FILE__, __LINE__, #a " == " #b, (long long)(a), (long long)(b))
void sched_fail_at(const char *file, int line, const char *text);
void sched_equal_at(const char *file, int line, const char *text, long long a, long long b);

/* Threads of the scenario's own. */
struct sched_thread;
struct sched_thread *sched_spawn(const char *name, void (*run)(void *arg), void *arg);
void sched_join(struct sched_thread *thread);

/* One of 0 to n-1: the scenario's variants. */
unsigned sched_variant(unsigned n);

/* Lets others go on: in a loop that waits for them. */
void sched_pass(void);

/* A gate orders steps, but no memory: what one side wrote the other must not read because of it. */
struct sched_gate {
	bool open;
};
void sched_open(struct sched_gate *gate);
void sched_await(struct sched_gate *gate);

/* Counts calls, from any thread; the count itself is no matter of ordering. */
void sched_count(unsigned *count);

/* The next so many starts of threads are refused with EAGAIN. */
void sched_refuse_threads(unsigned count);

/* And so many barriers. */
void sched_refuse_barriers(unsigned count);

/* In place of malloc() and its kin, for code that the model is to watch. */
void *sched_alloc(size_t alignment, size_t size);
void *sched_zalloc(size_t size);
void sched_free(void *memory);

/* CPUs that the library believes in; 2 unless told. */
void sched_cpus(int cpus);

#endif
