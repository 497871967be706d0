#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""usage: runtime_report.py RESULTS [--markdown FILE] [--svg FILE]

Prints the tables of tests/bench/runtime. --markdown puts them into FILE, between its lines
'<!-- measured -->' and '<!-- end of measured -->'; --svg draws them."""
import argparse
import sys

sys.dont_write_bytecode = True

from runtime_plot import plot  # noqa: E402
from runtime_results import MOUNTS, START_TOOLS, WORKS, Results  # noqa: E402

IMAGE, SQUASHFS = "hpcc, ext3 image", "ch-run, squashfs"
BEGIN, END = "<!-- measured -->", "<!-- end of measured -->"


def table(head, rows):
    """Markdown that is also readable as text."""
    widths = [max(len(row[i]) for row in [head] + rows) for i in range(len(head))]
    lines = [[cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths))]
             for row in [head] + rows]
    rule = ["-" * (w - (i > 0)) + (":" if i else "") for i, w in enumerate(widths)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [lines[0], rule] + lines[1:]) + "\n"


def number(value, form="{:.2f}"):
    return "–" if value is None else form.format(value)


def ratio(results, key, other, form="{:.2f}"):
    """Of the medians and, in brackets, of the minima."""
    if results.ratio(key, other) is None:
        return "–"
    return f"{form.format(results.ratio(key, other))} ({form.format(results.ratio(key, other, results.least))})"


def both(results, key, form):
    """Median and, in brackets, minimum."""
    if results.median(*key) is None:
        return "–"
    return f"{form.format(results.median(*key))} ({form.format(results.least(*key))})"


def start_tables(results):
    for kind, title, form in (("start", "One start of `true`, milliseconds", "{:.1f}"),
                              ("many", "64 starts of `true`, 16 at once, milliseconds for all", "{:.0f}")):
        rows = []
        for tool in START_TOOLS:
            cells = [tool]
            for who in "user", "root":
                cells.append(both(results, (kind, "ms", who, tool), form))
                cells.append(ratio(results, (kind, "ms", who, tool), (kind, "ms", who, START_TOOLS[0])))
            rows.append(cells)
        ratios = [f"{who} {ratio(results, (kind, 'ms', who, IMAGE), (kind, 'ms', who, SQUASHFS))}"
                  for who in ("user", "root")]
        yield title, (table(["", "user", "× bwrap", "root", "× bwrap"], rows) +
                      f"\n{IMAGE} ÷ {SQUASHFS}: {', '.join(ratios)}.\n")
    rows = [[tool] + [number(results.median("count", what, who, tool), "{:.0f}")
                      for what in ("calls", "forks") for who in ("user", "root")] for tool in START_TOOLS]
    yield ("System calls and new processes of one start, those of helpers and servers included",
           table(["", "calls, user", "root", "processes, user", "root"], rows))


def file_tables(results):
    pairs = (("hpcc", "loop"), ("hpcc", "fuse2fs"), ("hpcc-squashfs", "squashfuse_ll"))
    for heat in "warm", "cold":
        def key(work, mount, heat=heat):
            return "files", heat, work, mount
        rows = [[name] + [both(results, key(work, m), "{:.3f}") for m in MOUNTS] for work, name in WORKS.items()]
        yield f"File work, {heat}, seconds", table(["", *MOUNTS.values()], rows)
        rows = [[name] + [ratio(results, key(work, other), key(work, mine)) for mine, other in pairs]
                for work, name in WORKS.items()]
        head = [f"{MOUNTS[mine]} ÷ {MOUNTS[other]}" for mine, other in pairs]
        yield f"The same, {heat}, as speed: how many times the other's", table(["", *head], rows)


def metadata_table(results):
    rows = []
    for delay in results.rows("metadata", "cold"):
        tree, image = ("metadata", "cold", delay, "directory"), ("metadata", "cold", delay, "image")
        rows.append([f"{delay} µs", both(results, tree, "{:.2f}"), both(results, image, "{:.2f}"),
                     ratio(results, tree, image, "{:.1f}")])
    yield ("One Python start, cold, where each metadata operation takes longer, seconds",
           table(["longer by", "from a directory", "from an image", "directory / image"], rows))


def conditions(results):
    text = ["Medians of rounds in turns, and of minima what stands in brackets. Starts and warm work "
            "had the processors before all else (nice -20).", ""]
    text += [f"- {name}: {value}" for (group, name), value in results.facts.items() if group == "host"]
    started = {value for (group, _), value in results.facts.items() if group == "podman"}
    if started:
        text.append("- podman: " + ", ".join(f"`{words}`" for words in sorted(started)))
    missing = dict.fromkeys(f"- Not measured: {tool} as {row}: {why}" for _, row, tool, why in results.skips)
    return "\n".join(text + list(missing)) + "\n"


def everything(results):
    parts = [conditions(results)]
    kinds = {key[0] for key in results.values}
    for kind, make in (("start", start_tables), ("files", file_tables), ("metadata", metadata_table)):
        if kind in kinds:
            parts += [f"**{title}**\n\n{text}" for title, text in make(results)]
    return "\n".join(parts)


def put_into(path, text):
    with open(path, encoding="utf-8") as old:
        page = old.read()
    if page.count(BEGIN) != 1 or page.count(END) != 1:
        sys.exit(f"'{path}' needs the lines '{BEGIN}' and '{END}', once each")
    before, after = page.split(BEGIN)[0], page.split(END)[1]
    with open(path, "w", encoding="utf-8") as new:
        new.write(f"{before}{BEGIN}\n{text}{END}{after}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("results")
    parser.add_argument("--markdown")
    parser.add_argument("--svg")
    args = parser.parse_args()
    results = Results(args.results)
    text = everything(results)
    print(text, end="")
    if args.markdown:
        put_into(args.markdown, text)
    if args.svg:
        with open(args.svg, "w", encoding="utf-8") as out:
            out.write(plot(results))


main()
