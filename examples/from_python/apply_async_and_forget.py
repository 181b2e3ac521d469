# apply_async_and_forget.py - queue calls one by one and keep no result of them.
#
# SPDX-License-Identifier: MIT
from multiprocessing.pool import ThreadPool


class Account:
    def __init__(self, pence):
        self.pence = pence


# No two tasks have the same account, so that no lock is needed.
def add_interest(account):
    account.pence += account.pence * 3 // 100


if __name__ == "__main__":
    accounts = [Account(10000 * (i + 1)) for i in range(8)]
    pool = ThreadPool(4)
    for account in accounts:
        pool.apply_async(add_interest, (account,))
    pool.close()
    pool.join()
    for i, account in enumerate(accounts):
        print(f"account {i}: {account.pence // 100}.{account.pence % 100:02d}")
