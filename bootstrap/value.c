/* SPDX-License-Identifier: BSD-3-Clause */
#include "bootstrap/value.h"

#include "base/mem.h"
#include "base/str.h"

#define ALNUM "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

char *value_shown(const char *value)
{
    auto_free char *shown = str_printable(value);
    for (char *c = shown; *c; c++) /* one line, whatever it holds */
        if (*c == '\n' || *c == '\t')
            *c = ' ';
    return strlen(shown) <= 80 ? steal_ptr(shown) : mem_printf("%.77s...", shown);
}

char *value_url_public(const char *url)
{
    return str_without_passwords(url);
}

int value_blame(const struct agent_input *in, const char *key, struct err *e)
{
    const struct deffile_header *h = deffile_header_find(in->stage, key);
    return h && h->value[0] ? err_wrap(e, "%s:%u", in->def->name, h->line) : -1;
}

/* Why WORD will not do, or NULL. Static text or, for a character, in BUF. */
static const char *word_fault(const char *word, const char *extra, char buf[48])
{
    if (!word[0])
        return "it is empty";
    if (word[0] == '-')
        return "it looks like an option";
    if (!strchr(ALNUM, word[0]))
        return "it does not begin with a letter or digit";
    for (const char *c = word; *c; c++) {
        if (strchr(ALNUM, *c) || strchr(extra, *c))
            continue;
        if (*c > ' ' && *c < 127)
            snprintf(buf, 48, "the character '%c' is not allowed", *c);
        else
            snprintf(buf, 48, "the byte 0x%02x is not allowed", (unsigned char)*c);
        return buf;
    }
    return strlen(word) > 255 ? "it is longer than 255 bytes" : NULL;
}

static bool complain(struct deffile *def, const struct deffile_header *h, const char *what,
                     const char *word, const char *fault)
{
    auto_free char *shown = value_shown(word);
    deffile_diag_add(def, DEFFILE_ERROR, "bad-value", h->line, 1, NULL,
                     "'%s' is no valid %s in header '%s': %s", shown, what, h->key, fault);
    return false;
}

bool value_check_word(struct deffile *def, const struct deffile_header *h, const char *what,
                      const char *extra)
{
    char buf[48];
    const char *fault = word_fault(h->value, extra, buf);
    return fault ? complain(def, h, what, h->value, fault) : true;
}

bool value_check_words(struct deffile *def, const struct deffile_header *h, const char *what,
                       const char *extra, struct strv *out)
{
    auto_strv struct strv words = { 0 };
    strv_split(&words, h->value, " \t,\n");
    for (size_t i = 0; i < words.n; i++) {
        char buf[48];
        const char *fault = word_fault(words.v[i], extra, buf);
        if (fault)
            return complain(def, h, what, words.v[i], fault);
    }
    for (size_t i = 0; out && i < words.n; i++)
        strv_add(out, words.v[i]);
    return true;
}

static const char *url_fault(const char *url, const char *const schemes[], const char *extra)
{
    const char *rest = strstr(url, "://");
    if (!rest)
        return "it is no address of the form 'https://host/path'";
    bool known = false;
    for (const char *const *s = schemes; *s; s++)
        known = known || (strlen(*s) == (size_t)(rest - url) && str_starts(url, *s));
    if (!known)
        return "the scheme is not supported";
    rest += 3;
    if (str_starts(url, "file://") ? rest[0] != '/' : !strchr(ALNUM "[", rest[0]) || !rest[0])
        return "the host name is missing";
    size_t good = 0;
    while (rest[good] && (strchr(ALNUM "-._~:/@%+,=[]", rest[good]) || strchr(extra, rest[good])))
        good++;
    if (rest[good])
        return "it holds a character that has no place in an address";
    return strlen(url) > 2000 ? "it is longer than 2000 bytes" : NULL;
}

bool value_check_url(struct deffile *def, const struct deffile_header *h,
                     const char *const schemes[], const char *extra)
{
    const char *fault = url_fault(h->value, schemes, extra);
    if (!fault)
        return true;
    auto_str struct str list = { 0 };
    for (const char *const *s = schemes; *s; s++)
        str_addf(&list, "%s%s://", list.len ? ", " : "accepted: ", *s);
    auto_free char *public = value_url_public(h->value);
    auto_free char *shown = value_shown(public);
    deffile_diag_add(def, DEFFILE_ERROR, "bad-value", h->line, 1, str_text(&list),
                     "'%s' is no valid address in header '%s': %s", shown, h->key, fault);
    return false;
}
