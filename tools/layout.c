/* layout.c - what follows from a trace before it is drawn: order, depths, times, colours
 *
 * SPDX-License-Identifier: MIT */
#include "timeline.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#define COLOURS 10               /* of svg.c; the functions beyond share the last one */
#define SLACK 0.002              /* microseconds: what rounding does to the ends of spans */

static const struct trace *sorting;

static int compare(double a, double b)
{
	return (a > b) - (a < b);
}

static int by_order(const void *a, const void *b)
{
	const struct row *x = &sorting->rows[*(const size_t *)a], *y = &sorting->rows[*(const size_t *)b];
	const struct pool *p = &sorting->pools[x->pool], *q = &sorting->pools[y->pool];
	int result = compare(p->order, q->order);

	if (result == 0)
		result = (p->pid > q->pid) - (p->pid < q->pid);
	if (result == 0)
		result = compare(x->order, y->order);
	return result ? result : (x->tid > y->tid) - (x->tid < y->tid);
}

/* Rows pool by pool, those of a pool in the order that the trace gives them. */
static void sort_rows(struct trace *t)
{
	size_t *order = allocate(t->nrows * sizeof order[0]), *place = allocate(t->nrows * sizeof place[0]);
	struct row *rows = allocate(t->nrows * sizeof rows[0]);

	for (size_t i = 0; i < t->nrows; i++)
		order[i] = i;
	sorting = t;
	qsort(order, t->nrows, sizeof order[0], by_order);
	for (size_t i = 0; i < t->nrows; i++) {
		rows[i] = t->rows[order[i]];
		place[order[i]] = i;
	}
	for (size_t i = 0; i < t->nspans; i++)
		t->spans[i].row = place[t->spans[i].row];
	free(t->rows);
	t->rows = rows;
	t->rows_room = t->nrows;
	free(order);
	free(place);
}

/* What is around comes before what is inside. */
static int by_row_and_time(const void *a, const void *b)
{
	const struct span *x = a, *y = b;
	int result = (x->row > y->row) - (x->row < y->row);

	if (result == 0)
		result = compare(x->start, y->start);
	return result ? result : compare(y->end, x->end);
}

static int by_pool_and_time(const void *a, const void *b)
{
	const struct sample *x = a, *y = b;
	int result = (x->pool > y->pool) - (x->pool < y->pool);

	return result ? result : compare(x->at, y->at);
}

/* Each span's depth, and its time without what is inside. The spans around the one at hand are a chain by `up`. */
static void find_depths(struct trace *t)
{
	size_t *up = allocate(t->nspans * sizeof up[0]), top = SIZE_MAX;

	for (size_t i = 0; i < t->nspans; i++) {
		struct span *s = &t->spans[i];

		while (top != SIZE_MAX && (t->spans[top].row != s->row || t->spans[top].end <= s->start + SLACK))
			top = up[top];
		s->depth = top == SIZE_MAX ? 0 : t->spans[top].depth + 1;
		s->self = s->busy;
		if (top != SIZE_MAX)
			t->spans[top].self -= s->end - s->start;
		up[i] = top;
		top = i;
	}
	free(up);
}

static void add_up(struct trace *t)
{
	for (size_t i = 0; i < t->nspans; i++) {
		struct span *s = &t->spans[i];

		s->self = fmax(s->self, 0);
		t->rows[s->row].spans++;
		t->functions[s->function].self += s->self;
		if (!s->wait)
			t->rows[s->row].busy += s->self;
	}
	t->start = INFINITY;
	t->end = -INFINITY;
	for (size_t i = 0; i < t->npools; i++) {
		t->start = fmin(t->start, t->pools[i].start);
		t->end = fmax(t->end, t->pools[i].end);
	}
}

/* The functions with the most time have colours of their own. */
static void choose_colours(struct trace *t)
{
	for (size_t i = 0; i < t->nfunctions; i++) {
		struct function *f = &t->functions[i];
		int before = 0;

		for (size_t k = 0; k < t->nfunctions && before < COLOURS - 1; k++) {
			const struct function *g = &t->functions[k];

			before += !g->wait && (g->self > f->self || (!(g->self < f->self) && k < i));
		}
		f->colour = before;
	}
}

void arrange(struct trace *t)
{
	sort_rows(t);
	qsort(t->spans, t->nspans, sizeof t->spans[0], by_row_and_time);
	if (t->nsamples > 0)
		qsort(t->samples, t->nsamples, sizeof t->samples[0], by_pool_and_time);
	find_depths(t);
	add_up(t);
	choose_colours(t);
}
