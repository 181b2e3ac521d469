#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The header compiles without a warning, alone and with all its macros in use, as every C from C11 and as every C++
# from C++11, with each compiler that is there; and what the macros make does its work. In C++ they refuse types that
# cannot be copied byte by byte.
set -u
tmp=$(mktemp -d) || exit 99
trap 'rm -rf "$tmp"' EXIT
status=0
limit=
if timeout 1 true 2>/dev/null; then
	limit="timeout $((60 * MPPOOL_TEST_TIMEOUT_FACTOR))"
fi
sources="header_sugar header_typed"
warnings='-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wcast-qual -Werror'

printf '#include <mppool.h>\n#include <mppool.h>\nint main(void) { return MPPOOL_RUN; }\n' >"$tmp/alone.c"
echo 'int main(void) { return 0; }' >"$tmp/empty.c"
cat >"$tmp/types.cc" <<'EOF'
#include <mppool.h>
struct bytes { int n; };
struct owner { int n; owner(); owner(const owner &other); };
TYPE result(void);
bytes argument(bytes x, TYPE y);
void none(TYPE x);
int main(void) { return 0; }
MACRO
EOF

# check LANGUAGE STANDARD COMPILER...: compiles; true if there is an object to link.
check()
{
	language=$1
	standard=$2
	shift 2
	rm -f "$tmp"/*.o
	if ! "$@" -x "$language" -std="$standard" -c "$tmp/empty.c" -o "$tmp/empty.o" 2>/dev/null; then
		echo "skipped: $* does not know $standard"
		return 1
	fi
	cp "$srcdir"/tests/header_*.c "$tmp"
	for source in alone $sources; do
		# shellcheck disable=SC2086
		if ! "$@" -x "$language" -std="$standard" -g -O2 $warnings -I"$srcdir/include" -c "$tmp/$source.c" \
			-o "$tmp/$source.o"; then
			echo "FAILED: $* -std=$standard $source.c"
			status=1
			return 1
		fi
	done
	echo "compiled by $*: $standard"
}

# run COMPILER...: links the last objects, and runs them. With sanitizers only the compiler that made the library can.
run()
{
	test -z "$SAN_CFLAGS" || test "$*" = "$CC" || return
	for source in $sources; do
		# shellcheck disable=SC2086
		if ! $LIBTOOL --silent --tag=CC --mode=link "$@" $SAN_CFLAGS -o "$tmp/program" "$tmp/$source.o" \
			libmppool.la $PTHREAD_LIBS; then
			echo "FAILED: linking $source with $*"
			status=1
		elif ! $limit "$tmp/program"; then
			echo "FAILED: running what $* made of $source as $language by $standard"
			status=1
		fi
	done
}

# check_layer STANDARD COMPILER...: mppool.hpp, by its test and by the example.
check_layer()
{
	standard=$1
	shift
	for source in "$srcdir/tests/cplusplus.cc" "$srcdir/examples/squares.cc"; do
		object=${source##*/}
		case $standard in
		c++11|c++20) make="-O1 -c -o $tmp/${object%.cc}.o" ;;
		*) make=-fsyntax-only ;;
		esac
		# shellcheck disable=SC2086
		if ! "$@" -std="$standard" -g $warnings -I"$srcdir/include" "$source" $make; then
			echo "FAILED: $* -std=$standard $source"
			status=1
		fi
	done
}

# With sanitizers only the compiler that made the library can, and that is one for C.
run_layer()
{
	test -z "$SAN_CFLAGS" || return 0
	for program in cplusplus squares; do
		test -f "$tmp/$program.o" || continue
		# shellcheck disable=SC2086
		if ! $LIBTOOL --silent --tag=CC --mode=link "$@" -o "$tmp/program" "$tmp/$program.o" libmppool.la \
			$PTHREAD_LIBS; then
			echo "FAILED: linking $program with $*"
			status=1
		elif ! $limit "$tmp/program" >"$tmp/output"; then
			echo "FAILED: running what $* made of $program.cc by $standard"
			status=1
		elif test "$program" = squares && ! grep -q '^item 2: negative$' "$tmp/output"; then
			echo "FAILED: examples/squares.cc prints"
			cat "$tmp/output"
			status=1
		fi
	done
}

# Nothing but the type is at fault: of bytes all is well.
check_types()
{
	set -- "$@" -x c++ -std=c++11 -fsyntax-only -Wno-unused -I"$srcdir/include" "$tmp/types.cc"
	for macro in 'FUNC(t, TYPE, result)' 'PURE(t, TYPE, result)' 'FUNC(t, bytes, argument, bytes, TYPE)' \
		'PURE(t, bytes, argument, bytes, TYPE)' 'PROC(t, none, TYPE)'; do
		if ! "$@" -DTYPE=bytes "-DMACRO=MPPOOL_$macro;" 2>"$tmp/said"; then
			echo "FAILED: $1 refuses MPPOOL_$macro where TYPE is a struct of an int:"
			cat "$tmp/said"
			status=1
		elif "$@" -DTYPE=owner "-DMACRO=MPPOOL_$macro;" 2>"$tmp/said" ||
			! grep -q 'not trivially copyable: ' "$tmp/said"; then
			echo "FAILED: $1 does not refuse MPPOOL_$macro where TYPE has a copy constructor"
			status=1
		fi
	done
}

# What is linked, and run, is the first and the last standard of a language.
for cc in "$CC" ${CLANG:+"$CLANG"}; do
	for standard in c17 c11 c2x; do
		# shellcheck disable=SC2086
		check c "$standard" $cc || continue
		# shellcheck disable=SC2086
		test "$standard" = c17 || run $cc
	done
done
for cxx in ${CXX:+"$CXX"} ${CLANGXX:+"$CLANGXX"}; do
	# shellcheck disable=SC2086
	check_types $cxx
	for standard in c++14 c++17 c++11 c++2b c++20; do
		# shellcheck disable=SC2086
		check c++ "$standard" $cxx || continue
		# shellcheck disable=SC2086
		check_layer "$standard" $cxx
		case $standard in
		c++11|c++20)
			# shellcheck disable=SC2086
			run $cxx
			# shellcheck disable=SC2086
			run_layer $cxx
		esac
	done
done
test -n "$CXX$CLANGXX" || echo "skipped: no C++ compiler"
exit $status
