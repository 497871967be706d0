/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef DEFFILE_READER_H
#define DEFFILE_READER_H

/* What the files of this room share; nobody else includes it. */

#include "deffile/deffile.h"

/* Bytes lent from the file's text. */
struct slice {
    const char *p;
    size_t n;
};

struct place {
    unsigned line;
    unsigned column;
};

/* A header value that ends in a backslash and waits for its next line. */
struct pending {
    bool open;
    char *key;
    struct str value;
    struct place at;
};

struct reader {
    struct deffile *d;
    const struct deffile_schema *schema;
    const char **section_names; /* of the schema, for corrections; NULL-terminated */
    const char **last_args;     /* by rule: words of the last heading in this stage that had any */
    size_t n_rules;
    unsigned n_corrections;
    bool in_section; /* lines belong to the last section of the last stage */

    /* of the stage in hand */
    void *keys;              /* tsearch(3) tree of struct key_node */
    struct str joined;       /* Include, when given more than once */
    struct place *old_lines; /* DistType lines, judged when the header is complete */
    size_t n_old_lines;
    size_t mark; /* findings before this stage */
    struct pending pending;

    void *stage_names; /* tree of the names of earlier stages */
};

/* slices and bytes (text.c) */
bool slice_is_blank(struct slice s);
struct slice slice_trim(struct slice s); /* blanks: space and tab */
struct slice slice_from(struct slice s, size_t start);
bool slice_has_prefix(struct slice s, const char *text);
struct slice
slice_cut_comment(struct slice s); /* from a # at the start or after a blank; trimmed */
char *slice_dup(struct slice s);
size_t utf8_length(const char *p, size_t n);  /* of the valid sequence at P, or 0 */
size_t utf8_invalid(struct slice s);          /* offset of the first invalid byte; s.n: none */
size_t space_length(const char *p, size_t n); /* of a white-space character (Unicode's too), or 0 */
void strv_split_spaces(struct strv *out, const char *text);
char *text_escape(const char *text); /* bytes that are not UTF-8 as \xHH */
char *text_quote(const char *text);  /* the same, cut to a length fit for a message */

/* a name → position tree; tsearch keeps hostile names from making it slow (names.c) */
bool name_add(void **tree, const char *name, size_t position); /* false: was there */
bool name_find(void *tree, const char *name, size_t *position);
void names_free(void **tree);

/* arrays that grow by doubling: room for element N, zeroed */
void *array_grow(void *v, size_t n, size_t size);

/* findings, in order of discovery until reader_sort */
void say(struct reader *r, struct deffile_diag diag, const char *hint, const char *fmt, ...)
    PRINTF(4, 5);
#define DIAG_ERROR(name, at)                                                                       \
    (struct deffile_diag)                                                                          \
    {                                                                                              \
        .severity = DEFFILE_ERROR, .code = (name), .line = (at).line, .column = (at).column        \
    }
#define DIAG_WARNING(name, at)                                                                     \
    (struct deffile_diag)                                                                          \
    {                                                                                              \
        .severity = DEFFILE_WARNING, .code = (name), .line = (at).line, .column = (at).column      \
    }
void diags_sort(struct deffile *d);
void diags_cut(struct deffile *d, size_t n); /* drop all from N on */
const char *reader_correction(struct reader *r, const char *word, const char *const names[]);

static inline struct deffile_stage *reader_stage(struct reader *r)
{
    return &r->d->stages[r->d->n_stages - 1];
}

/* the parts */
bool reader_check_bytes(struct reader *r, struct slice *text); /* lines.c; false: no text file */
bool slice_next_line(struct slice *rest, struct slice *line);  /* up to the LF */
bool slice_next_file_line(struct slice *rest, struct slice *line);        /* up to LF or CR LF */
void reader_header_line(struct reader *r, struct slice line, unsigned n); /* header.c */
void reader_header_end(struct reader *r);
void reader_pending_refuse(struct reader *r, unsigned column);
bool header_key_listed(const struct deffile_schema *schema, const char *key);
bool header_line_split(struct slice line, struct slice *key, struct slice *value);
const struct deffile_section_rule *rule_find(const struct reader *r, struct slice name);
void reader_heading(struct reader *r, struct slice line, unsigned n, size_t indent); /* heading.c */
void reader_entries(struct reader *r, struct deffile_section *s);                    /* entries.c */

#endif
