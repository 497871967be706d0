#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# A few of the faults of tests/long/image-faults.sh, each call at least once.
exec "$(dirname "$0")/../long/image-faults.sh" "${HPCC_FAULT_STEP:-40}"
