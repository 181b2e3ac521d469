/* layer 1: stoppers. */
#include "stop.h"

#include "event.h"
#include "fork.h"
#include "list.h"
#include "memory.h"
#include "thread.h"

struct mpp_stopper {
	struct mpp_link link;            /* the lock: in the list, while it is used */
	const struct mpp_job *job;       /* the lock: E2 */
	const mppool *pool;              /* the lock */
	struct mpp_event alarm;          /* the lock */
	struct mpp_stopper *next;        /* its own thread's, as is: */
	bool used;
	uint32_t generation;             /* of the process: a child has its parent's timer, and must leave it alone */
};

static struct mpp_lock lock = MPP_LOCK_INIT(MPP_RANK_STOP);
static struct mpp_list list;                     /* the lock */
static _Atomic size_t in_use;                    /* E1; the lock writes: how many are in the list */
static _Thread_local struct mpp_stopper *mine;   /* all stoppers of this thread */

static void unlist_locked(struct mpp_stopper *s)
{
	mpp_list_remove(&list, &s->link);
	mpp_sub(&in_use, 1);
}

static void give_back(struct mpp_stopper *s)
{
	mpp_lock(&lock);
	if (s->generation == mpp_fork_generation())      /* else the child began with an empty list */
		unlist_locked(s);
	mpp_unlock(&lock);
	s->used = false;
}

static void forget_all(void)
{
	struct mpp_stopper *s;

	while ((s = mine) != NULL) {
		mine = s->next;
		if (s->used)
			give_back(s);
		mpp_event_close(&s->alarm);
		mpp_free(s);
	}
}

static _Thread_local struct mpp_exit_hook exit_hook = {forget_all, NULL, false};

/* One of this thread's that no frame uses, a new one if need be. 0 or an errno value. */
static int get(struct mpp_stopper **ret_stopper)
{
	struct mpp_stopper *s = mine;
	int error;

	while (s && (s->used || s->generation != mpp_fork_generation()))
		s = s->next;
	*ret_stopper = s;
	if (s)
		return 0;
	s = mpp_zalloc(sizeof *s);
	if (!s)
		return ENOMEM;
	error = mpp_alarm_open(&s->alarm);
	if (error) {
		mpp_free(s);
		return error;
	}
	s->generation = mpp_fork_generation();
	mpp_at_thread_exit(&exit_hook);
	s->next = mine;
	*ret_stopper = mine = s;
	return 0;
}

int mpp_stop_open(struct mpp_frame *frame, int *ret_fd)
{
	struct mpp_stopper *s = frame->stopper;
	int error = s ? 0 : get(&s);

	if (error)
		return error;
	mpp_lock(&lock);
	if (!s->used) {
		mpp_list_append(&list, &s->link);
		mpp_add(&in_use, 1);
	}
	s->job = frame->job;
	s->pool = frame->pool;
	mpp_alarm_set(&s->alarm, frame->deadline);
	mpp_unlock(&lock);
	s->used = true;
	frame->stopper = s;
	*ret_fd = s->alarm.fd;
	return 0;
}

void mpp_stop_raise(struct mpp_frame *frame)
{
	mpp_lock(&lock);
	mpp_alarm_set(&frame->stopper->alarm, 0);
	mpp_unlock(&lock);
}

void mpp_stop_close(struct mpp_frame *frame)
{
	give_back(frame->stopper);
	frame->stopper = NULL;
}

static void tell(const struct mpp_job *job, const mppool *pool)
{
	if (mpp_likely(mpp_load_seq(&in_use) == 0))
		return;
	mpp_lock(&lock);
	for (struct mpp_link *l = list.first; l; l = l->next) {
		struct mpp_stopper *s = mpp_entry(l, struct mpp_stopper, link);

		if (job ? s->job == job : s->pool == pool)
			mpp_alarm_set(&s->alarm, 0);
	}
	mpp_unlock(&lock);
}

void mpp_stop_tell_job(const struct mpp_job *job)
{
	tell(job, NULL);
}

void mpp_stop_tell_pool(const mppool *pool)
{
	tell(NULL, pool);
}

/* Plain locks, not ranked ones, as for the other stores of the process. */
void mpp_stop_before_fork(void)
{
	mpp_lock_plain(&lock);
}

void mpp_stop_after_fork(void)
{
	mpp_unlock_plain(&lock);
}

void mpp_stop_in_child(void)
{
	list = (struct mpp_list){NULL, NULL};
	mpp_poke(&in_use, 0);
	mpp_unlock_plain(&lock);
}
