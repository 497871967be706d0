/* SPDX-License-Identifier: BSD-3-Clause */
#include <time.h>

#include "base/fs.h"
#include "base/mem.h"
#include "build/parts.h"
#include "image/layout.h"

/* labels.json: what the definition says and what we know, under the names of label-schema.org (as
 * Singularity 2.x wrote them) and of the Open Container Initiative (as today's tools do). */

void labels_set(struct json_object *labels, const char *key, const char *value)
{
    json_put_str(labels, key, value);
}

int labels_read(int rootfs_fd, struct json_object **out, struct err *e)
{
    struct stat st;
    auto_str struct str text = { 0 };
    struct json_object *labels = NULL;
    if (fs_stat_at(rootfs_fd, LAYOUT_LABELS, false, &st) == 0) {
        if (fs_read_at(rootfs_fd, LAYOUT_LABELS, 1 << 20, &text, e) < 0)
            return -1;
        labels = json_read(str_text(&text), text.len, LAYOUT_LABELS, e);
        if (labels && !json_object_is_type(labels, json_type_object)) {
            json_object_put(labels);
            labels = NULL;
        }
    }
    /* What is there and unreadable is no reason to fail: it is written anew. */
    *out = labels ? labels : json_object_new_object();
    return 0;
}

static void set_time(const struct build *b)
{
    char text[32];
    time_t now = b->spec->deterministic ? (time_t)b->spec->epoch : time(NULL);
    struct tm tm;
    gmtime_r(&now, &tm);
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm);
    labels_set(b->labels, "org.label-schema.build-date", text);
    labels_set(b->labels, "org.opencontainers.image.created", text);
}

/* "amd64" where uname says "x86_64". */
static const char *go_name(const char *arch)
{
    static const char *const names[][2] = {
        { "x86_64", "amd64" }, { "aarch64", "arm64" }, { "armv7l", "arm" }, { "i686", "386" }
    };
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (str_eq(arch, names[i][0]))
            return names[i][1];
    return arch;
}

int labels_write(struct build *b, struct err *e)
{
    labels_set(b->labels, "org.label-schema.schema-version", "1.0");
    labels_set(b->labels, "org.label-schema.build-arch", go_name(b->arch));
    labels_set(b->labels, "org.opencontainers.image.architecture", go_name(b->arch));
    labels_set(b->labels, "org.label-schema.usage.hpcc.version", HPCC_VERSION);
    struct json_object *verified = NULL;
    if (b->facts && json_object_object_get_ex(b->facts, "verified", &verified))
        labels_set(b->labels, "org.label-schema.usage.hpcc.verified",
                   json_object_get_boolean(verified) ? "yes" : "no");
    set_time(b);
    for (size_t i = 0; i < b->stage->n_headers; i++) {
        const struct deffile_header *h = &b->stage->headers[i];
        auto_free char *key = mem_printf("org.label-schema.usage.singularity.deffile.%s", h->key);
        auto_free char *value = str_without_passwords(h->value);
        labels_set(b->labels, key, value);
    }
    auto_free char *json = json_text(b->labels, 1);
    auto_str struct str text = { 0 };
    str_addf(&text, "%s\n", json);
    return fs_write_at(b->rootfs_fd, LAYOUT_LABELS, &text, 0644, e);
}
