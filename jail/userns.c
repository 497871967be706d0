/* SPDX-License-Identifier: BSD-3-Clause */
#include "jail/jail.h"

#include <fcntl.h>
#include <pwd.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/proc.h"
#include "base/str.h"
#include "base/strv.h"

#define SYSCTL_APPARMOR "/proc/sys/kernel/apparmor_restrict_unprivileged_userns"
#define SYSCTL_CLONE    "/proc/sys/kernel/unprivileged_userns_clone"
#define SYSCTL_MAX      "/proc/sys/user/max_user_namespaces"

/* The number in a sysctl file, or FALLBACK where the kernel has no such switch. */
static uint64_t sysctl_number(const char *path, uint64_t fallback)
{
    auto_str struct str text = { 0 };
    uint64_t n;
    if (fs_read_file(path, 64, &text, NULL) < 0)
        return fallback;
    while (text.len && text.data[text.len - 1] == '\n')
        text.data[--text.len] = 0;
    return str_parse_u64(str_text(&text), UINT64_MAX, &n) < 0 ? fallback : n;
}

int userns_refused(int code, struct err *e)
{
    errno = code;
    err_sys(e, "cannot make a user namespace");
    err_code_set(e, ERR_HOST);
    if (sysctl_number(SYSCTL_MAX, 1) == 0 || code == ENOSPC)
        return err_hint(e, "the administrator has to allow them: "
                           "'sysctl -w user.max_user_namespaces=15000'");
    if (sysctl_number(SYSCTL_APPARMOR, 0) == 1)
        return err_hint(e, "AppArmor restricts them here: load a profile for hpcc with the line "
                           "'userns,', or 'sysctl -w "
                           "kernel.apparmor_restrict_unprivileged_userns=0'");
    if (sysctl_number(SYSCTL_CLONE, 1) == 0)
        return err_hint(e, "the administrator has to allow them: "
                           "'sysctl -w kernel.unprivileged_userns_clone=1'");
    if (code == EUSERS)
        return err_hint(e, "too many are nested in each other: leave a container first");
    if (code == EPERM)
        return err_hint(e, "inside another container or a chroot they are often forbidden: run "
                           "hpcc on the host itself");
    return err_hint(e, "'hpcc doctor' tells what this host lacks");
}

/* The kernel's own uid 0 owns /proc, and stat tells it in the caller's terms: by his own number,
 * when it is him. uid_map would not do, which tells only of the next namespace up. Where uid 0 has
 * no number, it is told as the overflow uid, and so is our own while no map is written. */
bool userns_is_host_root(int proc_fd)
{
    struct stat st;
    return fstat(proc_fd, &st) < 0 || st.st_uid == geteuid();
}

/* These files take one write and no O_TRUNC. */
static int write_proc(int proc_fd, const char *name, const char *text, struct err *e)
{
    auto_spent int fd = openat(proc_fd, name, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
        return err_sys(e, "cannot write '/proc/%s'", name);
    return 0;
}

int userns_map_single(struct userns_ids outside, struct userns_ids inside, int proc_fd,
                      struct err *e)
{
    auto_free char *uid_map = mem_printf("%u %u 1\n", inside.uid, outside.uid);
    auto_free char *gid_map = mem_printf("%u %u 1\n", inside.gid, outside.gid);
    auto_close int own = proc_fd < 0 ? open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
    int proc = proc_fd < 0 ? own : proc_fd;
    if (write_proc(proc, "self/setgroups", "deny", e) < 0 ||
        write_proc(proc, "self/uid_map", uid_map, e) < 0 ||
        write_proc(proc, "self/gid_map", gid_map, e) < 0) {
        /* Ubuntu lets everyone make a namespace but takes the capabilities in it away. */
        int code = e ? e->sys : EPERM;
        if (sysctl_number(SYSCTL_APPARMOR, 0) == 1)
            return userns_refused(code, e);
        return err_code_set(e, ERR_HOST);
    }
    return 0;
}

/* One "name:start:count" line, cut at the colons in place. */
static bool range_line(char *line, const char *name, const char *number, struct userns_range *out)
{
    char *start = strchr(line, ':');
    char *count = start ? strchr(start + 1, ':') : NULL;
    if (!count)
        return false;
    *start++ = 0;
    *count++ = 0;
    uint64_t first, n;
    if (!(name && str_eq(line, name)) && !str_eq(line, number))
        return false;
    if (str_parse_u64(start, UINT32_MAX - 1, &first) < 0 ||
        str_parse_u64(count, UINT32_MAX - 1 - first, &n) < 0)
        return false;
    *out = (struct userns_range){ .start = (uint32_t)first, .count = (uint32_t)n };
    return true;
}

bool userns_range_find(const char *text, const char *name, uid_t uid, struct userns_range *out)
{
    auto_free char *number = mem_printf("%u", uid);
    auto_strv struct strv lines = { 0 };
    bool found = false;
    strv_split(&lines, text, "\n");
    for (size_t i = 0; i < lines.n; i++) {
        struct userns_range r;
        if (range_line(lines.v[i], name, number, &r) && (!found || r.count > out->count)) {
            *out = r;
            found = true;
        }
    }
    return found;
}

static int range_of(const char *file, const char *option, uint32_t need, struct userns_range *out,
                    struct err *e)
{
    uid_t uid = getuid();
    const struct passwd *pw = getpwuid(uid);
    auto_free char *name = pw ? mem_strdup(pw->pw_name) : mem_printf("%u", uid);
    auto_str struct str text = { 0 };
    struct userns_range found = { 0 };
    if (fs_read_file(file, 1u << 20, &text, NULL) == 0 &&
        userns_range_find(str_text(&text), pw ? name : NULL, uid, &found) && found.count >= need) {
        *out = found;
        return 0;
    }
    if (found.count)
        err_set(e, ERR_HOST, "'%s' gives user '%s' only %u ids, %u are needed", file, name,
                found.count, need);
    else
        err_set(e, ERR_HOST, "'%s' gives user '%s' no ids of its own, and packages need them", file,
                name);
    return err_hint(e, "the administrator types: usermod --add-sub%ss 100000-165535 %s", option,
                    name);
}

int userns_ranges(uint32_t need, struct userns_range *uids, struct userns_range *gids,
                  struct err *e)
{
    static const char *const programs[] = { "newuidmap", "newgidmap" };
    for (size_t i = 0; i < ARRAY_LEN(programs); i++) {
        auto_free char *path = proc_find(programs[i]);
        if (!path) {
            err_set(e, ERR_HOST, "'%s' is not installed on this host", programs[i]);
            return err_hint(e, "install it: 'apt-get install uidmap' or 'dnf install "
                               "shadow-utils'");
        }
    }
    if (range_of("/etc/subuid", "uid", need, uids, e) < 0)
        return -1;
    return range_of("/etc/subgid", "gid", need, gids, e);
}

struct said {
    struct str text;
};

static void keep_line(void *ctx, const char *line)
{
    struct said *s = ctx;
    if (s->text.len < 1024)
        str_addf(&s->text, "%s%s", s->text.len ? "; " : "", line);
}

static int map_with(const char *program, pid_t pid, uint32_t own, const struct userns_range *range,
                    struct err *e)
{
    auto_strv struct strv argv = { 0 };
    strv_add(&argv, program);
    strv_addf(&argv, "%d", pid);
    strv_addf(&argv, "0");
    strv_addf(&argv, "%u", own);
    strv_addf(&argv, "1");
    strv_addf(&argv, "1");
    strv_addf(&argv, "%u", range->start);
    strv_addf(&argv, "%u", range->count);
    struct said said = { 0 };
    int status = 0;
    struct proc_spec spec = { .argv = (const char *const *)argv.v,
                              .stdin_fd = -1,
                              .stdout_fd = -1,
                              .stderr_fd = -1,
                              .on_line = keep_line,
                              .ctx = &said,
                              .timeout_ms = 10000,
                              .die_with_us = true };
    int rc = proc_run(&spec, &status, e);
    if (rc == 0 && status != 0) {
        rc = err_set(e, ERR_HOST, "'%s' could not map ids %u+%u: %s", program, range->start,
                     range->count, str_text(&said.text));
        err_hint(e,
                 "'%s' must be setuid root (or have its file capability), and /etc/subuid and "
                 "/etc/subgid must hold this range",
                 program);
    }
    str_free(&said.text);
    return rc;
}

int userns_map_ranges(pid_t pid, const struct userns_range *uids, const struct userns_range *gids,
                      struct err *e)
{
    if (map_with("newuidmap", pid, getuid(), uids, e) < 0)
        return -1;
    return map_with("newgidmap", pid, getgid(), gids, e);
}
