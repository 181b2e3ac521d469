# error_in_map_async.py - a map that fails later: the error callback hears of it, and get raises it.
#
# SPDX-License-Identifier: MIT
from math import isqrt
from multiprocessing import Pool


def root(x):
    if x < 0:
        raise ValueError(f"{x} has no square root")
    return isqrt(x)


def report(error):
    print(f"error callback: {error}")


if __name__ == "__main__":
    with Pool(2) as pool:
        result = pool.map_async(root, [16, 25, -1, 36], callback=print, error_callback=report)
        result.wait()
        print(f"ready: {result.ready()}, successful: {result.successful()}")
        try:
            result.get()
        except ValueError as error:
            print(f"get: {error}")
