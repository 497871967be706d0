/* SPDX-License-Identifier: BSD-3-Clause */
#include "bootstrap/fetch/fetch.h"

#include <curl/curl.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/progress.h"
#include "bootstrap/value.h"

enum {
    MAX_PARALLEL = 8, /* transfers at a time; what mirrors tolerate from one client */
    MIN_TRIES = 3,    /* of one file, over all mirrors */
    MAX_TRIES = 8,
    KEEP_PART_BYTES = 1 << 16,
};

/* One file on its way. */
struct transfer {
    struct fetch_file *file;
    CURL *easy;
    struct store_part part;
    struct store_sum sum;
    char *url;
    uint64_t got;    /* bytes in the part */
    uint64_t resume; /* where this try began */
    size_t mirror;
    unsigned tries;
    uint64_t not_before_ms; /* when the next try is due; 0: none is waiting */
    bool begun;             /* data of this try has come */
    bool too_long;
    int sys; /* errno of a failed write */
    bool done;
    char text[CURL_ERROR_SIZE];
};

struct batch {
    const struct fetch *f;
    CURLM *multi;
    struct transfer *all;
    size_t n, next, active, n_done;
    uint64_t bytes_done, bytes_total;
    struct err why;
};

static uint64_t limit_of(const struct fetch_file *file)
{
    return file->size_bytes ? file->size_bytes : file->max_bytes;
}

/* The server sends the file from its beginning although we asked for the rest. */
static int start_over(struct transfer *t)
{
    if (ftruncate(t->part.fd, 0) < 0)
        return -1;
    t->got = t->resume = 0;
    return t->file->hex ? store_sum_start(&t->sum, t->file->algo, NULL) : 0;
}

static size_t take_data(char *data, size_t size, size_t n, void *ctx)
{
    struct transfer *t = ctx;
    size_t len = size * n;
    if (!t->begun) {
        long code = 0;
        t->begun = true;
        curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &code);
        if (t->resume && code != 206 && start_over(t) < 0)
            return 0;
    }
    if (len > limit_of(t->file) - t->got) {
        t->too_long = true;
        return 0;
    }
    if (fs_pwrite_full(t->part.fd, data, len, t->got) < 0) {
        t->sys = errno;
        return 0;
    }
    if (t->file->hex)
        store_sum_add(&t->sum, data, len);
    t->got += len;
    return len;
}

/* libcurl's own look into the environment is overridden: rooms do not read it. */
static void set_proxy(CURL *c, const char *const *env, const char *url)
{
    auto_url_proxy struct url_proxy p;
    url_proxy_find(env, url, &p);
    curl_easy_setopt(c, CURLOPT_PROXY, p.address);
    curl_easy_setopt(c, CURLOPT_NOPROXY, p.except);
    curl_easy_setopt(c, CURLOPT_PROXYUSERNAME, p.user);
    curl_easy_setopt(c, CURLOPT_PROXYPASSWORD, p.password);
}

static void set_options(const struct fetch *f, struct transfer *t)
{
    CURL *c = t->easy;
    bool tls = str_starts(t->url, "https:");
    curl_easy_reset(c);
    curl_easy_setopt(c, CURLOPT_URL, t->url);
    curl_easy_setopt(c, CURLOPT_PRIVATE, t);
    curl_easy_setopt(c, CURLOPT_ERRORBUFFER, t->text);
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, take_data);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, t);
    curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https,ftp");
    curl_easy_setopt(c, CURLOPT_REDIR_PROTOCOLS_STR, tls ? "https" : "http,https");
    curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(c, CURLOPT_MAXREDIRS, 5L);
    curl_easy_setopt(c, CURLOPT_FAILONERROR, 1L);
    curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT,
                     (long)(f->connect_timeout_s ? f->connect_timeout_s : 20));
    curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, 1000L);
    curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME,
                     (long)(f->stall_timeout_s ? f->stall_timeout_s : 60));
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_BUFFERSIZE, 256L << 10);
    curl_easy_setopt(c, CURLOPT_USERAGENT, "hpcc/" HPCC_VERSION);
    if (t->resume)
        curl_easy_setopt(c, CURLOPT_RESUME_FROM_LARGE, (curl_off_t)t->resume);
    set_proxy(c, f->proxy_env, t->url);
}

static char *transfer_url(const struct transfer *t)
{
    const char *base = t->file->mirrors->v[t->mirror % t->file->mirrors->n];
    return t->file->path ? url_join(base, t->file->path) : mem_strdup(base);
}

/* Open the part and take over what an earlier run left in it. */
static int begin_part(struct batch *b, struct transfer *t)
{
    const struct fetch_file *file = t->file;
    if (store_part_open(file->hex ? b->f->store_fd : -1, file->algo, file->hex, &t->part, &b->why) <
        0)
        return -1;
    if (!file->hex)
        return 0;
    if (store_sum_start(&t->sum, file->algo, &b->why) < 0)
        return -1;
    if (t->part.bytes && t->part.bytes < limit_of(file)) {
        if (store_sum_fd(&t->sum, t->part.fd, t->part.bytes) < 0)
            return err_sys(&b->why, "cannot read the cache");
        t->got = t->part.bytes;
    } else if (t->part.bytes && ftruncate(t->part.fd, 0) < 0) {
        return err_sys(&b->why, "cannot write the cache");
    }
    return 0;
}

static int start_try(struct batch *b, struct transfer *t)
{
    free(t->url);
    t->url = transfer_url(t);
    t->resume = t->got;
    t->begun = t->too_long = false;
    t->text[0] = 0;
    t->tries++;
    set_options(b->f, t);
    if (curl_multi_add_handle(b->multi, t->easy) != CURLM_OK)
        return err_set(&b->why, ERR_FAILED, "cannot start libcurl");
    return 0;
}

static void finish(struct batch *b, struct transfer *t, int fd)
{
    t->file->fd = fd;
    t->done = true;
    b->n_done++;
    b->bytes_done += t->file->size_bytes;
}

/* A file on this host is used where it lies, once its checksum holds. */
static int use_in_place(struct batch *b, struct transfer *t, const char *path)
{
    struct fetch_file *file = t->file;
    auto_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st;
    if (fd < 0 && file->optional && errno == ENOENT) {
        finish(b, t, -1);
        return 0;
    }
    if (fd < 0 || fstat(fd, &st) < 0) {
        err_sys(&b->why, "cannot open '%s'", path);
        b->why.status = b->why.sys == ENOENT ? 404 : 0;
        return -1;
    }
    if (!S_ISREG(st.st_mode))
        return err_set(&b->why, ERR_FAILED, "'%s' is no regular file", path);
    uint64_t size = (uint64_t)st.st_size;
    if (file->size_bytes ? size != file->size_bytes : size > file->max_bytes)
        return err_set(&b->why, ERR_FAILED, "'%s' has %llu bytes where %s%llu were announced", path,
                       (unsigned long long)size, file->size_bytes ? "" : "at most ",
                       (unsigned long long)limit_of(file));
    if (file->hex) {
        if (store_sum_start(&t->sum, file->algo, &b->why) < 0)
            return -1;
        if (store_sum_fd(&t->sum, fd, UINT64_MAX) < 0)
            return err_sys(&b->why, "cannot read '%s'", path);
        if (!store_sum_is(&t->sum, file->hex))
            return err_set(&b->why, ERR_FAILED, "'%s' does not have the checksum announced", path);
    }
    file->from = mem_printf("file://%s", path);
    finish(b, t, steal_fd(&fd));
    return 0;
}

/* Take T from the cache or from this host's files, else begin to fetch it. */
static int start(struct batch *b, struct transfer *t)
{
    struct fetch_file *file = t->file;
    int fd = file->hex ? store_take(b->f->store_fd, file->algo, file->hex) : -1;
    if (fd >= 0) {
        finish(b, t, fd);
        return 0;
    }
    auto_free char *url = transfer_url(t);
    auto_free char *path = url_file_path(url);
    if (path)
        return use_in_place(b, t, path);
    if (!str_starts(url, "http://") && !str_starts(url, "https://") && !str_starts(url, "ftp://"))
        return err_set(&b->why, ERR_INPUT, "'%s' is no http, https, ftp or file address", url);
    t->easy = curl_easy_init();
    if (!t->easy)
        return err_set(&b->why, ERR_FAILED, "cannot start libcurl");
    if (begin_part(b, t) < 0 || start_try(b, t) < 0)
        return -1;
    b->active++;
    return 0;
}

/* Why a try failed, as an error; true when another try at the same mirror may help. */
static bool explain(struct batch *b, const struct transfer *t, CURLcode code)
{
    auto_free char *url = value_url_public(t->url);
    const struct fetch_file *file = t->file;
    long status = 0;
    curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
    if (t->sys) {
        errno = t->sys;
        err_sys(&b->why, "cannot store '%s'", url);
        return false;
    }
    if (t->too_long) {
        err_set(&b->why, ERR_FAILED, "'%s' is longer than the %llu bytes %s", url,
                (unsigned long long)limit_of(file), file->size_bytes ? "announced" : "allowed");
        return false;
    }
    if (code == CURLE_HTTP_RETURNED_ERROR) {
        err_set(&b->why, ERR_FAILED, "the server answered %ld for '%s'", status, url);
        b->why.status = (int)status;
        return status >= 500 || status == 408 || status == 429;
    }
    if (code == CURLE_OK && file->size_bytes && t->got != file->size_bytes) {
        err_set(&b->why, ERR_FAILED, "'%s' has %llu bytes where %llu were announced", url,
                (unsigned long long)t->got, (unsigned long long)file->size_bytes);
        return false;
    }
    if (code == CURLE_OK) {
        err_set(&b->why, ERR_FAILED, "'%s' does not have the checksum announced", url);
        return t->resume > 0;
    }
    err_set(&b->why, ERR_FAILED, "cannot fetch '%s': %s", url,
            t->text[0] ? t->text : curl_easy_strerror(code));
    if (code == CURLE_PEER_FAILED_VERIFICATION)
        err_hint(&b->why, "look at this host's clock (date) and its ca-certificates");
    else
        err_hint(&b->why,
                 "check the address, and http_proxy and https_proxy if this host needs a proxy");
    return code != CURLE_PEER_FAILED_VERIFICATION && code != CURLE_TOO_MANY_REDIRECTS &&
           code != CURLE_UNSUPPORTED_PROTOCOL && code != CURLE_URL_MALFORMAT;
}

static bool may_retry(const struct transfer *t, bool soft)
{
    size_t n = t->file->mirrors->n;
    size_t most = n < MIN_TRIES ? MIN_TRIES : n > MAX_TRIES ? MAX_TRIES : n;
    return !t->sys && t->tries < most && (soft || t->tries < n);
}

static bool sum_holds(struct transfer *t)
{
    if (t->file->size_bytes && t->got != t->file->size_bytes)
        return false;
    return !t->file->hex || store_sum_is(&t->sum, t->file->hex);
}

static uint64_t now_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* A connection that broke goes on where it stopped; an answer that was wrong is dropped. */
static int try_again(struct batch *b, struct transfer *t, CURLcode code)
{
    bool keep = code != CURLE_OK && code != CURLE_HTTP_RETURNED_ERROR && !t->too_long;
    log_verbose("%s; trying again at byte %llu", b->why.msg,
                (unsigned long long)(keep ? t->got : 0));
    if (!keep && start_over(t) < 0)
        return err_sys(&b->why, "cannot write the cache");
    err_clear(&b->why);
    t->mirror++;
    t->not_before_ms = now_ms() + (t->file->mirrors->n > 1 ? 0 : 300u * t->tries);
    return 0;
}

/* The transfer ended, well or not: keep the file, or prepare another try. */
static int end_try(struct batch *b, struct transfer *t, CURLcode code)
{
    curl_multi_remove_handle(b->multi, t->easy);
    if (code == CURLE_OK && sum_holds(t)) {
        t->file->from = value_url_public(t->url);
        b->active--;
        finish(b, t, store_part_publish(&t->part));
        return 0;
    }
    bool soft = explain(b, t, code);
    if (t->file->optional && (b->why.status == 404 || b->why.status == 410)) {
        err_clear(&b->why);
        b->active--;
        finish(b, t, -1);
        return 0;
    }
    if (may_retry(t, soft))
        return try_again(b, t, code);
    if (t->tries > 1)
        err_wrap(&b->why, "gave up after %u tries", t->tries);
    return -1;
}

static void report(const struct batch *b, int finished)
{
    uint64_t done = b->bytes_done;
    for (size_t i = 0; i < b->next; i++)
        if (!b->all[i].done)
            done += b->all[i].got;
    if (b->f->stage)
        progress_report(&(struct progress_event){ .stage = b->f->stage,
                                                  .unit = PROGRESS_BYTES,
                                                  .done = done,
                                                  .total = b->bytes_total,
                                                  .finished = finished });
}

static int start_due(struct batch *b)
{
    while (b->next < b->n && b->active < MAX_PARALLEL)
        if (start(b, &b->all[b->next++]) < 0)
            return -1;
    uint64_t now = now_ms();
    for (size_t i = 0; i < b->next; i++) {
        struct transfer *t = &b->all[i];
        if (!t->not_before_ms || t->not_before_ms > now)
            continue;
        t->not_before_ms = 0;
        if (start_try(b, t) < 0)
            return -1;
    }
    return 0;
}

static int run(struct batch *b)
{
    while (b->n_done < b->n) {
        if (start_due(b) < 0)
            return -1;
        int running = 0, left = 0;
        if (curl_multi_perform(b->multi, &running) != CURLM_OK)
            return err_set(&b->why, ERR_FAILED, "libcurl failed");
        CURLMsg *msg;
        while ((msg = curl_multi_info_read(b->multi, &left))) {
            char *private = NULL;
            if (msg->msg != CURLMSG_DONE)
                continue;
            CURLcode code = msg->data.result; /* MSG is gone once the handle is removed */
            curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &private);
            if (end_try(b, (void *)private, code) < 0)
                return -1;
        }
        report(b, 0);
        if (b->active)
            curl_multi_poll(b->multi, NULL, 0, 200, NULL);
    }
    report(b, 1);
    return 0;
}

/* End what is still on its way; what came of large files serves the next run. */
static void release(struct batch *b)
{
    for (size_t i = 0; i < b->n; i++) {
        struct transfer *t = &b->all[i];
        if (t->easy) {
            curl_multi_remove_handle(b->multi, t->easy);
            curl_easy_cleanup(t->easy);
        }
        store_sum_drop(&t->sum);
        store_part_close(&t->part, !t->too_long && !t->done && t->got >= KEEP_PART_BYTES);
        free(t->url);
    }
    free(b->all);
    curl_multi_cleanup(b->multi);
}

int fetch_files(const struct fetch *f, struct fetch_file *files, size_t n, struct err *e)
{
    struct batch b = { .f = f, .n = n, .all = mem_zero(n + 1, sizeof *b.all) };
    b.multi = curl_multi_init();
    for (size_t i = 0; i < n; i++) {
        files[i].fd = -1;
        b.all[i].file = &files[i];
        b.all[i].part = (struct store_part){ .fd = -1, .dir_fd = -1 };
        b.bytes_total += files[i].size_bytes;
    }
    int rc = b.multi ? run(&b) : err_set(&b.why, ERR_FAILED, "cannot start libcurl");
    release(&b);
    return rc < 0 ? err_move(e, &b.why) : 0;
}

int fetch_text(const struct fetch *f, const char *url, size_t max, struct str *out, bool *found,
               struct err *e)
{
    auto_strv struct strv mirrors = { 0 };
    strv_add(&mirrors, url);
    struct fetch quiet = *f;
    quiet.stage = NULL;
    struct fetch_file file = { .mirrors = &mirrors, .max_bytes = max, .optional = found != NULL };
    int rc = fetch_files(&quiet, &file, 1, e);
    if (found)
        *found = file.fd >= 0;
    if (rc == 0 && file.fd >= 0)
        rc = lseek(file.fd, 0, SEEK_SET) < 0 ? err_sys(e, "cannot read '%s'", url)
                                             : fs_read_fd(file.fd, max, out, e);
    fetch_files_close(&file, 1);
    return rc;
}

void fetch_files_close(struct fetch_file *files, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (files[i].fd >= 0)
            close(files[i].fd);
        files[i].fd = -1;
        free(files[i].from);
        files[i].from = NULL;
    }
}
