/* layer 0: events by eventfd(2), or by a pipe where there is none. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "event.h"

#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

/* close() is a cancellation point, as read() and write() are. */
static void close_quietly(int fd)
{
	int cancel_state, saved = errno;

	if (fd < 0)
		return;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
	close(fd);
	pthread_setcancelstate(cancel_state, NULL);
	errno = saved;
}

int mpp_descriptor_apart(int fd)
{
	int other;

	if (fd < 0 || fd > STDERR_FILENO)
		return fd;
	other = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	close_quietly(fd);
	return other;
}

#ifdef HAVE_EVENTFD

#include <sys/eventfd.h>

typedef uint64_t token;          /* what is written to raise it, and read to lower it */

static int open_descriptors(int *ret_fd, int *ret_other)
{
	int fd = mpp_descriptor_apart(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));

	if (fd < 0)
		return errno;
	*ret_fd = fd;
	*ret_other = -1;
	return 0;
}

#else

typedef unsigned char token;

#ifdef HAVE_PIPE2

static int make_pipe(int ends[2])
{
	return pipe2(ends, O_CLOEXEC | O_NONBLOCK) ? errno : 0;
}

#else

static int set_flags(int fd)
{
	return fcntl(fd, F_SETFD, FD_CLOEXEC) || fcntl(fd, F_SETFL, O_NONBLOCK) ? errno : 0;
}

static int make_pipe(int ends[2])
{
	int error;

	if (pipe(ends) != 0)
		return errno;
	error = set_flags(ends[0]);
	if (!error)
		error = set_flags(ends[1]);
	if (error) {
		close(ends[0]);
		close(ends[1]);
	}
	return error;
}

#endif

static int open_descriptors(int *ret_fd, int *ret_other)
{
	int ends[2], error = make_pipe(ends);

	if (error)
		return error;
	for (int i = 0; i < 2; i++) {
		ends[i] = mpp_descriptor_apart(ends[i]);
		if (ends[i] < 0)
			error = errno;
	}
	if (error) {
		close_quietly(ends[0]);
		close_quietly(ends[1]);
		return error;
	}
	*ret_fd = ends[0];
	*ret_other = ends[1];
	return 0;
}

#endif

int mpp_event_open(struct mpp_event *event)
{
	int saved = errno, error = open_descriptors(&event->fd, &event->other);

	errno = saved;
	if (!error)
		event->raised = false;
	return error;
}

void mpp_event_close(struct mpp_event *event)
{
	close_quietly(event->fd);
	close_quietly(event->other);
	event->fd = event->other = -1;
}

/* There are two tokens in a pipe at most, and an eventfd adds them up: so neither can block. What a signal interrupts is
 * done again. */
static void transfer(const struct mpp_event *event, bool in)
{
	token one = 1;
	ssize_t n;

	do
		n = in ? write(event->other < 0 ? event->fd : event->other, &one, sizeof one)
		       : read(event->fd, &one, sizeof one);
	while (n < 0 && errno == EINTR);
}

void mpp_event_set(struct mpp_event *event, bool raised)
{
	int cancel_state, saved = errno;

	if (event->fd < 0 || event->raised == raised)
		return;
	event->raised = raised;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
	transfer(event, raised);
	pthread_setcancelstate(cancel_state, NULL);
	errno = saved;
}

/* Another token before the old one is read: at no time is the descriptor unreadable. A read of an eventfd takes all. */
void mpp_event_renew(struct mpp_event *event)
{
	int cancel_state, saved = errno;

	if (event->fd < 0 || !event->raised)
		return;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
	transfer(event, true);
	if (event->other >= 0)
		transfer(event, false);
	pthread_setcancelstate(cancel_state, NULL);
	errno = saved;
}
