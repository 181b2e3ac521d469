/* layer 2: singles, and the end of every job. */
#include "job.h"

#include "memory.h"
#include "multi.h"

#include <pthread.h>

#define FIRST_PAUSES 12          /* before a waiter looks again: a call takes its worker about as long */
#define NEXT_PAUSES 4
#define HEAD mpp_round_up(sizeof(struct mpp_job), MPP_ALIGN)

/* -------------------------------------------------------------------------------------------------------- outcomes */

static const int outcome_codes[] = {
	[MPP_OK] = 0,
	[MPP_OUT_ITER] = MPPOOL_EITER,
	[MPP_OUT_TERMINATED] = MPPOOL_ETERMINATED,
	[MPP_OUT_BROKEN] = MPPOOL_EBROKEN,
	[MPP_OUT_CANCELED] = ECANCELED,
	[MPP_OUT_TASK] = MPPOOL_ETASK,
};

int mpp_outcome_code(enum mpp_outcome outcome)
{
	return outcome_codes[outcome];
}

enum mpp_outcome mpp_outcome_of_unrun(int code)
{
	if (code == MPPOOL_ETERMINATED)
		return MPP_OUT_TERMINATED;
	return code == MPPOOL_EBROKEN ? MPP_OUT_BROKEN : MPP_OUT_CANCELED;
}

enum mpp_outcome mpp_job_outcome(const struct mpp_job *job)
{
	return (enum mpp_outcome)(mpp_load(&job->state) >> MPP_OUTCOME_SHIFT);
}

struct mpp_more *mpp_job_more(const struct mpp_job *job)
{
	return job->flags & MPP_HAS_MORE ? job->u.more : NULL;
}

static struct mpp_failure **failure_of(struct mpp_job *job)
{
	return job->flags & MPP_HAS_MORE ? &job->u.more->failure : &job->u.failure;
}

static const struct mppool_error *error_of(const struct mpp_job *job, enum mpp_outcome outcome)
{
	static const struct mppool_error terminated = {MPPOOL_ETERMINATED, 0, 0,
	                                               "The pool was terminated before the task ran"};
	static const struct mppool_error broken = {MPPOOL_EBROKEN, 0, 0, "An initializer failed"};
	static const struct mppool_error canceled = {ECANCELED, 0, 0, "Cancelled"};
	const struct mpp_more *more = mpp_job_more(job);
	const struct mpp_failure *failure = more ? more->failure : job->u.failure;

	switch (outcome) {
	case MPP_OK:
		return NULL;
	case MPP_OUT_TERMINATED:
		return &terminated;
	case MPP_OUT_CANCELED:
		return &canceled;
	case MPP_OUT_BROKEN:
		return failure ? &failure->error : &broken;
	default:
		return &failure->error;
	}
}

const struct mppool_error *mpp_job_error(const struct mpp_job *job)
{
	return error_of(job, mpp_job_outcome(job));
}

/* ----------------------------------------------------------------------------------------------------------- hooks */

void mpp_hook_drop_args(struct mpp_job *job, const void *const args[])
{
	const struct mppool_func *f = &job->func->f;
	struct mpp_frame frame;

	if (mpp_likely(!f->drop_args))
		return;
	mpp_assert_unlocked();
	mpp_frame_push_hook(&frame, job->pool, job);
	f->drop_args(args, f->context);
	mpp_job_returned(job);
	mpp_frame_pop(&frame);
}

void mpp_hook_drop_result(struct mpp_job *job, void *result)
{
	const struct mppool_func *f = &job->func->f;
	struct mpp_frame frame;

	if (mpp_likely(!f->drop_result))
		return;
	mpp_assert_unlocked();
	mpp_frame_push_hook(&frame, job->pool, job);
	f->drop_result(result, f->context);
	mpp_job_returned(job);
	mpp_frame_pop(&frame);
}

/* Before the end and in a frame, or after it, when the pool may be gone. */
static void release(struct mpp_job *job, bool ended)
{
	const struct mppool_func *f = &job->func->f;
	struct mpp_frame frame;

	if (mpp_likely(!f->release))
		return;
	mpp_assert_unlocked();
	if (!ended)
		mpp_frame_push_hook(&frame, job->pool, job);
	f->release(f->context);
	if (!ended)
		mpp_frame_pop(&frame);
}

/* May drop_result still be called for this ended job? Then release, which is last, waits for the results to go. */
static bool keeps_droppable(const struct mpp_job *job, enum mpp_outcome outcome)
{
	if (!job->func->f.drop_result || job->func->f.result_size == 0)
		return false;
	if (job->kind == MPP_SINGLE)
		return outcome == MPP_OK;
	return mpp_multi_keeps_results(mpp_multi_of(job));
}

/* --------------------------------------------------------------------------------------------------------- singles */

static size_t single_size(const struct mpp_func *func)
{
	return HEAD + func->args_size + mpp_slot(func->f.result_size);
}

static char *single_args(const struct mpp_job *job)
{
	return (char *)(uintptr_t)job + HEAD;
}

void *mpp_single_result(const struct mpp_job *job)
{
	return single_args(job) + job->func->args_size;
}

struct mpp_job *mpp_single_new(mppool *pool, struct mpp_func *func, const void *const args[], struct mpp_more *more)
{
	struct mpp_job *job = mpp_block_alloc(single_size(func));
	char *to;

	if (!job)
		return NULL;
	job->func = func;
	job->pool = pool;
	job->u.failure = NULL;
	job->kind = MPP_SINGLE;
	job->flags = 0;
	job->priority = 0;
	job->generation = (uint8_t)mpp_fork_generation();
	mpp_poke(&job->state, MPP_QUEUED);
	if (more) {
		job->u.more = more;
		job->flags = MPP_HAS_MORE;
	}
	to = single_args(job);
	for (size_t i = 0; i < func->f.nargs; i++)
		if (func->f.arg_size[i] > 0)
			memcpy(to + func->offset[i], args[i], func->f.arg_size[i]);
	if (func->f.result_size > 0)
		memset(to + func->args_size, 0, func->f.result_size);
	return job;
}

static void single_args_vector(const struct mpp_job *job, const void *args[MPPOOL_MAX_ARGS])
{
	const char *from = single_args(job);

	for (size_t i = 0; i < job->func->f.nargs; i++)
		args[i] = from + job->func->offset[i];
}

static bool claim(struct mpp_job *job, uint32_t set, uint32_t clear)
{
	uint32_t state = mpp_peek(&job->state);

	while (!(state & MPP_CLAIMED))
		if (mpp_cas(&job->state, &state, (state | MPP_CLAIMED | set) & ~clear)) {
			if (mpp_unlikely(job->flags & MPP_LIMITED))
				mpp_pool_started(job->pool);
			return true;
		}
	return false;
}

bool mpp_single_claim(struct mpp_job *job, bool popped)
{
	if (mpp_likely(claim(job, 0, popped ? MPP_QUEUED : 0)))
		return true;
	if (popped) {
		if (mpp_peek(&job->state) & MPP_CANCELLED)
			mpp_pool_count_unrun(job->pool, ECANCELED, 1);
		mpp_job_dequeue(job);
	}
	return false;
}

static int call_single(const struct mpp_job *job, const void *const args[])
{
	const struct mppool_func *f = &job->func->f;
	struct mppool_column columns[MPPOOL_MAX_ARGS];
	size_t failed = SIZE_MAX;
	struct mppool_chunk chunk = {sizeof chunk, 0, 1, columns, mpp_single_result(job), f->result_size, &failed};

	if (f->call)
		return f->call(args, f->result_size ? mpp_single_result(job) : NULL, f->context);
	for (size_t i = 0; i < f->nargs; i++)
		columns[i] = (struct mppool_column){args[i], f->arg_size[i], f->arg_size[i]};
	if (f->result_size == 0)
		chunk.results = NULL;
	return f->chunk_call(&chunk, f->context);
}

void mpp_single_unclaim(struct mpp_job *job)
{
	uint32_t state = mpp_load(&job->state);

	if (job->flags & MPP_LIMITED)
		mpp_pool_waits_again(job->pool);
	while (!mpp_cas(&job->state, &state, (state & ~MPP_CLAIMED) | MPP_QUEUED))
		;
}

/* The item has its outcome: its arguments are dropped, and the job goes on to its end. */
static void single_ended(struct mpp_job *job, enum mpp_outcome outcome, int code, int status, const char *message)
{
	struct mpp_more *more = mpp_job_more(job);
	const void *args[MPPOOL_MAX_ARGS];

	if (outcome != MPP_OK && job->func->f.result_size > 0)
		memset(mpp_single_result(job), 0, job->func->f.result_size);
	if (outcome == MPP_OUT_TASK)
		*failure_of(job) = mpp_failure_of_lost(code, status, 0, message);
	if (more && more->codes)
		more->codes[0] = code;
	if (job->func->f.drop_args) {
		single_args_vector(job, args);
		mpp_hook_drop_args(job, args);
	}
	mpp_job_complete(job, outcome);
}

struct single_run {
	struct mpp_job *job;
	struct mpp_frame *frame;
	struct mpp_trace_span span;
	int code;                        /* of an item that ran elsewhere, */
	bool late, killed;               /* and how it ended: struct mpp_item_end */
};

static void single_returned(struct single_run *run, int code)
{
	struct mpp_job *job = run->job;
	struct mpp_frame *frame = run->frame;

	mpp_job_returned(job);
	MPP_PROBE_END(job->pool, job, &job->func->f, 0, 1);
	mpp_trace_end(frame->row, &run->span, MPP_TRACE_TASK, job->func, 0, 1);
	frame->role = MPP_IDLE;
	frame->job = NULL;
	frame->stop = NULL;
	if (mpp_unlikely(frame->deadline != MPP_NEVER)) {
		if (mpp_now() > frame->deadline) {
			if (code == 0 && job->func->f.result_size > 0)
				mpp_hook_drop_result(job, mpp_single_result(job));       /* it came too late */
			code = ETIMEDOUT;
		}
		frame->deadline = MPP_NEVER;
	}
	if (run->late && job->func->f.result_size > 0)
		mpp_hook_drop_result(job, mpp_single_result(job));
	mpp_tally_add(code ? &frame->tally->failed : &frame->tally->done, 1);
	mpp_tally_end(frame->tally);
	single_ended(job, run->killed ? mpp_outcome_of_unrun(code) : code ? MPP_OUT_TASK : MPP_OK, code, frame->status,
	             code ? mpp_frame_message(frame, code) : NULL);
}

static void ended_elsewhere(void *arg, size_t i, const struct mpp_item_end *end)
{
	struct single_run *run = arg;
	const struct mpp_job *job = run->job;

	(void)i;
	if (end->result)
		memcpy(mpp_single_result(job), end->result, job->func->f.result_size);
	run->code = end->code;
	run->late = end->late;
	run->killed = end->killed;
	mpp_frame_leave(run->frame, end->code, end->status, end->message);
}

/* How many items ended: one, or none. */
static size_t run_elsewhere(struct single_run *run, const void *const args[], int64_t task_timeout)
{
	const struct mppool_func *f = &run->job->func->f;
	struct mpp_remote *remote = run->frame->remote;
	struct mppool_column columns[MPPOOL_MAX_ARGS];
	struct mpp_parcel parcel = {.func = run->job->func,
	                            .count = 1,
	                            .columns = columns,
	                            .result_stride = f->result_size,
	                            .by_chunk = !f->call,
	                            .task_timeout = task_timeout,
	                            .ended = ended_elsewhere,
	                            .arg = run};

	for (size_t i = 0; i < f->nargs; i++)
		columns[i] = (struct mppool_column){args[i], f->arg_size[i], f->arg_size[i]};
	return remote->ops->run(remote, &parcel, run->frame);
}

/* The task left its thread: pthread_exit, or a cancellation point. The frames above it are gone. */
static void single_lost(void *arg)
{
	struct single_run *run = arg;

	mpp_frame_top = run->frame;
	run->frame->deadline = MPP_NEVER;
	single_returned(run, MPPOOL_ELOST);
}

bool mpp_single_run(struct mpp_job *job, struct mpp_frame *frame)
{
	const struct mpp_more *more = mpp_job_more(job);
	const void *args[MPPOOL_MAX_ARGS];
	struct single_run run;
	size_t ended = 1;

	frame->role = MPP_TASK;
	frame->job = job;
	frame->stop = &job->state;
	mpp_frame_next(frame, 0);
	if (mpp_unlikely(more && more->task_timeout > 0) && !frame->remote)
		frame->deadline = mpp_now() + more->task_timeout;
	single_args_vector(job, args);
	mpp_tally_begin(frame->tally);
	mpp_assert_unlocked();
	run.job = job;
	run.frame = frame;
	run.late = run.killed = false;
	MPP_PROBE_START(job->pool, job, &job->func->f, 0, 1);
	mpp_trace_begin(frame->row, &run.span);
	pthread_cleanup_push(single_lost, &run);
	if (mpp_likely(!frame->remote))
		run.code = call_single(job, args);
	else
		ended = run_elsewhere(&run, args, more ? more->task_timeout : 0);
	pthread_cleanup_pop(0);
	if (mpp_unlikely(ended == 0)) {
		frame->role = MPP_IDLE;
		frame->job = NULL;
		frame->stop = NULL;
		mpp_tally_end(frame->tally);
		return false;
	}
	single_returned(&run, run.code);
	return true;
}

static void discard(struct mpp_job *job, int code)
{
	single_ended(job, mpp_outcome_of_unrun(code), code, 0, NULL);
}

bool mpp_single_cancel(struct mpp_job *job)
{
	if (!claim(job, MPP_CANCELLED, 0))
		return false;
	discard(job, ECANCELED);
	return true;
}

void mpp_single_discard_popped(struct mpp_job *job, int code)
{
	if (!mpp_single_claim(job, true))
		return;
	mpp_pool_count_unrun(job->pool, code, 1);
	discard(job, code);
}

/* --------------------------------------------------------------------------------------------------------- the end */

void mpp_job_complete(struct mpp_job *job, enum mpp_outcome outcome)
{
	struct mpp_more *more = mpp_job_more(job);

	if (mpp_unlikely(outcome == MPP_OUT_BROKEN) && !*failure_of(job)) {
		const struct mppool_error *why = mpp_pool_broken_error(job->pool);

		*failure_of(job) = mpp_failure_new(why->code, why->index, why->message);
	}
	if (more && (outcome == MPP_OK ? more->callback != NULL : more->error_callback != NULL)) {
		more->outcome = outcome;
		mpp_pool_callback_due(job->pool, job);
	} else {
		mpp_job_end(job, outcome);
	}
}

void mpp_job_callback(struct mpp_job *job)
{
	const struct mpp_more *more = mpp_job_more(job);

	mpp_assert_unlocked();
	if (more->outcome != MPP_OK)
		more->error_callback(error_of(job, more->outcome), more->userdata);
	else if (job->kind == MPP_SINGLE)
		more->callback(job->func->f.result_size ? mpp_single_result(job) : NULL, 1, more->userdata);
	else
		more->callback(mpp_multi_of(job)->results, mpp_multi_length(mpp_multi_of(job)), more->userdata);
}

bool mpp_job_due(struct mpp_job *job, bool ready)
{
	uint32_t ended = MPP_ENDED | (uint32_t)mpp_job_more(job)->outcome << MPP_OUTCOME_SHIFT;

	return mpp_or(&job->state, ready ? MPP_DUE | ended : MPP_DUE) & MPP_PARKED && ready;
}

static bool is_over(uint32_t state)
{
	return (state & (MPP_ENDED | MPP_DUE)) == MPP_ENDED;
}

static void free_memory(struct mpp_job *job)
{
	struct mpp_func *func = job->func;

	if (*failure_of(job))
		mpp_failure_free(*failure_of(job));
	if (job->kind != MPP_SINGLE) {
		mpp_multi_free(mpp_multi_of(job));
	} else {
		if (mpp_job_more(job))
			mpp_free(job->u.more);
		mpp_block_free(job, single_size(func));
	}
	mpp_func_put(func);
}

/* The user's handle is gone, or about to go: results that nobody took are dropped, by whoever comes second, the job's
 * being over or the detaching. In between nobody else touches them. */
static void drop_untaken(struct mpp_job *job, enum mpp_outcome outcome, bool ended)
{
	const struct mppool_func *f = &job->func->f;

	if (!keeps_droppable(job, outcome) || mpp_load(&job->state) & MPP_TAKEN)
		return;
	mpp_assert_unlocked();
	if (job->kind == MPP_SINGLE)
		f->drop_result(mpp_single_result(job), f->context);
	else
		mpp_multi_drop_results(mpp_multi_of(job));
	release(job, ended);
}

void mpp_job_taken(struct mpp_job *job)
{
	uint32_t before;

	if (!keeps_droppable(job, mpp_job_outcome(job)))
		return;
	before = mpp_or(&job->state, MPP_TAKEN);
	if (!(before & MPP_TAKEN) && is_over(before))
		release(job, true);      /* else the callback comes first, and settle() sees to it */
}

void mpp_job_refuse(struct mpp_job *job)
{
	free_memory(job);
}

void mpp_job_abandon_handle(struct mpp_job *job)
{
	if (mpp_load(&job->state) & MPP_WATCHED)
		mpp_watch_forget(job);
	if (!(mpp_or(&job->state, MPP_DETACHED) & (MPP_QUEUED | MPP_DUE)))
		free_memory(job);
}

static void abandon(struct mpp_job *job, uint32_t reference)
{
	uint32_t left = mpp_and(&job->state, ~reference) & ~reference;

	if ((left & (MPP_DETACHED | MPP_QUEUED | MPP_DUE)) == MPP_DETACHED)
		free_memory(job);
}

void mpp_job_abandon_queued(struct mpp_job *job)
{
	abandon(job, MPP_QUEUED);
}

void mpp_job_abandon_due(struct mpp_job *job)
{
	abandon(job, MPP_DUE);
}

void mpp_job_tell(struct mpp_job *job, enum mpp_outcome outcome)
{
	mpp_watch_lock(job);
	mpp_watch_tell_all_locked(job, outcome == MPP_OK);
}

static uint32_t over(uint32_t state, enum mpp_outcome outcome)
{
	return (state & ~MPP_DUE) | MPP_ENDED | (uint32_t)outcome << MPP_OUTCOME_SHIFT;
}

/* Nobody frees the handle before the lock is released. If somebody had done so before it was taken, the watches were
 * gone; then nothing was told, and the state that was not expected is the caller's business. */
static bool end_watched(struct mpp_job *job, uint32_t *state, enum mpp_outcome outcome)
{
	bool ended;

	mpp_job_tell(job, outcome);
	do
		ended = mpp_cas(&job->state, state, over(*state, outcome));
	while (!ended && !(*state & MPP_DETACHED));
	mpp_watch_unlock(job);
	return ended;
}

/* One try at the step from *state to being over, or as many as it takes. On failure *state is what was found. */
static bool try_end(struct mpp_job *job, uint32_t *state, enum mpp_outcome outcome)
{
	if (mpp_unlikely((*state & (MPP_WATCHED | MPP_ENDED)) == MPP_WATCHED))
		return end_watched(job, state, outcome);
	return mpp_cas(&job->state, state, over(*state, outcome));
}

/* The last hooks that the job itself sees to, then it is over. Returns the state that it had before. */
static uint32_t settle(struct mpp_job *job, enum mpp_outcome outcome)
{
	bool droppable = keeps_droppable(job, outcome), settled = false;
	uint32_t state = mpp_load(&job->state);

	if (!droppable)
		release(job, false);
	do
		if (droppable && !settled && state & (MPP_TAKEN | MPP_DETACHED)) {
			if (state & MPP_TAKEN)   /* before the callback */
				release(job, false);
			else
				drop_untaken(job, outcome, false);
			settled = true;
		}
	while (!try_end(job, &state, outcome));
	return state;
}

void mpp_job_end(struct mpp_job *job, enum mpp_outcome outcome)
{
	mppool *pool = job->pool;
	bool registered = job->flags & MPP_REGISTERED;
	bool generator = registered && mpp_job_has_generator(job);
	uint32_t state = settle(job, outcome);

	if (state & MPP_PARKED)
		mpp_wake_all(&job->state);
	if ((state & (MPP_DETACHED | MPP_QUEUED)) == MPP_DETACHED)
		free_memory(job);
	if (registered)
		mpp_pool_unregister(pool, generator);
}

void mpp_job_called(struct mpp_job *job)
{
	uint32_t state = settle(job, mpp_job_outcome(job));

	if ((state & (MPP_DETACHED | MPP_QUEUED)) == MPP_DETACHED)
		free_memory(job);
}

/* W2. */
bool mpp_job_watch(struct mpp_job *job, struct mpp_watch *w)
{
	bool added;

	mpp_watch_lock(job);
	added = mpp_watch_add_locked(w);
	if (added) {
		uint32_t state = mpp_or(&job->state, MPP_WATCHED);

		if (state & MPP_ENDED)
			mpp_watch_tell_locked(w, state >> MPP_OUTCOME_SHIFT == MPP_OK);
	}
	mpp_watch_unlock(job);
	return added;
}

void mpp_job_detach(struct mpp_job *job)
{
	uint32_t state = mpp_load(&job->state);

	if (mpp_unlikely(state & MPP_WATCHED))
		mpp_watch_forget(job);
	while (!is_over(state))
		if (mpp_cas(&job->state, &state, state | MPP_DETACHED))
			return;
	drop_untaken(job, mpp_job_outcome(job), true);
	if (!(state & MPP_QUEUED) || !(mpp_or(&job->state, MPP_DETACHED) & MPP_QUEUED))
		free_memory(job);        /* ended, and nobody else has a reference: there is nobody to tell */
}

void mpp_job_dequeue(struct mpp_job *job)
{
	uint32_t state = mpp_and(&job->state, ~MPP_QUEUED);

	if (is_over(state) && state & MPP_DETACHED)
		free_memory(job);
}

/* Each look takes the line away from the worker that is about to write it: so the waiter looks once in a while. */
static void pause_between_looks(int pauses)
{
	for (int i = 0; i < pauses; i++)
		mpp_relax();
}

/* Predicate: MPP_ENDED. The sleeper first sets MPP_PARKED by a compare-and-swap on the very word that the end changes,
 * so the end either sees the bit and wakes, or came first and is seen. */
int mpp_job_wait(struct mpp_job *job, int64_t deadline)
{
	struct mpp_spin spin = {0, 0, false};
	bool timed_out = false, yielded = false;

	for (;;) {
		uint32_t state = mpp_load(&job->state);

		if (state & MPP_ENDED)
			return 0;
		if (timed_out || deadline == 0)
			return ETIMEDOUT;
		pause_between_looks(spin.started ? NEXT_PAUSES : FIRST_PAUSES);
		if (mpp_spin_more(&spin))
			continue;
		if (!yielded) {          /* the worker may wait for this CPU */
			yielded = true;
			mpp_yield();
			continue;
		}
		if (!(state & MPP_PARKED) && !mpp_cas(&job->state, &state, state | MPP_PARKED))
			continue;
		timed_out = mpp_park(&job->state, state | MPP_PARKED, deadline) == ETIMEDOUT;
	}
}
