/* SPDX-License-Identifier: BSD-2-Clause */
#include <undercroft/vcpu.h>
