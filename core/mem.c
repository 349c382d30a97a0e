/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest's memory as its vCPU sees it: segmentation, the guest's page tables, and which physical addresses our own
 * code may touch. Must not know why anybody looks, nor how a vendor keeps the registers.
 */
#include <undercroft/mem.h>

#include <string.h>

#include <undercroft/a20.h>
#include <undercroft/errno.h>
#include <undercroft/machine.h>
#include <undercroft/platform.h>
#include <undercroft/vcpu.h>
#include <undercroft/vm.h>
#include <x86/cr.h>
#include <x86/flags.h>

enum { VECTOR_SS = 12, VECTOR_GP = 13, VECTOR_PF = 14 };

/* APM vol. 2, "Page-Translation-Table Entry Fields" (5.4) */
#define ENTRY_P	       0x001ull
#define ENTRY_RW       0x002ull
#define ENTRY_US       0x004ull
#define ENTRY_A	       0x020ull
#define ENTRY_D	       0x040ull
#define ENTRY_PS       0x080ull
#define ENTRY_NX       (1ull << 63)
#define ENTRY_FRAME    0x000ffffffffff000ull
#define ENTRY_FRAME_32 0xfffff000ull

/* APM vol. 2, "#PF: Page-Fault Exception (Vector 14)" (8.2.15), error code */
#define PF_P	0x01u
#define PF_RW	0x02u
#define PF_US	0x04u
#define PF_RSVD 0x08u
#define PF_ID	0x10u

#define LEVELS_MAX 5

/* Attempts to set A and D bits in entries that something else keeps changing meanwhile. */
#define UPDATE_ATTEMPTS 8

/* Real mode's memory, and where the firmware's code can be read. */
#define CONVENTIONAL_END 0xa0000ull
#define LOW_ROM_START	 0xc0000ull
#define LOW_ROM_END	 0x100000ull
#define HIGH_ROM_START	 0xffff0000ull
#define HIGH_ROM_END	 0x100000000ull

static bool within(gpa_t gpa, size_t length, gpa_t start, gpa_t end)
{
	return gpa >= start && gpa < end && length <= end - gpa;
}

static bool type_is_ram(uint32_t type)
{
	return type == MEMORY_USABLE || type == MEMORY_ACPI_RECLAIM || type == MEMORY_ACPI_NVS;
}

/* Every byte lies in a range that is memory, and none in one that is not: the firmware's map may overlap itself. */
static bool map_says_ram(const struct memory_map *map, gpa_t gpa, size_t length)
{
	gpa_t end = gpa + length, covered = gpa;
	bool grown = true;

	for (uint32_t i = 0; i < map->count; i++) {
		const struct memory_range *r = &map->range[i];

		if (!type_is_ram(r->type) && r->length && r->base < end &&
		    (r->base >= gpa || gpa - r->base < r->length))
			return false;
	}
	/* The ranges are in no order; each round covers at least one more of those that count. */
	while (grown) {
		grown = false;
		for (uint32_t i = 0; i < map->count; i++) {
			const struct memory_range *r = &map->range[i];
			uint64_t rest;

			if (!type_is_ram(r->type) || r->base > covered || covered - r->base >= r->length)
				continue;
			rest = r->length - (covered - r->base);
			if (rest >= end - covered)
				return true;
			covered += rest;
			grown = true;
		}
	}
	return false;
}

void *mem_gpa_pointer(struct vm *vm, gpa_t gpa, size_t length)
{
	gpa = a20_address(vm, gpa);
	if (gpa + length < gpa || gpa + length > vm->physical_limit || vm_hides(vm, gpa, length))
		return NULL;
	/* Conventional memory is memory, whatever parts of it the firmware keeps for itself (EBDA). */
	if (!within(gpa, length, 0, CONVENTIONAL_END) && !map_says_ram(&vm->machine->memory, gpa, length))
		return NULL;
	return vm->platform->ops->phys_map(vm->platform, gpa, length);
}

const void *mem_gpa_readable(struct vm *vm, gpa_t gpa, size_t length)
{
	if (!within(gpa, length, LOW_ROM_START, LOW_ROM_END) && !within(gpa, length, HIGH_ROM_START, HIGH_ROM_END))
		return mem_gpa_pointer(vm, gpa, length);
	if (vm_hides(vm, gpa, length))
		return NULL;
	return vm->platform->ops->phys_map(vm->platform, gpa, length);
}

static struct mode_state state_of(struct vcpu *vcpu)
{
	const struct backend_ops *backend = vcpu->backend;

	return (struct mode_state){
		.cr0 = backend->reg_get(vcpu, REG_CR0),
		.cr4 = backend->reg_get(vcpu, REG_CR4),
		.efer = backend->reg_get(vcpu, REG_EFER),
		.rflags = vcpu->rflags,
		.cs_attributes = (uint16_t)vcpu->code_flags,
	};
}

/* Sign-extension holds from this bit upwards. APM vol. 2, "Canonicalization" (5.3.1) */
static bool is_canonical(gva_t address, enum paging_mode paging)
{
	unsigned unused = paging == PAGING_5_LEVEL ? 64 - 57 : 64 - 48;

	return (uint64_t)((int64_t)(address << unused) >> unused) == address;
}

static int fault_protection(struct mem_fault *fault, uint8_t vector)
{
	*fault = (struct mem_fault){.vector = vector};
	return -EFAULT;
}

/* One kind of page table: how its levels count. */
struct table_format {
	unsigned levels;
	unsigned index_bits; /* per level */
	unsigned entry_size; /* bytes */
};

static const struct table_format table_format[PAGING_COUNT] = {
	[PAGING_32] = {2, 10, 4},
	[PAGING_PAE] = {3, 9, 8},
	[PAGING_4_LEVEL] = {4, 9, 8},
	[PAGING_5_LEVEL] = {5, 9, 8},
};

struct walk {
	struct vcpu *vcpu;
	struct mode_state state;
	enum paging_mode paging;
	uint64_t cr3;
	gva_t address;
	unsigned access;
	bool user, implicit;
	/* What was found: entries from the root, their places, the permissions that all of them grant. */
	unsigned depth, level; /* level: of the last one, the leaf if there is none missing */
	uint64_t entry[LEVELS_MAX];
	void *place[LEVELS_MAX]; /* NULL: not ours to write, or nothing to write */
	uint64_t permissions;	 /* ENTRY_RW and ENTRY_US of all, ENTRY_NX of any */
	gpa_t gpa;
};

static int walk_fault(const struct walk *w, uint32_t error, struct mem_fault *fault)
{
	bool nx = w->paging != PAGING_32 && (w->state.efer & EFER_NXE);

	if (w->access == ACCESS_WRITE)
		error |= PF_RW;
	if (w->user)
		error |= PF_US;
	if (w->access == ACCESS_EXEC && (nx || (w->state.cr4 & CR4_SMEP)))
		error |= PF_ID;
	*fault = (struct mem_fault){.vector = VECTOR_PF, .error = error, .address = w->address};
	return -EFAULT;
}

static uint64_t entry_load(const void *place, unsigned size)
{
	return size == 4 ? __atomic_load_n((const uint32_t *)place, __ATOMIC_RELAXED)
			 : __atomic_load_n((const uint64_t *)place, __ATOMIC_RELAXED);
}

/* Levels count from the leaf side: 1 is the page table. */
static bool entry_is_leaf(const struct walk *w, uint64_t entry, unsigned level)
{
	if (level == 1)
		return true;
	if (!(entry & ENTRY_PS))
		return false;
	switch (w->paging) {
	case PAGING_32:
		return w->state.cr4 & CR4_PSE;
	case PAGING_PAE:
		return level == 2;
	case PAGING_4_LEVEL:
	case PAGING_5_LEVEL:
		return level <= 3;
	case PAGING_NONE:
	case PAGING_COUNT:
	default:
		return false;
	}
}

/*
 * Bits that have to be zero. APM vol. 2, "Legacy-Mode Page Translation" (5.2), "Long-Mode Page Translation" (5.3);
 * SDM vol. 3, "Paging" (4.3, 4.4, 4.5): reserved bits.
 */
static uint64_t entry_reserved(const struct walk *w, unsigned level, bool leaf)
{
	struct vm *vm = w->vcpu->vm;
	uint64_t frame_reserved = ENTRY_FRAME & ~(vm->physical_limit - 1), reserved;
	unsigned page_bits = 12 + (level - 1) * table_format[w->paging].index_bits;

	if (w->paging == PAGING_32) {
		/* PSE-36: bits 20..13 of a large page's entry are bits 39..32 of its address, as far as they exist. */
		if (level == 2 && leaf)
			return (1ull << 21) | (((frame_reserved >> 32) & 0xff) << 13);
		return 0;
	}
	reserved = frame_reserved;
	if (w->paging == PAGING_PAE) {
		reserved |= 0x7ffull << 52;
		/*
		 * A page directory pointer has no permissions and no accessed bit. QEMU 7.2 sets the latter all the
		 * same (target/i386/tcg/sysemu/excp_helper.c:250), so it has to be taken.
		 */
		if (level == 3)
			return reserved | ENTRY_NX | 0x1c6;
	}
	if (!(w->state.efer & EFER_NXE))
		reserved |= ENTRY_NX;
	if (leaf && level > 1)
		reserved |= ((1ull << page_bits) - 1) & ENTRY_FRAME & ~(1ull << 12); /* bit 12 is PAT */
	if (!leaf && level >= 4)
		reserved |= ENTRY_PS;
	return reserved;
}

static gpa_t leaf_frame(const struct walk *w, uint64_t entry, unsigned level)
{
	uint64_t offset = (1ull << (12 + (level - 1) * table_format[w->paging].index_bits)) - 1;

	if (w->paging == PAGING_32 && level == 2)
		return (entry & 0xffc00000) | ((entry >> 13 & 0xff) << 32) | (w->address & offset);
	return (entry & ENTRY_FRAME & ~offset) | (w->address & offset);
}

/* From CR3 down to the page. Bounded by the number of levels, whatever the tables point at. */
static int walk_tables(struct walk *w, struct mem_fault *fault)
{
	const struct table_format *f = &table_format[w->paging];
	struct vm *vm = w->vcpu->vm;
	gpa_t table = w->cr3 & (w->paging == PAGING_32 ? ENTRY_FRAME_32 : ENTRY_FRAME);

	if (w->paging == PAGING_PAE)
		table = w->cr3 & 0xffffffe0;
	w->depth = 0;
	w->permissions = ENTRY_RW | ENTRY_US;
	for (unsigned level = f->levels;; level--) {
		unsigned shift = 12 + (level - 1) * f->index_bits;
		gpa_t at = table + (w->address >> shift & ((1u << f->index_bits) - 1)) * f->entry_size;
		void *place = mem_gpa_pointer(vm, at, f->entry_size);
		const void *readable = place ? place : mem_gpa_readable(vm, at, f->entry_size);
		bool pdpte = w->paging == PAGING_PAE && level == 3, leaf;
		uint64_t entry = f->entry_size == 4 ? UINT32_MAX : UINT64_MAX;

		w->level = level;
		if (readable)
			entry = entry_load(readable, f->entry_size);
		if (!(entry & ENTRY_P))
			return walk_fault(w, 0, fault);
		leaf = entry_is_leaf(w, entry, level);
		if (entry & entry_reserved(w, level, leaf))
			return walk_fault(w, PF_P | PF_RSVD, fault);
		w->entry[w->depth] = entry;
		w->place[w->depth++] = pdpte ? NULL : place;
		if (!pdpte) {
			w->permissions &= entry | ENTRY_NX;
			if (w->paging != PAGING_32)
				w->permissions |= entry & ENTRY_NX;
		}
		if (leaf) {
			w->gpa = leaf_frame(w, entry, level);
			return 0;
		}
		table = entry & (f->entry_size == 4 ? ENTRY_FRAME_32 : ENTRY_FRAME);
	}
}

/* APM vol. 2, "Page-Protection Checks" (5.6); SDM vol. 3, "Access Rights" (4.6) */
static bool walk_allows(const struct walk *w)
{
	bool user_page = w->permissions & ENTRY_US, writable = w->permissions & ENTRY_RW;

	if (w->user && !user_page)
		return false;
	if (w->access == ACCESS_EXEC)
		return !(w->permissions & ENTRY_NX) && (w->user || !user_page || !(w->state.cr4 & CR4_SMEP));
	if (!w->user && user_page && (w->state.cr4 & CR4_SMAP) && (w->implicit || !(w->state.rflags & X86_FLAGS_AC)))
		return false;
	return w->access != ACCESS_WRITE || writable || (!w->user && !(w->state.cr0 & CR0_WP));
}

/* Sets the A bits and, for writes, the D bit. False: an entry is no longer what the walk saw. */
static bool walk_update(const struct walk *w)
{
	unsigned size = table_format[w->paging].entry_size;

	for (unsigned i = 0; i < w->depth; i++) {
		uint64_t was = w->entry[i], now = was | ENTRY_A;

		if (i == w->depth - 1 && w->access == ACCESS_WRITE)
			now |= ENTRY_D;
		if (now == was || !w->place[i])
			continue;
		if (size == 4) {
			uint32_t expected = (uint32_t)was;

			if (!__atomic_compare_exchange_n((uint32_t *)w->place[i], &expected, (uint32_t)now, false,
							 __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
				return false;
		} else if (!__atomic_compare_exchange_n((uint64_t *)w->place[i], &was, now, false, __ATOMIC_SEQ_CST,
							__ATOMIC_RELAXED)) {
			return false;
		}
	}
	return true;
}

/* Prepares a walk for an address. Returns 0, or -EFAULT with *fault: it is not canonical. */
static int walk_prepare(struct walk *w, gva_t address, struct mem_fault *fault)
{
	w->state = state_of(w->vcpu);
	w->paging = mode_paging(&w->state);
	w->address = address;
	if (!(w->state.efer & EFER_LMA))
		w->address = address & 0xffffffff;
	else if (!is_canonical(address, w->paging))
		return fault_protection(fault, VECTOR_GP);
	return 0;
}

/* How much around an address that is not canonical is neither, as a page whose size is a power of two. */
static uint64_t gap_size(gva_t address)
{
	uint64_t magnitude = address >> 63 ? ~address : address;

	return 1ull << (63 - (unsigned)__builtin_clzll(magnitude));
}

int mem_lookup(struct vcpu *vcpu, uint64_t cr3, gva_t address, struct mem_mapping *out)
{
	struct walk w = {.vcpu = vcpu, .cr3 = cr3, .access = ACCESS_READ};
	struct mem_fault fault;
	uint64_t page_size;
	int error;

	if (walk_prepare(&w, address, &fault)) {
		*out = (struct mem_mapping){.page_size = gap_size(address)};
		return -EFAULT;
	}
	if (w.paging == PAGING_NONE) {
		*out = (struct mem_mapping){w.address, PAGE_SIZE, true, true, true};
		return 0;
	}
	error = walk_tables(&w, &fault);
	page_size = 1ull << (12 + (w.level - 1) * table_format[w.paging].index_bits);
	if (error) {
		*out = (struct mem_mapping){.page_size = page_size};
		return error;
	}
	*out = (struct mem_mapping){
		.gpa = w.gpa,
		.page_size = page_size,
		.writable = w.permissions & ENTRY_RW,
		.user = w.permissions & ENTRY_US,
		.executable = !(w.permissions & ENTRY_NX),
	};
	return 0;
}

int mem_translate(struct vcpu *vcpu, gva_t address, unsigned access, gpa_t *gpa, struct mem_fault *fault)
{
	struct walk w = {.vcpu = vcpu, .access = access & ~MEM_IMPLICIT, .implicit = access & MEM_IMPLICIT};

	if (walk_prepare(&w, address, fault))
		return -EFAULT;
	if (w.paging == PAGING_NONE) {
		*gpa = w.address;
		return 0;
	}

	w.cr3 = vcpu->backend->reg_get(vcpu, REG_CR3);
	w.user = !w.implicit && vcpu->backend->reg_get(vcpu, REG_CPL) == 3;
	for (unsigned i = 0; i < UPDATE_ATTEMPTS; i++) {
		int error = walk_tables(&w, fault);

		if (error)
			return error;
		if (!walk_allows(&w))
			return walk_fault(&w, PF_P, fault);
		if (walk_update(&w))
			break;
	}
	*gpa = w.gpa;
	return 0;
}

/* The one or two pages of an access. */
struct span {
	unsigned count;
	struct {
		gpa_t gpa;
		size_t length;
	} part[2];
};

static int span_translate(struct vcpu *vcpu, gva_t address, size_t length, unsigned access, struct span *span,
			  struct mem_fault *fault)
{
	size_t room = PAGE_SIZE - (address & (PAGE_SIZE - 1));

	span->count = 0;
	while (length) {
		size_t part = length < room ? length : room;
		int error = mem_translate(vcpu, address, access, &span->part[span->count].gpa, fault);

		if (error)
			return error;
		span->part[span->count++].length = part;
		address += part;
		length -= part;
		room = PAGE_SIZE;
	}
	return 0;
}

int mem_read(struct vcpu *vcpu, gva_t address, void *buffer, size_t length, unsigned access, struct mem_fault *fault)
{
	struct span span;
	uint8_t *to = buffer;
	int error = span_translate(vcpu, address, length, access, &span, fault);

	if (error)
		return error;
	for (unsigned i = 0; i < span.count; i++) {
		const void *from = mem_gpa_readable(vcpu->vm, span.part[i].gpa, span.part[i].length);

		if (from)
			memcpy(to, from, span.part[i].length);
		else
			memset(to, 0xff, span.part[i].length);
		to += span.part[i].length;
	}
	return 0;
}

static int write(struct vcpu *vcpu, gva_t address, const void *buffer, size_t length, unsigned access,
		 struct mem_fault *fault)
{
	struct span span;
	const uint8_t *from = buffer;
	int error = span_translate(vcpu, address, length, access, &span, fault);

	if (error)
		return error;
	for (unsigned i = 0; i < span.count; i++) {
		void *to = mem_gpa_pointer(vcpu->vm, span.part[i].gpa, span.part[i].length);

		if (to)
			memcpy(to, from, span.part[i].length);
		from += span.part[i].length;
	}
	return 0;
}

int mem_write(struct vcpu *vcpu, gva_t address, const void *buffer, size_t length, struct mem_fault *fault)
{
	return write(vcpu, address, buffer, length, ACCESS_WRITE, fault);
}

int mem_write_implicit(struct vcpu *vcpu, gva_t address, const void *buffer, size_t length, struct mem_fault *fault)
{
	return write(vcpu, address, buffer, length, ACCESS_WRITE | MEM_IMPLICIT, fault);
}

/* Types of data and code segments. APM vol. 2, "Code- and Data-Segment Descriptors" (4.8.1) and (4.8.2) */
#define TYPE_WRITABLE_OR_READABLE 0x2u
#define TYPE_EXPAND_DOWN	  0x4u

/* May a protected-mode segment be used like this? */
static bool segment_allows(const struct segment *s, unsigned access)
{
	bool code = s->attributes & SEG_ATTR_CODE, flag = s->attributes & TYPE_WRITABLE_OR_READABLE;

	if ((s->attributes & (SEG_ATTR_PRESENT | SEG_ATTR_S)) != (SEG_ATTR_PRESENT | SEG_ATTR_S))
		return false;
	switch (access) {
	case ACCESS_EXEC:
		return code;
	case ACCESS_WRITE:
		return !code && flag;
	default:
		return !code || flag;
	}
}

static bool segment_reaches(const struct segment *s, uint64_t first, uint64_t last)
{
	bool down = !(s->attributes & SEG_ATTR_CODE) && (s->attributes & TYPE_EXPAND_DOWN);

	if (!down)
		return last <= s->limit;
	return first > s->limit && last <= (s->attributes & SEG_ATTR_DB ? 0xffffffffu : 0xffffu);
}

int mem_linear(struct vcpu *vcpu, enum seg seg, uint64_t offset, size_t length, unsigned access, gva_t *linear,
	       struct mem_fault *fault)
{
	struct mode_state state = state_of(vcpu);
	enum cpu_mode mode = mode_classify(&state);
	uint8_t vector = seg == SEG_SS ? VECTOR_SS : VECTOR_GP;
	uint64_t extent = length ? length - 1 : 0;
	struct segment s;

	vcpu->backend->seg_get(vcpu, seg, &s);
	if (mode == MODE_LONG64) {
		enum paging_mode paging = mode_paging(&state);
		gva_t address = offset + (seg == SEG_FS || seg == SEG_GS ? s.base : 0);

		if (!is_canonical(address, paging) || !is_canonical(address + extent, paging))
			return fault_protection(fault, vector);
		*linear = address;
		return 0;
	}

	offset &= 0xffffffff;
	/* Real and virtual-8086 mode have limits, but no types. */
	if (mode == MODE_REAL || mode == MODE_V8086)
		s.attributes &= (uint16_t)~SEG_ATTR_TYPE;
	else if (!segment_allows(&s, access))
		return fault_protection(fault, vector);
	if (!segment_reaches(&s, offset, offset + extent))
		return fault_protection(fault, vector);
	*linear = (s.base + offset) & 0xffffffff;
	return 0;
}
