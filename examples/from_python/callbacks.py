# callbacks.py - let a callback collect the results as they arrive.
#
# SPDX-License-Identifier: MIT
from multiprocessing import Pool


class Totals:
    def __init__(self):
        self.calls = 0
        self.sum = 0

    def add(self, result):
        self.calls += 1
        self.sum += result

    def add_all(self, results):
        self.calls += 1
        self.sum += sum(results)


def triangle(n):
    return n * (n + 1) // 2


if __name__ == "__main__":
    one_by_one = Totals()
    at_once = Totals()
    ns = range(1, 101)
    pool = Pool(4)
    for n in ns:
        pool.apply_async(triangle, (n,), callback=one_by_one.add)
    pool.map_async(triangle, ns, callback=at_once.add_all)
    pool.close()
    pool.join()
    print(f"apply_async: {one_by_one.calls} callbacks, sum {one_by_one.sum}")
    print(f"map_async: {at_once.calls} callback, sum {at_once.sum}")
