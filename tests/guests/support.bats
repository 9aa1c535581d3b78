#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
#
# The boot runner's own judgement, without booting: a runner that reads consoles
# wrongly would pass guests that never came up.

bats_require_minimum_version 1.5.0

setup() {
	guest_args=()
	here=$BATS_TEST_DIRNAME
	# shellcheck source=tests/support/qemu.bash
	. "$here/../support/qemu.bash"
	# shellcheck source=tests/support/guest.bash
	. "$here/../support/guest.bash"
	log=$BATS_TEST_TMPDIR/console.log
	cat >"$BATS_TEST_TMPDIR/guest.env" <<-'END'
	name=one
	firmware=bios
	disks=2
	old_disks="disk0,bus=ahci disk1,bus=ide"
	old_nic=e1000
	old_interface=ens3
	mac=52:54:00:00:00:01
	marker=aa
	data_marker=
	END
}

healthy() {
	jq -n '{state: "running", failed: [], marker: "aa", data_marker: null, swaps: ["/dev/vda2"],
		addresses: [{ifname: "ens3", address: "52:54:00:00:00:01", addr_info: [{family: "inet"}]}]}'
}

seen() {
	guest_console "$log" | grep -Eq -e "$(guest_marker "$1")"
}

@test "a console is read without control codes and carriage returns" {
	printf '\033c\033[?7l\033[2J\033[0;30;47mWelcome\033[0m\r\r\nnext\r\n' >"$log"
	[ "$(guest_console "$log" | tail -n 2)" = $'Welcome\nnext' ]
}

@test "markers are found in the lines that guests print" {
	printf 'ALERT!  /dev/sda1 does not exist.  Dropping to a shell!\r\n(initramfs) ' >"$log"
	seen no-root
	seen initramfs-shell
	run ! seen login
	printf 'bookworm-bios login: ' >"$log"
	seen login
	printf '\033[01;01HBdsDxe: failed to load Boot0001 "UEFI Misc Device": Not Found\r\n' >"$log"
	seen no-boot-device
	printf 'error: no such device.\r\n\033[5mgrub rescue> ' >"$log"
	seen grub-prompt
}

@test "all that is waited for has to be seen, also behind much else and under pipefail" {
	{ printf 'one login: [   40.1] kernel says\r\n' && yes 'a line that fills the console' | head -20000; } >"$log"
	set -o pipefail
	[ "$(_guest_seen "$log" "$(guest_marker login)")" = 'one login: [   40.1] kernel says' ]
	run _guest_seen "$log" "$(guest_marker login)" "$(guest_marker probe)"
	[ "$status" -ne 0 ]
	printf 'TRANSIT-PROBE {"n":1}\r\n' >>"$log"
	[ "$(_guest_seen "$log" "$(guest_marker probe)" "$(guest_marker login)")" = 'TRANSIT-PROBE {"n":1}' ]
}

@test "the last probe on a console counts, half a line does not" {
	printf 'TRANSIT-PROBE {"version":1,"n":1}\r\n\r\nTRANSIT-PROBE {"version":1,"n":2}\r\n' >"$log"
	[ "$(guest_probe "$log" | jq .n)" = 2 ]
	printf 'TRANSIT-PROBE {"version":1,"n' >"$log"
	run guest_probe "$log"
	[ "$status" -ne 0 ]
}

@test "a healthy guest has nothing to complain about" {
	run guest_healthy "$BATS_TEST_TMPDIR" "$(healthy)"
	[ "$status" -eq 0 ]
	[ -z "$output" ]
}

@test "each thing wrong with a guest is named" {
	run guest_healthy "$BATS_TEST_TMPDIR" "$(healthy | jq '.failed = ["networking.service"] | .marker = "bb" | .swaps = []
		| .addresses[0].ifname = "ens18" | .addresses[0].addr_info = [] | .state = "degraded"')"
	[ "$status" -eq 1 ]
	[[ $output == *"failed unit: networking.service"* ]]
	[[ $output == *"marker tree differs"* ]]
	[[ $output == *"no swap"* ]]
	[[ $output == *"called ens18, not ens3"* ]]
	[[ $output == *"no address"* ]]
	[[ $output == *"degraded"* ]]
}

@test "a guest's hardware follows from its description" {
	guest_hardware "$BATS_TEST_TMPDIR" old
	[[ ${guest_args[*]} == *"--nic e1000 --disk $BATS_TEST_TMPDIR/disk0.raw,bus=ahci,overlay --disk $BATS_TEST_TMPDIR/disk1.raw,bus=ide,overlay" ]]
	guest_hardware "$BATS_TEST_TMPDIR" virtio-scsi /moved ''
	[[ ${guest_args[*]} == *"--bus virtio-scsi --disk /moved/disk0.raw --disk /moved/disk1.raw" ]]
}

@test "a bad call is told from a guest that failed" {
	run guest_boot --disk nowhere.raw
	[ "$status" -eq 64 ]
	run guest_boot --disk x.raw,buss=ide --log "$log" --until x
	[ "$status" -eq 64 ]
	run guest_expect_failure no-such-marker --disk x.raw --log "$log"
	[ "$status" -eq 64 ]
}

@test "QEMU that cannot start is code 2, at once" {
	command -v qemu-system-x86_64 >/dev/null || skip "qemu-system-x86_64 is not installed"
	run guest_boot --disk "$BATS_TEST_TMPDIR/absent.raw" --log "$log" --until x --timeout 60
	[ "$status" -eq 2 ]
	grep -q absent.raw "$log.qemu"
}
