/* layer 1: trace files, and what a trace asks the system for.
 *
 * The format is an array of events: "[", events parted by commas, "]". Each write ends with a whole event, so of a
 * program that was killed only the "]" is missing, which viewers forgive. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "trace_file.h"

#include "event.h"
#include "memory.h"
#include "output.h"

#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#ifdef HAVE_DLADDR
#include <dlfcn.h>
#endif
#ifdef HAVE_FLOCK
#include <sys/file.h>
#endif
#ifdef __linux__
#include <sys/syscall.h>
#endif

#define END "\n]\n"
#define NAME_ROOM 32             /* what the number of a process adds to a name */

struct mpp_trace_file {
	struct mpp_trace_file *next;     /* every file that this process has ever written: it knows it again */
	size_t refs;
	int fd;                          /* while there are references */
	bool failed;                     /* it cannot be written any more */
	bool inherited;                  /* it is the parent's */
	dev_t device;
	ino_t inode;
	off_t size;
	off_t before;                    /* its size before the last write */
	time_t changed;                  /* once it is complete */
	uint64_t last_id;
	char path[];
};

static struct mpp_trace_file *files;
static bool complained;

/* --------------------------------------------------------------------------------------------------------- writing */

static void complain(const char *path, int error, const char *reason)
{
	char text[512];
	int n;

	if (complained)
		return;
	complained = true;
	n = snprintf(text, sizeof text, "mppool: no trace: %.300s: %s\n", path,
	             reason ? reason : mppool_strerror(error));
	if (n > 0)
		mpp_output_now(STDERR_FILENO, text, mpp_min((size_t)n, sizeof text - 1));
}

static void cut(struct mpp_trace_file *f)
{
	if (ftruncate(f->fd, f->size) == 0)
		lseek(f->fd, f->size, SEEK_SET);
}

/* After an error the file ends with the last whole event. */
void mpp_trace_file_write(struct mpp_trace_file *f, const char *bytes, size_t count)
{
	int error;

	if (f->failed || count == 0)
		return;
	error = mpp_output(f->fd, bytes, count, NULL);
	if (!error) {
		f->before = f->size;
		f->size += (off_t)count;
		return;
	}
	f->failed = true;
	complain(f->path, error, NULL);
	cut(f);
}

static void begin(struct mpp_trace_file *f)
{
	char text[256];
	int n = snprintf(text, sizeof text,
	                 "[\n{\"ph\":\"M\",\"pid\":0,\"tid\":0,\"name\":\"mppool\",\"args\":{\"version\":\"%s\","
	                 "\"process\":%ld,\"clock\":\"CLOCK_MONOTONIC\"}}", mppool_version(), (long)getpid());

	mpp_trace_file_write(f, text, (size_t)n);
}

/* If not even the end has room, the last events make it. */
static void complete(struct mpp_trace_file *f)
{
	struct stat st;

	f->failed = f->size == 0;        /* it was not even begun; else there may be room for so little */
	mpp_trace_file_write(f, END, sizeof END - 1);
	if (f->failed && f->before > 0) {
		f->size = f->before;
		f->failed = false;
		cut(f);
		mpp_trace_file_write(f, END, sizeof END - 1);
	}
	if (fstat(f->fd, &st) == 0)
		f->changed = st.st_mtime;
	close(f->fd);
	f->fd = -1;
}

uint64_t mpp_trace_file_new_id(struct mpp_trace_file *f)
{
	return ++f->last_id;
}

/* --------------------------------------------------------------------------------------------------------- opening */

static struct mpp_trace_file *find(const struct stat *st)
{
	struct mpp_trace_file *f = files;

	while (f && !(f->device == st->st_dev && f->inode == st->st_ino))
		f = f->next;
	return f;
}

static struct mpp_trace_file *make(const char *path)
{
	struct mpp_trace_file *f = mpp_zalloc(sizeof *f + strlen(path) + 1);

	if (!f)
		return NULL;
	strcpy(f->path, path);
	f->next = files;
	files = f;
	return f;
}

/* Nobody has touched the file since it was completed here? */
static bool is_as_left(const struct mpp_trace_file *f, const struct stat *st)
{
	return f->size == st->st_size && f->size > (off_t)sizeof END && f->changed == st->st_mtime;
}

/* Goes on behind the last event, or begins anew. 0 or an errno value. */
static int take_over(struct mpp_trace_file *f, int fd, const struct stat *st)
{
	bool resumed = is_as_left(f, st);
	off_t keep = resumed ? f->size - (off_t)sizeof END + 1 : 0;

	if (ftruncate(fd, keep) != 0 || lseek(fd, keep, SEEK_SET) != keep)
		return errno;
	f->fd = fd;
	f->failed = false;
	f->device = st->st_dev;
	f->inode = st->st_ino;
	f->size = f->before = keep;
	if (!resumed) {
		f->last_id = 0;
		begin(f);
	}
	return 0;
}

/* Another process has it, or had it before it forked. */
static bool is_others(const struct mpp_trace_file *f, int fd)
{
	if (f && f->inherited)
		return true;
#ifdef HAVE_FLOCK
	return flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
#else
	(void)fd;
	return false;
#endif
}

/* The same name with the number of this process before its ending. NULL: no memory. */
static char *own_name(const char *path)
{
	size_t length = strlen(path);
	const char *base = strrchr(path, '/'), *ending = strrchr(base ? base : path, '.');
	char *name = mpp_alloc(length + NAME_ROOM);

	if (!ending || ending == path || ending[-1] == '/')
		ending = path + length;
	if (name)
		snprintf(name, length + NAME_ROOM, "%.*s.%ld%s", (int)(ending - path), path, (long)getpid(), ending);
	return name;
}

static struct mpp_trace_file *open_file(const char *path, bool may_rename);

static struct mpp_trace_file *open_own_name(const char *path)
{
	char *name = own_name(path);
	struct mpp_trace_file *f = NULL;

	if (name)
		f = open_file(name, false);
	else
		complain(path, ENOMEM, NULL);
	mpp_free(name);
	return f;
}

/* By the program's own thread, which a signal may interrupt where a file system takes its time. */
static int open_for_writing(const char *path)
{
	int fd;

	do
		fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0666);
	while (fd < 0 && errno == EINTR);
	return mpp_descriptor_apart(fd);
}

static struct mpp_trace_file *give_up(const char *path, int fd, int error, const char *reason)
{
	if (fd >= 0)
		close(fd);
	complain(path, error, reason);
	return NULL;
}

static struct mpp_trace_file *open_file(const char *path, bool may_rename)
{
	struct mpp_trace_file *f;
	struct stat st;
	int error, fd = open_for_writing(path);

	if (fd < 0 || fstat(fd, &st) != 0)
		return give_up(path, fd, errno, NULL);
	if (!S_ISREG(st.st_mode))
		return give_up(path, fd, 0, "Not a regular file");
	f = find(&st);
	if (f && f->refs > 0 && !f->inherited) {         /* by whatever name: names may have changed places */
		close(fd);
		return f;
	}
	if (is_others(f, fd)) {
		if (!may_rename)
			return give_up(path, fd, EBUSY, NULL);
		close(fd);
		return open_own_name(path);
	}
	if (!f && (f = make(path)) == NULL)
		return give_up(path, fd, ENOMEM, NULL);
	error = take_over(f, fd, &st);
	return error ? give_up(path, fd, error, NULL) : f;
}

struct mpp_trace_file *mpp_trace_file_open(const char *path)
{
	int cancel_state, saved = errno;
	struct mpp_trace_file *f;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
	f = open_file(path, true);
	if (f)
		f->refs++;
	pthread_setcancelstate(cancel_state, NULL);
	errno = saved;
	return f;
}

void mpp_trace_file_close(struct mpp_trace_file *f)
{
	int cancel_state, saved = errno;

	if (--f->refs > 0)
		return;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
	complete(f);
	pthread_setcancelstate(cancel_state, NULL);
	errno = saved;
}

void mpp_trace_files_inherited(void)
{
	for (struct mpp_trace_file *f = files; f; f = f->next) {
		if (f->refs > 0 && !f->inherited)
			close(f->fd);
		f->inherited = true;
		f->refs = 0;
	}
	complained = false;
}

/* ----------------------------------------------------------------------------------------------- about the process */

const char *mpp_trace_file_from_environment(void)
{
#ifdef HAVE_SECURE_GETENV
	return secure_getenv("MPPOOL_TRACE");    /* nobody makes a set-user-ID program overwrite files */
#else
	return getenv("MPPOOL_TRACE");
#endif
}

void mpp_trace_file_symbol(uintptr_t code, char *to, size_t size)
{
#ifdef HAVE_DLADDR
	const char *base;
	Dl_info info;

	if (dladdr((void *)code, &info) != 0 && info.dli_fname) {
		base = strrchr(info.dli_fname, '/');
		if (info.dli_sname && (uintptr_t)info.dli_saddr == code)
			snprintf(to, size, "%s", info.dli_sname);
		else
			snprintf(to, size, "%s+0x%" PRIxPTR, base ? base + 1 : info.dli_fname,
			         code - (uintptr_t)info.dli_fbase);
		return;
	}
#endif
	snprintf(to, size, "function 0x%" PRIxPTR, code);
}

void mpp_trace_file_thread_name(char *to, size_t size)
{
#ifdef HAVE_PTHREAD_GETNAME_NP
	if (pthread_getname_np(pthread_self(), to, size) == 0 && to[0])
		return;
#endif
	snprintf(to, size, "thread");
}

uint64_t mpp_trace_file_thread_id(void)
{
#if defined(__linux__) && defined(SYS_gettid)
	return (uint64_t)syscall(SYS_gettid);
#else
	return (uint64_t)(uintptr_t)pthread_self() % 1000000007;
#endif
}
