/* layer 5: waiting with a bar that shows how far it is. */
#include "wait.h"

#include "iter.h"
#include "memory.h"
#include "output.h"

#include <inttypes.h>
#include <stdio.h>

#define SECOND 1000000000
#define TICK (SECOND / 5)        /* a bar is drawn anew so often, and the count is looked at */
#define QUIET (10 * (int64_t)SECOND)     /* where no bar is drawn: a line at each tenth, and after so long */
#define MOST_COLUMNS 240
#define LINE (4 * MOST_COLUMNS + 64)     /* bytes of a line; a character has up to four */
#define SHORTEST_BAR 5

struct progress {
	mppool_result *result;           /* one of the two */
	mppool_iter *iter;
	int fd;
	const char *label;               /* or "" */
	bool terminal;
	bool broken;                     /* nothing can be written there any more */
	int64_t start;                   /* of this call */
	size_t first;                    /* done at the start */
	size_t done, total;
	size_t columns;                  /* that the line on the terminal takes */
	int64_t line_at;                 /* no terminal: when the last line was written; */
	size_t tenth;                    /* how many tenths had been done then */
};

struct line {
	size_t bytes, columns;
	size_t most;                     /* columns; no more are put there */
	char text[LINE];
};

/* ---------------------------------------------------------------------------------------------------------- pieces */

/* Characters of UTF-8 take one column each; what would move the cursor becomes a space. */
static void put_some(struct line *line, const char *text, size_t columns)
{
	size_t end = mpp_min(columns, line->most - line->columns) + line->columns;

	for (; *text && line->bytes < sizeof line->text - 1; text++) {
		unsigned char c = (unsigned char)*text;
		bool continues = c >= 0x80 && c < 0xc0;

		if (!continues && line->columns == end)
			return;
		line->text[line->bytes++] = (char)(c < 0x20 || c == 0x7f ? ' ' : c);
		line->columns += !continues;
	}
}

static void put(struct line *line, const char *text)
{
	put_some(line, text, SIZE_MAX);
}

static void put_many(struct line *line, const char *text, size_t n)
{
	while (n-- > 0)
		put(line, text);
}

/* So many per second; where that is less than one, per minute or per hour. */
static void format_rate(char *to, size_t size, double per_second)
{
	static const struct {
		double seconds;
		const char *name;
	} units[] = {{1, "s"}, {60, "min"}, {3600, "h"}};
	size_t unit = 0;
	double rate;

	while (unit < 2 && per_second * units[unit].seconds < 1)
		unit++;
	rate = per_second * units[unit].seconds;
	if (rate >= 1e6)
		snprintf(to, size, "%.1fM/%s", rate / 1e6, units[unit].name);
	else
		snprintf(to, size, "%.*f/%s", rate < 10 ? 1 : 0, rate, units[unit].name);
}

static void format_time(char *to, size_t size, double seconds)
{
	uint64_t s = seconds < 8e6 ? (uint64_t)(seconds + 0.5) : 8000000;        /* some 92 days */

	if (s < 3600)
		snprintf(to, size, "%" PRIu64 ":%02" PRIu64, s / 60, s % 60);
	else if (s < 86400)
		snprintf(to, size, "%" PRIu64 ":%02" PRIu64 ":%02" PRIu64, s / 3600, s / 60 % 60, s % 60);
	else
		snprintf(to, size, "%" PRIu64 "d %" PRIu64 "h", s / 86400, s / 3600 % 24);
}

static double rate_of(const struct progress *p)
{
	double seconds = (double)(mpp_now() - p->start) / SECOND;

	return seconds > 0 && p->done > p->first ? (double)(p->done - p->first) / seconds : 0;
}

/* Count and total, rate, and the time left; once it is over, the time that it took. */
static void put_numbers(const struct progress *p, bool over, struct line *line)
{
	char text[64];
	double rate = rate_of(p);

	if (p->total == MPPOOL_UNKNOWN)
		snprintf(text, sizeof text, "%zu", p->done);
	else
		snprintf(text, sizeof text, "%zu/%zu", p->done, p->total);
	put(line, text);
	if (rate > 0) {
		format_rate(text, sizeof text, rate);
		put(line, "  ");
		put(line, text);
	}
	if (over) {
		format_time(text, sizeof text, (double)(mpp_now() - p->start) / SECOND);
		put(line, "  in ");
		put(line, text);
	} else if (p->total != MPPOOL_UNKNOWN && rate > 0) {
		format_time(text, sizeof text, (double)(p->total - p->done) / rate);
		put(line, "  ");
		put(line, text);
		put(line, " left");
	}
}

static size_t share(const struct progress *p, size_t of)
{
	if (p->total == 0)
		return of;
	return (size_t)((double)p->done / (double)p->total * (double)of);
}

static void put_percent(const struct progress *p, struct line *line)
{
	char text[16];

	if (p->total == MPPOOL_UNKNOWN)
		return;
	snprintf(text, sizeof text, "%3zu%% ", share(p, 100));
	put(line, text);
}

/* ----------------------------------------------------------------------------------------------------------- lines */

/* As wide as the room between the percentage and the numbers is. */
static void put_bar(const struct progress *p, size_t room, struct line *line)
{
	size_t full;

	if (p->total == MPPOOL_UNKNOWN || room < SHORTEST_BAR + 3)
		return;
	room -= 3;
	full = share(p, room);
	put(line, "[");
	put_many(line, "#", full);
	put_many(line, ".", room - full);
	put(line, "] ");
}

/* At most so many columns, of which the label has up to half. */
static void make_line(const struct progress *p, bool over, size_t columns, bool with_bar, struct line *line)
{
	struct line numbers;

	line->bytes = line->columns = numbers.bytes = numbers.columns = 0;
	line->most = numbers.most = columns;
	put_numbers(p, over, &numbers);
	if (p->label[0]) {
		put_some(line, p->label, columns / 2);
		put(line, " ");
	}
	put_percent(p, line);
	if (with_bar && columns > line->columns + numbers.columns)
		put_bar(p, columns - line->columns - numbers.columns, line);
	numbers.text[numbers.bytes] = '\0';
	put(line, numbers.text);
}

static void emit(struct progress *p, const char *text, size_t bytes)
{
	int error = mpp_output_now(p->fd, text, bytes);

	if (error && error != EAGAIN)
		p->broken = true;
}

/* Over the line that is there. One column stays free: a terminal might go to its next line there. */
static void draw_bar(struct progress *p, bool over)
{
	size_t columns = mpp_min(mpp_output_columns(p->fd), MOST_COLUMNS) - 1, before = p->columns;
	struct line line;
	char text[LINE + MOST_COLUMNS + 2];
	size_t bytes = 0;

	make_line(p, over, columns, true, &line);
	text[bytes++] = '\r';
	memcpy(text + bytes, line.text, line.bytes);
	bytes += line.bytes;
	for (size_t i = line.columns; i < mpp_min(before, columns); i++)
		text[bytes++] = ' ';
	if (over)
		text[bytes++] = '\n';
	p->columns = line.columns;
	emit(p, text, bytes);
}

static void erase_bar(struct progress *p)
{
	char text[MOST_COLUMNS + 2];

	text[0] = text[p->columns + 1] = '\r';
	memset(text + 1, ' ', p->columns);
	if (p->columns > 0 && !p->broken)
		emit(p, text, p->columns + 2);
}

static void write_line(struct progress *p, bool over)
{
	struct line line;

	make_line(p, over, 79, false, &line);
	line.text[line.bytes] = '\n';
	emit(p, line.text, line.bytes + 1);
	p->line_at = mpp_now();
}

/* Where a bar cannot be drawn, too many lines would be in the way. */
static bool line_due(struct progress *p)
{
	size_t tenth = p->total == MPPOOL_UNKNOWN ? 0 : share(p, 10);
	bool due = tenth > p->tenth || mpp_now() - p->line_at > QUIET;

	p->tenth = tenth;
	return due;
}

static void look(struct progress *p)
{
	if (p->iter)
		p->iter->kind->progress(p->iter, &p->done, &p->total);
	else
		mppool_result_progress(p->result, &p->done, &p->total);
	p->done = mpp_min(p->done, p->total);    /* the two were not looked up at once */
}

static void begin(struct progress *p)
{
	look(p);
	p->first = p->done;
	p->terminal = mpp_output_is_terminal(p->fd);
	p->start = p->line_at = mpp_now();
	p->tenth = p->total == MPPOOL_UNKNOWN ? 0 : share(p, 10);
}

static void show(struct progress *p, bool over)
{
	if (p->broken)
		return;
	look(p);
	if (p->terminal)
		draw_bar(p, over);
	else if (line_due(p) || over)
		write_line(p, over);
}

/* --------------------------------------------------------------------------------------------------------- waiting */

/* The waits of mppool_result_wait(), cut into pieces: this thread has something to do meanwhile. */
static int wait_and_show(struct progress *p, int64_t deadline)
{
	struct mpp_job *job = mpp_job_of(p->result);
	int code;

	for (;;) {
		int64_t next = mpp_now() + TICK;

		code = mpp_wait_for(job, deadline < next ? deadline : next, false);
		if (code != ETIMEDOUT || deadline < next)
			break;
		show(p, false);
	}
	if (code == 0)
		show(p, true);
	else if (p->terminal)
		erase_bar(p);
	return code;
}

static int progress_bar(mppool_result *result, int fd, const char *label, double timeout)
{
	struct progress p = {.result = result, .fd = fd, .label = label ? label : ""};
	int64_t deadline;
	int error;

	if (mpp_fail_timeout(timeout, &deadline) != 0)
		return EINVAL;
	error = mppool_result_progress(result, NULL, NULL);
	if (error)
		return error;
	begin(&p);
	return wait_and_show(&p, deadline);
}

MPP_PUBLIC int mppool_result_progress_bar(mppool_result *result, int fd, const char *label, double timeout)
{
	return mpp_report(progress_bar(result, fd, label, timeout));
}

/* ------------------------------------------------------------------------------------------------------- iterators */

/* Several consumers may take at once: the one that comes first draws, the others go on. */
struct mpp_bar {
	struct progress p;               /* of the thread that has set `busy` */
	int64_t drawn_at;                /* the same */
	bool over;                       /* the same */
	_Atomic bool busy;
	char label[];
};

struct mpp_bar *mpp_bar_new(mppool_iter *iter, int fd, const char *label)
{
	size_t size = label ? strlen(label) + 1 : 1;
	struct mpp_bar *bar = mpp_zalloc(sizeof *bar + size);

	if (!bar)
		return NULL;
	if (label)
		memcpy(bar->label, label, size);
	bar->p.iter = iter;
	bar->p.fd = fd;
	bar->p.label = bar->label;
	begin(&bar->p);
	return bar;
}

static void show_bar(struct mpp_bar *bar, bool over)
{
	if (mpp_swap(&bar->busy, true))
		return;
	if (!bar->over && (over || mpp_now() - bar->drawn_at >= TICK)) {
		show(&bar->p, over);
		bar->drawn_at = mpp_now();
		bar->over = over;
	}
	mpp_store(&bar->busy, false);
}

void mpp_bar_free(struct mpp_bar *bar)
{
	if (bar && !bar->over && bar->p.terminal)
		erase_bar(&bar->p);
	mpp_free(bar);
}

int mpp_bar_next(struct mpp_bar *bar, void *ret_result, size_t *ret_index, int64_t deadline)
{
	mppool_iter *iter = bar->p.iter;
	int code;

	for (;;) {
		int64_t next = mpp_now() + TICK;

		code = iter->kind->next(iter, ret_result, ret_index, deadline < next ? deadline : next);
		show_bar(bar, code == MPPOOL_ESTOP);
		if (code != ETIMEDOUT || deadline < next)
			return code;
	}
}
