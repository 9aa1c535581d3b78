#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# What transit-send estimate says, against what then happens. The line is the narrow place, by
# --limit, so that a busy machine does not decide.

# shellcheck source=tests/support/functions.bash
source "$BATS_TEST_DIRNAME/../support/functions.bash"

setup() { transit_setup; }
teardown() { transit_teardown; }

# begin MIB: a receiver for $WORK/source, paired
begin() {
	make_target "$WORK/target" "$1"
	start_receiver "0=$WORK/target"
	pair 0
}

estimate() { send estimate --invite "$WORK/invite" --disk "$WORK/source=0" --seed 7 "$@"; }
push() { send push --invite "$WORK/invite" --disk "$WORK/source=0" "$@"; }

# first_round_is_as_estimated OPTION...
first_round_is_as_estimated() {
	estimate --json --seconds 3 "$@" >"$WORK/estimate"
	push --json --quiet "$@" >"$WORK/out"
	jq -c '.line, .source, .first_round' "$WORK/estimate"
	jq -c '.rounds_list[0]' "$WORK/out"
	jq -en --slurpfile e "$WORK/estimate" --slurpfile f "$WORK/out" '
		$e[0].first_round as $said | $f[0].rounds_list[0] as $was |
		$said.bound == "the line" and
		$was.seconds >= 0.7 * $said.seconds.expected and
		$was.seconds <= 1.4 * $said.seconds.expected and
		$was.wire_bytes >= 0.8 * $said.wire_bytes and
		$was.wire_bytes <= 1.25 * $said.wire_bytes'
}

@test "a source that cannot be compressed takes as long as estimated" {
	dd if=/dev/urandom of="$WORK/source" bs=1M count=80 status=none
	begin 80
	first_round_is_as_estimated --limit 16M
}

@test "a source that can be compressed takes as long as estimated" {
	make_text "$WORK/source" 80
	begin 80
	first_round_is_as_estimated --limit 3M --codec lz4
}

@test "a source of random bytes, text and holes takes as long as estimated, by whichever codec pays" {
	make_disk "$WORK/source" 96
	begin 96
	first_round_is_as_estimated --limit 6M
}

# make_text FILE MIB: text whose blocks are all alike in kind and none alike in content
make_text() {
	seq 1 1000000000 | head -c "$(($2 * 1048576))" >"$1"
}

@test "an estimate pairs, and leaves the target alone" {
	make_disk "$WORK/source" 24
	begin 24
	estimate --json --seconds 1 >"$WORK/out"
	state_is paired
	cmp -n $((24 * 1048576)) "$WORK/target" /dev/zero
	(($(blocks_used "$WORK/target") == 0))
	[[ $(jq -r .result "$WORK/out") == "done" ]]
	jq -e '.disks[0].used_bytes == 16 * 1048576 and .source.zero_share < 0.1' "$WORK/out"
	jq -e '.first_round.seconds | .low <= .expected and .expected <= .high' "$WORK/out"
	jq -e '.final_round.downtime_seconds | .low <= .expected and .expected <= .high' "$WORK/out"
	push --once
	same_content "$WORK/source" "$WORK/target"
	# and again, where all is there
	estimate --seconds 1 >"$WORK/out"
	grep -E '^downtime +[0-9.]+ to [0-9.]+ s, bound by' "$WORK/out"
	state_is verified
}

@test "an estimate is refused by name while a transfer runs, and does not disturb it" {
	make_disk "$WORK/source" 24
	begin 24
	push --limit 4M --json --quiet >"$WORK/out" 2>&1 3>&- &
	SENDER_PID=$!
	wait_until 10 state_is receiving
	cp -r "$WORK/invite.state" "$WORK/other"
	run estimate --state "$WORK/other" --seconds 1
	echo "$output"
	[[ $status -eq 4 && $output == *"(busy)"* ]]
	local status=0
	wait "$SENDER_PID" || status=$?
	SENDER_PID=
	[[ $status -eq 0 ]]
	[[ $(jq -r .rounds "$WORK/out") -eq 1 ]]
}

@test "a transfer that begins ends the estimate" {
	make_disk "$WORK/source" 24
	begin 24
	estimate --seconds 1 >/dev/null
	cp -r "$WORK/invite.state" "$WORK/other"
	"$transit_send" estimate --invite "$WORK/invite" --disk "$WORK/source=0" \
		--state "$WORK/other" --seconds 60 >"$WORK/out" 2>"$WORK/err" 3>&- &
	SENDER_PID=$!
	wait_until 10 grep -q 'login=probe' "$WORK/receiverd.log"
	wait_until 10 probing
	push
	local status=0
	wait "$SENDER_PID" || status=$?
	SENDER_PID=
	cat "$WORK/err"
	[[ $status -eq 3 ]]
	wait_until 5 state_is received
}

# The second estimate's connections have logged in, too.
probing() { (($(grep -c 'login=probe' "$WORK/receiverd.log") >= 4)); }
