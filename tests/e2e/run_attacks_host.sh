#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Attacks that need the host's side: other processes, swapped names, mounts that come and go, a kernel
# that refuses a protection. Where a case has no control, a line says why there can be none.
# shellcheck disable=SC2016,SC2086 # what is in single quotes is for the shell inside
# shellcheck source=tests/e2e/_attacks.sh
. "$(dirname "$0")/_attacks.sh"
mkdir -p root/par locked user
echo root > root/marker
echo secret > locked/secret
chmod 700 locked
all="nosuid nodev audit $nopriv"
user_id=$(id -u "$test_user")

# ── privilege ──
file_capabilities() {
    cp attack root/capped
    setcap cap_sys_admin+ep root/capped || return 0 # no such attribute on this file system
    make_image root capped.img
    guard P03 root EPERM "$all" 'done' exec root /attack as "$user_id" /capped mount
    guard P03 root EPERM "$all" 'done' exec capped.img /attack as "$user_id" /capped mount
    guard P03 user 'EPERM' "$all" 'done' exec root /capped mount
    # No control: of a mount of his own the kernel takes only capabilities for ids that he has.
    guard P03 user 'EPERM' '' '' exec capped.img /capped mount
    rm root/capped
}
if [ "$is_root" = yes ] && command -v setcap > /dev/null; then file_capabilities; fi
make_image root a.img

# Root runs an image by a name in a user's directory, and the user swaps it for one of his own: the
# kernel's driver may only ever see root's.
swapped_image() {
    local i got seen=''
    mkdir -p user/apps
    chown "$test_user:" user/apps
    cp a.img user/apps/x.img
    echo user > root/marker
    make_image root user/apps/y.img
    echo root > root/marker
    cp user/apps/y.img theirs.img
    chown "$test_user:" user/apps/y.img
    look() { "$@" exec -C --silent user/apps/x.img sh -c 'echo $(cat /marker) $(stat -f -c %t /marker)' 2>&1; }
    who=user
    swap_names "$work/user/apps/x.img" "$work/user/apps/y.img"
    for ((i = 0; i < tries; i++)); do
        got=$(look "$hpcc") || true
        case $got in
            'root ef53' | 'user 65735546') seen+=${got%% *} ;;
            *) out=$got fail "P06: a swapped image gives '$got'" ;;
        esac
    done
    stop_swapping
    counted "P06 (root): the kernel mounts the image that was checked, or none (seen: $seen)"
    cp --remove-destination theirs.img user/apps/x.img
    chown "$test_user:" user/apps/x.img
    control P06 'user ef53' "$(look env HPCC_TEST_OFF=trust "$controls")"
}
if [ "$is_root" = yes ]; then swapped_image; fi

# Root's hpcc from its first moment to its last, in the sight of a user.
stalked() {
    local pid
    control P13 'done' "$(as_user "$work/rival" stalk "$user_id" "$hpcc" exec a.img sleep 0.2 2>&1 | tail -n 1)"
    for options in '' -p; do
        out=$("$work/rival" stalk "$user_id" "$hpcc" exec $options a.img sleep 0.1 2>&1 | tail -n 1)
        [ "$out" = EPERM ] || fail "P13: a user reaches root's hpcc: $out"
        counted "P13 (root): no user gets hold of root's hpcc while it starts ($options)"
    done
    cp a.img u.img
    chown "$test_user:" u.img
    "$hpcc" exec u.img sh -c 'echo up; exec sleep 60' > owner.out &
    for _ in $(seq 100); do if grep -q up owner.out; then break; fi; sleep 0.05; done
    pid=$(server_of "$work/u.img" | head -n 1)
    [ -n "$pid" ] || fail "P13: no server is found"
    for what in peek exe; do
        out=$(as_user "$work/attack" $what "$pid")
        case $out in EPERM | EACCES) ;; *) fail "P13: the image's owner reaches root's server: $out" ;; esac
    done
    kill %%
    wait 2> /dev/null || true
    counted "P13 (root): nor does the image's owner of the server that runs as him"
}
if [ "$is_root" = yes ] && [ "$(cat /proc/sys/kernel/yama/ptrace_scope 2> /dev/null || echo 0)" = 0 ]; then stalked; fi

# The same 6,144 files and directories from outside and from inside: each mode, owner and group.
permissions() {
    local group=12345
    mkdir -p user/matrix
    ./rival make user/matrix "$user_id" "$(id -g "$test_user")" $group 0 || fail "P20: cannot make the files"
    as_member() {
        setpriv --reuid "$test_user" --regid "$(id -g "$test_user")" --groups $group env HOME="$work/user" "$@"
    }
    as_member ./rival look user/matrix > outside.list
    as_member "$hpcc" exec --silent -B "$work/user/matrix:/par" root /rival look /par > inside.list 2>&1
    [ "$(wc -l < outside.list)" = 6144 ] || fail "P20: $(wc -l < outside.list) entries instead of 6144"
    cmp -s outside.list inside.list || out=$(diff outside.list inside.list | head -n 5) fail "P20: inside differs"
    counted "P20 (user): 6,144 permissions are the same inside"
    ./rival look user/matrix > outside.root
    "$hpcc" exec --silent -B "$work/user/matrix:/par" root /rival look /par > inside.root 2>&1
    cmp -s outside.root inside.root || out=$(diff outside.root inside.root | head -n 5) fail "P20: inside differs"
    counted "P20 (root): 6,144 permissions are the same inside"
    if cmp -s inside.list inside.root; then fail "P20: the control sees no difference between users"; fi
    n_controls=$((n_controls + 1))
    find user/matrix -delete
}
if [ "$is_root" = yes ]; then permissions; fi

# The site's file, in a mount namespace with an /etc of its own.
with_etc() { unshare -m sh -c 'mount --bind "$0" /etc && exec "$@"' "$work/etc" "$@"; }
site_file() {
    local file=etc/hpcc/hpcc.yaml
    cp -a /etc etc
    rm -rf etc/hpcc
    mkdir -m 755 etc/hpcc
    echo 'environment: {set: {FROM_SITE: trusted}}' > $file
    chmod 644 $file
    asked() { with_etc "$hpcc" exec --silent a.img sh -c 'echo $FROM_SITE'; }
    control P15 trusted "$(asked 2>&1)"
    distrusted() { # WHAT
        refuse 125 "is not trusted|cannot read the configuration" asked
        control P15 trusted \
            "$(with_etc env HPCC_TEST_OFF=site-file "$controls" exec --silent a.img sh -c 'echo $FROM_SITE' 2>&1)"
        counted "P15 (root): a configuration is refused: $1"
    }
    chmod 664 $file && distrusted "its group may write it" && chmod 644 $file
    chown "$test_user:" $file && distrusted "it is a user's" && chown root: $file
    chmod 775 etc/hpcc && distrusted "its directory is open to a group" && chmod 755 etc/hpcc
    chown "$test_user:" etc/hpcc && distrusted "its directory is a user's" && chown root: etc/hpcc
    mv $file user/site.yaml && ln -s "$work/user/site.yaml" $file && distrusted "it is a link" && rm $file

    mkdir -p apps apps2 other
    cp a.img apps/x.img
    cp a.img apps2/x.img
    ln -s ../apps2 apps/out
    ln -s ../apps other/in
    echo "limit: {image-dirs: [$work/apps]}" > $file
    for image in apps/x.img apps2/../apps/x.img other/in/x.img; do
        control P14 inside "$(with_etc "$hpcc" exec --silent $image echo inside 2>&1)"
    done
    for image in apps2/x.img apps/../apps2/x.img apps/out/x.img; do
        refuse 125 'does not run images' with_etc "$hpcc" exec --silent $image echo inside
        control P14 inside "$(with_etc env HPCC_TEST_OFF=image-dirs "$controls" exec --silent $image echo inside 2>&1)"
        counted "P14 (root): $image does not lie below apps"
    done
    rm -rf etc
}
if [ "$is_root" = yes ]; then site_file; fi

# A protection that the kernel refuses ends the run: it is no warning. The controls: nothing refused, and
# an hpcc that does not ask for the protection starts the program in spite of the kernel.
refused_calls() {
    local call without
    control P12/R34 0 "$(me "$work/rival" deny nothing "$hpcc" exec a.img true 2>&1 && echo 0)"
    for call in seccomp-prctl no-new-privs bounding capset; do
        for image in a.img root; do
            expect 125 'hpcc: error: ' me "$work/rival" deny $call "$hpcc" exec $image echo started
        done
        if grep -q started <<< "$out"; then fail "P12/R34: the program was started without $call"; fi
        case $call in
            seccomp-prctl) without=seccomp ;;
            no-new-privs) without=$nopriv ;;
            *) without=caps ;;
        esac
        control "P12/R34 $call" started "$(me env HPCC_TEST_OFF="$without" "$work/rival" deny $call "$controls" \
            exec --silent root echo started 2>&1)"
        counted "P12, R34 ($who): without $call nothing is started"
    done
    for option in --security=apparmor:x --security=selinux:x --apparmor=x --selinux=x --join=1; do
        refuse 125 'option' me "$hpcc" exec "$option" a.img true
    done
    counted "R33 ($who): there is no label to ask for, nor another run to choose, and asking fails"
}
both refused_calls
if [ "$is_root" = yes ] && [ -f u.img ]; then
    control P12 0 "$("$work/rival" deny nothing "$hpcc" exec u.img true 2>&1 && echo 0)"
    expect 125 "become the image's owner" "$work/rival" deny setresuid "$hpcc" exec u.img echo started
    control P12 started "$(HPCC_TEST_OFF=owner "$work/rival" deny setresuid "$controls" exec --silent u.img echo started 2>&1)"
    counted "P12 (root): the image server drops its privilege or ends"
    expect 125 "become the image's owner" "$work/rival" deny setgroups "$hpcc" exec u.img echo started
    counted "P12 (root): and its groups"
fi

# ── escape ──
lost_directories() {
    local dir=$work/user/lost-$who here
    here=$(cd user && me "$hpcc" exec -B "$work/user" "$work/a.img" pwd)
    control R03 "$work/user" "$here" # where the directory can be reached, the program starts in it
    me mkdir -p "$dir"
    out=$(cd "$dir" && rmdir "$dir" && me "$hpcc" exec --no-home "$work/a.img" pwd 2>&1) || fail "R03: a deleted directory"
    grep -q 'gone or out of reach' <<< "$out" || fail "R03: no warning"
    case ${out##*$'\n'} in / | "$(getent passwd "$(me id -u)" | cut -d: -f6)") ;; *) fail "R03: pwd is wrong" ;; esac
    counted "R03 ($who): a directory that was deleted is left with a warning"
    if [ "$who" = user ]; then
        me mkdir -p "$dir/closed"
        out=$(cd "$dir/closed" && chmod 0 "$dir" && me "$hpcc" exec "$work/a.img" pwd 2>&1) || fail "R03: mode 000"
        grep -q "$dir" <<< "${out##*$'\n'}" && fail "R03: it starts in a directory that the user cannot enter"
        chmod 700 "$dir"
        counted "R03 (user): a directory out of reach is left with a warning"
    else
        mkdir -p "$dir"
        out=$(unshare -m sh -c "mount -t tmpfs x $dir; cd $dir; umount -l $dir; exec $hpcc exec $work/a.img pwd" 2>&1 < /dev/null || true)
        case ${out##*$'\n'} in /*) ;; *) fail "R03: a directory without a path" ;; esac
        counted "R03 (root): a directory without a path is left"
    fi
    rm -rf "$dir"
}
both lost_directories

# The user's own hpcc, which he may write: not so from a container that sees nothing of him.
own_binary() {
    local own=$work/bin/own-$who before
    cp "$hpcc" "$own"
    cp "$controls" "$own-controls"
    if [ "$who" = user ]; then chown "$test_user:" "$own" "$own-controls"; fi
    before=$(sha256sum < "$own")
    for options in -C '-C -f'; do
        out=$(me "$own" exec $options a.img /attack exe 1)
        case $out in EACCES | EPERM) ;; *) fail "R07: /proc/1/exe gives $out ($options)" ;; esac
    done
    out=$(me "$own" exec -C a.img sh -c 'cat /proc/1/exe > /dev/null' 2>&1) && fail "R07: it is read"
    [ "$before" = "$(sha256sum < "$own")" ] || fail "R07: hpcc itself has changed"
    counted "R07 ($who): the container does not reach the hpcc that holds it"
    # With --fakeroot: another user's capabilities do not live through exec, whatever hpcc does.
    control "R07 ($who)" 'ETXTBSY|EROFS|done' \
        "$(me env HPCC_TEST_OFF="$nopriv" "$own-controls" exec -C -f a.img /attack exe 1 2>&1 | tail -n 1)"
}
both own_binary

mkdir -p user/src user/par/sub
echo one > user/src/f
ln -s /opt user/par/link
if [ "$is_root" = yes ]; then chown -R "$test_user:" user/par user/src; fi
# A bind below another bind, whose target is exchanged with a link: it lands in the container, where the
# link leads there, or the run is refused.
swapped_target() {
    local i got bad=''
    below() {
        me "$@" exec --silent --no-mount tmp,cwd,home -B "$work/user/par:/par" -B "$work/user/src:/par/sub" root \
            sh -c 'grep -q "/user/src /" /proc/self/mountinfo && echo in || echo outside' 2>&1
    }
    swap_names "$work/user/par/sub" "$work/user/par/link"
    for ((i = 0; i < tries; i++)); do
        got=$(below "$hpcc") || got=refused
        case $got in in | refused) ;; *) bad=$got ;; esac
    done
    stop_swapping
    [ -z "$bad" ] || out=$bad fail "R12: the bind was led out"
    [ ! -e /opt/f ] || fail "R12: the host's /opt has the bind"
    if [ ! -L user/par/sub ]; then
        mv user/par/sub user/par/dir
        mv user/par/link user/par/sub
        mv user/par/dir user/par/link
    fi
    [ "$(below "$hpcc")" = in ] || fail "R12: a link is not resolved inside"
    control "R12 ($who)" outside "$(below env HPCC_TEST_OFF=in-root "$controls")"
    counted "R12 ($who): a target that is swapped for a link stays inside"
}
both swapped_target

null_device() {
    cp -a root nulls
    rm -rf nulls/dev
    mkdir -p nulls/dev/pts
    for name in null console pts/0; do ln -s /proc/sysrq-trigger nulls/dev/$name; done
    local links='[ -L /dev/console ] && [ -L /dev/pts/0 ] && echo links || echo none'
    for who in root user; do
        if [ "$who" = root ] && [ "$is_root" = no ]; then continue; fi
        guard R18 $who none '' '' exec -c --silent nulls sh -c "$links"
        control R18 links "$(me "$hpcc" exec --no-mount dev --silent nulls sh -c "$links" 2>&1)" # they are there
    done
    for who in root user; do
        guard R17 $who '1:3 character special file' '' '' exec -c --silent nulls stat -c '%t:%T %F' /dev/null
    done
    if [ -e /proc/sysrq-trigger ]; then
        guard R17 root 'EACCES' 'proc-seal tree-seal' 'done' exec --no-mount dev nulls /attack write /dev/null
        guard R17 root '1:3 character special file' proc-seal '0:0 regular.*' exec --no-mount dev nulls \
            stat -L -c '%t:%T %F' /dev/null
        guard R17 user 'EACCES|EPERM' '' '' exec --no-mount dev nulls /attack write /dev/null
    fi
}
null_device

app_names() {
    local bad
    mkdir -p root/opt/own/scif root/scif/apps
    echo 'echo led away' > root/opt/own/scif/runscript
    expect 125 "no app 'none'" me "$hpcc" run --app none a.img
    control "R24 ($who)" "hpcc: error: .*no app 'none'" "$out" # a good name passes the check
    for bad in '' . .. ../x a/b -x --help $'a\nb' 'a b' 'a;b' "$(printf 'a%.0s' $(seq 300))"; do
        refuse 125 'app' me "$hpcc" run "--app=$bad" a.img
    done
    control "R24 ($who)" 'led away' "$(off app-name run --silent --app=../../opt/own root)"
    counted "R24 ($who): names of apps are names"
}
both app_names

# An image may ask for the kernel to panic at its first error.
panic() {
    cp a.img panic.img
    tune2fs -e panic panic.img > /dev/null
    guard I12 root 'errors=remount-ro' errors 'errors=panic' exec --silent panic.img \
        sh -c 'set -- $(grep " / " /proc/mounts); grep errors= /proc/fs/ext4/${1#/dev/}/options'
}
if [ "$is_root" = yes ]; then panic; fi

# A source that its owner swaps for a link to what only root may read.
swapped_source() {
    local i
    mkdir -p user/swap/s
    ln -sfn "$work/locked" user/swap/l
    chown -R "$test_user:" user/swap
    who=user
    swap_names "$work/user/swap/s" "$work/user/swap/l"
    for ((i = 0; i < tries; i++)); do
        out=$(me "$hpcc" exec -B "$work/user/swap/s:/par" root cat /par/secret 2>&1) && fail "R25: the secret was read"
        if grep -q '^secret' <<< "$out"; then fail "R25: the secret was read"; fi
    done
    stop_swapping
    counted "R25 (user): a swapped source gives no more than the user has"
    control R25 secret "$("$hpcc" exec -B "$work/locked:/par" root cat /par/secret 2>&1)" # who may, reads it
}
if [ "$is_root" = yes ]; then swapped_source; fi

# There is no control: a run makes no tree on the host, so it has none to remove, and no code that could.
left_links() {
    local before wd=$work/user/wd-$who
    me mkdir -p "$wd/tmp" "$wd/var_tmp" "$work/user/victim-$who/sub"
    me touch "$work/user/victim-$who/sub/f"
    before=$(listing "$work/user/victim-$who" "$work/locked")
    me "$hpcc" exec -C -W "$wd" -S /scratch -B "$work/user/victim-$who:/par" root sh -c '
        for d in /tmp /var/tmp /scratch; do
            ln -s / $d/root; ln -s /par $d/par; ln -s '"$work"'/user/victim-'"$who"' $d/v
            mkdir $d/deep; ln -s ../../.. $d/deep/up
        done' > left.out 2>&1 || out=$(cat left.out) fail "R26: the payload failed"
    me "$hpcc" exec --writable-tmpfs root sh -c 'ln -s / /var/x; rm -rf /usr' > /dev/null 2>&1 || true
    [ "$before" = "$(listing "$work/user/victim-$who" "$work/locked")" ] || fail "R26: something was deleted"
    me rm -rf "$wd"
    counted "R26 ($who): links that a program leaves behind lead to no deletion"
}
both left_links

# What the host mounts during a run appears inside; what the container mounts does not appear outside.
propagation() {
    local i
    mkdir -p prop
    mount -t tmpfs prop prop
    mount --make-shared prop
    prop_away() { umount -R "$work/prop" 2> /dev/null || true; }
    cleanup_hooks+=(prop_away)
    mkdir -p prop/late prop/own
    # an ordinary user's: into root's container nothing comes later, see run_attacks_root.sh
    as_user "$hpcc" exec --silent -B "$work/prop:/par" root sh -c 'echo up; i=0
        while [ ! -e /par/late/f ] && [ $((i += 1)) -lt 100 ]; do sleep 0.05; done; cat /par/late/f' > prop.out 2>&1 &
    for i in $(seq 100); do if grep -q up prop.out; then break; fi; sleep 0.05; done
    mount -t tmpfs late prop/late
    echo seen > prop/late/f
    wait $!
    out=$(cat prop.out)
    grep -q seen <<< "$out" || fail "R28: the host's mount does not appear inside"
    n_controls=$((n_controls + 1)) # the two places are of one peer group
    out=$(HPCC_TEST_OFF="$all" "$controls" exec -B "$work/prop:/par" root \
        sh -c 'mount -t tmpfs inner /par/own && grep -c " /par/own " /proc/self/mountinfo' 2>&1 | tail -n 1)
    control R28 1 "$out" # even with all defences off, when the mount itself succeeds
    if grep -q " $work/prop/own " /proc/self/mountinfo; then fail "R28: the container's mount is on the host"; fi
    prop_away
    counted "R28 (root): mounts pass into the container, never out of it"
    # The same in a namespace of its own, which an hpcc that does not cut the propagation fills with mounts.
    seen() {
        unshare -m sh -c 'mount --make-rshared / && "$@" > /dev/null 2>&1; grep -cE " - (tmpfs|ext4|fuse) hpcc" /proc/self/mountinfo' \
            sh "$@"
    }
    out=$(seen "$hpcc" exec root true) || true
    [ "$out" = 0 ] || fail "R27: the run's mounts are seen outside"
    control R27 '[1-9][0-9]*' "$(HPCC_TEST_OFF=propagation seen "$controls" exec root true)"
    counted "R27, R28 (root): a run's mounts are its own"
}
if [ "$is_root" = yes ]; then propagation; fi

# The image's /proc: the kernel's lies over it wherever it leads inside, or nothing is started.
image_proc() {
    local kind want
    for kind in link file full; do
        cp -a root procs
        rmdir procs/proc
        want='9fa0|.*not a directory.*'
        case $kind in
            link) mkdir procs/opt/fake && ln -s /opt/fake procs/proc ;;
            file) : > procs/proc ;;
            full) mkdir -p procs/proc/self/attr && : > procs/proc/self/attr/exec ;;
        esac
        out=$(me "$hpcc" exec --silent procs stat -L -f -c %t /proc 2>&1 | head -n 1) || true
        grep -qE "^($want)\$" <<< "$out" || fail "R14: /proc is a $kind: $out"
        out=$(me "$hpcc" exec --silent --no-mount proc procs stat -L -f -c %t /proc 2>&1 | head -n 1) || true
        if [ "$out" = 9fa0 ]; then fail "R14: the control sees a real /proc too"; fi
        n_controls=$((n_controls + 1))
        counted "R14 ($who): /proc of the image is a $kind"
        rm -rf procs
    done
}
both image_proc

# What lies over /proc is not asked, and not believed: descriptors of the real one were opened before.
fake_proc() {
    local fake=$work/user/proc-$who
    me mkdir -p "$fake/self/attr" "$fake/sys"
    for file in uid_map gid_map setgroups attr/exec mountinfo status; do me touch "$fake/self/$file"; done
    for options in '' --writable-tmpfs; do
        out=$(me "$hpcc" exec --silent --no-home $options -B "$fake:/proc" a.img sh -c 'echo $(id -u) $(ls /proc)') ||
            fail "R33: a bind over /proc ($options)"
        [ "$out" = "$(me id -u) self sys" ] || fail "R33: $out"
        out=$(me "$hpcc" exec --silent --no-home $options -B "$fake:/proc" a.img /attack mount)
        [ "$out" = EPERM ] || fail "R33: under a fake /proc a mount gives $out"
    done
    [ -z "$(find "$fake" -type f -size +0)" ] || fail "R33: a setting was written into a fake /proc"
    if [ "$who" = root ]; then # a user has no capability to keep: exec takes it away
        control R33 'done' "$(HPCC_TEST_OFF="$nopriv" "$controls" exec --silent -B "$fake:/proc" a.img /attack mount)"
    fi
    counted "R33 ($who): a fake /proc gets no setting and weakens none"
}
both fake_proc

# Everybody may make a namespace in which he is root: over what the container shows he is not.
nested() {
    local script='mount -t tmpfs x /par && echo new-mount
        mount -o remount,bind,rw /ro 2> /dev/null && echo writable
        touch /ro/made 2> /dev/null && echo written
        umount /proc 2> /dev/null && echo uncovered
        umount /sys 2> /dev/null && echo uncovered
        mknod /par/null c 1 3 2> /dev/null && : < /par/null && echo device
        cat '"$work"'/locked/secret 2> /dev/null
        echo end'
    mkdir -p root/ro
    out=$(me "$hpcc" exec --silent -B "$work/user/src:/ro:ro" root unshare -U -r -m sh -c "$script" 2>&1 | tr '\n' ' ')
    if [ "$is_root" = no ]; then out=${out/secret /}; fi # which is one's own
    [ "$out" = 'new-mount end ' ] || fail "R39: in a namespace of one's own: $out"
    n_controls=$((n_controls + 1)) # new-mount: there is a namespace, and one can mount in it
    [ ! -e user/src/made ] || fail "R39: a read-only bind was written"
    counted "R39 ($who): a namespace of one's own gives nothing that was not one's own"
}
who=user
nested
echo "# $n_cases cases, $n_controls with a control"
