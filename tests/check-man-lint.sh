#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Every function has a page or a stub, every page that another one names is there, mandoc's lint has nothing to say, and
# no line of a page is wider than a terminal of 80 columns.
set -u
tmp=$(mktemp -d) || exit 99
trap 'rm -rf "$tmp"' EXIT
status=0
backspace=$(printf '\b')

names=$($AWK '$1 == "global:" { on = 1; next } $1 == "local:" { on = 0 } on { sub(/;$/, "", $1); print $1 }' \
	"$srcdir/src/mppool.map")

# Stubs say ".so man3/page.3": they are read from where an installed manual would be.
mkdir "$tmp/man1" "$tmp/man3" "$tmp/man7"
cp "$srcdir"/man/*.1 "$tmp/man1"
cp "$srcdir"/man/*.3 "$tmp/man3"
cp "$srcdir"/man/*.7 "$tmp/man7"
cd "$tmp" || exit 99

# page_of FILE: the page itself, or the one that it is a stub for.
page_of()
{
	target=$(sed -n '1s/^\.so //p' "$1")
	echo "${target:-$1}"
}

for file in man1/*.1 man3/*.3 man7/*.7; do
	page=$(page_of "$file")
	if ! test -f "$page"; then
		echo "$file is a stub for $page, which is not there"
		status=1
	elif test "$page" = "$file" && test -n "$MANDOC"; then
		"$MANDOC" -T lint -W warning "$page" || status=1
		"$MANDOC" -T ascii -O width=80 "$page" | sed "s/.$backspace//g" |
			$AWK -v page="$page" 'length($0) > 80 { print page ": " $0; wide = 1 } END { exit wide }' || status=1
	fi
done
for name in $names; do
	if ! test -f "man3/$name.3"; then
		echo "$name has no page"
		status=1
	elif ! grep -q -e "^\.Nm $name\( ,\)*\$" "$(page_of "man3/$name.3")"; then
		echo "$name is not among the names of its page"
		status=1
	fi
done
for page in $(sed -n 's/^\.Xr \(mppool[a-z_-]*\) \([0-9]\).*/man\2\/\1.\2/p' man?/* | sort -u); do
	if ! test -f "$page"; then
		echo "${page#*/} is referred to, and is not there"
		status=1
	fi
done
if test "$status" = 0 && test -z "$MANDOC"; then
	echo "skipped: there is no mandoc to lint the pages"
	exit 77
fi
exit $status
