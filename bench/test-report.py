#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The arithmetic of run.py, on samples and machines that are made up: make check-bench calls it."""
import importlib.util
import os
import sys
import tempfile
import types
import unittest

sys.dont_write_bytecode = True  # the folder of the sources may be read-only
PATH = os.path.join(os.path.dirname(os.path.abspath(__file__)), "run.py")
SPEC = importlib.util.spec_from_file_location("run", PATH)
run = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(run)


def sample(name, work, value, unit="ns/item", condition="", **extra):
    peer, _, variant = name.partition("/")
    return {"peer": peer, "variant": variant, "work": work, "n": 1, "workers": 2, "rep": 0, "ns_per_item": value,
            "seconds": 1, "value": value, "unit": unit, "user": 0, "sys": 0, "nvcsw": 0, "nivcsw": 0, "ok": True,
            "extra": extra, "condition": condition, "round": 0}


def floor(variant, value, beside, condition=""):
    return {**sample(f"floor/{variant}", run.FLOOR, value, "ns", condition), "beside": beside, "cpus": "CPUs 0 and 1"}


def threshold_lines(samples, work):
    return [line.split() for line in run.threshold_table(run.Results(samples)) if line.split()[:1] == [work]]


class Units(unittest.TestCase):
    def test_a_work_is_divided_by_the_units_of_its_own_rounds(self):
        results = run.Results([floor("line", 100, "submit_get"), floor("line", 300, "submit_get"),
                               floor("line", 900, "nested"), sample("mppool", "submit_get", 50)])
        self.assertEqual(results.unit("submit_get", ""), ("L", 200))
        self.assertEqual(results.in_unit("submit_get", "", results.plain("submit_get")["mppool"]), 0.25)

    def test_threads_are_microseconds_in_T(self):
        results = run.Results([floor("thread", 50000, "create_destroy"),
                               sample("mppool", "create_destroy", 200, "us/cycle")])
        self.assertEqual(results.in_unit("create_destroy", "", results.plain("create_destroy")["mppool"]), 4)

    def test_what_was_not_measured_or_is_no_time_has_no_unit(self):
        results = run.Results([floor("line", 100, "skewed"), sample("mppool", "skewed", 1.01, "x ideal"),
                               sample("mppool", "nested", 60, "ns/task")])
        self.assertIsNone(results.in_unit("skewed", "", results.plain("skewed")["mppool"]))
        self.assertIsNone(results.in_unit("nested", "", results.plain("nested")["mppool"]))

    def test_one_cpu_has_hand_overs_instead_of_lines(self):
        results = run.Results([floor("hand-over", 1000, "apply_latency", "one-cpu"),
                               sample("mppool", "apply_latency", 5000, condition="one-cpu")])
        self.assertEqual(results.unit("apply_latency", "one-cpu"), ("H", 1000))
        self.assertIn("H", " ".join(run.units_table(results)))

    def test_the_report_has_the_units(self):
        results = run.Results([floor("line", 100, "submit_get"), sample("mppool", "submit_get", 50),
                               sample("glib", "submit_get", 400)])
        text = run.report(results, types.SimpleNamespace(workers=0))
        row = next(line.split() for line in text.splitlines() if line.split()[:2] == ["submit_get", "L"])
        self.assertEqual(row, ["submit_get", "L", "100", "0.500", "4.00", "glib"])

    def test_a_wrong_floor_is_wrong(self):
        self.assertEqual(run.Results([{**floor("line", 1, "nested"), "ok": False}]).wrong, ["floor/line"])


class Thresholds(unittest.TestCase):
    def test_apply_is_judged_in_lines_and_nanoseconds(self):
        for value, met in ((1049, "yes"), (1051, "NO:")):
            line = threshold_lines([floor("line", 300, "apply_latency"),
                                    sample("mppool", "apply_latency", value, ran_in_another_thread=1)],
                                   "apply_latency")[0]
            self.assertIn("1050", line)
            self.assertIn(met, line)

    def test_a_call_that_the_caller_ran_does_not_count(self):
        line = threshold_lines([floor("line", 300, "apply_latency"),
                                sample("mppool", "apply_latency", 9, ran_in_another_thread=0)], "apply_latency")[0]
        self.assertEqual(line[-4:], "the caller ran it".split())

    def test_apply_is_compared_with_peers_whose_workers_ran_it(self):
        line = threshold_lines([sample("mppool", "apply_latency", 700, ran_in_another_thread=1),
                                sample("tbb", "apply_latency", 90, ran_in_another_thread=0),
                                sample("glib", "apply_latency", 9000, ran_in_another_thread=1),
                                sample("pthreads/spinning", "apply_latency", 500, ran_in_another_thread=1)],
                               "apply_latency")[1]
        self.assertIn("9000", line)
        self.assertEqual(line[-1], "yes")

    def test_create_destroy_is_compared_with_as_many_threads(self):
        line = threshold_lines([sample("mppool", "create_destroy", 100, "us/cycle", threads=3),
                                sample("pthreads", "create_destroy", 60, "us/cycle", threads=2),
                                sample("pthreads/+1", "create_destroy", 90, "us/cycle", threads=3)],
                               "create_destroy")[0]
        self.assertIn("99.0", line)
        self.assertIn("NO:", line)

    def test_each_pair_of_cpus_is_judged_by_itself(self):
        samples = [floor("line", 100, "submit_get", "near"), floor("line", 300, "submit_get", "far"),
                   sample("mppool", "submit_get", 80, condition="near"),
                   sample("mppool", "submit_get", 80, condition="far")]
        self.assertIn("NO:", threshold_lines(samples, "submit_get@near")[0])
        self.assertIn("yes", threshold_lines(samples, "submit_get@far")[0])


class Cpus(unittest.TestCase):
    def topology(self, cpus):
        """cpus: core, package, and {cache level: CPUs that share it} of each; None: the system does not say."""
        root = self.folder()
        for cpu, (core, package, caches) in enumerate(cpus):
            files = {"topology/physical_package_id": package}
            if core:
                files["topology/core_cpus_list"] = core
            for index, (level, shared) in enumerate(caches.items()):
                files.update({f"cache/index{index}/level": level, f"cache/index{index}/shared_cpu_list": shared})
            for name, text in files.items():
                path = f"{root}/cpu{cpu}/{name}"
                os.makedirs(os.path.dirname(path), exist_ok=True)
                with open(path, "w") as file:
                    file.write(f"{text}\n")
        return run.Topology(range(len(cpus)), root)

    def folder(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        return folder.name

    def test_two_packages_of_two_cores_of_two_threads(self):
        cpus = [(core, package, {1: core, 3: l3}) for package, l3, cores in
                (("0", "0-3", ("0-1", "0-1", "2-3", "2-3")), ("1", "4-7", ("4-5", "4-5", "6-7", "6-7")))
                for core in cores]
        topology = self.topology(cpus)
        self.assertEqual(topology.pairs(), {"near": (0, 2), "far": (0, 4)})
        self.assertEqual((topology.shared(0, 1), topology.shared(0, 2), topology.shared(0, 4)), ("core", "L3", ""))
        self.assertEqual(run.on_pairs("nested", topology.pairs()), ["nested@near", "nested@far"])
        self.assertEqual(run.on_pairs("workers", topology.pairs()), ["workers"])

    def test_one_package_with_one_cache_has_no_far_pair(self):
        topology = self.topology([("0", "0", {2: "0", 3: "0-1"}), ("1", "0", {2: "1", 3: "0-1"})])
        self.assertEqual(topology.pairs(), {"near": (0, 1)})
        self.assertEqual(run.on_pairs("nested", topology.pairs()), ["nested"])

    def test_a_system_that_does_not_tell_its_caches(self):
        topology = self.topology([("0", "0", {}), ("1", "0", {})])
        self.assertEqual(topology.pairs(), {})
        self.assertIn("does not say", topology.text(0, 1))

    def test_a_pair_that_the_machine_lacks_is_refused(self):
        with self.assertRaises(SystemExit):
            run.find_works("nested@far", {"near": (0, 1)})
        self.assertEqual(run.find_works("nested@near", {"near": (0, 1)}), [("nested", "near")])


if __name__ == "__main__":
    unittest.main()
