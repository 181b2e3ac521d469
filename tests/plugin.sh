#!/bin/sh
# SPDX-License-Identifier: MIT
#
# A plugin with the static library in it is loaded, used and unloaded, while a thread that used it goes on and ends later.
set -u
archive=$top_builddir/.libs/libmppool.a
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
if ! test -f "$archive"; then
	echo "there is no static library"
	exit 77
fi
if test -n "${SAN_CFLAGS:-}"; then
	echo "the sanitizers' libraries belong into the program, not into a plugin"
	exit 77
fi
cat >"$dir/plugin.c" <<'END'
#include <mppool.h>
static int twice(int x) { return 2 * x; }
MPPOOL_FUNC(twice_task, int, twice, int);
int plugin(void);
int plugin(void)
{
	mppool *pool;
	int x = 21, y = 0;

	if (mppool_create(MPPOOL_OPTIONS(.workers = 2), &pool))
		return -1;
	if (mppool_apply(pool, &twice_task, MPPOOL_ARGS(&x), &y))
		y = -2;
	mppool_destroy(pool);
	return y;
}
END
cat >"$dir/host.c" <<'END'
#include <dlfcn.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>

static sem_t used, unloaded;

static void *user(void *symbol)
{
	int (*plugin)(void);

	*(void **)&plugin = symbol;
	printf("%d\n", plugin());
	sem_post(&used);
	sem_wait(&unloaded);
	return NULL;
}

int main(int argc, char **argv)
{
	for (int round = 0; round < 3; round++) {
		void *handle = dlopen(argv[argc - 1], RTLD_NOW);
		pthread_t thread;

		if (!handle) {
			fprintf(stderr, "%s\n", dlerror());
			return 1;
		}
		sem_init(&used, 0, 0);
		sem_init(&unloaded, 0, 0);
		if (pthread_create(&thread, NULL, user, dlsym(handle, "plugin")))
			return 1;
		sem_wait(&used);
		dlclose(handle);
		sem_post(&unloaded);
		pthread_join(thread, NULL);
	}
	puts("ok");
	return 0;
}
END
# shellcheck disable=SC2086
if ! $CC -shared -fPIC -I"$top_srcdir/include" "$dir/plugin.c" -o "$dir/plugin.so" "$archive" $PTHREAD_LIBS 2>"$dir/log"; then
	echo "the static library does not go into a shared object here"
	cat "$dir/log"
	exit 77
fi
# shellcheck disable=SC2086
$CC "$dir/host.c" -o "$dir/host" $PTHREAD_LIBS -ldl || exit 1
"$dir/host" "$dir/plugin.so" >"$dir/out" || { echo "the host ended with $?"; cat "$dir/out"; exit 1; }
printf '42\n42\n42\nok\n' | cmp - "$dir/out"
