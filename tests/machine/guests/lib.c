/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guests' own library: console, verdicts, exceptions, page tables.
 */
#include <stdarg.h>

#include "guest.h"

#define COM1	      0x3f8
#define UART_LCR      3
#define UART_LCR_8N1  0x03
#define UART_LCR_DLAB 0x80
#define UART_LSR      5
#define UART_LSR_DR   0x01
#define UART_LSR_THRE 0x20
#define UART_LSR_TEMT 0x40

#define MULTIBOOT_INFO_MMAP 0x40

#define GATE_INTERRUPT32 0x8e
#define STUB_SIZE	 16

#define PTE_PRESENT 0x01
#define PTE_WRITE   0x02
#define PTE_LARGE   0x80

struct multiboot_info {
	uint32_t flags, mem_lower, mem_upper, boot_device, cmdline, mods_count, mods_addr, syms[4];
	uint32_t mmap_length, mmap_addr;
};

struct multiboot_mmap {
	uint32_t size;
	uint64_t base, length;
	uint32_t type;
} __attribute__((packed));

struct memory_range memory_range[MEMORY_RANGE_MAX];
unsigned memory_range_count;
struct trap trap;
struct idt_gate idt[256];
static unsigned failures;
static uint64_t page_directory[4][512] __attribute__((aligned(4096)));

/* start.S */
extern const uint8_t trap_stubs32[], trap_stubs64[], real_switch[], real_switch_end[];
extern const uint8_t real_trap0d[], real_trap06[], real_trap01[], real_results[];
extern uint64_t long_pdpt[512];
extern struct idt_gate idt64[];
uint32_t trap_call_code(void (*code)(void *), void *argument);
uint32_t long_call_code(const void *code, void *argument);
uint32_t real_call_code(uint32_t argument);
void guest_start(const struct multiboot_info *info);
void guest_stray(void);

void *memcpy(void *to, const void *from, size_t length)
{
	uint8_t *out = to;
	const uint8_t *in = from;

	while (length--)
		*out++ = *in++;
	return to;
}

void *memset(void *to, int value, size_t length)
{
	uint8_t *out = to;

	while (length--)
		*out++ = (uint8_t)value;
	return to;
}

int memcmp(const void *a, const void *b, size_t length)
{
	const uint8_t *x = a, *y = b;

	for (; length; length--, x++, y++) {
		if (*x != *y)
			return *x - *y;
	}
	return 0;
}

/* 115200 8N1: a boot loader that never wrote to it leaves it as the reset did */
static void serial_init(void)
{
	out8(COM1 + UART_LCR, UART_LCR_DLAB | UART_LCR_8N1);
	out8(COM1, 1);
	out8(COM1 + 1, 0);
	out8(COM1 + UART_LCR, UART_LCR_8N1);
}

static void put(char c)
{
	while (!(in8(COM1 + UART_LSR) & UART_LSR_THRE))
		;
	out8(COM1, (uint8_t)c);
}

void print_drain(void)
{
	while (!(in8(COM1 + UART_LSR) & UART_LSR_TEMT))
		;
}

static void put_number(uint32_t value, uint32_t base)
{
	if (value >= base)
		put_number(value / base, base);
	put("0123456789abcdef"[value % base]);
}

static void put_quad(uint64_t value)
{
	if (value >> 4)
		put_quad(value >> 4);
	put("0123456789abcdef"[value & 15]);
}

void print(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	for (; *format; format++) {
		const char *text;

		if (*format != '%') {
			put(*format);
			continue;
		}
		switch (*++format) {
		case 's':
			for (text = va_arg(arguments, const char *); *text; text++)
				put(*text);
			break;
		case 'u':
			put_number(va_arg(arguments, uint32_t), 10);
			break;
		case 'q':
			put_quad(va_arg(arguments, uint64_t));
			break;
		default:
			put_number(va_arg(arguments, uint32_t), 16);
			break;
		}
	}
	va_end(arguments);
}

void mark(const char *name)
{
	print("mark %s\n", name);
	while (!(in8(COM1 + UART_LSR) & UART_LSR_DR))
		;
	in8(COM1);
}

bool check(bool ok, const char *name)
{
	print("%s %s\n", ok ? "ok" : "FAIL", name);
	failures += !ok;
	return ok;
}

bool check_equal(uint32_t value, uint32_t expected, const char *name)
{
	if (!check(value == expected, name))
		print("  %x, expected %x\n", value, expected);
	return value == expected;
}

const uint8_t *fadt_find(void)
{
	for (uint32_t at = 0xe0000; at < 0x100000; at += 16) {
		const uint32_t *rsdt;

		if (memcmp((const void *)at, "RSD PTR ", 8))
			continue;
		rsdt = *(const uint32_t **)(at + 16);
		for (uint32_t i = 9; i < rsdt[1] / 4; i++) {
			if (!memcmp((const void *)rsdt[i], "FACP", 4))
				return (const uint8_t *)rsdt[i];
		}
	}
	return NULL;
}

void idt_set(struct idt_gate *table, unsigned vector, void (*handler)(void))
{
	uint32_t address = (uint32_t)handler;

	table[vector] = (struct idt_gate){
		.offset_low = (uint16_t)address,
		.selector = SELECTOR_CODE32,
		.type = GATE_INTERRUPT32,
		.offset_high = (uint16_t)(address >> 16),
	};
}

void idt_load(const struct idt_gate *table)
{
	struct descriptor_table pointer = {.limit = sizeof(idt) - 1, .base = (uint32_t)table};

	__asm__ volatile("lidt %0" : : "m"(pointer));
}

static void trap_clear(void)
{
	memset(&trap, 0, sizeof(trap));
	trap.vector = TRAP_NONE;
}

uint32_t trap_call(void (*code)(void *), void *argument)
{
	trap_clear();
	return trap_call_code(code, argument);
}

uint32_t long_call(const void *code, void *argument)
{
	uint32_t vector;

	trap_clear();
	vector = long_call_code(code, argument);
	idt_load(idt);
	return vector;
}

uint32_t real_call(const void *code, const void *code_end, uint32_t argument)
{
	static const struct {
		unsigned vector;
		const uint8_t *handler;
	} handlers[] = {{1, real_trap01}, {6, real_trap06}, {13, real_trap0d}};
	volatile uint32_t *vectors = NULL;
	uint32_t saved[14], result;

	__asm__("" : "+r"(vectors)); /* real mode's vectors lie at 0, which the compiler need not know */
	trap_clear();
	memcpy((void *)REAL_SWITCH, real_switch, (size_t)(real_switch_end - real_switch));
	memset((void *)(REAL_SWITCH + (real_results - real_switch)), 0, 16);
	memcpy((void *)REAL_CODE, code, (size_t)((const uint8_t *)code_end - (const uint8_t *)code));
	for (unsigned i = 0; i < 14; i++)
		saved[i] = vectors[i];
	for (unsigned i = 0; i < sizeof(handlers) / sizeof(handlers[0]); i++)
		vectors[handlers[i].vector] =
			(uint32_t)(REAL_SWITCH >> 4) << 16 | (uint32_t)(handlers[i].handler - real_switch);
	result = real_call_code(argument);
	for (unsigned i = 0; i < 14; i++)
		vectors[i] = saved[i];
	idt_load(idt);
	return result;
}

void guest_stray(void)
{
	print("FAIL an exception that nothing expects: vector %x error %x at %x, cr2 %x\n", trap.vector, trap.error,
	      trap.ip, trap.cr2);
	print("guest: done, %u failed\n", failures + 1);
	for (;;)
		__asm__ volatile("hlt");
}

static void tables_build(void)
{
	for (unsigned i = 0; i < 32; i++) {
		uint32_t stub64 = (uint32_t)(trap_stubs64 + i * STUB_SIZE);

		idt_set(idt, i, (void (*)(void))(uintptr_t)(trap_stubs32 + i * STUB_SIZE));
		idt64[i * 2] = (struct idt_gate){
			.offset_low = (uint16_t)stub64,
			.selector = SELECTOR_CODE64,
			.type = GATE_INTERRUPT32,
			.offset_high = (uint16_t)(stub64 >> 16),
		};
	}
	idt_load(idt);
	long_pml4[0] = (uint32_t)long_pdpt | PTE_PRESENT | PTE_WRITE;
	for (unsigned i = 0; i < 4; i++) {
		long_pdpt[i] = (uint32_t)page_directory[i] | PTE_PRESENT | PTE_WRITE;
		for (unsigned j = 0; j < 512; j++)
			page_directory[i][j] = (i * 512ull + j) << 21 | PTE_PRESENT | PTE_WRITE | PTE_LARGE;
	}
}

void guest_start(const struct multiboot_info *info)
{
	uint32_t at = info->mmap_addr, end = at + info->mmap_length;

	while (info->flags & MULTIBOOT_INFO_MMAP && at < end && memory_range_count < MEMORY_RANGE_MAX) {
		struct multiboot_mmap entry;

		memcpy(&entry, (const void *)at, sizeof(entry));
		memory_range[memory_range_count++] =
			(struct memory_range){.base = entry.base, .length = entry.length, .type = entry.type};
		at += entry.size + sizeof(entry.size);
	}
	tables_build();
	serial_init();
	print("guest: started\n");
	guest_main();
	print("guest: done, %u failed\n", failures);
}
