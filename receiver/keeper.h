/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * keeper.h - the role that holds the key, the code, the pin and the task; it sees no network and
 *            no disk
 *
 * Talks   to the launcher (which starts what it asks for), to every conn (hostile), to every
 *         writer, and to receiverctl over STATE/control.sock.
 * Ends    with IPC_QUIT from the launcher: writers are let finish, then it says IPC_QUIT back.
 */
#ifndef RECEIVER_KEEPER_H
#define RECEIVER_KEEPER_H

#include "config.h"

int keeper_main(int launcher_fd, const struct receiver_options *o);

#endif
