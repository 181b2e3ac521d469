#!/bin/sh
# SPDX-License-Identifier: MIT
#
# What the compiler is to find is found, by gcc and clang, in C and in C++. Each file of tests/mistakes is right as it
# is, without any warning, and has one mistake where MISTAKE is defined. Its first comment has lines of the form
# "COMPILER: PATTERN", COMPILER being gcc, g++, clang, clang++, or c, c++ or all for several of them: what the compiler
# says about the mistake matches each of the patterns that are for it.
#
# And what the typed calls cost is nothing: a function that uses one consists of the same instructions as a function
# that uses the call of mppool.h.
set -u
LC_ALL=C
export LC_ALL
tmp=$(mktemp -d) || exit 99
trap 'rm -rf "$tmp"' EXIT
status=0
found=0
flags="-O1 -Wall -Wextra -I$srcdir/include"

# kind NAME COMPILER...: the name by which the files know it; nothing if it is neither of the two, or too old.
kind()
{
	language=$1
	shift
	"$@" -dM -E -x "$language" /dev/null >"$tmp/macros" 2>/dev/null || return
	plus=
	test "$language" = c || plus=++
	if grep -q __clang__ "$tmp/macros"; then
		echo "clang$plus"
	elif test "$(sed -n 's/^#define __GNUC__ //p' "$tmp/macros")" -ge 10; then
		test "$language" = c && echo gcc || echo g++
	fi
}

# mistake NAME LANGUAGE FILE COMPILER...
mistake()
{
	name=$1
	language=$2
	file=$3
	shift 3
	case $language in
	c) standard=c11 ;;
	*) standard=c++11 ;;
	esac
	# shellcheck disable=SC2086
	if ! "$@" $flags -Werror -x "$language" -std=$standard -c "$file" -o "$tmp/object.o" 2>"$tmp/said"; then
		echo "FAILED: $* -std=$standard has a complaint about ${file##*/} as it is:"
		cat "$tmp/said"
		status=1
		return
	fi
	sed -n '1,/\*\//p' "$file" | sed -n 's/ \*\/$//; s/^ \* \([a-z+]*\): /\1 /p' >"$tmp/patterns"
	# shellcheck disable=SC2086
	"$@" $flags -DMISTAKE -x "$language" -std=$standard -c "$file" -o "$tmp/object.o" 2>"$tmp/all"
	# Not the lines of the source that it shows, which have the words of the macros in them.
	grep -e ' error: ' -e ' warning: ' -e ' note: ' "$tmp/all" >"$tmp/said"
	while read -r whose pattern; do
		case $whose,$name in
		"$name,$name"|all,*|c,gcc|c,clang|c++,g++|c++,clang++) ;;
		*) continue ;;
		esac
		if grep -E -q -e "$pattern" "$tmp/said"; then
			found=$((found + 1))
		else
			echo "FAILED: $* -std=$standard does not say \"$pattern\" about the mistake in ${file##*/}:"
			cat "$tmp/said"
			status=1
		fi
	done <"$tmp/patterns"
}

# instructions FUNCTION FILE: its instructions without their operands, each with the times it is there. What differs is
# where on the stack a variable has its place.
instructions()
{
	sed -n "/^$1:/,/\.size/p" "$2" | $AWK '$1 !~ /^\.|:$/ { print $1 }' | sort | uniq -c
}

# same_code COMPILER...: where an assembler's files look otherwise there is nothing to compare.
same_code()
{
	# shellcheck disable=SC2086
	"$@" -O2 -I"$srcdir/include" -S "$srcdir/tests/same_code.c" -o "$tmp/untyped.s" &&
		"$@" -O2 -DTYPED -I"$srcdir/include" -S "$srcdir/tests/same_code.c" -o "$tmp/typed.s" || {
		echo "FAILED: $* same_code.c"
		status=1
		return
	}
	compared=0
	for function in call_apply call_map call_starmap call_imap call_get call_next; do
		instructions $function "$tmp/untyped.s" >"$tmp/untyped"
		instructions $function "$tmp/typed.s" >"$tmp/typed"
		test -s "$tmp/untyped" || continue
		compared=$((compared + 1))
		if ! cmp -s "$tmp/untyped" "$tmp/typed"; then
			echo "FAILED: $* makes another $function() of a typed call (>) than of an untyped one (<)"
			diff "$tmp/untyped" "$tmp/typed"
			status=1
		fi
	done
	echo "$*: $compared functions are the same, typed or not"
}

for cc in "$CC" ${CLANG:+"$CLANG"}; do
	# shellcheck disable=SC2086
	name=$(kind c $cc)
	test -n "$name" || continue
	for file in "$srcdir"/tests/mistakes/*.c; do
		# shellcheck disable=SC2086
		mistake "$name" c "$file" $cc
	done
	# shellcheck disable=SC2086
	same_code $cc
done
for cxx in ${CXX:+"$CXX"} ${CLANGXX:+"$CLANGXX"}; do
	# shellcheck disable=SC2086
	name=$(kind c++ $cxx)
	test -n "$name" || continue
	for file in "$srcdir"/tests/mistakes/*.c; do
		# shellcheck disable=SC2086
		mistake "$name" c++ "$file" $cxx
	done
done
echo "$found patterns were found"
test "$found" -gt 0 || exit 77
exit $status
