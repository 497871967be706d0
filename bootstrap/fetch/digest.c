/* SPDX-License-Identifier: BSD-3-Clause */
#include "bootstrap/fetch/fetch.h"

#include <fcntl.h>
#include <rpm/rpmcrypto.h>
#include <rpm/rpmpgp.h>

#include "base/fs.h"
#include "base/mem.h"

static DIGEST_CTX start(void)
{
    rpmInitCrypto(); /* counts its callers; what it sets up is the process's */
    return rpmDigestInit(PGPHASHALGO_SHA256, RPMDIGEST_NONE);
}

static char *finish(DIGEST_CTX ctx)
{
    void *hex = NULL;
    size_t len = 0;
    rpmDigestFinal(ctx, &hex, &len, 1);
    return hex;
}

char *digest_text(const struct str *data)
{
    DIGEST_CTX ctx = start();
    rpmDigestUpdate(ctx, str_text(data), data->len);
    return finish(ctx);
}

char *digest_fd(int fd, struct err *e)
{
    DIGEST_CTX ctx = start();
    auto_free char *buf = mem_alloc(1u << 20);
    uint64_t at = 0;
    ssize_t n;
    while ((n = fs_pread_full(fd, buf, 1u << 20, at)) > 0) {
        rpmDigestUpdate(ctx, buf, (size_t)n);
        at += (uint64_t)n;
    }
    auto_free char *hex = finish(ctx);
    if (n < 0) {
        err_sys(e, "cannot read a file to compute its checksum");
        return NULL;
    }
    return steal_ptr(hex);
}

char *digest_file(const char *path, struct err *e)
{
    auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        err_sys(e, "cannot open '%s'", path);
        return NULL;
    }
    return digest_fd(fd, e);
}
