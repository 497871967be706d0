/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "base/mem.h"
#include "base/path.h"
#include "base/str.h"
#include "cli/action.h"

#define BIND_FORM  "--bind takes SRC[:DST[:ro|rw]], several parted by commas"
#define MOUNT_FORM "--mount takes type=bind,src=SRC,dst=DST[,ro]"

static int bad(struct err *e, const char *form, const char *fmt, const char *text)
{
    auto_free char *msg = mem_printf("%s '%s'", fmt, text);
    err_set(e, ERR_USAGE, "%s", msg);
    return err_hint(e, "%s", form);
}

static int finish(struct runtime_bind *out, const char *src, const char *dst, const char *cwd)
{
    out->src = path_absolute(src, cwd);
    out->dst = dst && *dst ? mem_strdup(dst) : mem_strdup(out->src);
    return 0;
}

int action_parse_bind(const char *text, const char *cwd, struct runtime_bind *out, struct err *e)
{
    auto_free char *src = mem_strdup(text);
    char *dst = strchr(src, ':');
    char *options = NULL;
    if (dst) {
        *dst++ = 0;
        options = strchr(dst, ':');
    }
    if (options)
        *options++ = 0;
    if (!*src)
        return bad(e, BIND_FORM, "--bind: no source in", text);
    if (dst && *dst && *dst != '/')
        return bad(e, BIND_FORM, "--bind: the target must be an absolute path in", text);
    if (options && !str_eq(options, "ro") && !str_eq(options, "rw") && *options)
        return bad(e, BIND_FORM, "--bind: unknown option in", text);
    out->read_only = options && str_eq(options, "ro");
    return finish(out, src, dst, cwd);
}

/* One "key=value" of --mount. */
static int mount_word(char *word, const char **src, const char **dst, struct runtime_bind *out)
{
    char *value = strchr(word, '=');
    if (value)
        *value++ = 0;
    if (str_eq(word, "type"))
        return value && str_eq(value, "bind") ? 0 : -1;
    if (value && (str_eq(word, "src") || str_eq(word, "source")))
        *src = value;
    else if (value &&
             (str_eq(word, "dst") || str_eq(word, "destination") || str_eq(word, "target")))
        *dst = value;
    else if (!value && (str_eq(word, "ro") || str_eq(word, "readonly")))
        out->read_only = true;
    else
        return -1;
    return 0;
}

int action_parse_mount(const char *text, const char *cwd, struct runtime_bind *out, struct err *e)
{
    auto_strv struct strv words = { 0 };
    const char *src = NULL, *dst = NULL;
    strv_split(&words, text, ",");
    out->read_only = false;
    for (size_t i = 0; i < words.n; i++)
        if (mount_word(words.v[i], &src, &dst, out) < 0)
            return bad(e, MOUNT_FORM, "--mount: cannot understand", text);
    if (!src || !*src || !dst || *dst != '/')
        return bad(e, MOUNT_FORM, "--mount: source or absolute target is missing in", text);
    return finish(out, src, dst, cwd);
}
