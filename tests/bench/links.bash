# shellcheck shell=bash disable=SC2034,SC2154 # shared names: the list is in lib.bash
# SPDX-License-Identifier: GPL-3.0-or-later
# wire-check - is the line what it says? links - how much of a line is used, and is "auto" a good choice?

wire_check_cells() {
	local mbit rtt
	for mbit in 12 100 1000; do for rtt in 0 20 100; do echo "$mbit $rtt"; done; done
}

# One connection must be able to fill the longest line; links leaves these to the system.
large_buffers() {
	local space
	for space in "$space_a" "$space_b"; do
		ip netns exec "$space" sh -c 'for i in rmem wmem; do echo "4096 131072 134217728" >/proc/sys/net/ipv4/tcp_$i; done'
	done
}

bench_wire_check() {
	local mbit rtt i port rate trip seconds=9
	line_possible || { echo "NOT RUN  wire-check: needs root, /dev/net/tun and network namespaces"; return 0; }
	rows_begin wire_check
	! $quick || seconds=6
	while read -r mbit rtt <&5; do
		for ((i = 1; i <= runs; i++)); do
			line_up "$mbit" "$rtt" 0
			large_buffers
			rm -f "$work/probe.port"
			"${ours_in[@]}" "$bin/tests/bench_probe" serve "$line_b" >"$work/probe.port" &
			local server=$!
			started "$server"
			wait_for 10 test -s "$work/probe.port"
			port=$(<"$work/probe.port")
			load=$(loadavg)
			trip=$("${ours_from[@]}" "$bin/tests/bench_probe" trip "$line_b" "$port" 50)
			rate=$("${ours_from[@]}" "$bin/tests/bench_probe" rate "$line_b" "$port" "$seconds")
			local cpu
			read -r cpu _ < <(cpu_of "$line_pid")
			ended "$server"
			row --argjson mbit "$mbit" --argjson rtt "$rtt" --argjson round "$i" --argjson mtu "$line_mtu" --argjson trip "$trip" \
				--argjson rate "$rate" --argjson cpu "$cpu" --argjson seconds "$seconds" --argjson load "$load" \
				'{$mbit, $rtt, $round, $mtu, $trip, $rate, $cpu, $seconds, $load}'
			line_down
		done
		note "$mbit Mbit/s, $rtt ms: $rate bits a second in TCP, round trip $trip ms"
	done 5< <(wire_check_cells)
	report wire_check
}

# The moment when a part of the last run was over.
part_of() { awk -v from="$1" -v wall="$t_wall" -v part="$2" 'BEGIN { printf "%.3f", from + wall * part }'; }

# links_run KIND MBIT RTT LOSS ROUND NAME SIZE [OPTION...]
links_run() {
	local from to losses
	rm -f "$work/target"
	truncate -s "$7" "$work/target"
	line_up "$2" "$3" "$4"
	ours_serve "$7"
	from=$EPOCHREALTIME
	timed ours_push "${@:8}" || die "the copy failed at $2 Mbit/s"
	to=$EPOCHREALTIME
	sleep 0.2 # the line speaks ten times a second
	losses=$(line_losses)
	ended "$server"
	row --arg kind "$1" --argjson mbit "$2" --argjson rtt "$3" --argjson loss "$4" --argjson round "$5" --arg name "$6" \
		--argjson size "$7" --argjson wall "$t_wall" --argjson load "$load" --argjson mtu "$line_mtu" \
		--argjson whole "$(line_use "$from" "$to")" \
		--argjson steady "$(line_use "$(part_of "$from" 0.25)" "$(part_of "$from" 0.9)")" \
		--argjson push "$(jq -c '{bytes_wire}' "$work/push.json")" --argjson losses "$losses" \
		--argjson same "$(same_content "$source" "$work/target")" \
		'{$kind, $mbit, $rtt, $loss, $round, $name, $size, $wall, $load, $mtu, $whole, $steady, $same} + $push + $losses'
	line_down
	note "$1 $2 Mbit/s $3 ms $4 % $6: $t_wall s, line $(tail -1 "$rows" | jq -r '"\(.whole) whole, \(.steady) steady"')"
}

# The bytes that take the line so many seconds, in whole MiB.
links_size() { echo "$(($1 * 125000 * $2 / 1048576 * 1048576))"; }

bench_links() {
	local mbit rtt loss i name seconds=15 bytes
	local -a rates=(12 100 1000) trips=(0 20 100) losses=(0 0.5) codecs
	line_possible || { echo "NOT RUN  links: needs root, /dev/net/tun and network namespaces"; return 0; }
	have_memory $((2 * 1875 << 20)) || { not_run links $((2 * 1875 << 20)); return 0; }
	if $quick; then seconds=4 rates=(12 100) trips=(0 20) losses=(0); fi
	rows_begin links
	source=$work/source
	for mbit in "${rates[@]}"; do
		say "links: $mbit Mbit/s"
		bytes=$(links_size "$mbit" "$seconds")
		make_image random "$source" "$bytes"
		for ((i = 1; i <= runs; i++)); do
			for rtt in "${trips[@]}"; do for loss in "${losses[@]}"; do
				links_run line "$mbit" "$rtt" "$loss" "$i" default "$bytes"
			done; done
		done
	done
	say "links: disk bytes landed on 12 Mbit/s"
	bytes=$((3 * $(links_size 12 "$seconds")))
	make_image text "$source" "$bytes"
	for ((i = 1; i <= runs; i++)); do
		for rtt in "${trips[@]}"; do links_run landed 12 "$rtt" 0 "$i" default "$bytes"; done
	done
	mapfile -t codecs < <(ours_codecs)
	for mbit in "${rates[@]}"; do
		say "links: auto against fixed codecs, $mbit Mbit/s"
		bytes=$(($(links_size "$mbit" "$seconds") * 8 / 5 / 1048576 * 1048576))
		make_image mixed "$source" "$bytes"
		for ((i = 1; i <= runs; i++)); do
			for rtt in "${trips[@]}"; do
				for name in auto "${codecs[@]}"; do
					links_run codec "$mbit" "$rtt" 0 "$i" "$name" "$bytes" --codec "$name"
				done
			done
		done
	done
	rm -f "$source" "$work/target"
	report links
}
