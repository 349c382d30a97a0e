/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Error numbers. Every int-returning function of the contracts returns 0 or one of these, negated.
 * The values are those of POSIX systems on x86, so that hosted builds agree.
 */
#ifndef UNDERCROFT_ERRNO_H
#define UNDERCROFT_ERRNO_H

#if __STDC_HOSTED__
#include <errno.h>
#else
#define ENOENT	  2
#define EIO	  5
#define E2BIG	  7
#define EAGAIN	  11
#define ENOMEM	  12
#define EACCES	  13
#define EFAULT	  14
#define EEXIST	  17
#define ENODEV	  19
#define EINVAL	  22
#define ENOSPC	  28
#define ENOTSUP	  95
#define ETIMEDOUT 110
#endif

#endif
