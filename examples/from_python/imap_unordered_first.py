# imap_unordered_first.py - several searches race; the first that succeeds ends them all.
#
# SPDX-License-Identifier: MIT
from multiprocessing import Pool

NUMBER = 1000000007 * 1000000009


# The first divisor from start on. Start and NUMBER are odd.
def search(start):
    divisor = start
    while NUMBER % divisor:
        divisor += 2
    return divisor


if __name__ == "__main__":
    starts = [i * 100000000 + (1 if i else 3) for i in range(11)]
    with Pool(len(starts)) as pool:
        factor = next(pool.imap_unordered(search, starts))
        # Leaving the block terminates the pool: the processes of the other searches are killed.
    print(f"{NUMBER} = {factor} * {NUMBER // factor}")
