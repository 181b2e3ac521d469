# SPDX-License-Identifier: MIT

# One idea a file. Each is linked with the library, and some with one more. from_python has pairs: a Python program and
# its port to C. tests/from_python.sh runs both.
plain_examples = \
	examples/as_completed \
	examples/bottlenecks \
	examples/cksums \
	examples/initializer_state \
	examples/montecarlo \
	examples/pmap \
	examples/portscan \
	examples/progress_bar \
	examples/psort \
	examples/resize \
	examples/stats \
	examples/wait_first_completed \
	examples/wordcount \
	$(python_ports)

python_ports = \
	examples/from_python/apply_async_and_forget \
	examples/from_python/as_completed_and_wait \
	examples/from_python/bounded_ctrl_c \
	examples/from_python/callbacks \
	examples/from_python/common_mistakes \
	examples/from_python/csv_buffers \
	examples/from_python/error_callbacks \
	examples/from_python/error_in_callback \
	examples/from_python/error_in_initializer \
	examples/from_python/error_in_map_async \
	examples/from_python/error_inside_task \
	examples/from_python/error_outside_task \
	examples/from_python/error_successful \
	examples/from_python/errors_in_imap \
	examples/from_python/errors_in_map \
	examples/from_python/imap_unordered_as_completed \
	examples/from_python/imap_unordered_first \
	examples/from_python/initializer_arguments \
	examples/from_python/map_and_iterate \
	examples/from_python/map_async_and_forget \
	examples/from_python/port_scanner \
	examples/from_python/work_requests

LDADD = libmppool.la $(LIBM)
noinst_PROGRAMS += $(plain_examples)
all_examples = $(plain_examples) examples/hashfiles examples/mandelbrot examples/pgzip

if HAVE_CRYPTO
noinst_PROGRAMS += examples/hashfiles
endif
examples_hashfiles_LDADD = $(LDADD) $(CRYPTO_LIBS)

if HAVE_PNG
noinst_PROGRAMS += examples/mandelbrot
endif
examples_mandelbrot_LDADD = $(LDADD) $(PNG_LIBS)

if HAVE_ZLIB
noinst_PROGRAMS += examples/pgzip
endif
examples_pgzip_LDADD = $(LDADD) $(ZLIB_LIBS)

# Event loops
if HAVE_EPOLL
noinst_PROGRAMS += examples/factor_epoll
all_examples += examples/factor_epoll
endif

if HAVE_UV
noinst_PROGRAMS += examples/primes_uv
all_examples += examples/primes_uv
endif
examples_primes_uv_CPPFLAGS = $(AM_CPPFLAGS) $(UV_CFLAGS)
examples_primes_uv_LDADD = $(LDADD) $(UV_LIBS)

if HAVE_GLIB
noinst_PROGRAMS += examples/checksums_glib
all_examples += examples/checksums_glib
endif
examples_checksums_glib_CPPFLAGS = $(AM_CPPFLAGS) $(GLIB_CFLAGS)
examples_checksums_glib_LDADD = $(LDADD) $(GLIB_LIBS)

EXTRA_DIST += \
	examples/squares.cc \
	examples/README \
	examples/from_python/apply_async_and_forget.py \
	examples/from_python/as_completed_and_wait.py \
	examples/from_python/bounded_ctrl_c.py \
	examples/from_python/callbacks.py \
	examples/from_python/common_mistakes.py \
	examples/from_python/csv_buffers.py \
	examples/from_python/error_callbacks.py \
	examples/from_python/error_in_callback.py \
	examples/from_python/error_in_initializer.py \
	examples/from_python/error_in_map_async.py \
	examples/from_python/error_inside_task.py \
	examples/from_python/error_outside_task.py \
	examples/from_python/error_successful.py \
	examples/from_python/errors_in_imap.py \
	examples/from_python/errors_in_map.py \
	examples/from_python/imap_unordered_as_completed.py \
	examples/from_python/imap_unordered_first.py \
	examples/from_python/initializer_arguments.py \
	examples/from_python/map_and_iterate.py \
	examples/from_python/map_async_and_forget.py \
	examples/from_python/port_scanner.py \
	examples/from_python/work_requests.py
