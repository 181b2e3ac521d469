/* layer 3: worker processes. */
#ifndef MPP_PROCESS_H
#define MPP_PROCESS_H

#include "carrier.h"

extern const struct mpp_carrier mpp_process_carrier;

void mpp_process_watch_forks(void);      /* children of forks forget what is their parent's */
int mpp_process_fork_server(void);       /* 0, ENOTSUP or why none could be made */

extern bool mpp_process_is_worker;       /* this process is one; written before user code runs */

#endif
