/* initializer_arguments.c - hand arguments to an initializer, which prepares every worker with them.
 *
 * SPDX-License-Identifier: MIT
 *
 * Several arguments are a struct. What the initializer prepares is the state of its worker, and no global variable:
 * the tasks get it from mppool_worker_state(). */
#include <errno.h>
#include <mppool.h>
#include <stdio.h>
#include <stdlib.h>

struct currency {
	const char *unit;
	double rate;
};

struct price {                           /* a result: what a function returns may be a struct */
	char text[24];
};

/* Runs first in every worker. */
static int prepare(void *initarg, void **ret_state)
{
	const struct currency *currency = initarg;
	struct currency *own = malloc(sizeof *own);

	if (!own)
		return mppool_raise(ENOMEM, "no memory for worker %d", mppool_worker_index());
	*own = *currency;
	*ret_state = own;
	return 0;
}

/* Runs last in every worker. */
static void clean_up(void *initarg, void *state)
{
	(void)initarg;
	free(state);
}

static struct price price(int euros)
{
	const struct currency *currency = mppool_worker_state();
	struct price price;

	snprintf(price.text, sizeof price.text, "%.2f %s", euros * currency->rate, currency->unit);
	return price;
}
MPPOOL_FUNC(price_task, struct price, price, int);

static void check(int code, const char *what)
{
	if (code) {
		fprintf(stderr, "%s: %s\n", what, mppool_strerror(code));
		exit(EXIT_FAILURE);
	}
}

int main(void)
{
	static const int euros[] = {1, 2, 3, 4, 5};
	enum { N = sizeof euros / sizeof *euros };
	struct currency zloty = {"zloty", 4.25};
	struct price prices[N];
	mppool *pool;

	check(mppool_create(MPPOOL_OPTIONS(.workers = 3, .initializer = prepare, .finalizer = clean_up,
	                                   .initarg = &zloty),
	                    &pool),
	      "mppool_create");
	check(price_task_map(pool, euros, N, prices, 0), "mppool_map");
	check(mppool_destroy(pool), "mppool_destroy");

	for (int i = 0; i < N; i++)
		puts(prices[i].text);
	check(fflush(stdout) || ferror(stdout) ? EIO : 0, "standard output");
	return EXIT_SUCCESS;
}
