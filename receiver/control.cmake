# SPDX-License-Identifier: GPL-3.0-or-later
# The control plane: what is linked into receiverd beside the data plane, and receiverctl.
# Paths are relative to receiver/, whose CMakeLists.txt includes this file and links
# RECEIVER_CONTROL_SOURCES against RECEIVER_CONTROL_LIBS, blockio and base.
set(RECEIVER_CONTROL_SOURCES
    config.c
    control.c
    events.c
    fix.c
    keeper.c
    keeper_commands.c
    keeper_peer.c
    keeper_verify.c
    keeper_disks.c
    keeper_key.c
    keeper_login.c
    invitation.c
    keeper_writer.c
    manifest.c
    status.c
    store.c
    task.c
    task_state.c
    task_store.c
    tickets.c)
set(RECEIVER_CONTROL_LIBS
    PkgConfig::LIBEVENT
    PkgConfig::JANSSON
    PkgConfig::INIH
    PkgConfig::OPENSSL)
set(RECEIVERCTL_SOURCES
    receiverctl.c
    receiverctl_client.c
    receiverctl_show.c
    receiverctl_wait.c)
