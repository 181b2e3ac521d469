# error_outside_task.py - a task fails, and whoever asks for its result deals with it.
#
# SPDX-License-Identifier: MIT
from multiprocessing import Pool


def share(cakes, guests):
    if guests == 0:
        raise ValueError(f"nobody to share {cakes} cakes with")
    return cakes // guests


if __name__ == "__main__":
    with Pool(2) as pool:
        # From apply the exception comes at once, from apply_async when get is called.
        try:
            pool.apply(share, (12, 0))
        except ValueError as error:
            print(f"apply: {error}")

        result = pool.apply_async(share, (7, 0))
        try:
            result.get()
        except ValueError as error:
            print(f"get: {error}")
