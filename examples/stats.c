/* stats.c - what a pool has done: how its items ended, and how its workers shared them.
 *
 * SPDX-License-Identifier: MIT
 *
 * The counters are there at any time, also while the pool works: for a line in a log, a status page, or to find out
 * whether there are too many workers or too few. */
#include <errno.h>
#include <inttypes.h>
#include <mppool.h>
#include <stdio.h>
#include <stdlib.h>

enum { WORKERS = 3, COUNT = 300 };

/* How often `number` can be divided by its smallest divisor; prime numbers are an error here. */
static int order(int number)
{
	int divisor = 2, n = 0;

	while (divisor * divisor <= number && number % divisor != 0)
		divisor++;
	if (divisor * divisor > number)
		return mppool_raise(EDOM, "%d is a prime number", number);
	for (; number % divisor == 0; n++)
		number /= divisor;
	return n;
}
MPPOOL_FUNC(order_task, int, order, int);

static void check(int code, const char *what)
{
	if (code) {
		fprintf(stderr, "%s: %s\n", what, mppool_strerror(code));
		exit(EXIT_FAILURE);
	}
}

int main(void)
{
	static int numbers[COUNT], orders[COUNT];
	struct mppool_worker_counters workers[WORKERS];
	struct mppool_counters c = MPPOOL_COUNTERS_INIT;
	uint64_t sum = 0;
	char text[1000];
	mppool *pool;
	int code;

	for (int i = 0; i < COUNT; i++)
		numbers[i] = i + 4;
	check(mppool_create(MPPOOL_OPTIONS(.workers = WORKERS), &pool), "mppool_create");
	code = order_task_map(pool, numbers, COUNT, orders, 1);
	check(code == MPPOOL_ETASK ? 0 : code, "mppool_map");    /* some are prime */

	c.per_worker = workers;
	c.per_worker_room = WORKERS;
	check(mppool_stats(pool, &c), "mppool_stats");
	printf("%" PRIu64 " submitted: %" PRIu64 " done, %" PRIu64 " failed, %" PRIu64 " cancelled, %" PRIu64
	       " dropped\n",
	       c.submitted, c.done, c.failed, c.cancelled, c.dropped);
	for (int i = 0; i < WORKERS; i++)
		sum += workers[i].done + workers[i].failed;
	printf("%d workers have run %" PRIu64 " items\n", WORKERS, sum);

	/* The same in words. */
	mppool_describe(pool, text, sizeof text);
	puts(text);

	check(mppool_destroy(pool), "mppool_destroy");
	check(fflush(stdout) || ferror(stdout) ? EIO : 0, "standard output");
	return EXIT_SUCCESS;
}
