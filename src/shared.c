/* layer 5: the calls for worker processes alone: shared memory, the early fork server. */
#include "arena.h"
#include "fork.h"
#include "forkserver.h"
#include "process.h"

MPP_PUBLIC void *mppool_shared_alloc(size_t size)
{
	void *memory = NULL;

	if (!mpp_process_is_worker && mpp_fork_watch() == 0 && mpp_arena_open() == 0) {
		mpp_process_watch_forks();
		memory = mpp_arena_alloc(size);
	}
	return memory;
}

MPP_PUBLIC void mppool_shared_free(void *memory)
{
	mpp_arena_free(memory);
}

MPP_PUBLIC int mppool_fork_server(void)
{
	int error = mpp_fork_watch();

	if (!error)
		mpp_process_watch_forks();
	return error ? error : mpp_process_fork_server();
}
