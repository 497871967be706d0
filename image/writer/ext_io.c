/* SPDX-License-Identifier: BSD-3-Clause */
#include "image/writer/writer.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "base/mem.h"

struct state {
    int fd;
    int failed; /* errno of the first write that failed */
};

struct ext_io_name ext_io_name(int fd)
{
    struct ext_io_name n;
    snprintf(n.text, sizeof n.text, "%d", fd);
    return n;
}

int ext_is_zero(const void *data, size_t len)
{
    const unsigned char *p = data;
    /* A buffer whose first 16 bytes are zero and which equals itself 16 bytes on is all zero;
     * memcmp is the fastest loop there is. */
    size_t head = len < 16 ? len : 16;
    for (size_t i = 0; i < head; i++)
        if (p[i])
            return 0;
    return len <= 16 || memcmp(p, p + 16, len - 16) == 0;
}

static errcode_t io_open(const char *name, int flags, io_channel *out)
{
    (void)flags;
    uint64_t fd;
    if (str_parse_u64(name, INT32_MAX, &fd) < 0)
        return EBADF;
    struct state *s = mem_zero(1, sizeof *s);
    s->fd = (int)fd;
    struct struct_io_channel *ch = mem_zero(1, sizeof *ch);
    ch->magic = EXT2_ET_MAGIC_IO_CHANNEL;
    ch->manager = ext_io_manager;
    ch->name = mem_strdup(name);
    ch->block_size = 1024;
    ch->refcount = 1;
    ch->private_data = s;
    *out = ch;
    return 0;
}

static errcode_t io_close(io_channel ch)
{
    if (--ch->refcount > 0)
        return 0;
    free(ch->private_data);
    free(ch->name);
    free(ch);
    return 0;
}

static errcode_t io_set_blksize(io_channel ch, int size)
{
    ch->block_size = size;
    return 0;
}

/* libext2fs gives a count of blocks, or of bytes when it is negative. */
static size_t io_bytes(io_channel ch, int count)
{
    return count < 0 ? (size_t)-count : (size_t)count * (size_t)ch->block_size;
}

static errcode_t io_read64(io_channel ch, unsigned long long block, int count, void *data)
{
    struct state *s = ch->private_data;
    size_t want = io_bytes(ch, count);
    ssize_t got = fs_pread_full(s->fd, data, want, block * (uint64_t)ch->block_size);
    if (got < 0)
        return errno;
    return (size_t)got == want ? 0 : EXT2_ET_SHORT_READ;
}

static errcode_t io_read(io_channel ch, unsigned long block, int count, void *data)
{
    return io_read64(ch, block, count, data);
}

static bool is_hole(int fd, uint64_t offset, size_t len)
{
    off_t data = lseek(fd, (off_t)offset, SEEK_DATA);
    if (data < 0)
        return errno == ENXIO; /* no data up to the end; else holes cannot be asked for here */
    return (uint64_t)data >= offset + len;
}

static errcode_t io_write64(io_channel ch, unsigned long long block, int count, const void *data)
{
    struct state *s = ch->private_data;
    size_t len = io_bytes(ch, count);
    uint64_t offset = block * (uint64_t)ch->block_size;
    if (s->failed)
        return s->failed;
    if (ext_is_zero(data, len) && is_hole(s->fd, offset, len))
        return 0;
    if (fs_pwrite_full(s->fd, data, len, offset) < 0)
        s->failed = errno ? errno : EIO;
    return s->failed;
}

static errcode_t io_write(io_channel ch, unsigned long block, int count, const void *data)
{
    return io_write64(ch, block, count, data);
}

static errcode_t io_flush(io_channel ch)
{
    (void)ch; /* whoever publishes the file syncs it once */
    return 0;
}

static errcode_t io_zeroout(io_channel ch, unsigned long long block, unsigned long long count)
{
    struct state *s = ch->private_data;
    off_t offset = (off_t)(block * (uint64_t)ch->block_size);
    off_t len = (off_t)(count * (uint64_t)ch->block_size);
    if (s->failed)
        return s->failed;
    if (is_hole(s->fd, (uint64_t)offset, (size_t)len))
        return 0;
    if (fallocate(s->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, len) == 0)
        return 0;
    static const unsigned char zeros[EXT_BLOCK];
    for (off_t at = 0; at < len && !s->failed; at += EXT_BLOCK) {
        size_t n = len - at < EXT_BLOCK ? (size_t)(len - at) : EXT_BLOCK;
        if (fs_pwrite_full(s->fd, zeros, n, (uint64_t)(offset + at)) < 0)
            s->failed = errno ? errno : EIO;
    }
    return s->failed;
}

/* write_byte stays empty: libext2fs then writes the superblock whole, at byte 1024, and our #! line
 * before it is never touched. */
static struct struct_io_manager manager = {
    .magic = EXT2_ET_MAGIC_IO_MANAGER,
    .name = "hpcc descriptor",
    .open = io_open,
    .close = io_close,
    .set_blksize = io_set_blksize,
    .read_blk = io_read,
    .write_blk = io_write,
    .flush = io_flush,
    .read_blk64 = io_read64,
    .write_blk64 = io_write64,
    .zeroout = io_zeroout,
};
const io_manager ext_io_manager = &manager; /* not const below: libext2fs wants it so, and only
                                               reads */

int ext_io_failed(ext2_filsys fs)
{
    const struct state *s = fs->io->private_data;
    return s->failed;
}

int ext_err(struct err *e, errcode_t rc, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    auto_free char *text = mem_vprintf(fmt, ap);
    va_end(ap);
    if (rc > 0 && rc < 4096) {
        errno = (int)rc;
        return err_sys(e, "%s", text);
    }
    initialize_ext2_error_table();
    return err_set(e, ERR_FAILED, "%s: %s", text, error_message(rc));
}

int ext_fs_finish(ext2_filsys *take, const char *path, struct err *e)
{
    errcode_t rc = ext2fs_flush2(*take, EXT2_FLAG_FLUSH_NO_SYNC);
    if (!rc)
        rc = ext_io_failed(*take);
    ext2fs_free(steal_ptr(*take));
    return rc ? ext_err(e, rc, "cannot write '%s'", path) : 0;
}
