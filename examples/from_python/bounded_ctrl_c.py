# bounded_ctrl_c.py - a pool that lets few tasks wait, and that Ctrl-C stops cleanly.
#
# SPDX-License-Identifier: MIT
#
# python3 bounded_ctrl_c.py [TASKS [WORKERS [LIMIT]]]         without end if TASKS is 0
#
# Python's queue has no bound, so a semaphore counts what waits and what runs. A thread cannot be told to stop, so the
# tasks look at an event; and they keep count themselves, since terminate drops the results of those that run.
import random
import signal
import sys
import threading
from multiprocessing.pool import ThreadPool


def interrupt(number, frame):
    interrupted.set()


# Sleeps for up to 20 ms, unless it is to stop.
def work(delay):
    if not interrupted.is_set():
        (stopped if interrupted.wait(delay) else done).append(delay)
    room.release()


def submit_all(pool, tasks):
    told = False
    while tasks == 0 or len(submitted) < tasks:
        while not room.acquire(timeout=0.1 if told else 0):
            if not told:
                print("The queue is full: waiting for room. Ctrl-C stops.", file=sys.stderr, flush=True)
            told = True
        if interrupted.is_set():
            break
        submitted.append(pool.apply_async(work, (random.random() * 0.02,)))


if __name__ == "__main__":
    tasks, workers, limit = list(map(int, sys.argv[1:])) + [40, 2, 4][len(sys.argv) - 1:]
    submitted, done, stopped = [], [], []
    interrupted = threading.Event()
    room = threading.Semaphore(workers + limit)

    pool = ThreadPool(workers)
    signal.signal(signal.SIGINT, interrupt)
    submit_all(pool, tasks)
    if interrupted.is_set():
        pool.terminate()
    else:
        pool.close()
    pool.join()

    never = len(submitted) - len(done) - len(stopped)
    print(f"accepted {len(submitted)}: {len(done)} done, {len(stopped)} stopped, {never} never started", flush=True)
    if interrupted.is_set():
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.raise_signal(signal.SIGINT)
