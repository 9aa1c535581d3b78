#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# Every refusal has a name, and writes nothing.

# shellcheck source=tests/support/functions.bash
source "$BATS_TEST_DIRNAME/../support/functions.bash"

setup() {
	transit_setup
	make_disk "$WORK/source" 12
	make_target "$WORK/target" 12
}
teardown() {
	[[ -z ${MOUNTED:-} ]] || umount "$MOUNTED"
	[[ -z ${LOOP:-} ]] || losetup -d "$LOOP"
	[[ -z ${OTHER_PID:-} ]] || end_process "$OTHER_PID"
	transit_teardown
}

nothing_written() { [[ $(blocks_used "$WORK/target") -eq 0 ]]; }

push_once() { run send push --invite "${1:-$WORK/invite}" --disk "$WORK/source=0" --once --retry 0; }

# The port as a stranger sees it.
to_port() { timeout 20 bash -c "exec 3<>/dev/tcp/127.0.0.1/$LISTEN_PORT; cat >&3; cat <&3" || true; }

@test "an invite of an earlier pairing is refused by name" {
	start_receiver "0=$WORK/target"
	pair 0
	cp "$WORK/invite" "$WORK/old"
	ctl unpair
	pair 0
	push_once "$WORK/old"
	echo "$output"
	[[ $status -eq 4 && ($output == *wrong-code* || $output == *code-expired*) ]]
	nothing_written
}

@test "a code put into another invite is refused before anything is sent" {
	start_receiver "0=$WORK/target"
	pair 0
	cp "$WORK/invite" "$WORK/old"
	ctl unpair
	pair 0
	jq --arg c "$(jq -r .code "$WORK/old")" '.code = $c' "$WORK/invite" >"$WORK/wrong"
	chmod 600 "$WORK/wrong"
	push_once "$WORK/wrong"
	echo "$output"
	[[ $status -ne 0 && $output == *code* ]]
	nothing_written
}

@test "a mistyped code is refused before anything is sent" {
	start_receiver "0=$WORK/target"
	pair 0
	jq '.code |= ((.[0:1] | if . == "A" then "B" else "A" end) + .[1:])' "$WORK/invite" >"$WORK/typo"
	chmod 600 "$WORK/typo"
	push_once "$WORK/typo"
	echo "$output"
	[[ $status -eq 2 && $output == *code* ]]
	nothing_written
}

@test "a receiver with another key than the invite's is refused as wrong-pin" {
	start_receiver "0=$WORK/target"
	pair 0
	jq '.spki_sha256 |= ("00" + .[2:])' "$WORK/invite" >"$WORK/wrong" && chmod 600 "$WORK/wrong"
	push_once "$WORK/wrong"
	echo "$output"
	[[ $status -eq 4 && $output == *wrong-pin* ]]
	nothing_written
}

@test "an expired code is refused by name" {
	start_receiver "0=$WORK/target"
	pair 0 --ttl 1s
	sleep 2
	push_once
	echo "$output"
	[[ $status -eq 4 && $output == *code-expired* ]]
	nothing_written
}

@test "a second sender with the same invite is refused once the first has paired" {
	start_receiver "0=$WORK/target"
	pair 0
	cp "$WORK/invite" "$WORK/invite2"
	push_once
	[[ $status -eq 0 ]]
	push_once "$WORK/invite2"
	echo "$output"
	[[ $status -eq 4 && ($output == *code-used* || $output == *code-expired*) ]]
	same_content "$WORK/source" "$WORK/target"
}

@test "a target smaller than its source is refused before a byte is written" {
	rm "$WORK/target"
	make_target "$WORK/target" 11
	start_receiver "0=$WORK/target"
	pair 0
	push_once
	echo "$output"
	[[ $status -eq 4 && $output == *too-small* ]]
	nothing_written
}

@test "a target that holds data is refused, and taken with --erase and its serial" {
	local serial
	make_disk "$WORK/target" 12
	start_receiver "0=$WORK/target"
	run pair 0
	echo "$output"
	[[ $status -eq 4 && $output == *disk-holds-data* && $output == *--erase* ]]
	run pair 0 --erase wrong-serial
	[[ $status -eq 4 ]]
	serial=$(ctl disks --json | jq -r '.disks[0].serial')
	pair 0 --erase "$serial"
	push_once
	echo "$output"
	[[ $status -eq 0 ]]
	same_content "$WORK/source" "$WORK/target"
}

@test "a target file that a mounted loop device uses is refused" {
	requires_root
	mke2fs -q -F "$WORK/target"
	LOOP=$(losetup --find --show "$WORK/target") || skip "no loop device here"
	mkdir "$WORK/mnt"
	mount "$LOOP" "$WORK/mnt"
	MOUNTED=$WORK/mnt
	local before
	start_receiver "0=$WORK/target" "1=$LOOP"
	before=$(sha256sum <"$WORK/target")
	run pair 0
	echo "$output"
	[[ $status -eq 4 && $output == *disk-in-use* ]]
	run pair 1
	echo "$output"
	[[ $status -eq 4 && $output == *disk-mounted* ]]
	[[ $(sha256sum <"$WORK/target") == "$before" ]]
}

@test "the same disk under two numbers is refused" {
	ln -s "$WORK/target" "$WORK/alias"
	start_receiver "0=$WORK/target" "1=$WORK/alias"
	run pair 0,1
	echo "$output"
	[[ $status -eq 4 && $output == *disk-given-twice* ]]
	run pair 0,0
	echo "$output"
	[[ $status -eq 4 && $output == *disk-given-twice* ]]
	nothing_written
}

@test "a disk number that the receiver does not have is refused" {
	start_receiver "0=$WORK/target"
	run pair 3
	echo "$output"
	[[ $status -ne 0 && $output == *3* ]]
	pair 0
	run send push --invite "$WORK/invite" --disk "$WORK/source=5" --once --retry 0
	echo "$output"
	[[ $status -eq 4 ]]
	nothing_written
}

@test "garbage on the port gets no answer and writes nothing" {
	start_receiver "0=$WORK/target"
	pair 0
	head -c 4096 /dev/urandom | to_port >"$WORK/answer"
	[[ ! -s $WORK/answer ]]
	wait_until 5 grep -q not-tls "$WORK/receiverd.log"
	nothing_written
	state_is waiting
}

@test "plain HTTP on the port gets no answer and is named in the log" {
	requires curl
	start_receiver "0=$WORK/target"
	pair 0
	run curl -s --max-time 10 "http://127.0.0.1:$LISTEN_PORT/"
	[[ $status -ne 0 && -z $output ]]
	wait_until 5 grep -q plain-http "$WORK/receiverd.log"
	nothing_written
}

@test "TLS below 1.3 and a missing ALPN are refused in the handshake" {
	requires openssl
	start_receiver "0=$WORK/target"
	run timeout 10 openssl s_client -connect "127.0.0.1:$LISTEN_PORT" -tls1_2 -alpn transit/1 </dev/null
	[[ $status -ne 0 ]]
	run timeout 10 openssl s_client -connect "127.0.0.1:$LISTEN_PORT" </dev/null
	[[ $status -ne 0 ]]
	run timeout 10 openssl s_client -connect "127.0.0.1:$LISTEN_PORT" -alpn transit/1 </dev/null
	echo "$output"
	[[ $output == *"TLSv1.3"* && $output == *"ALPN protocol: transit/1"* ]]
	nothing_written
}

@test "frames before a login are refused, and the task stays as it was" {
	requires openssl
	start_receiver "0=$WORK/target"
	pair 0
	{
		head -c 65536 /dev/zero
		sleep 1
	} | timeout 10 openssl s_client -quiet -connect "127.0.0.1:$LISTEN_PORT" -alpn transit/1 \
		>"$WORK/answer" 2>/dev/null || true
	wait_until 5 grep -qE 'protocol|magic' "$WORK/receiverd.log"
	nothing_written
}

@test "a cut stream is an interruption: the task says so and nothing is lost" {
	make_disk "$WORK/source" 60
	truncate -s 60M "$WORK/target"
	start_receiver "0=$WORK/target"
	pair 0
	"$transit_send" push --invite "$WORK/invite" --disk "$WORK/source=0" --once --limit 10M 2>/dev/null 3>&- &
	OTHER_PID=$!
	sleep 2
	kill -KILL "$OTHER_PID"
	wait "$OTHER_PID" || true
	OTHER_PID=
	wait_until 10 state_is interrupted
	push_once
	[[ $status -eq 0 ]]
	same_content "$WORK/source" "$WORK/target"
}

@test "a second receiverd on the same state folder is refused, and the first is not disturbed" {
	start_receiver "0=$WORK/target"
	local before
	before=$(<"$STATE/listen")
	run timeout 20 "$receiverd" --state "$STATE" --listen 127.0.0.1:0 --disk "0=$WORK/target"
	echo "$output"
	[[ $status -ne 0 && $output == *state-in-use* ]]
	[[ $(<"$STATE/listen") == "$before" ]]
	state_is waiting
}

@test "what is not there yet says so" {
	start_receiver "0=$WORK/target"
	local command
	for command in handback rehearse "stage prepare" "bundle $WORK/b"; do
		# shellcheck disable=SC2086
		run ctl $command
		echo "$command: $output"
		[[ $status -eq 1 && $output == *"not in this version"* ]]
	done
	run send stage "$WORK/text"
	[[ $status -eq 1 && $output == *"not in this version"* ]]
}
