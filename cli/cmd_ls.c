/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/str.h"
#include "cli/cli.h"
#include "cli/inside.h"
#include "cli/operand.h"

static const struct opt opts[] = {
    { .name = "long", .letter = 'l', .help = "show type, mode, links, owner, size and time" },
    { .name = "recursive", .letter = 'R', .help = "show all that is below, with paths" },
    { .name = "directory", .letter = 'd', .help = "show a directory itself, not what it holds" },
    { .name = "json", .help = "show it as JSON" },
    { 0 },
};

enum { DEPTH_MAX = 2048 };

struct entry {
    char *name;
    uint32_t ino;
};

struct listing {
    const struct image_reader *reader;
    bool details, recursive, terminal;
    struct json_object *json; /* NULL: text */
    uint8_t *seen;            /* a bit for each inode: directories that were listed */
    uint64_t n_inodes;
    struct err *e;
};

struct entries {
    struct entry *v;
    size_t n;
};

static void entries_fini(struct entries *l)
{
    for (size_t i = 0; i < l->n; i++)
        free(l->v[i].name);
    free(l->v);
}

static int add_entry(void *ctx, const struct image_dirent *d)
{
    struct entries *l = ctx;
    if (d->name_len <= 2 && memcmp(d->name, "..", d->name_len) == 0)
        return 0;
    l->v = mem_grow(l->v, l->n, sizeof *l->v);
    l->v[l->n++] = (struct entry){ .name = mem_strndup(d->name, d->name_len), .ino = d->ino };
    return 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct entry *)a)->name, ((const struct entry *)b)->name);
}

static int damaged(const struct listing *l, const char *path, int rc)
{
    auto_free char *shown = str_printable(path);
    err_set(l->e, rc == -ENOENT ? ERR_FAILED : ERR_INPUT, "cannot read '%s' in the image: %s",
            shown, rc == -EUCLEAN ? "damaged" : strerror(-rc));
    return rc == -ENOENT ? -1 : err_hint(l->e, "'hpcc check' tells what is wrong");
}

/* "drwxr-xr-x" */
static void mode_text(uint32_t mode, char out[11])
{
    static const char types[] = "?pc?d?b?-?l?s???";
    out[0] = types[mode >> 12 & 15];
    for (unsigned i = 0; i < 9; i++)
        out[1 + i] = mode & (0400u >> i) ? "rwx"[i % 3] : '-';
    if (mode & S_ISUID)
        out[3] = mode & S_IXUSR ? 's' : 'S';
    if (mode & S_ISGID)
        out[6] = mode & S_IXGRP ? 's' : 'S';
    if (mode & S_ISVTX)
        out[9] = mode & S_IXOTH ? 't' : 'T';
    out[10] = 0;
}

static void time_text(int64_t seconds, char *out, size_t size)
{
    struct tm tm;
    time_t t = (time_t)seconds;
    if (!gmtime_r(&t, &tm) || strftime(out, size, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
        snprintf(out, size, "%lld", (long long)seconds);
}

static const char *type_name(uint32_t mode)
{
    switch (mode & S_IFMT) {
    case S_IFREG:
        return "file";
    case S_IFDIR:
        return "directory";
    case S_IFLNK:
        return "symlink";
    case S_IFCHR:
        return "char device";
    case S_IFBLK:
        return "block device";
    case S_IFIFO:
        return "fifo";
    default:
        return "socket";
    }
}

static void put_json(const struct listing *l, const char *path, const struct image_stat *st,
                     const char *target)
{
    struct json_object *o = json_object_new_object();
    char when[32], mode[8];
    auto_free char *clean = str_printable(path);
    json_put_str(o, "path", clean);
    json_put_str(o, "type", type_name(st->mode));
    snprintf(mode, sizeof mode, "%04o", st->mode & 07777);
    json_put_str(o, "mode", mode);
    json_put_int(o, "links", st->nlink);
    json_put_int(o, "uid", st->uid);
    json_put_int(o, "gid", st->gid);
    json_put_int(o, "size_bytes", (int64_t)st->size);
    json_put_int(o, "disk_bytes", (int64_t)st->blocks * 512);
    time_text(st->mtime, when, sizeof when);
    json_put_str(o, "modified", when);
    if (S_ISCHR(st->mode) || S_ISBLK(st->mode)) {
        json_put_int(o, "major", st->rdev_major);
        json_put_int(o, "minor", st->rdev_minor);
    }
    if (S_ISLNK(st->mode)) {
        auto_free char *shown = str_printable(target);
        json_put_str(o, "target", shown);
    }
    json_add(l->json, o);
}

static void put_text(const struct listing *l, const char *name, const struct image_stat *st,
                     const char *target)
{
    auto_str struct str line = { 0 };
    if (l->details) {
        char mode[11], when[32];
        mode_text(st->mode, mode);
        time_text(st->mtime, when, sizeof when);
        str_addf(&line, "%s %3u %5u %5u ", mode, st->nlink, st->uid, st->gid);
        if (S_ISCHR(st->mode) || S_ISBLK(st->mode))
            str_addf(&line, "%6u,%5u", st->rdev_major, st->rdev_minor);
        else
            str_addf(&line, "%12llu", (unsigned long long)st->size);
        str_addf(&line, " %s ", when);
    }
    str_add(&line, name);
    if (l->details && S_ISLNK(st->mode))
        str_addf(&line, " -> %s", target);
    auto_free char *clean = l->terminal ? str_printable(str_text(&line)) : NULL;
    puts(clean ? clean : str_text(&line));
}

static int put_entry(const struct listing *l, const char *path, const char *name, uint32_t ino,
                     struct image_stat *st)
{
    char target[4096] = "";
    int rc = image_read_stat(l->reader, ino, st);
    if (rc < 0)
        return damaged(l, path, rc);
    if (S_ISLNK(st->mode) && (l->json || l->details)) {
        ssize_t len = image_read_link(l->reader, ino, target, sizeof target - 1);
        if (len < 0)
            return damaged(l, path, (int)len);
        target[len] = 0;
    }
    if (l->json)
        put_json(l, path, st, target);
    else
        put_text(l, l->recursive ? path : name, st, target);
    return 0;
}

static int list_dir(const struct listing *l, const char *path, uint32_t ino, unsigned depth)
{
    cleanup_with(entries_fini) struct entries list = { 0 };
    if (depth > DEPTH_MAX || ino >= l->n_inodes || l->seen[ino / 8] & 1 << ino % 8)
        return damaged(l, path, -EUCLEAN); /* a directory below itself, or with two names */
    l->seen[ino / 8] |= (uint8_t)(1 << ino % 8);
    int rc = image_read_dir(l->reader, ino, 0, add_entry, &list);
    if (rc < 0)
        return damaged(l, path, rc);
    if (list.n)
        qsort(list.v, list.n, sizeof *list.v, by_name);
    for (size_t i = 0; i < list.n; i++) {
        struct image_stat st;
        auto_free char *below = path_join(path, list.v[i].name);
        if (put_entry(l, below, list.v[i].name, list.v[i].ino, &st) < 0)
            return -1;
        if (l->recursive && S_ISDIR(st.mode) && list_dir(l, below, list.v[i].ino, depth + 1) < 0)
            return -1;
    }
    return 0;
}

/* WALKED is the path as given, where ".." behind a link is not what the text says. */
static int list(struct listing *l, const char *path, const char *walked, bool itself)
{
    struct image_fs_stat fs;
    struct image_stat st;
    uint32_t ino;
    /* As ls: a link to a directory is followed, but not with --long. */
    int rc = image_read_path(l->reader, walked, !l->details && !itself, &ino);
    if (rc == 0)
        rc = image_read_stat(l->reader, ino, &st);
    if (rc < 0)
        return damaged(l, path, rc);
    if (!S_ISDIR(st.mode) || itself)
        return put_entry(l, path, path, ino, &st);
    image_read_fs_stat(l->reader, &fs);
    l->n_inodes = fs.inodes + 1;
    auto_free uint8_t *seen = mem_zero(l->n_inodes / 8 + 1, 1);
    l->seen = seen;
    return list_dir(l, path, ino, 0);
}

static int run(struct cli *cli, const struct args *args, struct err *e)
{
    (void)cli;
    auto_operand struct operand p = { 0 };
    auto_inside struct inside in = { 0 };
    auto_json struct json_object *json = NULL;
    if (operand_parse_words(args->rest[0], args->rest[1], &p, e) < 0 ||
        inside_open(p.image, &in, e) < 0)
        return -1;
    if (!in.reader) {
        err_set(e, ERR_USAGE, "'%s' is a directory", p.image);
        return err_hint(e, "list it with 'ls'");
    }
    struct listing l = {
        .reader = in.reader,
        .details = args_has(args, "long"),
        .recursive = args_has(args, "recursive"),
        .terminal = isatty(STDOUT_FILENO),
        .e = e,
    };
    if (args_has(args, "json"))
        l.json = json = json_object_new_array();
    const char *walked = p.path ? p.path : "/";
    auto_free char *path = path_clean(walked);
    if (list(&l, path, walked, args_has(args, "directory")) < 0)
        return err_wrap(e, "image '%s'", p.image);
    if (json) {
        auto_free char *text = json_text(json, 1);
        puts(text);
    }
    return 0;
}

const struct command cmd_ls = {
    .synopsis = "[options] IMAGE[:/PATH]",
    .help = "Lists what is in an image, all names, in order of their bytes. Nothing is mounted and "
            "no privilege is needed. The path may also be a word of its own.",
    .examples = "  hpcc ls demo.img\n  hpcc ls -l demo.img:/usr/bin\n"
                "  hpcc ls -R --json demo.img:/etc\n",
    .opts = opts,
    .min_args = 1,
    .max_args = 2,
    .run = run,
};
