/* SPDX-License-Identifier: BSD-3-Clause */
/* bench_serve IMAGE DIR [THREADS]: mount IMAGE on DIR by the FUSE server and return; the server
 * lives until DIR is unmounted. For tests/bench only; needs root. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <unistd.h>

#include "base/mem.h"
#include "image/image.h"

static int tell(const struct err *e)
{
    fprintf(stderr, "bench_serve: %s\n", e->msg ? e->msg : "failed");
    return 1;
}

static int tree_of(int fd, const struct image_info *info, struct image_tree **out, struct err *e)
{
#ifdef HPCC_SQUASHFS
    if (info->kind != IMAGE_EXT)
        return image_tree_open_squashfs(fd, info->fs_offset, out, e);
#endif
    return image_tree_open_ext(fd, info->fs_offset, out, e);
}

int main(int argc, char **argv)
{
    auto_err struct err e = { 0 };
    struct image_info info;
    auto_image_tree struct image_tree *tree = NULL;
    if (argc < 3)
        return 2;
    struct image_serve_spec spec = { .fuse_fd = -1 };
    auto_close int image_fd = image_open(argv[1], &info, &e);
    if (image_fd < 0 || tree_of(image_fd, &info, &tree, &e) < 0)
        return tell(&e);
    spec.tree = tree;
    spec.fuse_fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    if (argc > 3)
        spec.n_threads = (unsigned)strtoul(argv[3], NULL, 10);
    auto_free char *options = mem_printf(
        "fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other,default_permissions", spec.fuse_fd);
    if (mount("hpcc-img", argv[2], "fuse.hpcc", MS_RDONLY | MS_NOSUID | MS_NODEV, options) < 0) {
        perror("bench_serve: mount");
        return 1;
    }
    pid_t pid = fork();
    if (pid != 0)
        _exit(pid < 0);
    const int keep[] = { image_fd, spec.fuse_fd };
    if (image_serve_confine(&(struct image_confine_spec){ keep, ARRAY_LEN(keep), 16 }, &e) < 0 ||
        image_serve(&spec, &e) < 0)
        _exit(1);
    _exit(0);
}
