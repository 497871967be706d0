/* SPDX-License-Identifier: BSD-3-Clause */
#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "base/defence.h"
#include "base/fs.h"
#include "base/mem.h"
#include "runtime/plan/plan.h"

/* One image, the root or a layer: opened, and whom its bytes are trusted to. */

int plan_image_open(struct plan_image *i, const char *path, struct err *e)
{
    i->fd = image_open(path, &i->info, e);
    return i->fd < 0 ? -1 : 0;
}

/* Whoever opened the file for writing before it became root's still writes. The kernel grants a read
 * lease only where nobody has it open so, a mapping or a descriptor in flight included. The lease
 * need not be kept: from here on only root can open the file for writing, and would wait for it for
 * 45 seconds. A file system without leases (NFS, some FUSE) leaves it unknown. SIGURG, which nobody
 * minds, tells of an opener in between; SIGIO would end us. */
static bool has_no_writer(int fd)
{
    return fcntl(fd, F_SETSIG, SIGURG) == 0 && fcntl(fd, F_SETLEASE, F_RDLCK) == 0 &&
           fcntl(fd, F_SETLEASE, F_UNLCK) == 0;
}

/* The descriptor is what gets mounted, so the names that lead to it do not matter. */
static bool only_root_writes(int fd, const struct stat *st)
{
    struct statfs fs;
    if (!defence("trust"))
        return true;
    return st->st_uid == 0 && !(st->st_mode & (S_IWGRP | S_IWOTH)) && fstatfs(fd, &fs) == 0 &&
           fs.f_type != FUSE_SUPER_MAGIC && (!defence("open-writer") || has_no_writer(fd));
}

/* Root neither reads what others can write as himself, nor can he become its owner. */
static void read_as_nobody(uid_t *uid, gid_t *gid)
{
    enum { NOBODY = 65534 };
    if (*uid == 0)
        *uid = *gid = NOBODY;
}

int plan_image_judge(struct plan_image *i, uid_t uid, bool userns, struct err *e)
{
    if (fstat(i->fd, &i->stat) < 0)
        return err_sys(e, "cannot look at image '%s'", i->path);
    i->owner_uid = i->stat.st_uid;
    i->owner_gid = i->stat.st_gid;
    if (i->info.kind == IMAGE_DIR) {
        i->by = PLAN_BY_BIND;
        return 0;
    }
    bool trusted = uid == 0 && only_root_writes(i->fd, &i->stat);
    i->by = trusted && !userns ? PLAN_BY_LOOP : PLAN_BY_FUSE;
    i->drop_to_owner = uid == 0;
    if (uid == 0 && !trusted)
        read_as_nobody(&i->owner_uid, &i->owner_gid);
    return 0;
}

/* It must still be the file that was checked. */
int plan_image_reopen_writable(struct plan_image *i, struct err *e)
{
    struct stat st;
    auto_close int new_fd = open(i->path, O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (new_fd < 0)
        return err_sys(e, "cannot open image '%s' for writing", i->path);
    if (fstat(new_fd, &st) < 0 || st.st_dev != i->stat.st_dev || st.st_ino != i->stat.st_ino)
        return err_set(e, ERR_FAILED, "image '%s' was replaced just now", i->path);
    close(i->fd);
    i->fd = steal_fd(&new_fd);
    return 0;
}

void plan_image_fini(struct plan_image *i)
{
    cleanup_fd(&i->fd);
    free(i->path);
    free(i->squashfs_server);
    *i = (struct plan_image)PLAN_IMAGE_INIT;
}
