#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# The move itself, with real programs over real TLS on loopback, files as disks.

# shellcheck source=tests/support/functions.bash
source "$BATS_TEST_DIRNAME/../support/functions.bash"

setup() {
	transit_setup
	make_disk "$WORK/source" 24
	make_target "$WORK/target" 24
}
teardown() { transit_teardown; }

push() { send push --invite "$WORK/invite" --disk "$WORK/source=0" "$@"; }
sync_round() { send sync --invite "$WORK/invite" --disk "$WORK/source=0" "$@"; }

@test "push --once moves a disk, proves it, and says verified" {
	start_receiver "0=$WORK/target"
	pair 0
	push --once --json >"$WORK/out"
	same_content "$WORK/source" "$WORK/target"
	state_is verified
	[[ $(jq -r .verified "$WORK/out") == true ]]
	# The manifest's list, made again with stock tools from the target.
	split -b 262144 --filter 'sha256sum | cut -d" " -f1' "$WORK/target" | xxd -r -p | sha256sum >"$WORK/list"
	[[ $(jq -r '.disks[0].list_sha256' "$WORK/out") == "$(cut -d' ' -f1 "$WORK/list")" ]]
}

@test "zero blocks are not sent and leave holes in the target" {
	start_receiver "0=$WORK/target"
	pair 0
	push --once --json >"$WORK/out"
	[[ $(jq '.bytes_wire' "$WORK/out") -lt $((17 * 1048576)) ]]
	[[ $(jq '.disks[0].zero_blocks' "$WORK/out") -ge 30 ]]
	(($(blocks_used "$WORK/target") * 512 <= 17 * 1048576))
}

@test "zeros land on a target that held data" {
	yes data | head -c $((24 * 1048576)) >"$WORK/target"
	start_receiver "0=$WORK/target"
	pair 0 --erase "$(ctl disks --json | jq -r '.disks[0].serial')"
	push --once
	same_content "$WORK/source" "$WORK/target"
}

@test "a second round sends only what changed" {
	start_receiver "0=$WORK/target"
	pair 0
	push
	dd if=/dev/urandom of="$WORK/source" bs=4096 seek=777 count=1 conv=notrunc status=none
	dd if=/dev/urandom of="$WORK/source" bs=4096 seek=3333 count=1 conv=notrunc status=none
	sync_round --json >"$WORK/out"
	[[ $(jq '.disks[0].data_blocks' "$WORK/out") -eq 2 ]]
	sync_round --final
	same_content "$WORK/source" "$WORK/target"
	state_is verified
}

# The list that was signed, made again from the target with stock tools.
list_is_true() {
	split -b 262144 --filter 'sha256sum | cut -d" " -f1' "$WORK/target" | xxd -r -p | sha256sum >"$WORK/list"
	[[ $(jq -r '.disks[0].list_sha256' "$1") == "$(cut -d' ' -f1 "$WORK/list")" ]]
}

@test "whatever digests the rounds take, the manifest is of SHA-256" {
	start_receiver "0=$WORK/target"
	pair 0
	push --digest fast
	# Nothing is sent again, yet the manifest is whole.
	sync_round --digest fast --final --json >"$WORK/out"
	[[ $(jq '.disks[0].data_blocks' "$WORK/out") -eq 0 ]]
	list_is_true "$WORK/out"
	state_is verified
}

# Bytes whose SHA-256 no round has taken yet.
unhashed() { jq .unhashed "$WORK/invite.state/rounds"; }

@test "a slow push takes SHA-256 at once, and the final round takes what rounds have left" {
	start_receiver "0=$WORK/target"
	pair 0
	push --limit 4M
	[[ $(unhashed) -eq 0 ]]
	stop_receiver
	rm -rf "$STATE" "$WORK/invite"* "$WORK/target"
	make_target "$WORK/target" 24
	start_receiver "0=$WORK/target"
	pair 0
	push --digest fast
	[[ $(unhashed) -eq 16777216 ]]
	sync_round --json >"$WORK/out"
	[[ $(unhashed) -eq 16777216 && $(jq '.disks[0].data_blocks' "$WORK/out") -eq 0 ]]
	sync_round --final --json >"$WORK/out"
	[[ $(unhashed) -eq 0 ]]
	list_is_true "$WORK/out"
}

@test "digests may be made strong later: what was sent with fast ones is sent again" {
	start_receiver "0=$WORK/target"
	pair 0
	push
	sync_round --digest strong --json >"$WORK/out"
	[[ $(jq '.disks[0].data_blocks' "$WORK/out") -eq 64 ]]
	# From then on they stay so, and are enough for whoever asks less.
	sync_round --final --json >"$WORK/out"
	[[ $(jq '.disks[0].data_blocks' "$WORK/out") -eq 0 ]]
	list_is_true "$WORK/out"
}

@test "every codec gives the same target, and a better one fewer bytes" {
	local c
	yes "a line that packs well" | head -c $((24 * 1048576)) >"$WORK/source"
	for c in raw lz4 zstd:3; do
		start_receiver "0=$WORK/target"
		pair 0
		push --once --codec "$c" --json >"$WORK/out.$c"
		same_content "$WORK/source" "$WORK/target"
		stop_receiver
		rm -rf "$STATE" "$WORK/invite"*
		rm "$WORK/target" && make_target "$WORK/target" 24
	done
	(($(jq .bytes_wire "$WORK/out.lz4") * 10 < $(jq .bytes_wire "$WORK/out.raw")))
	(($(jq .bytes_wire "$WORK/out.zstd:3") < $(jq .bytes_wire "$WORK/out.lz4")))
	run push --codec zstd:20
	[[ $status -eq 2 && $output == *"1 to 19"* ]]
}

@test "a flipped bit on the target is found by verify, named, and resent by the next sync" {
	start_receiver "0=$WORK/target"
	pair 0
	push --once
	printf 'X' | dd of="$WORK/target" bs=1 seek=5000001 conv=notrunc status=none
	run ctl verify
	echo "$output"
	[[ $status -eq 1 && $output == *"disk 0"* && $output == *4980736* ]]
	sync_round --final --json >"$WORK/out"
	[[ $(jq '.disks[0].data_blocks' "$WORK/out") -eq 1 ]]
	same_content "$WORK/source" "$WORK/target"
	run ctl verify
	[[ $status -eq 0 ]]
}

@test "a receiver that is killed is told of in words, not in codes of a library" {
	start_receiver "0=$WORK/target"
	pair 0
	push --limit 2M --retry 1 2>"$WORK/err" &
	SENDER_PID=$!
	wait_until 10 state_is receiving
	sleep 1
	kill_receiver
	status=0
	wait "$SENDER_PID" || status=$?
	SENDER_PID=
	cat "$WORK/err"
	[[ $status -eq 3 ]]
	grep -E "127.0.0.1:[0-9]+ (was cut off|broke)" "$WORK/err"
	run grep "SSL routines" "$WORK/err"
	[[ $status -eq 1 ]]
}

@test "the source is opened read-only" {
	requires strace
	start_receiver "0=$WORK/target"
	pair 0
	ASAN_OPTIONS=detect_leaks=0 strace -f -e trace=openat,open,openat2,creat -o "$WORK/trace" \
		"$transit_send" push --invite "$WORK/invite" --disk "$WORK/source=0" --once
	grep -F "\"$WORK/source\"" "$WORK/trace"
	run grep -E "\"$WORK/source\".*(O_RDWR|O_WRONLY|O_CREAT|O_TRUNC)" "$WORK/trace"
	[[ $status -eq 1 ]]
}

@test "two disks go by their numbers" {
	make_disk "$WORK/source1" 9
	make_target "$WORK/target1" 10
	start_receiver "0=$WORK/target" "1=$WORK/target1"
	pair 0,1
	send push --invite "$WORK/invite" --disk "$WORK/source=0" --disk "$WORK/source1=1" --once
	same_content "$WORK/source" "$WORK/target"
	cmp -n $((9 * 1048576)) "$WORK/source1" "$WORK/target1"
	state_is verified
}

@test "a size that is no multiple of the block or the sector size arrives whole" {
	truncate -s 3145999 "$WORK/source"
	truncate -s 0 "$WORK/target"
	truncate -s 3146240 "$WORK/target"
	start_receiver "0=$WORK/target"
	pair 0
	push --once
	cmp -n 3145999 "$WORK/source" "$WORK/target"
}

@test "block sizes from 64 KiB to 1 MiB and 1 to 8 connections give the same disk" {
	local size k
	for size in 64K 1M; do
		for k in 1 8; do
			rm -rf "$STATE" "$WORK/invite" "$WORK/invite.state" "$WORK/target"
			make_target "$WORK/target" 24
			start_receiver "0=$WORK/target" --block-size "$size"
			pair 0
			push --once --connections "$k"
			same_content "$WORK/source" "$WORK/target"
			stop_receiver
		done
	done
}

@test "pause stops a push, resume lets the same command finish" {
	start_receiver "0=$WORK/target"
	pair 0
	"$transit_send" push --invite "$WORK/invite" --disk "$WORK/source=0" --limit 4M --retry 0 >/dev/null 2>&1 3>&- &
	SENDER_PID=$!
	wait_until 10 state_is receiving
	ctl pause
	state_is paused
	local status=0
	wait "$SENDER_PID" || status=$?
	SENDER_PID=
	[[ $status -eq 3 ]]
	ctl resume
	push --once
	same_content "$WORK/source" "$WORK/target"
}

@test "a restarted receiver comes back to its state and the push goes on" {
	start_receiver "0=$WORK/target"
	pair 0
	push
	wait_until 5 state_is received
	stop_receiver
	start_receiver "0=$WORK/target"
	state_is received
	sync_round --final --json >"$WORK/out"
	[[ $(jq '.disks[0].data_blocks' "$WORK/out") -eq 0 ]]
	state_is verified
	stop_receiver
	start_receiver "0=$WORK/target"
	state_is verified
	same_content "$WORK/source" "$WORK/target"
}

@test "abort and clean work any number of times, with the source gone" {
	start_receiver "0=$WORK/target"
	pair 0
	push
	ctl abort
	state_is aborted
	ctl clean
	state_is waiting
	ctl clean
	state_is waiting
	run push --retry 0
	[[ $status -eq 4 ]]
}

@test "the journal claims nothing that is not on the disk" {
	start_receiver "0=$WORK/target"
	pair 0
	push
	stop_receiver
	"$claims" "$STATE/task/disk-0" "$WORK/target"
	printf 'X' | dd of="$WORK/target" bs=1 seek=100 conv=notrunc status=none
	run "$claims" "$STATE/task/disk-0" "$WORK/target"
	[[ $status -eq 1 ]]
}

@test "check looks at this machine and says what each finding means" {
	run send check --json
	jq -e '.checks | length >= 8' <<<"$output"
	jq -e 'all(.checks[]; .id and .level and (.level == "ok" or .fix))' <<<"$output"
}
