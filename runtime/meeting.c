/* SPDX-License-Identifier: BSD-3-Clause */
#include "runtime/meeting.h"

#include <fcntl.h>
#include <stdbool.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/cleanup.h"
#include "base/defence.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/str.h"
#include "jail/jail.h"

enum {
    BACKLOG = 4096,
    MAX_PROBES = 16, /* of old sockets, at one start */
};

/* ── the directory ── */

/* A link is nobody's directory; another user cannot give a directory to us. */
static int open_private(int at, const char *path, uid_t uid)
{
    struct stat st;
    auto_close int fd = openat(at, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0)
        return -1;
    if (defence("meeting") && (st.st_uid != uid || (st.st_mode & 07777) != 0700)) {
        errno = EACCES;
        return -1;
    }
    return steal_fd(&fd);
}

static int make_private(int at, const char *path, uid_t uid)
{
    int fd = open_private(at, path, uid);
    if (fd >= 0 || errno != ENOENT)
        return fd;
    if (mkdirat(at, path, 0700) < 0 && errno != EEXIST)
        return -1;
    return open_private(at, path, uid);
}

static int below_runtime_dir(const char *path, uid_t uid)
{
    auto_close int fd = open_private(AT_FDCWD, path, uid);
    return fd < 0 ? -1 : make_private(fd, "hpcc", uid);
}

int meeting_open(const char *runtime_dir, uid_t uid)
{
    static const char *const places[] = { "/dev/shm", "/tmp", "/var/tmp" }; /* memory is quickest */
    char path[64];
    int fd = runtime_dir && runtime_dir[0] == '/' ? below_runtime_dir(runtime_dir, uid) : -1;
    if (fd >= 0)
        return fd;
    snprintf(path, sizeof path, "/run/user/%u", uid);
    fd = below_runtime_dir(path, uid);
    for (size_t i = 0; i < ARRAY_LEN(places) && fd < 0; i++) {
        snprintf(path, sizeof path, "%s/.hpcc-%u", places[i], uid);
        fd = make_private(AT_FDCWD, path, uid);
    }
    return fd;
}

/* ── the sockets ── */

/* Through the descriptor: the directory's own path is not asked a second time. */
static bool address(int dir_fd, const char *name, struct sockaddr_un *out)
{
    *out = (struct sockaddr_un){ .sun_family = AF_UNIX };
    int n = snprintf(out->sun_path, sizeof out->sun_path, "/proc/self/fd/%d/%s", dir_fd, name);
    return n > 0 && (size_t)n < sizeof out->sun_path;
}

enum meeting meeting_ask(int dir_fd, const char *name, int *fd)
{
    struct sockaddr_un at;
    auto_spent int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (sock < 0 || !address(dir_fd, name, &at))
        return MEETING_NONE;
    if (connect(sock, (const struct sockaddr *)&at, sizeof at) == 0) {
        *fd = steal_fd(&sock);
        return MEETING_READY;
    }
    if (errno == ENOENT || errno == ECONNREFUSED)
        return MEETING_NOBODY;
    return errno == EAGAIN ? MEETING_BUSY : MEETING_NONE;
}

struct sweep {
    int dir_fd;
    const char *own; /* it is seen to by itself */
    unsigned probes;
};

static int sweep_one(void *ctx, const char *name)
{
    struct sweep *s = ctx;
    auto_close int fd = -1;
    if (str_eq(name, s->own))
        return 0;
    if (meeting_ask(s->dir_fd, name, &fd) == MEETING_NOBODY)
        (void)unlinkat(s->dir_fd, name, 0); /* it stays, and harms nobody */
    return ++s->probes == MAX_PROBES;
}

/* With the directory locked: nobody else is between bind and listen. */
static enum meeting listen_locked(int dir_fd, const char *name, int *fd)
{
    struct sockaddr_un at;
    struct sweep sweep = { .dir_fd = dir_fd, .own = name };
    auto_close int other = -1;
    auto_close int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (sock < 0 || !address(dir_fd, name, &at))
        return MEETING_NONE;
    enum meeting there = meeting_ask(dir_fd, name, &other);
    if (there != MEETING_NOBODY)
        return there == MEETING_NONE ? MEETING_NONE : MEETING_BUSY;
    /* Names only become more when a new one comes, so only then are the old ones looked through. */
    bool is_new = unlinkat(dir_fd, name, 0) < 0;
    if (is_new && fs_each_name(dir_fd, sweep_one, &sweep) < 0)
        return MEETING_NONE;
    if (bind(sock, (const struct sockaddr *)&at, sizeof at) < 0 || listen(sock, BACKLOG) < 0)
        return MEETING_NONE;
    *fd = steal_fd(&sock);
    return MEETING_READY;
}

/* The lock belongs to the open directory, which a forked server must not keep: it is let go by
 * name. */
enum meeting meeting_listen(int dir_fd, const char *name, int *fd)
{
    if (flock(dir_fd, LOCK_EX | LOCK_NB) < 0)
        return errno == EWOULDBLOCK ? MEETING_BUSY : MEETING_NONE;
    enum meeting rc = listen_locked(dir_fd, name, fd);
    (void)flock(dir_fd, LOCK_UN);
    return rc;
}
