/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Registers of real machines, from logs that were published. Each record names its source.
 *
 * Recorded are, as Linux or coreboot logged them: each variable register with base, mask and type, the fixed ranges,
 * the default type, and TOP_MEM2 if it is in use. Derived in each record, unless it says otherwise: the fixed registers
 * from the ranges that Linux joins; the enables from the words "enabled"; in MTRRcap the number of variable registers
 * from how many were logged (with coreboot, which logs those it uses, ten as on this CPU), the bits for fixed ranges
 * and WC from their being there; MAXPHYADDR from the masks, which have all bits below it.
 *
 * range[] is what the manuals make of it: SDM vol. 3, "MTRR Precedences" (11.11.4.1), and APM vol. 2, "Top of Memory"
 * (7.9.4).
 */
#include "tests/unit/mtrr_records.h"

#include <x86/msr.h>

#define VALID	MTRR_MASK_VALID
#define ENABLED (MTRR_DEF_ENABLE | MTRR_DEF_FIXED_ENABLE)

/* MTRRcap: write combining, fixed ranges, a number of variable ranges */
#define CAPABILITY(count) (0x400 | MTRR_CAP_FIXED | (count))

const struct mtrr_record mtrr_records[] = {
	{
		/*
		 * Pentium M: a WT range among the devices. Ubuntu Forums, Networking & Wireless,
		 * "Wireless interface disappeared in Karmic", 26 December 2009, "My liveCD boot".
		 */
		.name = "Dell Precision M60",
		.set = {.capability = CAPABILITY(8),
			.default_type = ENABLED | MTRR_UC,
			.fixed = {0x0606060606060606, 0x0606060606060606, 0, 0x0505050505050505, 0x0505050505050505, 0,
				  0, 0, 0, 0x0505050505050505, 0x0505050505050505},
			.base = {0 | MTRR_WB, 0xfeda0000 | MTRR_WT},
			.mask = {0xf80000000 | VALID, 0xffffe0000 | VALID},
			.physical_bits = 36},
		.range = {{0xa0000, MTRR_WB},
			  {0xc0000, MTRR_UC},
			  {0xd0000, MTRR_WP},
			  {0xf0000, MTRR_UC},
			  {MIB(1), MTRR_WP},
			  {0x80000000, MTRR_WB},
			  {0xfeda0000, MTRR_UC},
			  {0xfedc0000, MTRR_WT},
			  {1ull << 36, MTRR_UC}},
	},
	{
		/*
		 * Ivy Bridge with BIOS F4: what graphics and ROM took is cut out of two WB ranges. Ubuntu Forums,
		 * Installation & Upgrades, "System Freezes after Upgrade to 12.04 (from 11.10)", 22 June 2012.
		 */
		.name = "Gigabyte H77M-D3H",
		.set = {.capability = CAPABILITY(10),
			.default_type = ENABLED | MTRR_UC,
			.fixed = {0x0606060606060606, 0x0606060606060606, 0, 0x0505050505050505, 0x0505050505050505, 0,
				  0, 0, 0x0505050505050505, 0x0505050505050505, 0x0505050505050505},
			.base = {0 | MTRR_WB, 0x200000000 | MTRR_WB, 0xe0000000 | MTRR_UC, 0xdc000000 | MTRR_UC,
				 0xdb800000 | MTRR_UC, 0x21f800000 | MTRR_UC, 0x21f600000 | MTRR_UC},
			.mask = {0xe00000000 | VALID, 0xfe0000000 | VALID, 0xfe0000000 | VALID, 0xffc000000 | VALID,
				 0xfff800000 | VALID, 0xfff800000 | VALID, 0xfffe00000 | VALID},
			.physical_bits = 36},
		.covered_mib = 8110,
		.range = {{0xa0000, MTRR_WB},
			  {0xc0000, MTRR_UC},
			  {0xd0000, MTRR_WP},
			  {0xe8000, MTRR_UC},
			  {MIB(1), MTRR_WP},
			  {0xdb800000, MTRR_WB},
			  {GIB(4), MTRR_UC},
			  {0x21f600000, MTRR_WB},
			  {1ull << 36, MTRR_UC}},
	},
	{
		/*
		 * The same machine a moment later: "New variable MTRRs" of Linux' mtrr_cleanup, which says that it
		 * lost nothing. It logs bases and sizes; the masks are derived.
		 */
		.name = "Gigabyte H77M-D3H, rewritten by Linux",
		.set = {.capability = CAPABILITY(10),
			.default_type = ENABLED | MTRR_UC,
			.fixed = {0x0606060606060606, 0x0606060606060606, 0, 0x0505050505050505, 0x0505050505050505, 0,
				  0, 0, 0x0505050505050505, 0x0505050505050505, 0x0505050505050505},
			.base = {0 | MTRR_WB, 0x80000000 | MTRR_WB, 0xc0000000 | MTRR_WB, 0xdb800000 | MTRR_UC,
				 0xdc000000 | MTRR_UC, 0x100000000 | MTRR_WB, 0x200000000 | MTRR_WB,
				 0x21f600000 | MTRR_UC, 0x21f800000 | MTRR_UC},
			.mask = {0xf80000000 | VALID, 0xfc0000000 | VALID, 0xfe0000000 | VALID, 0xfff800000 | VALID,
				 0xffc000000 | VALID, 0xf00000000 | VALID, 0xfe0000000 | VALID, 0xfffe00000 | VALID,
				 0xfff800000 | VALID},
			.physical_bits = 36},
		.covered_mib = 8110,
		.range = {{0xa0000, MTRR_WB},
			  {0xc0000, MTRR_UC},
			  {0xd0000, MTRR_WP},
			  {0xe8000, MTRR_UC},
			  {MIB(1), MTRR_WP},
			  {0xdb800000, MTRR_WB},
			  {GIB(4), MTRR_UC},
			  {0x21f600000, MTRR_WB},
			  {1ull << 36, MTRR_UC}},
	},
	{
		/*
		 * Apollo Lake Chromebook with coreboot: default WB, graphics WC. https://github.com/sjg20/u-boot,
		 * branch cros-2021.04, cros/doc/cros_coreboot.rst, "Sample run". All fixed and variable registers
		 * and 39 bits are recorded. The ranges below 6 GiB are those that coreboot logs as "MTRR: Physical
		 * address space"; what it does not list is WB by default.
		 */
		.name = "Google Coral",
		.set = {.capability = CAPABILITY(10),
			.default_type = ENABLED | MTRR_WB,
			.fixed = {0x0606060606060606, 0x0606060606060606, 0, 0x0606060606060606, 0x0606060606060606,
				  0x0606060606060606, 0x0606060606060606, 0x0606060606060606, 0x0606060606060606,
				  0x0606060606060606, 0x0606060606060606},
			.base = {0x7b800000 | MTRR_UC, 0x7c000000 | MTRR_UC, 0x80000000 | MTRR_UC, 0xa0000000 | MTRR_UC,
				 0xb0000000 | MTRR_WC, 0xc0000000 | MTRR_UC},
			.mask = {0x7fff800000 | VALID, 0x7ffc000000 | VALID, 0x7fe0000000 | VALID, 0x7ff0000000 | VALID,
				 0x7ff0000000 | VALID, 0x7fc0000000 | VALID},
			.physical_bits = 39},
		.range = {{0xa0000, MTRR_WB},
			  {0xc0000, MTRR_UC},
			  {0x7b800000, MTRR_WB},
			  {0xb0000000, MTRR_UC},
			  {0xc0000000, MTRR_WC},
			  {GIB(4), MTRR_UC},
			  {1ull << 39, MTRR_WB}},
	},
	{
		/*
		 * The same log, "MTRR: TEMPORARY Physical address space": default UC, ROM WP. The ranges are
		 * coreboot's, but that its last register is 2 GiB larger than the RAM that it has to cover.
		 */
		.name = "Google Coral, temporary",
		.set = {.capability = CAPABILITY(10),
			.default_type = ENABLED | MTRR_UC,
			.fixed = {0x0606060606060606, 0x0606060606060606, 0, 0x0606060606060606, 0x0606060606060606,
				  0x0606060606060606, 0x0606060606060606, 0x0606060606060606, 0x0606060606060606,
				  0x0606060606060606, 0x0606060606060606},
			.base = {0 | MTRR_WB, 0x40000000 | MTRR_WB, 0x60000000 | MTRR_WB, 0x70000000 | MTRR_WB,
				 0x78000000 | MTRR_WB, 0x7b800000 | MTRR_UC, 0xff000000 | MTRR_WP,
				 0x100000000 | MTRR_WB},
			.mask = {0x7fc0000000 | VALID, 0x7fe0000000 | VALID, 0x7ff0000000 | VALID, 0x7ff8000000 | VALID,
				 0x7ffc000000 | VALID, 0x7fff800000 | VALID, 0x7fff000000 | VALID,
				 0x7f00000000 | VALID},
			.physical_bits = 39},
		.range = {{0xa0000, MTRR_WB},
			  {0xc0000, MTRR_UC},
			  {0x7b800000, MTRR_WB},
			  {0xff000000, MTRR_UC},
			  {GIB(4), MTRR_WP},
			  {0x200000000, MTRR_WB},
			  {1ull << 39, MTRR_UC}},
	},
	{
		/*
		 * Ice Lake: default WB, the upper half of the address space UC.
		 * https://github.com/linux-surface/linux-surface/issues/398, "dGPU missing after new kernel update".
		 */
		.name = "Microsoft Surface Book 3",
		.set = {.capability = CAPABILITY(10),
			.default_type = ENABLED | MTRR_WB,
			.fixed = {0x0606060606060606, 0x0606060606060606, 0, 0x0505050505050505, 0x0505050505050505,
				  0x0505050505050505, 0x0505050505050505, 0x0505050505050505, 0x0505050505050505,
				  0x0505050505050505, 0x0505050505050505},
			.base = {0xc0000000 | MTRR_UC, 0xa0000000 | MTRR_UC, 0x98000000 | MTRR_UC, 0x94000000 | MTRR_UC,
				 0x92000000 | MTRR_UC, 0x91000000 | MTRR_UC, 0x4000000000 | MTRR_UC},
			.mask = {0x7fc0000000 | VALID, 0x7fe0000000 | VALID, 0x7ff8000000 | VALID, 0x7ffc000000 | VALID,
				 0x7ffe000000 | VALID, 0x7fff000000 | VALID, 0x4000000000 | VALID},
			.physical_bits = 39},
		.range = {{0xa0000, MTRR_WB},
			  {0xc0000, MTRR_UC},
			  {MIB(1), MTRR_WP},
			  {0x91000000, MTRR_WB},
			  {GIB(4), MTRR_UC},
			  {0x4000000000, MTRR_WB},
			  {1ull << 39, MTRR_UC}},
	},
	{
		/*
		 * AMD Sempron on a SiS 761: no TOP_MEM2, AGP aperture WC. "Re: radeon: screen garbled after page
		 * allocator change", 28 April 2014, https://lore.kernel.org/all/87sioxq3rx.fsf@schwinge.name/. 40
		 * bits are recorded, by /proc/cpuinfo.
		 */
		.name = "Fujitsu Siemens Esprimo E5600",
		.set = {.capability = CAPABILITY(8),
			.default_type = ENABLED | MTRR_UC,
			.fixed = {0x0606060606060606, 0x0606060606060606, 0, 0x0505050505050505, 0x0505050505050505,
				  0x0000000005050505, 0, 0x0505050500000000, 0x0505050505050505, 0x0505050505050505,
				  0x0505050505050505},
			.base = {0 | MTRR_WB, 0x100000000 | MTRR_WB, 0x120000000 | MTRR_WB, 0x80000000 | MTRR_WB,
				 0xc0000000 | MTRR_WB, 0xcff00000 | MTRR_UC, 0xf0000000 | MTRR_WC},
			.mask = {0xff80000000 | VALID, 0xffe0000000 | VALID, 0xfff0000000 | VALID, 0xffc0000000 | VALID,
				 0xfff0000000 | VALID, 0xfffff00000 | VALID, 0xfffe000000 | VALID},
			.physical_bits = 40},
		.range = {{0xa0000, MTRR_WB},
			  {0xc0000, MTRR_UC},
			  {0xd4000, MTRR_WP},
			  {0xe4000, MTRR_UC},
			  {MIB(1), MTRR_WP},
			  {0xcff00000, MTRR_WB},
			  {0xf0000000, MTRR_UC},
			  {0xf2000000, MTRR_WC},
			  {GIB(4), MTRR_UC},
			  {0x130000000, MTRR_WB},
			  {1ull << 40, MTRR_UC}},
	},
	{
		/*
		 * X99: firmware left two WT ranges inside of a UC one. "Re: mlockall(MCL_CURRENT) blocking
		 * infinitely", 25 October 2019,
		 * https://lore.kernel.org/all/70393308155182714dcb7485fdd6025c1fa59421.camel@gmx.de/.
		 */
		.name = "MSI X99A Tomahawk",
		.set = {.capability = CAPABILITY(10),
			.default_type = ENABLED | MTRR_WB,
			.fixed = {0x0606060606060606, 0x0606060606060606, 0, 0x0505050505050505, 0x0505050505050505,
				  0x0505050505050505, 0x0505050505050505, 0x0505050505050505, 0x0505050505050505,
				  0x0505050505050505, 0x0505050505050505},
			.base = {0x80000000 | MTRR_UC, 0x40000000 | MTRR_UC, 0x380000000000 | MTRR_UC,
				 0x3f000000 | MTRR_UC, 0xe0000000 | MTRR_WT, 0xf0000000 | MTRR_WT},
			.mask = {0x3fff80000000 | VALID, 0x3fffc0000000 | VALID, 0x3fc000000000 | VALID,
				 0x3fffff000000 | VALID, 0x3ffff0000000 | VALID, 0x3ffffe000000 | VALID},
			.physical_bits = 46},
		.range = {{0xa0000, MTRR_WB},
			  {0xc0000, MTRR_UC},
			  {MIB(1), MTRR_WP},
			  {0x3f000000, MTRR_WB},
			  {GIB(4), MTRR_UC},
			  {0x380000000000, MTRR_WB},
			  {0x384000000000, MTRR_UC},
			  {1ull << 46, MTRR_WB}},
	},
	{
		/*
		 * 12 TiB, UC ranges inside of UC ranges. "Re: [RFC PATCH 0/14] Parallel memory initialisation", 16
		 * April 2015, https://lore.kernel.org/all/552FFD83.5030901@hp.com/. Its firmware reports memory
		 * below c2000000000h, and devices from fdfe0000000h on.
		 */
		.name = "HP Superdome 2",
		.set = {.capability = CAPABILITY(10),
			.default_type = ENABLED | MTRR_WB,
			.fixed = {0x0606060606060606, 0x0606060606060606, 0, 0x0505050505050505, 0x0505050505050505,
				  0x0505050505050505, 0x0505050505050505, 0, 0, 0, 0},
			.base = {0x80000000 | MTRR_UC, 0xf0000000000 | MTRR_UC, 0xf8000000000 | MTRR_UC,
				 0xfc000000000 | MTRR_UC, 0xfe000000000 | MTRR_UC, 0xff000000 | MTRR_UC,
				 0xfdf80000000 | MTRR_UC, 0xfe000000000 | MTRR_UC},
			.mask = {0x3fff80000000 | VALID, 0x3f8000000000 | VALID, 0x3fc000000000 | VALID,
				 0x3fe000000000 | VALID, 0x3ff000000000 | VALID, 0x3fffffe00000 | VALID,
				 0x3fff80000000 | VALID, 0x3ff800000000 | VALID},
			.physical_bits = 46},
		.range = {{0xa0000, MTRR_WB},
			  {0xc0000, MTRR_UC},
			  {0xe0000, MTRR_WP},
			  {MIB(1), MTRR_UC},
			  {0x80000000, MTRR_WB},
			  {GIB(4), MTRR_UC},
			  {0xf0000000000, MTRR_WB},
			  {0xff000000000, MTRR_UC},
			  {1ull << 46, MTRR_WB}},
	},
	{
		/*
		 * Cascade Lake with persistent memory. "Re: [btrfs] 3b54a0a703: WARNING:at_fs/btrfs/inode.c", 15
		 * September 2020, https://lore.kernel.org/all/20200915055411.GC17463@xsang-OptiPlex-9020/.
		 */
		.name = "Xeon Platinum 8260L server",
		.set = {.capability = CAPABILITY(10),
			.default_type = ENABLED | MTRR_UC,
			.fixed = {0x0606060606060606, 0x0606060606060606, 0, 0, 0, 0, 0, 0, 0, 0, 0},
			.base = {0 | MTRR_WB, 0x8000000000 | MTRR_WB, 0x9e80000000 | MTRR_UC, 0x9f00000000 | MTRR_UC,
				 0x80000000 | MTRR_UC, 0x7f000000 | MTRR_UC},
			.mask = {0x3f8000000000 | VALID, 0x3fe000000000 | VALID, 0x3fff80000000 | VALID,
				 0x3fff00000000 | VALID, 0x3fff80000000 | VALID, 0x3fffff000000 | VALID},
			.physical_bits = 46},
		.covered_mib = 647152,
		.range = {{0xa0000, MTRR_WB},
			  {MIB(1), MTRR_UC},
			  {0x7f000000, MTRR_WB},
			  {GIB(4), MTRR_UC},
			  {0x9e80000000, MTRR_WB},
			  {1ull << 46, MTRR_UC}},
	},
	{
		/*
		 * C0000h to FFFFFh WT, one page cut out of the RAM. Ubuntu Forums, Networking & Wireless,
		 * "Bluetooth not working in Acer aspire V3-551G with AR9462 card.", 22 April 2013.
		 */
		.name = "Acer Aspire V3-551G",
		.set = {.capability = CAPABILITY(8),
			.default_type = ENABLED | MTRR_UC,
			.fixed = {0x0606060606060606, 0x0606060606060606, 0, 0x0404040404040404, 0x0404040404040404,
				  0x0404040404040404, 0x0404040404040404, 0x0404040404040404, 0x0404040404040404,
				  0x0404040404040404, 0x0404040404040404},
			.base = {0 | MTRR_WB, 0x80000000 | MTRR_WB, 0xa0000000 | MTRR_WB, 0xafbbd000 | MTRR_UC,
				 0xffc00000 | MTRR_WP},
			.mask = {0xffff80000000 | VALID, 0xffffe0000000 | VALID, 0xfffff0000000 | VALID,
				 0xfffffffff000 | VALID, 0xffffffc00000 | VALID},
			.top_mem2 = 0x22f000000,
			.physical_bits = 48},
		.range = {{0xa0000, MTRR_WB},
			  {0xc0000, MTRR_UC},
			  {MIB(1), MTRR_WT},
			  {0xafbbd000, MTRR_WB},
			  {0xafbbe000, MTRR_UC},
			  {0xb0000000, MTRR_WB},
			  {0xffc00000, MTRR_UC},
			  {GIB(4), MTRR_WP},
			  {0x22f000000, MTRR_WB},
			  {1ull << 48, MTRR_UC}},
	},
	{
		/*
		 * EPYC 7351P. "Reiser4 -enabled Linux kernels 5.0.xy do not hang in HP ProLiant Epyc -based bare
		 * hardware unit.", 1 August 2019,
		 * https://lore.kernel.org/all/20190801131902.204EE40E5EB3@huitzilopochtli.metztli-it.com/.
		 */
		.name = "HPE ProLiant DL325 Gen10",
		.set = {.capability = CAPABILITY(8),
			.default_type = ENABLED | MTRR_UC,
			.fixed = {0x0606060606060606, 0x0606060606060606, 0, 0, 0, 0, 0, 0, 0, 0, 0},
			.base = {0 | MTRR_WB, 0xe4000000 | MTRR_WP, 0x78000000 | MTRR_UC, 0, 0, 0, 0,
				 0xff000000 | MTRR_WP},
			.mask = {0xffff80000000 | VALID, 0xfffffc000000 | VALID, 0xfffff8000000 | VALID, 0, 0, 0, 0,
				 0xffffff000000 | VALID},
			.top_mem2 = 0x1080000000,
			.physical_bits = 48},
		.range = {{0xa0000, MTRR_WB},
			  {MIB(1), MTRR_UC},
			  {0x78000000, MTRR_WB},
			  {0xe4000000, MTRR_UC},
			  {0xe8000000, MTRR_WP},
			  {0xff000000, MTRR_UC},
			  {GIB(4), MTRR_WP},
			  {0x1080000000, MTRR_WB},
			  {1ull << 48, MTRR_UC}},
	},
	{
		/*
		 * Firmware with a mistake: 16 MiB of RAM are WP, although TOP_MEM2 makes WB of them by default. The
		 * machine does what it is told: the memory is so slow that Linux takes minutes to boot. "Re: slow
		 * boot with 7fef431be9c9", 11 and 16 March 2021,
		 * https://lore.kernel.org/all/2f7c20ea-888f-65b6-6607-c86aab65acce@redhat.com/ and
		 * https://lore.kernel.org/all/YFCIqLmn3u1be1yo@linux.ibm.com/.
		 */
		.name = "AMD Chachani-VN",
		.set = {.capability = CAPABILITY(8),
			.default_type = ENABLED | MTRR_UC,
			.fixed = {0x0606060606060606, 0x0606060606060606, 0, 0x0404040404040404, 0x0404040404040404,
				  0x0404040404040404, 0x0404040404040404, 0x0404040404040404, 0x0404040404040404,
				  0x0404040404040404, 0x0404040404040404},
			.base = {0 | MTRR_WB, 0xffe00000 | MTRR_WP, 0x100000000 | MTRR_WP, 0xffde0000 | MTRR_WP,
				 0xff000000 | MTRR_WP},
			.mask = {0xffff80000000 | VALID, 0xffffffe00000 | VALID, 0xffffff000000 | VALID,
				 0xfffffffe0000 | VALID, 0xfffffff80000 | VALID},
			.top_mem2 = 0x280000000,
			.physical_bits = 48},
		.range = {{0xa0000, MTRR_WB},
			  {0xc0000, MTRR_UC},
			  {MIB(1), MTRR_WT},
			  {0x80000000, MTRR_WB},
			  {0xff000000, MTRR_UC},
			  {0xff080000, MTRR_WP},
			  {0xffde0000, MTRR_UC},
			  {0x101000000, MTRR_WP},
			  {0x280000000, MTRR_WB},
			  {1ull << 48, MTRR_UC}},
	},
};

const unsigned mtrr_record_count = ARRAY_SIZE(mtrr_records);
