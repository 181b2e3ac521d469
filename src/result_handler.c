/* layer 3: the result handler: the one thread that calls callbacks, unless the program polls for them. */
#include "pool.h"

static void serve(mppool *pool, struct mpp_frame *frame)
{
	mpp_callbacks_serve(pool, frame);
	mpp_trace_row_put(frame->row);
	mpp_lock(&pool->lock);
	mpp_pool_thread_gone(pool);
	mpp_pool_unlock(pool);
}

static int try_successor(void *pool)
{
	return mpp_result_handler_start(pool);
}

/* A callback left the thread. A successor takes over. */
static void handler_lost(void *arg)
{
	struct mpp_frame *frame = arg;

	mpp_pool_returned(frame->pool);
	mpp_trace_row_put(frame->row);
	frame->row = NULL;
	mpp_thread_insist(try_successor, frame->pool);
	mpp_frame_top = NULL;
}

static void *handler_main(void *arg)
{
	mppool *pool = arg;
	struct mpp_frame frame;

	if (pool->has_result_before)
		mpp_thread_join(pool->result_before);
	pool->result_handler = pthread_self();
	mpp_frame_init(&frame, pool, &pool->state);
	frame.row = mpp_trace_row_get(pool->trace, MPP_TRACE_RESULT_HANDLER, 0);
	mpp_thread_name(pool->options.name, "-result");
	mpp_frame_push(&frame);
	pthread_cleanup_push(handler_lost, &frame);
	serve(pool, &frame);
	pthread_cleanup_pop(0);
	mpp_frame_pop(&frame);
	return NULL;
}

/* The first one, or the successor of the calling thread, which it then joins. */
int mpp_result_handler_start(mppool *pool)
{
	struct mpp_thread_options options = {0, -1};
	bool had_before = pool->has_result_before;
	int error;

	pool->has_result_before = pool->result_started;
	if (pool->result_started)
		pool->result_before = pthread_self();
	pool->result_started = true;
	error = mpp_thread_start(&options, handler_main, pool);
	if (error)
		pool->has_result_before = had_before;
	return error;
}
