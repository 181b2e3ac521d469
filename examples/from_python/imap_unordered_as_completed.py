# imap_unordered_as_completed.py - use each result as soon as there is one, whatever the order of the input.
#
# SPDX-License-Identifier: MIT
from multiprocessing import Pool


# Most steps that a number below the limit takes to reach 1 when even ones are halved and odd ones become 3n + 1. The
# limit is returned with the result: imap_unordered does not say which one it was.
def longest_collatz(limit):
    longest = 0
    for start in range(1, limit):
        n = start
        steps = 0
        while n != 1:
            n = 3 * n + 1 if n % 2 else n // 2
            steps += 1
        longest = max(longest, steps)
    return limit, longest


if __name__ == "__main__":
    limits = [20000, 10, 5000, 100, 3000, 1000]
    with Pool(3) as pool:
        for limit, longest in pool.imap_unordered(longest_collatz, limits):
            print(f"below {limit}: {longest} steps")
