/* SPDX-License-Identifier: BSD-2-Clause */
#include "backends/svm/svm.h"
