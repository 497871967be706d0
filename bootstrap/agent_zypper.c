/* SPDX-License-Identifier: BSD-3-Clause */
#include "bootstrap/rpm/rpm.h"

static const char *const always[] = { "aaa_base", NULL };

static const struct yum_family family = { .base_id = "repo-oss", .always = always };

const struct agent agent_zypper = {
    .name = "zypper",
    .aliases = NULL,
    .help = "openSUSE and other rpm-md repositories; no zypper is needed",
    .keys = yum_keys,
    .family = &family,
    .check = yum_check,
    .fill = yum_fill,
    .plan = yum_plan,
    .identity = yum_identity,
    .needs_root_map = true,
};
