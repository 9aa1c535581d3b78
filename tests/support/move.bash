# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# move.bash - a guest goes from its old hardware to virtio, as an operator would move it
# To be sourced after functions.bash, qemu.bash and guest.bash.

move_setup() {
	export TRANSIT_CACHE=${TRANSIT_CACHE:-$BUILD/../cache}
	export TRANSIT_MACHINE=$BUILD/machine
	# The disks are large: they stay off /tmp, which may be memory.
	mkdir -p "$BUILD/e2e"
	TMPDIR=$BUILD/e2e transit_setup
	# shellcheck disable=SC2034
	START_SECONDS=60
}

# sound_disk SOURCE TARGET: the same partitions, and each ext file system of the target is clean as it
# was sent. Free space is zero there and need not be so on the source: the boots compare the files.
sound_disk() {
	local source=$1 target=$2 start checked=0
	diff <(sfdisk -d "$source" | sed -n 's/^[^ ]* *: *start/start/p') \
		<(sfdisk -d "$target" | sed -n 's/^[^ ]* *: *start/start/p')
	while read -r start; do
		[[ $(blkid -p -O "$((start * 512))" -o value -s TYPE "$target" || true) == ext* ]] || continue
		e2fsck -fn "$target?offset=$((start * 512))"
		checked=$((checked + 1))
	done < <(sfdisk -d "$target" | sed -n 's/.*start= *\([0-9]*\),.*/\1/p')
	((checked > 0))
}

# move_guest DIR EXTRA_MIB [OPTION...]: all disks of the guest to files of EXTRA_MIB more, verified and
# fixed. OPTIONs are those of push; with --all-blocks both are compared byte by byte.
move_guest() {
	local dir=$1 extra=$2 count i
	shift 2
	local -a targets=() sources=()
	count=$(guest_value "$dir" disks)
	for ((i = 0; i < count; i++)); do
		truncate -s "$(($(stat -c %s "$dir/disk$i.raw") + extra * 1048576))" "$WORK/disk$i.raw"
		targets+=("$i=$WORK/disk$i.raw")
		sources+=(--disk "$dir/disk$i.raw=$i")
	done
	guest_facts "$dir" >"$WORK/facts.json"
	start_receiver "${targets[@]}"
	pair "$(seq -s, 0 $((count - 1)))"
	send push --invite "$WORK/invite" "${sources[@]}" --facts "$WORK/facts.json" --once --json "$@" >"$WORK/push.json"
	state_is verified
	for ((i = 0; i < count; i++)); do
		if [[ " $* " == *" --all-blocks "* ]]; then
			cmp -n "$(stat -c %s "$dir/disk$i.raw")" "$dir/disk$i.raw" "$WORK/disk$i.raw"
		else
			sound_disk "$dir/disk$i.raw" "$WORK/disk$i.raw"
		fi
	done
	ctl plan
	ctl finalize
	state_is ready
}

# A second plan has nothing to do. From the command line, on the disks themselves.
second_plan_is_empty() {
	local -a disks=()
	local disk
	for disk in "$WORK"/disk?.raw; do disks+=("$disk"); done
	# bootfix is the program of functions.bash.
	# shellcheck disable=SC2154
	"$bootfix" plan "${disks[@]}" --facts "$WORK/facts.json" --state "$WORK/second" --grow --json >"$WORK/second.json"
	jq -e '.actions | length == 0' "$WORK/second.json"
}

# boot_moved DIR HARDWARE: to a login prompt, healthy, markers equal; the probe goes to $WORK/probe.json
boot_moved() {
	local dir=$1 hardware=$2 guest_args=()
	guest_hardware "$dir" "$hardware" "$WORK"
	guest_boot "${guest_args[@]}" --timeout "${TRANSIT_BOOT_TIMEOUT:-600}" --log "$WORK/$hardware.log" \
		--until "$(guest_marker probe)" --until "$(guest_marker login)" \
		--fail-on "$(guest_marker panic)|$(guest_marker emergency)|$(guest_marker no-root)" || {
		echo "boot on $hardware: code $?, after $GUEST_SECONDS s"
		guest_console "$WORK/$hardware.log" | tail -30
		return 1
	}
	guest_probe "$WORK/$hardware.log" >"$WORK/probe.json"
	guest_healthy "$dir" "$(<"$WORK/probe.json")"
	echo "# $hardware: healthy after $GUEST_SECONDS s" >&3
}
