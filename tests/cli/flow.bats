#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# Several connections and several disks: what happens to one is nobody else's business.

# shellcheck source=tests/support/functions.bash
source "$BATS_TEST_DIRNAME/../support/functions.bash"

setup() { transit_setup; }
teardown() { transit_teardown; }

# The processes of connections that are logged in, oldest first: the session's is the first of all.
conn_pids() {
	local pid
	for pid in $(pgrep -P "$RECEIVER_PID" | sort -n); do
		if tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -q -- "--role conn"; then echo "$pid"; fi
	done
}

conns_are() { (($(conn_pids | wc -l) == $1)); }

# Bytes that a process has read so far.
bytes_of() { awk '$1 == "rchar:" { print $2 }' "/proc/$1/io"; }

begin_push() {
	"$transit_send" push --invite "$WORK/invite" --disk "$WORK/source=0" --connections 3 --limit 6M \
		--json >"$WORK/out" 2>"$WORK/err" 3>&- &
	SENDER_PID=$!
	wait_until 20 state_is receiving
	wait_until 20 conns_are 3
	sleep 1
}

# kill_one N: the N-th connection's process, in the middle of a round; the others go on meanwhile.
kill_one() {
	local -a pids others
	local i before now words="" lost=0
	mapfile -t pids < <(conn_pids)
	others=("${pids[@]}")
	unset "others[$1]"
	before=0
	for i in "${others[@]}"; do before=$((before + $(bytes_of "$i"))); done
	kill -KILL "${pids[$1]}"
	# Half a second in which the lost one may not even be back.
	for ((i = 0; i < 5; i++)); do
		sleep 0.1
		words+=" $(ctl status --json | jq -r .state)"
	done
	now=0
	for i in "${others[@]}"; do
		kill -0 "$i" || lost=1
		now=$((now + $(bytes_of "$i")))
	done
	echo "others: $before to $now, states:$words"
	((lost == 0 && now - before > 1048576))
	while kill -0 "$SENDER_PID" 2>/dev/null; do
		words+=" $(ctl status --json | jq -r .state)"
		sleep 0.1
	done
	[[ $words != *interrupted* ]]
	wait "$SENDER_PID"
	SENDER_PID=
	cat "$WORK/err"
	[[ $(grep -c "is back after" "$WORK/err") -eq 1 ]]
	[[ $(jq .connections_lost "$WORK/out") -eq 1 ]]
	[[ $(jq .connections "$WORK/out") -eq 3 ]]
}

# never_interrupted_before PATTERN: not until that line of the receiver's log; a goodbye that comes
# before the last counts of a busy writer may be followed by it.
never_interrupted_before() {
	awk -v until="$1" '/state=interrupted/ { exit 1 } $0 ~ until { exit 0 }' "$WORK/receiverd.log"
}

@test "the session's connection is lost: the others go on, it comes back, and nothing is asked for anew" {
	requires pgrep
	make_disk "$WORK/source" 90
	make_target "$WORK/target" 90
	start_receiver "0=$WORK/target"
	pair 0
	begin_push
	kill_one 0
	grep -E "connection 1 \(the session's\) is back after" "$WORK/err"
	grep -E "session goes on peer=.* epoch=1 connections=3" "$WORK/receiverd.log"
	never_interrupted_before "session goes on"
	# What was in flight goes twice, not what was durable.
	(($(jq .bytes_sent_plain "$WORK/out") <= (60 + 64) * 1048576))
	[[ $(ctl status --json | jq .epoch) -eq 1 ]]
	send sync --invite "$WORK/invite" --disk "$WORK/source=0" --final
	same_content "$WORK/source" "$WORK/target"
	state_is verified
}

@test "a data connection is lost: the same" {
	requires pgrep
	make_disk "$WORK/source" 90
	make_target "$WORK/target" 90
	start_receiver "0=$WORK/target"
	pair 0
	begin_push
	kill_one 2
	grep -E "connection [23] is back after" "$WORK/err"
	send sync --invite "$WORK/invite" --disk "$WORK/source=0" --final
	same_content "$WORK/source" "$WORK/target"
}

@test "the only connection is lost: it is attached again to the same session" {
	requires pgrep
	make_disk "$WORK/source" 60
	make_target "$WORK/target" 60
	# The disk is the brake: much of what was sent is on the way, and lost with the process.
	start_receiver "0=$WORK/target" --fault "0=write:*:delay=40ms"
	pair 0
	"$transit_send" push --invite "$WORK/invite" --disk "$WORK/source=0" --connections 1 --json \
		>"$WORK/out" 2>"$WORK/err" 3>&- &
	SENDER_PID=$!
	wait_until 20 state_is receiving
	sleep 1.5
	kill -KILL "$(conn_pids)"
	wait "$SENDER_PID"
	SENDER_PID=
	grep "is back after" "$WORK/err"
	[[ $(jq .rounds "$WORK/out") -eq 1 && $(ctl status --json | jq .epoch) -eq 1 ]]
	grep -E "session goes on peer=.* epoch=1 connections=1" "$WORK/receiverd.log"
	never_interrupted_before "session goes on"
	same_content "$WORK/source" "$WORK/target"
}

# Milliseconds from now until all blocks of disk 1 are durable.
time_of_disk_1() {
	local from=${EPOCHREALTIME/./}
	wait_until 120 disk_1_is_there
	echo $(((${EPOCHREALTIME/./} - from) / 1000))
}

disk_1_is_there() {
	ctl status --json | jq -e '.disks[1] | .blocks > 0 and .claimed == .blocks' >/dev/null
}

# push_disks ARGUMENT...: to fresh targets, 0 and 1; prints the time until disk 1 is there
push_disks() {
	rm -rf "$STATE" "$WORK/invite" "$WORK/invite.state" "$WORK/target" "$WORK/target1"
	make_target "$WORK/target" 128
	make_target "$WORK/target1" 64
	# Both are held by their delays and not by this machine: 0.6 and 12 MiB a second, or thereabouts.
	start_receiver "0=$WORK/target" "1=$WORK/target1" --fault "0=write:*:delay=400ms" --fault "1=write:*:delay=20ms"
	pair 0,1 >/dev/null
	"$transit_send" push --invite "$WORK/invite" "$@" >/dev/null 2>&1 3>&- &
	SENDER_PID=$!
	time_of_disk_1
}

# The slow one is the first: whoever takes the disks in their order never gets to the other.
@test "a disk whose target is slow does not hold up the other one" {
	local before beside after
	dd if=/dev/urandom of="$WORK/source" bs=1M count=128 status=none
	dd if=/dev/urandom of="$WORK/source1" bs=1M count=64 status=none
	push_disks --disk "$WORK/source1=1" >"$WORK/before"
	end_process "$SENDER_PID"
	stop_receiver
	push_disks --disk "$WORK/source=0" --disk "$WORK/source1=1" >"$WORK/beside"
	# It is slow indeed: most of it is still to come.
	[[ $(ctl status --json | jq '.disks[0] | .claimed * 2 < .blocks') == true ]]
	end_process "$SENDER_PID"
	stop_receiver
	push_disks --disk "$WORK/source1=1" >"$WORK/after"
	before=$(<"$WORK/before") beside=$(<"$WORK/beside") after=$(<"$WORK/after")
	echo "# alone $before and $after ms, beside a slow one $beside ms" >&3
	((before > after)) || before=$after # the machine may be busier now than then
	((beside <= before * 3 / 2))
}

@test "a block device is read ahead by io_uring and by threads, and is the same" {
	requires_root
	requires losetup
	local loop backend
	make_disk "$WORK/source" 48
	loop=$(losetup -f --show -r "$WORK/source") || skip "needs loop devices"
	for backend in threads auto; do
		rm -rf "$STATE" "$WORK/invite" "$WORK/invite.state" "$WORK/target"
		make_target "$WORK/target" 48
		start_receiver "0=$WORK/target"
		pair 0
		TRANSIT_IO=$backend send push --invite "$WORK/invite" --disk "$loop=0" --connections 3 --json >"$WORK/out" ||
			{ losetup -d "$loop"; return 1; }
		stop_receiver
		cmp "$WORK/source" "$WORK/target" || { losetup -d "$loop"; return 1; }
		# Each byte once, whatever was under way at the same time.
		[[ $(jq .bytes_read "$WORK/out") -eq $((48 * 1048576)) ]] || { losetup -d "$loop"; return 1; }
	done
	losetup -d "$loop"
}
