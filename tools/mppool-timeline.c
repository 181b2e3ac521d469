/* mppool-timeline.c - draw a trace of mppool as a picture: mppool-timeline trace.json > trace.svg
 *
 * SPDX-License-Identifier: MIT */
#ifdef HAVE_CONFIG_H
#include <config.h>
#endif

#include "timeline.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define USUAL_WIDTH 1200
#define LEAST_WIDTH 400
#define MOST_WIDTH 20000

static const char usage[] =
	"Usage: mppool-timeline [-w WIDTH] FILE >FILE.svg\n"
	"Draw a trace of a program that uses mppool (MPPOOL_TRACE=FILE ./program) as an SVG picture.\n"
	"\n"
	"  -w WIDTH    width of the picture, " "400 to 20000; default 1200\n"
	"  -h, --help  show this and exit\n"
	"  --version   show the version and exit\n"
	"\n"
	"FILE is - for standard input.\n";

void fail(const char *format, ...)
{
	va_list args;

	fflush(stdout);
	fputs("mppool-timeline: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(1);
}

void *allocate(size_t size)
{
	void *memory = calloc(1, size ? size : 1);

	if (!memory)
		fail("not enough memory");
	return memory;
}

void *grow(void *array, size_t *n, size_t *room, size_t size)
{
	if (*n == *room) {
		*room = 2 * *room + 64;
		if (*room > (size_t)-1 / 4 / size || (array = realloc(array, *room * size)) == NULL)
			fail("not enough memory");
	}
	memset((char *)array + *n * size, 0, size);
	++*n;
	return array;
}

static char *read_all(FILE *file, const char *name, size_t *ret_size)
{
	size_t size = 0, room = 1 << 16, n;
	char *text = allocate(room);

	while ((n = fread(text + size, 1, room - size - 1, file)) > 0) {
		size += n;
		if (room - size > 1)
			continue;
		room *= 2;
		text = realloc(text, room);
		if (!text)
			fail("%s: not enough memory", name);
	}
	if (ferror(file))
		fail("%s: %s", name, strerror(errno));
	text[size] = '\0';
	*ret_size = size;
	return text;
}

static char *read_input(const char *name, size_t *ret_size)
{
	FILE *file = strcmp(name, "-") == 0 ? stdin : fopen(name, "rb");
	char *text;

	if (!file)
		fail("%s: %s", name, strerror(errno));
	text = read_all(file, name, ret_size);
	if (file != stdin)
		fclose(file);
	return text;
}

static void bad_usage(const char *what, const char *argument)
{
	fprintf(stderr, "mppool-timeline: %s%s\n%s", what, argument, usage);
	exit(2);
}

static int parse_width(const char *text)
{
	char *end;
	long width;

	if (!text)
		bad_usage("-w needs a WIDTH", "");
	width = strtol(text, &end, 10);
	if (width < LEAST_WIDTH || width > MOST_WIDTH || *end)
		bad_usage("WIDTH is a number from 400 to 20000, and not ", text);
	return (int)width;
}

static void show(const char *text)
{
	fputs(text, stdout);
	exit(fflush(stdout) || ferror(stdout));
}

int main(int argc, char **argv)
{
	static struct trace trace;       /* never freed */
	const char *name = NULL, *shown;
	int width = USUAL_WIDTH;
	size_t size;
	char *text;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
			show(usage);
		else if (strcmp(argv[i], "--version") == 0)
			show("mppool-timeline " PACKAGE_VERSION "\n");
		else if (strcmp(argv[i], "-w") == 0)
			width = parse_width(argv[++i]);
		else if (argv[i][0] == '-' && argv[i][1])
			bad_usage("there is no option ", argv[i]);
		else if (name)
			bad_usage("there is one FILE at a time, and not also ", argv[i]);
		else
			name = argv[i];
	}
	if (!name)
		bad_usage("a FILE is needed", "");
	shown = strcmp(name, "-") == 0 ? "standard input" : name;
	text = read_input(name, &size);
	read_trace(&trace, shown, text, size);
	free(text);
	if (trace.nspans == 0)
		fail("%s: there is nothing to draw: no span is in it", shown);
	arrange(&trace);
	draw(&trace, shown, width);
	if (fflush(stdout) || ferror(stdout))
		fail("standard output: %s", strerror(errno));
	return 0;
}
