#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# hpcc bootstrap: what each section makes of an image, with the busybox agent and from scratch.
# shellcheck source=tests/e2e/_lib.sh
. "$(dirname "$0")/_lib.sh"
need_root
[ -x /bin/busybox ] || [ -x /usr/bin/busybox ] || skip "no busybox on this host"
cd "$work"

inside() { debugfs -R "cat $2" "$1" 2> /dev/null; }
mode_of() { debugfs -R "stat $2" "$1" 2> /dev/null | sed -n 's/.*Mode: *0*\([0-7]*\).*/\1/p'; }
has() { [ -n "$(mode_of "$1" "$2")" ]; }
line_is() { [ "$(inside "$1" "$2" | sed -n "$3p")" = "$4" ] || fail "$2 of $1, line $3: $(inside "$1" "$2")"; }

cat > all.def <<'E2'
Bootstrap: busybox

%help
    how to use it

%test
    test -f /order && echo "test sees post"

%labels
    Author  Jane "x" Doe
    org.example.n 1

%runscript
    exec echo run "$@"

%startscript
    #!/bin/busybox sh
    exec sleep 1

%post
    echo "post: $MAKEFLAGS $LC_ALL $DEBIAN_FRONTEND $HOME $(pwd) $(umask)" >> /order
    echo "export FROM_POST=1" >> "$SINGULARITY_ENVIRONMENT"
    echo "from.post two words" >> "$APPTAINER_LABELS"
    env > /post-env
    if read -r x; then echo "stdin gave $x"; exit 1; fi
    touch /dev/shm/x && ls /dev > /post-dev

%environment
    export FOO=1

%files
    one.txt /opt/new/dir/
    one.txt /opt/renamed
    "with blank" /opt/
    tree /opt/tree
    *.txt /opt/globbed

%setup
    echo "setup: $(id -u) $SINGULARITY_ROOTFS" > "$HPCC_ROOTFS/order"
    test "$SINGULARITY_ROOTFS" = "$HPCC_ROOTFS"
    test ! -e "$SINGULARITY_ROOTFS/opt/renamed"

%pre
    touch pre-was-here
    test -z "${SINGULARITY_ROOTFS:-}"
E2
echo one > one.txt
echo two > two.txt
echo blank > "with blank"
mkdir -p tree/sub
echo deep > tree/sub/file
chmod 700 tree/sub
ln -s ../one.txt tree/link
expect 0 'test sees post' env SECRET=x "$hpcc" bootstrap all.img all.def
expect 0 '' e2fsck -fn all.img
[ -e pre-was-here ] || fail "%pre did not run"
[ "$(find . -name '.*' ! -name . | wc -l)" = 0 ] || fail "hidden files stay: $(ls -A)"
[ ! -e all.img.log ] || fail "a log stays"
ok "every section is performed"

inside all.img /order | sed -n 1p | grep -qxE "setup: 0 /(media|srv|mnt|opt|sys/.*|proc/.*)/root-0" || fail "$(inside all.img /order)"
inside all.img /order | sed -n 2p | grep -qx 'post: -j[0-9]* C.UTF-8 noninteractive /root / 0022' || fail "$(inside all.img /order)"
if inside all.img /post-env | grep -qE 'SECRET|BOOTSTRAP|ROOTFS'; then fail "$(inside all.img /post-env)"; fi
if inside all.img /post-dev | grep -qE '^(sd|loop|kmsg|mem)'; then fail "$(inside all.img /post-dev)"; fi
has all.img /dev/shm && fail "what a script made in /dev came along"
ok "scripts see a clean environment, no standard input, a private /dev"

[ "$(inside all.img /opt/new/dir/one.txt)" = one ] || fail "%files with parents"
[ "$(inside all.img /opt/renamed)" = one ] || fail "%files to a name"
[ "$(inside all.img '"/opt/with blank"')" = blank ] || fail "%files with blanks"
[ "$(inside all.img /opt/tree/sub/file)" = deep ] || fail "%files of a directory"
[ "$(mode_of all.img /opt/tree/sub)" = 700 ] || fail "mode of a directory"
[ "$(inside all.img /opt/tree/link)" = one ] || fail "links are followed"
[ "$(inside all.img /opt/globbed/two.txt)" = two ] || fail "%files with a pattern"
ok "%files copies files, directories and patterns"

line_is all.img /.singularity.d/env/90-environment.sh 4 '    export FOO=1'
line_is all.img /.singularity.d/env/91-environment.sh 2 'export FROM_POST=1'
line_is all.img /.singularity.d/runscript 1 '#!/bin/sh'
line_is all.img /.singularity.d/startscript 1 '#!/bin/busybox sh'
line_is all.img /.singularity.d/runscript.help 1 '    how to use it'
inside all.img /.singularity.d/Singularity | cmp - all.def || fail "the definition is not kept"
for script in actions/exec actions/run actions/shell actions/start actions/test runscript test env/99-base.sh; do
    [ "$(mode_of all.img /.singularity.d/$script)" = 755 ] || fail "mode of $script"
    inside all.img "/.singularity.d/$script" > script.sh
    dash -n script.sh || fail "$script is no shell script"
done
for link in singularity environment .exec .run .shell .test; do
    debugfs -R "stat /$link" all.img 2> /dev/null | grep -q 'Type: symlink' || fail "no link /$link"
done
for dir in proc sys dev tmp var/tmp home root mnt; do has all.img "/$dir" || fail "no /$dir"; done
[ "$(mode_of all.img /tmp)$(mode_of all.img /var/tmp)" = 17771777 ] || fail "mode of /tmp"
has all.img /.hpcc-build && fail "the scripts' folder stays"
inside all.img /.singularity.d/labels.json > labels.json
[ "$(jq -r .Author labels.json)" = 'Jane "x" Doe' ] || fail "$(cat labels.json)"
[ "$(jq -r '."from.post"' labels.json)" = 'two words' ] || fail "$(cat labels.json)"
[ "$(jq -r '."org.label-schema.usage.singularity.deffile.bootstrap"' labels.json)" = busybox ] || fail "labels"
inside all.img /.singularity.d/hpcc/build.json | jq -e '.base.agent == "busybox"' > /dev/null || fail "build.json"
ok "the image has the layout that Singularity and Apptainer read"

cat > again.def <<'E2'
Bootstrap: busybox
%post
    test -e /opt/renamed
    echo again > /again
%labels
    Second yes
E2
expect 0 "keeping the system that 'all.img' holds" "$hpcc" bootstrap all.img again.def
[ "$(inside all.img /again) $(mode_of all.img /opt/renamed)" = 'again 644' ] || fail "the system was not kept"
inside all.img /.singularity.d/bootstrap_history/Singularity0 | cmp - all.def || fail "no history"
inside all.img /.singularity.d/labels.json | jq -e '.Second == "yes" and .Author' > /dev/null || fail "labels"
inside all.img /.singularity.d/hpcc/build.json | jq -e '.base.agent == "busybox"' > /dev/null || fail "facts lost"
refuse 5 'again.def:3: %post failed: exit status 1' "$hpcc" bootstrap --fresh all.img again.def
has all.img /opt/renamed || fail "a failed --fresh touched the image"
expect 0 '' "$hpcc" bootstrap --fresh --section none all.img again.def
has all.img /opt/renamed && fail "--fresh kept the system"
has all.img /again && fail "--section none performed %post"
refuse 2 "did you mean 'post'" "$hpcc" bootstrap --section pots all.img again.def
ok "an image that holds a system keeps it, --fresh starts over, --section chooses"

cp "$(readlink -f "$(command -v busybox)")" bb
cat > scratch.def <<'E2'
Bootstrap: scratch
%files
    bb /bin/busybox
%setup
    mkdir -p "$SINGULARITY_ROOTFS/bin"
    ln -s busybox "$SINGULARITY_ROOTFS/bin/sh"
%post
    /bin/busybox echo ok > /ok
%runscript -c /bin/busybox
%appinstall one
    pwd > where
%appfiles one
    one.txt
    two.txt data/two
%apprun one
    exec cat /scif/apps/one/one.txt
%appenv one
    export APP=one
%applabels one
    K v
%apphelp one
    help
%apptest one
    true
E2
expect 0 "the empty section '%runscript' is left out" "$hpcc" bootstrap scratch.img scratch.def
[ "$(inside scratch.img /ok)" = ok ] || fail "no %post in a root from scratch"
[ "$(inside scratch.img /scif/apps/one/where)" = /scif/apps/one ] || fail "%appinstall"
[ "$(inside scratch.img /scif/apps/one/one.txt)" = one ] || fail "%appfiles"
[ "$(inside scratch.img /scif/apps/one/data/two)" = two ] || fail "%appfiles below"
line_is scratch.img /scif/apps/one/scif/runscript 1 '#!/bin/sh'
inside scratch.img /scif/apps/one/scif/labels.json | jq -e '.K == "v"' > /dev/null || fail "%applabels"
for file in env/90-environment.sh runscript.help test; do
    has scratch.img /scif/apps/one/scif/$file || fail "no $file"
done
has scratch.img /.singularity.d/runscript && fail "an empty runscript was written"
ok "a root from scratch, applications"

cat > stages.def <<'E2'
Bootstrap: busybox
Stage: compile
%post
    mkdir -p /out/sub && echo built > /out/sub/prog && ln -s /out/sub/prog /out/link
    ln -s /etc/passwd /out/passwd

Bootstrap: scratch
%files from compile
    /out/sub/prog /prog
    /out/link
    /out/passwd /
E2
expect 0 '' "$hpcc" bootstrap stages.img stages.def
[ "$(inside stages.img /prog) $(inside stages.img /out/link)" = 'built built' ] || fail "stages"
inside stages.img /passwd | cmp -s - /etc/passwd && fail "a link in a stage led to the host"
has stages.img /bin/busybox && fail "the first stage came along"
ok "stages: the last is the image, %files from takes what the others made"
