#!/bin/sh
# SPDX-License-Identifier: MIT
#
# What the manual shows is true: the functions of each SYNOPSIS are declared so in the header, the code of each
# EXAMPLES compiles without a warning, and what has a main function does its work and returns 0. So does the program
# in README.
set -u
tmp=$(mktemp -d) || exit 99
trap 'rm -rf "$tmp"' EXIT
status=0
flags="-std=gnu11 -Wall -Wextra -Wpedantic -Wshadow -Werror -I$srcdir/include $SAN_CFLAGS $PTHREAD_CFLAGS"
limit=
if timeout 1 true 2>/dev/null; then
	limit="timeout $((60 * MPPOOL_TEST_TIMEOUT_FACTOR))"
fi
declared=0
compiled=0
ran=0

# compile SOURCE NAME: by the rules of a user who likes warnings.
compile()
{
	# shellcheck disable=SC2086
	if $CC $flags -O1 -c "$1" -o "$tmp/code.o"; then
		return 0
	fi
	echo "FAILED: $2 does not compile"
	status=1
	return 1
}

run()
{
	# shellcheck disable=SC2086
	if ! $LIBTOOL --silent --tag=CC --mode=link $CC $flags -o "$tmp/program" "$tmp/code.o" libmppool.la $LIBM; then
		echo "FAILED: $1 cannot be linked"
		status=1
	elif ! (cd "$tmp" && $limit "$tmp/program" </dev/null >"$tmp/output" 2>&1); then
		echo "FAILED: $1 did not return 0; its output:"
		cat "$tmp/output"
		status=1
	fi
}

for page in "$srcdir"/man/*.[0-9]; do
	name=${page##*/}
	printf '#include <mppool.h>\n' >"$tmp/synopsis.c"
	$AWK -f "$srcdir/tests/synopsis.awk" "$page" | sed '/MPPOOL_/d' >>"$tmp/synopsis.c"
	functions=$(grep -c ');$' "$tmp/synopsis.c")
	if test "$functions" -gt 0; then
		compile "$tmp/synopsis.c" "the SYNOPSIS of $name"
		declared=$((declared + functions))
	fi
	rm -f "$tmp"/example*.c
	$AWK -v out="$tmp/example" -f "$srcdir/tests/examples.awk" "$page"
	for source in "$tmp"/example*.c; do
		test -f "$source" || continue
		number=${source##*/example}
		label="example ${number%.c} of $name"
		compile "$source" "$label" || continue
		compiled=$((compiled + 1))
		if grep -q '[^a-z_]main(' "$source"; then
			run "$label"
			ran=$((ran + 1))
		fi
	done
done

# The program in README: what is indented, from its first #include to the end of main.
sed -n '/^    #include/,/^    }$/p' "$srcdir/README" >"$tmp/readme.c"
if compile "$tmp/readme.c" "the program in README"; then
	run "the program in README"
	if test "$(cat "$tmp/output")" != "1 4 9"; then
		echo "FAILED: the program in README prints $(cat "$tmp/output")"
		status=1
	fi
fi

echo "$declared functions agree with the header, $compiled examples compile, $ran of them run"
if test "$declared" = 0 || test "$ran" = 0; then
	echo "FAILED: the manual should have some"
	status=1
fi
exit $status
