/* SPDX-License-Identifier: BSD-3-Clause */
#include "bootstrap/deb/deb.h"

#include <fcntl.h>

#include "base/fs.h"
#include "base/mem.h"
#include "bootstrap/value.h"
#include "bootstrap/vault.h"

#define STATUS_MAX_BYTES (64u << 20)

/* Empty directory DIR of the root; those named in KEEP (blank-separated) stay. */
static int empty_dir(int rootfs_fd, const char *dir, const char *keep, struct err *e)
{
    auto_err struct err missing = { 0 };
    auto_close int fd = fs_open_at(rootfs_fd, dir, O_RDONLY | O_DIRECTORY, 0, &missing);
    if (fd < 0)
        return missing.sys == ENOENT ? 0 : err_move(e, &missing);
    auto_strv struct strv kept = { 0 };
    strv_split(&kept, keep, " ");
    auto_strv struct strv names = { 0 };
    if (fs_names_at(fd, ".", &names) < 0)
        return err_sys(e, "cannot read '%s' of the root", dir);
    for (size_t i = 0; i < names.n; i++)
        if (!strv_has(&kept, names.v[i]) && fs_remove_tree(fd, names.v[i], e) < 0)
            return -1;
    return 0;
}

static int remove_path(int rootfs_fd, const char *path, struct err *e)
{
    auto_err struct err missing = { 0 };
    auto_free char *base = NULL;
    auto_close int dir = fs_open_parent_at(rootfs_fd, path, &base, &missing);
    if (dir < 0)
        return missing.sys == ENOENT ? 0 : err_move(e, &missing);
    return fs_remove_tree(dir, base, e);
}

static int write_text(int rootfs_fd, const char *path, const char *text, struct err *e)
{
    auto_str struct str s = { 0 };
    str_add(&s, text);
    return fs_write_at(rootfs_fd, path, &s, 0644, e);
}

static int write_sources(const struct deb_plan *p, int rootfs_fd, struct err *e)
{
    auto_free char *mirror = value_url_public(p->mirror);
    const char *usual =
        p->gone ? vault_archive(p->family) : vault_default_mirror(p->family, p->arch);
    auto_free char *components =
        p->components.n ? strv_join(&p->components, " ") : mem_strdup("main");
    /* An archived suite carries an old signature; apt would refuse its date. */
    auto_free char *line =
        mem_printf("deb %s%s %s %s\n", p->gone ? "[check-valid-until=no] " : "",
                   str_starts(mirror, "file:") && usual ? usual : mirror, p->suite, components);
    return write_text(rootfs_fd, "/etc/apt/sources.list", line, e);
}

int deb_root_tidy(const struct deb_plan *p, int rootfs_fd, struct err *e)
{
    static const struct {
        const char *dir, *keep;
    } dirs[] = {
        { "/var/cache/apt/archives", "partial" },
        { "/var/cache/apt/archives/partial", "" },
        { "/var/lib/apt/lists", "partial" },
        { "/var/lib/apt/lists/partial", "" },
        { "/var/log/apt", "" },
        { "/dev", "" },
        { "/tmp", "" },
    };
    static const char *const paths[] = {
        "/debootstrap",
        "/etc/hostname",
        "/var/log/alternatives.log",
        "/var/log/bootstrap.log",
        "/var/log/dpkg.log",
        "/var/cache/apt/pkgcache.bin",
        "/var/cache/apt/srcpkgcache.bin",
        "/var/cache/debconf/config.dat-old",
        "/var/cache/debconf/templates.dat-old",
        "/var/cache/ldconfig/aux-cache",
        "/var/lib/dpkg/available",
        "/var/lib/dpkg/status-old",
        "/var/lib/dpkg/diversions-old",
        "/var/lib/dpkg/statoverride-old",
    };
    for (size_t i = 0; i < ARRAY_LEN(dirs); i++)
        if (empty_dir(rootfs_fd, dirs[i].dir, dirs[i].keep, e) < 0)
            return -1;
    for (size_t i = 0; i < ARRAY_LEN(paths); i++)
        if (remove_path(rootfs_fd, paths[i], e) < 0)
            return -1;
    struct stat st;
    if (fs_stat_at(rootfs_fd, "/etc/machine-id", false, &st) == 0 &&
        write_text(rootfs_fd, "/etc/machine-id", "", e) < 0)
        return -1;
    if (write_text(rootfs_fd, "/etc/resolv.conf", "", e) < 0 ||
        write_text(rootfs_fd, "/var/lib/dpkg/available", "", e) < 0)
        return -1;
    return write_sources(p, rootfs_fd, e);
}

struct stanza {
    char *name, *version, *arch;
    bool installed;
};

/* Add a finished stanza to LIST and make S empty. */
static void end_stanza(struct stanza *s, struct json_object *list)
{
    if (s->name && s->installed) {
        struct json_object *o = json_object_new_object();
        json_put_str(o, "name", s->name);
        json_put_str(o, "version", s->version);
        json_put_str(o, "arch", s->arch);
        json_add(list, o);
    }
    free(s->name);
    free(s->version);
    free(s->arch);
    *s = (struct stanza){ 0 };
}

static void take_field(char **slot, const char *line, size_t skip, size_t len)
{
    free(*slot);
    skip += strspn(line + skip, " \t");
    *slot = mem_strndup(line + skip, len > skip ? len - skip : 0);
}

struct json_object *deb_root_packages(int rootfs_fd, struct err *e)
{
    auto_str struct str text = { 0 };
    if (fs_read_at(rootfs_fd, "/var/lib/dpkg/status", STATUS_MAX_BYTES, &text, e) < 0)
        return NULL;
    auto_json struct json_object *list = json_object_new_array();
    struct stanza s = { 0 };
    for (const char *line = str_text(&text); *line;) {
        size_t len = strcspn(line, "\n");
        if (len == 0)
            end_stanza(&s, list);
        else if (str_starts(line, "Package:"))
            take_field(&s.name, line, 8, len);
        else if (str_starts(line, "Version:"))
            take_field(&s.version, line, 8, len);
        else if (str_starts(line, "Architecture:"))
            take_field(&s.arch, line, 13, len);
        else if (str_starts(line, "Status: install ok installed"))
            s.installed = true;
        line += len + (line[len] == '\n');
    }
    end_stanza(&s, list);
    return steal_ptr(list);
}
