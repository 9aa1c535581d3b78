#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Boots the appliance with a stand-in program and checks every promise of the
# contract in appliance/README.md. Takes the folder of vmlinuz and initrd.img to
# keep, or builds into a temporary one.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
limit=${TRANSIT_BOOT_TIMEOUT:-300}
work=$(mktemp -d)
qemu_pid=

cleanup() {
	[[ -z $qemu_pid ]] || kill "$qemu_pid" 2>/dev/null || true
	rm -rf "$work"
}
trap cleanup EXIT

die() {
	echo "FAIL: $*" >&2
	for file in "$work"/console.log "$work"/transit.log; do
		[[ ! -s $file ]] || sed "s|^|${file##*/}: |" "$file" | tail -n 30 >&2
	done
	exit 1
}

# The stand-in says what it was given, writes the first disk, uses the state
# disk, and tries the system call that jails need.
make_program() {
	cat >"$1" <<'END'
#!/bin/sh
echo "up: $(cut -d' ' -f1 /proc/uptime)"
echo "args: $#"
for arg in "$@"; do echo "arg: [$arg]"; done
echo "file: $(cat /run/transit/facts.json)"
echo "state: $(cat /state/kept 2>/dev/null || echo new)"
echo again >/state/kept
printf WRITTEN | dd of=/dev/transit/disk0 bs=512 seek=4 conv=notrunc,fsync 2>/dev/null
for disk in /dev/transit/*; do echo "disk: ${disk##*/} $(blockdev --getsize64 "$disk")"; done
mkdir -p /tmp/jail && mount -t tmpfs jail /tmp/jail && mkdir /tmp/jail/old &&
	unshare -m sh -c 'pivot_root /tmp/jail /tmp/jail/old && echo "pivot_root: yes"'
for fs in ext4 xfs btrfs vfat; do
	mount -t $fs /dev/transit/disk0 /mnt 2>/dev/null
	grep -qw $fs /proc/filesystems && echo "fs: $fs"
done
e2fsck -V 2>&1 | head -n 1
xfs_repair -V
sfdisk --version
echo "to the log" >&2
exit 7
END
	chmod 755 "$1"
}

# Exactly the command of README.md.
boot() {
	local disk_bus=$1 seconds=0
	rm -f "$work"/transit.*
	qemu-system-x86_64 -accel tcg,thread=multi -cpu max -m 768 -smp 2 \
		-nodefaults -no-user-config -display none -no-reboot -nic none \
		-kernel "$image/vmlinuz" -initrd "$image/initrd.img" \
		-append "console=ttyS0 quiet panic=-1" -serial "file:$work/console.log" \
		-device virtio-serial-pci \
		-chardev "file,id=out,path=$work/transit.out" -device virtserialport,chardev=out,name=transit.out \
		-chardev "file,id=log,path=$work/transit.log" -device virtserialport,chardev=log,name=transit.log \
		-chardev "file,id=exit,path=$work/transit.exit" -device virtserialport,chardev=exit,name=transit.exit \
		-device virtio-scsi-pci,id=scsi0 \
		-drive "if=none,id=d0,file=$work/disk0.raw,format=raw,cache=writeback" -device "$disk_bus,drive=d0,serial=disk0" \
		-drive "if=none,id=d1,file=$work/disk1.raw,format=raw,cache=writeback" -device "$disk_bus,drive=d1,serial=disk1" \
		-drive "if=none,id=st,file=$work/state.raw,format=raw,cache=writeback" -device virtio-blk-pci,drive=st,serial=state \
		-fw_cfg "name=opt/transit/job,file=$work/job" \
		-fw_cfg "name=opt/transit/files/facts.json,file=$work/facts.json" \
		-fw_cfg "name=opt/transit/disks,string=disk0 disk1 state" </dev/null &
	qemu_pid=$!
	while kill -0 "$qemu_pid" 2>/dev/null; do
		((seconds++ < limit)) || die "still running after $limit s"
		sleep 1
	done
	wait "$qemu_pid" || die "QEMU ended with $?"
	qemu_pid=
}

expect() {
	grep -Fqx -e "$2" "$work/$1" || die "$1 lacks the line: $2"
}

check_run() {
	expect transit.exit "exit 7"
	expect transit.log "to the log"
	expect transit.out "args: 4"
	expect transit.out "arg: [two words]"
	expect transit.out "arg: [\$(reboot)]"
	expect transit.out "arg: []"
	expect transit.out 'file: {"version":1}'
	expect transit.out "disk: disk0 4194304"
	expect transit.out "disk: disk1 8388608"
	expect transit.out "pivot_root: yes"
	for fs in ext4 xfs btrfs vfat; do expect transit.out "fs: $fs"; done
	[[ $(dd if="$work/disk0.raw" bs=512 skip=4 count=1 status=none | head -c 7) = WRITTEN ]] ||
		die "the write to disk0 did not land"
	e2fsck -fn "$work/state.raw" >/dev/null 2>&1 || die "the state disk was not unmounted cleanly"
}

main() {
	image=${1:-$work/image}
	make_program "$work/stand-in"
	"$here/build.sh" "$image" --program "$work/stand-in"
	truncate -s 4M "$work/disk0.raw"
	truncate -s 8M "$work/disk1.raw"
	truncate -s 16M "$work/state.raw"
	/sbin/mke2fs -q -t ext4 -F "$work/state.raw"
	# Not expanded here, and it must not be expanded there either.
	# shellcheck disable=SC2016
	printf '%s\0' stand-in one 'two words' '$(reboot)' '' >"$work/job"
	printf '{"version":1}' >"$work/facts.json"

	boot virtio-blk-pci
	check_run
	expect transit.out "state: new"
	echo "ok: virtio-blk, job started after $(sed -n 's/^up: //p' "$work/transit.out") s of guest time"

	boot scsi-hd
	check_run
	expect transit.out "state: again"
	echo "ok: virtio-scsi, the state disk kept its content"

	printf 'sh\0-c\0reboot' >"$work/job"
	boot virtio-blk-pci
	expect transit.exit "exit 125"
	expect transit.log "init: not one of this appliance's programs: sh"
	echo "ok: a program that is not ours is refused"
}

main "$@"
