/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef DEFFILE_DEFFILE_H
#define DEFFILE_DEFFILE_H

/* Definition files: text → struct. The grammar (zones, headings, bodies, continuation, words) lives
 * here; the vocabulary (which header keys and sections exist) is handed down as a schema, since it
 * belongs to the agents and the builder. Every finding carries its line and column. Nothing here
 * touches a file system but deffile_read. Rules: docs/deffile.md. */

#include <stdbool.h>

#include "base/err.h"
#include "base/json.h"
#include "base/str.h"
#include "base/strv.h"

/* How the body of a section is read. */
enum deffile_body {
    DEFFILE_BODY_TEXT,   /* kept as it is */
    DEFFILE_BODY_FILES,  /* lines of source and destination, %files rules */
    DEFFILE_BODY_LABELS, /* lines of key and value */
};

/* What the words after a section's name mean. */
enum deffile_args {
    DEFFILE_ARGS_NONE,  /* ignored with a warning (help, labels, environment, arguments) */
    DEFFILE_ARGS_SHELL, /* options for the interpreter, e.g. -c /bin/bash */
    DEFFILE_ARGS_STAGE, /* nothing, or "from STAGE" (files) */
    DEFFILE_ARGS_APP,   /* exactly one application name (app*) */
};

struct deffile_section_rule {
    const char *name; /* lower case, without % */
    enum deffile_args args;
    enum deffile_body body;
};

struct deffile_schema {
    const char *const *header_keys; /* lower case, NULL-terminated; otherurl<N> always known */
    const struct deffile_section_rule *sections; /* ends with name NULL */
};

/* The whole language of Singularity 2.x to today's tools: what `deffile dump` uses, and what the
 * builder starts from. */
extern const struct deffile_schema deffile_schema_all;

enum deffile_severity {
    DEFFILE_WARNING,
    DEFFILE_ERROR,
};

struct deffile_diag {
    enum deffile_severity severity;
    const char *code; /* static, e.g. "unknown-section" */
    unsigned line;    /* 1-based */
    unsigned column;  /* 1-based, in bytes */
    char *message;
    char *hint; /* NULL when there is none */
};

/* Values, arguments and entries keep their bytes as written; only the dump and messages escape what
 * is not UTF-8. */
struct deffile_header {
    char *key; /* lower case */
    char *value;
    unsigned line;
};

struct deffile_entry {
    char *first;  /* source, or label key */
    char *second; /* destination (NULL: the same path), or label value ("" when missing) */
    unsigned line;
};

struct deffile_section {
    const struct deffile_section_rule
        *rule;  /* of the schema, which must outlive this; NULL: unknown */
    char *name; /* lower case */
    char *app;  /* app* sections; else NULL */
    char *args; /* comment cut, trimmed; "" when none */
    char *from; /* files: the stage named by "from"; else NULL */
    unsigned line;
    struct str
        body; /* raw bytes, every line ended by \n; body line i is file line `line` + 1 + i */
    struct deffile_entry *entries;
    size_t n_entries;
};

struct deffile_stage {
    char *name; /* value of the Stage header, or NULL */
    unsigned line;
    struct deffile_header *headers; /* in order of first appearance */
    size_t n_headers;
    struct deffile_section *sections; /* file order, one per heading */
    size_t n_sections;
};

struct deffile {
    char *name;      /* file name for messages */
    struct str text; /* the file's bytes as read */
    bool ok;         /* no diagnostic of severity error */
    struct deffile_stage *stages;
    size_t n_stages;
    struct deffile_diag *diags; /* by line, then column */
    size_t n_diags;
};

/* Read and parse PATH ("-": standard input), at most 1 MiB. Findings in the text are not an error
 * here: look at ok and diags. ERR_FAILED: unreadable. ERR_INPUT: missing, larger than 1 MiB, or not
 * a regular file or pipe. */
MUST_CHECK int deffile_read(const char *path, const struct deffile_schema *schema,
                            struct deffile **out, struct err *e);

/* Parse LEN bytes of TEXT; never fails. */
MUST_CHECK struct deffile *deffile_parse(const char *text, size_t len, const char *name,
                                         const struct deffile_schema *schema);

void deffile_free(struct deffile *d);
CLEANUP_DEFINE(struct deffile *, cleanup_deffile, deffile_free)
#define auto_deffile cleanup_with(cleanup_deffile)

/* Value of header KEY (lower case) in a stage, or NULL; and the whole header. */
const char *deffile_header_value(const struct deffile_stage *s, const char *key);
const struct deffile_header *deffile_header_find(const struct deffile_stage *s, const char *key);

/* The first section NAME of a stage (and APP, NULL for none) at or after index *POS; moves *POS
 * behind it. NULL when there is no more. Start with *POS = 0. */
const struct deffile_section *deffile_section_next(const struct deffile_stage *s, const char *name,
                                                   const char *app, size_t *pos);

/* Add a finding of the caller's own (an agent's missing key …); keeps the order, clears ok on an
 * error. */
void deffile_diag_add(struct deffile *d, enum deffile_severity severity, const char *code,
                      unsigned line, unsigned column, const char *hint, const char *fmt, ...)
    PRINTF(7, 8);

/* "FILE:LINE:COL: error[code]: message". Caller frees. */
MUST_CHECK char *deffile_diag_text(const struct deffile *d, const struct deffile_diag *g);

/* The errors of D as one ERR_INPUT: the first one's text and hint, with "and N more".
 * Returns -1. */
int deffile_err(const struct deffile *d, struct err *e);

/* Schema hpcc.deffile.v1 (docs/deffile.md). Caller releases. */
MUST_CHECK struct json_object *deffile_dump(const struct deffile *d);

#endif
