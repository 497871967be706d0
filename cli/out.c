/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli/out.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"

enum {
    REDRAW_MS = 100,
    RATE_AFTER_MS = 500, /* before that a rate is noise */
    BAR_CELLS = 20,
    TEXT_MAX = 512,
};

static uint64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* One write per line, so that lines of parent and worker never mix. */
static void put(const struct str *s)
{
    size_t done = 0;
    while (done < s->len) {
        ssize_t n = write(STDERR_FILENO, s->data + done, s->len - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return; /* nowhere left to complain */
        done += (size_t)n;
    }
}

static void wipe_bar(struct out *out, struct str *s)
{
    if (!out->bar || !*out->bar_shown)
        return;
    str_add(s, "\r\033[K");
    *out->bar_shown = false;
}

void out_wipe(struct out *out)
{
    auto_str struct str s = { 0 };
    wipe_bar(out, &s);
    put(&s);
}

static void add_word(const struct out *out, struct str *s, const char *colour, const char *word)
{
    if (out->cli->colour)
        str_addf(s, "\033[%sm%s\033[0m", colour, word);
    else
        str_add(s, word);
}

static void write_log(void *ctx, enum log_level level, const char *text)
{
    struct out *out = ctx;
    auto_str struct str s = { 0 };
    auto_free char *clean = str_printable(text);
    wipe_bar(out, &s);
    str_add(&s, "hpcc: ");
    if (level == LOG_WARN)
        add_word(out, &s, "33", "warning: ");
    else if (level == LOG_DEBUG)
        add_word(out, &s, "2", "debug: ");
    str_addf(&s, "%s\n", clean);
    put(&s);
}

static void add_amounts(struct str *s, const struct progress_event *ev)
{
    if (ev->unit == PROGRESS_PERMILLE)
        return;
    if (ev->unit == PROGRESS_ITEMS) {
        str_addf(s, " %llu", (unsigned long long)ev->done);
        if (ev->total)
            str_addf(s, "/%llu", (unsigned long long)ev->total);
        return;
    }
    auto_free char *done = str_human_size(ev->done);
    str_addf(s, " %s", done);
    if (ev->total) {
        auto_free char *total = str_human_size(ev->total);
        str_addf(s, " of %s", total);
    }
}

static void add_rate(struct str *s, const struct progress_event *ev, uint64_t elapsed_ms)
{
    if (elapsed_ms < RATE_AFTER_MS || ev->done == 0)
        return;
    if (ev->unit == PROGRESS_BYTES)
        str_addf(s, ", %.1f MB/s", (double)ev->done / 1000.0 / (double)elapsed_ms);
    if (ev->total <= ev->done)
        return;
    double left = (double)elapsed_ms / (double)ev->done * (double)(ev->total - ev->done) / 1000.0;
    if (left > 359999)
        return;
    unsigned seconds = (unsigned)(left + 0.5);
    str_addf(s, ", %u:%02u left", seconds / 60, seconds % 60);
}

char *out_bar_text(const struct progress_event *ev, uint64_t elapsed_ms, unsigned width)
{
    struct str s = { 0 };
    uint64_t total = ev->unit == PROGRESS_PERMILLE ? 1000 : ev->total;
    uint64_t done = total && ev->done > total ? total : ev->done;
    str_addf(&s, "%-10s", ev->stage);
    if (total) {
        double share = (double)done / (double)total;
        unsigned cells = (unsigned)(share * BAR_CELLS);
        str_add(&s, " [");
        for (unsigned i = 0; i < BAR_CELLS; i++)
            str_add_c(&s, i < cells ? '#' : '.');
        str_addf(&s, "] %3u%%", (unsigned)(share * 100));
    }
    struct progress_event fixed = *ev;
    fixed.total = total;
    add_amounts(&s, &fixed);
    add_rate(&s, &fixed, elapsed_ms);
    if (ev->detail)
        str_addf(&s, "  %s", ev->detail);
    auto_free char *text = str_steal(&s);
    auto_free char *clean = str_printable(text);
    for (char *p = clean; *p; p++)
        if (*p == '\n' || *p == '\t')
            *p = ' ';
    size_t len = strlen(clean);
    size_t max = width > 1 && width <= TEXT_MAX ? width - 1 : 79;
    while (max < len && max > 0 && ((unsigned char)clean[max] & 0xC0) == 0x80)
        max--; /* never cut inside a UTF-8 character */
    return mem_strndup(clean, max < len ? max : len);
}

static unsigned terminal_width(void)
{
    struct winsize w = { 0 };
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 0 ? w.ws_col : 80;
}

static void draw_bar(struct out *out, const struct progress_event *ev)
{
    uint64_t now = now_ms();
    if (ev->finished) {
        out_wipe(out);
        return;
    }
    if (*out->bar_shown && now - out->drawn_ms < REDRAW_MS)
        return;
    auto_str struct str s = { 0 };
    auto_free char *text = out_bar_text(ev, now - out->start_ms, terminal_width());
    str_addf(&s, "\r%s\033[K", text);
    *out->bar_shown = true;
    out->drawn_ms = now;
    put(&s);
}

static void on_progress(void *ctx, const struct progress_event *ev)
{
    struct out *out = ctx;
    bool fresh = !str_eq(out->stage, ev->stage);
    if (fresh) {
        free(out->stage);
        out->stage = mem_strdup(ev->stage);
        out->start_ms = now_ms();
    }
    if (out->bar)
        draw_bar(out, ev);
    else if (fresh)
        write_log(out, LOG_INFO, ev->stage);
}

/* The bar is drawn by workers too, and wiped by whoever writes next. */
static bool *shared_flag(void)
{
    void *page =
        mmap(NULL, sizeof(bool), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return page == MAP_FAILED ? NULL : page;
}

void out_init(struct out *out, const struct cli *cli)
{
    out_fini(out);
    *out = (struct out){ .cli = cli };
    const char *term = strv_env_value(cli->environ, "TERM");
    if (cli->terminal && !cli->quiet && term && !str_eq(term, "dumb"))
        out->bar_shown = shared_flag();
    out->bar = out->bar_shown != NULL;
    struct log_sink log = { .write = write_log, .ctx = out, .max = LOG_INFO };
    if (cli->debug)
        log.max = LOG_DEBUG;
    else if (cli->verbose)
        log.max = LOG_VERBOSE;
    else if (cli->quiet)
        log.max = LOG_WARN;
    log_sink_set(cli->silent ? NULL : &log);
    struct progress_sink bar = { .event = on_progress, .ctx = out };
    progress_sink_set(cli->quiet || cli->silent ? NULL : &bar);
}

void out_fini(struct out *out)
{
    out_wipe(out);
    log_sink_set(NULL);
    progress_sink_set(NULL);
    free(steal_ptr(out->stage));
    if (out->bar)
        munmap(out->bar_shown, sizeof(bool));
    out->bar = false;
}

void out_say(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    auto_free char *text = mem_vprintf(fmt, ap);
    va_end(ap);
    auto_free char *clean = str_printable(text);
    fputs(clean, stdout); /* main tells when standard output takes no more */
}

void out_bytes(const void *data, size_t len)
{
    fwrite(data, 1, len, stdout);
}

void out_finding(struct out *out, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    auto_free char *text = mem_vprintf(fmt, ap);
    va_end(ap);
    auto_str struct str s = { 0 };
    auto_free char *clean = str_printable(text);
    wipe_bar(out, &s);
    str_addf(&s, "%s\n", clean);
    put(&s);
}

void out_error(struct out *out, const struct err *e)
{
    auto_str struct str s = { 0 };
    wipe_bar(out, &s);
    str_add(&s, "hpcc: ");
    add_word(out, &s, "31", "error: ");
    auto_free char *msg = str_printable(e->msg ? e->msg : "failed without a word");
    str_addf(&s, "%s\n", msg);
    if (e->hint) {
        auto_free char *hint = str_printable(e->hint);
        str_addf(&s, "  hint: %s\n", hint);
    }
    put(&s);
}

int out_exit_code(const struct err *e, bool passes_status)
{
    if (passes_status)
        return e->status == 126 || e->status == 127 ? e->status : 125;
    if (e->code == ERR_FAILED && e->sys == EINTR && e->status > 128)
        return e->status; /* a signal that asked us to stop */
    return e->code == ERR_NONE ? ERR_BUG : (int)e->code;
}
