#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The library has exactly the static probes that mppool_trace(7) names, with as many arguments, or none at all where it
# was built without them.
set -u
library=.libs/libmppool.so
if ! test -f $library || ! readelf --version >/dev/null 2>&1; then
	echo "skipped: no shared library, or no readelf to look into it"
	exit 77
fi
status=0

# name and number of arguments
readelf -n $library | $AWK '
	$1 == "Provider:" { provider = $2 }
	$1 == "Name:" { name = $2 }
	$1 == "Arguments:" && provider == "mppool" { print name, NF - 1 }' | sort -u >probes.tmp
sed -n 's/^\.It Fn \([a-z]*\) pool job /\1 pool job /p' "$srcdir/man/mppool_trace.7" |
	$AWK '{ print $1, NF - 1 }' | sort -u >names.tmp
found=$(cat probes.tmp)
named=$(cat names.tmp)
rm -f probes.tmp names.tmp
test "$(echo "$named" | wc -l)" = 4 || { echo "the manual names other than four probes: $named"; status=1; }
if test "$PROBES" != yes; then
	test -z "$found" || { echo "built without probes, it has $found"; status=1; }
elif test "$found" != "$named"; then
	printf 'the library has\n%s\nand the manual\n%s\n' "$found" "$named"
	status=1
fi
exit $status
