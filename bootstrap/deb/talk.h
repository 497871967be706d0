/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BOOTSTRAP_DEB_TALK_H
#define BOOTSTRAP_DEB_TALK_H

/* debootstrap's report for the installer (--debian-installer, descriptor 3), mixed with its
 * ordinary output: progress for the user, and what to tell when it fails. Private to the room. */

#include "bootstrap/deb/plan.h"

struct deb_talk {
    int log_fd; /* everything goes there as readable text; -1: nowhere */

    char kind;         /* of the message being told: 'P', 'I', 'W', 'E'; 0: none */
    struct str name;   /* its code, "DOWNDEBS" */
    struct strv args;  /* for the %s of its format */
    uint64_t now, end; /* 'P' only */

    char *stage; /* code of the stage in progress */
    uint64_t stage_now, stage_end;

    char *error; /* code of the first error: "LEFTOVERDEBS"; NULL: none */
    char *error_text;
    char *warning;  /* last warning's text */
    char *culprit;  /* package that dpkg could not process */
    char *download; /* package that could not be fetched */
    bool disk_full;
};

/* Take one line of output. */
void deb_talk_line(struct deb_talk *t, const char *line);

/* The stage is over: the last event of it is reported. */
void deb_talk_end(struct deb_talk *t);

/* Why debootstrap exited with STATUS, in our words. Returns -1. */
int deb_talk_explain(const struct deb_talk *t, const struct deb_plan *p, int status, struct err *e);

/* The error for a disk without room. Returns -1. */
int deb_talk_disk_full(const struct deb_plan *p, struct err *e);

void deb_talk_fini(struct deb_talk *t);
#define auto_deb_talk cleanup_with(deb_talk_fini)

#endif
