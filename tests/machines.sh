#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# tests/machines.sh [NAME...], or make check-machines: builds the library and runs its test programs for other machines,
# C libraries, compilers and levels of optimisation. Without names, for all of these whose tools are found:
#
#     i386 aarch64 armhf riscv64 s390x    Debian's gcc-*-linux-gnu* and libc6-dev-*-cross; all but i386 run under
#                                         qemu-user. s390x has its bytes the other way round
#     musl musl-futex                     musl-tools; without Linux's headers, and with them
#     gcc-O0 ... gcc-O3                   gcc; clang-O0 ... clang-O3: clang
#     portable                            without futexes; 32 bits without futexes: i386-portable
#     i386-time64                         32 bits with times of 64 bits
#
# Check, which the test programs need, is built for each C library from source: from the folder or tarball that
# CHECK_SOURCE names, else from what apt-get source fetches, by the archives that this machine already uses. All is done
# in the folder machines below the current one, and what has been built there is built no more. JOBS=n: n at a time.
set -euo pipefail
export LC_ALL=C
source=$(cd "$(dirname "$0")/.." && pwd)
jobs=${JOBS:-$(nproc)}
here=$PWD/machines
failures=()
results=()

# What a program cannot have under qemu-user: signals that it needs itself, forks among threads (its own assertions end
# the child), limits of memory that hold for the program alone, memory that returns when threads end.
emulator_lacks='threads_block_all_signals|forked_child|fork_at_any_moment|fork_anywhere|child_that_comes_back'
emulator_lacks+='|child_is_told_of_groups|child_of_fork_takes_another_name|fault_14_thread_creation'
emulator_lacks+='|thousands_of_pools|ten_thousand_resizes'
# QEMU 7.2 puts no fence between aarch64's stlr and ldar, so that seq_cst does not hold between two CPUs: there is one.
one_cpu="taskset -c $(taskset -pc $$ | sed 's/.*[:,-] *//')"
mkdir -p "$here"

have()
{
	command -v "$1" >/dev/null 2>&1
}

# --------------------------------------------------------------------------------------------------------------- Check

# apt's lists of sources go into a folder of ours: nothing on this machine is changed.
fetch_check()
{
	local -a private=(-o "Dir::Etc::sourcelist=$here/apt/sources.list" -o "Dir::Etc::sourceparts=/dev/null"
		-o "Dir::State::lists=$here/apt/lists" -o "Dir::Cache=$here/apt/cache")

	have apt-get || { echo "no apt-get: please set CHECK_SOURCE to the source of Check"; return 1; }
	mkdir -p "$here/apt/lists/partial" "$here/apt/cache/archives/partial"
	# shellcheck disable=SC2016
	apt-get indextargets --format 'deb-src $(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
		sort -u >"$here/apt/sources.list"
	apt-get "${private[@]}" update -q || return 1
	(cd "$here/apt" && apt-get "${private[@]}" source -q --download-only check) || return 1
	mkdir -p "$here/check-source"
	tar -C "$here/check-source" --strip-components=1 -xf "$here"/apt/check_*.orig.tar.*
}

check_source()
{
	local from=${CHECK_SOURCE:-}

	[ ! -e "$here/check-source/configure" ] || return 0
	rm -rf "$here/check-source"
	if [ -z "$from" ]; then
		fetch_check || return 1
	elif [ -d "$from" ]; then
		cp -R "$from" "$here/check-source" || return 1
	else
		mkdir "$here/check-source"
		tar -C "$here/check-source" --strip-components=1 -xf "$from" || return 1
	fi
	[ -e "$here/check-source/configure" ] || (cd "$here/check-source" && autoreconf -fi)
}

# check_for CLIBRARY COMPILER CONFIGURE-OPTION...: in check-CLIBRARY.
check_for()
{
	local folder=$here/check-$1 cc=$2

	shift 2
	[ ! -e "$folder/lib/libcheck.a" ] || return 0
	check_source || return 1
	rm -rf "$folder.build"
	mkdir "$folder.build"
	(cd "$folder.build" && "$here/check-source/configure" --quiet CC="$cc" "$@" --prefix="$folder" \
		--disable-shared --disable-subunit --disable-build-docs &&
		make -s -j "$jobs" -C lib && make -s -j "$jobs" -C src install &&
		cp check_stdint.h "$folder/include")
}

# ------------------------------------------------------------------------------------------------------------ one build

# build NAME CLIBRARY COMPILER RUNNER CONFIGURE-OPTION...: builds, and runs the test programs by the runner.
build()
{
	local name=$1 clibrary=$2 cc=$3 runner=$4 folder=$here/$1 status=0 factor=1

	shift 4
	printf '\n======== %s ========\n' "$name"
	check_for "$clibrary" "$cc" "${check_options[@]}" >"$here/check-$clibrary.log" 2>&1 || {
		tail -n 20 "$here/check-$clibrary.log"
		echo "$name: Check cannot be built"
		failures+=("$name")
		return 0
	}
	rm -rf "$folder"
	mkdir "$folder"
	# An emulator is slower than a machine.
	case $runner in *qemu*) factor=10 ;; esac
	(cd "$folder" && "$source/configure" --quiet CC="$cc" "$@" --enable-werror --enable-debug --disable-shared \
		CHECK_CFLAGS="-isystem $here/check-$clibrary/include" \
		CHECK_LIBS="-L$here/check-$clibrary/lib -lcheck -pthread -lrt -lm" \
		PKG_CONFIG_LIBDIR=/nonexistent ac_cv_header_zlib_h=no ac_cv_header_openssl_evp_h=no \
		ac_cv_header_png_h=no &&
		make -s -j "$jobs" libmppool.la &&
		programs="\$(test_programs)" &&
		MPPOOL_TEST_TIMEOUT_FACTOR=$factor make -s -j "$jobs" check TESTS="$programs" check_PROGRAMS="$programs" \
			check_LTLIBRARIES=libtest-support.la bin_PROGRAMS= \
			noinst_PROGRAMS= LOG_COMPILER="$runner") \
		>"$here/$name.log" 2>&1 || status=$?
	report "$name" "$status" "$runner"
}

# report NAME STATUS RUNNER: what came of it. Tests that fail because of the emulator do not count.
report()
{
	local name=$1 status=$2 folder=$here/$1 faults known=0

	faults=$(cat "$folder"/tests/*.log 2>/dev/null | grep '^not ok' || :)
	case $3 in
	*qemu*)
		known=$(grep -c -E "$emulator_lacks" <<<"$faults" || :)
		faults=$(grep -v -E "$emulator_lacks" <<<"$faults" || :)
		[ "$known" -eq 0 ] || [ -n "$faults" ] || status=0
		;;
	esac
	results+=("$name: $(cat "$folder"/tests/*.log 2>/dev/null | grep -c '^ok') passed, $known left out, $(
		printf '%s' "$faults" | grep -c '' || :) failed")
	echo "${results[-1]}"
	if [ "$status" -ne 0 ]; then
		failures+=("$name")
		printf '%s\n' "${faults:-$(tail -n 20 "$here/$name.log")}"
	fi
}

# cross NAME TRIPLET QEMU OPTION...: for another machine.
cross()
{
	local name=$1 triplet=$2 emulator=$3

	shift 3
	if ! have "$triplet-gcc"; then
		echo "$name: skipped: no $triplet-gcc"
	elif [ -n "$emulator" ] && ! have "${emulator##* }"; then
		echo "$name: skipped: no ${emulator##* }"
	else
		check_options=("--host=$triplet")
		if [ -n "$emulator" ]; then
			emulator="$emulator -L /usr/$triplet"
		else
			# Its instructions are this machine's, too; only its libraries are elsewhere.
			emulator=$(ls "/usr/$triplet"/lib/ld-linux*.so.*)
			emulator="$emulator --library-path /usr/$triplet/lib"
		fi
		build "$name" "$triplet" "$triplet-gcc" "$emulator" "--host=$triplet" "$@"
	fi
}

# native NAME CLIBRARY COMPILER OPTION...
native()
{
	local name=$1 clibrary=$2 cc=$3

	shift 3
	if ! have "$cc"; then
		echo "$name: skipped: no $cc"
	else
		check_options=()
		build "$name" "$clibrary" "$cc" "" "$@"
	fi
}

one()
{
	case $1 in
	i386) cross i386 i686-linux-gnu "" ;;
	i386-portable) cross i386-portable i686-linux-gnu "" --disable-futex ;;
	i386-time64)
		cross i386-time64 i686-linux-gnu "" CPPFLAGS="-D_TIME_BITS=64 -D_FILE_OFFSET_BITS=64"
		;;
	aarch64) cross aarch64 aarch64-linux-gnu "$one_cpu qemu-aarch64" ;;
	armhf) cross armhf arm-linux-gnueabihf qemu-arm ;;
	riscv64) cross riscv64 riscv64-linux-gnu qemu-riscv64 ;;
	s390x) cross s390x s390x-linux-gnu qemu-s390x ;;
	musl) native musl musl musl-gcc ;;
	musl-futex)
		native musl-futex musl musl-gcc \
			CPPFLAGS="-idirafter /usr/include -idirafter /usr/include/$(gcc -dumpmachine)"
		;;
	gcc-O[0-3]|clang-O[0-3]) native "$1" native "${1%-*}" CFLAGS="-g -${1#*-}" ;;
	portable) native portable native gcc --disable-futex ;;
	*) echo "unknown machine: $1"; exit 1 ;;
	esac
}

if [ $# -eq 0 ]; then
	set -- gcc-O0 gcc-O1 gcc-O2 gcc-O3 clang-O0 clang-O1 clang-O2 clang-O3 portable musl musl-futex i386 \
		i386-portable i386-time64 aarch64 armhf riscv64 s390x
fi
for name in "$@"; do
	one "$name"
done

printf '\n'
[ ${#results[@]} -eq 0 ] || printf '%s\n' "${results[@]}"
if [ ${#failures[@]} -ne 0 ]; then
	echo "FAILED: ${failures[*]}"
	exit 1
fi
