/* peer-apr.c - the thread pool of the Apache Portable Runtime's utilities
 *
 * SPDX-License-Identifier: MIT */
#include "queue.h"

#include <apr_general.h>
#include <apr_pools.h>
#include <apr_thread_pool.h>
#include <errno.h>
#include <stdlib.h>

struct pool {
	apr_pool_t *memory;
	apr_thread_pool_t *threads;
};

static void (*run_all)(void *item);      /* the works have one pool at a time */

static void *APR_THREAD_FUNC call(apr_thread_t *thread, void *item)
{
	(void)thread;
	run_all(item);
	return NULL;
}

static void must(const char *what, apr_status_t status)
{
	if (status != APR_SUCCESS)
		bench_fail(what, (int)status);
}

static void *create(int workers, void (*run)(void *item))
{
	struct pool *pool = malloc(sizeof *pool);

	if (!pool)
		bench_fail("malloc", ENOMEM);
	run_all = run;
	must("apr_pool_create", apr_pool_create(&pool->memory, NULL));
	must("apr_thread_pool_create", apr_thread_pool_create(&pool->threads, (apr_size_t)workers, (apr_size_t)workers,
	                                                      pool->memory));
	return pool;
}

static void push(void *pool, void *item)
{
	apr_thread_pool_t *threads = ((struct pool *)pool)->threads;

	must("apr_thread_pool_push",
	     apr_thread_pool_push(threads, call, item, APR_THREAD_TASK_PRIORITY_NORMAL, NULL));
}

static void destroy(void *pool)
{
	struct pool *self = pool;

	must("apr_thread_pool_destroy", apr_thread_pool_destroy(self->threads));
	apr_pool_destroy(self->memory);
	free(self);
}

int main(int argc, char **argv)
{
	/* A push walks past all that waits: with a million outstanding it would take hours. */
	static const struct queue_peer apr = {
		.name = "apr", .create = create, .push = push, .destroy = destroy, .most = 20000};

	must("apr_initialize", apr_initialize());
	return queue_main(argc, argv, &apr);
}
