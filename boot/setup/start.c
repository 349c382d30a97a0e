/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Fills in a start stub. Must not know where it will lie.
 */
#include <undercroft/types.h>
#include <string.h>

#include "start.h"
#include "start_layout.h"

/* VMMCALL (0F 01 D9) and VMCALL (0F 01 C1) differ in the last byte. APM vol. 3, "VMMCALL"; SDM vol. 3, "VMCALL" */
#define CALL_LAST_BYTE_AMD   0xd9
#define CALL_LAST_BYTE_INTEL 0xc1

/* The stub's beginning. */
struct start_header {
	uint8_t jump[4];
	uint8_t mode, disk, boot_disk, present_as_first, native, reserved;
	uint16_t guest_call; /* offset of the VMMCALL */
};

_Static_assert(offsetof(struct start_header, mode) == START_MODE, "start stub layout");
_Static_assert(offsetof(struct start_header, disk) == START_DISK, "start stub layout");
_Static_assert(offsetof(struct start_header, boot_disk) == START_BOOT_DISK, "start stub layout");
_Static_assert(offsetof(struct start_header, present_as_first) == START_PRESENT_AS_FIRST, "start stub layout");
_Static_assert(offsetof(struct start_header, native) == START_NATIVE, "start stub layout");
_Static_assert(offsetof(struct start_header, guest_call) == START_GUEST_CALL, "start stub layout");
_Static_assert(sizeof(struct start_header) == START_HEADER_SIZE, "start stub layout");
_Static_assert(START_MODE_DISK == GUEST_START_DISK && START_MODE_INT18 == GUEST_START_INT18 &&
		       START_MODE_INT19 == GUEST_START_INT19,
	       "start stub modes");

/* start16.S */
extern const uint8_t start_stub[], start_stub_end[];

size_t start_size(void)
{
	return (size_t)(start_stub_end - start_stub);
}

uint16_t start_write(void *image, const struct start_request *request)
{
	uint8_t *bytes = image;
	struct start_header header;

	memcpy(image, start_stub, start_size());
	memcpy(&header, image, sizeof(header));
	header.mode = (uint8_t)request->start;
	header.disk = request->disk;
	header.boot_disk = request->boot_disk;
	header.present_as_first = request->present_as_first;
	header.native = request->native;
	memcpy(image, &header, sizeof(header));
	bytes[header.guest_call + 2] = request->vendor == CPU_VENDOR_INTEL ? CALL_LAST_BYTE_INTEL : CALL_LAST_BYTE_AMD;
	return header.guest_call;
}
