#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# The source is a running server: transit-send is carried to it on a disk, runs there on the old
# hardware, copies the disk it runs from, freezes it for the last round, and sends its own facts.

# shellcheck source=tests/support/functions.bash
source "$BATS_TEST_DIRNAME/../support/functions.bash"
# shellcheck source=tests/support/qemu.bash
source "$BATS_TEST_DIRNAME/../support/qemu.bash"
# shellcheck source=tests/support/guest.bash
source "$BATS_TEST_DIRNAME/../support/guest.bash"
# shellcheck source=tests/support/move.bash
source "$BATS_TEST_DIRNAME/../support/move.bash"

setup() {
	requires qemu-system-x86_64 mmdebstrap socat
	requires_root
	move_setup
	guest=$TRANSIT_CACHE/guests/bookworm-bios
	"$BATS_TEST_DIRNAME/../guests/build.sh" bookworm-bios "$TRANSIT_CACHE/guests" 3>&- >&2
}
teardown() { transit_teardown; }

# What an operator would type on the source; its output is the test's evidence.
write_job() {
	cat >"$1/run" <<-'END'
	#!/bin/sh
	cd /run/transit-job || exit 1
	send=./transit-send
	$send check --invite invite --disk /dev/sda=0 --json >check.json 2>check.err
	echo "check $?" >>codes
	$send push --invite invite --disk /dev/sda=0 --json >push.json 2>push.err
	echo "push $?" >>codes
	echo "written while the move was under way" >/root/late
	$send sync --invite invite --disk /dev/sda=0 --final --json >final.json 2>final.err
	echo "final $?" >>codes
	END
	chmod 755 "$1/run"
}

make_job_disk() {
	mkdir "$WORK/job"
	write_job "$WORK/job"
	cp "$BUILD/sender/transit-send-static" "$WORK/job/transit-send"
	cp "$WORK/invite" "$WORK/job/invite"
	mke2fs -q -t ext4 -L TRANSITJOB -d "$WORK/job" "$WORK/job.img" 64M
}

from_job() { debugfs -R "cat $1" "$WORK/job.img" 2>/dev/null; }

# Runs the job on the old hardware until the guest says that it ended.
run_source() {
	local guest_args=()
	guest_hardware "$guest" old
	guest_boot "${guest_args[@]}" --disk "$WORK/job.img,bus=ide" --forward "$LISTEN_PORT" \
		--timeout 900 --log "$WORK/source.log" --until 'TRANSIT-JOB ended' --fail-on 'Dropping to a shell'
}

@test "a running server copies itself, freezes for the last round, and boots on virtio" {
	truncate -s "$(stat -c %s "$guest/disk0.raw")" "$WORK/disk0.raw"
	start_receiver "0=$WORK/disk0.raw"
	ctl pair --disk 0 --out "$WORK/invite" --address 10.0.2.100:8443
	make_job_disk
	run_source || { tail -20 "$WORK/source.log"; from_job codes; from_job push.err | tail -5; return 1; }
	from_job codes
	from_job final.err | tail -5
	from_job codes | grep -qx 'push 0'
	from_job codes | grep -qx 'final 0'
	from_job check.json | jq -e '[.checks[] | select(.level == "critical")] | length == 0'
	from_job check.json | jq -e '.checks[] | select(.id == "initramfs") | .level == "warning"'
	from_job final.json | jq -e '.verified'
	from_job final.json | jq -e '.disks[0].data_blocks < 400'
	state_is verified
	jq -e '.disks[] | select(.n == 0) | .name == "sda"' "$STATE/task/facts.json"
	jq -e '.nics[] | select(.name == "ens3") | .mac == "52:54:00:74:72:01"' "$STATE/task/facts.json"
	ctl finalize
	state_is ready
	boot_moved "$guest" virtio-blk
	jq -e '.swaps | length == 1' "$WORK/probe.json"
}
