#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# Kill -9 at random moments of a push: the same command finishes, and nothing acked is lost.
# A process crash keeps the page cache: these tests prove order and resume, not power cuts (those
# are simulated in unit/writer, where unsynced writes are lost or torn).

# shellcheck source=tests/support/functions.bash
source "$BATS_TEST_DIRNAME/../support/functions.bash"

setup() { transit_setup; }
teardown() { transit_teardown; }

SEED=${TRANSIT_SEED:-$RANDOM}
RATE=60M # bytes a second: the push of 160 MiB of data lasts long enough to be cut

# Whole push as a person would repeat it: the same command until it says done.
push_until_done() {
	local i status
	for ((i = 0; i < 8; i++)); do
		status=0
		send push --invite "$WORK/invite" --disk "$WORK/source=0" --once --retry 20 --json \
			>"$WORK/push.json" 2>>"$WORK/push.log" || status=$?
		((status != 0)) || return 0
		((status == 3)) || { echo "push ended with $status"; tail -5 "$WORK/push.log"; return 1; }
	done
	echo "push did not finish in 8 tries"
	return 1
}

begin_push() {
	"$transit_send" push --invite "$WORK/invite" --disk "$WORK/source=0" --once --limit "$RATE" --retry 30 --json "$@" \
		>"$WORK/first.json" 2>>"$WORK/push.log" 3>&- &
	SENDER_PID=$!
}

is_paired() { ! state_is waiting; }

# $1: receiver, sender or both; $2: milliseconds after the start; $3: connections
cut_a_push() {
	begin_push --connections "$3"
	# A pairing code does not outlive its receiver, so that a cut before it was used proves nothing.
	wait_until 60 is_paired || { echo "no pairing in 60 s"; return 1; }
	sleep "$(printf '%d.%03d' $(($2 / 1000)) $(($2 % 1000)))"
	if [[ $1 != receiver ]]; then
		kill -KILL "$SENDER_PID" 2>/dev/null || true
		wait "$SENDER_PID" 2>/dev/null || true
		SENDER_PID=
	fi
	[[ $1 == sender ]] || kill_receiver
}

claims_hold() {
	[[ ! -e $STATE/task/disk-0/journal ]] || "$claims" "$STATE/task/disk-0" "$WORK/target"
}

fresh_task() {
	stop_receiver
	rm -rf "$STATE" "$WORK"/invite* "$WORK/target" "$WORK/first.json"
	unset LISTEN_PORT
	make_target "$WORK/target" 240
	start_receiver "0=$WORK/target"
	pair 0 >/dev/null
}

# Plain bytes of blocks that are not zero, 256 KiB each: what must cross at least once.
data_bytes=$((160 * 1048576))

one_cut() {
	local who=$1 ms=$2 written status=0
	fresh_task
	cut_a_push "$who" "$ms" "$3"
	[[ $who == sender ]] || claims_hold
	[[ -n $RECEIVER_PID ]] || start_receiver "0=$WORK/target"
	if [[ $who == receiver ]]; then
		wait "$SENDER_PID" || status=$?
		SENDER_PID=
		if ((status != 0 && status != 3)); then
			echo "sender ended with $status after its receiver was killed"
			return 1
		fi
		cp "$WORK/first.json" "$WORK/push.json"
	fi
	if [[ $who != receiver || $status -ne 0 ]]; then push_until_done; fi
	same_content "$WORK/source" "$WORK/target"
	state_is verified
	claims_hold
	written=$(ctl status --json | jq '.disks[0].written')
	((written - data_bytes <= 128 * 1048576)) || { echo "written $written: too much twice"; return 1; }
}

@test "receiver, sender, and both, killed at 30 random moments: the same command finishes and every byte is there" {
	make_disk "$WORK/source" 240
	RANDOM=$SEED
	echo "seed $SEED"
	local i who ms connections
	for ((i = 0; i < 30; i++)); do
		case $((i % 3)) in 0) who=receiver ;; 1) who=sender ;; 2) who=both ;; esac
		ms=$((RANDOM % 2800 + 50))
		connections=$((i % 2 ? 8 : 1))
		# both ways of disk operations; auto is io_uring where the machine has it
		TRANSIT_IO=auto
		((i / 2 % 2 == 0)) || TRANSIT_IO=threads
		export TRANSIT_IO
		one_cut "$who" "$ms" "$connections" || { echo "failed: $who killed after $ms ms, $connections connections, $TRANSIT_IO, round $i, seed $SEED"; tail -n 20 "$WORK/receiverd.log"; tail -n 20 "$WORK/push.log"; return 1; }
	done
}

@test "a sender that outlives its receiver sends at most 128 MiB twice" {
	make_disk "$WORK/source" 240
	fresh_task
	cut_a_push receiver 1200 2
	start_receiver "0=$WORK/target"
	wait "$SENDER_PID"
	SENDER_PID=
	local sent
	sent=$(jq '.bytes_sent_plain' "$WORK/first.json")
	((sent >= data_bytes && sent - data_bytes <= 128 * 1048576))
	same_content "$WORK/source" "$WORK/target"
}

# The process of a connection, any of them.
any_conn() {
	local pid pids=()
	for pid in $(pgrep -P "$RECEIVER_PID"); do
		if tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -q -- "--role conn"; then pids+=("$pid"); fi
	done
	((${#pids[@]})) && echo "${pids[RANDOM % ${#pids[@]}]}"
}

@test "connections killed one after another at random: the push ends as if nothing had been" {
	requires pgrep
	make_disk "$WORK/source" 240
	RANDOM=$SEED
	echo "seed $SEED"
	local k i victim
	for k in 1 3 8; do
		fresh_task
		RATE=30M begin_push --connections "$k"
		wait_until 20 state_is receiving
		for ((i = 0; i < 8; i++)); do
			sleep "0.$((RANDOM % 5 + 1))"
			victim=$(any_conn) || continue
			kill -KILL "$victim" 2>/dev/null || true
		done
		wait "$SENDER_PID"
		SENDER_PID=
		same_content "$WORK/source" "$WORK/target"
		state_is verified
		claims_hold
		(($(jq .connections_lost "$WORK/first.json") > 0))
	done
}
