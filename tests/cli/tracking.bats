#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# What a run says about how it found changes, on whatever kernel runs here. e2e/trace is the real test.

# shellcheck source=tests/support/functions.bash
source "$BATS_TEST_DIRNAME/../support/functions.bash"

setup() {
	requires jq
	transit_setup
	make_disk "$WORK/disk" 9
	make_target "$WORK/target" 9
	LOOP=
}
teardown() {
	[[ -z $LOOP ]] || losetup -d "$LOOP"
	transit_teardown
}

# push_once SOURCE: two rounds and the verification
push_once() {
	start_receiver "0=$WORK/target"
	pair 0
	send push --invite "$WORK/invite" --disk "$1=0" --once --json >"$WORK/out.json" 2>"$WORK/err"
	jq -e '.verified' "$WORK/out.json"
	cmp "$WORK/disk" "$WORK/target"
}

@test "an image file is compared by digests, and that is no news" {
	push_once "$WORK/disk"
	jq -e '.disks[0] | .tracking == "digests" and .trace_lost == "image-file" and .tracked_bytes == null' \
		"$WORK/out.json"
	run ! grep 'changes are found' "$WORK/err"
}

@test "one round tracks nothing" {
	start_receiver "0=$WORK/target"
	pair 0
	send push --invite "$WORK/invite" --disk "$WORK/disk=0" --json >"$WORK/out.json"
	jq -e '.disks[0] | .tracking == "digests" and .trace_lost == null' "$WORK/out.json"
}

@test "a disk is traced, or one line says why not; the copy is the same" {
	requires_root
	LOOP=$(losetup -f --show "$WORK/disk" 2>/dev/null) || skip "needs loop devices"
	push_once "$LOOP"
	size=$(stat -c %s "$WORK/disk")
	if jq -e '.disks[0].tracking == "trace"' "$WORK/out.json"; then
		jq -e ".disks[0].trace_lost == null and .disks[0].tracked_bytes == 0 and .bytes_read == $size" "$WORK/out.json"
		run ! grep 'changes are found' "$WORK/err"
	else
		jq -e ".disks[0].trace_lost != null and .disks[0].tracked_bytes == null and .bytes_read == 2 * $size" "$WORK/out.json"
		[[ $(grep -c 'disk 0: changes are found by digests: ' "$WORK/err") == 1 ]]
	fi
}
