/* map_async_and_forget.c - start several maps at once, keep no handle, and let close and join wait for them all.
 *
 * SPDX-License-Identifier: MIT
 *
 * Python:
 *     pool.map_async(celsius, monday)
 *     pool.map_async(celsius, tuesday)
 *     pool.close()
 *     pool.join()
 *
 * Unlike Python's, the results of a forgotten map are not lost: they go straight into the caller's array, which, like
 * the array of items, must live until the map has ended. */
#include <errno.h>
#include <mppool.h>
#include <stdio.h>
#include <stdlib.h>

enum { DAYS = 3, HOURS = 6 };

static double celsius(double fahrenheit)
{
	return (fahrenheit - 32.0) / 1.8;
}
MPPOOL_PURE(celsius_task, double, celsius, double);

static void check(int code, const char *what)
{
	if (code) {
		fprintf(stderr, "%s: %s\n", what, mppool_strerror(code));
		exit(EXIT_FAILURE);
	}
}

int main(void)
{
	static const double fahrenheit[DAYS][HOURS] = {
		{32.0, 35.6, 41.0, 50.0, 46.4, 37.4},
		{50.0, 51.8, 57.2, 64.4, 60.8, 55.4},
		{14.0, 15.8, 21.2, 30.2, 28.4, 23.0},
	};
	double results[DAYS][HOURS];
	mppool *pool;

	check(mppool_create(MPPOOL_OPTIONS(.workers = 2), &pool), "mppool_create");
	for (int day = 0; day < DAYS; day++)
		check(celsius_task_map_async(pool, fahrenheit[day], HOURS, results[day], 0, NULL, NULL),
		      "mppool_map_async");
	check(mppool_close(pool), "mppool_close");
	check(mppool_join(pool, MPPOOL_FOREVER), "mppool_join");
	check(mppool_destroy(pool), "mppool_destroy");

	for (int day = 0; day < DAYS; day++) {
		printf("day %d:", day);
		for (int hour = 0; hour < HOURS; hour++)
			printf(" %.0f", results[day][hour]);
		putchar('\n');
	}
	check(fflush(stdout) || ferror(stdout) ? EIO : 0, "standard output");
	return EXIT_SUCCESS;
}
