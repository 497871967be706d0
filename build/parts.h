/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BUILD_PARTS_H
#define BUILD_PARTS_H

/* What the files of this room share; nobody else includes it. */

#include <signal.h>
#include <sys/stat.h>

#include "base/place.h"
#include "base/stage.h"
#include "bootstrap/bootstrap.h"
#include "build/build.h"
#include "image/image.h"
#include "runtime/runtime.h"

/* ── on paper ────────────────────────────────────────────────────────────────────────────────── */

/* The image that will be made, as it is before. */
struct target {
    const char *path; /* lent; for messages */
    struct place place;
    struct place log; /* IMAGE.log beside it */
    int fd;           /* of the image that is there, locked against other writers; -1: none */
    bool exists;
    bool keep;              /* it holds a system, and that is kept */
    struct image_info info; /* when keep */
    uint64_t size_bytes;    /* wanted; 0: from the content */
    mode_t mode;
    int owner_uid, owner_gid; /* the new file is given to; -1: left to who builds */
};
#define TARGET_INIT                                                                                \
    {                                                                                              \
        .place = PLACE_INIT, .log = PLACE_INIT, .fd = -1                                           \
    }

MUST_CHECK int target_open(const struct build_spec *spec, struct target *out, struct err *e);
void target_close(struct target *t);

/* Read DEF_PATH with the keywords of every agent. Findings are no error: look at ok. */
MUST_CHECK int build_read(const char *def_path, struct deffile **out, struct err *e);

/* Add what the sections say about themselves on paper; HERE: and about a build in this place. */
void sections_check(struct deffile *def, bool here);

/* ERR_USAGE when NAMES (may be NULL) has a word that is no section. */
MUST_CHECK int sections_filter_check(const char *const *names, struct err *e);

/* ── the log: everything that helpers and scripts print, nameless until a build fails ────────── */

MUST_CHECK int log_file_open(struct err *e);
void log_file_line(int log_fd, const char *line);
/* The last N lines. Caller frees. */
MUST_CHECK char *log_file_tail(int log_fd, unsigned n);
/* Keep it at P and say so in E's hint, with its last lines. What is there and is no log of ours (a
 * link, a file of another kind) stays, and the hint says that none was kept. */
void log_file_keep(int log_fd, struct place *p, struct err *e);
/* Remove the log that an earlier failure left at P. */
void log_file_forget(const struct place *p);

/* ── at work ─────────────────────────────────────────────────────────────────────────────────── */

/* Made by the caller, used by the worker. */
struct build {
    const struct build_spec *spec;
    struct deffile *def;
    const char *arch;
    struct target target;
    struct stage stage_dir;     /* beside the image, or in --tmpdir */
    struct runtime_own_dir own; /* the same, as the worker sees it */
    int log_fd;

    /* in the worker */
    int *roots;                        /* by stage of the definition; -1: not made yet */
    size_t n_roots;                    /* those made */
    int rootfs_fd;                     /* of the stage in hand, lent from roots */
    const struct deffile_stage *stage; /* in hand */
    struct json_object *facts;         /* of the last agent */
    struct json_object *steps;         /* {"name", "seconds"}, in order */
    struct json_object *labels;        /* of the image */
};

/* The agent of stage N of the definition, and what it gets; without a log until one is open. */
const struct agent *build_agent(const struct build *b, size_t n);
struct agent_input build_agent_input(const struct build *b, const struct deffile_stage *stage);

/* Choose where the stage will be. */
MUST_CHECK int stage_dir_plan(struct build *b, struct err *e);

/* runtime_worker_spec.prepare and .cleanup: make the stage, remove it. ERR_FAILED: another hpcc of
 * this user builds the same image. */
int stage_dir_make(void *ctx, struct err *e);
void stage_dir_remove(void *ctx);

/* runtime_worker_spec.main; RESULT is the report as JSON text. */
int build_work(void *ctx, struct str *result, struct err *e);

/* A kind of section: how it is performed. One const table in section_*.c each, named in
 * sections.list, whose order is the order of work. */
struct section_kind {
    const char *name;
    bool before_base; /* performed before the agent, on the host */

    /* Add findings about sections that cannot be performed. NULL: nothing to say. */
    void (*check)(const struct deffile_stage *stage, struct deffile *def);

    /* The same for what a build in this place lacks. NULL: nothing to say. */
    void (*check_here)(const struct deffile_stage *stage, struct deffile *def);

    /* Perform all sections of this name of b->stage; called only when there is one. */
    int (*perform)(struct build *b, const struct section_kind *kind, struct err *e);
};

/* All kinds in order, NULL-terminated. */
extern const struct section_kind *const section_kinds[];

/* Perform the sections of the stage in hand. */
MUST_CHECK int sections_perform(struct build *b, bool before_base, struct err *e);

/* Run WHAT ("base", "%post" …) and note its time in the report. */
MUST_CHECK int step_run(struct build *b, const char *what,
                        int (*run)(struct build *b, const void *arg, struct err *e),
                        const void *arg, struct err *e);

/* Append the joined body of all sections NAME (of APP) in the stage; false when nothing but blank
 * lines and comments is in it. */
bool section_body(const struct deffile_stage *stage, const char *name, const char *app,
                  struct str *out);

/* The words of the last heading NAME (of APP) that has any, else "", lent by the definition; LINE
 * (may be NULL) gets the last heading's, and stays as it is when there is none. */
const char *section_args(const struct deffile_stage *stage, const char *name, const char *app,
                         unsigned *line);

/* ── scripts ─────────────────────────────────────────────────────────────────────────────────── */

struct script_spec {
    const char *section;  /* "post" */
    const char *app;      /* NULL: none */
    const char *prologue; /* one line of shell before the first, or NULL */
    bool on_host;
};

/* Run the sections as one script whose line numbers are those of the definition. ERR_STEP:
 * "x.def:LINE: …" with the line that failed. A script without a command is not run. */
MUST_CHECK int script_run(struct build *b, const struct script_spec *spec, struct err *e);

/* The text of the script (tests call it) and its interpreter's argv, without the file. */
void script_text(const struct deffile_stage *stage, const struct script_spec *spec,
                 struct str *out);
void script_argv(const char *args, struct strv *out);

/* ── files ───────────────────────────────────────────────────────────────────────────────────── */

/* Paths inside ROOT_FD that PATTERN (absolute) matches, sorted. None is no error. */
MUST_CHECK int files_glob(int root_fd, const char *pattern, struct strv *out, struct err *e);

struct copy_spec {
    int from_root_fd;
    int to_root_fd;
    const struct stat *skip; /* a directory that is left out (the stage), or NULL */
};

/* Copy FROM (file or directory, links followed) as TO, replacing files, merging directories. */
MUST_CHECK int files_copy(const struct copy_spec *spec, const char *from, const char *to,
                          struct err *e);

/* ── what every image has (layout.c, labels.c, clean.c) ──────────────────────────────────────── */

MUST_CHECK int layout_make(int rootfs_fd, struct err *e);
MUST_CHECK int layout_keep_definition(int rootfs_fd, const struct deffile *def, struct err *e);
MUST_CHECK int labels_read(int rootfs_fd, struct json_object **out, struct err *e);
MUST_CHECK int labels_write(struct build *b, struct err *e);
void labels_set(struct json_object *labels, const char *key, const char *value);
MUST_CHECK int clean_times(int rootfs_fd, int64_t epoch, struct err *e);

/* Text for a script file: TEXT's own #! line, or one made from ARGS; then the rest. */
void script_with_interpreter(const char *text, const char *args, struct str *out);

/* ── interrupts ──────────────────────────────────────────────────────────────────────────────── */

/* SIGINT, SIGTERM and SIGHUP end the worker instead of us, so that what it made is removed before
 * we report. */
struct interrupts {
    int fd; /* readable when one came */
    sigset_t old_mask;
};
MUST_CHECK int interrupts_catch(struct interrupts *i, struct err *e);
int interrupts_release(struct interrupts *i); /* the signal that came, or 0 */

#endif
