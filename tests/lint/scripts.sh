#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Our scripts pass through shellcheck without a remark.
# shellcheck source=tests/lint/_lib.sh
. "$(dirname "$0")/_lib.sh"
command -v shellcheck > /dev/null || lint_skip "shellcheck is not installed"

check() {
    find . -path ./out -prune -o -path ./.git -prune -o -path ./tests/cases -prune -o \
        -path ./tests/fixtures -prune -o -type f -print | sort | while read -r file; do
        case $(head -c 64 "$file" | tr -d '\0' | head -n 1) in
        '#!/bin/sh'* | '#!/bin/bash'* | '#!/usr/bin/env bash'*) echo "$file" ;;
        esac
    done | xargs -r -n 6 -P 2 shellcheck -x -e SC2317 -f gcc 2>&1 || true
}

# shellcheck disable=SC2016
bad_quotes() { printf '#!/bin/sh\nrm -r $1\n' > x; }
# shellcheck disable=SC2016
good() { printf '#!/bin/sh\nrm -r "$1"\n' > x; }

lint_main
