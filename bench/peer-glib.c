/* peer-glib.c - GLib's GThreadPool, exclusive: the pool has threads of its own
 *
 * SPDX-License-Identifier: MIT */
#include "queue.h"

#include <glib.h>
#include <stdio.h>
#include <stdlib.h>

static void call(gpointer item, gpointer run)
{
	void (*function)(void *);

	*(gpointer *)&function = run;
	function(item);
}

static void *create(int workers, void (*run)(void *item))
{
	GError *error = NULL;
	GThreadPool *pool = g_thread_pool_new(call, *(gpointer *)&run, workers, TRUE, &error);

	if (error) {
		fprintf(stderr, "g_thread_pool_new: %s\n", error->message);
		exit(EXIT_FAILURE);
	}
	return pool;
}

static void push(void *pool, void *item)
{
	g_thread_pool_push(pool, item, NULL);
}

static void destroy(void *pool)
{
	g_thread_pool_free(pool, FALSE, TRUE);
}

int main(int argc, char **argv)
{
	static const struct queue_peer glib = {
		.name = "glib", .create = create, .push = push, .destroy = destroy, .destroy_waits = true};

	return queue_main(argc, argv, &glib);
}
