/* SPDX-License-Identifier: BSD-3-Clause */
#include "bootstrap/rpm_session.h"

static const char *const always[] = { "aaa_base", NULL };

static const struct yum_family family = {
    .agent = "zypper",
    .base_id = "repo-oss",
    .always = always,
};

static int check(const struct agent_input *in, struct deffile *def, struct err *e)
{
    return yum_check(in, &family, def, e);
}

static int fill(const struct agent_input *in, int rootfs_fd, struct agent_result *out,
                struct err *e)
{
    return yum_fill(in, &family, rootfs_fd, out, e);
}

static int plan(const struct agent_input *in, struct json_object **out, struct err *e)
{
    return yum_plan(in, &family, out, e);
}

static int identity(const struct agent_input *in, struct str *key, struct err *e)
{
    return yum_identity(in, &family, key, e);
}

const struct agent agent_zypper = {
    .name = "zypper",
    .aliases = NULL,
    .help = "openSUSE and other rpm-md repositories; no zypper is needed",
    .keys = yum_keys,
    .check = check,
    .fill = fill,
    .plan = plan,
    .identity = identity,
    .needs_root_map = true,
};
