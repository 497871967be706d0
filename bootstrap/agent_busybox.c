/* SPDX-License-Identifier: BSD-3-Clause */
#include <elf.h>
#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/proc.h"
#include "bootstrap/bootstrap.h"
#include "bootstrap/fetch/fetch.h"
#include "bootstrap/value.h"
#include "jail/jail.h"

/* The smallest usable system: one static busybox and a link for each of its applets. */

#define BUSYBOX_MAX_BYTES (16u << 20)

static const struct agent_key keys[] = {
    { "MirrorURL", AGENT_KEY_OPTIONAL,
      "address of a static busybox program, e.g. https://host/busybox-x86_64; absent: the host's" },
    { 0 },
};

static const char *const schemes[] = { "https", "http", "file", NULL };

/* Whether FD holds a 64-bit or 32-bit ELF program that needs no loader of the host. */
static bool is_static_program(int fd)
{
    union {
        Elf64_Ehdr e64;
        Elf32_Ehdr e32;
    } h;
    if (fs_pread_full(fd, &h, sizeof h, 0) != (ssize_t)sizeof h || memcmp(&h, ELFMAG, SELFMAG) != 0)
        return false;
    bool wide = h.e64.e_ident[EI_CLASS] == ELFCLASS64;
    unsigned n = wide ? h.e64.e_phnum : h.e32.e_phnum;
    uint64_t at = wide ? h.e64.e_phoff : h.e32.e_phoff;
    size_t each = wide ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr);
    for (unsigned i = 0; i < n; i++) {
        uint32_t type; /* the first word of both kinds of header */
        if (fs_pread_full(fd, &type, sizeof type, at + i * each) != (ssize_t)sizeof type ||
            type == PT_INTERP)
            return false;
    }
    return n > 0;
}

static int open_host_busybox(struct err *e)
{
    auto_free char *path = proc_find("busybox");
    auto_close int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd >= 0 && is_static_program(fd))
        return steal_fd(&fd);
    if (path)
        err_set(e, ERR_HOST, "'%s' is not a static program, so it cannot live alone in a root",
                path);
    else
        err_set(e, ERR_HOST, "busybox is not installed on this host");
    return err_hint(e, "apt-get install busybox-static, or name one with 'MirrorURL: https://...'");
}

static int check(const struct agent_input *in, struct deffile *def, struct err *e)
{
    const struct deffile_header *url = deffile_header_find(in->stage, "mirrorurl");
    if (!url || !url->value[0]) {
        auto_close int fd = open_host_busybox(e);
        return fd < 0 ? -1 : 0;
    }
    if (!value_check_url(def, url, schemes, "~") || !str_starts(url->value, "http://"))
        return 0;
    if (in->verify)
        deffile_diag_add(def, DEFFILE_ERROR, "unverified", url->line, 1,
                         "use https://, or --no-verify to take what comes",
                         "a program fetched by plain http cannot be verified");
    else
        log_warn("%s:%u: busybox is fetched by plain http and NOT VERIFIED", def->name, url->line);
    return 0;
}

static int copy_program(int from_fd, int rootfs_fd, struct err *e)
{
    auto_close int fd = fs_open_at(rootfs_fd, "/bin/busybox", O_WRONLY | O_CREAT | O_EXCL, 0755, e);
    if (fd < 0)
        return -1;
    off_t at = 0;
    ssize_t n;
    while ((n = sendfile(fd, from_fd, &at, 1u << 20)) > 0)
        ;
    if (n < 0 || fchmod(fd, 0755) < 0)
        return err_sys(e, "cannot write '/bin/busybox' into the root");
    return 0;
}

/* The program of MirrorURL in an unnamed file, checked to be one. */
static int open_fetched(const struct agent_input *in, const char *url, struct err *e)
{
    auto_strv struct strv mirrors = { 0 };
    strv_add(&mirrors, url);
    const struct fetch fetch = { .store_fd = -1, .proxy_env = in->proxy_env };
    struct fetch_file file = { .mirrors = &mirrors, .max_bytes = BUSYBOX_MAX_BYTES };
    if (fetch_files(&fetch, &file, 1, e) < 0)
        return -1;
    auto_close int fd = steal_fd(&file.fd);
    fetch_files_close(&file, 1);
    auto_free char *shown = value_url_public(url);
    if (!is_static_program(fd)) {
        err_set(e, ERR_STEP, "what '%s' holds is not a static program", shown);
        return err_hint(e,
                        "MirrorURL names the busybox program itself, not a directory or archive");
    }
    return steal_fd(&fd);
}

static void take_applet(void *ctx, const char *line)
{
    struct strv *paths = ctx;
    if (paths->n < 2000 && line[0] && strlen(line) < 200)
        strv_add(paths, line);
}

/* Ask the program itself: in a cell, where it can do nothing but answer. */
static int link_applets(int rootfs_fd, size_t *n_applets, struct err *e)
{
    auto_strv struct strv paths = { 0 };
    const struct cell cell = { .root_fd = rootfs_fd, .read_only = true, .idle = true };
    const char *const argv[] = { "/bin/busybox", "--list-full", NULL };
    const struct proc_spec program = { .argv = argv,
                                       .stdin_fd = -1,
                                       .stdout_fd = -1,
                                       .stderr_fd = -1,
                                       .on_line = take_applet,
                                       .ctx = &paths,
                                       .timeout_ms = 20000 };
    int rc = cell_run(&cell, &program, NULL, e);
    if (rc < 0)
        err_wrap(e, "cannot ask busybox for its applets");
    for (size_t i = 0; rc == 0 && i < paths.n; i++)
        if (strchr(paths.v[i], '/') && !str_ends(paths.v[i], "/busybox"))
            rc = fs_symlink_at(rootfs_fd, "/bin/busybox", paths.v[i], e);
    *n_applets = paths.n;
    return rc;
}

static int write_skeleton(int rootfs_fd, struct err *e)
{
    static const struct {
        const char *path, *text;
    } files[] = {
        { "/etc/passwd", "root:x:0:0:root:/root:/bin/sh\n"
                         "nobody:x:65534:65534:nobody:/nonexistent:/bin/false\n" },
        { "/etc/group", "root:x:0:\nnogroup:x:65534:\n" },
        { "/etc/shells", "/bin/sh\n" },
        { "/etc/hosts", "127.0.0.1 localhost\n::1 localhost\n" },
        { "/etc/resolv.conf", "" },
        { "/etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n" },
    };
    static const char *const dirs[] = { "/bin",     "/dev",      "/etc",  "/home",   "/mnt",
                                        "/opt",     "/proc",     "/run",  "/srv",    "/sys",
                                        "/usr/bin", "/usr/sbin", "/sbin", "/var/log" };
    for (size_t i = 0; i < ARRAY_LEN(dirs); i++)
        if (fs_mkdirs_at(rootfs_fd, dirs[i], 0755, e) < 0)
            return -1;
    if (fs_mkdirs_at(rootfs_fd, "/root", 0700, e) < 0 ||
        fs_mkdirs_at(rootfs_fd, "/tmp", 01777, e) < 0 ||
        fs_mkdirs_at(rootfs_fd, "/var/tmp", 01777, e) < 0)
        return -1;
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        auto_str struct str text = { 0 };
        str_add(&text, files[i].text);
        if (fs_write_at(rootfs_fd, files[i].path, &text, 0644, e) < 0)
            return -1;
    }
    return 0;
}

static int fill(const struct agent_input *in, int rootfs_fd, struct agent_result *out,
                struct err *e)
{
    const char *url = deffile_header_value(in->stage, "mirrorurl");
    bool fetched = url && url[0];
    auto_close int program = fetched ? open_fetched(in, url, e) : open_host_busybox(e);
    size_t n_applets = 0;
    if (program < 0 || write_skeleton(rootfs_fd, e) < 0 ||
        copy_program(program, rootfs_fd, e) < 0 || link_applets(rootfs_fd, &n_applets, e) < 0)
        return -1;
    auto_free char *shown = fetched ? value_url_public(url) : mem_strdup("host");
    out->facts = json_object_new_object();
    json_put_str(out->facts, "agent", "busybox");
    json_put_str(out->facts, "mirror", shown);
    json_put_bool(out->facts, "verified", !fetched || !str_starts(url, "http:"));
    json_put_int(out->facts, "applets", (int64_t)n_applets);
    return 0;
}

static const char *const must_have[] = { "/bin/busybox", "/bin/sh", "/etc/passwd", NULL };

const struct agent agent_busybox = {
    .name = "busybox",
    .help = "a tiny system: one static busybox, from the host or from MirrorURL",
    .keys = keys,
    .check = check,
    .fill = fill,
    .must_have = must_have,
};
