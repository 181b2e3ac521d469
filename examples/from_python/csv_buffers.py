# csv_buffers.py - read a hundred CSV files, which are buffers in memory here, in eight threads.
#
# SPDX-License-Identifier: MIT
import csv
import io
from multiprocessing.pool import ThreadPool

BUFFERS = 100


# One of a hundred reports of a shop: what was sold, how often, and for how many pence.
def make_buffer(number):
    text = "item,count,pence\n"
    for row in range(100 + number % 7):
        text += f'"item {row}, size {row % 3}",{(number + row) % 10},{199 + row}\n'
    return text


# Rows, pieces and turnover of one report.
def load(text):
    rows = pieces = pence = 0
    for row in csv.DictReader(io.StringIO(text)):
        rows += 1
        pieces += int(row["count"])
        pence += int(row["count"]) * int(row["pence"])
    return rows, pieces, pence


if __name__ == "__main__":
    buffers = [make_buffer(number) for number in range(BUFFERS)]
    with ThreadPool(8) as pool:
        reports = pool.map(load, buffers)
    for number in range(0, BUFFERS, 25):
        print(f"report {number}: {reports[number][0]} rows, {reports[number][1]} pieces, {reports[number][2]} pence")
    rows, pieces, pence = map(sum, zip(*reports))
    print(f"all: {rows} rows, {pieces} pieces, {pence} pence")
