# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# Boots guests in QEMU, without acceleration, and waits for a marker on their
# serial console. To be sourced. What it offers is listed in tests/guests/README.md.

# Set by guest_boot and guest_expect_failure for their caller.
GUEST_SECONDS=0
GUEST_MATCH=

guest_firmware_dir=${TRANSIT_OVMF_DIR:-/usr/share/OVMF}

# The names under which tests speak of what a console can show. One place, so
# that a new wording in some guest is followed here and nowhere else.
guest_marker() {
	case $1 in
	# What the kernel says next may stand behind it on the same line.
	login) echo ' login:( |$)' ;;
	probe) echo '^TRANSIT-PROBE \{.*\}$' ;;
	no-root) echo 'ALERT! +[^ ]+ does not exist' ;;
	initramfs-shell) echo '^\(initramfs\)' ;;
	grub-prompt) echo 'grub( rescue)?> *$' ;;
	uefi-shell) echo 'UEFI Interactive Shell|^Shell> ' ;;
	no-boot-device) echo 'No bootable device|BdsDxe: (failed to load|No bootable option)' ;;
	emergency) echo 'You are in (rescue|emergency) mode|Cannot open access to console' ;;
	panic) echo 'Kernel panic - not syncing' ;;
	*)
		echo "guest_marker: no such marker: $1" >&2
		return 1
		;;
	esac
}

# A console as a reader would see it: firmware and systemd draw with escape
# sequences, and the serial line ends in one or two carriage returns.
guest_console() {
	tr -d '\r\000' <"$1" | sed -E 's/\x1b\[[0-9;?=]*[A-Za-z]//g; s/\x1b([()][0-9A-Z]|[=>c78DEHM])//g'
}

# The probe's JSON, one line, or failure. A guest that rebooted prints it again:
# the last one counts.
guest_probe() {
	local json
	json=$(guest_console "$1" | sed -nE 's/^.*TRANSIT-PROBE (\{.*\}) *$/\1/p' | tail -n 1)
	[[ -n $json ]] && jq -ce . <<<"$json"
}

# One --disk FILE[,overlay][,bus=BUS][,serial=S][,format=F] as QEMU arguments, into
# the array qemu_args. An overlay lives in an unlinked file of QEMU's own.
_guest_disk() {
	local spec=$1 index=$2 bus=$3 machine=$4 firmware=$5
	local file part serial=disk$index format=raw overlay='' device boot=''
	IFS=, read -ra parts <<<"$spec"
	file=${parts[0]}
	for part in "${parts[@]:1}"; do
		case $part in
		overlay) overlay=,snapshot=on ;;
		bus=*) bus=${part#bus=} ;;
		serial=*) serial=${part#serial=} ;;
		format=*) format=${part#format=} ;;
		*)
			echo "guest_boot: --disk $spec: what is $part?" >&2
			return 64
			;;
		esac
	done
	# UEFI keeps its own order in its variables; a number here would override it.
	[[ $firmware = uefi || $index != 0 ]] || boot=,bootindex=1
	case $bus-$machine in
	virtio-blk-*) device=virtio-blk-pci,addr=$((8 + index)) ;;
	virtio-scsi-*)
		[[ " ${qemu_args[*]} " == *virtio-scsi-pci* ]] || qemu_args+=(-device 'virtio-scsi-pci,id=scsi,addr=7')
		device=scsi-hd,bus=scsi.0,scsi-id=$index
		;;
	ide-pc) device=ide-hd,bus=ide.$((index / 2)),unit=$((index % 2)) ;;
	ahci-q35) device=ide-hd,bus=ide.$index ;;
	ahci-pc)
		[[ " ${qemu_args[*]} " == *ich9-ahci* ]] || qemu_args+=(-device 'ich9-ahci,id=sata,addr=6')
		device=ide-hd,bus=sata.$index
		;;
	nvme-*) device=nvme,addr=$((8 + index)) ;;
	*)
		echo "guest_boot: no bus $bus on machine $machine" >&2
		return 64
		;;
	esac
	qemu_args+=(-drive "if=none,id=d$index,file=${file//,/,,},format=$format,cache=writeback,discard=unmap$overlay"
		-device "$device,drive=d$index,serial=$serial$boot")
}

# The NIC sits in another slot than its predecessor, as it does after a move:
# a guest that names it by its slot must see a new name.
_guest_nic() {
	local model=$1 mac=$2 forward=$3
	# A program per connection: slirp's own forwards carry only one in all.
	[[ -z $forward ]] || forward=",guestfwd=tcp:10.0.2.100:8443-cmd:socat - TCP:127.0.0.1:$forward"
	case $model in
	none) qemu_args+=(-nic none) && return ;;
	e1000) model=e1000,addr=3 ;;
	virtio-net) model=virtio-net-pci,addr=0x12 ;;
	*)
		echo "guest_boot: no NIC $model" >&2
		return 64
		;;
	esac
	qemu_args+=(-netdev "user,id=net0,restrict=on$forward" -device "$model,netdev=net0,mac=$mac,romfile=")
}

# Firmware variables are always a copy: a boot must leave no trace that a later
# one could profit from.
_guest_firmware() {
	local firmware=$1 vars=$2 scratch=$3
	case $firmware in
	bios) ;;
	uefi)
		[[ $vars != blank ]] || vars=$guest_firmware_dir/OVMF_VARS_4M.fd
		cp "$vars" "$scratch/vars.fd"
		qemu_args+=(-drive "if=pflash,unit=0,format=raw,readonly=on,file=$guest_firmware_dir/OVMF_CODE_4M.fd"
			-drive "if=pflash,unit=1,format=raw,file=$scratch/vars.fd")
		;;
	*)
		echo "guest_boot: no firmware $firmware" >&2
		return 64
		;;
	esac
}

# Prints the first line that matches, if every pattern matches some line. Reads
# to the end: under pipefail a grep that stops at its match fails the pipe as
# soon as there is more to read than it took.
_guest_seen() {
	local log=$1 pattern line='' found
	shift
	for pattern; do
		found=$(guest_console "$log" 2>/dev/null | grep -Ea -e "$pattern") || return 1
		line=${line:-${found%%$'\n'*}}
	done
	printf '%s\n' "$line"
}

# Prints "SECONDS LINE" at the end and returns guest_boot's code. The time is
# counted by the clock, not by turns of the loop: on a busy machine a turn of one
# second takes three.
_guest_wait() {
	local pid=$1 log=$2 limit=$3 fail_on=$4 start=$SECONDS ended line
	shift 4
	while :; do
		ended=0
		kill -0 "$pid" 2>/dev/null || ended=1
		# Read after asking whether QEMU lives, or its last words are missed.
		line=$(_guest_seen "$log" "$@") && { echo "$((SECONDS - start)) $line" && return 0; }
		if [[ -n $fail_on ]]; then
			line=$(_guest_seen "$log" "$fail_on") &&
				{ echo "$((SECONDS - start)) $line" && return 3; }
		fi
		((ended == 0)) || { echo "$((SECONDS - start))" && return 2; }
		((SECONDS - start < limit)) || { echo "$((SECONDS - start))" && return 1; }
		# The shell that asked is gone: nobody waits for an answer.
		kill -0 $$ 2>/dev/null || return 1
		sleep 1
	done
}

# guest_boot --disk FILE[,overlay][,bus=BUS]... [options]
#   --name X            for messages                              (guest)
#   --firmware F        bios | uefi                               (bios)
#   --vars FILE|blank   UEFI variables to start from, copied      (blank)
#   --machine M         pc | q35                    (pc with bios, q35 with uefi)
#   --bus BUS           ahci | ide | virtio-blk | virtio-scsi | nvme  (virtio-blk)
#   --nic MODEL         e1000 | virtio-net | none                 (virtio-net)
#   --mac MAC                                                     (52:54:00:12:34:56)
#   --memory MIB                                                  (768)
#   --forward PORT      10.0.2.100:8443 in the guest is 127.0.0.1:PORT here
#   --timeout S                                                   (300)
#   --log FILE          the serial console; QEMU's own words go to FILE.qemu
#   --until REGEX       extended, matched against lines without control codes; given
#                       again, each has to be seen, in any order: a prompt and a probe
#                       come from two programs
#   --fail-on REGEX     gives up at once when a line matches
# Returns 0 seen, 1 timeout, 2 QEMU ended first, 3 --fail-on seen, 64 bad call, and
# sets GUEST_SECONDS and GUEST_MATCH (the line). QEMU is gone on return.
guest_boot() {
	local name=guest firmware=bios vars=blank machine='' bus=virtio-blk nic=virtio-net
	local mac=52:54:00:12:34:56 memory=768 timeout=300 log='' fail_on='' forward=''
	local disks=() until=() answer rc=0
	while (($# > 0)); do
		(($# > 1)) || { echo "guest_boot: $1 needs a value" >&2 && return 64; }
		case $1 in
		--name) name=$2 ;;
		--firmware) firmware=$2 ;;
		--vars) vars=$2 ;;
		--machine) machine=$2 ;;
		--bus) bus=$2 ;;
		--nic) nic=$2 ;;
		--mac) mac=$2 ;;
		--disk) disks+=("$2") ;;
		--memory) memory=$2 ;;
		--forward) forward=$2 ;;
		--timeout) timeout=$2 ;;
		--log) log=$2 ;;
		--until) until+=("$2") ;;
		--fail-on) fail_on=$2 ;;
		*)
			echo "guest_boot: what is $1?" >&2
			return 64
			;;
		esac
		shift 2
	done
	[[ -n $log && ${#until[@]} -gt 0 && ${#disks[@]} -gt 0 ]] ||
		{ echo "guest_boot: --log, --until and --disk are needed" >&2 && return 64; }
	[[ -n $machine ]] || { [[ $firmware = uefi ]] && machine=q35 || machine=pc; }
	answer=$(_guest_run) || rc=$?
	GUEST_SECONDS=${answer%% *}
	GUEST_MATCH=${answer#"$GUEST_SECONDS"}
	# Read by whoever sourced this file.
	# shellcheck disable=SC2034
	GUEST_MATCH=${GUEST_MATCH# }
	return $rc
}

# Runs in the subshell of a command substitution, so that its trap replaces none
# of the caller's. Sees guest_boot's variables.
_guest_run() {
	local qemu_args=() index smm=''
	# With SMM, SeaBIOS enters it for each read from a virtio disk; emulated, GRUB
	# then takes more than ten minutes to load a kernel, instead of seconds.
	[[ $firmware = uefi ]] || smm=,smm=off
	# Not local: the trap runs when this function is already gone.
	scratch=$(mktemp -d) pid=
	trap '[[ -z $pid ]] || kill -KILL "$pid" 2>/dev/null; rm -rf "$scratch"' EXIT
	trap 'exit 1' INT TERM HUP
	# One processor. Linux looks at SCSI and ATA disks on all of them at once, and gives sda to whoever
	# comes first; and an emulated second one loses its timer now and then, and the guest stands still.
	qemu_args=(-name "$name" -accel "tcg,thread=multi" -cpu max -smp 1 -m "$memory"
		-machine "$machine,graphics=off$smm" -nodefaults -no-user-config -display none -no-reboot
		-serial "file:$log")
	_guest_firmware "$firmware" "$vars" "$scratch" || exit
	for index in "${!disks[@]}"; do
		_guest_disk "${disks[index]}" "$index" "$bus" "$machine" "$firmware" || exit
	done
	_guest_nic "$nic" "$mac" "$forward" || exit
	: >"$log"
	# The death signal covers what no trap can: this shell being killed outright.
	setpriv --pdeathsig KILL qemu-system-x86_64 "${qemu_args[@]}" </dev/null >"$log.qemu" 2>&1 &
	pid=$!
	_guest_wait "$pid" "$log" "$timeout" "$fail_on" "${until[@]}"
}

# guest_expect_failure MARKER [guest_boot's options, without --until and --fail-on]
# Boots, and is content only with the named marker (see guest_marker). Returns 0
# when it was seen, 3 when the guest came up instead, else as guest_boot.
guest_expect_failure() {
	local marker=$1 expected up
	shift
	expected=$(guest_marker "$marker") || return 64
	up="$(guest_marker login)|$(guest_marker probe)"
	guest_boot "$@" --until "$expected" --fail-on "$up"
}
