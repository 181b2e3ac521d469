# error_callbacks.py - for each call either the callback or the error callback runs, exactly once.
#
# SPDX-License-Identifier: MIT
from multiprocessing import Pool


class Order:
    def __init__(self, pieces):
        self.pieces = pieces
        self.parcels = 0
        self.error = None

    def shipped(self, parcels):
        self.parcels = parcels

    def refused(self, error):
        self.error = error


# Parcels needed for so many pieces.
def ship(pieces):
    if pieces <= 0:
        raise ValueError(f"{pieces} pieces: nothing to ship")
    if pieces > 100:
        raise OverflowError(f"{pieces} pieces: only 100 in stock")
    return (pieces + 11) // 12


if __name__ == "__main__":
    orders = [Order(pieces) for pieces in (12, 0, 100, 101, 13)]
    pool = Pool(2)
    for order in orders:
        pool.apply_async(ship, (order.pieces,), callback=order.shipped, error_callback=order.refused)
    pool.close()
    pool.join()
    for i, order in enumerate(orders):
        if order.error:
            print(f"order {i}: {order.error}")
        else:
            print(f"order {i}: {order.pieces} pieces in {order.parcels} parcels")
