/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli/opts.h"

#include <string.h>

#include "base/mem.h"
#include "base/str.h"

struct parser {
    const struct opts_spec *spec;
    const char *const *argv;
    size_t at; /* the word after the one in hand */
    struct args *out;
};

const char *env_option(const char *const *vars, const char *name)
{
    static const char *const prefixes[] = { "HPCC_", "APPTAINER_", "SINGULARITY_" };
    for (size_t i = 0; i < ARRAY_LEN(prefixes); i++) {
        auto_free char *full = mem_printf("%s%s", prefixes[i], name);
        const char *value = strv_env_value(vars, full);
        if (value)
            return value;
    }
    return NULL;
}

static const struct opt *find_name(const struct opt *table, const char *name, size_t len)
{
    for (; table && table->name; table++)
        if (strncmp(table->name, name, len) == 0 && table->name[len] == '\0')
            return table;
    return NULL;
}

static const struct opt *find_letter(const struct opt *table, char letter)
{
    for (; table && table->name; table++)
        if (table->letter == letter)
            return table;
    return NULL;
}

static const struct opt *real_row(const struct opt *table, const struct opt *row)
{
    return row && row->alias_of ? find_name(table, row->alias_of, strlen(row->alias_of)) : row;
}

static const struct opt *lookup(const struct opts_spec *spec, const char *name, size_t len)
{
    const struct opt *row = real_row(spec->opts, find_name(spec->opts, name, len));
    return row ? row : find_name(spec->more, name, len);
}

static void give(struct args *a, const struct opt *opt, const char *value)
{
    a->given = mem_grow(a->given, a->n_given, sizeof *a->given);
    a->given[a->n_given++] = (struct args_given){ .opt = opt, .value = value };
}

static void add_rest(struct args *a, const char *word)
{
    a->rest = mem_grow(a->rest, a->n_rest + 1, sizeof *a->rest); /* and the NULL */
    a->rest[a->n_rest++] = word;
    a->rest[a->n_rest] = NULL;
}

static int unknown_name(const struct opts_spec *spec, const char *name, struct err *e)
{
    auto_free const char **names = NULL;
    size_t n = 0;
    const struct opt *tables[] = { spec->opts, spec->more };
    for (size_t t = 0; t < ARRAY_LEN(tables); t++)
        for (const struct opt *o = tables[t]; o && o->name; o++) {
            names = mem_grow(names, n + 1, sizeof *names);
            names[n++] = o->name;
            names[n] = NULL;
        }
    const char *near = names ? str_nearest(name, names) : NULL;
    err_set(e, ERR_USAGE, "unknown option '--%s'", name);
    if (near)
        return err_hint(e, "did you mean '--%s'?", near);
    return err_hint(e, "'%s --help' lists the options", spec->what);
}

static int needs_value(const struct opt *o, struct err *e)
{
    err_set(e, ERR_USAGE, "option '--%s' needs a value", o->name);
    return err_hint(e, "write '--%s %s'", o->name, o->arg);
}

/* TEXT is what follows the two dashes. */
static int take_long(struct parser *p, const char *text, struct err *e)
{
    const char *eq = strchr(text, '=');
    size_t len = eq ? (size_t)(eq - text) : strlen(text);
    auto_free char *name = mem_strndup(text, len);
    const struct opt *o = lookup(p->spec, text, len);
    if (!o)
        return unknown_name(p->spec, name, e);
    if (!o->arg) {
        if (eq)
            return err_set(e, ERR_USAGE, "option '--%s' takes no value", name);
        give(p->out, o, NULL);
        return 0;
    }
    const char *value = eq ? eq + 1 : p->argv[p->at];
    if (!value)
        return needs_value(o, e);
    if (!eq)
        p->at++;
    give(p->out, o, value);
    return 0;
}

/* TEXT is what follows one dash: letters, of which the first with a value eats the rest. */
static int take_short(struct parser *p, const char *text, struct err *e)
{
    for (; *text; text++) {
        const struct opt *o = real_row(p->spec->opts, find_letter(p->spec->opts, *text));
        if (!o)
            o = find_letter(p->spec->more, *text);
        if (!o) {
            err_set(e, ERR_USAGE, "unknown option '-%c'", *text);
            return err_hint(e, "'%s --help' lists the options", p->spec->what);
        }
        if (!o->arg) {
            give(p->out, o, NULL);
            continue;
        }
        const char *value = text[1] ? text + 1 : p->argv[p->at];
        if (!value)
            return needs_value(o, e);
        if (!text[1])
            p->at++;
        give(p->out, o, value);
        return 0;
    }
    return 0;
}

static bool given(const struct args *a, const struct opt *opt)
{
    for (size_t i = 0; i < a->n_given; i++)
        if (a->given[i].opt == opt)
            return true;
    return false;
}

/* A flag's variable says no with "", 0, no, false, off. */
static bool says_yes(const char *value)
{
    static const char *const no[] = { "", "0", "no", "false", "off" };
    auto_free char *low = mem_strdup(value);
    str_lower(low);
    for (size_t i = 0; i < ARRAY_LEN(no); i++)
        if (str_eq(low, no[i]))
            return false;
    return true;
}

static const char *row_env(const struct opts_spec *spec, const struct opt *o)
{
    auto_strv struct strv names = { 0 };
    if (o->env && spec->environ)
        strv_split(&names, o->env, " ");
    for (size_t i = 0; i < names.n; i++) {
        const char *value = env_option(spec->environ, names.v[i]);
        if (value)
            return value;
    }
    return NULL;
}

/* The environment speaks first, so that what was typed comes later and wins. */
static void add_environment(const struct opts_spec *spec, const struct opt *table, struct args *a)
{
    struct args typed = *a;
    a->given = NULL;
    a->n_given = 0;
    for (const struct opt *o = table; o && o->name; o++) {
        const char *value = row_env(spec, o);
        if (!value || o->alias_of || (!o->many && given(&typed, o)))
            continue;
        if (o->arg && *value)
            give(a, o, value);
        else if (!o->arg && says_yes(value))
            give(a, o, NULL);
    }
    for (size_t i = 0; i < typed.n_given; i++)
        give(a, typed.given[i].opt, typed.given[i].value);
    free(typed.given);
}

int opts_parse(const struct opts_spec *spec, const char *const *argv, struct args *out,
               struct err *e)
{
    struct args a = { .opts = spec->opts };
    struct parser p = { .spec = spec, .argv = argv, .out = &a };
    int rc = 0;
    while (rc == 0 && argv[p.at]) {
        const char *word = argv[p.at++];
        if (str_eq(word, "--")) {
            while (argv[p.at])
                add_rest(&a, argv[p.at++]);
        } else if (str_starts(word, "--")) {
            rc = take_long(&p, word + 2, e);
        } else if (word[0] == '-' && word[1]) {
            rc = take_short(&p, word + 1, e);
        } else {
            add_rest(&a, word);
            while (spec->stop_at_first && argv[p.at])
                add_rest(&a, argv[p.at++]);
        }
    }
    if (rc < 0) {
        args_free(&a);
        return -1;
    }
    if (!a.rest) { /* so that rest[n_rest] is NULL even when there is none */
        a.rest = mem_zero(1, sizeof *a.rest);
    }
    add_environment(spec, spec->opts, &a);
    *out = a;
    return 0;
}

void args_free(struct args *a)
{
    free(a->given);
    free(a->rest);
    *a = (struct args){ 0 };
}

bool args_has(const struct args *a, const char *name)
{
    for (size_t i = 0; i < a->n_given; i++)
        if (str_eq(a->given[i].opt->name, name))
            return true;
    return false;
}

const char *args_value(const struct args *a, const char *name)
{
    for (size_t i = a->n_given; i > 0; i--)
        if (str_eq(a->given[i - 1].opt->name, name))
            return a->given[i - 1].value;
    return NULL;
}

void args_values(const struct args *a, const char *name, struct strv *out)
{
    for (size_t i = 0; i < a->n_given; i++)
        if (str_eq(a->given[i].opt->name, name) && a->given[i].value)
            strv_add(out, a->given[i].value);
}
