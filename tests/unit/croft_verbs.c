/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * client/croft: words, expressions, bytes, symbols, targets, code and descriptors; verbs against a scripted stub, as
 * text and as JSON.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <undercroft/types.h>

#include "client/croft/bytes.h"
#include "client/croft/complete.h"
#include "client/croft/descriptor.h"
#include "client/croft/disasm.h"
#include "client/croft/expr.h"
#include "client/croft/generate.h"
#include "client/croft/targets.h"
#include "client/croft/verb.h"
#include "tests/fakes/fake_stub.h"

#define SUPPORTED                                                                                         \
	"PacketSize=1000;vContSupported+;swbreak+;hwbreak+;ConditionalBreakpoints+;qXfer:features:read+;" \
	"qXfer:croft.stats:read+"

/* rax = 1, rbx = 2 ... r15 = 10h; rip = ffffffff81000010h; eflags 46h; cs 10h; the others 18h */
#define G                                                                                                            \
	"01000000000000000200000000000000030000000000000004000000000000000500000000000000060000000000000007000000"   \
	"000000000800000000000000090000000000000"                                                                    \
	"00a000000000000000b000000000000000c000000000000000d000000000000000e000000000000000f00000000000000100000000" \
	"0000000100000"                                                                                              \
	"81ffffffff46000000100000001800000018000000180000001800000018000000"

/* numbers: docs/protocol.md, "Register numbers"; long mode, four levels from 1000h */
static const struct fake_line script[] = {
	{"qSupported*", SUPPORTED},
	{"vCont?", "vCont;c;C;s;S;r"},
	{"?", "T05thread:1;06:0600000000000000;07:0700000000000000;10:10000081ffffffff;"},
	{"g", G},
	{"p45", "0000000000000000"}, /* cs_base */
	{"p46", "ffffffff"},
	{"p47", "9b0a0000"},
	{"p82", "3300058000000000"},  /* cr0 */
	{"p84", "0010000000000000"},  /* cr3 */
	{"p85", "2000000000000000"},  /* cr4: PAE */
	{"p87", "010d000000000000"},  /* efer: SCE LME LMA NXE */
	{"p100", "10000081ffffffff"}, /* linear_pc */
	{"p101", "0800000000000000"},
	{"p102", "06000000"}, /* long64 */
	{"p8f", "ffff0000"},  /* gdtr_limit, idtr_limit; the last are of one byte */
	{"p91", "ffff0000"},
	{"p9b", "00"},
	{"p9c", "00"},
	{"p9d", "00"},
	{"p9*", "0000000000000000"},
	{"p8*", "0000000000000000"},
	{"Qcroft.as:*", "OK"},
	{"qcroft.msr:c0000080", "0000000000000d01"},
	{"qcroft.msr:*", "E.croft.RDMSR raises a general protection exception"},
	{"Z0,ffffffff81000000,1", "OK"},
	{"Z*", "E1c"},
	{"z*", "OK"},
	{"P0=*", "OK"},
	{"D", "OK"},
	{"qXfer:croft.stats:read::0,fff", "lversion=1\ncpuid=7\nhlt=90\nio=0\n"},
	{NULL, NULL},
};

/* The page tables, the code, and a string. */
static bool answer_memory(void *data, const char *question, size_t length, char *answer, size_t *answer_length)
{
	static const struct {
		uint64_t address;
		uint64_t entry;
	} entries[] = {
		{0x1ff8, 0x2063}, {0x2ff0, 0x3063}, {0x3040, 0x4063}, {0x4000, 0x7061}, {0x4008, 0x8000000000008163}};
	static const uint8_t code[] = {0x48, 0x89, 0xe5, 0xe8, 0xe8, 0xff, 0xff, 0xff, 0x42, 0x8b, 0x04, 0x08, 0xc3};
	unsigned long long address, size;

	(void)data;
	(void)length;
	if (sscanf(question, "m%llx,%llx", &address, &size) != 2 &&
	    sscanf(question, "x%llx,%llx", &address, &size) != 2)
		return false;
	if (question[0] == 'x') {
		*answer_length = 0;
		return true;
	}
	if (size > 2000)
		size = 2000;
	for (unsigned long long i = 0; i < size; i++) {
		uint64_t at = address + i;
		uint8_t byte = 0;

		if (at >= 0xffffffff81000010ull && at < 0xffffffff81000010ull + sizeof(code)) {
			byte = code[at - 0xffffffff81000010ull];
		} else if (at >= 0x5000) {
			/* nothing is there */
			if (i == 0) {
				strcpy(answer, "E0e");
				*answer_length = 3;
				return true;
			}
			size = i;
			break;
		} else {
			for (unsigned e = 0; e < ARRAY_SIZE(entries); e++) {
				if (at >= entries[e].address && at < entries[e].address + 8)
					byte = (uint8_t)(entries[e].entry >> (8 * (at - entries[e].address)));
			}
		}
		sprintf(answer + 2 * i, "%02x", byte);
	}
	*answer_length = 2 * (size_t)size;
	return true;
}

/* --- a shell that writes to memory --- */

struct fixture {
	struct fake_stub stub;
	struct shell shell;
	char *text;
	size_t length;
};

static const char map_text[] = "0000000000000000 A per_cpu_start\n"
			       "ffffffff81000000 T _text\n"
			       "ffffffff81000000 t __aux\n"
			       "ffffffff81000010 T start_kernel\n"
			       "ffffffff81000200 t local_thing\n"
			       "ffffffff81c00080 T entry_SYSCALL_64\n"
			       "ffffffff82000000 D jiffies\t[module]\n";

static void write_file(char *path, const char *text, size_t length)
{
	int file = mkstemp(path);

	assert_true(file >= 0);
	assert_int_equal(write(file, text, length), length);
	close(file);
}

static void load_symbols(struct shell *shell)
{
	char path[] = "/tmp/croft-verbs-XXXXXX";
	struct croft_error error;

	write_file(path, map_text, sizeof(map_text) - 1);
	assert_int_equal(symbols_load(shell->symbols, path, &error), CROFT_OK);
	unlink(path);
}

static int set_up_as(void **state, bool json, bool attach)
{
	struct fixture *f = calloc(1, sizeof(*f));

	*state = f;
	f->stub.script = script;
	f->stub.answer = answer_memory;
	f->stub.no_ack = true;
	f->shell.out.to = open_memstream(&f->text, &f->length);
	f->shell.out.json = json ? json_object() : NULL;
	f->shell.symbols = symbols_new();
	load_symbols(&f->shell);
	if (attach) {
		fake_stub_start(&f->stub);
		f->shell.target = f->stub.target;
		assert_int_equal(shell_attach(&f->shell, CROFT_OPEN_PLAIN, 60000), OUTCOME_DONE);
	}
	return 0;
}

static int set_up_alone(void **state)
{
	return set_up_as(state, false, false);
}

static int set_up(void **state)
{
	return set_up_as(state, false, true);
}

static int set_up_json(void **state)
{
	return set_up_as(state, true, true);
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	shell_detach(&f->shell);
	if (f->shell.target)
		fake_stub_end(&f->stub);
	fclose(f->shell.out.to);
	free(f->text);
	json_decref(f->shell.out.json);
	symbols_free(f->shell.symbols);
	free(f->shell.copy);
	free(f);
	return 0;
}

/* What a line prints. */
static const char *said(struct fixture *f, const char *line, enum outcome outcome)
{
	rewind(f->shell.out.to);
	fflush(f->shell.out.to);
	assert_int_equal(shell_line(&f->shell, line), outcome);
	fputc(0, f->shell.out.to);
	fflush(f->shell.out.to);
	return f->text;
}

static void has(struct fixture *f, const char *line, const char *words)
{
	const char *text = said(f, line, OUTCOME_DONE);

	if (!strstr(text, words))
		fail_msg("%s: \"%s\" is not in:\n%s", line, words, text);
}

/* --- words --- */

static void test_words(void **state)
{
	char line[] = "  mem -w \"a b\"c 'd \\e' \\'f \t", open[] = "mem 'x";
	char many[2 * ARGS_MAX + 4], *words[ARGS_MAX];

	(void)state;
	assert_int_equal(args_split(line, words), 5);
	assert_string_equal(words[2], "a bc");
	assert_string_equal(words[3], "d \\e");
	assert_string_equal(words[4], "'f");
	assert_int_equal(args_split(open, words), -1);
	memset(many, 'x', sizeof(many));
	for (unsigned i = 1; i < sizeof(many); i += 2)
		many[i] = ' ';
	many[sizeof(many) - 1] = 0;
	assert_int_equal(args_split(many, words), -1);
}

static void test_options(void **state)
{
	char *words[] = {"verb", "-h", "-n", "name", "-cvalue", "--", "-n"};
	struct args args = {.count = 7, .word = words, .at = 1};
	const char *value;

	(void)state;
	assert_int_equal(args_option(&args, "hn:c:", &value), 'h');
	assert_int_equal(args_option(&args, "hn:c:", &value), 'n');
	assert_string_equal(value, "name");
	assert_int_equal(args_option(&args, "hn:c:", &value), 'c');
	assert_string_equal(value, "value");
	assert_int_equal(args_option(&args, "hn:c:", &value), 0);
	assert_string_equal(args_next(&args), "-n");
	args.at = 6;
	assert_int_equal(args_option(&args, "hn:c:", &value), '?');
	words[6] = "-x";
	args.at = 6;
	assert_int_equal(args_option(&args, "hn:c:", &value), '?');
	words[6] = "-16";
	args.at = 6;
	assert_int_equal(args_option(&args, "hn:c:", &value), 0);
}

static void test_verbs(void **state)
{
	const struct verb *verb;
	unsigned count = 0;

	(void)state;
	assert_ptr_equal(verb_find("regs"), &verb_regs);
	assert_ptr_equal(verb_find("c"), &verb_run);
	/* pause is an alias: only names are cut short */
	assert_ptr_equal(verb_find("pa"), &verb_pagetables);
	assert_null(verb_find("st"));
	assert_null(verb_find("nothing"));
	for (; (verb = verb_at(count)); count++) {
		assert_true(verb->run && verb->summary && verb->help && verb->choices && verb->aliases);
		assert_non_null(strstr(verb->example, verb->name));
	}
	assert_int_equal(count, 28);
}

/* --- expressions --- */

static void check_value(struct fixture *f, const char *text, uint64_t expected)
{
	struct croft_error error = {0};
	uint64_t value;

	if (expr_evaluate(&f->shell, text, &value, &error) || value != expected)
		fail_msg("%s: %llx: %s", text, (unsigned long long)value, error.text);
}

static void check_wrong(struct fixture *f, const char *text, const char *why)
{
	struct croft_error error;
	uint64_t value;

	assert_int_equal(expr_evaluate(&f->shell, text, &value, &error), CROFT_ERROR_ARGUMENT);
	if (!strstr(error.text, why))
		fail_msg("%s: %s", text, error.text);
}

static void test_expressions(void **state)
{
	struct fixture *f = *state;

	check_value(f, "0x7c00", 0x7c00);
	check_value(f, "31744", 31744);
	check_value(f, "4K", 4096);
	check_value(f, "0x10M", 0x1000000);
	check_value(f, "0xffffffffffffffff", UINT64_MAX);
	check_value(f, "18446744073709551615", UINT64_MAX);
	check_value(f, "2+3*4-(1+1)", 12);
	check_value(f, "-1", UINT64_MAX);
	check_value(f, "start_kernel+0x10", 0xffffffff81000020);
	check_value(f, "rax", 1);
	check_value(f, "$rbx", 2);
	check_value(f, "rip", 0xffffffff81000010);
	check_value(f, "eip", 0x81000010);
	check_value(f, "ip", 0x10);
	check_value(f, "al", 1);
	check_value(f, "r8d", 9);
	check_value(f, "cs:ip", 0x10);
	check_wrong(f, "7c00", "hexadecimal ones begin with 0x");
	check_wrong(f, "0x", "not a number");
	check_wrong(f, "18446744073709551616", "larger than 64 bits");
	check_wrong(f, "0x10000000000000000", "larger than 64 bits");
	check_wrong(f, "17179869184G", "larger than 64 bits");
	check_wrong(f, "nothing", "no symbol and no register");
	check_wrong(f, "$start_kernel", "no register");
	check_wrong(f, "(1", "parenthesis");
	check_wrong(f, "1)", "not understood");
	check_wrong(f, "", "not an address");
	check_wrong(f, "1+", "not an address");
	check_wrong(f, "((((((((((((((((((((((((((((((((((1", "too deep");
	check_wrong(f, "----------------------------------1", "too deep");
}

static void test_bytes(void **state)
{
	struct fixture *f = *state;
	char *words[] = {"0f05", "c3", "text:ab", "u16:0xaa55", "u32:rax"};
	struct args args = {.count = 5, .word = words};
	static const uint8_t expected[] = {0x0f, 0x05, 0xc3, 'a', 'b', 0x55, 0xaa, 1, 0, 0, 0};
	uint8_t bytes[BYTES_MAX];
	size_t length;

	assert_int_equal(bytes_take(&f->shell, &args, bytes, &length), OUTCOME_DONE);
	assert_int_equal(length, sizeof(expected));
	assert_memory_equal(bytes, expected, sizeof(expected));
	static const char *const wrong[] = {"0", "xy", "u8:256", "u16:", "0f0"};

	for (unsigned i = 0; i < ARRAY_SIZE(wrong); i++) {
		words[0] = (char *)wrong[i];
		args = (struct args){.count = 1, .word = words};
		assert_int_equal(bytes_take(&f->shell, &args, bytes, &length), OUTCOME_USAGE);
	}
}

/* --- symbols --- */

static void check_symbol(struct symbols *s, uint64_t address, const char *expected, uint64_t expected_offset)
{
	const char *name;
	uint64_t offset;

	assert_true(symbols_at(s, address, &name, &offset));
	assert_string_equal(name, expected);
	assert_int_equal(offset, expected_offset);
}

static void test_symbols(void **state)
{
	struct fixture *f = *state;
	struct symbols *s = f->shell.symbols;
	const char *name;
	uint64_t value;

	assert_int_equal(symbols_count(s), 7);
	assert_true(symbols_find(s, "jiffies", &value));
	assert_int_equal(value, 0xffffffff82000000);
	assert_false(symbols_find(s, "jiff", &value));
	/* of two the global one */
	check_symbol(s, 0xffffffff81000004, "_text", 4);
	check_symbol(s, 0xffffffff81000010, "start_kernel", 0);
	/* neither before all, nor far behind one, nor an offset in per-CPU data */
	assert_false(symbols_at(s, 0xffffffff80ffffff, &name, &value));
	assert_false(symbols_at(s, 0xffffffff83000000, &name, &value));
	assert_false(symbols_at(s, 0x10, &name, &value));
	assert_true(symbols_is_code(s, 0xffffffff81000011));
	assert_false(symbols_is_code(s, 0xffffffff82000000));
	assert_string_equal(symbols_completion(s, "s", 0), "start_kernel");
	assert_null(symbols_completion(s, "s", 1));
	assert_null(symbols_completion(s, "zz", 0));
}

static void test_symbol_files(void **state)
{
	struct fixture *f = *state;
	char wrong[] = "/tmp/croft-verbs-XXXXXX";
	struct croft_error error;
	uint64_t value;

	assert_int_equal(symbols_load(f->shell.symbols, "/proc/self/exe", &error), CROFT_OK);
	assert_true(symbols_find(f->shell.symbols, "main", &value));
	assert_int_equal(symbols_load(f->shell.symbols, "/nothing", &error), CROFT_ERROR_SYSTEM);
	/* what cannot be read leaves what was there */
	assert_true(symbols_find(f->shell.symbols, "main", &value));
	write_file(wrong, "hello\n", 6);
	assert_int_equal(symbols_load(f->shell.symbols, wrong, &error), CROFT_ERROR_ARGUMENT);
	assert_non_null(strstr(error.text, "neither"));
	assert_int_equal(symbols_count(f->shell.symbols), 0);
	unlink(wrong);
}

/* --- targets --- */

static int find_target(const char *text, const char *name, struct target *target, const char **why)
{
	FILE *file = text ? fmemopen((void *)text, strlen(text), "r") : NULL;
	int wrong = targets_find(file, name, target, why);

	if (file)
		fclose(file);
	return wrong;
}

static void test_targets(void **state)
{
	static const char text[] = "# mine\ndefault = lab # that one\n\n[lab]\n target = serial:/dev/ttyUSB0,9600\n"
				   "symbols=/boot/System.map\ntimeout = 10000\n[other]\ntarget = tcp:h:1\n";
	struct target target;
	const char *why;

	(void)state;
	assert_int_equal(find_target(text, NULL, &target, &why), 0);
	assert_string_equal(target.target, "serial:/dev/ttyUSB0,9600");
	assert_string_equal(target.symbols, "/boot/System.map");
	assert_int_equal(target.timeout_ms, 10000);
	target_free(&target);
	assert_int_equal(find_target(text, "other", &target, &why), 0);
	assert_string_equal(target.target, "tcp:h:1");
	assert_null(target.symbols);
	target_free(&target);
	/* a name that is none is a target */
	assert_int_equal(find_target(text, "tcp:x:2", &target, &why), 0);
	assert_string_equal(target.target, "tcp:x:2");
	target_free(&target);
	assert_int_equal(find_target(NULL, NULL, &target, &why), 0);
	assert_null(target.target);
	assert_int_equal(find_target("\n[lab\n", "lab", &target, &why), 2);
	target_free(&target);
	assert_int_equal(find_target("[lab]\ntarget\n", "lab", &target, &why), 2);
	target_free(&target);
	assert_int_equal(find_target("[lab]\ncolour = red\n", "other", &target, &why), 2);
	assert_non_null(strstr(why, "target, symbols, timeout"));
	target_free(&target);
	assert_int_equal(find_target("[lab]\ntimeout = soon\n", "lab", &target, &why), 2);
	target_free(&target);
	assert_int_equal(find_target("target = x\n", "lab", &target, &why), 1);
	target_free(&target);
}

/* --- code and descriptors --- */

static void check_code(enum croft_mode mode, const char *hex, const char *text)
{
	uint8_t bytes[16];
	size_t size = strlen(hex) / 2;
	struct disasm line;

	for (size_t i = 0; i < size; i++)
		assert_int_equal(sscanf(hex + 2 * i, "%2hhx", &bytes[i]), 1);
	assert_true(disasm_decode(mode, bytes, size, 0x100, &line));
	assert_string_equal(line.text, text);
}

static void test_code(void **state)
{
	static const uint8_t bad[] = {0x0f, 0x04}, calls[] = {0x90, 0x90, 0xe8, 1, 2, 3, 4},
			     none[] = {0x90, 0x90, 0x90};
	struct disasm line;

	(void)state;
	/* the same bytes in each mode */
	check_code(CROFT_MODE_REAL, "b83412", "mov ax, 0x1234");
	check_code(CROFT_MODE_PROTECTED32, "b834120000", "mov eax, 0x1234");
	check_code(CROFT_MODE_LONG64, "48b83412000000000000", "mov rax, 0x1234");
	check_code(CROFT_MODE_REAL, "8900", "mov word ptr [bx+si], ax");
	check_code(CROFT_MODE_LONG64, "ebfe", "jmp 0x100");
	check_code(CROFT_MODE_REAL, "eb00", "jmp 0x102");
	assert_false(disasm_decode(CROFT_MODE_LONG64, bad, sizeof(bad), 0, &line));
	assert_false(disasm_decode(CROFT_MODE_LONG64, calls + 2, 3, 0, &line));
	assert_true(disasm_ends_with_call(CROFT_MODE_LONG64, calls, sizeof(calls)));
	assert_false(disasm_ends_with_call(CROFT_MODE_LONG64, calls, sizeof(calls) - 1));
	assert_false(disasm_ends_with_call(CROFT_MODE_LONG64, none, sizeof(none)));
}

static void check_descriptor(uint64_t low, uint64_t high, bool is_long, const char *text, uint64_t base, uint32_t limit)
{
	uint64_t words[2] = {low, high};
	struct descriptor d = descriptor_decode((const uint8_t *)words, is_long);
	char said_of_it[DESCRIPTOR_TEXT];

	descriptor_attributes_text(d.attributes, said_of_it);
	assert_string_equal(said_of_it, text);
	assert_int_equal(d.base, base);
	assert_int_equal(d.limit, limit);
}

static void test_descriptors(void **state)
{
	uint64_t gate[2] = {0x81c08e0100100be0, 0xffffffff};
	struct descriptor d = descriptor_decode((const uint8_t *)gate, true);

	(void)state;
	check_descriptor(0x00af9b000000ffff, 0, true, "code r-x dpl 0 64-bit", 0, 0xffffffff);
	check_descriptor(0x00cff3000000ffff, 0, true, "data rw- dpl 3 32-bit", 0, 0xffffffff);
	check_descriptor(0x00009b0f00000fff, 0, false, "code r-x dpl 0 16-bit", 0xf0000, 0xfff);
	check_descriptor(0x00008b0030004087, 0xfffffe00, true, "tss busy dpl 0", 0xfffffe0000003000, 0x4087);
	check_descriptor(0x00008b0030004087, 0xfffffe00, false, "tss busy dpl 0", 0x3000, 0x4087);
	check_descriptor(0, 0x00cf9b000000ffff, true, "not present", 0, 0);
	assert_true(d.is_gate && d.is_wide);
	assert_int_equal(d.offset, 0xffffffff81c00be0);
	assert_int_equal(d.selector, 0x10);
	assert_int_equal(d.ist, 1);
}

/* --- verbs --- */

static void test_text(void **state)
{
	struct fixture *f = *state;

	has(f, "regs", " r15 0000000000000010   rip ffffffff81000010 <start_kernel>\n");
	has(f, "regs", "flags 000046 [pf zf] iopl 0  long64\n");
	has(f, "regs eax", "eax 0x1\n");
	has(f, "regs rax 0x1234", "rax 0x");
	assert_int_equal(fake_stub_count(&f->stub, "P0=3412000000000000"), 1);
	has(f, "disas rip 4", "start_kernel:\n=> 0xffffffff81000010  48 89 e5                mov     rbp, rsp\n");
	has(f, "disas rip 4", "call    0xffffffff81000000 <_text>\n");
	has(f, "disas rip 4", "mov     eax, dword ptr [rax+r9]\n");
	has(f, "mem 0x1ff0 16", "0x00001ff0  00 00 00 00 00 00 00 00  63 20 00 00 00 00 00 00  ........c ......\n");
	has(f, "mem -u 8 0x2ff0 8", "0x00002ff0  0000000000003063\n");
	has(f, "xlate 0xffffffff81001234", "PML4E 0x1ff8: 0x0000000000002063  P RW A D\n");
	has(f, "xlate 0xffffffff81001234", "physical 0x8234  page of 4K  rw--\n");
	has(f, "pagetables",
	    "0xffffffff81000000-0xffffffff81001000      4K  r-x--  4K\n"
	    "0xffffffff81001000-0xffffffff81002000      4K  rw--g  4K\n");
	has(f, "break -n first _text", "first 0xffffffff81000000 eXecute (1) <_text>\n");
	has(f, "b", "first 0xffffffff81000000");
	has(f, "msr efer", "c0000080 efer  0000000000000d01\n");
	/* the most frequent first, what never was not at all */
	assert_string_equal(said(f, "stats", OUTCOME_DONE),
			    "hlt                         90\ncpuid                        7\n");
	has(f, "symbols start_kernel+4", "0xffffffff81000014 <start_kernel+0x4>\n");
	has(f, "delete first", "");
	assert_string_equal(said(f, "break", OUTCOME_DONE), "no breakpoints\n");
	has(f, "# nothing", "");
	has(f, "", "");
}

static void test_outcomes(void **state)
{
	static const struct {
		const char *line;
		enum outcome outcome;
	} lines[] = {{"nothing", OUTCOME_USAGE},
		     {"mem", OUTCOME_USAGE},
		     {"mem nowhere", OUTCOME_USAGE},
		     {"mem 0x7000 16", OUTCOME_FAILED},
		     {"mem -u 3 0", OUTCOME_USAGE},
		     {"mem 0 2M", OUTCOME_USAGE},
		     {"mem -x 0", OUTCOME_USAGE},
		     {"regs nothing", OUTCOME_USAGE},
		     {"regs rax 1 2", OUTCOME_USAGE},
		     {"xlate 0", OUTCOME_FAILED},
		     {"xlate", OUTCOME_USAGE},
		     {"msr 0x10", OUTCOME_FAILED},
		     {"msr 0x100000000", OUTCOME_USAGE},
		     {"break 0x1000", OUTCOME_FAILED},
		     {"break 1 2", OUTCOME_USAGE},
		     {"watch 1 0", OUTCOME_USAGE},
		     {"delete nothing", OUTCOME_FAILED},
		     {"delete", OUTCOME_USAGE},
		     {"step 0", OUTCOME_USAGE},
		     {"disas rip 0", OUTCOME_USAGE},
		     {"search 0 1", OUTCOME_USAGE},
		     {"search 0 1 zz", OUTCOME_USAGE},
		     {"config check", OUTCOME_USAGE},
		     {"config check /nothing.dtb", OUTCOME_FAILED},
		     {"help nothing", OUTCOME_USAGE},
		     {"mem 'open", OUTCOME_USAGE},
		     {"symbols -f /nothing", OUTCOME_FAILED},
		     {"monitor", OUTCOME_USAGE}};
	struct fixture *f = *state;

	for (unsigned i = 0; i < ARRAY_SIZE(lines); i++) {
		enum outcome outcome = shell_line(&f->shell, lines[i].line);

		if (outcome != lines[i].outcome)
			fail_msg("%s: %d", lines[i].line, outcome);
	}
}

static json_t *json_of(struct fixture *f, const char *line, enum outcome outcome)
{
	const char *text = said(f, line, outcome);
	json_error_t error;
	json_t *json = json_loads(text, 0, &error);

	if (!json)
		fail_msg("%s: %s: %s", line, error.text, text);
	return json;
}

static void test_json(void **state)
{
	struct fixture *f = *state;
	json_t *json = json_of(f, "regs", OUTCOME_DONE);

	assert_string_equal(json_string_value(json_object_get(json, "verb")), "regs");
	assert_string_equal(json_string_value(json_object_get(json, "rip")), "0xffffffff81000010");
	assert_string_equal(json_string_value(json_object_get(json, "symbol")), "start_kernel");
	assert_string_equal(json_string_value(json_object_get(json, "mode")), "long64");
	json_decref(json);
	json = json_of(f, "disas rip 2", OUTCOME_DONE);
	assert_int_equal(json_array_size(json_object_get(json, "code")), 2);
	json_decref(json);
	json = json_of(f, "stats", OUTCOME_DONE);
	assert_int_equal(json_integer_value(json_object_get(json_object_get(json, "counters"), "hlt")), 90);
	json_decref(json);
	json = json_of(f, "mem 0x7000", OUTCOME_FAILED);
	json_t *error = json_object_get(json, "error");
	assert_string_equal(json_string_value(json_object_get(error, "status")), "unmapped");
	assert_non_null(json_object_get(error, "text"));
	json_decref(json);
	json = json_of(f, "nothing", OUTCOME_USAGE);
	assert_non_null(json_object_get(json, "error"));
	json_decref(json);
}

static void test_script(void **state)
{
	static const char good[] = "# one\nregs rax\n\nquit\nregs rbx\n", bad[] = "nothing\nregs rbx\n";
	struct fixture *f = *state;
	FILE *file = fmemopen((void *)good, sizeof(good) - 1, "r");

	assert_int_equal(shell_script(&f->shell, file), OUTCOME_DONE);
	fclose(file);
	fflush(f->shell.out.to);
	assert_string_equal(f->text, "rax 0x1\n");
	/* the first failure ends it */
	f->shell.quit = false;
	file = fmemopen((void *)bad, sizeof(bad) - 1, "r");
	assert_int_equal(shell_script(&f->shell, file), OUTCOME_USAGE);
	fclose(file);
	assert_string_equal(f->text, "rax 0x1\n");
}

static void check_completion(struct fixture *f, const char *text, const char *expected, size_t expected_prefix)
{
	struct completions found;
	char words[256] = "";
	size_t prefix;

	complete_find(&f->shell, text, &found, &prefix);
	for (size_t i = 0; i < found.count && strlen(words) < 200; i++)
		sprintf(words + strlen(words), "%s%s", i ? " " : "", found.word[i]);
	completions_free(&found);
	assert_string_equal(words, expected);
	assert_int_equal(prefix, expected_prefix);
}

static void test_completion(void **state)
{
	struct fixture *f = *state;

	check_completion(f, "re", "regs", 2);
	check_completion(f, "st", "stats step stop", 2);
	check_completion(f, "help xl", "xlate", 2);
	check_completion(f, "regs rs", "rsi rsp", 2);
	check_completion(f, "mem rsp+st", "star start_kernel", 2);
	check_completion(f, "break -", "-c -h -n", 1);
	has(f, "break -n first _text", "first");
	check_completion(f, "delete ", "all first", 0);
	check_completion(f, "nothing x", "", 1);
}

static void test_generated(void **state)
{
	struct fixture *f = *state;
	const struct verb *verb;
	char expected[64];

	generate_completion(f->shell.out.to);
	generate_manual(f->shell.out.to);
	fflush(f->shell.out.to);
	for (unsigned i = 0; (verb = verb_at(i)); i++) {
		snprintf(expected, sizeof(expected), " %s", verb->name);
		assert_non_null(strstr(f->text, expected));
		snprintf(expected, sizeof(expected), ".BR %s", verb->name);
		assert_non_null(strstr(f->text, expected));
	}
}

static void test_no_target(void **state)
{
	struct fixture *f = *state;

	f->shell.target = "unix:/nothing";
	assert_int_equal(shell_attach(&f->shell, 0, 100), OUTCOME_NO_TARGET);
	f->shell.target = "nothing";
	assert_int_equal(shell_attach(&f->shell, 0, 100), OUTCOME_USAGE);
	f->shell.target = NULL;
	assert_int_equal(shell_attach(&f->shell, 0, 100), OUTCOME_USAGE);
	assert_int_equal(shell_line(&f->shell, "regs"), OUTCOME_FAILED);
	has(f, "help", "  regs ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_options),
		cmocka_unit_test(test_verbs),
		cmocka_unit_test_setup_teardown(test_expressions, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_bytes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_symbols, set_up_alone, tear_down),
		cmocka_unit_test_setup_teardown(test_symbol_files, set_up_alone, tear_down),
		cmocka_unit_test(test_targets),
		cmocka_unit_test(test_code),
		cmocka_unit_test(test_descriptors),
		cmocka_unit_test_setup_teardown(test_text, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_outcomes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_json, set_up_json, tear_down),
		cmocka_unit_test_setup_teardown(test_script, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_completion, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_generated, set_up_alone, tear_down),
		cmocka_unit_test_setup_teardown(test_no_target, set_up_alone, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
