# SPDX-License-Identifier: MIT
#
# Reads a page in mdoc and prints each function of its SYNOPSIS as a C declaration, with a #line before it.

function unquoted(text)
{
	gsub(/"/, "", text)
	return text
}

function declare(name, arguments)
{
	printf "#line %d \"%s\"\n%s %s(%s);\n", FNR, FILENAME, type, name, arguments
}

# The macro's arguments, at most one of them without quotes: name, then "argument" "argument"...
function arguments_of(line,    list)
{
	list = ""
	while (match(line, /"[^"]*"/)) {
		list = list (list == "" ? "" : ", ") substr(line, RSTART + 1, RLENGTH - 2)
		line = substr(line, RSTART + RLENGTH)
	}
	return list == "" ? line : list
}

$1 == ".Sh" { on = ($2 == "SYNOPSIS") }
!on { next }
$1 == ".Ft" { sub(/^\.Ft +/, ""); type = unquoted($0) }
$1 == ".Fn" { name = $2; sub(/^\.Fn +[^ ]+ */, ""); declare(name, arguments_of($0)) }
$1 == ".Fo" { name = $2; list = "" }
$1 == ".Fa" { sub(/^\.Fa +/, ""); list = list (list == "" ? "" : ", ") arguments_of($0) }
$1 == ".Fc" { declare(name, list) }
