/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IMAGE_SERVER_SERVE_H
#define IMAGE_SERVER_SERVE_H

/* Inside of the FUSE server. Private to this wing: serve.c moves requests and replies,
 * ops.c answers them without knowing where they come from, confine.c locks the process
 * up. The protocol is that of <linux/fuse.h>; libfuse would cost more at start-up than it saves. */

#include "image/server/server.h"

enum {
    SERVE_IN_BYTES =
        128 * 1024,           /* a request: names and values; the kernel asks for 8 KiB at least */
    SERVE_MAX_READ = 1 << 20, /* of one reply */
    SERVE_OUT_BYTES = SERVE_MAX_READ + 4096,
    SERVE_MIN_MINOR = 26, /* Linux 4.16; mounts in user namespaces came with 4.18 */
    SERVE_NO_REPLY = 1,
};

struct serve_state {
    const struct image_tree *tree;
    struct image_fs_stat fs;
    bool all_root;
};

/* A request as the kernel sent it, its header checked against its length. */
struct serve_request {
    struct fuse_in_header head;
    const uint8_t *arg;
    size_t arg_len;
};

/* What goes behind the reply's header. */
struct serve_reply {
    uint8_t *data;
    size_t cap;
    size_t len;
};

/* Split LEN bytes that came from the device; -EIO when they are no request. */
MUST_CHECK int serve_request_parse(const void *buf, size_t len, struct serve_request *out);

/* Answer: 0 with OUT filled, a negative errno to send instead, or SERVE_NO_REPLY. */
MUST_CHECK int serve_answer(const struct serve_state *s, const struct serve_request *q,
                            struct serve_reply *out);

/* The INIT request, which comes first. -EPROTO: a kernel that is too old, -EAGAIN: one that is
 * newer and will ask again. */
MUST_CHECK int serve_answer_init(const struct serve_request *q, struct serve_reply *out);

#endif
