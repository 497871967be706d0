/* SPDX-License-Identifier: BSD-3-Clause */
#include "deffile/deffile.h"

static const char *const header_keys[] = {
    /* every tool */
    "bootstrap", "from", "stage", "include", "includecmd", "mirrorurl", "updateurl", "osversion",
    "registry", "namespace", "library",
    /* Singularity 2.x */
    "metalink", "updatemetalink", "exclude", "arch", "token", "import",
    /* later ones */
    "product", "user", "regcode", "productpgp", "registerurl", "modules", "fingerprints", "setopt",
    "confurl", "target", "frontend", "filename", "buildargs", NULL
};

static const struct deffile_section_rule sections[] = {
    { "help", DEFFILE_ARGS_NONE, DEFFILE_BODY_TEXT },
    { "setup", DEFFILE_ARGS_SHELL, DEFFILE_BODY_TEXT },
    { "files", DEFFILE_ARGS_STAGE, DEFFILE_BODY_FILES },
    { "labels", DEFFILE_ARGS_NONE, DEFFILE_BODY_LABELS },
    { "environment", DEFFILE_ARGS_NONE, DEFFILE_BODY_TEXT },
    { "pre", DEFFILE_ARGS_SHELL, DEFFILE_BODY_TEXT },
    { "post", DEFFILE_ARGS_SHELL, DEFFILE_BODY_TEXT },
    { "runscript", DEFFILE_ARGS_SHELL, DEFFILE_BODY_TEXT },
    { "test", DEFFILE_ARGS_SHELL, DEFFILE_BODY_TEXT },
    { "startscript", DEFFILE_ARGS_SHELL, DEFFILE_BODY_TEXT },
    { "arguments", DEFFILE_ARGS_NONE, DEFFILE_BODY_TEXT },
    { "appinstall", DEFFILE_ARGS_APP, DEFFILE_BODY_TEXT },
    { "applabels", DEFFILE_ARGS_APP, DEFFILE_BODY_LABELS },
    { "appfiles", DEFFILE_ARGS_APP, DEFFILE_BODY_FILES },
    { "appenv", DEFFILE_ARGS_APP, DEFFILE_BODY_TEXT },
    { "apptest", DEFFILE_ARGS_APP, DEFFILE_BODY_TEXT },
    { "apphelp", DEFFILE_ARGS_APP, DEFFILE_BODY_TEXT },
    { "apprun", DEFFILE_ARGS_APP, DEFFILE_BODY_TEXT },
    { "appstart", DEFFILE_ARGS_APP, DEFFILE_BODY_TEXT },
    { 0 },
};

const struct deffile_schema deffile_schema_all = {
    .header_keys = header_keys,
    .sections = sections,
};
