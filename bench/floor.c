/* floor.c - what the machine itself costs: the units in which run.py also reports the works
 *
 * SPDX-License-Identifier: MIT
 *
 * Each unit is a variant of the work "floor". Two threads use the first two CPUs that the process may use, so that
 * taskset chooses the pair. A unit is a median of many turns: a turn in which the system took a CPU away does not
 * count. */
#define _GNU_SOURCE
#include "harness.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { TURNS = 21 };                     /* of the units that are too short to be timed one by one */

/* --------------------------------------------------------------------------------------------------------- helpers */

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *values, long n)
{
	qsort(values, (size_t)n, sizeof *values, compare);
	return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

/* The first CPU of those that the process may use, or the second; -1 if there is none. */
static int find_cpu(int place)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof set, &set))
		bench_fail("sched_getaffinity", errno);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET((size_t)cpu, &set) && place-- == 0)
			return cpu;
	return -1;
}

static pthread_t start_thread(void *(*function)(void *), void *arg, int cpu)
{
	pthread_attr_t attr;
	pthread_t thread;
	cpu_set_t set;
	int code;

	CPU_ZERO(&set);
	CPU_SET((size_t)cpu, &set);
	if ((code = pthread_attr_init(&attr)) || (code = pthread_attr_setaffinity_np(&attr, sizeof set, &set)) ||
	    (code = pthread_create(&thread, &attr, function, arg)))
		bench_fail("pthread_create", code);
	pthread_attr_destroy(&attr);
	return thread;
}

/* Runs both functions at once, each in a thread on a CPU of its own choice, and times that. The caller sleeps
 * meanwhile. */
static void run_pair(struct bench *b, void *(*first)(void *), int first_cpu, void *(*second)(void *), int second_cpu)
{
	bench_start(b);
	pthread_t one = start_thread(first, b, first_cpu), other = start_thread(second, b, second_cpu);

	pthread_join(one, NULL);
	pthread_join(other, NULL);
	bench_stop(b);
}

static bool has_two_cpus(struct bench *b)
{
	if (find_cpu(1) >= 0)
		return true;
	bench_report_unsupported(b, "two CPUs are needed");
	return false;
}

static long at_least_one(long n)
{
	return n > 0 ? n : 1;
}

/* ---------------------------------------------------------------------------------------------------- two threads */

/* The word says whose turn it is: 0 the first thread's, 1 the second's. The other members are written only while one
 * thread runs, or by the first thread. */
static struct {
	uint32_t turn __attribute__((aligned(128)));
	bool asleep __attribute__((aligned(128)));       /* a thread sleeps until its turn comes; else it spins */
	long trips;                                      /* there and back, in each of TURNS */
	double one_way[TURNS];                           /* seconds */
	long returned;                                   /* by the second thread */
} hand;

/* The wait ends when the word has the given turn. FUTEX_WAIT returns at once if the word has changed, so no wake-up
 * is lost. */
static void wait_for_turn(uint32_t turn)
{
	while (__atomic_load_n(&hand.turn, __ATOMIC_ACQUIRE) != turn)
		if (hand.asleep)
			syscall(SYS_futex, &hand.turn, FUTEX_WAIT_PRIVATE, !turn, NULL, NULL, 0);
}

/* True: a sleeping thread was woken. */
static bool give_turn(uint32_t turn)
{
	__atomic_store_n(&hand.turn, turn, __ATOMIC_RELEASE);
	return hand.asleep && syscall(SYS_futex, &hand.turn, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0) == 1;
}

static void *send_hand(void *arg)
{
	for (int i = 0; i < TURNS; i++) {
		double began = bench_now();

		for (long trip = 0; trip < hand.trips; trip++) {
			give_turn(1);
			wait_for_turn(0);
		}
		hand.one_way[i] = (bench_now() - began) / (double)(2 * hand.trips);
	}
	return arg;
}

static void *return_hand(void *arg)
{
	for (long trip = 0; trip < TURNS * hand.trips; trip++) {
		wait_for_turn(1);
		hand.returned++;
		give_turn(0);
	}
	return arg;
}

static void measure_hand(struct bench *b, bool asleep, long trips, int first_cpu, int second_cpu)
{
	hand.turn = 0;
	hand.asleep = asleep;
	hand.trips = trips;
	hand.returned = 0;
	run_pair(b, send_hand, first_cpu, return_hand, second_cpu);
	bench_report_value(b, 2 * TURNS * trips, median(hand.one_way, TURNS) * 1e9, "ns", hand.returned == TURNS * trips);
}

/* L: a cache line's way from one CPU to another. */
static void line(struct bench *b)
{
	if (has_two_cpus(b))
		measure_hand(b, false, b->n, find_cpu(0), find_cpu(1));
}

/* H: one thread wakes another on its own CPU and goes to sleep. */
static void hand_over(struct bench *b)
{
	measure_hand(b, true, at_least_one(b->n / 10), find_cpu(0), find_cpu(0));
}

/* -------------------------------------------------------------------------------------------------------- wake-ups */

/* The first thread fills these, but for woke, which the second writes before it gives the turn back. */
static struct {
	long n, count;                   /* tries; those of them that found a sleeper */
	double idle;                     /* seconds from the second thread's turn to the next wake-up */
	double *call, *until_runs;       /* seconds */
	double woke;
} wake;

/* The first thread stays awake, so that only the second's CPU becomes idle. */
static void *wake_sleeper(void *arg)
{
	for (long i = 0; i < wake.n; i++) {
		double stamp = bench_now();

		while (bench_now() - stamp < wake.idle)
			continue;
		stamp = bench_now();
		bool woken = give_turn(1);
		double called = bench_now();

		while (__atomic_load_n(&hand.turn, __ATOMIC_ACQUIRE) != 0)
			continue;
		if (woken) {
			wake.call[wake.count] = called - stamp;
			wake.until_runs[wake.count++] = wake.woke - stamp;
		}
	}
	return arg;
}

static void *be_woken(void *arg)
{
	for (long i = 0; i < wake.n; i++) {
		wait_for_turn(1);
		wake.woke = bench_now();
		__atomic_store_n(&hand.turn, 0, __ATOMIC_RELEASE);
	}
	return arg;
}

static void measure_wake(struct bench *b, long n, double idle, bool until_it_runs)
{
	if (!has_two_cpus(b))
		return;
	hand.turn = 0;
	hand.asleep = true;
	wake.n = n;
	wake.count = 0;
	wake.idle = idle;
	wake.call = bench_alloc((size_t)n, sizeof *wake.call);
	wake.until_runs = bench_alloc((size_t)n, sizeof *wake.until_runs);
	run_pair(b, wake_sleeper, find_cpu(0), be_woken, find_cpu(1));
	if (wake.count)
		bench_report_value(b, wake.count, median(until_it_runs ? wake.until_runs : wake.call, wake.count) * 1e9,
		                   "ns", true);
	else
		bench_report_unsupported(b, "the thread to be woken never slept");
	free(wake.call);
	free(wake.until_runs);
}

static void wake_call(struct bench *b)
{
	measure_wake(b, b->n, 50e-6, false);
}

static void wake_run(struct bench *b)
{
	measure_wake(b, b->n, 50e-6, true);
}

static void wake_idle(struct bench *b)
{
	measure_wake(b, at_least_one(b->n / 10), 1e-3, true);
}

/* ----------------------------------------------------------------------------------------------- syscalls, threads */

static void one_syscall(struct bench *b)
{
	double seconds[TURNS];
	bool ok = true;

	bench_start(b);
	for (int i = 0; i < TURNS; i++) {
		double began = bench_now();

		for (long call = 0; call < b->n; call++)
			ok = syscall(SYS_getpid) > 0 && ok;
		seconds[i] = (bench_now() - began) / (double)b->n;
	}
	bench_stop(b);
	bench_report_value(b, TURNS * b->n, median(seconds, TURNS) * 1e9, "ns", ok);
}

static void *count_thread(void *arg)
{
	__atomic_add_fetch((long *)arg, 1, __ATOMIC_RELAXED);
	return NULL;
}

/* T: as many times a batch of threads is made, then joined. */
static void measure_threads(struct bench *b, long times, long batch)
{
	pthread_t *threads = bench_alloc((size_t)batch, sizeof *threads);
	double *seconds = bench_alloc((size_t)times, sizeof *seconds);
	long ran = 0;
	int code;

	bench_start(b);
	for (long time = 0; time < times; time++) {
		double began = bench_now();

		for (long i = 0; i < batch; i++)
			if ((code = pthread_create(&threads[i], NULL, count_thread, &ran)))
				bench_fail("pthread_create", code);
		for (long i = 0; i < batch; i++)
			pthread_join(threads[i], NULL);
		seconds[time] = (bench_now() - began) / (double)batch;
	}
	bench_stop(b);
	bench_report_value(b, times * batch, median(seconds, times) * 1e9, "ns", ran == times * batch);
	free(seconds);
	free(threads);
}

static void thread(struct bench *b)
{
	measure_threads(b, b->n, 1);
}

static void thread_batch(struct bench *b)
{
	measure_threads(b, 1, b->n);
}

int main(int argc, char **argv)
{
	static const struct bench_work works[] = {
		{"floor", "line", line, NULL},
		{"floor", "syscall", one_syscall, NULL},
		{"floor", "wake-call", wake_call, NULL},
		{"floor", "wake-run", wake_run, NULL},
		{"floor", "wake-idle", wake_idle, NULL},
		{"floor", "thread", thread, NULL},
		{"floor", "thread-batch", thread_batch, NULL},
		{"floor", "hand-over", hand_over, NULL},
		{NULL, NULL, NULL, NULL},
	};

	return bench_main(argc, argv, "floor", works);
}
