/* harness.c - arguments, clocks, samples, output
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "harness.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

/* ----------------------------------------------------------------------------------------------------------- works */

/* What a work measures where the command line does not say: items, workers (0: as many as CPUs), repetitions. */
static const struct defaults {
	const char *work;
	long n;
	int workers, reps;
	bool scaled;             /* n is a number of items: --scale may change it */
} all_defaults[] = {
	{"map_tiny", 10000000, 2, 5, true},
	{"map_chunk1", 1000000, 2, 4, true},
	{"submit_get", 1000000, 2, 3, true},
	{"submit_wait_all", 1000000, 2, 3, true},
	{"apply_latency", 100000, 2, 1, true},
	{"multi_producer", 1000000, 2, 3, true},
	{"stream_ordered", 1000000, 2, 1, true},
	{"stream_unordered", 1000000, 2, 1, true},
	{"blocking", 1024, 1024, 1, false},
	{"blocking4k", 4096, 4096, 1, false},
	{"create_destroy", 2000, 2, 1, true},
	{"skewed", 2000, 2, 1, false},
	{"nested", 27, 2, 1, false},
	{"memory", 1000000, 1, 1, true},
	{"idle", 3, 2, 1, false},
	{"task_length", 1000000, 0, 1, true},
	{"workers", 200000, 0, 1, true},
	{"arguments", 500000, 2, 2, true},
	{"callbacks", 500000, 2, 2, true},
	{"chunksize", 1000000, 2, 2, true},
	{"fair", 20000, 2, 1, true},
	{"floor", 1000, 2, 1, true},
};

static const struct defaults *find_defaults(const char *work)
{
	static const struct defaults none = {"", 1, 2, 1, false};

	for (size_t i = 0; i < sizeof all_defaults / sizeof *all_defaults; i++)
		if (strcmp(all_defaults[i].work, work) == 0)
			return &all_defaults[i];
	return &none;
}

/* --------------------------------------------------------------------------------------------------------- helpers */

double bench_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

int bench_cpus(void)
{
#ifdef CPU_COUNT
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof set, &set) == 0)
		return CPU_COUNT(&set);
#endif
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	return cpus > 0 ? (int)cpus : 1;
}

void bench_nap(long microseconds)
{
	struct timespec left = {microseconds / 1000000, microseconds % 1000000 * 1000};

	while (nanosleep(&left, &left) == -1 && errno == EINTR)
		continue;
}

void bench_fail(const char *what, int code)
{
	fprintf(stderr, "%s: error %d (%s)\n", what, code, strerror(code));
	exit(EXIT_FAILURE);
}

void *bench_alloc(size_t count, size_t size)
{
	char *memory = (char *)malloc(count * size + 1);

	if (!memory)
		bench_fail("malloc", ENOMEM);
	memset(memory, 1, count * size);         /* a calloc would leave pages that nobody has touched */
	return memset(memory, 0, count * size);
}

/* ------------------------------------------------------------------------------------------------------------ hits */

__thread struct bench_cell *bench_cell;
static struct bench_cell *cells;         /* of all threads that there ever were */

struct bench_cell *bench_cell_make(void)
{
	struct bench_cell *cell = (struct bench_cell *)calloc(1, sizeof *cell);

	if (!cell)
		bench_fail("calloc", ENOMEM);
	cell->next = __atomic_load_n(&cells, __ATOMIC_RELAXED);
	while (!__atomic_compare_exchange_n(&cells, &cell->next, cell, true, __ATOMIC_RELEASE, __ATOMIC_RELAXED))
		continue;
	return bench_cell = cell;
}

unsigned long bench_hits(void)
{
	unsigned long sum = 0;

	for (struct bench_cell *cell = __atomic_load_n(&cells, __ATOMIC_ACQUIRE); cell; cell = cell->next)
		sum += cell->hits;
	return sum;
}

unsigned long bench_hits_here(void)
{
	return bench_cell ? bench_cell->hits : 0;
}

/* --------------------------------------------------------------------------------------------------------- samples */

void bench_start(struct bench *b)
{
	b->notes_len = 0;
	b->notes[0] = '\0';
	getrusage(RUSAGE_SELF, &b->before);
	b->began = bench_now();
}

void bench_stop(struct bench *b)
{
	b->seconds = bench_now() - b->began;
	getrusage(RUSAGE_SELF, &b->used);
}

static double between(struct timeval from, struct timeval to)
{
	return (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_usec - from.tv_usec) * 1e-6;
}

/* What does not fit is left out: the line stays one JSON object. */
__attribute__((format(printf, 2, 3))) static void add_note(struct bench *b, const char *format, ...)
{
	size_t room = sizeof b->notes - b->notes_len;
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(b->notes + b->notes_len, room, format, args);
	va_end(args);
	if (len > 0 && (size_t)len < room)
		b->notes_len += (size_t)len;
	b->notes[b->notes_len] = '\0';
}

void bench_note(struct bench *b, const char *key, double value)
{
	add_note(b, "%s\"%s\":%.10g", b->notes_len ? "," : "", key, value);
}

void bench_note_text(struct bench *b, const char *key, const char *value)
{
	add_note(b, "%s\"%s\":\"%s\"", b->notes_len ? "," : "", key, value);
}

void bench_report_value(struct bench *b, long items, double value, const char *unit, bool ok)
{
	printf("{\"peer\":\"%s\",\"variant\":\"%s\",\"work\":\"%s\",\"n\":%ld,\"workers\":%d,\"rep\":%d,"
	       "\"ns_per_item\":%.3f,\"seconds\":%.9f,\"value\":%.6g,\"unit\":\"%s\",\"user\":%.6f,\"sys\":%.6f,"
	       "\"nvcsw\":%ld,\"nivcsw\":%ld,\"ok\":%s,\"extra\":{%s}}\n",
	       b->peer, b->variant, b->work, items, b->workers, b->rep, b->seconds * 1e9 / (double)(items ? items : 1),
	       b->seconds, value, unit, between(b->before.ru_utime, b->used.ru_utime),
	       between(b->before.ru_stime, b->used.ru_stime), b->used.ru_nvcsw - b->before.ru_nvcsw,
	       b->used.ru_nivcsw - b->before.ru_nivcsw, ok ? "true" : "false", b->notes);
	fflush(stdout);
}

void bench_report(struct bench *b, long items, bool ok)
{
	bench_report_value(b, items, b->seconds * 1e9 / (double)(items ? items : 1), "ns/item", ok);
}

static int unsupported_line(char *line, size_t size, const struct bench *b, const char *why)
{
	return snprintf(line, size,
	                "{\"peer\":\"%s\",\"variant\":\"%s\",\"work\":\"%s\",\"workers\":%d,\"unsupported\":\"%s\"}\n",
	                b->peer, b->variant, b->work, b->workers, why);
}

void bench_report_unsupported(struct bench *b, const char *why)
{
	char line[512];

	unsupported_line(line, sizeof line, b, why);
	fputs(line, stdout);
	fflush(stdout);
}

/* ------------------------------------------------------------------------------------------------------- deadlocks */

static char guard_line[512];
static size_t guard_len;

static void guard_rings(int signal)
{
	(void)signal;
	_exit(write(STDOUT_FILENO, guard_line, guard_len) == (ssize_t)guard_len ? EXIT_SUCCESS : EXIT_FAILURE);
}

void bench_guard(struct bench *b, unsigned seconds, const char *why)
{
	int len = unsupported_line(guard_line, sizeof guard_line, b, why);

	guard_len = len > 0 && (size_t)len < sizeof guard_line ? (size_t)len : sizeof guard_line - 1;
	signal(SIGALRM, guard_rings);
	alarm(seconds);
}

void bench_guard_end(void)
{
	alarm(0);
}

/* ------------------------------------------------------------------------------------------------------------ main */

struct arguments {
	const char *peer, *work, *variant;
	long n;
	int workers, reps;
	double scale;
	long param;
	bool list;
};

static void usage(FILE *to, const char *program)
{
	fprintf(to,
	        "usage: %s --work WORK [--variant V] [--n N] [--workers K] [--reps R] [--scale F] [--param P]\n"
	        "          [--peer NAME]\n"
	        "       %s --list\n"
	        "WORK may be \"all\". One JSON object per sample is printed.\n",
	        program, program);
}

/* True: the option was known and its value good; numbers are above 0, and a parameter may be 0. */
static bool take_option(struct arguments *a, const char *option, const char *value)
{
	char *end = NULL;
	double number = strtod(value, &end);
	bool counts = end != value && !*end && number > 0;

	if (strcmp(option, "--work") == 0)
		a->work = value;
	else if (strcmp(option, "--variant") == 0)
		a->variant = value;
	else if (strcmp(option, "--peer") == 0)
		a->peer = value;
	else if (strcmp(option, "--n") == 0 && counts)
		a->n = (long)number;
	else if (strcmp(option, "--workers") == 0 && counts)
		a->workers = (int)number;
	else if (strcmp(option, "--reps") == 0 && counts)
		a->reps = (int)number;
	else if (strcmp(option, "--scale") == 0 && counts)
		a->scale = number;
	else if (strcmp(option, "--param") == 0 && end != value && !*end && number >= 0)
		a->param = (long)number;
	else
		return false;
	return true;
}

static void parse(int argc, char **argv, struct arguments *a)
{
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--help") == 0) {
			usage(stdout, argv[0]);
			exit(EXIT_SUCCESS);
		}
		if (strcmp(argv[i], "--list") == 0) {
			a->list = true;
			continue;
		}
		if (i + 1 == argc || !take_option(a, argv[i], argv[i + 1])) {
			fprintf(stderr, "%s: do not understand %s %s\n", argv[0], argv[i],
			        i + 1 < argc ? argv[i + 1] : "");
			usage(stderr, argv[0]);
			exit(2);
		}
		i++;
	}
	if (!a->work && !a->list) {
		usage(stderr, argv[0]);
		exit(2);
	}
}

static void list(const struct bench_work *works)
{
	for (const struct bench_work *w = works; w->name; w++) {
		printf("%s%s%s", w->name, *w->variant ? "/" : "", w->variant);
		if (!w->run)
			printf(": not by this peer: %s", w->why_not);
		putchar('\n');
	}
}

static void run(const struct bench_work *w, const struct arguments *a)
{
	const struct defaults *defaults = find_defaults(w->name);
	struct bench b = {.peer = a->peer, .work = w->name, .variant = w->variant, .param = a->param};

	b.n = a->n ? a->n : defaults->scaled ? (long)((double)defaults->n * a->scale) : defaults->n;
	if (b.n < 1)
		b.n = 1;
	b.workers = a->workers ? a->workers : defaults->workers ? defaults->workers : bench_cpus();
	b.reps = a->reps ? a->reps : defaults->reps;
	if (w->run)
		w->run(&b);
	else
		bench_report_unsupported(&b, w->why_not);
}

/* Freed memory stays in the process, for every peer alike: a page fault costs more than what is to be measured. */
static void keep_memory(void)
{
#ifdef __GLIBC__
	mallopt(M_MMAP_MAX, 0);
	mallopt(M_TRIM_THRESHOLD, 2000000000);
#endif
}

int bench_main(int argc, char **argv, const char *peer, const struct bench_work *works)
{
	struct arguments a = {.peer = peer, .scale = 1, .param = -1};
	bool found = false;

	parse(argc, argv, &a);
	if (a.list) {
		list(works);
		return EXIT_SUCCESS;
	}
	keep_memory();
	for (const struct bench_work *w = works; w->name; w++) {
		if (strcmp(a.work, "all") != 0 && strcmp(a.work, w->name) != 0)
			continue;
		if (a.variant && strcmp(a.variant, w->variant) != 0)
			continue;
		found = true;
		run(w, &a);
	}
	if (!found) {
		struct bench b = {.peer = a.peer, .work = a.work, .variant = a.variant ? a.variant : ""};

		bench_report_unsupported(&b, "this program has no such work");
	}
	return EXIT_SUCCESS;
}
