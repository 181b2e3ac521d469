/* SPDX-License-Identifier: MIT
 *
 * Strategies: which of several things comes next. */
#include "engine.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool systematic;

/* ---------------------------------------------------------------------------------------------------------- seeded */

enum style { WALK, PRIORITIES };

static uint64_t seed, state;

/* The habits of this schedule: chances are 1 in 2^n. */
static enum style style;
static unsigned switching, aging, timing, oddities;
static int fresh_enough;         /* older values that may still be read: no loop waits for ever for news */
static size_t aged_from;         /* and from which step on: so that they are not all spent at the beginning */
static int odd_enough;
#define MOST_LAG 10              /* older values of one word that a thread reads in a row */
static uint64_t priority[MAX_THREADS], lowest;

static uint64_t draw(void)
{
	uint64_t z = state += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

static size_t draw_below(size_t n)
{
	return (size_t)(draw() % n);
}

static bool one_in(unsigned bits)
{
	return (draw() & (((uint64_t)1 << bits) - 1)) == 0;
}

static void choose_habits(void)
{
	static const unsigned walks[] = {1, 3, 5}, changes[] = {4, 6, 8}, ages[] = {1, 3, 5, 63};

	state = seed * 0x2545f4914f6cdd1du;
	style = one_in(1) ? WALK : PRIORITIES;
	switching = style == WALK ? walks[draw_below(3)] : changes[draw_below(3)];
	aging = ages[draw_below(4)];
	timing = one_in(1) ? 3 : 7;
	oddities = one_in(1) ? 4 : 63;
	fresh_enough = (int)draw_below(12);
	aged_from = one_in(1) ? 0 : draw_below(64u << draw_below(5));
	odd_enough = 3;
	lowest = UINT64_MAX / 2;
}

/* Every thread has a priority by lot; now and then that of whoever has the turn falls below all others. */
static size_t by_priority(struct sched_thread *const options[], size_t n, bool keep)
{
	size_t best = 0;

	if (!keep || one_in(switching))
		priority[sched_self->id] = --lowest;
	for (size_t i = 1; i < n; i++)
		if (priority[options[i]->id] > priority[options[best]->id])
			best = i;
	return best;
}

static size_t walk(size_t n, bool keep)
{
	if (!keep)
		return draw_below(n);
	return n > 1 && one_in(switching) ? 1 + draw_below(n - 1) : 0;
}

/* ------------------------------------------------------------------------------------------------------ systematic */

#define MAX_DECISIONS (2 * MAX_STEPS)

static struct decision {
	uint16_t options, chosen;
	bool variant;                    /* counts for no departure */
} decisions[MAX_DECISIONS];
static size_t ndecisions, at;    /* of the next schedule so many are given; the next one */
static unsigned bound;

/* Given, or the first. */
static size_t decide(size_t n, bool variant)
{
	struct decision *d = &decisions[at];

	if (at == MAX_DECISIONS)
		engine_fail("too many decisions");
	if (at >= ndecisions) {
		d->chosen = 0;
		ndecisions = at + 1;
	}
	if (d->chosen >= n)
		engine_fail("the schedule takes another course: decision %zu has %zu options, not %u", at, n,
		            d->chosen + 1u);
	d->options = (uint16_t)n;
	d->variant = variant;
	return decisions[at++].chosen;
}

static unsigned departures_before(size_t end)
{
	unsigned count = 0;

	for (size_t i = 0; i < end; i++)
		count += decisions[i].chosen > 0 && !decisions[i].variant;
	return count;
}

bool choose_next(void)
{
	unsigned before = departures_before(at);

	for (size_t i = at; i-- > 0;) {
		struct decision *d = &decisions[i];

		before -= d->chosen > 0 && !d->variant;
		if (d->chosen + 1u < d->options && (d->variant || before < bound)) {
			d->chosen++;
			ndecisions = i + 1;
			return true;
		}
	}
	return false;
}

/* ----------------------------------------------------------------------------------------------------- the choices */

void choose_seeded(uint64_t s)
{
	systematic = false;
	seed = s;
}

void choose_systematic(unsigned b)
{
	systematic = true;
	bound = b;
	ndecisions = 0;
}

bool choose_departures(const char *list)
{
	choose_systematic(0);
	memset(decisions, 0, sizeof decisions);
	while (*list) {
		char *end;
		unsigned long place = strtoul(list, &end, 10), choice;

		if (end == list || *end != ':' || place >= MAX_DECISIONS)
			return false;
		list = end + 1;
		choice = strtoul(list, &end, 10);
		if (end == list || (*end && *end != ',') || choice > UINT16_MAX)
			return false;
		list = *end ? end + 1 : end;
		decisions[place].chosen = (uint16_t)choice;
		ndecisions = place + 1;
	}
	return true;
}

void choose_begin(void)
{
	at = 0;
	if (!systematic)
		choose_habits();
}

void choose_started(unsigned id)
{
	if (!systematic)
		priority[id] = draw() | (uint64_t)1 << 63;
}

/* A timer goes off while others could go on: that is rare. */
size_t choose_thread(struct sched_thread *const options[], size_t nready, size_t n, bool keep)
{
	if (systematic)
		return n > 1 ? decide(n, false) : 0;
	if (n > nready && one_in(timing))
		return nready + draw_below(n - nready);
	return style == WALK ? walk(nready, keep) : by_priority(options, nready, keep);
}

/* Whoever was late once is likely to be late again: several looks in a row may depend on it. */
size_t choose_value(size_t n, unsigned lag)
{
	if (systematic)
		return decide(n, false);
	if (lag > 0 && lag < MOST_LAG && !one_in(2))
		return 1 + draw_below(n - 1);
	if (engine_steps() < aged_from || !one_in(aging) || fresh_enough == 0)
		return 0;
	fresh_enough--;
	return 1 + draw_below(n - 1);
}

size_t choose_sleeper(size_t n)
{
	return systematic ? decide(n, false) : draw_below(n);
}

size_t choose_variant(size_t n)
{
	return systematic ? decide(n, true) : draw_below(n);
}

bool choose_rarely(void)
{
	return !systematic && one_in(oddities) && odd_enough-- > 0;
}

int64_t choose_delay(void)
{
	if (systematic || !one_in(3))
		return 50;
	return one_in(1) ? 6000 : 30000;
}

static size_t describe_departures(char *text, size_t size)
{
	size_t n = 0;

	for (size_t i = 0; i < at && n < size; i++)
		if (decisions[i].chosen > 0)
			n += (size_t)snprintf(text + n, size - n, "%s%zu:%u", n ? "," : "", i, decisions[i].chosen);
	return n;
}

void choose_describe(char *text, size_t size)
{
	size_t n;

	if (!systematic) {
		snprintf(text, size, "-r %" PRIu64, seed);
		return;
	}
	n = (size_t)snprintf(text, size, "-d '");
	n += describe_departures(text + n, size - n);
	if (n + 1 < size)
		strcpy(text + n, "'");
}
