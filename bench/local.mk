# SPDX-License-Identifier: MIT

# make bench. Neither `make` nor `make check` builds these programs.
EXTRA_PROGRAMS = bench/mppool-bench
noinst_HEADERS = \
	bench/harness.h \
	bench/works.h

EXTRA_LTLIBRARIES = libbench.la
libbench_la_SOURCES = bench/harness.c bench/works.c

bench_mppool_bench_LDADD = libbench.la libmppool.la $(LIBM) $(PTHREAD_LIBS)

bench_programs = bench/mppool-bench

.PHONY: bench
bench: all
	$(MAKE) $(AM_MAKEFLAGS) $(bench_programs)

CLEANFILES += $(EXTRA_PROGRAMS) libbench.la
