/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reads blocks of the LZ4 format. Source: "LZ4 Block Format Description", in the lz4 project's doc/lz4_Block_format.md.
 */
#ifndef LIBCROFT_UNLZ4_H
#define LIBCROFT_UNLZ4_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Unpacks a block that has to fill out[] to its last byte. history: how many bytes before out[] are what other blocks
 * were, to which it may refer. False: it does not fill it, or it is none.
 */
bool unlz4(const uint8_t *in, size_t length, uint8_t *out, size_t size, size_t history);

#endif
