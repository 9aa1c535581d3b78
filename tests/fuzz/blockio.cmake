# SPDX-License-Identifier: GPL-3.0-or-later
# libFuzzer harnesses of what reads foreign bytes. clang only: cmake --preset fuzz.
foreach(name frame message journal codec)
  add_executable(fuzz_${name} ${CMAKE_CURRENT_LIST_DIR}/fuzz_${name}.c)
  target_link_libraries(fuzz_${name} PRIVATE blockio)
  target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
endforeach()
