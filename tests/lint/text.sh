#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Licence line in every source file; no unfinished business; URLs only of hosts that the public
# knows, so that no site's own mirror slips in.
# shellcheck source=tests/lint/_lib.sh
. "$(dirname "$0")/_lib.sh"

public='(([a-z0-9-]+\.)*example(\.(org|com|net))?|[A-Za-z0-9_-]+|127\.0\.0\.1|\[::1\]|([a-z0-9-]+\.)*(debian\.org|ubuntu\.com|kernel\.org|opensuse\.org|centos\.org|rockylinux\.org|almalinux\.org|fedoraproject\.org|redhat\.com|oracle\.com|busybox\.net|github\.com|readthedocs\.io|apptainer\.org|opencontainers\.org|label-schema\.org|reproducible-builds\.org|gnu\.org|no-color\.org|spdx\.org|man7\.org|yaml\.org|docker\.io|linux-usb\.org|die\.net|baselabs\.org|metalinker\.org|w3\.org|duke\.edu))'

tree() {
    find . -path ./out -prune -o -path ./.git -prune -o -type f ! -name '*.bin' -print | sort
}

check() {
    tree | while read -r file; do
        case $file in
        *.c | *.h | *.sh | *.list | */CMakeLists.txt | ./quickstart | ./tests/run | ./.ci/run)
            head -n 3 "$file" | grep -q 'SPDX-License-Identifier: BSD-3-Clause' ||
                echo "$file:1: no SPDX line"
            ;;
        esac
        case $file in
        ./tests/lint/text.sh | ./tests/cases/* | ./tests/fixtures/* | ./STYLE.md) continue ;;
        esac
        grep -nIE '(^|[^A-Za-z_])(TODO|FIXME|XXX|HACK)([^A-Za-z_]|$)' "$file" | sed "s|^|$file:|" |
            grep -vE 'mktemp|XXXXXX' || true
        grep -noIE '(https?|ftp)://[A-Za-z0-9][A-Za-z0-9.:-]*' "$file" | while IFS=: read -r line url; do
            host=${url#*://}
            host=${host%%:*}
            grep -qE "^$public\.?$" <<< "$host" || echo "$file:$line: host not known to the public: $host"
        done
    done
}

spdx='/* SPDX-License-Identifier: BSD-3-Clause */'
bad_licence() { mkdir base && echo 'int x;' > base/x.c; }
bad_unfinished() { mkdir base && printf '%s\n/* %s: later */\n' "$spdx" TODO > base/x.c; }
bad_host() { printf 'MirrorURL: http://mirror.%s/debian\n' corp.internal > x.def; }
good() {
    mkdir base
    printf '%s\n/* see https://docs.kernel.org/x and http://a.example.org:80/ */\n' "$spdx" > base/x.c
}

lint_main
