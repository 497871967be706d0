/* SPDX-License-Identifier: BSD-3-Clause */
#include "deffile/deffile.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "base/mem.h"

enum { MAX_BYTES = 1 << 20 };

/* Open a definition without hanging on a FIFO that nobody writes, and without touching a device. */
static int open_definition(const char *path, struct err *e)
{
    auto_close int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0) {
        bool missing = errno == ENOENT;
        err_sys(e, "cannot open definition '%s'", path);
        return missing ? err_code_set(e, ERR_INPUT) : -1;
    }
    struct stat st;
    if (fstat(fd, &st) < 0)
        return err_sys(e, "cannot open definition '%s'", path);
    if (S_ISDIR(st.st_mode)) {
        err_set(e, ERR_INPUT, "'%s' is a directory, not a definition", path);
        return err_hint(e, "name the file in it, e.g. '%s/Singularity'", path);
    }
    if (!S_ISREG(st.st_mode) && !S_ISFIFO(st.st_mode))
        return err_set(e, ERR_INPUT, "'%s' is neither a file nor a pipe", path);
    if (fcntl(fd, F_SETFL, 0) < 0) /* reading waits for the writer of a pipe */
        return err_sys(e, "cannot read definition '%s'", path);
    return steal_fd(&fd);
}

int deffile_read(const char *path, const struct deffile_schema *schema, struct deffile **out,
                 struct err *e)
{
    bool standard_input = str_eq(path, "-");
    auto_close int opened = standard_input ? -1 : open_definition(path, e);
    if (!standard_input && opened < 0)
        return -1;
    auto_str struct str text = { 0 };
    if (fs_read_fd(standard_input ? STDIN_FILENO : opened, MAX_BYTES, &text, e) < 0)
        return err_wrap(e, "cannot read definition '%s'", path);
    *out = deffile_parse(str_text(&text), text.len, standard_input ? "<stdin>" : path, schema);
    return 0;
}

static void section_fini(struct deffile_section *s)
{
    for (size_t i = 0; i < s->n_entries; i++) {
        free(s->entries[i].first);
        free(s->entries[i].second);
    }
    free(s->entries);
    free(s->name);
    free(s->app);
    free(s->args);
    free(s->from);
    str_free(&s->body);
}

static void stage_fini(struct deffile_stage *s)
{
    for (size_t i = 0; i < s->n_headers; i++) {
        free(s->headers[i].key);
        free(s->headers[i].value);
    }
    for (size_t i = 0; i < s->n_sections; i++)
        section_fini(&s->sections[i]);
    free(s->headers);
    free(s->sections);
    free(s->name);
}

void deffile_free(struct deffile *d)
{
    if (!d)
        return;
    for (size_t i = 0; i < d->n_stages; i++)
        stage_fini(&d->stages[i]);
    for (size_t i = 0; i < d->n_diags; i++) {
        free(d->diags[i].message);
        free(d->diags[i].hint);
    }
    free(d->stages);
    free(d->diags);
    free(d->name);
    str_free(&d->text);
    free(d);
}

const struct deffile_header *deffile_header_find(const struct deffile_stage *s, const char *key)
{
    for (size_t i = 0; i < s->n_headers; i++)
        if (str_eq(s->headers[i].key, key))
            return &s->headers[i];
    return NULL;
}

const char *deffile_header_value(const struct deffile_stage *s, const char *key)
{
    const struct deffile_header *h = deffile_header_find(s, key);
    return h ? h->value : NULL;
}

const struct deffile_section *deffile_section_next(const struct deffile_stage *s, const char *name,
                                                   const char *app, size_t *pos)
{
    while (*pos < s->n_sections) {
        const struct deffile_section *found = &s->sections[(*pos)++];
        if (str_eq(found->name, name) && str_eq(found->app, app))
            return found;
    }
    return NULL;
}
