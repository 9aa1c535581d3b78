#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# bootfix as a person types it, as far as no machine has to start: words, refusals, reports.

# shellcheck source=tests/support/functions.bash
source "$BATS_TEST_DIRNAME/../support/functions.bash"

setup() {
	transit_setup
	truncate -s 8M "$WORK/disk.raw"
	truncate -s 4M "$WORK/other.raw"
	# A machine that nobody may find by accident.
	export TRANSIT_MACHINE=$WORK/no-machine
	export TMPDIR=$WORK
	cd "$WORK" || return 1
}
teardown() {
	[[ -z ${OTHER_PID:-} ]] || end_process "$OTHER_PID"
	transit_teardown
}

# A machine folder, and a QEMU that says on which disks it was started and ends with no exit line.
make_machine() {
	mkdir -p "$WORK/machine" "$WORK/bin"
	touch "$WORK/machine/vmlinuz" "$WORK/machine/initrd.img"
	export TRANSIT_MACHINE=$WORK/machine
	cat >"$WORK/bin/qemu-system-x86_64" <<-END
		#!/bin/sh
		printf '%s\n' "\$@" >"$WORK/argv"
		: >out; : >log; : >console; : >exit
		$1
	END
	chmod +x "$WORK/bin/qemu-system-x86_64"
	PATH=$WORK/bin:$PATH
}

# usage TEXT WORDS... : exit 2, and the message has TEXT
usage() {
	local want=$1
	shift
	run "$bootfix" "$@"
	echo "$output"
	[[ $status -eq 2 && $output == *"$want"* ]]
}

# refused NAME WORDS... : exit 4, by name
refused() {
	local name=$1
	shift
	run "$bootfix" "$@"
	echo "$output"
	[[ $status -eq 4 && $output == *"[$name]"* ]]
}

@test "help and version are answered without a disk" {
	run "$bootfix" --help
	[[ $status -eq 0 && $output == usage:* && $output == *--selinux* ]]
	run "$bootfix" plan -h
	[[ $status -eq 0 && $output == usage:* ]]
	run "$bootfix" --version
	[[ $status -eq 0 && $output =~ ^bootfix\ [0-9]+\.[0-9]+\.[0-9]+$ ]]
}

@test "every option of the help has a line in the man page" {
	local option page
	page=$(grep -oE 'Fl -[a-z-]+' "$BATS_TEST_DIRNAME/../../docs/man/bootfix.8")
	for option in $("$bootfix" --help | grep -oE -- '^  --[a-z-]+' | sed 's/^ *-//'); do
		grep -qx -- "Fl $option" <<<"$page" || { echo "missing: -$option"; return 1; }
	done
}

@test "a wrong word is named, with what to do" {
	usage "no DISK"
	usage "no DISK" plan
	usage "'--bogus': no such option" --bogus disk.raw
	usage "'--facts': needs a value" disk.raw --facts
	usage "--firmware 'efi'" --firmware efi disk.raw
	usage "--selinux 'off'" --selinux off disk.raw
	usage "--network 'static'" --network static disk.raw
	usage "--skip 'bogus': no such step" --skip bogus disk.raw
	usage "--step belongs to undo" plan --step fstab disk.raw
	usage "--step: only one" undo --step fstab --step gpt --state s disk.raw
	usage "undo has --step" undo --skip fstab --state s disk.raw
	usage "nor is it a command" aply
}

@test "apply and undo want to know where the way back is kept" {
	usage "apply needs --state" apply disk.raw
	usage "undo needs --state" undo disk.raw
}

@test "what this version does not have is said, not ignored" {
	usage "--key-fd" --key-fd 3 disk.raw
	usage "does not open LUKS" --key-fd 3 disk.raw
}

@test "a disk that is not there, or is none, is named" {
	usage "'$WORK/gone.raw': No such file" plan "$WORK/gone.raw"
	usage "'$WORK' is neither a disk nor an image" plan "$WORK"
	usage "/dev/null' is neither a disk nor an image" disk.raw /dev/null
}

@test "facts that cannot be read are named before a machine starts" {
	make_machine "exit 1"
	usage "gone.json" disk.raw --facts "$WORK/gone.json"
	echo '{"version": 7}' >facts.json
	run "$bootfix" disk.raw --facts facts.json
	echo "$output"
	[[ $status -eq 1 && $output == *"version 7"* ]]
	[[ ! -e argv ]]
}

@test "one disk given twice is refused, by whatever name" {
	ln -s disk.raw link.raw
	refused disk-given-twice plan disk.raw disk.raw
	refused disk-given-twice plan disk.raw other.raw ./link.raw
}

@test "a missing machine is refused, and the report is there all the same" {
	refused no-machine plan disk.raw
	[[ $output == *"$WORK/no-machine/vmlinuz"* && $output == *build.sh* ]]
	refused no-machine plan --machine "$WORK/elsewhere" disk.raw
	[[ $output == *"$WORK/elsewhere/vmlinuz"* ]]
	"$bootfix" plan --json disk.raw >report.json 2>/dev/null || true
	jq -e '.result == "refused" and .error.name == "no-machine" and .version == 1' report.json
}

@test "a missing QEMU is refused by name" {
	make_machine "exit 0"
	rm bin/qemu-system-x86_64
	PATH=$WORK/bin refused no-qemu plan disk.raw
}

@test "undo without a journal is refused by name and makes nothing" {
	make_machine "exit 1"
	refused nothing-to-undo undo --state "$WORK/none" disk.raw
	[[ ! -e none && ! -e argv ]]
}

@test "looking opens the disks read-only, without a network" {
	make_machine "echo 'exit 0' >exit; echo '{\"result\":\"planned\"}' >out"
	run "$bootfix" plan disk.raw other.raw
	echo "$output"
	[[ $status -eq 0 && $output == *planned* ]]
	grep -q "readonly=on,file=$WORK/disk.raw" argv
	grep -q "readonly=on,file=$WORK/other.raw" argv
	[[ $(grep -c readonly=off argv) -eq 0 ]]
	grep -A1 -x -- -nic argv | grep -qx none
}

@test "a machine that ends without a word is a failure, with its console" {
	make_machine "echo 'Kernel panic - not syncing' >console"
	run "$bootfix" plan disk.raw
	echo "$output"
	[[ $status -eq 1 && $output == *"crashed"*"Kernel panic"* ]]
}

@test "a report that is no JSON is a failure" {
	make_machine "echo 'exit 0' >exit; printf 'hello\033[2J' >out"
	run "$bootfix" plan disk.raw
	echo "$output"
	[[ $status -eq 1 && $output == *"no JSON"* && $output != *$'\033'* ]]
}

@test "a machine that says too much is ended" {
	make_machine "head -c 70000000 /dev/zero >log; exec sleep 100"
	SECONDS=0
	run "$bootfix" plan disk.raw
	echo "$output" | head -c 1000
	[[ $status -eq 1 && $output == *"log is longer than"* && $SECONDS -lt 60 ]]
}

lock() { # lock -s|-x FILE: another program's lock, until teardown
	flock "$1" "$2" sleep 100 3>&- &
	OTHER_PID=$!
	wait_until 10 taken "$2"
}
taken() { ! flock -n "$1" true; }

@test "a disk that another program has is refused by name" {
	make_machine "exit 1"
	lock -x disk.raw
	refused disk-busy plan other.raw disk.raw
	[[ $output == *"'disk.raw' is in use"* ]]
	refused disk-busy apply --state "$WORK/way-back" disk.raw
	[[ ! -e argv && ! -e way-back ]]
}

@test "two may look, none may write meanwhile" {
	make_machine "echo 'exit 0' >exit; echo '{\"result\":\"planned\"}' >out"
	lock -s disk.raw
	"$bootfix" plan disk.raw
	refused disk-busy apply --state "$WORK/way-back" disk.raw
}

start_bootfix() { # in the background, up to the machine's start; its pid is $OTHER_PID
	make_machine "echo \$\$ >$WORK/pid; exec sleep 100"
	"$bootfix" plan disk.raw >out.txt 2>&1 3>&- &
	OTHER_PID=$!
	wait_until 10 test -s pid
}
# Dead is gone, also where nobody collects the dead.
machine_gone() { [[ $(ps -o stat= -p "$(<pid)") != [!Z]* ]]; }

@test "a signal ends the machine too, and the same command may be run again" {
	start_bootfix
	kill -TERM "$OTHER_PID"
	status=0
	wait "$OTHER_PID" || status=$?
	[[ $status -eq 3 ]]
	grep -q "run the same command again" out.txt
	machine_gone
	[[ -z $(find "$WORK" -name 'bootfix-machine.*') ]]
}

@test "the machine does not outlive a bootfix that was killed" {
	start_bootfix
	kill -KILL "$OTHER_PID"
	wait_until 10 machine_gone
}
