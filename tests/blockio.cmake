# SPDX-License-Identifier: GPL-3.0-or-later
# Tests of base and blockio: unit, golden, and the fuzz harnesses when asked for.
unit(base base)
foreach(name extent digest codec frame frame_decoder message pairing device)
  unit(${name} blockio)
endforeach()

# The crash tests stand between the library and the kernel, to lose what was not synced.
foreach(name journal writer)
  unit(${name} blockio SECONDS 600)
  target_link_options(test_${name} PRIVATE -Wl,--wrap=pwrite64,--wrap=fdatasync,--wrap=fsync
                      -Wl,--wrap=renameat,--wrap=ftruncate64,--wrap=unlinkat)
endforeach()

# The same with thousands of histories, outside the minute-long loop.
foreach(name journal writer)
  layer_test(fault power-cut-${name} 1800 ${CMAKE_COMMAND} -E env TRANSIT_SEEDS=2000 $<TARGET_FILE:test_${name}>)
endforeach()

add_executable(test_golden_frames ${CMAKE_CURRENT_LIST_DIR}/golden/test_frames.c)
target_include_directories(test_golden_frames PRIVATE ${CMAKE_CURRENT_LIST_DIR}/support)
target_link_libraries(test_golden_frames PRIVATE blockio PkgConfig::CMOCKA)
target_compile_definitions(test_golden_frames PRIVATE TESTS_DIR="${CMAKE_CURRENT_LIST_DIR}")
layer_test(golden frames 60 test_golden_frames)

# What the fault tests ask after every crash: does the journal claim anything that is not there?
add_executable(claims ${CMAKE_CURRENT_LIST_DIR}/support/claims.c)
target_link_libraries(claims PRIVATE blockio)

if(TRANSIT_FUZZ)
  include(${CMAKE_CURRENT_LIST_DIR}/fuzz/blockio.cmake)
endif()
