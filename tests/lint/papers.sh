#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# What the papers name exists: options of hpcc's commands, files and folders of the tree; comments name
# files that are there; docs/design.md has every room and wing.
# shellcheck source=tests/lint/_lib.sh
. "$(dirname "$0")/_lib.sh"
command -v python3 > /dev/null || lint_skip "python3 is not installed"
export hpcc=${HPCC:-out/dev/bin/hpcc}
[ -x "$hpcc" ] || lint_skip "hpcc is not built: $hpcc"
case $hpcc in /*) ;; *) hpcc=$PWD/$hpcc ;; esac
rooms_text=${rooms[*]}
export rooms_text

check() {
    python3 - << 'PY'
import functools, glob, os, re, subprocess

rooms = os.environ["rooms_text"].split()
tops = rooms + ["contents", "tests", "docs", "examples", "packaging"]
papers = sorted(glob.glob("*.md") + glob.glob("docs/*.md"))
texts = papers + sorted(glob.glob("examples/*.def") + glob.glob("quickstart"))
commands = re.findall(r"^COMMAND\((\w+),", open("cli/commands.list").read(), re.M) if os.path.exists("cli/commands.list") else []

@functools.cache
def help_of(words):
    """The options of a command: name -> whether it takes a value."""
    run = subprocess.run([os.environ["hpcc"], *words, "--help"], capture_output=True, text=True)
    found = {}
    for line in run.stdout.splitlines():
        m = re.match(r" +(?:(-\w), )?(--[\w-]+)( [^ ]+)?", line)
        if m:
            for name in filter(None, m.group(1, 2)):
                found[name] = bool(m.group(3))
    return found

def lines(path):
    with open(path, encoding="utf-8") as f:
        return list(enumerate(f.read().split("\n"), 1))

# `hpcc COMMAND words`: options up to the image of a run, after which words are the program's.
def in_command(where, text):
    for m in re.finditer(r"(?:^|[\s`(|])hpcc ((?:[^`|;&)#<>\\\n]|<(?=[A-Z]))+)", text):
        words, known = m.group(1).split(), dict(help_of(()))
        while words and words[0].startswith("-"):
            words.pop(0)
        if not words or words[0] not in commands:
            continue
        command = words.pop(0)
        known.update(help_of((command,)))
        runs = command in ("run", "exec", "shell", "test")
        while words:
            word = words.pop(0).rstrip(".,:'\"")
            if not word.startswith("-") or word == "-":
                if runs:
                    break
                continue
            if word == "--":
                break
            name = re.sub(r"[=\[].*", "", word)
            if name not in known:
                print(f"{where}: 'hpcc {command}' has no option {name}")
            elif known[name] and "=" not in word and words:
                words.pop(0)

# `--option` alone in quotes: of some command. Other programs' stand in words of their own.
def alone(where, text):
    for name in re.findall(r"`(--[a-z][\w-]*)[^`]*`", text):
        if not any(name in help_of(c) for c in [(), *((c,) for c in commands)]):
            print(f"{where}: no command of hpcc has an option {name}")

def exists(name):
    pattern = re.sub(r"<\w+>|\bNAME\b|…", "*", name)
    pattern = re.sub(r"(?<=[_-])x(?=\.)", "*", pattern)
    return bool(glob.glob(pattern.rstrip("/")))

# Words in code that begin with a folder of ours, and targets of links.
def files(path, where, text):
    base = os.path.dirname(path)
    for target in re.findall(r"\]\(([^)#:]+)\)", text):
        if not os.path.exists(os.path.join(base, target)):
            print(f"{where}: the link leads nowhere: {target}")
    for word in re.findall(r"[\w./<>*…-]+", " ".join(re.findall(r"`([^`]+)`", text))):
        word = word.rstrip(".")
        if word.split("/")[0] in tops and "/" in word and not exists(word):
            print(f"{where}: there is no {word}")
        elif re.fullmatch(r"[\w-]+\.(c|h|list|scd)", word) and not glob.glob("**/" + word, recursive=True):
            print(f"{where}: there is no {word}")

for path in texts:
    for n, text in lines(path):
        where = f"{path}:{n}"
        in_command(where, text)
        if path in papers and path != "CHANGELOG.md":
            files(path, where, text)
            alone(where, text)

# Comments: a file by its path in the tree, or by its name in the room.
for room in rooms + ["tests"]:
    for path in sorted(glob.glob(room + "/**/*.[ch]", recursive=True)):
        source = open(path, encoding="utf-8").read()
        for m in re.finditer(r"/\*.*?\*/", source, re.S):
            comment = re.sub(r"<[\w/.]+>", "", m.group())
            for word in re.findall(r"(?<![\w./-])[\w/-]+\.(?:c|h|list|sh|md)\b", comment):
                places = ["", os.path.dirname(path) + "/", room + "/"]
                if re.match(r"/|fs/|[A-Z_]+/", word) or word == "sources.list": # the host's, or a placeholder's
                    continue
                if os.path.exists("/usr/include/" + word) or word.endswith(".list") and glob.glob("*/" + word):
                    continue
                if not any(os.path.exists(p + word) for p in places):
                    print(f"{path}:{source.count(chr(10), 0, m.start()) + 1}: a comment names {word}, which is not here")

# The house.
if os.path.exists("docs/design.md"):
    told = set(re.findall(r"^\| `([\w/]+)/` \|", open("docs/design.md", encoding="utf-8").read(), re.M))
    there = {os.path.dirname(p) for r in rooms + ["contents"] for p in glob.glob(r + "/**/*.[ch]", recursive=True)}
    for place in sorted(there - told):
        print(f"docs/design.md: the table lacks {place}/")
    for place in sorted(told - there):
        print(f"docs/design.md: there is no {place}/")
PY
}

# shellcheck disable=SC2016
sample() { # LINE of a README, in a tree with one command
    mkdir -p cli base docs
    echo 'COMMAND(run, HOT, "run an image")' > cli/commands.list
    echo '/* One of base/x.c. */' > base/x.c
    printf '%s\n' "$1" > README.md
    printf '| `base/` | floor |\n' > docs/design.md
}
# shellcheck disable=SC2016
{
    bad_option() { sample 'type `hpcc run --warp x.img`'; }
    bad_option_in_block() { sample 'hpcc run --bind /a:/b --warp x.img'; }
    bad_option_alone() { sample 'with `--warp` it is fast'; }
    bad_option_in_example() { sample '' && mkdir examples && echo '#   hpcc run --warp x.img' > examples/x.def; }
    bad_file() { sample 'see `base/gone.c`'; }
    bad_name() { sample 'see `gone.c`'; }
    bad_folder() { sample 'see `base/profiles/`'; }
    bad_link() { sample 'see [it](docs/gone.md)'; }
    bad_comment() { sample '' && echo '/* Filled by gone.c. */' > base/y.c; }
    bad_wing() { sample '' && mkdir base/wing && echo > base/wing/w.c; }
    bad_place() { sample '' && echo '| `base/gone/` | x |' >> docs/design.md; }
    good() {
        sample 'see `base/x.c`, `base/*.c`, `cmake --preset x`; type `hpcc run --bind /a:/b x.img --its own`'
        echo '/* By <linux/fuse.h>, /etc/apt/sources.list and x.c. */' > base/y.c
    }
}

lint_main
