/* SPDX-License-Identifier: BSD-3-Clause */
#include "runtime/serve_words.h"

#include <stddef.h>

#include "base/str.h"

/* Descriptors as they are, or -1. No number is above what its field can hold. */
struct word {
    size_t at;
    uint64_t max;
    enum { WORD_FD, WORD_U32, WORD_U64, WORD_BOOL } kind;
};

#define AT(field) offsetof(struct runtime_serve_spec, field)

static const struct word words[] = {
    { AT(image_fd), INT32_MAX, WORD_FD },    { AT(sock_fd), INT32_MAX, WORD_FD },
    { AT(listen_fd), INT32_MAX, WORD_FD },   { AT(fs_offset), INT64_MAX, WORD_U64 },
    { AT(owner_uid), UINT32_MAX, WORD_U32 }, { AT(owner_gid), UINT32_MAX, WORD_U32 },
    { AT(all_root), 1, WORD_BOOL },
};

void serve_words_write(const char *program, const struct runtime_serve_spec *spec,
                       struct strv *argv)
{
    strv_add(argv, program);
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        const void *field = (const char *)spec + words[i].at;
        switch (words[i].kind) {
        case WORD_FD:
            strv_addf(argv, "%d", *(const int *)field);
            break;
        case WORD_U32:
            strv_addf(argv, "%u", *(const uint32_t *)field);
            break;
        case WORD_U64:
            strv_addf(argv, "%llu", (unsigned long long)*(const uint64_t *)field);
            break;
        case WORD_BOOL:
            strv_addf(argv, "%d", *(const bool *)field);
            break;
        }
    }
    strv_add(argv, spec->image_path);
}

static int read_word(const struct word *w, const char *text, struct runtime_serve_spec *out)
{
    void *field = (char *)out + w->at;
    uint64_t n = 0;
    if (w->kind == WORD_FD && str_eq(text, "-1")) {
        *(int *)field = -1;
        return 0;
    }
    if (str_parse_u64(text, w->max, &n) < 0)
        return -1;
    switch (w->kind) {
    case WORD_FD:
        *(int *)field = (int)n;
        break;
    case WORD_U32:
        *(uint32_t *)field = (uint32_t)n;
        break;
    case WORD_U64:
        *(uint64_t *)field = n;
        break;
    case WORD_BOOL:
        *(bool *)field = n;
        break;
    }
    return 0;
}

int runtime_serve_read(int argc, char *const *argv, struct runtime_serve_spec *out)
{
    struct runtime_serve_spec spec = { .open = out->open };
    if (argc != (int)ARRAY_LEN(words) + 2)
        return -1;
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (read_word(&words[i], argv[i + 1], &spec) < 0)
            return -1;
    spec.image_path = argv[argc - 1];
    *out = spec;
    return 0;
}
