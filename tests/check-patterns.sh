#!/bin/sh
# SPDX-License-Identifier: MIT
#
# tests/patterns.c does its work, and none of the programs in it has more lines that have to do with the pool than its
# heading allows: a line counts if it has a name of the library in it, or that of a task.
set -u
tmp=$(mktemp -d) || exit 99
trap 'rm -rf "$tmp"' EXIT
source=$srcdir/tests/patterns.c
limit=
if timeout 1 true 2>/dev/null; then
	limit="timeout $((60 * MPPOOL_TEST_TIMEOUT_FACTOR))"
fi

# shellcheck disable=SC2086
if ! $CC -std=gnu11 -g -O1 -Wall -Wextra -Wpedantic -Wshadow -Werror -I"$srcdir/include" $SAN_CFLAGS $PTHREAD_CFLAGS \
	-c "$source" -o "$tmp/patterns.o" ||
	! $LIBTOOL --silent --tag=CC --mode=link $CC $SAN_CFLAGS $PTHREAD_CFLAGS -o "$tmp/patterns" "$tmp/patterns.o" \
		libmppool.la $PTHREAD_LIBS; then
	echo "FAILED: patterns.c cannot be built"
	exit 1
elif ! $limit "$tmp/patterns"; then
	echo "FAILED: patterns.c does not do its work"
	exit 1
fi

$AWK '
	/^\/\* pattern: / {
		if (name != "") {
			print name ": " lines " lines of " most
			parts++
			if (lines > most) {
				print "FAILED: too many lines"
				failed = 1
			}
		}
		name = $0
		sub(/^\/\* pattern: /, "", name)
		most = name
		sub(/,.*/, "", name)
		gsub(/[^0-9]/, "", most)
		most += 0
		lines = 0
		next
	}
	/mppool|MPPOOL|_task|_func/ { lines++ }
	END {
		if (parts != 12) {
			print "FAILED: there are " parts + 0 " programs, and should be twelve"
			failed = 1
		}
		exit failed
	}' "$source"
