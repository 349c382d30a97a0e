/* SPDX-License-Identifier: BSD-2-Clause */
#include <string.h>
#include <undercroft/vm.h>
#include "core/exit.h"
