# SPDX-License-Identifier: GPL-3.0-or-later
# Static checks as tests, so that one command and one summary cover them.
foreach(check format tidy cppcheck shell man spdx)
  layer_test(lint ${check} 1800 ${CMAKE_SOURCE_DIR}/scripts/lint.sh ${check} ${CMAKE_BINARY_DIR})
endforeach()
