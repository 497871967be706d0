/* SPDX-License-Identifier: BSD-3-Clause */
#include <fcntl.h>
#include <rpm/rpmpgp.h>
#include <sqlite3.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/proc.h"
#include "bootstrap/rpm/install.h"

/* librpm here writes sqlite. The target's own rpm may keep its database elsewhere or in another
 * format (bdb up to EL8, ndb in SUSE): only it can say, so it is asked, inside the root. */

/* A database in WAL mode cannot be opened on a read-only mount once its -wal and -shm files are
 * gone; an image is read-only. */
static int leave_wal(const char *dbpath, struct err *e)
{
    auto_free char *path = mem_printf("%s/rpmdb.sqlite", dbpath);
    sqlite3 *db = NULL;
    int rc = sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(db, "PRAGMA journal_mode=DELETE", NULL, NULL, NULL);
    sqlite3_close(db);
    return rc == SQLITE_OK
               ? 0
               : err_set(e, ERR_FAILED, "cannot finish '%s': %s", path, sqlite3_errstr(rc));
}

struct answer {
    const struct yum_install_spec *in;
    struct str first; /* its first line */
    size_t n;         /* lines that are no keys */
    bool pass_fds;
};

static void on_line(void *ctx, const char *line)
{
    struct answer *a = ctx;
    if (!a->first.len && line[0])
        str_add(&a->first, line);
    a->n += !str_starts(line, "gpg-pubkey");
}

static int before_exec(void *ctx)
{
    const struct answer *a = ctx;
    for (size_t i = 0; a->pass_fds && i < a->in->trans->n; i++)
        if (lseek(a->in->fds[i], 0, SEEK_SET) < 0 || fcntl(a->in->fds[i], F_SETFD, 0) < 0)
            return -1;
    return 0;
}

/* Run the target's rpm; *STATUS gets its exit status. */
static int ask(const char *const *argv, struct answer *a, int *status, struct err *e)
{
    str_reset(&a->first);
    a->n = 0;
    return proc_run(&(struct proc_spec){ .argv = argv,
                                         .stdin_fd = -1,
                                         .stdout_fd = -1,
                                         .stderr_fd = -1,
                                         .on_line = on_line,
                                         .before_exec = before_exec,
                                         .ctx = a,
                                         .timeout_ms = 300000 },
                    status, e);
}

static const char *find_rpm(void)
{
    static const char *const places[] = { "/usr/bin/rpm", "/bin/rpm" };
    for (size_t i = 0; i < ARRAY_LEN(places); i++)
        if (access(places[i], X_OK) == 0)
            return places[i];
    return NULL;
}

static int drop_db(const char *dbpath, struct err *e)
{
    auto_close int fd = open(dbpath, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return err_sys(e, "cannot open '%s'", dbpath);
    static const char *const names[] = { "rpmdb.sqlite", "rpmdb.sqlite-wal", "rpmdb.sqlite-shm",
                                         ".rpm.lock" };
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (unlinkat(fd, names[i], 0) < 0 && errno != ENOENT)
            return err_sys(e, "cannot remove '%s/%s'", dbpath, names[i]);
    return 0;
}

static int import_key(const char *rpm, const struct key *k, struct answer *a, struct err *e)
{
    const char *path = YUM_JAIL_DIR "/key";
    auto_free char *text = pgpArmorWrap(PGPARMOR_PUBKEY, k->packets, k->len);
    auto_close int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || fs_write_full(fd, text, strlen(text)) < 0)
        return err_sys(e, "cannot hand a key to the root's rpm");
    const char *argv[] = { rpm, "--import", path, NULL };
    int status = 0;
    return ask(argv, a, &status, e);
}

/* Have the target's rpm enter every package into a database of its own making. */
static int register_anew(const char *rpm, struct answer *a, struct err *e)
{
    auto_strv struct strv argv = { 0 };
    int status = 0;
    const char *init[] = { rpm, "--initdb", NULL };
    if (ask(init, a, &status, e) < 0)
        return -1;
    static const char *const options[] = {
        "-i",        "--justdb",      "--noscripts", "--notriggers", "--nodeps",
        "--noorder", "--nosignature", "--nodigest",  "--ignorearch", "--ignoreos",
        NULL
    };
    strv_add(&argv, rpm);
    strv_add_all(&argv, options);
    if (a->in->spec->no_docs)
        strv_add(&argv, "--excludedocs");
    for (size_t i = 0; i < a->in->trans->n; i++)
        strv_addf(&argv, "/proc/self/fd/%d", a->in->fds[i]);
    a->pass_fds = true;
    int rc = ask((const char *const *)argv.v, a, &status, e);
    a->pass_fds = false;
    if (rc == 0 && status != 0)
        return err_set(e, ERR_FAILED, "the root's own rpm cannot register the packages: %s",
                       str_text(&a->first));
    for (size_t i = 0; rc == 0 && a->in->spec->verify && i < a->in->keys->n; i++)
        rc = import_key(rpm, &a->in->keys->v[i], a, e);
    return rc;
}

static int count(const char *rpm, struct answer *a, size_t *n, struct err *e)
{
    const char *argv[] = { rpm, "-qa", NULL };
    int status = 0;
    if (ask(argv, a, &status, e) < 0)
        return -1;
    *n = status == 0 ? a->n : 0;
    return 0;
}

/* Make the target's rpm list all packages. */
static int agree(const char *rpm, const char *dbpath, struct answer *a, int out_fd, struct err *e)
{
    const char *argv[] = { rpm, "--eval", "%{_dbpath}", NULL };
    size_t n = 0, want = a->in->trans->n;
    int status = 0;
    if (ask(argv, a, &status, e) < 0)
        return -1;
    bool same_place = status == 0 && str_eq(str_text(&a->first), dbpath);
    if (same_place && count(rpm, a, &n, e) < 0)
        return -1;
    if (n == want)
        return 0;
    yum_say(out_fd, YUM_INFO,
            "the root's rpm reads another database (%s): it registers the packages",
            str_text(&a->first));
    if (drop_db(dbpath, e) < 0 || register_anew(rpm, a, e) < 0 || count(rpm, a, &n, e) < 0)
        return -1;
    if (n == want)
        return 0;
    err_set(e, ERR_FAILED, "the root's own rpm lists %zu packages, not the %zu installed", n, want);
    return err_hint(e, "its database has a format that neither librpm here nor itself could write");
}

int yum_db_finish(const struct yum_install_spec *in, const char *dbpath, int out_fd, struct err *e)
{
    struct answer a = { .in = in };
    const char *rpm = find_rpm();
    if (leave_wal(dbpath, e) < 0)
        return -1;
    int rc = rpm ? agree(rpm, dbpath, &a, out_fd, e) : 0;
    str_free(&a.first);
    return rc;
}
