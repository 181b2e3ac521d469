#!/bin/sh
# SPDX-License-Identifier: MIT
#
# mppool-timeline: what it draws of traces that are written here, that it says what is wrong with bad ones, and that it
# draws what a program has written.
set -u
LC_ALL=C
export LC_ALL
unset MPPOOL_TRACE
top=$(pwd)
timeline=$top/tools/mppool-timeline$EXEEXT
tmp=$(mktemp -d) || exit 99
trap 'rm -rf "$tmp"' EXIT
cd "$tmp" || exit 99
status=0
limit=
if timeout 1 true 2>/dev/null; then
	limit="timeout $((60 * MPPOOL_TEST_TIMEOUT_FACTOR))"
fi

fail()
{
	echo "FAILED: $*"
	status=1
}

# draws FILE ARGUMENT...: the picture is in the file svg, and is well-formed where python3 can tell.
draws()
{
	$limit "$timeline" "$@" >svg 2>err || fail "$*: exit status $?: $(cat err)"
	test ! -s err || fail "$*: it says $(cat err)"
	test "$(tail -n 1 svg)" = "</svg>" || fail "$*: the picture has no end"
	if python3 -c 'import xml.dom' 2>/dev/null; then
		python3 -c 'import xml.dom.minidom, sys; xml.dom.minidom.parse("svg")' || fail "$*: no XML"
	fi
}

# has TEXT: the picture has it.
has()
{
	grep -q -F -e "$1" svg || fail "the picture has no '$1'"
}

hasnt()
{
	! grep -q -F -e "$1" svg || fail "the picture has '$1'"
}

# refuses STATUS TEXT ARGUMENT...: no picture, that exit status, and a message with that text.
refuses()
{
	want=$1
	text=$2
	shift 2
	$limit "$timeline" "$@" >svg 2>err
	got=$?
	test $got = "$want" || fail "$*: exit status $got instead of $want"
	test ! -s svg || fail "$*: there is output all the same"
	grep -q -F -e "$text" err || fail "$*: no '$text' in: $(cat err)"
}

# bad PLACE TEXT TRACE: what is refused with that message, at that line and column.
bad()
{
	printf '%s' "$3" >bad.json
	refuses 1 "bad.json$1: $2" bad.json
}

# --------------------------------------------------------------------------------------------------------- the picture

# Two workers: one is busy for 75 of 100 microseconds, the other waits for 20 of 50 inside of a task that has a nested
# one.
cat >two.json <<'END'
[
{"ph":"M","pid":1,"tid":0,"name":"process_name","args":{"name":"two & more"}},
{"ph":"M","pid":1,"tid":2,"name":"thread_name","args":{"name":"two-w0"}},
{"ph":"M","pid":1,"tid":2,"name":"thread_sort_index","args":{"sort_index":10}},
{"ph":"M","pid":1,"tid":3,"name":"thread_name","args":{"name":"two-w1"}},
{"ph":"M","pid":1,"tid":3,"name":"thread_sort_index","args":{"sort_index":9}},
{"ph":"X","pid":1,"tid":2,"ts":1000,"dur":75.0,"cat":"task","name":"<first>","args":{"first":3,"items":12}},
{"ph":"X","pid":1,"tid":2,"ts":1075,"dur":25.000,"cat":"wait","name":"idle"},
{"ph":"X","pid":1,"tid":3,"ts":1010.5,"dur":50,"cat":"task","name":"outer \"\u00f6\ud83d\ude00"},
{"ph":"X","pid":1,"tid":3,"ts":1020,"dur":30,"cat":"wait","name":"wait for inner"},
{"ph":"X","pid":1,"tid":3,"ts":1025,"dur":10,"cat":"task","name":"inner"},
{"ph":"C","pid":1,"tid":0,"ts":1000,"name":"queue","args":{"calls":7}},
{"ph":"C","pid":1,"tid":0,"ts":1050,"name":"queue","args":{"calls":0}},
{"ph":"i","pid":1,"tid":3,"ts":1,"name":"unknown","args":{"a":[1,{"b":null}],"c":true}}
]
END
draws two.json
has 'two &amp; more'
has '2 workers, busy 52.5 % of 100 '
has '75.0 %'
has '30.0 %'
has '&lt;first&gt;'
has '12 items'
has "outer &quot;$(printf '\303\266\360\237\230\200')"
has 'queue, up to 7'
has '>idle<tspan'
has '>waiting<tspan'
hasnt unknown
# The row with the lower sort_index comes first.
first=$(grep -n 'two-w1' svg | head -n 1 | cut -d : -f 1)
second=$(grep -n 'two-w0' svg | head -n 1 | cut -d : -f 1)
test "$first" -lt "$second" || fail "the rows are not in the order of their sort_index"
# Where the first span is: at the beginning, and three quarters of the width.
has '<rect x="160.00" y='
has 'width="732.00"'
cp svg golden
draws - <two.json
sed 's/standard input/two.json/' svg | cmp -s - golden || fail "the same trace from standard input looks otherwise"
draws -w 2000 two.json
has 'width="2000"'
sed '$d' two.json >killed.json
draws killed.json
sed 's/killed.json/two.json/' svg | cmp -s - golden || fail "a trace without its end looks otherwise"
sed '$s/.*/,/' two.json >comma.json
draws comma.json
{ echo '{"displayTimeUnit":"ms","traceEvents":'; cat two.json; echo ',"more":{}}'; } >object.json
draws object.json
sed 's/object.json/two.json/' svg | cmp -s - golden || fail "a trace in an object looks otherwise"

# What is nested deeply can still be seen, a worker without anything to do is there, and the drawing of items and
# callbacks are told from the task itself.
cat >deep.json <<'END'
[
{"ph":"M","pid":1,"tid":2,"name":"thread_name","args":{"name":"deep-w0"}},
{"ph":"M","pid":1,"tid":3,"name":"thread_name","args":{"name":"deep-w1"}},
{"ph":"X","pid":1,"tid":2,"ts":0,"dur":100,"cat":"task","name":"f"},
{"ph":"X","pid":1,"tid":2,"ts":1,"dur":90,"cat":"callback","name":"callback f"},
{"ph":"X","pid":1,"tid":2,"ts":2,"dur":80,"cat":"draw","name":"draw f"},
{"ph":"X","pid":1,"tid":2,"ts":3,"dur":70,"cat":"task","name":"f"},
{"ph":"X","pid":1,"tid":2,"ts":4,"dur":60,"cat":"task","name":"f"}
]
END
draws deep.json
hasnt 'height="0'
hasnt 'height="-'
has '2 workers, busy 50.0 % of 100 '
has 'deep-w1<'
has '>0.0 %'
has '>callback f<tspan'
has '>draw f<tspan'

# A thousand workers: the rows are low, and the time stands at the top, too.
$AWK 'BEGIN {
	print "["
	for (i = 0; i < 1000; i++) {
		printf "{\"ph\":\"M\",\"pid\":1,\"tid\":%d,\"name\":\"thread_name\",", i + 2
		printf "\"args\":{\"name\":\"p-w%d\"}},\n", i
		printf "{\"ph\":\"X\",\"pid\":1,\"tid\":%d,\"ts\":0,\"dur\":%d,\"name\":\"f\"},\n", i + 2, i + 1
	}
}' >thousand.json
draws thousand.json
height=$(sed -n 's/^<svg .* height="\([0-9]*\)".*/\1/p' svg)
test "$height" -lt 6000 || fail "a thousand workers make a picture $height pixels high"
test "$(grep -c 'class="tick"[^>]*>0 ' svg)" = 2 || fail "a high picture has no axis at its top"
has 'p-w998<'
has '1000 workers'

# Names that are too long end where the room does, whatever they are made of.
long=$($AWK 'BEGIN { for (i = 0; i < 60; i++) printf "\303\244Wm" }')
printf '[{"ph":"M","pid":1,"tid":1,"name":"thread_name","args":{"name":"%s"}},
{"ph":"M","pid":1,"tid":1,"name":"process_name","args":{"name":"%s"}},
{"ph":"X","pid":1,"tid":1,"ts":0,"dur":9,"name":"%s"}]' "$long" "$long" "$long" >long.json
draws -w 400 long.json
sed 's,<title>.*,,' svg | grep -q -F "$(echo "$long" | cut -c 1-120)" && fail "a long name is not cut off"

# Spans narrower than a pixel: one, and two side by side.
printf '[{"ph":"X","pid":1,"tid":1,"ts":0,"dur":9,"name":"f"},
{"ph":"X","pid":1,"tid":2,"ts":0,"dur":0.001,"name":"f"},
{"ph":"X","pid":1,"tid":3,"ts":0,"dur":0.001,"name":"f"},
{"ph":"X","pid":1,"tid":3,"ts":0.001,"dur":0.001,"name":"f"}]' >narrow.json
draws narrow.json
has '1 call<'
hasnt '1 calls<'
has '2 calls<'

# One moment, and nothing but a wait.
echo '[{"ph":"X","pid":1,"tid":1,"ts":5,"dur":0,"name":"f"}]' >moment.json
draws moment.json
hasnt nan
echo '[{"ph":"X","pid":1,"tid":1,"ts":5,"dur":3,"cat":"wait","name":"idle"}]' >wait.json
draws wait.json

# Bytes that XML must not have.
printf '[{"ph":"X","pid":1,"tid":1,"ts":5,"dur":9,"name":"\\u0001\\u0000\\ud800x\377\303"}]' >bytes.json
draws bytes.json

# Many spans: the picture stays small, and is drawn in time.
$AWK 'BEGIN {
	print "["
	for (i = 0; i < 300000; i++)
		printf "%s{\"ph\":\"X\",\"pid\":1,\"tid\":%d,\"ts\":%d.5,\"dur\":2.25,\"name\":\"f%d\"}\n",
			i ? "," : "", 1 + i % 4, i / 4 * 3, i % 3000
	print "]"
}' >many.json
draws many.json
test "$(wc -c <svg)" -lt 1000000 || fail "300000 spans make a picture of $(wc -c <svg) bytes"
has '75.0 %'
has 'others'

# Many pools, of which each has a row: looking for them takes no longer for each one more.
$AWK 'BEGIN {
	print "["
	for (i = 1; i <= 200000; i++)
		printf "{\"ph\":\"M\",\"pid\":%d,\"tid\":%d,\"name\":\"thread_sort_index\",\"args\":%s},\n",
			i, i, "{\"sort_index\":1}"
	print "{\"ph\":\"X\",\"pid\":7,\"tid\":7,\"ts\":1,\"dur\":1,\"name\":\"lonely\"}]"
}' >pools.json
draws pools.json
has lonely

# ---------------------------------------------------------------------------------------------------------- bad input

: >bad.json
refuses 1 'bad.json: the file is empty' bad.json
bad :1:1 'this is no trace' 'hello'
bad :1:1 'this is no trace' '"string"'
bad '' 'there is nothing to draw' '[]'
bad '' 'there is nothing to draw' '['
bad '' 'there is nothing to draw' '[{"ph":"M","pid":1,"tid":1,"name":"thread_name","args":{"name":"x"}}]'
bad :1:2 'an event' '[5]'
bad :2:1 'the file ends in the middle of an event' "[{\"ph\":
"
bad :1:8 'the file ends in the middle of an event' '[{"ph":'
bad :1:9 'the file ends in the middle of a string' '[{"ph":"'
bad :1:6 'a control character' "$(printf '[{"ph\001"')"
bad :1:6 'an unknown escape' '[{"\x":1}]'
bad :1:8 'four hexadecimal digits' '[{"\u12":1}]'
bad :1:8 'a number was expected' '[{"ph":nul}]'
bad :1:7 'a number was expected' '[{"x":-}]'
bad :1:7 'a number was expected' '[{"x":inf}]'
bad :1:5 'a comma or ]' '[{} {}]'
bad :1:4 'there is something behind' '[] []'
bad :1:2 'there is no member' '{}'
bad :1:16 'an array of events' '{"traceEvents":5}'
bad :1:46 'a span ("ph":"X") without' '[{"ph":"X","pid":1,"tid":1,"ts":1,"name":"f"}]'
bad :1:47 'a span ("ph":"X") without' '[{"ph":"X","pid":1,"tid":1,"dur":1,"name":"f"}]'
bad :1:43 'a span ("ph":"X") without' '[{"ph":"X","pid":1,"tid":1,"ts":1,"dur":1}]'
bad :1:55 'a span that ends before' '[{"ph":"X","pid":1,"tid":1,"ts":1,"dur":-1,"name":"f"}]'
bad :1:58 'a number that is far too large' '[{"ph":"X","pid":1e300,"tid":1,"ts":1,"dur":1,"name":"f"}]'
bad :1:72 'a number that is far too large' \
	'[{"ph":"C","pid":1,"tid":1,"ts":1,"name":"queue","args":{"calls":1e99}}]'
bad :1:33 'a number was expected' '[{"ph":"X","pid":1,"tid":1,"ts":1e999,"dur":1,"name":"f"}]'
bad :1:72 'nested too deeply' "[{\"x\":$(printf '%0100d' 0 | tr 0 '[')"
refuses 1 'missing.json: ' missing.json
refuses 1 "$tmp: " "$tmp"
refuses 2 Usage
refuses 2 'a FILE is needed'
refuses 2 'not also b' a b
refuses 2 'no option -x' -x two.json
refuses 2 'from 400 to 20000, and not 10' -w 10 two.json
refuses 2 'and not 20001' -w 20001 two.json
refuses 2 'and not 500x' -w 500x two.json
refuses 2 'and not two.json' -w two.json
refuses 2 '-w needs a WIDTH' -w
if test -c /dev/full; then
	"$timeline" two.json >/dev/full 2>err && fail "it does not notice that it cannot write"
fi
for help in --help -h; do
	"$timeline" $help >svg || fail "$help"
	has Usage
	has "$help"
done
"$timeline" --version >svg || fail "--version"
has "$PACKAGE_VERSION"

# survives FILE WHAT: a picture and nothing else, or one line that says what is wrong.
survives()
{
	$limit "$timeline" "$1" >svg 2>err
	case $? in
	0) test ! -s err && test "$(tail -n 1 svg)" = "</svg>" && ! grep -q -e '"-*nan' -e '"-*inf' svg ;;
	1) test ! -s svg && test "$(wc -l <err)" -eq 1 && grep -q '^mppool-timeline: ' err ;;
	*) false ;;
	esac || fail "$2: $(cat err)"
}

# Whatever is cut off or changed by lot: a picture or a message, and no crash.
for size in 1 2 3 50 100 200 300 400 500 600 700 800 900 1000 1100 1200; do
	head -c $size two.json >cut.json
	survives cut.json "the first $size bytes"
done
$AWK '
	{ text = text $0 "\n" }
	END {
		srand(1)
		n = split("{ } [ ] , : \" \\ \\u \\ud800 -1 1e15 -1e15 1e999 1e-320 0 - null true 0x10 . e " \
			"\"ph\" \"X\" \"C\" \"ts\" \"dur\" \"args\" \"calls\" \"busy\" \"pid\" 99999999999999999999", tokens, " ")
		for (i = 1; i <= 200; i++) {
			changed = text
			for (k = int(3 * rand()); k >= 0; k--) {
				at = 1 + int(length(changed) * rand())
				gone = rand() < 0.5 ? 0 : 1 + int(20 * rand())
				token = tokens[1 + int(n * rand())]
				changed = substr(changed, 1, at - 1) token substr(changed, at + gone)
			}
			printf "%s", changed >("changed." i)
			close("changed." i)
		}
	}' two.json
for file in changed.*; do
	survives "$file" "$file: $(cat "$file")"
done

# --------------------------------------------------------------------------------------------------- a program's trace

MPPOOL_TRACE=$tmp/example.json "$top/examples/initializer_state$EXEEXT" >/dev/null || fail "examples/initializer_state"
draws example.json
has '-w0<'
has 'initializer'
exit $status
