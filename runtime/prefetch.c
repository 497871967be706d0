/* SPDX-License-Identifier: BSD-3-Clause */
#include "runtime/prefetch.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/proc.h"
#include "base/str.h"
#include "base/strv.h"
#include "jail/jail.h"

enum {
    WINDOW = 128 * 1024, /* what the kernel takes at once, at least */
    MAX_FILE = 2 << 20,
    STACK_BYTES = 128 * 1024,
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
    off_t step = posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL) == 0 ? 2 * WINDOW : WINDOW;
    for (off_t at = 0; at < st.st_size && at < MAX_FILE; at += step)
        if (readahead(fd, at, (size_t)step) < 0)
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

/* ── aside ── */

struct aside {
    int root_fd;
    struct strv programs; /* the first one that is there */
};

static void aside_free(struct aside *a)
{
    cleanup_fd(&a->root_fd);
    strv_free(&a->programs);
    free(a);
}

static void *fetch(void *arg)
{
    struct aside *a = arg;
    prefetch_libc(a->root_fd);
    read_ahead(a->root_fd, "/etc/ld.so.cache");
    for (size_t i = 0; i < a->programs.n; i++)
        if (read_ahead(a->root_fd, a->programs.v[i]))
            break;
    aside_free(a);
    return NULL;
}

/* As far as can be told before the image's own environment is known. */
static void list_programs(const struct runtime_plan *p, struct strv *out)
{
    const char *path = strv_env_get(&p->env, "PATH");
    auto_strv struct strv dirs = { 0 };
    if (p->action != RUNTIME_EXEC)
        strv_add(out, "/bin/sh");
    else if (strchr(p->argv.v[0], '/'))
        strv_add(out, p->argv.v[0]);
    else
        strv_split(&dirs, path ? path : "", ":");
    for (size_t i = 0; i < dirs.n; i++)
        strv_take(out, path_join(dirs.v[i], p->argv.v[0]));
}

void prefetch_aside(int root_fd, const struct runtime_plan *p)
{
    struct aside *a = mem_zero(1, sizeof *a);
    a->root_fd = fcntl(root_fd, F_DUPFD_CLOEXEC, 3);
    list_programs(p, &a->programs);
    if (proc_thread(STACK_BYTES, fetch, a) != 0)
        aside_free(a);
}
