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
	guest=$TRANSIT_CACHE/guests/trixie-uefi
}
teardown() { transit_teardown; }

@test "trixie-uefi boots on its old hardware and fails on virtio unfixed" {
	"$BATS_TEST_DIRNAME/../guests/check.sh" trixie-uefi "$TRANSIT_CACHE/guests" >&3 3>&-
}

@test "trixie-uefi moved to a larger disk boots on virtio-blk from blank variables, its root grown" {
	local before
	before=$(stat -c %s "$guest/disk0.raw")
	move_guest "$guest" 1024
	boot_moved "$guest" virtio-blk
	sgdisk -v "$WORK/disk0.raw" | grep -q 'No problems found'
	# The root took most of the gibibyte that the target has more.
	jq -e '.root_bytes > 0' "$WORK/probe.json"
	(($(jq .root_bytes "$WORK/probe.json") > before / 2 + 600 * 1048576))
	second_plan_is_empty
}
