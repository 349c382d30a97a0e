/* SPDX-License-Identifier: BSD-2-Clause */
/* the rest is in y.c */
