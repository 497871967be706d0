/* SPDX-License-Identifier: BSD-3-Clause */
#include "bootstrap/fetch/fetch.h"

#include "base/fs.h"
#include "base/mem.h"
#include "bootstrap/value.h"

static inline void easy_release(CURL *c)
{
    curl_easy_cleanup(c);
}
CLEANUP_DEFINE(CURL *, cleanup_easy, easy_release)

struct body {
    int fd;
    uint64_t left;
    bool too_long;
    int sys;
};

static size_t take_body(char *data, size_t size, size_t n, void *ctx)
{
    struct body *b = ctx;
    size_t len = size * n;
    if (len > b->left) {
        b->too_long = true;
        return 0;
    }
    if (fs_write_full(b->fd, data, len) < 0) {
        b->sys = errno;
        return 0;
    }
    b->left -= len;
    return len;
}

void download_proxy_set(CURL *c, const char *const *env, const char *url)
{
    auto_url_proxy struct url_proxy p;
    url_proxy_find(env, url, &p);
    curl_easy_setopt(c, CURLOPT_PROXY, p.address);
    curl_easy_setopt(c, CURLOPT_NOPROXY, p.except);
    curl_easy_setopt(c, CURLOPT_PROXYUSERNAME, p.user);
    curl_easy_setopt(c, CURLOPT_PROXYPASSWORD, p.password);
}

static void set_options(CURL *c, const struct download_spec *spec, struct body *b)
{
    const char *schemes = spec->https_only ? "https,file" : "http,https,ftp,file";
    curl_easy_setopt(c, CURLOPT_URL, spec->url);
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, b);
    curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, schemes);
    /* A redirect never leads from the network to a local file. */
    curl_easy_setopt(c, CURLOPT_REDIR_PROTOCOLS_STR, spec->https_only ? "https" : "http,https");
    curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(c, CURLOPT_MAXREDIRS, 5L);
    curl_easy_setopt(c, CURLOPT_FAILONERROR, 1L);
    curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, 30L);
    curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, 1000L);
    curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, 60L);
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_USERAGENT, "hpcc/" HPCC_VERSION);
    download_proxy_set(c, spec->proxy_env, spec->url);
}

/* What went wrong, in words that lead on. */
static int explain(const struct download_spec *spec, CURL *c, CURLcode code, const struct body *b,
                   struct err *e)
{
    auto_free char *url = value_url_public(spec->url);
    if (b->too_long)
        return err_set(e, ERR_FAILED, "'%s' is longer than %llu bytes", url,
                       (unsigned long long)spec->max_bytes);
    if (b->sys) {
        errno = b->sys;
        return err_sys(e, "cannot store '%s'", url);
    }
    long status = 0;
    curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &status);
    if (code == CURLE_HTTP_RETURNED_ERROR) {
        err_set(e, ERR_FAILED, "the server answered %ld for '%s'", status, url);
        if (e)
            e->status = (int)status;
        return err_hint(e, "check the address in the definition");
    }
    err_set(e, ERR_FAILED, "cannot fetch '%s': %s", url, curl_easy_strerror(code));
    if (e && code == CURLE_FILE_COULDNT_READ_FILE)
        e->sys = ENOENT;
    return err_hint(e,
                    "check the address, and http_proxy and https_proxy if this host needs a proxy");
}

int download(const struct download_spec *spec, int out_fd, struct err *e)
{
    cleanup_with(cleanup_easy) CURL *c = curl_easy_init();
    if (!c)
        return err_set(e, ERR_FAILED, "cannot start libcurl");
    struct body b = { .fd = out_fd, .left = spec->max_bytes };
    set_options(c, spec, &b);
    CURLcode code = curl_easy_perform(c);
    return code == CURLE_OK ? 0 : explain(spec, c, code, &b, e);
}
