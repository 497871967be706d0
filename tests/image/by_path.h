/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_IMAGE_BY_PATH_H
#define TESTS_IMAGE_BY_PATH_H

/* What changes an image, for tests that have a path and nobody who moves it. */

#include "base/place.h"
#include "image/image.h"

static inline int expand_path(const char *path, uint64_t size_bytes, struct err *e)
{
    auto_place struct place p = PLACE_INIT;
    return place_open(path, &p, e) < 0 ? -1 : image_expand(&p, size_bytes, e);
}

static inline int shrink_path(const char *path, uint64_t size_bytes, struct err *e)
{
    auto_place struct place p = PLACE_INIT;
    return place_open(path, &p, e) < 0 ? -1 : image_shrink(&p, size_bytes, e);
}

static inline int compact_path(const char *path, uint64_t *freed_bytes, struct err *e)
{
    auto_place struct place p = PLACE_INIT;
    return place_open(path, &p, e) < 0 ? -1 : image_compact(&p, freed_bytes, e);
}

static inline int check_path(const char *path, struct err *e)
{
    auto_place struct place p = PLACE_INIT;
    return place_open(path, &p, e) < 0 ? -1 : image_check(&p, e);
}

static inline int repair_path(const char *path, bool *changed, struct err *e)
{
    auto_place struct place p = PLACE_INIT;
    return place_open(path, &p, e) < 0 ? -1 : image_repair(&p, changed, e);
}

#endif
