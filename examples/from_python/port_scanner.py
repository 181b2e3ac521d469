# port_scanner.py - which ports of this machine's loopback are open? One after the other, then all at once.
#
# SPDX-License-Identifier: MIT
#
# python3 port_scanner.py SECONDS PORT...
#
# A port that does not answer within so many seconds counts as closed. How much faster it was all at once is said on
# standard error. ../portscan.c is a scanner for use.
import socket
import sys
import time
from itertools import repeat
from multiprocessing.pool import ThreadPool


def probe(port, timeout):
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as s:
        s.settimeout(timeout)
        return s.connect_ex(("127.0.0.1", port)) == 0


if __name__ == "__main__":
    timeout = float(sys.argv[1])
    ports = [int(port) for port in sys.argv[2:]]

    start = time.monotonic()
    serial = [probe(port, timeout) for port in ports]
    serial_time = time.monotonic() - start

    start = time.monotonic()
    with ThreadPool(len(ports)) as pool:
        parallel = pool.starmap(probe, zip(ports, repeat(timeout)))
    parallel_time = time.monotonic() - start

    for port, is_open in zip(ports, parallel):
        if is_open:
            print(f"port {port} is open")
    print(f"{sum(parallel)} of {len(ports)} are open, {'as' if parallel == serial else 'but not as'} found one by one")
    print(f"{serial_time:.3f} s one by one, {parallel_time:.3f} s at once: "
          f"{serial_time / parallel_time:.1f} times as fast", file=sys.stderr)
