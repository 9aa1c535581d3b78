# shellcheck shell=bash disable=SC2034,SC2154 # shared names: the list is in lib.bash
# SPDX-License-Identifier: GPL-3.0-or-later
# second - a second round after one block in a hundred has changed: bytes, and time against one reading

second_block=262144

# Source in memory, and on the disk with nothing of it in the cache.
second_source() { # MEDIUM
	source=$work/source
	[[ $1 == memory ]] || source=$disk_work/source
}

forget_source() { dd if="$source" iflag=nocache count=0 status=none; }

read_once() { dd if="$source" of=/dev/null bs=1M status=none; }

ours_sync() {
	"$bin/sender/transit-send" sync --invite "$work/invite" --quiet --json --disk "$source=0" \
		>"$work/sync.json" 2>"$work/push.log" || { cat "$work/push.log" "$work/sync.json" >&2; return 1; }
}

second_run() { # MEDIUM ROUND
	local changed reading wall here again
	fresh_target "$size"
	ours_serve "$size"
	ours_push || die "the first round failed"
	changed=$("$bin/tests/bench_image" change "$source" "$second_block" 1 "$2")
	sync "$source"
	forget_source
	timed read_once
	reading=$t_wall
	forget_source
	timed ours_sync || die "the second round failed"
	wall=$t_wall here=$load
	forget_source
	timed read_once
	again=$t_wall
	ended "$server"
	spoil second
	row --arg medium "$1" --argjson round "$2" --argjson changed "$((changed * second_block))" --argjson wall "$wall" \
		--argjson reading "$(awk -v a="$reading" -v b="$again" 'BEGIN { print (a + b) / 2 }')" --argjson cpu "$t_cpu" \
		--argjson sync "$(jq -c '{bytes_wire, bytes_read, bytes_sent_plain}' "$work/sync.json")" --argjson load "$here" \
		--argjson same "$(same_content "$source" "$work/target")" \
		'{$medium, $round, $changed, $wall, $reading, $same, $load} + $sync'
	note "$1 $2: $wall s, reading alone $reading and $again s"
}

bench_second() {
	local medium i
	have_memory $((2 * size)) || { not_run second $((2 * size)); return 0; }
	disk_begin "$size" || { not_run second "$size" disk; return 0; }
	rows_begin second
	for medium in memory disk; do
		say "second: dense, source in $medium, $(human "$size")"
		second_source "$medium"
		make_image dense "$source" "$size"
		for ((i = 1; i <= runs; i++)); do second_run "$medium" "$i"; done
		rm -f "$source"
	done
	rm -f "$work/target"
	report second
}
