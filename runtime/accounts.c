/* SPDX-License-Identifier: BSD-3-Clause */
#include "runtime/accounts.h"

#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "jail/jail.h"

/* A field of such a file cannot hold ':' or a newline. */
static char *field_safe(const char *text)
{
    char *copy = mem_strdup(text);
    for (char *c = copy; *c; c++)
        if (*c == ':' || *c == '\n' || *c == '\r')
            *c = ' ';
    return copy;
}

static int complete(struct newroot *r, const char *path, const struct plan_op *op,
                    const struct str *text, struct err *e)
{
    const char *name = strrchr(path, '/') + 1;
    auto_spent int fd = newroot_file(r, name, text, e);
    if (fd < 0)
        return -1;
    return mounter_bind(&r->m, fd, path, op->attrs | MOUNT_FLAT, e);
}

/* The image's file, or -1 without an error when there is none that can be used. */
static int read_image_file(struct newroot *r, const char *path, struct str *text)
{
    auto_err struct err why = { 0 };
    if (fs_read_at(r->m.root_fd, path, PLAN_ACCOUNTS_MAX, text, &why) < 0) {
        log_debug("no caller's line in the container's '%s': %s", path, why.msg);
        return -1;
    }
    if (text->len && text->data[text->len - 1] != '\n')
        str_add_c(text, '\n');
    return 0;
}

int accounts_add(struct newroot *r, const struct runtime_plan *p, const struct plan_op *op,
                 struct err *e)
{
    auto_str struct str passwd = { 0 };
    auto_str struct str group = { 0 };
    bool fakeroot = p->flags & RUNTIME_FAKEROOT;
    uid_t uid = fakeroot ? 0 : p->uid;
    gid_t gid = fakeroot ? 0 : p->gid;
    if (read_image_file(r, "/etc/passwd", &passwd) == 0 &&
        !plan_accounts_have(str_text(&passwd), NULL, uid)) {
        auto_free char *gecos = field_safe(p->gecos);
        auto_free char *home = field_safe(p->home);
        struct stat st;
        bool shell =
            str_eq(p->shell, "/bin/sh") || fs_stat_at(r->m.root_fd, p->shell, true, &st) == 0;
        str_addf(&passwd, "%s:x:%u:%u:%s:%s:%s\n", p->user, uid, gid, gecos, home,
                 shell ? p->shell : "/bin/sh");
        if (complete(r, "/etc/passwd", op, &passwd, e) < 0)
            return -1;
    }
    if (p->group && read_image_file(r, "/etc/group", &group) == 0 &&
        !plan_accounts_have(str_text(&group), NULL, gid)) {
        str_addf(&group, "%s:x:%u:%s\n", p->group, gid, p->user);
        if (complete(r, "/etc/group", op, &group, e) < 0)
            return -1;
    }
    return 0;
}
