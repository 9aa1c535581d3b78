#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# receiverctl and receiverd's options, as a person types them; bootfix is a stand-in here.

# shellcheck source=tests/support/functions.bash
source "$BATS_TEST_DIRNAME/../support/functions.bash"

setup() {
	transit_setup
	make_disk "$WORK/source" 6
	make_target "$WORK/target" 6
}
teardown() { transit_teardown; }

push_once() { send push --invite "$WORK/invite" --disk "$WORK/source=0" --once; }

# A bootfix that notes how it was called and ends with the status in $WORK/status.
make_bootfix() {
	cat >"$WORK/bootfix" <<-END
		#!/bin/sh
		echo "\$@" >>"$WORK/calls"
		echo "bootfix: looking" >&2
		read -r status <"$WORK/status"
		if [ "\$status" = 0 ]; then
			echo '{"command":"'\$1'","result":"changed","error":null,"findings":[],"actions":[{"step":"fstab","kind":"write","path":"/etc/fstab","why":"names by UUID"}]}'
		else
			echo '{"command":"'\$1'","result":"failed","error":{"kind":"guest","name":"no-kernel","text":"no kernel found"}}'
		fi
		exit "\$status"
	END
	chmod +x "$WORK/bootfix"
	echo 0 >"$WORK/status"
}

verified_task() {
	make_bootfix
	start_receiver "0=$WORK/target" --bootfix "$WORK/bootfix"
	pair 0
	push_once
	state_is verified
}

@test "help names every command and version says one line" {
	run "$receiverctl" --help
	[[ $status -eq 0 ]]
	local command
	for command in status disks pair unpair pause resume abort verify plan finalize undo clean logs; do
		[[ $output == *"$command"* ]]
	done
	run "$receiverctl" --version
	[[ $status -eq 0 && $output == "receiverctl "[0-9]* ]]
	run "$receiverd" --help
	[[ $status -eq 0 && $output == *--listen* ]]
	run "$receiverd" --version
	[[ $status -eq 0 && $output == "receiverd "[0-9]* ]]
}

@test "a wrong command line ends with 2 and says what is wrong" {
	run "$receiverctl"
	[[ $status -eq 2 ]]
	run "$receiverctl" reboot
	[[ $status -eq 2 && $output == *reboot* ]]
	run "$receiverctl" --sockt x status
	[[ $status -eq 2 && $output == *--sockt* ]]
	run "$receiverctl" status now
	[[ $status -eq 2 && $output == *now* ]]
	run "$receiverctl" pair --disk one
	[[ $status -eq 2 && $output == *one* ]]
	run "$receiverctl" pair --disk 0 --ttl 5y
	[[ $status -eq 2 && $output == *5y* ]]
	run "$receiverctl" undo a b
	[[ $status -eq 2 ]]
	run "$receiverd" --disk 0
	[[ $status -eq 2 && $output == *N=PATH* ]]
	run "$receiverd" --listen localhost:443
	[[ $status -eq 2 && $output == *numbers* ]]
}

@test "a wrong key in the config file is refused with its line" {
	printf '[limits]\n# fine\nconections = 5\n' >"$WORK/conf"
	run "$receiverd" --config "$WORK/conf"
	echo "$output"
	[[ $status -eq 2 && $output == *"line 3"* && $output == *conections* ]]
}

@test "without a receiverd the socket is named" {
	run "$receiverctl" --socket "$WORK/none" status
	echo "$output"
	[[ $status -eq 1 && $output == *"$WORK/none"* ]]
}

@test "remote control says that it is not there yet" {
	run "$receiverctl" --connect 192.0.2.1:443 --key k status
	[[ $status -eq 1 && $output == *"not in this version"* ]]
}

@test "status tells a person what to do next and a program the stable keys" {
	start_receiver "0=$WORK/target"
	run ctl status
	[[ $status -eq 0 && $output == *waiting* && $output == *"receiverctl pair"* ]]
	pair 0
	run ctl status
	[[ $output == *"transit-send push"* ]]
	ctl status --json | jq -e '.state == "waiting" and (.disks | length) == 1 and
		(.fingerprint | length) == 64 and (.listen | length) == 1 and .code_seconds_left > 3500'
}

@test "the invite is for its owner only and replaces what was there" {
	start_receiver "0=$WORK/target"
	echo "something much longer than nothing" >"$WORK/invite"
	chmod 644 "$WORK/invite"
	pair 0
	[[ $(stat -c %a "$WORK/invite") == 600 ]]
	jq -e '.version == 1 and (.disks[0].size == 6291456) and (.spki_sha256 | length) == 64' "$WORK/invite"
	pair 0 --address 192.0.2.9:8443 --address '[2001:db8::1]:443'
	[[ $(jq -c .addresses "$WORK/invite") == '["192.0.2.9:8443","[2001:db8::1]:443"]' ]]
	run ctl pair --disk 0 --address example.org:443
	[[ $status -eq 2 ]]
}

@test "a wildcard address becomes this machine's in the invite" {
	"$receiverd" --state "$STATE" --listen 0.0.0.0:0 --disk "0=$WORK/target" 2>>"$WORK/receiverd.log" 3>&- &
	RECEIVER_PID=$!
	wait_until 20 receiver_is_up
	[[ -n $(ip -4 -o addr show up scope global 2>/dev/null) ]] || skip "needs an address of its own"
	pair 0
	jq -e '.addresses | length >= 1 and all(startswith("0.0.0.0") | not)' "$WORK/invite"
}

@test "a second receiverd on the same state folder is refused" {
	start_receiver "0=$WORK/target"
	run timeout 10 "$receiverd" --state "$STATE" --listen 127.0.0.1:0
	echo "$output"
	[[ $status -ne 0 && $output == *"another receiverd"* ]]
	ctl status
}

@test "plan, finalize and undo run bootfix on the disk that nobody else holds" {
	verified_task
	run ctl plan
	echo "$output"
	[[ $status -eq 0 && $output == *fstab* ]]
	state_is verified
	run ctl finalize --skip grow
	echo "$output"
	[[ $status -eq 0 ]]
	state_is ready
	grep -q "^apply $WORK/target --facts .* --state $STATE/task/bootfix --json --skip grow$" "$WORK/calls"
	[[ $(jq -r .result "$STATE/task/bootfix-report.json") == changed ]]
	run push_once
	[[ $status -ne 0 ]]
	ctl undo fstab
	state_is ready
	ctl undo
	state_is verified
	grep -q -- "--step fstab$" "$WORK/calls"
}

@test "the watched bars have each their own rate" {
	requires script
	truncate -s 8M "$WORK/other" "$WORK/other-target"
	head -c 16M /dev/urandom >"$WORK/slow"
	make_target "$WORK/slow-target" 16
	start_receiver "0=$WORK/slow-target" "1=$WORK/other-target"
	pair 0,1
	"$transit_send" push --invite "$WORK/invite" --disk "$WORK/slow=0" --disk "$WORK/other=1" \
		--limit 2M --connections 1 --quiet 3>&- &
	SENDER_PID=$!
	wait_until 10 state_is receiving
	# Flushed at every write: what script still holds when it is ended is lost.
	timeout 6 script -qfec "$receiverctl --socket $STATE/control.sock status --watch" "$WORK/seen" \
		>/dev/null || true
	tr '\r' '\n' <"$WORK/seen" | grep -a "disk" | tail -6
	tr '\r' '\n' <"$WORK/seen" | grep -aE 'disk 0 .*[1-9].*B/s'
	# Nothing of disk 1 moves while disk 0 does.
	run grep -aE 'disk 1 .* [1-9][0-9.]* [KMG]iB/s' "$WORK/seen"
	[[ $status -eq 1 ]]
}

@test "a repair that fails says why, and finalize may be tried again" {
	verified_task
	echo 1 >"$WORK/status"
	run ctl finalize
	echo "$output"
	[[ $status -eq 1 && $output == *"no kernel found"* ]]
	state_is failed
	ctl status --json | jq -e '.reason | contains("no-kernel")'
	ctl logs | grep -q "bootfix: looking"
	echo 0 >"$WORK/status"
	ctl finalize
	state_is ready
}

@test "finalize before verified is refused and changes nothing" {
	make_bootfix
	start_receiver "0=$WORK/target" --bootfix "$WORK/bootfix"
	local command
	for command in plan finalize undo verify; do
		run ctl $command
		[[ $status -eq 4 ]]
	done
	[[ ! -e $WORK/calls ]]
	state_is waiting
}

@test "a receiver killed while bootfix runs goes on with it" {
	verified_task
	mkfifo "$WORK/hold"
	rm "$WORK/status"
	ln -s "$WORK/hold" "$WORK/status" # bootfix waits there
	ctl finalize --no-wait
	wait_until 5 grep -q apply "$WORK/calls"
	state_is finalizing
	kill_receiver
	rm "$WORK/status"
	echo 0 >"$WORK/status"
	start_receiver "0=$WORK/target" --bootfix "$WORK/bootfix"
	wait_until 10 state_is ready
	[[ $(grep -c apply "$WORK/calls") -eq 2 ]]
}

@test "a third party checks the proof with openssl, jq and sha256sum alone" {
	requires openssl jq xxd split
	verified_task
	cd "$STATE/task"
	jq -r .signed manifest.json | xxd -r -p >"$WORK/signed"
	jq -r .signature manifest.json | xxd -r -p >"$WORK/signature"
	{ printf '302a300506032b6570032100'; jq -r .public_key manifest.json; } | xxd -r -p >"$WORK/key.der"
	openssl pkeyutl -verify -pubin -inkey "$WORK/key.der" -keyform DER -rawin \
		-in "$WORK/signed" -sigfile "$WORK/signature"
	local list
	list=$(sha256sum <disk-0/manifest | cut -d' ' -f1)
	[[ $list == "$(jq -r '.disks[0].list_sha256' manifest.json)" ]]
	[[ $(xxd -p "$WORK/signed" | tr -d '\n') == *"$list"* ]]
	head -c "$(jq '.disks[0].size' manifest.json)" "$WORK/target" |
		split -b "$(jq .block_size manifest.json)" --filter='sha256sum' |
		cut -c1-64 | xxd -r -p | cmp - disk-0/manifest
}

@test "the code is in no file of the state folder" {
	start_receiver "0=$WORK/target"
	pair 0
	run grep -rF "$(jq -r .code "$WORK/invite")" "$STATE" "$WORK/receiverd.log"
	[[ $status -eq 1 ]]
}

@test "logs tells the story and unpair, pause, abort and clean may be repeated" {
	start_receiver "0=$WORK/target"
	pair 0
	push_once
	local command
	for command in unpair unpair abort abort clean clean; do ctl $command; done
	ctl logs | grep -q "state=verified"
	state_is waiting
}
