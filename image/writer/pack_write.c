/* SPDX-License-Identifier: BSD-3-Clause */
#include <endian.h>
#include <string.h>

#include "base/mem.h"
#include "base/progress.h"
#include "image/writer/ext_make.h"
#include "image/writer/ext_out.h"
#include "image/writer/pack_dir.h"
#include "image/writer/pack_plan.h"

struct writer {
    struct pack_plan *p;
    struct ext_out *out;
    const struct pack_clamp *clamp;
    uint64_t lanes[4]; /* digest of the data */
    uint64_t done, reported, total;
};

/* All 256 bytes of an inode. */
union raw_inode {
    struct ext2_inode_large in;
    uint8_t bytes[EXT_INODE_BYTES];
};
_Static_assert(sizeof(struct ext2_inode_large) + PACK_INODE_XATTR_BYTES == EXT_INODE_BYTES,
               "attributes begin where the fields end");

static int64_t time_of(const struct pack_node *n, const struct pack_clamp *clamp, uint32_t *ns)
{
    bool late = clamp->on && pack_file(n)->mtime >= clamp->epoch;
    const int64_t first = INT32_MIN, last = ((int64_t)3 << 32) + INT32_MAX;
    int64_t t = late ? clamp->epoch : pack_file(n)->mtime;
    *ns = late ? 0 : pack_file(n)->mtime_nsec;
    return t < first ? first : t > last ? last : t;
}

/* One time for all: an image knows when a file was written, and what reading it or changing its
 * owner on the way did would differ from one copy of the tree to the next. */
static void set_times(const struct writer *w, const struct pack_node *n,
                      struct ext2_inode_large *in)
{
    uint32_t ns;
    int64_t t = time_of(n, w->clamp, &ns);
    uint32_t extra = ns << 2 | ((uint64_t)(t - (int32_t)t) >> 32 & 3);
    in->i_atime = in->i_ctime = in->i_mtime = in->i_crtime = (uint32_t)t;
    in->i_atime_extra = in->i_ctime_extra = in->i_mtime_extra = in->i_crtime_extra = extra;
}

static void fill_inode(const struct writer *w, const struct pack_node *n, union raw_inode *raw)
{
    struct ext2_inode_large *in = &raw->in;
    const struct source_node *f = pack_file(n);
    *raw = (union raw_inode){ 0 };
    in->i_mode = (uint16_t)f->mode;
    in->i_uid = (uint16_t)f->uid;
    in->i_gid = (uint16_t)f->gid;
    in->osd2.linux2.l_i_uid_high = (uint16_t)(f->uid >> 16);
    in->osd2.linux2.l_i_gid_high = (uint16_t)(f->gid >> 16);
    in->i_links_count = (uint16_t)n->n_links;
    in->i_extra_isize = sizeof *in - EXT2_GOOD_OLD_INODE_SIZE;
    set_times(w, n, in);
}

/* Add size, block map and attributes, and write the inode. */
static void put_inode(struct writer *w, const struct pack_node *n, union raw_inode *raw,
                      const struct ext_map *map)
{
    uint64_t n_blocks = map ? map->n_blocks : 0;
    if (map)
        memcpy(raw->in.i_block, map->i_block, sizeof map->i_block);
    if (n->xattr && n->xattr->block) {
        uint64_t block = ext_out_alloc(w->out);
        if (block)
            memcpy(ext_out_room(w->out, block), n->xattr->block, EXT_BLOCK);
        raw->in.i_file_acl = (uint32_t)block;
        n_blocks++;
    }
    raw->in.i_blocks = (uint32_t)(n_blocks * (EXT_BLOCK / 512));
#if __BYTE_ORDER == __BIG_ENDIAN
    struct ext2_inode_large host = raw->in;
    ext2fs_swap_inode_full(w->out->fs, &raw->in, &host, 1, sizeof host);
#endif
    if (n->xattr)
        memcpy(raw->bytes + sizeof raw->in, n->xattr->in_inode, PACK_INODE_XATTR_BYTES);
    ext_out_inode(w->out, n->ino, raw);
    ext2fs_inode_alloc_stats2(w->out->fs, n->ino, +1, S_ISDIR(n->from->mode));
}

static uint8_t entry_type(uint32_t mode)
{
    switch (mode & S_IFMT) {
    case S_IFREG:
        return EXT2_FT_REG_FILE;
    case S_IFDIR:
        return EXT2_FT_DIR;
    case S_IFCHR:
        return EXT2_FT_CHRDEV;
    case S_IFBLK:
        return EXT2_FT_BLKDEV;
    case S_IFIFO:
        return EXT2_FT_FIFO;
    case S_IFSOCK:
        return EXT2_FT_SOCK;
    case S_IFLNK:
        return EXT2_FT_SYMLINK;
    default:
        return EXT2_FT_UNKNOWN;
    }
}

/* The entries of directory DIR, in the order of names; N of them. */
static struct pack_entry *list_entries(const struct pack_plan *p, uint32_t dir, size_t *n)
{
    const struct pack_dir *d = &p->dirs[dir];
    struct pack_entry *list = mem_zero(d->n + 1, sizeof *list);
    bool add = dir == 0 && !p->lost_found;
    *n = 0;
    for (uint32_t i = d->first; i < d->first + d->n; i++) {
        const struct pack_node *node = &p->nodes[i];
        const char *name = pack_name(node);
        if (add && strcmp(name, "lost+found") > 0) {
            list[(*n)++] = (struct pack_entry){
                .name = "lost+found", .len = 10, .ino = PACK_LOST_FOUND_INO, .type = EXT2_FT_DIR
            };
            add = false;
        }
        list[(*n)++] = (struct pack_entry){ .name = name,
                                            .len = (uint8_t)strlen(name),
                                            .ino = p->nodes[node->first].ino,
                                            .type = entry_type(node->from->mode) };
    }
    if (add)
        list[(*n)++] = (struct pack_entry){
            .name = "lost+found", .len = 10, .ino = PACK_LOST_FOUND_INO, .type = EXT2_FT_DIR
        };
    return list;
}

static void put_dir(struct writer *w, const struct pack_node *n, const struct pack_dir_spec *spec)
{
    struct pack_dir_blocks blocks;
    pack_dir_blocks(spec, &blocks);
    auto_ext_map struct ext_map map;
    ext_map_init(&map, w->out);
    for (size_t i = 0; i < blocks.n; i++) {
        uint64_t block = ext_map_add(&map, i);
        if (block == 0)
            break;
        memcpy(ext_out_room(w->out, block), blocks.data + i * EXT_BLOCK, EXT_BLOCK);
    }
    ext_map_finish(&map);
    free(blocks.data);
    union raw_inode raw;
    fill_inode(w, n, &raw);
    raw.in.i_size = (uint32_t)(blocks.n * EXT_BLOCK);
    raw.in.i_flags = blocks.indexed ? EXT2_INDEX_FL : 0;
    put_inode(w, n, &raw, &map);
}

static void write_dir(struct writer *w, uint32_t dir)
{
    const struct pack_plan *p = w->p;
    const struct pack_dir *d = &p->dirs[dir];
    const struct pack_node *n = &p->nodes[d->node];
    size_t count;
    auto_free struct pack_entry *entries = list_entries(p, dir, &count);
    bool lost_found = p->lost_found && d->node == p->lost_found;
    const struct pack_dir_spec spec = { .ino = n->ino,
                                        .parent_ino = p->nodes[p->dirs[d->parent].node].ino,
                                        .entries = entries,
                                        .n = count,
                                        .seed = w->out->fs->super->s_hash_seed,
                                        .min_blocks = lost_found ? PACK_LOST_FOUND_BLOCKS : 0 };
    put_dir(w, n, &spec);
}

/* As mke2fs makes it: 0700, root's, four blocks. */
static void add_lost_found(struct writer *w)
{
    struct source_node like = *w->p->source->root;
    like.mode = S_IFDIR | 0700;
    like.uid = like.gid = 0;
    const struct pack_node n = { .from = &like, .ino = PACK_LOST_FOUND_INO, .n_links = 2 };
    const struct pack_dir_spec spec = { .ino = PACK_LOST_FOUND_INO,
                                        .parent_ino = EXT2_ROOT_INO,
                                        .seed = w->out->fs->super->s_hash_seed,
                                        .min_blocks = PACK_LOST_FOUND_BLOCKS };
    put_dir(w, &n, &spec);
}

/* Mix one block of data into the digest: four independent lanes of multiply and rotate, at memory
 * speed. It makes the UUID differ when the content does, and guards against nothing. */
static void digest_block(struct writer *w, uint64_t lblk, const uint8_t *data)
{
    w->lanes[0] ^= lblk;
    for (size_t at = 0; at < EXT_BLOCK; at += 32) {
        for (size_t i = 0; i < 4; i++) {
            uint64_t word;
            memcpy(&word, data + at + 8 * i, 8);
            uint64_t x = (w->lanes[i] ^ le64toh(word)) * 0x9e3779b97f4a7c15ull;
            w->lanes[i] = x << 29 | x >> 35;
        }
    }
    w->lanes[0] += w->lanes[3];
}

struct file_in_hand {
    struct writer *w;
    struct ext_map *map;
};

static void put_block(void *ctx, uint64_t lblk, const uint8_t *data)
{
    const struct file_in_hand *f = ctx;
    uint64_t block = ext_map_add(f->map, lblk);
    if (block == 0)
        return; /* the writer's `failed` tells */
    memcpy(ext_out_room(f->w->out, block), data, EXT_BLOCK);
    digest_block(f->w, lblk, data);
}

static int write_file(struct writer *w, const struct pack_node *n, struct err *e)
{
    auto_ext_map struct ext_map map;
    ext_map_init(&map, w->out);
    struct file_in_hand f = { .w = w, .map = &map };
    const struct pack_reader to = { .block = put_block, .ctx = &f };
    if (pack_file_read(w->p, n, &to, e) < 0)
        return -1;
    ext_map_finish(&map);
    union raw_inode raw;
    fill_inode(w, n, &raw);
    uint64_t size = pack_size(n);
    raw.in.i_size = (uint32_t)size;
    raw.in.i_size_high = (uint32_t)(size >> 32);
    put_inode(w, n, &raw, &map);
    return 0;
}

static void write_link(struct writer *w, const struct pack_node *n)
{
    const char *target = pack_file(n)->target;
    const size_t len = strlen(target);
    auto_ext_map struct ext_map map;
    ext_map_init(&map, w->out);
    union raw_inode raw;
    fill_inode(w, n, &raw);
    raw.in.i_size = (uint32_t)len;
    if (len > PACK_MAX_FAST_LINK) {
        uint64_t block = ext_map_add(&map, 0);
        uint8_t *room = block ? ext_out_room(w->out, block) : NULL;
        if (room) {
            memset(room, 0, EXT_BLOCK);
            memcpy(room, target, len);
        }
        put_inode(w, n, &raw, &map);
    } else {
        memcpy(raw.in.i_block, target, len);
        put_inode(w, n, &raw, NULL);
    }
}

static void write_special(struct writer *w, const struct pack_node *n)
{
    union raw_inode raw;
    fill_inode(w, n, &raw);
    const struct source_node *f = pack_file(n);
    if (S_ISCHR(f->mode) || S_ISBLK(f->mode)) {
        uint32_t ma = f->rdev_major, mi = f->rdev_minor;
        if (ma < 256 && mi < 256)
            raw.in.i_block[0] = ma << 8 | mi;
        else
            raw.in.i_block[1] = (mi & 0xff) | ma << 8 | (mi & ~0xffu) << 12;
    }
    put_inode(w, n, &raw, NULL);
}

static void report(struct writer *w, bool finished)
{
    if (!finished && w->done - w->reported < 8u << 20)
        return;
    w->reported = w->done;
    progress_report(&(struct progress_event){ .stage = "pack",
                                              .unit = PROGRESS_BYTES,
                                              .done = w->done,
                                              .total = w->total,
                                              .finished = finished });
}

static int write_node(struct writer *w, const struct pack_node *n, struct err *e)
{
    if (S_ISREG(n->from->mode)) {
        w->done += pack_size(n);
        return write_file(w, n, e);
    }
    if (S_ISLNK(n->from->mode))
        write_link(w, n);
    else
        write_special(w, n);
    return 0;
}

/* Directories first: a walk then reads one stretch of the disk. */
static int write_all(struct writer *w, struct err *e)
{
    const struct pack_plan *p = w->p;
    write_dir(w, 0);
    if (!p->lost_found)
        add_lost_found(w);
    else
        write_dir(w, p->nodes[p->lost_found].dir);
    for (uint32_t d = 1; d < p->n_dirs; d++)
        if (!p->lost_found || p->dirs[d].node != p->lost_found)
            write_dir(w, d);
    for (uint32_t d = 0; d < p->n_dirs; d++) {
        for (uint32_t i = p->dirs[d].first; i < p->dirs[d].first + p->dirs[d].n; i++) {
            const struct pack_node *n = &p->nodes[i];
            if (S_ISDIR(n->from->mode) || n->first != i)
                continue;
            if (w->out->failed)
                return 0;
            if (write_node(w, n, e) < 0)
                return -1;
            report(w, false);
        }
    }
    return 0;
}

int pack_write(struct pack_plan *p, struct ext_out *out, const struct pack_clamp *clamp,
               uint64_t digest[2], struct err *e)
{
    struct writer w = { .p = p, .out = out, .clamp = clamp };
    for (size_t i = 0; i < p->n_nodes; i++)
        if (p->nodes[i].first == i)
            w.total += pack_size(&p->nodes[i]);
    if (write_all(&w, e) < 0)
        return -1;
    report(&w, true);
    free(steal_ptr(p->data));
    digest[0] = w.lanes[0] ^ w.lanes[2];
    digest[1] = w.lanes[1] ^ w.lanes[3];
    return 0;
}

void pack_listing(const struct pack_plan *p, const struct pack_clamp *clamp, struct str *out)
{
    for (size_t i = 0; i < p->n_nodes; i++) {
        const struct pack_node *n = &p->nodes[i];
        const struct source_node *f = pack_file(n);
        const char *name = i ? pack_name(n) : ".";
        uint32_t ns;
        int64_t t = time_of(n, clamp, &ns);
        const uint64_t words[] = { n->parent,     n->first,      f->mode,      f->uid,      f->gid,
                                   f->rdev_major, f->rdev_minor, pack_size(n), (uint64_t)t, ns };
        for (size_t k = 0; k < ARRAY_LEN(words); k++) {
            uint64_t le = htole64(words[k]);
            str_add_n(out, &le, sizeof le);
        }
        str_add_n(out, name, strlen(name) + 1);
        if (f->target)
            str_add(out, f->target);
        if (n->xattr)
            str_add_n(out, n->xattr->in_inode, sizeof n->xattr->in_inode);
        if (n->xattr && n->xattr->block)
            str_add_n(out, n->xattr->block, EXT_BLOCK);
    }
}
