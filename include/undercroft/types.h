/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The base types every tier shares. Must not know any tier, vendor or device.
 */
#ifndef UNDERCROFT_TYPES_H
#define UNDERCROFT_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint64_t gpa_t;	  /* guest-physical address */
typedef uint64_t gva_t;	  /* guest-linear address */
typedef uint64_t paddr_t; /* host-physical address */

#define PAGE_SHIFT 12
#define PAGE_SIZE  4096ull
#define PAGE_MASK  (~(PAGE_SIZE - 1))

#define KIB(n) ((uint64_t)(n) << 10)
#define MIB(n) ((uint64_t)(n) << 20)
#define GIB(n) ((uint64_t)(n) << 30)

#define ARRAY_SIZE(a)		      (sizeof(a) / sizeof((a)[0]))
#define ALIGN_DOWN(x, a)	      ((x) & ~((uint64_t)(a)-1))
#define ALIGN_UP(x, a)		      (((x) + ((uint64_t)(a)-1)) & ~((uint64_t)(a)-1))
#define CONTAINER_OF(p, type, member) ((type *)(void *)((char *)(p)-offsetof(type, member)))

#endif
