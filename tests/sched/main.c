/* SPDX-License-Identifier: MIT
 *
 * The program: runs scenarios under many schedules, each scenario in a process of its own. README has the options. */
#include "engine.h"

#include "scenarios.h"

#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MOST_BOUND 3             /* departures that are tried systematically */
#define STUCK 30                 /* seconds in which a thread takes no step */

static const struct sched_scenario *const all[] = {SCHED_SCENARIOS};

struct report {                  /* of a child to its parent */
	size_t schedules, steps, longest;
	unsigned bound;                  /* all schedules with so many departures were tried */
	double seconds;
};

static struct options {
	const char *scenario;            /* NULL: all */
	const char *departures;
	bool one, verbose, list;
	uint64_t seed;
	double seconds;
} options = {NULL, NULL, false, false, false, 1, 12};

static double clock_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* ------------------------------------------------------------------------------------------------------ a scenario */

static void stuck(int signal)
{
	(void)signal;
	engine_fail("a thread has taken no step for %d seconds", STUCK);
}

static void crashed(int number)
{
	signal(number, SIG_DFL);
	engine_fail("signal %d: %s", number, strsignal(number));
}

/* Turns pass many times faster between threads on one CPU. */
static void stay_on_one_cpu(void)
{
#ifdef CPU_SET
	cpu_set_t set;
	int cpu = sched_getcpu();

	if (cpu < 0 || cpu >= CPU_SETSIZE)
		return;
	CPU_ZERO(&set);
	CPU_SET((size_t)cpu, &set);
	sched_setaffinity(0, sizeof set, &set);
#endif
}

static void prepare(void)
{
	stay_on_one_cpu();
	signal(SIGALRM, stuck);
	signal(SIGSEGV, crashed);
	signal(SIGBUS, crashed);
	signal(SIGABRT, crashed);
	signal(SIGFPE, crashed);
}

static void run_once(const struct sched_scenario *scenario, struct report *report)
{
	alarm(STUCK);
	engine_run(scenario->run);
	report->schedules++;
	report->steps += engine_steps();
	if (report->longest < engine_steps())
		report->longest = engine_steps();
}

/* What is set up once in a process is not to be part of a schedule. */
static void warm_up(const struct sched_scenario *scenario)
{
	struct report unused = {0, 0, 0, 0, 0};

	choose_systematic(0);
	run_once(scenario, &unused);
}

/* All schedules with one departure, with two ..., as far as they can be tried before that time. */
static void explore_systematically(const struct sched_scenario *scenario, double until, struct report *report)
{
	for (unsigned bound = 0; bound <= MOST_BOUND; bound++) {
		choose_systematic(bound);
		do {
			if (clock_now() >= until)
				return;
			run_once(scenario, report);
		} while (choose_next());
		report->bound = bound;
	}
}

static void explore(const struct sched_scenario *scenario, double seconds, struct report *report)
{
	double start = clock_now();

	warm_up(scenario);
	for (uint64_t seed = options.seed; clock_now() < start + seconds * 0.6; seed++) {
		choose_seeded(seed);
		run_once(scenario, report);
	}
	explore_systematically(scenario, start + seconds, report);
	report->seconds = clock_now() - start;
}

/* The schedule that a failure told of. */
static void run_given(const struct sched_scenario *scenario)
{
	struct report report = {0, 0, 0, 0, 0};

	prepare();
	warm_up(scenario);
	if (!options.departures) {
		choose_seeded(options.seed);
	} else if (!choose_departures(options.departures)) {
		fprintf(stderr, "departures are place:choice,...\n");
		exit(2);
	}
	run_once(scenario, &report);
	if (options.verbose)
		engine_print_schedule();
	printf("ok: %zu steps\n", report.steps);
}

/* --------------------------------------------------------------------------------------------------- all scenarios */

static bool run_in_child(const struct sched_scenario *scenario, double seconds, struct report *report)
{
	int status;
	pid_t child;

	fflush(stdout);
	child = fork();
	if (child == 0) {
		prepare();
		explore(scenario, seconds, report);
		_exit(0);
	}
	if (child < 0 || waitpid(child, &status, 0) != child)
		return false;
	if (WIFSIGNALED(status))
		printf("# killed by signal %d\n", WTERMSIG(status));
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static bool wanted(const struct sched_scenario *scenario)
{
	return !options.scenario || strcmp(options.scenario, scenario->name) == 0;
}

static size_t count_wanted(void)
{
	size_t n = 0;

	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
		for (const struct sched_scenario *s = all[i]; s->name; s++)
			n += wanted(s);
	return n;
}

static void tell(size_t number, const struct sched_scenario *s, bool ok, const struct report *r)
{
	printf("%s %zu - %s: %zu schedules of %zu steps (up to %zu), %.0f a second, all with up to %u departures\n",
	       ok ? "ok" : "not ok", number, s->name, r->schedules, r->schedules ? r->steps / r->schedules : 0,
	       r->longest, r->seconds > 0 ? (double)r->schedules / r->seconds : 0, r->bound);
	if (!ok)
		printf("# the scenario: -s %s\n", s->name);
	fflush(stdout);
}

static int run_all(struct report *report)
{
	double end = clock_now() + options.seconds, start = clock_now();
	size_t left = count_wanted(), number = 0, schedules = 0;
	int failed = 0;

	printf("1..%zu\n", left);
	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
		for (const struct sched_scenario *s = all[i]; s->name; s++) {
			bool ok;

			if (!wanted(s))
				continue;
			memset(report, 0, sizeof *report);
			ok = run_in_child(s, (end - clock_now()) / (double)left--, report);
			tell(++number, s, ok, report);
			schedules += report->schedules;
			failed |= !ok;
		}
	printf("# %zu schedules in %.1f seconds, seeds from %" PRIu64 "\n", schedules, clock_now() - start,
	       options.seed);
	return failed;
}

static void list(void)
{
	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
		for (const struct sched_scenario *s = all[i]; s->name; s++)
			puts(s->name);
}

/* ------------------------------------------------------------------------------------------------------- arguments */

static int usage(void)
{
	fprintf(stderr, "usage: interleavings [-l] [-s SCENARIO] [-t SECONDS] [-f FIRST_SEED]\n"
	                "       interleavings -s SCENARIO [-v] -r SEED | -d DEPARTURES\n");
	return 2;
}

static bool get_options(int argc, char **argv)
{
	const char *text = getenv("MPPOOL_INTERLEAVINGS_SECONDS");
	int option;

	if (text)
		options.seconds = strtod(text, NULL);
	while ((option = getopt(argc, argv, "d:f:lr:s:t:v")) != -1) {
		if (option == 'd')
			options.departures = optarg;
		else if (option == 'f' || option == 'r')
			options.seed = strtoull(optarg, NULL, 10);
		else if (option == 's')
			options.scenario = optarg;
		else if (option == 't')
			options.seconds = strtod(optarg, NULL);
		else if (option == 'l')
			options.list = true;
		else if (option == 'v')
			options.verbose = true;
		else
			return false;
		if (option == 'r' || option == 'd')
			options.one = true;
	}
	return optind == argc && (!options.one || options.scenario) && options.seconds > 0;
}

int main(int argc, char **argv)
{
	struct report *report;

	if (!get_options(argc, argv))
		return usage();
	if (options.list) {
		list();
		return 0;
	}
	if (count_wanted() == 0) {
		fprintf(stderr, "interleavings: there is no scenario %s\n", options.scenario);
		return 2;
	}
	if (options.one) {
		for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
			for (const struct sched_scenario *s = all[i]; s->name; s++)
				if (wanted(s))
					run_given(s);
		return 0;
	}
	report = mmap(NULL, sizeof *report, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (report == MAP_FAILED) {
		perror("interleavings");
		return 1;
	}
	return run_all(report);
}
