#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The models of tests/models, explored whole by spin: no state of theirs breaks an assertion, and in none is a thread
# left that cannot go on. Each fault that is planted in them must be found, or the model proves nothing.
#
#     tests/models.sh                 all of them: make check-models
#     tests/models.sh deque park      these
#
# A line for each says how many states it has. What is wrong is told with the steps that lead to it.
set -eu
: "${CC:=cc}" "${SPIN:=spin}" "${srcdir:=.}"
limit=3000       # megabytes that a model may take
depth=2000000    # steps that a path may have
unfinished='not completed|memlim|out of memory|too small|truncated'

if ! command -v "$SPIN" >/dev/null || ! command -v "${CC%% *}" >/dev/null; then
	echo "spin, or a compiler for what it writes, was not found"
	exit 77
fi
wanted="$*"
models=$(cd "$srcdir/tests/models" && pwd)
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' HUP INT TERM
cd "$tmp"
cp "$models"/*.pml .
failed=0
found=0
states=0

fail()
{
	echo "FAILED: $*"
	failed=$((failed + 1))
}

# build MODEL MACRO...: the program pan, which explores it.
build()
{
	model=$1
	shift
	rm -f pan* ./*.trail
	if ! "$SPIN" -a "$@" "$model.pml" >spin.log 2>&1; then
		cat spin.log
		fail "$model $*: spin cannot read it"
		return 1
	fi
	# shellcheck disable=SC2086
	if ! $CC -O1 -w -DSAFETY -DNOFAIR -DMEMLIM=$limit -o pan pan.c >cc.log 2>&1; then
		cat cc.log
		fail "$model $*: the compiler fails"
		return 1
	fi
}

explore()
{
	./pan -m$depth -w22 -n >pan.log 2>&1 || :
}

# The counterexample's last steps.
steps()
{
	"$SPIN" -t -p -g "$@" 2>&1 | tail -n 60
}

# all of MODEL with these MACROs: every state, without an error.
all_of()
{
	model=$1
	build "$@" || return 0
	explore
	if grep -Eq 'errors: 0$' pan.log && ! grep -Eiq "$unfinished" pan.log; then
		n=$(sed -n 's/^ *\([0-9]*\) states, stored.*/\1/p' pan.log)
		states=$((states + n))
		printf '%-44s %10d states\n' "$*" "$n"
		return 0
	fi
	cat pan.log
	shift
	[ ! -e "$model.pml.trail" ] || steps "$@" "$model.pml"
	fail "$model $*"
}

# planted MODEL MACRO... FAULT: an error.
planted()
{
	build "$@" || return 0
	explore
	if grep -Eq 'errors: [1-9]' pan.log; then
		found=$((found + 1))
		printf '%-44s %10s after %d\n' "$*" found "$(sed -n 's/^ *\([0-9]*\) states, stored.*/\1/p' pan.log)"
		return 0
	fi
	cat pan.log
	fail "$*: what is planted there was not found"
}

# check MODEL "MACRO..." FAULT...
check()
{
	model=$1
	macros=$2
	shift 2
	case " $wanted " in
	"  " | *" $model "*) ;;
	*) return 0 ;;
	esac
	# shellcheck disable=SC2086
	all_of "$model" $macros
	for fault; do
		# shellcheck disable=SC2086
		planted "$model" $macros "-D$fault"
	done
}

check deque "" NO_FENCE PLAIN_LAST PLAIN_STEAL BOTTOM_FIRST LATE_GROWTH EARLY_BOTTOM NO_COPY
check job "" NO_WAKE NO_RECHECK DOUBLE CANCEL_BLINDLY FREE_EARLY DETACH_EARLY DEQUEUE_EARLY UNREGISTER_EARLY \
	WATCH_UNLOCKED SETTLE_ONCE DUE_LATE
check parcel "" THIEF_STORES PROCESS_STORES DONE_FIRST EARLY_LOOK KILLS_AT_ONCE LOOKS_FIRST SLEEPS_LATE
check park "-DSIDE_BY_SIDE -DCALLS=1" NO_FENCE NO_RECHECK NO_NOTIFY LATE_IDLE EARLY_CLEAR NO_WAKE LEAVES_OTHERS
check park "-DSIDE_BY_SIDE -DNESTED=0" NO_HAND_ON
check park "-DCALLS=3 -DNESTED=0" TWO_BATCHES
check park ""
check spans "" NO_FENCE NO_FENCE_THIEF NO_LOOK STEAL_BLINDLY STAYS LEAVES REPORT_EARLY NO_REFERENCE
check spans -DSWIFT NO_BARRIER
check spans "-DCHUNKS -DSWIFT -DBARRED" COUNT_ONLY LAST_BY_LOAD OPEN_LATE FORGOTTEN
check spans "-DSWIFT -DBARRED" KEEPS UNCOUNTED
check streams "-DCONSUMERS=1 -DITEMS=3" NO_FENCE_IDLE NO_SECOND_LOOK NO_FENCE_READY NO_SECOND_TAKE
check streams "-DCONSUMERS=1 -DITEMS=3 -DUNORDERED"
check streams "-DDRAWN -DITEMS=1" NO_LAST_SIGNAL
check streams "-DDRAWN -DITEMS=1 -DUNORDERED"
check streams -DWAIT_IDLE IDLE_UNTOLD IDLE_LATE IDLE_NO_FENCE

echo "$states states, $found planted faults found, $failed failures"
[ "$failed" -eq 0 ]
