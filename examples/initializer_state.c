/* initializer_state.c - give each worker something of its own: here a table that it counts in.
 *
 * SPDX-License-Identifier: MIT
 *
 * Python (where the state must be a global variable of the worker process):
 *     with Pool(3, initializer, (shared,)) as pool:
 *         pool.map(count_letters, lines)
 *
 * Each worker counts letters in its own table without a lock; only its finalizer adds the table to the common one. The
 * same way a worker keeps a database connection, a random number generator, a large buffer. */
#include <errno.h>
#include <mppool.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { LETTERS = 26 };

struct counts {                          /* the state of one worker */
	long letter[LETTERS];
};

struct shared {                          /* what all workers have in common: the initializer's argument */
	pthread_mutex_t lock;
	struct counts total;             /* under the lock */
	int finished;                    /* under the lock: workers that added their table */
};

static int create_table(void *initarg, void **ret_state)
{
	struct counts *own = calloc(1, sizeof *own);

	(void)initarg;
	if (!own)
		return mppool_raise(ENOMEM, "no memory for the table of worker %d", mppool_worker_index());
	*ret_state = own;
	return 0;
}

static void add_table(void *initarg, void *state)
{
	struct shared *shared = initarg;
	struct counts *own = state;

	pthread_mutex_lock(&shared->lock);
	for (int i = 0; i < LETTERS; i++)
		shared->total.letter[i] += own->letter[i];
	shared->finished++;
	pthread_mutex_unlock(&shared->lock);
	free(own);
}

static void count_letters(const char *line)
{
	struct counts *own = mppool_worker_state();

	for (; *line; line++)
		if (*line >= 'a' && *line <= 'z')
			own->letter[*line - 'a']++;
}
MPPOOL_PROC(count_task, count_letters, const char *);

static void check(int code, const char *what)
{
	if (code) {
		fprintf(stderr, "%s: %s\n", what, mppool_strerror(code));
		exit(EXIT_FAILURE);
	}
}

int main(void)
{
	static const char *const lines[] = {
		"the quick brown fox jumps over the lazy dog", "pack my box with five dozen liquor jugs",
		"how vexingly quick daft zebras jump",         "sphinx of black quartz judge my vow",
		"the five boxing wizards jump quickly",
	};
	struct shared shared = {.lock = PTHREAD_MUTEX_INITIALIZER};
	mppool *pool;

	check(mppool_create(MPPOOL_OPTIONS(.workers = 3, .initializer = create_table, .finalizer = add_table,
	                                   .initarg = &shared),
	                    &pool),
	      "mppool_create");
	check(count_task_map(pool, lines, sizeof lines / sizeof *lines, 1), "mppool_map");

	/* The finalizers run when the workers leave, so the total is complete after join. */
	check(mppool_close(pool), "mppool_close");
	check(mppool_join(pool, MPPOOL_FOREVER), "mppool_join");
	check(mppool_destroy(pool), "mppool_destroy");

	printf("%d tables\n", shared.finished);
	for (int i = 0; i < LETTERS; i++)
		printf("%c %ld\n", 'a' + i, shared.total.letter[i]);
	check(fflush(stdout) || ferror(stdout) ? EIO : 0, "standard output");
	return EXIT_SUCCESS;
}
