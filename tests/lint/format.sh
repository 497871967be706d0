#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The layout is clang-format's.
# shellcheck source=tests/lint/_lib.sh
. "$(dirname "$0")/_lib.sh"
command -v clang-format > /dev/null || lint_skip "clang-format is not installed"
style=$(cd "$(dirname "$0")/../.." && pwd)/.clang-format

check() {
    lint_sources "${rooms[@]}" tests -- -name '*.[ch]' | xargs -r clang-format --style="file:$style" --dry-run 2>&1 |
        grep -E '(warning|error):' || true
}

bad_layout() { mkdir base && printf 'int f(void) { return 1; }\n' > base/x.c; }
good() { mkdir base && printf 'int f(void)\n{\n    return 1;\n}\n' > base/x.c; }

lint_main
