/* SPDX-License-Identifier: BSD-3-Clause */
#include "bootstrap/rpm/rpm.h"

#include <rpm/rpmlog.h>
#include <solv/poolarch.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "bootstrap/fetch/fetch.h"
#include "bootstrap/rpm/install.h"
#include "bootstrap/value.h"
#include "bootstrap/vault.h"

const struct agent_key yum_keys[] = {
    { "OSVersion", AGENT_KEY_OPTIONAL,
      "the release, e.g. 9; put in for %{OSVERSION}, $releasever" },
    { "MirrorURL", AGENT_KEY_OPTIONAL,
      "address of a repository, e.g. https://mirror.example.org/%{OSVERSION}/BaseOS/$basearch/os" },
    { "MirrorList", AGENT_KEY_OPTIONAL, "address of a list of such addresses" },
    { "MetaLink", AGENT_KEY_OPTIONAL, "address of a metalink of the repository" },
    { "UpdateURL", AGENT_KEY_OPTIONAL, "address of a repository with newer packages" },
    { "UpdateMetaLink", AGENT_KEY_OPTIONAL, "the same as a metalink" },
    { "OtherURL<N>", AGENT_KEY_OPTIONAL, "OtherURL0 to OtherURL9: further repositories" },
    { "Include", AGENT_KEY_OPTIONAL, "packages: names, globs, /paths, @groups" },
    { "Key", AGENT_KEY_OPTIONAL,
      "public keys the repositories are signed with: path, https:// address or fingerprint, or any "
      "address with fingerprints behind it; absent: those of the distribution" },
    { "GPG", AGENT_KEY_OPTIONAL, "as Key" },
    { "Keyring", AGENT_KEY_OPTIONAL, "as Key" },
    { "Fingerprints", AGENT_KEY_OPTIONAL, "trust only keys with these fingerprints" },
    { "Modules", AGENT_KEY_OPTIONAL, "module streams to enable, e.g. nodejs:18" },
    { "Recommends", AGENT_KEY_OPTIONAL, "yes: weak dependencies too" },
    { "NoDocs", AGENT_KEY_OPTIONAL, "yes: leave documentation out" },
    { "SetOpt", AGENT_KEY_OPTIONAL, "options in dnf's words, e.g. updates.priority=10" },
    { 0 },
};

static int on_rpm_log(rpmlogRec rec, rpmlogCallbackData data)
{
    (void)data;
    auto_free char *text = str_printable(rpmlogRecMessage(rec));
    text[strcspn(text, "\n")] = 0;
    log_debug("librpm: %s", text);
    return 0; /* librpm itself prints nothing */
}

/* Dead addresses become those of the archives. */
static void apply_vault(struct yum_spec *spec)
{
    for (size_t i = 0; i < spec->n_sources; i++) {
        struct yum_source *src = &spec->sources[i];
        char *moved = NULL;
        bool was_list = false;
        if (!vault_url_moved(src->url, &moved, &was_list))
            continue;
        auto_free char *notice = vault_notice(src->url, moved);
        log_warn("%s", notice);
        free(src->url);
        src->url = moved;
        src->kind = was_list ? YUM_SOURCE_URL : src->kind;
    }
}

/* The header that says where keys come from; that of the repositories when none does. */
static const char *key_header(const struct agent_input *in)
{
    static const char *const names[] = { "key", "gpg", "keyring" };
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (deffile_header_find(in->stage, names[i]))
            return names[i];
    return "mirrorurl";
}

static int open_keys(struct yum_session *s, struct err *e)
{
    auto_strv struct strv urls = { 0 };
    for (size_t i = 0; i < s->spec->n_sources; i++)
        strv_add(&urls, s->spec->sources[i].url);
    struct keys_spec spec = { .sources = &s->spec->keys,
                              .pins = &s->spec->pins,
                              .base_dir = s->spec->base_dir,
                              .release = s->spec->releasever,
                              .hunt = { .fetch = &s->fetch,
                                        .urls = &urls,
                                        .server = s->in->key_server,
                                        .cache_dir = s->in->cache_dir } };
    if (keys_load(&spec, &s->keys, e) == 0)
        return 0;
    value_blame(s->in, key_header(s->in), e);
    return -1;
}

static int open_caches(struct yum_session *s, struct err *e)
{
    if (!s->in->cache_dir)
        return 0;
    s->fetch.store_fd = store_dir_open(s->in->cache_dir, "files", e);
    if (s->fetch.store_fd < 0)
        return -1;
    s->pool.cache_fd = store_dir_open(s->in->cache_dir, "solv", e);
    return s->pool.cache_fd < 0 ? -1 : 0;
}

static int open_repos(struct yum_session *s, struct err *e)
{
    struct yum_pool *p = &s->pool;
    struct yum_opening o = { .spec = s->spec,
                             .fetch = &s->fetch,
                             .keys = s->spec->verify ? &s->keys : NULL };
    p->repos = mem_zero(s->spec->n_sources, sizeof *p->repos);
    for (size_t i = 0; i < s->spec->n_sources; i++) {
        if (yum_repo_open(&o, &s->spec->sources[i], &p->repos[i], e) < 0)
            return -1;
        p->n_repos++;
    }
    return 0;
}

static int open_pool(struct yum_session *s, struct err *e)
{
    struct yum_pool *p = &s->pool;
    p->pool = pool_create();
    pool_setdisttype(p->pool, DISTTYPE_RPM);
    pool_setarch(p->pool, s->spec->arch);
    pool_set_flag(p->pool, POOL_FLAG_ADDFILEPROVIDESFILTERED, 1);
    return yum_pool_load(p, e);
}

static int open_all(struct yum_session *s, struct err *e)
{
    if (s->in->vault)
        apply_vault(s->spec);
    if (open_caches(s, e) < 0)
        return -1;
    if (s->spec->verify && open_keys(s, e) < 0)
        return -1;
    if (open_repos(s, e) < 0 || open_pool(s, e) < 0)
        return -1;
    return yum_solve(s->spec, &s->pool, &s->trans, e);
}

int yum_session_open(const struct agent_input *in, struct yum_session *out, struct err *e)
{
    rpmlogSetCallback(on_rpm_log, NULL);
    *out = (struct yum_session){
        .in = in,
        .fetch = { .store_fd = -1, .proxy_env = in->proxy_env, .stage = "metadata" },
        .pool = { .cache_fd = -1, .fetch = &out->fetch },
    };
    queue_init(&out->pool.file_ids);
    if (yum_spec_make(in, &out->spec, e) == 0 && open_all(out, e) == 0)
        return 0;
    yum_session_close(out);
    return -1;
}

void yum_session_close(struct yum_session *s)
{
    yum_transaction_free(&s->trans);
    if (s->pool.pool && s->pool.pool->considered) { /* pool_free leaves it behind */
        map_free(s->pool.pool->considered);
        free(s->pool.pool->considered);
        s->pool.pool->considered = NULL;
    }
    if (s->pool.pool)
        pool_free(s->pool.pool);
    for (size_t i = 0; i < s->pool.n_repos; i++)
        yum_repo_close(&s->pool.repos[i]);
    free(s->pool.repos);
    queue_free(&s->pool.file_ids);
    keys_free(&s->keys);
    if (s->pool.cache_fd >= 0)
        close(s->pool.cache_fd);
    if (s->fetch.store_fd >= 0)
        close(s->fetch.store_fd);
    if (s->spec)
        yum_spec_free(s->spec);
    *s = (struct yum_session){ .fetch.store_fd = -1, .pool.cache_fd = -1 };
}

static struct json_object *repos_json(const struct yum_session *s)
{
    struct json_object *list = json_object_new_array();
    for (size_t i = 0; i < s->pool.n_repos; i++) {
        const struct yum_repo *r = &s->pool.repos[i];
        struct json_object *o = json_object_new_object();
        auto_free char *url = value_url_public(r->mirrors.v[0]);
        json_put_str(o, "id", r->source->id);
        json_put_str(o, "url", url);
        json_put_str(o, "revision", r->revision);
        json_put_str(o, "repomd_sha256", r->sum);
        json_put_str(o, "signed_by", r->signer);
        json_put_int(o, "packages", r->repo->nsolvables);
        json_put_int(o, "priority", r->source->priority);
        json_add(list, o);
    }
    return list;
}

struct json_object *yum_session_json(const struct yum_session *s)
{
    struct json_object *o = json_object_new_object();
    json_put_str(o, "agent", s->spec->agent);
    json_put_str(o, "suite", s->spec->releasever);
    json_put_str(o, "arch", s->spec->arch);
    auto_free char *mirror = value_url_public(s->pool.repos[0].mirrors.v[0]);
    json_put_str(o, "mirror", mirror);
    json_put_bool(o, "verified", s->spec->verify);
    json_put(o, "repositories", repos_json(s));
    struct json_object *keys = json_object_new_array();
    for (size_t i = 0; i < s->keys.n; i++)
        json_add(keys, json_object_new_string(s->keys.v[i].fingerprint));
    json_put(o, "keys", keys);
    json_put_int(o, "size_bytes", (int64_t)s->trans.size_bytes);
    json_put_int(o, "installed_bytes", (int64_t)s->trans.installed_bytes);
    json_put(o, "packages", yum_transaction_json(&s->trans));
    return o;
}

/* ── agents ─────────────────────────────────────────────────────────────────────────────────────*/

int yum_check(const struct agent_input *in, struct deffile *def, struct err *e)
{
    (void)def;
    auto_yum_spec struct yum_spec *spec = NULL;
    return yum_spec_make(in, &spec, e);
}

int yum_plan(const struct agent_input *in, struct json_object **out, struct err *e)
{
    struct yum_session s;
    if (yum_session_open(in, &s, e) < 0)
        return -1;
    *out = yum_session_json(&s);
    yum_session_close(&s);
    return 0;
}

int yum_identity(const struct agent_input *in, struct str *key, struct err *e)
{
    struct yum_session s;
    if (yum_session_open(in, &s, e) < 0)
        return -1;
    str_addf(key, "yum 1 arch %s docs %d verify %d\n", s.spec->arch, !s.spec->no_docs,
             s.spec->verify);
    for (size_t i = 0; i < s.keys.n; i++)
        str_addf(key, "key %s\n", s.keys.v[i].fingerprint);
    for (size_t i = 0; i < s.trans.n; i++)
        str_addf(key, "%s-%s.%s %s\n", s.trans.v[i].name, s.trans.v[i].evr, s.trans.v[i].arch,
                 s.trans.v[i].hex);
    yum_session_close(&s);
    return 0;
}

/* All packages of the transaction as verified descriptors, in its order. */
static int fetch_packages(struct yum_session *s, struct fetch_file **out, struct err *e)
{
    size_t n = s->trans.n;
    struct fetch_file *files = mem_zero(n + 1, sizeof *files);
    for (size_t i = 0; i < n; i++) {
        const struct yum_package *p = &s->trans.v[i];
        files[i] = (struct fetch_file){ .mirrors = &p->repo->mirrors,
                                        .path = p->path,
                                        .algo = p->algo,
                                        .hex = p->hex,
                                        .size_bytes = p->size_bytes,
                                        .max_bytes = 8ull << 30 };
    }
    s->fetch.stage = "fetch";
    *out = files;
    return fetch_files(&s->fetch, files, n, e);
}

static int fetch_and_install(struct yum_session *s, int rootfs_fd, struct err *e)
{
    struct fetch_file *files = NULL;
    int rc = yum_raise_fd_limit(s->trans.n, e);
    if (rc == 0)
        rc = fetch_packages(s, &files, e);
    auto_free int *fds = mem_zero(s->trans.n + 1, sizeof *fds);
    for (size_t i = 0; files && i < s->trans.n; i++)
        fds[i] = files[i].fd;
    if (rc == 0)
        rc = yum_install(&(struct yum_install_spec){ .spec = s->spec,
                                                     .trans = &s->trans,
                                                     .fds = fds,
                                                     .keys = &s->keys,
                                                     .rootfs_fd = rootfs_fd,
                                                     .log_fd = s->in->log_fd },
                         e);
    if (files)
        fetch_files_close(files, s->trans.n);
    free(files);
    return rc;
}

static void announce(const struct yum_session *s)
{
    auto_free char *repos = yum_repos_text(&s->pool);
    auto_free char *size = str_human_size(s->trans.size_bytes);
    log_info("%zu packages, %s, from %s", s->trans.n, size, repos);
}

int yum_fill(const struct agent_input *in, int rootfs_fd, struct agent_result *out, struct err *e)
{
    struct yum_session s;
    if (yum_session_open(in, &s, e) < 0)
        return -1;
    announce(&s);
    int rc = fetch_and_install(&s, rootfs_fd, e);
    if (rc == 0)
        out->facts = yum_session_json(&s);
    yum_session_close(&s);
    return rc;
}
