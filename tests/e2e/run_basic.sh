#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# hpcc run, exec, shell, test: what every user relies on, as root and as an ordinary user, from an
# image file and from a directory.
# shellcheck disable=SC2016 # what is in single quotes is for the shell inside
# shellcheck source=tests/e2e/_lib.sh
. "$(dirname "$0")/_lib.sh"
# shellcheck source=tests/e2e/_root.sh
. "$(dirname "$0")/_root.sh"
need_user
cd "$work"
make_root root
make_image root a.img
before=$(sha256sum a.img)

arguments() {
    for i in a.img root; do
        expect 0 '' me "$hpcc" run $i 'a b' "it's" $'two\nlines' '$HOME' '' '*' '-x' '--' '"'
        [ "$out" = $'args 9\n<a b>\n<it\'s>\n<two\nlines>\n<$HOME>\n<>\n<*>\n<-x>\n<-->\n<">' ] ||
            fail "$who: arguments of run were changed"
        expect 0 '' me "$hpcc" exec $i echo 'a  b' '$(id)' ';' -n
        [ "$out" = 'a  b $(id) ; -n' ] || fail "$who: arguments of exec were changed"
    done
    ok "$who: arguments arrive byte for byte"
}
both arguments

statuses() {
    for i in a.img root; do
        expect 0 '' me "$hpcc" exec $i true
        expect 1 '' me "$hpcc" exec $i false
        expect 42 '' me "$hpcc" exec $i sh -c 'exit 42'
        expect 137 '' me "$hpcc" exec $i sh -c 'kill -9 $$'
        expect 143 '' me "$hpcc" exec $i sh -c 'kill -15 $$'
        expect 127 'not found' me "$hpcc" exec $i no-such-program
        expect 126 '' me "$hpcc" exec $i /etc/passwd
        expect 3 testing me "$hpcc" test $i
    done
    head -c 100000 a.img > short.img
    chmod 644 short.img
    refuse 125 'truncated: the file system has' me "$hpcc" exec short.img true
    refuse 125 'no such file|No such file' me "$hpcc" exec gone.img true
    refuse 125 'cannot bind' me "$hpcc" exec -B /no/such/thing a.img true
    refuse 125 'option' me "$hpcc" exec --no-such-option a.img true
    ok "$who: the exit status is the program's, and 125 is ours"
}
both statuses

identity() {
    expect 0 '' me "$hpcc" exec a.img id -u
    [ "$out" = "$(me id -u)" ] || fail "$who: uid is $out"
    expect 0 '' me "$hpcc" exec a.img id -g
    [ "$out" = "$(me id -g)" ] || fail "$who: gid is $out"
    expect 0 "^$(me id -un)\$" me "$hpcc" exec a.img id -un
    ok "$who: the same user inside as outside, with a name"
}
both identity

read_only() {
    for i in a.img root; do
        expect 1 'Read-only' me "$hpcc" exec $i touch /x
        expect 1 'Read-only' me "$hpcc" exec $i touch /home/x
        expect 1 'Read-only' me "$hpcc" exec -B "$work/user:/opt/b/c" $i touch /opt/b/x
    done
    [ "$(sha256sum a.img)" = "$before" ] || fail "$who: the image was changed"
    ok "$who: the image and the underlay are read-only"
}
both read_only

host_files() {
    echo shared > "$work/user/file"
    expect 0 '^shared$' me sh -c "cd $work/user && exec '$hpcc' exec $work/a.img cat file"
    expect 0 "^$work/user\$" me sh -c "cd $work/user && exec '$hpcc' exec $work/a.img pwd"
    expect 0 '' me "$hpcc" exec a.img touch "$work/user/made-$who"
    [ "$(stat -c %u "$work/user/made-$who")" = "$(me id -u)" ] || fail "$who: wrong owner"
    expect 0 nameserver me "$hpcc" exec a.img cat /etc/resolv.conf
    ok "$who: the host's files, working directory and names are there"
}
# The host's local time is bound over the image's link, not over the zone that it leads to.
local_time() {
    [ -f /etc/localtime ] || return 0
    make_root zone
    mkdir -p zone/usr/share/zoneinfo
    echo "the zone UTC" > zone/usr/share/zoneinfo/UTC
    ln -s /usr/share/zoneinfo/UTC zone/etc/localtime
    make_image zone zone.img
    for image in zone zone.img; do
        expect 0 '^the zone UTC$' me "$hpcc" exec $image cat /usr/share/zoneinfo/UTC
        expect 0 '' me "$hpcc" exec $image sh -c '! grep -q "the zone" /etc/localtime'
    done
    rm -rf zone zone.img
    ok "$who: the local time of the host, without changing a zone"
}
both local_time

host_files_checked() { if grep -q nameserver /etc/resolv.conf 2> /dev/null; then both host_files; fi; }
host_files_checked

binds() {
    mkdir -p "$work/user/src/sub"
    echo one > "$work/user/src/f"
    chmod -R a+rwX "$work/user/src"
    expect 0 '^one$' me "$hpcc" exec -B "$work/user/src:/data" a.img cat /data/f
    expect 0 '^one$' me "$hpcc" exec -B "$work/user/src:/opt/deep/er" a.img cat /opt/deep/er/f
    expect 0 '^one$' me "$hpcc" exec -B "$work/user/src/f:/etc/new.conf" a.img cat /etc/new.conf
    expect 0 '^one$' me "$hpcc" exec -B "$work/user/src:/a,$work/user/src:/b:ro" a.img cat /b/f
    expect 1 'Read-only' me "$hpcc" exec -B "$work/user/src:/data:ro" a.img touch /data/x
    expect 0 '' me "$hpcc" exec -B "$work/user/src:/data:rw" a.img touch /data/x
    expect 0 '^one$' me "$hpcc" exec --mount "type=bind,src=$work/user/src,dst=/m,ro" a.img cat /m/f
    expect 0 '^one$' me env SINGULARITY_BIND="$work/user/src:/v" "$hpcc" exec a.img cat /v/f
    expect 0 '^root:' me "$hpcc" exec -B "$work/user/src/f:/etc/new.conf" a.img cat /etc/passwd
    ok "$who: binds to places that the image lacks"
}
both binds

environment() {
    expect 0 '^image$' me "$hpcc" exec a.img sh -c 'echo $FROM_IMAGE'
    expect 0 '^mine$' me "$hpcc" exec --env BOTH=mine a.img sh -c 'echo $BOTH'
    expect 0 '^x y$' me env SINGULARITYENV_GREETING='x y' "$hpcc" exec a.img sh -c 'echo "$GREETING"'
    expect 0 '^b$' me env SINGULARITYENV_Q=a APPTAINERENV_Q=b "$hpcc" exec a.img sh -c 'echo $Q'
    expect 0 '^a.img /.*/a.img exec$' me "$hpcc" exec a.img \
        sh -c 'echo $SINGULARITY_NAME $SINGULARITY_CONTAINER $APPTAINER_COMMAND'
    expect 0 '^-kept-$' me env LD_PRELOAD= PYTHONPATH=/x KEEP=kept "$hpcc" exec a.img \
        sh -c 'echo "$LD_PRELOAD-$KEEP-$PYTHONPATH"'
    expect 0 '^--$' me env KEEP=kept "$hpcc" exec -e a.img sh -c 'echo "-$KEEP-"'
    expect 0 '^/pre:.*:/post$' me env SINGULARITYENV_PREPEND_PATH=/pre SINGULARITYENV_APPEND_PATH=/post \
        "$hpcc" exec a.img sh -c 'echo $PATH'
    expect 0 '' me env -i "$hpcc" exec a.img true
    ok "$who: the environment"
}
both environment

places() {
    expect 0 '^/opt$' me "$hpcc" exec --pwd /opt a.img pwd
    refuse 125 "cannot enter '/nowhere'" me "$hpcc" exec --pwd /nowhere a.img pwd
    mkdir -p "$work/user/gone"
    expect 0 'current directory is gone' me sh -c "cd $work/user/gone && rmdir ../gone && \
        exec '$hpcc' exec $work/a.img pwd"
    expect 0 "'/boot' is not in the container|^/boot\$" me sh -c "cd /boot && '$hpcc' exec $work/a.img pwd"
    ok "$who: where it starts"
}
both places

stdio() {
    expect 0 '^hello$' me sh -c "echo hello | '$hpcc' exec a.img cat"
    expect 0 '' me sh -c "'$hpcc' exec a.img true <&- >&- 2>&-"
    expect 0 '^3$' me sh -c "printf 'a\nb\nc\n' | '$hpcc' exec a.img wc -l"
    me sh -c "'$hpcc' exec a.img sh -c 'echo out; echo err >&2' > $work/user/o-$who 2> $work/user/e-$who"
    if [ "$(cat "user/o-$who")" != out ] || [ "$(cat "user/e-$who")" != err ]; then fail "$who: streams are mixed"; fi
    ok "$who: stdin, stdout and stderr are the caller's"
}
both stdio

shells() {
    expect 0 '^in a shell$' me "$hpcc" shell a.img -c 'echo in a shell'
    expect 0 '^hpcc a.img> $' me "$hpcc" shell a.img -c 'echo "$PS1"'
    expect 0 '^/bin/busybox sh$' me "$hpcc" shell --shell /bin/sh a.img -c 'echo /bin/busybox sh'
    ok "$who: shell"
}
both shells

cp a.img exec.img
{ printf '#!/usr/bin/env run-hpcc\n'; } | dd of=exec.img conv=notrunc status=none
chmod 755 exec.img
direct() {
    expect 0 '^<x>$' me env PATH="$(dirname "$hpcc"):$PATH" ./exec.img x
    ok "$who: an image is a program"
}
both direct

old() {
    make_root old
    rm -rf old/.singularity.d
    # shellcheck disable=SC2016
    printf '#!/bin/sh\necho "old $1"\n' > old/singularity
    echo 'export OLD_STYLE=yes' > old/environment
    chmod 755 old/singularity
    expect 0 '^old way$' me "$hpcc" run old way
    expect 0 '^yes$' me "$hpcc" exec old sh -c 'echo $OLD_STYLE'
    rm old/singularity
    expect 0 'no runscript' me "$hpcc" run old -c true
    rm -rf old
    ok "$who: images of Singularity 2.2 and before"
}
both old

# hpcc reads plain environment scripts itself; what the image's shell would make of them is the same.
plain_environment() {
    local controls=$HPCC_BINARY_DIR/tests/hpcc-controls own shell
    if ! me test -x "$controls"; then return 0; fi
    make_root plain
    # shellcheck disable=SC2016
    {
        printf '#!/bin/sh\nexport A=1 B="two words" PATH=/opt/bin:$PATH\nC=${A:+set}; export C\n'
        printf 'if [ -n "${NONE:-}" ]; then\n    echo never\nfi\nLD_LIBRARY_PATH=${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}/libs\n'
        printf 'export LD_LIBRARY_PATH\nunset USER\n'
    } > plain/.singularity.d/env/95-more.sh
    printf 'echo "no line says what runs me: $1"\n' > plain/bin/script
    chmod 755 plain/bin/script
    for words in "" "--env APPEND_PATH=/end --env X=a=b" "--env PREPEND_LD_LIBRARY_PATH=/first"; do
        # shellcheck disable=SC2086
        own=$(me "$hpcc" exec $words plain env | grep -vE '^(SHLVL|_)=' | sort)
        # shellcheck disable=SC2086
        shell=$(me env HPCC_TEST_OFF=plain-env "$controls" exec $words plain env |
            grep -vE '^(SHLVL|_|HPCC_TEST_OFF)=' | sort)
        [ "$own" = "$shell" ] || fail "$who: the environment differs: $(diff <(echo "$own") <(echo "$shell"))"
    done
    # The directory for the host's libraries is searched only while something is in it.
    mkdir -p plain/.singularity.d/libs
    # shellcheck disable=SC2016
    echo 'LD_LIBRARY_PATH=${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}/.singularity.d/libs' > plain/.singularity.d/env/99-base.sh
    expect 0 '^LD_LIBRARY_PATH=/libs$' me "$hpcc" exec plain env
    touch plain/.singularity.d/libs/libx.so
    expect 0 '^LD_LIBRARY_PATH=/libs:/.singularity.d/libs$' me "$hpcc" exec plain env
    expect 0 'what runs me: x' me "$hpcc" exec plain script x
    # shellcheck disable=SC2016
    echo 'export D=$(echo computed)' >> plain/.singularity.d/env/95-more.sh
    expect 0 '^D=computed$' me "$hpcc" exec plain env
    rm -rf plain
    ok "$who: the environment is what a shell makes it"
}
both plain_environment

# Callers that have less than others: each runs an image and a directory, and finds itself inside.
odd_callers() {
    local i id gone=$work/user/odd-$who
    id=$(me id -u)
    for i in "$work/a.img" "$work/root"; do
        expect 0 "^$id\$" me env - PATH="$PATH" "$hpcc" exec "$i" id -u
        expect 0 '^args 0$' me env - PATH="$PATH" "$hpcc" run "$i"
        expect 0 "^$id\$" me setpriv --no-new-privs "$hpcc" exec "$i" id -u
        expect 0 "^$id\$" me setpriv --no-new-privs env - PATH="$PATH" "$hpcc" exec -f -c "$i" sh -c "id -u | grep -qx 0 && echo $id"
        expect 1 '^not a tty$' me setsid -w "$hpcc" exec "$i" tty
        expect 0 '^in a shell$' me setsid -w "$hpcc" shell "$i" -c 'echo in a shell'
        # A closed stdin stays no file of ours: the program reads nothing.
        expect 0 '^0$' me sh -c "exec <&-; exec '$hpcc' exec $i wc -c"
        expect 0 '^out$' me sh -c "exec <&-; exec '$hpcc' exec $i sh -c 'echo out'"
        me mkdir "$gone"
        expect 0 'current directory is gone' me sh -c "cd $gone && rmdir $gone && exec '$hpcc' exec $i true"
        me mkdir "$gone"
        expect 0 '' me sh -c "cd $gone && rmdir $gone && exec <&- && exec env - PATH='$PATH' setsid -w \
            setpriv --no-new-privs '$hpcc' exec --silent $i true"
    done
    ok "$who: an empty environment, no new privileges, no terminal, no stdin, no directory"
}
both odd_callers

# Without an entry in passwd(5): a uid that nobody knows, and a root whose entry is gone.
nameless() {
    local i
    mkdir nameless
    cp -a /etc nameless/etc
    sed -i '/^root:/d' nameless/etc/passwd
    for i in "$work/a.img" "$work/root"; do
        expect 0 '^20001$' setpriv --reuid 20001 --regid 20001 --clear-groups "$hpcc" exec "$i" id -u
        expect 0 '^args 1$' env -i setpriv --reuid 20001 --regid 20001 --clear-groups "$hpcc" run "$i" x
        expect 0 '^0$' unshare -m sh -c 'mount --bind "$0" /etc && exec "$@"' "$work/nameless/etc" "$hpcc" exec "$i" id -u
        expect 0 '' unshare -m sh -c 'mount --bind "$0" /etc && exec env - "$@"' "$work/nameless/etc" "$hpcc" exec "$i" true
    done
    rm -r nameless
    ok "users without a passwd entry"
}
if [ "$(id -u)" = 0 ]; then nameless; fi
[ "$(sha256sum a.img)" = "$before" ] || fail "the image was changed"
