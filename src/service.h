/* layer 3: what the threads of a pool have in common: workers, task handlers, the result handler.
 *
 * DESIGN. A thread has a *service*, its record, from before it is started until it was joined. It begins alike for all
 * (name, frame, track of the trace), serves, and ends in one of two ways: serve() returns, or a user function leaves
 * the thread, and then lost() runs, in a cleanup handler. Either may have started a successor by then.
 *
 *   T1  Every thread but those of the pool's creation is started by the pool's starter, or by one that the starter
 *       started: starter.h. So no thread inherits what a user function changed.
 *   T2  A successor waits for nothing that comes after its predecessor's last user function in the pool's name, the
 *       finalizer. It does not join its predecessor: destructors of the program run as that ends, thread-locals' and
 *       keys', and they may wait for calls of the pool, which perhaps the successor alone can run.
 *   T3  A thread that ends while the pool is not finished takes over those that ended before it, and joins them before
 *       its own destructors run. It has a successor by then, or is no longer counted on. So at most one thread that
 *       ended waits to be joined, unless destructors wait. Those that are left when no thread serves any more are
 *       joined by mppool_join(). A thread joins only threads that ended before it, so none waits for itself.
 *   T4  Until a thread was joined its lowest frame says that it belongs to the pool, with the role MPP_ENDING: a
 *       destructor that joins or destroys its own pool gets EDEADLK. Otherwise it is as any thread of the program.
 *       The pool's memory and the service outlive it: T3. */
#ifndef MPP_SERVICE_H
#define MPP_SERVICE_H

#include "frame.h"
#include "list.h"
#include "trace.h"

#include <pthread.h>

struct mpp_service;

struct mpp_service_kind {
	size_t size;                     /* of the record, which begins with a struct mpp_service */
	const char *suffix;              /* of the thread's name */
	void (*serve)(struct mpp_service *service);      /* returns when the thread is to end */
	void (*lost)(struct mpp_service *service);       /* a user function left the thread; its work was ended */
};

struct mpp_service {
	struct mpp_frame frame;          /* its thread's: the lowest */
	const struct mpp_service_kind *kind;     /* constant */
	mppool *pool;                    /* constant */
	int index;                       /* constant: of a worker; -1 */
	pthread_t thread;                /* written by the thread itself, read when it is joined */
	struct mpp_link link;            /* the pool's lock: among those that serve, or those that have left */
};

/* A zeroed record, NULL without memory; and its thread, which the caller has counted in pool->nthreads. cpu: negative,
 * any. 0 or an errno value; then the record is gone. */
struct mpp_service *mpp_service_new(mppool *pool, const struct mpp_service_kind *kind, int index);
int mpp_service_start(struct mpp_service *service, int cpu);

/* By a thread of the pool that is about to end: start(arg) on the starter's thread, with another thread counted.
 * mpp_service_insist() tries until the system has a thread. 0 or an errno value. */
int mpp_service_succeed(mppool *pool, int (*start)(void *arg), void *arg);
int mpp_service_insist(mppool *pool, int (*start)(void *arg), void *arg);

/* The track of the trace that the frame has goes back, so that a successor can have it. */
void mpp_service_leave_row(struct mpp_service *service);

/* Have so many threads left, whose destructors have not returned, that another one should not end for no need? */
bool mpp_service_too_many(mppool *pool);

void mpp_services_join(mppool *pool);            /* no thread serves any more */
void mpp_services_abandon(mppool *pool);         /* in a child of fork */

#endif
