/* SPDX-License-Identifier: MIT
 *
 * Included before everything else in what is built for the scheduler: accesses to memory that the compiler does not
 * tell the model about. */
#ifndef SCHED_PLAIN_H
#define SCHED_PLAIN_H

#ifdef HAVE_CONFIG_H
#include <config.h>
#endif

#include <string.h>

void *sched_memcpy(void *to, const void *from, size_t size);
void *sched_memmove(void *to, const void *from, size_t size);
void *sched_memset(void *at, int byte, size_t size);
int sched_memcmp(const void *a, const void *b, size_t size);

#define memcpy(to, from, size) sched_memcpy(to, from, size)
#define memmove(to, from, size) sched_memmove(to, from, size)
#define memset(at, byte, size) sched_memset(at, byte, size)
#define memcmp(a, b, size) sched_memcmp(a, b, size)

#endif
