/* layer 2: the list of all remotes. */
#include "carrier.h"

static struct mpp_lock lock = MPP_LOCK_INIT(MPP_RANK_REMOTE);
static struct mpp_remote *first;         /* the lock */

void mpp_remote_enlist(struct mpp_remote *remote)
{
	mpp_lock(&lock);
	remote->before = NULL;
	remote->after = first;
	if (first)
		first->before = remote;
	first = remote;
	mpp_unlock(&lock);
}

void mpp_remote_delist(struct mpp_remote *remote)
{
	mpp_lock(&lock);
	if (remote->before)
		remote->before->after = remote->after;
	else
		first = remote->after;
	if (remote->after)
		remote->after->before = remote->before;
	mpp_unlock(&lock);
}

void mpp_remotes_nudge(const mppool *pool)
{
	mpp_lock(&lock);
	for (struct mpp_remote *r = first; r; r = r->after)
		if (r->pool == pool)
			r->ops->nudge(r);
	mpp_unlock(&lock);
}

/* The threads of those that were listed are not here. */
void mpp_remotes_in_child(void)
{
	mpp_lock_init(&lock, MPP_RANK_REMOTE);
	first = NULL;
}
