/* SPDX-License-Identifier: MIT
 *
 * Memory as C11 has it. Steps are taken one after the other, but a load need not see the newest store, and no thread
 * knows what another wrote because of its mere coming later.
 *
 * Clocks. Thread i counts its releases in clock[i] of its own; clock[j] there is how far it knows of thread j, because
 * of an acquire, a lock, a start or a join. An epoch is a thread and its count: it happened before whoever's clock has
 * reached it. Counts grow on from schedule to schedule, so what an earlier one left behind happened before everything.
 *
 * Atomics. Each keeps its last stores, in the order in which they were made. A load may return any but those that it
 * knows to be superseded: by a store that happened before it, by what was read before it, or, if it is sequentially
 * consistent, by the last sequentially consistent store or load of that word. Read-modify-writes read the newest.
 * There are no load buffering and no values out of thin air, and stores are never put in between older ones.
 *
 * Plain memory. The compiler reports each access (as it does to the thread sanitizer, whose place is taken here); each
 * byte remembers its last write and two last reads. Two accesses, one of them a write, of which neither happened
 * before the other are a race, whatever came of it here; so is an atomic access beside a plain one. Freed memory is
 * written for good. Since races are errors, plain accesses need no steps of their own. */
#include "engine.h"

#include <stdlib.h>
#include <string.h>

/* With the address sanitizer the compiler does not report, and only memcpy() and its kin are seen. That is too little
 * to judge by, and parts of the stacks are elsewhere, those of several threads in one place, one after the other. */
#ifdef __SANITIZE_ADDRESS__
static const bool all_reported = false;
#else
static const bool all_reported = true;
#endif

#define HISTORY 8
#define CLOCK_BITS 28
#define CLOCK_MASK (((uint32_t)1 << CLOCK_BITS) - 1)
#define FREED UINT32_MAX         /* an epoch that nobody reaches: the last thread's clock never gets there */

struct store {
	uint64_t value;
	uint32_t epoch;                  /* 0: was there from the start */
	bool releases;                   /* `clock` is what an acquire learns */
	uint32_t clock[MAX_THREADS];
	uint32_t seen[MAX_THREADS];      /* when each thread first read it; 0: not yet */
};

struct location {
	uintptr_t at;
	size_t size;
	size_t nstores;                  /* so many were made; the last HISTORY are kept; 0: the value is in memory */
	size_t seq_floor;                /* the last store that a sequentially consistent access made or read */
	size_t floor[MAX_THREADS];       /* the last store that a barrier showed to each thread */
	struct store history[HISTORY];
	uint32_t read[MAX_THREADS], written[MAX_THREADS];        /* the last atomic access of each thread */
	unsigned lag[MAX_THREADS];       /* so many older values it has read in a row */
	struct sched_thread *holder;     /* of a lock */
	uint32_t lock_clock[MAX_THREADS];
};

static uint32_t base;            /* all counts of earlier schedules are below */

/* ---------------------------------------------------------------------------------------------------------- clocks */

static uint32_t epoch_of(const struct sched_thread *t)
{
	return (uint32_t)t->id << CLOCK_BITS | t->clock[t->id];
}

static bool knows(const struct sched_thread *t, uint32_t epoch)
{
	return (epoch & CLOCK_MASK) <= t->clock[epoch >> CLOCK_BITS];
}

static void learn(uint32_t *clock, const uint32_t *from)
{
	for (size_t i = 0; i < MAX_THREADS; i++)
		if (clock[i] < from[i])
			clock[i] = from[i];
}

/* What the thread does from now on comes after what it has just published. */
static void tick(struct sched_thread *t)
{
	t->clock[t->id]++;
}

/* --------------------------------------------------------------------------------------- the bytes of plain memory */

#define PAGE 4096
#define PAGES 8192               /* a power of two */

struct page {
	uintptr_t number;
	uint32_t write[PAGE], read[PAGE], other[PAGE];   /* epochs; `other`: a read without order to `read` */
	uint32_t write_code[PAGE], read_code[PAGE];      /* distance from this program's code */
	uint8_t atomic[PAGE];                            /* a location covers it */
};

static struct page *pages[PAGES];
static size_t npages;

static const char *const code_base = "";

static uint32_t code_distance(const void *code)
{
	return (uint32_t)((uintptr_t)code - (uintptr_t)code_base);
}

static const void *code_at(uint32_t distance)
{
	return (const char *)(uintptr_t)((uintptr_t)code_base + (uintptr_t)(intptr_t)(int32_t)distance);
}

static struct page *page_of(uintptr_t at)
{
	static struct page *last;
	uintptr_t number = at / PAGE;
	size_t i = number * 0x9e3779b97f4a7c15u >> 51;

	if (last && last->number == number)
		return last;
	for (i %= PAGES; pages[i] && pages[i]->number != number; i = (i + 1) % PAGES)
		;
	if (!pages[i]) {
		if (++npages > PAGES / 2)
			engine_fail("too many pages of memory for the model");
		pages[i] = calloc(1, sizeof *pages[i]);
		if (!pages[i])
			engine_fail("no memory for the model");
		pages[i]->number = number;
	}
	return last = pages[i];
}

static void forget_pages(void)
{
	for (size_t i = 0; i < PAGES; i++)
		if (pages[i]) {
			memset(pages[i]->write, 0, sizeof pages[i]->write);
			memset(pages[i]->read, 0, sizeof pages[i]->read);
			memset(pages[i]->other, 0, sizeof pages[i]->other);
		}
}

static void race(const char *what, const void *code, uint32_t other, uint32_t other_code, const char *other_what)
{
	if (code)
		engine_print_address(what, code);
	if (other == FREED)
		engine_print_address("freed by", code_at(other_code));
	else if (other_what && other_code)
		engine_print_address(other_what, code_at(other_code));
	if (other == FREED)
		engine_fail("%s of memory that was freed", what);
	engine_fail("data race: %s by %s, and %s by %s without order", what, sched_self->name,
	            other_what ? other_what : "an atomic access", engine_thread(other >> CLOCK_BITS)->name);
}

/* ------------------------------------------------------------------------------------------------------- locations */

#define LOCATIONS 4096           /* a power of two */

static struct location *locations[LOCATIONS], *used[LOCATIONS / 2];
static size_t nused, nmade;

static struct location **find(uintptr_t at)
{
	size_t i = (at >> 2) * 0x9e3779b97f4a7c15u >> 52;

	for (i %= LOCATIONS; locations[i] && locations[i]->at != at; i = (i + 1) % LOCATIONS)
		;
	return &locations[i];
}

static void forget_stores(struct location *l)
{
	l->nstores = l->seq_floor = 0;
	memset(l->floor, 0, sizeof l->floor);
}

static void set_atomic(const struct location *l, uint8_t atomic)
{
	for (uintptr_t at = l->at; at < l->at + l->size; at++)
		page_of(at)->atomic[at % PAGE] = atomic;
}

static struct location *location_of(const volatile void *at, size_t size)
{
	struct location **place = find((uintptr_t)at), *l = *place;

	if (l)
		return l;
	if (nused == LOCATIONS / 2)
		engine_fail("too many atomics for the model");
	if (nused == nmade) {
		used[nmade++] = malloc(sizeof *l);
		if (!used[nused])
			engine_fail("no memory for the model");
	}
	l = *place = used[nused++];
	memset(l, 0, sizeof *l);
	l->at = (uintptr_t)at;
	l->size = size;
	set_atomic(l, 1);
	return l;
}

/* Not ordered against a plain access of the same memory? */
static void check_plain(const struct location *l, bool writes)
{
	const struct page *p = page_of(l->at);
	size_t i = l->at % PAGE;

	if (!knows(sched_self, p->write[i]))
		race(writes ? "atomic write" : "atomic read", NULL, p->write[i], p->write_code[i], "plain write");
	if (writes && !knows(sched_self, p->read[i]))
		race("atomic write", NULL, p->read[i], p->read_code[i], "plain read");
}

static void touch(struct location *l, bool writes)
{
	check_plain(l, writes);
	(writes ? l->written : l->read)[sched_self->id] = sched_self->clock[sched_self->id];
}

/* A plain access where there are atomics. A write makes them anew. */
static void check_atomic(uintptr_t at, bool writes, const void *code)
{
	const struct sched_thread *t = sched_self;
	struct location *l = NULL;

	for (uintptr_t from = at; !l && from + 8 > at; from--)   /* the location that covers the byte */
		l = *find(from);
	if (!l || at >= l->at + l->size)
		return;
	for (uint32_t i = 0; i < MAX_THREADS && all_reported; i++) {
		uint32_t late = writes && l->read[i] > l->written[i] ? l->read[i] : l->written[i];

		if (late > t->clock[i])
			race(writes ? "plain write" : "plain read", code, i << CLOCK_BITS | late, 0, NULL);
	}
	if (writes && l->holder)
		engine_fail("a lock is overwritten or freed while %s holds it", l->holder->name);
	if (writes)
		forget_stores(l);
}

/* -------------------------------------------------------------------------------------------------- plain accesses */

static void read_byte(struct page *p, size_t i, const void *code)
{
	const struct sched_thread *t = sched_self;
	uint32_t me = epoch_of(t);

	if (p->read[i] == me || !all_reported)
		return;
	if (!knows(t, p->write[i]))
		race("plain read", code, p->write[i], p->write_code[i], "plain write");
	if (p->atomic[i])
		check_atomic(p->number * PAGE + i, false, code);
	if (!knows(t, p->read[i]))
		p->other[i] = p->read[i];
	p->read[i] = me;
	p->read_code[i] = code_distance(code);
}

/* Ordered after all that was done there? */
static void check_write(const struct page *p, size_t i, const void *code)
{
	const struct sched_thread *t = sched_self;

	if (!knows(t, p->write[i]))
		race("plain write", code, p->write[i], p->write_code[i], "plain write");
	if (p->read[i] && !knows(t, p->read[i]))
		race("plain write", code, p->read[i], p->read_code[i], "plain read");
	if (p->other[i] && !knows(t, p->other[i]))
		race("plain write", code, p->other[i], 0, "plain read");
}

static void write_byte(struct page *p, size_t i, const void *code)
{
	const struct sched_thread *t = sched_self;
	uint32_t me = epoch_of(t);

	if (p->write[i] == me && !p->read[i] && !p->atomic[i])
		return;
	if (all_reported)
		check_write(p, i, code);
	if (p->atomic[i])
		check_atomic(p->number * PAGE + i, true, code);
	if (!all_reported)
		return;
	p->write[i] = me;
	p->read[i] = p->other[i] = 0;
	p->write_code[i] = code_distance(code);
}

/* The part of [at, end) that lies in one page: its page, first byte and end. */
static struct page *part_of(uintptr_t at, uintptr_t end, size_t *ret_from, size_t *ret_to)
{
	*ret_from = at % PAGE;
	*ret_to = end - at < PAGE - *ret_from ? *ret_from + (end - at) : PAGE;
	return page_of(at);
}

void model_read(const void *memory, size_t size, const void *code)
{
	uintptr_t at = (uintptr_t)memory, end = at + size;
	size_t i, to;

	for (; sched_self && at < end; at = at / PAGE * PAGE + to) {
		struct page *p = part_of(at, end, &i, &to);

		for (; i < to; i++)
			read_byte(p, i, code);
	}
}

void model_write(const void *memory, size_t size, const void *code)
{
	uintptr_t at = (uintptr_t)memory, end = at + size;
	size_t i, to;

	for (; sched_self && at < end; at = at / PAGE * PAGE + to) {
		struct page *p = part_of(at, end, &i, &to);

		for (; i < to; i++)
			write_byte(p, i, code);
	}
}

void model_fresh(const void *memory, size_t size)
{
	uintptr_t at = (uintptr_t)memory, end = at + size;
	size_t i, to;

	for (; at < end; at = at / PAGE * PAGE + to) {
		struct page *p = part_of(at, end, &i, &to);

		memset(&p->write[i], 0, (to - i) * sizeof p->write[0]);
		memset(&p->read[i], 0, (to - i) * sizeof p->read[0]);
		memset(&p->other[i], 0, (to - i) * sizeof p->other[0]);
	}
}

void model_freed(const void *memory, size_t size, const void *code)
{
	uintptr_t at = (uintptr_t)memory, end = at + size;
	size_t i, to;

	model_write(memory, size, code);
	for (; at < end; at = at / PAGE * PAGE + to) {
		struct page *p = part_of(at, end, &i, &to);

		for (; i < to; i++)
			p->write[i] = FREED;
	}
}

/* --------------------------------------------------------------------------------------------------------- atomics */

static uint64_t memory_value(const struct location *l)
{
	uint64_t value = 0;

	switch (l->size) {
	case 1:
		return *(const volatile uint8_t *)l->at;
	case 2:
		return *(const volatile uint16_t *)l->at;
	case 4:
		return *(const volatile uint32_t *)l->at;
	default:
		memcpy(&value, (const void *)l->at, 8);
		return value;
	}
}

static uint64_t cut(uint64_t value, size_t size)
{
	return size == 8 ? value : value & (((uint64_t)1 << 8 * size) - 1);
}

static struct store *store_at(struct location *l, size_t i)
{
	return &l->history[i % HISTORY];
}

static struct store *append(struct location *l, uint64_t value)
{
	struct store *s = store_at(l, l->nstores++);

	s->value = cut(value, l->size);
	s->epoch = 0;
	s->releases = false;
	memset(s->seen, 0, sizeof s->seen);
	return s;
}

/* What is there was stored before this schedule, or by a plain write. */
static void begin_history(struct location *l)
{
	if (l->nstores > 0 && store_at(l, l->nstores - 1)->value == memory_value(l))
		return;
	forget_stores(l);
	append(l, memory_value(l));
}

static bool is_superseding(const struct store *s)
{
	if (knows(sched_self, s->epoch))
		return true;
	for (size_t i = 0; i < MAX_THREADS; i++)
		if (s->seen[i] && s->seen[i] <= sched_self->clock[i])
			return true;
	return false;
}

/* How many of the last stores this thread may read. */
static size_t readable(struct location *l, bool seq)
{
	size_t i = l->nstores - 1, oldest = l->nstores > HISTORY ? l->nstores - HISTORY : 0;

	if (seq && oldest < l->seq_floor)
		oldest = l->seq_floor;
	if (oldest < l->floor[sched_self->id])
		oldest = l->floor[sched_self->id];
	while (i > oldest && !is_superseding(store_at(l, i)))
		i--;
	return l->nstores - i;
}

static uint64_t read_store(struct location *l, size_t i, enum sched_order order)
{
	struct sched_thread *t = sched_self;
	struct store *s = store_at(l, i);

	if (!s->seen[t->id])
		s->seen[t->id] = t->clock[t->id];
	if (order != SCHED_RELAXED && s->releases)
		learn(t->clock, s->clock);
	if (order == SCHED_SEQ && l->seq_floor < i)
		l->seq_floor = i;
	return s->value;
}

static void write_store(struct location *l, uint64_t value, enum sched_order order)
{
	struct sched_thread *t = sched_self;
	struct store *s = append(l, value);

	s->epoch = epoch_of(t);
	if (order != SCHED_RELAXED) {
		s->releases = true;
		memcpy(s->clock, t->clock, sizeof s->clock);
		tick(t);
	}
	if (order == SCHED_SEQ)
		l->seq_floor = l->nstores - 1;
	memcpy((void *)l->at, &s->value, l->size);       /* little-endian: configure sees to it */
}

uint64_t sched_load(const volatile void *at, size_t size, enum sched_order order, SCHED_SITE)
{
	static const char *const names[] = {"peek", "load", "", "load_seq"};
	struct location *l;
	size_t n, age;
	uint64_t value;

	engine_point(names[order], what, file, line);
	l = location_of(at, size);
	touch(l, false);
	begin_history(l);
	n = readable(l, order == SCHED_SEQ);
	age = n > 1 ? choose_value(n, l->lag[sched_self->id]) : 0;
	l->lag[sched_self->id] = age ? l->lag[sched_self->id] + 1 : 0;
	value = read_store(l, l->nstores - 1 - age, order);
	engine_note(age ? "{a}, older by {b}" : "{a}", value, age);
	return value;
}

void sched_store(volatile void *at, size_t size, uint64_t value, enum sched_order order, SCHED_SITE)
{
	static const char *const names[] = {"poke", "", "store", "store_seq"};
	struct location *l;

	engine_point(names[order], what, file, line);
	l = location_of(at, size);
	touch(l, true);
	begin_history(l);
	write_store(l, value, order);
	engine_note("{a}", cut(value, size), 0);
}

static uint64_t changed(uint64_t value, enum sched_change change, uint64_t operand)
{
	switch (change) {
	case SCHED_ADD:
		return value + operand;
	case SCHED_SUB:
		return value - operand;
	case SCHED_OR:
		return value | operand;
	case SCHED_AND:
		return value & operand;
	default:
		return operand;
	}
}

uint64_t sched_change(volatile void *at, size_t size, enum sched_change change, uint64_t operand, SCHED_SITE)
{
	static const char *const names[] = {"swap", "add", "sub", "or", "and"};
	struct location *l;
	uint64_t value;

	engine_point(names[change], what, file, line);
	l = location_of(at, size);
	touch(l, true);
	begin_history(l);
	value = read_store(l, l->nstores - 1, SCHED_SEQ);
	write_store(l, changed(value, change, operand), SCHED_SEQ);
	engine_note("{a} -> {b}", value, cut(changed(value, change, operand), size));
	return value;
}

bool sched_cas(volatile void *at, size_t size, void *expected, uint64_t value, SCHED_SITE)
{
	struct location *l;
	uint64_t found, wanted = 0;

	engine_point("cas", what, file, line);
	l = location_of(at, size);
	touch(l, true);
	begin_history(l);
	memcpy(&wanted, expected, size);
	found = read_store(l, l->nstores - 1, SCHED_SEQ);
	if (found != wanted) {
		memcpy(expected, &found, size);
		engine_note("{a}, not {b}", found, wanted);
		return false;
	}
	write_store(l, value, SCHED_SEQ);
	engine_note("{a} -> {b}", found, cut(value, size));
	return true;
}

/* A location as of a barrier: who called it sees the newest store, the others that thread's last one. */
static void show_all(struct location *l)
{
	size_t i = l->nstores, oldest = l->nstores > HISTORY ? l->nstores - HISTORY : 0;

	if (i == 0)
		return;
	l->floor[sched_self->id] = i - 1;
	while (i > oldest && store_at(l, i - 1)->epoch >> CLOCK_BITS != (uint32_t)sched_self->id)
		i--;
	for (size_t t = 0; t < MAX_THREADS && i > 0; t++)
		if (l->floor[t] < i - 1)
			l->floor[t] = i - 1;
}

void model_barrier(void)
{
	for (size_t i = 0; i < nused; i++)
		show_all(used[i]);
}

uint32_t model_newest32(const volatile void *word)
{
	struct location *l = location_of(word, sizeof(uint32_t));

	touch(l, false);
	begin_history(l);
	return (uint32_t)store_at(l, l->nstores - 1)->value;
}

/* ----------------------------------------------------------------------------------------------------------- locks */

bool model_lock_is_free(const volatile void *lock)
{
	const struct location *l = *find((uintptr_t)lock);

	return !l || !l->holder;
}

/* A thread takes locks in the order of their ranks. */
static void check_rank(unsigned rank, const char *what)
{
	struct sched_thread *t = sched_self;

	if (t->locks == sizeof t->rank / sizeof t->rank[0])
		engine_fail("too many locks held");
	if (t->locks > 0 && t->rank[t->locks - 1] >= rank)
		engine_fail("%s, of rank %u, is taken under a lock of rank %u", what, rank, t->rank[t->locks - 1]);
	t->rank[t->locks++] = rank;
}

struct mpp_lock;
void sched_lock(struct mpp_lock *lock, unsigned rank, SCHED_SITE);
void sched_unlock(struct mpp_lock *lock, SCHED_SITE);

void sched_lock(struct mpp_lock *lock, unsigned rank, SCHED_SITE)
{
	struct location *l;

	sched_self->word = lock;
	sched_self->state = LOCKING;
	engine_wait("lock", what, file, line);
	l = location_of(lock, sizeof(uint32_t));
	touch(l, true);
	check_rank(rank, what);
	l->holder = sched_self;
	learn(sched_self->clock, l->lock_clock);
}

/* No step: what comes between it and the next one might as well come then. */
void sched_unlock(struct mpp_lock *lock, SCHED_SITE)
{
	struct sched_thread *t = sched_self;
	struct location *l = location_of(lock, sizeof(uint32_t));

	(void)file;
	(void)line;
	touch(l, true);
	if (l->holder != t)
		engine_fail("%s is unlocked by %s, who does not hold it", what, t->name);
	l->holder = NULL;
	t->locks--;
	memcpy(l->lock_clock, t->clock, sizeof t->clock);
	tick(t);
}

void sched_assert_unlocked(SCHED_SITE)
{
	(void)what;
	if (sched_self && sched_self->locks > 0)
		engine_fail("%s:%d: a user function is about to be called under a lock", file, line);
}

/* --------------------------------------------------------------------------------------- from schedule to schedule */

void model_reset(void)
{
	for (size_t i = 0; i < nused; i++)
		set_atomic(used[i], 0);
	memset(locations, 0, sizeof locations);
	nused = 0;
	for (unsigned i = 0; i < MAX_THREADS; i++)
		if (engine_thread(i)->clock[i] > base)
			base = engine_thread(i)->clock[i];
	if (base > CLOCK_MASK / 2) {
		forget_pages();
		base = 0;
	}
	for (unsigned i = 0; i < MAX_THREADS; i++)
		for (unsigned k = 0; k < MAX_THREADS; k++)
			engine_thread(i)->clock[k] = base + 1;
}

void model_start(struct sched_thread *child)
{
	child->clock[child->id] = base + 2;
	if (!sched_self)
		return;
	learn(child->clock, sched_self->clock);
	tick(sched_self);
}

void model_learn(const struct sched_thread *from)
{
	learn(sched_self->clock, from->clock);
}

/* ------------------------------------------------------------------------------------ what instrumented code calls */

#define CODE __builtin_return_address(0)

void *sched_memcpy(void *to, const void *from, size_t size);
void *sched_memmove(void *to, const void *from, size_t size);
void *sched_memset(void *at, int byte, size_t size);
int sched_memcmp(const void *a, const void *b, size_t size);

void *sched_memcpy(void *to, const void *from, size_t size)
{
	model_read(from, size, CODE);
	model_write(to, size, CODE);
	return memcpy(to, from, size);
}

void *sched_memmove(void *to, const void *from, size_t size)
{
	model_read(from, size, CODE);
	model_write(to, size, CODE);
	return memmove(to, from, size);
}

void *sched_memset(void *at, int byte, size_t size)
{
	model_write(at, size, CODE);
	return memset(at, byte, size);
}

int sched_memcmp(const void *a, const void *b, size_t size)
{
	model_read(a, size, CODE);
	model_read(b, size, CODE);
	return memcmp(a, b, size);
}

#define TSAN_SIZED(n)                                                                                                 \
	void __tsan_read##n(void *at);                                                                                \
	void __tsan_write##n(void *at);                                                                               \
	void __tsan_unaligned_read##n(void *at);                                                                      \
	void __tsan_unaligned_write##n(void *at);                                                                     \
	void __tsan_read##n(void *at)                                                                                 \
	{                                                                                                             \
		model_read(at, n, CODE);                                                                              \
	}                                                                                                             \
	void __tsan_write##n(void *at)                                                                                \
	{                                                                                                             \
		model_write(at, n, CODE);                                                                             \
	}                                                                                                             \
	void __tsan_unaligned_read##n(void *at)                                                                       \
	{                                                                                                             \
		model_read(at, n, CODE);                                                                              \
	}                                                                                                             \
	void __tsan_unaligned_write##n(void *at)                                                                      \
	{                                                                                                             \
		model_write(at, n, CODE);                                                                             \
	}
TSAN_SIZED(1)
TSAN_SIZED(2)
TSAN_SIZED(4)
TSAN_SIZED(8)
TSAN_SIZED(16)

/* With the types that GCC knows them by. */
void __tsan_init(void);
void __tsan_func_entry(void *code);
void __tsan_func_exit(void *unused);
void __tsan_read_range(void *at, intptr_t size);
void __tsan_write_range(void *at, intptr_t size);
void *__tsan_memcpy(void *to, const void *from, size_t size);
void *__tsan_memmove(void *to, const void *from, size_t size);
void *__tsan_memset(void *at, int byte, size_t size);

void __tsan_init(void)
{
}

void __tsan_func_entry(void *code)
{
	(void)code;
}

void __tsan_func_exit(void *unused)
{
	(void)unused;
}

void __tsan_read_range(void *at, intptr_t size)
{
	model_read(at, (size_t)size, CODE);
}

void __tsan_write_range(void *at, intptr_t size)
{
	model_write(at, (size_t)size, CODE);
}

void *__tsan_memcpy(void *to, const void *from, size_t size)
{
	return sched_memcpy(to, from, size);
}

void *__tsan_memmove(void *to, const void *from, size_t size)
{
	return sched_memmove(to, from, size);
}

void *__tsan_memset(void *at, int byte, size_t size)
{
	return sched_memset(at, byte, size);
}
