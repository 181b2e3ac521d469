/* errors_in_imap.c - an item that fails, and a generator that fails.
 *
 * SPDX-License-Identifier: MIT
 *
 * Python:
 *     iterator = pool.imap(reciprocal, countdown())
 *     while True:
 *         try:
 *             print(next(iterator))
 *         except StopIteration:
 *             break
 *         except ZeroDivisionError as error:
 *             print(error)
 *
 * An item that failed makes only its own mppool_iter_next() fail, and the iteration goes on. A generator that failed
 * ends the iteration, after the results of all items that it gave before. */
#include <errno.h>
#include <mppool.h>
#include <stdio.h>
#include <stdlib.h>

/* A generator: 2, 1, 0, -1, -2, and then it breaks. */
static int count_down(void *const args[], void *state)
{
	int *next = state;

	if (*next < -2)
		return mppool_raise(EIO, "the counter is worn out");
	*(int *)args[0] = (*next)--;
	return 0;
}

static double reciprocal(int x)
{
	if (x == 0) {
		mppool_raise(EDOM, "division by zero");
		return 0.0;
	}
	return 1.0 / x;
}
MPPOOL_FUNC(reciprocal_task, double, reciprocal, int);

static void check(int code, const char *what)
{
	if (code) {
		fprintf(stderr, "%s: %s\n", what, mppool_strerror(code));
		exit(EXIT_FAILURE);
	}
}

/* Print what the iterator gives, errors too, to its end. */
static void print_all(mppool_iter *iter)
{
	double value;
	size_t index;

	for (;;) {
		const int code = mppool_iter_next(iter, &value, &index, MPPOOL_FOREVER);

		switch (code) {
		case 0:
			printf("item %zu: %g\n", index, value);
			break;
		case MPPOOL_ETASK:
			printf("item %zu failed: %s\n", index, mppool_last_error()->message);
			break;
		case MPPOOL_EITER:
			printf("the generator failed after %zu items: %s\n", mppool_last_error()->index,
			       mppool_last_error()->message);
			break;
		case MPPOOL_ESTOP:
			printf("end\n");
			return;
		default:
			check(code, "mppool_iter_next");
		}
	}
}

int main(void)
{
	int next = 2;
	struct mppool_iterable countdown = MPPOOL_ITERABLE_INIT;
	mppool *pool;
	mppool_iter *iter;

	countdown.next = count_down;
	countdown.state = &next;

	check(mppool_create(MPPOOL_OPTIONS(.workers = 2), &pool), "mppool_create");
	check(mppool_imap(pool, &reciprocal_task, &countdown, 1, 0, NULL, &iter), "mppool_imap");
	print_all(iter);
	mppool_iter_free(iter);
	check(mppool_destroy(pool), "mppool_destroy");

	check(fflush(stdout) || ferror(stdout) ? EIO : 0, "standard output");
	return EXIT_SUCCESS;
}
