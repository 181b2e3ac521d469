# initializer_arguments.py - hand arguments to an initializer, which prepares every worker with them.
#
# SPDX-License-Identifier: MIT
from multiprocessing import Pool


# Runs first in every worker. What it prepares has to be global: that is how the tasks find it.
def prepare(unit, rate):
    global prices
    prices = lambda euros: f"{euros * rate:.2f} {unit}"


def price(euros):
    return prices(euros)


if __name__ == "__main__":
    with Pool(3, initializer=prepare, initargs=("zloty", 4.25)) as pool:
        for text in pool.map(price, range(1, 6)):
            print(text)
