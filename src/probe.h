/* layer 0: static probes, where the system has <sys/sdt.h>.
 *
 * Each is an instruction that does nothing, which perf, bpftrace and SystemTap find by its name; mppool_trace(7) has
 * what they tell. Their arguments are at hand where they stand: one that nobody uses costs that and a register or
 * two. */
#ifndef MPP_PROBE_H
#define MPP_PROBE_H

#include "base.h"

#ifdef HAVE_PROBES
#include <sys/sdt.h>

#ifdef __clang__                 /* which has something to say about the system's macros wherever one is used */
#pragma clang diagnostic ignored "-Wgnu-zero-variadic-macro-arguments"
#endif

/* Every place of a probe hands over arguments of the same types, and none is a constant: perf takes no others for one
 * event. */
static inline uintptr_t mpp_probe_number(uintptr_t n)
{
	__asm__("" : "+r"(n));
	return n;
}
#define MPP_PROBE_N(n) mpp_probe_number((uintptr_t)(n))

/* `f`: the struct mppool_func; what is handed over is where its name is. */
#define MPP_PROBE_SUBMIT(pool, job, f, items) DTRACE_PROBE4(mppool, submit, pool, job, &(f)->name, MPP_PROBE_N(items))
#define MPP_PROBE_START(pool, job, f, first, items)                                                                   \
	DTRACE_PROBE5(mppool, start, pool, job, &(f)->name, MPP_PROBE_N(first), MPP_PROBE_N(items))
#define MPP_PROBE_END(pool, job, f, first, items)                                                                     \
	DTRACE_PROBE5(mppool, end, pool, job, &(f)->name, MPP_PROBE_N(first), MPP_PROBE_N(items))
#define MPP_PROBE_STEAL(pool, job, worker, items)                                                                     \
	DTRACE_PROBE4(mppool, steal, pool, job, MPP_PROBE_N(worker), MPP_PROBE_N(items))
#else
#define MPP_PROBE_SUBMIT(pool, job, f, items) ((void)0)
#define MPP_PROBE_START(pool, job, f, first, items) ((void)0)
#define MPP_PROBE_END(pool, job, f, first, items) ((void)0)
#define MPP_PROBE_STEAL(pool, job, worker, items) ((void)0)
#endif

#endif
