/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * final.h - the round whose content is sealed: what can stand still does
 *
 * Order   the connection is up and the receiver's claims are known before anything is frozen; when
 *         the prediction is above --max-downtime, nothing is. Thawed before the seal goes out.
 * Threads the main one.
 */
#ifndef SENDER_FINAL_H
#define SENDER_FINAL_H

#include "transfer.h"

/* Seals, again after a mismatch. Refusals: "downtime-too-long", "downtime-unknown". */
int final_run(struct transfer *t, struct freeze_report *report, struct err *e);

#endif
