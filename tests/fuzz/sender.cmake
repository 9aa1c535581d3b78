# SPDX-License-Identifier: GPL-3.0-or-later
# libFuzzer harnesses of what the sender reads from others than its receiver.
foreach(name proxy trace usage)
  add_executable(fuzz_${name} ${CMAKE_CURRENT_LIST_DIR}/fuzz_${name}.c)
  target_link_libraries(fuzz_${name} PRIVATE sender)
  target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
endforeach()
