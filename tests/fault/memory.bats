#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# Memory of all roles together, as proportional set size, at its highest during a push.

# shellcheck source=tests/support/functions.bash
source "$BATS_TEST_DIRNAME/../support/functions.bash"

setup() { transit_setup; }
teardown() { transit_teardown; }

role_pids() { echo "$RECEIVER_PID"; pgrep -P "$RECEIVER_PID" || true; }

# Kilobytes of all roles now.
pss_now() {
	local pid sum=0 kb
	for pid in $(role_pids); do
		kb=$(awk '/^Pss:/ { print $2 }' "/proc/$pid/smaps_rollup" 2>/dev/null || echo 0)
		sum=$((sum + ${kb:-0}))
	done
	echo "$sum"
}

@test "a 64 GiB sparse source over 4 connections needs at most 96 MiB on the receiver" {
	requires pgrep
	local peak=0 now
	truncate -s 64G "$WORK/source" "$WORK/target"
	local i
	for i in 0 7 31 50 63; do
		dd if=/dev/urandom of="$WORK/source" bs=1M count=40 seek=$((i * 1024)) conv=notrunc status=none
	done
	start_receiver "0=$WORK/target"
	pair 0
	"$transit_send" push --invite "$WORK/invite" --disk "$WORK/source=0" --connections 4 --once 2>"$WORK/push.log" 3>&- &
	SENDER_PID=$!
	while kill -0 "$SENDER_PID" 2>/dev/null; do
		now=$(pss_now)
		((now > peak)) && peak=$now
		sleep 0.2
	done
	wait "$SENDER_PID"
	SENDER_PID=
	echo "# highest proportional set size of all roles: $((peak / 1024)) MiB" >&3
	state_is verified
	((peak > 1024))
	((peak <= 96 * 1024))
}
