# SPDX-License-Identifier: GPL-3.0-or-later
include(${CMAKE_CURRENT_LIST_DIR}/bootfix-core.cmake)
include(${CMAKE_CURRENT_LIST_DIR}/bootfix-edit.cmake)
