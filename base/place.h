/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BASE_PLACE_H
#define BASE_PLACE_H

/* What a command will change or publish, named once: the directory that holds it, its last
 * component and the inode that was found there, or none. A command makes its places when it starts
 * and works with them to the end; nobody looks the path up a second time, so nobody who can write
 * along the path can lead the work elsewhere meanwhile. */

#include <stdbool.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/err.h"

struct place {
    char *path;     /* as given: for messages, never to be opened */
    int dir_fd;     /* the directory that holds it (O_PATH); -1: no place */
    char *name;     /* last component, "." for the directory itself; never followed again */
    bool linked;    /* the last component of the path is a link, which was followed */
    bool exists;    /* something was found there: */
    struct stat st; /* that is it, */
    int found_fd;   /* held (O_PATH), so that its inode's number is not given to another; else -1 */
};
#define PLACE_INIT                                                                                 \
    {                                                                                              \
        .dir_fd = -1, .found_fd = -1                                                               \
    }

/* Find PATH, component by component. Symbolic links are followed here, a final one too (users link
 * their images to scratch), and nowhere later; one that leads to no file gives the place where that
 * file would be.
 *
 * Whose links: in a directory that only we and root can write, anybody's. Elsewhere those of our
 * own and of root that have no second name (a hard link moves a link of ours to where it means
 * something else). Others' never, when we are root: whoever can lay a link into root's way could
 * have any file of the host replaced. An ordinary user follows them but in a directory like /tmp
 * (sticky, writable by all), where only its owner's are: as fs.protected_symlinks has it, also
 * where that is switched off.
 *
 * ERR_FAILED: a directory on the way is missing or shut (e->sys), or a link is not to be followed.
 * ERR_INPUT: PATH is empty, or ends in a slash and is no directory. */
MUST_CHECK int place_open(const char *path, struct place *out, struct err *e);

/* The place of NAME with SUFFIX (".log") in P's directory. A link there is not followed: it is what
 * was found. */
MUST_CHECK int place_beside(const struct place *p, const char *suffix, struct place *out,
                            struct err *e);

/* Look at the name again and take what is there now: for the start of a command, when it has waited
 * for another one. */
MUST_CHECK int place_look(struct place *p, struct err *e);

/* ERR_FAILED when the name no longer leads to what was found, or nothing was and something is there
 * now (e->sys EEXIST). */
MUST_CHECK int place_check(const struct place *p, struct err *e);

/* Open the file or directory that was found: FLAGS as for open(2), without waiting for a FIFO;
 * never another inode, never through a link. ERR_FAILED: it is gone, or another one is there;
 * ERR_INPUT: it is neither a file nor a directory. */
MUST_CHECK int place_open_found(const struct place *p, int flags, struct err *e);

/* ── names beside it ──────────────────────────────────────────────────────────────────────────────
 * What is prepared has a hidden name ".NAME.hpcc-WORD-RANDOM" while it needs one. Nobody can take
 * it in advance, and names of others that look like it neither stop us nor are touched. */

#define PLACE_DRAFT   "new"     /* a file to be, see fs_draft in base/fs.h */
#define PLACE_STAGE   "stage"   /* the root of a build, see base/stage.h */
#define PLACE_COPY    "copy"    /* what comes out of an image, likewise */
#define PLACE_CHANGES "changes" /* what a run has written, likewise */

MUST_CHECK char *place_temp_name(const struct place *p, const char *word);

/* Whether FD, opened by such a name, is what we may have made: of this user, a file or a directory
 * that nobody else can enter. Whoever can write the directory could have put something else there;
 * errno is EPERM then. */
bool place_is_ours(int fd);

/* Remove what has such a name, is ours and is locked (flock) by nobody: what a killed process left.
 * Only where nobody else can rename what is ours, so that the name is our own. A help, never an error. */
void place_sweep(const struct place *p);

/* The same; returns the name of one other than EXCEPT that is ours and in use, or NULL. Caller
 * frees. */
MUST_CHECK char *place_sweep_but(const struct place *p, const char *except);

void place_close(struct place *p);
#define auto_place cleanup_with(place_close)

#endif
