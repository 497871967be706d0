/* SPDX-License-Identifier: BSD-3-Clause */
/* The file server's answers: the first half KiB of the input is requests, the rest the image that
 * they ask about. An answer fits its buffer, and no request is answered with rubbish. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/mem.h"
#include "image/server/serve.h"

enum { SCRIPT = 512, ONE = 64 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(int ok)
{
    if (!ok)
        abort();
}

static void ask(const struct serve_state *s, const uint8_t *step, uint8_t *reply)
{
    uint8_t in[ONE + sizeof(struct fuse_in_header)] = { 0 };
    struct fuse_in_header head = { .len = (uint32_t)(sizeof head + step[1] % (ONE - 4)),
                                   .opcode = step[0] % 64,
                                   .nodeid = step[2] };
    struct serve_request q;
    memcpy(in, &head, sizeof head);
    memcpy(in + sizeof head, step + 4, ONE - 4);
    auto_free uint8_t *exact = mem_dup(in, head.len);
    expect(serve_request_parse(exact, head.len, &q) == 0);
    struct serve_reply out = { .data = reply, .cap = SERVE_OUT_BYTES };
    int rc = serve_answer(s, &q, &out);
    expect(rc <= SERVE_NO_REPLY && rc > -4096 && rc != -EUCLEAN && out.len <= SERVE_MAX_READ);
    (void)!serve_answer_init(&q, &out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int fd = -1;
    static uint8_t *reply;
    struct image_tree *tree = NULL;
    if (size < SCRIPT + 4096)
        return 0;
    if (fd < 0) {
        fd = memfd_create("image", MFD_CLOEXEC);
        reply = mem_alloc(SERVE_OUT_BYTES);
    }
    size_t len = size - SCRIPT;
    expect(ftruncate(fd, (off_t)len) == 0);
    expect(pwrite(fd, data + SCRIPT, len, 0) == (ssize_t)len);
    if (image_tree_open_ext(fd, 0, &tree, NULL) < 0)
        return 0;
    struct serve_state s = { .tree = tree };
    tree->ops->fs_stat(tree, &s.fs);
    for (size_t at = 0; at < SCRIPT; at += ONE)
        ask(&s, data + at, reply);
    image_tree_close(tree);
    return 0;
}
