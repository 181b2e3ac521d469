/* progress_bar.c - a bar on the terminal while a long map is waited for.
 *
 * SPDX-License-Identifier: MIT
 *
 * Python:
 *     result = pool.map_async(steps, range(1, n + 1))
 *     with tqdm(total=n) as bar: ...
 *
 * The bar goes to standard error, so that the results can go elsewhere. Where that is no terminal, a line is written now
 * and then. Nothing that the workers do is slowed down by it. */
#include <mppool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* How many steps of "halve it, or else 3n + 1" lead from n to 1? */
static int steps(long n)
{
	int count = 0;

	for (; n != 1; count++)
		n = n % 2 ? 3 * n + 1 : n / 2;
	return count;
}
MPPOOL_PURE(steps_task, int, steps, long);

static void check(int code, const char *what)
{
	if (code) {
		fprintf(stderr, "%s: %s\n", what, mppool_strerror(code));
		exit(EXIT_FAILURE);
	}
}

int main(int argc, char **argv)
{
	size_t n = argc > 1 ? strtoul(argv[1], NULL, 10) : 100000, best = 0;
	long *ns = n ? malloc(n * sizeof ns[0]) : NULL;
	mppool_result *result;
	const int *counts;
	mppool *pool;

	if (!ns) {
		fprintf(stderr, "usage: %s [COUNT]\n", argv[0]);
		return EXIT_FAILURE;
	}
	for (size_t i = 0; i < n; i++)
		ns[i] = (long)i + 1;

	check(mppool_create(NULL, &pool), "mppool_create");
	check(steps_task_map_async(pool, ns, n, NULL, 0, NULL, &result), "mppool_map_async");
	check(mppool_result_progress_bar(result, STDERR_FILENO, "steps", MPPOOL_FOREVER), "waiting");
	check(mppool_result_get(result, NULL, 0), "mppool_result_get");

	counts = mppool_result_value(result);
	for (size_t i = 1; i < n; i++)
		if (counts[i] > counts[best])
			best = i;
	printf("%ld takes %d steps\n", ns[best], counts[best]);
	mppool_result_free(result);
	mppool_destroy(pool);
	free(ns);
	return fflush(stdout) || ferror(stdout) ? EXIT_FAILURE : EXIT_SUCCESS;
}
