#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Run the examples that drive a pool from an event loop, and compare what they print with what other programs say.
# shellcheck source=tests/examples-common.sh disable=SC2154
. "${srcdir:-.}/tests/examples-common.sh"

# -------------------------------------------------------------------------------------------------------- factor_epoll

# Its lines are those of factor(1), in another order.
compare_factors()
{
	{ seq 0 3000; seq 1000000000 1000000050; echo 18446744073709551615; } >numbers
	factor <numbers | sort >want
	run 0 "$examples/factor_epoll" <numbers
	sort out >sorted
	same want sorted "factor_epoll of a file: not what factor says"
	mkfifo pipe || exit 1
	cat numbers >pipe &
	run 0 "$examples/factor_epoll" <pipe
	wait $!
	sort out >sorted
	same want sorted "factor_epoll of a pipe: not what factor says"
}

# A number whose second half comes when the first line has been printed
converse()
{
	mkfifo ask answer || exit 1
	$limit "$examples/factor_epoll" <ask >answer &
	pid=$!
	exec 5>ask 6<answer
	printf '1234\n9' >&5
	read -r line <&6
	[ "$line" = '1234: 2 617' ] || fail "factor_epoll of a pipe that goes on says '$line' first"
	printf '1\n' >&5
	read -r line <&6
	[ "$line" = '91: 7 13' ] || fail "factor_epoll of a number in two parts says '$line'"
	exec 5>&-
	read -r line <&6 && fail "factor_epoll says '$line' last"
	wait $pid || fail "factor_epoll: exit status $?"
	exec 6<&-
}

if have factor_epoll; then
	help_and_usage factor_epoll
	if command -v factor >/dev/null && command -v seq >/dev/null; then
		compare_factors
	else
		skip "there is no factor to compare factor_epoll with"
	fi
	converse
	run 0 "$examples/factor_epoll" </dev/null
	[ -s out ] && fail "factor_epoll finds something in nothing"
	echo '6 x 18446744073709551616 -1 123456789012345678901234567890123 10' >numbers
	run 1 "$examples/factor_epoll" <numbers
	sort out >sorted
	printf '10: 2 5\n6: 2 3\n' >want
	same want sorted "factor_epoll: bad numbers disturb the others"
	[ "$(grep -c 'not a number below' err)" -eq 4 ] || fail "factor_epoll complains otherwise: $(cat err)"
	if [ -c /dev/full ]; then
		echo 6 >numbers
		$limit "$examples/factor_epoll" <numbers >/dev/full 2>err &&
			fail "factor_epoll does not notice a full disk"
	fi
fi

# ----------------------------------------------------------------------------------------------------------- primes_uv

# A search that would take long ends soon after the signal.
interrupt_primes()
{
	mkfifo percent || exit 1
	$limit "$examples/primes_uv" -v 1000000000000 >out 2>percent &
	pid=$!
	exec 6<percent
	read -r line <&6
	case $line in
	*%) ;;
	*) fail "primes_uv -v says '$line'" ;;
	esac
	kill -s INT $pid
	cat <&6 >err
	wait $pid
	status=$?
	exec 6<&-
	[ $status -eq 130 ] || fail "primes_uv: exit status $status after SIGINT"
	[ "$(tail -n 1 err)" = 'primes_uv: interrupted' ] || fail "primes_uv says at last: $(tail -n 1 err)"
	[ -s out ] && fail "primes_uv was interrupted and prints a number"
}

if have primes_uv; then
	help_and_usage primes_uv
	for bad in '' 0 x 12x -5 1000000000001; do
		run 2 "$examples/primes_uv" "$bad"
		complains 'Usage: primes_uv'
	done
	for pair in 1:0 2:0 3:1 100:25 262144:23000 262145:23000 1000000:78498; do
		run 0 "$examples/primes_uv" "${pair%:*}"
		[ "$(cat out)" = "${pair#*:}" ] || fail "primes_uv ${pair%:*} says '$(cat out)'"
	done
	if command -v factor >/dev/null && command -v seq >/dev/null; then
		run 0 "$examples/primes_uv" 600000
		[ "$(cat out)" -eq "$(seq 599999 | factor | awk 'NF == 2' | wc -l)" ] ||
			fail "primes_uv 600000: factor finds another number than $(cat out)"
	fi
	interrupt_primes
fi

# ------------------------------------------------------------------------------------------------------ checksums_glib

compare_checksums()
{
	dd if=/dev/urandom of='random file' bs=1000 count=300 2>/dev/null
	: >empty
	sha256sum 'random file' empty "$expected"/*.txt | sort >want
	run 0 "$examples/checksums_glib" 'random file' empty "$expected"/*.txt
	sort out >sorted
	same want sorted "checksums_glib: not what sha256sum says"
	sha256sum empty >want
	run 1 "$examples/checksums_glib" missing . empty
	same want out "checksums_glib: bad names disturb the others"
	printf 'checksums_glib: .: Is a directory\nchecksums_glib: missing: No such file or directory\n' >want
	sort err >sorted
	same want sorted "checksums_glib complains otherwise"
}

if have checksums_glib; then
	help_and_usage checksums_glib
	if command -v sha256sum >/dev/null; then
		compare_checksums
	else
		skip "there is no sha256sum to compare checksums_glib with"
	fi
fi

finish
