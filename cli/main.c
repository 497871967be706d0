/* SPDX-License-Identifier: BSD-3-Clause */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/auxv.h>

#include "base/defence.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/str.h"
#include "cli/cli.h"
#include "cli/out.h"
#include "runtime/runtime.h"

enum { STATUS_PIPE = 128 + SIGPIPE };

/* A descriptor of ours must never take the place of a closed stdin, stdout or stderr. */
static void hold_standard_fds(void)
{
    int fd;
    do
        fd = open("/dev/null", O_RDWR); // NOLINT: 0, 1 and 2 are inherited on purpose
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0)
        close(fd);
}

static void apply_flags(struct cli *cli, const struct args *a)
{
    cli->debug |= args_has(a, "debug");
    cli->verbose |= args_has(a, "verbose");
    cli->silent |= args_has(a, "silent");
    cli->quiet |= cli->silent || args_has(a, "quiet");
    const char *no_colour = strv_env_value(cli->environ, "NO_COLOR");
    cli->colour = cli->terminal && !cli->quiet && !args_has(a, "nocolor") &&
                  !(no_colour && *no_colour) && !cli->no_colour;
    cli->no_colour |= args_has(a, "nocolor");
}

static int print(const char *text)
{
    out_say("%s", text);
    return 0;
}

static int print_help(const struct command_entry *entry)
{
    auto_free char *text = entry ? usage_command(entry) : usage_overview(command_table);
    return print(text);
}

static int check_count(const struct command_entry *entry, const struct args *a, struct err *e)
{
    const struct command *c = entry->command;
    if (c->max_args != CLI_ANY && a->n_rest > (size_t)c->max_args)
        err_set(e, ERR_USAGE, "unexpected argument '%s'", a->rest[c->max_args]);
    else if (a->n_rest < (size_t)c->min_args)
        err_set(e, ERR_USAGE, "%s", a->n_rest ? "an argument is missing" : "arguments are missing");
    else
        return 0;
    return err_hint(e, "usage: hpcc %s %s", entry->name, c->synopsis);
}

static int run_command(struct cli *cli, const struct command_entry *entry, const char *const *argv,
                       struct err *e)
{
    const struct command *c = entry->command;
    auto_free char *what = mem_printf("hpcc %s", entry->name);
    auto_args struct args a = { 0 };
    struct opts_spec spec = {
        .what = what,
        .opts = c->opts,
        .more = cli_global_opts,
        .environ = cli->environ,
        .stop_at_first = c->stop_at_first,
    };
    if (opts_parse(&spec, argv, &a, e) < 0)
        return -1;
    apply_flags(cli, &a);
    out_init(cli->out, cli);
    if (args_has(&a, "help"))
        return print_help(entry);
    if (check_count(entry, &a, e) < 0)
        return -1;
    /* The contained program inherits the caller's SIGPIPE; our own long work must not die of a
     * reader that left. */
    if (!c->passes_status)
        signal(SIGPIPE, SIG_IGN);
    return c->run(cli, &a, e);
}

static int dispatch(struct cli *cli, const char *const *argv, bool *passes_status, struct err *e)
{
    auto_args struct args a = { 0 };
    struct opts_spec spec = {
        .what = "hpcc",
        .opts = cli_global_opts,
        .environ = cli->environ,
        .stop_at_first = true,
    };
    if (opts_parse(&spec, argv + 1, &a, e) < 0)
        return -1;
    apply_flags(cli, &a);
    out_init(cli->out, cli);
    if (args_has(&a, "version"))
        return print("hpcc version " HPCC_VERSION "\n");
    if (a.n_rest == 0 && !args_has(&a, "help")) {
        err_set(e, ERR_USAGE, "no command given");
        return err_hint(e, "'hpcc help' lists the commands");
    }
    if (a.n_rest == 0)
        return print_help(NULL);
    const struct command_entry *entry = command_find(a.rest[0]);
    if (!entry)
        return command_unknown(a.rest[0], e);
    if (entry->place == COMMAND_ABSENT) {
        err_set(e, ERR_HOST, "this hpcc was built to run images only, without '%s'", entry->name);
        return err_hint(e, "use an hpcc that was built with -DHPCC_BUILD=ON");
    }
    if (entry->place == COMMAND_ELSEWHERE)
        return cli_exec_full(cli, argv, e);
    *passes_status = entry->command->passes_status;
    if (args_has(&a, "help"))
        return print_help(entry);
    return run_command(cli, entry, a.rest + 1, e);
}

/* `#!/usr/bin/env run-hpcc` in an image's boot block: IMAGE ARGS means `run -- IMAGE ARGS`. */
static void expand_name(struct strv *argv, char *const *given)
{
    auto_free char *base = path_base(given[0] ? given[0] : "hpcc");
    strv_add(argv, given[0] ? given[0] : "hpcc");
    if (str_eq(base, "run-hpcc")) {
        strv_add(argv, "run");
        strv_add(argv, "--");
    }
    for (size_t i = 1; given[0] && given[i]; i++)
        strv_add(argv, given[i]);
}

int main(int argc, char **argv, char **envp)
{
    (void)argc;
    hold_standard_fds();
    static char buffer[BUFSIZ];
    setvbuf(stdout, buffer, _IOFBF, sizeof buffer); /* results come out when the bar is gone */
    struct out out = { 0 };
    struct cli cli = { .environ = (const char *const *)envp,
                       .out = &out,
                       .terminal = isatty(STDERR_FILENO) };
    auto_err struct err e = { 0 };
    auto_strv struct strv words = { 0 };
    expand_name(&words, argv);
    cli.argv = (const char *const *)words.v;
#ifdef HPCC_FULL
    cli.perform_merging = runtime_perform_merging;
#endif
    bool passes_status = false;
    int status;
    out_init(&out, &cli);
    if (getauxval(AT_SECURE) && defence("secure")) {
        status =
            err_set(&e, ERR_HOST, "hpcc refuses to run setuid, setgid or with file capabilities");
        err_hint(&e, "remove the bits with 'chmod a-s' or 'setcap -r'; hpcc needs none of them");
    } else {
        status = dispatch(&cli, (const char *const *)words.v, &passes_status, &e);
    }
    out_wipe(&out);
    if (fflush(stdout) != 0 && status == 0) {
        if (errno == EPIPE)
            status = STATUS_PIPE; /* the reader has left: nothing to say, nobody to hear it */
        else
            status = err_sys(&e, "cannot write to standard output");
    }
    if (status < 0) {
        out_error(&out, &e);
        status = out_exit_code(&e, passes_status);
    }
    out_fini(&out);
    return status;
}
