# SPDX-License-Identifier: MIT

# Installed with the library, and not linked with it.
bin_PROGRAMS += tools/mppool-timeline

tools_mppool_timeline_SOURCES = \
	tools/layout.c \
	tools/mppool-timeline.c \
	tools/reader.c \
	tools/svg.c \
	tools/timeline.h
tools_mppool_timeline_CPPFLAGS = $(AM_CPPFLAGS) -iquote $(top_srcdir)/src
tools_mppool_timeline_LDADD = $(LIBM)
