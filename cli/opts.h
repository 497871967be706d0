/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CLI_OPTS_H
#define CLI_OPTS_H

/* Command lines: one option table per command feeds the parser, --help and the completion script.
 * GNU forms: --name VALUE, --name=VALUE, -abc, -sVALUE, -s VALUE; "--" ends the options. */

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/strv.h"

struct opt {
    const char *name; /* long name without dashes; NULL ends a table */
    char letter;      /* short form, 0 when there is none */
    const char *arg;  /* what --help calls its value ("SIZE"); NULL: a flag */
    const char *help; /* one sentence, lower case, no full stop */

    /* Blank-separated names without prefix: HPCC_X, else APPTAINER_X, else SINGULARITY_X gives the
     * option when the command line does not. NULL: none. */
    const char *env;

    bool many;            /* may be repeated, and the environment's value comes first */
    const char *alias_of; /* another spelling of that option, not shown in help */
};

struct args_given {
    const struct opt *opt; /* never an alias row */
    const char *value;     /* NULL for a flag */
};

/* What a command line said. Strings are lent by argv and the environment. */
struct args {
    const struct opt *opts; /* the command's own table */
    struct args_given *given;
    size_t n_given;
    const char **rest; /* the positionals, NULL-terminated */
    size_t n_rest;
};

struct opts_spec {
    const char *what;           /* "hpcc create", for messages */
    const struct opt *opts;     /* the command's table, or NULL */
    const struct opt *more;     /* the global options, taken where the table does not clash */
    const char *const *environ; /* NULL: no environment names are looked up */
    bool stop_at_first;         /* the first positional ends the options */
};

/* Parse ARGV (NULL-terminated, without program and command name). ERR_USAGE with a hint. */
MUST_CHECK int opts_parse(const struct opts_spec *spec, const char *const *argv, struct args *out,
                          struct err *e);
void args_free(struct args *a);
#define auto_args cleanup_with(args_free)

/* Whether NAME was given; its last value (NULL when not given); all its values in order. NAME must
 * be in the command's table or the global one. */
bool args_has(const struct args *a, const char *name);
const char *args_value(const struct args *a, const char *name);
void args_values(const struct args *a, const char *name, struct strv *out);

/* The first set variable of HPCC_NAME, APPTAINER_NAME, SINGULARITY_NAME;
 * NULL when there is none. */
const char *env_option(const char *const *vars, const char *name);

#endif
