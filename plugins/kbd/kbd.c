/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest's switches of address line 20: port 92h and the keyboard controller. Must not know what an address line is
 * to nested tables.
 */
#include <undercroft/plugin.h>

/* Intel 500 Series PCH, "Init Register" (92h); IBM PS/2 Technical Reference, "System Control Port A" */
#define PORT_A	   0x92
#define PORT_A_A20 0x02

/* IBM PS/2 Technical Reference, "Keyboard/Auxiliary Device Controller" */
#define PORT_DATA	0x60
#define PORT_COMMAND	0x64 /* read: status */
#define STATUS_OUTPUT	0x01 /* a byte waits at PORT_DATA */
#define COMMAND_READ	0xd0 /* the output port, to PORT_DATA */
#define COMMAND_WRITE	0xd1 /* the output port, from PORT_DATA */
#define COMMAND_OFF	0xdd
#define COMMAND_ON	0xdf
#define COMMAND_PULSE	0xf0 /* to ffh: the output lines whose bit is 0 go low for a moment */
#define COMMAND_NOTHING 0xff /* pulses no line */
#define OUTPUT_A20	0x02

/* What the byte at PORT_DATA is to be. */
enum pending { PENDING_NONE, PENDING_READ, PENDING_WRITE };

struct kbd {
	struct region port_a, command, data; /* data is armed while something is pending */
	enum pending pending;
	bool stale; /* PENDING_READ: a byte was waiting before, and comes first */
};

static void switch_line(struct vcpu *vcpu, bool on)
{
	if (a20_set(vcpu, on) != 0)
		log_printf(vcpu->vm->log, "undercroft: kbd: no memory to switch the guest's address line 20 %s\n",
			   on ? "on" : "off");
}

/* A byte read from the machine, whose line is always on, with the guest's line in it. */
static uint8_t with_line(const struct vcpu *vcpu, uint8_t value, uint8_t bit)
{
	return vcpu->vm->a20_off ? (uint8_t)(value & ~bit) : (uint8_t)(value | bit);
}

static uint64_t port_a_read(struct vcpu *vcpu, struct region *region, uint64_t offset, unsigned size)
{
	(void)region;
	(void)offset;
	(void)size;
	return with_line(vcpu, port_in8(vcpu->vm->platform, PORT_A), PORT_A_A20);
}

static void port_a_write(struct vcpu *vcpu, struct region *region, uint64_t offset, unsigned size, uint64_t value)
{
	(void)region;
	(void)offset;
	(void)size;
	switch_line(vcpu, value & PORT_A_A20);
	port_out8(vcpu->vm->platform, PORT_A, (uint8_t)value | PORT_A_A20);
}

static void pending_end(struct vcpu *vcpu, struct kbd *kbd)
{
	if (kbd->pending != PENDING_NONE)
		(void)region_remove(vcpu, &kbd->data);
	kbd->pending = PENDING_NONE;
}

/* Returns false if the byte at PORT_DATA cannot be watched. */
static bool pending_begin(struct vcpu *vcpu, struct kbd *kbd, enum pending pending)
{
	if (region_add(vcpu, &kbd->data, NULL) != 0) {
		log_printf(vcpu->vm->log, "undercroft: kbd: the keyboard controller's output port cannot be watched\n");
		return false;
	}
	kbd->pending = pending;
	return true;
}

static uint64_t data_read(struct vcpu *vcpu, struct region *region, uint64_t offset, unsigned size)
{
	struct kbd *kbd = CONTAINER_OF(region, struct kbd, data);
	struct platform *platform = vcpu->vm->platform;
	bool answer = kbd->pending == PENDING_READ && (port_in8(platform, PORT_COMMAND) & STATUS_OUTPUT) != 0;
	uint8_t value = port_in8(platform, PORT_DATA);

	(void)offset;
	(void)size;
	if (!answer)
		return value;
	if (kbd->stale) {
		kbd->stale = false;
		return value;
	}
	pending_end(vcpu, kbd);
	return with_line(vcpu, value, OUTPUT_A20);
}

static void data_write(struct vcpu *vcpu, struct region *region, uint64_t offset, unsigned size, uint64_t value)
{
	struct kbd *kbd = CONTAINER_OF(region, struct kbd, data);
	bool is_output = kbd->pending == PENDING_WRITE;

	(void)offset;
	(void)size;
	pending_end(vcpu, kbd);
	if (is_output) {
		switch_line(vcpu, value & OUTPUT_A20);
		value |= OUTPUT_A20;
	}
	port_out8(vcpu->vm->platform, PORT_DATA, (uint8_t)value);
}

static uint64_t command_read(struct vcpu *vcpu, struct region *region, uint64_t offset, unsigned size)
{
	(void)region;
	(void)offset;
	(void)size;
	return port_in8(vcpu->vm->platform, PORT_COMMAND);
}

static void command_write(struct vcpu *vcpu, struct region *region, uint64_t offset, unsigned size, uint64_t value)
{
	struct kbd *kbd = CONTAINER_OF(region, struct kbd, command);
	struct platform *platform = vcpu->vm->platform;
	uint8_t command = (uint8_t)value;

	(void)offset;
	(void)size;
	/* a command that waited for its byte does not get it any more */
	pending_end(vcpu, kbd);
	switch (command) {
	case COMMAND_WRITE:
		/* the byte could be anything: nobody must wait for it unseen */
		if (!pending_begin(vcpu, kbd, PENDING_WRITE))
			command = COMMAND_NOTHING;
		break;
	case COMMAND_READ:
		/* the machine's line is on: as it is, the answer is right while the guest's is on, too */
		kbd->stale = (port_in8(platform, PORT_COMMAND) & STATUS_OUTPUT) != 0;
		if (vcpu->vm->a20_off)
			(void)pending_begin(vcpu, kbd, PENDING_READ);
		break;
	case COMMAND_OFF:
		/* not left out: the controller may wait for the byte of an earlier command */
		switch_line(vcpu, false);
		command = COMMAND_ON;
		break;
	case COMMAND_ON:
		switch_line(vcpu, true);
		break;
	default:
		if (command >= COMMAND_PULSE)
			command |= OUTPUT_A20;
		break;
	}
	port_out8(platform, PORT_COMMAND, command);
}

static int kbd_init(struct plugin_ctx *ctx, struct vcpu *vcpu)
{
	struct kbd *kbd = ctx->vm_state;
	int ret;

	*kbd = (struct kbd){
		.port_a = {.name = "port 92h", .start = PORT_A, .read = port_a_read, .write = port_a_write},
		.command = {.name = "keyboard controller",
			    .start = PORT_COMMAND,
			    .read = command_read,
			    .write = command_write},
		.data = {.name = "keyboard controller's data",
			 .start = PORT_DATA,
			 .read = data_read,
			 .write = data_write},
	};
	kbd->port_a.owner = kbd->command.owner = kbd->data.owner = &ctx->owner;
	kbd->port_a.length = kbd->command.length = kbd->data.length = 1;
	ret = region_add(vcpu, &kbd->port_a, NULL);
	return ret != 0 ? ret : region_add(vcpu, &kbd->command, NULL);
}

static const struct plugin kbd = {
	.name = "kbd",
	.api_version = PLUGIN_API_VERSION,
	.phase = PLUGIN_POLICY,
	.vm_state_size = sizeof(struct kbd),
	.init = kbd_init,
};

PLUGIN_REGISTER(kbd);
