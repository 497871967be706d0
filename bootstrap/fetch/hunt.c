/* SPDX-License-Identifier: BSD-3-Clause */
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/path.h"
#include "bootstrap/fetch/fetch.h"
#include "bootstrap/value.h"

enum {
    KEY_MAX_BYTES = 1 << 20,
    FRESH_S = 30 * 24 * 3600, /* a key in the cache is asked for again then: its life is extended,
                                 or it is revoked */
    CONNECT_S = 10,
};

struct hunting {
    struct keys *k;
    const struct key_hunt *hunt;
    const struct strv *wanted;
    struct strv *tried;
    struct strv seen; /* addresses that were asked */
    int cache_fd;     /* -1: nothing is kept */
};

static char *cache_name(const char *fingerprint)
{
    char *name = mem_printf("/%s", fingerprint);
    str_lower(name);
    return name;
}

/* FINGERPRINT out of the cache; OLD: however long it lies there. */
static void look_in_cache(const struct hunting *h, const char *fingerprint, bool old)
{
    auto_free char *name = cache_name(fingerprint);
    auto_str struct str text = { 0 };
    auto_strv struct strv only = { 0 };
    struct stat st;
    strv_add(&only, fingerprint);
    if (h->cache_fd >= 0 && fs_stat_at(h->cache_fd, name, false, &st) == 0 &&
        (old || time(NULL) - st.st_mtime < FRESH_S) &&
        fs_read_at(h->cache_fd, name, KEY_MAX_BYTES, &text, NULL) == 0)
        (void)keys_add(h->k, &text, &only, "the cache");
}

static void keep(const struct hunting *h, const struct key *key)
{
    auto_free char *name = cache_name(key->fingerprint);
    auto_str struct str packets = { 0 };
    str_add_n(&packets, (const char *)key->packets, key->len);
    if (h->cache_fd >= 0 && fs_write_at(h->cache_fd, name, &packets, 0600, NULL) < 0)
        log_debug("key %s is not kept in the cache", key->fingerprint);
}

/* Take all that is wanted out of what URL gives. */
static void look_at(struct hunting *h, const char *url)
{
    auto_free char *shown = value_url_public(url);
    auto_err struct err why = { 0 };
    auto_str struct str text = { 0 };
    struct fetch quick = *h->hunt->fetch;
    bool found = false;
    size_t before = h->k->n;
    if (strv_has(&h->seen, url))
        return;
    strv_add(&h->seen, url);
    if (h->tried)
        strv_add(h->tried, shown);
    quick.connect_timeout_s = CONNECT_S;
    if (fetch_text(&quick, url, KEY_MAX_BYTES, &text, &found, &why) < 0)
        log_verbose("no key from '%s': %s", shown, why.msg);
    if (found && !keys_add(h->k, &text, h->wanted, shown))
        log_verbose("no key from '%s': none has the fingerprint", shown);
    for (size_t i = before; i < h->k->n; i++) {
        log_verbose("key %s comes from '%s'", h->k->v[i].fingerprint, shown);
        keep(h, &h->k->v[i]);
    }
}

static bool found_one(const struct hunting *h)
{
    for (size_t i = 0; i < h->wanted->n; i++)
        if (keys_have(h->k, h->wanted->v[i]))
            return true;
    return false;
}

/* Repositories hold their key under its usual name at their root, or beside the metadata. */
static void look_beside_repositories(struct hunting *h, const char *address)
{
    for (size_t i = 0; h->hunt->urls && i < h->hunt->urls->n; i++) {
        if (strchr(h->hunt->urls->v[i], '?')) /* a question for mirrors, no directory */
            continue;
        auto_free char *file = path_base(address);
        auto_free char *at_root = url_join(h->hunt->urls->v[i], file);
        auto_free char *beside = url_join(h->hunt->urls->v[i], "repodata/repomd.xml.key");
        if (address[0])
            look_at(h, at_root);
        look_at(h, beside);
    }
}

static void look_everywhere(struct hunting *h, const char *fingerprint)
{
    const struct known_key *known = known_key_find(fingerprint);
    const char *address = known ? known->address : "";
    look_in_cache(h, fingerprint, false);
    if (!keys_have(h->k, fingerprint))
        look_beside_repositories(h, address);
    if (!keys_have(h->k, fingerprint) && address[0])
        look_at(h, address);
    /* A distribution's other keys are not worth a stranger's time. */
    if (!found_one(h) && h->hunt->server) {
        auto_free char *url =
            mem_printf("%s/pks/lookup?op=get&options=mr&search=0x%s", h->hunt->server, fingerprint);
        look_at(h, url);
    }
    if (!keys_have(h->k, fingerprint))
        look_in_cache(h, fingerprint, true);
}

void keys_hunt(struct keys *k, const struct key_hunt *hunt, const struct strv *wanted,
               struct strv *tried)
{
    struct hunting h = { .k = k, .hunt = hunt, .wanted = wanted, .tried = tried, .cache_fd = -1 };
    auto_err struct err why = { 0 };
    if (hunt->cache_dir)
        h.cache_fd = store_dir_open(hunt->cache_dir, "keys", &why);
    if (why.code)
        log_debug("%s", why.msg);
    for (size_t i = 0; i < wanted->n; i++)
        if (!keys_have(k, wanted->v[i]))
            look_everywhere(&h, wanted->v[i]);
    strv_free(&h.seen);
    cleanup_fd(&h.cache_fd);
}
