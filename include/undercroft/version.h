/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The version, once.
 */
#ifndef UNDERCROFT_VERSION_H
#define UNDERCROFT_VERSION_H

#define UNDERCROFT_VERSION "0.1.0"

#endif
