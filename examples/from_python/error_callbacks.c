/* error_callbacks.c - for each call either the callback or the error callback runs, exactly once.
 *
 * SPDX-License-Identifier: MIT
 *
 * Python:
 *     for order in orders:
 *         pool.apply_async(ship, (order,), callback=order.shipped, error_callback=order.refused)
 *
 * The userdata of each call tells both callbacks which order they are about. */
#include <errno.h>
#include <mppool.h>
#include <stdio.h>
#include <stdlib.h>

struct order {
	int pieces;
	int parcels;                     /* set by the callback; 0: not shipped */
	int code;                        /* set by the error callback, with the message */
	char message[80];
};

/* Parcels needed for so many pieces. */
static int ship(int pieces)
{
	if (pieces <= 0)
		return mppool_raise(EINVAL, "%d pieces: nothing to ship", pieces);
	if (pieces > 100)
		return mppool_raise(ERANGE, "%d pieces: only 100 in stock", pieces);
	return (pieces + 11) / 12;
}
MPPOOL_FUNC(ship_task, int, ship, int);

static void shipped(const void *results, size_t n, void *userdata)
{
	const int *parcels = results;
	struct order *order = userdata;

	(void)n;                         /* always 1 for apply_async */
	order->parcels = *parcels;
}

/* The error belongs to the library: what is needed later must be copied. */
static void refused(const struct mppool_error *error, void *userdata)
{
	struct order *order = userdata;

	order->code = error->code;
	snprintf(order->message, sizeof order->message, "%s", error->message);
}

static void check(int code, const char *what)
{
	if (code) {
		fprintf(stderr, "%s: %s\n", what, mppool_strerror(code));
		exit(EXIT_FAILURE);
	}
}

int main(void)
{
	struct order orders[] = {{.pieces = 12}, {.pieces = 0}, {.pieces = 100}, {.pieces = 101}, {.pieces = 13}};
	const size_t n = sizeof orders / sizeof *orders;
	mppool *pool;

	check(mppool_create(MPPOOL_OPTIONS(.workers = 2), &pool), "mppool_create");
	for (size_t i = 0; i < n; i++)
		check(ship_task_apply_async(pool, orders[i].pieces,
		                            MPPOOL_CALL(.callback = shipped, .error_callback = refused,
		                                        .userdata = &orders[i]),
		                            NULL),
		      "mppool_apply_async");
	check(mppool_close(pool), "mppool_close");
	check(mppool_join(pool, MPPOOL_FOREVER), "mppool_join");
	check(mppool_destroy(pool), "mppool_destroy");

	for (size_t i = 0; i < n; i++)
		if (orders[i].code)
			printf("order %zu: %s\n", i, orders[i].message);
		else
			printf("order %zu: %d pieces in %d parcels\n", i, orders[i].pieces, orders[i].parcels);
	check(fflush(stdout) || ferror(stdout) ? EIO : 0, "standard output");
	return EXIT_SUCCESS;
}
