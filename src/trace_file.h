/* layer 1: trace files. Pools of a process that name the same one share it.
 *
 * All calls but the last four are made under the lock of trace.c. */
#ifndef MPP_TRACE_FILE_H
#define MPP_TRACE_FILE_H

#include "base.h"

struct mpp_trace_file;

/* With a reference. NULL: it cannot be written, which is said on standard error, once in a process. A file that this
 * process has completed before is gone on with; one that another process writes is left alone for another name. */
struct mpp_trace_file *mpp_trace_file_open(const char *path);
void mpp_trace_file_close(struct mpp_trace_file *file);          /* the last reference completes it */
void mpp_trace_file_write(struct mpp_trace_file *file, const char *bytes, size_t count);
uint64_t mpp_trace_file_new_id(struct mpp_trace_file *file);     /* counts from 1 */
void mpp_trace_files_inherited(void);            /* in a child of fork: they are its parent's */

const char *mpp_trace_file_from_environment(void);       /* NULL: none */
void mpp_trace_file_symbol(uintptr_t code, char *to, size_t size);       /* a name for a function that has none */
void mpp_trace_file_thread_name(char *to, size_t size);  /* what the system calls this thread */
uint64_t mpp_trace_file_thread_id(void);

#endif
