/* checksums_glib.c - a GLib main loop with a pool beside it: the SHA-256 of files, in the lines of sha256sum.
 *
 * SPDX-License-Identifier: MIT
 *
 *     ./checksums_glib *.c
 *
 * g_unix_fd_add() makes the pool a source of the main loop: callbacks run there, as those of a GTK program must. The
 * files are read and hashed in the pool. A file that cannot be read does not stop the others. */
#include <errno.h>
#include <glib-unix.h>
#include <glib.h>
#include <mppool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEX 64

struct digest {
	char hex[HEX + 1];
};

/* ------------------------------------------------------------------------------------------------------ in the pool */

/* 0 or an errno value. */
static int hash_file(FILE *file, GChecksum *sum)
{
	unsigned char buffer[65536];
	size_t n;

	while ((n = fread(buffer, 1, sizeof buffer, file)) > 0)
		g_checksum_update(sum, buffer, (gssize)n);
	return ferror(file) ? errno : 0;
}

static struct digest hash(const char *name)
{
	struct digest digest = {""};
	FILE *file = fopen(name, "rb");
	GChecksum *sum;
	int error;

	if (!file) {
		mppool_raise(errno, "%s", strerror(errno));
		return digest;
	}
	sum = g_checksum_new(G_CHECKSUM_SHA256);
	error = hash_file(file, sum);
	if (error)
		mppool_raise(error, "%s", strerror(error));
	else
		memcpy(digest.hex, g_checksum_get_string(sum), HEX);
	g_checksum_free(sum);
	fclose(file);
	return digest;
}
MPPOOL_FUNC(hash_task, struct digest, hash, const char *);

/* ------------------------------------------------------------------------------------------------- in the main loop */

struct program {
	mppool *pool;
	GMainLoop *loop;
	int left, status;
};

struct file {
	struct program *program;
	const char *name;
};

static void check(int code, const char *what)
{
	if (code) {
		fprintf(stderr, "checksums_glib: %s: %s\n", what, mppool_strerror(code));
		exit(2);
	}
}

static void file_done(struct program *program)
{
	if (--program->left == 0)
		g_main_loop_quit(program->loop);
}

static void print(const void *results, size_t n, void *userdata)
{
	const struct digest *digest = results;
	const struct file *file = userdata;

	(void)n;
	printf("%s  %s\n", digest->hex, file->name);
	file_done(file->program);
}

static void complain(const struct mppool_error *error, void *userdata)
{
	const struct file *file = userdata;

	fprintf(stderr, "checksums_glib: %s: %s\n", file->name, error->message);
	file->program->status = 1;
	file_done(file->program);
}

static gboolean on_due(gint fd, GIOCondition condition, gpointer data)
{
	struct program *program = data;

	(void)fd;
	(void)condition;
	check(mppool_poll(program->pool, 0, NULL), "mppool_poll");
	return G_SOURCE_CONTINUE;
}

static void submit_all(struct program *program, struct file *files, char **names)
{
	for (int i = 0; i < program->left; i++) {
		files[i] = (struct file){program, names[i]};
		check(hash_task_apply_async(program->pool, files[i].name,
		                            MPPOOL_CALL(.callback = print, .error_callback = complain,
		                                        .userdata = &files[i]),
		                            NULL),
		      "mppool_apply_async");
	}
}

int main(int argc, char **argv)
{
	struct program program = {.left = argc - 1};
	struct file *files;
	guint source;
	int fd;

	if (argc < 2 || argv[1][0] == '-') {
		int help = argc == 2 && strcmp(argv[1], "--help") == 0;
		fprintf(help ? stdout : stderr, "Usage: checksums_glib FILE...\n");
		return help ? 0 : 2;
	}
	files = g_new0(struct file, (gsize)program.left);
	program.loop = g_main_loop_new(NULL, FALSE);
	check(mppool_create(MPPOOL_OPTIONS(.callback_mode = MPPOOL_CALLBACKS_POLL), &program.pool), "mppool_create");
	check(mppool_fd(program.pool, &fd), "mppool_fd");
	source = g_unix_fd_add(fd, G_IO_IN, on_due, &program);
	submit_all(&program, files, argv + 1);
	g_main_loop_run(program.loop);
	g_source_remove(source);
	check(mppool_destroy(program.pool), "mppool_destroy");
	g_main_loop_unref(program.loop);
	g_free(files);
	check(fflush(stdout) || ferror(stdout) ? EIO : 0, "standard output");
	return program.status;
}
