/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CLI_PLAIN_H
#define CLI_PLAIN_H

/* A JSON report as lines for people: "key: value", nested by indentation, made printable. */

#include "base/json.h"

/* Add OBJ's members to OUT, each line indented by INDENT. */
void plain_add(struct str *out, struct json_object *obj, unsigned indent);

#endif
