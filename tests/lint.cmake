# SPDX-License-Identifier: GPL-3.0-or-later
# Static checks as tests, so that one command and one summary cover them.
if("lint" IN_LIST TRANSIT_LAYERS)
  foreach(check format tidy cppcheck shell man spdx)
    add_test(NAME lint/${check} COMMAND ${CMAKE_SOURCE_DIR}/scripts/lint.sh ${check} ${CMAKE_BINARY_DIR})
    set_tests_properties(lint/${check} PROPERTIES LABELS lint TIMEOUT 900)
  endforeach()
  set_tests_properties(lint/tidy lint/cppcheck PROPERTIES PROCESSORS 2)
endif()
