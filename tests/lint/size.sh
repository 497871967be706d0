#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Files of at most 500 lines, functions of at most 60 lines and 5 parameters (besides
# the error they fill, printf's, and the callback that librpm wants).
# shellcheck source=tests/lint/_lib.sh
. "$(dirname "$0")/_lib.sh"

check() {
    lint_sources "${rooms[@]}" tests -- \( -name '*.[ch]' -o -name '*.sh' \) | while read -r file; do
        awk -v file="$file" 'END { if (NR > 500) print file ": " NR " lines, at most 500" }' "$file"
    done
    # clang-format puts the braces of a function, and nothing else, alone into column 0.
    lint_sources "${rooms[@]}" -- -name '*.[ch]' | while read -r file; do
        awk -v file="$file" '
            /^[A-Za-z].*\(/ && !/;$/ { head = $0; start = FNR; next }
            head != "" && !inside && $0 != "{" { head = head $0 }
            head != "" && !inside && /;$/ { head = "" }
            $0 == "{" && head != "" {
                inside = 1
                begin = FNR
                list = head
                sub(/^[^(]*\(/, "", list)
                while (gsub(/\([^()]*\)/, "", list) > 0 && list ~ /\(/) continue
                sub(/, *struct err \*[a-z]+/, "", list)
                if (list !~ /\.\.\.|rpmCallbackData/ && gsub(/,/, "", list) + 1 > 5)
                    print file ":" start ": more than 5 parameters"
            }
            $0 == "}" && inside {
                if (FNR - begin + 1 > 60)
                    print file ":" start ": function of " FNR - begin + 1 " lines, at most 60"
                inside = 0
                head = ""
            }' "$file"
    done
}

bad_file() { mkdir base && seq 501 > base/x.c; }
bad_function() {
    mkdir base
    { printf 'int f(int a,\n      int b)\n{\n'; seq 59; echo '}'; } > base/x.c
}
bad_parameters() {
    mkdir base
    printf 'static int f(int a, int (*b)(int, int), int c, int d,\n    int h, int g)\n{\n}\n' > base/x.c
}
good() {
    mkdir base
    { printf 'int f(int a, int (*b)(int, int), int c, int d, int f, struct err *e)\n{\n'; seq 58; echo '}'; } > base/x.c
    { printf 'static const int x[] = {\n'; seq 100; echo '};'; } > base/y.c
}

lint_main
