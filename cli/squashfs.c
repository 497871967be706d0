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
    uint64_t n[4];
    static const uint64_t max[] = { INT64_MAX, UINT32_MAX, UINT32_MAX, 1 };
    struct stat st;
    struct runtime_serve_spec spec = { .open = image_tree_open_squashfs };
    if (argc != 7 ||
        sscanf(argv[1], "%d,%d,%d", &spec.image_fd, &spec.sock_fd, &spec.listen_fd) != 3)
        return usage();
    for (size_t i = 0; i < ARRAY_LEN(n); i++)
        if (str_parse_u64(argv[i + 2], max[i], &n[i]) < 0)
            return usage();
    spec.fs_offset = n[0];
    spec.owner_uid = (uid_t)n[1];
    spec.owner_gid = (gid_t)n[2];
    spec.all_root = n[3];
    spec.image_path = argv[6];
    if (spec.image_fd < 3 || spec.sock_fd < 3 || fstat(spec.image_fd, &st) < 0 ||
        !S_ISREG(st.st_mode) || !is_socket(spec.sock_fd) ||
        (spec.listen_fd >= 0 && !is_socket(spec.listen_fd)))
        return usage();
    log_sink_set(NULL);
    runtime_serve(&spec);
}
