# SPDX-License-Identifier: MIT
#
# Reads a preprocessed C header and prints the functions that it declares, one declaration a line. What stands in
# braces is left out, and so are typedefs and static functions.

/^[ \t]*#/ {
	next
}

{
	for (i = 1; i <= length($0); i++) {
		c = substr($0, i, 1)
		if (c == "{") {
			depth++
		} else if (c == "}") {
			if (--depth == 0)
				end()
		} else if (depth == 0) {
			if (c == ";")
				end()
			else
				text = text c
		}
	}
	if (depth == 0)
		text = text " "
}

function end()
{
	gsub(/__attribute__ *\(\(.*\)\)/, "", text)
	gsub(/[ \t]+/, " ", text)
	sub(/^ /, "", text)
	sub(/ $/, "", text)
	if (text ~ /[^a-z_0-9]mppool_[a-z_0-9]* ?\(/ && text !~ /^(typedef|static|struct [a-z_]*$)/)
		print text
	text = ""
}
