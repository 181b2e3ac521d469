# work_requests.py - a pool of work requests that is polled by hand, and gets three more workers while it runs.
#
# SPDX-License-Identifier: MIT
#
# multiprocessing.pool can neither be polled nor resized, so this is a pool in a few lines: two queues, and threads.
import queue
import threading

REQUESTS = 12
TOGETHER = 6


class WorkRequestPool:
    def __init__(self, workers):
        self.requests = queue.SimpleQueue()
        self.results = queue.SimpleQueue()
        self.workers = []
        self.create_workers(workers)

    def create_workers(self, n):
        for _ in range(n):
            self.workers.append(threading.Thread(target=self.work))
            self.workers[-1].start()

    def work(self):
        while (request := self.requests.get()) is not None:
            function, argument, callback = request
            self.results.put((callback, argument, function(argument)))

    def put_request(self, function, argument, callback):
        self.requests.put((function, argument, callback))

    # Runs the callbacks that are due, here. Returns how many.
    def poll(self, timeout):
        n = 0
        try:
            while True:
                callback, argument, result = self.results.get(timeout=0 if n else timeout)
                callback(argument, result)
                n += 1
        except queue.Empty:
            return n

    def dismiss_workers(self):
        for _ in self.workers:
            self.requests.put(None)
        for worker in self.workers:
            worker.join()


# Nobody gets through before six are there: three workers alone get nowhere.
def square(x):
    barrier.wait()
    return x * x


def answer(argument, result):
    print(f"request {argument}: {result}")


if __name__ == "__main__":
    barrier = threading.Barrier(TOGETHER)
    pool = WorkRequestPool(3)
    for i in range(REQUESTS):
        pool.put_request(square, i, answer)

    done = polls = 0
    while done < REQUESTS:
        done += pool.poll(0.01)
        polls += 1
        if polls == 5:
            print(f"after five polls: {done} done by {len(pool.workers)} workers")
            pool.create_workers(3)
    print(f"in the end: {done} done by {len(pool.workers)} workers")
    pool.dismiss_workers()
