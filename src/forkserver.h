/* layer 2: the fork server: a process without threads that starts, reaps and kills worker processes.
 *
 * DESIGN. Each pool of processes has a server, which was forked twice, so that the program has no child that its own
 * wait() could meet. It runs no user code, and talks with the program over one socket:
 *
 *     START index slot   ->  FORKED index pid, or REFUSED index errno
 *     KILL index         ->  nothing
 *                            DIED index status
 *     end of file            it kills all workers, reaps them and leaves
 *
 * It sends signals only to children that it has not reaped, so no process id is stale. START for an index follows its
 * DIED: a slot never has two processes. A server that dies takes its workers with it (PR_SET_PDEATHSIG); a program that
 * dies is noticed by the end of file and by a pidfd.
 *
 * mppool_fork_server() makes an early server, which forks the servers of later pools: their workers have the memory of
 * that early moment. */
#ifndef MPP_FORKSERVER_H
#define MPP_FORKSERVER_H

#include "base.h"

#include <sys/types.h>

enum mpp_server_what {
	MPP_SERVER_START,
	MPP_SERVER_KILL,
	MPP_SERVER_FORKED,
	MPP_SERVER_REFUSED,
	MPP_SERVER_DIED,
	MPP_SERVER_OPEN                  /* to the early server: a new pool's server, with its socket */
};

struct mpp_server_message {
	uint32_t what;
	int32_t value;                   /* process id, errno value or status */
	uint64_t index;
	void *memory;                    /* START: the slot; OPEN: a copy of the plan in the arena */
};

/* What workers of a pool need to know: constant, in one piece, and private to each process. */
struct mpp_server_plan {
	size_t size;                     /* bytes of all of it */
	int (*initializer)(void *initarg, void **ret_state);
	void (*finalizer)(void *initarg, void *state);
	void *initarg;                   /* if initarg_size is 0 */
	size_t initarg_size, initarg_at; /* else so many bytes from here on */
	size_t ncpus, cpus_at;           /* ints */
	pid_t program;
	char name[16];
};

/* Forks the early server, unless it is there. 0 or an errno value. */
int mpp_server_early(void);
bool mpp_server_is_early(void);

/* A server for a pool: *ret_fd is the program's end of its socket. 0 or an errno value. */
int mpp_server_open(const struct mpp_server_plan *plan, int *ret_fd);
void mpp_server_hang_up(int fd);         /* the server leaves; its end of file follows */
void mpp_server_close(int fd);
bool mpp_server_send(int fd, const struct mpp_server_message *message);          /* false: the server is gone */
bool mpp_server_receive(int fd, struct mpp_server_message *ret_message);         /* false: the same */

/* Right after a fork: the program's ends of all sockets are closed, so that they do not stay open with this process. */
void mpp_server_in_child(void);

/* In a new worker process: process.c. */
_Noreturn void mpp_process_main(const struct mpp_server_plan *plan, size_t index, void *slot);

#endif
