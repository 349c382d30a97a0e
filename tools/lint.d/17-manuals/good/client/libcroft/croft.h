/* SPDX-License-Identifier: BSD-2-Clause */
void croft_x(void);
