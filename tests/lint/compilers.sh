#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The other compiler has no warning either, and nobody uses variable-length arrays or hidden
# prototypes.
# shellcheck source=tests/lint/_lib.sh
. "$(dirname "$0")/_lib.sh"
command -v clang > /dev/null || lint_skip "clang is not installed"
command -v pkg-config > /dev/null || lint_skip "pkg-config is not installed"

flags=(-std=gnu17 -fsyntax-only -Wall -Wextra -Wshadow -Wformat=2 -Wvla -Wstrict-prototypes -Werror
    -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 '-DHPCC_VERSION="0"' -DHPCC_BUILD -DHPCC_FULL
    '-DHPCC_LIBEXEC_DIR="../libexec"' -I.)

check() {
    local libs
    read -ra libs < <(pkg-config --cflags yaml-0.1 json-c ext2fs com_err libarchive rpm libsolv \
        libcurl expat squashfuse | sed 's/-I/-isystem /g')
    lint_sources "${rooms[@]}" -- -name '*.c' |
        xargs -r -n 8 -P 2 clang "${flags[@]}" "${libs[@]}" 2>&1 | grep -E '(warning|error):' || true
}

bad_unused() { mkdir base && printf 'void f(void);\nvoid f(void)\n{\n    int unused;\n}\n' > base/x.c; }
bad_vla() { mkdir base && printf 'int f(int n);\nint f(int n)\n{\n    int a[n];\n    a[0] = n;\n    return a[0];\n}\n' > base/x.c; }
good() { mkdir base && printf 'int f(void);\nint f(void)\n{\n    return 1;\n}\n' > base/x.c; }

lint_main
