#!/bin/sh
# SPDX-License-Identifier: MIT
#
# html.sh FOLDER: the manual as HTML, one file per page, with an index. MANDOC, AWK, srcdir and PACKAGE_VERSION come
# from make.
set -eu
LC_ALL=C
export LC_ALL
mkdir -p "$1"
out=$(cd "$1" && pwd)
cd "$srcdir/man"

# Which file has which page: a stub, ".so man3/page.3", is the page that it names.
for page in *.[0-9]; do
	target=$(sed -n '1s,^\.so .*/,,p' "$page")
	echo "$page ${target:-$page}.html"
done >"$out/pages.tmp"

for page in *.[0-9]; do
	grep -q '^\.so ' "$page" && continue
	"$MANDOC" -T html -O 'style=mppool.css,man=%N.%S.html' -I "os=mppool $PACKAGE_VERSION" "$page" |
		"$AWK" -v page="$page" -f html.awk "$out/pages.tmp" - >"$out/$page.html"
done

# index.html: what the NAME of each page says, section by section. Overviews come first.
# section NUMBER TITLE
section()
{
	set -- "$1" "$2" *."$1"
	test -f "$3" || return 0
	echo "<h2>$2</h2>"
	echo '<dl class="index">'
	shift 2
	for page in "$@"; do
		grep -q '^\.so ' "$page" && continue
		"$AWK" -v page="$page" '
			/^\.Sh/ { name = $2 == "NAME" }
			name && $1 == ".Nm" { names = names (names ? ", " : "") $2 }
			name && $1 == ".Nd" {
				sub(/^\.Nd */, "")
				gsub(/&/, "\\&amp;")
				gsub(/</, "\\&lt;")
				gsub(/\\-/, "-")
				printf "<dt><a href=\"%s.html\">%s</a></dt>\n<dd>%s</dd>\n", page, names, $0
			}' "$page"
	done
	echo '</dl>'
}

{
	cat <<EOF
<!DOCTYPE html>
<html lang="en">
<head>
  <meta charset="utf-8"/>
  <meta name="viewport" content="width=device-width, initial-scale=1.0"/>
  <link rel="stylesheet" href="mppool.css" type="text/css" media="all"/>
  <title>mppool $PACKAGE_VERSION: the manual</title>
</head>
<body>
<div class="manual-text">
<h1>mppool $PACKAGE_VERSION: the manual</h1>
<p>The <a href="mppool_tutorial.7.html">tutorial</a> is the place to begin; for those who know Python's pool it is
<a href="mppool_python.7.html">from Python to C</a>. <a href="mppool.7.html">mppool(7)</a> is the reference.</p>
EOF
	section 7 'Overviews'
	section 1 'Programs'
	section 3 'Functions'
	printf '</div>\n</body>\n</html>\n'
} >"$out/index.html"

cp mppool.css trace-*.svg "$out"
rm "$out/pages.tmp"
