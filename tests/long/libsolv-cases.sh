#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# libsolv-cases.sh [BINARY_DIR] [LIBSOLV_SOURCE] - libsolv's own test cases through the solver flags of hpcc.
# Without LIBSOLV_SOURCE, Debian's source package of the libsolv that is installed is fetched by the
# machine's apt configuration, into a temporary directory. docs/rpm.md tells why some differ.
set -eu
bin=$(realpath "${1:-out/dev}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
src=${2:-}
if [ -z "$src" ]; then
    mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/get"
    cat /etc/apt/sources.list.d/*.sources 2> /dev/null | sed 's/^\(Types: *\)deb *$/\1deb-src/' > "$work/all.sources"
    sed -n 's/^deb /deb-src /p' /etc/apt/sources.list 2> /dev/null > "$work/all.list" || :
    from=$work/all.sources
    [ -s "$from" ] || from=$work/all.list
    apt=(apt-get -qq -o "Dir::Etc::sourcelist=$from" -o Dir::Etc::sourceparts=/dev/null
        -o "Dir::State::lists=$work/lists" -o "Dir::Cache=$work/cache" -o APT::Sandbox::User=root)
    "${apt[@]}" update
    version=$(dpkg-query -W -f '${source:Version}' libsolv-dev)
    (cd "$work/get" && "${apt[@]}" --download-only source "libsolv=$version")
    dpkg-source --no-check -x "$work"/get/*.dsc "$work/src" > /dev/null
    src=$work/src
fi
cd "$src/test/testcases"
mapfile -t cases < <(find . -name '*.t' -printf '%P\n' | sort)
[ "${#cases[@]}" -gt 0 ] || { echo "no test cases in '$src'" >&2; exit 1; }
"$bin/tests/libsolv_cases" case "${cases[@]}" > "$work/case"
grep -v '^holds' "$work/case"
for mode in strict weak; do
    echo "--- with the flags of hpcc, $mode:"
    "$bin/tests/libsolv_cases" "$mode" "${cases[@]}" > "$work/$mode"
    grep -v '^holds' "$work/$mode"
done
grep -q ' 0 differ, 0 cannot run$' "$work/case" || { echo "not all cases hold with flags of their own" >&2; exit 1; }
