/* SPDX-License-Identifier: BSD-3-Clause */
#include <fcntl.h>
#include <sys/mman.h>

#include "base/defence.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "build/parts.h"

/* The log lives in memory, so a killed build leaves none behind. */
enum { MAX_BYTES = 64 << 20 };
static const char first_line[] = "hpcc bootstrap: log of a build that failed\n";

int log_file_open(struct err *e)
{
    auto_close int fd = memfd_create("hpcc-log", MFD_CLOEXEC);
    if (fd < 0)
        return err_sys(e, "cannot make the log");
    /* Helpers and scripts write through descriptors of their own: each at the end. */
    if (fcntl(fd, F_SETFL, O_APPEND) < 0 ||
        fs_write_full(fd, first_line, sizeof first_line - 1) < 0)
        return err_sys(e, "cannot write the log");
    return steal_fd(&fd);
}

void log_file_line(int log_fd, const char *line)
{
    struct stat st;
    if (log_fd < 0 || fstat(log_fd, &st) < 0 || st.st_size > MAX_BYTES)
        return;
    auto_free char *text = mem_printf("%s\n", line);
    if (fs_write_full(log_fd, text, strlen(text)) < 0)
        log_debug("the log is incomplete: %s", strerror(errno));
}

char *log_file_tail(int log_fd, unsigned n)
{
    enum { LAST = 8192 };
    struct stat st;
    char buf[LAST + 1];
    const off_t head = sizeof first_line - 1;
    if (fstat(log_fd, &st) < 0 || st.st_size <= head)
        return mem_strdup("");
    off_t start = st.st_size - LAST < head ? head : st.st_size - LAST;
    ssize_t len = fs_pread_full(log_fd, buf, (size_t)(st.st_size - start), (uint64_t)start);
    if (len <= 0)
        return mem_strdup("");
    buf[len] = 0;
    char *p = buf + len - 1;
    for (unsigned lines = 0; p > buf; p--)
        if (p[-1] == '\n' && ++lines == n)
            break;
    return mem_strdup(p);
}

/* Whether what was found at P is a log that we left. */
static bool is_ours(const struct place *p)
{
    char head[sizeof first_line] = { 0 };
    auto_close int fd = p->exists ? place_open_found(p, O_RDONLY, NULL) : -1;
    return fd >= 0 && fs_pread_full(fd, head, sizeof first_line - 1, 0) >= 0 &&
           strcmp(head, first_line) == 0;
}

static int keep(int log_fd, struct place *p, struct err *e)
{
    auto_draft struct fs_draft draft = FS_DRAFT_INIT;
    char buf[65536];
    uint64_t at = 0;
    ssize_t n;
    if (defence("place") && p->exists && !is_ours(p))
        return err_set(e, ERR_FAILED, "'%s' is there, and is no log of a build", p->path);
    if (fs_draft_open(p, &draft, e) < 0)
        return -1;
    while ((n = fs_pread_full(log_fd, buf, sizeof buf, at)) > 0) {
        if (fs_pwrite_full(draft.fd, buf, (size_t)n, at) < 0)
            return err_sys(e, "cannot write '%s'", p->path);
        at += (uint64_t)n;
    }
    mode_t mask = umask(0);
    umask(mask);
    return fs_draft_publish(&draft, 0644 & ~mask, true, e);
}

void log_file_keep(int log_fd, struct place *p, struct err *e)
{
    struct stat st;
    if (!e || fstat(log_fd, &st) < 0 || st.st_size <= (off_t)sizeof first_line - 1)
        return; /* nothing was run */
    auto_free char *tail = log_file_tail(log_fd, 5);
    auto_err struct err why = { 0 };
    auto_free char *hint = mem_strdup(e->hint);
    struct str text = { 0 };
    if (hint)
        str_addf(&text, "%s\n        ", hint);
    bool kept = keep(log_fd, p, &why) == 0;
    bool step = e->code == ERR_STEP; /* else the output is not the cause */
    if (kept)
        str_addf(&text, "the whole output is in '%s'%s", p->path, step ? ", its end is" : "");
    else
        str_addf(&text, "no log was kept: %s%s", why.msg, step ? "; the output ended with" : "");
    for (char *line = step ? tail : tail + strlen(tail); *line;) {
        size_t n = strcspn(line, "\n");
        str_addf(&text, "\n        %.*s", (int)n, line);
        line += n + (line[n] == '\n');
    }
    err_hint(e, "%s", text.data);
    str_free(&text);
}

void log_file_forget(const struct place *p)
{
    if (!is_ours(p) || place_check(p, NULL) < 0)
        return;
    if (unlinkat(p->dir_fd, p->name, 0) < 0)
        log_verbose("'%s' of an earlier build stays: %s", p->path, strerror(errno));
}
