# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# Boots the guests of tests/guests by what their guest.env says. To be sourced,
# after qemu.bash.

# guest_value DIR KEY: one value of a guest's description, read as data.
guest_value() {
	sed -nE "s/^$2=\"?([^\"]*)\"?\$/\1/p" "$1/guest.env"
}

# guest_hardware DIR old|virtio-blk|virtio-scsi [FOLDER-OF-DISKS [DISK-OPTIONS]]
# Fills the array guest_args for guest_boot: the hardware the guest was made for,
# or a virtio machine with empty firmware variables. The disks are taken from
# FOLDER (default: the guest's own) and are not written, unless DISK-OPTIONS, by
# default "overlay", is given as an empty string.
guest_hardware() {
	local dir=$1 hardware=$2 folder=${3:-$1} options=${4-overlay} disk count i
	guest_args=(--name "$(guest_value "$dir" name)-$hardware" --firmware "$(guest_value "$dir" firmware)"
		--mac "$(guest_value "$dir" mac)")
	options=${options:+,$options}
	case $hardware in
	old)
		guest_args+=(--nic "$(guest_value "$dir" old_nic)")
		[[ ! -e $dir/vars.fd ]] || guest_args+=(--vars "$dir/vars.fd")
		for disk in $(guest_value "$dir" old_disks); do
			guest_args+=(--disk "$folder/${disk%%,*}.raw,${disk#*,}$options")
		done
		;;
	virtio-blk | virtio-scsi)
		guest_args+=(--nic virtio-net --bus "$hardware")
		count=$(guest_value "$dir" disks)
		for ((i = 0; i < count; i++)); do guest_args+=(--disk "$folder/disk$i.raw$options"); done
		;;
	*)
		echo "guest_hardware: no hardware $hardware" >&2
		return 64
		;;
	esac
}

# guest_healthy DIR JSON: says what is wrong with a guest that came up, line by
# line, and fails if anything is. MAC and markers are those it left home with.
guest_healthy() {
	local problems
	problems=$(jq -r --arg marker "$(guest_value "$1" marker)" --arg data "$(guest_value "$1" data_marker)" \
		--arg mac "$(guest_value "$1" mac)" --arg nic "$(guest_value "$1" old_interface)" '
		(if .state != "running" then "state is \(.state)" else empty end),
		(.failed[] | "failed unit: \(.)"),
		(if .marker != $marker then "marker tree differs" else empty end),
		(if $data != "" and .data_marker != $data then "marker tree on the data disk differs" else empty end),
		(if (.swaps | length) == 0 and $data == "" then "no swap" else empty end),
		([.addresses[]? | select(.address == $mac)] | if length == 0 then "no interface has \($mac)"
		 else .[0] | if .ifname != $nic then "the interface is called \(.ifname), not \($nic)" else empty end,
			if ([.addr_info[] | select(.family == "inet")] | length) == 0 then "no address on \(.ifname)" else empty end
		 end)' <<<"$2") || return 1
	[[ -z $problems ]] && return 0
	echo "$problems"
	return 1
}

# guest_facts DIR: what transit-send would say about the old hardware, had it run there.
guest_facts() {
	local dir=$1 count i name disks=()
	count=$(guest_value "$dir" disks)
	for ((i = 0; i < count; i++)); do
		name=sd$(printf '%b' "\\x$(printf %x $((97 + i)))")
		disks+=("$(sfdisk --json "$dir/disk$i.raw" | jq --arg name "$name" --argjson n "$i" \
			--argjson size "$(stat -c %s "$dir/disk$i.raw")" '
			{n: $n, name: $name, devlinks: ["/dev/disk/by-id/ata-QEMU_HARDDISK_disk\($n)"],
			 size: $size, logical_sector: 512, physical_sector: 512, serial: "disk\($n)",
			 partitions: [.partitiontable.partitions | to_entries[] |
				{name: "\($name)\(.key + 1)", number: (.key + 1),
				 start: (.value.start * 512), size: (.value.size * 512)}]}')")
	done
	printf '%s\n' "${disks[@]}" | jq -s --arg name "$(guest_value "$dir" name)" \
		--arg fw "$(guest_value "$dir" firmware)" --arg nic "$(guest_value "$dir" old_interface)" \
		--arg mac "$(guest_value "$dir" mac)" '
		{version: 1, hostname: $name, firmware: $fw, arch: "x86_64", kernel: "unknown",
		 disks: ., nics: [{name: $nic, mac: $mac, addresses: ["10.0.2.15/24"]}],
		 root: "/dev/sda1", memory: 805306368, cpus: 2}'
}
