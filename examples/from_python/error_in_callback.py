# error_in_callback.py - a callback that fails takes the thread with it that hands out all results.
#
# SPDX-License-Identifier: MIT
import threading
from multiprocessing import Pool, TimeoutError


def square(x):
    return x * x


def store(y):
    print(f"callback: {y} does not fit")
    raise ValueError("no room")


if __name__ == "__main__":
    threading.excepthook = lambda args: None    # else a traceback
    pool = Pool(2)
    result = pool.apply_async(square, (3,), callback=store)
    try:
        print("  the result is", result.get(timeout=0.5))
    except TimeoutError:
        print("  the result never becomes ready")
    later = pool.apply_async(square, (4,))
    try:
        print("  a later result is", later.get(timeout=0.5))
    except TimeoutError:
        print("  and no later one does")
    try:
        pool.terminate()
    except AssertionError:
        print("  nor can the pool be terminated")
