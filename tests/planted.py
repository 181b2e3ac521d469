#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Plants the faults of planted.txt, one at a time, in a copy of the sources, and sees that each is found.

    planted.py [-l] [-k KIND] [-d FOLDER] [FILE]

    FILE: another list; -l: what is on it; -k: faults of that kind alone; -d: the copy stays in FOLDER for the next time

The copy is built once; for each fault the file that it is in is built again, and the tool that is named beside it is
given a minute. An error is a fault whose place in the sources is not there, or is there twice, one that does not
compile, and one that is not found. CC and srcdir are taken from the environment."""
import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

MINUTE = 60
ROUNDS = [2, 6, 16, 36]                 # seconds; of each the scheduler's second half is systematic
SRCDIR = os.environ.get('srcdir') or '.'


class Fault:
    def __init__(self, line, title):
        self.line = line
        self.title, self.file, self.tool = [part.strip() for part in title.split('|')]
        self.old, self.new = [], []

    def add(self, text):
        if text[0] != '+':
            self.old.append(text[1:])
        if text[0] != '-':
            self.new.append(text[1:])


def read_faults(path):
    faults = []
    with open(path, encoding='utf-8') as lines:
        for number, text in enumerate(lines, 1):
            if text.startswith('== '):
                faults.append(Fault(number, text[3:]))
            elif text[0] in '-+ ' and faults:
                faults[-1].add(text)
            elif text[0] not in '#\n':
                sys.exit(f'{path}:{number}: neither a fault nor its lines')
    return faults


def run(command, where, **options):
    return subprocess.run(command, cwd=where, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors='replace', check=False, **options)


def must(command, where):
    done = run(command, where)
    if done.returncode != 0:
        sys.exit(done.stdout[-3000:] + f'\n{" ".join(command)}: failed')


def copy_sources(to):
    """What is built in the folder of the sources stays there."""
    shutil.copytree(SRCDIR, to, symlinks=True, ignore=shutil.ignore_patterns(
        '.git', 'build', 'autom4te.cache', 'config.status', 'config.h', 'Makefile', 'libtool', 'stamp-h1', '.deps',
        '.libs', '*.o', '*.lo', '*.la', '*.log', '*.trs', 'mppool-[0-9]*'))


def build(folder, target):
    return run(['make', '-s', target], folder)


def plant(folder, fault):
    """The file's own text, to be put back; None if the place is not there."""
    path = os.path.join(folder, 'src', fault.file)
    with open(path, encoding='utf-8') as source:
        text = source.read()
    old = ''.join(fault.old)
    if ('\n' + text).count('\n' + old) != 1:
        return None
    with open(path, 'w', encoding='utf-8') as source:
        source.write(('\n' + text).replace('\n' + old, '\n' + ''.join(fault.new))[1:])
    return text


def by_scheduler(folder, scenario):
    """What was said of it, after how many schedules."""
    schedules = 0
    for turn, seconds in enumerate(ROUNDS):
        done = run(['tests/interleavings', '-s', scenario, '-t', str(seconds), '-f', str(1 + turn * 1000000)], folder)
        schedules += sum(int(n) for n in re.findall(r': (\d+) schedules of ', done.stdout))
        if done.returncode != 0:
            why = re.search(r'^# FAILED:? *(.*)', done.stdout, re.M)
            return f'{scenario}, {schedules} schedules: {why.group(1) if why else "it failed"}'
    return None


def by_fuzzer(folder, _):
    try:
        corpus = os.path.join('tests', 'fuzz', 'corpus')
        inputs = sorted(os.path.join(corpus, name) for name in os.listdir(os.path.join(folder, corpus)))
        done = run(['tests/fuzz/fuzz', '-t', str(MINUTE - 5), '-s', '1'] + inputs, folder, timeout=MINUTE)
    except subprocess.TimeoutExpired:
        return 'fuzz: it hangs'
    if done.returncode == 0:
        return None
    said = [line for line in done.stdout.splitlines() if line and not line.startswith('the input is')]
    return 'fuzz: ' + (said[-1] if said else 'it failed')


def check(folder, fault):
    """A complaint, or None."""
    fuzz = fault.tool == 'fuzz'
    text = plant(folder, fault)
    if text is None:
        return 'its place is not in the sources, or is there twice'
    try:
        built = build(folder, 'tests/fuzz/fuzz' if fuzz else 'tests/interleavings')
        if built.returncode != 0:
            return 'it does not compile:\n' + built.stdout[-2000:]
        start = time.monotonic()
        found = (by_fuzzer if fuzz else by_scheduler)(folder, fault.tool)
        if not found:
            return f'it was not found in {time.monotonic() - start:.0f} s ({fault.tool})'
        print(f'found {time.monotonic() - start:5.1f} s  {fault.title} [{found[:90]}]', flush=True)
        return None
    finally:
        with open(os.path.join(folder, 'src', fault.file), 'w', encoding='utf-8') as source:
            source.write(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('-l', action='store_true', help='list the faults')
    parser.add_argument('-k', metavar='KIND', help='these alone')
    parser.add_argument('file', nargs='?', default=os.path.join(SRCDIR, 'tests', 'planted.txt'))
    parser.add_argument('-d', metavar='FOLDER', help='keep the copy there')
    options = parser.parse_args()
    faults = [f for f in read_faults(options.file) if f.title.startswith(options.k or '')]
    if options.l:
        for fault in faults:
            print(f'{fault.title} | {fault.file} | {fault.tool}')
        return 0
    start = time.monotonic()
    failures = 0
    with tempfile.TemporaryDirectory() as scratch:
        folder = os.path.join(options.d or scratch, 'mppool')
        if not os.path.exists(folder):
            copy_sources(folder)
            compiler = [f'CC={os.environ["CC"]}'] if os.environ.get('CC') else []
            must(['./configure', '--quiet', '--disable-shared'] + compiler, folder)
        must(['make', '-s', 'tests/interleavings', 'tests/fuzz/fuzz'], folder)
        print(f'built in {time.monotonic() - start:.0f} s', flush=True)
        for fault in faults:
            complaint = check(folder, fault)
            if complaint:
                failures += 1
                print(f'FAILED         {fault.title} (line {fault.line}): {complaint}', flush=True)
    print(f'{len(faults) - failures} of {len(faults)} planted faults found, in {time.monotonic() - start:.0f} s')
    return 1 if failures or not faults else 0


sys.exit(main())
