/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Conformance: single steps, breakpoints and their registers, over instructions that exit and others.
 */
#include "record.h"

#define FLAGS_RF 0x10000

/* clang-format off */
#define STEPS(S) \
	S(step_nop) S(step_cpuid) S(step_cpuid_prefix) S(step_cpuid_cpuid) S(step_rdtsc) S(step_rdmsr) \
	S(step_wrmsr) S(step_rdmsr_own) S(step_in) S(step_in_immediate) S(step_in_word) S(step_in_long) \
	S(step_out) S(step_out_immediate) S(step_in_own) S(step_insb) S(step_rep_insb) S(step_rep_outsb) \
	S(step_rep_movsb) S(step_rep_insb_none) S(step_invd) S(step_wbinvd) S(step_cr0_ne) S(step_cr0_ts) \
	S(step_lmsw) S(step_clts) S(step_cr4) S(step_sti_cli) S(step_int3) S(step_int) S(step_vmmcall) \
	S(step_ud) S(step_far_jump) S(step_xsetbv) S(step_xsetbv_bad) S(step_pushf) S(step_popf) \
	S(step_iret)
#define SHADOWS(S) \
	S(step_mov_ss) S(step_mov_ss_cpuid) S(step_pop_ss_in) S(step_mov_ss_int3)
#define EXECUTES(S) \
	S(execute_nop) S(execute_cpuid) S(execute_rdmsr) S(execute_in) S(execute_loop) S(execute_iret_rf) \
	S(execute_popf_rf)
#define ACCESSES(S) \
	S(write_mov) S(access_mov) S(write_rep_stosb) S(write_insb) S(write_rep_insb) S(access_outsb) \
	S(access_mov_ss) S(access_mov_ss_cpuid)
#define PORTS(S) \
	S(port_in_own) S(port_out_own) S(port_in) S(port_in_other) S(port_out) S(port_insb) \
	S(port_rep_insb) S(port_step)
#define OTHERS(S) \
	S(icebp) S(dr4_de) S(dr6_sticky)
#define VALUES(S) \
	S(general_detect) S(dr4_alias) S(dr6_zero) S(dr7_zero)
#define STEPS64(S) \
	S(step64_nop) S(step64_cpuid) S(step64_rdmsr) S(step64_in) S(step64_insb) S(step64_rep_insb) \
	S(step64_cr8) S(step64_invd) S(step64_vmmcall) S(step64_cr0_ne) S(step64_mov_ss_cpuid)
#define STEPS16(S) \
	S(step16_nop) S(step16_cpuid) S(step16_in) S(step16_insb) S(step16_invd) S(step16_int3) \
	S(step16_mov_ss_cpuid) S(step16_cr0_ne)
/* clang-format on */

#define DECLARE(name)	void name(void);
#define DECLARE16(name) extern const uint8_t name[], name##_end[];

/* conform_debug_code.S */
STEPS(DECLARE)
SHADOWS(DECLARE)
EXECUTES(DECLARE)
ACCESSES(DECLARE)
PORTS(DECLARE)
OTHERS(DECLARE)
VALUES(DECLARE)
STEPS64(DECLARE)
STEPS16(DECLARE16)
void step_compat(void), execute64_cpuid(void);
extern uint32_t debug_value;

#define ONE(name)	RUN32(name);
#define ONE64(name)	RUN64(name);
#define ONE_REAL(name)	RUN_REAL(name);
#define ONE_VALUE(name) RUN32(name), print("  value %x\n", debug_value & 0xf00fu);

void guest_main(void)
{
	uint32_t cr4 = cr4_get();

	record_init();
	mark("single step");
	STEPS(ONE)
	SHADOWS(ONE)
	mark("instruction breakpoints");
	/* resumed as debuggers do */
	record_debug_set = FLAGS_RF;
	EXECUTES(ONE)
	record_debug_set = 0;
	mark("data breakpoints");
	ACCESSES(ONE)
	mark("port breakpoints");
	PORTS(ONE)
	cr4_set(cr4);
	mark("debug registers");
	VALUES(ONE_VALUE)
	OTHERS(ONE)
	cr4_set(cr4);
	mark("64 bit");
	STEPS64(ONE64)
	record_debug_set = FLAGS_RF;
	RUN64(execute64_cpuid);
	record_debug_set = 0;
	RUN_COMPAT(step_compat);
	mark("16 bit");
	STEPS16(ONE_REAL)
}
