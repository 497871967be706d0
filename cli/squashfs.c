/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/log.h"
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
    struct stat st;
    struct runtime_serve_spec spec = { .open = image_tree_open_squashfs };
    if (runtime_serve_read(argc, argv, &spec) < 0)
        return usage();
    if (spec.image_fd < 3 || spec.sock_fd < 3 || fstat(spec.image_fd, &st) < 0 ||
        !S_ISREG(st.st_mode) || !is_socket(spec.sock_fd) ||
        (spec.listen_fd >= 0 && !is_socket(spec.listen_fd)))
        return usage();
    log_sink_set(NULL);
    runtime_serve(&spec);
}
