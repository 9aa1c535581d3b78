# SPDX-License-Identifier: GPL-3.0-or-later
# Tests of base and blockio: unit, golden, and the fuzz harnesses when asked for.
unit(base base)
foreach(name extent digest codec frame frame_decoder message pairing device)
  unit(${name} blockio)
endforeach()

# Disks and queues, once with io_uring and once with threads; exit code 77 where a kernel forbids it.
# both_io(NAME TEST): runs test_TEST twice, as unit/NAME-threads and unit/NAME-uring
function(both_io layer name seconds)
  foreach(io threads uring)
    layer_test(${layer} ${name}-${io} ${seconds} ${CMAKE_COMMAND} -E env TRANSIT_IO=${io} ${ARGN})
  endforeach()
endfunction()

add_executable(test_ioq unit/test_ioq.c)
target_include_directories(test_ioq PRIVATE support)
target_link_libraries(test_ioq PRIVATE blockio PkgConfig::CMOCKA)
both_io(unit ioq 120 $<TARGET_FILE:test_ioq>)

# The crash tests stand between the library and the kernel, to lose what was not synced.
foreach(name journal writer)
  unit(${name} blockio SECONDS 600)
  target_link_options(test_${name} PRIVATE -Wl,--wrap=pwrite64,--wrap=fdatasync,--wrap=fsync
                      -Wl,--wrap=renameat,--wrap=ftruncate64,--wrap=unlinkat)
endforeach()

# The writer's queue is simulated, so that a seed decides in which order things happen.
foreach(call new free backend limit_threads room in_flight submit reap wait)
  target_link_options(test_writer PRIVATE -Wl,--wrap=ioq_${call})
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
unit(address blockio)
