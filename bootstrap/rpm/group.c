/* SPDX-License-Identifier: BSD-3-Clause */
#include "bootstrap/rpm/solve.h"
#include "bootstrap/rpm/xml.h"

#include <stdlib.h>

#include "base/mem.h"

/* comps.xml: "@core" and "@^minimal" as names of packages, mandatory and default ones. */

struct comps {
    const char *wanted; /* id of the group or environment */
    struct strv *out;
    struct strv groups; /* of the environment */
    bool inside, found, take, is_environment;
};

static void on_start(void *ctx, const char *name, const char *const *atts)
{
    struct comps *c = ctx;
    if (str_eq(name, "group") || str_eq(name, "environment")) {
        c->inside = false;
        c->is_environment = str_eq(name, "environment");
    } else if (str_eq(name, "packagereq")) {
        const char *type = xml_att(atts, "type");
        c->take = !type || str_eq(type, "mandatory") || str_eq(type, "default");
    } else if (str_eq(name, "optionlist")) {
        c->inside = false;
    }
}

/* <id> comes first in its group, before the packages. */
static void on_end(void *ctx, const char *name, const char *text)
{
    struct comps *c = ctx;
    if (str_eq(name, "id")) {
        c->inside = str_eq(text, c->wanted);
        c->found = c->found || c->inside;
    } else if (str_eq(name, "packagereq") && c->inside && c->take) {
        strv_add(c->out, text);
    } else if (str_eq(name, "groupid") && c->inside && c->is_environment) {
        strv_add(&c->groups, text);
    }
}

static int read_comps(struct yum_pool *p, const struct yum_repo *r, struct str *out, struct err *e)
{
    struct yum_stream stream = { .type = yum_repo_md(r, "group_gz") ? "group_gz" : "group",
                                 .limit_bytes = YUM_COMPS_MAX_BYTES };
    auto_file FILE *f = NULL;
    if (yum_md_open(p, r, &stream, &f, e) < 0)
        return -1;
    char buf[65536];
    size_t n;
    while (f && (n = fread(buf, 1, sizeof buf, f)) > 0)
        str_add_n(out, buf, n);
    if (yum_md_whole(r, &stream, e) < 0)
        return -1;
    if (f && ferror(f))
        return err_set(e, ERR_INPUT, "repository '%s': '%s' cannot be unpacked", r->source->id,
                       yum_repo_md(r, stream.type)->path);
    return 0;
}

static int find_group(struct yum_pool *p, struct comps *c, struct err *e)
{
    for (size_t i = 0; i < p->n_repos; i++) {
        auto_str struct str text = { 0 };
        if (read_comps(p, &p->repos[i], &text, e) < 0)
            return -1;
        if (text.len &&
            xml_read(&text, "comps",
                     &(struct xml_reader){ .start = on_start, .end = on_end, .ctx = c }, e) < 0)
            return err_wrap(e, "repository '%s'", p->repos[i].source->id);
    }
    return 0;
}

int yum_group_names(struct yum_pool *p, const char *group, struct strv *out, struct err *e)
{
    struct comps c = { .wanted = group[0] == '^' ? group + 1 : group, .out = out };
    int rc = find_group(p, &c, e);
    for (size_t i = 0; rc == 0 && i < c.groups.n; i++) {
        struct comps one = { .wanted = c.groups.v[i], .out = out };
        rc = find_group(p, &one, e);
        strv_free(&one.groups);
    }
    strv_free(&c.groups);
    if (rc == 0 && !c.found) {
        auto_free char *repos = yum_repos_text(p);
        rc = err_set(e, ERR_INPUT, "no group is called '@%s' in: %s", group, repos);
    }
    return rc;
}
