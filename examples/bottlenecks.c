/* bottlenecks.c - four ways to keep workers from their work, each beside its cure: to see what a trace shows of them.
 *
 * SPDX-License-Identifier: MIT
 *
 *     MPPOOL_TRACE=trace.json ./bottlenecks chunks
 *     mppool-timeline trace.json >trace.svg
 *
 * chunks       The items are of very different lengths, and each worker gets a quarter of them as one chunk. Cure:
 *              chunks of one item.
 * lock         Every task holds the same lock nearly all the time. Cure: only for what is shared.
 * generator    Items are made by a generator that takes as long as a task, and is never called by two threads at
 *              once. Cure: it hands over what the task needs to make the item itself.
 * callback     Callbacks take as long as tasks, and run one at a time. Cure: the task does that work.
 *
 * Each runs in two pools, which are named after what they do. The tasks sleep where others would compute, so that all
 * looks the same on any machine, and four workers find four CPUs. */
#define _POSIX_C_SOURCE 200809L
#include <mppool.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ITEMS = 40, WORKERS = 4, STEP = 2000 };   /* microseconds, of most tasks */

static void check(int code, const char *what)
{
	if (code) {
		fprintf(stderr, "bottlenecks: %s: %s\n", what, mppool_strerror(code));
		exit(EXIT_FAILURE);
	}
}

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void work(int us)
{
	nanosleep(&(struct timespec){.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000L}, NULL);
}

MPPOOL_PROC(work_task, work, int);

/* ---------------------------------------------------------------------------------------------------------- chunks */

/* The k-th longest takes the k-th part of the longest: a few items are most of the work. They stand together, as in
 * real inputs they often do. */
static void run_chunks(mppool *pool, bool cured)
{
	int us[ITEMS];

	for (int i = 0; i < ITEMS; i++)
		us[(i + ITEMS / 2) % ITEMS] = 15000 / (i + 1);
	check(work_task_map(pool, us, ITEMS, cured ? 1 : ITEMS / WORKERS), "map");
}

/* ------------------------------------------------------------------------------------------------------------ lock */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void add_up(int us, int us_locked)
{
	work(us);
	pthread_mutex_lock(&lock);
	work(us_locked);
	pthread_mutex_unlock(&lock);
}

MPPOOL_PROC(add_up_task, add_up, int, int);

static void run_lock(mppool *pool, bool cured)
{
	const int us = cured ? STEP * 9 / 10 : STEP / 10, us_locked = STEP - us;

	check(mppool_starmap(pool, &add_up_task, MPPOOL_ZIP(ITEMS, MPPOOL_REPEAT(&us), MPPOOL_REPEAT(&us_locked)),
	                     NULL, 1), "starmap");
}

/* ------------------------------------------------------------------------------------------------------- generator */

struct source {
	int drawn;
	bool quick;
};

static int next_item(void *const args[], void *state)
{
	struct source *source = state;

	if (source->drawn++ == ITEMS)
		return MPPOOL_ESTOP;
	if (!source->quick)
		work(STEP);
	*(int *)args[0] = source->quick ? 2 * STEP : STEP;
	return 0;
}

static void run_generator(mppool *pool, bool cured)
{
	struct source source = {.drawn = 0, .quick = cured};
	struct mppool_iterable items = MPPOOL_ITERABLE_INIT;

	items.next = next_item;
	items.state = &source;
	items.length = ITEMS;
	check(mppool_map(pool, &work_task, &items, NULL, 1), "map");
}

/* -------------------------------------------------------------------------------------------------------- callback */

static void write_down(const void *results, size_t n, void *userdata)
{
	(void)results;
	(void)n;
	work(*(const int *)userdata);
}

static void run_callback(mppool *pool, bool cured)
{
	int us = cured ? STEP * 19 / 10 : STEP, us_after = 2 * STEP - us;

	for (int i = 0; i < ITEMS; i++)
		check(work_task_apply_async(pool, us, MPPOOL_CALL(.callback = write_down, .userdata = &us_after),
		                            NULL), "apply");
	mppool_close(pool);
	check(mppool_join(pool, MPPOOL_FOREVER), "join");        /* the callbacks, too, have returned */
}

/* ------------------------------------------------------------------------------------------------------------- all */

static const struct bottleneck {
	const char *name;
	void (*run)(mppool *pool, bool cured);
	const char *pools[2];            /* as it is, and cured */
} bottlenecks[] = {
	{"chunks", run_chunks, {"chunks of 10", "chunks of 1"}},
	{"lock", run_lock, {"long lock", "short lock"}},
	{"generator", run_generator, {"slow generator", "quick generator"}},
	{"callback", run_callback, {"long callbacks", "short callbacks"}},
};
enum { KINDS = sizeof bottlenecks / sizeof bottlenecks[0] };

static void show(const struct bottleneck *b)
{
	printf("%-12s", b->name);
	for (int cured = 0; cured < 2; cured++) {
		const double start = seconds();
		mppool *pool;

		check(mppool_create(MPPOOL_OPTIONS(.workers = WORKERS, .name = b->pools[cured]), &pool), "a pool");
		b->run(pool, cured);
		mppool_destroy(pool);
		printf("%s%s: %.0f ms", cured ? ", " : "", b->pools[cured], (seconds() - start) * 1e3);
	}
	printf("\n");
}

int main(int argc, char **argv)
{
	int shown = 0;

	for (int i = 0; i < KINDS; i++)
		if (argc == 1 || (argc == 2 && strcmp(argv[1], bottlenecks[i].name) == 0)) {
			show(&bottlenecks[i]);
			shown++;
		}
	if (shown == 0)
		fprintf(stderr, "Usage: bottlenecks [chunks | lock | generator | callback]\n");
	return shown == 0 ? 2 : fflush(stdout) != 0;
}
