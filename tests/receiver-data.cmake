# SPDX-License-Identifier: GPL-3.0-or-later
# Sockets, frames, rings and disks: each role against test ends of its channels.
unit(ipc receiver_data)
unit(ring receiver_data)
unit(listener receiver_data)
unit(writer_role receiver_data)
unit(conn receiver_data Threads::Threads)

# The whole program: which processes it is, and how they end.
unit(launcher receiver_data)
target_compile_definitions(test_launcher PRIVATE RECEIVERD="$<TARGET_FILE:receiverd>")
add_dependencies(test_launcher receiverd)
