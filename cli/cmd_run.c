/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli/action.h"

static int run(struct cli *cli, const struct args *args, struct err *e)
{
    return action_run(cli, args, RUNTIME_RUN, e);
}

const struct command cmd_run = {
    .synopsis = "[options] IMAGE [ARGUMENTS]",
    .help =
        "Runs the image's runscript (%runscript of its definition) with the arguments as they are. "
        "An image is an ext image file, a directory, or a squashfs or SIF image. "
        "'./IMAGE ARGUMENTS' does the same.\n\n"
        "The program runs as the calling user, sees the home directory, the working directory "
        "and /tmp of the host, and cannot change the image. Its exit status is passed on; 125 "
        "means that hpcc itself failed, 126 that the program is not executable, 127 that it "
        "was not found, 128+n that signal n ended it.",
    .examples = "  hpcc run demo.img --help\n",
    .opts = action_opts,
    .min_args = 1,
    .max_args = CLI_ANY,
    .stop_at_first = true,
    .passes_status = true,
    .run = run,
};
