/* SPDX-License-Identifier: BSD-3-Clause */
#include "runtime/accounts.h"

#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "jail/jail.h"

/* The third field of passwd's and group's lines is the id. */
static bool has_id(const char *line, const char *end, const char *number)
{
    size_t len = strlen(number);
    const char *field = memchr(line, ':', (size_t)(end - line));
    field = field ? memchr(field + 1, ':', (size_t)(end - field - 1)) : NULL;
    return field && strncmp(field + 1, number, len) == 0 &&
           (field[1 + len] == ':' || field + 1 + len == end);
}

char *accounts_line(const char *text, unsigned id)
{
    auto_free char *number = mem_printf("%u", id);
    for (const char *line = text; line && *line;) {
        const char *end = strchrnul(line, '\n');
        if (has_id(line, end, number))
            return mem_strndup(line, (size_t)(end - line));
        line = *end ? end + 1 : end;
    }
    return NULL;
}

bool accounts_has(const char *text, const char *name, unsigned id)
{
    auto_free char *number = mem_printf("%u", id);
    size_t name_len = name ? strlen(name) : 0;
    for (const char *line = text; line && *line;) {
        const char *end = strchrnul(line, '\n');
        if (name && strncmp(line, name, name_len) == 0 && line[name_len] == ':')
            return true;
        if (has_id(line, end, number))
            return true;
        line = *end ? end + 1 : end;
    }
    return false;
}

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
    if (fs_read_at(r->m.root_fd, path, ACCOUNTS_MAX, text, &why) < 0) {
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
        !accounts_has(str_text(&passwd), NULL, uid)) {
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
        !accounts_has(str_text(&group), NULL, gid)) {
        str_addf(&group, "%s:x:%u:%s\n", p->group, gid, p->user);
        if (complete(r, "/etc/group", op, &group, e) < 0)
            return -1;
    }
    return 0;
}
