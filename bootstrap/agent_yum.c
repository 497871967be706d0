/* SPDX-License-Identifier: BSD-3-Clause */
#include "bootstrap/rpm_session.h"

static const char *const always[] = { "/etc/redhat-release", "coreutils", NULL };

static const struct yum_family family = {
    .agent = "yum",
    .base_id = "base",
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

const struct agent agent_yum = {
    .name = "yum",
    .aliases = "dnf",
    .help = "CentOS, Rocky, Alma, Fedora and other rpm distributions; no yum or rpm is needed",
    .keys = yum_keys,
    .check = check,
    .fill = fill,
    .plan = plan,
    .identity = identity,
    .needs_root_map = true,
};
