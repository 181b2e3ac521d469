/* SPDX-License-Identifier: MIT
 *
 * In place of the library's park.c, thread.c, starter.c, memory.c, cpu.c, trace_file.c and process.c: the same functions,
 * under the scheduler. */
#ifndef MPP_SCHEDULER
#define MPP_SCHEDULER
#endif
#include "carrier.h"
#include "cpu.h"
#include "frame.h"
#include "memory.h"
#include "starter.h"
#include "sync.h"
#include "thread.h"
#include "trace_file.h"

#include "engine.h"

#include <stdio.h>
#include <sys/mman.h>

#define CODE __builtin_return_address(0)

/* Processes are no threads of the scheduler's. */
int mpp_carrier_find(unsigned kind, const struct mpp_carrier **ret_carrier)
{
	*ret_carrier = NULL;
	return kind == MPPOOL_THREADS ? 0 : ENOTSUP;
}

bool mpp_carrier_needs_sizes(void)
{
	return false;
}

static int cpus;
static unsigned refused_threads, refused_barriers;

/* ------------------------------------------------------------------------------------------------------ time, park */

int64_t mpp_now(void)
{
	return engine_now();
}

/* A system call: it sees the newest value, and orders no memory. */
int sched_park(const volatile void *word, uint32_t value, int64_t deadline, SCHED_SITE)
{
	struct sched_thread *self = sched_self;
	uint32_t found;

	engine_point("park", what, file, line);
	sched_assert_unlocked(what, file, line);
	found = model_newest32(word);
	if (found != value) {
		engine_note("no: {a}, not {b}", found, value);
		return 0;
	}
	if (choose_rarely()) {
		engine_note("for no time", 0, 0);
		return 0;
	}
	self->word = word;
	self->deadline = deadline;
	self->timed_out = false;
	self->state = PARKED;
	engine_wait("parked", what, file, line);
	engine_note(self->timed_out ? "timed out" : "woken", 0, 0);
	return self->timed_out ? ETIMEDOUT : 0;
}

static size_t sleepers_on(const volatile void *word, struct sched_thread *sleepers[])
{
	size_t n = 0;

	for (unsigned i = 0; i < engine_threads(); i++)
		if (engine_thread(i)->state == PARKED && engine_thread(i)->word == word)
			sleepers[n++] = engine_thread(i);
	return n;
}

void sched_wake(const volatile void *word, bool all, SCHED_SITE)
{
	struct sched_thread *sleepers[MAX_THREADS];
	size_t n, one;

	engine_point(all ? "wake_all" : "wake_one", what, file, line);
	n = sleepers_on(word, sleepers);
	one = !all && n > 1 ? choose_sleeper(n) : 0;
	for (size_t i = 0; i < n; i++)
		if (all || i == one)
			sleepers[i]->state = READY;
	engine_note("{a} there", n, 0);
}

void mpp_park_before_fork(void)
{
}

void mpp_park_after_fork(void)
{
}

void mpp_park_in_child(void)
{
}

void mpp_spin_setup(int n)
{
	(void)n;
}

void sched_relax(SCHED_SITE)
{
	engine_yield("relax", what, file, line);
}

bool sched_spin_more(int64_t *count, SCHED_SITE)
{
	engine_yield("spin", what, file, line);
	return ++*count < 4 && choose_rarely();
}

/* --------------------------------------------------------------------------------------------------------- threads */

int mpp_thread_start(const struct mpp_thread_options *options, void *(*run)(void *), void *arg)
{
	int error;

	(void)options;
	engine_point("start", "a thread", NULL, 0);
	if (refused_threads > 0) {
		refused_threads--;
		engine_note("refused", 0, 0);
		return EAGAIN;
	}
	return engine_start("?", run, arg, &error) ? 0 : error;
}

size_t mpp_thread_most(void)
{
	return SIZE_MAX;
}

int mpp_thread_exit_key(void)
{
	return 0;
}

int mpp_thread_insist(int (*start)(void *arg), void *arg)
{
	int error;

	while ((error = start(arg)) == EAGAIN || error == ENOMEM)
		engine_yield("insist", "a thread", NULL, 0);
	return error;
}

/* Threads here inherit nothing, so each starts others itself. */
int mpp_starter_new(const char *name, struct mpp_starter **ret_starter)
{
	(void)name;
	*ret_starter = NULL;
	return 0;
}

int mpp_starter_call(struct mpp_starter *starter, int (*start)(void *arg), void *arg)
{
	(void)starter;
	return start(arg);
}

void mpp_starter_free(struct mpp_starter *starter)
{
	(void)starter;
}

void mpp_starter_abandon(struct mpp_starter *starter)
{
	(void)starter;
}

void mpp_thread_join(pthread_t thread)
{
	struct sched_thread *t = engine_thread_of(thread);

	if (!t || t->state == JOINED)
		engine_fail("a thread is joined that there is not");
	engine_join(t);
}

void mpp_thread_name(const char *stem, const char *suffix)
{
	(void)stem;
	snprintf(sched_self->name, sizeof sched_self->name, "%u%s", sched_self->id, suffix);
}

void mpp_at_thread_exit(struct mpp_exit_hook *hook)
{
	if (hook->registered)
		return;
	hook->registered = true;
	hook->next = sched_self->hooks;
	sched_self->hooks = hook;
}

void standins_thread_ends(struct sched_thread *t)
{
	struct mpp_exit_hook *hook;

	while ((hook = t->hooks) != NULL) {
		t->hooks = hook->next;
		hook->registered = false;
		hook->run();
	}
	mpp_frame_top = NULL;            /* the system's thread goes on, without its thread-locals */
}

void sched_refuse_threads(unsigned count)
{
	refused_threads = count;
}

/* --------------------------------------------------------------------------------------------------------- barrier */

bool sched_barrier(SCHED_SITE)
{
	engine_point("barrier", what, file, line);
	if (refused_barriers > 0) {
		refused_barriers--;
		engine_note("refused", 0, 0);
		return false;
	}
	model_barrier();
	return true;
}

void sched_refuse_barriers(unsigned count)
{
	refused_barriers = count;
}

/* ------------------------------------------------------------------------------------------------------------ CPUs */

int mpp_cpu_quota(const char *cgroup, const char *root)
{
	(void)cgroup;
	(void)root;
	return INT_MAX;
}

int mpp_cpu_usable(void)
{
	return cpus;
}

int mpp_cpu_estimate(void)
{
	return cpus;
}

int mppool_cpu_count(void)
{
	return cpus;
}

void sched_cpus(int n)
{
	cpus = n;
}

/* ---------------------------------------------------------------------------------------------------------- memory */

/* Every block is cut from one piece of memory, with a head before it, and none is used twice before the schedule is
 * over. So an address means one thing throughout a schedule, and the same schedule has the same addresses each time:
 * the library may hash them. The piece lies where nothing else is, wherever the system has put the program. */
#define ARENA ((size_t)256 << 20)
#define ARENA_AT ((void *)(uintptr_t)0x500000000000)

static char *arena;
static size_t arena_used;

struct head {
	alignas(MPP_LINE) struct head *next, **link;
	size_t size;
	const void *code;                /* where it was asked for */
};

static struct head *live, *freed;

#define GARBAGE 0xa5             /* fresh memory */
#define POISON 0xdb              /* freed memory */

/* From the address sanitizer, which then sees accesses that the model is not told of. */
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#define hide(at, size) ASAN_POISON_MEMORY_REGION(at, size)
#define show(at, size) ASAN_UNPOISON_MEMORY_REGION(at, size)
#else
#define hide(at, size) ((void)(at), (void)(size))
#define show(at, size) ((void)(at), (void)(size))
#endif

static struct head *cut(size_t size, size_t alignment)
{
	size_t at = mpp_round_up(arena_used + sizeof(struct head), alignment);

	if (size > ARENA || at + size > ARENA)
		return NULL;
	arena_used = mpp_round_up(at + size, MPP_LINE);
	return (struct head *)(void *)(arena + at) - 1;
}

static void *block_new(size_t size, size_t alignment, int byte, const void *code)
{
	struct head *h = cut(size, alignment);

	if (!h)
		return NULL;
	show(h, sizeof *h + size);
	h->size = size;
	h->code = code;
	h->next = live;
	h->link = &live;
	if (live)
		live->link = &h->next;
	live = h;
	memset(h + 1, byte, size);
	model_fresh(h + 1, size);
	return h + 1;
}

static void block_free(void *memory, const void *code)
{
	struct head *h;

	if (!memory)
		return;
	h = (struct head *)memory - 1;
	model_freed(memory, h->size, code);
	memset(memory, POISON, h->size);
	*h->link = h->next;
	if (h->next)
		h->next->link = h->link;
	h->next = freed;
	freed = h;
	hide(memory, h->size);
}

static void *block_resize(void *memory, size_t size, const void *code)
{
	void *fresh = block_new(size, MPP_LINE, GARBAGE, code);
	size_t kept;

	if (fresh && memory) {
		kept = mpp_min(((struct head *)memory - 1)->size, size);
		model_read(memory, kept, code);
		memcpy(fresh, memory, kept);
		block_free(memory, code);
	}
	return fresh;
}

void *mpp_alloc(size_t size)
{
	return block_new(size, MPP_LINE, GARBAGE, CODE);
}

void *mpp_zalloc(size_t size)
{
	return block_new(size, MPP_LINE, 0, CODE);
}

void *mpp_alloc_aligned(size_t size)
{
	return block_new(size, MPP_LINE, 0, CODE);
}

void *mpp_realloc(void *memory, size_t size)
{
	return block_resize(memory, size, CODE);
}

void mpp_free(void *memory)
{
	block_free(memory, CODE);
}

void *mpp_block_alloc(size_t size)
{
	return block_new(size, MPP_LINE, GARBAGE, CODE);
}

void mpp_block_free(void *block, size_t size)
{
	(void)size;
	block_free(block, CODE);
}

void mpp_memory_before_fork(void)
{
}

void mpp_memory_after_fork(void)
{
}

void *sched_alloc(size_t alignment, size_t size)
{
	return block_new(size, alignment, GARBAGE, CODE);
}

void *sched_zalloc(size_t size)
{
	return block_new(size, MPP_LINE, 0, CODE);
}

void sched_free(void *memory)
{
	block_free(memory, CODE);
}

/* ----------------------------------------------------------------------------------------------------- trace files */

/* The one that there is; what is written is read, and goes nowhere. */
struct mpp_trace_file {
	size_t refs;
	uint64_t last_id;
};

static struct mpp_trace_file trace_file;

struct mpp_trace_file *mpp_trace_file_open(const char *path)
{
	(void)path;
	trace_file.refs++;
	return &trace_file;
}

void mpp_trace_file_close(struct mpp_trace_file *file)
{
	file->refs--;
}

void mpp_trace_file_write(struct mpp_trace_file *file, const char *bytes, size_t count)
{
	if (file->refs == 0)
		engine_fail("a trace is written that was closed");
	model_read(bytes, count, CODE);
}

uint64_t mpp_trace_file_new_id(struct mpp_trace_file *file)
{
	return ++file->last_id;
}

void mpp_trace_files_inherited(void)
{
}

const char *mpp_trace_file_from_environment(void)
{
	return NULL;
}

void mpp_trace_file_symbol(uintptr_t code, char *to, size_t size)
{
	(void)code;
	snprintf(to, size, "function");
}

void mpp_trace_file_thread_name(char *to, size_t size)
{
	snprintf(to, size, "thread");
}

uint64_t mpp_trace_file_thread_id(void)
{
	return sched_self ? (uint64_t)sched_self->id : 0;
}

/* --------------------------------------------------------------------------------------- from schedule to schedule */

void standins_begin(void)
{
	if (!arena)
		arena = mmap(ARENA_AT, ARENA, PROT_READ | PROT_WRITE,
		             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (arena == MAP_FAILED)
		engine_fail("no memory for the library");
	arena_used = 0;
	trace_file = (struct mpp_trace_file){0, 0};
	cpus = 2;
	refused_threads = refused_barriers = 0;
}

static void check_poison(const struct head *h)
{
	const unsigned char *bytes = (const unsigned char *)(h + 1);

	show(bytes, h->size);
	for (size_t i = 0; i < h->size; i++)
		if (bytes[i] != POISON) {
			engine_print_address("asked for by", h->code);
			engine_fail("freed memory was written to");
		}
}

void standins_end(void)
{
	struct head *h;

	if (live) {
		engine_print_address("asked for by", live->code);
		engine_fail("%zu bytes were never freed", live->size);
	}
	while ((h = freed) != NULL) {
		check_poison(h);
		freed = h->next;
	}
}
