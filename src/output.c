/* layer 0: writing to a file descriptor that may be anything. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "output.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#define USUAL_COLUMNS 80

/* What a write may raise in the thread that writes. */
struct shield {
	sigset_t raised, before, pending;
	int cancel_state;
};

static void shield_up(struct shield *s)
{
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &s->cancel_state);
	sigemptyset(&s->raised);
	sigaddset(&s->raised, SIGPIPE);
	sigaddset(&s->raised, SIGXFSZ);
	sigemptyset(&s->pending);
	sigpending(&s->pending);
	pthread_sigmask(SIG_BLOCK, &s->raised, &s->before);
}

/* A signal that the write raised is taken away again; one that had been there before stays. */
static void take_back(const struct shield *s, int signal)
{
	sigset_t pending, one;
	int taken;

	if (sigismember(&s->pending, signal) == 1 || sigpending(&pending) != 0 || sigismember(&pending, signal) != 1)
		return;
	sigemptyset(&one);
	sigaddset(&one, signal);
	sigwait(&one, &taken);
}

static void shield_down(const struct shield *s, int error)
{
	if (error == EPIPE)
		take_back(s, SIGPIPE);
	if (error == EFBIG)
		take_back(s, SIGXFSZ);
	pthread_sigmask(SIG_SETMASK, &s->before, NULL);
	pthread_setcancelstate(s->cancel_state, NULL);
}

static int await_room(int fd, int milliseconds)
{
	struct pollfd p = {fd, POLLOUT, 0};
	int n = poll(&p, 1, milliseconds);

	if (n < 0)
		return errno;
	if (n == 0)
		return EAGAIN;
	return p.revents & POLLNVAL ? EBADF : 0;
}

static int write_all(int fd, const char *bytes, size_t count, size_t *written)
{
	while (*written < count) {
		ssize_t n = write(fd, bytes + *written, count - *written);

		if (n >= 0)
			*written += (size_t)n;
		else if (errno == EAGAIN || errno == EWOULDBLOCK)
			await_room(fd, -1);
		else if (errno != EINTR)
			return errno;
	}
	return 0;
}

int mpp_output(int fd, const char *bytes, size_t count, size_t *ret_written)
{
	struct shield shield;
	size_t written = 0;
	int error;

	shield_up(&shield);
	error = write_all(fd, bytes, count, &written);
	shield_down(&shield, error);
	if (ret_written)
		*ret_written = written;
	return error;
}

static int write_now(int fd, const char *bytes, size_t count)
{
	int error = await_room(fd, 0);

	if (error)
		return error == EINTR ? EAGAIN : error;
	if (write(fd, bytes, count) >= 0)
		return 0;
	return errno == EINTR || errno == EWOULDBLOCK ? EAGAIN : errno;
}

int mpp_output_now(int fd, const char *bytes, size_t count)
{
	struct shield shield;
	int error;

	shield_up(&shield);
	error = write_now(fd, bytes, count);
	shield_down(&shield, error);
	return error;
}

bool mpp_output_is_terminal(int fd)
{
	return isatty(fd) == 1;
}

size_t mpp_output_columns(int fd)
{
	struct winsize size;

	if (ioctl(fd, TIOCGWINSZ, &size) != 0 || size.ws_col == 0)
		return USUAL_COLUMNS;
	return size.ws_col;
}
