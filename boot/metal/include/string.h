/* SPDX-License-Identifier: BSD-2-Clause */
/* The part of <string.h> that freestanding code uses. */
#ifndef METAL_STRING_H
#define METAL_STRING_H

#include <stddef.h>

void *memcpy(void *restrict to, const void *restrict from, size_t length);
void *memmove(void *to, const void *from, size_t length);
void *memset(void *to, int byte, size_t length);
int memcmp(const void *a, const void *b, size_t length);
void *memchr(const void *from, int byte, size_t length);
size_t strlen(const char *text);
size_t strnlen(const char *text, size_t max);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t max);
char *strncpy(char *restrict to, const char *restrict from, size_t max);
char *strrchr(const char *text, int byte);

#endif
