/* mppool-bench.c - all works of the benchmark, by this library
 *
 * SPDX-License-Identifier: MIT */
#include "works.h"

#include <limits.h>
#include <mppool.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ----------------------------------------------------------------------------------------------------------- tasks */

static uint64_t identity(uint64_t x)
{
	return x;
}

static uint64_t counted_identity(uint64_t x)
{
	bench_hit();
	return x;
}

static uint64_t hash(uint64_t x)
{
	return bench_hash(x);
}

static uint64_t stream_item(uint64_t x)
{
	return bench_stream_task(x);
}

static unsigned long naps;

static void nap(void)
{
	bench_nap(BENCH_NAP);
	__atomic_add_fetch(&naps, 1, __ATOMIC_RELAXED);
}

static void wait_for_gate(pthread_mutex_t *gate)
{
	pthread_mutex_lock(gate);
	pthread_mutex_unlock(gate);
}

static struct bench_skew skew;

static uint64_t skewed_item(long i)
{
	return bench_skew_task(&skew, i);
}

static uint64_t grain_item(uint64_t x)
{
	bench_hit();
	return bench_spin(x, bench_grain_steps);
}

MPPOOL_FUNC(identity_task, uint64_t, identity, uint64_t);
MPPOOL_FUNC(counted_identity_task, uint64_t, counted_identity, uint64_t);
MPPOOL_PURE(hash_task, uint64_t, hash, uint64_t);
MPPOOL_PURE(stream_task, uint64_t, stream_item, uint64_t);
MPPOOL_PROC(empty_task, bench_hit);
MPPOOL_PROC(nap_task, nap);
MPPOOL_PROC(gate_task, wait_for_gate, pthread_mutex_t *);
MPPOOL_FUNC(skewed_task, uint64_t, skewed_item, long);
MPPOOL_PROC(grain_task, bench_grain_task);
MPPOOL_PURE(grain_item_task, uint64_t, grain_item, uint64_t);

/* --------------------------------------------------------------------------------------------------------- helpers */

static inline void must(const char *what, int code)
{
	if (__builtin_expect(code != 0, 0)) {
		fprintf(stderr, "mppool-bench: %s: %s\n", what, mppool_strerror(code));
		exit(EXIT_FAILURE);
	}
}

static mppool *make_pool(int workers, unsigned flags)
{
	mppool *pool;

	must("create", mppool_create(MPPOOL_OPTIONS(.workers = workers, .flags = flags), &pool));
	return pool;
}

/* Every worker has had something to do. */
static void warm_up(mppool *pool)
{
	for (int i = 0; i < BENCH_WARM_UP; i++)
		must("apply", mppool_apply(pool, &empty_task, NULL, NULL));
}

static mppool_result *submit(mppool *pool, const struct mppool_func *func, uint64_t x)
{
	mppool_result *result;

	must("apply_async", mppool_apply_async(pool, func, MPPOOL_ARGS(&x), NULL, &result));
	return result;
}

static uint64_t collect(mppool_result *result)
{
	uint64_t value;

	must("get", mppool_result_get(result, &value, MPPOOL_FOREVER));
	mppool_result_free(result);
	return value;
}

static void finish(mppool *pool)
{
	must("close", mppool_close(pool));
	must("join", mppool_join(pool, MPPOOL_FOREVER));
}

/* ----------------------------------------------------------------------------------------------------------- map_* */

static void measure_map(struct bench *b, size_t chunksize)
{
	struct bench_arrays a;
	mppool *pool = make_pool(b->workers, 0);

	bench_arrays_make(&a, b->n);
	for (b->rep = 0; b->rep < b->reps; b->rep++) {
		bench_start(b);
		must("map", mppool_map(pool, &hash_task, MPPOOL_ARRAY(a.x, (size_t)a.n), a.y, chunksize));
		bench_stop(b);
		bench_note(b, "GB_per_s", (double)a.n * 16e-9 / b->seconds);
		bench_report(b, a.n, bench_arrays_check(&a));
	}
	bench_arrays_free(&a);
	mppool_destroy(pool);
}

static void map_tiny(struct bench *b)
{
	measure_map(b, 0);
}

static void map_chunk1(struct bench *b)
{
	measure_map(b, 1);
}

/* -------------------------------------------------------------------------------------------------------- submit_* */

static void submit_get(struct bench *b)
{
	mppool *pool = make_pool(b->workers, 0);
	mppool_result **results = bench_alloc((size_t)b->n, sizeof(mppool_result *));

	for (b->rep = 0; b->rep < b->reps; b->rep++) {
		uint64_t sum = 0;

		bench_start(b);
		for (long i = 0; i < b->n; i++)
			results[i] = submit(pool, &identity_task, (uint64_t)i);
		double submitted = bench_now() - b->began;
		for (long i = 0; i < b->n; i++)
			sum += collect(results[i]);
		bench_stop(b);
		bench_note(b, "submit_ns", submitted * 1e9 / (double)b->n);
		bench_report(b, b->n, sum == bench_sum_below(b->n));
	}
	free(results);
	mppool_destroy(pool);
}

/* close and join are the wait for all, so that every repetition has its own pool. */
static void submit_wait_all(struct bench *b)
{
	for (b->rep = 0; b->rep < b->reps; b->rep++) {
		mppool *pool = make_pool(b->workers, 0);

		warm_up(pool);
		unsigned long before = bench_hits();

		bench_start(b);
		for (long i = 0; i < b->n; i++)
			must("apply_async", mppool_apply_async(pool, &empty_task, NULL, NULL, NULL));
		finish(pool);
		bench_stop(b);
		bench_report(b, b->n, bench_hits() - before == (unsigned long)b->n);
		mppool_destroy(pool);
	}
}

static void submit_wait_idle(struct bench *b)
{
	mppool *pool = make_pool(b->workers, 0);

	warm_up(pool);
	for (b->rep = 0; b->rep < b->reps; b->rep++) {
		unsigned long before = bench_hits();

		bench_start(b);
		for (long i = 0; i < b->n; i++)
			must("apply_async", mppool_apply_async(pool, &empty_task, NULL, NULL, NULL));
		must("wait_idle", mppool_wait_idle(pool, MPPOOL_FOREVER));
		bench_stop(b);
		bench_report(b, b->n, bench_hits() - before == (unsigned long)b->n);
	}
	mppool_destroy(pool);
}

/* --------------------------------------------------------------------------------------------------- apply_latency */

static void measure_latency(struct bench *b, unsigned flags)
{
	mppool *pool = make_pool(b->workers, flags);
	struct bench_latency latency;
	uint64_t sum = 0, y;

	warm_up(pool);
	bench_latency_begin(&latency, b);
	for (long i = 0; i < b->n; i++) {
		uint64_t x = (uint64_t)i;

		must("apply", mppool_apply(pool, &counted_identity_task, MPPOOL_ARGS(&x), &y));
		sum += y;
		bench_latency_add(&latency);
	}
	bench_latency_report(&latency, b, sum == bench_sum_below(b->n));
	mppool_destroy(pool);
}

static void apply_latency(struct bench *b)
{
	measure_latency(b, 0);
}

static void apply_latency_helps(struct bench *b)
{
	measure_latency(b, MPPOOL_CALLER_HELPS);
}

/* -------------------------------------------------------------------------------------------------- multi_producer */

struct production {
	mppool *pool;
	long n;                          /* for each producer */
	mppool_result **results;
	uint64_t sums[BENCH_PRODUCERS];
};

static void produce(void *work, int index)
{
	struct production *p = work;
	mppool_result **results = p->results + index * p->n;
	uint64_t sum = 0;

	for (long i = 0; i < p->n; i++)
		results[i] = submit(p->pool, &identity_task, (uint64_t)i);
	for (long i = 0; i < p->n; i++)
		sum += collect(results[i]);
	p->sums[index] = sum;
}

static void multi_producer(struct bench *b)
{
	struct production p = {.pool = make_pool(b->workers, 0), .n = b->n / BENCH_PRODUCERS};

	p.results = bench_alloc((size_t)p.n * BENCH_PRODUCERS, sizeof(mppool_result *));
	for (b->rep = 0; b->rep < b->reps; b->rep++) {
		bool ok = true;

		bench_producers(b, produce, &p);
		for (int i = 0; i < BENCH_PRODUCERS; i++)
			ok = ok && p.sums[i] == bench_sum_below(p.n);
		bench_report(b, p.n * BENCH_PRODUCERS, ok);
	}
	free(p.results);
	mppool_destroy(p.pool);
}

/* -------------------------------------------------------------------------------------------------------- stream_* */

struct counter {
	uint64_t next, end;
};

static int count(void *const args[], void *state)
{
	struct counter *counter = state;

	if (counter->next == counter->end)
		return MPPOOL_ESTOP;
	*(uint64_t *)args[0] = counter->next++;
	return 0;
}

static uint64_t consume(mppool_iter *iter, bool ordered)
{
	uint64_t sum = 0, y;
	int code;

	while ((code = mppool_iter_next(iter, &y, NULL, MPPOOL_FOREVER)) == 0)
		sum = bench_fold(ordered, sum, y);
	if (code != MPPOOL_ESTOP)
		must("next", code);
	return sum;
}

static void measure_stream(struct bench *b, bool ordered)
{
	__typeof__(mppool_imap) *imap = ordered ? mppool_imap : mppool_imap_unordered;
	mppool *pool = make_pool(b->workers, 0);
	uint64_t expected = bench_stream_expected(b->n, ordered);

	for (b->rep = 0; b->rep < b->reps; b->rep++) {
		struct counter counter = {0, (uint64_t)b->n};
		struct mppool_iterable items = {.size = sizeof items, .next = count, .state = &counter};
		mppool_iter *iter;

		bench_start(b);
		must("imap", imap(pool, &stream_task, &items, 1, BENCH_WINDOW, NULL, &iter));
		uint64_t sum = consume(iter, ordered);

		bench_stop(b);
		mppool_iter_free(iter);
		bench_report(b, b->n, sum == expected);
	}
	mppool_destroy(pool);
}

static void stream_ordered(struct bench *b)
{
	measure_stream(b, true);
}

static void stream_unordered(struct bench *b)
{
	measure_stream(b, false);
}

/* ---------------------------------------------------------------------------------------- blocking, create_destroy */

static void blocking(struct bench *b)
{
	naps = 0;
	bench_start(b);
	mppool *pool = make_pool(b->workers, 0);

	for (long i = 0; i < b->n; i++)
		must("apply_async", mppool_apply_async(pool, &nap_task, NULL, NULL, NULL));
	finish(pool);
	mppool_destroy(pool);
	bench_stop(b);
	bench_report_blocking(b, naps == (unsigned long)b->n);
}

static void create_destroy(struct bench *b)
{
	uint64_t sum = 0, x, y;
	int threads = 0;

	bench_start(b);
	for (long i = 0; i < b->n; i++) {
		mppool *pool = make_pool(b->workers, 0);

		x = (uint64_t)i;
		must("apply", mppool_apply(pool, &identity_task, MPPOOL_ARGS(&x), &y));
		if (i == 0)
			threads = bench_other_threads();
		must("destroy", mppool_destroy(pool));
		sum += y;
	}
	bench_stop(b);
	if (threads)
		bench_note(b, "threads", threads);
	bench_report_cycles(b, sum == bench_sum_below(b->n));
}

/* ---------------------------------------------------------------------------------------------------------- skewed */

static void skewed(struct bench *b)
{
	mppool *pool = make_pool(b->workers, 0);
	long *indices = bench_alloc((size_t)b->n, sizeof *indices);

	for (long i = 0; i < b->n; i++)
		indices[i] = i;
	bench_skew_make(&skew, b);
	bench_start(b);
	must("map", mppool_map(pool, &skewed_task, MPPOOL_ARRAY(indices, (size_t)b->n), skew.results, 0));
	bench_stop(b);
	bench_skew_report(&skew, b);
	free(indices);
	mppool_destroy(pool);
}

/* ---------------------------------------------------------------------------------------------------------- nested */

static uint64_t fib(uint64_t n);
MPPOOL_FUNC(fib_task, uint64_t, fib, uint64_t);

static uint64_t fib(uint64_t n)
{
	if (n < 2)
		return n;
	mppool_result *left = submit(mppool_current(), &fib_task, n - 1);
	mppool_result *right = submit(mppool_current(), &fib_task, n - 2);
	uint64_t value = collect(right);

	return value + collect(left);
}

static void nested(struct bench *b)
{
	mppool *pool = make_pool(b->workers, 0);
	uint64_t n = (uint64_t)b->n, y;

	bench_start(b);
	must("apply", mppool_apply(pool, &fib_task, MPPOOL_ARGS(&n), &y));
	bench_stop(b);
	bench_report_nested(b, y == (uint64_t)bench_fib(b->n));
	mppool_destroy(pool);
}

/* ---------------------------------------------------------------------------------------------------- memory, idle */

static void memory(struct bench *b)
{
	mppool *pool = make_pool(b->workers, 0);
	mppool_result **results = bench_alloc((size_t)b->n, sizeof(mppool_result *)), *held;
	pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER, *gate_of_task = &gate;
	uint64_t sum = 0;

	pthread_mutex_lock(&gate);
	must("apply_async", mppool_apply_async(pool, &gate_task, MPPOOL_ARGS(&gate_of_task), NULL, &held));
	size_t before = bench_resident();

	bench_start(b);
	for (long i = 0; i < b->n; i++)
		results[i] = submit(pool, &identity_task, (uint64_t)i);
	bench_stop(b);
	size_t with_tasks = bench_resident();

	pthread_mutex_unlock(&gate);
	for (long i = 0; i < b->n; i++)
		sum += collect(results[i]);
	must("get", mppool_result_get(held, NULL, MPPOOL_FOREVER));
	mppool_result_free(held);
	bench_report_memory(b, before, with_tasks, sum == bench_sum_below(b->n));
	free(results);
	mppool_destroy(pool);
}

static void idle(struct bench *b)
{
	mppool *pool = make_pool(b->workers, 0);
	unsigned long before = bench_hits();

	warm_up(pool);
	bench_idle(b, bench_hits() - before == BENCH_WARM_UP);
	mppool_destroy(pool);
}

/* ------------------------------------------------------------------------------------ sweeps over lengths, workers */

static void measure_grain_singly(struct bench *b)
{
	struct bench_grain grain;

	bench_grain_make(&grain, b);
	mppool *pool = make_pool(b->workers, 0);

	bench_start(b);
	for (long i = 0; i < grain.n; i++)
		must("apply_async", mppool_apply_async(pool, &grain_task, NULL, NULL, NULL));
	finish(pool);
	bench_stop(b);
	bench_grain_report(&grain, b);
	mppool_destroy(pool);
}

static void measure_grain_mapped(struct bench *b)
{
	struct bench_grain grain;
	const uint64_t one = 1;

	bench_grain_make(&grain, b);
	mppool *pool = make_pool(b->workers, 0);

	bench_start(b);
	must("map", mppool_map(pool, &grain_item_task, MPPOOL_ZIP((size_t)grain.n, MPPOOL_REPEAT(&one)), NULL, 0));
	bench_stop(b);
	bench_grain_report(&grain, b);
	mppool_destroy(pool);
}

static void lengths_singly(struct bench *b)
{
	bench_sweep_lengths(b, measure_grain_singly);
}

static void lengths_mapped(struct bench *b)
{
	bench_sweep_lengths(b, measure_grain_mapped);
}

static void workers_singly(struct bench *b)
{
	bench_sweep_workers(b, measure_grain_singly);
}

static void workers_mapped(struct bench *b)
{
	bench_sweep_workers(b, measure_grain_mapped);
}

/* ---------------------------------------------------------------------------- sweeps: arguments, chunks; callbacks */

enum { MOST_BYTES = 256 };

/* The sum of the argument's words; the context is their number. */
static int sum_words(const void *const args[], void *result, void *context)
{
	const uint64_t *words = args[0];
	uint64_t sum = 0;

	for (size_t i = 0; i < *(const size_t *)context; i++)
		sum += words[i];
	memcpy(result, &sum, sizeof sum);
	return 0;
}

static int return_one(const void *const args[], void *result, void *context)
{
	const uint64_t one = 1;

	(void)args, (void)context;
	memcpy(result, &one, sizeof one);
	return 0;
}

/* b->param: bytes of the argument. What a task of 0 bytes returns is 1, else the sum of its words, which is i. */
static void measure_arguments(struct bench *b)
{
	size_t words = (size_t)b->param / sizeof(uint64_t);
	struct mppool_func func = MPPOOL_FUNC_INIT;
	uint64_t argument[MOST_BYTES / sizeof(uint64_t)] = {0};
	mppool_result **results = bench_alloc((size_t)b->n, sizeof(mppool_result *));
	mppool *pool = make_pool(b->workers, 0);

	func.call = words ? sum_words : return_one;
	func.nargs = words ? 1 : 0;
	func.arg_size[0] = words * sizeof(uint64_t);
	func.result_size = sizeof(uint64_t);
	func.context = &words;
	for (b->rep = 0; b->rep < b->reps; b->rep++) {
		uint64_t sum = 0;

		bench_start(b);
		for (long i = 0; i < b->n; i++) {
			argument[words ? words - 1 : 0] = (uint64_t)i;
			must("apply_async", mppool_apply_async(pool, &func, MPPOOL_ARGS(argument), NULL, &results[i]));
		}
		for (long i = 0; i < b->n; i++)
			sum += collect(results[i]);
		bench_stop(b);
		bench_note(b, "param", (double)b->param);
		bench_report(b, b->n, sum == (words ? bench_sum_below(b->n) : (uint64_t)b->n));
	}
	mppool_destroy(pool);
	free(results);
}

static void arguments(struct bench *b)
{
	static const long bytes[] = {0, 8, 16, 32, 64, 128, MOST_BYTES};

	if (b->param >= 0 && (b->param % (long)sizeof(uint64_t) || b->param > MOST_BYTES))
		bench_report_unsupported(b, "the parameter is a multiple of 8 up to 256");
	else
		bench_sweep(b, bytes, sizeof bytes / sizeof *bytes, measure_arguments);
}

static void add_result(const void *results, size_t n, void *userdata)
{
	(void)n;
	*(uint64_t *)userdata += *(const uint64_t *)results;     /* callbacks come one at a time */
}

static void callbacks(struct bench *b)
{
	for (b->rep = 0; b->rep < b->reps; b->rep++) {
		mppool *pool = make_pool(b->workers, 0);
		uint64_t sum = 0;
		const struct mppool_call_options *options = MPPOOL_CALL(.callback = add_result, .userdata = &sum);

		warm_up(pool);
		bench_start(b);
		for (long i = 0; i < b->n; i++) {
			uint64_t x = (uint64_t)i;

			must("apply_async",
			     mppool_apply_async(pool, &identity_task, MPPOOL_ARGS(&x), options, NULL));
		}
		finish(pool);
		bench_stop(b);
		bench_report(b, b->n, sum == bench_sum_below(b->n));
		mppool_destroy(pool);
	}
}

/* b->param: the chunksize; 0, which is the library's own choice, comes as the sweep's last. */
static void measure_chunksize(struct bench *b)
{
	struct bench_arrays a;
	mppool *pool = make_pool(b->workers, 0);

	bench_arrays_make(&a, b->n);
	for (b->rep = 0; b->rep < b->reps; b->rep++) {
		bench_start(b);
		must("map", mppool_map(pool, &hash_task, MPPOOL_ARRAY(a.x, (size_t)a.n), a.y, (size_t)b->param));
		bench_stop(b);
		bench_note(b, "param", (double)b->param);
		bench_report(b, a.n, bench_arrays_check(&a));
	}
	bench_arrays_free(&a);
	mppool_destroy(pool);
}

static void chunksize(struct bench *b)
{
	const long sizes[] = {1, 3, 10, 30, 100, 1000, 10000, 100000, b->n, 0};

	bench_sweep(b, sizes, sizeof sizes / sizeof *sizes, measure_chunksize);
}

/* ------------------------------------------------------------------------------------------------------------ fair */

/* Calls are numbered as they are submitted. One of them, the older call, must not be passed by too many: calls of
 * higher numbers that start before it are counted. Later calls are submitted until it starts, or until so many have
 * passed that it would not start in a longer run either. */
enum { FAIR_TURNS = 10, FAIR_WAITING = 1000, FAIR_STEPS = 4000 /* some microseconds */ };

static struct {
	mppool *pool;
	unsigned long most;              /* calls may pass before the turn ends */
	pthread_barrier_t all_run;       /* the workers' first tasks and the caller */
	unsigned long submitted, ran;    /* these and the following are atomic */
	unsigned long older;             /* the older call's number; ULONG_MAX until its submission has returned */
	bool started;                    /* the older call */
	unsigned long passed;
	long waiting[2];                 /* calls of the priorities 0 and 1 */
} fair;

static unsigned long fair_next_number(void)
{
	return __atomic_add_fetch(&fair.submitted, 1, __ATOMIC_SEQ_CST);
}

static void fair_count(unsigned long number)
{
	if (number > __atomic_load_n(&fair.older, __ATOMIC_SEQ_CST) && !__atomic_load_n(&fair.started, __ATOMIC_SEQ_CST))
		__atomic_add_fetch(&fair.passed, 1, __ATOMIC_SEQ_CST);
	__atomic_add_fetch(&fair.ran, 1, __ATOMIC_SEQ_CST);
}

static bool fair_goes_on(void)
{
	return !__atomic_load_n(&fair.started, __ATOMIC_SEQ_CST) &&
	       __atomic_load_n(&fair.passed, __ATOMIC_SEQ_CST) < fair.most;
}

static void be_older_call(void)
{
	__atomic_store_n(&fair.started, true, __ATOMIC_SEQ_CST);
	__atomic_add_fetch(&fair.ran, 1, __ATOMIC_SEQ_CST);
}

MPPOOL_PROC(older_task, be_older_call);

/* The number is taken afterwards, so that what has a higher one was submitted later, whichever thread did so. */
static void submit_older_call(const struct mppool_call_options *options)
{
	must("apply_async", mppool_apply_async(fair.pool, &older_task, NULL, options, NULL));
	__atomic_store_n(&fair.older, fair_next_number(), __ATOMIC_SEQ_CST);
}

static void submit_itself(unsigned long number);
MPPOOL_PROC(itself_task, submit_itself, unsigned long);

static void submit_itself(unsigned long number)
{
	fair_count(number);
	if (!fair_goes_on())
		return;
	number = fair_next_number();
	must("apply_async", mppool_apply_async(fair.pool, &itself_task, MPPOOL_ARGS(&number), NULL, NULL));
}

/* Each worker has one of these: from now on all of them run tasks that submit to themselves. */
static void begin_chain(bool submits_older_call)
{
	pthread_barrier_wait(&fair.all_run);
	if (submits_older_call)
		submit_older_call(NULL);
	submit_itself(fair_next_number());
}

MPPOOL_PROC(begin_task, begin_chain, bool);

static void run_chains(struct bench *b, bool older_is_own)
{
	pthread_barrier_init(&fair.all_run, NULL, (unsigned)b->workers + 1);
	for (int i = 0; i < b->workers; i++) {
		bool submits_older_call = older_is_own && i == 0;

		must("apply_async",
		     mppool_apply_async(fair.pool, &begin_task, MPPOOL_ARGS(&submits_older_call), NULL, NULL));
	}
	pthread_barrier_wait(&fair.all_run);
	if (!older_is_own)
		submit_older_call(NULL);
	must("wait_idle", mppool_wait_idle(fair.pool, MPPOOL_FOREVER));
	pthread_barrier_destroy(&fair.all_run);
}

static void run_urgent_call(unsigned long number, int priority)
{
	fair_count(number);
	bench_spin(number, FAIR_STEPS);
	__atomic_sub_fetch(&fair.waiting[priority], 1, __ATOMIC_SEQ_CST);
}

MPPOOL_PROC(urgent_task, run_urgent_call, unsigned long, int);

static void submit_urgent_calls(void)
{
	for (int priority = 1; priority >= 0; priority--)
		while (__atomic_load_n(&fair.waiting[priority], __ATOMIC_SEQ_CST) < FAIR_WAITING) {
			unsigned long number = fair_next_number();

			__atomic_add_fetch(&fair.waiting[priority], 1, __ATOMIC_SEQ_CST);
			must("apply_async", mppool_apply_async(fair.pool, &urgent_task, MPPOOL_ARGS(&number, &priority),
			                                       MPPOOL_CALL(.priority = priority), NULL));
		}
}

static void run_urgent_calls(struct bench *b)
{
	(void)b;
	submit_urgent_calls();
	submit_older_call(MPPOOL_CALL(.priority = -1));
	while (fair_goes_on()) {
		submit_urgent_calls();
		sched_yield();
	}
	must("wait_idle", mppool_wait_idle(fair.pool, MPPOOL_FOREVER));
}

static void run_own_chains(struct bench *b)
{
	run_chains(b, true);
}

static void run_queued_chains(struct bench *b)
{
	run_chains(b, false);
}

/* The value is the greatest of some turns. */
static void measure_fairness(struct bench *b, void (*turn)(struct bench *b))
{
	for (b->rep = 0; b->rep < b->reps; b->rep++) {
		unsigned long greatest = 0, limits_reached = 0;
		bool ok = true;

		fair.pool = make_pool(b->workers, 0);
		fair.most = (unsigned long)b->n;
		warm_up(fair.pool);
		bench_start(b);
		for (int i = 0; i < FAIR_TURNS; i++) {
			fair.submitted = fair.ran = fair.passed = 0;
			fair.older = ULONG_MAX;
			fair.started = false;
			turn(b);
			ok = ok && fair.started && fair.ran == fair.submitted;
			greatest = fair.passed > greatest ? fair.passed : greatest;
			limits_reached += fair.passed >= fair.most;
		}
		bench_stop(b);
		bench_note(b, "limit_reached", (double)limits_reached / FAIR_TURNS);
		bench_report_value(b, b->n, (double)greatest, "calls", ok);
		mppool_destroy(fair.pool);
	}
}

static void fair_own(struct bench *b)
{
	measure_fairness(b, run_own_chains);
}

static void fair_queue(struct bench *b)
{
	measure_fairness(b, run_queued_chains);
}

static void fair_priority(struct bench *b)
{
	measure_fairness(b, run_urgent_calls);
}

/* ------------------------------------------------------------------------------------------------------------ main */

int main(int argc, char **argv)
{
	static const struct bench_work works[] = {
		{"map_tiny", "", map_tiny, NULL},
		{"map_chunk1", "", map_chunk1, NULL},
		{"submit_get", "", submit_get, NULL},
		{"submit_wait_all", "", submit_wait_all, NULL},
		{"submit_wait_all", "wait-idle", submit_wait_idle, NULL},
		{"apply_latency", "", apply_latency, NULL},
		{"apply_latency", "caller-helps", apply_latency_helps, NULL},
		{"multi_producer", "", multi_producer, NULL},
		{"stream_ordered", "", stream_ordered, NULL},
		{"stream_unordered", "", stream_unordered, NULL},
		{"blocking", "", blocking, NULL},
		{"blocking4k", "", blocking, NULL},
		{"create_destroy", "", create_destroy, NULL},
		{"skewed", "", skewed, NULL},
		{"skewed", "sorted", skewed, NULL},
		{"nested", "", nested, NULL},
		{"memory", "", memory, NULL},
		{"idle", "", idle, NULL},
		{"task_length", "", lengths_singly, NULL},
		{"task_length", "map", lengths_mapped, NULL},
		{"workers", "", workers_singly, NULL},
		{"workers", "map", workers_mapped, NULL},
		{"arguments", "", arguments, NULL},
		{"callbacks", "", callbacks, NULL},
		{"chunksize", "", chunksize, NULL},
		{"fair", "own", fair_own, NULL},
		{"fair", "queue", fair_queue, NULL},
		{"fair", "priority", fair_priority, NULL},
		{NULL, NULL, NULL, NULL},
	};

	return bench_main(argc, argv, "mppool", works);
}
