# SPDX-License-Identifier: BSD-3-Clause
"""The records of tests/bench/runtime: KIND, GROUP, ROW, TOOL, VALUE, separated by tabs."""
import statistics
from collections import defaultdict

START_TOOLS = ("bwrap, directory", "hpcc, directory", "hpcc, ext3 image", "hpcc, ext3 image in use",
               "hpcc, squashfs image", "ch-run, directory", "ch-run, squashfs", "podman")
WORKS = {
    "find": "find, stat of every file",
    "numpy4": "4 × import numpy at once",
    "python": "one Python start",
    "tar": "tar of the tree",
    "random": "4 KiB random reads, 96 MiB",
    "seq1g": "1 GiB sequential",
}
MOUNTS = {"loop": "loop mount", "hpcc": "hpcc", "fuse2fs": "fuse2fs",
          "hpcc-squashfs": "hpcc, squashfs", "squashfuse_ll": "squashfuse_ll"}


class Results:
    def __init__(self, path):
        self.values = defaultdict(list)
        self.facts, self.skips = {}, []
        with open(path, encoding="utf-8") as lines:
            for line in lines:
                kind, group, row, tool, value = line.rstrip("\n").split("\t")
                if kind == "fact":
                    self.facts[group, row] = value
                elif kind == "skip":
                    self.skips.append((group, row, tool, value))
                else:
                    self.values[kind, group, row, tool].append(float(value))

    def median(self, *key):
        """Of all rounds, or None where nothing was measured."""
        return statistics.median(self.values[key]) if key in self.values else None

    def least(self, *key):
        return min(self.values[key]) if key in self.values else None

    def ratio(self, key, other, of=None):
        """Of the medians (or what OF says), or None."""
        of = of or self.median
        mine, its = of(*key), of(*other)
        return mine / its if mine is not None and its else None

    def rows(self, kind, group):
        """Names of the rows of a kind, in the order in which they were measured."""
        return list(dict.fromkeys(k[2] for k in self.values if k[:2] == (kind, group)))
