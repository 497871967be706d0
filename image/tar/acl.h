/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IMAGE_TAR_ACL_H
#define IMAGE_TAR_ACL_H

/* POSIX ACLs that archives carry as text (SCHILY.acl.*), turned into the xattrs of Linux. */

#include <archive_entry.h>

#include "image/tree/tree.h"

#define TAR_ACL_ACCESS  "system.posix_acl_access"
#define TAR_ACL_DEFAULT "system.posix_acl_default"

/* Give N the ACLs of ENTRY, if it has more than mode bits. ERR_INPUT: users or groups by name
 * only. */
MUST_CHECK int tar_acl_take(struct archive_entry *entry, struct source_node *n, struct err *e);

#endif
