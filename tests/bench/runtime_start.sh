#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# How long an empty run takes (`true`), as root and as an ordinary user, side by side with
# bubblewrap, Charliecloud and podman; 64 starts, 16 at once; system calls and processes of one
# start, with those of helpers and servers.
# shellcheck source=tests/bench/_lib.sh
. "$(dirname "$0")/_lib.sh"
rounds=${BENCH_ROUNDS:-40}
user=${HPCC_TEST_USER:-hpcc-test}
need bwrap=bubblewrap ch-run=charliecloud podman=podman runc=runc strace=strace mke2fs=e2fsprogs \
    mksquashfs=squashfs-tools setpriv=util-linux python3=python3
id "$user" > /dev/null 2>&1 || { echo "needs a user '$user', or another one in HPCC_TEST_USER" >&2; exit 77; }
make_images

scratch=$(mktemp -d /tmp/hpcc-bench-XXXXXX)
chmod 755 "$scratch"
mkdir -p "$scratch"/{root,user}/mnt
chown -R "$user" "$scratch/user"
alive=

# Becomes a command as root or user, outside of every tree that is measured.
become() { # WHO COMMAND…
    local change=() home=/root name=root
    if [ "$1" = user ]; then
        change=(setpriv --reuid "$user" --regid "$user" --init-groups)
        home=$(getent passwd "$user" | cut -d: -f6)
        name=$user
    fi
    shift
    cd /
    exec ${change[@]+"${change[@]}"} env -u XDG_RUNTIME_DIR USER="$name" HOME="$home" "$@"
}

as() { (become "$@"); }

# podman with images, state and settings of its own.
podman_words() { # WHO
    echo "env HOME=$scratch/$1 podman --root $scratch/$1/store --runroot $scratch/$1/run --storage-driver overlay"
}

finish() {
    [ -z "$alive" ] || kill "$alive" 2> /dev/null || true
    for who in root user; do
        # shellcheck disable=SC2046 # words
        {
            as $who $(podman_words $who) rmi -af
            as $who $(podman_words $who) system migrate # ends the process that stays
            [ $who = root ] || as $who $(podman_words $who) unshare rm -rf "$scratch/user/store"
            as $who $(podman_words $who) system migrate
        } > /dev/null 2>&1 || true
    done
    umount "$scratch"/root/store/overlay 2> /dev/null || true
    rm -rf --one-file-system "$scratch"
}
trap finish EXIT

# podman as one more case, in the plainest way that works here; a record when none does.
add_podman() { # WHO
    local words why common="run --rm --network host" limits="--ulimit nofile=1024:1024 --ulimit nproc=1024:1024"
    words=$(podman_words "$1")
    # shellcheck disable=SC2086 # words
    if ! tar -C "$work/tree" --exclude=./big -cf - . | as "$1" $words import - bench > "$scratch/podman" 2>&1; then
        record skip start "$1" podman "import: $(tail -n 1 "$scratch/podman")"
        return
    fi
    for try in "$words $common" "$words $common $limits" "$words --runtime runc $common $limits"; do
        # shellcheck disable=SC2086 # words
        if why=$(as "$1" $try bench true 2>&1 > /dev/null); then
            record fact podman "$1" podman "${try#"$words "}"
            printf 'podman\t%s bench true\n' "$try" >> "$scratch/cases"
            return
        fi
    done
    record skip start "$1" podman "$(tail -n 1 <<< "$why")"
}

make_cases() { # WHO
    printf '%s\t%s\n' \
        'bwrap, directory' "bwrap --ro-bind $work/tree / true" \
        'ch-run, directory' "ch-run $work/tree -- true" \
        'ch-run, squashfs' "ch-run -m $scratch/$1/mnt $work/squashfs -- true" \
        'hpcc, directory' "$hpcc exec $work/tree true" \
        'hpcc, ext3 image' "$hpcc exec $work/image true" \
        'hpcc, ext3 image in use' "$hpcc exec $work/image-in-use true" \
        'hpcc, squashfs image' "$hpcc exec $work/squashfs true" > "$scratch/cases"
    add_podman "$1"
}

turns() { # WHO KIND ROUNDS…
    local who=$1 kind=$2
    shift 2
    as "$who" python3 "$top/tests/bench/turns.py" "$@" < "$scratch/cases" |
        while IFS=$'\t' read -r name value why; do
            if [ "$value" = failed ]; then
                record skip "$kind" "$who" "$name" "$why"
            else
                record "$kind" ms "$who" "$name" "$value"
            fi
        done
}

# System calls and new processes of one start, with those of its helpers and servers.
counts() { # WHO
    local name words change=()
    [ "$1" = root ] || change=(-u "$user")
    while IFS=$'\t' read -r name words; do
        # shellcheck disable=SC2086 # words
        as root timeout 60 strace -f -qq ${change[@]+"${change[@]}"} -o "$scratch/trace" $words \
            > /dev/null 2>&1 || continue
        record count calls "$1" "$name" "$(grep -cE '^[0-9]+ +[a-z0-9_]+\(' "$scratch/trace")"
        record count forks "$1" "$name" \
            "$(grep -E '(clone|clone3|fork|vfork)\(' "$scratch/trace" | grep -vc CLONE_THREAD || true)"
    done < "$scratch/cases"
}

[ -s "$work/image-in-use" ] || cp --sparse=always "$work/image" "$work/image-in-use"
for who in root user; do
    make_cases $who
    become $who "$hpcc" exec "$work/image-in-use" sleep 100000 &
    alive=$!
    priority -20
    turns $who start "$rounds"
    turns $who many $(((rounds + 9) / 10)) 64 16
    priority 0
    counts $who
    kill "$alive"
    wait "$alive" 2> /dev/null || true
    alive=
done
