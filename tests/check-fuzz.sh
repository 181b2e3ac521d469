#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The corpus of the fuzzer, and some seconds of inputs that it makes of it.
set -eu
if ! tests/fuzz/fuzz"$EXEEXT" -t 5 "$srcdir"/tests/fuzz/corpus/*; then
	echo "FAILED; see tests/fuzz/README"
	exit 1
fi
