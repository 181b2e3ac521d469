/* layer 3: worker processes, as the program sees them: the carrier for MPPOOL_PROCESSES.
 *
 * DESIGN. A pool has a fork server (forkserver.h), a *keeper* thread, which hears from it what was started and what died,
 * and a remote for each worker's thread, with a slot of shared memory (parcel.h). A remote's thread alone sends parcels,
 * starts and stops its process. The keeper writes down what it hears in the remote, then rings the bell of the slot,
 * where the thread waits for its process, too.
 *
 *   K1  `life` is stored by the thread before it asks for a start, then by the keeper. Once it says DEAD all stores of
 *       the process are visible, for waitpid() came before, and the thread owns the slot alone.
 *   K2  No innocent item is killed. Before it asks for that the thread takes back all that has not begun, and looks
 *       whether the item still runs; so none begins while the signal is on its way. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "arena.h"
#include "forkserver.h"
#include "job.h"
#include "memory.h"
#include "parcel.h"
#include "modules.h"
#include "process.h"
#include "thread.h"

#include <stdio.h>

#ifdef MPP_SHARED_PARK

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#define BARREN_MOST 100          /* processes of a worker that died one after the other without ending an item */

enum life { NOTHING, STARTING, ALIVE, DEAD, REFUSED };

struct process {
	struct mpp_remote remote;
	struct carried *pool;
	size_t index;
	struct mpp_parcel_end end;
	_Atomic uint32_t life;                   /* K1 */
	_Atomic int status;                      /* published by life: of DEAD as waitpid() tells, of REFUSED an errno value */
	_Atomic uint64_t pid;                    /* 0: none */
	bool killed;                             /* the thread: it has asked for that */
	unsigned barren;                         /* the thread: parcels since an item last ended */
	void *block;                             /* the thread: what does not fit into a slot; NULL */
	size_t block_size;
	size_t batch;                            /* the thread: items to hand over at once */
	char message[MPP_SLOT_MESSAGES + 1];     /* the thread: the newest one, copied */
};

struct carried {
	mppool *pool;
	void (*lost)(mppool *pool);
	int fd;
	int64_t kill_after;                      /* nanoseconds; MPP_NEVER */
	struct mpp_server_plan *plan;
	struct mpp_modules *modules;             /* constant: what was loaded when the workers' memory was made */
	pthread_t keeper;                        /* published by keeper_runs */
	_Atomic uint32_t keeper_runs;            /* predicate of close: it is 1 */
	struct mpp_lock lock;                    /* guards processes, nprocesses and room */
	struct process **processes;              /* by index; NULL: none */
	size_t nprocesses;
	_Atomic bool gone;                       /* the server is: the keeper writes */
	_Atomic bool closing;
};

static struct process *process_of(struct mpp_remote *remote)
{
	return mpp_container(remote, struct process, remote);
}

/* ---------------------------------------------------------------------------------------------------------- the keeper */

static struct process *process_at(struct carried *c, size_t index)
{
	struct process *p;

	mpp_lock(&c->lock);
	p = index < c->nprocesses ? c->processes[index] : NULL;
	mpp_unlock(&c->lock);
	return p;
}

static void has_died(struct process *p, int status)
{
	mpp_poke(&p->status, status);
	mpp_poke(&p->pid, 0);
	mpp_store(&p->life, DEAD);
	mpp_slot_nudge(p->end.slot);
}

/* A remote that is detached has no process, so none is heard of. */
static void note(struct carried *c, const struct mpp_server_message *m)
{
	struct process *p = process_at(c, m->index);

	if (!p)
		return;
	if (m->what == MPP_SERVER_FORKED) {
		mpp_poke(&p->pid, (uint64_t)m->value);
		mpp_store(&p->life, ALIVE);
		mpp_slot_nudge(p->end.slot);
	} else if (m->what == MPP_SERVER_REFUSED) {
		mpp_poke(&p->status, m->value);
		mpp_store(&p->life, REFUSED);
		mpp_slot_nudge(p->end.slot);
	} else if (m->what == MPP_SERVER_DIED) {
		has_died(p, m->value);
	}
}

/* Without a server nothing is left of the processes: they went with it. A thread that asks for a start later stores its
 * life first, then looks at `gone`; here it is the other way round. */
static void server_gone(struct carried *c)
{
	mpp_store_seq(&c->gone, true);
	mpp_lock(&c->lock);
	for (size_t i = 0; i < c->nprocesses; i++) {
		struct process *p = c->processes[i];
		uint32_t life = p ? mpp_load_seq(&p->life) : NOTHING;

		if (life == ALIVE || life == STARTING)
			has_died(p, SIGKILL);
	}
	mpp_unlock(&c->lock);
	if (!mpp_load(&c->closing))
		c->lost(c->pool);
}

static void *keeper_main(void *arg)
{
	struct carried *c = arg;
	struct mpp_server_message m;

	c->keeper = pthread_self();
	mpp_store(&c->keeper_runs, 1);
	mpp_wake_all(&c->keeper_runs);
	mpp_thread_name(c->plan->name, "-keeper");
	while (mpp_server_receive(c->fd, &m))
		note(c, &m);
	server_gone(c);
	return NULL;
}

/* ----------------------------------------------------------------------------------------------------- open and close */

static struct mpp_server_plan *plan_of(const struct mppool_options *o)
{
	size_t head = mpp_round_up(sizeof(struct mpp_server_plan), MPP_ALIGN);
	size_t cpus = mpp_round_up(o->initarg_size, MPP_ALIGN), size = head + cpus + o->ncpus * sizeof o->cpus[0];
	struct mpp_server_plan *plan = mpp_zalloc(size);

	if (!plan)
		return NULL;
	plan->size = size;
	plan->initializer = o->initializer;
	plan->finalizer = o->finalizer;
	plan->initarg = o->initarg;
	plan->initarg_size = o->initarg_size;
	plan->initarg_at = head;
	if (o->initarg_size > 0)
		memcpy((char *)plan + head, o->initarg, o->initarg_size);
	plan->ncpus = o->ncpus;
	plan->cpus_at = head + cpus;
	if (o->ncpus > 0)
		memcpy((char *)plan + head + cpus, o->cpus, o->ncpus * sizeof o->cpus[0]);
	plan->program = getpid();
	snprintf(plan->name, sizeof plan->name, "%s", o->name);
	return plan;
}

static int64_t nanoseconds_of(double seconds)
{
	if (seconds < 0 || seconds > 4e9)
		return MPP_NEVER;
	return seconds == 0 ? 100000000 : (int64_t)(seconds * 1e9);
}

static void free_carried(struct carried *c)
{
	if (!c)
		return;
	mpp_modules_free(c->modules);
	mpp_free(c->plan);
	mpp_free(c->processes);
	mpp_free(c);
}

static void in_child(void)
{
	mpp_server_in_child();
	mpp_remotes_in_child();
	mpp_arena_in_child();
}

void mpp_process_watch_forks(void)
{
	mpp_fork_in_child(in_child);
}

int mpp_process_fork_server(void)
{
	return mpp_server_early();
}

static int start_keeper(struct carried *c)
{
	const struct mpp_thread_options options = {0, -1};

	return mpp_thread_start(&options, keeper_main, c);
}

static int open_carried(const struct mppool_options *o, mppool *pool, void (*lost)(mppool *pool), void **ret_carried)
{
	struct carried *c;
	int error = mpp_arena_open();

	mpp_process_watch_forks();
	if (error)
		return error;
	c = mpp_zalloc(sizeof *c);
	if (!c)
		return ENOMEM;
	c->pool = pool;
	c->lost = lost;
	c->kill_after = nanoseconds_of(o->kill_after);
	mpp_lock_init(&c->lock, MPP_RANK_PARCEL);
	c->plan = plan_of(o);
	error = c->plan ? mpp_modules_get(&c->modules) : ENOMEM;
	if (!error)
		error = mpp_server_open(c->plan, &c->fd);
	if (error) {
		free_carried(c);
		return error;
	}
	error = start_keeper(c);
	if (error) {
		mpp_server_close(c->fd);
		free_carried(c);
		return error;
	}
	*ret_carried = c;
	return 0;
}

/* The keeper leaves when the server has. */
static void close_carried(void *carried)
{
	struct carried *c = carried;

	mpp_store(&c->closing, true);
	mpp_server_hang_up(c->fd);
	while (mpp_load(&c->keeper_runs) == 0)
		mpp_park(&c->keeper_runs, 0, MPP_NEVER);
	mpp_thread_join(c->keeper);
	mpp_server_close(c->fd);
	free_carried(c);
}

static void abandon_carried(void *carried)
{
	struct carried *c = carried;

	for (size_t i = 0; i < c->nprocesses; i++)
		mpp_free(c->processes[i]);
	free_carried(c);
}

/* ------------------------------------------------------------------------------------------------------------- remotes */

static int enlist(struct process *p)
{
	struct carried *c = p->pool;
	struct process **grown;
	int error = 0;

	mpp_lock(&c->lock);
	if (p->index >= c->nprocesses) {
		grown = mpp_realloc(c->processes, (p->index + 1) * sizeof *grown);
		error = grown ? 0 : ENOMEM;
		if (!error) {
			for (size_t i = c->nprocesses; i <= p->index; i++)
				grown[i] = NULL;
			c->processes = grown;
			c->nprocesses = p->index + 1;
		}
	}
	if (!error)
		c->processes[p->index] = p;
	mpp_unlock(&c->lock);
	return error;
}

static struct mpp_remote *attach(void *carried, int index)
{
	struct carried *c = carried;
	struct process *p = mpp_zalloc(sizeof *p);
	void *slot = p ? mpp_arena_slot_get() : NULL;

	if (!slot) {
		mpp_free(p);
		return NULL;
	}
	p->remote.ops = &mpp_process_carrier;
	p->remote.pool = c->pool;
	p->pool = c;
	p->index = (size_t)index;
	p->batch = 1;
	mpp_parcel_init(&p->end, slot);
	if (enlist(p) != 0) {
		mpp_arena_slot_put(slot);
		mpp_free(p);
		return NULL;
	}
	mpp_remote_enlist(&p->remote);
	return &p->remote;
}

static void detach(struct mpp_remote *remote)
{
	struct process *p = process_of(remote);
	struct carried *c = p->pool;

	mpp_remote_delist(remote);
	mpp_lock(&c->lock);
	c->processes[p->index] = NULL;
	mpp_unlock(&c->lock);
	mpp_arena_free(p->block);
	mpp_arena_slot_put(p->end.slot);
	mpp_free(p);
}

static void nudge(struct mpp_remote *remote)
{
	mpp_slot_nudge(process_of(remote)->end.slot);
}

static size_t recall(struct mpp_remote *remote, enum mpp_recall what, size_t *ret_from)
{
	return mpp_parcel_recall(&process_of(remote)->end, what, ret_from);
}

static bool is_alive(const struct mpp_remote *remote)
{
	return mpp_load(&process_of((struct mpp_remote *)(uintptr_t)remote)->life) == ALIVE;
}

static uint64_t pid_of(const struct mpp_remote *remote)
{
	return mpp_load(&process_of((struct mpp_remote *)(uintptr_t)remote)->pid);
}

static void ask_server(struct process *p, enum mpp_server_what what)
{
	struct mpp_server_message m = {.what = what, .index = p->index, .memory = p->end.slot};

	mpp_server_send(p->pool->fd, &m);        /* that it is gone the keeper sees */
}

static void kill_process(struct process *p)
{
	if (!p->killed)
		ask_server(p, MPP_SERVER_KILL);
	p->killed = true;
}

/* Why running items are to stop: a code, or 0. */
static int stop_reason(const struct mpp_frame *frame)
{
	int state = mpp_load(frame->pool_state);

	if (state > MPPOOL_CLOSED)
		return state == MPPOOL_BROKEN ? MPPOOL_EBROKEN : MPPOOL_ETERMINATED;
	return frame->stop && mpp_load(frame->stop) & MPP_STOP ? ECANCELED : 0;
}

static int64_t later(int64_t now, int64_t by)
{
	return by == MPP_NEVER || now > MPP_NEVER - by ? MPP_NEVER : now + by;
}

/* Waits for a step of the process's: `is_over` says when. Once the pool has ended it is killed after its time. */
static void await(struct process *p, const struct mpp_frame *frame, bool (*is_over)(struct process *p))
{
	int64_t kill_at = MPP_NEVER;
	bool asked = false;

	for (;;) {
		uint32_t bell = mpp_load_seq(&p->end.slot->bell);

		if (is_over(p))
			return;
		if (!asked && mpp_load(frame->pool_state) > MPPOOL_CLOSED) {
			asked = true;
			mpp_store(&p->end.slot->stop, MPP_STOP);
			kill_at = later(mpp_now(), p->pool->kill_after);
		}
		if (kill_at != MPP_NEVER && mpp_now() >= kill_at) {
			kill_process(p);
			kill_at = MPP_NEVER;
		}
		mpp_parcel_wait(&p->end, bell, kill_at);
	}
}

static bool has_initialized(struct process *p)
{
	uint32_t life = mpp_load(&p->life);

	return life == DEAD || life == REFUSED ||
	       (life == ALIVE && mpp_load(&p->end.slot->state) != MPP_SLOT_NEW);
}

static bool has_gone(struct process *p)
{
	return mpp_load(&p->life) == DEAD;
}

/* "killed by signal 11 (Segmentation fault)", "exited with status 3". */
static const char *obituary(struct process *p, int status)
{
	if (WIFSIGNALED(status))
		snprintf(p->message, sizeof p->message, "killed by signal %d (%s)", WTERMSIG(status),
		         strsignal(WTERMSIG(status)));
	else
		snprintf(p->message, sizeof p->message, "exited with status %d", WEXITSTATUS(status));
	return p->message;
}

/* The message of an item, out of memory that may say anything: R3. */
static const char *message_of(struct process *p, const struct mpp_slot_item *item)
{
	size_t at = item->message, length = item->length;

	if (length == 0 || at > MPP_SLOT_MESSAGES || length > MPP_SLOT_MESSAGES - at)
		return NULL;
	memcpy(p->message, p->end.slot->messages + at, length);
	p->message[length] = '\0';
	return p->message;
}

static enum mpp_start start_once(struct mpp_remote *remote, const struct mpp_frame *frame, int *ret_code,
                                 const char **ret_message)
{
	struct process *p = process_of(remote);
	struct mpp_slot_item item;

	if (p->barren >= BARREN_MOST) {  /* processes that die before they begin anything would be replaced endlessly */
		p->barren = 0;
		*ret_code = MPPOOL_ELOST;
		*ret_message = obituary(p, mpp_peek(&p->status));
		return MPP_NOT_INITIALIZED;
	}
	mpp_parcel_reset(&p->end);
	p->killed = false;
	mpp_store_seq(&p->life, STARTING);
	if (mpp_load_seq(&p->pool->gone)) {
		mpp_poke(&p->life, REFUSED);
		mpp_poke(&p->status, ESRCH);
	} else {
		ask_server(p, MPP_SERVER_START);
		await(p, frame, has_initialized);
	}
	if (mpp_load(&p->life) == REFUSED) {
		*ret_code = mpp_peek(&p->status);
		return MPP_NO_ROOM;
	}
	if (mpp_load(&p->end.slot->state) == MPP_SLOT_INITIALIZED)
		return MPP_STARTED;
	if (mpp_load(&p->end.slot->state) == MPP_SLOT_FAILED) {
		item = p->end.slot->item[0];
		*ret_code = item.code;
		*ret_message = message_of(p, &item);
		if (*ret_code != 0) {
			await(p, frame, has_gone);
			return MPP_NOT_INITIALIZED;
		}
	}
	await(p, frame, has_gone);
	p->barren++;
	*ret_code = MPPOOL_ELOST;
	*ret_message = obituary(p, mpp_peek(&p->status));
	return MPP_NOT_INITIALIZED;
}

/* A process that dies before its first item, and not by an initializer of its own, was killed by somebody: another try. */
static enum mpp_start start(struct mpp_remote *remote, const struct mpp_frame *frame, int *ret_code,
                            const char **ret_message)
{
	struct process *p = process_of(remote);
	enum mpp_start how;

	while ((how = start_once(remote, frame, ret_code, ret_message)) == MPP_NOT_INITIALIZED &&
	       !p->pool->plan->initializer && p->barren > 0 && mpp_load(frame->pool_state) <= MPPOOL_CLOSED)
		;
	return how;
}

static void stop(struct mpp_remote *remote, const struct mpp_frame *frame)
{
	struct process *p = process_of(remote);

	if (mpp_load(&p->life) != ALIVE)
		return;
	mpp_parcel_command(&p->end, MPP_COMMAND_LEAVE);
	await(p, frame, has_gone);
}

/* ------------------------------------------------------------------------------------------------------------- parcels */

/* Where a parcel's arguments, context and results are for the process: in place, or copied behind one another. */
struct layout {
	char *memory;                    /* the slot's, or a block of its own */
	size_t room;
	size_t at[MPPOOL_MAX_ARGS];      /* of each column there; SIZE_MAX: in place */
	size_t stride[MPPOOL_MAX_ARGS];
	size_t context_at;               /* SIZE_MAX: in place */
	size_t results_at;               /* the same */
	size_t result_stride;
	size_t used;
};

static size_t place(struct layout *l, size_t bytes)
{
	size_t at = l->used;

	l->used = at + mpp_slot(bytes);
	return at;
}

static size_t span_of(size_t stride, size_t count, size_t size)
{
	return size == 0 || count == 0 ? 0 : stride * (count - 1) + size;
}

/* Lays so many items out. Whether they fit is `used` against `room`. */
static void lay_out(struct layout *l, const struct mpp_parcel *parcel, size_t count)
{
	const struct mppool_func *f = &parcel->func->f;

	l->used = 0;
	l->context_at = f->context_size > 0 ? place(l, f->context_size) : SIZE_MAX;
	for (size_t k = 0; k < f->nargs; k++) {
		const struct mppool_column *c = &parcel->columns[k];
		size_t size = f->arg_size[k];

		l->at[k] = SIZE_MAX;
		l->stride[k] = c->stride;
		if (mpp_arena_has(c->base, span_of(c->stride, count, size)))
			continue;
		if (c->stride != 0)
			l->stride[k] = c->stride == size ? size : mpp_slot(size);
		l->at[k] = place(l, span_of(l->stride[k], count, size));
	}
	l->results_at = SIZE_MAX;
	l->result_stride = parcel->result_stride;
	if (f->result_size == 0 ||
	    (parcel->results && mpp_arena_has(parcel->results, span_of(parcel->result_stride, count, f->result_size))))
		return;
	l->result_stride = f->result_size;
	l->results_at = place(l, count * f->result_size);
}

/* As many of the items as fit into the slot; one of them at least, in a block of its own if need be. 0: no memory. */
static size_t fit(struct process *p, struct layout *l, const struct mpp_parcel *parcel)
{
	size_t count = mpp_min(parcel->count, MPP_PARCEL_MOST);

	l->memory = p->end.slot->data;
	l->room = MPP_ARENA_SLOT - offsetof(struct mpp_slot, data);
	for (lay_out(l, parcel, count); l->used > l->room && count > 1; lay_out(l, parcel, count))
		count /= 2;
	if (l->used <= l->room)
		return count;
	if (p->block_size < l->used) {
		mpp_arena_free(p->block);
		p->block = mpp_arena_alloc(l->used);
		p->block_size = p->block ? l->used : 0;
	}
	l->memory = p->block;
	l->room = p->block_size;
	return p->block ? count : 0;
}

static void copy_column(char *to, size_t stride, const struct mppool_column *from, size_t count, size_t size)
{
	if (from->stride == 0 || from->stride == stride) {
		memcpy(to, from->base, from->stride == 0 ? size : span_of(stride, count, size));
		return;
	}
	for (size_t i = 0; i < count; i++)
		memcpy(to + i * stride, (const char *)from->base + i * from->stride, size);
}

static void fill(struct process *p, const struct layout *l, const struct mpp_parcel *parcel, size_t count)
{
	const struct mppool_func *f = &parcel->func->f;
	struct mpp_slot_call *call = &p->end.slot->parcel;

	memset(call, 0, sizeof *call);
	call->call = f->call;
	call->chunk_call = parcel->by_chunk ? f->chunk_call : NULL;
	call->context = f->context;
	if (l->context_at != SIZE_MAX)
		call->context = memcpy(l->memory + l->context_at, f->context, f->context_size);
	call->nargs = f->nargs;
	call->result_size = f->result_size;
	call->first = parcel->first;
	call->unit = parcel->unit ? parcel->unit : mpp_max(count / 8, 1);
	call->task_timeout = parcel->task_timeout;
	for (size_t k = 0; k < f->nargs; k++) {
		call->columns[k] = parcel->columns[k];
		call->columns[k].size = f->arg_size[k];
		if (l->at[k] == SIZE_MAX || f->arg_size[k] == 0)
			continue;
		copy_column(l->memory + l->at[k], l->stride[k], &parcel->columns[k], count, f->arg_size[k]);
		call->columns[k].base = l->memory + l->at[k];
		call->columns[k].stride = l->stride[k];
	}
	call->result_stride = l->result_stride;
	if (f->result_size > 0)
		call->results = l->results_at == SIZE_MAX ? parcel->results : l->memory + l->results_at;
	if (f->result_size > 0 && l->results_at != SIZE_MAX)
		memset(call->results, 0, count * f->result_size);
}

/* One call of run(). */
struct trip {
	struct process *p;
	struct mpp_parcel *parcel;
	const struct mpp_frame *frame;
	struct layout layout;
	size_t count;                    /* items handed over */
	int reason;                      /* asked to stop: why */
	int killed_for;                  /* asked to kill: the item's code */
	int64_t kill_at;
};

static void deliver(struct trip *t, size_t i, struct mpp_item_end *end)
{
	t->p->end.delivered = i + 1;
	t->p->barren = 0;
	t->parcel->ended(t->parcel->arg, i, end);
}

/* R2: takes over what has ended since the last time. */
static void collect(struct trip *t, size_t done)
{
	struct process *p = t->p;
	const struct layout *l = &t->layout;

	for (size_t i = p->end.delivered; i < done; i++) {
		const struct mpp_slot_item item = p->end.slot->item[i];
		struct mpp_item_end end = {.code = item.code, .late = item.late != 0 && item.code != 0};

		if (l->results_at != SIZE_MAX)
			end.result = l->memory + l->results_at + i * l->result_stride;
		if (end.code != 0)
			end.message = message_of(p, &item);
		deliver(t, i, &end);
	}
}

/* Items that began and did not end: the process is dead. */
static void lose(struct trip *t, size_t begun)
{
	struct process *p = t->p;
	struct mpp_item_end end = {.code = t->killed_for ? t->killed_for : MPPOOL_ELOST};

	if (t->killed_for) {
		end.killed = t->killed_for != ETIMEDOUT;
	} else {
		end.status = mpp_peek(&p->status);
		end.message = obituary(p, end.status);
	}
	while (p->end.delivered < begun)
		deliver(t, p->end.delivered, &end);
}

/* When the running item's time is over for good; MPP_NEVER: there is no limit. */
static int64_t timeout_of(const struct trip *t)
{
	int64_t began = mpp_load(&t->p->end.slot->began_at);

	if (t->parcel->task_timeout == 0)
		return MPP_NEVER;
	return later(later(began ? began : mpp_now(), t->parcel->task_timeout), t->p->pool->kill_after);
}

static void ask_to_stop(struct trip *t)
{
	int reason = t->reason ? 0 : stop_reason(t->frame);

	if (!reason)
		return;
	t->reason = reason;
	mpp_store(&t->p->end.slot->stop, MPP_STOP);
	t->kill_at = later(mpp_now(), t->p->pool->kill_after);
}

/* Takes back for this thread what has not begun. It is found again when the parcel is closed. */
static void take_back(struct trip *t)
{
	size_t begun, kept = mpp_parcel_close(&t->p->end, &begun);

	if (t->parcel->kept == SIZE_MAX)
		t->parcel->kept = kept;
}

/* K2. */
static void kill_if_overdue(struct trip *t, int64_t now)
{
	struct process *p = t->p;
	bool asked = t->kill_at <= now, overdue = timeout_of(t) <= now;
	size_t done, begun;

	if ((!asked && !overdue) || p->killed)
		return;
	take_back(t);
	if (!mpp_parcel_look(&p->end, &done, &begun) || begun <= done)
		return;
	overdue = overdue && timeout_of(t) <= mpp_now();         /* it may have been another item's */
	if (!asked && !overdue)
		return;
	t->killed_for = overdue ? ETIMEDOUT : t->reason;
	kill_process(p);
}

static void garbled(struct trip *t)
{
	take_back(t);
	kill_process(t->p);
}

/* Waits for the end of the parcel, or the process's. Predicate: the bell. */
static void accompany(struct trip *t)
{
	struct process *p = t->p;
	struct mpp_spin spin = {0, 0, false};
	size_t done, begun;

	for (;;) {
		uint32_t bell = mpp_load_seq(&p->end.slot->bell);
		bool over = mpp_load(&p->life) != ALIVE || mpp_parcel_is_finished(&p->end);
		int64_t deadline;

		if (!mpp_parcel_look(&p->end, &done, &begun))
			garbled(t);
		else
			collect(t, done);
		if (over && (!p->killed || mpp_load(&p->life) != ALIVE))
			return;
		ask_to_stop(t);
		if (t->parcel->halted && t->parcel->kept == SIZE_MAX && t->parcel->halted(t->parcel->arg))
			take_back(t);
		deadline = t->kill_at < timeout_of(t) ? t->kill_at : timeout_of(t);
		if (p->killed)
			deadline = MPP_NEVER;
		else if (deadline != MPP_NEVER)
			kill_if_overdue(t, mpp_now());
		if (mpp_load_seq(&p->end.slot->bell) != bell || (deadline == MPP_NEVER && mpp_spin_more(&spin)))
			continue;
		mpp_parcel_wait(&p->end, bell, deadline);
	}
}

/* As many items as run in about ten times what handing them over takes. */
static void adapt(struct process *p, size_t ran, size_t handed, int64_t took)
{
	if (took < 100000 && ran == handed)
		p->batch = mpp_min(2 * p->batch, MPP_PARCEL_MOST);
	else if (took > 400000 && ran > 0)
		p->batch = mpp_max(p->batch / 2, 1);
}

static size_t run(struct mpp_remote *remote, struct mpp_parcel *parcel, const struct mpp_frame *frame)
{
	struct process *p = process_of(remote);
	struct trip t = {.p = p, .parcel = parcel, .frame = frame, .kill_at = MPP_NEVER};
	int64_t start = mpp_now();
	size_t begun;

	parcel->kept = parcel->handed = parcel->count;
	if (mpp_load(&p->life) != ALIVE)
		return 0;
	p->barren++;
	t.count = fit(p, &t.layout, parcel);
	if (t.count == 0) {
		struct mpp_item_end end = {.code = ENOMEM};

		parcel->ended(parcel->arg, 0, &end);
		return 1;
	}
	fill(p, &t.layout, parcel, t.count);
	parcel->kept = SIZE_MAX;
	parcel->handed = t.count;
	mpp_parcel_send(&p->end, parcel->first, t.count, t.count < parcel->count ? SIZE_MAX : parcel->unit);
	if (parcel->sent && parcel->sent(parcel->arg))
		take_back(&t);
	accompany(&t);
	take_back(&t);
	begun = p->end.garbled ? parcel->kept : p->end.limit;
	if (mpp_load(&p->life) != ALIVE)
		lose(&t, begun);
	adapt(p, p->end.delivered, t.count, mpp_now() - start);
	if (t.count < parcel->count)
		p->batch = t.count;
	if (parcel->kept == t.count)
		parcel->kept = parcel->count;
	return p->end.delivered;
}

static size_t batch_of(const struct mpp_remote *remote)
{
	return process_of((struct mpp_remote *)(uintptr_t)remote)->batch;
}

/* A function, or what it is handed, in a module that was loaded later is not there in the workers. */
static int check(void *carried, const struct mppool_func *f, const char **ret_message)
{
	const struct carried *c = carried;
	size_t bytes = f->result_size;

	for (size_t k = 0; k < f->nargs; k++)
		bytes += mpp_slot(f->arg_size[k]);
	if (bytes > mpp_arena_room() / 4 || f->context_size > mpp_arena_room() / 4) {
		*ret_message = "An item with its result and context has more bytes than workers can be handed";
		return EINVAL;
	}
	if (mpp_modules_is_new(c->modules, mpp_code_address(f->call)) ||
	    mpp_modules_is_new(c->modules, mpp_code_address(f->chunk_call))) {
		*ret_message = "The function is in a module that was loaded after the pool's workers were made";
		return MPPOOL_EFUNC;
	}
	if (f->context_size == 0 && mpp_modules_is_new(c->modules, (uintptr_t)f->context)) {
		*ret_message = "The context is in a module that was loaded after the pool's workers were made";
		return MPPOOL_EFUNC;
	}
	return 0;
}

const struct mpp_carrier mpp_process_carrier = {
	.open = open_carried,
	.close = close_carried,
	.abandon = abandon_carried,
	.check = check,
	.attach = attach,
	.detach = detach,
	.start = start,
	.stop = stop,
	.alive = is_alive,
	.pid = pid_of,
	.run = run,
	.batch = batch_of,
	.recall = recall,
	.nudge = nudge,
};

int mpp_carrier_find(unsigned kind, const struct mpp_carrier **ret_carrier)
{
	*ret_carrier = kind == MPPOOL_PROCESSES ? &mpp_process_carrier : NULL;
	return kind <= MPPOOL_PROCESSES ? 0 : kind == MPPOOL_MPI ? ENOTSUP : EINVAL;
}

bool mpp_carrier_needs_sizes(void)
{
	return mpp_server_is_early();
}

#else

void mpp_process_watch_forks(void)
{
}

int mpp_process_fork_server(void)
{
	return ENOTSUP;
}

bool mpp_carrier_needs_sizes(void)
{
	return false;
}

/* Without futexes a thread and a process cannot wait for each other. */
int mpp_carrier_find(unsigned kind, const struct mpp_carrier **ret_carrier)
{
	*ret_carrier = NULL;
	return kind == MPPOOL_THREADS ? 0 : kind <= MPPOOL_MPI ? ENOTSUP : EINVAL;
}

#endif
