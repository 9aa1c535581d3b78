# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# Disk images without mounting anything. Sourced by build.sh.

# make_disk FILE SIZE: a sparse file with the partition table on stdin.
make_disk() {
	rm -f "$1"
	truncate -s "$2" "$1"
	sfdisk --quiet --no-reread --no-tell-kernel "$1"
}

# The start and size of partition N in 512-byte sectors.
_partition() {
	sfdisk --json "$1" | jq -r ".partitiontable.partitions[$2 - 1] | \"\(.start) \(.size)\""
}

# fill_ext4 FILE N UUID TREE: formats partition N in place, filled from a folder.
# The feature list is what GRUB of the oldest guest can read.
fill_ext4() {
	local start size
	read -r start size < <(_partition "$1" "$2")
	mke2fs -q -F -t ext4 -U "$3" -E "offset=$((start * 512)),hash_seed=$3,lazy_itable_init=1" \
		-O '^metadata_csum_seed,^orphan_file' -d "$4" "$1" "$((size / 2))k"
}

# fill_with FILE N PROGRAM...: lets a program format a file of the partition's
# size, for those that know no offset.
fill_with() {
	local disk=$1 number=$2 start size part
	shift 2
	read -r start size < <(_partition "$disk" "$number")
	part=$(mktemp "$disk.part.XXXX")
	# Allocated, not sparse: mkswap complains about holes.
	fallocate -l $((size * 512)) "$part"
	"$@" "$part" >/dev/null
	dd if="$part" of="$disk" bs=512 seek="$start" conv=notrunc,sparse status=none
	rm "$part"
}
