/* SPDX-License-Identifier: BSD-3-Clause */
#include <endian.h>
#include <string.h>

#include "base/mem.h"
#include "image/writer/ext_out.h"
#include "image/writer/pack_plan.h"

/* Numbers for the prefixes of names, on disk (fs/ext4/xattr.h). */
enum {
    INDEX_USER = 1,
    INDEX_ACL_ACCESS = 2,
    INDEX_ACL_DEFAULT = 3,
    INDEX_TRUSTED = 4,
    INDEX_SECURITY = 6,
};

struct attr {
    const char *name; /* without its prefix */
    uint8_t index;
    uint8_t name_len;
    uint32_t size;
    uint8_t *value;
};
struct attrs {
    struct attr *list;
    size_t n;
};

static void attrs_fini(struct attrs *a)
{
    for (size_t i = 0; i < a->n; i++)
        free(a->list[i].value);
    free(a->list);
}

/* Prefixes that an ext3 knows, and their numbers on disk. */
static const struct prefix {
    const char *text;
    uint8_t index;
    bool whole; /* the name is all of it */
} prefixes[] = {
    { "user.", INDEX_USER, false },
    { "system.posix_acl_access", INDEX_ACL_ACCESS, true },
    { "system.posix_acl_default", INDEX_ACL_DEFAULT, true },
    { "trusted.", INDEX_TRUSTED, false },
    { "security.", INDEX_SECURITY, false },
};

static const struct prefix *prefix_of(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(prefixes); i++)
        if (prefixes[i].whole ? str_eq(name, prefixes[i].text) : str_starts(name, prefixes[i].text))
            return &prefixes[i];
    return NULL;
}

/* An access control list as the system call gives it (version 2, 8 bytes an entry) in the form on
 * disk (version 1; entries without a name take 4 bytes). Returns its length, 0 when it is odd. */
static uint32_t acl_to_disk(uint8_t *acl, size_t len)
{
    if (len < 4 || (len - 4) % 8 || acl[0] != 2)
        return 0;
    uint8_t *out = acl + 4;
    acl[0] = 1;
    for (const uint8_t *in = acl + 4; in < acl + len; in += 8) {
        unsigned tag = in[0] | (unsigned)in[1] << 8;
        bool named = tag == 0x02 || tag == 0x08; /* ACL_USER, ACL_GROUP */
        memmove(out, in, named ? 8 : 4);
        out += named ? 8 : 4;
    }
    return (uint32_t)(out - acl);
}

/* Add one attribute; VALUE (LEN bytes) is eaten. */
static void add_attr(struct attrs *out, const struct prefix *p, const char *name, uint8_t *value,
                     size_t len)
{
    const char *rest = name + strlen(p->text);
    struct attr a = { .name = rest,
                      .index = p->index,
                      .name_len = (uint8_t)strlen(rest),
                      .size = (uint32_t)len,
                      .value = value };
    if (p->index == INDEX_ACL_ACCESS || p->index == INDEX_ACL_DEFAULT) {
        a.size = acl_to_disk(value, len);
        if (a.size <= 4) { /* an empty access control list says nothing */
            free(value);
            return;
        }
    }
    out->list = mem_grow(out->list, out->n, sizeof *out->list);
    out->list[out->n++] = a;
}

/* In the order that the kernel wants in a block: by index, length of the name, name. */
static int attr_order(const void *va, const void *vb)
{
    const struct attr *a = va, *b = vb;
    if (a->index != b->index)
        return a->index < b->index ? -1 : 1;
    if (a->name_len != b->name_len)
        return a->name_len < b->name_len ? -1 : 1;
    return memcmp(a->name, b->name, a->name_len);
}

/* A region that entries fill from the front and values from the back. */
struct region {
    uint8_t *base; /* value offsets count from here */
    size_t first;  /* of the first entry */
    size_t entry;  /* next entry */
    size_t value;  /* start of the last value */
    bool hashed;   /* entries carry hashes: in a block, not in an inode */
};

static bool put_attr(struct region *r, const struct attr *a)
{
    size_t entry_len = EXT2_EXT_ATTR_LEN(a->name_len), value_len = EXT2_EXT_ATTR_SIZE(a->size);
    if (a->size > EXT_BLOCK || r->entry + entry_len + 4 + value_len > r->value)
        return false; /* four zero bytes end the entries */
    struct ext2_ext_attr_entry en = { .e_name_len = a->name_len,
                                      .e_name_index = a->index,
                                      .e_value_size = a->size };
    r->value -= value_len;
    memcpy(r->base + r->value, a->value, a->size);
    if (a->size)
        en.e_value_offs = (uint16_t)r->value;
    uint8_t *at = r->base + r->entry;
    memcpy(at, &en, sizeof en);
    memcpy(at + sizeof en, a->name, a->name_len);
    if (r->hashed)
        en.e_hash =
            ext2fs_ext_attr_hash_entry((struct ext2_ext_attr_entry *)at, r->base + r->value);
    en.e_value_offs = htole16(en.e_value_offs);
    en.e_value_size = htole32(en.e_value_size);
    en.e_hash = htole32(en.e_hash);
    memcpy(at, &en, sizeof en);
    r->entry += entry_len;
    return true;
}

/* The hash of the whole block, by which the kernel finds blocks to share. */
static uint32_t block_hash(const struct region *r)
{
    uint32_t hash = 0;
    for (size_t at = r->first; at < r->entry;) {
        struct ext2_ext_attr_entry en;
        memcpy(&en, r->base + at, sizeof en);
        if (en.e_hash == 0)
            return 0;
        hash = (hash << 16 | hash >> 16) ^ le32toh(en.e_hash);
        at += EXT2_EXT_ATTR_LEN(en.e_name_len);
    }
    return hash;
}

/* Lay out in the inode what fits there, the rest in a block. False: not even there. */
static bool lay_out(const struct attrs *a, struct pack_xattr *x)
{
    const uint32_t magic = htole32(EXT2_EXT_ATTR_MAGIC);
    uint8_t *block = mem_zero(1, EXT_BLOCK);
    struct region in_inode = { .base = x->in_inode + 4, .value = PACK_INODE_XATTR_BYTES - 4 };
    struct region in_block = { .base = block, .value = EXT_BLOCK, .hashed = true };
    in_block.first = in_block.entry = sizeof(struct ext2_ext_attr_header);
    x->block = block;
    for (size_t i = 0; i < a->n; i++)
        if (!put_attr(&in_inode, &a->list[i]) && !put_attr(&in_block, &a->list[i]))
            return false;
    if (in_inode.entry > 0)
        memcpy(x->in_inode, &magic, 4);
    if (in_block.entry == in_block.first) {
        free(steal_ptr(x->block));
        return true;
    }
    struct ext2_ext_attr_header head = { .h_magic = magic,
                                         .h_refcount = htole32(1),
                                         .h_blocks = htole32(1),
                                         .h_hash = htole32(block_hash(&in_block)) };
    memcpy(block, &head, sizeof head);
    return true;
}

void pack_xattr_free(struct pack_xattr *x)
{
    if (x)
        free(x->block);
    free(x);
}

int pack_xattr_take(struct pack_node *n, struct err *e)
{
    const struct source_node *f = pack_file(n);
    cleanup_with(attrs_fini) struct attrs attrs = { 0 };
    for (size_t i = 0; i < f->n_xattrs; i++) {
        const struct source_xattr *x = &f->xattrs[i];
        const struct prefix *prefix = prefix_of(x->name);
        if (prefix)
            add_attr(&attrs, prefix, x->name, mem_dup(x->value, x->len), x->len);
    }
    if (attrs.n == 0)
        return 0;
    qsort(attrs.list, attrs.n, sizeof *attrs.list, attr_order);
    n->xattr = mem_zero(1, sizeof *n->xattr);
    if (lay_out(&attrs, n->xattr))
        return 0;
    auto_free char *path = pack_path(n);
    return err_set(e, ERR_INPUT,
                   "the extended attributes of '%s' are larger than the 4 KiB of an ext3", path);
}
