# SPDX-License-Identifier: GPL-3.0-or-later
# Tests of the programs together, as a person runs them.
bats_test(cli refusals 300)
bats_test(cli transfer 300)
bats_test(cli rounds 600)
bats_test(cli flow 300)
bats_test(fault kill 900)
bats_test(fault memory 300)
bats_test(e2e bookworm_bios 1500)
bats_test(e2e trixie_uefi 1500)
bats_test(e2e two_disks 1500)
bats_test(e2e live_source 1800)
bats_test(cli limits 600)
bats_test(cli network 600)
