/* SPDX-License-Identifier: MIT
 *
 * Threads and turns. Threads of the schedule are threads of the system, of which one runs at a time: whoever has the
 * turn does all that is to be done here, and passes the turn on at its next step. So nothing here needs a lock. */
#include "engine.h"

#include <errno.h>
#include <inttypes.h>
#include <link.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STACK ((size_t)256 << 10)
#define SHOWN 400                /* steps of a failed schedule that are printed, the last ones */
#define UNFAIR 400               /* steps that one thread may take while others could */

_Thread_local struct sched_thread *sched_self;

static struct sched_thread threads[MAX_THREADS];
static unsigned nthreads;
static sem_t driver;             /* the schedule is over */
static int64_t now;
static size_t in_a_row;          /* steps */

struct step {
	const struct sched_thread *thread;
	const char *op, *what, *file, *text;
	int line;
	uint64_t a, b;
};
static struct step trace[MAX_STEPS];
static size_t nsteps;

/* ------------------------------------------------------------------------------------------------------- reporting */

static void print_text(const struct step *s)
{
	for (const char *c = s->text; c && *c; c++)
		if (strncmp(c, "{a}", 3) == 0 || strncmp(c, "{b}", 3) == 0) {
			printf("%" PRIx64, c[1] == 'a' ? s->a : s->b);
			c += 2;
		} else {
			putchar(*c);
		}
}

static const char *base_name(const char *file)
{
	const char *slash = file ? strrchr(file, '/') : NULL;

	return slash ? slash + 1 : file ? file : "-";
}

static void print_step(size_t i)
{
	const struct step *s = &trace[i];
	char place[64];

	snprintf(place, sizeof place, "%s:%d", base_name(s->file), s->line);
	printf("# %5zu  %-12s %-22s %-8s %s  ", i, s->thread->name, place, s->op, s->what);
	print_text(s);
	putchar('\n');
}

static void print_threads(void)
{
	static const char *const states[] = {"ready", "parked", "waits for the lock", "joins", "waits at a gate",
	                                     "ended, not joined", "ended"};

	for (unsigned i = 0; i < nthreads; i++) {
		const struct sched_thread *t = &threads[i];

		printf("# thread %2u %-12s %s: %s %s (%s:%d)%s\n", i, t->name, states[t->state], t->op ? t->op : "",
		       t->what ? t->what : "", base_name(t->file), t->line, t == sched_self ? "  <- here" : "");
	}
}

void engine_print_schedule(void)
{
	for (size_t i = 0; i < nsteps; i++)
		print_step(i);
}

void engine_fail(const char *format, ...)
{
	char how[4096];
	va_list args;

	choose_describe(how, sizeof how);
	printf("# FAILED: ");
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n# again: %s\n", how);
	print_threads();
	printf("# the schedule%s:\n", nsteps > SHOWN ? ", its last steps" : "");
	for (size_t i = nsteps > SHOWN ? nsteps - SHOWN : 0; i < nsteps; i++)
		print_step(i);
	fflush(stdout);
	_exit(1);
}

static int first_object(struct dl_phdr_info *info, size_t size, void *ret_base)
{
	(void)size;
	*(uintptr_t *)ret_base = info->dlpi_addr;
	return 1;
}

/* Code to file and line, where addr2line is installed. */
void engine_print_address(const char *label, const void *code)
{
	uintptr_t base = 0;
	char command[256], line[512] = "";
	FILE *pipe;

	dl_iterate_phdr(first_object, &base);
	snprintf(command, sizeof command, "addr2line -i -e /proc/%d/exe 0x%" PRIxPTR " 2>/dev/null", (int)getpid(),
	         (uintptr_t)code - base - 1);
	printf("# %s: code at 0x%" PRIxPTR, label, (uintptr_t)code - base);
	pipe = popen(command, "r");
	while (pipe && fgets(line, sizeof line, pipe)) {
		line[strcspn(line, "\n")] = '\0';
		printf(" %s", base_name(line));
	}
	if (pipe)
		pclose(pipe);
	putchar('\n');
}

/* ----------------------------------------------------------------------------------------------------------- turns */

static bool can_run(const struct sched_thread *t)
{
	switch (t->state) {
	case READY:
		return true;
	case LOCKING:
		return model_lock_is_free(t->word);
	case JOINING:
		return t->other->state == ENDED;
	case GATED:
		return ((const volatile struct sched_gate *)t->word)->open;
	default:
		return false;
	}
}

static bool has_deadline(const struct sched_thread *t)
{
	return t->state == PARKED && t->deadline != INT64_MAX;
}

/* Time goes on to this deadline, and past those before it. */
static void expire(int64_t deadline)
{
	if (now < deadline)
		now = deadline;
	for (unsigned i = 0; i < nthreads; i++)
		if (has_deadline(&threads[i]) && threads[i].deadline <= now) {
			threads[i].timed_out = true;
			threads[i].state = READY;
		}
}

/* In the order in which they follow this thread; it comes first if it is to `keep` the turn, or else last. */
static size_t list_ready(struct sched_thread *options[], bool keep)
{
	unsigned from = sched_self->id;
	size_t n = 0;

	for (unsigned i = keep ? 0 : 1; i < nthreads + (keep ? 0 : 1); i++)
		if (can_run(&threads[(from + i) % nthreads]))
			options[n++] = &threads[(from + i) % nthreads];
	return n;
}

/* The earliest deadline first. */
static size_t list_timers(struct sched_thread *options[])
{
	size_t n = 0;

	for (unsigned i = 0; i < nthreads; i++)
		if (has_deadline(&threads[i])) {
			options[n++] = &threads[i];
			if (threads[i].deadline < options[0]->deadline) {
				options[n - 1] = options[0];
				options[0] = &threads[i];
			}
		}
	return n;
}

static bool all_ended(void)
{
	for (unsigned i = 0; i < nthreads; i++)
		if (threads[i].state < ENDED)
			return false;
	return true;
}

/* Who goes on; NULL: the schedule is over. */
static struct sched_thread *pick(bool yields)
{
	struct sched_thread *options[2 * MAX_THREADS], *next;
	bool keep = !yields && can_run(sched_self);
	size_t nready = list_ready(options, keep), n = nready + list_timers(options + nready), i;

	if (n == 0 && all_ended())
		return NULL;
	if (n == 0)
		engine_fail("deadlock: no thread can go on");
	if (keep && ++in_a_row > UNFAIR && nready > 1) {
		options[0] = options[--nready];
		options[nready] = options[--n];
		keep = false;
	}
	i = nready == 0 ? 0 : choose_thread(options, nready, n, keep);
	next = options[i];
	if (i >= nready)
		expire(next->deadline);
	if (next != sched_self)
		in_a_row = 0;
	return next;
}

static void wait_turn(struct sched_thread *t)
{
	while (sem_wait(&t->turn) != 0)
		;
}

static void take_turns(bool yields)
{
	struct sched_thread *self = sched_self, *next = pick(yields);

	if (next == self)
		return;
	sem_post(&next->turn);
	wait_turn(self);
}

static void record(const struct sched_thread *t)
{
	if (nsteps == MAX_STEPS)
		engine_fail("no progress: %d steps", MAX_STEPS);
	trace[nsteps++] = (struct step){t, t->op, t->what, t->file, "", t->line, 0, 0};
}

static void stand(const char *op, SCHED_SITE)
{
	sched_self->op = op;
	sched_self->what = what;
	sched_self->file = file;
	sched_self->line = line;
}

void engine_point(const char *op, SCHED_SITE)
{
	stand(op, what, file, line);
	take_turns(false);
	record(sched_self);
}

void engine_yield(const char *op, SCHED_SITE)
{
	stand(op, what, file, line);
	take_turns(true);
	record(sched_self);
}

void engine_wait(const char *op, SCHED_SITE)
{
	stand(op, what, file, line);
	take_turns(false);
	sched_self->state = READY;
	record(sched_self);
}

void engine_note(const char *text, uint64_t a, uint64_t b)
{
	trace[nsteps - 1].text = text;
	trace[nsteps - 1].a = a;
	trace[nsteps - 1].b = b;
}

int64_t engine_now(void)
{
	now += choose_delay();
	return now;
}

size_t engine_steps(void)
{
	return nsteps;
}

/* --------------------------------------------------------------------------------------------------------- threads */

struct sched_thread *engine_thread(unsigned id)
{
	return &threads[id];
}

unsigned engine_threads(void)
{
	return nthreads;
}

struct sched_thread *engine_thread_of(pthread_t carrier)
{
	for (unsigned i = 0; i < nthreads; i++)
		if (pthread_equal(threads[i].carrier, carrier))
			return &threads[i];
	return NULL;
}

static void end(struct sched_thread *t)
{
	struct sched_thread *next;

	standins_thread_ends(t);
	stand("end", "", NULL, 0);
	if (t->locks > 0)
		engine_fail("thread %s ends and holds a lock", t->name);
	record(t);
	t->state = ENDED;
	next = pick(true);
	sem_post(next ? &next->turn : &driver);
}

/* The thread leaves its carrier by pthread_exit(). */
static void carrier_lost(void *arg)
{
	struct sched_thread *t = arg;

	t->carrier_gone = true;
	end(t);
}

static void *carry(void *arg)
{
	struct sched_thread *t = arg;

	sched_self = t;
	pthread_cleanup_push(carrier_lost, t);
	for (;;) {
		wait_turn(t);
		t->run(t->arg);
		end(t);
	}
	pthread_cleanup_pop(0);
	return NULL;
}

static int make_carrier(struct sched_thread *t)
{
	pthread_attr_t attr;
	int error;

	if (t->carried && t->carrier_gone)
		pthread_join(t->carrier, NULL);
	else if (!t->carried)
		sem_init(&t->turn, 0, 0);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK);
	error = pthread_create(&t->carrier, &attr, carry, t);
	pthread_attr_destroy(&attr);
	t->carried = error == 0;
	t->carrier_gone = false;
	return error;
}

/* The new thread's first turn comes when it is chosen. */
struct sched_thread *engine_start(const char *name, void *(*run)(void *), void *arg, int *ret_error)
{
	struct sched_thread *t = &threads[nthreads];

	if (nthreads == MAX_THREADS)
		engine_fail("more than %d threads in one schedule", MAX_THREADS);
	*ret_error = !t->carried || t->carrier_gone ? make_carrier(t) : 0;
	if (*ret_error)
		return NULL;
	t->id = nthreads;
	snprintf(t->name, sizeof t->name, "%s", name);
	t->state = READY;
	t->op = "start";
	t->what = t->file = NULL;
	t->run = run;
	t->arg = arg;
	t->hooks = NULL;
	t->locks = 0;
	t->timed_out = false;
	model_start(t);
	choose_started(t->id);
	nthreads++;
	return t;
}

void engine_join(struct sched_thread *t)
{
	sched_self->other = t;
	sched_self->state = JOINING;
	engine_wait("join", t->name, NULL, 0);
	t->state = JOINED;
	model_learn(t);
}

static void *run_scenario(void *arg)
{
	void (*run)(void) = *(void (**)(void))arg;

	run();
	return NULL;
}

void engine_run(void (*run)(void))
{
	static bool ready;
	int error;

	if (!ready)
		sem_init(&driver, 0, 0);
	ready = true;
	nthreads = 0;
	nsteps = 0;
	in_a_row = 0;
	now = 1000000000;
	choose_begin();
	model_reset();
	standins_begin();
	if (!engine_start("main", run_scenario, &run, &error))
		engine_fail("no thread: %s", strerror(error));
	sem_post(&threads[0].turn);
	while (sem_wait(&driver) != 0)
		;
	for (unsigned i = 1; i < nthreads; i++)
		if (threads[i].state != JOINED)
			engine_fail("thread %s was never joined", threads[i].name);
	standins_end();
}

/* --------------------------------------------------------------------------------------------------- for scenarios */

void sched_fail_at(const char *file, int line, const char *text)
{
	engine_fail("%s:%d: not so: %s", base_name(file), line, text);
}

void sched_equal_at(const char *file, int line, const char *text, long long a, long long b)
{
	if (a != b)
		engine_fail("%s:%d: not so: %s: %lld, %lld", base_name(file), line, text, a, b);
}

struct spawned {
	void (*run)(void *arg);
	void *arg;
};
static struct spawned spawned[MAX_THREADS];

static void *run_spawned(void *arg)
{
	struct spawned *s = arg;

	s->run(s->arg);
	return NULL;
}

struct sched_thread *sched_spawn(const char *name, void (*run)(void *arg), void *arg)
{
	struct sched_thread *t;
	int error;

	engine_point("spawn", name, NULL, 0);
	spawned[nthreads % MAX_THREADS] = (struct spawned){run, arg};
	t = engine_start(name, run_spawned, &spawned[nthreads % MAX_THREADS], &error);
	if (!t)
		engine_fail("no thread: %s", strerror(error));
	return t;
}

void sched_join(struct sched_thread *thread)
{
	engine_join(thread);
}

unsigned sched_variant(unsigned n)
{
	return (unsigned)choose_variant(n);
}

void sched_pass(void)
{
	engine_yield("pass", "", NULL, 0);
}

void sched_open(struct sched_gate *gate)
{
	engine_point("open", "a gate", NULL, 0);
	gate->open = true;
}

void sched_await(struct sched_gate *gate)
{
	sched_self->word = gate;
	sched_self->state = GATED;
	engine_wait("await", "a gate", NULL, 0);
}

void sched_count(unsigned *count)
{
	++*count;
}
