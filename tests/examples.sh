#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Run the example programs and compare what they print. Those in from_python have a test of their own.
# shellcheck source=tests/examples-common.sh disable=SC2154
. "${srcdir:-.}/tests/examples-common.sh"

for name in initializer_state resize wait_first_completed; do
	have $name || continue
	as_expected $name
done

if have stats; then
	run 0 "$examples/stats"
	sed -n '1,3p' out >counted
	same "$expected/stats.txt" counted "stats: not the expected output"
fi

# The order of the lines is not fixed.
if have as_completed; then
	run 0 "$examples/as_completed"
	sort out >sorted
	sort "$expected/as_completed.txt" >want
	same want sorted "as_completed: not the expected output"
fi

# How long each takes is not for a test to say.
if have bottlenecks; then
	run 0 "$examples/bottlenecks"
	sed -e 's/: [0-9]* ms/:/g' -e 's/  */ /g' out >patterns
	cat >want <<-END
		chunks chunks of 10:, chunks of 1:
		lock long lock:, short lock:
		generator slow generator:, quick generator:
		callback long callbacks:, short callbacks:
	END
	same want patterns "bottlenecks: not the expected output"
	run 0 env MPPOOL_TRACE=lock.json "$examples/bottlenecks" lock
	grep -q '"add_up"' lock.json || fail "bottlenecks lock leaves a trace without its tasks"
	run 2 "$examples/bottlenecks" nothing
	complains 'Usage: bottlenecks'
fi

# The bar is for a terminal; here it is lines, of which the last one is always there.
if have progress_bar; then
	run 0 "$examples/progress_bar" 20000
	echo '17647 takes 278 steps' >want
	same want out "progress_bar: not the expected output"
	sed -n '$s/  .*//p' err >last
	echo 'steps 100% 20000/20000' >want
	same want last "progress_bar does not end with 100%"
	run 1 "$examples/progress_bar" 0
	complains 'usage: '
fi

# --------------------------------------------------------------------------------------------------------------- pgzip

# round_trip FILE: through pgzip and gunzip, from a file and from a pipe, the same bytes from any number of workers
round_trip()
{
	for workers in 1 2 7; do
		run 0 "$examples/pgzip" -p $workers -b 32 -c "$1" || return
		mv out "packed.$workers"
		gunzip <"packed.$workers" >unpacked || fail "gunzip rejects what pgzip makes of $1"
		same "$1" unpacked "$1 changed on its way through pgzip -p $workers and gunzip"
	done
	same packed.1 packed.2 "$1: two workers give other bytes than one"
	same packed.1 packed.7 "$1: seven workers give other bytes than one"
	# shellcheck disable=SC2002
	cat "$1" | $limit "$examples/pgzip" -p 2 -b 32 >packed.pipe || fail "pgzip fails with a pipe"
	same packed.1 packed.pipe "$1: a pipe gives other bytes than a file"
	run 0 "$examples/pgzip" -c "$1"
	gunzip <out >unpacked || fail "gunzip rejects what pgzip with its defaults makes of $1"
	same "$1" unpacked "$1 changed on its way through pgzip and gunzip"
}

size_of()
{
	wc -c <"$1" | tr -d ' '
}

test_pgzip_bytes()
{
	awk 'BEGIN { for (i = 0; i < 40000; i++) print i, "and its square is", i * i }' >text
	dd if=/dev/urandom of=noise bs=1000000 count=1 iflag=fullblock 2>/dev/null ||
		dd if=/dev/urandom of=noise bs=1000 count=1000 2>/dev/null
	dd if=/dev/zero of=zeros bs=1000000 count=1 2>/dev/null
	cat text noise zeros noise text >mixed
	[ "$(size_of mixed)" -gt 5000000 ] || fail "the test data is smaller than planned"
	round_trip mixed
	# From a pipe that is filled slowly, a read gets less than a block.
	head -n 4000 text >lines
	while read -r line; do echo "$line"; done <lines |
		$limit "$examples/pgzip" -b 32 >packed || fail "pgzip fails with a slow pipe"
	gunzip <packed | cmp -s - lines || fail "pgzip loses something from a slow pipe"
	for size in 0 1 32767 32768 32769 65536 131071 131072 131073; do
		dd if=mixed of="bytes.$size" bs=$((size > 0 ? size : 1)) count=$((size > 0)) 2>/dev/null
		[ "$(size_of "bytes.$size")" -eq $size ] || fail "the test file has not $size bytes"
		round_trip "bytes.$size"
	done
	for level in 1 2 3 4 5 6 7 8 9; do
		run 0 "$examples/pgzip" -$level -c text
		mv out "text.$level"
		gunzip <"text.$level" | cmp -s - text || fail "pgzip -$level: gunzip gives something else"
	done
	[ "$(size_of text.9)" -lt "$(size_of text.1)" ] || fail "pgzip -9 is not better than -1"
}

# Noise that comes again and again: only a dictionary from the block before makes it small.
test_pgzip_dictionary()
{
	dd if=noise of=piece bs=20000 count=1 2>/dev/null
	for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16; do cat piece; done >again
	run 0 "$examples/pgzip" -b 32 -c again
	[ "$(size_of out)" -lt 30000 ] || fail "pgzip makes $(size_of out) bytes of 16 times the same 20000"
	gunzip <out | cmp -s - again || fail "pgzip: gunzip gives something else with dictionaries"
}

test_pgzip_files()
{
	cp text 'a file'
	chmod 600 'a file'
	run 0 "$examples/pgzip" -k 'a file'
	[ -f 'a file' ] || fail "pgzip -k removed the file"
	echo precious >'a file.gz'
	run 1 "$examples/pgzip" 'a file'
	complains 'a file.gz: exists'
	[ "$(cat 'a file.gz')" = precious ] || fail "pgzip overwrote a file"
	[ -f 'a file' ] || fail "pgzip failed and removed the file"
	run 0 "$examples/pgzip" -f -v 'a file'
	grep "^$(size_of text) bytes to $(size_of 'a file.gz') " err >/dev/null || fail "pgzip -v says $(cat err)"
	[ -f 'a file' ] && fail "pgzip did not remove the file"
	case $(ls -l 'a file.gz') in
	-rw-------*) ;;
	*) fail "pgzip does not keep the permissions" ;;
	esac
	gunzip 'a file.gz'
	same text 'a file' "pgzip FILE and gunzip FILE.gz give something else"
	run 0 "$examples/pgzip" -o output 'a file'
	[ -f 'a file' ] || fail "pgzip -o removed the file"
	gunzip <output | cmp -s - text || fail "pgzip -o: gunzip gives something else"
	[ -s out ] && fail "pgzip -o writes to standard output"
	run 0 "$examples/pgzip" -o output - <'a file'
	gunzip <output | cmp -s - text || fail "pgzip -o OUTPUT -: gunzip gives something else"
}

test_pgzip_errors()
{
	run 1 "$examples/pgzip" missing
	complains 'missing: '
	mkdir -p directory
	run 1 "$examples/pgzip" directory
	complains 'directory: '
	[ -e directory.gz ] && fail "pgzip of a directory made a file"
	run 1 "$examples/pgzip" -o text text
	complains 'text: is the input'
	[ -s text ] || fail "pgzip -o emptied its own input"
	run 1 "$examples/pgzip" -o no/such/directory text
	complains 'no/such/directory: '
	run 1 "$examples/pgzip" -o new.gz text.gz
	[ -e new.gz ] && fail "pgzip of a missing file made a file"
	run 1 "$examples/pgzip" output.gz
	if [ -c /dev/full ]; then
		$limit "$examples/pgzip" -c mixed >/dev/full 2>err && fail "pgzip does not notice a full disk"
		: >out
		complains 'standard output: '
		run 1 "$examples/pgzip" -o /dev/full mixed
		complains '/dev/full: '
		[ -c /dev/full ] || fail "pgzip removed a device"
	fi
	# A file that opens and cannot be read: the generator fails.
	if [ -r /proc/self/mem ]; then
		run 1 "$examples/pgzip" -o broken.gz /proc/self/mem
		complains '/proc/self/mem: '
		[ -e broken.gz ] && fail "pgzip left a broken file behind"
	fi
	for bad in -b31 -b1000000000 -bx -p0 -p-1 -p5000 -p; do
		run 2 "$examples/pgzip" $bad
	done
	run 2 "$examples/pgzip" text mixed
}

if have pgzip; then
	help_and_usage pgzip
	if command -v gunzip >/dev/null; then
		test_pgzip_bytes
		test_pgzip_dictionary
		test_pgzip_files
		test_pgzip_errors
	else
		skip "there is no gunzip to compare pgzip with"
	fi
fi

# ----------------------------------------------------------------------------------------------------------- hashfiles

make_tree()
{
	mkdir -p tree/sub/deep/deeper tree/empty 'tree/with space' tree/many
	: >tree/nothing
	echo one >tree/one
	echo spaces >'tree/with space/two  words '
	echo dash >tree/-dash
	echo hidden >tree/.hidden
	echo slash >'tree/back\slash'
	echo line >"tree/new
line"
	awk 'BEGIN { for (i = 0; i < 60000; i++) print i }' >tree/sub/large
	cp tree/sub/large tree/sub/deep/deeper/copy
	dd if=tree/sub/large of=tree/sub/buffer bs=65536 count=1 2>/dev/null
	i=0
	while [ $i -lt 300 ]; do
		echo $i >"tree/many/$i"
		i=$((i + 1))
	done
	ln -s one tree/link
	ln -s ../sub tree/sub/circle
	mkfifo tree/fifo
}

# Lines in the order of sha256sum's, whose names have no ends of line in them
compare_sums()
{
	sort out >sorted
	sort sums >want
	same want sorted "hashfiles and sha256sum differ: $1"
}

test_hashfiles()
{
	make_tree
	find tree -type f -exec sha256sum {} + >sums
	[ "$(wc -l <sums)" -eq 310 ] || fail "the tree has $(wc -l <sums) files"
	for workers in 1 2 7; do
		run 0 "$examples/hashfiles" -p $workers tree
		compare_sums "-p $workers"
		[ -s err ] && fail "hashfiles shows progress where there is no terminal: $(cat err)"
	done
	find ./tree/many -type f -exec sha256sum {} + >sums
	sha256sum tree/one >>sums
	run 0 "$examples/hashfiles" ./tree/many/ tree/one
	compare_sums 'operands'
	(cd tree && sha256sum one >../sums && find ./sub -type f -exec sha256sum {} + >>../sums)
	(cd tree && $limit "$examples/hashfiles" one ./sub) >out || fail "hashfiles fails in another directory"
	compare_sums 'another directory'
	(cd tree/sub && find . -type f -exec sha256sum {} +) >sums
	(cd tree/sub && $limit "$examples/hashfiles") >out || fail "hashfiles fails in its default directory"
	compare_sums 'default directory'
	run 0 "$examples/hashfiles" tree/empty
	[ -s out ] && fail "hashfiles finds something in an empty directory"
	sha256sum tree/one >sums
}

# What cannot be read is reported; the rest is done all the same.
test_hashfiles_errors()
{
	find tree/many -type f -exec sha256sum {} + >sums
	run 1 "$examples/hashfiles" missing tree/many
	compare_sums 'a missing operand'
	echo "hashfiles: missing: No such file or directory" >want
	same want err "hashfiles complains otherwise about a missing file"
	if [ -r /proc/self/mem ]; then
		run 1 "$examples/hashfiles" tree/many /proc/self/mem
		compare_sums 'a file that cannot be read'
		grep '^hashfiles: /proc/self/mem: ' err >/dev/null || fail "hashfiles does not report a read error"
	fi
	long=$(awk 'BEGIN { for (i = 0; i < 5000; i++) printf "x" }')
	run 1 "$examples/hashfiles" "$long" tree/many
	compare_sums 'a name that is too long'
	if [ "$(id -u)" -ne 0 ]; then
		mkdir tree/locked
		chmod 000 tree/many/7 tree/locked
		grep -v '  tree/many/7$' sums >others
		sha256sum tree/one >>others
		mv others sums
		run 1 "$examples/hashfiles" tree/many tree/locked tree/one
		compare_sums 'unreadable files'
		sort err >sorted
		echo 'hashfiles: tree/locked: Permission denied' >want
		echo 'hashfiles: tree/many/7: Permission denied' >>want
		same want sorted "hashfiles complains otherwise about unreadable files"
		chmod 700 tree/many/7 tree/locked
	fi
	if [ -c /dev/full ]; then
		$limit "$examples/hashfiles" tree >/dev/full 2>err && fail "hashfiles does not notice a full disk"
		grep 'standard output' err >/dev/null || fail "hashfiles does not say that it cannot write"
	fi
	run 2 "$examples/hashfiles" -p 0
	run 2 "$examples/hashfiles" -p many
}

if have hashfiles; then
	help_and_usage hashfiles
	if command -v sha256sum >/dev/null; then
		test_hashfiles
		test_hashfiles_errors
	else
		skip "there is no sha256sum to compare hashfiles with"
	fi
fi

# ------------------------------------------------------------------------------------------------------------ portscan

# Ports that do not answer, where the system has such. All must be waited for at the same time: one by one it would
# take 40 seconds. With few files there are fewer workers.
test_portscan_silence()
{
	if [ "$(wc -l <silent)" -ne 20 ]; then
		skip "no silent ports"
		return
	fi
	echo '20 ports: 0 open, 0 closed, 20 without an answer' >count
	list=$(tr "\n" , <silent | sed "s/,\$//")
	start=$(date +%s)
	run 0 "$examples/portscan" -v -t 2 "$list"
	same count err "portscan counts silent ports otherwise"
	[ -s out ] && fail "portscan: silent ports are open"
	[ $(($(date +%s) - start)) -lt 30 ] || fail "portscan does not wait for all ports at the same time"
	# shellcheck disable=SC3045
	(ulimit -n 20 && run 0 "$examples/portscan" -v -t 0.2 "$list" && same count err "portscan with few files") ||
		fail "portscan with few files: $(cat err)"
}

test_portscan_listeners()
{
	start_listener 40 40 20
	sed 's/.*/127.0.0.1:& open/' open >want
	list=$(cat open closed | tr "\n" , | sed "s/,\$//")
	for workers in 1 3 80 1024; do
		run 0 "$examples/portscan" -p $workers "$list"
		same want out "portscan -p $workers: not the ports that are open"
		[ -s err ] && fail "portscan: $(cat err)"
	done
	run 0 "$examples/portscan" -v "$list"
	same want out "portscan -v: not the ports that are open"
	echo '80 ports: 40 open, 40 closed, 0 without an answer' >count
	same count err "portscan -v counts otherwise"
	run 0 "$examples/portscan" -a 127.0.0.1 "$list,$list"
	same want out "portscan -a: not the ports that are open"
	# A range of more ports than there are workers
	first=$(head -n 1 open)
	range=$((first > 60000 ? first - 3000 : first))-$((first > 60000 ? first : first + 3000))
	run 0 "$examples/portscan" -p 100 "$range"
	grep "^127.0.0.1:$first open\$" out >/dev/null || fail "portscan $range: $first is not found"
	while read -r port; do
		grep "^127.0.0.1:$port open\$" out && fail "portscan $range: $port is closed"
	done <closed
	test_portscan_silence
	stop_listener
	run 0 "$examples/portscan" -p 5 "$first"
	[ -s out ] && fail "portscan: $first is open after the listener left"
}

test_portscan_options()
{
	run 0 "$examples/portscan" -v
	grep '^1024 ports: ' err >/dev/null || fail "portscan does not try 1024 ports, but: $(cat err)"
	grep -v '^127\.0\.0\.1:[0-9]* open$' out && fail "portscan prints something else"
	for bad in '' 0 65536 5-3 1,,2 a 1- -5x "22," 99999999999999999999 '1 2'; do
		run 2 "$examples/portscan" -- "$bad"
		complains 'not a list of ports'
	done
	run 2 "$examples/portscan" -p 0
	run 2 "$examples/portscan" -p 1025
	run 2 "$examples/portscan" -t nan
	run 2 "$examples/portscan" 1 2
}

if have portscan; then
	help_and_usage portscan
	if [ -x "$listener" ]; then
		test_portscan_listeners
	else
		fail "the helper 'listener' was not built"
	fi
	test_portscan_options
fi

finish
