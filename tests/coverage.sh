#!/bin/sh
# SPDX-License-Identifier: MIT
#
# make coverage: which lines and branches of src the tests reach. Builds everything once more, in the folder coverage,
# runs the test programs and the fuzzer, and sums up what gcov has counted; where gcovr is found, it writes pages with
# every line to coverage/html, too. tests/UNREACHED says what is not reached, and why.
set -u
LC_ALL=C
export LC_ALL
source=$(cd "$srcdir" && pwd) || exit 99
rm -rf coverage
mkdir coverage || exit 99
cd coverage || exit 99

# Threads count together; a line that was optimised away would count for none.
"$source/configure" --quiet --disable-shared CC="$CC" CFLAGS='--coverage -fprofile-update=atomic -g -O0' &&
	"$MAKE" -s all || exit 1
status=0
MPPOOL_TEST_TIMEOUT_FACTOR=4 "$MAKE" -s check TESTS="\$(test_programs) tests/check-fuzz.sh" >check.log 2>&1 ||
	status=1
if test "$status" != 0; then
	grep -e '^FAIL' -e '^ERROR' check.log
	echo "coverage: not all tests passed; what they reached counts all the same"
fi

for file in "$source"/src/*.c; do
	name=$(basename "$file" .c)
	gcov -b -o src "src/libmppool_internal_la-$name.o" 2>/dev/null | awk -v name="$name.c" '
		/^File / { ours = index($0, "/src/" name) }
		ours && /^Lines executed/ { split($0, a, /[:% ]+/); lines = a[3]; of_lines = a[5] }
		ours && /^Taken at least once/ { split($0, a, /[:% ]+/); branches = a[5]; of_branches = a[7] }
		END { print name, lines, of_lines, branches + 0, of_branches + 0 }'
done | awk '
	BEGIN { printf "%-20s %17s %17s\n", "", "lines", "branches" }
	{
		printf "%-20s %6.1f %% of %4d  %6.1f %% of %4d\n", $1, $2, $3, $4, $5
		lines += $3; reached += $2 * $3 / 100; branches += $5; taken += $4 * $5 / 100
	}
	END {
		printf "%-20s %6.1f %% of %4d  %6.1f %% of %4d\n", "all", 100 * reached / lines, lines,
			100 * taken / branches, branches
	}' | tee summary.txt
rm -f ./*.gcov
if command -v gcovr >/dev/null 2>&1; then
	mkdir html
	gcovr --root "$source" --object-directory . --filter "$source/src/" --html-details html/index.html \
		>/dev/null 2>&1 && echo "coverage: every line is in coverage/html/index.html"
fi
exit $status
