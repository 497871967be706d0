#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Every command has a page that tells the same summary, synopsis and options as --help; no page is
# left over.
# shellcheck source=tests/lint/_lib.sh
. "$(dirname "$0")/_lib.sh"
shopt -s nullglob
hpcc=${HPCC:-out/dev/bin/hpcc}
[ -x "$hpcc" ] || lint_skip "hpcc is not built: $hpcc"

# "-s, --size SIZE" of each option, from --help and from a page.
help_options() { sed -n '/^Options:/,/^$/p' | sed -nE 's/^ +((-., )?--[^ ]+( [^ ]+)?)(  .*)?$/\1/p' | sort; }
page_options() {
    sed -n '/^# OPTIONS/,/^# [^O]/p' "$1" | sed -nE 's/^\*(-[^*]*)\*( _(.*)_)?$/\1 \3/p' |
        sed -E 's/ $//; s/\\(.)/\1/g' | sort
}

same() { # PAGE HELP-TEXT
    diff <(page_options "$1") <(help_options <<< "$2") | sed -nE "s|^< |$1: option only in the page: |p; s|^> |$1: option only in --help: |p"
}

check() {
    local name summary page text
    [ -f cli/commands.list ] || return 0
    sed -nE 's/^COMMAND\(([a-z_]+), [A-Z]+, "(.*)"\)$/\1 \2/p' cli/commands.list | while read -r name summary; do
        page=cli/hpcc-$name.1.scd
        if [ ! -f "$page" ]; then
            echo "$page: there is no page for '$name'"
            continue
        fi
        grep -qxF -- "hpcc-$name - $summary" "$page" || echo "$page: NAME is not 'hpcc-$name - $summary'"
        text=$("$hpcc" "$name" --help) || { echo "cli/cmd_$name.c: --help fails" && continue; }
        same "$page" "$text"
    done
    if [ -f cli/hpcc.1.scd ]; then same cli/hpcc.1.scd "$("$hpcc" --help)"; fi
    for page in cli/hpcc-*.1.scd; do
        name=${page#cli/hpcc-}
        grep -q "^COMMAND(${name%.1.scd}," cli/commands.list || echo "$page: no such command"
    done
    if command -v scdoc > /dev/null; then
        for page in cli/*.scd; do
            scdoc < "$page" > /dev/null 2>&1 || echo "$page: scdoc cannot read it"
        done
    fi
}

sample() { # summary and options of a page for `help`
    mkdir cli
    echo 'COMMAND(help, HOT, "explain a command")' > cli/commands.list
    printf 'hpcc-help(1)\n\n# NAME\n\n%s\n\n# OPTIONS\n\n%s\n' "$1" "$2" > cli/hpcc-help.1.scd
}
bad_no_page() { sample x '' && rm cli/hpcc-help.1.scd; }
bad_summary() { sample 'hpcc-help - do things' ''; }
bad_option() { sample 'hpcc-help - explain a command' '*-x, --nothing* _VALUE_'; }
bad_leftover() { sample 'hpcc-help - explain a command' '' && cp cli/hpcc-help.1.scd cli/hpcc-gone.1.scd; }
good() { sample 'hpcc-help - explain a command' ''; }

case $hpcc in /*) ;; *) hpcc=$PWD/$hpcc ;; esac
lint_main
