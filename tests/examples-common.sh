# SPDX-License-Identifier: MIT
#
# What the tests of the example programs share. It is read by them with `.`, and leaves them in a folder of their own.
#
# EXAMPLES_DIR: the folder of the built programs. srcdir: the top of the sources. LISTENER: the helper of that name; by
# default it is looked for in the folder where this runs and in its tests folder.
# Exit status, of finish: 0 passed, 1 failed, 77 nothing could be run.

LC_ALL=C
export LC_ALL
unset MPPOOL_WORKERS
examples=$(cd "${EXAMPLES_DIR:-examples}" && pwd) || exit 1
sources=$(cd "${srcdir:-.}/examples" && pwd) || exit 1
include=$(cd "${srcdir:-.}/include" && pwd) || exit 1
expected=$(cd "${srcdir:-.}/tests/expected" && pwd) || exit 1
for listener in "${LISTENER:-}" "$(pwd)/tests/listener" "$(pwd)/listener"; do
	[ -x "$listener" ] && break
done

tmp=$(mktemp -d "${TMPDIR:-/tmp}/examples.XXXXXX") || exit 1
trap 'chmod -R u+rwx "$tmp"; rm -rf "$tmp"' EXIT
trap 'exit 1' HUP INT TERM
cd "$tmp" || exit 1

# A program that hangs is ended, and fails.
limit=
command -v timeout >/dev/null && limit='timeout 300'

failures=0
ran=0

fail()
{
	echo "FAIL: $*"
	failures=$((failures + 1))
}

skip()
{
	echo "SKIP: $*"
}

# have EXAMPLE: it was built, else its tests are skipped
have()
{
	if [ -x "$examples/$1" ]; then
		ran=$((ran + 1))
		echo "examples: $1"
		return 0
	fi
	skip "$1 was not built"
	return 1
}

# run STATUS COMMAND...: standard output and standard error go to the files out and err
run()
{
	want=$1
	shift
	$limit "$@" >out 2>err
	got=$?
	[ $got -eq "$want" ] && return 0
	fail "exit status $got instead of $want: $*"
	sed 's/^/    /' err
	return 1
}

# complains TEXT: the last run printed nothing but an error with this text in it
complains()
{
	grep -F -e "$1" err >/dev/null || fail "no '$1' on standard error, but: $(cat err)"
	[ -s out ] && fail "it complained about '$1' and has output all the same"
}

# same FILE1 FILE2 WHAT
same()
{
	cmp -s "$1" "$2" && return 0
	fail "$3"
	diff "$1" "$2" 2>&1 | head -n 20 | sed 's/^/    /'
	return 1
}

help_and_usage()
{
	run 0 "$examples/$1" --help
	grep "^Usage: $1 " out >/dev/null || fail "$1 --help does not show the usage"
	[ -s err ] && fail "$1 --help writes to standard error"
	run 2 "$examples/$1" --no-such-option
	complains "Usage: $1 "
}

# as_expected EXAMPLE: it prints what is stored for it, and notices when it cannot print
as_expected()
{
	run 0 "$examples/$1"
	same "$expected/${1##*/}.txt" out "$1: not the expected output"
	[ -s err ] && fail "$1 writes to standard error: $(cat err)"
	if [ -c /dev/full ]; then
		$limit "$examples/$1" >/dev/full 2>err && fail "$1 does not notice that it cannot write"
	fi
}

# start_listener OPEN CLOSED SILENT: so many ports, in the files open, closed and silent. They stay as they are until
# file descriptor 3 is closed.
start_listener()
{
	[ -x "$listener" ] || fail "the helper 'listener' was not built"
	mkfifo hold ports || exit 1
	"$listener" "$@" <hold >ports &
	listener_pid=$!
	exec 3>hold
	cat ports >helper
	for state in open closed silent; do
		sed -n "s/^$state //p" helper | sort -n >$state
	done
	[ "$(cat open closed | wc -l)" -eq $(($1 + $2)) ] || fail "the helper does not listen"
}

stop_listener()
{
	exec 3>&-
	wait $listener_pid || fail "the helper failed"
}

finish()
{
	[ $ran -eq 0 ] && exit 77
	[ $failures -eq 0 ] || echo "$failures failed"
	[ $failures -eq 0 ]
	exit
}
