/* SPDX-License-Identifier: BSD-3-Clause */
#include <time.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "image/writer/ext_make.h"
#include "image/writer/ext_out.h"
#include "image/image.h"
#include "image/writer/writer.h"
#include "image/writer/pack_plan.h"

#define MIB (1ull << 20)

/* Files larger than this are read before the size is chosen, so that a sparse giant (lastlog, a
 * disk image) does not make a giant of the image. The rule must not look at the holes that the
 * source keeps: a copy without them has to give the same image. */
#define COUNT_ABOVE (64 * MIB)

static bool has_super(uint64_t group)
{
    for (uint64_t base = 3; base <= 7; base += 2)
        for (uint64_t power = base; power <= group; power *= base)
            if (power == group)
                return true;
    return group <= 1;
}

/* An image size for so many blocks and inodes, with room for changes. */
static uint64_t size_for(uint64_t n_blocks, uint64_t n_inodes)
{
    uint64_t data = n_blocks * EXT_BLOCK;
    uint64_t size = data + (data / 10 > 16 * MIB ? data / 10 : 16 * MIB) + 4 * MIB;
    uint64_t by_size = size / EXT_BYTES_PER_INODE;
    size += (by_size > n_inodes ? by_size : n_inodes) * EXT_INODE_BYTES;
    uint64_t groups = size / (128 * MIB) + 1;
    uint64_t reserved = groups * 8 < 1024 ? groups * 8 : 1024; /* for the resize inode to grow */
    for (uint64_t g = 0; g < groups; g++)
        size += EXT_BLOCK * (2 + (has_super(g) ? 2 + groups / 128 + reserved : 0));
    return (size + MIB - 1) / MIB * MIB;
}

static uint64_t inodes_for(const struct pack_plan *p)
{
    uint64_t n = p->n_inodes;
    return n + n / 8 + 64;
}

int pack_source_size(struct source *s, uint64_t *size_bytes, struct err *e)
{
    auto_pack_plan struct pack_plan p = { 0 };
    uint64_t n_blocks;
    if (pack_plan(s, &p, e) < 0 || pack_count(&p, COUNT_ABOVE, &n_blocks, e) < 0)
        return -1;
    *size_bytes = size_for(n_blocks, inodes_for(&p));
    return 0;
}

int image_estimate(int rootfs_fd, uint64_t *size_bytes, struct err *e)
{
    auto_source struct source *s = source_from_dir(rootfs_fd, NULL, e);
    return s ? pack_source_size(s, size_bytes, e) : -1;
}

/* One image on its way. */
struct job {
    const struct image_pack_spec *spec;
    const struct pack_from *from;
    struct pack_plan plan;
    struct pack_clamp clamp;
    struct ext_make_spec make;
    uint64_t n_blocks;
    bool grew;
};

static void job_fini(struct job *j)
{
    pack_plan_fini(&j->plan);
}

/* By the tree, and by DIGEST of its files' data once that is known. The listing is made again for it
 * rather than kept: it is as large as the plan. */
static void choose_ids(const struct job *j, const uint64_t digest[2], struct ext_ids *out)
{
    auto_str struct str key = { 0 };
    pack_listing(&j->plan, &j->clamp, &key);
    if (digest)
        str_add_n(&key, digest, 2 * sizeof *digest);
    ext_ids_from(key.data, key.len, out);
}

/* Make the empty file system, larger as long as the tree does not fit. */
static int make_to_fit(struct job *j, ext2_filsys *out, struct err *e)
{
    bool exact = false;
    for (;;) {
        auto_err struct err why = { 0 };
        auto_ext_fs ext2_filsys fs = NULL;
        if (j->make.size_bytes > IMAGE_MAX_BYTES)
            return err_set(e, ERR_INPUT, "the tree is larger than the 16 TiB of an ext3");
        if (ftruncate(j->make.fd, 0) < 0)
            return err_sys(e, "cannot write '%s'", j->make.path);
        bool small = ext_make(&j->make, &fs, &why) < 0;
        if (small && why.code != ERR_INPUT)
            return err_move(e, &why);
        uint64_t n_free = small ? 0 : ext2fs_free_blocks_count(fs->super);
        if (!small && n_free >= j->n_blocks) {
            *out = steal_ptr(fs);
            return 0;
        }
        if (!exact) { /* before asking for more, see what is only holes */
            if (pack_count(&j->plan, 0, &j->n_blocks, e) < 0)
                return -1;
            exact = true;
            continue;
        }
        uint64_t more = small ? j->make.size_bytes / 8 : (j->n_blocks - n_free) * EXT_BLOCK;
        j->make.size_bytes += (more + MIB) / MIB * MIB;
        j->grew = true;
    }
}

/* After make_to_fit: say that the image grew, or that it must not. */
static int tell_growth(const struct job *j, struct err *e)
{
    if (!j->grew || j->spec->size_bytes == 0)
        return 0;
    auto_free char *asked = str_human_size(j->spec->size_bytes);
    unsigned long long need = j->make.size_bytes / MIB;
    if (!j->spec->grow) {
        err_set(e, ERR_FAILED, "the tree does not fit into an image of %s: it needs %lluM", asked,
                need);
        return err_hint(e, "give --size %lluM or more", need);
    }
    log_info("the image grows from %s to %llu MiB to hold its content", asked, need);
    return 0;
}

static int prepare(struct job *j, int draft_fd, struct err *e)
{
    const struct image_pack_spec *spec = j->spec;
    bool tight = j->from->tight && spec->size_bytes == 0;
    if (pack_plan(j->from->source, &j->plan, e) < 0 ||
        pack_count(&j->plan, tight ? 0 : COUNT_ABOVE, &j->n_blocks, e) < 0)
        return -1;
    pack_number(&j->plan);
    j->clamp = (struct pack_clamp){ .on = spec->deterministic, .epoch = spec->epoch };
    j->make = (struct ext_make_spec){
        .fd = draft_fd,
        .path = spec->path,
        .size_bytes = (spec->size_bytes + EXT_BLOCK - 1) & ~(uint64_t)(EXT_BLOCK - 1),
        .n_inodes = inodes_for(&j->plan) + EXT2_GOOD_OLD_FIRST_INO,
        .now = spec->deterministic ? spec->epoch : time(NULL),
    };
    if (tight) { /* from here make_to_fit goes up by what is missing */
        j->make.size_bytes = j->n_blocks * EXT_BLOCK + IMAGE_MIN_BYTES;
        j->make.size_bytes += j->make.n_inodes * EXT_INODE_BYTES;
    } else if (j->make.size_bytes == 0) {
        j->make.size_bytes = size_for(j->n_blocks, j->make.n_inodes);
    }
    if (j->make.size_bytes < IMAGE_MIN_BYTES)
        return err_set(e, ERR_INPUT, "an image has at least 4 MiB");
    if (j->from->keep)
        j->make.ids = j->from->keep->ids;
    else
        choose_ids(j, NULL, &j->make.ids);
    return 0;
}

/* Make it look like the image that it will replace. */
static int take_over(const struct job *j, ext2_filsys fs, struct err *e)
{
    const struct pack_keep *keep = j->from->keep;
    memcpy(fs->super->s_volume_name, keep->label, sizeof keep->label);
    if (str_starts(keep->head, "#!") &&
        fs_pwrite_full(j->make.fd, keep->head, sizeof keep->head, 0) < 0)
        return err_sys(e, "cannot write '%s'", j->spec->path);
    return 0;
}

static int write_tree(struct job *j, ext2_filsys fs, uint64_t digest[2], struct err *e)
{
    auto_ext_out struct ext_out out;
    ext_out_init(&out, fs, j->make.fd);
    if (pack_write(&j->plan, &out, &j->clamp, digest, e) < 0)
        return -1;
    int failed = ext_out_flush(&out);
    return failed ? ext_err(e, failed, "cannot write '%s'", j->spec->path) : 0;
}

static int fill(struct job *j, ext2_filsys fs, struct err *e)
{
    uint64_t digest[2];
    if (write_tree(j, fs, digest, e) < 0)
        return -1;
    if (j->from->keep)
        return take_over(j, fs, e);
    struct ext_ids ids;
    choose_ids(j, digest, &ids);
    memcpy(fs->super->s_uuid, ids.uuid, sizeof ids.uuid);
    return 0;
}

static void count_nodes(const struct job *j, struct image_pack_report *r)
{
    const struct pack_plan *p = &j->plan;
    r->size_bytes = j->make.size_bytes;
    r->grew = j->grew && j->spec->size_bytes;
    for (uint32_t i = 0; i < p->n_nodes; i++) {
        const struct pack_node *n = &p->nodes[i];
        uint32_t mode = n->from->mode;
        r->n_dirs += S_ISDIR(mode);
        r->n_links += S_ISLNK(mode);
        r->n_files += S_ISREG(mode);
        r->n_others += !S_ISDIR(mode) && !S_ISLNK(mode) && !S_ISREG(mode);
        if (S_ISREG(mode) && n->first == i)
            r->data_bytes += pack_size(n);
    }
}

static int publish(const struct job *j, struct fs_draft *draft, struct image_pack_report *report,
                   struct err *e)
{
    const struct image_pack_spec *spec = j->spec;
    /* Safe, though root may do it in a directory of somebody else: the owner is that of the very
     * inode that gives way, read from it and not from a name; and the draft takes the name only
     * where that inode still has it, else it is dropped. So a user gets, for a file of his, another
     * one under the same name in the same directory, and never a name that was not his file's.
     * Nobody has the draft open meanwhile, and it has no setuid bit to keep. */
    if ((spec->owner_uid >= 0 || spec->owner_gid >= 0) &&
        fchown(draft->fd, (uid_t)spec->owner_uid, (gid_t)spec->owner_gid) < 0)
        return err_sys(e, "cannot give '%s' to user %d and group %d", spec->path, spec->owner_uid,
                       spec->owner_gid);
    struct stat st;
    if (fs_draft_publish(draft, spec->mode, spec->replace, e) < 0)
        return -1;
    if (!report)
        return 0;
    *report = (struct image_pack_report){ 0 };
    count_nodes(j, report);
    if (fstat(draft->fd, &st) == 0)
        report->disk_bytes = (uint64_t)st.st_blocks * 512;
    return 0;
}

int pack_source(const struct image_pack_spec *spec, const struct pack_from *from,
                struct image_pack_report *report, struct err *e)
{
    auto_place struct place own = PLACE_INIT;
    struct place *at = spec->place ? spec->place : &own;
    auto_draft struct fs_draft draft = FS_DRAFT_INIT;
    cleanup_with(job_fini) struct job j = { .spec = spec, .from = from };
    auto_ext_fs ext2_filsys fs = NULL;
    if ((at == &own && place_open(spec->path, at, e) < 0) || fs_draft_open(at, &draft, e) < 0 ||
        prepare(&j, draft.fd, e) < 0 || make_to_fit(&j, &fs, e) < 0 || tell_growth(&j, e) < 0)
        return -1;
    if (fill(&j, fs, e) < 0 || ext_fs_finish(&fs, spec->path, e) < 0)
        return -1;
    return publish(&j, &draft, report, e);
}

int image_pack(const struct image_pack_spec *spec, struct image_pack_report *report, struct err *e)
{
    auto_source struct source *s = source_from_dir(spec->rootfs_fd, NULL, e);
    return s ? pack_source(spec, &(struct pack_from){ .source = s }, report, e) : -1;
}
