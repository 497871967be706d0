/* SPDX-License-Identifier: BSD-3-Clause */
#include "bootstrap/rpm/rpm.h"

static const char *const always[] = { "/etc/redhat-release", "coreutils", NULL };

static const struct yum_family family = { .base_id = "base", .always = always };

const struct agent agent_yum = {
    .name = "yum",
    .aliases = "dnf",
    .help = "CentOS, Rocky, Alma, Fedora and other rpm distributions; no yum or rpm is needed",
    .keys = yum_keys,
    .family = &family,
    .check = yum_check,
    .fill = yum_fill,
    .plan = yum_plan,
    .identity = yum_identity,
    .needs_root_map = true,
};
