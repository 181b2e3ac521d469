/* pmap.c - run a command for each line of input, several at once: an xargs whose outputs do not get mixed up.
 *
 * SPDX-License-Identifier: MIT
 *
 *     ls *.wav | ./pmap -j 8 flac --silent {}
 *     seq 1 254 | ./pmap -j 100 -u ping -c 1 192.0.2.{}
 *
 * A generator reads the lines, imap (or, with -u, imap_unordered) runs the commands, and the main thread prints what
 * each of them wrote, as a whole: in the order of the lines, or as the commands end. No more is read ahead than there
 * is room for in the iterator, so the input may be endless.
 *
 * Two things to know about commands that pool threads start: these threads block all signals, so a command must be
 * given the mask of the main thread; and a pipe that another thread makes at the same time must not get into it. */
#define _XOPEN_SOURCE 700
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <mppool.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MAX_WORKERS = 4096, EXIT_USAGE = 2, EXIT_FAILED = 123, NOT_STARTED = -1 };

extern char **environ;

struct output {
	char *bytes;
	size_t len;
	size_t room;
};

struct outcome {                         /* of one command: a result of the pool */
	struct output out[2];            /* what it wrote to its standard output and its standard error */
	int status;                      /* as from waitpid, or NOT_STARTED */
	int error;                       /* why it was not started */
	char *line;                      /* if it failed */
};

struct template {                        /* the context of the task */
	char **argv;                     /* to a NULL; {} stands for the line */
	int argc;
	bool has_place;                  /* there is a {}; else the line comes last */
	sigset_t mask;
	pthread_mutex_t spawning;        /* held while a pipe is there that is not yet closed on exec */
};

static void check(int code, const char *what)
{
	if (code) {
		fprintf(stderr, "pmap: %s: %s\n", what, mppool_strerror(code));
		exit(EXIT_FAILURE);
	}
}

/* --------------------------------------------------------------------------------------------------- the generator */

static int next_line(void *const args[], void *state)
{
	FILE *file = state;
	char **line = args[0];
	size_t size = 0;
	const ssize_t len = getline(line, &size, file);

	if (len < 0) {
		free(*line);
		return ferror(file) ? mppool_raise(errno, "standard input: %s", strerror(errno)) : MPPOOL_ESTOP;
	}
	if (len > 0 && (*line)[len - 1] == '\n')
		(*line)[len - 1] = '\0';
	return 0;
}

static void drop_line(const void *const args[], void *context)
{
	(void)context;
	free(*(char *const *)args[0]);
}

/* -------------------------------------------------------------------------------------------------------- the task */

/* Copies an argument, with the line for each {}; NULL as target only counts. Returns its size, with its final 0. */
static size_t fill_in(char *target, const char *argument, const char *line)
{
	const size_t line_len = strlen(line);
	size_t size = 0;

	for (; *argument; argument++) {
		if (argument[0] == '{' && argument[1] == '}') {
			if (target)
				memcpy(target + size, line, line_len);
			size += line_len;
			argument++;
		} else {
			if (target)
				target[size] = *argument;
			size++;
		}
	}
	if (target)
		target[size] = '\0';
	return size + 1;
}

/* The command's arguments, all in one block of memory; NULL: there is none. */
static char **make_argv(const struct template *template, char *line)
{
	const size_t slots = (size_t)template->argc + 2;
	size_t size = slots * sizeof(char *);
	char **argv, *at;

	for (int i = 0; i < template->argc; i++)
		size += fill_in(NULL, template->argv[i], line);
	argv = malloc(size);
	if (!argv)
		return NULL;
	at = (char *)(argv + slots);
	for (int i = 0; i < template->argc; i++) {
		argv[i] = at;
		at += fill_in(at, template->argv[i], line);
	}
	argv[template->argc] = template->has_place ? NULL : line;
	argv[template->argc + 1] = NULL;
	return argv;
}

/* Start a command that writes to these two descriptors. Returns 0 or an errno value. */
static int spawn(const struct template *template, char **argv, const int writers[2], pid_t *ret_pid)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	int code;

	if (posix_spawn_file_actions_init(&actions))
		return ENOMEM;
	if (posix_spawnattr_init(&attributes)) {
		posix_spawn_file_actions_destroy(&actions);
		return ENOMEM;
	}
	code = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	for (int i = 0; i < 2 && !code; i++)
		code = posix_spawn_file_actions_adddup2(&actions, writers[i], STDOUT_FILENO + i);
	if (!code)
		code = posix_spawnattr_setsigmask(&attributes, &template->mask);
	if (!code)
		code = posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
	if (!code)
		code = posix_spawnp(ret_pid, argv[0], &actions, &attributes, argv, environ);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	return code;
}

/* A pipe that is closed on exec. Returns 0 or an errno value. */
static int make_pipe(int *ret_reader, int *ret_writer)
{
	int ends[2];

	if (pipe(ends))
		return errno;
	fcntl(ends[0], F_SETFD, FD_CLOEXEC);
	fcntl(ends[1], F_SETFD, FD_CLOEXEC);
	*ret_reader = ends[0];
	*ret_writer = ends[1];
	return 0;
}

/* Start a command and get its ends of two pipes to read from. Returns 0 or an errno value. */
static int start(struct template *template, char **argv, int ret_readers[2], pid_t *ret_pid)
{
	int readers[2] = {-1, -1}, writers[2] = {-1, -1};
	int code = 0;

	pthread_mutex_lock(&template->spawning);
	for (int i = 0; i < 2 && !code; i++)
		code = make_pipe(&readers[i], &writers[i]);
	if (!code)
		code = spawn(template, argv, writers, ret_pid);
	pthread_mutex_unlock(&template->spawning);
	for (int i = 0; i < 2; i++) {
		if (writers[i] >= 0)
			close(writers[i]);
		if (code && readers[i] >= 0)
			close(readers[i]);
		ret_readers[i] = readers[i];
	}
	return code;
}

/* Read some of what the command wrote. False at its end. For want of memory the rest is thrown away. */
static bool read_some(int fd, struct output *output)
{
	char scratch[4096];
	ssize_t n;

	if (output->len == output->room) {
		char *more = realloc(output->bytes, 2 * output->room + sizeof scratch);

		if (more) {
			output->bytes = more;
			output->room = 2 * output->room + sizeof scratch;
		}
	}
	if (output->len == output->room)
		return read(fd, scratch, sizeof scratch) > 0;
	n = read(fd, output->bytes + output->len, output->room - output->len);
	if (n > 0)
		output->len += (size_t)n;
	return n > 0;
}

/* Until the command has closed both. */
static void read_outputs(const int readers[2], struct output outputs[2])
{
	struct pollfd polled[2] = {{.fd = readers[0], .events = POLLIN}, {.fd = readers[1], .events = POLLIN}};

	while (polled[0].fd >= 0 || polled[1].fd >= 0) {
		if (poll(polled, 2, -1) < 0)
			continue;
		for (int i = 0; i < 2; i++)
			if (polled[i].fd >= 0 && polled[i].revents && !read_some(polled[i].fd, &outputs[i])) {
				close(polled[i].fd);
				polled[i].fd = -1;
			}
	}
}

/* One item. That a command fails is not a failure of the task: what it wrote is still wanted. */
static int run(const void *const args[], void *result, void *context)
{
	char *line = *(char *const *)args[0];
	struct template *template = context;
	struct outcome outcome = {.status = NOT_STARTED};
	char **argv = make_argv(template, line);
	int readers[2];
	pid_t pid;

	outcome.error = argv ? start(template, argv, readers, &pid) : ENOMEM;
	free(argv);
	if (outcome.error == 0) {
		read_outputs(readers, outcome.out);
		waitpid(pid, &outcome.status, 0);
	}
	if (outcome.status != 0)
		outcome.line = strdup(line);
	*(struct outcome *)result = outcome;
	return 0;
}

static void drop_outcome(void *result, void *context)
{
	struct outcome *outcome = result;

	(void)context;
	free(outcome->out[0].bytes);
	free(outcome->out[1].bytes);
	free(outcome->line);
}

/* ------------------------------------------------------------------------------------------------- the main thread */

struct failure {
	size_t index;
	struct outcome outcome;
};

struct failures {
	struct failure *failure;
	size_t n;
};

static void keep_failure(struct failures *failures, size_t index, struct outcome *outcome)
{
	struct failure *more = realloc(failures->failure, (failures->n + 1) * sizeof *more);

	check(more ? 0 : ENOMEM, "the failures");
	failures->failure = more;
	failures->failure[failures->n++] = (struct failure){index, {.status = outcome->status, .error = outcome->error,
	                                                            .line = outcome->line}};
	outcome->line = NULL;
}

static void print_outcome(const struct outcome *outcome)
{
	if (outcome->out[0].len)
		fwrite(outcome->out[0].bytes, 1, outcome->out[0].len, stdout);
	check(fflush(stdout) || ferror(stdout) ? EIO : 0, "standard output");
	if (outcome->out[1].len)
		fwrite(outcome->out[1].bytes, 1, outcome->out[1].len, stderr);
}

static int by_index(const void *a, const void *b)
{
	const struct failure *first = a, *second = b;

	return (first->index > second->index) - (first->index < second->index);
}

/* In the order of the lines. */
static void print_failures(struct failures *failures, size_t total)
{
	qsort(failures->failure, failures->n, sizeof *failures->failure, by_index);
	fprintf(stderr, "pmap: %zu of %zu failed:\n", failures->n, total);
	for (size_t i = 0; i < failures->n; i++) {
		const struct failure *failure = &failures->failure[i];
		const int status = failure->outcome.status;

		fprintf(stderr, "pmap: line %zu: ", failure->index + 1);
		if (status == NOT_STARTED)
			fprintf(stderr, "%s", strerror(failure->outcome.error));
		else if (WIFSIGNALED(status))
			fprintf(stderr, "signal %d", WTERMSIG(status));
		else
			fprintf(stderr, "exit status %d", WEXITSTATUS(status));
		fprintf(stderr, ": %s\n", failure->outcome.line ? failure->outcome.line : "");
		free(failure->outcome.line);
	}
	free(failures->failure);
}

/* Returns what main should. */
static int print_all(mppool_iter *iter)
{
	struct failures failures = {NULL, 0};
	struct outcome outcome;
	size_t index, total = 0;
	int code;

	while ((code = mppool_iter_next(iter, &outcome, &index, MPPOOL_FOREVER)) == 0) {
		total++;
		print_outcome(&outcome);
		if (outcome.status != 0)
			keep_failure(&failures, index, &outcome);
		drop_outcome(&outcome, NULL);
	}
	if (failures.n)
		print_failures(&failures, total);
	if (code == MPPOOL_EITER)
		fprintf(stderr, "pmap: %s\n", mppool_last_error()->message);
	else
		check(code == MPPOOL_ESTOP ? 0 : code, "mppool_iter_next");
	return code == MPPOOL_EITER ? EXIT_FAILURE : failures.n ? EXIT_FAILED : EXIT_SUCCESS;
}

static int pmap(char **command, int argc, int jobs, bool unordered)
{
	struct template template = {.argv = command, .argc = argc, .spawning = PTHREAD_MUTEX_INITIALIZER};
	const struct mppool_func run_task = {
		.size = sizeof run_task,
		.call = run,
		.nargs = 1,
		.arg_size = {sizeof(char *)},
		.result_size = sizeof(struct outcome),
		.context = &template,
		.drop_args = drop_line,
		.drop_result = drop_outcome,
		.name = "run",
	};
	struct mppool_iterable lines = MPPOOL_ITERABLE_INIT;
	mppool *pool;
	mppool_iter *iter;
	int status;

	for (int i = 0; i < argc; i++)
		template.has_place |= strstr(command[i], "{}") != NULL;
	check(pthread_sigmask(SIG_SETMASK, NULL, &template.mask), "pthread_sigmask");
	lines.next = next_line;
	lines.state = stdin;
	check(mppool_create(MPPOOL_OPTIONS(.workers = jobs, .name = "pmap"), &pool), "mppool_create");
	check((unordered ? mppool_imap_unordered : mppool_imap)(pool, &run_task, &lines, 1, 0, NULL, &iter),
	      "mppool_imap");
	status = print_all(iter);
	mppool_iter_free(iter);
	check(mppool_destroy(pool), "mppool_destroy");
	return status;
}

static void usage(FILE *to)
{
	fputs("Usage: pmap [OPTION]... COMMAND [ARGUMENT]...\n"
	      "Run COMMAND for each line of standard input, several at once. The line takes the place of each {} in\n"
	      "the arguments; without a {} it is the last argument. The outputs are printed one after the other, in\n"
	      "the order of the lines; what failed is told at the end.\n"
	      "\n"
	      "  -j JOBS      so many at once; the default is one per CPU\n"
	      "  -u           print each output as soon as the command has ended\n"
	      "  -h, --help   show this help\n"
	      "\n"
	      "The exit status is 123 if a command failed.\n",
	      to);
}

static int parse_jobs(const char *text)
{
	char *end;
	const long value = strtol(text, &end, 10);

	if (end == text || *end || value < 1 || value > MAX_WORKERS) {
		fprintf(stderr, "pmap: -j takes a number from 1 to %d\n", MAX_WORKERS);
		exit(EXIT_USAGE);
	}
	return (int)value;
}

/* Descriptors 0 to 2 are taken, so that no pipe gets in their place. */
static void open_standard_files(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

int main(int argc, char **argv)
{
	static const struct option long_options[] = {{"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
	bool unordered = false;
	int jobs = 0;
	int option;

	open_standard_files();
	signal(SIGCHLD, SIG_DFL);        /* ignored, commands would take their exit status with them */
	/* The +: options behind the command are the command's. */
	while ((option = getopt_long(argc, argv, "+hj:u", long_options, NULL)) != -1) {
		switch (option) {
		case 'j': jobs = parse_jobs(optarg); break;
		case 'u': unordered = true; break;
		case 'h': usage(stdout); return fflush(stdout) ? EXIT_FAILURE : EXIT_SUCCESS;
		default: usage(stderr); return EXIT_USAGE;
		}
	}
	if (optind == argc) {
		usage(stderr);
		return EXIT_USAGE;
	}
	return pmap(argv + optind, argc - optind, jobs, unordered);
}
