#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# README and man page tell the commands of commands.list and the exit codes of base/err.h, no others.
# shellcheck source=tests/lint/_lib.sh
. "$(dirname "$0")/_lib.sh"

# shellcheck disable=SC2016
commands() { sed -nE 's/^COMMAND\(([a-z_]+), [A-Z]+, "(.*)"\)$/| `hpcc \1` | \2 |/p' cli/commands.list; }
codes() { sed -nE 's/^ +ERR_[A-Z]+ = ([0-9]+),.*/\1/p' base/err.h; }

tell() { # WHERE: turns diff's output into findings
    sed -nE "s|^< |$1: no such thing: |p; s|^> |$1: missing: |p"
}

# Every library that CMake wants stands in the README with its reason, its package in the list.
libraries() {
    local module package
    sed -nE 's/^ *need\([A-Z0-9]+ ([a-z0-9_.-]+) ([a-z0-9-]+)\)$/\1 \2/p' CMakeLists.txt | while read -r module package; do
        grep -qE "^\|.*\b(lib)?${module%%-[0-9]*}\b.*\|.*\|" README.md || echo "README.md: missing library: $module"
        grep -q "^$package #" tests/packages.txt || echo "tests/packages.txt: missing: $package"
    done
}

check() {
    if [ -f CMakeLists.txt ]; then libraries; fi
    if [ -f cli/commands.list ]; then
        diff <(grep '^| `hpcc ' README.md) <(commands) | tell README.md || true
    fi
    if [ -f base/err.h ]; then
        diff <(sed -nE 's/^\| ([0-9]+) \|.*/\1/p' README.md) <(codes) | tell 'README.md, exit codes' || true
        diff <(sed -nE '/^# EXIT STATUS/,/^# ENV/s/^\*([0-9]+)\*$/\1/p' cli/hpcc.1.scd) <(codes) |
            tell 'cli/hpcc.1.scd, exit codes' || true
    fi
}

sample() {
    mkdir cli base
    echo 'COMMAND(help, HOT, "explain a command")' > cli/commands.list
    printf '    ERR_NONE = 0,\n    ERR_INPUT = 3, /* bad */\n' > base/err.h
    printf '# EXIT STATUS\n\n*0*\n*3*\n\n# ENVIRONMENT\n' > cli/hpcc.1.scd
    # shellcheck disable=SC2016
    printf '| `hpcc %s` | explain a command |\n| 0 | done |\n| %s | bad |\n' "$1" "$2" > README.md
}
bad_command() { sample hepl 3; }
bad_code() { sample help 4; }
bad_page() { sample help 3 && sed -i 's/3/5/' cli/hpcc.1.scd; }
bad_library() { sample help 3 && echo '    need(FOO foo-1.0 libfoo-dev)' > CMakeLists.txt && mkdir tests && touch tests/packages.txt; }
good() { sample help 3; }

lint_main
