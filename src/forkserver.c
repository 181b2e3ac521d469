/* layer 2: the fork server, and how the program talks with it. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "forkserver.h"

#include "arena.h"
#include "event.h"
#include "memory.h"
#include "sync.h"

#ifdef MPP_SHARED_PARK

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* --------------------------------------------------------------------------------------------------- the program's end */

/* The program's ends of all sockets: a child of any fork closes them, a server among them. */
static struct mpp_lock lock = MPP_LOCK_INIT(MPP_RANK_REMOTE);
static int *ends;                /* the lock */
static size_t nends, room;       /* the lock */
static int early = -1;           /* the lock: the socket of the early server */

static int add_end_locked(int fd)
{
	if (nends == room) {
		size_t more = room ? 2 * room : 8;
		int *grown = mpp_realloc(ends, more * sizeof *grown);

		if (!grown)
			return ENOMEM;
		ends = grown;
		room = more;
	}
	ends[nends++] = fd;
	return 0;
}

static int add_end(int fd)
{
	int error;

	mpp_lock(&lock);
	error = add_end_locked(fd);
	mpp_unlock(&lock);
	return error;
}

static void close_quietly(int fd)
{
	int cancel_state;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
	close(fd);
	pthread_setcancelstate(cancel_state, NULL);
}

void mpp_server_close(int fd)
{
	mpp_lock(&lock);
	for (size_t i = 0; i < nends; i++)
		if (ends[i] == fd)
			ends[i--] = ends[--nends];
	mpp_unlock(&lock);
	close_quietly(fd);
}

void mpp_server_in_child(void)
{
	for (size_t i = 0; i < nends; i++)
		close(ends[i]);
	mpp_lock_init(&lock, MPP_RANK_REMOTE);
	nends = 0;
	early = -1;
}

void mpp_server_hang_up(int fd)
{
	shutdown(fd, SHUT_WR);
}

static bool send_with(int fd, const struct mpp_server_message *message, const int *passed)
{
	char control[CMSG_SPACE(sizeof *passed)] = {0};
	struct iovec bytes = {(void *)(uintptr_t)message, sizeof *message};
	struct msghdr header = {.msg_iov = &bytes, .msg_iovlen = 1};
	int cancel_state;
	ssize_t n;

	if (passed) {
		struct cmsghdr *c;

		header.msg_control = control;
		header.msg_controllen = sizeof control;
		c = CMSG_FIRSTHDR(&header);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof *passed);
		memcpy(CMSG_DATA(c), passed, sizeof *passed);
	}
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
	do
		n = sendmsg(fd, &header, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	pthread_setcancelstate(cancel_state, NULL);
	return n == (ssize_t)sizeof *message;
}

bool mpp_server_send(int fd, const struct mpp_server_message *message)
{
	return send_with(fd, message, NULL);
}

static bool receive_with(int fd, struct mpp_server_message *message, int *ret_passed)
{
	char control[CMSG_SPACE(sizeof *ret_passed)];
	struct iovec bytes = {message, sizeof *message};
	struct msghdr header = {.msg_iov = &bytes, .msg_iovlen = 1};
	struct cmsghdr *c;
	int cancel_state;
	ssize_t n;

	if (ret_passed) {
		*ret_passed = -1;
		header.msg_control = control;
		header.msg_controllen = sizeof control;
	}
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
	do
		n = recvmsg(fd, &header, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	pthread_setcancelstate(cancel_state, NULL);
	c = ret_passed ? CMSG_FIRSTHDR(&header) : NULL;
	if (c && c->cmsg_type == SCM_RIGHTS)
		memcpy(ret_passed, CMSG_DATA(c), sizeof *ret_passed);
	return n == (ssize_t)sizeof *message;
}

bool mpp_server_receive(int fd, struct mpp_server_message *ret_message)
{
	return receive_with(fd, ret_message, NULL);
}

/* ---------------------------------------------------------------------------------------------------------- the server */

struct server {
	int fd, children_fd, program_fd;         /* the last one is -1 where there is no pidfd */
	const struct mpp_server_plan *plan;
	pid_t *pids;                             /* by index; 0: none */
	size_t room;
};

static void kill_all(const struct server *s)
{
	for (size_t i = 0; i < s->room; i++)
		if (s->pids[i] > 0)
			kill(s->pids[i], SIGKILL);
}

/* The server does not outlive its workers, so that nobody else has to reap them. */
_Noreturn static void leave(const struct server *s)
{
	kill_all(s);
	while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
		;
	_exit(0);
}

static void tell(const struct server *s, enum mpp_server_what what, size_t index, int value)
{
	struct mpp_server_message m = {.what = what, .value = value, .index = index};

	if (!mpp_server_send(s->fd, &m))
		leave(s);
}

static bool make_room(struct server *s, size_t index)
{
	size_t more = s->room ? 2 * s->room : 1024;
	void *grown;

	if (index < s->room)
		return true;
	more = mpp_max(more, mpp_round_up(index + 1, 1024));
	grown = s->room ? mremap(s->pids, s->room * sizeof *s->pids, more * sizeof *s->pids, MREMAP_MAYMOVE)
	                : mmap(NULL, more * sizeof *s->pids, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (grown == MAP_FAILED)
		return false;
	s->pids = grown;
	s->room = more;
	return true;
}

_Noreturn static void become_worker(const struct server *s, pid_t server, const struct mpp_server_message *m)
{
	close(s->fd);
	close(s->children_fd);
	if (s->program_fd >= 0)
		close(s->program_fd);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != server)         /* it died before it could be noticed */
		_exit(EXIT_FAILURE);
	mpp_process_main(s->plan, m->index, m->memory);
}

static void start_worker(struct server *s, const struct mpp_server_message *m)
{
	pid_t server = getpid(), pid;

	if (!make_room(s, m->index)) {
		tell(s, MPP_SERVER_REFUSED, m->index, ENOMEM);
		return;
	}
	pid = fork();
	if (pid == 0)
		become_worker(s, server, m);
	if (pid < 0) {
		tell(s, MPP_SERVER_REFUSED, m->index, errno);
		return;
	}
	s->pids[m->index] = pid;
	tell(s, MPP_SERVER_FORKED, m->index, pid);
}

static void obey(struct server *s)
{
	struct mpp_server_message m;

	if (!mpp_server_receive(s->fd, &m))
		leave(s);
	if (m.what == MPP_SERVER_START)
		start_worker(s, &m);
	else if (m.what == MPP_SERVER_KILL && m.index < s->room && s->pids[m.index] > 0)
		kill(s->pids[m.index], SIGKILL);
}

static void reap(struct server *s)
{
	struct signalfd_siginfo unused;
	int status;
	pid_t pid;

	while (read(s->children_fd, &unused, sizeof unused) > 0)
		;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (size_t i = 0; i < s->room; i++)
			if (s->pids[i] == pid) {
				s->pids[i] = 0;
				tell(s, MPP_SERVER_DIED, i, status);
				break;
			}
}

static void reset_handlers(void)
{
	struct sigaction action;

	for (int i = 1; i < NSIG; i++)
		if (sigaction(i, NULL, &action) == 0 && action.sa_handler != SIG_IGN && action.sa_handler != SIG_DFL) {
			memset(&action, 0, sizeof action);
			action.sa_handler = SIG_DFL;
			sigaction(i, &action, NULL);
		}
	signal(SIGCHLD, SIG_DFL);
}

static void stdin_from_nowhere(void)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	if (fd > 0) {
		dup2(fd, STDIN_FILENO);
		close(fd);
	}
}

static int open_pidfd(pid_t pid)
{
#ifdef SYS_pidfd_open
	return (int)syscall(SYS_pidfd_open, pid, 0);
#else
	(void)pid;
	errno = ENOSYS;
	return -1;
#endif
}

/* All signals are blocked. Never returns: the program's end of file, or its end, is the end. */
_Noreturn static void serve_pool(int fd, const struct mpp_server_plan *plan)
{
	struct server s = {.fd = fd, .plan = plan};
	struct pollfd on[3];
	sigset_t children;

	reset_handlers();
	stdin_from_nowhere();
	prctl(PR_SET_NAME, "mppool-server");
	sigemptyset(&children);
	sigaddset(&children, SIGCHLD);
	s.children_fd = signalfd(-1, &children, SFD_CLOEXEC | SFD_NONBLOCK);
	s.program_fd = open_pidfd(plan->program);
	if (s.children_fd < 0 || (s.program_fd < 0 && errno == ESRCH))
		_exit(EXIT_FAILURE);
	on[0] = (struct pollfd){s.children_fd, POLLIN, 0};
	on[1] = (struct pollfd){s.fd, POLLIN, 0};
	on[2] = (struct pollfd){s.program_fd, POLLIN, 0};        /* a negative one is left out */
	for (;;) {
		if (poll(on, 3, -1) < 0)
			continue;
		if (on[2].revents)
			leave(&s);
		if (on[0].revents)
			reap(&s);
		if (on[1].revents)
			obey(&s);
	}
}

/* ------------------------------------------------------------------------------------------------------ the early server */

_Noreturn static void serve_early(int fd)
{
	struct mpp_server_message m;
	int passed;

	reset_handlers();
	signal(SIGCHLD, SIG_IGN);        /* its children are reaped by the system */
	stdin_from_nowhere();
	prctl(PR_SET_NAME, "mppool-early");
	while (receive_with(fd, &m, &passed)) {
		const struct mpp_server_plan *shared = m.memory;
		pid_t pid = m.what == MPP_SERVER_OPEN ? fork() : -1;

		if (pid == 0) {
			struct mpp_server_plan *plan = malloc(shared->size);

			close(fd);
			if (!plan)
				_exit(EXIT_FAILURE);
			memcpy(plan, shared, shared->size);
			m.what = MPP_SERVER_FORKED;
			if (!mpp_server_send(passed, &m))
				_exit(EXIT_FAILURE);
			serve_pool(passed, plan);
		}
		if (passed >= 0)
			close(passed);
	}
	_exit(0);
}

/* Forks twice: the grandchild is nobody's child once its parent has left. `serve` runs in it, with all signals blocked. */
static int fork_apart(int fd, int other, const struct mpp_server_plan *plan)
{
	sigset_t all, before;
	int status = 0, error = 0;
	pid_t pid, waited;

	fflush(stdout);
	fflush(stderr);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pid = fork();
	if (pid == 0) {
		close(other);
		pid = fork();
		if (pid != 0)
			_exit(pid < 0 ? (errno == ENOMEM ? 2 : 1) : 0);
		if (plan)
			serve_pool(fd, plan);
		serve_early(fd);
	}
	if (pid < 0) {
		error = errno;
	} else {
		do
			waited = waitpid(pid, &status, 0);
		while (waited < 0 && errno == EINTR);
		if (waited == pid && WIFEXITED(status) && WEXITSTATUS(status) != 0)
			error = WEXITSTATUS(status) == 2 ? ENOMEM : EAGAIN;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return error;
}

/* ends[0] is the program's. */
static int make_sockets(int pair[2])
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		return errno;
	for (int i = 0; i < 2; i++)
		pair[i] = mpp_descriptor_apart(pair[i]);
	if (pair[0] >= 0 && pair[1] >= 0)
		return 0;
	for (int i = 0; i < 2; i++)
		if (pair[i] >= 0)
			close_quietly(pair[i]);
	return EMFILE;
}

bool mpp_server_is_early(void)
{
	bool is;

	mpp_lock(&lock);
	is = early >= 0;
	mpp_unlock(&lock);
	return is;
}

int mpp_server_early(void)
{
	int pair[2], error;

	if (mpp_server_is_early())
		return 0;
	error = mpp_arena_open();
	if (!error)
		error = make_sockets(pair);
	if (error)
		return error;
	error = fork_apart(pair[1], pair[0], NULL);
	close_quietly(pair[1]);
	if (!error)
		error = add_end(pair[0]);
	if (error) {
		close_quietly(pair[0]);
		return error;
	}
	mpp_lock(&lock);
	early = pair[0];
	mpp_unlock(&lock);
	return 0;
}

/* The plan goes through the arena, for the early server has no other memory in common with the program as it is now. */
static int ask_early(const struct mpp_server_plan *plan, const int pair[2])
{
	struct mpp_server_plan *shared = mpp_arena_alloc(plan->size);
	struct mpp_server_message m = {.what = MPP_SERVER_OPEN, .memory = shared};
	bool done;

	if (!shared)
		return ENOMEM;
	memcpy(shared, plan, plan->size);
	done = send_with(early, &m, &pair[1]);
	close_quietly(pair[1]);
	done = done && mpp_server_receive(pair[0], &m);
	mpp_arena_free(shared);
	return done ? 0 : EAGAIN;
}

int mpp_server_open(const struct mpp_server_plan *plan, int *ret_fd)
{
	int pair[2], error = make_sockets(pair);

	if (error)
		return error;
	if (mpp_server_is_early()) {
		error = ask_early(plan, pair);
	} else {
		error = fork_apart(pair[1], pair[0], plan);
		close_quietly(pair[1]);
	}
	if (!error)
		error = add_end(pair[0]);
	if (error)
		close_quietly(pair[0]);
	else
		*ret_fd = pair[0];
	return error;
}

#endif
