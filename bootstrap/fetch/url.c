/* SPDX-License-Identifier: BSD-3-Clause */
#include "bootstrap/fetch/fetch.h"

#include <ctype.h>
#include <strings.h>

#include "base/mem.h"
#include "base/str.h"

char *url_join(const char *base, const char *path)
{
    auto_str struct str url = { 0 };
    str_add(&url, base);
    while (url.len && url.data[url.len - 1] == '/')
        url.data[--url.len] = 0;
    str_add_c(&url, '/');
    for (const char *p = path; *p; p++) {
        bool lone_percent =
            *p == '%' && !(isxdigit((unsigned char)p[1]) && isxdigit((unsigned char)p[2]));
        if (lone_percent || strchr(" #?\"<>", *p))
            str_addf(&url, "%%%02X", (unsigned char)*p);
        else
            str_add_c(&url, *p);
    }
    return str_steal(&url);
}

static int hex_value(char c)
{
    return isdigit((unsigned char)c) ? c - '0' : tolower((unsigned char)c) - 'a' + 10;
}

/* LEN bytes of TEXT with every valid %XX decoded; a lone '%' stays as it is. */
static char *percent_decode(const char *text, size_t len)
{
    auto_str struct str out = { 0 };
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '%' && i + 2 < len && isxdigit((unsigned char)text[i + 1]) &&
            isxdigit((unsigned char)text[i + 2])) {
            str_add_c(&out, (char)(hex_value(text[i + 1]) * 16 + hex_value(text[i + 2])));
            i += 2;
        } else {
            str_add_c(&out, text[i]);
        }
    }
    return str_steal(&out);
}

/* Servers and we decode %XX before they look for "..", some of them twice: so all of it is decoded
 * until nothing changes, and judged then. */
static bool plain_path_safe(const char *path)
{
    if (!path[0] || path[0] == '/' || strstr(path, "://"))
        return false;
    for (const char *p = path; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f || *p == '\\')
            return false;
    for (const char *p = path; p; p = strchr(p, '/') ? strchr(p, '/') + 1 : NULL)
        if (str_starts(p, "../") || str_eq(p, ".."))
            return false;
    return true;
}

bool url_path_safe(const char *path)
{
    auto_free char *text = mem_strdup(path);
    if (strcasestr(path, "%2f") || strcasestr(path, "%00"))
        return false;
    while (plain_path_safe(text)) {
        auto_free char *before = text;
        text = percent_decode(before, strlen(before));
        if (str_eq(before, text))
            return true;
    }
    return false;
}

char *url_file_path(const char *url)
{
    if (!str_starts(url, "file:"))
        return NULL;
    const char *path = url + 5;
    if (str_starts(path, "//localhost/"))
        path += 11;
    else if (str_starts(path, "///"))
        path += 2;
    if (path[0] != '/' || path[1] == '/')
        return NULL;
    return percent_decode(path, strlen(path));
}

/* Proxies are named in small letters; where those are not set, in capitals too. */
static const char *proxy_value(const char *const *env, const char *name)
{
    char capitals[16];
    size_t len = strlen(name);
    for (size_t i = 0; i <= len && i < sizeof capitals; i++)
        capitals[i] = (char)toupper((unsigned char)name[i]);
    const char *value = strv_env_value(env, name);
    return value ? value : strv_env_value(env, capitals);
}

void url_proxy_find(const char *const *env, const char *url, struct url_proxy *out)
{
    const char *name = str_starts(url, "https:") ? "https_proxy" : "http_proxy";
    const char *proxy = proxy_value(env, name);
    if (!proxy || !proxy[0])
        proxy = proxy_value(env, "all_proxy");
    if (!proxy)
        proxy = "";
    const char *except = proxy_value(env, "no_proxy");
    *out = (struct url_proxy){ .except = except ? except : "" };
    const char *host = strstr(proxy, "://");
    host = host ? host + 3 : proxy;
    const char *at = strrchr(host, '@');
    if (!at) {
        out->address = mem_strdup(proxy);
        return;
    }
    const char *colon = memchr(host, ':', (size_t)(at - host));
    const char *user_end = colon ? colon : at;
    out->user = percent_decode(host, (size_t)(user_end - host));
    out->password = colon ? percent_decode(colon + 1, (size_t)(at - colon - 1)) : mem_strdup("");
    out->address = mem_printf("%.*s%s", (int)(host - proxy), proxy, at + 1);
}

void url_proxy_free(struct url_proxy *p)
{
    free(p->address);
    free(p->user);
    free(p->password);
    *p = (struct url_proxy){ 0 };
}
