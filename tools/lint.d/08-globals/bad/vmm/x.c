/* SPDX-License-Identifier: BSD-2-Clause */
int counter = 1;
