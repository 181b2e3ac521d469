# SPDX-License-Identifier: MIT

# Bytes drive calls of the library, and a model says what must come of them: fuzz.c. The program needs no engine.
check_PROGRAMS += tests/fuzz/fuzz
tests_fuzz_fuzz_SOURCES = tests/fuzz/fuzz.c tests/fuzz/fuzz.h tests/fuzz/main.c
tests_fuzz_fuzz_LDADD = libmppool.la $(PTHREAD_LIBS)

# Inputs that have found something, or come to much of the library.
fuzz_corpus = \
	tests/fuzz/corpus/chance-1 \
	tests/fuzz/corpus/chance-2 \
	tests/fuzz/corpus/chance-3 \
	tests/fuzz/corpus/chance-4 \
	tests/fuzz/corpus/chance-5 \
	tests/fuzz/corpus/chance-6 \
	tests/fuzz/corpus/chance-7 \
	tests/fuzz/corpus/chance-8 \
	tests/fuzz/corpus/found-01 \
	tests/fuzz/corpus/found-02 \
	tests/fuzz/corpus/found-03 \
	tests/fuzz/corpus/found-04 \
	tests/fuzz/corpus/found-05 \
	tests/fuzz/corpus/found-06 \
	tests/fuzz/corpus/found-07 \
	tests/fuzz/corpus/found-08 \
	tests/fuzz/corpus/found-09 \
	tests/fuzz/corpus/found-10 \
	tests/fuzz/corpus/found-11 \
	tests/fuzz/corpus/found-12 \
	tests/fuzz/corpus/queue-limit-empty-map
EXTRA_DIST += $(fuzz_corpus) tests/fuzz/README

# make fuzz SECONDS=600: for so long, with a seed of its own each time or with SEED=n. The engines are built with the
# library's sources, so that they see which of its branches an input takes. What they find is in the folder fuzz-found.
engine_flags = -std=gnu11 -g -O1 $(UNWIND_CFLAGS) $(PTHREAD_CFLAGS) -I. -I$(srcdir)/include -iquote $(srcdir)/src \
	-iquote $(srcdir)/tests/fuzz
engine_sources = $(srcdir)/src/*.c $(srcdir)/tests/fuzz/fuzz.c

.PHONY: fuzz fuzz-afl fuzz-libfuzzer
fuzz: tests/fuzz/fuzz$(EXEEXT)
	tests/fuzz/fuzz$(EXEEXT) -t $(SECONDS) $(SEED:%=-s %) $(fuzz_corpus:%=$(srcdir)/%)

fuzz-libfuzzer:
	@test -n '$(CLANG)' || { echo "make fuzz-libfuzzer needs clang, which was not found by configure"; exit 1; }
	$(CLANG) $(engine_flags) -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all $(engine_sources) \
		-o tests/fuzz/fuzz-libfuzzer $(PTHREAD_LIBS) $(LIBATOMIC) $(LIBM)
	$(MKDIR_P) fuzz-found
	tests/fuzz/fuzz-libfuzzer -max_total_time=$(SECONDS) -max_len=256 -timeout=60 -artifact_prefix=fuzz-found/ \
		fuzz-found $(srcdir)/tests/fuzz/corpus

fuzz-afl:
	@command -v afl-clang-fast >/dev/null || { echo "make fuzz-afl needs AFL++ (Debian: afl++)"; exit 1; }
	AFL_QUIET=1 afl-clang-fast -fsanitize=fuzzer $(engine_flags) $(engine_sources) -o tests/fuzz/fuzz-afl \
		$(PTHREAD_LIBS) $(LIBATOMIC) $(LIBM)
	AFL_SKIP_CPUFREQ=1 AFL_NO_AFFINITY=1 AFL_I_DONT_CARE_ABOUT_MISSING_CRASHES=1 AFL_NO_UI=1 afl-fuzz \
		-V $(SECONDS) -G 256 -t 20000+ \
		-i $(srcdir)/tests/fuzz/corpus -o fuzz-found/afl -- tests/fuzz/fuzz-afl

CLEANFILES += fuzz-failure tests/fuzz/fuzz-afl tests/fuzz/fuzz-libfuzzer
