#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Calls that make, join or leave namespaces, mount, set privileges or filters, or make device nodes stand
# in jail/ alone, where one row of one table holds for every container and every build.
# shellcheck source=tests/lint/_lib.sh
. "$(dirname "$0")/_lib.sh"

# FILE CALL: what may stand elsewhere, and why.
allowed='
base/proc.c prctl          the floor below jail: a child that dies with its parent
image/tree/write.c mknodat nodes of a tree that is unpacked, by who asked for them
'

check() {
    lint_sources "${rooms[@]}" contents -- -name '*.[ch]' | { grep -v '^jail/' || true; } | while read -r file; do
        awk -v file="$file" -v allowed="$allowed" '
            BEGIN {
                n = split(allowed, row, "\n")
                for (i = 1; i <= n; i++)
                    if (split(row[i], word, " ") >= 2) may[word[1] " " word[2]] = 1
                calls = "mount|umount2?|unshare|setns|pivot_root|prctl|seccomp|capset|mknod|mknodat|clone|open_tree|" \
                        "open_tree_attr|move_mount|fsopen|fsconfig|fsmount|fspick|mount_setattr"
                called = "(^|[^A-Za-z0-9_>.\"/-])(" calls ")[ ]*\\("
                # clone stands for clone3 as well
                raw = "(SYS|__NR)_(" calls "|clone3)([^A-Za-z0-9_]|$)"
            }
            # comments and strings are not looked at
            { line = $0; gsub(/"([^"\\]|\\.)*"/, "\"\"", line) }
            inside { if (!sub(/^.*\*\//, "", line)) next; inside = 0 }
            { gsub(/\/\*([^*]|\*+[^*\/])*\*+\//, "", line); sub(/\/\/.*$/, "", line) }
            sub(/\/\*.*$/, "", line) { inside = 1 }
            {
                while (match(line, raw) || match(line, called)) {
                    name = substr(line, RSTART, RLENGTH)
                    line = substr(line, RSTART + RLENGTH)
                    if (match(name, /(SYS|__NR)_/)) { sub(/^.*__NR_/, "SYS_", name); sub(/[^A-Za-z0-9_]*$/, "", name) }
                    else gsub(/[^A-Za-z0-9_]/, "", name)
                    if (!((file " " name) in may)) print file ":" FNR ": " name " outside jail/"
                }
            }' "$file"
    done
}

put() { mkdir -p "$(dirname "$1")" && printf '%s\n' "$2" > "$1"; }
bad_mount() { put runtime/x.c '    if (mount(NULL, "/", NULL, MS_REC, NULL) < 0)'; }
bad_umount() { put runtime/x.c '    umount2(".", MNT_DETACH);'; }
bad_unshare() { put build/x.c '    return unshare (CLONE_NEWPID);'; }
bad_setns() { put runtime/x.c 'x = setns(fd, 0);'; }
bad_pivot() { put bootstrap/x.c '    syscall(SYS_pivot_root, ".", ".");'; }
bad_prctl() { put image/server/x.c '    prctl(PR_SET_DUMPABLE, 0);'; }
bad_seccomp() { put bootstrap/deb/x.c '    syscall(SYS_seccomp, 1, 0, &p);'; }
bad_capset() { put bootstrap/x.c '    syscall(__NR_capset, &h, d);'; }
bad_mknod() { put bootstrap/x.c '!mknod(path, 0, 0)'; }
bad_mknodat() { put image/x.c '    mknodat(fd, name, mode, dev);'; }
bad_clone() { put runtime/x.c '    pid = syscall(SYS_clone, CLONE_NEWUSER, 0);'; }
bad_clone3() { put runtime/x.c '    pid = syscall(SYS_clone3, &args, sizeof args);'; }
bad_open_tree() { put runtime/x.c '    fd = open_tree(fd, path, how);'; }
bad_move_mount() { put runtime/x.c '    move_mount(a, "", b, "", 0);'; }
bad_fsopen() { put runtime/x.c '    fd = fsopen("proc", 0);'; }
bad_setattr() { put runtime/x.c '    mount_setattr(fd, "", 0, &a, sizeof a);'; }
bad_after_comment() { put runtime/x.c '    /* here */ setns(fd, 0);'; }
bad_twice() { put base/proc.c '    prctl(PR_SET_NAME, "x"); unshare(0);'; }
good() {
    put jail/x.c '    mount("proc", "/proc", "proc", 0, NULL);'
    put base/proc.c '    prctl(PR_SET_PDEATHSIG, SIGKILL);'
    put runtime/x.c '/* never unshare(0) or
  mount(2) */
    ns_unshare(x); layers_mount(r); x->mount(y); add("setns(2)"); // prctl(x)
    LET(SYS_clock_gettime); SYS_mounts(x); remount(x);'
}

lint_main
