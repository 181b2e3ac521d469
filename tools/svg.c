/* svg.c - draw a trace
 *
 * SPDX-License-Identifier: MIT
 *
 * For each pool its rows, with the share of the time that each was busy, and under them the length of its queue; then
 * the legend. What is wider than a pixel is drawn as it is. What is narrower is added up, pixel by pixel, and drawn as
 * strongly as the pixel is full: so the picture of a million spans is no larger than that of a few. The more rows
 * there are the lower they get. */
#include "timeline.h"
#include "utf8.h"

#include <ctype.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LEFT 160                 /* for the rows' names */
#define RIGHT 64                 /* for their shares */
#define HEADER 46
#define POOL_TITLE 24
#define QUEUE 40
#define GAP 16
#define AXIS 34
#define TALL 1000                /* from here on there is an axis at the top, too */
#define LEGEND_LINE 18
#define LEGEND_COLUMN 250
#define DEPTHS 4                 /* nested more deeply is drawn like this */
#define SHADES 6                 /* of what is narrower than a pixel */
#define LABEL 10                 /* size of the letters in spans */

static const struct {
	const char *fill, *text;
} colours[] = {
	{"#0072b2", "#fff"}, {"#e69f00", "#222"}, {"#009e73", "#fff"}, {"#cc79a7", "#222"}, {"#56b4e9", "#222"},
	{"#d55e00", "#fff"}, {"#7b61a8", "#fff"}, {"#a59a1f", "#fff"}, {"#8c5a3c", "#fff"}, {"#888888", "#fff"},
};
#define LAST_COLOUR ((int)(sizeof colours / sizeof colours[0]) - 1)
#define IDLE "#e2e6eb"
#define WAITING "#b4bfcb"

/* What the rows look like, by their number. */
struct look {
	size_t rows;                     /* up to so many */
	double row, bar;                 /* pixels from one to the next, of which so many are drawn */
	double letters;                  /* size of their names */
	size_t step;                     /* one row of so many has its name beside it */
};
static const struct look looks[] = {
	{60, 24, 18, 11, 1}, {200, 15, 12, 10, 1}, {500, 10, 8, 8, 1}, {SIZE_MAX, 5, 4, 8, 2},
};

struct legend_entry {
	const char *fill, *name;
	double self;
};

struct picture {
	const struct trace *trace;
	double width, scale;             /* of the part with the spans; pixels in a microsecond */
	double height, y;
	const struct look *look;
	double step;                     /* of the axis, in microseconds */
	struct legend_entry legend[sizeof colours / sizeof colours[0] + 2];
	size_t nlegend;
	struct bin {
		double full;             /* how much of the pixel */
		double lead;             /* of the function below, over all others */
		size_t function;
		double calls;
	} *bins;
	size_t nbins;
};

/* ----------------------------------------------------------------------------------------------------------- texts */

/* How many bytes from here are one character that XML may hold; 0: none. */
static size_t character(const char *text)
{
	const unsigned char *s = (const unsigned char *)text;

	if (s[0] < 0x20 || s[0] == 0x7f || (s[0] == 0xef && s[1] == 0xbf && s[2] >= 0xbe))
		return 0;
	return mpp_utf8_character(text);
}

static size_t step_over(const char *text)
{
	size_t length = character(text);

	return length ? length : 1;
}

/* How wide a character is, in sizes of the letters: about, for who knows the font. */
static double width_of(const char *text)
{
	unsigned char c = (unsigned char)*text;

	if (c >= 0x80)
		return c < 0xe1 ? 0.75 : 1.2;
	if (strchr(" !'()*,-./:;I[]fijlrt{|}", c))
		return 0.42;
	return strchr("#%&+<=>@GMOQW^mw~", c) ? 0.92 : isupper(c) ? 0.73 : 0.64;
}

static void put_character(const char *text)
{
	size_t length = character(text);

	if (length == 0)
		fputs("\357\277\275", stdout);
	else if (*text == '&')
		fputs("&amp;", stdout);
	else if (*text == '<')
		fputs("&lt;", stdout);
	else if (*text == '>')
		fputs("&gt;", stdout);
	else if (*text == '"')
		fputs("&quot;", stdout);
	else
		fwrite(text, 1, length, stdout);
}

static double width_of_text(const char *text)
{
	double width = 0;

	for (const char *s = text; *s; s += step_over(s))
		width += width_of(s);
	return width;
}

/* As much as there is room for, in sizes of the letters; with an ellipsis if that is not all. */
static void put_text(const char *text, double room)
{
	const char *s, *cut = text;
	double width = 0;

	for (s = text; *s && width <= room; s += step_over(s)) {
		if (width + 1 <= room)
			cut = s;
		width += width_of(s);
	}
	if (width <= room)
		cut = s;
	for (s = text; s < cut; s += step_over(s))
		put_character(s);
	if (*s)
		fputs("\342\200\246", stdout);
}

/* With three digits that matter, in the unit that fits. */
static void put_duration(double us)
{
	static const struct {
		double us;
		const char *name;
	} units[] = {{1e6, "s"}, {1e3, "ms"}, {1, "\302\265s"}};
	size_t unit = us >= 1e6 ? 0 : us >= 1e3 ? 1 : 2;
	double value = us / units[unit].us;

	printf("%.*f %s", value < 10 ? 2 : value < 100 ? 1 : 0, value, units[unit].name);
}

static const char *row_name(const struct row *row)
{
	return row->name ? row->name : "(no name)";
}

static bool is_worker(const struct row *row)
{
	const char *name = row_name(row), *dash = strrchr(name, '-');

	return dash && dash[1] == 'w' && isdigit((unsigned char)dash[2]);
}

/* ---------------------------------------------------------------------------------------------------------- places */

static double x_of(const struct picture *p, double at)
{
	return (at - p->trace->start) * p->scale;
}

static bool has_queue(const struct pool *pool)
{
	return pool->longest_queue > 0;
}

/* A worker that never had anything to do is shown, too. */
static bool is_shown(const struct row *row)
{
	return row->spans > 0 || is_worker(row);
}

static size_t shown_rows(const struct trace *t)
{
	size_t n = 0;

	for (size_t i = 0; i < t->nrows; i++)
		n += is_shown(&t->rows[i]);
	return n;
}

/* From its first row on. `row` is that, or one of another pool: then the pool has none. */
static double height_of_pool(const struct picture *p, size_t row, size_t pool)
{
	const struct trace *t = p->trace;
	double height = has_queue(&t->pools[pool]) ? QUEUE + 6 : 0;

	for (; row < t->nrows && t->rows[row].pool == pool; row++)
		height += is_shown(&t->rows[row]) ? p->look->row : 0;
	return height;
}

/* With their gaps. */
static double height_of_pools(const struct picture *p)
{
	const struct trace *t = p->trace;
	double height = 0;
	size_t pool = SIZE_MAX;

	for (size_t i = 0; i < t->nrows; i++)
		if (is_shown(&t->rows[i]) && t->rows[i].pool != pool) {
			pool = t->rows[i].pool;
			height += GAP + POOL_TITLE + height_of_pool(p, i, pool);
		}
	return height;
}

/* ----------------------------------------------------------------------------------------------------------- spans */

static double inset_of(const struct picture *p, unsigned depth)
{
	return depth * floor(p->look->bar / (2 * DEPTHS + 1));
}

static unsigned drawn_depth(const struct span *s)
{
	return s->depth < DEPTHS ? s->depth : DEPTHS - 1;
}

static bool is_idle(const struct function *f)
{
	return f->wait && strcmp(f->name, "idle") == 0;
}

static const char *fill_of(const struct trace *t, size_t function)
{
	const struct function *f = &t->functions[function];

	return is_idle(f) ? IDLE : f->wait ? WAITING : colours[f->colour].fill;
}

static void put_title(const struct picture *p, const struct span *s)
{
	const struct trace *t = p->trace;

	printf("<title>");
	put_text(t->functions[s->function].name, 200);
	printf("\n");
	put_duration(s->end - s->start);
	printf(" from ");
	put_duration(s->start - t->start);
	if (!s->wait && s->calls > 1) {
		printf("\n%.0f calls, which took ", s->calls);
		put_duration(s->busy);
	}
	if (!s->wait && s->items > 1)
		printf("\n%.0f items", s->items);
	printf("</title>");
}

/* As long as there is room before what is inside of it. Less than some letters would say nothing. */
static void put_label(const struct picture *p, const struct span *s, double x, double width)
{
	const struct trace *t = p->trace;
	const struct function *f = &t->functions[s->function];
	const struct span *next = s + 1;
	double room;

	if (next < t->spans + t->nspans && next->row == s->row && next->depth > s->depth)
		width = fmin(width, x_of(p, next->start) - x);
	room = (width - 8) / LABEL;
	if (s->depth > 0 || p->look->bar < LABEL + 2 || is_idle(f) || (room < 5 && room < width_of_text(f->name)))
		return;
	printf("<text class=\"in\" x=\"%.1f\" y=\"%.1f\" style=\"fill:%s\">", LEFT + x + 4,
	       p->y + p->look->bar / 2 + 4, f->wait ? "#333" : colours[f->colour].text);
	put_text(f->name, room);
	printf("</text>\n");
}

static void draw_wide(const struct picture *p, const struct span *s, double x, double width)
{
	double inset = inset_of(p, drawn_depth(s)), length = s->end - s->start;
	double full = length > 0 ? s->busy / length : 1;

	printf("<rect x=\"%.2f\" y=\"%.1f\" width=\"%.2f\" height=\"%.1f\" fill=\"%s\"", LEFT + x, p->y + inset, width,
	       p->look->bar - 2 * inset, fill_of(p->trace, s->function));
	if (!s->wait && full < 0.95)
		printf(" fill-opacity=\"%.2f\"", 0.3 + 0.7 * full);
	if (width > 4 && !s->wait)
		printf(" class=\"edge\"");
	printf(">");
	put_title(p, s);
	printf("</rect>\n");
	put_label(p, s, x, width);
}

/* The function that a pixel is mostly full of keeps it: a vote. */
static void add_to_bin(struct bin *bin, const struct span *s, double full)
{
	bin->full += full;
	bin->calls += s->calls;
	if (bin->function == s->function || bin->lead <= 0) {
		bin->function = s->function;
		bin->lead += full;
	} else {
		bin->lead -= full;
		if (bin->lead < 0) {
			bin->function = s->function;
			bin->lead = -bin->lead;
		}
	}
}

static void add_narrow(struct picture *p, const struct span *s, double x)
{
	double length = s->end - s->start, share = length > 0 ? s->busy / length : 1;
	size_t bin = x > 0 ? (size_t)x : 0;
	double end = x + length * p->scale, split = fmin(end, (double)bin + 1);

	if (bin >= p->nbins)
		bin = p->nbins - 1;
	add_to_bin(&p->bins[bin], s, (split - x) * share);
	if (end > split && bin + 1 < p->nbins)
		add_to_bin(&p->bins[bin + 1], s, (end - split) * share);
}

static int shade_of(const struct bin *bin)
{
	int shade = (int)ceil(fmin(bin->full, 1) * SHADES - 0.05);

	return bin->full <= 0 ? 0 : shade < 1 ? 1 : shade;
}

/* Neighbours that look alike are one rectangle. */
static void draw_bins(const struct picture *p, unsigned depth)
{
	double inset = inset_of(p, depth), calls;
	size_t to;

	for (size_t from = 0; from < p->nbins; from = to) {
		int shade = shade_of(&p->bins[from]);

		calls = p->bins[from].calls;
		for (to = from + 1; to < p->nbins && shade_of(&p->bins[to]) == shade &&
		     (shade == 0 || p->bins[to].function == p->bins[from].function); to++)
			calls += p->bins[to].calls;
		if (shade == 0)
			continue;
		printf("<rect x=\"%zu\" y=\"%.1f\" width=\"%zu\" height=\"%.1f\" fill=\"%s\" fill-opacity=\"%.2f\">"
		       "<title>", LEFT + from, p->y + inset, to - from, p->look->bar - 2 * inset,
		       fill_of(p->trace, p->bins[from].function), (double)shade / SHADES);
		put_text(p->trace->functions[p->bins[from].function].name, 200);
		printf("\nand more, each narrower than a pixel\n%.0f %s</title></rect>\n", calls, calls > 1 ? "calls" : "call");
	}
}

static void draw_depth(struct picture *p, const struct span *first, const struct span *last, unsigned depth)
{
	bool narrow = false;

	for (const struct span *s = first; s < last; s++) {
		double x = x_of(p, s->start), width = (s->end - s->start) * p->scale;

		if (drawn_depth(s) != depth)
			continue;
		if (width >= 1) {
			draw_wide(p, s, x, width);
			continue;
		}
		if (!narrow)
			memset(p->bins, 0, p->nbins * sizeof p->bins[0]);
		narrow = true;
		add_narrow(p, s, x);
	}
	if (narrow)
		draw_bins(p, depth);
}

static double share_of(const struct picture *p, const struct row *r)
{
	const struct pool *pool = &p->trace->pools[r->pool];

	return pool->end > pool->start ? fmin(r->busy / (pool->end - pool->start), 1) : 0;
}

/* At the left its name, at the right its share. */
static void draw_margins(const struct picture *p, const struct row *r)
{
	double y = p->y + p->look->bar / 2 + 0.36 * p->look->letters;

	printf("<text class=\"row\" x=\"%d\" y=\"%.1f\">", LEFT - 8, y);
	put_text(row_name(r), (LEFT - 16) / p->look->letters);
	printf("</text>\n");
	if (r->busy > 0 || is_worker(r))
		printf("<text class=\"row\" x=\"%.0f\" y=\"%.1f\">%.1f %%</text>\n", LEFT + p->width + RIGHT - 10, y,
		       100 * share_of(p, r));
}

/* The place-th of its pool. */
static void draw_row(struct picture *p, const struct row *r, size_t place, const struct span *first,
                     const struct span *last)
{
	if (place % p->look->step == 0)
		draw_margins(p, r);
	printf("<rect class=\"track\" x=\"%d\" y=\"%.1f\" width=\"%.0f\" height=\"%.0f\"><title>", LEFT, p->y,
	       p->width, p->look->bar);
	put_text(row_name(r), 200);
	printf("\nbusy %.1f %%</title></rect>\n", 100 * share_of(p, r));
	for (unsigned depth = 0; depth < DEPTHS; depth++)
		draw_depth(p, first, last, depth);
	p->y += p->look->row;
}

/* ------------------------------------------------------------------------------------------------------------ axis */

/* 1, 2 or 5 times a power of ten, so that there are about as many steps. */
static double nice_step(double length, double steps)
{
	double rough = length / steps, power = pow(10, floor(log10(rough))), n = rough / power;

	return (n <= 1 ? 1 : n <= 2 ? 2 : n <= 5 ? 5 : 10) * power;
}

/* Lines through the rows. */
static void draw_grid(const struct picture *p, double top, double bottom)
{
	double length = p->trace->end - p->trace->start;

	printf("<path class=\"grid\" d=\"");
	for (double n = 0; n * p->step <= length; n++)
		printf("M%.1f %.1fV%.1f", LEFT + n * p->step * p->scale, top, bottom);
	printf("\"/>\n");
}

static void draw_ticks(const struct picture *p, double y)
{
	double length = p->trace->end - p->trace->start;
	double unit = length >= 2e6 ? 1e6 : length >= 2e3 ? 1e3 : 1;
	const char *name = length >= 2e6 ? "s" : length >= 2e3 ? "ms" : "\302\265s";
	int decimals = p->step >= unit ? 0 : (int)ceil(log10(unit / p->step) - 1e-9);

	for (double n = 0; n * p->step <= length; n++)
		printf("<text class=\"tick\" x=\"%.1f\" y=\"%.1f\">%.*f%s%s</text>\n",
		       LEFT + n * p->step * p->scale, y, n > 0 ? decimals : 0, n * p->step / unit,
		       n > 0 ? "" : " ", n > 0 ? "" : name);
}

/* ----------------------------------------------------------------------------------------------------------- pools */

/* Its name, and how busy its workers were. */
static void draw_pool_title(struct picture *p, size_t row)
{
	const struct trace *t = p->trace;
	const size_t pool = t->rows[row].pool;
	const struct pool *o = &t->pools[pool];
	size_t workers = 0;
	double share = 0;

	for (size_t i = row; i < t->nrows && t->rows[i].pool == pool; i++)
		if (is_worker(&t->rows[i])) {
			workers++;
			share += share_of(p, &t->rows[i]);
		}
	p->y += GAP;
	printf("<text class=\"pool\" x=\"12\" y=\"%.1f\">", p->y + 12);
	put_text(o->name ? o->name : "(no name)", (LEFT + p->width + RIGHT - 250) / 13);
	printf("<tspan class=\"about\" dx=\"8\">");
	if (workers > 0 && o->end > o->start)
		printf("%zu worker%s, busy %.1f %% of ", workers, workers == 1 ? "" : "s",
		       100 * share / (double)workers);
	put_duration(fmax(o->end - o->start, 0));
	printf("</tspan></text>\n");
	p->y += POOL_TITLE;
}

/* The first sample of a pool: they are in order. */
static size_t first_sample(const struct trace *t, size_t pool)
{
	size_t low = 0, high = t->nsamples;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (t->samples[middle].pool < pool)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Steps; of those within a pixel the highest. */
static void draw_queue(struct picture *p, size_t pool)
{
	const struct trace *t = p->trace;
	const struct pool *o = &t->pools[pool];
	double bottom = p->y + QUEUE, x = x_of(p, o->start), value = 0, highest = 0, column = floor(x);

	printf("<text class=\"queue\" x=\"%d\" y=\"%.1f\">queue, up to %.0f</text>\n", LEFT - 8, p->y + 13,
	       o->longest_queue);
	printf("<path class=\"curve\" d=\"M%.1f %.1f", LEFT + x, bottom);
	for (size_t i = first_sample(t, pool); i < t->nsamples && t->samples[i].pool == pool; i++) {
		x = x_of(p, t->samples[i].at);
		if (floor(x) > column) {
			printf("V%.1fH%.1fV%.1f", bottom - QUEUE * highest / o->longest_queue, LEFT + column + 1,
			       bottom - QUEUE * value / o->longest_queue);
			if (floor(x) > column + 1)
				printf("H%.1f", LEFT + floor(x));
			column = floor(x);
			highest = value;
		}
		value = t->samples[i].value;
		highest = fmax(highest, value);
	}
	printf("V%.1fH%.1fV%.1fH%.1fV%.1fZ\"><title>calls in the queue, at most %.0f</title></path>\n",
	       bottom - QUEUE * highest / o->longest_queue, LEFT + column + 1,
	       bottom - QUEUE * value / o->longest_queue, LEFT + x_of(p, o->end), bottom, o->longest_queue);
	p->y += QUEUE + 6;
}

/* From its first row on; returns the first of the next pool. *spans goes along. */
static size_t draw_pool(struct picture *p, size_t row, const struct span **spans)
{
	const struct trace *t = p->trace;
	const struct span *s = *spans, *const end = t->spans + t->nspans, *first;
	const size_t pool = t->rows[row].pool;
	size_t place = 0;

	draw_pool_title(p, row);
	draw_grid(p, p->y - 4, p->y + height_of_pool(p, row, pool));
	for (; row < t->nrows && t->rows[row].pool == pool; row++) {
		for (first = s; s < end && s->row == row; s++)
			;
		if (is_shown(&t->rows[row]))
			draw_row(p, &t->rows[row], place++, first, s);
	}
	if (has_queue(&t->pools[pool]))
		draw_queue(p, pool);
	*spans = s;
	return row;
}

static void draw_pools(struct picture *p)
{
	const struct span *s = p->trace->spans;
	size_t row = 0;

	while (row < p->trace->nrows)
		row = is_shown(&p->trace->rows[row]) ? draw_pool(p, row, &s) : row + 1;
}

/* ---------------------------------------------------------------------------------------------------------- legend */

static void add_entry(struct picture *p, const char *fill, const char *name, double self)
{
	p->legend[p->nlegend++] = (struct legend_entry){fill, name, self};
}

/* The functions that have a colour to themselves, the others, and what is no work. */
static void make_legend(struct picture *p)
{
	const struct trace *t = p->trace;
	double others = -1, idle = -1, waiting = -1;

	for (int colour = 0; colour < LAST_COLOUR; colour++)
		for (size_t i = 0; i < t->nfunctions; i++)
			if (!t->functions[i].wait && t->functions[i].colour == colour)
				add_entry(p, colours[colour].fill, t->functions[i].name, t->functions[i].self);
	for (size_t i = 0; i < t->nfunctions; i++) {
		const struct function *f = &t->functions[i];
		double *sum = is_idle(f) ? &idle : f->wait ? &waiting : f->colour == LAST_COLOUR ? &others : NULL;

		if (sum)
			*sum = fmax(*sum, 0) + f->self;
	}
	if (others >= 0)
		add_entry(p, colours[LAST_COLOUR].fill, "others", others);
	if (waiting >= 0)
		add_entry(p, WAITING, "waiting", waiting);
	if (idle >= 0)
		add_entry(p, IDLE, "idle", idle);
}

static size_t legend_columns(const struct picture *p)
{
	size_t n = (size_t)((p->width + LEFT + RIGHT - 24) / LEGEND_COLUMN);

	return n ? n : 1;
}

static double height_of_legend(const struct picture *p)
{
	size_t columns = legend_columns(p);

	return (double)((p->nlegend + columns - 1) / columns) * LEGEND_LINE;
}

static void draw_legend(const struct picture *p)
{
	size_t columns = legend_columns(p);

	for (size_t i = 0; i < p->nlegend; i++) {
		double x = 12 + (double)(i % columns) * LEGEND_COLUMN, y = p->y + (double)(i / columns) * LEGEND_LINE;

		printf("<rect x=\"%.0f\" y=\"%.1f\" width=\"12\" height=\"12\" fill=\"%s\"/>", x, y,
		       p->legend[i].fill);
		printf("<text x=\"%.0f\" y=\"%.1f\">", x + 18, y + 10);
		put_text(p->legend[i].name, (LEGEND_COLUMN - 90) / 11.0);
		printf("<tspan class=\"about\" dx=\"8\">");
		put_duration(p->legend[i].self);
		printf("</tspan></text>\n");
	}
}

/* ------------------------------------------------------------------------------------------------------------- all */

static void draw_head(const struct picture *p, const char *title)
{
	double width = LEFT + p->width + RIGHT;

	printf("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
	       "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" height=\"%.0f\" viewBox=\"0 0 %.0f %.0f\">\n"
	       "<style>text{font:11px sans-serif;fill:#333}.title{font-size:15px;font-weight:bold}"
	       ".pool{font-size:13px;font-weight:bold}.about{font-size:11px;font-weight:normal;fill:#777}"
	       ".row,.queue,.share{text-anchor:end}.row{font-size:%.0fpx}.tick{text-anchor:middle;fill:#777}"
	       ".in{font-size:%dpx;pointer-events:none}.edge{stroke:#fff;stroke-width:.5}"
	       ".track{fill:#eff1f4;fill-opacity:.6}.curve{fill:#ccd8e8;stroke:#7f95b2;stroke-width:.7}"
	       ".grid{stroke:#d3d9e0;stroke-width:.8;fill:none}</style>\n"
	       "<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n"
	       "<text class=\"title\" x=\"12\" y=\"24\">", width, p->height, width, p->height, p->look->letters,
	       LABEL);
	put_text(title, (width - RIGHT - 24) / 15);
	printf("</text>\n<text class=\"share\" x=\"%.0f\" y=\"24\">busy</text>\n", width - 10);
}

void draw(const struct trace *trace, const char *title, int width)
{
	struct picture p = {.trace = trace, .width = width - LEFT - RIGHT, .look = looks};
	double length = fmax(trace->end - trace->start, 0.001);  /* no time at all has a width, too */
	bool tall;

	p.scale = p.width / length;
	p.step = nice_step(length, fmax(p.width / 110, 3));
	p.nbins = (size_t)p.width;
	p.bins = allocate(p.nbins * sizeof p.bins[0]);
	for (size_t rows = shown_rows(trace); rows > p.look->rows;)
		p.look++;
	make_legend(&p);
	p.y = HEADER - GAP + height_of_pools(&p);
	tall = p.y > TALL;
	p.y += tall ? GAP : 0;
	p.height = p.y + AXIS + height_of_legend(&p) + GAP;
	draw_head(&p, title);
	draw_ticks(&p, p.y + 14);
	p.y = HEADER - GAP;
	if (tall) {
		draw_ticks(&p, p.y + 14);
		p.y += GAP;
	}
	draw_pools(&p);
	p.y += AXIS;
	draw_legend(&p);
	printf("</svg>\n");
	free(p.bins);
}
