/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef X_H
#define X_H
uint32_t f(void);
#endif
