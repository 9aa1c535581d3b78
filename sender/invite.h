/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * invite.h - what the receiver's operator hands to the source: where, who, which disks, the code
 *
 * Source  written by "receiverctl pair --out FILE"; JSON, version 1; unknown keys are refused so
 *         that a typing error is seen.
 * Secrets the file holds the one-time code; invite_wipe() clears it from memory.
 */
#ifndef SENDER_INVITE_H
#define SENDER_INVITE_H

#include "address.h"
#include "pairing.h"

#define INVITE_BYTES_MAX (64 * KIB)
#define ADDRESSES_MAX 16

struct invite_disk {
	unsigned n;
	uint64_t size; /* of the target */
	uint32_t logical_sector;
};

struct invite {
	struct address addresses[ADDRESSES_MAX]; /* in numbers: the receiver knows its own */
	unsigned n_addresses;
	uint8_t spki[DIGEST_LEN];
	uint8_t ticket[TICKET_LEN]; /* shown to people; what is proved is made from the code */
	char code_text[CODE_TEXT_LEN];
	struct invite_disk disks[DISKS_MAX];
	unsigned n_disks;
	uint32_t block_size;
	uint64_t expires; /* seconds since 1970 */
};

/* ERR_USAGE with the key that is wrong. */
int invite_parse(const char *text, size_t len, struct invite *ret, struct err *e);
int invite_load(const char *path, struct invite *ret, struct err *e);
void invite_wipe(struct invite *i);

/* NULL when the task has no disk ${n}. */
const struct invite_disk *invite_disk(const struct invite *i, unsigned n);

/* Exactly 2 * ${len} hexadecimal characters. */
int hex_parse(const char *text, uint8_t *ret, size_t len);

#endif
