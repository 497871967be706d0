#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Start programs in turns and time each start, so that what else the machine does hits all alike.

usage: turns.py ROUNDS [STARTS AT_ONCE] < CASES

A case is a line NAME<TAB>COMMAND, in shell words but without a shell. Prints NAME<TAB>MILLISECONDS
once each round (with STARTS: for that many, AT_ONCE at a time), or NAME<TAB>failed<TAB>WHY once."""
import os
import random
import shlex
import subprocess
import sys
import tempfile
import time


def start(argv, stderr):
    null = ((os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
            (os.POSIX_SPAWN_DUP2, stderr, 2))
    return os.posix_spawnp(argv[0], argv, os.environ, file_actions=null)


def measure(argv, starts, at_once, stderr):
    """The milliseconds that it took, and how many failed."""
    begin, running, failed = time.perf_counter(), 0, 0
    for _ in range(starts):
        if running == at_once:
            failed += os.wait()[1] != 0
            running -= 1
        start(argv, stderr)
        running += 1
    for _ in range(running):
        failed += os.wait()[1] != 0
    return (time.perf_counter() - begin) * 1000, failed


def main():
    numbers = [int(word) for word in sys.argv[1:]]
    rounds, starts, at_once = numbers if len(numbers) == 3 else (numbers[0], 1, 1)
    cases = {}
    for line in sys.stdin:
        name, command = line.rstrip("\n").split("\t")
        argv = shlex.split(command)
        tried = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                               check=False)
        if tried.returncode == 0:
            cases[name] = argv
            continue
        why = (tried.stderr or tried.stdout).strip().splitlines()
        print(f"{name}\tfailed\t{why[0] if why else 'without a word'} (status {tried.returncode})")
    order = random.Random(1)
    with tempfile.TemporaryFile() as stderr:
        for turn in range(-1, rounds):  # the first warms up
            names = list(cases)
            order.shuffle(names)
            for name in names:
                took, failed = measure(cases[name], starts, at_once, stderr.fileno())
                if failed:
                    print(f"{name}\tfailed\t{failed} of {starts} starts failed")
                    del cases[name]
                elif turn >= 0:
                    print(f"{name}\t{took:.3f}", flush=True)


main()
