# error_inside_task.py - a task that deals with its errors itself.
#
# SPDX-License-Identifier: MIT
from multiprocessing import Pool


# The exception does not leave the task: a lower number of guests is its answer.
def share(cakes, guests):
    try:
        return cakes // guests
    except ZeroDivisionError:
        return cakes


if __name__ == "__main__":
    with Pool(2) as pool:
        result = pool.apply_async(share, (12, 0))
        print(f"12 cakes, 0 guests: {result.get()} each")
        result = pool.apply_async(share, (12, 4))
        print(f"12 cakes, 4 guests: {result.get()} each")
