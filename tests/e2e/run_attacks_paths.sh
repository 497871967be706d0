#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Attacks by paths: images that are none or change all the time, links of an image that lead to the host.
# Every path inside a root is resolved in one place, so the switch `in-root` is the control of most: with
# it off, what a plain open would do is done, and the same link leads out.
# shellcheck disable=SC2016,SC2086 # what is in single quotes is for the shell inside
# shellcheck source=tests/e2e/_attacks.sh
. "$(dirname "$0")/_attacks.sh"
echo one > root/marker
make_image root a.img
mkdir -p into user/src
chmod 777 into
echo one > user/src/f
plain=(--silent --no-mount "tmp,cwd,home")
ln -s / root/opt/up
ln -s ../../../../../../.. root/opt/dots
ln -s /proc/self/fd/6 root/escape
where='grep -q "/user/src /" /proc/self/mountinfo && echo in || echo outside'

start_dir() {
    refuse 125 "outside the container" me "$hpcc" exec "${plain[@]}" --pwd /escape root ls -d home 6< /
    control "R04 ($who)" home "$(off inside exec "${plain[@]}" --pwd /escape root ls -d home 6< /)"
    for dir in /opt/up$work/into /opt/dots$work/into; do
        refuse 125 "cannot enter" me "$hpcc" exec "${plain[@]}" --pwd $dir root pwd
    done
    control "R04 ($who)" / "$(me "$hpcc" exec "${plain[@]}" --pwd /opt/up root pwd 2>&1)" # links within the image are followed
    counted "R04 ($who): --pwd does not lead out by a link of the image"
}
both start_dir

# ── what is run ──
special_files() {
    local file
    mkfifo -m 666 fifo
    ./rival listen hpcc-e2e-kind > listen.out &
    for file in /dev/null /dev/zero fifo /proc/self/status /proc/kcore /dev/loop0 /dev/tty; do
        if [ -e "$file" ]; then refuse 125 '' me timeout 10 "$hpcc" exec "$file" true; fi
    done
    kill %%
    wait 2> /dev/null || true
    expect 127 'No such' me timeout 10 "$hpcc" exec into /bin/true
    control "R06 ($who)" 124 "$(me env HPCC_TEST_OFF=image-kind timeout 1 "$controls" exec fifo true > /dev/null 2>&1 || echo $?)"
    rm -f fifo
    counted "R06 ($who): what is no image is refused, and nothing hangs"
}
both special_files

# The image's name is another thing at every moment. What runs is one of the images, whole, or nothing.
swapped_image() {
    local i got dir=$work/user/swap-$who seen='' rc
    mkdir "$dir"
    cp a.img "$dir/sw"
    echo two > root/marker
    make_image root "$dir/other"
    echo one > root/marker
    cp -a root "$dir/dir"
    echo three > "$dir/dir/marker"
    ln -s /dev/null "$dir/link"
    mkfifo -m 666 "$dir/fifo"
    chown -R "$(me id -u)" "$dir"
    swap_names "$dir/sw" "$dir/other" "$dir/dir" "$dir/link" "$dir/fifo"
    all_seen() { [[ $seen == *one* && $seen == *two* && $seen == *three* && $seen == *refused* ]]; }
    for ((i = 0; i < tries || i < 1000; i++)); do
        if [ "$i" -ge "$tries" ] && all_seen; then break; fi
        got=$(me timeout 10 "$hpcc" exec "${plain[@]}" "$dir/sw" cat /marker 2> err.txt) && rc=0 || rc=$?
        case $rc:$got in
            0:one | 0:two | 0:three) seen+=" $got" ;;
            125:) seen+=" refused" ;;
            *) out=$(cat err.txt) fail "R05: status $rc and '$got' while the image is swapped" ;;
        esac
    done
    for ((i = 0; i < tries * 4; i++)); do
        got=$(me timeout 10 "$hpcc" exec --dry-run "$dir/sw" cat /marker 2> err.txt) && rc=0 || rc=$?
        case $rc in
            0 | 125) ;;
            *) out=$(cat err.txt) fail "R05: status $rc while the image is swapped" ;;
        esac
    done
    all_seen || fail "R05: not all was met: $seen"
    for ((i = 0; i < 50; i++)); do
        got=$(me env HPCC_TEST_OFF=image-kind timeout 1 "$controls" exec --dry-run "$dir/sw" true > /dev/null 2>&1 || echo $?)
        if [ "$got" = 124 ]; then break; fi
    done
    stop_swapping
    control "R05 ($who)" 124 "$got" # the pipe is waited for
    rm -rf "$dir"
    counted "R05 ($who): an image that is swapped all the time is run or refused, $((tries * 5)) times"
}
both swapped_image

# ── where a bind goes ──
destinations() {
    local before after dst
    before=$(listing /opt into)
    for dst in "/opt/up$work/into" "/opt/dots$work/into"; do
        guard "R10, R11" "$who" in in-root outside exec "${plain[@]}" -B "$work/user/src:$dst" root sh -c "$where"
        guard "R10, R11" "$who" one in-root '.*' exec "${plain[@]}" -B "$work/user/src:$dst" root cat "$work/into/f"
    done
    refuse 125 "there is no '/proc/self/root" me "$hpcc" exec "${plain[@]}" -B "$work/user/src:/proc/self/root$work/into" root true
    control "R13 ($who)" outside "$(off in-root exec "${plain[@]}" -B "$work/user/src:/proc/self/root$work/into" root sh -c "$where")"
    refuse 125 "there is no '/proc/self/cwd" me "$hpcc" exec "${plain[@]}" -B "$work/user/src:/proc/self/cwd" root true
    counted "R13 ($who): a target behind a magic link is refused"
    for dst in "/$(printf 'a%.0s' $(seq 300))" "/$(printf 'b/%.0s' $(seq 3000))" /; do
        refuse 125 '' me timeout 20 "$hpcc" exec "${plain[@]}" -B "$work/user/src:$dst" root true
    done
    for dst in $'/new\nline' /../../../x /opt/up/../../x /opt/up/opt/up/y// /a/./b; do
        guard R11 "$who" in '' '' exec "${plain[@]}" -B "$work/user/src:$dst" root sh -c "$where"
    done
    refuse 125 'unknown option|--bind' me "$hpcc" exec "${plain[@]}" -B "$work/user/src:/a:b:c" root true
    refuse 125 'absolute' me "$hpcc" exec "${plain[@]}" -B "$work/user/src:relative" root true
    after=$(listing /opt into)
    [ "$before" = "$after" ] || fail "R11: the host was changed by a bind's target"
    counted "R10, R11, R13 ($who): nothing on the host has changed"
}
both destinations

# ── what is made in a root ──
hostile_root() {
    local victim=$work/user/victim host options
    make_root hostile
    rm -rf hostile/dev hostile/etc/resolv.conf hostile/etc/passwd hostile/etc/group hostile/sys
    mkdir -p "$victim/dev"
    for name in passwd group resolv.conf; do echo "host's" > "$victim/$name"; done
    chmod 777 "$victim/dev"
    chmod 666 "$victim"/[gpr]*
    ln -s "$victim/passwd" hostile/etc/passwd
    ln -s "../../../../../../..$victim/group" hostile/etc/group
    ln -s "$victim/resolv.conf" hostile/etc/resolv.conf
    ln -s "$victim/dev" hostile/dev
    ln -s "$victim" hostile/sys
    make_image hostile hostile.img
    host=$(listing "$victim")
    for image in hostile hostile.img; do
        for options in --silent -c -C --writable-tmpfs; do
            me timeout 20 "$hpcc" exec $options --no-home $image true > /dev/null 2>&1 || true
        done
    done
    [ "$host" = "$(listing "$victim")" ] || out=$(listing "$victim") fail "R15, R16: the host was changed"
    # What a mount needs is made behind the link: in the container, without the defence on the host.
    for link in dev sys; do
        ln -sfn / hostile/$link
        chown -hR "$(me id -u):$(me id -g)" hostile
        refuse 125 "cannot mount on '/$link'" me "$hpcc" exec hostile true
        bind=(--silent --no-home --no-mount "tmp,cwd,dev,sys" --writable-tmpfs -B "$work/user/src:/$link$work/into/made")
        guard R15/R16 "$who" one '' '' exec "${bind[@]}" hostile cat "/$link$work/into/made/f"
        [ ! -e into/made ] || fail "R15/R16: /$link led out"
        off in-root exec "${bind[@]}" hostile true > /dev/null
        control "R15/R16 ($who)" yes "$([ -d into/made ] && echo yes)"
        rm -r into/made
        ln -sfn "$victim" hostile/$link
    done
    rm -rf hostile hostile.img
    counted "R15, R16 ($who): links at /dev, /sys and in /etc of an image stay inside"
}
both hostile_root
