#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Same inputs and SOURCE_DATE_EPOCH, same bytes: from a copy of the tree, in another year, for another
# user, with another umask, in another place; and two whole bootstraps.
# shellcheck source=tests/e2e/_lib.sh
. "$(dirname "$0")/_lib.sh"
command -v faketime > /dev/null || skip 'faketime is not installed'
need_user
export SOURCE_DATE_EPOCH=1700000000

in_year() { # YEAR CMD…: AddressSanitizer does not mind a library that is loaded before it
    local year=$1
    shift
    ASAN_OPTIONS=${ASAN_OPTIONS:-}:verify_asan_link_order=0 faketime -f "@$year-05-17 03:04:05" "$@"
}
same() { # FILE FILE WHAT
    cmp "$1" "$2" > /dev/null || fail "$3: the bytes differ"
    ok "$3"
}

cd "$work"
in_year 2031 "$hpcc" -q create clock.img > /dev/null
dumpe2fs -h clock.img 2> /dev/null | grep -q 'Filesystem created:.*2031' || fail 'control: hpcc sees no other year'
ok 'control: hpcc sees the other year'
mkdir -p tree/dir elsewhere/deep
head -c 300000 /dev/urandom > tree/dir/data
truncate -s 5M tree/hole
echo x > tree/b
ln tree/b tree/a
ln -s dir/data tree/link
chmod 4755 tree/b
"$hpcc" -q import a.img tree > /dev/null

cp -a tree elsewhere/deep/copy
"$hpcc" -q import b.img elsewhere/deep/copy > /dev/null
same a.img b.img 'a copy of the tree, elsewhere'
in_year 2031 "$hpcc" -q import c.img tree > /dev/null
same a.img c.img 'in another year'
(umask 077 && "$hpcc" -q import d.img tree > /dev/null)
same a.img d.img 'with another umask'
chmod 777 elsewhere
as_user "$hpcc" -q import elsewhere/e.img tree > /dev/null
same a.img elsewhere/e.img 'by another user'

printf 'Bootstrap: busybox\n%%post\n    date > /root/.keep\n    rm /root/.keep\n%%runscript\n    echo hi\n' > x.def
"$hpcc" -q bootstrap f.img x.def > /dev/null
in_year 2031 "$hpcc" -q bootstrap g.img x.def > /dev/null
same f.img g.img 'two bootstraps, years apart'
