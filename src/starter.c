/* layer 0: the thread that starts others. */
#include "starter.h"

#include "list.h"
#include "memory.h"
#include "sync.h"
#include "thread.h"

#define STACK ((size_t)256 << 10)        /* for pthread_create() alone */

struct request {                         /* on its caller's stack */
	struct mpp_link link;                    /* the lock */
	int (*start)(void *arg);
	void *arg;
	int result;                              /* published by `done` */
	_Atomic uint32_t done;                   /* its caller sleeps while this is 0 */
};

struct mpp_starter {
	struct mpp_lock lock;
	struct mpp_list requests;                /* the lock: the oldest first */
	bool stop;                               /* the lock: no more will come */
	_Atomic uint32_t word;                   /* the starter sleeps on it; it changes under the lock with the two above */
	pthread_t thread;                        /* written by the thread itself, read once `ready` is 1 */
	_Atomic uint32_t ready;
	const char *name;                        /* the pool's; read before `ready` is 1 */
};

/* Predicate: a request, or stop. NULL: stop. */
static struct request *await_request(struct mpp_starter *s)
{
	struct request *r;

	mpp_lock(&s->lock);
	while ((r = mpp_entry(s->requests.first, struct request, link)) == NULL && !s->stop) {
		uint32_t word = mpp_peek(&s->word);

		mpp_unlock(&s->lock);
		mpp_park(&s->word, word, MPP_NEVER);
		mpp_lock(&s->lock);
	}
	if (r)
		mpp_list_remove(&s->requests, &r->link);
	mpp_unlock(&s->lock);
	return r;
}

static void *starter_main(void *arg)
{
	struct mpp_starter *s = arg;
	struct request *r;

	s->thread = pthread_self();
	mpp_thread_name(s->name, "-start");
	mpp_store(&s->ready, 1);
	mpp_wake_all(&s->ready);
	while ((r = await_request(s)) != NULL) {
		r->result = r->start(r->arg);
		mpp_store(&r->done, 1);          /* from here on the caller may have returned: only the address is used */
		mpp_wake_one(&r->done);
	}
	return NULL;
}

static int start(struct mpp_starter *s)
{
	struct mpp_thread_options options = {STACK, -1};
	int error = mpp_thread_start(&options, starter_main, s);

	if (error != EINVAL)
		return error;
	options.stack_size = 0;          /* the program's static thread-local storage takes more than that */
	return mpp_thread_start(&options, starter_main, s);
}

int mpp_starter_new(const char *name, struct mpp_starter **ret_starter)
{
	struct mpp_starter *s = mpp_zalloc(sizeof *s);
	int error;

	if (!s)
		return ENOMEM;
	mpp_lock_init(&s->lock, MPP_RANK_POOL);
	s->name = name;
	error = start(s);
	if (error)
		mpp_free(s);
	else
		*ret_starter = s;
	return error;
}

static void wake(struct mpp_starter *s)
{
	mpp_add(&s->word, 1);
	mpp_unlock(&s->lock);
	mpp_wake_one(&s->word);
}

int mpp_starter_call(struct mpp_starter *s, int (*start_function)(void *arg), void *arg)
{
	struct request r = {.start = start_function, .arg = arg};

	mpp_lock(&s->lock);
	mpp_list_append(&s->requests, &r.link);
	wake(s);
	while (mpp_load(&r.done) == 0)
		mpp_park(&r.done, 0, MPP_NEVER);
	return r.result;
}

void mpp_starter_free(struct mpp_starter *s)
{
	if (!s)
		return;
	while (mpp_load(&s->ready) == 0)
		mpp_park(&s->ready, 0, MPP_NEVER);
	mpp_lock(&s->lock);
	s->stop = true;
	wake(s);
	mpp_thread_join(s->thread);
	mpp_free(s);
}

void mpp_starter_abandon(struct mpp_starter *s)
{
	mpp_free(s);
}
