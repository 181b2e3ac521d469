/* layer 3: the result handler: the one thread that calls callbacks, in the order of completion. */
#include "pool.h"

void mpp_pool_callback_due(mppool *pool, struct mpp_job *job)
{
	bool wake;

	mpp_job_more(job)->next = NULL;
	mpp_lock(&pool->lock);
	if (pool->due_last)
		mpp_job_more(pool->due_last)->next = job;
	else
		pool->due_first = job;
	pool->due_last = job;
	wake = mpp_swap(&pool->due_word, 1) == 0;
	mpp_unlock(&pool->lock);
	if (wake)
		mpp_wake_one(&pool->due_word);
}

/* Predicate: a callback is due, or due_stop. The word is set to 0 under the lock that found nothing. NULL: stop. */
static struct mpp_job *await_job(mppool *pool)
{
	struct mpp_job *job;

	mpp_lock(&pool->lock);
	while ((job = pool->due_first) == NULL && !pool->due_stop) {
		mpp_store(&pool->due_word, 0);
		mpp_unlock(&pool->lock);
		mpp_park(&pool->due_word, 0, MPP_NEVER);
		mpp_lock(&pool->lock);
	}
	if (job) {
		pool->due_first = mpp_job_more(job)->next;
		if (!pool->due_first)
			pool->due_last = NULL;
	}
	mpp_unlock(&pool->lock);
	return job;
}

struct callback {
	struct mpp_job *job;
	struct mpp_frame *frame;
};

static void callback_returned(void *arg)
{
	struct callback *c = arg;

	mpp_frame_top = c->frame;
	c->frame->stop = NULL;
	mpp_job_end(c->job, mpp_job_more(c->job)->outcome);      /* its hooks must not wait here, either */
	c->frame->role = MPP_IDLE;
	c->frame->job = NULL;
}

static void run_callback(struct mpp_job *job, struct mpp_frame *frame)
{
	struct callback c = {job, frame};

	frame->role = MPP_CALLBACK;
	frame->job = job;
	frame->stop = &job->state;
	pthread_cleanup_push(callback_returned, &c);
	mpp_job_callback(job);
	pthread_cleanup_pop(1);
}

static void serve(mppool *pool, struct mpp_frame *frame)
{
	struct mpp_job *job;

	while ((job = await_job(pool)) != NULL)
		run_callback(job, frame);
	mpp_lock(&pool->lock);
	mpp_pool_thread_gone(pool);
	mpp_unlock(&pool->lock);
}

static int try_successor(void *pool)
{
	return mpp_result_handler_start(pool);
}

/* A callback left the thread. A successor takes over. */
static void handler_lost(void *pool)
{
	mpp_thread_insist(try_successor, pool);
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
	mpp_thread_name(pool->options.name, "-result");
	mpp_frame_push(&frame);
	pthread_cleanup_push(handler_lost, pool);
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
