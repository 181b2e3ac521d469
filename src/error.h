/* layer 1: failures: what a job keeps of one, and what mppool_last_error() tells a thread. */
#ifndef MPP_ERROR_H
#define MPP_ERROR_H

#include "base.h"

/* A failure with its message behind it. Owned by one job or one thread; freed with mpp_failure_free(). */
struct mpp_failure {
	struct mppool_error error;
	char text[];
};

/* NULL message: mppool_strerror(code). Never NULL: without memory a constant says so, with the code ENOMEM. */
struct mpp_failure *mpp_failure_new(int code, size_t index, const char *message);
void mpp_failure_free(struct mpp_failure *failure);

/* A call is about to fail, and returns the code. Each of these three makes the reason this thread's last error. None is
 * called on the way of a call that succeeds. */
void mpp_last_error_set(int returned, const struct mppool_error *error);         /* the failure of an item; copied */
int mpp_fail(int code, const char *sentence);            /* a constant sentence. Returns code */
int mpp_failf(int code, const char *format, ...) MPPOOL_ATTR_((format(printf, 2, 3)));   /* returns code */

/* A call's timeout as a deadline: 0, or EINVAL with the reason. */
int mpp_fail_timeout(double timeout, int64_t *ret_deadline);

/* The last step of each public call. A failure for which nobody has given a reason gets mppool_strerror(code). */
int mpp_report_failure(int code);
static inline int mpp_report(int code)
{
	return mpp_likely(code == 0) ? 0 : mpp_report_failure(code);
}

#endif
