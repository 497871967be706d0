#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The order of a start's steps, by the system calls that the program's own process makes: what it may do is
# given up after the mounts and before the program, and the filter of system calls comes last. The control:
# with a step switched off the order is seen to be another.
# shellcheck source=tests/e2e/_attacks.sh
. "$(dirname "$0")/_attacks.sh"
command -v strace > /dev/null || skip "needs strace"
strace -f -o try.out true 2> /dev/null || skip "strace does not work here"
export ASAN_OPTIONS=detect_leaks=0 # which does not work under strace
make_root bare
rm -rf bare/.singularity.d
make_image bare a.img

# The steps in their order, each run of the same one once.
steps() { # ARGS…: of hpcc
    local pid
    rm -f calls.out
    strace -f -o calls.out -e trace=unshare,mount,open,openat,openat2,pivot_root,umount2,prctl,capset,execve,chroot,setns,mmap,vfork \
        setpriv ${as[@]+"${as[@]}"} "$@" > said.out 2>&1 < /dev/null || out=$(cat said.out) fail "$*"
    pid=$(grep -E 'execve\("/bin/busybox"' calls.out | tail -n 1 | cut -d' ' -f1)
    grep -E "^$pid +" calls.out > own.out
    if grep -qE 'execve\(".*/(hpcc|controls)"' own.out; then # with --pid the program is a child
        sed -i '1,/execve(".*\/\(hpcc\|controls\)"/d' own.out
    fi
    sed -nE '
        s/.*unshare\(.*CLONE_NEWUSER.*/userns/p
        s/.*unshare\(.*CLONE_NEWNS.*/mountns/p
        s/.*mount\(NULL, "\/", NULL, MS_REC\|MS_(SLAVE|PRIVATE).*/cut/p
        s/.*open(at)?2?\(.*"\/dev\/fuse".*/device/p
        s/.*pivot_root\(.*/pivot/p
        s/.*umount2\("\.".*/detach/p
        s/.*chroot\(.*/chroot/p
        s/.*PR_CAPBSET_DROP.*/bounding/p
        s/.*capset\(.*/capset/p
        s/.*PR_SET_NO_NEW_PRIVS.*/nnp/p
        s/.*PR_SET_SECCOMP.*/seccomp/p
        s/.*execve\("\/bin\/busybox".*/program/p' own.out | uniq | tr '\n' ' '
}

ordered() {
    local want got
    as=()
    if [ "$who" = user ] && [ "$is_root" = yes ]; then
        as=(--reuid "$test_user" --regid "$(id -g "$test_user")" --init-groups)
    fi
    for options in '' -c '-c -p'; do
        case "$who$options" in
            root*-p) want='pivot detach bounding capset nnp seccomp program ' ;; # the namespaces are its parent's
            user*-p) want='device pivot detach bounding capset nnp seccomp program ' ;;
            root*) want='mountns cut pivot detach bounding capset nnp seccomp program ' ;;
            user*) want='userns mountns cut device pivot detach bounding capset nnp seccomp program ' ;;
        esac
        # shellcheck disable=SC2086
        got=$(steps "$hpcc" exec --no-share $options a.img /bin/busybox true)
        out=$got
        [ "$got" = "$want" ] || fail "S20 ($who): the order is '$got' instead of '$want' ($options)"
        counted "S20 ($who): first the mounts, then what may be done, the filter last ($options)"
    done
    export HPCC_TEST_OFF=seccomp
    control "S20 ($who)" '.* detach bounding capset nnp program ' "$(steps "$controls" exec --no-share a.img /bin/busybox true)"
    export HPCC_TEST_OFF='old-root audit'
    control "S20 ($who)" '.* pivot detach bounding .*' "$(steps "$controls" exec --no-share a.img /bin/busybox true)"
    unset HPCC_TEST_OFF
}
both ordered
