/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli/config.h"

#include <fcntl.h>
#include <stddef.h>
#include <sys/stat.h>

#include "base/conf.h"
#include "base/defence.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/str.h"
#include "cli/opts.h"

#define SITE_FILE "/etc/hpcc/hpcc.yaml"

/* How the value of a key is read, and where it goes. */
enum key_kind {
    KEY_LIST,    /* words into a strv */
    KEY_SWITCH,  /* yes/no into an enum config_switch */
    KEY_PATH,    /* an absolute path into a char * */
    KEY_SET,     /* a map of NAME: value into a strv of "NAME=value" */
    KEY_MOUNT,   /* yes/no: "no" adds the key's name to a strv */
    KEY_SECTION, /* a map with keys of its own */
};

struct key {
    const char *name;
    enum key_kind kind;
    size_t at; /* offset in struct config */
    const struct key *keys;
    bool site_only;
};

#define AT(field) offsetof(struct config, field)

static const struct key mount_keys[] = {
    { "proc", KEY_MOUNT, AT(no_mount), NULL, false },
    { "sys", KEY_MOUNT, AT(no_mount), NULL, false },
    { "dev", KEY_MOUNT, AT(no_mount), NULL, false },
    { "home", KEY_MOUNT, AT(no_mount), NULL, false },
    { "tmp", KEY_MOUNT, AT(no_mount), NULL, false },
    { "cwd", KEY_MOUNT, AT(no_mount), NULL, false },
    { "hostfs-files", KEY_MOUNT, AT(no_mount), NULL, false },
    { 0 },
};

static const struct key environment_keys[] = {
    { "keep", KEY_LIST, AT(env_keep), NULL, false },
    { "drop", KEY_LIST, AT(env_drop), NULL, false },
    { "set", KEY_SET, AT(env_set), NULL, false },
    { 0 },
};

static const struct key default_keys[] = {
    { "contain", KEY_SWITCH, AT(contain), NULL, false },
    { "cleanenv", KEY_SWITCH, AT(cleanenv), NULL, false },
    { "home", KEY_SWITCH, AT(home), NULL, false },
    { "pid", KEY_SWITCH, AT(pid), NULL, false },
    { "ipc", KEY_SWITCH, AT(ipc), NULL, false },
    { "writable-tmpfs", KEY_SWITCH, AT(writable_tmpfs), NULL, false },
    { 0 },
};

static const struct key limit_keys[] = {
    { "image-dirs", KEY_LIST, AT(image_dirs), NULL, true },
    { "user-bind", KEY_SWITCH, AT(user_bind), NULL, true },
    { "writable", KEY_SWITCH, AT(writable), NULL, true },
    { "overlay", KEY_SWITCH, AT(overlay), NULL, true },
    { 0 },
};

static const struct key top_keys[] = {
    { "bind", KEY_LIST, AT(binds), NULL, false },
    { "mount", KEY_SECTION, 0, mount_keys, false },
    { "environment", KEY_SECTION, 0, environment_keys, false },
    { "defaults", KEY_SECTION, 0, default_keys, false },
    { "cache-dir", KEY_PATH, AT(cache_dir), NULL, false },
    { "tmp-dir", KEY_PATH, AT(tmp_dir), NULL, false },
    { "limit", KEY_SECTION, 0, limit_keys, true },
    { 0 },
};

struct reader {
    const char *path;
    enum config_owner owner;
    struct config *out;
    struct err *e;
};

static int wrong(const struct reader *r, const struct conf *c, const char *want)
{
    return err_at(r->e, r->path, c->line, "'%s' must be %s", c->key, want);
}

static int read_list(const struct reader *r, const struct conf *c, struct strv *out)
{
    if (c->kind == CONF_SCALAR) {
        strv_add(out, c->text);
        return 0;
    }
    for (size_t i = 0; i < c->n_items; i++) {
        if (c->kind != CONF_LIST || c->items[i].kind != CONF_SCALAR)
            return wrong(r, c, "a list of words");
        strv_add(out, c->items[i].text);
    }
    return 0;
}

static int read_set(const struct reader *r, const struct conf *c, struct strv *out)
{
    for (size_t i = 0; i < c->n_items; i++) {
        if (c->kind != CONF_MAP || c->items[i].kind != CONF_SCALAR)
            return wrong(r, c, "a map of NAME: value");
        strv_env_set(out, c->items[i].key, c->items[i].text);
    }
    return c->kind == CONF_MAP ? 0 : wrong(r, c, "a map of NAME: value");
}

static int read_section(const struct reader *r, const struct conf *c, const struct key *keys);

static int read_key(const struct reader *r, const struct conf *c, const struct key *k)
{
    void *at = (char *)r->out + k->at;
    bool on = false;
    if (k->site_only && r->owner == CONFIG_USER) {
        err_at(r->e, r->path, c->line, "'%s' is for the site's configuration only", c->key);
        return err_hint(r->e, "it belongs into " SITE_FILE);
    }
    if (k->kind == KEY_LIST && at == &r->out->binds && r->owner == CONFIG_USER &&
        r->out->user_bind == CONFIG_NO)
        return 0; /* the site binds, and nobody else */
    switch (k->kind) {
    case KEY_LIST:
        return read_list(r, c, at);
    case KEY_SET:
        return read_set(r, c, at);
    case KEY_SECTION:
        return c->kind == CONF_MAP ? read_section(r, c, k->keys) : wrong(r, c, "a map");
    case KEY_PATH:
        if (c->kind != CONF_SCALAR || c->text[0] != '/')
            return wrong(r, c, "an absolute path");
        free(*(char **)at);
        *(char **)at = mem_strdup(c->text);
        return 0;
    case KEY_SWITCH:
    case KEY_MOUNT:
        break;
    }
    if (conf_bool(c, r->path, &on, r->e) < 0)
        return -1;
    if (k->kind == KEY_SWITCH)
        *(enum config_switch *)at = on ? CONFIG_YES : CONFIG_NO;
    else if (!on)
        strv_add(at, k->name);
    return 0;
}

static int unknown_key(const struct reader *r, const struct conf *c, const struct key *keys)
{
    const char *names[16] = { NULL };
    for (size_t i = 0; keys[i].name && i + 1 < ARRAY_LEN(names); i++)
        names[i] = keys[i].name;
    const char *near = str_nearest(c->key, names);
    err_at(r->e, r->path, c->line, "unknown key '%s'", c->key);
    return near ? err_hint(r->e, "did you mean '%s'?", near)
                : err_hint(r->e, "hpcc.yaml(5) lists the keys");
}

static int read_section(const struct reader *r, const struct conf *c, const struct key *keys)
{
    for (size_t i = 0; i < c->n_items; i++) {
        const struct key *k = keys;
        while (k->name && !str_eq(k->name, c->items[i].key))
            k++;
        if (!k->name)
            return unknown_key(r, &c->items[i], keys);
        if (read_key(r, &c->items[i], k) < 0)
            return -1;
    }
    return 0;
}

/* A file that others can write would let them choose what we bind and set. */
static int check_owner(const char *path, const struct stat *st, uid_t owner, struct err *e)
{
    if (!defence("site-file") || (st->st_uid == owner && (st->st_mode & 022) == 0))
        return 0;
    err_set(e, ERR_INPUT,
            "'%s' is not trusted: it must belong to uid %u and be writable by nobody else", path,
            (unsigned)owner);
    return err_hint(e, "chown %u '%s'; chmod go-w '%s'", (unsigned)owner, path, path);
}

/* Root's runs find the caller's HOME in the environment now and then (sudo, su). What a user put
 * there, a link to a file of root's included, is not followed, and not told in a message. */
static bool is_strangers(const struct stat *dir, const struct stat *file)
{
    return geteuid() == 0 && (dir->st_uid != 0 || dir->st_mode & 022 || file->st_uid != 0);
}

/* 1 when there is no such file. What is judged is what was opened: the file, and the directory in
 * which it was opened. */
static int open_checked(const char *path, enum config_owner owner, int *fd, struct err *e)
{
    bool site = owner == CONFIG_SITE;
    auto_free char *dir = path_dir(path), *name = path_base(path);
    int flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY |
                ((site || geteuid() == 0) && defence("site-file") ? O_NOFOLLOW : 0);
    struct stat at, st;
    auto_close int dir_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    auto_close int got = dir_fd < 0 ? -1 : openat(dir_fd, name, flags);
    if (got < 0 && (errno == ENOENT || errno == ENOTDIR ||
                    (!site && (errno == EACCES || (errno == ELOOP && geteuid() == 0)))))
        return 1;
    if (got < 0)
        return err_sys(e, "cannot read the configuration '%s'", path);
    if (fstat(got, &st) < 0 || fstat(dir_fd, &at) < 0)
        return err_sys(e, "cannot look at the configuration '%s'", path);
    if (!site && defence("site-file") && is_strangers(&at, &st))
        return 1;
    if (!S_ISREG(st.st_mode))
        return err_set(e, ERR_INPUT, "the configuration '%s' is not a regular file", path);
    if (check_owner(path, &st, site ? 0 : geteuid(), e) < 0 ||
        (site && check_owner(dir, &at, 0, e) < 0))
        return -1;
    *fd = steal_fd(&got);
    return 0;
}

int config_read(const char *path, enum config_owner owner, struct config *c, struct err *e)
{
    auto_close int fd = -1;
    int rc = open_checked(path, owner, &fd, e);
    if (rc)
        return rc < 0 ? -1 : 0;
    auto_str struct str text = { 0 };
    if (fs_read_fd(fd, 1 << 20, &text, e) < 0)
        return err_wrap(e, "'%s'", path);
    auto_conf struct conf *doc = conf_parse(text.data, text.len, path, e);
    if (!doc)
        return -1;
    struct reader r = { .path = path, .owner = owner, .out = c, .e = e };
    if (doc->kind != CONF_MAP)
        return err_at(e, path, doc->line, "expected 'key: value' lines");
    return read_section(&r, doc, top_keys);
}

int config_load(const char *const *vars, struct config *c, struct err *e)
{
    if (config_read(SITE_FILE, CONFIG_SITE, c, e) < 0)
        return -1;
    const char *xdg = strv_env_value(vars, "XDG_CONFIG_HOME");
    const char *home = strv_env_value(vars, "HOME");
    auto_free char *dir = NULL;
    if (xdg && *xdg == '/')
        dir = mem_strdup(xdg);
    else if (home && *home == '/')
        dir = path_join(home, ".config");
    if (!dir)
        return 0; /* `env -`: hpcc needs neither HOME nor XDG */
    auto_free char *path = path_join(dir, "hpcc/hpcc.yaml");
    return config_read(path, CONFIG_USER, c, e);
}

void config_fini(struct config *c)
{
    struct strv *const lists[] = { &c->binds,    &c->no_mount, &c->env_keep,
                                   &c->env_drop, &c->env_set,  &c->image_dirs };
    for (size_t i = 0; i < ARRAY_LEN(lists); i++)
        strv_free(lists[i]);
    free(c->cache_dir);
    free(c->tmp_dir);
    *c = (struct config){ 0 };
}
