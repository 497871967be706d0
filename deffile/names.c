/* SPDX-License-Identifier: BSD-3-Clause */
#include <search.h>

#include "base/mem.h"
#include "deffile/reader.h"

struct key_node {
    size_t position;
    const char *name; /* kept behind the node, or lent for a search */
};

static int compare(const void *a, const void *b)
{
    const struct key_node *x = a, *y = b;
    return strcmp(x->name, y->name);
}

static struct key_node *node_new(const char *name, size_t position)
{
    size_t n = strlen(name) + 1;
    struct key_node *node = mem_alloc(sizeof *node + n);
    node->position = position;
    node->name = memcpy(node + 1, name, n);
    return node;
}

bool name_add(void **tree, const char *name, size_t position)
{
    auto_free struct key_node *node = node_new(name, position);
    void *at = tsearch(node, tree, compare);
    if (!at)
        abort(); /* out of memory, as mem_alloc would */
    if (*(struct key_node **)at != node)
        return false;
    node = NULL;
    return true;
}

bool name_find(void *tree, const char *name, size_t *position)
{
    const struct key_node wanted = { .name = name };
    void *at = tfind(&wanted, &tree, compare);
    if (at && position)
        *position = (*(struct key_node **)at)->position;
    return at != NULL;
}

void names_free(void **tree)
{
    tdestroy(*tree, free);
    *tree = NULL;
}

void *array_grow(void *v, size_t n, size_t size)
{
    v = mem_grow(v, n, size);
    memset((char *)v + n * size, 0, size);
    return v;
}
