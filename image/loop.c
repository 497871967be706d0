/* SPDX-License-Identifier: BSD-3-Clause */
#include <fcntl.h>
#include <linux/loop.h>
#include <sys/ioctl.h>
#include <time.h>

#include "image/image.h"

/* Between LOOP_CTL_GET_FREE and our configuring it another process may take the device; with many
 * ranks starting at once that happens often. */
enum { ATTACH_TRIES = 256 };

struct attach {
    int control_fd;
    int file_fd;
    int open_flags;
    struct loop_config config;
};

static int need_control(struct err *e)
{
    auto_close int fd = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
    if (fd >= 0)
        return steal_fd(&fd);
    int sys = errno;
    err_sys(e, "cannot open '/dev/loop-control'");
    err_code_set(e, ERR_HOST);
    if (sys == EACCES || sys == EPERM)
        return err_hint(e, "loop devices need root; an ordinary user's images are served by FUSE");
    return err_hint(e, "load the loop driver: 'modprobe loop'");
}

/* As LOOP_CONFIGURE on kernels before 5.8: two steps, so the device is cleared when the second
 * fails. EAGAIN there means that the page cache of the device is not yet quiet. */
static int configure_old(int loop_fd, const struct attach *a)
{
    if (ioctl(loop_fd, LOOP_SET_FD, a->file_fd) < 0)
        return -1;
    int rc = -1;
    for (int tries = 0; rc < 0 && tries < 64; tries++) {
        rc = ioctl(loop_fd, LOOP_SET_STATUS64, &a->config.info);
        if (rc < 0 && errno != EAGAIN)
            break;
        if (rc < 0)
            nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
    }
    if (rc < 0) {
        int sys = errno;
        ioctl(loop_fd, LOOP_CLR_FD, 0);
        errno = sys;
    }
    return rc;
}

static int configure(int loop_fd, const struct attach *a)
{
    if (ioctl(loop_fd, LOOP_CONFIGURE, &a->config) == 0)
        return 0;
    if (errno != EINVAL && errno != ENOTTY)
        return -1;
    return configure_old(loop_fd, a);
}

/* One try: the descriptor, -1 with a message, or -2 when another process was quicker. */
static int try_attach(const struct attach *a, char name[32], struct err *e)
{
    int number = ioctl(a->control_fd, LOOP_CTL_GET_FREE);
    if (number < 0 && (errno == EAGAIN || errno == EEXIST || errno == EINTR))
        return -2;
    if (number < 0) {
        err_sys(e, "cannot get a free loop device");
        return err_code_set(e, ERR_HOST);
    }
    snprintf(name, 32, "/dev/loop%d", number);
    auto_close int loop_fd = open(name, a->open_flags | O_CLOEXEC);
    if (loop_fd < 0 && (errno == EBUSY || errno == ENXIO))
        return -2;
    if (loop_fd < 0) {
        int sys = errno;
        err_sys(e, "cannot open '%s'", name);
        err_code_set(e, ERR_HOST);
        if (sys == ENOENT)
            err_hint(e, "make its node: 'mknod -m 660 %s b 7 %d'", name, number);
        return -1;
    }
    if (configure(loop_fd, a) == 0)
        return steal_fd(&loop_fd);
    if (errno == EBUSY || errno == EAGAIN || errno == ENXIO || errno == EINTR)
        return -2;
    return err_sys(e, "cannot attach a loop device");
}

/* What the device shows is cut to whole blocks. */
static uint32_t block_size(const struct image_loop_spec *spec)
{
    uint32_t b = spec->block_bytes;
    return b >= 512 && spec->file_bytes && spec->offset % b == 0 && spec->file_bytes % b == 0 ? b
                                                                                              : 0;
}

int image_loop_attach(const struct image_loop_spec *spec, char name[32], struct err *e)
{
    auto_close int control_fd = need_control(e);
    if (control_fd < 0)
        return -1;
    struct attach a = {
        .control_fd = control_fd,
        .file_fd = spec->fd,
        .open_flags = spec->read_only ? O_RDONLY : O_RDWR,
        .config = { .fd = (uint32_t)spec->fd, .block_size = block_size(spec) },
    };
    a.config.info.lo_offset = spec->offset;
    a.config.info.lo_flags = LO_FLAGS_AUTOCLEAR | (spec->read_only ? LO_FLAGS_READ_ONLY : 0);
    for (int tries = 0; tries < ATTACH_TRIES; tries++) {
        int loop_fd = try_attach(&a, name, e);
        if (loop_fd != -2)
            return loop_fd;
        if (tries >= 8) /* let the others get on with it */
            nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
    }
    err_set(e, ERR_HOST, "cannot get a free loop device: they are taken as fast as they are made");
    return err_hint(e,
                    "see 'losetup -l' for who holds them; 'max_loop' of the driver may limit them");
}
