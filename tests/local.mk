# SPDX-License-Identifier: MIT

# ------------------------------------------------------------------------------------------------------- test programs

# Each is a suite of Check's. Black boxes are linked with the library as users have it; white boxes with its objects,
# and they see its headers.
black_tests = \
	tests/test_callbacks \
	tests/test_cancel \
	tests/test_cpython \
	tests/test_errors \
	tests/test_fairness \
	tests/test_faults \
	tests/test_functions \
	tests/test_groups \
	tests/test_idle \
	tests/test_lifecycle \
	tests/test_memory \
	tests/test_nested \
	tests/test_poll \
	tests/test_processes \
	tests/test_progress \
	tests/test_races \
	tests/test_resize \
	tests/test_semantics \
	tests/test_service \
	tests/test_states \
	tests/test_stats \
	tests/test_streams \
	tests/test_threads \
	tests/test_trace
white_tests = \
	tests/white_parts

if HAVE_CHECK
AM_CFLAGS += $(CHECK_CFLAGS) -iquote $(top_srcdir)/src
check_LTLIBRARIES += libtest-support.la tests/late_module.la
# The longest first.
test_programs = $(white_tests) $(black_tests)
check_PROGRAMS += $(test_programs)
else
test_programs =
endif

libtest_support_la_SOURCES = tests/support.c tests/support.h

# With -rpath a shared module, although it is never installed.
tests_late_module_la_SOURCES = tests/late_module.c
tests_late_module_la_LDFLAGS = -module -avoid-version -rpath /nowhere

black_libs = libtest-support.la libmppool.la $(CHECK_LIBS) $(LIBM)
white_libs = libtest-support.la libmppool-internal.la $(CHECK_LIBS) $(LIBM)

tests_test_callbacks_LDADD = $(black_libs)
tests_test_cancel_LDADD = $(black_libs)
tests_test_cpython_LDADD = $(black_libs)
tests_test_errors_LDADD = $(black_libs)
tests_test_fairness_LDADD = $(black_libs)
tests_test_faults_LDADD = $(black_libs)
tests_test_functions_LDADD = $(black_libs)
tests_test_groups_LDADD = $(black_libs)
tests_test_idle_LDADD = $(black_libs)
tests_test_lifecycle_LDADD = $(black_libs)
tests_test_memory_LDADD = $(black_libs)
tests_test_nested_LDADD = $(black_libs)
tests_test_poll_LDADD = $(black_libs)
tests_test_processes_LDADD = $(black_libs) $(DL_LIBS)
tests_test_progress_LDADD = $(black_libs)
tests_test_races_LDADD = $(black_libs)
tests_test_resize_LDADD = $(black_libs)
tests_test_semantics_LDADD = $(black_libs)
tests_test_service_LDADD = $(black_libs)
tests_test_states_LDADD = $(black_libs)
tests_test_stats_LDADD = $(black_libs)
tests_test_streams_LDADD = $(black_libs)
tests_test_threads_LDADD = $(black_libs)
tests_test_trace_LDADD = $(black_libs)
tests_white_parts_LDADD = $(white_libs)

# Here what the library asks of the system fails: the n-th time, or at random.
if HAVE_WRAP
white_tests += tests/white_faults
endif
tests_white_faults_LDADD = $(white_libs)
tests_white_faults_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=aligned_alloc -Wl,--wrap=pthread_create \
	-Wl,--wrap=mpp_alloc -Wl,--wrap=mpp_alloc_aligned -Wl,--wrap=mpp_zalloc -Wl,--wrap=mpp_realloc \
	-Wl,--wrap=mpp_free -Wl,--wrap=mpp_block_alloc -Wl,--wrap=mpp_block_free \
	-Wl,--wrap=mpp_barrier \
	-Wl,--wrap=syscall -Wl,--wrap=pthread_cond_wait -Wl,--wrap=pthread_cond_timedwait -Wl,--wrap=clock_gettime \
	-Wl,--wrap=eventfd -Wl,--wrap=pipe -Wl,--wrap=pipe2 -Wl,--wrap=fcntl -Wl,--wrap=read -Wl,--wrap=write \
	-Wl,--wrap=open -Wl,--wrap=fstat -Wl,--wrap=ftruncate -Wl,--wrap=lseek -Wl,--wrap=flock

# ----------------------------------------------------------------------------------------------------------- make soak

# Everything at once, for so many minutes: tests/soak.c. A fraction will do.
EXTRA_PROGRAMS += tests/soak
tests_soak_LDADD = libmppool.la $(PTHREAD_LIBS) $(LIBM)

MINUTES = 1
.PHONY: soak
soak: tests/soak$(EXEEXT)
	tests/soak$(EXEEXT) $(SEED:%=-s %) $(MINUTES)

# ------------------------------------------------------------------------------------------------------------- scripts

# Checks of the sources, the header, the manual and the examples. They need no Check. The examples scan the ports that
# the program listener opens.
check_PROGRAMS += tests/listener
tests_listener_LDADD =

script_tests = \
	tests/check-fuzz.sh \
	tests/check-header.sh \
	tests/check-html.sh \
	tests/check-layers.sh \
	tests/check-lists.sh \
	tests/check-man-code.sh \
	tests/check-man-lint.sh \
	tests/check-man-names.sh \
	tests/check-probes.sh \
	tests/check-symbols.sh \
	tests/event_loops.sh \
	tests/examples.sh \
	tests/from_python.sh \
	tests/plugin.sh \
	tests/programs.sh \
	tests/timeline.sh

EXTRA_DIST += \
	$(script_tests) \
	tests/check-abi.sh \
	tests/check-builds.sh \
	tests/check-debian.sh \
	tests/UNREACHED \
	tests/coverage.sh \
	tests/machines.sh \
	tests/models.sh \
	tests/models/deque.pml \
	tests/models/job.pml \
	tests/models/machine.pml \
	tests/models/parcel.pml \
	tests/models/park.pml \
	tests/models/spans.pml \
	tests/models/streams.pml \
	tests/planted.py \
	tests/planted.txt \
	tests/declarations.awk \
	tests/members.awk \
	tests/examples-common.sh \
	tests/examples.awk \
	tests/expected/apply_async_and_forget.txt \
	tests/expected/as_completed_and_wait.txt \
	tests/expected/as_completed.txt \
	tests/expected/callbacks.txt \
	tests/expected/common_mistakes.txt \
	tests/expected/csv_buffers.txt \
	tests/expected/error_callbacks.txt \
	tests/expected/error_in_callback.txt \
	tests/expected/error_in_initializer.txt \
	tests/expected/error_in_map_async.txt \
	tests/expected/error_inside_task.txt \
	tests/expected/error_outside_task.txt \
	tests/expected/error_successful.txt \
	tests/expected/errors_in_imap.txt \
	tests/expected/errors_in_map.txt \
	tests/expected/imap_unordered_as_completed.txt \
	tests/expected/imap_unordered_first.txt \
	tests/expected/initializer_arguments.txt \
	tests/expected/initializer_state.txt \
	tests/expected/map_and_iterate.txt \
	tests/expected/map_async_and_forget.txt \
	tests/expected/montecarlo.txt \
	tests/expected/resize.txt \
	tests/expected/stats.txt \
	tests/expected/wait_first_completed.txt \
	tests/expected/work_requests.txt \
	tests/header_sugar.c \
	tests/installcheck.sh \
	tests/results.awk \
	tests/synopsis.awk

# ---------------------------------------------------------------------------------------------------------- make check

TESTS = $(interleavings) $(test_programs) $(script_tests)

# Check's programs report each of their tests by the protocol TAP; a script is one test.
TEST_EXTENSIONS = .sh
LOG_DRIVER = env AM_TAP_AWK='$(AWK)' $(SHELL) $(top_srcdir)/build-aux/tap-driver.sh
SH_LOG_COMPILER = $(SHELL)

# MPPOOL_TEST_TIMEOUT_FACTOR multiplies every time limit; a build with sanitizers has a greater one from configure.
test_environment = \
	MPPOOL_TEST_TIMEOUT_FACTOR="$${MPPOOL_TEST_TIMEOUT_FACTOR:-$(TEST_TIMEOUT_FACTOR)}"; \
	CK_TIMEOUT_MULTIPLIER="$$MPPOOL_TEST_TIMEOUT_FACTOR"; \
	CK_TAP_LOG_FILE_NAME=-; CK_VERBOSITY=silent; \
	ASAN_OPTIONS="detect_leaks=1:detect_stack_use_after_return=1:$$ASAN_OPTIONS"; \
	UBSAN_OPTIONS="print_stacktrace=1:$$UBSAN_OPTIONS"; \
	TSAN_OPTIONS="second_deadlock_stack=1:$$TSAN_OPTIONS"; \
	export MPPOOL_TEST_TIMEOUT_FACTOR CK_TIMEOUT_MULTIPLIER CK_TAP_LOG_FILE_NAME CK_VERBOSITY; \
	export ASAN_OPTIONS UBSAN_OPTIONS TSAN_OPTIONS;
script_environment = \
	AWK='$(AWK)'; CC='$(CC)'; CLANG='$(CLANG)'; CLANGXX='$(CLANGXX)'; CPPFLAGS='$(CPPFLAGS)'; \
	CRYPTO_LIBS='$(CRYPTO_LIBS)'; CXX='$(CXX)'; EXEEXT='$(EXEEXT)'; GLIB_CFLAGS='$(GLIB_CFLAGS)'; \
	GLIB_LIBS='$(GLIB_LIBS)'; LIBM='$(LIBM)'; UV_CFLAGS='$(UV_CFLAGS)'; UV_LIBS='$(UV_LIBS)'; \
	LIBTOOL='$(LIBTOOL)'; MANDOC='$(MANDOC)'; NM='$(NM_PROG)'; PNG_LIBS='$(PNG_LIBS)'; \
	PACKAGE_VERSION='$(PACKAGE_VERSION)'; PKG_CONFIG='$(PKG_CONFIG)'; PTHREAD_CFLAGS='$(PTHREAD_CFLAGS)'; \
	PROBES='$(use_probes)'; \
	PTHREAD_LIBS='$(PTHREAD_LIBS)'; SAN_CFLAGS='$(SAN_CFLAGS)'; VERSION_SCRIPT='$(version_script)'; \
	ZLIB_LIBS='$(ZLIB_LIBS)'; top_builddir='$(top_builddir)'; top_srcdir='$(top_srcdir)'; srcdir='$(srcdir)'; \
	export AWK CC CLANG CLANGXX CPPFLAGS CRYPTO_LIBS CXX EXEEXT LIBM LIBTOOL MANDOC NM PACKAGE_VERSION; \
	export GLIB_CFLAGS GLIB_LIBS PKG_CONFIG PNG_LIBS PROBES PTHREAD_CFLAGS PTHREAD_LIBS SAN_CFLAGS; \
	export UV_CFLAGS UV_LIBS VERSION_SCRIPT; \
	export ZLIB_LIBS top_builddir top_srcdir srcdir;
AM_TESTS_ENVIRONMENT = $(test_environment) $(script_environment)

if HAVE_VERSION_SCRIPT
version_script = yes
else
version_script = no
endif

# Said before the tests and after them.
if !HAVE_CHECK
check_DATA = check-is-missing
check-local: check-is-missing
check-is-missing:
	@echo "=================================================================="
	@echo "Check was not found: the test programs are neither built nor run."
	@echo "=================================================================="
endif

# The test programs under valgrind: whatever it has to say is a failure, but for what tests/valgrind.supp explains.
VALGRIND_FLAGS = --quiet --error-exitcode=99 --leak-check=full --show-leak-kinds=definite,indirect,possible \
	--errors-for-leak-kinds=definite,indirect,possible --num-callers=30 --max-threads=8192 --fair-sched=try \
	--suppressions=$(abs_top_srcdir)/tests/valgrind.supp

.PHONY: check-is-missing check-valgrind
check-valgrind: all
if HAVE_CHECK
	@test -n "$(VALGRIND)" || { echo "valgrind was not found by configure"; exit 1; }
	$(MAKE) $(AM_MAKEFLAGS) $(check_LTLIBRARIES) $(test_programs)
	MPPOOL_TEST_VALGRIND=1 MPPOOL_TEST_TIMEOUT_FACTOR=$${MPPOOL_TEST_TIMEOUT_FACTOR:-20} \
		$(MAKE) $(AM_MAKEFLAGS) check-TESTS TESTS='$(test_programs)' TEST_SUITE_LOG=valgrind-suite.log \
		LOG_COMPILER='$(LIBTOOL) --mode=execute $(VALGRIND) $(VALGRIND_FLAGS)'
else
	@echo "Check was not found: there are no test programs for valgrind"; exit 1
endif

# ----------------------------------------------------------------------------------------------------- further checks

# Too long, or in need of too much, for make check.
.PHONY: check-abi check-builds check-debian check-machines check-models check-planted coverage update-abi
check-builds:
	@CC='$(CC)' MAKE='$(MAKE)' PACKAGE_VERSION='$(PACKAGE_VERSION)' srcdir='$(srcdir)' \
	script_tests='$(script_tests)' $(SHELL) $(srcdir)/tests/check-builds.sh
check-abi update-abi: libmppool.la
	@CC='$(CC)' PACKAGE_VERSION='$(PACKAGE_VERSION)' host_cpu='$(host_cpu)' srcdir='$(srcdir)' \
	$(SHELL) $(srcdir)/tests/check-abi.sh $(@:-abi=)
check-debian:
	@MAKE='$(MAKE)' PACKAGE_VERSION='$(PACKAGE_VERSION)' $(SHELL) $(srcdir)/tests/check-debian.sh
coverage:
	@CC='$(CC)' MAKE='$(MAKE)' srcdir='$(srcdir)' $(SHELL) $(srcdir)/tests/coverage.sh
check-machines:
	bash $(srcdir)/tests/machines.sh
check-models:
	@CC='$(CC)' srcdir='$(srcdir)' $(SHELL) $(srcdir)/tests/models.sh
check-planted:
	@CC='$(CC)' srcdir='$(srcdir)' python3 $(srcdir)/tests/planted.py
EXTRA_DIST += tests/valgrind.supp
EXTRA_DIST += abi/constants abi/suppressions abi/x86_64.abi

# --------------------------------------------------------------------------------------------------- make installcheck

# The examples and programs in C and C++, built as a user builds them: with the installed tree, through pkg-config and
# by CMake.
installcheck-local:
	@$(script_environment) $(test_environment) \
	DESTDIR='$(DESTDIR)' CFLAGS='$(CFLAGS)' libdir='$(libdir)' pkgconfigdir='$(pkgconfigdir)' mandir='$(mandir)' \
	CMAKE='$(CMAKE)' cmakedir='$(cmakedir)' includedir='$(includedir)' \
	examples='$(all_examples)' enable_static='$(enable_static)' $(SHELL) $(srcdir)/tests/installcheck.sh
