#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The manual and the header have the same names: every constant, macro, type and member of the header is in the manual,
# and man finds it there; and the manual, README and the other texts speak of nothing that is not in the header.
set -u
tmp=$(mktemp -d) || exit 99
trap 'rm -rf "$tmp"' EXIT
LC_ALL=C
export LC_ALL
status=0
header=$srcdir/include/mppool.h
sugar=$srcdir/include/mppool-sugar.h

# words FILE...: each word in them that is a public name or looks like one.
words()
{
	cat "$@" | tr -c 'A-Za-z0-9_' '[\n*]' | grep -x -e '[Mm][Pp][Pp][Oo][Oo][Ll]_.*' | sort -u
}

# The header without comments and without what is private: names that end in an underscore, and the macros' insides.
# shellcheck disable=SC2086
$CC -E -I"$srcdir/include" -include mppool.h -x c /dev/null >"$tmp/header.i" || exit 99
{
	sed -n 's/^#define \(MPPOOL_[A-Z0-9_]*[A-Z0-9]\)\([( ].*\)*$/\1/p' "$header" "$sugar"
	$AWK '/^#/ { on = /mppool(-sugar)?\.h/ } on' "$tmp/header.i" >"$tmp/own.i"
	words "$tmp/own.i" | grep -v -e '_$'
} | grep -v -x -e MPPOOL_H -e MPPOOL_SUGAR_H | sort -u >"$tmp/names"

# In the manual as it is read, without the programs under EXAMPLES.
for page in "$srcdir"/man/*.[0-9]; do
	$AWK '/^\.Sh/ { on = $2 != "EXAMPLES" } on' "$page"
done >"$tmp/manual"
words "$tmp/manual" >"$tmp/told"
for name in $(comm -23 "$tmp/names" "$tmp/told"); do
	echo "$name is in the header, and the manual does not speak of it"
	status=1
done

# Each name is that of a page or a stub, which leads to where it is described. Where two names differ in nothing but
# the case of letters there is one file for both, which man-db finds: some file systems could not tell two apart.
for name in $(cat "$tmp/names"); do
	file=$name.3
	test -f "$srcdir/man/$file" || file=$(echo "$name" | tr '[:upper:]' '[:lower:]').3
	if ! test -f "$srcdir/man/$file"; then
		echo "$name is in the header, and man $name finds nothing"
		status=1
		continue
	fi
	page=$(sed -n '1s,^\.so man[37]/,,p' "$srcdir/man/$file")
	if ! sed 's/^\.It /./; s/^\.Pq /./; s/^#define /.Dv /; s/$/ /' "$srcdir/man/${page:-$file}" |
		grep -q -e "^\.Nm $name " -e "^\.Dv $name "; then
		echo "man $name shows ${page:-$file}, which does not describe it"
		status=1
	fi
done
(cd "$srcdir/man" && grep -l '^\.so ' ./*.3) | sed 's,^\./\(.*\)\.3$,\1,' | sort >"$tmp/stubs"
for name in $(comm -13 "$tmp/names" "$tmp/stubs"); do
	echo "$name.3 is a stub for a name that the header does not have"
	status=1
done
twins=$(cd "$srcdir/man" && ls | tr '[:upper:]' '[:lower:]' | sort | uniq -d)
if test -n "$twins"; then
	echo "more than one file is called $twins"
	status=1
fi

# Names that are none of the header's: pages, variables of the environment, what is said of all names that begin so. The
# versions of symbols, MPPOOL_1.0, are no names of C.
{
	cat "$tmp/names"
	(cd "$srcdir/man" && ls) | sed 's/\.[0-9]$//'
	printf '%s\n' mppool_ MPPOOL_ MPPOOL_VERSION_ mppool_OBJECT_VERB \
		MPPOOL_TRACE MPPOOL_WORKERS MPPOOL_TEST_TIMEOUT_FACTOR
} | sort -u >"$tmp/known"
for text in "$srcdir"/man/*.[0-9] "$srcdir"/README "$srcdir"/CONTRIBUTING "$srcdir"/ChangeLog \
	"$srcdir"/examples/README "$srcdir"/debian/control; do
	sed -e '/^\.Dt /d' -e 's/MPPOOL_[0-9][0-9.]*//g' "$text" >"$tmp/text"
	words "$tmp/text" >"$tmp/words"
	for name in $(comm -13 "$tmp/known" "$tmp/words"); do
		echo "${text#"$srcdir"/} speaks of $name, which the header does not have"
		status=1
	done
done

# same PAGE WHERE: what is wanted there is what is there.
same()
{
	if ! cmp -s "$tmp/wanted" "$tmp/got"; then
		echo "mppool_$1.3 (>) and the header (<) have different members in $2:"
		diff "$tmp/wanted" "$tmp/got"
		status=1
	fi
}

# members PAGE STRUCT...: the page has the members of these structs in this order and with their types, in a list of
# ".It Vt TYPE Fa NAME", or as the header has them, or both.
members()
{
	page=$1
	shift
	$AWK '/^\.Sh EXAMPLES/ { exit } 1' "$srcdir/man/mppool_$page.3" >"$tmp/page"
	$AWK -f "$srcdir/tests/members.awk" "$tmp/page" | sed 's/\[[^]]*\]$//' >"$tmp/structs"
	for struct in "$@"; do
		echo "$struct" >>"$tmp/described"
		grep -e "^$struct: " "$tmp/members" >"$tmp/wanted"
		if grep -e "^$struct: " "$tmp/structs" >"$tmp/got"; then
			same "$page" SYNOPSIS
		fi
	done
	$AWK '$1 == ".It" && $2 == "Vt" {
		gsub(/^\.It Vt |"/, "")
		sub(/ Ns Bq .*/, "")
		sub(/ Ns Fa /, "")
		sub(/ Fa /, " ")
		print
	}' "$tmp/page" >"$tmp/got"
	if test -s "$tmp/got" || ! test -s "$tmp/structs"; then
		for struct in "$@"; do
			sed -n "s/^$struct: //p" "$tmp/members"
		done >"$tmp/wanted"
		same "$page" DESCRIPTION
	fi
}

$AWK -f "$srcdir/tests/members.awk" "$tmp/own.i" | sed 's/\[[^]]*\]$//' >"$tmp/members"
: >"$tmp/described"
members apply mppool_call_options
members create mppool_options
members imap mppool_call_options
members map mppool_call_options
members func mppool_func mppool_chunk
members iterable mppool_column mppool_iterable
members raise mppool_error
members stats mppool_counters mppool_worker_counters
for struct in $(sed 's/:.*//' "$tmp/members" | sort -u); do
	if ! grep -q -x "$struct" "$tmp/described"; then
		echo "no page has the members of struct $struct"
		status=1
	fi
done

test "$status" != 0 || echo "$(wc -l <"$tmp/names") names, $(wc -l <"$tmp/members") members"
exit $status
