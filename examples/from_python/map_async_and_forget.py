# map_async_and_forget.py - start several maps at once, keep no result, and let close and join wait for them all.
#
# SPDX-License-Identifier: MIT
from multiprocessing.pool import ThreadPool

FAHRENHEIT = [
    [32.0, 35.6, 41.0, 50.0, 46.4, 37.4],
    [50.0, 51.8, 57.2, 64.4, 60.8, 55.4],
    [14.0, 15.8, 21.2, 30.2, 28.4, 23.0],
]


# Nobody sees what a forgotten map returns: the task itself has to put its result somewhere.
def celsius(place):
    day, hour = place
    results[day][hour] = (FAHRENHEIT[day][hour] - 32.0) / 1.8


if __name__ == "__main__":
    results = [[0.0] * len(day) for day in FAHRENHEIT]
    pool = ThreadPool(2)
    for day, hours in enumerate(FAHRENHEIT):
        pool.map_async(celsius, [(day, hour) for hour in range(len(hours))])
    pool.close()
    pool.join()
    for day, hours in enumerate(results):
        print(f"day {day}:", *(f"{degrees:.0f}" for degrees in hours))
