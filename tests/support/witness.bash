# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# witness.bash - what other tools call free in an image: "OFF LEN" a line, sorted, neighbours joined

join_ranges() {
	sort -n | awk '
		$2 == 0 { next }
		n && $1 <= off + len { if ($1 + $2 > off + len) len = $1 + $2 - off; next }
		n { print off, len }
		{ n = 1; off = $1; len = $2 }
		END { if (n) print off, len }'
}

# dumpe2fs names the free blocks of each group; of clusters, it names the first block of each.
ext_free() {
	dumpe2fs "$1" 2>/dev/null | awk '
		/^Block size:/ { bs = $3; ratio = 1 }
		/^Cluster size:/ { ratio = $3 / bs }
		/^  Free blocks: / {
			sub(/^  Free blocks: /, "")
			n = split($0, part, /, */)
			for (i = 1; i <= n; i++) {
				if (part[i] == "") continue
				m = split(part[i], ends, "-")
				last = (m > 1 ? ends[2] : ends[1]) + ratio - 1
				printf "%.0f %.0f\n", ends[1] * bs, (last - ends[1] + 1) * bs
			}
		}' | join_ranges
}

# xfs_db shows the records of each group's tree of free space.
xfs_free() {
	local bs ag count i
	bs=$(xfs_db -r -c 'sb 0' -c 'print blocksize' "$1" | cut -d' ' -f3)
	ag=$(xfs_db -r -c 'sb 0' -c 'print agblocks' "$1" | cut -d' ' -f3)
	count=$(xfs_db -r -c 'sb 0' -c 'print agcount' "$1" | cut -d' ' -f3)
	for ((i = 0; i < count; i++)); do
		xfs_db -r -c "agf $i" -c 'addr bnoroot' -c btdump "$1" |
			sed -n '/^recs/,/^bnobt/p' | grep -oE '[0-9]+:\[[0-9]+,[0-9]+\]' | tr -d ']' | tr ':[,' '   ' |
			awk -v bs="$bs" -v first="$((i * ag))" '{ printf "%.0f %.0f\n", (first + $2) * bs, $3 * bs }'
	done | join_ranges
}

# btrfs names the pieces of the device that chunks were made of; the rest may be free.
btrfs_used() {
	btrfs inspect-internal dump-tree -t dev "$1" | awk '
		/DEV_EXTENT/ { gsub(/[()]/, ""); off = $6 }
		/chunk_objectid/ { for (i = 1; i < NF; i++) if ($i == "length") print off, $(i + 1) }' | join_ranges
}

# Every range of FILE1 lies in one of FILE2.
lies_in() {
	awk 'BEGIN { n = 0 }
		NR == FNR { off[n] = $1; len[n++] = $2; next }
		{ ok = 0
		  for (i = 0; i < n; i++) if ($1 >= off[i] && $1 + $2 <= off[i] + len[i]) { ok = 1; break }
		  if (!ok) { print "not free: " $0; bad = 1 } }
		END { exit bad }' "$2" "$1"
}
