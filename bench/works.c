/* works.c - the inputs of the works, and what must come out
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "works.h"

#include <dirent.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ----------------------------------------------------------------------------------------------------------- map_* */

void bench_arrays_make(struct bench_arrays *a, long n)
{
	a->n = n;
	a->x = bench_alloc((size_t)n, sizeof *a->x);
	a->y = bench_alloc((size_t)n, sizeof *a->y);
	a->expected = 0;
	for (long i = 0; i < n; i++) {
		a->x[i] = (uint64_t)i * 2654435761u + 1;
		a->expected += bench_hash(a->x[i]) ^ (uint64_t)i;
	}
}

void bench_arrays_free(struct bench_arrays *a)
{
	free(a->x);
	free(a->y);
}

bool bench_arrays_check(struct bench_arrays *a)
{
	uint64_t sum = 0;

	for (long i = 0; i < a->n; i++) {
		sum += a->y[i] ^ (uint64_t)i;
		a->y[i] = 0;
	}
	return sum == a->expected;
}

/* --------------------------------------------------------------------------------------------------- apply_latency */

void bench_latency_begin(struct bench_latency *l, struct bench *b)
{
	l->n = b->n;
	l->next = 0;
	l->ns = bench_alloc((size_t)b->n, sizeof *l->ns);
	l->hits_per_call = 1;
	l->hits = bench_hits();
	l->hits_here = bench_hits_here();
	bench_start(b);
	l->last = bench_now();
}

static int compare_ns(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

void bench_latency_report(struct bench_latency *l, struct bench *b, bool ok)
{
	bench_stop(b);

	unsigned long ran = bench_hits() - l->hits, here = bench_hits_here() - l->hits_here;

	qsort(l->ns, (size_t)l->n, sizeof *l->ns, compare_ns);
	bench_note(b, "p50", l->ns[l->n / 2]);
	bench_note(b, "p99", l->ns[l->n / 100 * 99]);
	bench_note(b, "p999", l->ns[l->n / 1000 * 999]);
	bench_note(b, "max", l->ns[l->n - 1]);
	bench_note(b, "ran_in_another_thread", (double)(ran - here) / (double)ran);
	bench_report(b, l->n, ok && ran == (unsigned long)(l->n * l->hits_per_call));
	free(l->ns);
}

/* -------------------------------------------------------------------------------------------------- multi_producer */

struct producers {
	pthread_barrier_t gate;          /* passed when all begin, and when all are done */
	void (*produce)(void *work, int index);
	void *work;
};

struct producer {
	struct producers *all;
	pthread_t thread;
	int index;
};

static void *run_producer(void *arg)
{
	struct producer *self = arg;

	pthread_barrier_wait(&self->all->gate);
	self->all->produce(self->all->work, self->index);
	pthread_barrier_wait(&self->all->gate);
	return NULL;
}

void bench_producers(struct bench *b, void (*produce)(void *work, int index), void *work)
{
	struct producers all = {.produce = produce, .work = work};
	struct producer producers[BENCH_PRODUCERS];

	pthread_barrier_init(&all.gate, NULL, BENCH_PRODUCERS + 1);
	for (int i = 0; i < BENCH_PRODUCERS; i++) {
		producers[i].all = &all;
		producers[i].index = i;
		int code = pthread_create(&producers[i].thread, NULL, run_producer, &producers[i]);

		if (code)
			bench_fail("pthread_create", code);
	}
	bench_start(b);
	pthread_barrier_wait(&all.gate);
	pthread_barrier_wait(&all.gate);
	bench_stop(b);
	for (int i = 0; i < BENCH_PRODUCERS; i++)
		pthread_join(producers[i].thread, NULL);
	pthread_barrier_destroy(&all.gate);
}

/* -------------------------------------------------------------------------------------------------------- stream_* */

uint64_t bench_stream_expected(long n, bool ordered)
{
	uint64_t sum = 0;

	for (long i = 0; i < n; i++)
		sum = bench_fold(ordered, sum, bench_stream_task((uint64_t)i));
	return sum;
}

/* ---------------------------------------------------------------------------------------- blocking, create_destroy */

void bench_report_blocking(struct bench *b, bool ok)
{
	bench_report_value(b, b->n, b->seconds * 1e6 / BENCH_NAP, "x 100 ms", ok);
}

void bench_report_cycles(struct bench *b, bool ok)
{
	bench_report_value(b, b->n, b->seconds * 1e6 / (double)b->n, "us/cycle", ok);
}

/* ---------------------------------------------------------------------------------------------------------- skewed */

static int compare_long(const void *a, const void *b)
{
	long x = *(const long *)a, y = *(const long *)b;

	return (x > y) - (x < y);
}

/* Runs everything here: what it takes one CPU at this moment, and what must come out. */
static double run_serially(struct bench_skew *s)
{
	double began = bench_now();

	s->expected = 0;
	for (long i = 0; i < s->n; i++)
		s->expected += bench_skew_task(s, i);
	return bench_now() - began;
}

void bench_skew_make(struct bench_skew *s, struct bench *b)
{
	const double total_steps = 4e8, alpha = 1.2;
	double *length = bench_alloc((size_t)b->n, sizeof *length), sum = 0;
	uint64_t random = 6309;          /* with it the largest task is 2.8 % of all */

	for (long i = 0; i < b->n; i++) {
		random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		length[i] = pow(((double)(bench_hash(random) >> 12) + 0.5) * 0x1p-52, -1 / alpha);
		sum += length[i];
	}
	s->n = b->n;
	s->steps = bench_alloc((size_t)b->n, sizeof *s->steps);
	s->results = bench_alloc((size_t)b->n, sizeof *s->results);
	for (long i = 0; i < b->n; i++)
		s->steps[i] = (long)(length[i] / sum * total_steps);
	if (strstr(b->variant, "sorted"))
		qsort(s->steps, (size_t)b->n, sizeof *s->steps, compare_long);
	free(length);
	s->serial = run_serially(s);
}

/* The clock of a machine drifts: what one CPU takes is measured before and after, and the mean counts. */
void bench_skew_report(struct bench_skew *s, struct bench *b)
{
	double before = s->serial, after = run_serially(s), serial = (before + after) / 2;
	uint64_t sum = 0;
	long largest = 0, all = 0;

	for (long i = 0; i < s->n; i++) {
		sum += s->results[i];
		all += s->steps[i];
		if (s->steps[i] > largest)
			largest = s->steps[i];
	}
	bench_note(b, "serial_before", before);
	bench_note(b, "serial_after", after);
	bench_note(b, "largest_share", (double)largest / (double)all);
	bench_report_value(b, s->n, b->seconds / (serial / b->workers), "x ideal", sum == s->expected);
	free(s->steps);
	free(s->results);
}

/* ---------------------------------------------------------------------------------------------------------- nested */

long bench_fib(long n)
{
	return n < 2 ? n : bench_fib(n - 1) + bench_fib(n - 2);
}

void bench_report_nested(struct bench *b, bool ok)
{
	long calls = 2 * bench_fib(b->n + 1) - 1;

	bench_report_value(b, calls, b->seconds * 1e9 / (double)calls, "ns/task", ok);
}

/* ---------------------------------------------------------------------------------------------------- memory, idle */

size_t bench_resident(void)
{
	FILE *file = fopen("/proc/self/statm", "r");
	long pages = 0;

	if (!file)
		return 0;
	if (fscanf(file, "%*s %ld", &pages) != 1)
		pages = 0;
	fclose(file);
	return (size_t)pages * (size_t)sysconf(_SC_PAGESIZE);
}

void bench_report_memory(struct bench *b, size_t before, size_t with_tasks, bool ok)
{
	bench_note(b, "retained_bytes_per_task", ((double)bench_resident() - (double)before) / (double)b->n);
	bench_report_value(b, b->n, ((double)with_tasks - (double)before) / (double)b->n, "bytes/task", ok);
}

/* Context switches of one thread; 0 if it has gone. */
static long switches_of(const char *thread)
{
	char line[300];
	long sum = 0, number;
	FILE *file;

	snprintf(line, sizeof line, "/proc/self/task/%s/status", thread);
	file = fopen(line, "r");
	if (!file)
		return 0;
	while (fgets(line, sizeof line, file))
		if (sscanf(line, "voluntary_ctxt_switches: %ld", &number) == 1 ||
		    sscanf(line, "nonvoluntary_ctxt_switches: %ld", &number) == 1)
			sum += number;
	fclose(file);
	return sum;
}

/* Context switches of all threads but the first, which is the caller; *ret_threads: how many these are. */
static long switches_of_others(int *ret_threads)
{
	DIR *folder = opendir("/proc/self/task");
	struct dirent *entry;
	long sum = 0;

	*ret_threads = 0;
	if (!folder)
		return 0;
	while ((entry = readdir(folder)))
		if (entry->d_name[0] != '.' && atol(entry->d_name) != (long)getpid()) {
			sum += switches_of(entry->d_name);
			++*ret_threads;
		}
	closedir(folder);
	return sum;
}

int bench_other_threads(void)
{
	int threads;

	switches_of_others(&threads);
	return threads;
}

/* Each thread goes to sleep once, which is a switch; what comes later than the first 100 ms is waking for nothing. */
void bench_idle(struct bench *b, bool ok)
{
	int threads;

	bench_start(b);
	long at_once = switches_of_others(&threads);

	bench_nap(100000);
	long settled = switches_of_others(&threads);

	bench_nap(b->n * 1000000 - 100000);
	bench_stop(b);
	long end = switches_of_others(&threads);
	double cpu = (double)(b->used.ru_utime.tv_sec - b->before.ru_utime.tv_sec) * 1e3 +
	             (double)(b->used.ru_utime.tv_usec - b->before.ru_utime.tv_usec) * 1e-3 +
	             (double)(b->used.ru_stime.tv_sec - b->before.ru_stime.tv_sec) * 1e3 +
	             (double)(b->used.ru_stime.tv_usec - b->before.ru_stime.tv_usec) * 1e-3;

	bench_note(b, "threads", threads);
	bench_note(b, "ctx_switches", (double)(end - at_once));
	bench_note(b, "ctx_switches_settled", (double)(end - settled));
	bench_report_value(b, b->n, cpu, "ms CPU", ok);
}

/* ---------------------------------------------------------------------------------------------------------- sweeps */

long bench_grain_steps;

void bench_sweep(struct bench *b, const long *values, size_t n, void (*measure)(struct bench *b))
{
	if (b->param >= 0) {
		measure(b);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		b->param = values[i];
		measure(b);
	}
	b->param = -1;
}

void bench_sweep_lengths(struct bench *b, void (*measure)(struct bench *b))
{
	static const long lengths[] = {10, 30, 100, 300, 1000, 3000, 10000, 30000, 100000, 300000, 1000000};

	bench_sweep(b, lengths, sizeof lengths / sizeof *lengths, measure);
}

void bench_sweep_workers(struct bench *b, void (*measure)(struct bench *b))
{
	static const long workers[] = {1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64};

	bench_sweep(b, workers, sizeof workers / sizeof *workers, measure);
}

void bench_grain_task(void)
{
	bench_spin(1, bench_grain_steps);
	bench_hit();
}

static double cpu_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* Seconds of a CPU that one task needs, whatever else runs here. */
static double time_task(long steps, long times)
{
	double began = cpu_now();

	bench_grain_steps = steps;
	for (long i = 0; i < times; i++)
		bench_grain_task();
	return (cpu_now() - began) / (double)times;
}

/* Short tasks are many, long ones few: 0.3 s of work at most, but enough of them to share out. */
static long tasks_of(long length, long most)
{
	long n = 300000000 / length;

	return n > most ? most : n < 64 ? 64 : n;
}

void bench_grain_make(struct bench_grain *g, struct bench *b)
{
	bool lengths = strcmp(b->work, "task_length") == 0;
	long length = lengths ? b->param : 1000;
	double step = time_task(100000, 20) / 100000;

	if (!lengths)
		b->workers = (int)b->param;
	g->n = tasks_of(length, b->n);
	g->steps = (long)((double)length * 1e-9 / step + 0.5);
	if (g->steps < 1)
		g->steps = 1;
	g->serial = time_task(g->steps, g->n) * (double)g->n;
	g->hits = bench_hits();
}

void bench_grain_report(struct bench_grain *g, struct bench *b)
{
	unsigned long ran = bench_hits() - g->hits;
	double after = time_task(g->steps, g->n) * (double)g->n, serial = (g->serial + after) / 2;
	int cpus = bench_cpus();

	bench_note(b, "param", (double)b->param);
	bench_note(b, "tasks_per_second", (double)g->n / b->seconds);
	bench_note(b, "task_ns", serial / (double)g->n * 1e9);
	bench_note(b, "cpus", cpus);
	bench_note(b, "efficiency", serial / (cpus * b->seconds));
	bench_report(b, g->n, ran == (unsigned long)g->n);
}
