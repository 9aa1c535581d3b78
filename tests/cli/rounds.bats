#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# Rounds until they converge, and what is predicted of a final one. The line is the narrow place, by
# --limit, so that a busy machine does not decide.

# shellcheck source=tests/support/functions.bash
source "$BATS_TEST_DIRNAME/../support/functions.bash"

setup() {
	transit_setup
	make_disk "$WORK/source" 96
	make_target "$WORK/target" 96
	start_receiver "0=$WORK/target"
	pair 0
	WRITER_PID=
}
teardown() {
	stop_writer
	transit_teardown
}

push() { send push --invite "$WORK/invite" --disk "$WORK/source=0" "$@"; }
sync_round() { send sync --invite "$WORK/invite" --disk "$WORK/source=0" "$@"; }

# change MIB [AT]: so many MiB of new content, from MiB AT on
change() {
	dd if=/dev/urandom of="$WORK/source" bs=1M count="$1" seek="${2:-0}" conv=notrunc status=none
}

# start_writer SECONDS: a MiB in so many seconds, each at another place until all have had one
start_writer() {
	local at=0
	while :; do
		change 1 "$at"
		at=$(((at + 37) % 96))
		sleep "$1"
	done 3>&- &
	WRITER_PID=$!
}
stop_writer() {
	[[ -z ${WRITER_PID:-} ]] || end_process "$WRITER_PID"
	WRITER_PID=
}

# within LOW HIGH VALUE REFERENCE: LOW <= VALUE / REFERENCE <= HIGH
within() {
	echo "$3 against $4" >&2
	jq -en --argjson low "$1" --argjson high "$2" --argjson v "$3" --argjson r "$4" \
		'$v >= $low * $r and $v <= $high * $r' >/dev/null
}

@test "rounds end when nothing changes any more, and each is in the list" {
	sync_round --until-converged --json >"$WORK/out"
	jq . "$WORK/out"
	[[ $(jq -r .converged "$WORK/out") == small ]]
	[[ $(jq '.rounds_list | length' "$WORK/out") -eq 2 ]]
	[[ $(jq '.rounds_list[0].changed_bytes' "$WORK/out") -eq $((64 * 1048576)) ]]
	[[ $(jq '.rounds_list[0].downtime.seconds' "$WORK/out") == null ]]
	[[ $(jq '.rounds_list[1].changed_bytes' "$WORK/out") -eq 0 ]]
	[[ $(jq '.rounds_list[1].read_bytes' "$WORK/out") -eq $((64 * 1048576)) ]]
	jq -e '.rounds_list[1].downtime.seconds >= .rounds_list[1].downtime.read' "$WORK/out"
}

@test "each round has its line" {
	sync_round --until-converged --quiet >"$WORK/out"
	cat "$WORK/out"
	grep -E '^round 1: 64.0 MiB sent, 64.0 MiB read in [0-9.]+ s.*downtime of a final round now: not known' "$WORK/out"
	grep -E '^round 2: 0 B changed, .*downtime of a final round now: [0-9.]+ s \(freeze 0.0 \+ read ' "$WORK/out"
}

@test "a source that changes as fast as before ends the rounds as steady, or by their number" {
	push --limit 40M
	start_writer 0.1
	sync_round --until-converged --converged-below 0 --max-rounds 4 --pause-between 2s --json >"$WORK/out"
	stop_writer
	jq -c '.converged, .rounds_list[].changed_bytes' "$WORK/out"
	[[ $(jq -r .converged "$WORK/out") =~ ^(steady|max-rounds)$ ]]
	[[ $(jq '.rounds_list | length' "$WORK/out") -le 4 ]]
}

@test "a final round is not begun while the figures for its downtime are missing" {
	push
	run sync_round --final --max-downtime 1h
	echo "$output"
	[[ $status -eq 4 && $output == *"(downtime-unknown)"* && $output == *"two rounds"* ]]
	wait_until 5 state_is received
}

@test "a final round that would take too long is refused by name, and nothing was begun" {
	push
	change 40
	sync_round --json >"$WORK/out"
	# in another process, by what the state folder kept
	sleep 2
	run sync_round --final --max-downtime 1s --limit 1M
	echo "$output"
	[[ $status -eq 4 && $output == *"(downtime-too-long)"* && $output == *"nothing was frozen"* ]]
	wait_until 5 state_is received
	sync_round --final --max-downtime 1h
	state_is verified
	same_content "$WORK/source" "$WORK/target"
}

@test "rounds go over into the final one by themselves when it would be short enough" {
	sync_round --until-converged --final --max-downtime 1h --json >"$WORK/out"
	[[ $(jq -r .converged "$WORK/out") == downtime ]]
	[[ $(jq -r .verified "$WORK/out") == true ]]
	state_is verified
	same_content "$WORK/source" "$WORK/target"
}

@test "rounds that never become short enough end in the refusal" {
	push
	start_writer 0.5
	run sync_round --until-converged --final --max-downtime 1s --max-rounds 3 --limit 1M
	stop_writer
	echo "$output"
	[[ $status -eq 4 && $output == *"downtime-too-long"* ]]
	[[ $(grep -c '^round ' <<<"$output") -eq 3 ]]
	run state_is verified
	[[ $status -ne 0 ]]
}

@test "an interrupted row of rounds is exit 3 and goes on" {
	"$transit_send" sync --invite "$WORK/invite" --disk "$WORK/source=0" --until-converged \
		--pause-between 1h --converged-below 0 --max-rounds 9 >"$WORK/out" 2>"$WORK/err" 3>&- &
	SENDER_PID=$!
	wait_until 30 grep -q '^round 1' "$WORK/out"
	kill -INT "$SENDER_PID"
	local status=0
	wait "$SENDER_PID" || status=$?
	SENDER_PID=
	[[ $status -eq 3 ]]
	grep "run the same command again" "$WORK/err"
	sync_round --until-converged --json >"$WORK/out"
	[[ $(jq '.rounds_list[0].changed_bytes' "$WORK/out") -eq 0 ]]
}

@test "the downtime that was predicted is the downtime that was measured" {
	push
	start_writer 0.2
	sleep 5
	sync_round --limit 6M >/dev/null
	sleep 5
	sync_round --limit 6M >/dev/null
	sleep 6
	stop_writer
	sync_round --final --max-downtime 5m --limit 6M --json >"$WORK/out"
	jq -c .downtime "$WORK/out"
	same_content "$WORK/source" "$WORK/target"
	within 0.7 1.4 "$(jq .downtime.seconds "$WORK/out")" "$(jq .downtime.predicted "$WORK/out")"
}
