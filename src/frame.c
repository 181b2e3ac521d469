/* layer 1: frames, and the messages that user functions raise in them. */
#include "frame.h"

#include "memory.h"

#include <stdarg.h>
#include <stdio.h>

_Thread_local struct mpp_frame *mpp_frame_top;
_Thread_local unsigned mpp_frame_callbacks;
_Thread_local unsigned mpp_frame_remote_hooks;

void mpp_frame_init(struct mpp_frame *frame, mppool *pool, const _Atomic int *pool_state)
{
	memset(frame, 0, sizeof *frame);
	frame->pool = pool;
	frame->pool_state = pool_state;
	frame->worker_index = -1;
	frame->deadline = MPP_NEVER;
}

void mpp_frame_push(struct mpp_frame *frame)
{
	frame->up = mpp_frame_top;
	frame->raised = 0;
	frame->message = NULL;
	mpp_frame_top = frame;
}

void mpp_frame_pop(struct mpp_frame *frame)
{
	mpp_frame_top = frame->up;
	if (mpp_unlikely(frame->remote != NULL) && frame->role == MPP_HOOK)
		mpp_frame_remote_hooks--;
	if (mpp_unlikely(frame->message != NULL))
		mpp_free(frame->message);
	frame->message = NULL;
}

const char *mpp_frame_message(const struct mpp_frame *frame, int code)
{
	return frame->raised == code ? frame->message : NULL;
}

bool mpp_frame_in_pool(const mppool *pool)
{
	for (const struct mpp_frame *f = mpp_frame_top; f; f = f->up)
		if (f->pool == pool)
			return true;
	return false;
}

bool mpp_frame_at_work(const mppool *pool)
{
	for (const struct mpp_frame *f = mpp_frame_top; f; f = f->up)
		if (f->pool == pool && f->role != MPP_ENDING)
			return true;
	return false;
}

struct mpp_frame *mpp_frame_bottom(void)
{
	struct mpp_frame *f = mpp_frame_top;

	while (f && f->up)
		f = f->up;
	return f;
}

bool mpp_frame_in_job(const struct mpp_job *job)
{
	for (const struct mpp_frame *f = mpp_frame_top; f; f = f->up)
		if (f->job == job)
			return true;
	return false;
}

bool mpp_frame_in_role(const mppool *pool, enum mpp_role role)
{
	for (const struct mpp_frame *f = mpp_frame_top; f; f = f->up)
		if (f->pool == pool && f->role == role)
			return true;
	return false;
}

struct mpp_frame *mpp_frame_of_worker(const mppool *pool)
{
	for (struct mpp_frame *f = mpp_frame_top; f; f = f->up)
		if (f->pool == pool && f->worker)
			return f;
	return NULL;
}

void mpp_frame_push_hook(struct mpp_frame *frame, mppool *pool, struct mpp_job *job)
{
	const struct mpp_frame *top = mpp_frame_top;

	if (top && top->pool == pool)
		*frame = *top;
	else
		mpp_frame_init(frame, pool, NULL);
	frame->job = job;
	frame->role = MPP_HOOK;
	if (mpp_unlikely(frame->remote != NULL))
		mpp_frame_remote_hooks++;
	mpp_frame_push(frame);
}

/* --------------------------------------------------------------------------------------------------------- raising */

static struct mpp_frame *raising_frame(void)
{
	struct mpp_frame *f = mpp_frame_top;

	if (f && (f->role == MPP_TASK || f->role == MPP_INITIALIZER || f->role == MPP_GENERATOR))
		return f;
	return NULL;
}

static void leave(struct mpp_frame *frame, int code, char *message)
{
	mpp_free(frame->message);
	frame->message = message;        /* NULL, for want of memory: mppool_strerror(code) stands in */
	frame->raised = code;
}

void mpp_frame_leave(struct mpp_frame *frame, int code, int status, const char *message)
{
	size_t length = message ? strlen(message) + 1 : 0;
	char *copy = length > 0 ? mpp_alloc(length) : NULL;

	if (copy)
		memcpy(copy, message, length);
	leave(frame, code, copy);
	frame->status = status;
}

MPP_PUBLIC int mppool_raise_message(int code, const char *message)
{
	struct mpp_frame *frame = raising_frame();
	size_t length;
	char *copy = NULL;

	if (!frame)
		return code;
	if (message) {
		length = strlen(message) + 1;
		copy = mpp_alloc(length);
		if (copy)
			memcpy(copy, message, length);
	}
	leave(frame, code, copy);
	return code;
}

MPP_PUBLIC int mppool_raise(int code, const char *format, ...)
{
	struct mpp_frame *frame = raising_frame();
	va_list args;
	char *message = NULL;
	int length;

	if (!frame)
		return code;
	if (!format)
		return mppool_raise_message(code, NULL);
	va_start(args, format);
	length = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (length >= 0)
		message = mpp_alloc((size_t)length + 1);
	if (message) {
		va_start(args, format);
		vsnprintf(message, (size_t)length + 1, format, args);
		va_end(args);
	}
	leave(frame, code, message);
	return code;
}

MPP_PUBLIC int mppool_raised(void)
{
	const struct mpp_frame *frame = raising_frame();

	return frame ? frame->raised : 0;
}
