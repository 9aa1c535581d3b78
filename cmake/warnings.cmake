# SPDX-License-Identifier: GPL-3.0-or-later
# One INTERFACE target carries warnings and hardening, so that no folder can forget them.
add_library(transit_flags INTERFACE)
target_compile_definitions(transit_flags INTERFACE _GNU_SOURCE _FILE_OFFSET_BITS=64
                           TRANSIT_VERSION="${PROJECT_VERSION}")
target_compile_options(transit_flags INTERFACE
  -Wall -Wextra -Wshadow -Wconversion -Wsign-conversion -Wformat=2 -Wundef -Wvla -Wcast-qual
  -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wwrite-strings -Wswitch-enum
  -Wnull-dereference -Wdate-time
  -fstack-protector-strong -fstack-clash-protection -fcf-protection -fPIE)
target_link_options(transit_flags INTERFACE -pie -Wl,-z,relro,-z,now)
if(TRANSIT_WERROR)
  target_compile_options(transit_flags INTERFACE -Werror)
endif()
if(TRANSIT_SANITIZE)
  target_compile_options(transit_flags INTERFACE -fsanitize=address,undefined
                         -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(transit_flags INTERFACE -fsanitize=address,undefined)
elseif(TRANSIT_TSAN)
  target_compile_options(transit_flags INTERFACE -fsanitize=thread -fno-omit-frame-pointer)
  target_link_options(transit_flags INTERFACE -fsanitize=thread)
elseif(NOT TRANSIT_COVERAGE AND NOT CMAKE_BUILD_TYPE STREQUAL "Debug")
  target_compile_options(transit_flags INTERFACE -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3)
endif()
# Sanitizer checks confuse the flow analysis: null pointers and truncations that are not there.
# The release build has both warnings.
if(TRANSIT_SANITIZE OR TRANSIT_TSAN)
  target_compile_options(transit_flags INTERFACE -Wno-null-dereference
                         $<$<C_COMPILER_ID:GNU>:-Wno-format-truncation>)
endif()
if(TRANSIT_FUZZ)
  target_compile_options(transit_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()
if(TRANSIT_COVERAGE)
  target_compile_options(transit_flags INTERFACE --coverage)
  target_link_options(transit_flags INTERFACE --coverage)
endif()
