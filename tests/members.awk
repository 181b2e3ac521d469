# SPDX-License-Identifier: MIT
#
# Reads a preprocessed C header and prints the members of its structs, one a line: "STRUCT: TYPE NAME". Structs that are
# declared inside of something else have no place in the header.

/^[ \t]*#/ {
	next
}

match($0, /^struct [a-z_]+ \{/) {
	name = $2
	next
}

name != "" && /^\};/ {
	name = ""
}

name != "" {
	gsub(/[ \t]+/, " ")
	text = text $0
	while (match(text, /;/)) {
		member = substr(text, 1, RSTART - 1)
		text = substr(text, RSTART + 1)
		gsub(/^ +| +$/, "", member)
		print name ": " member
	}
}
