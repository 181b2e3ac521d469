/* peer-tbb.cpp - oneTBB: loops and task groups, the caller one of the threads
 *
 * SPDX-License-Identifier: MIT
 *
 * The variant "enqueue" hands single tasks to an arena that has no place for the caller: oneTBB's way to let another
 * thread do something. It has no futures, so those of peer.h are used. */
#include "peer.h"

#include <cstdlib>
#include <oneapi/tbb.h>

namespace tbb = oneapi::tbb;

namespace {

/* As many threads as this, for as long as it lives. */
struct threads : tbb::global_control {
	explicit threads(int n) : tbb::global_control(tbb::global_control::max_allowed_parallelism, size_t(n)) {}
};

void warm_up()
{
	tbb::parallel_for(0, int(BENCH_WARM_UP), [](int) { bench_hit(); });
}

/* Workers beside the caller. */
class arena {
	threads limit;
	tbb::task_arena own;

public:
	explicit arena(int workers) : limit(workers + 1), own(workers, 0)
	{
		for (int i = 0; i < BENCH_WARM_UP; i++)
			peer_task_collect(submit(1));
	}

	template <typename F> void enqueue(F &&function) { own.enqueue(function); }

	peer_task *submit(uint64_t input)
	{
		peer_task *task = peer_task_make(input);

		own.enqueue([task] {
			bench_hit();
			peer_future_set(&task->future, task->input);
		});
		return task;
	}
};

template <typename T> T *array(long n)
{
	return static_cast<T *>(bench_alloc(size_t(n), sizeof(T)));
}

/* ----------------------------------------------------------------------------------------------------------- map_* */

template <typename Partitioner> void map(bench *b, size_t grain, const Partitioner &partitioner)
{
	threads limit(b->workers);
	bench_arrays a;

	bench_arrays_make(&a, b->n);
	warm_up();
	for (b->rep = 0; b->rep < b->reps; b->rep++) {
		bench_start(b);
		tbb::parallel_for(
			tbb::blocked_range<long>(0, a.n, grain),
			[x = a.x, y = a.y](const tbb::blocked_range<long> &range) {
				for (long i = range.begin(); i < range.end(); i++)
					y[i] = bench_hash(x[i]);
			},
			partitioner);
		bench_stop(b);
		bench_report(b, a.n, bench_arrays_check(&a));
	}
	bench_arrays_free(&a);
}

void map_tiny(bench *b)
{
	map(b, 1, tbb::auto_partitioner());
}

void map_chunk1(bench *b)
{
	map(b, 1, tbb::simple_partitioner());
}

/* -------------------------------------------------------------------------------------------------------- submit_* */

void submit_get(bench *b)
{
	threads limit(b->workers);
	peer_task **tasks = array<peer_task *>(b->n);
	tbb::task_group group;

	warm_up();
	for (b->rep = 0; b->rep < b->reps; b->rep++) {
		uint64_t sum = 0;

		bench_start(b);
		for (long i = 0; i < b->n; i++) {
			peer_task *task = tasks[i] = peer_task_make(uint64_t(i));

			group.run([task] { peer_future_set(&task->future, task->input); });
		}
		for (long i = 0; i < b->n; i++) {
			if (!peer_future_ready(&tasks[i]->future))
				group.wait();
			sum += peer_task_collect(tasks[i]);
		}
		bench_stop(b);
		bench_note_text(b, "how", "task_group: the wait for one that is not ready is a wait for all");
		bench_report(b, b->n, sum == bench_sum_below(b->n));
	}
	group.wait();
	std::free(tasks);
}

uint64_t submit_and_collect(arena &a, peer_task **tasks, long n)
{
	uint64_t sum = 0;

	for (long i = 0; i < n; i++)
		tasks[i] = a.submit(uint64_t(i));
	for (long i = 0; i < n; i++)
		sum += peer_task_collect(tasks[i]);
	return sum;
}

void submit_get_enqueue(bench *b)
{
	arena a(b->workers);
	peer_task **tasks = array<peer_task *>(b->n);

	for (b->rep = 0; b->rep < b->reps; b->rep++) {
		bench_start(b);
		uint64_t sum = submit_and_collect(a, tasks, b->n);

		bench_stop(b);
		bench_report(b, b->n, sum == bench_sum_below(b->n));
	}
	std::free(tasks);
}

void submit_wait_all(bench *b)
{
	threads limit(b->workers);
	tbb::task_group group;

	warm_up();
	for (b->rep = 0; b->rep < b->reps; b->rep++) {
		unsigned long before = bench_hits();

		bench_start(b);
		for (long i = 0; i < b->n; i++)
			group.run([] { bench_hit(); });
		group.wait();
		bench_stop(b);
		bench_report(b, b->n, bench_hits() - before == static_cast<unsigned long>(b->n));
	}
}

/* --------------------------------------------------------------------------------------------------- apply_latency */

void apply_latency(bench *b)
{
	threads limit(b->workers);
	tbb::task_group group;
	bench_latency latency;
	uint64_t sum = 0;

	warm_up();
	bench_latency_begin(&latency, b);
	for (long i = 0; i < b->n; i++) {
		uint64_t y = 0;

		group.run([&y, i] {
			bench_hit();
			y = uint64_t(i);
		});
		group.wait();
		sum += y;
		bench_latency_add(&latency);
	}
	bench_latency_report(&latency, b, sum == bench_sum_below(b->n));
}

void apply_latency_enqueue(bench *b)
{
	arena a(b->workers);
	bench_latency latency;
	uint64_t sum = 0;

	bench_latency_begin(&latency, b);
	for (long i = 0; i < b->n; i++) {
		sum += peer_task_collect(a.submit(uint64_t(i)));
		bench_latency_add(&latency);
	}
	bench_latency_report(&latency, b, sum == bench_sum_below(b->n));
}

/* -------------------------------------------------------------------------------------------------- multi_producer */

struct production {
	arena *pool;
	long n; /* for each producer */
	peer_task **tasks;
	uint64_t sums[BENCH_PRODUCERS];
};

void produce(void *work, int index)
{
	production *p = static_cast<production *>(work);

	p->sums[index] = submit_and_collect(*p->pool, p->tasks + index * p->n, p->n);
}

void multi_producer(bench *b)
{
	arena a(b->workers);
	production p = {&a, b->n / BENCH_PRODUCERS, array<peer_task *>(b->n), {}};

	for (b->rep = 0; b->rep < b->reps; b->rep++) {
		bool ok = true;

		bench_producers(b, produce, &p);
		for (uint64_t sum : p.sums)
			ok = ok && sum == bench_sum_below(p.n);
		bench_report(b, p.n * BENCH_PRODUCERS, ok);
	}
	std::free(p.tasks);
}

/* -------------------------------------------------------------------------------------------------------- stream_* */

uint64_t run_pipeline(long n, bool ordered)
{
	uint64_t next = 0, sum = 0;

	tbb::parallel_pipeline(
		BENCH_WINDOW,
		tbb::make_filter<void, uint64_t>(tbb::filter_mode::serial_in_order,
	                                         [&](tbb::flow_control &control) -> uint64_t {
							 if (next == uint64_t(n))
								 control.stop();
							 return next++;
						 }) &
			tbb::make_filter<uint64_t, uint64_t>(tbb::filter_mode::parallel,
	                                                     [](uint64_t x) { return bench_stream_task(x); }) &
			tbb::make_filter<uint64_t, void>(ordered ? tbb::filter_mode::serial_in_order
	                                                         : tbb::filter_mode::serial_out_of_order,
	                                                 [&](uint64_t y) { sum = bench_fold(ordered, sum, y); }));
	return sum;
}

void stream(bench *b, bool ordered)
{
	threads limit(b->workers);
	uint64_t expected = bench_stream_expected(b->n, ordered);

	warm_up();
	for (b->rep = 0; b->rep < b->reps; b->rep++) {
		bench_start(b);
		uint64_t sum = run_pipeline(b->n, ordered);

		bench_stop(b);
		bench_note_text(b, "how", "parallel_pipeline");
		bench_report(b, b->n, sum == expected);
	}
}

void stream_ordered(bench *b)
{
	stream(b, true);
}

void stream_unordered(bench *b)
{
	stream(b, false);
}

/* ---------------------------------------------------------------------------------------- blocking, create_destroy */

/* Threads are made, n tasks run in an arena of their own, threads are joined. */
void run_and_finalize(int workers, long n, void (*task)())
{
	tbb::task_scheduler_handle scheduler{tbb::attach{}};
	{
		threads limit(workers + 1);
		tbb::task_arena own(workers, 0);
		peer_latch latch;

		peer_latch_init(&latch, n);
		for (long i = 0; i < n; i++)
			own.enqueue([&latch, task] {
				task();
				peer_latch_down(&latch);
			});
		peer_latch_wait(&latch);
	}
	tbb::finalize(scheduler, std::nothrow);
}

void nap()
{
	bench_nap(BENCH_NAP);
	bench_hit();
}

void blocking(bench *b)
{
	unsigned long before = bench_hits();

	bench_start(b);
	run_and_finalize(b->workers, b->n, nap);
	bench_stop(b);
	bench_note_text(b, "how", "enqueue, finalize");
	bench_report_blocking(b, bench_hits() - before == static_cast<unsigned long>(b->n));
}

void create_destroy(bench *b)
{
	unsigned long before = bench_hits();

	bench_start(b);
	for (long i = 0; i < b->n; i++)
		run_and_finalize(b->workers, 1, bench_hit);
	bench_stop(b);
	bench_note_text(b, "how", "enqueue, finalize");
	bench_report_cycles(b, bench_hits() - before == static_cast<unsigned long>(b->n));
}

/* ---------------------------------------------------------------------------------------------------------- others */

void skewed(bench *b)
{
	threads limit(b->workers);
	bench_skew skew;

	bench_skew_make(&skew, b);
	warm_up();
	bench_start(b);
	tbb::parallel_for(0L, skew.n, [&skew](long i) { skew.results[i] = bench_skew_task(&skew, i); });
	bench_stop(b);
	bench_skew_report(&skew, b);
}

uint64_t fib(uint64_t n)
{
	uint64_t left, right;
	tbb::task_group group;

	if (n < 2)
		return n;
	group.run([&left, n] { left = fib(n - 1); });
	group.run([&right, n] { right = fib(n - 2); });
	group.wait();
	return left + right;
}

void nested(bench *b)
{
	threads limit(b->workers);

	warm_up();
	bench_start(b);
	uint64_t value = fib(uint64_t(b->n));

	bench_stop(b);
	bench_report_nested(b, value == uint64_t(bench_fib(b->n)));
}

void memory(bench *b)
{
	arena a(b->workers);
	peer_task **tasks = array<peer_task *>(b->n);
	uint64_t sum = 0;

	a.enqueue(peer_gate_block);
	peer_gate_await();
	size_t before = bench_resident();

	bench_start(b);
	for (long i = 0; i < b->n; i++)
		tasks[i] = a.submit(uint64_t(i));
	bench_stop(b);
	size_t with_tasks = bench_resident();

	peer_gate_open();
	for (long i = 0; i < b->n; i++)
		sum += peer_task_collect(tasks[i]);
	bench_report_memory(b, before, with_tasks, sum == bench_sum_below(b->n));
	std::free(tasks);
}

void idle(bench *b)
{
	arena a(b->workers);

	bench_idle(b, true);
}

void measure_grain(bench *b)
{
	bench_grain grain;

	bench_grain_make(&grain, b);
	threads limit(b->workers);
	tbb::task_group group;

	bench_start(b);
	for (long i = 0; i < grain.n; i++)
		group.run([] { bench_grain_task(); });
	group.wait();
	bench_stop(b);
	bench_grain_report(&grain, b);
}

void measure_grain_loop(bench *b)
{
	bench_grain grain;

	bench_grain_make(&grain, b);
	threads limit(b->workers);

	bench_start(b);
	tbb::parallel_for(0L, grain.n, [](long) { bench_grain_task(); });
	bench_stop(b);
	bench_grain_report(&grain, b);
}

void task_length(bench *b)
{
	bench_sweep_lengths(b, measure_grain);
}

void task_length_map(bench *b)
{
	bench_sweep_lengths(b, measure_grain_loop);
}

void workers(bench *b)
{
	bench_sweep_workers(b, measure_grain);
}

} // namespace

int main(int argc, char **argv)
{
	static const bench_work works[] = {
		{"map_tiny", "", map_tiny, nullptr},
		{"map_chunk1", "", map_chunk1, nullptr},
		{"submit_get", "", submit_get, nullptr},
		{"submit_get", "enqueue", submit_get_enqueue, nullptr},
		{"submit_wait_all", "", submit_wait_all, nullptr},
		{"apply_latency", "", apply_latency, nullptr},
		{"apply_latency", "enqueue", apply_latency_enqueue, nullptr},
		{"multi_producer", "enqueue", multi_producer, nullptr},
		{"stream_ordered", "", stream_ordered, nullptr},
		{"stream_unordered", "", stream_unordered, nullptr},
		{"blocking", "", blocking, nullptr},
		{"blocking4k", "", blocking, nullptr},
		{"create_destroy", "", create_destroy, nullptr},
		{"skewed", "", skewed, nullptr},
		{"skewed", "sorted", skewed, nullptr},
		{"nested", "", nested, nullptr},
		{"memory", "enqueue", memory, nullptr},
		{"idle", "", idle, nullptr},
		{"task_length", "", task_length, nullptr},
		{"task_length", "map", task_length_map, nullptr},
		{"workers", "", workers, nullptr},
		{nullptr, nullptr, nullptr, nullptr},
	};

	return bench_main(argc, argv, "tbb", works);
}
