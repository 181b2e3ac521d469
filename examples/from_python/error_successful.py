# error_successful.py - ask whether a task succeeded before asking for its result.
#
# SPDX-License-Identifier: MIT
import threading
from multiprocessing.pool import ThreadPool

start = threading.Event()


def share(cakes, guests):
    start.wait()
    if guests == 0:
        raise ValueError(f"nobody to share {cakes} cakes with")
    return cakes // guests


if __name__ == "__main__":
    with ThreadPool(2) as pool:
        results = [pool.apply_async(share, (12, guests)) for guests in (0, 4)]

        # As long as the task runs, the question is an error itself.
        try:
            results[0].successful()
        except ValueError:
            print("not ready")
        start.set()

        for result in results:
            result.wait()
            if result.successful():
                print(f"successful: {result.get()}")
            else:
                print("failed")
