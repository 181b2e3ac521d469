# SPDX-License-Identifier: MIT

# One idea a file. Each is linked with the library, and two with one more.
plain_examples = \
	examples/apply_async_and_forget \
	examples/bounded_ctrl_c \
	examples/callbacks \
	examples/error_callbacks \
	examples/error_in_initializer \
	examples/errors_in_imap \
	examples/errors_in_map \
	examples/imap_unordered_as_completed \
	examples/imap_unordered_first \
	examples/initializer_state \
	examples/map_and_iterate \
	examples/map_async_and_forget \
	examples/portscan

LDADD = libmppool.la $(LIBM)
noinst_PROGRAMS += $(plain_examples)
all_examples = $(plain_examples) examples/hashfiles examples/pgzip

if HAVE_CRYPTO
noinst_PROGRAMS += examples/hashfiles
endif
examples_hashfiles_LDADD = $(LDADD) $(CRYPTO_LIBS)

if HAVE_ZLIB
noinst_PROGRAMS += examples/pgzip
endif
examples_pgzip_LDADD = $(LDADD) $(ZLIB_LIBS)

EXTRA_DIST += \
	examples/README
