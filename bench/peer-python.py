#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The works of the benchmark by Python's multiprocessing.pool: what this library gives to C programs.

peer-python.py --pool Pool|ThreadPool --work WORK [--n N] [--workers K] [--reps R] [--scale F] [--peer NAME]

The arguments and what is printed are as bench/README says; the defaults of n are smaller, since Python is slower.
"""
import argparse
import json
import multiprocessing
import multiprocessing.pool
import os
import resource
import signal
import threading
import time

WORD = (1 << 64) - 1
NAP = 0.1
PRODUCERS = 4
DEFAULTS = {  # work: n, workers, repetitions, does --scale change n?
    "map_tiny": (300000, 2, 3, True),
    "map_chunk1": (50000, 2, 3, True),
    "submit_get": (20000, 2, 3, True),
    "submit_wait_all": (20000, 2, 3, True),
    "apply_latency": (3000, 2, 1, True),
    "multi_producer": (20000, 2, 3, True),
    "stream_ordered": (50000, 2, 1, True),
    "stream_unordered": (50000, 2, 1, True),
    "blocking": (1024, 1024, 1, False),
    "blocking4k": (4096, 4096, 1, False),
    "create_destroy": (30, 2, 1, True),
    "skewed": (2000, 2, 1, False),
    "nested": (10, 2, 1, False),
    "memory": (20000, 1, 1, True),
    "idle": (3, 2, 1, False),
}


# ------------------------------------------------------------------------------------------------------------- tasks

def hash64(x):
    x = ((x ^ (x >> 31)) * 0xD6E8FEB86659FD93) & WORD
    return x ^ (x >> 30)


def identity(x):
    return x


def nothing():
    pass


def nap(x):
    time.sleep(NAP)
    return x


def spin(steps):
    x = 1
    while steps > 0:
        steps -= 1
        x = (x * 31 + steps) & WORD
    return x


def wait_for(event):
    event.wait()


# ------------------------------------------------------------------------------------------------------------ samples

class Sample:
    """One repetition of a work: `with` around what is timed, then report()."""

    def __init__(self, work, rep=0, children=()):
        self.work, self.rep, self.children = work, rep, children

    def usage(self):
        """CPU seconds and context switches of this process, and of the pool's."""
        own = resource.getrusage(resource.RUSAGE_SELF)
        total = [own.ru_utime, own.ru_stime, own.ru_nvcsw, own.ru_nivcsw]
        for pid in self.children:
            try:
                with open(f"/proc/{pid}/stat") as stat:
                    fields = stat.read().rsplit(")", 1)[1].split()
                with open(f"/proc/{pid}/status") as status:
                    switches = [int(line.split()[1]) for line in status if "ctxt_switches" in line]
            except OSError:
                continue
            tick = os.sysconf("SC_CLK_TCK")
            for i, more in enumerate((int(fields[11]) / tick, int(fields[12]) / tick, *switches)):
                total[i] += more
        return total

    def __enter__(self):
        self.before = self.usage()
        self.began = time.monotonic()
        return self

    def __exit__(self, *_):
        self.seconds = time.monotonic() - self.began
        self.used = [after - before for after, before in zip(self.usage(), self.before)]

    def report(self, items, ok, value=None, unit="ns/item", variant="", **extra):
        per_item = self.seconds * 1e9 / items
        user, system, voluntary, forced = self.used
        print(json.dumps({
            "peer": self.work.peer, "variant": variant, "work": self.work.name, "n": items,
            "workers": self.work.workers, "rep": self.rep, "ns_per_item": round(per_item, 3),
            "seconds": round(self.seconds, 9), "value": per_item if value is None else value, "unit": unit,
            "user": round(user, 6), "sys": round(system, 6), "nvcsw": voluntary, "nivcsw": forced, "ok": bool(ok),
            "extra": extra}), flush=True)


class Work:
    def __init__(self, arguments):
        n, workers, reps, scaled = DEFAULTS[arguments.work]
        self.name = arguments.work
        self.peer = arguments.peer or f"py-{arguments.pool}"
        self.processes = arguments.pool == "Pool"
        self.n = arguments.n or (max(1, int(n * arguments.scale)) if scaled else n)
        self.workers = arguments.workers or workers
        self.reps = arguments.reps or reps

    def make_pool(self):
        if self.processes:
            return multiprocessing.Pool(self.workers)
        return multiprocessing.pool.ThreadPool(self.workers)

    def samples(self, pool):
        children = [worker.pid for worker in pool._pool] if self.processes else ()
        return [Sample(self, rep, children) for rep in range(self.reps)]

    def unsupported(self, why):
        print(json.dumps({"peer": self.peer, "variant": "", "work": self.name, "workers": self.workers,
                          "unsupported": why}), flush=True)


def finish(pool):
    pool.close()
    pool.join()


# -------------------------------------------------------------------------------------------------------------- works

def run_map(work):
    xs = [i * 2654435761 + 1 for i in range(work.n)]
    expected = list(map(hash64, xs))
    pool = work.make_pool()
    pool.apply(identity, (1,))
    for sample in work.samples(pool):
        with sample:
            ys = pool.map(hash64, xs, 1 if work.name == "map_chunk1" else None)
        sample.report(work.n, ys == expected)
    finish(pool)


def submit_and_collect(pool, n):
    results = [pool.apply_async(identity, (i,)) for i in range(n)]
    return sum(result.get() for result in results)


def run_submit_get(work):
    pool = work.make_pool()
    pool.apply(identity, (1,))
    for sample in work.samples(pool):
        with sample:
            total = submit_and_collect(pool, work.n)
        sample.report(work.n, total == work.n * (work.n - 1) // 2)
    finish(pool)


def run_submit_wait_all(work):
    for rep in range(work.reps):
        pool = work.make_pool()
        pool.apply(identity, (1,))
        results = []
        sample = work.samples(pool)[0]
        sample.rep = rep
        with sample:
            for _ in range(work.n):
                results.append(pool.apply_async(nothing))
            pool.close()
            for result in results:
                result.wait()
        sample.report(work.n, all(result.successful() for result in results))
        pool.join()


def run_apply_latency(work):
    pool = work.make_pool()
    pool.apply(identity, (1,))
    sample = work.samples(pool)[0]
    total, ns = 0, []
    with sample:
        last = time.perf_counter_ns()
        for i in range(work.n):
            total += pool.apply(identity, (i,))
            now = time.perf_counter_ns()
            ns.append(now - last)
            last = now
    ns.sort()
    sample.report(work.n, total == work.n * (work.n - 1) // 2, p50=ns[work.n // 2], p99=ns[work.n * 99 // 100],
                  max=ns[-1], ran_in_another_thread=1)
    finish(pool)


def run_multi_producer(work):
    pool = work.make_pool()
    pool.apply(identity, (1,))
    each = work.n // PRODUCERS
    for sample in work.samples(pool):
        totals = []
        threads = [threading.Thread(target=lambda: totals.append(submit_and_collect(pool, each)))
                   for _ in range(PRODUCERS)]
        with sample:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        sample.report(each * PRODUCERS, totals == [each * (each - 1) // 2] * PRODUCERS)
    finish(pool)


def run_stream(work):
    ordered = work.name == "stream_ordered"

    def fold(ys):
        total = 0
        for y in ys:
            total = (total * 31 + y if ordered else total + y) & WORD
        return total

    expected = fold(map(hash64, range(work.n)))
    pool = work.make_pool()
    pool.apply(identity, (1,))
    for sample in work.samples(pool):
        with sample:
            imap = pool.imap if ordered else pool.imap_unordered
            total = fold(imap(hash64, (i for i in range(work.n))))
        sample.report(work.n, total == expected, how="the task is a hash; as many in flight as there are")
    finish(pool)


def run_blocking(work):
    if work.processes:
        if work.n > 1024:
            return work.unsupported("4096 processes are too many for most machines")
        resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    sample = Sample(work)
    with sample:
        pool = work.make_pool()
        ys = pool.map(nap, range(work.n), 1)
        finish(pool)
    sample.report(work.n, ys == list(range(work.n)), sample.seconds / NAP, "x 100 ms")


def run_create_destroy(work):
    sample, total = Sample(work), 0
    with sample:
        for i in range(work.n):
            pool = work.make_pool()
            total += pool.apply(identity, (i,))
            finish(pool)
    sample.report(work.n, total == work.n * (work.n - 1) // 2, sample.seconds * 1e6 / work.n, "us/cycle")


def skewed_lengths(n):
    """Pareto lengths in steps of spin(), the same in every run, with some 0.5 s in all."""
    state, lengths = 6309, []
    for _ in range(n):
        state = (state * 6364136223846793005 + 1442695040888963407) & WORD
        lengths.append((((hash64(state) >> 12) + 0.5) / 2 ** 52) ** (-1 / 1.2))
    return [int(length / sum(lengths) * 8e6) for length in lengths]


def run_skewed(work):
    lengths = skewed_lengths(work.n)
    for variant in ("", "sorted"):
        if variant:
            lengths.sort()
        began = time.monotonic()
        expected = list(map(spin, lengths))
        serial = time.monotonic() - began
        pool = work.make_pool()
        pool.apply(identity, (1,))
        sample = work.samples(pool)[0]
        with sample:
            ys = pool.map(spin, lengths)
        sample.report(work.n, ys == expected, sample.seconds / (serial / work.workers), "x ideal", variant)
        finish(pool)


def serial_fib(n):
    return n if n < 2 else serial_fib(n - 1) + serial_fib(n - 2)


def run_nested(work):
    if work.processes:
        return work.unsupported("a task in another process cannot submit to its pool")
    pool = work.make_pool()

    def fib(n):
        if n < 2:
            return n
        left, right = pool.apply_async(fib, (n - 1,)), pool.apply_async(fib, (n - 2,))
        return right.get() + left.get()

    def ring(*_):
        work.unsupported("deadlock: tasks that wait hold all workers, nobody runs their children (5 s)")
        os._exit(0)

    signal.signal(signal.SIGALRM, ring)
    signal.alarm(5)
    sample = Sample(work)
    with sample:
        value = pool.apply(fib, (work.n,))
    signal.alarm(0)
    calls = 2 * serial_fib(work.n + 1) - 1
    sample.report(calls, value == serial_fib(work.n), sample.seconds * 1e9 / calls, "ns/task")


def resident():
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGESIZE")


def run_memory(work):
    event = multiprocessing.Manager().Event() if work.processes else threading.Event()
    pool = work.make_pool()
    results = [None] * work.n
    held = pool.apply_async(wait_for, (event,))
    sample, before = Sample(work), resident()
    with sample:
        for i in range(work.n):
            results[i] = pool.apply_async(identity, (i,))
    with_tasks = resident()
    event.set()
    held.get()
    total = sum(result.get() for result in results)
    sample.report(work.n, total == work.n * (work.n - 1) // 2, (with_tasks - before) / work.n, "bytes/task")
    finish(pool)


def run_idle(work):
    pool = work.make_pool()
    submit_and_collect(pool, 1000)
    sample = work.samples(pool)[0]
    with sample:
        time.sleep(work.n)
    sample.report(work.n, True, (sample.used[0] + sample.used[1]) * 1e3, "ms CPU",
                  ctx_switches=sample.used[2] + sample.used[3] - 1)
    finish(pool)


RUN = {
    "map_tiny": run_map, "map_chunk1": run_map, "submit_get": run_submit_get, "submit_wait_all": run_submit_wait_all,
    "apply_latency": run_apply_latency, "multi_producer": run_multi_producer, "stream_ordered": run_stream,
    "stream_unordered": run_stream, "blocking": run_blocking, "blocking4k": run_blocking,
    "create_destroy": run_create_destroy, "skewed": run_skewed, "nested": run_nested, "memory": run_memory,
    "idle": run_idle,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pool", choices=("Pool", "ThreadPool"), default="ThreadPool")
    parser.add_argument("--work")
    parser.add_argument("--n", type=int, default=0)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--reps", type=int, default=0)
    parser.add_argument("--scale", type=float, default=1)
    parser.add_argument("--peer", default="")
    parser.add_argument("--list", action="store_true")
    arguments = parser.parse_args()
    if arguments.list:
        print("\n".join(RUN))
    elif arguments.work in RUN:
        RUN[arguments.work](Work(arguments))
    else:
        print(json.dumps({"peer": arguments.peer, "variant": "", "work": arguments.work,
                          "unsupported": "this program has no such work"}))


if __name__ == "__main__":
    main()
