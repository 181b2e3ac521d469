/* layer 5: the calls that submit: apply, map, starmap, imap and their kin. All make a job and hand it to accept(). */
#include "wait.h"

#include "memory.h"

/* ------------------------------------------------------------------------------------------------------- accepting */

struct submission {
	mppool *pool;
	const struct mppool_call_options *options;       /* the copy below, or none at all */
	int64_t deadline;                        /* for room in the queue */
	void **ret_handle;                       /* gets the handle before the job can start; NULL: none */
	void *handle;
	bool own;                                /* by a thread that is at work for the pool */
	struct mpp_trace_wait full;              /* since when it waits for room */
	struct mppool_call_options copy;
};

static const struct mppool_call_options no_options = {.size = sizeof no_options};

/* What a pool that is not running says. */
static int refusal_locked(const struct submission *sub)
{
	const mppool *pool = sub->pool;
	int state = mpp_peek(&pool->state);

	if (state == MPPOOL_RUN || (state == MPPOOL_CLOSED && sub->own && !pool->finished))
		return 0;
	return state == MPPOOL_BROKEN ? MPPOOL_EBROKEN : MPPOOL_ECLOSED;
}

/* Predicate: room in the queue, or a pool that takes no more work. room_word changes with both. A waiter whose time
 * ran out has looked once more by then, so a wake-up that was meant for it is not lost to the others. */
static int await_room_locked(struct submission *sub)
{
	mppool *pool = sub->pool;
	bool timed_out = false;
	int error;

	while ((error = refusal_locked(sub)) == 0) {
		uint32_t word = mpp_peek(&pool->room_word);

		if (pool->options.queue_limit == 0 || sub->own || pool->waiting < pool->options.queue_limit)
			return 0;
		if (sub->options->flags & MPPOOL_NOWAIT)
			return MPPOOL_EFULL;
		if (timed_out)
			return ETIMEDOUT;
		if (!sub->full.pool)
			mpp_trace_wait(&sub->full, pool);
		pool->room_waiters++;
		mpp_pool_unlock(pool);
		timed_out = mpp_park(&pool->room_word, word, sub->deadline) == ETIMEDOUT;
		mpp_lock(&pool->lock);
		pool->room_waiters--;
	}
	return error;
}

static int make_room_locked(struct submission *sub, int priority_index)
{
	mppool *pool = sub->pool;
	int error;

	while ((error = await_room_locked(sub)) == 0 && !mpp_runq_has_room_locked(&pool->runq, priority_index))
		if (!mpp_pool_extend_queue_locked(pool, priority_index)) {
			if (pool->room_waiters > 0) {    /* the room that this call was woken for is for another */
				mpp_add(&pool->room_word, 1);
				mpp_wake_one(&pool->room_word);
			}
			return ENOMEM;
		}
	return error;
}

static bool is_empty(const struct mpp_job *job)
{
	return job->kind == MPP_ARRAY && mpp_multi_of(job)->items.length == 0;
}

/* True: a worker awaits this very call. */
static bool enqueue_locked(struct submission *sub, struct mpp_job *job)
{
	if (sub->ret_handle)
		*sub->ret_handle = sub->handle;
	mpp_pool_register_locked(sub->pool, job);
	if (is_empty(job))
		return false;
	if (job->flags & MPP_LIMITED)
		sub->pool->waiting++;
	if (job->kind == MPP_SINGLE) {
		MPP_PROBE_SUBMIT(sub->pool, job, &job->func->f, 1);
	} else {
		mpp_multi_ref(mpp_multi_of(job));        /* the run queue's */
		mpp_poke(&mpp_multi_of(job)->listed, true);
		MPP_PROBE_SUBMIT(sub->pool, job, &job->func->f, mpp_multi_of(job)->items.length);
	}
	return mpp_runq_push_locked(&sub->pool->runq, job);
}

static void set_flags(const struct submission *sub, struct mpp_job *job)
{
	const mppool *pool = sub->pool;

	job->priority = (int8_t)sub->options->priority;
	if (pool->options.queue_limit > 0 && !is_empty(job))
		job->flags |= MPP_LIMITED | MPP_REGISTERED;
	if (pool->options.flags & MPPOOL_CALLER_HELPS)
		job->flags |= MPP_HELPED | MPP_REGISTERED;
	if (job->flags & MPP_HAS_MORE)
		job->flags |= MPP_REGISTERED;
	if (pool->carrier)
		job->flags |= MPP_CARRIED;
}

/* A worker's own task goes to its own end of its own deque, while that worker serves: an initializer or a finalizer may
 * run tasks, too, but nobody looks there afterwards. 0, EAGAIN: not possible, or the refusal. */
static int push_own(struct submission *sub, struct mpp_job *job)
{
	struct mpp_frame *top = mpp_frame_top;
	mppool *pool = sub->pool;
	struct mpp_worker *w;
	struct mpp_job *mine;

	if (!top || top->pool != pool || !top->worker || top->role != MPP_TASK || job->kind != MPP_SINGLE ||
	    job->flags & MPP_REGISTERED || job->priority != 0 || pool->options.max_tasks_per_worker > 0)
		return EAGAIN;
	w = top->worker;
	if (w->activity != MPP_AWAKE || mpp_peek(&pool->state) > MPPOOL_CLOSED || mpp_deque_reserve(&w->deque, 1) != 0)
		return EAGAIN;
	if (sub->ret_handle)
		*sub->ret_handle = sub->handle;
	mpp_tally_add(&w->tally.submitted, 1);
	MPP_PROBE_SUBMIT(pool, job, &job->func->f, 1);
	mpp_worker_push_own(w, job);
	if (mpp_unlikely(mpp_load_seq(&pool->state) > MPPOOL_CLOSED)) {  /* mpp_pool_stop may have been here already */
		while ((mine = mpp_deque_pop(&w->deque)) != NULL)
			mpp_single_discard_popped(mine, mpp_pool_stop_code(mpp_peek(&pool->state)));
		return 0;
	}
	mpp_pool_notify(pool);
	return 0;
}

/* A plain call of priority 0 to a running pool needs no lock. 0, or EAGAIN: not possible. */
static int push_fast(struct submission *sub, struct mpp_job *job)
{
	mppool *pool = sub->pool;
	size_t ticket;

	if (job->kind != MPP_SINGLE || job->flags & MPP_REGISTERED || job->priority != 0 ||
	    mpp_load(&pool->state) != MPPOOL_RUN || !mpp_runq_reserve(&pool->runq, &ticket))
		return EAGAIN;
	if (sub->ret_handle)
		*sub->ret_handle = sub->handle;
	MPP_PROBE_SUBMIT(pool, job, &job->func->f, 1);
	if (!mpp_ring_fill(&pool->runq.ring, ticket, job))
		mpp_pool_notify_call(pool);
	if (mpp_unlikely(mpp_load_seq(&pool->state) > MPPOOL_CLOSED))    /* mpp_pool_stop may have been here already */
		mpp_pool_discard_ring(pool);
	return 0;
}

/* What has no items ends at once; what must be drawn begins to be. */
static void start_multi(struct mpp_multi *m, bool closed)
{
	if (is_empty(&m->job)) {
		mpp_multi_complete_empty(m);
	} else if (m->job.kind == MPP_STREAM) {
		if (m->items.next)
			mpp_task_handlers_more(m->job.pool);
		if (closed)
			mpp_stream_lift(mpp_stream_of(m));
		else
			mpp_stream_kick(mpp_stream_of(m));
	}
	mpp_multi_unref(m);
}

/* From here on the call is accepted, or refused without a trace. */
static int accept(struct submission *sub, struct mpp_job *job)
{
	mppool *pool = sub->pool;
	struct mpp_multi *m = job->kind == MPP_SINGLE ? NULL : mpp_multi_of(job);
	bool closed, awaited = false;
	int error;

	set_flags(sub, job);
	error = push_own(sub, job);
	if (error == EAGAIN)
		error = push_fast(sub, job);
	if (error != EAGAIN) {
		mpp_trace_submitted(pool->trace, mpp_runq_count(&pool->runq));
		mpp_pool_refill(pool);
		return error;
	}
	if (m)
		mpp_multi_ref(m);        /* for start_multi: nothing else holds a job that was forgotten at once */
	mpp_lock(&pool->lock);
	error = make_room_locked(sub, sub->options->priority + 1);
	if (!error)
		awaited = enqueue_locked(sub, job);
	closed = mpp_peek(&pool->state) == MPPOOL_CLOSED;
	mpp_pool_unlock(pool);
	if (!error && !awaited)
		m ? mpp_pool_notify(pool) : mpp_pool_notify_call(pool);
	mpp_trace_waited(&sub->full, MPP_TRACE_FULL, NULL);
	mpp_trace_submitted(pool->trace, mpp_runq_count(&pool->runq));
	mpp_pool_refill(pool);
	if (error == MPPOOL_EBROKEN)
		mpp_last_error_set(mpp_pool_broken_error(pool));
	if (m && !error)
		start_multi(m, closed);
	return error;
}

/* The caller runs the call itself, now: it is accepted as any other, but passes through no queue. */
static int accept_here(struct submission *sub, struct mpp_job *job)
{
	mppool *pool = sub->pool;
	int error;

	job->flags |= MPP_HELPED | MPP_REGISTERED;
	mpp_poke(&job->state, MPP_CLAIMED);
	mpp_lock(&pool->lock);
	error = refusal_locked(sub);
	if (!error)
		mpp_pool_register_locked(pool, job);
	mpp_pool_unlock(pool);
	if (error == MPPOOL_EBROKEN)
		mpp_last_error_set(mpp_pool_broken_error(pool));
	return error;
}

/* --------------------------------------------------------------------------------------------------------- options */

static int get_options(struct submission *sub, const struct mppool_call_options *options)
{
	struct mppool_call_options *o = &sub->copy;
	int error;

	sub->options = &no_options;
	sub->deadline = MPP_NEVER;
	if (!options)
		return 0;
	error = mpp_struct_copy(o, options, sizeof *o, sizeof *o);
	if (error)
		return error;
	if (o->priority < -1 || o->priority > 1 || o->flags & ~(unsigned)(MPPOOL_NOWAIT | MPPOOL_FAIL_FAST) ||
	    o->task_timeout != o->task_timeout || o->submit_timeout != o->submit_timeout)
		return EINVAL;
	if (o->submit_timeout > 0)
		mpp_deadline(o->submit_timeout, &sub->deadline);
	sub->options = o;
	return 0;
}

static int begin(struct submission *sub, mppool *pool, const struct mppool_call_options *options)
{
	if (!pool)
		return EINVAL;
	if (mpp_pool_is_foreign(pool))
		return MPPOOL_EFORKED;
	sub->pool = pool;
	sub->ret_handle = NULL;
	sub->handle = NULL;
	sub->own = mpp_frame_at_work(pool);
	sub->full.pool = NULL;
	return get_options(sub, options);
}

static int64_t nanoseconds(double seconds)
{
	if (!(seconds > 0) || seconds > 4e9)
		return 0;
	return seconds * 1e9 < 1 ? 1 : (int64_t)(seconds * 1e9);
}

static void fill_more(struct mpp_more *more, const struct mppool_call_options *o)
{
	memset(more, 0, sizeof *more);
	more->callback = o->callback;
	more->error_callback = o->error_callback;
	more->userdata = o->userdata;
	more->codes = o->codes;
	more->task_timeout = nanoseconds(o->task_timeout);
	more->flags = o->flags;
}

static void detach_later(struct submission *sub, struct mpp_job *job, mppool_result **ret_result)
{
	sub->handle = job;
	sub->ret_handle = (void **)(void *)ret_result;
	if (!ret_result)
		mpp_poke(&job->state, mpp_peek(&job->state) | MPP_DETACHED);     /* nobody else knows it yet */
}

/* ----------------------------------------------------------------------------------------------------------- apply */

static int check_args(const struct mpp_func *func, const void *const args[])
{
	if (func->f.nargs > 0 && !args)
		return EINVAL;
	for (size_t i = 0; i < func->f.nargs; i++)
		if (!args[i] && func->f.arg_size[i] > 0)
			return EINVAL;
	return 0;
}

/* The thread leaves a blocking call, by pthread_exit in an item that it ran itself. The job must not
 * outlive the memory that this call lent. */
static void await_lost(void *arg)
{
	struct mpp_job *job = arg;

	if (job->kind != MPP_SINGLE && !(mpp_load(&job->state) & MPP_ENDED)) {
		mpp_multi_halt(mpp_multi_of(job), ECANCELED, true, false);
		mpp_job_wait(job, MPP_NEVER);
	}
	mpp_job_detach(job);
}

static void await_own(struct mpp_job *job, bool here)
{
	pthread_cleanup_push(await_lost, job);
	if (here)
		mpp_wait_run(job);
	else
		mpp_wait_for(job, MPP_NEVER, true);
	pthread_cleanup_pop(0);
}

/* Can the pool's workers run it? */
static int get_func(const mppool *pool, const struct mppool_func *f, struct mpp_func **ret_func)
{
	struct mppool_error why = {0, 0, 0, NULL};
	int error = mpp_func_get(f, ret_func);

	if (error || mpp_likely(!pool->carrier))
		return error;
	why.code = pool->carrier->check(pool->carried, &(*ret_func)->f, &why.message);
	if (why.code == 0)
		return 0;
	mpp_func_put(*ret_func);
	mpp_last_error_set(&why);
	return why.code;
}

static int new_single(struct submission *sub, const struct mppool_func *f, const void *const args[], bool with_more,
                      struct mpp_job **ret_job)
{
	struct mpp_more *more = NULL;
	struct mpp_func *func;
	int error = get_func(sub->pool, f, &func);

	if (error)
		return error;
	error = check_args(func, args);
	if (!error && with_more) {
		more = mpp_alloc(sizeof *more);
		if (more)
			fill_more(more, sub->options);
		else
			error = ENOMEM;
	}
	*ret_job = error ? NULL : mpp_single_new(sub->pool, func, args, more);
	if (*ret_job)
		return 0;
	mpp_free(more);
	mpp_func_put(func);
	return error ? error : ENOMEM;
}

MPP_PUBLIC int mppool_apply_async(mppool *pool, const struct mppool_func *func, const void *const args[],
                                  const struct mppool_call_options *options, mppool_result **ret_result)
{
	struct submission sub;
	struct mpp_job *job;
	int error = begin(&sub, pool, options);

	if (!error)
		error = new_single(&sub, func, args, options != NULL, &job);
	if (error)
		return error;
	detach_later(&sub, job, ret_result);
	error = accept(&sub, job);
	if (error)
		mpp_job_refuse(job);
	return error;
}

MPP_PUBLIC int mppool_apply(mppool *pool, const struct mppool_func *func, const void *const args[], void *ret_result)
{
	struct submission sub;
	struct mpp_job *job;
	int error = begin(&sub, pool, NULL);
	bool here;

	if (!error && mpp_frame_in_callback(pool))
		error = EDEADLK;
	if (!error)
		error = new_single(&sub, func, args, false, &job);
	if (error)
		return error;
	here = mpp_wait_helps_from_outside(pool);
	error = here ? accept_here(&sub, job) : accept(&sub, job);
	if (error) {
		mpp_job_refuse(job);
		return error;
	}
	await_own(job, here);
	error = mpp_wait_outcome(job);
	if (error == 0 && ret_result) {
		if (job->func->f.result_size > 0)
			memcpy(ret_result, mpp_single_result(job), job->func->f.result_size);
		mpp_job_taken(job);
	}
	mpp_job_detach(job);
	return error;
}

/* ------------------------------------------------------------------------------------------------- map and starmap */

struct map_call {
	const struct mppool_func *func;
	const struct mppool_iterable *items;
	void *results;
	size_t chunksize;
	size_t nargs;            /* 1 for map, SIZE_MAX for starmap */
	bool keep;               /* results that the caller has no array for */
};

static int check_map(const struct map_call *call, const struct submission *sub, const struct mpp_func *func,
                     const struct mpp_items *items)
{
	if (call->nargs == 1 && func->f.nargs != 1)
		return EINVAL;
	if (!call->results && !sub->options->codes)
		return 0;
	return items->length == MPPOOL_UNKNOWN || !mpp_items_fit(items->length, &func->f) ? EINVAL : 0;
}

static int new_stream(struct submission *sub, struct mpp_func *func, const struct mpp_items *items,
                      const struct mpp_stream_options *options, struct mpp_multi **ret_multi)
{
	struct mpp_stream *s = NULL;
	int error = mpp_stream_new(sub->pool, func, items, options, &s);

	if (!error)
		*ret_multi = &s->multi;
	return error;
}

static int new_map(struct submission *sub, const struct map_call *call, struct mpp_multi **ret_multi)
{
	size_t workers = mpp_peek(&sub->pool->nworkers);
	struct mpp_stream_options o = {
		.sink = true, .keep = call->keep, .chunksize = call->chunksize, .workers = workers};
	struct mpp_items items;
	struct mpp_func *func;
	int error = get_func(sub->pool, call->func, &func);

	if (error)
		return error;
	error = mpp_items_get(call->items, &func->f, &items);
	if (!error)
		error = check_map(call, sub, func, &items);
	o.results = func->f.result_size > 0 ? call->results : NULL;
	if (!error && items.next)
		error = new_stream(sub, func, &items, &o, ret_multi);
	else if (!error)
		error = mpp_array_new(sub->pool, func, &items, o.results, call->keep, call->chunksize, workers,
		                      ret_multi);
	if (error) {
		mpp_func_put(func);
		return error;
	}
	fill_more(&(*ret_multi)->more, sub->options);
	return 0;
}

static int map_async(mppool *pool, const struct map_call *call, const struct mppool_call_options *options,
                     mppool_result **ret_result)
{
	struct submission sub;
	struct mpp_multi *m;
	int error = begin(&sub, pool, options);

	if (!error)
		error = new_map(&sub, call, &m);
	if (error)
		return error;
	detach_later(&sub, &m->job, ret_result);
	error = accept(&sub, &m->job);
	if (error)
		mpp_job_refuse(&m->job);
	return error;
}

static int map_and_wait(mppool *pool, const struct map_call *call)
{
	struct submission sub;
	struct mpp_multi *m;
	int error = begin(&sub, pool, NULL);

	if (!error)
		error = new_map(&sub, call, &m);
	if (error)
		return error;
	if (!is_empty(&m->job) && mpp_frame_in_callback(pool))
		error = EDEADLK;
	if (!error)
		error = accept(&sub, &m->job);
	if (error) {
		mpp_job_refuse(&m->job);
		return error;
	}
	await_own(&m->job, false);
	error = mpp_wait_outcome(&m->job);
	mpp_job_detach(&m->job);
	return error;
}

MPP_PUBLIC int mppool_map(mppool *pool, const struct mppool_func *func, const struct mppool_iterable *items,
                          void *results, size_t chunksize)
{
	struct map_call call = {func, items, results, chunksize, 1, false};

	return map_and_wait(pool, &call);
}

MPP_PUBLIC int mppool_starmap(mppool *pool, const struct mppool_func *func, const struct mppool_iterable *items,
                              void *results, size_t chunksize)
{
	struct map_call call = {func, items, results, chunksize, SIZE_MAX, false};

	return map_and_wait(pool, &call);
}

MPP_PUBLIC int mppool_map_async(mppool *pool, const struct mppool_func *func, const struct mppool_iterable *items,
                                void *results, size_t chunksize, const struct mppool_call_options *options,
                                mppool_result **ret_result)
{
	struct map_call call = {func, items, results, chunksize, 1, true};

	return map_async(pool, &call, options, ret_result);
}

MPP_PUBLIC int mppool_starmap_async(mppool *pool, const struct mppool_func *func, const struct mppool_iterable *items,
                                    void *results, size_t chunksize, const struct mppool_call_options *options,
                                    mppool_result **ret_result)
{
	struct map_call call = {func, items, results, chunksize, SIZE_MAX, true};

	return map_async(pool, &call, options, ret_result);
}

/* ------------------------------------------------------------------------------------------------------------ imap */

struct imap_call {
	const struct mppool_func *func;
	const struct mppool_iterable *items;
	struct mpp_stream_options options;
};

static int check_imap(const struct submission *sub, mppool_iter **ret_iter)
{
	const struct mppool_call_options *o = sub->options;

	return !ret_iter || o->callback || o->error_callback || o->codes ? EINVAL : 0;
}

static int new_imap(struct submission *sub, const struct imap_call *call, struct mpp_multi **ret_multi)
{
	struct mpp_stream_options o = call->options;
	struct mpp_items items;
	struct mpp_func *func;
	int error = get_func(sub->pool, call->func, &func);

	if (error)
		return error;
	o.workers = mpp_peek(&sub->pool->nworkers);
	error = mpp_items_get(call->items, &func->f, &items);
	if (!error)
		error = new_stream(sub, func, &items, &o, ret_multi);
	if (error) {
		mpp_func_put(func);
		return error;
	}
	fill_more(&(*ret_multi)->more, sub->options);
	return 0;
}

static int imap(mppool *pool, const struct imap_call *call, const struct mppool_call_options *options,
                mppool_iter **ret_iter)
{
	struct submission sub;
	struct mpp_multi *m;
	int error = begin(&sub, pool, options);

	if (!error)
		error = check_imap(&sub, ret_iter);
	if (!error)
		error = new_imap(&sub, call, &m);
	if (error)
		return error;
	mpp_stream_of(m)->iter.kind = &mpp_iter_of_stream;
	sub.handle = &mpp_stream_of(m)->iter;
	sub.ret_handle = (void **)(void *)ret_iter;
	error = accept(&sub, &m->job);
	if (error)
		mpp_job_refuse(&m->job);
	return error;
}

MPP_PUBLIC int mppool_imap(mppool *pool, const struct mppool_func *func, const struct mppool_iterable *items,
                           size_t chunksize, size_t buffersize, const struct mppool_call_options *options,
                           mppool_iter **ret_iter)
{
	struct imap_call call = {func, items, {.ordered = true, .chunksize = chunksize, .buffersize = buffersize}};

	return imap(pool, &call, options, ret_iter);
}

MPP_PUBLIC int mppool_imap_unordered(mppool *pool, const struct mppool_func *func, const struct mppool_iterable *items,
                                     size_t chunksize, size_t buffersize, const struct mppool_call_options *options,
                                     mppool_iter **ret_iter)
{
	struct imap_call call = {func, items, {.chunksize = chunksize, .buffersize = buffersize}};

	return imap(pool, &call, options, ret_iter);
}
