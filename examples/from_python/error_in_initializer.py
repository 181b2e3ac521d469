# error_in_initializer.py - one worker too many cannot be set up, and nobody is told.
#
# SPDX-License-Identifier: MIT
import threading
import time
from multiprocessing.pool import ThreadPool


class Licences:
    def __init__(self, left):
        self.left = left
        self.refused = 0
        self.lock = threading.Lock()

    def take(self):
        with self.lock:
            if self.left == 0:
                self.refused += 1
                raise RuntimeError("all licences are taken")
            self.left -= 1


def try_workers(workers, licences):
    print(f"{workers} workers, {licences.left} licences:")
    with ThreadPool(workers, initializer=licences.take) as pool:
        time.sleep(0.5)
        print(f"  a pool, whose initializer failed {licences.refused} times in half a second")


if __name__ == "__main__":
    threading.excepthook = lambda args: None    # else a traceback for each failure
    try_workers(4, Licences(3))
    try_workers(3, Licences(3))
