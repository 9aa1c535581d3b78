# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# The laboratory: the appliance's kernel and initrd with a script of ours in front,
# for what needs a machine of its own, such as installing a boot loader.
# To be sourced; needs lab_home (the folder with lab-init) and lab_image (the
# folder with the appliance's vmlinuz and initrd.img).

: "${lab_home:?}" "${lab_image:?}"
lab_timeout=${TRANSIT_LAB_TIMEOUT:-900}

# The small archive that goes in front of the appliance's: our first process, the
# script, and modules that only the laboratory needs.
_lab_archive() {
	local script=$1 disks=$2 work=$3 module
	shift 3
	mkdir -p "$work/root/lab-modules"
	cp "$lab_home/lab-init" "$work/root/lab-init"
	chmod 755 "$work/root/lab-init"
	cp "$script" "$work/root/lab-script"
	echo "$disks" >"$work/root/lab-disks"
	for module in "$@"; do cp "$module" "$work/root/lab-modules/"; done
	(cd "$work/root" && find . | cpio --create --format=newc --owner=+0:+0 --quiet)
}

# lab_run SCRIPT LOG VARS|- MODULE... -- DISK...
# Runs SCRIPT (busybox sh, -eu) with the disks as /dev/sda, /dev/sdb... and
# succeeds when it did. With VARS the laboratory boots by UEFI and keeps what the
# script changed in the firmware's variables. With lab_forward="ADDRESS:PORT ..." it
# has a network card, and ADDRESS:8443 is PORT of this machine.
lab_run() {
	local script=$1 log=$2 vars=$3 modules=() args=(-nic none) forwards work index=0 pid start=$SECONDS rc=0
	shift 3
	while [[ $1 != -- ]]; do modules+=("$1") && shift; done
	shift
	work=$(mktemp -d)
	{ _lab_archive "$script" $# "$work" "${modules[@]}" && cat "$lab_image/initrd.img"; } >"$work/initrd"
	if [[ $vars != - ]]; then
		args+=(-drive "if=pflash,unit=0,format=raw,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.fd"
			-drive "if=pflash,unit=1,format=raw,file=$vars")
	fi
	if [[ -n ${lab_forward:-} ]]; then
		forwards=$(printf ',guestfwd=tcp:%s:8443-cmd:socat - TCP:127.0.0.1:%s' ${lab_forward//:/ })
		args=("${args[@]:2}" -device "e1000,netdev=net0,romfile=" -netdev "user,id=net0,restrict=on$forwards")
	fi
	for disk in "$@"; do
		args+=(-drive "if=none,id=d$index,file=$disk,format=raw,cache=unsafe,discard=unmap"
			-device "ide-hd,bus=ide.$index,drive=d$index,serial=disk$index")
		index=$((index + 1))
	done
	# A leftover machine would keep writing to the disks: it dies with this shell.
	setpriv --pdeathsig KILL qemu-system-x86_64 -accel tcg,thread=multi -cpu max -m 1024 -smp 1 \
		-machine q35,graphics=off -nodefaults -no-user-config -display none -no-reboot \
		-kernel "$lab_image/vmlinuz" -initrd "$work/initrd" \
		-append "console=ttyS0 quiet panic=-1 rdinit=/lab-init" \
		-serial "file:$log" "${args[@]}" </dev/null >"$log.qemu" 2>&1 &
	pid=$!
	while kill -0 "$pid" 2>/dev/null; do
		if ((SECONDS - start > lab_timeout)); then
			kill -KILL "$pid" 2>/dev/null || true
		fi
		sleep 1
	done
	wait "$pid" || rc=$?
	rm -rf "$work"
	((rc == 0)) && grep -aq '^LAB: done' "$log"
}
