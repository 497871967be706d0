/* SPDX-License-Identifier: BSD-3-Clause */
#include "build/script_watch.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "build/parts.h"

static void put_output(const struct script_watch *w, const char *line)
{
    log_file_line(w->log_fd, line);
    log_info("  %s", line);
}

static void put_trace(const struct script_watch *w, const char *command)
{
    auto_free char *shown = mem_printf("+ %s", command);
    log_file_line(w->log_fd, shown);
    log_verbose("%s", shown);
}

/* "+@12@ make" or, without LINENO, "+@@ make": the command, or NULL. */
static const char *trace_command(const char *text, unsigned *line)
{
    size_t n = strspn(text, "+");
    if (n == 0 || text[n] != '@')
        return NULL;
    const char *digits = text + n + 1;
    size_t len = strspn(digits, "0123456789");
    if (len > 7 || strncmp(digits + len, "@ ", 2) != 0)
        return NULL;
    *line = (unsigned)strtoul(digits, NULL, 10);
    return digits + len + 2;
}

/* "/dir/x.def: 12: TEXT" (dash) or "…: line 12: TEXT" (bash, busybox): TEXT, or NULL. */
static const char *shell_message(const char *text, const char *path, unsigned *line)
{
    size_t len = strlen(path);
    if (strncmp(text, path, len) != 0 || strncmp(text + len, ": ", 2) != 0)
        return NULL;
    const char *p = text + len + 2;
    if (str_starts(p, "line "))
        p += 5;
    len = strspn(p, "0123456789");
    if (len == 0 || len > 7 || strncmp(p + len, ": ", 2) != 0)
        return NULL;
    *line = (unsigned)strtoul(p, NULL, 10);
    return p + len + 2;
}

static size_t line_length(const char *line)
{
    return strcspn(line, "\n");
}

/* Length of what identifies a traced command in the script: its first word; of an assignment, whose
 * value the trace shows expanded, the name. */
static size_t command_word(const char *command)
{
    size_t n = strcspn(command, " \t\n");
    size_t name = strcspn(command, "=");
    return name < n ? name + 1 : n;
}

static bool line_has_word(const char *line, const char *word, size_t n)
{
    size_t len = line_length(line);
    for (size_t i = 0; n && i + n <= len; i++) {
        bool before = i && (isalnum((unsigned char)line[i - 1]) || line[i - 1] == '_');
        bool after = i + n < len && (isalnum((unsigned char)line[i + n]) || line[i + n] == '_');
        if (!before && (!after || word[n - 1] == '=') && memcmp(line + i, word, n) == 0)
            return true;
    }
    return false;
}

/* Where in the lines that the shell has just read the command stands: from the last one found on,
 * then from the start (loops). A command of a function elsewhere is not in them: the line of its
 * call stays. */
static void locate(struct script_watch *w, const char *command)
{
    size_t n = command_word(command);
    unsigned found = 0, found_later = 0, number = w->batch_line;
    for (const char *p = w->batch; p && p < w->cursor; p += line_length(p) + 1, number++) {
        if (!line_has_word(p, command, n))
            continue;
        if (!found)
            found = number;
        if (!found_later && number >= w->traced)
            found_later = number;
    }
    if (found_later || found)
        w->traced = found_later ? found_later : found;
}

/* A line of the script that the shell echoed while reading; also behind output that did not end its
 * line. Returns how many bytes of TEXT stand before it, or -1. */
static int echoed(struct script_watch *w, const char *text)
{
    if (!w->cursor || !*w->cursor)
        return -1;
    size_t len = strlen(text), n = line_length(w->cursor);
    if (len < n || (n == 0 && len) || memcmp(text + len - n, w->cursor, n) != 0)
        return -1;
    if (!w->batch_open) {
        w->batch_open = true;
        w->batch = w->cursor;
        w->batch_line = w->cursor_line;
        w->traced = 0;
    }
    w->cursor += n + (w->cursor[n] == '\n');
    w->cursor_line++;
    return (int)(len - n);
}

static bool take_trace(struct script_watch *w, const char *text)
{
    unsigned line;
    const char *command = trace_command(text, &line), *again;
    if (!command)
        return false;
    w->batch_open = false;
    w->told = 0;
    if (line >= w->first && line <= w->last)
        w->traced = line; /* where functions are counted from their start, smaller ones appear */
    else if (w->cursor)
        locate(w, command);
    if (str_eq(command, "set +x"))
        w->traced = 0;
    /* The shells of a pipeline trace at once, and some write marker and command apart: then two
     * markers stand in one line, and the second's command alone in a later one. */
    while ((again = trace_command(command, &line))) {
        command = again;
        w->orphans++;
    }
    put_trace(w, command);
    return true;
}

static void start_echoes(struct script_watch *w)
{
    w->cursor = w->text + line_length(w->text) + 1;
    w->cursor_line = 2;
    w->batch_open = false;
}

void script_watch_line(void *ctx, const char *text)
{
    struct script_watch *w = ctx;
    unsigned line = 0;
    if (str_eq(text, "+@v@")) {
        start_echoes(w);
        return;
    }
    if (take_trace(w, text))
        return;
    int before = echoed(w, text);
    if (before == 0)
        return;
    /* Output without a final newline may stand before a trace. */
    const char *trace = before < 0 ? strstr(text, "+@") : text + before;
    if (before > 0 || (trace && take_trace(w, trace))) {
        auto_free char *head = mem_strndup(text, (size_t)(trace - text));
        put_output(w, head);
        return;
    }
    const char *message = shell_message(text, w->path, &line);
    if (message && line >= w->first && line <= w->last + 1) {
        line = line > w->last ? w->last : line; /* what is open at the end is told behind it */
        auto_free char *shown = mem_printf("%s:%u: %s", w->name, line, message);
        w->told = line;
        put_output(w, shown);
    } else if (w->orphans) {
        w->orphans--;
        put_trace(w, text);
    } else {
        put_output(w, text);
    }
}

/* The first line of the batch that is neither blank nor a comment. */
static unsigned batch_start(const struct script_watch *w)
{
    unsigned number = w->batch_line;
    for (const char *p = w->batch; p && p < w->cursor; p += line_length(p) + 1, number++) {
        char c = p[strspn(p, " \t")];
        if (c && c != '\n' && c != '#' && number >= w->first)
            return number;
    }
    return 0;
}

unsigned script_watch_failed(const struct script_watch *w, unsigned fallback)
{
    if (w->told)
        return w->told;
    if (w->traced)
        return w->traced;
    unsigned start = batch_start(w);
    return start ? start : fallback;
}
