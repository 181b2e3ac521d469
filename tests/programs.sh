#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Run the larger example programs and compare what they print with what other tools say of the same input.
# shellcheck source=tests/examples-common.sh disable=SC2154
. "${srcdir:-.}/tests/examples-common.sh"

python=
if command -v python3 >/dev/null && python3 -c 'import zlib' 2>/dev/null; then
	python=$(command -v python3)
fi

# Some text of this machine: the names are in the file names.
find "$sources/.." -name '*.[ch]' -o -name README -o -name '*.[37]' | sort >names
if [ -d /usr/share/doc ]; then
	find /usr/share/doc -type f -name copyright 2>/dev/null | sort | head -n 200 >>names
fi
[ "$(wc -l <names)" -ge 50 ] || fail "the sources are not there"

# ----------------------------------------------------------------------------------------------------------- wordcount

test_wordcount()
{
	while read -r name; do cat "$name"; done <names | tr -c '[:alpha:]' '[\n*]' |
		tr '[:upper:]' '[:lower:]' |
		awk '$0 != "" { n[$0]++ } END { for (word in n) print n[word], word }' | sort -k 1,1nr -k 2 >want
	[ "$(wc -l <want)" -ge 1000 ] || fail "there are only $(wc -l <want) words to be counted"
	for workers in 1 2 7; do
		run 0 "$examples/wordcount" -p $workers <names
		same want out "wordcount -p $workers and awk differ"
	done
	head -n 5 want >first
	run 0 "$examples/wordcount" -n 5 <names
	same first out "wordcount -n 5 and awk differ"

	# Words that go on from one buffer into the next, one that is longer than a buffer, and none at all
	awk 'BEGIN { for (i = 0; i < 30000; i++) printf "abcdefg%s", i % 3 ? "-" : "" }' >words
	: >empty
	printf '12 \0 34' >none
	tr -c '[:alpha:]' '[\n*]' <words | awk '$0 != "" { n[$0]++ } END { for (word in n) print n[word], word }' |
		sort -k 1,1nr -k 2 >want
	run 0 "$examples/wordcount" words empty none
	same want out "wordcount: words across buffers"
	awk 'BEGIN { for (i = 0; i < 200000; i++) printf "x" }' >long
	run 0 "$examples/wordcount" long
	[ "$(awk '{ print $1, length($2) }' out)" = "1 200000" ] || fail "wordcount: a long word"

	run 1 "$examples/wordcount" missing words
	same want out "wordcount: a missing file has an effect on others"
	echo 'wordcount: missing: No such file or directory' >want
	same want err "wordcount complains otherwise about a missing file"
	run 0 "$examples/wordcount" </dev/null
	[ -s out ] && fail "wordcount finds words in nothing"
	run 2 "$examples/wordcount" -n 0
	run 2 "$examples/wordcount" -p x
}

if have wordcount; then
	help_and_usage wordcount
	test_wordcount
fi

# ---------------------------------------------------------------------------------------------------------- mandelbrot

# The same by awk, whose numbers are those of C. A compiler may round otherwise than awk at the very edge.
awk_mandelbrot()
{
	awk -v w="$1" -v h="$2" -v n="$3" 'BEGIN {
		print "P2"; print w, h; print n
		for (row = 0; row < h; row++) {
			for (column = 0; column < w; column++) {
				cx = -0.5 + (column + 0.5 - w / 2) * 2.4 / h
				cy = 0 - (row + 0.5 - h / 2) * 2.4 / h
				x = y = x2 = y2 = 0
				for (i = 0; i < n && x2 + y2 <= 256; i++) {
					y = 2 * x * y + cy
					x = x2 - y2 + cx
					x2 = x * x
					y2 = y * y
				}
				printf "%d%s", i, column + 1 < w ? " " : "\n"
			}
		}
	}'
}

# pixels FILE: of a PNG, as a PPM in plain text; the library writes rows with any of the five filters
pixels()
{
	"$python" - "$1" <<'EOF'
import struct, sys, zlib
data = open(sys.argv[1], "rb").read()
assert data[:8] == b"\x89PNG\r\n\x1a\n"
at, packed = 8, b""
while at < len(data):
    size, kind = struct.unpack(">I4s", data[at:at + 8])
    body = data[at + 8:at + 8 + size]
    assert zlib.crc32(kind + body) == struct.unpack(">I", data[at + 8 + size:at + 12 + size])[0]
    if kind == b"IHDR":
        width, height, depth, colour = struct.unpack(">IIBB", body[:10])
    if kind == b"IDAT":
        packed += body
    at += 12 + size
assert (depth, colour, kind) == (8, 2, b"IEND")
raw, before = zlib.decompress(packed), bytearray(3 * width)
print("P3", width, height, 255)
for y in range(height):
    line = raw[y * (3 * width + 1):(y + 1) * (3 * width + 1)]
    filter, row = line[0], bytearray(line[1:])
    for i in range(3 * width):
        a, b, c = (row[i - 3], before[i], before[i - 3]) if i >= 3 else (0, before[i], 0)
        p = a + b - c
        paeth = min((abs(p - a), 0, a), (abs(p - b), 1, b), (abs(p - c), 2, c))[2]
        row[i] = (row[i] + (0, a, b, (a + b) // 2, paeth)[filter]) & 255
    before = row
    print(*(f"{row[i]} {row[i + 1]} {row[i + 2]}" for i in range(0, 3 * width, 3)))
EOF
}

test_mandelbrot()
{
	awk_mandelbrot 60 40 100 >want
	run 0 "$examples/mandelbrot" -W 60 -H 40 -i 100 -p 1
	mv out one
	tr ' ' '\n' <one >a
	tr ' ' '\n' <want >b
	[ "$(wc -l <a)" -eq "$(wc -l <b)" ] || fail "mandelbrot does not print what awk does"
	[ "$(paste a b | awk '$1 != $2' | wc -l)" -le 5 ] || fail "mandelbrot and awk differ in more than rounding"
	for workers in 2 7; do
		run 0 "$examples/mandelbrot" -W 60 -H 40 -i 100 -p $workers
		same one out "mandelbrot -p $workers draws something else"
		run 0 "$examples/mandelbrot" -W 60 -H 40 -i 100 -p $workers -o picture.$workers
	done
	cmp picture.2 picture.7 || fail "mandelbrot: the picture depends on the number of workers"
	if [ -n "$python" ]; then
		# What never escapes is black, and nothing else
		pixels picture.2 >picture.txt || fail "mandelbrot: not a PNG"
		awk 'NR > 1 { for (i = 1; i < NF; i += 3) print ($i + $(i + 1) + $(i + 2) == 0) }' picture.txt >a
		awk 'NR > 3 { for (i = 1; i <= NF; i++) print ($i == 100) }' one >b
		same b a "mandelbrot: the picture does not show the set"
	else
		skip "no python3 to read the picture with"
	fi
	run 1 "$examples/mandelbrot" -W 10 -H 10 -o no/such/directory.png
	complains no/such/directory.png
	run 2 "$examples/mandelbrot" -W 0
	run 2 "$examples/mandelbrot" -s nan
	run 2 "$examples/mandelbrot" file
}

if have mandelbrot; then
	help_and_usage mandelbrot
	test_mandelbrot
fi

# ---------------------------------------------------------------------------------------------------------- montecarlo

# The same numbers, by another language
python_montecarlo()
{
	"$python" - "$1" "$2" <<'EOF'
import sys
MASK = (1 << 64) - 1
def split_mix(x):
    x = (x + 0x9e3779b97f4a7c15) & MASK
    z = ((x ^ x >> 30) * 0xbf58476d1ce4e5b9) & MASK
    z = ((z ^ z >> 27) * 0x94d049bb133111eb) & MASK
    return x, z ^ z >> 31
def rotate(x, n):
    return (x << n | x >> 64 - n) & MASK
inside = 0
for piece in range(int(sys.argv[1]) // 100000):
    x, z = split_mix(int(sys.argv[2]))
    x, s = z ^ piece, []
    for i in range(4):
        x, z = split_mix(x)
        s.append(z)
    for i in range(100000):
        bits = rotate(s[1] * 5 & MASK, 7) * 9 & MASK
        t = s[1] << 17 & MASK
        s[2] ^= s[0]; s[3] ^= s[1]; s[1] ^= s[2]; s[0] ^= s[3]; s[2] ^= t
        s[3] = rotate(s[3], 45)
        inside += (bits >> 33) ** 2 + (bits & 0x7fffffff) ** 2 < 1 << 62
print(f"{sys.argv[1]} points, {inside} inside")
EOF
}

if have montecarlo; then
	help_and_usage montecarlo
	as_expected montecarlo
	for workers in 1 2 7; do
		run 0 "$examples/montecarlo" -p $workers
		same "$expected/montecarlo.txt" out "montecarlo -p $workers: other digits"
	done
	for seed in 1 2 3 4 5; do
		run 0 "$examples/montecarlo" -n 5000000 -r $seed
		awk '/^pi/ { off = ($4 - 3.14159265358979) / $NF } END { exit off * off > 20 }' out ||
			fail "montecarlo -r $seed is too far off: $(cat out)"
	done
	if [ -n "$python" ]; then
		run 0 "$examples/montecarlo" -n 150000 -r 18446744073709551615
		head -n 1 out >first
		python_montecarlo 200000 18446744073709551615 >want
		same want first "montecarlo and Python differ"
	fi
	run 2 "$examples/montecarlo" -n 0
	run 2 "$examples/montecarlo" -r -1
fi

# --------------------------------------------------------------------------------------------------------------- psort

test_psort()
{
	awk 'BEGIN { for (i = 0; i < 100000; i++) print (i * 7919) % 100003 % 5000, i % 17 }' >numbers
	: >empty
	# No newline at the end, bytes above 127 and below 32, equal lines, lines that begin others
	{
		cat names numbers names
		printf 'x\0y\nx\0\nx\n\n\n\351t\351\nxx'
	} >mixed
	for input in mixed numbers empty; do
		sort $input >want
		for workers in 1 2 7; do
			run 0 "$examples/psort" -p $workers $input
			same want out "psort -p $workers and sort differ: $input"
		done
	done
	sort mixed numbers >want
	run 0 "$examples/psort" mixed numbers
	same want out "psort of two files and sort differ"
	$limit "$examples/psort" <mixed >out || fail "psort fails"
	sort <mixed >want
	same want out "psort of standard input and sort differ"
	run 1 "$examples/psort" missing
	complains 'missing: '
	run 2 "$examples/psort" -p 0
}

if have psort; then
	help_and_usage psort
	test_psort
fi

# -------------------------------------------------------------------------------------------------------------- cksums

test_cksums()
{
	awk 'BEGIN { for (i = 0; i < 300000; i++) print i }' >large
	: >empty
	printf x >small
	set -- large empty small
	while read -r name; do set -- "$@" "$name"; done <names
	cksum "$@" >want
	for workers in 1 2 7; do
		run 0 "$examples/cksums" -p $workers "$@"
		same want out "cksums -p $workers and cksum differ"
	done
	cksum large small >want
	mkdir -p directory
	run 1 "$examples/cksums" large missing small directory
	same want out "cksums: a missing file has an effect on others"
	grep '^cksums: missing: No such file' err >/dev/null || fail "cksums complains otherwise: $(cat err)"
	grep '^cksums: directory: Is a directory' err >/dev/null || fail "cksums complains otherwise: $(cat err)"
	run 2 "$examples/cksums"
	run 2 "$examples/cksums" -p 0 large
	if [ -c /dev/full ]; then
		$limit "$examples/cksums" large small >/dev/full 2>err && fail "cksums does not notice a full disk"
	fi
}

if have cksums; then
	help_and_usage cksums
	if command -v cksum >/dev/null; then
		test_cksums
	else
		skip "there is no cksum to compare cksums with"
	fi
fi

# ---------------------------------------------------------------------------------------------------------------- pmap

# Prints its argument on both outputs, in many pieces, and fails with every seventh.
write_command()
{
	cat >speak <<'EOF'
#!/bin/sh
for piece in 1 2 3 4 5; do
	echo "$1 piece $piece"
	echo "$1 piece $piece" >&2
done
exit $(($1 % 7 == 3 ? $1 : 0))
EOF
	chmod +x speak
}

test_pmap()
{
	write_command
	awk 'BEGIN { for (i = 1; i <= 40; i++) print i }' >lines
	while read -r line; do ./speak "$line" 2>/dev/null; done <lines >want
	cp want want.err
	{
		echo 'pmap: 6 of 40 failed:'
		for line in 3 10 17 24 31 38; do echo "pmap: line $line: exit status $line: $line"; done
	} >summary
	for jobs in 1 3 20; do
		run 123 "$examples/pmap" -j $jobs ./speak <lines
		same want out "pmap -j $jobs: not what the shell's loop prints"
		grep -v '^pmap: ' err >others
		same want.err others "pmap -j $jobs: not what the shell's loop prints on standard error"
		grep '^pmap: ' err >told
		same summary told "pmap -j $jobs: another summary"
	done

	# Unordered: the lines of one command stay together.
	run 123 "$examples/pmap" -j 8 -u ./speak <lines
	sort out >sorted
	sort want >want.sorted
	same want.sorted sorted "pmap -u loses output"
	awk '$1 != last && seen[$1]++ { exit 1 } { last = $1 }' out || fail "pmap -u mixes outputs"
	grep '^pmap: ' err >told
	same summary told "pmap -u: another summary"

	# The second line comes first, if the first waits until the second was seen.
	mkfifo late results
	printf '%s\n' 'read -r x <late; echo first' 'echo second' >lines
	$limit "$examples/pmap" -j 2 -u sh -c '{}' <lines >results &
	pid=$!
	exec 5<results
	read -r line <&5
	[ "$line" = second ] || fail "pmap -u waits for the order"
	echo >late
	read -r line <&5
	[ "$line" = first ] || fail "pmap -u: '$line' comes last"
	exec 5<&-
	wait $pid || fail "pmap -u fails"
	printf '%s\n' 'read -r x <late; echo first' 'echo second; echo >late' >lines
	run 0 "$examples/pmap" -j 2 sh -c '{}' <lines
	printf 'first\nsecond\n' >want
	same want out "pmap does not keep the order"
}

test_pmap_xargs()
{
	# As xargs: the arguments, and whether something failed
	printf '%s\n' 'two  words' "it's" '"quoted"' 'back\slash' '' '*' ' spaces ' '-n' >lines
	awk '{ print "[" $0 "]" }' lines >want
	run 0 "$examples/pmap" -j 4 printf '[%s]\n' <lines
	same want out "pmap does not pass on lines as they are"
	awk '{ print $0 "-" $0; print "x" }' lines >want
	run 0 "$examples/pmap" printf '%s\n' '{}-{}' x <lines
	same want out "pmap: {} is replaced otherwise"
	if printf 'a b\n' | xargs -I{} true 2>/dev/null; then
		for command in true false 'exit 5'; do
			printf '1\n2\n' | xargs -I{} sh -c "$command" 2>/dev/null
			run $? "$examples/pmap" sh -c "$command" <<EOF
1
2
EOF
		done
	fi
	printf 'no newline' >lines
	run 0 "$examples/pmap" echo <lines
	[ "$(cat out)" = 'no newline' ] || fail "pmap loses a last line without its end"
	run 0 "$examples/pmap" echo </dev/null
	[ -s out ] && fail "pmap runs a command for nothing"
}

test_pmap_ends()
{
	echo 1 >lines
	run 123 "$examples/pmap" ./no-such-command <lines
	printf 'pmap: 1 of 1 failed:\npmap: line 1: No such file or directory: 1\n' >want
	same want err "pmap complains otherwise about a missing command"
	# shellcheck disable=SC2016
	run 123 "$examples/pmap" sh -c 'kill -9 $$' <lines
	printf 'pmap: 1 of 1 failed:\npmap: line 1: signal 9: 1\n' >want
	same want err "pmap complains otherwise about a command that was killed"

	# A command gets no signal mask of a pool's thread, no input and no files but its three.
	# shellcheck disable=SC2016
	run 123 "$examples/pmap" sh -c 'kill -15 $$' <lines
	printf 'pmap: 1 of 1 failed:\npmap: line 1: signal 15: 1\n' >want
	same want err "pmap: signals are blocked in commands"
	run 0 "$examples/pmap" cat - '{}' </dev/null
	if [ -d /proc/self/fd ]; then
		awk 'BEGIN { for (i = 1; i <= 200; i++) print i }' >lines
		# shellcheck disable=SC2012,SC2217
		ls /proc/self/fd </dev/null 2>/dev/null | sort >want
		run 0 "$examples/pmap" -j 16 sh -c 'exec ls /proc/self/fd' <lines
		sort -u out >open
		same want open "pmap: files of others are open in a command"
	fi

	# 100 x 200000 bytes on both outputs: more than pipes hold.
	awk 'BEGIN { for (i = 1; i <= 100; i++) print i }' >lines
	awk 'BEGIN { for (i = 0; i < 20000; i++) print "123456789" }' >much
	run 0 "$examples/pmap" -j 8 sh -c 'cat much; cat much >&2' <lines
	[ "$(wc -c <out | tr -d ' ')" -eq 20000000 ] || fail "pmap loses output"
	[ "$(wc -c <err | tr -d ' ')" -eq 20000000 ] || fail "pmap loses output to standard error"
	if [ -c /dev/full ]; then
		$limit "$examples/pmap" echo <lines >/dev/full 2>err && fail "pmap does not notice a full disk"
	fi
	run 2 "$examples/pmap"
	run 2 "$examples/pmap" -j 0 true
}

if have pmap; then
	help_and_usage pmap
	test_pmap
	test_pmap_xargs
	test_pmap_ends
fi

finish
