# shellcheck shell=bash disable=SC2034,SC2154 # shared names: the list is in lib.bash
# SPDX-License-Identifier: GPL-3.0-or-later
# io - a block device as target, written by io_uring and by threads
#
# The device is a loop device with direct I/O on a file whose blocks exist; time includes the flush, for
# nbdcopy by --flush. Processor time of the loop device's own threads is in no column.

io_device() {
	rm -f "$disk_work/backing"
	dd if=/dev/zero of="$disk_work/backing" bs=1M count=$((size / 1048576)) conv=fsync status=none
	device=$(losetup --find --show --direct-io=on "$disk_work/backing")
	bench_loops+=("$device")
}

# As a new disk: nothing at its ends, and nothing of it in the cache.
io_blank() {
	dd if=/dev/zero of="$device" bs=1M count=1 conv=fsync status=none
	dd if=/dev/zero of="$device" bs=1M count=1 seek=$((size / 1048576 - 1)) conv=fsync status=none
	blockdev --flushbufs "$device"
}

io_run() { # ROUND NAME [OPTION...]
	local receive
	io_blank
	if [[ $2 == nbdcopy ]]; then
		serve_on_port env GNUTLS_SYSTEM_PRIORITY_FILE="$tls/gnutls" nbdkit -f -i 127.0.0.1 -p PORT \
			--tls=require --tls-certificates="$tls" file "$device"
		timed gnutls nbdcopy --flush --connections=2 --threads=2 "$source" "nbds://127.0.0.1:$port/?tls-certificates=$tls" ||
			die "nbdcopy failed"
		receive=$(tree_cpu "$server")
	else
		ours_in=(env "TRANSIT_IO=${2%%-*}")
		ours_target=$device
		ours_serve "$size"
		timed ours_push "${@:3}" || die "the copy with $2 failed"
		receive=$(ours_cpu | jq .all)
		ours_in=()
		ours_target=
	fi
	ended "$server"
	blockdev --flushbufs "$device"
	row --argjson round "$1" --arg name "$2" --argjson wall "$t_wall" --argjson sender "$t_cpu" --argjson receiver "$receive" \
		--argjson load "$load" --argjson same "$(same_content "$source" "$device")" \
		'{$round, $name, $wall, $sender, $receiver, $same, $load}'
	note "$2 $1: $t_wall s"
}

bench_io() {
	local i
	[[ $EUID -eq 0 && -e /dev/loop-control ]] || { echo "NOT RUN  io: needs root and loop devices"; return 0; }
	have_memory "$size" || { not_run io "$size"; return 0; }
	disk_begin "$size" || { not_run io "$size" disk; return 0; }
	peers_prepare
	rows_begin io
	say "io: mixed, $(human "$size"), loop device"
	source=$work/source
	make_image mixed "$source" "$size"
	io_device
	for ((i = 1; i <= runs; i++)); do
		io_run "$i" uring
		io_run "$i" threads
		io_run "$i" uring-proof --once
		io_run "$i" threads-proof --once
		io_run "$i" nbdcopy
	done
	losetup -d "$device"
	rm -f "$source" "$disk_work/backing"
	report io
}
