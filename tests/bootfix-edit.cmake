# SPDX-License-Identifier: GPL-3.0-or-later
# Tests of bootfix/edit and of the steps that use it.
foreach(name fstab crypttab shellvar grubcfg debconf lvmconf modules cloudcfg console)
  unit(${name} bootfix_edit)
endforeach()
unit(cpio bootfix_edit PkgConfig::ZSTD PkgConfig::LZMA PkgConfig::ZLIB PkgConfig::LZ4)
unit(initramfs bootfix_edit PkgConfig::ZLIB)
unit(edit_steps bootfix_core)
# No step here uses libparted, whose constructor reads past a buffer that ASan watches.
target_link_options(test_edit_steps PRIVATE -Wl,--as-needed)
include(${CMAKE_CURRENT_LIST_DIR}/fuzz/edit.cmake)
