/* SPDX-License-Identifier: BSD-3-Clause */
#include <fcntl.h>
#include <inttypes.h>
#include <time.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/path.h"
#include "image/image.h"

/* Readers and in-place writers meet on byte 0. Writers that replace by rename meet on a byte no
 * image can reach, so they never disturb a reader; in-place writers take it too, since a replacer
 * would copy an image that is half changed. */
enum { BYTE_CONTENT = 0, PATIENCE_TRIES = 50, PATIENCE_NS = 10 * 1000 * 1000 };
#define BYTE_REPLACE ((off_t)1 << 62)

static int set_lock(int fd, short type, off_t byte)
{
    struct flock lk = { .l_type = type, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1 };
    for (unsigned tries = 0; fcntl(fd, F_OFD_SETLK, &lk) < 0; tries++)
        if (errno != EINTR || tries == 16)
            return -1;
    return 0;
}

/* ── who holds it ────────────────────────────────────────────────────────────────────────────── */

/* Whether FDINFO (text of /proc/PID/fdinfo/N) shows a lock of INODE at BYTE. The kernel lists what
 * a descriptor holds there, and only there with its owner:
 * F_OFD_GETLK and /proc/locks both say -1. */
static bool shows_lock(char *fdinfo, uint64_t inode, off_t byte)
{
    char *save = NULL;
    for (char *line = strtok_r(fdinfo, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        uint64_t ino = 0;
        int64_t start = -1;
        char end[24];
        /* "lock:\t1: OFDLCK ADVISORY  WRITE -1 08:01:1234 0 0", or "EOF" at the end */
        if (sscanf(line, "lock: %*d: %*s %*s %*s %*d %*x:%*x:%" SCNu64 " %" SCNd64 " %23s", &ino,
                   &start, end) == 3 &&
            ino == inode && start <= byte && (str_eq(end, "EOF") || strtoll(end, NULL, 10) >= byte))
            return true;
    }
    return false;
}

/* Whether the process whose directory is PROC_FD holds a lock of the file ST at BYTE. */
static bool process_holds(int proc_fd, const struct stat *st, off_t byte)
{
    auto_strv struct strv names = { 0 };
    if (fs_names_at(proc_fd, "fdinfo", &names) < 0)
        return false;
    for (size_t i = 0; i < names.n; i++) {
        auto_free char *info = mem_printf("fdinfo/%s", names.v[i]);
        auto_close int fd = openat(proc_fd, info, O_RDONLY | O_CLOEXEC);
        auto_str struct str text = { 0 };
        if (fd < 0 || fs_read_fd(fd, 65536, &text, NULL) < 0 || !text.data)
            continue;
        if (!shows_lock(text.data, st->st_ino, byte))
            continue;
        /* The same inode number on another file system? Only now look at the file itself: a stat of
         * every descriptor of the user would hang on a dead network mount. */
        auto_free char *link = mem_printf("fd/%s", names.v[i]);
        struct stat other;
        if (fstatat(proc_fd, link, &other, 0) == 0 && other.st_dev == st->st_dev &&
            other.st_ino == st->st_ino)
            return true;
    }
    return false;
}

/* Pid of a process of this host that holds the lock, as far as /proc lets us look; 0: none seen. */
static long find_holder(int fd, off_t byte)
{
    struct flock lk = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1 };
    if (fcntl(fd, F_OFD_GETLK, &lk) == 0 && lk.l_type != F_UNLCK && lk.l_pid > 0)
        return lk.l_pid; /* a classic lock, of another tool */
    struct stat st;
    auto_strv struct strv names = { 0 };
    if (fs_names_at(AT_FDCWD, "/proc", &names) < 0 || fstat(fd, &st) < 0)
        return 0;
    for (size_t i = 0; i < names.n; i++) {
        uint64_t pid;
        if (str_parse_u64(names.v[i], INT32_MAX, &pid) < 0)
            continue;
        auto_free char *dir = path_join("/proc", names.v[i]);
        auto_close int proc_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (proc_fd >= 0 && process_holds(proc_fd, &st, byte))
            return (long)pid;
    }
    return 0;
}

/* ── messages ────────────────────────────────────────────────────────────────────────────────── */

static int busy(int fd, const char *path, enum image_lock kind, off_t byte, struct err *e)
{
    long pid = find_holder(fd, byte);
    auto_free char *who = pid ? mem_printf("by process %ld", pid)
                              : mem_strdup("by a process of another user or on another host");
    if (kind == IMAGE_LOCK_WRITE && byte == BYTE_CONTENT) {
        err_set(e, ERR_FAILED, "cannot change image '%s': it is in use %s", path, who);
        err_hint(e, "wait until that process has ended, or work on a copy of the image");
    } else {
        const char *verb = kind == IMAGE_LOCK_READ ? "use" : "change";
        err_set(e, ERR_FAILED, "cannot %s image '%s': it is being changed %s", verb, path, who);
        err_hint(e, "try again when that process is done");
    }
    if (e)
        e->sys = EAGAIN;
    return -1;
}

static bool unsupported(int error)
{
    return error == ENOLCK || error == ENOSYS || error == EOPNOTSUPP || error == EINVAL;
}

static int refused(int fd, const char *path, enum image_lock kind, off_t byte, struct err *e)
{
    if (errno == EAGAIN || errno == EACCES)
        return busy(fd, path, kind, byte, e);
    if (!unsupported(errno))
        return err_sys(e, "cannot lock image '%s'", path);
    if (kind == IMAGE_LOCK_READ) {
        log_warn("image '%s' lies on a file system without locks (%s): do not change it while it "
                 "is in use",
                 path, strerror(errno));
        return 0;
    }
    err_sys(e, "cannot change image '%s': its file system has no locks", path);
    return err_hint(e,
                    "work on a copy on a local file system, or ask for locks on this one (Lustre: "
                    "mount option 'flock'; NFS: lockd)");
}

/* A run that has just ended is still read by its server, or held by its loop device, for the moment
 * that the kernel takes to end the mount. */
static int outlast_readers(int fd)
{
    for (int tries = 0; tries < PATIENCE_TRIES; tries++) {
        if (set_lock(fd, F_WRLCK, BYTE_CONTENT) == 0)
            return 0;
        if (errno != EAGAIN && errno != EACCES)
            return -1;
        nanosleep(&(struct timespec){ .tv_nsec = PATIENCE_NS }, NULL);
    }
    return set_lock(fd, F_WRLCK, BYTE_CONTENT);
}

int image_lock(int fd, const char *path, enum image_lock kind, struct err *e)
{
    if (kind == IMAGE_LOCK_READ)
        return set_lock(fd, F_RDLCK, BYTE_CONTENT) == 0 ? 0
                                                        : refused(fd, path, kind, BYTE_CONTENT, e);
    if (set_lock(fd, F_WRLCK, BYTE_REPLACE) < 0)
        return refused(fd, path, kind, BYTE_REPLACE, e);
    if (kind == IMAGE_LOCK_REPLACE || outlast_readers(fd) == 0)
        return 0;
    refused(fd, path, kind, BYTE_CONTENT, e);
    if (set_lock(fd, F_UNLCK, BYTE_REPLACE) < 0)
        log_debug("image '%s': cannot unlock: %s", path, strerror(errno));
    return -1;
}
