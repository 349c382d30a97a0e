# SPDX-License-Identifier: BSD-2-Clause
#
# Undercroft's build. "make help" lists the targets.
#
# Every folder lists its sources per tier in its own Makefile, with paths from the root:
#   loader-y setup-y vmm-y    the three tiers of undercroft.elf
#   zydis-y                   files of the Zydis source package (vmm)
#   unit-NAME, unit-NAME-libs one hosted test program: its exact sources and libraries (tests/unit/Makefile)
#   fuzz-NAME, fuzz-NAME-libs one libFuzzer target (tests/fuzz/Makefile)

MAKEFLAGS += --no-builtin-rules --no-print-directory
SHELL     := /bin/bash
.DELETE_ON_ERROR:
.SUFFIXES:

O ?= build
ifeq ($(origin CC),default)
CC := gcc
endif
LD      := ld
OBJCOPY := objcopy
DEPS    := $(O)/deps
# for the tools: what tools/deps brought may be out of tree
export UNDERCROFT_DEPS = $(abspath $(DEPS))
V       ?= 0
ifeq ($(V),1)
Q   :=
say  = @:
else
Q   := @
say  = @printf '  %-7s %s\n' $(1) $(patsubst $(O)/%,%,$(2))
endif

.PHONY: all
all: $(O)/undercroft.elf libcroft croft

# --- targets that must work before anything is installed ------------------------------------------------------------

.PHONY: help clean distclean deps demo check check-full install
help:
	@printf '%s\n' \
	'make                build $(O)/undercroft.elf, croft and libcroft for the debugger'"'"'s computer' \
	'make demo           boot Debian from its own disk inside Undercroft (BATCH=1: to the prompt, then exit)' \
	'make check          unit and machine tests      make check-full      all of them, 6 GiB of memory included' \
	'make check-unit     unit tests alone            make check-machine   machine tests alone (K=pattern)' \
	'make image          $(O)/undercroft.img for a USB stick' \
	'make menuconfig     choose backends, links and plugins (also nconfig, X_defconfig, olddefconfig, savedefconfig)' \
	'make bench          count instructions, write docs/PERFORMANCE.md' \
	'make lint           formatting, layering, and that clang builds everything' \
	'make fuzz           all fuzzers (SECONDS_EACH=60)' \
	'make format         clang-format the tree' \
	'make deps           install what building and testing need' \
	'make install        croft, libcroft and what debuggers need, to PREFIX (/usr/local) below DESTDIR' \
	'make clean          remove what was built          make distclean  and what was downloaded' \
	'' \
	'O=DIR out of tree   CC=clang   V=1 shows the commands'

deps:
	$(Q)tools/deps --dest $(DEPS)

PREFIX ?= /usr/local
install: install-libcroft install-croft
	$(Q)install -d '$(DESTDIR)$(PREFIX)/share/undercroft/gdb'
	$(Q)install -m 644 client/gdb/*.xml client/gdb/*.py '$(DESTDIR)$(PREFIX)/share/undercroft/gdb'

demo: deps
	$(Q)$(MAKE) --no-print-directory $(O)/undercroft.img croft
	$(Q)tools/demo --out $(O) $(if $(BATCH),--batch)

check: deps
	$(Q)$(MAKE) --no-print-directory check-all
check-full: deps
	$(Q)$(MAKE) --no-print-directory check-all FULL=--full

clean:
	$(Q)if [ -d '$(O)' ]; then find '$(O)' -mindepth 1 -maxdepth 1 ! -name deps ! -name .config -exec rm -rf {} +; fi

distclean:
	$(Q)rm -rf '$(O)'

NO_CONFIG_GOALS := help clean distclean deps demo check check-full format %config
ifneq ($(filter-out $(NO_CONFIG_GOALS),$(or $(MAKECMDGOALS),all)),)
NEED_CONFIG := y
endif

# --- configuration ----------------------------------------------------------------------------------------------------

# kconfig-frontends writes to include/ and .config of the folder it runs in, and looks sources up there, then in $srctree
AUTOCONF   := $(O)/include/config/auto.conf
AUTOHEADER := $(O)/include/generated/autoconf.h
KCONFIG_LISTS := $(O)/Kconfig.frontends $(O)/Kconfig.plugins

$(O)/Kconfig.%: % $(wildcard */*/Kconfig) Makefile
	@mkdir -p $(@D)
	@{ echo '# generated'; for f in $(sort $(wildcard $*/*/Kconfig)); do echo "source \"$$f\""; done; } > $@

define kconfig
@mkdir -p $(O)/include/config $(O)/include/generated
$(Q)cd $(O) && export srctree='$(CURDIR)' && $(1)
endef

.PHONY: menuconfig nconfig oldconfig olddefconfig savedefconfig defconfig
menuconfig: $(KCONFIG_LISTS)
	$(call kconfig,kconfig-mconf Kconfig)
nconfig: $(KCONFIG_LISTS)
	$(call kconfig,kconfig-nconf Kconfig)
oldconfig: $(KCONFIG_LISTS)
	$(call kconfig,kconfig-conf --oldconfig Kconfig)
olddefconfig: $(KCONFIG_LISTS)
	$(call kconfig,kconfig-conf --olddefconfig Kconfig)
savedefconfig: $(KCONFIG_LISTS)
	$(call kconfig,kconfig-conf --savedefconfig=defconfig Kconfig)
	@echo "wrote $(O)/defconfig"
defconfig: default_defconfig
%_defconfig: configs/%_defconfig $(KCONFIG_LISTS)
	$(call kconfig,kconfig-conf --defconfig=$(CURDIR)/$< Kconfig)

ifdef NEED_CONFIG
$(O)/.config: | $(KCONFIG_LISTS)
	$(call kconfig,kconfig-conf --defconfig=$(CURDIR)/configs/default_defconfig Kconfig > /dev/null)
$(AUTOCONF): $(O)/.config Kconfig $(KCONFIG_LISTS) $(wildcard */*/Kconfig)
	$(call kconfig,kconfig-conf --olddefconfig Kconfig > /dev/null && kconfig-conf --silentoldconfig Kconfig)
	@touch $@
$(AUTOHEADER): $(AUTOCONF)
	@touch $@
include $(AUTOCONF)
endif

# --- what is built ------------------------------------------------------------------------------------------------------

include $(sort $(wildcard boot/*/Makefile backends/*/Makefile frontends/*/Makefile plugins/*/Makefile))
include $(sort $(wildcard core/Makefile core/*/Makefile))

WARNINGS := -Wall -Wextra -Werror -Wshadow -Wconversion -Wmissing-prototypes -Wstrict-prototypes -Wundef -Wvla \
	    -Wswitch-enum -Wimplicit-fallthrough
CPPFLAGS := -Iinclude -I. -I$(O)/include -include $(AUTOHEADER)
COMMON   := -std=gnu11 -g -ffreestanding -fno-delete-null-pointer-checks -fno-stack-protector -fcf-protection=none \
	    -fno-asynchronous-unwind-tables -fno-common -fvisibility=hidden -mgeneral-regs-only -isystem boot/metal/include \
	    -ffunction-sections -fdata-sections -ffile-prefix-map=$(CURDIR)/=
ifneq ($(findstring clang,$(CC)),)
COMMON += -Wno-unused-command-line-argument
else
# low memory is memory: the BIOS data area lies at 400h
COMMON += --param=min-pagesize=0
endif
CFLAGS_loader := $(COMMON) -m32 -march=i686 -Os -fno-pic -DTIER_LOADER=1
CFLAGS_setup  := $(COMMON) -m64 -mno-red-zone -Os -fno-pic -mcmodel=small -DTIER_SETUP=1
CFLAGS_vmm    := $(COMMON) -m64 -mno-red-zone -O2 -fpie -DTIER_VMM=1
# GRUB loads the symbols of a multiboot image, too
LDFLAGS_loader := -m elf_i386 --gc-sections -static -nostdlib -s -z noexecstack --no-warn-rwx-segments
LDFLAGS_setup  := -m elf_x86_64 --gc-sections -static -nostdlib -z noexecstack -z max-page-size=4096 \
		  --no-warn-rwx-segments
LDFLAGS_vmm    := -m elf_x86_64 --gc-sections -pie --no-dynamic-linker -nostdlib -z noexecstack -z norelro -z text \
		  -z max-page-size=4096 --no-warn-rwx-segments --hash-style=sysv --build-id=none

# rewritten when another compiler is asked for: one build directory never mixes two
COMPILER := $(O)/compiler
ifdef NEED_CONFIG
$(shell mkdir -p '$(O)'; version="$(CC) $$($(CC) --version | head -n 1)"; \
	[ "$$version" = "$$(cat $(COMPILER) 2> /dev/null)" ] || echo "$$version" > $(COMPILER))
endif

define tier_rules
objects-$(1) := $$(patsubst %,$(O)/$(1)/%.o,$$(basename $$(sort $$($(1)-y))))
$(O)/$(1)/%.o: %.c $(AUTOHEADER) $(COMPILER) Makefile
	$$(call say,CC,$$@)
	@mkdir -p $$(@D)
	$$(Q)$$(CC) $$(CFLAGS_$(1)) $$(WARNINGS) $$(CPPFLAGS) -MMD -MP -c -o $$@ $$<
$(O)/$(1)/%.o: %.S $(AUTOHEADER) $(COMPILER) Makefile
	$$(call say,AS,$$@)
	@mkdir -p $$(@D)
	$$(Q)$$(CC) $$(CFLAGS_$(1)) $$(CPPFLAGS) $$(EXTRA_$(1)) -MMD -MP -c -o $$@ $$<
-include $$(objects-$(1):.o=.d)
endef
$(foreach t,loader setup vmm,$(eval $(call tier_rules,$(t))))

# linker scripts take their constants from boot/layout.h
$(O)/%.lds: boot/%.lds $(COMPILER) Makefile
	@mkdir -p $(@D)
	$(Q)$(CC) -E -P -undef -x assembler-with-cpp -I. -MMD -MP -MT $@ -MF $@.d -o $@ $<
-include $(wildcard $(O)/*/*.lds.d)

# structure offsets for assembly
$(O)/include/generated/%-offsets.h: backends/%/offsets.c $(AUTOHEADER) $(COMPILER) Makefile
	$(call say,GEN,$@)
	$(Q)$(CC) $(CFLAGS_vmm) $(CPPFLAGS) -MMD -MP -MT $@ -MF $(@:.h=.d) -S -o $(@:.h=.s) $<
	$(Q)sed -n 's/^[[:space:]]*#define \([A-Z0-9_]* \)\$$*/#define \1/p' $(@:.h=.s) > $@
$(foreach b,$(patsubst backends/%/offsets.c,%,$(wildcard backends/*/offsets.c)),\
	$(eval $(O)/vmm/backends/$(b)/entry.o: $(O)/include/generated/$(b)-offsets.h))
-include $(wildcard $(O)/include/generated/*.d)

# Zydis: the distribution's source package, decoder only
ZYDIS_FLAGS := -DZYAN_NO_LIBC -DZYDIS_STATIC_BUILD -DZYCORE_STATIC_BUILD -DZYDIS_DISABLE_ENCODER \
	       -DZYDIS_DISABLE_FORMATTER $(zydis-flags)
ZYDIS_INCLUDES := -isystem $(DEPS)/zydis/include -I$(DEPS)/zydis/src
CFLAGS_vmm     += $(ZYDIS_FLAGS) -isystem $(DEPS)/zydis/include
objects-zydis := $(patsubst %.c,$(O)/vmm/zydis/%.o,$(zydis-y))
# one target stands for all of them, so that tools/deps runs once
$(DEPS)/zydis/include/Zydis/Zydis.h:
	$(Q)tools/deps --dest $(DEPS)
$(DEPS)/zydis/src/%.c: | $(DEPS)/zydis/include/Zydis/Zydis.h ;
$(O)/vmm/zydis/%.o: $(DEPS)/zydis/src/%.c $(COMPILER) Makefile
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(filter-out -O2,$(CFLAGS_vmm)) -Os -w $(ZYDIS_INCLUDES) -c -o $@ $<
$(objects-vmm): | $(DEPS)/zydis/include/Zydis/Zydis.h

$(O)/vmm.elf: $(O)/vmm/vmm.lds $(objects-vmm) $(objects-zydis)
	$(call say,LD,$@)
	$(Q)$(LD) $(LDFLAGS_vmm) -T $< -Map $(O)/vmm.map -o $@ $(objects-vmm) $(objects-zydis)
$(O)/vmm.bin: $(O)/vmm.elf
	$(Q)$(OBJCOPY) -O binary $< $@

$(O)/setup/boot/setup/image.o: $(O)/vmm.bin
EXTRA_setup := -DVMM_BIN='"$(O)/vmm.bin"'
$(O)/setup.elf: $(O)/setup/setup.lds $(objects-setup)
	$(call say,LD,$@)
	$(Q)$(LD) $(LDFLAGS_setup) -T $< -Map $(O)/setup.map -o $@ $(objects-setup) -lfdt
$(O)/setup.bin: $(O)/setup.elf
	$(Q)$(OBJCOPY) -O binary $< $@
LDFLAGS_setup += -L/usr/lib/x86_64-linux-gnu

$(O)/loader/boot/loader/image.o: $(O)/setup.bin
EXTRA_loader := -DSETUP_BIN='"$(O)/setup.bin"'
$(O)/undercroft.elf: $(O)/loader/loader.lds $(objects-loader)
	$(call say,LD,$@)
	$(Q)$(LD) $(LDFLAGS_loader) -s -T $< -o $@ $(objects-loader)
	$(Q)grub-file --is-x86-multiboot $@

.PHONY: image
image: $(O)/undercroft.img
$(O)/undercroft.img: $(O)/undercroft.elf $(BLOB) tools/image
	$(call say,IMAGE,$@)
	$(Q)tools/image $@ --kernel $< $(if $(BLOB),--blob $(BLOB))

# configurations besides this one that machine tests choose (tests/machine/run --help: config)
MACHINE_CONFIGS := vmmcall
machine-images  := $(O)/undercroft.img $(MACHINE_CONFIGS:%=$(O)/config-%/undercroft.img)
$(MACHINE_CONFIGS:%=$(O)/config-%/.config): $(O)/config-%/.config: configs/%_defconfig $(wildcard Kconfig */*/Kconfig)
	$(Q)$(MAKE) O=$(@D) $*_defconfig > /dev/null
$(MACHINE_CONFIGS:%=$(O)/config-%/undercroft.img): $(O)/config-%/undercroft.img: $(O)/config-%/.config FORCE
	$(Q)$(MAKE) O=$(@D) DEPS=$(DEPS) image
.PHONY: FORCE
FORCE:

include $(sort $(wildcard client/*/Makefile tests/unit/Makefile tests/fuzz/Makefile tests/machine/Makefile))

# --- hosted tests ---------------------------------------------------------------------------------------------------------

HOSTED   := -std=gnu11 -g -O1 -fno-omit-frame-pointer -Itests/fakes/include $(ZYDIS_FLAGS) -isystem $(DEPS)/zydis/include -DTIER_HOSTED=1 -D_GNU_SOURCE
SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=all
units    := $(patsubst unit-%,%,$(filter-out %-libs,$(filter unit-%,$(.VARIABLES))))
fuzzers  := $(patsubst fuzz-%,%,$(filter-out %-libs,$(filter fuzz-%,$(.VARIABLES))))
hosted_object = $(patsubst %.S,$(O)/$(1)/%.o,$(patsubst %.c,$(O)/$(1)/%.o,$(2)))

$(O)/host/%.o: %.c $(AUTOHEADER) $(COMPILER) Makefile | $(DEPS)/zydis/include/Zydis/Zydis.h
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(HOSTED) $(SANITIZE) $(WARNINGS) $(CPPFLAGS) -MMD -MP -c -o $@ $<
$(O)/host/%.o: %.S $(AUTOHEADER) $(COMPILER) Makefile
	$(call say,AS,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) -MMD -MP -c -o $@ $<
$(O)/host/zydis/%.o: $(DEPS)/zydis/src/%.c $(COMPILER) Makefile
	@mkdir -p $(@D)
	$(Q)$(CC) $(HOSTED) -w $(ZYDIS_INCLUDES) -c -o $@ $<
$(O)/fuzz/%.o: %.c $(AUTOHEADER) $(COMPILER) Makefile | $(DEPS)/zydis/include/Zydis/Zydis.h
	@mkdir -p $(@D)
	$(Q)clang $(HOSTED) -fsanitize=fuzzer-no-link $(SANITIZE) $(WARNINGS) $(CPPFLAGS) -MMD -MP -c -o $@ $<

define unit_rule
$(O)/unit/$(1): $(call hosted_object,host,$(unit-$(1))) $(if $(filter core/insn.c,$(unit-$(1))),$(patsubst %.c,$(O)/host/zydis/%.o,$(zydis-y)))
	$$(call say,LINK,$$@)
	@mkdir -p $$(@D)
	$$(Q)$$(CC) $$(SANITIZE) -o $$@ $$^ $(unit-$(1)-libs) -lcmocka
-include $(patsubst %.o,%.d,$(call hosted_object,host,$(unit-$(1))))
endef
$(foreach u,$(units),$(eval $(call unit_rule,$(u))))

# what libcroft and croft are tested with, without sanitizers: for valgrind; whole memories take too long there
valgrinds := $(filter-out croft_dump,$(filter croft_%,$(units)))
$(O)/plain/%.o: %.c $(AUTOHEADER) $(COMPILER) Makefile | $(DEPS)/zydis/include/Zydis/Zydis.h
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(HOSTED) $(WARNINGS) $(CPPFLAGS) -MMD -MP -c -o $@ $<
$(O)/plain/%.o: %.S $(AUTOHEADER) $(COMPILER) Makefile
	$(call say,AS,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) -MMD -MP -c -o $@ $<
define valgrind_rule
$(O)/valgrind/$(1): $(call hosted_object,plain,$(unit-$(1))) $(if $(filter core/insn.c,$(unit-$(1))),$(patsubst %.c,$(O)/host/zydis/%.o,$(zydis-y)))
	$$(call say,LINK,$$@)
	@mkdir -p $$(@D)
	$$(Q)$$(CC) -o $$@ $$^ $(unit-$(1)-libs) -lcmocka
-include $(patsubst %.o,%.d,$(call hosted_object,plain,$(unit-$(1))))
endef
$(foreach u,$(valgrinds),$(eval $(call valgrind_rule,$(u))))

define fuzz_rule
$(O)/fuzz-$(1): $(call hosted_object,fuzz,$(fuzz-$(1))) $(if $(filter core/insn.c,$(fuzz-$(1))),$(patsubst %.c,$(O)/host/zydis/%.o,$(zydis-y)))
	$$(call say,LINK,$$@)
	$$(Q)clang -fsanitize=fuzzer $$(SANITIZE) -o $$@ $$^ $(fuzz-$(1)-libs)
-include $(patsubst %.o,%.d,$(call hosted_object,fuzz,$(fuzz-$(1))))
endef
$(foreach f,$(fuzzers),$(eval $(call fuzz_rule,$(f))))

.PHONY: units check-unit check-valgrind machine-images check-machine check-all lint bench fuzz format
units: $(addprefix $(O)/unit/,$(units))
check-unit: units
	$(Q)tests/unit/run --summary $(O)/unit.summary $(addprefix $(O)/unit/,$(sort $(units)))
check-valgrind: $(addprefix $(O)/valgrind/,$(valgrinds))
	$(Q)tests/unit/run --valgrind --summary $(O)/valgrind.summary $(addprefix $(O)/valgrind/,$(sort $(valgrinds)))
machine-images: $(machine-images)
check-machine: machine-images guests libcroft croft
	$(Q)tests/machine/run --out $(O) $(if $(K),-k '$(K)') --summary $(O)/machine.summary
check-all: units $(addprefix $(O)/valgrind/,$(valgrinds)) $(addprefix $(O)/fuzz-,$(fuzzers)) machine-images guests libcroft croft
	$(Q)tools/check $(FULL) $(O) $(sort $(units)) -- $(sort $(fuzzers)) -- $(sort $(valgrinds))
fuzz: $(addprefix $(O)/fuzz-,$(fuzzers))
	$(Q)tools/fuzz $(O) $(or $(SECONDS_EACH),60) $(sort $(fuzzers))
lint: $(O)/undercroft.elf $(O)/croft.1
	$(Q)$(MAKE) CC=clang O=$(O)/clang DEPS=$(DEPS) $(O)/clang/undercroft.elf libcroft units guests
	$(Q)tools/lint --self-test
	$(Q)tools/lint --out $(O)
format:
	$(Q)git ls-files '*.c' '*.h' ':!tools/lint.d' | xargs clang-format -i
bench: machine-images libcroft
	$(Q)tools/bench --out $(O)
