#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# demo.sh [DISK] - installs what is needed, builds, and does the main job once on this machine:
# a disk with a real Linux goes over TLS to receiverd, is proved equal, repaired, and booted on
# virtio. Without DISK: a small Debian guest that boots only on its old hardware. DISK is a whole
# disk or a raw image; it is only read. The result stays in build/demo/target.raw.
set -euo pipefail

cd "$(dirname "$0")/.."
top=$PWD
work=$top/build/demo
release=$top/build/release
export TRANSIT_CACHE=${TRANSIT_CACHE:-$top/build/cache}
export TRANSIT_MACHINE=$release/machine
receiver_pid=

# shellcheck source=tests/support/qemu.bash
source tests/support/qemu.bash
# shellcheck source=tests/support/guest.bash
source tests/support/guest.bash

say() { printf '\n\033[1m== %s\033[0m\n' "$*"; }
fail() {
	echo "demo.sh: $*" >&2
	exit 1
}

usage() {
	sed -n '3,6s/^# //p' "$0"
	exit "$1"
}

cleanup() {
	[[ -z $receiver_pid ]] || kill -TERM "$receiver_pid" 2>/dev/null || true
}
trap cleanup EXIT

prepare() {
	say "packages and build"
	./scripts/install.sh build test machine guest
	mkdir -p build
	cmake --preset release >build/configure-release.log || { cat build/configure-release.log; fail "cmake failed"; }
	cmake --build --preset release --target receiverd receiverctl transit-send bootfix machine
}

choose_source() {
	if [[ $# -gt 0 ]]; then
		source_disk=$(realpath -e -- "$1") || fail "$1: no such disk or image"
		return
	fi
	say "a guest that boots only on its old hardware"
	tests/guests/build.sh bookworm-bios "$TRANSIT_CACHE/guests"
	source_disk=$TRANSIT_CACHE/guests/bookworm-bios/disk0.raw
	guest=$TRANSIT_CACHE/guests/bookworm-bios
}

ctl() { "$release/receiver/receiverctl" --socket "$work/state/control.sock" "$@"; }

start_receiver() {
	say "receiverd on a file that stands for the target's disk"
	rm -rf "$work"
	mkdir -p "$work"
	local size
	size=$(blockdev --getsize64 "$source_disk" 2>/dev/null || stat -Lc %s "$source_disk")
	truncate -s "$size" "$work/target.raw"
	"$release/receiver/receiverd" --state "$work/state" --listen 127.0.0.1:0 \
		--disk "0=$work/target.raw" 2>"$work/receiverd.log" &
	receiver_pid=$!
	local i
	for ((i = 0; i < 100; i++)); do
		[[ -s $work/state/listen ]] && ctl status >/dev/null 2>&1 && break
		sleep 0.1
	done
	ctl disks || { cat "$work/receiverd.log"; fail "receiverd did not start"; }
}

move() {
	local -a more=()
	if [[ -n ${guest:-} ]]; then
		guest_facts "$guest" >"$work/facts.json"
		more=(--facts "$work/facts.json")
	fi
	say "pairing"
	ctl pair --disk 0 --out "$work/invite"
	say "copy, final round, signed manifest, re-read of the target"
	"$release/sender/transit-send" push --invite "$work/invite" --disk "$source_disk=0" --once \
		"${more[@]}" --json >"$work/push.json"
	ctl status
}

repair() {
	say "what bootfix would change"
	ctl plan
	say "the repair"
	ctl finalize
}

boot() {
	local firmware
	firmware=$(jq -r '.guest.firmware // "bios"' "$work/state/task/bootfix-report.json")
	say "boot on virtio hardware ($firmware), console in build/demo/console.log"
	guest_boot --name demo --firmware "$firmware" --bus virtio-blk --nic virtio-net \
		--disk "$work/target.raw,overlay" --timeout 420 --log "$work/console.log" \
		--until "$(guest_marker login)" || {
		tail -20 "$work/console.log"
		fail "no login prompt after $GUEST_SECONDS s; a system without a serial console shows none: see build/demo/console.log"
	}
}

row() { printf '  %-24s %s\n' "$1" "$2"; }

table() {
	local push=$work/push.json report=$work/state/task/bootfix-report.json
	say "done"
	row "bytes on the source" "$(jq -r .bytes_source "$push" | numfmt --to=iec-i --suffix=B) ($(jq -r .bytes_source "$push"))"
	row "bytes on the wire" "$(jq -r .bytes_wire "$push" | numfmt --to=iec-i --suffix=B) ($(jq -r .bytes_wire "$push"))"
	row "seconds to verified" "$(jq -r .seconds "$push")"
	row "verified digest" "$(jq -r '.disks[0].list_sha256' "$push") (SHA-256 over the blocks' SHA-256)"
	row "repairs made" "$(jq -r '[.actions[].step] | unique | "\(length) steps: \(join(", "))"' "$report")"
	row "seconds to login prompt" "$GUEST_SECONDS"
}

main() {
	[[ ${1:-} != --help && ${1:-} != -h ]] || usage 0
	[[ $# -le 1 ]] || usage 2
	prepare
	choose_source "$@"
	start_receiver
	move
	repair
	boot
	table
}

main "$@"
