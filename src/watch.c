/* layer 1: the table of watches, and what groups know of their jobs. */
#include "watch.h"

#include "memory.h"

#ifdef MPP_SCHEDULER
#define BUCKETS 1                /* what threads meet at a lock must not depend on addresses: schedules are repeated */
#else
#define BUCKETS 65536            /* a power of two; chains stay short with hundreds of thousands of results */
#endif
#define STRIPES 16               /* locks: bucket i has lock i % STRIPES */

struct stripe {
	alignas(MPP_LINE) struct mpp_lock lock;
};

#define FOUR(...) __VA_ARGS__, __VA_ARGS__, __VA_ARGS__, __VA_ARGS__
#define STRIPES_INIT(rank) {FOUR(FOUR({MPP_LOCK_INIT(rank)}))}

static struct stripe bucket_locks[STRIPES] = STRIPES_INIT(MPP_RANK_WATCH);
static struct stripe group_locks[STRIPES] = STRIPES_INIT(MPP_RANK_GROUP);
static struct mpp_watch *buckets[BUCKETS];

/* Addresses of blocks differ in the bits from a cache line's on. */
static size_t bucket_of(const void *address)
{
	return (size_t)((uint64_t)((uintptr_t)address / MPP_LINE) * UINT64_C(0x9e3779b97f4a7c15) >> 48) % BUCKETS;
}

static struct mpp_lock *lock_of(const struct mpp_job *job)
{
	return &bucket_locks[bucket_of(job) % STRIPES].lock;
}

static struct mpp_lock *lock_of_group(const struct mpp_group *g)
{
	return &group_locks[bucket_of(g) % STRIPES].lock;
}

void mpp_watch_lock(const struct mpp_job *job)
{
	mpp_lock(lock_of(job));
}

void mpp_watch_unlock(const struct mpp_job *job)
{
	mpp_unlock(lock_of(job));
}

void mpp_group_lock(const struct mpp_group *g)
{
	mpp_lock(lock_of_group(g));
}

void mpp_group_unlock(const struct mpp_group *g)
{
	mpp_unlock(lock_of_group(g));
}

/* --------------------------------------------------------------------------------------------------------- telling */

static bool enough_locked(const struct mpp_group *g)
{
	return g->pending == 0 || g->cancelled || (g->any && g->ready > 0) || (g->any_failure && g->failed > 0);
}

enum wake { NOBODY, ONE, EVERYBODY };

/* Those who sleep outside of pools wait for nothing but enough, and one result is for one of them. */
static enum wake signal_locked(struct mpp_group *g, enum wake wake)
{
	mpp_add(&g->signal, 1);
	mpp_event_set(&g->bell, true);
	if (g->sleepers == 0)
		return NOBODY;
	return g->insiders > 0 ? EVERYBODY : wake;
}

/* Of a group that cannot go away: the bucket's lock keeps its maker from leaving, or the caller is one who uses it. */
static void wake_up(struct mpp_group *g, enum wake wake)
{
	if (wake == ONE)
		mpp_wake_one(&g->signal);
	else if (wake == EVERYBODY)
		mpp_wake_all(&g->signal);
}

static void no_longer_pending_locked(struct mpp_watch *w)
{
	w->group->pending--;
	if (w->party)
		w->party->pending--;
}

static void append_locked(struct mpp_group *g, struct mpp_watch *w)
{
	w->next_ready = NULL;
	if (g->last)
		g->last->next_ready = w;
	else
		g->first = w;
	g->last = w;
}

static enum wake ready_locked(struct mpp_watch *w, bool successful)
{
	struct mpp_group *g = w->group;

	no_longer_pending_locked(w);
	if (g->cancelled) {
		w->state = MPP_WATCH_GONE;       /* comes too late to be handed out */
		return NOBODY;
	}
	w->state = MPP_WATCH_READY;
	append_locked(g, w);
	g->ready++;
	g->failed += !successful;
	return enough_locked(g) ? signal_locked(g, ONE) : NOBODY;
}

void mpp_watch_tell_locked(struct mpp_watch *w, bool successful)
{
	struct mpp_group *g = w->group;
	enum wake wake;

	mpp_group_lock(g);
	wake = ready_locked(w, successful);
	mpp_group_unlock(g);
	wake_up(g, wake);
}

void mpp_watch_tell_all_locked(const struct mpp_job *job, bool successful)
{
	for (struct mpp_watch *w = buckets[bucket_of(job)]; w; w = w->next)
		if (w->job == job)
			mpp_watch_tell_locked(w, successful);
}

static void left(struct mpp_watch *w)
{
	struct mpp_group *g = w->group;
	enum wake wake;

	mpp_group_lock(g);
	if (w->state == MPP_WATCH_PENDING)
		no_longer_pending_locked(w);
	else if (w->state == MPP_WATCH_READY)
		g->ready--;
	w->state = MPP_WATCH_GONE;
	wake = signal_locked(g, EVERYBODY);
	mpp_group_unlock(g);
	wake_up(g, wake);
}

void mpp_watch_offer_locked(struct mpp_watch *w)
{
	struct mpp_party *p = w->party;

	if (w->offered)
		return;
	w->offered = true;
	w->next_help = NULL;
	if (p->help_last)
		p->help_last->next_help = w;
	else
		p->help_first = w;
	p->help_last = w;
}

struct mpp_watch *mpp_watch_next_offer_locked(struct mpp_party *p)
{
	struct mpp_watch *w = p->help_first;

	if (!w)
		return NULL;
	p->help_first = w->next_help;
	if (!p->help_first)
		p->help_last = NULL;
	w->offered = false;
	return w;
}

static enum wake stir_locked(struct mpp_watch *w)
{
	if (w->state != MPP_WATCH_PENDING)
		return NOBODY;
	mpp_watch_offer_locked(w);
	return signal_locked(w->group, NOBODY);
}

void mpp_watch_stir(const struct mpp_job *job)
{
	mpp_watch_lock(job);
	for (struct mpp_watch *w = buckets[bucket_of(job)]; w; w = w->next) {
		enum wake wake;

		if (w->job != job)
			continue;
		mpp_group_lock(w->group);
		wake = stir_locked(w);
		mpp_group_unlock(w->group);
		wake_up(w->group, wake);
	}
	mpp_watch_unlock(job);
}

/* ------------------------------------------------------------------------------------------------------- the table */

static struct mpp_watch *find_locked(const struct mpp_job *job, const struct mpp_group *g)
{
	struct mpp_watch *w = buckets[bucket_of(job)];

	while (w && (w->job != job || w->group != g))
		w = w->next;
	return w;
}

bool mpp_watch_has(const struct mpp_job *job, const struct mpp_group *g)
{
	bool has;

	mpp_watch_lock(job);
	has = find_locked(job, g) != NULL;
	mpp_watch_unlock(job);
	return has;
}

bool mpp_watch_add_locked(struct mpp_watch *w)
{
	struct mpp_watch **link = &buckets[bucket_of(w->job)];

	if (find_locked(w->job, w->group))
		return false;
	w->next = *link;
	w->link = link;
	if (w->next)
		w->next->link = &w->next;
	*link = w;
	return true;
}

static void unlink_locked(struct mpp_watch *w)
{
	*w->link = w->next;
	if (w->next)
		w->next->link = w->link;
	w->link = NULL;
}

bool mpp_watch_remove(struct mpp_watch *w)
{
	bool was;

	mpp_watch_lock(w->job);
	was = w->link != NULL;
	if (was)
		unlink_locked(w);
	mpp_watch_unlock(w->job);
	return was;
}

void mpp_watch_forget(const struct mpp_job *job)
{
	struct mpp_watch *w, *next;

	mpp_watch_lock(job);
	for (w = buckets[bucket_of(job)]; w; w = next) {
		next = w->next;
		if (w->job != job)
			continue;
		unlink_locked(w);
		left(w);
	}
	mpp_watch_unlock(job);
}

/* ---------------------------------------------------------------------------------------------------------- groups */

int mpp_group_init(struct mpp_group *g, size_t n)
{
	memset(g, 0, sizeof *g);
	g->watches = mpp_zalloc(mpp_mul_overflows(n, sizeof g->watches[0]) ? SIZE_MAX : n * sizeof g->watches[0]);
	if (!g->watches)
		return ENOMEM;
	g->n = n;
	g->pending = n;
	g->bell = (struct mpp_event)MPP_EVENT_INIT;
	return 0;
}

void mpp_group_fini(struct mpp_group *g)
{
	struct mpp_party *p;

	for (size_t i = 0; i < g->n; i++)
		if (g->watches[i].job)
			mpp_watch_remove(&g->watches[i]);
	while ((p = g->parties) != NULL) {
		g->parties = p->next;
		mpp_free(p);
	}
	mpp_event_close(&g->bell);
	mpp_free(g->watches);
}

struct mpp_party *mpp_group_party(struct mpp_group *g, mppool *pool)
{
	struct mpp_party *p = g->parties;

	while (p && p->pool != pool)
		p = p->next;
	if (p)
		return p;
	p = mpp_zalloc(sizeof *p);
	if (!p)
		return NULL;
	p->pool = pool;
	p->next = g->parties;
	g->parties = p;
	return p;
}

/* Takes all off the queue; nobody else does so yet. */
static void cut_queue(struct mpp_group *g)
{
	struct mpp_watch *w;

	mpp_group_lock(g);
	w = g->first;
	g->first = g->last = NULL;
	mpp_group_unlock(g);
	for (; w; w = w->next_ready)
		w->early = true;
}

void mpp_group_settle(struct mpp_group *g)
{
	struct mpp_watch *first = NULL, *last = NULL;

	cut_queue(g);
	for (size_t i = g->n; i-- > 0;) {
		struct mpp_watch *w = &g->watches[i];

		if (!w->early)
			continue;
		w->next_ready = first;
		first = w;
		if (!last)
			last = w;
	}
	if (!first)
		return;
	mpp_group_lock(g);
	last->next_ready = g->first;
	g->first = first;
	if (!g->last)
		g->last = last;
	mpp_group_unlock(g);
}

bool mpp_group_enough(const struct mpp_group *g)
{
	bool enough;

	mpp_group_lock(g);
	enough = enough_locked(g);
	mpp_group_unlock(g);
	return enough;
}

/* Predicate: the signal, looked at before whatever led to the decision to sleep, has changed. It changes under the lock
 * under which the sleeper is counted. */
int mpp_group_sleep(struct mpp_group *g, uint32_t word, bool inside, int64_t deadline)
{
	bool sleeps;
	int error = 0;

	mpp_group_lock(g);
	sleeps = mpp_peek(&g->signal) == word;
	g->sleepers += sleeps;
	g->insiders += sleeps && inside;
	mpp_group_unlock(g);
	if (!sleeps)
		return 0;
	error = mpp_park(&g->signal, word, deadline);
	mpp_group_lock(g);
	g->sleepers--;
	g->insiders -= inside;
	mpp_group_unlock(g);
	return error;
}

static struct mpp_watch *pop_locked(struct mpp_group *g)
{
	struct mpp_watch *w;

	do {
		w = g->first;
		if (!w)
			return NULL;
		g->first = w->next_ready;
		if (!g->first)
			g->last = NULL;
	} while (w->state == MPP_WATCH_GONE);
	w->state = MPP_WATCH_TAKEN;
	g->ready--;
	return w;
}

/* Nothing is ready. */
static int empty_locked(struct mpp_group *g)
{
	if (g->pending > 0 && !g->cancelled)
		return EAGAIN;
	if (g->told || !g->cancelled)
		return MPPOOL_ESTOP;
	g->told = true;
	return ECANCELED;
}

int mpp_group_take(struct mpp_group *g, struct mpp_watch **ret_watch)
{
	enum wake wake = NOBODY;
	struct mpp_watch *w;
	int code;

	do {
		mpp_group_lock(g);
		w = pop_locked(g);
		code = w ? 0 : empty_locked(g);
		if (code == EAGAIN)
			mpp_event_set(&g->bell, false);
		if (w && g->ready == 0 && enough_locked(g))
			wake = signal_locked(g, EVERYBODY);      /* that was the last: the others wait in vain */
		mpp_group_unlock(g);
		wake_up(g, wake);
	} while (w && !mpp_watch_remove(w));     /* freed at the last moment: not handed out */
	*ret_watch = w;
	return code;
}

int mpp_group_bell(struct mpp_group *g, int *ret_fd)
{
	int error = 0;

	mpp_group_lock(g);
	if (!mpp_event_is_open(&g->bell)) {
		error = mpp_event_open(&g->bell);
		mpp_event_set(&g->bell, true);   /* whoever looks first lowers it */
	}
	if (!error)
		*ret_fd = g->bell.fd;
	mpp_group_unlock(g);
	return error;
}

bool mpp_group_cancel(struct mpp_group *g)
{
	enum wake wake = NOBODY;
	bool first;

	mpp_group_lock(g);
	first = g->pending > 0 && !g->cancelled;
	if (first) {
		g->cancelled = true;
		wake = signal_locked(g, EVERYBODY);
	}
	mpp_group_unlock(g);
	wake_up(g, wake);
	return first;
}

/* ------------------------------------------------------------------------------------------------------------ fork */

/* Plain locks, not ranked ones: all of them at once, always in the same order. */
void mpp_watch_before_fork(void)
{
	for (size_t i = 0; i < STRIPES; i++)
		mpp_lock_plain(&bucket_locks[i].lock);
	for (size_t i = 0; i < STRIPES; i++)
		mpp_lock_plain(&group_locks[i].lock);
}

void mpp_watch_after_fork(void)
{
	for (size_t i = 0; i < STRIPES; i++)
		mpp_unlock_plain(&group_locks[i].lock);
	for (size_t i = 0; i < STRIPES; i++)
		mpp_unlock_plain(&bucket_locks[i].lock);
}
