#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# A few of the faults of tests/long/image-faults.sh, each call at least once; in memory where there
# is room, since hundreds of fsyncs are not what is tested.
if [ -z "${TMPDIR:-}" ] && [ -w /dev/shm ]; then export TMPDIR=/dev/shm; fi
exec "$(dirname "$0")/../long/image-faults.sh" "${HPCC_FAULT_STEP:-40}"
