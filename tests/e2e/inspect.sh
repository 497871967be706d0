#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# hpcc inspect on images and folders, good and bad.
# shellcheck source=tests/e2e/_lib.sh
. "$(dirname "$0")/_lib.sh"
cd "$work"

mkdir -p tree/.singularity.d/env
meta=tree/.singularity.d
printf '#!/bin/sh\necho "run $*"\n' > $meta/runscript
printf '#!/bin/sh\ntrue\n' > $meta/test
printf 'Bootstrap: scratch\n' > $meta/Singularity
printf 'how to use me\n' > $meta/runscript.help
printf '{"MAINTAINER": "me", "org.label-schema.schema-version": "1.0"}' > $meta/labels.json
printf 'export COLOUR=red\n' > $meta/env/90-environment.sh
printf 'common\n' > $meta/env/01-base.sh

# The same content as a file system, written by other people's tools.
"$hpcc" -q create --size 16M image.img
{
    echo 'mkdir .singularity.d'
    echo 'mkdir .singularity.d/env'
    find tree -type f -printf '%P\n' | sed "s|.*|write tree/& &|"
} | debugfs -w -f - image.img > debugfs.log 2>&1 || fail "debugfs: $(cat debugfs.log)"

for what in tree image.img; do
    expect 0 '^MAINTAINER: me$' "$hpcc" inspect "$what"
    "$hpcc" inspect --runscript "$what" | cmp - $meta/runscript || fail "runscript of $what"
    "$hpcc" inspect -d "$what" | cmp - $meta/Singularity || fail "definition of $what"
    "$hpcc" inspect -H "$what" | cmp - $meta/runscript.help || fail "help text of $what"
    "$hpcc" inspect -t "$what" | cmp - $meta/test || fail "test of $what"
    expect 0 'export COLOUR=red' "$hpcc" inspect -e "$what"
    ! grep -q common <<< "$out" || fail "scripts that all images have are shown"
    expect 0 'has no startscript' "$hpcc" inspect --startscript "$what"
    "$hpcc" inspect --json --all "$what" | jq -e '.type == "container" and
        .data.attributes.labels.MAINTAINER == "me" and .data.attributes.deffile == "Bootstrap: scratch\n" and
        .data.attributes.helpfile == "how to use me\n" and (.data.attributes | has("startscript") | not) and
        .data.attributes.environment["/.singularity.d/env/90-environment.sh"] == "export COLOUR=red\n"' \
        > /dev/null || fail "--json of $what"
    expect 0 '^how to use me$' "$hpcc" help "./$what"
    ok "$what tells all it has"
done

"$hpcc" -q create --size 8M empty.img
expect 0 'has no labels' "$hpcc" inspect empty.img
"$hpcc" inspect --json empty.img | jq -e '.data.attributes == {"labels": {}}' > /dev/null || fail "--json of an empty image"
ok "an empty image has nothing to say"

mkdir escape
ln -s "$work/secret" escape/.singularity.d
mkdir secret && echo stolen > secret/runscript
expect 0 '' "$hpcc" inspect -r escape
! grep -q stolen <<< "$out" || fail "a link led out of the folder"
ok "a link does not lead out of the folder"

printf 'not json' > $meta/labels.json
expect 0 'warning: .*labels' "$hpcc" inspect tree
ok "broken labels are a warning"

: > nothing.img
gzip -c $meta/runscript > packed.img
head -c 100000 image.img > cut.img
cp /bin/true elf.img
printf '#!/bin/sh\nexit 1\n' > script.img
head -c 65536 /dev/zero > zero.img
refuse 3 'No such file' "$hpcc" inspect missing.img
refuse 3 'is empty' "$hpcc" inspect nothing.img
refuse 3 'gzip' "$hpcc" inspect packed.img
refuse 3 'truncated' "$hpcc" inspect cut.img
refuse 3 'ELF' "$hpcc" inspect elf.img
refuse 3 'not an image' "$hpcc" inspect script.img
refuse 3 'not an image' "$hpcc" inspect zero.img
refuse 3 'neither a regular file nor a directory' "$hpcc" inspect /dev/null
mkfifo pipe
refuse 3 'neither a regular file nor a directory' timeout 10 "$hpcc" inspect pipe
ok "what is no image is named for what it is"

if [ "$(id -u)" = 0 ]; then
    need_user
    chmod 600 image.img
    refuse 1 'Permission denied' as_user "$hpcc" inspect "$work/image.img"
    chmod 644 image.img
    expect 0 'MAINTAINER' as_user "$hpcc" inspect "$work/image.img"
    ok "any user may look into what he may read"
fi
