/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The framed mode of a control link: several channels of bytes, each whole and in order, over a line that may lose,
 * change, repeat or invent bytes. docs/protocol.md specifies it. Both ends are this code; it has no clock, no device
 * and no memory but the structure, and must not know what the channels carry.
 */
#ifndef CORE_CONTROL_FRAME_H
#define CORE_CONTROL_FRAME_H

#include <undercroft/types.h>

#define FRAME_CHANNELS 3u

/* First byte of a frame. */
#define FRAME_DATA   0x10u /* and the channel in bits 3..0 */
#define FRAME_STATUS 0x20u
#define FRAME_REPEAT 0x30u /* a status that asks for what comes next once more */
#define FRAME_BYE    0x40u

#define FRAME_HEADER	  4u /* type, sequence number, length of the payload (little endian) */
#define FRAME_PAYLOAD_MAX 512u
#define FRAME_CRC	  4u
#define FRAME_RAW_MAX	  (FRAME_HEADER + FRAME_PAYLOAD_MAX + FRAME_CRC)
/* with a delimiter at each end, and one byte in 254 and one more that COBS adds */
#define FRAME_WIRE_MAX (FRAME_RAW_MAX + FRAME_RAW_MAX / 254 + 3)

#define FRAME_WINDOW	  8u	/* data frames on their way, at most; a power of two below 128 */
#define FRAME_BUFFER	  4096u /* received bytes that wait to be read, each channel; a power of two */
#define FRAME_CREDIT_UNIT 64u	/* bytes a unit of credit stands for */

/* Each end says something at least so often. */
#define FRAME_HEARTBEAT_US 1000000u
/* What is not acknowledged is sent again, later each time, until it takes so long. */
#define FRAME_RETRY_MAX_US 1000000u
/* One that was not heard for so long is gone. */
#define FRAME_LOST_US 4000000u

/* A data frame that is not acknowledged yet: as it is sent, without its CRC. */
struct frame_slot {
	uint16_t length; /* header and payload */
	uint8_t raw[FRAME_HEADER + FRAME_PAYLOAD_MAX];
};

struct frame_buffer {
	uint8_t bytes[FRAME_BUFFER];
	uint32_t read, written; /* run freely */
	uint32_t announced;	/* bytes that the other end knows it may send, of all ever sent */
};

/* Numbers of frames are taken modulo 256, counts of bytes modulo 2^32. */
struct frame {
	uint64_t now_us;      /* the last time anybody told us */
	uint64_t silence_us;  /* since something intelligible arrived; time in which nobody asked counts little */
	uint64_t said_us;     /* when a status was last sent */
	uint64_t progress_us; /* when something was last acknowledged, or the last data frame left */
	uint64_t repeat_us;   /* when we last asked for a repetition */
	uint64_t rewound_us;  /* when we last went back because the other end asked for it */
	uint32_t retry_us;
	uint8_t retries; /* in a row, without an acknowledgement */
	bool over;	 /* the other end said bye */

	/* sending */
	struct frame_slot slot[FRAME_WINDOW];
	uint8_t unacknowledged, next, top, end; /* oldest; to be sent now; highest sent, plus one; first free */
	uint32_t sent[FRAME_CHANNELS], limit[FRAME_CHANNELS]; /* bytes given to slots, and how many may be */
	bool status_due, repeat_due;
	uint8_t out[FRAME_WIRE_MAX];
	uint16_t out_sent, out_length;
	bool out_is_data;

	/* receiving */
	struct frame_buffer buffer[FRAME_CHANNELS];
	uint8_t expected;
	uint8_t in[FRAME_RAW_MAX];
	uint16_t in_length;
	uint8_t code, code_left; /* of the COBS block; code 0: no byte of a frame yet */
	bool in_bad;

	uint64_t good, bad, repeated; /* frames, for whoever wants to know how well the line is */
};

/* Begins a session. retry_us: how long an acknowledgement may take after a frame has left. */
void frame_init(struct frame *frame, uint32_t retry_us, uint64_t now_us);

/* Takes bytes from the line, whatever they are. */
void frame_receive(struct frame *frame, const void *bytes, size_t length, uint64_t now_us);

/*
 * What is to be put on the line next: *bytes, and how many there are; 0: nothing now. frame_sent() then says how many
 * of them went. To be called now and then even if nothing was written, as this is where time passes.
 */
size_t frame_output(struct frame *frame, const uint8_t **bytes, uint64_t now_us);
void frame_sent(struct frame *frame, size_t count, uint64_t now_us);

/* Takes up to length received bytes of a channel. Bytes read. */
size_t frame_read(struct frame *frame, unsigned channel, void *buffer, size_t length);

/* Accepts bytes to be sent, as many as the window and the other end's credit allow. Bytes taken. */
size_t frame_write(struct frame *frame, unsigned channel, const void *data, size_t length);

/* Has everything been put on the line at least once? */
bool frame_has_left(const struct frame *frame);

/* Has a frame only begun to arrive, or is one to be repeated that we asked for? Then more is to come very soon. */
bool frame_is_expected(const struct frame *frame);

/* Has the other end gone: said bye, or not been heard for FRAME_LOST_US? */
bool frame_is_over(const struct frame *frame);

/* The frame that ends a session, as it is on the line. Harmless to one who is not in a session. */
#define FRAME_BYE_LENGTH 11u
extern const uint8_t frame_bye[FRAME_BYE_LENGTH];

/* CRC-32C of bytes, as at the end of each frame. */
uint32_t frame_crc(const void *bytes, size_t length);

#endif
