/* SPDX-License-Identifier: BSD-3-Clause */
#include "jail/jail.h"

#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"

#define WIRE_MAGIC 0x68706331u

struct wire_head {
    uint32_t magic;
    int32_t code, sys, status;
    uint32_t msg_len, hint_len; /* with the final NUL; 0: no text */
    uint64_t result_len;
};

static uint32_t text_len(const char *s)
{
    if (!s)
        return 0;
    size_t len = strlen(s) + 1;
    return len > WIRE_MAX_TEXT ? WIRE_MAX_TEXT : (uint32_t)len;
}

int wire_send(int fd, const struct err *e, const struct str *result)
{
    struct wire_head h = {
        .magic = WIRE_MAGIC,
        .code = (int32_t)e->code,
        .sys = e->sys,
        .status = e->status,
        .msg_len = text_len(e->msg),
        .hint_len = text_len(e->hint),
        .result_len = result ? result->len : 0,
    };
    if (h.result_len > WIRE_MAX_BYTES) {
        errno = EFBIG;
        return -1;
    }
    auto_str struct str all = { 0 };
    str_add_n(&all, &h, sizeof h);
    if (h.msg_len)
        str_add_n(&all, e->msg, h.msg_len);
    if (h.hint_len)
        str_add_n(&all, e->hint, h.hint_len);
    if (h.result_len)
        str_add_n(&all, result->data, (size_t)h.result_len);
    return fs_write_full(fd, all.data, all.len);
}

/* Take LEN bytes at *POS as a string of its own; NULL when LEN is 0. */
static char *take_text(const struct str *all, size_t *pos, uint32_t len)
{
    if (!len)
        return NULL;
    char *text = mem_strndup(all->data + *pos, len);
    *pos += len;
    return text;
}

/* 1 as soon as the message is complete, its head in H; 0: FD ended before it began; -1. */
static int read_message(int fd, struct str *all, struct wire_head *h)
{
    char buf[16384];
    uint64_t want = sizeof *h;
    while (all->len < want) {
        ssize_t n = read(fd, buf, sizeof buf);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 || all->len ? -1 : 0;
        str_add_n(all, buf, (size_t)n);
        if (all->len < sizeof *h)
            continue;
        memcpy(h, all->data, sizeof *h);
        if (h->magic != WIRE_MAGIC || h->msg_len > WIRE_MAX_TEXT || h->hint_len > WIRE_MAX_TEXT ||
            h->result_len > WIRE_MAX_BYTES)
            return -1;
        want = sizeof *h + (uint64_t)h->msg_len + h->hint_len + h->result_len;
    }
    return all->len == want ? 1 : -1;
}

int wire_receive(int fd, struct err *from_child, struct str *result)
{
    struct wire_head h;
    auto_str struct str all = { 0 };
    int rc = read_message(fd, &all, &h);
    if (rc != 1)
        return rc;
    size_t pos = sizeof h;
    auto_free char *msg = take_text(&all, &pos, h.msg_len);
    auto_free char *hint = take_text(&all, &pos, h.hint_len);
    if (from_child) {
        err_clear(from_child);
        from_child->code = (enum err_code)h.code;
        from_child->sys = h.sys;
        from_child->status = h.status;
        from_child->msg = steal_ptr(msg);
        from_child->hint = steal_ptr(hint);
    }
    if (result)
        str_add_n(result, all.data + pos, (size_t)h.result_len);
    return 1;
}
