# SPDX-License-Identifier: GPL-3.0-or-later
# Programs of scripts/bench.sh, built only when asked for: cmake --build --preset release --target bench
add_executable(bench_image EXCLUDE_FROM_ALL ${CMAKE_CURRENT_LIST_DIR}/bench/image.c)
target_link_libraries(bench_image PRIVATE base)
add_executable(bench_parts EXCLUDE_FROM_ALL ${CMAKE_CURRENT_LIST_DIR}/bench/parts.c)
target_link_libraries(bench_parts PRIVATE blockio PkgConfig::ZSTD)
foreach(name wire probe)
  add_executable(bench_${name} EXCLUDE_FROM_ALL ${CMAKE_CURRENT_LIST_DIR}/bench/${name}.c)
  target_link_libraries(bench_${name} PRIVATE base)
endforeach()

add_custom_target(bench DEPENDS bench_image bench_parts bench_wire bench_probe receiverd receiverctl transit-send)

bats_test(cli bench 900)
