/* SPDX-License-Identifier: BSD-3-Clause */
#include "runtime/envscript.h"

#include <string.h>

#include "base/mem.h"
#include "base/str.h"

enum {
    MAX_VALUE = 64 * 1024, /* the kernel takes 128 KiB for one variable */
    MAX_NAME = 256,
    MAX_DEPTH = 4, /* of ${A:-${B:-…}} */
};

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_"
#define DIGITS  "0123456789"
#define PLAIN   LETTERS DIGITS "./:,@%+=^-"

struct parser {
    struct envscript *s;
    const char *at, *end;
    bool splittable; /* the word has an expansion outside of quotes */
};

/* How a word is being read. */
enum quoting { BARE, BRACED };

static char peek(const struct parser *p)
{
    return p->at < p->end ? *p->at : '\n';
}

static bool take(struct parser *p, const char *text)
{
    size_t len = strlen(text);
    if ((size_t)(p->end - p->at) < len || memcmp(p->at, text, len) != 0)
        return false;
    p->at += len;
    return true;
}

static void skip_blanks(struct parser *p)
{
    while (p->at < p->end && (*p->at == ' ' || *p->at == '\t'))
        p->at++;
}

static bool take_name(struct parser *p, char name[MAX_NAME])
{
    size_t len = 0;
    while (p->at + len < p->end && strchr(len ? LETTERS DIGITS : LETTERS, p->at[len]) && p->at[len])
        len++;
    if (len == 0 || len >= MAX_NAME)
        return false;
    memcpy(name, p->at, len);
    name[len] = 0;
    p->at += len;
    return true;
}

/* Variables that one shell or another computes, splits words by, or refuses to set (bash: UID). What
 * an assignment to them does depends on the shell that the image has, so only that shell can tell. */
static bool is_special(const char *name)
{
    static const char *const names[] = {
        "IFS",
        "PPID",
        "OPTIND",
        "OPTARG",
        "OPTERR",
        "LINENO",
        "RANDOM",
        "SRANDOM",
        "SECONDS",
        "UID",
        "EUID",
        "GROUPS",
        "DIRSTACK",
        "PWD",
        "OLDPWD",
        "SHLVL",
        "SHELL",
        "HOSTNAME",
        "HOSTTYPE",
        "MACHTYPE",
        "OSTYPE",
        "PS2",
        "PS4",
        "COLUMNS",
        "LINES",
        "HISTCMD",
        "SHELLOPTS",
        "PIPESTATUS",
        "FUNCNAME",
        "EPOCHSECONDS",
        "TERM",
        "EPOCHREALTIME",
        "COMP_WORDBREAKS",
        "POSIXLY_CORRECT",
        "ENV",
        "_",
    };
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (str_eq(name, names[i]))
            return true;
    return str_starts(name, "BASH") || str_starts(name, "KSH") || str_starts(name, "HIST");
}

static const char *value_of(const struct parser *p, const char *name)
{
    const char *value = strv_env_get(&p->s->env, name);
    return value ? value : strv_env_get(&p->s->locals, name);
}

static bool add(struct str *out, const char *text, size_t len)
{
    if (len > MAX_VALUE - out->len)
        return false;
    str_add_n(out, text, len);
    return true;
}

static bool word(struct parser *p, enum quoting how, unsigned depth, struct str *out);

static bool add_value(struct str *out, const char *value)
{
    return !value || add(out, value, strlen(value));
}

/* After "${": NAME}, NAME:-word}, NAME:+word}. */
static bool braces(struct parser *p, unsigned depth, struct str *out)
{
    char name[MAX_NAME];
    if (!take_name(p, name) || is_special(name))
        return false;
    const char *value = value_of(p, name);
    if (take(p, "}"))
        return add_value(out, value);
    bool instead = take(p, ":-");
    if (!instead && !take(p, ":+"))
        return false;
    auto_str struct str other = { 0 };
    if (depth >= MAX_DEPTH || !word(p, BRACED, depth + 1, &other) || !take(p, "}"))
        return false;
    bool has = value && *value;
    if (instead && has)
        return add_value(out, value);
    return instead || has ? add_value(out, str_text(&other)) : true;
}

/* After "$". */
static bool expansion(struct parser *p, unsigned depth, struct str *out)
{
    char name[MAX_NAME];
    if (take(p, "{"))
        return braces(p, depth, out);
    if (!take_name(p, name) || is_special(name))
        return false;
    return add_value(out, value_of(p, name));
}

/* Inside "…": everything but what the shell would look at. */
static bool double_quoted(struct parser *p, unsigned depth, struct str *out)
{
    while (p->at < p->end && *p->at != '"') {
        if (*p->at == '\\' || *p->at == '`')
            return false;
        if (*p->at == '$') {
            p->at++;
            if (!expansion(p, depth, out))
                return false;
        } else if (!add(out, p->at++, 1)) {
            return false;
        }
    }
    return take(p, "\"");
}

static bool single_quoted(struct parser *p, struct str *out)
{
    const char *close = memchr(p->at, '\'', (size_t)(p->end - p->at));
    if (!close || !add(out, p->at, (size_t)(close - p->at)))
        return false;
    p->at = close + 1;
    return true;
}

/* Up to what ends a word in this place; what that is, the caller looks at. */
static bool word(struct parser *p, enum quoting how, unsigned depth, struct str *out)
{
    const char *plain = how == BRACED ? PLAIN " >" : PLAIN;
    while (p->at < p->end) {
        char c = *p->at;
        bool ok;
        if (!strchr("$\"'", c) && !strchr(plain, c))
            return true;
        if (c == '\'' && how != BARE)
            return true;
        p->at++;
        p->splittable |= c == '$' && how == BARE;
        if (c == '$')
            ok = expansion(p, depth, out);
        else if (c == '"')
            ok = double_quoted(p, depth, out);
        else if (c == '\'')
            ok = single_quoted(p, out);
        else
            ok = add(out, &c, 1);
        if (!ok)
            return false;
    }
    return true;
}

static bool set(struct parser *p, const char *name, const char *value, bool exported)
{
    if (is_special(name) || strlen(value) != strcspn(value, "\n"))
        return false;
    if (exported || strv_env_get(&p->s->env, name)) {
        strv_env_unset(&p->s->locals, name);
        strv_env_set(&p->s->env, name, value);
    } else {
        strv_env_set(&p->s->locals, name, value);
    }
    return true;
}

/* "=word" of NAME. Some shells split what `export` is given at white space and look for files, so
 * what could be either is left to them. */
static bool assign(struct parser *p, const char *name, bool exported)
{
    auto_str struct str value = { 0 };
    p->splittable = false;
    if (!word(p, BARE, 0, &value) || !strchr(" \t\n;", peek(p)))
        return false;
    if (exported && p->splittable && strpbrk(str_text(&value), " \t*?["))
        return false;
    return set(p, name, str_text(&value), exported);
}

static bool export_names(struct parser *p)
{
    char name[MAX_NAME];
    for (size_t n = 0;; n++) {
        skip_blanks(p);
        if (strchr("\n;#", peek(p)))
            return n > 0; /* without names it prints */
        if (!take_name(p, name) || is_special(name))
            return false;
        if (take(p, "=")) {
            if (!assign(p, name, true))
                return false;
        } else {
            const char *value = value_of(p, name);
            auto_free char *copy = mem_strdup(value);
            if (!copy || !set(p, name, copy, true))
                return false; /* exported, but without a value: few shells agree what that is */
        }
        if (!strchr(" \t\n;", peek(p)))
            return false;
    }
}

static bool unset_names(struct parser *p)
{
    char name[MAX_NAME];
    for (size_t n = 0;; n++) {
        skip_blanks(p);
        if (strchr("\n;#", peek(p)))
            return n > 0;
        if (!take_name(p, name) || is_special(name) || !strchr(" \t\n;", peek(p)))
            return false;
        strv_env_unset(&p->s->env, name);
        strv_env_unset(&p->s->locals, name);
    }
}

static void take_line(struct parser *p, const char **line, size_t *len)
{
    const char *newline = memchr(p->at, '\n', (size_t)(p->end - p->at));
    *line = p->at;
    *len = (size_t)((newline ? newline : p->end) - p->at);
    p->at = newline ? newline + 1 : p->end;
}

/* Whether a line of a block that is skipped hides nothing: no string over several lines, no
 * here-document, no block in one line. */
static bool is_harmless(const char *line, size_t len)
{
    size_t singles = 0, doubles = 0;
    for (size_t i = 0; i < len; i++) {
        singles += line[i] == '\'';
        doubles += line[i] == '"';
        if (line[i] == '\\' || line[i] == '`' ||
            (line[i] == '<' && i + 1 < len && line[i + 1] == '<'))
            return false;
    }
    return singles % 2 == 0 && doubles % 2 == 0;
}

/* NAME as a word of its own behind the first one. */
static bool has_word(const char *line, size_t len, const char *name)
{
    size_t n = strlen(name);
    for (size_t i = 1; i + n <= len; i++)
        if (memcmp(line + i, name, n) == 0 && strchr(" \t;&|()", line[i - 1]) &&
            (i + n == len || strchr(" \t;&|()", line[i + n])))
            return true;
    return false;
}

static bool first_word_is(const char *line, size_t len, const char *want)
{
    size_t n = strlen(want);
    return len >= n && memcmp(line, want, n) == 0 && (len == n || strchr(" \t;", line[n]));
}

/* After "then": up to the "fi" that belongs to it. */
static bool skip_block(struct parser *p)
{
    static const char *const no[] = { "else", "elif", "case", "for", "while", "until" };
    for (unsigned depth = 1; p->at < p->end;) {
        const char *line;
        size_t len;
        skip_blanks(p);
        take_line(p, &line, &len);
        if (len && line[0] == '#')
            continue;
        if (!is_harmless(line, len) || has_word(line, len, "if") || has_word(line, len, "fi"))
            return false;
        for (size_t i = 0; i < ARRAY_LEN(no); i++)
            if (first_word_is(line, len, no[i]))
                return false;
        if (first_word_is(line, len, "if")) {
            if (len < 6 || memcmp(line + len - 6, "; then", 6) != 0)
                return false;
            depth++;
        } else if (first_word_is(line, len, "fi")) {
            if (len != 2)
                return false;
            if (--depth == 0)
                return true;
        }
    }
    return false;
}

/* After `if`. */
static bool condition(struct parser *p)
{
    char name[MAX_NAME];
    if (!take(p, "[ -n \"${") || !take_name(p, name) || is_special(name) ||
        !take(p, ":-}\" ]; then\n"))
        return false;
    const char *value = value_of(p, name);
    return !(value && *value) && skip_block(p);
}

static bool end_of_command(struct parser *p)
{
    skip_blanks(p);
    if (peek(p) == '#')
        return true; /* a comment: the next round passes over it */
    return take(p, ";") || take(p, "\n") || p->at == p->end;
}

/* One command, with what ends it. */
static bool command(struct parser *p)
{
    char name[MAX_NAME];
    if (take(p, "export ") || take(p, "export\t"))
        return export_names(p) && end_of_command(p);
    if (take(p, "unset "))
        return unset_names(p) && end_of_command(p);
    if (take(p, "if "))
        return condition(p);
    if (!take_name(p, name) || !take(p, "=") || !assign(p, name, false))
        return false;
    skip_blanks(p); /* "A=1 command" is none of ours */
    return end_of_command(p);
}

bool envscript_run(struct envscript *s, const char *text, size_t len)
{
    struct parser p = { .s = s, .at = text, .end = text + len };
    if (memchr(text, 0, len))
        return false;
    while (p.at < p.end) {
        skip_blanks(&p);
        if (peek(&p) == '#') {
            const char *line;
            size_t n;
            take_line(&p, &line, &n);
        } else if (peek(&p) == '\n') {
            p.at += p.at < p.end;
        } else if (!command(&p)) {
            return false;
        }
    }
    return true;
}

void envscript_fini(struct envscript *s)
{
    strv_free(&s->env);
    strv_free(&s->locals);
}
