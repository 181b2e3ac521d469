/* layer 1: the table of codes, failures, and each thread's last error. */
#include "error.h"

#include "memory.h"
#include "thread.h"

#include <stdio.h>

static const struct {
	int code;
	const char *name, *text;
} table[] = {
	{0, "0", "Success"},
	{MPPOOL_ETASK, "MPPOOL_ETASK", "A task failed"},
	{MPPOOL_ESTOP, "MPPOOL_ESTOP", "No more items"},
	{MPPOOL_ECLOSED, "MPPOOL_ECLOSED", "Pool not running"},
	{MPPOOL_ERUNNING, "MPPOOL_ERUNNING", "Pool is still running"},
	{MPPOOL_ENOTREADY, "MPPOOL_ENOTREADY", "The result is not ready"},
	{MPPOOL_ETERMINATED, "MPPOOL_ETERMINATED", "The pool was terminated before the task ran"},
	{MPPOOL_EBROKEN, "MPPOOL_EBROKEN", "An initializer failed; the pool takes no work"},
	{MPPOOL_ELOST, "MPPOOL_ELOST", "The worker went away in the middle of the item"},
	{MPPOOL_EITER, "MPPOOL_EITER", "The generator failed"},
	{MPPOOL_EFULL, "MPPOOL_EFULL", "The queue is full"},
	{MPPOOL_EFORKED, "MPPOOL_EFORKED", "The pool belongs to the parent process"},
	{MPPOOL_EFUNC, "MPPOOL_EFUNC", "The workers do not have this function, or what its context points to"},
	{EINVAL, "EINVAL", "Invalid argument"},
	{ENOMEM, "ENOMEM", "Cannot allocate memory"},
	{EAGAIN, "EAGAIN", "Resource temporarily unavailable"},
	{ETIMEDOUT, "ETIMEDOUT", "Timed out"},
	{EDEADLK, "EDEADLK", "Waiting here would never end"},
	{ECANCELED, "ECANCELED", "Cancelled"},
	{EBUSY, "EBUSY", "Every item had started"},
	{EALREADY, "EALREADY", "The result was ready already"},
	{ENOTSUP, "ENOTSUP", "This kind of workers is not there"},
	{E2BIG, "E2BIG", "The struct has members that this version does not know"},
};

static const size_t table_length = sizeof table / sizeof table[0];

/* The other names that POSIX gives to errno values. */
#define NAME(code) {code, #code},
static const struct {
	int code;
	const char *name;
} posix_names[] = {
	NAME(EPERM) NAME(ENOENT) NAME(ESRCH) NAME(EINTR) NAME(EIO) NAME(ENXIO) NAME(ENOEXEC) NAME(EBADF) NAME(ECHILD)
	NAME(EACCES) NAME(EFAULT) NAME(EEXIST) NAME(EXDEV) NAME(ENODEV) NAME(ENOTDIR) NAME(EISDIR) NAME(ENFILE)
	NAME(EMFILE) NAME(ENOTTY) NAME(ETXTBSY) NAME(EFBIG) NAME(ENOSPC) NAME(ESPIPE) NAME(EROFS) NAME(EMLINK)
	NAME(EPIPE) NAME(EDOM) NAME(ERANGE) NAME(ENAMETOOLONG) NAME(ENOLCK) NAME(ENOSYS) NAME(ENOTEMPTY) NAME(ELOOP)
	NAME(ENOMSG) NAME(EIDRM) NAME(EPROTO) NAME(EBADMSG) NAME(EOVERFLOW) NAME(EILSEQ) NAME(ENOTSOCK)
	NAME(EDESTADDRREQ) NAME(EMSGSIZE) NAME(EPROTOTYPE) NAME(ENOPROTOOPT) NAME(EPROTONOSUPPORT)
#if EOPNOTSUPP != ENOTSUP
	NAME(EOPNOTSUPP)
#endif
	
	NAME(EAFNOSUPPORT) NAME(EADDRINUSE) NAME(EADDRNOTAVAIL) NAME(ENETDOWN) NAME(ENETUNREACH) NAME(ENETRESET)
	NAME(ECONNABORTED) NAME(ECONNRESET) NAME(ENOBUFS) NAME(EISCONN) NAME(ENOTCONN) NAME(ECONNREFUSED)
	NAME(EHOSTUNREACH) NAME(EINPROGRESS) NAME(ESTALE) NAME(EDQUOT) NAME(EOWNERDEAD) NAME(ENOTRECOVERABLE)
};
#undef NAME

/* Codes that are not ours: the system's sentence. The thread's own buffer makes it thread-safe with any strerror_r. */
static const char *system_text(int code)
{
	static _Thread_local char buffer[128];

#if defined(__GLIBC__) && defined(_GNU_SOURCE)
	return strerror_r(code, buffer, sizeof buffer);
#else
	if (strerror_r(code, buffer, sizeof buffer) != 0)
		snprintf(buffer, sizeof buffer, "Unknown error %d", code);
	return buffer;
#endif
}

MPP_PUBLIC const char *mppool_strerror(int code)
{
	for (size_t i = 0; i < table_length; i++)
		if (table[i].code == code)
			return table[i].text;
	return system_text(code);
}

MPP_PUBLIC const char *mppool_strerrorname(int code)
{
	for (size_t i = 0; i < table_length; i++)
		if (table[i].code == code)
			return table[i].name;
	for (size_t i = 0; i < sizeof posix_names / sizeof posix_names[0]; i++)
		if (posix_names[i].code == code)
			return posix_names[i].name;
	return "unknown";
}

/* -------------------------------------------------------------------------------------------------------- failures */

static struct mpp_failure no_memory = {.error = {ENOMEM, 0, 0, "Cannot allocate memory to keep the error itself"}};

struct mpp_failure *mpp_failure_new(int code, size_t index, const char *message)
{
	struct mpp_failure *f;
	size_t length;

	if (!message)
		message = mppool_strerror(code);         /* maybe this thread's own buffer: it is copied, too */
	length = strlen(message) + 1;
	f = mpp_alloc(sizeof *f + length);
	if (!f)
		return &no_memory;
	f->error.code = code;
	f->error.status = 0;
	f->error.index = index;
	f->error.message = memcpy(f->text, message, length);
	return f;
}

struct mpp_failure *mpp_failure_of_lost(int code, int status, size_t index, const char *message)
{
	struct mpp_failure *f = mpp_failure_new(code, index, message);

	if (f != &no_memory)
		f->error.status = status;
	return f;
}

void mpp_failure_free(struct mpp_failure *failure)
{
	if (failure != &no_memory)
		mpp_free(failure);
}

/* ------------------------------------------------------------------------------------------------------ last error */

static const struct mppool_error no_error = {0, 0, 0, "Success"};
static _Thread_local struct mpp_failure *last;

static void forget_last(void)
{
	mpp_failure_free(last);
	last = NULL;
}

static _Thread_local struct mpp_exit_hook exit_hook = {forget_last, NULL, false};

void mpp_last_error_set(const struct mppool_error *error)
{
	struct mpp_failure *fresh;

	if (last && error == &last->error)
		return;
	fresh = mpp_failure_of_lost(error->code, error->status, error->index, error->message);
	mpp_at_thread_exit(&exit_hook);
	forget_last();
	last = fresh;
}

MPP_PUBLIC const struct mppool_error *mppool_last_error(void)
{
	return last ? &last->error : &no_error;
}
