# common_mistakes.py - seven mistakes that are easily made, and what comes of them.
#
# SPDX-License-Identifier: MIT
#
# Where Python would wait for ever, a time limit ends it.
import threading
from multiprocessing import TimeoutError
from multiprocessing.pool import ThreadPool


def square(x):
    return x * x


def fail():
    raise ValueError("nobody will ever know")


def answer():
    pass


def told(what, function):
    print(what)
    try:
        print(f"  no complaint: {function()}")
    except TimeoutError:
        print("  it would wait for ever")
    except Exception as error:
        print(f"  {type(error).__name__}: {error}")


def wrong_callback(pool):
    # answer takes no argument: the thread that hands out the results dies of that.
    return pool.apply_async(square, (3,), callback=answer).get(timeout=0.5)


def join_too_early(pool):
    pool.join()


def submit_too_late(pool):
    pool.close()
    return pool.apply(square, (3,))


if __name__ == "__main__":
    threading.excepthook = lambda args: None    # else a traceback
    pool = ThreadPool(2)
    told("1. apply is given what the function returns", lambda: pool.apply(square(3)))
    told("2. map is given what the function returns", lambda: pool.map(square(3), [1, 2, 3]))
    told("3. map is given no iterable", lambda: pool.map(square, 3))
    told("4. a callback that takes other arguments", lambda: wrong_callback(pool))
    # This pool cannot even be terminated any more.
    with ThreadPool(2) as pool:
        told("5. nobody looks at the error", lambda: pool.apply_async(fail))
        told("6. join before close", lambda: join_too_early(pool))
        told("7. a closed pool is given work", lambda: submit_too_late(pool))
