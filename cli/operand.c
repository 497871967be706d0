/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli/operand.h"

#include <sys/stat.h>

#include "base/mem.h"
#include "base/path.h"
#include "base/str.h"

void operand_parse(const char *arg, struct operand *out)
{
    struct stat st;
    const char *colon = strstr(arg, ":/");
    if (!colon || colon == arg || lstat(arg, &st) == 0) {
        *out = (struct operand){ .image = mem_strdup(arg) };
        return;
    }
    *out = (struct operand){ .image = mem_strndup(arg, (size_t)(colon - arg)),
                             .path = mem_strdup(colon + 1) };
}

int operand_parse_words(const char *arg, const char *rest, struct operand *out, struct err *e)
{
    auto_operand struct operand p = { 0 };
    operand_parse(arg, &p);
    if (rest && p.path)
        return err_set(e, ERR_USAGE, "two paths are given: '%s' and '%s'", p.path, rest);
    if (rest)
        p.path = path_join("/", rest);
    *out = p;
    p = (struct operand){ 0 };
    return 0;
}

void operand_free(struct operand *p)
{
    free(p->image);
    free(p->path);
    *p = (struct operand){ 0 };
}

int operand_check_new(const struct place *p, bool replace, struct err *e)
{
    if (!p->exists && (!p->linked || replace))
        return 0; /* a link that leads nowhere is something, too */
    if (p->exists && S_ISDIR(p->st.st_mode))
        return err_set(e, ERR_USAGE, "'%s' is a directory", p->path);
    if (p->exists && !S_ISREG(p->st.st_mode))
        return err_set(e, ERR_USAGE, "'%s' is not a regular file", p->path);
    if (replace)
        return 0;
    err_set(e, ERR_FAILED, "'%s' exists already", p->path);
    e->sys = EEXIST;
    return err_hint(e, "'--force' replaces it");
}
