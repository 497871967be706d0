/* SPDX-License-Identifier: BSD-3-Clause */
/* Linked into hpcc-controls only: HPCC_TEST_OFF names the defences that are off. HPCC_TEST_HOLD is
 * "NAME DIR": who first asks for that defence says so by a file DIR/held, and waits for DIR/go. */
#include "base/defence.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Asked for once: a defence of builds is to forget the environment. */
static const char *word_of(const char *variable, char **kept)
{
    const char *now = getenv(variable);
    if (!*kept)
        *kept = strdup(now ? now : "");
    return *kept;
}

static void hold(const char *name)
{
    enum { TRIES = 3000, STEP_US = 10000 };
    static char *kept;
    const char *spec = word_of("HPCC_TEST_HOLD", &kept);
    size_t len = strlen(name);
    if (strncmp(spec, name, len) != 0 || spec[len] != ' ')
        return;
    int dir_fd = open(spec + len + 1, O_PATH | O_DIRECTORY | O_CLOEXEC);
    int fd = openat(dir_fd, "held", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    for (int i = 0; fd >= 0 && i < TRIES && faccessat(dir_fd, "go", F_OK, 0) < 0; i++)
        usleep(STEP_US);
    if (fd >= 0)
        close(fd);
    if (dir_fd >= 0)
        close(dir_fd);
}

bool defence(const char *name)
{
    static char *kept;
    const char *off = word_of("HPCC_TEST_OFF", &kept);
    size_t len = strlen(name);
    hold(name);
    for (const char *at = off; (at = strstr(at, name)); at += len)
        if ((at == off || at[-1] == ' ') && (at[len] == ' ' || !at[len]))
            return false;
    return true;
}
