# SPDX-License-Identifier: GPL-3.0-or-later
# Sockets, frames, rings and disks: each role against test ends of its channels.
unit(ipc receiver_data)
unit(ring receiver_data)
unit(listener receiver_data)

# Twice: with io_uring and with threads.
add_executable(test_writer_role unit/test_writer_role.c)
target_include_directories(test_writer_role PRIVATE support)
target_link_libraries(test_writer_role PRIVATE receiver_data PkgConfig::CMOCKA)
both_io(unit writer_role 240 $<TARGET_FILE:test_writer_role>)
unit(conn receiver_data Threads::Threads)

# The whole program: which processes it is, and how they end.
unit(launcher receiver_data)
target_compile_definitions(test_launcher PRIVATE RECEIVERD="$<TARGET_FILE:receiverd>")
add_dependencies(test_launcher receiverd)
