#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# Free space is left out, and nothing else is. Other tools say what is free.

# shellcheck source=tests/support/functions.bash
source "$BATS_TEST_DIRNAME/../support/functions.bash"
# shellcheck source=tests/support/witness.bash
source "$BATS_TEST_DIRNAME/../support/witness.bash"

free_ranges=$BUILD/tests/free_ranges

setup() {
	TMPDIR=${TRANSIT_TEST_DIR:-/var/tmp} transit_setup
	LOOPS=()
	MOUNTS=()
	WRITERS=()
}

teardown() {
	local i
	touch "$WORK/log-ext.stop" "$WORK/log-xfs.stop"
	for i in "${WRITERS[@]}"; do end_process "$i"; done
	for i in "${MOUNTS[@]}"; do umount "$i" 2>/dev/null || umount -l "$i" || true; done
	for i in "${LOOPS[@]}"; do losetup -d "$i" || true; done
	transit_teardown
}

# A folder with files of many sizes.
make_tree() {
	local i
	mkdir -p "$1/a/b" "$1/c"
	for ((i = 1; i <= 60; i++)); do seq "$i" $((i * 997)) >"$1/a/file$i"; done
	for ((i = 1; i <= 12; i++)); do openssl rand $((i * 300011)) >"$1/a/b/blob$i"; done
	ln -s ../a/file1 "$1/c/link"
}

# noise FILE MIB: random bytes, so that free space is full of them
noise() { openssl enc -aes-128-ctr -nosalt -pass pass:noise -in /dev/zero 2>/dev/null | head -c "$(($2 << 20))" >"$1"; }

look() { "$free_ranges" "${2:-final}" "$1" >"$WORK/free" 2>"$WORK/parts"; }

# part NAME FIELD: a field of a part, counted from 1: name type offset size free verdict why
part() { awk -F'|' -v n="$1" -v f="$2" '$1 == n { print $f; exit }' "$WORK/parts"; }

# aligned UNIT: ranges on standard input, cut to whole units
aligned() { awk -v u="$1" '{ a = int(($1 + u - 1) / u) * u; b = int(($1 + $2) / u) * u; if (b > a) printf "%.0f %.0f\n", a, b - a }'; }

# The rest of SIZE bytes.
complement() { awk -v size="$1" '$1 > at { printf "%.0f %.0f\n", at, $1 - at } { at = $1 + $2 } END { if (at < size) printf "%.0f %.0f\n", at, size - at }'; }

# same_ranges A B: the ranges on standard input are equal in both
same_ranges() {
	local off len
	while read -r off len; do cmp -i "$off" -n "$len" "$1" "$2" || return 1; done
}

zero_ranges() {
	local off len
	while read -r off len; do cmp -i "$off:0" -n "$len" "$1" /dev/zero || return 1; done
}

ext_is_equal() { # IMAGE
	ext_free "$1" >"$WORK/witness"
	look "$1"
	[[ $(part disk 6) == believed && -s $WORK/witness ]] || { cat "$WORK/parts"; return 1; }
	diff "$WORK/witness" "$WORK/free"
}

@test "free blocks of ext2, ext3 and ext4 are those that dumpe2fs names" {
	requires mke2fs dumpe2fs
	local i img=$WORK/img
	make_tree "$WORK/tree"
	while read -r i; do
		rm -f "$img"
		truncate -s 700M "$img"
		# shellcheck disable=SC2086
		mke2fs -q -F $i -d "$WORK/tree" "$img"
		ext_is_equal "$img" || { echo "mke2fs $i"; return 1; }
	done <<-END
		-t ext2 -b 1024
		-t ext2 -b 2048
		-t ext3 -b 4096
		-t ext4
		-t ext4 -O bigalloc -C 65536
		-t ext4 -O meta_bg,^resize_inode,64bit -b 1024
		-t ext4 -O ^metadata_csum,uninit_bg
		-t ext4 -O ^64bit,^flex_bg
		-t ext4 -O sparse_super2 -E packed_meta_blocks=1
		-t ext4 -g 8192 -b 2048
	END
}

@test "free blocks of an xfs are those of xfs_db" {
	requires mkfs.xfs xfs_db
	local i img=$WORK/img
	while read -r i; do
		rm -f "$img"
		truncate -s 700M "$img"
		# shellcheck disable=SC2086
		mkfs.xfs -q $i "$img" 2>/dev/null
		xfs_free "$img" >"$WORK/witness"
		look "$img"
		[[ $(part disk 6) == believed && -s $WORK/witness ]] || { cat "$WORK/parts"; return 1; }
		diff "$WORK/witness" "$WORK/free"
	done <<-END
		-m crc=1
		-m crc=0
		-b size=1024 -d agcount=7
		-m rmapbt=1,reflink=1
		-s size=4096
	END
}

@test "an xfs that was in use is read as xfs_db reads it, once it is unmounted" {
	requires mkfs.xfs xfs_db
	requires_root
	local i
	truncate -s 400M "$WORK/img"
	mkfs.xfs -q "$WORK/img"
	mkdir "$WORK/mnt"
	mount -o loop "$WORK/img" "$WORK/mnt"
	MOUNTS+=("$WORK/mnt")
	make_tree "$WORK/mnt/t"
	for ((i = 0; i < 4000; i++)); do echo "$i" >"$WORK/mnt/small$i"; done
	sync -f "$WORK/mnt"
	rm "$WORK"/mnt/small*[13579] "$WORK"/mnt/t/a/b/blob[2468]
	# While it is mounted a loop device has the image open for writing.
	look "$WORK/img"
	[[ $(part disk 6) == doubted && $(part disk 7) == *"open for writing"* && ! -s $WORK/free ]]
	# A copy of the running one has a log that was not written back.
	sync -f "$WORK/mnt"
	echo more >"$WORK/mnt/more"
	sync -f "$WORK/mnt"
	cp --sparse=always "$WORK/img" "$WORK/torn"
	umount "$WORK/mnt"
	MOUNTS=()
	look "$WORK/torn"
	[[ $(part disk 6) == doubted && ! -s $WORK/free ]]
	look "$WORK/img"
	[[ $(part disk 6) == believed ]]
	xfs_free "$WORK/img" >"$WORK/witness"
	# A tree of more than one level.
	(($(wc -l <"$WORK/witness") > 1000))
	diff "$WORK/witness" "$WORK/free"
}

@test "of a btrfs what no chunk covers is free, and nothing of a chunk" {
	requires mkfs.btrfs btrfs
	make_tree "$WORK/tree"
	truncate -s 1G "$WORK/img"
	mkfs.btrfs -q -r "$WORK/tree" "$WORK/img"
	look "$WORK/img"
	[[ $(part disk 6) == believed ]]
	btrfs_used "$WORK/img" >"$WORK/used"
	[[ -s $WORK/used ]]
	# The first MiB and the second superblock, at 64 MiB, belong to it as well.
	{ cat "$WORK/used"; echo 0 1048576; echo 67108864 65536; } | join_ranges >"$WORK/kept"
	complement "$((1 << 30))" <"$WORK/kept" >"$WORK/witness"
	lies_in "$WORK/free" "$WORK/witness"
	(($(awk '{ s += $2 } END { print s }' "$WORK/free") == $(awk '{ s += $2 } END { print s }' "$WORK/witness")))
}

@test "swap keeps its header; with an image of hibernation it is whole" {
	requires mkswap
	truncate -s 64M "$WORK/img"
	mkswap -q "$WORK/img" 2>/dev/null
	look "$WORK/img"
	[[ $(<"$WORK/free") == "1048576 66060288" ]]
	local word
	for word in S1SUSPEND ULSUSPEND S2SUSPEND LINHIB0001; do
		printf '%s\0' "$word" | dd of="$WORK/img" bs=1 seek=4086 conv=notrunc status=none
		look "$WORK/img"
		[[ ! -s $WORK/free ]] || { echo "$word"; return 1; }
	done
}

@test "a file system that was not left cleanly is whole, and why is said" {
	requires mke2fs debugfs
	truncate -s 64M "$WORK/img"
	mke2fs -q -F -t ext4 "$WORK/img"
	look "$WORK/img"
	[[ -s $WORK/free ]]
	cp --sparse=always "$WORK/img" "$WORK/clean"
	debugfs -w -R 'feature needs_recovery' "$WORK/img" 2>/dev/null
	look "$WORK/img"
	[[ $(part disk 6) == doubted && $(part disk 7) == *journal* && ! -s $WORK/free ]]
	local state
	for state in 0 2 3; do
		cp --sparse=always "$WORK/clean" "$WORK/img"
		debugfs -w -R "ssv state $state" "$WORK/img" 2>/dev/null
		look "$WORK/img"
		[[ $(part disk 6) == doubted && ! -s $WORK/free ]] || { echo "state $state"; return 1; }
	done
}

@test "an image that somebody has open for writing is whole" {
	truncate -s 64M "$WORK/img"
	mke2fs -q -F -t ext4 "$WORK/img"
	look "$WORK/img"
	[[ -s $WORK/free ]]
	exec 7<>"$WORK/img"
	look "$WORK/img"
	exec 7>&-
	[[ $(part disk 6) == doubted && ! -s $WORK/free ]]
	look "$WORK/img"
	[[ -s $WORK/free ]]
}

# make_full_disk FILE: noise with a GPT; ext4, swap, xfs, a gap of 40 MiB, ext2
make_full_disk() {
	local disk=$1
	make_tree "$WORK/tree"
	noise "$disk" 620
	sfdisk -q --wipe never "$disk" <<-END
		label: gpt
		start=2048, size=131072, type=L
		size=65536, type=S
		size=716800, type=L
		start=1083392, size=102400, type=L
	END
	mke2fs -q -F -t ext4 -E offset=1048576,nodiscard,lazy_itable_init=0 -d "$WORK/tree" "$disk" 64M
	dd if="$disk" of="$WORK/swap" bs=1M skip=65 count=32 status=none
	mkswap -q "$WORK/swap" 2>/dev/null
	dd if="$WORK/swap" of="$disk" bs=1M seek=65 conv=notrunc status=none
	dd if="$disk" of="$WORK/xfs" bs=1M skip=97 count=350 status=none
	mkfs.xfs -q -K -f "$WORK/xfs"
	dd if="$WORK/xfs" of="$disk" bs=1M seek=97 conv=notrunc status=none
	mke2fs -q -F -t ext2 -E offset=$((1083392 * 512)),nodiscard -d "$WORK/tree/c" "$disk" 50M
}

@test "a disk with tables: used blocks arrive as they are, free ones as zero, and no more is sent" {
	requires mke2fs mkfs.xfs mkswap sfdisk debugfs
	make_full_disk "$WORK/source"
	local size used
	size=$(stat -c %s "$WORK/source")
	look "$WORK/source"
	[[ $(cut -d'|' -f1,2,6 "$WORK/parts" | tr '\n' ' ') == "partition 1|ext4|believed partition 2|swap|believed partition 3|xfs|believed partition 4|ext2|believed gap||believed gap||believed " ]]
	make_target "$WORK/target" 620
	start_receiver "0=$WORK/target"
	pair 0
	send push --invite "$WORK/invite" --disk "$WORK/source=0" --once --json >"$WORK/out"
	state_is verified
	aligned 262144 <"$WORK/free" >"$WORK/skipped"
	zero_ranges "$WORK/target" <"$WORK/skipped"
	complement "$size" <"$WORK/skipped" >"$WORK/kept"
	same_ranges "$WORK/source" "$WORK/target" <"$WORK/kept"
	used=$(awk '{ s += $2 } END { printf "%.0f", s }' < <(complement "$size" <"$WORK/free"))
	echo "used $used, sent $(jq .bytes_sent_plain "$WORK/out"), wire $(jq .bytes_wire "$WORK/out")"
	(($(jq .bytes_sent_plain "$WORK/out") * 100 <= used * 105))
	# What was left out is told, and adds up.
	[[ $(jq .bytes_skipped.free "$WORK/out") == "$(awk '{ s += $2 } END { printf "%.0f", s }' "$WORK/skipped")" ]]
	[[ $(jq .disks[0].bytes_skipped.free "$WORK/out") == $(jq .bytes_skipped.free "$WORK/out") ]]
	[[ $(jq -r '.disks[0].parts[2].type + .disks[0].parts[2].map' "$WORK/out") == xfsbelieved ]]
	(($(jq .bytes_read "$WORK/out") < size / 2))
	# The file systems are whole: by their own tools, and file by file.
	dd if="$WORK/target" of="$WORK/p1" bs=1M skip=1 count=64 status=none
	dd if="$WORK/target" of="$WORK/p3" bs=1M skip=97 count=350 status=none
	e2fsck -fn "$WORK/p1"
	xfs_repair -n "$WORK/p3"
	mkdir "$WORK/dump"
	debugfs -R "rdump / $WORK/dump" "$WORK/p1" 2>/dev/null
	rm -rf "$WORK/dump/lost+found"
	diff -r --no-dereference "$WORK/tree" "$WORK/dump"
	# The manifest is of what the target holds: a second list from there, by stock tools.
	split -b 262144 --filter 'sha256sum | cut -d" " -f1' "$WORK/target" | xxd -r -p | sha256sum >"$WORK/list"
	[[ $(jq -r '.disks[0].list_sha256' "$WORK/out") == "$(cut -d' ' -f1 "$WORK/list")" ]]
}

@test "--all-blocks sends free space as it is" {
	requires mke2fs
	noise "$WORK/source" 96
	mke2fs -q -F -t ext4 -E nodiscard "$WORK/source"
	make_target "$WORK/target" 96
	start_receiver "0=$WORK/target"
	pair 0
	send push --invite "$WORK/invite" --disk "$WORK/source=0" --once --all-blocks --json >"$WORK/out"
	same_content "$WORK/source" "$WORK/target"
	[[ $(jq .bytes_skipped.free "$WORK/out") == 0 && $(jq '.disks[0].parts | length' "$WORK/out") == 0 ]]
}

@test "what was data and is free now becomes zero, and what came into use is sent" {
	requires mke2fs debugfs
	noise "$WORK/source" 96
	mke2fs -q -F -t ext4 -E nodiscard "$WORK/source"
	noise "$WORK/blob" 20
	debugfs -w -R "write $WORK/blob first" "$WORK/source" 2>/dev/null
	make_target "$WORK/target" 96
	start_receiver "0=$WORK/target"
	pair 0
	send push --invite "$WORK/invite" --disk "$WORK/source=0" --quiet
	debugfs -w -R 'rm first' "$WORK/source" 2>/dev/null
	printf 'set_super_value last_orphan 0\n' | debugfs -w -f - "$WORK/source" >/dev/null 2>&1
	make_tree "$WORK/tree"
	debugfs -w -R "write $WORK/tree/a/b/blob12 second" "$WORK/source" 2>/dev/null
	look "$WORK/source"
	send sync --invite "$WORK/invite" --disk "$WORK/source=0" --final --quiet
	state_is verified
	aligned 262144 <"$WORK/free" >"$WORK/skipped"
	zero_ranges "$WORK/target" <"$WORK/skipped"
	complement "$((96 << 20))" <"$WORK/skipped" >"$WORK/kept"
	same_ranges "$WORK/source" "$WORK/target" <"$WORK/kept"
	e2fsck -fn "$WORK/target"
	debugfs -R "dump second $WORK/back" "$WORK/target" 2>/dev/null
	cmp "$WORK/tree/a/b/blob12" "$WORK/back"
}

@test "tables that are not understood to their end, and strange content, are whole" {
	requires sfdisk mke2fs
	truncate -s 64M "$WORK/img"
	look "$WORK/img"
	[[ ! -s $WORK/free && $(part disk 6) == unknown ]]
	# An empty table says nothing of what lies there.
	echo 'label: gpt' | sfdisk -q "$WORK/img"
	look "$WORK/img"
	[[ ! -s $WORK/free ]]
	# A damaged table.
	printf 'label: gpt\nstart=2048, size=20480\n' | sfdisk -q "$WORK/img"
	look "$WORK/img"
	[[ -s $WORK/free ]]
	printf 'X' | dd of="$WORK/img" bs=1 seek=1100 conv=notrunc status=none
	printf 'X' | dd of="$WORK/img" bs=1 seek=$(((64 << 20) - 500)) conv=notrunc status=none
	look "$WORK/img"
	[[ ! -s $WORK/free ]]
	# A signature between the partitions: here that of an old array.
	printf 'label: gpt\nstart=2048, size=20480\n' | sfdisk -q --wipe always "$WORK/img"
	mke2fs -q -F -t ext4 -E offset=$((11 << 20)) "$WORK/img" 16M
	look "$WORK/img"
	[[ $(part gap 6) == unknown && ! -s $WORK/free ]]
	# A table beside a file system over the whole disk.
	truncate -s 0 "$WORK/img"
	truncate -s 64M "$WORK/img"
	mke2fs -q -F -t ext4 "$WORK/img"
	printf 'label: dos\nstart=2048, size=20480\n' | sfdisk -q --wipe never "$WORK/img"
	look "$WORK/img"
	[[ ! -s $WORK/free ]]
}

@test "logical partitions: their links and the track after each are kept" {
	requires sfdisk mke2fs
	noise "$WORK/img" 200
	sfdisk -q --wipe never "$WORK/img" <<-END
		label: dos
		start=2048, size=40960, type=83
		start=43008, size=350000, type=5
		start=45056, size=40960, type=83
		start=200704, size=40960, type=83
	END
	mke2fs -q -F -t ext4 -E offset=$((45056 * 512)),nodiscard "$WORK/img" 20M
	look "$WORK/img"
	[[ $(part "partition 5" 6) == believed && $(part "partition 6" 6) == unknown ]]
	# The second link lies before its partition, in a gap of which the rest is free.
	local link=$((198656 * 512))
	awk -v l="$link" '$1 < l + 1048576 && $1 + $2 > l { bad = 1 } END { exit bad }' "$WORK/free"
	echo "$(((45056 + 40960) * 512)) $((link - (45056 + 40960) * 512))" >"$WORK/between"
	lies_in "$WORK/between" "$WORK/free"
	make_target "$WORK/target" 200
	start_receiver "0=$WORK/target"
	pair 0
	send push --invite "$WORK/invite" --disk "$WORK/img=0" --once --quiet
	[[ $(sfdisk -d "$WORK/img" | grep -c start=) == $(sfdisk -d "$WORK/target" | grep -c start=) ]]
	diff <(sfdisk -d "$WORK/img" | grep start= | cut -d: -f2) <(sfdisk -d "$WORK/target" | grep start= | cut -d: -f2)
}

@test "check tells what need not be sent, of each partition" {
	requires mke2fs
	truncate -s 64M "$WORK/img"
	mke2fs -q -F -t ext4 "$WORK/img"
	send check --disk "$WORK/img" --json >"$WORK/out" || true
	[[ $(jq -r '.checks[] | select(.id == "used-blocks") | .level' "$WORK/out") == ok ]]
	[[ $(jq -r '.disks[0].parts[0] | .name + " " + .type + " " + .map' "$WORK/out") == "disk ext4 believed" ]]
	(($(jq '.disks[0].parts[0].free' "$WORK/out") > 50000000))
	debugfs -w -R 'feature needs_recovery' "$WORK/img" 2>/dev/null
	send check --disk "$WORK/img" --json >"$WORK/out" || true
	[[ $(jq -r '.checks[] | select(.id == "used-blocks") | .level' "$WORK/out") == warning ]]
}

lvm_tool() {
	local tool=$1
	shift
	"$tool" --config "devices { filter=[\"a|$LOOP|\",\"r|.*|\"] use_devicesfile=0 } activation { udev_sync=0 udev_rules=0 } backup { backup=0 archive=0 }" "$@" 2>/dev/null 3>&-
}

# volume NAME ID EXTENT,COUNT...: a linear volume with a segment at each place
volume() {
	local name=$1 id=$2 at=0 i=0 s
	shift 2
	echo "$name { id = \"$id\" status = [\"READ\", \"WRITE\", \"VISIBLE\"] flags = [] creation_time = 1 creation_host = \"x\" segment_count = $#"
	for s in "$@"; do
		i=$((i + 1))
		echo "segment$i { start_extent = $at extent_count = ${s#*,} type = \"striped\" stripe_count = 1 stripes = [ \"pv0\", ${s%,*} ] }"
		at=$((at + ${s#*,}))
	done
	echo "}"
}

# make_group FILE VOLUMES: FILE becomes a physical volume of 256 MiB on $LOOP with these volumes
make_group() {
	noise "$1" 256
	LOOP=$(losetup --show -f "$1")
	LOOPS+=("$LOOP")
	lvm_tool pvcreate -ff -y "$LOOP" >/dev/null
	lvm_tool vgcreate vg-a "$LOOP" >/dev/null
	lvm_tool vgcfgbackup -f "$WORK/vgcfg" vg-a >/dev/null
	awk -v add="$2" '/^\t}$/ { last = NR } { line[NR] = $0 } END {
		for (i = 1; i <= NR; i++) { print line[i]; if (i == last) print "logical_volumes { " add " }" } }' \
		"$WORK/vgcfg" >"$WORK/vgcfg2"
	lvm_tool vgcfgrestore --force -f "$WORK/vgcfg2" vg-a >/dev/null
	lvm_tool pvs --segments --noheadings --units b --nosuffix -o pvseg_start,pvseg_size,segtype,pe_start "$LOOP" >"$WORK/segments"
	losetup -d "$LOOP"
	LOOPS=()
	awk '$3 == "free" || NF == 3 { printf "%.0f %.0f\n", $NF + $1 * 4194304, $2 * 4194304 }' "$WORK/segments" | join_ranges >"$WORK/witness"
}

@test "LVM: extents of no volume are free, and what is free in the file systems on volumes" {
	requires pvcreate vgcfgrestore losetup mke2fs
	requires_root
	make_group "$WORK/img" "$(volume root 000000-0000-0000-0000-0000-0000-000001 0,10 30,6) $(volume data 000000-0000-0000-0000-0000-0000-000002 20,5)"
	look "$WORK/img"
	cat "$WORK/segments" "$WORK/parts"
	[[ $(part disk 6) == believed ]]
	(($(wc -l <"$WORK/witness") == 3))
	diff "$WORK/witness" "$WORK/free"
	[[ $(part "volume vg-a/root" 6) == unknown ]]
	# A file system over both pieces of a volume, put together by hand.
	truncate -s 64M "$WORK/fs"
	make_tree "$WORK/tree"
	mke2fs -q -F -t ext4 -d "$WORK/tree" "$WORK/fs"
	dd if="$WORK/fs" of="$WORK/img" bs=1M count=40 seek=1 conv=notrunc status=none
	dd if="$WORK/fs" of="$WORK/img" bs=1M count=24 skip=40 seek=121 conv=notrunc status=none
	look "$WORK/img"
	[[ $(part "volume vg-a/root" 2) == ext4 && $(part "volume vg-a/root" 6) == believed ]]
	{
		cat "$WORK/witness"
		ext_free "$WORK/fs" | awk '{
			a = $1; b = $1 + $2; cut = 40 * 1048576; add = 1048576; far = 121 * 1048576 - cut
			if (a < cut) printf "%.0f %.0f\n", a + add, (b < cut ? b : cut) - a
			if (b > cut) { if (a < cut) a = cut; printf "%.0f %.0f\n", a + far, b - a } }'
	} | join_ranges >"$WORK/both"
	diff "$WORK/both" "$WORK/free"
}

@test "LVM: groups that are more than plain volumes on one disk are whole" {
	requires pvcreate vgcfgrestore losetup
	requires_root
	make_group "$WORK/img" "$(volume root 000000-0000-0000-0000-0000-0000-000001 0,10)"
	look "$WORK/img"
	[[ -s $WORK/free ]]
	# Its text with one letter changed: the checksum tells.
	local at
	at=$(grep -abo 'stripe_count = 1' "$WORK/img" | tail -1 | cut -d: -f1)
	printf 'S' | dd of="$WORK/img" bs=1 seek="$at" conv=notrunc status=none
	look "$WORK/img"
	[[ $(part disk 6) == doubted && ! -s $WORK/free ]]
	make_group "$WORK/img2" "$(volume root 000000-0000-0000-0000-0000-0000-000001 0,10 | sed 's/segment_count/segment_count/; s/type = "striped" stripe_count = 1 stripes = \[ "pv0", 0 \]/type = "zero"/')"
	look "$WORK/img2"
	[[ $(part disk 6) == doubted && $(part disk 7) == *zero* && ! -s $WORK/free ]]
}

# loop_disk NAME MIB: noise on a loop device; its name in $LOOP
loop_disk() {
	noise "$WORK/$1" "$2"
	LOOP=$(losetup --show -f "$WORK/$1")
	LOOPS+=("$LOOP")
	mkdir -p "$WORK/mnt-$1"
}

churn() { "$BATS_TEST_DIRNAME/../support/churn.bash" "$@"; }

@test "file systems written to during all rounds arrive whole, with free space left out" {
	requires mke2fs mkfs.xfs xfs_repair losetup
	requires_root
	local e x i kind
	loop_disk ext 400
	e=$LOOP
	loop_disk xfs 400
	x=$LOOP
	mke2fs -q -F -t ext4 -E nodiscard "$e"
	mkfs.xfs -q -f -K "$x"
	for kind in ext xfs; do
		[[ $kind == ext ]] && i=$e || i=$x
		mount "$i" "$WORK/mnt-$kind"
		MOUNTS+=("$WORK/mnt-$kind")
		make_tree "$WORK/mnt-$kind/still"
		make_target "$WORK/target-$kind" 400
		churn "$WORK/mnt-$kind" "$WORK/log-$kind" 3>&- &
		WRITERS+=($!)
	done
	start_receiver "0=$WORK/target-ext" "1=$WORK/target-xfs"
	pair 0,1
	wait_until 60 log_has ext 12
	wait_until 60 log_has xfs 12
	send push --invite "$WORK/invite" --disk "$e=0" --disk "$x=1" --limit 20M --quiet --json >"$WORK/first"
	for i in 1 2; do
		send sync --invite "$WORK/invite" --disk "$e=0" --disk "$x=1" --limit 20M --quiet --json >"$WORK/out$i"
	done
	[[ $(jq '[.disks[].parts[0].map] | join(" ")' "$WORK/first") == '"provisional provisional"' ]]
	(($(jq .bytes_skipped.free "$WORK/first") > 200 << 20))
	local le lx
	le=$(wc -l <"$WORK/log-ext")
	lx=$(wc -l <"$WORK/log-xfs")
	# The writers go on while the last round freezes under them.
	send sync --invite "$WORK/invite" --disk "$e=0" --disk "$x=1" --final --quiet --json >"$WORK/final"
	jq -c '{bytes_read, bytes_skipped, parts: [.disks[].parts]}' "$WORK/final"
	touch "$WORK/log-ext.stop" "$WORK/log-xfs.stop"
	for i in "${WRITERS[@]}"; do wait "$i"; done
	WRITERS=()
	state_is verified
	[[ $(jq -r '.disks[0].parts[0].map' "$WORK/final") == believed ]]
	[[ $(jq -r '.disks[1].parts[0].map' "$WORK/final") == believed ]]
	(($(jq .bytes_skipped.free "$WORK/final") > 200 << 20))
	umount "$WORK/mnt-ext" "$WORK/mnt-xfs"
	MOUNTS=()
	arrived_whole ext "$le"
	arrived_whole xfs "$lx"
}

log_has() { (($(wc -l <"$WORK/log-$1" 2>/dev/null || echo 0) >= $2)); }

# arrived_whole KIND LINES: the target mounts, is clean, and every file of it is what it should be
arrived_whole() {
	local loop
	loop=$(losetup --show -f "$WORK/target-$1")
	LOOPS+=("$loop")
	[[ $1 == xfs ]] || e2fsck -fn "$loop"
	mount "$loop" "$WORK/mnt-$1"
	MOUNTS+=("$WORK/mnt-$1")
	churn --check "$WORK/mnt-$1" "$WORK/log-$1" "$2"
	make_tree_sums "$WORK/mnt-$1/still" >"$WORK/sums"
	umount "$WORK/mnt-$1"
	MOUNTS=()
	[[ $1 != xfs ]] || xfs_repair -n "$loop"
	mount "${LOOPS[$([[ $1 == ext ]] && echo 0 || echo 1)]}" "$WORK/mnt-$1"
	MOUNTS+=("$WORK/mnt-$1")
	make_tree_sums "$WORK/mnt-$1/still" | diff "$WORK/sums" -
	umount "$WORK/mnt-$1"
	MOUNTS=()
	WRITERS=()
}

make_tree_sums() { (cd "$1" && find . -type f -print0 | sort -z | xargs -0 sha256sum); }
