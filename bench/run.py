#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs the programs of the benchmark side by side, and reports: make bench calls it. See bench/README.

Every round runs every peer once, one process at a time (A B C A B C ...), so that a machine whose speed drifts treats
all alike. The units of the machine (UNITS) are measured in each of these rounds, too. Samples go to samples.jsonl,
tables to report.txt, figures to *.svg, all in the folder of the results.
"""
import argparse
import collections
import itertools
import json
import os
import platform
import shlex
import signal
import statistics
import subprocess
import sys
import time

OURS = "mppool"
LIMITS = ("serial", "pthreads")  # no pools: what they reach is a limit, not a competitor
OTHER_WORK = ("map", "fork-join")  # variants that stand for a work of which the peer is not capable
MAIN = ("map_tiny", "map_chunk1", "submit_get", "submit_wait_all", "apply_latency", "multi_producer", "stream_ordered",
        "stream_unordered", "blocking", "blocking4k", "create_destroy", "skewed", "nested", "memory", "idle")
SWEEPS = ("task_length", "workers")
OWN_WORKS = ("arguments", "callbacks", "chunksize", "fair")  # of what only this library has
UNDER_CONDITIONS = ("map_tiny", "submit_get", "submit_wait_all", "apply_latency", "stream_ordered", "nested")
PAIRS = {"near": "two CPUs that share a core or a cache", "far": "two CPUs that share neither"}
CONDITIONS = {"one-cpu": "all threads on one CPU", "busy": "a busy process beside", **PAIRS}
GROUPS = {
    "main": MAIN,
    "sweeps": SWEEPS,
    "conditions": tuple(f"{work}@{condition}" for condition in ("one-cpu", "busy") for work in UNDER_CONDITIONS) +
    OWN_WORKS,
}
GROUPS["all"] = GROUPS["main"] + GROUPS["sweeps"] + GROUPS["conditions"]
FIXED_WORKERS = ("blocking", "blocking4k", "memory", "workers")
SLOW = 15  # seconds: a process that takes longer runs in the first round only

FLOOR = "floor"  # the program, and the work, that measures the units
Unit = collections.namedtuple("Unit", "letter text")
UNITS = {  # by the variants of that work
    "line": Unit("L", "a cache line's way from one CPU to another"),
    "syscall": Unit("S", "a system call"),
    "wake-call": Unit("Wc", "to wake a thread on another CPU: the waker's cost"),
    "wake-run": Unit("Wr", "... until that thread runs"),
    "wake-idle": Unit("Wi", "... until it runs, after 1 ms of idleness"),
    "thread": Unit("T", "a thread made and joined"),
    "thread-batch": Unit("Tb", "... in a batch, for each thread"),
    "hand-over": Unit("H", "to wake a thread on the same CPU, and sleep"),
}
NS = {"ns/item": 1, "ns/task": 1, "us/cycle": 1e3}  # values that are times, in nanoseconds
UNIT_OF_WORK = {"create_destroy": "thread"}  # others in L; on one CPU in H

# What the library is to reach with two workers: medians of one run, at most factor times what it is compared with, and
# so many nanoseconds more.
Threshold = collections.namedtuple("Threshold", "work variant factor of text more condition", defaults=(0, ""))
THRESHOLDS = (
    Threshold("map_tiny", "", 1.05, "best", "1.05 x the best peer"),
    Threshold("map_chunk1", "", 1.3, "best", "1.3 x the best peer"),
    Threshold("submit_get", "", 0.7, "L", "0.7 L"),
    Threshold("submit_get", "", 1.0, "best", "the best peer"),
    Threshold("submit_get", "", 100, "", "100 ns", condition="one-cpu"),
    Threshold("submit_wait_all", "", 1.0, "best", "the best peer"),
    Threshold("apply_latency", "", 3, "L", "3 L + 150 ns, by a worker", more=150),
    Threshold("apply_latency", "", 1.0, "worker", "the best peer, by a worker"),
    Threshold("apply_latency", "caller-helps", 130, "", "130 ns"),
    Threshold("multi_producer", "", 1.0, "best", "the best peer"),
    Threshold("stream_ordered", "", 0.5, "best", "0.5 x the best peer"),
    Threshold("stream_unordered", "", 1.0, "best", "the best peer"),
    Threshold("blocking", "", 1.10, "pthreads", "1.10 x bare threads"),
    Threshold("blocking4k", "", 1.10, "pthreads", "1.10 x bare threads"),
    Threshold("create_destroy", "", 1.1, "pthreads", "1.1 x as many bare threads"),
    Threshold("skewed", "", 1.01, "", "1.01 x ideal"),
    Threshold("skewed", "sorted", 1.02, "", "1.02 x ideal"),
    Threshold("nested", "", 1.1, "tbb", "1.1 x oneTBB"),
    Threshold("memory", "", 80, "", "80 bytes"),
)


# -------------------------------------------------------------------------------------------------------------- peers

def find_peers(arguments):
    """name -> command, of all that was built; ours first."""
    peers = {}
    folder = arguments.programs
    if os.path.exists(os.path.join(folder, "mppool-bench")):
        peers[OURS] = [os.path.join(folder, "mppool-bench")]
    for program in sorted(os.listdir(folder)):
        name, dot, _ = program[len("peer-"):].partition(".")
        if program.startswith("peer-") and not dot and os.access(os.path.join(folder, program), os.X_OK):
            peers[name] = [os.path.join(folder, program)]
    for pool in ("ThreadPool", "Pool"):
        script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "peer-python.py")
        peers[f"py-{pool}"] = [sys.executable, script, "--pool", pool]
    chosen = peers if not arguments.peers else {}
    for name in arguments.peers.replace(",", " ").split():
        if name not in peers:
            sys.exit(f"run.py: no peer {name}; there are: {' '.join(peers)}")
        chosen[name] = peers[name]
    for extra in arguments.extra:
        name, equals, command = extra.partition("=")
        if not equals or not command:
            sys.exit(f"run.py: --extra {extra}: must be NAME=COMMAND")
        chosen[name] = shlex.split(command)
    return chosen


def on_pairs(work, pairs):
    """A main work under both conditions, if the machine has both; otherwise on the CPUs that there are."""
    return [f"{work}@{pair}" for pair in PAIRS] if work in MAIN and len(pairs) == len(PAIRS) else [work]


def find_works(text, pairs):
    """Pairs of work and condition."""
    works = []
    for word in text.replace(",", " ").split():
        names = [name for work in GROUPS[word] for name in on_pairs(work, pairs)] if word in GROUPS else [word]
        for name in names:
            work, _, condition = name.partition("@")
            if condition in PAIRS and condition not in pairs:
                sys.exit(f"run.py: {name}: this machine has no {PAIRS[condition]}, as far as the system says")
            if work not in MAIN + SWEEPS + OWN_WORKS or (condition and condition not in CONDITIONS):
                known = " ".join((*GROUPS, *MAIN, *SWEEPS, *OWN_WORKS))
                after = " ".join(f"@{condition}" for condition in CONDITIONS)
                sys.exit(f"run.py: no work {name}; there are: {known}; and with {after} after them")
            works.append((work, condition))
    return works


# ---------------------------------------------------------------------------------------------------------- the CPUs

def read_list(path):
    """The CPUs of a file such as 0-3,8; None where the system does not say."""
    try:
        with open(path) as file:
            parts = [part.split("-") for part in file.read().strip().split(",") if part]
        return {cpu for part in parts for cpu in range(int(part[0]), int(part[-1]) + 1)}
    except (OSError, ValueError):
        return None


def read_word(path):
    try:
        with open(path) as file:
            return file.read().strip()
    except OSError:
        return ""


class Topology:
    """Which of the CPUs that may be used share what, as the system says."""

    def __init__(self, cpus, root="/sys/devices/system/cpu"):
        self.cpus = sorted(cpus)
        self.core, self.package, self.caches = {}, {}, {}
        for cpu in self.cpus:
            topology, cache = f"{root}/cpu{cpu}/topology", f"{root}/cpu{cpu}/cache"
            self.core[cpu] = read_list(f"{topology}/core_cpus_list") or read_list(f"{topology}/thread_siblings_list")
            self.package[cpu] = read_word(f"{topology}/physical_package_id")
            self.caches[cpu] = [(read_word(f"{cache}/{index}/level"), read_list(f"{cache}/{index}/shared_cpu_list"))
                                for index in (sorted(os.listdir(cache)) if os.path.isdir(cache) else ())
                                if index.startswith("index")]

    def shared(self, one, other):
        """"core", "L2", ...: the closest that two CPUs share; "" for nothing, None where the system does not say."""
        if self.core[one] and other in self.core[one]:
            return "core"
        levels = [level for level, cpus in self.caches[one] if cpus and other in cpus]
        if levels:
            return "L" + min(levels)
        known = self.core[one] and any(cpus for _, cpus in self.caches[one])
        return "" if known else None

    def pairs(self):
        """The conditions of PAIRS that this machine has -> two CPUs. Those that share a cache are better than those
        that share a core, whose threads slow each other down; those of two packages better than those of one."""
        best = {}
        for one, other in itertools.combinations(self.cpus, 2):
            shared = self.shared(one, other)
            if shared is None:
                continue
            name = "near" if shared else "far"
            rank = shared == "core" if shared else self.package[one] == self.package[other]
            if name not in best or rank < best[name][0]:
                best[name] = (rank, (one, other))
        return {name: cpus for name, (_, cpus) in best.items()}

    def text(self, one, other):
        shared = self.shared(one, other)
        if shared is None:
            apart = "are different cores" if self.core[one] else "may share a core"
            return f"CPUs {one} and {other} {apart}; the system does not say which caches they share"
        packages = "of one package" if self.package[one] == self.package[other] else "of two packages"
        if not shared:
            return f"CPUs {one} and {other}, {packages}, share neither a core nor a cache"
        return f"CPUs {one} and {other} share {'a core' if shared == 'core' else f'an {shared} cache, no core'}"


# ------------------------------------------------------------------------------------------------------------ running

def cpu_ticks():
    """All ticks of all CPUs so far, and those that a hypervisor gave to others; (0, 0) where the system has none."""
    try:
        with open("/proc/stat") as stat:
            fields = [int(field) for field in stat.readline().split()[1:9]]
    except (OSError, ValueError):
        return 0, 0
    return sum(fields), fields[7] if len(fields) > 7 else 0


class Runner:
    def __init__(self, arguments, peers, topology):
        self.arguments, self.peers = arguments, peers
        self.topology, self.pairs = topology, topology.pairs()
        self.floor = os.path.join(arguments.programs, FLOOR)
        if not os.path.exists(self.floor):
            self.floor = None
        self.samples = []
        self.once = set()  # (peer, work, condition) that need no further round
        self.child = None

    def command(self, peer, work):
        command = self.peers[peer] + ["--work", work, "--peer", peer]
        if self.arguments.workers and work not in FIXED_WORKERS:
            command += ["--workers", str(self.arguments.workers)]
        if self.arguments.scale != 1:
            command += ["--scale", str(self.arguments.scale)]
        if self.arguments.reps:
            command += ["--reps", str(self.arguments.reps)]
        return command

    def run_process(self, command, condition):
        """Its output, and why it is worth nothing, if so."""
        cpus = self.topology.cpus[:1] if condition == "one-cpu" else self.pairs.get(condition)
        self.child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                      start_new_session=True,
                                      preexec_fn=(lambda: os.sched_setaffinity(0, cpus)) if cpus else None)
        why = None
        try:
            output, errors = self.child.communicate(timeout=self.arguments.timeout)
            if self.child.returncode:
                why = f"ended with status {self.child.returncode}: {errors.strip()[-200:]}"
        except subprocess.TimeoutExpired:
            os.killpg(self.child.pid, signal.SIGKILL)
            output, _ = self.child.communicate()
            why = f"not done after {self.arguments.timeout} s"
        self.child = None
        return output, why

    def run_command(self, command, work, **members):
        """The samples of one process, with further members; and the seconds that it took."""
        began, (all_before, stolen_before) = time.monotonic(), cpu_ticks()
        output, why = self.run_process(command, members["condition"])
        seconds, (all_after, stolen_after) = time.monotonic() - began, cpu_ticks()
        lines = [json.loads(line) for line in output.splitlines() if line.startswith("{") and line.endswith("}")]
        if why:
            lines.append({"variant": "", "work": work, "unsupported": why})
        for line in lines:
            line.update(members, load=os.getloadavg()[0],
                        steal_percent=round(100 * (stolen_after - stolen_before) / max(1, all_after - all_before), 2))
        return lines, seconds

    def run_floor(self, work, condition, turn):
        """The units, as they are while a work is measured. A busy process beside would be measured with them."""
        if not self.floor or condition == "busy":
            return []
        command = [self.floor, "--work", FLOOR]
        if self.arguments.scale != 1:
            command += ["--scale", str(self.arguments.scale)]
        cpus = self.pairs.get(condition, self.topology.cpus[:2])
        text = CONDITIONS["one-cpu"] if condition == "one-cpu" or len(cpus) < 2 else self.topology.text(*cpus)
        return self.run_command(command, FLOOR, peer=FLOOR, condition=condition, round=turn, beside=work,
                                cpus=text)[0]

    def run_once(self, peer, work, condition, turn):
        lines, seconds = self.run_command(self.command(peer, work), work, peer=peer, condition=condition, round=turn)
        if seconds > SLOW or all("unsupported" in line for line in lines):
            self.once.add((peer, work, condition))
        return lines

    def keep(self, lines, store):
        self.samples += lines
        store.writelines(json.dumps(line) + "\n" for line in lines)
        store.flush()

    def run_work(self, work, condition, store):
        busy = None
        if condition == "busy":
            busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
        try:
            for turn in range(self.arguments.rounds):
                self.keep(self.run_floor(work, condition, turn), store)
                for peer in self.peers:
                    if (peer, work, condition) in self.once or (work in OWN_WORKS and peer != OURS):
                        continue
                    self.keep(self.run_once(peer, work, condition, turn), store)
        finally:
            if busy:
                busy.kill()
                busy.wait()

    def run_all(self, works, store):
        began = time.monotonic()
        try:
            for work, condition in works:
                self.run_work(work, condition, store)
                at = f"@{condition}" if condition else ""
                minutes, seconds = divmod(int(time.monotonic() - began), 60)
                print(f"[{minutes}:{seconds:02d}] {work}{at}", file=sys.stderr, flush=True)
        except KeyboardInterrupt:
            print("interrupted: the report is about what was measured", file=sys.stderr)
        finally:
            if self.child:
                os.killpg(self.child.pid, signal.SIGKILL)
                self.child.wait()


# --------------------------------------------------------------------------------------------------------- statistics

class Series:
    """The samples of one peer and variant in one work, without those of the warm-up."""

    def __init__(self, samples):
        if any(sample["rep"] for sample in samples):
            samples = [sample for sample in samples if sample["rep"]]
        self.samples = samples
        self.values = [sample["value"] for sample in samples]
        self.median = statistics.median(self.values)
        self.unit = samples[0]["unit"]

    def median_of(self, get):
        return statistics.median(get(sample) for sample in self.samples)

    def median_note(self, key):
        values = [sample["extra"][key] for sample in self.samples if key in sample["extra"]]
        return statistics.median(values) if values else None

    def note(self, key):
        return self.samples[-1]["extra"].get(key, "")


class Results:
    def __init__(self, samples):
        groups, self.missing, self.wrong = {}, {}, []
        self.floor = [sample for sample in samples if sample["work"] == FLOOR]
        samples = [sample for sample in samples if sample["work"] != FLOOR]
        self.wrong += [f"{FLOOR}/{sample['variant']}" for sample in self.floor if not sample.get("ok", True)]
        self.steal = max((sample.get("steal_percent", 0) for sample in samples), default=0)
        for sample in samples:
            name = sample["peer"] + ("/" + sample["variant"] if sample.get("variant") else "")
            work = sample["work"], sample.get("condition", "")
            if "unsupported" in sample:
                self.missing.setdefault(work, {})[name] = sample["unsupported"]
                continue
            if not sample["ok"]:
                self.wrong.append(f"{name}: {sample['work']}, n {sample['n']}")
            param = sample["extra"].get("param")
            groups.setdefault(work, {}).setdefault(name, {}).setdefault(param, []).append(sample)
        self.series = {work: {name: {param: Series(group) for param, group in params.items()}
                              for name, params in names.items()} for work, names in groups.items()}

    def plain(self, work, condition=""):
        """name -> Series, the best first, of a work that has no parameter."""
        names = self.series.get((work, condition), {})
        return dict(sorted(((name, params[None]) for name, params in names.items() if None in params),
                           key=lambda item: item[1].median))

    def units(self, condition, work=None):
        """Variant of the floor -> its values in nanoseconds under a condition, beside one work or all."""
        values = {}
        for sample in self.floor:
            if sample["condition"] == condition and work in (None, sample["beside"]) and "value" in sample:
                values.setdefault(sample["variant"], []).append(sample["value"])
        return values

    def unit(self, work, condition, name=None):
        """The unit that suits a work, and its nanoseconds beside that work; None where it was not measured."""
        name = name or ("hand-over" if condition == "one-cpu" else UNIT_OF_WORK.get(work, "line"))
        values = self.units(condition, work).get(name)
        return UNITS[name].letter, statistics.median(values) if values else None

    def in_unit(self, work, condition, series):
        """A time in that unit; None where the value is no time, or the unit was not measured."""
        _, size = self.unit(work, condition)
        return series.median * NS[series.unit] / size if size and series.unit in NS else None

    def best_peer(self, work, condition=""):
        for name, series in self.plain(work, condition).items():
            peer, _, variant = name.partition("/")
            if peer not in (OURS, *LIMITS) and variant not in OTHER_WORK:
                return name, series
        return None, None


# --------------------------------------------------------------------------------------------------------------- text

def short(value):
    """Three digits, or all before the point."""
    if value is None:
        return ""
    size = abs(value)
    return f"{value:.0f}" if size >= 100 else f"{value:.1f}" if size >= 10 else f"{value:.2f}" if size >= 1 else \
        f"{value:.3f}" if size else "0"


def notes(series):
    words = []
    for key in ("p50", "p99", "ran_in_another_thread", "threads", "ctx_switches", "ctx_switches_settled",
                "limit_reached"):
        value = series.median_note(key)
        if value is not None:
            words.append(f"{key} {short(value)}")
    if series.note("how"):
        words.append(series.note("how"))
    steal = max(sample.get("steal_percent", 0) for sample in series.samples)
    if steal >= 1:
        words.append(f"{steal:.0f} % of the CPU stolen")
    return "; ".join(words)


def missing_lines(results, key):
    return [f"  {name + ' ':.<28} {why}" for name, why in sorted(results.missing.get(key, {}).items())]


def work_table(results, work, condition):
    series = results.plain(work, condition)
    best_name, best = results.best_peer(work, condition)
    at = f", {CONDITIONS[condition]}" if condition else ""
    unit = next(iter(series.values())).unit if series else ""
    timed = any(results.in_unit(work, condition, one) is not None for one in series.values())
    in_unit = f"in {results.unit(work, condition)[0]}" if timed else ""
    lines = ["", f"{work}{at} [{unit}]" if unit else f"{work}{at}", ""]
    if series:
        lines.append(f"  {'':28} {'median':>8}  {'min .. max':^17} {'/ best':>7} {in_unit:>7} "
                     f"{'wall s':>8} {'user s':>8} "
                     f"{'sys s':>8} {'switches':>8} {'n':>8} {'runs':>4}")
    for name, one in series.items():
        ratio = short(one.median / best.median) if best and best.median else ""
        units = short(results.in_unit(work, condition, one))
        lines.append(
            f"{'>' if name.partition('/')[0] == OURS else ' '} {name:28} {short(one.median):>8}  "
            f"{short(min(one.values)) + ' .. ' + short(max(one.values)):^17} "
            f"{'best' if name == best_name else ratio:>7} {units:>7} "
            f"{one.median_of(lambda s: s['seconds']):>8.3f} {one.median_of(lambda s: s['user']):>8.3f} "
            f"{one.median_of(lambda s: s['sys']):>8.3f} {one.median_of(lambda s: s['nvcsw'] + s['nivcsw']):>8.0f} "
            f"{one.samples[0]['n']:>8} {len(one.values):>4}  {notes(one)}".rstrip())
    return lines + missing_lines(results, (work, condition))


SWEEP_COLUMNS = {  # what a column is, and the tables that are made of it: title, value of a series
    "task_length": ("ns of the task", (
        ("ns per task submitted", lambda one: short(one.median)),
        ("useful time / (CPUs x wall), %", lambda one: f"{100 * one.median_note('efficiency'):.0f}"))),
    "workers": ("workers", (("million tasks of 1 us per second", lambda one: short(1e3 / one.median)),)),
    "arguments": ("bytes of the argument", (("ns per submit and get", lambda one: short(one.median)),)),
    "chunksize": ("items in a chunk; 0: the library's choice", (("ns per item", lambda one: short(one.median)),)),
}


def sweep_table(results, work, condition):
    names = results.series.get((work, condition), {})
    columns, tables = SWEEP_COLUMNS[work]
    params = sorted({param for by_param in names.values() for param in by_param}) if names else []
    lines = []
    for title, value in tables:
        lines += ["", f"{work}: {title}", "", f"  {columns + ':':28}" + "".join(f"{param:>9g}" for param in params)]
        for name, by_param in names.items():
            mark = ">" if name.partition("/")[0] == OURS else " "
            lines.append(f"{mark} {name:28}" + "".join(
                f"{value(by_param[param]) if param in by_param else '':>9}" for param in params))
    return lines + missing_lines(results, (work, condition))


def bare_threads(results, work, condition, ours):
    """Of the variants that differ in their numbers of threads, the one that has as many as the library."""
    threads = ours.median_note("threads")
    for name, series in results.plain(work, condition).items():
        if name.partition("/")[0] == "pthreads" and series.median_note("threads") == threads:
            return series
    return None


def best_by_a_worker(results, work, condition):
    """The best peer whose callers do not run their calls themselves; a fork and join of all threads counts, too."""
    for name, series in results.plain(work, condition).items():
        if name.partition("/")[0] not in (OURS, *LIMITS) and (series.median_note("ran_in_another_thread") or 0) >= 0.5:
            return series
    return None


def compared_with(results, threshold, condition, ours):
    """The value that a threshold is a multiple of; None where it was not measured."""
    if not threshold.of:
        return 1
    if threshold.of == "L":
        return results.unit(threshold.work, condition, "line")[1]
    if threshold.of == "best":
        other = results.best_peer(threshold.work, condition)[1]
    elif threshold.of == "worker":
        other = best_by_a_worker(results, threshold.work, condition)
    elif threshold.of == "pthreads":
        other = bare_threads(results, threshold.work, condition, ours)
    else:
        other = results.plain(threshold.work, condition).get(threshold.of)
    return other.median if other else None


def judge(results, threshold, condition):
    """What was measured, the most that it may be; None for what is not known."""
    ours = results.plain(threshold.work, condition).get(OURS + ("/" + threshold.variant if threshold.variant else ""))
    other = compared_with(results, threshold, condition, ours) if ours else None
    return ours, other * threshold.factor + threshold.more if other is not None else None


def verdict(measured, most):
    if most is None:
        return "nothing to compare with was measured"
    return "yes" if measured <= most else f"NO: {measured / most:.2f} x" if most else "NO"


def threshold_line(name, text, most, measured, met):
    return f"  {name:30} {text:28} {short(most):>9} {short(measured):>9}  {met}"


def threshold_table(results):
    lines = ["", "To reach, with two workers (medians)", "",
             f"  {'work':30} {'at most':28} {'that is':>9} {'measured':>9}  met"]
    for threshold in THRESHOLDS:
        for condition in (threshold.condition,) if threshold.condition else ("", *PAIRS):
            ours, most = judge(results, threshold, condition)
            if not ours:
                continue
            name = threshold.work + ("/" + threshold.variant if threshold.variant else "") + \
                ("@" + condition if condition else "")
            met = verdict(ours.median, most)
            if met == "yes" and threshold.text.endswith("by a worker") and \
                    ours.median_note("ran_in_another_thread") != 1:
                met = "NO: the caller ran it"
            lines.append(threshold_line(name, threshold.text, most, ours.median, met))
    for condition in ("", *PAIRS):
        ours = results.plain("idle", condition).get(OURS)
        if ours:
            switches = max(sample["extra"]["ctx_switches_settled"] for sample in ours.samples)
            name = "idle" + ("@" + condition if condition else "")
            lines.append(threshold_line(name, "no context switch", 0, switches, verdict(switches, 0)))
    return lines


# -------------------------------------------------------------------------------------------------------------- units

def floor_table(results):
    """What each unit is, under each condition in which it was measured."""
    lines = []
    for condition in dict.fromkeys(sample["condition"] for sample in results.floor):
        cpus = next(sample["cpus"] for sample in results.floor if sample["condition"] == condition)
        at = f" @{condition}" if condition else ""
        lines += ["", f"Units of the machine{at} [ns]: {cpus}", "",
                  f"     {'':50} {'median':>8}  {'min .. max':^17} {'runs':>4}"]
        for name, values in results.units(condition).items():
            lines.append(f"  {UNITS[name].letter:2} {UNITS[name].text:50} {short(statistics.median(values)):>8}  "
                         f"{short(min(values)) + ' .. ' + short(max(values)):^17} {len(values):>4}")
        missing = {sample["variant"]: sample["unsupported"] for sample in results.floor
                   if sample["condition"] == condition and "unsupported" in sample}
        lines += [f"  {UNITS[name].letter if name in UNITS else FLOOR:2} {why}" for name, why in missing.items()]
    return lines


def beside_bare(results, work, condition, series):
    """The ratio to bare threads, where these were measured with as many threads."""
    bare = bare_threads(results, work, condition, series)
    return series.median / bare.median if bare and bare.median else None


def units_table(results):
    """Each work of this library in its unit and beside bare threads; each unit is that of the rounds of the work."""
    lines = []
    for work, condition in results.series:
        best_name, best = results.best_peer(work, condition)
        letter, size = results.unit(work, condition)
        for name, one in results.plain(work, condition).items():
            ours, bare = results.in_unit(work, condition, one), beside_bare(results, work, condition, one)
            if not is_ours(name) or (ours is None and bare is None):
                continue
            label = work + name[len(OURS):] + ("@" + condition if condition else "")
            peer = short(results.in_unit(work, condition, best)) if best else ""
            if ours is None:
                letter = size = None
            lines.append(f"  {label:34} {letter or '':4} {short(size):>9} {short(ours):>9} {peer:>9} {short(bare):>9}"
                         f"  {best_name or ''}".rstrip())
    return ["", "Works in units of the machine (L, H, T as they were in the rounds of the work)", "",
            f"  {'':34} {'unit':4} {'ns':>9} {OURS:>9} {'best peer':>9} {'/ bare':>9}", *lines] if lines else []


def machine():
    model = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo") as cpuinfo:
            model = next(line.split(":", 1)[1].strip() for line in cpuinfo if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    return f"{len(os.sched_getaffinity(0))} CPUs ({model}), {platform.system()} {platform.release()}, " \
           f"{' '.join(platform.libc_ver())}"


def summary_table(results, condition):
    """Medians of all main works; a peer's best variant is what counts."""
    works = [work for work in MAIN if results.plain(work, condition)]
    if not works:
        return []
    peers = list(dict.fromkeys(name.partition("/")[0] for work in works for name in results.plain(work, condition)))
    peers.sort(key=lambda peer: (peer != OURS, peer in LIMITS))
    at = f", {CONDITIONS[condition]}" if condition else ""
    lines = ["", f"Medians of all works{at}, of each peer's best variant", "",
             f"  {'':20} {'':>9} " + "".join(f"{peer[:11]:>12}" for peer in peers)]
    for work in works:
        series = results.plain(work, condition)
        cells = []
        for peer in peers:
            medians = [one.median for name, one in series.items() if name.partition("/")[0] == peer]
            cells.append(f"{short(min(medians)) if medians else '-':>12}")
        lines.append(f"  {work:20} {next(iter(series.values())).unit:>10}" + "".join(cells))
    return lines


def report(results, arguments):
    lines = [f"{machine()}; {time.strftime('%Y-%m-%d %H:%M')}",
             f"load {os.getloadavg()[0]:.2f} at the end; at most {results.steal:.1f} % of the CPU stolen in a run",
             f"> {OURS}; / best: median by that of the best peer, of which {' and '.join(LIMITS)} are none"]
    done = list(dict.fromkeys([*results.series, *results.missing]))
    for work, condition in done:
        lines += (sweep_table if work in SWEEP_COLUMNS else work_table)(results, work, condition)
    for condition in ("", *PAIRS):
        lines += summary_table(results, condition)
    lines += floor_table(results) + units_table(results)
    if arguments.workers in (0, 2) and any(OURS in names for names in results.series.values()):
        lines += threshold_table(results)
    if results.wrong:
        lines += ["", "WRONG RESULTS", ""] + [f"  {line}" for line in sorted(set(results.wrong))]
    return "\n".join(lines) + "\n"


# ------------------------------------------------------------------------------------------------------------ figures

RED, BAR, GREY_BAR = "#c1121f", "#8fa6bd", "#d5d8dc"
CURVES = {"tbb": "#1d3557", "openmp": "#2a9d8f", "glib": "#e9a23b", "pthreadpool": "#6a4c93", "libuv": "#588157",
          "apr": "#7f5539", "pthreads": "#8d8d8d", "serial": "#b9b9b9"}
FURTHER = ("#457b9d", "#d67ab1", "#000000", "#f4a261")


def is_ours(name):
    return name.partition("/")[0] == OURS


def header(width, height, path):
    return [f'set terminal svg size {width},{height} font "Helvetica,13" background "#ffffff"', f'set output "{path}"',
            "set encoding utf8", "set border 3 lc rgb '#555555'", "set tics nomirror textcolor rgb '#333333'",
            "set grid lc rgb '#e5e5e5' lt 1"]


def ticks(low, high):
    """Powers of ten, or what lies between them if there are too few."""
    for steps in ((1,), (1, 2, 5), (1, 1.5, 2, 3, 4, 5, 7), tuple(step / 10 for step in range(10, 100))):
        values = [step * 10.0 ** power for power in range(-3, 9) for step in steps]
        values = [value for value in values if low <= value <= high]
        if len(values) >= 3:
            break
    names = ((1e6, "M"), (1e3, "k"), (0, ""))

    def name(value):
        unit, letter = next(pair for pair in names if value >= pair[0])
        return f"{value / (unit or 1):g}{letter}"

    values = values[::len(values) // 6 + 1]
    return ", ".join(f"'{name(value)}' {value:g}" for value in values)


def panel(number, title, series):
    """A bar for each peer, the best on top, with its minimum and maximum."""
    least, most = min(one.median for one in series.values()), max(max(one.values) for one in series.values())
    low, high = least * min(0.8, (least / most) ** 0.3), most * max(1.15, (most / least) ** 0.22)
    rows = []
    for place, (name, one) in enumerate(series.items()):
        colour = RED if is_ours(name) else GREY_BAR if name.partition("/")[0] in LIMITS else BAR
        rows.append(f'{one.median} {-place} {max(min(one.values), low)} {max(one.values)} 0x{colour[1:]} '
                    f'"{name}" "{short(one.median)}"')
    return [f"$panel{number} << EOD", *rows, "EOD",
            f'set title "{title}   [{next(iter(series.values())).unit}]" noenhanced font ",14" offset 0,-0.5',
            f"set xrange [{low}:{high}]", f"set yrange [{0.7 - len(series)}:0.7]", f"set xtics ({ticks(low, high)})",
            f"plot $panel{number} using 1:2:({low}):1:($2-0.38):($2+0.38):5:ytic(6) with boxxyerror lc rgb variable, "
            f"'' using 1:2:3:4 with xerrorbars pt -1 lc rgb '#444444' lw 1, "
            f"'' using 4:2:7 with labels left offset 0.6,0 font ',11' noenhanced"]


def bars_figure(panels, path):
    columns = min(4, len(panels))
    rows = (len(panels) + columns - 1) // columns
    script = header(430 * columns, 50 + 330 * rows, path) + [
        f'set multiplot layout {rows},{columns} title "Less is better; logarithmic scales; {OURS} is red, what is no '
        'pool is grey; lines from minimum to maximum" font ",16"',
        "set logscale x", "unset key", "set border 1", "set ytics scale 0 noenhanced", "unset mxtics",
        "set grid noytics", "set lmargin 21", "set rmargin 2", "set bmargin 2.2", "set tmargin 2.2",
        "set style fill solid noborder"]
    for number, (title, series) in enumerate(panels.items()):
        script += panel(number, title, series)
    return script + ["unset multiplot"]


def curves(number, series, value):
    """The data of one plot, and what draws them; ours last, above the others."""
    further, data, plots = list(FURTHER), [], []
    for place, name in enumerate(sorted(series, key=is_ours)):
        peer = name.partition("/")[0]
        colour = RED if is_ours(name) else CURVES.setdefault(peer, further.pop(0) if further else "#000000")
        data += [f"$curve{number}_{place} << EOD",
                 *(f"{param} {value(one)}" for param, one in sorted(series[name].items())), "EOD"]
        width, point = (3, 0.6) if is_ours(name) else (1.5, 0.35)
        plots.append(f"$curve{number}_{place} using 1:2 with linespoints lc rgb '{colour}' lw {width} pt 7 ps {point} "
                     f"dt {2 if '/' in name else 1} title \"{name}\" noenhanced")
    return data, "plot " + ", ".join(plots)


def length_figure(series, path):
    script = header(1350, 560, path) + [
        "set multiplot", "set logscale x", "set xlabel 'length of a task'", "set xrange [8:1.25e6]", "set bmargin 4",
        "set xtics ('10 ns' 10, '100 ns' 100, '1 us' 1e3, '10 us' 1e4, '100 us' 1e5, '1 ms' 1e6)"]
    data, plot = curves(0, series, lambda one: 1e9 / one.median)
    script += data + ["set lmargin at screen 0.05", "set rmargin at screen 0.42", "unset key", "set logscale y",
                      "set format y '10^{%L}'", "set title 'tasks per second' font ',14'", plot]
    data, plot = curves(1, series, lambda one: 100 * one.median_note("efficiency"))
    return script + data + [
        "set lmargin at screen 0.48", "set rmargin at screen 0.85", "unset logscale y", "set format y '%g'",
        "set yrange [0:105]", "set key at screen 0.995, screen 0.9 right top reverse Left samplen 2 font ',12'",
        "set title 'useful time / (CPUs x wall time), %' font ',14'", plot, "unset multiplot"]


def workers_figure(series, path):
    data, plot = curves(0, series, lambda one: 1e3 / one.median)
    return header(950, 560, path) + data + [
        "set logscale x 2", "set xrange [0.92:70]", "set xtics (1, 2, 4, 8, 16, 32, 64)", "set yrange [0:*]",
        "set xlabel 'workers'", "set key outside right reverse Left samplen 2 font ',12'",
        "set title 'million tasks of 1 us per second' font ',14'", plot]


def bar_panels(results, condition):
    """Title -> series, of the main works; what is sorted stands by itself."""
    panels = {}
    for work in MAIN:
        for name, one in results.plain(work, condition).items():
            if one.median > 0:
                short_name = name.replace("/sorted", "").replace("-sorted", "")
                panels.setdefault(work + (", sorted" if name.endswith("sorted") else ""), {})[short_name] = one
    return dict(sorted(panels.items(), key=lambda item: MAIN.index(item[0].partition(",")[0])))


def figures(results, arguments):
    if not arguments.gnuplot:
        print("no figures without gnuplot, which configure did not find (or --gnuplot was not given)")
        return
    scripts = {}
    for condition in ("", *PAIRS):
        panels = bar_panels(results, condition)
        if panels:
            name = f"works-{condition}" if condition else "works"
            scripts[name] = lambda path, panels=panels: bars_figure(panels, path)
    for work, draw in (("task_length", length_figure), ("workers", workers_figure)):
        series = results.series.get((work, ""))
        if series:
            scripts[work] = lambda path, draw=draw, series=series: draw(series, path)
    for name, draw in scripts.items():
        path = os.path.join(arguments.results, f"{name}.svg")
        done = subprocess.run([arguments.gnuplot], input="\n".join(draw(path)) + "\n", text=True, capture_output=True)
        if done.returncode:
            print(f"gnuplot could not draw {path}: {done.stderr.strip()[-500:]}")
        else:
            print(f"drew {path}")


# --------------------------------------------------------------------------------------------------------------- main

def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--programs", default="bench", help="the folder of the programs")
    parser.add_argument("--results", default="bench/results", help="the folder for what comes out")
    parser.add_argument("--works", default="all", help="main, sweeps, conditions, all; or names of works")
    parser.add_argument("--peers", default="", help="all that were built, unless named here")
    parser.add_argument("--extra", action="append", default=[], metavar="NAME=COMMAND", help="one more peer")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--reps", type=int, default=0, help="repetitions within a process")
    parser.add_argument("--scale", type=float, default=1, help="multiplies the numbers of items")
    parser.add_argument("--timeout", type=int, default=60, help="seconds for one process")
    parser.add_argument("--gnuplot", default="")
    parser.add_argument("--from", dest="stored", metavar="FILE", help="report stored samples again")
    parser.add_argument("--check", action="store_true", help="no report: were all results right?")
    return parser.parse_args()


def measure(arguments):
    peers = find_peers(arguments)
    topology = Topology(os.sched_getaffinity(0))
    works = find_works(arguments.works, topology.pairs())
    print(f"peers: {' '.join(peers)}", file=sys.stderr)
    os.makedirs(arguments.results, exist_ok=True)
    runner = Runner(arguments, peers, topology)
    with open(os.path.join(arguments.results, "samples.jsonl"), "w") as store:
        runner.run_all(works, store)
    return runner.samples


def check(results):
    """Programs that cannot do a work say so; those that fail in it are not forgiven."""
    failed = [f"{FLOOR}: {sample['unsupported']}" for sample in results.floor
              if sample.get("unsupported", "").startswith(("ended with", "not done"))]
    failed += [f"{name}: {work}: {why}" for (work, _), names in results.missing.items() for name, why in names.items()
              if why.startswith(("ended with", "not done", "this program"))]
    for line in failed + [f"wrong result: {line}" for line in results.wrong]:
        print(line)
    done = sum(len(names) for names in results.series.values())
    print(f"{sum('value' in sample for sample in results.floor)} units were measured")
    print(f"{done} pairs of a work and a peer ran, {len(failed)} failed, {len(results.wrong)} results were wrong")
    return 1 if failed or results.wrong or not done else 0


def main():
    arguments = parse()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # programs that run are ended, as by Ctrl-C
    if arguments.stored:
        with open(arguments.stored) as stored:
            samples = [json.loads(line) for line in stored]
    else:
        samples = measure(arguments)
    results = Results(samples)
    if arguments.check:
        return check(results)
    text = report(results, arguments)
    os.makedirs(arguments.results, exist_ok=True)
    with open(os.path.join(arguments.results, "report.txt"), "w") as file:
        file.write(text)
    print(text)
    figures(results, arguments)
    print(f"samples and report: {arguments.results}")
    return 1 if results.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
