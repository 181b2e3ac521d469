#!/bin/sh
# SPDX-License-Identifier: MIT
#
# make check-abi: a program that was built with the last release runs with this library. The folder abi has what that
# release looked like: the values of its constants, and for some machines its functions, with the structs that they
# take, as abidw describes them. What is new is no fault; what is gone or different is. abi/suppressions says which
# differences a program cannot see.
#
# make update-abi: this library becomes the one to compare with. For a release, and nothing else: see CONTRIBUTING.
set -u
mode=$1
tmp=$(mktemp -d) || exit 99
trap 'rm -rf "$tmp"' EXIT
library=.libs/libmppool.so
abi=$srcdir/abi
status=0

# constants: the numbers of the header, by name.
constants()
{
	# shellcheck disable=SC2086
	{
		$CC -E -I"$srcdir/include" -include mppool.h -x c /dev/null | tr ',{}' '[\n*]' |
			sed -n 's/^[[:space:]]*\(MPPOOL_[A-Z_]*\) *=.*/\1/p'
		printf '%s\n' MPPOOL_MAX_ARGS MPPOOL_UNBOUNDED MPPOOL_UNKNOWN
	} | LC_ALL=C sort >"$tmp/names"
	{
		printf '#include <mppool.h>\n#include <stdio.h>\nint main(void)\n{\n'
		sed 's/.*/printf("& %td\\n", (ptrdiff_t)&);/' "$tmp/names"
		printf '}\n'
	} >"$tmp/print.c"
	# shellcheck disable=SC2086
	$CC -I"$srcdir/include" -o "$tmp/print" "$tmp/print.c" && "$tmp/print"
}

# describe: the library's functions and types.
describe()
{
	if ! command -v abidw >/dev/null 2>&1; then
		echo "check-abi: functions skipped: there is no abidw (Debian: abigail-tools)" >&2
		return 1
	elif ! test -f "$library"; then
		echo "check-abi: functions skipped: no shared library was built" >&2
		return 1
	elif ! grep -q '\.debug_info' "$library"; then
		echo "check-abi: functions skipped: the library was built without -g" >&2
		return 1
	fi
	abidw --headers-dir "$srcdir/include" --drop-private-types --exported-interfaces-only --no-corpus-path \
		--no-comp-dir-path --no-show-locs --no-elf-needed --type-id-style hash "$library" |
		sed "s,path='[^']*/src/,path='src/,"
}

if test "$mode" = update; then
	constants >"$tmp/constants" && mv "$tmp/constants" "$abi/constants" || exit 1
	describe >"$tmp/library" && mv "$tmp/library" "$abi/$host_cpu.abi" || exit 1
	echo "check-abi: abi/constants and abi/$host_cpu.abi are those of version $PACKAGE_VERSION now"
	exit 0
fi

# Compiled, not run: this part works for any machine.
{
	echo '#include <mppool.h>'
	sed 's/\(.*\) \(.*\)/_Static_assert((ptrdiff_t)\1 == \2, "\1 was \2");/' "$abi/constants"
} >"$tmp/assert.c"
# shellcheck disable=SC2086
if ! $CC -std=gnu11 -I"$srcdir/include" -fsyntax-only "$tmp/assert.c"; then
	echo "check-abi: FAILED: a constant has another value, or is gone"
	status=1
else
	echo "check-abi: $(wc -l <"$abi/constants") constants are the same"
fi

if ! test -f "$abi/$host_cpu.abi"; then
	echo "check-abi: functions skipped: no description for $host_cpu is kept"
elif describe >"$tmp/library"; then
	if abidiff --no-added-syms --suppressions "$abi/suppressions" "$abi/$host_cpu.abi" "$tmp/library"; then
		echo "check-abi: $(grep -c '<elf-symbol ' "$abi/$host_cpu.abi") functions are the same"
	else
		echo "check-abi: FAILED: programs that were built before may not work with this library"
		status=1
	fi
fi
exit $status
