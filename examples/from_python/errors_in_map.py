# errors_in_map.py - a failing item makes the whole map fail.
#
# SPDX-License-Identifier: MIT
from math import isqrt
from multiprocessing import Pool


def root(x):
    if x < 0:
        raise ValueError(f"{x} has no square root")
    return isqrt(x)


if __name__ == "__main__":
    xs = [16, 25, -1, 36, -4, 50]

    # Python reports the failure that it hears of first: with one process it is certain which one that is.
    with Pool(1) as pool:
        try:
            pool.map(root, xs)
        except ValueError as error:
            print(f"the map failed: {error}")

        # The other roots are lost. If each matters, each has to be a call of its own.
        results = [pool.apply_async(root, (x,)) for x in xs]
        for x, result in zip(xs, results):
            try:
                print(f"{x}: {result.get()}")
            except ValueError:
                print(f"{x}: failed")
