# SPDX-License-Identifier: MIT
#
# Mends what mandoc made of one page: links to stubs go to the page that they stand for, links to other manuals are none
# here, the name of a function leads to its page, and that of a picture shows it. The first file is the list of pages
# that html.sh makes.

# The file with the manual of a function or a macro, unless it is this one; "" if there is none.
function elsewhere(name)
{
	name = (name ".3" in file ? name : tolower(name)) ".3"
	return name in file && file[name] != page ".html" ? file[name] : ""
}

# Replaces each link of the line by what is true here. Neither a link nor a name is ever broken over lines.
function links(line,    done, link, target, text)
{
	done = ""
	while (match(line, /<a class="Xr" href="[^"]*">[^<]*<\/a>/)) {
		link = substr(line, RSTART, RLENGTH)
		done = done substr(line, 1, RSTART - 1)
		line = substr(line, RSTART + RLENGTH)
		target = text = link
		sub(/^<a class="Xr" href="/, "", target)
		sub(/\.html">.*/, "", target)
		sub(/^[^>]*>/, "", text)
		sub(/<.*/, "", text)
		if (target in file)
			done = done "<a class=\"Xr\" href=\"" file[target] "\">" text "</a>"
		else
			done = done "<span class=\"Xr\">" text "</span>"
	}
	return done line
}

function functions(line,    done, before, code, name, target)
{
	# A definition's own link, of a function that is defined elsewhere. The id may be that of what is around it.
	done = ""
	while (match(line, /<a class="permalink" href="#[^"]*"><code class="Fn"( id="[^"]*")?>[A-Za-z_0-9]*<\/code><\/a>/)) {
		code = substr(line, RSTART, RLENGTH)
		done = done substr(line, 1, RSTART - 1)
		line = substr(line, RSTART + RLENGTH)
		name = code
		sub(/<\/code>.*/, "", name)
		sub(/.*>/, "", name)
		if (elsewhere(name) != "")
			code = "<code class=\"Fn\">" name "</code>"
		done = done code
	}
	line = done line
	done = ""
	while (match(line, /<code class="Fn">[A-Za-z_0-9]*<\/code>/)) {
		code = name = substr(line, RSTART, RLENGTH)
		before = substr(line, 1, RSTART - 1)
		line = substr(line, RSTART + RLENGTH)
		sub(/<\/code>/, "", name)
		sub(/.*>/, "", name)
		target = elsewhere(name)
		if (target != "" && before !~ /<a [^>]*>$/)
			code = "<a class=\"Xr\" href=\"" target "\">" code "</a>"
		done = done before code
	}
	return done line
}

# The name of a picture becomes the picture, which leads to itself in its own size.
function pictures(line,    name)
{
	if (!match(line, /<span class="Pa">trace-[a-z]*\.svg<\/span>/))
		return line
	name = substr(line, RSTART + 17, RLENGTH - 24)
	return substr(line, 1, RSTART - 1) "<a href=\"" name "\"><img src=\"" name "\" alt=\"" name "\"/></a>" \
		substr(line, RSTART + RLENGTH)
}

FNR == NR { file[$1] = $2; next }
/^<html>$/ { print "<html lang=\"en\">"; next }
/^<body>$/ { print; print "<p class=\"nav\"><a href=\"index.html\">mppool: all pages</a></p>"; next }
{ print pictures(functions(links($0))) }
