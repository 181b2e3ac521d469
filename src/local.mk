# SPDX-License-Identifier: MIT

# One set of objects: the library is made of them, and tests that look inside are linked with them.
noinst_LTLIBRARIES += libmppool-internal.la
lib_LTLIBRARIES += libmppool.la

# Apart: what the scheduler of the tests has a part of its own for.
native_sources = \
	src/arena.c \
	src/barrier.c \
	src/cpu.c \
	src/forkserver.c \
	src/memory.c \
	src/modules.c \
	src/park.c \
	src/process.c \
	src/process_main.c \
	src/shared.c \
	src/starter.c \
	src/thread.c \
	src/trace_file.c
library_sources = \
	src/arena.h \
	src/base.h \
	src/callbacks.c \
	src/carrier.c src/carrier.h \
	src/cpu.h \
	src/crew.c \
	src/current.c \
	src/deque.c src/deque.h \
	src/error.c src/error.h \
	src/event.c src/event.h \
	src/fork.c src/fork.h \
	src/forkserver.h \
	src/frame.c src/frame.h \
	src/func.c src/func.h \
	src/group.c \
	src/imap.c \
	src/items.c src/items.h \
	src/iter.c src/iter.h \
	src/job.c src/job.h \
	src/list.h \
	src/memory.h \
	src/modules.h \
	src/multi.c src/multi.h \
	src/output.c src/output.h \
	src/parcel.c src/parcel.h \
	src/poll.c \
	src/pool.c src/pool.h \
	src/probe.h \
	src/process.h \
	src/progress.c \
	src/queue.c src/queue.h \
	src/resize.c \
	src/result.c \
	src/result_handler.c \
	src/ring.c src/ring.h \
	src/runq.c src/runq.h \
	src/scheduler.c \
	src/service.c src/service.h \
	src/starter.h \
	src/stats.c \
	src/stream.c src/stream.h \
	src/submit.c \
	src/sync.c src/sync.h \
	src/tally.h \
	src/task_handler.c \
	src/thread.h \
	src/trace.c src/trace.h \
	src/trace_file.h \
	src/utf8.h \
	src/version.c \
	src/wait.c src/wait.h \
	src/watch.c src/watch.h \
	src/worker.c

libmppool_internal_la_SOURCES = $(library_sources) $(native_sources)

# -fexceptions: a task that leaves its thread runs the cleanup handlers of its callers, at no cost to those that
# return.
libmppool_internal_la_CFLAGS = $(AM_CFLAGS) $(VISIBILITY_CFLAGS) $(UNWIND_CFLAGS)
libmppool_internal_la_LIBADD = $(PTHREAD_LIBS) $(LIBATOMIC)

libmppool_la_SOURCES =
libmppool_la_LIBADD = libmppool-internal.la

# -version-info CURRENT:REVISION:AGE at a release, once for all that changed since the last one:
#  1. sources changed, and nothing that a program sees: REVISION + 1.
#  2. functions were added, none removed or changed: CURRENT + 1, REVISION 0, AGE + 1.
#  3. a function was removed, or what it promises changed: CURRENT + 1, REVISION 0, AGE 0.
libmppool_la_LDFLAGS = $(AM_LDFLAGS) $(DEFS_LDFLAGS) $(NODELETE_LDFLAGS) -no-undefined -version-info 0:0:0

if HAVE_VERSION_SCRIPT
libmppool_la_LDFLAGS += -Wl,--version-script=$(srcdir)/src/mppool.map
endif
libmppool_la_DEPENDENCIES = libmppool-internal.la src/mppool.map

EXTRA_DIST += src/mppool.map src/README
