/* SPDX-License-Identifier: BSD-3-Clause */
#include "image/layout.h"

#include <fcntl.h>
#include <strings.h>

#include "base/fs.h"
#include "base/mem.h"
#include "build/parts.h"

/* What Singularity 2.x, Apptainer and hpcc expect in every image. The scripts are POSIX shell: they
 * run inside images of any age. */

#define SOURCE_ENV                                                                                 \
    "#!/bin/sh\n"                                                                                  \
    "for script in /" LAYOUT_ENV_DIR "/*.sh; do\n"                                                 \
    "    if [ -f \"$script\" ]; then\n"                                                            \
    "        . \"$script\"\n"                                                                      \
    "    fi\n"                                                                                     \
    "done\n\n"

#define APP(file)                                                                                  \
    "if [ -n \"${SINGULARITY_APPNAME:-}\" ]; then\n"                                               \
    "    app=/scif/apps/$SINGULARITY_APPNAME/scif/" file "\n"                                      \
    "    if [ -x \"$app\" ]; then\n"                                                               \
    "        exec \"$app\" \"$@\"\n"                                                               \
    "    fi\n"                                                                                     \
    "    echo \"no " file " of the app '$SINGULARITY_APPNAME' in this image\" >&2\n"               \
    "    exit 1\n"                                                                                 \
    "fi\n"

struct text_file {
    const char *path;
    const char *text;
};

static const struct text_file scripts[] = {
    { LAYOUT_ACTION_DIR "/exec", SOURCE_ENV "exec \"$@\"\n" },
    { LAYOUT_ACTION_DIR "/run",
      SOURCE_ENV APP("runscript") "if [ -x /" LAYOUT_RUNSCRIPT " ]; then\n"
                                  "    exec /" LAYOUT_RUNSCRIPT " \"$@\"\n"
                                  "fi\n"
                                  "echo 'this image has no runscript: starting /bin/sh' >&2\n"
                                  "exec /bin/sh \"$@\"\n" },
    { LAYOUT_ACTION_DIR "/shell",
      SOURCE_ENV "if [ -n \"${SINGULARITY_SHELL:-}\" ] && [ -x \"$SINGULARITY_SHELL\" ]; then\n"
                 "    exec \"$SINGULARITY_SHELL\" \"$@\"\n"
                 "elif [ -x /bin/bash ]; then\n"
                 "    SHELL=/bin/bash\n"
                 "    export SHELL PS1\n"
                 "    exec /bin/bash --norc --noprofile \"$@\"\n"
                 "fi\n"
                 "SHELL=/bin/sh\n"
                 "export SHELL PS1\n"
                 "exec /bin/sh \"$@\"\n" },
    { LAYOUT_ACTION_DIR "/start",
      SOURCE_ENV APP("startscript") "if [ -x /" LAYOUT_STARTSCRIPT " ]; then\n"
                                    "    exec /" LAYOUT_STARTSCRIPT " \"$@\"\n"
                                    "fi\n" },
    { LAYOUT_ACTION_DIR "/test", SOURCE_ENV APP("test") "if [ -x /" LAYOUT_TEST " ]; then\n"
                                                        "    exec /" LAYOUT_TEST " \"$@\"\n"
                                                        "fi\n"
                                                        "echo 'this image has no test' >&2\n" },
    { LAYOUT_ENV_BASE, "#!/bin/sh\n# sourced first; the other files here follow by name\n" },
    { LAYOUT_ENV_APPS,
      "#!/bin/sh\n"
      "# the application that was asked for by --app\n"
      "if [ -n \"${SINGULARITY_APPNAME:-}\" ]; then\n"
      "    SCIF_APPNAME=$SINGULARITY_APPNAME\n"
      "    SCIF_APPROOT=/scif/apps/$SCIF_APPNAME\n"
      "    SCIF_APPMETA=$SCIF_APPROOT/scif\n"
      "    SCIF_APPDATA=/scif/data/$SCIF_APPNAME\n"
      "    SCIF_APPINPUT=$SCIF_APPDATA/input\n"
      "    SCIF_APPOUTPUT=$SCIF_APPDATA/output\n"
      "    SCIF_DATA=/scif/data\n"
      "    SCIF_APPS=/scif/apps\n"
      "    PATH=$SCIF_APPROOT/bin:$PATH\n"
      "    LD_LIBRARY_PATH=$SCIF_APPROOT/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}\n"
      "    export SCIF_APPNAME SCIF_APPROOT SCIF_APPMETA SCIF_APPDATA SCIF_APPINPUT\n"
      "    export SCIF_APPOUTPUT SCIF_DATA SCIF_APPS PATH LD_LIBRARY_PATH\n"
      "    if [ -f \"$SCIF_APPMETA/env/90-environment.sh\" ]; then\n"
      "        . \"$SCIF_APPMETA/env/90-environment.sh\"\n"
      "    fi\n"
      "fi\n" },
    { LAYOUT_ENV_RUNTIME,
      "#!/bin/sh\n"
      "# libraries of the host that a run binds come last; programs see a prompt that names us\n"
      "LD_LIBRARY_PATH=${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}/" LAYOUT_LIBS "\n"
      "PS1=${PS1:-Singularity> }\n"
      "export LD_LIBRARY_PATH PS1\n" },
};

/* Made only where the base has none. */
static const struct text_file placeholders[] = {
    { LAYOUT_ENV_USER, "#!/bin/sh\n" },
    { LAYOUT_ENV_POST, "#!/bin/sh\n" },
};
static const struct text_file etc_files[] = {
    { "etc/passwd", "root:x:0:0:root:/root:/bin/sh\n" },
    { "etc/group", "root:x:0:\n" },
    { "etc/hosts", "" },
    { "etc/resolv.conf", "" },
    { "etc/localtime", "" },
};

/* Mount points that runs bind: of the system, and of common sites. */
static const struct {
    const char *path;
    mode_t mode;
} dirs[] = {
    { "dev", 0755 },     { "etc", 0755 },       { "home", 0755 },     { "mnt", 0755 },
    { "opt", 0755 },     { "proc", 0755 },      { "root", 0700 },     { "run", 0755 },
    { "scratch", 0755 }, { "sys", 0755 },       { "tmp", 01777 },     { "var/tmp", 01777 },
    { "srv", 0755 },     { LAYOUT_LIBS, 0755 }, { LAYOUT_DIR, 0755 }, { LAYOUT_HPCC_DIR, 0755 },
};

static const char *const links[][2] = {
    { LAYOUT_RUNSCRIPT, LAYOUT_OLD_RUNSCRIPT }, { LAYOUT_ENV_USER, LAYOUT_OLD_ENV },
    { LAYOUT_ACTION_DIR "/exec", ".exec" },     { LAYOUT_ACTION_DIR "/run", ".run" },
    { LAYOUT_ACTION_DIR "/shell", ".shell" },   { LAYOUT_ACTION_DIR "/test", ".test" },
};

static int write_all(int rootfs_fd, const struct text_file *files, size_t n, struct err *e)
{
    for (size_t i = 0; i < n; i++) {
        auto_str struct str text = { 0 };
        str_add(&text, files[i].text);
        if (fs_write_at(rootfs_fd, files[i].path, &text, 0755, e) < 0)
            return -1;
    }
    return 0;
}

static int write_absent(int rootfs_fd, const struct text_file *files, size_t n, mode_t mode,
                        struct err *e)
{
    for (size_t i = 0; i < n; i++) {
        struct stat st;
        auto_str struct str text = { 0 };
        str_add(&text, files[i].text);
        if (fs_stat_at(rootfs_fd, files[i].path, false, &st) < 0 &&
            fs_write_at(rootfs_fd, files[i].path, &text, mode, e) < 0)
            return -1;
    }
    return 0;
}

/* Missing ones are made; the sticky bit of a /tmp that is there is set right. */
static int make_dirs(int rootfs_fd, struct err *e)
{
    for (size_t i = 0; i < ARRAY_LEN(dirs); i++) {
        struct stat st;
        bool there = fs_stat_at(rootfs_fd, dirs[i].path, true, &st) == 0;
        if (there && S_ISDIR(st.st_mode) && !(dirs[i].mode & 01000))
            continue;
        if (fs_mkdirs_at(rootfs_fd, dirs[i].path, dirs[i].mode, e) < 0)
            return -1;
        if (!(dirs[i].mode & 01000))
            continue;
        auto_close int fd = fs_open_at(rootfs_fd, dirs[i].path, O_RDONLY | O_DIRECTORY, 0, e);
        if (fd < 0)
            return -1;
        if (fchmod(fd, dirs[i].mode) < 0)
            return err_sys(e, "cannot set the mode of '/%s'", dirs[i].path);
    }
    return 0;
}

static int make_links(int rootfs_fd, struct err *e)
{
    struct stat st;
    for (size_t i = 0; i < ARRAY_LEN(links); i++) {
        bool there = fs_stat_at(rootfs_fd, links[i][1], false, &st) == 0;
        if (there && S_ISDIR(st.st_mode))
            continue; /* the base's own; Singularity 2.x would fail, runs do not need it */
        if (fs_symlink_at(rootfs_fd, links[i][0], links[i][1], e) < 0)
            return -1;
    }
    if (fs_stat_at(rootfs_fd, "etc/mtab", false, &st) == 0)
        return 0;
    return fs_symlink_at(rootfs_fd, "/proc/self/mounts", "etc/mtab", e);
}

int layout_make(int rootfs_fd, struct err *e)
{
    if (make_dirs(rootfs_fd, e) < 0 || write_all(rootfs_fd, scripts, ARRAY_LEN(scripts), e) < 0 ||
        write_absent(rootfs_fd, placeholders, ARRAY_LEN(placeholders), 0755, e) < 0 ||
        write_absent(rootfs_fd, etc_files, ARRAY_LEN(etc_files), 0644, e) < 0 ||
        make_links(rootfs_fd, e) < 0)
        return err_wrap(e, "cannot lay out '/" LAYOUT_DIR "'");
    return 0;
}

/* The definition that an earlier build left moves to bootstrap_history. */
static int move_old_definition(int rootfs_fd, struct err *e)
{
    struct stat st;
    auto_str struct str old = { 0 };
    if (fs_stat_at(rootfs_fd, LAYOUT_DEFFILE, false, &st) < 0)
        return 0;
    if (fs_read_at(rootfs_fd, LAYOUT_DEFFILE, 1 << 20, &old, e) < 0)
        return -1;
    for (unsigned n = 0;; n++) {
        auto_free char *path = mem_printf(LAYOUT_DIR "/bootstrap_history/Singularity%u", n);
        if (fs_stat_at(rootfs_fd, path, false, &st) < 0)
            return fs_write_at(rootfs_fd, path, &old, 0644, e);
    }
}

/* Whether LINE begins a section, or a stage's headers; else what WAS is still so. */
static bool in_headers(const char *line, bool was)
{
    if (line[0] == '%')
        return false;
    return was || strncasecmp(line, "bootstrap:", 10) == 0;
}

/* The definition as it may be shown: who reads the image need not know who fetched its packages. */
static void without_passwords(const char *text, struct str *out)
{
    bool headers = true;
    for (const char *line = text; *line;) {
        size_t len = strcspn(line, "\n") + 1;
        auto_free char *one = mem_strndup(line, strnlen(line, len));
        headers = in_headers(one, headers);
        auto_free char *shown = headers ? str_without_passwords(one) : mem_strdup(one);
        str_add(out, shown);
        line += strlen(one);
    }
}

int layout_keep_definition(int rootfs_fd, const struct deffile *def, struct err *e)
{
    if (move_old_definition(rootfs_fd, e) < 0)
        return -1;
    auto_str struct str text = { 0 };
    without_passwords(str_text(&def->text), &text);
    return fs_write_at(rootfs_fd, LAYOUT_DEFFILE, &text, 0644, e);
}
