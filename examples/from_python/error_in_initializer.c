/* error_in_initializer.c - if a worker cannot be set up, there is no pool, and the caller learns why.
 *
 * SPDX-License-Identifier: MIT
 *
 * In Python a failing initializer makes the pool start new workers for ever. Here mppool_create() waits for all
 * initializers; if one fails it undoes the others, returns MPPOOL_EBROKEN, and mppool_last_error() tells the rest. */
#include <errno.h>
#include <mppool.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

struct licences {                        /* the argument of the initializer; workers share it, hence atomic */
	atomic_int left;
};

static int take_licence(void *initarg, void **ret_state)
{
	struct licences *licences = initarg;

	*ret_state = NULL;               /* these workers have no state of their own */
	if (atomic_fetch_sub(&licences->left, 1) > 0)
		return 0;
	atomic_fetch_add(&licences->left, 1);
	return mppool_raise(EBUSY, "all licences are taken");
}

/* Runs for each worker whose initializer succeeded, also when the pool did not come to be. */
static void return_licence(void *initarg, void *state)
{
	struct licences *licences = initarg;

	(void)state;
	atomic_fetch_add(&licences->left, 1);
}

static void check(int code, const char *what)
{
	if (code) {
		fprintf(stderr, "%s: %s\n", what, mppool_strerror(code));
		exit(EXIT_FAILURE);
	}
}

static void try_workers(int workers, struct licences *licences)
{
	mppool *pool;
	int code;

	printf("%d workers, %d licences:\n", workers, atomic_load(&licences->left));
	code = mppool_create(MPPOOL_OPTIONS(.workers = workers, .initializer = take_licence,
	                                    .finalizer = return_licence, .initarg = licences),
	                     &pool);
	if (code == MPPOOL_EBROKEN) {
		const struct mppool_error *error = mppool_last_error();

		printf("  no pool: %s: %s\n", mppool_strerrorname(error->code), error->message);
	} else {
		check(code, "mppool_create");
		printf("  a pool\n");
		check(mppool_destroy(pool), "mppool_destroy");
	}
}

int main(void)
{
	struct licences licences;

	atomic_init(&licences.left, 3);
	try_workers(4, &licences);
	try_workers(3, &licences);
	check(fflush(stdout) || ferror(stdout) ? EIO : 0, "standard output");
	return EXIT_SUCCESS;
}
