# SPDX-License-Identifier: GPL-3.0-or-later
# libFuzzer harnesses of the editors; run one as ./fuzz_fstab -max_total_time=30
if(TRANSIT_FUZZ)
  foreach(name fstab crypttab grubcfg cpio modules debconf shellvar lvmconf cloudcfg)
    add_executable(fuzz_${name} ${CMAKE_CURRENT_LIST_DIR}/fuzz_${name}.c)
    target_link_libraries(fuzz_${name} PRIVATE bootfix_edit)
    target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
  endforeach()
endif()
