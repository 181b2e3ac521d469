# map_and_iterate.py - square some numbers in parallel, then use the results in the order of the input.
#
# SPDX-License-Identifier: MIT
from multiprocessing import Pool


def square(x):
    return x * x


if __name__ == "__main__":
    xs = range(-3, 7)
    with Pool(4) as pool:
        for x, y in zip(xs, pool.map(square, xs)):
            print(f"{x} squared is {y}")
