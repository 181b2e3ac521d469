/* layer 3: what waits for a worker, under the pool's lock. */
#include "runq.h"

#define LOOK 16          /* pushes between two looks at the takers' line while they are at work */

static int priority_of(const struct mpp_job *job)
{
	return job->priority + 1;
}

static void set_waiting_locked(struct mpp_runq *rq, uint32_t bit, bool set)
{
	const uint32_t before = mpp_peek(&rq->waiting), after = set ? before | bit : before & ~bit;

	if (after != before)
		mpp_store_seq(&rq->waiting, after);      /* read by a worker that is about to sleep: S in scheduler.c */
}

static void count_others_locked(struct mpp_runq *rq, size_t change)
{
	mpp_poke(&rq->others, mpp_peek(&rq->others) + change);
}

/* The head's line is in the hands of the takers: while they go on it is looked at once in a while. */
static void note_most_locked(struct mpp_runq *rq)
{
	size_t head;

	if (rq->skip-- > 0)
		return;
	head = mpp_peek(&rq->ring.head);
	rq->skip = head == rq->head_noted ? 0 : LOOK;
	rq->head_noted = head;
	rq->most = mpp_max(rq->most, mpp_runq_count(rq));
}

bool mpp_runq_push_locked(struct mpp_runq *rq, struct mpp_job *job)
{
	const int p = priority_of(job);
	bool awaited = false;
	size_t ticket;

	if (p == MPP_NORMAL && mpp_runq_reserve(rq, &ticket)) {
		awaited = mpp_ring_fill(&rq->ring, ticket, job);
		rq->moved++;
	} else {
		mpp_queue_push(&rq->calls[p], job);
		count_others_locked(rq, 1);
		set_waiting_locked(rq, MPP_BIT(p, MPP_CALLS), true);
	}
	note_most_locked(rq);
	return awaited;
}

/* From the queue of priority 0 to the ring, as many as there is room for. */
static void refill_ring_locked(struct mpp_runq *rq)
{
	struct mpp_queue *queue = &rq->calls[MPP_NORMAL];
	size_t ticket;

	while (queue->count > 0 && mpp_ring_reserve(&rq->ring, &ticket)) {
		mpp_ring_fill(&rq->ring, ticket, mpp_queue_pop(queue));
		count_others_locked(rq, (size_t)-1);
		rq->moved++;
	}
}

struct mpp_job *mpp_runq_pop_locked(struct mpp_runq *rq, int p)
{
	struct mpp_queue *queue = &rq->calls[p];
	struct mpp_job *job = p == MPP_NORMAL ? mpp_ring_pop(&rq->ring) : NULL;

	if (job || queue->count == 0)
		return job;
	job = mpp_queue_pop(queue);
	count_others_locked(rq, (size_t)-1);
	if (p == MPP_NORMAL)
		refill_ring_locked(rq);
	set_waiting_locked(rq, MPP_BIT(p, MPP_CALLS), queue->count > 0);
	return job;
}

static enum mpp_level level_of(const struct mpp_multi *m)
{
	return m->job.kind == MPP_STREAM ? MPP_STREAMS : MPP_ARRAYS;
}

static struct mpp_list *list_of(struct mpp_runq *rq, int p, enum mpp_level level)
{
	return &rq->batches[p][level - MPP_ARRAYS];
}

void mpp_runq_list_locked(struct mpp_runq *rq, struct mpp_multi *m)
{
	const int p = priority_of(&m->job);

	mpp_list_append(list_of(rq, p, level_of(m)), &m->open);
	m->begun = true;
	count_others_locked(rq, 1);
	mpp_store_seq(&m->listed, true);
	set_waiting_locked(rq, MPP_BIT(p, level_of(m)), true);
}

void mpp_runq_unlist_locked(struct mpp_runq *rq, struct mpp_multi *m)
{
	const int p = priority_of(&m->job);
	struct mpp_list *list = list_of(rq, p, level_of(m));

	mpp_list_remove(list, &m->open);
	m->begun = false;
	count_others_locked(rq, (size_t)-1);
	set_waiting_locked(rq, MPP_BIT(p, level_of(m)), list->first != NULL);
	mpp_store_seq(&m->listed, false);
}

struct mpp_multi *mpp_runq_first_locked(struct mpp_runq *rq, int p, enum mpp_level level)
{
	struct mpp_list *list = list_of(rq, p, level);
	struct mpp_multi *m = mpp_entry(list->first, struct mpp_multi, open);

	if (m && level == MPP_STREAMS) {         /* they take turns */
		mpp_list_remove(list, &m->open);
		mpp_list_append(list, &m->open);
	}
	return m;
}

void mpp_runq_finish_locked(struct mpp_runq *rq)
{
	mpp_ring_seal(&rq->ring);
	set_waiting_locked(rq, MPP_FINISHED, true);
}

void mpp_runq_fini(struct mpp_runq *rq)
{
	for (int p = 0; p < MPP_PRIORITIES; p++)
		mpp_queue_fini(&rq->calls[p]);
}
