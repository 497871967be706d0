/* SPDX-License-Identifier: BSD-3-Clause */
#include <fcntl.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/path.h"
#include "build/parts.h"

/* %files and %appfiles: as `cp -fLr SOURCE ROOT/DESTINATION`, but the destination is resolved
 * inside the root, its parents are made, and what is missing is an error with its line. */

static const char relative_hint[] = "relative names start in the directory in which hpcc is run";

struct files_job {
    struct copy_spec copy;
    const char *base; /* of relative destinations and of missing ones' names: "/" or the app's */
};

static int index_of_stage(const struct build *b, const char *name)
{
    for (size_t i = 0; i < b->n_roots; i++)
        if (str_eq(b->def->stages[i].name, name))
            return (int)i;
    return -1;
}

/* Absolute path inside the target root, without a trailing slash. */
static char *destination(const struct files_job *job, const struct deffile_entry *entry,
                         const char *source)
{
    const char *wanted = entry->second ? entry->second : source;
    auto_free char *full = wanted[0] == '/' ? mem_strdup(wanted) : path_join(job->base, wanted);
    return path_clean(full);
}

static bool is_directory(int root_fd, const char *path)
{
    struct stat st;
    return fs_stat_at(root_fd, path, true, &st) == 0 && S_ISDIR(st.st_mode);
}

static int copy_entry(const struct files_job *job, const struct deffile_entry *entry, struct err *e)
{
    auto_strv struct strv found = { 0 };
    bool from_host = job->copy.from_root_fd < 0;
    auto_free char *cwd = from_host ? NULL : mem_strdup("/");
    auto_free char *pattern = path_absolute(entry->first, cwd);
    auto_close int host_fd = from_host ? open("/", O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
    struct copy_spec copy = job->copy;
    if (from_host)
        copy.from_root_fd = host_fd;
    if (files_glob(copy.from_root_fd, pattern, &found, e) < 0)
        return -1;
    if (found.n == 0) {
        err_set(e, ERR_INPUT, "there is no '%s'%s", entry->first,
                from_host ? "" : " in that stage");
        return from_host && entry->first[0] != '/' ? err_hint(e, "%s", relative_hint) : -1;
    }
    bool slash = entry->second && str_ends(entry->second, "/");
    for (size_t i = 0; i < found.n; i++) {
        /* without a destination: the same path, a relative one below the base; of a pattern the
         * name it matched */
        auto_free char *dir = path_dir(entry->first);
        auto_free char *name = path_base(found.v[i]);
        auto_free char *relative = path_join(dir, name);
        const char *source = entry->first[0] == '/' ? found.v[i] : relative;
        auto_free char *to = destination(job, entry, source);
        bool into = found.n > 1 || slash || (entry->second && is_directory(copy.to_root_fd, to));
        auto_free char *full = into && entry->second ? path_join(to, name) : mem_strdup(to);
        log_verbose("copying '%s' to '%s'", found.v[i], full);
        if (files_copy(&copy, found.v[i], full, e) < 0)
            return -1;
    }
    return 0;
}

static int copy_section(struct build *b, const struct deffile_section *s, const char *base,
                        struct err *e)
{
    struct stat stage;
    struct files_job job = { .base = base };
    job.copy.from_root_fd = -1;
    job.copy.to_root_fd = b->rootfs_fd;
    if (fstat(b->own.fd, &stage) < 0)
        return err_sys(e, "cannot look at the stage");
    job.copy.skip = &stage;
    if (s->from) {
        int i = index_of_stage(b, s->from);
        if (i < 0)
            return err_set(e, ERR_BUG, "the stage '%s' was not made", s->from);
        job.copy.from_root_fd = b->roots[i];
    }
    for (size_t i = 0; i < s->n_entries; i++) {
        auto_err struct err why = { 0 };
        if (copy_entry(&job, &s->entries[i], &why) == 0)
            continue;
        if (why.code == ERR_INPUT || why.code == ERR_FAILED)
            why.code = ERR_STEP;
        err_wrap(&why, "%s:%u", b->def->name, s->entries[i].line);
        return err_move(e, &why);
    }
    return 0;
}

static int perform_files(struct build *b, const struct section_kind *kind, struct err *e)
{
    const struct deffile_section *s;
    for (size_t pos = 0; (s = deffile_section_next(b->stage, kind->name, NULL, &pos));)
        if (copy_section(b, s, "/", e) < 0)
            return -1;
    return 0;
}

static int perform_appfiles(struct build *b, const struct section_kind *kind, struct err *e)
{
    for (size_t i = 0; i < b->stage->n_sections; i++) {
        const struct deffile_section *s = &b->stage->sections[i];
        if (!str_eq(s->name, kind->name))
            continue;
        auto_free char *base = mem_printf("/scif/apps/%s", s->app);
        if (fs_mkdirs_at(b->rootfs_fd, base, 0755, e) < 0 || copy_section(b, s, base, e) < 0)
            return -1;
    }
    return 0;
}

/* Sources on the host that are missing already, unless a script of the definition on the host may
 * make them: told before the base is made. */
static void check_sources(const struct deffile_stage *stage, struct deffile *def)
{
    auto_str struct str scripts = { 0 };
    bool made_later = section_body(stage, "pre", NULL, &scripts);
    made_later = section_body(stage, "setup", NULL, &scripts) || made_later;
    auto_close int host_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    for (size_t i = 0; i < stage->n_sections && !made_later && host_fd >= 0; i++) {
        const struct deffile_section *s = &stage->sections[i];
        bool copies = s->rule && s->rule->body == DEFFILE_BODY_FILES && !s->from;
        for (size_t k = 0; copies && k < s->n_entries; k++) {
            auto_strv struct strv found = { 0 };
            auto_free char *pattern = path_absolute(s->entries[k].first, NULL);
            if (files_glob(host_fd, pattern, &found, NULL) == 0 && found.n)
                continue;
            auto_free char *shown = str_printable(s->entries[k].first);
            deffile_diag_add(def, DEFFILE_ERROR, "missing-source", s->entries[k].line, 1,
                             shown[0] == '/' ? NULL : relative_hint, "there is no '%s'", shown);
        }
    }
}

const struct section_kind section_files = {
    .name = "files",
    .check_here = check_sources,
    .perform = perform_files,
};

const struct section_kind section_appfiles = {
    .name = "appfiles",
    .perform = perform_appfiles,
};
