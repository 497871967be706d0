/* SPDX-License-Identifier: BSD-3-Clause */
/* slowfs SOURCE MOUNTPOINT MICROSECONDS: a read-only view of SOURCE in which every metadata
 * operation takes that much longer, as on a loaded parallel file system. Reads of data pay once for
 * each request. Names and attributes are never cached, as a client of such a file system cannot
 * trust them for long. For benchmarks only. */
#define FUSE_USE_VERSION 31
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fuse.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int source_fd = -1;
static long delay_us;

static void wait_for_server(void)
{
    struct timespec ts = { .tv_sec = delay_us / 1000000, .tv_nsec = delay_us % 1000000 * 1000 };
    nanosleep(&ts, NULL);
}

static const char *below(const char *path)
{
    return path[1] ? path + 1 : ".";
}

static void *start(struct fuse_conn_info *conn, struct fuse_config *cfg)
{
    (void)conn;
    cfg->use_ino = 1;
    cfg->entry_timeout = 0;
    cfg->attr_timeout = 0;
    cfg->negative_timeout = 0;
    cfg->nullpath_ok = 0;
    return NULL;
}

static int get_attributes(const char *path, struct stat *st, struct fuse_file_info *fi)
{
    (void)fi;
    wait_for_server();
    return fstatat(source_fd, below(path), st, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

static int read_link(const char *path, char *buf, size_t size)
{
    wait_for_server();
    ssize_t n = readlinkat(source_fd, below(path), buf, size - 1);
    if (n < 0)
        return -errno;
    buf[n] = 0;
    return 0;
}

static int open_file(const char *path, struct fuse_file_info *fi)
{
    wait_for_server();
    int fd = openat(source_fd, below(path), (fi->flags & O_ACCMODE) | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    fi->fh = (uint64_t)fd;
    fi->keep_cache = 1;
    return 0;
}

static int read_file(const char *path, char *buf, size_t size, off_t offset,
                     struct fuse_file_info *fi)
{
    (void)path;
    wait_for_server();
    ssize_t n = pread((int)fi->fh, buf, size, offset);
    return n < 0 ? -errno : (int)n;
}

static int close_file(const char *path, struct fuse_file_info *fi)
{
    (void)path;
    close((int)fi->fh);
    return 0;
}

static int read_directory(const char *path, void *buf, fuse_fill_dir_t fill, off_t offset,
                          struct fuse_file_info *fi, enum fuse_readdir_flags flags)
{
    (void)offset;
    (void)fi;
    (void)flags;
    wait_for_server();
    int fd = openat(source_fd, below(path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    if (!d)
        return -errno;
    struct dirent *de;
    while ((de = readdir(d)))
        fill(buf, de->d_name, NULL, 0, 0);
    closedir(d);
    return 0;
}

static const struct fuse_operations operations = {
    .init = start,
    .getattr = get_attributes,
    .readlink = read_link,
    .open = open_file,
    .read = read_file,
    .release = close_file,
    .readdir = read_directory,
};

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: slowfs SOURCE MOUNTPOINT MICROSECONDS\n");
        return 2;
    }
    source_fd = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    delay_us = strtol(argv[3], NULL, 10);
    if (source_fd < 0 || delay_us < 0) {
        perror(argv[1]);
        return 1;
    }
    char options[] = "-oro,allow_other,default_permissions";
    char foreground[] = "-f";
    char *args[] = { argv[0], argv[2], foreground, options, NULL };
    return fuse_main(4, args, &operations, NULL);
}
