#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# rpm-strace.sh - whatever changes a file during an rpm bootstrap and lies outside the stage, the cache and
# the image is told: there must be none. A process that has made the stage its root (pivot_root, chroot)
# cannot reach anything else and is not looked at further, nor are its children.
# Root, strace, and what the e2e tests of rpm need; half a minute. Not for a build with sanitizers.
# shellcheck source=tests/e2e/_lib.sh
. "$(dirname "$0")/../e2e/_lib.sh"
need_root
command -v strace > /dev/null || skip "strace is not installed"
# shellcheck source=tests/e2e/_rpm.sh
. "$(dirname "$0")/../e2e/_rpm.sh"
mkdir "$work/t" "$work/trace"
cd "$work/t"
export HPCC_CACHEDIR=$work/t/cache TMPDIR=/tmp
definition OSVersion 7 MirrorURL "file://$repo/7/os/\$basearch" Key "$good_key" Include 'rpm bash' > a.def
calls=pivot_root,chroot,chdir,fchdir,open,openat,openat2,creat,mkdir,mkdirat,mknod,mknodat,unlink,unlinkat,rmdir
calls+=,rename,renameat,renameat2,link,linkat,symlink,symlinkat,truncate,chmod,fchmodat,chown,lchown,fchownat
calls+=,utimensat,setxattr,lsetxattr,removexattr,lremovexattr,clone,clone3,fork,vfork
strace -ff -y --pidns-translation -s 4096 -o "$work/trace/t" -e "trace=$calls" \
    "$hpcc" -q bootstrap a.img a.def > /dev/null 2> "$work/log" || fail "bootstrap: $(cat "$work/log")"
[ -e a.img ] || fail "no image"

/usr/bin/python3 - "$work" << 'PY' || fail "something else was written"
import os, re, sys
work = sys.argv[1]
ours = (work + '/t', '/dev/null', '/dev/tty')
starts = {}   # pid -> (cwd, inside) where its parent made it
traces = {int(n[2:]): open(work + '/trace/' + n, errors='replace').read().splitlines()
          for n in os.listdir(work + '/trace')}
writes = judged = pivots = 0
bad = []

def strings(text):
    return re.findall(r'"((?:[^"\\]|\\.)*)"', text)

def paths(name, args, cwd):
    """The paths that a call names, whole."""
    found, base = [], cwd
    for token in re.findall(r'(?:AT_FDCWD|\d+)<[^>]*>|"(?:[^"\\]|\\.)*"', args):
        if token[0] != '"':
            base = token[token.index('<') + 1:-1].removesuffix(' (deleted)')
            if name.startswith('utimensat') and 'NULL' in args:
                found.append(base)
            continue
        found.append(os.path.normpath(os.path.join(base, token[1:-1])))
        base = cwd
    if name == 'symlink' or name == 'symlinkat':
        found = found[1:]   # the first is text
    if name.endswith('xattr'):
        found = found[:1]
    return found

def walk(pid):
    global writes, judged, pivots
    cwd, inside = starts[pid]
    for line in traces.get(pid, []):
        m = re.match(r'(\w+)\((.*)\) += (-?\d+)', line)
        if not m or m[3].startswith('-'):
            continue
        name, args = m[1], m[2]
        if name in ('clone', 'clone3', 'fork', 'vfork'):
            other = re.search(r'/\* (\d+) in strace', line)
            child = int(other[1]) if other else int(m[3])
            starts[child] = (cwd, inside)
            walk(child)
        elif name in ('pivot_root', 'chroot'):
            pivots += not inside
            inside = True
        elif name == 'chdir':
            cwd = os.path.normpath(os.path.join(cwd, strings(args)[0]))
        elif name == 'fchdir':
            cwd = args[args.index('<') + 1:-1]
        elif not inside:
            judge(name, args, cwd, line)

def judge(name, args, cwd, line):
    global writes
    if name.startswith('open') and not re.search(r'O_WRONLY|O_RDWR|O_CREAT|O_TRUNC', args):
        return
    if 'O_TMPFILE' in args:
        return   # has no name and goes with its descriptor
    writes += 1
    for path in paths(name, args, cwd):
        if re.match(r'/proc/(self|\d+)(/|$)', path):
            continue   # of the process itself: its maps, its descriptors
        if not any(path == o or path.startswith(o + '/') for o in ours):
            bad.append(line[:200])

children = set()
for lines in traces.values():
    for line in lines:
        if re.match(r'(clone3?|v?fork)\(', line):
            other = re.search(r'/\* (\d+) in strace', line) or re.search(r'= (\d+)$', line)
            if other:
                children.add(int(other[1]))
roots = [p for p in traces if p not in children]
for pid in roots:
    starts[pid] = (work + '/t', False)
    walk(pid)
print('\n'.join(sorted(set(bad))))
lost = len(traces) - len(starts)
print('# %d processes, %d of them entered the stage, %d changes outside it looked at, roots %d, lost %d'
      % (len(traces), pivots, writes, len(roots), lost))
sys.exit(bool(bad) or len(roots) != 1 or pivots < 1 or writes < 20 or lost != 0)
PY
ok "nothing but the stage, the cache and the image is written"
