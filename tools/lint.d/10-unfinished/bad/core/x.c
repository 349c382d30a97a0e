/* SPDX-License-Identifier: BSD-2-Clause */
/* TODO: the rest */
