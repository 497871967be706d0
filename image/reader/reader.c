/* SPDX-License-Identifier: BSD-3-Clause */
#include "image/reader/reader.h"

#include <stdlib.h>

#include "base/mem.h"

static int load(struct image_reader *r, struct err *e)
{
    if (reader_super_load(r, e) < 0 || reader_groups_load(r, e) < 0)
        return -1;
    if (r->needs_recovery) {
        if (reader_journal_load(r, e) < 0)
            return -1;
        reader_cache_drop(r->cache);
        if (r->n_replay && (reader_super_load(r, e) < 0 || reader_groups_load(r, e) < 0))
            return -1;
    }
    struct reader_inode root;
    /* Its blocks too, since root's kernel mount meets them without our reader. */
    if (reader_inode_load(r, IMAGE_ROOT_INO, &root) < 0 || !S_ISDIR(root.st.mode) ||
        reader_dir_check(r, &root) < 0) {
        err_set(e, ERR_INPUT, "damaged: it has no sound root directory");
        return err_hint(e, "check it with 'hpcc check'");
    }
    return 0;
}

int image_reader_open(int fd, uint64_t offset, struct image_reader **out, struct err *e)
{
    auto_image_reader struct image_reader *r = mem_zero(1, sizeof *r);
    if (offset >> 62)
        return err_set(e, ERR_INPUT, "file system offset %llu out of range",
                       (unsigned long long)offset);
    r->fd = fd;
    r->base = offset;
    r->cache = reader_cache_new();
    r->verdicts = reader_verdicts_new();
    if (load(r, e) < 0)
        return -1;
    *out = steal_ptr(r);
    return 0;
}

void image_reader_close(struct image_reader *r)
{
    if (!r)
        return;
    reader_cache_free(r->cache);
    reader_verdicts_free(r->verdicts);
    free(r->inode_tables);
    free(r->replay);
    free(r);
}

void image_read_fs_stat(const struct image_reader *r, struct image_fs_stat *out)
{
    *out = (struct image_fs_stat){
        .blocks = r->n_blocks,
        .free_blocks = r->n_free_blocks < r->n_blocks ? r->n_free_blocks : r->n_blocks,
        .inodes = r->n_inodes,
        .free_inodes = r->n_free_inodes < r->n_inodes ? r->n_free_inodes : r->n_inodes,
        .block_bytes = r->block_bytes,
    };
}
