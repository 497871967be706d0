/* SPDX-License-Identifier: BSD-3-Clause */
#include "bootstrap/deb/deb.h"

#include <fcntl.h>
#include <sys/sendfile.h>

#include <solv/solv_xfopen.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "bootstrap/deb/index.h"
#include "bootstrap/fetch/fetch.h"
#include "bootstrap/value.h"

#define BATCH 256 /* files open at a time */

struct work {
    const struct deb_plan *p;
    const struct deb_release *r;
    int rootfs_fd;
    bool secret; /* see deb_jail_secret */
    struct fetch fetch;
    struct strv mirrors;
    struct strv components;
    struct deb_index *lists; /* one per component */
};

static void work_fini(struct work *w)
{
    for (size_t i = 0; w->lists && i < w->components.n; i++)
        deb_index_fini(&w->lists[i]);
    free(w->lists);
    strv_free(&w->mirrors);
    strv_free(&w->components);
    cleanup_fd(&w->fetch.store_fd);
}
#define auto_work cleanup_with(work_fini)

/* Where apt keeps, and debootstrap looks for, the list of COMPONENT. Caller frees. */
static char *list_path(const struct work *w, const char *component)
{
    auto_free char *mirror = value_url_public(w->p->mirror);
    const char *host = strstr(mirror, "://");
    auto_free char *name = mem_printf("%s_dists/%s/%s/binary-%s/Packages", host ? host + 3 : mirror,
                                      w->p->suite, component, w->p->arch);
    for (char *c = name; *c; c++)
        if (*c == '/')
            *c = '_';
    return mem_printf("/var/lib/apt/lists/%s", name);
}

/* The file to fetch for COMPONENT; false when the Release names none that we can read. */
static bool choose_list(const struct work *w, const char *component, char **path,
                        struct deb_entry *compressed, struct deb_entry *plain)
{
    static const char *const suffixes[] = { ".xz", ".gz", "" };
    auto_free char *base = mem_printf("%s/binary-%s/Packages", component, w->p->arch);
    if (!deb_release_entry(w->r, base, plain))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(suffixes); i++) {
        auto_free char *name = mem_printf("%s%s", base, suffixes[i]);
        if (!deb_release_entry(w->r, name, compressed))
            continue;
        bool by_hash = strstr(str_text(&w->r->text), "\nAcquire-By-Hash: yes\n") != NULL;
        *path = by_hash && suffixes[i][0]
                    ? mem_printf("dists/%s/%s/binary-%s/by-hash/SHA256/%s", w->p->suite, component,
                                 w->p->arch, compressed->sha256)
                    : mem_printf("dists/%s/%s", w->p->suite, name);
        return solv_xfopen_iscompressed(suffixes[i]) >= 0;
    }
    return false;
}

/* FD decompressed into OUT: exactly SIZE bytes. */
static int unpack(int fd, uint64_t size, struct str *out, struct err *e)
{
    unsigned char magic[4] = { 0 };
    if (fs_pread_full(fd, magic, sizeof magic, 0) < 0 || lseek(fd, 0, SEEK_SET) < 0)
        return err_sys(e, "cannot read a package list");
    const char *name = magic[0] == 0xfd ? "x.xz" : magic[0] == 0x1f ? "x.gz" : "x";
    auto_close int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    FILE *f = copy < 0 ? NULL : solv_xfopen_fd(name, copy, "r");
    if (!f)
        return err_set(e, ERR_FAILED, "cannot decompress a package list");
    copy = -1;
    auto_free char *buf = mem_alloc(1u << 20);
    size_t n;
    while ((n = fread(buf, 1, 1u << 20, f)) > 0 && out->len + n <= size)
        str_add_n(out, buf, n);
    fclose(f);
    return out->len == size ? 0 : err_set(e, ERR_FAILED, "a package list has not its size");
}

/* A list so large is an attack, or a mistake: debootstrap would read it too. */
static int check_size(const char *component, const struct deb_entry *plain, struct err *e)
{
    if (plain->size_bytes <= DEB_INDEX_MAX_BYTES)
        return 0;
    auto_free char *limit = str_human_size(DEB_INDEX_MAX_BYTES);
    err_set(e, ERR_INPUT, "the package list of '%s' is larger than %s unpacked", component, limit);
    return err_hint(e, "hpcc-bootstrap(1) tells the limits; use another MirrorURL");
}

static int fetch_lists(struct work *w, bool *ready, struct err *e)
{
    size_t n = w->components.n;
    auto_free struct fetch_file *files = mem_zero(n, sizeof *files);
    auto_free struct deb_entry *sums = mem_zero(n * 2, sizeof *sums);
    auto_strv struct strv paths = { 0 };
    for (size_t i = 0; i < n; i++) {
        char *path = NULL;
        if (!choose_list(w, w->components.v[i], &path, &sums[2 * i], &sums[2 * i + 1])) {
            free(path);
            return check_size(w->components.v[i], &sums[2 * i + 1], e);
        }
        if (check_size(w->components.v[i], &sums[2 * i + 1], e) < 0) {
            free(path);
            return -1;
        }
        strv_take(&paths, path);
        files[i] = (struct fetch_file){ .mirrors = &w->mirrors,
                                        .path = path,
                                        .algo = store_algo("sha256"),
                                        .hex = sums[2 * i].sha256,
                                        .size_bytes = sums[2 * i].size_bytes,
                                        .max_bytes = DEB_INDEX_MAX_BYTES,
                                        .fd = -1 };
    }
    int rc = fetch_files(&w->fetch, files, n, e);
    for (size_t i = 0; rc == 0 && i < n; i++) {
        auto_str struct str text = { 0 };
        auto_free char *path = list_path(w, w->components.v[i]);
        rc = unpack(files[i].fd, sums[2 * i + 1].size_bytes, &text, e);
        if (rc == 0)
            rc = fs_write_at(w->rootfs_fd, path, &text, 0644, e);
        if (rc == 0)
            rc = deb_index_read(&w->lists[i], &text, e);
    }
    fetch_files_close(files, n);
    *ready = rc == 0;
    return rc;
}

static bool exists(const struct work *w, const char *name)
{
    for (size_t i = 0; i < w->components.n; i++)
        if (deb_index_find(&w->lists[i], name, strlen(name)))
            return true;
    return false;
}

/* A name of the lists that WORD may be a misspelling of. Caller frees. */
static char *nearest(const struct work *w, const char *word)
{
    auto_strv struct strv names = { 0 };
    for (size_t i = 0; i < w->components.n; i++)
        for (size_t j = 0; j < w->lists[i].n; j++) {
            const struct deb_field *f = &w->lists[i].all[j].name;
            if (f->len + 1 >= strlen(word) && f->len <= strlen(word) + 1)
                strv_take(&names, mem_strndup(f->text, f->len));
        }
    return names.n ? mem_strdup(str_nearest(word, (const char *const *)names.v)) : NULL;
}

static int choose(struct work *w, struct err *e)
{
    static const char *const base[] = { "required", NULL };
    static const char *const standard[] = { "required", "important", NULL };
    auto_strv struct strv roots = { 0 };
    for (size_t i = 0; i < w->p->include.n; i++) {
        const char *name = w->p->include.v[i];
        strv_add(&roots, name);
        if (exists(w, name))
            continue;
        auto_free char *near = nearest(w, name);
        err_set(e, ERR_INPUT, "suite '%s' has no package '%s'", w->p->suite, name);
        return near ? err_hint(e, "did you mean '%s'?", near)
                    : err_hint(e, "check Include; what is outside 'main' needs 'Components: ...'");
    }
    strv_add(&roots, "apt");
    strv_add(&roots, "usr-is-merged");
    if (str_starts(w->p->mirror, "https:"))
        strv_split(&roots, "ca-certificates apt-transport-https", " ");
    if (str_eq(w->p->variant, "buildd"))
        strv_add(&roots, "build-essential");
    deb_index_choose(w->lists, w->components.n, &roots, w->p->variant[0] ? base : standard);
    return 0;
}

/* Where debootstrap looks for the package; NULL when its fields are no sound file name. */
static char *archive_path(const struct deb_package *d)
{
    auto_free char *name =
        mem_printf("%.*s_%.*s_%.*s.deb", (int)d->name.len, d->name.text, (int)d->version.len,
                   d->version.text, (int)d->arch.len, d->arch.text);
    char *colon = strchr(name, ':');
    if (strchr(name, '/') || !d->version.len || !d->arch.len || strlen(name) > 240)
        return NULL;
    return colon ? mem_printf("/var/cache/apt/archives/%.*s%%3a%s", (int)(colon - name), name,
                              colon + 1)
                 : mem_printf("/var/cache/apt/archives/%s", name);
}

static int place(int from_fd, int rootfs_fd, const char *path, struct err *e)
{
    auto_close int fd = fs_open_at(rootfs_fd, path, O_WRONLY | O_CREAT | O_TRUNC, 0644, e);
    if (fd < 0)
        return -1;
    off_t at = 0;
    ssize_t n;
    while ((n = sendfile(fd, from_fd, &at, 1u << 24)) > 0)
        ;
    return n < 0 ? err_sys(e, "cannot write '%s' into the root", path) : 0;
}

/* Fetch the N packages CHOSEN and put them into the root. */
static int fetch_batch(struct work *w, const struct deb_package *const *chosen, size_t n,
                       struct err *e)
{
    auto_free struct fetch_file *files = mem_zero(n, sizeof *files);
    auto_strv struct strv texts = { 0 };
    for (size_t i = 0; i < n; i++) {
        strv_take(&texts, mem_strndup(chosen[i]->filename.text, chosen[i]->filename.len));
        strv_take(&texts, mem_strndup(chosen[i]->sha256.text, chosen[i]->sha256.len));
        files[i] = (struct fetch_file){ .mirrors = &w->mirrors,
                                        .path = texts.v[2 * i],
                                        .algo = store_algo("sha256"),
                                        .hex = texts.v[2 * i + 1],
                                        .size_bytes = chosen[i]->size_bytes,
                                        .max_bytes = 1ull << 34,
                                        .fd = -1 };
    }
    int rc = fetch_files(&w->fetch, files, n, e);
    for (size_t i = 0; rc == 0 && i < n; i++) {
        auto_free char *path = archive_path(chosen[i]);
        rc = place(files[i].fd, w->rootfs_fd, path, e);
    }
    fetch_files_close(files, n);
    return rc;
}

static bool is_sound(const struct deb_package *d, int algo)
{
    auto_free char *file = mem_strndup(d->filename.text, d->filename.len);
    auto_free char *sum = mem_strndup(d->sha256.text, d->sha256.len);
    auto_free char *path = archive_path(d);
    return path && url_path_safe(file) && store_hex_ok(algo, sum) && d->size_bytes;
}

static int fetch_packages(struct work *w, struct err *e)
{
    const struct deb_package *batch[BATCH];
    size_t n = 0;
    for (size_t i = 0; i < w->components.n; i++)
        for (size_t j = 0; j < w->lists[i].n; j++) {
            const struct deb_package *d = &w->lists[i].all[j];
            if (!d->chosen || !is_sound(d, store_algo("sha256")))
                continue;
            batch[n++] = d;
            if (n == BATCH && fetch_batch(w, batch, n, e) < 0)
                return -1;
            n %= BATCH;
        }
    return n ? fetch_batch(w, batch, n, e) : 0;
}

/* The chosen stanzas beside each list, and all names: see deb_functions. */
static int write_few(const struct work *w, struct err *e)
{
    auto_str struct str names = { 0 };
    auto_str struct str few_names = { 0 };
    for (size_t i = 0; i < w->components.n; i++) {
        auto_str struct str few = { 0 };
        for (size_t j = 0; j < w->lists[i].n; j++) {
            const struct deb_package *d = &w->lists[i].all[j];
            str_add_n(&names, d->name.text, d->name.len);
            str_add_c(&names, '\n');
            if (!d->chosen)
                continue;
            str_add_n(&few_names, d->name.text, d->name.len);
            str_add_c(&few_names, '\n');
            str_add_n(&few, d->stanza.text, d->stanza.len);
            str_add(&few, few.len && few.data[few.len - 1] == '\n' ? "\n" : "\n\n");
        }
        auto_free char *list = list_path(w, w->components.v[i]);
        auto_free char *path = mem_printf("%s.few", list);
        if (fs_write_at(w->rootfs_fd, path, &few, 0644, e) < 0)
            return -1;
    }
    return fs_write_at(w->rootfs_fd, DEB_OWN_DIR "/names", &names, 0644, e) < 0
               ? -1
               : fs_write_at(w->rootfs_fd, DEB_OWN_DIR "/few", &few_names, 0644, e);
}

/* The signed Release for a debootstrap that cannot fetch it itself. */
static int write_release(const struct work *w, struct err *e)
{
    const char *name =
        w->r->detached ? DEB_OWN_DIR "/release/Release" : DEB_OWN_DIR "/release/InRelease";
    if (fs_write_at(w->rootfs_fd, name, &w->r->raw, 0644, e) < 0)
        return -1;
    return w->r->signature.len ? fs_write_at(w->rootfs_fd, DEB_OWN_DIR "/release/Release.gpg",
                                             &w->r->signature, 0644, e)
                               : 0;
}

/* debootstrap asks its lists some thirty times, reading 50 MB each time. Its functions are wrapped
 * so that a question about chosen packages alone is put to the chosen stanzas; any other goes the
 * whole way. */
static int write_functions(const struct work *w, struct err *e)
{
    static const char text[] = ". /usr/share/debootstrap/functions\n"
                               "hpcc_details=$PKGDETAILS\n"
                               "hpcc_list () {\n"
                               "\thpcc_file=$1; shift\n"
                               "\tif [ ! -e \"$hpcc_file.few\" ] || printf '%s\\n' \"$@\" |\n"
                               "\t\tgrep -Fxvf \"$DEBOOTSTRAP_DIR/few\" |\n"
                               "\t\tgrep -Fxqf - \"$DEBOOTSTRAP_DIR/names\"; then\n"
                               "\t\techo \"$hpcc_file\"\n"
                               "\telse\n"
                               "\t\techo \"$hpcc_file.few\"\n"
                               "\tfi\n"
                               "}\n"
                               "hpcc_pkgdetails () {\n"
                               "\tlocal mode=$1 mirror list\n"
                               "\tcase $mode in\n"
                               "\tGETDEPS | STANZAS)\n"
                               "\t\tlist=$2; shift 2\n"
                               "\t\tset -- \"$mode\" \"$(hpcc_list \"$list\" \"$@\")\" \"$@\" ;;\n"
                               "\tPKGS)\n"
                               "\t\tmirror=$2; list=$3; shift 3\n"
                               "\t\tset -- \"$mode\" \"$mirror\" "
                               "\"$(hpcc_list \"$list\" \"$@\")\" \"$@\" ;;\n"
                               "\tesac\n"
                               "\t\"$hpcc_details\" \"$@\"\n"
                               "}\n"
                               "[ -z \"$PKGDETAILS\" ] || PKGDETAILS=hpcc_pkgdetails\n";
    static const char no_wget[] = "wgetprogress () {\n"
                                  "\twhile [ $# -gt 2 ]; do shift; done\n"
                                  "\tcp \"$DEBOOTSTRAP_DIR/release/${2##*/}\" \"$1\"\n"
                                  "}\n";
    auto_str struct str functions = { 0 };
    str_add(&functions, text);
    if (w->secret)
        str_add(&functions, no_wget);
    if (w->secret && write_release(w, e) < 0)
        return -1;
    if (fs_symlink_at(w->rootfs_fd, "/usr/share/debootstrap/scripts", DEB_OWN_DIR "/scripts", e) <
        0)
        return -1;
    return fs_write_at(w->rootfs_fd, DEB_OWN_DIR "/functions", &functions, 0644, e);
}

int deb_prefetch(const struct agent_input *in, const struct deb_plan *p,
                 const struct deb_release *r, int rootfs_fd, bool *ready, struct err *e)
{
    auto_work struct work w = {
        .p = p, .r = r, .rootfs_fd = rootfs_fd, .secret = deb_jail_secret(p, in->proxy_env)
    };
    *ready = false;
    w.fetch = (struct fetch){ .store_fd = -1,
                              .proxy_env = in->proxy_env,
                              .stage = "fetch package lists" };
    if (str_starts(p->mirror, "ftp:"))
        return 0;
    auto_err struct err why = { 0 };
    if (in->cache_dir && (w.fetch.store_fd = store_dir_open(in->cache_dir, "files", &why)) < 0)
        log_warn("%s", why.msg);
    strv_add(&w.mirrors, p->mirror);
    strv_add_all(&w.components, (const char *const *)p->components.v);
    if (!w.components.n)
        strv_add(&w.components, "main");
    w.lists = mem_zero(w.components.n, sizeof *w.lists);
    if (fetch_lists(&w, ready, e) < 0 || (*ready && choose(&w, e) < 0))
        return -1;
    if (!*ready) {
        log_verbose("debootstrap fetches by itself: the Release is not of the usual kind");
        return 0;
    }
    w.fetch.stage = "fetch packages";
    if (fs_mkdirs_at(rootfs_fd, "/var/cache/apt/archives", 0755, e) < 0)
        return -1;
    return fetch_packages(&w, e) < 0 || write_few(&w, e) < 0 ? -1 : write_functions(&w, e);
}
