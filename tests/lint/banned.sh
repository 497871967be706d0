#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Calls, words and names that STYLE.md keeps out of the rooms.
# shellcheck source=tests/lint/_lib.sh
. "$(dirname "$0")/_lib.sh"

# The code of a file without comments and string contents, one output line per source line.
code() { # FILE
    awk '
        {
            line = $0
            out = ""
            while (line != "") {
                if (inside) {
                    at = index(line, "*/")
                    if (!at) { line = ""; break }
                    line = substr(line, at + 2)
                    inside = 0
                } else if (match(line, /"([^"\\]|\\.)*"|\047([^\047\\]|\\.)+\047|\/\/|\/\*/)) {
                    token = substr(line, RSTART, 2)
                    out = out substr(line, 1, RSTART - 1)
                    if (token == "//") { line = ""; break }
                    if (token == "/*") { inside = 1; line = substr(line, RSTART + 2); continue }
                    out = out "\"\""
                    line = substr(line, RSTART + RLENGTH)
                } else {
                    out = out line
                    line = ""
                }
            }
            print out
        }' "$1"
}

check() {
    lint_sources "${rooms[@]}" -- -name '*.[ch]' | while read -r file; do
        code "$file" | awk -v file="$file" '
            function found(what) { print file ":" FNR ": " what }
            BEGIN {
                split(file, part, "/")
                low = part[1] != "cli"
                call = "(^|[^A-Za-z0-9_>.])"
                own = "^[A-Za-z_][A-Za-z0-9_ *()]*[ *](rpm|hdr|pool_|repo_|queue_|map_|solv|" \
                      "ext2fs_|curl_|yaml_|lr_|fuse_|cap_|json_object_)[a-z0-9_]*\\("
            }
            $0 ~ call "(system|popen|strcpy|strcat|sprintf|vsprintf|strtok|atoi|atol|alloca|gets|tmpnam|mktemp|vfork)[ ]*\\(" {
                found("banned call: " $0)
            }
            /(^|[^A-Za-z0-9_])goto[ \t]/ { found("goto") }
            low && $0 ~ call "exit[ ]*\\(" { found("exit below cli (children use _exit)") }
            low && $0 ~ call "(secure_)?getenv[ ]*\\(" { found("getenv outside cli") }
            low && $0 ~ /(^|[^A-Za-z0-9_])(extern[ ]+char[ ]*\*\*[ ]*environ)/ { found("environ outside cli") }
            low && $0 ~ call "(printf|puts|putchar|perror)[ ]*\\(" { found("rooms never print") }
            /typedef[ ]+struct/ { found("typedef struct") }
            # Names that stay in one file clash only where the headers of that library are seen.
            $0 ~ own && (!/^static/ || part[1] == "bootstrap") && !/;[ ]*$/ && !/^(extern|return|else)/ { found("name with the prefix of a linked library: " $0) }'
    done
}

put() { mkdir -p "$(dirname "$1")" && printf '%s\n' "$2" > "$1"; }
bad_system() { put base/x.c '    if (system("ls"))'; }
bad_sprintf() { put image/x.c '    sprintf(buf, "x");'; }
bad_strcpy() { put cli/x.c '    strcpy (a, b);'; }
bad_atoi() { put cli/x.c '    return atoi(s);'; }
bad_goto() { put base/x.c '    goto out;'; }
bad_exit() { put build/x.c '    exit(1);'; }
bad_getenv() { put build/x.c '    x = getenv("HOME");'; }
bad_print() { put build/x.c '    printf("done\n");'; }
bad_typedef() { put base/x.h 'typedef struct x { int a; } x;'; }
bad_prefix() { put bootstrap/x.c 'static int rpm_install(struct x *x)'; }
bad_public_prefix() { put image/x.c 'int map_find(int a)'; }
bad_pointer_prefix() { put bootstrap/x.c 'static struct solv *pool_fill(int a)'; }
bad_after_comment() { put base/x.c '/* x */ system("ls");'; }
bad_after_string() { put base/x.c 'x("a\"b"); popen("ls");'; }
good() {
    put base/x.c '/* never system("x"), goto or
     atoi( */ x("system(\"a\")"); // exit(1)
_exit(1); snprintf(a); my_system(b); x->system(c); fprintf(f);'
    put bootstrap/x.c '    int rc = rpmtsRun(ts, NULL, 0);
    return pool_new(x);'
    put image/x.c 'static int map_blocks(int a)'
    put cli/x.c '    getenv("X"); puts(x);'
}

lint_main
