/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A backend without a CPU: guest state in arrays, nested entries in a format of its own, intercepts and injections in
 * tables, and a run() that plays a script of exits through vcpu_exit() just as a real backend does. Must not know any
 * test. Needs no file of core to link; tests that list core's exit spine get that instead of the weak stand-ins here.
 *
 *	struct fake_vm fake;
 *	fake_vm_init(&fake, MIB(16), MIB(8), 64);	// 16 MiB, 64 pool pages at 8 MiB
 *	static const struct fake_exit script[] = {{.kind = EXIT_CPUID, .length = 2}};
 *	fake_vcpu_run(&fake.vcpu, script, ARRAY_SIZE(script));
 *	fake_vm_free(&fake);
 */
#ifndef TESTS_FAKES_FAKE_BACKEND_H
#define TESTS_FAKES_FAKE_BACKEND_H

#include <undercroft/types.h>
#include <undercroft/backend.h>
#include <undercroft/log.h>
#include <undercroft/vcpu.h>
#include <undercroft/vm.h>

#include "tests/fakes/fake_platform.h"

#define FAKE_INTERCEPT_MAX 256
#define FAKE_INJECT_MAX	   64

struct fake_vcpu;

/* One exit of a script. Fields that are zero leave things as they are. */
struct fake_exit {
	enum exit_kind kind;
	uint8_t length;
	/* Runs before the exit is delivered: what the guest did until then (registers, memory, RIP). May be NULL. */
	void (*guest)(struct fake_vcpu *fake);
	struct exit_detail detail;
	struct event delivery; /* type != EVENT_NONE: the exit interrupted its delivery */
};

struct fake_intercept {
	enum intercept_kind kind;
	uint32_t argument;
	bool on;
	unsigned changes; /* how often the slot was called for it */
};

struct fake_vcpu {
	struct vcpu vcpu; /* first, as backend.h demands */
	uint64_t reg[REG_COUNT];
	struct segment seg[SEG_COUNT];
	uint64_t debugctl;

	struct fake_intercept intercept[FAKE_INTERCEPT_MAX];
	unsigned intercept_count;
	unsigned intercept_calls;
	int intercept_result; /* non-zero: what turning one on returns, changing nothing */

	struct event injected[FAKE_INJECT_MAX]; /* in order */
	unsigned injected_count;
	bool inject_pending; /* since the last entry */

	const struct nested_view *active_view;
	uint64_t active_generation; /* the view's when it was activated */
	unsigned activations, flushes;
	bool stepping;
	unsigned steps_on, steps_off;
	unsigned interrupt_passes, admits;
	uint64_t timer_us; /* what the timer was set to */
	int timer_result;  /* of that slot; not 0: it does nothing */
	unsigned dumps;
	unsigned details_decoded;

	const struct fake_exit *script;
	size_t script_count, script_next;
	unsigned entries;
	unsigned fatal; /* calls of the stand-in for vcpu_fatal() */
};

/* A whole VM on a simulated machine. */
struct fake_vm {
	struct fake_platform platform;
	struct vm vm;
	struct log log; /* no ring, no sinks until a test adds them */
	struct fake_vcpu vcpu;
};

extern const struct backend_ops fake_backend;

/*
 * memory_size bytes of memory from 0; a page pool of pool_pages at pool_start (page_pool_init()'s result); 1 GiB pages;
 * 48 bits of physical address; a vCPU in real mode at f000:fff0. The base view is not made. Hidden ranges: none.
 */
void fake_vm_init(struct fake_vm *fake, uint64_t memory_size, paddr_t pool_start, unsigned pool_pages);
void fake_vm_free(struct fake_vm *fake);

/* Plays a script from its begin. Returns how many of its exits were delivered. */
size_t fake_vcpu_run(struct fake_vcpu *fake, const struct fake_exit *script, size_t count);

/* Is this intercept on at the backend? */
bool fake_intercept_on(const struct fake_vcpu *fake, enum intercept_kind kind, uint32_t argument);

/* How many intercepts are on at the backend. */
unsigned fake_intercepts_on(const struct fake_vcpu *fake);

#endif
