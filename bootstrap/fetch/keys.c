/* SPDX-License-Identifier: BSD-3-Clause */
#include "bootstrap/fetch/fetch.h"

#include <fcntl.h>
#include <rpm/rpmbase64.h>
#include <rpm/rpmcrypto.h>
#include <rpm/rpmpgp.h>
#include <strings.h>
#include <sys/stat.h>
#include <time.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/path.h"

#define KEY_MAX_BYTES    (1u << 20)
#define MAX_KEYS         1000
#define DIR_HOST         "/etc/pki/rpm-gpg"
#define DIR_DISTRIBUTION "/usr/share/distribution-gpg-keys"
#define SIGNATURE_BEGIN  "-----BEGIN PGP SIGNATURE-----"
#define ARMOR_BEGIN      "-----BEGIN PGP PUBLIC KEY BLOCK-----"

bool key_is_fingerprint(const char *text)
{
    size_t len = strlen(text);
    return (len == 40 || len == 64) && strspn(text, "0123456789abcdefABCDEF") == len;
}

static char *hex_text(const uint8_t *data, size_t len)
{
    auto_str struct str s = { 0 };
    for (size_t i = 0; i < len; i++)
        str_addf(&s, "%02x", data[i]);
    return str_steal(&s);
}

static bool pinned(const struct strv *pins, const char *fingerprint)
{
    if (!pins || !pins->n)
        return true;
    for (size_t i = 0; i < pins->n; i++)
        if (strcasecmp(pins->v[i], fingerprint) == 0)
            return true;
    return false;
}

static void add_to_ring(struct keys *k, const uint8_t *packets, size_t len)
{
    rpmPubkey key = rpmPubkeyNew(packets, len);
    int n = 0;
    rpmPubkey *subkeys = key ? rpmGetSubkeys(key, &n) : NULL;
    if (key)
        rpmKeyringAddKey(k->ring, key);
    for (int i = 0; i < n; i++) {
        rpmKeyringAddKey(k->ring, subkeys[i]);
        rpmPubkeyFree(subkeys[i]);
    }
    free(subkeys);
    rpmPubkeyFree(key);
}

/* One certificate; what is no usable key is passed over. */
static void add_certificate(struct keys *k, const uint8_t *packets, size_t len,
                            const struct strv *pins, const char *source)
{
    auto_free uint8_t *print = NULL;
    size_t print_len = 0;
    pgpDigParams params = NULL;
    if (k->n >= MAX_KEYS || pgpPubkeyFingerprint(packets, len, &print, &print_len) != 0 ||
        pgpPrtParams(packets, len, PGPTAG_PUBLIC_KEY, &params) != 0)
        return;
    auto_free char *fingerprint = hex_text(print, print_len);
    if (pinned(pins, fingerprint) && !keys_have(k, fingerprint)) {
        const char *user = pgpDigParamsUserID(params);
        add_to_ring(k, packets, len);
        k->v = mem_grow(k->v, k->n, sizeof *k->v);
        k->v[k->n++] = (struct key){ .packets = mem_dup(packets, len),
                                     .len = len,
                                     .fingerprint = steal_ptr(fingerprint),
                                     .user = str_printable(user ? user : "no name"),
                                     .source = mem_strdup(source) };
    }
    pgpDigParamsFree(params);
}

static void add_packets(struct keys *k, const uint8_t *packets, size_t len, const struct strv *pins,
                        const char *source)
{
    size_t at = 0, cert = 0;
    while (at < len && pgpPubKeyCertLen(packets + at, len - at, &cert) == 0 && cert) {
        add_certificate(k, packets + at, cert, pins, source);
        at += cert;
    }
}

bool keys_have(const struct keys *k, const char *fingerprint)
{
    for (size_t i = 0; i < k->n; i++)
        if (strcasecmp(k->v[i].fingerprint, fingerprint) == 0)
            return true;
    return false;
}

size_t keys_add(struct keys *k, const struct str *text, const struct strv *pins, const char *source)
{
    size_t before = k->n;
    const char *block = text->len ? strstr(text->data, ARMOR_BEGIN) : NULL;
    if (!block && text->len && (text->data[0] & 0x80))
        add_packets(k, (const uint8_t *)text->data, text->len, pins, source);
    while (block) {
        const char *next = strstr(block + 1, ARMOR_BEGIN);
        auto_free char *one = next ? mem_strndup(block, (size_t)(next - block)) : mem_strdup(block);
        auto_free uint8_t *packets = NULL;
        size_t len = 0;
        if (pgpParsePkts(one, &packets, &len) == PGPARMOR_PUBKEY)
            add_packets(k, packets, len, pins, source);
        block = next;
    }
    return k->n - before;
}

static int add_path(struct keys *k, const char *path, const struct strv *pins, struct err *e)
{
    auto_str struct str text = { 0 };
    if (fs_read_file(path, KEY_MAX_BYTES, &text, e) < 0)
        return -1;
    (void)keys_add(k, &text, pins, path);
    return 0;
}

/* Every key file below DIR, DEPTH levels deep; unreadable ones are passed over. */
static void add_dir(struct keys *k, const char *dir, const struct strv *pins, int depth)
{
    auto_strv struct strv names = { 0 };
    int rc = fs_names_at(AT_FDCWD, dir, &names);
    for (size_t i = 0; rc == 0 && i < names.n; i++) {
        if (names.v[i][0] == '.')
            continue;
        auto_free char *path = path_join(dir, names.v[i]);
        struct stat st;
        if (stat(path, &st) < 0)
            continue;
        if (S_ISDIR(st.st_mode) && depth > 0)
            add_dir(k, path, pins, depth - 1);
        else if (S_ISREG(st.st_mode) && add_path(k, path, pins, NULL) < 0)
            log_verbose("cannot read key '%s'", path);
    }
}

/* Of the distributions' keys those whose directory a repository's address names: "rocky" of
 * https://mirror/pub/rocky/9. */
static void add_distribution(struct keys *k, const struct strv *urls)
{
    auto_strv struct strv names = { 0 };
    int rc = fs_names_at(AT_FDCWD, DIR_DISTRIBUTION, &names);
    for (size_t n = 0; rc == 0 && n < names.n; n++) {
        bool named = false;
        for (size_t i = 0; urls && i < urls->n; i++)
            named = named || strcasestr(urls->v[i], names.v[n]);
        auto_free char *path = path_join(DIR_DISTRIBUTION, names.v[n]);
        if (named && strlen(names.v[n]) > 3)
            add_dir(k, path, NULL, 0);
    }
}

static int add_url(struct keys *k, const char *url, const struct strv *pins, bool sure,
                   const struct fetch *f, struct err *e)
{
    auto_str struct str text = { 0 };
    if (!sure && !str_starts(url, "https://") && !str_starts(url, "file://")) {
        err_set(e, ERR_INPUT, "key '%s' is not fetched: only https:// and file:// are safe", url);
        return err_hint(e, "write its fingerprint behind the address: 'Key: %s FINGERPRINT'", url);
    }
    if (fetch_text(f, url, KEY_MAX_BYTES, &text, NULL, e) < 0)
        return err_wrap(e, "key");
    (void)keys_add(k, &text, pins, url);
    return 0;
}

/* By the fingerprint alone: the host's own key comes first. */
static void add_fingerprints(struct keys *k, const struct strv *wanted,
                             const struct keys_spec *spec, struct strv *tried)
{
    add_dir(k, DIR_HOST, wanted, 0);
    add_dir(k, DIR_DISTRIBUTION, wanted, 1);
    keys_hunt(k, &spec->hunt, wanted, tried);
}

static int no_key(const char *source, const struct strv *pins, const struct strv *tried,
                  struct err *e)
{
    auto_free char *places = strv_join(tried, ", ");
    err_set(e, tried->n ? ERR_FAILED : ERR_INPUT, "'%s' gives no OpenPGP key%s%s%s", source,
            pins->n ? " with the fingerprint asked for" : "", tried->n ? "; looked at " : "",
            places);
    return err_hint(e, "'Key:' takes the path or https:// address of a public key, or a "
                       "fingerprint, alone or behind an address");
}

/* SOURCE is a path, an address or a fingerprint, or one of the former with fingerprints behind. */
static int add_source(struct keys *k, const char *source, const struct keys_spec *spec,
                      struct err *e)
{
    size_t before = k->n;
    auto_strv struct strv words = { 0 };
    auto_strv struct strv pins = { 0 };
    auto_strv struct strv tried = { 0 };
    strv_split(&words, source, " ");
    const char *place = words.v[0];
    for (size_t i = key_is_fingerprint(place) ? 0 : 1; i < words.n; i++)
        strv_add(&pins, words.v[i]);
    const struct strv *only = pins.n ? &pins : spec->pins;
    if (key_is_fingerprint(place)) {
        add_fingerprints(k, &pins, spec, &tried);
    } else if (strstr(place, "://")) {
        if (add_url(k, place, only, pins.n > 0, spec->hunt.fetch, e) < 0)
            return -1;
    } else {
        auto_free char *path = place[0] == '/' || !spec->base_dir
                                   ? mem_strdup(place)
                                   : path_join(spec->base_dir, place);
        if (add_path(k, path, only, e) < 0)
            return err_wrap(e, "key");
    }
    return k->n > before ? 0 : no_key(place, only, &tried, e);
}

/* What nobody named: the host's keys, and those that are known to sign here. */
static int add_usual(struct keys *k, const struct keys_spec *spec, struct err *e)
{
    auto_known_keys struct known_keys known = { 0 };
    auto_strv struct strv wanted = { 0 };
    auto_strv struct strv tried = { 0 };
    known_keys_for(spec->hunt.urls, spec->release, &known);
    for (size_t i = 0; i < known.n; i++)
        strv_add(&wanted, known.v[i]->fingerprint);
    add_dir(k, DIR_HOST, spec->pins, 0);
    add_distribution(k, spec->hunt.urls);
    keys_hunt(k, &spec->hunt, &wanted, &tried);
    if (k->n)
        return 0;
    if (!wanted.n) {
        err_set(e, ERR_INPUT, "no key to check the repositories with");
        return err_hint(e, "add 'Key: https://.../RPM-GPG-KEY-...' or 'Key: FINGERPRINT' to the "
                           "definition, or --no-verify to take what comes");
    }
    auto_free char *places = strv_join(&tried, ", ");
    err_set(e, ERR_FAILED, "the key %s, which signs '%s', was not found at %s", wanted.v[0],
            known.v[0]->distribution, places);
    return err_hint(e, "put it into " DIR_HOST ", or name it: 'Key: FILE' in the definition");
}

static int check_pins(const struct keys *k, const struct strv *pins, struct err *e)
{
    for (size_t p = 0; pins && p < pins->n; p++) {
        bool found = false;
        for (size_t i = 0; i < k->n; i++)
            found = found || strcasecmp(k->v[i].fingerprint, pins->v[p]) == 0;
        if (!found)
            return err_set(e, ERR_INPUT, "no key has the pinned fingerprint '%s'", pins->v[p]);
    }
    return 0;
}

int keys_load(const struct keys_spec *spec, struct keys *out, struct err *e)
{
    auto_keys struct keys k = { .ring = rpmKeyringNew() };
    for (size_t i = 0; i < spec->sources->n; i++)
        if (add_source(&k, spec->sources->v[i], spec, e) < 0)
            return -1;
    if (!spec->sources->n && add_usual(&k, spec, e) < 0)
        return -1;
    if (check_pins(&k, spec->pins, e) < 0)
        return -1;
    *out = k;
    k = (struct keys){ 0 };
    return 0;
}

void keys_free(struct keys *k)
{
    for (size_t i = 0; i < k->n; i++) {
        free(k->v[i].packets);
        free(k->v[i].fingerprint);
        free(k->v[i].user);
        free(k->v[i].source);
    }
    free(k->v);
    if (k->ring)
        rpmKeyringFree(k->ring);
    *k = (struct keys){ 0 };
}

static int check_params(pgpDigParams sig, const char *name, struct err *e)
{
    unsigned hash = pgpDigParamsAlgo(sig, PGPVAL_HASHALGO);
    if (hash < PGPHASHALGO_SHA256 || hash > PGPHASHALGO_SHA224)
        return err_set(e, ERR_FAILED, "the signature of '%s' uses a hash weaker than SHA-256",
                       name);
    if (pgpSignatureType(sig) != PGPSIGTYPE_BINARY)
        return err_set(e, ERR_FAILED, "the signature of '%s' is not one over a file", name);
    time_t made = (time_t)pgpDigParamsCreationTime(sig), now = time(NULL);
    if (made > now + 86400) {
        err_set(e, ERR_FAILED, "'%s' was signed in the future", name);
        return err_hint(e, "this host's clock seems wrong: look at 'date'");
    }
    return 0;
}

/* The bytes in a signature's armor: librpm takes armor off keys only. NULL: there is none. */
static uint8_t *unarmor(const char *text, size_t *len)
{
    const char *line = strstr(text, SIGNATURE_BEGIN);
    auto_str struct str body = { 0 };
    bool in_body = false;
    while (line && (line = strchr(line, '\n'))) {
        line++;
        size_t n = strcspn(line, "\r\n");
        if (line[0] == '-' || (in_body && line[0] == '=')) /* the end, or the CRC */
            break;
        if (in_body)
            str_add_n(&body, line, n);
        in_body = in_body || n == 0; /* headers end at an empty line */
    }
    void *data = NULL;
    if (!body.len || rpmBase64Decode(body.data, &data, len) != 0)
        return NULL;
    return data;
}

int keys_verify(const struct keys *k, const struct str *data, const struct str *signature,
                const char *name, char **signer, struct err *e)
{
    size_t len = 0;
    pgpDigParams sig = NULL;
    auto_free uint8_t *packets = unarmor(str_text(signature), &len);
    if (!packets || pgpPrtParams(packets, len, PGPTAG_SIGNATURE, &sig) != 0)
        return err_set(e, ERR_FAILED, "the signature of '%s' cannot be read", name);
    auto_free char *id = hex_text(pgpDigParamsSignID(sig), 8);
    int rc = check_params(sig, name, e);
    if (rc == 0) {
        DIGEST_CTX ctx = rpmDigestInit((int)pgpDigParamsAlgo(sig, PGPVAL_HASHALGO), RPMDIGEST_NONE);
        rpmDigestUpdate(ctx, str_text(data), data->len);
        rpmRC verdict = rpmKeyringVerifySig(k->ring, sig, ctx);
        rpmDigestFinal(ctx, NULL, NULL, 0);
        auto_free char *known = keys_text(k);
        if (verdict == RPMRC_NOKEY || verdict == RPMRC_NOTTRUSTED)
            rc = err_set(e, ERR_FAILED, "'%s' is signed by key %s, which is none of: %s", name, id,
                         known);
        else if (verdict != RPMRC_OK)
            rc = err_set(e, ERR_FAILED, "the signature of '%s' by key %s is BAD", name, id);
    }
    pgpDigParamsFree(sig);
    if (rc == 0 && signer)
        *signer = steal_ptr(id);
    return rc;
}

char *keys_text(const struct keys *k)
{
    auto_str struct str s = { 0 };
    for (size_t i = 0; i < k->n && i < 5; i++)
        str_addf(&s, "%s%s (%s)", i ? ", " : "", k->v[i].user, k->v[i].fingerprint);
    if (k->n > 5)
        str_addf(&s, " and %zu more", k->n - 5);
    return str_steal(&s);
}
