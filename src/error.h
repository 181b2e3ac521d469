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
struct mpp_failure *mpp_failure_of_lost(int code, int status, size_t index, const char *message);    /* with a wait status */
void mpp_failure_free(struct mpp_failure *failure);

/* Makes *error this thread's last error. It is copied. */
void mpp_last_error_set(const struct mppool_error *error);

#endif
