/* apply_async_and_forget.c - queue calls one by one and keep no handle of them.
 *
 * SPDX-License-Identifier: MIT
 *
 * Python:
 *     for account in accounts:
 *         pool.apply_async(add_interest, (account,))
 *     pool.close()
 *     pool.join()
 *
 * With NULL for ret_result there is nothing to free. close and join wait for everything that was accepted, and what
 * the tasks wrote is visible after join. Arguments are copied by apply_async; what a pointer among them points to is
 * not, so the accounts must live until then. */
#include <errno.h>
#include <mppool.h>
#include <stdio.h>
#include <stdlib.h>

struct account {
	long pence;
};

/* No two tasks have the same account, so that no lock is needed. */
static void add_interest(struct account *account)
{
	account->pence += account->pence * 3 / 100;
}
MPPOOL_PROC(interest_task, add_interest, struct account *);

static void check(int code, const char *what)
{
	if (code) {
		fprintf(stderr, "%s: %s\n", what, mppool_strerror(code));
		exit(EXIT_FAILURE);
	}
}

int main(void)
{
	enum { N = 8 };
	struct account accounts[N];
	mppool *pool;

	for (int i = 0; i < N; i++)
		accounts[i].pence = 10000L * (i + 1);

	check(mppool_create(MPPOOL_OPTIONS(.workers = 4), &pool), "mppool_create");
	for (int i = 0; i < N; i++) {
		struct account *account = &accounts[i];

		check(interest_task_apply_async(pool, account, NULL, NULL),
		      "mppool_apply_async");
	}
	check(mppool_close(pool), "mppool_close");
	check(mppool_join(pool, MPPOOL_FOREVER), "mppool_join");
	check(mppool_destroy(pool), "mppool_destroy");

	for (int i = 0; i < N; i++)
		printf("account %d: %ld.%02ld\n", i, accounts[i].pence / 100, accounts[i].pence % 100);
	check(fflush(stdout) || ferror(stdout) ? EIO : 0, "standard output");
	return EXIT_SUCCESS;
}
