/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * options.h - the command line of transit-send, parsed once and const after
 *
 * Source  docs/man/transit-send.1. Every number has a range; a zero never means "no limit".
 * Owner   strings are borrowed from argv. The password of a proxy is copied, and overwritten in
 *         argv, where every user of the machine can read it.
 */
#ifndef SENDER_OPTIONS_H
#define SENDER_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "bounds.h"
#include "codec.h"
#include "frame.h"
#include "proxy.h"

enum sender_command {
	CMD_NONE, /* --help or --version alone */
	CMD_CHECK,
	CMD_ESTIMATE,
	CMD_PUSH,
	CMD_SYNC,
	CMD_STAGE,
};

enum codec_choice { CODEC_CHOICE_AUTO, CODEC_CHOICE_RAW, CODEC_CHOICE_LZ4, CODEC_CHOICE_ZSTD };
enum digest_choice {
	DIGEST_CHOICE_AUTO,   /* fast in frames, SHA-256 of each block as it is first sent */
	DIGEST_CHOICE_FAST,   /* SHA-256 only in the round that is sealed */
	DIGEST_CHOICE_STRONG, /* SHA-256 in frames and claims, too */
};

#define SRC_MAX 256
#define DISK_BY_ORDER (-1)
#define ROUNDS_MAX 1000 /* --max-rounds */

struct disk_map {
	char src[SRC_MAX]; /* device or image file */
	int n;             /* disk number of the task, or DISK_BY_ORDER */
};

struct sender_options {
	enum sender_command command;
	bool help, version, json;
	bool once;                /* push: the final round follows at once */
	bool final;               /* sync: quiesce, seal, wait for the verification */
	bool no_freeze;           /* final: leave the file systems alone */
	bool until_converged;     /* sync: rounds until another one would not help */
	unsigned max_rounds;      /* of them, 1..1000 */
	unsigned pause_s;         /* between them */
	uint64_t converged_below; /* bytes changed in a round: hardly anything */
	unsigned max_downtime_s;  /* 0: any */
	unsigned probe_s;         /* estimate: how long the line is measured */
	uint64_t seed;            /* estimate: of the sample; 0: another each time */
	bool all_blocks;          /* leave no free space out */
	bool quiet;
	enum codec_choice codec;
	int codec_level; /* of zstd */
	enum digest_choice digest;
	const char *invite, *state, *facts;
	const char *to;     /* HOST:PORT instead of the invite's addresses */
	struct proxy proxy; /* PROXY_NONE when none was named */
	bool proxy_env;     /* --proxy env: ask the environment */
	const char *proxy_password_file;
	struct disk_map disks[DISKS_MAX];
	unsigned n_disks;
	struct bounds bounds;
	const char *limits_file; /* over the bounds, and may change */
	unsigned connections;    /* 1..CONNECTIONS_MAX; 0: found out */
	unsigned retry_s;        /* how long a lost connection is tried again; 0: not */
	unsigned dead_s;         /* a receiver silent for so long is gone */
	unsigned freeze_s;       /* longest time a file system stays frozen */
};

/* 0, or -EINVAL with ERR_USAGE and words. */
int options_parse(int argc, char **argv, struct sender_options *ret, struct err *e);

/* No block of this run is done before its SHA-256 was taken: the manifest is near. A single round
 * may leave it to later ones. */
bool options_need_strong(const struct sender_options *o);

/* "SRC" or "SRC=N". The last '=' counts only when digits follow it to the end. */
int options_disk(const char *text, struct disk_map *ret, struct err *e);

void options_help(void);

#endif
