/* layer 0: what every file of the library starts with. */
#ifndef MPP_BASE_H
#define MPP_BASE_H

#ifdef HAVE_CONFIG_H
#include <config.h>
#endif

#include <errno.h>
#include <limits.h>
#include <stdalign.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <mppool.h>

#if defined(__GNUC__) || defined(__clang__)
#define MPP_PUBLIC __attribute__((visibility("default")))
#define mpp_likely(x) __builtin_expect(!!(x), 1)
#define mpp_unlikely(x) __builtin_expect(!!(x), 0)
#define mpp_prefetch(p) __builtin_prefetch(p, 1) /* to be written soon */
#else
#define MPP_PUBLIC
#define mpp_likely(x) (x)
#define mpp_unlikely(x) (x)
#define mpp_prefetch(p) ((void)(p))
#endif

#define MPP_LINE 64                             /* bytes that two CPUs fight over as one */
#define MPP_ALIGN alignof(max_align_t)          /* of every copy that a user function sees */

#define mpp_container(pointer, type, member) ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

static inline size_t mpp_min(size_t a, size_t b)
{
	return a < b ? a : b;
}

static inline size_t mpp_max(size_t a, size_t b)
{
	return a > b ? a : b;
}

static inline size_t mpp_round_up(size_t n, size_t to)
{
	return (n + to - 1) / to * to;
}

/* The next multiple of the alignment that copies have; 0 stays 0. Sizes were checked not to overflow. */
static inline size_t mpp_slot(size_t n)
{
	return mpp_round_up(n, MPP_ALIGN);
}

static inline bool mpp_mul_overflows(size_t a, size_t b)
{
	return b != 0 && a > (size_t)PTRDIFF_MAX / b;
}

#endif
