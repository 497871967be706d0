/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/str.h"
#include "runtime/runtime.h"

/* hpcc-squashfs: what hpcc starts to serve a squashfs image. It has no power of its own: by hand it
 * can do nothing that its caller could not do with the same descriptors. */

static int usage(void)
{
    fputs("hpcc-squashfs: hpcc starts this program; it is of no use by hand\n"
          "type: hpcc run IMAGE\n",
          stderr);
    return 2;
}

static bool is_socket(int fd)
{
    int kind;
    socklen_t len = sizeof kind;
    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &kind, &len) == 0 && kind == SOCK_STREAM;
}

int main(int argc, char **argv)
{
    uint64_t n[6];
    static const uint64_t max[] = { 65535, 65535, INT64_MAX, UINT32_MAX, UINT32_MAX, 1 };
    struct stat st;
    if (argc != 8)
        return usage();
    for (size_t i = 0; i < ARRAY_LEN(n); i++)
        if (str_parse_u64(argv[i + 1], max[i], &n[i]) < 0)
            return usage();
    const struct runtime_serve_spec spec = {
        .image_fd = (int)n[0],
        .sock_fd = (int)n[1],
        .fs_offset = n[2],
        .owner_uid = (uid_t)n[3],
        .owner_gid = (gid_t)n[4],
        .all_root = n[5],
        .image_path = argv[7],
        .open = image_tree_open_squashfs,
    };
    if (spec.image_fd < 3 || spec.sock_fd < 3 || fstat(spec.image_fd, &st) < 0 ||
        !S_ISREG(st.st_mode) || !is_socket(spec.sock_fd))
        return usage();
    log_sink_set(NULL);
    runtime_serve(&spec);
}
