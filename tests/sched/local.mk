# SPDX-License-Identifier: MIT

# The library under a scheduler, which chooses the order in which threads take their steps: README.

if HAVE_SCHED
check_LTLIBRARIES += libmppool-sched.la
check_PROGRAMS += tests/interleavings
interleavings = tests/interleavings
else
interleavings =
endif

# The library's own sources, and scenarios. The compiler reports their plain accesses to memory to model.c.
libmppool_sched_la_SOURCES = \
	$(library_sources) \
	tests/sched/callbacks.c \
	tests/sched/groups.c \
	tests/sched/maps.c \
	tests/sched/parts.c \
	tests/sched/resize.c \
	tests/sched/singles.c \
	tests/sched/stats.c \
	tests/sched/stops.c \
	tests/sched/store.c \
	tests/sched/streams.c \
	tests/sched/tools.c \
	tests/sched/watches.c \
	tests/sched/workers.c
libmppool_sched_la_CPPFLAGS = $(AM_CPPFLAGS) -DMPP_SCHEDULER -DMPP_FAIR=2 "-DMPP_RING=((size_t)4)" -iquote $(top_srcdir)/src -I$(top_srcdir)/tests/sched \
	-include $(top_srcdir)/tests/sched/sched_plain.h
libmppool_sched_la_CFLAGS = $(AM_CFLAGS) $(UNWIND_CFLAGS) $(SCHED_CFLAGS)
libmppool_sched_la_LIBADD = $(PTHREAD_LIBS) $(LIBATOMIC)

# The scheduler, on which nobody reports.
tests_interleavings_SOURCES = \
	tests/sched/choose.c \
	tests/sched/engine.c tests/sched/engine.h \
	tests/sched/main.c \
	tests/sched/model.c \
	tests/sched/scenario.h \
	tests/sched/scenarios.h \
	tests/sched/sched_lock.h \
	tests/sched/sched_plain.h \
	tests/sched/sched_sync.h \
	tests/sched/standins.c
tests_interleavings_CPPFLAGS = $(AM_CPPFLAGS) -iquote $(top_srcdir)/src -I$(top_srcdir)/tests/sched
tests_interleavings_CFLAGS = $(AM_CFLAGS) $(UNWIND_CFLAGS)
tests_interleavings_LDADD = libmppool-sched.la $(PTHREAD_LIBS)

EXTRA_DIST += tests/sched/README

# make check gives it some seconds. SECONDS: how long to go on; SEED: from which seed on, else another one each time.
SECONDS = 60
SEED =
.PHONY: check-interleavings
check-interleavings:
if HAVE_SCHED
	$(MAKE) $(AM_MAKEFLAGS) tests/interleavings$(EXEEXT)
	tests/interleavings$(EXEEXT) -t $(SECONDS) -f $${SEED:-$$(date +%s)000}
else
	@echo "configure found that the scheduler of the tests cannot be built here"; exit 1
endif
