# shellcheck shell=bash disable=SC2034,SC2154 # shared names: the list is in lib.bash
# SPDX-License-Identifier: GPL-3.0-or-later
# scale - seconds per GiB and the receiver's highest memory, by size and by number of disks
#
# Eight connections and a final round: what needs the most memory. Up to scale_memory bytes lie in memory,
# more on the disk; what fits neither is printed as not run. A dense source on the disk is one tile of
# scale_tile bytes whose extents are shared, so that the room is the target's.

scale_memory=$((4 << 30))
scale_tile=$((2 << 30))
scale_tile_room=$((3 << 30)) # with its file system

# One MiB in 64 holds data.
sparse_image() { # FILE BYTES
	local at
	truncate -s "$2" "$1"
	head -c 16777216 /dev/urandom >"$work/piece"
	for ((at = 0; at < $2; at += 1073741824)); do
		dd if="$work/piece" of="$1" bs=1M seek=$((at / 1048576)) conv=notrunc status=none
	done
	rm -f "$work/piece"
}

tiled() { [[ $1 == dense && $2 -gt $scale_memory && $EUID -eq 0 && -e /dev/loop-control ]]; } # KIND BYTES

# An XFS in a file, with one dense tile: sets tiles.
tiles_up() {
	local loop
	truncate -s "$scale_tile_room" "$disk_work/tiles.img"
	mkfs.xfs -q -m reflink=1 "$disk_work/tiles.img"
	loop=$(losetup --find --show "$disk_work/tiles.img")
	bench_loops+=("$loop")
	tiles=$disk_work/tiles
	mkdir -p "$tiles"
	mount -t xfs "$loop" "$tiles"
	bench_mounts+=("$tiles")
	make_image dense "$tiles/tile" "$scale_tile"
}

tiles_down() {
	umount "$tiles"
	bench_mounts=()
	losetup -d "${bench_loops[-1]}"
	unset 'bench_loops[-1]'
	rm -f "$disk_work/tiles.img"
}

tiled_image() { # FILE BYTES
	local at
	rm -f "$1"
	for ((at = 0; at < $2; at += scale_tile)); do
		xfs_io -f -c "reflink $tiles/tile 0 $at $scale_tile" "$1" >"$work/reflink.log" ||
			{ cat "$work/reflink.log" >&2; die "cannot share the extents of $tiles/tile"; }
	done
}

# Its highest memory is looked at while COMMAND runs: sets peak, KiB.
with_peak() {
	local pid now
	peak=0
	"$@" &
	pid=$!
	while kill -0 "$pid" 2>/dev/null; do
		now=$(ours_pss)
		((now <= peak)) || peak=$now
		sleep 0.2
	done
	wait "$pid"
}

push_many() { # SOURCE...
	local -a disks=()
	local s n=0
	for s in "$@"; do
		disks+=(--disk "$s=$n")
		n=$((n + 1))
	done
	"$bin/sender/transit-send" push --invite "$work/invite" --quiet --json --once --connections 8 "${disks[@]}" \
		>"$work/push.json" 2>"$work/push.log" || { cat "$work/push.log" "$work/push.json" >&2; return 1; }
}

# scale_run KIND BYTES_EACH DISKS ROUND FOLDER SOURCES
scale_run() {
	local folder=$5 i same=true
	local -a sources=() targets=() numbers=()
	for ((i = 0; i < $3; i++)); do
		rm -f "$folder/target$i"
		truncate -s "$2" "$folder/target$i"
		sources+=("$6/source$i")
		targets+=("$i=$folder/target$i")
		numbers+=("$i")
	done
	ours_receive "${targets[@]}"
	ours_ctl pair --disk "$(IFS=,; echo "${numbers[*]}")" --out "$work/invite" >/dev/null
	timed with_peak push_many "${sources[@]}" || die "the copy of $3 disks failed"
	ended "$server"
	for ((i = 0; i < $3; i++)); do
		cmp -s "${sources[i]}" "$folder/target$i" || same=false
	done
	row --arg kind "$1" --argjson bytes "$2" --argjson disks "$3" --argjson round "$4" --argjson wall "$t_wall" \
		--argjson peak "$peak" --argjson same "$same" --argjson load "$load" \
		--arg medium "$([[ $folder == "$work" ]] && echo memory || echo disk)" \
		--argjson verified "$(jq .verified "$work/push.json")" \
		'{$kind, $bytes, $disks, $round, $medium, $wall, $peak, $same, $verified, $load}'
	note "$1 $3 x $(human "$2") $4: $t_wall s, highest memory $((peak / 1024)) MiB"
}

# scale_place BYTES: the folder that has room for source and target
scale_place() {
	if (($1 <= 2 * scale_memory)) && have_memory "$1"; then
		place=$work
	elif disk_begin "$1"; then
		place=$disk_work
	else
		return 1
	fi
}

scale_cell() { # KIND BYTES DISKS
	local need=$((2 * $2 * $3)) i place from
	[[ $1 != sparse ]] || need=$((need / 32))
	! tiled "$1" "$2" || need=$(($2 + scale_tile_room))
	if ! scale_place "$need"; then
		not_run "scale $1 $3 x $(human "$2")" "$need" "memory or disk"
		row --arg kind "$1" --argjson bytes "$2" --argjson disks "$3" --argjson need "$need" '{$kind, $bytes, $disks, not_run: $need}'
		return 0
	fi
	from=$place
	if tiled "$1" "$2"; then
		tiles_up
		from=$tiles
	fi
	for ((i = 0; i < $3; i++)); do scale_source "$1" "$from/source$i" "$2"; done
	for ((i = 1; i <= runs; i++)); do scale_run "$1" "$2" "$3" "$i" "$place" "$from"; done
	rm -f "$place"/source* "$place"/target*
	[[ $from == "$place" ]] || tiles_down
}

scale_source() { # KIND FILE BYTES
	rm -f "$2"
	if [[ $1 == sparse ]]; then
		sparse_image "$2" "$3"
	elif tiled "$1" "$3"; then
		tiled_image "$2" "$3"
	else
		make_image dense "$2" "$3"
	fi
}

bench_scale() {
	local n unit=$((1 << 30)) each=$((256 << 20))
	if $quick; then unit=$((64 << 20)) each=$((16 << 20)); fi
	rows_begin scale
	say "scale: sizes"
	for n in 1 4 16 64; do scale_cell sparse $((n * unit)) 1; done
	for n in 1 4 16 64; do scale_cell dense $((n * unit)) 1; done
	say "scale: disks"
	for n in 1 2 4 8 20; do scale_cell disks "$each" "$n"; done
	report scale
}
