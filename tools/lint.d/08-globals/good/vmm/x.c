/* SPDX-License-Identifier: BSD-2-Clause */
static const int number = 1;
const int *const table[1] = {&number};
