#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# hpcc.yaml: what the site's file and the user's change in a run.
# shellcheck source=tests/e2e/_lib.sh
. "$(dirname "$0")/_lib.sh"
need_root
command -v busybox > /dev/null || skip 'busybox is not installed'

cd "$work"
mkdir -p root/bin root/etc root/proc root/sys root/dev root/tmp root/var/tmp conf/hpcc data
cp "$(command -v busybox)" root/bin/busybox
ln -s busybox root/bin/sh
echo host > data/f
user_says() { printf '%s\n' "$@" > conf/hpcc/hpcc.yaml; }
export XDG_CONFIG_HOME=$work/conf
inside() { # WANT SCRIPT: what a shell in the container prints
    local got
    got=$("$hpcc" exec root /bin/sh -c "$2" 2>&1) || true
    if [ "$got" != "$1" ]; then fail "'$got' instead of '$1': $2"; fi
}

user_says "bind: $work/data:/mnt2" 'environment: {drop: [LOST], keep: [PYTHONPATH], set: {ADDED: "a b"}}'
export LOST=1 PYTHONPATH=/p
# shellcheck disable=SC2016 # the container's shell expands
inside 'host []  [/p] [a b]' 'echo "$(/bin/busybox cat /mnt2/f) [$LOST]  [$PYTHONPATH] [$ADDED]"'
ok 'binds and the environment come from the user'"'"'s file'

user_says 'bnid: /x'
refuse 125 "hpcc.yaml:1: unknown key 'bnid'" "$hpcc" exec root /bin/sh -c true
grep -q "did you mean 'bind'" <<< "$out" || fail 'no correction is offered'
ok 'an unknown key is an error with a correction'

user_says 'limit: {overlay: no}'
refuse 125 "only" "$hpcc" exec root /bin/sh -c true
ok 'limits are the site'"'"'s'
rm conf/hpcc/hpcc.yaml

mkdir upper layer
with_site() { # YAML CMD…: with it as /etc/hpcc/hpcc.yaml, in a mount namespace of its own
    local yaml=$1
    shift
    # shellcheck disable=SC2016 # the inner shell expands
    unshare -m sh -ec 'mount -t overlay overlay -o "lowerdir=/etc,upperdir=$1/upper,workdir=$1/layer" /etc
        mkdir -p /etc/hpcc; printf "%s\n" "$2" > /etc/hpcc/hpcc.yaml; chmod 644 /etc/hpcc/hpcc.yaml
        shift 2; exec "$@"' sh "$work" "$yaml" "$@"
}
site='limit: {overlay: no, user-bind: no, image-dirs: [/apps]}'
refuse 125 'does not allow --overlay' with_site "$site" "$hpcc" exec --overlay "$work/data" root /bin/sh -c true
refuse 125 'does not allow --bind' with_site "$site" "$hpcc" exec -B /usr root /bin/sh -c true
refuse 125 'does not run images from' with_site "$site" "$hpcc" exec root /bin/sh -c true
expect 0 '' with_site "limit: {image-dirs: [$work]}" "$hpcc" exec root /bin/sh -c true
ok 'the site limits overlays, binds and places of images'
