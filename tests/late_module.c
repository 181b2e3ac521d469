/* late_module.c - a module that test_processes loads when its workers are there already
 *
 * SPDX-License-Identifier: MIT */
#include <mppool.h>

int late_number = 40;            /* a context */

mppool_item_call late_call;

int late_call(const void *const args[], void *result, void *context)
{
	*(int *)result = *(const int *)args[0] + *(const int *)context;
	return 0;
}
