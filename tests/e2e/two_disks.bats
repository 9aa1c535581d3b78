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
	guest=$TRANSIT_CACHE/guests/bookworm-two-disks
}
teardown() { transit_teardown; }

@test "bookworm-two-disks boots on its old hardware and fails on virtio unfixed" {
	"$BATS_TEST_DIRNAME/../guests/check.sh" bookworm-two-disks "$TRANSIT_CACHE/guests" >&3 3>&-
}

@test "bookworm-two-disks moved as disks 0 and 1 boots on virtio-blk with its data mounted" {
	move_guest "$guest" 0 --all-blocks
	boot_moved "$guest" virtio-blk
	jq -e '.swaps | length == 1' "$WORK/probe.json"
	jq -e '[.. | objects | select(.target? == "/srv/data")] | length == 1' "$WORK/probe.json"
	second_plan_is_empty
}

# plan_of_disks FOLDER STATE: what a plan would do, and to which content: equal plans mean equal files.
plan_of_disks() {
	"$bootfix" plan "$1/disk0.raw" "$1/disk1.raw" --facts "$WORK/facts.json" --state "$2" --json |
		jq -S '[.actions[] | {step, kind, path, sha256_before, sha256_after}]'
}

@test "undo gives the files and the first and last sectors back" {
	move_guest "$guest" 0
	second_plan_is_empty
	ctl undo
	plan_of_disks "$WORK" "$WORK/after" >"$WORK/after.json"
	mkdir "$WORK/fresh"
	cp --sparse=always "$guest/disk0.raw" "$WORK/fresh/disk0.raw"
	cp --sparse=always "$guest/disk1.raw" "$WORK/fresh/disk1.raw"
	plan_of_disks "$WORK/fresh" "$WORK/fresh/state" >"$WORK/before.json"
	jq -e 'length > 3' "$WORK/before.json"
	diff "$WORK/before.json" "$WORK/after.json"
	local i
	for i in 0 1; do
		cmp -n 1048576 "$guest/disk$i.raw" "$WORK/disk$i.raw"
		cmp <(tail -c 1048576 "$guest/disk$i.raw") <(tail -c 1048576 "$WORK/disk$i.raw")
	done
}
