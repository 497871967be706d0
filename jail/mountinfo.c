/* SPDX-License-Identifier: BSD-3-Clause */
#include "jail/jail.h"

#include <fcntl.h>
#include <sys/mount.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/str.h"

enum { MAX_MOUNTINFO = 64 << 20 };

/* "\040" and the like, in place. */
static void unescape(char *s)
{
    char *out = s;
    while (*s) {
        if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] >= '0' && s[2] <= '7' &&
            s[3] >= '0' && s[3] <= '7') {
            *out++ = (char)((s[1] - '0') * 64 + (s[2] - '0') * 8 + (s[3] - '0'));
            s += 4;
        } else {
            *out++ = *s++;
        }
    }
    *out = 0;
}

static unsigned long flags_of(char *options)
{
    static const struct {
        const char *name;
        unsigned long flag;
    } known[] = {
        { "ro", MS_RDONLY },         { "nosuid", MS_NOSUID },   { "nodev", MS_NODEV },
        { "noexec", MS_NOEXEC },     { "noatime", MS_NOATIME }, { "nodiratime", MS_NODIRATIME },
        { "relatime", MS_RELATIME },
    };
    unsigned long flags = 0;
    char *save = NULL;
    for (char *word = strtok_r(options, ",", &save); word; word = strtok_r(NULL, ",", &save))
        for (size_t i = 0; i < ARRAY_LEN(known); i++)
            if (str_eq(word, known[i].name))
                flags |= known[i].flag;
    return flags;
}

int mountinfo_line(char *line, struct mountinfo *out)
{
    /* id parent major:minor root point options [tags…] - type source super */
    char *tail = strstr(line, " - ");
    if (!tail)
        return -1;
    *tail = 0;
    tail += 3;
    char *save = NULL;
    char *field[6];
    for (size_t i = 0; i < ARRAY_LEN(field); i++) {
        field[i] = strtok_r(i ? NULL : line, " ", &save);
        if (!field[i])
            return -1;
    }
    if (str_parse_u64(field[0], UINT64_MAX, &out->id) < 0 ||
        str_parse_u64(field[1], UINT64_MAX, &out->parent) < 0)
        return -1;
    out->follows = false;
    for (char *tag; (tag = strtok_r(NULL, " ", &save));)
        out->follows |= str_starts(tag, "master:");
    unescape(field[4]);
    out->mount_point = field[4];
    out->flags = flags_of(field[5]);
    out->type = strtok_r(tail, " ", &save);
    char *source = strtok_r(NULL, " ", &save);
    out->source = source ? source : "";
    out->super_options = source ? strtok_r(NULL, " ", &save) : NULL;
    if (!out->super_options)
        out->super_options = "";
    return out->type ? 0 : -1;
}

static int each_line(int fd, int (*each)(void *ctx, const struct mountinfo *mi), void *ctx)
{
    auto_str struct str text = { 0 };
    if (fs_read_fd(fd, MAX_MOUNTINFO, &text, NULL) < 0) {
        errno = EIO;
        return -1;
    }
    char *next = text.data;
    while (next && *next) {
        char *line = next;
        next = strchr(line, '\n');
        if (next)
            *next++ = 0;
        struct mountinfo mi;
        if (mountinfo_line(line, &mi) == 0 && each(ctx, &mi))
            break;
    }
    return 0;
}

int mountinfo_each(int proc_fd, int (*each)(void *ctx, const struct mountinfo *mi), void *ctx)
{
    auto_spent int fd = proc_fd < 0 ? open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC)
                                    : openat(proc_fd, "self/mountinfo", O_RDONLY | O_CLOEXEC);
    return fd < 0 ? -1 : each_line(fd, each, ctx);
}

int mountinfo_of(int process_fd, int (*each)(void *ctx, const struct mountinfo *mi), void *ctx)
{
    auto_spent int fd = openat(process_fd, "mountinfo", O_RDONLY | O_CLOEXEC);
    return fd < 0 ? -1 : each_line(fd, each, ctx);
}

/* The id of the mount that FD lies on, from fdinfo. */
static int mount_id(int fd, uint64_t *out)
{
    char path[48];
    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd);
    auto_str struct str text = { 0 };
    if (fs_read_file(path, 65536, &text, NULL) < 0)
        return -1;
    char *at = strstr(str_text(&text), "mnt_id:");
    if (!at)
        return -1;
    at += strlen("mnt_id:");
    at += strspn(at, " \t");
    at[strcspn(at, "\n")] = 0;
    return str_parse_u64(at, UINT64_MAX, out);
}

struct below {
    uint64_t *ids; /* the mounts found so far that lie below */
    char *prefix;  /* where the first one is mounted */
    size_t n;
    int (*each)(void *ctx, const struct mountinfo *mi);
    void *ctx;
};

static int visit_below(void *ctx, const struct mountinfo *mi)
{
    struct below *b = ctx;
    bool in = mi->id == b->ids[0];
    for (size_t i = 0; i < b->n && !in; i++)
        in = b->ids[i] == mi->parent;
    if (!in)
        return 0;
    struct mountinfo relative = *mi;
    if (mi->id == b->ids[0]) {
        b->prefix = mem_strdup(str_eq(mi->mount_point, "/") ? "" : mi->mount_point);
        relative.mount_point = "/";
    } else {
        b->ids = mem_grow(b->ids, b->n, sizeof *b->ids);
        b->ids[b->n++] = mi->id;
        if (b->prefix && str_starts(mi->mount_point, b->prefix))
            relative.mount_point = mi->mount_point + strlen(b->prefix);
    }
    return b->each(b->ctx, &relative);
}

/* mountinfo lists parents before their children, so one pass finds the whole subtree. */
int mountinfo_below(int fd, int (*each)(void *ctx, const struct mountinfo *mi), void *ctx)
{
    struct below b = { .ids = mem_grow(NULL, 0, sizeof *b.ids), .n = 1, .each = each, .ctx = ctx };
    int rc = mount_id(fd, &b.ids[0]);
    if (rc == 0)
        rc = mountinfo_each(-1, visit_below, &b);
    else
        errno = EIO;
    int saved = errno;
    free(b.ids);
    free(b.prefix);
    errno = saved;
    return rc;
}
