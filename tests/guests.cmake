# SPDX-License-Identifier: GPL-3.0-or-later
# The tools of the end-to-end tests are tested too: a runner that cannot say no proves nothing.
layer_test(e2e machine 600 ${CMAKE_COMMAND} -E env TRANSIT_CACHE=${CMAKE_SOURCE_DIR}/build/cache
           ${CMAKE_SOURCE_DIR}/appliance/boot-test.sh)
layer_test(cli guest-support 300 ${CMAKE_CURRENT_LIST_DIR}/support/run-bats.sh ${CMAKE_CURRENT_LIST_DIR}/guests/support.bats)
if(TEST e2e/machine)
  set_tests_properties(e2e/machine PROPERTIES RESOURCE_LOCK qemu)
endif()
