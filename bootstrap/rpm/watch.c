/* SPDX-License-Identifier: BSD-3-Clause */
#include "bootstrap/rpm/watch.h"

#include <poll.h>
#include <stdlib.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/progress.h"

enum { SCRIPT_TIMEOUT_S = 1800, TAIL_BYTES = 4096, WORD_BYTES = 1 << 16 };

static time_t now_s(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec;
}

/* A scriptlet can write to the pipe of words as well: nothing that comes by it may grow for ever.
 */
static void add_line(struct str *s, const char *line)
{
    if (s->len > WORD_BYTES)
        return;
    if (s->len)
        str_add_c(s, '\n');
    str_add(s, line);
}

static void keep_tail(struct str *s)
{
    if (s->len <= 2 * TAIL_BYTES)
        return;
    memmove(s->data, s->data + s->len - TAIL_BYTES, TAIL_BYTES);
    s->len = TAIL_BYTES;
    s->data[s->len] = 0;
}

/* "\n  line\n  line" of the last lines of S. */
static char *tail_text(const struct str *s)
{
    auto_strv struct strv lines = { 0 };
    auto_str struct str out = { 0 };
    auto_free char *shown = str_printable(str_text(s));
    strv_split(&lines, shown, "\n");
    for (size_t i = lines.n > 10 ? lines.n - 10 : 0; i < lines.n; i++)
        str_addf(&out, "\n  %s", lines.v[i]);
    return str_steal(&out);
}

static void script_failed(struct yum_watch *w, const char *name, bool fatal)
{
    auto_free char *output = tail_text(&w->output);
    auto_free char *log = tail_text(&w->log);
    if (!fatal) {
        log_warn("a scriptlet failed: %s%s%s", name, output, log);
        return;
    }
    auto_free char *text = mem_printf("a scriptlet failed: %s%s%s", name, output, log);
    add_line(&w->failure, text);
}

static void progress(const struct yum_watch *w, const char *text)
{
    const char *name = strchr(text, ' ');
    progress_report(&(struct progress_event){
        .stage = "install",
        .detail = name ? name + 1 : NULL,
        .unit = PROGRESS_ITEMS,
        .done = strtoull(text, NULL, 10),
        .total = w->in->trans->n,
        .finished = strtoull(text, NULL, 10) == w->in->trans->n,
    });
}

static void take_word(struct yum_watch *w, char *line)
{
    char *text = line[0] && line[1] ? line + 2 : line;
    switch ((enum yum_word)line[0]) {
    case YUM_PROGRESS:
        progress(w, text);
        break;
    case YUM_SCRIPT_START:
        str_reset(&w->script);
        str_add(&w->script, text);
        str_reset(&w->output);
        str_reset(&w->log);
        w->script_began = now_s();
        break;
    case YUM_SCRIPT_END:
        str_reset(&w->script);
        break;
    case YUM_SCRIPT_FAILED:
    case YUM_SCRIPT_FATAL:
        script_failed(w, text, line[0] == YUM_SCRIPT_FATAL);
        break;
    case YUM_LOG:
        add_line(&w->log, text);
        log_verbose("librpm: %s", text);
        break;
    case YUM_INFO:
        log_info("%s", text);
        break;
    case YUM_ERROR:
        add_line(&w->failure, text);
        break;
    case YUM_HINT:
        add_line(&w->hint, text);
        break;
    }
}

static void take_words(struct yum_watch *w)
{
    char *end;
    if (w->words.len > WORD_BYTES) /* librpm says no such thing */
        str_reset(&w->words);
    while (w->words.len && (end = memchr(w->words.data, '\n', w->words.len))) {
        size_t len = (size_t)(end - w->words.data) + 1;
        *end = 0;
        take_word(w, w->words.data);
        memmove(w->words.data, w->words.data + len, w->words.len - len + 1);
        w->words.len -= len;
    }
}

/* Read what is there; false at its end. */
static bool take_input(int fd, struct str *into, int log_fd)
{
    char buf[8192];
    ssize_t n = read(fd, buf, sizeof buf);
    if (n < 0)
        return errno == EINTR || errno == EAGAIN;
    str_add_n(into, buf, (size_t)n);
    if (log_fd >= 0 && n > 0)
        (void)!fs_write_full(log_fd, buf, (size_t)n);
    return n > 0;
}

bool yum_watch_follow(struct yum_watch *w)
{
    unsigned limit = w->in->script_timeout_s ? w->in->script_timeout_s : SCRIPT_TIMEOUT_S;
    bool words_open = true, output_open = true;
    while (words_open) {
        struct pollfd pfd[2] = { { .fd = output_open ? w->output_fd : -1, .events = POLLIN },
                                 { .fd = w->words_fd, .events = POLLIN } };
        int n = poll(pfd, 2, 1000);
        /* Output first: the word that a scriptlet failed comes after what it said. */
        if (n > 0 && pfd[0].revents) {
            output_open = take_input(w->output_fd, &w->output, w->in->log_fd);
            keep_tail(&w->output);
        } else if (n > 0 && pfd[1].revents) {
            words_open = take_input(w->words_fd, &w->words, -1);
            take_words(w);
        }
        if (w->script.len && now_s() - w->script_began > (time_t)limit)
            w->timed_out = true;
        if (w->timed_out)
            return false;
    }
    return true;
}

int yum_watch_verdict(struct yum_watch *w, int status, struct err *e)
{
    if (w->timed_out)
        return err_set(e, ERR_FAILED, "scriptlet '%s' took longer than %u s and was stopped",
                       str_text(&w->script),
                       w->in->script_timeout_s ? w->in->script_timeout_s : SCRIPT_TIMEOUT_S);
    if (status == 0 && !w->failure.len)
        return 0;
    if (!w->failure.len)
        return err_set(e, ERR_FAILED, "librpm died (status %d)%s%s", status,
                       w->script.len ? " in scriptlet " : "", str_text(&w->script));
    err_set(e, ERR_FAILED, "%s", str_text(&w->failure));
    return w->hint.len ? err_hint(e, "%s", str_text(&w->hint)) : -1;
}

void yum_watch_fini(struct yum_watch *w)
{
    struct str *all[] = { &w->words, &w->output, &w->log, &w->script, &w->failure, &w->hint };
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        str_free(all[i]);
}
