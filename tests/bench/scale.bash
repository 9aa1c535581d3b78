# shellcheck shell=bash disable=SC2034,SC2154 # shared names: the list is in lib.bash
# SPDX-License-Identifier: GPL-3.0-or-later
# scale - seconds per GiB and the receiver's highest memory, by size and by number of disks
#
# Eight connections and a final round: what needs the most memory. Up to scale_memory bytes lie in memory,
# more on the disk; what fits neither is printed as not run.

scale_memory=$((4 << 30))

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

# scale_run KIND BYTES_EACH DISKS ROUND FOLDER
scale_run() {
	local folder=$5 i same=true
	local -a sources=() targets=() numbers=()
	for ((i = 0; i < $3; i++)); do
		rm -f "$folder/target$i"
		truncate -s "$2" "$folder/target$i"
		sources+=("$folder/source$i")
		targets+=("$i=$folder/target$i")
		numbers+=("$i")
	done
	ours_receive "${targets[@]}"
	ours_ctl pair --disk "$(IFS=,; echo "${numbers[*]}")" --out "$work/invite" >/dev/null
	timed with_peak push_many "${sources[@]}" || die "the copy of $3 disks failed"
	ended "$server"
	for ((i = 0; i < $3; i++)); do
		cmp -s "$folder/source$i" "$folder/target$i" || same=false
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
	local need=$((2 * $2 * $3)) i place
	[[ $1 != sparse ]] || need=$((need / 32))
	if ! scale_place "$need"; then
		not_run "scale $1 $3 x $(human "$2")" "$need" "memory or disk"
		row --arg kind "$1" --argjson bytes "$2" --argjson disks "$3" --argjson need "$need" '{$kind, $bytes, $disks, not_run: $need}'
		return 0
	fi
	for ((i = 0; i < $3; i++)); do
		rm -f "$place/source$i"
		if [[ $1 == sparse ]]; then sparse_image "$place/source$i" "$2"; else make_image dense "$place/source$i" "$2"; fi
	done
	for ((i = 1; i <= runs; i++)); do scale_run "$1" "$2" "$3" "$i" "$place"; done
	rm -f "$place"/source* "$place"/target*
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
