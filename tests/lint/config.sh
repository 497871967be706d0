#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Every key that cli/config.c reads is described in hpcc.yaml(5).
# shellcheck source=tests/lint/_lib.sh
. "$(dirname "$0")/_lib.sh"

check() {
    local key
    sed -nE 's/^ *\{ "([a-z.-]+)", KEY_.*/\1/p' cli/config.c | while read -r key; do
        grep -qE "(\*|_|[{, ])$key(\*|[:,])" cli/hpcc.yaml.5.scd ||
            echo "cli/hpcc.yaml.5.scd: key '$key' of cli/config.c is not described"
    done
}

sample() {
    mkdir cli
    printf '    { "bind", KEY_LIST, AT(binds), NULL, false },\n' > cli/config.c
    echo "$1" > cli/hpcc.yaml.5.scd
}
bad_missing_key() { sample 'nothing'; }
good() { sample '*bind*: a list'; }

lint_main
