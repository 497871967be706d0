/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CLI_CLI_H
#define CLI_CLI_H

/* The front door: what every command gets and what it must provide. */

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/str.h"
#include "cli/opts.h"

struct out; /* cli/out.h */
struct runtime_plan;

/* The caller's world, filled by main. */
struct cli {
    const char *const *environ; /* as given to main */
    bool quiet;                 /* no notices, no progress */
    bool silent;                /* no warnings either */
    bool verbose;
    bool debug;
    bool no_colour; /* --nocolor */
    bool terminal;  /* stderr is one */
    bool colour;    /* stderr is a terminal and nobody objects */
    struct out *out;
    const char *const *argv; /* all words, argv[0] included */

    /* runtime_perform_merging; NULL where what writes images is not linked: there hpcc-full is
     * called. */
    int (*perform_merging)(struct runtime_plan *p, int *status, struct err *e);
};

enum cli_limits {
    CLI_ANY = -1, /* max_args: as many as you like */
};

struct command {
    const char *synopsis;          /* after "hpcc NAME ", e.g. "[options] IMAGE" */
    const char *help;              /* paragraphs parted by an empty line, wrapped when printed */
    const char *examples;          /* lines shown as they are, or NULL */
    void (*more)(struct str *out); /* adds lists that other tables hold to the help, or NULL */
    const char *topic;             /* word that `hpcc help` explains besides, or NULL */
    void (*print_topic)(void);     /* prints it; NULL without a topic */
    const char *verbs;             /* blank-separated words for the first positional, or NULL */
    const struct opt *opts;
    int min_args;
    int max_args;       /* CLI_ANY: no limit */
    bool stop_at_first; /* everything after the first positional goes through untouched */
    bool passes_status; /* run, exec …: hpcc's own failures are 125, 126, 127 */

    /* Returns the exit status (0 done), or -1 with E set. Results go to stdout; all else through
     * log_ and progress_. */
    int (*run)(struct cli *cli, const struct args *args, struct err *e);
};

/* One line of commands.list as this executable knows it. */
enum command_place {
    COMMAND_HERE,      /* in this executable */
    COMMAND_ELSEWHERE, /* in hpcc-full */
    COMMAND_ABSENT,    /* left out when this hpcc was built */
};

struct command_entry {
    const char *name;
    const char *summary;
    enum command_place place;
    const struct command *command; /* NULL unless COMMAND_HERE */
};

/* All of commands.list, ended by name NULL. */
extern const struct command_entry command_table[];
const struct command_entry *command_find(const char *name);

/* ERR_USAGE: no such command, with the likely one as hint. */
int command_unknown(const char *name, struct err *e);

extern const struct opt cli_global_opts[];

/* Replace this process by hpcc-full with ARGV; returns only on failure (ERR_HOST). */
int cli_exec_full(struct cli *cli, const char *const *argv, struct err *e);

/* Path of hpcc-squashfs, where it is built and installed; NULL: it is not. */
MUST_CHECK char *cli_squashfs_server(void);

/* Texts of `hpcc help`, `hpcc CMD --help` and `hpcc completion bash`. Callers free. */
MUST_CHECK char *usage_overview(const struct command_entry *table);
MUST_CHECK char *usage_command(const struct command_entry *entry);
MUST_CHECK char *usage_bash(const struct command_entry *table);

#endif
