# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
# Sourced by every lint. A lint defines
#   check          prints one line for each finding in the tree it stands in; nothing when all is well
#   bad_WHAT ...   functions that write one offending sample each into an empty tree
#   good           writes what looks offending and is not (optional)
# and ends with `lint_main`. Each sample must be found before the real tree is looked at, so that a
# lint that has gone blind fails.
set -eu
export LC_ALL=C.UTF-8
rooms=(base deffile jail image bootstrap runtime build cli)

lint_skip() { # REASON
    echo "cannot run here: $1"
    if [ "${HPCC_MUST_RUN:-0}" = 1 ]; then exit 1; fi
    exit 77
}

# Source files below the given folders (those that exist), sorted; NUL-free names by convention.
lint_sources() { # FOLDER... -- the rest is for find
    local dirs=()
    while [ $# -gt 0 ] && [ "$1" != -- ]; do
        if [ -d "$1" ]; then dirs+=("$1"); fi
        shift
    done
    shift
    if [ ${#dirs[@]} -eq 0 ]; then return 0; fi
    find "${dirs[@]}" -type f "$@" | sort
}

lint_main() {
    local top=${HPCC_SOURCE_DIR:-$(cd "$(dirname "$0")/../.." && pwd)}
    local sample found status=0 n=0
    lint_work=$(mktemp -d)
    trap 'rm -rf "$lint_work"' EXIT
    for sample in $(declare -F | awk '$3 ~ /^(bad_|good$)/ { print $3 }'); do
        rm -rf "$lint_work/tree"
        mkdir -p "$lint_work/tree"
        cd "$lint_work/tree"
        "$sample"
        found=$(check)
        n=$((n + 1))
        if [ "$sample" = good ]; then
            if [ -n "$found" ]; then
                echo "self-test: harmless sample was found: $found"
                status=1
            fi
        elif [ -z "$found" ]; then
            echo "self-test: sample '$sample' was not found"
            status=1
        fi
        cd /
    done
    if [ $n -eq 0 ]; then
        echo "self-test: there are no samples"
        status=1
    fi
    cd "$top"
    found=$(check)
    if [ -n "$found" ]; then
        printf '%s\n' "$found"
        status=1
    fi
    exit $status
}
