# SPDX-License-Identifier: BSD-2-Clause
# Inside the guest: what the hypervisor's memory looks like from Linux.

exec hidden
