#!/bin/sh
# SPDX-License-Identifier: MIT
#
# make html: there is a page for every page of the manual, the index leads to all of them, and every link and every
# picture leads to a file and a place that are there.
set -u
if test -z "$MANDOC"; then
	echo "skipped: there is no mandoc to make the pages"
	exit 77
fi
tmp=$(mktemp -d) || exit 99
trap 'rm -rf "$tmp"' EXIT
status=0

$SHELL "$srcdir/man/html.sh" "$tmp/html" || exit 1
for page in "$srcdir"/man/*.[0-9]; do
	name=${page##*/}
	if grep -q '^\.so ' "$page"; then
		continue
	elif ! test -s "$tmp/html/$name.html"; then
		echo "$name has no HTML"
		status=1
	elif ! grep -q -F "href=\"$name.html\"" "$tmp/html/index.html"; then
		echo "the index does not lead to $name"
		status=1
	fi
done

# Every id and every link of all pages, one a line: a page, "id" or "href", and what it says.
cd "$tmp/html" || exit 99
for page in *.html; do
	tr '<' '\n' <"$page" | tr '\t' ' ' |
		sed -n -e "s/^[a-z0-9]* \(.* \)\{0,1\}id=\"\([^\"]*\)\".*/$page id \2/p" \
			-e "s/^[a-z0-9]* \(.* \)\{0,1\}href=\"\([^\"]*\)\".*/$page href \2/p" \
			-e "s/^img \(.* \)\{0,1\}src=\"\([^\"]*\)\".*/$page href \2/p"
done >"$tmp/marks"
# shellcheck disable=SC2016
$AWK '
	$2 == "id" && seen[$1 "#" $3]++ { print $1 ": two places are called " $3; bad = 1 }
	$2 == "href" { links++; from[links] = $1; to[links] = $3 }
	END {
		for (i = 1; i <= links; i++) {
			split(to[i], part, "#")
			target = part[1] == "" ? from[i] : part[1]
			if (target == from[i] && part[2] == "" || (getline line <target) < 0 ||
			    (part[2] != "" && !((target "#" part[2]) in seen))) {
				print from[i] ": the link to " to[i] " leads nowhere"
				bad = 1
			}
			close(target)
		}
		print links " links"
		exit bad || links < 100
	}' "$tmp/marks" || status=1
if test "$(grep -c '<img ' mppool_tutorial.7.html)" != 4; then
	echo "the tutorial does not have its four pictures"
	status=1
fi
exit $status
