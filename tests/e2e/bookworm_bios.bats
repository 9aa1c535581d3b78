#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later

# shellcheck source=tests/support/functions.bash
source "$BATS_TEST_DIRNAME/../support/functions.bash"
# shellcheck source=tests/support/qemu.bash
source "$BATS_TEST_DIRNAME/../support/qemu.bash"
# shellcheck source=tests/support/guest.bash
source "$BATS_TEST_DIRNAME/../support/guest.bash"
# shellcheck source=tests/support/move.bash
source "$BATS_TEST_DIRNAME/../support/move.bash"

setup() {
	requires qemu-system-x86_64 mmdebstrap
	requires_root
	move_setup
	guest=$TRANSIT_CACHE/guests/bookworm-bios
}
teardown() { transit_teardown; }

@test "bookworm-bios boots on its old hardware and fails on virtio unfixed" {
	"$BATS_TEST_DIRNAME/../guests/check.sh" bookworm-bios "$TRANSIT_CACHE/guests" >&3 3>&-
}

@test "bookworm-bios moved, verified and fixed, boots on virtio-blk with every marker in place" {
	move_guest "$guest" 0
	boot_moved "$guest" virtio-blk
	jq -e '.swaps | length == 1' "$WORK/probe.json"
	jq -e '.selinux_config == "disabled"' "$WORK/probe.json"
	second_plan_is_empty
}
