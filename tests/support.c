/* support.c - what the tests share
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE 1
#include "support.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE 30.0                            /* seconds, times the factor, for what should come at once */

/* ---------------------------------------------------------------------------------------------------- the watchdog */

double timeout_factor(void)
{
	const char *const text = getenv("MPPOOL_TEST_TIMEOUT_FACTOR");
	const double factor = text ? strtod(text, NULL) : 1.0;

	return factor >= 1.0 ? factor : 1.0;
}

bool under_valgrind(void)
{
	const char *const preload = getenv("LD_PRELOAD");

	return getenv("MPPOOL_TEST_VALGRIND") || (preload && strstr(preload, "vgpreload"));
}

/* Only what a signal handler may call: the thread that it interrupts may hold any lock of the C library. */
static void say(const char *text)
{
	if (write(STDERR_FILENO, text, strlen(text)) < 0)
		return;
}

static void say_file(const char *tid, const char *file)
{
	char path[64] = "/proc/self/task/";
	char text[128];

	strcat(path, tid);
	strcat(path, file);
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	const ssize_t got = read(fd, text, sizeof text - 1);
	close(fd);
	for (ssize_t i = 0; i < got; i++)
		if (text[i] == '\n')
			text[i] = ' ';
	text[got > 0 ? got : 0] = 0;
	say(text);
}

static void say_thread(const char *tid)
{
	say("  thread ");
	say(tid);
	say(": ");
	say_file(tid, "/comm");
	say("in ");
	say_file(tid, "/wchan");
	say(" system call ");
	say_file(tid, "/syscall");
	say("\n");
}

struct directory_entry {                         /* what the kernel writes for getdents64 */
	uint64_t inode;
	int64_t offset;
	unsigned short length;
	unsigned char type;
	char name[];
};

static void watchdog_bites(int signal_number)
{
	_Alignas(struct directory_entry) char entries[4096];
	long got, at;

	(void)signal_number;
	say("the test hangs; its threads:\n");
	const int fd = open("/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	while (fd >= 0 && (got = syscall(SYS_getdents64, fd, entries, sizeof entries)) > 0)
		for (at = 0; at < got;) {
			const struct directory_entry *const entry = (const void *)(entries + at);
			if (entry->name[0] != '.')
				say_thread(entry->name);
			at += entry->length;
		}
	signal(SIGABRT, SIG_DFL);
	abort();
}

static void watchdog_set(double seconds)
{
	const struct itimerval timer = {.it_value = {.tv_sec = (time_t)seconds}};

	setitimer(ITIMER_REAL, &timer, NULL);
}

static double test_began;

static void watchdog_start(void)
{
	test_began = seconds_now();
	signal(SIGALRM, watchdog_bites);
	watchdog_set(TEST_SECONDS * timeout_factor());
}

static void watchdog_stop(void)
{
	watchdog_set(0);
}

bool time_left(void)
{
	return getenv("MPPOOL_TEST_FULL") || seconds_now() - test_began < TEST_SECONDS * timeout_factor() / 3;
}

TCase *add_case(Suite *suite, const char *name)
{
	TCase *const tcase = tcase_create(name);

	/* Check's own limit is for what survives the watchdog. Check multiplies it by CK_TIMEOUT_MULTIPLIER itself. */
	tcase_set_timeout(tcase, (TEST_SECONDS + 5) * (getenv("CK_TIMEOUT_MULTIPLIER") ? 1 : timeout_factor()));
	tcase_add_checked_fixture(tcase, watchdog_start, watchdog_stop);
	suite_add_tcase(suite, tcase);
	return tcase;
}

int run_suite(const char *name, void (*fill)(Suite *suite), int argc, char **argv)
{
	Suite *const suite = suite_create(name);
	SRunner *const runner = srunner_create(suite);
	int failed = 0;

	fill(suite);
	if (argc < 2)
		srunner_run_all(runner, CK_ENV);
	for (int i = 1; i < argc; i++) {
		if (!suite_tcase(suite, argv[i])) {
			fprintf(stderr, "%s: no case \"%s\"\n", name, argv[i]);
			failed++;
			continue;
		}
		srunner_run(runner, NULL, argv[i], CK_ENV);
		failed += srunner_ntests_failed(runner);
	}
	failed += argc < 2 ? srunner_ntests_failed(runner) : 0;
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* ----------------------------------------------------------------------------------------------------------- gates */

void gate_init(struct gate *gate)
{
	*gate = (struct gate){.open = false};
	pthread_mutex_init(&gate->lock, NULL);
	pthread_cond_init(&gate->changed, NULL);
}

void gate_destroy(struct gate *gate)
{
	pthread_cond_destroy(&gate->changed);
	pthread_mutex_destroy(&gate->lock);
}

void gate_open(struct gate *gate)
{
	pthread_mutex_lock(&gate->lock);
	gate->open = true;
	pthread_cond_broadcast(&gate->changed);
	pthread_mutex_unlock(&gate->lock);
}

void gate_admit(struct gate *gate, size_t n)
{
	pthread_mutex_lock(&gate->lock);
	gate->admitted += n;
	pthread_cond_broadcast(&gate->changed);
	pthread_mutex_unlock(&gate->lock);
}

void gate_wait(struct gate *gate)
{
	pthread_mutex_lock(&gate->lock);
	gate->arrivals++;
	pthread_cond_broadcast(&gate->changed);
	while (!gate->open && gate->departures >= gate->admitted)
		pthread_cond_wait(&gate->changed, &gate->lock);
	gate->departures++;
	pthread_cond_broadcast(&gate->changed);
	pthread_mutex_unlock(&gate->lock);
}

void gate_wait_arrivals(struct gate *gate, size_t n)
{
	pthread_mutex_lock(&gate->lock);
	while (gate->arrivals < n)
		pthread_cond_wait(&gate->changed, &gate->lock);
	pthread_mutex_unlock(&gate->lock);
}

void gate_wait_departures(struct gate *gate, size_t n)
{
	pthread_mutex_lock(&gate->lock);
	while (gate->departures < n)
		pthread_cond_wait(&gate->changed, &gate->lock);
	pthread_mutex_unlock(&gate->lock);
}

size_t gate_arrivals(struct gate *gate)
{
	pthread_mutex_lock(&gate->lock);
	const size_t arrivals = gate->arrivals;
	pthread_mutex_unlock(&gate->lock);
	return arrivals;
}

size_t gate_departures(struct gate *gate)
{
	pthread_mutex_lock(&gate->lock);
	const size_t departures = gate->departures;
	pthread_mutex_unlock(&gate->lock);
	return departures;
}

/* ----------------------------------------------------------------------------------------------- recorders, levels */

void recorder_init(struct recorder *recorder)
{
	*recorder = (struct recorder){.count = 0};
	pthread_mutex_init(&recorder->lock, NULL);
	pthread_cond_init(&recorder->grown, NULL);
}

void recorder_destroy(struct recorder *recorder)
{
	free(recorder->values);
	pthread_cond_destroy(&recorder->grown);
	pthread_mutex_destroy(&recorder->lock);
}

static void recorder_grow_locked(struct recorder *recorder)
{
	recorder->room = recorder->room ? 2 * recorder->room : 64;
	recorder->values = realloc(recorder->values, recorder->room * sizeof *recorder->values);
	if (!recorder->values)
		abort();
}

void record(struct recorder *recorder, int value)
{
	pthread_mutex_lock(&recorder->lock);
	if (recorder->count == recorder->room)
		recorder_grow_locked(recorder);
	recorder->values[recorder->count++] = value;
	pthread_cond_broadcast(&recorder->grown);
	pthread_mutex_unlock(&recorder->lock);
}

size_t recorded_count(struct recorder *recorder)
{
	pthread_mutex_lock(&recorder->lock);
	const size_t count = recorder->count;
	pthread_mutex_unlock(&recorder->lock);
	return count;
}

static size_t times_locked(const struct recorder *recorder, int value)
{
	size_t times = 0;

	for (size_t i = 0; i < recorder->count; i++)
		times += recorder->values[i] == value;
	return times;
}

size_t recorded_times(struct recorder *recorder, int value)
{
	pthread_mutex_lock(&recorder->lock);
	const size_t times = times_locked(recorder, value);
	pthread_mutex_unlock(&recorder->lock);
	return times;
}

int recorded_at(struct recorder *recorder, size_t place)
{
	pthread_mutex_lock(&recorder->lock);
	const int value = place < recorder->count ? recorder->values[place] : INT_MIN;
	pthread_mutex_unlock(&recorder->lock);
	return value;
}

void recorded_wait(struct recorder *recorder, size_t n)
{
	pthread_mutex_lock(&recorder->lock);
	while (recorder->count < n)
		pthread_cond_wait(&recorder->grown, &recorder->lock);
	pthread_mutex_unlock(&recorder->lock);
}

bool recorded_ascending(struct recorder *recorder)
{
	bool ascending = true;

	pthread_mutex_lock(&recorder->lock);
	for (size_t i = 1; i < recorder->count; i++)
		ascending = ascending && recorder->values[i - 1] < recorder->values[i];
	pthread_mutex_unlock(&recorder->lock);
	return ascending;
}

bool recorded_each_once(struct recorder *recorder, int first, size_t n)
{
	bool *const seen = calloc(n ? n : 1, sizeof *seen);
	bool once = seen;

	pthread_mutex_lock(&recorder->lock);
	once = once && recorder->count == n;
	for (size_t i = 0; once && i < n; i++) {
		const long place = (long)recorder->values[i] - first;
		once = place >= 0 && (size_t)place < n && !seen[place];
		if (once)
			seen[place] = true;
	}
	pthread_mutex_unlock(&recorder->lock);
	free(seen);
	return once;
}

void raise_peak(atomic_size_t *peak, size_t value)
{
	size_t old = atomic_load(peak);

	while (old < value && !atomic_compare_exchange_weak(peak, &old, value))
		;
}

size_t level_enter(struct level *level)
{
	const size_t inside = atomic_fetch_add(&level->inside, 1) + 1;

	raise_peak(&level->peak, inside);
	return inside;
}

void level_leave(struct level *level)
{
	atomic_fetch_sub(&level->inside, 1);
}

/* ------------------------------------------------------------------------------------------------- pools and tasks */

mppool *pool_of(int workers)
{
	mppool *pool = NULL;

	assert_ok(mppool_create(MPPOOL_OPTIONS(.workers = workers), &pool));
	ck_assert_ptr_nonnull(pool);
	return pool;
}

void pool_finish(mppool *pool)
{
	assert_ok(mppool_close(pool));
	assert_ok(mppool_join(pool, MPPOOL_FOREVER));
	assert_ok(mppool_destroy(pool));
}

struct mppool_func make_func(mppool_item_call *call, size_t nargs, size_t result_size, void *context)
{
	struct mppool_func func = MPPOOL_FUNC_INIT;

	func.call = call;
	func.nargs = nargs;
	for (size_t i = 0; i < nargs; i++)
		func.arg_size[i] = sizeof(int);
	func.result_size = result_size;
	func.context = context;
	return func;
}

int int_arg(const void *const args[], size_t i)
{
	return *(const int *)args[i];
}

int square_call(const void *const args[], void *result, void *context)
{
	(void)context;
	*(int *)result = int_arg(args, 0) * int_arg(args, 0);
	return 0;
}

int gate_call(const void *const args[], void *result, void *context)
{
	gate_wait(context);
	*(int *)result = int_arg(args, 0);
	return 0;
}

int record_call(const void *const args[], void *result, void *context)
{
	record(context, int_arg(args, 0));
	*(int *)result = int_arg(args, 0);
	return 0;
}

void hold_workers(struct hold *hold, mppool *pool, size_t workers)
{
	gate_init(&hold->gate);
	const struct mppool_func func = make_func(gate_call, 1, sizeof(int), &hold->gate);

	hold->n = workers;
	hold->results = calloc(workers, sizeof(mppool_result *));
	ck_assert_ptr_nonnull(hold->results);
	for (int i = 0; i < (int)workers; i++)
		assert_ok(mppool_apply_async(pool, &func, MPPOOL_ARGS(&i), NULL, &hold->results[i]));
	gate_wait_arrivals(&hold->gate, workers);
}

void hold_release(struct hold *hold)
{
	gate_open(&hold->gate);
	for (size_t i = 0; i < hold->n; i++) {
		assert_ok(mppool_result_wait(hold->results[i], MPPOOL_FOREVER));
		mppool_result_free(hold->results[i]);
	}
	free(hold->results);
	gate_destroy(&hold->gate);
}

/* ------------------------------------------------------------------------------------------------------ generators */

static int source_end(const struct source *source)
{
	if (source->fail_code != 0 && source->place == source->fail_at) {
		if (source->fail_message)
			return mppool_raise_message(source->fail_code, source->fail_message);
		return source->fail_code;
	}
	if (source->length != MPPOOL_UNKNOWN && source->place >= source->length)
		return MPPOOL_ESTOP;
	return 0;
}

int source_next(void *const args[], void *state)
{
	struct source *const source = state;

	level_enter(&source->callers);
	atomic_fetch_add(&source->calls, 1);
	thread_name(source->thread);
	if (atomic_load(&source->finished))
		atomic_store(&source->after_finish, 1);
	if (source->gate && (source->block_always || source->place == source->block_at)) {
		gate_wait(source->gate);
		while (source->until_stopped && !mppool_should_stop())
			sched_yield();
		if (mppool_should_stop())
			atomic_store(&source->saw_stop, 1);
	}
	const int code = source_end(source);
	if (code == 0) {
		*(int *)args[0] = (int)source->place++;
		atomic_fetch_add(&source->drawn, 1);
	}
	level_leave(&source->callers);
	return code;
}

void source_finish(void *state)
{
	struct source *const source = state;

	atomic_fetch_add(&source->finished, 1);
}

struct mppool_iterable source_items(struct source *source)
{
	return (struct mppool_iterable){.size = sizeof(struct mppool_iterable),
	                                .next = source_next,
	                                .finish = source_finish,
	                                .state = source};
}

/* ------------------------------------------------------------------------------------------------ threads, process */

struct crowd {
	struct gate gate;
	void (*f)(size_t i, void *arg);
	void *arg;
};

struct member {
	struct crowd *crowd;
	size_t i;
	pthread_t thread;
};

static void *member_run(void *arg)
{
	struct member *const member = arg;

	gate_wait(&member->crowd->gate);
	member->crowd->f(member->i, member->crowd->arg);
	return NULL;
}

void run_in_threads(size_t n, void (*f)(size_t i, void *arg), void *arg)
{
	struct crowd crowd = {.f = f, .arg = arg};
	struct member *const members = calloc(n, sizeof *members);

	if (!members)
		abort();
	gate_init(&crowd.gate);
	for (size_t i = 0; i < n; i++) {
		members[i] = (struct member){.crowd = &crowd, .i = i};
		if (pthread_create(&members[i].thread, NULL, member_run, &members[i]))
			abort();
	}
	gate_wait_arrivals(&crowd.gate, n);
	gate_open(&crowd.gate);
	for (size_t i = 0; i < n; i++)
		pthread_join(members[i].thread, NULL);
	gate_destroy(&crowd.gate);
	free(members);
}

static void *runner_run(void *arg)
{
	struct runner *const runner = arg;

	runner->f(runner->arg);
	atomic_store(&runner->done, true);
	return NULL;
}

void runner_start(struct runner *runner, void (*f)(void *arg), void *arg)
{
	runner->f = f;
	runner->arg = arg;
	atomic_init(&runner->done, false);
	if (pthread_create(&runner->thread, NULL, runner_run, runner))
		abort();
}

bool runner_done(struct runner *runner)
{
	return atomic_load(&runner->done);
}

void runner_join(struct runner *runner)
{
	pthread_join(runner->thread, NULL);
}

void thread_name(char name[16])
{
	name[0] = 0;
	prctl(PR_GET_NAME, name, 0, 0, 0);
}

int thread_id(void)
{
	return (int)syscall(SYS_gettid);
}

/* One line of a file of a thread; an empty one when the thread has gone meanwhile. */
static void task_line(const char *tid, const char *file, const char *key, char line[128])
{
	char path[300];

	line[0] = 0;
	snprintf(path, sizeof path, "/proc/self/task/%s/%s", tid, file);
	FILE *const stream = fopen(path, "re");
	if (!stream)
		return;
	while (fgets(line, 128, stream) && strncmp(line, key, strlen(key)) != 0)
		line[0] = 0;
	fclose(stream);
	line[strcspn(line, "\n")] = 0;
}

/* Calls visit for each thread of the process and sums what it returns. */
static long each_thread(long (*visit)(const char *tid, const char *name), const char *name)
{
	DIR *const directory = opendir("/proc/self/task");
	const struct dirent *entry;
	long sum = 0;

	if (!directory)
		abort();
	while ((entry = readdir(directory)))
		if (entry->d_name[0] != '.')
			sum += visit(entry->d_name, name);
	closedir(directory);
	return sum;
}

static long visit_prefix(const char *tid, const char *prefix)
{
	char line[128];

	task_line(tid, "comm", "", line);
	return line[0] && strncmp(line, prefix, strlen(prefix)) == 0;
}

static long visit_asleep(const char *tid, const char *name)
{
	char line[128];

	task_line(tid, "comm", "", line);
	if (strcmp(line, name) != 0)
		return 0;
	task_line(tid, "status", "State:", line);
	return strchr(line, 'S') != NULL && strstr(line, "sleeping") != NULL;
}

static long visit_switches(const char *tid, const char *prefix)
{
	char line[128];
	long sum;

	if (!visit_prefix(tid, prefix))
		return 0;
	task_line(tid, "status", "voluntary_ctxt_switches:", line);
	sum = line[0] ? strtol(strchr(line, ':') + 1, NULL, 10) : 0;
	task_line(tid, "status", "nonvoluntary_ctxt_switches:", line);
	return sum + (line[0] ? strtol(strchr(line, ':') + 1, NULL, 10) : 0);
}

size_t threads_named(const char *prefix)
{
	return (size_t)each_thread(visit_prefix, prefix);
}

void nap(void)
{
	nanosleep(&(const struct timespec){.tv_nsec = 1000000}, NULL);
}

size_t threads_settle(const char *prefix, size_t expected)
{
	const double end = seconds_now() + PATIENCE * timeout_factor();
	size_t found;

	while ((found = threads_named(prefix)) != expected && seconds_now() < end)
		nap();
	return found;
}

bool thread_sleeps(const char *name)
{
	const double end = seconds_now() + PATIENCE * timeout_factor();

	while (each_thread(visit_asleep, name) == 0)
		if (seconds_now() < end)
			nap();
		else
			return false;
	return true;
}

static bool is_this_thread(const char *tid)
{
	return strtol(tid, NULL, 10) == thread_id();
}

static long visit_awake_beside_us(const char *tid, const char *prefix)
{
	char line[128];

	if (is_this_thread(tid) || !visit_prefix(tid, prefix))
		return 0;
	task_line(tid, "status", "State:", line);
	return !strstr(line, "sleeping");
}

static long visit_switches_beside_us(const char *tid, const char *unused)
{
	(void)unused;
	return is_this_thread(tid) ? 0 : visit_switches(tid, "");
}

/* Who is seen asleep, and woken then by somebody who is seen asleep later, has been woken by somebody who has
 * switched. */
bool others_sleep(void)
{
	const long before = each_thread(visit_switches_beside_us, "");

	return each_thread(visit_awake_beside_us, "") == 0 && each_thread(visit_switches_beside_us, "") == before;
}

static void wait_some(double seconds)
{
	const time_t whole = (time_t)seconds;
	struct timespec left = {.tv_sec = whole, .tv_nsec = (long)((seconds - (double)whole) * 1e9)};

	while (nanosleep(&left, &left) != 0)
		;
}

bool threads_stand_still(const char *prefix, double seconds)
{
	for (int i = 0; i < 10; i++) {
		const long before = context_switches(prefix);
		wait_some(seconds);
		if (each_thread(visit_awake_beside_us, prefix) == 0 && context_switches(prefix) == before)
			return true;
	}
	return false;
}

double seconds_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

double cpu_seconds(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

long context_switches(const char *prefix)
{
	return each_thread(visit_switches, prefix);
}

void pause_briefly(void)
{
	const double factor = timeout_factor();

	wait_some(0.05 * (factor < 4 ? factor : 4));
}

/* --------------------------------------------------------------------------------------------------------------- forks */

pid_t fork_watched(void)
{
	while (UNDER_ASAN && !others_sleep())
		nap();
	const pid_t child = fork();
	if (child == 0)
		alarm((unsigned)(PATIENCE * timeout_factor()));
	return child;
}

/* What the parent's threads had on their stacks is out of reach in the child: valgrind would take it for lost. */
_Noreturn void child_leaves(void)
{
	if (under_valgrind())
		execlp("true", "true", (char *)NULL);
	_exit(0);
}

void child_ends_well(pid_t child)
{
	int status = 0;

	ck_assert_int_gt(child, 0);
	while (waitpid(child, &status, 0) < 0)
		ck_assert_int_eq(errno, EINTR);
	ck_assert_msg(WIFEXITED(status), "the child was killed by signal %d", WTERMSIG(status));
	ck_assert_msg(WEXITSTATUS(status) == 0, "the child failed in line %d (modulo 250)", WEXITSTATUS(status) - 1);
}
