/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * predict.h - how long a final round would hold the source, from what earlier rounds measured
 *
 * Meaning  downtime is the time from the first freeze until the copy is whole, durable and sealed:
 *          the source stands still while the final round reads (frozen), then its list of digests
 *          goes out and is signed. The receiver's re-read comes after it, and so do finalizing and
 *          booting: they are no part of this figure, because the sender cannot hasten them.
 * Rule     reading and sending are added, as if they did not overlap: they do in part, so that the
 *          figure errs on the long side. What is not known makes no prediction instead of a guess.
 * Units    bytes, seconds, bytes a second. A rate of 0 is not known.
 * Threads  pure functions.
 */
#ifndef SENDER_PREDICT_H
#define SENDER_PREDICT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What the rounds of a task have measured, kept in the state folder between runs. */
struct measured {
	uint64_t rounds;       /* that were completed */
	uint64_t source_bytes; /* of all disks: figures of other disks are worth nothing */
	/* The last round. */
	uint64_t mid_ms; /* wall clock at its middle, since 1970 */
	uint64_t round_ms, read, changed;
	uint64_t full_read; /* of the last round that no trace made shorter */
	/* The latest of each that could be measured. */
	bool change_known;    /* two rounds were completed */
	double change_rate;   /* bytes of blocks that change, a second */
	double read_rate;     /* reading and comparing, nothing sent */
	double wire_rate;     /* of the line, while there was something to send */
	double wire_share;    /* bytes on the wire for each byte of a changed block */
	uint64_t settle_ms;   /* until the last blocks of a round were durable */
	uint64_t freeze_ms;   /* until everything stood still */
	uint64_t verify_rate; /* of the receiver's re-read */
	uint64_t unhashed;    /* bytes whose SHA-256 the rounds so far did not take */
};

struct predict_in {
	double since_s; /* changes have gathered for so long: from the middle of the last round */
	bool change_known;
	double change_rate; /* bytes a second */
	double change_most; /* bytes: more than this cannot have changed */
	double read_bytes, read_rate;
	double wire_rate, wire_share;
	double seal_bytes;            /* the manifest's list */
	double hash_bytes, hash_rate; /* whose SHA-256 must still be taken, by all threads */
	double freeze_s, settle_s;
};

struct prediction {
	const char *missing; /* what must be known first; NULL: the figures below are good */
	double changed;      /* bytes of blocks that would be sent */
	double freeze_s, read_s, hash_s, send_s, settle_s, seal_s;
	double total_s; /* the downtime */
};

void predict_downtime(const struct predict_in *in, struct prediction *ret);

/* What the final round would be like. */
struct predict_final {
	uint64_t now_ms; /* wall clock: it begins */
	bool freezes;
	bool traced;     /* it reads what was written since the last round, not everything */
	uint64_t blocks; /* of all disks */
	uint64_t limit;  /* bytes a second that may be used at most */
};

void predict_inputs(const struct measured *m, const struct predict_final *f,
		    struct predict_in *ret);

/* One round's own figures, taken over into ${m}. */
struct round_figures {
	uint64_t began_ms, ended_ms; /* wall clock */
	uint64_t read, changed, wire;
	bool traced;         /* only what was written since the round before was read */
	double wire_rate;    /* by meter.h; 0: too little was sent */
	double sampled_read; /* rate of a sample of the source, asked for when the round was busy
			      * sending; 0: none was taken */
	uint64_t settle_ms, freeze_ms;
};

/* True when the round was so busy sending that its time says little of how fast the source reads.
 */
bool figures_are_of_sending(const struct round_figures *f, const struct measured *m);
void measured_add(struct measured *m, const struct round_figures *f);

/* "4.1 s (freeze 0.5 + read 2.0 + send 1.0 + durable 0.3 + seal 0.3)", or what is missing. */
const char *predict_text(const struct prediction *p, char *buf, size_t room);

#endif
