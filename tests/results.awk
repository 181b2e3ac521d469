# SPDX-License-Identifier: MIT
#
# Reads automake's .trs files and says how many tests passed and failed: the single ones of a test program, and each
# script. That a program "exited with status 1" counts only if none of its tests is known to have failed.

function file_ends()
{
	failed += fails ? fails : errors
	fails = errors = 0
}

FNR == 1 { file_ends() }
$1 != ":test-result:" { next }
$2 == "PASS" || $2 == "XFAIL" { passed++ }
$2 == "FAIL" || $2 == "XPASS" { fails++ }
$2 == "ERROR" { errors++ }
$2 == "SKIP" { skipped++ }

END {
	file_ends()
	if (skipped)
		printf "%d skipped\n", skipped
	printf "%d passed, %d failed\n", passed, failed
}
