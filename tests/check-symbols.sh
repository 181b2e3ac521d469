#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The header, the version script and the library name the same functions, and nothing else gets out.
set -u
map=$srcdir/src/mppool.map
tmp=$(mktemp -d) || exit 99
trap 'rm -rf "$tmp"' EXIT
status=0

# same WHAT A B: two sorted lists are the same.
same()
{
	if ! diff "$tmp/$2" "$tmp/$3" >"$tmp/difference"; then
		echo "$1: < only in $2, > only in $3"
		cat "$tmp/difference"
		status=1
	fi
}

$CC $CPPFLAGS -E "$srcdir/include/mppool.h" >"$tmp/preprocessed" || exit 1
$AWK -f "$srcdir/tests/declarations.awk" "$tmp/preprocessed" >"$tmp/declarations"
sed -n 's/.*[^a-z_0-9]\(mppool_[a-z_0-9]*\) *(.*/\1/p' "$tmp/declarations" | sort >"$tmp/header"
if ! test -s "$tmp/header"; then
	echo "no declarations found in mppool.h"
	exit 1
fi

$AWK '$1 == "global:" { on = 1; next } $1 == "local:" { on = 0 } on { sub(/;$/, "", $1); print $1 }' "$map" \
	>"$tmp/map-as-it-is"
LC_ALL=C sort "$tmp/map-as-it-is" >"$tmp/map"
sort "$tmp/header" | LC_ALL=C sort -o "$tmp/header"
same "header and version script" header map
same "version script out of order" map-as-it-is map

library=
for file in .libs/libmppool.so .libs/libmppool.*.dylib; do
	test -f "$file" && library=$file
done
if test -n "$library" && test "$VERSION_SCRIPT" = yes; then
	# Every name with its version: what is not of the version MPPOOL_0.9 shows as a difference.
	sed 's/$/@@MPPOOL_0.9/' "$tmp/map" >"$tmp/versioned"
	$NM -D --defined-only "$library" | $AWK '$2 != "A" { print $3 }' | LC_ALL=C sort >"$tmp/library"
	same "version script and shared library" versioned library
fi

# A static library has no version script: what it defines must at least be named as ours.
if test -f .libs/libmppool.a && test -z "$SAN_CFLAGS"; then
	# U: used, not defined; V and W: weak, the compiler's.
	$NM -g .libs/libmppool.a 2>/dev/null | $AWK 'NF == 3 && $2 ~ /^[A-TX-Z]$/ { print $3 }' |
		LC_ALL=C sort -u >"$tmp/all"
	grep '^mppool_' "$tmp/all" >"$tmp/static"
	same "header and static library" header static
	if grep -v -e '^mppool_' -e '^mpp_' "$tmp/all"; then
		echo "the static library defines these names, which are not ours"
		status=1
	fi
fi

version=$(sed -n 's/^#define MPPOOL_VERSION_[A-Z]* //p' "$srcdir/include/mppool.h" | paste -s -d . -)
if test "$version" != "$PACKAGE_VERSION"; then
	echo "mppool.h says version $version, configure says $PACKAGE_VERSION: run autoreconf -fi"
	status=1
fi
if ! sed 1q "$srcdir/debian/changelog" | grep -q -F "mppool ($version) "; then
	echo "debian/changelog says another version than mppool.h: $version"
	status=1
fi
exit $status
