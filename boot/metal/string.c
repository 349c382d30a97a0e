/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The C library functions that compilers and libfdt expect to find. Knows nothing of Undercroft.
 */
#include <stdint.h>
#include <string.h>

/* Words first: not every CPU makes more than bytes of a repeated byte. */
#ifdef __x86_64__
#define REP_MOVS "rep movsq"
#define REP_STOS "rep stosq"
#else
#define REP_MOVS "rep movsl"
#define REP_STOS "rep stosl"
#endif

void *memcpy(void *restrict to, const void *restrict from, size_t length)
{
	size_t words = length / sizeof(long), bytes = length % sizeof(long);
	void *d = to;

	__asm__ volatile(REP_MOVS : "+D"(d), "+S"(from), "+c"(words) : : "memory");
	__asm__ volatile("rep movsb" : "+D"(d), "+S"(from), "+c"(bytes) : : "memory");
	return to;
}

void *memmove(void *to, const void *from, size_t length)
{
	if ((uintptr_t)to - (uintptr_t)from >= length)
		return memcpy(to, from, length);

	void *d = (char *)to + length - 1;
	const void *s = (const char *)from + length - 1;

	__asm__ volatile("std; rep movsb; cld" : "+D"(d), "+S"(s), "+c"(length) : : "memory");
	return to;
}

void *memset(void *to, int byte, size_t length)
{
	size_t words = length / sizeof(long), bytes = length % sizeof(long);
	unsigned long pattern = (unsigned char)byte * (~0ul / 0xff);
	void *d = to;

	__asm__ volatile(REP_STOS : "+D"(d), "+c"(words) : "a"(pattern) : "memory");
	__asm__ volatile("rep stosb" : "+D"(d), "+c"(bytes) : "a"(pattern) : "memory");
	return to;
}

int memcmp(const void *a, const void *b, size_t length)
{
	const unsigned char *x = a, *y = b;

	for (size_t i = 0; i < length; i++) {
		if (x[i] != y[i])
			return x[i] - y[i];
	}
	return 0;
}

void *memchr(const void *from, int byte, size_t length)
{
	const unsigned char *p = from;

	for (size_t i = 0; i < length; i++) {
		if (p[i] == (unsigned char)byte)
			return (void *)(uintptr_t)(p + i);
	}
	return NULL;
}

size_t strnlen(const char *text, size_t max)
{
	size_t length = 0;

	while (length < max && text[length])
		length++;
	return length;
}

size_t strlen(const char *text)
{
	return strnlen(text, SIZE_MAX);
}

int strncmp(const char *a, const char *b, size_t max)
{
	for (size_t i = 0; i < max; i++) {
		if (a[i] != b[i] || !a[i])
			return (unsigned char)a[i] - (unsigned char)b[i];
	}
	return 0;
}

int strcmp(const char *a, const char *b)
{
	return strncmp(a, b, SIZE_MAX);
}

char *strncpy(char *restrict to, const char *restrict from, size_t max)
{
	size_t length = strnlen(from, max);

	memcpy(to, from, length);
	memset(to + length, 0, max - length);
	return to;
}

char *strrchr(const char *text, int byte)
{
	const char *found = NULL;

	for (;; text++) {
		if (*text == (char)byte)
			found = text;
		if (!*text)
			return (char *)(uintptr_t)found;
	}
}
