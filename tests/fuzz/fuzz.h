/* fuzz.h - the one entry point, which every engine calls with bytes of its own making
 *
 * SPDX-License-Identifier: MIT */
#ifndef MPPOOL_TESTS_FUZZ_H
#define MPPOOL_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/* Returns 0. What is wrong ends the program by abort(). */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
