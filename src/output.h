/* layer 0: writing to a file descriptor that may be anything. */
#ifndef MPP_OUTPUT_H
#define MPP_OUTPUT_H

#include "base.h"

/* Writes all, and waits for that where it must. It is no cancellation point, and no signal comes of it: not SIGPIPE, not
 * SIGXFSZ. 0 or an errno value, with as many bytes written as could be (*ret_written, unless NULL). */
int mpp_output(int fd, const char *bytes, size_t count, size_t *ret_written);

/* The same, but does not wait: EAGAIN, with nothing written, where it would have to. Up to 512 bytes to a pipe go in one
 * piece. */
int mpp_output_now(int fd, const char *bytes, size_t count);

bool mpp_output_is_terminal(int fd);
size_t mpp_output_columns(int fd);               /* of a terminal; 80 where it does not say */

#endif
