/* svg.c - draw a trace
 *
 * SPDX-License-Identifier: MIT
 *
 * For each pool its rows, with the share of the time that each was busy, and under them the length of its queue; at
 * the bottom the legend. What is wider than a pixel is drawn as it is. What is narrower is added up, pixel by pixel, and
 * drawn as strongly as the pixel is full: so the picture of a million spans is no larger than that of a few. */
#include "timeline.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LEFT 160                 /* for the rows' names */
#define RIGHT 64                 /* for their shares */
#define HEADER 46
#define POOL_TITLE 24
#define ROW 24
#define BAR 18
#define QUEUE 40
#define GAP 16
#define AXIS 34
#define LEGEND_LINE 18
#define LEGEND_COLUMN 260
#define DEPTHS 4                 /* nested more deeply is drawn like this */
#define INSET 3
#define LETTER 6.3               /* pixels that a letter is wide, about */
#define SHADES 6                 /* of what is narrower than a pixel */

static const struct {
	const char *fill, *text;
} colours[] = {
	{"#0072b2", "#fff"}, {"#e69f00", "#222"}, {"#009e73", "#fff"}, {"#cc79a7", "#222"}, {"#56b4e9", "#222"},
	{"#d55e00", "#fff"}, {"#7b61a8", "#fff"}, {"#a59a1f", "#fff"}, {"#8c5a3c", "#fff"}, {"#888888", "#fff"},
};
#define LAST_COLOUR ((int)(sizeof colours / sizeof colours[0]) - 1)
#define WAITING "#dde2e8"

struct picture {
	const struct trace *trace;
	double width, scale;             /* of the part with the spans; pixels in a microsecond */
	double height, y;
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
static size_t character(const unsigned char *s)
{
	size_t length = s[0] < 0x80 ? 1 : s[0] >= 0xc2 && s[0] < 0xe0 ? 2 : (s[0] & 0xf0) == 0xe0 ? 3
	                : s[0] >= 0xf0 && s[0] < 0xf5 ? 4 : 0;

	for (size_t i = 1; i < length; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] >= 0xa0) || (s[0] == 0xf0 && s[1] < 0x90) ||
	    (s[0] == 0xf4 && s[1] >= 0x90) || (s[0] == 0xef && s[1] == 0xbf && s[2] >= 0xbe))
		return 0;
	return s[0] >= 0x20 && s[0] != 0x7f ? length : 0;
}

/* At most so many characters; with an ellipsis if there were more. */
static void put_text(const char *text, size_t most)
{
	const unsigned char *s = (const unsigned char *)text;

	for (; *s && most > 0; most--) {
		size_t length = character(s);

		if (most == 1 && s[length ? length : 1])
			fputs("\342\200\246", stdout);
		else if (length == 0)
			fputs("\357\277\275", stdout);
		else if (*s == '&')
			fputs("&amp;", stdout);
		else if (*s == '<')
			fputs("&lt;", stdout);
		else if (*s == '>')
			fputs("&gt;", stdout);
		else if (*s == '"')
			fputs("&quot;", stdout);
		else
			fwrite(s, 1, length, stdout);
		s += length ? length : 1;
	}
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

static size_t named_functions(const struct trace *t)
{
	size_t n = 0;

	for (size_t i = 0; i < t->nfunctions; i++)
		n += !t->functions[i].wait && t->functions[i].colour < LAST_COLOUR;
	return n;
}

/* The named ones, what waits, and perhaps the others. */
static size_t legend_entries(const struct trace *t)
{
	size_t named = named_functions(t), others = 0;

	for (size_t i = 0; i < t->nfunctions; i++)
		others += !t->functions[i].wait && t->functions[i].colour == LAST_COLOUR;
	return named + 1 + (others > 0);
}

static size_t legend_columns(const struct picture *p)
{
	size_t n = (size_t)((p->width + LEFT) / LEGEND_COLUMN);

	return n ? n : 1;
}

/* Of the pools, with their gaps. */
static double height_of_pools(const struct trace *t)
{
	double height = 0;
	size_t pool = (size_t)-1;

	for (size_t i = 0; i < t->nrows; i++) {
		if (t->rows[i].spans == 0)
			continue;
		if (t->rows[i].pool != pool) {
			pool = t->rows[i].pool;
			height += POOL_TITLE + GAP + (has_queue(&t->pools[pool]) ? QUEUE + 6 : 0);
		}
		height += ROW;
	}
	return height;
}

static double height_of_legend(const struct picture *p)
{
	size_t columns = legend_columns(p);

	return (double)((legend_entries(p->trace) + columns - 1) / columns) * LEGEND_LINE;
}

/* ----------------------------------------------------------------------------------------------------------- spans */

static unsigned drawn_depth(const struct span *s)
{
	return s->depth < DEPTHS ? s->depth : DEPTHS - 1;
}

static const char *fill_of(const struct trace *t, size_t function)
{
	const struct function *f = &t->functions[function];

	return f->wait ? WAITING : colours[f->colour].fill;
}

static void put_title(const struct picture *p, const struct span *s)
{
	const struct trace *t = p->trace;

	printf("<title>%s", s->prefix);
	put_text(t->functions[s->function].name, 200);
	printf("\n");
	put_duration(s->end - s->start);
	printf(" from ");
	put_duration(s->start - t->start);
	if (!s->wait && s->calls > 1)
		printf("\n%.0f calls", s->calls);
	if (!s->wait && s->items > 1)
		printf("\n%.0f items", s->items);
	printf("</title>");
}

/* As long as there is room before what is inside of it. */
static void put_label(const struct picture *p, const struct span *s, double x, double width)
{
	const struct trace *t = p->trace;
	const struct function *f = &t->functions[s->function];
	const struct span *next = s + 1;
	double letters;

	if (next < t->spans + t->nspans && next->row == s->row && next->depth > s->depth)
		width = fmin(width, x_of(p, next->start) - x);
	letters = (width - 8) / LETTER - (double)strlen(s->prefix);

	if (s->wait || s->depth > 0 || letters < 4)
		return;
	printf("<text class=\"in\" x=\"%.1f\" y=\"%.1f\" style=\"fill:%s\">", LEFT + x + 4, p->y + 13,
	       colours[f->colour].text);
	fputs(s->prefix, stdout);
	put_text(f->name, (size_t)letters);
	printf("</text>\n");
}

static void draw_wide(const struct picture *p, const struct span *s, double x, double width)
{
	double inset = INSET * drawn_depth(s), length = s->end - s->start, full = length > 0 ? s->busy / length : 1;

	printf("<rect x=\"%.2f\" y=\"%.1f\" width=\"%.2f\" height=\"%.1f\" fill=\"%s\"", LEFT + x, p->y + inset, width,
	       BAR - 2 * inset, fill_of(p->trace, s->function));
	if (!s->wait && full < 0.95)
		printf(" fill-opacity=\"%.2f\"", 0.3 + 0.7 * full);
	if (width > 4 && !s->wait)
		printf(" stroke=\"#fff\" stroke-width=\".5\"");
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
	int shade = (int)ceil(bin->full * SHADES - 0.05);

	return bin->full <= 0 ? 0 : shade < 1 ? 1 : shade > SHADES ? SHADES : shade;
}

/* Neighbours that look alike are one rectangle. */
static void draw_bins(const struct picture *p, unsigned depth)
{
	double inset = INSET * depth, calls;
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
		       "<title>", LEFT + from, p->y + inset, to - from, BAR - 2 * inset,
		       fill_of(p->trace, p->bins[from].function), (double)shade / SHADES);
		put_text(p->trace->functions[p->bins[from].function].name, 200);
		printf("\nand more, each narrower than a pixel\n%.0f calls</title></rect>\n", calls);
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

static void draw_row(struct picture *p, size_t row, const struct span *first, const struct span *last)
{
	const struct row *r = &p->trace->rows[row];
	const struct pool *pool = &p->trace->pools[r->pool];

	printf("<text class=\"row\" x=\"%d\" y=\"%.1f\">", LEFT - 8, p->y + 13);
	put_text(row_name(r), 24);
	printf("</text>\n<rect class=\"track\" x=\"%d\" y=\"%.1f\" width=\"%.0f\" height=\"%d\"/>\n", LEFT, p->y,
	       p->width, BAR);
	for (unsigned depth = 0; depth < DEPTHS; depth++)
		draw_depth(p, first, last, depth);
	if (r->busy > 0 && pool->end > pool->start)
		printf("<text class=\"share\" x=\"%.0f\" y=\"%.1f\">%.1f %%</text>\n", LEFT + p->width + RIGHT - 10,
		       p->y + 13, 100 * fmin(r->busy / (pool->end - pool->start), 1));
	p->y += ROW;
}

/* ----------------------------------------------------------------------------------------------------------- pools */

/* Its name, and how busy its workers were. */
static void draw_pool_title(struct picture *p, size_t pool)
{
	const struct trace *t = p->trace;
	const struct pool *o = &t->pools[pool];
	size_t workers = 0;
	double busy = 0;

	for (size_t i = 0; i < t->nrows; i++)
		if (t->rows[i].pool == pool && is_worker(&t->rows[i])) {
			workers++;
			busy += t->rows[i].busy;
		}
	p->y += GAP;
	printf("<text class=\"pool\" x=\"12\" y=\"%.1f\">", p->y + 12);
	put_text(o->name ? o->name : "(no name)", 60);
	printf("<tspan class=\"about\" dx=\"8\">");
	if (workers > 0 && o->end > o->start)
		printf("%zu worker%s, busy %.1f %% of ", workers, workers == 1 ? "" : "s",
		       100 * busy / (double)workers / (o->end - o->start));
	put_duration(fmax(o->end - o->start, 0));
	printf("</tspan></text>\n");
	p->y += POOL_TITLE;
}

/* Steps; of those within a pixel the highest. */
static void draw_queue(struct picture *p, size_t pool)
{
	const struct trace *t = p->trace;
	const struct pool *o = &t->pools[pool];
	double bottom = p->y + QUEUE, x = x_of(p, o->start), value = 0, highest = 0, column = floor(x);

	printf("<text class=\"row\" x=\"%d\" y=\"%.1f\">queue, up to %.0f</text>\n", LEFT - 8, p->y + 13,
	       o->longest_queue);
	printf("<path fill=\"#b9c4d0\" d=\"M%.1f %.1f", LEFT + x, bottom);
	for (size_t i = 0; i < t->nsamples; i++) {
		if (t->samples[i].pool != pool)
			continue;
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

static void draw_pools(struct picture *p)
{
	const struct trace *t = p->trace;
	const struct span *s = t->spans, *const end = t->spans + t->nspans, *first;
	size_t pool = (size_t)-1;

	while (s < end) {
		size_t row = s->row;

		if (t->rows[row].pool != pool) {
			pool = t->rows[row].pool;
			draw_pool_title(p, pool);
		}
		for (first = s; s < end && s->row == row; s++)
			;
		draw_row(p, row, first, s);
		if (has_queue(&t->pools[pool]) && (s == end || t->rows[s->row].pool != pool))
			draw_queue(p, pool);
	}
}

/* ------------------------------------------------------------------------------------------------- axis and legend */

/* 1, 2 or 5 times a power of ten, so that there are about as many steps. */
static double nice_step(double length, double steps)
{
	double rough = length / steps, power = pow(10, floor(log10(rough))), n = rough / power;

	return (n <= 1 ? 1 : n <= 2 ? 2 : n <= 5 ? 5 : 10) * power;
}

static void draw_axis(const struct picture *p, double top, double bottom)
{
	double length = p->trace->end - p->trace->start;
	double step = length > 0 ? nice_step(length, p->width / 110) : 1;
	double unit = length >= 2e6 ? 1e6 : length >= 2e3 ? 1e3 : 1;
	const char *name = length >= 2e6 ? "s" : length >= 2e3 ? "ms" : "\302\265s";
	int decimals = step >= unit ? 0 : (int)ceil(log10(unit / step) - 1e-9);

	for (double n = 0; n * step <= length; n++) {
		double x = LEFT + n * step * p->scale;

		printf("<path class=\"grid\" d=\"M%.1f %.1fV%.1f\"/>"
		       "<text class=\"tick\" x=\"%.1f\" y=\"%.1f\">%.*f%s%s</text>\n", x, top, bottom, x,
		       bottom + 14, decimals, n * step / unit, n > 0 ? "" : " ", n > 0 ? "" : name);
	}
}

static void legend_entry(const struct picture *p, size_t i, const char *fill, const char *name)
{
	size_t columns = legend_columns(p);
	double x = 12 + (double)(i % columns) * LEGEND_COLUMN, y = p->y + (double)(i / columns) * LEGEND_LINE;

	printf("<rect x=\"%.0f\" y=\"%.1f\" width=\"12\" height=\"12\" fill=\"%s\"/>", x, y, fill);
	printf("<text x=\"%.0f\" y=\"%.1f\">", x + 18, y + 10);
	put_text(name, 22);
}

static void draw_legend(const struct picture *p)
{
	const struct trace *t = p->trace;
	size_t n = 0, entries = legend_entries(t);

	for (int colour = 0; colour < LAST_COLOUR; colour++)
		for (size_t i = 0; i < t->nfunctions; i++) {
			const struct function *f = &t->functions[i];

			if (f->wait || f->colour != colour)
				continue;
			legend_entry(p, n++, colours[colour].fill, f->name);
			printf("<tspan class=\"about\" dx=\"8\">");
			put_duration(f->self);
			printf("</tspan></text>\n");
		}
	if (n + 1 < entries) {
		legend_entry(p, n++, colours[LAST_COLOUR].fill, "others");
		printf("</text>\n");
	}
	legend_entry(p, n, WAITING, "idle or waiting");
	printf("</text>\n");
}

static void draw_head(const struct picture *p, const char *title)
{
	double width = LEFT + p->width + RIGHT;

	printf("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
	       "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" height=\"%.0f\" viewBox=\"0 0 %.0f %.0f\">\n"
	       "<style>text{font:11px sans-serif;fill:#333}.title{font-size:15px;font-weight:bold}"
	       ".pool{font-size:13px;font-weight:bold}.about{font-size:11px;font-weight:normal;fill:#777}"
	       ".row,.share{text-anchor:end}.tick{text-anchor:middle;fill:#777}.in{font-size:10px;"
	       "pointer-events:none}.track{fill:#eff1f4;fill-opacity:.6}.grid{stroke:#d3d9e0;stroke-width:.8;fill:none}</style>\n"
	       "<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n"
	       "<text class=\"title\" x=\"12\" y=\"24\">", width, p->height, width, p->height);
	put_text(title, 100);
	printf("</text>\n<text class=\"share\" x=\"%.0f\" y=\"24\">busy</text>\n", LEFT + p->width + RIGHT - 10);
}

void draw(const struct trace *trace, const char *title, int width)
{
	struct picture p = {.trace = trace, .width = width - LEFT - RIGHT};
	double length = trace->end - trace->start;

	p.scale = length > 0 ? p.width / length : 1;
	p.nbins = (size_t)p.width;
	p.bins = allocate(p.nbins * sizeof p.bins[0]);
	p.y = HEADER - GAP + height_of_pools(trace);
	p.height = p.y + AXIS + height_of_legend(&p) + GAP;
	draw_head(&p, title);
	draw_axis(&p, HEADER - 8, p.y);
	p.y = HEADER - GAP;
	draw_pools(&p);
	p.y += AXIS;
	draw_legend(&p);
	printf("</svg>\n");
	free(p.bins);
}
