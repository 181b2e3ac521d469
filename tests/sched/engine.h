/* SPDX-License-Identifier: MIT
 *
 * The inside of the scheduler: engine.c (threads and turns), model.c (memory), choose.c (who and what comes next),
 * standins.c (in place of the library's park.c, thread.c, memory.c, cpu.c), main.c. */
#ifndef SCHED_ENGINE_H
#define SCHED_ENGINE_H

#ifdef HAVE_CONFIG_H
#include <config.h>
#endif

#include "scenario.h"
#include "sched_sync.h"

#include <pthread.h>
#include <semaphore.h>

#ifdef __has_feature             /* clang's way of saying it */
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__ 1
#endif
#endif

#define MAX_THREADS 16           /* of one schedule; thread numbers have four bits in an epoch */
#define MAX_STEPS 20000          /* a schedule that takes more makes no progress */

enum sched_state {
	READY,
	PARKED,                  /* on `word`, until a wake or the deadline */
	LOCKING,                 /* runs when the lock at `word` is free */
	JOINING,                 /* runs when `other` has ended */
	GATED,                   /* runs when the gate at `word` is open */
	ENDED,
	JOINED
};

/* A thread of the schedule. Who has the turn may touch all of them. */
struct sched_thread {
	unsigned id;
	char name[20];
	enum sched_state state;
	const volatile void *word;
	struct sched_thread *other;
	int64_t deadline;
	bool timed_out;
	const char *op, *what, *file;    /* the step at hand */
	int line;
	void *(*run)(void *arg);
	void *arg;
	struct mpp_exit_hook *hooks;
	unsigned locks;                  /* held */
	unsigned rank[8];                /* theirs */
	uint32_t clock[MAX_THREADS];     /* what this thread knows of: it has seen thread i up to clock[i] */
	/* The thread of the system that carries it; kept from schedule to schedule. */
	pthread_t carrier;
	bool carried, carrier_gone;
	sem_t turn;
};

/* The thread that runs here; NULL: none of the schedule's. */
extern _Thread_local struct sched_thread *sched_self;

/* ---------------------------------------------------------------------------------------------------------- engine */

/* One schedule, from the beginning to the end. Does not return if something is wrong. */
void engine_run(void (*run)(void));
size_t engine_steps(void);

/* A step is about to be taken: gives the turn to whoever the strategy chooses, and returns when it is ours again. */
void engine_point(const char *op, SCHED_SITE);
void engine_yield(const char *op, SCHED_SITE);   /* others first */
void engine_wait(const char *op, SCHED_SITE);    /* this thread's state was set to one that waits */
void engine_note(const char *text, uint64_t a, uint64_t b);      /* what came of the step; text has {a} and {b} */

struct sched_thread *engine_start(const char *name, void *(*run)(void *), void *arg, int *ret_error);
void engine_join(struct sched_thread *thread);
struct sched_thread *engine_thread_of(pthread_t carrier);
struct sched_thread *engine_thread(unsigned id);
unsigned engine_threads(void);
int64_t engine_now(void);

/* Prints what is wrong, the threads and the schedule, and ends the process. */
void engine_fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
void engine_print_schedule(void);
void engine_print_address(const char *label, const void *code);

/* ----------------------------------------------------------------------------------------------------------- model */

void model_reset(void);
void model_start(struct sched_thread *child);    /* the child knows what this thread knows */
void model_learn(const struct sched_thread *from);
bool model_lock_is_free(const volatile void *lock);
void model_barrier(void);                        /* by this thread */
uint32_t model_newest32(const volatile void *word);      /* what a system call sees */
void model_fresh(const void *at, size_t size);           /* memory that nobody has seen */
void model_freed(const void *at, size_t size, const void *code);
void model_read(const void *at, size_t size, const void *code);
void model_write(const void *at, size_t size, const void *code);

/* ---------------------------------------------------------------------------------------------------------- choose */

/* Strategies. Seeded: every choice comes from the seed, which also sets the habits of the schedule. Systematic: one by
 * one all schedules that depart at most `bound` times from the ordinary course, in which a thread keeps its turn while
 * it can and loads are fresh. */
void choose_seeded(uint64_t seed);
void choose_systematic(unsigned bound);          /* the first one */
bool choose_next(void);                          /* the next one; false: that was all */
bool choose_departures(const char *list);        /* this one: "place:choice,..." */

void choose_begin(void);                         /* of a schedule */
size_t choose_thread(struct sched_thread *const options[], size_t nready, size_t n, bool keep);
void choose_started(unsigned id);
size_t choose_value(size_t n, unsigned lag);     /* 0: the newest. lag: older ones that were read just before */
size_t choose_sleeper(size_t n);
size_t choose_variant(size_t n);
bool choose_rarely(void);                        /* a spurious wake-up, one more look */
int64_t choose_delay(void);                      /* time that passes by itself */
void choose_describe(char *text, size_t size);   /* how to come here again: an argument of the program */

/* -------------------------------------------------------------------------------------------------------- standins */

void standins_begin(void);
void standins_end(void);                         /* leaks */
void standins_thread_ends(struct sched_thread *thread);

#endif
