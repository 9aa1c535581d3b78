# SPDX-License-Identifier: GPL-3.0-or-later
# functions.bash - what command line, fault and e2e tests share; sourced by bats files
#
# BUILD is the build folder (set by ctest). Everything lives under a folder of the test's own, and
# only processes that a test started are ended, by pid.

: "${BUILD:=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)/build/release}"
export receiverd=$BUILD/receiver/receiverd
export receiverctl=$BUILD/receiver/receiverctl
export transit_send=$BUILD/sender/transit-send
export bootfix=$BUILD/bootfix/bootfix
export claims=$BUILD/tests/claims

transit_setup() {
	WORK=$(mktemp -d "${TMPDIR:-/tmp}/transit-test.XXXXXX")
	STATE=$WORK/state
	RECEIVER_PID=
	export WORK STATE
}

transit_teardown() {
	stop_receiver
	[[ -z ${SENDER_PID:-} ]] || end_process "$SENDER_PID"
	[[ -z ${WORK:-} ]] || rm -rf "$WORK"
}

# Ends one process of ours and waits for it, at most five seconds politely.
end_process() {
	local pid=$1 i
	kill -TERM "$pid" 2>/dev/null || return 0
	for ((i = 0; i < 50; i++)); do
		kill -0 "$pid" 2>/dev/null || break
		sleep 0.1
	done
	kill -KILL "$pid" 2>/dev/null || true
	wait "$pid" 2>/dev/null || true
}

requires() {
	local what
	for what in "$@"; do
		command -v "$what" >/dev/null || skip "needs $what"
	done
}

requires_root() { [[ $EUID -eq 0 ]] || skip "needs root"; }

# wait_until SECONDS COMMAND...: polls ten times a second
wait_until() {
	local end=$((SECONDS + $1))
	shift
	until "$@"; do
		((SECONDS < end)) || { echo "timed out waiting for: $*" >&2; return 1; }
		sleep 0.1
	done
}

# start_receiver N=PATH... [OPTION...]: on a port that the kernel picks; sets RECEIVER_PID
start_receiver() {
	local -a args=()
	local a
	mkdir -p "$STATE"
	rm -f "$STATE/listen"
	for a in "$@"; do
		if [[ $a =~ ^[0-9]+=/ ]]; then args+=(--disk "$a"); else args+=("$a"); fi
	done
	"$receiverd" --state "$STATE" --listen "127.0.0.1:${LISTEN_PORT:-0}" "${args[@]}" \
		>>"$WORK/receiverd.log" 2>&1 3>&- &
	RECEIVER_PID=$!
	wait_until "${START_SECONDS:-20}" receiver_is_up || { cat "$WORK/receiverd.log" >&2; return 1; }
	LISTEN_PORT=$(sed -n 's/.*:\([0-9]*\)$/\1/p' "$STATE/listen" | head -1)
}

receiver_is_up() { [[ -s $STATE/listen ]] && ctl status --json >/dev/null 2>&1; }

stop_receiver() {
	[[ -z ${RECEIVER_PID:-} ]] || end_process "$RECEIVER_PID"
	RECEIVER_PID=
}

# As a crash would: the whole process tree goes with its parent.
kill_receiver() {
	kill -KILL "$RECEIVER_PID" 2>/dev/null || true
	wait "$RECEIVER_PID" 2>/dev/null || true
	RECEIVER_PID=
}

ctl() { "$receiverctl" --socket "$STATE/control.sock" "$@"; }
send() { "$transit_send" "$@"; }

state_is() { [[ $(ctl status --json | jq -r .state) == "$1" ]]; }

# make_disk FILE SIZE_MIB: a third random, a third text, a third holes
make_disk() {
	local file=$1 mib=$2 third=$(($2 / 3))
	truncate -s "${mib}M" "$file"
	dd if=/dev/urandom of="$file" bs=1M count="$third" conv=notrunc status=none
	seq 1 100000000 | head -c "$((third * 1048576))" |
		dd of="$file" bs=1M seek="$((2 * third))" conv=notrunc iflag=fullblock status=none
}

make_target() { truncate -s "$2M" "$1"; }

pair() { ctl pair --disk "$1" --out "$WORK/invite" "${@:2}"; }

same_content() { cmp "$1" "$2"; }

blocks_used() { stat -c %b "$1"; }
