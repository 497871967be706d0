/* SPDX-License-Identifier: BSD-3-Clause */
#include <fcntl.h>
#include <rpm/rpmdb.h>
#include <rpm/rpmlib.h>
#include <rpm/rpmlog.h>
#include <rpm/rpmmacro.h>
#include <rpm/rpmts.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "base/mem.h"
#include "bootstrap/rpm/install.h"

#define DB_OLD "/var/lib/rpm"          /* EL up to 9, SUSE up to Leap 15.1 */
#define DB_NEW "/usr/lib/sysimage/rpm" /* Fedora from 36, SUSE */

/* The transaction under way; what librpm's callbacks get. */
struct run {
    const struct yum_install_spec *in;
    int out_fd;
    rpmts ts;
    FD_t open;
    size_t n_done;
    bool fatal;
    bool old_digest;    /* a package whose payload only MD5 covers: EL 7 and older */
    const char *dbpath; /* static */
};

static int on_log(rpmlogRec rec, rpmlogCallbackData data)
{
    const struct run *r = data;
    if (rpmlogRecPriority(rec) <= RPMLOG_WARNING)
        yum_say(r->out_fd, YUM_LOG, "%s", rpmlogRecMessage(rec));
    return 0;
}

static const char *script_name(rpm_loff_t tag)
{
    switch ((rpmTagVal)tag) {
    case RPMTAG_PRETRANS:
        return "%pretrans";
    case RPMTAG_PREIN:
        return "%pre";
    case RPMTAG_POSTIN:
        return "%post";
    case RPMTAG_POSTTRANS:
        return "%posttrans";
    case RPMTAG_TRIGGERIN:
        return "%triggerin";
    case RPMTAG_FILETRIGGERIN:
        return "%filetriggerin";
    case RPMTAG_TRANSFILETRIGGERIN:
        return "%transfiletriggerin";
    default:
        return "scriptlet";
    }
}

static FD_t open_package(struct run *r, fnpyKey key)
{
    size_t i = (size_t)(uintptr_t)key - 1;
    if (i >= r->in->trans->n || lseek(r->in->fds[i], 0, SEEK_SET) < 0)
        return NULL;
    if (r->open)
        Fclose(r->open);
    r->open = fdDup(r->in->fds[i]);
    return r->open;
}

/* Style 1: WHO is an rpmte. For triggers there is none now and then. */
static void *on_event(const void *who, const rpmCallbackType what, const rpm_loff_t amount,
                      const rpm_loff_t total, fnpyKey key, rpmCallbackData data)
{
    struct run *r = data;
    const char *name = who ? rpmteN((rpmte)who) : "a package";
    switch (what) {
    case RPMCALLBACK_INST_OPEN_FILE:
        return open_package(r, key);
    case RPMCALLBACK_INST_CLOSE_FILE:
        if (r->open)
            Fclose(r->open);
        r->open = NULL;
        break;
    case RPMCALLBACK_INST_STOP:
        yum_say(r->out_fd, YUM_PROGRESS, "%zu %s", ++r->n_done, name);
        break;
    case RPMCALLBACK_SCRIPT_START:
        yum_say(r->out_fd, YUM_SCRIPT_START, "%s %s", name, script_name(amount));
        break;
    case RPMCALLBACK_SCRIPT_STOP:
        yum_say(r->out_fd, YUM_SCRIPT_END, "%s", name);
        break;
    case RPMCALLBACK_SCRIPT_ERROR:
        r->fatal = r->fatal || total != RPMRC_OK;
        yum_say(r->out_fd, total != RPMRC_OK ? YUM_SCRIPT_FATAL : YUM_SCRIPT_FAILED, "%s %s", name,
                script_name(amount));
        break;
    case RPMCALLBACK_UNPACK_ERROR:
    case RPMCALLBACK_CPIO_ERROR:
        r->fatal = true;
        yum_say(r->out_fd, YUM_ERROR, "package '%s' cannot be unpacked", name);
        break;
    default:
        break;
    }
    return NULL;
}

/* ── reading the packages ───────────────────────────────────────────────────────────────────────*/

/* The signature over H is there and made with a hash of today. */
static int check_signature(Header h, const char *name, struct err *e)
{
    static const rpmTagVal tags[] = { RPMTAG_RSAHEADER, RPMTAG_DSAHEADER };
    for (size_t i = 0; i < ARRAY_LEN(tags); i++) {
        struct rpmtd_s td;
        if (!headerGet(h, tags[i], &td, HEADERGET_MINMEM))
            continue;
        pgpDigParams sig = NULL;
        unsigned hash = 0;
        if (pgpPrtParams(td.data, td.count, PGPTAG_SIGNATURE, &sig) == 0)
            hash = pgpDigParamsAlgo(sig, PGPVAL_HASHALGO);
        pgpDigParamsFree(sig);
        rpmtdFreeData(&td);
        if (hash >= PGPHASHALGO_SHA256 && hash <= PGPHASHALGO_SHA224)
            return 0;
        err_set(e, ERR_FAILED, "package '%s' is signed with a hash weaker than SHA-256", name);
        return err_hint(e, "--no-verify takes it all the same");
    }
    err_set(e, ERR_FAILED, "package '%s' is not signed", name);
    return err_hint(e, "--no-verify takes it all the same");
}

static int check_read(const struct run *r, rpmRC rc, Header h, const struct yum_package *p,
                      struct err *e)
{
    const char *repo = p->repo->source->id;
    bool verify = r->in->spec->verify;
    if (verify && (rc == RPMRC_NOKEY || rc == RPMRC_NOTTRUSTED)) {
        auto_free char *known = keys_text(r->in->keys);
        err_set(e, ERR_FAILED,
                "package '%s' of repository '%s' is signed by a key that is none of: "
                "%s",
                p->name, repo, known);
        return err_hint(e, "add its key with 'Key:'");
    }
    if (!h || (rc != RPMRC_OK && rc != RPMRC_NOKEY && rc != RPMRC_NOTTRUSTED))
        return err_set(e, ERR_FAILED,
                       "package '%s' of repository '%s' is damaged or its signature "
                       "is BAD",
                       p->name, repo);
    if (verify && check_signature(h, p->name, e) < 0)
        return -1;
    auto_free char *evr = headerGetAsString(h, RPMTAG_EVR);
    const char *want = str_starts(p->evr, "0:") ? p->evr + 2 : p->evr;
    const char *have = evr && str_starts(evr, "0:") ? evr + 2 : evr;
    if (!str_eq(headerGetString(h, RPMTAG_NAME), p->name) || !str_eq(have, want))
        return err_set(e, ERR_FAILED,
                       "the file of package '%s-%s' of repository '%s' holds another "
                       "package",
                       p->name, want, repo);
    return 0;
}

/* Where the target's rpm keeps its database: a package that brings the new place tells. */
static void note_dbpath(struct run *r, Header h)
{
    struct rpmtd_s dirs;
    const char *dir;
    const char *name = headerGetString(h, RPMTAG_NAME);
    if (!name || (!str_starts(name, "rpm") && !str_starts(name, "filesystem")) ||
        !headerGet(h, RPMTAG_DIRNAMES, &dirs, HEADERGET_MINMEM))
        return;
    while ((dir = rpmtdNextString(&dirs)))
        if (str_starts(dir, DB_NEW "/"))
            r->dbpath = DB_NEW;
    rpmtdFreeData(&dirs);
    struct rpmtd_s files;
    if (!headerGet(h, RPMTAG_FILENAMES, &files, HEADERGET_EXT))
        return;
    while ((dir = rpmtdNextString(&files)))
        if (str_eq(dir, DB_NEW))
            r->dbpath = DB_NEW;
    rpmtdFreeData(&files);
}

/* Device files of H, to be left out: nobody makes any in a build, and a container brings its own
 * /dev. Ended by an entry without a path; the strings stay H's. */
static rpmRelocation *device_files(struct run *r, Header h, struct rpmtd_s *names)
{
    struct rpmtd_s modes;
    size_t n = 0;
    bool named = headerGet(h, RPMTAG_FILENAMES, names, HEADERGET_EXT);
    rpmRelocation *list = mem_zero((named ? rpmtdCount(names) : 0) + 1, sizeof *list);
    if (!named || !headerGet(h, RPMTAG_FILEMODES, &modes, HEADERGET_MINMEM))
        return list;
    while (rpmtdNext(names) >= 0 && rpmtdNext(&modes) >= 0) {
        mode_t mode = (mode_t)rpmtdGetNumber(&modes);
        if (!S_ISCHR(mode) && !S_ISBLK(mode))
            continue;
        list[n++].oldPath = (char *)rpmtdGetString(names);
        yum_say(r->out_fd, YUM_INFO, "device file '%s' of package '%s' is left out",
                rpmtdGetString(names), headerGetString(h, RPMTAG_NAME));
    }
    rpmtdFreeData(&modes);
    return list;
}

/* Takes copies of all it is given. */
static int add_element(struct run *r, Header h, size_t i)
{
    struct rpmtd_s names = { 0 };
    auto_free rpmRelocation *left_out = device_files(r, h, &names);
    int rc = rpmtsAddInstallElement(r->ts, h, (fnpyKey)(uintptr_t)(i + 1), 0,
                                    left_out[0].oldPath ? left_out : NULL);
    rpmtdFreeData(&names);
    return rc;
}

static int add_package(struct run *r, size_t i, struct err *e)
{
    const struct yum_package *p = &r->in->trans->v[i];
    Header h = NULL;
    if (lseek(r->in->fds[i], 0, SEEK_SET) < 0)
        return err_sys(e, "cannot read package '%s'", p->name);
    FD_t fd = fdDup(r->in->fds[i]);
    rpmRC rc = rpmReadPackageFile(r->ts, fd, p->name, &h);
    Fclose(fd);
    int result = check_read(r, rc, h, p, e);
    if (result == 0) {
        note_dbpath(r, h);
        r->old_digest = r->old_digest || !headerIsEntry(h, RPMTAG_PAYLOADDIGEST);
        if (add_element(r, h, i) != 0)
            result = err_set(e, ERR_FAILED, "librpm does not take package '%s'", p->name);
    }
    headerFree(h);
    return result;
}

/* ── running it ─────────────────────────────────────────────────────────────────────────────────*/

/* What librpm objects to, as one message. */
static int problems(struct run *r, const char *what, struct err *e)
{
    rpmps ps = rpmtsProblems(r->ts);
    rpmpsi it = rpmpsInitIterator(ps);
    rpmProblem problem;
    auto_str struct str text = { 0 };
    unsigned n = 0;
    while ((problem = rpmpsiNext(it)) && n++ < 10) {
        auto_free char *one = rpmProblemString(problem);
        str_addf(&text, "\n  %s", one);
    }
    rpmpsFreeIterator(it);
    rpmpsFree(ps);
    if (!n)
        return 0;
    return err_set(e, ERR_FAILED, "%s:%s", what, str_text(&text));
}

/* librpm records only keys that its keyring does not have yet: it gets a new one. */
static int import_keys(struct run *r, struct err *e)
{
    rpmKeyring ring = rpmKeyringNew();
    if (r->in->spec->verify)
        rpmtsSetKeyring(r->ts, ring);
    rpmKeyringFree(ring);
    for (size_t i = 0; r->in->spec->verify && i < r->in->keys->n; i++) {
        const struct key *k = &r->in->keys->v[i];
        if (rpmtsImportPubkey(r->ts, k->packets, k->len) != RPMRC_OK)
            return err_set(e, ERR_FAILED, "librpm does not take key %s", k->fingerprint);
    }
    return 0;
}

static int open_db(struct run *r, struct err *e)
{
    auto_free char *macro = mem_printf("_dbpath %s", r->dbpath);
    if (rpmDefineMacro(NULL, macro, RMIL_CMDLINE) != 0 || rpmtsOpenDB(r->ts, O_RDWR | O_CREAT) != 0)
        return err_set(e, ERR_FAILED, "librpm cannot make its database in '%s'", r->dbpath);
    return import_keys(r, e);
}

static int run_transaction(struct run *r, struct err *e)
{
    if (rpmtsCheck(r->ts) != 0)
        return err_set(e, ERR_FAILED, "librpm cannot check the packages");
    if (problems(r, "the packages do not fit together", e) < 0)
        return -1;
    if (rpmtsOrder(r->ts) != 0)
        return err_set(e, ERR_FAILED, "librpm cannot order the packages");
    if (!r->old_digest) /* MD5 beside SHA-256 proves nothing and takes as long */
        rpmtsSetVfyFlags(r->ts, rpmtsVfyFlags(r->ts) | RPMVSF_NOMD5);
    int rc = rpmtsRun(r->ts, NULL, RPMPROB_FILTER_IGNOREARCH | RPMPROB_FILTER_IGNOREOS);
    if (rc == 0 && !r->fatal)
        return 0;
    if (rc > 0 && problems(r, "librpm refuses the packages", e) < 0)
        return -1;
    return err_set(e, ERR_FAILED, "the packages were not installed");
}

static void set_up(struct run *r)
{
    rpmtransFlags flags = RPMTRANS_FLAG_NOPLUGINS | RPMTRANS_FLAG_NOCONTEXTS;
    if (r->in->spec->no_docs)
        flags |= RPMTRANS_FLAG_NODOCS;
    rpmtsSetRootDir(r->ts, "/");
    rpmtsSetFlags(r->ts, flags);
    rpmtsSetVSFlags(r->ts, RPMVSF_DEFAULT);
    rpmtsSetVfyLevel(r->ts, r->in->spec->verify ? RPMSIG_SIGNATURE_TYPE | RPMSIG_DIGEST_TYPE
                                                : RPMSIG_DIGEST_TYPE);
    rpmtsSetNotifyStyle(r->ts, 1);
    rpmtsSetNotifyCallback(r->ts, on_event, r);
    if (r->in->spec->verify)
        rpmtsSetKeyring(r->ts, r->in->keys->ring);
}

int yum_child_run(const struct yum_install_spec *in, int out_fd, struct err *e)
{
    struct run r = { .in = in, .out_fd = out_fd, .dbpath = DB_OLD };
    if (yum_config_load(in->spec->arch, e) < 0)
        return -1;
    rpmlogSetCallback(on_log, &r);
    r.ts = rpmtsCreate();
    set_up(&r);
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < in->trans->n; i++)
        rc = add_package(&r, i, e);
    if (rc == 0)
        rc = open_db(&r, e);
    if (rc == 0)
        rc = run_transaction(&r, e);
    rpmtsCloseDB(r.ts);
    rpmtsFree(r.ts);
    return rc < 0 ? -1 : yum_db_finish(in, r.dbpath, out_fd, e);
}
