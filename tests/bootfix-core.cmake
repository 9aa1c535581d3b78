# SPDX-License-Identifier: GPL-3.0-or-later
# Tests of bootfix's core: facts, paths, tables, the executor, the report.
foreach(name exec facts paths space table)
  unit(bootfix_${name} bootfix_core)
endforeach()
unit(bootfix_report bootfix_core PkgConfig::JANSSON)
bats_test(cli bootfix 300)
