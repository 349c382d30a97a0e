// SPDX-License-Identifier: BSD-2-Clause
/*
 * Inside the guest: every CPUID leaf ("cpuid"), and the architectural MSRs ("msr").
 */
#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SUBLEAVES 4

/* Read one after another; left out are those that count time, and FS.base, which is this program's own. */
static const struct {
	uint32_t first, last;
} msrs[] = {
	{0x0000001b, 0x0000001b},						      /* APIC_BASE */
	{0x0000003a, 0x0000003a},						      /* FEATURE_CONTROL */
	{0x0000008b, 0x0000008b},						      /* PATCH_LEVEL */
	{0x000000fe, 0x000000fe},						      /* MTRRcap */
	{0x00000174, 0x00000176},						      /* SYSENTER */
	{0x00000179, 0x0000017b},						      /* MCG */
	{0x000001d9, 0x000001d9},						      /* DEBUGCTL */
	{0x00000200, 0x0000020f},						      /* variable MTRRs */
	{0x00000250, 0x00000250},						      /* fixed MTRRs */
	{0x00000258, 0x00000259}, {0x00000268, 0x0000026f}, {0x00000277, 0x00000277}, /* PAT */
	{0x000002ff, 0x000002ff},						      /* MTRRdefType */
	{0x00000400, 0x00000403},						      /* MC0 */
	{0xc0000080, 0xc0000084}, /* EFER, STAR, LSTAR, CSTAR, SFMASK */
	{0xc0000102, 0xc0000103}, /* KernelGSbase, TSC_AUX */
	{0xc0010010, 0xc0010010}, /* SYSCFG */
	{0xc0010015, 0xc0010015}, /* HWCR */
	{0xc0010114, 0xc0010119}, /* VM_CR, IGNNE, SMM_CTL, VM_HSAVE_PA, SVM_LOCK, SMM key */
};

static void print_leaves(uint32_t first)
{
	uint32_t a, b, c, d, last;

	__cpuid(first, last, b, c, d);
	if (last < first || last > first + 0xff)
		last = first;
	for (uint32_t leaf = first; leaf <= last; leaf++) {
		for (uint32_t subleaf = 0; subleaf < SUBLEAVES; subleaf++) {
			__cpuid_count(leaf, subleaf, a, b, c, d);
			printf("%08x.%u %08x %08x %08x %08x\n", leaf, subleaf, a, b, c, d);
		}
	}
}

static int print_msrs(void)
{
	int device = open("/dev/cpu/0/msr", O_RDONLY);

	if (device < 0)
		return 1;
	for (unsigned i = 0; i < sizeof(msrs) / sizeof(msrs[0]); i++) {
		for (uint32_t index = msrs[i].first; index <= msrs[i].last; index++) {
			uint64_t value;

			if (pread(device, &value, sizeof(value), index) == sizeof(value))
				printf("%08x %016llx\n", index, (unsigned long long)value);
			else
				printf("%08x %s\n", index, errno == EIO ? "#GP" : strerror(errno));
		}
	}
	return 0;
}

int main(int count, char **words)
{
	if (count == 2 && !strcmp(words[1], "msr"))
		return print_msrs();
	print_leaves(0);
	print_leaves(0x40000000);
	print_leaves(0x80000000);
	return 0;
}
