/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/str.h"
#include "cli/cli.h"
#include "cli/inside.h"
#include "cli/operand.h"
#include "cli/out.h"

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
    uint64_t cookie; /* where it stands in the directory: tells two of one name apart */
};

struct listing {
    const struct image_reader *reader;
    bool details, recursive, json;
    size_t n_shown;
    struct image_claims claims;
    struct err *e;
};

/* ── a directory, in order ── */

/* A directory may be larger than our memory, and its order is not ours. So it is read again for
 * each batch of names; for all but the largest, one is enough. */
enum { BATCH = 1 << 17 };

struct batch {
    struct entry *v;
    size_t n;
    struct entry after; /* what was shown last; no name: nothing yet */
    bool full;          /* there is more behind it */
};

static int compare(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    int order = strcmp(x->name, y->name);
    return order ? order : x->cookie < y->cookie ? -1 : x->cookie > y->cookie;
}

/* Put the batch in order and drop what is beyond its size. */
static void settle(struct batch *b)
{
    if (b->n)
        qsort(b->v, b->n, sizeof *b->v, compare);
    for (; b->n > BATCH; b->full = true)
        free(b->v[--b->n].name);
}

static int add_entry(void *ctx, const struct image_dirent *d)
{
    struct batch *b = ctx;
    if (d->name_len <= 2 && memcmp(d->name, "..", d->name_len) == 0)
        return 0;
    auto_free char *name = mem_strndup(d->name, d->name_len);
    struct entry x = { .name = name, .ino = d->ino, .cookie = d->next_cookie };
    if (b->after.name && compare(&x, &b->after) <= 0)
        return 0;
    if (b->full && compare(&x, &b->v[BATCH - 1]) > 0)
        return 0;
    b->v = mem_grow(b->v, b->n, sizeof *b->v);
    x.name = steal_ptr(name);
    b->v[b->n++] = x;
    if (b->n == 2 * BATCH)
        settle(b);
    return 0;
}

static void batch_fini(struct batch *b)
{
    for (size_t i = 0; i < b->n; i++)
        free(b->v[i].name);
    free(b->v);
    free(b->after.name);
}

/* The next names of the directory INO, none when all were shown; 0 or a negative errno. */
static int batch_next(const struct image_reader *r, uint32_t ino, struct batch *b)
{
    for (size_t i = 0; i < b->n; i++) {
        if (i + 1 < b->n) {
            free(b->v[i].name);
            continue;
        }
        free(b->after.name);
        b->after = b->v[i];
    }
    bool done = b->after.name && !b->full;
    b->n = 0;
    b->full = false;
    if (done)
        return 0;
    int rc = image_read_dir(r, ino, 0, add_entry, b);
    settle(b);
    return rc;
}

/* ── what is shown of a file ── */

static int damaged(const struct listing *l, const char *path, int rc)
{
    auto_free char *shown = str_printable_line(path);
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

/* One element of the document, which is written as it is found: a listing may be long. */
static void put_json(struct listing *l, const char *path, const struct image_stat *st,
                     const char *target)
{
    auto_json struct json_object *o = json_object_new_object();
    char when[32], mode[8];
    auto_free char *clean = str_printable_line(path);
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
        auto_free char *shown = str_printable_line(target);
        json_put_str(o, "target", shown);
    }
    auto_free char *text = json_text(o, 1);
    auto_str struct str element = { 0 };
    str_add(&element, l->n_shown ? ",\n  " : "[\n  ");
    for (const char *c = text; *c; c++) { /* a level deeper than it thinks */
        str_add_c(&element, *c);
        if (*c == '\n')
            str_add(&element, "  ");
    }
    out_say("%s", str_text(&element));
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
    auto_free char *clean = str_printable_line(str_text(&line));
    out_say("%s\n", clean);
}

static int put_entry(struct listing *l, const char *path, const char *name, uint32_t ino,
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
    l->n_shown++;
    return 0;
}

static int list_dir(struct listing *l, const char *path, uint32_t ino, unsigned depth)
{
    cleanup_with(batch_fini) struct batch b = { 0 };
    int rc = depth > DEPTH_MAX ? -EUCLEAN : image_read_claim(l->reader, ino, &l->claims);
    if (rc < 0)
        return damaged(l, path, rc); /* a directory below itself, or with two names */
    while ((rc = batch_next(l->reader, ino, &b)) == 0 && b.n)
        for (size_t i = 0; i < b.n; i++) {
            struct image_stat st;
            auto_free char *below = path_join(path, b.v[i].name);
            if (put_entry(l, below, b.v[i].name, b.v[i].ino, &st) < 0)
                return -1;
            if (l->recursive && S_ISDIR(st.mode) && list_dir(l, below, b.v[i].ino, depth + 1) < 0)
                return -1;
        }
    return rc < 0 ? damaged(l, path, rc) : 0;
}

/* WALKED is the path as given, where ".." behind a link is not what the text says. */
static int list(struct listing *l, const char *path, const char *walked, bool itself)
{
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
    return list_dir(l, path, ino, 0);
}

static int run(struct cli *cli, const struct args *args, struct err *e)
{
    (void)cli;
    auto_operand struct operand p = { 0 };
    auto_inside struct inside in = { 0 };
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
        .json = args_has(args, "json"),
        .e = e,
    };
    const char *walked = p.path ? p.path : "/";
    auto_free char *path = path_clean(walked);
    int rc = list(&l, path, walked, args_has(args, "directory"));
    image_claims_fini(&l.claims);
    if (rc < 0)
        return err_wrap(e, "image '%s'", p.image);
    if (l.json)
        out_say(l.n_shown ? "\n]\n" : "[]\n");
    return 0;
}

const struct command cmd_ls = {
    .synopsis = "[options] IMAGE[:/PATH]",
    .help =
        "Lists what is in an image, all names, in order of their bytes. Bytes of a name that no "
        "terminal should see, or that are no UTF-8, are shown as \\xHH. Nothing is mounted and "
        "no privilege is needed. The path may also be a word of its own.",
    .examples = "  hpcc ls demo.img\n  hpcc ls -l demo.img:/usr/bin\n"
                "  hpcc ls -R --json demo.img:/etc\n",
    .opts = opts,
    .min_args = 1,
    .max_args = 2,
    .run = run,
};
