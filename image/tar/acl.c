/* SPDX-License-Identifier: BSD-3-Clause */
#include "image/tar/acl.h"

#include <archive.h>
#include <endian.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

enum { ACL_ENTRIES_MAX = 500 }; /* what fits a 4 KiB block */

/* The kernel wants entries by tag, then by id. */
struct acl_entry {
    uint16_t tag, perm;
    uint32_t id;
};

static uint16_t tag_of(int tag)
{
    switch (tag) {
    case ARCHIVE_ENTRY_ACL_USER_OBJ:
        return ACL_USER_OBJ;
    case ARCHIVE_ENTRY_ACL_USER:
        return ACL_USER;
    case ARCHIVE_ENTRY_ACL_GROUP_OBJ:
        return ACL_GROUP_OBJ;
    case ARCHIVE_ENTRY_ACL_GROUP:
        return ACL_GROUP;
    case ARCHIVE_ENTRY_ACL_MASK:
        return ACL_MASK;
    case ARCHIVE_ENTRY_ACL_OTHER:
        return ACL_OTHER;
    default:
        return 0;
    }
}

static int by_tag(const void *a, const void *b)
{
    const struct acl_entry *x = a, *y = b;
    if (x->tag != y->tag)
        return x->tag < y->tag ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

static int put_xattr(struct source_node *n, const char *name, struct acl_entry *list, size_t count,
                     struct err *e)
{
    qsort(list, count, sizeof *list, by_tag);
    auto_str struct str value = { 0 };
    uint32_t version = htole32(POSIX_ACL_XATTR_VERSION);
    str_add_n(&value, &version, sizeof version);
    for (size_t i = 0; i < count; i++) {
        struct posix_acl_xattr_entry x = {
            .e_tag = htole16(list[i].tag),
            .e_perm = htole16(list[i].perm),
            .e_id = htole32(list[i].id),
        };
        str_add_n(&value, &x, sizeof x);
    }
    return source_xattr_set(n, name, value.data, value.len, e);
}

static int take_kind(struct archive_entry *entry, struct source_node *n, int kind, struct err *e)
{
    const char *name = kind == ARCHIVE_ENTRY_ACL_TYPE_ACCESS ? TAR_ACL_ACCESS : TAR_ACL_DEFAULT;
    int count = archive_entry_acl_reset(entry, kind);
    if (count <= 0 || (kind == ARCHIVE_ENTRY_ACL_TYPE_ACCESS && count <= 3))
        return 0; /* three are the mode bits again */
    if (count > ACL_ENTRIES_MAX) {
        auto_free char *path = source_path(n);
        return err_set(e, ERR_INPUT, "'%.400s' has an access list longer than 500 entries", path);
    }
    auto_free struct acl_entry *list = mem_zero((size_t)count, sizeof *list);
    size_t used = 0;
    int type, perm, tag, id;
    const char *who;
    while (used < (size_t)count &&
           archive_entry_acl_next(entry, kind, &type, &perm, &tag, &id, &who) == ARCHIVE_OK) {
        struct acl_entry *x = &list[used++];
        x->tag = tag_of(tag);
        x->perm = perm & 7;
        bool named = x->tag == ACL_USER || x->tag == ACL_GROUP;
        x->id = named ? (uint32_t)id : (uint32_t)ACL_UNDEFINED_ID;
        if (x->tag == 0 || (named && id < 0)) {
            auto_free char *path = source_path(n);
            auto_free char *shown = str_printable(path);
            err_set(e, ERR_INPUT, "'%.400s' has an access list without numeric ids", shown);
            return err_hint(e, "make the archive with 'tar --numeric-owner'");
        }
    }
    return put_xattr(n, name, list, used, e);
}

int tar_acl_take(struct archive_entry *entry, struct source_node *n, struct err *e)
{
    if (take_kind(entry, n, ARCHIVE_ENTRY_ACL_TYPE_ACCESS, e) < 0)
        return -1;
    return take_kind(entry, n, ARCHIVE_ENTRY_ACL_TYPE_DEFAULT, e);
}
