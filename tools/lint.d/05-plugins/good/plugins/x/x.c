/* SPDX-License-Identifier: BSD-2-Clause */
#include <undercroft/plugin.h>
#include <string.h>
#include "x.h"
