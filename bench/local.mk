# SPDX-License-Identifier: MIT

# The benchmark: make bench. Neither `make` nor `make check` builds its programs. configure finds which peers there are.

# ------------------------------------------------------------------------------------------------------------ programs

EXTRA_PROGRAMS += \
	bench/floor \
	bench/mppool-bench \
	bench/peer-apr \
	bench/peer-glib \
	bench/peer-libuv \
	bench/peer-openmp \
	bench/peer-pthreadpool \
	bench/peer-pthreads \
	bench/peer-serial
EXTRA_LIBRARIES = libbench.a libbench-peers.a

libbench_a_SOURCES = bench/harness.c bench/harness.h bench/works.c bench/works.h
libbench_peers_a_SOURCES = bench/peer.c bench/peer.h bench/queue.c bench/queue.h

# Without the u of the default, which ar says that it ignores.
ARFLAGS = cr

bench_libs = libbench.a $(LIBM) $(PTHREAD_LIBS)
bench_peer_libs = libbench-peers.a $(bench_libs)

bench_floor_SOURCES = bench/floor.c
bench_floor_LDADD = $(bench_libs)

bench_mppool_bench_SOURCES = bench/mppool-bench.c
bench_mppool_bench_LDADD = libmppool.la $(bench_libs)

bench_peer_apr_SOURCES = bench/peer-apr.c
bench_peer_apr_CFLAGS = $(AM_CFLAGS) $(APR_CFLAGS)
bench_peer_apr_LDADD = $(bench_peer_libs) $(APR_LIBS)

bench_peer_glib_SOURCES = bench/peer-glib.c
bench_peer_glib_CFLAGS = $(AM_CFLAGS) $(GLIB_CFLAGS)
bench_peer_glib_LDADD = $(bench_peer_libs) $(GLIB_LIBS)

bench_peer_libuv_SOURCES = bench/peer-libuv.c
bench_peer_libuv_CFLAGS = $(AM_CFLAGS) $(UV_CFLAGS)
bench_peer_libuv_LDADD = $(bench_peer_libs) $(UV_LIBS)

bench_peer_openmp_SOURCES = bench/peer-openmp.c
bench_peer_openmp_CFLAGS = $(AM_CFLAGS) $(OPENMP_CFLAGS)
bench_peer_openmp_LDADD = $(bench_peer_libs)

bench_peer_pthreadpool_SOURCES = bench/peer-pthreadpool.c
bench_peer_pthreadpool_LDADD = $(bench_libs) $(PTHREADPOOL_LIBS)

bench_peer_pthreads_SOURCES = bench/peer-pthreads.c
bench_peer_pthreads_LDADD = $(bench_peer_libs)

bench_peer_serial_SOURCES = bench/peer-serial.c
bench_peer_serial_LDADD = $(bench_peer_libs)

# The only program in C++: a rule of its own spares everybody else a C++ compiler in configure.
bench/peer-tbb$(EXEEXT): bench/peer-tbb.cpp bench/harness.h bench/works.h bench/peer.h libbench.a libbench-peers.a
	@$(MKDIR_P) bench
	$(AM_V_GEN)$(CXX) -std=c++17 -Wall -Wextra $(CPPFLAGS) $(SAN_CFLAGS) $(PTHREAD_CFLAGS) $(TBB_CFLAGS) $(CXXFLAGS) \
		$(LDFLAGS) -o $@ '$(srcdir)/bench/peer-tbb.cpp' $(bench_peer_libs) $(TBB_LIBS)

bench_programs = bench/mppool-bench$(EXEEXT) $(BENCH_FLOOR) $(BENCH_PEER_PROGRAMS)

# ---------------------------------------------------------------------------------------------------------- make bench

# What to measure; empty: what bench/README says.
BENCH_ROUNDS =
BENCH_WORKS =
BENCH_PEERS =
BENCH_WORKERS =
BENCH_SCALE =
BENCH_TIMEOUT =
BENCH_EXTRA =

bench_options = --programs bench --results bench/results --gnuplot '$(GNUPLOT)' \
	$(BENCH_ROUNDS:%=--rounds %) \
	$(BENCH_WORKERS:%=--workers %) \
	$(BENCH_SCALE:%=--scale %) \
	$(BENCH_TIMEOUT:%=--timeout %) \
	$${bench_works:+--works "$$bench_works"} \
	$${bench_peers:+--peers "$$bench_peers"} \
	$${bench_extra:+--extra "$$bench_extra"}
bench_run = \
	bench_works='$(BENCH_WORKS)'; bench_peers='$(BENCH_PEERS)'; bench_extra='$(BENCH_EXTRA)'; \
	$(PYTHON3) '$(srcdir)/bench/run.py' $(bench_options)

.PHONY: bench bench-programs check-bench clean-bench
bench: bench-programs
	@$(bench_missing)
	@$(bench_run)

# In a make of its own: while `all` is under way, nobody else may build the library.
bench-programs: all
	$(MAKE) $(AM_MAKEFLAGS) $(bench_programs)

# Everything once with few items: are all results right? And is the report's arithmetic?
check-bench: bench-programs
	@$(bench_missing)
	@$(PYTHON3) '$(srcdir)/bench/test-report.py'
	@$(bench_run) --check --rounds 1 --reps 2 --scale 0.01 --works '$(BENCH_CHECK_WORKS)' --results bench/check
BENCH_CHECK_WORKS = map_tiny map_chunk1 submit_get submit_wait_all apply_latency multi_producer stream_ordered \
	stream_unordered create_destroy nested memory arguments callbacks chunksize fair submit_get@one-cpu submit_get@busy

bench_missing = \
	test -z '$(BENCH_MISSING)' || echo 'not measured, since configure did not find them: $(BENCH_MISSING)'; \
	test -n '$(PYTHON3)' || { \
		echo 'The programs are built; to run them side by side takes python3, which configure did not find.'; \
		echo 'Each runs by itself, too: bench/mppool-bench --help'; \
		exit 1; \
	}

# -------------------------------------------------------------------------------------------------------- distribution

EXTRA_DIST += \
	bench/README \
	bench/peer-python.py \
	bench/peer-tbb.cpp \
	bench/run.py \
	bench/test-report.py

CLEANFILES += $(EXTRA_PROGRAMS) $(EXTRA_LIBRARIES) bench/peer-tbb$(EXEEXT)
clean-local: clean-bench
clean-bench:
	-rm -rf bench/results bench/check
