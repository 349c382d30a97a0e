/* SPDX-License-Identifier: BSD-2-Clause */
void f(void) { __asm__ volatile("hlt"); }
