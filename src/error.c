/* layer 1: the table of codes, failures, and each thread's last error. */
#include "error.h"

#include "memory.h"
#include "sync.h"
#include "thread.h"

#include <pthread.h>
#include <stdarg.h>
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
	{MPPOOL_ENOCODE, "MPPOOL_ENOCODE", "A failure was raised without a code"},
	{EINVAL, "EINVAL", "Invalid argument"},
	{ENOMEM, "ENOMEM", "Cannot allocate memory"},
	{EAGAIN, "EAGAIN", "Resource temporarily unavailable"},
	{ETIMEDOUT, "ETIMEDOUT", "Timed out"},
	{EDEADLK, "EDEADLK", "Waiting here would never end"},
	{ECANCELED, "ECANCELED", "Cancelled"},
	{EBUSY, "EBUSY", "Every item had started"},
	{EALREADY, "EALREADY", "The result was ready already"},
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
	NAME(EDESTADDRREQ) NAME(EMSGSIZE) NAME(EPROTOTYPE) NAME(ENOPROTOOPT) NAME(EPROTONOSUPPORT) NAME(EOPNOTSUPP)
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
	f->error.reserved = 0;
	f->error.index = index;
	f->error.message = memcpy(f->text, message, length);
	return f;
}

void mpp_failure_free(struct mpp_failure *failure)
{
	if (failure != &no_memory)
		mpp_free(failure);
}

/* ------------------------------------------------------------------------------------------------------ last error */

#define SENTENCE 256             /* bytes of a sentence about a call's arguments; function names are cut */

/* What this thread's last failure was. A sentence is formatted in place, so that it needs no memory. */
static _Thread_local struct last {
	struct mppool_error error;
	struct mpp_failure *failure;     /* owned: has the message; NULL: it is constant, or in `text` */
	int returned;                    /* the code that the call returned */
	bool fresh;                      /* set since the last mpp_report(): the sentence of the failure under way */
	char text[SENTENCE];
} last = {.error = {0, 0, 0, "Success"}};

static void forget_failure(void)
{
	if (!last.failure)
		return;
	if (last.error.message == last.failure->text)
		last.error.message = "";
	mpp_failure_free(last.failure);
	last.failure = NULL;
}

static _Thread_local struct mpp_exit_hook exit_hook = {forget_failure, NULL, false};

void mpp_last_error_set(int returned, const struct mppool_error *error)
{
	struct mpp_failure *fresh;

	last.returned = returned;
	last.fresh = true;
	if (error == &last.error)
		return;
	fresh = mpp_failure_new(error->code, error->index, error->message);
	mpp_at_thread_exit(&exit_hook);
	forget_failure();
	last.failure = fresh;
	last.error = fresh->error;
}

int mpp_fail(int code, const char *sentence)
{
	forget_failure();
	last.error = (struct mppool_error){code, 0, 0, sentence};
	last.returned = code;
	last.fresh = true;
	return code;
}

int mpp_failf(int code, const char *format, ...)
{
	va_list args;
	int saved = errno;

	forget_failure();
	va_start(args, format);
	vsnprintf(last.text, sizeof last.text, format, args);
	va_end(args);
	errno = saved;
	return mpp_fail(code, last.text);
}

int mpp_fail_timeout(double timeout, int64_t *ret_deadline)
{
	return mpp_deadline(timeout, ret_deadline) ? mpp_fail(EINVAL, "the timeout is not a number") : 0;
}

int mpp_report_failure(int code)
{
	if (!last.fresh || last.returned != code)
		mpp_failf(code, "%s", mppool_strerror(code));
	last.fresh = false;
	return code;
}

MPP_PUBLIC const struct mppool_error *mppool_last_error(void)
{
	return &last.error;
}

static void print_reason(FILE *to, int returned, const struct mppool_error *e)
{
	const char *name = mppool_strerrorname(e->code);

	switch (returned) {
	case MPPOOL_ETASK:
		fprintf(to, "item %zu: %s", e->index, e->message);
		break;
	case MPPOOL_EITER:
		fprintf(to, "the generator failed after %zu items: %s", e->index, e->message);
		break;
	case MPPOOL_EBROKEN:
		fprintf(to, "the initializer of worker %zu failed: %s", e->index, e->message);
		break;
	default:
		fputs(e->message, to);
	}
	if (strcmp(name, "unknown") == 0)
		fprintf(to, " (%d)\n", e->code);
	else
		fprintf(to, " (%s)\n", name);
}

MPP_PUBLIC void mppool_perror(const char *prefix, int code)
{
	const struct mppool_error other = {code, 0, 0, mppool_strerror(code)};
	int cancel_state, saved = errno;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);   /* stdio has cancellation points */
	flockfile(stderr);
	if (prefix && *prefix)
		fprintf(stderr, "%s: ", prefix);
	if (code == 0)
		fputs("Success\n", stderr);
	else if (code == last.returned)
		print_reason(stderr, code, &last.error);
	else
		print_reason(stderr, 0, &other);
	funlockfile(stderr);
	pthread_setcancelstate(cancel_state, NULL);
	errno = saved;
}
