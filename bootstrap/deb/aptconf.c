/* SPDX-License-Identifier: BSD-3-Clause */
#include "bootstrap/deb/aptconf.h"

#include <fcntl.h>
#include <strings.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/str.h"
#include "base/strv.h"
#include "bootstrap/vault.h"

#define MAX_BYTES (1u << 20)

struct search {
    const char *family, *suite;
    char *exact; /* a mirror that has SUITE */
    char *other; /* a mirror of the family */
};

/* One stanza of deb822, or one line of a .list. */
struct entry {
    struct strv types, uris, suites, components;
    bool disabled;
};

static void entry_fini(struct entry *en)
{
    strv_free(&en->types);
    strv_free(&en->uris);
    strv_free(&en->suites);
    strv_free(&en->components);
    *en = (struct entry){ 0 };
}
#define auto_entry cleanup_with(entry_fini)

static bool usable_uri(const char *uri)
{
    return str_starts(uri, "http://") || str_starts(uri, "https://") || str_starts(uri, "file:/");
}

/* Remember URI once; debootstrap wants "file:///x" where apt takes "file:/x" too. */
static void keep(char **slot, const char *uri)
{
    if (*slot)
        return;
    const char *path = str_starts(uri, "file:") ? uri + 5 : NULL;
    char *url = path ? mem_printf("file:///%s", path + strspn(path, "/")) : mem_strdup(uri);
    size_t len = strlen(url);
    while (len && url[len - 1] == '/')
        url[--len] = 0;
    *slot = url;
}

static void consider(struct search *s, const struct entry *en)
{
    if (en->disabled || !strv_has(&en->types, "deb") || !strv_has(&en->components, "main"))
        return;
    bool ours = false, exact = false;
    for (size_t i = 0; i < en->suites.n; i++) {
        const struct vault_suite *known = vault_suite_find(en->suites.v[i]);
        exact = exact || str_eq(en->suites.v[i], s->suite);
        ours = ours || (known && str_eq(known->family, s->family));
    }
    for (size_t i = 0; i < en->uris.n; i++) {
        if (!usable_uri(en->uris.v[i]))
            continue;
        if (exact && ours)
            keep(&s->exact, en->uris.v[i]);
        if (ours)
            keep(&s->other, en->uris.v[i]);
    }
}

/* "deb [options] uri suite component…" */
static void read_line(struct search *s, const char *line)
{
    auto_strv struct strv words = { 0 };
    auto_free char *text = mem_strndup(line, strcspn(line, "#"));
    char *open = strchr(text, '[');
    char *shut = open ? strchr(open, ']') : NULL;
    if (shut)
        memset(open, ' ', (size_t)(shut - open) + 1);
    strv_split(&words, text, " \t\r");
    if (words.n < 4)
        return;
    auto_entry struct entry en = { 0 };
    strv_add(&en.types, words.v[0]);
    strv_add(&en.uris, words.v[1]);
    strv_add(&en.suites, words.v[2]);
    for (size_t i = 3; i < words.n; i++)
        strv_add(&en.components, words.v[i]);
    consider(s, &en);
}

static struct strv *field_of(struct entry *en, const char *name)
{
    return strcasecmp(name, "Types") == 0        ? &en->types
           : strcasecmp(name, "URIs") == 0       ? &en->uris
           : strcasecmp(name, "Suites") == 0     ? &en->suites
           : strcasecmp(name, "Components") == 0 ? &en->components
                                                 : NULL;
}

/* Stanzas of "Field: words", continued on lines that begin with a blank; '#' lines are comments. */
static void read_deb822(struct search *s, const struct strv *lines)
{
    auto_entry struct entry en = { 0 };
    struct strv *field = NULL;
    for (size_t i = 0; i < lines->n; i++) {
        const char *line = lines->v[i];
        if (line[0] == '#')
            continue;
        if (line[strspn(line, " \t\r")] == 0) {
            consider(s, &en);
            entry_fini(&en);
            field = NULL;
            continue;
        }
        const char *value = line;
        if (line[0] != ' ' && line[0] != '\t') {
            const char *colon = strchr(line, ':');
            auto_free char *name = mem_strndup(line, colon ? (size_t)(colon - line) : 0);
            field = field_of(&en, name);
            value = colon ? colon + 1 : "";
            if (strcasecmp(name, "Enabled") == 0)
                en.disabled = strcasecmp(value + strspn(value, " \t"), "no") == 0;
        }
        if (field)
            strv_split(field, value, " \t\r");
    }
    consider(s, &en);
}

/* Lines of TEXT, empty ones too: they end a stanza. */
static void split_lines(struct strv *lines, const char *text)
{
    while (*text) {
        size_t len = strcspn(text, "\n");
        strv_take(lines, mem_strndup(text, len));
        text += len + (text[len] == '\n');
    }
}

static void read_sources(struct search *s, const char *path)
{
    auto_str struct str text = { 0 };
    if (fs_read_file(path, MAX_BYTES, &text, NULL) < 0)
        return;
    auto_strv struct strv lines = { 0 };
    split_lines(&lines, str_text(&text));
    if (str_ends(path, ".sources")) {
        read_deb822(s, &lines);
        return;
    }
    for (size_t i = 0; i < lines.n; i++)
        read_line(s, lines.v[i]);
}

char *aptconf_mirror(const char *apt_dir, const char *family, const char *suite)
{
    struct search s = { .family = family, .suite = suite };
    auto_free char *list = path_join(apt_dir, "sources.list");
    auto_free char *parts = path_join(apt_dir, "sources.list.d");
    read_sources(&s, list);
    auto_strv struct strv names = { 0 };
    int rc = fs_names_at(AT_FDCWD, parts, &names);
    for (size_t i = 0; rc == 0 && i < names.n; i++) {
        if (!str_ends(names.v[i], ".list") && !str_ends(names.v[i], ".sources"))
            continue;
        auto_free char *path = path_join(parts, names.v[i]);
        read_sources(&s, path);
    }
    auto_free char *exact = s.exact;
    auto_free char *other = s.other;
    return exact ? steal_ptr(exact) : steal_ptr(other);
}
