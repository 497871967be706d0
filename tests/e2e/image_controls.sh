#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Hostile images (I01 to I35 of docs/security.md): each check of the reader is taken out of a copy of its
# source, and the test that attacks it has to fail then, by what is accepted, by what the sanitizers find or
# because it does not end. A test that passes without the check would show nothing.
# shellcheck source=tests/e2e/_lib.sh
. "$(dirname "$0")/_lib.sh"
cc=$(sed -n 's/^CMAKE_C_COMPILER:[A-Z]*=//p' "$HPCC_BINARY_DIR/CMakeCache.txt" 2> /dev/null) || true
[ -x "$cc" ] || skip "needs the build's compiler"
libs=("$HPCC_BINARY_DIR"/libhpcc-{image,jail,base}.a)
[ -f "${libs[0]}" ] || skip "needs the build tree"
command -v mke2fs > /dev/null || skip "needs mke2fs"
read -ra more <<< "$(pkg-config --libs cmocka ext2fs com_err libarchive json-c yaml-0.1 2> /dev/null)"
libs+=("${more[@]}" -lpthread)
flags=(-std=gnu17 -O0 -g -w -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -I"$HPCC_SOURCE_DIR" "-fsanitize=address,undefined"
    -fno-sanitize-recover=all)
read -ra more <<< "$(pkg-config --cflags cmocka ext2fs json-c 2> /dev/null)"
flags+=("${more[@]}")
command -v ccache > /dev/null && cc="ccache $cc"
cd "$work"
export ASAN_OPTIONS=detect_leaks=0:hard_rss_limit_mb=700 CCACHE_BASEDIR=$HPCC_SOURCE_DIR
n_controls=0

# A test program runs only the test that TEST_NAME names.
cat > only.c << 'C'
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
__attribute__((constructor)) static void choose(void)
{
    const char *name = getenv("TEST_NAME");
    if (name)
        cmocka_set_test_filter(name);
}
C
$cc "${flags[@]}" -c only.c || fail "cannot compile"

run_test() { # PROGRAM [NAME]: its output, as far as it comes
    { (ulimit -t "${limit:-20}" && exec timeout 60 env ${2:+TEST_NAME="$2"} "$1"); } > out.txt 2>&1 || true
}

# The sound test, once.
prepare() { # ROOM/TEST NAME
    local stem=${1##*/}
    if [ ! -x "$stem" ]; then
        $cc "${flags[@]}" -c "$HPCC_SOURCE_DIR/tests/$1.c" -o "$stem.o" || fail "cannot compile $1"
        $cc "${flags[@]}" "$stem.o" only.o "${libs[@]}" -o "$stem" || fail "cannot link $1"
    fi
    if [ -e "$stem.$2" ]; then return 0; fi
    run_test "./$stem" "$2"
    grep -q "\[       OK \] $2" out.txt || out=$(cat out.txt) fail "$2 does not pass as it is"
    : > "$stem.$2"
}

without() { # ID FILE FROM TO TEST NAME: the test NAME fails when FROM in FILE is TO
    local id=$1 file=$2 from=$3 to=$4 test=image/$5 name=$6 text rest stem=$5
    if [[ $test == */*/* ]]; then test=$5 stem=${5##*/}; fi
    prepare "$test" "$name"
    text=$(< "$HPCC_SOURCE_DIR/$file")
    rest=${text/"$from"/}
    if [ "$rest" = "$text" ] || [ "${rest/"$from"/}" != "$rest" ]; then fail "$id: not once in $file: $from"; fi
    printf '%s\n' "${text/"$from"/"$to"}" > "$(basename "$file")"
    $cc "${flags[@]}" -c "$(basename "$file")" -o mutant.o || fail "$id: cannot compile $file with '$to'"
    $cc "${flags[@]}" mutant.o "$stem.o" only.o "${libs[@]}" -o mutant || fail "$id: cannot link"
    run_test ./mutant "$name"
    grep -q "\[ RUN      \] $name" out.txt || out=$(cat out.txt) fail "$id: there is no test $name"
    if grep -q "\[       OK \] $name" out.txt; then fail "$id: $name passes without: $from"; fi
    n_controls=$((n_controls + 1))
    ok "$id: $name"
}

s=image/reader/super.c
t=test_reader_super
without I02 $s 'r->first_block != (r->block_bytes == 1024)' '0' $t impossible_geometry_is_refused
without I05 $s 'if (readable)' 'if (1)' $t features_that_are_not_known_are_refused_bit_by_bit
without I06 $s 'le32_at(sb, SB_LOG_BLOCK) > 2' '0' $t only_block_sizes_of_1_2_and_4_KiB_are_read
without I07 $s 'r->blocks_per_group == 0 ||' '' $t impossible_geometry_is_refused
without I07 $s 'r->inodes_per_group > per_bitmap ||' '' $t impossible_geometry_is_refused
without I08 $s 'r->n_blocks > have >> r->block_bits' '0 && have' $t a_file_cut_short_is_refused_with_its_cure
without I09 $s '!power_of_two(r->inode_bytes) || r->inode_bytes < 128' '0' $t inode_sizes_that_cannot_be_are_refused
without I10 $s 'n_groups * r->inodes_per_group != r->n_inodes' '0' $t impossible_geometry_is_refused
without I10 $s 'r->first_ino < 11 ||' '' $t impossible_geometry_is_refused
without I11 $s 'at[i] < lowest_free_block(r) ||' '' $t descriptors_that_point_astray_are_refused
without I11 $s 'sorted[g] - sorted[g - 1] < table_blocks(r)' '0' $t descriptors_that_point_astray_are_refused
without I13 $s 'le32_at(sb, SB_JOURNAL_DEV) != 0' '0' $t impossible_geometry_is_refused
without I15 image/reader/reader.c 'r->n_free_blocks < r->n_blocks ? r->n_free_blocks : r->n_blocks' 'r->n_free_blocks' $t \
    error_policy_orphans_and_mount_options_are_ignored
without I29 $s 'n_groups > READER_MAX_GROUPS' '0' $t counts_beyond_the_file_allocate_nothing

t=test_reader_hostile
i=image/reader/inode.c
without I03 $i 'out->flags & ~allowed_flags(r)' '0' $t inode_flags_without_their_feature_make_the_inode_unreadable
without I04 $i 'if (r->has_extents)' '' $t inode_flags_without_their_feature_make_the_inode_unreadable
d=test_reader_dir
limit=3 without I17 image/reader/dir.c 'rec_len < ENTRY_MIN || rec_len % 4 != 0 ||' '' $d \
    damaged_entries_are_skipped_or_end_the_directory
without I17 image/reader/dir.c "memchr(d->name, '/', name_len) ||" '' $d damaged_entries_are_skipped_or_end_the_directory
without I18 $i 'st->size >> r->block_bits > r->n_blocks' '0' $d a_large_directory_of_its_own_blocks_is_read
without I18 $i 'st->size > READER_MAX_DIR ||' '' $d a_directory_has_at_most_a_gibibyte
without I18 image/reader/claim.c '!put(c, run.phys + i) &&' '!put(c, run.phys + i) && false &&' $d \
    a_directory_holds_a_block_once
without I18 image/reader/reader.c 'reader_dir_check(r, &root) < 0' '0' $d a_root_that_is_no_sound_directory_is_refused
without I18 image/tree/reader.c 'image_read_claim(f->r, (uint32_t)dir->data, &f->claims)' '0' $d two_directories_share_no_block
without I20 image/reader/map.c '!reader_block_ok(r, node)' '0' $t maps_that_lead_astray_end_with_an_error
without I20 image/reader/map.c 'first != 0 && !reader_block_ok(r, first)' '0' $t maps_that_lead_astray_end_with_an_error
without I20 image/reader/map.c 'len > r->n_blocks - phys' '0' $t extents_are_checked_node_by_node
without I20 image/reader/map.c 'n_max > len / EXTENT_BYTES - 1' '0' $t extents_are_checked_node_by_node
without I21 $i 'st->size > reader_max_bytes(r, out->flags & FLAG_EXTENTS)' '0' $t \
    sizes_beyond_the_map_are_damage_and_holes_cost_nothing
without I22 image/reader/data.c 'size >= sizeof inode.block' '0' $t links_that_lie_about_their_length_are_refused
without I25 $i 'ino == 0 || ino > r->n_inodes' 'ino == 0' $d damaged_entries_are_skipped_or_end_the_directory
without I25 $i 'ino < r->first_ino && ino != IMAGE_ROOT_INO' '0' $d damaged_entries_are_skipped_or_end_the_directory
without I26 $i 'st->mode == 0 || st->nlink == 0' '0' $t odd_fields_of_an_inode_do_no_harm
without I27 $i '*nsec > 999999999' '0' $t odd_fields_of_an_inode_do_no_harm
without I34 image/reader/data.c 'size >= sizeof inode.block' '0' $t an_image_that_changes_under_the_reader_crashes_nothing
without I35 image/reader/data.c 'memset(to + done, 0, n);' '(void)to;' $t what_was_not_read_is_never_shown

without I14 image/reader/journal.c 'entry.block >= j->r->n_blocks || entry.journal == 0' '0' test_reader_journal \
    a_hostile_journal_is_refused_with_the_cure
without I14 image/reader/journal.c 'be32_at(sb, 36) != 0 ||' '' test_reader_journal \
    a_hostile_journal_is_refused_with_the_cure
limit=3 without I14 image/reader/journal.c 'seen > j->n_blocks' '0' test_reader_journal \
    a_log_that_runs_in_a_circle_is_refused
without I23 image/reader/xattr.c 'value_at > a->len || value_len > a->len - value_at' '0' test_reader_xattr \
    attributes_in_a_block_are_checked_field_by_field
without I23 image/reader/xattr.c 'total > a->len - at ||' '' test_reader_xattr attributes_in_a_block_are_checked_field_by_field
without I24 image/reader/xattr.c 'le16_at(in, at + 2) > 7 ||' '' test_reader_xattr \
    acls_are_given_in_the_form_of_the_system_calls_or_not_at_all
without I24 image/reader/xattr.c '(has_id && len - at < 8)' '0' test_reader_xattr \
    acls_are_given_in_the_form_of_the_system_calls_or_not_at_all
without I33 image/reader/dir.c 'if (len > NAME_MAX_BYTES)' 'if (0)' test_reader paths_follow_links_inside_the_image_only
without I30 image/probe.c '!starts(h, at + EXT_SUPER + 56, "\x53\xef", 2) ||' '' test_probe \
    what_is_no_image_is_named_with_its_cure
without I31 image/probe.c 'k <= MAX_LAUNCHERS' 'k <= 9' test_reader an_image_behind_launcher_lines_is_read_at_its_offset
without I16 image/tree/reader.c '*slot && S_ISDIR(st.mode)' '0' test_trees a_directory_with_two_names_is_damage
without I32 image/server/ops.c 'q->arg_len < ops[op].arg_len' '0' test_serve_confine \
    requests_of_any_bytes_get_an_answer_that_fits
without P09 base/str.c "*s < '0' || *s > '9'" "0" base/test_str numbers_are_digits_only_and_bounded
echo "# $n_controls checks, each missed by its test when it is away"
