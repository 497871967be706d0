#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Everything that reaches a terminal goes through cli/out.c, where other people's text is made printable.
# Rooms below cli do not print at all (banned.sh); main.c is left its buffer and its flush, and
# squashfs.c the one line of a program that nobody starts by hand.
# shellcheck source=tests/lint/_lib.sh
. "$(dirname "$0")/_lib.sh"

check() {
    lint_sources cli -- -name '*.[ch]' ! -path cli/out.c ! -path cli/squashfs.c | while read -r file; do
        awk -v file="$file" '
            /(^|[^A-Za-z0-9_])(f?printf|dprintf|vf?printf|f?puts|f?putc|putchar|fwrite|perror|json_object_to_f[a-z]*)[ ]*\(/ ||
            /(^|[^A-Za-z0-9_])write[ ]*\([ ]*(1|2|STD(OUT|ERR)_FILENO)/ {
                print file ":" FNR ": prints past cli/out.c: " $0
            }' "$file"
    done
}

put() { mkdir -p "$(dirname "$1")" && printf '%s\n' "$2" > "$1"; }

bad_printf() { put cli/cmd_x.c '    printf("%s\n", name);'; }
bad_fprintf() { put cli/cmd_x.c '    fprintf(stderr, "%s\n", name);'; }
bad_puts() { put cli/cmd_x.c '    puts(name);'; }
bad_fputs() { put cli/main.c '    fputs(name, stdout);'; }
bad_putchar() { put cli/cmd_x.c "    putchar('x');"; }
bad_fwrite() { put cli/cmd_x.c '    fwrite(name, 1, 3, stdout);'; }
bad_write() { put cli/cmd_x.c '    (void)!write(STDOUT_FILENO, name, 3);'; }
bad_header() { put cli/x.h 'static inline void f(void) { perror("x"); }'; }
good() {
    put cli/cmd_x.c '    out_say("%s\n", name); snprintf(a, 3, "x"); mem_printf("x"); fs_write_full(STDOUT_FILENO, c, n);'
    put cli/out.c '    fputs(clean, stdout);'
    put cli/squashfs.c '    fputs("x", stderr);'
    put runtime/x.c '    fprintf(f, "x");'
}

lint_main
