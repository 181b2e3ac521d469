/* layer 3: a worker process from its fork to its end. It has one thread, and its slot. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "arena.h"
#include "forkserver.h"
#include "frame.h"
#include "parcel.h"
#include "process.h"
#include "thread.h"

bool mpp_process_is_worker;

#ifdef MPP_SHARED_PARK

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#ifdef HAVE_STDIO_EXT_H
#include <stdio_ext.h>
#endif
#include <sys/prctl.h>
#include <unistd.h>

/* exit() in a task is the worker's end: what the program registered with atexit() is the program's, and so is what is
 * left in its streams. */
#ifdef HAVE_ON_EXIT
_Noreturn static void leave_at_exit(int status, void *unused)
{
	(void)unused;
	fflush(stdout);
	fflush(stderr);
	_exit(status);
}
#else
_Noreturn static void leave_at_exit(void)
{
	fflush(stdout);
	fflush(stderr);
	_exit(EXIT_FAILURE);
}
#endif

static void watch_exit(void)
{
#ifdef HAVE_ON_EXIT
	on_exit(leave_at_exit, NULL);
#else
	atexit(leave_at_exit);
#endif
}

/* What the program had written and not flushed when it forked is the program's to write. */
static void forget_output(void)
{
#ifdef HAVE_STDIO_EXT_H
	__fpurge(stdout);
	__fpurge(stderr);
#endif
}

static void flush_output(void)
{
#ifdef HAVE_STDIO_EXT_H
	if (__fpending(stdout) == 0 && __fpending(stderr) == 0)
		return;
#endif
	fflush(stdout);
	fflush(stderr);
}

/* As after exec: nothing is blocked, the fork server has reset the handlers. Ctrl-C and Ctrl-\ reach the whole foreground
 * group, and are the program's to deal with. */
static void set_signals(void)
{
	sigset_t none;

	signal(SIGINT, SIG_IGN);
	signal(SIGQUIT, SIG_IGN);
	signal(SIGCHLD, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* When memory runs out a worker goes rather than the program. */
static void offer_to_oom_killer(void)
{
	char text[32] = "";
	int fd = open("/proc/self/oom_score_adj", O_RDWR | O_CLOEXEC);
	long score;

	if (fd < 0)
		return;
	if (read(fd, text, sizeof text - 1) > 0) {
		score = strtol(text, NULL, 10) + 100;
		snprintf(text, sizeof text, "%ld", score > 1000 ? 1000 : score);
		if (write(fd, text, strlen(text)) < 0)
			score = 0;       /* then it is like the others */
	}
	close(fd);
}

static void set_cpu(const struct mpp_server_plan *plan, size_t index)
{
#ifdef CPU_SET
	cpu_set_t set;
	int cpu;

	if (plan->ncpus == 0)
		return;
	memcpy(&cpu, (const char *)plan + plan->cpus_at + index % plan->ncpus * sizeof cpu, sizeof cpu);
	if (cpu >= CPU_SETSIZE)
		return;
	CPU_ZERO(&set);
	CPU_SET((size_t)cpu, &set);
	sched_setaffinity(0, sizeof set, &set);
#else
	(void)plan;
	(void)index;
#endif
}

static void set_name(const struct mpp_server_plan *plan, size_t index)
{
	char suffix[32];

	snprintf(suffix, sizeof suffix, "-w%zu", index);
	mpp_thread_name(plan->name, suffix);     /* of the only thread: that of the process */
}

static void *initarg_of(const struct mpp_server_plan *plan)
{
	return plan->initarg_size > 0 ? (char *)(uintptr_t)plan + plan->initarg_at : plan->initarg;
}

static void initialize(const struct mpp_server_plan *plan, struct mpp_slot *slot, struct mpp_frame *frame)
{
	int code = 0;

	frame->stop = &slot->stop;
	if (plan->initializer) {
		frame->role = MPP_INITIALIZER;
		code = plan->initializer(initarg_of(plan), &frame->worker_state);
		frame->role = MPP_IDLE;
		flush_output();
	}
	if (code)
		mpp_slot_note(slot, 0, code, false, mpp_frame_message(frame, code));
	mpp_store(&slot->state, code ? MPP_SLOT_FAILED : MPP_SLOT_INITIALIZED);
	mpp_slot_ring(slot);
	if (code)
		_exit(EXIT_FAILURE);
}

_Noreturn static void finalize(const struct mpp_server_plan *plan, const struct mpp_slot *slot, struct mpp_frame *frame)
{
	if (plan->finalizer) {
		frame->role = MPP_FINALIZER;
		frame->stop = &slot->stop;
		plan->finalizer(initarg_of(plan), frame->worker_state);
		flush_output();
	}
	_exit(0);
}

_Noreturn void mpp_process_main(const struct mpp_server_plan *plan, size_t index, void *memory)
{
	struct mpp_slot *slot = memory;
	struct mpp_frame frame;
	uint32_t go = 0;

	mpp_process_is_worker = true;
	set_signals();
	forget_output();
	watch_exit();
	offer_to_oom_killer();
	set_cpu(plan, index);
	set_name(plan, index);
	mpp_arena_seal(slot);
	mpp_frame_top = NULL;            /* the program forked in the middle of something */
	mpp_frame_callbacks = 0;
	mpp_frame_init(&frame, NULL, NULL);
	frame.worker_index = (int)index;
	mpp_frame_push(&frame);
	initialize(plan, slot, &frame);
	for (;;) {
		go = mpp_slot_await(slot, go);
		if (slot->command == MPP_COMMAND_LEAVE)
			finalize(plan, slot, &frame);
		mpp_slot_run(slot, go, &frame, flush_output);
	}
}

#endif
