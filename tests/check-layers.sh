#!/bin/sh
# SPDX-License-Identifier: MIT
#
# A file of src names its layer in its first line, "/* layer N: ...", and includes only headers of its own layer and
# those below.
set -u
status=0
files=0

# layer FILE: its number, or nothing.
layer()
{
	sed -n '1s,^/\* layer \([0-9][0-9]*\): .*,\1,p' "$1"
}

for file in "$srcdir"/src/*.c "$srcdir"/src/*.h; do
	test -f "$file" || continue
	files=$((files + 1))
	own=$(layer "$file")
	if test -z "$own"; then
		echo "$file: the first line does not say \"/* layer N: ...\""
		status=1
		continue
	fi
	for header in $(sed -n 's/^ *# *include *"\([^"]*\)".*/\1/p' "$file"); do
		if ! test -f "$srcdir/src/$header"; then
			echo "$file: includes \"$header\", which is not in src"
			status=1
			continue
		fi
		other=$(layer "$srcdir/src/$header")
		if test "${other:-0}" -gt "$own"; then
			echo "$file: of layer $own, includes $header of layer $other"
			status=1
		fi
	done
done
if test "$files" = 0; then
	echo "no files in $srcdir/src"
	status=1
fi
exit $status
