/* SPDX-License-Identifier: BSD-3-Clause */
#include "image/reader/reader.h"

#include <limits.h>

/* A search for data or holes that crosses more runs than this gives up and calls the rest data,
 * which lseek(2) allows: a hostile map may hold billions of them. */
enum { SEEK_MAX_RUNS = 65536 };

ssize_t reader_inode_data(const struct image_reader *r, const struct reader_inode *inode, void *buf,
                          size_t len, uint64_t offset)
{
    if (offset >= inode->st.size)
        return 0;
    if (len > inode->st.size - offset)
        len = (size_t)(inode->st.size - offset);
    if (len > SSIZE_MAX)
        len = SSIZE_MAX;

    uint8_t *to = buf;
    for (size_t done = 0; done < len;) {
        struct reader_run run;
        size_t skip = (offset + done) & (r->block_bytes - 1);
        uint64_t want = ((len - done) + skip + r->block_bytes - 1) >> r->block_bits;
        int rc = reader_map(r, inode, (offset + done) >> r->block_bits, want, &run);
        if (rc < 0)
            return rc;
        uint64_t have = (run.n_blocks << r->block_bits) - skip;
        size_t n = have < len - done ? (size_t)have : len - done;
        if (run.phys)
            rc = reader_data(r, (run.phys << r->block_bits) + skip, to + done, n);
        else
            memset(to + done, 0, n);
        if (rc < 0)
            return rc;
        done += n;
    }
    return (ssize_t)len;
}

ssize_t image_read_data(const struct image_reader *r, uint32_t ino, void *buf, size_t len,
                        uint64_t offset)
{
    struct reader_inode inode;
    int rc = reader_inode_load(r, ino, &inode);
    if (rc < 0)
        return rc;
    if (S_ISDIR(inode.st.mode))
        return -EISDIR;
    if (!S_ISREG(inode.st.mode))
        return -EINVAL;
    return reader_inode_data(r, &inode, buf, len, offset);
}

int64_t image_read_seek(const struct image_reader *r, uint32_t ino, uint64_t offset, bool hole)
{
    struct reader_inode inode;
    int rc = reader_inode_load(r, ino, &inode);
    if (rc < 0)
        return rc;
    if (!S_ISREG(inode.st.mode))
        return -EINVAL;
    uint64_t size = inode.st.size, at = offset;
    if (offset >= size)
        return -ENXIO;

    for (unsigned i = 0; at < size; i++) {
        struct reader_run run;
        if (i == SEEK_MAX_RUNS)
            return hole ? (int64_t)size : (int64_t)at;
        rc = reader_map(r, &inode, at >> r->block_bits, UINT32_MAX, &run);
        if (rc < 0)
            return rc;
        if ((run.phys == 0) == hole)
            return (int64_t)at;
        at = ((at >> r->block_bits) + run.n_blocks) << r->block_bits;
    }
    return hole ? (int64_t)size : -ENXIO;
}

/* A link of up to 59 bytes lies in the inode itself: then it owns no blocks besides its xattrs'. */
static bool is_fast_link(const struct image_reader *r, const struct reader_inode *inode)
{
    uint64_t xattr_sectors = inode->xattr_block ? r->block_bytes >> 9 : 0;
    return inode->st.blocks == xattr_sectors;
}

ssize_t image_read_link(const struct image_reader *r, uint32_t ino, char *buf, size_t len)
{
    struct reader_inode inode;
    char target[READER_MAX_BLOCK];
    int rc = reader_inode_load(r, ino, &inode);
    if (rc < 0)
        return rc;
    if (!S_ISLNK(inode.st.mode))
        return -EINVAL;
    size_t size = (size_t)inode.st.size; /* 1…READER_MAX_LINK by reader_inode_load */
    if (is_fast_link(r, &inode)) {
        if (size >= sizeof inode.block)
            return -EUCLEAN;
        memcpy(target, inode.block, size);
    } else {
        if (size >= r->block_bytes)
            return -EUCLEAN;
        ssize_t n = reader_inode_data(r, &inode, target, size, 0);
        if (n < 0)
            return n;
    }
    if (memchr(target, '\0', size))
        return -EUCLEAN;
    if (size > len)
        return -ERANGE;
    memcpy(buf, target, size);
    return (ssize_t)size;
}
