/* layer 5: waiting for several results at once, of any pools: mppool_wait and mppool_as_completed. */
#include "wait.h"

#include "iter.h"
#include "memory.h"

/* --------------------------------------------------------------------------------------------------- making a group */

static int check_results(mppool_result *const results[], size_t n)
{
	if (!results || n == 0)
		return mpp_fail(EINVAL, "there are no results: results is NULL, or n is 0");
	for (size_t i = 0; i < n; i++)
		if (!results[i])
			return mpp_failf(EINVAL, "result %zu is NULL", i);
	for (size_t i = 0; i < n; i++)
		if (mpp_job_is_foreign(mpp_job_of(results[i])))
			return MPPOOL_EFORKED;
	return 0;
}

/* All that needs memory comes before the first watch is added. What had ended has no party: its pool may be gone. */
static int fill(struct mpp_group *g, mppool_result *const results[])
{
	for (size_t i = 0; i < g->n; i++) {
		struct mpp_watch *w = &g->watches[i];
		struct mpp_job *job = mpp_job_of(results[i]);

		w->job = job;
		w->group = g;
		if (mpp_load(&job->state) & MPP_ENDED)
			continue;
		w->party = mpp_group_party(g, job->pool);
		if (!w->party)
			return ENOMEM;
		w->party->pending++;
		mpp_watch_offer_locked(w);
	}
	return 0;
}

static int watch_all(struct mpp_group *g)
{
	for (size_t i = 0; i < g->n; i++)
		if (!mpp_job_watch(g->watches[i].job, &g->watches[i]))
			return mpp_failf(EINVAL, "result %zu is there twice", i);
	return 0;
}

/* On failure nothing is left of it. */
static int make(struct mpp_group *g, mppool_result *const results[], size_t n, int when)
{
	int error = mpp_group_init(g, n);

	if (error)
		return error;
	g->any = when == MPPOOL_FIRST_COMPLETED;
	g->any_failure = when == MPPOOL_FIRST_FAILED;
	g->generation = mpp_fork_generation();
	error = fill(g, results);
	if (!error)
		error = watch_all(g);
	if (error)
		mpp_group_fini(g);
	return error;
}

/* --------------------------------------------------------------------------------------------------------- helping */

/* W4: the group's lock is held. */
static bool claim_locked(struct mpp_job *job)
{
	if (job->kind == MPP_SINGLE)
		return mpp_single_claim(job, false);
	return mpp_multi_claimable(mpp_multi_of(job)) && mpp_multi_try_ref(mpp_multi_of(job));
}

/* What has nothing that could be claimed leaves the list, until it is stirred; the others take turns. So no more than
 * that is ever gone through twice. A single is claimed; of a multi there is a reference. */
static struct mpp_job *find_work(struct mpp_group *g, struct mpp_party *p)
{
	struct mpp_job *job = NULL;
	bool more = true;

	while (!job && more) {
		struct mpp_watch *w;

		mpp_group_lock(g);       /* held for one look at a time: those who tell of ends wait for it */
		w = mpp_watch_next_offer_locked(p);
		more = w != NULL;
		if (w && w->state == MPP_WATCH_PENDING && claim_locked(w->job)) {
			job = w->job;
			if (job->kind != MPP_SINGLE)
				mpp_watch_offer_locked(w);
		}
		mpp_group_unlock(g);
	}
	return job;
}

/* Runs something that this thread waits for. Who waits for all runs as much as it finds of a map, others a chunk. */
static bool help(struct mpp_group *g, int64_t deadline)
{
	struct mpp_job *job = NULL;

	for (struct mpp_party *p = g->parties; p && !job; p = p->next)
		if (mpp_wait_may_help(p->pool)) {
			job = mpp_wait_claim_newest(p->pool, g);
			if (!job)
				job = find_work(g, p);
		}
	if (!job)
		return false;
	if (job->kind == MPP_SINGLE)
		mpp_wait_run(job);
	else
		mpp_wait_visit(mpp_multi_of(job), g->any || g->any_failure ? 1 : SIZE_MAX, deadline);
	return true;
}

/* --------------------------------------------------------------------------------------------------------- waiting */

static bool is_watched(const struct mpp_job *job)
{
	return job && mpp_peek(&job->state) & MPP_WATCHED;
}

static bool seen_before(const struct mpp_frame *f)
{
	for (const struct mpp_frame *g = mpp_frame_top; g != f; g = g->up)
		if (g->job == f->job)
			return true;
	return false;
}

/* How many of the group cannot end while this thread waits: see mpp_wait_is_deadlock(). Found by the thread's frames,
 * which are few, not by a look at each result. */
static size_t count_stuck(const struct mpp_group *g)
{
	size_t stuck = 0;

	mpp_group_lock(g);
	for (const struct mpp_party *p = g->parties; p; p = p->next)
		if (mpp_frame_in_callback(p->pool))
			stuck += p->pending;
	mpp_group_unlock(g);
	for (const struct mpp_frame *f = mpp_frame_top; f; f = f->up)
		if (is_watched(f->job) && !mpp_frame_in_callback(f->pool) && !seen_before(f) &&
		    mpp_watch_has(f->job, g))
			stuck++;
	return stuck;
}

/* Where one is enough the others may bring it. */
static bool is_deadlock(const struct mpp_group *g)
{
	size_t stuck = count_stuck(g), pending;

	mpp_group_lock(g);
	pending = g->pending;
	mpp_group_unlock(g);
	return stuck > 0 && (!g->any || stuck >= pending);
}

static int sleep_for(struct mpp_group *g, uint32_t word, bool inside, int64_t deadline)
{
	struct mpp_trace_wait wait;
	int result;

	mpp_trace_wait(&wait, g->parties ? g->parties->pool : NULL);
	result = mpp_group_sleep(g, word, inside, deadline);
	mpp_trace_waited(&wait, MPP_TRACE_WAIT, NULL);
	return result;
}

/* Predicate: mpp_group_enough(), or, inside a pool, something to help with. `word` is read before both: whatever comes
 * afterwards changes it. */
static int await(struct mpp_group *g, int64_t deadline)
{
	bool inside = mpp_frame_top != NULL, timed_out = deadline == 0;
	struct mpp_spin spin = {0, 0, false};

	for (;;) {
		uint32_t word = mpp_load_seq(&g->signal);

		if (mpp_group_enough(g))
			return 0;
		if (timed_out)
			return ETIMEDOUT;
		timed_out = inside && deadline != MPP_NEVER && mpp_now() > deadline;
		if (timed_out || (inside && help(g, deadline)))
			continue;
		if (inside && is_deadlock(g) && mpp_load_seq(&g->signal) == word)
			return mpp_fail(EDEADLK, "a task or a callback would wait here for what it keeps from ending "
			                         "itself");
		while (mpp_load_seq(&g->signal) == word && mpp_spin_more(&spin))
			;
		timed_out = sleep_for(g, word, inside, deadline) == ETIMEDOUT;
	}
}

/* ----------------------------------------------------------------------------------------------------- mppool_wait */

static void free_group(void *arg)
{
	struct mpp_group *g = arg;

	mpp_group_fini(g);
	mpp_free(g);
}

static size_t count_ready(const struct mpp_group *g)
{
	size_t ready;

	mpp_group_lock(g);
	ready = g->ready;
	mpp_group_unlock(g);
	return ready;
}

/* Not on the stack: a child of a fork has the groups of threads that it does not have, and uses their stacks again. */
static int make_waited(mppool_result *const results[], size_t n, int when, struct mpp_group **ret_group)
{
	struct mpp_group *g = mpp_alloc(sizeof *g);
	int error = g ? make(g, results, n, when) : ENOMEM;

	if (error)
		mpp_free(g);
	else
		*ret_group = g;
	return error;
}

static int wait_for_some(mppool_result *const results[], size_t n, int when, double timeout, size_t *ret_ready)
{
	struct mpp_group *g = NULL;
	int64_t deadline;
	size_t ready;
	int error = check_results(results, n);

	if (error)
		return error;
	if (when < MPPOOL_FIRST_COMPLETED || when > MPPOOL_ALL_COMPLETED)
		return mpp_failf(EINVAL, "when is %d, and must be MPPOOL_FIRST_COMPLETED, MPPOOL_FIRST_FAILED or "
		                 "MPPOOL_ALL_COMPLETED", when);
	if (mpp_fail_timeout(timeout, &deadline) != 0)
		return EINVAL;
	error = make_waited(results, n, when, &g);
	if (error)
		return error;
	pthread_cleanup_push(free_group, g);
	error = await(g, deadline);
	pthread_cleanup_pop(0);
	ready = count_ready(g);
	free_group(g);           /* W3: past the locks of all that are ready */
	if (!error && ret_ready)
		*ret_ready = ready;
	return error;
}

MPP_PUBLIC int mppool_wait(mppool_result *const results[], size_t n, int when, double timeout, size_t *ret_ready)
{
	return mpp_report(wait_for_some(results, n, when, timeout, ret_ready));
}

/* --------------------------------------------------------------------------------------------- mppool_as_completed */

struct completed {
	struct mppool_iter iter;
	struct mpp_group group;
};

static struct mpp_group *group_of(mppool_iter *iter)
{
	return &mpp_container(iter, struct completed, iter)->group;
}

/* Those that were ready when the process was forked can be handed out in the child if nothing else would be missing. */
static bool is_foreign(const struct mpp_group *g)
{
	bool pending;

	mpp_group_lock(g);
	pending = g->pending > 0;
	mpp_group_unlock(g);
	return pending && g->generation != mpp_fork_generation();
}

static int next(mppool_iter *iter, void *ret_result, size_t *ret_index, int64_t deadline)
{
	struct mpp_group *g = group_of(iter);
	struct mpp_watch *w = NULL;
	int code, error = is_foreign(g) ? MPPOOL_EFORKED : 0;

	while (!error && (code = mpp_group_take(g, &w)) == EAGAIN)
		error = await(g, deadline);
	if (error || code)
		return error ? error : code;
	if (ret_result)
		memcpy(ret_result, &w->job, sizeof w->job);      /* the handle is the job */
	if (ret_index)
		*ret_index = (size_t)(w - g->watches);
	return 0;
}

static int cancel(mppool_iter *iter)
{
	struct mpp_group *g = group_of(iter);

	if (is_foreign(g))
		return MPPOOL_EFORKED;
	return mpp_group_cancel(g) ? 0 : EALREADY;
}

static void free_iter(mppool_iter *iter)
{
	struct completed *c = mpp_container(iter, struct completed, iter);

	mpp_group_fini(&c->group);
	mpp_free(c);
}

static int progress(mppool_iter *iter, size_t *ret_done, size_t *ret_total)
{
	struct mpp_group *g = group_of(iter);

	mpp_group_lock(g);
	*ret_total = g->n;
	*ret_done = g->n - g->pending;
	mpp_group_unlock(g);
	return 0;
}

static int fd(mppool_iter *iter, int *ret_fd)
{
	struct mpp_group *g = group_of(iter);

	return is_foreign(g) ? MPPOOL_EFORKED : mpp_group_bell(g, ret_fd);
}

const struct mpp_iter_kind mpp_iter_of_group = {next, cancel, free_iter, progress, fd};

static int as_completed(mppool_result *const results[], size_t n, mppool_iter **ret_iter)
{
	struct completed *c;
	int error = ret_iter ? check_results(results, n)
	                     : mpp_fail(EINVAL, "there is no place for the iterator: ret_iter is NULL");

	if (error)
		return error;
	c = mpp_alloc(sizeof *c);
	error = c ? make(&c->group, results, n, MPPOOL_FIRST_COMPLETED) : ENOMEM;
	if (error) {
		mpp_free(c);
		return error;
	}
	mpp_group_settle(&c->group);
	mpp_poke(&c->iter.bar, NULL);
	c->iter.kind = &mpp_iter_of_group;
	*ret_iter = &c->iter;
	return 0;
}

MPP_PUBLIC int mppool_as_completed(mppool_result *const results[], size_t n, mppool_iter **ret_iter)
{
	int error = as_completed(results, n, ret_iter);

	if (mpp_unlikely(error) && ret_iter)
		*ret_iter = NULL;        /* as imap does */
	return mpp_report(error);
}
