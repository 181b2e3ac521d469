/* reader.c - read the trace event format, as far as mppool writes it
 *
 * SPDX-License-Identifier: MIT
 *
 * An array of events, or an object whose member "traceEvents" is one. Of a program that was killed the end of the
 * array may be missing. Events of other kinds, and members that are not known here, are passed over. */
#include "timeline.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEEPEST 64

struct reader {
	const char *name, *begin, *p, *end;
	int depth;
	struct trace *trace;
	char *string;                    /* the last that was read, decoded */
	size_t length, room;
};

/* What is of interest of one event. The strings are its own. */
struct event {
	char phase;
	char *name, *category, *arg_name;
	double pid, tid, start, duration, calls, items, busy, order;
	bool has_start, has_duration, has_busy;
};

static void bad(const struct reader *r, const char *problem)
{
	size_t line = 1, column = 1;

	for (const char *p = r->begin; p < r->p; p++) {
		column = *p == '\n' ? 1 : column + 1;
		line += *p == '\n';
	}
	fail("%s:%zu:%zu: %s", r->name, line, column, problem);
}

/* ------------------------------------------------------------------------------------------------------------ JSON */

static char peek(struct reader *r)
{
	while (r->p < r->end && (*r->p == ' ' || *r->p == '\t' || *r->p == '\n' || *r->p == '\r'))
		r->p++;
	return r->p < r->end ? *r->p : '\0';
}

static bool at_end(struct reader *r)
{
	return peek(r) == '\0' && r->p == r->end;
}

static void expect(struct reader *r, char c, const char *problem)
{
	if (peek(r) != c || r->p == r->end)
		bad(r, r->p == r->end ? "the file ends in the middle of an event" : problem);
	r->p++;
}

static void add_byte(struct reader *r, unsigned c)
{
	if (r->length + 1 >= r->room) {
		r->room = 2 * r->room + 64;
		r->string = realloc(r->string, r->room);
		if (!r->string)
			fail("%s: not enough memory", r->name);
	}
	r->string[r->length++] = (char)c;
	r->string[r->length] = '\0';
}

static void add_character(struct reader *r, unsigned c)
{
	if (c < 0x80) {
		add_byte(r, c);
	} else if (c < 0x800) {
		add_byte(r, 0xc0 | c >> 6);
		add_byte(r, 0x80 | (c & 0x3f));
	} else if (c < 0x10000) {
		add_byte(r, 0xe0 | c >> 12);
		add_byte(r, 0x80 | (c >> 6 & 0x3f));
		add_byte(r, 0x80 | (c & 0x3f));
	} else {
		add_byte(r, 0xf0 | c >> 18);
		add_byte(r, 0x80 | (c >> 12 & 0x3f));
		add_byte(r, 0x80 | (c >> 6 & 0x3f));
		add_byte(r, 0x80 | (c & 0x3f));
	}
}

static unsigned read_hex(struct reader *r)
{
	unsigned value = 0;

	for (int i = 0; i < 4; i++, r->p++) {
		static const char digits[] = "0123456789abcdef0123456789ABCDEF";
		const char *digit = r->p < r->end && *r->p ? strchr(digits, *r->p) : NULL;

		if (!digit)
			bad(r, "four hexadecimal digits are missing behind \\u");
		value = 16 * value + (unsigned)((digit - digits) % 16);
	}
	return value;
}

/* Halves of a pair that stand alone, and zero, become the character that stands for what is none. */
static void read_escape(struct reader *r)
{
	static const char letters[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
	const char *letter = r->p < r->end && *r->p ? strchr(letters, *r->p) : NULL;
	unsigned c, low;

	if (letter) {
		add_byte(r, (unsigned char)meanings[letter - letters]);
		r->p++;
		return;
	}
	if (r->p == r->end || *r->p++ != 'u')
		bad(r, "an unknown escape in a string");
	c = read_hex(r);
	if (c >= 0xd800 && c < 0xdc00 && r->end - r->p >= 6 && r->p[0] == '\\' && r->p[1] == 'u') {
		r->p += 2;
		low = read_hex(r);
		c = low >= 0xdc00 && low < 0xe000 ? 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00) : 0xfffd;
	}
	add_character(r, c == 0 || (c >= 0xd800 && c < 0xe000) ? 0xfffd : c);
}

static const char *read_string(struct reader *r, const char *problem)
{
	r->length = 0;
	expect(r, '"', problem);
	add_byte(r, 0);
	r->length = 0;
	while (r->p < r->end && *r->p != '"') {
		unsigned char c = (unsigned char)*r->p;

		if (c < 0x20)
			bad(r, "a control character in a string");
		r->p++;
		if (c == '\\')
			read_escape(r);
		else
			add_byte(r, c);
	}
	if (r->p == r->end)
		bad(r, "the file ends in the middle of a string");
	r->p++;
	r->string[r->length] = '\0';
	return r->string;
}

/* Where one begins, or something is wrong. */
static double read_number(struct reader *r)
{
	char *end;
	double value = strtod(r->p, &end);

	if (r->p == r->end)
		bad(r, "the file ends in the middle of an event");
	if (!strchr("-0123456789", *r->p) || end == r->p || !isfinite(value))
		bad(r, "a number was expected here");
	r->p = end;
	return value;
}

static void skip_value(struct reader *r);

static void skip_members(struct reader *r, char close)
{
	bool object = close == '}';

	r->p++;
	if (++r->depth > DEEPEST)
		bad(r, "nested too deeply");
	for (bool first = true; peek(r) != close; first = false) {
		if (!first)
			expect(r, ',', "a comma was expected here");
		if (object) {
			read_string(r, "the name of a member was expected here");
			expect(r, ':', "a colon was expected here");
		}
		skip_value(r);
	}
	r->p++;
	r->depth--;
}

static void skip_value(struct reader *r)
{
	static const char *const words[] = {"true", "false", "null"};
	char c = peek(r);

	if (c == '{' || c == '[') {
		skip_members(r, c == '{' ? '}' : ']');
		return;
	}
	if (c == '"') {
		read_string(r, "");
		return;
	}
	for (size_t i = 0; i < 3; i++)
		if (strncmp(r->p, words[i], strlen(words[i])) == 0) {
			r->p += strlen(words[i]);
			return;
		}
	read_number(r);
}

/* ---------------------------------------------------------------------------------------------------------- events */

static char *copy_string(const char *from)
{
	size_t size = strlen(from) + 1;

	return memcpy(allocate(size), from, size);
}

/* The member's value, if it is of the kind that is wanted. */
static void take_string(struct reader *r, char **to)
{
	if (peek(r) != '"') {
		skip_value(r);
		return;
	}
	free(*to);
	*to = copy_string(read_string(r, ""));
}

static bool take_number(struct reader *r, double *to)
{
	char c = peek(r);

	if (c != '-' && !(c >= '0' && c <= '9')) {
		skip_value(r);
		return false;
	}
	*to = read_number(r);
	return true;
}

static void read_args(struct reader *r, struct event *e)
{
	expect(r, '{', "");
	for (bool first = true; peek(r) != '}'; first = false) {
		const char *key;

		if (!first)
			expect(r, ',', "a comma was expected here");
		key = read_string(r, "the name of a member was expected here");
		expect(r, ':', "a colon was expected here");
		if (strcmp(key, "name") == 0)
			take_string(r, &e->arg_name);
		else if (strcmp(key, "calls") == 0)
			take_number(r, &e->calls);
		else if (strcmp(key, "items") == 0)
			take_number(r, &e->items);
		else if (strcmp(key, "busy") == 0)
			e->has_busy = take_number(r, &e->busy);
		else if (strcmp(key, "sort_index") == 0)
			take_number(r, &e->order);
		else
			skip_value(r);
	}
	r->p++;
}

static void read_member(struct reader *r, const char *key, struct event *e)
{
	if (strcmp(key, "ph") == 0 && peek(r) == '"')
		e->phase = read_string(r, "")[0];
	else if (strcmp(key, "name") == 0)
		take_string(r, &e->name);
	else if (strcmp(key, "cat") == 0)
		take_string(r, &e->category);
	else if (strcmp(key, "pid") == 0)
		take_number(r, &e->pid);
	else if (strcmp(key, "tid") == 0)
		take_number(r, &e->tid);
	else if (strcmp(key, "ts") == 0)
		e->has_start = take_number(r, &e->start);
	else if (strcmp(key, "dur") == 0)
		e->has_duration = take_number(r, &e->duration);
	else if (strcmp(key, "args") == 0 && peek(r) == '{')
		read_args(r, e);
	else
		skip_value(r);
}

/* Has the table room for an element beyond n? If not it becomes larger, and empty: the caller puts all in again. */
static bool has_room(struct table *table, size_t n)
{
	if (2 * n < table->size)
		return true;
	free(table->places);
	table->size = 4 * n + 64;
	table->places = allocate(table->size * sizeof table->places[0]);
	return false;
}

/* The ids are small numbers that follow each other: near ones get places far from each other. */
static size_t hash_of(long pid, long tid)
{
	const uint64_t mixed = ((uint64_t)pid * 0x9e3779b97f4a7c15 + (uint64_t)tid) * 0x9e3779b97f4a7c15;

	return (size_t)(mixed >> 32);
}

static size_t *pool_place(const struct trace *t, long pid)
{
	const struct table *table = &t->by_pid;
	size_t i = hash_of(pid, 0) % table->size;

	while (table->places[i] > 0 && t->pools[table->places[i] - 1].pid != pid)
		i = (i + 1) % table->size;
	return &table->places[i];
}

static size_t pool_of(struct trace *t, long pid)
{
	size_t *found;

	if (!has_room(&t->by_pid, t->npools))
		for (size_t i = 0; i < t->npools; i++)
			*pool_place(t, t->pools[i].pid) = i + 1;
	found = pool_place(t, pid);
	if (*found > 0)
		return *found - 1;
	t->pools = grow(t->pools, &t->npools, &t->pools_room, sizeof t->pools[0]);
	t->pools[t->npools - 1] = (struct pool){.pid = pid, .order = (double)pid, .start = INFINITY, .end = -INFINITY};
	*found = t->npools;
	return t->npools - 1;
}

static size_t *row_place(const struct trace *t, long pid, long tid)
{
	const struct table *table = &t->by_ids;
	size_t i = hash_of(pid, tid) % table->size;

	for (; table->places[i] > 0; i = (i + 1) % table->size) {
		const struct row *row = &t->rows[table->places[i] - 1];

		if (row->pid == pid && row->tid == tid)
			break;
	}
	return &table->places[i];
}

static size_t row_of(struct trace *t, long pid, long tid)
{
	size_t *found;

	if (t->last_row < t->nrows && t->rows[t->last_row].pid == pid && t->rows[t->last_row].tid == tid)
		return t->last_row;
	if (!has_room(&t->by_ids, t->nrows))
		for (size_t i = 0; i < t->nrows; i++)
			*row_place(t, t->rows[i].pid, t->rows[i].tid) = i + 1;
	found = row_place(t, pid, tid);
	if (*found > 0)
		return t->last_row = *found - 1;
	t->rows = grow(t->rows, &t->nrows, &t->rows_room, sizeof t->rows[0]);
	t->rows[t->nrows - 1] = (struct row){.pid = pid, .tid = tid, .order = (double)tid, .pool = pool_of(t, pid)};
	*found = t->nrows;
	return t->last_row = t->nrows - 1;
}

static size_t *function_place(const struct trace *t, const char *name, bool wait)
{
	const struct table *table = &t->by_name;
	size_t hash = wait;

	for (const char *p = name; *p; p++)
		hash = 31 * hash + (unsigned char)*p;
	for (size_t i = hash % table->size;; i = (i + 1) % table->size) {
		const struct function *f = table->places[i] ? &t->functions[table->places[i] - 1] : NULL;

		if (!f || (f->wait == wait && strcmp(f->name, name) == 0))
			return &table->places[i];
	}
}

static size_t function_of(struct trace *t, const struct event *e)
{
	bool wait = e->category && strcmp(e->category, "wait") == 0;
	size_t *found;

	if (!has_room(&t->by_name, t->nfunctions))
		for (size_t i = 0; i < t->nfunctions; i++)
			*function_place(t, t->functions[i].name, t->functions[i].wait) = i + 1;
	found = function_place(t, e->name, wait);
	if (*found > 0)
		return *found - 1;
	t->functions = grow(t->functions, &t->nfunctions, &t->functions_room, sizeof t->functions[0]);
	t->functions[t->nfunctions - 1] = (struct function){.name = copy_string(e->name), .wait = wait};
	*found = t->nfunctions;
	return t->nfunctions - 1;
}

static void note_time(struct trace *t, size_t pool, double start, double end)
{
	struct pool *p = &t->pools[pool];

	p->start = fmin(p->start, start);
	p->end = fmax(p->end, end);
}

static void note_span(struct reader *r, const struct event *e, long pid, long tid)
{
	struct trace *t = r->trace;
	struct span *s;

	if (!e->has_start || !e->has_duration || !e->name)
		bad(r, "a span (\"ph\":\"X\") without \"ts\", \"dur\" or \"name\"");
	if (e->duration < 0)
		bad(r, "a span that ends before it begins");
	t->spans = grow(t->spans, &t->nspans, &t->spans_room, sizeof t->spans[0]);
	s = &t->spans[t->nspans - 1];
	s->start = e->start;
	s->end = e->start + e->duration;
	s->busy = e->has_busy ? fmin(fmax(e->busy, 0), e->duration) : e->duration;
	s->calls = e->calls;
	s->items = e->items;
	s->row = row_of(t, pid, tid);
	s->function = function_of(t, e);
	s->wait = t->functions[s->function].wait;
	note_time(t, t->rows[s->row].pool, s->start, s->end);
}

static void note_sample(struct reader *r, const struct event *e, long pid)
{
	struct trace *t = r->trace;
	struct sample *s;
	size_t pool = pool_of(t, pid);

	if (!e->has_start)
		bad(r, "a counter (\"ph\":\"C\") without \"ts\"");
	if (!e->name || strcmp(e->name, "queue") != 0)
		return;
	t->samples = grow(t->samples, &t->nsamples, &t->samples_room, sizeof t->samples[0]);
	s = &t->samples[t->nsamples - 1];
	s->at = e->start;
	s->value = fmax(e->calls, 0);
	s->pool = pool;
	t->pools[pool].longest_queue = fmax(t->pools[pool].longest_queue, s->value);
	note_time(t, pool, s->at, s->at);
}

static void take_over(char **to, struct event *e)
{
	if (!e->arg_name)
		return;
	free(*to);
	*to = e->arg_name;
	e->arg_name = NULL;
}

static void note_name(struct trace *t, struct event *e, long pid, long tid)
{
	const char *what = e->name ? e->name : "";

	if (strncmp(what, "process_", 8) == 0) {
		const size_t i = pool_of(t, pid);
		struct pool *pool = &t->pools[i];

		if (strcmp(what, "process_name") == 0)
			take_over(&pool->name, e);
		else if (strcmp(what, "process_sort_index") == 0)
			pool->order = e->order;
	} else if (strncmp(what, "thread_", 7) == 0) {
		const size_t i = row_of(t, pid, tid);
		struct row *row = &t->rows[i];

		if (strcmp(what, "thread_name") == 0)
			take_over(&row->name, e);
		else if (strcmp(what, "thread_sort_index") == 0)
			row->order = e->order;
	}
}

static void note(struct reader *r, struct event *e)
{
	const double numbers[] = {e->pid, e->tid, e->start, e->duration, e->calls, e->items, e->busy, e->order};

	for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
		if (fabs(numbers[i]) > 1e15)
			bad(r, "a number that is far too large");
	if (e->phase == 'X')
		note_span(r, e, (long)e->pid, (long)e->tid);
	else if (e->phase == 'C')
		note_sample(r, e, (long)e->pid);
	else if (e->phase == 'M')
		note_name(r->trace, e, (long)e->pid, (long)e->tid);
}

static void read_event(struct reader *r)
{
	struct event e = {.calls = 1, .items = 1};

	expect(r, '{', "an event, which begins with {, was expected here");
	for (bool first = true; peek(r) != '}'; first = false) {
		char key[32];

		if (!first)
			expect(r, ',', "a comma was expected here");
		snprintf(key, sizeof key, "%s", read_string(r, "the name of a member was expected here"));
		expect(r, ':', "a colon was expected here");
		read_member(r, key, &e);
	}
	r->p++;
	note(r, &e);
	free(e.name);
	free(e.category);
	free(e.arg_name);
}

/* Its end may be missing: the program was killed. */
static void read_events(struct reader *r)
{
	expect(r, '[', "an array of events was expected here");
	for (bool first = true;; first = false) {
		if (at_end(r))
			return;
		if (peek(r) == ']')
			break;
		if (!first) {
			expect(r, ',', "a comma or ] was expected here");
			if (at_end(r))
				return;
		}
		read_event(r);
	}
	r->p++;
}

static void read_object(struct reader *r)
{
	bool found = false;

	r->p++;
	for (bool first = true; peek(r) != '}'; first = false) {
		if (at_end(r) && found)
			return;
		if (!first)
			expect(r, ',', "a comma was expected here");
		if (strcmp(read_string(r, "the name of a member was expected here"), "traceEvents") == 0) {
			expect(r, ':', "a colon was expected here");
			read_events(r);
			found = true;
		} else {
			expect(r, ':', "a colon was expected here");
			skip_value(r);
		}
	}
	if (!found)
		bad(r, "there is no member \"traceEvents\"");
	r->p++;
}

void read_trace(struct trace *trace, const char *name, const char *text, size_t size)
{
	struct reader r = {.name = name, .begin = text, .p = text, .end = text + size, .trace = trace};

	if (at_end(&r))
		fail("%s: the file is empty", name);
	if (peek(&r) == '{')
		read_object(&r);
	else if (peek(&r) == '[')
		read_events(&r);
	else
		bad(&r, "this is no trace: it begins neither with [ nor with {");
	if (!at_end(&r))
		bad(&r, "there is something behind the end of the trace");
	free(r.string);
}
