/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IMAGE_LAYOUT_H
#define IMAGE_LAYOUT_H

/* Names inside an image that Singularity 2.x, Apptainer and hpcc agree on. Paths are relative to
 * the root. */

#define LAYOUT_DIR         ".singularity.d"
#define LAYOUT_DEFFILE     LAYOUT_DIR "/Singularity"
#define LAYOUT_LABELS      LAYOUT_DIR "/labels.json"
#define LAYOUT_RUNSCRIPT   LAYOUT_DIR "/runscript"
#define LAYOUT_STARTSCRIPT LAYOUT_DIR "/startscript"
#define LAYOUT_TEST        LAYOUT_DIR "/test"
#define LAYOUT_HELP        LAYOUT_DIR "/runscript.help"
#define LAYOUT_ENV_DIR     LAYOUT_DIR "/env"
#define LAYOUT_ENV_BASE    LAYOUT_ENV_DIR "/01-base.sh"
#define LAYOUT_ENV_USER    LAYOUT_ENV_DIR "/90-environment.sh" /* %environment */
#define LAYOUT_ENV_POST                                                                            \
    LAYOUT_ENV_DIR "/91-environment.sh" /* what %post wrote to $SINGULARITY_ENVIRONMENT */
#define LAYOUT_ENV_APPS    LAYOUT_ENV_DIR "/95-apps.sh"
#define LAYOUT_ENV_RUNTIME LAYOUT_ENV_DIR "/99-base.sh"
#define LAYOUT_ACTION_DIR  LAYOUT_DIR "/actions"
#define LAYOUT_LIBS        LAYOUT_DIR "/libs"
#define LAYOUT_HPCC_DIR    LAYOUT_DIR "/hpcc" /* packages.json, lock, build report */

/* Where images of Singularity before 2.4 keep theirs; links in ours. */
#define LAYOUT_OLD_RUNSCRIPT "singularity"
#define LAYOUT_OLD_ENV       "environment"

/* The #! line in the boot block (bytes 0–1023 of the file): the image is executable. It must not
 * contain the word "singularity", or Singularity 2.x takes its length for the file
 * system's offset. */
#define LAYOUT_HASHBANG "#!/usr/bin/env run-hpcc\n"

#endif
