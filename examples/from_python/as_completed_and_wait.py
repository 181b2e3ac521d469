# as_completed_and_wait.py - concurrent.futures: each future as it is completed, and waiting for several at once.
#
# SPDX-License-Identifier: MIT
import threading
from concurrent.futures import FIRST_COMPLETED, FIRST_EXCEPTION, ThreadPoolExecutor, as_completed, wait

gate = threading.Lock()     # held while tasks that come to it should wait


# How many steps the number takes to 1, when even ones are halved and odd ones become 3n + 1.
def steps(n):
    if n < 1:
        raise ValueError(f"{n} never gets there")
    count = 0
    while n != 1:
        n = 3 * n + 1 if n % 2 else n // 2
        count += 1
    return count


def late_steps(n):
    with gate:
        return steps(n)


def report(what, done_and_not_done):
    done, not_done = done_and_not_done
    print(f"{what}: {len(done)} done, {len(not_done)} not")


if __name__ == "__main__":
    with ThreadPoolExecutor(3) as executor:
        # In any order
        futures = {executor.submit(steps, n): n for n in (27, 97, 871, 6171)}
        for future in as_completed(futures):
            print(f"{futures[future]} takes {future.result()} steps")

        with gate:
            futures = [executor.submit(late_steps, 703), executor.submit(steps, 6)]
            report("first completed", wait(futures, return_when=FIRST_COMPLETED))
            failing = [futures[0], executor.submit(steps, -1)]
            report("first failed", wait(failing, return_when=FIRST_EXCEPTION))
            report("time limit", wait(futures, timeout=0.01))
        report("all", wait(futures + failing[1:]))
        print(f"the late one takes {futures[0].result()} steps")
        print(f"the failed one: {failing[1].exception()}")
