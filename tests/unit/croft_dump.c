/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libcroft's dumps, against the hypervisor's own half of them: core/control/bulk.c on a VM on the fakes. What the rest
 * of the library does is this test's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/libcroft/croft.h"
#include "client/libcroft/unlz4.h"
#include "core/control/bulk.h"
#include "core/debug/debug.h"
#include "tests/fakes/fake_link.h"
#include "tests/unit/spine.h"

/* The machine: 16 MiB with a hole, ROM, an end within a page, and 1 MiB that the map has but nobody can read. */
#define LOW_END	     0x9fc00ull
#define HIGH_END     (SPINE_MEMORY - 0x800)
#define PAGES	     (0xa0 + (SPINE_MEMORY - MIB(1)) / PAGE_SIZE)
#define HIDDEN_PAGES 256u

struct croft_vm {
	bool running;
	unsigned runs;
	size_t cut_at;	       /* bytes to be read until the line is lost; 0: never */
	size_t reads;	       /* bytes read so far */
	void (*on_read)(void); /* the guest goes on */
	int spoil;	       /* this byte of the answers is wrong; -1: none */
	unsigned pumps;
};

static struct {
	struct spine spine;
	struct debug debug;
	struct fake_link link;
	struct bulk bulk;
	struct croft_vm vm;
	struct croft_dump dump;
	struct croft_dump_result result;
	struct croft_error error;
	char folder[64], path[80], cache[80];
	uint8_t expected[SPINE_MEMORY]; /* what a dump shows */
} bench;

/* --- the rest of the library --- */

enum croft_status croft_bulk_write(struct croft_vm *vm, const void *data, size_t length, struct croft_error *error)
{
	(void)vm;
	(void)error;
	/* the queue is used anew when all has been taken */
	if (bench.link.in_read == bench.link.in_count)
		bench.link.in_read = bench.link.in_count = 0;
	fake_link_say(&bench.link, data, length);
	return CROFT_OK;
}

static enum croft_status fail_with(struct croft_error *error, enum croft_status status)
{
	if (error)
		*error = (struct croft_error){.status = status, .text = "the test says so"};
	return status;
}

enum croft_status croft_bulk_read(struct croft_vm *vm, void *buffer, size_t size, unsigned timeout_ms, size_t *done,
				  struct croft_error *error)
{
	assert_true(timeout_ms > 0);
	if (vm->cut_at && vm->reads >= vm->cut_at)
		return fail_with(error, CROFT_ERROR_LOST);
	if (vm->on_read)
		vm->on_read();
	do
		bulk_poll(&bench.bulk);
	while (!bench.link.out_count && (bulk_is_busy(&bench.bulk) || bench.link.in_read < bench.link.in_count));
	if (!bench.link.out_count)
		return fail_with(error, CROFT_ERROR_TIMEOUT);
	if (size > bench.link.out_count)
		size = bench.link.out_count;
	memcpy(buffer, bench.link.out, size);
	memmove(bench.link.out, bench.link.out + size, bench.link.out_count - size);
	bench.link.out_count -= size;
	if (vm->spoil >= 0 && (size_t)vm->spoil >= vm->reads && (size_t)vm->spoil < vm->reads + size)
		((uint8_t *)buffer)[(size_t)vm->spoil - vm->reads] ^= 0x81;
	vm->reads += size;
	*done = size;
	return CROFT_OK;
}

enum croft_status croft_memory_map(struct croft_vm *vm, struct croft_range **ranges, size_t *count,
				   struct croft_error *error)
{
	/* as a firmware may tell it: in no order, and over each other */
	static const struct croft_range map[] = {
		{MIB(8), HIGH_END - MIB(8), true},
		{0, LOW_END, true},
		{0xf0000, 0x10000, false},
		{MIB(1), MIB(8), true},
		{MIB(2), KIB(4), true},
	};

	(void)vm;
	(void)error;
	*ranges = malloc(sizeof(map));
	memcpy(*ranges, map, sizeof(map));
	*count = ARRAY_SIZE(map);
	return CROFT_OK;
}

bool croft_vm_is_running(const struct croft_vm *vm)
{
	return vm->running;
}

enum croft_status croft_vm_run(struct croft_vm *vm, struct croft_error *error)
{
	(void)error;
	vm->running = true;
	vm->runs++;
	return CROFT_OK;
}

enum croft_status croft_vm_pump(struct croft_vm *vm, unsigned timeout_ms, struct croft_error *error)
{
	(void)error;
	assert_int_equal(timeout_ms, 0);
	vm->pumps++;
	return CROFT_OK;
}

struct croft_cpu *croft_vm_cpu(struct croft_vm *vm)
{
	return (struct croft_cpu *)(void *)vm;
}

enum croft_status croft_cpu_load(struct croft_cpu *cpu, unsigned groups, struct croft_error *error)
{
	(void)cpu;
	(void)groups;
	(void)error;
	return CROFT_OK;
}

/* Each register has a value that tells its name. */
static uint64_t value_of(const char *name)
{
	uint64_t value = 0;

	memcpy(&value, name, strlen(name) < sizeof(value) ? strlen(name) : sizeof(value));
	return value;
}

enum croft_status croft_cpu_read(struct croft_cpu *cpu, const char *name, uint64_t *value, struct croft_error *error)
{
	(void)cpu;
	(void)error;
	*value = value_of(name);
	return CROFT_OK;
}

enum croft_status croft_cpu_segment(struct croft_cpu *cpu, const char *name, struct croft_segment *segment,
				    struct croft_error *error)
{
	(void)cpu;
	(void)error;
	*segment = (struct croft_segment){
		.selector = 0x10, .attributes = 0xa9b, .limit = 0xffffffff, .base = value_of(name) << 32};
	return CROFT_OK;
}

/* --- the bench --- */

static uint8_t *memory(uint64_t page)
{
	return fake_memory_at(&bench.spine.fake.platform, page * PAGE_SIZE, PAGE_SIZE);
}

static void fill_random(uint64_t page, uint32_t seed, unsigned values)
{
	uint8_t *bytes = memory(page);

	for (size_t i = 0; i < PAGE_SIZE; i++) {
		seed = seed * 1664525u + 1013904223u;
		bytes[i] = (uint8_t)((seed >> 8) % values);
	}
}

static void path_make(char *path, size_t size, const char *name)
{
	assert_true((size_t)snprintf(path, size, "%s/%s", bench.folder, name) < size);
}

static int setup(void **state)
{
	(void)state;
	memset(&bench, 0, sizeof(bench));
	strcpy(bench.folder, "/tmp/croft-dump-XXXXXX");
	if (!mkdtemp(bench.folder))
		return -1;
	path_make(bench.path, sizeof(bench.path), "dump");
	path_make(bench.cache, sizeof(bench.cache), "cache");
	spine_init(&bench.spine);
	debug_init(&bench.spine.fake.vcpu.vcpu, &bench.debug);
	fake_link_init(&bench.link, &bench.spine.fake.platform);
	bulk_init(&bench.bulk, &bench.spine.fake.vcpu.vcpu, &bench.link.link);
	bench.vm.spoil = -1;
	bench.dump = (struct croft_dump){.format = CROFT_DUMP_RAW, .path = bench.path};
	/* some of everything: what cannot be compressed, what can, what is there twice, at the ends of ranges */
	for (unsigned page = 0; page < 40; page++)
		fill_random(0x300 + page * 3, page, page % 4 ? 5 : 256);
	fill_random(0x9f, 100, 7);
	fill_random(0x100, 101, 7);
	fill_random(SPINE_MEMORY / PAGE_SIZE - 1, 102, 7);
	for (unsigned page = 0; page < 20; page++)
		fill_random(0x500 + page * 70, 103, 6);
	return 0;
}

static int teardown(void **state)
{
	static const char *const names[] = {"dump", "dump.json", "cache", "cache.map", "dump.part"};
	char path[80];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		path_make(path, sizeof(path), names[i]);
		unlink(path);
	}
	rmdir(bench.folder); /* fails if something was left behind: seen by test_nothing_is_left() */
	spine_free(&bench.spine);
	return 0;
}

static void begin(void)
{
	bulk_reset(&bench.bulk);
	bench.link.in_read = bench.link.in_count = bench.link.out_count = 0;
	bench.vm.reads = 0;
	bench.vm.running = false;
}

static enum croft_status dump(void)
{
	begin();
	return croft_dump(&bench.vm, &bench.dump, &bench.result, &bench.error);
}

static void dump_good(void)
{
	if (dump())
		fail_msg("%s", bench.error.text);
	assert_int_equal(bench.error.status, CROFT_OK);
}

/* What lies in memory, as a dump has it: hidden memory and holes are zero. */
static void take_picture(void)
{
	memcpy(bench.expected, fake_memory_at(&bench.spine.fake.platform, 0, SPINE_MEMORY), SPINE_MEMORY);
	memset(bench.expected + LOW_END, 0, MIB(1) - LOW_END);
	memset(bench.expected + SPINE_HIDDEN, 0, MIB(1));
	memset(bench.expected + HIGH_END, 0, SPINE_MEMORY - HIGH_END);
}

static uint8_t *file_read(const char *path, size_t *length)
{
	struct stat stat;
	int fd = open(path, O_RDONLY);
	uint8_t *bytes;

	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &stat), 0);
	assert_int_equal(stat.st_mode & 0777, 0600);
	*length = (size_t)stat.st_size;
	bytes = malloc(*length + 1);
	assert_int_equal(read(fd, bytes, *length), *length);
	bytes[*length] = 0;
	close(fd);
	return bytes;
}

static void check_raw(void)
{
	size_t length;
	uint8_t *bytes = file_read(bench.path, &length);

	take_picture();
	assert_int_equal(length, HIGH_END);
	assert_memory_equal(bytes, bench.expected, length);
	free(bytes);
}

static void check_absent(const char *name)
{
	char path[80];

	path_make(path, sizeof(path), name);
	assert_int_not_equal(access(path, F_OK), 0);
}

/* --- formats --- */

static void test_raw(void **state)
{
	char path[80];
	size_t length;
	uint8_t *map;

	(void)state;
	dump_good();
	check_raw();
	assert_int_equal(bench.result.pages, PAGES);
	assert_int_equal(bench.result.absent, HIDDEN_PAGES);
	assert_int_equal(bench.result.cached, 0);
	/* 40 pages, 3 at the ends, one that is there twenty times */
	assert_int_equal(bench.result.sent, 44);
	assert_int_equal(bench.result.zero, PAGES - HIDDEN_PAGES - 43 - 20);
	assert_int_equal(bench.result.inconsistent, 0);
	assert_false(bench.vm.running);
	path_make(path, sizeof(path), "dump.json");
	map = file_read(path, &length);
	assert_string_equal((char *)map, "{\n  \"format\": \"raw\",\n  \"live\": false,\n  \"ranges\": [\n"
					 "    {\"start\": 0, \"length\": 654336, \"offset\": 0},\n"
					 "    {\"start\": 1048576, \"length\": 15726592, \"offset\": 1048576}],\n"
					 "  \"absent\": [\n    {\"start\": 12582912, \"length\": 1048576}],\n"
					 "  \"inconsistent\": []\n}\n");
	free(map);
	check_absent("dump.part");
}

static void test_lime(void **state)
{
	static const uint64_t ranges[][2] = {{0, LOW_END}, {MIB(1), HIGH_END}};
	size_t length, at = 0;
	uint8_t *bytes;

	(void)state;
	bench.dump.format = CROFT_DUMP_LIME;
	dump_good();
	take_picture();
	bytes = file_read(bench.path, &length);
	for (size_t i = 0; i < ARRAY_SIZE(ranges); i++) {
		uint64_t size = ranges[i][1] - ranges[i][0], last = ranges[i][1] - 1;

		assert_in_range(length, at + 32 + size, SPINE_MEMORY);
		assert_memory_equal(bytes + at, "EMiL\1\0\0\0", 8);
		assert_memory_equal(bytes + at + 8, &ranges[i][0], 8);
		assert_memory_equal(bytes + at + 16, &last, 8);
		assert_memory_equal(bytes + at + 24, "\0\0\0\0\0\0\0", 8);
		assert_memory_equal(bytes + at + 32, bench.expected + ranges[i][0], size);
		at += 32 + size;
	}
	assert_int_equal(at, length);
	free(bytes);
	check_absent("dump.json");
}

/* A note of the guest's, at an address. Its text is as long as asked for. */
static void plant_info(uint64_t address, size_t length, char last)
{
	uint8_t *at = fake_memory_at(&bench.spine.fake.platform, address, 24 + length);
	uint32_t head[3] = {11, (uint32_t)length, 0};

	memcpy(at, head, sizeof(head));
	memcpy(at + 12, "VMCOREINFO\0", 12);
	memset(at + 24, 'x', length);
	memcpy(at + 24, "OSRELEASE=6.1\n", 14);
	at[24 + length - 1] = (uint8_t)last;
}

/* The next note; returns where its content is. */
static const uint8_t *take_note(const uint8_t **at, const char *name, uint32_t type, size_t length)
{
	Elf64_Nhdr note;
	const uint8_t *content;

	memcpy(&note, *at, sizeof(note));
	assert_int_equal(note.n_type, type);
	assert_int_equal(note.n_namesz, strlen(name) + 1);
	assert_string_equal((const char *)*at + sizeof(note), name);
	assert_int_equal(note.n_descsz, length);
	content = *at + sizeof(note) + ALIGN_UP(note.n_namesz, 4);
	*at = content + ALIGN_UP(length, 4);
	return content;
}

static void check_u64(const uint8_t *at, uint64_t expected)
{
	uint64_t value;

	memcpy(&value, at, sizeof(value));
	assert_int_equal(value, expected);
}

static void check_prstatus(const uint8_t *at)
{
	check_u64(at + 112, value_of("r15"));
	check_u64(at + 112 + 8 * 10, value_of("rax"));
	check_u64(at + 112 + 8 * 16, value_of("rip"));
	check_u64(at + 112 + 8 * 19, value_of("rsp"));
	check_u64(at + 112 + 8 * 21, value_of("fs") << 32);
	check_u64(at + 112 + 8 * 22, value_of("gs") << 32);
	check_u64(at + 112 + 8 * 26, value_of("gs"));
}

static void check_qemu(const uint8_t *at)
{
	static const uint8_t cs[16] = {0x10, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 0x9b, 0xa0, 0};
	uint32_t head[2];

	memcpy(head, at, sizeof(head));
	assert_int_equal(head[0], 1);
	assert_int_equal(head[1], 440);
	check_u64(at + 8, value_of("rax"));
	check_u64(at + 8 + 8 * 6, value_of("rsp"));
	check_u64(at + 8 + 8 * 16, value_of("rip"));
	assert_memory_equal(at + 152, cs, sizeof(cs));
	check_u64(at + 152 + 16, value_of("cs") << 32);
	check_u64(at + 152 + 24 * 8 + 16, value_of("gdtr_base"));
	check_u64(at + 392, value_of("cr0"));
	check_u64(at + 392 + 24, value_of("cr3"));
	check_u64(at + 432, value_of("k_gs_base"));
}

static void test_elf(void **state)
{
	static const uint64_t ranges[][2] = {{0, LOW_END}, {MIB(1), HIGH_END}};
	const Elf64_Phdr *segment;
	const uint8_t *at, *info;
	const Elf64_Ehdr *elf;
	size_t length;
	uint8_t *bytes;

	(void)state;
	/* the wrong ones come first: no text, and longer than memory */
	plant_info(0x200100, 60, '\1');
	plant_info(SPINE_MEMORY - PAGE_SIZE, 60, '\n');
	((uint8_t *)fake_memory_at(&bench.spine.fake.platform, SPINE_MEMORY - PAGE_SIZE, 8))[6] = 1;
	plant_info(0x340ffc - 2 * PAGE_SIZE - 1500, 3001, '\n');
	bench.dump.format = CROFT_DUMP_ELF;
	dump_good();
	assert_true(bench.result.has_vmcoreinfo);
	take_picture();
	bytes = file_read(bench.path, &length);
	elf = (const Elf64_Ehdr *)(const void *)bytes;
	assert_memory_equal(elf->e_ident, "\177ELF\2\1\1", 8);
	assert_int_equal(elf->e_type, ET_CORE);
	assert_int_equal(elf->e_machine, EM_X86_64);
	assert_int_equal(elf->e_phnum, 3);
	segment = (const Elf64_Phdr *)(const void *)(bytes + elf->e_phoff);
	assert_int_equal(segment[0].p_type, PT_NOTE);
	for (size_t i = 0; i < ARRAY_SIZE(ranges); i++) {
		assert_int_equal(segment[i + 1].p_type, PT_LOAD);
		assert_int_equal(segment[i + 1].p_paddr, ranges[i][0]);
		assert_int_equal(segment[i + 1].p_filesz, ranges[i][1] - ranges[i][0]);
		assert_int_equal(segment[i + 1].p_memsz, ranges[i][1] - ranges[i][0]);
		assert_in_range(segment[i + 1].p_offset + segment[i + 1].p_filesz, 0, length);
		assert_memory_equal(bytes + segment[i + 1].p_offset, bench.expected + ranges[i][0],
				    segment[i + 1].p_filesz);
	}
	assert_int_equal(segment[2].p_offset + segment[2].p_filesz, length);
	at = bytes + segment[0].p_offset;
	check_prstatus(take_note(&at, "CORE", NT_PRSTATUS, 336));
	check_qemu(take_note(&at, "QEMU", 0, 440));
	info = take_note(&at, "VMCOREINFO", 0, 3001);
	assert_memory_equal(info, "OSRELEASE=6.1\nxxx", 17);
	assert_int_equal(info[3000], '\n');
	assert_int_equal(at - bytes, segment[0].p_offset + segment[0].p_filesz);
	free(bytes);
}

static void test_elf_without_info(void **state)
{
	(void)state;
	bench.dump.format = CROFT_DUMP_ELF;
	dump_good();
	assert_false(bench.result.has_vmcoreinfo);
}

/* --- the cache --- */

static void test_second_dump(void **state)
{
	uint64_t first;

	(void)state;
	bench.dump.cache = bench.cache;
	dump_good();
	first = bench.result.bytes_received;
	/* the same again: hashes of groups alone, 16 bytes for each that is not zero */
	dump_good();
	check_raw();
	assert_int_equal(bench.result.sent, 0);
	assert_int_equal(bench.result.cached, 63);
	assert_in_range(bench.result.bytes_received, 1, 2000);
	assert_in_range(first, 60000, 200000);
	/* one changed, one became zero, one was zero, one is a copy of another */
	memory(0x303)[7] ^= 1;
	memset(memory(0x306), 0, PAGE_SIZE);
	memory(0xa00)[PAGE_SIZE - 1] = 1;
	memcpy(memory(0xa01), memory(0x300), PAGE_SIZE);
	dump_good();
	check_raw();
	assert_int_equal(bench.result.sent, 2);
	assert_in_range(bench.result.bytes_received, 1000, 10000);
	/* and what was before is known, too */
	memory(0x303)[7] ^= 1;
	dump_good();
	check_raw();
	assert_int_equal(bench.result.sent, 0);
}

/* Without the last map the pages are still there. */
static void test_lost_map(void **state)
{
	char path[80];

	(void)state;
	bench.dump.cache = bench.cache;
	dump_good();
	path_make(path, sizeof(path), "cache.map");
	assert_int_equal(unlink(path), 0);
	dump_good();
	check_raw();
	assert_int_equal(bench.result.sent, 0);
	assert_in_range(bench.result.bytes_received, 1000, 8000);
	/* one of another cache, or that is cut, says nothing wrong */
	assert_int_equal(truncate(path, 8 + 16 + 24 * 100 + 7), 0);
	dump_good();
	check_raw();
	assert_int_equal(unlink(bench.cache), 0);
	dump_good();
	check_raw();
	assert_int_equal(bench.result.sent, 44);
}

static void test_cut_and_resumed(void **state)
{
	uint64_t sent = 0, received = 0, whole;
	unsigned cuts = 0;

	(void)state;
	dump_good();
	whole = bench.result.bytes_received;
	assert_int_equal(unlink(bench.path), 0);
	bench.dump.cache = bench.cache;
	for (bench.vm.cut_at = whole / 8; dump(); cuts++) {
		assert_true(cuts < 20);
		assert_int_equal(bench.error.status, CROFT_ERROR_LOST);
		check_absent("dump");
		check_absent("dump.part");
		sent += bench.result.sent;
		received += bench.result.bytes_received;
	}
	assert_in_range(cuts, 7, 12);
	assert_int_equal(sent + bench.result.sent, 44);
	assert_in_range(received + bench.result.bytes_received, whole, whole * 3 / 2);
	check_raw();
}

/* A part of a page at the end of the cache, where its last user died. */
static void test_cut_cache(void **state)
{
	struct stat stat_before;

	(void)state;
	bench.dump.cache = bench.cache;
	dump_good();
	assert_int_equal(stat(bench.cache, &stat_before), 0);
	assert_int_equal(stat_before.st_size, 24 + 44 * (16 + 4096));
	assert_int_equal(truncate(bench.cache, stat_before.st_size - 100), 0);
	dump_good();
	check_raw();
	assert_int_equal(bench.result.sent, 1);
}

static void spoil_file(const char *path, off_t at)
{
	uint8_t byte;
	int fd = open(path, O_RDWR);

	assert_int_equal(pread(fd, &byte, 1, at), 1);
	byte ^= 1;
	assert_int_equal(pwrite(fd, &byte, 1, at), 1);
	close(fd);
}

static void test_damaged_cache(void **state)
{
	(void)state;
	bench.dump.cache = bench.cache;
	dump_good();
	assert_int_equal(unlink(bench.path), 0);
	/* never a wrong page: an error that says what to do */
	spoil_file(bench.cache, 24 + 16 + 1000);
	assert_int_equal(dump(), CROFT_ERROR_SYSTEM);
	assert_non_null(strstr(bench.error.text, "cache is damaged"));
	check_absent("dump");
	check_absent("dump.part");
	spoil_file(bench.cache, 24 + 16 + 1000);
	dump_good();
	check_raw();
	/* another key: nothing is known, nothing is wrong */
	spoil_file(bench.cache, 8);
	dump_good();
	check_raw();
	assert_int_equal(bench.result.sent, 44);
	/* no cache at all */
	spoil_file(bench.cache, 0);
	assert_int_equal(dump(), CROFT_ERROR_SYSTEM);
	assert_non_null(strstr(bench.error.text, "no cache"));
}

static enum croft_status inner;

static bool dump_inside(void *data, const struct croft_dump_progress *progress)
{
	(void)progress;
	if (inner == CROFT_OK) {
		struct croft_dump other = *(struct croft_dump *)data;

		other.progress = NULL;
		inner = croft_dump(&bench.vm, &other, NULL, &bench.error);
	}
	return true;
}

static void test_busy_cache(void **state)
{
	(void)state;
	bench.dump.cache = bench.cache;
	bench.dump.progress = dump_inside;
	bench.dump.data = &bench.dump;
	inner = CROFT_OK;
	dump_good();
	assert_int_equal(inner, CROFT_ERROR_BUSY);
}

/* --- a guest that runs --- */

static unsigned ticks;

/* One page always changes, one now and then, one once. */
static void guest_runs(void)
{
	assert_true(bench.vm.running);
	memory(0x700)[0] = (uint8_t)(1 + ++ticks % 200);
	if (ticks % 300 == 0)
		memory(0x701)[ticks % PAGE_SIZE] ^= 1;
	if (ticks == 60)
		memory(0x300)[5] ^= 1;
}

static void test_live(void **state)
{
	char path[80];
	size_t length;
	uint8_t *bytes, *map;

	(void)state;
	ticks = 0;
	bench.vm.on_read = guest_runs;
	bench.dump.live = true;
	dump_good();
	assert_int_equal(bench.vm.runs, 1);
	assert_true(bench.vm.running);
	assert_in_range(bench.result.inconsistent, 1, 2);
	assert_true(ticks > 60);
	path_make(path, sizeof(path), "dump.json");
	map = file_read(path, &length);
	assert_non_null(strstr((char *)map, "\"live\": true"));
	assert_non_null(strstr((char *)map, "\"inconsistent\": [\n    {\"start\": 7340032, \"length\": "));
	free(map);
	/* all but what is said to be inconsistent is as it is now */
	bytes = file_read(bench.path, &length);
	take_picture();
	memcpy(bytes + 0x700000, bench.expected + 0x700000, 2 * PAGE_SIZE);
	assert_memory_equal(bytes, bench.expected, length);
	free(bytes);
}

static void test_live_but_quiet(void **state)
{
	(void)state;
	bench.dump.live = true;
	dump_good();
	check_raw();
	assert_int_equal(bench.result.inconsistent, 0);
	assert_int_equal(bench.result.sent, 44);
}

static void test_running_is_refused(void **state)
{
	(void)state;
	bench.vm.running = true;
	assert_int_equal(croft_dump(&bench.vm, &bench.dump, &bench.result, &bench.error), CROFT_ERROR_RUNNING);
}

/* What stands for others is not what was announced: a device wrote to it. */
static void device_writes(void)
{
	if (++ticks == 300)
		memory(0x500)[9] ^= 0x40;
}

static void test_device_writes(void **state)
{
	(void)state;
	for (ticks = 0; ticks < 300;) {
		unsigned begun = ticks;

		bench.vm.on_read = device_writes;
		dump_good();
		check_raw();
		assert_true(ticks > begun);
	}
}

/* --- the caller, and a wire that lies --- */

static uint64_t progress_calls, progress_limit;

static bool count_progress(void *data, const struct croft_dump_progress *progress)
{
	assert_ptr_equal(data, &bench);
	assert_true(progress->pages_done <= progress->pages_total);
	assert_true(progress->pass >= 1);
	assert_true(progress->bytes_received <= SPINE_MEMORY);
	return ++progress_calls < progress_limit;
}

static void test_given_up(void **state)
{
	uint64_t all;

	(void)state;
	bench.dump.progress = count_progress;
	bench.dump.data = &bench;
	progress_limit = UINT64_MAX;
	progress_calls = 0;
	dump_good();
	all = progress_calls;
	assert_in_range(all, 20, 2000);
	assert_int_equal(unlink(bench.path), 0);
	for (progress_limit = 1; progress_limit <= all; progress_limit += 3) {
		progress_calls = 0;
		assert_int_equal(dump(), CROFT_ERROR_INTERRUPTED);
		assert_int_equal(progress_calls, progress_limit);
		check_absent("dump");
		check_absent("dump.part");
	}
}

static void test_spoilt_answers(void **state)
{
	unsigned refused = 0;
	size_t length;

	(void)state;
	dump_good();
	length = (size_t)bench.result.bytes_received;
	/* the key is another one each time, and so is what is spoilt; nothing may crash, and nothing may hang */
	for (size_t at = 0; at < length; at += at < 100 ? 3 : 2917) {
		bench.vm.spoil = (int)at;
		refused += dump() != CROFT_OK;
		assert_in_range(bench.error.status, CROFT_OK, CROFT_ERROR_NESTED);
	}
	assert_true(refused > 20);
}

static void test_no_folder(void **state)
{
	(void)state;
	bench.dump.path = "/nonexistent/dump";
	assert_int_equal(dump(), CROFT_ERROR_SYSTEM);
	assert_non_null(strstr(bench.error.text, "/nonexistent/dump"));
	bench.dump.path = bench.path;
	bench.dump.cache = "/nonexistent/cache";
	assert_int_equal(dump(), CROFT_ERROR_SYSTEM);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	static const struct CMUnitTest tests[] = {
		TEST(test_raw),
		TEST(test_lime),
		TEST(test_elf),
		TEST(test_elf_without_info),
		TEST(test_second_dump),
		TEST(test_lost_map),
		TEST(test_cut_and_resumed),
		TEST(test_cut_cache),
		TEST(test_damaged_cache),
		TEST(test_busy_cache),
		TEST(test_live),
		TEST(test_live_but_quiet),
		TEST(test_running_is_refused),
		TEST(test_device_writes),
		TEST(test_given_up),
		TEST(test_spoilt_answers),
		TEST(test_no_folder),
	};
#undef TEST

	return cmocka_run_group_tests(tests, NULL, NULL);
}
