# errors_in_imap.py - an item that fails, and a generator that fails.
#
# SPDX-License-Identifier: MIT
from multiprocessing import Pool


# 2, 1, 0, -1, -2, and then it breaks.
def count_down():
    yield from range(2, -3, -1)
    raise OSError("the counter is worn out")


def reciprocal(x):
    if x == 0:
        raise ZeroDivisionError("division by zero")
    return 1.0 / x


if __name__ == "__main__":
    with Pool(2) as pool:
        iterator = pool.imap(reciprocal, count_down())
        index = 0
        while True:
            try:
                print(f"item {index}: {next(iterator):g}")
            except ZeroDivisionError as error:
                print(f"item {index} failed: {error}")
            except OSError as error:
                print(f"the generator failed after {index} items: {error}")
            except StopIteration:
                print("end")
                break
            index += 1
