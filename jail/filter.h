/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef JAIL_FILTER_H
#define JAIL_FILTER_H

/* A filter as a program for the kernel, before it is installed. */

#include <linux/filter.h>
#include <stddef.h>
#include <stdint.h>

enum { FILTER_MAX = 1024 };

struct filter {
    struct sock_filter code[FILTER_MAX];
    unsigned n;
};

/* One row of the table: a system call, by its number on both ABIs, and its answer in VARIANTS. A
 * row with a mask holds only when the low word of argument ARG has VALUE in it. */
struct filter_rule {
    int native, i386; /* FILTER_NONE: this ABI has no such call */
    unsigned variants;
    int answer; /* an errno; 0: success, and nothing is done; FILTER_LET: it may be called */
    unsigned arg;
    uint32_t mask, value;
};

enum { FILTER_NONE = -1, FILTER_LET = -1 };

extern const struct filter_rule filter_rules[];
extern const size_t filter_n_rules;

/* Write the program of VARIANTS (enum jail_variant). */
void filter_build(unsigned variants, struct filter *out);

#endif
