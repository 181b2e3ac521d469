#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Run the ports in examples/from_python and compare what they print with what is stored, and with what the Python
# programs beside them print, where there is a python3. Lines that begin with two spaces are in each language's own
# words: they are not compared with Python's.
# shellcheck source=tests/examples-common.sh disable=SC2154
. "${srcdir:-.}/tests/examples-common.sh"

python=
if command -v python3 >/dev/null && python3 -c 'import sys; sys.exit(sys.version_info < (3, 8))' 2>/dev/null; then
	python=$(command -v python3)
	# It needs semaphores, which not every machine lets it have.
	"$python" -c 'import multiprocessing; multiprocessing.Lock()' 2>/dev/null || python=
fi
[ -n "$python" ] || skip "no python3: the ports are compared with what is stored only"

# from_python NAME ARGUMENT...: run the Python program, and leave what can be compared in the file python
from_python()
{
	program=$1
	shift
	$limit "$python" "$sources/from_python/$program.py" "$@" >python.out 2>python.err || {
		fail "$program.py failed"
		sed 's/^/    /' python.err
	}
	grep -v '^  ' python.out >python
}

# like_python NAME [FILTER]: the port printed the same to the file out; FILTER is sort if the order may differ
like_python()
{
	grep -v '^  ' out | ${2:-cat} >port
	${2:-cat} <python >want
	same want port "$1: not what $1.py prints"
	[ -s want ] || fail "$1.py prints nothing that could be compared"
}

for name in apply_async_and_forget callbacks common_mistakes csv_buffers error_callbacks error_in_callback \
	error_in_initializer error_in_map_async error_inside_task error_outside_task error_successful errors_in_imap \
	errors_in_map imap_unordered_first initializer_arguments map_and_iterate map_async_and_forget; do
	have from_python/$name || continue
	as_expected from_python/$name
	[ -n "$python" ] || continue
	run 0 "$examples/from_python/$name"
	from_python $name
	like_python $name
done

# The order of the lines is not fixed.
for name in as_completed_and_wait imap_unordered_as_completed work_requests; do
	have from_python/$name || continue
	run 0 "$examples/from_python/$name"
	sort out >sorted
	sort "$expected/$name.txt" >want
	same want sorted "$name: not the expected output"
	if [ -n "$python" ]; then
		from_python $name
		like_python $name sort
	fi
done

# ----------------------------------------------------------------------------------------------------- common_mistakes

# The compiler complains of three of them, and of nothing else.
if have from_python/common_mistakes; then
	for mistake in 0 1 2 4; do
		define=
		[ $mistake -eq 0 ] || define=-DMISTAKE=$mistake
		# shellcheck disable=SC2086
		if $CC -Wall -Wextra -Werror $define -I"$include" $SAN_CFLAGS -c \
			"$sources/from_python/common_mistakes.c" -o mistake.o 2>err; then
			[ $mistake -eq 0 ] || fail "the compiler has nothing against mistake $mistake"
		elif [ $mistake -eq 0 ]; then
			fail "common_mistakes.c does not compile: $(cat err)"
		else
			grep "common_mistakes.c:.*error" err >/dev/null || fail "the compiler says: $(cat err)"
		fi
	done
fi

# -------------------------------------------------------------------------------------------------------- port_scanner

# Ports that do not answer, where the system has such, make the difference between one by one and all at once.
if have from_python/port_scanner; then
	start_listener 8 8 10
	seconds=0.4
	# shellcheck disable=SC2046
	run 0 "$examples/from_python/port_scanner" $seconds $(cat open closed silent)
	sed 's/.*/port & is open/' open >want
	echo "8 of $(cat open closed silent | wc -l) are open, as found one by one" >>want
	same want out "port_scanner: not the ports that are open"
	grep '^[0-9.]* s one by one, [0-9.]* s at once: [0-9.]* times as fast$' err >/dev/null ||
		fail "port_scanner says: $(cat err)"
	if [ "$(wc -l <silent)" -eq 10 ]; then
		speedup=$(sed 's/.* at once: \([0-9]*\).*/\1/' err)
		[ "$speedup" -ge 2 ] || fail "10 silent ports, all at once: $(cat err)"
	else
		skip "no silent ports"
	fi
	if [ -n "$python" ]; then
		# shellcheck disable=SC2046
		from_python port_scanner $seconds $(cat open closed silent)
		like_python port_scanner
	fi
	stop_listener
fi

# ------------------------------------------------------------------------------------------------------ bounded_ctrl_c

# interrupt SIGNAL STATUS WAITING COMMAND...: stop an endless run once its queue is full, where at most so many wait
interrupt()
{
	signal=$1
	expected_status=$2
	most_waiting=$3
	shift 3
	rm -f messages
	mkfifo messages || exit 1
	$limit "$@" >out 2>messages &
	pid=$!
	exec 4<messages
	read -r line <&4
	case $line in
	'The queue is full'*) ;;
	*) fail "$* says '$line'" ;;
	esac
	kill -s "$signal" $pid
	wait $pid 2>/dev/null
	status=$?
	exec 4<&-
	[ $status -eq "$expected_status" ] ||
		fail "$*: exit status $status instead of $expected_status after SIG$signal"
	# Two run, and nothing that was accepted is missing.
	sed -n 's/^accepted \([0-9]*\): \([0-9]*\) done, \([0-9]*\) stopped, \([0-9]*\) never started$/\1 \2 \3 \4/p' \
		out >numbers
	read -r accepted finished stopped never <numbers || fail "$*: no numbers after SIG$signal: $(cat out)"
	[ "$accepted" -eq $((finished + stopped + never)) ] || fail "$*: $(cat out)"
	[ "$accepted" -ge 4 ] || fail "$*: the queue was full with $accepted tasks"
	[ "$stopped" -le 2 ] || fail "$*: $stopped tasks ran in 2 workers"
	[ "$never" -le "$most_waiting" ] || fail "$*: $never tasks waited where $most_waiting may"
}

if have from_python/bounded_ctrl_c; then
	run 0 "$examples/from_python/bounded_ctrl_c" 30 3 2
	echo 'accepted 30: 30 done, 0 stopped, 0 never started' >want
	same want out "bounded_ctrl_c: not every task was done"
	interrupt INT 130 4 "$examples/from_python/bounded_ctrl_c" 0
	interrupt TERM 143 4 "$examples/from_python/bounded_ctrl_c" 0
	if [ -n "$python" ]; then
		run 0 "$examples/from_python/bounded_ctrl_c" 30 3 2
		from_python bounded_ctrl_c 30 3 2
		like_python bounded_ctrl_c
		# What counts there is what waits or runs: two more may wait when none runs.
		interrupt INT 130 6 "$python" "$sources/from_python/bounded_ctrl_c.py" 0
	fi
fi

finish
