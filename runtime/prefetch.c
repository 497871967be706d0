/* SPDX-License-Identifier: BSD-3-Clause */
#include "runtime/prefetch.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <stdbool.h>

#include "base/fs.h"
#include "base/path.h"
#include "base/str.h"
#include "base/strv.h"
#include "runtime/fds.h"

enum {
    CHUNK = 128 * 1024, /* what the kernel takes at once, at least */
    MAX_FILE = 2 << 20,
};

/* The kernel knows each entry's inode after this. */
void prefetch_names(int root_fd)
{
    char entries[4096];
    auto_spent int fd = openat(root_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    (void)!getdents64(fd, entries, sizeof entries);
}

static bool read_ahead(int root_fd, const char *path)
{
    struct stat st;
    auto_close int fd = fs_open_at(root_fd, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0, NULL);
    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        return false;
    /* the kernel's window for such readers is twice as wide */
    off_t chunk = posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL) == 0 ? 2 * CHUNK : CHUNK;
    for (off_t at = 0; at < st.st_size && at < MAX_FILE; at += chunk)
        if (readahead(fd, at, (size_t)chunk) < 0)
            break;
    return true;
}

void prefetch_libc(int root_fd)
{
#if defined(__x86_64__)
    static const char linker[] = "/lib64/ld-linux-x86-64.so.2";
    static const char *const libraries[] = { "/lib/x86_64-linux-gnu/libc.so.6",
                                             "/lib64/libc.so.6" };
#elif defined(__aarch64__)
    static const char linker[] = "/lib/ld-linux-aarch64.so.1";
    static const char *const libraries[] = { "/lib/aarch64-linux-gnu/libc.so.6",
                                             "/lib64/libc.so.6" };
#else
    static const char linker[] = "/lib64/ld64.so.2";
    static const char *const libraries[] = { "/lib/powerpc64le-linux-gnu/libc.so.6",
                                             "/lib64/libc.so.6" };
#endif
    if (!read_ahead(root_fd, linker))
        return;
    for (size_t i = 0; i < ARRAY_LEN(libraries); i++)
        if (read_ahead(root_fd, libraries[i]))
            return;
}

static void prefetch_found(int root_fd, const char *path, const char *name)
{
    auto_strv struct strv dirs = { 0 };
    strv_split(&dirs, path ? path : "", ":");
    for (size_t i = 0; i < dirs.n; i++) {
        auto_free char *full = path_join(dirs.v[i], name);
        if (read_ahead(root_fd, full))
            return;
    }
}

void prefetch_program(int root_fd, const struct runtime_plan *p)
{
    read_ahead(root_fd, "/etc/ld.so.cache");
    if (p->action != RUNTIME_EXEC)
        read_ahead(root_fd, "/bin/sh");
    else if (strchr(p->argv.v[0], '/'))
        read_ahead(root_fd, p->argv.v[0]);
    else
        prefetch_found(root_fd, strv_env_get(&p->env, "PATH"), p->argv.v[0]);
}
