/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>

int main(void)
{
    printf("hpcc version %s\n", HPCC_VERSION);
    return 0;
}
