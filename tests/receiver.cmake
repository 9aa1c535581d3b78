# SPDX-License-Identifier: GPL-3.0-or-later
# The data plane (sockets, frames, disks) and the control plane (keys, tasks, commands).
include(${CMAKE_CURRENT_LIST_DIR}/receiver-data.cmake)
include(${CMAKE_CURRENT_LIST_DIR}/receiver-control.cmake)
