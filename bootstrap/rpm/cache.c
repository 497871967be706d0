/* SPDX-License-Identifier: BSD-3-Clause */
#include "bootstrap/rpm/md.h"

#include <fcntl.h>
#include <rpm/rpmpgp.h>
#include <solv/repo_solv.h>
#include <solv/repo_write.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "bootstrap/fetch/fetch.h"

/* Parsed metadata is kept in libsolv's own format, named by the checksum of the repomd.xml it came
 * from. libsolv trusts its files, so each ends in a checksum of ours and is taken only when it is
 * ours alone (a cache may lie on a shared file system). */

enum { TRAILER = 64 };

static char *cache_name(const struct yum_repo *r)
{
    return mem_printf("%s%s.solv", r->sum, r->has_filelists ? "-paths" : "");
}

static bool holds(int fd)
{
    struct stat st;
    char want[TRAILER + 1] = "";
    struct store_sum sum = { 0 };
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_uid != geteuid() ||
        (st.st_mode & 022) || st.st_size <= TRAILER)
        return false;
    uint64_t body = (uint64_t)st.st_size - TRAILER;
    if (fs_pread_full(fd, want, TRAILER, body) != TRAILER ||
        store_sum_start(&sum, PGPHASHALGO_SHA256, NULL) < 0)
        return false;
    bool read_ok = store_sum_fd(&sum, fd, body) == 0;
    return store_sum_is(&sum, want) && read_ok;
}

static bool read_named(struct yum_pool *p, struct yum_repo *r)
{
    auto_free char *name = cache_name(r);
    auto_close int fd = openat(p->cache_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || !holds(fd) || lseek(fd, 0, SEEK_SET) < 0)
        return false;
    auto_file FILE *f = fdopen(fd, "r");
    if (!f)
        return false;
    steal_fd(&fd); /* closed by F */
    if (repo_add_solv(r->repo, f, 0) == 0)
        return true;
    repo_empty(r->repo, 1);
    return false;
}

bool yum_cache_read(struct yum_pool *p, struct yum_repo *r)
{
    if (p->cache_fd < 0)
        return false;
    /* The one with paths in it knows more. */
    r->has_filelists = true;
    if (read_named(p, r))
        return true;
    r->has_filelists = false;
    return read_named(p, r);
}

/* What solving and fetching need; descriptions, licences and the like stay out. */
static int wanted_key(Repo *repo, Repokey *key, void *ctx)
{
    static const Id dropped[] = { SOLVABLE_SUMMARY,   SOLVABLE_DESCRIPTION, SOLVABLE_URL,
                                  SOLVABLE_PACKAGER,  SOLVABLE_LICENSE,     SOLVABLE_GROUP,
                                  SOLVABLE_BUILDHOST, SOLVABLE_BUILDTIME,   SOLVABLE_SOURCENAME,
                                  SOLVABLE_SOURCEEVR, SOLVABLE_SOURCEARCH,  SOLVABLE_HEADEREND,
                                  SOLVABLE_MEDIANR };
    for (size_t i = 0; i < ARRAY_LEN(dropped); i++)
        if (key->name == dropped[i])
            return KEY_STORAGE_DROPPED;
    int storage = repo_write_stdkeyfilter(repo, key, ctx);
    return storage == KEY_STORAGE_VERTICAL_OFFSET ? KEY_STORAGE_INCORE : storage;
}

static void mark_file_ids(Repo *repo, const Queue *file_ids)
{
    Repodata *data = repo_id2repodata(repo, 1);
    if (!data)
        return;
    repodata_unset(data, SOLVID_META, REPOSITORY_ADDEDFILEPROVIDES);
    for (int i = 0; i < file_ids->count; i++)
        repodata_add_idarray(data, SOLVID_META, REPOSITORY_ADDEDFILEPROVIDES,
                             file_ids->elements[i]);
    repodata_internalize(data);
}

static int write_body(struct yum_repo *r, int fd)
{
    auto_close int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    auto_file FILE *f = copy < 0 ? NULL : fdopen(copy, "w");
    if (!f)
        return -1;
    steal_fd(&copy);
    Repowriter *w = repowriter_create(r->repo);
    repowriter_set_keyfilter(w, wanted_key, NULL);
    int rc = repowriter_write(w, f);
    repowriter_free(w);
    return rc != 0 || fflush(f) != 0 ? -1 : 0;
}

static int write_trailer(int fd)
{
    void *hex = NULL;
    size_t len = 0;
    struct store_sum sum = { 0 };
    off_t end = lseek(fd, 0, SEEK_END);
    if (end < 0 || store_sum_start(&sum, PGPHASHALGO_SHA256, NULL) < 0 ||
        store_sum_fd(&sum, fd, UINT64_MAX) < 0)
        return -1;
    rpmDigestFinal(sum.ctx, &hex, &len, 1);
    int rc = fs_pwrite_full(fd, hex, TRAILER, (uint64_t)end);
    free(hex);
    return rc;
}

void yum_cache_write(struct yum_pool *p, struct yum_repo *r)
{
    mark_file_ids(r->repo, &p->file_ids);
    if (p->cache_fd < 0)
        return;
    auto_free char *name = cache_name(r);
    auto_free char *temp = mem_printf(".%s.%d", name, (int)getpid());
    auto_close int fd =
        openat(p->cache_fd, temp, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return;
    if (write_body(r, fd) < 0 || write_trailer(fd) < 0 ||
        renameat(p->cache_fd, temp, p->cache_fd, name) < 0) {
        log_debug("cannot keep the parsed metadata of '%s'", r->source->id);
        unlinkat(p->cache_fd, temp, 0);
    }
}
