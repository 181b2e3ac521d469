# SPDX-License-Identifier: MIT
#
# Reads a page in mdoc and writes every literal block of its EXAMPLES, as it reads on paper, to a file of its own: -v
# out=PREFIX makes PREFIX1.c, PREFIX2.c... Blocks of shell, which have a prompt, are left out.

function flush_block()
{
	if (text != "" && text !~ /(^|\n)\$ /) {
		printf "#line %d \"%s\"\n%s", start, FILENAME, text >(out (++count) ".c")
		close(out count ".c")
	}
}

$1 == ".Sh" { on = ($2 == "EXAMPLES") }
on && $1 == ".Bd" && /-literal|-unfilled/ { block = 1; text = ""; start = FNR + 1; next }
block && $1 == ".Ed" { flush_block(); block = 0; next }
block {
	line = $0
	sub(/^\\&/, "", line)
	gsub(/\\&/, "", line)
	gsub(/\\-/, "-", line)
	gsub(/\\\(aq|\\\[aq\]/, "'", line)
	gsub(/\\\(dq|\\\[dq\]/, "\"", line)
	gsub(/\\\(ti|\\\[ti\]/, "~", line)
	gsub(/\\\(ha|\\\[ha\]/, "^", line)
	gsub(/\\\(ga|\\\[ga\]/, "`", line)
	gsub(/\\\(rs|\\\[rs\]|\\e/, "\\", line)
	text = text line "\n"
}
