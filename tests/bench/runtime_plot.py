# SPDX-License-Identifier: BSD-3-Clause
"""The results of tests/bench/runtime as an SVG picture: bars with their figures. Colours after Okabe
and Ito, which all eyes tell apart; card and text follow the reader's light or dark scheme."""
from xml.sax.saxutils import escape

from runtime_results import MOUNTS, START_TOOLS, WORKS

WIDTH, MARGIN, GAP = 900, 24, 28
HALF = (WIDTH - 2 * MARGIN - GAP) / 2
BAR, STEP = 15, 22
LABEL, WORDS = 168, 96  # room beside the bars
MOST_SPEED = 1.5
COLOURS = {"bwrap": "#8c8c8c", "hpcc": "#0072b2", "ch-run": "#e69f00", "podman": "#cc79a7",
           "hpcc-squashfs": "#56b4e9", "fuse2fs": "#d55e00", "squashfuse_ll": "#009e73",
           "directory": "#e69f00", "image": "#0072b2"}
STYLE = """
  .card { fill: #ffffff; } .ink { fill: #1f2328; } .soft { fill: #59636e; }
  .line { stroke: #8c959f; stroke-width: 1; } .cut { stroke: #ffffff; stroke-width: 2; fill: none; }
  text { font-family: system-ui, 'Segoe UI', 'DejaVu Sans', Arial, sans-serif; font-size: 12.5px; }
  .title { font-size: 16px; font-weight: 600; } .head { font-size: 13.5px; font-weight: 600; }
  @media (prefers-color-scheme: dark) {
    .card { fill: #161b22; } .ink { fill: #e6edf3; } .soft { fill: #9ba5b0; } .cut { stroke: #161b22; }
  }
"""


class Picture:
    def __init__(self):
        self.parts, self.y = [], MARGIN

    def text(self, x, y, words, kind="ink", anchor="start"):
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">'
                          f"{escape(words)}</text>")

    def title(self, words, note):
        self.text(MARGIN, self.y + 14, words, "ink title")
        self.text(MARGIN, self.y + 32, note, "soft")
        self.y += 46

    def bar(self, x, y, length, colour, cut):
        """CUT: the bar is longer than there is room for."""
        self.parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(length, 1):.1f}" height="{BAR}" '
                          f'rx="2" fill="{colour}"/>')
        if cut:
            at = x + length - 22
            for shift in 0, 6:
                self.parts.append(f'<path class="cut" d="M{at + shift:.1f} {y + BAR + 2:.1f} '
                                  f'l5 -{BAR + 4}"/>')

    def bars(self, x, y, width, rows, most, mark=None):
        """ROWS of (label, colour, value, words); bars end at the value MOST, words do not lie upon
        the line at MARK. The height taken."""
        room = width - LABEL - WORDS
        for i, (label, colour, value, words) in enumerate(rows):
            top = y + i * STEP
            self.text(x + LABEL - 8, top + 12, label, "ink", "end")
            if value is None:
                self.text(x + LABEL, top + 12, words, "soft")
                continue
            length = min(value / most, 1) * room
            self.bar(x + LABEL, top, length, colour, value > most)
            after = mark if mark and mark - 0.26 * most < value < mark else min(value / most, 1) * most
            self.text(x + LABEL + after / most * room + 6, top + 12, words, "soft")
        return len(rows) * STEP

    def mark(self, x, y, height):
        self.parts.append(f'<line class="line" stroke-dasharray="3 3" x1="{x:.1f}" y1="{y - 3:.1f}" '
                          f'x2="{x:.1f}" y2="{y + height - 4:.1f}"/>')

    def legend(self, names):
        x = MARGIN
        for name, colour in names:
            self.parts.append(f'<rect x="{x}" y="{self.y}" width="12" height="12" rx="2" fill="{colour}"/>')
            self.text(x + 18, self.y + 10.5, name, "ink")
            x += 46 + 7.2 * len(name)
        self.y += 26

    def svg(self):
        height = self.y + MARGIN - 10
        return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height:.0f}" '
                f'viewBox="0 0 {WIDTH} {height:.0f}" role="img" aria-label="Measured run times">\n'
                f"<style>{STYLE}</style>\n"
                f'<rect class="card" width="{WIDTH}" height="{height:.0f}" rx="8"/>\n'
                + "\n".join(self.parts) + "\n</svg>\n")


def columns():
    return MARGIN, MARGIN + HALF + GAP


def draw_starts(picture, results, kind, title):
    picture.title(title, "milliseconds, and × bubblewrap; shorter is better; long bars are cut")
    deepest = 0
    for x, who in zip(columns(), ("user", "root")):
        base = results.median(kind, "ms", who, START_TOOLS[0])
        if base is None:
            continue
        rows = []
        for tool in START_TOOLS:
            value = results.median(kind, "ms", who, tool)
            digits = 1 if kind == "start" and value is not None and value < 100 else 0
            words = "not measured" if value is None else f"{value:.{digits}f} · {value / base:.1f} ×"
            rows.append((tool, COLOURS[tool.split(",")[0]], value, words))
        picture.text(x, picture.y + 10, f"as {'an ordinary user' if who == 'user' else 'root'}", "ink head")
        deepest = max(deepest, picture.bars(x, picture.y + 22, HALF, rows, 7 * base))
    picture.y += deepest + 22 + 16


def draw_files(picture, results):
    picture.title("File work: speed, where the kernel's loop mount is 1", f"longer is better; bars end at {MOST_SPEED}")
    others = [m for m in MOUNTS if m != "loop"]
    picture.legend([(MOUNTS[m], COLOURS[m]) for m in others])
    deepest = 0
    for x, heat in zip(columns(), ("warm", "cold")):
        rows = []
        for work, name in WORKS.items():
            for mount in others:
                ratio = results.ratio(("files", heat, work, "loop"), ("files", heat, work, mount))
                words = "not measured" if ratio is None else f"{ratio:.2f}"
                label = name.split(",")[0].removesuffix(" at once") if mount == others[0] else ""
                rows.append((label, COLOURS[mount], ratio, words))
        picture.text(x, picture.y + 10, heat, "ink head")
        top, at = picture.y + 22, 0
        for group in range(0, len(rows), len(others)):
            at += picture.bars(x, top + at, HALF, rows[group:group + len(others)], MOST_SPEED, 1) + 7
        picture.mark(x + LABEL + (HALF - LABEL - WORDS) / MOST_SPEED, top, at)
        deepest = max(deepest, at)
    picture.y += deepest + 22 + 12


def draw_metadata(picture, results):
    picture.title("Why one file: one cold Python start where metadata is slow", "seconds; shorter is better")
    delays = results.rows("metadata", "cold")
    longest = max(results.median("metadata", "cold", d, "directory") for d in delays)
    for delay in delays:
        rows = []
        for what in "directory", "image":
            value = results.median("metadata", "cold", delay, what)
            rows.append((f"+{delay} µs, {what}", COLOURS[what], value, f"{value:.2f} s"))
        picture.y += picture.bars(MARGIN, picture.y, WIDTH - 2 * MARGIN, rows, longest) + 7
    picture.y += 12


def plot(results):
    picture = Picture()
    kinds = {key[0] for key in results.values}
    if "start" in kinds:
        draw_starts(picture, results, "start", "Start-up: one run of true")
    if "many" in kinds:
        draw_starts(picture, results, "many", "64 runs of true, 16 at once")
    if "files" in kinds:
        draw_files(picture, results)
    if "metadata" in kinds:
        draw_metadata(picture, results)
    said = [("", "Date"), ("", "Kernel"), ("", "Machine"), ("load ", "Load")]
    words = [what + results.facts["host", name] for what, name in said if ("host", name) in results.facts]
    picture.text(MARGIN, picture.y + 8, " · ".join(words), "soft")
    picture.y += 20
    return picture.svg()
